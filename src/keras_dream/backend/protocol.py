"""The one door to the array libraries: torch, jax and tensorflow behind one protocol.

Arrays behind this door are opaque. Feature maps have one picture, two spatial axes
and channels; in which order they lie in memory is the backend's own affair (torch
keeps channels-last memory under NCHW shapes, jax and tensorflow use NHWC), so nobody
above indexes them. Images enter and leave as numpy float32 `(height, width, 3)`.

Conventions that every backend keeps, held by `tests/test_backend.py`:

* ties in a max-pool go to the first cell of the window, row by row;
* the slope of a rectifier at zero is zero;
* padded cells count in no average and win no maximum;
* padding is explicit, `(top, bottom, left, right)`; an entry may be a value that the
  backend handed to the function of `value_and_grad` in `plan`, so that one traced
  function serves all sizes.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

Array = Any  # a tensor of the running backend; opaque above this floor
Padding = tuple[Any, Any, Any, Any]  # top, bottom, left, right
NAMES = ("torch", "jax", "tensorflow")

# The activations that every backend knows, by the names Keras gives them.
ACTIVATIONS = (
    "elu", "exponential", "gelu", "gelu_tanh", "hard_sigmoid", "hard_silu",
    "leaky_relu", "relu", "relu6", "selu", "sigmoid", "silu", "softmax", "softplus",
    "softsign", "tanh",
)  # fmt: skip


class Backend(Protocol):
    """The operations that a network run in reverse needs, on one device.

    Attributes:
        name: "torch", "jax" or "tensorflow".
        device: The device's name, such as "cpu" or "cuda:0".
        precision: "float32", "tf32" or "bfloat16": how convolutions and products are
            computed. Images and losses are float32 always.
        merges: Whether one wide 1 × 1 convolution is faster than several narrow ones
            and the split behind it.
        threads: Threads of one operation, or None where the library does not tell.
    """

    name: str
    device: str
    precision: str
    threads: int | None
    merges: bool

    # -- in and out ---------------------------------------------------------------
    def image(self, image: np.ndarray) -> Array:
        """Copies an image, numpy float32 (h, w, c), to the device as a feature map."""
        ...

    def to_image(self, x: Array) -> np.ndarray:
        """Copies a feature map to the host: numpy float32 (h, w, c), contiguous."""
        ...

    def to_float(self, x: Array) -> float:
        """Returns a scalar as a Python float (waits for the device)."""
        ...

    def array(self, values: np.ndarray) -> Array:
        """Copies numpy values of any shape to the device, as float32."""
        ...

    def to_numpy(self, x: Array) -> np.ndarray:
        """Copies an array of any shape to the host, as float32; not for feature maps.

        The axes are those that the array has on the device: those of `array`, but for
        feature maps the backend's own, for which `to_image` is made.
        """
        ...

    def vector(self, values: np.ndarray) -> Array:
        """Copies one value per channel, numpy (c,), to the device."""
        ...

    def kernel(self, values: np.ndarray) -> Array:
        """Prepares a convolution kernel, numpy (height, width, in / groups, out)."""
        ...

    def depthwise_kernel(self, values: np.ndarray) -> Array:
        """Prepares a depthwise kernel, numpy (height, width, in, multiplier)."""
        ...

    def memory(self) -> Mapping[str, int]:
        """Returns bytes as far as the device tells: `total`, `free`, `peak`."""
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
        """Cross-correlates; pads with zeros; `relu` rectifies the result in place."""
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
        """Convolves every channel on its own; channel c gives c·m … c·m + m − 1."""
        ...

    def max_pool(
        self,
        x: Array,
        *,
        size: tuple[int, int],
        stride: tuple[int, int],
        padding: Padding,
    ) -> Array:
        """Takes window maxima; padded cells never win; the first of equals wins."""
        ...

    def average_pool(
        self,
        x: Array,
        *,
        size: tuple[int, int],
        stride: tuple[int, int],
        padding: Padding,
    ) -> Array:
        """Takes window means over the cells that lie inside the map."""
        ...

    def matmul(self, x: Array, matrix: Array) -> Array:
        """Multiplies every cell's channels by a matrix (in, out) from `vector`."""
        ...

    def layer_norm(self, x: Array, scale: Array, shift: Array, epsilon: float) -> Array:
        """Gives every cell's channels mean 0 and variance 1, then an affine map.

        Args:
            x: A feature map.
            scale: What the normalised channels are multiplied by, from `vector`.
            shift: What is added then, from `vector`.
            epsilon: Added to the variance (of the whole population).
        """
        ...

    # -- shape --------------------------------------------------------------------
    def pad(
        self, x: Array, padding: Padding, *, mode: str = "zero", value: float = 0.0
    ) -> Array:
        """Pads the spatial axes; mode "zero" (with `value`), "wrap" or "reflect"."""
        ...

    def crop(self, x: Array, padding: Padding) -> Array:
        """Cuts cells off the four sides; what vanishes leaves an empty map."""
        ...

    def concat(self, xs: Sequence[Array]) -> Array:
        """Joins feature maps along their channels."""
        ...

    def gather(self, x: Array, channels: Sequence[int]) -> Array:
        """Picks channels by their numbers."""
        ...

    def split(self, x: Array, counts: Sequence[int]) -> list[Array]:
        """Parts the channels into consecutive groups of these sizes."""
        ...

    def roll(self, x: Array, down: int, right: int) -> Array:
        """Shifts a feature map cyclically, like `numpy.roll`."""
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
        """Returns how many values a map holds: a number, or a traced float scalar."""
        ...

    # -- pointwise ----------------------------------------------------------------
    def add(self, x: Array, y: Any) -> Array:
        """Adds maps, maps of 1 × 1 (broadcast), vectors (per channel) or numbers."""
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

    def exp(self, x: Array) -> Array:
        """Raises e to the values."""
        ...

    def log(self, x: Array) -> Array:
        """Takes natural logarithms of positive values."""
        ...

    def clip(self, x: Array, low: float, high: float) -> Array:
        """Limits values to [low, high]."""
        ...

    def activation(self, x: Array, name: str, slope: float = 0.0) -> Array:
        """Applies one of `ACTIVATIONS`; `slope` is leaky_relu's and elu's."""
        ...

    # -- reductions ---------------------------------------------------------------
    def sum(self, x: Array) -> Array:
        """Sums everything to a float32 scalar."""
        ...

    def mean(self, x: Array) -> Array:
        """Averages everything to a float32 scalar; not a number for an empty map."""
        ...

    def max(self, x: Array) -> Array:
        """Takes the maximum of everything, a float32 scalar."""
        ...

    def log_sum_exp(self, x: Array) -> Array:
        """Returns log(sum(exp(x))) of everything, a float32 scalar, without overflow.

        `exp(subtract(x, log_sum_exp(x)))` is the softmax over all values.
        """
        ...

    def global_mean(self, x: Array) -> Array:
        """Averages over the spatial axes, to a map of 1 × 1."""
        ...

    def global_max(self, x: Array) -> Array:
        """Takes the maximum over the spatial axes, to a map of 1 × 1."""
        ...

    def is_finite(self, x: Array) -> bool:
        """Tells whether every value is finite."""
        ...

    # -- spectra ------------------------------------------------------------------
    def fft(self, x: Array) -> tuple[Array, Array]:
        """Transforms a real map over its spatial axes: real and imaginary halves."""
        ...

    def inverse_fft(
        self, real: Array, imaginary: Array, size: tuple[int, int]
    ) -> Array:
        """Transforms `fft`'s halves back to a real map of `size`."""
        ...

    # -- calculus -----------------------------------------------------------------
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
        """Returns a map as the (1, h, w, c) tensor that a Keras layer takes."""
        ...

    def from_keras(self, x: Array) -> Array:
        """Returns a Keras layer's (1, h, w, c) tensor as a map."""
        ...
