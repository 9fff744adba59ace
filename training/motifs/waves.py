"""Great waves: a curling crest with fingers of foam, spray, and rows of swell."""

from __future__ import annotations

import numpy as np

from .brush import Sheet, blend, colour, curve, smoothstep

FOAM = np.array([0.95, 0.97, 0.96], np.float32)
CURL = (0.28, -0.08)  # the centre that a great wave curls about
# From the root of a wave's back over its crest to the tip of its lip, and from there
# down the hollow face to the trough.
BACK = [[-1.3, 0.75], [-1.0, 0.3], [-0.72, -0.15], [-0.42, -0.58], [0.0, -0.84]]
LIP = [[0.0, -0.84], [0.42, -0.8], [0.72, -0.5], [0.78, -0.18]]
FACE = [[0.78, -0.18], [0.6, -0.4], [0.3, -0.5], [0.02, -0.36], [-0.12, 0.0]]
TROUGH = [[-0.12, 0.0], [-0.02, 0.32], [0.3, 0.55], [0.8, 0.6], [1.3, 0.5]]


def waves(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a great breaking wave, now and then two, with swell before and behind."""
    sheet = Sheet(rng, size)
    hue = rng.choice([0.6, 0.56, 0.5, 0.44, 0.62])
    deep = colour(rng, hue + 0.03, 0.8, 0.32, 0.02)
    light = blend(colour(rng, hue - 0.05, 0.5, 0.85, 0.02), deep, 0.1)
    frame = _frame(sheet)
    level = rng.uniform(-0.1, 0.25)
    _swell(sheet, level, 0.14, frame, blend(deep, light, 0.5), light)
    two = rng.random() < 0.35
    place = (-0.12, -0.06, 0.95) if two else (0.0, 0.0, rng.uniform(0.95, 1.08))
    _breaker(sheet, place, frame, deep, light)
    if two:
        place = (rng.uniform(-0.5, 0.4), 0.52, rng.uniform(0.42, 0.52))
        _breaker(sheet, place, frame, deep, light)
    for level in (0.6, 0.82) if not two else (0.86,):
        _swell(sheet, level + rng.normal(0, 0.04), 0.2, frame, deep, light)
    return sheet.finish()


def _frame(sheet: Sheet) -> np.ndarray:
    """Return where there is sea at all: a rounded square, frayed like foam."""
    x, y = sheet.x * sheet.x, sheet.y * sheet.y
    r = np.sqrt(np.sqrt(x * x + y * y))
    return smoothstep(1.0, 0.93, r + 0.05 * sheet.noise(0.5))


def _water(tone, deep, light) -> np.ndarray:
    """Return the paint of water: darkest at tone 0, `light` at 0.6, foam at 1."""
    steps = np.linspace(0, 1, 256)
    stops = np.stack([deep * 0.35, deep, light, FOAM])
    table = [np.interp(steps, (0, 0.25, 0.6, 1), stops[:, i]) for i in range(3)]
    index = np.clip(tone * 255, 0, 255).astype(np.uint8)
    return np.stack(table, 1).astype(np.float32)[index]


def _streaks(sheet: Sheet, r, theta) -> np.ndarray:
    """Return streaks in [0, 1] that wind inwards; whole numbers of turns close up."""
    turns = int(sheet.rng.integers(2, 4))
    wind = r * sheet.rng.uniform(30, 40) + turns * theta + 1.2 * sheet.noise(0.9)
    return 0.5 + 0.5 * np.sin(wind)


def _breaker(sheet: Sheet, place, frame, deep, light) -> None:
    """Lay a great wave: the barrel, the body with its face, then the foam."""
    rng = sheet.rng
    x, y, scale = place

    phase, swing = rng.uniform(0, 2 * np.pi, 2), rng.normal(0, 0.07, 2)

    def put(points):
        p = np.asarray(points, np.float32)
        # One smooth bend for all parts, so that they still meet.
        return (p + swing * np.sin(2.2 * p[:, ::-1] + phase)) * scale + (x, y)

    back, lip = curve(put(BACK), 24), curve(put(LIP), 18)
    face, trough = curve(put(FACE), 18), curve(put(TROUGH), 20)
    r, theta = sheet.polar(*put([CURL])[0])
    r = r / scale
    streaks = _streaks(sheet, r, theta)
    lines = smoothstep(0.45, 0.85, streaks)
    grain = 0.05 * sheet.noise(0.3) + 0.05 * sheet.noise(0.9)
    hairs = 0.05 * np.sin(3 * (r * 40 + 2 * theta) + 9 * grain)
    # Light comes through where the water is thin: at the top and along the hollow.
    thin = smoothstep(0.5 * scale, -0.9 * scale, sheet.y - y)
    wall = curve(put([TROUGH[3], [0.6, 0.34], [0.54, 0.08], FACE[0]]), 12)
    barrel = sheet.polygon(np.vstack([face, trough[:15], wall]))
    tone = smoothstep(0.0, 0.75, r) * (0.3 + 0.4 * lines) + hairs + grain
    paint = _water(tone, deep, light)
    sheet.lay(barrel * frame, paint, 0, 0.012 * streaks, 0.2, 0.2, 0)
    floor = put([[1.3, 1.4], [-1.3, 1.4]])
    body = sheet.polygon(np.vstack([back, lip, face, trough, floor]))
    tone = 0.26 + 0.3 * thin + (0.42 - 0.1 * thin) * lines + hairs + grain
    paint = _water(tone, deep, light)
    sheet.lay(body * frame, paint, 0.22, 0.014 * streaks, 0.5, 0.5, 0.6)
    _foam(sheet, np.vstack([back[10:], lip]), face, (x, y, scale), light)


def _foam(sheet: Sheet, crest, face, place, light) -> None:
    """Lay foam along a crest: a lumpy ridge, fingers that claw inwards, spray."""
    rng = sheet.rng
    scale = place[2]
    n = len(crest)
    froth = 0.006 * sheet.noise(0.2) + 0.035 * sheet.noise(0.75)
    shade = blend(light, FOAM, 0.75)
    claws, ridge = np.zeros_like(sheet.alpha), np.zeros_like(sheet.alpha)
    centre = crest.mean(0) * 0.3 + face.mean(0) * 0.7
    for k in range(10):
        f = 0.3 + 0.7 * (k + rng.uniform(0.2, 0.8)) / 10
        start = crest[int(f * (n - 1))]
        inward = (centre - start) / (np.linalg.norm(centre - start) + 1e-6)
        _claw(sheet, claws, start, inward, scale * rng.uniform(0.3, 0.5))
    sheet.lay(claws, shade, 0.05, 0.4 * froth, gloss=0.3, rim=0.45, shadow=0.8)
    for i in range(0, n, 2):
        f = i / (n - 1)
        size = scale * (0.03 + 0.055 * f) * rng.uniform(0.75, 1.25)
        spot = crest[i] + rng.normal(0, 0.018, 2) * scale
        np.maximum(ridge, sheet.ellipse(*spot, size, size), out=ridge)
    for k in range(8):
        f = 0.4 + 0.6 * (k + rng.uniform(0.2, 0.8)) / 8
        start = crest[int(f * (n - 1))]
        inward = (centre - start) / (np.linalg.norm(centre - start) + 1e-6)
        _claw(sheet, ridge, start, inward, scale * rng.uniform(0.14, 0.24))
    sheet.lay(ridge, FOAM * 1.1, 0.07, froth, gloss=0.2, rim=0.35, shadow=0.5)
    _spray(sheet, crest[n // 3 :], centre, scale)


def _claw(sheet: Sheet, mask, start, inward, length: float) -> None:
    """Add a finger that runs inwards and hooks, with drops at its end."""
    rng = sheet.rng
    t = np.linspace(0, 1, 6)
    heading = np.arctan2(inward[1], inward[0]) + rng.normal(-0.3, 0.3) + 1.3 * t**2
    way = np.stack([np.cos(heading), np.sin(heading)], 1)
    path = start + np.cumsum(way * length / 6, 0)
    np.maximum(mask, sheet.stroke(path, length * (0.17 - 0.08 * t)), out=mask)
    # A second, shorter toe makes it a claw.
    turn = heading[4] + rng.choice([-0.9, 0.9])
    toe = path[3] + 0.35 * length * np.array([np.cos(turn), np.sin(turn)])
    line = np.stack([path[2], toe])
    np.maximum(mask, sheet.stroke(line, length * 0.085), out=mask)


def _spray(sheet: Sheet, crest, centre, scale: float) -> None:
    rng = sheet.rng
    drops = np.zeros_like(sheet.alpha)
    for _ in range(20):
        spot = crest[rng.integers(len(crest))]
        out = (spot - centre) * rng.choice([-1, 1], p=[0.35, 0.65])
        spot = spot + out * rng.uniform(0.12, 0.45) + rng.normal(0, 0.04, 2)
        size = scale * rng.uniform(0.014, 0.036)
        np.maximum(drops, sheet.ellipse(*spot, size, size), out=drops)
    sheet.lay(drops, FOAM, 0.03, gloss=0.3, rim=0.25, shadow=0.4)


def _swell(sheet: Sheet, level, height, frame, deep, light) -> None:
    """Lay a row of small waves that lean over, with foam upon their crests."""
    rng = sheet.rng
    u = sheet.x * rng.uniform(1.0, 1.7) + rng.uniform(0, 2) + 0.06 * sheet.noise(0.95)
    f = u - np.floor(u)
    # A crest that rises slowly and breaks steeply.
    crest = f**2 * smoothstep(1.0, 0.8, f)
    depth = sheet.y - level + height * crest + 0.03 * sheet.noise(0.8)
    streaks = 0.5 + 0.5 * np.sin(depth * 44 + 5 * f + 1.5 * sheet.noise(0.9))
    lumps = sheet.noise(0.5)
    foam = smoothstep(0.02, -0.01, depth - (0.015 + 0.07 * crest) - 0.04 * lumps)
    lines = smoothstep(0.5, 0.9, streaks)
    tone = 0.6 - 0.35 * smoothstep(0.0, 0.3, depth) + 0.2 * lines + 0.06 * lumps
    paint = _water(np.maximum(tone, foam), deep, light)
    body = smoothstep(0.0, 0.02, depth) * frame * (depth < 0.6)
    bump = 0.012 * streaks * (1 - foam) + foam * (0.03 + 0.025 * lumps)
    sheet.lay(body, paint, 0.1, bump, 0.4, 0.35, 0.5)
