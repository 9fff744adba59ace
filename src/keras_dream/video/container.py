"""Video files, decoded by FFmpeg through PyAV, restricted."""

import contextlib
import os
import struct
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from keras_dream.errors import InputError, short_repr
from keras_dream.files import check_file
from keras_dream.geometry import Size
from keras_dream.pictures.decoding import to_float
from keras_dream.pictures.limits import Limits
from keras_dream.video import colors
from keras_dream.video.cuts import THUMBNAIL
from keras_dream.video.opening import FILMS, PICTURES, opened
from keras_dream.video.reader import Decoded, Reader, Restart

if TYPE_CHECKING:
    import hashlib

    import av
    import av.container
    from av.video.reformatter import VideoReformatter

_INDEXED = ("mov", "matroska")
"""Demuxers of containers that say which frames decoding can begin at."""

_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""FFmpeg's own decoders of these leave out the alpha that WebM has beside them."""

_MOST_THREADS = 4

_PREROLL = Fraction(1)
"""Seconds before a frame from which a keyframe is looked for: frames that are shown
before their keyframe, and those that deinterlacing looks at, are within."""

_SHORT = Fraction(1, 20)
"""Of the stated duration: what may be missing without a word."""

_MOST_STRETCH = 8
"""Of pixels that are not square: what claims more is left as it is."""


class _Look(NamedTuple):
    """What holds for all frames, by the first.

    Attributes:
        size: (height, width) of square pixels, before they are turned upright.
        turn: Whether a frame is transposed, turned upside down, turned left to right.
        peak: The brightest of an HDR film, in cd/m².
    """

    size: Size
    turn: tuple[bool, bool, bool]
    peak: float


