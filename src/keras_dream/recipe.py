"""Recipes and run settings: everything that decides a dream, and how it is computed.

Each setting is declared once, here: its type, default, bounds and help. The command
line's flags, the JSON schema and the metadata in saved pictures are read from these
two models.
"""

import hashlib
import json
import math
import re
import types
import typing
from collections.abc import Iterator, Mapping
from numbers import Real
from typing import Annotated, Any, Literal, NamedTuple, Self, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

from keras_dream.errors import SettingError, nearest, shown

# Bounds that keep a forged recipe from asking for the impossible; none of the
# published algorithms comes near them. What is possible but long is the budget's
# affair (`keras_dream.engine.work`).
MOST_STEPS = 100_000
MOST_OCTAVES = 64
MOST_OCTAVES_ABOVE = 8
LONGEST_TEXT = 10_000

# Each normaliser's own floor, for images in [0, 1] (the published
# floors, rescaled from [-1, 1]): a maximum over the mean of |g| (book1), added to the
# standard deviation (tftut), a maximum under the root (book2).
FLOORS: Mapping[str, float] = {"mean_abs": 2e-7, "std": 2e-8, "l2": 4e-12, "none": 0.0}

# What needs no quotes in an objective; see `keras_dream.objectives`.
_TARGET = re.compile(r"('|class:).*|[^\W\d][\w./]*(@\d+)?(:[-\d,\s]+)?")
_Real = Annotated[float, Field(allow_inf_nan=False)]


class _Settings(BaseModel):
    """What recipes and run settings have in common.

    Raises:
        SettingError: If a name is unknown or a value impossible; one sentence.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", str_max_length=LONGEST_TEXT)

    def __init__(self, **values: Any):
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise _translated(error, type(self)) from None

    @model_validator(mode="before")
    @classmethod
    def _read_none(cls, values: Any) -> Any:
        """Takes the word `none` for every setting that may be absent."""
        if not isinstance(values, dict):
            return values
        given = cast("dict[str, Any]", values)
        fields = cls.model_fields
        return {
            name: None
            if value == "none" and name in fields and _is_optional(fields[name])
            else value
            for name, value in given.items()
        }

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Builds the settings from names and values."""
        return cls(**values)

    @classmethod
    def read(cls, text: str) -> Self:
        """Builds the settings from JSON text.

        Raises:
            SettingError: If the text is no JSON object, if a name comes twice, or if
                one is unknown or its value impossible.
        """
        values: Any = None
        try:
            values = json.loads(text, object_pairs_hook=_once)
        except SettingError:
            raise
        except (ValueError, RecursionError):
            values = None
        if not isinstance(values, dict):
            raise SettingError(
                f"A {cls.__name__.lower()} must be a JSON object",
                received=shown(text, 40),
                attempt="see `dream presets --schema`",
            )
        return cls.of(cast("dict[str, Any]", values))

    def but(self, **changes: Any) -> Self:
        """Returns a copy with some settings changed, validated.

        Raises:
            SettingError: If a setting is unknown or impossible.
        """
        given = {name: getattr(self, name) for name in self.model_fields_set}
        if "layers" in changes:
            given.pop("objective", None)
        return self.of({**given, **changes})

    def over(self, below: Self) -> Self:
        """Returns `below` with the settings that were given here put over it."""
        return below.but(
            **{name: getattr(self, name) for name in self.model_fields_set}
        )

    def json_text(self) -> str:
        """Returns every setting as canonical JSON: sorted names, no spaces."""
        return canonical_json(self.model_dump(mode="json"))


