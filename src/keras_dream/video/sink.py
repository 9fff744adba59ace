"""Films: encoded frame by frame, with their stamps, colours, sound and notes.

A film is written completely or not at all, and the same frames give the same bytes.
"""

import contextlib
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_dream.errors import InputError, OutputError, short_repr
from keras_dream.files import check_output, saving, staging
from keras_dream.pictures.metadata import encode_notes
from keras_dream.video import extra
from keras_dream.video.formats import (
    SUFFIXES,
    THREADS,
    Chroma,
    Codec,
    Format,
    codec_of,
    format_of,
)
from keras_dream.video.frames import Clip, Stamp

if TYPE_CHECKING:
    from keras_dream.video.source import Source

_MOST_TICKS = 2**31 - 1  # of a second: FFmpeg has its clocks as 32-bit integers


@dataclass(frozen=True)
class Encoding:
    """How a film is saved; it decides no pixel of a dream.

    Attributes:
        codec: Name of the codec; None for the format's default.
        quality: Of the codec: its constant rate factor, of which more is worse; of WebP
            0 to 100, of which more is better. None for the codec's default.
        sound: Whether the source's sound is copied.
        loop: How often a GIF or WebP is shown; 0 for without end.
        bits: Of a channel; None for the fewest that the codec has.
        chroma: "420", two by two pixels share their colour, or "444", none do.
    """

    codec: str | None = None
    quality: float | None = None
    sound: bool = True
    loop: int = 0
    bits: int | None = None
    chroma: Chroma = "420"


DEFAULT = Encoding()
"""How films are saved where nothing else is said."""


def check_film(
    path: str | os.PathLike[str], encoding: Encoding = DEFAULT, clip: Clip | None = None
) -> tuple[str, ...]:
    """Checks, before any frame is dreamed, that a film can be written.

    Args:
        path: The film.
        encoding: How it is to be saved.
        clip: What is known of its frames; its size is that of the film.

    Returns:
        What a person should know of the film, in sentences.

    Raises:
        OutputError: If it cannot be written there, or not so.
    """
    extra.require()
    kind = format_of(path)
    codec = codec_of(kind, encoding.codec)
    _check_quality(codec, encoding)
    bits_of(path, encoding)
    check_output(path, SUFFIXES)
    if clip is None:
        return ()
    has_alpha = _has_alpha(codec, encoding, clip.has_alpha)
    _pixels(codec, encoding, has_alpha=has_alpha)
    return tuple(_notices(kind, codec, encoding, clip))


def bits_of(path: str | os.PathLike[str], encoding: Encoding = DEFAULT) -> int:
    """Returns the bits of a film's channels; over 8, its pictures should be uint16.

    Args:
        path: The film.
        encoding: How it is to be saved.

    Raises:
        OutputError: If the codec cannot hold so many.
    """
    codec = codec_of(format_of(path), encoding.codec)
    if encoding.bits is None:
        return codec.bits[0]
    if encoding.bits not in codec.bits:
        raise OutputError(
            f"bits must be {' or '.join(map(str, codec.bits))} for this codec",
            received=f"{encoding.bits}",
            hint="leave it out, or try another codec",
        )
    return encoding.bits


def write_film(
    path: str | os.PathLike[str],
    clip: Clip,
    pictures: Iterable[np.ndarray],
    *,
    encoding: Encoding = DEFAULT,
    notes: Mapping[str, str] | None = None,
    sound: "Source | str | os.PathLike[str] | None" = None,
    progress: Callable[[float], None] | None = None,
) -> Path:
    """Writes a film, whole or not at all; the same pictures give the same bytes.

    Args:
        path: The film; an older one is replaced.
        clip: What is known of its frames: their stamps, and whether they have alpha.
        pictures: uint8 or uint16 (height, width, 3 or 4), sRGB, one for each stamp.
        encoding: How it is saved.
        notes: JSON texts by name, such as "recipe" and "record".
        sound: The source whose sound is copied, or a file with sound; None for none.
        progress: Called with the share that is written, from 0 to 1.

    Returns:
        The path.

    Raises:
        InputError: If the pictures are not those of the clip.
        OutputError: If it cannot be written so.
        SaveError: If the disk refuses.
    """
    extra.require()
    path = Path(path)
    kind = format_of(path)
    codec = codec_of(kind, encoding.codec)
    text = encode_notes(notes) if notes else ""
    with staging(path) as staged:
        target = _Container(staged.temporary, path, kind, codec, encoding, clip, text)
        with contextlib.closing(target):
            count = len(clip.stamps)
            for number, picture in enumerate(_checked(pictures, count)):
                target.add(picture, clip.stamps[number])
                if progress is not None:
                    progress((number + 1) / count)
            target.end()
    return path


