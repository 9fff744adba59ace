"""What heads wear: fur that follows a direction field, coats, lidded eyes, feathers."""

from __future__ import annotations

import cv2
import numpy as np

from .brush import Sheet, blend, colour, curve, smoothstep, turned

INK = (0.05, 0.03, 0.03)


def mirrored(half, rng, amount: float = 0.015) -> np.ndarray:
    """Return the closed outline whose right half goes from the top down."""
    half = np.asarray(half, np.float32)
    half = half + rng.normal(0, amount, half.shape)
    half[[0, -1], 0] = 0
    whole = np.vstack([half, half[-2:0:-1] * (-1, 1), half[:1]])
    return curve(whole, 60)


def hill(sheet: Sheet, cx, cy, rx, ry, angle: float = 0.0) -> np.ndarray:
    """Return a Gaussian hill of height 1."""
    dx, dy = sheet.x - cx, sheet.y - cy
    c, s = float(np.cos(angle)), float(np.sin(angle))  # arrays stay float32
    return np.exp(-(((dx * c + dy * s) / rx) ** 2) - ((dy * c - dx * s) / ry) ** 2)


def _box(mask, margin: int = 0):
    """Return the slices of the mask's box, or None where it is empty."""
    rows, columns = np.flatnonzero(mask.max(1) > 0), np.flatnonzero(mask.max(0) > 0)
    if not rows.size:
        return None
    low, left = max(0, rows[0] - margin), max(0, columns[0] - margin)
    return slice(low, rows[-1] + margin + 1), slice(left, columns[-1] + margin + 1)


class Fur:
    """Strands along a direction field, for paint, relief and ragged edges."""

    def __init__(self, sheet: Sheet, ux, uy, length: float = 0.2, wave: float = 0.5):
        self.sheet = sheet
        n = sheet.n
        self.gx, self.gy = np.meshgrid(*[np.arange(n, dtype=np.float32)] * 2)
        norm = np.hypot(ux, uy) + 1e-3
        turn = wave * sheet.noise(0.9)
        c, s = np.cos(turn), np.sin(turn)
        self.ux = ((ux * c - uy * s) / norm).astype(np.float32)
        self.uy = ((ux * s + uy * c) / norm).astype(np.float32)
        self.length = length
        self.strands = self._drawn_out(0.0045, length)
        self.locks = self._drawn_out(0.016, 1.6 * length)

    def _sample(self, field, reach, whole: bool = True) -> np.ndarray:
        """Return the field as it is `reach` pixels upstream."""
        field = np.ascontiguousarray(field, np.float32)
        x, y = self.gx - self.ux * reach, self.gy - self.uy * reach
        # Masks end at the sheet's edge; pictures must not darken there.
        edge = cv2.BORDER_REFLECT if whole else cv2.BORDER_CONSTANT
        return cv2.remap(field, x, y, cv2.INTER_LINEAR, None, edge)

    def _drawn_out(self, grain: float, length: float) -> np.ndarray:
        n = self.sheet.n
        field = self.sheet.rng.standard_normal((n, n)).astype(np.float32)
        field = cv2.GaussianBlur(field, (0, 0), max(0.7, grain * n))
        # Each pass doubles the length over which the grain is smeared.
        for k in range(5):
            field = 0.5 * (field + self._sample(field, length * n / 2 / 2 ** (5 - k)))
        return np.clip(field / (2 * field.std()), -1, 1)

    def ragged(self, field, amount: float = 0.5) -> np.ndarray:
        """Return a mask or a pattern whose edges are drawn out into tufts."""
        reach = amount * self.length * (0.7 * self.locks + 0.6 * self.strands)
        return self._sample(field, reach * self.sheet.n / 2, field.ndim == 3)

    def dress(self, paint, streak: float = 0.4):
        """Return `(paint, bump)`: a colour or a picture, covered in strands."""
        return self._dressed(np.asarray(paint, np.float32), streak, ...)

    def cover(self, mask, paint, puff: float, streak: float = 0.3, **how) -> None:
        """Lay a part in fur, dressed in its own box alone, which is faster."""
        sheet = self.sheet
        box = _box(mask, 6)
        if box is None:
            return
        paint = np.broadcast_to(np.asarray(paint, np.float32), sheet.rgb.shape)
        skin, bump = np.zeros_like(sheet.rgb), np.zeros_like(sheet.alpha)
        skin[box], bump[box] = self._dressed(paint[box], streak, box)
        sheet.lay(mask, skin, puff, bump, **{"gloss": 0.1, **how})

    def _dressed(self, paint, streak: float, box):
        strands, locks = self.strands[box], self.locks[box]
        tone = 1 + streak * strands + 0.5 * streak * locks
        warm = np.array([0.1, 0.097, 0.09], np.float32)  # light hairs are warmer
        shine = np.maximum(strands, 0) * np.sqrt(np.maximum(paint[..., 1], 0))
        lit = paint * tone[..., None] + shine[..., None] * warm
        return np.clip(lit, 0, 1), 0.012 * strands + 0.022 * locks


