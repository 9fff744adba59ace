"""Towers: spires, castle turrets, onion domes, minarets and lighthouses."""

from __future__ import annotations

import numpy as np

from .brush import Sheet, blend, colour, curve, smoothstep
from .built import masonry, region, shingles

BASE = 0.98  # y of the ground
CAPS = {
    "castle": ("cone", "battlement", "cone", "battlement"),
    "church": ("spire", "spire", "cone", "onion"),
    "onions": ("onion", "onion", "onion", "spire"),
    "mosque": ("minaret", "minaret", "minaret", "dome"),
    "lighthouse": ("lantern", "lantern", "cone", "battlement"),
}


def tower(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw two to four round towers with roofs, domes or battlements."""
    sheet = Sheet(rng, size)
    family = rng.choice(list(CAPS))
    stone = colour(rng, rng.choice([0.08, 0.1, 0.04, 0.6]), 0.35, 0.75)
    roof = colour(rng, rng.choice([0.0, 0.03, 0.6, 0.45, 0.75]), 0.7, 0.6)
    count = int(rng.choice([2, 3, 3, 4]))
    half = 1 / count * rng.uniform(0.92, 1.02)
    middle = (count - 1) / 2
    order = sorted(range(count), key=lambda k: -abs(k - middle) + 0.1 * rng.random())
    tall_middle = rng.random() < 0.7
    for place, k in enumerate(order):
        cx = (k - middle) * 2 * (0.98 - half) / (count - 1)
        cx *= 0.86 if count == 2 else 1.0
        inward = 1 - abs(k - middle) / (middle + 0.5)
        top = rng.uniform(-0.98, -0.75) + 0.42 * (1 - inward) * tall_middle
        last = place == count - 1
        w = half * (rng.uniform(1.25, 1.5) if last else rng.uniform(1.05, 1.2))
        w = min(w, 0.99 - abs(cx))
        tint = np.clip(stone * rng.uniform(0.85, 1.15), 0, 1)
        cap = str(rng.choice(CAPS[family]))
        _tower(sheet, cx, w, min(top, -0.3), cap, tint, roof)
    if count == 2 or rng.random() < 0.65:
        _curtain(sheet, stone, rng.uniform(0.42, 0.62))
    return sheet.finish()


class _Round:
    """A body of revolution: mask, angle about its axis, and height of its bulge."""

    def __init__(self, sheet: Sheet, cx: float, profile):
        p = np.asarray(profile, np.float32)
        middle = np.float32([cx, 0])
        left, right = p * (-1, 1) + middle, p + middle
        outline = np.vstack([left, right[::-1]])
        sheet = region(sheet, outline)
        self.sheet = sheet
        self.mask = sheet.polygon(outline)
        axis = sheet.y[:, 0]
        wide = np.maximum(np.interp(axis, p[:, 1], p[:, 0]), 0.01)[:, None]
        u = np.clip((sheet.x - cx) / wide, -1, 1).astype(np.float32)
        out = np.sqrt(1 - u * u)
        self.angle = np.arcsin(u)
        self.bulge = (0.55 * wide * out).astype(np.float32)
        self.shade = (0.5 + 0.5 * out)[..., None]
        # Courses sag a little at the front: we stand below and look up.
        self.y = sheet.y - 0.1 * wide * out
        self.v = (axis - p[0, 1])[:, None] / (p[-1, 1] - p[0, 1]) - 0.08 * (1 - out)


def _lay(body: _Round, paint, bump=0.0, gloss=0.15, shadow=0.5) -> None:
    paint = np.clip(np.asarray(paint) * body.shade, 0, 1).astype(np.float32)
    bump = (body.bulge + bump).astype(np.float32)
    body.sheet.lay(body.mask, paint, 0.0, bump, gloss=gloss, rim=0.5, shadow=shadow)


def _tower(sheet: Sheet, cx, w, top, cap, stone, roof) -> None:
    """Draw one tower: body with windows and cornice, then its cap."""
    rng = sheet.rng
    tall = {"cone": 1.7, "spire": 2.6, "onion": 1.75, "dome": 1.3, "minaret": 2.1}
    eave = top + min(tall.get(cap, 1.2) * w, 0.62 * (BASE - top))
    waist = 0.84 * w if cap != "lantern" else 0.66 * w
    foot = waist * rng.uniform(1.05, 1.2) if cap != "lantern" else 0.98 * w
    body = _Round(sheet, cx, [[waist, eave], [waist, eave + 0.2], [foot, BASE]])
    paint, bump = _wall(body, cap, w, stone, roof)
    _lay(body, paint, bump)
    _windows(sheet, cx, waist, eave, stone)
    draw = {"battlement": _battlement, "lantern": _lantern}.get(cap)
    if draw:
        draw(sheet, cx, w, top, eave, stone, roof)
        return
    _ring(sheet, cx, 0.95 * w, eave, 0.09 * (0.5 + w), stone)
    if cap in ("cone", "spire"):
        _cone(sheet, cx, w, top, eave, roof)
    else:
        _dome(sheet, cx, w, top, eave, cap, roof)


def _wall(body: _Round, cap, w, stone, roof):
    sheet = body.sheet
    if cap == "lantern":
        turns = sheet.rng.choice([0.0, 0.25])
        bands = np.sin(body.y * 9 + turns * 8 * body.angle)
        base = blend(np.float32([0.95, 0.93, 0.9]), roof, smoothstep(-0.1, 0.1, bands))
        return masonry(sheet, base, 0.075, body.angle * w, body.y)
    if sheet.rng.random() < 0.25:  # plaster with flutes
        flutes = np.sin(body.angle * sheet.rng.integers(7, 12))
        tone = 1 + 0.14 * flutes + 0.15 * sheet.noise(0.5)
        return stone * tone[..., None] * 1.1, 0.02 * flutes
    pitch = sheet.rng.uniform(0.075, 0.12)
    return masonry(sheet, stone, pitch, body.angle * w, body.y)


def _ring(sheet: Sheet, cx, w, y, thick, paint) -> None:
    """Lay a cornice of little corbels round a tower."""
    profile = [[0.86 * w, y - thick], [w, y - 0.5 * thick], [0.84 * w, y + thick]]
    body = _Round(sheet, cx, profile)
    teeth = smoothstep(-0.2, 0.2, np.sin(body.angle * 15)) * (body.sheet.y > y)
    tone = 1.2 - 0.75 * teeth
    _lay(body, paint * tone[..., None], 0.02 * (1 - teeth), 0.2)


def _windows(sheet: Sheet, cx, w, eave, stone) -> None:
    """Draw rows of arched windows, lit or dark, that turn with the round wall."""
    rng = sheet.rng
    space = BASE - eave
    rows = max(1, int(space / rng.uniform(0.4, 0.6)))
    across = int(rng.choice([1, 1, 2, 3])) if w > 0.2 else 1
    lit = rng.uniform(0.3, 1.0)
    glow = colour(rng, 0.11, 0.65, 1.0, 0.03)
    for row in range(rows):
        y = eave + space * (row + 0.62) / (rows + 0.35)
        for k in range(across):
            angle = (k - (across - 1) / 2) * 0.75
            x = cx + w * np.sin(angle)
            half = w * np.cos(angle) * 0.34 / (1 + 0.45 * (across - 1))
            high = min(half * rng.uniform(1.5, 2.2), 0.36 * space / rows)
            _window(
                sheet, x, y, half, high, stone, glow if rng.random() < lit else None
            )


def _window(sheet: Sheet, x, y, half, high, stone, glow) -> None:
    frame = _arch(x, y, 1.4 * half, high + 0.4 * half)
    sheet = region(sheet, frame)
    sheet.lay(sheet.polygon(frame), np.clip(stone * 1.3, 0, 1), 0.03, shadow=0.3)
    bars = np.abs(sheet.x - x) < 0.11 * half
    bars |= np.abs(((sheet.y - y) / high * 1.5) % 1 - 0.5) < 0.07
    if glow is None:
        pane = blend(
            (0.05, 0.07, 0.14), (0.3, 0.4, 0.55), 0.5 - 0.5 * (sheet.y - y) / high
        )
    else:
        near = np.exp(-(((sheet.y - y - 0.2 * high) / high) ** 2) * 1.5)
        pane = blend(glow * (0.9, 0.5, 0.3), np.clip(glow * 1.5, 0, 1), near) * 1.25
    pane = np.where(bars[..., None], pane * 0.25, pane).astype(np.float32)
    mask = sheet.polygon(_arch(x, y, half, high))
    sheet.lay(mask, pane, 0, gloss=0, rim=0.5, shadow=0)


def _arch(x, y, half, high) -> np.ndarray:
    t = np.linspace(0, np.pi, 14)
    bow = np.stack([x + half * np.cos(t), y - high + half - 1.25 * half * np.sin(t)], 1)
    return np.vstack([[x + half, y + high], bow, [x - half, y + high]])


def _cone(sheet: Sheet, cx, w, top, eave, roof) -> None:
    """Lay a tiled cone with a flared eave and a gilded finial."""
    rng = sheet.rng
    tip = top + 0.1
    flare = rng.uniform(0.0, 0.16)
    v = np.linspace(0, 1, 9)
    wide = w * (v * (1 - flare) + flare * v**4) + 0.012
    body = _Round(sheet, cx, np.stack([wide, tip + v * (eave + 0.03 - tip)], 1))
    rows = (eave - tip) / rng.uniform(0.075, 0.11)
    columns = rng.integers(3, 6) * (0.6 + w)
    tone, bump = shingles(body.angle * columns, body.v * rows)
    if rng.random() < 0.35:  # every third course in another colour
        other = colour(rng, rng.random(), 0.6, 0.7)
        band = (np.floor(body.v * rows) % 3 == 0).astype(np.float32)
        roof = blend(roof, other, band)
    tone = tone * (1.15 + 0.15 * body.sheet.noise(0.5))
    _lay(body, roof * tone[..., None], 0.03 * bump, 0.3, 0.6)
    _finial(sheet, cx, tip, w)


def _dome(sheet: Sheet, cx, w, top, eave, cap, roof) -> None:
    """Lay an onion, a dome or a minaret's cap, ribbed, twisted or scaled."""
    if cap == "minaret":
        drum = top + 0.55 * (eave - top)
        body = _Round(sheet, cx, [[0.55 * w, drum], [0.55 * w, eave]])
        dark = smoothstep(0.3, 0.6, np.cos(body.angle * 6))
        _lay(body, blend(roof * 0.4 + 0.6, (0.1, 0.07, 0.1), dark))
        _ring(sheet, cx, 0.72 * w, drum, 0.06, roof * 0.4 + 0.6)
        w, eave = 0.72 * w, drum
    tip = top + 0.12
    wide = [0.012, 0.06, 0.3, 0.8, 1.0, 0.93, 0.7]
    if cap == "dome":
        wide = [0.012, 0.35, 0.68, 0.86, 0.95, 1.0, 0.98]
    v = np.linspace(0, 1, len(wide))
    line = curve(np.stack([np.asarray(wide) * w, tip + v * (eave - tip)], 1), 24)
    line[:, 0] = np.maximum(line[:, 0], 0.01)
    body = _Round(sheet, cx, line)
    paint, bump = _glaze(body, w, (eave - tip) / 0.1, roof)
    _lay(body, paint, bump, 0.6, 0.6)
    _finial(sheet, cx, tip, w)


def _glaze(body: _Round, w, rows, roof):
    """Return `(paint, bump)` of a dome: gores straight or twisted, or scales."""
    sheet = body.sheet
    rng = sheet.rng
    gold = rng.random() < 0.3
    one = colour(rng, 0.12, 0.75, 0.85, 0.02) if gold else np.clip(roof * 1.15, 0, 1)
    two = colour(rng, rng.random(), 0.5, 0.85)
    twist = rng.choice([0.0, 1.6, -1.6, 2.4])
    gores = np.sin((body.angle + twist * body.v) * rng.integers(5, 8))
    if rng.random() < 0.4:
        tone, bump = shingles(body.angle * 5 * (0.6 + w), body.v * rows)
        return blend(one * 0.7, one * 1.3, tone), 0.03 * bump
    paint = blend(one, one * 0.75 if gold else two, smoothstep(-0.15, 0.15, gores))
    fine = 1 + 0.12 * np.sin(body.v * rows * 9) + 0.12 * sheet.noise(0.4)
    return paint * fine[..., None], 0.05 * w * np.abs(gores)


def _finial(sheet: Sheet, cx, tip, w) -> None:
    gold = colour(sheet.rng, 0.13, 0.7, 0.9, 0.02)
    rod = sheet.stroke([[cx, tip - 0.11], [cx, tip + 0.03]], [0.014, 0.022])
    sheet.lay(rod, gold, 0.03, gloss=0.8, shadow=0)
    ball = 0.035 + 0.03 * w
    sheet.lay(sheet.ellipse(cx, tip, ball, ball), gold, 0.06, gloss=0.9, shadow=0.2)


def _battlement(sheet: Sheet, cx, w, top, eave, stone, _roof) -> None:
    """Lay a wider crown on corbels, notched along its top."""
    high = min(0.55, eave - top)
    crown, lip = eave - 0.62 * high, 0.84 * w
    profile = [
        [w, crown - 0.3 * high],
        [w, eave - 0.1 * high],
        [lip, eave + 0.1 * high],
    ]
    body = _Round(sheet, cx, profile)
    sheet = body.sheet
    teeth = int(sheet.rng.integers(2, 4)) * 2 + 1
    gap = np.cos(body.angle * teeth) < 0
    body.mask = body.mask * ~(gap & (sheet.y < crown))
    paint, bump = masonry(sheet, stone, 0.095, body.angle * w, body.y)
    arch = smoothstep(0, 0.25, np.sin(body.angle * teeth * 1.6)) * (
        sheet.y > eave - 0.2 * high
    )
    paint = paint * (1.1 - 0.7 * arch)[..., None]
    _lay(body, paint, bump - 0.02 * arch, 0.1, 0.6)


def _lantern(sheet: Sheet, cx, w, top, eave, stone, roof) -> None:
    """Lay a lighthouse's gallery, glowing lantern room and cap."""
    high = eave - top
    room = _Round(sheet, cx, [[0.52 * w, top + 0.42 * high], [0.52 * w, eave]])
    glow = np.exp(-((room.angle / 0.8) ** 2))
    bars = np.abs(np.sin(room.angle * 4)) < 0.22
    lamp = blend((0.95, 0.6, 0.15), (1.0, 1.0, 0.85), glow) * 1.4
    lamp = np.where(bars[..., None], 0.15, lamp).astype(np.float32)
    room.sheet.lay(room.mask, np.clip(lamp, 0, 1), 0, gloss=0.3, rim=0.2, shadow=0.3)
    _ring(sheet, cx, 0.95 * w, eave, 0.09, roof)
    _dome(sheet, cx, 0.72 * w, top, top + 0.55 * high, "dome", roof)


def _curtain(sheet: Sheet, stone, top) -> None:
    """Lay a battlemented wall with a gate in front of the towers' feet."""
    rng = sheet.rng
    wall = region(sheet, [[-0.97, top], [0.97, BASE]])
    notch = 0.08 * (np.sin(wall.x * rng.uniform(18, 24)) > 0)
    mask = ((wall.y > top + notch) & (wall.y < BASE) & (np.abs(wall.x) < 0.97)) * 1.0
    paint, bump = masonry(wall, np.clip(stone * 0.9, 0, 1), rng.uniform(0.08, 0.11))
    paint = paint * (1.1 - 0.35 * smoothstep(top, BASE, wall.y))[..., None]
    wall.lay(mask.astype(np.float32), paint, 0.05, bump, gloss=0.08, shadow=0.6)
    x, half = rng.uniform(-0.4, 0.4), rng.uniform(0.13, 0.19)
    high = (BASE - top) / 2 - 0.06
    _window(sheet, x, BASE - high, half, high, stone, colour(rng, 0.09, 0.7, 0.9))
