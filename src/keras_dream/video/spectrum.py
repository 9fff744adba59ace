"""The contrast of a picture at each size of detail, held at that of another picture.

A camera that comes closer magnifies whatever there is: what was fine becomes coarse,
and nothing fine is left but what is dreamed, while dark and light parts leave the
frame. After a hundred frames all its contrast would be that of the dream's own motifs.
So each frame is given the first one's contrasts, band by band of a Laplacian pyramid:
the frame's own shapes, as strong as those of their size in the first frame.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from keras_dream.geometry import pyramid_taps, weighed

MOST_GAIN = 1.2
"""What a band is multiplied by at most in one frame, and divided by at most. What is
nearly missing is not made up from rounding errors but comes back in some frames; with
1.2, bands of a zoom by 1.02 stayed within a tenth of the first frame's."""

LEAST = 12
"""Pixels of the shorter side of the coarsest band but one."""

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as `colorspaces`
_TINY = 1e-6


@dataclass(frozen=True, eq=False)
class Spectrum:
    """The contrasts of a picture.

    Attributes:
        mean: Its mean colour, float64 (3,).
        whole: The root mean squares of its luma's and its chroma's deviations from
            their means, float64 (2,).
        bands: The same of each band, the finest first, float64 (bands, 2).
    """

    mean: np.ndarray
    whole: np.ndarray
    bands: np.ndarray

    @classmethod
    def of(cls, image: np.ndarray) -> Self:
        """Measures an image, float32 (height, width, 3)."""
        mean = image.mean((0, 1), dtype=np.float64)
        centered = image - mean.astype(np.float32)
        bands = np.array([_strengths(band) for band in _bands(centered)])
        return cls(mean, _strengths(centered), bands)

    def between(self, other: "Spectrum", share: float) -> "Spectrum":
        """Returns contrasts on the way to another picture's of the same size.

        Args:
            other: Those.
            share: How far, from 0 to 1.
        """
        pairs = [
            (self.mean, other.mean),
            (self.whole, other.whole),
            (self.bands, other.bands),
        ]
        return Spectrum(*((1 - share) * a + share * b for a, b in pairs))

    def hold(self, image: np.ndarray, *, most: float = MOST_GAIN) -> np.ndarray:
        """Returns an image with these contrasts and this mean colour.

        Args:
            image: float32 (height, width, 3), of the size of the picture measured.
            most: What a band is multiplied by at most, and divided by at most. The mean
                and the contrasts of the whole become exactly these in any case.
        """
        mean = image.mean((0, 1), dtype=np.float64).astype(np.float32)
        pairs = zip(_bands(image - mean), self.bands, strict=True)
        *finer, held = (_with_strengths(band, wanted, most) for band, wanted in pairs)
        for band in reversed(finer):
            held = band + _grown(held, band.shape)
        held -= held.mean((0, 1), dtype=np.float64).astype(np.float32)
        held = _with_strengths(held, self.whole, np.inf)
        return held + self.mean.astype(np.float32)


def _bands(image: np.ndarray) -> list[np.ndarray]:
    """Returns an image's Laplacian pyramid, the finest band first."""
    bands: list[np.ndarray] = []
    while min(image.shape[:2]) > LEAST:
        small = image
        for axis in (0, 1):
            n = small.shape[axis]
            small = weighed(small, *pyramid_taps(n, (n + 1) // 2), axis)
        bands.append(image - _grown(small, image.shape))
        image = small
    return [*bands, image]


def _grown(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Returns a level of the pyramid at the size of the finer one."""
    for axis in (0, 1):
        image = weighed(image, *pyramid_taps(image.shape[axis], shape[axis]), axis)
    return image


def _strengths(image: np.ndarray) -> np.ndarray:
    """Returns the root mean squares of luma and chroma, float64 (2,)."""
    luma = image @ _LUMA
    rest = image - luma[..., None]
    return np.sqrt([np.square(part).mean(dtype=np.float64) for part in (luma, rest)])


def _with_strengths(image: np.ndarray, wanted: np.ndarray, most: float) -> np.ndarray:
    """Returns an image whose luma and chroma are as strong as is wanted."""
    gains = (wanted / np.maximum(_strengths(image), _TINY)).clip(1 / most, most)
    luma, rest = gains.astype(np.float32)
    return (luma - rest) * (image @ _LUMA)[..., None] + rest * image
