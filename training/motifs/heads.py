"""Heads seen from the front: dogs, cats, owls."""

from __future__ import annotations

import numpy as np

from .brush import Sheet, blend, colour, curve, smoothstep
from .coats import (
    INK,
    Fur,
    cat_coat,
    dog_coat,
    dots,
    hill,
    lidded,
    mirrored,
    orb,
    plumage,
    pricked,
    stain,
    whiskers,
)
from .eyes import gaze
from .profiles import cat_profile, dog_profile


def _outward(sheet: Sheet, cy: float):
    """Return the directions of a head's fur: up the brow, out on the cheeks, down."""
    dx, dy = sheet.x, sheet.y - cy
    return dx * 1.2, dy + 0.35 * np.abs(dx) + 0.25 * smoothstep(0.0, 0.7, sheet.y)


def _ruff(sheet: Sheet, fur: Fur, paint, top: float, width: float) -> None:
    """Lay the neck, to the lower edge of the sheet."""
    half = [[0, top], [0.5 * width, top], [width, 0.45], [width, 0.8]]
    half += [[0.55 * width, 0.95], [0, 0.98]]
    mask = fur.ragged(sheet.polygon(mirrored(half, sheet.rng, 0.03)), 0.8)
    fur.cover(mask, paint * 0.85, 0.4, 0.5, rim=0.3)


