"""Measures every network of the zoo against Keras, and writes networks.md.

    python docs/networks.py [--networks NAME…] [--backends torch…] [--size 512] [--page]
    python docs/networks.py --bfloat16 [--networks NAME…] [--device cuda] [--jobs 1]

One network on one backend is one process, so that its memory is freed, and one line of
networks.jsonl, so that a run that was stopped goes on where it was: what is there is
not measured again. The weights are random (`tests/reference.py`), the objective is the
network's own. `--page` only writes the page.

Errors are relative, by the L2 norm, at 131 × 128 pixels: of the objective's layers, and
of the gradient of its loss. Times are of one step (loss and gradient) at SIZE × SIZE:
ours and the Keras model's, truncated at the same layers and compiled where the backend
compiles, in turn in one process; medians. They are processor seconds of all threads,
because wall-clock times mean little on a machine that does other work.

`--bfloat16` measures, on torch, the cosine between the gradient in bfloat16 and that in
float32, and the times of both, in the same way: one network is one process and one line
of bfloat16.jsonl. The weights are the shipped or the published ones where they are
here, otherwise Keras' initial ones, and in any case also the random ones.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
DATA, PAGE = HERE / "networks.jsonl", HERE / "networks.md"
COSINES = HERE / "bfloat16.jsonl"
PHOTOS, SIDE = ("cat", "hopper", "pavilion"), 256  # pixels of their squares
STEPS = 4  # of an ascent, after which the gradient is compared again
BACKENDS = ("torch", "jax", "tensorflow")
ODD = (131, 128)  # pixels: a side that halves without a rest, and one that never does
CLEAN = 1e-4  # relative error of a gradient without a flipped ReLU or pool
ROUNDS, SECONDS = 7, 60  # of timing, at most; three rounds at least
PATIENCE = 1500  # seconds for one process
SMALLEST = (
    "vgg16", "inception_v3", "inception_resnet_v2", "xception", "resnet50",
    "resnet50_v2", "densenet121", "nasnet_mobile", "mobilenet", "mobilenet_v2",
    "mobilenet_v3_small", "efficientnet_b0", "efficientnet_v2_b0", "convnext_tiny",
)  # fmt: skip


# -- one network on one backend, in a process of its own -------------------------------
def outputs_of(model, layers):
    """Returns the Keras tensors of layers, by the names that graphs give them."""
    from keras.src.utils.naming import to_snake_case

    tensors, counts = {}, Counter()
    for _, nodes in sorted(model._nodes_by_depth.items(), reverse=True):
        for node in nodes:
            if not node.is_input:
                kind = to_snake_case(type(node.operation).__name__)
                tensors.setdefault(node.operation.name, node.output_tensors[0])
                tensors[f"{kind}@{counts[kind]}"] = node.output_tensors[0]
                counts[kind] += 1
    return [tensors[layer] for layer in layers]


def keras_step(model, loss, image):
    """Returns a step of the Keras model: compiled, except on torch."""
    from reference import Slope

    if os.environ["KERAS_BACKEND"] != "tensorflow":
        gradient = Slope(model, lambda outputs, _: loss(outputs))
        return lambda: gradient(image)
    import tensorflow as tf

    @tf.function
    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = model(x, training=False)
            value = loss(outputs if isinstance(outputs, list) else [outputs])
        return value, tape.gradient(value, x)

    def step():
        value, gradient = run(tf.constant(image[None]))
        return float(value), gradient[0].numpy()

    return step


def our_gradient(graph, goals, backend):
    """Returns the optimised graph, and its loss and gradient as a dream takes them."""
    from keras_dream.graph.passes import optimise
    from keras_dream.graph.program import Program

    nodes = [graph.node_of(layer) for layer in goals]
    fast = optimise(graph, nodes, merge=backend.merges)
    program = Program(fast, nodes, backend)

    def loss(x, plan):
        total = 0.0
        for y, weight in zip(program(x, plan), goals.values(), strict=True):
            square = backend.mean(backend.square(y))
            total = backend.add(backend.multiply(square, weight), total)
        return total

    run = backend.value_and_grad(loss)

    def gradient_of(image):
        plan = fast.plan(*image.shape[:2]).values
        value, gradient = run(backend.image(image), plan)
        return backend.to_float(value), backend.to_image(gradient)

    return fast, gradient_of


def built(name, *, initial=False):
    """Returns the network's Keras model without its weights, its graph and goals.

    The weights are Keras' initial ones, or random ones with live activations.
    """
    from reference import randomise

    from keras_dream.lowering.walker import lower
    from keras_dream.recipe.objectives import parse
    from keras_dream.zoo.catalogue import entry

    network = entry(name)
    model = network.build(False)
    if not initial:
        randomise(model)
    for layer in model.layers:
        if hasattr(layer, "finalize_state"):  # a Normalization computes with copies
            layer.finalize_state()
        if (
            type(layer).__name__ == "LayerScale" and not initial
        ):  # Keras starts it at 1e-6
            layer.gamma.assign([1.0] * layer.projection_dim)
    model.trainable = False
    graph = lower(model, preprocessing=network.preprocessing)
    terms = parse(network.objective).terms
    return network, model, graph, {t.target.layer: t.weight for t in terms}


def compared(network, cut, graph, goals, loss, backend):
    """Returns the errors of features and gradient at an odd and an even side.

    Where the input of a ReLU is close to 0, or two cells of a max-pool are nearly
    equal, rounding decides which way the gradient goes: Keras' own ResNet50 differs
    from itself by 0.003 when its input is changed by one part in ten million. The
    gradient's error is therefore the smallest of up to three pictures.
    """
    from reference import features, off, picture

    from keras_dream.graph.program import Program
    from keras_dream.lowering.preprocessing import PREPROCESSING

    scale, shift, order = PREPROCESSING[network.preprocessing]
    order = list(order)
    nodes = [graph.node_of(layer) for layer in goals]
    run = backend.function(Program(graph, nodes, backend))
    errors, gradient_errors = [], []
    for seed in range(3):
        image = picture(*ODD, seed=seed)
        preprocessed = image[..., order] * scale + shift
        feature_maps = run(backend.image(image), graph.plan(*ODD).values)
        pairs = zip(feature_maps, features(cut, preprocessed), strict=True)
        errors += [off(backend.to_image(x), wanted) for x, wanted in pairs]
        _, ours = our_gradient(graph, goals, backend)
        wanted = (keras_step(cut, loss, preprocessed)()[1] * scale)[..., order]
        gradient_errors.append(off(ours(image)[1], wanted))
        if gradient_errors[-1] < CLEAN:
            break
    return float(max(errors)), float(min(gradient_errors))


def timed(steps, *, clock=time.process_time, rounds=ROUNDS):
    """Returns medians of processor seconds, in turn, after a first run of each."""
    for step in steps:
        step()
    times = [[] for _ in steps]
    began = time.perf_counter()
    while len(times[0]) < rounds and (
        len(times[0]) < 3 or time.perf_counter() - began < SECONDS
    ):
        for step, taken in zip(steps, times, strict=True):
            start = clock()
            step()
            taken.append(clock() - start)
    return [statistics.median(taken) for taken in times]


def measure(name, size):
    """Measures a network on the backend of this process; returns the facts."""
    from keras_dream.backend import load as backends

    # First, because it tells torch's threads how to wait.
    backend = backends.load(os.environ["KERAS_BACKEND"], device="cpu", threads=2)
    import keras
    from keras import ops
    from reference import picture

    network, model, graph, goals = built(name)
    cut = keras.Model(model.inputs, outputs_of(model, goals))

    def loss(feature_maps):
        pairs = zip(feature_maps, goals.values(), strict=True)
        return sum(weight * ops.mean(ops.square(y)) for y, weight in pairs)

    features, gradient = compared(network, cut, graph, goals, loss, backend)
    image = picture(size, size)
    fast, ours = our_gradient(graph, goals, backend)
    steps = [lambda: ours(image), keras_step(cut, loss, image)]
    mine, keras_own = timed(steps)
    return {
        "network": name,
        "backend": backend.name,
        "size": size,
        "features": features,
        "gradient": gradient,
        "opaque": len(graph.opaque),
        "gflop": fast.flops(size, size) / 1e9,
        "mib": fast.activation_bytes(size, size) / 2**20,
        "ours": mine,
        "keras": keras_own,
        "versions": {"keras": keras.__version__, "python": platform.python_version()},
    }


# -- bfloat16 on torch, in a process of its own ----------------------------------------
def weighted(name):
    """Yields kinds of weights with the network's graph: real ones first."""
    from keras_dream.errors import DreamError
    from keras_dream.zoo.catalogue import entry
    from keras_dream.zoo.network import Network

    try:
        yield "real", Network(name).load(offline=True).graph
    except DreamError:  # its weights are not here
        yield "initial", built(name, initial=True)[2]
    if entry(name).build:
        yield "random", built(name)[2]


