"""Lowers a Keras model to a graph of operations, exactly and unfolded.

Functional, Sequential and nested models are walked node by node. A layer that has no
rule in `keras_dream.lowering.rules` stays an opaque node that calls the Keras layer.
"""

import re
from typing import Any

from keras_dream.errors import NetworkError, short_repr
from keras_dream.graph.graph import Graph
from keras_dream.graph.ops import INPUT
from keras_dream.lowering import operators, rules
from keras_dream.lowering.builder import Builder, Value
from keras_dream.lowering.opaque import OpaqueLayer
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
        opaque=builder.opaque,
        native_size=None if None in size else size,
        notices=notices,
    )


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
    values = {id(t): v for t, v in zip(function.inputs, inputs, strict=True)}
    levels = sorted(function._nodes_by_depth.items(), reverse=True)
    nodes = [node for _, level in levels for node in level if not node.is_input]
    names = frozenset(node.operation.name for node in nodes)
    for node in nodes:
        inner = _function_of(node.operation)
        tensors = None if inner is None else _inner_tensors(inner, node.arguments)
        if tensors is None:
            seen = [values[id(t)].of(t.shape) for t in node.arguments.keras_tensors]
            output = _lower_one(builder, node, seen, reserved)
            outputs = [output] * len(node.output_tensors)
        else:
            seen = [values[id(t)] for t in tensors]
            outputs = _walk(builder, inner, seen, reserved | names)
        pairs = zip(node.output_tensors, outputs, strict=True)
        values.update({id(t): v for t, v in pairs})
    return [values[id(t)] for t in function.outputs]


def _inner_tensors(function: Any, arguments: Any) -> list[Any] | None:
    """Returns what a nested model is called with, in the order of its inputs.

    None where that is not one tensor of the same rank for each of them.
    """
    import keras

    given = arguments.args[0] if arguments.args else arguments.kwargs.get("inputs")
    if isinstance(given, dict):
        # As Keras: by the keys that the inputs were declared with, else by their names.
        declared = function._inputs_struct
        keyed = isinstance(declared, dict)
        keys = list(declared) if keyed else [t.name for t in function.inputs]
        given = {key: given.get(key) for key in keys}
        given = given if keyed else list(given.values())
    tensors = keras.tree.flatten(given)
    if [_rank(t) for t in tensors] != [_rank(t) for t in function.inputs]:
        return None
    return tensors


def _rank(value: Any) -> int | None:
    import keras

    return len(value.shape) if isinstance(value, keras.KerasTensor) else None


def _lower_one(
    builder: Builder, node: Any, inputs: list[Value], reserved: frozenset[str]
) -> Value:
    """Lowers one Keras node and notes under which names its map can be asked for."""
    operation = node.operation
    kind, own = _kind(operation), operation.name
    ordinal = f"{kind}@{builder.counts[kind]}"
    builder.counts[kind] += 1
    is_free = own not in builder.layers and own not in reserved
    name = own if is_free and _is_named(operation) else ordinal
    # The image's own node is called "input", as a layer may be, too.
    value = _lower_operation(builder, ordinal if name == INPUT else name, node, inputs)
    if not (value.unsupported or value.flat or value.plane):
        builder.layers[ordinal] = builder.layers[name] = str(value)
    return value


def _lower_operation(
    builder: Builder, name: str, node: Any, inputs: list[Value]
) -> Value:
    """Lowers one Keras node by its rule, or keeps it opaque."""
    operation = node.operation
    rule = rules.rule_of(operation) if _reads_only_maps(node) else None
    broken = next((value for value in inputs if value.unsupported), None)
    if broken is not None:
        return broken
    if any(v.plane for v in inputs) and type(operation).__name__ != "Stack":
        return _unsupported(f"{operation.name} reads a channel without its axis")
    if any(v.flat for v in inputs) and rule not in (rules.dense, rules.same):
        return _unsupported(f"{operation.name} reads a flattened map")
    value = None if rule is None else rule(builder, name, operation, inputs)
    if value is None:
        value = operators.lower_operator(builder, name, node, inputs)
    return _lower_opaque(builder, name, node, inputs) if value is None else value


def _reads_only_maps(node: Any) -> bool:
    """Tells whether an operation reads nothing but maps: no constant, no mask."""
    import keras

    arguments = [*node.arguments.args, *node.arguments.kwargs.values()]
    arguments = [a for a in arguments if a is not None and not isinstance(a, bool)]
    leaves = keras.tree.flatten(arguments)
    if not all(isinstance(leaf, keras.KerasTensor) for leaf in leaves):
        return False
    return len(arguments) == 1 or not rules.is_layer(node.operation)


def _lower_opaque(builder: Builder, name: str, node: Any, inputs: list[Value]) -> Value:
    """Keeps a Keras operation that makes one map (1, h, w, c) of such maps."""
    tensors, output = node.arguments.keras_tensors, node.output_tensors[0]
    layer, own = OpaqueLayer(node), node.operation.name
    if len(node.output_tensors) > 1:
        return _unsupported(f"{own} has several outputs")
    mode = getattr(node.operation, "quantization_mode", None)
    if mode and any(len(t.shape) != 4 for t in (*tensors, output)):
        return _unsupported(f"{own} is quantised to {mode}")
    if any(len(t.shape) != 4 or t.shape[-1] is None for t in (*tensors, output)):
        return _unsupported(f"{own} reads or makes something else than a map")
    if not layer.fits_other_sizes([tuple(t.shape) for t in tensors]):
        height, width = tensors[0].shape[1:3]
        return _unsupported(f"{own} takes no other size than {height} × {width}")
    builder.opaque[name] = layer
    value = builder.add(name, "opaque", *inputs)
    value.single = value.single and tuple(output.shape[1:3]) == (1, 1)
    return value


def _unsupported(reason: str) -> Value:
    value = Value("")
    value.unsupported = reason
    return value


def _kind(operation: Any) -> str:
    from keras.src.utils.naming import to_snake_case

    return to_snake_case(type(operation).__name__)


def _is_named(operation: Any) -> bool:
    """Tells whether somebody named a layer.

    Keras numbers the rest by a counter of the process: such a number means another
    layer in the next process. What looks like an ordinal, `conv2d@0`, is no name
    either: it means the first layer of its class.
    """
    unnamed = rf"{_kind(operation)}(_\d+)?|.*@\d+"
    return re.fullmatch(unnamed, operation.name) is None


def _classifier(builder: Builder, output: Value) -> str | None:
    """Finds the class scores: the dense layer before the output's softmax."""
    nodes = {node.name: node for node in builder.nodes}
    if output.unsupported or output.flat or output.plane:
        return None
    node = nodes[str(output)]
    while node.op == "activation" and node.inputs:
        node = nodes[node.inputs[0]]
    return node.name if node.attrs.get("dense") else None
