"""Gradients in tiles: exactly that of the whole picture, in less memory.

`CellGradient` parts the cells of the loss: a tile is some cells and all that they see
of the picture, and the gradients of all tiles are added up. `StemGradient` parts the
early layers only, which hold most of the memory and see little: their feature maps are
made tile by tile, the later layers run whole, and the early layers run again, tile by
tile, for their gradient.

Pixels and their gradient are on the host: what a tile sees is read from there, and its
gradient is added there, tile by tile, row by row of the grid.
"""

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from keras_dream.backend.host import give_back_memory
from keras_dream.backend.protocol import Array
from keras_dream.engine.goals import Goal, Place, Seen
from keras_dream.engine.gradients import (
    ObjectiveGraph,
    PreparedObjective,
    SchemeGradient,
    WholeGradient,
    checked_original,
)
from keras_dream.engine.tiles import grid_of
from keras_dream.errors import SettingError
from keras_dream.geometry import Size
from keras_dream.graph.graph import Plan
from keras_dream.graph.ops import INPUT
from keras_dream.graph.program import Program
from keras_dream.graph.regions import Region, whole_region
from keras_dream.parts.losses import Loss
from keras_dream.parts.transforms import Lookup, View
from keras_dream.recipe.schemes import Scheme

Read = Callable[[Region], NDArray[np.float32]]
"""Returns pixels of what the network sees, float32 (height, width, 3)."""

LARGE = 1 << 21
"""Pixels above which the pictures of a step take memory worth giving back for them: it
costs a seventh of a step of `motif` in four tiles at half as many."""

_NUMBERS = 10  # of a node in the plan of a tile: four edges, four sides, a size


def gradient_of(scheme: Scheme, objective: PreparedObjective) -> SchemeGradient:
    """Returns the gradient of an objective by a scheme.

    Args:
        scheme: How it is computed.
        objective: What is maximised.

    Raises:
        SettingError: If it cannot be computed so.
    """
    return GRADIENTS[scheme.kind](objective, scheme)


class TileGradient(NamedTuple):
    """What a tile adds to the loss and the gradient.

    Attributes:
        region: The pixels of what the network sees.
        loss: Its share of the loss.
        gradient: float32 (height, width, 3) of these pixels, to be added.
    """

    region: Region
    loss: float
    gradient: NDArray[np.float32]


class Job(NamedTuple):
    """A tile of a picture of some size.

    Attributes:
        nodes: Whose cells it makes, in the order of the plan.
        goals: The numbers of the goals that it is for.
        region: The pixels that it reads.
        wanted: Its own cells, by node.
        plan: What its function is called with.
    """

    nodes: tuple[str, ...]
    goals: tuple[int, ...]
    region: Region
    wanted: Mapping[str, Region]
    plan: tuple[int, ...]


