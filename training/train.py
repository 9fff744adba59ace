"""Train the network `motif`: `python training/train.py`.

The network is trained to name what is at each position of a scene. After a plain
start it is trained on pictures that are moved, within an L2 ball, to where it errs:
gradients of such a network point along shapes that people see too (Tsipras et al.
2018; Engstrom et al. 2019), which is what a dream climbs. The attack is "free"
(Shafahi et al. 2019): one backward pass gives both the step of the weights and the
step of the attack, and each batch is visited `REPLAYS` times in a row.

TensorFlow runs it, because its convolutions on a CPU were the fastest of the three
backends (README.md). Every batch is drawn from (seed, step), so a run that was
stopped goes on as if it had not been.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

import network
import pool

HERE = Path(__file__).resolve().parent
RUNS = HERE / "runs"
SIZE = 96  # pixels across a training picture
BATCH = 48
REPLAYS = 3  # visits to a batch; more make a stronger attack and see fewer pictures
RATE = 2e-3
DECAY = 1e-4
AUXILIARY = 0.4  # weight of the classifier at `mixed3`
WHOLE = 0.3  # weight of the classifier of the whole picture
KEEP = 240  # steps between checkpoints; a multiple of REPLAYS
PLAIN = 0.05  # share of the run without an attack
RAMP = 0.3  # share of the run at which the attack has its full strength
# After the run proper, a short one at a weaker attack: it gives plain pictures back the
# few percent that the strong attack costs them.
COOL_RATE = 4e-4
COOL_EPS = 0.5  # of the full strength


class Plan(NamedTuple):
    """What decides a run."""

    steps: int  # of the run proper
    cool: int  # steps after it
    eps: float
    seed: int


def rate_at(plan: Plan, step: int) -> float:
    """Return the learning rate: a short warm-up, half a cosine, a straight end."""
    if step >= plan.steps:
        return COOL_RATE * (1 - (step - plan.steps) / plan.cool)
    warm = min(1.0, (step + 1) / 100)
    return RATE * warm * (0.5 + 0.5 * np.cos(np.pi * step / plan.steps)) + 1e-6


def eps_at(plan: Plan, step: int) -> float:
    """Return the attack's L2 radius, in units of the [0, 1] range."""
    if step >= plan.steps:
        return COOL_EPS * plan.eps
    done = step / plan.steps
    return plan.eps * float(np.clip((done - PLAIN) / (RAMP - PLAIN), 0, 1))


def losses(twin, x, deep, middle, training: bool):
    """Return the loss and the share of cells named rightly."""
    logits, side = twin(2 * x - 1, training=training)
    cross = tf.nn.softmax_cross_entropy_with_logits
    loss = tf.reduce_mean(cross(deep, logits))
    loss += AUXILIARY * tf.reduce_mean(cross(middle, side))
    whole = tf.reduce_mean(logits, (1, 2))
    loss += WHOLE * tf.reduce_mean(cross(tf.reduce_mean(deep, (1, 2)), whole))
    right = tf.argmax(logits, -1) == tf.argmax(deep, -1)
    return loss, tf.reduce_mean(tf.cast(right, tf.float32))


def within(delta, eps):
    """Return each picture's displacement, cut back to the L2 ball of radius `eps`."""
    norm = tf.sqrt(tf.reduce_sum(delta**2, (1, 2, 3), keepdims=True) + 1e-12)
    return delta * tf.minimum(1.0, eps / norm)


def make_step(twin, optimiser):
    """Return the compiled step: weights down the gradient, displacement up it."""

    @tf.function(reduce_retracing=True)
    def step(x, deep, middle, delta, eps):
        with tf.GradientTape() as tape:
            tape.watch(delta)
            seen = tf.clip_by_value(x + delta, 0.0, 1.0)
            loss, right = losses(twin, seen, deep, middle, True)
        weights = twin.trainable_variables
        *down, up = tape.gradient(loss, [*[w.value for w in weights], delta])
        optimiser.apply(down, weights)
        norm = tf.sqrt(tf.reduce_sum(up**2, (1, 2, 3), keepdims=True) + 1e-20)
        # Steps of a half cross the ball within the replays of one batch.
        delta = within(delta + 0.5 * eps * up / norm, eps)
        return loss, right, delta

    return step


