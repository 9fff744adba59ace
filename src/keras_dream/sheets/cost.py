"""What a dream will cost: a few steps are timed, the others are counted."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from keras_dream.dreamer.dreamer import Dreamer
from keras_dream.geometry import Size
from keras_dream.pictures.synthetic import noise
from keras_dream.recipe.recipe import Recipe
from keras_dream.sheets.plan import Cell

MOST_TIMED = 300_000
"""Pixels of the largest octave that is timed; larger ones are taken to cost as much
for each pixel."""


class Pace(NamedTuple):
    """How long steps take.

    Attributes:
        first: Seconds that the first step of a size needs beyond the others: graphs
            are prepared, and some backends compile.
        step: Seconds of any step, however small.
        pixel: Seconds for each pixel of a step.
    """

    first: float
    step: float
    pixel: float


class Clock:
    """Predicts dreams: a few steps are timed, once for each kind of work."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], Pace] = {}

    def seconds(self, cell: Cell, dreamer: Dreamer, sizes: Sequence[Size]) -> float:
        """Returns how long a cell will take at most: a loss may end octaves early.

        Args:
            cell: The cell.
            dreamer: Who dreams it.
            sizes: (height, width) in pixels of its octaves, small to large.
        """
        recipe = dreamer.complete(cell.recipe)
        if not recipe.steps:
            return 0.0
        asked = cell.like or tuple(network.text for network in recipe.networks)
        key = (dreamer.networks, asked, recipe.loss, recipe.border, *sizes)
        if key not in self._known:
            self._known[key] = _pace(dreamer, recipe, sizes)
        pace = self._known[key]
        pixels = sum(height * width for height, width in sizes)
        each = recipe.steps * (len(sizes) * pace.step + pixels * pace.pixel)
        return each + len(sizes) * pace.first


def _pace(dreamer: Dreamer, recipe: Recipe, sizes: Sequence[Size]) -> Pace:
    """Times the smallest octave and the largest, within bounds."""
    small = _bounded(sizes[0], (1, 1))
    large = _bounded(sizes[-1], small)
    first, quick = _timed(dreamer, recipe, small)
    if large == small:
        return Pace(first, 0.0, quick / (small[0] * small[1]))
    again, slow = _timed(dreamer, recipe, large)
    pixels = large[0] * large[1] - small[0] * small[1]
    # Noise in the times must not make larger pictures cheaper than nothing.
    pixel = max((slow - quick) / pixels, 0.1 * slow / (large[0] * large[1]))
    step = max(slow - pixel * large[0] * large[1], 0.0)
    return Pace(min(first, again), step, pixel)


def _timed(dreamer: Dreamer, recipe: Recipe, size: Size) -> tuple[float, float]:
    """Returns what a first step takes beyond a later one, and that one, in seconds."""
    short = recipe.but(
        steps=3, octaves=1, octaves_above=0, max_loss=None, small_octaves="run"
    )
    steps = dreamer.steps(noise(0, size), short)
    first, *later = [step.seconds for step in steps]
    usual = sum(later) / len(later)
    return max(first - usual, 0.0), usual


def _bounded(size: Size, least: Size) -> Size:
    """Returns a size of the same shape with at most the pixels that are timed."""
    scale = (MOST_TIMED / (size[0] * size[1])) ** 0.5
    if scale >= 1:
        return size
    height, width = round(size[0] * scale), round(size[1] * scale)
    return max(height, least[0]), max(width, least[1])
