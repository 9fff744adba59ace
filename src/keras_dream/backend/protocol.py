"""The protocol of the backends: torch, jax and tensorflow.

Arrays are opaque to the callers. A feature map holds one picture, two spatial axes and
channels, in an order of the backend's choice (torch has NCHW shapes in channels-last
memory, jax and tensorflow NHWC), so callers never index it. Images are passed in and
out as numpy float32 `(height, width, 3)`.

Conventions of every backend, tested by `tests/backend/test_protocol.py`:

* ties in a max-pool go to the first cell of the window, row by row;
* the gradient of ReLU at zero is zero;
* padded cells are left out of averages and never win a maximum. Keras 3.15 on torch
  averages wrongly where SAME pads unevenly (windows above 2 × 2): by 2 to 4 % in the
  mean, by 10 to 19 % in single cells at an edge;
* padding is explicit, `(top, bottom, left, right)`; an entry may be a value of the
  `plan` that `value_and_grad` passes to its function, so that one traced function
  serves all sizes.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

Array = Any  # a tensor of the running backend; opaque above this floor
Padding = tuple[Any, Any, Any, Any]  # top, bottom, left, right
NAMES = ("torch", "jax", "tensorflow")
IMAGE_CHANNELS = 3

# The activations of every backend, by Keras' names.
ACTIVATIONS = (
    "elu", "exponential", "gelu", "gelu_tanh", "hard_sigmoid", "hard_silu",
    "leaky_relu", "relu", "relu6", "selu", "sigmoid", "silu", "softmax", "softplus",
    "softsign", "tanh",
)  # fmt: skip


def reads_image(kernel: np.ndarray) -> bool:
    """Tells whether a convolution reads the image itself, and so is float32 always.

    In bfloat16 it would round grey levels and edges before the network sees them: that
    makes most of the difference between `motif`'s gradients in both precisions, while
    the time saved is hardly any (docs/networks.md).

    Args:
        kernel: (height, width, in / groups, out).
    """
    return kernel.shape[2] <= IMAGE_CHANNELS


class Mosaic(Protocol):
    """A feature map that is put together of tiles."""

    def put(self, x: Array, top: int, left: int) -> None:
        """Puts a tile in its place.

        Args:
            x: The tile, a feature map.
            top: The row of its first cell.
            left: The column of its first cell.
        """
        ...

    def result(self) -> Array:
        """Returns the map, after every cell was put there."""
        ...


class Backend(Protocol):
    """The operations that a network run in reverse needs, on one device.

    Attributes:
        name: "torch", "jax" or "tensorflow".
        device: The device's name, such as "cpu" or "cuda:0".
        precision: "float32", "tf32" or "bfloat16": how convolutions and products are
            computed. Images, losses, and convolutions that read the image are float32
            always.
        merges: Whether one wide 1 × 1 convolution and a split are faster than several
            narrow convolutions.
        keeps_little: Whether a gradient keeps nothing of a feature map that it does not
            need, see `graph.liveness`.
        threads: Threads of one operation, or None where the library does not report
            them.
    """

    name: str
    device: str
    precision: str
    threads: int | None
    merges: bool
    keeps_little: bool

    def fast_bfloat16(self) -> bool:
        """Whether the device computes bfloat16 itself, so that it is the faster one."""
        ...

    def at(self, precision: str) -> "Backend":
        """Returns the backend on the same device with another precision.

        Args:
            precision: "float32" or "bfloat16".
        """
        ...

    # -- in and out ---------------------------------------------------------------
    def image(self, image: np.ndarray) -> Array:
        """Copies an image, numpy float32 (h, w, c), to the device as a feature map."""
        ...

    def to_image(self, x: Array) -> np.ndarray:
        """Copies a feature map to the host: numpy float32 (h, w, c), contiguous."""
        ...

    def image_view(self, image: np.ndarray) -> Array:
        """As `image`, but without a copy where the device can have the host's memory.

        The array must not be written to as long as the feature map is used.
        """
        ...

    def host_view(self, x: Array) -> np.ndarray:
        """As `to_image`, but without a copy where that is possible; read-only."""
        ...

    def to_float(self, x: Array) -> float:
        """Returns a scalar as a Python float (waits for the device)."""
        ...

    def array(self, values: np.ndarray) -> Array:
        """Copies values to the device as float32, of any shape.

        One value per channel is of shape (c,).
        """
        ...

    def to_numpy(self, x: Array) -> np.ndarray:
        """Copies an array of any shape to the host, as float32; not for feature maps.

        The axes are those of `array`; those of a feature map are the backend's own.
        """
        ...

    def kernel(self, values: np.ndarray) -> Array:
        """Prepares a convolution kernel, numpy (height, width, in / groups, out)."""
        ...

    def depthwise_kernel(self, values: np.ndarray) -> Array:
        """Prepares a depthwise kernel, numpy (height, width, in, multiplier)."""
        ...

    def memory(self) -> Mapping[str, int]:
        """Returns bytes: `total`, `free`, `peak`, those that the device reports."""
        ...

    def give_back_memory(self) -> None:
        """Gives memory back to the system that is kept for the next arrays."""
        ...

    # -- linear, norms and pooling ------------------------------------------------
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
        """Cross-correlates; pads with zeros; `relu` applies ReLU in place."""
        ...

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
        """Convolves each channel alone; channel c becomes c·m … c·m + m − 1."""
        ...

    def max_pool(
        self,
        x: Array,
        *,
        size: tuple[int, int],
        stride: tuple[int, int],
        padding: Padding,
    ) -> Array:
        """Takes window maxima; the first of equal cells wins, a padded one never."""
        ...

    def average_pool(
        self,
        x: Array,
        *,
        size: tuple[int, int],
        stride: tuple[int, int],
        padding: Padding,
    ) -> Array:
        """Takes window means over the cells inside the feature map."""
        ...

    def matmul(self, x: Array, matrix: Array) -> Array:
        """Multiplies every cell's channels by a matrix (in, out) from `array`."""
        ...

    def layer_norm(self, x: Array, scale: Array, shift: Array, epsilon: float) -> Array:
        """Normalizes each cell's channels to mean 0, variance 1; scales and shifts.

        Args:
            x: A feature map.
            scale: Factor of each normalized channel, from `array`.
            shift: Added to each scaled channel, from `array`.
            epsilon: Added to the population variance.
        """
        ...

    # -- shape --------------------------------------------------------------------
    def pad(
        self, x: Array, padding: Padding, *, mode: str = "zero", value: float = 0.0
    ) -> Array:
        """Pads the spatial axes; mode "zero" (with `value`), "wrap" or "reflect"."""
        ...

    def crop(self, x: Array, padding: Padding) -> Array:
        """Cuts cells off the four sides; nothing left is an empty feature map."""
        ...

    def mosaic(self, size: tuple[int, int]) -> Mosaic:
        """Begins a feature map of (height, width) that is put together of tiles.

        The tiles are put row by row, from left to right, and have no gradient.
        """
        ...

    def concat(self, xs: Sequence[Array]) -> Array:
        """Joins feature maps along their channels."""
        ...

    def gather(self, x: Array, channels: Sequence[int]) -> Array:
        """Picks channels by their numbers."""
        ...

    def split(self, x: Array, counts: Sequence[int]) -> list[Array]:
        """Splits the channels into consecutive groups of these sizes."""
        ...

    def roll(self, x: Array, down: int, right: int) -> Array:
        """Shifts a feature map cyclically, like `numpy.roll`."""
        ...

    def flip(self, x: Array) -> Array:
        """Mirrors a feature map, left for right."""
        ...

    def warp(self, x: Array, matrix: Array) -> Array:
        """Moves a float32 map by an affine map of places, bilinearly, at its own size.

        Beyond the edges the map is mirrored, the cells at the edges twice.

        Args:
            x: A feature map.
            matrix: From `array`, 6 values a, b, c, d, e, f: the cell in row i and
                column j comes from row a·i + b·j + c and column d·i + e·j + f.
        """
        ...

    def resample(
        self,
        x: Array,
        rows: tuple[np.ndarray, np.ndarray],
        columns: tuple[np.ndarray, np.ndarray],
    ) -> Array:
        """Resamples separably: rows first, then columns.

        Args:
            x: A float32 feature map.
            rows: Source row numbers, int (n_out, taps), and their float32 weights.
            columns: The same for columns.
        """
        ...

    def count(self, x: Array) -> Any:
        """Returns the number of values: a number, or a traced float scalar."""
        ...

    def channels(self, x: Array) -> int:
        """Returns the number of channels of a feature map."""
        ...

    def size(self, x: Array) -> tuple[Any, Any]:
        """Returns the cells down and across: numbers, or traced whole scalars."""
        ...

    # -- pointwise ----------------------------------------------------------------
    def add(self, x: Array, y: Any) -> Array:
        """Adds a feature map, a vector (one value per channel), a scalar or a number.

        Feature maps of 1 × 1 cells or of one channel are broadcast.
        """
        ...

    def subtract(self, x: Array, y: Any) -> Array:
        """Subtracts; operands as in `add`."""
        ...

    def multiply(self, x: Array, y: Any) -> Array:
        """Multiplies; operands as in `add`."""
        ...

    def divide(self, x: Array, y: Any) -> Array:
        """Divides; operands as in `add`."""
        ...

    def maximum(self, x: Array, y: Any) -> Array:
        """Takes the larger; operands as in `add`."""
        ...

    def square(self, x: Array) -> Array:
        """Squares."""
        ...

    def power(self, x: Array, exponent: float) -> Array:
        """Raises positive values to a power."""
        ...

    def absolute(self, x: Array) -> Array:
        """Takes absolute values."""
        ...

    def clip(self, x: Array, low: float, high: float) -> Array:
        """Limits values to [low, high]."""
        ...

    def activation(self, x: Array, name: str, *, negative_slope: float = 0.0) -> Array:
        """Applies one of `ACTIVATIONS`.

        Args:
            x: A feature map; softmax is over its channels.
            name: The activation.
            negative_slope: That of leaky_relu; Keras' alpha of elu.
        """
        ...

    # -- reductions ---------------------------------------------------------------
    def sum(self, x: Array) -> Array:
        """Sums everything to a float32 scalar."""
        ...

    def mean(self, x: Array) -> Array:
        """Averages everything to a float32 scalar; NaN for an empty feature map."""
        ...

    def row_sums(self, x: Array) -> np.ndarray:
        """Returns the sum of each row of a map over its columns and channels.

        Returns:
            float32 (height,), on the host. A row's sum does not depend on how many
            other rows there are, as long as there are two or more: bands of a map have
            the sums of the whole (torch on a processor; elsewhere but for rounding).
        """
        ...

    def global_mean(self, x: Array) -> Array:
        """Averages over the spatial axes, to 1 × 1 cells."""
        ...

    def global_max(self, x: Array) -> Array:
        """Takes the maximum over the spatial axes, to 1 × 1 cells."""
        ...

    def dot(self, x: Array, y: Array) -> Array:
        """Multiplies each cell's channels by those of `y` and sums: one channel.

        Args:
            x: A feature map.
            y: A feature map of that size, or a vector (one value per channel).
        """
        ...

    def channel_max(self, x: Array) -> Array:
        """Takes each cell's largest channel, of equals the first: one channel."""
        ...

    def gram(self, x: Array) -> Array:
        """Returns the mean over all cells of the products of two channels: (c, c)."""
        ...

    def is_finite(self, x: Array) -> bool:
        """Returns whether every value is finite."""
        ...

    # -- spectra ------------------------------------------------------------------
    def fft(self, x: Array) -> tuple[Array, Array]:
        """Returns the 2D spectrum of a real feature map: real and imaginary parts.

        Both are feature maps of (h, w // 2 + 1) cells, as of `numpy.fft.rfft2`.
        """
        ...

    def inverse_fft(
        self, real: Array, imaginary: Array, size: tuple[int, int]
    ) -> Array:
        """Returns the real feature map of `size` whose spectrum `fft` returned."""
        ...

    # -- calculus -----------------------------------------------------------------
    def stop_gradient(self, x: Array) -> Array:
        """Returns the same values, which count as constant in `value_and_grad`."""
        ...

    def value_and_grad(
        self, function: Callable[..., Array], *, static: bool = False
    ) -> Callable[..., tuple[Array, Any]]:
        """Returns `g(x, plan, *constants)`: the value of `function` and its gradient.

        The gradient is right whatever surrounds the call: `torch.no_grad`,
        `torch.inference_mode`, autocast. One `g` may be used in several threads.

        Args:
            function: `function(x, plan, *constants)` gives a scalar; pure; made of this
                protocol's operations. `x` is an array or a tuple of arrays (feature
                maps, spectra, any float32 array), and the gradient has the structure
                of `x`. `plan` is a tuple of whole numbers that depend on the size of
                the picture (paddings); inside they are numbers (torch, jax) or traced
                scalars (tensorflow). `constants` are arrays and whole numbers that
                may change from call to call without compiling again (the offset of
                `roll`); they have no gradient.
            static: Whether the function must see sizes and plan as numbers, as layers
                that stay Keras' own must: then tensorflow traces once a size.

        Returns:
            A function, compiled where that pays (jax: once a size and plan;
            tensorflow: once for all sizes of its feature maps). It keeps no graph.
        """
        ...

    def function(
        self, function: Callable[..., list[Array]], *, static: bool = False
    ) -> Callable[..., list[Array]]:
        """Returns `function` compiled as by `value_and_grad`, without a gradient."""
        ...

    # -- layers that stay Keras' own ----------------------------------------------
    def to_keras(self, x: Array) -> Array:
        """Returns a feature map as a (1, h, w, c) tensor for a Keras layer."""
        ...

    def from_keras(self, x: Array) -> Array:
        """Returns a Keras layer's (1, h, w, c) tensor as a feature map."""
        ...
