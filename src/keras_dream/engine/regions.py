"""Where a dream happens: the weights of its pixels, at every octave's size."""

from collections.abc import Callable

import numpy as np

from keras_dream.backend.protocol import Array, Backend
from keras_dream.geometry import Size, cosines_of_latitude
from keras_dream.recipe.recipe import Recipe

Weights = Callable[[Size], Array | None]
"""Returns a map of one channel for a (height, width), or None for all alike."""


def step_weights(recipe: Recipe, backend: Backend) -> Weights:
    """Returns what multiplies the gradient and weighs the normalizer's statistics.

    In a panorama, pixels of a row at a latitude cover cos(latitude) of what they cover
    at the equator; so do their steps, and their share in the means.

    Args:
        recipe: Its `wrap` is used.
        backend: Where the maps are.
    """

    def weights(size: Size) -> Array | None:
        if recipe.wrap != "horizontal":
            return None
        rows = cosines_of_latitude(size[0])[:, None, None]
        return backend.image(np.ascontiguousarray(np.broadcast_to(rows, (*size, 1))))

    return weights
