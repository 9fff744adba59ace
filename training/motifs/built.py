"""Arches, pagodas and wheels."""

from __future__ import annotations

import numpy as np

from .brush import Sheet, blend, colour, curve, smoothstep


def masonry(sheet: Sheet, paint, pitch: float, x=None, y=None):
    """Return `(paint, bump)` of stones in courses, along `x` and `y` if given."""
    x = sheet.x if x is None else x
    y = (sheet.y if y is None else y) / pitch
    row = np.floor(y)
    u = x / (2 * pitch) + 0.5 * (row % 2)
    fy = y - row
    column = np.floor(u)
    fx = u - column
    joint = np.minimum(np.minimum(fx, 1 - fx) * 2, np.minimum(fy, 1 - fy))
    number = np.sin(row * 12.9898 + column * 78.233) * 43758.5453
    tint = number - np.floor(number)
    stone = smoothstep(0.02, 0.16, joint)
    grain = sheet.noise(0.3)
    tone = (0.5 + 0.5 * stone) * (0.8 + 0.4 * tint) * (1 + 0.2 * grain)
    warm = 1 + (tint - 0.5)[..., None] * np.float32([0.16, 0.0, -0.2])
    paint = np.clip(np.asarray(paint) * warm * tone[..., None], 0, 1)
    return paint.astype(np.float32), pitch * (0.18 * stone + 0.05 * grain)


def shingles(u, v):
    """Return `(tone, bump)` of round-ended tiles; one tile is 1 wide and 1 deep."""
    row = np.floor(v)
    fv = v - row
    fu = (u + 0.5 * (row % 2)) % 1 - 0.5
    round_end = np.sqrt(np.maximum(0, 1 - (2 * fu) ** 2))
    lip = smoothstep(0.0, 0.25, 0.62 + 0.38 * round_end - fv)
    number = np.sin(row * 39.35 + np.floor(u + 0.5 * (row % 2)) * 11.13) * 4375.85
    tint = number - np.floor(number)
    tone = (0.4 + 0.6 * lip) * (0.65 + 0.5 * fv) * (0.85 + 0.3 * tint)
    return tone, lip * (0.35 * round_end + 0.65 * fv)


