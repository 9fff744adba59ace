"""Fish, scales, shells."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from .brush import Sheet, blend, colour, curve, smoothstep
from .tube import window


def scale_rows(sheet: Sheet, pitch: float, angle: float = 0.0):
    """Return `(tone, height, cell)` of overlapping round scales.

    `cell` is a number in [0, 1) for every scale, for colouring them one by one.
    """
    u = sheet.x * np.cos(angle) + sheet.y * np.sin(angle)
    v = -sheet.x * np.sin(angle) + sheet.y * np.cos(angle)
    return round_scales(u, v, pitch)


def round_scales(u, v, pitch: float):
    """Return the same as `scale_rows` for any coordinates; `u` runs down the rows."""
    u, v = u / pitch, v / pitch
    best = np.full(u.shape, -1.0, np.float32)
    cell = np.zeros_like(best)
    # A scale's round tip lies on the row behind it; three rows can meet at a pixel.
    for back in (0, 1, 2):
        row = np.floor(u * 2) - back
        offset = 0.5 * (row % 2)
        column = np.floor(v + offset)
        du = u - row / 2
        dv = v + offset - column - 0.5
        r = np.hypot(du * 0.72, dv) / 0.62
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


class Kind(NamedTuple):
    """A kind of fish: its build, and what its skin looks like."""

    deep: tuple[float, float]  # half its height
    pitch: float  # of its scales
    hues: tuple[float, ...]
    tail: tuple[float, ...]  # reach of the tail, from its upper tip to its lower
    high: tuple[float, ...]  # reach of the fin on the back, from front to rear
    ripple: float  # how jagged the fins are
    pattern: Callable  # (sheet, deep, colours) -> paint


PAIR = 0.15  # share of the drawings that show two fish


def fish(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a fish, sometimes two: gorgeous scales, rayed fins, a big round eye."""
    kind = KINDS[rng.integers(len(KINDS))]
    if rng.random() >= PAIR:
        return _one_fish(rng, size, kind)
    both = np.zeros((size, size, 4), np.float32)
    tall = round(0.54 * size)
    for top in (0, size - tall):
        small = cv2.resize(
            _one_fish(rng, round(0.7 * size), kind), (size, tall), None, 0, 0, 1
        )
        if rng.random() < 0.5:
            small = small[:, ::-1]
        rows = both[top : top + tall]
        a = small[..., 3:]
        rows[..., :3] = rows[..., :3] * (1 - a) + small[..., :3] * a
        rows[..., 3:] = np.maximum(rows[..., 3:], a)
    return both


def _one_fish(rng, size: int, kind: Kind) -> np.ndarray:
    sheet = Sheet(rng, size)
    hue = rng.choice(kind.hues)
    paints = (
        colour(rng, hue, 0.75, 0.7),
        colour(rng, hue + 0.05, 0.35, 0.92),
        colour(rng, hue + 0.45, 0.6, 0.16, 0.15),
    )
    deep = rng.uniform(*kind.deep)
    # A fin takes the back's colour, the mark's or one of its own.
    own = colour(rng, hue + rng.choice([-0.08, 0.1, 0.5]), 0.75, 0.8)
    fin = (paints[0] * 1.1, own, own)[rng.integers(3)]
    _tail_and_fins(sheet, kind, deep, fin, paints[2])
    _trunk(sheet, kind, deep, paints)
    _fan(
        sheet,
        (0.27, 0.12),
        (np.pi - 0.4, 0.55),
        (0.34, 0.5, 0.48, 0.36),
        fin * 1.1,
        paints[2],
    )
    _fish_face(sheet, deep, paints)
    return sheet.finish()


