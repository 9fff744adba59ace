"""Canvases: which parameters make the image, and how.

A canvas is bound to a backend and a size, which gives a `Surface`; the gradient reaches
the parameters through `Surface.image`, by the backend's own differentiation.
"""

import abc
import functools
import math
from typing import TYPE_CHECKING, Any, Literal, get_args

from pydantic import Field

from keras_dream.parts.part import Array, Arrays, Part
from keras_dream.recipe.settings import FiniteFloat

if TYPE_CHECKING:
    import numpy as np

    from keras_dream.backend.protocol import Backend
    from keras_dream.geometry import Wrap

Size = tuple[int, int]  # (height, width) in pixels


class Surface(abc.ABC):
    """A canvas of one size on a backend.

    Attributes:
        is_identity: Whether the only parameter is the image itself.
        is_local: Whether each parameter has a place, and makes the image's cell there.
        fixed: What `parameters` has taken from its image that no step changes.
    """

    is_identity = False
    is_local = False
    fixed: Arrays = ()

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

    def on(self, backend: "Backend", size: Size, wrap: "Wrap") -> Surface:
        """Returns the canvas for an image on a backend.

        Args:
            backend: Where it is computed.
            size: The image's (height, width) in pixels.
            wrap: Which of its edges belong together.
        """
        return _PixelSurface(backend)


class _PixelSurface(Surface):
    is_identity = True
    is_local = True

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


class Decorrelated(Part):
    """Pixels in coordinates of independent colours.

    The colours of photographs vary together: mostly in lightness, less from red to
    blue, least from green to purple. A step along the gradient in these coordinates
    changes the picture in the same proportions, so that the dream has the colours of
    photographs in place of rainbow fringes. Source: C. Olah, A. Mordvintsev,
    L. Schubert, "Feature Visualization", Distill 2017, "decorrelated space".
    """

    name: Literal["decorrelated"] = "decorrelated"

    def on(self, backend: "Backend", size: Size, wrap: "Wrap") -> Surface:
        """Returns the canvas for an image; arguments as for `Pixels.on`."""
        return _DecorrelatedSurface(backend)


class _Colors:
    """Images in coordinates of independent colours, and back."""

    def __init__(self, backend: "Backend"):
        import numpy as np

        self._backend = backend
        self._matrix = backend.array(color_matrix().astype(np.float32))
        inverse = np.linalg.inv(color_matrix())
        self._inverse = backend.array(inverse.astype(np.float32))

    def of(self, image: Array) -> Array:
        return self._backend.matmul(image, self._inverse)

    def image(self, colors: Array) -> Array:
        return self._backend.matmul(colors, self._matrix)


class _DecorrelatedSurface(Surface):
    is_local = True

    def __init__(self, backend: "Backend"):
        self._backend = backend
        self._colors = _Colors(backend)

    def parameters(self, image: Array) -> Arrays:
        return (self._colors.of(image),)

    def image(self, parameters: Arrays) -> Array:
        return self._colors.image(parameters[0])

    def movement(self, changes: Arrays) -> Array:
        return self.image(changes)

    def clamp(self, parameters: Arrays) -> Arrays:
        return self.parameters(self._backend.clip(self.image(parameters), 0.0, 1.0))


class Laplacian(Part):
    """A pyramid: the sum of maps of which each is half as large as the one before.

    A step changes every size of detail, down to the pixels; the gradient of a large
    form is gathered by the few numbers of a small map. Colours are independent, as in
    `Decorrelated`: else large forms come in rainbow colours. Sources: P. Burt,
    E. Adelson, "The Laplacian Pyramid as a Compact Image Code", 1983;
    tensorflow/lucid, optvis/param/lowres.py.
    """

    name: Literal["laplacian"] = "laplacian"
    levels: int = Field(default=5, ge=1, le=16, description="how many maps are summed")
    decay: FiniteFloat = Field(
        default=0.5,
        ge=0,
        le=4,
        description="a map counts more with its pixel's width to this power",
    )

    def on(self, backend: "Backend", size: Size, wrap: "Wrap") -> Surface:
        """Returns the canvas for an image; arguments as for `Pixels.on`."""
        return _LaplacianSurface(backend, size, self.levels, self.decay, wrap)


