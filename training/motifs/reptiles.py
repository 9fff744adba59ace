"""The snake: a thick scaled body in coils, and a big head with a forked tongue."""

from __future__ import annotations

import numpy as np

from .brush import Sheet, blend, colour, curve, smoothstep, turned
from .tube import Tube, own_shade, rounding, tube

PIECES = 220  # of the body
ROWS = 4.6  # scales around the half of the body that is seen


def snake(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a snake: thick coils with a pattern of scales, and its head upon them."""
    sheet = Sheet(rng, size)
    coils = (_pile, _pile, _bends, _knot)[rng.integers(4)]
    path, thick = coils(rng)
    path, thick = _fitted(turned(path, rng.uniform(0, 2 * np.pi)), thick)
    t = np.linspace(0, 1, PIECES)
    width = thick * np.minimum(1, 0.12 + 4.5 * t) * (1 - 0.35 * smoothstep(0.9, 1, t))
    body = tube(sheet, path, width)
    base, mark, belly = _colours(rng)
    paint, height = _skin(sheet, body, base, mark, belly)
    shade = own_shade(sheet, body, 14, 0.75)
    shade = shade * (1 - 0.6 * np.abs(body.across) ** 4)
    bump = rounding(body, 0.9) + height
    whole = np.clip(paint * shade[..., None], 0, 1)
    sheet.lay(body.mask, whole, 0, bump, gloss=0.5, rim=0.5)
    _head(sheet, path, thick, (base, mark, belly))
    return sheet.finish()


def _fitted(path, thick: float) -> tuple[np.ndarray, float]:
    """Return a path and a thickness that just fill the sheet."""
    way = path[-1] - path[-12]
    snout = path[-1] + 1.2 * thick * way / np.linalg.norm(way)
    whole = np.vstack([path, snout])
    low, high = whole.min(0) - thick, whole.max(0) + thick
    scale = 1.94 / float((high - low).max())
    return (path - (low + high) / 2) * scale, thick * scale


def _even(path) -> np.ndarray:
    """Return a path in pieces of one length, with the head's end last."""
    path = np.asarray(path)
    run = np.concatenate(
        [[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))]
    )
    at = np.linspace(0, run[-1], PIECES)
    return np.stack([np.interp(at, run, path[:, k]) for k in (0, 1)], 1)


def _pile(rng) -> tuple[np.ndarray, float]:
    """Return a pile of loose coils; the neck crosses them on its way out."""
    thick = rng.uniform(0.19, 0.25)
    turns = rng.uniform(1.5, 2.1)
    a = np.linspace(0, 2 * np.pi * turns, 300)
    # Each coil lies inside the one before and overlaps it, and none is quite round.
    r = 0.76 - (0.76 - 0.8 * thick) * a / a[-1]
    r = r * (1 + 0.07 * np.sin(2 * a + rng.uniform(0, 6)))
    round_ = np.stack([r * np.cos(a), r * np.sin(a)], 1)
    round_ = round_ * (1, rng.uniform(0.85, 1.0))
    last, way = round_[-1], round_[-1] - round_[-8]
    way = way / np.linalg.norm(way)
    aside = turned(way[None], 0.9)[0]
    neck = curve([last, last + 0.16 * way, last + 0.2 * way + 0.22 * aside], 30)
    return _even(np.vstack([round_, neck[1:]])), thick


def _bends(rng) -> tuple[np.ndarray, float]:
    """Return bends that lie side by side."""
    rows = int(rng.integers(3, 5))
    pitch = 1.45 / (rows - 1)
    thick = min(0.33, pitch * rng.uniform(0.46, 0.54))
    points, side = [], 1
    for k in range(rows):
        y = -0.73 + pitch * k + rng.normal(0, 0.02)
        wide = rng.uniform(0.42, 0.58)
        lift = rng.normal(0, 0.05)
        points += [[-side * wide, y], [0, y + lift], [side * wide, y]]
        side = -side
    # The head comes back toward the middle.
    points[-1] = [-0.1 * side, points[-1][1] - 0.05]
    return _even(curve(points, 400)), thick


LOOP = (
    [-0.8, 0.3],
    [-0.55, 0.62],
    [0.0, 0.42],
    [0.5, 0.02],
    [0.52, -0.5],
    [0.0, -0.72],
    [-0.52, -0.5],
    [-0.5, 0.0],
    [-0.05, 0.42],
    [0.45, 0.66],
    [0.7, 0.5],
)


