"""The torch backend: eager, channels-last memory under NCHW shapes, any size."""

import contextlib
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

# A network is hundreds of short operations, and GNU OpenMP's threads spin between
# them for 300,000 rounds: on a busy machine a step then takes ten times as long. With
# 1,000 rounds a step on an idle machine is as fast (benchmarks/README.md). Without
# effect if torch was imported before, as by `import keras`.
_SPINS = "torch" in sys.modules and not (
    {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys()
)
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
# Without it cuBLAS may compute a product twice with another last bit (CUDA's guide of
# cuBLAS, "Results Reproducibility"). Without effect once CUDA has begun.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

import numpy as np
import torch
import torch.nn.functional as F

from keras_dream.backend import host, openmp, torch_reverse as reverse
from keras_dream.backend.protocol import Array, Padding, reads_image
from keras_dream.errors import SettingError, short_repr

_SPATIAL = (2, 3)
_BAND = 1 << 18
"""Pixels of a picture that are resampled at once."""
_FEW = 4  # channels, as colours have them

# glibc returns every large block to the system and faults it in again, page by page:
# a fifth of a step's time. Instead, blocks up to 32 MiB (the upper limit of
# mallopt(3)) and up to 512 MiB of free memory are kept.
_KEPT_BLOCK, _KEPT_TOTAL = 32 << 20, 512 << 20


def make(
    *, device: str | None = None, precision: str = "float32", threads: int | None = None
) -> "TorchBackend":
    """Prepares torch on a device.

    Args:
        device: A torch device name; None takes cuda, then mps, then the processor.
        precision: "float32", "tf32" or "bfloat16".
        threads: Threads within an operation; None leaves torch's choice.

    Raises:
        SettingError: If the device is not there.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    chosen = _device(device)
    if chosen.type == "cpu":
        host.keep_freed(_KEPT_TOTAL, block=_KEPT_BLOCK)
        if _SPINS:
            openmp.sleep_early(torch._C.__file__, torch.get_num_threads())
    # TF32 is a process-wide switch of torch; float32 must mean float32.
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    return TorchBackend(chosen, precision)


def _device(name: str | None) -> torch.device:
    if name is None:
        if torch.cuda.is_available():
            return torch.device("cuda")
        mps = torch.backends.mps.is_available()
        return torch.device("mps" if mps else "cpu")
    try:
        device = torch.device(name)
        # The value is read because torch's "meta" device computes none.
        torch.zeros(1, device=device).item()
    # For a device that comes with another package there is no module.
    except (RuntimeError, AssertionError, NotImplementedError, ImportError):
        raise SettingError(
            "The device must be one that torch can use here",
            received=short_repr(name),
            hint="try cpu, or see what `dream doctor` finds",
        ) from None
    return device


class TorchBackend:
    """`Backend` on torch. Feature maps are (1, c, h, w) in channels-last memory."""

    name = "torch"
    merges = True

    def __init__(self, device: torch.device, precision: str):
        self._device = device
        self.device = str(device)
        self.precision = precision
        self.threads: int | None = torch.get_num_threads()
        self._dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
        # On a GPU Python would be slower than what it saves.
        self._own = self.keeps_little = device.type == "cpu"
        self._has_onednn = self._own and reverse.has_onednn(self._dtype)

    def fast_bfloat16(self) -> bool:
        if self._device.type == "cuda":  # from NVIDIA's Ampere on
            capability = torch.cuda.get_device_capability(self._device)
            return torch.version.cuda is not None and capability >= (8, 0)
        uses_onednn = torch.backends.mkldnn.is_available()
        return self._device.type == "cpu" and uses_onednn and host.has_bfloat16()

    def at(self, precision: str) -> "TorchBackend":
        return TorchBackend(self._device, precision)

    # -- in and out ---------------------------------------------------------------
    # A tensor made in the caller's inference mode could never have a gradient.
    @torch.inference_mode(mode=False)
    def image(self, image: np.ndarray) -> Array:
        pixels = torch.tensor(
            np.ascontiguousarray(image, np.float32), device=self._device
        )
        # The permuted view of (h, w, c) memory is channels-last already: no copy. The
        # axis of one picture is added before, for torch looks at its stride, too.
        return pixels.unsqueeze(0).permute(0, 3, 1, 2)

    @torch.inference_mode(mode=False)
    def image_view(self, image: np.ndarray) -> Array:
        if self._device.type != "cpu":
            return self.image(image)
        pixels = np.ascontiguousarray(image, np.float32)
        if not pixels.flags.writeable:  # of which torch would warn
            pixels = np.asarray(_Memory(pixels))
        return torch.from_numpy(pixels).unsqueeze(0).permute(0, 3, 1, 2)

    def host_view(self, x: Array) -> np.ndarray:
        cells = x.detach()[0].permute(1, 2, 0).to("cpu", torch.float32)
        image = cells.contiguous().numpy()
        image.setflags(write=False)
        return image

    def to_image(self, x: Array) -> np.ndarray:
        return self.to_numpy(x[0].permute(1, 2, 0))

    def to_float(self, x: Array) -> float:
        return float(x)

    def to_numpy(self, x: Array) -> np.ndarray:
        return np.array(x.detach().to("cpu", torch.float32).numpy(), order="C")

    @torch.inference_mode(mode=False)
    def array(self, values: np.ndarray) -> Array:
        return torch.tensor(np.asarray(values, np.float32), device=self._device)

    def kernel(self, values: np.ndarray) -> Array:
        return self._kernel(values, exact=reads_image(values))

    @torch.inference_mode(mode=False)
    def _kernel(self, values: np.ndarray, *, exact: bool) -> Array:
        dtype = torch.float32 if exact else self._dtype
        height, width, inputs, outputs = values.shape
        matrix = torch.from_numpy(np.require(values, np.float32, ["C", "W"]))
        # Channels-last memory is (outputs, height, width, inputs): a transposed matrix,
        # and torch transposes four times as fast as it permutes four axes. A single
        # row may not be copied; kernels are never written to.
        transposed = matrix.view(-1, outputs).t().contiguous()
        transposed = transposed.view(outputs, height, width, inputs)
        weight = transposed.permute(0, 3, 1, 2).to(self._device, dtype)
        return reverse.Kernel(weight, fast=self._has_onednn)

    def depthwise_kernel(self, values: np.ndarray) -> Array:
        h, w, channels, multiplier = values.shape
        # Grouped convolution numbers its outputs c·m + k, as Keras does.
        flat = np.asarray(values, np.float32).reshape(h, w, 1, channels * multiplier)
        return self._kernel(flat, exact=reads_image(values))

    def memory(self) -> Mapping[str, int]:
        if self._device.type == "cuda":
            free, total = torch.cuda.mem_get_info(self._device)
            peak = torch.cuda.max_memory_allocated(self._device)
            return {"total": total, "free": free, "peak": peak}
        return host.memory()

    def give_back_memory(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        host.give_back_memory()

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
        x, symmetric = _symmetric(x.to(kernel.dtype), padding, 0.0)
        bias = None if bias is None else bias.to(kernel.dtype)
        how = (symmetric, stride, dilation, groups)
        if self._own and x.requires_grad and torch.is_grad_enabled():
            settings = (how, relu, self._dtype)
            return reverse.Convolution.apply(x, kernel, bias, *settings)
        return reverse.convolution(x, kernel, bias, how, relu=relu).to(self._dtype)

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
        return self.conv2d(
            x,
            kernel,
            bias,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=x.shape[1],
        )

    def max_pool(
        self,
        x: Array,
        *,
        size: tuple[int, int],
        stride: tuple[int, int],
        padding: Padding,
    ) -> Array:
        x, symmetric = _symmetric(x, padding, -math.inf)
        if self._own:
            return reverse.MaxPool.apply(x, size, stride, symmetric)
        return F.max_pool2d(x, size, stride, symmetric)

    def average_pool(
        self,
        x: Array,
        *,
        size: tuple[int, int],
        stride: tuple[int, int],
        padding: Padding,
    ) -> Array:
        is_symmetric = padding[0] == padding[1] and padding[2] == padding[3]
        if self._own and is_symmetric:
            symmetric = (padding[0], padding[2])
            return reverse.AveragePool.apply(x, size, stride, symmetric)
        if not any(padding):
            return F.avg_pool2d(x, size, stride)
        # On CUDA the gradient of torch's own padding is wrong in channels-last memory,
        # without an error (pytorch/pytorch#188344, mended after 2.13).
        sums = F.avg_pool2d(F.pad(x, _order(padding)), size, stride)
        inside = F.pad(torch.ones_like(x[:, :1]), _order(padding))
        return sums / F.avg_pool2d(inside, size, stride)

    def matmul(self, x: Array, matrix: Array) -> Array:
        # A canvas multiplies where the caller's autocast is not disabled.
        with torch.autocast(self._device.type, enabled=False):
            if x.shape[1] <= _FEW:
                return _product(x, matrix.to(x.dtype))
            return F.conv2d(x, matrix.T.to(x.dtype)[:, :, None, None])

    def layer_norm(self, x: Array, scale: Array, shift: Array, epsilon: float) -> Array:
        # A view of channels-last memory, in which the channels are adjacent.
        cells = x.permute(0, 2, 3, 1).float()
        y = F.layer_norm(cells, (x.shape[1],), scale, shift, epsilon)
        return y.permute(0, 3, 1, 2).to(x.dtype)

    # -- shape --------------------------------------------------------------------
    def pad(
        self, x: Array, padding: Padding, *, mode: str = "zero", value: float = 0.0
    ) -> Array:
        if mode == "zero":
            return F.pad(x, _order(padding), value=value)
        # Not F.pad's "circular", which leaves channels-last memory, nor its "reflect",
        # whose gradient on CUDA is rounded differently each time.
        for axis, (before, after) in zip(
            _SPATIAL, (padding[:2], padding[2:]), strict=True
        ):
            n = x.shape[axis]
            if mode == "reflect":
                start = x.narrow(axis, 1, before).flip(axis)
                end = x.narrow(axis, n - 1 - after, after).flip(axis)
            else:
                start = x.narrow(axis, n - before, before)
                end = x.narrow(axis, 0, after)
            parts = [start, x, end]
            x = torch.cat([part for part in parts if part.shape[axis]], axis)
        return x

    def crop(self, x: Array, padding: Padding) -> Array:
        top, bottom, left, right = padding
        h, w = x.shape[2:]
        rows, columns = (
            slice(top, max(h - bottom, top)),
            slice(left, max(w - right, left)),
        )
        if self._own:
            return reverse.Crop.apply(x, rows, columns)
        return x[:, :, rows, columns]

    def mosaic(self, size: tuple[int, int]) -> "_Mosaic":
        return _Mosaic(size)

    def concat(self, xs: Sequence[Array]) -> Array:
        return torch.cat(list(xs), 1)

    def gather(self, x: Array, channels: Sequence[int]) -> Array:
        return x[:, list(channels)]

    def split(self, x: Array, counts: Sequence[int]) -> list[Array]:
        return list(x.split(list(counts), 1))

    def roll(self, x: Array, down: int, right: int) -> Array:
        return torch.roll(x, (down, right), _SPATIAL)

    def flip(self, x: Array) -> Array:
        return x.flip(3)

    def warp(self, x: Array, matrix: Array) -> Array:
        h, w = x.shape[2:]
        i = torch.arange(h, device=x.device, dtype=torch.float32)[:, None]
        j = torch.arange(w, device=x.device, dtype=torch.float32)[None, :]
        a, b, c, d, e, f = matrix.unbind()
        row, column = a * i + b * j + c, d * i + e * j + f
        if self._device.type != "cpu":
            return _picked(x, row, column)
        # In torch's units a map reaches from -1 to 1, from edge to edge of its cells.
        down, right = (2 * row + 1) / h - 1, (2 * column + 1) / w - 1
        grid = torch.stack([right, down], 2)[None]
        y = F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)
        return y.contiguous(memory_format=torch.channels_last)

    def resample(
        self,
        x: Array,
        rows: tuple[np.ndarray, np.ndarray],
        columns: tuple[np.ndarray, np.ndarray],
    ) -> Array:
        if x.requires_grad:
            return self._resampled(x, rows, columns)
        # Band by band of the new rows: what is between takes little memory, and the
        # same numbers come of it.
        height, width = len(rows[0]), len(columns[0])
        size = (x.shape[0], x.shape[1], height, width)
        y = torch.empty(
            size, dtype=x.dtype, device=x.device, memory_format=torch.channels_last
        )
        band = max(1, _BAND // max(x.shape[3], width))
        for top in range(0, height, band):
            part = slice(top, top + band)
            taps = (rows[0][part], rows[1][part])
            y[:, :, part] = self._resampled(x, taps, columns)
        return y

    def _resampled(
        self,
        x: Array,
        rows: tuple[np.ndarray, np.ndarray],
        columns: tuple[np.ndarray, np.ndarray],
    ) -> Array:
        # Each axis as the first one in memory, of which whole rows are picked: three
        # times as fast as single cells.
        cells = self._mixed(x.permute(2, 3, 0, 1).contiguous(), rows)
        cells = self._mixed(cells.transpose(0, 1).contiguous(), columns)
        y = cells.permute(2, 3, 1, 0)
        return y.contiguous(memory_format=torch.channels_last)

    def _mixed(self, x: Array, taps: tuple[np.ndarray, np.ndarray]) -> Array:
        """Returns weighted sums of an array's rows."""
        indices, factors = (torch.tensor(t, device=self._device) for t in taps)
        total: Any = None
        for tap in range(indices.shape[1]):
            picked = x.index_select(0, indices[:, tap])
            picked *= factors[:, tap].reshape(-1, 1, 1, 1)
            total = picked.add_(0) if total is None else total.add_(picked)
        return total

    def count(self, x: Array) -> Any:
        return x.numel()

    def channels(self, x: Array) -> int:
        return x.shape[1]

    def size(self, x: Array) -> tuple[Any, Any]:
        return x.shape[2], x.shape[3]

    # -- pointwise ----------------------------------------------------------------
    def add(self, x: Array, y: Any) -> Array:
        return x + _operand(x, y)

    def subtract(self, x: Array, y: Any) -> Array:
        return x - _operand(x, y)

    def multiply(self, x: Array, y: Any) -> Array:
        return x * _operand(x, y)

    def divide(self, x: Array, y: Any) -> Array:
        return x / _operand(x, y)

    def power(self, x: Array, exponent: float) -> Array:
        return x**exponent

    def maximum(self, x: Array, y: Any) -> Array:
        if isinstance(y, float | int):
            return x.clamp_min(y)
        # where, not maximum: torch.maximum halves the gradient between equals.
        y = _operand(x, y)
        return torch.where(y > x, y, x)

    def square(self, x: Array) -> Array:
        return reverse.Square.apply(x) if self._own else x.square()

    def absolute(self, x: Array) -> Array:
        return x.abs()

    def clip(self, x: Array, low: float, high: float) -> Array:
        return x.clamp(low, high)

    def activation(self, x: Array, name: str, *, negative_slope: float = 0.0) -> Array:
        if name == "leaky_relu":
            return F.leaky_relu(x, negative_slope)
        if name == "elu":
            return F.elu(x, negative_slope)
        if name == "relu" and self._own:
            return reverse.Relu.apply(x)
        return _ACTIVATIONS[name](x)

    # -- reductions ---------------------------------------------------------------
    def sum(self, x: Array) -> Array:
        return x.sum(dtype=torch.float32)

    def mean(self, x: Array) -> Array:
        # Not x.mean(): its gradient has another layout and would be copied.
        return x.sum(dtype=torch.float32) / x.numel()

    def row_sums(self, x: Array) -> np.ndarray:
        return self.to_numpy(x.sum((1, 3), dtype=torch.float32)[0])

    def global_mean(self, x: Array) -> Array:
        return x.sum(_SPATIAL, keepdim=True) / (x.shape[2] * x.shape[3])

    def global_max(self, x: Array) -> Array:
        size = (x.shape[2], x.shape[3])
        return F.max_pool2d(x, size)

    def dot(self, x: Array, y: Array) -> Array:
        y = y[:, None, None] if y.dim() == 1 else y
        return (x * y).sum(1, keepdim=True, dtype=torch.float32)

    def channel_max(self, x: Array) -> Array:
        # amax shares the gradient between equals; argmax names the first on the CPU.
        return x.gather(1, x.argmax(1, keepdim=True))

    def gram(self, x: Array) -> Array:
        cells = x[0].permute(1, 2, 0).reshape(-1, x.shape[1]).float()
        return cells.T @ cells / len(cells)

    def is_finite(self, x: Array) -> bool:
        if not x.numel():
            return True
        # The extremes are not numbers where one value is none; one pass, no map of
        # truths.
        extremes = torch.aminmax(x.permute(0, 2, 3, 1) if x.dim() == 4 else x)
        return all(bool(torch.isfinite(extreme)) for extreme in extremes)

    # -- spectra ------------------------------------------------------------------
    def fft(self, x: Array) -> tuple[Array, Array]:
        spectrum = torch.fft.rfft2(x)
        return spectrum.real, spectrum.imag

    def inverse_fft(
        self, real: Array, imaginary: Array, size: tuple[int, int]
    ) -> Array:
        return torch.fft.irfft2(torch.complex(real, imaginary), s=size)

    # -- calculus -----------------------------------------------------------------
    def stop_gradient(self, x: Array) -> Array:
        return x.detach()

    def value_and_grad(
        self, function: Callable[..., Array], *, static: bool = False
    ) -> Callable[..., tuple[Array, Any]]:
        def step(x: Any, plan: tuple[int, ...], *constants: Any) -> tuple[Array, Any]:
            with self._own_modes(), torch.enable_grad():
                arrays = x if isinstance(x, tuple) else (x,)
                leaves = tuple(_normal(a).detach().requires_grad_() for a in arrays)
                whole = leaves if isinstance(x, tuple) else leaves[0]
                value = function(whole, plan, *map(_normal, constants))
                if self._has_onednn:
                    # Its rectifier makes 0 of what is not a number, but a loss of such
                    # a picture is none.
                    value = value + 0 * sum(leaf.detach().sum() for leaf in leaves)
                if value.requires_grad:
                    values, value = [value], value.detach()
                    gradient = reverse.gradients(values, leaves)
                else:  # no leaf reaches the value
                    gradient = tuple(map(torch.zeros_like, leaves))
            # Sums are rounded by the order of memory: a map that was saved and read
            # again must have the same.
            gradient = tuple(map(_channels_last, gradient))
            return value, gradient if isinstance(x, tuple) else gradient[0]

        return step

    def function(
        self, function: Callable[..., list[Array]], *, static: bool = False
    ) -> Callable[..., list[Array]]:
        def run(x: Any, plan: tuple[int, ...], *constants: Any) -> list[Array]:
            with self._own_modes(), torch.no_grad():
                return function(x, plan, *constants)

        return run

    @contextlib.contextmanager
    def _own_modes(self) -> Iterator[None]:
        """Leaves the caller's modes: in them tensors have no gradient or precision.

        What is computed twice has the same bits.
        """
        with (
            torch.inference_mode(mode=False),
            torch.autocast(self._device.type, enabled=False),
            _repeatable(self._device),
        ):
            yield

    # -- layers that stay Keras' own ----------------------------------------------
    def to_keras(self, x: Array) -> Array:
        return x.permute(0, 2, 3, 1)

    def from_keras(self, x: Array) -> Array:
        return x.permute(0, 3, 1, 2)


class _Memory:
    """The memory of an array, for numpy, as if it could be written to."""

    def __init__(self, array: np.ndarray):
        self.array = array
        place = array.__array_interface__
        self.__array_interface__ = {**place, "data": (place["data"][0], False)}


class _Mosaic:
    """`Mosaic` on torch: memory for the whole map, which the first tile decides on."""

    def __init__(self, size: tuple[int, int]):
        self._size = size
        self._map: Any = None

    @torch.inference_mode(mode=False)
    @torch.no_grad()
    def put(self, x: Array, top: int, left: int) -> None:
        height, width = x.shape[2:]
        if (height, width) == self._size:
            self._map = x
            return
        if self._map is None:
            shape = (1, x.shape[1], *self._size)
            self._map = torch.empty(
                shape,
                dtype=x.dtype,
                device=x.device,
                memory_format=torch.channels_last,
            )
        self._map[:, :, top : top + height, left : left + width] = x

    def result(self) -> Array:
        return self._map


@contextlib.contextmanager
def _repeatable(device: torch.device) -> Iterator[None]:
    """Lets CUDA add in one order; elsewhere torch does so itself.

    The mode is one of the whole process, so that the caller's is put back.
    """
    if device.type != "cuda":
        yield
        return
    before = torch.are_deterministic_algorithms_enabled()
    warned = torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = torch.utils.deterministic
    filled = memory.fill_uninitialized_memory
    # A layer of somebody's own may know no other way: torch then warns.
    torch.use_deterministic_algorithms(True, warn_only=True)
    memory.fill_uninitialized_memory = False  # none is read
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warned)
        memory.fill_uninitialized_memory = filled


