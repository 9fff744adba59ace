"""The eyes of peacock feathers, alone and in a fan."""

from __future__ import annotations

import numpy as np

from .brush import Sheet, blend, colour, smoothstep, turned
from .feathers import window

BANDS = ((0.11, 0.75, 0.8), (0.3, 0.75, 0.6), (0.5, 0.85, 0.8), (0.63, 0.9, 0.5))
PUPIL = (0.68, 0.9, 0.22)


def peacock(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a peacock's eye feather, or a fan of them, one over the other."""
    sheet = Sheet(rng, size)
    hues = _hues(rng)
    if rng.random() < 0.58:
        _feather(sheet, (0.0, rng.uniform(0.0, 0.08)), 0.0, 0.95, hues)
    else:
        _fan(sheet, hues)
    return sheet.finish()


def _hues(rng):
    """Return the colours of barbs, bands and pupil, outermost first."""
    barbs = colour(rng, 0.27, 0.75, 0.6), colour(rng, 0.36, 0.75, 0.42)
    return (*barbs, *(colour(rng, h, s, v, 0.03) for h, s, v in (*BANDS, PUPIL)))


def _fan(sheet: Sheet, hues) -> None:
    """Lay feathers that spread from a foot, the far rows first."""
    rng = sheet.rng
    rows = ((0, 1.38, 4), (1, 0.92, 3), (2, 0.42, 2))
    if rng.random() < 0.4:  # fewer and larger ones
        rows = ((0, 1.3, 3), (1, 0.6, 2))
    wide, size = rng.uniform(0.7, 0.85), (0.95 - 0.15 * len(rows)) * rng.uniform(0.9, 1)
    for odd, reach, count in rows:
        for k in rng.permutation(count):
            a = wide * (k / (count - 1) - 0.5) * 2 * (0.9 if odd % 2 else 1.0)
            x, y = reach * np.sin(a), 0.92 - reach * np.cos(a)
            _feather(sheet, (float(x), float(y)), float(a), size, hues)


def _feather(sheet: Sheet, centre, lean: float, size: float, hues) -> None:
    """Lay one feather: a fringe of barbs, its quill, and the rings of its eye."""
    rng = sheet.rng
    corners = size * 1.15 * np.array([[-1, -1], [1, 1], [-1, 1], [1, -1]]) + centre
    box = window(sheet, corners, 0)
    dx, dy = (sheet.x[box] - centre[0]) / size, (sheet.y[box] - centre[1]) / size
    c, s = np.cos(lean), np.sin(lean)
    x, y = dx * c + dy * s, dy * c - dx * s
    slim = rng.uniform(0.8, 1.0)
    r = np.hypot(x / slim, y)
    # Barbs sweep upwards from the quill, so their angle grows towards the tip.
    theta = np.arctan2(x, -y + 0.25)
    clouds = sheet.noise(0.8)[box]
    count = int(rng.integers(30, 46) * (1 if size > 0.7 else 0.6))
    comb = np.sin(theta * count + 2.5 * clouds + 3.5 * r * np.sign(x))
    fine = np.sin(theta * count * 2.7 + 5 * r * np.sign(x))
    fringe = 0.94 + 0.06 * comb + 0.05 * sheet.noise(0.3)[box]
    mask = np.zeros_like(sheet.alpha)
    mask[box] = smoothstep(0.0, 0.05, fringe - r)
    barbs = (0.8 * comb + 0.25 * fine) * smoothstep(0.1, 0.5, r)
    sheen = smoothstep(0.5, 1.0, r + 0.25 * clouds)
    paint = blend(hues[0], hues[1], sheen) * (1 + 0.45 * barbs)[..., None]
    paint = blend(paint, hues[2] * 1.1, 0.6 * (fine > 0.6) * (r > 0.65))
    _put(sheet, mask, box, paint, 0.025 * size * barbs, 0.3 * size)
    quill = turned(np.array([[0, 0.1], [0.0, 0.6], [0.0, 1.0]]) * size, lean, *centre)
    stroke = sheet.stroke(quill, np.array([0.05, 0.035, 0.025]) * size)
    sheet.lay(stroke, hues[2] * 1.15, 0.03)
    _rings(sheet, box, (x, y), barbs, size, hues[2:])


def _rings(sheet: Sheet, box, place, barbs, size: float, hues) -> None:
    """Lay the bands of an eye, each smaller and lower, and its notched pupil."""
    rng = sheet.rng
    x, y = place
    reach, lift = rng.uniform(0.58, 0.68), 0.0
    for k, hue in enumerate(hues):
        last = k == len(hues) - 1
        r = np.hypot(x / 0.88, y - lift) / reach
        if last:  # a heart: the pupil is notched from above
            r = r + 0.35 * np.exp(-((x / (0.3 * reach)) ** 2)) * (y < lift)
        mask = np.zeros_like(sheet.alpha)
        mask[box] = smoothstep(0.0, 0.05, 1 - r)
        glow = 0.75 + 0.45 * r + (0.1 if last else 0.28) * barbs
        paint = np.asarray(hue, np.float32) * glow[..., None]
        _put(sheet, mask, box, paint, 0.012 * size * barbs, 0.12 * size, 0.5)
        reach *= rng.uniform(0.7, 0.8)
        lift += 0.035


def _put(sheet: Sheet, mask, box, paint, bump, puff: float, gloss: float = 0.3) -> None:
    whole = np.zeros((sheet.n, sheet.n, 3), np.float32)
    height = np.zeros_like(sheet.alpha)
    whole[box], height[box] = np.clip(paint, 0, 1), bump
    sheet.lay(mask, whole, puff, height, gloss, rim=0.25)
