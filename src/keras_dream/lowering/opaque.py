"""Layers that stay Keras' own: called as they are, with the weights that they had."""

import copy
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from keras_dream.lowering.builder import to_numpy


class OpaqueLayer:
    """A snapshot of a Keras operation, which is called as it is.

    Later changes of the layer's variables, by training or loading, change nothing.

    Args:
        node: The node of Keras' graph that calls the operation.

    Attributes:
        kind: The operation's class.
        channels: How many channels its map has.
    """

    def __init__(self, node: Any):
        import keras

        self.kind = type(node.operation).__name__
        self._operation = _own_copy(node.operation)
        self._args, self._kwargs = node.arguments.convert(
            lambda x: x.copy() if isinstance(x, np.ndarray) else x
        )
        self._keys = [id(t) for t in node.arguments.keras_tensors]
        self.channels: int = node.output_tensors[0].shape[-1]
        variables = list(getattr(self._operation, "variables", ()))
        arguments = keras.tree.flatten((self._args, self._kwargs))
        variables += [a for a in arguments if isinstance(a, keras.Variable)]
        # All that Keras asks for within this scope are these copies.
        self._state = [
            (v, keras.ops.stop_gradient(keras.ops.copy(v.value))) for v in variables
        ]
        self._shapes: dict[tuple[tuple[int, ...], ...], tuple[int, ...]] = {}
        self._trained = {id(v) for v in getattr(self._operation, "weights", ())}

    def __call__(self, tensors: list[Any]) -> Any:
        """Calls the operation on Keras tensors (1, h, w, c)."""
        import keras

        args, kwargs = self._arguments(tensors)
        with keras.StatelessScope(self._state, initialize_variables=False):
            return self._operation(*args, **kwargs)

    @property
    def weights(self) -> list[np.ndarray]:
        """The layer's own weights, which are not among the graph's."""
        return [to_numpy(value) for v, value in self._state if id(v) in self._trained]

    def shape(self, shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
        """Returns the shape of the result for shapes (1, h, w, c) of the inputs.

        Raises:
            Exception: Whatever the operation raises if it does not take such inputs.
        """
        import keras
        from keras.src import backend

        key = tuple(shapes)
        if key not in self._shapes:
            args, kwargs = self._arguments([keras.KerasTensor(s) for s in key])
            # By its code, which finds more than some layers' own rules for shapes.
            spec: Any = backend.compute_output_spec(self._operation, *args, **kwargs)
            self._shapes[key] = tuple(spec.shape)
        return self._shapes[key]

    def fits_other_sizes(self, shapes: Sequence[tuple[int | None, ...]]) -> bool:
        """Tells whether it takes other sizes than those that a model was built for."""
        sides = [side for shape in shapes for side in shape[1:3]]
        if None in sides:  # Keras itself has found that it takes any
            return True
        larger = [(1, 2 * h, 2 * w, c) for _, h, w, c in cast("Any", shapes)]
        try:
            self.shape(larger)
        except Exception:  # noqa: BLE001, of any layer's code
            return False
        return True

    def _arguments(self, tensors: list[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        import keras

        tensor_of = dict(zip(self._keys, tensors, strict=True))
        call: Any = (self._args, self._kwargs)
        args, kwargs = cast(
            "Any", keras.tree.map_structure(lambda x: tensor_of.get(id(x), x), call)
        )
        # A layer may train by default, and nothing around it tells it not to.
        if "training" in getattr(self._operation, "call_signature_parameters", ()):
            kwargs = {**kwargs, "training": False}
        return args, kwargs


def _own_copy(operation: Any) -> Any:
    """Copies a module of torch, whose parameters Keras does not hand out."""
    if type(operation).__name__ != "TorchModuleWrapper":
        return operation
    module, shape = copy.deepcopy(operation.module), operation.output_shape
    return type(operation)(module, name=operation.name, output_shape=shape)
