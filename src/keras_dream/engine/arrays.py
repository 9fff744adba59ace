"""Arrays in a `.npz` file: written without a date, and read as untrusted.

Nothing is unpickled or executed. A header is checked before anything of the size that
it claims is read, and all arrays together are bounded.
"""

import io
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_dream.errors import InputError, short_repr

_MOST_MEMBERS = 2_000  # L-BFGS of 100 steps has 4 for each; parameters are a few


class Kind(NamedTuple):
    """What arrays of a file must be.

    Attributes:
        name: A regular expression of their names.
        dtypes: The types that they may have, such as "<f4".
        shape: Their shape, with None for any length.
        most: How many values one may have, or None for as many as the file may have.
    """

    name: str
    dtypes: tuple[str, ...]
    shape: tuple[int | None, ...]
    most: int | None = None

    def fits(self, shape: tuple[int, ...], dtype: np.dtype) -> bool:
        """Tells whether an array of this shape and type is one."""
        is_shape = len(shape) == len(self.shape) and all(
            side == own for side, own in zip(shape, self.shape, strict=True) if own
        )
        is_small = self.most is None or int(np.prod(shape, dtype=object)) <= self.most
        return is_shape and is_small and any(dtype == d for d in self.dtypes)


def encode_arrays(
    arrays: Mapping[str, np.ndarray], *, packed: bool = False
) -> memoryview:
    """Returns a file of arrays; the same arrays give the same bytes.

    Args:
        arrays: By name.
        packed: Whether to compress them, by the first level of deflate: float noise
            takes four times as long at the usual sixth, and is hardly smaller.
    """
    method = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method, compresslevel=1) as archive:
        for name, array in arrays.items():
            # Without a date, so that files can be equal.
            member = zipfile.ZipInfo(f"{name}.npy")
            member.compress_type = method
            with archive.open(member, "w", force_zip64=True) as entry:
                np.lib.format.write_array(
                    entry, np.asarray(array), version=(1, 0), allow_pickle=False
                )
    return file.getbuffer()  # without a copy


def read_arrays(
    path: Path,
    kinds: tuple[Kind, ...],
    refused: Callable[[str], InputError],
    *,
    most_bytes: int | None = None,
    only: str | None = None,
) -> dict[str, np.ndarray]:
    """Reads a file of arrays that somebody may have forged.

    Args:
        path: The file.
        kinds: What its arrays must be, of which the first whose name fits counts.
        refused: Returns the error for a reason.
        most_bytes: How many bytes all arrays may have; None for as many as the file.
        only: The name of the only one to read; None for all.

    Returns:
        The arrays by name.

    Raises:
        InputError: That of `refused`: it is damaged, or an array is of no kind.
    """
    left = path.stat().st_size if most_bytes is None else most_bytes
    arrays: dict[str, np.ndarray] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) > _MOST_MEMBERS:
                raise ValueError(f"{len(members)} arrays")
            for member in members:
                name = member.filename.removesuffix(".npy")
                if only is not None and name != only:
                    continue
                arrays[name] = _read(archive, member, name, kinds, left)
                left -= arrays[name].nbytes
    except MemoryError:
        raise
    # A damaged or forged file may break the readers in any way.
    except Exception as failure:
        reason = " ".join(str(failure).split())[:80] or type(failure).__name__
        raise refused(f"{short_repr(str(path))} ({reason})") from failure
    return arrays


def _read(
    archive: zipfile.ZipFile,
    member: zipfile.ZipInfo,
    name: str,
    kinds: tuple[Kind, ...],
    most_bytes: int,
) -> np.ndarray:
    """Returns an array of its name's kind; raises `ValueError` for another."""
    kind = next((kind for kind in kinds if re.fullmatch(kind.name, name)), None)
    if kind is None:
        raise ValueError(f"the part {name[:40]!r}")
    with archive.open(member) as entry:
        if np.lib.format.read_magic(entry) != (1, 0):
            raise ValueError("another version of its arrays")
        shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(entry)
        if is_fortran or not kind.fits(shape, dtype):
            raise ValueError(f"{name}, an array of {dtype} {shape}"[:80])
        size = int(np.prod(shape, dtype=object)) * dtype.itemsize
        if size > most_bytes:
            raise ValueError(f"{name}, an array of {size:,} bytes")
        data = entry.read(size)
        if len(data) != size or entry.read(1):
            raise ValueError(f"{name}, which is not as long as it says")
    array = np.frombuffer(data, dtype).reshape(shape)
    if dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"{name}, with values that are not finite")
    return array
