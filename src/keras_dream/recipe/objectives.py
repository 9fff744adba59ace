"""Objectives: what a dream maximises, as a value and as text.

    objective = sum { ";" network [ ":" sum ] }
    sum       = "default" | ["-"] term { ("+" | "-") term }
    term      = [ number "*" ] target
    target    = layer [ ":" channels ] | "class:" name | penalty
              | "neuron(" layer "," number [ "," place ] ")"
              | "direction(" layer "," file ")" | "caricature(" layer ")"
              | "guide(" file "," layer [ "," "gram" ] ")" | "custom(" name ")"
    layer     = name | kind "@" ordinal
    channels  = range { "," range } | "strongest(" number [ ", of=" number ] ")"
    range     = number [ "-" number ]
    penalty   = "tv" | "l1" | "l2" | "blur"
    place     = "center" | number ["%"] "," number ["%"]
    file      = name [ "#" sha256 ]
    network   = [ "-" ] [ number "*" ] name [ "[" preprocessing "]" ]

The first sum is for the recipe's own network, each further one for the network before
its colon: `0.2*mixed2 + mixed3; 0.5*squeezenet: fire6 + fire8; mine.keras[tf]: conv2`.
`default`, or a network without a sum, stands for the network's own objective.

A layer goes by its Keras name (`mixed4`) or, where Keras only numbered it, by its class
and its ordinal among the layers of that class in this network, counted from 0
(`conv2d@7`). A class goes by its name or by its number, in small letters or large ones.
Odd names are quoted (`'conv-1.a'`), and so are layers with the name of a penalty; a
quote inside quotes is written twice (`'it''s'`). `strongest(8)` stands for the eight
channels of a layer that respond most to the source picture, as `dream explain` lists
them; `keras_dream.dreamer.responses` says how that is measured. `strongest(8, of=24)`
stands for eight that the recipe's seed draws among the 24 that respond most.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, Literal, cast, get_args

from pydantic_core import CoreSchema, core_schema

from keras_dream.errors import ObjectiveError, short_repr
from keras_dream.recipe.objective_text import (
    COLON,
    DEFAULT,
    MODE,
    NETWORK,
    NUMBER,
    SEMICOLON,
    SIGN,
    STAR,
    WEIGHT,
    Numbers,
    Reader,
    is_weight,
    quoted,
)
from keras_dream.recipe.targets import Layer, Target, check_name, read_target

MAX_TEXT = 10_000  # characters: a page of layers
MAX_TERMS = 1_000  # a sum that no network is deep enough for
MAX_NETWORKS = 16
"""More networks than fit into any memory, and enough for any art."""
MAX_WEIGHT = 1e6  # of a network beside another

Preprocessing = Literal["tf", "caffe", "torch", "0-1", "0-255"]
PREPROCESSINGS: tuple[str, ...] = get_args(Preprocessing)


@dataclass(frozen=True)
class Term:
    """A target and the weight of its loss in the sum.

    Raises:
        ObjectiveError: If the weight is zero or not finite.
    """

    weight: float
    target: Target

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
            check_name("A network", self.network)
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
        name = "" if self.network is None else quoted(self.network, plain=NETWORK)
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

        def chosen(target: Target) -> Target:
            if not isinstance(target, Layer) or target.strongest is None:
                return target
            channels = Numbers(strongest.get(target.text, ()))
            return replace(target, channels=channels, strongest=None, of=None)

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

    # numpy's numbers leave the multiplication to the objective.
    __array_ufunc__ = None

    def __add__(self, other: Any) -> "Objective":
        if not isinstance(other, Objective):
            return NotImplemented
        terms = (*self._own_terms, *other._own_terms)
        return Objective((NetworkObjective(terms=terms),))

    def __radd__(self, other: Any) -> "Objective":
        if not _is_number(other) or other != 0:
            return NotImplemented
        return self  # `sum` begins with 0

    def __sub__(self, other: Any) -> "Objective":
        if not isinstance(other, Objective):
            return NotImplemented
        return self + -other

    def __mul__(self, other: Any) -> "Objective":
        if not _is_number(other):
            return NotImplemented
        weight = float(other)
        terms = tuple(Term(weight * t.weight, t.target) for t in self._own_terms)
        return Objective((NetworkObjective(terms=terms),))

    __rmul__ = __mul__

    def __neg__(self) -> "Objective":
        return self * -1

    @property
    def _own_terms(self) -> tuple[Term, ...]:
        """The terms of the recipe's own network, for arithmetic.

        Raises:
            ObjectiveError: If there are further networks, whose gradients are brought
                to one scale before they are added, or if it is the network's own.
        """
        if len(self.networks) > 1 or not self.terms:
            raise ObjectiveError(
                "An objective in a sum must name what it is made of, on one network",
                received=short_repr(self.text),
                hint="write the sum as text: 'mixed4 + mixed5; 0.5*squeezenet: fire6'",
            )
        return self.terms

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
    reader = Reader(text)
    networks = [NetworkObjective(terms=_sum(reader))]
    while not reader.at_end():
        if not reader.take(SEMICOLON):
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


def _network(reader: Reader) -> NetworkObjective:
    sign = reader.take(SIGN)
    number = reader.take(WEIGHT)  # only before a *: a name may begin with a digit
    if number:
        reader.take(STAR)
    name, _ = reader.name(NETWORK)
    if not name:
        raise reader.error("a network's name (in quotes if it is odd)")
    mode = reader.take(MODE).strip("[] \t\n") or None
    terms = _sum(reader) if reader.take(COLON) else ()
    weight = float(number or 1)
    return NetworkObjective(name, terms, -weight if sign == "-" else weight, mode)


def _sum(reader: Reader) -> tuple[Term, ...]:
    if reader.take(DEFAULT):
        return ()
    terms = [_term(reader, reader.take(SIGN))]
    while sign := reader.take(SIGN):
        terms.append(_term(reader, sign))
        if len(terms) > MAX_TERMS:
            raise reader.error(f"at most {MAX_TERMS} terms")
    return tuple(terms)


def _term(reader: Reader, sign: str) -> Term:
    number = reader.take(NUMBER)
    if number and not reader.take(STAR):
        raise reader.error("a * between a weight and its layer")
    weight = float(number or 1)
    if weight in (0.0, math.inf):
        raise reader.error("a finite weight that is not zero before the layer")
    return Term(-weight if sign == "-" else weight, read_target(reader))


def _target_of(name: str) -> Target:
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


def _check_weight(weight: float, limit: float, of: str) -> None:
    if not is_weight(weight, limit=limit):
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
