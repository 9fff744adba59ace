"""README and docs show what is true: their lines are run as they stand."""

import importlib.util
import re
import shlex
from pathlib import Path

import pytest
from clips import pan, write_clip
from PIL import Image

from keras_dream import cli

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
SIZE = (132, 88)  # of the photos in the examples here: every line in seconds
SHORT = {"--seconds": "0.12", "--size": "64"}  # of films


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


# What the lines name that is not here, and the network whose weights it needs.
DOWNLOADS = {
    "book1": "inception_v3",
    "inception_v3": "inception_v3",
    "squeezenet": "squeezenet",
    "vgg16": "vgg16",
}


def dream_lines():
    """Returns the README's `dream` commands in their order, without comments."""
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    commands = [line.split("&&")[-1].strip() for line in lines]
    return [shlex.split(c, comments=True) for c in commands if c.startswith("dream")]


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A folder with the photos that the README speaks of, and no way out."""
    sky = Image.open(ROOT / "examples" / "sky.jpg").resize(SIZE)
    for folder in ("examples", "photos"):
        (tmp_path / folder).mkdir()
    for name in ("examples/sky.jpg", "photo.jpg", "other.jpg", "photos/one.jpg"):
        sky.save(tmp_path / name)
    write_clip(tmp_path / "clip.mp4", pan(3))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("keras_dream.sheets.choices.SIDE", 100)  # of sheets of looks
    monkeypatch.setenv("KERAS_DREAM_OFFLINE", "1")
    monkeypatch.setenv("KERAS_DREAM_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv("KERAS_DREAM_WEIGHTS", raising=False)
    return tmp_path


def test_shell_lines_run(desk, capsys):
    commands = dream_lines()
    assert len(commands) >= 10
    for _, *words in commands:
        before = ["", *words]
        arguments = [SHORT.get(a, b) for a, b in zip(before, words, strict=False)]
        line = " ".join(arguments)
        needs = [name for word, name in DOWNLOADS.items() if word in line]
        downloads = needs and arguments[0] != "layers"
        code = cli.main(arguments)
        told = capsys.readouterr()
        assert code == (2 if downloads else 0), (arguments, told.err)
        if downloads:
            assert f"weights of {needs[0]} must be on this machine" in told.err


def test_python_blocks_run(desk):
    names = {}
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), names)
    assert Path("out.png").is_file()
    assert Path("early.png").is_file()
    assert names["gradient"].shape == (64, 96, 3)
    assert names["loss"] > 0


def test_linked_files_exist():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_first_commands_install_and_test():
    first, second = blocks("sh")[:2]
    assert first == "pip install . && dream examples/sky.jpg\n"
    assert second == "pip install '.[test]' && pytest\n"


def test_generated_pages_are_current():
    spec = importlib.util.spec_from_file_location("make", ROOT / "docs" / "make.py")
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    for name, page in make.PAGES.items():
        assert (ROOT / "docs" / name).read_text("utf-8") == page(), name


def test_changelog_starts_with_the_version():
    version = re.search(
        r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE
    )
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest[1] == version[1]
