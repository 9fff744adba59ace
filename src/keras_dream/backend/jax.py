"""The jax backend: NHWC maps, one compiled program for each size and plan."""

import contextlib
import functools
import math
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import core, lax

from keras_dream.backend.host import memory, split_device
from keras_dream.backend.nhwc import (
    COLUMNS,
    ROWS,
    SPATIAL,
    Mosaic,
    Nhwc,
    along,
    counts,
)
from keras_dream.backend.protocol import Array, Padding, reads_image
from keras_dream.errors import SettingError, short_repr

_ORDER = ("NHWC", "HWIO", "NHWC")
# jax would compile every constant shift by itself, 0.14 s each.
_roll = jax.jit(lambda x, down, right: jnp.roll(x, (down, right), SPATIAL))


def make(
    *, device: str | None = None, precision: str = "float32", threads: int | None = None
) -> "JaxBackend":
    """Prepares jax on a device.

    Args:
        device: "cpu", "cuda", "cuda:1", "tpu" …; None takes jax's first device.
        precision: "float32", "tf32" or "bfloat16".
        threads: Threads within an operation. XLA fixes them when the process first
            touches a jax device; after that the setting is without effect.

    Raises:
        SettingError: If the device is not there.
    """
    if threads is not None:
        _start(threads)
    return JaxBackend(_device(device), precision)


def _start(threads: int) -> None:
    # XLA has no option for this; it reads NPROC when its processor client starts
    # (xla/pjrt/utils.cc, DefaultThreadPoolSize). Measured with jax 0.10: 1 holds a
    # convolution to one core.
    before = os.environ.get("NPROC")
    os.environ["NPROC"] = str(threads)
    with contextlib.suppress(RuntimeError):  # JAX_PLATFORMS may leave it out
        jax.devices("cpu")
    del os.environ["NPROC"]
    os.environ.update({} if before is None else {"NPROC": before})


def _device(name: str | None) -> Any:
    if name is None:
        return jax.devices()[0]
    try:
        kind, number = split_device(name)
        return jax.devices({"cuda": "gpu"}.get(kind, kind))[number]
    except (RuntimeError, ValueError, IndexError):
        raise SettingError(
            "The device must be one that jax can use here",
            received=short_repr(name),
            hint="try cpu, or see what `dream doctor` finds",
        ) from None


