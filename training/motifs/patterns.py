"""Mandalas, honeycomb and fur."""

from __future__ import annotations

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


def fur(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a patch of fur: locks of hair that follow a flow, spotted or striped."""
    sheet = Sheet(rng, size)
    hue = rng.uniform(0.04, 0.12)
    base, mark = colour(rng, hue, 0.5, 0.65), colour(rng, hue, 0.5, 0.2)
    field = sheet.noise(0.95)
    kind = rng.random()
    if kind < 0.35:
        coat = blend(base, mark, smoothstep(0.1, 0.3, np.sin(12 * sheet.x + 9 * field)))
    elif kind < 0.7:
        coat = blend(base, mark, smoothstep(0.15, 0.3, sheet.noise(0.7)))
    else:
        coat = np.broadcast_to(base, (*field.shape, 3)).copy()
    a0 = rng.uniform(0, 2 * np.pi)
    flow = a0 + 0.9 * sheet.noise(0.95)
    r, _ = sheet.polar()
    edge = smoothstep(1.0, 0.9, r + 0.12 * sheet.noise(0.4))
    sheet.lay(edge, coat * 0.45, 0.4, gloss=0.0, rim=0.2)
    count = 130
    spots = rng.uniform(-0.9, 0.9, (count, 2))
    spots = spots[np.argsort(-(spots @ [np.cos(a0), np.sin(a0)]))]
    for x, y in spots:
        if np.hypot(x, y) > 0.85:
            continue
        i, j = int((y + 1) / 2 * (sheet.n - 1)), int((x + 1) / 2 * (sheet.n - 1))
        way = np.array([np.cos(flow[i, j]), np.sin(flow[i, j])])
        length = rng.uniform(0.22, 0.36)
        lock = np.array([x, y]) + np.linspace(-0.4, 0.6, 4)[:, None] * way * length
        tone = np.clip(coat[i, j] * rng.uniform(0.75, 1.3), 0, 1)
        sheet.lay(
            sheet.stroke(lock, [0.03, 0.045, 0.03, 0.004]),
            tone,
            0.05,
            gloss=0.25,
            rim=0.5,
            shadow=0.2,
        )
    return sheet.finish()
