"""Fish, scales, shells."""

from __future__ import annotations

import numpy as np

from .brush import Sheet, blend, colour, curve, smoothstep


def scale_rows(sheet: Sheet, pitch: float, angle: float = 0.0):
    """Return `(tone, height, cell)` of overlapping round scales.

    `cell` is a number in [0, 1) for every scale, for colouring them one by one.
    """
    u = (sheet.x * np.cos(angle) + sheet.y * np.sin(angle)) / pitch
    v = (-sheet.x * np.sin(angle) + sheet.y * np.cos(angle)) / pitch
    best = np.full(u.shape, -1.0, np.float32)
    cell = np.zeros_like(best)
    # The scale nearest the front that covers a pixel wins; three rows can.
    for back in (2, 1, 0):
        row = np.floor(u * 2) - back
        offset = 0.5 * (row % 2)
        column = np.floor(v + offset)
        du = u - row / 2
        dv = v + offset - column - 0.5
        r = np.hypot(du * 0.9, dv) / 0.62
        inside = (r < 1) & (du >= 0)
        best = np.where(inside, 1 - r, best)
        number = np.sin(row * 12.9898 + column * 78.233) * 43758.5453
        cell = np.where(inside, number - np.floor(number), cell)
    best = np.maximum(best, 0)
    tone = 0.55 + 0.6 * smoothstep(0.0, 0.25, best)
    return tone, 0.25 * pitch * np.sqrt(best), cell


