"""Standard output for results, standard error for people.

A reader who goes away is no reason to stop dreaming: after a broken pipe the stream
leads nowhere, and the picture is saved all the same.
"""

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import TextIO

from keras_dream.errors import RunError


def write_stderr(text: str) -> None:
    """Writes a line for a person to standard error; never fails."""
    with contextlib.suppress(OSError):
        _write(sys.stderr, text)


def write_stdout(text: str) -> None:
    """Writes a line of the result to standard output.

    Raises:
        RunError: If standard output takes nothing, as on a full disk.
    """
    try:
        _write(sys.stdout, text)
    except OSError as failure:
        raise RunError(
            "Standard output must take the result",
            received=repr((failure.strerror or str(failure)).lower()),
            hint="free some space or send it elsewhere",
        ) from None


def plain(text: str) -> str:
    """Returns text without control characters: a stranger's may steer a terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns rows in columns, two spaces apart, for eyes and for `cut` alike."""
    every = [head, *rows]
    widths = [max(map(len, column)) for column in zip(*every, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in every
    )
    return "\n".join(line.rstrip() for line in lines)


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None:  # a program without a console
        return
    try:
        try:
            stream.write(text + "\n")
        except UnicodeEncodeError:
            # A narrow terminal, or a file name that is no text: its own bytes.
            encoding = stream.encoding or "utf-8"
            rescue = "surrogateescape" if encoding == "utf-8" else "backslashreplace"
            stream.flush()
            stream.buffer.write((text + "\n").encode(encoding, rescue))
        stream.flush()
    except OSError as failure:
        _lead_nowhere(stream)
        if not isinstance(failure, BrokenPipeError):
            raise


def _lead_nowhere(stream: TextIO) -> None:
    """Lets a stream's leftovers vanish, which Python would flush when it ends."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
