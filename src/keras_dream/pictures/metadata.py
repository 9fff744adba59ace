"""Metadata: the notes of a dream (its recipe and its record) inside its picture's file.

They are one JSON object in a PNG's text chunk `keras-dream`, in the EXIF UserComment of
JPEG and WebP, or in a TIFF's ImageDescription.
"""

import functools
import json
import os
from collections.abc import Mapping
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from keras_dream.errors import InputError, PictureError, short_repr
from keras_dream.files import check_file
from keras_dream.pictures.decoding import open_image

MAX_NOTES_BYTES = 64_000
"""The most that notes may take: EXIF sits in one JPEG segment of 65,533 bytes (JPEG,
ITU-T T.81, B.1.1.4), and its own headers take some of them."""

_KEYWORD = "keras-dream"
_EXIF_IFD, _USER_COMMENT, _COLOR_SPACE = 0x8769, 0x9286, 0xA001  # EXIF 2.32
_ASCII = b"ASCII\0\0\0"  # the character code of a UserComment: EXIF 2.32, table 9
_IMAGE_DESCRIPTION, _PREDICTOR = 270, 317  # TIFF 6.0


def read_notes(path: str | os.PathLike[str]) -> dict[str, str] | None:
    """Reads the notes that were saved in a picture's file, without decoding pixels.

    They are untrusted: any JSON, of at most `MAX_NOTES_BYTES`.

    Args:
        path: A picture.

    Returns:
        JSON texts by name, compact and in ASCII, equal in meaning to what was saved.
        None where there are none, damaged ones, or only those of another program.

    Raises:
        PictureError: If there is no such file, or it is not a picture.
    """
    path = check_file(path, "a picture", error=PictureError)
    with open_image(path, None) as image:
        try:
            return _parse(_text(image))
        # Damaged metadata may break any of Pillow's parsers.
        except Exception:  # noqa: BLE001
            return None


def encode_notes(notes: Mapping[str, str]) -> str:
    """Returns notes as one JSON text in ASCII, which every format can hold.

    Args:
        notes: JSON texts by name.

    Raises:
        InputError: If they are not JSON of finite numbers, or too long.
    """
    try:
        values = {name: json.loads(text) for name, text in notes.items()}
        text = json.dumps({_KEYWORD: values}, separators=(",", ":"), allow_nan=False)
    except (ValueError, RecursionError) as failure:
        raise InputError(
            "notes must be JSON texts of finite numbers",
            received=short_repr(str(failure)),
            hint="write them with json.dumps",
        ) from failure
    if len(text) > MAX_NOTES_BYTES:
        raise InputError(
            f"notes must have at most {MAX_NOTES_BYTES:,} bytes",
            received=f"{len(text):,}",
            hint="save the recipe in a file of its own",
        )
    return text


def metadata_options(suffix: str, text: str) -> dict[str, Any]:
    """Returns the arguments that make Pillow save metadata.

    Pictures are marked as sRGB by a PNG chunk or an EXIF tag. TIFF has no such mark,
    and an ICC profile would bring its creation date into the bytes.

    Args:
        suffix: Of the file: .png, .tif, .tiff, .jpg, .jpeg or .webp.
        text: Encoded notes, or "" for none.
    """
    if suffix == ".png":
        info = PngInfo()
        info.add(b"sRGB", b"\0")  # rendering intent: perceptual
        if text:
            info.add_itxt(_KEYWORD, text)
        return {"pnginfo": info}
    if suffix in (".tif", ".tiff"):
        tags: dict[int, Any] = {_PREDICTOR: 2}  # differences, which deflate better
        if text:
            tags[_IMAGE_DESCRIPTION] = text
        return {"tiffinfo": tags}
    exif = Image.Exif()
    ifd = exif.get_ifd(_EXIF_IFD)
    ifd[_COLOR_SPACE] = 1  # sRGB
    if text:
        ifd[_USER_COMMENT] = _ASCII + text.encode("ascii")
    exif[_EXIF_IFD] = ifd
    return {"exif": exif}


def _text(image: Image.Image) -> str | bytes:
    """Returns the text where notes would be; "" where there is none."""
    if image.format == "PNG":
        return image.info.get(_KEYWORD, "")
    if image.format == "TIFF":
        return str(image.tag_v2.get(_IMAGE_DESCRIPTION, ""))  # pyright: ignore[reportAttributeAccessIssue]
    comment = image.getexif().get_ifd(_EXIF_IFD).get(_USER_COMMENT, b"")
    return comment.removeprefix(_ASCII) if isinstance(comment, bytes) else ""


def _parse(text: str | bytes) -> dict[str, str] | None:
    """Returns the notes in an untrusted text; raises anything if it holds none."""
    if len(text) > MAX_NOTES_BYTES:
        return None
    notes = json.loads(text)[_KEYWORD]
    dump = functools.partial(json.dumps, separators=(",", ":"), allow_nan=False)
    return {name: dump(value) for name, value in notes.items()}
