"""Synthetic pictures: coloured noise, clouds, and discs that cover each other.

All are the same on every machine: whole 255ths from a seeded generator.
"""

import math

import numpy as np
from numpy.typing import NDArray

from keras_dream.geometry import Size

# Standard deviations, about those of photographs such as scikit-image's.
_GREY_DEVIATION, _COLOR_DEVIATION = 0.2, 0.08
_PERLIN_SIZES = 6  # a blob of 256 pixels is broken down to 8
_PATCH = 0.25  # the size of a patch, as a share of the longer side


def noise(
    seed: int, size: Size, *, steepness: float = 1.0, contrast: float = 1.0
) -> NDArray[np.float32]:
    """Returns an image of coloured noise, most of it grey.

    With a steepness of 1 no size of detail stands out: the amplitudes fall with one
    over the frequency, as those of photographs do (D. J. Field, 1987, "Relations
    between the statistics of natural images and the response properties of cortical
    cells"). Larger ones are smoother.

    Args:
        seed: Another seed gives another image.
        size: (height, width) in pixels.
        steepness: The power of the frequency by which the amplitudes are divided.
        contrast: A factor of the deviation from the mean grey.

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
    return _mixed(grey, channels, contrast)


def perlin(
    seed: int, size: Size, *, scale: float = 0.25, contrast: float = 1.0
) -> NDArray[np.float32]:
    """Returns an image of clouds: gradient noise of six sizes, most of it grey.

    Each size is half as large and half as strong as the one before. Source: K. Perlin,
    "Improving Noise", 2002, with directions drawn at random for each corner.

    Args:
        seed: Another seed gives another image.
        size: (height, width) in pixels.
        scale: The largest blobs' size, as a share of the longer side.
        contrast: A factor of the deviation from the mean grey.

    Returns:
        float32 (height, width, 3) in [0, 1].
    """
    generator = np.random.Generator(np.random.PCG64([seed, 3]))
    cell = scale * max(size)
    grey, *channels = (
        _unit_variance(
            sum(
                (
                    _gradient_noise(generator, size, max(cell / 2**k, 1.0)) / 2**k
                    for k in range(_PERLIN_SIZES)
                ),
                start=np.zeros(size),
            )
        )
        for _ in range(4)
    )
    return _mixed(grey, channels, contrast)


def patches(seed: int, size: Size, *, number: int) -> NDArray[np.float32]:
    """Returns soft patches that cover half of a picture, about four of them across.

    Args:
        seed: The recipe's.
        size: (height, width) in pixels.
        number: Of the draw: each gives other patches.

    Returns:
        float32 (height, width) in [0, 1], 0.5 or more in half of the pixels.
    """
    generator = np.random.Generator(np.random.PCG64([seed, 4, number]))
    noise = _gradient_noise(generator, size, _PATCH * max(size))
    above = (noise - np.median(noise)) / max(float(noise.std()), 1e-6)
    return (0.5 + 0.75 * above).clip(0, 1).astype(np.float32)


def _gradient_noise(
    generator: np.random.Generator, size: Size, cell: float
) -> NDArray[np.float64]:
    """Returns noise of blobs about as large as a cell in pixels."""
    rows, columns = (np.arange(side) / cell for side in size)
    corners = (int(rows[-1]) + 2, int(columns[-1]) + 2)
    angle = generator.random(corners) * (2 * math.pi)
    top, left = rows.astype(int)[:, None], columns.astype(int)[None, :]
    y, x = (rows % 1.0)[:, None], (columns % 1.0)[None, :]

    def corner(down: int, right: int) -> NDArray[np.float64]:
        turned = angle[top + down, left + right]
        return np.sin(turned) * (y - down) + np.cos(turned) * (x - right)

    fade_y, fade_x = (t**3 * (t * (t * 6 - 15) + 10) for t in (y, x))
    upper = corner(0, 0) + fade_x * (corner(0, 1) - corner(0, 0))
    lower = corner(1, 0) + fade_x * (corner(1, 1) - corner(1, 0))
    return upper + fade_y * (lower - upper)


def _mixed(
    grey: NDArray[np.float64], channels: list[NDArray[np.float64]], contrast: float
) -> NDArray[np.float32]:
    """Returns an image of maps of variance 1: one for all colours, and one for each."""
    color = np.stack(channels, axis=-1)
    deviation = _GREY_DEVIATION * grey[..., None] + _COLOR_DEVIATION * color
    return round_to_8_bits(0.5 + contrast * deviation)


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
