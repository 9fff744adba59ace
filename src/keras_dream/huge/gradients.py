"""The gradient of a picture on the disk, tile by tile."""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter

from keras_dream.backend.protocol import Array
from keras_dream.engine.tiled import Job, Read, TileGradient
from keras_dream.errors import InputError
from keras_dream.geometry import Size
from keras_dream.graph.regions import Region
from keras_dream.huge.bands import Bands, Map, Rows
from keras_dream.huge.stores import Store
from keras_dream.parts.transforms import Lookup


class Tiles(Protocol):
    """What `engine.tiled.CellGradient` has: a gradient as a sum over tiles."""

    @property
    def needs_sums(self) -> bool:
        """Whether a loss needs something of all cells before the gradient."""
        ...

    def jobs(self, size: Size) -> Sequence[Job]:
        """Returns the tiles of what the network sees, row by row."""
        ...

    def firsts(self, job: Job, read: Read) -> Mapping[int, float]:
        """Returns what a tile adds to what the losses need of all cells."""
        ...

    def part(
        self,
        job: Job,
        read: Read,
        *,
        read_original: Read | None = None,
        sums: Mapping[int, float] | None = None,
    ) -> TileGradient:
        """Returns what a tile adds to the loss and the gradient."""
        ...


class TileRow(NamedTuple):
    """Tiles side by side.

    Attributes:
        jobs: The tiles, from left to right.
        bottom: The row of pixels behind the last that one of them changes.
        final: Rows of pixels before this one are changed by no later tile.
    """

    jobs: tuple[Job, ...]
    bottom: int
    final: int


class Progress(NamedTuple):
    """Where the gradient of a step is.

    Attributes:
        done: Tiles that are done, those of a pass for sums, too.
        of: How many there are.
    """

    done: int
    of: int


@dataclass
class _Carried:
    """What a row of tiles leaves to the next one.

    Attributes:
        rows: How many are done, those of a pass for sums first.
        loss: The loss so far.
        sums: What the losses need of all cells, by the numbers of the goals.
        first: The row of pixels with which `pixels` begins; those before are final.
        pixels: The gradient so far, which the next row adds to.
    """

    pixels: NDArray[np.float32]
    rows: int = 0
    loss: float = 0.0
    sums: dict[int, float] = field(default_factory=dict)
    first: int = 0


@dataclass(frozen=True)
class _Notes:
    """What is noted with the pixels of `_Carried`: their number, and the rest of it."""

    step: str
    rows: Annotated[int, Field(ge=0)]
    loss: float
    sums: dict[int, float]
    first: Annotated[int, Field(ge=0)]
    pixels: Annotated[int, Field(ge=0)]