def photos():
    """Returns the photographs on which gradients are compared, float32 (h, w, 3)."""
    import numpy as np
    from PIL import Image, ImageOps

    paths = [HERE / "photos" / f"{name}.jpg" for name in PHOTOS]
    pictures = [ImageOps.fit(Image.open(path), (SIDE, SIDE)) for path in paths]
    return [np.asarray(picture, np.float32) / 255 for picture in pictures]


def dreamed(graph, objective, backend):
    """Returns the gradient of an objective, as a dream by default takes it."""
    from keras_dream.dreamer.ensemble import Ensemble
    from keras_dream.parts.transforms import View
    from keras_dream.recipe.files import Files
    from keras_dream.recipe.recipe import Recipe
    from keras_dream.zoo.load import LoadedNetwork

    network = LoadedNetwork("network", graph, "")
    ensemble = Ensemble({network.name: network}, backend, Files())
    recipe = ensemble.complete(Recipe(objective=objective))
    gradient = ensemble.gradient(recipe, {})

    def run(image):
        size = image.shape[:2]
        array = backend.image(image)
        _, direction = gradient(array, size, view=View(size), original=array)
        return backend.to_image(direction)

    return run


def compare(graph, objective, device, threads):
    """Returns the least cosines of gradients with float32's, and medians of seconds.

    They are those of the photographs and of one after an ascent: of what a dream sees.
    """
    import numpy as np

    from keras_dream.backend import load as backends

    def backend(precision):  # loaded anew, because TF32 is a switch of the process
        return backends.load(
            "torch", device=device, precision=precision, threads=threads
        )

    names = ["float32", "bfloat16", *(["tf32"] if device == "cuda" else [])]
    runs = {name: dreamed(graph, objective, backend(name)) for name in names}

    def gradient(name, image):
        backend(name)
        return runs[name](image).astype(np.float64)

    def ascended(image):
        for _ in range(STEPS):
            direction = gradient("float32", image)
            image = image + 0.005 * direction / np.abs(direction).mean()
        return image.astype(np.float32)

    def cosine(name, image):
        a, b = (gradient(n, image).ravel() for n in ("float32", name))
        return float(a @ b / np.sqrt((a @ a) * (b @ b)))

    first, *others = photos()
    images = (first, *others, ascended(first))
    clock = time.process_time if device == "cpu" else time.perf_counter
    steps = [lambda name=name: gradient(name, first) for name in names]
    seconds = dict(zip(names, timed(steps, clock=clock, rounds=3), strict=True))
    cosines = {n: min(cosine(n, image) for image in images) for n in names[1:]}
    return {**cosines, "seconds": seconds}


