"""Variations: each dream by another seed, and pushed away from those before it."""

import numpy as np
import pytest
from reference import picture

import keras_dream as kd
from keras_dream.errors import InputError, ObjectiveError
from keras_dream.pictures.synthetic import patches

IMAGE = picture(72, 72)
RECIPE = kd.Recipe(objective="2*mixed3 + class:owl", octaves=2, steps=6, step_size=0.01)


@pytest.fixture(scope="module")
def dreamer():
    return kd.Dreamer("motif")


def likeness(dreamer, one, two):
    """The mean cosine of the Gram matrices of all pairs."""
    grams = []
    for image in (one, two):
        features = dreamer.features(image.clip(0, 1), ["mixed3"])["mixed3"]
        cells = features.reshape(-1, features.shape[-1]).astype(np.float64)
        grams.append(cells.T @ cells)
    a, b = grams
    return (a * b).sum() / np.sqrt(np.square(a).sum() * np.square(b).sum())


def test_diverse_dreams_are_less_alike_than_those_of_seeds(dreamer):
    alike = {}
    for diversity in (0, 3):
        dreams = list(dreamer.variations(IMAGE, RECIPE, count=3, diversity=diversity))
        assert [dream.recipe.seed for dream in dreams] == [0, 1, 2]
        pairs = ((0, 1), (0, 2), (1, 2))
        alike[diversity] = np.mean(
            [likeness(dreamer, dreams[a].image, dreams[b].image) for a, b in pairs]
        )
        # Pushed, but not apart: each has moved about as far as the others.
        moved = [np.abs(dream.image - IMAGE).mean() for dream in dreams]
        assert max(moved) < 1.5 * min(moved)
    assert 1 - alike[3] > 2 * (1 - alike[0])


def test_a_pushed_dream_names_those_before_it(dreamer, tmp_path):
    first, second = dreamer.variations(IMAGE, RECIPE, count=2)
    assert first.recipe.objective == RECIPE.objective
    text = second.recipe.objective.text
    assert text.startswith("2.0*mixed3 + class:owl - 2.0*guide(variation-1.png#")
    assert text.endswith(", mixed3, gram)")
    # Saved beside it under that name, the first lets the second be made again.
    first.save(tmp_path / "variation-1.png")
    second.save(tmp_path / "variation-2.png")
    recipe = second.recipe
    fresh = kd.Dreamer("motif", files=[tmp_path / "variation-1.png"])
    again = fresh.dream(IMAGE, recipe)
    np.testing.assert_array_equal(again.image, second.image)


def test_variations_need_a_layer_and_a_number(dreamer):
    classes = kd.Recipe(objective="class:owl", octaves=1, steps=1)
    with pytest.raises(ObjectiveError, match="must have a layer"):
        list(dreamer.variations(IMAGE, classes, count=2))
    for wrong in ({"count": 0}, {"diversity": -1}, {"diversity": float("nan")}):
        with pytest.raises(InputError, match="1 or more"):
            list(dreamer.variations(IMAGE, RECIPE, **wrong))


def test_a_seed_chooses_places(dreamer):
    """A mask, and so a region, of random patches lies elsewhere for each seed."""
    recipe = kd.Recipe(objective="mixed3", mask="random(1)", octaves=1, steps=2)
    changed = []
    for seed in (0, 1):
        dreamed = dreamer.dream(IMAGE, recipe.but(seed=seed))
        assert dreamed.recipe.mask.text == "random(1)"
        changed.append((dreamed.image != IMAGE).any(-1))
        places = patches(seed, (72, 72), number=1)
        assert not changed[-1][places == 0].any()
        assert changed[-1][places > 0.5].mean() > 0.95
    assert (changed[0] != changed[1]).mean() > 0.2
