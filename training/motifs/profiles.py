"""Heads seen from the side: dogs and cats, which look to the left."""

from __future__ import annotations

import numpy as np

from .brush import Sheet, blend, colour, curve, smoothstep
from .coats import INK, Fur, cat_coat, dog_coat, dots, hill, lidded, stain, whiskers
from .eyes import gaze


def _closed(points, rng, amount: float = 0.012, count: int = 60) -> np.ndarray:
    points = np.asarray(points, np.float32)
    points = points + rng.normal(0, amount, points.shape)
    return curve(np.vstack([points, points[:1]]), count)


def _swept(sheet: Sheet, x: float, y: float):
    """Return the directions of fur: back from the nose, then down the neck."""
    neck = smoothstep(0.1, 0.6, sheet.x + 0.5 * sheet.y)
    back = 0.9 * (sheet.x - x)
    return back * (1 - 0.7 * neck), (sheet.y - y) * (1 - neck) * 0.7 + 0.9 * neck


def dog_profile(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a dog's head from the side: long muzzle, mouth, one eye, one ear."""
    sheet = Sheet(rng, size)
    pricked = rng.random() < 0.45
    dip = 0.2 if pricked else rng.uniform(-0.08, 0.04)
    long = rng.uniform(0.72, 1.0)
    fur = Fur(sheet, *_swept(sheet, -0.9, dip), rng.uniform(0.07, 0.3))
    muzzle = hill(sheet, -0.6, dip + 0.05, 0.5, 0.32)
    blaze = np.maximum(
        hill(sheet, -0.8, dip, 0.36, 0.4), hill(sheet, 0, 0.8, 0.3, 0.45)
    )
    crown = smoothstep(0.1, -0.4, sheet.y - dip + 0.2 - 0.3 * sheet.x)
    coat = dog_coat(sheet, fur, muzzle, blaze, crown)
    skin, bump = fur.dress(coat)
    if pricked:
        _ear_up(sheet, fur, coat * 0.6, (0.02, dip), 0.36)
    opened = rng.random() < 0.5
    if opened:
        _open_jaw(sheet, fur, coat, dip, long)
    head = np.array(_DOG)
    head[:, 0] = np.where(
        head[:, 0] < -0.14, (head[:, 0] + 0.14) * long - 0.14, head[:, 0]
    )
    head[2:-2, 1] += dip
    outline = _closed(head, rng, 0.01)
    mask = fur.ragged(sheet.polygon(outline), 0.3)
    relief = _dog_side_relief(sheet, dip)
    sheet.lay(mask, skin, 0.4, bump + relief, gloss=0.08, rim=0.35)
    _dog_side_face(sheet, dip, long, opened)
    if pricked:
        _ear_up(sheet, fur, coat * 0.9, (0.2, dip), 0.44)
    else:
        _ear_down(sheet, fur, coat * rng.uniform(0.5, 0.9), dip)
    return sheet.finish()


_DOG = (
    (0.6, 0.98), (0.94, 0.84), (0.95, 0.4), (0.76, 0.06), (0.7, -0.34), (0.4, -0.64),
    (0.08, -0.63),
    (-0.16, -0.42), (-0.28, -0.27), (-0.56, -0.25), (-0.84, -0.26), (-0.97, -0.14),
    (-0.95, 0.06), (-0.84, 0.2), (-0.6, 0.3), (-0.3, 0.4), (-0.1, 0.56), (-0.22, 0.8),
    (0.1, 0.98),
)  # fmt: skip


def _dog_side_relief(sheet: Sheet, dip: float) -> np.ndarray:
    """Return the height of brow, cheek, lip and the dent under the eye."""
    relief = 0.12 * hill(sheet, 0.04, dip - 0.46, 0.2, 0.1, -0.4)
    relief += 0.12 * hill(sheet, 0.28, dip + 0.02, 0.26, 0.26)
    relief -= 0.09 * hill(sheet, -0.1, dip - 0.14, 0.2, 0.12)
    relief += 0.1 * hill(sheet, -0.62, dip + 0.06, 0.26, 0.09, 0.1)
    return relief - 0.08 * hill(sheet, 0.1, dip + 0.5, 0.3, 0.12, 0.3)


def _open_jaw(sheet: Sheet, fur: Fur, coat, dip: float, long: float) -> None:
    """Lay the lower jaw of an open mouth with its tongue, under the head."""
    rng = sheet.rng
    gape = rng.uniform(0.12, 0.24)
    far = -0.14 - 0.64 * long
    jaw = [
        [0.05, 0.1],
        [far, 0.1 + gape],
        [far, 0.26 + gape],
        [-0.3, 0.42 + gape],
        [0, 0.5],
    ]
    mask = sheet.polygon(_closed(jaw, rng) + np.array([0, dip]))
    fur.cover(fur.ragged(mask, 0.25), coat * 0.95, 0.15)
    throat = [[0, 0.12], [far + 0.08, 0.1], [far + 0.08, 0.16 + gape], [-0.2, 0.36]]
    stain(
        sheet,
        sheet.polygon(_closed(throat, rng) + np.array([0, dip])),
        (0.16, 0.04, 0.04),
    )
    tongue = [[-0.1, 0.2], [far + 0.1, 0.08 + gape], [far - 0.02, 0.3 + gape]]
    tongue += [[far + 0.1, 0.42 + gape], [far + 0.16, 0.24 + gape], [-0.2, 0.34]]
    paint = colour(rng, 0.98, 0.5, 0.85)
    sheet.lay(
        sheet.polygon(_closed(tongue, rng) + np.array([0, dip])), paint, 0.1, gloss=0.6
    )


def _dog_side_face(sheet: Sheet, dip: float, long: float, opened: bool) -> None:
    """Draw mouth line, whisker dots, nose and eye."""
    rng = sheet.rng
    line = np.array(
        [[-0.92, 0.0], [-0.78, 0.1], [-0.5, 0.14], [-0.24, 0.2], [-0.16, 0.16]]
    )
    line[:, 0] = (line[:, 0] + 0.14) * long - 0.14
    if not opened:
        lip = sheet.stroke(
            curve(line, 20) + np.array([0, dip]), np.linspace(0.018, 0.028, 20)
        )
        stain(sheet, lip, INK)
    spots = [(-0.78 + 0.085 * (k % 4), 0.07 * (k // 4) + 0.01 * k) for k in range(8)]
    spots = [((x + 0.14) * long - 0.14, y + dip - 0.06) for x, y in spots]
    dots(sheet, spots, 0.015)
    x = -0.76 * long - 0.14
    nose = [[x + 0.16, -0.26], [x - 0.02, -0.25], [x - 0.08, -0.13], [x + 0.02, 0.0]]
    nose += [[x + 0.1, -0.06], [x + 0.15, -0.15]]
    mask = sheet.polygon(_closed(nose, rng, 0.006, 30) + np.array([0, dip]))
    tone = colour(rng, 0.03, 0.3, 0.13) * (1 + 0.4 * sheet.noise(0.1))[..., None]
    sheet.lay(mask, tone, 0.1, gloss=0.6, rim=0.2)
    stain(sheet, sheet.ellipse(x + 0.01, dip - 0.12, 0.045, 0.028, -0.5), (0, 0, 0))
    stain(sheet, 0.8 * mask * hill(sheet, x + 0.04, dip - 0.21, 0.07, 0.022), (1, 1, 1))
    inner, outer, _ = gaze(rng, rng.uniform(0.04, 0.1) if rng.random() < 0.8 else 0.57)
    pair = inner, outer * 0.6, rng.uniform(0.5, 0.62)
    at = (0.0, dip - 0.3)
    lidded(sheet, at, rng.uniform(0.095, 0.12), pair, 0.35, (0.75, 0.65))


def _ear_up(sheet: Sheet, fur: Fur, paint, at, width: float) -> None:
    """Lay a pricked ear, its hollow turned to the viewer."""
    rng = sheet.rng
    x, y = at
    tip = x + width * rng.uniform(0.45, 0.75)
    # The tip stands twice, which makes the curve turn sharply there.
    ear = [[x, y - 0.54], [0.35 * x + 0.65 * tip - 0.07, -0.8], [tip, -0.98]]
    ear += [[tip + 0.01, -0.98], [0.5 * (tip + x + width) + 0.05, -0.74]]
    ear += [[x + width, y - 0.44], [x + 0.6 * width, y - 0.34], [x + 0.1, y - 0.4]]
    ear = _closed(ear, rng, 0.006, 48)
    fur.cover(fur.ragged(sheet.polygon(ear), 0.15), paint, 0.14, 0.4)
    middle = ear.mean(0)
    hollow = sheet.polygon((ear - middle) * (0.58, 0.72) + middle + (-0.02, -0.01))
    pink = blend(colour(rng, 0.02, 0.4, 0.55), paint, 0.35)
    fur.cover(fur.ragged(hollow, 0.3), pink, 0, 0.5, rim=0.6, shadow=0)


def _ear_down(sheet: Sheet, fur: Fur, paint, dip: float) -> None:
    """Lay a hanging ear, short or long and wavy."""
    rng = sheet.rng
    low = rng.uniform(0.15, 0.55)
    hang = Fur(sheet, 0.2 + 0 * sheet.x, 1 + 0 * sheet.y, 1.2 * fur.length, 0.7)
    ear = [[0.22, -0.52], [0.5, -0.54], [0.68, -0.2], [0.66, low - 0.15], [0.46, low]]
    ear += [[0.3, low - 0.2], [0.2, -0.15]]
    mask = hang.ragged(sheet.polygon(_closed(ear, rng, 0.02) + np.array([0, dip])), 0.5)
    hang.cover(mask, paint, 0.2, 0.45, rim=0.4, shadow=0.6)


_CAT = (
    (0.6, 0.98), (0.94, 0.84), (0.94, 0.4), (0.76, -0.1), (0.4, -0.42), (-0.06, -0.46),
    (-0.4, -0.26), (-0.58, -0.02), (-0.76, 0.12), (-0.78, 0.26), (-0.68, 0.44),
    (-0.46, 0.56), (-0.2, 0.64), (-0.3, 0.84), (0.1, 0.98),
)  # fmt: skip


def cat_profile(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a cat's head from the side: round skull, short muzzle, ears, whiskers."""
    sheet = Sheet(rng, size)
    fur = Fur(sheet, *_swept(sheet, -0.75, 0.15), rng.uniform(0.1, 0.34))
    muzzle = np.maximum(
        hill(sheet, -0.62, 0.3, 0.26, 0.26), hill(sheet, -0.2, 0.9, 0.4, 0.4)
    )
    blaze = np.maximum(
        hill(sheet, -0.7, 0.2, 0.3, 0.4), hill(sheet, -0.2, 0.9, 0.4, 0.4)
    )
    # Stripes sweep from the eye over cheek and crown, and ring the neck.
    _, theta = sheet.polar(-0.5, 0.0)
    phase = rng.uniform(13, 18) * theta + 5 * sheet.x
    coat = cat_coat(sheet, fur, muzzle, blaze, phase)
    skin, bump = fur.dress(coat)
    _ear_up(sheet, fur, coat * 0.6, (-0.3, 0.24), 0.46)
    mask = sheet.polygon(_closed(_CAT, rng, 0.01))
    relief = 0.08 * hill(sheet, -0.2, -0.3, 0.22, 0.1, -0.5)
    relief += 0.12 * hill(sheet, 0.2, 0.26, 0.26, 0.26)
    relief -= 0.08 * hill(sheet, -0.34, -0.02, 0.2, 0.16)
    mask = fur.ragged(mask, rng.uniform(0.3, 0.7))
    sheet.lay(mask, skin, 0.4, bump + relief, gloss=0.08, rim=0.35)
    _ear_up(sheet, fur, coat * 0.95, (0.08, 0.3), 0.6)
    pair, slit = gaze(rng, rng.choice([0.12, 0.2, 0.33, 0.52])), rng.random() < 0.75
    at = (-0.3, rng.uniform(-0.08, -0.02))
    opened = (rng.uniform(0.75, 0.95), rng.uniform(0.7, 0.9))
    lidded(sheet, at, rng.uniform(0.15, 0.18), pair, 0.45, opened, slit)
    _cat_side_mouth(sheet, fur, coat)
    return sheet.finish()


def _cat_side_mouth(sheet: Sheet, fur: Fur, coat) -> None:
    """Lay the whisker pad, mouth line, nose and whiskers."""
    rng = sheet.rng
    pad = fur.ragged(sheet.ellipse(-0.58, 0.28, 0.19, 0.14, 0.25), 0.15)
    fur.cover(pad, np.clip(coat * 1.12 + 0.04, 0, 1), 0.16, 0.25, rim=0.3)
    line = curve([[-0.76, 0.26], [-0.66, 0.38], [-0.5, 0.42], [-0.36, 0.38]], 14)
    stain(sheet, sheet.stroke(line, 0.015), INK)
    spots = [(-0.64 + 0.07 * (k % 3), 0.26 + 0.06 * (k // 3)) for k in range(6)]
    dots(sheet, spots, 0.013)
    nose = [[-0.7, 0.07], [-0.79, 0.1], [-0.82, 0.17], [-0.76, 0.23], [-0.69, 0.16]]
    mask = sheet.polygon(_closed(nose, rng, 0.005, 24))
    sheet.lay(mask, colour(rng, 0.98, 0.45, 0.7), 0.06, gloss=0.5, rim=0.4)
    roots = [
        (-0.55, 0.25 + 0.03 * k, 0.1 + 0.2 * k + rng.normal(0, 0.05)) for k in range(4)
    ]
    roots += [(-0.68, 0.28 + 0.03 * k, 2.4 - 0.3 * k) for k in range(2)]
    whiskers(sheet, roots, rng.uniform(0.6, 0.8))
