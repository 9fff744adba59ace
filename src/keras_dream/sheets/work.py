"""Working a sheet off: what is there, what it costs, cell by cell, and the result."""

import json
import os
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_dream.dreamer.dreamer import Dreamer
from keras_dream.engine.result import Step
from keras_dream.files import check_suffix, write_atomically
from keras_dream.geometry import Size
from keras_dream.pictures.encoding import SUFFIXES, save_picture
from keras_dream.pictures.metadata import read_notes
from keras_dream.recipe.recipe import Recipe, RunSettings
from keras_dream.recipe.settings import canonical_json, pop_keys
from keras_dream.sheets.cells import Made, find, keep, open_folder, path_of
from keras_dream.sheets.cost import Clock
from keras_dream.sheets.draw import draw, lay_out
from keras_dream.sheets.plan import Cell, Plan, named_errors
from keras_dream.zoo.network import Network, asks_for_class

KINDS = ("atlas", "grid")
PAGE = ".html"
ATLAS_SUFFIXES = (*SUFFIXES, PAGE)

_MOST_ABOUT = 60_000  # bytes of a sheet's description; a picture's notes take 64,000


class Dreamers:
    """The dreamers of a sheet: every network is loaded once.

    Args:
        recipes: All recipes that will be asked for.
        dreamer: One that dreams them all, or None to load what they name.
        loading: Told the names of networks before they are loaded.
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
        self._given = dreamer
        self._loading = loading
        self._networks = networks
        self._options = options
        self._loaded: dict[tuple[Any, ...], Dreamer] = {}
        # A network publishes its classifier in a file of its own: it is loaded with
        # the network if any of the recipes needs it.
        self._first: dict[tuple[Any, ...], Recipe] = {}
        for recipe in recipes:
            known = self._first.setdefault(_networks(recipe), recipe)
            if len(asks_for_class(recipe)) > len(asks_for_class(known)):
                self._first[_networks(recipe)] = recipe

    def of(self, recipe: Recipe) -> Dreamer:
        """Returns the dreamer for a recipe.

        Raises:
            DreamError: As for `Dreamer`.
        """
        if self._given is not None:
            return self._given
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


def _networks(recipe: Recipe) -> tuple[tuple[str, str | None], ...]:
    """Returns what decides which dreamer a recipe needs."""
    return tuple((str(n.network), n.preprocessing) for n in recipe.networks)


class Progress(NamedTuple):
    """One event of a sheet's work.

    Attributes:
        number: The cell's place among all, from 1.
        cell: The cell.
        step: The step that was made, or None when the cell is done.
        made: The cell when it is done, or None.
        reused: Whether it was there already.
        done: The share of the predicted time that is behind us, from 0 to 1.
    """

    number: int
    cell: Cell
    step: Step | None
    made: Made | None
    reused: bool
    done: float


@dataclass(frozen=True, eq=False)
class Sheet:
    """A finished sheet.

    Attributes:
        plan: Which dreams it shows, and how they lie on it.
        cells: The dreams in the plan's order.
    """

    plan: Plan
    cells: tuple[Made, ...]

    def image(self) -> np.ndarray:
        """Returns the drawn sheet, float32 (height, width, 3) in [0, 1].

        Raises:
            OutputError: If it would be too large to look at.
        """
        images = [made.image for made in self.cells]
        return draw(self.plan, images, [made.label for made in self.cells])

    def about(self) -> dict[str, Any]:
        """Returns what the sheet is, as JSON types: its axes, recipe and cells."""
        cells = [
            {
                "file": made.path.name if made.path else None,
                "recipe_sha256": made.recipe.sha256,
            }
            for made in self.cells
        ]
        whole = {**self.plan.about, "cells": cells}
        short = {**self.plan.about, "cells": len(cells)}
        return whole if len(canonical_json(whole)) <= _MOST_ABOUT else short

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes the sheet, whole or not at all.

        Args:
            path: A .png, .jpg, .webp or .tif file; of an atlas also an .html page.

        Returns:
            The path.

        Raises:
            OutputError: If the place or the suffix cannot be used.
            SaveError: If the disk refuses.
        """
        path = Path(path)
        if check_suffix(path, suffixes(self.plan)) == PAGE:
            from keras_dream.sheets.page import page

            write_atomically(path, page(self).encode())
        else:
            notes = {self.plan.kind: canonical_json(self.about())}
            save_picture(path, self.image(), notes=notes)
        return path


