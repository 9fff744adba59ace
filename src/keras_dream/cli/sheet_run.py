"""A sheet from the shell: its cost is shown first, then its cells are dreamed."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from keras_dream.cli.command_line import remember
from keras_dream.cli.dream_run import MOST_SECONDS, check_work
from keras_dream.cli.interrupts import STOPPED, Interrupts
from keras_dream.cli.options import FILES, Json, Quiet, Switch, Trust, Yes
from keras_dream.cli.output import write_stderr
from keras_dream.cli.reporters import reporter_for
from keras_dream.cli.reporters.base import Reporter
from keras_dream.cli.reporters.eta import in_words
from keras_dream.errors import InputError, short_repr
from keras_dream.events import CellDone, Planned, Saved, Stopped
from keras_dream.files import CELLS

if TYPE_CHECKING:
    from keras_dream.sheets.plan import Plan
    from keras_dream.sheets.run import Dreamers, SheetRun
    from keras_dream.sheets.sheet import Sheet
    from keras_dream.sheets.variations import VariationsRun


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class SheetFlags:
    """The options of every sheet."""

    trust_model: Annotated[
        Trust,
        Parameter(help="open a .keras file; only for files from authors you trust"),
    ] = False
    fresh: Annotated[
        Switch, Parameter(group=FILES, help="dream cells again that are in the folder")
    ] = False
    yes: Annotated[
        Yes,
        Parameter(
            help="replace a file that is no sheet; allow a sheet that may take hours, "
            "and downloads that only a recipe's file needs"
        ),
    ] = False
    quiet: Annotated[Quiet, Parameter(help="print only the path of the sheet")] = False
    json: Annotated[
        Json, Parameter(help="print JSON on standard output, one event a line")
    ] = False


@dataclass(frozen=True)
class Places:
    """Where a sheet and its cells are saved.

    Attributes:
        out: The sheet's file.
        folder: The folder of its cells.
        is_named: Whether the user named the sheet's file.
    """

    out: Path
    folder: Path
    is_named: bool


Prepare = Callable[[Places, Reporter], "tuple[Plan, Dreamers]"]


def run_sheet(
    prepare: Prepare,
    asked: Places,
    flags: SheetFlags,
    *,
    diversity: float = 0.0,
    done: "Callable[[Sheet], None] | None" = None,
) -> int:
    """Plans a sheet, shows its cost, dreams the missing cells, and saves it.

    Ctrl-C keeps the cells that are done, and saves no sheet.

    Args:
        prepare: Loads what the plan needs, and plans.
        asked: Where the sheet and its cells are saved.
        flags: The options of every sheet.
        diversity: How strongly cells are pushed away from those before them.
        done: Called with the sheet once it is saved.

    Returns:
        The exit code.

    Raises:
        DreamError: If it cannot be dreamed or saved; finished cells are kept.
    """
    from keras_dream.sheets.run import SheetRun
    from keras_dream.sheets.variations import VariationsRun

    reporter = reporter_for(quiet=flags.quiet, json=flags.json)
    with _claimed(asked, flags) as places, reporter, Interrupts() as interrupts:
        run: SheetRun | VariationsRun | None = None
        count = 0
        try:
            plan, dreamers = prepare(places, reporter)
            kept: dict[str, Any] = {"folder": places.folder, "fresh": flags.fresh}
            if diversity:
                run = VariationsRun(plan, dreamers, **kept, diversity=diversity)
            else:
                run = SheetRun(plan, dreamers, **kept)
            count = run.ready
            reporter.report(_cost(run, places, agreed=flags.yes))
            interrupts.check()
            remember(places.folder)
            for event in run:
                reporter.report(event)
                count += isinstance(event, CellDone) and not event.reused
                interrupts.check()
            interrupts.ignore()
        except KeyboardInterrupt:
            interrupts.ignore()
            reporter.report(Stopped())
            write_stderr(_stopped(run, count, places))
            return STOPPED
        run.sheet.save(places.out)
        reporter.report(Saved(str(places.out), complete=True))
    if done is not None:
        done(run.sheet)
    return 0


@contextlib.contextmanager
def _claimed(places: Places, flags: SheetFlags) -> Iterator[Places]:
    """Keeps the sheet's name for it; yields the places with that name."""
    from keras_dream.claims import claim
    from keras_dream.sheets.sheet import check_replaced

    if not flags.yes:
        check_replaced(places.out)
    with claim(places.out, exact=places.is_named) as name:
        yield replace(places, out=name.path)


def _cost(run: "SheetRun | VariationsRun", places: Places, *, agreed: bool) -> Planned:
    """Returns what a sheet costs, and asks for `--yes` where that is much."""
    hint = "try fewer cells, fewer steps, smaller ones, or --yes"
    if not agreed:
        _check_seconds(run.work, run, hint)  # before some steps are timed
    cost = Planned(
        cells=len(run.plan.cells),
        ready=run.ready,
        missing=len(run.missing),
        seconds=run.seconds,
        folder=str(places.folder),
        path=str(places.out),
    )
    if not agreed:
        _check_seconds(cost.seconds, run, hint)
    return cost


def _check_seconds(seconds: float, run: "SheetRun | VariationsRun", hint: str) -> None:
    if seconds > MOST_SECONDS:
        raise InputError(
            "A sheet that takes more than an hour must be agreed to with --yes",
            received=f"{len(run.missing)} dreams that take about {in_words(seconds)}",
            hint=hint,
        )


def _stopped(run: "SheetRun | VariationsRun | None", done: int, places: Places) -> str:
    if run is None or not done:
        return "dream: Stopped before the first cell was done; no sheet is drawn."
    return (
        f"dream: Stopped; {done} of {len(run.plan.cells)} cells are kept in "
        f"{short_repr(str(places.folder))}, and the same command goes on from there."
    )


def check_cells(plan: "Plan") -> None:
    """Asks for `--yes` where a single cell would take very long.

    Raises:
        InputError: If one would.
    """
    for cell in plan.cells:
        check_work(cell.size, cell.recipe)


def places_of(
    source: Path, out: str | None, word: str, suffixes: tuple[str, ...]
) -> Places:
    """Returns where the sheet and its cells are saved.

    A sheet of the default name gets a new name each time; its cells stay in one folder.

    Args:
        source: The photo, or a path that ends in the network's name.
        out: The sheet's path, or None for the default.
        word: What the sheet is, which ends its name.
        suffixes: Those that the sheet can have.

    Raises:
        OutputError: If nothing can be written there.
    """
    from keras_dream.files import check_output, default_output

    if out is None:
        path = check_output(default_output(source, word=word), suffixes)
        folder = path.with_name(f"{source.stem}-{word}{CELLS}")
    else:
        path = check_output(out, suffixes)
        folder = path.with_name(f"{path.stem}{CELLS}")
    return Places(path, folder, is_named=out is not None)
