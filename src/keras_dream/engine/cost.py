"""How long a dream takes, as far as its recipe and its size tell.

It is there to ask before work of hours or weeks, such as a stranger's recipe may hold.
Before a network is loaded it counts as Inception V3, which is an upper bound for our
own; afterwards as what its convolutions take. The seconds are
those of torch on two cores with AVX2; they were measured as the least of several steps.
"""

import math
from collections.abc import Callable

from keras_dream.engine.growth import octaves_of
from keras_dream.geometry import Size
from keras_dream.parts.canvases import Laplacian, Pixels
from keras_dream.parts.filters import Chroma, Smooth
from keras_dream.parts.optimizers import Lbfgs
from keras_dream.parts.transforms import view_size, views_in_step
from keras_dream.recipe.objectives import NetworkObjective
from keras_dream.recipe.recipe import Recipe
from keras_dream.recipe.targets import Class, Guide

# Seconds of whatever size.
OCTAVE = 0.05  # plans and resampling; the first step of a size takes 10 to 50 ms more
STEP = 0.001  # 0.5 ms with the built-in network at 17 × 17 pixels
NETWORK = 0.01  # one pass of a network: its operations, at the smallest size
TERM = 1e-4  # 0.05 to 0.09 ms, of up to 100 terms at 17 × 17 pixels
PART = 0.005  # 1.6 to 3.5 ms for a filter, 12 ms for a wide blur at 17 × 17 pixels

# Seconds for each pixel.
NETWORK_PIXEL = 1 / 600_000  # Inception V3 to `mixed5`: 400 × 600 pixels in 0.4 s
FLOP = 2e-11
"""Of a convolution forwards, with its gradient, which takes as much: what has just been
named has 19.9 GFLOP forwards."""
CLASSIFIER = 1.5  # times as much: all of Inception V3 against its layers to `mixed5`
TERM_PIXEL = 2e-8  # 7 to 19 ns, of up to 100 terms of a layer with 32 channels
GUIDE_PIXEL = 2.3e-6
"""Every cell of a layer against every cell of the guide, which has 320 × 240 pixels: at
a stride of 4 and 192 channels 230,000 operations for a pixel, 1e11 in a second."""
IMAGE_PIXEL = 1e-7  # jitter, normalizer, optimizer and clamping
PART_PIXEL = 1e-7  # 0.04 to 0.3 µs: a filter, a canvas, a transform
TAP_PIXEL = 1.5e-8  # 8 to 16 ns for a pixel and a tap of a wide blur
LEVEL_TAP_PIXEL = 2e-9  # 1.5 to 1.8 ns, of the canvas `laplacian` with 16 levels
COLOR_PIXEL = 2e-6  # a treatment of the finished dream


Passes = Callable[[Recipe, Size], float]
"""Returns the seconds that the networks' own layers take for the gradient of a view:
of a recipe of one octave and the (height, width) of the view."""


def seconds(size: Size, recipe: Recipe, *, passes: Passes | None = None) -> float:
    """Returns about how many seconds a dream takes.

    Args:
        size: The picture's (height, width) in pixels.
        recipe: The recipe.
        passes: What is known of the networks; None takes each as Inception V3.
    """
    octaves = octaves_of(size, recipe)
    total = len(recipe.colors) * COLOR_PIXEL * math.prod(octaves[-1].size)
    for octave in octaves:
        own = recipe.at(octave.number)
        total += OCTAVE + own.steps * _step(octave.size, own, passes or _unknown)
    return total


def _step(size: Size, recipe: Recipe, passes: Passes) -> float:
    """Returns the seconds of a step at a size."""
    view = view_size(recipe.transforms, size)
    losses = sum(_losses(n, math.prod(view)) for n in recipe.every_network)
    image = IMAGE_PIXEL * math.prod(size) + _parts(size, recipe)
    views = views_in_step(recipe.transforms)
    return STEP + image + views * (passes(recipe, view) + losses)


def _unknown(recipe: Recipe, view: Size) -> float:
    """Returns the seconds of the networks as if each were Inception V3."""
    networks = recipe.every_network
    of_class = sum(
        any(isinstance(term.target, Class) for term in network.terms)
        for network in networks
    )
    depth = len(networks) + (CLASSIFIER - 1) * of_class
    return len(networks) * NETWORK + depth * NETWORK_PIXEL * math.prod(view)


def _losses(objective: NetworkObjective, pixels: int) -> float:
    """Returns the seconds of an objective's terms behind its network's layers."""
    guides = sum(isinstance(term.target, Guide) for term in objective.terms)
    terms = len(objective.terms) or 1
    return terms * TERM + pixels * (terms * TERM_PIXEL + guides * GUIDE_PIXEL)


def _parts(size: Size, recipe: Recipe) -> float:
    """Returns the seconds of a step that go to the image, its gradient and its move."""
    count, each = len(recipe.filters) + len(recipe.transforms), 0.0
    for part in recipe.filters:
        if isinstance(part, Smooth | Chroma):
            end = part.end if isinstance(part, Smooth) else None
            each += TAP_PIXEL * _taps(size, max(part.sigma, end or 0))
    if isinstance(recipe.canvas, Laplacian):
        levels = range(recipe.canvas.levels)
        count += len(levels)
        # A Lanczos filter reaches over 6 pixels of a level, each 2 ** level wide.
        taps = (sum(min(side, 6 * 2**level) for side in size) for level in levels)
        each += LEVEL_TAP_PIXEL * sum(taps)
    elif not isinstance(recipe.canvas, Pixels):
        count += 1
    if isinstance(recipe.optimizer, Lbfgs):
        each += 3 * PART_PIXEL * recipe.optimizer.memory / 100
    return PART * count + (PART_PIXEL * count + each) * math.prod(size)


def _taps(size: Size, sigma: float) -> float:
    """Returns the taps of a Gaussian blur, as `filters` computes it."""
    if sigma >= 3 and min(size) > 8 * sigma:
        return 0  # at half the size, and so for a part's usual seconds
    return sum(min(side, 8 * sigma) for side in size)