class TiledGradient(ABC):
    """What all gradients in tiles have in common.

    Args:
        objective: What is maximised.
        scheme: The tiles.
    """

    def __init__(self, objective: PreparedObjective, scheme: Scheme):
        self._objective = objective
        self._halo = scheme.halo
        self._grid = (scheme.rows, scheme.columns)
        self._backend = objective.backend
        self._graph = objective.graph.graph
        goals = enumerate(objective.goals)
        # Goals of the image itself see no tile: they are computed of all of it.
        self._of_image = [n for n, goal in goals if not goal.nodes]
        self._of_nodes = [n for n, g in enumerate(objective.goals) if g.nodes]
        self._references = any(goal.needs_reference for goal in objective.goals)
        self._program: Program
        self._jobs: dict[Size, tuple[Job, ...]] = {}
        self._plans: dict[tuple[int, ...], tuple[int, ...]] = {}
        self._image_step = self._backend.value_and_grad(
            self._image_total, static=objective.is_static
        )

    def weighted(self, objective: PreparedObjective) -> Self:
        """Returns the gradient with other weights; as for `SchemeGradient`."""
        weighted = copy.copy(self)
        weighted._objective = objective
        return weighted

    @abstractmethod
    def parts(
        self, size: Size, read: Read, *, read_original: Read | None = None
    ) -> Iterator[TileGradient]:
        """Yields what every tile adds, in the order in which it must be added.

        Goals of the image itself are left out.

        Args:
            size: (height, width) in pixels of what the network sees.
            read: Reads pixels of it.
            read_original: Reads the original under the same transform, where a goal
                compares features with it.
        """

    @abstractmethod
    def _tiles(self, plan: Plan) -> Iterator[tuple[dict[str, Region], list[int]]]:
        """Yields the own cells of each tile by node, and the goals that it is for."""

    @abstractmethod
    def _sample(
        self, job: Job, size: Size, read: Read, read_original: Read | None
    ) -> NDArray[np.float32]:
        """Returns a gradient of a tile's own cells, by the tile's pixels."""

    def jobs(self, size: Size) -> tuple[Job, ...]:
        """Returns the tiles of a picture.

        Args:
            size: (height, width) in pixels of what the network sees.
        """
        if size not in self._jobs:
            self._jobs[size] = self._make_jobs(size, self._halo)
        return self._jobs[size]

    def _make_jobs(self, size: Size, reach: int | None) -> tuple[Job, ...]:
        plan = self._graph.plan(*size)
        return tuple(
            self._job(plan, size, wanted, goals, reach)
            for wanted, goals in self._tiles(plan)
        )

    def halo_error(
        self, size: Size, read: Read, *, read_original: Read | None = None
    ) -> float:
        """Returns how wrong a tile's gradient is because its halo is bounded.

        Args:
            size: (height, width) in pixels of what the network sees.
            read: Reads pixels of it.
            read_original: The same of the original.

        Returns:
            The difference of the gradients of the largest tile with the scheme's halo
            and with the exact one, relative, by the L2 norm; 0 for an exact halo.
        """
        pairs = zip(self.jobs(size), self._make_jobs(size, None), strict=True)
        job, exact = max(pairs, key=lambda pair: _area(pair[1].region))
        if job == exact:
            return 0.0
        found, expected = (
            self._sample(one, size, read, read_original) for one in (job, exact)
        )
        (top, bottom), (left, right) = job.region
        (first, _), (start, _) = exact.region
        length = float(np.linalg.norm(expected))
        error = expected.copy()
        error[top - first : bottom - first, left - start : right - start] -= found
        return float(np.linalg.norm(error)) / length if length else 0.0

    def __call__(
        self, image: Array, size: Size, *, view: View, original: Array | None
    ) -> tuple[Array, Array]:
        """Returns (loss, d loss / d image); arguments as for `Gradient`."""
        b, goals = self._backend, self._objective.goals
        if self._references or any(goal.needs_original for goal in goals):
            checked_original(original)
        lookup = view.chain.lookup(size, view.constants)
        read = self._reader(image, view, lookup)
        read_original = None
        if self._references:
            read_original = self._reader(original, view, lookup)
        loss, total = 0.0, np.zeros((*view.size, 3), np.float32)
        for part in self.parts(view.size, read, read_original=read_original):
            loss += part.loss
            (top, bottom), (left, right) = part.region
            total[top:bottom, left:right] += part.gradient
        if math.prod(view.size) > LARGE:
            b.give_back_memory()  # of the tiles, for the pictures of the step
        if lookup is None:
            gradient = self._through_view(image, view, total)
        else:
            gradient = b.image_view(_folded(lookup, total, size))
        value = b.array(np.array(loss))
        if self._of_image:
            constants = () if original is None else (original,)
            own = self._image_step(image, (), *self._objective.scalars, *constants)
            value, gradient = b.add(value, own[0]), b.add(gradient, own[1])
        return value, gradient

    def _reader(self, image: Array, view: View, lookup: Lookup | None) -> Read:
        b = self._backend
        if lookup is None:
            # What is between the pixels is made on the device, of all of them.
            chain = view.chain
            seen = b.function(lambda x, _, *numbers: [chain.apply(b, x, numbers)])
            image = seen(image, (), *view.constants)[0]
            lookup = Lookup(*map(np.arange, view.size))
        pixels, (rows, columns) = b.host_view(image), lookup

        def read(region: Region) -> NDArray[np.float32]:
            (top, bottom), (left, right) = region
            return pixels[np.ix_(rows[top:bottom], columns[left:right])]

        return read

    def _through_view(
        self, image: Array, view: View, gradient: NDArray[np.float32]
    ) -> Array:
        """Returns the gradient by the image, of one by what the network sees."""
        b, chain = self._backend, view.chain

        def product(x: Array, _: Any, *constants: Any) -> Array:
            *numbers, factor = constants
            return b.sum(b.multiply(chain.apply(b, x, numbers), factor))

        step = b.value_and_grad(product)
        return step(image, (), *view.constants, b.image_view(gradient))[1]

    def _image_total(self, image: Array, _: Any, *constants: Array) -> Array:
        weights, originals = self._parted(constants)
        seen = Seen({}, {}, image, (*originals, None)[0])
        return self._objective.total(seen, self._of_image, weights)

    def _parted(
        self, constants: Sequence[Array]
    ) -> tuple[Sequence[Array], Sequence[Array]]:
        """Returns the weights of the goals, and the other constants behind them."""
        count = len(self._objective.goals)
        return constants[:count], constants[count:]

    def _job(
        self,
        plan: Plan,
        size: Size,
        wanted: Mapping[str, Region],
        goals: Sequence[int],
        reach: int | None,
    ) -> Job:
        """Returns a tile, with all numbers that its function needs in one plan."""
        tile = self._program.tile_of(size, wanted, reach=reach)
        border = self._objective.context.border
        numbers: list[int] = [len(tile.values), *tile.values]
        for node, ((top, bottom), (left, right)) in wanted.items():
            height, width = plan.sizes[node]
            sides = (top, height - bottom, left, width - right)
            # Of what is farther away than the border nothing is asked: inner tiles
            # are computed by the same compiled function.
            numbers += [*tile.outputs[node], *(min(side, border) for side in sides)]
            numbers += [height, width]
        # Most tiles of a large picture have the same plan, which is kept once.
        same = self._plans.setdefault(tuple(numbers), tuple(numbers))
        region = tile.sources[INPUT]
        return Job(tuple(wanted), tuple(goals), region, wanted, same)

    def _own_cells(
        self, nodes: Sequence[str], x: Array, plan: Sequence[Any]
    ) -> tuple[dict[str, Array], dict[str, Place]]:
        """Returns a tile's own cells and where they lie; `plan` is that of a job."""
        end = 1 + plan[0]
        maps, places = self._program.tile(x, plan[1:end]), {}
        for number, node in enumerate(nodes):
            first = end + number * _NUMBERS
            edges, sides = plan[first : first + 4], plan[first + 4 : first + 8]
            if any(edges):
                maps[node] = self._backend.crop(maps[node], tuple(edges))
            height, width = plan[first + 8 : first + 10]
            top, bottom, left, right = sides
            places[node] = Place((top, bottom, left, right), (height, width))
        return maps, places

    def _pixels(self, job: Job, read: Read) -> Array:
        return self._backend.image(read(job.region))

    def _added(self, job: Job, loss: float, gradient: Array) -> TileGradient:
        pixels = self._backend.host_view(gradient)
        return TileGradient(job.region, loss, pixels)


