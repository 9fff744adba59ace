"""Reading pictures of more than 8 bits a channel with pyvips, which `huge` installs.

Pillow has no such colours: it reads the upper 8 bits of a 16-bit RGB file.
"""

import importlib.util
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_dream.errors import InputError, PictureError, short_repr
from keras_dream.pictures.headers import Header

if TYPE_CHECKING:
    import pyvips

INSTALL = "install it with `pip install 'keras-dream[huge]'`"

_SILENT = logging.NullHandler()
_ORIENTATION = "orientation"
_TURNS = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1],
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a.swapaxes(0, 1)[::-1],
}
"""What turns an array upright, by its EXIF orientation: EXIF 2.32, 4.6.4 A."""


def is_installed() -> bool:
    """Tells whether pyvips is there."""
    return importlib.util.find_spec("pyvips") is not None


def load() -> Any:
    """Returns pyvips, which reads no kind of file that is not named here.

    Raises:
        ImportError: If it is not installed.
    """
    import pyvips

    pyvips.cache_set_max(0)  # files may change, and pixels take memory
    # What it says of a damaged file becomes our sentence, and no line before it.
    logging.getLogger("pyvips").addHandler(_SILENT)
    return pyvips


def require() -> None:
    """Checks that pyvips is installed.

    Raises:
        InputError: If it is not.
    """
    if not is_installed():
        raise InputError(
            "pyvips must be installed for pictures that are larger than memory",
            received="a Python without it",
            hint=INSTALL,
        )


def read_deep(path: Path, header: Header) -> tuple[np.ndarray, np.ndarray | None]:
    """Returns the pixels and the alpha of a PNG or TIFF file, sRGB-encoded, upright.

    A colour profile is applied with 16 bits, to floats, too.

    Args:
        path: The file.
        header: What its header says.

    Returns:
        Pixels (height, width, 3), and alpha (height, width) or None: uint16, or
        float32 in [0, 1].
    """
    vips = load()
    reader = vips.Image.pngload if header.kind == "PNG" else vips.Image.tiffload
    # In order, as the whole would go to a temporary file where it is large.
    image = reader(str(path), access="sequential", fail_on="error")
    kind = image.format
    if kind not in ("uchar", "ushort", "float", "double"):
        raise PictureError(
            "a picture must have 8 or 16 bits a channel, or floats",
            received=f"{short_repr(path.name)}, which has {kind} numbers",
            hint="convert it to 16 bits first",
        )
    turn = image.get(_ORIENTATION) if image.get_typeof(_ORIENTATION) else 1
    values = to_srgb(image).numpy()
    values = _TURNS.get(turn, lambda a: a)(values)
    alpha = values[..., 3] if values.shape[2] == 4 else None
    return values[..., :3], alpha


def to_srgb(image: "pyvips.Image") -> "pyvips.Image":
    """Returns an image in sRGB of three channels and perhaps alpha, not premultiplied.

    Args:
        image: Of 8 or 16 bits a channel, or of floats in [0, 1].

    Returns:
        uint8, uint16 or float32, as the image was.
    """
    is_float = image.format in ("float", "double")
    colors = 4 if image.interpretation == "cmyk" else 3 if image.bands > 2 else 1
    alpha = image[colors] if image.bands > colors else None
    image = image[:colors] if image.bands > colors else image
    profile = image.get_typeof("icc-profile-data") != 0
    if profile and is_float:  # littleCMS has no floats here
        image = (image * 65_535).rint().cast("ushort")
        image = image.copy(interpretation="rgb16" if colors == 3 else "grey16")
    if profile:
        image = _by_profile(image)
    elif image.interpretation in ("cmyk", "lab", "labs", "labq", "xyz"):
        image = image.colourspace("srgb" if image.format == "uchar" else "rgb16")
    if image.format == "ushort" and is_float:
        image = image.cast("float") / 65_535
    elif is_float:
        image = image.cast("float")
    if image.bands == 1:
        image = image.bandjoin([image, image])
    return image if alpha is None else image.bandjoin(alpha.cast(image.format))


def _by_profile(image: "pyvips.Image") -> "pyvips.Image":
    """Converts by the embedded profile; a broken one is ignored."""
    import pyvips

    try:
        return image.icc_transform(
            "srgb",
            embedded=True,
            # As photo editors do: exact where sRGB has the colour, and black stays.
            intent="relative",
            black_point_compensation=True,
            depth=8 if image.format == "uchar" else 16,
        )
    except pyvips.Error:
        return image
