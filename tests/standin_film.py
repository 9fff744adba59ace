"""A dreamer of films without a network, and a worker process with it.

Its step is a function of each pixel. Each file crash-* in the folder that the
environment's STANDIN_CRASH names ends a process, at the frame that is dreamed next.
"""

import contextlib
import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from keras_dream.engine.finish import at_size
from keras_dream.engine.result import Record
from keras_dream.recipe.files import Files
from keras_dream.recipe.recipe import RunSettings
from keras_dream.video.messages import BlockOrder, FilmSetup
from keras_dream.video.workers import FilmWorker
from keras_dream.workers.serve import serve

COMMAND = (sys.executable, "-P", str(Path(__file__)))


class StandIn:
    """As `Dreamer`, as far as films need it."""

    def __init__(self):
        self.files = Files()
        self.run = RunSettings()

    def complete(self, recipe):
        return recipe

    def octaves(self, size, recipe):
        return (), ()

    def check_keyframes(self, size, recipe):
        pass

    def seconds(self, size, recipe):
        return recipe.steps / 1000

    def record(self, picture, recipe=None):
        return Record(
            {}, "", "standin", "0" * 64, "", "", (1, 1), {"backend": "none"}, 0, {}
        )

    def steps(self, photo, recipe, *, start=None, adjust=None, **_):
        crash()
        return Run(at_size(photo, recipe), recipe, start, adjust)


class Run:
    """As `engine.loop.Run`."""

    def __init__(self, photo, recipe, start, adjust):
        self._photo, self._steps = photo, recipe.steps
        self._image = photo.pixels if start is None else start
        self._adjust = adjust or (lambda image: image)
        self.plan = SimpleNamespace(take_notices=list, text=lambda: "whole")

    def __iter__(self):
        for _ in range(self._steps):
            change = np.float32(0.05) * np.sin(np.float32(20) * self._image)
            self._image = np.clip(self._image + change, 0, 1)
            yield SimpleNamespace(octaves=1, iterations=self._steps)

    @property
    def dream(self):
        image = self._adjust(self._image)
        record = SimpleNamespace(notices=())
        return SimpleNamespace(image=image, alpha=self._photo.alpha, record=record)


def crash():
    """Ends the process where a file of the environment's folder says so."""
    folder = os.environ.get("STANDIN_CRASH")
    for path in sorted(Path(folder).glob("crash-*")) if folder else ():
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    serve(
        FilmSetup.read,
        BlockOrder.read,
        lambda setup: FilmWorker(setup, dreamer=StandIn()),
    )
