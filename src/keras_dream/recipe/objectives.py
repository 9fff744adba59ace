"""Objectives: what a dream maximises, as a value and as text.

The text is a sum of terms, each with a weight:

    objective = ["-"] term { ("+" | "-") term }
    term      = [ number "*" ] target
    target    = layer [ ":" channels ] | "class:" name
    layer     = name | "'" any characters "'" | kind "@" ordinal
    channels  = range { "," range } | "strongest(" number ")"
    range     = number [ "-" number ]

A layer goes by its Keras name (`mixed4`), quoted where the name is odd
(`'conv-1.a'`), or, where Keras only numbered it, by its class and its place among the
layers of that class in this network, counted from 0 (`conv2d@7`). A class goes by its
name, quoted where it is odd, or by its number. `strongest(8)` stands for the eight
channels of a layer that respond most to the source picture, as `dream explain` lists
them; `keras_dream.dreamer.responses` tells how that is measured.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from keras_dream.errors import ObjectiveError, short_repr

MOST_TERMS = 1_000  # a sum that no network is deep enough for
MOST_CHANNELS = 100_000
MOST_STRONGEST = 99_999


@dataclass(frozen=True)
class Layer:
    """All channels of a layer, or some of them.

    Attributes:
        name: Its name, or the class of a layer that Keras only numbered.
        ordinal: Its place among the layers of that class, or None.
        channels: Their numbers, ascending; empty for all of them.
        strongest: How many channels, those that respond most to the source picture,
            instead of numbers; None for the channels as they stand.
    """

    name: str
    ordinal: int | None = None
    channels: tuple[int, ...] = ()
    strongest: int | None = None

    @classmethod
    def named(
        cls, layer: str, channels: tuple[int, ...] = (), strongest: int | None = None
    ) -> "Layer":
        """Returns the target for a layer as a network's graph knows it.

        Args:
            layer: Such as "mixed4" or "conv2d@7".
            channels: As in the class; so is `strongest`.
            strongest: How many, or None.
        """
        name, _, ordinal = layer.rpartition("@")
        if name and re.fullmatch(r"\d{1,6}", ordinal, re.ASCII):
            return cls(name, int(ordinal), channels, strongest)
        return cls(layer, None, channels, strongest)

    @property
    def layer(self) -> str:
        """The layer as a network's graph knows it, without its channels."""
        return self.name + ("" if self.ordinal is None else f"@{self.ordinal}")

    @property
    def text(self) -> str:
        """The target as it is written in an objective."""
        place = "" if self.ordinal is None else f"@{self.ordinal}"
        chosen = _ranges(self.channels)
        if self.strongest is not None:
            chosen = f"strongest({self.strongest})"
        return _quoted(self.name) + place + (f":{chosen}" if chosen else "")


@dataclass(frozen=True)
class Class:
    """One class score, averaged over all positions."""

    name: str

    @property
    def text(self) -> str:
        """The target as it is written in an objective."""
        return f"class:{self.name if self.name.isdigit() else _quoted(self.name)}"


@dataclass(frozen=True)
class Term:
    """A target and the weight of its loss in the sum."""

    weight: float
    target: Layer | Class


@dataclass(frozen=True)
class Objective:
    """A weighted sum of targets."""

    terms: tuple[Term, ...]

    @property
    def text(self) -> str:
        """The objective as text that `parse` reads back."""
        text = ""
        for term in self.terms:
            sign = "-" if term.weight < 0 else "+" if text else ""
            size = "" if abs(term.weight) == 1 else f"{abs(term.weight)!r}*"
            gap = " " if text else ""
            text += f"{gap}{sign}{gap}{size}{term.target.text}"
        return text

    @property
    def asked(self) -> tuple[Layer, ...]:
        """The targets that ask for their strongest channels, each once."""
        targets = (term.target for term in self.terms)
        found = [t for t in targets if isinstance(t, Layer) and t.strongest is not None]
        return tuple(dict.fromkeys(found))

    def meaning(self, strongest: Mapping[str, Sequence[int]]) -> "Objective":
        """Returns the objective with channels in the place of `strongest(n)`.

        Args:
            strongest: Channel numbers by the text of their target; a target that is
                missing here gets all channels of its layer.
        """

        def meant(target: Layer | Class) -> Layer | Class:
            if isinstance(target, Class) or target.strongest is None:
                return target
            channels = tuple(sorted(strongest.get(target.text, ())))
            return replace(target, channels=channels, strongest=None)

        return Objective(tuple(replace(t, target=meant(t.target)) for t in self.terms))


