"""Films that are pictures: a folder of them, an animated GIF or WebP."""

import bisect
import contextlib
import math
import re
from collections.abc import Generator, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from keras_dream.errors import InputError, PictureError, short_repr
from keras_dream.files import check_file
from keras_dream.geometry import Size
from keras_dream.names import natural
from keras_dream.pictures import decoding
from keras_dream.pictures.decoding import (
    decode,
    decoding_errors,
    memory_errors,
    pillow_limits,
    to_float,
)
from keras_dream.pictures.headers import check_header
from keras_dream.pictures.limits import Limits
from keras_dream.pictures.picture import (
    READ_SUFFIXES,
    Picture,
    read_picture,
    to_uint8,
)
from keras_dream.video.cuts import THUMBNAIL
from keras_dream.video.numbered import read_stamps
from keras_dream.video.reader import Decoded, Reader

if TYPE_CHECKING:
    import hashlib

USUAL_RATE = Fraction(25)
"""Frames a second of a folder of pictures: that of FFmpeg's `image2`."""

_SHORTEST = 10
"""Milliseconds: a frame that says to take less, or as long, takes a tenth of a second,
as in browsers."""

_INSTEAD = 100

_FEW = 5  # numbers that are named


class FolderReader(Reader):
    """Reads the pictures of a folder, in natural order of their names.

    Args:
        path: The folder.
        rate: Frames a second; None for the stamps that the folder of a film has beside
            its pictures, else `USUAL_RATE`.
        limits: What each picture may have, and how many there may be.

    Raises:
        InputError: There is none, the first cannot be read, or there are too many.
    """

    def __init__(self, path: Path, rate: Fraction | None, limits: Limits):
        super().__init__()
        self._limits = limits
        self._paths = _pictures_of(path)
        if not self._paths:
            raise InputError(
                "a folder must have pictures to be a film",
                received=f"{short_repr(str(path))}, which has none",
                hint="name the folder that the pictures are in, or a video file",
            )
        times = read_stamps(path) if rate is None else None
        if times is None or len(times) != len(self._paths) + 1:
            times = [k / (rate or USUAL_RATE) for k in range(len(self._paths) + 1)]
        self.time_base = Fraction(1, math.lcm(*(time.denominator for time in times)))
        self._ticks = [round(time / self.time_base) for time in times]
        self.usual = self._ticks[1]
        self.size = self._read(0).size
        gaps = _gaps([file.stem for file in self._paths])
        if gaps:
            self.tell(gaps)

    def read(self) -> Iterator["_Still"]:
        """Yields all pictures."""
        return self.read_near(0)

    def read_near(self, ticks: int) -> Iterator["_Still"]:
        """Yields the pictures from a stamp on."""
        first = bisect.bisect_left(self._ticks, ticks)
        for number in range(first, len(self._paths)):
            yield self._read(number)

    def _read(self, number: int) -> "_Still":
        path = self._paths[number]
        picture = read_picture(path, limits=self._limits)
        start, end = self._ticks[number : number + 2]
        share = (number + 1) / len(self._paths)
        still = _Still(picture, start, end - start, share)
        if number and still.size != self.size:
            raise InputError(
                "all pictures of a film must have one size, here "
                f"{self.size[1]} × {self.size[0]} pixels as {self._paths[0].name}",
                received=f"{short_repr(path.name)} of {still.size[1]} × "
                f"{still.size[0]}",
                hint="resize it, or move it out of the folder",
            )
        return still


class AnimationReader(Reader):
    """Reads an animated GIF or WebP, each frame as long as it says.

    Args:
        path: The file.
        limits: What it may have.

    Raises:
        InputError: It cannot be read, or has too much.
    """

    time_base = Fraction(1, 1000)
    usual = _INSTEAD

    def __init__(self, path: Path, limits: Limits):
        super().__init__()
        self._path = check_file(path, "a film")
        self._limits = limits
        self.size = next(self.read()).size

    def read(self) -> Generator["_Still"]:
        """Yields all frames."""
        return self.read_near(0)

    def read_near(self, ticks: int) -> Generator["_Still"]:
        """Yields frames from a stamp on."""
        name, bounds = self._path.name, self._limits.bounds
        bounds = bounds._replace(frames=self._limits.max_film_frames)
        at = 0
        with self._path.open("rb") as file:
            check_header(file, name, bounds)
            with _errors(name), pillow_limits(bounds.pixels):
                image = Image.open(file, formats=("GIF", "WEBP"))
                count = int(getattr(image, "n_frames", 1))
            for number in range(count):
                try:
                    decoded, duration = self._decoded(image, number)
                    if number and decoded.pixels.shape[:2] != self.size:
                        raise PictureError("a frame must be as large as the first")
                except PictureError:
                    if not number:
                        raise
                    self.is_damaged = True
                    self.tell("The film is damaged; what is before that is used.")
                    return
                if at >= ticks:
                    alpha = None if decoded.alpha is None else to_float(decoded.alpha)
                    picture = Picture(to_float(decoded.pixels), alpha, name)
                    yield _Still(picture, at, duration, (number + 1) / count)
                at += duration

    def _decoded(self, image: Image.Image, number: int) -> tuple[decoding.Decoded, int]:
        # Pillow's limits are those of one thread at a time.
        with _errors(self._path.name), pillow_limits(self._limits.max_pixels):
            image.seek(number)
            image.load()
            return decode(image), self._duration(image)

    def _duration(self, image: Image.Image) -> int:
        duration = int(image.info.get("duration", 0))
        if duration > _SHORTEST:
            return duration
        if getattr(image, "n_frames", 1) > 1:
            self.tell(
                f"Frames that say to take {_SHORTEST} ms or less take {_INSTEAD} ms, "
                "as in browsers."
            )
        return _INSTEAD


