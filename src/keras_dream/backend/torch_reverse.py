"""Gradients on the processor that are added where they are made, in torch's own graph.

torch's engine makes a new map for every gradient, and sums those of a map with several
readers afterwards. `gradients` walks the same graph in the same order, and lets the
operations of this module write into a gradient that nobody else holds: a convolution
adds its own to what is already there, a rectifier masks it in place. Whatever else is
in the graph is called as torch's engine calls it. The operations are ordinary functions
of torch's engine, too, and keep no map that they do not need: a convolution nothing but
its rectified result, a max-pool only where its maxima were.
"""

import math
import platform
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F

# A kernel that is turned around for the gradient, and both in oneDNN's own layout, is
# held twice. They save the time of a layout for each call, which a larger kernel would
# pay with much memory, as the 1.4 GB of a ConvNeXt-XL.
_LARGEST_KERNEL = 4 << 20  # bytes

# What these nodes return is nobody else's: no view of the gradient, nor itself.
_FRESH = frozenset(
    f"{name}Backward0"
    for name in (
        "AvgPool2D",
        "Clamp",
        "Convolution",
        "LeakyRelu",
        "MaxPool2DWithIndices",
        "Silu",
        "Slice",
        "Split",
        "SplitWithSizes",
    )
)
_LAST = torch.channels_last
_LEAF = "torch::autograd::AccumulateGrad"

How = tuple[Sequence[int], Sequence[int], Sequence[int], int]
"""Padding (down, across), stride and dilation of a convolution, and its groups."""


def has_onednn(dtype: torch.dtype) -> bool:
    """Returns whether torch has oneDNN's convolutions for an x86 processor."""
    own = torch.ops.mkldnn
    return (
        torch.backends.mkldnn.is_available()
        and platform.machine().lower() in ("x86_64", "amd64")
        and hasattr(own, "_convolution_pointwise")
        and (dtype == torch.float32 or own._is_mkldnn_bf16_supported())
    )


class Kernel:
    """The weights of a convolution, in the layouts in which they are used.

    Args:
        weight: (outputs, inputs / groups, height, width), in channels-last memory.
        fast: Whether oneDNN's own operations may be used with it.
    """

    def __init__(self, weight: torch.Tensor, *, fast: bool):
        self.cells, self.dtype = weight.shape[2:], weight.dtype
        small = weight.numel() * weight.element_size() <= _LARGEST_KERNEL
        # oneDNN's rectifier makes 0 of what is not a number.
        self._fast = fast and small and bool(weight.isfinite().all())
        self._weight = weight  # as torch has it, or laid out by oneDNN
        self._backward: torch.Tensor | None = None

    @property
    def plain(self) -> torch.Tensor:
        """The weights as torch has them."""
        weight = self._weight
        return weight.to_dense() if weight.is_mkldnn else weight

    def fits(
        self, x: torch.Tensor, how: How, *, bias: torch.Tensor | None = None
    ) -> bool:
        """Returns whether oneDNN's own operations can be used for a feature map."""
        if self._fast and not self._weight.is_mkldnn and bias is not None:
            self._fast = bool(bias.isfinite().all())
        return self._fast and how[3] == 1 and x.numel() > 0

    def forward(self, x: torch.Tensor, how: How) -> torch.Tensor:
        """Returns the weights for a feature map, laid out for the first one."""
        if max(how[1]) > 1:
            return self.plain
        weight = self._weight  # read once: another thread may lay it out meanwhile
        if not weight.is_mkldnn:
            weight = self._weight = _packed(weight, how, x)
        return weight

    def backward(self, y: torch.Tensor, how: How) -> torch.Tensor:
        """Returns the weights of the convolution that is the gradient."""
        if self._backward is None:
            turned = self.plain.flip(2, 3).transpose(0, 1)
            turned = turned.contiguous(memory_format=_LAST)
            self._backward = _packed(turned, how, y)
        return self._backward


