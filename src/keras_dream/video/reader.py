"""What reads a source: the frames as they are in it, before any is selected.

There are two: `video.container` (PyAV) and `video.stills` (Pillow).
"""

import abc
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from keras_dream.geometry import Size

if TYPE_CHECKING:
    import hashlib


class Restart(Exception):
    """What was read must be read again from the start, with `Reader.be_careful`."""


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
        first: The stamp of the first frame, where `read_near` is as sure as `read`;
            None where it is not.
        has_sound: Whether there is a track of sound.
        is_damaged: Whether something was found that cannot be decoded.
    """

    time_base: Fraction
    size: Size
    usual: int
    first: int | None = None
    has_sound: bool = False
    is_damaged: bool = False

    def __init__(self) -> None:
        self._notices = dict[str, None]()

    @property
    def notices(self) -> tuple[str, ...]:
        """What a person should know; complete when all was read."""
        return tuple(self._notices)

    def tell(self, notice: str) -> None:
        """Adds a notice, if it is a new one."""
        self._notices[notice] = None

    @abc.abstractmethod
    def read(self) -> Iterator[Decoded]:
        """Yields all frames.

        Raises:
            Restart: Some may be wrong.
        """

    @abc.abstractmethod
    def read_near(self, ticks: int) -> Iterator[Decoded]:
        """Yields frames from one before a stamp on; the first may be damaged."""

    def be_careful(self) -> bool:
        """Reads more surely from now on; False where that is not possible."""
        return False
