"""Arches and pagodas, and the masonry they share with other buildings."""

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
    """Draw a vaulted walk, an arcade with depth, or a stained gothic window."""
    sheet = Sheet(rng, size)
    stone = colour(rng, rng.choice([0.08, 0.1, 0.04, 0.6]), 0.38, 0.82)
    kinds = (_vault, _vault, _window, _arcade, _arcade)
    gold = colour(rng, 0.12, 0.7, 0.9, 0.02)
    cap = gold if rng.random() < 0.4 else np.clip(stone * 1.15, 0, 1)
    draw = kinds[rng.integers(len(kinds))]
    shoulder = -0.96 if draw is _arcade else rng.choice([-0.96, -0.3, 0.0])
    _wall(sheet, stone, float(shoulder))
    draw(sheet, stone, cap)
    return sheet.finish()


def _arch(sheet: Sheet, cx, spring, half, pointed):
    """Return how far out each pixel lies (1 on the arch) and how far along it."""
    dx, dy = (sheet.x - cx) / half, (sheet.y - spring) / half
    up = np.maximum(-dy, 0)
    theta = np.arctan2(up, dx)
    if pointed:
        peak = up * up / (up * up + dx * dx + 1e-6)
        up = up / (1 + 0.7 * pointed * peak * peak * peak)
    along = np.where(dy > 0, np.pi / 2 + dy, np.abs(np.pi / 2 - theta))
    return np.hypot(dx, up), along


def _wall(sheet: Sheet, stone, shoulder) -> None:
    """Lay the masonry, square or with a gable, lest all dreams have corners."""
    paint, bump = masonry(sheet, stone, sheet.rng.uniform(0.09, 0.14))
    gable = [[-0.98, shoulder], [0, -0.98], [0.98, shoulder], [0.98, 0.98]]
    sheet.lay(sheet.polygon([*gable, [-0.98, 0.98]]), paint, 0.05, bump, gloss=0.05)


def _frame(sheet: Sheet, arch, spring, half, base, stone, cap, inner=0.8) -> None:
    """Lay an arch of voussoirs and mouldings that stands on fluted columns."""
    out, along = arch
    above = sheet.y < spring
    t = (out - inner) / (1 - inner)
    wedge = np.abs((along * 2.6 + 0.5) % 1 - 0.5)
    joint = smoothstep(0.0, 0.07, 0.5 - wedge)
    tint = 0.5 + 0.5 * np.sin(np.floor(along * 2.6 + 0.5) * 78.2)
    roll = np.abs(np.sin(t * np.pi * 1.5))
    flute = 0.5 + 0.5 * np.cos(t * np.pi * 6)
    tone = np.where(
        above, (0.55 + 0.45 * joint) * (0.85 + 0.3 * tint), 0.75 + 0.35 * flute
    )
    tone = tone * (1.1 + 0.2 * sheet.noise(0.3))
    round_shaft = np.sqrt(np.maximum(0, 1 - (2 * t - 1) ** 2))
    bump = half * np.where(above, 0.05 * roll + 0.02 * joint, 0.13 * round_shaft)
    bump = bump + np.where(above, 0, 0.02 * half * flute)
    mask = (out < 1) & (out > inner) & (sheet.y < base)
    paint = np.clip(np.asarray(stone) * tone[..., None], 0, 1)
    sheet.lay(mask.astype(np.float32), paint, 0.02, bump, 0.2, 0.6, 0.7)
    axis = np.abs(out - 0.5 * (1 + inner)) / (1 - inner)  # 0.5 at the rims
    lift = (sheet.y - spring) / half
    head = (axis < 0.5 + 0.35 * smoothstep(0.24, 0.0, lift)) & (lift > 0)
    foot = (sheet.y > base - 0.13 * half) & (axis < 0.62)
    leaf = 0.5 + 0.5 * np.cos(out * 70) * np.sin(lift * 26)
    mask = ((head & (lift < 0.26)) | foot) & (sheet.y < base)
    paint = np.clip(cap * (0.65 + 0.5 * leaf)[..., None], 0, 1)
    sheet.lay(mask.astype(np.float32), paint, 0.03, 0.04 * half * leaf, 0.4, 0.4, 0.5)


