"""Corals: staghorn, brain coral, sea fans, tubes and anemones, all set with polyps."""

from __future__ import annotations

import cv2
import numpy as np

from .brush import Sheet, blend, colour, curve, smoothstep

HUES = (0.03, 0.07, 0.94, 0.88, 0.78, 0.48, 0.13)  # of a reef
MAZE = 112  # pixels across the grid on which a labyrinth grows


def coral(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a coral: a thicket, a brain, a fan, a bunch of tubes or an anemone."""
    sheet = Sheet(rng, size)
    hue = rng.choice(HUES)
    flesh = colour(rng, hue, 0.8, 0.82, 0.03)
    pale = blend(colour(rng, hue + 0.06, 0.3, 0.98, 0.03), flesh, 0.1)
    kinds = (_thicket, _brain, _fan, _tubes, _anemone)
    kinds[rng.choice(len(kinds), p=(0.3, 0.22, 0.18, 0.16, 0.14))](sheet, flesh, pale)
    return sheet.finish()


# Textures --------------------------------------------------------------------


def polyps(sheet: Sheet, pitch: float) -> tuple[np.ndarray, np.ndarray]:
    """Return `(ring, pit)`, the raised rims and dark mouths of polyps in rows."""
    warp = 1.1 * pitch  # rows must not look ruled
    u = (sheet.x + warp * sheet.noise(0.9)) / pitch
    v = (sheet.y + warp * sheet.noise(0.9)) / (0.87 * pitch)
    row = np.floor(v)
    u = u + 0.5 * (row % 2)
    r = np.hypot(u - np.floor(u) - 0.5, 0.87 * (v - row - 0.5))
    return smoothstep(0.47, 0.3, r), smoothstep(0.2, 0.08, r)


def labyrinth(sheet: Sheet, ridges: float) -> np.ndarray:
    """Return winding ridges in [-1, 1], about `ridges` of them across the sheet.

    Turing's recipe: what is near helps, what is a little farther hinders; a few
    rounds from white noise are enough.
    """
    wave = MAZE / ridges
    field = sheet.rng.standard_normal((MAZE, MAZE)).astype(np.float32)
    for _ in range(5):
        near = cv2.GaussianBlur(field, (0, 0), 0.1 * wave)
        far = cv2.GaussianBlur(field, (0, 0), 0.2 * wave)
        band = near - far
        field = np.tanh(1.8 * band / (band.std() + 1e-6))
    return cv2.resize(field, (sheet.n, sheet.n), interpolation=cv2.INTER_CUBIC)


def _skin(sheet: Sheet, flesh, pale, pitch: float):
    """Return the paint and the bumps of flesh set with polyps."""
    ring, pit = polyps(sheet, pitch)
    mottle = 1 + 0.22 * sheet.noise(0.6)
    paint = blend(flesh, pale, 0.75 * ring) * mottle[..., None]
    paint = blend(paint, flesh * 0.3, 0.75 * pit)
    return np.clip(paint, 0, 1), 0.22 * pitch * (ring - pit)


# Kinds -----------------------------------------------------------------------


def _thicket(sheet: Sheet, flesh, pale) -> None:
    """Staghorn: blunt, knobbly branches in layers, paler towards their tips."""
    rng = sheet.rng
    paint, bump = _skin(sheet, flesh, pale, rng.uniform(0.075, 0.1))
    thick = rng.uniform(0.1, 0.14)
    dome = cv2.GaussianBlur(sheet.ellipse(0, 0.35, 0.7, 0.6), (0, 0), 0.03 * sheet.n)
    sheet.lay(smoothstep(0.4, 0.6, dome), paint * 0.22, 0.2, bump, 0, 0.3)
    layers = 6
    for k in range(layers):
        front = k / (layers - 1)
        body, ends = np.zeros_like(sheet.alpha), np.zeros_like(sheet.alpha)
        for i in range(3):
            # Every layer starts elsewhere, so that branches stand in gaps.
            place = (i + (0.2, 0.7, 0.45)[k % 3] + rng.normal(0, 0.1)) / 3
            lean = 1.5 * place - 0.75
            length = (1.85 - 0.95 * front) * rng.uniform(0.85, 1.05)
            length *= 1 - 0.25 * abs(lean)
            root = (0.5 * np.sin(lean), 0.88)
            _horn(sheet, body, ends, root, lean, length, thick * (0.85 + 0.2 * front))
        ends = cv2.GaussianBlur(ends, (0, 0), 0.02 * sheet.n)
        skin = blend(paint * (0.45 + 0.55 * front), pale, 0.75 * ends)
        sheet.lay(body, skin, 0.13, bump, gloss=0.35, rim=0.75, shadow=0.8)


def _horn(sheet: Sheet, body, ends, root, lean, length, thick) -> None:
    """Add a branch with side knobs to `body`, its blunt tips to `ends`."""
    rng = sheet.rng
    t = np.linspace(0, 1, 12)
    wave = 0.12 * np.sin(9 * t + rng.uniform(0, 6))
    heading = lean * (1 - 0.3 * t) + rng.normal(0, 0.25) * t + wave
    way = np.stack([np.sin(heading), -np.cos(heading)], 1)
    path = np.asarray(root) + np.cumsum(way * length / 12, 0)
    knobs = 1 + 0.1 * np.sin(t * 21 + rng.uniform(0, 6))
    np.maximum(body, sheet.stroke(path, thick * (1 - 0.35 * t) * knobs), out=body)
    np.maximum(ends, sheet.ellipse(*path[-1], thick * 0.8, thick * 0.8), out=ends)
    for i, side in ((6, 1), (9, -1)):
        turn = heading[i] + side * rng.uniform(0.6, 1.0)
        out = np.array([np.sin(turn), -np.cos(turn)]) * rng.uniform(1.7, 2.6) * thick
        twig = np.stack([path[i], path[i] + 0.6 * out, path[i] + out])
        wide = thick * np.array([0.65, 0.6, 0.62])
        np.maximum(body, sheet.stroke(twig, wide), out=body)
        np.maximum(ends, sheet.ellipse(*twig[-1], wide[2], wide[2]), out=ends)


def _brain(sheet: Sheet, flesh, pale) -> None:
    """A dome of winding ridges with a groove along each crest."""
    rng = sheet.rng
    r, theta = sheet.polar()
    lobes = 0.05 * np.sin(rng.integers(2, 5) * theta + rng.uniform(0, 6))
    mask = smoothstep(0.97, 0.93, r + lobes + 0.05 * sheet.noise(0.95))
    maze = labyrinth(sheet, rng.uniform(5.5, 8.5))
    ridge = smoothstep(-0.95, 0.9, cv2.GaussianBlur(maze, (0, 0), 0.008 * sheet.n))
    seam = smoothstep(0.9, 1.0, ridge)
    comb = np.sin(70 * maze + 9 * sheet.noise(0.3)) * smoothstep(0.9, 0.2, np.abs(maze))
    valley = colour(rng, rng.choice(HUES), 0.85, 0.3)
    ring, pit = polyps(sheet, 0.06)
    crowd = 0.16 * (ring - pit) * ridge
    grain = 1 + 0.2 * sheet.noise(0.2) + 0.12 * comb + crowd
    paint = blend(valley, flesh, ridge)
    paint = blend(paint, pale, 0.75 * smoothstep(0.6, 1.0, ridge) * (1 - 0.45 * seam))
    paint = np.clip(paint * grain[..., None], 0, 1)
    dome = 0.75 * np.sqrt(np.maximum(0.05, 1.1 - r * r))
    bump = dome + 0.085 * ridge - 0.015 * seam + 0.004 * comb + 0.03 * crowd
    sheet.lay(mask, paint, 0, bump, gloss=0.5, rim=0.5)


def _fan(sheet: Sheet, flesh, pale) -> None:
    """A sea fan: ribs that fork from one foot, and a fine net between them."""
    rng = sheet.rng
    foot = (rng.uniform(-0.15, 0.15), 0.95)
    r, theta = sheet.polar(*foot)
    lean = (theta + np.pi / 2 + np.pi) % (2 * np.pi) - np.pi  # 0 upwards
    lobes = 0.1 * np.sin(lean * rng.uniform(4, 8) + rng.uniform(0, 6))
    rim = 1.66 + lobes - 0.42 * lean**2 + 0.1 * sheet.noise(0.5)
    mask = smoothstep(0.0, 0.04, rim - r) * smoothstep(1.5, 1.4, np.abs(lean))
    behind = colour(rng, rng.choice(HUES), 0.7, 0.25)
    sheet.lay(mask, behind, 0.05, gloss=0.0, rim=0.2)
    # The net is the walls of cells that lie in rings about the foot.
    u = 11 * lean * np.sqrt(r + 0.1) + 0.9 * sheet.noise(0.7)
    v = 9 * r + 0.9 * sheet.noise(0.7)
    row = np.floor(v)
    cell = np.hypot((u + 0.5 * (row % 2)) % 1 - 0.5, 0.9 * (v - row - 0.5))
    wall = smoothstep(0.3, 0.42, cell)
    paint = blend(flesh * 0.75, pale, smoothstep(0.7, 1.0, r / rim) * 0.7 + 0.15 * wall)
    paint = paint * (1 + 0.25 * sheet.noise(0.2))[..., None]
    sheet.lay(mask * wall, np.clip(paint, 0, 1), 0.05, gloss=0.3, rim=0.15, shadow=0.5)
    ribs = np.zeros_like(mask)
    for k in range(7):
        _rib(sheet, ribs, foot, -1.05 + 2.1 * (k + rng.uniform(0.3, 0.7)) / 7)
    ring, pit = polyps(sheet, 0.055)
    skin = blend(blend(flesh, pale, 0.7 * ring), flesh * 0.35, 0.6 * pit)
    sheet.lay(ribs * mask, skin, 0.06, 0.01 * ring, gloss=0.4, shadow=0.6)


def _rib(sheet: Sheet, ribs, foot, lean: float) -> None:
    rng = sheet.rng
    for fork in (-1, 1):
        t = np.linspace(0, 1, 10)
        heading = 0.7 * lean + (0.5 * lean + 0.18 * fork) * smoothstep(0.25, 1, t)
        heading = heading + 0.1 * np.sin(7 * t + rng.uniform(0, 6))
        way = np.stack([np.sin(heading), -np.cos(heading)], 1)
        path = np.asarray(foot) + np.cumsum(way * 0.17, 0)
        np.maximum(ribs, sheet.stroke(path, 0.05 * (1 - t) + 0.018), out=ribs)


def _tubes(sheet: Sheet, flesh, pale) -> None:
    """A bunch of tubes with dark, lipped mouths, the nearest lowest."""
    rng = sheet.rng
    paint, bump = _skin(sheet, flesh, pale, rng.uniform(0.07, 0.09))
    inside = colour(rng, rng.choice(HUES), 0.9, 0.16)
    wide = rng.uniform(0.19, 0.25)
    tops = [-0.7, -0.4, -0.05, 0.35]
    for level, top in enumerate(tops):
        count = (3, 4, 3, 4)[level]
        for i in range(count):
            x = (2 * (i + 0.5) / count - 1) * 0.74 + rng.normal(0, 0.05)
            y = top + rng.normal(0, 0.12) + 0.18 * x * x
            w = wide * rng.uniform(0.8, 1.1)
            middle = (0.9 * x, 0.5 * (y + 0.95))
            line = curve([(0.75 * x, 0.95), middle, (x, y)], 10)
            shade = 0.55 + 0.45 * level / (len(tops) - 1)
            tube = sheet.stroke(line[:-1], np.linspace(0.65, 0.95, 9) * w)
            sheet.lay(tube, paint * shade, 0.2, bump, 0.35, 0.5, 0.6)
            _mouth(sheet, x, y, w, pale * (0.7 + 0.3 * shade), inside)


def _mouth(sheet: Sheet, x, y, w, pale, inside) -> None:
    tilt = 0.35 * x
    sheet.lay(sheet.ellipse(x, y, 1.08 * w, 0.72 * w, tilt), pale, 0.07, gloss=0.5)
    sheet.lay(
        sheet.ellipse(x, y, 0.78 * w, 0.46 * w, tilt), inside, 0, rim=0.6, shadow=0
    )
    glow = sheet.ellipse(x, y + 0.2 * w, 0.5 * w, 0.18 * w, tilt)
    sheet.tint(0.6 * glow, pale * 0.6)


def _anemone(sheet: Sheet, flesh, pale) -> None:
    """Rings of tentacles with pale bulbs at their ends, about a mouth."""
    rng = sheet.rng
    stripes = 0.8 + 0.2 * np.sin(30 * sheet.polar()[0] + 5 * sheet.noise(0.6))
    bulb = colour(rng, rng.choice(HUES), 0.6, 0.95)
    sheet.lay(sheet.ellipse(0, 0, 0.75, 0.75), flesh * 0.3, 0.3)
    rings = ((1.06, 15), (1.0, 12), (0.8, 10), (0.52, 7))
    thick = rng.uniform(0.085, 0.105)
    bend = rng.normal(0, 0.7)
    for k, (reach, count) in enumerate(rings):
        arms, ends = np.zeros_like(sheet.alpha), np.zeros_like(sheet.alpha)
        for i in range(count):
            a = 2 * np.pi * (i + rng.uniform(0.2, 0.8)) / count
            t = np.linspace(0.12, 1, 9)
            sway = 0.22 * np.sin(6 * t + rng.uniform(0, 6))
            way = a + (bend + rng.normal(0, 0.25)) * t**2 + sway * t
            r = (reach - 0.1) * t * rng.uniform(0.88, 1.0)
            path = np.stack([r * np.cos(way), r * np.sin(way)], 1)
            np.maximum(arms, sheet.stroke(path, thick * (1.1 - 0.42 * t)), out=arms)
            tip = sheet.ellipse(*path[-1], 0.78 * thick, 0.78 * thick)
            np.maximum(ends, tip, out=ends)
        tone = (0.62 + 0.38 * k / 3) * stripes
        paint = blend(flesh, pale, 1.2 * stripes - 0.7) * tone[..., None]
        sheet.lay(arms, np.clip(paint, 0, 1), 0.09, gloss=0.4, rim=0.65, shadow=0.8)
        sheet.lay(ends, blend(bulb, pale, 0.5), 0.1, gloss=0.6, shadow=0.3)
    sheet.lay(sheet.ellipse(0, 0, 0.15, 0.12), pale, 0.1, gloss=0.5)
    sheet.tint(sheet.ellipse(0, 0, 0.08, 0.045), flesh * 0.2)
