"""From the start of a process to its first step, beside `import torch` alone.

    python benchmarks/cold.py [--rounds 7] [--photo PATH]

Printed: medians of whole processes, in turn, and what keras-dream adds.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
GOAL = 0.8  # seconds on top of importing torch

STEP = """
import sys
import keras_dream as kd
dreamer = kd.Dreamer("motif", run=kd.RunSettings(backend="torch", threads=2))
next(dreamer.steps(sys.argv[1]))
if "keras" in sys.modules:
    raise SystemExit("keras was imported")
"""
PROGRAMS = {
    "import torch": ["-c", "import torch"],
    "first step, motif": ["-c", STEP],
    "dream --help": ["-m", "keras_dream", "--help"],
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--photo", default=str(ROOT / "examples" / "sky.jpg"))
    arguments = parser.parse_args()
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    times = {name: [] for name in PROGRAMS}
    for number in range(arguments.rounds + 1):  # the first one warms the disk's cache
        for name, program in PROGRAMS.items():
            command = [sys.executable, *program]
            command += [arguments.photo] if name.startswith("first") else []
            began = time.perf_counter()
            subprocess.run(
                command, check=True, stdout=subprocess.DEVNULL, env=environment
            )
            if number:
                times[name].append(time.perf_counter() - began)
    print(f"{'':24}{'median s':>10}{'min':>8}{'max':>8}")
    for name, values in times.items():
        median = statistics.median(values)
        print(f"{name:24}{median:10.3f}{min(values):8.3f}{max(values):8.3f}")
    pairs = zip(times["first step, motif"], times["import torch"], strict=True)
    added = statistics.median(a - b for a, b in pairs)
    print(f"\non top of import torch: {added:.2f} s (goal: at most {GOAL} s)")


if __name__ == "__main__":
    main()