def _vault(sheet: Sheet, stone, cap) -> None:
    """Draw arch within arch, dwindling along a chequered floor towards a light."""
    rng = sheet.rng
    pointed = rng.uniform(0.3, 1.0) if rng.random() < 0.6 else 0.0
    eye = rng.uniform(-0.25, 0.25), rng.uniform(0.2, 0.45)
    half, spring = rng.uniform(0.82, 0.95), -0.06 + 0.3 * pointed
    shrink = rng.uniform(0.68, 0.78)
    glow = colour(rng, rng.choice([0.1, 0.12, 0.55, 0.9]), 0.45, 1.0)
    dusk = colour(rng, 0.65, 0.5, 0.25)
    dark = colour(rng, 0.02, 0.5, 0.3, 0.2)
    slope = 0.8 * half / (0.98 - eye[1])
    layers = int(rng.integers(4, 6))
    for k in range(layers):
        q = shrink**k
        cx, base = eye[0] * (1 - q), eye[1] + (0.98 - eye[1]) * q
        middle = eye[1] + (spring - eye[1]) * q
        top = middle - half * q * (1 + 0.7 * pointed)
        part = region(sheet, _rectangle(cx - half * q, top, cx + half * q, base))
        arch = _arch(part, cx, middle, half * q, pointed)
        out, along = arch
        far = k / layers
        tint = blend(stone, blend(dusk, glow, far), 0.75 * far)
        ribs = 0.5 + 0.5 * np.cos(along * 14)
        tone = (0.25 + 0.3 * ribs) * smoothstep(0.2, 1.0, out) + 0.12
        floor = _chequers(part, eye, dark, stone)
        ground = np.abs(part.x - eye[0]) < (part.y - eye[1]) * slope
        inside = np.where(ground[..., None], floor, tint * tone[..., None])
        mask = ((out < 0.82) & (part.y < base)).astype(np.float32)
        part.lay(mask, inside.astype(np.float32), 0, gloss=0, rim=0.5, shadow=0)
        _frame(part, arch, middle, half * q, base, tint, blend(cap, tint, far))
    near = np.exp(-3 * np.clip(out, 0, 1) ** 2)
    light = np.clip(blend(glow * 0.6, np.clip(glow * 1.5, 0, 1), near), 0, 1)
    mask = ((out < 0.8) & (part.y < base)).astype(np.float32)
    part.lay(mask, light, 0, gloss=0, rim=0.2, shadow=0)


def _chequers(sheet: Sheet, eye, dark, stone) -> np.ndarray:
    near = np.maximum(sheet.y - eye[1], 0.02) / (0.98 - eye[1])
    u, v = (sheet.x - eye[0]) / near, 1 / near
    check = np.sin(u * 7) * np.sin(v * 5) > 0
    paint = blend(dark, np.clip(stone * 1.1, 0, 1), check.astype(np.float32))
    return np.clip(paint * (0.55 + 0.5 * near)[..., None], 0, 1)


