"""The journal of a folder of results: jobs, their items, and what became of them.

An item is done in five steps: its bytes are written to a hidden file in the folder of
its output and synchronized; the journal notes their sha256 (the intent); the file gets
its name; the folder is synchronized; the journal notes that the item is done. Wherever
a process ends between two of them, `Journal.reconcile` can tell from the journal and
the disk what has happened. No order depends on a clock.

A journal is data, not trust: it may come with a folder from anywhere. Its outputs stay
in that folder, and nothing in it is ever run.
"""

import contextlib
import errno
import json
import logging
import os
import shlex
import socket
import sqlite3
import stat
import sys
import threading
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from keras_dream.errors import JobsError, SaveError, short_repr
from keras_dream.files import Staged, remove_leftovers, sha256_file, stamp_of
from keras_dream.jobs.database import FILE, create_or_open, open_read_only, sentences
from keras_dream.names import inside, plain_name

_log = logging.getLogger(__name__)

LOCK = ".dream-journal.lock"

MAX_ITEMS = 250_000
"""Of a job: more than a sheet may have, and less than memory can hold."""

_MOST_JOBS = 10_000  # of a journal that are read
_MOST = 2**40  # of items, attempts and steps; SQLite's numbers end at 2**63
_PATIENCE = 0.3  # seconds: `writer_of` holds the lock for much less
_STEP_SECONDS = 1.0  # between two notes of where an item is


class State(StrEnum):
    """What has become of an item.

    `AMBIGUOUS` is an item whose output is a file that its job did not write, or that
    has changed since: it is kept, and the item is not done again while it is there.
    """

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    AMBIGUOUS = "ambiguous"


@dataclass(frozen=True)
class NewItem:
    """A unit of work, before a journal has it.

    Attributes:
        key: What decides its result, such as a hash; unique in its job.
        name: What people call it.
        input: What it is made of, such as a photo's path; "" for nothing.
        input_sha256: Of that, in hexadecimal, or "".
        recipe: How it is made, as JSON, or "".
        recipe_sha256: Of the recipe, or "".
        output: Its file, relative to the journal's folder, with "/"; "" for none.
    """

    key: str
    name: str
    input: str = ""
    input_sha256: str = ""
    recipe: str = ""
    recipe_sha256: str = ""
    output: str = ""


@dataclass(frozen=True)
class Item(NewItem):
    """A unit of work in a journal.

    Attributes:
        number: Its place in its job, from 1, which is the order of work.
        state: What has become of it.
        attempts: How often it was begun.
        error: Why it failed, was skipped, or is ambiguous; "" otherwise.
        output_sha256: Of the file that the job wrote last; "" before.
        step: The step that it has reached, if anybody has said so.
        steps: How many it has, or 0.
        intended_sha256: Of the file that is about to get its name, or "".
        input_stamp: As `stamp_of` has it, when the input was found to have its sha256,
            or as `look_of` has it, when the item failed; "" before.
        output_stamp: The same of the output.
    """

    number: int = 0
    state: State = State.WAITING
    attempts: int = 0
    error: str = ""
    output_sha256: str = ""
    step: int = 0
    steps: int = 0
    intended_sha256: str = ""
    input_stamp: str = ""
    output_stamp: str = ""


_NEW = tuple(NewItem.__dataclass_fields__)
_COLUMNS = tuple(Item.__dataclass_fields__)
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM items WHERE job = ?"


@dataclass(frozen=True)
class Job:
    """A job in a journal.

    Attributes:
        id: Its number in the journal.
        kind: What it is, such as "batch".
        key: What decides it, such as a hash.
        settings: JSON, as recorded when it was new.
        is_new: Whether it was not in the journal before.
    """

    id: int
    kind: str
    key: str
    settings: Mapping[str, Any]
    is_new: bool = False