def measure_bfloat16(name, device, threads):
    """Measures a network in every precision; returns the facts."""
    from keras_dream.zoo.catalogue import entry

    facts = {"network": name, "device": device, "on": device_name(device)}
    for kind, graph in weighted(name):
        objective = graph.objective or entry(name).objective
        facts[kind] = compare(graph, objective, device, threads)
    return facts


def device_name(device):
    """Returns the name of the processor or the GPU."""
    import torch

    return torch.cuda.get_device_name() if device == "cuda" else machine()


# -- all of them -----------------------------------------------------------------------
def lines_of(data):
    """Returns what has been measured and kept in a file."""
    lines = data.read_text("utf-8").splitlines() if data.exists() else []
    return [json.loads(line) for line in lines if line.strip()]


def measured():
    """Returns what has been measured, by network, backend and size."""
    facts = lines_of(DATA)
    return {(f["network"], f["backend"], f["size"]): f for f in facts}


def run(name, backend, *options, task="--one", data=DATA):
    """Measures a network in a process of its own and keeps the line."""
    folders = (str(HERE.parent / "src"), str(HERE.parent / "tests"))
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "PYTHONPATH": os.pathsep.join(folders),
    }
    command = [sys.executable, __file__, task, name, *map(str, options)]
    try:
        done = subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
    except subprocess.SubprocessError as error:
        detail = (getattr(error, "stderr", "") or "").strip().splitlines()[-1:]
        write_line(f"{name} on {backend}: {type(error).__name__} {detail}")
        return
    line = done.stdout.strip().splitlines()[-1]
    with data.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    write_line(line)


