"""From the start of a process to its first step, beside `import torch` alone.

    python benchmarks/cold.py [--rounds 7] [--photo PATH] [--network squeezenet]

Printed: medians of whole processes, in turn, and what keras-dream adds. The second
start of a network from the zoo needs its weights (here, or in KERAS_DREAM_WEIGHTS); it
is left out without them. Its lowered copy is made in a cache of its own, once.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
SHIPPED, SECOND = 0.8, 1.0  # goals: seconds on top of importing torch

STEP = """
import sys
import keras_dream as kd
dreamer = kd.Dreamer(sys.argv[2], run=kd.RunSettings(backend="torch", threads=2))
next(dreamer.steps(sys.argv[1]))
if "keras" in sys.modules:
    raise SystemExit("keras was imported")
"""


def warm(network, photo, environment):
    """Makes a network's lowered copy; whether it dreams without Keras from now on."""
    command = [sys.executable, "-c", STEP, photo, network]
    done = None
    for _ in range(2):
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment
        )
    if done.returncode:
        print(f"{network} is left out: {done.stderr.strip().splitlines()[-1]}")
    return done.returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--photo", default=str(ROOT / "examples" / "sky.jpg"))
    parser.add_argument("--network", default="squeezenet")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT / "src"),
            "KERAS_DREAM_OFFLINE": "1",
        }
        given = environment.get("KERAS_DREAM_HOME")
        if given:  # the originals stay where they are, the copies go elsewhere
            environment.setdefault("KERAS_DREAM_WEIGHTS", given)
        environment["KERAS_DREAM_HOME"] = cache
        measure(arguments, environment)


def measure(arguments, environment):
    goals = {"first step, motif": SHIPPED}
    programs = {
        "import torch": ["-c", "import torch"],
        "first step, motif": ["-c", STEP, arguments.photo, "motif"],
    }
    if warm(arguments.network, arguments.photo, environment):
        name = f"second start, {arguments.network}"
        programs[name] = ["-c", STEP, arguments.photo, arguments.network]
        goals[name] = SECOND
    programs["dream --help"] = ["-m", "keras_dream", "--help"]
    times = {name: [] for name in programs}
    for number in range(arguments.rounds + 1):  # the first one warms the disk's cache
        for name, program in programs.items():
            began = time.perf_counter()
            subprocess.run(
                [sys.executable, *program],
                check=True,
                stdout=subprocess.DEVNULL,
                env=environment,
            )
            if number:
                times[name].append(time.perf_counter() - began)
    print(f"{'':28}{'median s':>10}{'min':>8}{'max':>8}")
    for name, values in times.items():
        median = statistics.median(values)
        print(f"{name:28}{median:10.3f}{min(values):8.3f}{max(values):8.3f}")
    for name, goal in goals.items():
        pairs = zip(times[name], times["import torch"], strict=True)
        added = statistics.median(a - b for a, b in pairs)
        print(f"{name}: {added:.2f} s on top of import torch (goal: at most {goal} s)")


if __name__ == "__main__":
    main()
