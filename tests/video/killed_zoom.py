"""Makes a loop in children that are killed with -9 at random moments.

    python killed_zoom.py FOLDER KILLS

The result is FOLDER/killed.mp4, and FOLDER/whole.mp4 of a run that is not disturbed. It
prints how many were killed.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np
from clips import texture
from standin_dreamer import StandIn

from keras_dream.pictures.picture import Picture
from keras_dream.recipe.camera import CameraSettings
from keras_dream.recipe.recipe import Recipe
from keras_dream.video.from_picture import PictureSetup
from keras_dream.video.zoom import ZoomRun

LIVES = 1_000
MOMENT = 0.3  # seconds: a child that is not killed needs about one
PHOTO = Picture((texture((48, 64)) / np.float32(255)).astype(np.float32))
CAMERA = CameraSettings(seconds=0.5, loop=True, seam=5, rotate=1.0)


def run(film):
    setup = PictureSetup(source=PHOTO, recipe=Recipe(camera=CAMERA))
    ZoomRun(setup, film, dreamer=StandIn()).finish()


def live(film, rng):
    """Returns the state of a child that was to be killed."""
    child = os.fork()
    if not child:
        try:
            run(film)
            os._exit(0)
        finally:
            os._exit(1)
    time.sleep(rng.uniform(0, MOMENT))
    os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


def main(folder, kills):
    rng, killed = random.Random(kills), 0
    for _ in range(LIVES):
        if killed == kills:
            break
        killed += os.WIFSIGNALED(live(folder / "killed.mp4", rng))
    run(folder / "killed.mp4")
    run(folder / "whole.mp4")
    sys.stdout.write(f"{killed}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
