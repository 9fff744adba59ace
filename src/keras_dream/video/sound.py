"""The sound of a film: the packets of its source's tracks, copied as they are.

Where a container cannot hold the codec of a track, the track is coded anew, and that is
told before the run.
"""

import contextlib
import io
import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_dream.errors import InputError, OutputError, short_repr
from keras_dream.files import check_file
from keras_dream.video import opening
from keras_dream.video.formats import Encoding, Format
from keras_dream.video.frames import Clip
from keras_dream.video.opening import FILMS, SOUNDS

if TYPE_CHECKING:
    import av.container

    from keras_dream.video.source import Source

_TRIAL = Fraction(1, 2)  # seconds of sound that are tried before the run
_BITS_A_SECOND = 192_000  # of a track that is coded anew, in stereo
_FRAME = {"aac": 1024, "libopus": 960}  # samples that these encoders take at once
_RATES = {"aac": (44_100, 48_000), "libopus": (48_000,)}


@dataclass(frozen=True)
class Sound:
    """Where the sound of a film comes from.

    Attributes:
        path: The file.
        origin: When the film begins, in the file's own time; None for where its sound
            does.
        seconds: How long the film is.
    """

    path: Path
    origin: Fraction | None
    seconds: Fraction


def sound_of(
    kind: Format,
    encoding: Encoding,
    clip: Clip,
    sound: "Source | str | os.PathLike[str] | None",
) -> Sound | None:
    """Returns where a film's sound comes from; None for a film without sound.

    Args:
        kind: The format of the film.
        encoding: How it is saved.
        clip: What is known of its frames.
        sound: The source, or a file with sound.
    """
    if sound is None or not encoding.sound or not kind.sounds:
        return None
    if isinstance(sound, str | os.PathLike):
        return Sound(Path(sound), None, clip.seconds)
    if not clip.has_sound:
        return None
    return Sound(sound.path, clip.origin, clip.seconds)


def notices(kind: Format, sound: Sound) -> Iterator[str]:
    """Yields what a person should know of a film's sound before it is made.

    Raises:
        InputError: If the file has no sound.
        OutputError: If the format does not take it.
    """
    with opened(sound.path) as container:
        for stream in container.streams.audio:
            name = codec_name(stream)
            if stream.codec_context is None:
                yield "A track of sound is left out, because FFmpeg cannot decode it."
            elif name not in kind.sounds:
                yield (
                    f"The sound is coded anew as {kind.sound.removeprefix('lib')}, "
                    f"because {kind.name} does not hold {name}; .mkv may."
                )
    _try(kind, sound)


def _try(kind: Format, sound: Sound) -> None:
    """Puts the first packets into a file that nobody keeps.

    Raises:
        OutputError: If the format does not take them.
    """
    import av
    import av.error

    few = replace(sound, origin=None, seconds=_TRIAL)
    try:
        with opened(sound.path) as source:
            # Without the format's options, of which one reads the file again.
            container = av.open(io.BytesIO(), "w", format=kind.muxer)
            with contextlib.closing(container):
                Tracks(source, container, kind, few).copy()
    except av.error.FFmpegError as failure:
        raise OutputError(
            f"the sound of {kind.name} must be one that it takes",
            received=f"{short_repr(str(failure))} for {short_repr(sound.path.name)}",
            hint="leave it out with --no-sound, or save the film as .mkv",
        ) from failure


@contextlib.contextmanager
def opened(path: Path) -> Generator["av.container.InputContainer", None, None]:
    """Opens a file with sound, restricted to the file itself.

    Raises:
        InputError: If there is none, or it has no sound.
    """
    must = "the sound of a film must be a file with a track that FFmpeg can read"
    path, hint = check_file(path, "the sound of a film"), "convert it to WAV first"
    with opening.opened(path, (*FILMS, *SOUNDS), must=must, hint=hint) as container:
        if not any(stream.codec_context for stream in container.streams.audio):
            raise InputError(must, received=f"{short_repr(path.name)}, which has none")
        yield container


def codec_name(stream: Any) -> str:
    """Returns FFmpeg's name of the codec of a track, not of its decoder."""
    context = stream.codec_context
    return "unknown" if context is None else context.codec.canonical_name


class Tracks:
    """The tracks of a sound while they are put into a film.

    Args:
        source: The open file.
        target: The film's container, of which nothing is written yet.
        kind: Its format.
        sound: What is copied.
    """

    def __init__(
        self,
        source: "av.container.InputContainer",
        target: Any,
        kind: Format,
        sound: Sound,
    ):
        streams = [s for s in source.streams.audio if s.codec_context is not None]
        self._target, self._tracks = target, dict[int, _Copied | _Coded]()
        origin = sound.origin
        if origin is None:
            starts = [
                s.start_time * s.time_base
                for s in streams
                if s.start_time and s.time_base
            ]
            origin = min(starts, default=Fraction(0))
        end = origin + sound.seconds
        for stream in streams:
            make = _Copied if codec_name(stream) in kind.sounds else _Coded
            self._tracks[stream.index] = make(stream, target, kind, (origin, end))
        self._packets = self._read(source, streams)
        self._next = next(self._packets, None)

    def copy(self, *, until: Fraction | None = None) -> None:
        """Copies what begins before a time of the film; None for all that is left."""
        while self._next is not None:
            start, packet = self._next
            if until is not None and start > until:
                return
            self._target.mux(packet)
            self._next = next(self._packets, None)

    def _read(self, source: Any, streams: list[Any]) -> Iterator[tuple[Fraction, Any]]:
        """Yields the packets of the film, with the times at which they begin."""
        import av.error

        packets = source.demux(*streams)
        while True:
            try:
                packet = next(packets, None)
            except av.error.FFmpegError:  # the file ends early
                packet = None
            if packet is None or all(t.is_over for t in self._tracks.values()):
                break
            if packet.pts is not None and packet.size:
                for each in self._tracks[packet.stream.index].convert(packet):
                    yield _begin(each), each
        for track in self._tracks.values():
            for each in track.end():
                yield _begin(each), each