class JaxBackend(Nhwc):
    """`Backend` on jax. Feature maps are (1, h, w, c)."""

    name = "jax"

    def __init__(self, device: Any, precision: str):
        self._device = device
        self._on_cpu = device.platform == "cpu"
        kind = {"gpu": "cuda"}.get(device.platform, device.platform)
        self.device = kind if self._on_cpu else f"{kind}:{device.id}"
        self.precision = precision
        self.threads: int | None = None  # XLA does not report them
        self._dtype = jnp.bfloat16 if precision == "bfloat16" else jnp.float32
        # jax's own default for float32 is TF32 wherever the device has it.
        self._exactness = "tensorfloat32" if precision == "tf32" else "float32"

    def fast_bfloat16(self) -> bool:
        # XLA widens it on processors: SqueezeNet's step takes twice as long.
        return False

    def at(self, precision: str) -> "JaxBackend":
        return JaxBackend(self._device, precision)

    # -- in and out ---------------------------------------------------------------
    def image(self, image: np.ndarray) -> Array:
        # A copy: jax may otherwise share the caller's memory on a processor.
        copy = np.array(image, np.float32, order="C")
        return jax.device_put(copy[None], self._device)

    def image_view(self, image: np.ndarray) -> Array:
        return jax.device_put(
            np.ascontiguousarray(image, np.float32)[None], self._device
        )

    def host_view(self, x: Array) -> np.ndarray:
        image = np.asarray(x[0], np.float32, order="C")
        image.setflags(write=False)
        return image

    def to_numpy(self, x: Array) -> np.ndarray:
        return np.array(x, np.float32, order="C")

    def array(self, values: np.ndarray) -> Array:
        return jax.device_put(np.array(values, np.float32), self._device)

    def kernel(self, values: np.ndarray) -> Array:
        return self.array(values).astype(
            jnp.float32 if reads_image(values) else self._dtype
        )

    def memory(self) -> Mapping[str, int]:
        stats = self._device.memory_stats()
        if not stats or "bytes_limit" not in stats:
            return memory()
        total, used = stats["bytes_limit"], stats["bytes_in_use"]
        peak = stats.get("peak_bytes_in_use", used)
        return {"total": total, "free": total - used, "peak": peak}

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
        # XLA's grouped convolutions are slow on processors: 32 groups of 8 channels at
        # 50 × 75 took 45.7 ms forward and back, one by one 5.1 ms.
        parts = groups if self._on_cpu else 1
        convolve = functools.partial(
            self._convolve,
            window_strides=stride,
            padding=(padding[:2], padding[2:]),
            rhs_dilation=dilation,
            feature_group_count=groups // parts,
        )
        x = x.astype(kernel.dtype)
        pairs = zip(jnp.split(x, parts, 3), jnp.split(kernel, parts, 3), strict=True)
        ys = [convolve(part, weights) for part, weights in pairs]
        y = jnp.concatenate(ys, 3) if parts > 1 else ys[0]
        if bias is not None:
            y = y + bias.astype(y.dtype)
        y = y.astype(self._dtype)
        return jax.nn.relu(y) if relu else y

    def _convolve(self, x: Array, kernel: Array, **how: Any) -> Array:
        (top, bottom), across = how["padding"]
        # XLA's convolutions without any padding are slow on processors: 3 × 3 at
        # 200 × 300 × 32 took 32.3 ms forward and back, 7.8 ms with one more row of
        # outputs that is cut off again (stride 2: 4.6 and 3.4 ms). 1 × 1 is faster
        # without it (12.9 and 21.9 ms).
        is_bare = not any((top, bottom, *across)) and kernel.shape[:2] != (1, 1)
        if more := self._on_cpu and is_bare:
            how["padding"] = ((0, how["window_strides"][0]), (0, 0))
        y = lax.conv_general_dilated(
            x, kernel, dimension_numbers=_ORDER, precision=self._exactness, **how
        )
        return y[:, :-1] if more else y

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
        # Shifted products, because XLA's own is slow on processors: 3 × 3 at
        # 100 × 150 × 96 took 55.7 ms forward and back, this takes 1.5 ms.
        kh, kw, channels, multiplier = kernel.shape
        flat = kernel.reshape(kh, kw, channels * multiplier).astype(jnp.float32)
        x = jnp.repeat(self.pad(x.astype(kernel.dtype), padding), multiplier, 3)
        rows, columns = _extent(kh, dilation[0]), _extent(kw, dilation[1])
        total: Any = 0.0
        for i, band in enumerate(_windows(x, ROWS, rows, stride[0], dilation[0])):
            cells = _windows(band, COLUMNS, columns, stride[1], dilation[1])
            total = sum((cell * flat[i, j] for j, cell in enumerate(cells)), total)
        y = total.astype(self._dtype)
        return y if bias is None else y + bias.astype(y.dtype)

    def max_pool(
        self,
        x: Array,
        *,
        size: tuple[int, int],
        stride: tuple[int, int],
        padding: Padding,
    ) -> Array:
        # Not reduce_window: its gradient (select-and-scatter) is slow, 3 × 3 stride 2
        # at 197 × 297 × 64 took 45.0 ms forward and back, this takes 1.7 ms. Columns
        # before rows, and only a larger value replaces: the first of equals stays.
        x = self.pad(x, padding, value=-math.inf)
        for axis in (COLUMNS, ROWS):
            cells = _windows(x, axis, size[axis - 1], stride[axis - 1])
            x = functools.reduce(lambda a, b: jnp.where(b > a, b, a), cells)
        return x

    def average_pool(
        self,
        x: Array,
        *,
        size: tuple[int, int],
        stride: tuple[int, int],
        padding: Padding,
    ) -> Array:
        # Shifted sums: reduce_window's gradient took 8.8 ms for 3 × 3 stride 2 at
        # 197 × 297 × 64, this takes 1.5 ms.
        y: Any = self.pad(x.astype(jnp.float32), padding)
        for axis, edges in ((ROWS, padding[:2]), (COLUMNS, padding[2:])):
            n, step = size[axis - 1], stride[axis - 1]
            inside = counts(x.shape[axis], n, step, *edges)
            y = sum(_windows(y, axis, n, step)) / along(axis, inside)
        return y.astype(x.dtype)

    def matmul(self, x: Array, matrix: Array) -> Array:
        return jnp.matmul(x, matrix.astype(x.dtype), precision=self._exactness)

    def layer_norm(self, x: Array, scale: Array, shift: Array, epsilon: float) -> Array:
        y = x.astype(jnp.float32)
        y = y - jnp.mean(y, 3, keepdims=True)
        variance = jnp.mean(y * y, 3, keepdims=True)
        return (y * lax.rsqrt(variance + epsilon) * scale + shift).astype(x.dtype)

    # -- shape --------------------------------------------------------------------
    def pad(
        self, x: Array, padding: Padding, *, mode: str = "zero", value: float = 0.0
    ) -> Array:
        top, bottom, left, right = padding
        if not any(padding):
            return x
        widths = ((0, 0), (top, bottom), (left, right), (0, 0))
        how: Any = {"constant_values": value} if mode == "zero" else {"mode": mode}
        return jnp.pad(x, widths, **how)

    def crop(self, x: Array, padding: Padding) -> Array:
        top, bottom, left, right = padding
        h, w = x.shape[1:3]
        return x[:, top : max(h - bottom, top), left : max(w - right, left)]

    def mosaic(self, size: tuple[int, int]) -> Mosaic:
        return Mosaic(jnp.concatenate)

    def concat(self, xs: Sequence[Array]) -> Array:
        return jnp.concatenate(list(xs), 3)

    def gather(self, x: Array, channels: Sequence[int]) -> Array:
        return x[..., np.array(channels, np.int32)]

    def roll(self, x: Array, down: int, right: int) -> Array:
        return _roll(x, down, right)

    def warp(self, x: Array, matrix: Array) -> Array:
        h, w = x.shape[1:3]
        i, j = jnp.arange(h)[:, None], jnp.arange(w)[None, :]
        a, b, c, d, e, f = matrix
        rows = _neighbours(a * i + b * j + c, h)
        columns = _neighbours(d * i + e * j + f, w)
        total: Any = 0.0
        for row, row_share in rows:
            for column, column_share in columns:
                share = (row_share * column_share)[:, :, None]
                # The indices are inside the feature map ("clip": without a check).
                total += x[0].at[row, column].get(mode="clip") * share
        return total[None]

    def resample(
        self,
        x: Array,
        rows: tuple[np.ndarray, np.ndarray],
        columns: tuple[np.ndarray, np.ndarray],
    ) -> Array:
        x = _resample(x, rows[0].astype(np.int32), rows[1], ROWS)
        return _resample(x, columns[0].astype(np.int32), columns[1], COLUMNS)

    def count(self, x: Array) -> Any:
        return x.size

    def channels(self, x: Array) -> int:
        return x.shape[3]

    def size(self, x: Array) -> tuple[Any, Any]:
        return x.shape[1], x.shape[2]

    # -- pointwise ----------------------------------------------------------------

    def maximum(self, x: Array, y: Any) -> Array:
        x, y = self._operands(x, y)
        return jnp.where(y > x, y, x)  # jnp.maximum halves the gradient of equals

    def _operands(self, x: Array, y: Any) -> tuple[Array, Any]:
        is_vector = getattr(y, "ndim", 4) == 1
        return x, y.astype(x.dtype) if is_vector else y

    def absolute(self, x: Array) -> Array:
        return jnp.abs(x)

    def clip(self, x: Array, low: float, high: float) -> Array:
        # where, not clip: jnp.clip halves the gradient at the bounds.
        return jnp.where(x < low, low, jnp.where(x > high, high, x))

    def activation(self, x: Array, name: str, *, negative_slope: float = 0.0) -> Array:
        if name == "leaky_relu":
            return jnp.where(x > 0, x, negative_slope * x)
        if name == "elu":
            return jax.nn.elu(x, negative_slope)
        return _ACTIVATIONS[name](x)

    # -- reductions ---------------------------------------------------------------
    def sum(self, x: Array) -> Array:
        return jnp.sum(x, dtype=jnp.float32)

    def row_sums(self, x: Array) -> np.ndarray:
        return self.to_numpy(jnp.sum(x, (0, 2, 3), jnp.float32))

    def mean(self, x: Array) -> Array:
        return jnp.mean(x, dtype=jnp.float32)

    def global_mean(self, x: Array) -> Array:
        return jnp.mean(x, SPATIAL, jnp.float32, keepdims=True).astype(x.dtype)

    def global_max(self, x: Array) -> Array:
        cells = x.reshape(1, -1, 1, x.shape[3])
        # argmax is the first of equals; the gradient of jnp.max is shared by them.
        first = jnp.argmax(cells, 1, keepdims=True)
        return jnp.take_along_axis(cells, first, 1)

    def dot(self, x: Array, y: Array) -> Array:
        return jnp.sum(x * y, 3, jnp.float32, keepdims=True)

    def channel_max(self, x: Array) -> Array:
        # argmax is the first of equals; the gradient of jnp.max is shared by them.
        return jnp.take_along_axis(x, jnp.argmax(x, 3, keepdims=True), 3)

    def gram(self, x: Array) -> Array:
        cells = x.reshape(-1, x.shape[3]).astype(jnp.float32)
        product = jnp.matmul(cells.T, cells, precision=self._exactness)
        return product / cells.shape[0]

    def is_finite(self, x: Array) -> bool:
        return bool(jnp.isfinite(x).all())

    # -- spectra ------------------------------------------------------------------
    def fft(self, x: Array) -> tuple[Array, Array]:
        spectrum = jnp.fft.rfft2(x, axes=SPATIAL)
        return spectrum.real, spectrum.imag

    def inverse_fft(
        self, real: Array, imaginary: Array, size: tuple[int, int]
    ) -> Array:
        return jnp.fft.irfft2(lax.complex(real, imaginary), s=size, axes=SPATIAL)

    # -- calculus -----------------------------------------------------------------
    def stop_gradient(self, x: Array) -> Array:
        return lax.stop_gradient(x)

    def value_and_grad(
        self, function: Callable[..., Array], *, static: bool = False
    ) -> Callable[..., tuple[Array, Any]]:
        return self._compiled(jax.value_and_grad(function))

    def function(
        self, function: Callable[..., list[Array]], *, static: bool = False
    ) -> Callable[..., list[Array]]:
        return self._compiled(function)

    def _compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        programs: dict[Any, Callable[..., Any]] = {}
        lock = threading.Lock()

        def run(x: Any, plan: tuple[int, ...], *constants: Any) -> Any:
            # Numbers become arrays: each value would be a program of its own.
            numbers = (np.int32(c) if isinstance(c, int) else c for c in constants)
            arrays, structure = jax.tree.flatten((x, *numbers))
            key = (structure, plan, *((a.shape, a.dtype) for a in arrays))
            with lock:
                if key not in programs:
                    with jax.default_matmul_precision(self._exactness):
                        programs[key] = _program(function, structure, plan, arrays)
            return programs[key](arrays)

        return run


