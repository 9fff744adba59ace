"""Logging in the processes that are ours: the command line and its workers.

The library speaks to loggers named after its modules and configures none: in a program
of the user's, `logging.getLogger("keras_dream")` is theirs.
"""

import contextlib
import json
import logging
import os
import re
import stat
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, cast

from keras_dream.errors import OutputError, SettingError, nearest, short_repr

Level = Literal["debug", "info", "warning", "error"]

LEVELS: tuple[Level, ...] = ("debug", "info", "warning", "error")

_MESSAGE = re.compile(r"\d\d:\d\d:\d\d\.\d{3} \w+ [\w.]+: ")

LEVEL_VARIABLE = "KERAS_DREAM_LOG"
FILE_VARIABLE = "KERAS_DREAM_LOG_FILE"


@contextlib.contextmanager
def session(*, level: Level | None = None, file: str | None = None) -> Iterator[None]:
    """Shows what the library logs, and the warnings of others, until the end.

    What is None is read from the environment, where processes that are started
    meanwhile find it, too.

    Args:
        level: The least important that is shown; nothing without one, or with a file
            "info".
        file: A file to which every message is added as a line of JSON; without one they
            are lines of text on standard error.

    Raises:
        SettingError: If the environment has a level that does not exist.
        OutputError: If the file cannot be written to, or is no log.
    """
    level = level or _inherited_level()
    file = file or os.environ.get(FILE_VARIABLE) or None
    if level is None and file is None:
        yield
        return
    level = level or "info"
    handler = _TextLines() if file is None else _JsonLines(file)
    number = logging.getLevelNamesMapping()[level.upper()]
    ours, root = logging.getLogger("keras_dream"), logging.getLogger()
    levels = ours.level, root.level
    before = {name: os.environ.get(name) for name in (LEVEL_VARIABLE, FILE_VARIABLE)}
    _set_variables({LEVEL_VARIABLE: level, FILE_VARIABLE: file})
    ours.setLevel(number)
    root.setLevel(max(number, logging.WARNING))  # the details of others are too many
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()
        ours.setLevel(levels[0])
        root.setLevel(levels[1])
        _set_variables(before)


def pass_on(line: str) -> None:
    """Shows a line of a worker's standard error where messages are shown.

    Args:
        line: A message, or what a library wrote, which is shown at "debug" only.
    """
    level = os.environ.get(LEVEL_VARIABLE)
    if not level or os.environ.get(FILE_VARIABLE):
        return
    if level == "debug" or _MESSAGE.match(line):
        _write(line)


def _inherited_level() -> Level | None:
    name = os.environ.get(LEVEL_VARIABLE) or None
    if name is not None and name not in LEVELS:
        raise SettingError(
            f"{LEVEL_VARIABLE} must be one of {', '.join(LEVELS)}",
            received=short_repr(name),
            hint=nearest(name, LEVELS, listed=True) or "try info",
        )
    return cast("Level | None", name)


def _set_variables(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


class _TextLines(logging.Handler):
    """Writes lines of text to what standard error is at the moment."""

    def emit(self, record: logging.LogRecord) -> None:
        now = time.strftime("%H:%M:%S", time.localtime(record.created))
        level = record.levelname.lower()
        head = f"{now}.{int(record.msecs):03d} {level} {record.name}"
        text = f"{head}: {_message(record)}{_traceback(record, before=chr(10))}\n"
        _write(text)


def _write(text: str) -> None:
    """Writes to standard error, without what could steer a terminal; never fails."""
    text = "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)
    with contextlib.suppress(OSError, ValueError):  # closed, or a broken pipe
        if sys.stderr is not None:
            encoding = sys.stderr.encoding or "utf-8"
            text = text.encode(encoding, "backslashreplace").decode(encoding)
            sys.stderr.write(text)
            sys.stderr.flush()


class _JsonLines(logging.Handler):
    """Adds lines of JSON to a file; processes may share it.

    Raises:
        OutputError: If the file cannot be written to, or is no log.
    """

    def __init__(self, path: str):
        super().__init__()
        try:
            # Without a buffer every line is written at once, behind those of others.
            self._file = Path(path).open("ab+", buffering=0)  # noqa: SIM115
        except (OSError, ValueError) as failure:
            reason = getattr(failure, "strerror", None) or str(failure)
            raise OutputError(
                "The log must go to a file that can be written to",
                received=f"{short_repr(path)} ({reason.lower()})",
                hint="try another folder, or leave --log-file out",
            ) from None
        if stat.S_ISREG(os.fstat(self._file.fileno()).st_mode):
            self._file.seek(0)
            if self._file.read(1) not in (b"", b"{"):
                self._file.close()
                raise OutputError(
                    "The log must go to a new file, or to an earlier log",
                    received=f"{short_repr(path)}, which is neither",
                    hint="try another name",
                )

    def emit(self, record: logging.LogRecord) -> None:
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        data = {
            "time": f"{seconds}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "message": _message(record),
        }
        if record.exc_info:
            data["traceback"] = _traceback(record)
        line = json.dumps(data) + "\n"
        with contextlib.suppress(OSError, ValueError):  # a full disk ends no dream
            self._file.write(line.encode("ascii"))

    def close(self) -> None:
        self._file.close()
        super().close()


def _message(record: logging.LogRecord) -> str:
    """Returns the message; a wrong one must not end what it is about."""
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - of any library
        return str(record.msg)


def _traceback(record: logging.LogRecord, *, before: str = "") -> str:
    if not record.exc_info:
        return ""
    return before + logging.Formatter().formatException(record.exc_info)
