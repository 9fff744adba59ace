"""Mandalas, honeycomb and fur."""

from __future__ import annotations

import cv2
import numpy as np

from .brush import Sheet, blend, colour, smoothstep, turned


def mandala(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a mandala: rings of petals, beads and rays with one symmetry."""
    sheet = Sheet(rng, size)
    hue = rng.random()
    fold = int(rng.choice([6, 8, 10, 12, 16]))
    r, theta = sheet.polar()
    tones = [
        colour(rng, hue + d, 0.75, v, 0.04)
        for d, v in ((0, 0.8), (0.5, 0.6), (0.12, 0.9), (0.42, 0.35))
    ]
    sheet.lay(sheet.ellipse(0, 0, 0.97, 0.97), tones[3], 0.08, gloss=0.3)
    reach, index = 0.95, 0
    while reach > 0.2:
        deep = rng.uniform(0.13, 0.24)
        paint = tones[index % 4]
        kind = rng.integers(3)
        if kind == 0:
            _petals(
                sheet,
                fold,
                reach,
                deep * 1.5,
                paint,
                tones[(index + 1) % 4],
                0.5 * (index % 2),
            )
        elif kind == 1:
            _beads(
                sheet,
                fold * (2 if reach > 0.5 else 1),
                reach - deep * 0.4,
                deep * 0.36,
                paint,
            )
        else:
            teeth = 0.5 + 0.5 * np.cos(theta * fold + np.pi * (index % 2))
            star = smoothstep(0, 0.02, reach - deep * (1 - teeth) - r)
            sheet.lay(star, blend(paint, paint * 0.6, teeth), 0.1, gloss=0.4, rim=0.6)
        reach -= deep
        disc = sheet.ellipse(0, 0, reach, reach)
        sheet.lay(disc, tones[(index + 2) % 4], 0.05, gloss=0.3, rim=0.6)
        index += 1
    sheet.lay(sheet.ellipse(0, 0, 0.12, 0.12), tones[2], 0.12, gloss=0.8)
    return sheet.finish()


def _petals(sheet: Sheet, fold, reach, deep, paint, inner, phase) -> None:
    wide = np.pi * reach / fold
    t = np.linspace(0, np.pi, 14)
    half = np.stack(
        [
            reach - deep * (1 - t / np.pi),
            wide * np.sin(t) ** 0.8,
        ],
        1,
    )
    outline = np.vstack([half, (half * (1, -1))[::-1]])
    core = (outline - (reach - deep * 0.5, 0)) * 0.55 + (reach - deep * 0.5, 0)
    for k in range(fold):
        a = 2 * np.pi * (k + phase) / fold
        sheet.lay(sheet.polygon(turned(outline, a)), paint, 0.1, gloss=0.4, rim=0.6)
        sheet.lay(
            sheet.polygon(turned(core, a)), inner, 0.05, gloss=0.4, rim=0.4, shadow=0.1
        )


def _beads(sheet: Sheet, fold, reach, radius, paint) -> None:
    radius = min(radius, np.pi * reach / fold * 0.9)
    mask = np.zeros_like(sheet.alpha)
    for k in range(fold):
        a = 2 * np.pi * k / fold
        bead = sheet.ellipse(reach * np.cos(a), reach * np.sin(a), radius, radius)
        mask = np.maximum(mask, bead)
    sheet.lay(mask, paint * 1.1, radius, gloss=0.9)


def honeycomb(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a comb: hexagonal cells of wax, some full of honey, some capped."""
    sheet = Sheet(rng, size)
    pitch = rng.uniform(0.24, 0.44)
    a = rng.uniform(0, np.pi)
    u = (sheet.x * np.cos(a) + sheet.y * np.sin(a)) / pitch + 0.06 * sheet.noise(0.95)
    v = (-sheet.x * np.sin(a) + sheet.y * np.cos(a)) / pitch + 0.06 * sheet.noise(0.95)
    high = np.sqrt(3.0)

    def nearest(du, dv):
        cu, cv = np.round(u - du) + du, (np.round((v - dv) / high)) * high + dv
        x, y = np.abs(u - cu), np.abs(v - cv)
        return np.maximum(x, 0.5 * x + 0.5 * high * y), cu, cv

    first, second = nearest(0, 0), nearest(0.5, high / 2)
    closer = first[0] < second[0]
    d = np.where(closer, first[0], second[0])  # 0 in the middle, 0.5 at the wall
    number = (
        np.sin(
            np.where(closer, first[1], second[1]) * 12.9898
            + np.where(closer, first[2], second[2]) * 78.233
        )
        * 43758.5453
    )
    cell = number - np.floor(number)
    wax = colour(rng, 0.11, 0.7, 0.8)
    honey = colour(rng, 0.08, 0.85, 0.5)
    hollow = smoothstep(0.44, 0.34, d)
    full = smoothstep(0.35, 0.45, cell)
    paint = blend(wax, blend(wax * 0.18, honey, full), hollow)
    paint = paint * (1 - 0.4 * hollow * (1 - full) * smoothstep(0.4, 0.1, d))[..., None]
    height = -0.4 * pitch * hollow * (
        1 - 0.6 * full
    ) + 0.12 * pitch * full * smoothstep(0.4, 0.0, d)
    r, _ = sheet.polar()
    mask = smoothstep(1.0, 0.95, r + 0.1 * sheet.noise(0.9))
    sheet.lay(mask, paint, 0.08, height, gloss=0.6)
    return sheet.finish()


# Fur -------------------------------------------------------------------------

# Coats of beasts: ground, mark and inner colour, each hue, saturation, value.
PELTS = {
    "rosettes": ((0.1, 0.5, 0.85), (0.06, 0.6, 0.1), (0.08, 0.7, 0.55)),
    "stripes": ((0.07, 0.8, 0.85), (0.05, 0.6, 0.08), (0.1, 0.15, 0.95)),
    "spots": ((0.11, 0.45, 0.85), (0.06, 0.6, 0.12), (0.1, 0.2, 0.95)),
    "patches": ((0.1, 0.08, 0.92), (0.07, 0.75, 0.65), (0.06, 0.4, 0.12)),
    "zebra": ((0.1, 0.06, 0.95), (0.06, 0.2, 0.08), (0.1, 0.1, 0.8)),
    "agouti": ((0.08, 0.45, 0.6), (0.06, 0.5, 0.2), (0.1, 0.3, 0.9)),
}


def fur(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw fur: strands of several widths that swirl, in the coat of some beast."""
    sheet = Sheet(rng, size)
    way = _swirl(sheet)
    fields = np.dstack([sheet.noise(0.62), sheet.noise(0.3), sheet.noise(0.0)])
    fields = cv2.GaussianBlur(fields, (0, 0), 0.7)  # else strides show as beads
    strands, root = _comb(sheet, way, fields, rng.uniform(0.14, 0.3))
    name = rng.choice(list(PELTS), p=[0.24, 0.2, 0.12, 0.16, 0.1, 0.18])
    tones = [colour(rng, *tone, spread=0.03) for tone in PELTS[name]]
    coat = _pelt(sheet, name, tones)
    # Hairs carry the colour of their roots, so that marks end in hairs.
    coat = cv2.remap(coat, *root, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    r, _ = sheet.polar()
    edge = np.ascontiguousarray(0.95 - r + 0.1 * sheet.noise(0.7))
    spot = np.mgrid[: sheet.n, : sheet.n][::-1]
    half = [
        (0.6 * a + 0.4 * b).astype(np.float32) for a, b in zip(spot, root, strict=True)
    ]
    edge = cv2.remap(edge, *half, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    mask = smoothstep(0.0, 0.03, edge + 0.06 * strands[..., 1])
    lock, hair, fine = strands[..., 0], strands[..., 1], strands[..., 2]
    light = 1 + 0.5 * lock + 0.4 * hair + 0.3 * fine
    coat = blend(coat, tones[2], 0.3 * smoothstep(0.35, 0.8, hair + fine))
    coat = coat * np.clip(light, 0.25, 1.7)[..., None]
    height = 0.05 * lock + 0.03 * hair + 0.01 * fine
    sheet.lay(mask, np.clip(coat, 0, 1), 0.35, height, gloss=0.3, rim=0.2)
    _guard_hairs(sheet, way, tones)
    return sheet.finish()


def _swirl(sheet: Sheet) -> np.ndarray:
    """Return the way that hair lies, unit vectors `(n, n, 2)`: a flow with a crown."""
    rng = sheet.rng
    angle = rng.uniform(0, 2 * np.pi) + rng.uniform(0.4, 1.3) * sheet.noise(1.0)
    way = np.dstack([np.cos(angle), np.sin(angle)])
    if rng.random() < 0.5:
        cx, cy = rng.uniform(-0.6, 0.6, 2)
        r, theta = sheet.polar(cx, cy)
        turn = theta + rng.uniform(-1.4, 1.4)
        pull = 1.6 * np.exp(-((r / rng.uniform(0.4, 0.9)) ** 2))[..., None]
        way = way + pull * np.dstack([np.cos(turn), np.sin(turn)])
    way = way / (np.linalg.norm(way, axis=2, keepdims=True) + 1e-3)
    return way.astype(np.float32)


def _comb(sheet: Sheet, way, fields, length: float):
    """Return fields drawn out along the hair, and where each hair has its root.

    Noise averaged along the lines of a flow shows the flow (Cabral and Leedom 1993).
    """
    n, steps = sheet.n, 12
    stride = length * n / 2 / steps
    y, x = np.mgrid[:n, :n].astype(np.float32)
    total, weight = fields.copy(), 1.0
    for k in range(1, steps + 1):
        step = cv2.remap(way, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT)
        x, y = x - stride * step[..., 0], y - stride * step[..., 1]
        taken = cv2.remap(fields, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        share = 1 - 0.7 * k / steps  # hairs taper
        total, weight = total + share * taken, weight + share
    total = total - total.mean((0, 1))
    total = np.clip(total / (2 * total.std((0, 1)) + 1e-6), -1, 1)
    # Hairs differ in length, but each has one length from root to tip.
    uneven = 0.25 * length * n * (0.5 * total[..., 0] + total[..., 1])
    return total, (x - uneven * step[..., 0], y - uneven * step[..., 1])


def _pelt(sheet: Sheet, name: str, tones) -> np.ndarray:
    """Return the colours of a coat at the roots of its hairs, `(n, n, 3)`."""
    rng = sheet.rng
    ground, mark, inner = tones
    wander = sheet.noise(0.85)
    turn = rng.uniform(0, np.pi)
    run = sheet.x * np.cos(turn) + sheet.y * np.sin(turn)
    coat = blend(ground, inner, 0.5 * smoothstep(0.0, 0.8, sheet.noise(1.0)))
    if name in ("stripes", "zebra"):
        wave = np.sin(rng.uniform(8, 15) * run + 3.5 * wander)
        edge = 0.15 + 0.5 * sheet.noise(0.8) if name == "stripes" else 0.1
        return blend(coat, mark, smoothstep(edge, edge + 0.2, wave))
    if name == "patches":
        coat = blend(coat, mark, smoothstep(0.05, 0.15, wander))
        return blend(coat, inner, smoothstep(0.15, 0.25, sheet.noise(0.8)))
    if name == "agouti":
        return blend(coat, mark, 0.8 * smoothstep(-0.3, 0.7, wander))
    pitch = rng.uniform(0.3, 0.46) if name == "rosettes" else rng.uniform(0.2, 0.3)
    d = _spread(sheet, pitch) + 0.12 * sheet.noise(0.5)
    if name == "spots":
        return blend(coat, mark, smoothstep(0.36, 0.26, d))
    coat = blend(coat, inner, smoothstep(0.36, 0.3, d))
    broken = smoothstep(-0.35, -0.2, sheet.noise(0.55))
    ring = smoothstep(0.2, 0.26, d) * smoothstep(0.46, 0.4, d)
    return blend(coat, mark, ring * broken)


def _spread(sheet: Sheet, pitch: float) -> np.ndarray:
    """Return the distance to the nearest of scattered points, in pitches."""
    n = sheet.n
    rows = int(2.4 / pitch)
    i, j = np.mgrid[:rows, :rows].astype(np.float32)
    points = np.stack([j + 0.5 * (i % 2), i * 0.9], -1).reshape(-1, 2) * pitch - 1.1
    points += sheet.rng.uniform(-0.22, 0.22, points.shape) * pitch
    pixels = np.round((points + 1) * n / 2).astype(int)
    pixels = pixels[((pixels >= 0) & (pixels < n)).all(1)]
    free = np.ones((n, n), np.uint8)
    free[pixels[:, 1], pixels[:, 0]] = 0
    return cv2.distanceTransform(free, cv2.DIST_L2, 5) * (2 / n / pitch)


def _guard_hairs(sheet: Sheet, way, tones) -> None:
    """Lay long single hairs over the coat, some light and some dark."""
    rng, n = sheet.rng, sheet.n
    light = np.clip(0.5 * tones[0] + 0.6, 0, 1)
    for tone, count in ((tones[1] * 0.8, 30), (light, 45)):
        line = n / 2 + 0.72 * n / 2 * rng.uniform(-1, 1, (count, 2))
        trail = [line]
        stride = n * rng.uniform(0.018, 0.035, (count, 1))
        for _ in range(6):
            i = np.clip(line.astype(int), 0, n - 1)
            line = line + stride * way[i[:, 1], i[:, 0]]
            trail.append(line)
        trail = np.round(np.stack(trail, 1) * 16).astype(np.int32)
        mask = np.zeros((n, n), np.uint8)
        cv2.polylines(mask, list(trail), False, 255, 1, cv2.LINE_AA, 4)
        mask = mask.astype(np.float32) / 255 * smoothstep(0.98, 0.85, sheet.polar()[0])
        sheet.lay(0.75 * mask, tone, 0.0, 0.01 * mask, gloss=0.2, rim=0.0, shadow=0.3)
