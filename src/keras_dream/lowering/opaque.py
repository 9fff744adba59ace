"""What stays Keras' own: operations called as they are, with the weights they had.

Keras' tensors between them may have any number of axes. Those that are feature maps, or
can be laid out as one, become nodes of the graph (`Form`); others only exist between
the operations of one `OpaqueLayer`.
"""

import copy
import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from keras_dream.lowering.builder import Form, Value, to_numpy

Shape = tuple[int, ...]


class KerasCall:
    """A snapshot of a Keras operation and of its arguments.

    Later changes of the layer's variables, by training or loading, change nothing.

    Args:
        node: The node of Keras' graph that calls the operation.

    Attributes:
        kind: The operation's class.
    """

    def __init__(self, node: Any):
        import keras

        self.kind = type(node.operation).__name__
        self._operation = _own_copy(node.operation)
        self._args, self._kwargs = node.arguments.convert(
            lambda x: x.copy() if isinstance(x, np.ndarray) else x
        )
        self._keys = [id(t) for t in node.arguments.keras_tensors]
        variables = list(getattr(self._operation, "variables", ()))
        arguments = keras.tree.flatten((self._args, self._kwargs))
        variables += [a for a in arguments if isinstance(a, keras.Variable)]
        # All that Keras asks for within this scope are these copies.
        self._state = [
            (v, keras.ops.stop_gradient(keras.ops.copy(v.value))) for v in variables
        ]
        self._trained = {id(v) for v in getattr(self._operation, "weights", ())}

    def __call__(self, tensors: list[Any]) -> list[Any]:
        """Calls the operation on Keras tensors; returns all its outputs."""
        import keras

        args, kwargs = self._arguments(tensors)
        with keras.StatelessScope(self._state, initialize_variables=False):
            return keras.tree.flatten(self._operation(*args, **kwargs))

    @property
    def weights(self) -> list[np.ndarray]:
        """The layer's own weights, which are not among the graph's."""
        return [to_numpy(value) for v, value in self._state if id(v) in self._trained]

    def specs(self, inputs: list[Any]) -> list[Any]:
        """Returns the outputs as `keras.KerasTensor`s, for such inputs."""
        import keras
        from keras.src import backend

        def run(*tensors: Any) -> Any:
            args, kwargs = self._arguments(list(tensors))
            return self._operation(*args, **kwargs)

        # By its code, which finds more than some layers' own rules for shapes.
        specs: Any = backend.compute_output_spec(run, *inputs)
        return keras.tree.flatten(specs)

    def _arguments(self, tensors: list[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        import keras

        tensor_of = dict(zip(self._keys, tensors, strict=True))
        filled: Any = keras.tree.map_structure(
            lambda x: tensor_of.get(id(x), x), (self._args, self._kwargs)
        )
        args, kwargs = filled
        # A layer may train by default, and nothing around it tells it not to.
        if "training" in getattr(self._operation, "call_signature_parameters", ()):
            kwargs = {**kwargs, "training": False}
        return args, kwargs


class OpaqueLayer:
    """One output of Keras operations as a feature map, made of feature maps.

    Args:
        call: The last operation.
        sources: What it reads: feature maps, or tensors that only Keras holds.
        index: Which of its outputs it is.
        channels: The channels of the feature map.

    Attributes:
        kind: The class of the last operation.
        inputs: The nodes whose feature maps it reads.
        channels: As given.
    """

    def __init__(
        self,
        call: KerasCall,
        sources: Sequence[Value],
        index: int,
        channels: int,
    ):
        self.kind, self.channels = call.kind, channels
        self.inputs: list[Value] = []
        self._forms: list[Form] = []
        # Each step's sources are (step, output), or (-1, input).
        self._steps: list[tuple[KerasCall, list[tuple[int, int]]]] = []
        self._numbers: dict[int, int] = {}
        self._output = self._step(call, sources), index
        self._shapes: dict[tuple[Shape, ...], Shape] = {}

    def __call__(self, maps: list[Any]) -> Any:
        """Runs the operations on Keras tensors (1, h, w, c), and returns such a one."""
        import keras

        tensors = [
            x if form == "map" else keras.ops.reshape(x, _tensor(tuple(x.shape), form))
            for x, form in zip(maps, self._forms, strict=True)
        ]
        result = self._run(tensors, lambda call, inputs: call(inputs))
        if len(result.shape) != 4:
            result = keras.ops.reshape(result, _map(tuple(result.shape)))
        # A layer of half precision hands on what the other nodes take.
        return keras.ops.cast(result, "float32")

    @property
    def weights(self) -> list[np.ndarray]:
        """The layers' own weights, which are not among the graph's."""
        return [array for call, _ in self._steps for array in call.weights]

    def shape(self, shapes: list[Shape]) -> Shape:
        """Returns the shape of the result, (1, h, w, c), for shapes of the inputs.

        Raises:
            Exception: Whatever an operation raises if it does not take such inputs;
                ValueError if it makes no feature map of the layer's channels.
        """
        key = tuple(shapes)
        if self.is_fixed and key != self._built:
            raise ValueError(f"{key} instead of {self._built}")
        return self._shape(key)

    @cached_property
    def is_fixed(self) -> bool:
        """Whether it takes no other sizes than those that the model was built for."""
        built = self._built
        # Vectors have one size; None is a side that Keras itself found to be free.
        if {*self._forms} == {"vector"} or any(None in shape for shape in built):
            return False
        sizes = {"vector": (1, 1), "tokens": (1, 2)}
        scales = [sizes.get(form, (2, 2)) for form in self._forms]
        larger = [
            (1, h * down, w * across, c)
            for (_, h, w, c), (down, across) in zip(built, scales, strict=True)
        ]
        try:
            self._shape(tuple(larger))
        except Exception:  # noqa: BLE001, of any layer's code
            return True
        return False

    @property
    def _built(self) -> tuple[Any, ...]:
        """The inputs' shapes (1, h, w, c) in the model; None for free sides."""
        return tuple(_built(value) for value in self.inputs)

    def _shape(self, key: tuple[Shape, ...]) -> Shape:
        import keras

        if key not in self._shapes:
            tensors = [
                keras.KerasTensor(_tensor(shape, form))
                for shape, form in zip(key, self._forms, strict=True)
            ]
            spec = self._run(tensors, lambda call, inputs: call.specs(inputs))
            shape = _map(tuple(spec.shape))
            if shape[0] != 1 or shape[3] != self.channels:
                raise ValueError(f"{shape} of {self.channels} channels")
            self._shapes[key] = shape
        return self._shapes[key]

    def _run(self, tensors: list[Any], run: Any) -> Any:
        results: list[list[Any]] = []
        for call, sources in self._steps:
            inputs = [tensors[k] if s < 0 else results[s][k] for s, k in sources]
            results.append(run(call, inputs))
        step, index = self._output
        return results[step][index]

    def _step(self, call: KerasCall, sources: Sequence[Value]) -> int:
        if id(call) not in self._numbers:
            places = [self._place(value) for value in sources]
            self._steps.append((call, places))
            self._numbers[id(call)] = len(self._steps) - 1
        return self._numbers[id(call)]

    def _place(self, value: Value) -> tuple[int, int]:
        if value.pending is not None:
            call, sources, index = value.pending
            return self._step(call, sources), index
        places = zip(self.inputs, self._forms, strict=True)
        for number, place in enumerate(places):
            if place == (value, value.form):
                return -1, number
        self.inputs.append(value)
        self._forms.append(value.form)
        return -1, len(self.inputs) - 1


def _tensor(shape: Shape, form: Form) -> Shape:
    """Returns the shape that Keras' tensor has for a feature map (1, h, w, c)."""
    one, h, w, c = shape
    if form == "flat":
        return one, h * w * c
    if form == "tokens" and h == 1:
        return one, w, c
    if form == "vector" and h == w == 1:
        return one, c
    if form == "plane" and c == 1:
        return one, h, w
    if form == "map":
        return shape
    raise ValueError(f"{shape} as {form}")


def _built(value: Value) -> tuple[int | None, ...]:
    """Returns the shape of a value's feature map in the model."""
    _, *sides = value.shape
    if value.form == "flat":
        sides = list(value.flattened or ())
    if value.form == "plane":
        sides = [*sides, 1]
    return 1, *[1] * (3 - len(sides)), *sides


def _map(shape: Shape) -> Shape:
    """Returns the shape of the feature map for a Keras tensor's: (1, h, w, c)."""
    first, *rest = shape
    map_shape = (first, *[1] * (3 - len(rest)), *rest)
    if not 2 <= len(shape) <= 4 or math.prod(map_shape) < 1:
        raise ValueError(f"{shape} as a feature map")
    return map_shape


def _own_copy(operation: Any) -> Any:
    """Copies a module of torch, whose parameters Keras does not hand out."""
    if type(operation).__name__ != "TorchModuleWrapper":
        return operation
    module, shape = copy.deepcopy(operation.module), operation.output_shape
    return type(operation)(module, name=operation.name, output_shape=shape)
