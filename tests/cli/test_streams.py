"""Standard streams, terminals of odd sizes, and users without a home."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from keras_dream.pictures.picture import read_picture
from keras_dream.weights.source import folders, home

QUICK = ("--octaves", "1", "--steps", "1")

# Runs `dream` twice as a process of its own, with a C library that writes lines.
NOISY = """
import os, sys
import keras_dream.sheets.sheet as sheet
from keras_dream.cli import main
inner = sheet.read_about
def read_about(*arguments):
    os.write(2, b"libfoo: warning: nothing to see\\n")
    return inner(*arguments)
sheet.read_about = read_about
sys.argv[1:] = ["show", "nowhere.png"]
assert main() == 2
os.write(2, b"-- behind\\n")
sys.argv[1:] += ["--log-level", "debug"]
assert main() == 2
"""

CRASH = """
import ctypes, sys
import keras_dream.sheets.sheet as sheet
from keras_dream.cli import main
sheet.read_about = lambda *_: ctypes.string_at(0)
sys.argv[1:] = ["show", "nowhere.png"]
main()
"""

# As Intel's MKL where it cannot start.
EXIT = """
import ctypes, os, sys
import keras_dream.sheets.sheet as sheet
from keras_dream.cli import main
def read_about(*_):
    os.write(2, b"libfoo FATAL ERROR: cannot go on\\n")
    ctypes.CDLL(None).exit(2)
sheet.read_about = read_about
sys.argv[1:] = ["show", "nowhere.png"]
main()
"""

# The tiny network in the motif's place, and standard streams that are closed.
CLOSED = """
import os, sys
from pathlib import Path
from keras_dream.zoo import load
from keras_dream.cli import main
load.BUILTIN = Path(sys.argv.pop(1))
for number in (0, 1, 2):
    os.close(number)
sys.stdin = sys.stdout = sys.stderr = None
code = main()
os.write(2, b"libfoo: warning: written into whatever has the number 2\\n")
sys.exit(code)
"""


def _python(code, *arguments, **options):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,
    )


def test_lines_of_c_libraries_are_shown_at_debug_only(tmp_path):
    done = _python(NOISY, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    before, behind = done.stderr.split("-- behind\n")
    (sentence,) = before.splitlines()
    assert sentence.startswith("dream: A picture must be a file")
    assert "libfoo: warning" in behind
    assert "Traceback" in behind


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_a_crash_of_the_process_is_not_silent(tmp_path):
    done = _python(CRASH, cwd=tmp_path)
    assert done.returncode < 0
    assert "Fatal Python error: Segmentation fault" in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="nothing is held back there")
def test_an_end_by_a_library_is_not_silent(tmp_path):
    done = _python(EXIT, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "libfoo FATAL ERROR: cannot go on\n"


def test_closed_streams(tiny_network, photo):
    """What is written to a closed standard error must not get into a picture."""
    done = _python(CLOSED, tiny_network, photo, *QUICK)
    assert done.returncode == 0
    assert read_picture("photo-dream.png").pixels.shape == (40, 60, 3)
    assert b"libfoo" not in Path("photo-dream.png").read_bytes()


@pytest.mark.parametrize("columns", ["0", "99999999999", "²"])
def test_odd_widths(columns):
    """rich would wrap lines for ever at 0, and fill memory at the last."""
    done = _python(
        "from keras_dream.cli import main; main()",
        "--help",
        env={**os.environ, "COLUMNS": columns, "LINES": "0", "TERM": "dumb"},
    )
    assert done.returncode == 0, done.stderr
    assert "--steps" in done.stdout
    assert len(done.stdout) < 100_000


@pytest.fixture
def nobody(monkeypatch, tmp_path):
    """A user whose number has no name and no home, as in containers."""
    pwd = pytest.importorskip("pwd")

    def unknown(number):
        raise KeyError(f"getpwuid(): uid not found: {number}")

    for name in ("HOME", "XDG_CACHE_HOME", "KERAS_DREAM_HOME", "KERAS_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_user_without_a_home(nobody, dream, photo):
    assert dream(photo, *QUICK, "--quiet")[:2] == (0, "photo-dream.png\n")
    own = nobody / f"keras-dream-{os.getuid()}"
    assert dream("weights", "path") == (0, f"{own}\n", "")
    assert home() == own
    assert own.stat().st_mode & 0o777 == 0o700
    assert all(folder.is_absolute() for folder in folders())
    assert dream("networks")[0] == 0
    # A name that begins with ~ is no home, and no bug.
    code, _, err = dream(photo, *QUICK, "--mask", "~nobody.png")
    assert code == 2
    assert "'~nobody.png' must exist" in err
    assert not Path("~").exists()


def test_a_home_that_another_user_made(nobody, monkeypatch, dream):
    (nobody / "keras-dream-4711").mkdir()
    monkeypatch.setattr(os, "getuid", lambda: 4711)
    code, _, err = dream("weights", "path")
    assert code == 2
    assert "another user's" in err


def test_names_cannot_steer_a_terminal(dream, photo, monkeypatch):
    """A program that reads the output needs the name as it is."""
    odd = photo.rename("a\x1b[2Jb\x07.png")
    assert dream(odd, *QUICK, "--quiet")[1] == "a\x1b[2Jb\x07-dream.png\n"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    code, out, err = dream(odd, *QUICK, "--quiet")
    assert (code, out) == (0, "a\\x1b[2Jb\\x07-dream-2.png\n")
    assert "\x1b" not in err
