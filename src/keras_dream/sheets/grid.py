"""The grid: one photo dreamed with every combination of some settings' values."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_dream.dreamer import Dreamer, chosen_recipe
from keras_dream.errors import (
    InputError,
    SettingError,
    WeightsError,
    nearest,
    shown,
)
from keras_dream.images import Picture, as_picture
from keras_dream.loading import asks_for_class, check_names
from keras_dream.network import own, zoo
from keras_dream.objectives import parse
from keras_dream.preset import preset
from keras_dream.recipe import Recipe, RunSettings
from keras_dream.sheets.cells import LEAST_SIDE, shrink
from keras_dream.sheets.plan import (
    Cell,
    Head,
    Plan,
    Section,
    check_count,
    named_errors,
)
from keras_dream.sheets.work import Dreamers, Sheet, Work, run_of, to_the_end

if TYPE_CHECKING:
    from keras_dream.dreamer import Photo

SIDE = 320
MOST_SIDE = 4096  # pixels
PRESET = "preset"
_OPTIONS = ("weights", "trust_model")

# A bar between values; one inside quotes belongs to a name.
_BAR = re.compile(r"\|(?=(?:[^']*'[^']*')*[^']*$)")


@dataclass(frozen=True)
class Axis:
    """A setting and the values that it takes along one side of a grid.

    Attributes:
        letter: "x", "y" or "z".
        name: A setting of the recipe, or "preset".
        values: As they were given, text or what the setting takes.
    """

    letter: str
    name: str
    values: tuple[Any, ...]

    @property
    def heads(self) -> tuple[Head, ...]:
        """The name and each value as text."""
        return tuple(Head(self.name, _text(value)) for value in self.values)


def grid(
    photo: "Photo",
    recipe: Recipe | str = "default",
    *,
    x: str | Mapping[str, Sequence[Any]],
    y: str | Mapping[str, Sequence[Any]] | None = None,
    z: str | Mapping[str, Sequence[Any]] | None = None,
    size: int = SIDE,
    photo_side: int | None = None,
    folder: str | os.PathLike[str] | None = None,
    fresh: bool = False,
    **settings: Any,
) -> Sheet:
    """Dreams a photo with every combination of some settings' values.

    Args:
        photo: As for `Dreamer.steps`.
        recipe: A recipe or the name of a preset: what all cells have in common.
        x: The columns: "objective=mixed2|mixed4", or {"objective": ["mixed2", …]}. Any
            setting of the recipe, or `preset`.
        y: The rows, in the same way, or None.
        z: The blocks, in the same way, or None.
        size: The longer side of a cell on the sheet, in pixels.
        photo_side: Shrink the photo to this longer side, in pixels, before it is
            dreamed; None dreams it as it is.
        folder: Where cells are kept and found again, or None to keep none.
        fresh: Whether to dream again what is there.
        **settings: Any setting of the recipe, put over it and over presets; any run
            setting, and `weights` and `trust_model`, as for `Dreamer`. `network` may be
            a model file, a `keras.Model` or a `Dreamer`.

    Returns:
        The sheet; `grid(...).save("grid.png")` writes it.

    Raises:
        SettingError: If an axis or a setting is unknown or impossible.
        DreamError: As for `Dreamer` and `Dreamer.steps`.
    """
    model = settings.pop("network", None)
    if isinstance(model, str) and not own.is_file(model):
        settings["network"], model = model, None
    run = run_of(settings)
    options = {n: settings.pop(n) for n in _OPTIONS if n in settings}
    axes, models = read_axes(x=x, y=y, z=z)
    plan = plan_grid(
        shrink(as_picture(photo), photo_side),
        axes,
        base=chosen_recipe(recipe),
        over=Recipe.of(settings),
        size=size,
    )
    dreamers = grid_dreamers(plan, run=run, model=model, models=models, **options)
    kept = None if folder is None else Path(folder)
    return to_the_end(Work(plan, dreamers, folder=kept, fresh=fresh))


def read_axes(
    **given: str | Mapping[str, Sequence[Any]] | None,
) -> tuple[tuple[Axis, ...], dict[str, Any]]:
    """Reads axes, by their letters.

    Args:
        **given: Of x, y and z: "name=value|value", {"name": [value, …]}, or None.

    Returns:
        The axes, and the model files that networks of theirs stand for.

    Raises:
        SettingError: If one cannot be read, or two vary the same setting.
    """
    axes = tuple(_axis(letter, axis) for letter, axis in given.items() if axis)
    taken: dict[str, str] = {}
    for axis in axes:
        if axis.name in taken:
            raise SettingError(
                "The axes of a grid must vary different settings",
                received=f"{axis.name} as {taken[axis.name]} and as {axis.letter}",
                attempt="put all values into one of them",
            )
        taken[axis.name] = axis.letter
    if not axes:
        raise SettingError(
            "A grid must have an axis",
            received="none",
            attempt="try --x 'step_size=0.005|0.01|0.02'",
        )
    models: dict[str, Any] = {}
    return tuple(_named(axis, models) for axis in axes), models


def _named(axis: Axis, models: dict[str, Any]) -> Axis:
    """Returns an axis whose model files go by their names, as recipes name them."""
    if axis.name != "network":
        return axis
    with named_errors(f"Axis {axis.letter}"):
        return replace(axis, values=tuple(own.named(v, models) for v in axis.values))


def plan_grid(
    picture: Picture,
    axes: Sequence[Axis],
    *,
    base: Recipe,
    over: Recipe | None = None,
    size: int = SIDE,
) -> Plan:
    """Returns the plan of a grid.

    Args:
        picture: What every cell begins with.
        axes: Of `read_axes`.
        base: What all cells have in common; a preset axis takes its place.
        over: Settings that are put over that, presets too, below the axes' own.
        size: The longer side of a cell on the sheet, in pixels.

    Raises:
        SettingError: If a name or a value of an axis is none of the recipe's.
        InputError: If the size cannot be.
    """
    if not LEAST_SIDE <= size <= MOST_SIDE:
        raise InputError(
            f"`size` must be a whole number from {LEAST_SIDE} to {MOST_SIDE}",
            received=str(size),
            attempt=f"try {SIDE}",
        )
    count = 1
    for axis in axes:
        count *= len(axis.values)
    check_count(count, "try fewer values")
    by_letter = {axis.letter: axis for axis in axes}
    common = (over or Recipe()).over(base)
    _check_values(axes)
    sections = _sections(picture, by_letter, base, over or Recipe())
    name = picture.name or "a picture"
    height, width = picture.pixels.shape[:2]
    stated = "".join(f", {key} = {_text(v)}" for key, v in _stated(common, axes))
    return Plan(
        kind="grid",
        title=f"{name}, by {' and '.join(axis.name for axis in axes)}",
        subtitle=f"{count} dreams of {width} × {height} pixels{stated}",
        sections=sections,
        side=min(size, max(height, width)),
        about={
            "photo": picture.name,
            "size": [height, width],
            **{axis.letter: _described(axis) for axis in axes},
            "recipe": common.model_dump(mode="json"),
        },
    )


def grid_dreamers(
    plan: Plan,
    *,
    model: Any = None,
    weights: Any = None,
    **options: Any,
) -> Dreamers:
    """Returns who dreams the cells of a grid.

    Args:
        plan: The grid.
        model: What `Dreamer` takes, or a `Dreamer`, in place of the recipes' first
            network; None for that.
        weights: A weights file where there is one network, or a dictionary by network.
        **options: Other arguments of `Dreamers` and `Dreamer.of`.

    Raises:
        SettingError: If the network is an axis and a model is given.
        WeightsError: If one weights file is given for several networks.
        NetworkError: If one is given for a network that no cell has.
    """
    recipes = [cell.recipe for cell in plan.cells]
    networks = list(dict.fromkeys(recipe.network for recipe in recipes))
    if model is not None and len(networks) > 1:
        raise SettingError(
            "The networks of an axis must have names",
            received="a model beside it",
            attempt="leave the axis or the model out",
        )
    if isinstance(model, Dreamer):
        return Dreamers(recipes, dreamer=model)
    if model is not None:
        scored = max(recipes, key=lambda recipe: len(asks_for_class(recipe)))
        return Dreamers(
            recipes, dreamer=Dreamer.of(scored, model, weights=weights, **options)
        )
    if weights is not None and not isinstance(weights, Mapping):
        if len(networks) > 1:
            raise WeightsError(
                "A weights file must be for a grid of one network",
                received=f"one for {', '.join(networks)}",
                attempt="write NETWORK=FILE, in Python a dictionary",
            )
        weights = {networks[0]: weights}
    named = {term.network for recipe in recipes for term in recipe.terms}
    check_names("weights", weights or {}, sorted(named))
    return Dreamers(recipes, weights=weights, **options)


def _axis(letter: str, given: str | Mapping[str, Sequence[Any]]) -> Axis:
    if isinstance(given, str):
        name, equals, text = given.partition("=")
        values: Sequence[Any] = [v.strip() for v in _BAR.split(text)] if equals else ()
        pairs = {name.strip(): values}
    else:
        pairs = dict(given)
    if len(pairs) != 1:
        raise SettingError(
            f"Axis {letter} must vary one setting",
            received=shown(list(pairs)),
            attempt="use another axis for the other",
        )
    ((name, values),) = pairs.items()
    texts = [] if isinstance(values, str) else [_text(value) for value in values]
    if not texts or not all(texts):
        raise SettingError(
            f"Axis {letter} must be a setting, =, and values with | between them",
            received=shown(given),
            attempt=f"try --{letter} 'step_size=0.005|0.01|0.02'",
        )
    if len(set(texts)) < len(texts):
        raise SettingError(
            f"Axis {letter} must have different values",
            received=shown(given),
            attempt="keep one of those that are equal",
        )
    return Axis(letter, _checked_name(letter, name), tuple(values))


def _checked_name(letter: str, name: str) -> str:
    """Returns a setting's name; as a flag it is written with dashes."""
    plain = name.removeprefix("--").replace("-", "_")
    known = [*Recipe.model_fields, PRESET]
    if plain in known and plain != "schema_number":
        return plain
    is_run = plain in RunSettings.model_fields
    raise SettingError(
        f"Axis {letter}: a setting must be one of the recipe's",
        received=f"{shown(name)}, which is how a dream is computed"
        if is_run
        else shown(name),
        attempt="give it once, as a flag" if is_run else nearest(plain, known),
    )


