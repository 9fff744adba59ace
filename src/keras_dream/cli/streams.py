"""The standard streams of a process that is ours alone."""

import contextlib
import faulthandler
import logging
import os
import signal
import sys
from collections.abc import Iterator
from typing import NoReturn, TextIO

_GOODBYE = b"\0dream has ended\0"
_MOST_HELD = 16_384  # bytes
_FILES = 64  # numbers of files that may be open at the start
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
        value = os.environ.get(name, "0")
        is_number = value.isascii() and value.isdecimal()
        if not is_number or not _FEWEST <= int(value[:9]) <= _MOST:
            os.environ.pop(name, None)


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Holds back what C libraries write, and the logs of Python's, until the end.

    C libraries write to the second file descriptor (tensorflow's 20 lines at its
    start, libtiff's warnings). It leads to a process that shows the lines only if this
    one ends without a word, as where a library calls `exit`. What Python writes to
    standard error goes where it went, also its traceback of a crash in C.
    """
    silent = logging.NullHandler()  # else the root's handler of last resort
    logging.getLogger().addHandler(silent)
    before = sys.stderr, sys.__stderr__
    held = _held_back(sys.stderr)
    if held is not None:
        # rich measures the terminal by the second.
        sys.stderr = sys.__stderr__ = held[0]
        faulthandler.enable(held[0], all_threads=False)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(silent)
        if held is not None:
            faulthandler.disable()
            stream, holder = held
            stream.flush()
            with contextlib.suppress(OSError):  # it was killed
                os.write(2, _GOODBYE)
            os.dup2(stream.fileno(), 2)
            with contextlib.suppress(OSError):
                os.waitpid(holder, 0)
            sys.stderr, sys.__stderr__ = before
            stream.close()


def _held_back(stream: TextIO | None) -> tuple[TextIO, int] | None:
    """Returns standard error under another number, and who holds what goes to 2.

    None where it has another number, or where no process can be forked.
    """
    if not hasattr(os, "fork"):
        return None
    try:
        if stream is None or stream.fileno() != 2:
            return None
        stream.flush()
        number = os.dup(2)
        read, write = os.pipe()
        holder = os.fork()  # before any library has started a thread
    except (OSError, ValueError):
        return None
    if not holder:
        _hold(read, number)
    os.close(read)
    os.dup2(write, 2)
    os.close(write)
    shown = os.fdopen(
        number, "w", buffering=1, encoding=stream.encoding, errors=stream.errors
    )
    return shown, holder


def _hold(read: int, number: int) -> NoReturn:
    """Reads until the goodbye; without one the last lines are shown at the end."""
    try:
        for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
        for other in {*range(_FILES)} - {read, number}:
            with contextlib.suppress(OSError):
                os.close(other)
        held = b""
        while data := os.read(read, 65_536):
            held = (held + data)[-_MOST_HELD:]
            if held.endswith(_GOODBYE):
                os._exit(0)
        os.write(number, held)
    finally:
        os._exit(0)
