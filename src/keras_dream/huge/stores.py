"""Stores: pictures on the disk, written and read by rows.

A store is a `.npy` file of float32 `(height, width, channels)`, behind whose values
stand notes as JSON. It is read and written through the file and not mapped into memory:
mapped pages count as memory of the process, and a limit of address space (ulimit -v)
could not hold a picture that is larger.
"""

import contextlib
import hashlib
import io
import itertools
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from keras_dream.errors import InputError, SaveError, short_repr
from keras_dream.files import FULL, sync_folder
from keras_dream.geometry import Size
from keras_dream.pictures.decoding import to_float
from keras_dream.pictures.picture import to_uint8

BAND = 1 << 24
"""Bytes of a band, about, that is read or written at once."""

_MOST_NOTES = 1 << 24  # bytes


class Source(Protocol):
    """A picture that is read by rows.

    Attributes:
        shape: (height, width, channels).
    """

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        ...

    def rows(self, first: int, end: int) -> NDArray[np.float32]:
        """Returns the rows from the first to the one before the end."""
        ...


def bands(
    height: int, row_bytes: int, *, band: int | None = None
) -> Iterator[tuple[int, int]]:
    """Yields the rows (first, end) of bands from top to bottom, of about equal height.

    Args:
        height: Rows in all.
        row_bytes: Bytes that a row takes.
        band: Bytes of a band, about; None for `BAND`.
    """
    count = max(1, min(-(-height * row_bytes // (band or BAND)), height // 2))
    for number in range(count):
        yield number * height // count, (number + 1) * height // count


class _File(io.FileIO):
    """An unbuffered file, closed without a warning where it is forgotten."""

    def __init__(self, path: Path, flags: int):
        flags |= getattr(os, "O_BINARY", 0)
        mode = "r+b" if flags & os.O_RDWR else "rb"
        super().__init__(os.open(path, flags, 0o666), mode, closefd=False)

    def close(self) -> None:
        """Closes the file."""
        if not self.closed:
            descriptor = self.fileno()
            super().close()
            os.close(descriptor)


class Store:
    """A picture on the disk.

    Use `Store.create` or `Store.open`, as a context manager or until `close`.

    Attributes:
        path: Where it is, or where it will be once it is committed.
        shape: (height, width, channels).
        notes: JSON types that were stored with it.
    """

    def __init__(
        self,
        path: Path,
        file: io.FileIO,
        shape: tuple[int, int, int],
        offset: int,
        notes: Mapping[str, Any],
    ):
        self.path = path
        self.shape = shape
        self.notes = notes
        self._file = file
        self._offset = offset
        self._row = shape[1] * shape[2] * 4

    @property
    def size(self) -> Size:
        """(height, width) in pixels."""
        return self.shape[:2]

    @classmethod
    def create(cls, path: Path, shape: tuple[int, int, int]) -> "Store":
        """Makes room for a picture under a temporary name, `path` with `.part`.

        Args:
            path: Where it will be.
            shape: (height, width, channels).

        Raises:
            SaveError: If the disk has no room for all of it.
        """
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header, {"descr": "<f4", "fortran_order": False, "shape": shape}
        )
        size = len(header.getbuffer()) + 4 * int(np.prod(shape, dtype=object))
        with _saving(path, size):
            file = _File(_part(path), os.O_RDWR | os.O_CREAT | os.O_TRUNC)
            try:
                # Now, and not after hours: a file with holes may not find room later.
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(file.fileno(), 0, size)
                file.write(header.getbuffer())
            except BaseException:
                file.close()
                _part(path).unlink(missing_ok=True)
                raise
        return cls(path, file, shape, len(header.getbuffer()), {})

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        shape: tuple[int, int, int] | None = None,
        unfinished: bool = False,
    ) -> "Store":
        """Opens a store.

        Args:
            path: Where it is.
            shape: (height, width, channels) that it must have; None for any.
            unfinished: Whether it is one that was not committed, to go on writing.

        Raises:
            InputError: If it is damaged, or has another shape.
            OSError: If it is not there.
        """
        place = _part(path) if unfinished else path
        file = _File(place, os.O_RDWR if unfinished else os.O_RDONLY)
        try:
            own, offset = _header(file)
            if shape is not None and own != shape:
                raise ValueError(f"an array of {own}")
            data = 4 * int(np.prod(own, dtype=object))
            behind = os.fstat(file.fileno()).st_size - offset - data
            if not 0 <= behind <= _MOST_NOTES:
                raise ValueError("another length than it says")
            file.seek(offset + data)
            notes = json.loads(file.read(behind) or b"{}")
        except (ValueError, RecursionError) as failure:
            file.close()
            raise damaged(place, str(failure)[:80]) from None
        return cls(path, file, own, offset, notes)

    def rows(self, first: int, end: int) -> NDArray[np.float32]:
        """Returns the rows from the first to the one before the end."""
        return self._read(first, end, 0, self.shape[1])

    def take(
        self, rows: NDArray[np.int64], columns: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """Returns the values at some rows and columns, float32 (rows, columns, c).

        Args:
            rows: Their numbers; neighbours should follow each other, up or down.
            columns: The same; None for all.
        """
        across = np.arange(self.shape[1]) if columns is None else columns
        values = np.empty((len(rows), len(across), self.shape[2]), np.float32)
        for down in _pieces(rows):
            first, end = rows[down].min(), rows[down].max() + 1
            for along in _pieces(across):
                left, right = across[along].min(), across[along].max() + 1
                block = self._read(int(first), int(end), int(left), int(right))
                places = np.ix_(rows[down] - first, across[along] - left)
                values[down, along] = block if _is_plain(*places) else block[places]
        return values

    def write(self, first: int, rows: NDArray[np.float32]) -> None:
        """Writes rows from the first on.

        Raises:
            SaveError: If the disk refuses.
        """
        data = _bytes_of(np.ascontiguousarray(rows, "<f4"))
        with _saving(self.path, len(data)):
            self._file.seek(self._offset + first * self._row)
            while data:
                data = data[self._file.write(data) or 0 :]

    def sync(self) -> None:
        """Waits until all that was written is on the disk."""
        with _saving(self.path, 0):
            os.fsync(self._file.fileno())

    def commit(self, notes: Mapping[str, Any] | None = None) -> "Store":
        """Gives a store its name, with all of its rows and its notes.

        Args:
            notes: JSON types.

        Returns:
            It, opened for reading.
        """
        text = json.dumps(notes or {}).encode()
        with _saving(self.path, len(text)):
            end = self._offset + self.shape[0] * self._row
            self._file.truncate(end)
            self._file.seek(end)
            self._file.write(text)
            os.fsync(self._file.fileno())
            self.close()
            _part(self.path).replace(self.path)
            sync_folder(self.path.parent)
        return Store.open(self.path)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def remove(self) -> None:
        """Closes and removes the file, whether it is committed or not."""
        self.close()
        for path in (self.path, _part(self.path)):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _read(self, first: int, end: int, left: int, right: int) -> NDArray[np.float32]:
        """Returns a window of contiguous rows and columns."""
        pixel = self.shape[2] * 4
        values = np.empty((end - first, right - left, self.shape[2]), "<f4")
        whole = right - left == self.shape[1]
        for number, piece in enumerate([values] if whole else values):
            start = (first + number) * self._row + left * pixel
            self._file.seek(self._offset + start)
            view = _bytes_of(piece)
            while view:
                read = self._file.readinto(view)
                if not read:
                    raise OSError(f"{self.path} ends too early")
                view = view[read:]
        return values


def damaged(path: Path, how: str) -> InputError:
    """Returns the error for a store that is not as it was written.

    Args:
        path: Where it is.
        how: What is wrong with it.
    """
    return InputError(
        "a picture of an unfinished dream must be as it was written",
        received=f"{short_repr(str(path))} ({how})",
        hint="remove its folder and begin anew",
    )


def _bytes_of(values: NDArray[np.float32]) -> memoryview:
    """Returns the memory of contiguous values; there may be none."""
    return memoryview(values.data).cast("B") if values.size else memoryview(b"")


def _header(file: io.FileIO) -> tuple[tuple[int, int, int], int]:
    """Returns the shape of a store, and where its values begin."""
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("another version")
    shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(file)
    if is_fortran or dtype.str != "<f4" or len(shape) != 3 or min(shape) < 1:
        raise ValueError(f"an array of {dtype} {shape}")
    return (shape[0], shape[1], shape[2]), file.tell()


def _pieces(numbers: NDArray[np.int64]) -> Iterator[slice]:
    """Yields the pieces in which each number is a neighbour of the one before it."""
    breaks = np.flatnonzero(np.abs(np.diff(numbers)) > 1) + 1
    for start, end in itertools.pairwise((0, *breaks.tolist(), len(numbers))):
        if end > start:
            yield slice(start, end)


def _is_plain(*places: NDArray[np.int64]) -> bool:
    """Tells whether places are 0, 1, 2 … along each axis."""
    return all(np.array_equal(p.ravel(), np.arange(p.size)) for p in places)


def _part(path: Path) -> Path:
    return path.with_name(path.name + ".part")


@contextlib.contextmanager
def _saving(path: Path, size: int) -> Iterator[None]:
    """Turns a refusal of the disk into our sentence."""
    try:
        yield
    except OSError as failure:
        reason = (failure.strerror or type(failure).__name__).lower()
        received = f"{reason!r} for {short_repr(str(path))}"
        if failure.errno in FULL:
            raise SaveError(
                f"the disk must have room for {size:,} bytes more",
                received=received,
                hint="free some space and run the same command: it goes on from there",
            ) from failure
        raise SaveError(
            "the disk must take what a dream has so far",
            received=received,
            hint="try another folder",
        ) from failure


def sha256_of(source: Source) -> str:
    """Returns the sha256 of decoded pixels, as `Picture.sha256` has it."""
    height, width, channels = source.shape
    shape = f"{height}x{width}x{channels}"
    floats = hashlib.sha256(f"{shape} float32\n".encode())
    whole = hashlib.sha256(f"{shape} uint8\n".encode())
    exact = True
    for first, end in bands(height, width * channels * 4):
        values = source.rows(first, end)
        floats.update(np.ascontiguousarray(values, "<f4").tobytes())
        if exact:
            bytes_ = to_uint8(values)
            exact = np.array_equal(to_float(bytes_), values)
            whole.update(bytes_.tobytes())
    return (whole if exact else floats).hexdigest()
