"""Notes in films: in the comment of an MP4, MOV, Matroska, WebM or GIF, or in a folder.

They are read without a decoder of films, whose many parsers need not see an untrusted
file for that: only the boxes on the way to the comment are looked at.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".gif")
"""The suffixes of films; those of an animated WebP and a folder are others' as well."""

INDEX = "film.json"
"""The file of a folder of pictures with their stamps and the film's notes."""

MOST = 64_000
"""Bytes of a comment that is read, as of the notes of pictures."""

_MOST_READS = 200_000  # as many clusters, of 5 seconds, take eleven days


class _File:
    """An untrusted file, of which some places are looked at, but not too many."""

    def __init__(self, file: BinaryIO):
        self._file, self._left = file, _MOST_READS

    def at(self, place: int, size: int) -> bytes:
        """Returns bytes from a place.

        Raises:
            ValueError: It was asked for too often.
        """
        self._left -= 1
        if self._left < 0:
            raise ValueError("a film with more parts than a film has")
        self._file.seek(place)
        return self._file.read(size)


class _Box(NamedTuple):
    """A part of a file: its name, and where what it holds begins and ends."""

    name: bytes
    start: int
    end: int


STILLS = (
    b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1",
)  # fmt: skip
"""Brands of AVIF and HEIC (ISO/IEC 23008-12, annex B), which begin as an MP4 does."""


def is_film(path: Path) -> bool:
    """Tells, by the contents, whether a path is a film whose comment can be read."""
    if path.is_dir():
        return (path / INDEX).is_file()
    return path.name == INDEX or _reader(_head(path)) is not None


def read_text(path: Path) -> str | bytes:
    """Returns what stands where the notes of a film are; "" for nothing.

    Args:
        path: A film, or a folder of pictures; it is untrusted, and little of it is
            read.

    Raises:
        OSError: It cannot be read.
    """
    path = path / INDEX if path.is_dir() else path
    if path.name == INDEX:
        return _index_text(path)
    read = _reader(_head(path))
    if read is None:
        return ""
    with path.open("rb") as file:
        texts = read(_File(file), path.stat().st_size)
        return next((t for t in texts if t.lstrip().startswith(b"{")), b"")


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(12)


def _reader(head: bytes) -> Callable[[_File, int], Iterator[bytes]] | None:
    """Returns what yields the comments of a file that begins so."""
    if head[4:8] == b"ftyp" and head[8:] in STILLS:
        return None
    if head[4:8] in (b"ftyp", b"moov", b"wide", b"mdat", b"free", b"skip"):
        return _mp4_comments
    if head.startswith(b"\x1aE\xdf\xa3"):
        return _matroska_comments
    if head.startswith((b"GIF87a", b"GIF89a")):
        return _gif_comments
    return None


def _index_text(path: Path) -> str:
    """Returns the notes of a folder's index, as one text."""
    with path.open("rb") as file:
        # The stamps are read as well, of which there are as many as frames.
        values = json.loads(file.read(1 << 26))
    notes = values.get("keras-dream")
    return "" if notes is None else json.dumps({"keras-dream": notes})


def _mp4_comments(file: _File, size: int) -> Iterator[bytes]:
    """Yields the comments of an MP4 or a QuickTime file.

    ISO/IEC 14496-12, 4.2; QuickTime File Format, "User Data Atoms" and "Metadata".
    """
    for moov in _boxes(file, 0, size, b"moov"):
        for data in _boxes(file, moov.start, moov.end, b"udta"):
            for text in _boxes(file, data.start, data.end, b"\xa9cmt"):
                yield _read(file, text.start + 4, text.end)  # after length, language
            for meta in _boxes(file, data.start, data.end, b"meta"):
                # After version and flags.
                for items in _boxes(file, meta.start + 4, meta.end, b"ilst"):
                    for item in _boxes(file, items.start, items.end, b"\xa9cmt"):
                        for text in _boxes(file, item.start, item.end, b"data"):
                            # After type and locale.
                            yield _read(file, text.start + 8, text.end)


def _boxes(file: _File, start: int, end: int, name: bytes) -> Iterator[_Box]:
    """Yields the boxes of a name in a part of an MP4 file."""
    while start + 8 <= end:
        head = file.at(start, 16)
        size, header = int.from_bytes(head[:4], "big"), 8
        if size == 1:
            size, header = int.from_bytes(head[8:16], "big"), 16
        elif size == 0:
            size = end - start
        if size < header or start + size > end:
            return
        if head[4:8] == name:
            yield _Box(name, start + header, start + size)
        start += size


_SEGMENT, _TAGS, _TAG = b"\x18\x53\x80\x67", b"\x12\x54\xc3\x67", b"\x73\x73"
_SIMPLE, _NAME, _STRING = b"\x67\xc8", b"\x45\xa3", b"\x44\x87"


def _matroska_comments(file: _File, size: int) -> Iterator[bytes]:
    """Yields the comments of a Matroska or WebM file (RFC 8794; RFC 9559, 5.1.8)."""
    for segment in _elements(file, 0, size, _SEGMENT):
        for tags in _elements(file, segment.start, segment.end, _TAGS):
            for tag in _elements(file, tags.start, tags.end, _TAG):
                for pair in _elements(file, tag.start, tag.end, _SIMPLE):
                    texts = {
                        each.name: _read(file, each.start, each.end)
                        for each in _elements(file, pair.start, pair.end)
                        if each.name in (_NAME, _STRING)
                    }
                    if texts.get(_NAME) == b"COMMENT":
                        yield texts.get(_STRING, b"")


def _elements(file: _File, start: int, end: int, name: bytes = b"") -> Iterator[_Box]:
    """Yields the elements of a name, or all, in a part of a Matroska file."""
    while start < end:
        head = file.at(start, 12)
        length = 9 - head[0].bit_length() if head else 0
        rest = head[length:]
        if not 1 <= length <= 4 or not rest or not rest[0]:
            return
        width = 9 - rest[0].bit_length()
        size = int.from_bytes(rest[:width], "big") & ((1 << 7 * width) - 1)
        begin = start + length + width
        if size == (1 << 7 * width) - 1:  # unknown, as of a film that was broken off
            size = end - begin
        if begin + size > end:
            return
        if not name or head[:length] == name:
            yield _Box(head[:length], begin, begin + size)
        start = begin + size


def _gif_comments(file: _File, size: int) -> Iterator[bytes]:
    """Yields the comments before the first picture of a GIF (GIF89a, 17 to 24)."""
    flags = file.at(10, 1)[0]
    place = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    while (head := file.at(place, 2))[:1] == b"\x21":
        text, place = b"", place + 2
        while length := file.at(place, 1)[0]:
            if head[1:] == b"\xfe" and len(text) <= MOST:
                text += file.at(place + 1, length)
            place += 1 + length
        if len(text) <= MOST:
            yield text
        place += 1


def _read(file: _File, start: int, end: int) -> bytes:
    """Returns a text; b"" for one that is too long."""
    return file.at(start, end - start) if 0 <= end - start <= MOST else b""
