"""The errors of keras-dream, in one tree.

    DreamError                     exit code 1
    ├── InputError (ValueError)    exit code 2: the input was wrong
    │   ├── SettingError           a recipe, a preset or a run setting
    │   ├── ObjectiveError         objective text, a layer, a channel, a class
    │   ├── PictureError           a picture that cannot be read or used
    │   ├── NetworkError           a network that is unknown or cannot be used
    │   ├── WeightsError           weights that are missing, damaged or wrong
    │   ├── OutputError            a place that cannot be written to
    │   └── JobsError              a journal that cannot be used
    └── RunError (RuntimeError)    exit code 1: the run itself failed
        ├── NonFiniteError         a loss or a gradient that is not a number
        ├── DownloadError          weights that could not be downloaded
        └── SaveError              a result that could not be written

Every message is one sentence of three parts: what must be, what was received,
and what to try.
"""

import contextlib
import difflib
import functools
import shlex
from collections.abc import Generator, Iterable
from typing import Any


class DreamError(Exception):
    """Base of all errors that keras-dream raises on purpose.

    Args:
        must: What must be, as the start of a sentence without its full stop.
        received: What was received instead, or "".
        hint: What to try, beginning with a verb, or "".
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

    def __reduce__(self) -> tuple[Any, ...]:
        # Pools of processes pickle errors; by default only the whole text is passed.
        parts = {"received": self.received, "hint": self.hint}
        return functools.partial(type(self), self.must, **parts), ()


class InputError(DreamError, ValueError):
    """The input cannot be used."""

    exit_code = 2


class SettingError(InputError):
    """A recipe, a preset or a run setting is wrong."""


class ObjectiveError(InputError):
    """An objective cannot be read, or names what the network does not have."""


class PictureError(InputError):
    """A picture cannot be read or is too small."""


class NetworkError(InputError):
    """A network is unknown, or cannot be used as asked."""


class WeightsError(InputError):
    """Weights are missing, damaged, or belong to another network."""


class OutputError(InputError):
    """A result cannot be written to the requested path."""


class JobsError(InputError):
    """A journal of jobs is damaged, of a newer version, or in use."""


class RunError(DreamError, RuntimeError):
    """The run failed although the input was right."""


class NonFiniteError(RunError):
    """A loss or a gradient has values that are infinite or not a number."""


class DownloadError(RunError):
    """Weights could not be downloaded, or differ from the published ones."""


class SaveError(RunError):
    """A result could not be written, although its path was valid."""


_FEW = 12  # names, which fit on a line or two


def nearest(
    name: str, names: Iterable[str], *, see: str = "", listed: bool = False
) -> str:
    """Returns advice that points to the nearest known name.

    Args:
        name: The unknown name.
        names: The existing names.
        see: What lists them all, such as "`dream networks`", or "".
        listed: Whether the sentence lists the names already: then they are not said
            again, and the clause is "" where none is near.

    Returns:
        A clause for `DreamError.hint`: the nearest name; if none is near, the names
        themselves if they are few, or else what lists them.
    """
    choices = sorted(names)
    more = f", or see {see}" if see else ""
    close = difflib.get_close_matches(name, choices, n=3, cutoff=0.6)
    if close:
        # Two swapped letters are likelier than a wrong one.
        swapped = [other for other in close if sorted(other) == sorted(name)]
        return f"try {(swapped or close)[0]!r}, the nearest name{more}"
    if listed:
        return ""
    if choices and (len(choices) <= _FEW or not see):
        rest = ", …" if len(choices) > _FEW else ""
        return f"try one of {', '.join(choices[:_FEW])}{rest}{more}"
    return f"see {see}" if see else ""


@contextlib.contextmanager
def naming_network(name: str) -> Generator[None, None, None]:
    """Puts a network's name into the hints of errors of its graph, which has none.

    Args:
        name: The network's name.
    """
    try:
        yield
    except InputError as error:
        if _ANY_NETWORK not in error.hint:
            raise
        hint = error.hint.replace(_ANY_NETWORK, f"dream layers {shlex.quote(name)}")
        raise type(error)(error.must, received=error.received, hint=hint) from None


_ANY_NETWORK = "dream layers NETWORK"


def short_repr(value: object, *, limit: int = 80) -> str:
    """Returns the repr of a received value, cut to `limit` characters."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
