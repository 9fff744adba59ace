"""Lowers a Keras model to a graph of operations, exactly and unfolded.

Functional, Sequential and nested models are walked node by node. A layer that has no
rule in `keras_dream.lowering.rules` stays an opaque node that calls the Keras layer,
which may hold for one size of picture only. Sequences (1, n, c) are feature maps of
1 × n cells, vectors are one cell, and what has more axes than a feature map exists only
between opaque nodes and cannot be asked for (`Graph.unsupported`).
"""

import re
from typing import Any

from keras_dream.errors import NetworkError, short_repr
from keras_dream.graph.graph import Graph
from keras_dream.graph.ops import INPUT
from keras_dream.lowering import operators, rules
from keras_dream.lowering.builder import Builder, Form, Value
from keras_dream.lowering.opaque import KerasCall, OpaqueLayer
from keras_dream.lowering.preprocessing import check_stated, preprocess


def lower(
    model: Any, *, preprocessing: str | None = None, objective: str | None = None
) -> Graph:
    """Lowers a built Keras model.

    Args:
        model: A Functional, Sequential or nested `keras.Model` with one image input
            of 3 channels or 1.
        preprocessing: One of `lowering.preprocessing.PREPROCESSING`: what turns an
            image in [0, 1] into what the model expects. None is allowed for a model
            whose own first layers leave no doubt.
        objective: The network's own good objective, as text.

    Returns:
        The graph, a snapshot of the model's weights; its first node is the image in
        [0, 1].

    Raises:
        NetworkError: If the model cannot be walked, or its preprocessing is unknown.
    """
    function = _image_function(model)
    channels = function.inputs[0].shape[-1]
    check_stated(preprocessing, channels)
    builder = Builder()
    size = tuple(function.inputs[0].shape[1:3])
    image = builder.add(INPUT, INPUT, channels=3)
    (output, *_) = _walk(builder, function, [image], frozenset())
    notices = preprocess(builder, preprocessing, channels)
    return Graph(
        nodes=tuple(builder.nodes),
        weights=builder.weights,
        layers=builder.layers,
        classifier=_classifier(builder, output),
        objective=objective,
        unsupported=_unsupported(builder),
        opaque=builder.opaque,
        native_size=None if None in size else size,
        notices=notices,
    )


def _unsupported(builder: Builder) -> dict[str, str]:
    reasons = builder.unsupported.items()
    return {name: reason for name, reason in reasons if name not in builder.layers}


def _image_function(model: Any) -> Any:
    """Returns Keras' own graph of operations of a model with one image input.

    Raises:
        NetworkError: If the model is no such one.
    """
    function = _function_of(model)
    if function is None:
        raise _not_walkable(model)
    shapes = [tuple(i.shape) for i in function.inputs]
    if len(shapes) != 1:
        raise NetworkError(
            "A model must have one input, a picture",
            received=f"{short_repr(model.name)} with {len(shapes)} inputs",
            hint="make a model of the part that sees the picture: "
            "keras.Model(picture, layer.output)",
        )
    (shape,) = shapes
    if len(shape) != 4 or shape[-1] not in (1, 3):
        raise NetworkError(
            "A model must take pictures of 3 channels or 1, channels last: (batch, "
            "height, width, channels)",
            received=f"an input of shape {shape}",
            hint="put a layer in front that makes such an input of a picture",
        )
    return function


def _function_of(operation: Any) -> Any | None:
    """Returns the graph of operations that a model computes, or None.

    None for a layer, and for a model whose own `call` does something else.
    """
    from keras.src.models.functional import Functional
    from keras.src.models.sequential import Sequential
    from keras.src.ops.function import Function

    function = getattr(operation, "_functional", None) or operation
    if not hasattr(function, "_nodes_by_depth"):
        return None
    own = getattr(operation.call, "__func__", None)
    return (
        function if own in (Functional.call, Sequential.call, Function.call) else None
    )


def _not_walkable(model: Any) -> NetworkError:
    """Returns the error for what is no graph of layers."""
    is_model = hasattr(model, "layers") and hasattr(model, "call")
    if is_model and type(model).__name__ == "Sequential":
        return NetworkError(
            "A Sequential model must know the shape of its input",
            received=f"{short_repr(model.name)}, which is not built",
            hint="begin it with keras.Input((None, None, 3)), or call it once",
        )
    if is_model:
        return NetworkError(
            "A model must be a Functional or Sequential one, whose layers can be "
            "walked",
            received=f"{short_repr(model.name)}, a subclass whose call is code of its "
            "own",
            hint="make a Functional one of it: x = keras.Input((None, None, 3)), "
            "then keras.Model(x, model.call(x))",
        )
    return NetworkError(
        "A network must be a name, a model file or a built keras.Model",
        received=short_repr(model),
        hint="build one with keras.Model(inputs, outputs)",
    )


