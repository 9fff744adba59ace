"""Where a layer's cells lie on the picture, so that a heat map can be put in place."""

import math
from typing import NamedTuple

from keras_dream.graph.graph import (
    GLOBAL,
    INPUT,
    Graph,
    Node,
    depends_on_size,
    fixed_padding,
)


class Axis(NamedTuple):
    """Centres of cells along one axis, in pixels: cell i lies at `first + i * step`.

    The first pixel's own centre is 0.5.
    """

    first: float
    step: float

    def at(self, cell: float) -> float:
        """Returns the centre of a cell in pixels from the picture's edge."""
        return self.first + cell * self.step


Places = tuple[Axis, Axis]  # down, across


def places(graph: Graph, height: int, width: int) -> dict[str, Places]:
    """Returns where the cells of every node lie.

    A node that joins maps lies where they do on average; what sees the whole picture,
    and what only Keras can run, is spread over it evenly.

    Args:
        graph: The graph.
        height: The picture's height in pixels.
        width: Its width.

    Raises:
        NetworkError: If the picture is too small for the graph.
    """
    plan = graph.plan(height, width)
    values = iter(plan.values)
    found: dict[str, Places] = {}
    for node in graph.nodes:
        own = depends_on_size(node)
        padding = [next(values) for _ in range(4)] if own else None
        top, _, left, _ = padding or fixed_padding(node, graph)
        cells = plan.sizes[node.name]
        spread = (_spread(height, cells[0]), _spread(width, cells[1]))
        # A map of one cell, broadcast against the others, lies nowhere.
        given = [found[i] for i in node.inputs if plan.sizes[i] != (1, 1)]
        if node.op == INPUT:
            found[node.name] = (Axis(0.5, 1.0), Axis(0.5, 1.0))
        elif node.op in GLOBAL or node.op == "opaque" or not given:
            found[node.name] = spread
        else:
            before = [_mean([axes[axis] for axes in given]) for axis in (0, 1)]
            down = _moved(node, graph, before[0], top, 0)
            found[node.name] = (down, _moved(node, graph, before[1], left, 1))
    return found


def _spread(length: int, cells: int) -> Axis:
    return Axis(length / cells / 2, length / cells)


def _mean(axes: list[Axis]) -> Axis:
    first = math.fsum(axis.first for axis in axes) / len(axes)
    return Axis(first, max(axis.step for axis in axes))


def _moved(node: Node, graph: Graph, axis: Axis, padding: int, number: int) -> Axis:
    """Returns where a node's cells lie along an axis on which its inputs do."""
    if node.op == "crop":
        return Axis(axis.at(padding), axis.step)
    if "stride" not in node.attrs:
        return Axis(axis.at(-padding), axis.step)
    kernel = graph.weights.get(f"{node.name}/kernel")
    window = node.attrs["size"] if kernel is None else kernel.shape[:2]
    dilation = node.attrs.get("dilation", (1, 1))[number]
    middle = (window[number] - 1) * dilation / 2 - padding
    return Axis(axis.at(middle), axis.step * node.attrs["stride"][number])
