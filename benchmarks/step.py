"""Times one gradient step: ours, the published program, and plain Keras.

    python benchmarks/step.py [--rounds 15] [--size 400x600] [--threads 2] [--only ours]
    python benchmarks/step.py --device cuda --only torch

Inception V3 with random weights, the layers and the loss of `book1`. Every contender
is a process of its own (a process has one Keras backend). After a warm-up each takes
one step in turn, round after round, so that all of them see the same noise of the
machine. Printed: medians, ratios of medians, the bound set by the machine's matrix
product, and which share of our steps on torch the convolutions would take alone: as
torch itself calls them, forwards and by their input, with the same sizes, layout and
number format, and nothing between them.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

LAYERS = {"mixed2": 0.2, "mixed3": 3.0, "mixed4": 2.0, "mixed5": 1.5}
BORDER = 2
WARM_UP = 3

CONTENDERS = {
    "ours, torch": ("torch", "ours"),
    "ours, torch bfloat16": ("torch", "ours_bfloat16"),
    "convolutions, torch": ("torch", "convolutions"),
    "convolutions, torch bfloat16": ("torch", "convolutions_bfloat16"),
    "ours, jax": ("jax", "ours"),
    "ours, tensorflow": ("tensorflow", "ours"),
    "published, tf.function": ("tensorflow", "published"),
    "published, tf.function + XLA": ("tensorflow", "published_xla"),
    "Keras on jax, jit": ("jax", "keras_jax"),
    "Keras on torch, eager": ("torch", "keras_torch"),
    "sgemm": ("torch", "sgemm"),
}
GOALS = (  # a, b, the ratio a / b to reach
    ("ours, torch", "published, tf.function", 0.60),
    ("ours, torch", "published, tf.function + XLA", 0.75),
    ("ours, torch bfloat16", "published, tf.function", 0.40),
    ("ours, jax", "Keras on jax, jit", 0.75),
    ("ours, tensorflow", "published, tf.function", 1.00),
)
SHARES = (  # convolutions, the step that holds them, the share to reach
    ("convolutions, torch", "ours, torch", 0.75),
    ("convolutions, torch bfloat16", "ours, torch bfloat16", None),
)
SGEMM = 2048  # rows and columns: large enough for the peak, small enough to be quick


def picture(size):
    import numpy as np

    return np.random.default_rng(0).random((*size, 3), dtype=np.float32)


def model():
    import keras

    keras.utils.set_random_seed(0)
    inception = keras.applications.InceptionV3(weights=None, include_top=False)
    inception.trainable = False
    return inception


def features():
    import keras

    inception = model()
    outputs = [inception.get_layer(name).output for name in LAYERS]
    return keras.Model(inception.input, outputs)


def published_loss(feature_maps):
    """The loss of the 2017 recipe, in Keras operations."""
    from keras import ops

    total = 0.0
    for activation, weight in zip(feature_maps, LAYERS.values(), strict=True):
        inside = activation[:, BORDER:-BORDER, BORDER:-BORDER]
        count = ops.cast(ops.prod(ops.shape(activation)), "float32")
        total += weight * ops.sum(ops.square(inside)) / count
    return total


def prepared(threads, precision):
    """Returns a dreamer with the network, and its nodes that are maximised."""
    import keras_dream as kd

    run = kd.RunSettings(
        backend=os.environ["KERAS_BACKEND"],
        device=os.environ["STEP_DEVICE"] or None,
        precision=precision,
        threads=threads,
    )
    dreamer = kd.Dreamer(model(), preprocessing="tf", run=run)
    return dreamer, [dreamer.graph.node_of(layer) for layer in LAYERS]


def ours(size, threads, precision="float32"):
    import keras_dream as kd
    from keras_dream.graph.passes import optimise

    dreamer, nodes = prepared(threads, precision)
    recipe = kd.Recipe(layers=LAYERS, loss="l2", border=BORDER)
    graph = optimise(dreamer.graph, nodes, merge=False)
    print(json.dumps({"flop": 2 * graph.flops(*size)}), flush=True)
    image = picture(size)
    return lambda: dreamer.gradient(image, recipe)


def ours_bfloat16(size, threads):
    return ours(size, threads, "bfloat16")


def convolutions(size, threads, precision="float32"):
    """The convolutions of our step and their gradients by the input, alone."""
    import torch

    from keras_dream.backend import load
    from keras_dream.graph.passes import optimise

    dreamer, nodes = prepared(threads, precision)
    run = dreamer.run
    backend = load.load(
        run.backend, device=run.device, precision=precision, threads=threads
    )
    graph = optimise(dreamer.graph, nodes, merge=backend.merges)
    sizes, channels = graph.plan(*size).sizes, graph.channels()
    calls = []
    for op in graph.operations:
        if op.node.op != "conv2d":
            continue
        name = op.node.inputs[0]
        top, bottom, left, right = op.padding(sizes[name])
        x = torch.rand(1, *sizes[name], channels[name]).permute(0, 3, 1, 2)
        x = torch.nn.functional.pad(x, (0, right - left, 0, bottom - top))
        kernel = backend.kernel(op.array("kernel"))
        kernel = getattr(kernel, "plain", kernel)
        dtype = kernel.dtype  # the one that reads the image stays in float32
        x = x.to(backend.device, dtype, memory_format=torch.channels_last)
        bias = op.weight("bias")
        bias = None if bias is None else backend.array(bias).to(dtype)
        how = (op.stride, (top, left), op.dilation, False, (0, 0), op.attrs["groups"])
        y = torch.ops.aten.convolution(x, kernel, bias, *how)
        calls.append((x, kernel, bias, how, torch.rand_like(y)))

    def step():
        for x, kernel, bias, how, _ in calls:
            torch.ops.aten.convolution(x, kernel, bias, *how)
        mask = (True, False, False)
        for x, kernel, _, how, slope in reversed(calls):
            torch.ops.aten.convolution_backward(slope, x, kernel, None, *how, mask)
        if x.is_cuda:
            torch.cuda.synchronize()

    return step


def convolutions_bfloat16(size, threads):
    return convolutions(size, threads, "bfloat16")


def published(size, threads, *, xla=False):
    import tensorflow as tf

    extractor = features()
    image = tf.constant(picture(size)[None] * 2 - 1)

    @tf.function(jit_compile=xla)
    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = published_loss(extractor(x, training=False))
        return loss, tape.gradient(loss, x)

    return lambda: [part.numpy() for part in gradient(image)]


def published_xla(size, threads):
    return published(size, threads, xla=True)


def keras_jax(size, threads):
    import jax

    extractor = features()
    image = picture(size)[None] * 2 - 1
    weights = (
        [v.value for v in extractor.trainable_variables],
        [v.value for v in extractor.non_trainable_variables],
    )

    def loss(x, weights):
        feature_maps, _ = extractor.stateless_call(*weights, x, training=False)
        return published_loss(feature_maps)

    gradient = jax.jit(jax.value_and_grad(loss))
    return lambda: jax.block_until_ready(gradient(image, weights))


def keras_torch(size, threads):
    import torch

    torch.set_num_threads(threads)
    extractor = features()
    image = torch.tensor(picture(size)[None] * 2 - 1)

    def step():
        x = image.clone().requires_grad_()
        loss = published_loss(extractor(x, training=False))
        (gradient,) = torch.autograd.grad(loss, x)
        return float(loss + gradient.mean())

    return step


def sgemm(size, threads):
    import torch

    torch.set_num_threads(threads)
    device = os.environ["STEP_DEVICE"] or "cpu"
    a, b = torch.rand(2, SGEMM, SGEMM, device=device)
    return lambda: float(torch.mm(a, b)[0, 0])


def serve(name, size, threads):
    """Times one step for every line read."""
    make: Callable = globals()[CONTENDERS[name][1]]
    began = time.perf_counter()
    step = make(size, threads)
    step()
    print(json.dumps({"ready": time.perf_counter() - began}), flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        step()
        print(json.dumps({"seconds": time.perf_counter() - began}), flush=True)


class Worker:
    """A contender in its own process."""

    def __init__(self, name, arguments):
        self.facts = {}
        environment = {
            **os.environ,
            "KERAS_BACKEND": CONTENDERS[name][0],
            "STEP_DEVICE": arguments.device,
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "OMP_NUM_THREADS": str(arguments.threads),
            "TF_NUM_INTRAOP_THREADS": str(arguments.threads),
        }
        command = [sys.executable, __file__, "--worker", name, "--size", arguments.size]
        command += ["--threads", str(arguments.threads)]
        self._process = subprocess.Popen(
            command,
            env=environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.read("ready")

    def read(self, key):
        for line in self._process.stdout:
            if line.startswith("{"):
                self.facts.update(json.loads(line))
                if key in self.facts:
                    return self.facts.pop(key) if key == "seconds" else None
        raise SystemExit("a contender ended early")

    def time(self):
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self.read("seconds")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--size", default="400x600")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="", help="that of torch, such as cuda")
    parser.add_argument("--only", default="", metavar="WORD", help="whose name has")
    parser.add_argument("--worker")
    arguments = parser.parse_args()
    height, width = map(int, arguments.size.split("x"))
    if arguments.worker:
        serve(arguments.worker, (height, width), arguments.threads)
        return
    names = [n for n in CONTENDERS if arguments.only in n or n == "sgemm"]
    workers = {name: Worker(name, arguments) for name in names}
    times = {name: [] for name in names}
    for number in range(WARM_UP + arguments.rounds):
        for name, worker in workers.items():
            seconds = worker.time()
            if number >= WARM_UP:
                times[name].append(seconds)
    report(times, workers, arguments)


def report(times, workers, arguments):
    medians = {name: statistics.median(values) for name, values in times.items()}
    rate = 2 * SGEMM**3 / medians["sgemm"]
    print(f"{arguments.size}, {arguments.threads} threads, {arguments.rounds} rounds")
    print(f"\n{'':32}{'median s':>10}{'min':>8}{'max':>8}{'ready s':>9}")
    for name, values in times.items():
        ready = workers[name].facts["ready"]
        low, high = min(values), max(values)
        print(f"{name:32}{medians[name]:10.3f}{low:8.3f}{high:8.3f}{ready:9.1f}")
    print(f"\nsgemm {rate / 1e9:.0f} GFLOP/s")
    for name in (n for n in medians if n.startswith("ours")):
        flop = workers[name].facts["flop"]
        bound = flop / rate
        share = bound / medians[name]
        print(f"{name}: {flop / 1e9:.1f} GFLOP, bound {bound:.3f} s, {share:.2f} of it")
    print()
    for ours_name, other, goal in GOALS:
        if ours_name in medians and other in medians:
            ratio = medians[ours_name] / medians[other]
            print(f"{ours_name} / {other}: {ratio:.2f} (goal: at most {goal:.2f})")
    for part, whole, goal in SHARES:
        if part in medians and whole in medians:
            share = medians[part] / medians[whole]
            text = "" if goal is None else f" (goal: at least {goal:.2f})"
            print(f"{part} / {whole}: {share:.2f}{text}")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1] / "src"))
    main()
