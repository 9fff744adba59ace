"""What a picture's file claims, checked before Pillow sees it; nothing is decoded.

The number of pixels is Pillow's to check. Here are the other ways in which a small file
takes a long time or much memory, or a large one is read for nothing: its bytes, scans,
frames, metadata, tiles.
"""

import io
import os
import re
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any, NamedTuple

from keras_dream.errors import PictureError, short_repr

MAX_SCANS = 100
"""Of a JPEG; encoders write about ten. Each goes over all pixels, and a scan that
changes nothing takes a few bytes: the reason for `-maxscans` of libjpeg-turbo's djpeg,
whose own fuzzers use 500."""

USUAL_SCANS = 20
MAX_SCANNED = 1_000_000_000
"""Pixels of all scans of a JPEG that has more than the usual ones: some seconds."""

MAX_PARTS = 1_000
"""Segments or chunks of metadata. Each may hold a profile that takes a megabyte when it
is inflated, and what a JPEG's EXIF has of them is joined."""

MAX_DATA_PARTS = 500_000
"""Chunks or blocks of pixels that are looked at, in half a second of Python. With 8 KB
each, as libpng writes them, they are four times the largest file."""

MAX_STRIPS = 1 << 18
"""Strips or tiles of a TIFF: four for each of its 65,535 rows, the most of other
formats; Pillow makes an object of each."""

MAX_TILE_PIXELS = 1 << 24
"""Of a TIFF's tile that is larger than the picture: 4096 × 4096, where usual are
256 × 256. libtiff takes memory for a whole one."""

MAX_JUNK = 1 << 16
"""Bytes between the parts of a file, over which Pillow goes one by one in Python."""

MAX_RLE_BYTES = 1 << 24
"""Of a BMP with run-length encoding, which Pillow decodes in Python: some seconds."""

MAX_EXR_CHANNELS = 8
"""Of an EXR file, for each pixel that a picture may have: renderers write many layers,
all of which are decoded."""

_BLOCK = 1 << 20


class Bounds(NamedTuple):
    """The most that a picture's file may have; `Limits` has the defaults.

    Attributes:
        pixels: Width times height; None for any.
        file_bytes: Of the file.
        frames: Frames or pages, of which the first is read.
        metadata_bytes: Of EXIF, XMP, profiles, comments and private parts.
    """

    pixels: int | None
    file_bytes: int
    frames: int
    metadata_bytes: int


class Header(NamedTuple):
    """What a file's header says of its first picture.

    Attributes:
        frames: Frames or pages; 1 where the header does not tell.
        kind: "PNG", "TIFF", "EXR", "JPEG" or "WEBP"; "" for all others.
        bits: Of a channel.
        is_float: Whether they are floats.
        channels: Of a pixel; 0 where it is not known.
        height: In pixels; 0 where it is not known.
        width: The same.
        tile_pixels: Of a tile of a TIFF, or of a strip of few rows, which libvips
            decodes as a whole, too; else 0.
        notes: The text in which notes would be, of an EXR file.
    """

    frames: int = 1
    kind: str = ""
    bits: int = 8
    is_float: bool = False
    channels: int = 0
    height: int = 0
    width: int = 0
    tile_pixels: int = 0
    notes: str = ""

    @property
    def pixels(self) -> int:
        """Height times width."""
        return self.height * self.width

    @property
    def is_deep(self) -> bool:
        """Whether it has more bits than Pillow reads: grey of 16 or floats at most."""
        if self.channels == 1 and self.kind != "EXR":
            return self.is_float and self.bits != 32
        return self.bits > 8


class _End(Exception):
    """The file ends or is damaged: the decoder will say so."""


