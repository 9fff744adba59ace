"""Pictures: every kind of file in, one kind of image inside, honest files out.

Inside, an image is numpy float32 `(height, width, 3)`, sRGB-encoded, nominally in
[0, 1]; see `Picture`. Files keep the recipe and the record of a dream as notes.
"""

import functools
import hashlib
import io
import json
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from keras_dream.errors import InputError, OutputError, PictureError, short_repr
from keras_dream.files import check_file, check_output, check_suffix, write_atomically
from keras_dream.pictures.decoding import (
    MAX_PIXELS,
    check_image,
    check_range,
    decode,
    opened,
    quiet,
    refusing,
    to_float,
)

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")
"""What is written."""

MAX_NOTES_BYTES = 64_000
"""The most that notes may take: EXIF sits in one JPEG segment of 65,533 bytes (JPEG,
ITU-T T.81, B.1.1.4), and its own headers take some of them."""

JPEG_QUALITY = WEBP_QUALITY = 95
"""Pillow's handbook advises against more for JPEG: larger files, hardly better ones."""

_LONGEST_SIDE = {".jpg": 65_535, ".jpeg": 65_535, ".webp": 16_383}
"""Pixels: the 16 bits of a JPEG frame header and the 14 of a WebP one."""

_KEYWORD = "keras-dream"
_EXIF_IFD, _USER_COMMENT, _COLOUR_SPACE = 0x8769, 0x9286, 0xA001  # EXIF 2.32
_ASCII = b"ASCII\0\0\0"  # the character code of a UserComment: EXIF 2.32, table 9
_IMAGE_DESCRIPTION, _PREDICTOR = 270, 317  # TIFF 6.0
_MAX_CHUNKS = 10_000  # before the pixels; a made-up PNG may have millions


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture.

    Attributes:
        pixels: float32 `(height, width, 3)`, sRGB-encoded, in [0, 1].
        alpha: float32 `(height, width)` in [0, 1], 1 being opaque, or None where the
            source has no transparency.
        name: The name of the file without its folders; "" for arrays.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    name: str = ""

    @property
    def sha256(self) -> str:
        """The sha256 of the decoded pixels, in hexadecimal.

        Hashed are `{height}x{width}x{channels} {dtype}` and a newline, in ASCII, then
        the values row by row, alpha being the fourth channel if there is one. Where all
        are whole numbers of 255ths, as from any 8-bit file, these are hashed as
        `uint8`; otherwise as little-endian `float32`. So equal pixels have equal
        hashes, from whichever kind of source.
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

    The picture is turned upright by its EXIF orientation and brought to sRGB by its
    embedded colour profile; a broken profile is ignored. Of several frames the first
    is taken. 16-bit grey keeps its precision; of 16-bit RGB Pillow gives only the
    upper 8 bits.

    Args:
        source: The file.
        max_pixels: The most pixels, width times height, that are decoded.

    Returns:
        The picture.

    Raises:
        PictureError: There is no such file, or it is no picture, damaged or too large.
    """
    path = check_file(source, "a picture", error=PictureError)
    with opened(path, max_pixels) as image, refusing(path.name):
        return Picture(*decode(image), path.name)


