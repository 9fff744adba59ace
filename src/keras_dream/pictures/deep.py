"""Writing PNG and TIFF files of more than 8 bits a channel, which Pillow does not.

Pillow writes their metadata: the chunks of a PNG, and the directory of a TIFF.
"""

import io
import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from PIL import Image, TiffImagePlugin, TiffTags

from keras_dream.errors import OutputError

_BAND = 64  # rows that are compressed at once
_MOST_BYTES = (1 << 32) - (1 << 20)  # of a TIFF, whose offsets have 32 bits

# Tags of TIFF 6.0, and of its Technical Note 3 for floats.
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_OFFSETS, _CHANNELS, _ROWS, _SIZES = 273, 277, 278, 279
_PREDICTOR, _EXTRA, _FORMAT = 317, 338, 339
_DEFLATE, _RGB, _UNASSOCIATED, _IEEE = 8, 2, 2, 3
_DIFFERENCES, _FLOAT_DIFFERENCES = 2, 3


def encode_png16(pixels: np.ndarray, options: Mapping[str, Any]) -> bytes:
    """Returns a PNG file of 16 bits.

    Args:
        pixels: uint16 (height, width, 3 or 4).
        options: The metadata, as Pillow takes it.
    """
    blank = io.BytesIO()
    Image.new("RGB", (1, 1)).save(blank, "PNG", **options)
    height, width, channels = pixels.shape
    color = 2 if channels == 3 else 6
    head = struct.pack(">IIBBBBB", width, height, 16, color, 0, 0, 0)
    file = io.BytesIO()
    file.write(b"\x89PNG\r\n\x1a\n")
    for kind, data in _chunks(blank.getvalue()):
        if kind == b"IDAT":
            for part in _deflated(_png_rows(pixels)):
                file.write(_chunk(b"IDAT", part))
        else:
            file.write(_chunk(kind, head if kind == b"IHDR" else data))
    return file.getvalue()


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 8
    while at < len(png):
        length, kind = struct.unpack_from(">I4s", png, at)
        yield kind, png[at + 8 : at + 8 + length]
        at += 12 + length


def _chunk(kind: bytes, data: bytes) -> bytes:
    crc = zlib.crc32(data, zlib.crc32(kind))
    return struct.pack(">I4s", len(data), kind) + data + struct.pack(">I", crc)


def _png_rows(pixels: np.ndarray) -> Iterator[bytes]:
    """Yields bands of rows, each row with the filter Sub: PNG, 9.2."""
    step = 2 * pixels.shape[2]
    for top in range(0, len(pixels), _BAND):
        band = pixels[top : top + _BAND].astype(">u2")
        rows = band.reshape(len(band), -1).view(np.uint8)
        filtered = np.empty((len(rows), rows.shape[1] + 1), np.uint8)
        filtered[:, 0] = 1
        filtered[:, 1 : 1 + step] = rows[:, :step]
        filtered[:, 1 + step :] = rows[:, step:] - rows[:, :-step]
        yield filtered.tobytes()


def _deflated(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Yields one zlib stream in parts."""
    stream = zlib.compressobj()
    for part in parts:
        if data := stream.compress(part):
            yield data
    yield stream.flush()


def encode_tiff(pixels: np.ndarray, tags: Mapping[int, Any]) -> bytes:
    """Returns a TIFF file of 16 bits or of floats: strips, Deflate, a predictor.

    Args:
        pixels: uint16 or float32 (height, width, 3 or 4); alpha is not premultiplied.
        tags: The metadata, by the numbers of their tags.

    Raises:
        OutputError: If it would be too large for a TIFF.
    """
    height, width, channels = pixels.shape
    is_float = pixels.dtype == np.float32
    differences = _float_differences if is_float else _integer_differences
    strips, at = list[bytes](), [0]
    for top in range(0, height, _BAND):
        data = zlib.compress(differences(pixels[top : top + _BAND]).tobytes())
        strips.append(data + bytes(len(data) % 2))  # words begin at even bytes
        at.append(at[-1] + len(strips[-1]))
    if at[-1] > _MOST_BYTES:
        raise OutputError(
            f"a .tif file must have at most {_MOST_BYTES:,} bytes",
            received=f"one of {width:,} × {height:,} pixels and {at[-1]:,} bytes",
            hint="save it as .png, or with fewer bits",
        )
    ifd = TiffImagePlugin.ImageFileDirectory_v2(prefix=b"II")
    for tag, value in {
        **tags,
        _WIDTH: width,
        _HEIGHT: height,
        _BITS: (8 * pixels.itemsize,) * channels,
        _COMPRESSION: _DEFLATE,
        _PHOTOMETRIC: _RGB,
        _OFFSETS: tuple(at[:-1]),  # to which Pillow adds the end of the directory
        _CHANNELS: channels,
        _ROWS: _BAND,
        _SIZES: tuple(map(len, strips)),
        _PREDICTOR: _FLOAT_DIFFERENCES if is_float else _DIFFERENCES,
        **({_EXTRA: _UNASSOCIATED} if channels == 4 else {}),
        **({_FORMAT: (_IEEE,) * channels} if is_float else {}),
    }.items():
        ifd[tag] = value
    ifd.tagtype[_OFFSETS] = TiffTags.LONG
    head = struct.pack("<2sHI", b"II", 42, 8)
    return b"".join([head, ifd.tobytes(len(head)), *strips])


def _integer_differences(rows: np.ndarray) -> np.ndarray:
    """Returns rows (height, width, channels) as differences of neighbours."""
    values = rows.astype("<u2")
    values[:, 1:] -= rows[:, :-1]
    return values


def _float_differences(rows: np.ndarray) -> np.ndarray:
    """Returns rows of floats as differences of their bytes, the highest first.

    Source: "Adobe Photoshop TIFF Technical Note 3", of 2005.
    """
    height, _, channels = rows.shape
    parts = rows.astype(">f4").reshape(height, -1, 1).view(np.uint8)
    planes = parts.transpose(0, 2, 1).reshape(height, -1)
    values = planes.copy()
    values[:, channels:] -= planes[:, :-channels]
    return values