class Journal:
    """The journal of a folder of results, open for writing one of its jobs.

    Use `Journal.open`, as a context manager. Threads may share it.

    Attributes:
        folder: The folder, absolute.
        job: The job.
    """

    def __init__(self, folder: Path, job: Job, db: sqlite3.Connection, lock: Any):
        self.folder = folder
        self.job = job
        self._db = db
        self._lock = lock
        self._guard = threading.RLock()
        self._noted = -_STEP_SECONDS
        # A commit without synchronization is lost in a power cut, and with a log
        # (WAL) that is all.
        (mode,) = db.execute("PRAGMA journal_mode").fetchone()
        self._quick = "NORMAL" if mode == "wal" else "FULL"

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike[str],
        *,
        kind: str,
        key: str,
        settings: Mapping[str, Any] | None = None,
    ) -> "Journal":
        """Opens a folder's journal for a job: a new one, or the one of that key.

        Args:
            folder: An existing folder.
            kind: What the job is, such as "batch".
            key: What decides it, such as a hash.
            settings: JSON types, which are recorded where the job is new.

        Raises:
            JobsError: Another process writes the journal, or its file is damaged,
                forged or of a newer version; it is kept.
            SaveError: The folder does not take it.
        """
        path = Path(folder).absolute()
        if ".." in path.parts:  # which behind a link is not the folder before
            path = path.resolve()
        lock = _lock(path)
        db = None
        try:
            with sentences(path / FILE):
                db = create_or_open(path)
                _sign(db)
                job = _find_or_add(db, kind, key, settings or {})
        except BaseException:
            if db is not None:
                db.close()
            lock.release()
            raise
        return cls(path, job, db, lock)

    def close(self) -> None:
        """Ends the writing; another process may go on."""
        with self._guard, contextlib.ExitStack() as stack:
            stack.callback(self._lock.release)
            stack.callback(self._db.close)
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("DELETE FROM writer")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def add(self, items: Iterable[NewItem]) -> list[Item]:
        """Adds items after those that are there; those of a known key stay as they are.

        Args:
            items: The items in the order of work.

        Returns:
            The items as they are in the journal, in the same order.

        Raises:
            JobsError: They are too many, or an output is not in the folder.
            SaveError: The disk refuses.
        """
        items = list(items)
        here = {item.key: item for item in self.items()}
        last = max((item.number for item in here.values()), default=0)
        rows: list[Item] = []
        for new in items:
            if new.key not in here:
                last += 1
                values: dict[str, Any]
                values: dict[str, Any] = {
                    name: _in_utf8(getattr(new, name)) for name in _NEW
                }
                if new.output:
                    self.path(new)
                here[new.key] = Item(**values, number=last)
                rows.append(here[new.key])
        _check_count(len(here))
        columns = ("job", *_NEW, "number")
        marks = ", ".join("?" * len(columns))
        insert = f"INSERT INTO items ({', '.join(columns)}) VALUES ({marks})"
        with self._change() as db:
            db.executemany(
                insert,
                [(self.job.id, *(getattr(r, c) for c in columns[1:])) for r in rows],
            )
        return [here[new.key] for new in items]

    def forget(self, items: Iterable[Item]) -> None:
        """Takes items out of the job; their files stay."""
        rows = [(self.job.id, item.number) for item in items]
        with self._change() as db:
            db.executemany("DELETE FROM items WHERE job = ? AND number = ?", rows)

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Makes all changes inside or none, and synchronizes them once."""
        with self._change():
            yield

    def items(self, *states: State) -> list[Item]:
        """Returns the job's items in the order of work.

        Args:
            *states: Only those of these states; without any, all.

        Raises:
            JobsError: The journal is damaged or forged.
        """
        with self._guard, sentences(self.folder / FILE):
            items = _items(self._db, self.job.id, self.folder)
        return [item for item in items if not states or item.state in states]

    def item(self, key: str) -> Item:
        """Returns an item by its key.

        Raises:
            KeyError: There is none.
        """
        with self._guard, sentences(self.folder / FILE):
            row = self._db.execute(
                f"{_SELECT} AND key = ?", (self.job.id, key)
            ).fetchone()
        if row is None:
            raise KeyError(key)
        return _item(row, self.folder)

    def path(self, item: NewItem) -> Path:
        """Returns the whole path of an item's output."""
        return _inside(self.folder, item.output)

    def start(self, item: Item) -> Item:
        """Notes that an item is begun, and counts the attempt."""
        return self._set(
            item,
            synchronous=False,
            state=State.RUNNING,
            attempts=item.attempts + 1,
            error="",
            step=0,
            intended_sha256="",
        )

    def step(self, item: Item, step: int, steps: int) -> None:
        """Notes where an item is, at most once a second, without synchronizing.

        Args:
            item: A running item.
            step: The step that it has reached, from 1.
            steps: How many it has.
        """
        now = time.monotonic()
        if now - self._noted >= _STEP_SECONDS:
            self._noted = now
            self._set(item, synchronous=False, step=step, steps=steps)

    def pause(self, item: Item, step: int, steps: int) -> Item:
        """Lets a running item wait, and notes where it is.

        Args:
            item: The item.
            step: The step that it has reached; 0 for none.
            steps: How many it has.
        """
        return self._set(item, state=State.WAITING, step=step, steps=steps)

    def accept(self, item: Item) -> Item:
        """Lets an item be done whose file may be replaced, whoever wrote it."""
        sha256 = _sha256(self.path(item))
        return self._set(
            item,
            state=State.WAITING,
            error="",
            output_sha256=sha256,
            output_stamp="",
        )

    def save(
        self, item: Item, staged: Staged, *, input_sha256: str | None = None
    ) -> Item:
        """Gives an item's file its name, so that the item is done.

        A file of that name that the job did not write, or that has changed since, is
        kept: the item is then ambiguous, and the staged bytes are discarded.

        Args:
            item: The item.
            staged: The bytes of its output, staged as `path(item)`.
            input_sha256: Of what it was made of, where that was not known before.

        Returns:
            The item, done or ambiguous.

        Raises:
            SaveError: The disk refuses; the item is still running.
        """
        path = self.path(item)
        if _real(staged.path) != _real(path):
            raise ValueError(f"staged as {staged.path}, not as {path}")
        there = _sha256(path)
        if there not in ("", item.output_sha256, staged.sha256):
            staged.discard()
            return self._ambiguous(item, there)
        if input_sha256 is None:
            input_sha256 = item.input_sha256
        try:
            item = self._set(
                item,
                state=State.RUNNING,
                input_sha256=input_sha256,
                input_stamp="",
                intended_sha256=staged.sha256,
            )
        except BaseException:
            staged.discard()
            raise
        staged.commit()
        return self._done(item, staged.sha256)

    def done(self, item: Item) -> Item:
        """Notes that an item is done whose file, if it has one, is there already.

        Raises:
            SaveError: Its file is missing.
        """
        sha256 = _sha256(self.path(item)) if item.output else ""
        if item.output and not _is_hash(sha256):
            raise SaveError(
                "the file of an item that is done must be there",
                received=short_repr(str(self.path(item))),
            )
        return self._done(item, sha256, synchronous=True)

    def fail(self, item: Item, error: str, *, look: str = "") -> Item:
        """Notes that an item failed.

        Args:
            item: The item.
            error: Why, in one sentence.
            look: How its input looked then, as `look_of` has it, or "".
        """
        return self._set(item, state=State.FAILED, error=error, input_stamp=look)

    def skip(self, item: Item, reason: str) -> Item:
        """Notes that an item is left out.

        Args:
            item: The item.
            reason: Why, in one sentence.
        """
        return self._set(item, state=State.SKIPPED, error=reason)

    def reset(self, items: Iterable[Item]) -> list[Item]:
        """Lets items be done again; a file of the job's stays until it is replaced."""
        with self.at_once():
            return [self._set(i, state=State.WAITING, error="", step=0) for i in items]

    def move(self, item: Item, output: str) -> Item:
        """Gives an item another output and lets it be done again.

        Args:
            item: The item.
            output: The new file, relative to the folder; the old one is kept and is
                no more the item's.
        """
        _inside(self.folder, output)
        return self._set(
            item,
            state=State.WAITING,
            error="",
            output=output,
            output_sha256="",
            output_stamp="",
        )

    def has_input(self, item: Item, path: Path) -> bool:
        """Tells whether a file is the input that an item was made of.

        Raises:
            OSError: The file cannot be read.
        """
        stamp = stamp_of(path)  # before reading: what is written meanwhile changes it
        if stamp and stamp == item.input_stamp:
            return True
        is_same = sha256_file(path) == item.input_sha256
        if is_same and stamp:
            self._set(item, input_stamp=stamp)
        return is_same

    def reconcile(self) -> tuple[str, ...]:
        """Makes the states agree with the disk, after whatever ended the last run.

        - Running or waiting, and the intended file has its name: done.
        - Running, and it has not: waiting.
        - Done, and the file is gone: waiting.
        - Done, and the file has other bytes, or waiting or running, and there is a
          file that the job did not write: ambiguous. It is kept and told. The item
          waits again when the file is gone.

        A file is read again only if its stamp is not that of the last time. Temporary
        files of processes that are gone are removed.

        Returns:
            A sentence for each ambiguous item.

        Raises:
            JobsError: The journal is damaged or forged.
            SaveError: The disk refuses.
        """
        told: list[str] = []
        items = self.items()
        for folder in {self.path(item).parent for item in items}:
            remove_leftovers(folder)
        with self.at_once():
            for item in items:
                if item.state in (State.FAILED, State.SKIPPED):
                    continue
                now = self._reconciled(item)
                if now.state is not item.state:
                    _log.info("%s was %s and is %s", item.name, item.state, now.state)
                if now.state is State.AMBIGUOUS:
                    told.append(now.error)
        return tuple(told)

    def _reconciled(self, item: Item) -> Item:
        """Returns an item whose state agrees with the disk."""
        if not item.output:
            waits = item.state is State.RUNNING
            return self._set(item, state=State.WAITING) if waits else item
        path = self.path(item)
        stamp = _stamp(path)
        if stamp and (item.state, item.output_stamp) == (State.DONE, stamp):
            return item
        there = _sha256(path)
        if not there:
            waits = item.state is not State.WAITING
            return self._waiting(item) if waits else item
        # Also where a signal came after the name, and the item was told to wait.
        if there == item.intended_sha256:
            return self._done(item, there)
        if there == item.output_sha256:  # of the job's, whole, and perhaps older
            if item.state is State.RUNNING:
                return self._waiting(item)
            if item.state is State.AMBIGUOUS:
                item = self._done(item, there)
            is_done = stamp and item.state is State.DONE
            return self._set(item, output_stamp=stamp) if is_done else item
        return self._ambiguous(item, there)

    def _waiting(self, item: Item) -> Item:
        return self._set(item, state=State.WAITING, error="", intended_sha256="")

    def _done(self, item: Item, sha256: str, *, synchronous: bool = False) -> Item:
        # After `save` the intent is on the disk, from which `reconcile` finds out again
        # what is lost here.
        return self._set(
            item,
            synchronous=synchronous,
            state=State.DONE,
            error="",
            output_sha256=sha256,
            output_stamp="",
            step=item.steps,
            intended_sha256="",
        )

    def _ambiguous(self, item: Item, there: str) -> Item:
        """Returns an item whose file is not the job's."""
        what = "is a file that this job did not write"
        if not _is_hash(there):
            what = f"is {there}"
        elif item.output_sha256:
            what = "has changed since this job wrote it"
        elif self._is_of_another(item, there):
            what = "is a result of this journal, made with other settings"
        error = (
            f"{short_repr(item.output, limit=300)} {what}; it is kept, and moving it "
            "away lets it be made again."
        )
        return self._set(item, state=State.AMBIGUOUS, error=error, intended_sha256="")

    def _is_of_another(self, item: Item, sha256: str) -> bool:
        """Tells whether another item of the journal wrote the file that is there."""
        with self._guard, sentences(self.folder / FILE):
            row = self._db.execute(
                "SELECT 1 FROM items WHERE output = ? AND output_sha256 = ? "
                "AND NOT (job = ? AND number = ?)",
                (item.output, sha256, self.job.id, item.number),
            ).fetchone()
        return row is not None

    def _set(self, item: Item, *, synchronous: bool = True, **values: Any) -> Item:
        """Changes fields of an item, in the journal and in the returned value."""
        changes = ", ".join(f"{name} = ?" for name in values)
        update = f"UPDATE items SET {changes} WHERE job = ? AND number = ?"
        with self._change(synchronous=synchronous) as db:
            db.execute(update, (*values.values(), self.job.id, item.number))
        return replace(item, **values)

    @contextlib.contextmanager
    def _change(self, *, synchronous: bool = True) -> Iterator[sqlite3.Connection]:
        """Yields the connection in a transaction, by default on the disk afterwards.

        One inside another is a part of it.
        """
        with self._guard, sentences(self.folder / FILE):
            if self._db.in_transaction:
                yield self._db
                return
            if not synchronous:
                self._db.execute(f"PRAGMA synchronous = {self._quick}")
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            finally:
                if not synchronous:
                    self._db.execute("PRAGMA synchronous = FULL")


