"""How layers that only keras.applications has, and ours for it, become operations."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, cast

import numpy as np

from keras_dream.lowering.norm_rules import affine, to_numpy
from keras_dream.lowering.walker import Builder, Value


@cache
def window_padding() -> Any:
    """Returns the Keras layer class WindowPadding, made when it is first asked for."""
    import keras
    from keras import ops

    @keras.saving.register_keras_serializable("keras_dream")
    class WindowPadding(keras.layers.Layer):
        """Pads with zeros what windows of one size, two cells apart, need as SAME.

        `keras.applications` computes such paddings once, when the model is built, for
        the one size it is built for. This layer computes them for every picture.
        """

        def __init__(self, size: int, **kwargs: Any):
            super().__init__(**kwargs)
            self.size = size

        def call(self, x: Any) -> Any:
            sides, shape = [], ops.shape(x) or ()
            for n in shape[1:3]:
                total = self.size - 2 + cast("int", n) % 2
                sides.append((total // 2, total - total // 2))
            return ops.pad(x, ((0, 0), *sides, (0, 0)))

        def compute_output_shape(self, shape: Any) -> tuple[int | None, ...]:
            sides = [n and n + self.size - 2 + n % 2 for n in shape[1:3]]
            return (shape[0], *sides, shape[3])

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "size": self.size}

    return WindowPadding


def _window_padding(
    builder: Builder, name: str, layer: Any, given: list[Value]
) -> Value:
    size, ahead = [layer.size] * 2, [2, 2]
    return builder.add(name, "pad", given[0], padding="same", size=size, ahead=ahead)


def _layer_scale(builder: Builder, name: str, layer: Any, given: list[Value]) -> Value:
    gamma = to_numpy(layer.gamma)
    return affine(builder, name, given, gamma, np.zeros_like(gamma))


def _scaled_sum(builder: Builder, name: str, layer: Any, given: list[Value]) -> Value:
    """Inception-ResNet's shortcut and a small part of what it goes around."""
    # An affine map, so that it can be folded into the convolution before it.
    scale = np.full(1, layer.scale)
    part = affine(builder, f"{name}/scaled", given[1:], scale, np.zeros(1))
    return builder.add(name, "add", given[0], part)


def _pass_on(builder: Builder, name: str, layer: Any, given: list[Value]) -> Value:
    return given[0]


RULES: Mapping[str, Callable[[Builder, str, Any, list[Value]], Value | None]] = {
    "CustomScaleLayer": _scaled_sum,
    "LayerScale": _layer_scale,
    "StochasticDepth": _pass_on,  # it drops blocks in training only
    "WindowPadding": _window_padding,
}
