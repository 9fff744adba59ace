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
from keras_dream.events import FilmPlanned
from keras_dream.recipe.recipe import Recipe, RunSettings
from keras_dream.recipe.video import VideoSettings
from keras_dream.video.run import VideoRun
from keras_dream.video.setup import Setup

RECIPE = Recipe(
    objective="mixed0",
    octaves=1,
    steps=2,
    step_size=0.02,
    video=VideoSettings(block=3, overlap=1, smooth=0.5),
)
LIVES = 1_000


def run(dreamer, folder, *, planned=lambda: None):
    """Dreams the film, or goes on with it; says when it is planned."""
    setup = Setup(str(folder / "clip.mp4"), RECIPE)
    with VideoRun(setup, folder / "film.mp4", dreamer=dreamer) as film:
        for event in film:
            if isinstance(event, FilmPlanned):
                planned()


def live(dreamer, folder, seconds):
    """Returns whether a child was killed so long after its film was planned."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            run(dreamer, folder, planned=lambda: os.write(write, b"."))
            os._exit(0)
        finally:
            os._exit(1)
    os.close(write)
    os.read(read, 1)
    os.close(read)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def main(folder, kills):
    write_clip(folder / "clip.mp4", hard_cut(8, at=4), sound=tone(0.32))
    settings = RunSettings(backend="torch", device="cpu", threads=1)
    dreamer = Dreamer("motif", run=settings)
    rng, killed, times = random.Random(kills), 0, []
    run(dreamer, folder, planned=lambda: times.append(time.monotonic()))
    whole = time.monotonic() - times[0]
    for _ in range(LIVES):
        if killed == kills:
            break
        # Each goes on with the film of the one before it, up to where it is written.
        killed += live(dreamer, folder, rng.uniform(0, 0.7 * whole))
        done = len(list(folder.glob(".film.mp4.video/frame-*")))
        sys.stderr.write(f"{done} frames are done\n")
    run(dreamer, folder)
    sys.stdout.write(f"{killed}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
