"""Fractals as lit reliefs: Julia and Mandelbrot spirals, Romanesco, gaskets, ferns."""

from __future__ import annotations

import colorsys

import cv2
import numpy as np

from .brush import Sheet, blend, smoothstep, turned

# Colours that go round, dark ones between bright ones, so that bands stand out.
PALETTES = (
    ("#05123a", "#1f5fbf", "#8fe3f2", "#fff6d8", "#f2a12b", "#7a2308"),
    ("#1b0533", "#7a1fa2", "#f0559a", "#ffd9a0", "#f58a2c", "#6b0f2a"),
    ("#03211c", "#0d7a5f", "#7fe0a0", "#fdf7c4", "#d9a521", "#4a2c05"),
    ("#0a0620", "#2b3fae", "#37c7c9", "#eafbe6", "#e06aa8", "#4b1160"),
    ("#240602", "#b3260e", "#ff9b2e", "#fff3b8", "#5fb7a6", "#0c3a4d"),
    ("#020d18", "#0b5563", "#39b8a0", "#f4f1d0", "#c98a3c", "#3d1a0e"),
    ("#12041c", "#5a2a83", "#b8a0ea", "#fdf2ff", "#f4c95d", "#85391b"),
)
# Julia sets: c, and the half-width of the view.
JULIAS = (
    (-0.8 + 0.156j, 1.25),
    (-0.7269 + 0.1889j, 1.2),
    (-0.75 + 0.11j, 1.2),
    (0.285 + 0.012j, 1.05),
    (-0.4 + 0.6j, 1.15),
    (0.355 + 0.355j, 1.05),
    (-0.54 + 0.54j, 1.2),
    (0.37 - 0.1j, 1.05),
    (-0.835 - 0.2321j, 1.2),
)
# Places where the Mandelbrot set winds (Misiurewicz points, found by Newton's method).
WHORLS = (
    -0.1010964 + 0.9562865j,
    -0.5622026 + 0.6428171j,
    0.3698552 + 0.6714483j,
    0.0016430 + 0.8224665j,
    -1.1623416 + 0.2923689j,
    0.3977449 + 0.5613665j,
    -0.6702092 + 0.4580610j,
    -0.5268166 + 0.7020269j,
    0.3621521 + 0.0769703j,
    0.3493718 + 0.5120744j,
    -0.7756838 + 0.1364674j,
)


