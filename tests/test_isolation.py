"""A function on a file in a child: what comes back, and what is held back."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from keras_dream import isolation
from keras_dream.errors import InputError, PictureError, RunError

MARK = "the child imports no module of the user's"
LIMITS = isolation.Limits(seconds=30, memory=1 << 30, answer=1_000_000)
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")


def call(name, path="a.png", *, limits=LIMITS, error=PictureError, **arguments):
    return isolation.call(
        f"isolated:{name}",
        path,
        arguments,
        limits=limits,
        what="a picture",
        error=error,
    )


def alive(pid):
    """Tells whether a process runs; one that has ended may still be listed."""
    if sys.platform == "linux":
        status = Path(f"/proc/{pid}/stat")
        return status.exists() and ") Z" not in status.read_text()
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for(condition, seconds=15.0):
    end = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < end:
        time.sleep(0.02)
    return value


def test_what_a_function_returns_comes_back(monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "x")
    monkeypatch.setenv("PYTHONSTARTUP", "x")
    name = os.fsdecode(b"\xc3\xa9 \xff\n\xe2\x80\xae.png")
    head, (floats, nothing, number) = call("echo", name, a=[1, None, "\u00e9"])
    assert bytes.fromhex(head["path"]) == os.fsencode(name)
    assert head["values"] == {"a": [1, None, "\u00e9"]}
    assert head["pid"] != os.getpid()
    np.testing.assert_array_equal(floats, [[0, 3], [1, 4], [2, 5]])
    assert floats.dtype == np.float32
    assert nothing.shape == (0,)
    assert number.shape == ()
    assert number == 7
    # It is light, knows nothing of the user's program, and is told no secret.
    assert not {"keras", "torch", "pydantic", "PIL", "pytest"} & set(head["modules"])
    assert not head["main"]
    assert not {"SECRET_TOKEN", "PYTHONSTARTUP", "HOME"} & set(head["environment"])


def test_an_error_of_ours_is_raised_again_without_what_steers_a_terminal():
    with pytest.raises(PictureError) as error:
        call("refuse", "b.png")
    assert str(error.value) == ("A picture must be [31mred; received b.png; paint it.")
    assert error.value.exit_code == 2


@pytest.mark.parametrize(
    ("name", "arguments", "kind", "words"),
    [
        ("many", {"size": 1_000_001}, PictureError, "at most 1 MB"),
        ("leave", {}, PictureError, "does not crash its reader"),
        ("fault", {}, RunError, "KeyError"),
        ("write", {}, RunError, "too large"),
        pytest.param(
            "take", {"size": 2 << 30}, PictureError, "1,074 MB of memory", marks=LINUX
        ),
        *(
            pytest.param("crash", {"number": number}, kind, words, marks=POSIX)
            for number, kind, words in (
                (11, PictureError, "which does (signal 11)"),
                (6, PictureError, "which does (signal 6)"),
                (9, RunError, "the system has killed"),
            )
        ),
    ],
)  # fmt: skip
def test_each_end_has_its_sentence(tmp_path, name, arguments, kind, words):
    with pytest.raises(kind) as error:
        call(name, tmp_path / "c.png", **arguments)
    assert type(error.value) is kind
    assert words.casefold() in str(error.value).casefold()
    assert "'c.png'" in str(error.value)
    assert not list(tmp_path.glob("c.png*")) or not (tmp_path / "c.png").stat().st_size


@pytest.mark.parametrize(
    "head",
    [
        '{"result": {}, "arrays": [["|u1", [999999999999999]]]}',
        '{"result": {}, "arrays": [["<f8", [-1, -999999]]]}',
        '{"result": {}, "arrays": [["|O", [1]]]}',
        '{"result": {}, "arrays": [["<f4", [1, 1]]]}',  # and no bytes of it
        '{"result": {}, "arrays": [[1, 2]]}',
        '{"arrays": 1}',
        "[" * 100_000,
        "not JSON",
        "[]",
        '{"error": 1, "arrays": []}',
        '{"error": ["must"], "arrays": []}',
        '{"result": 1, "arrays": []}',
    ],
)
def test_a_child_that_was_taken_over_cannot_make_the_parent_take_memory(head):
    with pytest.raises(PictureError):
        call("lie", head=head)


def test_a_child_that_spins_is_killed_in_time(tmp_path):
    with pytest.raises(PictureError, match=r"within 1\.5 seconds"):
        call("spin_twice", tmp_path, limits=isolation.Limits(1.5, 1 << 30, 0))
    pids = [int(path.name) for path in tmp_path.iterdir()]
    assert len(pids) == (2 if hasattr(os, "fork") else 1)
    assert wait_for(lambda: not any(map(alive, pids)))


@LINUX
def test_files_and_time_of_the_processor_are_limited(monkeypatch, tmp_path):
    head, _ = call("reach")
    assert 0 < head["count"] < 64
    monkeypatch.setattr(isolation._Watchdog, "_watch", lambda self: None)
    with pytest.raises(PictureError, match=r"within 0\.5 seconds"):
        call("spin", tmp_path, limits=isolation.Limits(0.5, 1 << 30, 0))


@POSIX
def test_memory_is_watched_where_the_system_does_not_limit_it(monkeypatch, tmp_path):
    size = isolation.resident_bytes(os.getpid())
    assert 10_000_000 < size < 100_000_000_000
    monkeypatch.setattr(isolation, "_set_limits", lambda request: None)
    monkeypatch.setattr(isolation.sys, "platform", "darwin")
    with pytest.raises(PictureError, match="within 5 MB of memory"):
        call("spin", tmp_path, limits=isolation.Limits(20, 5_000_000, 0))


@POSIX
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_child_ends_with_its_parent(tmp_path, number):
    """Although it holds Python's lock and would go on for years."""
    code = (
        "import sys; from keras_dream import isolation as i;"
        "limits = i.Limits(40, 1 << 30, 0);"
        "i.call('isolated:spin', sys.argv[1], {}, limits=limits, what='a')"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=subprocess.DEVNULL,
    )
    try:
        names = wait_for(lambda: list(tmp_path.iterdir()))
        pid = int(names[0].name)
        parent.send_signal(number)
        parent.wait(10)
        assert wait_for(lambda: not alive(pid), seconds=5)
    finally:
        parent.kill()


def test_without_a_child_there_is_a_sentence(monkeypatch):
    monkeypatch.setattr(isolation.sys, "executable", "/nowhere/python")
    with pytest.raises(RunError, match="a process of their own"):
        call("echo")


def test_the_class_of_the_error_is_the_callers():
    with pytest.raises(InputError) as error:
        call("leave", error=InputError)
    assert type(error.value) is InputError


def test_it_runs_from_a_source_tree_in_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "numpy.py").write_text("raise SystemExit(1)")
    (tmp_path / "keras_dream.py").write_text("raise SystemExit(1)")
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    head, _ = call("echo")
    assert "numpy" in head["modules"]
    assert Path(isolation.__file__).is_file()
