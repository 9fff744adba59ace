"""How a dream is told: a bar on a terminal, lines in a log, JSON for programs.

Every teller hears the same calls in the same order: `loading`, `started`, `notice`,
`step`, `saved`. Only the result's path and JSON go to standard output.
"""
# ruff: noqa: D102 - every method is documented once, in Teller

import math
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from keras_dream.cli.output import plain, write_stderr, write_stdout
from keras_dream.cli.reporters.pace import Pace, clock
from keras_dream.recipe.recipe import canonical_json

if TYPE_CHECKING:
    from keras_dream.engine.loop import Octave, Step

SECONDS_BETWEEN_LINES = 20  # in a log: seldom enough to read, often enough to trust


class Start(NamedTuple):
    """What is known before the first step.

    Attributes:
        photo: The photo's path.
        out: Where the result will be.
        network: The network's name.
        size: (height, width) of the photo in pixels.
        octaves: The octaves that will run.
        steps: Steps in each of them.
    """

    photo: str
    out: Path
    network: str
    size: tuple[int, int]
    octaves: Sequence["Octave"]
    steps: int


class Teller:
    """Tells nothing but the path of the result: `--quiet`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def loading(self, network: str) -> None:
        """A network is being loaded."""

    def fetching(self, network: str) -> None:
        """A network's weights are being fetched, and nothing else."""

    def download(self, done: int, total: int | None) -> None:
        """So many bytes of the weights are here."""

    def fetched(self, network: str, path: Path, sha256: str) -> None:
        """A network's weights are here."""
        write_stdout(str(path))

    def started(self, start: Start) -> None:
        """The first step begins."""

    def notice(self, text: str) -> None:
        """A person should know something."""

    def step(self, step: "Step") -> None:
        """A step is made."""

    def saved(self, path: Path, *, complete: bool) -> None:
        """The result is on the disk."""
        write_stdout(str(path))

    def compared(self, equal: bool, *, expected: bool) -> None:
        """A dream made again is, or is not, the saved one."""


class Lines(Teller):
    """Tells in sparse lines on standard error: logs, and terminals that are none."""

    def __init__(self) -> None:
        self._work = Work()
        self._pace = Pace()
        self._told = self._downloaded = -math.inf
        self._octave = 0

    def loading(self, network: str) -> None:
        write_stderr(f"Loading {network}.")

    def fetching(self, network: str) -> None:
        self._downloaded = -math.inf
        write_stderr(f"Fetching {network}.")

    def download(self, done: int, total: int | None) -> None:
        text = self._pace.text(done, total)
        if time.monotonic() >= self._downloaded + SECONDS_BETWEEN_LINES:
            self._downloaded = time.monotonic()
            write_stderr(f"Downloading the weights: {text}.")

    def started(self, start: Start) -> None:
        self._work.start(start)

    def notice(self, text: str) -> None:
        write_stderr(f"Notice: {plain(text)}")

    def step(self, step: "Step") -> None:
        self._work.step(step)
        is_new = step.octave != self._octave
        if is_new or time.monotonic() >= self._told + SECONDS_BETWEEN_LINES:
            self._told, self._octave = time.monotonic(), step.octave
            height, width = step.size
            write_stderr(
                f"Octave {step.octave} of {step.octaves}, {width} × {height} pixels: "
                f"step {step.iteration} of {step.iterations}, loss {step.loss:.4g}, "
                f"{self._work.left()}."
            )

    def saved(self, path: Path, *, complete: bool) -> None:
        write_stderr(self._work.summary())
        super().saved(path, complete=complete)

    def compared(self, equal: bool, *, expected: bool) -> None:
        write_stderr(_comparison(equal, expected))