def _packed(weight: torch.Tensor, how: How, x: torch.Tensor) -> torch.Tensor:
    padding, stride, dilation, groups = how
    return torch.ops.mkldnn._reorder_convolution_weight(
        weight, padding, stride, dilation, groups, list(x.shape)
    )


class Convolution(torch.autograd.Function):
    """A convolution, rectified or not, that keeps only what is rectified."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        kernel: Kernel,
        bias: torch.Tensor | None,
        how: How,
        relu: bool,
        dtype: torch.dtype,
    ) -> torch.Tensor:
        """Returns the feature map; `how` is padding, stride, dilation and groups."""
        y = convolution(x, kernel, bias, how, relu=relu).to(dtype)
        ctx.kernel, ctx.how, ctx.shape = kernel, how, x.shape
        if relu:
            ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, *grad_outputs: torch.Tensor) -> Any:
        """Returns the gradient of the feature map that was read."""
        (gradient,) = grad_outputs
        return Convolution.into(ctx, gradient, owned=False, total=None), *[None] * 5

    @staticmethod
    def into(
        ctx: Any, gradient: torch.Tensor, *, owned: bool, total: torch.Tensor | None
    ) -> torch.Tensor:
        """Returns the gradient, or `total` to which it has been added.

        Args:
            ctx: What was kept.
            gradient: That of the result.
            owned: Whether it may be written to.
            total: What there is already of the gradient of the feature map read.
        """
        if ctx.saved_tensors:
            gradient = _masked(gradient, ctx.saved_tensors[0], owned=owned)
        kernel: Kernel = ctx.kernel
        gradient = gradient.to(kernel.dtype)
        padding, stride, dilation, groups = ctx.how
        axes = zip(kernel.cells, dilation, padding, strict=True)
        around = [(k - 1) * d - p for k, d, p in axes]
        more = (around, stride, dilation, groups)
        if max(stride) > 1 or min(around) < 0 or not kernel.fits(gradient, more):
            x = _unread(gradient, ctx.shape)
            how = (stride, padding, dilation, False, (0, 0), groups)
            return torch.ops.aten.convolution_backward(
                gradient, x, kernel.plain, None, *how, (True, False, False)
            )[0]
        gradient = _channels_adjacent(gradient)
        turned = kernel.backward(gradient, more)
        if total is not None and total.is_contiguous(memory_format=_LAST):
            return torch.ops.mkldnn._convolution_pointwise_.binary(
                total, gradient, turned, None, *more, "add", 1.0, None, [], None
            )
        y = torch.ops.mkldnn._convolution_pointwise(
            gradient, turned, None, *more, "none", [], ""
        )
        return y.contiguous(memory_format=_LAST)


def convolution(
    x: torch.Tensor,
    kernel: Kernel,
    bias: torch.Tensor | None,
    how: How,
    *,
    relu: bool,
) -> torch.Tensor:
    """Returns the feature map of a convolution; arguments as for `Convolution`."""
    if not kernel.fits(x, how, bias=bias):
        padding, stride, dilation, groups = how
        y = F.conv2d(x, kernel.plain, bias, stride, padding, dilation, groups)
        return F.relu_(y) if relu else y
    x = _channels_adjacent(x)
    name = "relu" if relu else "none"
    y = torch.ops.mkldnn._convolution_pointwise(
        x, kernel.forward(x, how), bias, *how, name, [], ""
    )
    return y.contiguous(memory_format=_LAST)


class Relu(torch.autograd.Function):
    """A rectifier whose gradient is masked in place."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        """Returns the rectified feature map."""
        y = F.relu(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, *grad_outputs: torch.Tensor) -> Any:
        """Returns the gradient of the feature map that was read."""
        return _masked(grad_outputs[0], ctx.saved_tensors[0], owned=False)

    @staticmethod
    def into(
        ctx: Any, gradient: torch.Tensor, *, owned: bool, total: torch.Tensor | None
    ) -> torch.Tensor:
        """Returns the gradient; arguments as for `Convolution`."""
        return _masked(gradient, ctx.saved_tensors[0], owned=owned)


class MaxPool(torch.autograd.Function):
    """A max-pool that keeps where its maxima were, and not what it has read."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        size: Sequence[int],
        stride: Sequence[int],
        padding: Sequence[int],
    ) -> torch.Tensor:
        """Returns the largest value of each window."""
        y, places = torch.ops.aten.max_pool2d_with_indices(x, size, stride, padding)
        ctx.save_for_backward(places)
        ctx.window, ctx.shape = (size, stride, padding, (1, 1), False), x.shape
        return y

    @staticmethod
    def backward(ctx: Any, *grad_outputs: torch.Tensor) -> Any:
        """Returns the gradient of the feature map that was read."""
        (gradient,) = grad_outputs
        return torch.ops.aten.max_pool2d_with_indices_backward(
            gradient, _unread(gradient, ctx.shape), *ctx.window, ctx.saved_tensors[0]
        ), *[None] * 3

    @staticmethod
    def into(
        ctx: Any, gradient: torch.Tensor, *, owned: bool, total: torch.Tensor | None
    ) -> torch.Tensor:
        """Returns the gradient; arguments as for `Convolution`."""
        return MaxPool.backward(ctx, gradient)[0]


