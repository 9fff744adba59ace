"""Feature visualisation beside xplique and torch-lucent: seconds and objective.

    pip install xplique "tensorflow>=2.18,<2.21" torch-lucent kornia scikit-image
    python benchmarks/feature_visualisation.py [--steps 64] [--rounds 3] [--size 256]

The network is `motif` with the weights of the package, built by Keras: with TensorFlow
for xplique, with torch for lucent, which enlarges what is below 224 pixels. Everybody
maximises the mean of one channel over a whole square picture, without transformations,
one gradient a step, each with a process of its own, a thread of its own, and its own
default optimizer and rate. One run each
round in turn, after a run that warms up. The objective is measured on the finished
picture by one judge. Ours is also read at the seconds that the other took.

Optimisers and rates of ours are those of `OURS`; the others' are the defaults of their
functions. Each starts from noise of its own. MaCo keeps how strong each wave is, but
in xplique the conjugate waves of the spectrum's first column have phases of their own
and weaken each other: it takes the largest forms out. Ours cannot, and starts from
waves as strong as those of the picture that xplique has finished, of random phases.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Callable
from pathlib import Path

Trace = list[tuple[float, float]]  # the seconds and the loss of each step
ROOT = Path(__file__).parents[1]
LAYER, CHANNEL = "mixed4", 10  # one that responds to noise already

PAIRS = (  # theirs, ours
    ("xplique, Fourier", "ours, fourier"),
    ("lucent, Fourier", "ours, fourier"),
    ("xplique, MaCo", "ours, maco"),
)
OURS = {
    "ours, fourier": {"canvas": "fourier(decay=0.5)", "step_size": 0.03},
    "ours, maco": {"canvas": "maco(magnitude=photo)", "step_size": 0.3},
}


def keras_motif():
    """Returns the Keras model of `motif` with the weights of the package."""
    import keras
    import numpy as np

    sys.path.insert(0, str(ROOT / "training"))
    import network
    from keras_dream.zoo.network import Network

    weights = Network("motif").load().graph.weights
    model, _ = network.build()
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            scale, shift = (weights[f"{layer.name}/{n}"] for n in ("scale", "shift"))
            zero, one = np.zeros_like(scale), np.ones_like(scale)
            layer.set_weights([scale, shift, zero, one - layer.epsilon])
        elif layer.weights:
            arrays = [weights[f"{layer.name}/{v.name}"] for v in layer.weights]
            pairs = zip(arrays, layer.weights, strict=True)
            layer.set_weights([a.reshape(v.shape) for a, v in pairs])
    return model


def fixed(size: int):
    """Returns the model up to the layer, for square pictures in [-1, 1] of a size."""
    import keras

    model = keras_motif()
    body = keras.Model(model.inputs, model.get_layer(LAYER).output)
    inputs = keras.Input((size, size, 3))
    outputs = keras.layers.Activation("linear", name="seen")(body(inputs))
    return keras.Model(inputs, outputs)


def xplique(size: int, *, maco: bool) -> Callable[[int], object]:
    """Returns what runs xplique for a number of steps, to a picture in [0, 1]."""
    import numpy as np
    import tensorflow as tf
    import xplique.features_visualizations as visual

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    objective = visual.Objective.channel(fixed(size), "seen", CHANNEL)

    def fourier_run(steps: int):
        images, _ = visual.optimize(
            objective,
            nb_steps=steps,
            values_range=(-1, 1),
            transformations=None,
            custom_shape=(size, size),
        )
        return (np.asarray(images[-1])[0] + 1) / 2

    # Magnitudes of nature, not downloaded: noise of 1 / frequency in place of ImageNet.
    waves = tf.data.Dataset.from_tensors(natural(size)[None])

    def maco_run(steps: int):
        image, _ = visual.maco(
            objective,
            nb_steps=steps,
            values_range=(-1, 1),
            custom_shape=(size, size),
            maco_dataset=waves,
            nb_crops=0,
            noise_intensity=0.0,
        )
        return (np.asarray(image) + 1) / 2

    return maco_run if maco else fourier_run


def lucent(size: int) -> Callable[[int], object]:
    """Returns what runs lucent for a number of steps."""
    import torch

    without_torchvision()
    from lucent.optvis import param, render

    torch.set_num_threads(1)
    body = fixed(size)

    class Channels(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.seen = torch.nn.Identity()

        def forward(self, x):
            return self.seen(body(2 * x.permute(0, 2, 3, 1) - 1).permute(0, 3, 1, 2))

    for variable in body.weights:
        variable.value.requires_grad_(False)

    def run(steps: int):
        return render.render_vis(
            Channels().eval(),
            f"seen:{CHANNEL}",
            lambda: param.image(size),
            transforms=[],
            preprocess=False,
            thresholds=(steps,),
            progress=False,
            show_image=False,
        )[0][0]

    return run


def without_torchvision() -> None:
    """Lets lucent be imported beside a torchvision of another build than torch's.

    It imports a normalisation and a list of models from it, neither of which runs here.
    """
    for name, things in {"": (), ".transforms": ("Normalize",), ".models": ()}.items():
        module = types.ModuleType(f"torchvision{name}")
        for thing in things:
            setattr(module, thing, None)
        sys.modules[module.__name__] = module


def ours(size: int, settings: dict[str, object]) -> Callable[[int], object]:
    """Returns what runs ours; also keeps the seconds and the losses of all steps."""
    import numpy as np

    import keras_dream as kd

    run_settings = kd.RunSettings(threads=1, backend="torch", precision="float32")
    dreamer = kd.Dreamer("motif", run=run_settings)
    recipe = kd.Recipe(
        objective=f"{LAYER}:{CHANNEL}", loss="mean", octaves=1, jitter=0, **settings
    )
    noise = 0.5 + 0.01 * np.random.default_rng(0).normal(size=(size, size, 3))

    def run(steps: int):
        photo = np.load(ours.start) if "maco" in settings["canvas"] else noise
        photo = np.float32(photo)
        began, trace = time.perf_counter(), []
        run = dreamer.steps(photo, recipe.but(steps=steps))
        for step in run:
            trace.append((time.perf_counter() - began, step.loss))
        ours.trace = trace
        return run.dream.image

    return run


def natural(size: int):
    """Returns noise whose waves fall with their frequency, float32 (size, size, 3)."""
    import numpy as np

    generator = np.random.default_rng(0)
    y, x = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)
    scale = 1 / np.maximum(np.hypot(y, x), 1 / size) ** 1.5
    phases = generator.uniform(0, 2 * np.pi, (3, *scale.shape))
    image = np.fft.irfft2(scale * np.exp(1j * phases), s=(size, size))
    return np.float32(np.moveaxis(image / image.std(), 0, -1))


def rephase(path: Path) -> None:
    """Gives the waves of a picture's logits random phases; mean and strengths stay."""
    import numpy as np

    from keras_dream.parts.canvases import color_matrix

    image = np.float64(np.load(path)).clip(1e-4, 1 - 1e-4)
    colors = np.log(image / (1 - image)) @ np.linalg.inv(color_matrix())
    noise = np.random.default_rng(0).normal(size=colors.shape)
    phases = np.exp(1j * np.angle(np.fft.rfft2(noise, axes=(0, 1))))
    spectrum = np.fft.rfft2(colors, axes=(0, 1))
    moved = np.abs(spectrum) * phases
    moved[0, 0] = spectrum[0, 0]
    colors = np.fft.irfft2(moved, s=colors.shape[:2], axes=(0, 1))
    np.save(path, np.float32(1 / (1 + np.exp(-colors @ color_matrix()))))