class _LaplacianSurface(Surface):
    def __init__(
        self, backend: "Backend", size: Size, levels: int, decay: float, wrap: "Wrap"
    ):
        self._backend = backend
        self._wrap = wrap
        self._colors = _Colors(backend)
        self._sizes = [
            (-(-size[0] // 2**level), -(-size[1] // 2**level))
            for level in range(levels)
        ]
        # A map's gradient sums 4 ** level pixels, so that without the first power a
        # step would change large forms that much more.
        scales = [2.0 ** (level * (decay - 1)) for level in range(levels)]
        length = math.hypot(*scales)
        self._scales = [scale / length for scale in scales]

    def parameters(self, image: Array) -> Arrays:
        b, image = self._backend, self._colors.of(image)
        maps: list[Array] = []
        for level in reversed(range(1, len(self._sizes))):
            low = self._resized(image, 0, level)
            image = b.subtract(image, self._resized(low, level, 0))
            maps.append(low)
        scaled = zip((image, *reversed(maps)), self._scales, strict=True)
        return tuple(b.multiply(x, 1 / scale) for x, scale in scaled)

    def image(self, parameters: Arrays) -> Array:
        b = self._backend
        scaled = map(b.multiply, parameters, self._scales)
        maps = (self._resized(x, level, 0) for level, x in enumerate(scaled))
        return self._colors.image(functools.reduce(b.add, maps))

    def movement(self, changes: Arrays) -> Array:
        return self.image(changes)

    def clamp(self, parameters: Arrays) -> Arrays:
        b, image = self._backend, self.image(parameters)
        excess = b.subtract(b.clip(image, 0.0, 1.0), image)
        change = b.multiply(self._colors.of(excess), 1 / self._scales[0])
        return (b.add(parameters[0], change), *parameters[1:])

    def _resized(self, x: Array, level: int, target: int) -> Array:
        if self._sizes[level] == self._sizes[target]:
            return x
        from keras_dream.geometry import taps

        (h, w), (height, width) = self._sizes[level], self._sizes[target]
        rows = taps(h, height, "lanczos3", wrap=self._wrap == "both")
        columns = taps(w, width, "lanczos3", wrap=self._wrap != "none")
        return self._backend.resample(x, rows, columns)


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

    def on(self, backend: "Backend", size: Size, wrap: "Wrap") -> Surface:
        """Returns the canvas for an image; arguments as for `Pixels.on`."""
        return _FourierSurface(backend, size, self.decay)


# A root of the covariance of the colours of ImageNet's pictures (red, green and blue by
# independent colours): tensorflow/lucid, optvis/param/color.py, divided there, as here,
# by the length of its longest column.
_COLOR_ROOT = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))
# The least distance from black and white that logits stand for: half a grey level.
_LEAST = 0.5 / 255


class _Waves(Surface):
    """The spectrum of the logits of an image in independent colours, and back."""

    def __init__(self, backend: "Backend", size: Size):
        self._backend = backend
        self._size = size
        self._colors = backend.array(color_matrix().astype("float32"))

    def _spectrum_of(self, image: Array) -> "np.ndarray":
        """Returns complex numbers (height, width // 2 + 1, 3)."""
        import numpy as np

        pixels = self._backend.to_image(image).astype(np.float64)
        pixels = pixels.clip(_LEAST, 1 - _LEAST)
        logits = np.log(pixels / (1 - pixels)) @ np.linalg.inv(color_matrix())
        return np.fft.rfft2(logits, axes=(0, 1))

    def _logits(self, real: Array, imaginary: Array) -> Array:
        colors = self._backend.inverse_fft(real, imaginary, self._size)
        return self._backend.matmul(colors, self._colors)

    def _numbers(self, spectrum: Any) -> Arrays:
        """Returns complex numbers as two arrays on the device."""
        import numpy as np

        halves = (np.real(spectrum), np.imag(spectrum))
        return tuple(self._backend.image(half.astype(np.float32)) for half in halves)


class _FourierSurface(_Waves):
    def __init__(self, backend: "Backend", size: Size, decay: float):
        super().__init__(backend, size)
        self._spectrum = spectrum_scale(size, decay)[..., None]
        self._scale = backend.image(self._spectrum)

    def parameters(self, image: Array) -> Arrays:
        return self._numbers(self._spectrum_of(image) / self._spectrum)

    def image(self, parameters: Arrays) -> Array:
        return self._backend.activation(self._scaled(parameters), "sigmoid")

    def movement(self, changes: Arrays) -> Array:
        return self._backend.multiply(self._scaled(changes), 0.25)  # sigmoid'(0)

    def _scaled(self, numbers: Arrays) -> Array:
        return self._logits(*(self._backend.multiply(n, self._scale) for n in numbers))