class AveragePool(torch.autograd.Function):
    """An average-pool over the cells inside a feature map, which keeps none of them."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        size: tuple[int, int],
        stride: tuple[int, int],
        padding: tuple[int, int],
    ) -> torch.Tensor:
        """Returns the mean of each window."""
        ctx.window, ctx.shape = (size, stride, padding), x.shape
        return F.avg_pool2d(x, size, stride, padding, count_include_pad=False)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: torch.Tensor) -> Any:
        """Returns the gradient of the feature map that was read."""
        into = AveragePool.into
        return into(ctx, grad_outputs[0], owned=False, total=None), *[None] * 3

    @staticmethod
    def into(
        ctx: Any, gradient: torch.Tensor, *, owned: bool, total: torch.Tensor | None
    ) -> torch.Tensor:
        """Returns the gradient; arguments as for `Convolution`."""
        size, stride, padding = ctx.window
        axes = tuple(zip((2, 3), size, padding, strict=True))
        apart = tuple(size) == tuple(stride) and not any(padding)
        cells = tuple(n * k for n, k in zip(gradient.shape[2:], size, strict=True))
        if apart and cells == tuple(ctx.shape[2:]) and {*size} <= {1, 2, 4}:
            shares = gradient * (1 / math.prod(size))
            return torch.ops.aten.upsample_nearest2d(shares, cells)
        if max(stride) > 1 or any(k != 2 * p + 1 for _, k, p in axes):
            x = _unread(gradient, ctx.shape)
            how = (size, stride, padding, False, False, None)
            return torch.ops.aten.avg_pool2d_backward(gradient, x, *how)
        # Windows that see each other: the pool itself, of shares that are larger near
        # an edge. torch's own gradient is one thread's, and for bfloat16 slow.
        if not owned:
            gradient = gradient.clone(memory_format=_LAST)
        for axis, k, p in axes:
            n = gradient.shape[axis]
            for i in {*range(min(p, n)), *range(max(n - p, 0), n)}:
                inside = min(i + p, n - 1) - max(i - p, 0) + 1
                gradient.select(axis, i).mul_(k / inside)
        return F.avg_pool2d(gradient, size, stride, padding)


class Crop(torch.autograd.Function):
    """The inner cells of a feature map."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, rows: slice, columns: slice) -> torch.Tensor:
        """Returns the cells of these rows and columns."""
        ctx.shape, ctx.cells = x.shape, (..., rows, columns)
        return x[..., rows, columns]

    @staticmethod
    def backward(ctx: Any, *grad_outputs: torch.Tensor) -> Any:
        """Returns the gradient of the whole feature map."""
        return Crop.into(ctx, grad_outputs[0], owned=False, total=None), None, None

    @staticmethod
    def into(
        ctx: Any, gradient: torch.Tensor, *, owned: bool, total: torch.Tensor | None
    ) -> torch.Tensor:
        """Returns the gradient; arguments as for `Convolution`."""
        if total is not None:
            total[ctx.cells].add_(gradient)
            return total
        total, (_, rows, columns) = _unread(gradient, ctx.shape), ctx.cells
        total[..., : rows.start, :] = total[..., rows.stop :, :] = 0
        total[..., : columns.start] = total[..., columns.stop :] = 0
        total[ctx.cells] = gradient
        return total


