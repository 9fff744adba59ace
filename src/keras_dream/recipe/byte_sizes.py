"""Sizes of memory and of files as text: `2GB`, `1500MB`, `2GiB`."""

import re

from keras_dream.errors import SettingError, short_repr

MOST_BYTES = 10**15

_UNITS = {
    "b": 1,
    **{f"{letter}b": 1000**power for power, letter in enumerate("kmgt", 1)},
    **{f"{letter}ib": 1024**power for power, letter in enumerate("kmgt", 1)},
    # As other programs have them: docker's and Java's are powers of 1024.
    **{letter: 1024**power for power, letter in enumerate("kmgt", 1)},
}
_TEXT = re.compile(
    r"\s*(\d{1,16}(?:\.\d{1,9})?)\s*([a-z]*)\s*", re.ASCII | re.IGNORECASE
)


def bytes_of(value: object, setting: str) -> int:
    """Returns the number of bytes that a text stands for.

    Args:
        value: A whole number of bytes, or text such as "2GB" (10 ** 9 each), "2GiB" or
            "2G" (2 ** 30 each).
        setting: The setting's name, for the message.

    Raises:
        SettingError: If it is none, or not from 1 to `MOST_BYTES`.
    """
    number: float = -1
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = value if value % 1 == 0 else -1
    elif isinstance(value, str) and (match := _TEXT.fullmatch(value)):
        unit = _UNITS.get(match[2].lower() or "b")
        number = -1 if unit is None else float(match[1]) * unit
    if not 1 <= number <= MOST_BYTES:
        raise SettingError(
            f"`{setting}` must be a size of memory with its unit: a number and kB, MB, "
            "GB, TB, KiB, MiB, GiB or TiB",
            received=short_repr(value),
            hint="try 2GB",
        )
    return int(number)


def size_text(count: float) -> str:
    """Returns a number of bytes as a reader takes it in: 640 MB, 2.3 GB."""
    if count < 999_500_000:
        return f"{count / 1e6:,.0f} MB"
    return f"{count / 1e9:,.1f} GB"
