"""The axes of a grid: which settings vary, and the recipes of all combinations."""

import contextlib
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from keras_dream.errors import DreamError, SettingError, nearest, short_repr
from keras_dream.recipe.objectives import parse
from keras_dream.recipe.presets import looks_of, preset
from keras_dream.recipe.recipe import Recipe, RunSettings
from keras_dream.recipe.settings import is_whole
from keras_dream.recipe.synonyms import setting_advice
from keras_dream.sheets.plan import Head, check_count, named_errors
from keras_dream.zoo import catalogue, user_models
from keras_dream.zoo.network import Network

PRESET = "preset"

# A name in quotes, which may have bars, other text, or a bar or a quote alone.
_PIECE = re.compile(r"'[^']*'|[^'|]+|.", re.DOTALL)
_RANGE = re.compile(r"(\d{1,18})-(\d{1,18})")
_WITH_MODE = re.compile(
    r"(?P<network>[^\[]*[^\[\s])\s*\[\s*(?P<preprocessing>[\w-]+)\s*\]"
)


@dataclass(frozen=True)
class Axis:
    """A setting and the values that it takes along one side of a grid.

    Attributes:
        letter: "x", "y" or "z".
        name: A setting of the recipe, or "preset".
        values: Text, or what the setting takes.
    """

    letter: str
    name: str
    values: tuple[Any, ...]

    @property
    def heads(self) -> tuple[Head, ...]:
        """The heads of columns or rows: the name with each value as text."""
        return tuple(Head(self.name, text_of(value)) for value in self.values)


def read_axes(
    **axes: str | Mapping[str, Sequence[Any]] | None,
) -> tuple[tuple[Axis, ...], dict[str, Any]]:
    """Reads axes, by their letters.

    Args:
        **axes: Any of x, y and z: "name=value|value", {"name": [value, …]}, or None.

    Returns:
        The axes, and the model files of networks among their values.

    Raises:
        SettingError: If one cannot be read, or two vary the same setting.
    """
    parsed = tuple(_axis(letter, axis) for letter, axis in axes.items() if axis)
    letters: dict[str, str] = {}
    for axis in parsed:
        if axis.name in letters:
            raise SettingError(
                "The axes of a grid must vary different settings",
                received=f"{axis.name} as {letters[axis.name]} and as {axis.letter}",
                hint="put all values on one of them",
            )
        letters[axis.name] = axis.letter
    if not parsed:
        raise SettingError(
            "A grid must have an axis",
            received="none",
            hint="try --x 'step_size=0.005|0.01|0.02'",
        )
    models: dict[str, Any] = {}
    return tuple(_named(axis, models) for axis in parsed), models


def _named(axis: Axis, models: dict[str, Any]) -> Axis:
    """Returns an axis with the names of model files in the place of their paths."""
    with named_errors(f"Axis {axis.letter}"):
        values = tuple(_named_value(axis.name, value, models) for value in axis.values)
    return replace(axis, values=values)


def _named_value(setting: str, value: Any, models: dict[str, Any]) -> Any:
    if isinstance(value, Network):
        models[value.name] = value
        return value.name
    network = settings_of(setting, value).get("network")
    if network is not None and user_models.is_file(network):
        return str(value).replace(str(network), user_models.named(network, models), 1)
    if setting == "objective" and isinstance(value, str) and value != "none":
        return user_models.named_in(parse(value), models).text
    return value


def choices(axis: Axis | None) -> Iterator[dict[str, Any]]:
    """Yields each value of an axis by its name; for no axis, one empty dictionary."""
    if axis is None:
        yield {}
        return
    for value in axis.values:
        yield {axis.name: value}


def recipe_of(base: Recipe, over: Recipe, chosen: Mapping[str, Any]) -> Recipe:
    """Returns the recipe of a cell.

    Args:
        base: The recipe of all cells; a chosen preset replaces it.
        over: Settings that override it.
        chosen: A value of each axis.
    """
    settings: dict[str, Any] = {}
    for name, value in chosen.items():
        settings |= settings_of(name, value)
    if PRESET in settings:
        base = preset(str(settings.pop(PRESET)))
    return over.over(base).but(**settings)


