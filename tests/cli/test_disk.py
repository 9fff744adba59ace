"""Disks, rights and clocks as they are: one sentence, nothing lost, nothing torn.

Each command that writes meets a disk that is full (a small tmpfs), one that takes no
writes, folders without rights, and a limit of file sizes.
"""

import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from keras_dream.pictures.picture import read_picture

QUICK = ("--octaves", "1", "--steps", "1")

# {} is the folder of the results.
COMMANDS = {
    "dream": ("photo.png", *QUICK, "-o", "{}/dream.png"),
    "octaves": ("photo.png", *QUICK, "--save-octaves", "-o", "{}/octaves.png"),
    "variations": ("photo.png", *QUICK, "--variations", "2", "-o", "{}/variations.png"),
    "batch": ("batch", "photo.png", *QUICK, "-o", "{}/batch"),
    "grid": ("grid", "photo.png", "--x", "steps=1|2", *QUICK[:2], "-o", "{}/grid.png"),
    "atlas": ("atlas", "motif", "--layers", "near", "--steps", "1", "-o", "{}/a.html"),
    "replay": ("replay", "saved.png", "-o", "{}/replay.png"),
    "explain": ("explain", "photo.png", "--layers", "far", "-o", "{}/explain.png"),
}
FULL = (
    "must have room",
    "no space left",
    "disk is full",
    "file too large",
    "disk i/o error",
)


