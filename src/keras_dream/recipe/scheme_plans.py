"""How the gradient is computed, as text: `auto`, a scheme, or schemes by octave.

gradient = "auto" | scheme | entry {";" entry}
entry    = octave ["#" network] ["from" step] ":" scheme

The networks of an octave are counted from 1, as its objective names them. An octave or
a network that is not named is computed whole.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from keras_dream.errors import SettingError, short_repr
from keras_dream.recipe.schemes import Scheme

AUTO = "auto"
WHOLE = Scheme()
MOST_ENTRIES = 1024

_ENTRY = re.compile(
    r"([1-9]\d?)(?:#([1-9]\d?))?(?: from ([1-9]\d{0,5}))? ?: ?(\S.*)", re.ASCII
)


class Entry(NamedTuple):
    """The scheme of an octave, or of what is left of it.

    Attributes:
        octave: Its number, from 1.
        network: Which of its networks, from 1.
        step: The first step that is computed so, from 1.
        scheme: The scheme.
    """

    octave: int
    network: int
    step: int
    scheme: Scheme

    @property
    def text(self) -> str:
        """The entry as text."""
        network = f"#{self.network}" if self.network > 1 else ""
        step = f" from {self.step}" if self.step > 1 else ""
        return f"{self.octave}{network}{step}: {self.scheme.text}"


def read_entries(text: str) -> tuple[Entry, ...] | None:
    """Returns the entries of a text by octave; None if it is no such text.

    Raises:
        SettingError: If a scheme is none.
    """
    entries: list[Entry] = []
    for part in text.split(";"):
        match = _ENTRY.fullmatch(part.strip())
        if match is None:
            return None
        octave, network, step = (int(match[i] or 1) for i in (1, 2, 3))
        entries.append(Entry(octave, network, step, Scheme.read(match[4].strip())))
    places = [entry[:3] for entry in entries]
    if len(entries) > MOST_ENTRIES or len({*places}) < len(places):
        return None
    return tuple(sorted(entries, key=lambda entry: entry[:3]))


def entries_text(entries: Iterable[Entry]) -> str:
    """Returns the text of entries, without those that change nothing."""
    said: dict[tuple[int, int], Scheme] = {}
    parts: list[str] = []
    for entry in sorted(entries, key=lambda entry: entry[:3]):
        if entry.scheme != said.get(entry[:2], WHOLE):
            said[entry[:2]] = entry.scheme
            parts.append(entry.text)
    return "; ".join(parts) or WHOLE.text


def read_gradient(value: object) -> str:
    """Returns the text of the setting `gradient` in its one form.

    Raises:
        SettingError: If it is none.
    """
    text = " ".join(value.split()) if isinstance(value, str) else ""
    if text == AUTO:
        return text
    try:
        if entries := read_entries(text):
            return "; ".join(entry.text for entry in entries)
        return Scheme.read(text).text
    except SettingError:
        raise SettingError(
            "`gradient` must be auto, or one of whole, cells ROWSxCOLUMNS and stem "
            "LAYER ROWSxCOLUMNS, or one for each octave",
            received=short_repr(value),
            hint="try auto, 'cells 2x2' or '5: cells 2x2; 6: cells 3x3'",
        ) from None
