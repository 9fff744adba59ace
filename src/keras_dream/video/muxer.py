"""Films in the containers of FFmpeg, written frame by frame through PyAV."""

import contextlib
import errno
import os
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from keras_dream.errors import OutputError, short_repr
from keras_dream.files import FULL, saving
from keras_dream.video.formats import (
    THREADS,
    Codec,
    Encoding,
    Format,
    clock,
    in_ticks,
)
from keras_dream.video.frames import Clip, Stamp
from keras_dream.video.sound import Sound, Tracks, opened


class _Refused(Exception):
    """FFmpeg does not take what it was given."""


_DISK = frozenset({*FULL, errno.EIO, errno.EROFS, errno.EACCES, errno.ENOENT})
_BT709 = 1  # matrix, primaries and transfer: ITU-T H.273, tables 2 to 4
_FEW = 5  # frames
_LIMITED = 1  # FFmpeg's AVCOL_RANGE_MPEG


@dataclass(frozen=True)
class Target:
    """A film that is to be written.

    Attributes:
        path: Its name.
        temporary: The file, or the folder, that will have it.
        kind: Its format.
        codec: Its codec.
        encoding: How it is saved.
        clip: What is known of its frames.
        text: Its notes, encoded; "" for none.
        sound: Where its sound comes from, or None.
    """

    path: Path
    temporary: Path
    kind: Format
    codec: Codec
    encoding: Encoding
    clip: Clip
    text: str
    sound: Sound | None = None


