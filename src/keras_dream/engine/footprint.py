"""How many bytes the pictures of a dream take, beside what its networks hold.

A picture is three float32 values for each pixel: 144 MB for 12 megapixels. What is
counted here was measured on torch on a processor, see `benchmarks/memory.py`; on other
devices the host's share is not theirs.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

from keras_dream.engine.growth import Octave, octaves_of
from keras_dream.engine.loop import needs_original
from keras_dream.geometry import Size
from keras_dream.parts.canvases import Fourier, Laplacian as Pyramid, Maco, Pixels
from keras_dream.parts.filters import Laplacian
from keras_dream.parts.optimizers import Adam, Lbfgs, Momentum
from keras_dream.parts.part import Part
from keras_dream.parts.starts import Photo
from keras_dream.recipe.recipe import Recipe

PIXEL = 12
"""Bytes of a pixel of a picture in memory."""

_OCTAVES_PIXEL = 6  # bytes of what an octave added, kept as float16

# In pictures of the octave, measured: what a step takes beside what is held already.
_STEP = 3.0  # the gradient, what the parameters move by, and the parameters after it
_OPTIMIZED: Mapping[type[Part], float] = {Momentum: 5.0, Adam: 8.0, Lbfgs: 5.0}
_FILTERED: Mapping[type[Part], float] = {Laplacian: 4.5}
_CANVAS = 7.0  # another than pixels: the backend differentiates it
_WAVES = 12.0  # whose spectra are made in float64
_PAINTED = 10.0  # an image to start from, before the first step, also in float64


class Footprint(NamedTuple):
    """The bytes of a dream's pictures in one octave.

    Attributes:
        held: While a gradient is computed, without what is seen of the image and
            without the gradient.
        later: Of these, what the octave's first gradient does not find in memory yet:
            the optimizer's state.
        most: At the worst moment between two gradients.
    """

    held: int
    later: int
    most: int


def footprint(size: Size, octave: Octave, recipe: Recipe) -> Footprint:
    """Returns the bytes of a dream's pictures in an octave.

    Args:
        size: The (height, width) in pixels of the picture that is dreamed.
        octave: One of its octaves.
        recipe: The recipe.
    """
    whole, own = PIXEL * math.prod(size), PIXEL * math.prod(octave.size)
    octaves = octaves_of(size, recipe)
    is_last = octave.number >= len(octaves)
    host = whole if isinstance(recipe.start, Photo) else 2 * whole
    if recipe.octave_strengths:
        earlier = _OCTAVES_PIXEL * math.prod(size) * (octave.number - 1)
        host += earlier + own  # and the image that the octave began with
    if recipe.mask is not None or recipe.wrap == "horizontal":
        host += (whole + own) // 3  # of one channel
    host += (whole + own) // 3 * len(recipe.regions)
    base = own if not is_last or needs_original(recipe) else 0
    parameters, image = _canvas(recipe)
    state = parameters * _states(recipe) + recipe.transparency
    held = host + base + int(own * (parameters + image + state))
    most = held + int(own * _working(recipe))
    if not isinstance(recipe.start, Photo):
        most = max(most, int(whole * (1 + _PAINTED)))
    return Footprint(held, int(own * state), most)


def _working(recipe: Recipe) -> float:
    """Returns the pictures that a step takes at its worst."""
    filtered = (_FILTERED.get(type(part), _STEP) for part in recipe.filters)
    optimized = _OPTIMIZED.get(type(recipe.optimizer), _STEP)
    canvas = _STEP
    if isinstance(recipe.canvas, Fourier | Maco):
        canvas = _WAVES
    elif not isinstance(recipe.canvas, Pixels):
        canvas = _CANVAS
    return max(optimized, canvas, *filtered)


def _canvas(recipe: Recipe) -> tuple[float, float]:
    """Returns the pictures that parameters are, and those of the image beside them."""
    if isinstance(recipe.canvas, Pixels):
        return 1.0, 0.0
    if isinstance(recipe.canvas, Pyramid):
        return 4 / 3, 1.0
    return 1.0, 1.0


def _states(recipe: Recipe) -> float:
    """Returns how often the optimizer's state is as large as the parameters."""
    match recipe.optimizer:
        case Adam():
            return 2.0
        case Momentum():
            return 1.0
        case Lbfgs(memory=memory):
            return 2.0 * (memory + 1)
        case _:
            return 0.0