def read_journal(folder: str | os.PathLike[str]) -> list[tuple[Job, list[Item]]]:
    """Returns the jobs of a folder's journal with their items; none without one.

    Nothing is written, and a process that writes the journal is not disturbed.

    Args:
        folder: The folder.

    Raises:
        JobsError: The journal is damaged, forged, of a newer version, or cannot be
            read.
    """
    path = Path(folder)
    db = open_read_only(path)
    if db is None:
        return []
    with contextlib.closing(db), sentences(path / FILE, reading=True):
        rows = db.execute("SELECT id, kind, key, settings FROM jobs ORDER BY id")
        jobs = [_job(row, path) for row in rows.fetchmany(_MOST_JOBS)]
        return [(job, _items(db, job.id, path)) for job in jobs]


def is_journal(folder: str | os.PathLike[str]) -> bool:
    """Tells whether a folder has a journal."""
    return os.path.lexists(Path(folder) / FILE)


def writer_of(folder: str | os.PathLike[str]) -> str:
    """Returns which process writes a folder's journal, in words; "" for none.

    Args:
        folder: The folder.
    """
    path = Path(folder)
    if not _holder(path):
        return ""
    try:
        _lock(path).release()
    except JobsError:
        return _holder(path)
    except SaveError:
        pass
    return ""


