"""Lines for logs: every event is a sentence, and those that come often are sparse."""

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from keras_dream.cli.output import plain, write_stderr
from keras_dream.cli.reporters.base import Reporter
from keras_dream.cli.reporters.batch import BatchProgress
from keras_dream.cli.reporters.eta import Eta, in_words, megabytes
from keras_dream.cli.reporters.film import FilmState
from keras_dream.events import (
    CellDone,
    CellProgress,
    Compared,
    Download,
    Event,
    Fetching,
    FileProgress,
    FilmProgress,
    FrameDone,
    FrameProgress,
    GradientPlan,
    ItemDone,
    ItemProgress,
    Loading,
    NextPhoto,
    Notice,
    Planned,
    Saved,
    Started,
    TileDone,
)
from keras_dream.recipe.byte_sizes import size_text

if TYPE_CHECKING:
    from keras_dream.engine.loop import Step

SECONDS_BETWEEN_LINES = 20  # in a log: seldom enough to read, often enough to trust


class Lines(Reporter):
    """Shows events as sentences on standard error.

    Args:
        clock: Returns the time in seconds.

    Attributes:
        done: How much of the work under way is done: bytes, or a share from 0 to 1.
        total: How much there is in all, or None where that is not known.
        left: The time left in words, or "".
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic):
        super().__init__()
        self._clock = clock
        self.batch = BatchProgress(clock=clock)
        self.film = FilmState(clock=clock)
        self.done: float = 0.0
        self.total: float | None = None
        self.left = ""
        self._eta = Eta(clock=self._clock)
        self._began = self._clock()
        self._started: Started | None = None
        self._planned: Planned | None = None
        self._steps = 0
        self._tiled = False
        self._last_line = -math.inf
        self._last_part: object = None

    def report(self, event: Event) -> None:
        """Writes an event's sentence, if it has one and it is time for one."""
        self.measure(event)
        if isinstance(event, ItemDone):
            for notice in self.batch.notices(event):
                self.write(notice)
        sentence = self.sentence(event)
        if sentence and self._is_due(event):
            self.write(sentence)
        super().report(event)

    def write(self, sentence: str) -> None:
        """Writes a sentence for the user."""
        write_stderr(sentence)

    def measure(self, event: Event) -> None:
        """Follows how much of the work is done."""
        from keras_dream.engine.loop import Step

        match event:
            case Loading() | Fetching():
                self._eta = Eta(clock=self._clock)
            case Download():
                self._progress(event.bytes, event.total)
            case Started():
                self._eta, self._steps = Eta(clock=self._clock), 0
                self._began, self._started = self._clock(), event
            case Planned():
                self._eta = Eta(predicted=event.seconds, clock=self._clock)
                self._began, self._planned = self._clock(), event
                self._progress(0.0, 1.0)
            case FileProgress():
                self._progress(event.share, 1.0)
            case TileDone():
                self._tiled = True
                self._progress(event.share, 1.0)
            case Step():
                self._steps += 1
                if not self._tiled:
                    self._progress(self._share(event), 1.0)
            case CellProgress() | CellDone():
                self._progress(event.done, 1.0)
            case _:
                self.batch.measure(event)
                self.film.measure(event)

    def sentence(self, event: Event) -> str:
        """Returns what an event says, or "" where it says nothing."""
        from keras_dream.engine.loop import Step

        left = f", {self.left}" if self.left else ""
        match event:
            case Loading() | Fetching() | NextPhoto() | Planned() | GradientPlan():
                return _beginning(event)
            case Download():
                return f"Downloading the weights: {self.amount(event)}{left}."
            case Notice():
                return f"Notice: {plain(event.text)}"
            case Step():
                height, width = event.size
                return (
                    f"Octave {event.octave} of {event.octaves}, {width} × {height} "
                    f"pixels: step {event.iteration} of {event.iterations}, "
                    f"loss {event.loss:.4g}{left}."
                )
            case FileProgress():
                what = "Saving" if event.writing else "Reading"
                return f"{what} {plain(event.path)}: {event.share:.0%}{left}."
            case TileDone():
                return (
                    f"Octave {event.octave} of {event.octaves}, step "
                    f"{event.iteration} of {event.iterations}: tile {event.tile} of "
                    f"{event.tiles}{left}."
                )
            case CellProgress(number, name, _):
                cells = self._planned.cells if self._planned else number
                return f"Cell {number} of {cells}, {plain(name)}{left}."
            case Saved():  # the summary of a film was there before
                return "" if self.film.is_under_way else self._summary()
            case Compared():
                return _comparison(event)
            case _:
                return self.batch.sentence(event) or self.film.sentence(event)

    def amount(self, event: Download) -> str:
        """Returns how much of a file is here."""
        if not event.bytes and event.total is None:
            return "waiting for the server"
        return megabytes(event.bytes, total=event.total)

    def _progress(self, done: float, total: float | None) -> None:
        self.done, self.total = done, total
        self.left = self._eta.left(done, total)

    def _share(self, step: "Step") -> float:
        """Returns how much of a dream is done, in pixels times steps.

        A loss above the recipe's largest may end an octave early: it counts as done
        when the next one begins.
        """
        if self._started is None:
            return 0.0
        work = {
            o.octave: o.size[0] * o.size[1] * o.steps for o in self._started.octaves
        }
        done = sum(part for octave, part in work.items() if octave < step.octave)
        share = step.iteration / step.iterations
        return (done + work[step.octave] * share) / sum(work.values())

    def _summary(self) -> str:
        spent = in_words(self._clock() - self._began)
        if self._planned is not None:
            return f"Drew {_count(self._planned.cells, 'cell')} in {spent}."
        return f"Dreamed {_count(self._steps, 'step')} in {spent}."

    def _is_due(self, event: Event) -> bool:
        """Tells whether a line is due: seldom, but for the first of a part."""
        from keras_dream.engine.loop import Step

        part = None
        if isinstance(event, Step | TileDone):
            part = event.octave
        elif isinstance(event, Download | CellProgress | FileProgress):
            part = event.kind
        elif isinstance(event, FilmProgress):
            part = event.phase
        elif isinstance(event, ItemProgress | ItemDone):
            part = "items"
        elif isinstance(event, FrameProgress | FrameDone):
            part = "frames"
        now = self._clock()
        is_new = part is None or part != self._last_part
        self._last_part = part
        if is_new or now >= self._last_line + SECONDS_BETWEEN_LINES:
            self._last_line = now
            return True
        return False


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _beginning(
    event: Loading | Fetching | NextPhoto | Planned | GradientPlan,
) -> str:
    if isinstance(event, Planned):
        return _cost(event)
    if isinstance(event, GradientPlan):
        return _plan(event)
    if isinstance(event, NextPhoto):
        return f"Photo {event.number} of {event.photos}, {plain(event.photo)}."
    what = "Loading" if isinstance(event, Loading) else "Downloading the weights of"
    return f"{what} {plain(event.network)}."


