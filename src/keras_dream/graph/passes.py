"""Graph passes: a smaller and faster graph with the same numbers.

`optimise` keeps what a dream asks for and rewrites the rest: each pass is a pure
function from a graph to a graph, and the outputs keep their names.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from keras_dream.graph.graph import Graph
from keras_dream.graph.ops import Node

Outputs = frozenset[str]


def optimise(graph: Graph, outputs: Iterable[str], *, merge: bool = True) -> Graph:
    """Returns a graph that computes the same feature maps for fewer operations.

    Args:
        graph: An exact graph.
        outputs: Names of the nodes whose feature maps are asked for.
        merge: Whether sibling convolutions are merged, which pays on some backends.

    Returns:
        A graph in which these nodes keep their names and their numbers, to rounding.
    """
    wanted = frozenset(outputs)
    passes: tuple[Callable[[Graph, Outputs], Graph], ...] = (
        truncate,
        fold_affine,
        exchange_average_pool,
        exchange_max_pool,
        fuse_relu,
        *([merge_siblings] if merge else []),
    )
    for rewrite in passes:
        graph = rewrite(graph, wanted)
    return graph


def truncate(graph: Graph, outputs: Outputs) -> Graph:
    """Drops every node that no output needs."""
    needed = set(outputs)
    for node in reversed(graph.nodes):
        if node.name in needed:
            needed.update(node.inputs)
    nodes = [node for node in graph.nodes if node.name in needed]
    return _rebuilt(graph, nodes, dict(graph.weights))


def drop_mean(graph: Graph, name: str, outputs: Outputs) -> Graph:
    """Drops the global mean that a node's pointwise convolutions begin with.

    Both are linear, so that the mean over all positions of what the node computes then
    is what it computed before; and each position of it sees a part of the picture. It
    is done where it costs nearly nothing.

    Args:
        graph: An exact graph.
        name: A node of which only the mean over all positions is asked for.
        outputs: All nodes that are asked for: they and what others read stay exact.

    Returns:
        The graph, unchanged where the node has no such mean.
    """
    nodes = {node.name: node for node in graph.nodes}
    linear, readers = nodes[name], _readers(graph)
    if readers.get(name):
        return graph
    while _is_pointwise(linear, graph) and not linear.attrs.get("relu"):
        before = nodes[linear.inputs[0]]
        if before.op == "global_mean":
            nodes[linear.name] = replace(linear, inputs=before.inputs)
            local = replace(graph, nodes=tuple(nodes.values()))
            costs = (g.flops(*_USUAL) for g in (local, graph))
            return local if next(costs) <= _NEARLY * next(costs) else graph
        if not _is_private(before, readers, outputs):
            return graph
        linear = before
    return graph


_USUAL = (512, 512)  # pixels; what is compared hardly depends on the size
_NEARLY = 1.01


def fold_affine(graph: Graph, outputs: Outputs) -> Graph:
    """Folds a BatchNorm's scale and shift into the convolution before it.

    Only where nothing else reads the convolution's own output.
    """
    nodes = {node.name: node for node in graph.nodes}
    weights = dict(graph.weights)
    readers, channels = _readers(graph), graph.channels()
    for node in graph.nodes:
        inner = nodes.get(node.inputs[0]) if node.op == "affine" else None
        if inner is None or not _is_private(inner, readers, outputs):
            continue
        if inner.op not in ("conv2d", "depthwise_conv2d"):
            continue
        if channels[inner.name] != channels[node.name]:
            continue  # it makes several channels out of one
        kernel = weights.pop(f"{inner.name}/kernel")
        scale, shift = (
            # A scalar (of a Rescaling) stands for every channel.
            np.resize(weights.pop(f"{node.name}/{kind}"), channels[node.name])
            for kind in ("scale", "shift")
        )
        bias = weights.pop(f"{inner.name}/bias", np.zeros(1, np.float32))
        factor = scale.reshape(kernel.shape[2:]) if inner.op != "conv2d" else scale
        weights[f"{node.name}/kernel"] = kernel * factor
        exact = bias.astype(np.float64) * scale + shift
        weights[f"{node.name}/bias"] = exact.astype(np.float32)
        del nodes[inner.name]
        nodes[node.name] = Node(node.name, inner.op, inner.inputs, inner.attrs)
    return _rebuilt(graph, _ordered(graph, nodes), weights)


def exchange_average_pool(graph: Graph, outputs: Outputs) -> Graph:
    """Moves an average-pool behind the 1 × 1 convolution that follows it.

    Both are linear, and a pool over the cells inside the feature map keeps a constant,
    so that the bias may go first. The pool then runs on fewer channels.
    """
    nodes = {node.name: node for node in graph.nodes}
    weights = dict(graph.weights)
    readers = _readers(graph)
    for node in graph.nodes:
        pool = nodes.get(node.inputs[0]) if _is_pointwise(node, graph) else None
        if pool is None or pool.op != "average_pool":
            continue
        kernel = weights[f"{node.name}/kernel"]
        if not _is_private(pool, readers, outputs) or kernel.shape[3] > kernel.shape[2]:
            continue
        first = f"{node.name}/before-pool"
        _rename(weights, node.name, first)
        # The convolution takes the pool's place in the order, and the pool its.
        nodes[pool.name] = Node(first, "conv2d", pool.inputs, node.attrs)
        nodes[node.name] = Node(node.name, "average_pool", (first,), pool.attrs)
    return _rebuilt(graph, _ordered(graph, nodes), weights)


def exchange_max_pool(graph: Graph, outputs: Outputs) -> Graph:
    """Moves a rectifier behind the max-pool that follows it.

    The largest of rectified values is the rectified largest, and where it is positive
    the same cell wins; where it is not, the gradient is 0 either way. The rectifier
    then runs on the smaller feature map.
    """
    nodes = {node.name: node for node in graph.nodes}
    readers = _readers(graph)
    for node in graph.nodes:
        relu = nodes.get(node.inputs[0]) if node.op == "max_pool" else None
        if relu is None or not _is_relu(relu):
            continue
        if _is_private(relu, readers, outputs):
            first = f"{node.name}/before-relu"
            nodes[relu.name] = Node(first, "max_pool", relu.inputs, node.attrs)
            nodes[node.name] = Node(node.name, "activation", (first,), relu.attrs)
    return _rebuilt(graph, _ordered(graph, nodes), dict(graph.weights))


def _is_relu(node: Node) -> bool:
    return node.op == "activation" and node.attrs["kind"] == "relu"


def fuse_relu(graph: Graph, outputs: Outputs) -> Graph:
    """Lets a convolution rectify its own result, in place."""
    nodes = {node.name: node for node in graph.nodes}
    weights = dict(graph.weights)
    readers = _readers(graph)
    for node in graph.nodes:
        if not _is_relu(node):
            continue
        inner = nodes.get(node.inputs[0])
        if inner is None or not _is_private(inner, readers, outputs):
            continue
        if inner.op != "conv2d":
            continue
        _rename(weights, inner.name, node.name)
        del nodes[inner.name]
        attrs = {**inner.attrs, "relu": True}
        nodes[node.name] = Node(node.name, "conv2d", inner.inputs, attrs)
    return _rebuilt(graph, _ordered(graph, nodes), weights)


def merge_siblings(graph: Graph, outputs: Outputs) -> Graph:
    """Merges rectified 1 × 1 convolutions of one input into one convolution."""
    families: dict[str, list[Node]] = {}
    for node in graph.nodes:
        if _is_pointwise(node, graph) and node.attrs.get("relu"):
            families.setdefault(node.inputs[0], []).append(node)
    weights = dict(graph.weights)
    replaced: dict[str, list[Node]] = {}
    for siblings in (family for family in families.values() if len(family) > 1):
        merged = f"{siblings[0].name}/merged"
        for kind in ("kernel", "bias"):
            parts = [_array(weights, node, kind) for node in siblings]
            weights[f"{merged}/{kind}"] = np.concatenate(parts, axis=-1)
        counts = [weights[f"{node.name}/kernel"].shape[3] for node in siblings]
        parts = f"{merged}/parts"
        nodes = [
            Node(merged, "conv2d", siblings[0].inputs, siblings[0].attrs),
            Node(parts, "split", (merged,), {"counts": counts}),
        ]
        for index, (node, count) in enumerate(zip(siblings, counts, strict=True)):
            attrs = {"index": index, "channels": count}
            nodes.append(Node(node.name, "part", (parts,), attrs))
            replaced[node.name] = []
            for kind in ("kernel", "bias"):
                weights.pop(f"{node.name}/{kind}", None)
        replaced[siblings[0].name] = nodes
    ordered = [new for node in graph.nodes for new in replaced.get(node.name, [node])]
    return _rebuilt(graph, ordered, weights)


def _rename(weights: dict[str, np.ndarray], old: str, new: str) -> None:
    """Hands a convolution's kernel and bias to another node."""
    for kind in ("kernel", "bias"):
        if f"{old}/{kind}" in weights:
            weights[f"{new}/{kind}"] = weights.pop(f"{old}/{kind}")