def remove_journal(folder: str | os.PathLike[str]) -> None:
    """Removes the journal of a folder; results stay.

    Args:
        folder: The folder.

    Raises:
        JobsError: Another process writes it.
        SaveError: It cannot be removed.
    """
    path = Path(folder).absolute()
    lock = _lock(path)
    try:
        with sentences(path / FILE):
            for end in ("-shm", "-wal", "-journal", ""):
                (path / f"{FILE}{end}").unlink(missing_ok=True)
    finally:
        lock.release()
    with contextlib.suppress(OSError):
        (path / LOCK).unlink(missing_ok=True)


def _lock(folder: Path) -> Any:
    """Returns the lock of a folder's journal, held by this process.

    Raises:
        JobsError: Another process has it, or it is no ordinary file.
        SaveError: The folder does not take it.
    """
    from filelock import FileLock, Timeout

    path = folder / LOCK
    lock = FileLock(path, thread_local=False)  # any thread may close the journal
    with sentences(folder / FILE):
        folder.stat()  # filelock would make it
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise JobsError(
                "the lock of a journal must be an ordinary file",
                received=short_repr(str(path)),
                hint="move it away",
            )
        try:
            with warnings.catch_warnings():
                # Where a disk has no locks, filelock warns, or raises if it is old.
                warnings.simplefilter("ignore")
                lock.acquire(timeout=_PATIENCE)
        except NotImplementedError as failure:
            raise OSError(errno.ENOSYS, "no locks on this disk") from failure
        except Timeout:
            who = f"{_holder(folder) or 'another process'} writes"
            hint = "wait until it ends, or try another folder"
            if (_signed(folder) or ())[:2] == (os.getpid(), socket.gethostname()):
                who = "this program has open"
                hint = "use `with ... as run`, or run.close()"
            raise JobsError(
                "a journal must have one writer at a time",
                received=f"{short_repr(str(folder / FILE))}, which {who}",
                hint=hint,
            ) from None
    return lock


