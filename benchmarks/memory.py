"""What memory a gradient takes whole and in tiles, and what a large photo takes.

python benchmarks/memory.py [--quick] [--rounds 5] [--only WORD]

First table, for each network at 1024 × 1024 pixels: every scheme is computed in a
process of its own. Printed: the difference from the whole gradient (the largest one
over the largest value), the median of the seconds and its ratio to the whole's, taken
in turn, the peak of the resident memory above the idle process, which is idle after a
gradient of a small picture, and both as the planner predicts them.

Second table: dreams of a photo, from the file to the saved result, within `--memory`.
Printed: the peak of the process' resident memory. One step in each of two octaves, for
a step takes the same memory as twenty.

Inception V3 has random weights. Those of SqueezeNet are the cache's, or the file in the
variable KERAS_DREAM_SQUEEZENET.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LAYERS = {"mixed2": 0.2, "mixed3": 3.0, "mixed4": 2.0, "mixed5": 1.5}
SCHEMES = {
    "inception": (
        "whole",
        "cells 2x2",
        "cells 3x3",
        "stem max_pooling2d@1 2x2",
        "stem mixed0 2x2",
        "stem mixed1 2x2",
        "stem mixed2 2x2",
        "stem mixed2 3x3",
    ),
    "squeezenet": ("whole", "cells 2x2", "cells 4x4"),
    "motif": ("whole", "cells 2x2", "cells 4x4"),
}
PHOTOS = (  # network, megapixels, --memory
    ("motif", 12, "1500MB"),
    ("motif", 4, "1GB"),
    ("inception", 12, "3GB"),
    ("inception", 4, "2GB"),
)
SMALL = (160, 160)


def dreamer_of(network, threads, **run):
    """Returns a dreamer and a recipe."""
    import keras_dream as kd

    run = kd.RunSettings(backend="torch", threads=threads, precision="float32", **run)
    if network == "inception":
        import keras

        keras.utils.set_random_seed(0)
        model = keras.applications.InceptionV3(weights=None, include_top=False)
        recipe = kd.Recipe(layers=LAYERS, loss="l2", border=2)
        return kd.Dreamer(model, preprocessing="tf", run=run), recipe
    weights = os.environ.get("KERAS_DREAM_SQUEEZENET") or None
    weights = weights if network == "squeezenet" else None
    recipe = kd.presets["default"].but(network=network)
    return kd.Dreamer(kd.Network(network, weights=weights), run=run), recipe


def memory(field):
    """Returns VmRSS or VmHWM of this process in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(w.split()[1]) << 10 for w in lines if w.startswith(field))


