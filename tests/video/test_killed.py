"""A film whose run is killed ends with the bytes of one that is not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("killed.py")

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def dreamed(folder, kills):
    folder.mkdir()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(folder), str(kills)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == kills
    assert {path.name for path in folder.iterdir()} == {"clip.mp4", "film.mp4"}
    return (folder / "film.mp4").read_bytes()


def test_three_kills(tmp_path):
    assert dreamed(tmp_path / "killed", 3) == dreamed(tmp_path / "undisturbed", 0)
