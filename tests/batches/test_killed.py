"""A batch that is killed again and again ends with the bytes of an undisturbed one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from keras_dream.jobs.journal import State, read_journal
from keras_dream.pictures.encoding import save_picture

PROGRAM = Path(__file__).with_name("killed.py")

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def killed(folder, kills, *words):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join([*sys.path, str(PROGRAM.parents[1])])
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(folder), str(kills), *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def compare(folder, other, kills):
    names = {f"{photo.stem}.png" for photo in (folder / "photos").iterdir()}
    for each in (folder, other):
        files = {p.name for p in (each / "out").iterdir()}
        assert names == {name for name in files if not name.startswith(".")}
        assert not [
            name
            for name in files
            if name.startswith(".dream-") and "journal" not in name
        ]
    for name in names:
        data = (folder / "out" / name).read_bytes()
        assert data == (other / "out" / name).read_bytes()
    ((_, items),) = read_journal(folder / "out")
    assert {item.state for item in items} == {State.DONE}
    again = sum(item.attempts - 1 for item in items)
    assert 0 < again <= kills


def copy(folder):
    other = folder.with_name("undisturbed")
    shutil.copytree(folder / "photos", other / "photos")
    return other


def test_forty_pictures_and_fifty_kills(tmp_path):
    folder = tmp_path / "killed"
    (folder / "photos").mkdir(parents=True)
    for number in range(40):
        (folder / "photos" / f"{number}.jpg").write_text(f"photo {number}")
    other = copy(folder)
    assert killed(folder, 50) == 50
    assert killed(other, 0) == 0
    compare(folder, other, 50)


def test_dreams_and_five_kills(tmp_path):
    folder = tmp_path / "killed"
    (folder / "photos").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(10):
        image = rng.random((48, 48, 3), dtype=np.float32)
        save_picture(folder / "photos" / f"{number}.png", image)
    other = copy(folder)
    assert killed(folder, 5, "real") == 5
    assert killed(other, 0, "real") == 0
    compare(folder, other, 5)