def _program(
    function: Callable[..., Any], structure: Any, plan: tuple[int, ...], arrays: Any
) -> Callable[[list[Array]], Any]:
    """Compiles for one size, with the weights as arguments.

    `jax.jit` alone would write closed-over weights into the program: 71 MB of them
    made 142 MB of program text, again for every size.
    """

    def flat(*arrays: Array) -> Any:
        x, *constants = jax.tree.unflatten(structure, arrays)
        return function(x, plan, *constants)

    traced, shapes = jax.make_jaxpr(flat, return_shape=True)(*arrays)
    shape = jax.tree.structure(shapes)

    @jax.jit
    def run(weights: list[Array], arrays: list[Array]) -> Any:
        return jax.tree.unflatten(
            shape, core.eval_jaxpr(traced.jaxpr, weights, *arrays)
        )

    return lambda arrays: run(traced.consts, arrays)


_UNROLLED = 16  # taps: Lanczos has six where a picture grows, 14 where it is halved


@functools.partial(jax.jit, static_argnums=3)
def _resample(x: Array, cells: Array, weights: Array, axis: int) -> Array:
    def add(total: Any, tap: tuple[Array, Array]) -> tuple[Array, None]:
        # The indices are inside the feature map, so none needs a check ("clip").
        picked = jnp.take(x, tap[0], axis, mode="clip")
        return total + picked * along(axis, tap[1]), None

    # A hundred taps, where a picture becomes much smaller, would be compiled for
    # seconds with their gradients; a few are one pass.
    few = cells.shape[1] <= _UNROLLED
    shape = tuple(len(cells) if a == axis else n for a, n in enumerate(x.shape))
    zeros = jnp.zeros(shape, jnp.result_type(x, weights))
    return lax.scan(add, zeros, (cells.T, weights.T), unroll=_UNROLLED if few else 1)[0]