class CellGradient(TiledGradient):
    """The gradient by tiles of the loss's cells.

    Args:
        objective: What is maximised.
        scheme: The tiles.

    Raises:
        SettingError: If a goal is not a sum over cells.
    """

    def __init__(self, objective: PreparedObjective, scheme: Scheme):
        super().__init__(objective, scheme)
        check_local(objective.goals, objective.context.loss)
        self._program = Program(
            self._graph,
            objective.graph.nodes,
            self._backend,
            prepared=objective.prepared,
        )
        goals = objective.goals
        firsts = [(n, goals[n].make_first(objective.context)) for n in self._of_nodes]
        self._firsts = {n: first for n, first in firsts if first is not None}
        self._steps: dict[Any, Callable[..., Any]] = {}

    def _tiles(self, plan: Plan) -> Iterator[tuple[dict[str, Region], list[int]]]:
        goals = self._objective.goals
        in_grid = [n for n in self._of_nodes if goals[n].cell is None]
        nodes = dict.fromkeys(node for n in in_grid for node in goals[n].nodes)
        sizes = {node: plan.sizes[node] for node in nodes}
        grid = grid_of(sizes, *self._grid) if sizes else ()
        for wanted in grid:
            # A tile within the border of a layer has nothing of its loss.
            own = [n for n in in_grid if self._has_share(goals[n], wanted, plan)]
            nodes = dict.fromkeys(node for n in own for node in goals[n].nodes)
            if own:
                yield {node: wanted[node] for node in nodes}, own
        for number in self._of_nodes:
            goal = goals[number]
            if goal.cell is not None:  # a tile of its own
                (node,) = goal.nodes
                row, column = goal.cell(plan.sizes[node])
                yield {node: ((row, row + 1), (column, column + 1))}, [number]

    def _has_share(self, goal: Goal, wanted: Mapping[str, Region], plan: Plan) -> bool:
        """Tells whether a tile has cells inside the border, if there are any at all."""
        border = self._objective.context.border if goal.bordered else 0
        (node,) = goal.nodes
        axes = zip(wanted[node], plan.sizes[node], strict=True)
        spans = [
            (max(start, border), min(end, n - border), n) for (start, end), n in axes
        ]
        exists = all(n > 2 * border for _, _, n in spans)
        return not exists or all(start < end for start, end, _ in spans)

    def _sample(
        self, job: Job, size: Size, read: Read, read_original: Read | None
    ) -> NDArray[np.float32]:
        sums = self.sums(size, read) if self._firsts else {}
        part = self.part(job, read, read_original=read_original, sums=sums)
        return part.gradient

    def parts(
        self, size: Size, read: Read, *, read_original: Read | None = None
    ) -> Iterator[TileGradient]:
        """Yields what every tile adds; arguments as for `TiledGradient`."""
        sums = self.sums(size, read) if self._firsts else {}
        for job in self.jobs(size):
            yield self.part(job, read, read_original=read_original, sums=sums)

    @property
    def needs_sums(self) -> bool:
        """Whether a loss needs something of all cells before the gradient."""
        return bool(self._firsts)

    def sums(self, size: Size, read: Read) -> dict[int, float]:
        """Returns what some losses need of all cells, by the numbers of the goals.

        Args:
            size: (height, width) in pixels of what the network sees.
            read: Reads pixels of it.
        """
        sums = dict.fromkeys(self._firsts, 0.0)
        for job in self.jobs(size):
            for number, value in self.firsts(job, read).items():
                sums[number] += value
        return sums

    def firsts(self, job: Job, read: Read) -> dict[int, float]:
        """Returns what a tile adds to `sums`.

        Args:
            job: The tile.
            read: Reads pixels of what the network sees.
        """
        numbers = [n for n in job.goals if n in self._firsts]
        if not numbers:
            return {}
        step = self._step(("sums", job.nodes, job.goals), job, self._sums_of)
        values = step(self._pixels(job, read), job.plan)
        return dict(zip(numbers, map(self._backend.to_float, values), strict=True))

    def part(
        self,
        job: Job,
        read: Read,
        *,
        read_original: Read | None = None,
        sums: Mapping[int, float] | None = None,
    ) -> TileGradient:
        """Returns what one of `jobs` adds.

        Args:
            job: The tile.
            read: Reads pixels of what the network sees.
            read_original: The same of the original.
            sums: What `sums` has returned, where a loss needs it.
        """
        b = self._backend
        constants = list(self._objective.scalars)
        constants += [
            b.array(np.array(sums[n])) for n in job.goals if sums and n in sums
        ]
        if self._references:
            constants.append(self._pixels(job, checked_original(read_original)))
        step = self._step((job.nodes, job.goals), job, self._total_of)
        loss, gradient = step(self._pixels(job, read), job.plan, *constants)
        return self._added(job, b.to_float(loss), gradient)

    def _step(
        self, key: Any, job: Job, make: Callable[[Job], Callable[..., Any]]
    ) -> Callable[..., Any]:
        if key not in self._steps:
            self._steps[key] = make(job)
        return self._steps[key]

    def _total_of(self, job: Job) -> Callable[..., Any]:
        b = self._backend
        numbers = [n for n in job.goals if n in self._firsts]

        def total(x: Array, plan: Sequence[Any], *constants: Array) -> Array:
            weights, rest = self._parted(constants)
            maps, places = self._own_cells(job.nodes, x, plan)
            reference: Mapping[str, Array] = {}
            if self._references:
                original = rest[len(numbers)]
                cells = self._own_cells(job.nodes, original, plan)
                reference = cells[0]
            seen = Seen(maps, reference, places=places)
            firsts = dict(zip(numbers, rest, strict=False))
            values = (
                self._objective.total(seen._replace(first=firsts.get(n)), [n], weights)
                for n in job.goals
            )
            return reduce(b.add, values)

        return b.value_and_grad(total, static=True)

    def _sums_of(self, job: Job) -> Callable[..., Any]:
        def firsts(x: Array, plan: Sequence[Any]) -> list[Array]:
            maps, places = self._own_cells(job.nodes, x, plan)
            seen = Seen(maps, places=places)
            return [self._firsts[n](seen) for n in job.goals if n in self._firsts]

        return self._backend.function(firsts, static=True)


