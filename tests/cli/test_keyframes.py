"""Settings that change in time, from the shell and in what is no film."""

import json
from pathlib import Path

import pytest
from clips import still, write_clip

import keras_dream as kd
from keras_dream.recipe.recipe import Recipe
from keras_dream.replay import read_recipe, read_saved
from keras_dream.video.source import open_source

pytest.importorskip("av")

QUICK = ("--octaves", 1, "--threads", 1)
STEPS = "0s: 2, 5s: 9 ease-in"
SAYS = "keyframes are for films"


def test_a_picture_has_the_values_of_the_first_moment(dream, photo, tmp_path):
    """It says so, and can be made again without keyframes."""
    code, _, error = dream(
        "photo.png", *QUICK, "--steps", STEPS, "--keyframe", "jitter: 9s=3, 10s=4",
        "--strength", "follow(loudness, 0.5, 2, file=none.wav)", "-o", "a.png",
    )  # fmt: skip
    assert code == 0, error
    assert SAYS in error
    assert "Dreamed 2 steps" in error
    saved = read_saved("a.png")
    assert saved.recipe.keyframes == ()
    assert (saved.recipe.jitter, saved.recipe.strength) == (3, 0.5)
    plain = ("--steps", 2, "--jitter", 3, "--strength", 0.5, "-o", "b.png")
    assert dream("photo.png", *QUICK, *plain)[0] == 0
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()
    assert dream("replay", "a.png", "--quiet")[0] == 0


def test_pictures_of_a_batch_and_of_a_grid_do_so_too(photo, tmp_path):
    recipe = Recipe(steps="0s: 1, 5s: 9", octaves=1)
    run = kd.batch([photo], tmp_path / "out", recipe, workers=1)
    told = [text for event in run for text in getattr(event, "notices", ())]
    assert any(SAYS in text for text in told)
    (made,) = (tmp_path / "out").glob("*.png")
    assert read_saved(made).record.steps == 1
    sheet = kd.grid(photo, x="jitter=1|2", recipe=recipe, size=32)
    assert all(cell.recipe.keyframes == () for cell in sheet.cells)


def test_a_film_that_fades_into_a_preset_and_its_recipe(dream, photo):
    """Flags hold for both ends; a value takes the place of keyframes of a file."""
    write_clip("clip.mp4", still(4, (32, 32)), rate=10)
    Path("near.json").write_text('{"objective": "near"}')
    fade = ("--fade-to", "near.json", "--fade", "0.1s-0.3s")
    own = ("--steps", 1, "--strength", "0s: 1, 9s: 2")
    code, _, error = dream("video", "clip.mp4", *QUICK, *own, *fade)
    assert code == 0, error
    recipe = read_recipe("clip-dream.mp4")
    assert [curve.setting for curve in recipe.keyframes] == ["objective", "strength"]
    assert [str(recipe.at_time(t).objective) for t in (0, 0.2, 0.3)] == [
        "far",
        "0.5*far + 0.5*near",
        "near",
    ]
    assert (recipe.steps, recipe.octaves) == (1, 1)
    code, _, error = dream(
        "video", "clip.mp4", "--recipe", "clip-dream.mp4", "--objective", "pool",
        "--steps", "0f: 1, 3f: 4", "--strength", 1, "-o", "b.mp4",
    )  # fmt: skip
    assert code == 0, error
    code, _, error = dream(
        "zoom", "photo.png", *QUICK, "--steps", 1, "--seconds", 0.12, "--size", 48,
        "--rate", "0s: 1.02, 1s: 1.05", "--later-steps", "0s: 1, 1s: 0", "-o", "z.mp4",
    )  # fmt: skip
    assert code == 0, error
    zoom = read_recipe("z.mp4")
    assert [curve.text for curve in zoom.keyframes] == [
        "camera.rate: 0s=1.02, 1s=1.05",
        "video.later_steps: 0s=1, 1s=0",
    ]
    again = read_recipe("b.mp4")
    assert [curve.text for curve in again.keyframes] == ["steps: 0f=1, 3f=4"]
    code, shown, _ = dream("show", "b.mp4", "--json")
    assert json.loads(shown)["recipe"]["keyframes"] == ["steps: 0f=1, 3f=4"]
    assert len(list(open_source("b.mp4").frames())) == 4


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--fade-to", "reeef"), "A preset must be one that exists; received 'reeef'"),
        (("--fade-to", "no.json"), "'no.json'"),
        (("--fade-to", "eyes"), "from a network with a dense classifier"),
        (("--border", "0s: 0, 9s: 900"), "900"),
        (("--fade-to", "reef", "--fade", "soon"), "A keyframe's time must be"),
        (("--fade-to", "reef", "--fade", "5s-3s"), "begin before it ends"),
        (("--fade-to", "reef", "--fade", "1s-50%"), "in the same unit"),
        (("--fade", "1s-2s"), "--fade must stand beside --fade-to"),
        (("--depth", "16"), "by the bits of its encoding"),
        (("--steps", "0s: 1, 2s: few"), "`steps` must be a whole number"),
        (("--carry", "0s: 1, 2s: 3"), "`carry` must be a finite number from 0 to 1"),
        (("--keyframe", "size: 0s=32"), "can change during a film"),
        (("--strength", "follow(loudness, 1, 2)"), "must have a film with a track"),
    ],
)
def test_wrong_flags_are_one_sentence(dream, photo, flags, says):
    write_clip("clip.mp4", still(2, (32, 32)))
    code, out, error = dream("video", "clip.mp4", *QUICK, *flags)
    assert (code, out) == (2, ""), error
    assert not list(Path().glob(".*.video"))
    (sentence,) = (line for line in error.splitlines() if line.startswith("dream: "))
    assert says in sentence
