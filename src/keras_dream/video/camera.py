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
    """Where the picture is mirrored, as a frame sees it.

    Attributes:
        matrix: With `offset`, where a frame's place is in the frame in which the mirror
            began: `matrix` @ place + `offset`, in pixels as of `Move`.
        offset: (down, across).
        down: The mirror's first and last place there, (-0.5, height - 0.5) at the
            frame's edges.
        across: The same across.
    """

    matrix: tuple[tuple[float, float], tuple[float, float]]
    offset: tuple[float, float]
    down: tuple[float, float]
    across: tuple[float, float]

    @classmethod
    def around(cls, size: Size) -> "Mirror":
        """Returns the mirror at the edges of frames of (height, width) pixels."""
        edges = (-0.5, size[0] - 0.5), (-0.5, size[1] - 0.5)
        return cls(((1.0, 0.0), (0.0, 1.0)), (0.0, 0.0), *edges)

    @property
    def is_straight(self) -> bool:
        """Whether its edges are rows and columns of the frame."""
        return self.matrix[0][1] == 0 == self.matrix[1][0]

    @property
    def corners(self) -> np.ndarray:
        """The corners of what is mirrored in the frame: (4, 2), down and across."""
        corners = [(y, x) for y in self.down for x in self.across]
        return (np.array(corners) - self.offset) @ np.linalg.inv(self.matrix).T

    def after(self, by: Move, size: Size) -> "Mirror":
        """Returns it as the next frame sees it.

        It never leaves the frame: where the camera comes closer, the frame's edges
        take the place of its own. Where less than half a side is left between them, or
        where a corner turns out of the frame, it begins anew at the frame's edges.
        """
        (a, b), (c, d) = np.array(self.matrix) @ by.matrix
        own = tuple(np.array(self.matrix) @ by.offset + self.offset)
        next_one = Mirror(((a, b), (c, d)), own, self.down, self.across)
        if next_one.is_straight:
            down = _within(self.down, a * -0.5 + own[0], a * size[0])
            across = _within(self.across, d * -0.5 + own[1], d * size[1])
            next_one = Mirror(next_one.matrix, own, down, across)
        corners = next_one.corners
        is_in = (corners > -0.5 - 1e-6) & (corners < np.array(size) - 0.5 + 1e-6)
        sides = np.array([np.diff(next_one.down)[0], np.diff(next_one.across)[0]])
        scale = math.hypot(a, c)
        is_large = (sides / scale >= np.array(size) / 2).all()
        # Far closer than where it began, it is the frame's edges: numbers stay exact.
        if is_in.all() and is_large and scale > 1 / 16:
            return next_one
        return Mirror.around(size)

    def mirrored(
        self, y: np.ndarray, x: np.ndarray, size: Size
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns the places (down, across) at which what is outside is seen.

        Where the mirror is straight, they may be a column and a row.
        """
        (a, b), (c, d) = self.matrix
        below = (y < -0.5) | (y > size[0] - 0.5)
        beside = (x < -0.5) | (x > size[1] - 0.5)
        if self.is_straight:
            down = (_folded(a * y + self.offset[0], self.down) - self.offset[0]) / a
            right = (_folded(d * x + self.offset[1], self.across) - self.offset[1]) / d
            return np.where(below, down, y), np.where(beside, right, x)
        down = _folded(a * y + b * x + self.offset[0], self.down) - self.offset[0]
        right = _folded(c * y + d * x + self.offset[1], self.across) - self.offset[1]
        (e, f), (g, h) = np.linalg.inv(self.matrix)
        outside = below | beside
        y, x = np.broadcast_arrays(y, x)
        return (
            np.where(outside, e * down + f * right, y),
            np.where(outside, g * down + h * right, x),
        )


def _within(
    edges: tuple[float, float], first: float, length: float
) -> tuple[float, float]:
    return max(edges[0], first), min(edges[1], first + length)


def _folded(place: np.ndarray, edges: tuple[float, float]) -> np.ndarray:
    """Returns places along an axis as mirrors at both edges show them."""
    first, length = edges[0], edges[1] - edges[0]
    inside = (place - first) % (2 * length)
    return first + np.minimum(inside, 2 * length - inside)


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
    is_straight = by.is_straight and mirror.is_straight
    for rows in bands(image.shape):
        row = np.arange(height, dtype=np.float64)[rows, None]
        y, x = a * row + down, d * columns + across
        if not by.is_straight:
            y, x = y + b * columns, x + c * row
        seen = mirror.mirrored(y, x, (height, width))
        y, x = y if wraps[0] else seen[0], x if wraps[1] else seen[1]
        ys = _taps(y, height, table, by.scale, wraps=wraps[0])
        xs = _taps(x, width, table, by.scale, wraps=wraps[1])
        result[rows] = _gathered(image, ys, xs, straight=is_straight)
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