def _checked(pictures: Iterable[np.ndarray], count: int) -> Iterator[np.ndarray]:
    """Yields pictures of one size and type, exactly so many."""
    first, number = None, 0
    for number, picture in enumerate(pictures, 1):
        first = picture if first is None else first
        if (
            picture.dtype not in (np.uint8, np.uint16)
            or picture.ndim != 3
            or picture.shape[2] not in (3, 4)
            or (picture.shape, picture.dtype) != (first.shape, first.dtype)
            or number > count
        ):
            raise InputError(
                f"a film must have {count:,} pictures of one size, uint8 or uint16 "
                "with 3 or 4 channels",
                received=f"{picture.dtype} {picture.shape} as picture {number:,}",
            )
        yield picture
    if number < count:
        raise InputError(f"a film must have {count:,} pictures", received=f"{number:,}")


def _check_quality(codec: Codec, encoding: Encoding) -> None:
    """Refuses a quality that the codec does not have."""
    if encoding.quality is None:
        return
    if codec.quality is None:
        raise OutputError(
            "the quality of this codec must be left out, as it has one only",
            received=f"{encoding.quality:g}",
        )
    low, high = sorted(codec.quality[1:])
    if not low <= encoding.quality <= high:
        raise OutputError(
            f"the quality of this codec must be from {codec.quality[1]:g}, the best, "
            f"to {codec.quality[2]:g}",
            received=f"{encoding.quality:g}",
            hint=f"try {codec.quality[0]:g}, the default",
        )


def _has_alpha(codec: Codec, encoding: Encoding, wanted: bool) -> bool:
    """Tells whether a film is transparent where its frames are."""
    bits = encoding.bits or codec.bits[0]
    return wanted and (encoding.chroma, bits, True) in codec.pixels


def _pixels(codec: Codec, encoding: Encoding, *, has_alpha: bool) -> str:
    """Returns FFmpeg's pixel format."""
    bits = encoding.bits or codec.bits[0]
    try:
        return codec.pixels[encoding.chroma, bits, has_alpha]
    except KeyError:
        raise OutputError(
            "chroma and bits must be those of the codec",
            received=f"chroma {encoding.chroma} with {bits} bits",
            hint="leave both out, or try another codec",
        ) from None


def _notices(
    kind: Format, codec: Codec, encoding: Encoding, clip: Clip
) -> Iterator[str]:
    """Yields what a person should know of a film before it is made."""
    height, width = clip.size
    if clip.has_alpha and not _has_alpha(codec, encoding, True):
        yield (
            f"The film is opaque, because {kind.name} with this codec holds no "
            "transparency."
        )
    if padding(codec, encoding, clip.size) != (0, 0):
        down, across = padding(codec, encoding, clip.size)
        yield (
            f"The film has {width + across} × {height + down} pixels, because this "
            "codec needs even sides: the last row or column is repeated."
        )
    base = clock(kind, clip.stamps)
    if any((stamp.start / base).denominator != 1 for stamp in clip.stamps):
        yield (
            f"Stamps are rounded to {float(base) * 1000:g} milliseconds, the clock of "
            f"{kind.name} files."
        )


def padding(codec: Codec, encoding: Encoding, size: tuple[int, int]) -> tuple[int, int]:
    """Returns how many (rows, columns) are added, so that a codec takes the sides."""
    if not codec.even or encoding.chroma != "420":
        return 0, 0
    return size[0] % 2, size[1] % 2


def clock(kind: Format, stamps: Iterable[Stamp]) -> Fraction:
    """Returns the seconds of a tick in which stamps are whole, where that can be."""
    if kind.tick is not None:
        return Fraction(kind.tick).limit_denominator(1000)
    ticks = 1
    for stamp in stamps:
        ticks = math.lcm(ticks, stamp.start.denominator, stamp.duration.denominator)
        if ticks > _MOST_TICKS:
            return Fraction(1, 90_000)  # of MPEG's clock
    return Fraction(1, ticks)


