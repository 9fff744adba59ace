"""Plumage: coats of small feathers, and fans of long quills."""

from __future__ import annotations

import numpy as np

from .brush import Sheet, blend, smoothstep


def window(sheet: Sheet, points, margin: float = 0.1):
    """Return the slices of rows and columns that hold the points, with a margin."""
    points = np.asarray(points, np.float32)
    low = np.clip((points.min(0) - margin + 1) / 2 * sheet.n, 0, sheet.n - 1)
    high = np.clip((points.max(0) + margin + 1) / 2 * sheet.n, 2, sheet.n)
    return (
        slice(int(low[1]), int(np.ceil(high[1]))),
        slice(int(low[0]), int(np.ceil(high[0]))),
    )


def _chance(a, b) -> np.ndarray:
    """Return a fixed number in [0, 1) for each pair of whole numbers."""
    x = np.sin(a * 12.9 + b * 78.2) * 43758.5
    return x - np.floor(x)


def _cells(along, across, body, light: float):
    """Return colour and height of feathers whose tips point up `along`, size 1."""
    row = np.floor(along)
    cell = across + 0.5 * (row % 2)
    column = np.floor(cell)
    u = cell - column - 0.5
    # Each feather's tip is round, so the tip's rim falls back towards its sides.
    v = (along - row + 1.3 * u * u) % 1.0
    rim = smoothstep(0.72, 0.95, v)
    fringe = smoothstep(0.5, 0.72, v) * (1 - rim)
    barbs = np.sin(16 * np.abs(u) - 13 * v)
    shaft = np.exp(-((u / 0.07) ** 2)) * (1 - rim)
    tone = 0.72 + 0.5 * v + 0.12 * barbs + light * fringe + 0.15 * shaft
    tone = (tone + 0.3 * (_chance(row, column) - 0.5)) * (1 - 0.6 * rim)
    return body * tone[..., None], 0.25 * v - 0.45 * rim + 0.03 * barbs + 0.05 * shaft


def coat(
    sheet: Sheet, outline, paint, centre, pitch: float, puff: float, light: float = 0.3
) -> None:
    """Lay a part in feathers that grow larger and point away from a centre.

    The map by the logarithm of the radius keeps every feather as long as wide.
    """
    box = window(sheet, outline)
    dx, dy = sheet.x[box] - centre[0], sheet.y[box] - centre[1]
    r = np.hypot(dx, dy) + 0.08
    wobble = 0.25 * sheet.noise(0.8)[box]
    # The seam of the angle lies where the beak is.
    body = np.asarray(paint, np.float32)
    body = body[box] if body.ndim == 3 else body
    colours, height = _cells(
        np.log(r) / pitch + wobble, np.arctan2(-dy, -dx) / pitch + wobble, body, light
    )
    _lay(sheet, sheet.polygon(outline), box, colours, height * r * pitch * 0.5, puff)


def _lay(sheet: Sheet, mask, box, colours, height, puff: float) -> None:
    paint = np.zeros((sheet.n, sheet.n, 3), np.float32)
    bump = np.zeros((sheet.n, sheet.n), np.float32)
    paint[box] = np.clip(colours, 0, 1)
    bump[box] = height
    sheet.lay(mask, paint, puff, bump, gloss=0.15, rim=0.35)


def fan(
    sheet: Sheet,
    root,
    angle: float,
    spread: float,
    reach: float,
    count: int,
    paints,
    taper: float = 0.4,
    side: int = 1,
) -> None:
    """Lay a wing or a tail: rows of quills about a root, the shortest row on top.

    Args:
        sheet: Where to lay it.
        root: Where all quills meet.
        angle: Where the middle quill points, before mirroring.
        spread: The angle between the first quill and the last.
        reach: Length of the first quill, the leading edge.
        count: How many quills.
        paints: One colour for each row, the longest quills first.
        taper: How much shorter the last quill is.
        side: -1 mirrors the fan left to right.
    """
    rng = sheet.rng
    ends = angle + spread * np.linspace(-0.55, 0.55, 12)
    rim = np.stack([side * np.cos(ends), np.sin(ends)], 1) * reach + root
    box = window(sheet, np.vstack([rim, [root]]), 0.06)
    dx, dy = side * (sheet.x[box] - root[0]), sheet.y[box] - root[1]
    turn = np.arctan2(dy, dx) - angle
    turn = (turn + np.pi) % (2 * np.pi) - np.pi
    r = np.hypot(dx, dy)
    t = np.clip(turn / spread + 0.5, 0, 1)
    limit = reach * (1 - taper * t**1.2) * (1 - 0.25 * np.exp(-t * 7))
    bands = rng.integers(0, 2) * rng.uniform(0.2, 0.5)
    colours, height, whole = np.zeros((3,), np.float32), 0.0, None
    shares = (1.0, rng.uniform(0.62, 0.74), rng.uniform(0.38, 0.46))
    for k, (share, paint) in enumerate(zip(shares, paints, strict=True)):
        phase = t * (count - 0.01) * (1 + 0.4 * k)
        s = phase - np.floor(phase)
        edge = limit * share * (1 - (0.1 - 0.01 * k) * np.abs(2 * s - 1) ** 2.2)
        inside = smoothstep(-0.008, 0.012, edge - r)
        whole = inside if whole is None else whole
        vane = _vane(r / (edge + 1e-4), s, r, np.floor(phase), paint, bands)
        # A row drops its shadow on the row below.
        colours = colours * (1 - 0.55 * np.exp(-(((r - edge) / 0.06) ** 2)))[..., None]
        colours = blend(colours, vane, inside)
        height = height * (1 - inside) + inside * (0.045 * s + 0.03 * k)
    inner = smoothstep(0.0, 0.03, spread / 2 - np.abs(turn)) * whole
    mask = np.zeros((sheet.n, sheet.n), np.float32)
    mask[box] = inner
    _lay(sheet, mask, box, colours, height, 0.07)


def _vane(v, s, r, number, paint, bands: float) -> np.ndarray:
    """Return the colours of one row of quills, `v` along each and `s` across."""
    barbs = np.sin(70 * r - 14 * np.abs(s - 0.4))
    shaft = np.exp(-(((s - 0.4) / 0.09) ** 2))
    gap = smoothstep(0.82, 1.0, s)
    tone = 0.75 + 0.45 * s + 0.13 * barbs + 0.3 * shaft - 0.5 * gap
    tone = tone - bands * smoothstep(-0.2, 0.5, np.sin(15 * v))
    tone = tone + 0.25 * (_chance(number, number) - 0.5)
    tone = tone * (1 - 0.4 * smoothstep(0.8, 0.97, v))
    return np.asarray(paint, np.float32) * tone[..., None]
