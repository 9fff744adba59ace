"""What single octaves have of their own: `1-2: objective=class:eye`.

override = octaves ":" setting "=" value
octaves  = number | number "-" number | number "-"
"""

import re
from dataclasses import dataclass
from typing import Any

from keras_dream.errors import SettingError, short_repr

SETTINGS = ("objective", "steps", "step_size", "jitter")
MOST_OVERRIDES = 64

_OVERRIDE = re.compile(
    r"\s*(\d{1,2})\s*(?:(-)\s*(?:(\d{1,2})\s*)?)?:\s*(\w+)\s*=(.*)",
    re.ASCII | re.DOTALL,
)


@dataclass(frozen=True)
class Override:
    """A setting that some octaves have of their own.

    Attributes:
        first: The first of the octaves, from 1, small to large.
        last: The last of them; None for all that follow.
        setting: One of `SETTINGS`.
        value: As the recipe's own field has it.
    """

    first: int
    last: int | None
    setting: str
    value: Any

    @property
    def octaves(self) -> str:
        """The octaves as text: 2, 1-2, 3-."""
        if self.first == self.last:
            return str(self.first)
        return f"{self.first}-{'' if self.last is None else self.last}"

    @property
    def text(self) -> str:
        """The override as text that `read` takes apart."""
        value = "default" if self.value is None else self.value
        return f"{self.octaves}: {self.setting}={value}"

    def covers(self, octave: int) -> bool:
        """Tells whether it is about an octave."""
        return self.first <= octave and (self.last is None or octave <= self.last)


def read(text: object) -> Override:
    """Takes an override's text apart; its value stays text.

    Raises:
        SettingError: If it is not of the form above, or the setting none of `SETTINGS`.
    """
    match = _OVERRIDE.fullmatch(text) if isinstance(text, str) else None
    if match is not None and match[4] in SETTINGS:
        first = int(match[1])
        last = first if match[2] is None else int(match[3]) if match[3] else None
        if first >= 1 and (last is None or first <= last):
            return Override(first, last, match[4], match[5].strip())
    raise SettingError(
        "`per_octave` must be OCTAVES: SETTING=VALUE, where the octaves are numbers "
        f"from 1, small to large, and the setting is one of {', '.join(SETTINGS)}",
        received=short_repr(text),
        hint="try '1-2: objective=class:eye' or '3-: steps=10'",
    )
