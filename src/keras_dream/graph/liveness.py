"""How much memory a gradient takes: which feature maps are alive at the same time.

The forward pass and the backward pass are gone through as torch's autograd runs them:
an operation keeps what its own gradient needs (its input, its output, or numbers of its
own) until the backward pass comes by; a gradient is alive from its first reader to the
node that made the map. jax and tensorflow keep the same, about.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from keras_dream.geometry import Size
from keras_dream.graph.graph import Graph
from keras_dream.graph.ops import INPUT, Node, Operation

FLOAT = 4  # bytes of a value of the image and its gradient, and of maps in float32

INDEX = 8
"""Bytes of the place of a maximum: torch keeps it as int64."""

_VIEWS = ("split", "part", "crop")
"""Operations whose map is the memory of their input."""

_KEEP_INPUT = (
    "conv2d", "depthwise_conv2d", "max_pool", "average_pool", "global_max",
    "layer_norm", "power", "opaque",
)  # fmt: skip
_KEEP_OUTPUT = ("layer_norm", "opaque")
_OF_OUTPUT = ("relu", "sigmoid", "tanh", "softmax", "exponential")
"""Activations whose gradient is computed from their output; others from their input."""


@dataclass
class _Held:
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
        outputs: The nodes whose maps are asked for.
        width: Bytes of a value of a feature map.
    """

    def __init__(self, graph: Graph, outputs: Iterable[str], *, width: int = FLOAT):
        self._operations = graph.operations
        self._channels = graph.channels()
        self._outputs = tuple(outputs)
        self._width = width
        self._storage: dict[str, str] = {}
        for op in self._operations:
            node = op.node
            inner = node.inputs[0] if node.op in _VIEWS else ""
            self._storage[node.name] = self._storage.get(inner, node.name)

    def forward(self, sizes: Mapping[str, Size]) -> int:
        """Returns the most bytes of a pass without a gradient.

        Args:
            sizes: (height, width) of the feature maps, by node.
        """
        held, left = _Held(), self._uses()
        for op in self._operations:
            if op.node.name in sizes:
                self._run(op, sizes, held, left, kept=frozenset())
        return math.ceil(held.most)

    def gradient(self, sizes: Mapping[str, Size]) -> int:
        """Returns the most bytes of a pass with its gradient.

        Args:
            sizes: (height, width) of the feature maps, by node.
        """
        nodes = [op for op in self._operations if op.node.name in sizes]
        kept = Counter(name for op in nodes for name in self._kept(op))
        held, left = _Held(), self._uses()
        for op in nodes:
            self._run(op, sizes, held, left, kept=frozenset(kept))
            for name, size in self._extra(op, sizes).items():
                held.take(name, size)
        # One output after the other is squared, and the gradients of all come first.
        held.passing(max(self._bytes(name, sizes) for name in self._outputs))
        grads = _Held(dict(held.live), held.total, held.most)
        for name in self._outputs:
            grads.take(f"{name}/gradient", self._bytes(name, sizes))
        for op in reversed(nodes):
            self._back(op, sizes, grads, kept)
        return math.ceil(grads.most)

    def _uses(self) -> Counter[str]:
        left = Counter(n for op in self._operations for n in op.node.inputs)
        left.update(self._outputs)
        return left

    def _bytes(self, name: str, sizes: Mapping[str, Size]) -> float:
        width = FLOAT if name == INPUT else self._width
        return math.prod(sizes[name]) * self._channels[name] * width

    def _run(
        self,
        op: Operation,
        sizes: Mapping[str, Size],
        held: _Held,
        left: Counter[str],
        *,
        kept: frozenset[str],
    ) -> None:
        """Runs a node forwards: its map comes, and inputs that nobody needs go."""
        node = op.node
        storage = self._storage[node.name]
        if storage == node.name:
            held.take(storage, self._bytes(storage, sizes))
            if node.op in ("affine", "add", "layer_norm"):  # a map between the two
                held.passing(self._bytes(storage, sizes))
        for name in node.inputs:
            left[name] -= 1
            inner = self._storage[name]
            alive = any(
                left[other] for other, at in self._storage.items() if at == inner
            )
            if not alive and inner not in kept:
                held.free(inner)

    def _kept(self, op: Operation) -> set[str]:
        """Returns the storages that a node keeps for its gradient."""
        node, kept = op.node, set[str]()
        kind = node.attrs.get("kind") if node.op == "activation" else None
        if node.op in _KEEP_INPUT or (kind and kind not in _OF_OUTPUT):
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
        if node.op in ("conv2d", "depthwise_conv2d", "max_pool"):
            inner = node.inputs[0]
            top, bottom, left, right = op.padding(sizes[inner])
            is_cast = inner == INPUT and self._width != FLOAT
            if is_cast or (top, left) != (bottom, right):  # a copy, which is padded
                h, w = sizes[inner]
                cells = (h + top + bottom) * (w + left + right) * self._channels[inner]
                extra[f"{node.name}/padded"] = self._width * cells
        if node.op == "maximum":
            extra[f"{node.name}/mask"] = self._bytes(node.name, sizes) / self._width
        return extra

    def _back(
        self,
        op: Operation,
        sizes: Mapping[str, Size],
        held: _Held,
        kept: Counter[str],
    ) -> None:
        """Runs a node backwards: the gradients of its inputs come, its own goes."""
        node = op.node
        own = f"{node.name}/gradient"
        if node.attrs.get("relu"):  # the rectified gradient, beside the other
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
        self, node: Node, name: str, sizes: Mapping[str, Size], held: _Held
    ) -> None:
        gradient, size = f"{name}/gradient", self._bytes(name, sizes)
        if gradient in held.live:  # added to that of another reader
            held.passing(size)
        else:
            held.take(gradient, size)