def dog_coat(sheet: Sheet, fur: Fur, muzzle, blaze, crown) -> np.ndarray:
    """Return the paint of a dog's coat; the arguments are fields in [0, 1]."""
    rng = sheet.rng
    hue = rng.uniform(0.05, 0.1)
    base = colour(rng, hue, rng.uniform(0.3, 0.65), rng.uniform(0.45, 0.85))
    dark = colour(rng, hue, 0.3, 0.17)
    pale = colour(rng, 0.1, 0.12, 0.93)
    cloud = sheet.noise(0.8)
    kind = rng.integers(7)
    if kind == 0:  # shepherd: a dark mask
        t = np.maximum(muzzle, 0.7 * crown) + 0.25 * cloud
        paint = blend(base, dark, smoothstep(0.35, 0.75, t))
    elif kind == 1:  # collie: dark, with a blaze and a white muzzle
        paint = blend(rng.choice([base, dark]), pale, smoothstep(0.4, 0.6, blaze))
    elif kind == 2:  # black and tan
        paint = blend(dark * 1.2, base, smoothstep(0.4, 0.65, muzzle + 0.2 * cloud))
    elif kind == 3:  # husky: a pale face under a dark crown
        t = crown + 0.35 * cloud - 0.3 * muzzle
        paint = blend(pale, blend(base, dark, 0.6), smoothstep(0.3, 0.55, t))
    elif kind == 4:  # spots
        spots = smoothstep(0.12, 0.25, sheet.noise(0.95, 0.45))
        paint = blend(pale, rng.choice([dark, base]), spots)
    elif kind == 5:  # merle
        grey = colour(rng, 0.6, 0.12, 0.62)
        paint = blend(grey, dark, smoothstep(0.05, 0.2, sheet.noise(0.6)))
        paint = blend(paint, pale, smoothstep(0.45, 0.6, blaze))
    else:
        paint = blend(base, pale, 0.7 * smoothstep(0.3, 0.9, muzzle))
        paint = blend(paint, base * 0.6, 0.6 * crown)
    paint = np.broadcast_to(paint, (*sheet.x.shape, 3))
    return fur.ragged(paint, 0.6)


def cat_coat(sheet: Sheet, fur: Fur, muzzle, blaze, phase) -> np.ndarray:
    """Return the paint of a cat's coat; `phase` runs across its tabby stripes."""
    rng = sheet.rng
    hue = rng.uniform(0.05, 0.11)
    base = colour(rng, hue, rng.uniform(0.2, 0.7), rng.uniform(0.5, 0.85))
    dark = colour(rng, hue, 0.4, 0.14)
    pale = colour(rng, 0.1, 0.1, 0.94)
    kind = rng.random()
    if kind < 0.5:  # tabby
        stripes = np.sin(phase + 2.2 * sheet.noise(0.85)) + 0.4 * sheet.noise(0.6)
        t = smoothstep(0.05, 0.55, stripes) * (1 - 0.8 * muzzle)
        paint = blend(base, base * 0.25 if rng.random() < 0.6 else dark, 0.9 * t)
        paint = blend(paint, pale, smoothstep(0.45, 0.8, muzzle))
    elif kind < 0.7:  # calico
        paint = blend(pale, base, smoothstep(0.0, 0.1, sheet.noise(0.95)))
        patch = smoothstep(0.12, 0.22, sheet.noise(0.95))
        paint = blend(paint, dark, patch)
    elif kind < 0.82:  # tuxedo
        paint = blend(dark * 1.3, pale, smoothstep(0.4, 0.6, blaze))
    elif kind < 0.92:  # colourpoint: a dark mask on cream
        cream = blend(pale, base, 0.3)
        paint = blend(cream, dark * 1.5, smoothstep(0.15, 0.8, muzzle))
    else:
        paint = blend(base, pale, 0.6 * muzzle)
    paint = np.broadcast_to(paint, (*sheet.x.shape, 3))
    return fur.ragged(paint, 0.5)


