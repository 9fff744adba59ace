"""Turn the trained network into the file that ships: `python training/export.py`.

The Keras model is lowered by `keras_dream` itself and saved as its graph, so loading
`motif` needs no Keras. The file is read back and compared with the Keras model on
scenes: half precision must cost next to nothing.

Needs `keras_dream` installed, or `PYTHONPATH=src`.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

import network
from motifs import CLASSES, scene

HERE = Path(__file__).resolve().parent
SHIPPED = HERE.parent / "src/keras_dream/zoo/builtin/motif.safetensors"
OBJECTIVE = "motifs:0,6-8 + 0.2*class:owl"  # eye, dog, cat, owl
TOLERANCE = 0.02  # of the logits' standard deviation


def logits_of(graph, picture: np.ndarray) -> np.ndarray:
    """Return the class scores that a graph gives to a picture in [0, 1]."""
    from keras_dream.backend import load as backends
    from keras_dream.graph.program import Program

    runner = backends.load("torch")
    program = Program(graph, [graph.classifier], runner)
    plan = graph.plan(*picture.shape[:2]).values
    (scores,) = program(runner.image(picture), plan)
    return np.asarray(scores.detach()).reshape(-1)


def error(motif, graph) -> float:
    """Return the worst error of the graph's logits, in their standard deviations."""
    worst = 0.0
    for seed in range(8):
        picture, _ = scene(np.random.default_rng([11, seed]), 96)
        wanted = np.asarray(motif(2 * picture[None] - 1, training=False)[0])[0]
        found = logits_of(graph, picture)
        worst = max(worst, float(np.abs(found - wanted).max() / wanted.std()))
    return worst


def main() -> None:
    """Lower, save, read back and compare."""
    from keras_dream.graph import file
    from keras_dream.lowering.walker import lower

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", default=HERE / "runs/motif.weights.h5")
    parser.add_argument("--twin", action="store_true", help="weights of a checkpoint")
    parser.add_argument("--objective", default=OBJECTIVE)
    parser.add_argument("--out", type=Path, default=SHIPPED)
    args = parser.parse_args()
    motif, twin = network.build()
    (twin if args.twin else motif).load_weights(args.weights)
    lowered = lower(motif, preprocessing="tf", objective=args.objective)
    lowered = replace(lowered, classes=CLASSES)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    partial = args.out.with_suffix(".part")
    file.save(lowered, partial, half=True)
    worst = error(motif, file.load(partial))
    if not worst < TOLERANCE:
        partial.unlink()
        raise SystemExit(f"the saved network is off by {worst:.3f} deviations")
    partial.chmod(0o644)  # safetensors writes for its owner alone; a wheel keeps that
    partial.replace(args.out)
    size = args.out.stat().st_size / 1e6
    print(f"{args.out}: {size:.2f} MB, logits within {worst:.4f} deviations")


if __name__ == "__main__":
    main()