def _walk(
    builder: Builder, function: Any, inputs: list[Value], reserved: frozenset[str]
) -> list[Value]:
    """Lowers every operation of a Keras function, depth by depth.

    Args:
        builder: Collects the nodes.
        function: The function.
        inputs: Its inputs.
        reserved: Names of the layers around it, which nested ones must not take.
    """
    values = {id(t): _as(v, t) for t, v in zip(function.inputs, inputs, strict=True)}
    levels = sorted(function._nodes_by_depth.items(), reverse=True)
    nodes = [node for _, level in levels for node in level if not node.is_input]
    names = frozenset(_name(node.operation) for node in nodes)
    for node in nodes:
        inner = _function_of(node.operation)
        tensors = None if inner is None else _inner_tensors(inner, node.arguments)
        if tensors is None:
            arguments = [values[id(t)] for t in node.arguments.keras_tensors]
            outputs = _lower_one(builder, node, arguments, reserved)
        else:
            arguments = [values[id(t)] for t in tensors]
            outputs = _walk(builder, inner, arguments, reserved | names)
        pairs = zip(node.output_tensors, outputs, strict=True)
        values.update({id(t): _as(v, t) for t, v in pairs})
    return [values[id(t)] for t in function.outputs]


def _inner_tensors(function: Any, arguments: Any) -> list[Any] | None:
    """Returns what a nested model is called with, in the order of its inputs.

    None where that is not one tensor of the same rank for each of them.
    """
    import keras

    argument = arguments.args[0] if arguments.args else arguments.kwargs.get("inputs")
    if isinstance(argument, dict):
        # As Keras: by the keys that the inputs were declared with, else by their names.
        declared = function._inputs_struct
        keyed = isinstance(declared, dict)
        keys = list(declared) if keyed else [t.name for t in function.inputs]
        argument = {key: argument.get(key) for key in keys}
        argument = argument if keyed else list(argument.values())
    tensors = keras.tree.flatten(argument)
    if [_rank(t) for t in tensors] != [_rank(t) for t in function.inputs]:
        return None
    return tensors


def _rank(value: Any) -> int | None:
    import keras

    return len(value.shape) if isinstance(value, keras.KerasTensor) else None


def _as(value: Value, tensor: Any) -> Value:
    """Returns a value as that of a Keras tensor."""
    shape = tuple(tensor.shape)
    if value.form in ("flat", "plane"):
        return value.but(shape=shape)
    return value.but(shape=shape, form=_FORMS.get(len(shape), "map"))


_FORMS: dict[int, Form] = {2: "vector", 3: "tokens", 4: "map"}


def _lower_one(
    builder: Builder, node: Any, inputs: list[Value], reserved: frozenset[str]
) -> list[Value]:
    """Lowers one Keras node and notes under which names its outputs can be asked for.

    Further outputs go by a number behind the name: `split@0`, `split@0/1`, …
    """
    operation = node.operation
    kind, own = _kind(operation), _name(operation)
    ordinal = f"{kind}@{builder.counts[kind]}"
    builder.counts[kind] += 1
    is_free = own not in builder.layers and own not in reserved
    name = own if is_free and _is_named(operation) else ordinal
    # The image's own node is called "input", as a layer may be, too.
    first = ordinal if name == INPUT else name
    outputs = _lower_operation(builder, first, node, inputs)
    for number, value in enumerate(outputs):
        names = [f"{n}/{number}" if number else n for n in (ordinal, name)]
        if value.reason:
            builder.unsupported.update(dict.fromkeys(names, value.reason))
        else:
            builder.layers.update(dict.fromkeys(names, str(value)))
    return outputs


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
    rule = rules.rule_of(operation) if _reads_only_maps(node) else None
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


def _reads_only_maps(node: Any) -> bool:
    """Tells whether an operation reads nothing but maps: no constant, no mask."""
    import keras

    arguments = [*node.arguments.args, *node.arguments.kwargs.values()]
    arguments = [a for a in arguments if a is not None and not isinstance(a, bool)]
    leaves = keras.tree.flatten(arguments)
    if not all(isinstance(leaf, keras.KerasTensor) for leaf in leaves):
        return False
    return len(arguments) == 1 or not rules.is_layer(node.operation)


def _opaque(builder: Builder, name: str, node: Any, inputs: list[Value]) -> list[Value]:
    """Leaves a node to Keras: each output that can be a feature map is a graph node."""
    call = KerasCall(node)
    reason = f"it is a part of {node.operation.name!r}, which Keras runs as a whole"
    if hasattr(node.operation, "_flatten_layers"):
        for layer in node.operation._flatten_layers(include_self=False):
            if _is_named(layer):
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


def _name(operation: Any) -> str:
    """Returns a layer's name; one like an ordinal has the quotes of an objective."""
    name = operation.name
    return f"'{name}'" if re.fullmatch(r".*@\d+", name) else name


def _classifier(builder: Builder, output: Value) -> str | None:
    """Finds the class scores: the dense layer before the output's softmax."""
    nodes = {node.name: node for node in builder.nodes}
    if output.reason:
        return None
    node = nodes[str(output)]
    while node.op == "activation" and node.inputs:
        node = nodes[node.inputs[0]]
    return node.name if node.attrs.get("dense") else None
