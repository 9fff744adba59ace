"""Memory that runs out: smaller tiles; else one sentence, and the dream so far."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from keras_dream.pictures.picture import read_picture
from keras_dream.replay import read_saved

# With torch loaded, the process is limited to 330 MB more: too little for a step of the
# built-in network at 1000 × 800 pixels at once.
LIMITED = """
import resource, sys
from keras_dream.cli import main
from keras_dream.backend import load
inner = load.load
def limited(*arguments, **options):
    backend = inner(*arguments, **options)
    pages = int(open("/proc/self/statm").read().split()[0])
    size = pages * resource.getpagesize() + 330_000_000
    resource.setrlimit(resource.RLIMIT_AS, (size, resource.RLIM_INFINITY))
    return backend
load.load = limited
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux's limits")
def test_a_limit_of_the_system(tmp_path):
    """It costs no octave: the largest is computed in tiles, as it is recorded.

    On torch; tensorflow does not outlive such a limit.
    """
    line = ("noise:1000x800", "--octave-sides", "100, 1000", "--steps", "2", *TORCH)
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *line],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "in tiles: octave 2 of 1000 × 800 pixels as " in done.stderr
    (name,) = done.stdout.splitlines()
    assert read_picture(tmp_path / name).pixels.shape == (800, 1000, 3)
    record = read_saved(tmp_path / name).record
    assert record.complete
    assert record.run["gradient"].startswith("2: ")


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("keras_dream.pictures.encoding", "to_depth"),  # when it is saved
        ("keras_dream.dreamer.dreamer", "finish"),  # when it is finished
    ],
)
def test_memory_is_out_behind_the_last_step(dream, photo, monkeypatch, module, name):
    """The canvas is kept, and the dream goes on from it to its own bytes."""
    quick = ("--octaves", 2, "--steps", 2)
    assert dream(photo, *quick, "-o", "whole.png")[0] == 0

    def failing(*_, **__):
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(importlib.import_module(module), name, failing)
        code, out, err = dream(photo, *quick, "-o", "dream.png")
    assert (code, out) == (1, "")
    assert "The dream so far is kept" in err
    assert err.splitlines()[-1].startswith("dream: There must be enough memory")
    assert dream(photo, "--resume", "-o", "dream.png")[0] == 0
    assert Path("dream.png").read_bytes() == Path("whole.png").read_bytes()


def test_memory_is_out_at_reading(dream, photo, monkeypatch):
    from keras_dream.pictures import picture

    def failing(*_, **__):
        raise MemoryError

    monkeypatch.setattr(picture, "to_float", failing)
    code, out, err = dream(photo)
    assert (code, out) == (1, "")
    assert err.startswith("dream: ")
    assert "memory" in err
    assert len(err.splitlines()) == 1


TORCH = ("--backend", "torch", "--threads", "1")


@pytest.mark.parametrize(
    "failure",
    [
        RuntimeError("could not create a primitive"),
        MemoryError(),
        RuntimeError("CUDA error: out of memory"),
    ],
    ids=["oneDNN", "Python", "CUDA"],
)
def test_the_dream_so_far_is_saved(dream, photo, monkeypatch, failure):
    from keras_dream.engine.ascent import Ascent

    moves, count = Ascent.moves, 0

    def failing(*arguments):
        nonlocal count
        for move in moves(*arguments):
            count += 1
            if count == 4:  # the second step of the second octave
                raise failure
            yield move

    quick = ("--octaves", 2, "--steps", 2)
    with monkeypatch.context() as patched:
        patched.setattr(Ascent, "moves", failing)
        code, out, err = dream(photo, *quick)
    assert (code, out) == (1, "photo-dream.png\n")
    assert "he dream so far was saved as 'photo-dream.png'" in err
    assert "enough memory" in err.splitlines()[-1]
    assert '"complete":false' in dream("show", "photo-dream.png", "--json")[1]
    # With memory it goes on to the bytes of an undisturbed dream.
    assert dream("--from", "photo-dream.png", "--quiet")[0] == 0
