"""What recipes and run settings have in common: reading, refusing, explaining.

A setting is declared once, as a field of a model: its type, default, bounds and help.
The words for its values and the sentence for a refused one are read from that
declaration.
"""

import json
import types
import typing
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, NamedTuple, Self, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo

from keras_dream.errors import InputError, SettingError, nearest, short_repr
from keras_dream.recipe.synonyms import setting_advice

LONGEST_TEXT = 10_000
LONGEST_JSON = 1_000_000  # characters; a long recipe has some thousands
MOST_NESTING = 32
MOST_STEPS = 100_000  # in an octave: no published algorithm comes near
"""How deep JSON may be nested: a record has six levels. Python's own limit is about
1,000, less what is called at the time."""

# -0.0 becomes 0.0: equal recipes must have equal hashes.
FiniteFloat = Annotated[
    float, Field(allow_inf_nan=False), AfterValidator(lambda value: value + 0.0)
]


def pop_keys(values: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Removes those of `names` that are there from a dictionary, and returns them."""
    return {name: values.pop(name) for name in names if name in values}


class Settings(BaseModel):
    """What recipes and run settings have in common.

    Raises:
        SettingError: If a name is unknown or a value impossible; one sentence.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", str_max_length=LONGEST_TEXT)

    def __init__(self, /, **values: Any):
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise _translated(error, type(self)) from None

    @model_validator(mode="before")
    @classmethod
    def _read_none(cls, values: Any) -> Any:
        """Reads the word `none` as None for every setting that may be absent."""
        if not isinstance(values, dict):
            return values
        fields = cls.model_fields
        return {
            name: None
            if isinstance(value, str)
            and value == "none"
            and name in fields
            and _is_optional(fields[name])
            else value
            for name, value in cast("dict[str, Any]", values).items()
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
            values = parse_json(text)
        except SettingError:
            raise
        except (ValueError, RecursionError):
            values = None
        if not isinstance(values, dict):
            raise SettingError(
                f"A {cls.__name__.lower()} must be a JSON object",
                received=short_repr(text, limit=40),
                hint="see `dream presets --schema`",
            )
        return cls.of(cast("dict[str, Any]", values))

    def but(self, **changes: Any) -> Self:
        """Returns a copy with some settings changed, validated.

        Raises:
            SettingError: If a setting is unknown or impossible.
        """
        return self.of({**self._set_fields(), **changes})

    def over(self, below: Self) -> Self:
        """Returns `below` with the settings that were set here put over it."""
        return below.but(**self._changes_of(below))

    def _changes_of(self, below: Any) -> dict[str, Any]:
        """Returns what `over` changes of the settings below."""
        del below
        return self._set_fields()

    def _set_fields(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.model_fields_set}

    def json_text(self) -> str:
        """Returns every setting as canonical JSON: sorted names, no spaces."""
        return canonical_json(self.model_dump(mode="json"))


class Setting(NamedTuple):
    """One setting, as documentation and interfaces show it."""

    name: str
    values: str
    default: str
    help: str


def settings(model: type[BaseModel]) -> Iterator[Setting]:
    """Yields the settings of a model: name, possible values, default, help.

    Those that are models of their own, as a film's in a recipe, are left out.
    """
    for name, field in model.model_fields.items():
        if is_nested(field):
            continue
        yield Setting(
            name, _words(field), _default_text(field), cast("str", field.description)
        )


def parse_json(text: str | bytes) -> Any:
    """Returns the value of untrusted JSON.

    Raises:
        ValueError: It is no JSON, too long or nested too deep; a `SettingError` if a
            name comes twice.
        RecursionError: It is nested very deep.
    """
    if len(text) > LONGEST_JSON:
        raise ValueError(f"more than {LONGEST_JSON:,} characters")
    value = json.loads(text, object_pairs_hook=_unique_names)
    level = [value]
    for _ in range(MOST_NESTING):
        parts: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                parts += cast("dict[str, Any]", each).values()
            elif isinstance(each, list):
                parts += cast("list[Any]", each)
        level = parts
    if level:
        raise ValueError(f"nested more than {MOST_NESTING} deep")
    return value


def canonical_json(value: Any) -> str:
    """Returns JSON that is the same text for the same data."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _translated(error: ValidationError, model: type[BaseModel]) -> InputError:
    """Turns the first of a model's validation errors into one sentence of ours."""
    first = error.errors()[0]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, InputError):
        return cause
    name = str(first["loc"][0]) if first["loc"] else ""
    field = model.model_fields.get(name)
    if field is None:
        # The name of a part is no parameter of it.
        names = [each for each in model.model_fields if each != "name"]
        return SettingError(
            "A setting must be one that exists",
            received=short_repr(name),
            hint=setting_advice(name, names) or nearest(name, names),
        )
    words = _words(field)
    choices = _choices(field)
    received = first["input"]
    return SettingError(
        f"`{name}` must be {f'one of {words}' if '|' in words else words}",
        received=short_repr(received),
        hint=(isinstance(received, str) and nearest(received, choices, listed=True))
        or f"try {_default_text(field)}",
    )


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Builds a JSON object, refusing a name that comes twice."""
    if len(dict(pairs)) == len(pairs):
        return dict(pairs)
    twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
    raise SettingError(
        "A setting must be given once",
        received=f"{short_repr(twice)} more than once",
        hint="keep one of them",
    )


def is_nested(field: FieldInfo) -> bool:
    """Tells whether a setting is a model of settings itself."""
    kind = _bare(field)
    if not (isinstance(kind, type) and issubclass(kind, Settings)):
        return False
    return "name" not in kind.model_fields  # which a part has


def _is_optional(field: FieldInfo) -> bool:
    return type(None) in typing.get_args(field.annotation)


def _bare(field: FieldInfo) -> Any:
    """Returns a field's type without `| None` and without its annotations."""
    kind: Any = field.annotation
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        kinds = [k for k in typing.get_args(kind) if k is not type(None)]
        kind = kinds[0] if len(kinds) == 1 else kind
    return typing.get_args(kind)[0] if typing.get_origin(kind) is Annotated else kind


def _choices(field: FieldInfo) -> tuple[str, ...]:
    """Returns the values of a `Literal`, or the names of a union's or chain's parts."""
    kind = _bare(field)
    if typing.get_origin(kind) is Literal:
        return tuple(str(value) for value in typing.get_args(kind))
    if _is_chain(field):
        kind = typing.get_args(kind)[0]
    return tuple(
        str(part.model_fields["name"].default)
        for part in typing.get_args(kind) or (kind,)
        if isinstance(part, type) and issubclass(part, BaseModel)
        if "name" in part.model_fields
    )


def is_whole(field: FieldInfo) -> bool:
    """Tells whether a field takes whole numbers.

    Args:
        field: A field of a model.
    """
    kinds = (field.annotation, *typing.get_args(field.annotation))
    return any(
        (typing.get_args(kind)[0] if typing.get_origin(kind) is Annotated else kind)
        is int
        for kind in kinds
    )


def _is_chain(field: FieldInfo) -> bool:
    """Tells whether a field is a tuple of parts."""
    return typing.get_origin(_bare(field)) is tuple


_WORDS: Mapping[Any, str] = {
    int: "a whole number",
    float: "a finite number",
    bool: "true or false",
}


def _words(field: FieldInfo) -> str:
    """Says which values a field has: "a whole number from 0 to 100000"."""
    if (number := _number_or_word(field)) is not None:
        return number
    if is_nested(field):
        return "a JSON object of settings, or none"
    choices = _choices(field)
    if choices and _is_chain(field):
        return f"none, or a sum of {', '.join(choices)}"
    text = " | ".join(choices) if choices else _WORDS.get(_bare(field), "text")
    text += _bounds(field)
    if text == "text" and _bare(field) is str:
        text += f" of at most {LONGEST_TEXT} characters"
    if not _is_optional(field):
        return text
    return f"{text} | none" if choices else f"{text}, or none"


def _number_or_word(field: FieldInfo) -> str | None:
    """Says which values a field has that takes a number or a word: "2, or auto"."""
    match typing.get_args(field.annotation):
        case (numbers, words) if typing.get_origin(words) is Literal:
            kind, bounds = typing.get_args(numbers)
        case _:
            return None
    choices = " or ".join(map(str, typing.get_args(words)))
    return f"{_WORDS[kind]}{_bounds(bounds)}, or {choices}"


def _bounds(field: FieldInfo) -> str:
    signs = {"ge": "from", "gt": "above", "le": "to", "lt": "below"}
    text = ""
    for sign, word in signs.items():
        for bound in field.metadata:
            limit = getattr(bound, sign, None)
            if limit is not None:
                text += f" {word} {limit if isinstance(limit, int) else f'{limit:g}'}"
    return text


def _default_text(field: FieldInfo) -> str:
    default = field.default
    if isinstance(default, bool):
        return str(default).lower()
    return "none" if default in (None, ()) else str(default)
