"""Tiles: which part of every feature map makes some cells of a graph's outputs.

A tile is run by the graph's own operations with the paddings of the whole picture. Its
first cell is a multiple of the strides behind it, so that its cells are cells of the
whole. Where the picture goes on beyond the tile, the same padding makes some wrong
cells at its edge. They are never read: the tile is as much larger as the operations
reach, and only the wanted cells are cut out at the end. So no operation needs a padding
of its own, and the tiles of a picture have few shapes. A feature map that has become
much larger than what is still needed of it is trimmed.

What sees everything, such as a global pool, needs the whole of what it reads: that is
exact, too, but saves no memory.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from keras_dream.geometry import Size
from keras_dream.graph.graph import Graph
from keras_dream.graph.ops import Join, Operation, Sides, Span

Region = tuple[Span, Span]  # cells: down, across
Edges = tuple[int, int, int, int]  # cut off: top, bottom, left, right

TRIMMED = 1.15
"""A map is trimmed if it has so many times the cells that are needed: a copy of a map
costs about a tenth of the convolution that made it."""


@dataclass(frozen=True)
class Tile:
    """What is computed of a graph for some cells of its outputs.

    Attributes:
        sources: What is read of each source: pixels of the picture, or cells.
        regions: What is kept of every feature map that is computed.
        computed: (height, width) of it before it is trimmed.
        outputs: What is cut off the kept part of each output, so that the wanted cells
            remain.
        values: What `Program.tile` is called with.
        halo: Pixels, or cells of the sources, by which the largest side is longer than
            the least with which the wanted cells can be made.
    """

    sources: Mapping[str, Region]
    regions: Mapping[str, Region]
    computed: Mapping[str, Size]
    outputs: Mapping[str, Edges]
    values: tuple[int, ...]
    halo: int


def tile(
    graph: Graph,
    size: Size,
    wanted: Mapping[str, Region],
    *,
    steps: Sequence[str],
    sources: Sequence[str],
    reach: int | None = None,
) -> Tile:
    """Returns what to compute for cells of a graph's outputs.

    Args:
        graph: The graph.
        size: (height, width) in pixels of the whole picture that the network sees.
        wanted: The cells of outputs, at least one of each; others are not computed.
        steps: The nodes that a program computes, in their order, see
            `Program.steps`.
        sources: The nodes that it is given.
        reach: How many pixels, or cells of the sources, a tile may be longer on a side
            than the least: with fewer than the operations reach its cells are wrong
            near its edges. None for exact ones.

    Raises:
        NetworkError: If the graph cannot be run at the size.
    """
    return Tiling(graph, size, steps, sources).tile(wanted, reach)


class Tiling:
    """The two passes over the nodes of a program, for a size of picture.

    Arguments and errors as for `tile`.
    """

    def __init__(
        self,
        graph: Graph,
        size: Size,
        steps: Sequence[str],
        sources: Sequence[str],
    ):
        plan = graph.plan(*size)
        every = {op.node.name: op for op in graph.operations}
        self._ops = [every[name] for name in steps]
        self._plan = plan
        self._sources = tuple(sources)
        self._aligned = self._alignments()

    def _alignments(self) -> dict[str, tuple[int, int]]:
        """Returns of what each map's first cell must be a multiple, down and across."""
        names = (*self._sources, *(op.node.name for op in self._ops))
        aligned: dict[str, tuple[int, int]] = dict.fromkeys(names, (1, 1))
        for op in reversed(self._ops):
            own = aligned[op.node.name]
            for name in op.node.inputs:
                down, across = (
                    math.lcm(aligned[name][axis], own[axis] * op.step(axis))
                    for axis in (0, 1)
                )
                aligned[name] = down, across
        return aligned

    def tile(self, wanted: Mapping[str, Region], reach: int | None) -> Tile:
        """Returns what to compute for cells of the outputs."""
        needed, least = self._needed(wanted), self._least(wanted)
        sources: dict[str, Region] = {}
        halo = 0
        for name in self._sources:
            if name not in needed:
                continue
            region, smallest = needed[name], least[name]
            margins = [
                max(smallest[axis][0] - region[axis][0], 0) for axis in (0, 1)
            ] + [max(region[axis][1] - smallest[axis][1], 0) for axis in (0, 1)]
            halo = max(halo, *margins)
            if reach is not None:
                region = _within(region, smallest, reach)
            sources[name] = self._start_aligned(name, region)
        is_exact = reach is None or reach >= halo
        return self._forwards(wanted, needed, sources, halo, trims=is_exact)

    def _padding(self, op: Operation, axis: int) -> Sides:
        top, bottom, left, right = self._plan.paddings[op.node.name]
        return (top, bottom) if axis == 0 else (left, right)

    def _is_broadcast(self, op: Operation, name: str, axis: int) -> bool:
        """Tells whether an input of one cell stands for all along an axis."""
        sizes = self._plan.sizes
        return (
            isinstance(op, Join)
            and sizes[name][axis] == 1
            and sizes[op.node.name][axis] > 1
        )

    def _needed(self, wanted: Mapping[str, Region]) -> dict[str, Region]:
        """Returns the cells of every map on which the wanted ones depend."""
        needed = dict(wanted)
        for op in reversed(self._ops):
            own = needed.get(op.node.name)
            if own is None:
                continue
            for name in op.node.inputs:
                spans = [
                    self._needed_along(op, name, axis, own[axis]) for axis in (0, 1)
                ]
                needed[name] = _union(needed.get(name), (spans[0], spans[1]))
        return needed

    def _needed_along(self, op: Operation, name: str, axis: int, span: Span) -> Span:
        n = self._plan.sizes[name][axis]
        if self._is_broadcast(op, name, axis):
            return 0, 1
        return op.needed(span, axis, n, self._padding(op, axis))

    def _least(self, wanted: Mapping[str, Region]) -> dict[str, Region]:
        """Returns the least cells with which the wanted ones can be made at all."""
        least = dict(wanted)
        sizes = self._plan.sizes
        for op in reversed(self._ops):
            own = least.get(op.node.name)
            if own is None:
                continue
            for name in op.node.inputs:
                spans: list[Span] = []
                for axis in (0, 1):
                    span = op.least(own[axis], axis, self._padding(op, axis))
                    n = sizes[name][axis]
                    if op.sees_everything or self._is_broadcast(op, name, axis):
                        span = (0, n)
                    end = min(max(span[1], 1), n)
                    spans.append((min(span[0], end - 1), end))
                least[name] = _union(least.get(name), (spans[0], spans[1]))
        return least

    def _start_aligned(self, name: str, region: Region) -> Region:
        down, across = (
            (start - start % multiple, end)
            for (start, end), multiple in zip(region, self._aligned[name], strict=True)
        )
        return down, across

    def _forwards(
        self,
        wanted: Mapping[str, Region],
        needed: Mapping[str, Region],
        sources: Mapping[str, Region],
        halo: int,
        *,
        trims: bool,
    ) -> Tile:
        """Returns what is computed from the sources on, and where it is trimmed."""
        regions: dict[str, Region] = dict(sources)
        computed: dict[str, Size] = {n: _size(r) for n, r in sources.items()}
        values: list[int] = []
        for op in self._ops:
            name = op.node.name
            values.append(int(name in needed))
            if name not in needed:
                continue
            if op.depends_on_size:
                values += self._plan.paddings[name]
            target = self._start_aligned(name, needed[name])
            inputs = [regions[i] for i in op.node.inputs]
            if isinstance(op, Join):
                own = self._joined(op, inputs, target if trims else None)
                for index, region in enumerate(inputs):
                    values += self._cut(op, index, region, own)
            else:
                own = self._made(op, inputs)
            computed[name] = _size(own)
            kept = own
            if trims and op.is_map and _cells(own) > TRIMMED * _cells(target):
                kept = target
            values += _edges(own, kept)
            regions[name] = kept
        outputs = {name: _edges(regions[name], own) for name, own in wanted.items()}
        return Tile(sources, regions, computed, outputs, tuple(values), halo)

    def _made(self, op: Operation, inputs: Sequence[Region]) -> Region:
        """Returns the part that an operation makes of parts of its inputs."""
        if op.sees_everything:
            height, width = self._plan.sizes[op.node.name]
            return (0, height), (0, width)
        spans: list[Span] = []
        for axis in (0, 1):
            start, end = inputs[0][axis]
            first = start // op.step(axis)
            count = op.cells(end - start, axis, self._padding(op, axis))
            spans.append((first, first + count))
        return spans[0], spans[1]

    def _joined(
        self, op: Join, inputs: Sequence[Region], target: Region | None
    ) -> Region:
        """Returns the part that all inputs have, or what is needed of it."""
        spans: list[Span] = []
        for axis in (0, 1):
            full = [
                region[axis]
                for name, region in zip(op.node.inputs, inputs, strict=True)
                if not self._is_broadcast(op, name, axis)
            ]
            start, end = max(s for s, _ in full), min(e for _, e in full)
            # Where maps are copied anyway, what is not needed stays behind; a sum of
            # maps of one size is not worth a cut.
            if target is not None and (not op.broadcasts or len({*full}) > 1):
                start, end = target[axis][0], min(end, target[axis][1])
            spans.append((start, end))
        return spans[0], spans[1]

    def _cut(self, op: Join, index: int, region: Region, own: Region) -> Edges:
        name = op.node.inputs[index]
        down, across = (
            region[axis] if self._is_broadcast(op, name, axis) else own[axis]
            for axis in (0, 1)
        )
        return _edges(region, (down, across))


