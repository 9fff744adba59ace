"""Predicting the time of dreams: a few steps are timed, the others are counted."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from keras_dream.dreamer.dreamer import Dreamer
from keras_dream.engine.growth import Octave
from keras_dream.errors import NetworkError, PictureError
from keras_dream.geometry import Size
from keras_dream.pictures.synthetic import noise
from keras_dream.recipe.recipe import Recipe
from keras_dream.sheets.plan import Cell

MAX_TIMED = 300_000
"""Pixels of the largest octave that is timed; for larger ones, the time per pixel is
assumed to be the same."""


class StepTimes(NamedTuple):
    """How long the steps of one kind of work take.

    Attributes:
        first: Additional seconds of the first step of a size: graphs are prepared, and
            some backends compile.
        step: Seconds of a step of any size.
        pixel: Additional seconds for each pixel of a step.
    """

    first: float
    step: float
    pixel: float

    def seconds(self, steps: Sequence[int], sizes: Sequence[Size]) -> float:
        """Returns the seconds of a dream.

        Args:
            steps: How many each octave has.
            sizes: (height, width) of each in pixels.
        """
        each = sum(
            count * (self.step + height * width * self.pixel)
            for count, (height, width) in zip(steps, sizes, strict=True)
        )
        return each + len(sizes) * self.first


class Predictor:
    """Predicts the seconds of dreams; times a few steps of each kind of work once."""

    def __init__(self) -> None:
        self._times: dict[tuple[Any, ...], StepTimes] = {}

    def seconds(self, cell: Cell, dreamer: Dreamer, octaves: Sequence[Octave]) -> float:
        """Returns the most seconds of a cell; `max_loss` may end octaves early.

        Args:
            cell: The cell.
            dreamer: The dreamer of its recipe.
            octaves: Those that it runs, small to large.
        """
        recipe = dreamer.complete(cell.recipe)
        sizes = [octave.size for octave in octaves]
        steps = [recipe.at(octave.number).steps for octave in octaves]
        if not any(steps):
            return 0.0
        kind = cell.like or tuple(network.text for network in recipe.every_network)
        key = (dreamer.networks, kind, recipe.loss, recipe.border, *sizes)
        if key not in self._times:
            self._times[key] = step_times(dreamer, recipe, sizes)
        return self._times[key].seconds(steps, sizes)


def step_times(dreamer: Dreamer, recipe: Recipe, sizes: Sequence[Size]) -> StepTimes:
    """Times the smallest octave and the largest, within bounds.

    Args:
        dreamer: The dreamer of the recipe.
        recipe: The recipe, complete.
        sizes: (height, width) of its octaves in pixels, small to large.
    """
    small = _bound(sizes[0], (1, 1))
    large = _bound(sizes[-1], small)
    try:
        first, small_step = _time_steps(dreamer, recipe, small)
    except (NetworkError, PictureError):
        # An octave that fits among others, but not as a picture of its own.
        small = large
        first, small_step = _time_steps(dreamer, recipe, small)
    if large == small:
        return StepTimes(first, 0.0, small_step / (small[0] * small[1]))
    again, large_step = _time_steps(dreamer, recipe, large)
    pixels = large[0] * large[1] - small[0] * small[1]
    # At least a tenth of the average: measured times vary, and could give less than 0.
    average = large_step / (large[0] * large[1])
    pixel = max((large_step - small_step) / pixels, 0.1 * average)
    step = max(large_step - pixel * large[0] * large[1], 0.0)
    return StepTimes(min(first, again), step, pixel)


def _time_steps(dreamer: Dreamer, recipe: Recipe, size: Size) -> tuple[float, float]:
    """Returns the additional seconds of a first step, and those of a later one."""
    short = recipe.but(
        steps=3,
        per_octave=(),
        octaves=1,
        octaves_above=0,
        max_loss=None,
        small_octaves="run",
    )
    steps = dreamer.steps(noise(0, size), short)
    first, *later = [step.seconds for step in steps]
    average = sum(later) / len(later)
    return max(first - average, 0.0), average


def _bound(size: Size, least: Size) -> Size:
    """Returns a size of the same shape with at most `MAX_TIMED` pixels."""
    scale = (MAX_TIMED / (size[0] * size[1])) ** 0.5
    if scale >= 1:
        return size
    height, width = round(size[0] * scale), round(size[1] * scale)
    return max(height, least[0]), max(width, least[1])
