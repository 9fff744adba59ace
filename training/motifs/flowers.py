"""Flowers: roses, daisies, sunflowers, lilies, orchids, poppies and tulips."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .brush import Sheet, blend, colour, curve, smoothstep, turned
from .feathers import window

GOLDEN = 2.39996  # the angle between one seed or petal and the next, in radians


class Petal(NamedTuple):
    """What the petals of one flower share."""

    throat: np.ndarray
    base: np.ndarray
    lip: np.ndarray
    wide: float = 0.3  # half-width, as a share of the length
    full: float = 0.6  # where it is widest, from root to tip
    blunt: float = 0.7  # 1 pointed, 0.4 round
    veins: float = 9.0
    throat_end: float = 0.5
    spots: float = 0.0
    ruffle: float = 0.03


def flower(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a flower of one of seven kinds, at times on its leaves."""
    sheet = Sheet(rng, size)
    kinds = (_rose, _daisy, _sunflower, _lily, _orchid, _poppy, _tulip)
    kind = kinds[rng.choice(7, p=[0.22, 0.2, 0.13, 0.14, 0.11, 0.12, 0.08])]
    if kind is not _tulip and rng.random() < 0.45:
        _leaves(sheet)
    kind(sheet)
    return sheet.finish()


def _kind(rng, **shape) -> Petal:
    hue = rng.choice([0.0, 0.05, 0.12, 0.15, 0.62, 0.75, 0.83, 0.92, 0.97])
    base = colour(rng, hue, rng.choice([0.85, 0.6, 0.25]), 0.9, 0.03)
    throat = colour(rng, hue + rng.choice([-0.12, 0.0, 0.12]), 0.85, 0.5)
    if rng.random() < 0.25:
        throat = colour(rng, 0.14, 0.7, 0.9)
    lip = blend(base, (1, 1, 1), rng.choice([0.15, 0.35, 0.6]))
    return Petal(throat, base, lip, **shape)


def _petal(
    sheet: Sheet, kind: Petal, angle: float, length: float, root=(0, 0), tone=1.0
) -> None:
    """Lay one petal: veins that fan out, a shaded throat, a pale ruffled lip."""
    rng = sheet.rng
    t = np.linspace(0, 1, 28)
    power = np.log(0.5) / np.log(kind.full)
    half = kind.wide * length * np.sin(np.pi * t**power) ** kind.blunt + 0.015
    frill = 1 + kind.ruffle * np.sin(t * rng.uniform(18, 30) + rng.uniform(0, 6))
    left = np.stack([t * length, half * frill], 1)
    right = np.stack([t * length, -half * frill[::-1]], 1)[::-1]
    outline = turned(np.vstack([left, right]), angle, *root)
    box = window(sheet, outline, 0.06)
    dx, dy = sheet.x[box] - root[0], sheet.y[box] - root[1]
    c, s = np.cos(angle), np.sin(angle)
    u = np.clip((dx * c + dy * s) / length, 0, 1)
    across = (dy * c - dx * s) / np.interp(u, t, half).astype(np.float32)
    across = np.clip(across, -1.2, 1.2)
    veins = np.cos(kind.veins * across + 2 * u) * (1 - 0.6 * u)
    fine = np.cos(2.7 * kind.veins * across)
    paint = blend(kind.throat, kind.base, smoothstep(0.0, kind.throat_end, u))
    edge = np.maximum(smoothstep(0.75, 1.0, u), smoothstep(0.7, 1.0, np.abs(across)))
    paint = blend(paint, kind.lip, 0.7 * edge * smoothstep(0.2, 0.6, u))
    light = tone * (0.75 + 0.35 * u + 0.17 * veins + 0.06 * fine)
    paint = paint * np.asarray(light, np.float32)[..., None]
    if kind.spots:
        paint = blend(paint, kind.throat * 0.35, _freckles(u, across, kind.spots))
    bump = np.zeros_like(sheet.alpha)
    crease = np.exp(-((across / 0.22) ** 2)) * (1 - u)
    bump[box] = 0.01 * veins - 0.12 * kind.wide * length * crease
    whole = np.zeros((sheet.n, sheet.n, 3), np.float32)
    whole[box] = np.clip(paint, 0, 1)
    puff = 0.8 * kind.wide * length
    sheet.lay(
        sheet.polygon(outline), whole, puff, bump, gloss=0.2, rim=0.35, shadow=0.5
    )


def _freckles(u, across, amount: float):
    rows, columns = u * 15, across * 2.5 + 0.5 * (np.floor(u * 15) % 2)
    r = np.hypot(rows - np.floor(rows) - 0.5, columns - np.floor(columns) - 0.5)
    return smoothstep(0.4, 0.25, r) * smoothstep(0.95, 0.4, u + 1 - amount)