def _within(region: Region, least: Region, reach: int) -> Region:
    """Returns a region of which at most `reach` cells are beyond the least."""
    down, across = (
        (max(start, first - reach), min(end, last + reach))
        for (start, end), (first, last) in zip(region, least, strict=True)
    )
    return down, across


def _union(one: Region | None, other: Region) -> Region:
    if one is None:
        return other
    down, across = (
        (min(a[0], b[0]), max(a[1], b[1])) for a, b in zip(one, other, strict=True)
    )
    return down, across


def _size(region: Region) -> Size:
    (top, bottom), (left, right) = region
    return bottom - top, right - left


def _cells(region: Region) -> int:
    return math.prod(_size(region))


def _edges(outer: Region, inner: Region) -> Edges:
    """Returns what is cut off a region so that another one remains."""
    (top, bottom), (left, right) = outer
    (first, last), (start, end) = inner
    return first - top, bottom - last, start - left, right - end


def whole_region(size: Size) -> Region:
    """Returns all cells of a map."""
    return (0, size[0]), (0, size[1])


def is_local(graph: Graph, nodes: Iterable[str]) -> bool:
    """Tells whether the cells of nodes see a part of the picture only.

    Args:
        graph: The graph.
        nodes: Names of nodes.
    """
    fields = graph.receptive_fields()
    return all(math.isfinite(fields[name].size) for name in nodes)