def _arcade(sheet: Sheet, stone, cap) -> None:
    """Draw one or two tiers of arches, each with a second one deep inside it."""
    rng = sheet.rng
    tiers = int(rng.integers(1, 3))
    count = int(rng.integers(1, 3)) + tiers - 1
    pointed = rng.uniform(0.3, 1.0) if rng.random() < 0.5 else 0.0
    glow = colour(rng, rng.choice([0.1, 0.55, 0.6]), 0.6, 0.8)
    height, wide = 1.9 / tiers, 1.92 / count
    depths = (1.0, 0.72, 0.5) if tiers * count < 3 else (1.0, 0.68)
    side = rng.uniform(-0.2, 0.2)
    for k in range(tiers * count):
        cx = -0.96 + wide * (k % count + 0.5)
        base = 0.98 - height * (k // count)
        corner = _rectangle(cx - wide / 2, base - height, cx + wide / 2, base)
        part = region(sheet, corner)
        half = min(0.5 * wide, 0.8 * height)
        spring = base - height + half * (1.12 + 0.6 * pointed)
        spring = min(spring, base - 0.3 * height)
        _recess(part, cx, base, spring, half, pointed, side, depths, stone, cap, glow)
    band = sheet.polygon(_rectangle(-0.98, -0.98, 0.98, -0.9))
    beads = 0.5 + 0.5 * np.cos(sheet.x * 40)
    paint = np.clip(stone * (0.8 + 0.4 * beads)[..., None], 0, 1)
    sheet.lay(band, paint, 0.04, 0.02 * beads)


def _recess(
    sheet: Sheet, cx, base, spring, half, pointed, side, depths, stone, cap, glow
) -> None:
    """Lay one bay: arches each deeper than the last, then sky or coloured glass."""
    high = base - spring + half * (1 + 0.7 * pointed)
    for depth in depths:
        x = cx + side * half * (1 - depth)
        arch = _arch(sheet, x, spring, half * depth, pointed)
        shade = 0.3 + 0.7 * depth
        _frame(
            sheet, arch, spring, half * depth, base, stone * shade, cap * shade, 0.77
        )
        tone = smoothstep(-1.0, 1.0, (sheet.x - x) / half * np.sign(side))
        within = blend(stone * 0.12, stone * 0.5, tone)
        if depth == depths[-1]:
            rise = (base - sheet.y) / high
            within = blend(np.clip(glow * 1.2, 0, 1), glow * (0.3, 0.25, 0.5), rise)
            within = within * (1 + 0.35 * sheet.noise(0.8))[..., None]
        mask = ((arch[0] < 0.77) & (sheet.y < base)).astype(np.float32)
        sheet.lay(mask, np.clip(within, 0, 1), 0, gloss=0, rim=0.7, shadow=0)


def _window(sheet: Sheet, stone, cap) -> None:
    """Draw a pointed window: lancets and a rose of coloured glass in stone bars."""
    rng = sheet.rng
    pointed, half = rng.uniform(0.3, 0.7), rng.uniform(0.84, 0.95)
    spring = -0.96 + half * (1 + 0.7 * pointed)
    arch = _arch(sheet, 0, spring, half, pointed)
    out = arch[0]
    _frame(sheet, arch, spring, half, 0.98, stone, cap, 0.84)
    lancets = int(rng.integers(2, 4))
    radius = half * rng.uniform(0.36, 0.46)
    cy = spring - 0.22 * half
    r, theta = sheet.polar(0, cy)
    petals = int(rng.choice([6, 8, 10, 12]))
    foil = radius * (0.82 + 0.13 * np.abs(np.cos(theta * petals / 2)))
    bars = (r < radius * 1.1) & (r > foil)
    bars |= (np.abs(np.sin(theta * petals / 2)) * r < 0.05 * half) & (r < radius)
    bars |= np.abs(r - 0.3 * radius) < 0.03 * half
    wide = 0.84 * half / lancets
    for k in range(lancets):
        cx = wide * (2 * k + 1 - lancets)
        top = cy + radius * 1.15 + 0.9 * wide * (0.45 if k * 2 + 1 == lancets else 0.2)
        rho, _ = _arch(sheet, cx, top, wide, 0.8)
        bars |= (rho > 0.86) & (rho < 1.04)
    cell = np.floor(theta / (2 * np.pi) * petals + 0.5) * 7 + np.floor(4 * r / radius)
    inside = ((out < 0.86) & (sheet.y < 0.98)).astype(np.float32)
    glass, bump = _glass(sheet, np.where(r < radius, cell, -1), spring)
    sheet.lay(inside, glass, 0, bump, gloss=0.3, rim=0.4, shadow=0)
    sheet.lay(inside * bars, np.clip(stone * 1.1, 0, 1), 0.05, None, 0.3, 0.6, 0.6)


def _glass(sheet: Sheet, cell, spring):
    """Return `(paint, bump)` of leaded panes; `cell` counts those of the rose."""
    rng = sheet.rng
    pitch = rng.uniform(4.5, 7)
    u, v = (sheet.x + sheet.y * 0.7) * pitch, (sheet.x - sheet.y * 0.7) * pitch
    fu, fv = u % 1 - 0.5, v % 1 - 0.5
    lead = smoothstep(0.5, 0.4, np.maximum(np.abs(fu), np.abs(fv)))
    number = np.where(cell < 0, np.floor(u) * 12.9 + np.floor(v) * 78.2, cell * 37.7)
    lead = np.where(cell < 0, lead, 1.0)
    number = (np.sin(number) * 43758.5) % 1
    hue = rng.random()
    jewels = [colour(rng, hue + k * 0.28, 0.85, 0.9, 0.03) for k in range(4)]
    paint = np.stack(jewels)[(number * 4).astype(int) % 4]
    light = 0.7 + 0.7 * np.exp(-(sheet.x**2 + (sheet.y - spring) ** 2) * 1.5)
    tone = light * (0.25 + 0.75 * lead) * (0.85 + 0.3 * (number * 7 % 1))
    tone = tone * (1.05 + 0.3 * sheet.noise(0.5))
    return np.clip(paint * tone[..., None], 0, 1).astype(np.float32), 0.02 * lead


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