def _tail_and_fins(sheet: Sheet, kind: Kind, deep: float, fin, edge) -> None:
    rng = sheet.rng
    ripple = kind.ripple
    spread = rng.uniform(0.8, 1.1)
    stretch = rng.uniform(0.92, 1.05)
    tail = stretch * np.array(kind.tail)
    _fan(sheet, (-0.3, 0), (np.pi, spread), tail, fin, edge, ripple)
    # The reach is counted from the back, so that deep fish keep their fins.
    high = deep * 0.85 + stretch * np.array(kind.high)
    _fan(sheet, (0.0, 0.05), (-np.pi / 2 - 0.3, 0.85), high, fin, edge, ripple)
    low = deep * 0.85 + stretch * np.array(kind.high[::-1]) * 0.85
    _fan(sheet, (-0.1, 0.0), (np.pi / 2 + 0.5, 0.45), low, fin, edge, ripple)
    under = (deep + 0.05, deep + 0.24, deep + 0.12)
    _fan(sheet, (0.22, 0.0), (np.pi / 2 + 0.12, 0.3), under, fin, edge, ripple)


def _fan(sheet: Sheet, root, sector, reach, paint, edge, ripple=0.04) -> None:
    """Lay a rayed fin: a sector about its root; `reach` is its length by angle."""
    rng = sheet.rng
    middle, half = sector
    a = middle + half * np.linspace(-1, 1, 9)
    tips = np.array(root) + max(reach) * np.stack([np.cos(a), np.sin(a)], 1)
    part, _ = window(sheet, np.vstack([[root], tips]), 0.1)
    r, theta = part.polar(*root)
    f = ((theta - middle + np.pi) % (2 * np.pi) - np.pi) / half
    f = f * (1 if np.cos(middle) < -0.9 or middle > 0 else -1)
    knots = np.linspace(-1, 1, len(reach))
    count = max(5, round(half * rng.uniform(13, 18)))
    ray = 0.5 + 0.5 * np.cos(np.pi * count * f)
    end = np.interp(f, knots, reach).astype(np.float32)
    # A fin that would leave the sheet ends just within it.
    way = np.stack([np.cos(theta), np.sin(theta)])
    free = 0.97 - np.array(root)[:, None, None] * np.sign(way)
    end = np.minimum(end, (free / np.maximum(np.abs(way), 1e-3)).min(0))
    end *= 1 - ripple * (1 - ray)
    t = r / end
    mask = smoothstep(1.0, 0.96, t) * smoothstep(1.0, 0.96, np.abs(f))
    # Rays fork on their way out, and the skin between them is thin and light.
    forked = 0.5 + 0.5 * np.cos(2 * np.pi * count * f)
    rays = ray + (forked - ray) * smoothstep(0.55, 0.85, t)
    light = np.clip(paint * 1.25 + 0.12, 0, 1)
    skin = blend(light, paint * 0.8, rays)
    skin = blend(skin, paint * 0.45, 0.7 * smoothstep(0.75, 0.35, t))
    bands = smoothstep(0.3, 0.8, np.sin(r * rng.uniform(20, 38)))
    skin = blend(skin, edge, rng.choice([0.0, 0.35, 0.6]) * bands)
    skin = blend(skin, edge, rng.choice([0.0, 0.5, 0.9]) * smoothstep(0.82, 0.92, t))
    part.lay(mask, np.clip(skin, 0, 1), 0.05, 0.014 * rays, gloss=0.45, shadow=0.4)


def _outline(deep: float, nose: float) -> np.ndarray:
    upper = [[0.93, 0.02], [0.78, -0.5 * deep], [0.45, -0.92 * deep], [0.1, -deep]]
    rear = [[-0.22, -0.7 * deep], [-0.44, -0.13], [-0.44, 0.13], [-0.22, 0.7 * deep]]
    lower = [[0.1, deep], [0.45, 0.92 * deep], [0.78, 0.55 * deep], [0.93, 0.02]]
    points = np.array(upper + rear + lower)
    points[:, 1] += nose * smoothstep(0.3, 1.0, points[:, 0])
    return curve(points, 72)