def dog(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a dog's head, from the front or from the side."""
    if rng.random() < 0.5:
        return dog_profile(rng, size)
    sheet = Sheet(rng, size)
    fur = Fur(sheet, *_outward(sheet, 0.05), rng.uniform(0.06, 0.28))
    muzzle = hill(sheet, 0, 0.42, 0.42, 0.42)
    muzzle = np.maximum(muzzle, hill(sheet, 0.3, -0.42, 0.13, 0.1))
    muzzle = np.maximum(muzzle, hill(sheet, -0.3, -0.42, 0.13, 0.1))
    blaze = np.maximum(hill(sheet, 0, -0.3, 0.16, 0.8), hill(sheet, 0, 0.5, 0.5, 0.35))
    crown = smoothstep(0.0, -0.6, sheet.y + 0.25 * np.abs(sheet.x))
    coat = dog_coat(sheet, fur, muzzle, blaze, crown)
    skin, bump = fur.dress(coat)
    if rng.random() < 0.85:
        _ruff(sheet, fur, coat, 0.1, rng.uniform(0.74, 0.96))
    drop = rng.random() < 0.6
    if not drop:
        pricked(sheet, fur, coat * rng.uniform(0.7, 1.0), rng.random() < 0.35)
    wide = rng.uniform(0.56, 0.68) - 0.05 * (not drop)
    low = rng.uniform(0.32, 0.41)
    half = [[0, -0.78], [0.34, -0.74], [wide, -0.4], [wide, -0.02], [low + 0.1, 0.42]]
    half += [[low, 0.72], [0, 0.86]]
    mask = fur.ragged(sheet.polygon(mirrored(half, rng)), 0.35)
    sheet.lay(mask, skin, 0.45, bump + _dog_relief(sheet), gloss=0.08, rim=0.35)
    if drop:
        _hanging(sheet, fur, coat * rng.uniform(0.55, 0.95), wide)
    _dog_eyes(sheet)
    _dog_muzzle(sheet, fur, coat, low + 0.03)
    return sheet.finish()


def _dog_relief(sheet: Sheet) -> np.ndarray:
    """Return the height of brows, sockets, furrow and the bridge of the nose."""
    relief = -0.06 * hill(sheet, 0, -0.42, 0.06, 0.3)
    for side in (-1, 1):
        relief += 0.11 * hill(sheet, side * 0.27, -0.4, 0.2, 0.11, side * 0.3)
        relief -= 0.09 * hill(sheet, side * 0.27, -0.14, 0.16, 0.12)
        relief += 0.07 * hill(sheet, side * 0.42, 0.1, 0.14, 0.2)
    return relief + 0.16 * hill(sheet, 0, 0.1, 0.15, 0.35)


def _dog_eyes(sheet: Sheet) -> None:
    rng = sheet.rng
    hue = rng.uniform(0.04, 0.1) if rng.random() < 0.8 else 0.57
    inner, outer, _ = gaze(rng, hue)
    pair = inner, outer * 0.6, rng.uniform(0.5, 0.65)
    radius, tilt = rng.uniform(0.105, 0.14), rng.uniform(0.05, 0.35)
    gap, y = rng.uniform(0.25, 0.31), rng.uniform(-0.22, -0.14)
    opened = (rng.uniform(0.65, 0.9), rng.uniform(0.6, 0.85))
    for side in (-1, 1):
        lidded(sheet, (side * gap, y), radius, pair, -side * tilt, opened)


def _dog_muzzle(sheet: Sheet, fur: Fur, coat, width: float) -> None:
    """Lay jaw, tongue, bridge, the two lips, whisker dots, mouth and nose."""
    rng = sheet.rng
    coat = np.minimum(coat * 1.05, 1)
    if rng.random() < 0.5:
        _panting(sheet, fur, coat, width)
    bridge = [[0, -0.1], [0.14, -0.04], [0.17, 0.2], [width * 0.8, 0.36], [0, 0.5]]
    mask = fur.ragged(sheet.polygon(mirrored(bridge, rng)), 0.2)
    fur.cover(mask, coat, 0.25, rim=0.12, shadow=0.25)
    for side in (-1, 1):
        lip = sheet.ellipse(side * width * 0.5, 0.5, width * 0.6, 0.22, side * 0.35)
        fur.cover(fur.ragged(lip, 0.2), coat, 0.24, rim=0.4)
    lips = np.zeros_like(sheet.alpha)
    for side in (-1, 1):
        line = [[0, 0.42], [0, 0.6], [side * 0.12, 0.7], [side * width * 0.95, 0.6]]
        lip = sheet.stroke(curve(line, 12), np.linspace(0.022, 0.014, 12))
        np.maximum(lips, lip, out=lips)
    stain(sheet, lips, INK)
    spots = [(0.14 + 0.075 * (k % 3), 0.46 + 0.075 * (k // 3)) for k in range(6)]
    dots(sheet, [(side * x, y) for x, y in spots for side in (-1, 1)], 0.015)
    _dog_nose(sheet)


def _panting(sheet: Sheet, fur: Fur, coat, width: float) -> None:
    rng = sheet.rng
    deep = rng.uniform(0.82, 0.92)
    jaw = sheet.ellipse(0, deep - 0.2, width * 0.75, 0.26)
    fur.cover(fur.ragged(jaw, 0.3), coat * 0.9, 0.2)
    sheet.lay(sheet.ellipse(0, deep - 0.24, width * 0.58, 0.2), INK, 0, shadow=0)
    tongue = sheet.ellipse(0, deep - 0.14, width * 0.42, 0.24)
    groove = -0.03 * hill(sheet, 0, deep - 0.1, 0.03, 0.3)
    pink = colour(rng, 0.98, 0.5, 0.85) * (1 + 0.12 * sheet.noise(0.3))[..., None]
    sheet.lay(tongue, pink, 0.12, groove, gloss=0.6)


def _dog_nose(sheet: Sheet) -> None:
    """Lay the wet nose: leathery grain, nostrils, a broad highlight."""
    rng = sheet.rng
    wide = rng.uniform(0.19, 0.24)
    half = [[0, 0.17], [wide * 0.7, 0.17], [wide, 0.26], [wide * 0.6, 0.36], [0, 0.46]]
    mask = sheet.polygon(mirrored(half, rng, 0.006))
    tone = colour(rng, 0.03, 0.3, 0.14) * (1 + 0.4 * sheet.noise(0.1))[..., None]
    sheet.lay(mask, tone, 0.14, 0.008 * sheet.noise(0.1), gloss=0.5, rim=0.2)
    for side in (-1, 1):
        hole = sheet.ellipse(side * wide * 0.5, 0.31, 0.055, 0.036, side * 0.7)
        stain(sheet, hole, (0.01, 0.01, 0.01))
    shine = 0.75 * hill(sheet, -0.03, 0.215, 0.1, 0.028) * mask
    stain(sheet, shine, (0.92, 0.95, 1.0))


def _hanging(sheet: Sheet, fur: Fur, paint, wide: float) -> None:
    """Lay hanging ears: short flaps or long wavy ones."""
    rng = sheet.rng
    low, far = rng.uniform(0.1, 0.65), rng.uniform(0.22, 0.32)
    side_fur = Fur(sheet, 0.5 * sheet.x, 1 + 0 * sheet.y, fur.length * 1.2, 0.7)
    outline = np.array(
        [
            [wide - 0.3, -0.72],
            [wide + 0.02, -0.74],
            [wide + far, -0.35],
            [wide + far, low - 0.2],
            [wide + far * 0.5, low],
            [wide + 0.02, low - 0.25],
            [wide - 0.08, -0.3],
        ]
    )
    outline = outline + rng.normal(0, 0.02, outline.shape)
    outline = curve(np.vstack([outline, outline[:1]]), 36)
    for side in (-1, 1):
        flap = side_fur.ragged(sheet.polygon(outline * (side, 1)), 0.5)
        side_fur.cover(flap, paint, 0.2, 0.45, rim=0.4, shadow=0.5)


def cat(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a cat's head, from the front or from the side."""
    if rng.random() < 0.5:
        return cat_profile(rng, size)
    sheet = Sheet(rng, size)
    fur = Fur(sheet, *_outward(sheet, 0.12), rng.uniform(0.1, 0.34))
    muzzle = np.maximum(hill(sheet, 0, 0.4, 0.36, 0.25), hill(sheet, 0, 0.7, 0.5, 0.2))
    blaze = np.maximum(hill(sheet, 0, -0.1, 0.15, 0.6), hill(sheet, 0, 0.5, 0.5, 0.3))
    _, theta = sheet.polar(0, 0.2)
    phase = rng.uniform(13, 19) * np.abs(theta + 0.5 * np.pi)
    coat = cat_coat(sheet, fur, muzzle, blaze, phase)
    skin, bump = fur.dress(coat)
    if rng.random() < 0.8:
        _ruff(sheet, fur, coat, 0.3, rng.uniform(0.6, 0.92))
    pricked(sheet, fur, coat * 0.85, base=(0.12, 0.74))
    wide = rng.uniform(0.72, 0.82)
    half = [[0, -0.6], [0.38, -0.58], [wide - 0.1, -0.24], [wide, 0.16]]
    half += [[wide - 0.18, 0.5], [0.3, 0.72], [0, 0.76]]
    mask = fur.ragged(sheet.polygon(mirrored(half, rng)), rng.uniform(0.4, 0.9))
    sheet.lay(mask, skin, 0.45, bump + _cat_relief(sheet), gloss=0.08, rim=0.3)
    hue = rng.choice([0.12, 0.2, 0.33, 0.52])
    pair, slit = gaze(rng, hue), rng.random() < 0.75
    radius, tilt = rng.uniform(0.17, 0.21), rng.uniform(0.15, 0.4)
    gap, y = rng.uniform(0.31, 0.36), rng.uniform(-0.1, -0.03)
    opened = (rng.uniform(0.75, 0.98), rng.uniform(0.75, 0.95))
    for side in (-1, 1):
        lidded(sheet, (side * gap, y), radius, pair, -side * tilt, opened, slit)
    _cat_mouth(sheet, fur, coat)
    return sheet.finish()


def _cat_relief(sheet: Sheet) -> np.ndarray:
    """Return the height of the brow, the sockets, the bridge and the cheeks."""
    relief = 0.1 * hill(sheet, 0, 0.05, 0.12, 0.25) + 0.06 * hill(
        sheet, 0, -0.4, 0.3, 0.15
    )
    for side in (-1, 1):
        relief -= 0.07 * hill(sheet, side * 0.33, -0.06, 0.22, 0.18)
        relief += 0.06 * hill(sheet, side * 0.5, 0.3, 0.16, 0.14)
    return relief


def _cat_mouth(sheet: Sheet, fur: Fur, coat) -> None:
    """Lay chin, the two pads, nose, mouth and whiskers."""
    rng = sheet.rng
    coat = np.clip(coat * 1.12 + 0.04, 0, 1)
    chin = sheet.ellipse(0, 0.62, 0.18, 0.13)
    fur.cover(fur.ragged(chin, 0.2), coat, 0.14, 0.25, rim=0.3)
    for side in (-1, 1):
        pad = sheet.ellipse(side * 0.15, 0.44, 0.2, 0.155, side * 0.15)
        fur.cover(fur.ragged(pad, 0.15), coat, 0.16, 0.25, rim=0.3)
    lips = np.zeros_like(sheet.alpha)
    for side in (-1, 1):
        line = [[0, 0.34], [0, 0.48], [side * 0.1, 0.58], [side * 0.26, 0.52]]
        np.maximum(lips, sheet.stroke(curve(line, 12), 0.014), out=lips)
    stain(sheet, lips, INK)
    spots = [(0.14 + 0.07 * (k % 3), 0.41 + 0.06 * (k // 3)) for k in range(6)]
    dots(sheet, [(side * x, y) for x, y in spots for side in (-1, 1)], 0.013)
    wide = rng.uniform(0.1, 0.13)
    half = [[0, 0.23], [wide * 0.8, 0.22], [wide, 0.26], [wide * 0.4, 0.34], [0, 0.38]]
    nose = sheet.polygon(mirrored(half, rng, 0.004))
    sheet.lay(nose, colour(rng, 0.98, 0.45, 0.72), 0.07, gloss=0.5, rim=0.4)
    roots = []
    for k in range(4):
        lift = 0.16 * (k - 1.5) + rng.normal(0, 0.05)
        roots += [(0.2, 0.4 + 0.03 * k, lift), (-0.2, 0.4 + 0.03 * k, np.pi - lift)]
    whiskers(sheet, roots, rng.uniform(0.6, 0.78))


class _Owl:
    """A species: how it is coloured, barred and tufted, and what face it has."""

    def __init__(self, rng: np.random.Generator):
        self.name = rng.choice(["horned", "tawny", "snowy", "barn", "ringed"])
        tones = {
            "horned": (0.07, 0.5, 0.55, 0.08),
            "tawny": (0.05, 0.7, 0.6, 0.02),
            "snowy": (0.11, 0.05, 0.97, 0.14),
            "barn": (0.1, 0.6, 0.8, 0.03),
            "ringed": (0.6, 0.1, 0.6, 0.14),
        }
        hue, saturation, value, eye = tones[self.name]
        self.base = colour(rng, hue, saturation, value, 0.03)
        self.mark = colour(rng, hue, 0.45, 0.17)
        self.pale = colour(rng, 0.1, 0.14, 0.92)
        if self.name == "snowy":
            self.mark = blend(self.base, self.mark, 0.6)
        self.kind = {"barn": 2, "snowy": 0}.get(self.name, int(rng.integers(4)))
        wild = rng.random() < 0.35
        inner, outer, opening = gaze(rng, rng.uniform(0.06, 0.15) if wild else eye)
        dark = self.name in ("barn", "tawny") and not wild
        self.pair = inner * (0.3 if dark else 1), outer * (0.3 if dark else 1), opening


def owl(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw an owl: its face alone, or with barred breast and folded wings."""
    sheet = Sheet(rng, size)
    species = _Owl(rng)
    whole = rng.random() < 0.5
    scale, cy = (rng.uniform(0.66, 0.74), -0.28) if whole else (0.98, -0.04)
    if whole:
        _owl_body(sheet, species, rng.uniform(0.66, 0.8))
    else:
        _owl_shoulders(sheet, species)
    r, theta = sheet.polar(0, cy)
    pitch = rng.uniform(0.13, 0.17) * (0.6 + 0.4 * scale)
    along, across = 1.25 * scale - r, theta * (0.55 * scale)
    args = pitch, species.base, species.mark, species.kind
    skin, bump = plumage(sheet, -along, across, *args)
    reach = 0.84 * scale
    if species.name == "horned":
        _tufts(sheet, species, cy, scale)
    edge = 0.025 * np.sin(across / pitch * 2 * np.pi) + 0.02 * sheet.noise(0.3)
    tall = np.hypot(sheet.x * 0.98, sheet.y - cy) + edge * scale
    head = smoothstep(reach + 0.015, reach - 0.015, tall)
    sheet.lay(head, skin, 0.5 * scale, bump, gloss=0.06, rim=0.35)
    _owl_face(sheet, species, cy - 0.04 * scale, scale)
    return sheet.finish()


def _tufts(sheet: Sheet, species: _Owl, cy: float, scale: float) -> None:
    """Lay the feather horns: a few tapered plumes on each side."""
    rng = sheet.rng
    lean, tall = rng.uniform(0.5, 0.8), rng.uniform(0.92, 1.0)
    for k in range(4):
        paint = blend(species.base, species.mark, k % 2) * rng.uniform(0.8, 1.1)
        barbs = 1 + 0.25 * np.sin(70 * (sheet.y + 0.3 * np.abs(sheet.x)))
        for side in (-1, 1):
            tip = [lean + 0.07 * k, -tall + 0.09 * k]
            plume = curve([[0.3 + 0.08 * k, -0.5], [0.4 + 0.09 * k, -0.72], tip], 12)
            plume = plume * (side * scale, scale) + np.array([0, cy])
            mask = sheet.stroke(plume, np.linspace(0.11, 0.015, 12) * scale)
            sheet.lay(mask, paint * barbs[..., None], 0.07, gloss=0.1, rim=0.5)


def _owl_body(sheet: Sheet, species: _Owl, wide: float) -> None:
    """Lay breast, folded wings and the toes on a branch."""
    rng = sheet.rng
    pitch = rng.uniform(0.1, 0.14)
    light = blend(species.base, species.pale, rng.uniform(0.3, 0.8))
    bow = sheet.y + 0.25 * sheet.x**2
    breast = plumage(sheet, bow, sheet.x, pitch, light, species.mark, species.kind)
    half = [[0, -0.4], [wide * 0.9, -0.2], [wide, 0.3], [wide * 0.7, 0.8], [0, 0.98]]
    sheet.lay(sheet.polygon(mirrored(half, rng)), breast[0], 0.5, breast[1], gloss=0.06)
    for side in (-1, 1):
        slope = 0.35 * side
        along = sheet.y - slope * sheet.x
        args = species.base * 0.8, species.mark, 0 if rng.random() < 0.6 else 3
        paint, bump = plumage(sheet, along, sheet.x + slope * sheet.y, 0.17, *args)
        wing = [[wide * 0.7, -0.3], [wide + 0.16, -0.05], [wide + 0.16, 0.5]]
        wing += [[wide * 0.75, 0.98], [wide * 0.62, 0.4], [wide * 0.7, -0.3]]
        mask = sheet.polygon(curve(wing, 30) * (side, 1))
        sheet.lay(mask, paint, 0.2, bump, gloss=0.1, rim=0.5, shadow=0.5)
    horn = colour(rng, 0.12, 0.5, 0.6)
    for x in (-0.3, -0.2, -0.1, 0.12, 0.22, 0.32):
        toe = sheet.ellipse(x, 0.88, 0.045, 0.1)
        sheet.lay(toe, horn, 0.05, gloss=0.4)


def _owl_shoulders(sheet: Sheet, species: _Owl) -> None:
    """Lay what is seen of the body under a head that fills the sheet."""
    bow = sheet.y + 0.3 * sheet.x**2
    args = 0.17, species.base * 0.85, species.mark, species.kind
    paint, bump = plumage(sheet, bow, sheet.x, *args)
    half = [[0, 0.1], [0.7, 0.2], [0.93, 0.45], [0.9, 0.8], [0.55, 0.96], [0, 0.99]]
    outline = mirrored(half, sheet.rng, 0.01)
    sheet.lay(sheet.polygon(outline), paint, 0.3, bump, gloss=0.06, rim=0.3)


def _owl_face(sheet: Sheet, species: _Owl, cy: float, scale: float) -> None:
    """Lay the facial discs, the eyes, the brows and the beak."""
    rng = sheet.rng
    heart = species.name == "barn"
    gap, radius = 0.35 * scale, rng.uniform(0.21, 0.27) * scale
    radius *= 0.7 if heart or species.name == "ringed" else 1.0
    size = rng.uniform(0.41, 0.46) * scale
    count, cloud = rng.integers(24, 40), sheet.noise(0.55)
    face = species.pale if heart else blend(species.base, species.pale, 0.6)
    for side in (-1, 1):
        cx = side * gap
        r, theta = sheet.polar(cx, cy)
        r = r / size
        rays = np.sin(theta * count + 3 * cloud + 3 * r) * (0.65 + 0.7 * cloud)
        tone = blend(face, species.base * 0.7, smoothstep(0.55, 0.85, r))
        if species.name == "ringed":
            rings = smoothstep(0.0, 0.6, np.sin(r * 26 + 0.8 * sheet.noise(0.6)))
            tone = blend(tone, species.mark, 0.8 * rings)
        if heart:
            tone = blend(face, species.base * 0.6, 0.7 * smoothstep(0.7, 0.35, r))
        edge = smoothstep(0.86, 0.95, r)
        tone = blend(tone, species.mark, edge) * (1 + 0.22 * rays)[..., None]
        if heart:
            lobe = sheet.ellipse(
                cx * 0.85, cy + 0.1 * scale, size * 0.95, size * 1.35, side * 0.45
            )
        else:
            lobe = sheet.ellipse(cx, cy, size, size * 1.04)
        dish = 0.01 * rays - 0.12 * scale * np.exp(-((r / 0.7) ** 2))
        sheet.lay(lobe, tone, 0.1 * scale, dish, gloss=0.05, rim=0.4)
    for side in (-1, 1):
        at = side * gap, cy
        sheet.lay(sheet.ellipse(*at, 1.2 * radius, 1.2 * radius), INK, 0.05, gloss=0.3)
        keep = sheet.ellipse(*at, radius, radius)
        orb(sheet, at, radius, species.pair, keep)
    _owl_brows(sheet, species, cy, scale)


def _owl_brows(sheet: Sheet, species: _Owl, cy: float, scale: float) -> None:
    """Lay the pale brows that meet in the beak, its bristles and the beak."""
    rng = sheet.rng
    dx, dy = sheet.x, sheet.y - cy - 0.1 * scale
    fur = Fur(sheet, dx, dy, 0.16 * scale)
    paint, bump = fur.dress(species.pale, 0.5)
    if species.name != "barn":
        for side in (-1, 1):
            brow = [[0, 0.12], [0.2, -0.24], [0.62, -0.5], [0.3, -0.46], [0, -0.2]]
            brow = curve([*brow, brow[0]], 24) * (side * scale, scale) + np.array(
                [0, cy]
            )
            mask = fur.ragged(sheet.polygon(brow), 0.7)
            sheet.lay(mask, paint, 0.08 * scale, bump, gloss=0.05, rim=0.2)
    half = [[0, -0.02], [0.1, 0.06], [0.11, 0.2], [0.04, 0.4], [0, 0.48]]
    beak = mirrored(half, rng, 0.008) * scale + np.array([0, cy])
    horn = colour(rng, 0.12, 0.5, 0.6)
    tone = blend(horn, horn * 0.3, smoothstep(0.15, 0.45, (sheet.y - cy) / scale))
    sheet.lay(sheet.polygon(beak), tone, 0.12 * scale, gloss=0.7, shadow=0.5)
    for side in (-1, 1):
        hole = sheet.ellipse(side * 0.05 * scale, cy + 0.12 * scale, 0.02, 0.014)
        stain(sheet, hole, INK)
