"""Makes sure that a graph from a file is one that can be run.

Such a file may be damaged or forged: every number in it is looked at before any of it
is trusted.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_dream.backend.protocol import ACTIVATIONS
from keras_dream.graph.graph import GLOBAL, INPUT, Graph, Node
from keras_dream.recipe.objectives import parse

LARGEST = 4096  # cells of a window, a stride or a padding; no known network has more

_CONVOLUTIONS = ("conv2d", "depthwise_conv2d")
_WINDOWED = ("max_pool", "average_pool")
_SIDED = ("pad", "crop")
_JOINING = ("add", "subtract", "multiply", "maximum", "concat")

# The constants that each operation may have; a stray one could be taken for another's.
_ATTRS: Mapping[str, tuple[str, ...]] = {
    INPUT: ("channels",),
    **dict.fromkeys((*GLOBAL, *_JOINING, "affine"), ()),
    **dict.fromkeys(_WINDOWED, ("size", "stride", "padding")),
    "pad": ("padding", "size", "ahead"),
    "crop": ("padding",),
    "activation": ("kind", "slope"),
    "conv2d": ("stride", "padding", "dilation", "groups", "dense", "relu"),
    "depthwise_conv2d": ("stride", "padding", "dilation"),
    "gather": ("channels",),
    "layer_norm": ("epsilon",),
    "multiply": ("factor",),
    "power": ("exponent",),
}


def check(graph: Graph, *, numbers: bool = True) -> None:
    """Makes sure of operations, constants, weights and names.

    Args:
        graph: A graph as a file tells it.
        numbers: Whether every weight is looked at, too.

    Raises:
        ValueError, TypeError, KeyError: If anything in it is not as it must be.
    """
    channels: dict[str, int] = {}
    for node in graph.nodes:
        must(isinstance(node.name, str) and node.name not in channels, "a name")
        must((node.op == INPUT) == (not channels), "one image, at first")
        given = [channels[name] for name in node.inputs]
        channels[node.name] = _check_node(node, given, graph.weights)
    must(bool(channels), "nodes")
    for array in graph.weights.values() if numbers else ():
        must(np.isfinite(array).all(), "finite weights")
    for layer, name in graph.layers.items():
        must(isinstance(layer, str) and name in channels, "layers")
    must(all(isinstance(name, str) for name in graph.classes), "names of classes")
    if graph.classifier is not None:
        must(len(graph.classes) in (0, channels[graph.classifier]), "classes")
    if graph.objective is not None:
        parse(graph.objective)


def must(true: object, what: str) -> None:
    """Raises ValueError unless something is true."""
    if not true:
        raise ValueError(what)


def _check_node(node: Node, given: list[int], weights: Mapping[str, np.ndarray]) -> int:
    """Returns the channels of a node's map."""
    op, attrs = node.op, node.attrs
    must(isinstance(attrs, dict) and {*attrs} <= {*_ATTRS[op]}, "known constants")
    if op == INPUT:
        must(not given and attrs["channels"] == 3, "a colour image")
        return 3
    if op in _JOINING:
        must(given, "inputs")
        if op == "multiply" and "factor" in attrs:
            must(len(given) == 1 and _is_finite(attrs["factor"]), "a factor")
        if op == "concat":
            return sum(given)
        must(set(given) <= {1, max(given)}, "channels that fit")
        return max(given)
    must(len(given) == 1, "one input")
    if op in _CONVOLUTIONS:
        return _check_convolution(node, given[0], weights)
    return _check_unary(node, given[0], weights)


def _check_unary(node: Node, count: int, weights: Mapping[str, np.ndarray]) -> int:
    op, attrs = node.op, node.attrs
    if op == "affine":
        for kind in ("scale", "shift"):
            must(weights[f"{node.name}/{kind}"].shape in ((1,), (count,)), kind)
    if op in ("activation", "power"):
        _check_curve(op, attrs)
    if op in _WINDOWED:
        _check_window(attrs, "size", "stride")
    if op == "layer_norm":
        for kind in ("scale", "shift"):
            must(weights[f"{node.name}/{kind}"].shape == (count,), kind)
        must(_is_finite(attrs["epsilon"]) and attrs["epsilon"] >= 0, "epsilon")
    if op == "pad" and attrs["padding"] == "same":
        _check_window(attrs, "size", "ahead")
    elif op in _SIDED:
        must(_are_whole(attrs["padding"], 4, 0), "four paddings")
        must("ahead" not in attrs, "a padding of its own")
    if op == "gather":
        chosen = attrs["channels"]
        must(chosen and _are_whole(chosen, len(chosen), 0), "channels")
        must(max(chosen) < count, "channels that are there")
        return len(chosen)
    return count


def _check_curve(op: str, attrs: Mapping[str, Any]) -> None:
    if op == "power":
        must(_is_finite(attrs["exponent"]), "an exponent")
        return
    must(attrs["kind"] in ACTIVATIONS, "a known activation")
    must(_is_finite(attrs.get("slope", 0.0)), "a slope")


def _check_convolution(
    node: Node, count: int, weights: Mapping[str, np.ndarray]
) -> int:
    kernel = weights[f"{node.name}/kernel"]
    must(kernel.ndim == 4 and kernel.size, "a kernel")
    _check_window(node.attrs, "stride", "dilation")
    if node.op == "conv2d":
        groups = node.attrs["groups"]
        must(_are_whole([groups], 1, 1), "groups")
        made = kernel.shape[3]
        must(kernel.shape[2] * groups == count and made % groups == 0, "channels")
        must(isinstance(node.attrs.get("relu", False), bool), "relu")
    else:
        must(kernel.shape[2] == count, "channels")
        made = count * kernel.shape[3]
    bias = weights.get(f"{node.name}/bias")
    must(bias is None or bias.shape == (made,), "a bias")
    return made


def _check_window(attrs: Mapping[str, Any], *names: str) -> None:
    for name in names:
        must(_are_whole(attrs[name], 2, 1), name)
    padding = attrs["padding"]
    must(padding in ("same", "valid") or _are_whole(padding, 4, 0), "a padding")


def _are_whole(values: Any, count: int, least: int) -> bool:
    return (
        isinstance(values, list | tuple)
        and len(values) == count
        and all(type(v) is int and least <= v <= LARGEST for v in values)
    )


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
