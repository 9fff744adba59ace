"""Lowers a Keras model to a graph of operations, exactly and unfolded.

Functional, Sequential and nested models are walked node by node. A layer that has no
rule in `keras_dream.lowering.rules` stays an opaque node that calls the Keras layer.
"""

import re
from typing import Any

from keras_dream.graph.graph import Graph
from keras_dream.graph.ops import INPUT
from keras_dream.lowering import operators, rules
from keras_dream.lowering.builder import Builder, Value
from keras_dream.lowering.opaque import OpaqueLayer
from keras_dream.lowering.preprocessing import functional, preprocess, stated


def lower(
    model: Any, *, preprocessing: str | None = None, objective: str | None = None
) -> Graph:
    """Lowers a built Keras model.

    Args:
        model: A Functional, Sequential or nested `keras.Model` with one image input
            of 3 channels or 1.
        preprocessing: One of `lowering.preprocessing.PREPROCESSING`: what turns an
            image in [0, 1] into what the model expects. None is allowed for a model
            that begins with its own Rescaling or Normalization, which tell it.
        objective: The network's own good objective, as text.

    Returns:
        The graph; its first node is the image in [0, 1].

    Raises:
        NetworkError: If the model cannot be walked, or its preprocessing is unknown.
    """
    function = functional(model)
    builder = Builder()
    mode = stated(function, preprocessing)
    image = preprocess(builder, mode, function)
    (output, *_) = _walk(builder, function, [image])
    size = tuple(function.inputs[0].shape[1:3])
    return Graph(
        nodes=tuple(builder.nodes),
        weights=builder.weights,
        layers=builder.layers,
        classifier=_classifier(builder, output),
        objective=objective,
        opaque=builder.opaque,
        native_size=None if None in size else size,
    )


def _walk(builder: Builder, function: Any, inputs: list[Value]) -> list[Value]:
    """Lowers every operation of a Keras function, depth by depth."""
    values = {id(t): v for t, v in zip(function.inputs, inputs, strict=True)}
    for _, nodes in sorted(function._nodes_by_depth.items(), reverse=True):
        for node in nodes:
            if node.is_input:
                continue
            operation = node.operation
            inputs = [values[id(t)] for t in node.arguments.keras_tensors]
            if hasattr(operation, "_nodes_by_depth") or hasattr(
                operation, "_functional"
            ):
                inner = getattr(operation, "_functional", None) or operation
                found = _walk(builder, inner, inputs)
            else:
                found = [_lower_one(builder, node, inputs)] * len(node.output_tensors)
            outputs = zip(node.output_tensors, found, strict=True)
            values.update({id(t): v for t, v in outputs})
    return [values[id(t)] for t in function.outputs]


def _lower_one(builder: Builder, node: Any, inputs: list[Value]) -> Value:
    kind = _kind(node.operation)
    place = f"{kind}@{builder.counts[kind]}"
    builder.counts[kind] += 1
    named = _is_named(node.operation) and node.operation.name not in builder.layers
    name = node.operation.name if named else place
    # The image's own node is called "input", as a layer may be, too.
    value = _lower_operation(builder, place if name == INPUT else name, node, inputs)
    if not (value.lost or value.flat or value.plane):
        builder.layers[place] = builder.layers[name] = str(value)
    return value


def _lower_operation(
    builder: Builder, name: str, node: Any, inputs: list[Value]
) -> Value:
    """Lowers one Keras node by its rule, or keeps it opaque."""
    rule = rules.rule_of(node.operation)
    takes_flat = rule in (rules.dense, rules.same)
    if type(node.operation).__name__ != "Stack" and any(v.plane for v in inputs):
        return _lost()
    if any(value.lost or (value.flat and not takes_flat) for value in inputs):
        return _lost()
    made = None if rule is None else rule(builder, name, node.operation, inputs)
    if made is None:
        made = operators.lower_operator(builder, name, node, inputs)
    if made is not None:
        return made
    # An opaque layer must take and give pictures: one map of (1, h, w, c) each.
    tensors = (*node.arguments.keras_tensors, *node.output_tensors)
    if len(node.output_tensors) > 1 or any(len(t.shape) != 4 for t in tensors):
        return _lost()
    builder.opaque[name] = OpaqueLayer(node)
    return builder.add(name, "opaque", *inputs)


def _lost() -> Value:
    value = Value("")
    value.lost = True
    return value


def _kind(operation: Any) -> str:
    from keras.src.utils.naming import to_snake_case

    return to_snake_case(type(operation).__name__)


def _is_named(operation: Any) -> bool:
    """Tells whether somebody named a layer.

    Keras numbers the rest by a counter of the process: such a number means another
    layer in the next process.
    """
    return re.fullmatch(rf"{_kind(operation)}(_\d+)?", operation.name) is None


def _classifier(builder: Builder, output: Value) -> str | None:
    """Finds the class scores: the dense layer before the output's softmax."""
    nodes = {node.name: node for node in builder.nodes}
    if output.lost or output.flat:
        return None
    node = nodes[str(output)]
    while node.op == "activation" and node.inputs:
        node = nodes[node.inputs[0]]
    return node.name if node.attrs.get("dense") else None
