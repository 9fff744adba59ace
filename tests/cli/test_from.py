"""`dream --from DREAM`: a stopped dream goes on, a finished one runs once more."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import keras_dream as kd
from keras_dream.engine.checkpoint import Context
from keras_dream.files import checkpoint_path, sha256_file
from keras_dream.pictures.picture import read_picture
from keras_dream.replay import read_saved, start_of

RECIPE = kd.Recipe(steps=3, octaves=2, jitter=4, canvas="decorrelated")


@pytest.fixture
def stopped(motif, photo):
    """Stops a dream after four of its six steps; with its canvas, if that is asked."""

    def stop(*, canvas, source=photo, recipe=RECIPE):
        run = kd.Dreamer("motif").steps(str(source), recipe)
        for _ in range(4):
            next(run)
        path = run.dream.save("photo-dream.png")
        if canvas:
            context = Context(picture_sha256=sha256_file(path))
            run.checkpoint.save(checkpoint_path(path), context=context)
        return run.finish()

    return stop


def test_a_saved_canvas_goes_on_exactly(dream, stopped):
    whole = stopped(canvas=True)
    code, out, err = dream("--from", "photo-dream.png", "--quiet")
    assert (code, err) == (0, "")
    path = Path(out.strip())
    assert path.read_bytes() == whole.encode()
    assert read_saved(path).record.complete
    code, _, err = dream("replay", path, "--quiet")
    assert code == 0, err


def test_without_a_canvas_it_is_alike_and_says_so(dream, stopped):
    whole = stopped(canvas=False)
    code, _, err = dream("--from", "photo-dream.png")
    assert code == 0
    assert (
        "goes on from the picture's 8 bits, because photo-dream.png.canvas.npz" in err
    )
    path = Path("photo-dream-2.png")
    made = read_picture(path).pixels
    assert 0 < np.abs(made - whole.image.clip(0, 1)).mean() < 0.01
    record = read_saved(path).record
    assert record.start_sha256
    assert list(map(len, record.losses.values())) == [3, 3]


def test_the_canvas_of_another_picture_is_not_used(dream, stopped):
    stopped(canvas=True)
    other = kd.Dreamer("motif").steps("photo.png", RECIPE.but(seed=3))
    next(other)
    other.dream.save("photo-dream.png")
    code, _, err = dream("--from", "photo-dream.png")
    assert code == 0
    assert "is that of another picture" in err


def test_a_finished_dream_runs_its_recipe_once_more(dream, photo, motif):
    made = kd.Dreamer("motif").dream(str(photo), RECIPE)
    made.save("photo-dream.png")
    code, out, _ = dream("--from", "photo-dream.png", "--quiet", "--steps", 2)
    assert code == 0
    saved = read_saved(out.strip())
    assert saved.recipe == made.recipe.but(steps=2)
    assert saved.record.steps == 4
    start = read_picture("photo-dream.png").pixels
    again = kd.Dreamer("motif").dream(str(photo), RECIPE, start=start, steps=2)
    assert np.array_equal(read_picture(out.strip()).pixels, to_8_bits(again.image))


def to_8_bits(image):
    return np.rint(image.clip(0, 1) * 255).astype(np.float32) / np.float32(255)


def test_other_settings_go_over_the_recipe(dream, stopped):
    """Where the canvas changes, it begins anew from the picture."""
    stopped(canvas=True)
    code, _, err = dream("--from", "photo-dream.png", "--objective", "near:1")
    assert code == 0
    assert "begins anew" not in err
    assert str(read_saved("photo-dream-2.png").recipe.objective) == "near:1"
    code, _, err = dream("--from", "photo-dream.png", "--canvas", "pixels")
    assert code == 0
    assert "begins anew from the picture, with another canvas" in err
    assert read_saved("photo-dream-3.png").record.steps == 6


def test_the_photo_is_beside_it_or_named(dream, stopped, photo):
    stopped(canvas=True)
    Path("elsewhere").mkdir()
    moved = photo.rename("elsewhere/photo.png")
    code, _, err = dream("--from", "photo-dream.png")
    assert code == 2
    assert "source of a dream must be beside it" in err
    code, _, err = dream(moved, "--from", "photo-dream.png", "--quiet")
    assert code == 0, err
    code, _, err = dream(moved, moved, "--from", "photo-dream.png")
    assert code == 2
    assert "must go on with its own photo" in err


def test_a_source_without_a_photo_goes_on(dream, stopped):
    whole = stopped(canvas=True, source="perlin:40x36", recipe=RECIPE)
    code, out, _ = dream("--from", "photo-dream.png", "--quiet")
    assert code == 0
    assert Path(out.strip()).read_bytes() == whole.encode()


def test_a_picture_that_is_no_dream(dream, photo):
    code, _, err = dream("--from", photo)
    assert code == 2
    assert "must hold the recipe of its dream" in err


def test_transparent_results_need_an_alpha_channel(dream, photo):
    code, _, err = dream(photo, "--transparency", "-o", "a.jpg")
    assert code == 2
    assert "A transparent result must be a .png, .webp, .tif or .exr file" in err
    assert not Path("a.jpg").exists()
    code, _, err = dream(
        photo, "--transparency", "--steps", 1, "-o", "a.png", "--quiet"
    )
    assert code == 0, err
    assert 0 < read_picture("a.png").alpha.mean() < 1


def test_a_very_long_dream_goes_on_where_it_was(stopped):
    """Of a long run the record has each octave's first loss and its last."""
    recipe = RECIPE.but(per_octave=["1: steps=2"])
    stopped(canvas=False, recipe=recipe)
    saved = read_saved("photo-dream.png")
    ends = {"1": [1.0, 2.0], "2": [3.0]}
    record = replace(saved.record, losses=ends, steps=5)
    start, _ = start_of(replace(saved, record=record), saved.recipe)
    assert (start.octave, start.iteration) == (2, 3)


def test_what_is_piped_has_nothing_beside_it(dream, photo):
    code, _, err = dream(photo, "-o", "-", "--save-octaves")
    assert code == 2
    assert "leave out --save-octaves" in err


def test_show_tells_the_start(dream, stopped):
    stopped(canvas=False)
    dream("--from", "photo-dream.png", "--strip", "-o", "on.png")
    shown = dream("show", "on.png")[1]
    assert "start_sha256" in shown
    assert "stripped" in shown
