"""A network as a graph of operations: values, integer plans and facts, no arrays run.

A graph is exact and unfolded: every layer of the Keras model can be asked for.
`keras_dream.graph.passes.optimise` makes a faster one for the layers that a dream
asks for.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from keras_dream.errors import NetworkError, ObjectiveError, nearest

INPUT = "input"
LARGEST_SMALLEST = 1 << 17  # pixels: 1000 cells of border on both sides, at stride 64

# Operations that make one cell out of the whole map.
GLOBAL = ("global_mean", "global_max")


@dataclass(frozen=True)
class Node:
    """One operation.

    Attributes:
        name: Its name in the graph: the layer's own, or its class and ordinal; a
            layer's inner operation has "/" and a word behind that.
        op: What it does; `keras_dream.graph.program` lists the operations.
        inputs: Names of the nodes that it reads.
        attrs: Its constants, as JSON types.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    attrs: Mapping[str, Any] = field(default_factory=dict)


class Plan(NamedTuple):
    """A graph at one size of picture.

    Attributes:
        sizes: (height, width) of every node's map.
        values: The paddings that depend on the size, four to a node, in node order.
    """

    sizes: Mapping[str, tuple[int, int]]
    values: tuple[int, ...]


class Reach(NamedTuple):
    """How far a cell sees: receptive field and stride in pixels, or infinite."""

    field: float
    stride: float


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
        unsupported: Why other layers of the model cannot be asked for, by their names:
            "it makes a tensor of 5 axes, which is no feature map".
        opaque: Keras operations that stay Keras' own, by node name.
    """

    nodes: tuple[Node, ...]
    weights: Mapping[str, np.ndarray]
    layers: Mapping[str, str]
    classifier: str | None = None
    classes: tuple[str, ...] = ()
    objective: str | None = None
    unsupported: Mapping[str, str] = field(default_factory=dict)
    opaque: Mapping[str, Any] = field(default_factory=dict)

    def node_of(self, layer: str) -> str:
        """Returns the node of a layer.

        Raises:
            ObjectiveError: If there is no such layer, with the nearest name; or if it
                cannot be asked for, with the reason.
        """
        if layer in self.unsupported:
            raise ObjectiveError(
                "A layer must make a feature map to be dreamed",
                received=f"{layer!r}: {self.unsupported[layer]}",
                hint="try a layer before or behind it, see `dream layers NETWORK`",
            )
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
        """Returns the number of channels of every node's map."""
        found: dict[str, int] = {}
        for node in self.nodes:
            found[node.name] = _channels(node, [found[i] for i in node.inputs], self)
        return found

    def plan(self, height: int, width: int) -> Plan:
        """Resolves sizes and SAME paddings for a picture.

        Args:
            height: The whole picture's height in pixels, also for a region of it.
            width: The same for its width.

        Raises:
            NetworkError: If the picture is too small for an operation.
        """
        sizes: dict[str, tuple[int, int]] = {}
        values: list[int] = []
        for node in self.nodes:
            given = [sizes[name] for name in node.inputs]
            size, padding = _resolve(node, given, (height, width), self)
            if min(size) < 1:
                raise NetworkError(
                    f"A picture must be large enough for {node.name}",
                    received=f"{width} × {height} pixels",
                    hint="try a larger picture or an earlier layer",
                )
            sizes[node.name] = size
            if depends_on_size(node):
                values.extend(padding)
        return Plan(sizes, tuple(values))

    def smallest(self, border: int = 0, nodes: Iterable[str] = ()) -> int:
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

    def reach(self) -> dict[str, Reach]:
        """Returns every node's receptive field and stride in pixels.

        Global operations see everything: infinite. So do opaque nodes, of which
        nothing is known.
        """
        found: dict[str, Reach] = {}
        for node in self.nodes:
            given = [found[name] for name in node.inputs] or [Reach(1, 1)]
            wide = max(r.field for r in given)
            # A cell that scales a map, as in squeeze-and-excite, has no stride.
            stride = min(r.stride for r in given)
            if node.op in GLOBAL or node.op == "opaque":
                wide = stride = math.inf
            elif "stride" in node.attrs:
                span = max(
                    (k - 1) * d for k, d in zip(*_window(node, self), strict=True)
                )
                wide += span * stride if span else 0
                stride *= max(node.attrs["stride"])
            found[node.name] = Reach(wide, stride)
        return found

    def flops(self, height: int, width: int) -> int:
        """Returns multiplications and additions of one forward run of convolutions."""
        sizes = self.plan(height, width).sizes
        total = 0
        for node in self.nodes:
            kernel = self.weights.get(f"{node.name}/kernel")
            if kernel is not None:
                h, w = sizes[node.name]
                total += 2 * kernel.size * h * w
        return total

    def activation_bytes(self, height: int, width: int) -> int:
        """Returns the float32 memory of all maps that a gradient may hold."""
        sizes, channels = self.plan(height, width).sizes, self.channels()
        return sum(4 * math.prod(sizes[n.name]) * channels[n.name] for n in self.nodes)