def scales(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a patch of overlapping scales, each with its own tint."""
    sheet = Sheet(rng, size)
    r, _ = sheet.polar()
    mask = smoothstep(1.0, 0.92, r + 0.12 * sheet.noise(0.9))
    tone, height, cell = scale_rows(sheet, rng.uniform(0.2, 0.38), rng.uniform(0, 6.28))
    hue = rng.choice([0.03, 0.1, 0.35, 0.5, 0.6])
    a, b = colour(rng, hue, 0.6, 0.7), colour(rng, hue + 0.1, 0.7, 0.5)
    paint = blend(a, b, np.clip(0.5 * cell + 0.5 + 0.7 * sheet.noise(0.95), 0, 1))
    sheet.lay(mask, paint * tone[..., None], 0.5, height, gloss=0.5, rim=0.2)
    return sheet.finish()


def fish(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a fish: scaled body, rayed fins and tail, gill, round eye."""
    sheet = Sheet(rng, size)
    hue = rng.choice([0.04, 0.1, 0.5, 0.58, 0.95])
    top, low = colour(rng, hue, 0.75, 0.55), colour(rng, hue + 0.06, 0.35, 0.9)
    fin = colour(rng, hue - 0.03, 0.75, 0.65)
    deep = rng.uniform(0.32, 0.5)
    _fins(sheet, deep, fin)
    _trunk(sheet, deep, top, low, hue)
    _fin(
        sheet,
        [[0.3, 0.08], [0.02, 0.02], [-0.02, 0.22], [0.1, 0.3]],
        (0.32, 0.1),
        fin * 1.1,
    )
    _fish_head(sheet, top)
    return sheet.finish()


def _fins(sheet: Sheet, deep: float, fin) -> None:
    _fin(
        sheet,
        [[-0.55, 0], [-0.85, -0.5], [-1, -0.5], [-0.86, 0], [-1, 0.5], [-0.85, 0.5]],
        (-0.4, 0),
        fin,
    )
    high = deep + sheet.rng.uniform(0.15, 0.35)
    _fin(
        sheet,
        [[0.3, -deep * 0.7], [0.05, -high], [-0.35, -high * 0.85], [-0.5, -0.1]],
        (0.1, 0.4),
        fin,
    )
    _fin(
        sheet,
        [[0.0, deep * 0.7], [-0.1, high], [-0.3, high * 0.9], [-0.4, 0.1]],
        (0.1, -0.3),
        fin,
    )


def _trunk(sheet: Sheet, deep: float, top, low, hue: float) -> None:
    rng = sheet.rng
    body = curve(
        [
            [0.92, 0.05],
            [0.6, -deep * 0.75],
            [0.1, -deep],
            [-0.6, -0.1],
            [-0.62, 0.1],
            [0.1, deep],
            [0.6, deep * 0.8],
            [0.92, 0.05],
        ],
        48,
    )
    tone, height, _ = scale_rows(sheet, rng.uniform(0.12, 0.18), np.pi)
    paint = blend(top, low, smoothstep(-deep * 0.6, deep * 0.7, sheet.y))
    if rng.random() < 0.5:
        bars = smoothstep(
            0.2, 0.5, np.sin(sheet.x * rng.uniform(8, 16) + sheet.noise(0.95))
        )
        paint = blend(paint, colour(rng, hue + 0.5, 0.6, 0.3), 0.8 * bars)
    scaled = paint * tone[..., None]
    scaled = blend(scaled, paint, smoothstep(0.4, 0.5, sheet.x))
    height = height * smoothstep(0.5, 0.4, sheet.x)
    sheet.lay(sheet.polygon(body), scaled, 0.4, height, gloss=0.5)
    gill = curve([[0.45, -deep * 0.6], [0.36, 0.0], [0.45, deep * 0.6]], 12)
    sheet.tint(sheet.stroke(gill, 0.02), top * 0.4)


def _fish_head(sheet: Sheet, top) -> None:
    rng = sheet.rng
    x, y, radius = 0.62, -0.1, rng.uniform(0.09, 0.13)
    sheet.lay(sheet.ellipse(x, y, radius, radius), colour(rng, 0.12, 0.5, 0.9), 0.06)
    sheet.lay(
        sheet.ellipse(x, y, radius * 0.6, radius * 0.6),
        (0.02, 0.02, 0.03),
        0.04,
        gloss=0.8,
    )
    sheet.tint(sheet.ellipse(x - 0.03, y - 0.03, 0.025, 0.025), (1, 1, 1))
    sheet.tint(
        sheet.stroke([[0.92, 0.1], [0.84, 0.14], [0.74, 0.15]], 0.014), top * 0.3
    )


def _fin(sheet: Sheet, outline, root, paint) -> None:
    _, theta = sheet.polar(*root)
    rays = np.sin(theta * 44)
    tone = 1 + 0.3 * rays
    mask = sheet.polygon(outline)
    sheet.lay(
        mask, np.clip(paint * tone[..., None], 0, 1), 0.04, 0.01 * rays, gloss=0.3
    )


REACH = 1.15  # of a shell's mouth from its pole


def shell(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a coiled shell: a logarithmic spiral of ribbed whorls."""
    sheet = Sheet(rng, size)
    sheet.x = sheet.x / rng.uniform(0.85, 1.0)
    growth = rng.uniform(0.17, 0.26)  # of the radius's logarithm, per radian
    hand = rng.choice([-1, 1])
    start = rng.uniform(0, 2 * np.pi)
    # The mouth reaches far to one side, so the pole moves to the other.
    r, theta = sheet.polar(-0.22 * np.cos(start), 0.22 * hand * np.sin(start))
    angle = (hand * theta + start) % (2 * np.pi)
    turn = np.log(np.maximum(r, 1e-3) / REACH) / growth - angle
    whorl = np.floor(turn / (2 * np.pi))
    phase = turn / (2 * np.pi) - whorl  # 0 at the inner seam, 1 at the outer
    mask = smoothstep(0.0, 0.05, REACH * np.exp(growth * (angle - 2 * np.pi)) - r)
    run = angle + 2 * np.pi * whorl
    ribs = np.sin(run * rng.uniform(5, 9) - hand * 1.5 * phase)
    tube = np.sqrt(np.maximum(0, 1 - (2 * phase - 1) ** 2))
    hue = rng.uniform(0.03, 0.12)
    a, b = colour(rng, hue, 0.3, 0.9), colour(rng, hue, 0.6, 0.5)
    bands = smoothstep(-0.3, 0.6, ribs + 0.8 * sheet.noise(0.8))
    paint = blend(a, b, 0.75 * bands) * (0.35 + 0.65 * tube)[..., None]
    height = (0.32 * tube + 0.025 * ribs * tube) * np.minimum(r, 1)
    sheet.lay(mask, paint, 0.1, height, gloss=0.4, rim=0.4)
    return sheet.finish()
