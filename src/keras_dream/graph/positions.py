"""Where a layer's cells lie on the picture, so that a heat map can be put in place."""

import math
from collections.abc import Mapping, Sequence

from keras_dream.geometry import Size
from keras_dream.graph.graph import Graph
from keras_dream.graph.ops import INPUT, Axis, Join, Operation

Positions = tuple[Axis, Axis]  # down, across


def positions(graph: Graph, height: int, width: int) -> dict[str, Positions]:
    """Returns where the cells of every node lie.

    A node that joins feature maps lies where they do on average; what sees the whole
    picture, and what only Keras can run, is spread over it evenly.

    Args:
        graph: The graph.
        height: The picture's height in pixels.
        width: Its width.

    Raises:
        NetworkError: If the picture is too small for the graph.
    """
    plan = graph.plan(height, width)
    axes: dict[str, Positions] = {INPUT: (Axis(0.5, 1.0), Axis(0.5, 1.0))}
    for op in graph.operations[1:]:
        top, _, left, _ = plan.paddings[op.node.name]
        down = _axis(op, 0, height, top, plan.sizes, axes)
        across = _axis(op, 1, width, left, plan.sizes, axes)
        axes[op.node.name] = (down, across)
    return axes


def _axis(
    op: Operation,
    number: int,
    length: int,
    padding: int,
    sizes: Mapping[str, Size],
    axes: Mapping[str, Positions],
) -> Axis:
    """Returns where the cells of a node lie along axis `number` of a picture."""
    cells = sizes[op.node.name][number]
    # What is broadcast along an axis lies nowhere on it.
    before = [
        axes[name][number]
        for name in op.node.inputs
        if sizes[name] != (1, 1)
        and not (isinstance(op, Join) and sizes[name][number] < cells)
    ]
    if op.sees_everything or not before:
        return Axis(length / cells / 2, length / cells)
    return op.centres(_mean(before), number, padding)


def _mean(axes: Sequence[Axis]) -> Axis:
    first = math.fsum(axis.first for axis in axes) / len(axes)
    return Axis(first, max(axis.step for axis in axes))