def write_line(line):
    """Writes a line to standard output at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def work(names, backends, size):
    """Yields what is to be measured: the smallest of each family first."""
    names = sorted(names, key=lambda name: name not in SMALLEST)
    early = [n for n in names if n in SMALLEST]
    for chosen in (early, [n for n in names if n not in SMALLEST]):
        for backend in backends:
            for name in chosen:
                if (name, backend, size) not in measured():
                    yield name, backend, size


HEAD = """# Networks

Written by `docs/networks.py`, which measures and can be resumed. Run it on your machine
for your own figures. Every image network of `keras.applications` has a name here
(`dream networks`), its published weights with their hashes, and a lowered graph. No
network has opaque operations, which would run through Keras.

The weights in this table are random, drawn so that no layer's activations vanish. The
objective is the network's default.

* **features**, **gradient**: the relative error (L2) of the objective's layers, and of
  the gradient of its loss, against the Keras model on the same backend, at 131 × 128
  pixels. The gradient's error is the smallest of up to three pictures, see below.
* **opaque**: operations that run through Keras.
* **GFLOP**: multiplications and additions of convolutions in one forward pass; **MiB**:
  all feature maps that a gradient may keep, float32; both at {size} × {size} pixels, up
  to the objective's deepest layer.
* **ours**, **Keras**: processor seconds of all threads for one step at {size} × {size}:
  ours, and the Keras model's, truncated at the same layers and compiled by `jax.jit` or
  `tf.function` (eager on torch). Measured in turn in one process, medians, on a shared
  machine: {machine}, two threads.

## How exact gradients are

Where the input of a ReLU is close to 0, or two cells of a max-pool are nearly equal,
rounding decides which way the gradient goes. In deep networks with random weights the
gradient of a single picture can therefore differ from Keras' by 1e-3 to 1e-2, relative.
Keras' own float32 gradient differs from its own float64 gradient by the same amount:
its ResNet50, for example, differs from itself by 0.003 when its input is changed by one
part in ten million. Losses and features do not have this uncertainty.

Keras on torch computes average-pools with uneven SAME padding wrongly: it repeats the
border and counts it, which changes the feature maps by 2.7 to 4.1 %. Keras on jax and
on TensorFlow averages the cells inside the feature map only, and so do we on every
backend. In a model with such a pool our result therefore differs from Keras on torch.

## Notes on some networks

* `keras.applications` has no SqueezeNet and no GoogLeNet: we define their Keras models.
* The first EfficientNets, EfficientNetV2, MobileNetV3 and ConvNeXt begin with their own
  preprocessing. Keras adds a division to the first EfficientNets when it loads their
  published weights; it is included here.
* NASNet: `keras.applications` computes the padding for the one size that a model is
  built for, and refuses NASNetMobile on torch. Here the padding is computed for every
  size, and agrees with Keras' NASNet built for that size.