def work(name: str, size: int) -> None:
    """A contender's process: for each line, a number of steps, it runs and answers."""
    import numpy as np

    made = {
        "xplique, Fourier": lambda: xplique(size, maco=False),
        "xplique, MaCo": lambda: xplique(size, maco=True),
        "lucent, Fourier": lambda: lucent(size),
    }
    run = made[name]() if name in made else ours(size, OURS[name])
    for line in sys.stdin:
        steps, path, ours.start = json.loads(line)
        began = time.perf_counter()
        image = run(steps)
        seconds = time.perf_counter() - began
        np.save(path, np.float32(image))
        trace = getattr(ours, "trace", [])
        print(json.dumps(["answer", seconds, trace]), flush=True)


class Contender:
    """The process of one program."""

    def __init__(self, name: str, size: int):
        backend = "tensorflow" if name.startswith("xplique") else "torch"
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--worker", name, "--size", str(size)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={
                **os.environ,
                "OMP_NUM_THREADS": "1",
                "KERAS_BACKEND": backend,
                "PYTHONPATH": str(ROOT / "src"),
                "CUDA_VISIBLE_DEVICES": "",
            },
        )

    def run(self, steps: int, path: Path, start: Path) -> tuple[float, Trace]:
        """Returns the seconds of a run, and of ours those and the loss of each step."""
        self._process.stdin.write(json.dumps([steps, str(path), str(start)]) + "\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith('["answer"'):
                _, seconds, trace = json.loads(line)
                return seconds, trace
        raise RuntimeError("A contender ended; run it with --worker to see why.")

    def close(self) -> None:
        """Ends the process."""
        self._process.stdin.close()
        self._process.terminate()
        self._process.wait()


def judge() -> Callable[[Path], float]:
    """Returns what measures the objective of a finished picture."""
    import numpy as np

    import keras_dream as kd

    run_settings = kd.RunSettings(threads=1, backend="torch", precision="float32")
    dreamer = kd.Dreamer("motif", run=run_settings)

    def score(path: Path) -> float:
        image = np.clip(np.load(path), 0, 1)
        return float(dreamer.features(image, [LAYER])[LAYER][..., CHANNEL].mean())

    return score


def main() -> None:
    """Runs the contenders in turn and prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--worker")
    arguments = parser.parse_args()
    if arguments.worker:
        work(arguments.worker, arguments.size)
        return
    sys.path.insert(0, str(ROOT / "src"))
    names = list(dict.fromkeys(name for pair in PAIRS for name in pair))
    contenders = {name: Contender(name, arguments.size) for name in names}
    seconds: dict[str, list[float]] = {name: [] for name in names}
    traces: dict[str, list[tuple[float, float]]] = {}
    scores: dict[str, float] = {}
    score = judge()
    with tempfile.TemporaryDirectory() as folder:
        path, start = Path(folder) / "image.npy", Path(folder) / "start.npy"
        contenders["xplique, MaCo"].run(arguments.steps, start, start)
        rephase(start)
        for contender in contenders.values():
            contender.run(2, path, start)
        for _ in range(arguments.rounds):
            for name, contender in contenders.items():
                spent, traces[name] = contender.run(arguments.steps, path, start)
                seconds[name].append(spent)
                scores[name] = score(path)
    for contender in contenders.values():
        contender.close()
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    print(f"\n{arguments.steps} steps at {arguments.size} px, medians of one run\n")
    print("| | seconds | objective |\n|---|---|---|")
    for name in names:
        print(f"| {name} | {medians[name]:.1f} | {scores[name]:.3f} |")
    print("\n| pair | theirs / ours, seconds | objective, ours / theirs | ", end="")
    print("ours at their seconds | seconds of ours to theirs |\n|---|---|---|---|---|")
    for theirs, own in PAIRS:
        pace = medians[own] / traces[own][-1][0]  # of the last run to the median's
        steps = [(when * pace, loss) for when, loss in traces[own]]
        there = [loss for when, loss in steps if when <= medians[theirs]]
        first = next((w for w, loss in steps if loss >= scores[theirs]), None)
        print(
            f"| {theirs} / {own} | {medians[theirs] / medians[own]:.2f} | "
            f"{scores[own] / scores[theirs]:.2f} | {there[-1]:.3f} | "
            f"{'never' if first is None else f'{first:.1f}'} |"
        )


if __name__ == "__main__":
    main()
