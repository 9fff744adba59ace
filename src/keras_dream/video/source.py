"""What a film is made from: a video file, a folder of pictures, a GIF or a WebP.

A source is seen once as a whole, by `Source.survey`, which tells what there is, and
then read frame by frame from wherever it is wanted.
"""

import hashlib
import itertools
import logging
import math
import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple, cast

from keras_dream.errors import InputError, SettingError, short_repr
from keras_dream.files import check_file
from keras_dream.pictures.limits import Limits, default_limits
from keras_dream.pictures.picture import READ_SUFFIXES
from keras_dream.video.cuts import CutFinder
from keras_dream.video.frames import Clip, Frame, Stamp
from keras_dream.video.reader import Decoded, Reader, Restart

_log = logging.getLogger(__name__)

Progress = Callable[[float], object]
"""Called with the share that is done, 0 to 1."""


_FAR = 30
"""Seconds from the start of a source up to which it is read from there anyway."""

_LEAD = 10
"""Seconds before a range from which frames are decoded. A stream that is refreshed line
by line, in the place of keyframes, is whole after as many: x264's usual 250 frames."""


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
        clip: Clip | None,
    ):
        self.path = path
        self.name = path.resolve().name if path.is_dir() else path.name
        self.clip = clip
        self._reader = reader
        self._start, self._end, self._every = start, end, every
        self._limits = limits
        self._origin = self._begin = 0
        self._read_until = Fraction(0)  # in seconds, whether selected or not
        self._seen: tuple[int, ...] | None = None

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
        self._seen = _state(self.path)
        if self._limits.untrusted and self.path.is_file():
            from keras_dream.video import apart

            selection = {
                "start": str(self._start),
                "end": None if self._end is None else str(self._end),
                "every": str(self._every),
            }
            self.clip = apart.survey(
                self.path, selection=selection, limits=self._limits, cuts=cuts
            )
            if progress is not None:
                progress(1.0)
            return self.clip
        while True:
            try:
                self.clip = self._surveyed(cuts=cuts, progress=progress)
            except Restart:
                self._reader.be_careful()
            else:
                return self.clip

    def _surveyed(self, *, cuts: bool, progress: Progress | None) -> Clip:
        finder = CutFinder() if cuts else None
        digest, stamps, checks = hashlib.sha256(), list[Stamp](), list[int]()
        bits, has_alpha = 8, False
        for stamp, decoded in self._selected():
            self._check_count(len(stamps))
            hashed = _sha256(decoded)
            digest.update(hashed)
            digest.update(f" {stamp.start} {stamp.duration}\n".encode())
            checks.append(_check(hashed))
            stamps.append(stamp)
            bits = max(bits, decoded.bits)
            has_alpha = has_alpha or decoded.has_alpha
            if finder is not None:
                finder.add(decoded.thumbnail())
            if progress is not None:
                progress(min(1.0, max(0.0, decoded.share)))
        if not stamps:
            raise self._nothing()
        if progress is not None:
            progress(1.0)
        _log.debug("Surveyed %s: %d frames", self.path, len(stamps))
        base = self._reader.time_base
        return Clip(
            name=self.name,
            sha256=digest.hexdigest(),
            size=self._reader.size,
            stamps=tuple(stamps),
            time_base=base,
            rate=len(stamps) / (stamps[-1].start + stamps[-1].duration),
            cuts=finder.finish() if finder is not None else (0,),
            bits=bits,
            has_alpha=has_alpha,
            has_sound=self._reader.has_sound,
            notices=self._reader.notices,
            origin=self._origin * base,
            begin=self._begin * base,
            checks=tuple(checks),
        )

    def _check_count(self, count: int) -> None:
        if count >= self._limits.max_film_frames:
            raise InputError(
                f"a film must have at most {self._limits.max_film_frames:,} frames",
                received=f"{short_repr(self.name)}, which has more",
                hint="select a part of it, or allow more with --max-film-frames",
            )

    def frames(self, first: int = 0, last: int | None = None) -> Iterator[Frame]:
        """Yields selected frames; their pixels do not depend on `first`.

        With `clip`, reading begins near the first; each frame is compared with what
        the survey saw.

        Args:
            first: The number of the first.
            last: That of the one after the last; None for all.

        Yields:
            The frames in order.

        Raises:
            InputError: The source has changed since it was surveyed.
        """
        number = first
        near = first > 0 and self.clip is not None and bool(self.clip.checks)
        checked = True
        while True:
            try:
                read = self._near if near else self._from_start
                reading = read(number, checked=checked)
                for frame in reading if last is None or number < last else ():
                    yield frame
                    number += 1
                    if number == last:
                        return
                if self.clip is None or number >= len(self.clip.stamps):
                    return
                raise _FrameMissingError
            except Restart:
                self._reader.be_careful()
            except _FrameMissingError:
                is_careful = not near and not self._reader.be_careful()
                near = False
                same = self._seen is not None and self._seen == _state(self.path)
                damaged = same or self._reader.is_damaged
                if is_careful and damaged and checked:
                    # Some decoders leave what they cannot decode as it was in memory.
                    checked = False
                elif is_careful:
                    raise InputError(
                        "a film must stay as it is while it is dreamed",
                        received=f"{short_repr(self.name)}, of which frame "
                        f"{number + 1:,} has changed, or is damaged and decodes to "
                        "something else each time",
                        hint="put the earlier file back, or convert it first",
                    ) from None

    def _from_start(self, first: int, *, checked: bool) -> Iterator[Frame]:
        for number, (stamp, decoded) in enumerate(self._selected()):
            if number >= first:
                yield self._frame(number, stamp, decoded, checked=checked)

    def _near(self, first: int, *, checked: bool) -> Iterator[Frame]:
        """Yields frames that are found by their stamps."""
        clip, number = cast("Clip", self.clip), first
        origin, base = clip.origin, self._reader.time_base
        for decoded in self._reader.read_near(_ticks(origin, clip, first, base)):
            wanted = _ticks(origin, clip, number, base)
            if decoded.ticks is None or decoded.ticks > wanted:
                raise _FrameMissingError
            if decoded.ticks == wanted:
                stamp = clip.stamps[number]
                yield self._frame(number, stamp, decoded, checked=checked)
                number += 1
                if number == len(clip.stamps):
                    return

    def _frame(
        self, number: int, stamp: Stamp, decoded: Decoded, *, checked: bool
    ) -> Frame:
        checks = self.clip.checks if self.clip is not None and checked else ()
        if checks and (
            number >= len(checks) or _check(_sha256(decoded)) != checks[number]
        ):
            raise _FrameMissingError
        image, alpha = decoded.pixels()
        return Frame(number, stamp, image, alpha)

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
            self._read_until = start + timed.duration * base
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
        reading, zero = self._reading()
        shift = 0
        for decoded in reading:
            raw = decoded.ticks
            ticks = None if raw is None else raw + shift
            if last is None:
                ticks = ticks or 0
                self._origin = zero = ticks if zero is None else zero
            elif ticks is None or ticks <= last[0]:
                ticks = last[0] + usual
                shift = shift if raw is None else ticks - raw
                self._reader.tell(
                    "Some frames have no time stamp, or one that does not go forward; "
                    "they are shown one after the other."
                )
            if last is not None and zero is not None:
                yield _Timed(last[0] - zero, ticks - last[0], last[1])
            last = ticks, decoded
        if last is not None and zero is not None:
            yield _Timed(last[0] - zero, last[1].duration or usual, last[1])

    def _reading(self) -> tuple[Iterator[Decoded], int | None]:
        """Returns frames from one before the range on.

        They are all frames where the range is near, or the source cannot be entered;
        else the stamp of the first comes with them.
        """
        first, base = self._reader.first, self._reader.time_base
        if first is None or self._start < _FAR:
            return self._reader.read(), None
        begin = first + math.floor((self._start - _LEAD) / base)
        reading = self._reader.read_near(begin)
        entry = next(reading, None)
        if entry is None or entry.ticks is None or not first <= entry.ticks <= begin:
            return self._reader.read(), None
        return itertools.chain([entry], reading), first

    def _nothing(self) -> InputError:
        whole = self._start == 0 and self._end is None
        return InputError(
            "a film must have a frame" + ("" if whole else " in the selected range"),
            received=f"{short_repr(self.name)}, of which none can be decoded"
            if whole
            else f"{short_repr(self.name)} from {float(self._start):g} s to "
            f"{_until(self._end)}",
            hint="copy or download it again"
            if whole
            else f"select another range: it ends at {float(self._read_until):.4g} s"
            if self._read_until <= self._start
            else "select another range",
        )


