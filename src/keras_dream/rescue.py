"""A result whose own place fails, on a full disk or a lost drive, is kept elsewhere."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from keras_dream.claims import claim
from keras_dream.errors import DreamError, SaveError, short_repr

FOLDER = "rescued"
"""The folder of such results in the user's own (`KERAS_DREAM_HOME`)."""


def keep_elsewhere(
    failure: DreamError, name: str, save: Callable[[Path], object]
) -> SaveError:
    """Saves a result in the user's own folder, or else in the temporary one.

    Args:
        failure: Why it could not be saved in its own place.
        name: What the file is called there.
        save: Writes the result to a path; called until it does not raise.

    Returns:
        The error to raise: that of its own place, and where the result is now. Where
        no place takes it, the error alone.
    """
    for folder in _folders():
        with contextlib.suppress(DreamError, OSError), claim(folder / name) as claimed:
            save(claimed.path)
            where = short_repr(str(claimed.path), limit=200)
            hint = f"find it as {where}, where it is kept, and move it"
            return SaveError(failure.must, received=failure.received, hint=hint)
    return SaveError(failure.must, received=failure.received, hint=failure.hint)


def _folders() -> Iterator[Path]:
    """Yields folders that may take a result."""
    from keras_dream.weights.source import home

    with contextlib.suppress(DreamError, OSError, RuntimeError, KeyError):
        folder = home() / FOLDER
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        yield folder
    with contextlib.suppress(OSError):
        folder = Path(tempfile.mkdtemp(prefix="dream-"))
        yield folder
        folder.rmdir()  # it has taken nothing
