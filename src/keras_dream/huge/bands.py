"""Maps that are computed by rows: a backend whose feature maps lie on the disk.

The parts of a recipe (filters, normalizers, optimizers) and the growth from octave to
octave are written for a backend. `Bands` has the operations that they use; its maps are
expressions over stores, computed in bands of rows on a real backend. All operations
work on single values or, resampling, on some rows, so that every row has the bits that
it has in memory.
"""

import contextlib
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_dream.backend.protocol import Array, Backend
from keras_dream.huge.stores import Store, bands

MEMORY = 1 << 26
"""Bytes of all maps of an expression, about, while a band of it is computed."""

Rows = NDArray[np.int64]
Axis = tuple[NDArray[np.int64], NDArray[np.float32]]  # taps


class Map:
    """A feature map that is computed by rows.

    Args:
        shape: (height, width, channels).
        rows: Returns the rows of these numbers as a map of the real backend.
        cost: Bytes that are taken at most, for each of its rows, while some of them
            are computed.
        store: What it is read from, if it is read.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        rows: Callable[[Rows], Array],
        cost: float,
        *,
        store: Store | None = None,
    ):
        self.shape = shape
        self.rows = rows
        self.cost = cost
        self.store = store

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return 4 * self.shape[1] * self.shape[2]

    def become(self, other: "Map") -> None:
        """Is computed from now on as another map of the same values."""
        self.rows, self.cost, self.store = other.rows, other.cost, other.store

    def bands(self) -> Iterator[tuple[int, int]]:
        """Yields the rows (first, end) of bands that fit `MEMORY`."""
        return bands(self.shape[0], math.ceil(self.cost), band=MEMORY)


def _pointwise(name: str) -> Callable[..., Any]:
    """Returns an operation on single values, of maps, arrays and numbers."""

    def method(self: "Bands", *operands: Any, **options: Any) -> Any:
        operation = getattr(self.backend, name)
        maps = [x for x in operands if isinstance(x, Map)]
        if not maps:
            return operation(*operands, **options)

        def rows(numbers: Rows) -> Array:
            values = (x.rows(numbers) if isinstance(x, Map) else x for x in operands)
            return operation(*values, **options)

        height, width = maps[0].shape[:2]
        channels = max(x.shape[2] for x in maps)
        # One operand after the other is computed, and those before it are there.
        held, cost = 0.0, 0.0
        for x in maps:
            cost = max(cost, held + x.cost)
            held += x.row_bytes
        cost = max(cost, held + 2 * 4 * width * channels)
        return Map((height, width, channels), rows, cost)

    return method


class Bands:
    """What the parts of a recipe need of a backend, for maps on the disk.

    Maps that are smaller than what they are resampled from are written to the folder,
    as scratch: else each pass over an expression would read all that they are made of.

    Args:
        backend: Where bands are computed.
        folder: An existing folder.
    """

    def __init__(self, backend: Backend, folder: Path):
        self.backend = backend
        self._folder = folder
        self._scratch: list[Store] = []

    add = _pointwise("add")
    subtract = _pointwise("subtract")
    multiply = _pointwise("multiply")
    divide = _pointwise("divide")
    maximum = _pointwise("maximum")
    square = _pointwise("square")
    power = _pointwise("power")
    absolute = _pointwise("absolute")
    clip = _pointwise("clip")
    matmul = _pointwise("matmul")

    @contextlib.contextmanager
    def scratch(self) -> Iterator[None]:
        """Removes, at its end, the scratch that was made in it.

        Maps that were made of it cannot be computed any more.
        """
        before = len(self._scratch)
        try:
            yield
        finally:
            while len(self._scratch) > before:
                self._scratch.pop().remove()

    def image(self, store: Store | Map) -> Map:
        """Returns a store as a map."""
        if isinstance(store, Map):
            return store
        view, take = self.backend.image_view, store.take
        cost = 4 * store.shape[1] * store.shape[2]
        return Map(store.shape, lambda n: view(take(n)), cost, store=store)

    image_view = image

    def array(self, values: np.ndarray) -> Array:
        """Copies values to the device."""
        return self.backend.array(values)

    def resample(self, x: Map, rows: Axis, columns: Axis) -> Map:
        """Returns a map at another size; as scratch, if that is smaller."""
        resized = self.resampled(x, rows, columns)
        if resized.shape[0] >= x.shape[0]:
            return resized
        path = self._folder / f"scratch-{len(self._scratch)}.npy"
        store = self.written(resized, path)
        self._scratch.append(store)
        return self.image(store)

    def resampled(self, x: Map, rows: Axis, columns: Axis) -> Map:
        """Returns a map at another size, to be computed by rows."""
        cells, weights = rows
        height, width = len(cells), len(columns[0])

        def of_rows(numbers: Rows) -> Array:
            needed, places = np.unique(cells[numbers], return_inverse=True)
            own = (places.reshape(len(numbers), -1), weights[numbers])
            return self.backend.resample(x.rows(needed), own, columns)

        # Rows of before, and a sum and two terms of it; first the columns of before.
        ratio = max(x.shape[0] / height, 1)
        own = x.row_bytes * ratio + 4 * x.shape[2] * 3 * max(x.shape[1], width)
        return Map((height, width, x.shape[2]), of_rows, max(x.cost * ratio, own))

    def row_sums(self, x: Map) -> np.ndarray:
        """Returns the sum of each row, float32 (height,)."""
        return np.concatenate(
            [self.backend.row_sums(band) for _, band in self.computed(x)]
        )

    def count(self, x: Map) -> int:
        """Returns the number of values."""
        return math.prod(x.shape)

    def exceeds(self, x: Map, limit: float) -> bool:
        """Returns whether a value is larger than a limit, or less than minus that."""
        values = (self.backend.host_view(band) for _, band in self.computed(x))
        return any(bool((np.abs(band) > limit).any()) for band in values)

    def computed(self, x: Map) -> Iterator[tuple[int, Array]]:
        """Yields the bands of a map as (first row, map of the real backend)."""
        for first, end in x.bands():
            yield first, x.rows(np.arange(first, end))

    def written(self, x: Map, path: Path) -> Store:
        """Returns a map as a store that is still to be committed."""
        store = Store.create(path, x.shape)
        try:
            for first, band in self.computed(x):
                store.write(first, self.backend.host_view(band))
        except BaseException:
            store.remove()
            raise
        return store
