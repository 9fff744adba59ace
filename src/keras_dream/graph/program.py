"""Runs a graph on a backend."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from keras_dream.backend.protocol import Array, Backend
from keras_dream.graph.graph import Graph
from keras_dream.graph.ops import INPUT


class Program:
    """A graph with its weights on a device.

    Args:
        graph: The graph, usually an optimised one.
        outputs: Names of the nodes whose feature maps are returned, in this order.
        backend: Where it runs.
    """

    def __init__(self, graph: Graph, outputs: Sequence[str], backend: Backend):
        self._outputs = tuple(outputs)
        # A padding that depends on the size takes its four sides from the plan.
        self._steps = [
            (op.node, op.prepare(backend), op.fixed_padding)
            for op in graph.operations
            if op.node.op != INPUT
        ]
        self._uses = Counter(name for node in graph.nodes for name in node.inputs)
        self._uses.update(self._outputs)

    def __call__(self, image: Array, plan: Sequence[Any]) -> list[Array]:
        """Returns the output feature maps.

        Args:
            image: The image in [0, 1] as a feature map of the backend.
            plan: `Plan.values` for this size of picture.
        """
        maps: dict[str, Array] = {INPUT: image}
        left = Counter(self._uses)
        values = iter(plan)
        for node, run, fixed in self._steps:
            padding = fixed or (next(values), next(values), next(values), next(values))
            maps[node.name] = run([maps[name] for name in node.inputs], padding)
            for name in node.inputs:
                left[name] -= 1
                if not left[name]:
                    del maps[name]
        return [maps[name] for name in self._outputs]