class ContainerReader(Reader):
    """Reads the best video stream of a file.

    Args:
        path: The file.
        limits: What it may have.

    Raises:
        InputError: It is no video file, has no video stream or no frame, or is too
            large.
    """

    def __init__(self, path: Path, limits: Limits):
        super().__init__()
        self._path = check_file(path, "a film")
        self._limits = limits
        self._threads = min(_MOST_THREADS, os.cpu_count() or 1)
        self._look: _Look | None = None
        with self._opened() as (container, stream):
            self.time_base = Fraction(stream.time_base or Fraction(1, 90_000))
            rate = stream.average_rate or stream.guessed_rate or Fraction(25)
            self.usual = max(1, round(1 / (rate * self.time_base)))
            self.has_sound = any(s.codec_context for s in container.streams.audio)
            self._stretch = self._stretch_of(stream)
            self._has_index = container.format.name.startswith(_INDEXED)
        first = self._first()
        if first is None:
            raise InputError(
                "a film must have a frame",
                received=f"{short_repr(path.name)}, of which none can be decoded",
                hint="copy or download it again",
            )
        self.size = first.size
        self.first = first.ticks if self._has_index else None

    def _first(self) -> "_Decoded | None":
        try:
            with contextlib.closing(self.read()) as frames:
                return next(frames, None)
        except Restart:
            self.be_careful()
            return self._first()

    def be_careful(self) -> bool:
        """Decodes with one thread from now on; False where it did already.

        What several threads make of a damaged film may differ from run to run.
        """
        careful, self._threads = self._threads == 1, 1
        return not careful

    def read(self) -> Generator["_Decoded"]:
        """Yields all frames."""
        with self._opened() as (container, stream):
            yield from self._decoded(container, stream)

    def read_near(self, ticks: int) -> Iterator["_Decoded"]:
        """Yields frames from a keyframe before a stamp on, as far as there is one."""
        import av.error

        with self._opened() as (container, stream):
            target = ticks - round(_PREROLL / self.time_base)
            with contextlib.suppress(av.error.FFmpegError):  # then from the start
                container.seek(target, stream=stream)
            yield from self._decoded(container, stream)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[tuple["av.container.InputContainer", Any]]:
        opening = opened(
            self._path,
            (*FILMS, *PICTURES),
            must="a film must be a video file that FFmpeg can read",
            hint="copy or download it again, or convert it to MP4 first",
            options={"max_pixels": str(min(self._limits.max_pixels, 2**31 - 1))},
        )
        with opening as container:
            stream = self._best(container)
            # FFmpeg itself forgets a size that is more than it may decode.
            if not 0 < stream.width * stream.height <= self._limits.max_pixels:
                size = f"{stream.width} × {stream.height}" if stream.width else "none"
                raise InputError(
                    "a film's frames must have a size of at most "
                    f"{self._limits.max_pixels:,} pixels",
                    received=f"{short_repr(self._path.name)} with {size} that can be "
                    "decoded",
                    hint="make it smaller first, or allow more with --max-pixels",
                )
            yield container, stream

    def _best(self, container: "av.container.InputContainer") -> Any:
        """Returns the largest video stream that is no cover and can be decoded."""
        from av.stream import Disposition

        pictures = Disposition.attached_pic | Disposition.timed_thumbnails
        streams = [s for s in container.streams.video if not s.disposition & pictures]
        able = [s for s in streams if s.codec_context is not None]
        if not able:
            received = "with one that FFmpeg cannot decode" if streams else "with none"
            raise InputError(
                "a film must have a video stream",
                received=f"{short_repr(self._path.name)} {received}",
                hint="convert it to MP4 first" if streams else "try another file",
            )
        if len(able) > 1:
            self.tell(f"Of its {len(able)} video streams the largest is used.")
        return max(able, key=lambda s: (s.width * s.height, -s.index))

    def _decoded(
        self, container: "av.container.InputContainer", stream: Any
    ) -> Iterator["_Decoded"]:
        from av.video.reformatter import VideoReformatter

        scalers = _Scalers(VideoReformatter(), VideoReformatter())
        fields = _Fields(stream)
        total, last, stated = max(1, container.size), None, _stated(container, stream)
        for share, frame, harm in _packets(container, self._decoder(stream), stream):
            if harm:
                if self._threads > 1:
                    raise Restart
                self.is_damaged = True
                self.tell(
                    "The film is damaged in some places; what can be decoded is used."
                )
            for whole in fields.add(frame) if frame is not None else ():
                last = self._of(whole, share / total, scalers)
                yield last
            if fields.used:
                self.tell("The film is interlaced, and is deinterlaced.")
        for whole in fields.add(None):
            yield self._of(whole, 1.0, scalers)
        self._compare(last, stated)

    def _compare(self, last: "_Decoded | None", stated: Fraction | None) -> None:
        """Tells where a file states much more than there is."""
        if stated is None or last is None or last.ticks is None:
            return
        there = (last.ticks + (last.duration or 0)) * self.time_base
        if stated - there > max(1, stated * _SHORT):
            self.tell(
                f"The file states {float(stated):.1f} s of film, of which "
                f"{float(there):.1f} s can be read."
            )

    def _decoder(self, stream: Any) -> Any:
        """Returns what decodes the stream, set up."""
        import av

        context = stream.codec_context
        name = _ALPHA_DECODERS.get(context.name)
        if name and stream.metadata.get("alpha_mode") == "1":
            context = av.CodecContext.create(name, "r")
            context.extradata = stream.codec_context.extradata
        context.thread_count = self._threads
        context.thread_type = "AUTO"
        context.options = {"max_pixels": str(min(self._limits.max_pixels, 2**31 - 1))}
        return context

    def _of(
        self, frame: "av.VideoFrame", share: float, scalers: "_Scalers"
    ) -> "_Decoded":
        own = _squared((frame.height, frame.width), self._stretch)
        if self._look is None:
            self._look = _Look(own, _turn_of(frame), _peak_of(frame))
        look = self._look
        if own != look.size:
            self.tell(
                f"The frames' size changes to {own[1]} × {own[0]} pixels on the way; "
                "all are resized to that of the first."
            )
        decoded = _Decoded(frame, self.time_base, share, look, scalers)
        if decoded.colors.notice:
            self.tell(decoded.colors.notice)
        return decoded

    def _stretch_of(self, stream: Any) -> Fraction:
        """Returns width by height of a pixel; 1 where it is not told or cannot be."""
        ratio = Fraction(stream.sample_aspect_ratio or 1)
        stretch = max(ratio, 1 / ratio)
        pixels = stream.width * stream.height * stretch
        if ratio == 1 or stretch > _MOST_STRETCH or pixels > self._limits.max_pixels:
            return Fraction(1)
        self.tell(
            f"The film's pixels are not square ({ratio.numerator}:{ratio.denominator}),"
            " and are resampled."
        )
        return ratio


class _Scalers(NamedTuple):
    """libswscale's tables, which are made once for many frames."""

    frames: "VideoReformatter"
    thumbnails: "VideoReformatter"


