"""Animated GIF and WebP files, written frame by frame."""

import contextlib
import io
import struct
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from keras_dream.errors import OutputError
from keras_dream.files import saving
from keras_dream.pictures.metadata import metadata_options
from keras_dream.video.formats import clock, in_ticks
from keras_dream.video.frames import Stamp
from keras_dream.video.muxer import Target, open_muxer, reported, to_frame

_PALETTE_PIXELS = 1 << 16  # of a frame, whose colours are counted
_SIX_BITS = 0xFC  # of a channel: 2**18 colours at most are counted
# Ordered, for its pattern stands still, while error diffusion flickers. 3 of 0 to 5 is
# a faint pattern with hardly any banding (FFmpeg's filters, paletteuse).
_DITHER = "dither=bayer:bayer_scale=3:alpha_threshold=128"


class Gif:
    """A GIF, with one palette for each scene.

    The palette is known when all frames of a scene were seen, so they are kept in a
    file without a name until then.
    """

    def __init__(self, target: Target):
        self._target = target
        self._cuts = {0, *target.clip.cuts}
        self._count, self._shape = 0, (0, 0, 0)
        self._counter: _Graph | None = None
        self._palettes: list[Any] = []
        with saving(target.path):
            self._frames: Any = tempfile.TemporaryFile(  # noqa: SIM115
                dir=target.temporary.parent
            )

    def add(self, picture: np.ndarray, stamp: Stamp) -> None:
        """Adds one picture."""
        del stamp
        with reported(self._target.path):
            picture = _with_alpha(picture)
            self._shape = picture.shape
            if self._count in self._cuts:
                self._end_palette()
            self._count_colors(picture)
            self._frames.write(picture.data)
            self._count += 1

    def end(self) -> None:
        """Writes the file."""
        with reported(self._target.path):
            self._end_palette()
            self._frames.seek(0)
            with self._target.temporary.open("r+b") as file:
                self._write(file)

    def close(self) -> None:
        """Removes what was kept."""
        self._frames.close()

    def _count_colors(self, picture: np.ndarray) -> None:
        """Counts the colours of some pixels, not always the same ones."""
        height, width = picture.shape[:2]
        step = max(1, round((height * width / _PALETTE_PIXELS) ** 0.5))
        down, across = self._count % step, self._count // step % step
        some = picture[down::step, across::step][: height // step, : width // step]
        some = np.concatenate([some[..., :3] & _SIX_BITS, some[..., 3:]], axis=2)
        if self._counter is None:
            self._counter = _Graph("palettegen", "", some.shape[:2])
        self._counter.push(some, self._count)

    def _end_palette(self) -> None:
        if self._counter is not None:
            (palette,) = self._counter.end()
            self._palettes.append(palette)
            self._counter = None

    def _write(self, file: BinaryIO) -> None:
        target, base = self._target, clock(self._target.kind, ())
        loop, stamps = target.encoding.loop, target.clip.stamps
        container = open_muxer(
            _WithComment(file, target.text),
            target.kind,
            options={
                # The file says how often it is repeated; without a number, never.
                "loop": {0: "0", 1: "-1"}.get(loop, str(loop - 1)),
                "final_delay": str(in_ticks(base, stamps[-1])[1]),
            },
        )
        with contextlib.closing(container):
            stream = container.add_stream("gif", rate=100)
            stream.height, stream.width = self._shape[:2]
            stream.pix_fmt, stream.codec_context.time_base = "pal8", base
            for frame in self._quantized():
                number = round(frame.pts * frame.time_base)
                frame.pts, frame.duration = in_ticks(base, stamps[number])
                frame.time_base = base
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))

    def _quantized(self) -> Iterator[Any]:
        """Yields the frames in the colours of their scenes; pts is the number."""
        graph = None
        for number in range(self._count):
            data = self._frames.read(int(np.prod(self._shape)))
            picture = np.frombuffer(data, np.uint8).reshape(self._shape)
            if number in self._cuts:
                yield from graph.end() if graph is not None else ()
                palette = self._palettes.pop(0)
                graph = _Graph("paletteuse", _DITHER, self._shape[:2], palette)
            yield from graph.push(picture, number) if graph is not None else ()
        yield from graph.end() if graph is not None else ()


