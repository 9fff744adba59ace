"""The formats of films: one entry for each codec, and one for each kind of file."""

import importlib.util
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from keras_dream.errors import OutputError, nearest, short_repr
from keras_dream.geometry import Size
from keras_dream.video.frames import Stamp

Chroma = Literal["420", "422", "444"]
"""Whether two by two pixels share their colour, two in a row, or each has its own."""

_Pixels = tuple[Chroma, int, bool]

_NONE: Mapping[str, str] = MappingProxyType({})


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
        chroma: "420", two by two pixels share their colour, or "444", none do; None
            for the codec's default.
    """

    codec: str | None = None
    quality: float | None = None
    sound: bool = True
    loop: int = 0
    bits: int | None = None
    chroma: Chroma | None = None


@dataclass(frozen=True)
class Codec:
    """How frames are compressed.

    Attributes:
        encoder: Its encoder in FFmpeg; "" where Pillow writes the frames.
        pixels: The pixel format, of FFmpeg or Pillow, by (chroma, bits, whether
            transparent), the default first.
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
    pixels: Mapping[_Pixels, str]
    quality: tuple[float, float, float] | None
    options: Mapping[str, str] = field(default_factory=lambda: _NONE)
    quality_option: str = "crf"
    even: bool = False
    least: int = 1
    tag: str = ""
    reorders: bool = False
    packet_filter: str = ""

    def bits(self, encoding: Encoding) -> int:
        """Returns the bits of a channel.

        Raises:
            OutputError: If the codec does not have so many.
        """
        return self._choose(encoding, wanted=False)[1]

    def has_alpha(self, encoding: Encoding) -> bool:
        """Tells whether a film can be transparent."""
        return self._choose(encoding, wanted=True)[2]

    def format(self, encoding: Encoding, *, has_alpha: bool) -> str:
        """Returns the pixel format; without alpha where the codec has none.

        Raises:
            OutputError: If the codec has none such.
        """
        return self.pixels[self._choose(encoding, wanted=has_alpha)]

    def _choose(self, encoding: Encoding, *, wanted: bool) -> _Pixels:
        """Returns the first of the pixel formats that fits."""
        fitting = [
            each
            for each in self.pixels
            if encoding.chroma in (None, each[0]) and encoding.bits in (None, each[1])
        ]
        if not fitting:
            choices = dict.fromkeys(f"{c} with {b}" for c, b, _ in self.pixels)
            raise OutputError(
                f"chroma and bits of this codec must be {' or '.join(choices)}",
                received=f"{encoding.chroma or 'any'} with {encoding.bits or 'any'}",
                hint="leave them out, or try another codec",
            )
        least = min(bits for _, bits, _ in fitting)
        fitting = [each for each in fitting if each[1] == least]
        return next((each for each in fitting if each[2] == wanted), fitting[0])

    def quality_of(self, encoding: Encoding) -> float | None:
        """Returns the quality, or the default; None where there is no choice.

        Raises:
            OutputError: If the codec does not have it.
        """
        quality = encoding.quality
        if self.quality is None:
            if quality is None:
                return None
            raise OutputError(
                "the quality of this codec must be left out, as it has one only",
                received=f"{quality:g}",
            )
        usual, best, worst = self.quality
        if quality is None:
            return usual
        if not min(best, worst) <= quality <= max(best, worst):
            raise OutputError(
                f"the quality of this codec must be from {best:g}, the best, to "
                f"{worst:g}",
                received=f"{quality:g}",
                hint=f"try {usual:g}, the default",
            )
        return quality

    def padding(self, encoding: Encoding, size: Size) -> tuple[int, int]:
        """Returns how many (rows, columns) are added, so that it takes the sides."""
        if not self.even or self._choose(encoding, wanted=False)[0] != "420":
            return 0, 0
        return size[0] % 2, size[1] % 2


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes:
        name: For sentences, with its article.
        suffixes: In lower case, the usual one first.
        codecs: Names of the codecs that it holds, the default first.
        muxer: FFmpeg's name; "" where none of FFmpeg's is used.
        writer: Which of the writers of `sink` writes it.
        tick: Seconds of its clock, where that is fixed: stamps are rounded to it.
        shortest: Seconds that a frame must be shown at least.
        longest: And at most; None for any time.
        most: Pixels of the longest side; None for any.
        sounds: FFmpeg's names of the codecs of sound that it holds.
        sound: The one that others are coded anew with.
        options: Of the muxer.
    """

    name: str
    suffixes: tuple[str, ...]
    codecs: tuple[str, ...]
    muxer: str = ""
    writer: Literal["muxer", "gif", "webp", "folder"] = "muxer"
    tick: Fraction | None = None
    shortest: Fraction = Fraction(0)
    longest: Fraction | None = None
    most: int | None = None
    sounds: frozenset[str] = frozenset()
    sound: str = ""
    options: Mapping[str, str] = field(default_factory=lambda: _NONE)


# Frame threads decide where the encoder looks for likeness, and so the bytes.
THREADS = 4
"""Of every encoder, on every machine, so that the bytes do not depend on it."""

_PLANAR: Mapping[_Pixels, str] = {
    ("420", 8, False): "yuv420p",
    ("444", 8, False): "yuv444p",
    ("420", 10, False): "yuv420p10le",
    ("444", 10, False): "yuv444p10le",
}
"""Pixel formats of H.264 and HEVC."""

# Of a pan over a dreamed photo of 640 × 360 the default qualities give a PSNR of 36 to
# 37 dB, and at full size no difference is seen; `benchmarks/README.md` has the sizes.
CODECS: dict[str, Codec] = {
    "h264": Codec(
        "libx264",
        _PLANAR,
        (18, 0, 51),
        # x264's macroblock tree is not deterministic with AVX-512: of 150 small films a
        # few had other bytes, and none without it. It saves a tenth of the bytes.
        {"mbtree": "0"},
        even=True,
        reorders=True,
        # Type 6 is SEI (ITU-T H.264, table 7-1): x264 writes its version there.
        packet_filter="filter_units=remove_types=6",
    ),
    "hevc": Codec(
        "libx265",
        _PLANAR,
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
        (30, 1, 63),
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
        {
            ("422", 10, False): "yuv422p10le",
            ("444", 10, False): "yuv444p10le",
            ("444", 10, True): "yuva444p10le",
        },
        None,
    ),
    "gif": Codec(
        "gif",
        {("444", 8, False): "RGB", ("444", 8, True): "RGBA"},
        None,
    ),
    "webp": Codec(
        "",
        {("420", 8, False): "RGB", ("420", 8, True): "RGBA"},
        (80, 100, 0),
    ),
    "png": Codec(
        "",
        {
            ("444", 8, False): "RGB",
            ("444", 8, True): "RGBA",
            ("444", 16, False): "RGB",
            ("444", 16, True): "RGBA",
        },
        None,
    ),
}

_MP4_SOUNDS = frozenset({"aac", "mp3", "mp2", "ac3", "eac3", "alac", "opus", "flac"})
_WAVES = frozenset({"pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le"})
_FIRST = MappingProxyType({"movflags": "+faststart"})  # what a player needs first

FORMATS: tuple[Format, ...] = (
    Format(
        "an MP4",
        (".mp4", ".m4v"),
        ("h264", "hevc", "av1", "vp9"),
        "mp4",
        sounds=_MP4_SOUNDS,
        sound="aac",
        options=_FIRST,
    ),
    Format(
        "a MOV",
        (".mov",),
        ("h264", "hevc", "prores"),
        "mov",
        sounds=(_MP4_SOUNDS | _WAVES) - {"opus", "flac"},
        sound="aac",
        options=_FIRST,
    ),
    Format(
        "a Matroska file",
        (".mkv",),
        ("h264", "hevc", "av1", "vp9"),
        "matroska",
        tick=Fraction(1, 1000),
        sounds=_MP4_SOUNDS | _WAVES | {"vorbis", "dts", "truehd"},
        sound="aac",
    ),
    Format(
        "a WebM",
        (".webm",),
        ("vp9", "av1"),
        "webm",
        tick=Fraction(1, 1000),
        sounds=frozenset({"opus", "vorbis"}),
        sound="libopus",
    ),
    Format(
        "a GIF",
        (".gif",),
        ("gif",),
        "gif",
        writer="gif",
        tick=Fraction(1, 100),
        # Browsers show a frame of one tick, or of none, for ten.
        shortest=Fraction(2, 100),
        longest=Fraction(65_535, 100),
        most=65_535,
    ),
    Format(
        "a WebP",
        (".webp",),
        ("webp",),
        writer="webp",
        tick=Fraction(1, 1000),
        shortest=Fraction(1, 1000),
        longest=Fraction(2**24 - 1, 1000),
        most=16_383,
    ),
)

FOLDER = Format("a folder", (), ("png",), writer="folder")
"""A folder of numbered PNG files, with the stamps in a file of their own."""

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
    if not suffix or os.fspath(path).endswith(("/", os.sep)) or Path(path).is_dir():
        return FOLDER
    for each in FORMATS:
        if suffix in each.suffixes:
            return each
    raise OutputError(
        f"the name of a film must end in one of {', '.join(SUFFIXES)}, or be that of a "
        "folder",
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
            f"the codec of {kind.name} must be {' or '.join(kind.codecs)}",
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


MOST_TICKS = 1_000_000_000
"""Of a second: those of libvpx; FFmpeg has twice as many."""


def clock(kind: Format, stamps: Iterable[Stamp]) -> Fraction:
    """Returns the seconds of a tick in which stamps are whole, where that can be."""
    if kind.tick is not None:
        return kind.tick
    ticks = 1
    for stamp in stamps:
        ticks = math.lcm(ticks, stamp.start.denominator, stamp.duration.denominator)
        if ticks > MOST_TICKS:
            return Fraction(1, 90_000)  # of MPEG's clock
    return Fraction(1, ticks)


def in_ticks(base: Fraction, stamp: Stamp) -> tuple[int, int]:
    """Returns the start and the duration of a frame, rounded so that none adds up."""
    start = round(stamp.start / base)
    return start, max(1, round((stamp.start + stamp.duration) / base) - start)


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