def depends_on_size(node: Node) -> bool:
    """Tells whether a node's padding depends on the size of the picture."""
    strided = max(_stride(node)) > 1
    return strided and node.attrs["padding"] == "same"


def _stride(node: Node) -> tuple[int, int]:
    """Returns a node's stride; a pad's is that of the windows it is meant for."""
    down, right = node.attrs.get("stride") or node.attrs.get("ahead") or (1, 1)
    return down, right


def fixed_padding(node: Node, graph: Graph) -> tuple[int, int, int, int]:
    """Returns the padding of a node that does not depend on the size."""
    return _padding(node, (1, 1), graph)


def _window(node: Node, graph: Graph) -> tuple[tuple[int, int], tuple[int, int]]:
    """Returns a node's window and dilation."""
    kernel = graph.weights.get(f"{node.name}/kernel")
    size = tuple(node.attrs["size"]) if kernel is None else kernel.shape[:2]
    return (size[0], size[1]), tuple(node.attrs.get("dilation", (1, 1)))


def _padding(
    node: Node, given: tuple[int, int], graph: Graph
) -> tuple[int, int, int, int]:
    padding = node.attrs.get("padding", "valid")
    if padding == "valid":
        return (0, 0, 0, 0)
    if padding != "same":
        top, bottom, left, right = padding
        return (top, bottom, left, right)
    found: list[int] = []
    # SAME: as few cells as the rounded-up output needs, the odd one at the end.
    for n, k, d, s in zip(given, *_window(node, graph), _stride(node), strict=True):
        total = max((math.ceil(n / s) - 1) * s + (k - 1) * d + 1 - n, 0)
        total = (k - 1) * d if s == 1 else total
        found += [total // 2, total - total // 2]
    return (found[0], found[1], found[2], found[3])


def _resolve(
    node: Node, given: list[tuple[int, int]], picture: tuple[int, int], graph: Graph
) -> tuple[tuple[int, int], tuple[int, int, int, int]]:
    if node.op == INPUT:
        return picture, (0, 0, 0, 0)
    if node.op in GLOBAL:
        return (1, 1), (0, 0, 0, 0)
    if node.op == "opaque":
        return _opaque_size(node, given, graph), (0, 0, 0, 0)
    # Maps of 1 × 1 are broadcast against the others.
    h, w = max(s[0] for s in given), max(s[1] for s in given)
    if not {*given} <= {(h, w), (1, 1)}:
        raise NetworkError(
            f"A picture must have sides that fit {node.name}, which joins maps of one "
            "size",
            received=f"{picture[1]} × {picture[0]} pixels",
            hint="try sides that are multiples of 32",
        )
    padding = _padding(node, (h, w), graph)
    top, bottom, left, right = padding
    if node.op == "crop":
        return (h - top - bottom, w - left - right), padding
    h, w = h + top + bottom, w + left + right
    if "stride" not in node.attrs:
        return (h, w), padding
    (kh, kw), (dh, dw) = _window(node, graph)
    sh, sw = node.attrs["stride"]
    size = ((h - (kh - 1) * dh - 1) // sh + 1, (w - (kw - 1) * dw - 1) // sw + 1)
    return size, padding


def _opaque_size(
    node: Node, given: list[tuple[int, int]], graph: Graph
) -> tuple[int, int]:
    channels = graph.channels()
    shapes = [(1, *s, channels[i]) for s, i in zip(given, node.inputs, strict=True)]
    try:
        shape = graph.opaque[node.name].shape(shapes)
    # A picture too small for somebody's layer makes it raise whatever it likes.
    except Exception:  # noqa: BLE001
        return (0, 0)
    return (shape[1], shape[2])


def _channels(node: Node, given: list[int], graph: Graph) -> int:
    kernel = graph.weights.get(f"{node.name}/kernel")
    if node.op == INPUT:
        return node.attrs.get("channels", 3)
    if node.op == "depthwise_conv2d" and kernel is not None:
        return kernel.shape[2] * kernel.shape[3]
    if kernel is not None:
        return kernel.shape[3]
    if node.op == "concat":
        return sum(given)
    if node.op == "gather":
        return len(node.attrs["channels"])
    if node.op == "part":
        return node.attrs["channels"]
    if node.op == "opaque":
        return graph.opaque[node.name].channels
    return max(given)
