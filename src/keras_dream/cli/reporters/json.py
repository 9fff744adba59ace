"""JSON for programs: one event a line, on standard output."""

import math
import time

from keras_dream.cli.output import write_event
from keras_dream.cli.reporters.base import Reporter
from keras_dream.events import (
    BatchFinished,
    CellProgress,
    Download,
    Event,
    Fetched,
    FileProgress,
    FilmFinished,
    FilmProgress,
    FrameProgress,
    ItemDone,
    ItemFailed,
    ItemProgress,
    Saved,
    TileDone,
)

_RESULTS = (Saved, Fetched, ItemDone, ItemFailed, BatchFinished, FilmFinished)

_OFTEN = (
    Download,
    CellProgress,
    FileProgress,
    FilmProgress,
    FrameProgress,
    ItemProgress,
    TileDone,
)

SECONDS_BETWEEN_EVENTS = 1.0  # of those that a server or a sheet gives in thousands


class JsonLines(Reporter):
    """Shows every event as one line of JSON.

    Args:
        quiet: Show nothing but the results, `saved` and `fetched`, the summary of a
            film, and of a batch its results, failures and summary.
    """

    def __init__(self, *, quiet: bool = False):
        super().__init__()
        self._quiet = quiet
        self._last: dict[str, float] = {}

    def report(self, event: Event) -> None:
        """Writes an event; of downloads, steps and tiles at most one a second."""
        if self._quiet and not isinstance(event, _RESULTS):
            return
        if isinstance(event, _OFTEN):
            now = time.monotonic()
            is_last = isinstance(event, Download) and event.bytes == event.total
            before = self._last.get(event.kind, -math.inf)
            if now < before + SECONDS_BETWEEN_EVENTS and not is_last:
                return
            self._last[event.kind] = now
        write_event(event)