class Bar(Teller):
    """Tells with a bar that moves, on a terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._work = Work()
        self._pace = Pace()
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[more]}", markup=False),
            console=Console(stderr=True, highlight=False),
            transient=True,
            expand=True,
            redirect_stdout=False,
        )
        self._task = self._bar.add_task("Starting", total=None, more="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def loading(self, network: str) -> None:
        self._bar.update(self._task, description=f"Loading {plain(network)}", more="")

    def fetching(self, network: str) -> None:
        self._bar.reset(self._task, description=f"Fetching {plain(network)}", more="")

    def download(self, done: int, total: int | None) -> None:
        self._bar.update(
            self._task,
            description="Downloading the weights",
            completed=done,
            total=total,
            more=self._pace.text(done, total),
        )

    def started(self, start: Start) -> None:
        self._work.start(start)
        self._bar.reset(
            self._task, total=self._work.total, description="Dreaming", more=""
        )

    def notice(self, text: str) -> None:
        from rich.text import Text

        self._bar.console.print(Text(f"Notice: {plain(text)}"))

    def step(self, step: "Step") -> None:
        self._work.step(step)
        self._bar.update(
            self._task,
            completed=self._work.done,
            description=f"Octave {step.octave}/{step.octaves}  "
            f"step {step.iteration}/{step.iterations}  loss {step.loss:.4g}",
            more=self._work.left(),
        )

    def saved(self, path: Path, *, complete: bool) -> None:
        self._bar.stop()
        write_stderr(self._work.summary())
        super().saved(path, complete=complete)

    def compared(self, equal: bool, *, expected: bool) -> None:
        write_stderr(_comparison(equal, expected))


class Events(Teller):
    """Tells in JSON, one event a line, on standard output.

    Args:
        brief: Leave out everything but `saved`.
    """

    def __init__(self, brief: bool = False):
        self._brief = brief
        self._downloaded = -math.inf

    def download(self, done: int, total: int | None) -> None:
        if time.monotonic() >= self._downloaded + 1 or done == total:
            self._downloaded = time.monotonic()
            self._give("download", bytes=done, total=total)

    def fetched(self, network: str, path: Path, sha256: str) -> None:
        write_stdout(event("fetched", network=network, path=str(path), sha256=sha256))

    def started(self, start: Start) -> None:
        octaves = [{"octave": o.number, "size": list(o.size)} for o in start.octaves]
        self._give(
            "started",
            photo=start.photo,
            path=str(start.out),
            network=start.network,
            size=list(start.size),
            octaves=octaves,
            steps=start.steps,
        )

    def notice(self, text: str) -> None:
        self._give("notice", text=text)

    def step(self, step: "Step") -> None:
        self._give(
            "step",
            octave=step.octave,
            octaves=step.octaves,
            iteration=step.iteration,
            iterations=step.iterations,
            size=list(step.size),
            loss=step.loss if math.isfinite(step.loss) else None,
            seconds=round(step.seconds, 6),
        )

    def saved(self, path: Path, *, complete: bool) -> None:
        write_stdout(event("saved", path=str(path), complete=complete))

    def compared(self, equal: bool, *, expected: bool) -> None:
        self._give("compared", equal=equal, expected=expected)

    def _give(self, name: str, **fields: Any) -> None:
        if not self._brief:
            write_stdout(event(name, **fields))


class Work:
    """How much of a dream is done, in pixels times steps, and how long the rest takes.

    Attributes:
        total: All of it.
        done: What is behind us.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.total = self.done = self._steps = self._first = 0
        self._clock = clock
        self._began = self._paced = clock()
        self._before: dict[int, int] = {}

    def start(self, start: Start) -> None:
        """Takes the octaves as the plan."""
        for octave in start.octaves:
            self._before[octave.number] = self.total
            self.total += octave.size[0] * octave.size[1] * start.steps
        self._began = self._clock()

    def step(self, step: "Step") -> None:
        """Counts a step; an octave that a loss ended counts as done by the next."""
        pixels = step.size[0] * step.size[1]
        self.done = self._before.get(step.octave, 0) + pixels * step.iteration
        self._steps += 1
        if self._steps == 1:
            self._paced, self._first = self._clock(), self.done

    def left(self) -> str:
        """Returns how long the rest takes, at the pace since the first step.

        That one prepares and compiles, and tells nothing about the others.
        """
        if self.done <= self._first:
            return "time not known yet"
        spent = self._clock() - self._paced
        rest = spent * (self.total - self.done) / (self.done - self._first)
        return f"about {clock(rest)} left"

    def summary(self) -> str:
        """Returns a sentence on what was done."""
        steps = f"{self._steps} step{'' if self._steps == 1 else 's'}"
        return f"Dreamed {steps} in {clock(self._clock() - self._began)}."


def teller(*, quiet: bool, json: bool) -> Teller:
    """Returns the teller for what was asked and for where it is heard."""
    if json:
        return Events(brief=quiet)
    if quiet or sys.stderr is None:
        return Teller()
    # Not rich's own test, which FORCE_COLOR turns over: a file must stay plain.
    is_terminal = sys.stderr.isatty() and not _is_dumb()
    return Bar() if is_terminal else Lines()


def event(name: str, **fields: Any) -> str:
    """Returns an event as one line of JSON."""
    return canonical_json({"event": name, **fields})


def _comparison(equal: bool, expected: bool) -> str:
    if equal:
        return "The dream made again equals the saved one."
    alike = "The dream made again does not equal the saved one"
    return f"{alike}, although it should." if expected else f"{alike}; it is alike."


def _is_dumb() -> bool:
    import os

    return os.environ.get("TERM", "") in ("dumb", "unknown")