class StemGradient(TiledGradient):
    """The gradient with the layers up to a node in tiles, and the others whole.

    Args:
        objective: What is maximised.
        scheme: The tiles, and the node.

    Raises:
        SettingError: If the network has no such node among those that are computed.
    """

    def __init__(self, objective: PreparedObjective, scheme: Scheme):
        super().__init__(objective, scheme)
        graph, nodes = self._graph, objective.graph.nodes
        stem = stem_of(objective.graph, scheme.cut)
        self._border = border_of(objective.graph, stem)
        self._cut = tuple(name for name in self._border if name != INPUT)
        self._program = Program(
            graph, self._cut, self._backend, prepared=objective.prepared
        )
        self._ends = tuple(node for node in nodes if node not in self._border)
        self._deep = Program(
            graph,
            self._ends,
            self._backend,
            sources=self._border,
            prepared=objective.prepared,
        )
        b = self._backend
        self._forwards = b.function(self._cells_of, static=True)
        self._backwards = b.value_and_grad(self._product, static=True)
        self._deep_step = b.value_and_grad(self._deep_total, static=objective.is_static)

    def _tiles(self, plan: Plan) -> Iterator[tuple[dict[str, Region], list[int]]]:
        sizes = {node: plan.sizes[node] for node in self._cut}
        for wanted in grid_of(sizes, *self._grid) if sizes else ():
            yield wanted, []

    def _sample(
        self, job: Job, size: Size, read: Read, read_original: Read | None
    ) -> NDArray[np.float32]:
        # As if half the sum of the squares of its own cells were maximised.
        pixels = self._pixels(job, read)
        cells = self._forwards(pixels, job.plan)
        return self._backend.to_image(self._backwards(pixels, job.plan, *cells)[1])

    def parts(
        self, size: Size, read: Read, *, read_original: Read | None = None
    ) -> Iterator[TileGradient]:
        """Yields what every tile adds; arguments as for `TiledGradient`."""
        plan = self._graph.plan(*size)
        loss, gradients = self._behind(plan, size, read, read_original)
        give_back_memory()
        if INPUT in gradients:  # layers behind the stem see the picture, too
            pixels = self._backend.host_view(gradients[INPUT])
            yield TileGradient(whole_region(size), loss, pixels)
            loss = 0.0
        for job in self.jobs(size):
            factors = [
                self._of(gradients[node], job.wanted[node], plan.sizes[node])
                for node in self._cut
            ]
            pixels = self._pixels(job, read)
            yield self._added(job, loss, self._backwards(pixels, job.plan, *factors)[1])
            loss = 0.0

    def _behind(
        self, plan: Plan, size: Size, read: Read, read_original: Read | None
    ) -> tuple[float, dict[str, Array]]:
        """Returns the loss, and its gradient by the maps that the stem has made."""
        maps = self._maps(plan, size, read)
        constants = self._objective.scalars
        if self._references:
            original = checked_original(read_original)
            constants = (*constants, *self._maps(plan, size, original))
        values = self._deep.values(plan)
        loss, gradients = self._deep_step(maps, values, *constants)
        named = dict(zip(self._border, gradients, strict=True))
        return self._backend.to_float(loss), named

    def _maps(self, plan: Plan, size: Size, read: Read) -> tuple[Array, ...]:
        """Returns the maps that are read behind the stem, put together of tiles."""
        b = self._backend
        mosaics = {node: b.mosaic(plan.sizes[node]) for node in self._cut}
        for job in self.jobs(size):
            cells = self._forwards(self._pixels(job, read), job.plan)
            for node, x in zip(self._cut, cells, strict=True):
                (top, _), (left, _) = job.wanted[node]
                mosaics[node].put(x, top, left)
        # The layers behind have maps of other sizes, for which other memory is taken.
        give_back_memory()
        return tuple(
            b.image(read(whole_region(size)))
            if node == INPUT
            else mosaics[node].result()
            for node in self._border
        )

    def _of(self, x: Array, region: Region, size: Size) -> Array:
        (top, bottom), (left, right) = region
        edges = (top, size[0] - bottom, left, size[1] - right)
        return self._backend.crop(x, edges) if any(edges) else x

    def _cells_of(self, x: Array, plan: Sequence[Any]) -> list[Array]:
        cells = self._own_cells(self._cut, x, plan)[0]
        return [cells[node] for node in self._cut]

    def _product(self, x: Array, plan: Sequence[Any], *factors: Array) -> Array:
        """Returns a scalar whose gradient is that of the cells times the factors."""
        b = self._backend
        products = (
            b.sum(b.multiply(cells, factor))
            for cells, factor in zip(self._cells_of(x, plan), factors, strict=True)
        )
        return reduce(b.add, products)

    def _deep_total(
        self, maps: tuple[Array, ...], plan: Sequence[Any], *constants: Array
    ) -> Array:
        weights, references = self._parted(constants)
        reference = self._features(tuple(references), plan) if references else {}
        seen = Seen(self._features(maps, plan), reference)
        return self._objective.total(seen, self._of_nodes, weights)

    def _features(
        self, maps: tuple[Array, ...], plan: Sequence[Any]
    ) -> dict[str, Array]:
        features = dict(zip(self._border, maps, strict=True))
        ends = zip(self._ends, self._deep(maps, plan), strict=True)
        return {**features, **dict(ends)}


