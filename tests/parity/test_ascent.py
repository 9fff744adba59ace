"""Normalizers, nothing done and stop rules: what a dream must do at the edges."""

import numpy as np
import pytest
from parity.standin import StandIn, dream
from reference import picture

from keras_dream import presets
from keras_dream.parts.normalizers import Normalizer

pytestmark = pytest.mark.backends

NAMES = ("book1", "kerasio", "book2", "tftut", "google2015", "default")


def moved(recipe, gradient, backend):
    gradients = (backend.image(gradient),)
    normalizer = Normalizer(recipe.normalizer, recipe.epsilon, backend)
    optimizer = recipe.optimizer
    _, (update,) = optimizer.step(
        backend,
        optimizer.start(),
        gradients,
        divisor=normalizer.divisor(gradients[0]),
        step_size=recipe.step_size,
    )
    return backend.to_image(update)


@pytest.mark.parametrize("name", NAMES)
def test_a_loss_a_thousand_times_as_large_makes_the_same_step(name, backend):
    gradient = (picture(20, 30) - 0.5).astype(np.float32)
    step = moved(presets[name], gradient, backend)
    # A floor that is added (tftut's 2e-8) tells where gradients are very small.
    for factor, close in ((1e-3, 2e-4), (1e3, 1e-6)):
        other = moved(presets[name], gradient * np.float32(factor), backend)
        assert np.abs(other - step).max() < close * np.abs(step).max()


@pytest.mark.parametrize("normalizer", ["mean_abs", "std", "l2", "none"])
@pytest.mark.parametrize("floor", [None, 0.0])
def test_no_gradient_makes_no_step(normalizer, floor, backend):
    recipe = presets["book1"].but(normalizer=normalizer, epsilon=floor)
    step = moved(recipe, np.zeros((5, 4, 3), np.float32), backend)
    assert not step.any()
    assert np.isfinite(step).all()


def test_the_divisors(backend):
    gradient = (picture(20, 30) - 0.4).astype(np.float32)
    exact = gradient.astype(np.float64)
    divisors = {
        "mean_abs": np.abs(exact).mean(),
        "std": exact.std(),
        "l2": np.sqrt((exact**2).sum()),
        "none": 1.0,
    }
    for name, divisor in divisors.items():
        recipe = presets["book1"].but(normalizer=name, epsilon=0.0, step_size=0.25)
        expected = 0.25 * exact / divisor
        assert moved(recipe, gradient, backend) == pytest.approx(expected, rel=2e-5)


@pytest.mark.parametrize(
    ("normalizer", "divisor"),
    [("mean_abs", 3.0), ("std", 3.0), ("l2", np.sqrt(3.0)), ("none", 1.0)],
)
def test_each_floor_in_its_own_way(normalizer, divisor, backend):
    """A maximum over the mean, an addend, a maximum under the root."""
    gradient = np.full((4, 4, 3), 1e-3, np.float32)
    recipe = presets["book1"].but(normalizer=normalizer, epsilon=3.0, step_size=1.0)
    found = moved(recipe, gradient, backend)
    assert found == pytest.approx(gradient / divisor, rel=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_without_steps_the_original_comes_back(name, backend):
    """Through every octave and its detail."""
    image = picture(63, 50)
    recipe = presets[name].but(steps=0)
    found, steps = dream(image, recipe, StandIn().on(backend), backend)
    assert steps == []
    if recipe.detail == "none":
        return  # tftut resizes: it loses the detail, as published
    assert np.abs(found - image).max() < 2e-6


@pytest.mark.parametrize(("rule", "count"), [("before", 0), ("after", 1)])
def test_max_loss_below_the_first_loss(rule, count, backend):
    recipe = presets["book1"].but(octaves=3, max_loss=-5.0, max_loss_rule=rule)
    _, steps = dream(picture(60, 50), recipe, StandIn().on(backend), backend)
    assert [step.octave for step in steps] == [1, 2, 3][: 3 * count]
    assert all(step.iteration == 1 for step in steps)
