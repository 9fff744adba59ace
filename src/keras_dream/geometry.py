"""Octave sizes, jitter offsets and resampling taps, computed on the host.

Everything here is the same on every backend, and so is all randomness of a dream.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Size = tuple[int, int]  # (height, width) in pixels
Taps = tuple[NDArray[np.int64], NDArray[np.float32]]
Resampling = Literal["lanczos3", "linear", "linear_corners"]
OctaveSizes = Literal["direct", "chained"]
Wrap = Literal["none", "horizontal", "both"]
WRAPPED_AXES: dict[Wrap, tuple[int, ...]] = {
    "none": (),
    "horizontal": (1,),
    "both": (0, 1),
}
"""The axes whose two edges belong together: 0 is down, 1 is across."""

# The first octave of `octaves=auto`, in pixels. A motif is about as large as what a
# network's deep layers see, some 100 to 200 pixels: at 250 it is half the picture.
FIRST_SIDE = 250  # of the longer side, about
LEAST_SIDE = 64  # of the shorter side: a strip gets fewer octaves


def octave_count(size: Size, octave_scale: float, *, most: int) -> int:
    """Returns how many octaves bring the first one to about `FIRST_SIDE` pixels.

    The longer side counts, as it does in the size of a photograph: 4,000 pixels are
    nine octaves of 1.4, the first of 271; 400 are two; up to 295 are one.

    Args:
        size: The picture's own (height, width) in pixels.
        octave_scale: The factor between one size and the next, above 1.
        most: The largest count.
    """
    each = math.log(octave_scale)
    wanted = round(math.log(max(max(size) / FIRST_SIDE, 1)) / each)
    possible = math.floor(math.log(max(min(size) / LEAST_SIDE, 1)) / each)
    return 1 + min(wanted, possible, most - 1)


def octave_sizes(
    size: Size,
    *,
    octaves: int,
    octaves_above: int,
    octave_scale: float,
    rule: OctaveSizes,
) -> tuple[Size, ...]:
    """Returns the sizes of a dream's octaves, small to large.

    Args:
        size: The picture's own (height, width) in pixels.
        octaves: How many sizes up to the picture's own, which is the last of them.
        octaves_above: How many sizes follow above the picture's own.
        octave_scale: The factor between one size and the next, above 1.
        rule: "direct" truncates the picture's size divided by a power of the scale
            (the Keras examples); "chained" rounds each size from the next larger one,
            as `scipy.ndimage.zoom` does in google/deepdream.

    Returns:
        `octaves + octaves_above` sizes. A side shorter than a pixel is 0.
    """
    height, width = size
    smaller: list[Size] = [size]
    for exponent in range(1, octaves):
        if rule == "chained":
            h, w = smaller[-1]
            smaller.append(
                (round(h * (1 / octave_scale)), round(w * (1 / octave_scale)))
            )
        else:
            # As the Keras examples divide: once, by the power.
            divisor = _power(octave_scale, exponent)
            smaller.append((int(height / divisor), int(width / divisor)))
    factors = (_power(octave_scale, e) for e in range(1, octaves_above + 1))
    larger = ((int(height * factor), int(width * factor)) for factor in factors)
    return (*reversed(smaller), *larger)


def _power(scale: float, exponent: int) -> float:
    # A size divided by infinity is 0, and the octave is reported as too small.
    try:
        return scale**exponent
    except OverflowError:
        return math.inf


def fitted(size: Size, longest: int | None) -> Size:
    """Returns a size of the same proportions whose longest side is `longest` pixels.

    Args:
        size: (height, width) in pixels.
        longest: Pixels; None for the size itself.
    """
    if longest is None or max(size) == longest:
        return size
    height, width = (max(1, round(side * longest / max(size))) for side in size)
    return height, width


def jitter_offsets(
    seed: int, octave: int, steps: int, jitter: int
) -> NDArray[np.int64]:
    """Returns the shifts of an octave's steps, the same on every backend.

    Args:
        seed: The recipe's seed, 0 or more.
        octave: The octave's number, from 0.
        steps: How many steps the octave may take.
        jitter: The largest shift in pixels; both ends are drawn, as in
            google/deepdream (`randint(-jitter, jitter + 1)`).

    Returns:
        Whole numbers (steps, 2): pixels down and to the right.
    """
    generator = np.random.Generator(np.random.PCG64([seed, octave]))
    return generator.integers(-jitter, jitter, (steps, 2), endpoint=True)


def uniforms(seed: int, octave: int, stream: int, count: int) -> NDArray[np.float64]:
    """Returns the random numbers of one transform in an octave's steps.

    Args:
        seed: The recipe's seed, 0 or more.
        octave: The octave's number, from 0.
        stream: The transform's place in its chain, from 0.
        count: For how many views.

    Returns:
        float64 (count, 4) from 0 to below 1; more views have the same first ones.
    """
    # The jitter's own stream has no third number, which is the same as a zero.
    generator = np.random.Generator(np.random.PCG64([seed, octave, stream + 1]))
    return generator.random((count, 4))


def drawn(count: int, *, of: int, seed: int, number: int) -> tuple[int, ...]:
    """Returns which of several things a dream takes by chance, in ascending order.

    Args:
        count: How many it takes.
        of: How many there are.
        seed: The recipe's seed, 0 or more.
        number: Of the choice, among all of a dream, from 0.

    Returns:
        Different numbers from 0 to `of` - 1.
    """
    # Behind the numbers of all octaves, whose jitter begins with [seed, octave].
    generator = np.random.Generator(np.random.PCG64([seed, 1_000_000 + number]))
    return tuple(sorted(generator.permutation(of)[:count].tolist()))


def random_phases(size: Size) -> NDArray[np.complex128]:
    """Returns the spectrum of white noise, always the same: random phases.

    Args:
        size: (height, width) in pixels of the noise.

    Returns:
        Complex numbers (height, width // 2 + 1), none of them 0.
    """
    generator = np.random.Generator(np.random.PCG64(0))
    return np.fft.rfft2(generator.normal(size=size))


def taps(n_in: int, n_out: int, method: Resampling, *, wrap: bool = False) -> Taps:
    """Returns which source cells make each output cell, and with which weights.

    Args:
        n_in: Cells along the axis before.
        n_out: Cells along the axis after.
        method: "lanczos3" widens its kernel when it shrinks (antialiasing; the rule
            of `keras.ops.image.scale_and_translate`); "linear" samples half-pixel
            centres without antialiasing (`tf.image.resize`); "linear_corners" maps
            corner to corner (`scipy.ndimage.zoom`, order 1).
        wrap: Whether the cell before the first is the last one. Without corners
            "linear_corners" is "linear" then.

    Returns:
        Source cells, int64 (n_out, k), and weights, float32 (n_out, k), each row
        summing to 1.
    """
    if method == "lanczos3":
        return _lanczos(n_in, n_out, wrap=wrap)
    cells_out = np.arange(n_out, dtype=np.float64)
    if method == "linear" or wrap:
        position = (cells_out + 0.5) * (n_in / n_out) - 0.5
    else:
        position = cells_out * ((n_in - 1) / max(n_out - 1, 1))
    first = np.floor(position).astype(np.int64)
    fraction = position - first
    cells = np.stack([first, first + 1], axis=1)
    cells = cells % n_in if wrap else cells.clip(0, n_in - 1)
    return cells, np.stack([1 - fraction, fraction], axis=1).astype(np.float32)


def _lanczos(n_in: int, n_out: int, *, wrap: bool, radius: int = 3) -> Taps:
    scale = max(1.0, n_in / n_out)
    position = (np.arange(n_out, dtype=np.float64) + 0.5) * (n_in / n_out) - 0.5
    reach = math.ceil(radius * scale)
    cells = np.floor(position).astype(np.int64)[:, None] + np.arange(-reach, reach + 2)
    distance = (cells - position[:, None]) / scale
    weights = np.sinc(distance) * np.sinc(distance / radius)
    inside = wrap | ((cells >= 0) & (cells < n_in))
    weights = np.where(inside & (np.abs(distance) < radius), weights, 0.0)
    weights /= weights.sum(axis=1, keepdims=True)
    return cells % n_in if wrap else cells.clip(0, n_in - 1), weights.astype(np.float32)


def gaussian_taps(n: int, sigma: float, *, wraps: bool = False) -> Taps:
    """Returns the taps of a Gaussian blur, cut off at three standard deviations.

    Args:
        n: Cells along the axis.
        sigma: The standard deviation in cells, above 0.
        wraps: Whether the cell before the first is the last one; else the cells are
            mirrored, those at the edges twice.

    Returns:
        As `taps`.
    """
    reach = math.ceil(3 * sigma)
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * np.square(offsets / sigma))
    weights /= weights.sum()
    cells = _inside(np.arange(n)[:, None] + offsets, n, wraps=wraps)
    return cells, np.tile(weights.astype(np.float32), (n, 1))


def pyramid_taps(n_in: int, n_out: int, *, wraps: bool = False) -> Taps:
    """Returns the taps of one level of a Laplacian pyramid, up or down.

    The kernel is 1 4 6 4 1, as of P. Burt, E. Adelson, "The Laplacian Pyramid as a
    Compact Image Code" (1983).

    Args:
        n_in: Cells along the axis before.
        n_out: Cells after: half of them, rounded up, or more than before.
        wraps: As for `gaussian_taps`.

    Returns:
        As `taps`.
    """
    outputs = np.arange(n_out)
    if n_out < n_in or n_in == 1:
        offsets, weights = np.arange(-2, 3), np.array([1, 4, 6, 4, 1]) / 16
        cells = _inside(2 * outputs[:, None] + offsets, n_in, wraps=wraps)
        return cells, np.tile(weights.astype(np.float32), (n_out, 1))
    # An even cell lies at a coarse one, an odd one between two.
    even, odd = np.array([1, 6, 1]) / 8, np.array([0, 4, 4]) / 8
    weights = np.where(outputs[:, None] % 2 == 0, even, odd).astype(np.float32)
    cells = outputs[:, None] // 2 + np.arange(-1, 2)
    return _inside(cells, n_in, wraps=wraps), weights


def _inside(cells: NDArray[np.int64], n: int, *, wraps: bool) -> NDArray[np.int64]:
    if wraps:
        return cells % n
    cells = cells % (2 * n)
    return np.minimum(cells, 2 * n - 1 - cells)


def cosines_of_latitude(height: int) -> NDArray[np.float32]:
    """Returns how large a pixel of each row is on a sphere, the equator's being 1.

    Args:
        height: Rows of an equirectangular panorama, from pole to pole.

    Returns:
        float32 (height,): the cosine of the latitude of each row's middle.
    """
    rows = (np.arange(height, dtype=np.float64) + 0.5) / height
    return np.sin(np.pi * rows).astype(np.float32)


def resample(
    image: NDArray[np.float32], size: Size, *, wrap: Wrap = "none"
) -> NDArray[np.float32]:
    """Returns an image at another size, by Lanczos3, computed on the host.

    Args:
        image: float32 (height, width, channels).
        size: (height, width) in pixels.
        wrap: Which edges belong together.
    """
    height, width = image.shape[:2]
    if (height, width) == size:
        return np.ascontiguousarray(image)
    rows = taps(height, size[0], "lanczos3", wrap=wrap == "both")
    columns = taps(width, size[1], "lanczos3", wrap=wrap != "none")
    result = np.empty((*size, image.shape[2]), image.dtype)
    for band in bands((size[0], max(width, size[1]), image.shape[2])):
        part = image[band]
        if height != size[0]:
            part = weighed(image, rows[0][band], rows[1][band], 0)
        if width != size[1]:
            part = weighed(part, *columns, 1)
        result[band] = part
    return result


def weighed(
    image: NDArray[np.float32],
    cells: NDArray[np.int64],
    weights: NDArray[np.float32],
    axis: int,
) -> NDArray[np.float32]:
    """Returns an image resampled along an axis.

    Args:
        image: float32 (height, width, channels).
        cells: As of `taps`.
        weights: As of `taps`.
        axis: 0 for down, 1 for across.
    """
    shape = (-1, 1, 1) if axis == 0 else (1, -1, 1)
    parts = (
        image.take(cells[:, tap], axis) * weights[:, tap].reshape(shape)
        for tap in range(cells.shape[1])
    )
    total = next(parts)
    for part in parts:
        total += part
    return total


BAND = 1 << 18
"""Values of a large picture that are looked at at once: 1 MB as float32."""


def bands(shape: Sequence[int]) -> Iterator[slice]:
    """Yields the rows of an array in bands of at most `BAND` values, or of one row.

    Args:
        shape: The array's, rows first.
    """
    rows = max(1, BAND // max(1, math.prod(shape[1:])))
    for top in range(0, shape[0], rows):
        yield slice(top, min(top + rows, shape[0]))
