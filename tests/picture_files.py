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


# --- hostile files -------------------------------------------------------------------


def png_chunks(*chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of 2 × 1 grey pixels with further chunks before them."""
    whole = b"\x89PNG\r\n\x1a\n"
    head = (b"IHDR", struct.pack(">IIBBBBB", 2, 1, 8, 0, 0, 0, 0))
    pixels = (b"IDAT", zlib.compress(b"\0\x10\x20"))
    for kind, data in (head, *chunks, pixels, (b"IEND", b"")):
        crc = zlib.crc32(kind + data)
        whole += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)
    return whole


def gif(frames: int, *, size: tuple[int, int] = (1, 1), before: bytes = b"") -> bytes:
    """A GIF of so many frames of one black pixel."""
    head = b"GIF89a" + struct.pack("<HHBBB", *size, 0x80, 0, 0) + bytes(3) + b"\xff" * 3
    frame = b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0"
    return head + before + frame * frames + b";"


def scans(count: int, side: int = 64) -> bytes:
    """A flat progressive JPEG with its last scan, of some bytes, so many times more."""
    data = encode(Image.new("RGB", (side, side), "teal"), ".jpg", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * count + data[-2:]


def tiff(
    *tags: tuple[int, int, int, int], after: bytes = b"", following: int | None = 0
) -> bytes:
    """A TIFF of grey pixels: (tag, type, count, value) and bytes after the directory.

    `following` is where the next directory is; None for this one again.
    """
    head = struct.pack("<2sHI", b"II", 42, 8) + struct.pack("<H", len(tags))
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return (
        head
        + entries
        + struct.pack("<I", 8 if following is None else following)
        + after
    )


def grey_tiff(*more: tuple[int, int, int, int], **options: object) -> bytes:
    """A TIFF of 2 × 1 grey pixels, stored behind its directory, with further tags."""
    tags = [
        (256, 3, 1, 2), (257, 3, 1, 1), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1),
        (277, 3, 1, 1), (278, 3, 1, 1), (279, 4, 1, 2),
    ]  # fmt: skip
    offset = 8 + 2 + 12 * (len(tags) + 1 + len(more)) + 4
    tags = sorted([*tags, (273, 4, 1, offset), *more])
    return tiff(*tags, after=b"\x10\x20", **options)


def bmp_runs(width: int, height: int, data: bytes) -> bytes:
    """A BMP of grey pixels with 8-bit run-length encoding."""
    palette = b"".join(bytes([value] * 3 + [0]) for value in range(256))
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, 0, 0, 0, 256, 0)
    start = 14 + len(head) + len(palette)
    return struct.pack("<2sIHHI", b"BM", start, 0, 0, start) + head + palette + data


def sparse(path: Path, parts: dict[int, bytes], size: int) -> Path:
    """Writes a file that is zero but for some parts, and takes hardly any disk."""
    with path.open("wb") as file:
        for offset, data in parts.items():
            file.seek(offset)
            file.write(data)
        file.truncate(size)
    return path