def _leaves(sheet: Sheet) -> None:
    """Lay green leaves in the corners beneath a flower."""
    rng = sheet.rng
    green = colour(rng, 0.31, 0.65, 0.5)
    kind = Petal(
        green * 0.5, green, green * 1.25, rng.uniform(0.25, 0.36), 0.5, 0.9, 8.0
    )
    turn = rng.uniform(0, 2 * np.pi)
    count = int(rng.integers(3, 6))
    for k in range(count):
        _petal(sheet, kind, turn + 2 * np.pi * k / count + rng.normal(0, 0.15), 1.05)


def _rose(sheet: Sheet) -> None:
    """Lay round petals about a heart, each turned by the golden angle, inwards."""
    rng = sheet.rng
    kind = _kind(rng)
    count = int(rng.integers(16, 22))
    deep = rng.uniform(0.4, 0.65)
    for k in range(count):
        t = 1 - k / count
        a = GOLDEN * k + rng.normal(0, 0.08)
        d, r = 0.52 * t**1.1, 0.12 + 0.37 * t**0.85
        cx, cy = d * np.cos(a), d * np.sin(a)
        ring = np.linspace(0, 2 * np.pi, 30, endpoint=False)
        wavy = r * (1 + 0.05 * np.sin(3 * ring + rng.uniform(0, 6)))
        shape = np.stack([0.82 * wavy * np.cos(ring), 1.12 * wavy * np.sin(ring)], 1)
        outline = turned(shape, a, cx, cy)
        box = window(sheet, outline, 0.06)
        dx, dy = sheet.x[box] - cx, sheet.y[box] - cy
        out = (dx * np.cos(a) + dy * np.sin(a)) / r
        side = (dy * np.cos(a) - dx * np.sin(a)) / r
        lip = smoothstep(0.55, 0.9, np.hypot(out * 1.15, side * 0.8))
        veins = np.cos(11 * side + 3 * out)
        paint = blend(kind.throat * deep, kind.base, smoothstep(-0.6, 0.6, out))
        paint = blend(paint, kind.lip, 0.75 * lip) * (1 + 0.1 * veins)[..., None]
        whole = np.zeros((sheet.n, sheet.n, 3), np.float32)
        whole[box] = np.clip(paint * (0.75 + 0.3 * t), 0, 1)
        bump = np.zeros_like(sheet.alpha)
        bump[box] = 0.12 * r * out + 0.1 * r * lip + 0.005 * veins
        sheet.lay(
            sheet.polygon(outline), whole, 0.3 * r, bump, 0.25, rim=0.5, shadow=0.6
        )


def _rings(sheet: Sheet, kind: Petal, count: int, rings: int, start=0.0) -> None:
    for ring in range(rings):
        for k in range(count):
            a = 2 * np.pi * (k + 0.5 * ring) / count + sheet.rng.normal(0, 0.04)
            reach = (1 - 0.2 * ring) * sheet.rng.uniform(0.92, 1.0)
            _petal(sheet, kind, a + start, reach, tone=0.95 + 0.08 * ring)


def _seeds(sheet: Sheet, radius: float, paint, fine: float) -> None:
    """Lay a heart of seeds in the two sets of spirals of a sunflower."""
    r, theta = sheet.polar()
    v = np.sqrt(np.maximum(r / radius, 0))
    spiral = np.sin(fine * 34 * v + 13 * theta) * np.sin(fine * 34 * v - 21 * theta)
    spiral = spiral * smoothstep(0.05, 0.3, r / radius)
    ring = smoothstep(0.45, 0.95, r / radius)
    body = blend(paint * 0.45, paint * 1.15, ring) * (1 + 0.55 * spiral)[..., None]
    mask = sheet.ellipse(0, 0, radius, radius)
    sheet.lay(
        mask, np.clip(body, 0, 1), 0.7 * radius, 0.02 * spiral, gloss=0.15, shadow=0.5
    )