def _check_values(axes: Sequence[Axis]) -> None:
    """Refuses a value by the recipe's own sentence, with the axis named."""
    for axis in axes:
        for value in axis.values:
            with named_errors(f"Axis {axis.letter}"):
                if axis.name == PRESET:
                    preset(str(value))
                else:
                    # By itself: what goes together is seen cell by cell.
                    _check_value(Recipe.of({axis.name: value}), axis.name)


def _check_value(recipe: Recipe, name: str) -> None:
    """Looks closer at what a recipe takes as text."""
    for term in recipe.terms:
        if name in ("objective", "also") and term.objective:
            parse(term.objective)
        if name in ("network", "also") and not own.is_file(term.network):
            zoo.entry(term.network)


def _sections(
    picture: Picture, by_letter: Mapping[str, Axis], base: Recipe, over: Recipe
) -> list[Section]:
    """Returns a block for each value of z, with rows of y and columns of x."""
    across, down, deep = (by_letter.get(letter) for letter in "xyz")
    sections: list[Section] = []
    for block in _choices(deep):
        cells = [
            _cell(picture, base, over, {**block, **row, **column})
            for row in _choices(down)
            for column in _choices(across)
        ]
        (title,) = [f"{name} = {_text(value)}" for name, value in block.items()] or [""]
        sections.append(
            Section(
                title,
                cells,
                columns=len(across.values) if across else 1,
                column_heads=across.heads if across else (),
                row_heads=down.heads if down else (),
            )
        )
    return sections