def arches(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw an arcade, one or two tiers of round or pointed arches on pillars."""
    sheet = Sheet(rng, size)
    stone = colour(rng, rng.choice([0.08, 0.1, 0.04, 0.6]), 0.35, 0.7)
    wall, bump = masonry(sheet, stone, rng.uniform(0.09, 0.14))
    sheet.lay(
        sheet.polygon([[-0.98, -0.95], [0.98, -0.95], [0.98, 0.98], [-0.98, 0.98]]),
        wall,
        0.05,
        bump,
        gloss=0.05,
    )
    tiers = int(rng.integers(1, 3))
    count = int(rng.integers(1, 4)) + tiers - 1
    pointed = rng.uniform(0.0, 0.9) if rng.random() < 0.5 else 0.0
    height = 1.8 / tiers
    wide = 1.9 / count
    for tier in range(tiers):
        base = 0.98 - tier * height
        for k in range(count):
            cx = -0.95 + wide * (k + 0.5)
            _arch(sheet, cx, base, wide, height, stone, pointed)
        if tier < tiers - 1 or rng.random() < 0.6:
            top = base - height + 0.02
            band = [
                [-1, top - 0.05],
                [1, top - 0.05],
                [1, top + 0.05],
                [-1, top + 0.05],
            ]
            sheet.lay(sheet.polygon(band), stone * 1.15, 0.05, gloss=0.1)
    return sheet.finish()


def _arch(sheet: Sheet, cx, base, wide, height, stone, pointed) -> None:
    rng = sheet.rng
    half = wide * 0.36
    spring = base - height * 0.92 + half * (1.35 + 0.5 * pointed)
    t = np.linspace(0, np.pi, 24)
    rise = np.sin(t) * (1 + pointed * 0.7 * np.sin(t) ** 6)

    def outline(k: float) -> np.ndarray:
        bow = np.stack([cx + k * half * np.cos(t), spring - k * half * rise], 1)
        return np.vstack([[cx + k * half, base], bow, [cx - k * half, base]])

    theta = np.arctan2(sheet.y - spring, sheet.x - cx)
    wedge = np.where(
        sheet.y < spring, np.sin(theta * 17), np.sin((sheet.y - spring) * 17 / half)
    )
    ring = (
        stone
        * (1.05 + 0.22 * np.sign(wedge) * smoothstep(0, 0.3, abs(wedge)))[..., None]
    )
    sheet.lay(
        sheet.polygon(outline(1.25)), np.clip(ring, 0, 1), 0.06, gloss=0.1, rim=0.6
    )
    hollow = colour(rng, 0.62, 0.4, 0.16)
    depth = blend(
        hollow, stone * 0.55, smoothstep(0.2 * half, 1.1 * half, sheet.x - cx)
    )
    depth = (
        depth * (1 - 0.6 * smoothstep(spring + half, spring - half, sheet.y))[..., None]
    )
    sheet.lay(sheet.polygon(outline(1.0)), depth, 0, gloss=0, rim=0.8, shadow=0.0)
    for side in (-1, 1):
        x = cx + side * half * 1.13
        block = [
            [x - 0.2 * half, spring - 0.06],
            [x + 0.2 * half, spring - 0.06],
            [x + 0.15 * half, spring + 0.06],
            [x - 0.15 * half, spring + 0.06],
        ]
        sheet.lay(sheet.polygon(block), stone * 1.2, 0.04, gloss=0.1)


def pagoda(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a pagoda: storeys under upturned tiled roofs, with a spire."""
    sheet = Sheet(rng, size)
    roof = colour(rng, rng.choice([0.0, 0.45, 0.58, 0.1, 0.3]), 0.6, 0.45)
    wall = colour(rng, rng.choice([0.02, 0.08, 0.1]), 0.5, 0.7)
    storeys = int(rng.integers(3, 6))
    height = 1.5 / storeys
    width = rng.uniform(0.62, 0.85)
    taper = rng.uniform(0.72, 0.86)
    spire = sheet.stroke([[0, -0.98], [0, -0.5]], [0.012, 0.05])
    sheet.lay(spire, colour(rng, 0.13, 0.7, 0.8), 0.05, gloss=0.8)
    for ball in (-0.86, -0.78):
        sheet.lay(
            sheet.ellipse(0, ball, 0.05, 0.035),
            colour(rng, 0.13, 0.7, 0.8),
            0.05,
            gloss=0.8,
        )
    for k in reversed(range(storeys)):
        w = width * taper**k
        floor = 0.96 - k * height
        _storey(sheet, w * 0.68, floor, height, wall)
        _roof(sheet, w, floor - height * 0.55, height * 0.62, roof)
    return sheet.finish()


def _storey(sheet: Sheet, w, floor, height, wall) -> None:
    top = floor - height * 0.75
    boards = 0.9 + 0.1 * np.sin(sheet.x * 70)
    box = [[-w, top], [w, top], [w, floor], [-w, floor]]
    sheet.lay(sheet.polygon(box), wall * boards[..., None], 0.05, gloss=0.05)
    count = 5
    for k in range(count):
        x = -w + 2 * w * (k + 0.5) / count
        h = w / count * 0.55
        window = [
            [x - h, top + 0.4 * height],
            [x + h, top + 0.4 * height],
            [x + h, floor - 0.02],
            [x - h, floor - 0.02],
        ]
        glow = (0.95, 0.7, 0.3) if sheet.rng.random() < 0.25 else (0.08, 0.06, 0.08)
        sheet.lay(sheet.polygon(window), glow, 0, gloss=0, rim=0.5, shadow=0)
    for x in (-w, -w / 3, w / 3, w):
        sheet.lay(
            sheet.stroke([[x, top], [x, floor]], 0.02), wall * 0.55, 0.02, shadow=0.15
        )


def _roof(sheet: Sheet, w, eave, height, paint) -> None:
    lift = height * sheet.rng.uniform(0.25, 0.45)
    upper = curve(
        [
            [-w * 1.12, eave - lift],
            [-w * 0.8, eave - 0.18 * height],
            [-w * 0.5, eave - height],
        ],
        14,
    )
    lower = curve(
        [
            [w * 1.12, eave - lift],
            [w * 0.75, eave + 0.08 * height],
            [0, eave + 0.14 * height],
            [-w * 0.75, eave + 0.08 * height],
            [-w * 1.12, eave - lift],
        ],
        30,
    )
    outline = np.vstack([upper, (upper * (-1, 1))[::-1], lower])
    tiles = np.sin(sheet.x * 55 / (0.4 + w)) + 0.5 * np.sin(sheet.y * 90)
    tone = np.clip(paint * (1 + 0.25 * tiles)[..., None], 0, 1)
    sheet.lay(
        sheet.polygon(outline), tone, 0.12, 0.01 * tiles, gloss=0.3, rim=0.6, shadow=0.5
    )
    sheet.lay(sheet.stroke(lower, 0.016), paint * 1.6, 0.02, gloss=0.3, shadow=0.3)


def wheel(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a wheel: tyre or wooden felloe, rim, spokes, hub."""
    sheet = Sheet(rng, size)
    wooden = rng.random() < 0.5
    tyre = colour(rng, 0.07, 0.5, 0.35) if wooden else colour(rng, 0.6, 0.15, 0.15)
    metal = colour(rng, 0.08 if wooden else 0.6, 0.5 if wooden else 0.08, 0.6)
    r, theta = sheet.polar()
    outer, inner = 0.96, rng.uniform(0.66, 0.8)
    cleats = np.sin(theta * rng.integers(20, 44))
    grain = sheet.noise(0.3)
    tread = np.clip(
        tyre * (1 + 0.25 * cleats * smoothstep(0.85, 0.92, r) + 0.2 * grain)[..., None],
        0,
        1,
    )
    count = int(rng.choice([5, 6, 8, 10, 12, 16]))
    half = rng.uniform(0.03, 0.07)
    for k in range(count):
        a = 2 * np.pi * k / count
        way = np.array([np.cos(a), np.sin(a)])
        spoke = np.stack([0.1 * way, 0.45 * way, (inner + 0.04) * way])
        sheet.lay(
            sheet.stroke(spoke, [half * 1.2, half * 0.8, half]), metal, 0.06, gloss=0.5
        )
    ring = sheet.ellipse(0, 0, outer, outer) * (1 - sheet.ellipse(0, 0, inner, inner))
    sheet.lay(ring, tread, 0.12, 0.01 * cleats * smoothstep(0.85, 0.95, r), gloss=0.3)
    lip = sheet.ellipse(0, 0, inner + 0.05, inner + 0.05) * (
        1 - sheet.ellipse(0, 0, inner - 0.03, inner - 0.03)
    )
    sheet.lay(lip, metal * 1.15, 0.05, gloss=0.6)
    hub = rng.uniform(0.14, 0.24)
    sheet.lay(sheet.ellipse(0, 0, hub, hub), metal * 0.8, 0.12, gloss=0.6)
    sheet.lay(sheet.ellipse(0, 0, hub * 0.5, hub * 0.5), metal * 0.5, 0.06, gloss=0.8)
    for k in range(6):
        a = k * np.pi / 3
        bolt = sheet.ellipse(hub * 0.75 * np.cos(a), hub * 0.75 * np.sin(a), 0.02, 0.02)
        sheet.lay(bolt, metal * 0.4, 0.02, rim=0)
    return sheet.finish()
