"""Opening files with FFmpeg, restricted: nothing but the file itself is ever read.

PyAV keeps FFmpeg's log silent.
"""

import contextlib
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from keras_dream.errors import InputError, short_repr

if TYPE_CHECKING:
    import av.container

FILMS = (
    "mov", "matroska", "avi", "mpegts", "mpeg", "flv", "asf", "mxf", "dv", "nut", "ogg",
)  # fmt: skip
"""FFmpeg's demuxers of one file with pictures and sound."""

PICTURES = (
    "mpegvideo", "m4v", "h264", "hevc", "av1", "obu", "ivf", "mjpeg", "apng",
    "yuv4mpegpipe",
)  # fmt: skip
"""Those of one file with pictures alone."""

SOUNDS = ("wav", "w64", "mp3", "flac", "aac", "aiff", "caf", "au", "ac3", "eac3")
"""Those of one file with sound alone.

Not among any of them: `concat`, `hls`, `dash`, `sdp` and other lists of files and
addresses, patterns of names (`image2`), generators (`lavfi`), devices, and formats of
old games.
"""


@contextlib.contextmanager
def opened(
    path: Path,
    demuxers: Sequence[str],
    *,
    must: str,
    hint: str,
    options: Mapping[str, str] | None = None,
) -> Generator["av.container.InputContainer"]:
    """Opens a file to be read.

    Args:
        path: A file; it exists.
        demuxers: Those that are tried, such as `FILMS`.
        must: What it must be, for the message.
        hint: What to try.
        options: Of the decoders that look at its first frames.

    Raises:
        InputError: No demuxer takes it.
    """
    import av
    import av.error

    only = {"protocol_whitelist": "file", "format_whitelist": ",".join(demuxers)}
    try:
        # With its protocol, a name with a colon or a pattern is only a name.
        container = av.open(
            f"file:{path.absolute()}",
            container_options=only,
            options=dict(options or {}),
            metadata_errors="replace",
        )
    # FFmpeg is out of memory where a damaged file asks for much, too.
    except (av.error.FFmpegError, ValueError) as failure:
        reason = getattr(failure, "strerror", None) or str(failure)
        reason = " ".join(str(reason).split())[:80].rstrip(".").lower()
        raise InputError(
            must, received=f"{short_repr(path.name)} ({reason})", hint=hint
        ) from failure
    with container:
        yield container