def _neighbours(position: Array, n: int) -> tuple[tuple[Array, Array], ...]:
    """Returns the two cells on either side of mirrored positions, and their shares."""
    away = (position + 0.5) % (2 * n)
    inside = jnp.clip(jnp.where(away > n, 2 * n - away, away) - 0.5, 0, n - 1)
    first = jnp.floor(inside).astype(np.int32)
    share = inside - first
    return (first, 1 - share), (jnp.minimum(first + 1, n - 1), share)


def _extent(cells: int, dilation: int) -> int:
    return (cells - 1) * dilation + 1


def _windows(
    x: Array, axis: int, size: int, stride: int, dilation: int = 1
) -> Iterator[Any]:
    """Yields, for each cell of a window along an axis, its value in all windows."""
    count = max((x.shape[axis] - size) // stride + 1, 0)
    for start in range(0, size, dilation):
        stop = min(start + count * stride, x.shape[axis])
        yield lax.slice_in_dim(x, min(start, stop), stop, stride, axis)


def _relu6(x: Array) -> Array:
    # jax.nn.relu6 has half a gradient at zero.
    return jnp.where(x < 6, jax.nn.relu(x), jnp.asarray(6, x.dtype))


_ACTIVATIONS: Mapping[str, Callable[[Array], Array]] = {
    "exponential": jnp.exp,
    "gelu": functools.partial(jax.nn.gelu, approximate=False),
    "gelu_tanh": functools.partial(jax.nn.gelu, approximate=True),
    # Keras' definition: relu6(x + 3) / 6.
    "hard_sigmoid": lambda x: _relu6(x + 3) / 6,
    "hard_silu": lambda x: x * _relu6(x + 3) / 6,
    "relu": jax.nn.relu,
    "relu6": _relu6,
    "selu": jax.nn.selu,
    "sigmoid": jax.nn.sigmoid,
    "silu": jax.nn.silu,
    "softmax": jax.nn.softmax,
    "softplus": jax.nn.softplus,
    "softsign": jax.nn.soft_sign,
    "tanh": jnp.tanh,
}