def _picked(x: Array, row: Array, column: Array) -> Array:
    """Returns the values of a map at places, bilinearly, mirrored beyond its edges.

    As `grid_sample`, whose gradient on CUDA is rounded differently each time.
    """
    total: Any = 0.0
    for down, down_share in _neighbours(row, x.shape[2]):
        for right, right_share in _neighbours(column, x.shape[3]):
            total = total + x[:, :, down, right] * (down_share * right_share)
    return total.contiguous(memory_format=torch.channels_last)


def _neighbours(place: Array, count: int) -> tuple[tuple[Array, Array], ...]:
    """Returns the two cells on either side of mirrored places, and their shares."""
    away = (place + 0.5) % (2 * count)
    inside = torch.where(away > count, 2 * count - away, away) - 0.5
    inside = inside.clamp(0, count - 1)
    first = inside.floor()
    share, cell = inside - first, first.long()
    return (cell, 1 - share), ((cell + 1).clamp_max(count - 1), share)


def _product(x: Array, matrix: Array) -> Array:
    """Returns the product of each cell's few channels with a matrix.

    The order of its sums depends on nothing, so that bands of a map have the bits of
    the whole; a convolution's depends on the size and the threads, and takes longer.
    """
    total: Any = None
    for channel, row in enumerate(matrix):
        part = x[:, channel : channel + 1] * row[:, None, None]
        total = part if total is None else total.add_(part)
    return _channels_last(total)


