"""Where a long dream of a batch is: kept about every minute, to go on from there."""

import contextlib
import logging
import time
from pathlib import Path

from keras_dream.batches.messages import Order
from keras_dream.engine.checkpoint import Checkpoint, Context, read_context
from keras_dream.engine.loop import Run
from keras_dream.engine.result import Record
from keras_dream.errors import DreamError
from keras_dream.recipe.recipe import canonical_json

_log = logging.getLogger(__name__)


def kept_path(result: Path, key: str) -> Path:
    """Returns the hidden file in which an item's dream is kept, beside its result.

    Args:
        result: The item's result.
        key: The item's key, a hash.
    """
    return result.with_name(f".dream-{key[:32]}.canvas.npz")


class Unfinished:
    """The dream of an order, from its beginning or from where it was kept.

    Args:
        order: The order.
        record: The dream's record before its first step: only a dream that was to have
            the same one is gone on with, so that the results are equal.
    """

    seconds = 60.0
    """Between two times that it is kept."""

    def __init__(self, order: Order, record: Record):
        self.path = kept_path(Path(order.path), order.key)
        self._context = Context(order.recipe.json_text(), canonical_json(record.data()))
        self._last = time.monotonic()

    def start(self) -> Checkpoint | None:
        """Returns from where it goes on; None for the beginning."""
        if not self.path.exists():
            return None
        try:
            if read_context(self.path) == self._context:
                return Checkpoint.read(self.path)
        except DreamError as failure:
            _log.info("Not gone on with: %s", failure)
        return None

    def keep(self, run: Run, *, seconds: float | None = None) -> None:
        """Keeps where it is, if it was not kept for a while.

        Args:
            run: The dream.
            seconds: How long a while is; None for `self.seconds`.
        """
        now = time.monotonic()
        if now - self._last < (self.seconds if seconds is None else seconds):
            return
        self._last = now
        # A full disk is told where the result is written.
        with contextlib.suppress(DreamError):
            if (checkpoint := run.checkpoint) is not None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                checkpoint.save(self.path, context=self._context)
