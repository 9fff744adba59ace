"""A network as a graph of operations: values, integer plans and facts, no arrays run.

A graph is exact and unfolded: every layer of the Keras model can be asked for.
`keras_dream.graph.passes.optimise` makes a faster one for the layers that a dream
asks for.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from keras_dream.errors import NetworkError, ObjectiveError, nearest
from keras_dream.geometry import Size
from keras_dream.graph.ops import (
    OPERATIONS,
    Join,
    Node,
    Operation,
    ReceptiveField,
)

LARGEST_SMALLEST = 1 << 17  # pixels: 1000 cells of border on both sides, at stride 64


class Plan(NamedTuple):
    """A graph at one size of picture.

    Attributes:
        sizes: (height, width) of every node's feature map.
        values: The paddings that depend on the size, four to a node, in node order.
    """

    sizes: Mapping[str, Size]
    values: tuple[int, ...]


@dataclass(frozen=True)
class Graph:
    """A network lowered to operations.

    Attributes:
        nodes: In an order in which every node stands behind its inputs; the first is
            the image, in [0, 1].
        weights: Arrays by "node/kernel", "node/bias", "node/scale", "node/shift".
        layers: What can be asked for, "mixed4" or "conv2d@7", to node names.
        classifier: The node of the class scores before their softmax, if there is one.
        classes: Names of the classes; empty where only numbers are known.
        objective: The network's own good objective, as text.
        opaque: Keras operations that stay Keras' own, by node name.
        notices: What the user should know of how it was lowered.
    """

    nodes: tuple[Node, ...]
    weights: Mapping[str, np.ndarray]
    layers: Mapping[str, str]
    classifier: str | None = None
    classes: tuple[str, ...] = ()
    objective: str | None = None
    opaque: Mapping[str, Any] = field(default_factory=dict)
    notices: tuple[str, ...] = ()

    @cached_property
    def operations(self) -> tuple[Operation, ...]:
        """The nodes' operations, in the order of the nodes."""
        return tuple(
            OPERATIONS[node.op](node, self.weights, layer=self.opaque.get(node.name))
            for node in self.nodes
        )

    def node_of(self, layer: str) -> str:
        """Returns the node of a layer.

        Raises:
            ObjectiveError: If there is no such layer; with the nearest name.
        """
        if layer not in self.layers:
            # A layer that goes by its class's name is known by its ordinal only.
            first = f"{layer}@0"
            named = [n for n in self.layers if "@" not in n or n == first]
            raise ObjectiveError(
                "A layer must be one of the network's",
                received=repr(layer),
                hint=nearest(layer, named or self.layers, see="`dream layers NETWORK`"),
            )
        return self.layers[layer]

    def class_number(self, name: str) -> int:
        """Returns the number of a class, given by its name or number.

        Raises:
            ObjectiveError: If the network has no such class.
        """
        if self.classifier is None:
            raise ObjectiveError(
                "A class score must come from a network with a dense classifier",
                received=f"class:{name} for a network without one",
                hint="try a layer instead, see `dream layers NETWORK`",
            )
        if name in self.classes:
            return self.classes.index(name)
        count = self.channels()[self.classifier]
        # Not isdigit, which knows "²"; and int refuses thousands of digits.
        if name.isdecimal() and len(name) < 10 and int(name) < count:
            return int(name)
        raise ObjectiveError(
            "A class must be one of the network's"
            if self.classes
            else f"A class must be a number below {count} for this network",
            received=repr(name),
            hint=nearest(name, self.classes, see="`dream layers NETWORK`")
            if self.classes
            else "try class:0",
        )

    def channels(self) -> dict[str, int]:
        """Returns the number of channels of every node's feature map."""
        channels: dict[str, int] = {}
        for op in self.operations:
            inputs = [channels[name] for name in op.node.inputs]
            channels[op.node.name] = op.channels(inputs)
        return channels

    def plan(self, height: int, width: int) -> Plan:
        """Resolves sizes and SAME paddings for a picture.

        Args:
            height: The whole picture's height in pixels, also for a region of it.
            width: The same for its width.

        Raises:
            NetworkError: If the picture is too small for an operation.
        """
        channels, picture = self.channels(), (height, width)
        sizes: dict[str, Size] = {}
        values: list[int] = []
        for op in self.operations:
            node = op.node
            inputs = [sizes[name] for name in node.inputs] or [picture]
            if isinstance(op, Join) and op.misfits(inputs):
                raise NetworkError(
                    f"A picture must have sides that fit {node.name}, which joins "
                    "maps of one size",
                    received=f"{width} × {height} pixels",
                    hint="try sides that are multiples of 32",
                )
            size = op.size(inputs, [channels[name] for name in node.inputs])
            if min(size) < 1:
                raise NetworkError(
                    f"A picture must be large enough for {node.name}",
                    received=f"{width} × {height} pixels",
                    hint="try a larger picture or an earlier layer",
                )
            sizes[node.name] = size
            if op.depends_on_size:
                values.extend(op.padding(inputs[0]))
        return Plan(sizes, tuple(values))

    def smallest(self, *, border: int = 0, nodes: Iterable[str] = ()) -> int:
        """Returns the side of the smallest square picture that can be run.

        Args:
            border: Cells that the loss leaves out on each side.
            nodes: Nodes in which a cell must remain inside the border.
        """
        low, high = 0, 1
        while high <= LARGEST_SMALLEST and not self._holds(high, border, nodes):
            low, high = high, high * 2
        while high - low > 1:
            middle = (low + high) // 2
            if self._holds(middle, border, nodes):
                high = middle
            else:
                low = middle
        return high

    def _holds(self, side: int, border: int, nodes: Iterable[str]) -> bool:
        try:
            sizes = self.plan(side, side).sizes
        except NetworkError:
            return False
        return all(min(sizes[name]) > 2 * border for name in nodes)

    def receptive_fields(self) -> dict[str, ReceptiveField]:
        """Returns what a cell of every node sees, in pixels.

        Global operations see everything: infinite. So do opaque nodes, of which
        nothing is known.
        """
        fields: dict[str, ReceptiveField] = {}
        for op in self.operations:
            inputs = [fields[name] for name in op.node.inputs]
            fields[op.node.name] = op.receptive_field(inputs)
        return fields

    def flops(self, height: int, width: int) -> int:
        """Returns multiplications and additions of one forward run of convolutions."""
        sizes = self.plan(height, width).sizes
        return sum(op.flops(sizes[op.node.name]) for op in self.operations)

    def activation_bytes(self, height: int, width: int) -> int:
        """Returns the float32 memory of all feature maps that a gradient may hold."""
        sizes, channels = self.plan(height, width).sizes, self.channels()
        return sum(4 * h * w * channels[name] for name, (h, w) in sizes.items())
