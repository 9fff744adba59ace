"""The value `Picture`, and reading one from a file, a Pillow image or an array.

In the whole package an image is numpy float32 `(height, width, 3)`, sRGB-encoded,
nominally in [0, 1]. `encoding` saves one, `metadata` reads what was saved with it.
"""

import hashlib
import logging
import os
from dataclasses import dataclass

import numpy as np
from PIL import Image

from keras_dream.errors import InputError, PictureError, short_repr
from keras_dream.files import check_file
from keras_dream.pictures.decoding import (
    MAX_PIXELS,
    check_range,
    decode,
    decoding_errors,
    frames_of,
    open_image,
    pillow_limits,
    to_float,
)
from keras_dream.pictures.metadata import kept_exif

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture.

    Attributes:
        pixels: float32 `(height, width, 3)`, sRGB-encoded, in [0, 1].
        alpha: float32 `(height, width)` in [0, 1], 1 being opaque, or None where the
            source has no transparency.
        name: The name of the file without its folders; "" for arrays.
        exif: What a result keeps of the photo's EXIF: camera, date and copyright.
        frames: How many frames or pages the file has; this is the first.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    name: str = ""
    exif: bytes = b""
    frames: int = 1

    @property
    def notices(self) -> tuple[str, ...]:
        """What a person should know about how it was read."""
        if self.frames == 1:
            return ()
        return (f"Only the first of {self.frames} frames or pages is dreamed.",)

    @property
    def sha256(self) -> str:
        """The sha256 of the decoded pixels, in hexadecimal.

        It is taken of `{height}x{width}x{channels} {dtype}` and a newline, in ASCII,
        then of the values row by row, alpha being the fourth channel if there is one:
        as `uint8` where all values are whole 255ths, as from any 8-bit file, otherwise
        as little-endian `float32`. So equal pixels have equal hashes, from any kind of
        source.
        """
        values = self.pixels
        if self.alpha is not None:
            values = np.dstack([values, self.alpha])
        whole = to_uint8(values)
        exact = np.array_equal(to_float(whole), values)
        shape = "x".join(map(str, values.shape))
        digest = hashlib.sha256(f"{shape} {'uint8' if exact else 'float32'}\n".encode())
        digest.update((whole if exact else values.astype("<f4")).tobytes())
        return digest.hexdigest()


def read_picture(
    source: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS
) -> Picture:
    """Reads a picture from a PNG, JPEG, WebP, TIFF, AVIF, GIF or BMP file.

    The picture is turned upright by its EXIF orientation and converted to sRGB by its
    embedded colour profile; a broken profile is ignored. Only the first frame is read.
    16-bit grey keeps its precision; of 16-bit RGB Pillow reads only the upper 8 bits.

    Args:
        source: The file.
        max_pixels: The most pixels, width times height, that are decoded.

    Returns:
        The picture.

    Raises:
        PictureError: There is no such file, or it is not a picture, damaged or too
            large.
    """
    path = check_file(source, "a picture", error=PictureError)
    with open_image(path, max_pixels) as image, decoding_errors(path.name):
        picture = _decoded(image, path.name)
    height, width = picture.pixels.shape[:2]
    _log.debug("Read %s: %d × %d pixels", path, width, height)
    return picture


def as_picture(
    source: "Picture | str | os.PathLike[str] | Image.Image | np.ndarray",
) -> Picture:
    """Returns a picture from a file, a Pillow image or an array.

    Args:
        source: A file, a Pillow image, a `Picture`, or an array of shape
            `(height, width)` or `(height, width, 1, 3 or 4)`: uint8, or finite floats
            in [0, 1], sRGB-encoded. Arrays are copied.

    Returns:
        The picture.

    Raises:
        PictureError: The source is none of these.
    """
    if isinstance(source, Picture):
        return source
    if isinstance(source, str | os.PathLike):
        return read_picture(source)
    if isinstance(source, Image.Image):
        with pillow_limits(MAX_PIXELS), decoding_errors("a Pillow image"):
            return _decoded(source, "")
    if isinstance(source, np.ndarray):
        return _from_array(source)
    raise PictureError(
        "a picture must be a file, a Pillow image or a numpy array",
        received=short_repr(type(source).__name__),
        hint="convert it first, for instance with numpy.asarray",
    )


def to_uint8(image: np.ndarray) -> np.ndarray:
    """Returns an image in 8 bits: clipped to [0, 1], scaled by 255 and rounded.

    Args:
        image: Floats of any shape; finite.

    Returns:
        uint8 of the same shape.

    Raises:
        InputError: A value is not finite.
    """
    if not np.isfinite(image).all():
        raise InputError(
            "an image must be finite",
            received="one with infinities or values that are not numbers",
            hint="dream it again with a smaller step",
        )
    return np.rint(np.clip(image, 0, 1) * np.float32(255)).astype(np.uint8)


def check_image(image: np.ndarray) -> None:
    """Checks that an image is an array of floats of the right shape.

    Args:
        image: Floats (height, width, 3).

    Raises:
        InputError: It is not an array, has another shape, or holds integers.
    """
    shape, dtype = getattr(image, "shape", None), getattr(image, "dtype", None)
    fits = shape is not None and len(shape) == 3 and shape[2] == 3 and 0 not in shape
    if not fits or not np.issubdtype(dtype, np.floating):
        raise InputError(
            "an image must be an array of floats of the shape (height, width, 3)",
            received=type(image).__name__ if shape is None else f"{dtype} {shape}",
            hint="convert it with keras_dream.pictures.picture.as_picture first",
        )


def _decoded(image: Image.Image, name: str) -> Picture:
    frames, exif = frames_of(image), kept_exif(image)
    return Picture(*decode(image), name, exif, frames)


def _from_array(array: np.ndarray) -> Picture:
    """Returns a picture from an array, as `as_picture` describes it."""
    fits = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4))
    if not fits or 0 in array.shape:
        raise PictureError(
            "an array must have the shape (height, width[, 1, 3 or 4])",
            received=short_repr(array.shape),
            hint="give one picture at a time, its channels last",
        )
    if array.dtype == np.uint8:
        values = to_float(array)
    elif np.issubdtype(array.dtype, np.floating):
        values = check_range(array.astype(np.float32), "an array of floats")
    else:
        raise PictureError(
            "an array must be of uint8 or of floats",
            received=short_repr(array.dtype.name),
            hint="scale it to [0, 1] first",
        )
    values = values if values.ndim == 3 else values[..., None]
    alpha = values[..., 3].copy() if values.shape[2] == 4 else None
    color = np.repeat(values, 3, axis=2) if values.shape[2] == 1 else values[..., :3]
    return Picture(np.ascontiguousarray(color), alpha)
