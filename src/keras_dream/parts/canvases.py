"""Canvases: which parameters make the image, and how.

A canvas is bound to a backend and a size, which gives a `Surface`; the gradient reaches
the parameters through `Surface.image`, by the backend's own differentiation.
"""

import abc
import functools
import math
from typing import TYPE_CHECKING, Literal, get_args

from pydantic import Field

from keras_dream.parts.part import Array, Arrays, Part
from keras_dream.recipe.settings import FiniteFloat

if TYPE_CHECKING:
    import numpy as np

    from keras_dream.backend.protocol import Backend

Size = tuple[int, int]  # (height, width) in pixels


class Surface(abc.ABC):
    """A canvas of one size on a backend.

    Attributes:
        is_identity: Whether the only parameter is the image itself.
    """

    is_identity = False

    @abc.abstractmethod
    def parameters(self, image: Array) -> Arrays:
        """Returns the parameters that make an image, a map of 3 channels in [0, 1]."""

    @abc.abstractmethod
    def image(self, parameters: Arrays) -> Array:
        """Returns the image that parameters make; differentiable."""

    @abc.abstractmethod
    def movement(self, changes: Arrays) -> Array:
        """Returns how a mid-grey image moves, to first order, where parameters change.

        The normalizer measures this, so that a step size means the same on every
        canvas.
        """

    def clamp(self, parameters: Arrays) -> Arrays:
        """Returns the parameters of an image that stays within [0, 1]."""
        return parameters


class Pixels(Part):
    """The pixels themselves, as every published DeepDream has them."""

    name: Literal["pixels"] = "pixels"

    def on(self, backend: "Backend", size: Size) -> Surface:
        """Returns the canvas for an image of (height, width) on a backend."""
        return _PixelSurface(backend)


class _PixelSurface(Surface):
    is_identity = True

    def __init__(self, backend: "Backend"):
        self._backend = backend

    def parameters(self, image: Array) -> Arrays:
        return (image,)

    def image(self, parameters: Arrays) -> Array:
        return parameters[0]

    def movement(self, changes: Arrays) -> Array:
        return changes[0]

    def clamp(self, parameters: Arrays) -> Arrays:
        return (self._backend.clip(parameters[0], 0.0, 1.0),)


class Fourier(Part):
    """Coefficients of waves, of decorrelated colours, through a sigmoid.

    A step changes the low frequencies more than the high ones, which gives softer and
    larger shapes. A step along the gradient counts the decay twice, once for the
    coefficient and once for its gradient, so that the default of 0.5 makes it fall as
    1 / frequency; Adam's steps count it once, and `decay=1` does the same there, as
    published. The sigmoid keeps the image within (0, 1). Sources: C. Olah, A.
    Mordvintsev, L. Schubert, "Feature Visualization", Distill 2017; A. Mordvintsev et
    al., "Differentiable Image Parameterizations", Distill 2018.
    """

    name: Literal["fourier"] = "fourier"
    decay: FiniteFloat = Field(
        default=0.5,
        ge=0,
        le=4,
        description="coefficients count less with the frequency to this power",
    )

    def on(self, backend: "Backend", size: Size) -> Surface:
        """Returns the canvas for an image of (height, width) on a backend."""
        return _FourierSurface(backend, size, self.decay)


# A root of the covariance of the colours of ImageNet's pictures (red, green and blue by
# independent colours): tensorflow/lucid, optvis/param/color.py, divided there, as here,
# by the length of its longest column.
_COLOR_ROOT = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))
# The least distance from black and white that logits stand for: half a grey level.
_LEAST = 0.5 / 255


class _FourierSurface(Surface):
    def __init__(self, backend: "Backend", size: Size, decay: float):
        self._backend = backend
        self._size = size
        self._spectrum = spectrum_scale(size, decay)
        self._scale = backend.image(self._spectrum[..., None])
        self._colors = color_matrix()
        self._held_colors = backend.array(self._colors.astype("float32"))

    def parameters(self, image: Array) -> Arrays:
        import numpy as np

        pixels = self._backend.to_image(image).astype(np.float64)
        pixels = pixels.clip(_LEAST, 1 - _LEAST)
        logits = np.log(pixels / (1 - pixels)) @ np.linalg.inv(self._colors)
        spectrum = np.fft.rfft2(logits, axes=(0, 1)) / self._spectrum[..., None]
        halves = (spectrum.real, spectrum.imag)
        return tuple(self._backend.image(half.astype(np.float32)) for half in halves)

    def image(self, parameters: Arrays) -> Array:
        return self._backend.activation(self._logits(parameters), "sigmoid")

    def movement(self, changes: Arrays) -> Array:
        return self._backend.multiply(self._logits(changes), 0.25)  # sigmoid'(0)

    def _logits(self, parameters: Arrays) -> Array:
        b = self._backend
        real, imaginary = (b.multiply(half, self._scale) for half in parameters)
        colors = b.inverse_fft(real, imaginary, self._size)
        return b.matmul(colors, self._held_colors)


@functools.cache
def color_matrix() -> "np.ndarray":
    """Returns what takes independent colours to red, green and blue: float64 (3, 3)."""
    import numpy as np

    root = np.array(_COLOR_ROOT)
    return root.T / np.linalg.norm(root, axis=0).max()


@functools.lru_cache(maxsize=8)
def spectrum_scale(size: Size, decay: float) -> "np.ndarray":
    """Returns what the coefficients of a picture's spectrum are multiplied by.

    Amplitudes fall as 1 / frequency ** decay, the lowest frequency standing for the
    mean, too. They are scaled so that coefficients of variance 1 make logits of
    variance 16: a sigmoid's derivative is at most 1/4, so that Adam's step of every
    coefficient moves the picture about as far as the same step of pixels.

    Args:
        size: (height, width) in pixels.
        decay: The power.

    Returns:
        float32 (height, width // 2 + 1); not to be written to.
    """
    import numpy as np

    height, width = size
    down, across = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]
    frequency = np.maximum(np.hypot(down, across), 1 / max(height, width))
    scale = frequency**-decay
    # Each column but the first, and the last of an even width, stands for two.
    twice = np.full(scale.shape[1], 2.0)
    twice[0] = 1.0
    if width % 2 == 0:
        twice[-1] = 1.0
    variance = 2 * np.sum(np.square(scale) * twice) / (height * width) ** 2
    return (scale * 4 / math.sqrt(variance)).astype(np.float32)


Canvas = Pixels | Fourier
"""Every canvas; adding one is its class and its name here."""
CANVASES: tuple[type[Part], ...] = get_args(Canvas)
