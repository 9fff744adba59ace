"""Which tiles a picture larger than memory is computed in, and what they take."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from keras_dream.dreamer.plans import memory_of
from keras_dream.engine import cost
from keras_dream.engine.gradients import PreparedObjective
from keras_dream.engine.growth import Octave
from keras_dream.engine.planner import PICTURE, Predictor
from keras_dream.errors import SettingError
from keras_dream.events import GradientPlan, OctavePlan
from keras_dream.geometry import Size
from keras_dream.huge.bands import MEMORY
from keras_dream.parts.transforms import view_size
from keras_dream.recipe.byte_sizes import size_text
from keras_dream.recipe.recipe import Recipe, RunSettings
from keras_dream.recipe.scheme_plans import AUTO, Entry, read_entries
from keras_dream.recipe.schemes import Scheme

LARGEST = 1 << 30
"""Bytes of a tile at most: larger ones are hardly faster."""

LEAST_SIDE = 48  # pixels of a tile; smaller ones are nearly all halo


@dataclass(frozen=True)
class PlannedTiles:
    """The tiles of an octave.

    Attributes:
        octave: The octave.
        scheme: The tiles.
        bytes: The most that a step holds above what the process held before.
        seconds: The predicted time of a gradient.
        steps: How many steps there are.
    """

    octave: Octave
    scheme: Scheme
    bytes: int
    seconds: float
    steps: int


class HugePlan:
    """The tiles of all octaves.

    Args:
        octaves: The octaves that run.
        recipe: The complete recipe.
        objective: Returns what is maximised in an octave.
        run: Its `gradient` may have the tiles; else its `memory` decides, or what is
            free.

    Attributes:
        octaves: What each octave is computed in.

    Raises:
        SettingError: If the run settings ask for other than tiles of cells, or the
            memory is too small for the smallest tiles.
    """

    def __init__(
        self,
        octaves: Sequence[Octave],
        recipe: Recipe,
        objective: Callable[[Octave], PreparedObjective],
        run: RunSettings,
    ):
        self._recipe = recipe
        self._objective = objective
        self._run = run
        self._memory = memory_of(objective(octaves[0]).backend, run)
        self.octaves = tuple(map(self._planned, octaves))

    @property
    def text(self) -> str:
        """The schemes by octave, as a record has them."""
        entries = (Entry(o.octave.number, 1, 1, o.scheme) for o in self.octaves)
        return "; ".join(entry.text for entry in entries)

    def event(self, size: Size, halo_error: float | None) -> GradientPlan:
        """Returns the plan as an event.

        Args:
            size: The picture's (height, width) in pixels.
            halo_error: How wrong a bounded halo makes a gradient; None without one.
        """
        passes = {
            (self._recipe.at(o.octave.number), self.view(o.octave)): o.seconds
            for o in self.octaves
        }
        return GradientPlan(
            tuple(
                OctavePlan(*o.octave, (o.scheme.text,), o.bytes, o.steps * o.seconds)
                for o in self.octaves
            ),
            self._memory.held + max(o.bytes for o in self.octaves),
            cost.seconds(size, self._recipe, passes=lambda *key: passes.get(key, 0.0)),
            halo_error,
        )

    def view(self, octave: Octave) -> Size:
        """Returns the (height, width) in pixels of what the network sees of an octave.

        Args:
            octave: The octave.
        """
        own = self._recipe.at(octave.number)
        return view_size(own.transforms, octave.size)

    def _planned(self, octave: Octave) -> PlannedTiles:
        """Returns the tiles of an octave: those asked for, or the fewest that fit."""
        objective, view = self._objective(octave), self.view(octave)
        predictor = Predictor(
            objective.graph,
            objective.goals,
            objective.context.loss,
            width=2 if objective.backend.precision == "bfloat16" else 4,
            halo=self._run.halo,
        )
        asked = scheme_of(self._run.gradient, octave.number)
        steps = self._recipe.at(octave.number).steps
        side = max(view)
        while True:
            counts = [math.ceil(length / side) for length in view]
            scheme = asked or Scheme("cells", rows=counts[0], columns=counts[1])
            (scheme,) = predictor.with_halo([scheme], view)
            found = predictor.predict(scheme, view)
            # Of the whole picture only a row of tiles is held, and what it carries.
            tile = found.bytes - 2 * PICTURE * math.prod(view)
            row = PICTURE * view[1] * math.ceil(view[0] / scheme.rows)
            carried = row if scheme.rows > 1 else 0
            # Bands are computed when there is no tile.
            taken = max(tile + row + carried, 2 * MEMORY)
            fits = tile <= LARGEST and taken <= self._memory.left
            if asked or fits or side <= LEAST_SIDE:
                break
            side = max(int(side * 0.93), LEAST_SIDE)
        if not asked and taken > self._memory.left:
            self._refuse(taken)
        return PlannedTiles(octave, scheme, taken, found.seconds, steps)

    def _refuse(self, taken: int) -> None:
        limit, needed = self._memory.limit, self._memory.held + taken
        if limit is not None:
            raise SettingError(
                "`memory` must be enough for the smallest tiles of a huge dream",
                received=f"{size_text(limit)}, where they take {size_text(needed)} "
                "with what the process holds before",
                hint=f"try --memory {math.ceil(needed / 1e8) / 10:.1f}GB",
            )


def scheme_of(text: str, octave: int) -> Scheme | None:
    """Returns the scheme that a run setting asks for in an octave; None for none.

    Args:
        text: The run setting.
        octave: The octave's number.

    Raises:
        SettingError: If it asks for other than tiles of cells.
    """
    if text == AUTO:
        return None
    entries = read_entries(text)
    if entries is None:
        scheme = Scheme.read(text)
    else:
        named = [entry.scheme for entry in entries if entry.octave == octave]
        scheme = named[-1] if named else Scheme()
    if scheme.kind != "cells":
        raise SettingError(
            "A picture larger than memory must be computed in tiles of cells",
            received=f"{scheme.text} in octave {octave}",
            hint="try gradient=auto, or 'cells 8x8'",
        )
    return scheme