def stain(sheet: Sheet, mask, paint) -> None:
    """Colour what is there already, as `Sheet.tint`, but in the mask's box alone."""
    box = _box(mask)
    if box is None:
        return
    a = (mask[box] * sheet.alpha[box])[..., None]
    sheet.rgb[box] = sheet.rgb[box] * (1 - a) + np.asarray(paint, np.float32) * a


def orb(sheet: Sheet, at, radius: float, pair, keep, slit: bool = False) -> None:
    """Draw an eyeball inside the mask `keep`: fibres, pupil, shade, catch lights.

    It works in its own small box, for it is in every head, mostly twice.
    """
    rng = sheet.rng
    cx, cy = at
    low = [int((v - radius * 1.1 + 1) * sheet.n / 2) for v in (cy, cx)]
    side = int(radius * 1.1 * sheet.n) + 2
    box = tuple(slice(max(0, v), v + side) for v in low)
    dx, dy = (sheet.x[box] - cx) / radius, (sheet.y[box] - cy) / radius
    r, theta = np.hypot(dx, dy), np.arctan2(dy, dx)
    inner, outer, opening = pair
    wobble = sheet.noise(0.5)[box]
    fibres = np.sin(theta * rng.integers(18, 32) + 3 * wobble + 2 * r)
    ring = np.exp(-(((r - opening - 0.12) / 0.1) ** 2))
    paint = blend(inner, outer, smoothstep(0.35, 0.95, r)) * (1 + 0.3 * ring)[..., None]
    paint = paint * (1 + 0.35 * fibres * smoothstep(0.2, 0.6, r))[..., None]
    # A ball: dark towards its rim, brighter where the light comes through it.
    glow = 0.9 - 0.45 * (dx * sheet.light[0] + dy * sheet.light[1])
    paint = paint * (glow * (1 - 0.8 * smoothstep(0.75, 1.02, r)))[..., None]
    pupil = np.hypot(dx / (0.36 if slit else 1), dy / (1.5 if slit else 1)) / opening
    paint = paint * smoothstep(0.92, 1.08, pupil)[..., None]
    lamp = np.hypot(dx + 0.32, (dy + 0.36) * 1.2)
    sky = 0.35 * smoothstep(0.6, 0.1, np.hypot(dx - 0.25, dy - 0.4))
    shine = np.maximum(smoothstep(0.26, 0.18, lamp), sky * smoothstep(0.5, 0.6, r))
    paint = np.clip(blend(paint, (1, 1, 1), shine), 0, 1)
    sheet.rgb[box] = blend(sheet.rgb[box], paint, keep[box])


def lidded(sheet: Sheet, at, radius, pair, tilt, opened=(0.8, 0.7), slit=False) -> None:
    """Draw an eye between dark lids; `opened` is how far, up and down, in radii."""
    cx, cy = at
    t = np.linspace(-1, 1, 18)
    arch = (1 - t**2) ** 0.75
    upper = np.stack([1.25 * t, -opened[0] * arch], 1)
    lower = np.stack([1.25 * t, opened[1] * arch], 1)[::-1]
    almond = np.vstack([upper, lower]) * radius
    rim = sheet.polygon(turned(almond * 1.22, tilt, cx, cy))
    sheet.lay(rim, (0.07, 0.05, 0.045), 0.06, gloss=0.4, rim=0.1, shadow=0.5)
    keep = sheet.polygon(turned(almond, tilt, cx, cy))
    shade = 1 - 0.45 * smoothstep(-0.2, -opened[0], (sheet.y - cy) / radius)
    orb(sheet, at, 1.02 * radius, pair, keep, slit)
    stain(sheet, keep * (1 - shade) * 0.9, INK)
    at = cx - 0.3 * radius, cy - 0.35 * radius
    stain(sheet, keep * sheet.ellipse(*at, 0.2 * radius, 0.17 * radius), (1, 1, 1))


def dots(sheet: Sheet, points, radius: float) -> None:
    """Draw the dark dots that whiskers grow from."""
    mask = np.zeros_like(sheet.alpha)
    for x, y in points:
        np.maximum(mask, sheet.ellipse(x, y, radius, radius), out=mask)
    stain(sheet, 0.8 * mask, (0.05, 0.03, 0.03))