def _trunk(sheet: Sheet, kind: Kind, deep: float, paints) -> None:
    rng = sheet.rng
    outline = _outline(deep, rng.normal(0, 0.05))
    # Scales crowd toward the rim, where the round body turns away.
    half = deep * np.sqrt(np.maximum(0.12, 1 - ((sheet.x - 0.1) / 0.9) ** 2))
    bulge = np.arcsin(np.clip(sheet.y / (1.12 * half), -1, 1)) * half
    tone, height, cell = round_scales(
        -sheet.x, bulge, kind.pitch * rng.uniform(0.9, 1.2)
    )
    plain = kind.pattern(sheet, deep, paints)
    sheen = colour(rng, rng.random(), 0.5, 1.0)
    paint = plain * (0.8 + 0.4 * cell)[..., None]
    paint = blend(paint, sheen, 0.28 * smoothstep(0.6, 1.0, cell))
    paint = paint * tone[..., None]
    # The head is smooth: behind the gill cover the scales begin.
    gill = sheet.x - 0.4 - 0.3 * (sheet.y / deep) ** 2 * 0.7
    head = smoothstep(-0.01, 0.02, gill)
    pores = sheet.noise(0.2)
    face = plain * (1 + 0.16 * pores)[..., None]
    paint = blend(paint, face, head)
    crease = np.exp(-((gill / 0.03) ** 2)) + 0.6 * np.exp(
        -(((gill - 0.14) / 0.02) ** 2)
    )
    paint = blend(paint, plain * 0.3, 0.75 * np.minimum(crease, 1))
    bump = height * 1.3 * (1 - head) + head * (0.03 + 0.004 * pores)
    belly = 1 - 0.25 * smoothstep(0.3 * deep, deep, sheet.y)
    whole = np.clip(paint * belly[..., None], 0, 1)
    sheet.lay(sheet.polygon(outline), whole, 0.4, bump, gloss=0.6, shadow=0.45)


def _fish_face(sheet: Sheet, deep: float, paints) -> None:
    rng = sheet.rng
    big = rng.uniform(0.13, 0.17)
    x, y = 0.64, -0.22 * deep
    part, _ = window(sheet, [[x, y]], 1.3 * big + 0.08)
    r, theta = part.polar(x, y)
    r = r / big
    iris = colour(rng, rng.choice([0.12, 0.1, 0.0, 0.55]), 0.75, 0.95)
    ball = iris * ((1 + 0.2 * np.sin(26 * theta)) * (1.25 - 0.45 * r))[..., None]
    ball = blend(ball, (0.02, 0.02, 0.03), smoothstep(0.6, 0.52, r))
    ball = blend(ball, (0.03, 0.02, 0.02), 0.9 * smoothstep(0.86, 0.95, r))
    glint, _ = part.polar(x - 0.2 * big, y - 0.25 * big)
    ball = blend(ball, (1, 1, 1), smoothstep(0.26, 0.16, glint / big))
    part.lay(smoothstep(1.04, 0.98, r), np.clip(ball, 0, 1), 0.1, gloss=0.6)
    lips = blend(paints[1], paints[0], 0.4)
    for k, place in enumerate((0.04, 0.12)):
        lip = sheet.ellipse(0.9 - 0.03 * k, place, 0.075, 0.05, 0.5 - k)
        sheet.lay(lip, lips, 0.04, gloss=0.5, shadow=0.3)


def _shaded(sheet: Sheet, deep: float, paints) -> np.ndarray:
    """Return a dark back over a light belly."""
    wave = sheet.y / deep + 0.15 * sheet.noise(0.9)
    return blend(paints[0], paints[1], smoothstep(-0.2, 0.75, wave))


def _koi(sheet: Sheet, deep: float, paints) -> np.ndarray:
    rng = sheet.rng
    paint = blend(np.ones(3), paints[1], 0.4)
    field = 0.7 * sheet.noise(0.95) - 0.35 * sheet.y / deep
    paint = blend(paint, paints[0], smoothstep(0.0, 0.05, field + 0.1))
    if rng.random() < 0.5:
        paint = blend(paint, paints[2] * 0.6, smoothstep(0.32, 0.37, sheet.noise(0.9)))
    return paint


