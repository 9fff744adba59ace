"""Batches in words: how far they are, and what has become of their pictures."""

import contextlib
import shlex
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from keras_dream.cli.output import plain, table
from keras_dream.cli.reporters.eta import Eta, in_words
from keras_dream.errors import short_repr
from keras_dream.events import (
    BatchFinished,
    BatchPlanned,
    Event,
    ItemDone,
    ItemFailed,
    ItemProgress,
    ItemSkipped,
    ItemStarted,
)

MOST_LISTED = 20
"""Failures that a summary lists: a screen of them."""


class BatchProgress:
    """Follows a batch: which pictures are done, and how long the others take.

    Args:
        clock: Returns the time in seconds.

    Attributes:
        done: How many pictures are done, or have failed, since it began.
        waiting: How many there were to do then.
        left: The time left in words, or "".
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic):
        self.done = 0
        self.waiting = 0
        self.left = ""
        self._clock = clock
        self._eta = Eta(clock=clock)
        self._failed = 0
        self._first: float | None = None  # the share at the first step of all
        self._shares: dict[int, float] = {}
        self._told: set[str] = set()

    @property
    def share(self) -> float:
        """The share of the batch that is done, from 0 to 1; failures take no time."""
        made = self.done - self._failed + sum(self._shares.values())
        return made / max(self.waiting - self._failed, 1)

    def measure(self, event: Event) -> None:
        """Follows an event."""
        match event:
            case BatchPlanned():
                self.waiting = event.waiting
                self._eta = Eta(predicted=event.seconds, clock=self._clock)
            case ItemStarted():
                self._shares[event.number] = 0.0
                # A watched folder has brought more.
                self.waiting = max(self.waiting, self.done + len(self._shares))
            case ItemProgress():
                self._shares[event.number] = event.share
                self._measure_time()
            case ItemDone() | ItemFailed() | ItemSkipped():
                is_final = not isinstance(event, ItemFailed) or event.final
                if self._shares.pop(event.number, None) is not None and is_final:
                    self.done += 1
                    self._failed += isinstance(event, ItemFailed)
                    self._measure_time()
            case _:
                pass

    def _measure_time(self) -> None:
        """Measures the time from the first step on; half a picture tells the pace."""
        if self._first is None:
            self._first = self.share
        left = self._eta.left(self.share, 1.0)
        is_known = (self.share - self._first) * self.waiting >= 0.5
        self.left = left if is_known else ""

    def sentence(self, event: Event) -> str:
        """Returns what an event says, or ""; several lines for a summary."""
        left = f", {self.left}" if self.left else ""
        of = f"{self.done} of {self.waiting}"
        match event:
            case BatchPlanned():
                return _planned(event)
            case ItemProgress():
                return f"{of} pictures done; step {event.step} of {event.steps}{left}."
            case ItemDone() if not event.reused:
                took = in_words(event.seconds)
                return f"{of} pictures done; {plain(event.path)} took {took}{left}."
            case BatchFinished():
                return "\n".join(_summary(event))
            case _:
                return ""

    def notices(self, event: ItemDone) -> Iterator[str]:
        """Yields what should be known about a picture; what many have, only once."""
        for notice in event.notices:
            if notice not in self._told:
                self._told.add(notice)
                yield f"Notice: {plain(event.photo)}: {plain(notice)}"


def _planned(event: BatchPlanned) -> str:
    before = (
        (event.ready, "there already"),
        (event.failed, "failed before (--retry-failed tries again)"),
        (event.refused, "impossible"),
    )
    parts = [f"{count:,} {what}" for count, what in before if count]
    by = f" by {event.workers} processes" if event.workers > 1 else ""
    time_needed = (
        "" if event.seconds is None else f" in about {in_words(event.seconds)}"
    )
    parts.append(f"{event.waiting:,} to dream{time_needed}{by}")
    pictures = "picture" if event.items == 1 else "pictures"
    return f"{event.items:,} {pictures}: {', '.join(parts)}."


def _reason(skipped: ItemSkipped, folder: str) -> str:
    """Returns why a picture was skipped, in words that others share."""
    path = Path(skipped.path)
    names = [short_repr(str(path.absolute())), short_repr(skipped.path)]
    with contextlib.suppress(ValueError):  # as the journal has it
        names.append(short_repr(path.relative_to(folder).as_posix(), limit=300))
    reason = skipped.reason.removesuffix(".")
    for name in names:
        reason = reason.replace(name, "it")
    return reason


def _summary(event: BatchFinished) -> Iterator[str]:
    pace = event.seconds / max(event.done, 1)
    each = f", {in_words(pace)} each" if event.done > 1 and pace >= 1 else ""
    reasons = Counter(_reason(each, event.folder) for each in event.skipped)
    most = reasons.most_common(3)
    many = "; ".join(f"{count:,} × {plain(why)}" for why, count in most)
    rows = [
        ("dreamed", event.done, f"in {in_words(event.seconds)}{each}"),
        ("there before", event.reused, ""),
        ("skipped", len(event.skipped), many),
        ("failed", len(event.failed), ""),
        ("left", event.waiting, "the same command goes on from there"),
    ]
    shown = [(what, f"{count:,}".rjust(7), why) for what, count, why in rows if count]
    yield table(("pictures", f"{event.items:,}".rjust(7), plain(event.folder)), shown)
    for failed in event.failed[:MOST_LISTED]:
        # It was said in full while the batch ran; `dream jobs show` has it, too.
        short = failed.sentence.partition("; received ")[0].removesuffix(".")
        yield f"failed: {plain(failed.photo)}: {plain(short)}."
    more = len(event.failed) - MOST_LISTED
    if more > 0:
        show = f"dream jobs show {shlex.quote(plain(event.folder))}"
        yield f"failed: {more:,} more; `{show}` and --json have all of them."
    for sheet in event.sheets[:1]:
        pages = f" and {len(event.sheets) - 1} more" if len(event.sheets) > 1 else ""
        yield f"contact sheet: {plain(sheet)}{pages}"
