"""Filters: what is done to the image's gradient before it is normalized.

A filter is called with the gradient, a feature map of the image's size, and with what
it may look at, and returns the changed gradient.
"""

import math
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from pydantic import Field

from keras_dream.parts.canvases import Size, color_matrix
from keras_dream.parts.normalizers import Normalizer
from keras_dream.parts.part import Array, Part
from keras_dream.recipe.settings import FiniteFloat

if TYPE_CHECKING:
    from keras_dream.backend.protocol import Backend


class Place(NamedTuple):
    """Where in a dream a gradient is filtered.

    Attributes:
        size: (height, width) of the image in pixels.
        progress: How much of the octave is done, from 0 in its first step to 1.
        weights: How much each place counts, a map of one channel; None for all alike.
        wrap: The recipe's own: which edges belong together.
        share: How much of the image the network has seen; elsewhere the gradient is 0.
    """

    size: Size
    progress: float = 0.0
    weights: Array | None = None
    wrap: Literal["none", "horizontal", "both"] = "none"
    share: float = 1.0


class Smooth(Part):
    """A Gaussian blur, which takes the finest grain out of a step.

    Its width may go from one value to another over an octave's steps, linearly. Source
    of such a schedule: gordicaleksa/pytorch-deepdream, whose standard deviations grow
    over an octave, and who takes the mean of three blurs.
    """

    name: Literal["smooth"] = "smooth"
    sigma: FiniteFloat = Field(
        default=1.0, gt=0, le=64, description="standard deviation in pixels"
    )
    end: FiniteFloat | None = Field(
        default=None,
        ge=0,
        le=64,
        description="that of an octave's last step; none for the same",
    )

    def apply(self, backend: "Backend", gradient: Array, place: Place) -> Array:
        """Returns the smoothed gradient."""
        end = self.sigma if self.end is None else self.end
        sigma = self.sigma + (end - self.sigma) * place.progress
        return _blurred(backend, gradient, place.size, sigma, place.wrap)


def _blurred(
    backend: "Backend", x: Array, size: Size, sigma: float, wrap: str
) -> Array:
    """Returns a map blurred by a Gaussian, a wide one at half the size.

    Halving a map and doubling it again are blurs of variance 1 each, so that a coarser
    map lacks 2 of the variance, in units of a quarter: a wide blur costs no more than a
    narrow one, and differs from the Gaussian by about a hundredth of its peak.
    """
    from keras_dream.geometry import gaussian_taps

    if sigma < 0.05:  # the centre then weighs 1 in float32
        return x
    if sigma >= 3 and min(size) > 8 * sigma:
        half = _halved(size)
        coarse = _resampled(backend, x, size, half, wrap)
        rest = math.sqrt((sigma * sigma - 2) / 4)
        coarse = _blurred(backend, coarse, half, rest, wrap)
        return _resampled(backend, coarse, half, size, wrap)
    rows = gaussian_taps(size[0], sigma, wraps=wrap == "both")
    columns = gaussian_taps(size[1], sigma, wraps=wrap != "none")
    return backend.resample(x, rows, columns)


class Laplacian(Part):
    """Every band of frequencies made equally strong, which brings out large forms.

    The gradient is taken apart into a Laplacian pyramid, each level divided by the root
    of its mean square, and put together. Source: A. Mordvintsev, "DeepDreaming with
    TensorFlow" (2015), `lap_normalize`, 4 levels; here edges are reflected instead of
    padded with zeros.
    """

    name: Literal["laplacian"] = "laplacian"
    levels: int = Field(
        default=4, ge=1, le=12, description="bands above the coarsest, which is kept"
    )

    def apply(self, backend: "Backend", gradient: Array, place: Place) -> Array:
        """Returns the gradient with equal bands."""
        b, low, size = backend, gradient, place.size
        del gradient  # which is large, and nobody's any more
        bands: list[tuple[Array, Size, Size]] = []
        while len(bands) < self.levels and min(size) > 1:
            half = _halved(size)
            coarse = _resampled(b, low, size, half, place.wrap)
            band = b.subtract(low, _resampled(b, coarse, half, size, place.wrap))
            bands.append((band, half, size))
            low, size = coarse, half
        low = _at_one(b, low)
        while bands:
            band, half, size = bands.pop()
            low = b.add(_resampled(b, low, half, size, place.wrap), _at_one(b, band))
        return low


