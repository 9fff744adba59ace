"""`dream jobs`: the list of journals, what is in them, going on, and pruning."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import keras_dream
from keras_dream.files import stage
from keras_dream.jobs import index
from keras_dream.jobs.database import FILE
from keras_dream.jobs.journal import Journal, NewItem

QUICK = ("--octaves", "1", "--steps", "2")
posix = pytest.mark.skipif(
    os.name != "posix", reason="permissions and signals of POSIX"
)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The folder of the index, as the `dream` fixture sets it."""
    monkeypatch.setattr(index, "home", lambda: tmp_path / "home")
    return tmp_path / "home"


def make(folder, *states, kind="batch"):
    """Makes a journal with an item of each state, and the results of those done."""
    folder.mkdir()
    with Journal.open(folder, kind=kind, key="a") as journal:
        new = [
            NewItem(str(n), f"{n}.jpg", output=f"{n}.png") for n in range(len(states))
        ]
        for item, state in zip(journal.add(new), states, strict=True):
            if state == "waiting":
                continue
            started = journal.start(item)
            if state == "done":
                journal.save(started, stage(journal.path(item), b"pixels"))
            elif state == "failed":
                journal.fail(started, "A picture must be larger.\x1b[31m")
            elif state == "skipped":
                journal.skip(started, "It is there.")
    index.remember(folder, ["batch", "in", "-o", "out put"], folder.parent)
    return folder


def listed(dream):
    code, out, err = dream("jobs", "--json")
    assert code == 0, err
    return {Path(job["folder"]).name: job for job in json.loads(out)}


def test_the_list(dream, home, tmp_path):
    code, out, err = dream("jobs")
    assert (code, out) == (0, "")
    assert "There are no jobs" in err
    make(tmp_path / "a", "done", "done", "skipped")
    make(tmp_path / "b", "done", "failed", "waiting", "running")
    make(tmp_path / "c", "done", "failed")
    make(tmp_path / "d", "done")
    (tmp_path / "d" / FILE).unlink()
    make(tmp_path / "e", "done", kind="grid")
    (tmp_path / "e" / FILE).write_text("a diary")
    code, out, _ = dream("jobs")
    head, *rows = [line.split() for line in out.splitlines()]
    assert head == ["folder", "kind", "done", "failed", "waiting", "state", "more"]
    assert [row[1:] for row in rows[:3]] == [
        ["batch", "2", "0", "0", "finished", "1", "skipped"],
        ["batch", "1", "1", "2", "unfinished"],
        ["batch", "1", "1", "0", "failed"],
    ]
    assert rows[3][1:] == ["vanished"]
    assert rows[4][1] == "damaged"
    jobs = listed(dream)
    assert jobs["b"]["jobs"][0]["counts"]["waiting"] == 1
    assert jobs["b"]["command"] == ["batch", "in", "-o", "out put"]
    assert jobs["b"]["directory"] == str(tmp_path)
    with Journal.open(tmp_path / "b", kind="batch", key="a") as journal:
        assert listed(dream)["b"]["state"] == "running"
        journal.reconcile()
    assert listed(dream)["b"]["state"] == "unfinished"


def test_showing_one(dream, home, tmp_path):
    make(tmp_path / "b", "done", "failed", "waiting")
    code, out, _ = dream("jobs", "show", tmp_path / "b")
    assert code == 0
    assert "command: dream batch in -o 'out put'" in out
    assert "A picture must be larger." in out
    assert "\x1b" not in out
    data = json.loads(dream("jobs", "show", tmp_path / "b", "--json")[1])
    (job,) = data["jobs"]
    assert [item["state"] for item in job["items"]] == ["done", "failed", "waiting"]
    code, _, err = dream("jobs", "show", tmp_path)
    assert (code, "must have a journal" in err) == (2, True)
    (tmp_path / "b" / FILE).write_text("a diary")
    code, _, err = dream("jobs", "show", tmp_path / "b")
    assert (code, "must be a whole SQLite file" in err) == (2, True)


