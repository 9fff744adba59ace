"""Transparency: opaque where the steps have looked, a fifth of the picture wholly."""

import numpy as np
import pytest
from reference import picture

import keras_dream as kd
from keras_dream.engine.transparency import opacity
from keras_dream.pictures.picture import Picture
from keras_dream.recipe.recipe import Recipe

RECIPE = Recipe(steps=2, octaves=2, jitter=0, transparency=True)


def test_the_strongest_fifth_is_opaque():
    total = np.random.default_rng(0).random((50, 40, 3), np.float32)
    alpha = opacity(total, Picture(total))
    assert (alpha == 1).mean() == pytest.approx(0.2, abs=0.01)
    ramp = np.linspace(0, 1, 101, dtype=np.float32)[None, :, None].repeat(40, 0)
    shown = opacity(ramp.repeat(3, 2), Picture(ramp.repeat(3, 2)))
    np.testing.assert_allclose(shown[20, 10:70], ramp[20, 10:70, 0] / 0.8, atol=0.01)
    assert opacity(np.zeros((5, 5, 3), np.float32), Picture(total[:5, :5])).min() == 1
    half = np.full((50, 40), 0.5, np.float32)
    np.testing.assert_allclose(opacity(total, Picture(total, half)), alpha / 2)
    assert opacity(total, Picture(np.zeros((100, 80, 3)))).shape == (100, 80)


@pytest.mark.backends
def test_a_dream_is_transparent_where_nothing_has_moved_it(motif):
    """Opacity goes with the change, and nothing else of the dream is another."""
    photo, dreamer = picture(40, 48), kd.Dreamer("motif")
    plain = dreamer.dream(photo, RECIPE.but(transparency=False))
    made = dreamer.dream(photo, RECIPE)
    assert plain.alpha is None
    assert np.array_equal(made.image, plain.image)
    assert made.alpha.shape == (40, 48)
    assert 0 <= made.alpha.min() < 0.9
    masked = dreamer.dream(photo, RECIPE.but(mask="box(0%, 0%, 50%, 100%)"))
    assert masked.alpha[:, 30:].max() < 0.05
    assert masked.alpha[:, :20].mean() > 0.3


def test_a_small_mask_leaves_a_transparent_picture(motif):
    """The strongest fifth is that of what the steps have reached."""
    made = kd.Dreamer("motif").dream(
        picture(48, 48), RECIPE.but(mask="box(75%, 75%, 100%, 100%)")
    )
    assert made.alpha is not None
    assert made.alpha[:24, :24].max() == 0
    assert 0.005 < (made.alpha == 1).mean() < 0.1


def test_a_step_is_as_transparent_as_it_is_so_far(motif):
    photo, dreamer = picture(40, 48), kd.Dreamer("motif")
    steps = list(dreamer.steps(photo, RECIPE))
    alphas = [step.dream.alpha for step in steps]
    assert not np.array_equal(alphas[0], alphas[-1])
    assert np.array_equal(alphas[-1], dreamer.dream(photo, RECIPE).alpha)
