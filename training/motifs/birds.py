"""Birds with bodies and wings."""

from __future__ import annotations

import numpy as np

from .brush import Sheet, blend, colour, curve, smoothstep, turned


def plumes(sheet: Sheet, mask, paint, angle: float, pitch: float, puff: float) -> None:
    """Lay a part covered in overlapping feathers that point along `angle`."""
    along = sheet.x * np.cos(angle) + sheet.y * np.sin(angle)
    across = -sheet.x * np.sin(angle) + sheet.y * np.cos(angle)
    along = along + 0.15 * pitch * sheet.noise(0.8)
    row = np.floor(along / pitch)
    cell = across / pitch + 0.5 * (row % 2)
    u = cell - np.floor(cell) - 0.5
    # Each feather's tip is round, so the tip's rim falls back towards its sides.
    v = (along / pitch - row + 1.2 * u**2) % 1.0
    rim = smoothstep(0.75, 0.98, v)
    tone = 1.15 - 0.45 * rim - 0.2 * np.abs(u) + 0.12 * np.sin(u * 40)
    body = np.asarray(paint, np.float32)
    body = body * tone[..., None]
    sheet.lay(mask, np.clip(body, 0, 1), puff, -0.35 * pitch * rim, gloss=0.15)


def _wing(
    sheet: Sheet, root, angle: float, length: float, paint, tip, count: int
) -> None:
    """Lay a fan of long feathers, the outermost first, then the coverts."""
    rng = sheet.rng
    spread = rng.uniform(0.7, 1.2)
    for k in range(count):
        t = k / (count - 1)
        a = angle + spread * (t - 0.5)
        reach = length * (1 - 0.45 * t) * rng.uniform(0.95, 1.05)
        outline = [
            [0, -0.05],
            [reach * 0.8, -0.07],
            [reach, 0],
            [reach * 0.8, 0.06],
            [0, 0.05],
        ]
        mask = sheet.polygon(turned(outline, a, *root))
        r = np.hypot(sheet.x - root[0], sheet.y - root[1]) / reach
        across = -(sheet.x - root[0]) * np.sin(a) + (sheet.y - root[1]) * np.cos(a)
        barbs = 1 + 0.18 * np.sin(
            60 * (sheet.x * np.cos(a) + sheet.y * np.sin(a)) - 50 * np.abs(across)
        )
        vane = blend(paint, tip, smoothstep(0.55, 0.85, r)) * barbs[..., None]
        sheet.lay(mask, vane, 0.06, gloss=0.15, rim=0.6)
    coverts = [
        [-0.05, -0.15],
        [length * 0.4, -0.22],
        [length * 0.62, -0.1],
        [length * 0.5, 0.12],
        [0, 0.16],
    ]
    middle = angle - 0.1
    plumes(
        sheet,
        sheet.polygon(turned(curve([*coverts, coverts[0]], 30), middle, *root)),
        paint * 1.1,
        middle,
        0.1,
        0.12,
    )


