"""What a film is made from: a video file, a folder of pictures, a GIF or a WebP.

A source is seen once as a whole, by `Source.survey`, which tells what there is, and
then read frame by frame from wherever it is wanted.
"""

import abc
import hashlib
import logging
import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_dream.errors import InputError, SettingError, short_repr
from keras_dream.geometry import Size
from keras_dream.pictures.limits import Limits, default_limits
from keras_dream.video.cuts import CutFinder
from keras_dream.video.frames import Clip, Frame, Stamp

_log = logging.getLogger(__name__)

Progress = Callable[[float], object]
"""Called with the share that is done, 0 to 1."""


class Decoded(abc.ABC):
    """One frame as a reader has it, of which only what is asked for is computed.

    Attributes:
        ticks: Its time stamp in ticks of the reader; None where the file has none.
        duration: In ticks; None where the file does not tell.
        share: How much of the file has been read, 0 to 1.
    """

    ticks: int | None
    duration: int | None
    share: float

    @property
    @abc.abstractmethod
    def bits(self) -> int:
        """Of a channel."""

    @abc.abstractmethod
    def feed(self, digest: "hashlib._Hash") -> None:
        """Feeds a hash with what decides the pixels."""

    @abc.abstractmethod
    def thumbnail(self) -> np.ndarray:
        """Returns the frame small, uint8 (height, width, 3), never upright."""

    @abc.abstractmethod
    def pixels(self) -> tuple[np.ndarray, np.ndarray | None]:
        """Returns the image and its alpha, as `Frame` has them."""

    @property
    @abc.abstractmethod
    def has_alpha(self) -> bool:
        """Whether a pixel is transparent."""


class Reader(abc.ABC):
    """Decodes a source in the order in which it is shown.

    Attributes:
        time_base: Seconds of a tick.
        size: (height, width) of every frame, upright and with square pixels.
        usual: Ticks that a frame takes where the file does not tell.
        has_sound: Whether there is a track of sound.
        notices: What a person should know; complete when all was read.
    """

    time_base: Fraction
    size: Size
    usual: int
    has_sound: bool = False
    notices: list[str]

    @abc.abstractmethod
    def read(self) -> Iterator[Decoded]:
        """Yields all frames."""

    def read_near(self, ticks: int) -> Iterator[Decoded] | None:
        """Yields frames from a keyframe before a stamp on; None where that fails."""
        del ticks
        return None


class _Timed(NamedTuple):
    """A decoded frame with its place in time, in ticks from the first frame."""

    start: int
    duration: int
    decoded: Decoded


