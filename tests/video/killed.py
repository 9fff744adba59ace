"""Dreams a film in children that are killed with -9 at random moments.

    python killed.py FOLDER KILLS

The result is FOLDER/film.mp4. Each child is forked from this process, which has loaded
the network, and is killed after some milliseconds. It prints how many were killed.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from clips import hard_cut, tone, write_clip

from keras_dream import Dreamer
from keras_dream.recipe.recipe import Recipe, RunSettings
from keras_dream.recipe.video import VideoSettings
from keras_dream.video.run import VideoRun
from keras_dream.video.setup import Setup

RECIPE = Recipe(
    objective="mixed0",
    octaves=1,
    steps=2,
    step_size=0.02,
    video=VideoSettings(block=3, overlap=1),
)
LIVES = 1_000
MOMENT = 0.6  # seconds: a child that is not killed needs about one


def run(dreamer, folder):
    with VideoRun(
        Setup(str(folder / "clip.mp4"), RECIPE), folder / "film.mp4", dreamer=dreamer
    ) as film:
        film.finish()


def live(dreamer, folder, rng):
    """Returns the state of a child that was to be killed."""
    child = os.fork()
    if not child:
        try:
            run(dreamer, folder)
            os._exit(0)
        finally:
            os._exit(1)
    time.sleep(rng.uniform(0.05, MOMENT))
    os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


def main(folder, kills):
    write_clip(folder / "clip.mp4", hard_cut(8, at=4), sound=tone(0.32))
    settings = RunSettings(backend="torch", device="cpu", threads=1)
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
