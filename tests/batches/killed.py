"""Runs a batch in children that are killed with -9 at seeded random moments.

    python killed.py FOLDER KILLS [real]

FOLDER has `photos`; the results go to `out`. Each child is forked from this process,
which has loaded all that a batch needs, and is killed after some of its events and some
milliseconds more. It prints how many were killed.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import standin_worker

from keras_dream.batches.inputs import Task
from keras_dream.batches.run import BatchRun
from keras_dream.batches.unfinished import Unfinished
from keras_dream.events import ItemDone, ItemProgress, ItemStarted
from keras_dream.recipe.recipe import Recipe, RunSettings
from keras_dream.workers.pool import Here

LIVES = 1_000


def run(folder, report, *, real):
    recipe = Recipe(octaves=1, steps=3)
    photos = sorted((folder / "photos").iterdir())
    tasks = [Task(str(p), recipe, folder / "out" / f"{p.stem}.png") for p in photos]
    team = None if real else lambda s, _: Here(s, standin_worker.StandIn)
    settings = RunSettings(backend="torch", device="cpu", threads=1)
    with BatchRun(tasks, folder / "out", run=settings, team=team, workers=1) as batch:
        for event in batch:
            is_new = isinstance(event, ItemDone) and not event.reused
            if is_new or isinstance(event, ItemProgress | ItemStarted):
                report()


def live(folder, rng, *, real):
    """Returns the state of a child that was to be killed."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        try:
            run(folder, lambda: os.write(writer, b"."), real=real)
            os._exit(0)
        finally:
            os._exit(1)
    os.close(writer)
    for _ in range(rng.randrange(8)):
        os.read(reader, 1)
    time.sleep(rng.uniform(0, 0.005))
    os.kill(child, signal.SIGKILL)
    os.close(reader)
    return os.waitpid(child, 0)[1]


def main(folder, kills, real):
    Unfinished.seconds = 0.0  # where it is in a picture is kept after every step
    if real:
        import torch  # noqa: F401 - a second less for every child

        import keras_dream.sheets.run  # noqa: F401
    rng, killed = random.Random(kills), 0
    for _ in range(LIVES):
        if killed == kills:
            break
        killed += os.WIFSIGNALED(live(folder, rng, real=real))
    run(folder, lambda: None, real=real)
    sys.stdout.write(f"{killed}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:] == ["real"])
