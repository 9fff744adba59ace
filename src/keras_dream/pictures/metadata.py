"""Metadata: the notes of a dream (its recipe and its record) inside its picture's file.

They are one JSON object in a PNG's text chunk `keras-dream`, in the EXIF UserComment of
JPEG and WebP, in a TIFF's ImageDescription, in the attribute `keras-dream` of an EXR
file, or in the comment of a deep-zoom file or a film. Beside them a result keeps of its
photo who took it, when and with which camera, but never where.
"""

import contextlib
import functools
import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from PIL import Image, TiffImagePlugin
from PIL.PngImagePlugin import PngInfo

from keras_dream.errors import InputError, PictureError, short_repr
from keras_dream.files import check_file
from keras_dream.pictures import deepzoom, films
from keras_dream.pictures.decoding import Opened, open_image, read_within
from keras_dream.pictures.headers import Bounds

if TYPE_CHECKING:
    from keras_dream.pictures.limits import Limits

MAX_NOTES_BYTES = 64_000
"""The most that notes may take: EXIF sits in one JPEG segment of 65,533 bytes (JPEG,
ITU-T T.81, B.1.1.4), and its own headers take some of them."""

_KEYWORD = "keras-dream"
_EXIF_IFD, _USER_COMMENT, _COLOR_SPACE = 0x8769, 0x9286, 0xA001  # EXIF 2.32
_ASCII = b"ASCII\0\0\0"  # the character code of a UserComment: EXIF 2.32, table 9
_IMAGE_DESCRIPTION, _PREDICTOR = 270, 317  # TIFF 6.0

# What is kept of a photo's EXIF 2.32, by tag. The place (GPS), serial numbers, the
# owner's name, the maker's notes and the thumbnail, which shows the photo, are not.
_KEPT = {
    271: "Make", 272: "Model", 306: "DateTime", 315: "Artist", 33432: "Copyright",
}  # fmt: skip
_KEPT_IN_EXIF_IFD = {
    33434: "ExposureTime", 33437: "FNumber", 34855: "ISOSpeedRatings",
    36867: "DateTimeOriginal", 36868: "DateTimeDigitized", 36880: "OffsetTime",
    36881: "OffsetTimeOriginal", 37386: "FocalLength", 41989: "FocalLengthIn35mmFilm",
    42035: "LensMake", 42036: "LensModel",
}  # fmt: skip
_DATE_TIME, _DATE_TIME_ORIGINAL = 306, 36867
# Bytes of a text: with the longest notes they fit a JPEG segment.
_LONGEST_VALUE, _LONGEST_DATE = 160, 32


def read_notes(
    path: str | os.PathLike[str], *, limits: "Limits | None" = None
) -> dict[str, str] | None:
    """Reads the notes that were saved in a picture or a film, without decoding pixels.

    They are untrusted: any JSON, of at most `MAX_NOTES_BYTES`.

    Args:
        path: A picture of any size, a film, or a film's folder of pictures.
        limits: As for `read_picture`.

    Returns:
        JSON texts by name, compact and in ASCII, equal in meaning to what was saved.
        None where there are none, damaged ones, or only those of another program.

    Raises:
        PictureError: If there is no such file, or it is not a picture, or beyond the
            limits.
    """
    if Path(path).is_dir() and films.is_film(Path(path)):
        path = Path(path) / films.INDEX
    path = check_file(path, "a picture", error=PictureError)
    # Neither the pixels nor the file are read as a whole.
    head, _ = read_within(decode_notes, path, limits, pixels=None, file_bytes=1 << 62)
    notes = head.get("notes")
    if not isinstance(notes, dict):
        return None
    values = cast("dict[str, Any]", notes)
    return {name: str(text) for name, text in values.items()}


def decode_notes(
    path: str | os.PathLike[str], **bounds: Any
) -> tuple[dict[str, Any], tuple[()]]:
    """Reads notes, here or in a child.

    Args:
        path: The file.
        **bounds: Those of `Bounds`.

    Returns:
        "notes" in a dictionary, as `read_notes` returns them; and no arrays.
    """
    with contextlib.ExitStack() as stack:
        file = Path(path)
        if file.suffix.lower() in deepzoom.SUFFIXES:
            read = functools.partial(deepzoom.read_text, file)
        elif films.is_film(file):
            read = functools.partial(films.read_text, file)
        else:
            opened = stack.enter_context(open_image(file, Bounds(**bounds)))
            read = functools.partial(_text, opened)
        try:
            return {"notes": _parse(read())}, ()
        # Damaged metadata may break any of Pillow's parsers.
        except Exception:  # noqa: BLE001
            return {"notes": None}, ()


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