class Maco(Part):
    """Waves of which only the phase changes; how strong each one is stays as it was.

    A dream can add neither noise nor contrast: it moves and joins what is there. With
    `magnitude=photo` the waves are as strong as in the image that an octave begins
    with, which comes back as it is. With `natural` they are about those of the average
    photograph; of the image only the mean colour and the phases are kept, which carry
    its forms. Colours, sigmoid and decay are those of `Fourier`, the magnitude
    in the place of 1 / frequency. Sources: T. Fel et al., "Unlocking Feature
    Visualization for Deeper Networks with MAgnitude Constrained Optimization", 2023,
    arXiv:2306.06805, which has the average of ImageNet; D. J. Field, "Relations between
    the statistics of natural images and the response properties of cortical cells",
    1987, which has 1 / frequency.
    """

    name: Literal["maco"] = "maco"
    magnitude: Literal["photo", "natural"] = Field(
        default="photo", description="how strong the waves are"
    )
    decay: FiniteFloat = Field(
        default=0.5,
        ge=0,
        le=2,
        description="a step counts with a wave's magnitude to this power",
    )

    def on(self, backend: "Backend", size: Size, wrap: "Wrap") -> Surface:
        """Returns the canvas for an image; arguments as for `Pixels.on`."""
        return _MacoSurface(backend, size, self)


# Waves weaker than this share of the strongest have phases of rounding errors only.
_WEAKEST = 1e-7
# Natural magnitudes fall with the frequency to this power, by eye: between the 1 of
# photographs (Field 1987), where every pixel is grainy, and the 2.4 of the published
# average, which is of pictures that were enlarged.
_NATURAL_POWER = 1.5
# The standard deviation of the logits of a picture of natural magnitudes: published.
_NATURAL_DEVIATION = 1.0


class _MacoSurface(_Waves):
    """Its parameters are complex numbers, whose directions are the waves' phases.

    Their lengths decide only how far a step turns them. Fixed are the magnitudes, and
    how far a wave moves with its number.
    """

    def __init__(self, backend: "Backend", size: Size, canvas: Maco):
        super().__init__(backend, size)
        self._canvas = canvas

    def parameters(self, image: Array) -> Arrays:
        import numpy as np

        from keras_dream.geometry import random_phases

        b, spectrum = self._backend, self._spectrum_of(image)
        magnitude = np.abs(spectrum)
        weak = magnitude <= _WEAKEST * magnitude.max()
        phase = np.where(weak, random_phases(self._size)[..., None], spectrum)
        phase /= np.abs(phase)
        if self._canvas.magnitude == "natural":
            mean = magnitude[0, 0]
            scale = spectrum_scale(self._size, _NATURAL_POWER)[..., None]
            # `scale` is for two coefficients of variance 1 and logits of variance 16.
            magnitude = np.repeat(
                scale * (math.sqrt(2) / 4 * _NATURAL_DEVIATION), 3, axis=2
            )
            magnitude[0, 0] = mean
        floor = np.maximum(magnitude, _WEAKEST * magnitude.max() or 1.0)
        turn = floor**self._canvas.decay
        turn *= 4 / _deviation(np.sqrt(np.square(turn).mean(axis=2)), self._size)
        self.fixed = tuple(b.image(x.astype(np.float32)) for x in (magnitude, turn))
        return self._numbers(phase * (floor / turn))

    def image(self, parameters: Arrays) -> Array:
        b = self._backend
        squares = b.add(*map(b.square, parameters))
        strength = b.multiply(self.fixed[0], b.power(squares, -0.5))
        halves = (b.multiply(half, strength) for half in parameters)
        return b.activation(self._logits(*halves), "sigmoid")

    def movement(self, changes: Arrays) -> Array:
        b = self._backend
        halves = (b.multiply(half, self.fixed[1]) for half in changes)
        return b.multiply(self._logits(*halves), 0.25)  # sigmoid'(0)


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
    # A coefficient has two parts of variance 1.
    return (scale * 4 / (2**0.5 * _deviation(scale, size))).astype(np.float32)


def _deviation(spectrum: "np.ndarray", size: Size) -> float:
    """Returns the standard deviation of a map with a spectrum's magnitudes."""
    import numpy as np

    # Each column but the first, and the last of an even width, stands for two.
    counts = np.full(spectrum.shape[1], 2.0)
    counts[0] = 1.0
    if size[1] % 2 == 0:
        counts[-1] = 1.0
    return math.sqrt(np.sum(np.square(spectrum) * counts)) / math.prod(size)


Canvas = Pixels | Decorrelated | Laplacian | Fourier | Maco
"""Every canvas; adding one is its class and its name here."""
CANVASES: tuple[type[Part], ...] = get_args(Canvas)
