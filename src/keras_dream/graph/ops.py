"""The operations of a graph: one class for each, and one table of them.

A class says everything about an operation: its attributes and their checks, the
channels and the size of its feature map, its padding, what its cells see and where they
lie, and how it is run. To add an operation, write a class with what differs from
`Operation`, add it to `OPERATIONS`, and give every backend a method for it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np

from keras_dream.backend.protocol import ACTIVATIONS, Array, Backend
from keras_dream.geometry import Size

INPUT = "input"
LARGEST = 4096  # cells of a window, a stride or a padding; no known network has more

Padding = tuple[Any, Any, Any, Any]  # top, bottom, left, right: numbers or traced
Sides = tuple[int, int]  # cells before and after, along one axis
Span = tuple[int, int]  # cells along one axis, from the first to before the second
Run = Callable[[list[Array], Padding], Array]
"""An operation on a device: (input feature maps, padding) → feature map."""


@dataclass(frozen=True)
class Node:
    """One operation of a graph.

    Attributes:
        name: Its name in the graph: the layer's own, or its class and ordinal; a
            layer's inner operation has "/" and a word behind that.
        op: A key of `OPERATIONS`.
        inputs: Names of the nodes that it reads.
        attrs: Its attributes, as JSON types.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    attrs: Mapping[str, Any] = field(default_factory=dict)


class ReceptiveField(NamedTuple):
    """What a cell sees: side and stride in pixels; infinite for the whole picture."""

    size: float
    stride: float


class Axis(NamedTuple):
    """Centres of cells along one axis, in pixels: cell i lies at `first + i * step`.

    The first pixel's own centre is 0.5.
    """

    first: float
    step: float

    def at(self, cell: float) -> float:
        """Returns the centre of a cell in pixels from the picture's edge."""
        return self.first + cell * self.step


# -- checks ----------------------------------------------------------------------------
def must(true: object, what: str) -> None:
    """Raises ValueError unless something is true."""
    if not true:
        raise ValueError(what)


def _are_whole(values: Any, count: int, least: int) -> bool:
    return (
        isinstance(values, list | tuple)
        and len(values) == count
        and all(type(v) is int and least <= v <= LARGEST for v in values)
    )


def _is_pair(value: Any) -> bool:
    return _are_whole(value, 2, 1)


def _is_sides(value: Any) -> bool:
    return _are_whole(value, 4, 0)


def _is_padding(value: Any) -> bool:
    return value in ("same", "valid") or _is_sides(value)


def _is_count(value: Any) -> bool:
    return _are_whole([value], 1, 1)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _is_channels(value: Any) -> bool:
    return bool(value) and _are_whole(value, len(value), 0)


def _is_activation(value: Any) -> bool:
    return value in ACTIVATIONS


