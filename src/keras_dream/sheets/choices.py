"""Sheets to choose from: one photo dreamed small by several recipes, side by side."""

import math
import re
from collections.abc import Mapping

from keras_dream.errors import InputError
from keras_dream.pictures.picture import Picture
from keras_dream.recipe.recipe import Recipe
from keras_dream.sheets.plan import Cell, Plan, Section, check_count

SIDE = 320
"""The longer side of the photo and of a cell in pixels: seconds for each on a CPU."""

MOST_COLUMNS = 4


def plan_choices(
    kind: str,
    picture: Picture,
    recipes: Mapping[str, Recipe],
    *,
    name: str = "",
) -> Plan:
    """Returns the plan of a sheet with one labelled cell for each recipe.

    Args:
        kind: What the sheet is, one of `keras_dream.sheets.sheet.KINDS`.
        picture: The photo of every cell, already small.
        recipes: The recipes by their labels.
        name: The photo's own name, where the picture is a smaller copy.

    Raises:
        InputError: If there are no recipes, or too many.
    """
    if not recipes:
        raise InputError(
            "A sheet must have at least one cell",
            received="none",
            hint="name more of them",
        )
    check_count(len(recipes), "try fewer")
    cells = [
        Cell(re.sub(r"\W+", "-", label), label, recipe, picture, label)
        for label, recipe in recipes.items()
    ]
    height, width = picture.pixels.shape[:2]
    across = min(math.ceil(math.sqrt(len(cells))), MOST_COLUMNS)
    return Plan(
        kind=kind,
        title=f"{kind.capitalize()} of {name or picture.name or 'a picture'}",
        subtitle=f"{len(cells)} dreams of {width} × {height} pixels",
        sections=[Section("", cells, across)],
        side=max(height, width),
        about={"photo": picture.name, "size": [height, width], "labels": [*recipes]},
    )


def seeds(recipe: Recipe, count: int) -> dict[str, Recipe]:
    """Returns a recipe with as many seeds, from its own on, by labels "1, seed 0" ….

    Args:
        recipe: The recipe.
        count: How many, from 1.

    Raises:
        InputError: If there are none.
    """
    if count < 1:
        raise InputError(
            "Variations must be a whole number from 1",
            received=str(count),
            hint="try 4",
        )
    check_count(count, "try 4")
    return {
        f"{number + 1}, seed {recipe.seed + number}": recipe.but(
            seed=recipe.seed + number
        )
        for number in range(count)
    }
