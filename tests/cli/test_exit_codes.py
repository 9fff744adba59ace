"""Exit codes: 0 done, 1 the run failed, 2 the input was wrong, 130 stopped.

A replay that is not equal (3) is among the tests of `replay`.
"""

import errno
import importlib
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import keras_dream
from keras_dream import errors
from keras_dream.cli.app import COMMANDS, app
from keras_dream.errors import DreamError, InputError, RunError


def every_class(base=DreamError):
    yield base
    for kind in base.__subclasses__():
        yield from every_class(kind)


def every_command(parent=app, names=()) -> Iterator[tuple[tuple[str, ...], object]]:
    """Yields the words of each command, and what reads its arguments."""
    if parent.default_command is not None:
        yield names, parent
    for name in parent:
        if not name.startswith("-"):
            yield from every_command(parent[name], (*names, name))


EVERY = dict(every_command())
TREE = [kind for kind in every_class() if kind.__module__ == errors.__name__]


def test_the_tree_of_errors_is_that_of_its_docstring():
    """Which is what states the codes; modules may have their own, below one of them."""
    root = Path(keras_dream.__file__).parent
    for path in root.rglob("*.py"):
        if path.parent.name != "backend" and path.stem[:2] != "__":
            relative = path.relative_to(root.parent).with_suffix("")
            importlib.import_module(".".join(relative.parts))
    branch = 1
    stated = {}
    for line in (errors.__doc__ or "").splitlines():
        if match := re.search(r"\b([A-Z]\w+Error)\b", line):
            if code := re.search(r"exit code (\d)", line):
                branch = int(code[1])
            stated[match[1]] = branch
    assert {kind.__name__: kind.exit_code for kind in TREE} == stated
    for kind in every_class():
        own = InputError if issubclass(kind, InputError) else RunError
        assert issubclass(kind, own) or kind is DreamError
        assert kind.exit_code == own.exit_code


def test_every_command_is_among_them():
    assert {names[0] for names in EVERY if names} == set(COMMANDS)
    assert () in EVERY  # dream PHOTO


FAILURES = [
    (InputError("it must be so"), 2),
    (RunError("it must be so"), 1),
    (KeyboardInterrupt(), 130),
    (KeyError("a bug"), 1),
]
MORE = [
    *((kind("it must be so"), kind.exit_code) for kind in TREE),
    (MemoryError(), 1),
    (OSError(errno.EIO, "Input/output error"), 1),
    (ModuleNotFoundError("No module named 'PIL'"), 1),
    (RuntimeError("could not create a primitive"), 1),
]


@pytest.mark.parametrize("names", EVERY, ids=lambda names: " ".join(names) or "PHOTO")
def test_every_failure_of_every_command(names, dream, photo, monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_DREAM_HOME", str(tmp_path / "cache"))
    for failure, expected in FAILURES if names else FAILURES + MORE:

        def fail(*_: str, failure: BaseException = failure) -> int:
            raise failure

        monkeypatch.setattr(EVERY[names], "default_command", fail)
        code, out, err = dream(*names, photo)
        assert (code, out) == (expected, ""), failure
        (line,) = err.splitlines()
        assert line.startswith("dream: ")
        assert line.endswith(".")
    assert photo.exists()


@pytest.mark.parametrize("names", EVERY, ids=lambda names: " ".join(names) or "PHOTO")
def test_every_command_refuses_what_it_does_not_know(names, dream, photo):
    code, out, err = dream(*names, photo, "--there-is-no-such-option")
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert "--there-is-no-such-option" in line


class Full(io.StringIO):
    """Standard output on a full disk."""

    def write(self, _: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    "line",
    ["layers motif", "presets", "presets reef", "weights path",
     "weights path motif", "show saved.png", "cite saved.png", "show saved.png --json"],
)  # fmt: skip
def test_lists_that_standard_output_does_not_take(line, dream, photo, monkeypatch):
    dream(photo, "--octaves", 1, "--steps", 1, "-o", "saved.png")
    monkeypatch.setattr("sys.stdout", Full())
    code, _, err = dream(*line.split())
    assert code == 1
    assert "no space left on device" in err