def check_header(file: IO[bytes], name: str, bounds: Bounds) -> Header:
    """Checks a file's header; the file is at its start before and after.

    Args:
        file: An open file.
        name: Its name, for messages.
        bounds: What it may have.

    Returns:
        What it says, as far as it is whole and no decoder is needed.

    Raises:
        PictureError: It has more than the bounds.
    """
    size = os.fstat(file.fileno()).st_size
    scan = _Scan(file, name, bounds)
    if size > bounds.file_bytes:
        raise scan.refusal(
            f"at most {bounds.file_bytes:,} bytes", f"{size:,}", "--max-file-bytes"
        )
    head = file.read(16)
    reader = next((read for magic, read in _READERS if magic.match(head)), None)
    try:
        if reader is not None:
            file.seek(0)
            reader(scan)
    except PictureError:
        raise
    # An offset may be beyond what the system can seek to.
    except (_End, struct.error, OverflowError, ValueError, OSError):
        pass
    finally:
        file.seek(0)
    return scan.header._replace(frames=max(1, scan.frames))


def check_opened(
    info: Mapping[Any, Any], frames: int, name: str, bounds: Bounds
) -> None:
    """Checks what only a decoder finds: that of AVIF and HEIC.

    Args:
        info: What it has found, such as a profile.
        frames: The number of frames.
        name: The file's name, for messages.
        bounds: What it may have.

    Raises:
        PictureError: It has more than the bounds.
    """
    scan = _Scan(io.BytesIO(), name, bounds)
    scan.count_frames(frames)
    for value in info.values():
        scan.count_metadata(len(value) if isinstance(value, bytes | str) else 0)


class _Scan:
    """A file as it is read, and what was counted in it."""

    def __init__(self, file: IO[bytes], name: str, bounds: Bounds):
        self.file, self.name, self.bounds = file, name, bounds
        self.frames = self.parts = self.data_parts = self.metadata = self.junk = 0
        self.header = Header()

    def refusal(self, must: str, received: str, flag: str = "") -> PictureError:
        """Returns the error for what is more than its bound."""
        return PictureError(
            f"a picture must have {must}",
            received=f"{short_repr(self.name)}, which has {received}",
            hint=f"save it anew in an image editor, or allow more with {flag}"
            if flag
            else "save it anew in an image editor",
        )

    def read(self, size: int) -> bytes:
        data = self.file.read(size)
        if len(data) < size:
            raise _End
        return data

    def skip(self, size: int) -> None:
        self.file.seek(size, os.SEEK_CUR)

    def count_metadata(self, size: int, *, parts: int = 1) -> None:
        """Counts metadata of some bytes."""
        self.metadata += size
        self.parts += parts
        if self.metadata > self.bounds.metadata_bytes:
            limit = f"at most {self.bounds.metadata_bytes:,} bytes of metadata"
            raise self.refusal(limit, "more", "--max-metadata-bytes")
        if self.parts > MAX_PARTS:
            raise self.refusal(f"at most {MAX_PARTS:,} parts of metadata", "more")

    def count_data(self) -> None:
        """Counts a part of the pixels."""
        self.data_parts += 1
        if self.data_parts > MAX_DATA_PARTS:
            raise self.refusal(f"at most {MAX_DATA_PARTS:,} parts", "more")

    def count_junk(self, size: int = 1) -> None:
        self.junk += size
        if self.junk > MAX_JUNK:
            raise self.refusal(f"at most {MAX_JUNK:,} bytes between its parts", "more")

    def count_frames(self, number: int = 1) -> None:
        self.frames += number
        if self.frames > self.bounds.frames:
            limit = f"at most {self.bounds.frames:,} frames or pages"
            raise self.refusal(limit, "more", "--max-frames")


_MARKER = re.compile(rb"\xff[^\x00\x01\xff\xd0-\xd7]")  # in entropy-coded data


