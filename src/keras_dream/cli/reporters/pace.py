"""How long what is under way still takes, in words."""

import time
from collections.abc import Callable

SETTLED = 1.0  # seconds after which a pace is worth telling


class Pace:
    """How fast a download goes, since the first call of this run.

    Bytes that were here before say nothing about the line.
    """

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._began: float | None = None
        self._first = self._last = 0

    def text(self, done: int, total: int | None) -> str:
        """Returns bytes so far and, where that can be told, the time left.

        Args:
            done: Bytes so far; fewer than before begin another file.
            total: Bytes in all, or None.
        """
        if not done and total is None:
            return "asking the server"
        now = self._seconds()
        if self._began is None or done < self._last:
            self._began, self._first = now, done
        self._last = done
        spent, came = now - self._began, done - self._first
        if not total or done >= total or spent < SETTLED or not came:
            return megabytes(done, total)
        left = spent * (total - done) / came
        return f"{megabytes(done, total)}, about {clock(left)} left"


def clock(seconds: float) -> str:
    """Returns a time as a person says it: 8 s, 2:05, 1:02:05."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def megabytes(done: int, total: int | None = None) -> str:
    """Returns a size as a person says it: 12 of 94 MB."""
    whole = f" of {total / 1e6:.0f}" if total else ""
    return f"{done / 1e6:.0f}{whole} MB"
