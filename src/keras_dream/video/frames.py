"""Frames, and what is known of a video before it is dreamed.

Times are exact fractions of a second from the first selected frame, so that nothing is
rounded between a source and the film that is made of it.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from keras_dream.geometry import Size


class Stamp(NamedTuple):
    """When a frame is shown.

    Attributes:
        start: Seconds from the first selected frame.
        duration: Seconds until the next one.
    """

    start: Fraction
    duration: Fraction


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame of a video.

    Attributes:
        number: Its number among the selected frames, from 0.
        stamp: When it is shown.
        image: float32 (height, width, 3), sRGB in [0, 1], upright.
        alpha: float32 (height, width) in [0, 1], or None.
    """

    number: int
    stamp: Stamp
    image: np.ndarray
    alpha: np.ndarray | None = None


@dataclass(frozen=True)
class Clip:
    """What is known of the selected frames of a source, after they were all seen once.

    Attributes:
        name: The source's file name.
        sha256: Of the selected frames' decoded pixels and their stamps.
        size: (height, width) in pixels, as the frames are shown.
        stamps: Of every selected frame.
        time_base: Seconds of a tick of the source's own clock: every stamp is a whole
            number of them.
        rate: Frames a second, on average.
        cuts: Numbers of the frames that begin a scene; 0 is always one.
        bits: Of a channel: 8, or more of a deep source.
        has_alpha: Whether the frames are transparent somewhere.
        has_sound: Whether there is a track of sound.
        notices: What a person should know, such as that it was interlaced.
        origin: When the first selected frame is shown, in seconds of the source's own
            clock, which its sound goes by, too.
        begin: The same in seconds from the source's first frame.
        checks: 64 bits of the sha256 of each selected frame, by which a source that is
            opened again knows where it is; empty where it must be read from its start.
    """

    name: str
    sha256: str
    size: Size
    stamps: tuple[Stamp, ...]
    time_base: Fraction
    rate: Fraction
    cuts: tuple[int, ...] = (0,)
    bits: int = 8
    has_alpha: bool = False
    has_sound: bool = False
    notices: tuple[str, ...] = ()
    origin: Fraction = Fraction(0)
    begin: Fraction = Fraction(0)
    checks: tuple[int, ...] = ()

    @property
    def seconds(self) -> Fraction:
        """How long the selected frames take."""
        last = self.stamps[-1]
        return last.start + last.duration
