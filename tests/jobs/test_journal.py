"""The journal: states and files agree, whatever ends a process, whoever forges it."""

import errno
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

import keras_dream
from keras_dream.errors import JobsError, SaveError
from keras_dream.files import sha256_file, stage
from keras_dream.jobs.database import FILE
from keras_dream.jobs.journal import (
    Journal,
    NewItem,
    State,
    _lock,
    read_journal,
    writer_of,
)

posix = pytest.mark.skipif(os.name != "posix", reason="links, limits and fork of POSIX")


def journal(folder, key="a job", **options):
    return Journal.open(folder, kind="test", key=key, **options)


def new(number, output=None):
    return NewItem(f"key {number}", f"item {number}", output=output or f"{number}.png")


def save(journal, item, data=b"pixels"):
    return journal.save(journal.start(item), stage(journal.path(item), data))


def states(folder):
    ((_, items),) = read_journal(folder)
    return [item.state for item in items]


def names(folder):
    """Returns what is in a folder besides the journal."""
    return sorted(p.name for p in folder.iterdir() if "journal" not in p.name)


def child(code, *arguments, **options):
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(keras_dream.__file__).parents[1]),
    }
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment,
        **options,
    )


def test_items_are_added_once_and_done_in_order(tmp_path):
    with journal(tmp_path, settings={"threads": 2}) as first:
        assert first.job.is_new
        added = first.add([new(1), new(2)])
        assert [item.number for item in added] == [1, 2]
        done = save(first, added[1])
        assert (done.state, done.attempts) == (State.DONE, 1)
        assert (tmp_path / "2.png").read_bytes() == b"pixels"
        failed = first.fail(first.start(added[0]), "It is too small.")
        assert first.items(State.FAILED) == [failed]
    with journal(tmp_path, settings={"threads": 7}) as again:
        assert not again.job.is_new
        assert again.job.settings == {"threads": 2}  # as they were recorded
        items = again.add([new(3), new(2), new(1)])
        assert [item.number for item in items] == [3, 2, 1]
        assert again.item("key 2") == done
        (waiting,) = again.reset([failed])
        assert (waiting.state, waiting.attempts, waiting.error) == ("waiting", 1, "")
        assert again.start(waiting).attempts == 2
        skipped = again.skip(items[0], "It is there.")
        again.forget([skipped])
        assert [item.key for item in again.items()] == ["key 1", "key 2"]
    with journal(tmp_path, "another job") as other:
        assert other.job.is_new
        assert other.items() == []
    assert [job.key for job, _ in read_journal(tmp_path)] == ["a job", "another job"]


def test_what_cannot_be_added(tmp_path, monkeypatch):
    monkeypatch.setattr("keras_dream.jobs.journal.MAX_ITEMS", 3)
    with journal(tmp_path) as first:
        first.add([new(1), new(2)])
        for output in ("../4.png", "/4.png", "a:4.png", "con.png"):
            with pytest.raises(JobsError, match="An output in a journal"):
                first.add([new(3), new(4, output)])
        with pytest.raises(JobsError, match="at most 3 items"):
            first.add([new(3), new(4)])
        assert [item.number for item in first.items()] == [1, 2]
        first.add([new(3)])
    monkeypatch.setattr("keras_dream.jobs.journal.MAX_ITEMS", 2)
    with pytest.raises(JobsError, match="at most 2 items"):
        read_journal(tmp_path)


def test_reading_changes_nothing(tmp_path):
    assert read_journal(tmp_path) == []
    assert list(tmp_path.iterdir()) == []
    with journal(tmp_path) as writer:
        save(writer, *writer.add([new(1)]))
        assert states(tmp_path) == ["done"]  # beside the writer
        assert f"process {os.getpid()} on " in writer_of(tmp_path)
    before = {p.name: (p.read_bytes(), p.stat()) for p in tmp_path.iterdir()}
    assert states(tmp_path) == ["done"]
    assert writer_of(tmp_path) == ""
    assert before == {p.name: (p.read_bytes(), p.stat()) for p in tmp_path.iterdir()}


