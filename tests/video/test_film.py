"""The film of an ascent: every step, and the dream itself at its end."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import keras_dream as kd
from keras_dream import Dreamer
from keras_dream.errors import PictureError, SettingError
from keras_dream.pictures.picture import read_picture
from keras_dream.recipe.recipe import Recipe, RunSettings
from keras_dream.replay import read_recipe
from keras_dream.video.film import FilmRun
from keras_dream.video.from_picture import PictureSetup
from keras_dream.video.source import open_source

pytest.importorskip("av")

RECIPE = Recipe(steps=3, octaves=2, octave_scale=1.3, optimizer="momentum")


@pytest.fixture(scope="module")
def dreamer():
    return Dreamer("motif", run=RunSettings(device="cpu", threads=1))


def film(out, dreamer, recipe=RECIPE, **options):
    setup = PictureSetup(source="photo.png", recipe=recipe)
    return FilmRun(setup, out, dreamer=dreamer, **options)


def frames(path):
    return [frame.image for frame in open_source(path).frames()]


def test_it_begins_with_the_photo_and_ends_with_the_dream(photo, dreamer):
    assert film("out", dreamer).finish().frames == 7
    images = frames("out")
    assert len(images) == 7
    dream = dreamer.dream(photo, RECIPE)
    assert np.abs(images[0] - read_picture(photo).pixels).max() < 1 / 255
    assert np.abs(images[-1] - dream.image.clip(0, 1)).max() < 0.51 / 255
    apart = [np.abs(image - images[0]).mean() for image in images]
    assert apart == sorted(apart)
    assert all(image.shape == (40, 60, 3) for image in images)


def test_a_stopped_film_goes_on_with_the_same_bytes(photo, dreamer):
    film("whole.mp4", dreamer).finish()
    for stop in (1, 3, 5):  # after the photo, and in each octave
        with film("film.mp4", dreamer) as run:
            for event in run:
                if event.kind == "frame" and event.number == stop:
                    break
    with film("film.mp4", dreamer) as run:
        assert run.finish().reused == 5
    assert Path("film.mp4").read_bytes() == Path("whole.mp4").read_bytes()
    assert {p.name for p in Path().iterdir()} == {"photo.png", "film.mp4", "whole.mp4"}


def test_an_octave_that_ends_early_makes_a_shorter_film(photo, dreamer):
    recipe = RECIPE.but(steps=6, stop="distance(limit=0.001)")
    summary = film("out", dreamer, recipe=recipe).finish()
    assert 2 <= summary.frames < 13
    assert len(frames("out")) == summary.frames
    dream = dreamer.dream(photo, recipe)
    assert np.abs(frames("out")[-1] - dream.image.clip(0, 1)).max() < 0.51 / 255


def test_the_first_and_the_last_frame_are_held(photo, dreamer):
    film("film.mp4", dreamer, fps=10, hold=0.5).finish()
    stamps = open_source("film.mp4").survey().stamps
    tenth = Fraction(1, 10)
    assert [stamp.duration for stamp in stamps] == [6 * tenth, *[tenth] * 5, 6 * tenth]


@pytest.mark.parametrize("wrong", [{"fps": 0}, {"fps": float("nan")}, {"hold": -1}])
def test_times_that_are_none_are_refused(photo, dreamer, wrong):
    with pytest.raises(SettingError, match="must be a number from"):
        film("film.mp4", dreamer, **wrong)


def test_the_commands(photo, dream):
    """Both: their results, what is wrong, and the recipe in the film."""
    quick = ("--steps", 2, "--octaves", 1, "--threads", 1)
    code, out, error = dream("film", photo, *quick, "--fps", 5, "--hold", 0)
    assert (code, out) == (0, "photo-dream.mp4\n"), error
    clip = open_source("photo-dream.mp4").survey()
    assert (len(clip.stamps), clip.rate) == (3, 5)
    moves = ("--seconds", 0.12, "--rate", 1.05, "--centre", "0.4,0.6", "--rotate", 0.2)
    own = ("--loop", "--seam", 1, "--json", "-o", "zoom.webp")
    code, out, error = dream("zoom", photo, *quick, *moves, *own)
    assert code == 0, error
    events = [json.loads(line) for line in out.splitlines()]
    steps = [event["steps"] for event in events if event["event"] == "frame"]
    assert steps == [2, 1, 1, 1]
    assert len(open_source("zoom.webp").survey().stamps) == 3
    recipe = read_recipe("zoom.webp")
    assert recipe.camera is not None
    assert (recipe.camera.rate, recipe.camera.center) == (1.05, (0.4, 0.6))
    again = ("--recipe", "zoom.webp", "--rate", 0.97, "--preview", "--quiet")
    code, out, error = dream("zoom", photo, "--threads", 1, *again)
    assert (code, out) == (0, "photo-dream-2-preview.mp4\n"), error
    own = read_recipe("photo-dream-2-preview.mp4").camera
    assert own is not None
    assert (own.rate, own.rotate, own.loop) == (0.97, 0.2, False)
    for wrong, word in (
        (("--rate", 3), "`rate` must be a finite number from 0.5 to 2"),
        (("--centre", 0.4), "`center` must be two numbers"),
        (("-o", "zoom.webp"), "A film must have a new name, or --yes"),
        (("-o", "zoom.avi"), "must end in one of .mp4"),
        (("--full-size",), "`full_size` must be false for a zoom"),
    ):
        code, out, error = dream("zoom", photo, *wrong)
        assert (code, out) == (2, ""), error
        assert word in error


def test_the_calls(photo):
    """Settings of every kind in one call, and what is none of them."""
    quick = {"steps": 1, "octaves": 1, "threads": 1}
    assert kd.dream_film(photo, "a.gif", "reef", fps=4, **quick).finish().complete
    assert len(frames("a.gif")) == 2
    image = read_picture(photo).pixels
    zoom = {"seconds": 0.2, "fps": 10, "rate": 1.1, "later_steps": 0}
    with kd.dream_zoom(image, "b.gif", **zoom, **quick) as run:
        steps = [event.steps for event in run if event.kind == "frame"]
    assert steps == [1, 0]
    with pytest.raises(SettingError, match="A setting must be one that exists"):
        kd.dream_zoom(photo, "c.gif", zoom=1.1)
    with pytest.raises(SettingError, match="received 'carry'"):
        kd.dream_zoom(photo, "c.gif", carry=0.5)
    with pytest.raises(SettingError, match="`rate` must be a finite number"):
        kd.dream_zoom(photo, "c.gif", rate=0)
    with pytest.raises(PictureError):
        kd.dream_film("none.png", "c.gif")
    assert sorted(p.name for p in Path().iterdir()) == ["a.gif", "b.gif", "photo.png"]
