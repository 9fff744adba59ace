import json

import numpy as np
import pytest
from clips import hard_cut, write_clip
from PIL import Image

from keras_dream.dreamer.dreamer import Dreamer
from keras_dream.events import FilmProgress
from keras_dream.recipe.recipe import Recipe, RunSettings
from keras_dream.recipe.video import VideoSettings
from keras_dream.video.folder import work_folder
from keras_dream.video.run import VideoRun
from keras_dream.video.setup import Setup
from keras_dream.video.sink import read_film_notes

RECIPE = Recipe(objective="mixed0", octaves=1, steps=4, step_size=0.02)
FRAMES, CUT = 7, 3


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("film") / "cut.mp4"
    return write_clip(path, hard_cut(FRAMES, at=CUT))


@pytest.fixture(scope="module")
def dreamer():
    return Dreamer("motif", run=RunSettings(threads=1))


def run_of(clip, dreamer, out, recipe=RECIPE, **video):
    setup = Setup(str(clip), recipe.but(video=VideoSettings(**video)))
    return VideoRun(setup, out, dreamer=dreamer)


def pictures(path):
    return [np.asarray(Image.open(each)) for each in sorted(path.glob("*.png"))]


def recorded(path):
    return json.loads(read_film_notes(path)["record"])


def test_a_second_pass_flickers_less(clip, dreamer, tmp_path):
    for name, smooth in (("once", 0.0), ("twice", 1.0)):
        events = list(run_of(clip, dreamer, tmp_path / name, smooth=smooth))
        second = [e for e in events if getattr(e, "phase", "") == "smooth"]
        assert [e.share for e in second] == (
            [(n + 1) / FRAMES for n in range(FRAMES)] if smooth else []
        )
    once, twice = (recorded(tmp_path / name) for name in ("once", "twice"))
    assert twice["flicker"]["compared"] == once["flicker"]["compared"] == FRAMES - 2
    assert twice["flicker"]["film"] < 0.8 * once["flicker"]["film"]
    assert twice["steps"] == once["steps"]
    one, two = pictures(tmp_path / "once"), pictures(tmp_path / "twice")
    assert np.abs(np.subtract(one[-1], two[-1], dtype=int)).max() <= 1
    assert not np.array_equal(one[-2], two[-2])


@pytest.mark.parametrize("frames", [1, 5])
def test_a_pass_that_is_stopped_goes_on_to_the_same_film(
    clip, dreamer, tmp_path, frames
):
    settings = {"smooth": 0.5, "block": 3, "overlap": 2}
    run_of(clip, dreamer, tmp_path / "whole.mp4", **settings).finish()
    out, made = tmp_path / "film.mp4", 0
    with run_of(clip, dreamer, out, **settings) as run:
        for event in run:
            made += isinstance(event, FilmProgress) and event.phase == "smooth"
            if made == frames:
                break
    assert not out.exists()
    run_of(clip, dreamer, out, **settings).finish()
    assert out.read_bytes() == (tmp_path / "whole.mp4").read_bytes()
    assert not work_folder(out).exists()


def test_what_the_second_pass_hands_on_may_be_lost(clip, dreamer, tmp_path):
    run_of(clip, dreamer, tmp_path / "whole.mp4", smooth=1.0).finish()
    out = tmp_path / "film.mp4"
    with run_of(clip, dreamer, out, smooth=1.0) as run:
        for event in run:
            if getattr(event, "phase", "") == "smooth" and event.share >= 2 / FRAMES:
                break
    # Scenes are the parts 0 and 1, and in the second pass 2 and 3.
    (second,) = work_folder(out).glob("state-0002-*.npz")
    second.unlink()
    run_of(clip, dreamer, out, smooth=1.0).finish()
    assert out.read_bytes() == (tmp_path / "whole.mp4").read_bytes()


def test_frames_of_the_second_pass_are_finished(clip, dreamer, tmp_path):
    recipe = RECIPE.but(blend=0.0)  # nothing of the dream is left
    run_of(clip, dreamer, tmp_path / "film", recipe, smooth=1.0).finish()
    run_of(clip, dreamer, tmp_path / "none", RECIPE.but(steps=0)).finish()
    both = zip(pictures(tmp_path / "film"), pictures(tmp_path / "none"), strict=True)
    for film, none in both:
        assert np.abs(np.subtract(film, none, dtype=int)).max() <= 1
