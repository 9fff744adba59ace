"""Trees: broad crowns, blossom, bare winter branches, conifers, old roots."""

from __future__ import annotations

import cv2
import numpy as np

from .brush import SHIFT, Sheet, blend, colour, curve, smoothstep
from .feathers import window


def tree(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a tree: in leaf, in blossom, bare, or a conifer, with a trunk of bark."""
    sheet = Sheet(rng, size)
    kinds = (_leafy, _bare, _conifer)
    kinds[rng.choice(3, p=[0.55, 0.28, 0.17])](sheet)
    return sheet.finish()


def _bark(sheet: Sheet, value: float = 0.5):
    """Return colours and heights of bark: long ridges, broken across, with moss."""
    rng = sheet.rng
    paint = colour(
        rng, rng.choice([0.07, 0.09, 0.04]), 0.45, rng.uniform(0.4, 0.6), 0.03
    )
    twist = sheet.noise(0.75)
    ridges = np.abs(np.sin(sheet.x * rng.uniform(26, 38) + 5 * twist + sheet.y * 2))
    cracks = smoothstep(0.5, 0.0, ridges) * (0.65 + 0.5 * sheet.noise(0.3))
    tone = 1.15 - 0.75 * cracks + 0.2 * sheet.noise(0.1)
    colours = paint * tone[..., None]
    if rng.random() < 0.35:
        moss = smoothstep(0.1, 0.5, sheet.noise(0.6)) * rng.uniform(0.3, 0.8)
        colours = blend(colours, colour(rng, 0.25, 0.6, 0.45) * tone[..., None], moss)
    return np.clip(colours, 0, 1), -0.03 * cracks


def _limbs(
    sheet: Sheet, top: float, width: float, depth: int, spread: float, reach: float
):
    """Return the mask of trunk, roots and branches, and where the branches end."""
    rng = sheet.rng
    mask = np.zeros((sheet.n, sheet.n), np.uint8)
    base = rng.normal(0, 0.05)
    trunk = curve([[base, 1.0], [rng.normal(0, 0.07), 0.5 * (1 + top)], [0, top]], 14)
    flare = np.linspace(1, 0, 14)
    widths = width * (0.75 + 0.25 * flare + 0.8 * flare**4)
    solid = sheet.stroke(trunk, widths)
    for way in rng.uniform(0.35, 0.75, 4) * (-1, 1, -0.6, 0.6):
        root = curve([[base, 0.72], [base + 0.35 * way, 0.86], [base + way, 0.98]], 10)
        solid = np.maximum(
            solid, sheet.stroke(root, np.linspace(0.6, 0.12, 10) * width)
        )
    tips: list = []
    ways = np.linspace(-1, 1, int(rng.integers(5, 7))) * spread
    todo = [
        (
            trunk[-1 - abs(k) % 3],
            -np.pi / 2 + a + rng.normal(0, 0.1),
            0.46,
            width * 0.55,
            0,
        )
        for k, a in enumerate(ways)
    ]
    while todo:
        start, a, length, thick, level = todo.pop()
        bend = rng.normal(0, 0.3)
        middle = start + 0.5 * length * np.array([np.cos(a), np.sin(a)])
        end = middle + 0.5 * length * np.array([np.cos(a + bend), np.sin(a + bend)])
        _twig(sheet, mask, (start, middle, end), thick)
        tips.append(end)
        if level == depth:
            continue
        for side in (-1, 1):
            turn = a + bend + side * rng.uniform(0.25, 0.62)
            again = length * rng.uniform(0.64, 0.88)
            todo.append((end, turn, again, thick * rng.uniform(0.54, 0.7), level + 1))
    return np.maximum(solid, mask.astype(np.float32) / 255), np.asarray(tips)


def _twig(sheet: Sheet, mask, points, thick: float) -> None:
    """Add one bent branch to a mask; far quicker than a mask of its own."""
    scale = sheet.n / 2
    p = [tuple(int(v) for v in (q + 1) * scale * (1 << SHIFT)) for q in points]
    wide = max(1, round(2 * thick * scale))
    cv2.line(mask, p[0], p[1], 255, wide, cv2.LINE_AA, SHIFT)
    cv2.line(
        mask, p[1], p[2], 255, max(1, round(1.6 * thick * scale)), cv2.LINE_AA, SHIFT
    )


def _leafy(sheet: Sheet) -> None:
    """Lay a tree under a crown of lit clumps, at times in blossom."""
    rng = sheet.rng
    width, top = rng.uniform(0.13, 0.22), rng.uniform(0.1, 0.3)
    bark, grooves = _bark(sheet)
    limbs, _ = _limbs(sheet, top, width, 2, rng.uniform(0.7, 1.0), 0.34)
    hue = rng.choice([0.28, 0.33, 0.22, 0.1, 0.05, 0.93, 0.9])
    blossom = hue > 0.8 or rng.random() < 0.15
    leaf = colour(rng, hue, 0.35 if blossom else 0.7, 0.85 if blossom else 0.6, 0.03)
    crown = _Crown(sheet, leaf, blossom)
    centre, wide, high = -0.28, rng.uniform(0.8, 0.95), rng.uniform(0.6, 0.72)
    # The far side of the crown is dark; the limbs lie on it, the lit clumps on them.
    for _ in range(7):
        x, y = rng.uniform(-0.75, 0.75) * wide, centre + rng.uniform(-0.5, 0.85) * high
        crown.clump(x, y, rng.uniform(0.28, 0.4), 0.5)
    sheet.lay(limbs, bark, 0.14, grooves, gloss=0.1, rim=0.5)
    count = int(rng.integers(14, 22))
    for k in range(count):
        a = 2.4 * k + rng.normal(0, 0.2)
        d = np.sqrt((count - k - 0.5) / count)
        x = wide * d * np.cos(a) * 0.95
        y = centre + high * d * np.sin(a) * 0.9
        small = rng.uniform(0.2, 0.32) * (1.1 - 0.25 * d)
        if y > centre + 0.45 * high and abs(x) < 0.35:
            continue  # a window on the fork
        crown.clump(x, y, small, 1.0 - 0.35 * (y - centre))


class _Crown:
    """The leaves of one tree, in clumps that share a texture and two colours."""

    def __init__(self, sheet: Sheet, leaf, blossom: bool):
        rng = sheet.rng
        self.sheet, self.leaf = sheet, leaf
        self.ragged = sheet.noise(0.12, rng.uniform(1.3, 2.0))
        self.grain = np.clip(1.6 * sheet.noise(0.0, rng.uniform(1.8, 2.6)), -1, 1)
        other = colour(rng, 0.95, 0.15, 0.98) if blossom else leaf * (1.5, 1.35, 0.7)
        spots = smoothstep(0.15, 0.55, self.grain) * (0.9 if blossom else 0.6)
        dark = smoothstep(0.1, -0.7, self.grain)
        self.paint = blend(leaf, other, spots) * (1 - 0.5 * dark)[..., None]

    def clump(self, x: float, y: float, size: float, tone: float) -> None:
        """Lay one ball of leaves, dark below and bright above."""
        sheet = self.sheet
        reach = 1.3 * size
        box = window(sheet, [[x - reach, y - reach], [x + reach, y + reach]], 0)
        across, down = sheet.x[box] - x, sheet.y[box] - y
        r = np.hypot(across, down * 1.12)
        mask = np.zeros_like(sheet.alpha)
        ragged = 0.28 * size * self.ragged[box]
        mask[box] = smoothstep(0.0, 0.03, size - r + ragged)
        lift = tone * (1.3 - 0.6 * smoothstep(-size, size, down))
        paint = np.zeros_like(self.paint)
        paint[box] = np.clip(self.paint[box] * lift[..., None], 0, 1)
        bump = 0.03 * self.grain
        sheet.lay(mask, paint, 0.9 * size, bump, gloss=0.12, rim=0.35, shadow=0.45)


def _bare(sheet: Sheet) -> None:
    """Lay an old tree without leaves, dense with branches, at times with buds."""
    rng = sheet.rng
    bark, grooves = _bark(sheet, rng.uniform(0.25, 0.45))
    width = rng.uniform(0.19, 0.27)
    limbs, tips = _limbs(
        sheet, rng.uniform(0.15, 0.35), width, 6, rng.uniform(1.1, 1.45), 0.31
    )
    sheet.lay(limbs, bark, 0.14, grooves, gloss=0.15, rim=0.4)
    if rng.random() < 0.3:
        paint = colour(rng, rng.choice([0.95, 0.12, 0.25]), 0.4, 0.95)
        mask = np.zeros((sheet.n, sheet.n), np.uint8)
        for x, y in (tips[:: 1 + len(tips) // 90] + 1) * sheet.n / 2:
            size = round(rng.uniform(0.02, 0.035) * sheet.n)
            cv2.circle(mask, (int(x), int(y)), max(1, size), 255, -1, cv2.LINE_AA)
        mask = mask.astype(np.float32) / 255
        sheet.lay(mask, paint, 0.05, gloss=0.3)


def _conifer(sheet: Sheet) -> None:
    """Lay a fir: skirts of needles, each over the one below, at times snowed in."""
    rng = sheet.rng
    bark, grooves = _bark(sheet)
    trunk = np.array([[0, 0.4], [0, 0.8], [0, 1.0]])
    mask = sheet.stroke(trunk, [0.12, 0.14, 0.2])
    sheet.lay(mask, bark, 0.14, grooves, gloss=0.1)
    paint = colour(rng, rng.choice([0.36, 0.3, 0.42]), 0.6, 0.5)
    snow = rng.random() < 0.3
    rows, wide = int(rng.integers(5, 8)), rng.uniform(1.0, 1.25)
    for k in range(rows):
        t = 1 - k / (rows - 1)
        deep = 0.35 + 0.4 * t
        _skirt(sheet, -0.62 + 1.45 * t, deep, wide * (0.25 + 0.75 * t), paint, snow)


def _skirt(sheet: Sheet, low: float, deep: float, wide: float, paint, snow: bool):
    """Lay one tier of a fir, hanging from a point above, its hem in fingers."""
    y = sheet.y - (low - deep)
    angle = np.arctan2(sheet.x, y)
    r = np.hypot(sheet.x, y)
    lobes = np.cos(angle * sheet.rng.integers(16, 24) + 2 * sheet.noise(0.7))
    hem = deep * (1.0 + 0.07 * lobes + 0.06 * sheet.noise(0.2))
    half = np.arctan2(wide, deep)
    hem = hem * (1 + 0.22 * (angle / half) ** 2)
    mask = smoothstep(0, 0.03, hem - r) * smoothstep(0, 0.06, half - np.abs(angle))
    mask = mask * (y > 0)
    needles = np.sin(angle * 70 + 6 * sheet.noise(0.5)) * np.sin(r * 40 + 4 * lobes)
    v = smoothstep(0.4, 1.0, r / hem)
    tone = 0.45 + 0.75 * v + 0.28 * needles + 0.2 * lobes
    body = np.asarray(paint, np.float32) * tone[..., None]
    if snow:
        cover = smoothstep(0.0, 0.6, lobes + needles * 0.4 + v - 0.5)
        body = blend(body, (0.93, 0.96, 1.0), 0.85 * cover)
    bump = 0.02 * needles + 0.03 * lobes
    sheet.lay(mask, np.clip(body, 0, 1), 0.15, bump, gloss=0.1, shadow=0.5)