# SOFn: the size. Of these numbers three are other markers: ITU-T T.81, table B.1.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def _jpeg(scan: _Scan) -> None:
    """Goes over the segments of ITU-T T.81, annex B, to the end of the image."""
    scan.skip(2)
    scans = pixels = 0
    while True:
        marker = _next_marker(scan, in_scan=scans > 0)
        if marker == 0xD9:  # EOI
            return
        if marker == 0xD8:  # SOI, which has no length
            continue
        length = int.from_bytes(scan.read(2), "big")
        if marker >= 0xE0:  # APPn, extensions and comments
            scan.count_metadata(length)
        if marker == 0xDA:  # SOS
            scans += 1
            most = MAX_SCANS if scans * pixels <= MAX_SCANNED else USUAL_SCANS
            if scans > most:
                raise scan.refusal(f"at most {most} scans", "more")
        if marker in _FRAMES:
            height, width = struct.unpack(">xHH", scan.read(5))
            pixels, length = height * width, length - 5
            scan.header = Header(kind="JPEG", height=height, width=width)
        scan.skip(max(length - 2, 0))


def _next_marker(scan: _Scan, *, in_scan: bool) -> int:
    """Returns the next marker, behind which the file is then."""
    start = scan.file.tell()
    while block := scan.file.read(_BLOCK if in_scan else 1 << 8):
        if match := _MARKER.search(block):
            at = scan.file.tell() - len(block) + match.end()
            if not in_scan:
                scan.count_junk(at - start - 2)
            scan.file.seek(at)
            return block[match.end() - 1]
        if len(block) < 2:
            raise _End
        if block.endswith(b"\xff"):
            scan.skip(-1)
        if not in_scan:
            scan.count_junk(len(block))
            start = scan.file.tell()
    raise _End


# Chunks that belong to the picture itself: PNG, third edition, 11.2 and 11.3.
_PNG_DATA = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND", b"fcTL", b"fdAT"})

_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by the colour type: PNG, 11.2.1


def _png(scan: _Scan) -> None:
    scan.skip(8)
    while True:
        length, kind = struct.unpack(">I4s", scan.read(8))
        if kind == b"IHDR":
            width, height, bits, color = struct.unpack(">IIBB", scan.read(10))
            channels = _PNG_CHANNELS.get(color, 0)
            scan.header = Header(1, "PNG", bits, False, channels, height, width)
            length -= 10
        if kind in _PNG_DATA:
            scan.count_data()
        else:
            scan.count_metadata(length)
        if kind == b"IEND":
            return
        if kind == b"acTL":  # the number of frames, which follow
            scan.frames = 0
            scan.count_frames(int.from_bytes(scan.read(4), "big"))
            length -= 4
        scan.skip(length + 4)


def _gif(scan: _Scan) -> None:
    """Goes over the blocks of GIF89a, of which the grammar is its appendix B."""
    flags = scan.read(13)[10]
    _skip_palette(scan, flags)
    while (kind := scan.read(1)) != b";":
        if kind == b"!":
            scan.skip(1)
            for size in _blocks(scan):
                if not scan.frames:  # what Pillow reads
                    scan.count_metadata(size, parts=0)
        elif kind == b",":
            scan.count_frames()
            _skip_palette(scan, scan.read(9)[8])
            scan.skip(1)
            for _ in _blocks(scan):
                pass
        else:
            scan.count_junk()


def _skip_palette(scan: _Scan, flags: int) -> None:
    if flags & 0x80:
        scan.skip(3 << ((flags & 7) + 1))


def _blocks(scan: _Scan) -> Iterator[int]:
    """Skips data blocks to their end; yields the bytes of each."""
    while size := scan.read(1)[0]:
        scan.data_parts += 1
        if scan.data_parts > MAX_DATA_PARTS:
            raise _End  # frames are counted up to here
        scan.skip(size)
        yield size + 1


