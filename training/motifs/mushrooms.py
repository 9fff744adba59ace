"""Mushrooms: alone, in clusters, and seen from below with their gills."""

from __future__ import annotations

import numpy as np

from .brush import Sheet, blend, colour, curve, smoothstep
from .feathers import window


def mushroom(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a mushroom, a pair, a cluster, or one seen from below."""
    sheet = Sheet(rng, size)
    hue = rng.choice([0.0, 0.03, 0.07, 0.1, 0.75])
    coat = rng.choice(
        ["warts", "scales", "streaks", "plain"], p=[0.45, 0.15, 0.25, 0.15]
    )
    kind = rng.random()
    if kind < 0.22:
        _below(sheet, hue)
    elif kind < 0.5:
        places = [(-0.52, -0.12, 0.62), (0.5, -0.25, 0.66), (-0.62, 0.5, 0.46)]
        places += [(0.02, 0.16, 0.76), (0.62, 0.46, 0.5), (-0.2, 0.62, 0.38)]
        for x, y, k in places[: rng.integers(5, 7)]:
            jitter = rng.normal(0, 0.04, 2)
            _mushroom(sheet, x + jitter[0], y + jitter[1], k, hue, coat)
    elif kind < 0.72:
        side = rng.choice([-1, 1])
        _mushroom(sheet, -side * 0.2, -0.02, 0.95, hue, coat)
        _mushroom(sheet, side * 0.55, 0.4, 0.58, hue, coat)
    else:
        _mushroom(sheet, 0, 0, 1.08, hue, coat)
    return sheet.finish()


def _put(sheet: Sheet, outline, box, paint, bump, puff: float, gloss: float) -> None:
    whole = np.zeros((sheet.n, sheet.n, 3), np.float32)
    height = np.zeros_like(sheet.alpha)
    whole[box], height[box] = np.clip(paint, 0, 1), bump
    sheet.lay(sheet.polygon(outline), whole, puff, height, gloss, rim=0.45, shadow=0.5)


def _stem(sheet: Sheet, x: float, y: float, k: float, lean: float) -> None:
    """Lay a fibrous stem that swells to a bulb, at times with a ring."""
    rng = sheet.rng
    stalk = colour(rng, 0.11, 0.2, 0.88)
    lines = np.sin((sheet.x - x) * 55 / k + 2.5 * sheet.noise(0.8))
    line = curve([[lean, -0.2], [0, 0.4], [-lean, 0.88]], 20) * k + (x, y)
    t = np.linspace(0, 1, 20)
    thick = rng.uniform(0.16, 0.26)
    widths = k * (thick * (0.9 + 0.1 * t) + rng.uniform(0.02, 0.12) * t**4)
    tone = 0.9 + 0.16 * lines + 0.15 * sheet.noise(0.3)
    tone = tone * (0.7 + 0.3 * smoothstep(y, y + 0.35 * k, sheet.y))
    paint = np.clip(stalk * tone[..., None], 0, 1)
    sheet.lay(sheet.stroke(line, widths), paint, 0.25 * k, 0.008 * lines, gloss=0.1)
    if rng.random() < 0.45:
        w, top, low = 1.5 * thick * k, y + 0.14 * k, y + 0.32 * k
        wavy = np.linspace(1, -1, 15)
        hem = low + 0.03 * k * np.sin(9 * wavy)
        skirt = np.vstack(
            [[[x - 0.7 * w, top], [x + 0.7 * w, top]], np.stack([x + w * wavy, hem], 1)]
        )
        sheet.lay(sheet.polygon(skirt), paint, 0.08 * k, 0.01 * lines, gloss=0.1)


def _mushroom(sheet: Sheet, x: float, y: float, k: float, hue, coat: str) -> None:
    rng = sheet.rng
    lean = rng.normal(0, 0.06)
    _stem(sheet, x, y, k, lean)
    wide, high = rng.uniform(0.76, 0.92) * k, rng.uniform(0.7, 0.9) * k
    x = x + lean * k
    _, theta = sheet.polar(x, y - 0.4 * k)
    gills = np.sin(theta * 46)
    under = colour(rng, 0.09, 0.35, 0.6) * (0.8 + 0.3 * gills)[..., None]
    brim = sheet.ellipse(x, y - 0.03 * k, wide * 0.95, 0.19 * k)
    sheet.lay(brim, np.clip(under, 0, 1), 0.04, 0.01 * gills, gloss=0, rim=0.5)
    peak = rng.uniform(0.2, 0.4)
    half = [[wide, 0.02 * k], [wide * 0.88, -0.5 * high], [wide * peak, -0.95 * high]]
    back = [[-a, b] for a, b in half[::-1]]
    hem = [[-wide * 0.5, -0.07 * k], [wide * 0.5, -0.07 * k], half[0]]
    outline = curve([*half, *back, *hem], 50) + np.array([x, y])
    _cap(sheet, outline, (x, y, wide, high, k), colour(rng, hue, 0.8, 0.75), coat)


def _cap(sheet: Sheet, outline, place, top, coat: str) -> None:
    """Lay a cap in its coat, seen as a dome: streaks and scales run from the crown."""
    x, y, wide, high, k = place
    box = window(sheet, outline)
    u = (sheet.x[box] - x) / wide
    v = np.clip((y - sheet.y[box]) / (0.95 * high), 0, 1)  # 1 at the crown
    clouds, grain = sheet.noise(0.5)[box], sheet.noise(0.1, 1.5)[box]
    round_off = np.sqrt(np.maximum(1 - v**2, 0.05))
    around = np.clip(u / round_off, -1.1, 1.1)
    streaks = np.sin(26 * around + 3 * clouds)
    paint = blend(top * 0.7, top * 1.2, smoothstep(0.0, 0.9, v + 0.2 * clouds))
    bump = 0.004 * grain
    if coat == "streaks":
        paint = paint * (1 + 0.22 * streaks * (1 - 0.5 * v))[..., None]
        bump = bump + 0.012 * k * streaks
    elif coat == "scales":
        rows = 6 * (1 - v) + 0.9 * clouds
        cell = 7 * around + clouds + 0.5 * (np.floor(rows) % 2)
        side = np.abs(cell - np.floor(cell) - 0.5)
        tip = smoothstep(0.3, 0.8, (rows + side) % 1.0)
        paint = blend(paint * 1.15, top * 0.35, 0.8 * tip)
        bump = bump + 0.05 * k * tip
    hem = smoothstep(0.14, 0.02, v + 0.03 * streaks)
    paint = blend(paint, blend(top, (1, 0.95, 0.85), 0.6), 0.7 * hem)
    paint = paint * (1 + 0.18 * grain + 0.12 * clouds)[..., None]
    gloss = 0.55 if coat in ("plain", "warts") else 0.25
    _put(sheet, outline, box, paint, bump, 0.5 * k, gloss)
    if coat == "warts":
        _warts(sheet, sheet.polygon(outline), place)


def _warts(sheet: Sheet, cap, place) -> None:
    """Lay pale warts by the golden angle, flatter towards the rim."""
    rng = sheet.rng
    x, y, wide, high, k = place
    pale = colour(rng, 0.12, 0.12, 0.95)
    count = int(rng.integers(9, 17) * (1 if k > 0.7 else 0.6))
    start = rng.uniform(0, 6)
    for n in range(count):
        a, d = start + 2.4 * n, 0.9 * np.sqrt((n + 0.5) / count)
        sx, sy = x + wide * d * np.cos(a), y - 0.47 * high + 0.44 * high * d * np.sin(a)
        size = k * rng.uniform(0.06, 0.11)
        wart = sheet.ellipse(
            sx, sy, size * (1.15 - 0.5 * d * abs(np.cos(a))), size * 0.85
        )
        sheet.lay(wart * cap, pale, 0.06, gloss=0.15, shadow=0.35)


def _below(sheet: Sheet, hue: float) -> None:
    """Lay a cap from below: gills from stem to rim, long ones and short ones."""
    rng = sheet.rng
    cx, cy = rng.normal(0, 0.04), -0.22
    wide, high = rng.uniform(0.88, 0.97), rng.uniform(0.62, 0.74)
    t = np.linspace(0, 2 * np.pi, 70, endpoint=False)
    wavy = 1 + 0.025 * np.sin(t * rng.integers(4, 9) + rng.uniform(0, 6))
    rim = np.stack([cx + wide * wavy * np.cos(t), cy + high * wavy * np.sin(t)], 1)
    top = colour(rng, hue, 0.8, 0.7)
    skin = np.clip(top * (1 + 0.25 * sheet.noise(0.3))[..., None], 0, 1)
    sheet.lay(sheet.polygon(rim), skin, 0.12, gloss=0.4)
    foot = (cx + rng.normal(0, 0.04), cy + 0.04)
    x, y = (sheet.x - cx) / wide, (sheet.y - cy) / high
    r = np.hypot(x, y)
    theta = np.arctan2((sheet.y - foot[1]) / high, (sheet.x - foot[0]) / wide)
    theta = theta + 0.05 * sheet.noise(0.8)
    count = int(rng.integers(26, 38))
    long_ones = np.abs(np.sin(theta * count))
    short_ones = np.abs(np.cos(theta * count)) * smoothstep(0.45, 0.7, r)
    ridge = np.maximum(long_ones, short_ones) ** 2
    flesh = colour(rng, rng.choice([0.09, 0.12, hue]), 0.4, 0.85)
    tone = (0.35 + 0.75 * ridge) * (0.55 + 0.5 * smoothstep(0.1, 0.8, r))
    paint = np.clip(flesh * tone[..., None], 0, 1)
    inner = (rim - (cx, cy)) * 0.91 + (cx, cy)
    sheet.lay(
        sheet.polygon(inner), paint, 0.05, 0.025 * ridge - 0.15 * r, 0.1, shadow=0.2
    )
    lines = np.sin((sheet.x - cx) * 60 + 3 * sheet.noise(0.8))
    stalk = colour(rng, 0.11, 0.2, 0.9) * (0.88 + 0.15 * lines)[..., None]
    end = rng.normal(0, 0.12)
    stem = curve([foot, [foot[0] + 0.3 * end, 0.4], [foot[0] + end, 0.97]], 16)
    widths = np.linspace(0.17, rng.uniform(0.2, 0.3), 16)
    mask = sheet.stroke(stem, widths)
    sheet.lay(mask, np.clip(stalk, 0, 1), 0.2, 0.01 * lines, gloss=0.15, shadow=0.6)