def _knot(rng) -> tuple[np.ndarray, float]:
    """Return a knot: one big loop, a trefoil or a rosette."""
    kind = rng.integers(3)
    if kind == 0:
        loop = np.array(LOOP) + rng.normal(0, 0.03, (len(LOOP), 2))
        return _even(curve(loop, 400)), rng.uniform(0.22, 0.27)
    lobes, deep = ((1.5, 1.2), (2.5, 0.9))[kind - 1]
    t = np.linspace(0, 1, 400) * rng.uniform(0.86, 0.95) * 4 * np.pi + 0.6
    r = 0.76 * (2 + deep * np.cos(lobes * t)) / (2 + deep)
    path = np.stack([r * np.cos(t), r * np.sin(t)], 1)
    return _even(path), rng.uniform(0.19, 0.23) if kind == 1 else rng.uniform(
        0.16, 0.19
    )


def _colours(rng) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    hue = rng.choice([0.08, 0.12, 0.17, 0.3, 0.38, 0.02, 0.55])
    base = colour(rng, hue, 0.65, 0.75)
    mark = colour(rng, hue - 0.04, 0.75, 0.22)
    return base, mark, colour(rng, hue + 0.03, 0.3, 0.95)


def _skin(sheet: Sheet, body: Tube, base, mark, belly):
    """Return the colour and the height of the scales, which overlap like tiles."""
    around = np.arcsin(np.clip(body.across, -1, 1)) * (ROWS / np.pi)
    along = body.beat * (ROWS / np.pi) * 0.8
    p, q = along + around, along - around
    cp, cq = np.floor(p), np.floor(q)
    fp, fq = p - cp - 0.5, q - cq - 0.5
    inner = 1 - 2 * np.maximum(np.abs(fp), np.abs(fq))  # 0 at a scale's edge
    back = fp + fq  # from -1 at its root to 1 at its tip
    # Pattern and tint belong to whole scales, as on a real snake.
    number = np.sin(cp * 12.9898 + cq * 78.233) * 43758.5453
    chance = number - np.floor(number)
    u, v = (cp + cq + 1) / 2, (cp - cq) / 2
    paint = _pattern(sheet.rng, u, v, base, mark, belly)
    paint = paint * (0.82 + 0.36 * chance)[..., None]
    paint = paint * (0.85 + 0.28 * back)[..., None]
    paint = paint * (0.3 + 0.7 * smoothstep(0.0, 0.32, inner))[..., None]
    keel = smoothstep(0.2, 0.0, np.abs(fp - fq)) * smoothstep(0.1, 0.4, inner)
    paint = blend(paint, (1, 1, 0.95), 0.18 * keel)
    height = body.width * (0.1 * np.sqrt(np.maximum(inner, 0)) + 0.05 * back)
    return paint, height


def _pattern(rng, u, v, base, mark, belly) -> np.ndarray:
    """Return each scale's colour; `u` counts scales along the body, `v` around it."""
    paint = blend(base, belly, smoothstep(1.4, 2.1, np.abs(v)))
    kind = rng.integers(5)
    period = rng.uniform(5.5, 8)
    f = np.abs((u / period) % 1 - 0.5) * 2  # 1 at a mark's middle, 0 between
    if kind == 0:  # diamonds with a light edge
        d = f - np.abs(v) / 2.2
        paint = blend(paint, belly, smoothstep(-0.1, 0.0, d))
        paint = blend(paint, mark, smoothstep(0.15, 0.2, d))
        return blend(paint, blend(base, mark, 0.4), smoothstep(0.55, 0.6, d))
    if kind == 1:  # bands
        paint = blend(paint, belly, smoothstep(0.38, 0.42, f))
        return blend(paint, mark, smoothstep(0.55, 0.6, f))
    if kind == 2:  # saddles
        d = 1 - np.hypot((1 - f) / 0.62, v / 1.9)
        paint = blend(paint, mark, smoothstep(0.0, 0.05, d))
        return blend(paint, blend(mark, base, 0.45), smoothstep(0.35, 0.4, d))
    if kind == 3:  # a zigzag down the back
        d = np.abs(v - 1.3 * (2 * f - 1))
        return blend(paint, mark, smoothstep(1.2, 1.1, d))
    stripe = smoothstep(0.7, 0.6, np.abs(v)) + smoothstep(
        0.35, 0.3, np.abs(np.abs(v) - 1.5)
    )
    return blend(paint, mark, np.minimum(stripe, 1) * (0.6 + 0.4 * (f > 0.3)))


