"""Folders of numbered PNG files, with their stamps and notes in a file beside them."""

import contextlib
import io
import itertools
import json
import math
import re
import shutil
import tempfile
from collections.abc import Generator
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from keras_dream.errors import OutputError, short_repr
from keras_dream.files import saving, sync_folder, write_atomically
from keras_dream.pictures.deep import encode_png16
from keras_dream.pictures.films import INDEX
from keras_dream.pictures.metadata import metadata_options
from keras_dream.video.formats import MOST_TICKS
from keras_dream.video.frames import Stamp
from keras_dream.video.muxer import Target

_MOST_INDEX = 1 << 26  # bytes: a million frames' stamps and the notes
_OWN = re.compile(r"\d{6,}\.png")


def check_folder(path: Path) -> None:
    """Refuses a folder that holds anything but a film.

    Args:
        path: The folder, which need not exist.

    Raises:
        OutputError: If there is a file of that name, or a folder of other things.
    """
    where = short_repr(str(path))
    if path.is_dir():
        other = next((p.name for p in path.iterdir() if not _is_own(p)), None)
        where = f"{where}, which has {short_repr(other)}" if other else ""
    elif path.exists():
        where = f"{where}, a file"
    else:
        try:
            Path(tempfile.mkdtemp(prefix=".dream-", dir=path.parent)).rmdir()
            where = ""
        except OSError as failure:
            where = f"{where} ({(failure.strerror or str(failure)).lower()})"
    if where:
        raise OutputError(
            "the folder of a film must be new, empty, or one with nothing but a film",
            received=where,
            hint="try another name",
        )


def read_stamps(folder: Path) -> list[Fraction] | None:
    """Returns when each picture of a folder is shown, and when the last one ends.

    Args:
        folder: A folder, which may hold what a `Folder` has written; it is untrusted.

    Returns:
        Seconds from 0, which increase; None where there are none, or damaged ones.
    """
    try:
        with (folder / INDEX).open("rb") as file:
            values = json.loads(file.read(_MOST_INDEX))
        times = [Fraction(text) for text in (*values["stamps"], values["seconds"])]
    # Anything may stand there.
    except (OSError, ValueError, LookupError, TypeError, ArithmeticError):
        return None
    except RecursionError:
        return None
    is_usable = (
        times[0] == 0
        and all(a < b for a, b in itertools.pairwise(times))
        and math.lcm(*(time.denominator for time in times)) <= MOST_TICKS
    )
    return times if is_usable else None


def _is_own(path: Path) -> bool:
    return path.name == INDEX or _OWN.fullmatch(path.name) is not None


@contextlib.contextmanager
def staging_folder(path: Path) -> Generator[Path, None, None]:
    """Yields a hidden folder, which gets its name where the block ends.

    Where the block raises, it is removed, and what had the name before is unchanged.

    Args:
        path: The folder, which no other run may write to.
    """
    part = path.with_name(f".{path.name}.part")
    shutil.rmtree(part, ignore_errors=True)  # of a process that was killed
    try:
        with saving(path):
            part.mkdir()
        yield part
        with saving(path):
            sync_folder(part)
            if path.exists():
                old = path.with_name(f".{path.name}.old")
                shutil.rmtree(old, ignore_errors=True)
                path.replace(old)
                part.replace(path)
                shutil.rmtree(old, ignore_errors=True)
            else:
                part.replace(path)
            sync_folder(path.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)


class Folder:
    """A folder of PNG files, of 8 or 16 bits, while they are written."""

    def __init__(self, target: Target):
        self._target, self._count = target, 0

    def add(self, picture: np.ndarray, stamp: Stamp) -> None:
        """Adds one picture."""
        del stamp
        self._count += 1
        file = self._target.temporary / f"{self._count:06}.png"
        options = metadata_options(".png", "")
        if picture.dtype == np.uint16:
            data = encode_png16(picture, options)
        else:
            buffer = io.BytesIO()
            Image.fromarray(picture).save(buffer, "PNG", **options)
            data = buffer.getvalue()
        write_atomically(file, data)

    def end(self) -> None:
        """Writes the stamps and the notes."""
        stamps = self._target.clip.stamps
        values = json.loads(self._target.text or "{}")
        values["stamps"] = [str(stamp.start) for stamp in stamps]
        values["seconds"] = str(self._target.clip.seconds)
        text = json.dumps(values, indent=1)
        write_atomically(self._target.temporary / INDEX, f"{text}\n".encode("ascii"))

    def close(self) -> None:
        """Has nothing to close."""
