"""docs/memory.md shows what is true: its lines on files run as they stand."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import keras_dream as kd
from keras_dream import cli
from keras_dream.backend import host
from keras_dream.pictures.encoding import save_picture
from keras_dream.pictures.picture import read_picture
from keras_dream.replay import read_saved

pytest.importorskip("pyvips")
pytest.importorskip("OpenEXR")

PAGE = (Path(__file__).parents[2] / "docs" / "memory.md").read_text("utf-8")
QUICK = ["--octaves", "1", "--steps", "1"]


def lines(section: str) -> list[list[str]]:
    """Returns the commands of a section, in words."""
    text = PAGE.partition(f"## {section}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    every = [line for block in blocks for line in block.splitlines()]
    words = [shlex.split(line, comments=True) for line in every]
    return [line[1:] for line in words if line[0] == "dream"]


@pytest.fixture(autouse=True)
def desk(tmp_path, monkeypatch):
    """A folder with the photos that the page speaks of."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_DREAM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KERAS_DREAM_OFFLINE", "1")
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    # As in a process of its own: `--memory` counts what earlier tests have left, too.
    monkeypatch.setattr(host, "resident_bytes", lambda: 500_000_000)
    image = np.random.default_rng(0).random((70, 80, 3), np.float32)
    for name in ("mural.tif", "other.tif", "scan.tif", "sky.jpg", "render.exr"):
        save_picture(name, image, depth="auto" if name == "sky.jpg" else "16")


def test_its_lines_on_memory_run(capsys):
    commands = lines("Memory and tiles")
    assert len(commands) == 5
    gradients = []
    for words in commands:
        settings = ["--octaves", "2", "--steps", "1", "--objective", "mixed2"]
        code = cli.main([*words, *settings])
        captured = capsys.readouterr()
        assert code == 0, (words, captured.err)
        gradients.append(read_saved(captured.out.strip()).record.run["gradient"])
    own = "1: cells 2x2; 2: cells 2x2"
    assert gradients[:4] == ["whole", "whole", own, "2: stem mixed1 2x2"]


def test_its_lines_on_huge_pictures_run(capsys):
    commands = lines("Pictures larger than memory")
    assert len(commands) == 6
    for words in commands:
        quick = QUICK if words[0] == "huge" else []
        assert cli.main([*words, *quick]) == 0, (words, capsys.readouterr().err)
    assert read_picture("other-dream.tif").bits == 16
    assert Path("mural_files").is_dir()
    assert Path("mural.szi").exists()


def test_its_lines_on_bits_run(capsys):
    commands = lines("16 bits, floats and EXR")
    assert len(commands) == 4
    for words in commands:
        code = cli.main([*words, *QUICK, "--objective", "mixed1"])
        assert code == 0, (words, capsys.readouterr().err)
    bits = {"scan-dream.png": 16, "sky-dream.tif": 16, "graded.exr": 32}
    for name, expected in {**bits, "render-dream.exr": 16}.items():
        assert read_picture(name).bits == expected, name
    assert kd.read_picture("scan.tif").bits == 16
    made = kd.dream("scan.tif", depth="float", octaves=1, steps=0, objective="mixed1")
    made.save("a.exr")
    made.save("a.tif", depth="16")
    assert (read_picture("a.exr").bits, read_picture("a.tif").bits) == (32, 16)