def test_pruning(dream, home, tmp_path, monkeypatch):
    make(tmp_path / "a", "done")
    make(tmp_path / "b", "done", "waiting")
    make(tmp_path / "c", "done", "failed")
    make(tmp_path / "d", "done")
    (tmp_path / "d" / FILE).unlink()
    code, _, err = dream("jobs", "prune")
    assert (code, "2 jobs taken out of the list; no result" in err) == (0, True)
    assert sorted(listed(dream)) == ["b", "c"]
    assert (tmp_path / "a" / FILE).exists()  # nobody has agreed
    code, _, err = dream("jobs", "prune", tmp_path / "b", "--yes")
    assert (code, "must be finished or gone" in err) == (2, True)
    assert "go on with it by `dream jobs resume`" in err
    with Journal.open(tmp_path / "b", kind="test", key="another"):
        _, _, err = dream("jobs", "prune", tmp_path / "b", "--yes")
    assert "wait until it ends, or stop it" in err
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys.stdin, "readline", lambda: "y\n", raising=False)
    code, _, err = dream("jobs", "prune", tmp_path / "nix")
    assert (code, "must be in your list" in err) == (2, True)
    code, _, err = dream("jobs", "prune", tmp_path / "c")
    assert code == 0
    assert "[y/N]" in err
    code, out, _ = dream("jobs", "prune", tmp_path / "a", "--yes", "--json")
    assert json.loads(out) == {
        "pruned": [str(tmp_path / "a")],
        "removed": [str(tmp_path / "a")],
    }
    for name in ("a", "c"):
        assert [p.name for p in (tmp_path / name).iterdir()] == ["0.png"]
    with Journal.open(tmp_path / "b", kind="batch", key="a") as journal:
        journal.fail(journal.item("1"), "x")
        code, _, err = dream("jobs", "prune", tmp_path / "b", "--yes")
        assert (code, "running" in err) == (2, True)
    assert (tmp_path / "b" / FILE).exists()


def test_sheets_are_listed(dream, photo):
    line = ["grid", str(photo), "--x", "steps=1|2", "--octaves", "1", "--fresh"]
    assert dream(*line)[0] == 0
    job = listed(dream)["photo-grid-cells"]
    assert (job["state"], job["command"]) == ("finished", line)
    assert job["directory"] == str(Path.cwd())
    assert job["jobs"][0]["counts"]["done"] == 2


def test_resuming(dream, photo, home, tmp_path):
    """A process of its own goes on, in the folder where the job began."""
    assert dream("grid", photo, "--x", "steps=1|2", "--octaves", "1")[0] == 0
    cells = Path("photo-grid-cells").resolve()
    whole = Path("photo-grid.png").read_bytes()
    gone = next(cells.glob("steps-2-*.png"))
    before = {p: p.stat().st_mtime_ns for p in cells.glob("*.png") if p != gone}
    gone.unlink()
    Path("photo-grid.png").unlink()
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(keras_dream.__file__).parents[1]),
        "KERAS_DREAM_HOME": str(home),
    }
    command = [sys.executable, "-c"]
    # The shipped network differs from that of the tests: only the command counts.
    entry = index.entry_of(cells)
    # Modules of that folder are not imported: it may be one of downloaded pictures.
    for name in ("keras_dream.py", "cyclopts.py", "json.py"):
        Path(name).write_text("raise SystemExit('imported')")
    index.remember(cells, ["presets", "none"], entry.directory)
    code = "import sys; from keras_dream.cli import main\nsys.exit(main(sys.argv[1:]))"
    ended = subprocess.run(
        [*command, code, "jobs", "resume", str(cells)],
        capture_output=True, text=True, check=False, timeout=60, env=environment,
        cwd=tmp_path,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout) == (2, "")
    told = ended.stderr.splitlines()
    assert told[0] == "dream presets none"
    assert told[1].startswith("dream: A preset must be")
    # And the recorded line does go on.
    assert dream(*entry.command)[0] == 0
    assert Path("photo-grid.png").read_bytes() == whole
    assert before == {p: p.stat().st_mtime_ns for p in before}


