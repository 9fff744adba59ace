"""What the parts of a recipe have in common: a name, parameters, and a text form.

    part = name [ "(" parameter "=" value { "," parameter "=" value } ")" ]

such as `l2_mean` or `softmax_mean(temperature=2)`.
"""

from collections.abc import Sequence
from typing import Any, cast

from keras_dream.errors import SettingError, short_repr
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
            f"{key}={getattr(self, key)}"
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
    fields: dict[str, Any] | None = None
    if isinstance(value, str):
        fields = _parsed(value)
    elif isinstance(value, dict):
        fields = dict(cast("dict[str, Any]", value))
    names = {name_of(kind): kind for kind in kinds}
    name = None if fields is None else fields.pop("name", None)
    if fields is None or not isinstance(name, str) or name not in names:
        raise SettingError(
            f"`{what}` must be one of {', '.join(names)}, and parameters must be "
            "written as NAME(PARAMETER=VALUE)",
            received=short_repr(cast("object", value)),
            hint=f"try {next(iter(names))}",
        )
    return names[name].of(fields)


def _parsed(text: str) -> dict[str, Any] | None:
    """Returns the name and the parameters of a part's text, or None."""
    name, bracket, rest = text.strip().partition("(")
    fields: dict[str, Any] = {"name": name.strip()}
    if not bracket:
        return fields
    if not rest.endswith(")"):
        return None
    for parameter in rest[:-1].split(","):
        key, equals, value = parameter.partition("=")
        if not equals or key.strip() in fields:
            return None
        fields[key.strip()] = value.strip()
    return fields
