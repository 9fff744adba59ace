"""Render the pool of scenes that training draws from: `python training/pool.py`.

Drawing costs more than a training step, so the scenes are drawn once; cropping,
mirroring, colour and noise make them new at every visit.
"""

from __future__ import annotations

import argparse
import multiprocessing
from pathlib import Path

import cv2
import numpy as np

from motifs import BACKGROUND, CLASSES, scene

HERE = Path(__file__).resolve().parent
DATA = HERE / "data"
SIDE = 128  # pixels across a stored scene
SMALLEST_CUT = 0.6  # of its side; a cut is resized to a training picture
CHUNK = 500  # scenes a file
SEED = 7


def render_chunk(number: int) -> Path:
    """Render one file of scenes, unless it is there already."""
    cv2.setNumThreads(1)
    path = DATA / f"scenes-{number:03}.npz"
    if path.exists():
        return path
    pictures = np.empty((CHUNK, SIDE, SIDE, 3), np.uint8)
    labels = np.empty((CHUNK, SIDE, SIDE), np.uint8)
    for i in range(CHUNK):
        rng = np.random.default_rng([SEED, number, i])
        picture, labels[i] = scene(rng, SIDE)
        pictures[i] = np.round(picture * 255)
    partial = path.with_suffix(".part.npz")
    np.savez(partial, pictures=pictures, labels=labels)
    partial.replace(path)
    return path


def load() -> tuple[np.ndarray, np.ndarray]:
    """Return all scenes rendered so far: pictures and label maps, both uint8."""
    paths = [p for p in sorted(DATA.glob("scenes-*.npz")) if ".part" not in p.name]
    if not paths:
        raise FileNotFoundError(f"no scenes in {DATA}: run python training/pool.py")
    parts = [np.load(path) for path in paths]
    pictures = np.concatenate([part["pictures"] for part in parts])
    labels = np.concatenate([part["labels"] for part in parts])
    return pictures, labels


def batch(
    rng: np.random.Generator, pictures, labels, count: int, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return a batch of augmented cuts.

    Returns:
        Pictures `(count, size, size, 3)` float32 in [0, 1], and label maps
        `(count, size, size)` uint8.
    """
    x = np.empty((count, size, size, 3), np.float32)
    y = np.empty((count, size, size), np.uint8)
    whole = pictures.shape[1]
    for i, chosen in enumerate(rng.integers(0, len(pictures), count)):
        side = int(rng.integers(round(SMALLEST_CUT * whole), whole + 1))
        top, left = rng.integers(0, whole - side + 1, 2)
        cut = np.s_[chosen, top : top + side, left : left + side]
        flip = np.s_[:, ::-1] if rng.random() < 0.5 else np.s_[:, :]
        x[i] = _resized(pictures[cut], size, cv2.INTER_AREA)[flip]
        y[i] = _resized(labels[cut], size, cv2.INTER_NEAREST)[flip]
    return _recoloured(rng, x / 255), y


def _resized(cut: np.ndarray, size: int, how: int) -> np.ndarray:
    # A larger cut is averaged down; a smaller one needs interpolation.
    if how == cv2.INTER_AREA and len(cut) < size:
        how = cv2.INTER_LINEAR
    return cv2.resize(cut, (size, size), interpolation=how)


def _recoloured(rng: np.random.Generator, x: np.ndarray) -> np.ndarray:
    """Return pictures under another light, a third of them greyer.

    Grey pictures make shape count for more than hue: without them the dreams fringe
    every contour with all the colours of the rainbow.
    """
    one = (len(x), 1, 1, 1)
    greyer = (rng.random(one) < 0.3) * rng.uniform(0.3, 1, one)
    grey = x @ np.float32([0.299, 0.587, 0.114])  # luma of BT.601
    x = x + greyer * (grey[..., None] - x)
    gain = np.exp(rng.normal(0, 0.1, (len(x), 1, 1, 3)) + rng.normal(0, 0.15, one))
    x = x * gain + rng.normal(0, 0.04, one)
    return np.clip(x, 0, 1).astype(np.float32)


def cells(labels: np.ndarray, stride: int) -> np.ndarray:
    """Return each cell's share of every class, `(n, h / stride, w / stride, classes)`.

    Sixteen samples a cell are enough for a share, and cheaper than every pixel.
    """
    step = max(1, stride // 4)
    sampled = labels[:, step // 2 :: step, step // 2 :: step]
    n, h, w = sampled.shape
    shares = np.eye(BACKGROUND + 1, dtype=np.float32)[sampled]
    side = stride // step
    shares = shares.reshape(n, h // side, side, w // side, side, len(CLASSES))
    return shares.mean((2, 4))


def main() -> None:
    """Render the pool in two processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=12_000)
    parser.add_argument("--processes", type=int, default=2)
    args = parser.parse_args()
    DATA.mkdir(exist_ok=True)
    numbers = range(-(-args.scenes // CHUNK))
    with multiprocessing.get_context("spawn").Pool(args.processes) as workers:
        for path in workers.imap(render_chunk, numbers):
            print(path.name, flush=True)


if __name__ == "__main__":
    main()