def _normal(x: Any) -> Any:
    """Returns a copy of a tensor of `torch.inference_mode`, which has no gradient."""
    return x.clone() if isinstance(x, torch.Tensor) and x.is_inference() else x


def _channels_last(x: Array) -> Array:
    """Returns a map in channels-last memory, which it usually is in already."""
    if x.dim() != 4:
        return x
    return x.contiguous(memory_format=torch.channels_last)


def _order(padding: Padding) -> tuple[Any, ...]:
    top, bottom, left, right = padding
    return left, right, top, bottom


def _symmetric(
    x: Array, padding: Padding, value: float
) -> tuple[Array, tuple[int, int]]:
    """Returns padding that the operation can apply itself, or pads before it."""
    top, bottom, left, right = padding
    if top == bottom and left == right:
        return x, (top, left)
    return F.pad(x, _order(padding), value=value), (0, 0)


def _operand(x: Array, y: Any) -> Any:
    is_vector = isinstance(y, torch.Tensor) and y.dim() == 1
    # A float32 vector must not widen a bfloat16 map.
    return y.to(x.dtype)[:, None, None] if is_vector else y


_ACTIVATIONS: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu": F.relu,
    "relu6": F.relu6,
    "silu": F.silu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    # Linear above torch's threshold of 20, which is exact in float32; without a
    # threshold exp overflows from 89.
    "softplus": F.softplus,
    "softsign": F.softsign,
    "softmax": lambda x: F.softmax(x, 1),
    "exponential": torch.exp,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "selu": F.selu,
    # Keras' definition: relu6(x + 3) / 6.
    "hard_sigmoid": F.hardsigmoid,
    "hard_silu": F.hardswish,
}
