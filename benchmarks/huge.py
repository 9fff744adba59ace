"""Times a step of pictures larger than memory, and measures the memory that it takes.

    python benchmarks/huge.py [--megapixels 4 16 36 100] [--memory 4GiB] [--limit]
    python benchmarks/huge.py --megapixels 1000 --memory 6GiB --tile-rows 2

One octave, one step, with the built-in network to a middle layer and with the filter of
its presets. Every size is a process of its own. The photo is made first, which is not
counted. Printed for each size: the tiles; seconds in all and for a megapixel; those of
the tiles and those of what follows (filters, divisor, the next image); those of the
processor, which depend less on what else runs; and the peak of resident memory, and
the predicted one.
`--limit` puts the process under `ulimit -v`. `--tile-rows N` stops after N rows of
tiles and says what all of them would take, alone; without it the step is made to its
end. `--width` makes a strip of the picture. A picture takes 12 bytes a pixel on the
disk, and a step three and a half pictures.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

OBJECTIVE = "mixed3"


def photo(path: Path, height: int, width: int) -> Any:
    """Writes waves with some noise, band by band."""
    from keras_dream.huge.stores import Store, bands

    store = Store.create(path, (height, width, 3))
    rng = np.random.default_rng(0)
    across = np.arange(width, dtype=np.float32)
    noise = rng.random((256, width, 3), dtype=np.float32)
    for first, end in bands(height, width * 12):
        down = np.arange(first, end, dtype=np.float32)
        waves = np.sin(down / 37)[:, None, None] * np.sin(across / 53)[None, :, None]
        rows = noise[np.arange(first, end) % 256]
        store.write(first, 0.5 + 0.3 * waves + 0.2 * (rows - 0.5))
    return store.commit({"sha256": "0" * 64})


def peak() -> int:
    """Returns the peak of this process's resident memory in bytes."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    values = dict(line.split(":", 1) for line in lines if ":" in line)
    return int(values["VmHWM"].split()[0]) * 1024


def child(options: argparse.Namespace) -> None:
    """Makes one step of one size, and prints what it took as JSON."""
    from keras_dream import Dreamer
    from keras_dream.events import GradientPlan, TileDone
    from keras_dream.huge.run import dream_huge
    from keras_dream.recipe.recipe import Recipe, RunSettings

    (megapixels,) = options.megapixels
    folder = Path(tempfile.mkdtemp(prefix="huge-", dir=options.folder))
    try:
        width = options.width or math.isqrt(round(megapixels * 1e6))
        height = round(megapixels * 1e6 / width)
        store = photo(folder / "photo.npy", height, width)
        run = RunSettings.of(
            {
                "backend": "torch",
                "device": "cpu",
                "threads": options.threads,
                "gradient": options.gradient,
                "memory": options.memory,
            }
        )
        dreamer = Dreamer(options.network, run=run)
        recipe = Recipe(
            network=dreamer.network,
            objective=options.objective,
            octaves=1,
            steps=1,
            filters=options.filters,
        )
        began, times, tiles, predicted = time.perf_counter(), [], 0, 0
        with dream_huge(dreamer, store, folder, recipe) as work:
            set_up, cpu = time.perf_counter() - began, time.process_time()
            scheme = work.gradient
            _, columns = (int(n) for n in scheme.split()[-1].split("x"))
            for event in work:
                if isinstance(event, GradientPlan):
                    predicted = event.bytes
                if isinstance(event, TileDone):
                    times.append(time.perf_counter())
                    tiles = event.tiles
                    # One tile more, so that the row before it is on the disk.
                    if options.tile_rows and event.tile > options.tile_rows * columns:
                        break
            seconds = time.perf_counter() - began
        cpu = time.process_time() - cpu
        of_tiles = times[-1] - began - set_up
        if len(times) < tiles:
            of_tiles = (times[-1] - times[0]) / (len(times) - 1) * tiles
            seconds, cpu = math.nan, cpu / len(times) * tiles
        print(
            json.dumps(
                {
                    "scheme": scheme,
                    "tiles": of_tiles,
                    "set_up": set_up,
                    "seconds": seconds,
                    "cpu": cpu,
                    "peak": peak(),
                    "predicted": predicted,
                }
            )
        )
    finally:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


def measured(options: argparse.Namespace, megapixels: float) -> dict[str, Any]:
    """Returns what a child has measured."""
    words = [sys.executable, __file__, *sys.argv[1:], "--child"]
    words += ["--megapixels", f"{megapixels:g}"]
    if options.limit:
        from keras_dream.recipe.recipe import RunSettings

        limit = RunSettings.of({"memory": options.memory}).memory
        words = ["bash", "-c", f'ulimit -v {limit // 1024}; exec "$@"', "-", *words]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{megapixels:g} megapixels failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measures every size and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megapixels", type=float, nargs="+", default=[4, 16, 36, 100])
    parser.add_argument("--network", default="motif")
    parser.add_argument("--objective", default=OBJECTIVE)
    parser.add_argument("--filters", default="chroma")
    parser.add_argument("--gradient", default="auto")
    parser.add_argument("--memory", default="4GiB")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--folder", default=None, help="where the pictures are kept")
    parser.add_argument("--width", type=int, default=0, help="pixels; 0 for a square")
    parser.add_argument("--tile-rows", type=int, default=0)
    parser.add_argument("--limit", action="store_true")
    parser.add_argument("--child", action="store_true")
    options = parser.parse_args()
    if options.child:
        child(options)
        return
    print("| Mpx | tiles | s | s/Mpx | tiles | rest | CPU | MiB | predicted |")
    print("|---|---|---|---|---|---|---|---|---|")
    for megapixels in options.megapixels:
        found = measured(options, megapixels)
        work = found["seconds"] - found["set_up"]
        rest = work - found["tiles"]
        print(
            f"| {megapixels:g} | {found['scheme']} | {work:.1f} "
            f"| {work / megapixels:.2f} | {found['tiles'] / megapixels:.2f} "
            f"| {rest / megapixels:.2f} | {found['cpu'] / megapixels:.2f} "
            f"| {found['peak'] / 2**20:,.0f} | {found['predicted'] / 2**20:,.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