class _Graph:
    """One of FFmpeg's filters of RGBA frames, and maybe a palette beside them."""

    def __init__(
        self, name: str, options: str, size: tuple[int, ...], palette: Any = None
    ):
        import av.filter

        graph = av.filter.Graph()
        self._graph, self._first = graph, self._source(graph, *size)
        use, self._sink = graph.add(name, options), graph.add("buffersink")
        self._first.link_to(use, 0, 0)
        if palette is None:
            use.link_to(self._sink)
            graph.configure()
            return
        second = self._source(graph, palette.height, palette.width)
        second.link_to(use, 0, 1)
        use.link_to(self._sink)
        graph.configure()
        palette.pts, palette.time_base = 0, Fraction(1)
        second.push(palette)
        second.push(None)

    @staticmethod
    def _source(graph: Any, height: int, width: int) -> Any:
        import av

        kind = av.VideoFormat("rgba")
        return graph.add_buffer(
            height=height, width=width, format=kind, time_base=Fraction(1)
        )

    def push(self, picture: np.ndarray, number: int) -> list[Any]:
        """Returns the frames that are ready after one more."""
        frame = to_frame(picture)
        frame.pts, frame.time_base = number, Fraction(1)
        self._first.push(frame)
        return self._pull()

    def end(self) -> list[Any]:
        """Returns the frames that are left."""
        self._first.push(None)
        return self._pull()

    def _pull(self) -> list[Any]:
        import av.error

        frames: list[Any] = []
        while True:
            try:
                frames.append(self._sink.pull())
            except (av.error.BlockingIOError, av.error.EOFError):
                return frames


class _WithComment(io.RawIOBase):
    """A GIF file that gets a comment behind its palette (GIF89a, 24)."""

    def __init__(self, file: BinaryIO, text: str):
        self._file, self._text = file, text.encode("ascii")

    def write(self, data: Any) -> int:
        data = bytes(data)
        if self._text:
            flags = data[10]
            at = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
            self._file.write(data[:at] + _comment(self._text))
            self._text, rest = b"", data[at:]
        else:
            rest = data
        self._file.write(rest)
        return len(data)

    def writable(self) -> bool:
        return True


def _comment(text: bytes) -> bytes:
    parts = (text[at : at + 255] for at in range(0, len(text), 255))
    blocks = b"".join(bytes([len(part)]) + part for part in parts)
    return b"\x21\xfe" + blocks + b"\0"


def _with_alpha(picture: np.ndarray) -> np.ndarray:
    if picture.shape[2] == 4:
        return np.ascontiguousarray(picture)
    opaque = np.full((*picture.shape[:2], 1), 255, np.uint8)
    return np.concatenate([picture, opaque], axis=2)


_MOST_RIFF = 2**32 - 2  # bytes after the first eight: RFC 9649, 2.4
_ALPHA, _EXIF, _ANIMATED = 0x10, 0x08, 0x02  # of the flags of VP8X: RFC 9649, 2.7
_NO_BLEND = 0x02  # of an ANMF: what was there before is replaced


class WebP:
    """An animated WebP of whole frames, each compressed by itself (RFC 9649)."""

    def __init__(self, target: Target):
        self._target = target
        with saving(target.path):
            self._file: BinaryIO = target.temporary.open("r+b")

    def add(self, picture: np.ndarray, stamp: Stamp) -> None:
        """Adds one picture."""
        encoding, codec = self._target.encoding, self._target.codec
        has_alpha = picture.shape[2] == 4
        image = Image.fromarray(picture, codec.format(encoding, has_alpha=has_alpha))
        buffer = io.BytesIO()
        image.save(buffer, "WEBP", quality=codec.quality_of(encoding), method=4)
        height, width = picture.shape[:2]
        _, duration = in_ticks(clock(self._target.kind, ()), stamp)
        head = b"".join(
            n.to_bytes(3, "little") for n in (0, 0, width - 1, height - 1, duration)
        )
        chunks = [
            _chunk(name, data)
            for name, data in _chunks(buffer.getvalue())
            if name in (b"ALPH", b"VP8 ", b"VP8L")
        ]
        with saving(self._target.path):
            if not self._file.tell():
                self._begin(width, height, has_alpha)
            self._file.write(
                _chunk(b"ANMF", head + bytes([_NO_BLEND]) + b"".join(chunks))
            )
        if self._file.tell() > _MOST_RIFF:
            raise OutputError(
                "a WebP must have at most 4 GiB",
                received=f"{self._file.tell():,} bytes so far",
                hint="save the film as .webm or .mp4",
            )

    def end(self) -> None:
        """Writes the metadata, and how long the file is."""
        with saving(self._target.path):
            if self._target.text:
                exif = metadata_options(".webp", self._target.text)["exif"].tobytes()
                self._file.write(_chunk(b"EXIF", exif.removeprefix(b"Exif\0\0")))
            size = self._file.tell()
            self._file.seek(4)
            self._file.write(struct.pack("<I", size - 8))
            self._file.close()

    def close(self) -> None:
        """Closes the file, whether it is complete or not."""
        with contextlib.suppress(OSError):
            self._file.close()

    def _begin(self, width: int, height: int, has_alpha: bool) -> None:
        flags = _ANIMATED | (_ALPHA if has_alpha else 0)
        flags |= _EXIF if self._target.text else 0
        sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        loop = self._target.encoding.loop
        self._file.write(b"RIFF\0\0\0\0WEBP")
        self._file.write(_chunk(b"VP8X", struct.pack("<I", flags) + sides))
        self._file.write(_chunk(b"ANIM", struct.pack("<IH", 0, loop)))


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def _chunks(webp: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    while at + 8 <= len(webp):
        name, size = struct.unpack_from("<4sI", webp, at)
        yield name, webp[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
