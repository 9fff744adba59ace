"""Takes a thousand steps: do they become slower, does memory grow, how much is used?

    python benchmarks/soak.py [--steps 1000] [--size 400x600] [--backend torch]
                              [--network inception|motif]

Printed: the median second a step and the process's memory, tenth by tenth, and the
peak above the idle process beside what explains it.
"""

import argparse
import itertools
import os
import resource
import statistics
import sys
from pathlib import Path

import numpy as np

MIB = 1 << 20


def resident():
    """Returns this process's memory in bytes (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def dreamer_of(arguments):
    import keras_dream as kd

    run = kd.RunSettings(backend=arguments.backend, threads=arguments.threads)
    if arguments.network != "inception":
        return kd.Dreamer(arguments.network, run=run), kd.presets["default"]
    import keras

    keras.utils.set_random_seed(0)
    model = keras.applications.InceptionV3(weights=None, include_top=False)
    recipe = kd.presets["book1"].but(max_loss=None)
    return kd.Dreamer(model, preprocessing="tf", run=run), recipe


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--size", default="400x600")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--backend", default="torch")
    parser.add_argument("--network", default="inception")
    arguments = parser.parse_args()
    os.environ["KERAS_BACKEND"] = arguments.backend
    height, width = map(int, arguments.size.split("x"))
    photo = np.random.default_rng(0).random((height, width, 3), dtype=np.float32)
    dreamer, recipe = dreamer_of(arguments)
    recipe = recipe.but(octaves=1, octaves_above=0, steps=arguments.steps)
    idle = resident()
    part = max(arguments.steps // 10, 1)
    seconds, memory = [], []
    run = dreamer.steps(photo, recipe)
    for step in itertools.islice(run, arguments.steps):
        seconds.append(step.seconds)
        if step.iteration % part == 0:
            memory.append(resident())
    print(f"{arguments.network}, {arguments.size}, {arguments.backend}\n")
    print(f"{'steps':>12}{'median s':>10}{'MiB':>8}")
    for tenth, used in enumerate(memory):
        times = seconds[tenth * part : (tenth + 1) * part]
        span = f"{tenth * part + 1}–{(tenth + 1) * part}"
        print(f"{span:>12}{statistics.median(times):10.4f}{used / MIB:8.0f}")
    planned = (run.planned.bytes - idle) / MIB
    weights = sum(array.nbytes for array in dreamer.graph.weights.values()) / MIB
    print(f"\nidle {idle / MIB:.0f} MiB, peak {(peak() - idle) / MIB:.0f} MiB above it")
    print(f"predicted {planned:.0f} MiB, all weights {weights:.0f} MiB")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1] / "src"))
    main()