def open_source(
    path: str | os.PathLike[str],
    *,
    start: Fraction = Fraction(0),
    end: Fraction | None = None,
    every: int = 1,
    rate: Fraction | None = None,
    limits: Limits | None = None,
    clip: Clip | None = None,
) -> Source:
    """Opens a video file, a folder of pictures, a GIF or a WebP.

    Args:
        path: The file or the folder.
        start: Where the selection begins, in seconds from the first frame.
        end: Where it ends; None for the end of the source.
        every: 2 for every second frame, and so on; the others' time goes to them.
        rate: Frames a second of a folder of pictures; None for 25. A file has its own.
        limits: What it may have and take; None for the `default_limits`.
        clip: What an earlier survey of the same selection has found.

    Returns:
        The source, of which the header and the first frame were read.

    Raises:
        InputError: It is none of these, or has no video that can be decoded.
    """
    from keras_dream.video import extra

    extra.require()
    if every < 1 or start < 0 or (end is not None and end <= start):
        raise SettingError(
            "a selection must begin at 0 or later, end after that, and take every "
            "frame (1), every second one (2) or fewer",
            received=f"from {start} s to {_until(end)}, every {every}",
            hint="try --from 0 --every 1",
        )
    limits = limits or default_limits()
    path = Path(path)
    if limits.untrusted and clip is None and path.is_file():
        from keras_dream.video import apart

        apart.check(path, limits=limits)
    reader = _reader(path, rate, limits)
    return Source(
        path, reader, start=start, end=end, every=every, limits=limits, clip=clip
    )


