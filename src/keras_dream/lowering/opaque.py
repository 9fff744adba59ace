"""Layers that stay Keras' own: called as they are."""

from typing import Any


class OpaqueLayer:
    """A Keras operation that is called as it is."""

    def __init__(self, node: Any):
        self._operation = node.operation
        self._arguments = node.arguments
        self._keys = [id(t) for t in node.arguments.keras_tensors]
        self.channels: int = node.output_tensors[0].shape[-1]

    def __call__(self, tensors: list[Any]) -> Any:
        """Calls the operation on Keras tensors (1, h, w, c)."""
        filled = dict(zip(self._keys, tensors, strict=True))
        args, kwargs = self._arguments.fill_in(filled)
        # A layer may train by default, and nothing around it tells it not to.
        if "training" in getattr(self._operation, "call_signature_parameters", ()):
            kwargs["training"] = False
        return self._operation(*args, **kwargs)

    @property
    def weights(self) -> list[Any]:
        """The layer's own Keras variables, of which the graph holds no arrays."""
        return list(getattr(self._operation, "weights", ()))

    def shape(self, shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
        """Returns the shape of the result for shapes of the inputs."""
        import keras

        tensors = [keras.KerasTensor(shape) for shape in shapes]
        filled = dict(zip(self._keys, tensors, strict=True))
        args, kwargs = self._arguments.fill_in(filled)
        return tuple(self._operation.compute_output_spec(*args, **kwargs).shape)
