"""Saving images as PNG, JPEG, WebP and TIFF files, metadata included."""

import io
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from keras_dream.errors import InputError, OutputError, short_repr
from keras_dream.files import check_output, check_suffix, write_atomically
from keras_dream.geometry import bands
from keras_dream.pictures.metadata import encode_notes, metadata_options
from keras_dream.pictures.picture import check_image, to_uint8

_JPEG = {"format": "JPEG", "quality": 95, "subsampling": 0}
_TIFF = {"format": "TIFF", "compression": "tiff_adobe_deflate"}
# Pillow's handbook: a JPEG quality above 95 makes larger files, hardly better ones.
_OPTIONS: dict[str, dict[str, Any]] = {
    ".png": {"format": "PNG"},
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".webp": {"format": "WEBP", "quality": 95},
    ".tif": _TIFF,
    ".tiff": _TIFF,
}

SUFFIXES = tuple(_OPTIONS)
"""The suffixes of the formats that are written."""

_LONGEST_SIDE = {".jpg": 65_535, ".jpeg": 65_535, ".webp": 16_383}
"""Pixels: the 16 bits of a JPEG frame header and the 14 of a WebP one."""


def save_picture(
    path: str | os.PathLike[str],
    image: np.ndarray,
    *,
    alpha: np.ndarray | None = None,
    notes: Mapping[str, str] | None = None,
    exif: bytes = b"",
) -> None:
    """Saves an image as 8-bit PNG, JPEG, WebP or TIFF, by the suffix of the path.

    PNG and TIFF are lossless. JPEG has quality 95 and full colour resolution, and is
    composited over white where the image is transparent; WebP has quality 95. Values
    are clipped and rounded by `to_uint8`. The same arguments and the same Pillow give
    the same bytes. An existing file is replaced atomically.

    Args:
        path: Where to save it.
        image: float32 `(height, width, 3)`, sRGB-encoded; values outside [0, 1] are
            clipped.
        alpha: float32 `(height, width)` in [0, 1], or None for an opaque picture.
        notes: JSON texts by name, such as "recipe" and "record", for
            `keras_dream.pictures.metadata.read_notes`.
        exif: What is kept of the photo's EXIF: `Picture.exif`.

    Raises:
        InputError: The image has another shape or is not finite, or the notes
            are not JSON or too long.
        OutputError: The path cannot be written to, or the format is too small.
        SaveError: Writing failed.
    """
    path = check_output(path, SUFFIXES)
    data = encode_picture(image, path.suffix, alpha=alpha, notes=notes, exif=exif)
    write_atomically(path, data)


def encode_picture(
    image: np.ndarray,
    suffix: str,
    *,
    alpha: np.ndarray | None = None,
    notes: Mapping[str, str] | None = None,
    exif: bytes = b"",
) -> bytes:
    """Returns the bytes of the file that `save_picture` would write.

    Args:
        image: As for `save_picture`.
        suffix: One of `SUFFIXES`, which decides the format.
        alpha: As for `save_picture`.
        notes: As for `save_picture`.
        exif: As for `save_picture`.

    Raises:
        InputError: As for `save_picture`.
        OutputError: The suffix is unknown, or the format is too small for the image.
    """
    suffix = check_suffix(f"picture{suffix}", SUFFIXES)
    _check_image(image, alpha, suffix)
    text = encode_notes(notes) if notes else ""
    if alpha is not None and suffix in (".jpg", ".jpeg"):
        image, alpha = over_white(image, alpha), None
    pixels = to_uint8(image)
    if alpha is not None:
        pixels = np.dstack([pixels, to_uint8(alpha)])
    file = io.BytesIO()
    options = {**_OPTIONS[suffix], **metadata_options(suffix, text, exif=exif)}
    Image.fromarray(pixels).save(file, **options)
    return file.getvalue()


def over_white(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Returns an image over white, mixed in encoded values as browsers do.

    Args:
        image: float32 (height, width, 3); clipped to [0, 1].
        alpha: float32 (height, width); clipped to [0, 1].
    """
    white = np.empty_like(image)
    for rows in bands(image.shape):
        opacity = np.clip(alpha[rows], 0, 1)[..., None]
        white[rows] = np.clip(image[rows], 0, 1) * opacity + (1 - opacity)
    return white


def _check_image(image: np.ndarray, alpha: np.ndarray | None, suffix: str) -> None:
    """Refuses a wrong shape, or a side that is too long for the format."""
    check_image(image)
    if alpha is not None and alpha.shape != image.shape[:2]:
        raise InputError(
            f"alpha must have the shape of its image, {image.shape[:2]}",
            received=short_repr(alpha.shape),
            hint="resize it first",
        )
    longest = _LONGEST_SIDE.get(suffix)
    if longest and max(image.shape) > longest:
        raise OutputError(
            f"a {suffix} file must have sides of at most {longest:,} pixels",
            received=f"{image.shape[1]:,} × {image.shape[0]:,}",
            hint="save it as .png or .tif",
        )
