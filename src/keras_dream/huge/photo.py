"""Photos that are larger than memory, read in bands by pyvips into a store.

Only libvips' readers of TIFF, PNG, JPEG and WebP are called, by the file's contents,
after its header is checked as that of any picture.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_dream.errors import PictureError, short_repr
from keras_dream.files import check_file, check_room
from keras_dream.geometry import Size
from keras_dream.huge.stores import Store, bands
from keras_dream.pictures import vips
from keras_dream.pictures.decoding import (
    check_range,
    decoding_errors,
    open_image,
    to_float,
)
from keras_dream.pictures.headers import Bounds, Header
from keras_dream.pictures.limits import Limits, default_limits
from keras_dream.pictures.metadata import kept_exif

MOST_DECODED = 1_000_000_000
"""Bytes of a picture that is decoded as a whole: an interlaced PNG, a progressive JPEG,
any WebP, a tile of a TIFF."""

_SETTLED = 2.0  # seconds, in which another change may bear the same time (FAT)

_READERS = {"TIFF": "tiffload", "PNG": "pngload", "JPEG": "jpegload"}
_READERS["WEBP"] = "webpload"
_MOST = (
    1 << 40
) - 1  # pixels, and bytes, that a file may have where none are asked for


@dataclass(frozen=True, eq=False)
class Photo:
    """A photo on the disk, of which the header is read.

    Attributes:
        path: The file.
        header: What its header says.
        exif: What a result keeps of its EXIF.
        size: (height, width) in pixels.
        frames: Frames or pages; the first is read.
    """

    path: Path
    header: Header
    exif: bytes
    size: Size
    frames: int

    @property
    def bits(self) -> int:
        """Of a channel: 8, 16, or 32 for floats."""
        return 32 if self.header.is_float else max(8, self.header.bits)

    @property
    def notices(self) -> tuple[str, ...]:
        """What a person should know about how it is read."""
        if self.frames == 1:
            return ()
        return (f"Only the first of {self.frames} frames or pages is dreamed.",)


def open_photo(path: str | Path, *, limits: Limits | None = None) -> Photo:
    """Reads the header of a photo.

    Args:
        path: A TIFF, PNG, JPEG or WebP file.
        limits: What it may have; of pixels and bytes as many as there are, unless it is
            asked for fewer. None for the `default_limits`.

    Raises:
        PictureError: If there is no such file, or it is none of these, damaged, beyond
            the limits, or must be decoded as a whole for which it is too large.
        InputError: If pyvips is not installed.
    """
    vips.require()
    path = check_file(path, "a picture", error=PictureError)
    limits = limits or default_limits()
    if limits.untrusted:
        raise PictureError(
            "a huge picture must be one that is trusted, for this process decodes it",
            received=f"{short_repr(path.name)} and --untrusted",
            hint="leave --untrusted out, or convert the file elsewhere first",
        )
    asked = limits.model_fields_set
    bounds = Bounds(
        limits.max_pixels if "max_pixels" in asked else _MOST,
        limits.max_file_bytes if "max_file_bytes" in asked else _MOST,
        limits.max_frames,
        limits.max_metadata_bytes,
    )
    with open_image(path, bounds) as opened:
        header, exif = opened.header, kept_exif(opened.exif)
        if header.kind not in _READERS:
            raise PictureError(
                "a huge picture must be a TIFF, PNG, JPEG or WebP file",
                received=short_repr(path.name),
                hint="convert it to TIFF first",
            )
        size = opened.size
    with decoding_errors(path.name):
        image = _opened(path, header)
        _check(image, path, header)
        if (image.height, image.width) != size:
            raise ValueError("another size than its header says")
    return Photo(path, header, exif, size, header.frames)


def _opened(path: Path, header: Header) -> Any:
    """Opens a photo, to be read in order."""
    reader = getattr(vips.load().Image, _READERS[header.kind])
    return reader(str(path), access="sequential", fail_on="error")


def _check(image: Any, path: Path, header: Header) -> None:
    """Refuses what cannot be read in bands from top to bottom."""
    decoded = image.width * image.height * image.bands
    decoded *= 2 if header.kind == "JPEG" or image.format == "ushort" else 1
    interlaced = image.get_typeof("interlaced") and image.get("interlaced")
    if (interlaced or header.kind == "WEBP") and decoded > MOST_DECODED:
        raise PictureError(
            "a huge picture must be one that is read row by row",
            received=f"{short_repr(path.name)}, an interlaced PNG, a progressive JPEG "
            "or a WebP",
            hint="convert it to TIFF first",
        )
    if header.tile_pixels * image.bands * 4 > MOST_DECODED:
        raise PictureError(
            "a huge picture must have tiles or strips much smaller than itself",
            received=f"{short_repr(path.name)}, of {header.tile_pixels:,} pixels each",
            hint="save it anew with tiles of 512 × 512",
        )
    if image.get_typeof("orientation") and image.get("orientation") not in (0, 1):
        raise PictureError(
            "a huge picture must be upright in its file",
            received=f"{short_repr(path.name)}, which its EXIF says to turn",
            hint="turn it in an image editor first",
        )


def read_photo(
    photo: Photo, store: Path, *, progress: Callable[[float], None] | None = None
) -> Store:
    """Returns the store of a photo's pixels, which is read if it is not there.

    Args:
        photo: The photo.
        store: Where the pixels go: float32 (height, width, 3), sRGB-encoded.
        progress: Called with the share that is read, from 0 to 1, after each band.

    Raises:
        PictureError: If it is damaged, not opaque, or has floats outside of [0, 1].
        SaveError: If the disk has no room.
    """
    notes = {"photo": photo.path.name, "stamp": _stamp(photo.path)}
    if store.exists():
        kept = Store.open(store)
        if kept.notes == notes and kept.notes["stamp"]:
            return kept
        kept.close()
    (height, width), shape = photo.size, (*photo.size, 3)
    check_room(store, 12 * height * width)
    with decoding_errors(photo.path.name):
        image = vips.to_srgb(_opened(photo.path, photo.header))
        # Bands of one region: separate ones would be asked for out of order.
        region = vips.load().Region.new(image)
        pixels = Store.create(store, shape)
        try:
            for first, end in bands(height, width * 3 * 4):
                values = _rows(image, region, first, end)
                pixels.write(first, values)
                if progress is not None:
                    progress(end / height)
        except BaseException:
            pixels.remove()
            raise
        return pixels.commit(notes)


def _stamp(path: Path) -> str:
    """Returns what changes when a photo does; "" if it has changed just now.

    It is less careful than `files.stamp_of`, which is unsure of a file that was not
    touched after it was written: a large photo would be read again at each start.
    """
    status = path.stat()
    written, changed = status.st_mtime_ns, status.st_ctime_ns
    if time.time() - max(written, changed) / 1e9 < _SETTLED:
        return ""
    return f"{status.st_size} {written} {changed} {status.st_ino} {status.st_dev}"


def _rows(image: Any, region: Any, first: int, end: int) -> np.ndarray:
    """Returns rows as float32; bands must be asked for from top to bottom."""
    kind = {"uchar": np.uint8, "ushort": np.uint16, "float": np.float32}[image.format]
    data = region.fetch(0, first, image.width, end - first)
    values = np.frombuffer(data, kind).reshape(end - first, image.width, image.bands)
    is_float = image.format == "float"
    floats = check_range(values, "a picture") if is_float else to_float(values)
    if image.bands == 4:
        if floats[..., 3].min() < 1:
            raise PictureError(
                "a huge picture must be opaque",
                received="one that is transparent somewhere",
                hint="flatten it in an image editor first",
            )
        floats = np.ascontiguousarray(floats[..., :3])
    return floats
