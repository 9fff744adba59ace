"""Dreams a picture on the disk in children that are killed with -9 at random moments.

    python killed.py FOLDER KILLS

The result is FOLDER/dream.npy. Each child is forked from this process, which has loaded
the network, and is killed after some milliseconds. It prints how many were killed.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np

from keras_dream import Dreamer
from keras_dream.huge import bands
from keras_dream.huge.run import dream_huge
from keras_dream.huge.stores import Store
from keras_dream.recipe.recipe import Recipe, RunSettings

bands.MEMORY = 60_000  # bands of a few rows
RECIPE = Recipe(
    objective="mixed1 + 0.5*mixed0:3",
    loss="even",
    filters="chroma(sigma=4)",
    transforms="pad(size=5)",
    optimizer="momentum",
    octaves=2,
    steps=2,
)
LIVES = 1_000
MOMENT = 0.25  # seconds: a child that is not killed needs about two


def photo(folder):
    path = folder / "photo.npy"
    if not path.exists():
        values = np.random.default_rng(0).random((90, 70, 3), dtype=np.float32)
        store = Store.create(path, values.shape)
        store.write(0, values)
        store.commit().close()
    return Store.open(path)


def run(dreamer, folder):
    with dream_huge(dreamer, photo(folder), folder, RECIPE) as events:
        for _ in events:
            pass


def live(dreamer, folder, rng):
    """Returns the state of a child that was to be killed."""
    child = os.fork()
    if not child:
        try:
            run(dreamer, folder)
            os._exit(0)
        finally:
            os._exit(1)
    time.sleep(rng.uniform(0, MOMENT))
    os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


def main(folder, kills):
    settings = RunSettings(
        backend="torch", device="cpu", threads=1, gradient="cells 3x2"
    )
    dreamer = Dreamer("motif", run=settings)
    rng, killed = random.Random(kills), 0
    for _ in range(LIVES):
        if killed == kills:
            break
        killed += os.WIFSIGNALED(live(dreamer, folder, rng))
    run(dreamer, folder)
    sys.stdout.write(f"{killed}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