class Recipe(_Settings):
    """Everything that decides a dream. Lengths are pixels, images are in [0, 1].

    The defaults are those of the preset `default`, our own best-looking dream.
    """

    schema_number: Literal[1] = Field(
        default=1, description="version of the recipe's form"
    )
    network: str = Field(default="motif", description="the network to dream with")
    objective: str | None = Field(
        default=None,
        description="what is maximised, such as '0.2*mixed2 + 3*mixed3' or "
        "'class:eye'; none takes the network's own",
    )
    loss: Literal["l2", "l2_mean", "mean", "half_sum"] = Field(
        default="l2_mean",
        description="how a layer's activations become its loss: squares inside the "
        "border over the full size, mean of squares, mean, or half the sum of squares",
    )
    border: int = Field(
        default=0,
        ge=0,
        le=1000,
        description="cells cut off each side of a layer before its loss",
    )
    steps: int = Field(
        default=20, ge=0, le=MOST_STEPS, description="steps in each octave"
    )
    step_size: _Real = Field(
        default=0.008,
        gt=0,
        le=1e6,
        description="how far a step goes, in units of [0, 1]",
    )
    octaves: int = Field(
        default=4,
        ge=1,
        le=MOST_OCTAVES,
        description="sizes up to the picture's own, the last",
    )
    octaves_above: int = Field(
        default=0,
        ge=0,
        le=MOST_OCTAVES_ABOVE,
        description="sizes beyond the picture's own; the result is resized back",
    )
    octave_scale: _Real = Field(
        default=1.4,
        gt=1,
        le=16,
        description="factor from one octave's size to the next",
    )
    octave_sizes: Literal["direct", "chained"] = Field(
        default="direct",
        description="sizes truncated from the picture's own, or each rounded from the "
        "next",
    )
    small_octaves: Literal["skip", "run"] = Field(
        default="skip",
        description="an octave where a layer's loss has no cells: skip it, or run it "
        "as published",
    )
    normaliser: Literal["mean_abs", "std", "l2", "none"] = Field(
        default="mean_abs", description="what the gradient is divided by"
    )
    floor: _Real | None = Field(
        default=None,
        ge=0,
        le=1e6,
        description="the least divisor (mean_abs), least sum of squares (l2) or what "
        "is added (std); none takes the normaliser's own",
    )
    jitter: int = Field(
        default=16,
        ge=0,
        le=100_000,
        description="largest random shift in each step, in pixels",
    )
    clamp: bool = Field(
        default=True, description="keep the image within [0, 1] after each step"
    )
    max_loss: _Real | None = Field(
        default=None, ge=-1e30, le=1e30, description="a loss above this ends the octave"
    )
    max_loss_rule: Literal["before", "after"] = Field(
        default="before",
        description="whether the last step of such an octave is left out or made",
    )
    detail: Literal["after", "before", "none"] = Field(
        default="before",
        description="when the detail lost in shrinking is put back: after an octave's "
        "ascent, before it, or not at all",
    )
    resampling: Literal["lanczos3", "linear", "linear_corners"] = Field(
        default="lanczos3", description="how pictures are resized"
    )
    seed: int = Field(
        default=0, ge=0, lt=2**63, description="seed of the random shifts"
    )

    @model_validator(mode="before")
    @classmethod
    def _read_layers(cls, values: Any) -> Any:
        """Takes `layers={name: weight}` as another way to write an objective."""
        if not isinstance(values, dict) or "layers" not in values:
            return cast("Any", values)
        given = cast("dict[str, Any]", values)
        layers = given["layers"]
        if given.get("objective") is not None or not isinstance(layers, Mapping):
            raise ValueError("layers")
        weights = cast("Mapping[Any, Any]", layers)
        rest = {name: value for name, value in given.items() if name != "layers"}
        return {**rest, "objective": layers_text(weights)}

    @property
    def sha256(self) -> str:
        """The sha256 of the canonical JSON: equal recipes have equal hashes."""
        return hashlib.sha256(self.json_text().encode()).hexdigest()


class RunSettings(_Settings):
    """How a dream is computed; never part of the recipe, kept in the record."""

    backend: Literal["torch", "jax", "tensorflow"] | None = Field(
        default=None,
        description="array library; none takes KERAS_BACKEND, the imported Keras' or "
        "torch",
    )
    device: str | None = Field(
        default=None, description="such as cpu or cuda; none takes the fastest there is"
    )
    precision: Literal["float32", "tf32", "bfloat16"] = Field(
        default="float32",
        description="how the network computes; images are float32 always",
    )
    threads: int | None = Field(
        default=None,
        ge=1,
        le=4096,
        description="threads of an operation; none leaves it open",
    )
    offline: bool = Field(default=False, description="never download anything")