def _cost(planned: Planned) -> str:
    cells = _count(planned.cells, "cell")
    if not planned.missing:
        return f"{cells}, all of them on the disk already."
    ready = f", {planned.ready} of them on the disk already" if planned.ready else ""
    what = "the others take" if planned.ready else "they take"
    return f"{cells}{ready}; {what} about {in_words(planned.seconds)} on this machine."


def _plan(event: GradientPlan) -> str:
    memory, tiled = size_text(event.bytes), event.tiled
    if not tiled:
        return f"The gradient is computed whole, in up to {memory} of memory."
    parts = [
        f"octave {each.octave} of {each.size[1]} × {each.size[0]} pixels as "
        f"{plain(' and '.join(dict.fromkeys(each.schemes)))}"
        for each in tiled
    ]
    rest = ", the others whole" if len(tiled) < len(event.octaves) else ""
    halo = ""
    if event.halo_error is not None:
        halo = f" Bounded tiles make the gradient {event.halo_error:.2%} wrong."
    return (
        f"The gradient is computed in tiles: {', '.join(parts)}{rest}; in up to "
        f"{memory} of memory and about {in_words(event.seconds)}.{halo}"
    )


def _comparison(event: Compared) -> str:
    if event.equal:
        return "The dream made again equals the saved one."
    more = "although it should" if event.expected else "as expected"
    return f"The dream made again does not equal the saved one, {more}."
