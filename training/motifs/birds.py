"""Birds: portraits, spread wings, songbirds on a twig, and birds in flight."""

from __future__ import annotations

import numpy as np

from .brush import Sheet, blend, colour, curve, smoothstep, turned
from .feathers import coat, fan


def bird(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a bird: head and breast, wings spread, perched, or in flight."""
    sheet = Sheet(rng, size)
    kinds = (_portrait, _spread, _perched, _flying)
    kinds[rng.choice(4, p=[0.34, 0.26, 0.22, 0.18])](sheet, _palette(rng))
    return sheet.finish()


def _palette(rng):
    """Return the colours of back, breast, crown and quills."""
    hue = rng.choice([0.02, 0.08, 0.13, 0.33, 0.47, 0.55, 0.61, 0.8])
    other = hue + rng.choice([0.08, 0.3, 0.5, 0.6])
    strong = rng.choice([0.85, 0.75, 0.35])
    back = colour(rng, hue, strong, 0.75)
    breast = colour(rng, other, strong * 0.85, 0.9)
    crown = colour(rng, rng.choice([hue, other, hue + 0.15]), strong, 0.8)
    quill = rng.choice([0.5, 0.75, 1.0]) * colour(rng, hue + 0.08, 0.7, 0.75)
    return back, breast, crown, quill


def _closed(points) -> np.ndarray:
    return curve([*points, points[0]], 60)


# Heads -----------------------------------------------------------------------


def _beak(sheet: Sheet, x: float, y: float, long: float, high: float, hook: float):
    """Lay a beak that points right; `hook` is how far its tip hangs down."""
    rng = sheet.rng
    horn = colour(
        rng, rng.choice([0.12, 0.08, 0.04, 0.6]), rng.choice([0.85, 0.3]), 0.8
    )
    place = np.array([x, y])
    size = np.array([long, high])
    lower = [[0, 0.0], [0.55, 0.1], [0.72, 0.38 + 0.3 * hook], [0.4, 0.75], [0, 0.75]]
    sheet.lay(
        sheet.polygon(_closed(lower) * size + place), horn * 0.6, 0.3 * high, gloss=0.4
    )
    upper = [
        [-0.05, -0.8],
        [0.5, -0.75],
        [0.9, -0.3 + 0.3 * hook],
        [1.0, 0.15 + hook],
        [0.84, 0.2 + 0.45 * hook],
        [0.6, 0.22],
        [-0.05, 0.22],
    ]
    tip = smoothstep(x + 0.4 * long, x + long, sheet.x + 0.1 * sheet.noise(0.8))
    grain = 1 + 0.12 * np.sin(60 * np.hypot(sheet.x - x, sheet.y - y))
    paint = blend(horn, horn * rng.choice([0.25, 1.2]), tip) * grain[..., None]
    outline = _closed(upper) * size + place
    sheet.lay(
        sheet.polygon(outline), np.clip(paint, 0, 1), 0.7 * high, gloss=0.6, rim=0.55
    )
    nostril = sheet.ellipse(x + 0.2 * long, y - 0.3 * high, 0.07 * long, 0.09 * high)
    sheet.tint(nostril, horn * 0.15)


def _eye(sheet: Sheet, x: float, y: float, radius: float, skin) -> None:
    rng = sheet.rng
    ring = sheet.ellipse(x, y, radius * 1.5, radius * 1.4)
    sheet.lay(ring, skin, 0.4 * radius, gloss=0.2, rim=0.6)
    iris = colour(rng, rng.choice([0.11, 0.05, 0.14, 0.55]), 0.85, 0.9)
    sheet.lay(sheet.ellipse(x, y, radius, radius), iris, radius, gloss=0.1, rim=0.8)
    pupil = radius * rng.uniform(0.5, 0.72)
    sheet.lay(sheet.ellipse(x, y, pupil, pupil), (0.02, 0.02, 0.03), radius, gloss=0.3)
    gx, gy = x + 0.35 * radius * sheet.light[0], y + 0.45 * radius * sheet.light[1]
    glint = 0.25 * radius
    sheet.tint(sheet.ellipse(gx, gy, glint, glint), (1, 1, 1))


def _crest(sheet: Sheet, x: float, y: float, size: float, paint) -> None:
    count = int(sheet.rng.integers(4, 7))
    lean = sheet.rng.uniform(-2.5, -2.0)
    for k in range(count):
        way = lean + 0.22 * (k - count / 2)
        shape = np.array([[0, -0.12], [0.6, -0.16], [1.0, 0.1], [0.6, 0.12], [0, 0.12]])
        feather = turned(_closed(shape) * size * (1 - 0.06 * k), way, x, y)
        sheet.lay(sheet.polygon(feather), paint * (0.8 + 0.08 * k), 0.06, rim=0.6)


def _portrait(sheet: Sheet, palette) -> None:
    """Lay a head in profile on a breast that fills the lower half."""
    rng = sheet.rng
    back, breast, crown, quill = palette
    kind = rng.choice(["eagle", "parrot", "song", "toucan"], p=[0.35, 0.35, 0.2, 0.1])
    hx, hy = rng.uniform(-0.2, -0.1), rng.uniform(-0.38, -0.3)
    if kind in ("parrot", "song") and rng.random() < 0.5:
        _crest(sheet, hx - 0.05, hy - 0.25, rng.uniform(0.5, 0.65), crown * 0.9)
    wide = rng.uniform(0.75, 0.95)
    body = [
        [hx + 0.48, hy + 0.1],
        [hx + 0.3, hy + 0.42],
        [wide * 0.72, 0.62],
        [wide * 0.7, 1.0],
        [-0.9, 1.0],
        [-0.88, 0.55],
        [hx - 0.48, hy + 0.25],
        [hx - 0.47, hy - 0.22],
        [hx - 0.1, hy - 0.52],
        [hx + 0.32, hy - 0.35],
    ]
    x, y = sheet.x - hx, sheet.y - hy
    ragged = 0.12 * sheet.noise(0.5)
    split = smoothstep(-0.1, 0.25, 0.7 * x + 0.45 * y - 0.2 + ragged)
    low = smoothstep(0.3, 0.5, np.hypot(x, y) * 0.8 + 0.25 * y - 0.15 * x + ragged)
    paint = blend(crown, blend(back, breast, split), low)
    if rng.random() < 0.5:  # a mask through the eye
        stripe = np.exp(-(((y - 0.1 * x + 0.02) / 0.1) ** 2)) * (1 - low)
        paint = blend(paint, quill * 0.4, 0.85 * stripe)
    face = (hx + 0.42, hy - 0.02)
    coat(sheet, _closed(body), paint, face, rng.uniform(0.2, 0.28), 0.55)
    _face(sheet, kind, hx, hy, back)


def _face(sheet: Sheet, kind: str, hx: float, hy: float, back) -> None:
    rng = sheet.rng
    shape = {
        "eagle": (0.6, 0.26, 0.85),
        "parrot": (0.5, 0.36, 1.0),
        "song": (0.46, 0.15, 0.0),
        "toucan": (0.95, 0.27, 0.55),
    }[kind]
    scale = rng.uniform(0.9, 1.1, 3)
    long, high, hook = (float(v) for v in np.asarray(shape) * scale)
    bx = hx + 0.34
    _beak(sheet, bx, hy + 0.02, min(long, 0.98 - bx), high, hook)
    ex, ey = hx + 0.12, hy - 0.1
    radius = rng.uniform(0.11, 0.15)
    pale = kind in ("parrot", "toucan")
    if pale:
        patch = sheet.ellipse(hx + 0.16, hy - 0.02, 0.25, 0.22)
        lines = np.sin(sheet.y * 60 + 3 * np.sin(sheet.x * 9))
        skin = colour(rng, 0.1, 0.15, 0.9) * (0.93 + 0.1 * lines)[..., None]
        sheet.lay(patch, np.clip(skin, 0, 1), 0.1, 0.004 * lines, rim=0.25, shadow=0.1)
    ring = colour(rng, 0.12, 0.6, 0.75) if pale else back * 0.25
    _eye(sheet, ex, ey, radius, ring)
    if kind == "eagle":
        brow = curve(
            [[ex - 0.22, ey - 0.12], [ex, ey - 0.14], [ex + 0.24, ey + 0.0]], 14
        )
        sheet.lay(sheet.stroke(brow, np.linspace(0.03, 0.06, 14)), back * 0.6, 0.05)


def _small_head(sheet: Sheet, x, y, radius, palette, hook: float, long: float) -> None:
    """Lay the head of a whole bird: coat, beak, eye."""
    back, breast, crown, _ = palette
    rng = sheet.rng
    if rng.random() < 0.3:
        _crest(sheet, x - 0.3 * radius, y - 0.4 * radius, 1.5 * radius, crown)
    high = float(radius * (0.34 + 0.25 * hook))
    _beak(sheet, x + 0.72 * radius, y + 0.05 * radius, long, high, hook)
    cheek = smoothstep(0.0, 0.6, (sheet.y - y) / radius + 0.3 * sheet.noise(0.7))
    outline = [
        [x + radius * np.cos(a), y + 0.94 * radius * np.sin(a)]
        for a in np.linspace(0, 6.283, 24)
    ]
    face = (x + 0.9 * radius, y + 0.05 * radius)
    coat(sheet, outline, blend(crown, breast, cheek), face, 0.27, radius)
    _eye(sheet, x + 0.3 * radius, y - 0.12 * radius, 0.27 * radius, back * 0.3)


# Whole birds -----------------------------------------------------------------


def _spread(sheet: Sheet, palette) -> None:
    """Lay a bird seen from the front with both wings and the tail spread."""
    rng = sheet.rng
    back, breast, crown, quill = palette
    lift = rng.uniform(-0.5, 0.05)
    paints = (quill, back, crown if rng.random() < 0.5 else back * 1.15)
    tail = (quill, blend(quill, back, 0.6), breast * 0.9)
    fan(sheet, (0, 0.2), np.pi / 2, rng.uniform(1.0, 1.7), 0.85, 7, tail, 0.0)
    wide, count = rng.uniform(1.5, 1.9), int(rng.integers(8, 12))
    for side in (-1, 1):
        angle = lift + wide * 0.18
        root = (side * 0.06, -0.12)
        fan(sheet, root, angle, wide, 1.22, count, paints, 0.35, side)
    body = [
        [0.22, -0.3],
        [0.3, 0.05],
        [0.17, 0.42],
        [-0.17, 0.42],
        [-0.3, 0.05],
        [-0.22, -0.3],
    ]
    slope = smoothstep(-0.4, 0.4, sheet.y + 0.15 * sheet.noise(0.6))
    coat(sheet, _closed(body), blend(crown, breast, slope), (0, -0.6), 0.14, 0.28)
    hook = rng.choice([0.1, 0.9])
    _small_head(sheet, -0.03, -0.48, rng.uniform(0.24, 0.3), palette, hook, 0.26)


def _perched(sheet: Sheet, palette) -> None:
    """Lay a plump bird on a twig, its wing folded."""
    rng = sheet.rng
    back, breast, crown, quill = palette
    drop = rng.uniform(0.0, 0.3)
    tail = (quill, quill * 1.1, back)
    fan(sheet, (-0.25, 0.3), np.pi - 0.35 - drop, 0.55, 0.85, 5, tail, 0.2)
    twig = curve([[-1, 0.86], [-0.3, 0.8], [0.4, 0.88], [1, 0.8]], 20)
    bark = colour(rng, 0.08, 0.5, 0.45) * (1 + 0.3 * sheet.noise(0.2))[..., None]
    sheet.lay(sheet.stroke(twig, 0.075), np.clip(bark, 0, 1), 0.08, gloss=0.1)
    body = [
        [0.5, -0.35],
        [0.72, 0.1],
        [0.55, 0.6],
        [0.1, 0.82],
        [-0.4, 0.62],
        [-0.62, 0.25],
        [-0.3, -0.2],
        [0.05, -0.55],
    ]
    slope = smoothstep(
        -0.15, 0.3, sheet.y * 0.6 + 0.6 * sheet.x + 0.12 * sheet.noise(0.6)
    )
    coat(sheet, _closed(body), blend(back, breast, slope), (0.5, -0.5), 0.13, 0.6)
    paints = (quill, back * 0.9, crown)
    angle = np.pi - rng.uniform(0.55, 0.8)
    fan(sheet, (0.3, -0.2), angle, rng.uniform(0.8, 1.0), 1.25, 6, paints, 0.4)
    for x in (0.05, 0.3):
        claw = curve([[x, 0.74], [x + 0.05, 0.84], [x + 0.02, 0.94]], 8)
        sheet.lay(sheet.stroke(claw, [0.05] * 4 + [0.03] * 4), breast * 0.4, 0.04)
    hook = rng.choice([0.0, 0.1, 1.0])
    _small_head(sheet, 0.3, -0.52, rng.uniform(0.34, 0.42), palette, hook, 0.35)


def _flying(sheet: Sheet, palette) -> None:
    """Lay a bird in flight from the side, at times a hummingbird at its long bill."""
    rng = sheet.rng
    back, breast, crown, quill = palette
    humming = rng.random() < 0.45
    paints = (quill, back, crown)
    far = tuple(0.65 * p for p in paints)
    fan(sheet, (0.2, 0.08), -0.95 + rng.normal(0, 0.12), 1.2, 1.25, 8, far, 0.4, 1)
    tail = (quill, quill * 1.15, back)
    fan(sheet, (-0.15, 0.3), np.pi - 0.5, rng.uniform(0.7, 1.1), 1.0, 7, tail, 0.15)
    body = [
        [0.6, -0.12],
        [0.62, 0.4],
        [0.2, 0.82],
        [-0.35, 0.78],
        [-0.55, 0.55],
        [-0.2, 0.05],
        [0.3, -0.2],
    ]
    slope = smoothstep(0.1, 0.4, sheet.y + 0.35 * sheet.x + 0.1 * sheet.noise(0.6))
    coat(sheet, _closed(body), blend(back, breast, slope), (0.6, -0.2), 0.15, 0.45)
    angle = -2.25 + rng.normal(0, 0.15)
    fan(sheet, (0.22, 0.1), angle, rng.uniform(1.3, 1.6), 1.4, 10, paints, 0.35)
    long = 0.42 if humming else 0.28
    hook = 0.0 if humming else rng.choice([0.1, 1.0])
    _small_head(sheet, 0.42, -0.12, 0.32, palette, hook, long)
