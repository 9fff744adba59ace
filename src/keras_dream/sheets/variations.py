"""Running a sheet of variations: each is pushed away from those before it."""

from collections.abc import Generator, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from keras_dream.dreamer.dreamer import Dreamer
from keras_dream.dreamer.variations import pushed_from
from keras_dream.events import Notice
from keras_dream.recipe.objectives import parse
from keras_dream.recipe.targets import Layer
from keras_dream.sheets.cells import CellFolder, DreamedCell
from keras_dream.sheets.plan import Cell, Plan, Section
from keras_dream.sheets.run import CellEvent, Dreamers, SheetRun
from keras_dream.sheets.sheet import Sheet


class VariationsRun(Iterator[CellEvent]):
    """A sheet whose cells differ by more than their seeds: an iterator of its events.

    The recipe of a cell names the files of those before it, so that cells are planned
    one after the other, each as a sheet of its own. What has a cost is as for
    `SheetRun`; the cells are predicted as if they were not pushed.

    Args:
        plan: The sheet, with recipes that differ by their seeds.
        dreamers: The dreamers of its cells.
        folder: Where cells are saved and looked for.
        fresh: As for `SheetRun`.
        diversity: How strongly cells are pushed apart, above 0.
    """

    def __init__(
        self,
        plan: Plan,
        dreamers: Dreamers,
        *,
        folder: Path,
        fresh: bool = False,
        diversity: float,
    ):
        self.plan = plan
        self._dreamers = dreamers
        self._folder = CellFolder(folder, kind=plan.kind, fresh=fresh)
        self._diversity = diversity
        self._planned = SheetRun(plan, dreamers)
        self._cells: list[DreamedCell] = []
        self._events = self._run()
        self.ready = 0

    def __next__(self) -> CellEvent:
        return next(self._events)

    def close(self) -> None:
        """As for `SheetRun`."""
        self._events.close()
        self._folder.close()

    @property
    def sheet(self) -> Sheet:
        """The finished sheet, once there is no event left."""
        return Sheet(self.plan, tuple(self._cells))

    @cached_property
    def missing(self) -> tuple[Cell, ...]:
        """All cells: which of them are on the disk is known one after the other."""
        return self.plan.cells

    @property
    def work(self) -> float:
        """As for `SheetRun`."""
        return self._planned.work

    @property
    def seconds(self) -> float:
        """As for `SheetRun`."""
        return self._planned.seconds

    def _run(self) -> Generator[CellEvent, None, None]:
        count = len(self.plan.cells)
        pictures: list[Path] = []
        for index, cell in enumerate(self.plan.cells):
            dreamer = self._dreamers.of(cell.recipe)
            recipe = pushed_from(
                dreamer.complete(cell.recipe),
                pictures,
                self._diversity,
                otherwise=_own_layers(dreamer),
            )
            pushed = replace(cell, recipe=recipe)
            plan = replace(self.plan, sections=[Section("", [pushed], 1)])
            run = SheetRun(plan, self._dreamers, folder=self._folder)
            run.predicted = {0: self._planned.predicted[index]}  # timed once for all
            for event in run:
                if isinstance(event, Notice):
                    yield event
                    continue
                done = (index + event.done) / count
                yield replace(event, number=index + 1, done=done)
            (dreamed,) = run.sheet.cells
            self._cells.append(dreamed)
            if dreamed.path is not None:
                pictures.append(dreamed.path)


def _own_layers(dreamer: Dreamer) -> list[str]:
    """Returns the layers of a network's own objective."""
    text = dreamer.graph.objective
    targets = [term.target for term in parse(text).terms] if text else []
    return [target.layer for target in targets if isinstance(target, Layer)]
