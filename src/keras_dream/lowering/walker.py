"""Lowers a Keras model to a graph of operations, exactly and unfolded.

Functional, Sequential and nested models are walked node by node. A layer that has no
rule in `keras_dream.lowering.rules` stays an opaque node that calls the Keras layer.
"""

import re
from typing import Any

from keras_dream.graph.graph import Graph
from keras_dream.graph.ops import INPUT
from keras_dream.lowering import operators, rules
from keras_dream.lowering.builder import Builder, Form, Value
from keras_dream.lowering.opaque import KerasCall, OpaqueLayer
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
    return Graph(
        nodes=tuple(builder.nodes),
        weights=builder.weights,
        layers=builder.layers,
        classifier=_classifier(builder, output),
        objective=objective,
        unsupported=_unsupported(builder),
        opaque=builder.opaque,
    )


def _unsupported(builder: Builder) -> dict[str, str]:
    known = builder.unsupported.items()
    return {name: reason for name, reason in known if name not in builder.layers}


def _walk(builder: Builder, function: Any, inputs: list[Value]) -> list[Value]:
    """Lowers every operation of a Keras function, depth by depth."""
    values = {id(t): _as(v, t) for t, v in zip(function.inputs, inputs, strict=True)}
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
                results = _walk(builder, inner, inputs)
            else:
                results = _lower_one(builder, node, inputs)
            outputs = zip(node.output_tensors, results, strict=True)
            values.update({id(t): _as(v, t) for t, v in outputs})
    return [values[id(t)] for t in function.outputs]


def _as(value: Value, tensor: Any) -> Value:
    """Returns a value as that of a Keras tensor."""
    shape = tuple(tensor.shape)
    if value.form in ("flat", "plane"):
        return value.but(shape=shape)
    return value.but(shape=shape, form=_FORMS.get(len(shape), "map"))


_FORMS: dict[int, Form] = {2: "vector", 3: "tokens", 4: "map"}


def _lower_one(builder: Builder, node: Any, inputs: list[Value]) -> list[Value]:
    """Lowers a Keras node; registers each output under the layer's names.

    Further outputs go by a number behind the name: `split@0`, `split@0/1`, …
    """
    operation, kind = node.operation, _kind(node.operation)
    place = f"{kind}@{builder.counts[kind]}"
    builder.counts[kind] += 1
    named = _is_named(operation) and operation.name not in builder.layers
    name = operation.name if named else place
    # The image's own node is called "input", as a layer may be, too.
    values = _lower_operation(builder, place if name == INPUT else name, node, inputs)
    for number, value in enumerate(values):
        names = [f"{n}/{number}" if number else n for n in (place, name)]
        if value.reason:
            builder.unsupported.update(dict.fromkeys(names, value.reason))
        else:
            builder.layers.update(dict.fromkeys(names, str(value)))
    return values


def _lower_operation(
    builder: Builder, name: str, node: Any, inputs: list[Value]
) -> list[Value]:
    """Lowers one Keras node by its rule, or leaves it to Keras."""
    values = None
    if not any(value.pending for value in inputs):
        values = _by_rule(builder, name, node, inputs)
    return values or _opaque(builder, name, node, inputs)


def _by_rule(
    builder: Builder, name: str, node: Any, inputs: list[Value]
) -> list[Value] | None:
    """Lowers a node of which all inputs are in the graph, if there is a rule for it."""
    operation, forms = node.operation, {value.form for value in inputs}
    rule = rules.rule_of(operation)
    value = None
    if "flat" in forms:
        # What is done to every number may be done before they are flattened.
        alike = forms == {"flat"} and len({v.flattened for v in inputs}) == 1
        if not alike or rule is None or not rules.takes_flat(operation):
            return None
        value = rule(builder, name, operation, inputs)
        if value is not None and rule is not rules.dense:
            flat = inputs[0]
            value = value.but(form="flat", flattened=flat.flattened, reason=flat.reason)
        return None if value is None else [value]
    if rule is not None and "plane" not in forms:
        value = rule(builder, name, operation, inputs)
    if value is not None:
        return [value]
    return operators.lower_operator(builder, name, node, inputs)


def _opaque(builder: Builder, name: str, node: Any, inputs: list[Value]) -> list[Value]:
    """Leaves a node to Keras: each output that can be a feature map is a graph node."""
    call = KerasCall(node)
    for layer in getattr(node.operation, "_flatten_layers", lambda **_: ())(
        include_self=False
    ):
        reason = f"it is a part of {node.operation.name!r}, which Keras runs as a whole"
        builder.unsupported.setdefault(layer.name, reason)
    values: list[Value] = []
    for number, tensor in enumerate(node.output_tensors):
        shape = tuple(tensor.shape)
        value = Value(f"{name}/{number}" if number else name)
        reason = _no_map(tensor)
        if reason:
            values.append(value.but(pending=(call, inputs, number), reason=reason))
            continue
        layer = OpaqueLayer(call, inputs, number, shape[-1])
        builder.opaque[str(value)] = layer
        builder.add(str(value), "opaque", *layer.inputs)
        single = len(shape) == 2 or shape[1:-1] in ((1,), (1, 1))
        values.append(value.but(single=single))
    return values


def _no_map(tensor: Any) -> str:
    """Tells why a Keras tensor cannot be laid out as a feature map, or nothing."""
    shape, dtype = tuple(tensor.shape), str(tensor.dtype)
    if "float" not in dtype:
        return f"it makes {dtype} numbers, which have no gradient"
    if not 2 <= len(shape) <= 4:
        return f"it makes a tensor of {len(shape)} axes, which is no feature map"
    if shape[0] not in (None, 1):
        return f"it makes {shape[0]} pictures out of one"
    if shape[-1] is None:
        return "its number of channels depends on the size of the picture"
    return ""


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
    if output.reason:
        return None
    node = nodes[str(output)]
    while node.op == "activation" and node.inputs:
        node = nodes[node.inputs[0]]
    return node.name if node.attrs.get("dense") else None
