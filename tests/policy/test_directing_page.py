"""docs/directing.md shows what is true: its terms are read, its Python is run."""

import re
from pathlib import Path

import numpy as np
import pytest

from keras_dream.pictures.encoding import save_picture
from keras_dream.pictures.picture import read_picture
from keras_dream.recipe.objectives import parse

PAGE = (Path(__file__).parents[2] / "docs" / "directing.md").read_text("utf-8")
SECTION = PAGE.split("\n## Objectives")[1].split("\n## ")[0]
BLOCKS = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)


def terms():
    rows = re.findall(r"^\| (`.*?) \|", SECTION, re.MULTILINE)
    found = [term for row in rows for term in re.findall(r"`(.+?)`", row)]
    return list(dict.fromkeys(found))


@pytest.mark.parametrize("term", terms())
def test_every_term_of_the_table_can_be_read(term):
    assert len(parse(term).terms) == 1


@pytest.mark.parametrize("block", range(len(BLOCKS)))
def test_its_python_runs(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("photo.jpg", "photo2.jpg"):
        save_picture(Path(name), np.random.default_rng(len(name)).random((64, 80, 3)))
    monkeypatch.setenv("KERAS_BACKEND", "torch")  # as it was before, afterwards
    names = {}
    exec(compile(BLOCKS[block], "directing.md", "exec"), names)
    written = sorted(Path().glob("*.png"))
    assert written
    for path in written:
        assert read_picture(path).pixels.shape == (64, 80, 3)


def test_something_is_held():
    assert len(terms()) > 12
    assert len(BLOCKS) == 4
