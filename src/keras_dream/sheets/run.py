"""Running a sheet: what is on the disk, what the rest costs, and dreaming it."""

import logging
from collections.abc import (
    Callable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from keras_dream.dreamer.dreamer import Dreamer
from keras_dream.engine.growth import Octave
from keras_dream.events import CellDone, CellProgress, Notice
from keras_dream.recipe.recipe import Recipe
from keras_dream.sheets.cells import CellFolder, DreamedCell, dreamed, key_of
from keras_dream.sheets.cost import Predictor
from keras_dream.sheets.plan import Cell, Plan, named_errors
from keras_dream.sheets.sheet import Sheet
from keras_dream.zoo.network import Network, asks_for_class

_log = logging.getLogger(__name__)


class Dreamers:
    """The dreamers of a sheet: every network is loaded once.

    Args:
        recipes: All recipes that will be dreamed.
        dreamer: One for all recipes, or None to load the networks that they name.
        loading: Called with the names of networks before they are loaded.
        networks: What the recipes' names stand for, as for `Dreamer.of`.
        options: Of `Dreamer.of`, for those that are loaded.
    """

    def __init__(
        self,
        recipes: Iterable[Recipe],
        *,
        dreamer: Dreamer | None = None,
        loading: Callable[[str], None] | None = None,
        networks: Sequence[Network] = (),
        **options: Any,
    ):
        self._dreamer = dreamer
        self._loading = loading
        self._networks = networks
        self._options = options
        self._loaded: dict[tuple[Any, ...], Dreamer] = {}
        self._first = by_networks(recipes)

    def has(self, recipe: Recipe) -> bool:
        """Tells whether the dreamer for a recipe is loaded."""
        return self._dreamer is not None or _networks(recipe) in self._loaded

    def of(self, recipe: Recipe) -> Dreamer:
        """Returns the dreamer for a recipe.

        Raises:
            DreamError: As for `Dreamer`.
        """
        if self._dreamer is not None:
            return self._dreamer
        key = _networks(recipe)
        if key not in self._loaded:
            names = tuple(dict.fromkeys(name for name, _ in key))
            if self._loading:
                self._loading(" + ".join(names))
            self._loaded[key] = Dreamer.of(
                self._first.get(key, recipe),
                networks=self._networks,
                **self._options,
            )
        return self._loaded[key]


def by_networks(recipes: Iterable[Recipe]) -> dict[tuple[Any, ...], Recipe]:
    """Returns one recipe for each set of networks that recipes name.

    A classifier may be published in a file of its own: it is loaded with its network
    if any of the recipes needs it, so that the one with most of them is returned.
    """
    first: dict[tuple[Any, ...], Recipe] = {}
    for recipe in recipes:
        key = _networks(recipe)
        other = first.setdefault(key, recipe)
        if len(asks_for_class(recipe)) > len(asks_for_class(other)):
            first[key] = recipe
    return first


def _networks(recipe: Recipe) -> tuple[tuple[str, str | None], ...]:
    """Returns what decides which dreamer a recipe needs."""
    return tuple((str(n.network), n.preprocessing) for n in recipe.every_network)


CellEvent = CellProgress | CellDone | Notice


class SheetRun(Iterator[CellEvent]):
    """A sheet that is being made: an iterator of its events.

    Every step is a `CellProgress`, every finished cell a `CellDone`; a `Notice` says
    which file is not as it was saved. Finished cells are on the disk, so stopping is
    `break`, and a later run continues from there.

    Args:
        plan: The sheet.
        dreamers: The dreamers of its cells.
        folder: Where cells are saved and looked for; None saves none.
        fresh: Whether to dream cells again that are in the folder.

    Raises:
        DreamError: As for `Dreamer` and `CellFolder`, and where a recipe does not fit
            its network. While it is iterated also `NonFiniteError`, and `SaveError` if
            a cell cannot be saved.
    """

    def __init__(
        self,
        plan: Plan,
        dreamers: Dreamers,
        *,
        folder: Path | CellFolder | None = None,
        fresh: bool = False,
    ):
        self.plan = plan
        self._dreamers = dreamers
        self._runs: dict[str, tuple[Octave, ...]] = {}
        self._keys: list[str] = []
        self._events = self._run()
        for index, cell in enumerate(plan.cells):
            dreamer = dreamers.of(cell.recipe)
            with named_errors(f"Cell {cell.where}" if cell.where else ""):
                self._octaves(index, cell)  # raises where a recipe does not fit
            self._keys.append(key_of(cell, dreamer))
        self._first: dict[str, int] = {}  # of equal dreams only that one is dreamed
        for index, key in enumerate(self._keys):
            self._first.setdefault(key, index)
        if isinstance(folder, Path):
            folder = CellFolder(folder, kind=plan.kind, fresh=fresh)
        self._folder = folder
        self._ready = folder.find(self._by_key, plan.side) if folder else {}
        self._made: dict[int, DreamedCell] = {}
        self.ready = sum(key in self._ready for key in self._keys)
        """How many cells were on the disk at the start."""

    def __next__(self) -> CellEvent:
        return next(self._events)

    def close(self) -> None:
        """Lets another process dream into the folder; this run is over."""
        self._events.close()
        if self._folder is not None:
            self._folder.close()

    @property
    def sheet(self) -> Sheet:
        """The finished sheet.

        Raises:
            RuntimeError: Before the last event.
        """
        if len(self._made) < len(self.plan.cells):
            raise RuntimeError("a sheet is there after the last event of its run")
        return Sheet(self.plan, tuple(cell for _, cell in sorted(self._made.items())))

    def finish(self) -> Sheet:
        """Dreams all cells that are missing and returns the sheet."""
        for event in self:
            if isinstance(event, Notice):
                _log.warning("%s", event.text)
        self.close()
        return self.sheet

    @property
    def _by_key(self) -> dict[str, Cell]:
        return {key: self.plan.cells[n] for key, n in self._first.items()}

    @cached_property
    def missing(self) -> Mapping[int, Cell]:
        """The cells that must be dreamed, by their index in the plan.

        Of equal dreams only the first is missing.
        """
        return {
            index: self.plan.cells[index]
            for key, index in self._first.items()
            if key not in self._ready
        }

    @property
    def work(self) -> float:
        """The seconds of the missing cells, as their recipes predict them."""
        return sum(cell.work for cell in self.missing.values())

    @cached_property
    def predicted(self) -> Mapping[int, float]:
        """Seconds that each missing cell takes, by its index; some steps are timed."""
        predictor = Predictor()
        return {
            index: predictor.seconds(
                cell, self._dreamers.of(cell.recipe), self._octaves(index, cell)
            )
            for index, cell in self.missing.items()
        }

    @property
    def seconds(self) -> float:
        """The predicted time of all missing cells."""
        return sum(self.predicted.values())

    def _run(self) -> Generator[CellEvent, None, None]:
        # Seconds are summed in the order of `seconds`, so that the last share is 1.
        passed, total = 0.0, max(self.seconds, 1e-9)
        if self._folder is not None:
            yield from map(Notice, self._folder.begin(self._by_key, self.plan.beside))
        by_key = dict(self._ready)
        for index, key in enumerate(self._keys):
            cell = self.plan.cells[index]
            number, reused = index + 1, key in by_key
            if not reused:
                if self._folder is not None:
                    self._folder.start(key, cell)
                run = self._dreamers.of(cell.recipe).steps(cell.picture, cell.recipe)
                seconds = self.predicted[index]
                octaves = self._octaves(index, cell)
                steps = max(sum(cell.recipe.at(o.number).steps for o in octaves), 1)
                name = str(cell.recipe.objective or cell.name)
                for step, _ in enumerate(run, start=1):
                    now = passed + seconds * (step / steps)
                    yield CellProgress(number, name, min(now / total, 1.0))
                passed += seconds
                path = None
                if self._folder is not None:
                    path = self._folder.keep(run.dream, key, cell)
                by_key[key] = dreamed(run.dream, cell, path, self.plan.side)
            made = self._made[index] = replace(by_key[key], cell=cell)
            yield CellDone(
                number=number,
                objective=str(made.recipe.objective),
                path=str(made.path) if made.path else None,
                reused=reused,
                silent=made.silent,
                done=min(passed / total, 1.0),
            )

    def _octaves(self, index: int, cell: Cell) -> tuple[Octave, ...]:
        """Returns the octaves that a cell runs, small to large."""
        kind = cell.like or str(index)
        if kind not in self._runs:
            octaves, _ = self._dreamers.of(cell.recipe).octaves(cell.size, cell.recipe)
            self._runs[kind] = octaves
        return self._runs[kind]
