"""Times the start of a process until its first step, beside `import torch` alone.

    python benchmarks/cold.py [--rounds 7] [--photo PATH] [--networks squeezenet …]

Printed: medians of processes in turn, until torch is imported or the first step begins,
and the difference. A process takes two steps, and twice the time of the second one is
subtracted, so that what the first one prepares and compiles is included. The second
start of a network from the zoo reads its weights from the cache or KERAS_DREAM_WEIGHTS;
if they are missing, random ones are imported in their place. Lowered copies are made
once, in a cache of the benchmark's own.
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
import dataclasses, sys, time
import keras_dream as kd
from keras_dream.weights import source as sources
from keras_dream.zoo import catalogue

photo, name, stand_in = sys.argv[1:]
if stand_in:
    file = sources.Source(stand_in)
    entry = dataclasses.replace(catalogue.entry(name), sources=(file,))
    catalogue.ZOO = {**catalogue.ZOO, name: entry}
dreamer = kd.Dreamer(name, run=kd.RunSettings(backend="torch", threads=2))
steps = dreamer.steps(photo)
next(steps)
began = time.time()
next(steps)
print(began - (time.time() - began))
if "keras" in sys.modules:
    raise SystemExit("keras was imported")
"""
TORCH = "import time, torch; print(time.time())"
FILL = """
import sys
from keras_dream.weights import source as sources
from keras_dream.zoo import catalogue
from legacy_files import write_legacy
from reference import randomise

name, file = sys.argv[1:]
sources.home().mkdir(exist_ok=True)
write_legacy(randomise(catalogue.entry(name).build(False)), sources.home() / file)
"""


def filled(network, environment):
    """Returns the file that stands for a network's weights; "" where they are here."""
    from keras_dream.weights.locate import find
    from keras_dream.zoo import catalogue

    sources = catalogue.entry(network).sources
    if find(sources):
        return ""
    file = sources[0].file
    subprocess.run(
        [sys.executable, "-c", FILL, network, file],
        check=True,
        env=environment,
        stderr=subprocess.DEVNULL,
    )
    return file


def warm(program, environment):
    """Makes a network's lowered copy: the first start needs Keras, the second must not.

    Raises:
        SystemExit: If it does; with what was said.
    """
    command = [sys.executable, *program]
    for _ in range(2):
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment
        )
    if done.returncode:
        raise SystemExit(done.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--photo", default=str(ROOT / "examples" / "sky.jpg"))
    parser.add_argument("--networks", nargs="+", default=["squeezenet"], metavar="NAME")
    arguments = parser.parse_args()
    sys.path.insert(0, str(ROOT / "src"))
    with tempfile.TemporaryDirectory() as cache:
        paths = (str(ROOT / "src"), str(ROOT / "tests"))
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "KERAS_BACKEND": "torch",
            "KERAS_DREAM_OFFLINE": "1",
        }
        home = environment.get("KERAS_DREAM_HOME")
        if home:  # originals are read from there, copies are written elsewhere
            environment.setdefault("KERAS_DREAM_WEIGHTS", home)
        environment["KERAS_DREAM_HOME"] = cache
        measure(arguments, environment)


def measure(arguments, environment):
    goals = {"first step, motif": SHIPPED}
    programs = {
        "import torch": ["-c", TORCH],
        "first step, motif": ["-c", STEP, arguments.photo, "motif", ""],
    }
    for network in arguments.networks:
        file = filled(network, environment)
        name = f"second start, {network}" + (" (random)" if file else "")
        programs[name] = ["-c", STEP, arguments.photo, network, file]
        warm(programs[name], environment)
        goals[name] = SECOND
    programs["dream --help"] = ["-m", "keras_dream", "--help"]
    times = {name: [] for name in programs}
    for number in range(arguments.rounds + 1):  # the first one warms the disk's cache
        for name, program in programs.items():
            seconds = timed(program, environment)
            if number:
                times[name].append(seconds)
    print(f"{'':36}{'median s':>10}{'min':>8}{'max':>8}")
    for name, values in times.items():
        median = statistics.median(values)
        print(f"{name:36}{median:10.3f}{min(values):8.3f}{max(values):8.3f}")
    for name, goal in goals.items():
        pairs = zip(times[name], times["import torch"], strict=True)
        added = statistics.median(a - b for a, b in pairs)
        print(f"{name}: {added:.2f} s on top of import torch (goal: at most {goal} s)")


def timed(program, environment):
    """Returns the seconds until the instant that a process prints, or until its end."""
    began = time.time()
    done = subprocess.run(
        [sys.executable, *program],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    ended = time.time()
    return (float(done.stdout) if program[0] == "-c" else ended) - began


if __name__ == "__main__":
    main()
