"""What recipes and run settings have in common: reading, refusing, explaining.

A setting is declared once, as a field of a model: its type, default, bounds and help.
What it takes and why a value is refused are told from that declaration.
"""

import json
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, NamedTuple, Self, cast

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic.fields import FieldInfo

from keras_dream.errors import SettingError, nearest, short_repr

LONGEST_TEXT = 10_000


def pop_keys(given: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Takes those of `names` that are there out of a dictionary, and returns them."""
    return {name: given.pop(name) for name in names if name in given}


class Settings(BaseModel):
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
                received=short_repr(text, 40),
                hint="see `dream presets --schema`",
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


def _translated(error: ValidationError, model: type[BaseModel]) -> SettingError:
    """Turns the first of a model's validation errors into one sentence of ours."""
    first = error.errors()[0]
    said = first.get("ctx", {}).get("error")
    if isinstance(said, SettingError):
        return said
    names = [str(part) for part in first["loc"]]
    name = names[0] if names else "layers"
    field = model.model_fields.get(name)
    if field is None and name != "layers":
        return SettingError(
            "A setting must be one that exists",
            received=short_repr(name),
            hint=nearest(name, model.model_fields),
        )
    if field is None:
        return SettingError(
            "`layers` must be a dictionary of layer names and finite numbers, and the "
            "only objective",
            received=short_repr(first["input"]),
            hint="try layers={'mixed3': 3.0}",
        )
    what = f"one of {_what(field)}" if "|" in _what(field) else _what(field)
    known = _choices(field)
    received = first["input"]
    return SettingError(
        f"`{name}` must be {what}",
        received=short_repr(received),
        hint=nearest(received, known)
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
        received=f"{short_repr(twice)} more than once",
        hint="keep one of them",
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


def _in_words(kind: Any) -> str:
    """Returns the words for a type; a list's are those of what it holds."""
    items = typing.get_args(kind)
    return str(items[0].in_words) if items else _WORDS[kind]


def _what(field: FieldInfo) -> str:
    """Tells which values a field takes: "a whole number from 0 to 100000"."""
    choices = _choices(field)
    text = " | ".join(choices) if choices else _in_words(_bare(field))
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
