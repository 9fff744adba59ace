"""The move of a camera between two frames: an affine map, resampled once.

A frame is the frame before it, seen by a camera that has come closer, turned and moved.
What lies beyond the frame's edges is a mirror image, so that nothing is ever black. A
camera that goes back or to the side sees a little more of it in each frame, so the
mirror stays where it was in the picture (`Mirror`): one at the frame's own edge would
repeat the same few pixels again and again, as streaks.
"""

import functools
import math
from dataclasses import dataclass

import numpy as np

from keras_dream.geometry import WRAPPED_AXES, Size, Wrap, bands
from keras_dream.recipe.camera import CameraSettings

RADIUS = 3
"""Of the kernel in source pixels, Lanczos3, as of `geometry.resample`."""

STEPS = 4096
"""Places within a pixel for which the kernel is tabulated: the nearest is 1/8192 pixel
away, which changes a value by less than 0.0004 of the contrast beside it."""


@dataclass(frozen=True)
class Move:
    """Where each pixel of a frame is in the frame before: `matrix` @ place + `offset`.

    Attributes:
        matrix: ((a, b), (c, d)) of places (down, across) in pixels, pixel centres being
            whole numbers.
        offset: (down, across).
        scale: How many pixels of the frame before one pixel covers, along a side; above
            1 where the camera goes back, and the kernel is widened by it.
    """

    matrix: tuple[tuple[float, float], tuple[float, float]]
    offset: tuple[float, float]
    scale: float

    @property
    def is_straight(self) -> bool:
        """Whether rows stay rows."""
        return self.matrix[0][1] == 0 == self.matrix[1][0]


def move(camera: CameraSettings, size: Size) -> Move:
    """Returns the camera's move from one frame to the next.

    Args:
        camera: `rate`, `center`, `rotate` and `shift` are used.
        size: (height, width) of the frames in pixels.
    """
    height, width = size
    angle, rate = math.radians(camera.rotate), camera.rate
    cos, sin = math.cos(angle) / rate, math.sin(angle) / rate
    if camera.rotate == 0:
        sin = 0.0
    # The picture turns counter-clockwise where the angle is positive: down is positive,
    # so that a place (down, across) comes from one turned clockwise.
    matrix = ((cos, sin), (-sin, cos))
    center = (camera.center[1] * height - 0.5, camera.center[0] * width - 0.5)
    shift = (camera.shift[1] * height, camera.shift[0] * width)
    # The center is where it was; then the picture goes along.
    place = [c + s for c, s in zip(center, shift, strict=True)]
    offset = (
        center[0] - matrix[0][0] * place[0] - matrix[0][1] * place[1],
        center[1] - matrix[1][0] * place[0] - matrix[1][1] * place[1],
    )
    return Move(matrix, offset, max(1.0, 1 / rate))


@dataclass(frozen=True)
class Mirror:
    """Where the picture is mirrored, in pixels of a frame, pixel centres being whole.

    Attributes:
        down: The first and the last place, (-0.5, height - 0.5) at the frame's edges.
        across: The same across.
    """

    down: tuple[float, float]
    across: tuple[float, float]

    @classmethod
    def around(cls, size: Size) -> "Mirror":
        """Returns the mirror at the edges of frames of (height, width) pixels."""
        return cls((-0.5, size[0] - 0.5), (-0.5, size[1] - 0.5))

    def after(self, by: Move, size: Size) -> "Mirror":
        """Returns where it is in the next frame.

        It never leaves the frame. Where less than half a side is left between its two
        edges, or where the camera turns, it begins anew at the frame's edges.
        """
        whole = Mirror.around(size)
        if not by.is_straight:
            return whole
        down = _followed(self.down, by.matrix[0][0], by.offset[0], whole.down)
        across = _followed(self.across, by.matrix[1][1], by.offset[1], whole.across)
        return Mirror(down, across)


def _followed(
    edges: tuple[float, float], scale: float, offset: float, whole: tuple[float, float]
) -> tuple[float, float]:
    first, last = ((edge - offset) / scale for edge in edges)
    first, last = max(first, whole[0]), min(last, whole[1])
    return whole if last - first < (whole[1] - whole[0]) / 2 else (first, last)


