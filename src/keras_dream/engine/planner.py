"""What a gradient takes, in bytes and seconds, and the cheapest way that fits.

`Predictor` tells it for one network's objective: of the whole picture, of tiles of the
loss's cells, and of a stem in tiles. `PlannedGradient` computes what was chosen, and
goes on with less where memory is out all the same.
"""

import copy
import functools
import gc
import math
import threading
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from keras_dream.backend.protocol import Array
from keras_dream.engine.cost import FLOP
from keras_dream.engine.goals import Goal
from keras_dream.engine.gradients import (
    Gradient,
    ObjectiveGraph,
    PreparedObjective,
    SchemeGradient,
)
from keras_dream.engine.tiled import border_of, check_local, gradient_of, stem_of
from keras_dream.engine.tiles import parts_of
from keras_dream.failures import is_out_of_memory
from keras_dream.geometry import Size
from keras_dream.graph.liveness import Liveness
from keras_dream.graph.ops import INPUT
from keras_dream.graph.passes import truncate
from keras_dream.graph.regions import Region, Tile, tile
from keras_dream.parts.losses import Loss
from keras_dream.parts.transforms import View
from keras_dream.recipe.scheme_plans import WHOLE, Entry, entries_text
from keras_dream.recipe.schemes import Scheme

Halo = int | Literal["exact", "fast"]

FAST = 0.25
"""The share of the exact halo that `fast` has. What a cell sees at the rim of its
receptive field weighs little (Luo et al. 2016, "Understanding the Effective Receptive
Field"): docs/memory.md has the error."""

SCRATCH, SCRATCH_SHARE = 35_000_000, 0.15
"""Bytes beside feature maps, in all and as a share of theirs: what oneDNN computes in,
and what the allocator loses between blocks. Chosen for the table of memory in
benchmarks/README.md, which also has the predictions that miss by more than 25 %."""

VALUE = 4.5e-9
"""Seconds of a number of a feature map, forwards and backwards, beside convolutions:
what `benchmarks/step.py` measures besides them in a step of Inception V3, on the
machine of `cost.FLOP`."""
FORWARD_FLOPS, FORWARD_VALUES = 0.5, 0.35  # of those seconds, in a pass forwards
PASS = 0.004  # seconds of a pass and its gradient at any size, of some hundred nodes
HOST_PIXEL = 2e-8  # seconds: a pixel is read, and its gradient is added, on the host

PICTURE = 12  # bytes of a pixel in float32
LEAST_SIDE = 48  # pixels; smaller tiles are nearly all halo
MOST_CUTS = 24
CUT_RATIO = 1.6


@dataclass(frozen=True)
class Prediction:
    """What a gradient takes by a scheme.

    Attributes:
        scheme: The scheme.
        bytes: The most that are held at once, above what the process holds before.
        seconds: How long it takes.
    """

    scheme: Scheme
    bytes: int
    seconds: float