class Square(torch.autograd.Function):
    """Squares, whose gradient is made in one pass where all of a sum counts alike."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        """Returns the squares."""
        ctx.save_for_backward(x)
        return x.square()

    @staticmethod
    def backward(ctx: Any, *grad_outputs: torch.Tensor) -> torch.Tensor:
        """Returns the gradient of what was squared."""
        return Square.into(ctx, grad_outputs[0], owned=False, total=None)

    @staticmethod
    def into(
        ctx: Any, gradient: torch.Tensor, *, owned: bool, total: torch.Tensor | None
    ) -> torch.Tensor:
        """Returns the gradient; arguments as for `Convolution`."""
        x = ctx.saved_tensors[0]
        if gradient.numel() and not any(gradient.stride()):  # a number, expanded
            return x * (2 * gradient.as_strided((), ()))
        return x * gradient * 2


OWN: tuple[Any, ...] = (
    Convolution,
    Relu,
    MaxPool,
    AveragePool,
    Crop,
    Square,
)
"""The operations that can add to a gradient, or write to one that nobody else holds."""


def _unread(like: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """Returns a map of a shape, in channels-last memory, whose values are of no use."""
    how = {"dtype": like.dtype, "device": like.device}
    return torch.empty(tuple(shape), memory_format=_LAST, **how)


def _channels_adjacent(x: torch.Tensor) -> torch.Tensor:
    """Returns a map, or a part of a map, in channels-last memory."""
    return x if x.stride(1) == 1 else x.contiguous(memory_format=_LAST)


def _masked(gradient: torch.Tensor, y: torch.Tensor, *, owned: bool) -> torch.Tensor:
    """Returns a gradient where a rectified map is positive, elsewhere 0."""
    # A part of a wider gradient is copied in the same pass, as the next reader needs
    # it in memory of its own.
    if owned and gradient.stride() == y.stride():
        masked = torch.ops.aten.threshold_backward.grad_input
        return masked(gradient, y, 0, grad_input=gradient)
    return torch.ops.aten.threshold_backward(gradient, y, 0)


_Totals = dict[Any, dict[int, tuple[torch.Tensor, bool]]]
"""Gradients by nodes and the numbers of their results, and whether each is ours."""


def gradients(
    values: list[torch.Tensor], leaves: Sequence[torch.Tensor]
) -> tuple[torch.Tensor, ...]:
    """Returns the gradients of a scalar by leaves, zeros where none reaches them.

    Args:
        values: The scalar, which is taken out of the list: what has been passed is
            freed on the way, unless somebody else holds the scalar.
        leaves: Tensors that require a gradient.
    """
    order = _in_order(values[0].grad_fn)
    ends = [torch.autograd.graph.get_gradient_edge(leaf).node for leaf in leaves]
    if not _are_known(order) or _has_others(order, ends):
        del order
        return torch.autograd.grad(values.pop(), leaves, materialize_grads=True)
    root = order[-1]
    totals: _Totals = {root: {0: (torch.ones_like(values.pop()), True)}}
    del root
    kept = [_Kept(node) if _is_own(node) else None for node in order]
    with torch.no_grad():
        while order:
            _pass_back(order.pop(), kept.pop(), totals)
    return tuple(
        totals[end][0][0] if end in totals else torch.zeros_like(leaf)
        for end, leaf in zip(ends, leaves, strict=True)
    )


def _are_known(order: Sequence[Any]) -> bool:
    """Tells whether functions of ours are in a graph, and none of somebody's own."""
    kinds = {
        getattr(type(node), "_forward_cls", None) for node in order if _is_own(node)
    }
    return bool(kinds) and kinds <= {*OWN}


