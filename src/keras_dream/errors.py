"""The errors of keras-dream, in one tree.

    DreamError                     exit code 1
    ├── InputError (ValueError)    exit code 2: what you gave was wrong
    │   ├── SettingError           a recipe, a preset or a run setting
    │   ├── ObjectiveError         objective text, a layer, a channel, a class
    │   ├── PictureError           a picture that cannot be read or dreamed
    │   ├── NetworkError           a network that is unknown or cannot be used
    │   ├── WeightsError           weights that are missing, damaged or foreign
    │   └── OutputError            a place that cannot be written to
    └── RunError (RuntimeError)    exit code 1: the run itself failed
        ├── NonFiniteError         a gradient that is not a number
        ├── DownloadError          weights that could not be fetched
        └── SaveError              the disk refused while writing

Every message is one sentence of three parts: what must be, what was received,
and what to try.
"""

import difflib
from collections.abc import Iterable


class DreamError(Exception):
    """Base of all errors that keras-dream raises on purpose.

    Args:
        must: What must be, as the start of a sentence without its full stop.
        received: What was received instead; empty where nothing was.
        hint: What to try, beginning with a verb; empty where nothing helps.
    """

    exit_code = 1

    def __init__(self, must: str, *, received: str = "", hint: str = ""):
        self.must = must
        self.received = received
        self.hint = hint
        parts = [must]
        if received:
            parts.append(f"received {received}")
        if hint:
            parts.append(hint)
        text = "; ".join(parts) + "."
        super().__init__(text[:1].upper() + text[1:])


class InputError(DreamError, ValueError):
    """What was given cannot be used."""

    exit_code = 2


class SettingError(InputError):
    """A recipe, a preset or a run setting is wrong."""


class ObjectiveError(InputError):
    """An objective cannot be read, or names what the network does not have."""


class PictureError(InputError):
    """A picture cannot be read or is too small to dream."""


class NetworkError(InputError):
    """A network is unknown, or cannot be used as asked."""


class WeightsError(InputError):
    """Weights are missing, damaged, or belong to another network."""


class OutputError(InputError):
    """A result cannot be written where it was asked for."""


class RunError(DreamError, RuntimeError):
    """The run failed although what was given was right."""


class NonFiniteError(RunError):
    """A gradient holds infinities or is not a number."""


class DownloadError(RunError):
    """Weights could not be fetched, or not as they were published."""


class SaveError(RunError):
    """The disk refused while a result was being written."""


_FEW = 12  # names, which fit on a line or two


def nearest(name: str, names: Iterable[str], see: str = "") -> str:
    """Returns advice that points to the nearest known name.

    Args:
        name: The name that is not known.
        names: The names that are.
        see: Where all of them are told, such as "`dream networks`"; "" for nowhere.

    Returns:
        A clause for `DreamError.hint`: the nearest name; where none is near, the
        names themselves if they are few, or else where they are told.
    """
    known = sorted(names)
    more = f", or see {see}" if see else ""
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    if close:
        # Two letters that changed places are likelier than one that is another.
        swapped = [other for other in close if sorted(other) == sorted(name)]
        return f"try {(swapped or close)[0]!r}, the nearest name{more}"
    if known and (len(known) <= _FEW or not see):
        rest = ", …" if len(known) > _FEW else ""
        return f"try one of {', '.join(known[:_FEW])}{rest}{more}"
    return f"see {see}" if see else ""


def short_repr(value: object, limit: int = 80) -> str:
    """Returns the repr of a received value, cut to `limit` characters."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
