"""Leaves: broad blades, maple and oak, monstera, fern fronds, and sprays of leaves."""

from __future__ import annotations

import numpy as np

from .brush import Sheet, blend, colour, smoothstep, turned
from .feathers import window


def leaf(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a leaf of one of six kinds, in summer's or autumn's colours."""
    sheet = Sheet(rng, size)
    kinds = (_blade, _maple, _oak, _monstera, _fern, _spray)
    kinds[rng.choice(6, p=[0.2, 0.22, 0.15, 0.13, 0.12, 0.18])](sheet, _colours(rng))
    return sheet.finish()


def _colours(rng):
    """Return the colours of the body, of its margin and of the veins."""
    autumn = rng.random() < 0.4
    hue = rng.choice([0.0, 0.05, 0.09, 0.13] if autumn else [0.24, 0.29, 0.34, 0.42])
    body = colour(rng, hue, 0.8, 0.75 if autumn else 0.55, 0.02)
    shift = rng.choice([-0.07, 0.06]) if autumn else rng.choice([-0.06, 0.05, -0.3])
    margin = colour(rng, hue + shift, 0.8, 0.7, 0.02)
    vein = blend(
        body, rng.choice([[1, 0.95, 0.6], [0.9, 0.2, 0.3]], p=[0.8, 0.2]), 0.65
    )
    return body, margin, vein


def _mottle(sheet: Sheet, near, colours, box=slice(None)):
    """Return the leaf's colour by nearness to a vein, mottled and finely netted."""
    body, margin, _ = colours
    clouds, net = sheet.noise(0.6)[box], sheet.noise(0.15, 1.5)[box]
    t = np.clip(0.9 - near + 0.7 * clouds, 0, 1)
    return blend(body, margin, t) * (1 + 0.3 * net + 0.25 * clouds)[..., None]


def _lay(sheet: Sheet, outline, colours, vein, rib, box, puff=0.2) -> None:
    """Lay a blade whose veins (0-1) stand pale and whose cells bulge between them."""
    near = np.maximum(vein, rib)
    paint = _mottle(sheet, near, colours, box)
    paint = paint * (1 - 0.35 * smoothstep(0.1, 0.45, near) * (near < 0.5))[..., None]
    paint = blend(paint, colours[2], 0.85 * smoothstep(0.45, 0.8, near))
    whole = np.zeros((sheet.n, sheet.n, 3), np.float32)
    whole[box] = np.clip(paint, 0, 1)
    bump = np.zeros_like(sheet.alpha)
    bump[box] = -0.035 * vein - 0.05 * rib
    mask = outline if outline.shape == bump.shape else sheet.polygon(outline)
    sheet.lay(mask, whole, puff, bump, gloss=0.35, rim=0.4)


def _simple(
    sheet: Sheet, colours, root, angle, length, wide, full, teeth, puff=0.2
) -> None:
    """Lay a blade with a midrib and bowed side veins."""
    rng = sheet.rng
    t = np.linspace(0, 1, 64)
    half = wide * np.sin(np.pi * t ** (np.log(0.5) / np.log(full))) ** 0.85
    half = half * (1 + teeth * (t * rng.integers(9, 16) % 1.0)) + 0.004
    bend = rng.normal(0, 0.12) * length
    spine = bend * np.sin(np.pi * t)
    rim = np.vstack(
        [
            np.stack([t * length, spine + half], 1),
            np.stack([t * length, spine - half], 1)[::-1],
        ]
    )
    outline = turned(rim, angle, *root)
    box = window(sheet, outline, 0.06)
    dx, dy = sheet.x[box] - root[0], sheet.y[box] - root[1]
    u = (dx * np.cos(angle) + dy * np.sin(angle)) / length
    v = dy * np.cos(angle) - dx * np.sin(angle) - np.interp(u, t, spine)
    v = (v / wide).astype(np.float32)
    count = rng.uniform(5, 9)
    phase = count * (u - 0.28 * np.abs(v) ** 0.8 * wide / length * 2) + 0.5 * (v > 0)
    vein = np.abs(phase - np.round(phase)) * 2
    vein = smoothstep(0.42, 0.0, vein) * smoothstep(1.15, 0.3, np.abs(v))
    minor = np.abs(np.sin(phase * np.pi * 5))
    rib = smoothstep(0.14, 0.0, np.abs(v) / (1.15 - np.clip(u, 0, 1)))
    _lay(sheet, outline, colours, np.maximum(vein, 0.3 * minor), rib, box, puff)


def _blade(sheet: Sheet, colours) -> None:
    rng = sheet.rng
    wide, full = rng.uniform(0.62, 0.92), rng.uniform(0.35, 0.5)
    teeth = rng.choice([0.0, 0.12])
    stalk = np.array([[0, 0.75], [0.0, 0.9], [rng.normal(0, 0.05), 1.0]])
    sheet.lay(sheet.stroke(stalk, 0.04), colours[2] * 0.8, 0.04)
    _simple(sheet, colours, (0, 0.88), -np.pi / 2, 1.84, wide, full, teeth, 0.35)


def _spray(sheet: Sheet, colours) -> None:
    """Lay leaves on both sides of a twig, or a cluster about one point."""
    rng = sheet.rng
    star = rng.random() < 0.4
    count = int(rng.integers(6, 10))
    wide, full = rng.uniform(0.27, 0.38), rng.uniform(0.4, 0.55)
    if not star:
        twig = np.array([[0, 1.0], [0.03, 0.3], [0, -0.5]])
        sheet.lay(sheet.stroke(twig, 0.045), colours[2] * 0.7, 0.04)
    for k in range(count):
        tone = tuple(c * rng.uniform(0.8, 1.15) for c in colours)
        if star:
            a, root = 2 * np.pi * k / count + rng.normal(0, 0.1), (0, 0)
        else:
            t = k / (count - 1)
            a = -np.pi / 2 + (1 if k % 2 else -1) * 1.15 * (1 - t) ** 0.6
            root = (0.0, 0.75 - 1.15 * t)
        length = rng.uniform(0.9, 1.02) if star else rng.uniform(0.85, 1.0)
        w = min(wide, 2.6 / count) if star else wide
        _simple(sheet, tone, root, a, length, w, full, 0.06, 0.12)


def _lobed(sheet: Sheet, colours, centre, lobes, notch, sharp) -> None:
    """Lay a leaf whose lobes spread from a point: `lobes` of (angle, reach)."""
    r, theta = sheet.polar(*centre)
    theta = (theta + np.pi / 2 + np.pi) % (2 * np.pi) - np.pi  # 0 points up
    angles = np.array([a for a, _ in lobes])
    reaches = np.array([reach for _, reach in lobes])
    ring = np.linspace(-np.pi, np.pi, 240)
    gaps = np.abs((ring[:, None] - angles + np.pi) % (2 * np.pi) - np.pi)
    width = 0.66 * np.diff(np.sort(angles)).min()
    lift = np.clip(1 - gaps / width, 0, 1) ** sharp
    limit = notch + ((reaches - notch) * lift).max(1)
    teeth = np.abs((ring * 15 / np.pi) % 1 - 0.5) * 2
    limit = limit * (0.9 + 0.16 * teeth * (limit > 1.15 * notch))
    outline = np.stack([np.sin(ring) * limit, -np.cos(ring) * limit], 1) + centre
    vein, rib = np.zeros_like(r), np.zeros_like(r)
    for a, reach in lobes:
        u, v = r * np.cos(theta - a) / reach, r * np.sin(theta - a)
        mine = (u > 0) & (u < 1)
        line = smoothstep(0.05, 0.0, np.abs(v) / (1.15 - np.clip(u, 0, 1)))
        rib = np.maximum(rib, line * mine)
        phase = 6 * (u - 0.9 * np.abs(v))
        side = smoothstep(0.35, 0.0, np.abs(phase - np.round(phase)) * 2)
        vein = np.maximum(vein, side * mine * (np.abs(theta - a) < width))
    _lay(sheet, outline, colours, vein, rib, slice(None), 0.22)


def _maple(sheet: Sheet, colours) -> None:
    rng = sheet.rng
    stalk = np.array([[0, 0.3], [0.04, 0.7], [rng.normal(0, 0.1), 1.0]])
    sheet.lay(sheet.stroke(stalk, 0.035), colours[2] * 0.8, 0.04)
    gap = rng.uniform(0.74, 0.84)
    lobes = [(0, 1.3), (gap, 1.12), (-gap, 1.12), (2 * gap, 0.95), (-2 * gap, 0.95)]
    lobes += [(2.85 * gap, 0.6), (-2.85 * gap, 0.6)]
    notch = rng.uniform(0.4, 0.5)
    _lobed(sheet, colours, (0, 0.32), lobes, notch, rng.uniform(0.55, 0.9))


def _oak(sheet: Sheet, colours) -> None:
    """Lay a leaf with round lobes along its midrib."""
    rng = sheet.rng
    pairs = rng.integers(3, 6)
    t = np.linspace(0, 1, 90)
    wide = rng.uniform(0.8, 1.0) * np.sin(np.pi * t**0.8) ** 0.6
    half = wide * (
        1 - rng.uniform(0.28, 0.42) * (0.5 + 0.5 * np.cos(2 * np.pi * pairs * t))
    )
    half = half * smoothstep(0, 0.08, t) + 0.05
    y = 0.85 - 1.78 * t
    outline = np.vstack([np.stack([half, y], 1), np.stack([-half, y], 1)[::-1]])
    stalk = np.array([[0, 0.7], [0, 0.85], [0.02, 1.0]])
    sheet.lay(sheet.stroke(stalk, 0.045), colours[2] * 0.8, 0.04)
    u = (0.85 - sheet.y) / 1.78
    side = np.abs(sheet.x)
    phase = pairs * (u - 0.22 * side) + 0.5
    vein = smoothstep(0.22, 0.0, np.abs(phase - np.round(phase)) * 2 / (1.1 - side))
    minor = np.abs(np.sin(phase * np.pi * 4 + 5 * side))
    rib = smoothstep(0.07, 0.0, side / (1.2 - np.clip(u, 0, 1)))
    box = slice(None)
    _lay(sheet, outline, colours, np.maximum(vein, 0.3 * minor), rib, box, 0.25)


def _monstera(sheet: Sheet, colours) -> None:
    """Lay a heart-shaped leaf slit from the rim, with holes by the midrib."""
    rng = sheet.rng
    t = np.linspace(-np.pi, np.pi, 160)
    heart = 1 - 0.42 * np.exp(-(((np.abs(t) - np.pi) / 0.3) ** 2))
    x = 0.97 * np.sin(t) * heart * (1 - 0.14 * np.cos(t))
    y = -0.95 * np.cos(t) * heart
    mask = sheet.polygon(np.stack([x, y], 1))
    side = np.abs(sheet.x)
    count = rng.uniform(3.2, 4.6)
    phase = count * (-0.9 * sheet.y + 0.65 * side**1.2 * -1) + rng.random()
    gap = np.abs(phase - np.floor(phase) - 0.5) * 2
    slit = smoothstep(0.34, 0.44, gap + 0.9 * smoothstep(0.66, 0.38, side))
    hole = np.hypot(gap * 0.3, (side - 0.27) * 1.6)
    mask = mask * slit * smoothstep(0.06, 0.1, hole)
    vein = smoothstep(0.7, 1.0, gap)
    minor = np.abs(np.sin(phase * np.pi * 6))
    rib = smoothstep(0.06, 0.0, side)
    vein = np.maximum(vein, 0.3 * minor)
    _lay(sheet, mask.astype(np.float32), colours, vein, rib, slice(None), 0.15)


def _fern(sheet: Sheet, colours) -> None:
    """Lay a frond: pairs of toothed leaflets, shorter towards a curling tip."""
    rng = sheet.rng
    rows = int(rng.integers(8, 11))
    bend, wide = rng.normal(0, 0.12), rng.uniform(0.8, 1.0)
    t = np.linspace(0, 1, 24)
    spine = np.stack([bend * np.sin(np.pi * t), 0.98 - 1.85 * t], 1)
    for k in range(rows):
        s = k / rows
        x, y = bend * np.sin(np.pi * s), 0.85 - 1.7 * s
        length = wide * (np.sin(np.pi * (0.25 + 0.72 * s)) ** 0.8) + 0.06
        for side in (-1, 1):
            a = -np.pi / 2 + side * (1.25 - 0.35 * s)
            tone = tuple(c * rng.uniform(0.85, 1.12) for c in colours)
            _simple(sheet, tone, (x, y), a, length, 0.13, 0.3, 0.45, 0.07)
    sheet.lay(sheet.stroke(spine, np.linspace(0.04, 0.012, 24)), colours[2], 0.03)