* MobileNetV2, MobileNetV3 and the first EfficientNets: strided convolutions are padded
  as in Keras' model for any size, which pads odd feature maps as even ones. With the
  classifier they are padded as at the size that the network was trained at.
* Squeeze-and-excite (MobileNetV3, EfficientNet) averages the whole picture: `dream
  layers` shows an infinite receptive field from there on.
* Keras publishes no hashes for the files of MobileNet and MobileNetV2; ours are those
  that another project, MIA, states for its copies.
* No published file could be downloaded where this was written: the readers are tested
  with files of random weights in the same layout. Except for VGG and Inception V3, the
  default objectives were chosen by depth, without looking at dreams.
"""


def rows(facts, size):
    """Yields the lines of the table of measurements."""
    from keras_dream.zoo.catalogue import ZOO

    titles = "features | gradient | opaque | GFLOP | MiB | ours | Keras | ratio"
    yield f"| network | backend | {titles} |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for name in (e.name for e in ZOO.values() if e.build):
        for backend in BACKENDS:
            fact = facts.get((name, backend, size))
            if fact is None:
                yield f"| `{name}` | {backend} |" + " — |" * 8
                continue
            cells = (
                f"{fact['features']:.0e}", f"{fact['gradient']:.0e}",
                str(fact["opaque"]),
                f"{fact['gflop']:.1f}", f"{fact['mib']:.0f}", f"{fact['ours']:.2f}",
                f"{fact['keras']:.2f}", f"{fact['ours'] / fact['keras']:.2f}",
            )  # fmt: skip
            yield f"| `{name}` | {backend} | " + " | ".join(cells) + " |"


PRECISIONS = """
## In bfloat16

`--precision auto`, which is the default, is bfloat16 where the device computes bfloat16
itself (x86 processors with AVX512-BF16 or AMX, on torch and TensorFlow; NVIDIA's GPUs
from Ampere on, on torch), the cosine between the network's gradients in bfloat16 and in
float32 is at least {least}, and a step takes at most {time:.0%} of the time. Several
networks in one dream must all be so. Everything else is float32: other networks, models
and weights of your own, jax (slower in bfloat16), the responses, features and strongest
channels that are measured instead of dreamed. The published presets are float32, as
their networks are. `--precision bfloat16` is there for every network; the record has
the precision that was used, and a replay uses it again. `dream doctor` says what auto
stands for on a machine.

In bfloat16 a feature map has 8 bits. The image, its gradient, the loss, all sums, and
the convolution that reads the image are float32 all the same: were that convolution in
bfloat16, the cosine of `motif` would be 0.987 instead of 0.995. Nearly all of the
difference comes from rounding forwards, which decides otherwise at rectifiers and pools
where two values are close; rounding backwards alone leaves a cosine of 1.0000. So
networks with smooth activations are alike (ConvNeXt, EfficientNet), and those with many
rectifiers are not. It is not noise: it is
the gradient of a network with slightly other weights. For comparison: half a grey level
of noise on the picture changes the gradient of `motif` to a cosine of 0.989, that of
`squeezenet` to 0.85.