def _stated(container: "av.container.InputContainer", stream: Any) -> Fraction | None:
    """Returns when the stream ends, in seconds, as the file says, or None.

    What it says of the whole may be of its sound.
    """
    if stream.duration:
        return (stream.duration + (stream.start_time or 0)) * stream.time_base
    if container.streams.audio or not container.duration:
        return None
    return Fraction(container.duration + (container.start_time or 0), 1_000_000)


def _packets(
    container: "av.container.InputContainer", context: Any, stream: Any
) -> Iterator[tuple[int, "av.VideoFrame | None", bool]]:
    """Yields how many bytes were read, a frame, and whether there is damage.

    The frame is None where nothing can be decoded.
    """
    import av.error

    position = 0
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError:  # the file ends early, or cannot be read further
            yield position, None, True
            packet = None
        if packet is not None:
            position = max(position, packet.pos or 0)
            if packet.is_corrupt:
                yield position, None, True
        ends = packet is None or not packet.size
        try:
            for frame in context.decode(None if ends else packet):
                yield position, frame, frame.is_corrupt
        except av.error.EOFError:
            return
        except av.error.FFmpegError:
            yield position, None, True
        if ends:
            return


class _Fields:
    """Makes whole frames of interlaced ones by bwdif, one for each; leaves others.

    It begins with the first interlaced frame. As bwdif looks at the frames on either
    side, one frame is held back from then on.
    """

    def __init__(self, stream: Any):
        self._stream = stream
        self._graph: Any = None
        self._kind: tuple[Any, ...] = ()
        self.used = False

    def add(self, frame: "av.VideoFrame | None") -> Iterator["av.VideoFrame"]:
        """Yields what is whole when a frame is added, or the last was: None."""
        kind = () if frame is None else (frame.width, frame.height, frame.format.name)
        if self._graph is not None and kind != self._kind:
            graph, self._graph = self._graph, None
            graph.vpush(None)
            yield from _pulled(graph)
        if frame is None:
            return
        if self._graph is None and not frame.interlaced_frame:
            yield frame
            return
        if self._graph is None:
            self._graph, self._kind = self._made(frame), kind
        self._graph.vpush(frame)
        yield from _pulled(self._graph)

    def _made(self, frame: "av.VideoFrame") -> Any:
        from av.filter import Graph

        self.used = True
        graph = Graph()
        graph.threads = 1
        buffer = graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format,
            time_base=frame.time_base or self._stream.time_base,
        )
        # One frame for each, the fields in the order of its flags, whole frames as
        # they are.
        bwdif = graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced")
        graph.link_nodes(buffer, bwdif, graph.add("buffersink")).configure()
        return graph


def _pulled(graph: Any) -> Iterator["av.VideoFrame"]:
    """Yields what a graph has ready."""
    import av.error

    with contextlib.suppress(av.error.BlockingIOError, av.error.EOFError):
        while True:
            yield graph.vpull()


class _Decoded(Decoded):
    """A frame of FFmpeg's."""

    def __init__(
        self,
        frame: "av.VideoFrame",
        base: Fraction,
        share: float,
        look: _Look,
        scalers: "_Scalers",
    ):
        self._frame, self._look, self._scalers = frame, look, scalers
        self.share = share
        scale = (frame.time_base or base) / base
        self.ticks = None if frame.pts is None else round(frame.pts * scale)
        self.duration = round(frame.duration * scale) if frame.duration else None
        self.colors = colors.colors_of(frame)
        height, width = look.size
        self.size: Size = (width, height) if look.turn[0] else look.size

    @property
    def bits(self) -> int:
        """Of a channel."""
        return colors.bits_of(self._frame)

    @property
    def has_alpha(self) -> bool:
        """Whether a pixel is transparent."""
        values = self._rgb() if colors.has_alpha(self._frame) else np.empty((1, 1, 3))
        if values.shape[2] == 3:
            return False
        return bool(
            (values[..., 3] < (255 if values.dtype == np.uint8 else 65_535)).any()
        )

    def feed(self, digest: "hashlib._Hash") -> None:
        """Feeds a hash with the planes as they were decoded, and what they mean."""
        frame = self._frame
        means = f"{self.colors} {self._look}"
        size = f"{frame.width}x{frame.height} {frame.format.name}"
        digest.update(f"{size} {means}\n".encode())
        if frame.format.has_palette or frame.planes[0].line_size < 0:
            digest.update(np.ascontiguousarray(self._rgb()).data)
            return
        for index in range(len(frame.planes)):
            digest.update(np.ascontiguousarray(_rows(frame, index)).data)

    def thumbnail(self) -> np.ndarray:
        """Returns the frame small, uint8 (height, width, 3), not upright."""
        height, width = self._look.size
        scale = min(1, THUMBNAIL / max(height, width))
        return self._scalers.thumbnails.reformat(
            self._frame,
            width=max(1, round(width * scale)),
            height=max(1, round(height * scale)),
            format="rgb24",
            interpolation="AREA",
            threads=1,
        ).to_ndarray()

    def pixels(self) -> tuple[np.ndarray, np.ndarray | None]:
        """Returns the image and its alpha."""
        values = _upright(to_float(self._rgb()), *self._look.turn)
        image = np.ascontiguousarray(values[..., :3])
        image = colors.to_srgb(image, self.colors, peak=self._look.peak)
        if values.shape[2] == 3:
            return image, None
        return image, np.ascontiguousarray(values[..., 3])

    def _rgb(self) -> np.ndarray:
        return colors.to_rgb(
            self._frame, self.colors, self._look.size, self._scalers.frames
        )