def _banded(sheet: Sheet, deep: float, paints) -> np.ndarray:
    """Return white bands with dark edges, as a clownfish wears."""
    paint = blend(paints[0] * 1.2, paints[0], sheet.noise(0.8))
    bend = 0.09 * np.cos(2.5 * sheet.y) + 0.03 * sheet.noise(0.9)
    for place, wide in ((0.42, 0.085), (0.0, 0.11), (-0.38, 0.07)):
        d = np.abs(sheet.x - place + bend * np.sign(place + 0.01)) - wide
        paint = blend(paint, paints[2] * 0.5, smoothstep(0.06, 0.045, d))
        paint = blend(paint, (0.97, 0.96, 0.93), smoothstep(0.012, -0.005, d))
    return paint


def _barred(sheet: Sheet, deep: float, paints) -> np.ndarray:
    """Return dark bars that taper down from the back, as on a perch."""
    rng = sheet.rng
    beat = np.sin(sheet.x * rng.uniform(11, 18) + 0.8 * sheet.noise(0.95))
    level = 0.15 + 0.6 * smoothstep(-0.4 * deep, 0.9 * deep, sheet.y)
    bars = smoothstep(level, level + 0.2, beat)
    return blend(_shaded(sheet, deep, paints), paints[2], 0.9 * bars)


def _lined(sheet: Sheet, deep: float, paints) -> np.ndarray:
    """Return a maze of wavy lines, as on a reef fish."""
    rng = sheet.rng
    tilt = rng.normal(0, 0.5)
    way = sheet.y + tilt * sheet.x + 0.16 * sheet.noise(1.0)
    lines = smoothstep(-0.15, 0.15, np.sin(way * rng.uniform(18, 28)))
    return blend(
        paints[0], colour(rng, rng.choice([0.13, 0.55, 0.1]), 0.75, 0.95), lines
    )


def _spotted(sheet: Sheet, deep: float, paints) -> np.ndarray:
    """Return round spots on the back and a white belly, as on a puffer."""
    u, v = sheet.x * 6.5, sheet.y * 6.5 + 0.5 * (np.floor(sheet.x * 6.5) % 2)
    jitter = 0.35 * sheet.noise(0.9)
    r = np.hypot(u % 1 - 0.5 + jitter, v % 1 - 0.5 - jitter)
    below = smoothstep(0.05, 0.6, sheet.y / deep)
    paint = blend(paints[0], (0.97, 0.95, 0.9), below)
    return blend(paint, paints[2], smoothstep(0.36, 0.28, r) * (1 - 0.8 * below))


WARM, FRESH = (0.02, 0.06, 0.1), (0.12, 0.2, 0.3)  # hues
ANY_HUE = (0.02, 0.1, 0.14, 0.35, 0.5, 0.58, 0.78, 0.92)
FORK = (0.86, 0.72, 0.52, 0.72, 0.86)  # tails, by angle
VEIL = (0.85, 0.95, 0.7, 0.95, 0.85)
ROUND = (0.64, 0.72, 0.64)

KINDS = (
    Kind((0.48, 0.58), 0.18, WARM, FORK, (0.18, 0.46, 0.4, 0.32), 0.05, _koi),
    Kind((0.54, 0.62), 0.19, WARM, VEIL, (0.2, 0.5, 0.46, 0.4), 0.08, _shaded),
    Kind((0.54, 0.64), 0.16, ANY_HUE, FORK, (0.14, 0.32, 0.72, 0.54), 0.03, _barred),
    Kind((0.54, 0.62), 0.17, WARM, ROUND, (0.28, 0.4, 0.34, 0.42), 0.04, _banded),
    Kind((0.48, 0.56), 0.18, FRESH, FORK, (0.36, 0.5, 0.26, 0.42), 0.14, _barred),
    Kind((0.58, 0.68), 0.16, ANY_HUE, ROUND, (0.2, 0.36, 0.42, 0.42), 0.03, _lined),
    Kind((0.68, 0.76), 0.14, ANY_HUE, ROUND, (0.08, 0.22, 0.26, 0.24), 0.06, _spotted),
)
