"""docs/own-model.md shows what is true: its lines are run as they stand."""

import importlib.util
import re
import shlex
import warnings
from pathlib import Path

import numpy as np
import pytest

from keras_dream import cli
from keras_dream.pictures.encoding import save_picture
from keras_dream.pictures.metadata import read_notes
from keras_dream.pictures.picture import read_picture

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "own-model.md").read_text("utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_page_runs(tmp_path, monkeypatch, capsys):
    if importlib.util.find_spec("sklearn") is None:
        pytest.skip("scikit-learn is not installed")
    monkeypatch.chdir(tmp_path)
    for name in ("KERAS_DREAM_HOME", "KERAS_DREAM_WEIGHTS", "KERAS_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    save_picture(Path("photo.jpg"), np.random.default_rng(4).random((96, 120, 3)))
    training, dreaming = blocks("python")
    names = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other packages, which is not ours to hold
        exec(compile(training, "own-model.md", "exec"), names)
        model, pictures = names["model"], names["pictures"]
        told = model.predict(pictures[::10], verbose=0)
    assert np.mean(told.argmax(1) == names["digits"].target[::10]) > 0.7

    lines = "".join(blocks("sh")).splitlines()
    for line in (line for line in lines if not line.startswith("pip ")):
        assert cli.main(shlex.split(line)[1:]) == 0, capsys.readouterr().err
    assert '"network":"digits.keras"' in read_notes(Path("shapes.png"))["recipe"]

    exec(compile(dreaming, "own-model.md", "exec"), names)
    for name in ("eights.png", "strokes.png"):
        assert read_picture(name).pixels.shape == (96, 120, 3)


def test_the_files_that_the_page_links_to_are_there():
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (DOCS / target).exists(), target
