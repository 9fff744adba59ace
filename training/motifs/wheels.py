"""Wheels: of carts, ships and cars, and the cogs of clockwork."""

from __future__ import annotations

import numpy as np

from .brush import Sheet, colour, smoothstep
from .built import region


def wheel(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a cart wheel, meshing brass cogs, a ship's wheel or a spoked rim."""
    sheet = Sheet(rng, size)
    kinds = (_cart, _cogs, _cogs, _helm, _rim)
    kinds[rng.integers(len(kinds))](sheet)
    return sheet.finish()


def _wood(sheet: Sheet, paint, along, across):
    """Return `(paint, bump)` of wood whose fibres run with `along`."""
    wobble = sheet.noise(0.8)
    fibre = np.sin(across * 55 + 3 * wobble + 1.2 * np.sin(along * 2.3))
    fine = np.sin(across * 140 + 9 * wobble)
    tone = 0.95 + 0.22 * fibre + 0.1 * fine + 0.2 * wobble
    return np.clip(np.asarray(paint) * tone[..., None], 0, 1), 0.008 * fibre


def _annulus(sheet: Sheet, outer, inner, cx=0.0, cy=0.0) -> np.ndarray:
    hole = sheet.ellipse(cx, cy, inner, inner)
    return sheet.ellipse(cx, cy, outer, outer) * (1 - hole)


def _disc(sheet: Sheet, radius, r, theta) -> None:
    """Lay a dark backing with a sheen, so that no ground shows between the spokes."""
    rng = sheet.rng
    deep = colour(rng, rng.choice([0.6, 0.05, 0.75, 0.45]), 0.6, 0.3, 0.1)
    sheen = 0.6 + 0.4 * np.cos(2 * theta + rng.uniform(0, 6)) + 0.2 * np.sin(r * 90)
    sheet.lay(sheet.ellipse(0, 0, radius, radius), deep * sheen[..., None], 0, rim=0.6)


def _cart(sheet: Sheet) -> None:
    """Draw a wooden wheel: plump turned spokes, felloes, iron tyre, brass hub."""
    rng = sheet.rng
    r, theta = sheet.polar()
    wood = colour(rng, 0.075, 0.65, 0.7)
    iron = colour(rng, 0.6, 0.15, 0.4)
    count = int(rng.choice([6, 8, 8, 10, 12]))
    inner = rng.uniform(0.6, 0.68)
    _disc(sheet, 0.9, r, theta)
    half = min(0.13, 0.72 / count) * rng.uniform(0.85, 1.1)
    _spokes(sheet, count, inner, half, wood)
    sheet.lay(_annulus(sheet, 0.97, 0.86), iron, 0.06, 0.02 * sheet.noise(0.4), 0.6)
    grain, bump = _wood(sheet, wood, theta * 3, r)
    seam = np.abs((theta / (2 * np.pi) * count + 0.5) % 1 - 0.5) < 0.025
    grain = np.where(seam[..., None], grain * 0.3, grain).astype(np.float32)
    sheet.lay(_annulus(sheet, 0.88, inner), grain, 0.12, bump, 0.3, 0.6, 0.6)
    _studs(sheet, 0.915, count * 2, 0.026, iron * 1.5)
    _hub(sheet, rng.uniform(0.2, 0.28), wood)


def _spokes(sheet: Sheet, count, reach, half, paint) -> None:
    """Lay turned spokes; the grain of each runs along it."""
    k = np.arange(count)
    waist = sheet.rng.uniform(0.55, 0.9)
    for a in 2 * np.pi * k / count:
        c, s = np.cos(a), np.sin(a)
        line = np.linspace(0.1, reach + 0.04, 5)[:, None] * np.float32([c, s])
        part = region(sheet, line)
        grain, bump = _wood(
            part, paint, c * part.x + s * part.y, c * part.y - s * part.x
        )
        wide = half * np.float32([0.9, waist, 1.15, waist, 1.0])
        part.lay(part.stroke(line, wide), grain, half, bump, 0.4, 0.5, 0.6)


def _studs(sheet: Sheet, radius, count, size, paint, cx=0.0, cy=0.0) -> None:
    mask = np.zeros_like(sheet.x)
    for a in 2 * np.pi * (np.arange(count) + 0.5) / count:
        x, y = cx + radius * np.cos(a), cy + radius * np.sin(a)
        mask = np.maximum(mask, sheet.ellipse(x, y, size, size))
    sheet.lay(mask, np.clip(paint, 0, 1), float(size), gloss=0.9, rim=0.4, shadow=0.5)


def _hub(sheet: Sheet, hub, paint, cx=0.0, cy=0.0) -> None:
    """Lay a hub in steps: a ring, a gilt cap with studs, a boss."""
    gold = colour(sheet.rng, 0.12, 0.7, 0.9, 0.02)
    steps = ((1.0, paint), (0.78, gold), (0.5, gold * 0.7), (0.28, gold * 1.1))
    for share, tint in steps:
        disc = sheet.ellipse(cx, cy, share * hub, share * hub)
        sheet.lay(disc, np.clip(tint, 0, 1), float(0.4 * hub), gloss=0.8, rim=0.6)
    _studs(sheet, 0.64 * hub, 6, 0.08 * hub + 0.006, gold * 0.45, cx, cy)


def _helm(sheet: Sheet) -> None:
    """Draw a ship's wheel: handles beyond a wooden rim inlaid with brass."""
    rng = sheet.rng
    r, theta = sheet.polar()
    wood = colour(rng, 0.05, 0.7, 0.6)
    gold = colour(rng, 0.12, 0.75, 0.9, 0.02)
    count = int(rng.choice([6, 8, 8, 10]))
    outer = rng.uniform(0.76, 0.82)
    _disc(sheet, outer - 0.05, r, theta)
    for a in 2 * np.pi * np.arange(count) / count:
        line = np.linspace(outer - 0.05, 0.89, 4)[:, None] * [[np.cos(a), np.sin(a)]]
        part = region(sheet, line)
        knob = part.stroke(line, np.float32([0.06, 0.09, 0.11, 0.09]))
        part.lay(knob, wood * 1.1, 0.09, gloss=0.7)
    inner = outer - rng.uniform(0.2, 0.26)
    _spokes(sheet, count, inner, rng.uniform(0.055, 0.08), wood)
    grain, bump = _wood(sheet, wood, theta * 3, r)
    sheet.lay(_annulus(sheet, outer, inner), grain, 0.11, bump, 0.5, 0.6, 0.6)
    middle = (outer + inner) / 2
    sheet.lay(_annulus(sheet, middle + 0.035, middle - 0.035), gold, 0.04, gloss=0.9)
    _studs(sheet, middle, count, 0.045, gold)
    _hub(sheet, rng.uniform(0.2, 0.27), wood)


def _rim(sheet: Sheet) -> None:
    """Draw a tyre about a chromed or painted rim of tapered spokes."""
    rng = sheet.rng
    r, theta = sheet.polar()
    metal = colour(rng, rng.choice([0.6, 0.12, 0.0]), rng.choice([0.1, 0.75]), 0.9)
    inner = rng.uniform(0.64, 0.72)
    _disc(sheet, 0.8, r, theta)
    count = int(rng.choice([5, 6, 7, 9]))
    turn = rng.choice([0.0, 0.9, -0.9]) * r
    lobe = np.cos((theta + turn) * count)
    blade = smoothstep(-0.25, 0.05, lobe - 0.35 + 0.9 * (0.35 - r) ** 2)
    blade = np.maximum(blade, smoothstep(0.32, 0.28, r)) * (r < inner + 0.04)
    brushed = 1 + 0.1 * np.sin(r * 130) + 0.12 * sheet.noise(0.4)
    sheet.lay(blade.astype(np.float32), metal * brushed[..., None], 0.1, gloss=0.9)
    cleats = np.sin(theta * rng.integers(22, 36) + 40 * np.abs(r - 0.86))
    rubber = colour(rng, 0.6, 0.2, 0.28)
    worn = 1 + 0.45 * cleats * smoothstep(0.78, 0.84, r) + 0.2 * sheet.noise(0.3)
    bump = 0.02 * cleats * smoothstep(0.78, 0.84, r)
    tread = np.clip(rubber * worn[..., None], 0, 1)
    sheet.lay(_annulus(sheet, 0.97, inner + 0.04), tread, 0.16, bump, 0.5)
    sheet.lay(_annulus(sheet, inner + 0.08, inner), metal, 0.05, gloss=0.9)
    _studs(sheet, 0.27, count, 0.035, metal * 0.5)
    _hub(sheet, 0.2, metal)


def _cogs(sheet: Sheet) -> None:
    """Draw clockwork: a great cog, and lesser ones that turn on it or within it."""
    rng = sheet.rng
    metals = [(0.12, 0.75, 0.95), (0.05, 0.7, 0.8), (0.6, 0.15, 0.85)]
    metals = [colour(rng, *metals[k], 0.03) for k in rng.permutation(3)]
    pitch = rng.uniform(0.12, 0.19)  # the arc of half a tooth, the same on all
    if rng.random() < 0.4:
        _cog(sheet, 0, 0, 0.98, 0.0, pitch, metals[0])
        way, size = rng.uniform(0, 6.28), rng.uniform(0.36, 0.5)
        for k in range(int(rng.integers(1, 3))):
            a = way + k * rng.uniform(1.9, 2.6)
            far = 0.94 - size
            x, y = far * np.cos(a), far * np.sin(a)
            _cog(sheet, x, y, size, a, 0.75 * pitch, metals[1 + k])
            size *= rng.uniform(0.65, 0.85)
        return
    r, theta = sheet.polar()
    _disc(sheet, 0.9, r, theta)
    _cog(sheet, 0, 0, 0.98, 0.0, pitch, metals[0], ring=0.8)
    planets = int(rng.choice([3, 4, 5]))
    size = {3: rng.uniform(0.3, 0.36), 4: rng.uniform(0.25, 0.32), 5: 0.25}[planets]
    way = rng.uniform(0, 6.28)
    for a in way + 2 * np.pi * np.arange(planets) / planets:
        far = 0.82 - size
        x, y = far * np.cos(a), far * np.sin(a)
        _cog(sheet, x, y, size, a, 0.62 * pitch, metals[1])
    _cog(sheet, 0, 0, 0.86 - 2 * size, way, 0.62 * pitch, metals[2])


def _cog(sheet: Sheet, cx, cy, radius, phase, pitch, metal, ring=0.0) -> None:
    """Lay one cog: teeth, turned grooves, spokes and a hub, or the ring alone."""
    rng = sheet.rng
    part = region(sheet, [[cx - radius, cy - radius], [cx + radius, cy + radius]])
    r, theta = part.polar(cx, cy)
    teeth = max(8, round(np.pi * radius / pitch))
    depth = 0.6 * pitch
    wave = np.cos((theta - phase) * teeth)
    edge = radius - depth + depth * smoothstep(-0.35, 0.35, wave)
    solid = smoothstep(0.008, -0.008, r - edge)
    arms = int(rng.choice([3, 4, 5, 6]))
    web = (
        (0.5 - np.abs(((theta / (2 * np.pi) * arms) % 1) - 0.5)) * 2 * np.pi / arms * r
    )
    hole = (r < 0.64 * radius) & (r > 0.4 * radius) & (web > 0.11 * radius)
    if ring:
        solid = solid * (r > ring)
    elif radius > 0.2 and rng.random() < 0.75:
        if radius > 0.8:  # before a dark disc, not before the ground
            _disc(part, 0.7 * radius, r, theta)
        solid = solid * ~hole
    grooves = np.sin(r * 110) * (r < radius - 1.3 * depth)
    sheen = 0.85 + 0.3 * np.cos(2 * theta + 1) + 0.1 * grooves + 0.25 * part.noise(0.5)
    paint = np.clip(metal * sheen[..., None], 0, 1).astype(np.float32)
    mask = solid.astype(np.float32)
    part.lay(mask, paint, 0.07, 0.003 * grooves, gloss=0.6, rim=0.7, shadow=0.8)
    if ring:
        _studs(part, (ring + radius - depth) / 2, teeth // 2, 0.03, metal * 1.2)
        return
    lip = _annulus(part, 0.78 * radius, 0.68 * radius, cx, cy)
    part.lay(lip, np.clip(metal * 1.1, 0, 1), 0.03, gloss=0.9, shadow=0.4)
    _hub(part, max(0.09, 0.3 * radius), metal * 0.8, cx, cy)
