"""Synthetic pictures: coloured noise, and discs that cover each other.

Both are the same on every machine: whole 255ths from a seeded generator.
"""

import math

import numpy as np
from numpy.typing import NDArray

from keras_dream.geometry import Size

# Standard deviations, about those of photographs such as scikit-image's.
_GREY_DEVIATION, _COLOR_DEVIATION = 0.2, 0.08


def noise(seed: int, size: Size, *, steepness: float = 1.0) -> NDArray[np.float32]:
    """Returns an image of coloured noise, most of it grey.

    With a steepness of 1 no size of detail stands out: the amplitudes fall with one
    over the frequency, as those of photographs do (D. J. Field, 1987, "Relations
    between the statistics of natural images and the response properties of cortical
    cells"). Larger ones are smoother.

    Args:
        seed: Another seed gives another image.
        size: (height, width) in pixels.
        steepness: The power of the frequency by which the amplitudes are divided.

    Returns:
        float32 (height, width, 3) in [0, 1].
    """
    generator = np.random.Generator(np.random.PCG64([seed, 1]))
    rows = np.fft.fftfreq(size[0])[:, None]
    columns = np.fft.rfftfreq(size[1])[None, :]
    frequency = np.hypot(rows, columns)
    frequency[0, 0] = np.inf  # removes the mean, which becomes 0.5 below
    grey, *channels = (
        _unit_variance(
            np.fft.irfft2(np.fft.rfft2(white) / frequency**steepness, s=size)
        )
        for white in generator.normal(size=(4, *size))
    )
    color = np.stack(channels, axis=-1)
    return round_to_8_bits(
        0.5 + _GREY_DEVIATION * grey[..., None] + _COLOR_DEVIATION * color
    )


def leaves(seed: int, size: Size) -> NDArray[np.float32]:
    """Returns an image of discs that cover each other, small ones in larger numbers.

    Like photographs, and unlike noise, it has edges and uniform surfaces between them
    (A. B. Lee, D. Mumford and J. Huang, 2001, "Occlusion models for natural images":
    the dead leaves model with radii of density r^-3).

    Args:
        seed: Another seed gives another image.
        size: (height, width) in pixels.

    Returns:
        float32 (height, width, 3) in [0, 1].
    """
    generator = np.random.Generator(np.random.PCG64([seed, 2]))
    smallest, largest = 2.0, max(size) / 3  # radii in pixels
    count = 4 * math.ceil(size[0] * size[1] / 100)
    uniform = generator.random(count)
    radii = (smallest**-2 - uniform * (smallest**-2 - largest**-2)) ** -0.5
    centers = generator.random((count, 2)) * size
    grey = generator.normal(scale=_GREY_DEVIATION, size=(count, 1))
    colors = 0.5 + grey + generator.normal(scale=_COLOR_DEVIATION, size=(count, 3))
    image = noise(seed, size, steepness=2.0).astype(np.float64)
    for radius, center, color in zip(radii.tolist(), centers, colors, strict=True):
        y, x = float(center[0]), float(center[1])
        top, left = max(0, int(y - radius)), max(0, int(x - radius))
        box = image[top : int(y + radius) + 2, left : int(x + radius) + 2]
        rows: NDArray[np.float64] = np.arange(box.shape[0], dtype=np.float64)
        columns: NDArray[np.float64] = np.arange(box.shape[1], dtype=np.float64)
        distance = np.hypot((rows + top + 0.5 - y)[:, None], columns + left + 0.5 - x)
        # Edges are one pixel soft, as those of a lens.
        opacity = (radius + 0.5 - distance).clip(0, 1)[..., None]
        box += opacity * (color - box)
    return round_to_8_bits(image)


def round_to_8_bits(image: NDArray[np.float64]) -> NDArray[np.float32]:
    """Returns an image clipped to [0, 1] and rounded to whole 255ths."""
    return (np.rint(image.clip(0, 1) * 255) / 255).astype(np.float32)


def _unit_variance(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values / max(float(values.std()), 1e-12)
