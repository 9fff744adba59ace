"""A worker that starts in milliseconds: its dream is a hash of the photo's bytes.

A photo's name says what becomes of it: `crash` ends the process, `noisy` prints, `bad`
cannot be dreamed, `bomb` ends the process as soon as it is prepared. Run as a program,
it is a worker process.
"""

import hashlib
import os
import signal
import sys
import time
from pathlib import Path

from keras_dream.batches.messages import Made, Order, Setup
from keras_dream.batches.worker import make_folder
from keras_dream.errors import PictureError
from keras_dream.files import stage
from keras_dream.workers.messages import Began, Failed, Progress
from keras_dream.workers.serve import serve

STEPS = 3
COMMAND = (sys.executable, "-P", str(Path(__file__)))


def result_of(data, recipe):
    return hashlib.sha256(data + recipe.sha256.encode()).hexdigest().encode() * 1000


class StandIn:
    """As `keras_dream.batches.worker.Worker`: the last result comes with the next."""

    pause = 0.0  # seconds of a step

    def __init__(self, setup):
        self.setup = setup
        self.last = None

    def prepare(self, order):
        if "bomb" in Path(order.photo).stem:
            os.kill(os.getpid(), signal.SIGKILL)

    def dream(self, order):
        yield Began(order.key)
        name = Path(order.photo).stem
        if "crash" in name:
            os.kill(os.getpid(), signal.SIGKILL)
        if "noisy" in name:
            print('{"report": "Made"}')
            os.write(1, b"not a report\n")
        try:
            data = Path(order.photo).read_bytes()
        except OSError:
            yield from self.finish()
            yield Failed.of(order.key, PictureError("A picture must exist"))
            return
        if "bad" in name:
            yield from self.finish()
            yield Failed.of(order.key, PictureError("A picture must be good"))
            return
        for step in range(1, STEPS + 1):
            time.sleep(self.pause)
            if step == 2:
                yield from self.finish()
            yield Progress(order.key, step, STEPS)
        yield from self.finish()
        make_folder(Path(order.path).parent, self.setup.folder)
        staged = stage(order.path, result_of(data, order.recipe))
        self.last = (
            staged,
            Made(
                order.key,
                temporary=str(staged.temporary),
                size=staged.size,
                sha256=staged.sha256,
                input_sha256=hashlib.sha256(data).hexdigest(),
                seconds=0.0,
                notices=(),
            ),
        )

    def finish(self):
        if self.last is not None:
            (self.staged, made), self.last = self.last, None
            yield made


if __name__ == "__main__":
    StandIn.pause = float(os.environ.get("STANDIN_PAUSE", "0"))
    serve(Setup.read, Order.read, StandIn)
