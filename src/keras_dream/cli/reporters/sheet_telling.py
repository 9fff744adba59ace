"""How a sheet of many dreams is told: what it costs, cell by cell, what is left."""
# ruff: noqa: D102 - every method is documented once, in SheetTeller

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from keras_dream.cli.output import plain, write_stderr
from keras_dream.cli.reporters.pace import clock
from keras_dream.cli.reporters.telling import (
    SECONDS_BETWEEN_LINES,
    Bar,
    Events,
    Lines,
    Teller,
    teller,
)

if TYPE_CHECKING:
    from keras_dream.sheets.work import Progress


class Cost(NamedTuple):
    """What is known before the first cell.

    Attributes:
        cells: How many there are.
        ready: How many of them were dreamed before.
        missing: How many dreams are left; cells may share one.
        work: What is left, in pixels times steps.
        seconds: How long that will take.
        folder: Where the cells are kept.
        out: Where the sheet will be.
    """

    cells: int
    ready: int
    missing: int
    work: int
    seconds: float
    folder: Path
    out: Path

    @property
    def sentence(self) -> str:
        """The cost as a person reads it."""
        cells = f"{self.cells} cell{'' if self.cells == 1 else 's'}"
        if not self.missing:
            return f"{cells}, all of them here already."
        here = f", {self.ready} of them here already" if self.ready else ""
        what = "the others take" if self.ready else "they take"
        return f"{cells}{here}; {what} about {clock(self.seconds)} on this machine."


class Left:
    """How long the rest of a sheet takes: as predicted, then at the pace seen."""

    def __init__(self, seconds: float, watch: Callable[[], float] = time.monotonic):
        self._predicted = seconds
        self._watch = watch
        self._began = watch()

    def text(self, done: float) -> str:
        """Returns it in words.

        Args:
            done: The share of the predicted time that is behind us, from 0 to 1.
        """
        # The prediction counts as a tenth of the way: early steps say little.
        spent = self._watch() - self._began
        pace = (spent + 0.1 * self._predicted) / (done + 0.1)
        return f"about {clock(max(pace * (1 - done), 0))} left"

    def spent(self) -> str:
        """Returns how long it took."""
        return clock(self._watch() - self._began)


class SheetTeller(Teller):
    """Tells nothing but the path of the sheet: `--quiet`."""

    def planned(self, cost: Cost) -> None:
        """The work is known, and nothing is dreamed yet."""

    def progress(self, progress: "Progress") -> None:
        """A step is made, or a cell is done."""


class SheetLines(Lines, SheetTeller):
    """Tells in sparse lines on standard error."""

    def planned(self, cost: Cost) -> None:
        self._cells, self._left = cost.cells, Left(cost.seconds)
        write_stderr(cost.sentence)

    def progress(self, progress: "Progress") -> None:
        if (
            not progress.reused
            and time.monotonic() >= self._told + SECONDS_BETWEEN_LINES
        ):
            self._told = time.monotonic()
            write_stderr(
                f"Cell {progress.number} of {self._cells}, "
                f"{plain(str(progress.cell.recipe.objective or progress.cell.name))}: "
                f"{self._left.text(progress.done)}."
            )

    def saved(self, path: Path, *, complete: bool) -> None:
        write_stderr(f"Drew {self._cells} cells in {self._left.spent()}.")
        Teller.saved(self, path, complete=complete)


class SheetBar(Bar, SheetTeller):
    """Tells with a bar that moves, on a terminal."""

    def planned(self, cost: Cost) -> None:
        self._cells, self._left = cost.cells, Left(cost.seconds)
        self.notice(cost.sentence)
        self._bar.reset(self._task, total=1.0, description="Dreaming", more="")

    def notice(self, text: str) -> None:
        from rich.text import Text

        self._bar.console.print(Text(plain(text)))

    def progress(self, progress: "Progress") -> None:
        self._bar.update(
            self._task,
            completed=progress.done,
            description=f"Cell {progress.number}/{self._cells}",
            more=self._left.text(progress.done),
        )

    def saved(self, path: Path, *, complete: bool) -> None:
        self._bar.stop()
        write_stderr(f"Drew {self._cells} cells in {self._left.spent()}.")
        Teller.saved(self, path, complete=complete)


class SheetEvents(Events, SheetTeller):
    """Tells in JSON, one event a line, on standard output."""

    def planned(self, cost: Cost) -> None:
        self._give(
            "planned",
            cells=cost.cells,
            ready=cost.ready,
            missing=cost.missing,
            work=cost.work,
            seconds=round(cost.seconds, 3),
            folder=str(cost.folder),
            path=str(cost.out),
        )

    def progress(self, progress: "Progress") -> None:
        made = progress.made
        if made is not None:
            self._give(
                "cell",
                number=progress.number,
                objective=str(made.recipe.objective),
                path=str(made.path) if made.path else None,
                reused=progress.reused,
                silent=made.silent,
                done=round(progress.done, 4),
            )


def sheet_teller(*, quiet: bool, json: bool) -> SheetTeller:
    """Returns the teller for what was asked and for where it is heard."""
    plainly = teller(quiet=quiet, json=json)
    if isinstance(plainly, Events):
        return SheetEvents(brief=quiet)
    if isinstance(plainly, Bar):
        return SheetBar()
    return SheetLines() if isinstance(plainly, Lines) else SheetTeller()