def _array(weights: dict[str, np.ndarray], node: Node, kind: str) -> np.ndarray:
    kernel = weights[f"{node.name}/kernel"]
    if kind == "kernel":
        return kernel
    return weights.get(f"{node.name}/bias", np.zeros(kernel.shape[3], np.float32))


def _is_pointwise(node: Node, graph: Graph) -> bool:
    kernel = graph.weights.get(f"{node.name}/kernel")
    return (
        node.op == "conv2d"
        and kernel is not None
        and kernel.shape[:2] == (1, 1)
        and list(node.attrs["stride"]) == [1, 1]
        and node.attrs["groups"] == 1
        and node.attrs["padding"] in ("same", "valid")
    )


def _readers(graph: Graph) -> dict[str, int]:
    counts: dict[str, int] = {}
    for node in graph.nodes:
        for name in node.inputs:
            counts[name] = counts.get(name, 0) + 1
    return counts


def _is_private(node: Node, readers: dict[str, int], outputs: Outputs) -> bool:
    """Tells whether only one node reads this one, and nobody asked for it."""
    return readers.get(node.name, 0) == 1 and node.name not in outputs


def _ordered(graph: Graph, nodes: dict[str, Node]) -> list[Node]:
    return [nodes[node.name] for node in graph.nodes if node.name in nodes]


def _rebuilt(graph: Graph, nodes: list[Node], weights: dict[str, np.ndarray]) -> Graph:
    names = {node.name for node in nodes}
    return replace(
        graph,
        nodes=tuple(nodes),
        weights={k: v for k, v in weights.items() if k.rpartition("/")[0] in names},
        layers={k: v for k, v in graph.layers.items() if v in names},
        classifier=graph.classifier if graph.classifier in names else None,
        opaque={k: v for k, v in graph.opaque.items() if k in names},
    )
