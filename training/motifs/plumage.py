"""Feathers: plumage in rows, like a pheasant's breast, and fans of great quills."""

from __future__ import annotations

import cv2
import numpy as np

from .brush import Sheet, blend, colour, smoothstep

# Coats that birds wear: base, mark, edge and sheen, each hue, saturation, value.
COATS = (
    ((0.07, 0.75, 0.6), (0.05, 0.6, 0.12), (0.12, 0.55, 0.9), (0.4, 0.6, 0.6)),
    ((0.37, 0.8, 0.55), (0.6, 0.85, 0.35), (0.14, 0.8, 0.9), (0.5, 0.8, 0.8)),
    ((0.0, 0.85, 0.75), (0.13, 0.85, 0.95), (0.6, 0.8, 0.7), (0.05, 0.6, 0.9)),
    ((0.6, 0.8, 0.65), (0.65, 0.8, 0.2), (0.5, 0.6, 0.9), (0.45, 0.8, 0.9)),
    ((0.09, 0.35, 0.75), (0.07, 0.55, 0.22), (0.1, 0.12, 0.95), (0.1, 0.3, 0.9)),
    ((0.08, 0.1, 0.85), (0.65, 0.25, 0.15), (0.6, 0.1, 0.97), (0.6, 0.3, 0.9)),
    ((0.48, 0.85, 0.5), (0.1, 0.7, 0.6), (0.66, 0.9, 0.3), (0.3, 0.8, 0.8)),
    ((0.8, 0.6, 0.45), (0.56, 0.8, 0.75), (0.1, 0.7, 0.85), (0.9, 0.6, 0.9)),
)


