"""The grid: one photo dreamed with every combination of some settings' values."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_dream.dreamer.dreamer import Dreamer, as_recipe
from keras_dream.errors import InputError, SettingError, WeightsError
from keras_dream.pictures.picture import Picture, as_picture
from keras_dream.recipe.recipe import Recipe, RunSettings
from keras_dream.recipe.settings import pop_keys
from keras_dream.sheets.axes import (
    Axis,
    check_values,
    choices,
    read_axes,
    recipe_of,
    text_of,
)
from keras_dream.sheets.cells import MIN_SIDE, shrink
from keras_dream.sheets.plan import Cell, Plan, Section, check_count, named_errors
from keras_dream.sheets.run import Dreamers, SheetRun
from keras_dream.sheets.sheet import Sheet
from keras_dream.zoo import user_models
from keras_dream.zoo.network import Network, as_networks, asks_for_class

if TYPE_CHECKING:
    from keras_dream.dreamer.dreamer import Photo

SIDE = 320
MAX_SIDE = 4096  # pixels
_OPTIONS = ("weights", "trust_model", "files", "limits")


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
        recipe: The recipe of all cells, or the name of a preset.
        x: The columns: "objective=mixed2|mixed4", or {"objective": ["mixed2", …]}. Any
            setting of the recipe, or `preset`.
        y: The rows, in the same way, or None.
        z: The blocks, in the same way, or None.
        size: The longer side of a cell on the sheet, in pixels.
        photo_side: Shrink the photo to this longer side, in pixels, before it is
            dreamed; None dreams it as it is.
        folder: Where cells are saved and reused from, or None to save none.
        fresh: Whether to dream cells again that are in the folder.
        **settings: Any setting of the recipe, which overrides it and presets; any run
            setting, and `weights`, `trust_model`, `files` and `limits`, as for
            `Dreamer`.
            `network` may be whatever `Dreamer` takes, or a `Dreamer`; an axis of
            networks may have `Network`s among its values.

    Returns:
        The sheet; `grid(...).save("grid.png")` writes it.

    Raises:
        SettingError: If an axis or a setting is unknown or impossible.
        DreamError: As for `Dreamer` and `Dreamer.steps`.
    """
    model = settings.pop("network", None)
    if isinstance(model, str) and not user_models.is_file(model):
        settings["network"], model = model, None
    run = RunSettings.of(pop_keys(settings, RunSettings.model_fields))
    options = pop_keys(settings, _OPTIONS)
    axes, models = read_axes(x=x, y=y, z=z)
    trust = options.get("trust_model", False)
    networks = [n for given in models.values() for n in as_networks(given, trust=trust)]
    picture = as_picture(photo, limits=options.get("limits"))
    small = shrink(picture, photo_side)
    base, over = as_recipe(recipe), Recipe.of(settings)
    plan = plan_grid(small, axes, base=base, over=over, size=size)
    if small is not picture:
        plan = replace(plan, beside=(small,))
    dreamers = grid_dreamers(plan, run=run, model=model, networks=networks, **options)
    path = None if folder is None else Path(folder)
    return SheetRun(plan, dreamers, folder=path, fresh=fresh).finish()


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
        picture: The photo of every cell.
        axes: The axes, from `read_axes`.
        base: The recipe of all cells; values of a preset axis replace it.
        over: Settings that override it, presets included; the axes override them.
        size: The longer side of a cell on the sheet, in pixels.

    Raises:
        SettingError: If a name or a value of an axis is not one of the recipe's.
        InputError: If the size is out of range.
    """
    if not MIN_SIDE <= size <= MAX_SIDE:
        raise InputError(
            f"`size` must be a whole number from {MIN_SIDE} to {MAX_SIDE}",
            received=str(size),
            hint=f"try {SIDE}",
        )
    count = 1
    for axis in axes:
        count *= len(axis.values)
    check_count(count, "try fewer values")
    by_letter = {axis.letter: axis for axis in axes}
    common = (over or Recipe()).over(base)
    check_values(axes)
    sections = _sections(picture, by_letter, base, over or Recipe())
    name = picture.name or "a picture"
    height, width = picture.pixels.shape[:2]
    changed = "".join(f", {key} = {text_of(v)}" for key, v in _changed(common, axes))
    return Plan(
        kind="grid",
        title=f"{name}, by {' and '.join(axis.name for axis in axes)}",
        subtitle=f"{count} dreams of {width} × {height} pixels{changed}",
        sections=sections,
        side=min(size, max(height, width)),
        about={
            "photo": picture.name,
            "size": [height, width],
            **{axis.letter: _described(axis) for axis in axes},
            "recipe": _without(common.model_dump(mode="json"), axes),
        },
    )


def grid_dreamers(
    plan: Plan,
    *,
    model: Any = None,
    networks: Sequence[Network] = (),
    weights: str | os.PathLike[str] | None = None,
    trust_model: bool = False,
    **options: Any,
) -> Dreamers:
    """Returns the dreamers of a grid's cells.

    Args:
        plan: The grid.
        model: What `Dreamer` takes, or a `Dreamer`, in place of the recipes' first
            network; None for that.
        networks: What the recipes' names stand for, as for `Dreamer.of`.
        weights: A weights file for the network, where there is one.
        trust_model: Whether `model` may be opened, if it is a file.
        **options: Other arguments of `Dreamers` and `Dreamer.of`.

    Raises:
        SettingError: If the network is an axis and a model is given.
        WeightsError: If one weights file is given for several networks.
    """
    recipes = [cell.recipe for cell in plan.cells]
    names = list(dict.fromkeys(recipe.network for recipe in recipes))
    if model is not None and len(names) > 1:
        raise SettingError(
            "The networks of an axis must have names",
            received="a model beside it",
            hint="leave the axis or the model out",
        )
    if isinstance(model, Dreamer):
        return Dreamers(recipes, dreamer=model)
    if weights is not None and len(names) > 1:
        raise WeightsError(
            "A weights file must be for a grid of one network",
            received=f"one for {', '.join(names)}",
            hint="write NETWORK=FILE, in Python Network(name, weights=FILE) as a value "
            "of the axis",
        )
    if model is not None:
        scored = max(recipes, key=lambda recipe: len(asks_for_class(recipe)))
        asked = {"weights": weights, "trust_model": trust_model, **options}
        return Dreamers(
            recipes, dreamer=Dreamer.of(scored, model, networks=networks, **asked)
        )
    if weights is not None:
        networks = [*networks, Network(names[0], weights=weights)]
    return Dreamers(recipes, networks=networks, **options)


def _sections(
    picture: Picture, by_letter: Mapping[str, Axis], base: Recipe, over: Recipe
) -> list[Section]:
    """Returns a block for each value of z, with rows of y and columns of x."""
    across, down, deep = (by_letter.get(letter) for letter in "xyz")
    sections: list[Section] = []
    for block in choices(deep):
        cells = [
            _cell(picture, base, over, {**block, **row, **column})
            for row in choices(down)
            for column in choices(across)
        ]
        titles = [f"{name} = {text_of(value)}" for name, value in block.items()]
        sections.append(
            Section(
                "".join(titles),
                cells,
                columns=len(across.values) if across else 1,
                column_heads=across.heads if across else (),
                row_heads=down.heads if down else (),
            )
        )
    return sections


def _cell(
    picture: Picture, base: Recipe, over: Recipe, chosen: Mapping[str, Any]
) -> Cell:
    name = "-".join(f"{key}-{text_of(value)}" for key, value in chosen.items())
    where = ", ".join(f"{key}={text_of(value)}" for key, value in chosen.items())
    with named_errors(f"Cell {where}"):
        recipe = recipe_of(base, over, chosen)
    return Cell(name, "", recipe, picture, where)


def _changed(common: Recipe, axes: Sequence[Axis]) -> list[tuple[str, Any]]:
    """Returns the settings of all cells that are not at their defaults."""
    varied = {axis.name for axis in axes}
    default = Recipe()
    return [
        (name, getattr(common, name))
        for name in Recipe.model_fields
        if name not in varied and getattr(common, name) != getattr(default, name)
    ]


def _without(settings: dict[str, Any], axes: Sequence[Axis]) -> dict[str, Any]:
    """Returns settings without those that an axis varies."""
    return {k: v for k, v in settings.items() if k not in {axis.name for axis in axes}}


def _described(axis: Axis) -> dict[str, Any]:
    return {"setting": axis.name, "values": [text_of(value) for value in axis.values]}