def _rows(frame: "av.VideoFrame", index: int) -> np.ndarray:
    """Returns the bytes of a plane, (rows, bytes), without what fills up its rows."""
    plane, layout = frame.planes[index], frame.format
    if len(frame.planes) == 1:
        used = -(-plane.width * layout.padded_bits_per_pixel // 8)
    else:
        parts = [c for c in layout.components if c.plane == index]
        used = plane.width * sum(-(-c.bits // 8) for c in parts)
    rows = np.frombuffer(memoryview(cast("Any", plane)), np.uint8)
    return rows.reshape(-1, plane.line_size)[: plane.height, :used]


def _squared(size: Size, stretch: Fraction) -> Size:
    """Returns the size of a frame with square pixels; no side becomes smaller."""
    height, width = size
    if stretch >= 1:
        return height, round(width * stretch)
    return round(height / stretch), width


def _side_data(frame: "av.VideoFrame", kind: str) -> bytes | None:
    """Returns what is beside a frame.

    PyAV ties the two in a circle, so that a frame that is asked stays until the garbage
    is collected: only the first one is.
    """
    found = cast("Any", frame.side_data).get(kind)
    return None if found is None else bytes(found)


def _turn_of(frame: "av.VideoFrame") -> tuple[bool, bool, bool]:
    """Returns how a frame is turned upright: transposed, then turned over.

    By its display matrix (ISO/IEC 14496-12, 6.2.2): a pixel at (x, y) is shown at
    (a x + c y, b x + d y). Turns that are not by right angles go to the nearest.

    Returns:
        Whether it is transposed, turned upside down, turned left to right.
    """
    data = _side_data(frame, "DISPLAYMATRIX")
    if data is None or len(data) < 36:
        return False, False, False
    a, b, _, c, d, *_ = struct.unpack("=9i", data[:36])
    if abs(b) + abs(c) > abs(a) + abs(d):
        return True, b < 0, c < 0
    return False, d < 0, a < 0


def _upright(
    values: np.ndarray, transposed: bool, upside_down: bool, mirrored: bool
) -> np.ndarray:
    if transposed:
        values = values.swapaxes(0, 1)
    return values[:: -1 if upside_down else 1, :: -1 if mirrored else 1]


def _peak_of(frame: "av.VideoFrame") -> float:
    """Returns the brightest that an HDR film says to have, in cd/m².

    `AVContentLightMetadata` begins with MaxCLL (CTA-861.3); the tenth rational of
    `AVMasteringDisplayMetadata` is the most that the display could show (SMPTE ST
    2086), and at its end stands whether that is told.
    """
    light = _side_data(frame, "CONTENT_LIGHT_LEVEL")
    peak = float(struct.unpack("=I", light[:4])[0]) if light else 0.0
    display = _side_data(frame, "MASTERING_DISPLAY_METADATA")
    if not peak and display and len(display) >= 88:
        numerator, denominator = struct.unpack("=ii", display[72:80])
        is_told = struct.unpack("=i", display[84:88])[0]
        peak = numerator / denominator if is_told and denominator > 0 else 0.0
    usual = colors.USUAL_PEAK
    return min(max(peak, colors.REFERENCE_WHITE), 10_000.0) if peak > 0 else usual