def as_picture(
    source: "Picture | str | os.PathLike[str] | Image.Image | np.ndarray",
) -> Picture:
    """Returns a picture from whatever holds one.

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
        with quiet(), refusing("a Pillow image"):
            return Picture(*decode(source))
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


def save_picture(
    path: str | os.PathLike[str],
    image: np.ndarray,
    *,
    alpha: np.ndarray | None = None,
    notes: Mapping[str, str] | None = None,
) -> None:
    """Saves an image as 8-bit PNG, JPEG, WebP or TIFF, by the suffix of the path.

    PNG and TIFF are lossless. JPEG has quality 95 and full colour resolution, and lies
    on white where the image is transparent; WebP has quality 95. Clipping and rounding
    are those of `to_uint8`. The same arguments give the same bytes (with the same
    release of Pillow), and an existing file is replaced whole or not at all.

    Args:
        path: Where to save it.
        image: float32 `(height, width, 3)`, sRGB-encoded; values outside [0, 1] are
            clipped.
        alpha: float32 `(height, width)` in [0, 1], or None for an opaque picture.
        notes: JSON texts by name, such as "recipe" and "record". They go as one object
            into a PNG's iTXt chunk `keras-dream`, into the EXIF UserComment of JPEG and
            WebP, and into a TIFF's ImageDescription, where `read_notes` finds them.

    Raises:
        InputError: The image has another shape or is not finite, or the notes are no
            JSON or too long.
        OutputError: The path cannot be written to, or the format is too small.
        SaveError: The disk refused while writing.
    """
    path = check_output(path, SUFFIXES)
    write_atomically(path, encode_picture(image, path.suffix, alpha=alpha, notes=notes))


def encode_picture(
    image: np.ndarray,
    suffix: str = ".png",
    *,
    alpha: np.ndarray | None = None,
    notes: Mapping[str, str] | None = None,
) -> bytes:
    """Returns the bytes of the file that `save_picture` would write.

    Args:
        image: As in `save_picture`; so are `alpha` and `notes`.
        suffix: One of `SUFFIXES`, which decides the format.
        alpha: Opacity or None.
        notes: JSON texts by name.

    Returns:
        The whole file.

    Raises:
        InputError: As in `save_picture`.
        OutputError: The suffix is unknown, or the format is too small for the image.
    """
    suffix = check_suffix(f"picture{suffix}", SUFFIXES)
    _check_image(image, alpha, suffix)
    text = _pack(notes) if notes else ""
    if alpha is not None and suffix in (".jpg", ".jpeg"):
        # Over white in encoded values, as browsers do it.
        opacity = np.clip(alpha, 0, 1)[..., None]
        image, alpha = np.clip(image, 0, 1) * opacity + (1 - opacity), None
    pixels = to_uint8(image if alpha is None else np.dstack([image, alpha]))
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, **_options(suffix, text))
    return file.getvalue()


def read_notes(path: str | os.PathLike[str]) -> dict[str, str] | None:
    """Reads the notes that `save_picture` put into a file, without decoding pixels.

    They may be a stranger's: JSON of any meaning, at most `MAX_NOTES_BYTES` of it.

    Args:
        path: A picture.

    Returns:
        JSON texts by name, equal in meaning to what was saved, compact and in ASCII;
        None where there are none, damaged ones, or only those of another program.

    Raises:
        PictureError: There is no such file, or it is no picture.
    """
    path = check_file(path, "a picture", error=PictureError)
    with opened(path, None) as image:
        try:
            return _unpack(_note_text(path, image))
        # A stranger's metadata may break any of the parsers.
        except Exception:  # noqa: BLE001
            return None


def _check_image(image: np.ndarray, alpha: np.ndarray | None, suffix: str) -> None:
    """Refuses a wrong shape, and a side too long for the format."""
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


def _from_array(array: np.ndarray) -> Picture:
    """Returns a picture from an array, as `as_picture` describes it."""
    known = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4))
    if not known or 0 in array.shape:
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
    colour = np.repeat(values, 3, axis=2) if values.shape[2] == 1 else values[..., :3]
    return Picture(np.ascontiguousarray(colour), alpha)


def _options(suffix: str, text: str) -> dict[str, Any]:
    """Returns what Pillow is to save with, the notes among it.

    Pictures are marked as sRGB by a PNG chunk or an EXIF tag; TIFF has no such mark,
    and a profile would carry the date of its making into the bytes.
    """
    if suffix == ".png":
        info = PngInfo()
        info.add(b"sRGB", b"\0")  # rendering intent: perceptual
        if text:
            info.add_itxt(_KEYWORD, text)
        return {"format": "PNG", "pnginfo": info}
    if suffix in (".tif", ".tiff"):
        tags: dict[int, Any] = {_PREDICTOR: 2}  # differences, which deflate better
        if text:
            tags[_IMAGE_DESCRIPTION] = text
        return {"format": "TIFF", "compression": "tiff_adobe_deflate", "tiffinfo": tags}
    exif = Image.Exif()
    details = exif.get_ifd(_EXIF_IFD)
    details[_COLOUR_SPACE] = 1  # sRGB
    if text:
        details[_USER_COMMENT] = _ASCII + text.encode("ascii")
    exif[_EXIF_IFD] = details
    if suffix == ".webp":
        return {"format": "WEBP", "quality": WEBP_QUALITY, "exif": exif}
    quality = {"quality": JPEG_QUALITY, "subsampling": 0}
    return {"format": "JPEG", **quality, "exif": exif}


def _pack(notes: Mapping[str, str]) -> str:
    """Returns notes as one JSON text in ASCII, which every format can hold."""
    try:
        values = {name: json.loads(text) for name, text in notes.items()}
        text = json.dumps({_KEYWORD: values}, separators=(",", ":"), allow_nan=False)
    except (ValueError, RecursionError) as failure:
        raise InputError(
            "notes must be JSON texts of finite numbers",
            received=short_repr(str(failure)),
            hint="make them with json.dumps",
        ) from failure
    if len(text) > MAX_NOTES_BYTES:
        raise InputError(
            f"notes must have at most {MAX_NOTES_BYTES:,} bytes",
            received=f"{len(text):,}",
            hint="save the recipe in a file of its own",
        )
    return text


def _unpack(text: str | bytes) -> dict[str, str] | None:
    """Returns the notes in a text that may be anybody's."""
    if len(text) > MAX_NOTES_BYTES:
        return None
    try:
        found = json.loads(text)
        notes = found.get(_KEYWORD) if isinstance(found, dict) else None
        if not isinstance(notes, dict):
            return None
        dump = functools.partial(json.dumps, separators=(",", ":"), allow_nan=False)
        return {name: dump(value) for name, value in notes.items()}
    except (ValueError, RecursionError):
        return None


def _note_text(path: Path, image: Image.Image) -> str | bytes:
    """Returns the text in the place where notes would be; "" where there is none."""
    if image.format == "PNG":
        return _png_text(path)
    if image.format == "TIFF":
        return str(image.tag_v2.get(_IMAGE_DESCRIPTION, ""))  # pyright: ignore[reportAttributeAccessIssue]
    comment = image.getexif().get_ifd(_EXIF_IFD).get(_USER_COMMENT, b"")
    return comment.removeprefix(_ASCII) if isinstance(comment, bytes) else ""


def _png_text(path: Path) -> bytes:
    """Returns our first iTXt chunk before the pixels (Pillow gives the last)."""
    start = _KEYWORD.encode() + bytes(5)  # uncompressed, no language, no translation
    with path.open("rb") as file:
        file.seek(8)
        for _ in range(_MAX_CHUNKS):
            length, kind = struct.unpack(">I4s", file.read(8))
            if kind in (b"IDAT", b"IEND"):
                break
            if kind == b"iTXt" and len(start) <= length <= len(start) + MAX_NOTES_BYTES:
                data = file.read(length)
                if data.startswith(start):
                    return data.removeprefix(start)
                file.seek(4, os.SEEK_CUR)
            else:
                file.seek(length + 4, os.SEEK_CUR)
    return b""
