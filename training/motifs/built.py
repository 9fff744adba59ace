"""Arches, pagodas and wheels."""

from __future__ import annotations

import copy

import numpy as np

from .brush import Sheet, blend, colour, curve, smoothstep


def region(sheet: Sheet, points) -> Sheet:
    """Return the part of the sheet about some points, where fields cost less."""
    points = np.asarray(points)
    margin = 0.13  # room for the shadow
    low = np.floor((points.min(0) - margin + 1) * sheet.n / 2).astype(int)
    high = np.ceil((points.max(0) + margin + 1) * sheet.n / 2).astype(int)
    low = np.clip(low, 0, sheet.n - 2)
    box = slice(low[1], high[1]), slice(low[0], high[0])
    part = copy.copy(sheet)
    for name in ("x", "y", "rgb", "alpha"):  # views: what is laid lands on the sheet
        setattr(part, name, getattr(sheet, name)[box])
    part.noise = lambda *shape: sheet.noise(*shape)[box]
    part.polygon = lambda points: sheet.polygon(points)[box]
    part.stroke = lambda points, widths: sheet.stroke(points, widths)[box]
    return part


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
    """Draw a pagoda: lit storeys under wide upturned tiled roofs, with a gilt spire."""
    sheet = Sheet(rng, size)
    roof = colour(rng, rng.choice([0.0, 0.45, 0.58, 0.1, 0.3, 0.8]), 0.7, 0.6)
    wall = colour(rng, rng.choice([0.02, 0.05, 0.1]), 0.65, 0.6)
    gold = colour(rng, 0.125, 0.72, 0.95, 0.02)
    storeys = int(rng.choice([2, 3, 3, 4]))
    taper = rng.uniform(0.8, 0.92)
    top = rng.uniform(-0.8, -0.68)
    share = rng.uniform(0.88, 1.0) ** np.arange(storeys)
    heights = share / share.sum() * (0.86 - top)
    _platform(sheet, wall, gold)
    rod = sheet.stroke([[0, -0.98], [0, top + 0.1]], [0.014, 0.045])
    sheet.lay(rod, gold, 0.05, gloss=0.8)
    for y in np.linspace(-0.9, top - 0.02, 3):
        wide = 0.05 + 0.25 * (y + 0.9)
        sheet.lay(sheet.ellipse(0, y, wide, 0.032), gold, 0.05, gloss=0.9)
    lift = rng.uniform(0.12, 0.26)
    floors = 0.86 - np.concatenate([[0], np.cumsum(heights)])
    # From the ground up: each storey stands on the roof beneath it.
    for k in range(storeys):
        w = 0.86 * taper**k
        height = heights[k]
        _storey(sheet, w * 0.74, floors[k] + 0.04, height, wall, gold)
        last = k == storeys - 1
        _roof(sheet, w, floors[k] - 0.46 * height, height, lift, roof, gold, last)
    return sheet.finish()


def _rectangle(x0, y0, x1, y1) -> list[list[float]]:
    return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]


def _platform(sheet: Sheet, wall, gold) -> None:
    """Lay a stone terrace with steps."""
    stone = blend(wall, (0.75, 0.72, 0.66), 0.75)
    sheet = region(sheet, _rectangle(-0.97, 0.82, 0.97, 0.98))
    paint, bump = masonry(sheet, stone, 0.06)
    for wide, top in ((0.97, 0.87), (0.9, 0.82)):
        box = sheet.polygon(_rectangle(-wide, top, wide, 0.98))
        sheet.lay(box, paint, 0.03, bump, gloss=0.1)
    steps = 0.75 + 0.35 * np.sin(sheet.y * 120)
    flight = sheet.polygon([[-0.16, 0.82], [0.16, 0.82], [0.24, 0.98], [-0.24, 0.98]])
    sheet.lay(flight, np.clip(stone * steps[..., None] * 1.2, 0, 1), 0.02)


def _storey(sheet: Sheet, w, floor, height, wall, gold) -> None:
    """Lay a wall of lit lattice windows between columns, and a railing before it."""
    rng = sheet.rng
    top = floor - 0.62 * height
    sheet = region(sheet, _rectangle(-w * 1.12, top, w * 1.12, floor))
    bays = int(rng.choice([3, 5]))
    u = (sheet.x + w) / (2 * w) * bays
    fu = u % 1 - 0.5
    v = (sheet.y - top) / (floor - top)
    glow = colour(rng, 0.11, 0.6, 1.0, 0.03)
    lamp = np.exp(-4 * fu**2 - 6 * (v - 0.5) ** 2)
    light = blend(glow * (0.55, 0.3, 0.2), np.clip(glow * 1.4, 0, 1), lamp)
    pitch = rng.uniform(7, 11)
    x, y = sheet.x, sheet.y
    if rng.random() < 0.5:
        x, y = x + y, x - y
    lattice = np.minimum(np.abs((x * pitch) % 1 - 0.5), np.abs((y * pitch) % 1 - 0.5))
    pane = light * smoothstep(0.04, 0.14, lattice)[..., None]
    frame = smoothstep(0.3, 0.36, np.abs(fu)) + smoothstep(0.2, 0.1, v)
    paint = blend(pane, wall * 0.9, np.clip(frame, 0, 1))
    column = np.sqrt(np.maximum(0, 1 - (2 * (0.5 - np.abs(fu)) / 0.22) ** 2))
    paint = np.where(column[..., None] > 0, wall * 1.25, paint)
    paint = np.where((np.abs(v - 0.12) < 0.05)[..., None], gold, paint)
    box = sheet.polygon(_rectangle(-w, top, w, floor))
    sheet.lay(box, paint.astype(np.float32), 0.02, 0.05 * column, gloss=0.35)
    _railing(sheet, w * 1.12, floor, 0.2 * height, wall, gold)