def make_optimiser() -> keras.optimizers.Optimizer:
    """Return AdamW with clipped gradients."""
    return keras.optimizers.AdamW(RATE, weight_decay=DECAY, global_clipnorm=2.0)


def prepare(plan: Plan, step: int, pictures, labels):
    """Return the batch of a step, as the compiled step takes it."""
    rng = np.random.default_rng([plan.seed, step])
    x, y = pool.batch(rng, pictures, labels, BATCH, SIZE)
    deep = pool.cells(y, network.STRIDE)
    middle = pool.cells(y, network.AUXILIARY_STRIDE)
    return tf.constant(x), tf.constant(deep), tf.constant(middle)


def save(folder: Path, twin, optimiser, step: int) -> None:
    """Save weights, optimiser and progress; a stop in between loses nothing."""
    twin.save_weights(folder / "new.weights.h5")
    slots = {str(i): np.asarray(v) for i, v in enumerate(optimiser.variables)}
    np.savez(folder / "new.optimiser.npz", step=step, **slots)
    (folder / "new.weights.h5").replace(folder / "twin.weights.h5")
    (folder / "new.optimiser.npz").replace(folder / "optimiser.npz")


def resume(folder: Path, twin, optimiser) -> int:
    """Load what `save` left and return the step to go on with, 0 if there is none."""
    if not (folder / "optimiser.npz").exists():
        return 0
    twin.load_weights(folder / "twin.weights.h5")
    kept = np.load(folder / "optimiser.npz")
    for i, variable in enumerate(optimiser.variables):
        variable.assign(kept[str(i)])
    return int(kept["step"])


def train(plan: Plan, folder: Path) -> None:
    """Run the plan in a folder, going on from its checkpoint if there is one."""
    folder.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(plan.seed)
    pictures, labels = pool.load()
    motif, twin = network.build()
    optimiser = make_optimiser()
    optimiser.build(twin.trainable_variables)
    first = resume(folder, twin, optimiser)
    move = make_step(twin, optimiser)
    print(f"{len(pictures)} scenes, {motif.count_params()} parameters, from {first}")
    start, shown = time.monotonic(), []
    with ThreadPoolExecutor(1) as ahead, (folder / "log.jsonl").open("a") as log:
        coming = ahead.submit(prepare, plan, first, pictures, labels)
        for step in range(first, plan.steps + plan.cool):
            radius = eps_at(plan, step)
            if step % REPLAYS == 0 or step == first or not radius:
                x, deep, middle = coming.result()
                after = step + (REPLAYS - step % REPLAYS if radius else 1)
                coming = ahead.submit(prepare, plan, after, pictures, labels)
                delta = tf.zeros_like(x)
            optimiser.learning_rate = rate_at(plan, step)
            eps = tf.constant(radius, tf.float32)
            loss, right, delta = move(x, deep, middle, delta, eps)
            shown.append((float(loss), float(right)))
            if (step + 1) % 50 == 0:
                mean = np.mean(shown, 0)
                line = {
                    "step": step + 1,
                    "loss": round(float(mean[0]), 4),
                    "right": round(float(mean[1]), 4),
                    "eps": round(float(eps), 3),
                    "seconds": round(time.monotonic() - start),
                }
                print(json.dumps(line), file=log, flush=True)
                shown = []
            if (step + 1) % KEEP == 0:
                save(folder, twin, optimiser, step + 1)
    save(folder, twin, optimiser, plan.steps + plan.cool)
    motif.save_weights(RUNS / "motif.weights.h5")


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=10_500)
    parser.add_argument("--cool", type=int, default=1200)
    parser.add_argument("--eps", type=float, default=4.5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--run", default="motif", help="folder below training/runs")
    args = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(2)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    train(Plan(args.steps, args.cool, args.eps, args.seed), RUNS / args.run)


if __name__ == "__main__":
    main()