def _sign(db: sqlite3.Connection) -> None:
    """Notes who writes, for the second who wants to."""
    command = _in_utf8(shlex.join(sys.argv))
    db.execute(
        "INSERT OR REPLACE INTO writer VALUES (1, ?, ?, ?)",
        (os.getpid(), socket.gethostname(), command[:500]),
    )


def _in_utf8(text: str) -> str:
    """Returns text as SQLite takes it: bytes of a name that are not UTF-8 as escapes.

    An output with such bytes is refused.
    """
    return text.encode("utf-8", "backslashreplace").decode()


def _signed(folder: Path) -> tuple[int, str, str] | None:
    """Returns the pid, host and command that signed last and have not ended."""
    with contextlib.suppress(JobsError, SaveError, sqlite3.Error, ValueError):
        db = open_read_only(folder)
        if db is not None:
            with contextlib.closing(db):
                row = db.execute("SELECT pid, host, command FROM writer").fetchone()
            if row is not None:
                pid, host, command = row
                return int(pid), host, command
    return None


def _holder(folder: Path) -> str:
    """Returns who has signed last and not ended, in words; "" for nobody."""
    signed = _signed(folder)
    if signed is None:
        return ""
    pid, host, command = signed
    return f"process {pid} on {short_repr(host)} ({short_repr(command)})"