def test_the_second_writer_says_who_is_the_first(tmp_path):
    code = (
        "import sys; from keras_dream.jobs.journal import Journal\n"
        "try: Journal.open(sys.argv[1], kind='test', key='other')\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    with journal(tmp_path) as first:
        refused = child(code, tmp_path)
        assert refused.stdout.startswith("JobsError A journal must have one writer")
        assert f"process {os.getpid()} on " in refused.stdout
        with pytest.raises(JobsError, match="one writer at a time"):
            journal(tmp_path)
        save(first, *first.add([new(1)]))  # the first is not disturbed
    assert child(code, tmp_path).stdout == ""


# --- Crashes ------------------------------------------------------------------------

# One process forks for every fail-point: `os._exit` before or after a call, the first
# or the second of its name, ends it as kill -9 would.
CRASHES = """
import builtins, os, sys
from keras_dream.files import sha256_file, stage
from keras_dream.jobs.journal import Journal, NewItem

def crash(owner, name, turn, after, half=False):
    call, turns = getattr(owner, name), iter(range(1, 99))
    def crashing(*arguments, **options):
        if next(turns) != turn:
            return call(*arguments, **options)
        if after:
            call(*arguments, **options)
        os._exit(9)
    setattr(owner, name, crashing)

def crash_at(point):
    place, _, when = point.partition(" ")
    after = when == "after"
    if place == "write" and not after:  # a half of the bytes
        write = os.write
        os.write = lambda file, data: (write(file, data[: len(data) // 2]), os._exit(9))
    elif place == "write":
        crash(os, "write", 1, True)
    elif place in ("fsync", "folder"):
        crash(os, "fsync", 1 if place == "fsync" else 2, after)
    elif place == "rename":
        crash(os, "replace", 1, after)
    elif place != "nowhere":
        crash(Journal, "_set", {"start": 1, "intent": 2, "mark": 3}[place], after)

def run(folder, point):
    os.mkdir(folder)
    with Journal.open(folder, kind="test", key="a job") as journal:
        old, item = journal.add([NewItem("0", "old", output="old.png"),
                                 NewItem("1", "new", output="new.png")])
        journal.save(journal.start(old), stage(journal.path(old), b"old bytes"))
        crash_at(point)
        item = journal.start(item)
        journal.save(item, stage(journal.path(item), b"new bytes" * 1000))
    os._exit(0)

for point in sys.argv[2:]:
    pid = os.fork()
    if not pid:
        run(os.path.join(sys.argv[1], point), point)
    print(point, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""
POINTS = [
    f"{place} {when}"
    for place in ("start", "write", "fsync", "intent", "rename", "folder", "mark")
    for when in ("before", "after")
]


@pytest.fixture(scope="module")
def crashed(tmp_path_factory):
    """A folder with a folder for every fail-point, in which a process has ended."""
    if not hasattr(os, "fork"):
        pytest.skip("needs fork")
    folder = tmp_path_factory.mktemp("crashed")
    ended = child(CRASHES, folder, *POINTS, "nowhere")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == [*(f"{p} 9" for p in POINTS), "nowhere 0"]
    return folder


@pytest.mark.parametrize("point", [*POINTS, "nowhere"])
def test_a_crash_leaves_whole_files_and_a_journal_that_can_tell(crashed, point):
    folder, new_bytes = crashed / point, b"new bytes" * 1000
    is_there = point in (
        "rename after", "folder before", "folder after", "mark before", "mark after",
        "nowhere",
    )  # fmt: skip
    assert (folder / "new.png").exists() == is_there
    if is_there:
        assert (folder / "new.png").read_bytes() == new_bytes
    with journal(folder) as again:
        assert again.reconcile() == ()
        old, item = again.items()
        assert (old.state, old.attempts) == (State.DONE, 1)
        assert item.state == (State.DONE if is_there else State.WAITING)
        assert item.attempts == (0 if point == "start before" else 1)
        if not is_there:
            assert save(again, item, new_bytes).state == State.DONE
    assert (folder / "old.png").read_bytes() == b"old bytes"
    assert (folder / "new.png").read_bytes() == new_bytes
    assert names(folder) == ["new.png", "old.png"]


def test_a_kill_while_items_are_saved_does_one_again(tmp_path):
    code = (
        "import sys; from keras_dream.files import stage\n"
        "from keras_dream.jobs.journal import *\n"
        "with Journal.open(sys.argv[1], kind='test', key='a job') as j:\n"
        "    j.reconcile()\n"
        "    j.add(NewItem(str(n), str(n), output=f'{n}.bin') for n in range(400))\n"
        "    print('ready', flush=True)\n"
        "    for i in j.items(State.WAITING):\n"
        "        i = j.start(i)\n"
        "        j.save(i, stage(j.path(i), i.key.encode() * 1000))\n"
    )
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(keras_dream.__file__).parents[1]),
    }
    before = set()
    for pause in (0.05, 0.11, 0.02):
        command = [sys.executable, "-c", code, str(tmp_path)]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, env=environment
        ) as process:
            assert process.stdout.readline() == b"ready\n"
            time.sleep(pause)
            process.kill()
        with journal(tmp_path) as again:
            assert again.reconcile() == ()
            done = again.items(State.DONE)
            assert before <= {item.key for item in done}
            assert sum(item.attempts for item in again.items()) <= len(done) + 3
        for item in done:
            assert (tmp_path / item.output).read_bytes() == item.key.encode() * 1000
        before = {item.key for item in done}
    assert 0 < len(before) < 400


# --- What others did to the files ---------------------------------------------------


def test_what_is_ambiguous_is_kept_and_told(tmp_path):
    with journal(tmp_path) as first:
        items = first.add([new(n) for n in range(5)])
        for item in items[:3]:
            save(first, item, item.key.encode())
        running = first.start(items[3])
    (tmp_path / "0.png").write_bytes(b"changed")
    (tmp_path / "1.png").unlink()
    (tmp_path / "3.png").write_bytes(b"a stranger's")
    (tmp_path / "4.png").mkdir()
    with journal(tmp_path) as again:
        told = again.reconcile()
        assert [item.state for item in again.items()] == [
            "ambiguous", "waiting", "done", "ambiguous", "ambiguous",
        ]  # fmt: skip
        assert len(told) == 3
        assert "0.png' has changed since this job wrote it; it is kept" in told[0]
        assert "3.png' is a file that this job did not write" in told[1]
        assert again.reconcile() == told
        # Nobody replaces a stranger's file, not even by mistake.
        kept = again.save(again.start(running), stage(again.path(running), b"x"))
        assert kept.state == State.AMBIGUOUS
        assert (tmp_path / "3.png").read_bytes() == b"a stranger's"
        # It may be done under another name.
        moved = save(again, again.move(kept, "3-2.png"))
        assert moved.state == State.DONE
        (tmp_path / "0.png").unlink()
        (tmp_path / "4.png").rmdir()
        assert again.reconcile() == ()
        assert [i.state for i in again.items(State.WAITING)] == ["waiting"] * 3
    assert names(tmp_path) == ["2.png", "3-2.png", "3.png"]


def test_bytes_that_came_back_are_the_job_s(tmp_path):
    with journal(tmp_path) as first:
        save(first, *first.add([new(1)]))
        (tmp_path / "1.png").write_bytes(b"changed")
        assert len(first.reconcile()) == 1
        (tmp_path / "1.png").write_bytes(b"pixels")
        assert first.reconcile() == ()
        (item,) = first.items(State.DONE)
        # What the job wrote itself may be replaced by the job.
        (item,) = first.reset([item])
        assert first.reconcile() == ()
        assert save(first, item, b"new").state == State.DONE
    assert (tmp_path / "1.png").read_bytes() == b"new"


@posix
def test_what_has_not_changed_is_not_read_again(tmp_path, monkeypatch):
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"a photo")
    os.utime(photo, (1, 1))
    seconds = time.time() + 60  # a stamp counts when it has settled
    monkeypatch.setattr("keras_dream.files.time.time", lambda: seconds)
    with journal(tmp_path) as first:
        for item in first.add([new(1), new(2)]):
            save(first, item)
            os.utime(first.path(item), (1, 1))
        first._set(first.item("key 1"), input_sha256=sha256_file(photo))
        assert first.reconcile() == ()
        assert first.has_input(first.item("key 1"), photo)
        with monkeypatch.context() as unread:
            unread.setattr("keras_dream.jobs.journal.sha256_file", None)
            assert first.reconcile() == ()
            assert first.has_input(first.item("key 1"), photo)
        # Other bytes of the same size and time have another ctime.
        for path, data in ((tmp_path / "1.png", b"PIXELS"), (photo, b"A PHOTO")):
            path.write_bytes(data)
            os.utime(path, (1, 1))
        assert len(first.reconcile()) == 1
        assert not first.has_input(first.item("key 1"), photo)
        (tmp_path / "1.png").unlink()
        assert save(first, first.item("key 1"), b"new").output_stamp == ""
        assert first.reconcile() == ()


def test_the_clock_does_not_matter(tmp_path, monkeypatch):
    clock = iter(range(10**9, 0, -(10**6)))
    monkeypatch.setattr(time, "time", lambda: next(clock))
    with journal(tmp_path) as first:
        for item in first.add([new(n) for n in range(3)]):
            save(first, item)
            os.utime(tmp_path / item.output, (0, 0))
    with journal(tmp_path) as again:
        assert again.reconcile() == ()
        assert [item.number for item in again.items(State.DONE)] == [1, 2, 3]


# --- Disks --------------------------------------------------------------------------


def test_a_file_system_without_shared_memory(tmp_path, monkeypatch):
    real = sqlite3.Connection

    class Refusing(real):
        def execute(self, text, *values):
            if "journal_mode = WAL" in text:
                raise sqlite3.OperationalError("locking protocol")
            return super().execute(text, *values)

    connect = sqlite3.connect
    monkeypatch.setattr(
        sqlite3, "connect", lambda *a, **k: connect(*a, **k, factory=Refusing)
    )
    with journal(tmp_path) as first:
        save(first, *first.add([new(1)]))
        assert not (tmp_path / f"{FILE}-wal").exists()
        assert states(tmp_path) == ["done"]
    assert states(tmp_path) == ["done"]


@posix
def test_a_limit_of_the_file_size_loses_nothing(tmp_path):
    code = (
        "import resource, sys; from keras_dream.jobs.journal import *\n"
        "with Journal.open(sys.argv[1], kind='test', key='a job') as j:\n"
        "    j.add([NewItem('key 1', 'x', output='1.png')])\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))\n"
        "    try: j.add(NewItem(str(n), 'x' * 5000) for n in range(99))\n"
        "    except Exception as error: print(type(error).__name__, error)\n"
        "    print(len(j.items()))\n"
    )
    done = child(code, tmp_path)
    said, count = done.stdout.splitlines()
    assert said.startswith("SaveError The disk must take the journal of the results")
    assert count == "1"
    with journal(tmp_path) as again:
        assert save(again, again.item("key 1")).state == State.DONE


def test_a_full_disk_while_an_item_is_saved(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with journal(tmp_path) as first:
        item = first.start(*first.add([new(1)]))
        staged = stage(first.path(item), b"pixels")
        with monkeypatch.context() as full:
            full.setattr(os, "replace", refuse)
            full.setattr(Path, "replace", refuse)
            with pytest.raises(SaveError, match="must have room"):
                first.save(item, staged)
        assert first.reconcile() == ()
        assert [i.state for i in first.items()] == [State.WAITING]
    assert names(tmp_path) == []


def test_a_signal_between_the_name_and_the_note(tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    with journal(tmp_path) as first:
        item = first.start(*first.add([new(1)]))
        with monkeypatch.context() as signal_comes:
            signal_comes.setattr(Journal, "_done", stop)
            with pytest.raises(KeyboardInterrupt):
                first.save(item, stage(first.path(item), b"pixels"))
        first.pause(item, 0, 0)  # as whoever ends a job in order does
        assert first.reconcile() == ()
        assert [i.state for i in first.items()] == [State.DONE]


def test_many_items_are_changed_in_one_transaction(tmp_path):
    with journal(tmp_path) as first:
        items = first.add(new(n) for n in range(50))
        for item in items:
            (tmp_path / item.output).write_bytes(b"pixels")
            first.done(item)
            (tmp_path / item.output).unlink()
        commits = []
        first._db.set_trace_callback(
            lambda text: commits.append(text) if text == "COMMIT" else None
        )
        assert first.reconcile() == ()
        assert len(first.reset(first.items(State.WAITING))) == 50
        assert len(commits) == 2


def test_a_full_disk_while_the_intent_is_noted(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise SaveError("the disk must take the journal")

    with journal(tmp_path) as first:
        item = first.start(*first.add([new(1)]))
        staged = stage(first.path(item), b"pixels")
        with monkeypatch.context() as full:
            full.setattr(Journal, "_set", refuse)
            with pytest.raises(SaveError):
                first.save(item, staged)
        assert names(tmp_path) == []


@posix
def test_a_folder_that_may_not_be_written():
    """In a process that gives up the rights of root, if it has them."""
    code = (
        "import os, sys\n"
        "from keras_dream.jobs.journal import Journal, read_journal\n"
        "import filelock, sqlite3, unicodedata\n"
        "if os.geteuid() == 0: os.setgroups([]), os.setgid(65534), os.setuid(65534)\n"
        "try: Journal.open('.', kind='test', key='a job')\n"
        "except Exception as error: print(type(error).__name__, error)\n"
        "((_, items),) = read_journal('.')\n"
        "print(*[item.state for item in items])\n"
    )
    # Not in pytest's folder, into which only its user can look.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with journal(folder) as first:
            save(first, *first.add([new(1)]))
        folder.chmod(0o555)
        done = child(code, cwd=folder)
        folder.chmod(0o755)
        assert states(folder) == ["done"]
    said, found = done.stdout.splitlines()
    assert said.startswith("SaveError The disk must take the journal of the results")
    assert "permission denied" in said
    assert found == "done"


@posix
def test_a_disk_without_locks(tmp_path, monkeypatch):
    import fcntl

    def refuse(*_):
        raise OSError(errno.ENOLCK, "no locks available")

    with monkeypatch.context() as without:
        without.setattr(fcntl, "flock", refuse)
        # Older versions of filelock take it for a lock that somebody has.
        with pytest.raises((SaveError, JobsError)):
            journal(tmp_path)
    journal(tmp_path).close()


def test_somebody_who_looks_does_not_hinder_a_writer(tmp_path):
    """After a kill the lock is tried for a moment, to see whether anybody has it."""
    journal(tmp_path).close()
    look = _lock(tmp_path)
    threading.Timer(0.05, look.release).start()
    journal(tmp_path).close()


def test_any_thread_may_close_it(tmp_path):
    """As the collector of garbage does, which runs in any of them."""
    first = journal(tmp_path)
    closing = threading.Thread(target=first.close)
    closing.start()
    closing.join()
    journal(tmp_path).close()


def test_a_folder_that_is_missing(tmp_path):
    with pytest.raises(SaveError, match="disk must take the journal"):
        journal(tmp_path / "none")


# --- Damage and forgery -------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    """A folder with a whole journal of one item that is done."""
    with journal(tmp_path) as first:
        save(first, *first.add([new(1)]))
    return tmp_path


def forge(folder, statement):
    with sqlite3.connect(folder / FILE, isolation_level=None) as db:
        db.execute(statement)
    db.close()


def refused(folder, sentence):
    """Checks that a journal is refused in one sentence, and not changed."""
    before = (folder / FILE).read_bytes()
    for attempt in (journal, read_journal):
        with pytest.raises(JobsError, match=sentence) as caught:
            attempt(folder)
        assert "\n" not in str(caught.value)
    assert (folder / FILE).read_bytes() == before
    assert writer_of(folder) == ""


@pytest.mark.parametrize("damage", ["text", "cut", "zeros", "page", "word"])
def test_a_damaged_journal_is_refused_and_kept(folder, damage):
    file = folder / FILE
    data = file.read_bytes()
    if damage == "text":
        file.write_bytes(b"a diary of dreams\n" * 300)
    elif damage == "cut":
        file.write_bytes(data[: len(data) // 2])
    elif damage == "zeros":
        file.write_bytes(bytes(len(data)))
    elif damage == "page":
        file.write_bytes(data[:4096] + b"\xa5" * 4096 + data[8192:])
    else:  # of which SQLite's message is no text
        file.write_bytes(data.replace(b"NOT NULL", b"NOT N\xffLL"))
    refused(folder, "must be a whole SQLite file|must be of")


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER t AFTER INSERT ON writer BEGIN DELETE FROM items; END",
        "CREATE VIEW v AS SELECT 1",
        "ALTER TABLE items ADD COLUMN more",
        "DROP TABLE writer",
        "PRAGMA application_id = 7",
    ],
)
def test_other_tables_are_refused(folder, statement):
    forge(folder, statement)
    refused(folder, "it has other tables")


def test_a_newer_version_is_refused(folder):
    forge(folder, "PRAGMA user_version = 2")
    refused(folder, "must be of version 1 or older; received .* version 2; update")


@pytest.mark.parametrize(
    "change",
    [
        "output = '../1.png'",
        "output = '/etc/passwd'",
        "output = 'C:\\1.png'",
        "output = 'a//b.png'",
        "state = 'perfect'",
        "number = x'00'",
        "error = x'ff'",
        "attempts = 9223372036854775807",
        "steps = -1",
        "output_sha256 = x'07'",
    ],
)
def test_forged_values_are_refused(folder, change):
    forge(folder, f"UPDATE items SET {change}")
    with pytest.raises(JobsError) as caught:
        read_journal(folder)
    assert "\n" not in str(caught.value)
    with journal(folder) as opened, pytest.raises(JobsError):
        opened.reconcile()
    assert (folder / "1.png").read_bytes() == b"pixels"


def test_forged_settings_are_refused(folder):
    for text in ("[]", "[" * 100_000, "{"):
        with sqlite3.connect(folder / FILE) as db:
            db.execute("UPDATE jobs SET settings = ?", (text,))
        db.close()
        with pytest.raises(JobsError, match="values that keras-dream writes"):
            read_journal(folder)
        with pytest.raises(JobsError, match="values that keras-dream writes"):
            journal(folder)


@posix
def test_links_and_pipes_are_refused(folder, tmp_path_factory):
    precious = tmp_path_factory.mktemp("elsewhere") / "precious"
    precious.write_bytes(b"kept")
    for end in ("-wal", "-shm", "-journal"):
        link = folder / f"{FILE}{end}"
        link.symlink_to(precious)
        refused(folder, "no ordinary file")
        link.unlink()
    (folder / "1.png").unlink()
    (folder / "1.png").symlink_to(precious)
    with journal(folder) as again:
        (told,) = again.reconcile()
        assert "no ordinary file" in told
    (folder / FILE).unlink()
    os.mkfifo(folder / FILE)
    with pytest.raises(JobsError, match="no ordinary file"):
        journal(folder)
    (folder / FILE).unlink()
    (folder / "out").symlink_to(precious.parent)
    with (
        journal(folder, "b") as other,
        pytest.raises(JobsError, match="leads out of it"),
    ):
        other.move(*other.add([new(1)]), "out/precious")
    assert precious.read_bytes() == b"kept"


def test_a_log_cannot_make_sqlite_delete_a_file(folder, tmp_path_factory):
    """A rollback journal may name a file that SQLite deletes when it has read it."""
    precious = tmp_path_factory.mktemp("elsewhere") / "precious"
    precious.write_bytes(b"kept")
    forge(folder, "PRAGMA journal_mode = DELETE")
    name, magic = os.fsencode(precious), bytes.fromhex("d9d505f920a163d7")
    pages = (folder / FILE).stat().st_size // 4096
    numbers = (0, 7, pages, 512, 4096)  # records, nonce, pages, sector, page size
    head = magic + b"".join(number.to_bytes(4, "big") for number in numbers)
    tail = b"".join(n.to_bytes(4, "big") for n in (len(name), sum(name))) + magic
    log = head.ljust(512, b"\0") + (2**30 // 4096 + 1).to_bytes(4, "big") + name + tail
    (folder / f"{FILE}-journal").write_bytes(log)
    refused(folder, "names a further file")
    assert precious.read_bytes() == b"kept"


def test_a_change_that_was_never_finished_waits_for_a_writer(folder):
    """Without a log (WAL) only a writer may put back what the last one began."""
    forge(folder, "PRAGMA journal_mode = DELETE")
    writer = sqlite3.connect(folder / FILE, isolation_level=None)
    writer.execute("PRAGMA cache_size = 1")
    writer.execute("BEGIN")
    long = [("x" * 4000, number) for number in range(400)]
    writer.executemany("INSERT INTO items (job, number, key, name, input, input_sha256,"
                       " recipe, recipe_sha256, output) VALUES (1, ?2 + 9, ?2, ?1, '',"
                       " '', '', '', '')", long)  # fmt: skip
    crashed = folder.parent / "crashed"
    shutil.copytree(folder, crashed)
    writer.execute("ROLLBACK")
    writer.close()
    assert (crashed / f"{FILE}-journal").stat().st_size > 4096
    with pytest.raises(JobsError, match="the next run of its job puts it in order"):
        read_journal(crashed)
    with journal(crashed) as again:
        assert [item.key for item in again.items()] == ["key 1"]
    assert states(crashed) == ["done"]


def test_a_journal_is_json_for_nobody(tmp_path):
    """Names and errors are data: quotes, line breaks and odd letters come back."""
    odd = "it's; DROP TABLE items; -- \n\x1b[31m 日本 " + json.dumps("x")
    with journal(tmp_path, settings={"a": odd}) as first:
        (item,) = first.add([NewItem("k", odd, input=odd, output="a b'c.png")])
        first.fail(item, odd)
    ((job, (item,)),) = read_journal(tmp_path)
    assert (item.name, item.input, item.error, job.settings["a"]) == (odd,) * 4


@posix
def test_a_process_that_was_killed_holds_nothing(tmp_path):
    code = (
        "import os, signal, sys; from keras_dream.jobs.journal import Journal\n"
        "j = Journal.open(sys.argv[1], kind='test', key='a job')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert child(code, tmp_path).returncode == -signal.SIGKILL
    assert writer_of(tmp_path) == ""
    with journal(tmp_path) as again:
        assert not again.job.is_new


def test_a_second_opening_in_one_program_is_refused(tmp_path):
    with (
        journal(tmp_path),
        pytest.raises(JobsError, match=r"this program has open.*run\.close\(\)"),
    ):
        journal(tmp_path)


def test_a_file_of_another_job_is_named_as_such(tmp_path):
    with journal(tmp_path) as first:
        (item,) = first.add([new(1)])
        first.save(first.start(item), stage(first.path(item), b"one"))
    with journal(tmp_path, key="another job") as second:
        second.add([new(1)])
        second.reconcile()
        (item,) = second.items()
        assert item.state is State.AMBIGUOUS
        assert "is a result of this journal, made with other settings" in item.error