class Setting(NamedTuple):
    """One setting, as documentation and interfaces show it."""

    name: str
    what: str
    default: str
    help: str


def settings(model: type[BaseModel]) -> Iterator[Setting]:
    """Yields the settings of a model: name, what values it takes, default, help."""
    for name, field in model.model_fields.items():
        yield Setting(
            name, _what(field), _default_text(field), cast("str", field.description)
        )


def canonical_json(value: Any) -> str:
    """Returns JSON that is the same text for the same data."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def layers_text(layers: Mapping[Any, Any]) -> str:
    """Returns objective text for a dictionary of layer weights.

    Args:
        layers: Layer names, odd ones too, or targets such as "mixed4:11", to numbers.
    """
    if not layers:
        raise ValueError("layers")
    text = ""
    for name, weight in layers.items():
        if not isinstance(weight, str | Real) or not math.isfinite(float(weight)):
            raise ValueError("layers")
        sign = "-" if float(weight) < 0 else "+" if text else ""
        gap = " " if text else ""
        target = name if _TARGET.fullmatch(str(name)) else f"'{name}'"
        text += f"{gap}{sign}{gap}{abs(float(weight))!r}*{target}"
    return text


def _translated(error: ValidationError, model: type[BaseModel]) -> SettingError:
    """Turns the first of a model's validation errors into one sentence of ours."""
    first = error.errors()[0]
    names = [str(part) for part in first["loc"]]
    name = names[0] if names else "layers"
    field = model.model_fields.get(name)
    if field is None and name != "layers":
        return SettingError(
            "A setting must be one that exists",
            received=shown(name),
            attempt=nearest(name, model.model_fields),
        )
    if field is None:
        return SettingError(
            "`layers` must be a dictionary of layer names and finite numbers, and the "
            "only objective",
            received=shown(first["input"]),
            attempt="try layers={'mixed3': 3.0}",
        )
    what = f"one of {_what(field)}" if "|" in _what(field) else _what(field)
    known = _choices(field)
    received = first["input"]
    return SettingError(
        f"`{name}` must be {what}",
        received=shown(received),
        attempt=nearest(received, known)
        if known and isinstance(received, str)
        else f"try {_default_text(field)}",
    )


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Builds a JSON object, refusing a name that comes twice."""
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    names = [name for name, _ in pairs]
    twice = next(name for name in names if names.count(name) > 1)
    raise SettingError(
        "A setting must be given once",
        received=f"{shown(twice)} more than once",
        attempt="keep one of them",
    )


def _is_optional(field: FieldInfo) -> bool:
    return type(None) in typing.get_args(field.annotation)


def _bare(field: FieldInfo) -> Any:
    """Returns a field's type without `| None` and without its annotations."""
    kind: Any = field.annotation
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        kind = next(k for k in typing.get_args(kind) if k is not type(None))
    return typing.get_args(kind)[0] if typing.get_origin(kind) is Annotated else kind


def _choices(field: FieldInfo) -> tuple[str, ...]:
    kind = _bare(field)
    literal = typing.get_origin(kind) is Literal
    return tuple(str(value) for value in typing.get_args(kind)) if literal else ()


_WORDS: Mapping[Any, str] = {
    int: "a whole number",
    float: "a finite number",
    bool: "true or false",
    str: f"text of at most {LONGEST_TEXT} characters",
}


def _what(field: FieldInfo) -> str:
    """Tells which values a field takes: "a whole number from 0 to 100000"."""
    choices = _choices(field)
    text = " | ".join(choices) if choices else _WORDS[_bare(field)]
    signs = {"ge": "from", "gt": "above", "le": "to", "lt": "below"}
    for sign, word in signs.items():
        for bound in field.metadata:
            limit = getattr(bound, sign, None)
            if limit is not None:
                text += f" {word} {limit if isinstance(limit, int) else f'{limit:g}'}"
    if not _is_optional(field):
        return text
    return f"{text} | none" if choices else f"{text}, or none"


def _default_text(field: FieldInfo) -> str:
    default = field.default
    if isinstance(default, bool):
        return str(default).lower()
    return "none" if default is None else str(default)
