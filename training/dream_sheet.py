"""A contact sheet of dreams: `python training/dream_sheet.py --out sheet.png`.

A dream in its plainest form, for judging checkpoints: octaves from small to large,
steps along the gradient divided by its mean magnitude, jitter, clamp. It uses
nothing of `keras_dream`, so it shows the network and not the library.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import cv2
import keras
import numpy as np
import tensorflow as tf

import network
from motifs import CLASSES
from motifs.brush import noise, smoothstep

HERE = Path(__file__).resolve().parent


class Settings(NamedTuple):
    """How to dream; steps are in units of the [0, 1] range."""

    octaves: int = 4
    scale: float = 1.4
    steps: int = 20
    step: float = 0.012
    jitter: int = 16
    smooth: float = 0.0  # sigma in pixels of a blur of the gradient
    width: int = 480
    decay: float = 0.0  # weight of a pull back to the source


def sources(width: int) -> dict[str, np.ndarray]:
    """Return the pictures to dream on: a cat, a portrait, clouds."""
    from skimage import data

    height = width * 2 // 3
    pictures = {}
    for name in ("chelsea", "astronaut"):
        picture = getattr(data, name)().astype(np.float32) / 255
        h, w = picture.shape[:2]
        if h / w > 2 / 3:
            picture = picture[: w * 2 // 3]
        pictures[name] = cv2.resize(
            picture, (width, height), interpolation=cv2.INTER_AREA
        )
    rng = np.random.default_rng(3)
    cloud = smoothstep(-0.1, 0.5, noise(rng, width, 0.6, 2.0)[:height, :, None])
    sky = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    blue = (
        np.float32([0.25, 0.45, 0.8]) * (1 - sky) + np.float32([0.6, 0.75, 0.9]) * sky
    )
    pictures["clouds"] = (blue * (1 - cloud) + cloud).astype(np.float32)
    return pictures


def make_gradient(twin: keras.Model, objective: str):
    """Return `picture (1, h, w, 3) -> gradient` of an objective's text.

    Terms are joined by `+` and `-`; a term is `class:NAME`, averaged over positions,
    `motifs`, the mean square of the motifs' positive scores, or a layer's name, its
    mean square, each with an optional weight and `*` before it.
    """
    terms = []
    text = objective.replace(" ", "").replace("-", "+-").removeprefix("+")
    for term in text.split("+"):
        weight, _, name = term.removeprefix("-").rpartition("*")
        sign = -1 if term.startswith("-") else 1
        terms.append((sign * float(weight or 1), name))
    layers = [n for _, n in terms if n != "motifs" and not n.startswith("class:")]
    outputs = [*twin.outputs, *[twin.get_layer(n).output for n in layers]]
    probe = keras.Model(twin.inputs, outputs)

    @tf.function(reduce_retracing=True)
    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            logits, _, *values = probe(2 * x - 1, training=False)
            score = 0.0
            for weight, name in terms:
                if name.startswith("class:"):
                    number = CLASSES.index(name[6:])
                    score += weight * tf.reduce_mean(logits[..., number])
                elif name == "motifs":
                    score += weight * tf.reduce_mean(tf.nn.relu(logits[..., :-1]) ** 2)
                else:
                    score += weight * tf.reduce_mean(values.pop(0) ** 2)
        return tape.gradient(score, x)

    return gradient


def dream(gradient, picture: np.ndarray, s: Settings, seed: int = 0) -> np.ndarray:
    """Return the dream of a picture `(h, w, 3)` in [0, 1]."""
    rng = np.random.default_rng(seed)
    h, w = picture.shape[:2]
    sizes = [
        (round(w / s.scale**k), round(h / s.scale**k))
        for k in reversed(range(s.octaves))
    ]
    base = [cv2.resize(picture, size, interpolation=cv2.INTER_AREA) for size in sizes]
    x = base[0]
    for index, size in enumerate(sizes):
        if index:
            moved = x - base[index - 1]
            moved = cv2.resize(moved, size, interpolation=cv2.INTER_CUBIC)
            x = np.clip(base[index] + moved, 0, 1)
        for _ in range(s.steps):
            shift = rng.integers(-s.jitter, s.jitter + 1, 2)
            rolled = np.roll(x, shift, (0, 1))
            g = gradient(tf.constant(rolled[None])).numpy()[0]
            g = np.roll(g, -shift, (0, 1))
            if s.smooth:
                g = cv2.GaussianBlur(g, (0, 0), s.smooth)
            x = x + s.step * g / (np.abs(g).mean() + 1e-12)
            if s.decay:
                x = x + s.decay * (base[index] - x)
            x = np.clip(x, 0, 1)
    return x


def sheet(twin, objectives: list[str], pictures: dict, s: Settings) -> np.ndarray:
    """Return dreams side by side: a row for a picture, a column for an objective."""
    rows = {name: [] for name in pictures}
    for objective in objectives:
        gradient = make_gradient(twin, objective)
        for name, picture in pictures.items():
            cell = (dream(gradient, picture, s) * 255).round().astype(np.uint8)
            cell = np.ascontiguousarray(cell[..., ::-1])
            cv2.putText(cell, objective, (5, 13), 0, 0.42, (0, 0, 0), 3, cv2.LINE_AA)
            white = (255, 255, 255)
            cv2.putText(cell, objective, (5, 13), 0, 0.42, white, 1, cv2.LINE_AA)
            rows[name].append(cell)
    return np.vstack([np.hstack(row) for row in rows.values()])


def main() -> None:
    """Read the command line and write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("objectives", nargs="*", default=["mixed2", "mixed4"])
    parser.add_argument("--weights", default=HERE / "runs/motif/twin.weights.h5")
    parser.add_argument("--out", default=HERE / "runs/sheet.png")
    parser.add_argument("--pictures", default="chelsea,clouds")
    for name, default in Settings()._asdict().items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    args = parser.parse_args()
    _, twin = network.build()
    twin.load_weights(args.weights)
    settings = Settings(*[getattr(args, name) for name in Settings._fields])
    every = sources(settings.width)
    chosen = {name: every[name] for name in args.pictures.split(",")}
    picture = sheet(twin, args.objectives or list(CLASSES[:-1]), chosen, settings)
    cv2.imwrite(str(args.out), picture)


if __name__ == "__main__":
    main()
