"""What the parts of a recipe have in common: a name, parameters, and a text form.

    chain     = "none" | part { "+" part }
    part      = name [ "(" parameter { "," parameter } ")" ]
    parameter = [ key "=" ] value

such as `l2_mean`, `softmax_mean(temperature=2)` or `flip + rotate(degrees=5)`. Values
without a key are the parameters in their order: `rotate(5)`. Odd values are quoted
(`'a, b.png'`); a quote inside quotes is written twice.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

from keras_dream.errors import SettingError, nearest, short_repr
from keras_dream.recipe.settings import Settings

Array = Any  # of the backend, which is not imported to read a recipe
Arrays = tuple[Array, ...]


class Part(Settings):
    """A part of a recipe; a subclass has its parameters as fields.

    Its field `name`, a `Literal` with one value, is what a recipe calls it.
    """

    @property
    def text(self) -> str:
        """The part as text, without the parameters that have their default."""
        parameters = ", ".join(
            f"{key}={_quoted(getattr(self, key))}"
            for key, field in type(self).model_fields.items()
            if key != "name" and getattr(self, key) != field.default
        )
        return name_of(type(self)) + (f"({parameters})" if parameters else "")

    def __str__(self) -> str:
        return self.text


def name_of(kind: type[Part]) -> str:
    """Returns the name that a recipe calls a part by."""
    return str(kind.model_fields["name"].default)


def read_part(value: Any, kinds: Sequence[type[Part]], what: str) -> Any:
    """Returns the part for what a recipe may hold of it.

    Args:
        value: A part, its text, or a dictionary of its name and parameters.
        kinds: The parts that there are.
        what: The recipe's setting, for the message.

    Raises:
        SettingError: If there is no such part, or a parameter is impossible.
    """
    if isinstance(value, tuple(kinds)):
        return value
    if isinstance(value, str):
        links = list(_links(value))
        if len(links) == 1:
            return _of_link(links[0], kinds, what)
    elif isinstance(value, dict):
        fields = dict(cast("dict[str, Any]", value))
        return _kind(fields.pop("name", None), kinds, what).of(fields)
    raise _unreadable(value, kinds, what)


def read_chain(value: Any, kinds: Sequence[type[Part]], what: str) -> tuple[Any, ...]:
    """Returns the parts for what a recipe may hold of a chain of them.

    Args:
        value: Text with + between the parts, a part, or a list of parts and of such
            texts; None, "" and "none" stand for no parts.
        kinds: The parts that there are.
        what: The recipe's setting, for the message.

    Raises:
        SettingError: As for `read_part`, or if there are more than `MAX_CHAIN` parts.
    """
    parts: Sequence[Any] = (value,)
    if isinstance(value, str):
        parts = tuple(_links(value))
        if value.strip() in ("", "none"):
            parts = ()
        elif not parts:
            raise _unreadable(value, kinds, what)
    elif isinstance(value, list | tuple) or value is None:
        values = cast("Sequence[Any]", value or ())
        chains = (
            read_chain(v, kinds, what) if isinstance(v, str) else (v,) for v in values
        )
        parts = tuple(part for chain in chains for part in chain)
    if len(parts) > MAX_CHAIN:
        raise SettingError(
            f"`{what}` must have at most {MAX_CHAIN} parts",
            received=str(len(parts)),
            hint="leave some of them out",
        )
    return tuple(
        _of_link(part, kinds, what)
        if isinstance(part, _Link)
        else read_part(part, kinds, what)
        for part in parts
    )


def chain_text(parts: Sequence[Part]) -> str:
    """Returns a chain as the text that `read_chain` reads back."""
    return " + ".join(part.text for part in parts) or "none"


MAX_CHAIN = 32
_QUOTED = re.compile(r"'(?:[^']|'')*'")
_LINK = re.compile(r"\s*(\w+)\s*(?:\(([^()]*)\)\s*)?(\+|$)")
_KEY = re.compile(r"\s*\w+\s*")
_PLAIN = re.compile(r"[^\s'(),+=]+(?: [^\s'(),+=]+)*")


class _Link(NamedTuple):
    """A part's text, taken apart: its name, and each value with its key or None."""

    name: str
    values: tuple[tuple[str | None, str], ...]
    text: str


def _links(text: str) -> Iterator[_Link]:
    """Takes a chain's text apart; yields nothing where it breaks the grammar."""
    # What is quoted has no structure; its length is kept, so that places agree.
    masked = _QUOTED.sub(lambda match: "_" * len(match[0]), text)
    links: list[_Link] = []
    place, joined = 0, "+"
    while joined:
        match = _LINK.match(masked, place)
        if match is None:
            return
        start, end = match.span(2)
        values = _values(masked[start:end], text[start:end]) if start >= 0 else ()
        links.append(_Link(match[1], values, match[0].rstrip("+")))
        place, joined = match.end(), match[3]
    yield from links


def _values(masked: str, text: str) -> tuple[tuple[str | None, str], ...]:
    values: list[tuple[str | None, str]] = []
    place = 0
    for parameter in masked.split(","):
        end = place + len(parameter)
        key, equals, _ = parameter.partition("=")
        has_key = bool(equals) and _KEY.fullmatch(key) is not None
        value = text[place + len(key) + 1 if has_key else place : end].strip()
        values.append((key.strip() if has_key else None, _unquoted(value)))
        place = end + 1
    return tuple(values)


def _of_link(link: _Link, kinds: Sequence[type[Part]], what: str) -> Any:
    kind = _kind(link.name, kinds, what)
    keys = [key for key in kind.model_fields if key != "name"]
    fields: dict[str, Any] = {}
    for place, (key, value) in enumerate(link.values):
        name = key or (keys[place] if place < len(keys) else "")
        if not name or name in fields:
            raise _unreadable(link.text, kinds, what)
        fields[name] = value
    return kind.of(fields)


def _kind(name: object, kinds: Sequence[type[Part]], what: str) -> type[Part]:
    names: dict[object, type[Part]] = {name_of(kind): kind for kind in kinds}
    if not isinstance(name, str) or name not in names:
        raise _unreadable(name, kinds, what)
    return names[name]


def _unreadable(value: object, kinds: Sequence[type[Part]], what: str) -> SettingError:
    names = [name_of(kind) for kind in kinds]
    is_list = isinstance(value, str) and re.match(r"\s*\w+\s*,", value) is not None
    is_open = isinstance(value, str) and value.count("(") != value.count(")")
    return SettingError(
        f"`{what}` must be one of {', '.join(names)}, and parameters must be written "
        "as NAME(PARAMETER=VALUE)",
        received=short_repr(value),
        hint=(is_open and "close every bracket")
        or (is_list and "put + between two of them, such as 'flip + rotate(5)'")
        or (isinstance(value, str) and nearest(value, names, listed=True))
        or f"try {names[0]}",
    )


def _quoted(value: object) -> str:
    text = str(value)
    return text if _PLAIN.fullmatch(text) else "'" + text.replace("'", "''") + "'"


def _unquoted(text: str) -> str:
    if not _QUOTED.fullmatch(text):
        return text
    return text[1:-1].replace("''", "'")
