"""What does a batch cost beside its dreams, and what do two workers gain?

    python benchmarks/batch.py [--pictures 64] [--size 512] [--rounds 3] [--steps 10]

1. In one process, in turn: the dreams alone, from arrays in memory (the engine), and
   the batch of the same pictures, from files to files with its journal. Goal: at most
   1.1 times as long.
2. In turn, each in a process of its own and from its start: one worker with two
   threads, and two workers with one thread each.
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

import numpy as np

SOURCE = str(Path(__file__).parents[1] / "src")
PROGRAM = """
import json, sys, time
began = time.perf_counter()
import keras_dream as kd
photos, out, settings = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
summary = kd.batch(photos, out, backend="torch", device="cpu", **settings).finish()
assert not summary.failed and not summary.reused
print(time.perf_counter() - began)
"""


def photos_in(folder, count, side):
    """Saves smooth photos, which take as long to decode and encode as real ones."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for number in range(count):
        small = rng.integers(0, 256, (side // 16, side // 16, 3), dtype=np.uint8)
        image = Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC)
        image.save(folder / f"{number:03d}.jpg", quality=95)


def engine(dreamer, recipe, photos):
    """Returns the seconds of the dreams alone, and those of their steps."""
    from keras_dream.pictures.picture import read_picture

    pictures = [read_picture(photo) for photo in sorted(photos.iterdir())]
    began, steps = time.perf_counter(), 0.0
    for picture in pictures:
        run = dreamer.steps(picture, recipe)
        steps += sum(step.seconds for step in run)
        _ = run.dream
    return time.perf_counter() - began, steps


def batch(recipe, photos, out, **settings):
    import keras_dream as kd

    began = time.perf_counter()
    summary = kd.batch(photos, out, recipe, workers=1, **settings).finish()
    if summary.failed or summary.reused:
        raise SystemExit(f"the batch failed: {summary}")
    return time.perf_counter() - began


def shell(photos, out, settings):
    command = [sys.executable, "-c", PROGRAM, photos, out, json.dumps(settings)]
    environment = {**os.environ, "PYTHONPATH": SOURCE}
    done = subprocess.run(
        [str(part) for part in command],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    )
    return float(done.stdout)


def overhead(folder, photos, arguments):
    import keras_dream as kd

    recipe = kd.presets["default"].but(steps=arguments.steps)
    run = {"backend": "torch", "device": "cpu", "threads": arguments.threads}
    dreamer = kd.Dreamer("motif", run=kd.RunSettings(**run))
    dreamer.dream(np.zeros((64, 64, 3), np.float32), recipe)  # warm
    times = []
    for number in range(arguments.rounds):
        alone, steps = engine(dreamer, recipe, photos)
        whole = batch(recipe, photos, folder / f"batch{number}", **run)
        times.append((steps, alone, whole))
    steps, alone, whole = (statistics.median(t) for t in zip(*times, strict=True))
    ratio = statistics.median(whole / alone for _, alone, whole in times)
    print("| | seconds |\n|---|---|")
    print(f"| steps of the dreams | {steps:.1f} |")
    print(f"| dreams, from array to array | {alone:.1f} |")
    print(f"| batch, from files to files | {whole:.1f} |")
    print(f"\nbatch / dreams: {ratio:.3f} (goal: at most 1.1)\n")


def workers(folder, photos, arguments):
    kinds = {
        "one worker, two threads": {"workers": 1, "threads": 2},
        "two workers, one thread each": {"workers": 2, "threads": 1},
    }
    times = {name: [] for name in kinds}
    for number in range(arguments.rounds):
        for name, settings in kinds.items():
            out = folder / f"{name[:3]}{number}"
            options = {**settings, "steps": arguments.steps}
            times[name].append(shell(photos, out, options))
    print("| | median s | min | max |\n|---|---|---|---|")
    for name, each in times.items():
        median = statistics.median(each)
        print(f"| {name} | {median:.1f} | {min(each):.1f} | {max(each):.1f} |")
    one, two = times.values()
    ratio = statistics.median(b / a for a, b in zip(one, two, strict=True))
    print(f"\ntwo workers / one worker: {ratio:.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=64)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos = folder / "photos"
        photos.mkdir()
        photos_in(photos, arguments.pictures, arguments.size)
        overhead(folder, photos, arguments)
        workers(folder, photos, arguments)


if __name__ == "__main__":
    sys.path.insert(0, SOURCE)
    main()
