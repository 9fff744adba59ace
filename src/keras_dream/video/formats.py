"""The formats of films: one entry for each codec, and one for each kind of file."""

import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from keras_dream.errors import OutputError, nearest, short_repr

Chroma = Literal["420", "444"]
"""Whether two by two pixels share their colour, or each has its own."""

_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Codec:
    """How frames are compressed.

    Attributes:
        encoder: Its encoder in FFmpeg; "" where Pillow writes the frames.
        pixels: FFmpeg's pixel format by (chroma, bits, whether transparent).
        quality: The default, and the ends of the range from best to worst; None where
            there is no choice. A constant rate factor, but for WebP and ProRes.
        options: Of the encoder.
        quality_option: The option that the quality is.
        even: Whether the sides of pictures with shared colours must be even.
        least: Pixels of the shortest side.
        tag: What MP4 and MOV files call it; "" for FFmpeg's choice.
        reorders: Whether frames are coded in another order than they are shown.
        packet_filter: FFmpeg's bitstream filter that removes what the encoder says of
            itself; "" for none.
    """

    encoder: str
    pixels: Mapping[tuple[Chroma, int, bool], str]
    quality: tuple[float, float, float] | None
    options: Mapping[str, str] = field(default_factory=lambda: _NONE)
    quality_option: str = "crf"
    even: bool = False
    least: int = 1
    tag: str = ""
    reorders: bool = False
    packet_filter: str = ""

    @property
    def bits(self) -> tuple[int, ...]:
        """The bits of a channel that it can hold, the fewest first."""
        return tuple(sorted({bits for _, bits, _ in self.pixels}))


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes:
        name: For sentences.
        suffixes: In lower case, the usual one first.
        codecs: Names of the codecs that it holds, the default first.
        muxer: FFmpeg's name; "" where none of FFmpeg's is used.
        tick: Seconds of its clock, where that is fixed: stamps are rounded to it.
        shortest: Seconds that a frame must be shown at least.
        sounds: FFmpeg's names of the codecs of sound that it holds.
        sound: The one that others are coded anew with.
        options: Of the muxer.
    """

    name: str
    suffixes: tuple[str, ...]
    codecs: tuple[str, ...]
    muxer: str = ""
    tick: float | None = None
    shortest: float = 0.0
    sounds: frozenset[str] = frozenset()
    sound: str = ""
    options: Mapping[str, str] = field(default_factory=lambda: _NONE)


# Frame threads decide where the encoder looks for likeness, and so the bytes.
THREADS = 4
"""Of every encoder, on every machine, so that the bytes do not depend on it."""

CODECS: dict[str, Codec] = {
    "h264": Codec(
        "libx264",
        {
            ("420", 8, False): "yuv420p",
            ("444", 8, False): "yuv444p",
            ("420", 10, False): "yuv420p10le",
            ("444", 10, False): "yuv444p10le",
        },
        (18, 0, 51),
        even=True,
        reorders=True,
        # Type 6 is SEI (ITU-T H.264, table 7-1): x264 writes its version there.
        packet_filter="filter_units=remove_types=6",
    ),
    "hevc": Codec(
        "libx265",
        {
            ("420", 8, False): "yuv420p",
            ("444", 8, False): "yuv444p",
            ("420", 10, False): "yuv420p10le",
            ("444", 10, False): "yuv444p10le",
        },
        (20, 0, 51),
        {"x265-params": "info=0:log-level=none:pools=4:frame-threads=2"},
        even=True,
        least=32,
        tag="hvc1",  # the one that Apple's players know
        reorders=True,
    ),
    "av1": Codec(
        "libsvtav1",
        {("420", 8, False): "yuv420p", ("420", 10, False): "yuv420p10le"},
        (24, 1, 63),
        {"preset": "7", "svtav1-params": "lp=3"},
        even=True,
        least=64,
    ),
    "vp9": Codec(
        "libvpx-vp9",
        {
            ("420", 8, False): "yuv420p",
            ("444", 8, False): "yuv444p",
            ("420", 8, True): "yuva420p",
        },
        (24, 0, 63),
        {"b": "0", "row-mt": "1", "cpu-used": "3", "deadline": "good"},
    ),
    "prores": Codec(
        "prores_ks",
        {("420", 10, False): "yuv422p10le", ("444", 10, False): "yuv444p10le",
         ("420", 10, True): "yuva444p10le", ("444", 10, True): "yuva444p10le"},
        None,
    ),
}  # fmt: skip

_MP4_SOUNDS = frozenset({"aac", "mp3", "mp2", "ac3", "eac3", "alac", "opus", "flac"})
_WAVES = frozenset({"pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le"})
_FIRST = MappingProxyType({"movflags": "+faststart"})  # what a player needs first

FORMATS: tuple[Format, ...] = (
    Format(
        "MP4",
        (".mp4", ".m4v"),
        ("h264", "hevc", "av1", "vp9"),
        "mp4",
        sounds=_MP4_SOUNDS,
        sound="aac",
        options=_FIRST,
    ),
    Format(
        "MOV",
        (".mov",),
        ("h264", "hevc", "prores"),
        "mov",
        sounds=(_MP4_SOUNDS | _WAVES) - {"opus", "flac"},
        sound="aac",
        options=_FIRST,
    ),
    Format(
        "Matroska",
        (".mkv",),
        ("h264", "hevc", "av1", "vp9"),
        "matroska",
        tick=0.001,
        sounds=_MP4_SOUNDS | _WAVES | {"vorbis", "dts", "truehd"},
        sound="aac",
    ),
    Format(
        "WebM",
        (".webm",),
        ("vp9", "av1"),
        "webm",
        tick=0.001,
        sounds=frozenset({"opus", "vorbis"}),
        sound="libopus",
    ),
)

SUFFIXES = tuple(suffix for each in FORMATS for suffix in each.suffixes)
"""The suffixes of all films that are written."""


def format_of(path: str | os.PathLike[str]) -> Format:
    """Returns the format that a film's name asks for.

    Args:
        path: The film.

    Raises:
        OutputError: If its suffix is that of no format.
    """
    suffix = Path(path).suffix.lower()
    for each in FORMATS:
        if suffix in each.suffixes:
            return each
    raise OutputError(
        f"the name of a film must end in one of {', '.join(SUFFIXES)}",
        received=short_repr(Path(path).name),
        hint=nearest(suffix, SUFFIXES, listed=True) or f"try {SUFFIXES[0]}",
    )


def codec_of(kind: Format, name: str | None) -> Codec:
    """Returns the codec that is asked for, or a format's default.

    Args:
        kind: The format.
        name: Of the codec, or None.

    Raises:
        OutputError: If the format does not hold it, or this PyAV has no encoder of it.
    """
    name = name or kind.codecs[0]
    if name not in kind.codecs:
        raise OutputError(
            f"the codec of a {kind.name} film must be {' or '.join(kind.codecs)}",
            received=short_repr(name),
            hint=_elsewhere(name) or nearest(name, kind.codecs, listed=True),
        )
    codec = CODECS[name]
    if codec.encoder and not _has_encoder(codec.encoder):
        raise OutputError(
            f"PyAV must have the encoder {codec.encoder} for {name}",
            received="one that was built without it",
            hint="install PyAV as a wheel from the Python Package Index, or try "
            "--codec h264",
        )
    return codec


def _elsewhere(name: str) -> str:
    """Returns what to try where another format holds the codec; "" if none does."""
    suffixes = [each.suffixes[0] for each in FORMATS if name in each.codecs]
    return f"try {' or '.join(suffixes)} for it" if suffixes else ""


def _has_encoder(name: str) -> bool:
    if importlib.util.find_spec("av") is None:
        return True  # which `extra.require` says
    import av
    import av.codec

    try:
        av.codec.Codec(name, "w")
    except ValueError:  # what `UnknownCodecError` is
        return False
    return True
