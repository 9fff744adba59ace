"""Objectives: what a dream maximises, as a value and as text.

    objective = sum { ";" network [ ":" sum ] }
    sum       = "default" | ["-"] term { ("+" | "-") term }
    term      = [ number "*" ] target
    target    = layer [ ":" channels ] | "class:" name
    layer     = name | kind "@" ordinal
    channels  = range { "," range } | "strongest(" number ")"
    range     = number [ "-" number ]
    network   = [ "-" ] [ number "*" ] name [ "[" preprocessing "]" ]

The first sum is for the recipe's own network, each further one for the network before
its colon: `0.2*mixed2 + mixed3; 0.5*squeezenet: fire6 + fire8; mine.keras[tf]: conv2`.
`default`, or a network without a sum, stands for the network's own objective.

A layer goes by its Keras name (`mixed4`) or, where Keras only numbered it, by its class
and its ordinal among the layers of that class in this network, counted from 0
(`conv2d@7`). A class goes by its name or by its number. Odd names are quoted
(`'conv-1.a'`); a quote inside quotes is written twice (`'it''s'`). `strongest(8)`
stands for the eight channels of a layer that respond most to the source picture, as
`dream explain` lists them; `keras_dream.dreamer.responses` says how that is measured.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, Literal, cast, get_args

from pydantic_core import CoreSchema, core_schema

from keras_dream.errors import ObjectiveError, short_repr

MAX_TEXT = 10_000  # characters: a page of layers
MAX_TERMS = 1_000  # a sum that no network is deep enough for
MAX_NETWORKS = 16
"""More networks than fit into any memory, and enough for any art."""
MAX_CHANNELS = 100_000
MAX_STRONGEST = 99_999
MAX_WEIGHT = 1e6  # of a network beside another

Preprocessing = Literal["tf", "caffe", "torch", "0-1", "0-255"]
PREPROCESSINGS: tuple[str, ...] = get_args(Preprocessing)


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

    def __post_init__(self) -> None:
        _check_name("A layer", self.name)
        object.__setattr__(self, "channels", tuple(sorted(set(self.channels))))

    @classmethod
    def named(
        cls,
        layer: str,
        *,
        channels: tuple[int, ...] = (),
        strongest: int | None = None,
    ) -> "Layer":
        """Returns the target for a layer as a network's graph knows it.

        Args:
            layer: Such as "mixed4" or "conv2d@7".
            channels: As in the class.
            strongest: As in the class.
        """
        if re.fullmatch(r"'.*@\d+'", layer):
            return cls(layer[1:-1], None, channels, strongest)
        name, _, ordinal = layer.rpartition("@")
        if name and re.fullmatch(r"\d{1,6}", ordinal, re.ASCII):
            return cls(name, int(ordinal), channels, strongest)
        return cls(layer, None, channels, strongest)

    @property
    def layer(self) -> str:
        """The layer as a network's graph knows it, without its channels."""
        if self.ordinal is None and re.fullmatch(r".*@\d+", self.name):
            return f"'{self.name}'"  # a name that looks like an ordinal
        return self.name + ("" if self.ordinal is None else f"@{self.ordinal}")

    @property
    def text(self) -> str:
        """The target as it is written in an objective."""
        ordinal = "" if self.ordinal is None else f"@{self.ordinal}"
        channels = _ranges(self.channels)
        if self.strongest is not None:
            channels = f"strongest({self.strongest})"
        return _quoted(self.name) + ordinal + (f":{channels}" if channels else "")


@dataclass(frozen=True)
class Class:
    """One class score, averaged over all positions."""

    name: str

    def __post_init__(self) -> None:
        _check_name("A class", self.name)

    @property
    def text(self) -> str:
        """The target as it is written in an objective."""
        return f"class:{self.name if self.name.isdigit() else _quoted(self.name)}"


@dataclass(frozen=True)
class Term:
    """A target and the weight of its loss in the sum.

    Raises:
        ObjectiveError: If the weight is zero or not finite.
    """

    weight: float
    target: Layer | Class

    def __post_init__(self) -> None:
        _check_weight(self.weight, math.inf, self.target.text)
        object.__setattr__(self, "weight", float(self.weight))