class Work:
    """A plan with its dreamers: what is there already, and what it costs.

    Args:
        plan: The sheet.
        dreamers: Who dream its cells.
        folder: Where the cells are kept and looked for; None keeps none.
        fresh: Whether to dream again what is there.

    Raises:
        DreamError: As for `Dreamer`, and where a recipe does not fit its network.
    """

    def __init__(
        self,
        plan: Plan,
        dreamers: Dreamers,
        *,
        folder: Path | None = None,
        fresh: bool = False,
    ):
        self.plan = plan
        self.folder = None if folder is None else open_folder(folder)
        self._dreamers = dreamers
        self._sizes: dict[str, list[Size]] = {}
        self._paths: list[Path | None] = []
        self._there: dict[int, Made] = {}
        for place, cell in enumerate(plan.cells):
            dreamer = dreamers.of(cell.recipe)
            with named_errors(f"Cell {cell.where}" if cell.where else ""):
                self._octaves(place, cell)  # what a recipe lacks is told now
            path = None if folder is None else path_of(folder, cell, dreamer)
            found = find(path, cell, plan.side) if path and not fresh else None
            if found:
                self._there[place] = found
            self._paths.append(path)

    @property
    def ready(self) -> int:
        """How many cells were dreamed before."""
        return len(self._there)

    @cached_property
    def missing(self) -> Mapping[int, Cell]:
        """The cells that must be dreamed, by their place in the plan.

        Cells that are the same dream are dreamed once.
        """
        found: dict[int, Cell] = {}
        counted: set[Path] = set()
        for place, cell in enumerate(self.plan.cells):
            path = self._paths[place]
            if place not in self._there and (path is None or path not in counted):
                found[place] = cell
            if path is not None:
                counted.add(path)
        return found

    @property
    def cost(self) -> int:
        """What is left to do, in pixels times steps."""
        return sum(cell.work for cell in self.missing.values())

    @cached_property
    def predicted(self) -> Mapping[int, float]:
        """Seconds that each missing cell takes, by its place; some steps are timed."""
        clock = Clock()
        return {
            place: clock.seconds(
                cell, self._dreamers.of(cell.recipe), self._octaves(place, cell)
            )
            for place, cell in self.missing.items()
        }

    @property
    def seconds(self) -> float:
        """The predicted time for all that is left to do."""
        return sum(self.predicted.values())

    def memory(self) -> tuple[int, int | None]:
        """Returns the bytes of the hungriest step, and the device's own or None."""
        # One of each kind, for preparing a gradient takes time.
        kinds = {cell.like or str(n): cell for n, cell in self.missing.items()}
        found = [
            self._dreamers.of(cell.recipe).memory(cell.size, cell.recipe)
            for cell in kinds.values()
        ]
        return max(found, key=lambda pair: pair[0], default=(0, None))

    def run(self) -> Generator[Progress, None, Sheet]:
        """Dreams what is missing; stopping is `break`, and what is done stays.

        Yields:
            Every step, and every cell when it is done.

        Returns:
            The sheet.

        Raises:
            NonFiniteError: If a gradient is not finite.
            SaveError: If the disk refuses a cell.
        """
        made: list[Made] = []
        known: dict[Path, Made] = {}
        behind, whole = 0.0, max(self.seconds, 1e-9)
        for place, cell in enumerate(self.plan.cells):
            path = self._paths[place]
            found = self._there.get(place) or (known.get(path) if path else None)
            reused = found is not None
            if found is None:
                run = self._dreamers.of(cell.recipe).steps(cell.picture, cell.recipe)
                share = self.predicted[place] / whole
                count = max(len(self._octaves(place, cell)) * cell.recipe.steps, 1)
                for index, step in enumerate(run):
                    # In this order, the last step is the share to the last bit.
                    now = min(behind + share * ((index + 1) / count), 1.0)
                    yield Progress(place + 1, cell, step, None, False, now)
                behind += share
                found = keep(run.dream, cell, path, self.plan.side)
            if path is not None:
                known[path] = found
            made.append(found)
            yield Progress(place + 1, cell, None, found, reused, min(behind, 1.0))
        return Sheet(self.plan, tuple(made))

    def _octaves(self, place: int, cell: Cell) -> list[Size]:
        """Returns the sizes at which a cell is dreamed, small to large."""
        like = cell.like or str(place)
        if like not in self._sizes:
            octaves, _ = self._dreamers.of(cell.recipe).octaves(cell.size, cell.recipe)
            self._sizes[like] = [octave.size for octave in octaves]
        return self._sizes[like]


def suffixes(plan: Plan) -> tuple[str, ...]:
    """Returns what a sheet can be saved as."""
    return ATLAS_SUFFIXES if plan.kind == "atlas" else SUFFIXES


def check_sheet(plan: Plan, path: str | os.PathLike[str]) -> None:
    """Makes sure that a sheet can be drawn into a file, before it is dreamed.

    Args:
        plan: The sheet.
        path: Where it is to go; only its suffix matters.

    Raises:
        OutputError: If the suffix is unknown, or the sheet would be too large.
    """
    if check_suffix(path, suffixes(plan)) != PAGE:
        lay_out(plan)


def read_about(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Returns what a saved sheet is, under its kind; None for any other picture.

    It may be a stranger's: JSON of any meaning.

    Args:
        path: A picture.

    Raises:
        PictureError: If there is no such file, or it is no picture.
    """
    notes = read_notes(path) or {}
    for kind in KINDS:
        about = json.loads(notes.get(kind, "null"))
        if isinstance(about, dict):
            return {kind: about}
    return None


def to_the_end(work: Work) -> Sheet:
    """Works a sheet off and returns it."""
    steps = work.run()
    while True:
        try:
            next(steps)
        except StopIteration as ended:
            return ended.value


def run_of(settings: dict[str, Any]) -> RunSettings:
    """Takes the run settings out of a dictionary of settings and returns them."""
    return RunSettings.of(pop_keys(settings, RunSettings.model_fields))
