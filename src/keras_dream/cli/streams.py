"""The standard streams of a process that is ours alone."""

import contextlib
import faulthandler
import logging
import os
import sys
from collections.abc import Iterator
from typing import TextIO

_FEWEST, _MOST = 20, 10_000
"""Columns and lines of a terminal."""


def keep_numbers() -> None:
    """Opens closed standard streams on the null device.

    The next file would get the number of one of them, and what C libraries write to
    standard error would end up in a picture.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number


def check_size() -> None:
    """Removes a terminal's size from the environment that no terminal has.

    rich wraps lines for ever at a width of 0, and fills memory at one of 10^10.
    """
    for name in ("COLUMNS", "LINES"):
        value = os.environ.get(name, "")
        if value.isdecimal() and not _FEWEST <= int(value[:9]) <= _MOST:
            del os.environ[name]


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Silences C libraries, and the logs of Python's, until the end.

    C libraries write to the second file descriptor (tensorflow's 20 lines at its
    start, libtiff's warnings), which is the null device meanwhile; what Python writes
    to standard error goes where it went. A crash of the whole process is still shown
    there, as Python's traceback.
    """
    silent = logging.NullHandler()  # else the root's handler of last resort
    logging.getLogger().addHandler(silent)
    before = sys.stderr, sys.__stderr__
    stream = _reopened(sys.stderr)
    if stream is not None:
        # rich measures the terminal by the second.
        sys.stderr = sys.__stderr__ = stream
        faulthandler.enable(stream, all_threads=False)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(silent)
        if stream is not None:
            faulthandler.disable()
            stream.flush()
            os.dup2(stream.fileno(), 2)
            sys.stderr, sys.__stderr__ = before
            stream.close()


def _reopened(stream: TextIO | None) -> TextIO | None:
    """Returns standard error under another number; None where it has no number 2."""
    try:
        if stream is None or stream.fileno() != 2:
            return None
        stream.flush()
        number = os.dup(2)
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 2)
        os.close(null)
    except (OSError, ValueError):
        return None
    return os.fdopen(
        number, "w", buffering=1, encoding=stream.encoding, errors=stream.errors
    )