def fractal(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a self-similar relief, one of several kinds, in a rich palette."""
    sheet = Sheet(rng, size)
    kinds = (_julia, _mandelbrot, _romanesco, _gasket, _fern, _koch)
    share = (0.28, 0.22, 0.2, 0.14, 0.06, 0.1)
    kinds[rng.choice(len(kinds), p=share)](sheet, _palette(rng))
    return sheet.finish()


def _palette(rng) -> np.ndarray:
    """Return 512 colours that go round, `(512, 3)`."""
    stops = PALETTES[rng.integers(len(PALETTES))]
    shift = rng.random() if rng.random() < 0.3 else rng.normal(0, 0.03)
    colours = []
    for stop in stops:
        r, g, b = (int(stop[i : i + 2], 16) / 255 for i in (1, 3, 5))
        h, s, v = colorsys.rgb_to_hsv(r, g, b)
        s, v = s * rng.uniform(0.75, 1.1), v * rng.uniform(0.85, 1.1)
        colours.append(colorsys.hsv_to_rgb((h + shift) % 1, min(s, 1), min(v, 1)))
    if rng.random() < 0.5:
        colours.reverse()
    ring = np.asarray([*colours, colours[0]], np.float32)
    t = np.linspace(0, len(colours), 512, endpoint=False)
    table = [np.interp(t, np.arange(len(ring)), ring[:, k]) for k in range(3)]
    return np.stack(table, 1).astype(np.float32)


def _look_up(palette: np.ndarray, t) -> np.ndarray:
    return palette[(np.asarray(t) * 512).astype(np.int64) % 512]


# Escape-time sets ------------------------------------------------------------


def _escape(z, c, steps: int, grow: float):
    """Return the smooth count, the distance to the set and the last angle.

    `grow` is 1 where c varies (Mandelbrot) and 0 where z does (Julia).
    """
    shape = z.shape
    z, c = z.ravel().astype(np.complex64), c.ravel().astype(np.complex64)
    count = np.full(z.size, steps, np.float32)
    distance = np.zeros(z.size, np.float32)
    angle = np.zeros(z.size, np.float32)
    where, dz = np.arange(z.size), np.full(z.size, 1 - grow, np.complex64)
    for k in range(steps):
        dz = 2 * z * dz + np.float32(grow)
        z = z * z + c
        square = z.real**2 + z.imag**2
        out = square > 256.0
        if not out.any():
            continue
        gone, log = where[out], 0.5 * np.log(square[out])
        count[gone] = k + 1 - np.log2(log / np.log(16.0))
        distance[gone] = np.sqrt(square[out]) * log / (np.abs(dz[out]) + 1e-20)
        angle[gone] = np.angle(z[out])
        stay = ~out
        z, c, dz, where = z[stay], c[stay], dz[stay], where[stay]
        if not where.size:
            break
    return count.reshape(shape), distance.reshape(shape), angle.reshape(shape)


def _plane(sheet: Sheet, view, thin: int = 1) -> np.ndarray:
    middle, half, turn = view
    plane = sheet.x[::thin, ::thin] + 1j * sheet.y[::thin, ::thin]
    return middle + half * np.exp(1j * turn) * plane


def _worth(found, half: float, steps: int) -> float:
    """Return how rich a view is: half of it close to the set, none of it inside."""
    count, distance, _ = found
    inside = (count >= steps).mean()
    near = (distance < 0.05 * half).mean() - inside
    return -abs(near - 0.4) - 1.5 * inside


def _julia(sheet: Sheet, palette: np.ndarray) -> None:
    rng = sheet.rng
    best = None
    for _ in range(5):  # the richest of a few rough looks
        c, half = JULIAS[rng.integers(len(JULIAS))]
        if rng.random() < 0.3:
            c = WHORLS[rng.integers(len(WHORLS))]
        c += 0.006 * complex(*rng.standard_normal(2))
        middle = 0j
        if rng.random() < 0.65:  # a closer look, at the fixed point that arms wind to
            root = np.sqrt(1 - 4 * c)
            middle = (1 + root * rng.choice([-1, 1])) / 2 * rng.choice([-1, 1])
            half *= rng.uniform(0.2, 0.55)
            middle += 0.3 * half * complex(*rng.standard_normal(2))
        view = middle, half, rng.uniform(0, 2 * np.pi)
        z = _plane(sheet, view, sheet.n // 24)
        worth = _worth(_escape(z, np.full_like(z, c), 60, 0.0), half, 60)
        if best is None or worth > best[0]:
            best = worth, c, view
    _, c, view = best
    z = _plane(sheet, view)
    _relief(sheet, palette, _escape(z, np.full_like(z, c), 110, 0.0), view[1], 110)


def _mandelbrot(sheet: Sheet, palette: np.ndarray) -> None:
    rng = sheet.rng
    best = None
    for _ in range(4):
        half = np.exp(rng.uniform(np.log(0.0015), np.log(0.02)))
        middle = WHORLS[rng.integers(len(WHORLS))]
        middle += 0.3 * half * complex(*rng.standard_normal(2))
        view = middle, half, rng.uniform(0, 2 * np.pi)
        c = _plane(sheet, view, sheet.n // 24)
        worth = _worth(_escape(np.zeros_like(c), c, 100, 1.0), half, 100)
        if best is None or worth > best[0]:
            best = worth, view
    c = _plane(sheet, best[1])
    found = _escape(np.zeros_like(c), c, 180, 1.0)
    _relief(sheet, palette, found, best[1][1], 180)


def _relief(sheet: Sheet, palette, found, half: float, steps: int) -> None:
    """Lay an escape-time set: terraces and ridges that follow it, and a filigree."""
    rng = sheet.rng
    count, distance, angle = found
    inside = (count >= steps).astype(np.float32)
    d = distance / half  # in sheet units
    pixel = 2 / sheet.n
    clear = smoothstep(0.3 * pixel, 4 * pixel, d)  # 0 on the filigree
    log = np.log(d + 2 * pixel)
    level = np.log(np.maximum(count, 1.0))
    t = rng.uniform(0.6, 1.6) * level + rng.uniform(0.05, 0.22) * log + rng.random()
    paint = _look_up(palette, t)
    bands = np.sin(2 * np.pi * rng.choice([1.0, 1.5, 2.0]) * count)
    cells = np.sin(angle * rng.integers(1, 4))
    fine = rng.uniform(0.3, 1.0) * bands + rng.uniform(0.0, 0.8) * cells
    paint = paint * (1 + 0.16 * fine * clear)[..., None]
    glow, share = ((0.6, 0.55, 0.42), 0.5) if rng.random() < 0.7 else ((0, 0, 0), 0.25)
    thread = share * _look_up(palette, 2 * t + 0.5) + np.float32(glow)
    paint = blend(thread, paint, clear)
    heart = _look_up(palette, rng.random() + 0.4 * sheet.noise(0.9))
    paint = blend(paint, heart * 0.5, inside)
    rise = rng.choice([-1.0, 1.0]) * rng.uniform(0.05, 0.1)
    height = rise * log + 0.012 * fine * clear
    height = cv2.GaussianBlur(height.astype(np.float32), (0, 0), 0.9)
    r, _ = sheet.polar()
    ragged = 0.04 * sheet.noise(0.8) + 0.04 * bands * clear
    mask = smoothstep(0.0, 0.05, 0.97 - r - ragged)
    if half > 0.9:  # all of it is in view: its own outline, with a halo
        mask = np.minimum(mask, smoothstep(0.4, 0.34, d * (1 - inside)))
    sheet.lay(mask, paint, 0.12, height, gloss=rng.uniform(0.15, 0.45), rim=0.5)


# Romanesco -------------------------------------------------------------------


def _whorl(x, y, p: int, q: int):
    """Return where each pixel is in its bud, `(u, v)` in ±0.5, and the bud's size.

    The logarithm turns a spiral of buds, each larger than the one before, into a
    square lattice: p buds one way and q the other close the circle.
    """
    r = np.sqrt(x * x + y * y) + 1e-4
    s = 2 * np.pi / np.hypot(p, q)
    a = np.arctan2(p, q)
    w, theta = np.log(r), np.arctan2(y, x)
    u = (w * np.cos(a) + theta * np.sin(a)) / s
    v = (-w * np.sin(a) + theta * np.cos(a)) / s
    u, v = u - np.round(u), v - np.round(v)
    # Back to axes that point outwards and round, so that buds look outwards.
    out, side = u * np.cos(a) - v * np.sin(a), u * np.sin(a) + v * np.cos(a)
    return out, side, np.minimum(r * s, 0.5)


def _romanesco(sheet: Sheet, palette: np.ndarray) -> None:
    rng = sheet.rng
    pairs = ((3, 5), (5, 8), (5, 8), (8, 13), (4, 6), (8, 5), (5, 3))
    p, q = pairs[rng.integers(len(pairs))]
    warp = 0.04 * sheet.noise(1.0)
    x = sheet.x + warp + rng.normal(0, 0.08)
    y = sheet.y - warp + rng.normal(0, 0.08)
    height = 0.5 * (1 - np.hypot(x, y))
    size, shade, tone = np.float32(1.0), 1.0, np.zeros_like(x)
    for depth in range(3):
        if depth:
            p, q = pairs[rng.integers(4)] if depth == 1 else (3, 5)
        out, side, bud = _whorl(x, y, p, q)
        size = size * bud
        # Buds lean outwards: their tips lie off the middle.
        x, y = 2 * (out - 0.1), 2 * side
        cone = np.maximum(0, 1 - np.sqrt(x * x + y * y) / 1.25)
        cone = cone ** (0.8 + 0.2 * depth)
        height = height + (0.75, 0.6, 0.4)[depth] * size * cone
        shade = shade * (0.45 + 0.75 * smoothstep(0.0, 0.5, cone))
        tone += (0.3, 0.22, 0.12)[depth] * cone
        size = size * 0.5
    r, _ = sheet.polar()
    paint = _look_up(palette, tone + rng.random() + 0.25 * r)
    if rng.random() < 0.4:  # as it grows
        paint = blend(paint, (0.6, 0.8, 0.33), 0.75)
    paint = np.clip(paint * np.asarray(shade)[..., None] * 1.15, 0, 1)
    mask = smoothstep(0.0, 0.04, 0.95 + 0.05 * cone - r)
    sheet.lay(mask, paint, 0.2, height, gloss=rng.uniform(0.1, 0.4), rim=0.4)


# Gaskets of discs ------------------------------------------------------------


def _discs(sheet: Sheet, palette, discs, gloss: float) -> None:
    """Lay lit discs `(x, y, radius, tone)`, each with rings and a gasket in it."""
    rng, n = sheet.rng, sheet.n
    number = np.zeros((n, n), np.float32)
    for k, (x, y, r, _) in enumerate(discs):
        centre = int((x + 1) * n * 8 - 8), int((y + 1) * n * 8 - 8)  # in 1/16 pixels
        cv2.circle(number, centre, int(r * n / 2 * 16), k + 1.0, -1, cv2.LINE_8, 4)
    table = np.asarray([(0, 0, 1.0, 0), *discs], np.float32)[number.astype(np.int64)]
    u = (sheet.x - table[..., 0]) / table[..., 2]
    v = (sheet.y - table[..., 1]) / table[..., 2]
    rho = np.minimum(np.hypot(u, v), 1.0)
    on = (number > 0).astype(np.float32)
    radius = table[..., 2] * on
    dome = radius * np.sqrt(np.maximum(0, 1 - rho**2))
    turn = rng.uniform(0, 2 * np.pi)
    c, s = np.cos(turn) * n / 2, np.sin(turn) * n / 2
    mx, my = c * u - s * v + n / 2, s * u + c * v + n / 2
    inner = cv2.remap(dome, mx.astype(np.float32), my.astype(np.float32), 1)
    small = smoothstep(4 / n, 30 / n, radius)  # no detail in the smallest
    fine = inner * small * radius
    height = 0.8 * dome + 1.1 * fine
    tone = table[..., 3] + 0.25 * rho + 0.6 * inner * small + 0.03 * sheet.noise(0.5)
    paint = _look_up(palette, tone)
    paint = paint * (1 - 0.55 * smoothstep(0.8, 1.0, rho) * on)[..., None]
    paint = blend(_look_up(palette, 0.02 + 0.1 * sheet.noise(0.6)) * 0.45, paint, on)
    r, _ = sheet.polar()
    mask = smoothstep(0.0, 0.02, 0.97 - r)
    sheet.lay(mask, paint, 0.06, height, gloss=gloss, rim=0.6)


def _touching(a, b, c):
    """Return the small disc that touches three that touch, as bend and centre."""
    bend = a[0] + b[0] + c[0]
    bend += 2 * np.sqrt(max(0.0, a[0] * b[0] + b[0] * c[0] + c[0] * a[0]))
    p, q, r = (disc[0] * disc[1] for disc in (a, b, c))
    root = 2 * np.sqrt(p * q + q * r + r * p + 0j)
    ends = [(p + q + r + sign * root) / bend for sign in (1, -1)]
    miss = [
        sum(abs(abs(z - d[1]) - abs(1 / d[0] + 1 / bend)) for d in (a, b, c))
        for z in ends
    ]
    return bend, ends[int(np.argmin(miss))]


def _gasket(sheet: Sheet, palette: np.ndarray) -> None:
    """Lay Apollonius' gasket; Descartes' theorem gives the fourth of touching discs."""
    rng = sheet.rng
    k = int(rng.choice([3, 3, 4, 5, 6]))
    a, turn = np.sin(np.pi / k), rng.uniform(0, 2 * np.pi)
    radius = a / (1 + a)
    ring = (1 - radius) * np.exp(1j * (turn + 2 * np.pi * np.arange(k) / k))
    first = [(1 / radius, z) for z in ring]
    outer, hub = (-1.0, 0j), (1 / (1 - 2 * radius), 0j)
    done, jobs = [*first, hub], []
    for i in range(k):
        pair = first[i], first[(i + 1) % k]
        for third in (outer, hub):
            new = _touching(*pair, third)
            done.append(new)
            jobs += [(*pair, new, third), (pair[0], third, new, pair[1])]
            jobs.append((pair[1], third, new, pair[0]))
    while jobs and len(done) < 260:
        a1, a2, a3, old = jobs.pop(0)
        bend = 2 * (a1[0] + a2[0] + a3[0]) - old[0]
        if bend > 32 or bend <= 0:
            continue
        z = 2 * (a1[0] * a1[1] + a2[0] * a2[1] + a3[0] * a3[1]) - old[0] * old[1]
        new = (bend, z / bend)
        done.append(new)
        jobs += [(a1, a2, new, a3), (a1, a3, new, a2), (a2, a3, new, a1)]
    phase = rng.random()
    discs = [
        (0.95 * z.real, 0.95 * z.imag, 0.95 / b, phase + 0.23 * np.log(b))
        for b, z in done
    ]
    _discs(sheet, palette, discs, rng.uniform(0.4, 0.9))


# Ferns and snowflakes --------------------------------------------------------


def _fern(sheet: Sheet, palette: np.ndarray) -> None:
    """Lay a rosette of ferns, each frond made of fronds (Barnsley's four maps)."""
    rng, n = sheet.rng, sheet.n
    curl, wide = rng.uniform(-0.06, 0.06), rng.uniform(0.9, 1.3)
    maps = np.float32(
        [
            [[0.0, 0.0, 0.0], [0.0, 0.16, 0.0]],
            [[0.85, curl, 0.0], [-curl, 0.85, 1.6]],
            [[0.2 * wide, -0.26, 0.0], [0.23 * wide, 0.22, 1.6]],
            [[-0.15 * wide, 0.28, 0.0], [0.26 * wide, 0.24, 0.44]],
        ]
    )
    points = np.zeros((4000, 2), np.float32)
    points[:, 1] = rng.uniform(0, 9, 4000)
    trail = []
    for step in range(22):
        choice = np.searchsorted([0.02, 0.74, 0.87], rng.random(len(points)))
        m = maps[choice]
        points = np.einsum("kij,kj->ki", m[:, :, :2], points) + m[:, :, 2]
        if step > 12:
            trail.append(points)
    cloud = np.vstack(trail) / 10.2
    count = int(rng.choice([1, 3, 4, 5, 6]))
    if count == 1:
        cloud = cloud * (2.6, 1.95) - (0, 0.97)
    turn = rng.uniform(0, 2 * np.pi)
    mask = np.zeros((n, n), np.float32)
    for k in range(count):
        p = turned(cloud * (1, -1), turn + 2 * np.pi * k / count if count > 1 else 0)
        i = np.clip(((p + 1) * n / 2).astype(np.int64), 0, n - 1)
        hits = np.bincount(i[:, 1] * n + i[:, 0], minlength=n * n)
        mask = np.maximum(mask, hits.reshape(n, n).astype(np.float32))
    solid = cv2.GaussianBlur(np.minimum(mask, 2.0), (0, 0), 1.0)
    height = cv2.GaussianBlur(solid, (0, 0), 2.0) * 0.06 + 0.02 * solid
    r, _ = sheet.polar()
    tone = 0.5 * r + 0.12 * solid + 0.1 * sheet.noise(0.7) + rng.random()
    ground = smoothstep(0.15, 0.5, cv2.GaussianBlur(solid, (0, 0), 0.035 * n) * 4)
    under = _look_up(palette, tone + 0.45) * 0.4
    sheet.lay(ground, under, 0.06, 0.03 * sheet.noise(0.5), gloss=0.1, rim=0.3)
    leaf = smoothstep(0.15, 0.5, solid)
    sheet.lay(leaf, _look_up(palette, tone), 0.04, height, gloss=0.4, rim=0.35)


def _koch(sheet: Sheet, palette: np.ndarray) -> None:
    """Lay snowflakes of Koch in one another, turned by turns."""
    rng = sheet.rng
    line = np.exp(2j * np.pi * np.array([0, 1, 2, 0]) / 3)
    outwards = np.exp(-1j * np.pi / 3)
    for _ in range(4):
        a, step = line[:-1], np.diff(line) / 3
        tip = a + step + step * outwards
        line = np.append(np.stack([a, a + step, tip, a + 2 * step], 1), line[-1])
    flake = np.stack([line.real, line.imag], 1)
    flake = flake / np.abs(flake).max()
    reach, turn, tone = 0.97, rng.uniform(0, 2 * np.pi), rng.random()
    shrink = rng.uniform(0.62, 0.8)
    step = rng.choice([np.pi / 6, np.pi / 6, 0.0, rng.uniform(0.05, 0.3)])
    grain = 0.006 * sheet.noise(0.2)
    r, theta = sheet.polar()
    for _ in range(6):
        mask = sheet.polygon(turned(flake, turn) * reach)
        rays = np.cos(6 * (theta - turn)) * np.sin(22 * r / (reach + 0.05))
        paint = _look_up(palette, tone + 0.16 * r / reach + 0.05 * rays)
        sheet.lay(mask, paint, 0.07, grain + 0.012 * rays, gloss=0.5, rim=0.6)
        reach, turn, tone = reach * shrink, turn + step, tone + rng.uniform(0.2, 0.4)