def _daisy(sheet: Sheet) -> None:
    """Lay one to three rings of petals about a seeded heart."""
    rng = sheet.rng
    count, rings = int(rng.integers(6, 13)), int(rng.integers(1, 4))
    rings = min(rings, 24 // count)
    wide = min(0.42, rng.uniform(1.1, 1.6) * np.pi / count)
    kind = _kind(
        rng,
        wide=wide,
        full=rng.uniform(0.5, 0.72),
        blunt=rng.uniform(0.45, 0.95),
        veins=rng.uniform(5, 9),
    )
    _rings(sheet, kind, count, rings)
    heart = colour(rng, rng.choice([0.12, 0.09, 0.2]), 0.8, 0.8)
    _seeds(sheet, rng.uniform(0.16, 0.27), heart, 0.6)


def _sunflower(sheet: Sheet) -> None:
    """Lay two rings of pointed petals about a wide disc of seeds."""
    rng = sheet.rng
    kind = _kind(rng, wide=0.16, full=0.6, blunt=0.9, veins=5.0)
    if rng.random() < 0.6:
        gold = colour(rng, 0.13, 0.9, 0.95, 0.02)
        kind = kind._replace(base=gold, lip=gold * 1.1, throat=gold * (0.8, 0.45, 0.3))
    _rings(sheet, kind, int(rng.integers(13, 18)), 2)
    _seeds(sheet, rng.uniform(0.42, 0.55), colour(rng, 0.07, 0.7, 0.55), 1.0)


def _stamens(sheet: Sheet, count: int, reach: float) -> None:
    rng = sheet.rng
    thread = colour(rng, 0.2, 0.35, 0.9)
    pollen = colour(rng, rng.choice([0.07, 0.12, 0.0]), 0.85, 0.6)
    for k in range(count):
        a = 2 * np.pi * k / count + rng.normal(0, 0.15)
        end = reach * rng.uniform(0.85, 1.1) * np.array([np.cos(a), np.sin(a)])
        line = curve([[0, 0], 0.6 * end + rng.normal(0, 0.03, 2), end], 8)
        sheet.lay(sheet.stroke(line, 0.022), thread, 0.03)
        anther = sheet.ellipse(*end, 0.085, 0.042, a + np.pi / 2)
        sheet.lay(anther, pollen, 0.05, gloss=0.2)


def _lily(sheet: Sheet) -> None:
    """Lay six pointed, freckled petals and long stamens."""
    rng = sheet.rng
    kind = _kind(
        rng,
        wide=rng.uniform(0.27, 0.36),
        full=rng.uniform(0.42, 0.55),
        blunt=rng.uniform(0.75, 1.0),
        veins=7.0,
        throat_end=rng.uniform(0.4, 0.8),
        spots=rng.choice([0.0, 0.75, 0.9]),
        ruffle=0.06,
    )
    for k in (0, 2, 4, 1, 3, 5):
        _petal(sheet, kind, np.pi * k / 3, 1.05, tone=0.85 if k % 2 == 0 else 1.0)
    _stamens(sheet, 6, rng.uniform(0.38, 0.5))


def _orchid(sheet: Sheet) -> None:
    """Lay three sepals, two broad petals and a spotted lip."""
    rng = sheet.rng
    sepal = _kind(rng, wide=0.3, full=0.55, blunt=0.75, veins=8.0)
    for a in (-np.pi / 2, 0.75, np.pi - 0.75):
        _petal(sheet, sepal, a, 1.0, tone=0.85)
    broad = sepal._replace(wide=0.52, full=0.6, blunt=0.5, veins=16.0, ruffle=0.05)
    for a in (-0.2, np.pi + 0.2):
        _petal(sheet, broad, a, 1.0)
    lip = _kind(rng, wide=0.5, full=0.62, blunt=0.55, veins=9.0, spots=0.95, ruffle=0.1)
    for a, length in ((0.35, 0.36), (np.pi - 0.35, 0.36), (np.pi / 2, 0.66)):
        _petal(sheet, lip, a, length, (0, -0.02))
    column = sheet.ellipse(0, -0.06, 0.1, 0.14)
    sheet.lay(column, colour(rng, 0.14, 0.5, 0.95), 0.1, gloss=0.5, shadow=0.5)


def _poppy(sheet: Sheet) -> None:
    """Lay four to six broad crumpled petals about a dark throat."""
    rng = sheet.rng
    kind = _kind(
        rng, wide=0.62, full=0.68, blunt=0.5, veins=22.0, throat_end=0.45, ruffle=0.07
    )
    if rng.random() < 0.6:
        kind = kind._replace(throat=kind.throat * 0.25)
    count = int(rng.integers(4, 7))
    for k in range(count):
        a = (
            GOLDEN * k
            if count == 5
            else 2 * np.pi * ((k * 2) % count + k * 2 // count) / count
        )
        _petal(sheet, kind, a + rng.normal(0, 0.08), rng.uniform(0.92, 1.0))
    _stamens(sheet, int(rng.integers(9, 13)), 0.27)
    _seeds(sheet, 0.14, colour(rng, 0.22, 0.6, 0.6), 0.4)


def _tulip(sheet: Sheet) -> None:
    """Lay a tulip from the side: a cup of petals, a stalk and two long leaves."""
    rng = sheet.rng
    green = colour(rng, 0.31, 0.55, 0.55)
    blade = Petal(green * 0.6, green, green * 1.2, 0.17, 0.45, 0.9, 12.0)
    stalk = np.array([[0, 0.0], [0.02, 0.5], [0, 1.0]])
    sheet.lay(sheet.stroke(stalk, 0.07), green * 0.9, 0.07, gloss=0.3)
    for side in (-1, 1):
        _petal(sheet, blade, -np.pi / 2 + side * rng.uniform(0.4, 0.6), 1.2, (0, 1.0))
    kind = _kind(rng, wide=0.3, full=0.5, blunt=0.65, veins=11.0, throat_end=0.6)
    foot = (0, 0.42)
    for lean, tone in ((-0.3, 0.7), (0.3, 0.7), (0, 0.75), (-0.42, 0.95), (0.42, 0.95)):
        _petal(sheet, kind, -np.pi / 2 + lean, 1.35, foot, tone)
    front = kind._replace(wide=0.36)
    _petal(sheet, front, -np.pi / 2 + rng.normal(0, 0.05), 1.22, foot, 1.08)
