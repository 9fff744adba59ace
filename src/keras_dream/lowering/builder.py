"""What every lowering rule builds with: maps, nodes and weights."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_dream.graph.ops import OPERATIONS, Node


class Value(str):
    """The name of a node's map, with what later layers must know of it.

    Attributes:
        shape: What Keras says of it, with the batch's axis; None where it is free.
        single: The map has one cell: it comes from a global operation.
        flat: (h, w, c) of the map that a Flatten hands on.
        plane: It is one channel without its axis, which only `stack` takes.
        unsupported: Why a graph cannot hold it, nor what is made of it; else "".
    """

    shape: tuple[int | None, ...] = ()
    single: bool = False
    flat: tuple[int, int, int] | None = None
    plane: bool = False
    unsupported: str = ""

    def of(self, shape: tuple[int | None, ...]) -> "Value":
        """Returns the same map, of the shape that one reader sees."""
        value = Value(self)
        value.__dict__.update(self.__dict__, shape=tuple(shape))
        return value


@dataclass
class Builder:
    """Collects nodes and weights while a model is walked."""

    nodes: list[Node] = field(default_factory=list)
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    layers: dict[str, str] = field(default_factory=dict)
    opaque: dict[str, Any] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def add(
        self,
        name: str,
        op: str,
        *inputs: Value,
        weights: Mapping[str, np.ndarray | None] | None = None,
        **attrs: Any,
    ) -> Value:
        """Appends a node and returns its map.

        Args:
            name: A name that no node has yet.
            op: The operation.
            *inputs: The maps it reads.
            weights: Arrays by "kernel", "bias", "scale", "shift"; None is left out.
            **attrs: Its constants.
        """
        self.nodes.append(Node(name, op, tuple(str(i) for i in inputs), attrs))
        for kind, array in (weights or {}).items():
            if array is not None:
                # A copy: numpy may look into the memory of the layer itself.
                self.weights[f"{name}/{kind}"] = np.array(array, np.float32)
        value = Value(name)
        value.single = OPERATIONS[op].is_global or (
            op != "pad" and bool(inputs) and all(i.single for i in inputs)
        )
        return value


Rule = Callable[[Builder, str, Any, list[Value]], Value | None]
"""Lowers one Keras operation: (builder, name of the node, operation, inputs) → output.

None means that the operation is none that the rule can lower.
"""

POINTWISE: dict[str, Any] = {
    "stride": [1, 1],
    "padding": "valid",
    "dilation": [1, 1],
    "groups": 1,
}
"""Attributes of a 1 × 1 convolution."""


def to_numpy(variable: Any) -> np.ndarray:
    """Returns a Keras variable's value."""
    # Not keras.ops.convert_to_numpy, which makes numpy 2 warn about torch's tensors.
    value = getattr(variable, "value", variable)
    if hasattr(value, "detach"):
        value = value.detach().float().cpu().numpy()
    return np.asarray(value)
