"""Ctrl-C and SIGTERM from the first milliseconds on: a sentence, and exit code 130."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import keras_dream
from keras_dream.cli.interrupts import Interrupts

posix = pytest.mark.skipif(os.name != "posix", reason="sends signals")

# Signals itself when a module is about to be imported, in the midst of others' imports.
EARLY = """
import builtins, os, sys
module, number = sys.argv[1], int(sys.argv[2])
inner = builtins.__import__
def importing(name, *arguments, **options):
    if name == module:
        builtins.__import__ = inner
        os.kill(os.getpid(), number)
    return inner(name, *arguments, **options)
builtins.__import__ = importing
sys.argv[1:] = ["photo.png"]
from keras_dream.cli import main
sys.exit(main())
"""


@posix
@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("module", ["keras_dream.cli.run", "cyclopts", "pydantic"])
def test_a_signal_while_the_program_loads(tmp_path: Path, module: str, number: str):
    done = subprocess.run(
        [sys.executable, "-c", EARLY, module, str(int(getattr(signal, number)))],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(keras_dream.__file__).parents[1])},
        # A shell's background job ignores Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert done.returncode == 130
    assert done.stderr == "dream: Stopped; nothing is saved.\n"
    assert done.stdout == ""


@posix
def test_a_signal_that_a_library_has_caught_stops_what_comes_next():
    with Interrupts(repeated=True):
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)  # caught, and forgotten
        with pytest.raises(KeyboardInterrupt):
            Interrupts().__enter__()


@posix
def test_every_signal_counts_until_they_are_ignored():
    with Interrupts(repeated=True) as interrupts:
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)
        interrupts.ignore()
        os.kill(os.getpid(), signal.SIGINT)


def test_a_handler_that_is_not_pythons_stays(monkeypatch):
    """In a program in C that runs Python, which says None for it."""
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    known, ours = signal.getsignal, []
    monkeypatch.setattr(
        signal, "getsignal", lambda n: None if n == signal.SIGTERM else known(n)
    )
    monkeypatch.setattr(signal, "signal", lambda n, _: ours.append(n))
    with Interrupts():
        pass
    monkeypatch.undo()
    signal.signal(signal.SIGTERM, before)
    assert signal.SIGINT in ours
    assert signal.SIGTERM not in ours
