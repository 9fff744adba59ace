"""The public verbs, on small networks: gradients, records, names and refusals."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small_models
from reference import off, picture

import keras_dream as kd
from keras_dream.engine.cost import seconds
from keras_dream.engine.result import MOST_RECIPE
from keras_dream.errors import (
    InputError,
    NetworkError,
    ObjectiveError,
    PictureError,
    SettingError,
)
from keras_dream.pictures.picture import as_picture
from keras_dream.replay import read_saved
from keras_dream.zoo.network import asks_for_class


@pytest.fixture(scope="module")
def smooth():
    """A network without kinks, so that differences converge to the slope."""
    import keras
    from keras import layers

    x = image = keras.Input((None, None, 3))
    x = layers.Conv2D(8, 3, strides=2, activation="tanh", name="first")(x)
    x = layers.AveragePooling2D(2, name="pool")(x)
    x = layers.Conv2D(6, 3, padding="same", activation="silu", name="second")(x)
    model = keras.Model(image, x, name="smooth")
    return kd.Dreamer(small_models.randomise(model, 5), preprocessing="tf")


@pytest.fixture(scope="module")
def stacked():
    return kd.Dreamer(small_models.made(small_models.sequential))


SUM = kd.Recipe(objective="first:1-3 + 2*second - 0.5*second:0", border=1)


def test_a_model_that_is_no_square():
    def build():
        import keras
        from keras import layers

        image = keras.Input((64, 32, 3))
        x = layers.MaxPooling2D(4)(layers.Conv2D(4, 3, padding="same")(image))
        return keras.Model(image, layers.Dense(5, name="scores")(layers.Flatten()(x)))

    dreamer = kd.Dreamer(small_models.made(build), preprocessing="tf")
    recipe = kd.Recipe(objective="scores:1", octaves=2, steps=1)
    dream = dreamer.dream(picture(64, 32), recipe)
    assert len(dream.record.losses) == 1
    with pytest.raises(PictureError, match="at least 32 × 64 pixels"):
        dreamer.dream(picture(60, 60), recipe)
    with pytest.raises(PictureError, match=r"border of 2 leaves nothing of scores"):
        dreamer.gradient(picture(64, 32), recipe.but(border=2))


def test_octaves_at_which_feature_maps_do_not_meet():
    def build():
        import keras
        from keras import layers

        image = keras.Input((None, None, 3))
        x = layers.MaxPooling2D(4)(layers.Conv2D(4, 3, padding="same")(image))
        x = layers.UpSampling2D(4)(x)
        return keras.Model(image, layers.Concatenate(name="joined")([x, image]))

    dreamer = kd.Dreamer(small_models.made(build), preprocessing="tf")
    recipe = kd.Recipe(objective="joined", octaves=2, steps=1)
    octaves, notices = dreamer.octaves((68, 92), recipe)
    assert [octave.size for octave in octaves] == [(68, 92)]
    (notice,) = notices
    assert notice == (
        "Octave 1 of 2 is skipped: at 65 × 48 pixels joined joins feature maps of "
        "unlike sizes, 64 × 48 and 65 × 48."
    )
    with pytest.raises(PictureError, match=r"at least 96 × 68 pixels .* unlike sizes"):
        dreamer.octaves((68, 93), recipe.but(octaves=1))


def test_a_border_that_leaves_nothing_is_named(smooth):
    recipe = kd.Recipe(objective="second", border=8, loss="mean")
    with pytest.raises(PictureError, match="a border of 8 leaves nothing of second"):
        smooth.gradient(picture(30, 27), recipe)


def test_features_of_an_early_layer_run_nothing_behind_it(smooth):
    image = picture(3, 3)  # too small for the later layers
    assert smooth.features(image, ["first"])["first"].shape == (1, 1, 8)
    with pytest.raises(NetworkError, match="pool has no cells left"):
        smooth.features(image, ["second"])


@pytest.mark.backends
@pytest.mark.parametrize("loss", ["l2", "l2_mean", "mean", "half_sum"])
def test_gradient_against_central_differences(loss, smooth):
    image, recipe = picture(30, 27, low=0.2, high=0.8), SUM.but(loss=loss)
    value, slope = smooth.gradient(image, recipe)
    assert isinstance(value, float)
    assert (slope.shape, slope.dtype) == (image.shape, np.float32)
    generator, step = np.random.default_rng(0), 1e-2
    for _ in range(5):
        # Along the gradient's signs in part, so that float32 has something to tell.
        way = np.sign(slope) + generator.normal(size=image.shape)
        way = (way / np.abs(way).max()).astype(np.float32)
        ahead, _ = smooth.gradient(image + step * way, recipe)
        behind, _ = smooth.gradient(image - step * way, recipe)
        expected = float((slope.astype(np.float64) * way).sum())
        assert (ahead - behind) / (2 * step) == pytest.approx(expected, rel=2e-3)


@pytest.mark.backends
def test_losses_by_hand(smooth):
    image = picture(30, 27)
    x = smooth.features(image, ["second"])["second"].astype(np.float64)
    inner = x[1:-1, 1:-1]
    expected = {
        "l2": (inner**2).sum() / x.size,
        "l2_mean": (inner**2).mean(),
        "mean": inner.mean(),
        "half_sum": 0.5 * (inner**2).sum(),
    }
    recipe = kd.Recipe(objective="second", border=1)
    for loss, value in expected.items():
        found, _ = smooth.gradient(image, recipe.but(loss=loss))
        assert found == pytest.approx(value, rel=1e-5)


@pytest.mark.backends
def test_channels_of_a_layer(smooth):
    image = picture(30, 27)
    x = smooth.features(image, ["second"])["second"].astype(np.float64)
    found, _ = smooth.gradient(image, kd.Recipe(objective="second:1,4-5"))
    assert found == pytest.approx((x[..., [1, 4, 5]] ** 2).mean(), rel=1e-5)
    with pytest.raises(ObjectiveError, match="from 0 to 5"):
        smooth.gradient(image, kd.Recipe(objective="second:6"))


@pytest.mark.backends
def test_a_class_score_is_averaged_over_all_positions(stacked):
    image = picture(30, 27)
    (scores,) = stacked.features(image, ["dense@1"]).values()
    del scores  # the class's score is the one before its softmax
    node = stacked.graph.classifier
    assert node.endswith("/linear")
    found, slope = stacked.gradient(image, kd.Recipe(objective="class:2", border=5))
    moved, _ = stacked.gradient(
        image + 1e-3 * np.sign(slope), kd.Recipe(objective="class:2")
    )
    assert moved > found
    with pytest.raises(ObjectiveError, match="number below 5"):
        stacked.gradient(image, kd.Recipe(objective="class:7"))


def test_layers_sugar_is_the_objective(smooth):
    image = picture(30, 27)
    sugar = kd.Recipe.of({"layers": {"first": 0.5, "second": -2}})
    text = kd.Recipe(objective="0.5*first - 2*second")
    one, other = (smooth.gradient(image, recipe) for recipe in (sugar, text))
    assert one[0] == other[0]
    assert off(one[1], other[1]) < 1e-6


def test_the_dreamers_network_wins_and_is_recorded(smooth):
    recipe = kd.presets["book1"].but(objective="second", steps=1, octaves=1)
    made = smooth.dream(picture(30, 27), recipe)
    assert made.recipe.network == made.record.network == "model:smooth"
    assert str(made.recipe.objective) == "second"
    assert made.record.complete
    assert made.record.size == (30, 27)


def test_the_record_is_free_of_paths_and_times(smooth, tmp_path):
    from PIL import Image

    path = tmp_path / "photo of mine.png"
    Image.fromarray((picture(30, 27) * 255).astype("u1")).save(path)
    recipe = kd.Recipe(objective="second", steps=2, octaves=2)
    one, other = (smooth.dream(path, recipe) for _ in range(2))
    text = json.dumps(one.record.data())
    assert json.dumps(other.record.data()) == text
    assert str(tmp_path) not in text
    assert os.sep + "tmp" not in text
    assert one.record.source == "photo of mine.png"
    assert [len(found) for found in one.record.losses.values()] == [2, 2]
    for step in smooth.steps(path, recipe):
        assert not step.dream.record.complete


def test_long_records_are_cut(smooth):
    from dataclasses import replace

    made = smooth.dream(picture(30, 27), kd.Recipe(objective="second", steps=1))
    losses = {"1": [float(k) for k in range(5000)], "2": [float("nan")]}
    data = replace(made.record, losses=losses).data()
    assert data["losses"] == {"1": [0.0, 4999.0], "2": [None]}


def test_a_model_needs_an_objective_and_its_preprocessing():
    model = small_models.made(small_models.convolutions)
    with pytest.raises(NetworkError, match="preprocessing"):
        kd.Dreamer(model)
    dreamer = kd.Dreamer(model, preprocessing="tf")
    with pytest.raises(NetworkError, match="objective must be given"):
        dreamer.dream(picture(40, 40), kd.Recipe(steps=1))
    with pytest.raises(NetworkError, match="given by name"):
        kd.Dreamer(model, preprocessing="tf", weights="x.h5")
    with pytest.raises(NetworkError, match="model of your own"):
        kd.Dreamer("squeezenet", preprocessing="tf")


@pytest.mark.parametrize(
    ("asked", "error", "match"),
    [
        ({"network": "inception"}, NetworkError, "inception_v3"),
        ({"stepz": 3}, SettingError, "'steps'"),
        ({"steps": -3}, SettingError, "`steps` must be"),
        ({"recipe": "book"}, SettingError, "preset must be"),
        ({"backend": "numpy"}, SettingError, "`backend` must be"),
    ],
)
def test_kd_dream_refuses_in_one_sentence(asked, error, match):
    with pytest.raises(error, match=match) as refusal:
        kd.dream(picture(40, 40), **asked)
    assert str(refusal.value).endswith(".")


def test_kd_dream_takes_a_model_and_any_setting(tmp_path):
    made = kd.dream(
        picture(40, 44),
        network=small_models.made(small_models.convolutions),
        preprocessing="tf",
        layers={"pointwise": 1.0},
        steps=2,
        octaves=2,
        threads=2,
    )
    assert made.image.shape == (40, 44, 3)
    assert made.recipe.steps == 2
    assert made.record.run["threads"] == 2
    assert made.save(tmp_path / "out.png").is_file()


def test_the_examples_of_the_readme_in_small(smooth):
    """Steps are frozen, recipes are values, a break is a stop."""
    seen = []
    recipe = kd.presets["book1"].but(steps=5, objective="second")
    for step in smooth.steps(picture(60, 60), recipe):
        seen.append(step)
        if step.octave == 2:
            break
    assert seen[-1].dream.image.shape == (60, 60, 3)
    assert kd.parse("0.2*mixed2 + 3*mixed3").text == "0.2*mixed2 + 3.0*mixed3"


@pytest.mark.parametrize("kind", ["grey", "alpha", "bytes"])
def test_pictures_of_every_shape(kind, smooth):
    image = picture(40, 44)
    photo = {
        "grey": image[..., 0],
        "alpha": np.dstack([image, image[..., 0]]),
        "bytes": (image * 255).astype("u1"),
    }[kind]
    made = smooth.dream(photo, kd.Recipe(objective="second", steps=1, octaves=1))
    assert made.image.shape == image.shape
    assert (made.alpha is not None) == (kind == "alpha")


def test_pictures_too_small(smooth):
    with pytest.raises(PictureError, match="sides of at least"):
        smooth.dream(picture(3, 3), kd.Recipe(objective="second"))
    with pytest.raises(ObjectiveError, match="'second'"):
        smooth.dream(picture(40, 40), kd.Recipe(objective="secnd"))


@pytest.mark.parametrize(
    "image",
    [
        np.zeros(10, np.float32),
        np.zeros((20, 20), np.float32),
        np.zeros((20, 20, 4), np.float32),
        np.zeros((0, 20, 3), np.float32),
        np.zeros((20, 20, 3), np.uint8),
        [[[0.0, 0.0, 0.0]]],
    ],
    ids=["row", "grey", "alpha", "empty", "8-bit", "list"],
)
def test_images_of_another_shape(image, smooth):
    recipe = kd.Recipe(objective="first")
    for look in (smooth.gradient, lambda x, _: smooth.features(x, ["first"])):
        with pytest.raises(InputError, match="array of floats"):
            look(image, recipe)


def test_a_border_tells_the_size_that_it_needs(smooth):
    recipe = kd.Recipe(objective="second", border=1000, octaves=1, steps=1)
    with pytest.raises(PictureError, match=r"at least (\d+) pixels") as error:
        smooth.dream(np.zeros((30, 30, 3), np.float32), recipe)
    needed = int(re.search(r"at least (\d+)", str(error.value)).group(1))
    assert smooth.octaves((needed, needed), recipe)
    with pytest.raises(PictureError):
        smooth.octaves((needed - 1, needed), recipe)


def test_one_dreamers_backend_is_not_the_next_ones():
    """Unless Keras runs, which cannot change it."""
    code = (
        "import os, keras_dream as kd\n"
        "kd.Dreamer(run=kd.RunSettings(backend='torch'))\n"
        "print('KERAS_BACKEND' in os.environ)\n"
        "kd.Dreamer()\n"
        "print(os.environ['KERAS_BACKEND'])"
    )
    clean = {k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"}
    run = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env={**clean, "PYTHONPATH": str(Path(kd.__file__).parents[1])},
    )
    assert run.stdout.split() == ["False", "torch"]


def test_the_weights_of_opaque_layers_are_recorded():
    import keras
    from keras import layers

    model = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            layers.Conv2D(4, 3, name="first"),
            layers.GroupNormalization(2, name="groups"),
        ]
    )

    def sha256():
        dreamer = kd.Dreamer(model, preprocessing="tf")
        assert "groups" in dreamer.graph.opaque
        picture = as_picture(np.zeros((9, 9, 3), np.float32))
        return dreamer.record(picture).weights_sha256

    before = sha256()
    assert sha256() == before
    for variable in model.get_layer("groups").weights:
        variable.assign(variable + 1)
    assert sha256() != before


def test_which_networks_need_their_classes():
    assert asks_for_class(kd.Recipe(objective="class:eye - mixed3")) == {"motif"}
    assert not asks_for_class(kd.Recipe(objective="mixed3"))
    assert not asks_for_class(kd.Recipe())


def test_octaves_that_follow_the_picture_are_recorded_as_a_number(smooth):
    recipe = kd.Recipe(objective="second", steps=1)
    large = smooth.dream(picture(200, 400), recipe)
    assert large.recipe.octaves == 2
    assert list(large.record.losses) == ["1", "2"]
    assert smooth.dream(picture(200, 200), recipe).recipe.octaves == 1
    again = smooth.dream(picture(200, 400), large.recipe)
    assert np.array_equal(again.image, large.image)
    assert seconds((200, 400), recipe) == seconds((200, 400), recipe.but(octaves=2))


def test_two_dreams_of_one_dreamer_do_not_know_each_other(smooth):
    image, recipe = picture(40, 44), kd.Recipe(objective="second", steps=2, octaves=2)
    first = smooth.dream(image, recipe).image
    smooth.dream(picture(33, 31), SUM.but(steps=1))
    assert np.array_equal(smooth.dream(image, recipe).image, first)
    assert np.array_equal(image, picture(40, 44))  # what was given is as it was


def test_a_border_larger_than_the_layer_is_named(smooth):
    """Not a loss that is no number, and a gradient of zeros."""
    recipe = kd.Recipe(objective="second", border=30)
    with pytest.raises(PictureError, match="a border of 30 leaves nothing of second"):
        smooth.gradient(picture(40, 37), recipe)
    with pytest.raises(PictureError, match="a border of 30 leaves nothing of second"):
        smooth.steps(picture(40, 37), recipe)
    # Published recipes run such octaves as they always did.
    loss, gradient = smooth.gradient(
        picture(40, 37), recipe.but(small_octaves="run", loss="l2")
    )
    assert loss == 0
    assert not gradient.any()


def test_octaves_that_a_network_cannot_join_are_skipped():
    """A U-Net joins maps that were halved and doubled: odd sizes do not fit."""
    import keras
    from keras import layers

    image = keras.Input((None, None, 3))
    half = layers.Conv2D(4, 3, strides=2, padding="same", name="half")(image)
    quarter = layers.Conv2D(4, 3, strides=2, padding="same", name="quarter")(half)
    grown = layers.UpSampling2D(name="grown")(quarter)
    joined = layers.Concatenate(name="joined")([half, grown])
    model = keras.Model(image, joined, name="unet")
    dreamer = kd.Dreamer(model, preprocessing="tf")
    recipe = kd.Recipe(objective="joined", octaves=4, steps=1)
    octaves, notices = dreamer.octaves((128, 180), recipe)
    assert octaves[-1].size == (128, 180)
    (notice,) = notices
    assert notice.startswith(f"Octaves 1-{4 - len(octaves)} of 4 are skipped: at ")
    assert notices
    assert all("joined joins feature maps of unlike sizes" in n for n in notices)
    made = dreamer.dream(picture(128, 180), recipe)
    assert made.record.notices == notices
    with pytest.raises(PictureError, match="unlike sizes"):
        dreamer.dream(picture(130, 30), recipe.but(octaves=1))


def test_a_dream_can_start_from_a_given_image(smooth):
    photo, start = picture(40, 37), picture(40, 37)[::-1].copy()
    recipe = kd.Recipe(objective="second", octaves=2, steps=2)
    run = smooth.steps(photo, recipe, start=start)
    assert np.array_equal(run.dream.image, start)
    made = run.finish()
    assert np.array_equal(made.image, smooth.dream(start, recipe).image)
    assert made.record.source_sha256 == smooth.dream(photo, recipe).record.source_sha256
    assert made.record.start_sha256 == as_picture(start).sha256
    assert "start_sha256" not in smooth.dream(photo, recipe).record.data()
    with pytest.raises(InputError, match="photo's size"):
        smooth.steps(photo, recipe, start=start[:30])


def test_the_photo_is_read_at_the_call(smooth):
    photo = picture(40, 37)
    recipe = kd.Recipe(objective="second", octaves=1, steps=1)
    expected = smooth.dream(photo, recipe)
    run = smooth.steps(photo, recipe)
    photo[:] = 0
    assert np.array_equal(run.finish().image, expected.image)
    with pytest.raises(PictureError):
        smooth.steps("no-such-photo.png", recipe)


def test_run_settings_reach_the_record_whole():
    settings = kd.RunSettings(threads=2, offline=True)
    dreamer = kd.Dreamer("motif", run=settings)
    run = dreamer.dream(picture(64, 64), kd.Recipe(octaves=1, steps=1)).record.run
    # What changes no pixel: files must be equal whatever it was.
    unrecorded = {"offline", "memory", "halo"}
    assert set(run) == set(kd.RunSettings.model_fields) - unrecorded
    assert (run["threads"], run["gradient"]) == (2, "whole")
    assert run["device"] is not None


def test_the_gradient_is_chosen_by_the_run_settings(monkeypatch, motif):
    """What is registered under its name computes every gradient."""
    from keras_dream.engine.tiled import GRADIENTS, CellGradient

    calls = []

    class Counting(CellGradient):
        def __call__(self, image, size, **seen):
            calls.append(size)
            return super().__call__(image, size, **seen)

    monkeypatch.setitem(GRADIENTS, "cells", Counting)
    dreamer = kd.Dreamer("motif", run=kd.RunSettings(gradient="cells 2x2"))
    dreamer.dream(picture(40, 37), kd.Recipe(octaves=1, steps=3))
    assert calls == [(40, 37)] * 3


def test_a_network_of_one_size_names_it():
    import keras
    from keras import layers

    image = keras.Input((16, 12, 3))
    rectified = layers.PReLU(name="rectified")(layers.Conv2D(4, 3)(image))
    dreamer = kd.Dreamer(
        keras.Model(image, rectified, name="fixed"), preprocessing="tf"
    )
    recipe = kd.Recipe(objective="rectified", octaves=2, steps=1)
    with pytest.raises(PictureError, match="exactly 12 × 16 pixels"):
        dreamer.dream(picture(40, 30), recipe)
    made = dreamer.dream(picture(16, 12), recipe)
    assert list(made.record.losses) == ["2"]


def test_a_loss_that_nothing_uses_is_told():
    dreamer = kd.Dreamer("motif")
    recipe = kd.Recipe(objective="class:eye", octaves=1, loss="mean")
    assert "The loss mean is not used" in dreamer.octaves((64, 64), recipe)[1][-1]
    assert not dreamer.octaves((64, 64), recipe.but(loss="l2_mean"))[1]
    assert not dreamer.octaves((64, 64), recipe.but(objective="mixed2"))[1]
    elsewhere = (
        {"per_octave": ["1: objective=mixed2"]},
        {"regions": ["box(0%, 0%, 50%, 100%): mixed2"]},
    )
    for change in elsewhere:
        assert not dreamer.octaves((64, 64), recipe.but(**change))[1]


def test_a_larger_crop_is_advised_where_there_is_one():
    dreamer, recipe = kd.Dreamer("motif"), kd.Recipe(octaves=1, border=4)
    for transforms, is_advised in (("flip", False), ("flip + crop(12)", True)):
        with pytest.raises(PictureError) as error:
            dreamer.octaves((12, 12), recipe.but(transforms=transforms))
        assert ("a larger crop" in str(error.value)) is is_advised


def test_a_recipe_too_long_for_a_picture_is_refused_before_the_dream():
    text = " + ".join(f"{weight}*mixed3" for weight in range(1, 600))
    recipe = kd.Recipe(objective="mixed3", per_octave=[f"1: objective={text}"] * 4)
    with pytest.raises(SettingError, match="so that a picture can hold it"):
        kd.Dreamer("motif").steps(np.full((40, 40, 3), 0.5, np.float32), recipe)


def test_the_longest_record_fits_into_a_picture(tmp_path):
    dream = kd.Dreamer("motif").dream(np.full((40, 40, 3), 0.5, np.float32), steps=1)
    long = replace(
        dream.record,
        losses={str(n): [-1.23456e-10] * 100 for n in range(20)},
        strongest={
            "motif": {f"mixed{n}:strongest(999)": range(999) for n in range(99)}
        },
    )
    text = " + ".join(f"{weight}*mixed3" for weight in range(1000, 1600))
    recipe = kd.Recipe(objective=text, per_octave=[f"1: objective={text}"])
    assert MOST_RECIPE - 5_000 < len(recipe.json_text()) < MOST_RECIPE
    replace(dream, recipe=recipe, record=long).save(tmp_path / "long.jpg")
    saved = read_saved(tmp_path / "long.jpg")
    assert saved.recipe == recipe