@pytest.fixture(autouse=True)
def here(photo, dream, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_DREAM_HOME", str(tmp_path / "cache"))
    assert dream(photo, *QUICK, "-o", "saved.png")[0] == 0


@pytest.fixture
def disk(tmp_path):
    """A disk of 400 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(folder)]
    if not sys.platform.startswith("linux") or os.geteuid():
        pytest.skip("only root of Linux may mount a small disk")
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(disk):
    """Fills a disk to its last page with one file."""
    filler = disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return filler


def results(folder):
    """Returns the files with a final name, and asserts that none is torn or hidden."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    for path in files:
        assert not path.name.startswith(".dream-") or "journal" in path.name, path
        if path.suffix == ".png":
            read_picture(path)
    return [path for path in files if path.suffix and path.name[0] != "."]


def sentence(err):
    """Returns the only sentence on a failure."""
    (line,) = (line for line in err.splitlines() if line.startswith("dream: "))
    assert "a bug" not in line
    assert "Traceback" not in err
    return line.lower()


def arguments(name, folder):
    return [word.format(folder) for word in COMMANDS[name]]


def test_a_disk_that_gets_full(disk, dream):
    filler = fill(disk)
    for name in COMMANDS:
        code, out, err = dream(*arguments(name, disk))
        assert (code, out) == (1, ""), (name, err)
        assert any(words in sentence(err) for words in FULL), (name, err)
        assert results(disk) == [], name
    filler.unlink()
    # With room the same command goes on.
    assert dream(*arguments("batch", disk))[0] == 0
    assert len(results(disk)) == 1


def test_a_disk_that_is_read_only(disk, dream, monkeypatch, photo):
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    for name in COMMANDS:
        code, out, err = dream(*arguments(name, disk))
        assert (code, out) == (2, ""), (name, err)
        assert "read-only" in sentence(err), (name, err)
    # A cache there is no hindrance for what is shipped.
    monkeypatch.setenv("KERAS_DREAM_HOME", str(disk / "cache"))
    assert dream(photo, *QUICK, "--quiet")[0] == 0
    assert dream("networks")[0] == 0
    code, _, err = dream("weights", "pull", "squeezenet", "--offline")
    assert code == 2
    assert "must be on this machine" in sentence(err)


RUNNER = """
import contextlib, io, json, os, sys
from pathlib import Path
from keras_dream.zoo import load
from keras_dream.cli import main
load.BUILTIN = Path(sys.argv[1])
for name, limit, arguments in json.loads(sys.argv[2]):
    if limit is not None:
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(arguments)
    print(json.dumps([name, code, out.getvalue(), err.getvalue()]), flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="rights and limits of POSIX")
def test_folders_without_rights_and_a_limit_of_file_sizes(tiny_network, tmp_path):
    """In one child, where root has no more rights than others."""
    prefix = []
    if not os.geteuid():
        prefix = ["setpriv", "--bounding-set=-dac_override"]
        if not shutil.which("setpriv") or subprocess.call([*prefix, "true"]):
            pytest.skip("root may write everywhere")
    closed, small = tmp_path / "closed", tmp_path / "small"
    closed.mkdir(mode=0o555)
    small.mkdir()
    tasks = [(name, None, arguments(name, closed)) for name in COMMANDS]
    tasks += [(name, 1000, arguments(name, small)) for name in COMMANDS]
    tasks += [("batch", -1, arguments("batch", small))]
    run = subprocess.run(
        [*prefix, sys.executable, "-c", RUNNER, str(tiny_network), json.dumps(tasks)],
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
        check=True,
    )
    done = [json.loads(line) for line in run.stdout.splitlines()]
    refused, failed = done[: len(COMMANDS)], done[len(COMMANDS) : -1]
    for name, code, out, err in refused:
        assert (code, out) == (2, ""), (name, err)
        assert "permission denied" in sentence(err), (name, err)
    for name, code, out, err in failed:
        assert (code, out) == (1, ""), (name, err)
        assert any(words in sentence(err) for words in FULL), (name, err)
    assert done[-1][1] == 0, done[-1]
    assert [path.parent.name for path in results(small)] == ["batch"]


def standard_input():
    return io.TextIOWrapper(io.BytesIO(Path("photo.png").read_bytes()))


def test_temporary_files_without_a_place(dream, monkeypatch, tmp_path):
    """Only a photo from standard input needs one."""

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    monkeypatch.setattr(sys, "stdin", standard_input())
    code, out, err = dream("-", *QUICK, "-o", "x.png")
    assert (code, out) == (1, "")
    assert "no such file" in sentence(err)
    assert not Path("x.png").exists()


def test_full_temporary_files(disk, dream, monkeypatch):
    fill(disk)
    monkeypatch.setattr(tempfile, "tempdir", str(disk))
    monkeypatch.setattr(sys, "stdin", standard_input())
    code, out, err = dream("-", *QUICK, "-o", "x.png")
    assert (code, out) == (1, "")
    assert "no space left" in sentence(err)
    assert [path.name for path in disk.iterdir()] == ["filler"]


def test_a_clock_that_goes_backwards(dream, monkeypatch):
    """Nothing is ordered by it, and nothing taken for newer."""
    now = 2e9

    def backwards():
        nonlocal now
        now -= 3600
        return now

    monkeypatch.setattr(time, "time", backwards)
    line = (*arguments("batch", "."), "--log-file", "log")
    assert dream(*line)[0] == 0
    before = {path: path.read_bytes() for path in results(Path("batch"))}
    assert before
    assert dream(*line)[0] == 0
    assert {path: path.read_bytes() for path in results(Path("batch"))} == before
    assert dream("jobs")[0] == 0
    times = [json.loads(line)["time"] for line in Path("log").read_text().splitlines()]
    assert times == sorted(times, reverse=True)


def test_a_second_writer_is_told_of_the_first(dream):
    line = arguments("batch", ".")
    assert dream(*line)[0] == 0
    (folder,) = (path.parent for path in Path("batch").glob(".dream-journal.db"))
    program = (
        "import sys\nfrom keras_dream.jobs.journal import Journal\n"
        "with Journal.open(sys.argv[1], kind='batch', key='other', settings={}):\n"
        "    print('open', flush=True)\n    sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == b"open\n"
        code, out, err = dream(*line)
        first.communicate()
    assert (code, out) == (2, "")
    assert re.search(rf"\b{first.pid}\b", sentence(err))
    assert dream(*line)[0] == 0


@pytest.mark.skipif(os.name == "nt", reason="a current folder cannot be removed there")
@pytest.mark.parametrize("name", COMMANDS)
def test_a_current_folder_that_is_gone(name, dream, tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    code, out, err = dream(*arguments(name, tmp_path))
    assert (code, out) == (2, "")
    assert "current folder must" in sentence(err)
