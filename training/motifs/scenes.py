"""Scenes: motifs of several sizes, overlapping, on grounds like nature's."""

from __future__ import annotations

import cv2
import numpy as np

from .brush import blend, colour, noise, smoothstep
from .registry import BACKGROUND, MOTIFS

SMALLEST = 0.2  # a motif's share of the picture's side
LARGEST = 1.25  # beyond 1, so that parts alone are known too
CLOSING = 0.1  # gaps up to this share of a motif (between twigs, arms) count as it
NAMES = tuple(MOTIFS)


def ground(rng: np.random.Generator, size: int) -> np.ndarray:
    """Return a ground, `(size, size, 3)` in [0, 1]: noise, gradients, weave, bokeh."""
    hue = rng.random()
    a = colour(rng, hue, rng.uniform(0.05, 0.6), rng.uniform(0.15, 0.9))
    b = colour(
        rng, hue + rng.normal(0, 0.12), rng.uniform(0.05, 0.6), rng.uniform(0.15, 0.9)
    )
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    x, y = np.meshgrid(axis, axis)
    turn = rng.uniform(0, 2 * np.pi)
    ramp = 0.5 + 0.5 * (x * np.cos(turn) + y * np.sin(turn))
    soft = noise(rng, size, rng.uniform(0.4, 1.0), rng.uniform(1, 2))
    t = np.clip(
        ramp * rng.uniform(0, 1) + 0.5 * rng.random() + soft * rng.uniform(0.1, 0.8),
        0,
        1,
    )
    picture = blend(a, b, t)
    kind = rng.random()
    if kind < 0.2:
        pitch = rng.uniform(10, 50)
        weave = np.sin(pitch * (x * np.cos(turn) + y * np.sin(turn)) + 3 * soft)
        picture = picture * (1 + rng.uniform(0.05, 0.25) * weave)[..., None]
    elif kind < 0.4:
        for _ in range(int(rng.integers(3, 12))):
            cx, cy, r = *rng.uniform(-1, 1, 2), rng.uniform(0.05, 0.5)
            disc = smoothstep(r, r * rng.uniform(0.3, 0.95), np.hypot(x - cx, y - cy))
            picture = blend(picture, colour(rng, hue, 0.4, 0.6, 0.2), 0.5 * disc)
    elif kind < 0.55:
        c = colour(rng, hue + 0.3, 0.4, 0.5)
        level = rng.uniform(-0.4, 0.6) + 0.2 * noise(rng, size, 0.9)
        below = smoothstep(-0.02, 0.02, y - level)
        picture = blend(
            picture, c * (1 + 0.3 * noise(rng, size, 0.3))[..., None], below
        )
    grain = noise(rng, size, rng.uniform(0, 0.6))
    picture = picture * (1 + rng.uniform(0, 0.35) * grain)[..., None]
    return np.clip(picture, 0, 1).astype(np.float32)


def single(rng: np.random.Generator, name: str, size: int) -> np.ndarray:
    """Return one motif nearly filling a picture, `(size, size, 3)` in [0, 1]."""
    picture = ground(rng, size)
    labels = np.full((size, size), BACKGROUND, np.uint8)
    share = rng.uniform(0.65, 1.0)
    free = 0.5 * (1 - share)
    centre = 0.5 + rng.uniform(-free, free, 2)
    _place(rng, picture, labels, name, share, centre)
    return _finish(rng, picture)


def scene(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a picture of several motifs and what is where in it.

    Returns:
        The picture, `(size, size, 3)` float32 in [0, 1], and the class number at each
        pixel, `(size, size)` uint8, with `BACKGROUND` where no motif is.
    """
    picture = ground(rng, size)
    labels = np.full((size, size), BACKGROUND, np.uint8)
    kind = rng.random()
    if kind < 0.03:
        shares = []
    elif kind < 0.3:
        shares = [rng.uniform(0.6, LARGEST)]
    else:
        count = int(rng.integers(4, 11))
        low, high = np.log(SMALLEST), np.log(0.8)
        shares = sorted(np.exp(rng.uniform(low, high, count)), reverse=True)
    crowd = rng.random() < 0.3  # several of one class
    name = NAMES[rng.integers(len(NAMES))]
    for share in shares:
        if not crowd:
            name = NAMES[rng.integers(len(NAMES))]
        margin = min(0.5, 0.35 * share)
        _place(rng, picture, labels, name, share, rng.uniform(margin, 1 - margin, 2))
    return _finish(rng, picture), labels


def _place(rng, picture, labels, name: str, share: float, centre) -> None:
    """Draw a motif, turn and stretch it, and lay it into picture and labels."""
    size = picture.shape[0]
    side = max(16, round(share * size))
    motif = MOTIFS[name]
    drawing = motif.draw(rng, side)
    number = NAMES.index(name)
    drawing[..., :3] *= drawing[..., 3:]
    if rng.random() < 0.5:
        drawing = drawing[:, ::-1]
    turn = rng.uniform(-motif.turn, motif.turn)
    fit = 1.0 if motif.turn > 1 else 1 / (np.cos(turn) + abs(np.sin(turn)))
    stretch = fit * np.exp(rng.normal(0, 0.08, 2))
    c, s = np.cos(turn), np.sin(turn)
    matrix = np.array(
        [[c * stretch[0], -s * stretch[1]], [s * stretch[0], c * stretch[1]]]
    )
    # A slight shear stands for a view from the side.
    matrix = matrix @ np.array([[1, rng.normal(0, 0.08)], [0, 1]])
    middle = (side - 1) / 2
    offset = np.asarray(centre) * size - matrix @ [middle, middle]
    move = np.hstack([matrix, offset[:, None]]).astype(np.float32)
    laid = cv2.warpAffine(
        np.ascontiguousarray(drawing), move, (size, size), flags=cv2.INTER_LINEAR
    )
    alpha = laid[..., 3:]
    shadow = cv2.GaussianBlur(alpha, (0, 0), max(1.0, 0.03 * side))[..., None]
    picture *= 1 - 0.35 * shadow * (1 - alpha)
    picture *= 1 - alpha
    picture += laid[..., :3]
    solid = (alpha[..., 0] > 0.4).astype(np.uint8)
    width = max(3, round(CLOSING * side)) | 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    labels[cv2.morphologyEx(solid, cv2.MORPH_CLOSE, kernel) > 0] = number


def _finish(rng, picture: np.ndarray) -> np.ndarray:
    """Return the picture under one light: exposure, cast, haze, blur, grain."""
    size = picture.shape[0]
    cast = np.exp(rng.normal(0, 0.06, 3)).astype(np.float32)
    picture = picture * cast * np.float32(rng.uniform(0.75, 1.25))
    if rng.random() < 0.4:
        light = 1 + 0.35 * noise(rng, size, 1.0, 2.0)
        picture = picture * light[..., None]
    if rng.random() < 0.3:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.1))
    if rng.random() < 0.4:
        grain = rng.standard_normal(picture.shape).astype(np.float32)
        picture = picture + rng.uniform(0, 0.03) * grain
    return np.clip(picture, 0, 1).astype(np.float32)
