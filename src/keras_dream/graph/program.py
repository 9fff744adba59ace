"""Runs a graph on a backend: the whole of a picture, or a tile of it."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from keras_dream.backend.protocol import Array, Backend
from keras_dream.geometry import Size
from keras_dream.graph.graph import Graph, Plan
from keras_dream.graph.ops import INPUT, Join, Operation, Run
from keras_dream.graph.regions import Region, Tile, Tiling


class Prepared:
    """A graph's operations with their weights on a device, each made once.

    Args:
        graph: The graph, usually an optimised one.
        backend: Where it runs.
    """

    def __init__(self, graph: Graph, backend: Backend):
        self.graph = graph
        self.backend = backend
        self.operations = {op.node.name: op for op in graph.operations}
        self._runs: dict[str, Run] = {}
        self._lock = threading.Lock()  # dreams in several threads share it

    def run(self, name: str) -> Run:
        """Returns a node's operation."""
        with self._lock:
            if name not in self._runs:
                self._runs[name] = self.operations[name].prepare(self.backend)
            return self._runs[name]


class Program:
    """A graph, or a part of it, that can be run.

    Args:
        graph: The graph, usually an optimised one.
        outputs: Names of the nodes whose feature maps are returned, in this order.
        backend: Where it runs.
        sources: Names of the nodes whose feature maps it is given.
        prepared: The graph's operations, where several programs share them.

    Attributes:
        steps: The nodes that it computes, in their order.
        sources: As above.
    """

    def __init__(
        self,
        graph: Graph,
        outputs: Sequence[str],
        backend: Backend,
        *,
        sources: Sequence[str] = (INPUT,),
        prepared: Prepared | None = None,
    ):
        self._prepared = prepared or Prepared(graph, backend)
        self._outputs = tuple(outputs)
        self.sources = tuple(sources)
        self._operations = _between(self._prepared, self.sources, self._outputs)
        self.steps = tuple(op.node.name for op in self._operations)
        # A padding that depends on the size takes its four sides from the plan.
        self._run = [self._prepared.run(name) for name in self.steps]
        self._uses = Counter(i for op in self._operations for i in op.node.inputs)
        self._uses.update(self._outputs)
        self._tilings: dict[Size, Tiling] = {}

    def values(self, plan: Plan) -> tuple[int, ...]:
        """Returns what the program is called with, for a size of picture."""
        varying = (op.node.name for op in self._operations if op.depends_on_size)
        return tuple(side for name in varying for side in plan.paddings[name])

    def tile_of(
        self, size: Size, wanted: Mapping[str, Region], *, reach: int | None = None
    ) -> Tile:
        """Returns the tile for some cells of outputs; arguments as `regions.tile`."""
        if size not in self._tilings:
            graph = self._prepared.graph
            self._tilings[size] = Tiling(graph, size, self.steps, self.sources)
        return self._tilings[size].tile(wanted, reach)

    def __call__(self, arrays: Any, plan: Sequence[Any]) -> list[Array]:
        """Returns the output feature maps.

        Args:
            arrays: The image in [0, 1] as a feature map of the backend; of several
                sources a tuple of their feature maps.
            plan: `values` for this size of picture.
        """
        values = iter(plan)

        def one(op: Operation, run: Run, xs: list[Array]) -> Array:
            return run(xs, op.fixed_padding or _four(values))

        maps = self._each(arrays, one)
        return [maps[name] for name in self._outputs]

    def tile(self, arrays: Any, values: Sequence[int]) -> dict[str, Array]:
        """Returns the kept parts of the outputs of a tile, by their names.

        Args:
            arrays: The parts of the sources that `Tile.sources` names, as above.
            values: `Tile.values`: numbers, not traced ones.
        """
        left, backend = iter(values), self._prepared.backend

        def one(op: Operation, run: Run, xs: list[Array]) -> Array | None:
            if not next(left):
                return None
            padding = _four(left) if op.depends_on_size else op.fixed_padding
            if isinstance(op, Join):
                xs = [_cropped(backend, x, _four(left)) for x in xs]
            y = run(xs, padding or (0, 0, 0, 0))
            return _cropped(backend, y, _four(left))

        return self._each(arrays, one)

    def _each(
        self,
        arrays: Any,
        one: Callable[[Operation, Run, list[Array]], Array | None],
    ) -> dict[str, Array]:
        """Runs every operation, and keeps a feature map until its last reader."""
        given = arrays if isinstance(arrays, tuple) else (arrays,)
        maps: dict[str, Array] = dict(zip(self.sources, given, strict=True))
        left = Counter(self._uses)
        for op, run in zip(self._operations, self._run, strict=True):
            y = one(op, run, [maps.get(name) for name in op.node.inputs])
            if y is not None:
                maps[op.node.name] = y
            for name in op.node.inputs:
                left[name] -= 1
                if not left[name]:
                    maps.pop(name, None)
        return {name: maps[name] for name in self._outputs if name in maps}


def _between(
    prepared: Prepared, sources: Sequence[str], outputs: Sequence[str]
) -> list[Operation]:
    """Returns the operations that make outputs of sources, in the graph's order."""
    wanted = set(outputs) - {*sources}
    for op in reversed(prepared.operations.values()):
        if op.node.name in wanted:
            wanted.update(name for name in op.node.inputs if name not in sources)
    return [op for op in prepared.operations.values() if op.node.name in wanted]


def _four(values: Iterator[Any]) -> tuple[Any, Any, Any, Any]:
    return next(values), next(values), next(values), next(values)


def _cropped(backend: Backend, x: Array, edges: tuple[int, int, int, int]) -> Array:
    # Cutting nothing off would still cost a copy in the gradient.
    return backend.crop(x, edges) if any(edges) else x
