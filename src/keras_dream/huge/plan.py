"""Which tiles a picture larger than memory is computed in."""

import math
from collections.abc import Callable, Mapping, Sequence

from keras_dream.backend import host
from keras_dream.engine.gradients import ObjectiveGraph, PreparedObjective
from keras_dream.engine.growth import Octave
from keras_dream.errors import SettingError
from keras_dream.geometry import Size
from keras_dream.parts.transforms import view_size
from keras_dream.recipe.recipe import Recipe, RunSettings
from keras_dream.recipe.scheme_plans import AUTO, Entry, read_entries
from keras_dream.recipe.schemes import Scheme

LARGEST = 1 << 30
"""Bytes of a tile's feature maps at most: larger tiles are no faster."""

_LEAST = 64 << 20
_OVERHEAD = 2.0  # what a step takes over its feature maps: their gradients, copies
_SHARE = 0.5  # of free memory


def plan(
    octaves: Sequence[Octave],
    recipe: Recipe,
    objective: Callable[[Octave], PreparedObjective],
    run: RunSettings,
) -> dict[int, Scheme]:
    """Returns the tiles of every octave, by its number.

    Args:
        octaves: The octaves.
        recipe: The recipe.
        objective: Returns what is maximised in an octave.
        run: Its `gradient` may have the tiles; else its `memory` decides, or half of
            what is free.

    Raises:
        SettingError: If the run settings ask for other than tiles of cells.
    """
    asked = None if run.gradient == AUTO else read_entries(run.gradient)
    one = None if run.gradient == AUTO or asked else Scheme.read(run.gradient)
    by_octave = {entry.octave: entry.scheme for entry in asked or ()}
    budget = _budget(run)
    schemes: dict[int, Scheme] = {}
    for octave in octaves:
        scheme = by_octave.get(octave.number, one)
        if scheme is None:
            view = view_size(recipe.transforms, octave.size)
            scheme = _cells(objective(octave).graph, view, budget)
        _check(scheme)
        schemes[octave.number] = scheme
    return schemes


def text_of(schemes: Mapping[int, Scheme]) -> str:
    """Returns schemes as a record has them, to be read by `read_entries`."""
    entries = (Entry(number, 1, 1, scheme) for number, scheme in schemes.items())
    return "; ".join(entry.text for entry in entries)


def schemes_of(text: str) -> dict[int, Scheme]:
    """Returns the schemes of a text that `text_of` made."""
    return {entry.octave: entry.scheme for entry in read_entries(text) or ()}


def _check(scheme: Scheme) -> None:
    if scheme.kind != "cells":
        raise SettingError(
            "A picture larger than memory must be computed in tiles of cells",
            received=f"gradient={scheme.text}",
            hint="try gradient=auto, or 'cells 8x8'",
        )


def _budget(run: RunSettings) -> float:
    """Returns the bytes that the feature maps of a tile may take."""
    memory = host.memory()
    if run.memory is not None:
        # Beside the tile are this process and a band of a picture.
        free = run.memory - memory.get("peak", 0)
    else:
        free = _SHARE * memory.get("free", LARGEST)
    return min(max(free / _OVERHEAD, _LEAST), LARGEST)


def _cells(objective: ObjectiveGraph, view: Size, budget: float) -> Scheme:
    """Returns the fewest tiles, about square, whose feature maps fit the budget."""
    graph, fields = objective.graph, objective.graph.receptive_fields()
    reach = max((fields[node].size for node in objective.nodes), default=1.0)
    side = max(view)
    while True:
        counts = [math.ceil(length / side) for length in view]
        tile = [
            min(length, math.ceil(length / count) + math.ceil(reach))
            for length, count in zip(view, counts, strict=True)
        ]
        if graph.activation_bytes(*tile) <= budget or side < reach / 2:
            return Scheme("cells", rows=counts[0], columns=counts[1])
        side = max(int(side * 0.93), 1)
