"""How much memory a gradient takes: which feature maps are alive at the same time.

The forward pass and the backward pass are gone through as torch's autograd runs them:
an operation keeps what its own gradient needs (its input, its output, or numbers of its
own) until the backward pass comes by; a gradient is alive from its first reader to the
node that made the map. jax and tensorflow keep the same, about.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from keras_dream.geometry import Size
from keras_dream.graph.graph import Graph
from keras_dream.graph.ops import INPUT, Node, Operation

FLOAT = 4  # bytes of a value of the image and its gradient, and of maps in float32

INDEX = 8
"""Bytes of the place of a maximum: torch keeps it as int64."""

_CONVOLUTIONS = ("conv2d", "depthwise_conv2d")
_VIEWS = ("split", "part", "crop")
"""Operations whose map is the memory of their input."""

_KEEP_INPUT = ("global_max", "layer_norm", "power", "opaque")
_WINDOWS = (*_CONVOLUTIONS, "max_pool", "average_pool")
"""Operations of which only some backends keep the input, though its values are not
needed for the gradient."""

_KEEP_OUTPUT = ("layer_norm", "opaque")
_OF_OUTPUT = ("relu", "sigmoid", "tanh", "softmax", "exponential")
"""Activations whose gradient is computed from their output; others from their input."""


@dataclass
class _Memory:
    """Bytes by what holds them, and the most there were at once.

    Attributes:
        live: Bytes by storage.
        most: The most so far.
    """

    live: dict[str, float] = field(default_factory=dict)
    total: float = 0.0
    most: float = 0.0

    def take(self, name: str, size: float) -> None:
        self.total += size - self.live.get(name, 0.0)
        self.live[name] = size
        self.most = max(self.most, self.total)

    def free(self, name: str) -> None:
        self.total -= self.live.pop(name, 0.0)

    def passing(self, size: float) -> None:
        """Counts what is there for a moment only."""
        self.most = max(self.most, self.total + size)


class Liveness:
    """What of a graph's feature maps is alive at once, for maps of given sizes.

    Args:
        graph: The graph, optimised.
        width: Bytes of a value of a feature map.
        lean: Whether the backend keeps only what a gradient needs, and adds gradients
            where they are.
    """

    def __init__(self, graph: Graph, *, width: int = FLOAT, lean: bool = False):
        self._lean = lean
        self._operations = graph.operations
        self._channels = graph.channels()
        self._width = width
        self._storage: dict[str, str] = {}
        for op in self._operations:
            node = op.node
            inner = node.inputs[0] if node.op in _VIEWS else ""
            self._storage[node.name] = self._storage.get(inner, node.name)
        # Pictures are float32 until their first convolution.
        self._exact = {INPUT}
        for op in self._operations:
            if op.node.op not in _CONVOLUTIONS and self._exact.issuperset(
                op.node.inputs
            ):
                self._exact.add(op.node.name)

    def forward(
        self,
        sizes: Mapping[str, Size],
        outputs: Iterable[str],
        *,
        sources: Sequence[str] = (INPUT,),
    ) -> int:
        """Returns the most bytes of a pass without a gradient.

        Args:
            sizes: (height, width) of the feature maps that are computed or given, by
                node.
            outputs: The nodes whose maps are asked for.
            sources: Those that are given.
        """
        held, nodes = self._given(sizes, sources), self._nodes(sizes, sources)
        left = self._uses(nodes, outputs)
        for op in nodes:
            self._run(op, sizes, held, left, kept={})
        return math.ceil(held.most)

    def gradient(
        self,
        sizes: Mapping[str, Size],
        outputs: Iterable[str],
        *,
        sources: Sequence[str] = (INPUT,),
    ) -> int:
        """Returns the most bytes of a pass with its gradient; arguments as above."""
        outputs, nodes = tuple(outputs), self._nodes(sizes, sources)
        kept = Counter(name for op in nodes for name in self._kept(op))
        # Feature maps are held by whoever gives them; a picture is a view's copy.
        kept.update(self._storage[name] for name in sources if name != INPUT)
        held, left = self._given(sizes, sources), self._uses(nodes, outputs)
        for op in nodes:
            self._run(op, sizes, held, left, kept)
            for name, size in self._extra(op, sizes).items():
                held.take(name, size)
        # One output after the other is squared, and the gradients of all come first.
        held.passing(max((self._bytes(name, sizes) for name in outputs), default=0))
        for name in outputs:
            held.take(f"{name}/gradient", self._bytes(name, sizes))
        for op in reversed(nodes):
            self._back(op, sizes, held, kept)
        return math.ceil(held.most)

    def values(self, sizes: Mapping[str, Size]) -> int:
        """Returns how many numbers all feature maps of some sizes have."""
        return sum(
            math.prod(size) * self._channels[name] for name, size in sizes.items()
        )

    def map_bytes(self, names: Iterable[str], sizes: Mapping[str, Size]) -> int:
        """Returns the bytes of some feature maps."""
        return math.ceil(sum(self._bytes(name, sizes) for name in names))

    def _nodes(
        self, sizes: Mapping[str, Size], sources: Sequence[str]
    ) -> list[Operation]:
        return [
            op
            for op in self._operations
            if op.node.name in sizes and op.node.name not in sources
        ]

    def _given(self, sizes: Mapping[str, Size], sources: Sequence[str]) -> _Memory:
        held = _Memory()
        for name in sources:
            held.take(self._storage[name], self._bytes(name, sizes))
        return held

    def _uses(self, nodes: Sequence[Operation], outputs: Iterable[str]) -> Counter[str]:
        """Returns how often each storage is read."""
        read = [name for op in nodes for name in op.node.inputs]
        return Counter(self._storage[name] for name in (*read, *outputs))

    def _bytes(self, name: str, sizes: Mapping[str, Size]) -> float:
        width = FLOAT if name in self._exact else self._width
        return math.prod(sizes[name]) * self._channels[name] * width

    def _run(
        self,
        op: Operation,
        sizes: Mapping[str, Size],
        held: _Memory,
        left: Counter[str],
        kept: Mapping[str, int],
    ) -> None:
        """Runs a node forwards: its map comes, and inputs that nobody needs go."""
        node = op.node
        storage = self._storage[node.name]
        if storage == node.name:
            held.take(storage, self._bytes(storage, sizes))
            if node.op in ("affine", "add", "layer_norm"):  # a map between the two
                held.passing(self._bytes(storage, sizes))
            held.passing(self._in_float(op, sizes))
        for name in node.inputs:
            inner = self._storage[name]
            left[inner] -= 1
            if not left[inner] and inner not in kept:
                held.free(inner)

    def _in_float(self, op: Operation, sizes: Mapping[str, Size]) -> float:
        """Returns the bytes of a map in float32 before it is rounded to fewer bits."""
        first = op.node.op in _CONVOLUTIONS and op.node.inputs[0] in self._exact
        if not first or self._width == FLOAT:
            return 0
        return self._bytes(op.node.name, sizes) * FLOAT / self._width

    def _kept(self, op: Operation) -> set[str]:
        """Returns the storages that a node keeps for its gradient."""
        node, kept = op.node, set[str]()
        kind = node.attrs.get("kind") if node.op == "activation" else None
        keeps = node.op in _KEEP_INPUT or (node.op in _WINDOWS and not self._lean)
        if keeps or (kind and kind not in _OF_OUTPUT):
            kept.update(self._storage[name] for name in node.inputs)
        if node.op == "multiply" and "factor" not in node.attrs:
            kept.update(self._storage[name] for name in node.inputs)
        if node.op in _KEEP_OUTPUT or kind in _OF_OUTPUT or node.attrs.get("relu"):
            kept.add(self._storage[node.name])
        return kept

    def _extra(self, op: Operation, sizes: Mapping[str, Size]) -> dict[str, float]:
        """Returns what a node keeps besides maps, with its bytes."""
        node, extra = op.node, dict[str, float]()
        if node.op in ("max_pool", "global_max"):
            cells = math.prod(sizes[node.name]) * self._channels[node.name]
            extra[f"{node.name}/places"] = INDEX * cells
        if node.op in (*_CONVOLUTIONS, "max_pool"):
            inner = node.inputs[0]
            top, bottom, left, right = op.padding(sizes[inner])
            if (top, left) != (bottom, right) and not self._lean:  # a padded copy
                h, w = sizes[inner]
                share = (h + top + bottom) * (w + left + right) / max(h * w, 1)
                extra[f"{node.name}/padded"] = share * self._bytes(inner, sizes)
        if node.op == "maximum":
            extra[f"{node.name}/mask"] = self._bytes(node.name, sizes) / self._width
        return extra

    def _back(
        self,
        op: Operation,
        sizes: Mapping[str, Size],
        held: _Memory,
        kept: Counter[str],
    ) -> None:
        """Runs a node backwards: the gradients of its inputs come, its own goes."""
        node = op.node
        own = f"{node.name}/gradient"
        held.passing(self._in_float(op, sizes))
        if node.attrs.get("relu") and not self._lean:  # the rectified gradient
            held.passing(self._bytes(node.name, sizes))
        for name in node.inputs:
            self._take_gradient(node, name, sizes, held)
        held.free(own)
        for name in self._extra(op, sizes):
            held.free(name)
        for storage in self._kept(op):
            kept[storage] -= 1
            if not kept[storage]:
                held.free(storage)

    def _take_gradient(
        self, node: Node, name: str, sizes: Mapping[str, Size], held: _Memory
    ) -> None:
        gradient, size = f"{name}/gradient", self._bytes(name, sizes)
        if gradient not in held.live:
            held.take(gradient, size)
        elif not self._lean:  # added to that of another reader
            held.passing(size)
