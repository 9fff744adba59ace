"""Shells: coiled ones with ribs and knobs, and scallops."""

from __future__ import annotations

import numpy as np

from .brush import Sheet, blend, colour, smoothstep

REACH = 1.18  # of the outer lip from the spiral's pole, in sheet units


def shell(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a coiled shell or, a third of the time, a scallop."""
    sheet = Sheet(rng, size)
    if rng.random() < 0.33:
        _scallop(sheet)
    else:
        _coil(sheet)
    return sheet.finish()


def _palette(sheet: Sheet):
    """Return three colours of one shell: ground, mark and pearl."""
    rng = sheet.rng
    hue = rng.choice([0.03, 0.07, 0.11, 0.55, 0.92])
    return (
        colour(rng, hue, 0.25, 0.9),
        colour(rng, hue, 0.7, 0.45),
        colour(rng, hue + 0.4, 0.25, 0.9),
    )


def _coil(sheet: Sheet) -> None:
    """Lay a logarithmic spiral of ribbed and knobbed whorls."""
    rng = sheet.rng
    growth = rng.uniform(0.13, 0.24)  # of the radius's logarithm, per radian
    hand = rng.choice([-1, 1])
    start = rng.uniform(0, 2 * np.pi)
    # The mouth reaches far to one side, so the pole moves to the other.
    r, theta = sheet.polar(-0.25 * np.cos(start), 0.25 * hand * np.sin(start))
    angle = (hand * theta + start) % (2 * np.pi)
    turn = np.log(np.maximum(r, 1e-3) / REACH) / growth - angle
    whorl = np.floor(turn / (2 * np.pi))
    phase = turn / (2 * np.pi) - whorl  # 0 at the inner seam, 1 at the outer
    mask = smoothstep(0.0, 0.04, REACH * np.exp(growth * (angle - 2 * np.pi)) - r)
    run = angle + 2 * np.pi * whorl
    tube = np.sqrt(np.maximum(0, 1 - (2 * phase - 1) ** 2))
    ribs = np.sin(run * rng.uniform(6, 12) - hand * rng.uniform(0, 3) * phase)
    lines = np.sin(run * 44 + 2 * sheet.noise(0.7))  # where the lip once was
    cords = np.sin(phase * rng.integers(5, 10) * 2 * np.pi)
    ground, mark, pearl = _palette(sheet)
    kind = rng.integers(3)
    pattern = (ribs, np.sin(run * 9 + 5 * cords), cords * np.sign(ribs))[kind]
    marks = smoothstep(-0.1, 0.5, pattern + 0.6 * sheet.noise(0.85))
    paint = blend(ground, mark, 0.85 * marks)
    paint = blend(paint, pearl, 0.35 * smoothstep(0.3, 0.9, tube))
    paint = paint * ((0.3 + 0.7 * tube) * (1 + 0.1 * lines))[..., None]
    relief = 0.035 * ribs + 0.006 * lines + 0.008 * cords
    height = (0.34 * tube + relief * tube) * np.minimum(r + 0.1, 1)
    sheet.lay(mask, np.clip(paint, 0, 1), 0.1, height, gloss=0.6, rim=0.4)


def _scallop(sheet: Sheet) -> None:
    """Lay a fan of ribs that spread from a hinge, crossed by rings of growth."""
    rng = sheet.rng
    hinge = 0.82
    r, theta = sheet.polar(0, hinge)
    across = (theta + np.pi / 2) / rng.uniform(0.85, 1.05)  # -1 to 1 over the fan
    count = int(rng.integers(7, 14))
    ribs = np.cos(across * count * np.pi)
    reach = 1.72 * np.sqrt(np.maximum(0, 1 - 0.42 * across**2)) + 0.03 * ribs
    inside = smoothstep(1.02, 0.98, np.abs(across)) * smoothstep(0.0, 0.04, reach - r)
    ground, mark, pearl = _palette(sheet)
    rings = np.sin(r * rng.uniform(12, 26) + sheet.noise(0.9))
    marks = smoothstep(0.0, 0.7, rings + 0.5 * sheet.noise(0.7))
    paint = blend(ground, mark, np.clip(0.8 * marks, 0, 1))
    paint = blend(paint, pearl, 0.3 * smoothstep(0.2, 1.0, ribs))
    paint = paint * (0.72 + 0.28 * ribs + 0.05 * np.sin(r * 90))[..., None]
    for side in (-1, 1):
        ear = np.array([[0, 0.9], [0.42, 0.88], [0.3, 0.55], [0, 0.6]]) * (side, 1)
        sheet.lay(sheet.polygon(ear), ground * 0.8, 0.12, gloss=0.4)
    height = 0.05 * ribs * np.minimum(r, 1) + 0.006 * np.sin(r * 90)
    sheet.lay(inside, np.clip(paint, 0, 1), 0.6, height, gloss=0.5, rim=0.4)