def kept_exif(read_exif: Callable[[], Image.Exif]) -> bytes:
    """Returns what a result keeps of its photo's EXIF, encoded; b"" for nothing.

    Camera, lens, exposure, date, artist and copyright. Damaged EXIF counts as none.

    Args:
        read_exif: Returns the photo's EXIF; it may raise anything.
    """
    try:
        exif = read_exif()
        inner = _kept(exif.get_ifd(_EXIF_IFD), _KEPT_IN_EXIF_IFD)
        kept = Image.Exif()
        kept.update(_latin(_kept(exif, _KEPT)))
        if inner:
            kept.get_ifd(_EXIF_IFD).update(inner)
            kept[_EXIF_IFD] = kept.get_ifd(_EXIF_IFD)
        return kept.tobytes() if len(kept) else b""
    # Damaged metadata may break any of Pillow's parsers.
    except Exception:  # noqa: BLE001
        return b""


def _kept(values: Mapping[int, Any], tags: Mapping[int, str]) -> dict[int, Any]:
    """Returns the values of some tags: texts, cut to a length, and finite numbers."""
    kept: dict[int, Any] = {}
    for tag in tags:
        value = values.get(tag)
        if isinstance(value, str) and value.strip("\0 "):
            is_date = tags[tag].startswith(("DateTime", "Offset"))
            longest = _LONGEST_DATE if is_date else _LONGEST_VALUE
            kept[tag] = value.strip("\0 ")[:longest]
        elif _is_number(value):
            kept[tag] = value
    return kept


def _latin(values: Mapping[int, Any]) -> dict[int, Any]:
    """Returns tags of the outer directory with their texts as bytes.

    Pillow reads bytes as Latin-1, and would write all but ASCII, such as ©, as "?".
    """
    return {
        tag: value.encode("latin-1") if isinstance(value, str) else value
        for tag, value in values.items()
    }


def _is_number(value: Any) -> bool:
    # 0/0 is a rational that is not a number.
    kinds = (int, TiffImagePlugin.IFDRational)
    return isinstance(value, kinds) and math.isfinite(value) and 0 <= value < 2**31


def metadata_options(suffix: str, text: str, *, exif: bytes = b"") -> dict[str, Any]:
    """Returns the arguments that make Pillow save metadata.

    Pictures are marked as sRGB by a PNG chunk or an EXIF tag. TIFF has no such mark,
    and an ICC profile would bring its creation date into the bytes.

    Args:
        suffix: Of the file: .png, .tif, .tiff, .jpg, .jpeg or .webp; an EXR file has
            attributes of its own.
        text: Encoded notes, or "" for none.
        exif: What is kept of the photo's, from `kept_exif`.
    """
    kept = Image.Exif()
    if exif:
        kept.load(exif)
    if suffix == ".png":
        info = PngInfo()
        info.add(b"sRGB", b"\0")  # rendering intent: perceptual
        if text:
            info.add_itxt(_KEYWORD, text)
        return {"pnginfo": info, **({"exif": exif} if exif else {})}
    ifd = kept.get_ifd(_EXIF_IFD)
    outer = _latin(_kept(kept, _KEPT))
    if suffix in (".tif", ".tiff"):
        # libtiff, as Pillow uses it, writes no inner directory.
        date = ifd.get(_DATE_TIME_ORIGINAL)
        tags = {**outer, **({_DATE_TIME: date} if date else {})}
        tags[_PREDICTOR] = 2  # differences, which deflate better
        if text:
            tags[_IMAGE_DESCRIPTION] = text
        return {"tiffinfo": tags}
    kept.update(outer)
    ifd[_COLOR_SPACE] = 1  # sRGB
    if text:
        ifd[_USER_COMMENT] = _ASCII + text.encode("ascii")
    kept[_EXIF_IFD] = ifd
    return {"exif": kept}


def _text(opened: Opened) -> str | bytes:
    """Returns the text where notes would be; "" where there is none."""
    image = opened.image
    if opened.header.kind == "EXR":
        return opened.header.notes
    if image is not None and image.format == "PNG":
        return image.info.get(_KEYWORD, "")
    exif = opened.exif()
    if opened.header.kind == "TIFF":
        return str(exif.get(_IMAGE_DESCRIPTION, ""))
    comment = exif.get_ifd(_EXIF_IFD).get(_USER_COMMENT, b"")
    return comment.removeprefix(_ASCII) if isinstance(comment, bytes) else ""


def _parse(text: str | bytes) -> dict[str, str] | None:
    """Returns the notes in an untrusted text; raises anything if it holds none."""
    # Here, because the child that decodes pixels needs none of it.
    from keras_dream.recipe.settings import parse_json

    if len(text) > MAX_NOTES_BYTES:
        return None
    notes = parse_json(text)[_KEYWORD]
    dump = functools.partial(json.dumps, separators=(",", ":"), allow_nan=False)
    return {name: dump(value) for name, value in notes.items()}
