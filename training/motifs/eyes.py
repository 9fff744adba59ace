"""Eyes of animals and people."""

from __future__ import annotations

import numpy as np

from .brush import Sheet, blend, colour, smoothstep
from .peacocks import peacock

__all__ = ("eye", "gaze", "iris", "peacock")


def gaze(rng: np.random.Generator, hue: float):
    """Return what a pair of eyes shares: two colours and the size of the pupil."""
    inner = colour(rng, hue + rng.normal(0, 0.06), 0.7, 0.85)
    return inner, colour(rng, hue, 0.8, 0.5), rng.uniform(0.32, 0.55)


def iris(
    sheet: Sheet, cx: float, cy: float, radius: float, pair, slit: bool = False
) -> None:
    """Draw an iris with its fibres, its pupil and two highlights."""
    rng = sheet.rng
    inner, outer, opening = pair
    r, theta = sheet.polar(cx, cy)
    r = r / radius
    fibres = np.sin(theta * rng.integers(18, 34) + 2.5 * sheet.noise(0.6))
    fibres = fibres * smoothstep(0.25, 0.6, r)
    paint = blend(inner, outer, smoothstep(0.35, 0.95, r))
    paint = paint * (1 + 0.3 * fibres)[..., None]
    paint = paint * (1 - 0.75 * smoothstep(0.82, 1.0, r))[..., None]
    sheet.lay(sheet.ellipse(cx, cy, radius, radius), paint, 0.6 * radius, gloss=0.1)
    size = radius * opening
    width = size * (0.35 if slit else 1.0)
    pupil = sheet.ellipse(cx, cy, width, size * (1.4 if slit else 1.0))
    sheet.tint(pupil, (0.02, 0.02, 0.03))
    glint = radius * rng.uniform(0.12, 0.2)
    gx, gy = cx + 0.35 * radius * sheet.light[0], cy + 0.4 * radius * sheet.light[1]
    sheet.tint(sheet.ellipse(gx, gy, glint, glint), (1, 1, 1))
    dim = sheet.ellipse(2 * cx - gx, 2 * cy - gy, glint * 0.5, glint * 0.5)
    sheet.tint(dim * 0.6, (1, 1, 1))


def eye(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw an eye between its lids, with lashes, in a patch of skin or fur."""
    sheet = Sheet(rng, size)
    skin = colour(rng, 0.07, 0.45, 0.65)
    r, _ = sheet.polar()
    ragged = r + 0.08 * sheet.noise(0.5)
    patch = smoothstep(1.0, 0.75, ragged)
    folds = 0.02 * sheet.noise(0.3) + 0.015 * np.sin(26 * r + 3 * sheet.noise(0.8))
    tone = skin * (1 + 0.25 * sheet.noise(0.4))[..., None]
    sheet.lay(patch, tone, 0.5, folds, gloss=0.08, rim=0.0, shadow=0.0)
    width, up, down = 0.78, rng.uniform(0.3, 0.6), rng.uniform(0.25, 0.5)
    lean = rng.uniform(-0.15, 0.15)
    t = np.linspace(-1, 1, 24)
    arch = (1 - t**2) ** rng.uniform(0.6, 0.9)
    upper = np.stack([width * t, -up * arch + lean * t], 1)
    lower = np.stack([width * t, down * arch + lean * t], 1)
    lid = sheet.polygon(np.vstack([upper * 1.12, lower[::-1] * 1.12]))
    sheet.lay(lid, skin * rng.uniform(0.45, 0.9), 0.12, gloss=0.2, rim=0.6)
    opening = sheet.polygon(np.vstack([upper, lower[::-1]]))
    before = sheet.rgb.copy()
    white = blend(
        (0.95, 0.93, 0.9), (0.85, 0.5, 0.45), smoothstep(0.3, 0.9, abs(sheet.x))
    )
    sheet.lay(opening, white, 0.5, gloss=0.1, shadow=0.0)
    look = rng.uniform(-0.16, 0.16)
    pair = gaze(rng, rng.uniform(0.05, 0.65))
    iris(sheet, look, lean * look, rng.uniform(0.34, 0.46), pair)
    # The iris goes under the lids, and the upper lid throws a shadow on it.
    keep = opening[..., None]
    shade = 1 - 0.5 * smoothstep(-up * 0.4, -up, sheet.y)
    sheet.rgb = sheet.rgb * shade[..., None] * keep + before * (1 - keep)
    if rng.random() < 0.8:
        _lashes(sheet, upper, colour(rng, 0.08, 0.4, 0.12))
    sheet.lay(sheet.stroke(upper, 0.035), skin * 0.2, 0.03, shadow=0.2)
    return sheet.finish()


def _lashes(sheet: Sheet, upper: np.ndarray, paint: np.ndarray) -> None:
    rng = sheet.rng
    mask = np.zeros_like(sheet.alpha)
    length = rng.uniform(0.12, 0.26)
    for start in upper[2:-2]:
        out = np.array([start[0] * 0.7, -0.7]) * length * rng.uniform(0.8, 1.2)
        tip = start + out
        line = np.stack([start, start + out * 0.55 + (0, 0.01), tip])
        mask = np.maximum(mask, sheet.stroke(line, [0.018, 0.012, 0.003]))
    sheet.lay(mask, paint, 0.02, shadow=0.2, rim=0.0)
