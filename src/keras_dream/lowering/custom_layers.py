"""Layers that Keras lacks, and how each becomes operations.

Sources: BVLC/caffe, src/caffe/layers/lrn_layer.cpp and pooling_layer.cpp, for the
arithmetic of Caffe's two layers; keras.applications.nasnet for the padding.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, cast

import numpy as np

from keras_dream.lowering.builder import POINTWISE, Builder, Rule, Value


def band(channels: int, size: int) -> np.ndarray:
    """Returns the matrix that sums each channel with its neighbours.

    Args:
        channels: The number of channels.
        size: How many channels are summed, with the channel itself in the middle; odd.

    Returns:
        float32 (channels, channels), of zeros and ones.
    """
    number = np.arange(channels)
    near = np.abs(number[:, None] - number) <= size // 2
    return near.astype(np.float32)


@cache
def normalization() -> Any:
    """Returns the Keras layer CrossChannelNormalization.

    The class is created at the first call, because it needs Keras.
    """
    import keras
    from keras import ops

    @keras.saving.register_keras_serializable("keras_dream")
    class CrossChannelNormalization(keras.layers.Layer):
        """Local response normalization across channels: x / (k + alpha/n · Σx²)^beta.

        The sum runs over `size` = n channels, the cell's own in the middle.
        """

        def __init__(
            self,
            size: int = 5,
            alpha: float = 1.0,
            beta: float = 0.75,
            k: float = 1.0,
            **kwargs: Any,
        ):
            super().__init__(**kwargs)
            if size < 1 or size % 2 == 0:
                raise ValueError("the window of channels must be odd")
            self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

        def call(self, x: Any) -> Any:
            near = band(x.shape[-1], self.size)
            sums: Any = ops.matmul(ops.square(x), near)
            scale = self.k + self.alpha / self.size * sums
            return x * ops.power(scale, -self.beta)

        # Without it Keras finds the shape by running the layer, on a large map.
        def compute_output_shape(self, shape: Any) -> Any:
            return shape

        def get_config(self) -> dict[str, Any]:
            own = {n: getattr(self, n) for n in ("size", "alpha", "beta", "k")}
            return {**super().get_config(), **own}

    return CrossChannelNormalization


@cache
def pooling() -> Any:
    """Returns the Keras layer CeilMaxPooling2D, created at the first call."""
    import keras
    from keras import ops

    @keras.saving.register_keras_serializable("keras_dream")
    class CeilMaxPooling2D(keras.layers.Layer):
        """A max-pool whose last window may extend beyond the map, as Caffe's does.

        Caffe rounds the number of windows up. That is what rounding down gives when
        `stride - 1` cells of -infinity follow the map on both axes, at every size.
        """

        def __init__(self, size: int, stride: int, **kwargs: Any):
            super().__init__(**kwargs)
            if not 1 <= stride <= size:
                raise ValueError("the stride must be from 1 to the window's size")
            self.size, self.stride = size, stride

        def call(self, x: Any) -> Any:
            after = (0, self.stride - 1)
            edges = ((0, 0), after, after, (0, 0))
            x = ops.pad(x, edges, constant_values=-np.inf)
            return ops.max_pool(x, self.size, self.stride, data_format="channels_last")

        def compute_output_shape(self, shape: Any) -> Any:
            sides = [
                n if n is None else (n - self.size - 1) // self.stride + 2
                for n in shape[1:3]
            ]
            return (shape[0], *sides, shape[3])

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "size": self.size, "stride": self.stride}

    return CeilMaxPooling2D


@cache
def window_padding() -> Any:
    """Returns the Keras layer class WindowPadding, created at the first call."""
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


def _normalization(
    builder: Builder, name: str, layer: Any, inputs: list[Value]
) -> Value:
    """Squares, sums them with a 1 × 1 convolution of ones, and takes the power."""
    (x,) = inputs
    channels = cast("int", x.shape[-1])
    kernel = band(channels, layer.size) * (layer.alpha / layer.size)
    sums = builder.add(
        f"{name}/window",
        "conv2d",
        builder.add(f"{name}/square", "multiply", x, x),
        weights={
            "kernel": kernel.reshape(1, 1, channels, channels),
            "bias": np.full(channels, layer.k),
        },
        **POINTWISE,
    )
    scale = builder.add(f"{name}/scale", "power", sums, exponent=-float(layer.beta))
    return builder.add(name, "multiply", x, scale)


def _pool(builder: Builder, name: str, layer: Any, inputs: list[Value]) -> Value:
    after = layer.stride - 1
    return builder.add(
        name,
        "max_pool",
        inputs[0],
        size=[layer.size] * 2,
        stride=[layer.stride] * 2,
        padding=[0, after, 0, after],
    )


def _window_padding(
    builder: Builder, name: str, layer: Any, inputs: list[Value]
) -> Value:
    return builder.add(
        name,
        "pad",
        inputs[0],
        padding="same",
        size=[layer.size] * 2,
        consumer_stride=[2, 2],
    )


RULES: Mapping[str, Rule] = {
    "CrossChannelNormalization": _normalization,
    "CeilMaxPooling2D": _pool,
    "WindowPadding": _window_padding,
}
