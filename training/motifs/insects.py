"""Butterflies and beetles."""

from __future__ import annotations

import cv2
import numpy as np

from .brush import Sheet, blend, colour, curve, smoothstep


def _feelers(sheet: Sheet, y: float, paint, knob: float) -> None:
    bend = sheet.rng.uniform(0.15, 0.35)
    for side in (-1, 1):
        line = curve(
            [[side * 0.03, y], [side * bend * 0.6, y - 0.2], [side * bend, y - 0.36]],
            12,
        )
        sheet.lay(sheet.stroke(line, 0.014), paint, 0.02)
        if knob:
            sheet.lay(sheet.ellipse(*line[-1], knob, knob), paint, 0.03)


def butterfly(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a butterfly from above: four veined wings with borders and eye-spots."""
    sheet = Sheet(rng, size)
    hue = rng.choice([0.05, 0.1, 0.15, 0.55, 0.6, 0.8])
    inner, outer = colour(rng, hue, 0.8, 0.85), colour(rng, hue + 0.08, 0.8, 0.55)
    border = colour(rng, hue, 0.5, 0.12)
    sx, sy = rng.uniform(0.85, 1.0), rng.uniform(0.8, 1.0)
    low = [[0.04, 0.08], [0.5, 0.1], [0.72, 0.4], [0.5, 0.78], [0.28, 0.7], [0.1, 0.42]]
    top = [
        [0.04, 0.1],
        [0.1, -0.25],
        [0.5, -0.78],
        [0.92, -0.72],
        [0.86, -0.2],
        [0.5, 0.14],
    ]
    spots = rng.random() < 0.7
    for outline, heart in ((low, (0.42, 0.45)), (top, (0.62, -0.45))):
        rings = _spot_rings(rng, hue)
        for side in (-1, 1):
            ring = curve(np.array([*outline, outline[0]]) * (side * sx, sy), 44)
            mask = sheet.polygon(ring)
            _wing_of(sheet, mask, side, inner, outer, border)
            if spots:
                _spot(sheet, side * heart[0] * sx, heart[1] * sy, rings)
    body = sheet.stroke(
        [[0, -0.22], [0, 0.0], [0, 0.25], [0, 0.52]], [0.06, 0.075, 0.06, 0.025]
    )
    rings = 0.008 * np.sin(sheet.y * 70)
    sheet.lay(body, border * 1.6 + 0.06, 0.08, rings, gloss=0.3)
    sheet.lay(sheet.ellipse(0, -0.28, 0.075, 0.07), border + 0.1, 0.07, gloss=0.5)
    _feelers(sheet, -0.32, border, 0.03)
    return sheet.finish()


def _wing_of(sheet: Sheet, mask, side, inner, outer, border) -> None:
    r, theta = sheet.polar(0, 0)
    inside = np.pad((mask > 0.5).astype(np.uint8), 1)
    rim = cv2.distanceTransform(inside, cv2.DIST_L2, 3)[1:-1, 1:-1] * (2 / sheet.n)
    veins = np.abs(np.sin(theta * 9 + 0.6 * np.sin(5 * r)))
    paint = blend(inner, outer, smoothstep(0.2, 0.8, r + 0.1 * sheet.noise(0.9)))
    edge = smoothstep(0.12, 0.06, rim + 0.02 * np.sin(theta * 40)) * smoothstep(
        0.3, 0.5, r
    )
    paint = blend(paint, border, np.maximum(edge, smoothstep(0.16, 0.06, veins)))
    dots = np.sin(theta * 34) * smoothstep(0.05, 0.03, np.abs(rim - 0.06))
    paint = blend(paint, (0.95, 0.92, 0.85), smoothstep(0.4, 0.8, dots) * edge)
    dust = 1 + 0.12 * sheet.noise(0.2)
    sheet.lay(
        mask,
        paint * dust[..., None],
        0.06,
        -0.01 * smoothstep(0.2, 0, veins),
        gloss=0.2,
    )


def _spot_rings(rng: np.random.Generator, hue: float) -> list:
    """Return `(radius, colour)` of an eye-spot's rings, the same on both wings."""
    size = rng.uniform(0.1, 0.16)
    rings = ((1, hue + 0.1, 0.9), (0.75, hue, 0.08), (0.45, hue + 0.5, 0.8))
    return [(size * k, colour(rng, h, 0.7, v, 0.02)) for k, h, v in rings]


def _spot(sheet: Sheet, x: float, y: float, rings: list) -> None:
    for radius, paint in rings:
        sheet.tint(sheet.ellipse(x, y, radius, radius * 1.1), paint)
    glint = rings[0][0] * 0.14
    sheet.tint(sheet.ellipse(x - 0.02, y - 0.03, glint, glint), (1, 1, 1))


def beetle(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a beetle from above: glossy wing cases, jointed legs, horns or feelers."""
    sheet = Sheet(rng, size)
    hue = rng.choice([0.0, 0.08, 0.35, 0.45, 0.62, 0.78])
    case = colour(rng, hue, 0.75, 0.5)
    dark = colour(rng, hue, 0.5, 0.16)
    _legs(sheet, dark)
    _feelers(sheet, -0.68, dark, 0.0)
    _beetle_head(sheet, dark)
    _cases(sheet, case, dark, hue)
    return sheet.finish()


def _beetle_head(sheet: Sheet, dark) -> None:
    rng = sheet.rng
    if rng.random() < 0.4:
        for side in (-1, 1):
            horn = curve(
                [[side * 0.1, -0.68], [side * 0.28, -0.84], [side * 0.1, -1.0]], 14
            )
            sheet.lay(
                sheet.stroke(horn, np.linspace(0.07, 0.015, 14)), dark, 0.06, gloss=0.6
            )
    sheet.lay(sheet.ellipse(0, -0.62, 0.2, 0.16), dark * 1.3, 0.16, gloss=0.8)
    for side in (-1, 1):
        sheet.lay(
            sheet.ellipse(side * 0.17, -0.66, 0.055, 0.055),
            (0.02, 0.02, 0.02),
            0.05,
            gloss=0.9,
        )


def _cases(sheet: Sheet, case, dark, hue: float) -> None:
    rng = sheet.rng
    wide = rng.uniform(0.42, 0.58)
    shield = curve(
        [
            [wide * 0.9, -0.2],
            [wide * 0.75, -0.45],
            [0.15, -0.55],
            [-0.15, -0.55],
            [-wide * 0.75, -0.45],
            [-wide * 0.9, -0.2],
            [wide * 0.9, -0.2],
        ],
        36,
    )
    sheet.lay(
        sheet.polygon(shield),
        blend(case, dark, 0.5),
        0.25,
        0.01 * sheet.noise(0.3),
        gloss=0.8,
    )
    kind = rng.random()
    grooves = np.cos(np.abs(sheet.x) * rng.uniform(45, 60))
    sheen = blend(
        case, colour(rng, hue + 0.15, 0.8, 0.6), smoothstep(-0.3, 0.7, sheet.y)
    )
    bump = None
    if kind < 0.5:
        bump = 0.012 * grooves
    elif kind < 0.8:
        around = np.sin(np.abs(sheet.x) * 14 + 1) * np.sin(sheet.y * 11)
        sheen = blend(sheen, dark, smoothstep(0.45, 0.55, around))
    for side in (-1, 1):
        half = curve(
            [
                [0.005, -0.26],
                [wide * 0.8, -0.24],
                [wide, 0.1],
                [wide * 0.75, 0.62],
                [0.12, 0.92],
                [0.005, 0.9],
                [0.005, -0.26],
            ],
            40,
        )
        sheet.lay(
            sheet.polygon(half * (side, 1)),
            sheen,
            0.42,
            bump,
            gloss=1.0,
            rim=0.6,
            shadow=0.15,
        )


def _legs(sheet: Sheet, paint) -> None:
    rng = sheet.rng
    for y, lift in ((-0.35, -0.3), (0.0, 0.1), (0.3, 0.38)):
        for side in (-1, 1):
            sway = rng.normal(0, 0.06)
            knee = [side * rng.uniform(0.66, 0.76), y + lift * 0.4 + sway]
            foot = [side * rng.uniform(0.86, 0.96), y + lift + sway]
            sheet.lay(
                sheet.stroke([[side * 0.3, y], knee], [0.06, 0.045]),
                paint,
                0.05,
                gloss=0.5,
            )
            sheet.lay(sheet.stroke([knee, foot], [0.04, 0.015]), paint, 0.04, gloss=0.5)
