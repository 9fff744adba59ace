"""Heads with fur: dogs, cats, owls."""

from __future__ import annotations

import numpy as np

from .brush import Sheet, blend, colour, smoothstep
from .eyes import gaze, iris


def pelt(sheet: Sheet, cx: float, cy: float, paint, streak: float = 0.3):
    """Return `(paint, bump)` of fur which grows away from a centre."""
    rng = sheet.rng
    r, theta = sheet.polar(cx, cy)
    waves = theta * rng.integers(34, 60) + 5 * sheet.noise(0.75) + 9 * r
    strands = np.sin(waves) * (0.6 + 0.4 * sheet.noise(0.3))
    tone = 1 + streak * strands + 0.15 * sheet.noise(0.6)
    paint = np.asarray(paint, np.float32)
    if paint.ndim == 1:
        paint = np.broadcast_to(paint, (*tone.shape, 3))
    return np.clip(paint * tone[..., None], 0, 1), 0.006 * strands


def _rough(points, rng, amount: float = 0.02) -> np.ndarray:
    return points + rng.normal(0, amount, points.shape)


def _head(sheet: Sheet, width: float, height: float, cheek: float) -> np.ndarray:
    """Return the mask of a head: an ellipse with cheeks and a tufted rim."""
    r, theta = sheet.polar()
    low = smoothstep(-0.2, 0.9, np.sin(theta))
    reach = 1 / np.hypot(np.cos(theta) / width, np.sin(theta) / height)
    reach = reach * (1 + cheek * low * np.abs(np.cos(theta)))
    tufts = 0.02 * np.sin(theta * 37 + 4 * sheet.noise(0.6)) + 0.02 * sheet.noise(0.3)
    return smoothstep(-0.02, 0.02, reach + tufts - r)


def _coat(sheet: Sheet, hue: float, dark: bool = False):
    """Return the paint of a coat: one colour, patches or stripes, a pale muzzle."""
    rng = sheet.rng
    base = colour(rng, hue, 0.5, 0.3 if dark else 0.65)
    other = colour(rng, hue, 0.3, rng.choice([0.2, 0.9]))
    kind = rng.random()
    if kind < 0.35:
        paint = blend(base, other, smoothstep(-0.1, 0.3, sheet.noise(0.95)))
    elif kind < 0.75:
        _, theta = sheet.polar(0, 0.3)
        bands = np.sin(theta * 12 + 6 * sheet.noise(0.9))
        upper = smoothstep(0.3, -0.2, sheet.y)
        paint = blend(base, base * 0.35, smoothstep(0.2, 0.7, bands) * upper)
    else:
        paint = np.broadcast_to(base, (*sheet.x.shape, 3))
    pale = smoothstep(0.5, 0.2, np.hypot(sheet.x / 0.9, sheet.y - 0.42))
    return blend(paint, colour(rng, hue, 0.15, 0.85), 0.8 * pale)


def _whiskers(sheet: Sheet, y: float) -> None:
    rng = sheet.rng
    mask = np.zeros_like(sheet.alpha)
    for side in (-1, 1):
        for _ in range(3):
            tilt = rng.uniform(-0.25, 0.25)
            line = [
                [side * 0.2, y],
                [side * 0.5, y + tilt * 0.4],
                [side * 0.9, y + tilt],
            ]
            mask = np.maximum(mask, sheet.stroke(line, [0.012, 0.01, 0.004]))
    sheet.lay(mask, (0.95, 0.95, 0.92), 0, rim=0, shadow=0.15)


def _mouth(sheet: Sheet, y: float, drop: float, paint) -> None:
    for side in (-1, 1):
        line = [
            [0, y],
            [0, y + drop * 0.5],
            [side * 0.13, y + drop],
            [side * 0.26, y + drop * 0.7],
        ]
        sheet.tint(sheet.stroke(line, 0.017), paint)


