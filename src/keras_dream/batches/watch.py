"""Waiting for photos that are new in the inputs of a batch."""

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from keras_dream.batches.inputs import Task, Tasks
from keras_dream.batches.plan import Planner
from keras_dream.errors import InputError

_log = logging.getLogger(__name__)

SECONDS_BETWEEN_LOOKS = 1.0
"""A photo is taken when it has the same size and time at two looks."""

_REST = 9  # times as long as a look took: at most a tenth of a core, for nothing


class Watch:
    """Waits for photos that are new, until somebody stops it; called for each wait.

    Args:
        planner: Plans them, and knows which are new.
        look: Called with what is new at each look, also with what cannot be planned;
            returns the tasks of it that are to be dreamed.
    """

    def __init__(
        self,
        planner: Planner,
        *,
        look: Callable[[Tasks], Sequence[Task]] = lambda tasks: tasks.tasks,
    ):
        self._planner = planner
        self._look = look
        self._seen: dict[str, tuple[int, int]] = {}
        self._next = 0.0

    def __call__(self) -> Sequence[Task]:
        """Returns new tasks, as soon as there are some."""
        while True:
            # Also where the tasks of the last look took no time at all.
            time.sleep(max(0.0, self._next - time.monotonic()))
            began = time.monotonic()
            tasks = self._look(self.plan())
            now = time.monotonic()
            self._next = now + max(SECONDS_BETWEEN_LOOKS, _REST * (now - began))
            if tasks:
                return tasks

    def plan(self) -> Tasks:
        """Returns what is new and has settled; nothing at the first look."""
        try:
            return self._planner.plan(settled=self._is_settled)
        except InputError as error:  # such as a manifest that is being written
            _log.info("Not planned: %s", error)
            return Tasks(())

    def _is_settled(self, photo: str) -> bool:
        try:
            status = Path(photo).stat()
        except OSError:
            return False
        now = status.st_size, status.st_mtime_ns
        before, self._seen[photo] = self._seen.get(photo), now
        return before == now and status.st_size > 0