HEAD = (
    [-0.9, 0.0],
    [-0.85, -0.62],
    [-0.2, -1.05],
    [0.5, -0.85],
    [1.15, -0.5],
    [1.5, 0.0],
    [1.15, 0.5],
    [0.5, 0.85],
    [-0.2, 1.05],
    [-0.85, 0.62],
    [-0.9, 0.0],
)


def _head(sheet: Sheet, path, thick: float, paints) -> None:
    rng = sheet.rng
    way = path[-1] - path[-12]
    a = np.arctan2(way[1], way[0])
    k = max(thick, 0.2) * rng.uniform(1.2, 1.4)
    # The head's own coordinates: forward and to the side, in half its breadth.
    dx, dy = (sheet.x - path[-1][0]) / k, (sheet.y - path[-1][1]) / k
    fore, side = dx * np.cos(a) + dy * np.sin(a), dy * np.cos(a) - dx * np.sin(a)
    _tongue(sheet, path[-1], a, k)
    outline = curve(np.array(HEAD) * (1, rng.uniform(0.88, 1.05)) * k, 60)
    mask = sheet.polygon(turned(outline, a, *path[-1]))
    paint, bump = _face(rng, fore, side, paints)
    sheet.lay(mask, paint, 0.8 * k, k * bump, gloss=0.6, rim=0.6, shadow=0.7)
    iris = colour(rng, 0.12, 0.8, 0.95)
    for hand in (-1, 1):
        x, y = turned(np.array([[0.45, hand * 0.58]]) * k, a, *path[-1])[0]
        _eye(sheet, x, y, 0.26 * k, a, iris)
        x, y = turned(np.array([[1.25, hand * 0.2]]) * k, a, *path[-1])[0]
        sheet.tint(sheet.ellipse(x, y, 0.06 * k, 0.05 * k), (0.02, 0.02, 0.02))


def _face(rng, fore, side, paints) -> tuple[np.ndarray, np.ndarray]:
    """Return the head's colour and height: small scales behind, plates in front."""
    base, mark, belly = paints
    p, q = 3.2 * (fore + side), 3.2 * (fore - side)
    inner = 1 - 2 * np.maximum(np.abs(p % 1 - 0.5), np.abs(q % 1 - 0.5))
    plates = np.abs(np.sin(2.6 * side)) * np.abs(np.cos(2.8 * fore))
    front = smoothstep(0.1, 0.35, fore)
    cell = inner * (1 - front) + np.minimum(2 * plates, 1) * front
    paint = blend(blend(base, belly, 0.35), belly, smoothstep(0.7, 0.85, np.abs(side)))
    # A dark stripe runs back from each eye, and an arrow points along the crown.
    stripe = smoothstep(0.2, 0.12, np.abs(np.abs(side) - 0.62 + 0.08 * fore))
    paint = blend(paint, mark, 0.9 * stripe * smoothstep(0.8, 0.5, fore))
    if rng.random() < 0.7:
        arrow = smoothstep(0.06, 0.0, np.abs(side) - 0.34 * (0.35 - fore))
        paint = blend(paint, mark, 0.8 * arrow * smoothstep(0.4, 0.3, fore))
    paint = 1.1 * paint * (0.5 + 0.5 * smoothstep(0.0, 0.3, cell))[..., None]
    return np.clip(paint, 0, 1), 0.09 * np.sqrt(np.maximum(cell, 0))


def _tongue(sheet: Sheet, place, a: float, k: float) -> None:
    bend = sheet.rng.normal(0, 0.2)
    for fork in (1, -1):
        line = np.array(
            [[1.3, 0], [1.9, bend], [2.2, bend], [2.65, bend + 0.32 * fork]]
        )
        line = turned(curve(line * k, 14), a, *place)
        paint = (0.75, 0.06, 0.12)
        sheet.lay(sheet.stroke(line, 0.022), paint, 0.02, gloss=0.4)


def _eye(sheet: Sheet, x: float, y: float, r: float, a: float, iris) -> None:
    sheet.tint(sheet.ellipse(x, y, 1.25 * r, 1.15 * r), (0.03, 0.02, 0.02))
    sheet.lay(sheet.ellipse(x, y, r, 0.92 * r), iris, r, gloss=0.8, shadow=0)
    sheet.tint(sheet.ellipse(x, y, 0.85 * r, 0.28 * r, a), (0, 0, 0))
    glint = 0.22 * r
    sheet.tint(sheet.ellipse(x - 0.4 * r, y - 0.4 * r, glint, glint), (1, 1, 1))
