"""Runs a graph on a backend."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from keras_dream.backend.protocol import Array, Backend
from keras_dream.graph.graph import INPUT, Graph, Node, depends_on_size, fixed_padding

Padding = tuple[Any, Any, Any, Any]
Operation = Callable[[list[Array], Padding], Array]


class Program:
    """A graph with its weights on a device.

    Args:
        graph: The graph, usually an optimised one.
        outputs: Names of the nodes whose maps `__call__` returns, in this order.
        backend: Where it runs.
    """

    def __init__(self, graph: Graph, outputs: Sequence[str], backend: Backend):
        self._outputs = tuple(outputs)
        self._steps = [
            (node, _operation(node, graph, backend), _padding(node, graph))
            for node in graph.nodes
            if node.op != INPUT
        ]
        self._uses = Counter(name for node in graph.nodes for name in node.inputs)
        self._uses.update(self._outputs)

    def __call__(self, image: Array, plan: Sequence[Any]) -> list[Array]:
        """Returns the output maps.

        Args:
            image: The image in [0, 1] as a map of the backend.
            plan: `Plan.values` for this size of picture.
        """
        maps: dict[str, Array] = {INPUT: image}
        left = Counter(self._uses)
        values = iter(plan)
        for node, operation, fixed in self._steps:
            # A padding that depends on the size takes its four sides from the plan.
            padding = fixed or (next(values), next(values), next(values), next(values))
            maps[node.name] = operation([maps[name] for name in node.inputs], padding)
            for name in node.inputs:
                left[name] -= 1
                if not left[name]:
                    del maps[name]
        return [maps[name] for name in self._outputs]


def _padding(node: Node, graph: Graph) -> Padding | None:
    return None if depends_on_size(node) else fixed_padding(node, graph)


def _operation(node: Node, graph: Graph, backend: Backend) -> Operation:
    """Returns a node as a function of its inputs and its padding."""
    if node.op == "opaque":
        return _opaque(graph.opaque[node.name], backend)
    if node.op in ("conv2d", "depthwise_conv2d"):
        return _convolution(node, graph, backend)
    if node.op in ("max_pool", "average_pool"):
        size, stride = tuple(node.attrs["size"]), tuple(node.attrs["stride"])
        pool = getattr(backend, node.op)
        return lambda xs, padding: pool(
            xs[0], size=size, stride=stride, padding=padding
        )
    if node.op in ("affine", "layer_norm"):
        scale = backend.vector(graph.weights[f"{node.name}/scale"])
        shift = backend.vector(graph.weights[f"{node.name}/shift"])
        if node.op == "layer_norm":
            epsilon = node.attrs["epsilon"]
            return lambda xs, _: backend.layer_norm(xs[0], scale, shift, epsilon)
        return lambda xs, _: backend.add(backend.multiply(xs[0], scale), shift)
    return _SIMPLE[node.op](backend, node.attrs)


def _convolution(node: Node, graph: Graph, backend: Backend) -> Operation:
    values = graph.weights[f"{node.name}/kernel"]
    bias = graph.weights.get(f"{node.name}/bias")
    held = None if bias is None else backend.vector(bias)
    stride = tuple(node.attrs["stride"])
    dilation = tuple(node.attrs["dilation"])
    if node.op == "depthwise_conv2d":
        kernel = backend.depthwise_kernel(values)
        return lambda xs, padding: backend.depthwise_conv2d(
            xs[0], kernel, held, stride=stride, padding=padding, dilation=dilation
        )
    kernel = backend.kernel(values)
    groups, relu = node.attrs["groups"], node.attrs.get("relu", False)
    return lambda xs, padding: backend.conv2d(
        xs[0],
        kernel,
        held,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        relu=relu,
    )


def _opaque(layer: Any, backend: Backend) -> Operation:
    return lambda xs, _: backend.from_keras(layer([backend.to_keras(x) for x in xs]))


def _folded(combine: Callable[[Array, Array], Array]) -> Operation:
    """Returns an operation that combines any number of maps, two at a time."""

    def operation(xs: list[Array], _: Padding) -> Array:
        total = xs[0]
        for x in xs[1:]:
            total = combine(total, x)
        return total

    return operation


_SIMPLE: dict[str, Callable[[Backend, Any], Operation]] = {
    "activation": lambda b, a: (
        lambda xs, _: b.activation(xs[0], a["kind"], a.get("slope", 0.0))
    ),
    "add": lambda b, a: _folded(b.add),
    "concat": lambda b, a: lambda xs, _: b.concat(xs),
    "crop": lambda b, a: lambda xs, padding: b.crop(xs[0], padding),
    "gather": lambda b, a: lambda xs, _: b.gather(xs[0], a["channels"]),
    "global_max": lambda b, a: lambda xs, _: b.global_max(xs[0]),
    "global_mean": lambda b, a: lambda xs, _: b.global_mean(xs[0]),
    "maximum": lambda b, a: _folded(b.maximum),
    "multiply": lambda b, a: (
        (lambda xs, _: b.multiply(xs[0], a["factor"]))
        if "factor" in a
        else _folded(b.multiply)
    ),
    "part": lambda b, a: lambda xs, _: xs[0][a["index"]],
    "pad": lambda b, a: lambda xs, padding: b.pad(xs[0], padding),
    "power": lambda b, a: lambda xs, _: b.power(xs[0], a["exponent"]),
    "split": lambda b, a: lambda xs, _: b.split(xs[0], a["counts"]),
    "subtract": lambda b, a: _folded(b.subtract),
}
