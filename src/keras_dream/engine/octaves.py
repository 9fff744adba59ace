"""The file of an unfinished dream: what each octave added, for `dream mix`.

A compressed `.npz` beside the picture: `image`, float32, as the last step left it;
`octave_1` …, float16, what the steps of each octave added, whose rounding moves a mixed
pixel by less than a tenth of a grey level; and `picture`, the sha256 of the file that
it belongs to. It is untrusted when it is read: nothing is unpickled, and nothing is
read that is not of the picture's own size.
"""

import math
from pathlib import Path

import numpy as np

from keras_dream.engine.arrays import Kind, encode_arrays, read_arrays
from keras_dream.engine.finish import Unfinished
from keras_dream.errors import InputError, short_repr
from keras_dream.files import (
    check_file,
    octaves_path,
    sha256_file,
    write_atomically,
)
from keras_dream.geometry import Size

_OCTAVE = "octave_[1-9][0-9]?"


def save_octaves(dream: Unfinished, picture: Path) -> Path:
    """Writes the file beside a saved picture, whole or not at all.

    Returns:
        Its path.

    Raises:
        SaveError: If the disk refuses.
    """
    arrays = {
        "image": dream.image.astype("<f4"),
        "picture": np.frombuffer(bytes.fromhex(sha256_file(picture)), np.uint8),
        **{
            f"octave_{number}": added.astype("<f2")
            for number, added in (dream.octaves or {}).items()
        },
    }
    path = octaves_path(picture)
    write_atomically(path, encode_arrays(arrays, packed=True))
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
    path, shape = check_file(path, "The octaves of a dream"), (*size, 3)
    kinds = (
        Kind("picture", ("u1",), (32,)),
        Kind("image", ("<f4",), shape),
        Kind(_OCTAVE, ("<f2",), shape),
    )
    # The image, and at most 99 octaves of half as many bytes.
    most = 32 + 4 * math.prod(shape) + 99 * 2 * math.prod(shape)
    arrays = read_arrays(path, kinds, _unreadable, most_bytes=most)
    if not {"picture", "image"} <= set(arrays):
        raise _unreadable(f"{short_repr(str(path))}, where an array is missing")
    if arrays.pop("picture").tobytes().hex() != sha256_file(picture):
        raise InputError(
            "The octaves of a dream must belong to its picture",
            received=f"{short_repr(path.name)}, which belongs to another file than "
            f"{short_repr(picture.name)}",
            hint="dream it again with --save-octaves",
        )
    image = arrays.pop("image")
    octaves = {int(name.removeprefix("octave_")): a for name, a in arrays.items()}
    return Unfinished(image, octaves)


def _unreadable(received: str) -> InputError:
    return InputError(
        "The octaves of a dream must be whole, and of the size of its picture",
        received=received,
        hint="dream it again with --save-octaves",
    )