class _Container:
    """A film in one of FFmpeg's containers, while it is written."""

    def __init__(
        self,
        temporary: Path,
        path: Path,
        kind: Format,
        codec: Codec,
        encoding: Encoding,
        clip: Clip,
        text: str,
    ):
        import av

        self._path, self._codec, self._encoding = path, codec, encoding
        self._clip, self._base = clip, clock(kind, clip.stamps)
        self._durations: dict[int, int] = {}
        self._stream: Any = None
        self._filter: Any = None
        with _reported(path):
            # With a protocol, so that no part of the path is read as one.
            self._container: Any = av.open(
                f"file:{temporary.absolute()}",
                "w",
                format=kind.muxer,
                options={"fflags": "bitexact", **kind.options},
            )
        self._container.metadata.update({"comment": text} if text else {})
        self._moves = kind.muxer in ("mp4", "mov")

    def add(self, picture: np.ndarray, stamp: Stamp) -> None:
        """Adds one picture."""
        start, end = (
            round(at / self._base) for at in (stamp.start, stamp.start + stamp.duration)
        )
        with _reported(self._path):
            if self._stream is None:
                self._open(picture)
            frame = self._frame(picture)
            frame.pts, frame.time_base = start, self._base
            frame.duration = self._durations[start] = max(1, end - start)
            self._mux(self._stream.encode(frame))

    def end(self) -> None:
        """Writes what is still in the encoder, and the index."""
        with _reported(self._path):
            self._mux(self._stream.encode(None))
            self._container.close()

    def close(self) -> None:
        """Ends it without more to write."""
        with contextlib.suppress(Exception):
            self._container.close()

    def _open(self, picture: np.ndarray) -> None:
        import av
        from av.codec.context import Flags

        codec, encoding = self._codec, self._encoding
        has_alpha = _has_alpha(codec, encoding, picture.shape[2] == 4)
        options = dict(codec.options)
        if codec.quality is not None:
            quality = codec.quality[0] if encoding.quality is None else encoding.quality
            options[codec.quality_option] = f"{quality:g}"
        os.environ.setdefault("SVT_LOG", "1")  # errors only: it writes to stderr
        rate = self._clip.rate.limit_denominator(1001 * 240)
        stream: Any = self._container.add_stream(
            codec.encoder, rate=rate, options=options
        )
        rows, columns = padding(codec, encoding, picture.shape[:2])
        context = stream.codec_context
        context.height, context.width = (
            picture.shape[0] + rows,
            picture.shape[1] + columns,
        )
        context.pix_fmt = _pixels(codec, encoding, has_alpha=has_alpha)
        context.time_base = stream.time_base = self._base
        context.thread_count = THREADS
        context.flags |= Flags.bitexact.value | Flags.frame_duration.value
        context.color_range = _LIMITED
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        even = len({stamp.duration for stamp in self._clip.stamps}) == 1
        if codec.reorders and self._moves and not even:
            # These files have durations in the order of coding only.
            context.max_b_frames = 0
        if codec.tag and self._moves:
            context.codec_tag = codec.tag
        self._stream = stream
        if codec.packet_filter:
            self._filter = av.bitstream.BitStreamFilterContext(
                codec.packet_filter, stream
            )

    def _frame(self, picture: np.ndarray) -> Any:
        """Returns a picture as the codec has it: BT.709, in limited range."""
        import av
        from av.video.reformatter import Interpolation

        rows, columns = padding(self._codec, self._encoding, picture.shape[:2])
        picture = np.pad(picture, ((0, rows), (0, columns), (0, 0)), mode="edge")
        deep = picture.dtype == np.uint16
        if picture.shape[2] == 4 and "a" not in self._stream.codec_context.pix_fmt:
            picture = np.ascontiguousarray(picture[..., :3])
        names = {3: ("rgb24", "rgb48le"), 4: ("rgba", "rgba64le")}
        frame = av.VideoFrame.from_ndarray(
            picture, format=names[picture.shape[2]][deep]
        )
        return frame.reformat(
            format=self._stream.codec_context.pix_fmt,
            interpolation=Interpolation.BICUBIC
            | Interpolation.ACCURATE_RND
            | Interpolation.FULL_CHR_H_INP
            | Interpolation.BITEXACT,
            dst_colorspace=_BT709,
            dst_color_range=_LIMITED,
            dst_color_trc=_BT709,
            dst_color_primaries=_BT709,
            threads=1,
        )

    def _mux(self, packets: Iterable[Any]) -> None:
        for packet in packets:
            packet.duration = self._durations.pop(packet.pts)
            filtered = [packet] if self._filter is None else self._filter.filter(packet)
            for each in filtered:
                each.stream = self._stream
                self._container.mux(each)


_BT709 = 1  # matrix, primaries and transfer: ITU-T H.273, tables 2 to 4
_LIMITED = 1  # FFmpeg's AVCOL_RANGE_MPEG


@contextlib.contextmanager
def _reported(path: Path) -> Iterator[None]:
    """Turns what FFmpeg says of a film that it cannot write into our sentence."""
    import av.error

    try:
        with saving(path):
            yield
    except av.error.FFmpegError as failure:
        raise OutputError(
            "a film must be one that its encoder takes",
            received=f"{short_repr(str(failure))} for {short_repr(str(path))}",
            hint="try another codec or another size",
        ) from failure


def read_film_notes(path: str | os.PathLike[str]) -> dict[str, str] | None:
    """Reads the notes that were saved in a film; None where there are none.

    They are untrusted, as those of pictures.

    Args:
        path: The film.

    Raises:
        PictureError: If there is no such file.
    """
    from keras_dream.pictures.metadata import read_notes

    return read_notes(path)
