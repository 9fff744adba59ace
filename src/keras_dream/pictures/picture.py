"""The value `Picture`, and reading one from a file, a Pillow image or an array.

In the whole package an image is numpy float32 `(height, width, 3)`, sRGB-encoded,
nominally in [0, 1]. `encoding` saves one, `metadata` reads what was saved with it.
"""

import hashlib
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from keras_dream.errors import InputError, PictureError, short_repr
from keras_dream.files import check_file
from keras_dream.geometry import Size, bands
from keras_dream.pictures.decoding import (
    Decoded,
    check_range,
    decode,
    decode_opened,
    decoding_errors,
    frames_of,
    memory_errors,
    open_image,
    pillow_limits,
    read_within,
    to_float,
)
from keras_dream.pictures.headers import Bounds
from keras_dream.pictures.metadata import kept_exif
from keras_dream.recipe.files import FileRef, Files

if TYPE_CHECKING:
    from keras_dream.pictures.limits import Limits

_log = logging.getLogger(__name__)

READ_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".tif", ".tiff", ".avif"}
    | {".gif", ".bmp", ".heic", ".heif", ".exr"}
)
"""Of the pictures of a folder that are read: what Pillow opens, and HEIC and EXR, for
which the reader says what is missing."""


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
        bits: Of a channel, as it was read: 8, 16, or 32 for floats.
        is_reduced: Whether the file has more bits, which only pyvips reads.
        is_clipped: Whether lights outside of [0, 1] were clipped.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    name: str = ""
    exif: bytes = b""
    frames: int = 1
    bits: int = 8
    is_reduced: bool = False
    is_clipped: bool = False

    @property
    def notices(self) -> tuple[str, ...]:
        """What a person should know about how it was read."""
        notices = {
            f"Only the first of {self.frames} frames or pages is dreamed.": self.frames
            > 1,
            "The photo has more than 8 bits a channel, of which only 8 are read; "
            "`pip install 'keras-dream[huge]'` keeps them.": self.is_reduced,
            "The photo's lights below 0 and above 1 are clipped; change its exposure "
            "first to keep them.": self.is_clipped,
        }
        return tuple(text for text, holds in notices.items() if holds)

    @property
    def sha256(self) -> str:
        """The sha256 of the decoded pixels, in hexadecimal.

        It is taken of `{height}x{width}x{channels} {dtype}` and a newline, in ASCII,
        then of the values row by row, alpha being the fourth channel if there is one:
        as `uint8` where all values are whole 255ths, as from any 8-bit file, otherwise
        as little-endian `float32`. So equal pixels have equal hashes, from any kind of
        source.
        """
        whole = [to_uint8(values) for values in self._bands()]
        exact = all(
            np.array_equal(to_float(own), values)
            for own, values in zip(whole, self._bands(), strict=True)
        )
        shape = f"{'x'.join(map(str, self.pixels.shape[:2]))}x{self._channels}"
        digest = hashlib.sha256(f"{shape} {'uint8' if exact else 'float32'}\n".encode())
        for values in whole if exact else self._bands():
            own = values if exact else values.astype("<f4", copy=False)
            digest.update(np.ascontiguousarray(own).data)
        return digest.hexdigest()

    @property
    def _channels(self) -> int:
        return 3 if self.alpha is None else 4

    def _bands(self) -> Iterator[np.ndarray]:
        """Yields the values in bands of rows, alpha being the fourth channel."""
        for rows in bands(self.pixels.shape):
            if self.alpha is None:
                yield self.pixels[rows]
            else:
                yield np.dstack([self.pixels[rows], self.alpha[rows]])


def read_picture(
    source: str | os.PathLike[str], *, limits: "Limits | None" = None
) -> Picture:
    """Reads a picture from a PNG, JPEG, WebP, TIFF, AVIF, GIF, BMP or EXR file.

    The picture is turned upright by its EXIF orientation and converted to sRGB by its
    embedded colour profile; a broken profile is ignored. Only the first frame is read.
    More than 8 bits are kept where pyvips is installed; without it, of 16-bit grey
    only. An EXR file's light is converted to sRGB values.

    Args:
        source: The file.
        limits: What it may have and take; None for the `default_limits`. A
            stranger's file is best read with `kd.Limits(untrusted=True)`, in a process
            of its own.

    Returns:
        The picture, float32 in [0, 1].

    Raises:
        PictureError: There is no such file, or it is not a picture, damaged or beyond
            the limits.
        RunError: Memory is out.
    """
    path = check_file(source, "a picture", error=PictureError)
    with memory_errors(path.name), decoding_errors(path.name):
        is_exr = _is_exr(path)
        parts = read_within(decode_file, path, limits, isolated=is_exr)
        picture = _of_parts(path.name, *parts)
    height, width = picture.pixels.shape[:2]
    _log.debug("Read %s: %d × %d pixels", path, width, height)
    return picture


def read_named(file: FileRef, files: Files) -> Picture:
    """Returns the picture that a recipe names.

    Args:
        file: As the recipe names it.
        files: Finds it.

    Raises:
        InputError: If there is no such file.
        PictureError: As for `read_picture`.
    """
    held = files.picture_of(file)
    return held or read_picture(files.find(file), limits=files.limits)