def _choices(axis: Axis | None) -> Iterator[dict[str, Any]]:
    """Yields each value of an axis by its name; for no axis, nothing chosen, once."""
    if axis is None:
        yield {}
        return
    for value in axis.values:
        yield {axis.name: value}


def _cell(
    picture: Picture, base: Recipe, over: Recipe, chosen: Mapping[str, Any]
) -> Cell:
    settings = dict(chosen)
    if PRESET in settings:
        base = preset(str(settings.pop(PRESET)))
    name = "-".join(f"{key}-{_text(value)}" for key, value in chosen.items())
    where = ", ".join(f"{key}={_text(value)}" for key, value in chosen.items())
    with named_errors(f"Cell {where}"):
        recipe = over.over(base).but(**settings)
    return Cell(name, "", recipe, picture, where)


def _stated(common: Recipe, axes: Sequence[Axis]) -> list[tuple[str, Any]]:
    """Returns what all cells have in common and the defaults have not."""
    varied = {axis.name for axis in axes}
    plain = Recipe()
    return [
        (name, getattr(common, name))
        for name in Recipe.model_fields
        if name not in varied and getattr(common, name) != getattr(plain, name)
    ]


def _described(axis: Axis) -> dict[str, Any]:
    return {"setting": axis.name, "values": [_text(value) for value in axis.values]}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "none" if value is None else str(value)