@dataclass(frozen=True)
class NetworkObjective:
    """What one network of a dream maximises.

    Attributes:
        network: Its name; None for the recipe's own network.
        terms: The weighted sum; empty for the network's own default objective.
        weight: Of its gradient beside the first network's 1.
        preprocessing: What a model of the user's own expects of its pictures, or None.

    Raises:
        ObjectiveError: If the weight or the preprocessing is impossible.
    """

    network: str | None = None
    terms: tuple[Term, ...] = ()
    weight: float = 1.0
    preprocessing: str | None = None

    def __post_init__(self) -> None:
        _check_weight(self.weight, MAX_WEIGHT, str(self.network))
        object.__setattr__(self, "weight", float(self.weight))
        if self.network is not None:
            _check_name("A network", self.network)
        if len(self.terms) > MAX_TERMS:
            raise ObjectiveError(
                f"An objective must have at most {MAX_TERMS} terms for each network",
                received=str(len(self.terms)),
                hint="name fewer layers",
            )
        if self.preprocessing not in (None, *PREPROCESSINGS):
            raise ObjectiveError(
                f"A preprocessing must be one of {', '.join(PREPROCESSINGS)}",
                received=short_repr(self.preprocessing),
                hint="state what the model was trained with",
            )

    @property
    def sum_text(self) -> str:
        """The weighted sum as text; "default" for the network's own."""
        return _sum_text(self.terms) or "default"

    @property
    def text(self) -> str:
        """The objective with its network, as it is written behind a semicolon."""
        name = "" if self.network is None else _quoted(self.network, _NETWORK)
        weight = "" if self.weight == 1 else f"{self.weight!r}*"
        mode = f"[{self.preprocessing}]" if self.preprocessing else ""
        total = f": {self.sum_text}" if self.terms else ""
        return f"{weight}{name}{mode}{total}"

    @property
    def strongest_targets(self) -> tuple[Layer, ...]:
        """The targets that ask for their strongest channels, each once."""
        targets = (term.target for term in self.terms)
        layers = [t for t in targets if isinstance(t, Layer) and t.strongest]
        return tuple(dict.fromkeys(layers))

    def with_channels(
        self, strongest: Mapping[str, Sequence[int]]
    ) -> "NetworkObjective":
        """Returns the objective with channels in the place of `strongest(n)`.

        Args:
            strongest: Channel numbers by the text of their target; a target that is
                missing here gets all channels of its layer.
        """

        def chosen(target: Layer | Class) -> Layer | Class:
            if isinstance(target, Class) or target.strongest is None:
                return target
            channels = tuple(sorted(strongest.get(target.text, ())))
            return replace(target, channels=channels, strongest=None)

        terms = tuple(replace(t, target=chosen(t.target)) for t in self.terms)
        return replace(self, terms=terms)


@dataclass(frozen=True)
class Objective:
    """What a dream maximises: a weighted sum for each of its networks.

    Attributes:
        networks: The first is the recipe's own network, whose name stands there.

    Raises:
        ObjectiveError: If there is no network or more than `MAX_NETWORKS`.
    """

    networks: tuple[NetworkObjective, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.networks) <= MAX_NETWORKS:
            raise ObjectiveError(
                f"An objective must have 1 to {MAX_NETWORKS} networks",
                received=str(len(self.networks)),
                hint="leave some of them out",
            )
        first, *others = self.networks
        if replace(first, terms=()) != NetworkObjective() or any(
            other.network is None for other in others
        ):
            raise ObjectiveError(
                "An objective must begin with the recipe's own network, without name, "
                "weight or preprocessing, and name all others",
                received=short_repr([network.network for network in self.networks]),
                hint="set the recipe's network and preprocessing",
            )
        _check_length(self.text)

    @classmethod
    def of_layers(cls, layers: Mapping[Any, Any]) -> "Objective":
        """Returns the objective for a dictionary of layer weights.

        Args:
            layers: Layer names, odd ones too, or targets such as "mixed4:11", to
                finite numbers.

        Raises:
            ObjectiveError: If it is empty, or a weight is zero or no finite number.
        """
        if not layers or not all(_is_number(weight) for weight in layers.values()):
            raise ObjectiveError(
                "`layers` must be a dictionary of layer names and finite numbers",
                received=short_repr(layers),
                hint="try layers={'mixed3': 3.0}",
            )
        terms = [Term(float(w), _target_of(str(name))) for name, w in layers.items()]
        return cls((NetworkObjective(terms=tuple(terms)),))

    @property
    def terms(self) -> tuple[Term, ...]:
        """The weighted sum of the first network."""
        return self.networks[0].terms

    @property
    def text(self) -> str:
        """The objective as text that `parse` reads back."""
        first, *others = self.networks
        return "; ".join((first.sum_text, *(other.text for other in others)))

    def __str__(self) -> str:
        return self.text

    @classmethod
    def __get_pydantic_core_schema__(cls, *_: object) -> CoreSchema:
        """Makes the objective a field type: read from text, written as text."""
        return core_schema.no_info_plain_validator_function(
            _read,
            serialization=core_schema.to_string_ser_schema(),
            json_schema_input_schema=core_schema.str_schema(),
        )


