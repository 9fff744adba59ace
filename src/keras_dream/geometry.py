"""Sizes, offsets and resampling taps: whole numbers and small arrays on the host.

Everything here is the same on every backend, and all randomness of a dream is here.
"""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Size = tuple[int, int]  # (height, width) in pixels
Taps = tuple[NDArray[np.int64], NDArray[np.float32]]
Resampling = Literal["lanczos3", "linear", "linear_corners"]
OctaveSizes = Literal["direct", "chained"]


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
        octaves_above: How many sizes follow beyond the picture's own.
        octave_scale: The factor between one size and the next, above 1.
        rule: "direct" truncates the picture's size divided by a power of the scale
            (the Keras examples); "chained" rounds each size from the next larger one,
            as `scipy.ndimage.zoom` does in google/deepdream.

    Returns:
        `octaves + octaves_above` sizes. A side that would vanish is 0.
    """
    below: list[Size] = [size]
    for power in range(1, octaves):
        if rule == "chained":
            h, w = below[-1]
            below.append((round(h * (1 / octave_scale)), round(w * (1 / octave_scale))))
        else:
            # The Keras example divides by the power; chained divisions would round
            # elsewhere.
            divisor = _power(octave_scale, power)
            below.append((int(size[0] / divisor), int(size[1] / divisor)))
    above = [
        (int(size[0] * factor), int(size[1] * factor))
        for factor in (
            _power(octave_scale, power) for power in range(1, octaves_above + 1)
        )
    ]
    return (*reversed(below), *above)


def _power(scale: float, exponent: int) -> float:
    # A size divided by infinity is 0 and the octave is reported as too small; a power
    # beyond the floats must not end in a traceback.
    try:
        return scale**exponent
    except OverflowError:
        return math.inf


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


def noise(seed: int, size: Size, steepness: float = 1.0) -> NDArray[np.float32]:
    """Returns a picture of coloured noise, most of it grey.

    With a steepness of 1 no size of detail stands out: the amplitudes fall with one
    over the frequency, as those of photographs do (D. J. Field, 1987, "Relations
    between the statistics of natural images and the response properties of cortical
    cells"). Larger ones are smoother.

    Args:
        seed: Another one gives another picture.
        size: (height, width) in pixels.
        steepness: The power of the frequency by which the amplitudes are divided.

    Returns:
        float32 (height, width, 3) in [0, 1], whole 255ths: the same on every machine.
    """
    generator = np.random.Generator(np.random.PCG64([seed, 1]))
    down = np.fft.fftfreq(size[0])[:, None]
    across = np.fft.rfftfreq(size[1])[None, :]
    frequency = np.hypot(down, across)
    frequency[0, 0] = np.inf  # the mean has no frequency; it becomes 0.5
    grey, *colours = (
        _unit(np.fft.irfft2(np.fft.rfft2(white) / frequency**steepness, s=size))
        for white in generator.normal(size=(4, *size))
    )
    colour = np.stack(colours, axis=-1)
    return _whole(0.5 + _GREY * grey[..., None] + _COLOUR * colour)


def leaves(seed: int, size: Size) -> NDArray[np.float32]:
    """Returns a picture of discs that lie on each other, small ones in larger numbers.

    It has what noise has not and photographs have: edges, and plain surfaces between
    them (A. B. Lee, D. Mumford and J. Huang, 2001, "Occlusion models for natural
    images": the dead leaves model with radii of density r^-3).

    Args:
        seed: Another one gives another picture.
        size: (height, width) in pixels.

    Returns:
        float32 (height, width, 3) in [0, 1], whole 255ths: the same on every machine.
    """
    generator = np.random.Generator(np.random.PCG64([seed, 2]))
    low, high = 2.0, max(size) / 3  # pixels
    count = 4 * math.ceil(size[0] * size[1] / 100)
    share = generator.random(count)
    radii = (low**-2 - share * (low**-2 - high**-2)) ** -0.5
    centres = generator.random((count, 2)) * size
    grey = generator.normal(scale=_GREY, size=(count, 1))
    colours = 0.5 + grey + generator.normal(scale=_COLOUR, size=(count, 3))
    image = noise(seed, size, 2.0).astype(np.float64)
    for radius, place, colour in zip(radii.tolist(), centres, colours, strict=True):
        y, x = float(place[0]), float(place[1])
        top, left = max(0, int(y - radius)), max(0, int(x - radius))
        box = image[top : int(y + radius) + 2, left : int(x + radius) + 2]
        down: NDArray[np.float64] = np.arange(box.shape[0], dtype=np.float64)
        across: NDArray[np.float64] = np.arange(box.shape[1], dtype=np.float64)
        away = np.hypot((down + top + 0.5 - y)[:, None], across + left + 0.5 - x)
        # Edges as soft as a pixel: stairs are nothing that a lens would make.
        cover = (radius + 0.5 - away).clip(0, 1)[..., None]
        box += cover * (colour - box)
    return _whole(image)


# Standard deviations: about those of photographs, such as scikit-image's.
_GREY, _COLOUR = 0.2, 0.08


def _unit(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values / max(float(values.std()), 1e-12)


def _whole(image: NDArray[np.float64]) -> NDArray[np.float32]:
    return (np.rint(image.clip(0, 1) * 255) / 255).astype(np.float32)


def taps(n_in: int, n_out: int, method: Resampling) -> Taps:
    """Returns which source cells make each output cell, and with which weights.

    Args:
        n_in: Cells along the axis before.
        n_out: Cells along the axis after.
        method: "lanczos3" widens its kernel when it shrinks (antialiasing; the rule
            of `keras.ops.image.scale_and_translate`); "linear" samples half-pixel
            centres without antialiasing (`tf.image.resize`); "linear_corners" maps
            corner to corner (`scipy.ndimage.zoom`, order 1).

    Returns:
        Source cells, int64 (n_out, k), and weights, float32 (n_out, k), each row
        summing to 1.
    """
    if method == "lanczos3":
        return _lanczos(n_in, n_out)
    places = np.arange(n_out, dtype=np.float64)
    if method == "linear":
        position = (places + 0.5) * (n_in / n_out) - 0.5
    else:
        position = places * ((n_in - 1) / max(n_out - 1, 1))
    first = np.floor(position).astype(np.int64)
    share = position - first
    cells = np.stack([first, first + 1], axis=1).clip(0, n_in - 1)
    return cells, np.stack([1 - share, share], axis=1).astype(np.float32)


def _lanczos(n_in: int, n_out: int, radius: int = 3) -> Taps:
    scale = max(1.0, n_in / n_out)
    position = (np.arange(n_out, dtype=np.float64) + 0.5) * (n_in / n_out) - 0.5
    reach = math.ceil(radius * scale)
    cells = np.floor(position).astype(np.int64)[:, None] + np.arange(-reach, reach + 2)
    distance = (cells - position[:, None]) / scale
    weights = np.sinc(distance) * np.sinc(distance / radius)
    inside = (cells >= 0) & (cells < n_in) & (np.abs(distance) < radius)
    weights = np.where(inside, weights, 0.0)
    weights /= weights.sum(axis=1, keepdims=True)
    return cells.clip(0, n_in - 1), weights.astype(np.float32)