class Muxer:
    """A film in one of FFmpeg's containers, while it is written."""

    _stream: Any = None
    _filter: Any = None
    _tracks: Tracks | None = None

    def __init__(self, target: Target):
        self._target = target
        self._base = clock(target.kind, target.clip.stamps)
        self._durations: dict[int, int] = {}
        self._open_files = contextlib.ExitStack()
        with reported(target.path):
            self._container = open_muxer(target.temporary, target.kind)
        if target.text:
            self._container.metadata["comment"] = target.text
        self._moves = target.kind.muxer in ("mp4", "mov")

    def add(self, picture: np.ndarray, stamp: Stamp) -> None:
        """Adds one picture."""
        with reported(self._target.path):
            if self._stream is None:
                self._stream = self._add_video(picture)
                self._add_sound()
            frame = self._frame(picture)
            frame.pts, frame.duration = in_ticks(self._base, stamp)
            frame.time_base = self._base
            self._durations[frame.pts] = frame.duration
            self._mux(self._stream.encode(frame))
            if self._tracks is not None:
                self._tracks.copy(until=stamp.start)

    def end(self) -> None:
        """Writes what is still in the encoder, and the index."""
        with reported(self._target.path):
            self._mux(self._stream.encode(None))
            if self._tracks is not None:
                self._tracks.copy()
            self._container.close()

    def close(self) -> None:
        """Ends it, whether it is complete or not."""
        with self._open_files, contextlib.suppress(Exception):
            self._container.close()

    def _add_sound(self) -> None:
        if self._target.sound is not None:
            source = self._open_files.enter_context(opened(self._target.sound.path))
            self._tracks = Tracks(
                source, self._container, self._target.kind, self._target.sound
            )

    def _add_video(self, picture: np.ndarray) -> Any:
        from av.bitstream import BitStreamFilterContext
        from av.codec.context import Flags

        codec, encoding, clip = (
            self._target.codec,
            self._target.encoding,
            self._target.clip,
        )
        options = dict(codec.options)
        quality = codec.quality_of(encoding)
        if quality is not None:
            options[codec.quality_option] = f"{quality:g}"
        os.environ.setdefault("SVT_LOG", "1")  # errors only: it writes to stderr
        # Encoders plan with it; SVT-AV1 takes no more.
        rate = min(clip.rate.limit_denominator(1001 * 240), Fraction(240))
        stream = self._container.add_stream(codec.encoder, rate=rate, options=options)
        rows, columns = codec.padding(encoding, picture.shape[:2])
        context = stream.codec_context
        context.height = picture.shape[0] + rows
        context.width = picture.shape[1] + columns
        context.pix_fmt = codec.format(encoding, has_alpha=picture.shape[2] == 4)
        context.time_base = stream.time_base = self._base
        context.thread_count = THREADS
        context.flags |= Flags.bitexact.value | Flags.frame_duration.value
        context.color_range = _LIMITED
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        # MP4 and MOV have durations in the order of coding only, and x265 gives two
        # frames a stamp that is none.
        is_short = len(clip.stamps) < _FEW
        if codec.reorders and (is_short or (self._moves and not _is_even(clip))):
            context.max_b_frames = 0
        if codec.tag and self._moves:
            context.codec_tag = codec.tag
        if picture.shape[2] == 4 and codec.has_alpha(encoding):
            stream.metadata["alpha_mode"] = "1"  # WebM's mark
        if codec.packet_filter:
            self._filter = BitStreamFilterContext(codec.packet_filter, stream)
        return stream

    def _frame(self, picture: np.ndarray) -> Any:
        """Returns a picture as the codec has it: BT.709, in limited range."""
        from av.video.reformatter import Interpolation

        context, target = self._stream.codec_context, self._target
        rows, columns = target.codec.padding(target.encoding, picture.shape[:2])
        picture = np.pad(picture, ((0, rows), (0, columns), (0, 0)), mode="edge")
        if not target.codec.has_alpha(target.encoding):
            picture = picture[..., :3]
        return to_frame(picture).reformat(
            format=context.pix_fmt,
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
            if packet.pts not in self._durations:  # libvpx's clock is not as fine
                near = min(self._durations, key=lambda pts: abs(pts - packet.pts))
                packet.pts = packet.dts = near
            packet.duration = self._durations.pop(packet.pts)
            filtered = [packet] if self._filter is None else self._filter.filter(packet)
            for each in filtered:
                each.stream = self._stream
                self._container.mux(each)


def open_muxer(
    target: Any, kind: Format, *, options: Mapping[str, str] | None = None
) -> Any:
    """Returns an output container of PyAV, which writes no versions and no dates.

    Args:
        target: A path, or a binary file.
        kind: The format.
        options: Of the muxer, beside the format's own.
    """
    import av

    # With a protocol, so that no part of a path is read as one.
    where = f"file:{target.absolute()}" if isinstance(target, Path) else target
    every = {"fflags": "+bitexact", **kind.options, **(options or {})}
    return av.open(where, "w", format=kind.muxer, options=every)


def to_frame(picture: np.ndarray) -> Any:
    """Returns uint8 or uint16 (height, width, 3 or 4) as a frame of FFmpeg's."""
    import av

    names = {3: ("rgb24", "rgb48le"), 4: ("rgba", "rgba64le")}[picture.shape[2]]
    name = names[picture.dtype == np.uint16]
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format=name)


def _is_even(clip: Clip) -> bool:
    """Tells whether every frame is shown as long as the others."""
    return len({stamp.duration for stamp in clip.stamps}) == 1


@contextlib.contextmanager
def reported(path: Path) -> Generator[None, None, None]:
    """Turns what FFmpeg says of a film that it cannot write into our sentence."""
    import av.error

    try:
        with saving(path):
            try:
                yield
            except av.error.FFmpegError as failure:
                # FFmpeg has the system's numbers for failures of its own, too.
                if failure.errno in _DISK:
                    raise OSError(failure.errno, failure.strerror) from failure
                raise _Refused from failure
    except _Refused as refused:
        failure = refused.__cause__
        raise OutputError(
            "a film must be one that its encoder takes",
            received=f"{short_repr(str(failure))} for {short_repr(str(path))}",
            hint="try another codec or another size",
        ) from failure
