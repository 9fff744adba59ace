"""Flowers, mushrooms and leaves."""

from __future__ import annotations

import numpy as np

from .brush import Sheet, blend, colour, curve, smoothstep
from .flowers import flower
from .leaves import leaf
from .trees import tree

__all__ = ("flower", "leaf", "mushroom", "tree")


def mushroom(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a mushroom, at times with a small one beside it."""
    sheet = Sheet(rng, size)
    hue = rng.choice([0.0, 0.03, 0.08, 0.1])
    if rng.random() < 0.45:
        side = rng.choice([-1, 1])
        _mushroom(sheet, side * 0.55, 0.42, 0.5, hue)
        _mushroom(sheet, -side * 0.2, -0.02, 0.85, hue)
    else:
        _mushroom(sheet, 0, 0, 1.0, hue)
    return sheet.finish()


def _mushroom(sheet: Sheet, cx: float, cy: float, k: float, hue: float) -> None:
    rng = sheet.rng
    stalk = colour(rng, 0.11, 0.15, 0.85)
    lines = np.sin((sheet.x - cx) * 60 / k + 2 * sheet.noise(0.8))
    lean = rng.normal(0, 0.06)
    stem = curve([[lean, -0.2], [0, 0.4], [-lean, 0.92]], 20) * k + (cx, cy)
    mask = sheet.stroke(stem, k * np.linspace(0.14, rng.uniform(0.17, 0.26), 20))
    sheet.lay(
        mask, stalk * (0.9 + 0.12 * lines)[..., None], 0.2 * k, 0.006 * lines, gloss=0.1
    )
    wide, high = rng.uniform(0.7, 0.92) * k, rng.uniform(0.6, 0.9) * k
    x, y = cx + lean, cy + 0.0
    r, theta = sheet.polar(x, y - 0.4 * k)
    gills = np.sin(theta * 46)
    under = colour(rng, 0.09, 0.3, 0.6) * (0.8 + 0.25 * gills)[..., None]
    sheet.lay(
        sheet.ellipse(x, y - 0.04 * k, wide * 0.95, 0.17 * k),
        under,
        0.04,
        0.008 * gills,
        gloss=0,
        rim=0.5,
    )
    cap = curve(
        [
            [wide, 0.02 * k],
            [wide * 0.86, -0.5 * high],
            [wide * 0.35, -0.95 * high],
            [-wide * 0.35, -0.95 * high],
            [-wide * 0.86, -0.5 * high],
            [-wide, 0.02 * k],
            [-wide * 0.5, -0.07 * k],
            [wide * 0.5, -0.07 * k],
            [wide, 0.02 * k],
        ],
        50,
    )
    mask = sheet.polygon(cap + np.array([x, y]))
    top = colour(rng, hue, 0.8, 0.65)
    paint = (
        blend(top * 1.15, top * 0.6, smoothstep(0.2 * k, 0.95 * k, r))
        * (1 + 0.1 * sheet.noise(0.4))[..., None]
    )
    sheet.lay(mask, np.clip(paint, 0, 1), 0.45 * k, gloss=0.5)
    if rng.random() < 0.7:
        for _ in range(rng.integers(7, 14)):
            a, d = rng.uniform(-np.pi, 0), np.sqrt(rng.random()) * 0.85
            sx, sy = (
                x + wide * d * np.cos(a) * 0.9,
                y - 0.09 * k + high * d * np.sin(a) * 0.85,
            )
            size = k * rng.uniform(0.04, 0.1)
            wart = sheet.ellipse(sx, sy, size, size * 0.75) * mask
            sheet.lay(wart, (0.95, 0.92, 0.85), 0.06, gloss=0.1, shadow=0.25)
