"""The index of a user's journals: where they are, and which command lines made them.

Each journal has a small file in `home()/jobs`, a folder that only the user can write
to: `dream jobs resume` runs the command line in it. A command line is never read from a
journal, which may come with a folder from anywhere.
"""

import hashlib
import json
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from keras_dream.errors import JobsError, OutputError, SaveError, short_repr
from keras_dream.files import write_atomically
from keras_dream.jobs.journal import (
    Item,
    Job,
    State,
    is_journal,
    read_journal,
    writer_of,
)
from keras_dream.weights.source import home

_MAX_BYTES = 1 << 20  # of an entry; a command line has at most 128 KiB on Linux


@dataclass(frozen=True)
class Entry:
    """A journal that the user's own command line has made.

    Attributes:
        folder: The journal's folder, absolute.
        command: The arguments behind `dream`.
        directory: The working folder of the command line.
    """

    folder: Path
    command: tuple[str, ...]
    directory: Path


class Condition(StrEnum):
    """How a journal is, or a job in it.

    `UNFINISHED` waits for somebody to go on with it, `FAILED` has nothing left to do
    but some items failed, `DAMAGED` cannot be read, and `VANISHED` is gone.
    """

    RUNNING = "running"
    UNFINISHED = "unfinished"
    FAILED = "failed"
    FINISHED = "finished"
    DAMAGED = "damaged"
    VANISHED = "vanished"


@dataclass(frozen=True)
class Status:
    """What is in the journal of a folder.

    Attributes:
        folder: The folder.
        condition: Of the journal as a whole.
        jobs: Its jobs with their items.
        more: Who writes it, or why it cannot be read; "" otherwise.
    """

    folder: Path
    condition: Condition
    jobs: tuple[tuple[Job, list[Item]], ...] = ()
    more: str = ""


def status_of(folder: str | os.PathLike[str]) -> Status:
    """Returns what is in the journal of a folder, which is only read.

    Args:
        folder: The folder.
    """
    path = Path(folder)
    try:
        jobs = tuple(read_journal(path)) if is_journal(path) else ()
    except JobsError as error:
        return Status(path, Condition.DAMAGED, more=str(error))
    if not jobs:
        return Status(path, Condition.VANISHED)
    if writer := writer_of(path):
        return Status(path, Condition.RUNNING, jobs, writer)
    conditions = {condition_of(items) for _, items in jobs}
    worst = next(condition for condition in Condition if condition in conditions)
    return Status(path, worst, jobs)


def condition_of(items: Sequence[Item]) -> Condition:
    """Returns how a job is, from its items, if nobody is at work."""
    states = {item.state for item in items}
    if states & {State.WAITING, State.RUNNING}:
        return Condition.UNFINISHED
    return Condition.FAILED if State.FAILED in states else Condition.FINISHED


def remember(
    folder: str | os.PathLike[str],
    command: Sequence[str],
    directory: str | os.PathLike[str],
) -> None:
    """Puts a journal into the index, or its newer command line.

    Args:
        folder: The journal's folder.
        command: The arguments behind `dream`.
        directory: The working folder.

    Raises:
        OutputError: Others can write to the index.
        SaveError: The disk refuses.
    """
    path = Path(folder).resolve()
    index = _index()
    try:
        index.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as failure:
        raise SaveError(
            "the index of jobs must be created",
            received=f"{(failure.strerror or 'refused').lower()!r} for "
            f"{short_repr(str(index))}",
            hint="set KERAS_DREAM_HOME to a folder that takes files",
        ) from failure
    _check(index)
    data = {
        "folder": str(path),
        "command": list(command),
        "directory": str(Path(directory).resolve()),
    }
    text = json.dumps(data)  # ASCII: names of any bytes come back as they were
    write_atomically(_file(path), text.encode())


def entries() -> list[Entry]:
    """Returns the index, in the order of the folders' names.

    Raises:
        OutputError: Others can write to it.
    """
    index = _index()
    if not os.path.lexists(index):
        return []
    _check(index)
    found = [_read(path) for path in index.glob("*.json")]
    return sorted((e for e in found if e is not None), key=lambda e: str(e.folder))


def entry_of(folder: str | os.PathLike[str]) -> Entry | None:
    """Returns the entry of a folder's journal; None if there is none.

    Raises:
        OutputError: Others can write to the index.
    """
    path, index = Path(folder).resolve(), _index()
    if not os.path.lexists(index):
        return None
    _check(index)
    entry = _read(_file(path))
    return entry if entry is not None and entry.folder == path else None


def forget(folder: str | os.PathLike[str]) -> None:
    """Takes a journal out of the index; the journal stays."""
    _file(Path(folder).resolve()).unlink(missing_ok=True)


def _index() -> Path:
    return home() / "jobs"


def _file(folder: Path) -> Path:
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:32]
    return _index() / f"{name}.json"


def _check(index: Path) -> None:
    """Refuses an index from which somebody else's command lines could be run."""
    status = index.lstat()
    fault = "" if stat.S_ISDIR(status.st_mode) else "which is no folder"
    if os.name == "posix" and not fault:
        if status.st_uid != os.geteuid():
            fault = "which is another user's"
        elif status.st_mode & 0o022:
            fault = "which others can write to"
    if fault:
        raise OutputError(
            "the index of jobs must be a folder that only you can write to",
            received=f"{short_repr(str(index))}, {fault}",
            hint="move it away, or take the permission from others",
        )


def _read(path: Path) -> Entry | None:
    """Returns an entry; None for what is none."""
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_BYTES:
            return None
        data = json.loads(path.read_text("utf-8"))
        folder, command, directory = (
            data[name] for name in ("folder", "command", "directory")
        )
        if not all(isinstance(text, str) for text in (folder, directory, *command)):
            return None
        return Entry(Path(folder), tuple(command), Path(directory))
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        return None