# -- the base --------------------------------------------------------------------------
class Operation:
    """An operation with the attributes and weights of a node.

    The base is an operation that takes one feature map, cell by cell, and gives one of
    the same size and channels.

    Args:
        node: The node.
        weights: The graph's arrays, by "node/kernel" and the like.
        layer: The Keras layer of an opaque node.

    Attributes:
        attributes: The allowed attributes and what each value must be.
        optional: Those that may be missing.
        takes_many: Whether it takes any number of inputs.
        is_global: Whether it makes one cell out of the whole feature map.
        sees_everything: Whether a cell may see the whole picture.
        is_map: Whether it makes a feature map, which can be cut.
        vanished: What is said where it has no cells.
    """

    attributes: ClassVar[Mapping[str, Callable[[Any], bool]]] = {}
    optional: ClassVar[Sequence[str]] = ()
    takes_many: ClassVar[bool] = False
    is_global: ClassVar[bool] = False
    sees_everything: ClassVar[bool] = False
    is_map: ClassVar[bool] = True
    vanished: ClassVar[str] = "has no cells left"

    def __init__(
        self, node: Node, weights: Mapping[str, np.ndarray], *, layer: Any = None
    ):
        self.node = node
        self.attrs = node.attrs
        self.layer = layer
        self._weights = weights

    def weight(self, kind: str) -> np.ndarray | None:
        """Returns the array "kernel", "bias", "scale" or "shift" if there is one."""
        return self._weights.get(f"{self.node.name}/{kind}")

    def array(self, kind: str) -> np.ndarray:
        """Returns an array that must be there; a KeyError otherwise."""
        return self._weights[f"{self.node.name}/{kind}"]

    def check(self, channels: Sequence[int]) -> None:
        """Makes sure of inputs, attributes and weights, which may be forged.

        Args:
            channels: Of the inputs.

        Raises:
            ValueError, TypeError, KeyError, …: If anything is not as it must be.
        """
        must(isinstance(self.attrs, dict), "attributes")
        must({*self.attrs} <= {*self.attributes}, "known attributes")
        for name, is_valid in self.attributes.items():
            if name not in self.optional or name in self.attrs:
                must(is_valid(self.attrs[name]), name)
        must(channels if self.takes_many else len(channels) == 1, "inputs")

    def channels(self, inputs: Sequence[int]) -> int:
        """Returns the number of channels, given those of the inputs."""
        return inputs[0]

    @property
    def depends_on_size(self) -> bool:
        """Whether the padding depends on the size of the picture."""
        return False

    def padding(self, size: Size) -> tuple[int, int, int, int]:
        """Returns the padding (top, bottom, left, right) for an input of a size."""
        return (0, 0, 0, 0)

    @property
    def fixed_padding(self) -> tuple[int, int, int, int] | None:
        """The padding if it is the same for every size, else None."""
        return None if self.depends_on_size else self.padding((1, 1))

    def size(self, inputs: Sequence[Size], channels: Sequence[int]) -> Size:
        """Returns the size of the feature map; what vanishes is 0 or less.

        Args:
            inputs: Sizes of the inputs.
            channels: Of the inputs.
        """
        return inputs[0]

    # -- along one axis: what `graph.regions` computes tiles with ------------------
    def step(self, axis: int) -> int:
        """Returns how many cells of the input lie between two of the output."""
        return 1

    def cells(self, n: int, axis: int, padding: Sides) -> int:
        """Returns how many cells are made of `n` cells of the input.

        Args:
            n: Cells of the input along the axis.
            axis: 0 for down, 1 for across.
            padding: Before and after them.
        """
        return n

    def needed(self, span: Span, axis: int, n: int, padding: Sides) -> Span:
        """Returns which cells of the input a tile must have for cells of the output.

        A tile is run with the whole picture's padding, and its first cell is a multiple
        of `step`: its output begins at that multiple, with wrong cells where the input
        goes on beyond the tile. What is returned keeps them away from `span`.

        Args:
            span: The cells of the output, at least one.
            axis: 0 for down, 1 for across.
            n: Cells of the whole input along the axis.
            padding: The whole picture's, before and after.
        """
        return (0, n) if self.sees_everything else span

    def least(self, span: Span, axis: int, padding: Sides) -> Span:
        """Returns which cells a tile must have for cells to be made at all.

        As `needed`, but the cells may be wrong, and beyond the picture's edge nothing
        is cut off.
        """
        return span

    def flops(self, size: Size) -> int:
        """Returns multiplications and additions for an output of a size."""
        return 0

    def comparisons(self, size: Size, channels: int) -> int:
        """Returns how many cells windows without weights read for such an output."""
        return 0

    def receptive_field(self, inputs: Sequence[ReceptiveField]) -> ReceptiveField:
        """Returns what a cell sees, given what the cells of the inputs see."""
        if self.sees_everything:
            return ReceptiveField(math.inf, math.inf)
        # A cell that scales a feature map, as in squeeze-and-excite, has no stride.
        stride = min(field.stride for field in inputs)
        return ReceptiveField(max(field.size for field in inputs), stride)

    def centres(self, axis: Axis, number: int, padding: int) -> Axis:
        """Returns where cells lie along an axis.

        Args:
            axis: Where the cells of the inputs lie.
            number: 0 for down, 1 for across.
            padding: Before the first cell.
        """
        return axis

    def prepare(self, backend: Backend) -> Run:
        """Returns the operation with its weights on a device."""
        return lambda xs, padding: self.run(backend, xs[0], padding)

    def run(self, backend: Backend, x: Array, padding: Padding) -> Array:
        """Runs an operation that has no weights."""
        raise NotImplementedError


# -- operations on cells ---------------------------------------------------------------
class Input(Operation):
    """The image, which has 3 channels in [0, 1]."""

    attributes: ClassVar = {"channels": lambda value: value == 3}

    def check(self, channels: Sequence[int]) -> None:
        super().check([3])
        must(not self.node.inputs, "no inputs")

    def channels(self, inputs: Sequence[int]) -> int:
        return 3

    def receptive_field(self, inputs: Sequence[ReceptiveField]) -> ReceptiveField:
        return ReceptiveField(1, 1)

    def run(self, backend: Backend, x: Array, padding: Padding) -> Array:
        return x


