"""The tensorflow backend: NHWC maps, one traced program for all sizes."""

import contextlib
import math
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from keras_dream.backend.host import has_bfloat16, memory, split_device
from keras_dream.backend.nhwc import (
    COLUMNS,
    ROWS,
    SPATIAL,
    Mosaic,
    Nhwc,
    along,
    is_static,
)
from keras_dream.backend.protocol import Array, Padding, reads_image
from keras_dream.errors import SettingError, short_repr


def make(
    *, device: str | None = None, precision: str = "float32", threads: int | None = None
) -> "TensorFlowBackend":
    """Prepares tensorflow on a device.

    Args:
        device: "cpu", "cuda" or "cuda:1"; None takes the first GPU, else the
            processor. TensorFlow fixes its devices when it first computes.
        precision: "float32", "tf32" or "bfloat16".
        threads: Threads within an operation. TensorFlow fixes them when it first
            computes; after that the setting is without effect.

    Raises:
        SettingError: If the device is not there, or tensorflow already runs on
            another.
    """
    if threads is not None:
        with contextlib.suppress(RuntimeError):  # it already computes
            tf.config.threading.set_intra_op_parallelism_threads(threads)
    # A process-wide switch of tensorflow; float32 must mean float32.
    tf.config.experimental.enable_tensor_float_32_execution(precision == "tf32")
    return TensorFlowBackend(_device(device), precision)


def _device(name: str | None) -> str:
    """Makes the device the only visible one, and returns its name.

    Every operation then runs there without a `tf.device` scope.
    """
    present = tf.config.list_physical_devices("GPU")
    try:
        first = "cuda" if present else "cpu"
        kind, number = split_device(first if name is None else name)
        chosen = {"cpu": [], "cuda": present[number : number + 1]}[kind]
        if kind == "cuda" and not chosen:
            raise ValueError(name)
    except (ValueError, KeyError):
        raise SettingError(
            "The device must be one that tensorflow can use here",
            received=short_repr(name),
            hint="try cpu, or see what `dream doctor` finds",
        ) from None
    if tf.config.get_visible_devices("GPU") != chosen:
        try:
            tf.config.set_visible_devices(chosen, "GPU")
        except RuntimeError:
            raise SettingError(
                "The device must be chosen before tensorflow first computes",
                received=repr(name),
                hint="set CUDA_VISIBLE_DEVICES, or start a new process",
            ) from None
    for gpu in chosen:
        with contextlib.suppress(RuntimeError):  # it already computes
            # Otherwise tensorflow reserves the memory of the whole GPU.
            tf.config.experimental.set_memory_growth(gpu, True)
    return f"cuda:{number}" if chosen else "cpu"


