"""What a dream may take: hours of work are found in every corner of a recipe."""

import time

import pytest

import keras_dream as kd
from keras_dream import Dreamer, presets
from keras_dream.cli.dream_run import MOST_SECONDS, check_work
from keras_dream.engine.cost import seconds
from keras_dream.errors import InputError
from keras_dream.recipe.recipe import Recipe

GUIDE = f"guide(a.jpg#{'0' * 64}, a)"
LONG = {
    "every step": Recipe(octaves=64, octaves_above=8, octave_scale=1.01, steps=100_000),
    "terms": Recipe(octaves=1, steps=40_000, objective=" + ".join(["a"] * 1_000)),
    "networks": Recipe(octaves=1, steps=30_000, objective="a" + "; b" * 15),
    "regions": Recipe(octaves=1, steps=10_000, regions=["box(0,0,9,9): a; b"] * 32),
    "octaves of their own": Recipe(
        octaves=8, octave_scale=1.05, per_octave=["1-: steps=100000"]
    ),
    "their own objective": Recipe(
        octaves=1,
        steps=40_000,
        per_octave=["1: objective=" + " + ".join(["a"] * 900)],
    ),
    "views": Recipe(octaves=1, steps=6_000, transforms="crop(16, 64)"),
    "views of views": Recipe(transforms=" + ".join(["crop(16, 64)"] * 32)),
    "octaves above": Recipe(octaves=1, octaves_above=8, octave_scale=4.0, steps=5),
    "filters": Recipe(steps=40_000, filters=" + ".join(["chroma(64)"] * 32)),
}


@pytest.mark.parametrize("recipe", LONG.values(), ids=LONG)
def test_a_long_dream_of_a_small_picture_is_asked_for(recipe: Recipe):
    with pytest.raises(InputError, match=r"--yes"):
        check_work((17, 17), recipe)


def test_what_was_seen_in_the_wild():
    recipe = LONG["every step"].but(objective=" + ".join(["a"] * 1_000))
    began = time.perf_counter()
    assert seconds((17, 17), recipe) > 100 * 3600  # it was predicted 116 hours
    assert time.perf_counter() - began < 5  # and predicting takes no time


@pytest.mark.parametrize(
    ("size", "settings", "more"),
    [
        ((600, 800), {"objective": GUIDE}, 2.0),
        ((600, 800), {"objective": "class:eye"}, 1.3),
        ((600, 800), {"canvas": "laplacian(levels=16)"}, 5.0),
        ((300, 300), {"filters": "smooth(sigma=64)"}, 3.0),
        ((600, 800), {"optimizer": "lbfgs(memory=100)"}, 1.1),
        ((600, 800), {"transforms": "rotate + scale"}, 1.1),
    ],
)
def test_parts_that_take_their_time(
    size: tuple[int, int], settings: dict[str, str], more: float
):
    plain = Recipe(objective="a", octaves=1)
    assert seconds(size, plain.but(**settings)) > more * seconds(size, plain)


@pytest.mark.parametrize("recipe", presets.values(), ids=presets)
def test_presets_on_photographs_are_not_asked_for(recipe: Recipe):
    check_work((1800, 2400), recipe)
    check_work((17, 17), recipe)


def test_the_default_on_the_largest_phones_photo():
    assert 0.5 * MOST_SECONDS < seconds((6000, 8000), presets["default"]) < MOST_SECONDS


def test_a_loaded_network_counts_as_what_it_is(motif):
    dreamer, size = Dreamer("motif"), (400, 600)
    recipe = Recipe(octaves=2, steps=10, objective="far")
    known, unknown = dreamer.seconds(size, recipe), seconds(size, recipe)
    assert 0.02 * unknown < known < 0.5 * unknown  # two small convolutions
    near = dreamer.seconds(size, recipe.but(objective="near"))
    assert near < known
    assert dreamer.seconds(size, recipe.but(objective="near; motif: near")) > near
    tiny = recipe.but(octaves=20)  # the first of them are too small
    assert dreamer.seconds((40, 60), tiny) < 2 * dreamer.seconds((40, 60), recipe) + 2


def test_a_large_network_is_asked_for_when_it_is_known(inception):
    network = kd.Network(inception, preprocessing="tf")
    dreamer = Dreamer(network)
    recipe = Recipe(octaves=1, steps=20, objective="mixed5")
    # Its constant is that of Inception V3, measured: 0.4 s for 400 × 600 pixels.
    assert dreamer.seconds((400, 600), recipe) == pytest.approx(20 * 0.4, rel=0.3)
    assert dreamer.seconds((400, 600), recipe) == pytest.approx(
        seconds((400, 600), recipe), rel=0.3
    )
