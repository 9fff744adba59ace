"""docs/batch.md shows what is true: its lines and its Python are run as they stand."""

import ast
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from keras_dream import cli
from keras_dream.batches.manifest import COLUMNS, MAX_LINE, MAX_LINES
from keras_dream.events import Event
from keras_dream.pictures.encoding import save_picture
from keras_dream.replay import read_saved

PAGE = (Path(__file__).parents[2] / "docs" / "batch.md").read_text("utf-8")
QUICK = ("--workers", "1", "--size", "32")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A folder with the photos and the manifests that the page speaks of."""
    photos = ("holiday/sea.jpg", "holiday/day 2/hill.png", "sea.jpg")
    for number, name in enumerate(photos):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        image = np.random.default_rng(number).random((32, 40, 3), np.float32)
        save_picture(tmp_path / name, image)
    (tmp_path / "list.jsonl").write_text(blocks("json")[0], "utf-8")
    (tmp_path / "list.csv").write_text(blocks("csv")[0], "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_DREAM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KERAS_DREAM_OFFLINE", "1")
    monkeypatch.setenv("KERAS_BACKEND", "torch")


def test_its_lines_run(desk, capsys):
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    commands = [shlex.split(line, comments=True) for line in lines]
    commands = [words for words in commands if words[1] in ("batch", "jobs")]
    assert len(commands) == 11
    for _, command, *rest in commands:
        # A folder that is watched has no end.
        quick = [*QUICK, "--dry-run"] if "--watch" in rest else QUICK
        more = [*quick, "--steps", "1"] if "--steps" not in rest else quick
        arguments = [command, *rest, *(more if command == "batch" else ())]
        assert cli.main(arguments) == 0, (arguments, capsys.readouterr().err)
    made = {path.as_posix() for path in Path().glob("*/**/*.*") if path.suffix != ".db"}
    assert {
        "dreams/sea-dream.png",
        "dreams/day 2/hill-dream.png",
        "dreams/contact-sheet.jpg",
        "reef/sea-reef-0.jpg",
        "some/sea-dream.png",
        "some/noise-80x60-dream.png",
        "listed/sea/quick.webp",
        "listed/texture-0.png",
    } <= made
    assert read_saved("listed/sea/quick.webp").recipe.steps == 2  # the flag counts
    guided = read_saved("listed/holiday/day 2/hill-dream.png").recipe
    assert (guided.seed, [file.name for file in guided.files]) == (7, ["sea.jpg"])


def test_its_python_runs(desk, capsys):
    (block,) = blocks("python")
    block = block.replace("steps=10, workers=2", "steps=1, workers=1, size=32")
    names = {}
    exec(compile(block, "batch.md", "exec"), names)
    *lines, failed = capsys.readouterr().out.splitlines()
    assert failed == "()"
    kinds = [ast.literal_eval(line)["event"] for line in lines]
    assert kinds[0] == "batch_planned"
    assert kinds[-1] == "batch"
    assert kinds.count("item") == 2


def test_its_words_are_those_of_the_program():
    kinds = re.findall(r"`(batch|batch_\w+|item|item_\w+)`", PAGE)
    assert set(kinds) <= {event.kind for event in Event.__subclasses__()}
    assert len(set(kinds)) == 7
    assert all(f"`{column}`" in PAGE for column in COLUMNS)
    assert f"{MAX_LINES:,} lines" in PAGE
    assert f"{MAX_LINE:,} characters" in PAGE
    assert all(json.loads(line) for line in blocks("json")[0].splitlines())
