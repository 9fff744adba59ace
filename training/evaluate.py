"""Measure the network on pictures it has never seen: `python training/evaluate.py`.

Freshly rendered pictures of one motif each, plain and moved by an L2 attack on the
whole picture's logits. Seeds differ from every seed of the pool.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf

import network
from motifs import CLASSES, MOTIFS, single

HERE = Path(__file__).resolve().parent
SEED = 90_210
SIZE = 96
ATTACK_STEPS = 20


def held_out(each: int) -> tuple[np.ndarray, np.ndarray]:
    """Return `each` pictures of every motif, `(n, 96, 96, 3)`, and their classes."""
    pictures, numbers = [], []
    for number, name in enumerate(MOTIFS):
        for k in range(each):
            rng = np.random.default_rng([SEED, number, k])
            pictures.append(single(rng, name, SIZE))
            numbers.append(number)
    return np.stack(pictures), np.asarray(numbers)


def attacked(motif, x: tf.Tensor, y: tf.Tensor, eps: float) -> tf.Tensor:
    """Return pictures moved to where the network errs, by at most `eps` in L2."""
    delta = tf.zeros_like(x)
    for _ in range(ATTACK_STEPS):
        with tf.GradientTape() as tape:
            tape.watch(delta)
            seen = tf.clip_by_value(x + delta, 0, 1)
            logits, _ = motif(2 * seen - 1, training=False)
            cross = tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)
        up = tape.gradient(cross, delta)
        norm = tf.norm(tf.reshape(up, (len(x), -1)), axis=1)[:, None, None, None]
        delta += 2.5 * eps / ATTACK_STEPS * up / (norm + 1e-12)
        norm = tf.norm(tf.reshape(delta, (len(x), -1)), axis=1)[:, None, None, None]
        delta *= tf.minimum(1.0, eps / (norm + 1e-12))
    return tf.clip_by_value(x + delta, 0, 1)


def named(motif, x: np.ndarray, y: np.ndarray, eps: float) -> np.ndarray:
    """Return the class given to each picture; background is no answer here."""
    given = []
    for start in range(0, len(x), 64):
        part = tf.constant(x[start : start + 64])
        if eps:
            part = attacked(motif, part, tf.constant(y[start : start + 64]), eps)
        logits, _ = motif(2 * part - 1, training=False)
        given.append(logits.numpy()[:, : len(MOTIFS)].argmax(1))
    return np.concatenate(given)


def main() -> None:
    """Print accuracy, overall and by class."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--each", type=int, default=25)
    parser.add_argument("--weights", default=HERE / "runs/motif.weights.h5")
    parser.add_argument("--twin", action="store_true", help="weights of a checkpoint")
    args = parser.parse_args()
    motif, twin = network.build()
    (twin if args.twin else motif).load_weights(args.weights)
    x, y = held_out(args.each)
    print(
        f"{len(x)} pictures, {len(MOTIFS)} classes, {motif.count_params()} parameters"
    )
    columns = {}
    for eps in (0.0, 0.5, 1.0, 2.0):
        columns[eps] = named(motif, x, y, eps) == y
        print(f"L2 attack {eps}: {100 * columns[eps].mean():.1f} %")
    for number, name in enumerate(CLASSES[: len(MOTIFS)]):
        figures = [f"{100 * c[y == number].mean():4.0f}" for c in columns.values()]
        print(f"{name:10} {' '.join(figures)}")


if __name__ == "__main__":
    main()