class Source:
    """A source of frames, of which some are selected.

    Attributes:
        path: The file or the folder.
        name: Its name without folders.
        clip: What `survey` has found, or what was given; None before. It makes
            `frames` quick to begin in the middle.
    """

    def __init__(
        self,
        path: Path,
        reader: Reader,
        *,
        start: Fraction,
        end: Fraction | None,
        every: int,
        limits: Limits,
    ):
        self.path = path
        self.name = path.resolve().name
        self.clip: Clip | None = None
        self._reader = reader
        self._start, self._end, self._every = start, end, every
        self._limits = limits
        self._origin = self._begin = 0

    def survey(self, *, cuts: bool = True, progress: Progress | None = None) -> Clip:
        """Looks at every selected frame once.

        Args:
            cuts: Whether scene cuts are looked for.
            progress: Called now and then with the share that is done, 0 to 1.

        Returns:
            What is known of the frames; it is kept as `clip`.

        Raises:
            InputError: No frame is selected, or there are too many.
        """
        finder = CutFinder() if cuts else None
        digest, stamps, checks = hashlib.sha256(), list[Stamp](), list[int]()
        bits, has_alpha = 8, False
        for stamp, decoded in self._selected():
            if len(stamps) >= self._limits.max_film_frames:
                raise InputError(
                    f"a film must have at most {self._limits.max_film_frames:,} frames",
                    received=f"{short_repr(self.name)}, which has more",
                    hint="select a part of it, or allow more with --max-film-frames",
                )
            check = _digest(decoded)
            digest.update(check)
            digest.update(f" {stamp.start} {stamp.duration}\n".encode())
            checks.append(int.from_bytes(check[:8], "big"))
            stamps.append(stamp)
            bits = max(bits, decoded.bits)
            has_alpha = has_alpha or decoded.has_alpha
            if finder is not None:
                finder.add(decoded.thumbnail())
            if progress is not None:
                progress(min(1.0, max(0.0, decoded.share)))
        if not stamps:
            raise self._nothing()
        seconds = stamps[-1].start + stamps[-1].duration
        base = self._reader.time_base
        self.clip = Clip(
            name=self.name,
            sha256=digest.hexdigest(),
            size=self._reader.size,
            stamps=tuple(stamps),
            time_base=base,
            rate=len(stamps) / seconds,
            cuts=finder.finish() if finder is not None else (0,),
            bits=bits,
            has_alpha=has_alpha,
            has_sound=self._reader.has_sound,
            notices=tuple(dict.fromkeys(self._reader.notices)),
            origin=self._origin * base,
            begin=self._begin * base,
            checks=tuple(checks),
        )
        if progress is not None:
            progress(1.0)
        _log.debug("Surveyed %s: %d frames", self.path, len(stamps))
        return self.clip

    def frames(self, first: int = 0, last: int | None = None) -> Iterator[Frame]:
        """Yields selected frames; their pixels do not depend on `first`.

        Args:
            first: The number of the first.
            last: That of the one after the last; None for all.

        Yields:
            The frames in order.

        Raises:
            InputError: The source has changed since it was surveyed.
        """
        for number, (stamp, decoded) in enumerate(self._selected()):
            if last is not None and number >= last:
                return
            if number >= first:
                image, alpha = decoded.pixels()
                yield Frame(number, stamp, image, alpha)

    def _selected(self) -> Iterator[tuple[Stamp, Decoded]]:
        """Yields the selected frames with their stamps from the first of them."""
        base, zero = self._reader.time_base, None
        pending: tuple[int, int, Decoded] | None = None
        for number, timed in enumerate(self._in_range()):
            if zero is None:
                zero = self._begin = timed.start
                self._origin += zero
            if number % self._every and pending is not None:
                start, duration, decoded = pending
                pending = start, duration + timed.duration, decoded
                continue
            if pending is not None:
                yield Stamp(pending[0] * base, pending[1] * base), pending[2]
            pending = timed.start - zero, timed.duration, timed.decoded
        if pending is not None:
            yield Stamp(pending[0] * base, pending[1] * base), pending[2]

    def _in_range(self) -> Iterator[_Timed]:
        """Yields the frames that begin within the range.

        Where none does, it is the one that is shown when the range begins.
        """
        base, shown = self._reader.time_base, None
        for timed in self._timed():
            start = timed.start * base
            if self._end is not None and start >= self._end:
                break
            if start >= self._start:
                shown = None
                yield timed
            elif (timed.start + timed.duration) * base > self._start:
                shown = timed
        if shown is not None:
            yield shown

    def _timed(self) -> Iterator[_Timed]:
        """Yields all frames with stamps that increase, from 0.

        A frame takes until the next one begins. A stamp that is missing, or not after
        the one before it, is the usual time after that, and those after it are moved
        by as much.
        """
        usual = max(1, self._reader.usual)
        last: tuple[int, Decoded] | None = None
        zero = shift = mended = 0
        for decoded in self._reader.read():
            ticks = None if decoded.ticks is None else decoded.ticks + shift
            if last is None:
                self._origin = zero = 0 if ticks is None else ticks
                last = zero, decoded
                mended += ticks is None
                continue
            if ticks is None or ticks <= last[0]:
                ticks = last[0] + usual
                shift = ticks - (ticks if decoded.ticks is None else decoded.ticks)
                mended += 1
            yield _Timed(last[0] - zero, ticks - last[0], last[1])
            last = ticks, decoded
        if last is not None:
            yield _Timed(last[0] - zero, last[1].duration or usual, last[1])
        if mended:
            self._reader.notices.append(
                f"{mended} frames had no time stamp, or one that does not go forward, "
                "and were given one."
            )

    def _nothing(self) -> InputError:
        whole = self._start == 0 and self._end is None
        return InputError(
            "a film must have a frame" + ("" if whole else " in the selected range"),
            received=f"{short_repr(self.name)}, of which none can be decoded"
            if whole
            else f"{short_repr(self.name)} from {float(self._start):g} s to "
            f"{'its end' if self._end is None else f'{float(self._end):g} s'}",
            hint="copy or download it again" if whole else "select another range",
        )


def open_source(
    path: str | os.PathLike[str],
    *,
    start: Fraction = Fraction(0),
    end: Fraction | None = None,
    every: int = 1,
    rate: Fraction | None = None,
    limits: Limits | None = None,
) -> Source:
    """Opens a video file, a folder of pictures, a GIF or a WebP.

    Args:
        path: The file or the folder.
        start: Where the selection begins, in seconds from the first frame.
        end: Where it ends; None for the end of the source.
        every: 2 for every second frame, and so on; the others' time goes to them.
        rate: Frames a second of a folder of pictures; None for 25.
        limits: What it may have and take; None for the `default_limits`.

    Returns:
        The source, of which the header and the first frame were read.

    Raises:
        InputError: It is none of these, or has no video that can be decoded.
    """
    from keras_dream.video import extra

    extra.require()
    if every < 1 or start < 0 or (end is not None and end <= start):
        raise SettingError(
            "a selection must begin at 0 or later and end after it, of every first "
            "frame or more",
            received=f"from {start} s to {end} s, every {every}",
            hint="try --from 0 --every 1",
        )
    limits = limits or default_limits()
    reader = _reader(Path(path), rate, limits)
    return Source(Path(path), reader, start=start, end=end, every=every, limits=limits)


def _reader(path: Path, rate: Fraction | None, limits: Limits) -> Reader:
    from keras_dream.video.container import ContainerReader

    del rate
    return ContainerReader(path, limits)


def _digest(decoded: Decoded) -> bytes:
    digest = hashlib.sha256()
    decoded.feed(digest)
    return digest.digest()
