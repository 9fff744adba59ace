"""Times in a film as text: `12`, `12.5s`, `0:12`, `1:02:03.5`."""

import math
import re
from fractions import Fraction

from keras_dream.errors import SettingError, short_repr

MOST_SECONDS = 10**7
"""About four months: no film is longer."""

_DECIMALS = 9  # of a time as text: FFmpeg's clocks tick in microseconds at most
_SECONDS = re.compile(r"\s*(\d{1,9}(?:\.\d{0,9})?|\.\d{1,9})\s*s?\s*", re.ASCII)
_CLOCK = re.compile(r"\s*(?:(\d{1,6}):)?(\d{1,6}):(\d{1,2}(?:\.\d{0,9})?)\s*", re.ASCII)


def seconds_of(value: object, setting: str) -> Fraction:
    """Returns the seconds that a time stands for, exactly.

    Args:
        value: A number of seconds, or text: seconds ("12", "12.5s"), minutes and
            seconds ("0:12"), or hours, minutes and seconds ("1:02:03.5").
        setting: The setting's or option's name, for the message.

    Raises:
        SettingError: If it is none, or not from 0 to `MOST_SECONDS`.
    """
    seconds = _number(value) if not isinstance(value, str) else _text(value)
    if seconds is None or not 0 <= seconds <= MOST_SECONDS:
        raise SettingError(
            f"`{setting}` must be a time in seconds, or in minutes and seconds",
            received=short_repr(value),
            hint="try 12.5s, 0:12.5 or 1:02:03",
        )
    return seconds


def time_text(seconds: Fraction) -> str:
    """Returns a time as text in seconds, as `seconds_of` reads it: 12s, 12.5s."""
    whole, rest = divmod(round(seconds * 10**_DECIMALS), 10**_DECIMALS)
    decimals = f"{rest:0{_DECIMALS}}".rstrip("0")
    return f"{whole}.{decimals}s" if decimals else f"{whole}s"


def _number(value: object) -> Fraction | None:
    if isinstance(value, Fraction):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # The decimal that a person wrote, not the binary number next to it.
    return Fraction(repr(value)) if math.isfinite(value) else None


def _text(text: str) -> Fraction | None:
    if match := _SECONDS.fullmatch(text):
        return Fraction(match[1])
    match = _CLOCK.fullmatch(text)
    if match is None:
        return None
    hours, minutes, seconds = int(match[1] or 0), int(match[2]), Fraction(match[3])
    if seconds >= 60 or (match[1] and minutes >= 60):
        return None
    return 3600 * hours + 60 * minutes + seconds