def parse(text: str) -> Objective:
    """Reads objective text.

    Args:
        text: Such as "0.2*mixed2 + 3*mixed3" or "class:eye".

    Returns:
        The objective; whether a network has its layers is not known here.

    Raises:
        ObjectiveError: If the text breaks the grammar; the message tells where.
    """
    reader = _Reader(text)
    terms = [_signed_term(reader, reader.take("[-+]") or "+")]
    while not reader.at_end():
        sign = reader.take("[-+]")
        if not sign:
            raise reader.error("a + or - between two terms")
        terms.append(_signed_term(reader, sign))
        if len(terms) > MOST_TERMS:
            raise reader.error(f"at most {MOST_TERMS} terms")
    return Objective(tuple(terms))


_NUMBER = r"(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?"
_NAME = r"[^\W\d][\w./]*"


class _Reader:
    """Walks through objective text, skipping spaces."""

    def __init__(self, text: str):
        self.text = text
        self.place = 0

    def take(self, pattern: str) -> str:
        """Returns and passes what matches here, or returns nothing and stays."""
        start = self._after_spaces()
        found = re.compile(pattern).match(self.text, start)
        if found is None:
            return ""
        self.place = found.end()
        return found.group()

    def at_end(self) -> bool:
        return self._after_spaces() == len(self.text)

    def error(self, must: str) -> ObjectiveError:
        start = self._after_spaces()
        rest = (
            short_repr(self.text[start:], 30) if start < len(self.text) else "its end"
        )
        return ObjectiveError(
            f"An objective must have {must} at character {start + 1}",
            received=f"{rest} in {short_repr(self.text)}",
            hint="write it like '0.2*mixed2 + 3*mixed3:11,40-47' or 'class:eye'",
        )

    def _after_spaces(self) -> int:
        rest = self.text[self.place :]
        return self.place + len(rest) - len(rest.lstrip())


def _signed_term(reader: _Reader, sign: str) -> Term:
    number = reader.take(_NUMBER)
    if number and not reader.take(r"\*"):
        raise reader.error("a * between a weight and its layer")
    weight = float(number or 1)
    if weight in (0.0, float("inf")):
        raise reader.error("a finite weight that is not zero before the layer")
    return Term(-weight if sign == "-" else weight, _target(reader))


def _target(reader: _Reader) -> Layer | Class:
    quoted = reader.take(r"'[^']+'")
    name = quoted[1:-1] or reader.take(_NAME)
    if not name:
        raise reader.error("a layer's name (in quotes if it is odd)")
    if name == "class" and not quoted and reader.take(":"):
        chosen = reader.take(r"'[^']+'")[1:-1] or reader.take(r"[\w./]+")
        if not chosen:
            raise reader.error("a class's name or number")
        return Class(chosen)
    ordinal = None
    if reader.take("@"):
        ordinal = int(_required(reader, r"\d{1,6}", "a layer's ordinal"))
    if not reader.take(":"):
        return Layer(name, ordinal)
    if reader.take(r"strongest\b"):
        return Layer(name, ordinal, strongest=_strongest(reader))
    return Layer(name, ordinal, _channels(reader))


def _strongest(reader: _Reader) -> int:
    """Reads how many channels are meant, in brackets."""
    must = f"a number of channels from 1 to {MOST_STRONGEST} in brackets"
    if not reader.take(r"\("):
        raise reader.error(must)
    number = int(_required(reader, r"0*[1-9]\d{0,4}(?=\s*\))", must))
    reader.take(r"\)")
    return number


def _channels(reader: _Reader) -> tuple[int, ...]:
    found: set[int] = set()
    while True:
        first = int(_required(reader, r"\d{1,6}", "a channel's number"))
        last = first
        # A minus sign directly before a number is a range; one before a name is
        # the next term's.
        if reader.take(r"-(?=\s*\d+\s*(,|\+|-|$))"):
            last = int(_required(reader, r"\d{1,6}", "a channel's number"))
        if not first <= last < first + MOST_CHANNELS:
            raise reader.error("a range of channels from low to high before it ends")
        found.update(range(first, last + 1))
        if not reader.take(","):
            return tuple(sorted(found))


def _required(reader: _Reader, pattern: str, what: str) -> str:
    found = reader.take(pattern)
    if not found:
        raise reader.error(what)
    return found


def _quoted(name: str) -> str:
    return name if re.fullmatch(_NAME, name) and name != "class" else f"'{name}'"


def _ranges(channels: tuple[int, ...]) -> str:
    """Writes channel numbers with runs as ranges: 11,40-47."""
    runs: list[list[int]] = []
    for channel in channels:
        if runs and channel == runs[-1][1] + 1:
            runs[-1][1] = channel
        else:
            runs.append([channel, channel])
    return ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in runs)
