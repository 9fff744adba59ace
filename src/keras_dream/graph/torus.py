"""A network on a torus: what it pads at one edge is what lies at the opposite edge."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from keras_dream.errors import NetworkError
from keras_dream.geometry import WRAPPED_AXES, Wrap
from keras_dream.graph.graph import Graph
from keras_dream.graph.ops import Crop, Node, Opaque, Operation, Pad, Window


def on_torus(graph: Graph, wrap: Wrap) -> Graph:
    """Returns a graph whose windows look beyond an edge at the opposite one.

    A window that is not padded by itself ("valid") sees beyond the edge, too, so that
    no feature map loses cells. Where the picture's sides are multiples of the network's
    strides, a shifted picture has shifted feature maps. Paddings of zeros and croppings
    become cyclic shifts.

    Args:
        graph: A graph, optimised or not.
        wrap: Along which axes; "none" returns the graph itself.

    Raises:
        NetworkError: If a layer stays Keras' own, whose padding is not known.
    """
    axes = WRAPPED_AXES[wrap]
    if not axes:
        return graph
    nodes = [new for op in graph.operations for new in _wrapped(op, axes)]
    return replace(graph, nodes=tuple(nodes))


def _wrapped(op: Operation, axes: Sequence[int]) -> tuple[Node, ...]:
    rewrite: Callable[[Operation, Sequence[int]], tuple[Node, ...]] | None = None
    if isinstance(op, Opaque):
        raise NetworkError(
            "A network must consist of operations whose padding can wrap",
            received=f"{op.node.name}, which only Keras can run",
            hint="try an earlier layer, another network, or wrap=none",
        )
    if isinstance(op, Pad | Crop):
        rewrite = _shifted
    elif isinstance(op, Window):
        is_cell = all(
            op.window[a] == 1 and op.padding((1, 1))[2 * a] == 0 for a in axes
        )
        rewrite = None if is_cell else _window
    return (op.node,) if rewrite is None else rewrite(op, axes)


def _window(op: Operation, axes: Sequence[int]) -> tuple[Node, ...]:
    node = op.node
    attrs = {
        "window": op.window if isinstance(op, Window) else (1, 1),
        "stride": node.attrs["stride"],
        "padding": node.attrs["padding"],
        "dilation": node.attrs.get("dilation", (1, 1)),
        "axes": axes,
    }
    first = Node(f"{node.name}/wrap", "wrap", node.inputs, attrs)
    left = {"padding": "valid"} if len(axes) == 2 else {"wrapped": axes}
    return first, replace(node, inputs=(first.name,), attrs={**node.attrs, **left})


def _shifted(op: Operation, axes: Sequence[int]) -> tuple[Node, ...]:
    node = op.node
    attrs = {**node.attrs, "axes": axes, "is_crop": isinstance(op, Crop)}
    if len(axes) == 2:
        return (replace(node, op="shift", attrs=attrs),)
    first = Node(f"{node.name}/shift", "shift", node.inputs, attrs)
    inner = {**node.attrs, "wrapped": axes}
    return first, replace(node, inputs=(first.name,), attrs=inner)
