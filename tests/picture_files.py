"""Pictures and their files, for the tests of `keras_dream.pictures`."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

NOTES = {"recipe": '{"layers":{"mixed4":1.5},"who":"\\u00e9"}', "record": "[1,null]"}
LOSSLESS = [".png", ".tif", ".tiff"]
OURS = [*LOSSLESS, ".jpg", ".jpeg", ".webp"]


def smooth(height: int = 24, width: int = 36) -> np.ndarray:
    """A picture that survives lossy formats: uint8 (height, width, 3)."""
    y, x = np.mgrid[:height, :width]
    return np.stack(
        [x * 255 // width, y * 255 // height, np.full_like(x, 90)], axis=-1
    ).astype(np.uint8)


def encode(image: Image.Image, suffix: str, **options: object) -> bytes:
    kind = {"jpg": "JPEG", "tif": "TIFF"}.get(suffix[1:], suffix[1:].upper())
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def put(folder: Path, data: bytes, name: str = "a.png") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def transparent() -> np.ndarray:
    alpha = np.tile(np.linspace(0, 255, 36).astype(np.uint8), (24, 1))
    return np.dstack([smooth(), alpha])


def png(width: int, height: int, bits: int, colour: int, *idat: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data))
            + kind
            + data
            + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    body = b"".join(chunk(b"IDAT", data) for data in idat)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + body + chunk(b"IEND", b"")
