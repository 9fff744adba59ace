"""Long round bodies: where a pixel lies along a path, and where across it.

Snakes and arms are textured in these coordinates, so that rings, scales and suckers
follow every bend.
"""

from __future__ import annotations

import copy
from typing import NamedTuple

import cv2
import numpy as np

from .brush import SHIFT, Sheet


class Tube(NamedTuple):
    """A tube's fields, each of the sheet's shape.

    Attributes:
        order: The number of the topmost piece, from 1; 0 where there is no tube.
        mask: Coverage.
        across: From -1 at one rim to 1 at the other.
        beat: Length along the path, counted in half-widths, so it grows faster
            where the tube is thin.
        width: Half-width.
    """

    order: np.ndarray
    mask: np.ndarray
    across: np.ndarray
    beat: np.ndarray
    width: np.ndarray


def window(sheet: Sheet, path, reach: float) -> tuple[Sheet, tuple[slice, slice]]:
    """Return the part of a sheet about a path, as a sheet that shares its pixels.

    Only `lay` may be used on it. Most of a drawing's time is saved so.
    """
    path = np.asarray(path)
    low = np.floor((path.min(0) - reach + 1) * (sheet.n / 2)).astype(int)
    high = np.ceil((path.max(0) + reach + 1) * (sheet.n / 2)).astype(int)
    low, high = np.clip(low, 0, sheet.n - 4), np.clip(high, 4, sheet.n)
    box = (slice(low[1], high[1]), slice(low[0], high[0]))
    part = copy.copy(sheet)
    part.x, part.y = sheet.x[box], sheet.y[box]
    part.rgb, part.alpha = sheet.rgb[box], sheet.alpha[box]
    return part, box


def tube(sheet: Sheet, path, width) -> Tube:
    """Return the tube about a path of at most 250 points; later pieces lie on top."""
    path, width = np.asarray(path, np.float32), np.asarray(width, np.float32)
    tangent = np.gradient(path, axis=0)
    step = np.linalg.norm(tangent, axis=1) + 1e-6
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], 1) / step[:, None]
    side = normal * width[:, None]
    corners = np.stack([path + side, path - side], 1)
    corners -= (sheet.x[0, 0], sheet.y[0, 0])
    pixels = np.round(corners * (sheet.n / 2) * (1 << SHIFT)).astype(np.int32)
    order = np.zeros(sheet.x.shape, np.uint8)
    for i in range(len(path) - 1):
        quad = np.concatenate([pixels[i], pixels[i + 1, ::-1]])
        cv2.fillConvexPoly(order, quad, i + 1, cv2.LINE_8, SHIFT)
    beats = np.cumsum(step / np.maximum(width, 0.02)).astype(np.float32)
    inside = order > 0
    i = order[inside].astype(int) - 1
    at = np.stack([sheet.x[inside], sheet.y[inside]], 1)
    run = path[i + 1] - path[i]
    t = ((at - path[i]) * run).sum(1) / np.maximum((run * run).sum(1), 1e-8)
    t = np.clip(t, 0, 1)
    w = width[i] + t * (width[i + 1] - width[i])
    up = normal[i] + t[:, None] * (normal[i + 1] - normal[i])
    off = ((at - path[i] - t[:, None] * run) * up).sum(1) / np.maximum(w, 1e-4)
    fields = []
    for values in (np.clip(off, -1, 1), beats[i] + t * (beats[i + 1] - beats[i]), w):
        field = np.zeros(sheet.x.shape, np.float32)
        field[inside] = values
        fields.append(field)
    return Tube(order, inside.astype(np.float32), *fields)


def rounding(body: Tube, flat: float = 0.8) -> np.ndarray:
    """Return a tube's height: half a circle across it, times `flat`."""
    return flat * body.width * np.sqrt(np.maximum(0, 1 - body.across**2))


def own_shade(sheet: Sheet, body: Tube, gap: int, strength: float = 0.6) -> np.ndarray:
    """Return a factor for the paint: the shadows that later coils cast on earlier.

    Args:
        sheet: What the tube is drawn on; its light casts the shadows.
        body: The tube.
        gap: Pieces nearer to each other than this cast none.
        strength: How dark a shadow is.
    """
    cast = np.zeros_like(body.mask)
    order = body.order.astype(np.int16)
    toward = np.arctan2(sheet.light[1], sheet.light[0])
    for turn, reach, weight in (
        (0, 0.05, 0.35),
        (0, 0.1, 0.25),
        (1.6, 0.035, 0.2),
        (-1.6, 0.035, 0.2),
        (3.1, 0.025, 0.2),
    ):
        far = reach * sheet.n / 2
        dx = round(far * np.cos(toward + turn))
        dy = round(far * np.sin(toward + turn))
        above = np.roll(order, (-dy, -dx), (0, 1))
        cast += weight * (above > order + gap)
    cast = cv2.GaussianBlur(cast, (0, 0), max(0.8, 0.01 * sheet.n))
    return 1 - strength * np.minimum(cast, 1)