def parse(text: str) -> Objective:
    """Reads objective text.

    Args:
        text: Such as "0.2*mixed2 + 3*mixed3", "class:eye" or
            "mixed4; 0.5*squeezenet: fire6 + fire8".

    Returns:
        The objective; whether a network has its layers is not known here.

    Raises:
        ObjectiveError: If the text breaks the grammar; the message tells where.
    """
    _check_length(text)
    reader = _Reader(text)
    networks = [NetworkObjective(terms=_sum(reader))]
    while not reader.at_end():
        if not reader.take(_SEMICOLON):
            raise reader.error("a + or - between two terms, or a ; before a network")
        networks.append(_network(reader))
    return Objective(tuple(networks))


def _read(value: Any) -> Objective:
    """Returns the objective for what a recipe may hold of it."""
    if isinstance(value, Objective):
        return value
    if isinstance(value, Mapping):
        return Objective.of_layers(cast("Mapping[Any, Any]", value))
    if isinstance(value, str):
        return parse(value)
    raise ObjectiveError(
        "An objective must be text, or a dictionary of layers and weights",
        received=short_repr(value),
        hint="try '0.2*mixed2 + 3*mixed3'",
    )


_NUMBER = re.compile(r"(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_WEIGHT = re.compile(rf"{_NUMBER.pattern}(?=\s*\*)", re.ASCII)
_NAME = re.compile(r"[^\W\d][\w./]*")
_NETWORK = re.compile(r"[\w./][\w./-]*")
_CLASS = re.compile(r"[\w./]+")
_QUOTED = re.compile(r"'(?:[^']|'')+'")
_SIGN, _MINUS, _STAR = re.compile("[-+]"), re.compile("-"), re.compile(r"\*")
_COLON, _SEMICOLON, _COMMA, _AT = map(re.compile, ":;,@")
_OPEN, _CLOSE = re.compile(r"\("), re.compile(r"\)")
_MODE = re.compile(r"\[\s*([\w-]+)\s*\]")
_DEFAULT = re.compile(r"default\b(?=\s*(;|$))")
_STRONGEST_WORD = re.compile(r"strongest\b")
_DIGITS = re.compile(r"\d{1,6}", re.ASCII)
_COUNT = re.compile(r"0*[1-9]\d{0,4}(?=\s*\))", re.ASCII)
# A minus sign before a number is a range; one before a name is the next term's.
_TO = re.compile(r"-(?=\s*\d{1,6}\s*(,|\+|-|;|$))", re.ASCII)
_SPACES = re.compile(r"\s*")
_RESERVED = ("class", "default")


class _Reader:
    """Walks through objective text once, from left to right, skipping spaces."""

    def __init__(self, text: str):
        self.text = text
        self.place = self._after_spaces(0)

    def take(self, pattern: re.Pattern[str]) -> str:
        """Returns and passes what matches here, or returns "" and stays."""
        match = pattern.match(self.text, self.place)
        if match is None:
            return ""
        self.place = self._after_spaces(match.end())
        return match.group()

    def name(self, pattern: re.Pattern[str]) -> tuple[str, bool]:
        """Returns a name, and whether it was quoted; ("", False) where none is."""
        if quoted := self.take(_QUOTED):
            return quoted[1:-1].replace("''", "'"), True
        return self.take(pattern), False

    def required(self, pattern: re.Pattern[str], what: str) -> str:
        """Returns and passes what must match here."""
        text = self.take(pattern)
        if not text:
            raise self.error(what)
        return text

    def at_end(self) -> bool:
        return self.place == len(self.text)

    def error(self, must: str) -> ObjectiveError:
        rest = (
            "its end"
            if self.at_end()
            else short_repr(self.text[self.place :], limit=30)
        )
        return ObjectiveError(
            f"An objective must have {must} at character {self.place + 1}",
            received=f"{rest} in {short_repr(self.text)}",
            hint="write it like '0.2*mixed2 + 3*mixed3:11,40-47', 'class:eye' or "
            "'mixed4; 0.5*squeezenet: fire6'",
        )

    def _after_spaces(self, place: int) -> int:
        match = _SPACES.match(self.text, place)
        return place if match is None else match.end()


def _network(reader: _Reader) -> NetworkObjective:
    sign = reader.take(_SIGN)
    number = reader.take(_WEIGHT)  # only before a *: a name may begin with a digit
    if number:
        reader.take(_STAR)
    name, _ = reader.name(_NETWORK)
    if not name:
        raise reader.error("a network's name (in quotes if it is odd)")
    mode = reader.take(_MODE).strip("[] \t\n") or None
    terms = _sum(reader) if reader.take(_COLON) else ()
    weight = float(number or 1)
    return NetworkObjective(name, terms, -weight if sign == "-" else weight, mode)


def _sum(reader: _Reader) -> tuple[Term, ...]:
    if reader.take(_DEFAULT):
        return ()
    terms = [_term(reader, reader.take(_SIGN))]
    while sign := reader.take(_SIGN):
        terms.append(_term(reader, sign))
        if len(terms) > MAX_TERMS:
            raise reader.error(f"at most {MAX_TERMS} terms")
    return tuple(terms)


def _term(reader: _Reader, sign: str) -> Term:
    number = reader.take(_NUMBER)
    if number and not reader.take(_STAR):
        raise reader.error("a * between a weight and its layer")
    weight = float(number or 1)
    if weight in (0.0, math.inf):
        raise reader.error("a finite weight that is not zero before the layer")
    return Term(-weight if sign == "-" else weight, _target(reader))


def _target(reader: _Reader) -> Layer | Class:
    name, is_quoted = reader.name(_NAME)
    if not name:
        raise reader.error("a layer's name (in quotes if it is odd)")
    if name == "class" and not is_quoted and reader.take(_COLON):
        class_name, _ = reader.name(_CLASS)
        if not class_name:
            raise reader.error("a class's name or number")
        return Class(class_name)
    ordinal = None
    if reader.take(_AT):
        ordinal = int(reader.required(_DIGITS, "a layer's ordinal"))
    if not reader.take(_COLON):
        return Layer(name, ordinal)
    if reader.take(_STRONGEST_WORD):
        return Layer(name, ordinal, strongest=_strongest(reader))
    return Layer(name, ordinal, _channels(reader))


def _strongest(reader: _Reader) -> int:
    """Reads how many channels are asked for, in brackets."""
    must = f"a number of channels from 1 to {MAX_STRONGEST} in brackets"
    reader.required(_OPEN, must)
    number = int(reader.required(_COUNT, must))
    reader.required(_CLOSE, must)
    return number


def _channels(reader: _Reader) -> tuple[int, ...]:
    channels: set[int] = set()
    while True:
        first = last = int(reader.required(_DIGITS, "a channel's number"))
        if reader.take(_TO):
            last = int(reader.required(_DIGITS, "a channel's number"))
        if not first <= last < first + MAX_CHANNELS:
            raise reader.error("a range of channels from low to high before it ends")
        channels.update(range(first, last + 1))
        if not reader.take(_COMMA):
            return tuple(sorted(channels))


def _target_of(name: str) -> Layer | Class:
    """Returns the target that a key of `layers` names: text of one, or an odd name."""
    try:
        objective = parse(name)
    except ObjectiveError:
        return Layer(name)
    terms = objective.terms
    is_target = len(objective.networks) == len(terms) == 1 and terms[0].weight == 1
    return terms[0].target if is_target else Layer(name)


def _sum_text(terms: Sequence[Term]) -> str:
    text = ""
    for term in terms:
        sign = "-" if term.weight < 0 else "+" if text else ""
        size = "" if abs(term.weight) == 1 else f"{abs(term.weight)!r}*"
        gap = " " if text else ""
        text += f"{gap}{sign}{gap}{size}{term.target.text}"
    return text


def _check_length(text: str) -> None:
    if len(text) > MAX_TEXT:
        raise ObjectiveError(
            f"An objective must have at most {MAX_TEXT} characters",
            received=str(len(text)),
            hint="name fewer layers",
        )


def _check_name(what: str, name: Any) -> None:
    if not isinstance(name, str) or not name:
        raise ObjectiveError(
            f"{what} must have a name",
            received=short_repr(name),
            hint="see `dream layers NETWORK`",
        )


def _check_weight(weight: float, limit: float, of: str) -> None:
    if not 0 < abs(weight) < math.inf or abs(weight) > limit:
        most = "" if limit == math.inf else f" and at most {limit:g}"
        raise ObjectiveError(
            f"A weight must be a finite number that is not zero{most}",
            received=f"{weight} for {short_repr(of)}",
            hint="leave it out, or give it another weight",
        )


def _is_number(value: Any) -> bool:
    try:
        is_finite = isinstance(value, Real) and math.isfinite(float(value))
    except OverflowError:  # a whole number of hundreds of digits
        return False
    return is_finite and not isinstance(value, bool)


def _quoted(name: str, plain: re.Pattern[str] = _NAME) -> str:
    if plain.fullmatch(name) and name not in _RESERVED:
        return name
    return "'" + name.replace("'", "''") + "'"


def _ranges(channels: tuple[int, ...]) -> str:
    """Writes channel numbers with runs as ranges: 11,40-47."""
    runs: list[list[int]] = []
    for channel in channels:
        if runs and channel == runs[-1][1] + 1:
            runs[-1][1] = channel
        else:
            runs.append([channel, channel])
    return ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in runs)