def bird(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a bird from the side: body, tail, one or two wings, a head with a beak."""
    sheet = Sheet(rng, size)
    hue = rng.choice([0.03, 0.1, 0.33, 0.55, 0.62, 0.8])
    back = colour(rng, hue, 0.7, 0.6)
    belly = colour(rng, rng.choice([hue + 0.5, 0.08, 0.13]), 0.5, 0.85)
    tip = back * rng.uniform(0.2, 0.6)
    flying = rng.random() < 0.5
    lean = rng.uniform(-0.15, 0.15)
    if flying:
        _wing(sheet, (0.1, -0.05), -1.9 + rng.normal(0, 0.2), 0.85, back * 0.75, tip, 7)
    _tail(sheet, back, tip, lean)
    if not flying:
        _legs(sheet)
    body = curve(
        [
            [0.38, -0.3],
            [0.42, 0.1],
            [0.1, 0.42],
            [-0.45, 0.28],
            [-0.55, 0.12],
            [-0.1, -0.12],
            [0.38, -0.3],
        ],
        40,
    )
    slope = smoothstep(-0.1, 0.3, sheet.y + 0.25 * sheet.x)
    plumes(
        sheet,
        sheet.polygon(body),
        blend(back, belly, slope),
        np.pi - 0.3,
        rng.uniform(0.09, 0.14),
        0.35,
    )
    angle = rng.uniform(-2.4, -1.9) if flying else rng.uniform(2.85, 3.1)
    _wing(sheet, (0.22, -0.02), angle, 0.9 if flying else 0.75, back, tip, 7)
    _bird_head(sheet, back, belly, lean)
    return sheet.finish()


def _tail(sheet: Sheet, paint, tip, lean: float) -> None:
    length = sheet.rng.uniform(0.4, 0.55)
    for k in range(5):
        a = np.pi - 0.25 + 0.13 * (k - 2) + lean
        outline = [
            [0, -0.05],
            [length, -0.06],
            [length + 0.05, 0],
            [length, 0.06],
            [0, 0.05],
        ]
        mask = sheet.polygon(turned(outline, a, -0.4, 0.16))
        shade = blend(paint, tip, smoothstep(-0.7, -0.95, sheet.x))
        sheet.lay(mask, shade, 0.05, gloss=0.15, rim=0.6)


def _legs(sheet: Sheet) -> None:
    paint = colour(sheet.rng, 0.08, 0.6, 0.5)
    for x in (-0.02, 0.16):
        leg = [[x, 0.35], [x + 0.04, 0.6], [x, 0.82]]
        sheet.lay(sheet.stroke(leg, [0.04, 0.025, 0.022]), paint, 0.03)
        for toe in (-0.1, 0.04, 0.14):
            foot = [[x, 0.82], [x + toe, 0.9]]
            sheet.lay(sheet.stroke(foot, [0.022, 0.012]), paint, 0.02)


def _bird_head(sheet: Sheet, back, belly, lean: float) -> None:
    rng = sheet.rng
    cx, cy = 0.44, -0.42 + lean
    long = rng.uniform(0.22, 0.42)
    droop = rng.uniform(-0.05, 0.12)
    horn = colour(rng, rng.choice([0.1, 0.06, 0.14]), 0.8, 0.75)
    lower = [
        [cx + 0.12, cy + 0.03],
        [cx + 0.2 + long * 0.9, cy + 0.06 + droop],
        [cx + 0.12, cy + 0.13],
    ]
    upper = [
        [cx + 0.12, cy - 0.1],
        [cx + 0.2 + long * 0.6, cy - 0.05],
        [cx + 0.2 + long, cy + 0.05 + droop],
        [cx + 0.12, cy + 0.06],
    ]
    sheet.lay(sheet.polygon(lower), horn * 0.7, 0.05, gloss=0.4)
    sheet.lay(sheet.polygon(upper), horn, 0.07, gloss=0.5)
    if rng.random() < 0.3:
        for k in range(4):
            feather = curve(
                [
                    [cx, cy - 0.15],
                    [cx - 0.08 - 0.06 * k, cy - 0.4],
                    [cx - 0.22 - 0.08 * k, cy - 0.48],
                ],
                10,
            )
            sheet.lay(
                sheet.stroke(feather, np.linspace(0.03, 0.012, 10)), back * 1.2, 0.03
            )
    cap = smoothstep(cy + 0.12, cy - 0.05, sheet.y + 0.2 * sheet.noise(0.9))
    plumes(
        sheet,
        sheet.ellipse(cx, cy, 0.25, 0.23, 0.2),
        blend(belly, back, cap),
        np.pi * 0.8,
        0.07,
        0.22,
    )
    radius = rng.uniform(0.055, 0.08)
    x, y = cx + 0.08, cy - 0.04
    sheet.lay(
        sheet.ellipse(x, y, radius * 1.4, radius * 1.4),
        colour(rng, 0.12, 0.6, 0.85),
        0.04,
    )
    sheet.lay(sheet.ellipse(x, y, radius, radius), (0.03, 0.03, 0.03), 0.05, gloss=0.6)
    sheet.tint(sheet.ellipse(x - 0.02, y - 0.025, 0.02, 0.02), (1, 1, 1))
