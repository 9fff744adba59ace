"""Standard output for results and JSON, standard error for messages.

A broken pipe is ignored: the dream goes on and is saved.
"""

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import TextIO

from keras_dream.errors import RunError
from keras_dream.events import Event, Failed


def write_stderr(text: str) -> None:
    """Writes a message to standard error; never fails."""
    with contextlib.suppress(OSError):
        _write(sys.stderr, text)


def write_stdout(text: str) -> None:
    """Writes a line of the result to standard output.

    A terminal gets control characters as escapes, so that the name of a file cannot
    steer it; a program gets the name as it is.

    Raises:
        RunError: If standard output takes nothing, as on a full disk.
    """
    if sys.stdout is not None and sys.stdout.isatty():
        text = "".join(map(_visible, text))
    try:
        _write(sys.stdout, text)
    except OSError as failure:
        raise _refused(failure) from None


def write_picture(data: bytes) -> None:
    """Writes the bytes of a picture to standard output.

    Raises:
        RunError: If standard output does not take all of it.
    """
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
    except OSError as failure:
        _discard(sys.stdout)
        raise _refused(failure) from None


def write_event(event: Event) -> None:
    """Writes an event as one line of JSON to standard output.

    Raises:
        RunError: If standard output takes nothing.
    """
    from keras_dream.recipe.settings import canonical_json

    write_stdout(canonical_json(event.data()))


def write_failure(sentence: str, *, exit_code: int, json: bool) -> None:
    """Writes why a command failed to standard error, and with `json` as an event, too.

    Raises:
        RunError: If standard output takes nothing.
    """
    sentence = plain(sentence)
    write_stderr(f"dream: {sentence}")
    if json:
        write_event(Failed(sentence, exit_code))


def plain(text: str) -> str:
    """Returns text without control characters, which could steer a terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _visible(character: str) -> str:
    if character.isprintable() or character == "\n":
        return character
    return character.encode("unicode_escape").decode("ascii")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns rows in columns, two spaces apart."""
    every = [head, *rows]
    widths = [max(map(len, column)) for column in zip(*every, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in every
    )
    return "\n".join(line.rstrip() for line in lines)


def _refused(failure: OSError) -> RunError:
    return RunError(
        "Standard output must take the result",
        received=repr((failure.strerror or str(failure)).lower()),
        hint="free some space or send it elsewhere",
    )


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None:  # a program without a console
        return
    try:
        try:
            stream.write(text + "\n")
        except UnicodeEncodeError:
            # A terminal of another encoding, or a file name that is not UTF-8.
            encoding = stream.encoding or "utf-8"
            rescue = "surrogateescape" if encoding == "utf-8" else "backslashreplace"
            stream.flush()
            stream.buffer.write((text + "\n").encode(encoding, rescue))
        stream.flush()
    except OSError as failure:
        _discard(stream)
        if not isinstance(failure, BrokenPipeError):
            raise


def _discard(stream: TextIO) -> None:
    """Sends the rest of a stream to the null device: Python flushes it at exit."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