def settings_of(name: str, value: Any) -> dict[str, Any]:
    """Returns the settings that a value of an axis stands for.

    A network may have its preprocessing behind it, as in objectives:
    `mine.keras[tf]`. One from the zoo has its own, whatever is stated for others.

    Args:
        name: The axis' setting.
        value: One of its values.
    """
    if name != "network" or not isinstance(value, str):
        return {name: value}
    if match := _WITH_MODE.fullmatch(value):
        return match.groupdict()
    return (
        {name: value}
        if user_models.is_file(value)
        else {name: value, "preprocessing": None}
    )


def recipes_of(axes: Sequence[Axis], base: Recipe, over: Recipe) -> Iterator[Recipe]:
    """Yields the recipe of every possible cell; arguments as for `recipe_of`."""
    for values in itertools.product(*(choices(axis) for axis in axes)):
        chosen = {name: value for choice in values for name, value in choice.items()}
        with contextlib.suppress(DreamError):
            yield recipe_of(base, over, chosen)


def _axis(letter: str, axis: str | Mapping[str, Sequence[Any]]) -> Axis:
    if isinstance(axis, str):
        name, equals, text = axis.partition("=")
        values: Sequence[Any] = _values(text) if equals else ()
        pairs = {name.strip(): values}
    else:
        pairs = dict(axis)
    if len(pairs) != 1:
        raise SettingError(
            f"Axis {letter} must vary one setting",
            received=short_repr(list(pairs)),
            hint="use another axis for the other",
        )
    ((name, values),) = pairs.items()
    if isinstance(axis, str):
        values = [each for value in values for each in _expanded(name, str(value))]
    texts = [] if isinstance(values, str) else [text_of(value) for value in values]
    if not texts or not all(texts):
        raise SettingError(
            f"Axis {letter} must be a setting, =, and values with | between them",
            received=short_repr(axis),
            hint=f"try --{letter} 'step_size=0.005|0.01|0.02'",
        )
    if len(set(texts)) < len(texts):
        raise SettingError(
            f"Axis {letter} must have different values",
            received=short_repr(axis),
            hint="keep one of those that are equal",
        )
    return Axis(letter, _checked_name(letter, name), tuple(values))


def _values(text: str) -> list[str]:
    """Returns the values between bars; a bar inside quotes belongs to a name."""
    values = [""]
    for piece in _PIECE.findall(text):
        if piece == "|":
            values.append("")
        else:
            values[-1] += piece
    return [value.strip() for value in values]


def _expanded(name: str, value: str) -> list[str]:
    """Returns the values that one stands for: `preset=*` is all looks, `seed=0-5` six.

    Args:
        name: The axis' setting.
        value: One of its values as text.
    """
    plain = name.removeprefix("--").replace("-", "_")
    if plain == PRESET and value == "*":
        return list(looks_of(Recipe().network))
    field = Recipe.model_fields.get(plain)
    match = _RANGE.fullmatch(value)
    if match is None or field is None or not is_whole(field):
        return [value]
    first, last = int(match[1]), int(match[2])
    check_count(last - first + 1, "try a shorter range")
    return [str(number) for number in range(first, last + 1)] or [value]


def _checked_name(letter: str, name: str) -> str:
    """Returns a setting's name, which may be written as a flag with dashes."""
    plain = name.removeprefix("--").replace("-", "_")
    settings = [*Recipe.model_fields, PRESET]
    if plain in settings and plain != "schema_number":
        return plain
    is_run = plain in RunSettings.model_fields
    raise SettingError(
        f"Axis {letter}: a setting must be one of the recipe's",
        received=f"{short_repr(name)}, which is how a dream is computed"
        if is_run
        else short_repr(name),
        hint="give it once, as a flag"
        if is_run
        else setting_advice(plain, settings) or nearest(plain, settings),
    )


def check_values(axes: Sequence[Axis]) -> None:
    """Refuses a wrong value with the recipe's own sentence and the axis' letter."""
    for axis in axes:
        for value in axis.values:
            with named_errors(f"Axis {axis.letter}"):
                if axis.name == PRESET:
                    preset(str(value))
                else:
                    # Alone: combinations are checked cell by cell.
                    _check_value(Recipe.of(settings_of(axis.name, value)), axis.name)


def _check_value(recipe: Recipe, name: str) -> None:
    """Checks the networks of a recipe, which are text."""
    for network in (str(n.network) for n in recipe.every_network):
        if name in ("network", "objective") and not user_models.is_file(network):
            catalogue.entry(network)


def text_of(value: Any) -> str:
    """Returns a value as a user would type it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Network):
        return value.name
    return "none" if value is None else str(value)