def serve(network, text, size, threads, result):
    """Computes a gradient once for its memory, then once for every line read."""
    import numpy as np

    from keras_dream.parts.transforms import View
    from keras_dream.recipe.schemes import Scheme

    dreamer, recipe = dreamer_of(network, threads)
    recipe = dreamer.complete(recipe)
    schemes = dreamer._ensemble.schemes(recipe, {})[0]
    scheme = Scheme.read(text)
    gradient, predicted = schemes.of(scheme), schemes.predictor.predict(scheme, size)

    def step(size):
        # Large shapes and fine grain, as of a photo.
        random = np.random.default_rng(0)
        rows, columns = np.mgrid[: size[0], : size[1]] / 40
        waves = np.sin(rows) * np.cos(columns * 1.3)
        image = 0.5 + 0.3 * waves[..., None] + random.normal(0, 0.05, (*size, 3))
        held = dreamer.backend.image(image.clip(0, 1).astype(np.float32))

        def computed():
            return gradient(held, size, view=View(size), original=held)

        return computed

    step(SMALL)()
    computed = step(size)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew: proc(5)
    idle = memory("VmRSS")
    found = computed()[1]
    peak = memory("VmHWM") - idle
    np.save(result, dreamer.backend.to_image(found))
    del found
    facts = {"peak": peak, "bytes": predicted.bytes, "predicted": predicted.seconds}
    print(json.dumps(facts), flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        computed()
        print(json.dumps({"seconds": time.perf_counter() - began}), flush=True)


class Worker:
    """A scheme in a process of its own."""

    def __init__(self, *arguments):
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--worker", *map(str, arguments)],
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.facts = self.read()

    def read(self):
        for line in self._process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise SystemExit("a worker ended early")

    def time(self):
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self.read()["seconds"]


def compare(network, size, arguments, folder):
    """Prints the table of a network's schemes."""
    import numpy as np

    workers, gradients = {}, {}
    for number, text in enumerate(SCHEMES[network]):
        result = Path(folder) / f"{number}.npy"
        worker = Worker(network, text, *size, arguments.threads, result)
        workers[text], gradients[text] = worker, np.load(result)
    times = {text: [] for text in workers}
    for _ in range(arguments.rounds):
        for text, worker in workers.items():
            times[text].append(worker.time())
    medians = {text: statistics.median(values) for text, values in times.items()}
    whole = workers["whole"].facts
    print(f"\n{network}, {size[0]} × {size[1]}, {arguments.threads} threads\n")
    print("| scheme | error | seconds | to whole | predicted | MB | to whole", end="")
    print(" | predicted |\n|---|---|---|---|---|---|---|---|")
    for text, worker in workers.items():
        facts, own = worker.facts, gradients[text]
        error = (
            np.abs(own - gradients["whole"]).max() / np.abs(gradients["whole"]).max()
        )
        cells = (
            f"`{text}`",
            f"{error:.0e}",
            f"{medians[text]:.2f}",
            f"{medians[text] / medians['whole']:.2f}",
            f"{facts['predicted'] / whole['predicted']:.2f}",
            f"{facts['peak'] / 1e6:.0f}",
            f"{facts['peak'] / whole['peak']:.2f}",
            f"{facts['bytes'] / 1e6:.0f}",
        )
        print("|", " | ".join(cells), "|", flush=True)


def dream(network, photo, limit, threads, result):
    """Dreams a photo in this process."""
    from keras_dream.backend.host import memory as host

    began = time.perf_counter()
    dreamer, recipe = dreamer_of(network, threads, memory=limit)
    idle = memory("VmHWM")
    run = dreamer.steps(photo, recipe, steps=1, octaves=2)
    # By network; what is predicted of the run is an event.
    plan = run.planned
    for _ in run:
        pass
    run.dream.save(result)
    facts = {"idle": idle, "peak": host()["peak"], "bytes": plan.bytes}
    facts["plan"] = ", ".join(plan.octaves[-1].schemes)
    facts["seconds"] = time.perf_counter() - began
    print(json.dumps(facts), flush=True)


def photograph(path, megapixels):
    """Saves a picture of large shapes with grain, as of a phone: 4 by 3."""
    import numpy as np
    from PIL import Image

    width = round((megapixels * 1e6 * 4 / 3) ** 0.5)
    size = (width, round(width * 3 / 4))
    random = np.random.default_rng(0)
    shapes = Image.fromarray(random.integers(0, 256, (24, 32, 3), np.uint8))
    pixels = np.asarray(shapes.resize(size, Image.Resampling.BICUBIC), np.float32)
    pixels = pixels + random.normal(0, 4, pixels.shape)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, quality=92)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="small, and one round")
    parser.add_argument("--only", default="", metavar="WORD", help="of both tables")
    parser.add_argument("--worker", nargs="*")
    parser.add_argument("--dream", nargs="*")
    arguments = parser.parse_args()
    if arguments.worker:
        network, text, height, width, threads, result = arguments.worker
        serve(network, text, (int(height), int(width)), int(threads), result)
        return
    if arguments.dream:
        network, photo, limit, threads, result = arguments.dream
        dream(network, photo, limit, int(threads), result)
        return
    size = (512, 512) if arguments.quick else (1024, 1024)
    arguments.rounds = 1 if arguments.quick else arguments.rounds
    with tempfile.TemporaryDirectory() as folder:
        for network in SCHEMES:
            if arguments.only in network:
                compare(network, size, arguments, folder)
        print("\n| photo | `--memory` | plan of its last octave | seconds", end="")
        print(" | MB, idle | MB | predicted |\n|---|---|---|---|---|---|---|")
        for network, megapixels, limit in PHOTOS:
            if arguments.only not in network or (arguments.quick and megapixels > 4):
                continue
            photo = Path(folder) / f"{megapixels}.jpg"
            photograph(photo, megapixels)
            command = [sys.executable, __file__, "--dream", network, photo, limit]
            command += [str(arguments.threads), Path(folder) / "dream.png"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"| {network}, {megapixels} Mpx | {limit} | {done.stderr[-200:]}")
                continue
            facts = json.loads(done.stdout.splitlines()[-1])
            cells = (f"{facts[key] / 1e6:.0f}" for key in ("idle", "peak", "bytes"))
            print(
                f"| {network}, {megapixels} Mpx | {limit} | `{facts['plan']}`", end=""
            )
            print(f" | {facts['seconds']:.0f} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1] / "src"))
    main()