def _has_others(order: Sequence[Any], ends: Sequence[Any]) -> bool:
    """Tells whether something else has a gradient, as the weights of a Keras layer.

    torch's engine leaves it out, and calls the hooks that such a layer may have.
    """
    return any(
        end is not None and end.name() == _LEAF and end not in ends
        for node in order
        for end, _ in node.next_functions
    )


def _in_order(root: Any) -> list[Any]:
    """Returns the nodes of a graph in the order in which they were made."""
    seen, left = {root}, [root]
    while left and root is not None:
        for node, _ in left.pop().next_functions:
            if node is not None and node not in seen:
                seen.add(node)
                left.append(node)
    inner = [n for n in seen if n and n.name() != _LEAF]
    return sorted(inner, key=lambda node: node._sequence_nr())


def _is_own(node: Any) -> bool:
    """Tells whether a node is of a function in Python."""
    return isinstance(node, torch.autograd.function.BackwardCFunction)


class _Kept:
    """What a function of ours keeps for its gradient.

    Before torch 2.13 it is lost with the node in C++, which only its readers hold, and
    they have been passed by then.

    Args:
        node: The function's node.

    Attributes:
        edge: The node of what it has read, and which of its results.
        saved_tensors: As torch has them; what else it keeps is there, too.
    """

    def __init__(self, node: Any):
        self.__dict__.update(vars(node))
        self.saved_tensors = node.saved_tensors
        self.edge = node.next_functions[0]
        self.into = type(node)._forward_cls.into


def _pass_back(node: Any, kept: _Kept | None, totals: _Totals) -> None:
    """Takes the gradient of a node's results to what the node has read."""
    held = totals.pop(node, None)
    if held is None:
        return  # nothing that counts has read it
    if kept is not None:
        ((gradient, owned),) = held.values()
        target, index = kept.edge
        there = totals.setdefault(target, {})
        total, free = there.get(index, (None, False))
        result = kept.into(kept, gradient, owned=owned, total=total if free else None)
        if result is not total or not free:
            _add(there, index, result, owned=True)
        return
    count = len(node._input_metadata)
    results = node(*(held[n][0] if n in held else None for n in range(count)))
    results = results if isinstance(results, tuple) else (results,)
    # The parts of a concatenation do not share memory.
    is_fresh = node.name() in _FRESH or (
        node.name() == "CatBackward0" and all(ours for _, ours in held.values())
    )
    for (target, index), result in zip(node.next_functions, results, strict=False):
        if target is not None and result is not None:
            fitted = _fitted(result, target._input_metadata[index])
            there = totals.setdefault(target, {})
            _add(there, index, fitted, owned=is_fresh)


def _fitted(gradient: torch.Tensor, like: Any) -> torch.Tensor:
    """Returns a gradient in the shape and the type of its map, as torch's engine."""
    if tuple(gradient.shape) != tuple(like.shape):
        gradient = gradient.sum_to_size(tuple(like.shape))
    if gradient.dtype == like.dtype:
        return gradient
    if gradient.numel() and not any(gradient.stride()):  # a number, expanded
        number = gradient.as_strided((), ()).to(like.dtype)
        return number.expand(gradient.shape)
    return gradient.to(like.dtype)


def _add(
    there: dict[int, tuple[torch.Tensor, bool]],
    index: int,
    gradient: torch.Tensor,
    *,
    owned: bool,
) -> None:
    """Adds a gradient to those that have come already, in place where one may."""
    before, free = there.get(index, (None, False))
    if before is None:
        there[index] = (gradient, owned)
    elif free:
        there[index] = (before.add_(gradient), True)
    elif owned:
        there[index] = (gradient.add_(before), True)
    else:
        there[index] = (before + gradient, True)
