"""`dream flicker`: as a table, as JSON, and what it refuses."""

import json

import numpy as np
import pytest
from clips import pan, write_clip

from keras_dream.cli import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    source = pan(4)
    write_clip(folder / "source.mp4", source)
    change = np.array([-20, 20, -20, 0])[:, None, None, None]
    film = np.clip(source.astype(int) + change, 0, 255).astype(np.uint8)
    write_clip(folder / "film.mp4", film)
    return folder


def test_a_table_says_what_flickers_and_where(folder, capsys):
    film, source = str(folder / "film.mp4"), str(folder / "source.mp4")
    assert main(["flicker", film, "--source", source]) == 0
    out = capsys.readouterr().out
    assert "times the source's own" in out
    assert "frame 1 at 0.04s" in out or "frame 2 at 0.08s" in out
    assert "3 of 4 frames" in out


def test_json_has_every_frame(folder, capsys):
    film, source = str(folder / "film.mp4"), str(folder / "source.mp4")
    options = ["--source", source, "--from", "0:00", "--to", "0.16", "--json"]
    assert main(["flicker", film, *options]) == 0
    data = json.loads(capsys.readouterr().out)
    errors = [frame["error"] for frame in data["frames"]]
    assert errors[0] is None
    assert data["film"] == pytest.approx(sum(errors[1:]) / 3)
    assert data["film"] > 10 * data["source"]
    assert errors[data["worst"]] == max(errors[1:])


def test_what_is_no_film_and_what_does_not_fit_is_refused(folder, capsys):
    film, source = str(folder / "film.mp4"), str(folder / "source.mp4")
    (folder / "text.mp4").write_text("no film")
    assert main(["flicker", str(folder / "text.mp4"), "--source", source]) == 2
    assert main(["flicker", film, "--source", source, "--from", "0.08"]) == 2
    assert "whose frame at 0.08s has none" in capsys.readouterr().err
    assert main(["flicker", film, "--source", source, "--from", "soon"]) == 2
    assert "try 12.5s, 0:12.5 or 1:02:03" in capsys.readouterr().err
