"""Sources without a photo: `noise:1024x768`, `perlin:800x600`, `flat:#446688:640x480`.

    source = (part | "flat:" color) ":" width "x" height

such as `noise(contrast=1):640x480`. The same seed makes the same picture, whose name
is the source, so that a record tells how it was made.
"""

import re
from typing import Any

from keras_dream.errors import SettingError, short_repr
from keras_dream.geometry import Size
from keras_dream.parts.part import name_of, read_part
from keras_dream.parts.starts import PAINTED
from keras_dream.pictures.limits import MAX_PIXELS
from keras_dream.pictures.picture import Picture

_NAMES = "|".join(name_of(kind) for kind in PAINTED)
_SOURCE = re.compile(rf"(?:{_NAMES})(?:[:(].*)?", re.DOTALL)
_SIZED = re.compile(r"(.+):(\d{1,9})x(\d{1,9})", re.DOTALL)


def is_source(photo: Any) -> bool:
    """Tells whether a photo is the text of a source, and not a file.

    A file of such a name can be written with its folder: `./noise`.
    """
    return isinstance(photo, str) and _SOURCE.fullmatch(photo) is not None


def size_of(text: str) -> Size:
    """Returns the (height, width) of a source in pixels; errors as for `paint`."""
    sized = _SIZED.fullmatch(text)
    width, height = (int(sized[2]), int(sized[3])) if sized else (0, 0)
    if not 0 < width * height <= MAX_PIXELS:
        raise SettingError(
            "A source without a photo must be written as KIND:WIDTHxHEIGHT, of at most "
            f"{MAX_PIXELS:,} pixels",
            received=short_repr(text),
            hint="try noise:1024x768, perlin:800x600 or flat:#446688:640x480",
        )
    return height, width


def paint(text: str, *, seed: int) -> Picture:
    """Returns the picture of a source.

    Args:
        text: The source.
        seed: The recipe's seed.

    Raises:
        SettingError: If the text, the size or a parameter is impossible.
    """
    height, width = size_of(text)
    kind = re.sub(r"flat:(#.*)", r"flat(color=\1)", text.rpartition(":")[0])
    start = read_part(kind, PAINTED, "source")
    pixels = start.paint((height, width), seed)
    return Picture(pixels, name=f"{start.text}:{width}x{height}")


def file_stem(text: str) -> str:
    """Returns a name for the files of a source's dreams: "noise-1024x768"."""
    return "-".join(re.findall(r"[\w.]+", text))