class _Still(Decoded):
    """A picture."""

    def __init__(self, picture: Picture, ticks: int, duration: int, share: float):
        self._picture = picture
        self.ticks, self.duration, self.share = ticks, duration, share
        height, width = picture.pixels.shape[:2]
        self.size: Size = (height, width)

    @property
    def bits(self) -> int:
        """Of a channel."""
        return self._picture.bits

    @property
    def has_alpha(self) -> bool:
        """Whether a pixel is transparent."""
        alpha = self._picture.alpha
        return alpha is not None and bool((alpha < 1).any())

    def feed(self, digest: "hashlib._Hash") -> None:
        """Feeds a hash with that of the pixels."""
        digest.update(self._picture.sha256.encode())

    def thumbnail(self) -> np.ndarray:
        """Returns the picture small, uint8 (height, width, 3)."""
        import cv2

        height, width = self.size
        scale = min(1, THUMBNAIL / max(height, width))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        small = cv2.resize(
            self._picture.pixels, size, interpolation=cv2.INTER_AREA
        ).reshape(size[1], size[0], 3)
        return to_uint8(small)

    def pixels(self) -> tuple[np.ndarray, np.ndarray | None]:
        """Returns the image and its alpha."""
        return self._picture.pixels, self._picture.alpha


@contextlib.contextmanager
def _errors(name: str) -> Iterator[None]:
    with memory_errors(name), decoding_errors(name):
        yield


def is_animation(path: Path) -> bool:
    """Tells whether a file is a GIF or a WebP, by its first bytes."""
    with path.open("rb") as file:
        head = file.read(12)
    return head[:6] in (b"GIF87a", b"GIF89a") or (
        head[:4] == b"RIFF" and head[8:] == b"WEBP"
    )


def may_move(path: Path) -> bool:
    """Tells whether a picture may be a film that FFmpeg reads: APNG or AVIF."""
    with path.open("rb") as file:
        head = file.read(1 << 16)
    is_apng = head.startswith(b"\x89PNG") and b"acTL" in head
    return is_apng or head[4:12] == b"ftypavis"


def _pictures_of(folder: Path) -> list[Path]:
    """Returns the pictures of a folder, without hidden ones, in natural order."""
    try:
        entries = [
            path
            for path in folder.iterdir()
            if path.suffix.lower() in READ_SUFFIXES
            and not path.name.startswith(".")
            and path.is_file()
        ]
    except OSError as failure:
        raise InputError(
            "a folder of pictures must be one that can be read",
            received=f"{short_repr(str(folder))} ({failure.strerror})",
            hint="check its permissions",
        ) from failure
    return sorted(entries, key=lambda path: (natural(path.name), path.name))


def _gaps(stems: Sequence[str]) -> str:
    """Returns what is missing among numbered names, as a notice, or ""."""
    found = [re.search(r"(\d+)\D*$", stem) for stem in stems]
    numbers = [int(match[1]) for match in found if match is not None]
    if len(numbers) < len(stems) or len(set(numbers)) < len(numbers):
        return ""
    first, last, there = min(numbers), max(numbers), set(numbers)
    count = last - first + 1 - len(numbers)
    if not count:
        return ""
    missing = list[str]()
    number = first
    while len(missing) < min(count, _FEW):
        if number not in there:
            missing.append(str(number))
        number += 1
    more = ", …" if count > _FEW else ""
    return (
        f"Of the pictures {first} to {last}, {count} are missing "
        f"({', '.join(missing)}{more}); the others follow each other."
    )