class Affine(Operation):
    """Multiplies by "scale" and adds "shift": one number, or one for each channel.

    A feature map of one channel becomes as many as there are numbers.
    """

    def check(self, channels: Sequence[int]) -> None:
        super().check(channels)
        count = self.channels(channels)
        for kind in ("scale", "shift"):
            must(self.array(kind).shape in ((1,), (count,)), kind)
        must(channels[0] in (1, count), "channels")

    def channels(self, inputs: Sequence[int]) -> int:
        return max(inputs[0], len(self.array("scale")), len(self.array("shift")))

    def prepare(self, backend: Backend) -> Run:
        scale = backend.array(self.array("scale"))
        shift = backend.array(self.array("shift"))
        return lambda xs, _: backend.add(backend.multiply(xs[0], scale), shift)


class LayerNorm(Operation):
    """Normalises the channels of every cell, then multiplies and adds."""

    attributes: ClassVar = {"epsilon": lambda value: _is_finite(value) and value >= 0}

    def check(self, channels: Sequence[int]) -> None:
        super().check(channels)
        for kind in ("scale", "shift"):
            must(self.array(kind).shape == (channels[0],), kind)

    def prepare(self, backend: Backend) -> Run:
        scale = backend.array(self.array("scale"))
        shift = backend.array(self.array("shift"))
        epsilon = self.attrs["epsilon"]
        return lambda xs, _: backend.layer_norm(xs[0], scale, shift, epsilon)


class Activation(Operation):
    """One of the backends' activations."""

    attributes: ClassVar = {"kind": _is_activation, "negative_slope": _is_finite}
    optional = ("negative_slope",)

    def run(self, backend: Backend, x: Array, padding: Padding) -> Array:
        slope = self.attrs.get("negative_slope", 0.0)
        return backend.activation(x, self.attrs["kind"], negative_slope=slope)


class Power(Operation):
    """Raises positive values to a power."""

    attributes: ClassVar = {"exponent": _is_finite}

    def run(self, backend: Backend, x: Array, padding: Padding) -> Array:
        return backend.power(x, self.attrs["exponent"])


class Gather(Operation):
    """Picks channels by their numbers."""

    attributes: ClassVar = {"channels": _is_channels}

    def check(self, channels: Sequence[int]) -> None:
        super().check(channels)
        must(max(self.attrs["channels"]) < channels[0], "channels that are there")

    def channels(self, inputs: Sequence[int]) -> int:
        return len(self.attrs["channels"])

    def run(self, backend: Backend, x: Array, padding: Padding) -> Array:
        return backend.gather(x, self.attrs["channels"])


class _Internal(Operation):
    """An operation that only passes make, and no file may hold."""

    def check(self, channels: Sequence[int]) -> None:
        must(False, "an operation for files")


class Split(_Internal):
    """Parts the channels into consecutive groups; only `Part` reads the result."""

    is_map = False

    def run(self, backend: Backend, x: Array, padding: Padding) -> Array:
        return backend.split(x, self.attrs["counts"])


class Part(_Internal):
    """One group of a `Split`."""

    def channels(self, inputs: Sequence[int]) -> int:
        return self.attrs["channels"]

    def run(self, backend: Backend, x: Array, padding: Padding) -> Array:
        return x[self.attrs["index"]]


# -- operations that join --------------------------------------------------------------
class Join(Operation):
    """Combines any number of feature maps, two at a time.

    Sides of one cell and feature maps of one channel are broadcast against the others.

    Attributes:
        method: The backend's method.
        broadcasts: Whether an axis of one cell fits any other.
    """

    takes_many = True
    method: ClassVar[str]
    broadcasts: ClassVar[bool] = True

    def check(self, channels: Sequence[int]) -> None:
        super().check(channels)
        must({*channels} <= {1, max(channels)}, "channels that fit")

    def channels(self, inputs: Sequence[int]) -> int:
        return max(inputs)

    def size(self, inputs: Sequence[Size], channels: Sequence[int]) -> Size:
        return max(h for h, _ in inputs), max(w for _, w in inputs)

    def misfits(self, inputs: Sequence[Size]) -> tuple[int, ...]:
        """Returns the axes (0, 1) along which the inputs cannot be joined."""
        free = {1} if self.broadcasts else set()
        return tuple(
            axis for axis in (0, 1) if len({size[axis] for size in inputs} - free) > 1
        )

    def prepare(self, backend: Backend) -> Run:
        combine = getattr(backend, self.method)

        def run(xs: list[Array], padding: Padding) -> Array:
            total = xs[0]
            for x in xs[1:]:
                total = combine(total, x)
            return total

        return run


