"""OpenEXR files, which hold linear light: read to sRGB values, and written from them.

The extra `huge` installs the library. Colours are those of Rec. 709, as sRGB has them,
and multiplied by the opacity: "Technical Introduction to OpenEXR".
"""

import importlib.util
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from keras_dream.errors import DreamError, OutputError, PictureError, short_repr
from keras_dream.parts.colorspaces import from_linear, to_linear

MAGIC = b"v/1\x01"
"""With which a file begins: "OpenEXR File Layout"."""

_NOTES = "keras-dream"
# Attributes of "Standard Attributes" by the tags of EXIF 2.32 that are kept.
_TEXTS = {271: "cameraMake", 272: "cameraModel", 315: "owner", 33432: "owner"}
_INNER_TEXTS = {36867: "capDate", 42035: "lensMake", 42036: "lensModel"}
_NUMBERS = {33434: "expTime", 33437: "aperture", 34855: "isoSpeed"}
_EXIF_IFD = 0x8769


def read_exr(path: Path) -> tuple[np.ndarray, np.ndarray | None, bool]:
    """Returns the pixels and the alpha of an EXR file, sRGB-encoded.

    Args:
        path: The file.

    Returns:
        Pixels, float32 (height, width, 3) in [0, 1]; alpha, float32 (height, width) in
        [0, 1] or None; and whether lights outside of [0, 1] were clipped.

    Raises:
        PictureError: If it has no colours that can be read.
    """
    import OpenEXR

    # Without threads of its own, which a child may not have.
    with OpenEXR.File(str(path), separate_channels=True, num_threads=0) as file:
        planes = {name: c.pixels for name, c in file.channels().items()}
    names = [n for n in ("R", "G", "B") if n in planes] or ["Y"]
    shapes = {planes[n].shape for n in [*names, "A"] if n in planes}
    if len(names) == 2 or names[0] not in planes or len(shapes) != 1:
        raise PictureError(
            "an EXR picture must have the channels R, G and B, or Y, of one size",
            received=f"{short_repr(path.name)}, which has {', '.join(sorted(planes))}",
            hint="save its colours with these names first",
        )
    light = np.dstack([planes[n] for n in names]).astype(np.float32)
    alpha = planes["A"].astype(np.float32) if "A" in planes else None
    if not np.isfinite(light).all() or not (alpha is None or np.isfinite(alpha).all()):
        raise PictureError(
            "an EXR picture must be finite",
            received=f"{short_repr(path.name)}, which has infinities or no numbers",
            hint="clip it in an image editor first",
        )
    if alpha is not None:
        alpha = alpha.clip(0, 1)
        light = light / np.where(alpha > 0, alpha, 1)[..., None]
    # Rounding must not count.
    clipped = bool(light.min() < -1e-4 or light.max() > 1 + 1e-4)
    pixels = from_linear(light)
    return np.repeat(pixels, 3 // pixels.shape[2], axis=2), alpha, clipped


def encode_exr(
    image: np.ndarray,
    alpha: np.ndarray | None,
    *,
    half: bool,
    text: str = "",
    exif: bytes = b"",
) -> bytes:
    """Returns an EXR file of an image, as linear light; scan lines, ZIP.

    Args:
        image: float32 (height, width, 3), sRGB-encoded; clipped to [0, 1].
        alpha: float32 (height, width), clipped to [0, 1], or None.
        half: Whether it gets floats of 16 bits, not of 32.
        text: Encoded notes, or "" for none.
        exif: What is kept of the photo's.

    Raises:
        OutputError: If the library is not installed.
    """
    require(OutputError, "a result with the suffix .exr")
    import OpenEXR

    light = to_linear(image)
    if alpha is not None:
        alpha = np.clip(alpha, 0, 1)
        light = np.dstack([light * alpha[..., None], alpha])
    light = np.ascontiguousarray(light, np.float16 if half else np.float32)
    header: dict[str, Any] = {
        "compression": OpenEXR.ZIP_COMPRESSION,
        "type": OpenEXR.scanlineimage,
        **_attributes(exif),
        **({_NOTES: text} if text else {}),
    }
    file = io.BytesIO()
    channels = {"RGB" if alpha is None else "RGBA": light}
    OpenEXR.File(header, channels, num_threads=0).write(file)
    return file.getvalue()


def is_installed() -> bool:
    """Tells whether the library is there."""
    return importlib.util.find_spec("OpenEXR") is not None


def require(error: type[DreamError], received: str) -> None:
    """Checks that the library is installed.

    Args:
        error: The class of the error where it is not.
        received: For its message: what needs it.
    """
    if not is_installed():
        raise error(
            "OpenEXR must be installed for .exr pictures",
            received=f"{received}, without it",
            hint="install it with `pip install 'keras-dream[huge]'`, or use a .tif, "
            "which holds floats, too",
        )


def _attributes(exif: bytes) -> dict[str, str | float]:
    """Returns what is kept of a photo's EXIF as attributes."""
    if not exif:
        return {}
    kept = Image.Exif()
    kept.load(exif)
    inner: Mapping[int, Any] = kept.get_ifd(_EXIF_IFD)
    texts = {name: kept[tag] for tag, name in _TEXTS.items() if tag in kept}
    texts |= {name: inner[tag] for tag, name in _INNER_TEXTS.items() if tag in inner}
    numbers = {name: inner[tag] for tag, name in _NUMBERS.items() if tag in inner}
    return {
        **{name: re.sub(r"\0", "", str(text)) for name, text in texts.items()},
        **{name: float(value) for name, value in numbers.items()},
    }
