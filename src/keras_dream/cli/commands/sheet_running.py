"""Running a sheet from the shell: its cost first, then cell by cell, then the file."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from keras_dream.cli.commands.dream import (
    FILES,
    MOST_WORK,
    Json,
    Quiet,
    Yes,
    check_memory,
    check_work,
)
from keras_dream.cli.interrupts import STOPPED, Interrupts
from keras_dream.cli.options import Trust
from keras_dream.cli.output import write_stderr
from keras_dream.cli.reporters.pace import clock
from keras_dream.cli.reporters.sheet_telling import Cost, SheetTeller, sheet_teller
from keras_dream.errors import InputError, short_repr
from keras_dream.files import CELLS

if TYPE_CHECKING:
    from keras_dream.sheets.plan import Plan
    from keras_dream.sheets.work import Dreamers, Sheet, Work

MOST_SECONDS = 3600
"""A sheet that is predicted to take longer than an hour asks for `--yes`."""

_FRESH = Parameter(
    negative=(),
    show_default=False,
    group=FILES,
    help="dream again what is there already",
)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class SheetFlags:
    """What every sheet takes."""

    trust_model: Annotated[
        Trust,
        Parameter(
            group=FILES,
            help="open a .keras file given as the network, which builds whatever its "
            "author wrote into it",
        ),
    ] = False
    fresh: Annotated[bool, _FRESH] = False
    yes: Annotated[
        Yes,
        Parameter(
            help="begin even what may take hours, or a download that only a recipe's "
            "file asks for"
        ),
    ] = False
    quiet: Annotated[
        Quiet, Parameter(help="tell nothing but the path of the sheet")
    ] = False
    json: Annotated[
        Json, Parameter(help="tell in JSON on standard output, one event a line")
    ] = False

    @property
    def teller(self) -> SheetTeller:
        """Who tells."""
        return sheet_teller(quiet=self.quiet, json=self.json)


@dataclass(frozen=True)
class Places:
    """Where a sheet and its cells go.

    Attributes:
        out: The sheet.
        folder: Its cells.
    """

    out: Path
    folder: Path


Prepare = Callable[[Places, SheetTeller], "tuple[Plan, Dreamers]"]


def carry_out(prepare: Prepare, places: Places, more: SheetFlags) -> int:
    """Prepares a sheet, tells its cost, dreams what is missing, and saves it.

    Ctrl-C leaves the cells that are done, and no sheet.

    Args:
        prepare: Loads and plans.
        places: Where the sheet and its cells go.
        more: How it is told, and what was agreed to.

    Returns:
        The exit code.

    Raises:
        DreamError: For whatever hinders it; finished cells stay.
    """
    from keras_dream.sheets.work import Work

    told = more.teller
    with told, Interrupts() as interrupts:
        work: Work | None = None
        done = 0
        try:
            plan, dreamers = prepare(places, told)
            work = Work(plan, dreamers, folder=places.folder, fresh=more.fresh)
            done = work.ready
            _tell_cost(work, places, told, agreed=more.yes)
            steps = work.run()
            while True:
                interrupts.check()
                try:
                    progress = next(steps)
                except StopIteration as ended:
                    sheet: Sheet = ended.value
                    break
                told.progress(progress)
                done += progress.made is not None and not progress.reused
            interrupts.hold()
        except KeyboardInterrupt:
            interrupts.hold()
            write_stderr(_stopped(work, done, places))
            return STOPPED
        sheet.save(places.out)
        told.saved(places.out, complete=True)
    return 0


def _tell_cost(
    work: "Work", places: Places, told: SheetTeller, *, agreed: bool
) -> None:
    """Tells what a sheet costs, and asks for `--yes` where that is much."""
    hint = "try fewer cells, fewer steps, smaller ones, or --yes"
    if not agreed and work.cost > MOST_WORK:
        raise InputError(
            f"Work of more than {MOST_WORK:,} pixels times steps must be agreed to "
            "with --yes",
            received=f"{len(work.missing)} dreams of {work.cost:,} in all",
            hint=hint,
        )
    if not agreed:
        check_memory(*work.memory())
    cost = Cost(
        cells=len(work.plan.cells),
        ready=work.ready,
        missing=len(work.missing),
        work=work.cost,
        seconds=work.seconds,
        folder=places.folder,
        out=places.out,
    )
    if not agreed and cost.seconds > MOST_SECONDS:
        raise InputError(
            f"A sheet that takes more than {clock(MOST_SECONDS)} must be agreed to "
            "with --yes",
            received=f"{cost.missing} dreams that take about {clock(cost.seconds)} on "
            "this machine",
            hint=hint,
        )
    told.planned(cost)


def _stopped(work: "Work | None", done: int, places: Places) -> str:
    if work is None or not done:
        return "dream: Stopped before the first cell was done; no sheet is drawn."
    return (
        f"dream: Stopped; {done} of {len(work.plan.cells)} cells are kept in "
        f"{short_repr(str(places.folder))}, and the same command goes on from there."
    )


def check_cells(plan: "Plan") -> None:
    """Asks for `--yes` where a single cell would take very long or very much memory.

    Raises:
        InputError: If one would.
    """
    for cell in plan.cells:
        check_work(cell.size, cell.recipe)


def places_of(
    source: Path, out: str | None, word: str, suffixes: tuple[str, ...]
) -> Places:
    """Returns where the sheet and its cells go.

    A sheet of the default name takes a free one, but finds its cells again.

    Args:
        source: The photo, or a path that ends in the network's name.
        out: The sheet's path as it was given, or None.
        word: What the sheet is.
        suffixes: What it can be.

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
    return Places(path, folder)