GRADIENTS: Mapping[str, Callable[[PreparedObjective, Scheme], SchemeGradient]] = {
    "whole": lambda objective, _: WholeGradient(objective),
    "cells": CellGradient,
    "stem": StemGradient,
}
"""Every way to compute a network's gradient, by the kind of its scheme."""


def check_local(goals: Sequence[Goal], loss: Loss, *, hint: str | None = None) -> None:
    """Makes sure that an objective is a sum over cells, as tiles of cells need it.

    Args:
        goals: What is maximised.
        loss: How a feature map becomes a number.
        hint: What to try; None for a stem in tiles.

    Raises:
        SettingError: If it is not.
    """
    for goal in goals:
        if goal.nodes and not goal.is_local(loss):
            raise SettingError(
                "An objective in tiles of cells must be a sum over cells",
                received=f"one that compares all cells of {' and '.join(goal.nodes)}",
                hint=hint or f"try gradient='stem {goal.nodes[0]} 2x2'",
            )


def stem_of(objective: ObjectiveGraph, cut: str) -> frozenset[str]:
    """Returns the nodes of the stem that ends in a node.

    Args:
        objective: The network's graph, optimised for what is maximised.
        cut: The node's name, or that of its layer.

    Raises:
        SettingError: If the network has no such node among those that are computed.
    """
    graph = objective.graph
    inputs = {node.name: node.inputs for node in graph.nodes}
    name = cut if cut in inputs else graph.layers.get(cut, "")
    if name not in inputs:
        raise SettingError(
            "A stem must end in a layer that the objective needs",
            received=cut,
            hint=f"try {objective.nodes[0]}" if objective.nodes else "",
        )
    stem = {name}
    for node in reversed(graph.nodes):
        if node.name in stem:
            stem.update(node.inputs)
    # What a split makes is no map: its parts belong to it.
    whole = {op.node.name for op in graph.operations if not op.is_map}
    stem.update(
        n.name for n in graph.nodes if any(i in whole and i in stem for i in n.inputs)
    )
    return frozenset(stem)


def border_of(objective: ObjectiveGraph, stem: frozenset[str]) -> tuple[str, ...]:
    """Returns the nodes of a stem that are read behind it, by layers or by goals.

    Args:
        objective: As for `stem_of`.
        stem: What `stem_of` has returned.
    """
    nodes = objective.graph.nodes
    read = {name for n in nodes if n.name not in stem for name in n.inputs}
    read.update(objective.nodes)
    return tuple(n.name for n in nodes if n.name in stem and n.name in read)


def _area(region: Region) -> int:
    (top, bottom), (left, right) = region
    return (bottom - top) * (right - left)


def _folded(
    lookup: Lookup, gradient: NDArray[np.float32], size: Size
) -> NDArray[np.float32]:
    if all(np.array_equal(a, np.arange(n)) for a, n in zip(lookup, size, strict=True)):
        return gradient
    folded = np.zeros((*size, 3), np.float32)
    lookup.fold(gradient, folded, 0)
    return folded