class Add(Join):
    """Sums."""

    method = "add"


class Subtract(Join):
    """Subtracts the others from the first."""

    method = "subtract"


class Maximum(Join):
    """Takes the largest."""

    method = "maximum"


class Multiply(Join):
    """Multiplies inputs with each other, or one input by a factor."""

    method = "multiply"
    attributes: ClassVar = {"factor": _is_finite}
    optional = ("factor",)

    def check(self, channels: Sequence[int]) -> None:
        super().check(channels)
        must("factor" not in self.attrs or len(channels) == 1, "one input")

    def prepare(self, backend: Backend) -> Run:
        if "factor" not in self.attrs:
            return super().prepare(backend)
        factor = self.attrs["factor"]
        return lambda xs, _: backend.multiply(xs[0], factor)


class Concat(Join):
    """Joins along the channels."""

    broadcasts = False

    def check(self, channels: Sequence[int]) -> None:
        Operation.check(self, channels)

    def channels(self, inputs: Sequence[int]) -> int:
        return sum(inputs)

    def prepare(self, backend: Backend) -> Run:
        return lambda xs, _: backend.concat(xs)


# -- operations on windows -------------------------------------------------------------
class Window(Operation):
    """Moves a window of "size" over the feature map."""

    attributes: ClassVar = {
        "size": _is_pair,
        "stride": _is_pair,
        "padding": _is_padding,
    }

    @property
    def window(self) -> Size:
        """Cells of the window: down, across."""
        down, across = self.attrs["size"]
        return down, across

    @property
    def stride(self) -> Size:
        """Cells from one window to the next: down, across."""
        down, across = self.attrs["stride"]
        return down, across

    @property
    def dilation(self) -> Size:
        """Cells of the input from one cell of the window to the next."""
        down, across = self.attrs.get("dilation", (1, 1))
        return down, across

    @property
    def depends_on_size(self) -> bool:
        return self.attrs["padding"] == "same" and max(self.stride) > 1

    def padding(self, size: Size) -> tuple[int, int, int, int]:
        sides = list(self._own_padding(size))
        for axis in self.attrs.get("wrapped", ()):  # padded by a `Wrap` before it
            sides[2 * axis : 2 * axis + 2] = (0, 0)
        return sides[0], sides[1], sides[2], sides[3]

    def _own_padding(self, size: Size) -> tuple[int, int, int, int]:
        padding = self.attrs["padding"]
        if padding == "valid":
            return (0, 0, 0, 0)
        if padding != "same":
            top, bottom, left, right = padding
            return top, bottom, left, right
        sides: list[int] = []
        # SAME: as few cells as the rounded-up output needs, the odd one at the end.
        axes = zip(size, self.window, self.dilation, self.stride, strict=True)
        for n, k, d, s in axes:
            total = max((math.ceil(n / s) - 1) * s + (k - 1) * d + 1 - n, 0)
            total = (k - 1) * d if s == 1 else total
            sides += [total // 2, total - total // 2]
        return sides[0], sides[1], sides[2], sides[3]

    def size(self, inputs: Sequence[Size], channels: Sequence[int]) -> Size:
        padding = self.padding(inputs[0])
        height, width = (
            self.cells(n, axis, (padding[2 * axis], padding[2 * axis + 1]))
            for axis, n in enumerate(inputs[0])
        )
        return height, width

    def _span(self, axis: int) -> int:
        """Returns how many cells of the input the window reaches over."""
        return (self.window[axis] - 1) * self.dilation[axis] + 1

    def step(self, axis: int) -> int:
        return self.stride[axis]

    def cells(self, n: int, axis: int, padding: Sides) -> int:
        return (n + sum(padding) - self._span(axis)) // self.stride[axis] + 1

    def needed(self, span: Span, axis: int, n: int, padding: Sides) -> Span:
        stride, before = self.stride[axis], padding[0]
        start = span[0] * stride - before
        end = (span[1] - 1) * stride - before + self._span(axis)
        # A window may lie in the padding only: then the nearest cell is taken.
        return min(max(start, 0), n - 1), max(min(end, n), 1)

    def least(self, span: Span, axis: int, padding: Sides) -> Span:
        stride = self.stride[axis]
        end = (span[1] - 1) * stride + self._span(axis) - sum(padding)
        return span[0] * stride, end

    def receptive_field(self, inputs: Sequence[ReceptiveField]) -> ReceptiveField:
        size, stride = inputs[0]
        span = max((k - 1) * d for k, d in zip(self.window, self.dilation, strict=True))
        if span:  # 0 times an infinite stride is not a number
            size += span * stride
        return ReceptiveField(size, stride * max(self.stride))

    def centres(self, axis: Axis, number: int, padding: int) -> Axis:
        middle = (self.window[number] - 1) * self.dilation[number] / 2 - padding
        return Axis(axis.at(middle), axis.step * self.stride[number])


class _Pool(Window):
    """A window without weights."""

    def check(self, channels: Sequence[int]) -> None:
        super().check(channels)
        if isinstance(sides := self.attrs["padding"], str):
            return
        for axis, cells in enumerate(self.window):
            before, after = sides[2 * axis : 2 * axis + 2]
            # One that is all padding has no largest cell and no mean, and what torch
            # pads itself, evenly, must be within half the window.
            fits = max(before, after) < cells and (
                before != after or 2 * before <= cells
            )
            must(fits, "padding within a window")

    def comparisons(self, size: Size, channels: int) -> int:
        return math.prod(self.window) * math.prod(size) * channels


class MaxPool(_Pool):
    """Takes window maxima."""

    def run(self, backend: Backend, x: Array, padding: Padding) -> Array:
        return backend.max_pool(
            x, size=self.window, stride=self.stride, padding=padding
        )


class AveragePool(_Pool):
    """Takes window means over the cells that lie inside the feature map."""

    def run(self, backend: Backend, x: Array, padding: Padding) -> Array:
        return backend.average_pool(
            x, size=self.window, stride=self.stride, padding=padding
        )


class _Convolution(Window):
    """A window with "kernel" and maybe "bias"."""

    attributes: ClassVar = {
        "stride": _is_pair,
        "padding": _is_padding,
        "dilation": _is_pair,
    }

    def check(self, channels: Sequence[int]) -> None:
        super().check(channels)
        kernel, bias = self.array("kernel"), self.weight("bias")
        must(kernel.ndim == 4 and kernel.size, "a kernel")
        must(bias is None or bias.shape == (self.channels(channels),), "a bias")

    @property
    def window(self) -> Size:
        return self.array("kernel").shape[:2]

    def flops(self, size: Size) -> int:
        return 2 * self.array("kernel").size * math.prod(size)


class Conv2D(_Convolution):
    """A convolution with a kernel (height, width, in / groups, out).

    Attribute "dense" marks a dense layer, "relu" a rectified result.
    """

    attributes: ClassVar = {
        **_Convolution.attributes,
        "groups": _is_count,
        "dense": _is_flag,
        "relu": _is_flag,
    }
    optional = ("dense", "relu")

    def check(self, channels: Sequence[int]) -> None:
        super().check(channels)
        kernel, groups = self.array("kernel"), self.attrs["groups"]
        must(kernel.shape[2] * groups == channels[0], "channels")
        must(kernel.shape[3] % groups == 0, "groups")

    def channels(self, inputs: Sequence[int]) -> int:
        return self.array("kernel").shape[3]

    def prepare(self, backend: Backend) -> Run:
        kernel, bias = backend.kernel(self.array("kernel")), self.weight("bias")
        vector = None if bias is None else backend.array(bias)
        stride, dilation, groups = self.stride, self.dilation, self.attrs["groups"]
        relu = self.attrs.get("relu", False)
        return lambda xs, padding: backend.conv2d(
            xs[0],
            kernel,
            vector,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            relu=relu,
        )


class DepthwiseConv2D(_Convolution):
    """A convolution of each channel, with a kernel (height, width, in, multiplier)."""

    def check(self, channels: Sequence[int]) -> None:
        super().check(channels)
        must(self.array("kernel").shape[2] == channels[0], "channels")

    def channels(self, inputs: Sequence[int]) -> int:
        kernel = self.array("kernel")
        return kernel.shape[2] * kernel.shape[3]

    def prepare(self, backend: Backend) -> Run:
        kernel = backend.depthwise_kernel(self.array("kernel"))
        bias = self.weight("bias")
        vector = None if bias is None else backend.array(bias)
        stride, dilation = self.stride, self.dilation
        return lambda xs, padding: backend.depthwise_conv2d(
            xs[0], kernel, vector, stride=stride, padding=padding, dilation=dilation
        )


class Pad(Window):
    """Pads with zeros: four sides, or what the windows of its consumer need ("same").

    Then "size" and "consumer_stride" are those of these windows.
    """

    attributes: ClassVar = {
        "padding": lambda value: value == "same" or _is_sides(value),
        "size": _is_pair,
        "consumer_stride": _is_pair,
    }
    optional = ("size", "consumer_stride")

    def check(self, channels: Sequence[int]) -> None:
        super().check(channels)
        count = 3 if self.attrs["padding"] == "same" else 1
        must(len(self.attrs) == count, "attributes of its kind of padding")

    @property
    def stride(self) -> Size:
        down, across = self.attrs.get("consumer_stride", (1, 1))
        return down, across

    def step(self, axis: int) -> int:
        return 1

    def cells(self, n: int, axis: int, padding: Sides) -> int:
        return n + sum(padding)

    def needed(self, span: Span, axis: int, n: int, padding: Sides) -> Span:
        start, end = (cell - padding[0] for cell in span)
        return min(max(start, 0), n - 1), max(min(end, n), 1)

    def least(self, span: Span, axis: int, padding: Sides) -> Span:
        return span[0], span[1] - sum(padding)

    def receptive_field(self, inputs: Sequence[ReceptiveField]) -> ReceptiveField:
        return inputs[0]

    def centres(self, axis: Axis, number: int, padding: int) -> Axis:
        return Axis(axis.at(-padding), axis.step)

    def run(self, backend: Backend, x: Array, padding: Padding) -> Array:
        return backend.pad(x, padding)


class Wrap(_Internal, Window):
    """Pads along some axes with the cells of the opposite edge, for one window.

    Its attributes are those of the window, and "axes". There are as many windows as
    strides fit, rounded up, whatever the window's own padding is: on a torus no cell
    is at an edge. Where the stride does not divide the side, the last window and the
    first are nearer to each other than others.
    """

    vanished: ClassVar[str] = "needs more cells than there are at the opposite edge"

    @property
    def window(self) -> Size:
        down, across = self.attrs["window"]
        return down, across

    @property
    def depends_on_size(self) -> bool:
        return max(self.stride) > 1

    def padding(self, size: Size) -> tuple[int, int, int, int]:
        own, sides = self._own_padding(size), [0, 0, 0, 0]
        for axis in self.attrs["axes"]:
            n, stride, before = size[axis], self.stride[axis], own[2 * axis]
            after = (math.ceil(n / stride) - 1) * stride + self._span(axis) - n - before
            sides[2 * axis : 2 * axis + 2] = before, max(after, 0)
        return sides[0], sides[1], sides[2], sides[3]

    def step(self, axis: int) -> int:
        return 1

    def cells(self, n: int, axis: int, padding: Sides) -> int:
        # An edge has no more cells to lend than there are.
        return n + sum(padding) if max(padding) <= n else 0

    def needed(self, span: Span, axis: int, n: int, padding: Sides) -> Span:
        start, end = (cell - padding[0] for cell in span)
        # Beyond an edge lies the opposite one, which only the whole axis has.
        is_inside = start >= 0 and end <= n and max(padding) <= end - start
        return (start, end) if is_inside else (0, n)

    def least(self, span: Span, axis: int, padding: Sides) -> Span:
        return span[0], span[1] - sum(padding)

    def run(self, backend: Backend, x: Array, padding: Padding) -> Array:
        return backend.pad(x, padding, mode="wrap")


class Shift(_Internal, Pad):
    """Shifts cells cyclically along "axes", where a torus has nothing to pad or cut.

    Its attributes are also those of the `Pad` or the `Crop` (then "is_crop").
    """

    def cells(self, n: int, axis: int, padding: Sides) -> int:
        return n

    def needed(self, span: Span, axis: int, n: int, padding: Sides) -> Span:
        shift = self._shift(padding[0], axis)
        start, end = span[0] - shift, span[1] - shift
        if start < 0 or end > n:  # the opposite edge, as for `Wrap`
            return 0, n
        return min(start, span[0]), max(end, span[1])

    def least(self, span: Span, axis: int, padding: Sides) -> Span:
        return span

    def _shift(self, before: Any, axis: int) -> Any:
        """Returns by how many cells an axis is shifted, down or to the right."""
        if axis not in self.attrs["axes"]:
            return 0
        return -before if self.attrs["is_crop"] else before

    def run(self, backend: Backend, x: Array, padding: Padding) -> Array:
        down, right = (self._shift(padding[2 * axis], axis) for axis in (0, 1))
        return backend.roll(x, down, right)


class Crop(Operation):
    """Cuts cells off the four sides."""

    attributes: ClassVar = {"padding": _is_sides}

    def padding(self, size: Size) -> tuple[int, int, int, int]:
        sides = list(self.attrs["padding"])
        for axis in self.attrs.get("wrapped", ()):  # shifted by a `Shift` before it
            sides[2 * axis : 2 * axis + 2] = (0, 0)
        return sides[0], sides[1], sides[2], sides[3]

    def size(self, inputs: Sequence[Size], channels: Sequence[int]) -> Size:
        top, bottom, left, right = self.padding(inputs[0])
        return inputs[0][0] - top - bottom, inputs[0][1] - left - right

    def cells(self, n: int, axis: int, padding: Sides) -> int:
        return n - sum(padding)

    def needed(self, span: Span, axis: int, n: int, padding: Sides) -> Span:
        return span[0], min(span[1] + sum(padding), n)

    def least(self, span: Span, axis: int, padding: Sides) -> Span:
        return span[0], span[1] + sum(padding)

    def centres(self, axis: Axis, number: int, padding: int) -> Axis:
        return Axis(axis.at(padding), axis.step)

    def run(self, backend: Backend, x: Array, padding: Padding) -> Array:
        return backend.crop(x, padding)


# -- operations on whole feature maps --------------------------------------------------
class Global(Operation):
    """Makes one cell out of the whole feature map."""

    is_global = True
    sees_everything = True

    def size(self, inputs: Sequence[Size], channels: Sequence[int]) -> Size:
        return 1, 1


class GlobalMean(Global):
    """Averages over all cells."""

    def run(self, backend: Backend, x: Array, padding: Padding) -> Array:
        return backend.global_mean(x)


class GlobalMax(Global):
    """Takes the largest of all cells."""

    def run(self, backend: Backend, x: Array, padding: Padding) -> Array:
        return backend.global_max(x)


class Opaque(Operation):
    """A Keras layer that is called as it is."""

    takes_many = True
    sees_everything = True

    def check(self, channels: Sequence[int]) -> None:
        must(self.layer is not None, "a Keras layer, which no file holds")

    def channels(self, inputs: Sequence[int]) -> int:
        return self.layer.channels

    def size(self, inputs: Sequence[Size], channels: Sequence[int]) -> Size:
        shapes = [
            (1, max(h, 1), max(w, 1), count)
            for (h, w), count in zip(inputs, channels, strict=True)
        ]
        try:
            shape = self.layer.shape(shapes)
        # A picture too small for somebody's layer makes it raise whatever it likes.
        except Exception:  # noqa: BLE001
            return 0, 0
        # An axis without cells stays without cells.
        height, width = (
            0 if min(size[axis] for size in inputs) < 1 else shape[axis + 1]
            for axis in (0, 1)
        )
        return height, width

    def prepare(self, backend: Backend) -> Run:
        return lambda xs, _: backend.from_keras(
            self.layer([backend.to_keras(x) for x in xs])
        )


OPERATIONS: Mapping[str, type[Operation]] = {
    INPUT: Input,
    "activation": Activation,
    "add": Add,
    "affine": Affine,
    "average_pool": AveragePool,
    "concat": Concat,
    "conv2d": Conv2D,
    "crop": Crop,
    "depthwise_conv2d": DepthwiseConv2D,
    "gather": Gather,
    "global_max": GlobalMax,
    "global_mean": GlobalMean,
    "layer_norm": LayerNorm,
    "max_pool": MaxPool,
    "maximum": Maximum,
    "multiply": Multiply,
    "opaque": Opaque,
    "pad": Pad,
    "part": Part,
    "power": Power,
    "shift": Shift,
    "split": Split,
    "subtract": Subtract,
    "wrap": Wrap,
}