def _is_exr(path: Path) -> bool:
    """Tells whether a file is EXR, whose library must be installed then.

    It is decoded in a child always: of a damaged file the library writes to standard
    output and standard error.
    """
    from keras_dream.pictures import exr

    with path.open("rb") as file:
        is_exr = file.read(len(exr.MAGIC)) == exr.MAGIC
    if is_exr:
        exr.require(PictureError, short_repr(path.name))
    return is_exr


def decode_file(
    path: str | os.PathLike[str], **bounds: int
) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Decodes a picture, here or in a child.

    Args:
        path: The file.
        **bounds: Those of `Bounds`.

    Returns:
        Frames, bits and the like; then pixels, alpha if there is one, and what is kept
        of the EXIF as bytes.

    Raises:
        PictureError: As for `read_picture`.
    """
    file = Path(path)
    opened = open_image(file, Bounds(**bounds))
    with opened as image, decoding_errors(file.name):
        decoded = decode_opened(image)
        return _parts_of(decoded, kept_exif(image.exif), image.header.frames)


def read_size(
    source: str | os.PathLike[str], *, limits: "Limits | None" = None
) -> Size:
    """Returns the (height, width) in pixels of a picture's file, by its header.

    Args:
        source: The file.
        limits: As for `read_picture`.

    Raises:
        PictureError: As for `read_picture`, as far as the header tells.
    """
    path = check_file(source, "a picture", error=PictureError)
    head, _ = read_within(decode_size, path, limits)
    with decoding_errors(path.name):
        return int(head["height"]), int(head["width"])


def decode_size(
    path: str | os.PathLike[str], **bounds: int
) -> tuple[dict[str, int], tuple[()]]:
    """Reads the size of a picture, here or in a child; errors as for `read_size`.

    Args:
        path: The file.
        **bounds: Those of `Bounds`.
    """
    with open_image(Path(path), Bounds(**bounds)) as image:
        return dict(zip(("height", "width"), image.size, strict=True)), ()


def _parts_of(
    decoded: Decoded, exif: bytes, frames: int
) -> tuple[dict[str, Any], list[np.ndarray]]:
    pixels, alpha, bits, is_reduced, is_clipped = decoded
    head = {
        "frames": frames,
        "bits": bits,
        "is_reduced": is_reduced,
        "is_clipped": is_clipped,
    }
    arrays = [pixels] if alpha is None else [pixels, alpha]
    return head, [*arrays, np.frombuffer(exif, np.uint8)]


def _of_parts(
    name: str, head: Mapping[str, Any], arrays: Sequence[np.ndarray]
) -> Picture:
    """Returns the picture of decoded parts, which a child may have forged."""
    pixels, *alphas, exif = arrays
    shapes = [pixels.shape[2:], *(alpha.shape for alpha in alphas)]
    if shapes not in ([(3,)], [(3,), pixels.shape[:2]]) or not pixels.size:
        raise ValueError(f"arrays of {shapes}")
    alpha = _as_floats(alphas[0]) if alphas else None
    return Picture(
        _as_floats(pixels),
        alpha,
        name,
        exif.tobytes(),
        frames=int(head["frames"]),
        bits=int(head["bits"]),
        is_reduced=bool(head["is_reduced"]),
        is_clipped=bool(head["is_clipped"]),
    )


def _as_floats(values: np.ndarray) -> np.ndarray:
    if values.dtype in (np.uint8, np.uint16):
        return to_float(values)
    return check_range(values.astype(np.float32, copy=False), "a picture")


def as_picture(
    source: "Picture | str | os.PathLike[str] | Image.Image | np.ndarray",
    *,
    limits: "Limits | None" = None,
) -> Picture:
    """Returns a picture from a file, a Pillow image or an array.

    Args:
        source: A file, a Pillow image, a `Picture`, or an array of shape
            `(height, width)` or `(height, width, 1, 3 or 4)`: uint8, or finite floats
            in [0, 1], sRGB-encoded. Arrays are copied.
        limits: As for `read_picture`.

    Returns:
        The picture.

    Raises:
        PictureError: The source is none of these.
    """
    from keras_dream.pictures.limits import default_limits

    if isinstance(source, Picture):
        return source
    if isinstance(source, str | os.PathLike):
        return read_picture(source, limits=limits)
    if isinstance(source, Image.Image):
        pixels = (limits or default_limits()).max_pixels
        name = "a Pillow image"
        with pillow_limits(pixels), memory_errors(name), decoding_errors(name):
            exif, frames = kept_exif(source.getexif), frames_of(source)
            return _of_parts("", *_parts_of(decode(source), exif, frames))
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
    return to_depth(image, "8")


def to_depth(image: np.ndarray, depth: str) -> np.ndarray:
    """Returns an image in 8 or 16 bits, or in floats: clipped to [0, 1], and rounded.

    Args:
        image: Floats of any shape; finite.
        depth: "8", "16" or "float".

    Returns:
        uint8, uint16 or float32 of the same shape.

    Raises:
        InputError: A value is not finite.
    """
    kind = {"8": np.uint8, "16": np.uint16, "float": np.float32}[depth]
    result = np.empty(image.shape, kind)
    for rows in bands(image.shape):
        values = np.clip(image[rows], 0, 1)
        if not np.isfinite(image[rows]).all():
            raise InputError(
                "an image must be finite",
                received="one with infinities or values that are not numbers",
                hint="dream it again with a smaller step",
            )
        if depth != "float":
            values = np.rint(values * np.float32(np.iinfo(kind).max))
        result[rows] = values
    return result


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