class DiskGradient:
    """The gradient of a picture on the disk.

    It is made row by row of tiles, in the order in which the engine adds tiles in
    memory. Rows of pixels that no later tile changes are written to a store; those
    below them, which the next row of tiles still adds to, are carried in a small one.
    Once that has its name, its row of tiles is done: a process that ends later goes on
    with the next row.

    Args:
        tiles: The gradient by tiles.
        bands: Where it is computed.
        folder: Where its stores are.

    Attributes:
        loss: The loss of the step that was made last.
        is_finite: Whether its gradient is; where it is not, it ends.
    """

    def __init__(self, tiles: Tiles, bands: Bands, folder: Path):
        self._tiles = tiles
        self._bands = bands
        self._path = folder / "gradient.npy"
        self._carry = folder / "carry.npy"
        self._store: Store | None = None
        self.loss = 0.0
        self.is_finite = True

    def make(
        self, step: str, image: Store, lookup: Lookup, original: Store | None
    ) -> Iterator[Progress]:
        """Makes the gradient of a step from where it was left; yields after each tile.

        Args:
            step: The step's name.
            image: The image.
            lookup: What the network sees of it.
            original: The photo at this size, where the objective looks at it.
        """
        size = (len(lookup.rows), len(lookup.columns))
        rows = rows_of_tiles(self._tiles.jobs(size), size[0])
        work = [(row, False) for row in rows]
        if self._tiles.needs_sums:
            work = [*((row, True) for row in rows), *work]
        read = reader(image, lookup)
        read_original = None if original is None else reader(original, lookup)
        self._store, carried = self._begin(step, size)
        count, done = sum(len(row.jobs) for row, _ in work), 0
        for number, (row, is_sum) in enumerate(work):
            if number < carried.rows:
                done += len(row.jobs)
                continue
            if is_sum:
                tiles = self._add_sums(row, carried, read)
            else:
                tiles = self._add(row, carried, read, read_original)
            for _ in tiles:
                done += 1
                yield Progress(done, count)
            if not self.is_finite:
                return  # and what is not kept is not gone on with
            carried.rows = number + 1
            self._keep(step, carried)
        # As the engine has it from a backend, which computes in float32.
        self.loss = float(np.float32(carried.loss))

    def gradient(self, lookup: Lookup, size: Size) -> Map:
        """Returns the gradient by the image, once it is made.

        Args:
            lookup: What the network has seen.
            size: The image's (height, width) in pixels.
        """
        if self._store is None:
            raise RuntimeError("the gradient is not made")
        backend, seen = self._bands.backend, _Seen(self._store)

        def rows(numbers: Rows) -> Array:
            first, end = int(numbers.min()), int(numbers.max()) + 1
            folded = np.zeros((end - first, size[1], 3), np.float32)
            # What is behind `_Seen` is an array to `fold`.
            lookup.fold(seen, folded, first)  # pyright: ignore[reportArgumentType]
            return backend.image(folded[numbers - first])

        # The rows, those of the network's view, and a copy.
        return Map((*size, 3), rows, 3 * 12 * size[1])

    def remove(self) -> None:
        """Removes the stores."""
        if self._store is not None:
            self._store.remove()
        self._carry.unlink(missing_ok=True)

    def _begin(self, step: str, size: Size) -> tuple[Store, _Carried]:
        """Returns the store of the gradient, and what the last row of tiles left."""
        shape = (*size, 3)
        try:
            with Store.open(self._carry) as carry:
                notes = TypeAdapter(_Notes).validate_json(
                    json.dumps(carry.notes), strict=True
                )
                rows, bottom = max(notes.pixels, 1), notes.first + notes.pixels
                is_right = carry.shape == (rows, *shape[1:]) and bottom <= shape[0]
                if notes.step == step and is_right:
                    store = Store.open(self._path, shape=shape, unfinished=True)
                    pixels = carry.rows(0, notes.pixels)
                    return store, _Carried(
                        pixels, notes.rows, notes.loss, notes.sums, notes.first
                    )
        except (FileNotFoundError, InputError, ValueError):
            pass  # a step begins
        nothing = np.empty((0, *shape[1:]), np.float32)
        return Store.create(self._path, shape), _Carried(nothing)

    def _keep(self, step: str, carried: _Carried) -> None:
        """Writes what the next row of tiles needs."""
        pixels = carried.pixels
        notes = _Notes(
            step, carried.rows, carried.loss, carried.sums, carried.first, len(pixels)
        )
        store = Store.create(self._carry, (max(len(pixels), 1), *pixels.shape[1:]))
        store.write(0, pixels)
        store.commit(asdict(notes)).close()

    def _add_sums(self, row: TileRow, carried: _Carried, read: Read) -> Iterator[None]:
        for job in row.jobs:
            for number, value in self._tiles.firsts(job, read).items():
                carried.sums[number] = carried.sums.get(number, 0.0) + value
            yield

    def _add(
        self, row: TileRow, carried: _Carried, read: Read, read_original: Read | None
    ) -> Iterator[None]:
        """Adds a row of tiles; yields after each tile."""
        if self._store is None:
            raise RuntimeError("there is no store")
        first, before = carried.first, carried.pixels
        end = max(row.bottom, row.final, first + len(before))
        total = np.zeros((end - first, *before.shape[1:]), np.float32)
        total[: len(before)] = before
        for job in row.jobs:
            part = self._tiles.part(
                job, read, read_original=read_original, sums=carried.sums
            )
            carried.loss += part.loss
            (top, bottom), (left, right) = part.region
            total[top - first : bottom - first, left:right] += part.gradient
            yield
        final = row.final - first
        self.is_finite = self.is_finite and bool(np.isfinite(total[:final]).all())
        self._store.write(first, total[:final])
        self._store.sync()
        # A copy, so that the rest is freed.
        carried.first, carried.pixels = row.final, total[final:].copy()


class _Seen:
    """A store that is read by slices, as an array; the last rows are kept."""

    def __init__(self, store: Store):
        self._store = store
        self._last: tuple[int, int] | None = None
        self._rows = np.empty(0, np.float32)

    def __getitem__(self, places: tuple[slice, slice]) -> NDArray[np.float32]:
        down, across = places
        if self._last != (down.start, down.stop):
            self._last = (down.start, down.stop)
            self._rows = self._store.rows(down.start, down.stop)
        return self._rows[:, across]


def rows_of_tiles(jobs: Sequence[Job], height: int) -> list[TileRow]:
    """Returns tiles as rows of tiles.

    Args:
        jobs: The tiles, row by row.
        height: Rows of pixels that the network sees.
    """
    groups = itertools.groupby(jobs, key=lambda job: job.region[0])
    rows = [(span, tuple(group)) for span, group in groups]
    tops = [span[0] for span, _ in rows]
    return [
        TileRow(group, span[1], min(tops[number + 1 :], default=height))
        for number, (span, group) in enumerate(rows)
    ]


def reader(image: Store, lookup: Lookup) -> Read:
    """Returns what reads pixels of what the network sees of an image.

    Args:
        image: The image.
        lookup: Which of its pixels the network sees.
    """

    def read(region: Region) -> NDArray[np.float32]:
        (top, bottom), (left, right) = region
        return image.take(lookup.rows[top:bottom], lookup.columns[left:right])

    return read
