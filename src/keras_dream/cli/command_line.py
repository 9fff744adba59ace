"""The command line as the user typed it, for whoever goes on with its job."""

import contextlib
import logging
import os
from collections.abc import Iterator, Sequence
from contextvars import ContextVar

from keras_dream.errors import DreamError

_log = logging.getLogger(__name__)
_tokens: ContextVar[tuple[str, ...]] = ContextVar("tokens", default=())


@contextlib.contextmanager
def session(tokens: Sequence[str]) -> Iterator[None]:
    """Keeps the arguments behind `dream` until the end."""
    before = _tokens.set(tuple(tokens))
    try:
        yield
    finally:
        _tokens.reset(before)


def remember(folder: str | os.PathLike[str]) -> None:
    """Puts a folder's journal into the index of jobs, for `dream jobs`.

    The index is a convenience: where it cannot be written, the job goes on without it.

    Args:
        folder: The journal's folder.
    """
    from keras_dream.jobs import index

    try:
        index.remember(folder, _tokens.get(), os.getcwd())  # noqa: PTH109
    except (DreamError, OSError) as error:
        _log.debug("Not in the index of jobs: %s", error)


def forget(folder: str | os.PathLike[str]) -> None:
    """Takes a folder's journal out of the index: its job is done, and it is removed.

    Args:
        folder: The journal's folder.
    """
    from keras_dream.jobs import index

    with contextlib.suppress(OSError):
        index.forget(folder)