class TensorFlowBackend(Nhwc):
    """`Backend` on tensorflow. Feature maps are (1, h, w, c)."""

    name = "tensorflow"

    def __init__(self, device: str, precision: str):
        self.device = device
        self.precision = precision
        threads = tf.config.threading.get_intra_op_parallelism_threads()
        self.threads: int | None = threads or None  # 0: tensorflow chooses
        self._dtype = tf.bfloat16 if precision == "bfloat16" else tf.float32

    def fast_bfloat16(self) -> bool:
        uses_onednn = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1") != "0"
        return self.device == "cpu" and uses_onednn and has_bfloat16()

    def at(self, precision: str) -> "TensorFlowBackend":
        return TensorFlowBackend(self.device, precision)

    # -- in and out ---------------------------------------------------------------
    def image(self, image: np.ndarray) -> Array:
        _check_eager()
        return tf.constant(np.asarray(image, np.float32)[None])

    def image_view(self, image: np.ndarray) -> Array:
        return self.image(image)

    def host_view(self, x: Array) -> np.ndarray:
        image = np.asarray(tf.cast(x[0], tf.float32), np.float32, order="C")
        image.setflags(write=False)
        return image

    def to_numpy(self, x: Array) -> np.ndarray:
        return np.array(tf.cast(x, tf.float32), order="C")

    def array(self, values: np.ndarray) -> Array:
        return tf.constant(np.asarray(values, np.float32))

    def kernel(self, values: np.ndarray) -> Array:
        _check_eager()
        exact = reads_image(values)
        return tf.cast(self.array(values), tf.float32 if exact else self._dtype)

    def memory(self) -> Mapping[str, int]:
        if self.device == "cpu":
            return memory()
        # The only visible GPU is number 0; tensorflow does not report its size.
        return {"peak": tf.config.experimental.get_memory_info("GPU:0")["peak"]}

    def give_back_memory(self) -> None:
        return  # it knows no way

    # -- linear and pooling -------------------------------------------------------
    def conv2d(
        self,
        x: Array,
        kernel: Array,
        bias: Array | None,
        *,
        stride: tuple[int, int] = (1, 1),
        padding: Padding = (0, 0, 0, 0),
        dilation: tuple[int, int] = (1, 1),
        groups: int = 1,
        relu: bool = False,
    ) -> Array:
        # The number of groups follows from the kernel's shape.
        window = (kernel.shape[0], kernel.shape[1])
        x, name = self._padded(
            tf.cast(x, kernel.dtype), window, stride, padding, dilation
        )
        y = tf.nn.conv2d(x, kernel, stride, name, dilations=dilation)
        if bias is not None:
            y = tf.nn.bias_add(y, tf.cast(bias, y.dtype))
        y = tf.cast(y, self._dtype)
        return tf.nn.relu(y) if relu else y

    def _padded(
        self,
        x: Array,
        window: tuple[int, int],
        stride: tuple[int, int],
        padding: Padding,
        dilation: tuple[int, int] = (1, 1),
        value: float = 0.0,
    ) -> tuple[Array, Literal["SAME", "VALID"]]:
        """Returns padding that the operation applies fast, or pads before it.

        Explicit paddings are slow: 3 × 3 at 200 × 300 × 32 took 10.7 ms forward and
        back, "SAME" 6.2 ms, `tf.pad` and "VALID" 6.1 ms; for max-pools 5.8, 0.5 and
        0.8 ms. Dilated, they have no gradient on processors.
        """
        if stride == (1, 1):
            # Only at stride 1 does "SAME" not depend on the picture's size.
            spare = [(n - 1) * d for n, d in zip(window, dilation, strict=True)]
            same = tuple(side for n in spare for side in (n // 2, n - n // 2))
            if is_static(padding) and tuple(padding) == same:
                return x, "SAME"
        return self.pad(x, padding, value=value), "VALID"

    def depthwise_conv2d(
        self,
        x: Array,
        kernel: Array,
        bias: Array | None,
        *,
        stride: tuple[int, int] = (1, 1),
        padding: Padding = (0, 0, 0, 0),
        dilation: tuple[int, int] = (1, 1),
    ) -> Array:
        window = (kernel.shape[0], kernel.shape[1])
        x, name = self._padded(
            tf.cast(x, kernel.dtype), window, stride, padding, dilation
        )
        down, right = stride
        # TensorFlow knows only equal strides here, and none together with dilation.
        native = down == right and dilation == (1, 1)
        steps = (1, down, right, 1) if native else (1, 1, 1, 1)
        y = tf.nn.depthwise_conv2d(x, kernel, steps, name, dilations=dilation)
        y = tf.cast(y if native else y[:, ::down, ::right], self._dtype)
        return y if bias is None else tf.nn.bias_add(y, tf.cast(bias, y.dtype))

    def max_pool(
        self,
        x: Array,
        *,
        size: tuple[int, int],
        stride: tuple[int, int],
        padding: Padding,
    ) -> Array:
        # The native gradient goes to the first of equals, with oneDNN and without.
        x, name = self._padded(x, size, stride, padding, value=-math.inf)
        return tf.nn.max_pool2d(x, size, stride, name)

    def average_pool(
        self,
        x: Array,
        *,
        size: tuple[int, int],
        stride: tuple[int, int],
        padding: Padding,
    ) -> Array:
        padded, name = self._padded(x, size, stride, padding)
        y = tf.nn.avg_pool2d(padded, size, stride, name)
        if name == "SAME" or (is_static(padding) and not any(padding)):
            return y
        inside = self.pad(tf.ones_like(x[..., :1]), padding)
        return y / tf.nn.avg_pool2d(inside, size, stride, name)

    def matmul(self, x: Array, matrix: Array) -> Array:
        return tf.tensordot(x, tf.cast(matrix, x.dtype), 1)

    def layer_norm(self, x: Array, scale: Array, shift: Array, epsilon: float) -> Array:
        y = tf.cast(x, tf.float32)
        y = y - tf.reduce_mean(y, 3, keepdims=True)
        variance = tf.reduce_mean(y * y, 3, keepdims=True)
        return tf.cast(y * tf.math.rsqrt(variance + epsilon) * scale + shift, x.dtype)

    # -- shape --------------------------------------------------------------------
    def pad(
        self, x: Array, padding: Padding, *, mode: str = "zero", value: float = 0.0
    ) -> Array:
        top, bottom, left, right = padding
        if is_static(padding) and not any(padding):
            return x
        if mode == "wrap":
            h, w = _size(x)
            x = tf.concat([x[:, h - top :], x, x[:, :bottom]], ROWS)
            return tf.concat([x[:, :, w - left :], x, x[:, :, :right]], COLUMNS)
        widths = ((0, 0), (top, bottom), (left, right), (0, 0))
        if mode == "reflect":
            return tf.pad(x, widths, "REFLECT")
        return tf.pad(x, widths, constant_values=value)

    def crop(self, x: Array, padding: Padding) -> Array:
        top, bottom, left, right = padding
        h, w = _size(x)
        # A stop below zero would count from the end.
        rows = slice(top, tf.maximum(h - bottom, 0))
        return x[:, rows, left : tf.maximum(w - right, 0)]

    def mosaic(self, size: tuple[int, int]) -> Mosaic:
        return Mosaic(tf.concat)

    def concat(self, xs: Sequence[Array]) -> Array:
        return tf.concat(list(xs), 3)

    def gather(self, x: Array, channels: Sequence[int]) -> Array:
        return tf.gather(x, list(channels), axis=3)

    def roll(self, x: Array, down: int, right: int) -> Array:
        return tf.roll(x, (down, right), SPATIAL)

    def warp(self, x: Array, matrix: Array) -> Array:
        h, w = _size(x)
        i = tf.cast(tf.range(h), tf.float32)[:, None]
        j = tf.cast(tf.range(w), tf.float32)[None, :]
        a, b, c, d, e, f = tf.unstack(matrix, 6)
        rows = _neighbours(a * i + b * j + c, h)
        columns = _neighbours(d * i + e * j + f, w)
        total: Any = 0.0
        for row, row_share in rows:
            for column, column_share in columns:
                picked = tf.gather_nd(x[0], tf.stack([row, column], 2))
                total += picked * (row_share * column_share)[:, :, None]
        return total[None]

    def resample(
        self,
        x: Array,
        rows: tuple[np.ndarray, np.ndarray],
        columns: tuple[np.ndarray, np.ndarray],
    ) -> Array:
        for axis, (cells, weights) in zip(SPATIAL, (rows, columns), strict=True):
            total: Any = 0.0
            for tap in range(cells.shape[1]):
                picked = tf.gather(x, cells[:, tap], axis=axis)
                total = total + picked * along(axis, weights[:, tap])
            x = total
        return x

    def count(self, x: Array) -> Any:
        static = x.shape.num_elements()
        # float: int32 ends at 2³¹, and int64 cannot divide a float32.
        return tf.cast(tf.size(x, tf.int64), tf.float32) if static is None else static

    def channels(self, x: Array) -> int:
        return x.shape[3]

    def size(self, x: Array) -> tuple[Any, Any]:
        return _size(x)

    # -- pointwise ----------------------------------------------------------------

    def maximum(self, x: Array, y: Any) -> Array:
        # where, not maximum: between equals the gradient is x's on all backends.
        x, y = self._operands(x, y)
        return tf.where(y > x, y, x)

    def _operands(self, x: Array, y: Any) -> tuple[Array, Any]:
        if not isinstance(y, tf.Tensor) or x.dtype == y.dtype:
            return x, y
        if y.shape.rank == 1:
            return x, tf.cast(y, x.dtype)
        return tf.cast(x, tf.float32), tf.cast(y, tf.float32)

    def absolute(self, x: Array) -> Array:
        return tf.abs(x)

    def clip(self, x: Array, low: float, high: float) -> Array:
        return tf.clip_by_value(x, low, high)

    def activation(self, x: Array, name: str, *, negative_slope: float = 0.0) -> Array:
        if name == "leaky_relu":
            return tf.nn.leaky_relu(x, negative_slope)
        if name == "elu":
            # exp of values above 0 may overflow, and infinity times 0 is NaN.
            return tf.where(x > 0, x, negative_slope * tf.math.expm1(tf.minimum(x, 0)))
        return _ACTIVATIONS[name](x)

    # -- reductions ---------------------------------------------------------------
    def sum(self, x: Array) -> Array:
        return tf.reduce_sum(tf.cast(x, tf.float32))

    def row_sums(self, x: Array) -> np.ndarray:
        return self.to_numpy(tf.reduce_sum(tf.cast(x, tf.float32), (0, 2, 3)))

    def mean(self, x: Array) -> Array:
        return tf.reduce_mean(tf.cast(x, tf.float32))

    def global_mean(self, x: Array) -> Array:
        mean = tf.reduce_mean(tf.cast(x, tf.float32), SPATIAL, keepdims=True)
        return tf.cast(mean, x.dtype)

    def global_max(self, x: Array) -> Array:
        # The gradient of reduce_max is shared by equals; here the first has all of it.
        cells = tf.reshape(x, (1, -1, 1, x.shape[3]))
        count = tf.shape(cells)[1]
        indices = tf.range(count)[None, :, None, None]
        largest = tf.reduce_max(cells, 1, keepdims=True)
        first = tf.reduce_min(tf.where(cells == largest, indices, count), 1, True)
        return tf.reduce_sum(
            tf.where(indices == first, cells, tf.zeros_like(cells)), 1, True
        )

    def dot(self, x: Array, y: Array) -> Array:
        x, y = self._operands(x, y)
        return tf.reduce_sum(tf.cast(x * y, tf.float32), 3, keepdims=True)

    def channel_max(self, x: Array) -> Array:
        # The gradient of reduce_max is shared by equals; here the first has all of it.
        first = tf.expand_dims(tf.argmax(x, 3), 3)
        return tf.gather(x, first, axis=3, batch_dims=3)

    def gram(self, x: Array) -> Array:
        cells = tf.cast(tf.reshape(x, (-1, x.shape[3])), tf.float32)
        count = tf.cast(tf.shape(cells)[0], tf.float32)
        return tf.matmul(cells, cells, transpose_a=True) / count

    def is_finite(self, x: Array) -> bool:
        return bool(tf.reduce_all(tf.math.is_finite(x)))

    # -- spectra ------------------------------------------------------------------
    def fft(self, x: Array) -> tuple[Array, Array]:
        # TensorFlow transforms the last two axes only.
        spectrum = tf.signal.rfft2d(tf.transpose(x, (0, 3, 1, 2)))
        spectrum = tf.transpose(spectrum, (0, 2, 3, 1))
        return tf.math.real(spectrum), tf.math.imag(spectrum)

    def inverse_fft(
        self, real: Array, imaginary: Array, size: tuple[int, int]
    ) -> Array:
        spectrum = tf.transpose(tf.complex(real, imaginary), (0, 3, 1, 2))
        return tf.transpose(tf.signal.irfft2d(spectrum, size), (0, 2, 3, 1))

    # -- calculus -----------------------------------------------------------------
    def stop_gradient(self, x: Array) -> Array:
        return tf.stop_gradient(x)

    def value_and_grad(
        self, function: Callable[..., Array], *, static: bool = False
    ) -> Callable[..., tuple[Array, Any]]:
        def step(x: Any, plan: tuple[Any, ...], *constants: Any) -> tuple[Array, Any]:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(x)
                value = function(x, plan, *constants)
            # Where nothing of x reaches the value, its gradient is zero.
            zero = tf.UnconnectedGradients.ZERO
            return value, tape.gradient(value, x, unconnected_gradients=zero)

        return _compiled(step, static)

    def function(
        self, function: Callable[..., list[Array]], *, static: bool = False
    ) -> Callable[..., list[Array]]:
        return _compiled(function, static)


def _compiled(function: Callable[..., Any], static: bool) -> Callable[..., Any]:
    """Traces at the first call, for all sizes and plans unless they are static."""
    programs: dict[Any, Callable[..., Any]] = {}
    lock = threading.Lock()

    def run(x: Any, plan: tuple[int, ...], *constants: Any) -> Any:
        _check_eager()
        arrays = tf.nest.map_structure(tf.convert_to_tensor, (x, *constants))
        specs = tf.nest.map_structure(lambda a: _spec(a, static), arrays)
        key = (specs, plan if static else len(plan))
        with lock:
            if key not in programs:
                fixed = plan if static else None
                programs[key] = _program(function, specs, len(plan), fixed)
        return programs[key](arrays, tf.constant(plan, tf.int32, (len(plan),)))

    return run


def _check_eager() -> None:
    # A tensor of the caller's graph could not leave it, and a network whose weights
    # are such tensors could never be used again.
    if not tf.executing_eagerly():
        raise SettingError(
            "A dream must be computed where tensorflow executes eagerly",
            received="a call inside of a tf.Graph or a tf.function",
            hint="call it outside of them",
        )


def _spec(x: Array, static: bool) -> tf.TensorSpec:
    shape = x.shape
    if shape.rank == 4 and not static:
        shape = (shape[0], None, None, shape[3])  # a feature map of any size
    return tf.TensorSpec(shape, x.dtype)


def _program(
    function: Callable[..., Any], specs: Any, n: int, fixed: tuple[int, ...] | None
) -> Callable[..., Any]:
    signature = (specs, tf.TensorSpec((n,), tf.int32))

    # Weights are captured by reference, so nothing is copied from call to call.
    def run(arrays: Any, plan: Array) -> Any:
        x, *constants = arrays
        numbers = tuple(tf.unstack(plan, n)) if fixed is None else fixed
        return function(x, numbers, *constants)

    # Traced here, in one thread, and without a warning on many traces of one `run`.
    traced: Any = tf.function(run, input_signature=signature, autograph=False)
    return traced.get_concrete_function()


def _neighbours(position: Array, n: Any) -> tuple[tuple[Array, Array], ...]:
    """Returns the two cells on either side of mirrored positions, and their shares."""
    last, n = n - 1, tf.cast(n, tf.float32)
    away = tf.math.floormod(position + 0.5, 2 * n)
    inside = tf.clip_by_value(tf.where(away > n, 2 * n - away, away) - 0.5, 0.0, n - 1)
    first = tf.floor(inside)
    share = inside - first
    first = tf.cast(first, tf.int32)
    return (first, 1 - share), (tf.minimum(first + 1, last), share)


def _size(x: Array) -> tuple[Any, Any]:
    if None in x.shape[1:3]:
        size = tf.shape(x)
        return size[1], size[2]
    return x.shape[1], x.shape[2]


_ACTIVATIONS: Mapping[str, Callable[[Array], Array]] = {
    "exponential": tf.exp,
    "gelu": lambda x: tf.nn.gelu(x, approximate=False),
    "gelu_tanh": lambda x: tf.nn.gelu(x, approximate=True),
    # Keras' definition: relu6(x + 3) / 6.
    "hard_sigmoid": lambda x: tf.nn.relu6(x + 3) / 6,
    "hard_silu": lambda x: x * tf.nn.relu6(x + 3) / 6,
    "relu": tf.nn.relu,
    "relu6": tf.nn.relu6,
    "selu": tf.nn.selu,
    "sigmoid": tf.nn.sigmoid,
    "silu": tf.nn.silu,
    "softmax": tf.nn.softmax,
    "softplus": tf.nn.softplus,
    "softsign": tf.nn.softsign,
    "tanh": tf.nn.tanh,
}