def _until(end: Fraction | None) -> str:
    return "its end" if end is None else f"{float(end):g} s"


def _reader(path: Path, rate: Fraction | None, limits: Limits) -> Reader:
    from keras_dream.video.container import ContainerReader
    from keras_dream.video.stills import (
        AnimationReader,
        FolderReader,
        is_animation,
        may_move,
    )

    if path.is_dir():
        return FolderReader(path, rate, limits)
    check_file(path, "a film")
    if rate is not None:
        raise SettingError(
            "a rate must be given for a folder of pictures only",
            received=f"{short_repr(path.name)}, which has its own",
            hint="leave --fps out, or select frames with --every",
        )
    if is_animation(path):
        return AnimationReader(path, limits)
    if path.suffix.lower() in READ_SUFFIXES and not may_move(path):
        raise InputError(
            "a film must be a video file, a folder of pictures, a GIF or a WebP",
            received=f"{short_repr(path.name)}, a picture",
            hint="dream it with `dream`, or name the folder that it is in",
        )
    return ContainerReader(path, limits)


class _FrameMissingError(Exception):
    """A frame is not the one that was seen by the survey."""


def _state(path: Path) -> tuple[int, ...] | None:
    """Returns what changes when a file is written to; None for a folder."""
    if path.is_dir():
        return None
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _ticks(origin: Fraction, clip: Clip, number: int, base: Fraction) -> int:
    return round((origin + clip.stamps[number].start) / base)


def _sha256(decoded: Decoded) -> bytes:
    digest = hashlib.sha256()
    decoded.feed(digest)
    return digest.digest()


def _check(sha256: bytes) -> int:
    return int.from_bytes(sha256[:8], "big")
