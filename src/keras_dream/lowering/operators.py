"""Python's operators on Keras tensors: what `preprocess_input` becomes in a model.

`x / 127.5 - 1` and `x[..., ::-1]` in a Functional model are bare Keras operations whose
constants stand in the node, not in a layer.
"""

from typing import Any

import numpy as np

from keras_dream.lowering.builder import Builder, Value, to_numpy


def lower_operator(
    builder: Builder, name: str, node: Any, inputs: list[Value]
) -> list[Value] | None:
    """Lowers an operator with a constant, or a choice of channels.

    Args:
        builder: Collects the nodes.
        name: The new node's name.
        node: The Keras node.
        inputs: The maps it reads.

    Returns:
        Its outputs; None for any other operation.
    """
    kind, home = type(node.operation).__name__, type(node.operation).__module__
    if home != "keras.src.ops.numpy":
        return None
    planes = [value.form == "plane" for value in inputs]
    if kind == "Stack" and all(planes) and node.operation.axis in (-1, 3):
        # Single channels that `x[..., 2]` has taken out, put together again.
        return [builder.add(name, "concat", *inputs)]
    args = node.arguments.args
    if len(inputs) != 1 or any(planes):
        return None
    if kind == "Split":
        return _split(builder, name, node, inputs[0])
    if len(args) != 2:
        return None
    if kind == "GetItem":
        return _item(builder, name, node, inputs[0])
    numbers = _affine(kind, args, int(node.output_tensors[0].shape[-1]))
    if numbers is None:
        return None
    weights: dict[str, np.ndarray | None] = dict(
        zip(("scale", "shift"), numbers, strict=True)
    )
    return [builder.add(name, "affine", inputs[0], weights=weights)]


def _split(builder: Builder, name: str, node: Any, value: Value) -> list[Value] | None:
    if not value.is_last(node.operation.axis):
        return None
    last, results = 0, []
    for number, tensor in enumerate(node.output_tensors):
        first, last = last, last + int(tensor.shape[-1])
        part = f"{name}/{number}" if number else name
        channels = list(range(first, last))
        results.append(builder.add(part, "gather", value, channels=channels))
    return results


def picks_channels(index: Any) -> bool:
    """Tells whether an index is `[..., ::-1]` or `[..., 2]`, in any spelling."""
    if not isinstance(index, tuple) or not (len(index) == 4 or Ellipsis in index):
        return False
    *rest, last = index
    whole = all(part is Ellipsis or part == slice(None) for part in rest)
    return whole and (isinstance(last, int) or last == slice(None, None, -1))


def _item(builder: Builder, name: str, node: Any, value: Value) -> list[Value] | None:
    index = node.arguments.args[1]
    if not picks_channels(index) or len(value.shape) != 4:
        return None
    count = int(node.arguments.args[0].shape[-1])
    order, last = list(range(count)), index[-1]
    chosen = [order[last]] if isinstance(last, int) else order[::-1]
    picked = builder.add(name, "gather", value, channels=chosen)
    if not isinstance(last, int):
        return [picked]
    return [picked.but(form="plane", reason="it makes a channel without its axis")]


def _affine(
    kind: str, args: tuple[Any, ...], count: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns scale and shift for an operator with a constant on either side."""
    first = _is_map(args[1])
    constant = _constant(args[0] if first else args[1], count)
    if constant is None or (kind == "TrueDivide" and (first or not constant.all())):
        return None
    one, zero = np.ones_like(constant), np.zeros_like(constant)
    if kind == "Subtract":
        return (-one, constant) if first else (one, -constant)
    affines = {
        "Add": (one, constant),
        "Multiply": (constant, zero),
        "TrueDivide": (1 / constant if kind == "TrueDivide" else one, zero),
    }
    return affines.get(kind)


def _constant(value: Any, count: int) -> np.ndarray | None:
    """Returns a constant as one number or one for each channel, else None."""
    if isinstance(value, bool | str | None) or _is_map(value):
        return None
    if not isinstance(value, int | float) and not hasattr(value, "shape"):
        return None
    array = np.asarray(to_numpy(value), np.float64)
    per_channel = array.shape[-1:] == (count,) and array.size == count
    return array.ravel() if array.size == 1 or per_channel else None


def _is_map(value: Any) -> bool:
    import keras

    return isinstance(value, keras.KerasTensor)