The cosine is the least of three photographs and of one after four steps of ascent, at
{side} × {side} pixels, for the network's default objective. Weights: *real* are the
shipped or published ones, of the others no file was at hand, so that they are *initial*
(Keras' initializers, BatchNorm statistics as they are) and *random* (drawn so that no
layer's activations vanish); both must pass. How alike a network with trained weights is
may differ from both. **time** is a step's in bfloat16 beside float32's, in processor
seconds of one thread. The processor was an {cpu}, the GPU an {cuda}.
Depthwise convolutions are slower in bfloat16 on processors. TF32 (`--precision tf32`,
10 bits) is for GPUs only.
"""


def bfloat16_rows():
    """Yields the lines of the table of precisions."""
    from keras_dream.zoo.bfloat16 import BFLOAT16
    from keras_dream.zoo.catalogue import ZOO

    facts = {(f["network"], f["device"]): f for f in lines_of(COSINES)}
    yield "| network | weights | bfloat16 | on a GPU | TF32 | time | auto |"
    yield "|---|---|---|---|---|---|---|"
    for name in ZOO:
        cpu, gpu = (facts.get((name, device), {}) for device in ("cpu", "cuda"))
        auto = "bfloat16" if BFLOAT16[name].is_better else "float32"
        for kind in ("real", "initial", "random"):
            if kind in cpu:
                seconds = cpu[kind]["seconds"]
                cells = [f"{cpu[kind]['bfloat16']:.4f}"]
                cells += [f"{gpu[kind][p]:.4f}" for p in ("bfloat16", "tf32")]
                cells += [f"{seconds['bfloat16'] / seconds['float32']:.2f}", auto]
                yield f"| `{name}` | {kind} | " + " | ".join(cells) + " |"


def bfloat16_text():
    """Returns the section on precision, with the rules that the library has."""
    from keras_dream.zoo.bfloat16 import MIN_COSINE, MOST_TIME

    on = {fact["device"]: fact["on"] for fact in lines_of(COSINES)}
    return PRECISIONS.format(least=MIN_COSINE, time=MOST_TIME, side=SIDE, **on)


def papers():
    """Yields the lines of the table of papers and licences."""
    from keras_dream.zoo.catalogue import ZOO

    yield "| network | millions of parameters | licence of the weights | paper |"
    yield "|---|---|---|---|"
    for network in ZOO.values():
        size = f"{network.parameters / 1e6:.1f}" if network.parameters else "—"
        yield (
            f"| `{network.name}` | {size} | {network.licence} | "
            f"{network.paper or 'our own'} |"
        )


def machine():
    """Returns the processor's name, if the system states it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.processor() or platform.machine()


def write_page(size):
    """Writes the page from what has been measured."""
    parts = [
        HEAD.format(size=size, machine=machine()),
        "\n".join(rows(measured(), size)),
        bfloat16_text(),
        "\n".join(bfloat16_rows()),
        "\n## Papers and licences\n",
        "\n".join(papers()),
    ]
    PAGE.write_text("\n".join(parts) + "\n", encoding="utf-8")


def main():
    """Measures what is not known yet and writes the page."""
    sys.path.insert(0, str(HERE.parent / "src"))
    from keras_dream.zoo.catalogue import ZOO

    zoo = [e.name for e in ZOO.values() if e.build]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--networks", nargs="+", choices=list(ZOO), default=zoo, metavar="NAME"
    )
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, default=BACKENDS)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--page", action="store_true", help="only write the page")
    parser.add_argument("--bfloat16", action="store_true", help="compare precisions")
    parser.add_argument("--device", default="cpu", help="cpu or cuda, of --bfloat16")
    parser.add_argument("--threads", type=int, default=2, help="of --bfloat16")
    parser.add_argument("--jobs", type=int, default=1, help="processes of --bfloat16")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--one-bfloat16", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        write_line(json.dumps(measure(arguments.one, arguments.size)))
        return
    how = "--device", arguments.device, "--threads", arguments.threads
    if arguments.one_bfloat16:
        facts = measure_bfloat16(arguments.one_bfloat16, how[1], how[3])
        write_line(json.dumps(facts))
        return
    if arguments.bfloat16:
        there = {(f["network"], f["device"]) for f in lines_of(COSINES)}
        names = dict.fromkeys(("motif", *arguments.networks))
        with ThreadPoolExecutor(arguments.jobs) as pool:
            for name in names:
                if (name, arguments.device) not in there:
                    task = {"task": "--one-bfloat16", "data": COSINES}
                    pool.submit(run, name, "torch", *how, **task)
    elif not arguments.page:
        for job in work(arguments.networks, arguments.backends, arguments.size):
            name, backend, size = job
            run(name, backend, "--size", size)
            write_page(arguments.size)
    write_page(arguments.size)


if __name__ == "__main__":
    main()
