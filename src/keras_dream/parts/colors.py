"""Colour treatments: what is done to the colours of a finished dream.

A treatment is called with the original and the dream, float32 `(height, width, 3)` in
[0, 1] of one size, and `picture`, which returns the pixels of a file that the recipe
names. It returns a new image in [0, 1]. Everything is computed on the host.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, cast, get_args

from pydantic import Field, model_validator

from keras_dream.errors import SettingError
from keras_dream.parts.part import Part
from keras_dream.recipe.files import FileRef
from keras_dream.recipe.settings import FiniteFloat

if TYPE_CHECKING:
    import numpy as np

    Image = np.ndarray
    PictureOf = Callable[[FileRef], Image]

_Share = Annotated[FiniteFloat, Field(ge=0, le=1)]
_Radius = Annotated[FiniteFloat, Field(ge=0, le=10_000)]


class Treatment(Part):
    """What colour treatments have in common.

    Attributes:
        is_local: Whether a place's colour depends on that place alone.
    """

    is_local: ClassVar[bool] = False


class Chroma(Treatment):
    """Colours made more vivid or paler, evenly to the eye.

    The opponent colours of OKLab are multiplied (B. Ottosson, "A perceptual color space
    for image processing", 2020): pale ones by the gain, vivid ones by less, so that few
    reach the limits of sRGB. Where t is how far a colour is on its way from grey to
    those limits, it comes to 1 - (1 - t)^gain.
    """

    is_local: ClassVar[bool] = True
    name: Literal["chroma"] = "chroma"
    gain: FiniteFloat = Field(
        default=1.5, ge=0, le=10, description="what the chroma is multiplied by"
    )

    def __call__(
        self, original: "Image", dream: "Image", *, picture: "PictureOf"
    ) -> "Image":
        """Returns the treated dream."""
        import numpy as np

        from keras_dream.parts import colorspaces as spaces

        lab = spaces.to_oklab(dream)
        gain = np.float32(self.gain)
        if gain > 1:
            way = np.maximum(spaces.saturation(dream), np.float32(1e-3))
            gain = ((1 - (1 - way) ** gain) / way)[..., None]
        lab[..., 1:] *= gain
        return spaces.from_oklab(lab)


class ChromaLimit(Treatment):
    """Colours no more vivid than a limit, approached softly from half of it on."""

    is_local: ClassVar[bool] = True
    name: Literal["chroma_limit"] = "chroma_limit"
    limit: FiniteFloat = Field(
        default=0.12,
        gt=0,
        le=1,
        description="the largest chroma in OKLab; sRGB has at most 0.33",
    )

    def __call__(
        self, original: "Image", dream: "Image", *, picture: "PictureOf"
    ) -> "Image":
        """Returns the treated dream."""
        import numpy as np

        from keras_dream.parts import colorspaces as spaces

        lab = spaces.to_oklab(dream)
        chroma = np.hypot(lab[..., 1], lab[..., 2])
        half = np.float32(self.limit / 2)
        over = np.maximum(chroma - half, 0)
        soft = np.minimum(chroma, half) + half * np.tanh(over / half)
        lab[..., 1:] *= (soft / np.maximum(chroma, 1e-6))[..., None]
        return spaces.from_oklab(lab)


class Defringe(Treatment):
    """The dream's changes of colour, smoothed; its light and shade stay sharp.

    It takes away the rainbow fringes along bright edges: the eye sees colours less
    sharply than light, which is also why JPEG stores them at half the size.
    """

    name: Literal["defringe"] = "defringe"
    radius: _Radius = Field(default=2.0, description="how far colours run, in pixels")

    def __call__(
        self, original: "Image", dream: "Image", *, picture: "PictureOf"
    ) -> "Image":
        """Returns the treated dream."""
        from keras_dream.parts import colorspaces as spaces

        lab, change = spaces.to_oklab(dream), spaces.to_oklab(original)
        change = lab[..., 1:] - change[..., 1:]
        lab[..., 1:] += blurred(change, self.radius) - change
        return spaces.from_oklab(lab)


class ContrastLock(Treatment):
    """The original's brightness and contrast: mean and deviation of the luma.

    Over the whole picture, or around every pixel, which keeps plain parts plain.
    """

    name: Literal["contrast_lock"] = "contrast_lock"
    radius: _Radius = Field(
        default=0.0,
        description="around every pixel, so far in pixels; 0 for the whole picture",
    )

    def __call__(
        self, original: "Image", dream: "Image", *, picture: "PictureOf"
    ) -> "Image":
        """Returns the treated dream."""
        import numpy as np

        from keras_dream.parts import colorspaces as spaces

        y = spaces.luma(dream)
        mean, deviation = self._statistics(spaces.luma(original))
        own_mean, own_deviation = self._statistics(y)
        gain = deviation / np.maximum(own_deviation, 1e-3)
        locked = mean + gain * (y - own_mean)
        return spaces.around_grey(locked, dream - y[..., None])

    def _statistics(self, y: "Image") -> "tuple[Image, Image]":
        import numpy as np

        if self.radius == 0:
            return y.mean(), y.std()
        mean = blurred(y[..., None], self.radius)[..., 0]
        square = blurred(np.square(y)[..., None], self.radius)[..., 0]
        return mean, np.sqrt(np.maximum(square - np.square(mean), 0))


class Histogram(Treatment):
    """The original's histograms of red, green and blue.

    Source: R. C. Gonzalez, R. E. Woods, Digital Image Processing, "Histogram matching":
    every value becomes the one that as large a share of the original lies below.
    """

    name: Literal["histogram"] = "histogram"

    def __call__(
        self, original: "Image", dream: "Image", *, picture: "PictureOf"
    ) -> "Image":
        """Returns the treated dream."""
        import numpy as np

        result = np.empty_like(dream)
        for channel in range(3):
            levels, own = _cumulative(dream[..., channel])
            wanted, below = _cumulative(original[..., channel])
            curve = np.interp(own, below, wanted)
            result[..., channel] = np.interp(dream[..., channel], levels, curve)
        return result


class Palette(Treatment):
    """The colours of a guide picture: means and covariances in OKLab become its own.

    E. Reinhard et al., "Color transfer between images", 2001, match means and
    deviations; F. Pitié and A. Kokaram, "The linear Monge-Kantorovitch linear colour
    mapping for example-based colour transfer", 2007, match covariances, too, by the
    mapping that moves colours least, which is used here.
    """

    name: Literal["palette"] = "palette"
    file: FileRef = Field(description="the guide picture")
    amount: _Share = Field(
        default=1.0, description="from 0, the dream's own colours, to 1, the guide's"
    )

    @model_validator(mode="before")
    @classmethod
    def _check_file(cls, values: Any) -> Any:
        if isinstance(values, dict) and "file" not in cast("dict[str, Any]", values):
            raise SettingError(
                "A palette must name its guide picture", hint="try palette(guide.jpg)"
            )
        return cast("Any", values)

    def __call__(
        self, original: "Image", dream: "Image", *, picture: "PictureOf"
    ) -> "Image":
        """Returns the treated dream."""
        import numpy as np

        from keras_dream.parts import colorspaces as spaces

        lab = spaces.to_oklab(dream)
        mean, covariance = _color_statistics(lab)
        guide_mean, guide_covariance = _color_statistics(
            spaces.to_oklab(picture(self.file))
        )
        root, inverse = _matrix_power(covariance, 0.5), _matrix_power(covariance, -0.5)
        between = _matrix_power(root @ guide_covariance @ root, 0.5)
        matrix = inverse @ between @ inverse  # symmetric
        moved = (lab - mean) @ matrix.astype(np.float32) + guide_mean
        return spaces.from_oklab(lab + np.float32(self.amount) * (moved - lab))


class Decorrelate(Treatment):
    """Red, green and blue stretched until they vary independently: false colours.

    Source: A. R. Gillespie, A. B. Kahle, R. E. Walker, "Color enhancement of highly
    correlated images", Remote Sensing of Environment 20, 1986: the principal components
    of the colours get equal deviations. That of the luma stays.
    """

    name: Literal["decorrelate"] = "decorrelate"
    amount: _Share = Field(
        default=0.5,
        description="from 0, the dream's own colours, to 1, fully independent ones",
    )

    def __call__(
        self, original: "Image", dream: "Image", *, picture: "PictureOf"
    ) -> "Image":
        """Returns the treated dream."""
        import numpy as np

        from keras_dream.parts import colorspaces as spaces

        mean, covariance = _color_statistics(dream)
        stretch = _matrix_power(covariance, -0.5 * self.amount)
        values = (dream - mean) @ stretch.astype(np.float32)
        deviation = max(float(spaces.luma(values).std()), 1e-6)
        values *= np.float32(spaces.luma(dream).std() / deviation)
        values += mean
        y = spaces.luma(values)
        # Gently at the limits of sRGB, the more the farther colours are stretched.
        hardness = 4 / self.amount if self.amount > 0.2 else math.inf
        return spaces.around_grey(y, values - y[..., None], hardness=hardness)


class SoftClip(Treatment):
    """No clipped lights and shadows but the original's own.

    A change is shortened as it nears black or white: by a fifth where it would just
    reach them, hardly at half of the way.
    """

    is_local: ClassVar[bool] = True
    name: Literal["soft_clip"] = "soft_clip"
    hardness: FiniteFloat = Field(
        default=3.0, ge=1, le=20, description="how late the shortening begins"
    )

    def __call__(
        self, original: "Image", dream: "Image", *, picture: "PictureOf"
    ) -> "Image":
        """Returns the treated dream."""
        import numpy as np

        change = dream - original
        room = np.where(change > 0, 1 - original, original)
        share = np.abs(change) / np.maximum(room, np.float32(1e-6))
        # t / (1 + t^p)^(1/p): the identity for small t, never above 1.
        power = np.float32(self.hardness)
        return np.clip(original + change / (1 + share**power) ** (1 / power), 0, 1)


def blurred(values: "Image", radius: float) -> "Image":
    """Returns values blurred like a Gaussian of this standard deviation.

    Three box filters, each of a third of the variance, over what is inside the picture.

    Args:
        values: float32 (height, width, channels).
        radius: The standard deviation in pixels.
    """
    # A box of 2h + 1 cells has the variance h (h + 1) / 3.
    low = int((math.sqrt(4 * radius**2 + 1) - 1) / 2)
    wider = round((radius**2 - low * (low + 1)) * 3 / (2 * (low + 1)))
    halves = [low] * (3 - wider) + [low + 1] * wider
    for axis in (0, 1):
        for half in filter(None, halves):
            values = _boxed(values, half, axis)
    return values


def _boxed(values: "Image", half: int, axis: int) -> "Image":
    """Returns the means of windows of 2 · half + 1 cells, cut at the border."""
    import numpy as np

    from keras_dream.geometry import bands

    lines = np.empty(values.shape, np.float32).swapaxes(0, 1 - axis)
    across = values.swapaxes(0, 1 - axis)
    for band in bands(lines.shape):  # in float64, which is twice as large
        lines[band] = _means(across[band].swapaxes(0, 1), half).swapaxes(0, 1)
    return lines.swapaxes(0, 1 - axis)


def _means(values: "Image", half: int) -> "Image":
    """Returns the means of windows down the first axis."""
    import numpy as np

    count = len(values)
    sums = np.empty((count + 2 * half + 1, *values.shape[1:]))
    sums[: half + 1] = 0
    np.cumsum(values, axis=0, out=sums[half + 1 : half + 1 + count])
    sums[half + 1 + count :] = sums[half + count]
    cells = np.arange(count)
    ends, starts = np.minimum(cells + half + 1, count), np.maximum(cells - half, 0)
    means = sums[2 * half + 1 :] - sums[:count]
    means /= (ends - starts).reshape(-1, *[1] * (values.ndim - 1))
    return means


_LEVELS = 4096  # of a histogram: sixteen to each of the 8-bit values


def _cumulative(values: "Image") -> "tuple[Image, Image]":
    """Returns the levels that occur, and which share of the values lies below each.

    Of the values at the level itself, half are counted.
    """
    import numpy as np

    cells = np.minimum((values * _LEVELS).astype(np.intp), _LEVELS - 1)
    counts = np.bincount(cells.ravel(), minlength=_LEVELS)
    below = (np.cumsum(counts) - counts / 2) / max(values.size, 1)
    occurs = counts > 0
    return ((np.arange(_LEVELS) + 0.5) / _LEVELS)[occurs], below[occurs]


def _color_statistics(values: "Image") -> "tuple[Image, Image]":
    """Returns the mean and the covariance of colours: (3,) and (3, 3)."""
    import numpy as np

    flat = values.reshape(-1, 3)
    mean = flat.mean(axis=0, dtype=np.float64)
    centred = flat - mean.astype(np.float32)
    return mean.astype(np.float32), (centred.T @ centred).astype(np.float64) / len(flat)


def _matrix_power(matrix: "Image", power: float) -> "Image":
    """Returns a power of a symmetric matrix that is not negative."""
    import numpy as np

    values, vectors = np.linalg.eigh(matrix)
    # A component without variance, as of a grey picture, must stay one.
    values = np.maximum(values, 1e-8)
    return (vectors * values**power) @ vectors.T


Color = (
    Chroma
    | ChromaLimit
    | Defringe
    | ContrastLock
    | Histogram
    | Palette
    | Decorrelate
    | SoftClip
)
"""Every colour treatment; adding one is its class and its name here."""
COLORS: tuple[type[Treatment], ...] = get_args(Color)
