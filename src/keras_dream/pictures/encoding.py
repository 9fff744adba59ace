"""Saving images as PNG, JPEG, WebP, TIFF and EXR files, metadata included."""

import io
import os
from collections.abc import Mapping
from typing import Any, Literal, cast

import numpy as np
from PIL import Image

from keras_dream.errors import InputError, OutputError, short_repr
from keras_dream.files import check_output, check_suffix, write_atomically
from keras_dream.geometry import bands
from keras_dream.pictures.deep import encode_png16, encode_tiff
from keras_dream.pictures.metadata import encode_notes, metadata_options
from keras_dream.pictures.picture import check_image, to_depth

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

SUFFIXES = (*_OPTIONS, ".exr")
"""The suffixes of the formats that are written."""

LOSSLESS = (".png", ".tif", ".tiff", ".exr")
"""Those of the formats that keep every bit."""

Depth = Literal["8", "16", "float"]
"""Bits of a channel; floats have 32."""

_BITS: dict[Depth, int] = {"8": 8, "16": 16, "float": 32}
_DEPTHS: dict[str, tuple[Depth, ...]] = {
    ".png": ("8", "16"),
    ".tif": ("8", "16", "float"),
    ".tiff": ("8", "16", "float"),
    ".exr": ("16", "float"),
    ".dzi": ("8", "16"),
    ".szi": ("8", "16"),
}
"""Those of the formats that have a choice; all others have 8."""

LONGEST_SIDE = {".jpg": 65_535, ".jpeg": 65_535, ".webp": 16_383}
"""Pixels: the 16 bits of a JPEG frame header and the 14 of a WebP one."""


def save_picture(
    path: str | os.PathLike[str],
    image: np.ndarray,
    *,
    alpha: np.ndarray | None = None,
    notes: Mapping[str, str] | None = None,
    exif: bytes = b"",
    depth: str = "auto",
) -> None:
    """Saves an image as PNG, JPEG, WebP, TIFF or EXR, by the suffix of the path.

    PNG, TIFF and EXR are lossless. JPEG has quality 95 and full colour resolution, and
    is composited over white where the image is transparent; WebP has quality 95. Values
    are clipped to [0, 1] and rounded. Those of an EXR file are linear light, and half
    floats with 16 bits; all others are sRGB-encoded, floats, too. The same arguments
    and the same libraries give the same bytes. An existing file is replaced atomically.

    Args:
        path: Where to save it.
        image: float32 `(height, width, 3)`, sRGB-encoded; values outside [0, 1] are
            clipped.
        alpha: float32 `(height, width)` in [0, 1], or None for an opaque picture.
        notes: JSON texts by name, such as "recipe" and "record", for
            `keras_dream.pictures.metadata.read_notes`.
        exif: What is kept of the photo's EXIF: `Picture.exif`.
        depth: Bits of a channel: "8", "16", "float" or "auto", as for `depth_of`.

    Raises:
        InputError: The image has another shape or is not finite, or the notes
            are not JSON or too long.
        OutputError: The path cannot be written to, or the format is too small.
        SaveError: Writing failed.
    """
    path = check_output(path, SUFFIXES)
    data = encode_picture(
        image, path.suffix, alpha=alpha, notes=notes, exif=exif, depth=depth
    )
    write_atomically(path, data)


def encode_picture(
    image: np.ndarray,
    suffix: str,
    *,
    alpha: np.ndarray | None = None,
    notes: Mapping[str, str] | None = None,
    exif: bytes = b"",
    depth: str = "auto",
) -> bytes:
    """Returns the bytes of the file that `save_picture` would write.

    Args:
        image: As for `save_picture`.
        suffix: One of `SUFFIXES`, which decides the format.
        alpha: As for `save_picture`.
        notes: As for `save_picture`.
        exif: As for `save_picture`.
        depth: As for `save_picture`.

    Raises:
        InputError: As for `save_picture`.
        OutputError: The suffix is unknown, or the format is too small for the image.
    """
    suffix = check_suffix(f"picture{suffix}", SUFFIXES)
    _check_image(image, alpha, suffix)
    text = encode_notes(notes) if notes else ""
    depth = depth_of(suffix, depth)
    if alpha is not None and suffix in (".jpg", ".jpeg"):
        image, alpha = over_white(image, alpha), None
    if suffix == ".exr":
        from keras_dream.pictures.exr import encode_exr

        values = to_depth(image, "float")
        return encode_exr(values, alpha, half=depth == "16", text=text, exif=exif)
    metadata = metadata_options(suffix, text, exif=exif)
    pixels = to_depth(image, depth)
    if alpha is not None:
        pixels = np.dstack([pixels, to_depth(alpha, depth)])
    if depth == "8":
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, **_OPTIONS[suffix], **metadata)
        return file.getvalue()
    if suffix == ".png":
        return encode_png16(pixels, metadata)
    return encode_tiff(pixels, metadata["tiffinfo"])


def depth_of(suffix: str, depth: str, *, bits: int = 8) -> Depth:
    """Returns how many bits a channel of a file has.

    Args:
        suffix: Of the file, which decides the format.
        depth: What is asked for: "8", "16", "float", or "auto" for as many as the photo
            has, if the format can hold them, and at least those of the format.
        bits: Of a channel of the photo; 32 for floats.

    Raises:
        OutputError: If the format does not have what is asked for.
    """
    depths: tuple[Depth, ...] = _DEPTHS.get(suffix.lower(), ("8",))
    depth = str(depth)  # a number of bits is as good as its text
    if depth == "auto":
        fitting: list[Depth] = [d for d in depths if _BITS[d] <= bits]
        return fitting[-1] if fitting else depths[0]
    if depth in depths:
        return cast("Depth", depth)
    if depth not in _BITS:
        raise OutputError(
            "A depth must be 8, 16, float or auto",
            received=short_repr(depth),
            hint="leave it out for as many bits as the photo has",
        )
    able = [s for s in SUFFIXES if depth in _DEPTHS.get(s, ()) and s != ".tiff"]
    raise OutputError(
        f"A result of depth {depth} must be a {' or '.join(able)} file",
        received=f"one with the suffix {suffix}",
        hint=f"try {able[0]}, or leave the depth out",
    )


def check_depth(suffix: str, depth: str) -> None:
    """Checks, before there is an image, that a file of a depth can be written.

    Args:
        suffix: Of the file.
        depth: As for `depth_of`.

    Raises:
        OutputError: If the format has no such depth, or the library that writes it is
            not installed.
    """
    depth_of(suffix, depth)
    if suffix.lower() == ".exr":
        from keras_dream.pictures.exr import require

        require(OutputError, f"a result with the suffix {suffix}")


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
    longest = LONGEST_SIDE.get(suffix)
    if longest and max(image.shape) > longest:
        raise OutputError(
            f"a {suffix} file must have sides of at most {longest:,} pixels",
            received=f"{image.shape[1]:,} × {image.shape[0]:,}",
            hint="save it as .png or .tif",
        )