def whiskers(sheet: Sheet, roots, length: float, paint=(0.96, 0.96, 0.93)) -> None:
    """Draw a fan of whiskers; each root is (x, y, angle)."""
    rng = sheet.rng
    mask = np.zeros_like(sheet.alpha)  # one mask: laying each would cost much more
    for x, y, angle in roots:
        far = length * rng.uniform(0.8, 1.1)
        line = np.array([[0, 0], [0.5 * far, -0.03], [far, 0.03]])
        line = turned(line, angle, x, y)
        mask = np.maximum(mask, sheet.stroke(line, [0.012, 0.01, 0.004]))
    sheet.lay(mask, paint, 0, rim=0, shadow=0.2)


def plumage(sheet: Sheet, along, across, pitch: float, base, mark, kind: int):
    """Return `(paint, bump)` of overlapping feathers: barred, streaked or spotted."""
    rng = sheet.rng
    along = along + 0.35 * pitch * sheet.noise(0.8)
    across = across + 0.35 * pitch * sheet.noise(0.85)
    row = np.floor(along / pitch)
    cell = across / (0.9 * pitch) + 0.5 * (row % 2)
    u = cell - np.floor(cell) - 0.5
    # A feather's tip is round, so its rim falls back towards its sides.
    # The barbs fray it: without that, feathers look like scales.
    fray = 0.04 * np.sin(30 * u + 5 * sheet.noise(0.5)) + 0.07 * sheet.noise(0.3)
    v = (along / pitch - row + 1.3 * u**2 + fray) % 1.0
    barbs = np.sin(38 * np.abs(u) + 16 * v)
    if kind == 0:
        t = smoothstep(-0.1, 0.5, np.sin(v * 2 * np.pi * 1.5 + 2.5 * u**2 - 1))
    elif kind == 1:
        t = smoothstep(0.16, 0.06, np.abs(u) * (0.6 + v))
    elif kind == 2:
        t = smoothstep(0.3, 0.18, np.hypot(u, 0.8 * (v - 0.6)))
    else:
        t = smoothstep(0.2, 0.5, sheet.noise(0.6)) * 0.7
    rim = smoothstep(0.72, 0.98, v)
    pale = smoothstep(0.6, 0.8, v) * (1 - rim)
    shaft = smoothstep(0.07, 0.02, np.abs(u))
    tone = 1 + 0.16 * barbs + 0.3 * pale - 0.42 * rim + 0.2 * shaft
    # Each feather has a tone of its own, from its row and its place in the row.
    own = np.sin(12.9898 * row + 78.233 * np.floor(cell)) * 437.58
    tone = tone * (0.8 + 0.4 * (own - np.floor(own))) * (1 + 0.2 * sheet.noise(0.5))
    paint = blend(base, mark, t * rng.uniform(0.75, 1.0)) * tone[..., None]
    return np.clip(paint, 0, 1), -0.2 * pitch * rim + 0.03 * pitch * barbs


def pricked(sheet: Sheet, fur: Fur, paint, folded=False, base=(0.1, 0.6)) -> None:
    """Lay pricked ears with hair inside; folded ones have tips that hang forward."""
    rng = sheet.rng
    tip = rng.uniform(0.9, 0.98)
    inner, outer = base
    peak = base[1] - rng.uniform(0.08, 0.22)
    pink = blend(colour(rng, 0.02, 0.4, 0.6), paint, 0.25)
    for side in (-1, 1):
        ear = [[inner, -0.6], [peak - 0.16, -tip + 0.13], [peak, -tip]]
        ear += [[peak + 0.01, -tip], [peak + 0.11, -tip + 0.22], [outer, -0.25]]
        ear = curve(ear, 24)
        whole = fur.ragged(sheet.polygon(ear * (side, 1)), 0.15)
        fur.cover(whole, paint, 0.14, 0.4)
        middle = ear.mean(0)
        hollow = sheet.polygon(
            ((ear - middle) * 0.66 + middle + np.array([0, 0.03])) * (side, 1)
        )
        fur.cover(fur.ragged(hollow, 0.3), pink, 0, 0.5, rim=0.6, shadow=0)
        if folded:
            flap = [[peak - 0.2, -0.84], [peak, -0.9], [peak + 0.2, -0.8]]
            flap = curve([*flap, [peak + 0.06, -0.5], [peak - 0.2, -0.84]], 20)
            cover = fur.ragged(sheet.polygon(flap * (side, 1)), 0.25)
            fur.cover(cover, paint, 0.1, 0.4, shadow=0.5)
