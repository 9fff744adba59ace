"""What every lowering rule builds with: maps, nodes and weights."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from keras_dream.graph.ops import OPERATIONS, Node

Form = Literal["map", "tokens", "vector", "flat", "plane"]
"""How Keras' tensor for one picture lies in a feature map (1, h, w, c):

as it is; (1, n, c) as 1 × n cells; (1, c) as one cell; a flattened map (1, h·w·c) as
the map before it; (1, h, w) as a map of one channel.
"""


class Value(str):
    """A Keras tensor: the name of its node, and what later layers must know of it.

    Attributes:
        shape: Keras' shape of the tensor; the first axis is the batch.
        form: How the tensor lies in the node's feature map.
        flattened: (h, w, c) of the map of a "flat" tensor.
        single: The map has one cell: it comes from a global operation.
        pending: (call, its inputs, number of the output) of a tensor that is no feature
            map and has no node; Keras computes it for the next feature map.
        reason: Why it cannot be asked for; empty if it can.
    """

    shape: tuple[int | None, ...] = ()
    form: Form = "map"
    flattened: tuple[int, int, int] | None = None
    single: bool = False
    pending: tuple[Any, Sequence["Value"], int] | None = None
    reason: str = ""

    def but(self, **changes: Any) -> "Value":
        """Returns a copy with other attributes."""
        copy = Value(str(self))
        copy.__dict__.update(self.__dict__, **changes)
        return copy

    def is_last(self, axis: int) -> bool:
        """Tells whether an axis of the Keras tensor is that of the channels."""
        return axis in (-1, len(self.shape) - 1)


@dataclass
class Builder:
    """Collects nodes and weights while a model is walked."""

    nodes: list[Node] = field(default_factory=list)
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    layers: dict[str, str] = field(default_factory=dict)
    unsupported: dict[str, str] = field(default_factory=dict)
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
