"""The weights cache: its folder, its locks, and the table of hashes that were computed.

The table `hashes.json` keeps the hashes of a file beside its stamp: size, times, inode
and device. A file of up to `CHEAP` bytes is hashed at every load. A larger one takes
seconds at every start, and is not read again as long as its stamp is unchanged, as in
git's index; a stamp that could be that of another content does not count (`stamp_of`).
The table only saves time: where it is missing, broken or cannot be written, hashes are
computed again. `dream weights verify` always reads the files.

Whoever can write into the cache decides on what is loaded and, by links, on what is
overwritten. So the cache is made for its user alone, and one that others can write to
is refused; one that is shared to be read only is not.
"""

import contextlib
import errno
import hashlib
import io
import json
import logging
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from keras_dream.errors import DreamError, OutputError, short_repr
from keras_dream.files import stamp_of, write_atomically
from keras_dream.weights.source import Hashes, home

_log = logging.getLogger(__name__)

FILE = "hashes.json"
LARGEST_TABLE = 1 << 24  # bytes; a row has about 300
PATIENCE = 5.0  # seconds to wait for a lock that is held for milliseconds
CHUNK = 1 << 20  # bytes
CHEAP = 128 << 20  # bytes; sha256 takes 0.1 s for them, or 0.4 s without the SHA set


Opened = io.BufferedReader | io.BufferedRandom


class _Row(NamedTuple):
    """What the table keeps of a file; the stamp is "" where it would prove nothing."""

    stamp: str
    sha256: str
    md5: str


# -- the folder ------------------------------------------------------------------------
def make_home() -> None:
    """Creates the cache for its user alone, where there is none.

    Raises:
        OSError: If the system refuses.
    """
    home().mkdir(mode=0o700, parents=True, exist_ok=True)


def check_home() -> None:
    """Makes sure that nobody else can write into the cache.

    Raises:
        OutputError: If others can.
    """
    others = writers(home())
    if others:
        folder = short_repr(str(home()))
        raise OutputError(
            "The weights cache must be a folder that only its owner can write to",
            received=f"{folder}, which {others} can write to",
            hint="run chmod go-w for it, or set KERAS_DREAM_HOME to another folder; "
            "weights that are shared are read from KERAS_DREAM_WEIGHTS",
        )


def writers(folder: Path) -> str:
    """Returns who else than its owner can write into a folder, "" for nobody."""
    try:
        status = folder.stat()
    except OSError:
        return ""
    if os.name != "posix":  # where permissions are lists, and folders their user's
        return ""
    if status.st_mode & stat.S_IWOTH:
        return "everyone"
    shared = status.st_mode & stat.S_IWGRP and not _is_own_group(status.st_gid)
    return "its group" if shared else ""


def _is_own_group(number: int) -> bool:
    """Tells whether a group is a user's alone: it has the user's name, as pam_umask."""
    import grp
    import pwd

    try:
        return grp.getgrgid(number).gr_name == pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return False


# -- files in it -----------------------------------------------------------------------
def open_regular(path: Path, *, write: bool = False, links: bool = True) -> Opened:
    """Opens a regular file; pipes and devices are errors, and nothing is waited for.

    Args:
        path: The file.
        write: Whether it is written to, too.
        links: Whether a link is followed, and a file may have a second name.

    Raises:
        OSError: If it is not such a file.
    """
    flags = os.O_RDWR if write else os.O_RDONLY
    for name in ("O_NONBLOCK", "O_BINARY", *(() if links else ("O_NOFOLLOW",))):
        flags |= getattr(os, name, 0)
    handle = os.open(path, flags)
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or not (links or status.st_nlink == 1):
            raise OSError(errno.EINVAL, "Not a regular file", str(path))
        return os.fdopen(handle, "rb+") if write else os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


# -- hashes ----------------------------------------------------------------------------
def hashes_of(path: Path, *, fresh: bool = False) -> Hashes:
    """Returns the hashes of a file, vouched for by all of its stamp or computed.

    Args:
        path: The file.
        fresh: Read it in any case.

    Raises:
        OSError: If it cannot be read.
    """
    row = None if fresh else recorded(path)
    if row is not None:
        _log.debug("sha256 of %s as recorded: its stamp is unchanged", path)
        return row
    _log.debug("Reading %s for its sha256", path)
    stamp = stamp_of(path)  # before reading: what is written meanwhile changes it
    hashes = compute_hashes(path)
    _change(path, _Row(stamp, *hashes))
    return hashes


def recorded(path: Path) -> Hashes | None:
    """Returns the hashes in the table; None if the file does not have them any more.

    Raises:
        OSError: If it cannot be read.
    """
    stamp, row = stamp_of(path), _table().get(_key(path))
    if row is None:
        return None
    if path.stat().st_size <= CHEAP or not stamp or row.stamp != stamp:
        # One hash is enough to know a content again.
        if _digest(path, "sha256") != row.sha256:
            return None
        if row.stamp != stamp:
            _change(path, row._replace(stamp=stamp))
    return Hashes(row.sha256, row.md5)


def compute_hashes(path: Path) -> Hashes:
    """Reads a file and returns its hashes.

    Raises:
        OSError: If it cannot be read.
    """
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with open_regular(path) as file:
        while chunk := file.read(CHUNK):
            sha256.update(chunk)
            md5.update(chunk)
    return Hashes(sha256.hexdigest(), md5.hexdigest())


def _digest(path: Path, kind: str) -> str:
    with open_regular(path) as file:
        return hashlib.file_digest(file, kind).hexdigest()


def last_recorded(path: Path) -> Hashes | None:
    """Returns the hashes in the table, even if the file has changed since."""
    row = _table().get(_key(path))
    return None if row is None else Hashes(row.sha256, row.md5)


def record(path: Path, hashes: Hashes) -> None:
    """Puts the hashes of a file into the table, if the cache can be written to."""
    with contextlib.suppress(OSError):
        _change(path, _Row(stamp_of(path), *hashes))


def forget(path: Path) -> None:
    """Takes a file out of the table, if the cache can be written to."""
    _change(path, None)


def _key(path: Path) -> str:
    return str(path.absolute())


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
        OutputError: If others can write into the cache.
    """
    from filelock import FileLock, Timeout

    check_home()
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
    """Returns the table, by absolute path; empty where it cannot be read or trusted."""
    try:
        if writers(home()):
            return {}
        with open_regular(home() / FILE) as file:
            rows = json.loads(file.read(LARGEST_TABLE)).items()
        return {path: _Row(*map(str, row)) for path, row in rows}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def _change(path: Path, row: _Row | None) -> None:
    """Writes one row of the table; rows of files that no longer exist are left out."""
    with contextlib.suppress(OSError, DreamError):
        make_home()
        with locked(home() / FILE, patience=PATIENCE):
            # Not Path.exists, which raises for a name that the system refuses.
            table = {p: old for p, old in _table().items() if os.path.exists(p)}  # noqa: PTH110
            table.pop(_key(path), None)
            if row is not None:
                table[_key(path)] = row
            text = json.dumps(table, indent=1, sort_keys=True)
            write_atomically(home() / FILE, text.encode())