class _Copied:
    """A track whose packets are copied: only their stamps are moved.

    Attributes:
        is_over: Whether a packet has begun after the film.
    """

    is_over = False

    def __init__(
        self, stream: Any, target: Any, kind: Format, span: tuple[Fraction, Fraction]
    ):
        self._stream = target.add_stream_from_template(stream, opaque=True)
        language = stream.metadata.get("language", "")
        if language.isalpha() and len(language) == 3:
            self._stream.metadata["language"] = language
        base = stream.time_base
        self._shift = round(span[0] / base)
        self._end = span[1] / base
        # What begins before the film: where there are edit lists, the packet that the
        # decoder needs for the first one; otherwise no more than the codec's own delay,
        # since no stamp may be negative.
        context = stream.codec_context
        delay = Fraction(context.delay or 0, context.sample_rate or 1)
        self._least = None if kind.tick is None else -delay / base
        self._before: Any = None

    def convert(self, packet: Any) -> Iterator[Any]:
        """Yields the packets of the film that become known with one of the source."""
        if packet.pts >= self._end:
            self.is_over = True
            return
        begin = packet.pts - self._shift
        packet.pts = begin
        packet.dts = begin if packet.dts is None else packet.dts - self._shift
        packet.stream = self._stream
        if self._least is not None:
            # A tick more, because the stamps of Matroska are rounded.
            if begin >= self._least - 1:
                yield packet
        elif begin + packet.duration <= 0:
            self._before = packet
        else:
            if self._before is not None:
                yield self._before
                self._before = None
            yield packet

    def end(self) -> Iterator[Any]:
        """Yields the packets that are left."""
        return iter(())


class _Coded:
    """A track that is decoded, cut to the film, and coded anew.

    Attributes:
        is_over: As for `_Copied`.
    """

    is_over = False

    def __init__(
        self, stream: Any, target: Any, kind: Format, span: tuple[Fraction, Fraction]
    ):
        from av.codec.context import Flags

        rates = _RATES[kind.sound]
        rate = stream.codec_context.sample_rate
        self._rate = rate if rate in rates else rates[-1]
        self._stream = target.add_stream(kind.sound, rate=self._rate)
        context = self._stream.codec_context
        self._layout = "mono" if stream.codec_context.channels == 1 else "stereo"
        context.layout = self._layout
        context.bit_rate = _BITS_A_SECOND
        context.flags |= Flags.bitexact.value
        self._frame, self._span = _FRAME[kind.sound], span
        self._ends: tuple[Any, Any] | None = None

    def convert(self, packet: Any) -> Iterator[Any]:
        """Yields the packets of the film that become known with one of the source."""
        import av.error

        self.is_over = _begin(packet) >= self._span[1]
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:  # a damaged packet is silent
            return
        for frame in frames:
            if self._ends is None:
                self._ends = self._connected(frame)
            with contextlib.suppress(av.error.EOFError):  # behind the film's end
                self._ends[0].push(frame)
            yield from self._encoded()

    def end(self) -> Iterator[Any]:
        """Yields the packets that are left."""
        import av.error

        if self._ends is not None:
            with contextlib.suppress(av.error.EOFError):
                self._ends[0].push(None)
            yield from self._encoded()
        yield from self._stream.encode(None)

    def _connected(self, frame: Any) -> tuple[Any, Any]:
        """Returns the ends of a graph of filters for frames like one."""
        from av.filter import Graph

        # Kept, since its filters do not keep it.
        graph = self._graph = Graph()
        first = graph.add_abuffer(
            sample_rate=frame.sample_rate,
            format=frame.format.name,
            layout=frame.layout.name,
            time_base=frame.time_base,
        )
        begin, end = (float(at) for at in self._span)
        sample = self._stream.codec_context.format.name
        filters = [
            graph.add("atrim", f"start={begin}:end={end}"),
            graph.add("asetpts", f"PTS-{begin}/TB"),
            # Gaps are filled with silence, and the track begins with the film.
            graph.add("aresample", f"{self._rate}:async=1:first_pts=0"),
            graph.add(
                "aformat",
                f"sample_fmts={sample}:sample_rates={self._rate}:"
                f"channel_layouts={self._layout}",
            ),
            graph.add("asetnsamples", f"n={self._frame}:p=0"),
            graph.add("abuffersink"),
        ]
        graph.link_nodes(first, *filters).configure()
        return first, filters[-1]

    def _encoded(self) -> Iterator[Any]:
        import av.error

        if self._ends is None:
            return
        while True:
            try:
                frame = self._ends[1].pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            yield from self._stream.encode(frame)


def _begin(packet: Any) -> Fraction:
    return (packet.pts or 0) * packet.time_base
