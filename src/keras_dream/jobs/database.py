"""The SQLite file of a journal: opened with care, and its failures as sentences.

A journal lies among results, so it may come with a folder from anywhere. It is refused
unless its tables are exactly ours: SQLite would run the triggers and views of a forged
one.
"""

import contextlib
import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

from keras_dream.errors import JobsError, SaveError, short_repr

FILE = ".dream-journal.db"
VERSION = 1
"""Of the tables; a journal of a newer version is refused."""

MAX_BYTES = 1 << 30
"""Of a journal: 100,000 items of a few KB each, which is more than a sheet may have."""

_MAX_VALUE = 1 << 24  # bytes of a row; an item's recipe has at most some KB
_APPLICATION = 0x44524D4A  # "DRMJ", by which `file` tells SQLite files apart

_TABLES = {
    "jobs": """CREATE TABLE jobs (
        id INTEGER PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL,
        settings TEXT NOT NULL, UNIQUE (kind, key))""",
    "items": """CREATE TABLE items (
        job INTEGER NOT NULL, number INTEGER NOT NULL, key TEXT NOT NULL,
        name TEXT NOT NULL, input TEXT NOT NULL, input_sha256 TEXT NOT NULL,
        recipe TEXT NOT NULL, recipe_sha256 TEXT NOT NULL, output TEXT NOT NULL,
        state TEXT NOT NULL DEFAULT 'waiting', attempts INTEGER NOT NULL DEFAULT 0,
        error TEXT NOT NULL DEFAULT '', output_sha256 TEXT NOT NULL DEFAULT '',
        step INTEGER NOT NULL DEFAULT 0, steps INTEGER NOT NULL DEFAULT 0,
        intended_sha256 TEXT NOT NULL DEFAULT '',
        input_stamp TEXT NOT NULL DEFAULT '', output_stamp TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (job, number), UNIQUE (job, key))""",
    "writer": """CREATE TABLE writer (
        id INTEGER PRIMARY KEY CHECK (id = 1), pid INTEGER NOT NULL,
        host TEXT NOT NULL, command TEXT NOT NULL)""",
}

# The last bytes of a rollback journal that names a further file, from SQLite's
# "Database File Format", section 3. SQLite may delete that file; we never write one.
_SUPER_JOURNAL = bytes.fromhex("d9d505f920a163d7")

_NO_ROOM = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY,
            sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)  # fmt: skip


def create_or_open(folder: Path) -> sqlite3.Connection:
    """Opens the journal of a folder for writing; a new one is made where none is.

    Args:
        folder: An existing folder, of which this process has the lock.

    Raises:
        JobsError: The file is damaged, forged, or of a newer version. It is kept.
        SaveError: The disk refuses.
    """
    path = folder / FILE
    with sentences(path):
        _check_files(path)
        # Threads of a batch take turns: `Journal` has a lock.
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        with _closed_on_failure(db):
            _distrust(db)
            if not db.execute("PRAGMA page_count").fetchone()[0]:
                _create(db)
            _check(db, path)
            # Network file systems lack the shared memory that WAL needs, and say so by
            # an error or by keeping the mode.
            with contextlib.suppress(sqlite3.OperationalError):
                db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
        return db


def open_read_only(folder: Path) -> sqlite3.Connection | None:
    """Opens the journal of a folder for reading; None where there is none.

    Nothing is written where no other process writes the journal.

    Args:
        folder: The folder.

    Raises:
        JobsError: The file is damaged, forged, of a newer version, or cannot be read.
    """
    path = folder.absolute() / FILE
    with sentences(path, reading=True):
        _check_files(path)
        if not path.exists() or not path.stat().st_size:
            return None
        # Without a log of unfinished changes the file is all there is, and SQLite need
        # not create its shared memory beside it.
        logs = [path.with_name(FILE + end) for end in ("-wal", "-journal")]
        rest = any(log.exists() and log.stat().st_size for log in logs)
        flag = "mode=ro" if rest else "mode=ro&immutable=1"
        db = sqlite3.connect(f"{path.as_uri()}?{flag}", uri=True, isolation_level=None)
        with _closed_on_failure(db):
            _distrust(db)
            _check(db, path)
        return db


