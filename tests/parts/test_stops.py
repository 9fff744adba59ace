"""Stops: when an octave ends, why, and that it is said."""

import numpy as np
import pytest
from reference import picture

import keras_dream as kd
from keras_dream.engine import loop
from keras_dream.recipe.recipe import Recipe


def run(image, recipe, losses, backend):
    """Runs a dream whose losses are given and whose every step is up."""
    values = iter(losses)

    def gradient(x, size, *, view, original):
        ones = np.ones((*size, 3), np.float32)
        return backend.multiply(backend.mean(backend.image(ones)), next(values)), (
            backend.image(ones)
        )

    ended = []
    made = loop.run(
        image,
        loop.octaves_of(image.shape[:2], recipe),
        recipe,
        gradient_of=lambda _: gradient,
        backend=backend,
        result=lambda image, losses, complete, ended=(): (image, losses, ended),
    )
    steps = [(step.octave, step.iteration) for step in made]
    return steps, *made.dream, ended


def test_a_plateau_ends_an_octave_alone(backend):
    recipe = Recipe(octaves=2, steps=8, stop="plateau(3, 0.1)")
    flat = [1.0, 2.0, 3.0, 3.1, 3.2, 3.25]  # 3 is followed by three within a tenth
    rising = [float(n) for n in range(1, 9)]
    steps, _, losses, ended, _ = run(picture(40, 40), recipe, flat + rising, backend)
    assert [len(losses[octave]) for octave in "12"] == [6, 8]
    assert steps[-1] == (2, 8)
    assert ended == (
        "Octave 1 ended after 6 of 8 steps: its loss has not risen in 3 steps.",
    )


def test_losses_below_zero_have_plateaus_too(backend):
    recipe = Recipe(octaves=1, steps=9, stop="plateau(2, 0.01)")
    values = [-5.0, -4.0, -3.0, -2.0, -1.995, -1.99, -9, -9, -9]
    steps, *_ = run(picture(40, 40), recipe, values, backend)
    assert len(steps) == 6


@pytest.mark.backends
def test_each_octave_may_go_its_share_of_a_distance(backend):
    recipe = Recipe(
        octaves=2,
        steps=20,
        stop="distance(0.1)",
        step_size=0.01,
        clamp=False,
        detail="before",
    )
    image = picture(40, 40)
    _, made, losses, ended, _ = run(image, recipe, [1.0] * 40, backend)
    assert [len(losses[octave]) for octave in "12"] == pytest.approx([5, 5], abs=1)
    assert np.sqrt(np.mean((made - image) ** 2)) == pytest.approx(0.1, abs=0.011)
    assert all("away from the photo" in sentence for sentence in ended)


def test_the_record_says_why_it_ended(motif):
    recipe = Recipe(octaves=1, steps=30, step_size=0.01, stop="distance(0.05)")
    made = kd.Dreamer("motif").dream(picture(40, 40), recipe)
    assert made.record.complete
    assert made.record.steps < 30
    assert "away from the photo" in made.record.notices[-1]
    again = kd.Recipe.read(made.recipe.json_text())
    assert again.stop == recipe.stop


def test_the_person_is_told(dream, photo):
    code, _, err = dream(photo, "--steps", 9, "--octaves", 1, "--stop", "plateau(1, 1)")
    assert code == 0
    assert "ended after 2 of 9 steps: its loss has not risen in 1 steps" in err