def _mirrored(place: np.ndarray, n: int, edges: tuple[float, float]) -> np.ndarray:
    """Returns places along an axis; those outside the frame as the mirror has them."""
    first, length = edges[0], edges[1] - edges[0]
    inside = (place - first) % (2 * length)
    inside = first + np.minimum(inside, 2 * length - inside)
    return np.where((place < -0.5) | (place > n - 0.5), inside, place)


def moved(
    image: np.ndarray, by: Move, *, wrap: Wrap = "none", mirror: Mirror | None = None
) -> np.ndarray:
    """Returns a frame after the camera's move.

    Args:
        image: float32 (height, width, channels).
        by: The move.
        wrap: Which edges belong together; the others are mirrored.
        mirror: Where; None: at the frame's edges.

    Returns:
        The same shape and dtype.
    """
    height, width = image.shape[:2]
    wraps = [axis in WRAPPED_AXES[wrap] for axis in (0, 1)]
    ((a, b), (c, d)), (down, across) = by.matrix, by.offset
    columns = np.arange(width, dtype=np.float64)
    result = np.empty(image.shape, np.float32)
    table = _table(by.scale)
    mirror = mirror or Mirror.around((height, width))
    for rows in bands(image.shape):
        row = np.arange(height, dtype=np.float64)[rows, None]
        y, x = a * row + down, d * columns + across
        if not by.is_straight:
            y, x = y + b * columns, x + c * row
        if not wraps[0]:
            y = _mirrored(y, height, mirror.down)
        if not wraps[1]:
            x = _mirrored(x, width, mirror.across)
        ys = _taps(y, height, table, by.scale, wraps=wraps[0])
        xs = _taps(x, width, table, by.scale, wraps=wraps[1])
        result[rows] = _gathered(image, ys, xs, straight=by.is_straight)
    return result


@functools.lru_cache(maxsize=8)
def _table(scale: float) -> np.ndarray:
    """Returns the kernel's weights for places within a pixel: (STEPS + 1, taps)."""
    reach = math.ceil(RADIUS * scale)
    fraction = np.linspace(0, 1, STEPS + 1)[:, None]
    distance = (np.arange(1 - reach, reach + 1) - fraction) / scale
    weights = np.sinc(distance) * np.sinc(distance / RADIUS)
    weights = np.where(np.abs(distance) < RADIUS, weights, 0.0)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _taps(
    place: np.ndarray, n: int, table: np.ndarray, scale: float, *, wraps: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the source cells along an axis, and their weights: (*places, taps)."""
    first = np.floor(place)
    weights = table[np.rint((place - first) * STEPS).astype(np.intp)]
    reach = math.ceil(RADIUS * scale)
    cells = first.astype(np.intp)[..., None] + np.arange(1 - reach, reach + 1)
    cells %= n if wraps else 2 * n
    return (cells if wraps else np.minimum(cells, 2 * n - 1 - cells)), weights


def _gathered(
    image: np.ndarray,
    ys: tuple[np.ndarray, np.ndarray],
    xs: tuple[np.ndarray, np.ndarray],
    *,
    straight: bool,
) -> np.ndarray:
    """Returns the weighed sum of the cells."""
    (rows, down), (columns, across) = ys, xs
    taps = range(rows.shape[-1])
    if straight:  # rows first, then columns
        part = np.zeros((rows.shape[0], *image.shape[1:]), np.float32)
        for t in taps:
            part += image[rows[:, 0, t]] * down[:, 0, t, None, None]
        total = np.zeros((rows.shape[0], *image.shape[1:]), np.float32)
        for t in taps:
            total += part[:, columns[:, t]] * across[:, t, None]
        return total
    flat, width = image.reshape(-1, image.shape[2]), image.shape[1]
    total = np.zeros((*rows.shape[:2], image.shape[2]), np.float32)
    for t in taps:
        part = np.zeros_like(total)
        for u in taps:
            cells = rows[..., t] * width + columns[..., u]
            part += flat.take(cells, axis=0) * across[..., u, None]
        total += part * down[..., t, None]
    return total