def _halved(size: Size) -> Size:
    return (size[0] + 1) // 2, (size[1] + 1) // 2


def _resampled(
    backend: "Backend", x: Array, size: Size, target: Size, wrap: str
) -> Array:
    from keras_dream.geometry import pyramid_taps

    rows = pyramid_taps(size[0], target[0], wraps=wrap == "both")
    columns = pyramid_taps(size[1], target[1], wraps=wrap != "none")
    return backend.resample(x, rows, columns)


def _at_one(backend: "Backend", x: Array) -> Array:
    return Normalizer("rms", 0.0, backend).scaled(x, 1.0)


class Clip(Part):
    """Limits for single values, so that no pixel steps much further than the others."""

    name: Literal["clip"] = "clip"
    limit: FiniteFloat = Field(
        default=3.0,
        gt=0,
        le=1000,
        description="largest size, in multiples of the mean size",
    )

    def apply(self, backend: "Backend", gradient: Array, place: Place) -> Array:
        """Returns the limited gradient."""
        mean = Normalizer("mean_abs", 0.0, backend).divisor(
            gradient, weights=place.weights, share=place.share
        )
        return backend.clip(gradient, -self.limit * mean, self.limit * mean)


class Decorrelate(Part):
    """A step of independent colours, so that light and shade change more than hues.

    In photographs red, green and blue rise and fall together. A step along the gradient
    of independent colours is, in red, green and blue, the gradient times the covariance
    of ImageNet's colours. Source of the matrix: see `canvases.color_matrix`.
    """

    name: Literal["decorrelate"] = "decorrelate"
    amount: FiniteFloat = Field(
        default=1.0,
        ge=0,
        le=1,
        description="share of that step in a mix with the plain gradient",
    )

    def apply(self, backend: "Backend", gradient: Array, place: Place) -> Array:
        """Returns the gradient in colours that belong together."""
        import numpy as np

        covariance = color_matrix().T @ color_matrix()
        covariance *= 3 / np.trace(covariance)
        mixed = (1 - self.amount) * np.eye(3) + self.amount * covariance
        return backend.matmul(gradient, backend.array(mixed))


class Chroma(Part):
    """Colours that change in broad patches, in steps of a stated share of the light's.

    A gradient is taken apart into light, the mean of red, green and blue, and the rest.
    Most of the rest is fine grain, which becomes rainbow fringes. What is left of it
    after a blur are the colours of the motifs. Ours, chosen by looking.
    """

    name: Literal["chroma"] = "chroma"
    sigma: FiniteFloat = Field(
        default=8.0, gt=0, le=64, description="standard deviation in pixels"
    )
    share: FiniteFloat = Field(
        default=0.5,
        ge=0,
        le=10,
        description="mean size of the colours' steps, in multiples of the light's",
    )

    def apply(self, backend: "Backend", gradient: Array, place: Place) -> Array:
        """Returns the gradient with broad colours."""
        import numpy as np

        grey = backend.array(np.full((3, 3), 1 / 3))
        light = backend.matmul(gradient, grey)
        colors = backend.subtract(gradient, light)
        del gradient  # which is large, and nobody's any more
        colors = _blurred(backend, colors, place.size, self.sigma, place.wrap)
        mean = Normalizer("mean_abs", 0.0, backend).divisor(
            light, weights=place.weights
        )
        # Rounding errors of a grey gradient are no colours.
        normalizer = Normalizer("mean_abs", 1e-3 * mean, backend)
        colors = normalizer.scaled(colors, self.share * mean, weights=place.weights)
        return backend.add(light, colors)


Filter = Smooth | Laplacian | Clip | Decorrelate | Chroma
"""Every filter; adding one is its class and its name here."""
FILTERS: tuple[type[Part], ...] = get_args(Filter)
