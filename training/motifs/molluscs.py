"""The octopus: a warty bag with two eyes, and eight arms with rings of suckers."""

from __future__ import annotations

import cv2
import numpy as np

from .brush import SHIFT, Sheet, blend, colour, curve, smoothstep, turned
from .tube import Tube, own_shade, rounding, tube, window

CROWD = 0.3  # share of the drawings that show arms alone
PIECES = 56  # of one arm
PITCH = 0.8  # from sucker to sucker, in half-widths of the arm


def octopus(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw an octopus with eight curling arms, or a crowd of arms alone."""
    sheet = Sheet(rng, size)
    skin = _Skin(sheet)
    if rng.random() < CROWD:
        _crowd(sheet, skin)
        return sheet.finish()
    heart = np.array([rng.normal(0, 0.05), rng.uniform(0.0, 0.15)])
    _web(sheet, skin, heart)
    first = rng.uniform(0, 2 * np.pi)
    spin = rng.choice([-1, 1])
    for k in rng.permutation(8):
        a = first + k * np.pi / 4 + rng.normal(0, 0.1)
        hand = spin if rng.random() < 0.7 else -spin
        start = heart + 0.16 * np.array([np.cos(a), np.sin(a)])
        line = _line(rng, start, a, rng.uniform(1.15, 1.55), hand)
        _arm(sheet, skin, line, rng.uniform(0.18, 0.23), hand)
    _head(sheet, skin, heart)
    return sheet.finish()


class _Skin:
    """One animal's skin: a colour and a height for every pixel, and its underside."""

    def __init__(self, sheet: Sheet):
        rng = sheet.rng
        hue = rng.choice([0.0, 0.04, 0.08, 0.93, 0.78, 0.55])
        self.hue = hue
        base = colour(rng, hue, 0.7, 0.6)
        dark = colour(rng, hue - 0.03, 0.75, 0.3)
        light = colour(rng, hue + 0.06, 0.5, 0.9)
        self.dark = dark
        self.pale = colour(rng, hue + 0.04, 0.22, 0.93)
        self.sucker = blend(self.pale, colour(rng, hue, 0.5, 0.7), 0.35)
        blotch = sheet.noise(0.75)
        low = rng.uniform(-0.3, 0.2)
        paint = blend(base, dark, 0.85 * smoothstep(low, low - 0.3, blotch))
        paint = blend(paint, light, 0.8 * smoothstep(0.25, 0.5, sheet.noise(0.6)))
        warts = _warts(sheet, int(rng.integers(50, 130)), rng.uniform(0.02, 0.035))
        paint = blend(paint, light, 0.75 * warts)
        if rng.random() < 0.25:
            rings = _rings(sheet, 26)
            paint = blend(
                paint, dark, np.minimum(1, cv2.GaussianBlur(rings, (0, 0), 3) * 3)
            )
            paint = blend(paint, colour(rng, 0.57, 0.85, 0.95), rings)
        fine = sheet.noise(0.25)
        self.paint = paint * (1 + 0.22 * fine)[..., None]
        self.height = 0.022 * warts + 0.006 * fine
        self.bands = rng.uniform(0.3, 0.7) if rng.random() < 0.4 else 0.0


def _warts(sheet: Sheet, count: int, radius: float) -> np.ndarray:
    """Return small domes strewn over the sheet, in [0, 1]."""
    rng = sheet.rng
    discs = np.zeros((sheet.n, sheet.n), np.uint8)
    places = rng.uniform(0, sheet.n, (count, 2)) * (1 << SHIFT)
    radii = radius * rng.uniform(0.5, 1.3, count) * sheet.n / 2 * (1 << SHIFT)
    for (x, y), r in zip(places.astype(int), radii.astype(int), strict=True):
        cv2.circle(discs, (int(x), int(y)), int(r), 255, -1, cv2.LINE_AA, SHIFT)
    inside = cv2.distanceTransform((discs > 127).astype(np.uint8), cv2.DIST_L2, 3)
    return smoothstep(0, radius * sheet.n / 2, inside)


def _rings(sheet: Sheet, count: int) -> np.ndarray:
    """Return thin rings strewn over the sheet."""
    rng = sheet.rng
    drawn = np.zeros((sheet.n, sheet.n), np.uint8)
    thick = max(1, round(0.014 * sheet.n))
    for x, y in rng.integers(0, sheet.n, (count, 2)):
        r = int(rng.uniform(0.03, 0.055) * sheet.n)
        cv2.circle(drawn, (int(x), int(y)), r, 255, thick, cv2.LINE_AA)
    return drawn.astype(np.float32) / 255


def _line(rng, start, angle: float, reach: float, hand: int) -> np.ndarray:
    """Return an arm's path: a sway, then a curl that tightens toward the tip."""
    t = np.linspace(0, 1, PIECES)
    sway = rng.normal(0, 0.4) * np.sin(np.pi * t) - hand * 0.5 * t
    heading = angle + sway + hand * rng.uniform(6, 10) * t ** rng.uniform(2.2, 3)
    steps = np.stack([np.cos(heading), np.sin(heading)], 1) * (reach / PIECES)
    return start + np.cumsum(steps, 0)


def _arm(sheet: Sheet, skin: _Skin, line, thick: float, hand: int, face=None) -> None:
    """Lay one arm; `face` is where across it the row of suckers sits."""
    rng = sheet.rng
    t = np.linspace(0, 1, len(line))
    width = thick * (1 - t) ** 0.75 * (1 - 0.25 * t) + 0.014
    part, box = window(sheet, line, thick + 0.12)
    body = tube(part, line, width)
    if face is None:
        face = rng.uniform(0.25, 0.6)
    # Suckers sit on the inside of the curl.
    v = hand * body.across - face
    paint, height = _banded(skin, body, box), skin.height[box] * 0.8
    under = smoothstep(-0.62, -0.48, v) * smoothstep(0.85, 0.7, v)
    paint = blend(paint, skin.pale, under)
    rings, height_of_rings, hole = _suckers(body, v)
    paint = blend(paint, skin.sucker, 0.9 * rings)
    paint = blend(paint, skin.dark * 0.6, 0.85 * hole)
    shade = own_shade(part, body, 9) * (1 - 0.55 * np.abs(body.across) ** 5)
    bump = rounding(body) + height * (1 - under) + height_of_rings
    whole = np.clip(paint * shade[..., None], 0, 1)
    part.lay(body.mask, whole, 0, bump, gloss=0.55, rim=0.5, shadow=0.5)


def _banded(skin: _Skin, body: Tube, box) -> np.ndarray:
    if not skin.bands:
        return skin.paint[box]
    bands = smoothstep(0.1, 0.6, np.sin(body.beat * 2.2))
    return blend(skin.paint[box], skin.dark, skin.bands * bands)


def _suckers(body: Tube, v) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rings, their height and the holes in them: two rows, set in turn."""
    rings, holes = np.zeros_like(v), np.zeros_like(v)
    for row, place in enumerate((-0.2, 0.36)):
        u = body.beat / PITCH + 0.5 * row
        du = (u - np.floor(u) - 0.5) * PITCH
        r = np.hypot(du, (v - place) * 0.95) / 0.29
        rings = np.maximum(rings, smoothstep(1.0, 0.85, r))
        holes = np.maximum(holes, smoothstep(0.58, 0.42, r))
    rim = rings - holes
    outline = rings * (1 - rings) * 4
    seen = smoothstep(0.02, 0.045, body.width)
    height = 0.16 * body.width * (rim - 0.6 * holes) * seen
    return rim * seen, height, np.maximum(holes, 0.7 * outline) * seen


def _web(sheet: Sheet, skin: _Skin, heart) -> None:
    """Lay the skin stretched between the roots of the arms."""
    a = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    r = 0.5 + 0.05 * np.cos(8 * a + sheet.rng.uniform(0, 6))
    edge = np.stack([heart[0] + r * np.cos(a), heart[1] + r * np.sin(a)], 1)
    _, theta = sheet.polar(*heart)
    folds = np.sin(24 * theta)
    paint = skin.paint * (0.7 + 0.08 * folds)[..., None]
    bump = skin.height + 0.008 * folds
    sheet.lay(sheet.polygon(edge), paint, 0.2, bump, gloss=0.4)


def _head(sheet: Sheet, skin: _Skin, heart) -> None:
    """Lay the mantle and the eyes, leaning a little."""
    rng = sheet.rng
    wide, tall = rng.uniform(0.38, 0.5), rng.uniform(0.72, 0.95)
    lean = rng.normal(0, 0.2)
    bag = np.array(
        [
            [0.0, 0.2],
            [0.3, 0.12],
            [wide * 0.72, -0.12],
            [wide, -tall * 0.55],
            [wide * 0.55, -tall * 0.95],
            [-wide * 0.55, -tall * 0.95],
            [-wide, -tall * 0.55],
            [-wide * 0.72, -0.12],
            [-0.3, 0.12],
            [0.0, 0.2],
        ]
    )
    outline = turned(curve(bag, 60), lean, heart[0], heart[1])
    folds = 0.012 * np.sin(14 * sheet.x + 3 * sheet.noise(0.9))
    bump = 1.5 * skin.height + folds * smoothstep(heart[1] - 0.3, heart[1], sheet.y)
    mask = sheet.polygon(outline)
    sheet.lay(mask, np.clip(skin.paint * 1.1, 0, 1), 0.42, bump, gloss=0.6, shadow=0.5)
    iris = colour(rng, 0.12, 0.7, 0.9)
    big = rng.uniform(0.12, 0.15)
    for side in (-1, 1):
        x, y = turned([[side * 0.26, -0.06]], lean, *heart)[0]
        _eye(sheet, skin, x, y, big, iris, lean)


def _eye(sheet: Sheet, skin: _Skin, x, y, big: float, iris, lean: float) -> None:
    part, box = window(sheet, [[x, y]], 1.4 * big + 0.1)
    r, theta = part.polar(x, y)
    lid = smoothstep(1.32, 1.24, r / big)
    lifted = np.clip(skin.paint[box] * 1.15, 0, 1)
    part.lay(lid, lifted, 0.14, skin.height[box], gloss=0.5)
    threads = 1 + 0.25 * np.sin(22 * theta)
    paint = iris * (threads * (1.1 - 0.5 * r / big))[..., None]
    slit = np.hypot(r * np.cos(theta - lean) / 0.72, r * np.sin(theta - lean) / 0.32)
    paint = blend(paint, (0.02, 0.02, 0.03), smoothstep(big * 1.05, big * 0.9, slit))
    glint, _ = part.polar(x - 0.04, y - 0.05)
    paint = blend(paint, (1, 1, 1), smoothstep(0.034, 0.022, glint))
    ball = smoothstep(1.02, 0.94, r / big)
    part.lay(ball, np.clip(paint, 0, 1), 0.1, gloss=0.7, shadow=0.2)


def _crowd(sheet: Sheet, skin: _Skin) -> None:
    """Lay big arms that come from all sides and curl, undersides to the viewer."""
    rng = sheet.rng
    dark = np.clip(skin.paint * 0.55, 0, 1)
    back = sheet.ellipse(0, 0, 0.82, 0.82)
    sheet.lay(back, dark, 0.3, skin.height)
    count = int(rng.integers(5, 8))
    first = rng.uniform(0, 2 * np.pi)
    spin = rng.choice([-1, 1])
    for k in rng.permutation(count):
        a = first + 2 * np.pi * k / count + rng.normal(0, 0.15)
        hand = spin if rng.random() < 0.75 else -spin
        start = 0.92 * np.array([np.cos(a), np.sin(a)])
        inward = a + np.pi - hand * rng.uniform(0.2, 0.7)
        line = _line(rng, start, inward, rng.uniform(1.5, 2.0), hand)
        _arm(sheet, skin, line, rng.uniform(0.22, 0.3), hand, rng.uniform(-0.05, 0.3))
    r, _ = sheet.polar()
    sheet.alpha *= smoothstep(0.98, 0.93, r + 0.04 * sheet.noise(0.9))
