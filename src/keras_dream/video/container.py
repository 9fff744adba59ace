"""Video files, decoded by FFmpeg through PyAV, restricted.

Only the file itself is opened, by a few demuxers: a playlist, or an address in a
container, leads nowhere.
"""

import contextlib
import hashlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from keras_dream.errors import InputError, short_repr
from keras_dream.files import check_file
from keras_dream.pictures.decoding import to_float
from keras_dream.pictures.limits import Limits
from keras_dream.video.cuts import THUMBNAIL
from keras_dream.video.source import Decoded, Reader

if TYPE_CHECKING:
    import av
    import av.container

_DEMUXERS = (
    "mov", "matroska", "avi", "mpegts", "mpeg", "mpegvideo", "m4v", "h264", "hevc",
    "av1", "obu", "ivf", "ogg", "flv", "asf", "mxf", "dv", "nut", "mjpeg", "apng",
    "yuv4mpegpipe",
)  # fmt: skip
"""Those that read one file of one film. Not among them: `concat`, `hls`, `dash`, `sdp`
and other lists of files and addresses, patterns of names (`image2`), generators
(`lavfi`), devices, and formats of old games."""

_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": ",".join(_DEMUXERS)}


class ContainerReader(Reader):
    """Reads the best video stream of a file."""

    def __init__(self, path: Path, limits: Limits):
        self._path = check_file(path, "a film")
        self._limits = limits
        self.notices = []
        with self._opened() as container:
            stream = self._stream(container)
            self.time_base = Fraction(stream.time_base or Fraction(1, 90_000))
            rate = stream.average_rate or stream.guessed_rate or Fraction(25)
            self.usual = max(1, round(1 / (rate * self.time_base)))
            self.has_sound = bool(container.streams.audio)
        first = next(self.read(), None)
        if first is None:
            raise InputError(
                "a film must have a frame",
                received=f"{short_repr(path.name)}, of which none can be decoded",
                hint="copy or download it again",
            )
        self.size = first.size

    @contextlib.contextmanager
    def _opened(self) -> Iterator["av.container.InputContainer"]:
        import av
        import av.error

        try:
            # With its protocol, a name with a colon or a pattern is only a name.
            container = av.open(
                f"file:{self._path.absolute()}",
                container_options=_OPTIONS,
                metadata_errors="replace",
            )
        except (av.error.FFmpegError, ValueError) as failure:
            raise InputError(
                "a film must be a video file that FFmpeg can read",
                received=f"{short_repr(self._path.name)} ({_reason(failure)})",
                hint="copy or download it again, or convert it to MP4 first",
            ) from failure
        with container:
            yield container

    def _stream(self, container: "av.container.InputContainer") -> Any:
        import av.stream

        cover = av.stream.Disposition.attached_pic
        streams = [
            stream
            for stream in container.streams.video
            if not stream.disposition & cover and stream.codec_context is not None
        ]
        if not streams:
            raise InputError(
                "a film must have a video stream",
                received=f"{short_repr(self._path.name)}, which has none",
                hint="try another file",
            )
        return max(streams, key=lambda s: s.width * s.height)

    def read(self) -> Iterator["_Decoded"]:
        """Yields all frames."""
        import av.error

        with self._opened() as container:
            stream = self._stream(container)
            total = max(1, container.size)
            share = 0.0
            packets = container.demux(stream)
            while True:
                try:
                    packet = next(packets, None)
                    if packet is None:
                        return
                    frames = packet.decode()
                except av.error.InvalidDataError:
                    continue
                share = max(share, (packet.pos or 0) / total)
                for frame in frames:
                    yield _Decoded(frame, self.time_base, share)


class _Decoded(Decoded):
    """A frame of FFmpeg's."""

    def __init__(self, frame: "av.VideoFrame", base: Fraction, share: float):
        self._frame, self.share = frame, share
        scale = (frame.time_base or base) / base
        self.ticks = None if frame.pts is None else round(frame.pts * scale)
        self.duration = round(frame.duration * scale) if frame.duration else None
        self.size = frame.height, frame.width

    @property
    def bits(self) -> int:
        """Of a channel."""
        return max(c.bits for c in self._frame.format.components)

    @property
    def has_alpha(self) -> bool:
        """Whether a pixel is transparent."""
        return False

    def feed(self, digest: "hashlib._Hash") -> None:
        """Feeds a hash with the planes as they were decoded."""
        frame = self._frame
        digest.update(f"{frame.width}x{frame.height} {frame.format.name}\n".encode())
        if frame.format.name == "pal8" or frame.planes[0].line_size < 0:
            digest.update(np.ascontiguousarray(frame.to_ndarray(format="rgba")).data)
            return
        for index, plane in enumerate(frame.planes):
            rows = np.frombuffer(memoryview(cast("Any", plane)), np.uint8).reshape(
                plane.height, plane.line_size
            )
            digest.update(np.ascontiguousarray(rows[:, : _used(frame, index)]).data)

    def thumbnail(self) -> np.ndarray:
        """Returns the frame small, uint8 (height, width, 3)."""
        frame = self._frame
        scale = min(1, THUMBNAIL / max(frame.width, frame.height))
        return frame.reformat(
            width=max(1, round(frame.width * scale)),
            height=max(1, round(frame.height * scale)),
            format="rgb24",
            interpolation="AREA",
            threads=1,
        ).to_ndarray()

    def pixels(self) -> tuple[np.ndarray, np.ndarray | None]:
        """Returns the image and its alpha."""
        return to_float(self._frame.to_ndarray(format="rgb24")), None


def _used(frame: "av.VideoFrame", index: int) -> int:
    """Returns the bytes of a plane's row that hold pixels; what follows is padding."""
    layout, width = frame.format, frame.planes[index].width
    if len(frame.planes) == 1:
        return -(-width * layout.padded_bits_per_pixel // 8)
    parts = [c for c in layout.components if c.plane == index]
    return width * sum(-(-c.bits // 8) for c in parts)


def _reason(failure: Exception) -> str:
    """Returns what FFmpeg says."""
    text = getattr(failure, "strerror", None) or str(failure)
    return " ".join(str(text).split())[:80].rstrip(".").lower()