def dog(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a dog's face: long muzzle, big nose, hanging or pricked ears."""
    sheet = Sheet(rng, size)
    hue = rng.uniform(0.05, 0.1)
    coat = _coat(sheet, hue, rng.random() < 0.25)
    fur, bump = pelt(sheet, 0, 0.1, coat)
    ear, ear_bump = pelt(sheet, 0, -0.6, coat * rng.uniform(0.5, 0.9))
    hanging = rng.random() < 0.65
    if not hanging:
        _pricked(sheet, ear, ear_bump)
    width = rng.uniform(0.52, 0.64)
    sheet.lay(
        _head(sheet, width, rng.uniform(0.74, 0.86), 0.12), fur, 0.6, bump, gloss=0.1
    )
    if hanging:
        low = rng.uniform(0.15, 0.5)
        for side in (-1, 1):
            outline = [
                [0.36, -0.66],
                [0.66, -0.6],
                [0.86, -0.1],
                [0.78, low],
                [0.58, low - 0.1],
                [0.5, -0.2],
            ]
            flap = sheet.polygon(_rough(np.array(outline), rng) * (side, 1))
            sheet.lay(flap, ear, 0.25, ear_bump, gloss=0.1)
    _muzzle(sheet, coat, rng.uniform(0.26, 0.36))
    gap, y = rng.uniform(0.24, 0.32), rng.uniform(-0.24, -0.1)
    radius = rng.uniform(0.1, 0.14)
    pair = gaze(rng, rng.uniform(0.04, 0.12))
    for side in (-1, 1):
        socket = sheet.ellipse(side * gap, y, radius * 1.35, radius * 1.2, side * 0.3)
        sheet.lay(socket, (0.08, 0.06, 0.05), 0.05, rim=0.2)
        iris(sheet, side * gap, y, radius, pair)
    return sheet.finish()


def _pricked(sheet: Sheet, paint, bump) -> None:
    tip = sheet.rng.uniform(0.9, 1.0)
    for side in (-1, 1):
        outer = np.array([[0.16, -0.55], [0.5, -tip], [0.64, -0.3]]) * (side, 1)
        sheet.lay(sheet.polygon(outer), paint, 0.2, bump, gloss=0.1)
        inner = np.array([[0.27, -0.6], [0.47, -tip + 0.13], [0.54, -0.45]]) * (side, 1)
        pink = colour(sheet.rng, 0.02, 0.35, 0.6)
        sheet.lay(sheet.polygon(inner), pink, 0.05, bump, shadow=0)


def _muzzle(sheet: Sheet, coat, width: float) -> None:
    rng = sheet.rng
    fur, bump = pelt(sheet, 0, 0.25, coat * 1.08, 0.2)
    sheet.lay(
        sheet.ellipse(0, 0.38, width, rng.uniform(0.36, 0.44)),
        fur,
        0.35,
        bump,
        gloss=0.1,
        rim=0.3,
    )
    if rng.random() < 0.35:
        tongue = sheet.ellipse(0, 0.8, 0.13, 0.18)
        sheet.lay(tongue, colour(rng, 0.98, 0.6, 0.8), 0.12, gloss=0.5)
    _mouth(sheet, 0.45, 0.2, (0.05, 0.03, 0.03))
    nose = [
        [-0.19, 0.2],
        [0, 0.15],
        [0.19, 0.2],
        [0.15, 0.32],
        [0, 0.44],
        [-0.15, 0.32],
    ]
    sheet.lay(
        sheet.polygon(nose), colour(rng, 0.05, 0.3, 0.12), 0.12, gloss=0.8, rim=0.2
    )
    for side in (-1, 1):
        sheet.tint(sheet.ellipse(side * 0.08, 0.31, 0.04, 0.03, side * 0.5), (0, 0, 0))


def cat(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a cat's face: pricked ears, slit pupils, whiskers, a small pink nose."""
    sheet = Sheet(rng, size)
    coat = _coat(sheet, rng.uniform(0.04, 0.12), rng.random() < 0.3)
    fur, bump = pelt(sheet, 0, 0.15, coat)
    _pricked(sheet, fur * 0.9, bump)
    sheet.lay(
        _head(sheet, 0.72, rng.uniform(0.62, 0.72), 0.1), fur, 0.55, bump, gloss=0.1
    )
    for side in (-1, 1):
        pad = sheet.ellipse(side * 0.13, 0.36, 0.18, 0.14)
        sheet.lay(pad, colour(rng, 0.1, 0.12, 0.88), 0.12, bump, gloss=0.1, rim=0.25)
    _mouth(sheet, 0.3, 0.16, (0.1, 0.05, 0.05))
    nose = [[-0.1, 0.18], [0.1, 0.18], [0.05, 0.26], [0, 0.3], [-0.05, 0.26]]
    sheet.lay(sheet.polygon(nose), colour(rng, 0.98, 0.45, 0.7), 0.06, gloss=0.5)
    pair, gap = gaze(rng, rng.uniform(0.1, 0.5)), rng.uniform(0.27, 0.33)
    radius = rng.uniform(0.14, 0.19)
    slit = rng.random() < 0.7
    for side in (-1, 1):
        rim = sheet.ellipse(
            side * gap, -0.06, radius * 1.35, radius * 1.12, -side * 0.25
        )
        sheet.lay(rim, (0.06, 0.05, 0.04), 0.05, rim=0)
        iris(sheet, side * gap, -0.06, radius, pair, slit)
    _whiskers(sheet, 0.35)
    return sheet.finish()


def owl(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw an owl's face: two discs of feathers, great eyes, a hooked beak."""
    sheet = Sheet(rng, size)
    hue = rng.uniform(0.05, 0.1)
    base = colour(rng, hue, 0.45, 0.5)
    spots = smoothstep(
        0.25, 0.5, np.sin(sheet.x * 26) * np.sin(sheet.y * 22 + 3 * sheet.noise(0.9))
    )
    coat = blend(base, base * 0.35, spots)
    fur, bump = pelt(sheet, 0, -0.1, coat)
    for side in (-1, 1):
        tuft = np.array([[0.15, -0.6], [0.6, -1.0], [0.7, -0.4]]) * (side, 1)
        sheet.lay(sheet.polygon(tuft), fur * 0.8, 0.12, bump, gloss=0.05)
    sheet.lay(_head(sheet, 0.82, 0.82, 0.05), fur, 0.5, bump, gloss=0.05)
    pale = colour(rng, hue, 0.2, 0.85)
    radius, pair = rng.uniform(0.19, 0.26), gaze(rng, rng.uniform(0.08, 0.15))
    for side in (-1, 1):
        cx = side * 0.36
        r, theta = sheet.polar(cx, -0.1)
        rays = np.sin(theta * 30 + 2 * sheet.noise(0.6))
        tone = (
            blend(pale, base * 0.6, smoothstep(0.28, 0.43, r))
            * (1 + 0.2 * rays)[..., None]
        )
        sheet.lay(
            sheet.ellipse(cx, -0.1, 0.43, 0.45),
            tone,
            0.1,
            0.008 * rays,
            gloss=0.05,
            rim=0.6,
        )
        sheet.lay(
            sheet.ellipse(cx, -0.1, radius * 1.15, radius * 1.15),
            (0.05, 0.04, 0.03),
            0.05,
        )
        iris(sheet, cx, -0.1, radius, pair)
    beak = [[-0.12, 0.08], [0, -0.02], [0.12, 0.08], [0.03, 0.44], [-0.03, 0.44]]
    sheet.lay(sheet.polygon(beak), colour(rng, 0.12, 0.6, 0.6), 0.12, gloss=0.7)
    return sheet.finish()