def feathers(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw feathers: plumage in overlapping rows, or a few great quills."""
    sheet = Sheet(rng, size)
    coat = COATS[rng.integers(len(COATS))]
    coat = [colour(rng, *tone, spread=0.04) for tone in coat]
    if rng.random() < 0.7:
        _plumage(sheet, coat)
    else:
        _quills(sheet, coat)
    return sheet.finish()


def _hash(i, j) -> np.ndarray:
    """Return a number in 0-1 for every feather, from its row and its place in it."""
    return _another(np.sin(i * 12.9898 + j * 78.233), 43758.5)


def _another(number, factor: float) -> np.ndarray:
    """Return another number in 0-1 for a number: sines are slow."""
    v = number * factor
    return v - np.floor(v)


def _style(rng, great: bool) -> dict:
    """Return what the feathers of one bird share: shape, barbs and pattern."""
    return {
        "tip": rng.uniform(0.5, 0.95),  # pointed to round
        "slant": rng.uniform(0.8, 1.5),
        "barbs": rng.uniform(26, 38) if great else rng.uniform(11, 16),
        "pattern": rng.choice(["bars", "eye", "edge", "vee", "spots", "core"]),
        "bars": rng.uniform(3.5, 6) if great else rng.uniform(1.5, 3),
        "edge": rng.uniform(0.1, 0.22),
        "root": -0.1 if great else -0.35,  # where it would begin, were it whole
        "fluff": rng.uniform(0.2, 0.8),
        "phase": rng.random(),
    }


def _outline(s, style) -> np.ndarray:
    """Return half the width of a feather, 0-1, at `s` from base 0 to tip 1."""
    s = np.clip(s, 0, 1)
    base = smoothstep(style["root"], 0.45, s)
    tip = np.maximum(0, 1 - np.maximum(0, (s - 0.45) / 0.55) ** 2.2) ** style["tip"]
    return base * tip


def _vane(s, t, style, coat, tone, noise):
    """Return paint, height and barbs of feathers.

    Args:
        s: 0 at the base, 1 at the tip.
        t: -1 and 1 at the sides.
        style: See `_style`.
        coat: Four colours.
        tone: A number in 0-1 for each feather.
        noise: A field that makes barbs stray.
    """
    base, mark, edge, sheen = coat
    a = np.abs(t)
    # Barbs leave the shaft towards the tip and bend outwards.
    along = s - 0.3 * style["slant"] * a**0.85
    barb = np.sin(2 * np.pi * style["barbs"] * along + 0.9 * noise + 6 * tone)
    fine = np.sin(4.7 * np.pi * style["barbs"] * along + 2 * noise)
    paint = blend(base * 0.75, base * 1.15, smoothstep(0.1, 0.9, s))
    paint = blend(paint, mark, _pattern(s, t, along, style, noise))
    rim = np.maximum(a, smoothstep(0.5, 1.02, s))
    if style["pattern"] in ("edge", "eye", "vee"):
        paint = blend(
            paint, edge, smoothstep(1 - style["edge"], 1.0, rim + 0.05 * barb)
        )
    if style["pattern"] == "eye":
        paint = _ocellus(paint, s, t, coat, barb)
    glow = smoothstep(0.25, 0.8, s) * (0.5 + 0.5 * np.sin(3 * t + 6.3 * tone))
    paint = blend(paint, sheen, 0.35 * glow)
    down = style["fluff"] * smoothstep(0.45, 0.1, s)  # grey down at the base
    paint = blend(paint, (0.62, 0.58, 0.54), 0.5 * down)
    ripple = 1 + 0.27 * barb + 0.12 * fine
    paint = paint * (ripple * (0.8 + 0.4 * tone))[..., None]
    shaft = smoothstep(0.085, 0.03, a) * smoothstep(0.95, 0.7, s)
    paint = blend(paint, blend(edge, (0.95, 0.9, 0.78), 0.5), 0.75 * shaft)
    return paint, shaft, barb + 0.4 * fine


def _pattern(s, t, along, style, noise) -> np.ndarray:
    """Return where the marking is, 0-1."""
    kind, a = style["pattern"], np.abs(t)
    if kind == "bars":
        wave = np.sin(2 * np.pi * style["bars"] * (along + style["phase"]) + noise)
        return smoothstep(-0.1, 0.25, wave)
    if kind == "vee":
        wave = np.sin(2 * np.pi * (style["bars"] * s - 0.6 * a + style["phase"]))
        return smoothstep(0.0, 0.3, wave) * smoothstep(0.2, 0.5, s)
    if kind == "spots":
        gap = 1.6 / style["bars"]
        near = np.hypot((s / gap) % 1 - 0.5, (a - 0.5) * 1.3)
        return 1 - smoothstep(0.22, 0.34, near + 0.04 * noise)
    if kind == "core":
        return smoothstep(0.6, 0.35, a + 0.7 * np.maximum(0, s - 0.6) + 0.08 * noise)
    if kind == "edge":
        dark = np.maximum(a, smoothstep(0.4, 1.0, s))
        return 0.9 * smoothstep(0.55, 0.75, dark)
    return 0.5 * smoothstep(0.3, 0.9, a)


def _ocellus(paint, s, t, coat, barb) -> np.ndarray:
    """Lay an eye of rings near the tips."""
    r = np.hypot((s - 0.7) * 2.6, t * 0.9) + 0.03 * barb
    for reach, tone in (
        (0.66, coat[1]),
        (0.52, coat[2]),
        (0.38, coat[3]),
        (0.22, coat[1] * 0.5),
    ):
        paint = blend(paint, tone, smoothstep(reach, reach - 0.08, r))
    return paint


# Plumage ---------------------------------------------------------------------


def _rows(sheet: Sheet, pitch: float):
    """Return for every pixel its place along and across the rows, and the way back."""
    rng = sheet.rng
    bend = 0.1 * sheet.noise(1.0), 0.1 * sheet.noise(1.0)
    x, y = sheet.x + bend[0], sheet.y + bend[1]
    if rng.random() < 0.6:  # straight rows, arched a little
        arch = rng.uniform(-0.5, 0.5)
        u, v = x / pitch, (y + arch * x * x) / pitch

        def home(cu, cv):
            return cu * pitch, cv * pitch - arch * (cu * pitch) ** 2

        return u, v, home
    # Rings about a point above, wider further down: a breast or a crest.
    high = rng.uniform(0.9, 1.6)
    dx, dy = x, y + high
    r, theta = np.hypot(dx, dy) + 1e-3, np.arctan2(dx, dy)
    count = 1 / (pitch * rng.uniform(0.8, 1.0) / high)
    u, v = theta * count, np.log(r / high) * count

    def home(cu, cv):
        r = high * np.exp(cv / count)
        return r * np.sin(cu / count), r * np.cos(cu / count) - high

    return u, v, home


def _plumage(sheet: Sheet, coat) -> None:
    """Lay rows of feathers, each row over the roots of the next one down."""
    rng = sheet.rng
    style = _style(rng, False)
    pitch = rng.uniform(0.34, 0.56)
    u, v, home = _rows(sheet, pitch)
    tall = rng.uniform(0.6, 0.9)  # from row to row, in widths
    v = v / tall
    length = rng.uniform(2.2, 2.8)  # in rows
    top = np.full(u.shape, -1.0, np.float32)
    s, t, tone = (np.zeros_like(u) for _ in range(3))
    for back in (0, 1, 2):  # upper rows come last: they lie on top
        row = np.floor(v) - back
        for shift in (0, 1):
            _lay_row(u, v, row, shift, length, style, home, tall, (top, s, t, tone))
    mask = (top >= 0).astype(np.float32)
    noise = sheet.noise(0.4)
    paint, shaft, barb = _vane(s, t, style, coat, tone, noise)
    # The root is in the shadow of the feathers above; a tip stands off.
    cover = 1 - 1.1 / length
    paint = paint * (0.35 + 0.65 * smoothstep(cover - 0.55, cover - 0.05, s))[..., None]
    dome = 1 - t * t
    height = 0.3 * pitch * (0.5 * dome + 0.5 * s) + 0.02 * pitch * shaft
    height = height + 0.022 * pitch * barb
    height = cv2.GaussianBlur(height.astype(np.float32), (0, 0), 0.8)
    depth = np.clip(s, 0, 1) * mask
    cast = np.maximum(0, cv2.GaussianBlur(depth, (0, 0), 0.05 * sheet.n) - depth)
    paint = paint * (1 - 0.6 * np.clip(2 * cast, 0, 1))[..., None]
    edge = smoothstep(0.85, 1.0, np.abs(t)) + smoothstep(0.95, 1.0, s)
    paint = paint * (1 - 0.35 * np.clip(edge, 0, 1))[..., None]
    mask = cv2.GaussianBlur(mask, (0, 0), 0.7)
    sheet.lay(mask, np.clip(paint, 0, 1), 0.12, height, gloss=0.2, rim=0.3)


def _lay_row(u, v, row, shift, length, style, home, tall, found) -> None:
    """Put the feathers of a row, every other one of them, over what was found."""
    top, s, t, tone = found
    half = 0.5 * (row % 2)
    column = np.round((u - half - shift) / 2) * 2 + shift + half
    chance = _hash(row, column)
    sway = 0.16 * (chance - 0.5)
    here = (v - row) / (length * (0.93 + 0.14 * _another(chance, 37.7)))
    wide = 0.72 * _outline(here, style)
    side = (u - column - sway * here) / np.maximum(wide, 1e-3)
    # The ends of the barbs fray, and here and there the vane parts.
    reach = np.abs(side)
    along = here - 0.3 * style["slant"] * reach**0.85
    fray = np.abs((along * style["barbs"] + 0.95 * 6 * chance) % 1 - 0.5)
    part = np.abs(along - 0.2 - 0.35 * chance) < 0.03 * (reach - 0.3)
    on = (reach < 1 - 0.3 * fray * smoothstep(0.3, 0.9, here)) & (here > 0) & (here < 1)
    on &= ~(part & (chance > 0.55) & ((chance > 0.78) == (side > 0)))
    x, y = home(column, (row + 1.2) * tall)
    end = home(column, (row + 0.95 * length) * tall)
    on &= (np.hypot(x, y) < 0.9) & (np.maximum(*np.abs(end)) < 1.1)
    for field, value in ((top, 1.0), (s, here), (t, side)):
        np.copyto(field, value, where=on, casting="unsafe")
    np.copyto(tone, _another(chance, 91.3), where=on, casting="unsafe")


# Quills ----------------------------------------------------------------------


def _quills(sheet: Sheet, coat) -> None:
    """Lay one to five great quills, fanned out from a point below."""
    rng = sheet.rng
    style = _style(rng, True)
    count = int(rng.choice([1, 2, 3, 3, 5]))
    spread = {1: 0.0, 2: 0.3, 3: 0.42, 5: 0.36}[count]
    wide = {1: 0.8, 2: 0.6, 3: 0.48, 5: 0.36}[count] * rng.uniform(0.9, 1.1)
    order = np.argsort(-np.abs(np.arange(count) - (count - 1) / 2), kind="stable")
    bow = rng.normal(0, 0.16)
    for k in order:
        lean = (k - (count - 1) / 2) * spread + rng.normal(0, 0.04)
        _quill(sheet, style, coat, lean, wide, bow + 0.1 * lean)


def _quill(sheet: Sheet, style, coat, lean: float, wide: float, bow: float) -> None:
    """Lay one quill; only its own box of the sheet is worked out."""
    rng = sheet.rng
    c, s = np.cos(lean), np.sin(lean)
    along = (s * sheet.x - c * (sheet.y - 0.95)) / 1.9
    across = c * sheet.x + s * (sheet.y - 0.95)
    across = across - bow * np.sin(np.pi * np.clip(along, 0, 1)) * 1.2
    near = (along > -0.02) & (along < 1.02) & (np.abs(across) < wide)
    rows, columns = np.flatnonzero(near.any(1)), np.flatnonzero(near.any(0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    whole, paint = np.zeros_like(along), np.zeros((*along.shape, 3), np.float32)
    height = np.zeros_like(along)
    along, across = along[box], across[box]
    found = _blade(sheet, along, across, style, coat, wide, sheet.noise(0.5)[box])
    whole[box], paint[box], height[box] = found
    sheet.lay(whole, paint, 0.05, height, gloss=0.25, rim=0.4)
    width = 0.028 * (1 - 0.75 * np.clip(along, 0, 1)) * (0.6 + wide)
    shaft = smoothstep(1.0, 0.6, np.abs(across) / width)
    shaft = shaft * smoothstep(0.0, 0.02, along) * smoothstep(0.97, 0.93, along)
    whole[box] = shaft
    ivory = blend(coat[2], (0.95, 0.9, 0.78), rng.uniform(0.4, 0.8))
    sheet.lay(whole, ivory, 0.02, gloss=0.6, rim=0.3, shadow=0.25)


def _blade(sheet: Sheet, along, across, style, coat, wide: float, noise):
    """Return the mask, the paint and the height of a quill's vane, frayed and split."""
    rng = sheet.rng
    vane = (along - 0.14) / 0.86  # below it the quill is bare
    skew = rng.uniform(0.8, 1.0) if rng.random() < 0.5 else 1.0
    across = np.where(across > 0, across / skew, across)
    t = across / (wide * np.maximum(_outline(vane, style), 1e-3))
    run = vane - 0.3 * style["slant"] * np.abs(t) ** 0.85
    barb = np.sin(2 * np.pi * style["barbs"] * run + 0.9 * noise)
    ragged = 1 - 0.05 * (1 + barb) - 0.06 * (1 + noise)
    mask = smoothstep(0.0, 0.06, ragged - np.abs(t)) * smoothstep(0, 0.02, vane)
    mask = mask * smoothstep(1.0, 0.97, vane)
    for _ in range(int(rng.integers(1, 5))):  # splits, wider outwards
        at, side = rng.uniform(0.0, 0.6), rng.choice([-1, 1])
        gap = 0.035 * np.maximum(0, np.abs(t) - 0.25) * (np.sign(t) == side)
        mask = mask * smoothstep(0.0, 0.008, np.abs(run - at) - gap + 0.008)
    tone = np.full_like(t, rng.random())
    t = np.clip(t, -1.2, 1.2)
    paint, _, barb = _vane(vane, t, style, coat, tone, noise)
    height = 0.1 * wide * (1 - t * t) + 0.01 * barb
    return mask, np.clip(paint, 0, 1), height
