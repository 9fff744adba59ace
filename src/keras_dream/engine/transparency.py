"""Transparency: a dream is opaque where its steps have looked.

Source: T. Fel et al., "Unlocking Feature Visualization for Deeper Networks with
MAgnitude Constrained Optimization", 2023, arXiv:2306.06805, whose code (horama,
`plot_maco`) adds up the absolute gradients of all steps, takes their mean over the
colours, and is opaque from the 80th percentile up. Here every gradient is divided as
the normalizer has it, so that all octaves count alike; the sum is blurred a little, for
single pixels would be holes; and the percentile is that of the places where the sum is
not 0, for a mask may leave few.
"""

from collections.abc import Callable

import numpy as np

from keras_dream.backend.protocol import Array, Backend
from keras_dream.geometry import resample
from keras_dream.parts.colors import blurred
from keras_dream.pictures.picture import Picture

OPAQUE = 80
"""The percentile from which a dream is opaque."""

BLUR = 2.0
"""The standard deviation, in pixels, of the blur of the sum; chosen by looking."""


class Transparency:
    """The sum of absolute gradients over the steps of a dream, if that is kept.

    Attributes:
        total: A map of three channels in the size of the octave; None before the first
            step, or where nothing is kept.
    """

    def __init__(self, backend: Backend, *, keep: bool):
        self._backend = backend
        self._keep = keep
        self.total: Array = None

    def add(self, gradient: Array, divisor: float) -> None:
        """Adds the gradient of a step."""
        if not self._keep:
            return
        b = self._backend
        size = b.absolute(b.multiply(gradient, 1 / divisor))
        self.total = size if self.total is None else b.add(self.total, size)

    def resize(self, resized: Callable[[Array], Array]) -> None:
        """Brings the sum to the size of the next octave."""
        if self.total is not None:
            self.total = resized(self.total)


def opacity(total: np.ndarray, picture: Picture) -> np.ndarray:
    """Returns the alpha channel for a sum of absolute gradients.

    Args:
        total: float32 (height, width, 3), of any size.
        picture: The finished dream, whose own alpha is a factor.

    Returns:
        float32 (height, width) in [0, 1], of the picture's size.
    """
    size = (picture.pixels.shape[0], picture.pixels.shape[1])
    mean = resample(total, size).mean(axis=2, keepdims=True)
    mean = np.maximum(blurred(mean, BLUR)[..., 0], 0)
    reached = mean[mean > 0]
    if reached.size:
        alpha = np.clip(mean / np.percentile(reached, OPAQUE), 0, 1)
    else:
        alpha = np.ones_like(mean)
    alpha = alpha.astype(np.float32)
    return alpha if picture.alpha is None else alpha * picture.alpha