def _railing(sheet: Sheet, w, floor, high, wall, gold) -> None:
    top = floor - high
    v = (sheet.y - top) / high
    posts = np.abs((sheet.x / (2 * w) * 12) % 1 - 0.5) > 0.3
    bars = (v < 0.28) | (v > 0.8) | posts
    mask = sheet.polygon(_rectangle(-w, top, w, floor)) * bars
    paint = blend(wall * 1.15, gold, (v < 0.28).astype(np.float32))
    sheet.lay(mask, paint, 0.02, gloss=0.4, rim=0.3, shadow=0.6)


def _roof(sheet: Sheet, w, eave, height, lift, paint, gold, last) -> None:
    """Lay a roof of ribbed tiles that swings up to its corners, with gilt edges."""
    crest = eave - (0.62 if last else 0.5) * height
    reach, neck = 1.13 * w, (0.14 if last else 0.58) * w
    tip = eave - lift * (0.5 + w * 0.5)
    side = [[-reach, tip], [-0.8 * reach, eave - 0.2 * height], [-neck, crest]]
    upper = curve(side, 16)
    lower = curve([[reach, tip], [0.72 * w, eave], [0, eave + 0.03]], 16)
    lower = np.vstack([lower, (lower * (-1, 1))[::-1]])
    outline = np.vstack([upper, (upper * (-1, 1))[::-1], lower])
    sheet = region(sheet, np.vstack([outline, outline + np.float32([0, 0.1])]))
    # Tile rows run from the crest down and fan out towards the corners.
    v = (sheet.y - crest) / (eave - crest)
    fan = sheet.x / (neck + (0.95 * w - neck) * np.clip(v, 0, 1.2) ** 1.3)
    count = max(7, int(15 * w))
    ridge = np.abs(np.sin(fan * count * np.pi / 2))
    rows = (v + 0.35 * (1 - fan**2)) * height / 0.085
    step = rows - np.floor(rows)
    tone = (0.35 + 0.65 * ridge) * (0.7 + 0.45 * step) * (0.75 + 0.4 * v)
    tone = tone * (1.25 + 0.2 * sheet.noise(0.4))
    tiles = np.clip(np.asarray(paint) * tone[..., None], 0, 1)
    bump = 0.035 * ridge + 0.02 * step
    body = sheet.polygon(outline)
    sheet.lay(body, tiles, 0.1, bump, gloss=0.35, rim=0.6, shadow=0.7)
    _gilding(sheet, upper, lower, w, count, gold, paint)


def _gilding(sheet: Sheet, upper, lower, w, count, gold, paint) -> None:
    """Lay the eave's band of round tile ends, the hips, corner curls and lanterns."""
    beads = 0.5 + 0.5 * np.cos(sheet.x * count * np.pi * 1.1 / w)
    band = blend(np.asarray(paint) * 0.5, gold, smoothstep(0.25, 0.6, beads))
    edge = sheet.stroke(lower, 0.032)
    sheet.lay(edge, band, 0.03, 0.02 * beads, gloss=0.6, rim=0.25, shadow=0.5)
    mirror = upper * np.float32([-1, 1])
    hips = np.maximum(sheet.stroke(upper, 0.022), sheet.stroke(mirror, 0.022))
    crest = sheet.stroke([upper[-1], mirror[-1]], 0.028)
    sheet.lay(np.maximum(hips, crest), gold, 0.03, gloss=0.8, rim=0.3, shadow=0.3)
    x, y = upper[0]
    curl = sheet.stroke([[x + 0.02, y + 0.01], [x - 0.005, y - 0.05]], [0.035, 0.014])
    curl = np.maximum(curl, curl[:, ::-1])
    sheet.lay(curl, gold, 0.04, gloss=0.9, shadow=0)
    red = colour(sheet.rng, 0.01, 0.85, 0.95, 0.02)
    ball = sheet.ellipse(x + 0.08, y + 0.13, 0.055, 0.062)
    ball = np.maximum(ball, ball[:, ::-1])
    ribs = 0.85 + 0.25 * np.cos((sheet.y - y) * 140)
    paint = np.clip(red * ribs[..., None], 0, 1)
    sheet.lay(ball, paint, 0.07, gloss=0.7, rim=0.4, shadow=0.3)
