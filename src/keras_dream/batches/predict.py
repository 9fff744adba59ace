"""Predicting how long the pictures of a batch take: a few steps of each recipe."""

import contextlib
import math
from collections.abc import Sequence

from keras_dream.errors import DreamError
from keras_dream.geometry import Size
from keras_dream.recipe.recipe import Recipe
from keras_dream.sheets.cost import StepTimes, step_times
from keras_dream.sheets.run import Dreamers


def predicted(
    pictures: Sequence[tuple[Recipe, Size | None]], dreamers: Dreamers
) -> list[float | None]:
    """Returns the seconds of dreams; None where a size or a network is not known.

    Args:
        pictures: The recipe of each, and (height, width) of its photo in pixels. Equal
            recipes are one object; each is timed once, at the size of its largest.
        dreamers: The dreamers of the recipes.
    """
    recipes = {id(recipe): recipe for recipe, _ in pictures}
    sizes: dict[int, list[Size]] = {key: [] for key in recipes}
    for recipe, size in pictures:
        if size is not None:
            sizes[id(recipe)].append(size)
    times = {
        key: _times(recipe, max(sizes[key], key=math.prod), dreamers)
        for key, recipe in recipes.items()
        if sizes[key]
    }
    known: dict[tuple[int, Size | None], float | None] = {}
    for recipe, size in pictures:
        key = id(recipe), size
        if key not in known:
            known[key] = _seconds(recipe, size, times.get(id(recipe)), dreamers)
    return [known[id(recipe), size] for recipe, size in pictures]


def _times(recipe: Recipe, size: Size, dreamers: Dreamers) -> StepTimes | None:
    with contextlib.suppress(DreamError):
        dreamer = dreamers.of(recipe)
        octaves, _ = dreamer.octaves(size, recipe)
        sizes = [octave.size for octave in octaves]
        return step_times(dreamer, dreamer.complete(recipe), sizes)
    return None


def _seconds(
    recipe: Recipe, size: Size | None, times: StepTimes | None, dreamers: Dreamers
) -> float | None:
    if size is None or times is None:
        return None
    with contextlib.suppress(DreamError):
        octaves, _ = dreamers.of(recipe).octaves(size, recipe)
        steps = [recipe.at(octave.number).steps for octave in octaves]
        return times.seconds(steps, [octave.size for octave in octaves])
    return None