@contextlib.contextmanager
def sentences(path: Path, *, reading: bool = False) -> Iterator[None]:
    """Turns what SQLite and the system report into our errors.

    Args:
        path: The journal's file, for the message.
        reading: Whether it is only read.
    """
    try:
        yield
    except sqlite3.Error as failure:
        code = getattr(failure, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        reason = f"{str(failure)!r} for {short_repr(str(path))}"
        if code in _NO_ROOM and reading:
            raise _unreadable(reason) from failure
        if code in _NO_ROOM:
            raise SaveError(
                "the disk must take the journal of the results",
                received=reason,
                hint="free some space, check the permissions, or try another folder; "
                "what is done is kept",
            ) from failure
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise JobsError(
                "a journal must not be in use by another program",
                received=reason,
                hint="try again when that program has ended",
            ) from failure
        raise _refused(path, str(failure)) from failure
    except UnicodeDecodeError as failure:  # of SQLite's message, with bytes of the file
        raise _refused(path, "it is damaged") from failure
    except OSError as failure:
        reason = (failure.strerror or "refused").lower()
        reason = f"{reason!r} for {short_repr(str(path))}"
        if reading:
            raise _unreadable(reason) from failure
        raise SaveError(
            "the disk must take the journal of the results",
            received=reason,
            hint="check the permissions, or try another folder",
        ) from failure


def _unreadable(reason: str) -> JobsError:
    """Returns the sentence for a journal that cannot be read without writing to it."""
    return JobsError(
        "a journal must be readable",
        received=reason,
        hint="check the permissions; if its last writer was killed, the next run of "
        "its job puts it in order",
    )


def _refused(path: Path, reason: str) -> JobsError:
    """Returns the sentence for a file that is no journal of ours."""
    return JobsError(
        "a journal must be a whole SQLite file that keras-dream wrote",
        received=f"{short_repr(str(path))} ({reason})",
        hint="move it away to begin anew; the results beside it stay",
    )


@contextlib.contextmanager
def _closed_on_failure(db: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        db.close()
        raise


def _check_files(path: Path) -> None:
    """Refuses links, pipes, and files too large, before SQLite opens them."""
    for end in ("", "-wal", "-shm", "-journal"):
        file = path.with_name(path.name + end)
        try:
            status = file.lstat()
        except FileNotFoundError:
            continue
        if not stat.S_ISREG(status.st_mode):
            raise _refused(file, "no ordinary file")
        if status.st_size > MAX_BYTES:
            raise _refused(file, f"more than {MAX_BYTES:,} bytes")
        if end == "-journal" and status.st_size >= len(_SUPER_JOURNAL):
            with file.open("rb") as log:
                log.seek(-len(_SUPER_JOURNAL), os.SEEK_END)
                if log.read() == _SUPER_JOURNAL:
                    raise _refused(file, "it names a further file")


def _distrust(db: sqlite3.Connection) -> None:
    """Forbids what a forged file could make SQLite do."""
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_VALUE)
    db.execute("PRAGMA trusted_schema = OFF")
    db.execute("PRAGMA cell_size_check = ON")


def _create(db: sqlite3.Connection) -> None:
    """Makes the tables in a new file, all or none."""
    db.execute("BEGIN IMMEDIATE")
    for table in _TABLES.values():
        db.execute(table)
    db.execute(f"PRAGMA application_id = {_APPLICATION}")
    db.execute(f"PRAGMA user_version = {VERSION}")
    db.execute("COMMIT")


def _check(db: sqlite3.Connection, path: Path) -> None:
    """Refuses a file that is damaged, newer, or has other tables than ours."""
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if application == _APPLICATION and version > VERSION:
        raise JobsError(
            f"a journal must be of version {VERSION} or older",
            received=f"{short_repr(str(path))}, of version {version}",
            hint="update keras-dream, or try another folder",
        )
    rows = db.execute(
        "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name"
    )
    tables = [("table", name, sql) for name, sql in sorted(_TABLES.items())]
    if application != _APPLICATION or rows.fetchmany(99) != tables:
        raise _refused(path, "it has other tables")
    (report,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if report != "ok":
        raise _refused(path, report.partition("\n")[0])