def _webp(scan: _Scan) -> None:
    """Goes over the chunks of RFC 9649."""
    scan.header = Header(kind="WEBP")
    scan.skip(12)
    while True:
        kind, length = struct.unpack("<4sI", scan.read(8))
        if kind == b"ANMF":
            scan.count_frames()
        elif kind not in (b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM"):
            scan.count_metadata(length)
        scan.count_data()
        scan.skip(length + (length & 1))


_TIFF_SIZES = {
    1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4,
    16: 8, 17: 8, 18: 8,
}  # fmt: skip
"""Bytes of a value by its type: TIFF 6.0, section 2, and BigTIFF."""
_TIFF_POSITIONS = frozenset(
    {273, 279, 324, 325}
)  # of strips and tiles, and their sizes
_PHOTOSHOP_LAYERS = 37724  # ImageSourceData: as large as the picture, and skipped
_WIDTH, _HEIGHT, _TILE_WIDTH, _TILE_LENGTH, _STRIP = 256, 257, 322, 323, 278
_STRIP_ROWS = 128  # libvips reads higher strips by rows: its `tiff2vips.c`
_BITS, _CHANNELS, _SAMPLE_FORMAT, _FLOAT = 258, 277, 339, 3  # IEEE, of 339


def _tiff(scan: _Scan) -> None:
    """Goes over the directories of TIFF 6.0, section 2, or of BigTIFF."""
    head = scan.read(16)
    order = "<" if head[:2] == b"II" else ">"
    big = struct.unpack(order + "H", head[2:4])[0] == 43
    (offset,) = struct.unpack(order + ("8xQ" if big else "4xI8x"), head)
    counts, entry = (
        (order + "Q", order + "HHQ8s") if big else (order + "H", order + "HHI4s")
    )
    size, step = struct.calcsize(counts), struct.calcsize(entry)
    seen: set[int] = set()
    while offset and offset not in seen:
        seen.add(offset)
        scan.file.seek(offset)
        (count,) = struct.unpack(counts, scan.read(size))
        if count > 0xFFFF:  # the most that TIFF can have
            raise scan.refusal("at most 65,535 tags", f"{count:,}")
        if not scan.frames:
            tags = list(struct.iter_unpack(entry, scan.read(count * step)))
            _check_tags(scan, tags, order, big=big)
        scan.file.seek(offset + size + count * step)
        scan.count_frames()
        width = 8 if big else 4
        offset = int.from_bytes(scan.read(width), "little" if order == "<" else "big")


def _check_tags(
    scan: _Scan, tags: list[tuple[int, int, int, bytes]], order: str, *, big: bool
) -> None:
    """Checks the tags of the first page: what they hold, and the size of a tile."""
    inline = 8 if big else 4
    values: dict[int, int] = {}
    for tag, kind, count, data in tags:
        if tag in values:
            continue
        form = {1: "B", 3: "H", 4: "I", 16: "Q" if big else "I"}.get(kind, "B")
        length = count * _TIFF_SIZES.get(kind, 0)
        first = data
        if tag in (_BITS, _SAMPLE_FORMAT) and length > inline:  # one for each channel
            scan.file.seek(struct.unpack(order + ("Q" if big else "I"), data)[0])
            first = scan.file.read(inline).ljust(inline, b"\0")
        (values[tag],) = struct.unpack_from(order + form, first)
        if tag in _TIFF_POSITIONS:
            if count > MAX_STRIPS:
                raise scan.refusal(f"at most {MAX_STRIPS:,} strips or tiles", "more")
        elif length > inline and tag != _PHOTOSHOP_LAYERS:
            scan.metadata += length
    scan.count_metadata(0)
    width, height = values.get(_WIDTH, 0), values.get(_HEIGHT, 0)
    tile = values.get(_TILE_WIDTH, 0) * values.get(_TILE_LENGTH, 0)
    rows = values.get(_STRIP, height)
    if not tile and rows <= _STRIP_ROWS:
        tile = width * min(rows, height)
    scan.header = Header(
        kind="TIFF",
        bits=values.get(_BITS, 1),
        is_float=values.get(_SAMPLE_FORMAT) == _FLOAT,
        channels=values.get(_CHANNELS, 1),
        height=height,
        width=width,
        tile_pixels=tile,
    )
    if tile > max(scan.header.pixels, MAX_TILE_PIXELS):
        raise scan.refusal("tiles that are no larger than itself", f"{tile:,} pixels")


_EXR_NOTES = b"keras-dream"
_EXR_PARTS, _EXR_DEEP = 1 << 12, 1 << 11  # bits of the version field
_EXR_BITS = (32, 16, 32)  # of a channel by its type: unsigned, half, float
# Its name, a zero, its type, and twelve bytes more.
_EXR_CHANNEL = re.compile(rb"[^\0]+\0([\0-\2])\0{3}.{12}", re.DOTALL)


def _exr(scan: _Scan) -> None:
    """Goes over the attributes of "OpenEXR File Layout", part by part.

    What a decoder holds at once, all channels of all parts, is limited as well.
    """
    flags = int.from_bytes(scan.read(8)[4:], "little")
    if flags & _EXR_DEEP:
        raise scan.refusal("one value for each channel of a pixel", "deep pixels")
    values, headers = 0, list[Header]()
    while header := _exr_part(scan):
        headers.append(header)
        scan.count_frames()
        values += header.height * header.width * header.channels
        if not flags & _EXR_PARTS:
            break
    if not headers:
        raise _End
    scan.header = headers[0]
    most = scan.bounds.pixels
    if most is not None and values > MAX_EXR_CHANNELS * most:
        limit = f"at most {MAX_EXR_CHANNELS * most:,} values in all channels"
        raise scan.refusal(limit, f"{values:,}", "--max-pixels")


def _exr_part(scan: _Scan) -> Header | None:
    """Reads one header of an EXR file; None at the end of all."""
    attributes: dict[bytes, bytes] = {}
    while name := _exr_text(scan):
        kind, size = _exr_text(scan), int.from_bytes(scan.read(4), "little")
        scan.count_metadata(size)
        if kind in (b"box2i", b"chlist") or name == _EXR_NOTES:
            attributes[name] = scan.read(size)
        else:
            scan.skip(size)
    if not attributes:
        return None
    if not {b"dataWindow", b"channels"} <= set(attributes):
        raise _End
    left, top, right, bottom = struct.unpack("<4i", attributes[b"dataWindow"])
    channels = _EXR_CHANNEL.findall(attributes[b"channels"])
    return Header(
        kind="EXR",
        bits=max((_EXR_BITS[kind[0]] for kind in channels), default=16),
        is_float=True,
        channels=len(channels),
        height=max(bottom - top + 1, 0),
        width=max(right - left + 1, 0),
        notes=attributes.get(_EXR_NOTES, b"").decode("latin-1"),
    )


def _exr_text(scan: _Scan) -> bytes:
    """Reads a name of at most 255 bytes and its zero."""
    text = b""
    while (byte := scan.read(1)) != b"\0":
        text += byte
        if len(text) > 255:
            raise _End
    return text


def _bmp(scan: _Scan) -> None:
    """Looks at a BITMAPINFOHEADER, the only kind that has run-length encoding."""
    head = scan.read(34)
    width, height = struct.unpack_from("<ii", head, 18)
    is_rle = head[14] >= 40 and head[30] in (1, 2)
    size = os.fstat(scan.file.fileno()).st_size
    if is_rle and max(size, abs(width), abs(height)) > MAX_RLE_BYTES:
        raise scan.refusal(f"at most {MAX_RLE_BYTES:,} bytes for run lengths", "more")


_READERS: tuple[tuple[re.Pattern[bytes], Callable[[_Scan], None]], ...] = (
    (re.compile(rb"\xff\xd8"), _jpeg),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), _png),
    (re.compile(rb"GIF8[79]a"), _gif),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), _webp),
    (re.compile(rb"II[*+]\0|MM\0[*+]"), _tiff),
    (re.compile(rb"v/1\x01"), _exr),
    (re.compile(rb"BM"), _bmp),
)
