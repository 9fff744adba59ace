"""The weights cache: its locks, and the table of hashes that were computed before.

The table `hashes.json` keeps the hashes of a file beside its stamp: size, times and
inode. A file whose stamp is unchanged is not read again, as in git's index, because
gigabytes take seconds at every start. The table only saves time: where it is missing,
broken or cannot be written, hashes are computed again. `dream weights verify` always
reads the files.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from keras_dream.errors import DreamError
from keras_dream.files import write_atomically
from keras_dream.weights.source import Hashes, home

FILE = "hashes.json"
PATIENCE = 5.0  # seconds to wait for a lock that is held for milliseconds
CHUNK = 1 << 20  # bytes


class _Row(NamedTuple):
    """What the table keeps of a file."""

    stamp: str
    sha256: str
    md5: str


def hashes_of(path: Path, *, fresh: bool = False) -> Hashes:
    """Returns the hashes of a file, from the table if its stamp is unchanged.

    Args:
        path: The file.
        fresh: Read it in any case.

    Raises:
        OSError: If it cannot be read.
    """
    row = None if fresh else recorded(path)
    if row is not None:
        return row
    stamp = stamp_of(path)  # before reading: what is written meanwhile changes it
    hashes = compute_hashes(path)
    _change(path, _Row(stamp, *hashes))
    return hashes


def compute_hashes(path: Path) -> Hashes:
    """Reads a file once and returns its hashes.

    Raises:
        OSError: If it cannot be read.
    """
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            sha256.update(chunk)
            md5.update(chunk)
    return Hashes(sha256.hexdigest(), md5.hexdigest())


def recorded(path: Path) -> Hashes | None:
    """Returns the hashes in the table; None if the file has changed since.

    Raises:
        OSError: If there is no such file.
    """
    row = _table().get(str(path.absolute()))
    if row is None or row.stamp != stamp_of(path):
        return None
    return Hashes(row.sha256, row.md5)


def last_recorded(path: Path) -> Hashes | None:
    """Returns the hashes in the table, even if the file has changed since."""
    row = _table().get(str(path.absolute()))
    return None if row is None else Hashes(row.sha256, row.md5)


def record(path: Path, hashes: Hashes) -> None:
    """Puts the hashes of a file into the table, if the cache can be written to."""
    with contextlib.suppress(OSError):
        _change(path, _Row(stamp_of(path), *hashes))


def forget(path: Path) -> None:
    """Takes a file out of the table, if the cache can be written to."""
    _change(path, None)


def stamp_of(path: Path) -> str:
    """Returns what changes when a file is written to or replaced.

    Raises:
        OSError: If there is no such file.
    """
    status = path.stat()
    # Programs that copy files set the time of the last write back, which sets ctime.
    times = f"{status.st_mtime_ns} {status.st_ctime_ns}"
    return f"{status.st_size} {times} {status.st_ino}"


@contextlib.contextmanager
def locked(
    target: Path,
    *,
    waiting: Callable[[], None] | None = None,
    patience: float | None = None,
) -> Iterator[None]:
    """Holds the lock on a file, which no other process or thread then has.

    Args:
        target: The file; the lock is a hidden file beside it.
        waiting: Called once if another process or thread has it.
        patience: Seconds to wait; None waits until the lock is free.

    Raises:
        TimeoutError: If the lock is not free by then.
        OSError: If the folder takes no files.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(target.with_name(f".{target.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if waiting is not None:
            waiting()
        lock.acquire(timeout=-1 if patience is None else patience)
    try:
        yield
    finally:
        lock.release()


def _table() -> dict[str, _Row]:
    """Returns the table, by absolute path; empty where it cannot be read."""
    try:
        rows = json.loads((home() / FILE).read_text("utf-8")).items()
        return {path: _Row(*map(str, row)) for path, row in rows}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def _change(path: Path, row: _Row | None) -> None:
    """Writes one row of the table; rows of files that no longer exist are left out."""
    with contextlib.suppress(OSError, DreamError):
        home().mkdir(parents=True, exist_ok=True)
        with locked(home() / FILE, patience=PATIENCE):
            # Not Path.exists, which raises for a name that the system refuses.
            table = {p: old for p, old in _table().items() if os.path.exists(p)}  # noqa: PTH110
            table.pop(str(path.absolute()), None)
            if row is not None:
                table[str(path.absolute())] = row
            text = json.dumps(table, indent=1, sort_keys=True)
            write_atomically(home() / FILE, text.encode())