def test_what_cannot_be_resumed(dream, home, tmp_path):
    code, _, err = dream("jobs", "resume", tmp_path)
    assert (code, "whose command line is not known" in err) == (2, True)
    folder = make(tmp_path / "a", "done", "waiting")
    index.remember(folder, ["batch"], tmp_path / "none")
    code, _, err = dream("jobs", "resume", folder)
    assert (code, "that a job was started in must be there" in err) == (2, True)
    # A journal that came from elsewhere has no command line that could be run.
    index.forget(folder)
    code, _, err = dream("jobs", "resume", folder)
    assert (code, "whose command line is not known" in err) == (2, True)


def test_what_would_begin_anew_is_left_out(dream, home, tmp_path, monkeypatch):
    folder = make(tmp_path / "a", "done", "waiting")
    started = []
    monkeypatch.setattr(
        "keras_dream.cli.commands.jobs._run", lambda *a: started.append(a) or 1
    )
    anew = ["--fresh", "--no-resume", "--resume=false", "--fresh=yes"]
    index.remember(folder, ["grid", "a b.png", *anew], tmp_path)
    code, _, err = dream("jobs", "resume", folder)
    assert code == 1
    assert started == [(["grid", "a b.png"], tmp_path)]
    assert shlex.split(err) == ["dream", "grid", "a b.png"]


@posix
def test_others_cannot_write_command_lines(dream, home, tmp_path):
    folder = make(tmp_path / "a", "done", "waiting")
    assert (home / "jobs").stat().st_mode & 0o777 == 0o700
    (entry,) = (home / "jobs").iterdir()
    for mode in (0o720, 0o702):
        (home / "jobs").chmod(mode)
        for command in (["jobs"], ["jobs", "resume", folder]):
            code, _, err = dream(*command)
            assert (code, "that only you can write to" in err) == (2, True)
    (home / "jobs").chmod(0o700)
    forged = tmp_path / "forged.json"
    forged.write_bytes(entry.read_bytes())
    entry.unlink()
    entry.symlink_to(forged)
    assert index.entries() == []
    for text in (
        "", "[]", "{}", "[" * 9999, '{"folder": 1, "command": [], "directory": ""}',
        '{"folder": "", "command": [1], "directory": ""}',
    ):  # fmt: skip
        entry.unlink()
        entry.write_text(text)
        assert index.entries() == []


@posix
def test_names_of_any_bytes_come_back(home, tmp_path):
    folder = tmp_path / os.fsdecode(b"\xff\xfe \xe4")
    try:
        make(folder, "done")
    except OSError:
        pytest.skip("the file system takes UTF-8 only")
    index.remember(folder, ["batch", os.fsdecode(b"\xff.png")], tmp_path)
    (entry,) = index.entries()
    assert (entry.folder, entry.command[1]) == (folder, "\udcff.png")


@posix
def test_an_index_that_cannot_be_written_hinders_nothing(dream, photo, tmp_path):
    (tmp_path / "home").write_text("a file")
    assert dream("grid", photo, "--x", "steps=1", "--octaves", "1")[0] == 0


def test_the_pages_of_help(dream):
    for command in ([], ["show"], ["resume"], ["prune"]):
        code, out, _ = dream("jobs", *command, "--help")
        assert code == 0
        assert out.startswith("Usage: dream jobs")


def test_one_job_is_found_without_reading_the_others(home, tmp_path, monkeypatch):
    for number in range(9):
        index.remember(tmp_path / str(number), ["batch"], tmp_path)
    read, reads = index._read, []
    monkeypatch.setattr(index, "_read", lambda path: reads.append(path) or read(path))
    entry = index.entry_of(tmp_path / "3")
    assert entry is not None
    assert entry.folder == tmp_path.resolve() / "3"
    assert index.entry_of(tmp_path / "none") is None
    assert len(reads) <= 2