def _find_or_add(
    db: sqlite3.Connection, kind: str, key: str, settings: Mapping[str, Any]
) -> Job:
    """Returns the job of a key, a new one if there is none."""
    inserted = db.execute(
        "INSERT OR IGNORE INTO jobs (kind, key, settings) VALUES (?, ?, ?)",
        (kind, key, json.dumps(settings, sort_keys=True)),
    )
    row = db.execute(
        "SELECT id, kind, key, settings FROM jobs WHERE kind = ? AND key = ?",
        (kind, key),
    ).fetchone()
    return replace(_job(row, Path(FILE)), is_new=inserted.rowcount == 1)


def _job(row: Sequence[Any], folder: Path) -> Job:
    """Returns a job from a row, which may be forged."""
    try:
        number, kind, key, text = row
        settings = json.loads(text)
        if not isinstance(settings, dict):
            raise TypeError("settings")
        return Job(int(number), str(kind), str(key), settings)
    except (TypeError, ValueError, RecursionError):
        raise _forged(folder) from None


def _items(db: sqlite3.Connection, job: int, folder: Path) -> list[Item]:
    rows = db.execute(f"{_SELECT} ORDER BY number LIMIT ?", (job, MAX_ITEMS + 1))
    items = [_item(row, folder) for row in rows]
    _check_count(len(items))
    return items


def _check_count(count: int) -> None:
    if count > MAX_ITEMS:
        raise JobsError(
            f"a job must have at most {MAX_ITEMS:,} items",
            received="more",
            hint="divide it, with a folder for each part",
        )


def _item(row: Sequence[Any], folder: Path) -> Item:
    """Returns an item from a row, which may be forged."""
    item = Item(*row)
    for name, value in vars(item).items():
        if name in ("number", "attempts", "step", "steps"):
            fits = isinstance(value, int) and 0 <= value <= _MOST
        else:
            fits = isinstance(value, str)
        if not fits:
            raise _forged(folder)
    if item.state not in list(State):
        raise _forged(folder)
    if item.output:
        _inside(folder, item.output)
    return replace(item, state=State(item.state))


def _forged(folder: Path) -> JobsError:
    return JobsError(
        "a journal must have the values that keras-dream writes",
        received=f"others in {short_repr(str(folder / FILE))}",
        hint="move it away to begin anew; the results beside it stay",
    )


def _inside(folder: Path, output: str) -> Path:
    """Returns the path of an output, which must lie in the folder; it may be a link."""
    what = "an output in a journal"
    hint = "put a folder in the place of a link, or move the journal away"
    parent, slash, name = output.rpartition("/")
    if slash:
        folder = inside(folder, parent, what, error=JobsError, hint=hint)
    return folder / plain_name(name, what, error=JobsError, hint=hint)


def _sha256(path: Path) -> str:
    """Returns the sha256 of a file, "" for none, and words for what is no file."""
    try:
        mode = path.lstat().st_mode
        if not stat.S_ISREG(mode):
            return "no ordinary file"
        return sha256_file(path)
    except FileNotFoundError:
        return ""
    except OSError as failure:
        return f"not readable ({(failure.strerror or 'refused').lower()})"


def _real(path: Path) -> Path:
    """Returns a path without links but the last, which a result replaces."""
    return path.parent.resolve() / path.name


def look_of(path: str | os.PathLike[str]) -> str:
    """Returns the size and the time of a file, such as one that fails; "" for none."""
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return ""
    return f"{status.st_size} {status.st_mtime_ns}"


def _stamp(path: Path) -> str:
    """Returns the stamp of a regular file; "" for anything else."""
    with contextlib.suppress(OSError):
        if stat.S_ISREG(path.lstat().st_mode):
            return stamp_of(path)
    return ""


def _is_hash(text: str) -> bool:
    return len(text) == 64 and " " not in text
