"""Films in words: how far they are, what a frame takes, and what has become of them."""

import time
from collections import deque
from collections.abc import Callable, Iterator

from keras_dream.cli.reporters.eta import Eta, in_words
from keras_dream.events import (
    Event,
    FilmFinished,
    FilmPlanned,
    FilmProgress,
    FrameDone,
    FrameProgress,
)

_RECENT = 20  # frames by which the pace is measured: some seconds of a small film
_WIDE = 80  # columns of a terminal, in which more fits beside a bar
_PHASES = {
    "survey": "Looking through the source",
    "smooth": "Second pass",
    "write": "Writing the film",
    "measure": "Measuring the film",
}


class FilmState:
    """Follows a film: which frames are done, and how long the others take.

    Args:
        clock: Returns the time in seconds.

    Attributes:
        share: How much of the work under way is done, from 0 to 1.
        left: The time left in words, or "".
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic):
        self.share = 0.0
        self.left = ""
        self._clock = clock
        self._eta = Eta(clock=clock)
        self._phase = ""
        self._planned: FilmPlanned | None = None
        self._done = 0
        self._last: FrameDone | None = None
        self._ends = deque[float](maxlen=_RECENT + 1)

    def measure(self, event: Event) -> None:
        """Follows an event."""
        match event:
            case FilmProgress():
                if event.phase != self._phase:
                    self._phase, self._eta = event.phase, Eta(clock=self._clock)
                self._measure(event.share)
            case FilmPlanned():
                self._planned, self._done = event, event.ready
                ready = event.ready / event.frames
                whole = event.seconds / (1 - ready) if ready < 1 else None
                self._eta = Eta(predicted=whole, clock=self._clock)
                self._ends.append(self._clock())
                self._measure(ready)
            case FrameProgress():
                self._measure(event.share)
            case FrameDone():
                self._done, self._last = self._done + 1, event
                self._ends.append(self._clock())
                self._measure(event.share)
            case _:
                pass

    def _measure(self, share: float) -> None:
        self.share = share
        self.left = self._eta.left(share, 1.0)

    @property
    def is_under_way(self) -> bool:
        """Whether a film was planned."""
        return self._planned is not None

    @property
    def pace(self) -> str:
        """What a frame takes, in words; "" before the second."""
        if len(self._ends) < 2:
            return ""
        return _pace((self._ends[-1] - self._ends[0]) / (len(self._ends) - 1))

    def description(self, event: Event, *, width: int) -> str:
        """Returns the words beside a bar, or "" for what is no work at a film.

        Args:
            event: What happened.
            width: Of the terminal, in columns.
        """
        match event:
            case FilmProgress():
                return _PHASES.get(event.phase, event.phase)
            case FilmPlanned() | FrameProgress() | FrameDone():
                frames = self._planned.frames if self._planned else 0
                text = f"Frame {self._done}/{frames}"
                scenes = self._planned.scenes if self._planned else 1
                if self._last is not None and width >= _WIDE:
                    if scenes > 1:
                        text += f"  scene {self._last.scene}/{scenes}"
                    if self._last.released is not None:
                        text += f"  {self._last.released:.0%} new"
                return text
            case _:
                return ""

    @property
    def more(self) -> str:
        """The words behind a bar."""
        pace = "" if self._phase in ("smooth", "write") else self.pace
        return ", ".join(filter(None, (pace, self.left)))

    def sentence(self, event: Event) -> str:
        """Returns what an event says, or ""; several lines for a summary."""
        left = f", {self.left}" if self.left else ""
        match event:
            case FilmProgress():
                what = _PHASES.get(event.phase, event.phase)
                return f"{what}: {event.share:.0%}{left}."
            case FilmPlanned():
                return _planned(event)
            case FrameDone():
                new = ""
                if event.released is not None:
                    new = f"{event.released:.0%} of frame {event.number} is new"
                more = ", ".join(filter(None, (new, self.pace, self.left)))
                text = f"{self._done} of {event.frames} frames done"
                return f"{text}; {more}." if more else f"{text}."
            case FilmFinished():
                return "\n".join(_summary(event, self._planned))
            case _:
                return ""


def _planned(event: FilmPlanned) -> str:
    height, width = event.size
    text = (
        f"{_count(event.frames, 'frame')} of {width} × {height} pixels in "
        f"{_count(event.scenes, 'scene')}, {float(event.duration):.4g} s"
    )
    if event.ready == event.frames:
        return f"{text}; all of them are dreamed already."
    ready, what = "", "they take" if event.frames > 1 else "it takes"
    if event.ready:
        ready = f"{event.ready} of them {_are(event.ready)} dreamed already, "
        is_last = event.frames - event.ready == 1
        what = "the last one takes" if is_last else "the others take"
    by = f" with {event.workers} processes" if event.workers > 1 else ""
    took = f"{what} about {in_words(event.seconds)} on this machine{by}"
    return f"{text}; {ready}{took}."


def _summary(event: FilmFinished, planned: FilmPlanned | None) -> Iterator[str]:
    scenes = ""
    if planned and event.complete:
        scenes = f" in {_count(planned.scenes, 'scene')}"
    pace = f", {_pace(event.seconds / event.done)}" if event.done else ""
    text = f"Dreamed {_count(event.done, 'frame')}{scenes} in "
    text += f"{in_words(event.seconds)}{pace}"
    yield text + (
        f"; {event.reused} {_were(event.reused)} there before." if event.reused else "."
    )
    flicker, own = event.flicker, event.source_flicker
    if flicker is not None and own is not None:
        times = f"{_times(flicker / own)} the source's own" if own else "from none"
        yield f"Flicker: {times} (warping error {flicker:.2g} beside {own:.2g})."


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _were(number: int) -> str:
    return "was" if number == 1 else "were"


def _times(ratio: float) -> str:
    return f"{ratio:,.0f} times" if ratio >= 10 else f"{ratio:.2g} times"


def _pace(seconds: float) -> str:
    """Returns what a frame takes, in words."""
    words = f"{seconds:.2f} s" if seconds < 10 else in_words(seconds)
    return f"{words} a frame"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
