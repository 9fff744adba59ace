"""How long what is under way still takes, and times and sizes in words."""

import time
from collections.abc import Callable

SETTLED = 1.0  # seconds after which a measured pace is worth showing

PREDICTION = 0.1
"""How much a predicted time counts, as a share of the work: early steps vary most."""


class Eta:
    """The time left of any work: bytes of a download, or shares of a dream or a sheet.

    The pace is measured from the first call on: bytes of an earlier run say nothing
    about it, and neither does a dream's first step, which prepares and compiles.

    Args:
        predicted: Seconds that the whole work will take, where that is known before.
        clock: Returns the time in seconds.
    """

    def __init__(
        self,
        *,
        predicted: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._predicted = predicted
        self._clock = clock
        self._began: float | None = None
        self._first = self._last = 0.0

    def left(self, done: float, total: float | None) -> str:
        """Returns the time left in words, or "" where it is not known.

        Args:
            done: How much is done; less than before begins other work.
            total: How much there is in all, or None.
        """
        now = self._clock()
        if self._began is None or done < self._last:
            self._began, self._first = now, done
        self._last = done
        spent, gained = now - self._began, done - self._first
        if not total or done >= total:
            return ""
        if self._predicted is not None:
            spent += PREDICTION * self._predicted
            gained += PREDICTION * total
        elif spent < SETTLED:
            return ""
        return (
            f"about {in_words(spent * (total - done) / gained)} left" if gained else ""
        )


def in_words(seconds: float) -> str:
    """Returns a time in words: 8 s, 2:05, 1:02:05."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def megabytes(done: int, *, total: int | None = None) -> str:
    """Returns a size in words: 12 of 94 MB."""
    whole = f" of {total / 1e6:.0f}" if total else ""
    return f"{done / 1e6:.0f}{whole} MB"