class Predictor:
    """Predicts what the gradient of an objective takes on a network.

    Args:
        objective: The network's graph, optimised for the goals.
        goals: What is maximised.
        loss: How a feature map becomes a number.
        width: Bytes of a number of a feature map.
        lean: Whether the backend keeps only what a gradient needs.
        halo: How far a tile sees at most.
    """

    def __init__(
        self,
        objective: ObjectiveGraph,
        goals: Sequence[Goal],
        loss: Loss,
        *,
        width: int,
        lean: bool = False,
        halo: Halo = "exact",
    ):
        self._objective = objective
        self._graph = objective.graph
        self._goals = tuple(goals)
        self._loss = loss
        self._halo = halo
        self._live = Liveness(objective.graph, width=width, lean=lean)
        self._ops = {op.node.name: op for op in objective.graph.operations}
        self._is_local = all(goal.is_local(loss) for goal in goals if goal.nodes)
        self._memo: dict[tuple[Size, Scheme], Prediction] = {}
        self._lock = threading.Lock()

    def predict(self, scheme: Scheme, size: Size) -> Prediction:
        """Returns what the gradient of a view takes.

        Args:
            scheme: How it is computed.
            size: (height, width) of the view in pixels.

        Raises:
            SettingError: If it cannot be computed so.
        """
        with self._lock:
            if (size, scheme) not in self._memo:
                of = {"whole": self._whole, "cells": self._cells, "stem": self._stem}
                self._memo[size, scheme] = of[scheme.kind](scheme, size)
            return self._memo[size, scheme]

    def cheapest(self, size: Size, budget: float) -> Prediction | None:
        """Returns the fastest way that fits into some bytes; None if none does."""
        whole = self.predict(Scheme(), size)
        if whole.bytes <= budget:
            return whole
        fitting = (self._fewest(family, size, budget) for family in self._families())
        best = [prediction for prediction in fitting if prediction is not None]
        return min(best, key=lambda p: p.seconds, default=None)

    def smallest(self, size: Size) -> Prediction:
        """Returns the way that takes the fewest bytes."""
        predictions = [self.predict(Scheme(), size)]
        for family in self._families():
            grids = self._grids(family, size)
            predictions += [self.predict(scheme, size) for scheme in grids[-1:]]
        return min(predictions, key=lambda p: p.bytes)

    def fits(self, size: Size) -> bool:
        """Tells whether the network can be run at a size at all."""
        return self._graph.misfit(size) is None

    # -- candidates --------------------------------------------------------------------
    def _families(self) -> Iterator[Scheme]:
        """Yields a scheme of one tile for each kind that the objective can have."""
        if self._is_local and self._objective.nodes:
            yield Scheme("cells")
        for cut in self.cuts:
            yield Scheme("stem", cut=cut)

    @functools.cached_property
    def cuts(self) -> tuple[str, ...]:
        """The nodes through which everything passes: where a stem may end.

        One behind which the map becomes much smaller is none.
        """
        nodes = self._graph.nodes
        last = {name: at for at, node in enumerate(nodes) for name in node.inputs}
        through, reach = list[str](), 0
        for at, node in enumerate(nodes):
            if reach <= at and self._ops[node.name].is_map and node.name != INPUT:
                through.append(node.name)
            reach = max(reach, last.get(node.name, at))
        side = self._graph.smallest_size(at_least=(256, 256))
        sizes = self._graph.plan(*side).sizes
        volume = [self._live.values({name: sizes[name]}) for name in through]
        best = [
            name
            for at, name in enumerate(through)
            if volume[at] <= CUT_RATIO * min(volume[at + 1 : at + 2], default=math.inf)
        ]
        every = math.ceil(len(best) / MOST_CUTS) or 1
        return tuple(best[::-every][::-1])

    def _grids(self, family: Scheme, size: Size) -> list[Scheme]:
        """Returns a kind's schemes with more and more tiles, as square as can be."""
        sizes = self._graph.plan(*size).sizes
        most = self._counts(
            replace(family, rows=size[0], columns=size[1]), sizes, self._tiled(family)
        )
        rows = columns = 1
        schemes = [family] if family.kind == "stem" else []
        while True:
            tall, wide = size[0] / rows, size[1] / columns
            if tall >= wide and rows < most[0] and tall > LEAST_SIDE:
                rows += 1
            elif columns < most[1] and wide > LEAST_SIDE:
                columns += 1
            elif rows < most[0] and tall > LEAST_SIDE:
                rows += 1
            else:
                return self.with_halo(schemes or [family], size)
            schemes.append(replace(family, rows=rows, columns=columns))

    def with_halo(self, schemes: list[Scheme], size: Size) -> list[Scheme]:
        """Returns a kind's schemes, ever more tiles, with the halo that is asked for.

        Args:
            schemes: Those that say a halo keep it.
            size: (height, width) of the view in pixels.
        """
        if self._halo == "exact" or schemes[-1] == WHOLE:
            return schemes
        halo = self._halo
        if halo == "fast":
            halos = [part.halo for _, part in self._tiles(schemes[-1], size)]
            halo = math.ceil(FAST * max(halos, default=0))
        return [s if s.halo is not None else replace(s, halo=halo) for s in schemes]

    def _fewest(self, family: Scheme, size: Size, budget: float) -> Prediction | None:
        """Returns a kind's way with the fewest tiles that fits: the fastest of it."""
        schemes = self._grids(family, size)
        low, high = 0, len(schemes) - 1
        if self.predict(schemes[high], size).bytes > budget:
            return None
        while low < high:
            middle = (low + high) // 2
            if self.predict(schemes[middle], size).bytes <= budget:
                high = middle
            else:
                low = middle + 1
        return self.predict(schemes[high], size)

    # -- what they take ----------------------------------------------------------------
    def _whole(self, scheme: Scheme, size: Size) -> Prediction:
        sizes = self._graph.plan(*size).sizes
        maps = self._live.gradient(sizes, self._objective.nodes)
        # What the network sees is a copy, and so is its gradient.
        held = self._with_scratch(maps) + PICTURE * math.prod(size)
        return Prediction(scheme, held, PASS + self._seconds(sizes, self._ops))

    def _cells(self, scheme: Scheme, size: Size) -> Prediction:
        check_local(self._goals, self._loss)
        maps, seconds = 0, HOST_PIXEL * math.prod(size)
        for count, part in (*self._tiles(scheme, size), *self._single(scheme, size)):
            own = self._live.gradient(part.computed, tuple(part.outputs))
            maps = max(maps, own)
            seconds += count * (PASS + self._seconds(part.computed, self._ops))
        held = 2 * PICTURE * math.prod(size) + self._with_scratch(maps)
        return Prediction(scheme, held, seconds)

    def _stem(self, scheme: Scheme, size: Size) -> Prediction:
        live, sizes = self._live, self._graph.plan(*size).sizes
        stem, border = self._parts(scheme)
        cut = [name for name in border if name != INPUT]
        ends = [name for name in self._objective.nodes if name not in border]
        deep = {n: s for n, s in sizes.items() if n not in stem or n in border}
        seconds = HOST_PIXEL * math.prod(size) + PASS
        seconds += self._seconds(deep, [n for n in self._ops if n not in stem])
        ran = back = 0
        for count, part in self._tiles(scheme, size):
            flops, values = self._work(part.computed, stem)
            again = PASS + flops * FLOP + values * VALUE
            first = flops * FLOP * FORWARD_FLOPS + values * VALUE * FORWARD_VALUES
            seconds += count * (again + PASS / 2 + first)
            ran = max(ran, live.forward(part.computed, cut))
            back = max(back, live.gradient(part.computed, cut))
        picture, maps = PICTURE * math.prod(size), live.map_bytes(cut, sizes)
        whole = live.gradient(deep, ends, sources=border) if ends else 2 * maps
        most = max(ran + maps, whole, back + maps + picture)
        return Prediction(scheme, picture + self._with_scratch(most), seconds)

    def _with_scratch(self, maps: float) -> int:
        return math.ceil(maps * (1 + SCRATCH_SHARE) + SCRATCH)

    def _work(self, sizes: Mapping[str, Size], names: Iterable[str]) -> tuple[int, int]:
        """Returns the multiplications and the numbers of maps of some nodes."""
        own = {name: sizes[name] for name in names if name in sizes}
        flops = sum(self._ops[name].flops(size) for name, size in own.items())
        return flops, self._live.values(own)

    def _seconds(self, sizes: Mapping[str, Size], names: Iterable[str]) -> float:
        flops, values = self._work(sizes, names)
        return flops * FLOP + values * VALUE

    # -- tiles -------------------------------------------------------------------------
    def _parts(self, scheme: Scheme) -> tuple[frozenset[str], tuple[str, ...]]:
        """Returns the nodes of a stem, and those of them that are read behind it."""
        stem = stem_of(self._objective, scheme.cut)
        return stem, border_of(self._objective, stem)

    def _tiled(self, scheme: Scheme) -> tuple[str, ...]:
        """Returns the nodes whose cells are parted."""
        if scheme.kind == "stem":
            return tuple(name for name in self._parts(scheme)[1] if name != INPUT)
        goals = [goal for goal in self._goals if goal.cell is None]
        return tuple(dict.fromkeys(node for goal in goals for node in goal.nodes))

    def _counts(
        self, scheme: Scheme, sizes: Mapping[str, Size], names: Sequence[str]
    ) -> tuple[int, int]:
        rows, columns = (
            min(count, *(max(sizes[name][axis], 1) for name in names), count)
            for axis, count in enumerate((scheme.rows, scheme.columns))
        )
        return rows, columns

    def _tiles(self, scheme: Scheme, size: Size) -> list[tuple[int, Tile]]:
        """Returns kinds of tiles, each with their number: at a corner, and inside.

        Those at a side only count as half of each.
        """
        names = self._tiled(scheme)
        if not names:
            return []
        sizes = self._graph.plan(*size).sizes
        rows, columns = counts = self._counts(scheme, sizes, names)
        corners = min(rows, 2) * min(columns, 2)
        inside = max(rows - 2, 0) * max(columns - 2, 0)
        sides = rows * columns - corners - inside
        kinds = [(corners + sides - sides // 2, 0, 0)]
        if rows * columns > corners:
            kinds.append((inside + sides // 2, rows // 2, columns // 2))
        steps = self._steps(names)
        return [
            (count, self._tile(size, sizes, names, steps, counts, (i, j), scheme.halo))
            for count, i, j in kinds
        ]

    def _single(self, scheme: Scheme, size: Size) -> Iterator[tuple[int, Tile]]:
        """Yields the tiles of goals that look at one cell only."""
        sizes = self._graph.plan(*size).sizes
        for goal in self._goals:
            if goal.cell is not None:
                (node,) = goal.nodes
                row, column = goal.cell(sizes[node])
                wanted = {node: ((row, row + 1), (column, column + 1))}
                how = {"steps": self._steps([node]), "sources": (INPUT,)}
                yield 1, tile(self._graph, size, wanted, **how, reach=scheme.halo)

    def _steps(self, names: Sequence[str]) -> list[str]:
        nodes = truncate(self._graph, frozenset(names)).nodes
        return [node.name for node in nodes if node.name != INPUT]

    def _tile(
        self,
        size: Size,
        sizes: Mapping[str, Size],
        names: Sequence[str],
        steps: Sequence[str],
        counts: Size,
        place: tuple[int, int],
        reach: int | None,
    ) -> Tile:
        wanted: dict[str, Region] = {}
        for name in names:
            down, across = (
                parts_of(sizes[name][axis], counts[axis])[place[axis]]
                for axis in (0, 1)
            )
            wanted[name] = (down, across)
        how = {"steps": steps, "sources": (INPUT,)}
        return tile(self._graph, size, wanted, **how, reach=reach)


class Plan:
    """By which schemes a run computes its gradients; what changes is noted.

    Args:
        entries: The scheme of each octave and each of its networks.
        default: That of what is not named.
        notices: What the user should know of it.
    """

    def __init__(
        self,
        entries: Iterable[Entry] = (),
        *,
        default: Scheme = WHOLE,
        notices: Iterable[str] = (),
    ):
        self._default = default
        self._entries = {entry[:3]: entry for entry in entries}
        self._notices = list(notices)

    def scheme(self, octave: int, network: int, step: int) -> Scheme:
        """Returns the scheme of a step of an octave, for one of its networks."""
        own = [
            entry
            for entry in self._entries.values()
            if entry[:2] == (octave, network) and entry.step <= step
        ]
        return max(own, key=lambda entry: entry.step).scheme if own else self._default

    def change(self, entry: Entry) -> None:
        """Goes on with another scheme, because memory was out."""
        later = [
            key
            for key in self._entries
            if key[:2] == entry[:2] and key[2] >= entry.step
        ]
        for key in later:
            del self._entries[key]
        self._entries[entry[:3]] = entry
        self.note(
            f"Memory was out in step {entry.step} of octave {entry.octave}, which goes "
            f"on as {entry.scheme.text}."
        )

    def text(self, *, until: tuple[int, int] | None = None) -> str:
        """Returns the plan as a record has it.

        Args:
            until: The octave of the last step that is meant, and its number there;
                None for all.
        """
        entries = self._entries.values()
        if until is not None:
            entries = [e for e in entries if (e.octave, e.step) <= until]
        return entries_text(entries)

    def note(self, *notices: str) -> None:
        """Adds what the user should know, and no record holds."""
        self._notices += notices

    def take_notices(self) -> list[str]:
        """Returns what the user should know, since it was asked last."""
        notices, self._notices = self._notices, []
        return notices


class Turn(NamedTuple):
    """Where a run is when it begins with an octave.

    Attributes:
        plan: The run's plan.
        octave: The octave's number.
        made: How many of its steps are made already.
        views: How often a step asks for a gradient.
    """

    plan: Plan
    octave: int
    made: int = 0
    views: int = 1


class Schemes:
    """The gradients of one objective by their schemes, each made once.

    Args:
        objective: What is maximised.
        predictor: What they take.
    """

    def __init__(self, objective: PreparedObjective, predictor: Predictor):
        self._objective = objective
        self.predictor = predictor
        self.backend = objective.backend
        self._made: dict[Scheme, SchemeGradient] = {}
        self._lock = threading.Lock()  # one dreamer may dream in several threads

    def weighted(self, weights: Sequence[float]) -> "Schemes":
        """Returns the gradients of the objective with other weights of its terms.

        They share all but the weights.
        """
        weighted = copy.copy(self)
        weighted._objective = self._objective.weighted(weights)
        return weighted

    def of(self, scheme: Scheme) -> Gradient:
        """Returns the gradient of a scheme.

        Raises:
            SettingError: If the objective's cannot be computed so.
        """
        with self._lock:
            if scheme not in self._made:
                self._made[scheme] = gradient_of(scheme, self._objective)
        return self._made[scheme].weighted(self._objective)


class PlannedGradient:
    """A gradient by the scheme of a plan; with smaller tiles after out-of-memory.

    A gradient is a function of the image alone, so that nothing is lost by computing it
    again.

    Args:
        schemes: The gradients of the objective.
        turn: The octave of a run.
        network: Which of the octave's networks it is, from 1.
    """

    def __init__(self, schemes: Schemes, turn: Turn, network: int):
        self._schemes = schemes
        self._turn = turn
        self._network = network
        self._calls = 0

    def __call__(
        self, image: Array, size: Size, *, view: View, original: Array | None
    ) -> tuple[Array, Array]:
        """Returns (loss, d loss / d image); arguments as for `Gradient`."""
        plan, octave, made, views = self._turn
        step = made + self._calls // views + 1
        while True:
            scheme = plan.scheme(octave, self._network, step)
            gradient = self._schemes.of(scheme)
            try:
                result = gradient(image, size, view=view, original=original)
            except Exception as failure:
                if not is_out_of_memory(failure):
                    raise
                release(failure)
                smaller = self._smaller(scheme, view.size)
                if smaller is None:
                    raise
            else:
                self._calls += 1
                return result
            plan.change(Entry(octave, self._network, step, smaller))

    def _smaller(self, scheme: Scheme, size: Size) -> Scheme | None:
        """Returns a way that takes at most half as much, or the smallest.

        What is free is no help: of a process's address space freed blocks are a part.
        """
        predictor = self._schemes.predictor
        self._schemes.backend.give_back_memory()
        before = predictor.predict(scheme, size).bytes
        found = predictor.cheapest(size, before / 2) or predictor.smallest(size)
        return found.scheme if found.bytes < before else None


def release(failure: BaseException) -> None:
    """Lets go of the feature maps that a failure's frames hold."""
    cause: BaseException | None = failure
    while cause is not None:
        traceback.clear_frames(cause.__traceback__)
        cause = cause.__context__
    gc.collect()
