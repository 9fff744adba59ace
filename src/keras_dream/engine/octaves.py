"""The file of an unfinished dream: what each octave added, for `dream mix`.

A compressed `.npz` beside the picture: `image`, float32, as the last step left it;
`octave_1` …, float16, what the steps of each octave added, whose rounding moves a mixed
pixel by less than a tenth of a grey level; and `picture`, the sha256 of the file that
it belongs to. It is untrusted when it is read: nothing is unpickled, and nothing is
read that is not of the picture's own size.
"""

import contextlib
import hashlib
import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from keras_dream.engine.finish import Unfinished
from keras_dream.errors import InputError, short_repr
from keras_dream.files import check_file, write_atomically
from keras_dream.geometry import Size

SUFFIX = ".octaves.npz"

_OCTAVE = re.compile(r"octave_([1-9][0-9]?)")
_MOST_ENTRIES = 102  # two and every octave


def octaves_path(picture: Path) -> Path:
    """Returns the path of the file beside a picture: `sky-dream.octaves.npz`."""
    return picture.with_name(picture.stem + SUFFIX)


def save_octaves(dream: Unfinished, picture: Path) -> Path:
    """Writes the file beside a saved picture, whole or not at all.

    Returns:
        Its path.

    Raises:
        SaveError: If the disk refuses.
    """
    arrays = {
        "image": dream.image.astype("<f4"),
        "picture": np.frombuffer(_sha256(picture), np.uint8),
        **{
            f"octave_{number}": added.astype("<f2")
            for number, added in (dream.octaves or {}).items()
        },
    }
    file = io.BytesIO()
    # Deflate's first level: float noise takes four times as long at the usual sixth,
    # and is hardly smaller.
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in arrays.items():
            # Without a date, so that files can be equal.
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w") as entry:
                np.lib.format.write_array(entry, array, version=(1, 0))
    path = octaves_path(picture)
    write_atomically(path, file.getvalue())
    return path


def read_octaves(path: Path, picture: Path, size: Size) -> Unfinished:
    """Reads the file that `save_octaves` wrote.

    Args:
        path: The file.
        picture: The picture that it must belong to.
        size: (height, width) at which it was dreamed.

    Raises:
        InputError: If there is none, if it is damaged, or if it is another picture's.
    """
    path = check_file(path, "The octaves of a dream")
    octaves: dict[int, np.ndarray] = {}
    with _opened(path) as archive:
        names = {name.removesuffix(".npy") for name in archive.namelist()}
        if len(names) > _MOST_ENTRIES or not names >= {"image", "picture"}:
            raise _unreadable(path)
        owner = _read(archive, "picture", np.dtype("u1"), (32,))
        if owner.tobytes() != _sha256(picture):
            raise InputError(
                "The octaves of a dream must belong to its picture",
                received=f"{short_repr(path.name)}, which belongs to another file than "
                f"{short_repr(picture.name)}",
                hint="dream it again with --save-octaves",
            )
        image = _read(archive, "image", np.dtype("<f4"), (*size, 3))
        for match in filter(None, map(_OCTAVE.fullmatch, names)):
            octaves[int(match[1])] = _read(
                archive, match[0], np.dtype("<f2"), (*size, 3)
            )
    return Unfinished(image, octaves)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Opens the archive; whatever a damaged one raises becomes one sentence."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (InputError, MemoryError):
        raise
    # A damaged or forged file may break the readers in any way.
    except Exception as failure:
        raise _unreadable(path) from failure


def _read(
    archive: zipfile.ZipFile, name: str, dtype: np.dtype, shape: tuple[int, ...]
) -> np.ndarray:
    """Returns an array of exactly this type and shape; raises ValueError for another.

    Its header is checked before anything of its size is read.
    """
    with archive.open(f"{name}.npy") as entry:
        version = np.lib.format.read_magic(entry)
        if version != (1, 0):
            raise ValueError(version)
        header = np.lib.format.read_array_header_1_0(entry)
        if header != (shape, False, dtype):
            raise ValueError(header)
        size = int(np.prod(shape)) * dtype.itemsize
        data = entry.read(size)
        if len(data) != size or entry.read(1):
            raise ValueError(len(data))
    array = np.frombuffer(data, dtype).reshape(shape)
    if dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(name)
    return array


def _sha256(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _unreadable(path: Path) -> InputError:
    return InputError(
        "The octaves of a dream must be whole, and of the size of its picture",
        received=f"{short_repr(str(path))}, which is damaged or of another size",
        hint="dream it again with --save-octaves",
    )
