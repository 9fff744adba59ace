"""The common part of the backends whose feature maps are (1, h, w, c)."""

import abc
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keras_dream.backend.protocol import Array

ROWS, COLUMNS = SPATIAL = (1, 2)


class Nhwc(abc.ABC):
    """The part of `Backend` that needs only indices and Python's operators."""

    keeps_little = True  # compilers drop what a gradient does not read
    merges = False  # 2 % (jax) and 5 % (tensorflow) slower, Inception V3 at 400 × 600

    @abc.abstractmethod
    def _operands(self, x: Array, y: Any) -> tuple[Array, Any]:
        """Returns two operands of one dtype; a vector gets that of the feature map."""

    @abc.abstractmethod
    def to_numpy(self, x: Array) -> np.ndarray: ...

    @abc.abstractmethod
    def kernel(self, values: np.ndarray) -> Array: ...

    def depthwise_kernel(self, values: np.ndarray) -> Array:
        return self.kernel(values)

    def to_image(self, x: Array) -> np.ndarray:
        return self.to_numpy(x[0])

    def to_float(self, x: Array) -> float:
        return float(x)

    def split(self, x: Array, counts: Sequence[int]) -> list[Array]:
        ends = np.cumsum(counts).tolist()
        starts = [0, *ends[:-1]]
        return [x[..., a:b] for a, b in zip(starts, ends, strict=True)]

    def flip(self, x: Array) -> Array:
        return x[:, :, ::-1]

    def add(self, x: Array, y: Any) -> Array:
        x, y = self._operands(x, y)
        return x + y

    def subtract(self, x: Array, y: Any) -> Array:
        x, y = self._operands(x, y)
        return x - y

    def multiply(self, x: Array, y: Any) -> Array:
        x, y = self._operands(x, y)
        return x * y

    def divide(self, x: Array, y: Any) -> Array:
        x, y = self._operands(x, y)
        return x / y

    def square(self, x: Array) -> Array:
        return x * x

    def power(self, x: Array, exponent: float) -> Array:
        return x**exponent

    def to_keras(self, x: Array) -> Array:
        return x

    def from_keras(self, x: Array) -> Array:
        return x


class Mosaic:
    """`backend.protocol.Mosaic` of arrays that cannot be written to.

    Args:
        concat: Joins a list of arrays along an axis.
    """

    def __init__(self, concat: Callable[[list[Any], int], Any]):
        self._concat = concat
        self._rows: list[list[Any]] = []

    def put(self, x: Any, top: int, left: int) -> None:
        """Puts a tile behind those that are there."""
        if left == 0:
            self._rows.append([])
        self._rows[-1].append(x)

    def result(self) -> Any:
        """Returns the map."""
        return self._concat([self._concat(row, 2) for row in self._rows], 1)


def along(axis: int, values: Any) -> Any:
    """Shapes one value per row or column so that it broadcasts over a feature map."""
    return values.reshape([-1 if a == axis else 1 for a in range(4)])


def counts(length: int, size: int, stride: int, before: int, after: int) -> np.ndarray:
    """Returns, for every window along an axis, how many cells are not padding."""
    n = max((before + length + after - size) // stride + 1, 0)
    starts = np.arange(n) * stride - before
    inside = np.minimum(starts + size, length) - np.maximum(starts, 0)
    return inside.astype(np.float32)


def is_static(values: Sequence[Any]) -> bool:
    """Returns whether paddings are numbers, not traced scalars."""
    return all(isinstance(value, int | np.integer) for value in values)
