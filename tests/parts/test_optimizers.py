"""Optimizers: the step of each, written down in NumPy."""

import numpy as np
import pytest
from parity.standin import StandIn, dream
from reference import picture

from keras_dream.parts.normalizers import EPSILONS, NORMALIZERS, Normalizer
from keras_dream.parts.optimizers import Adam, Sgd
from keras_dream.recipe.recipe import Recipe

pytestmark = pytest.mark.backends


def gradients(count):
    random = np.random.default_rng(4)
    return [random.normal(size=(5, 6, 3)).astype(np.float32) for _ in range(count)]


def updates(optimizer, arrays, backend, divisor=2.0, step_size=0.1):
    state, found = optimizer.start(), []
    for array in arrays:
        state, (update,) = optimizer.step(
            backend,
            state,
            (backend.image(array),),
            divisor=divisor,
            step_size=step_size,
        )
        found.append(backend.to_image(update))
    return found


def test_a_plain_step(backend):
    for array, update in zip(
        gradients(3), updates(Sgd(), gradients(3), backend), strict=True
    ):
        np.testing.assert_allclose(update, array / 20, rtol=1e-6)


def test_adam_by_its_paper(backend):
    """Algorithm 1 of arXiv:1412.6980, on the normalized gradient."""
    optimizer = Adam(beta1=0.8, beta2=0.95, epsilon=1e-3)
    found = updates(optimizer, gradients(6), backend)
    m = v = 0.0
    for t, (array, update) in enumerate(zip(gradients(6), found, strict=True), start=1):
        g = array.astype(np.float64) / 2
        m = 0.8 * m + 0.2 * g
        v = 0.95 * v + 0.05 * g**2
        expected = 0.1 * (m / (1 - 0.8**t)) / (np.sqrt(v / (1 - 0.95**t)) + 1e-3)
        np.testing.assert_allclose(update, expected, rtol=2e-5, atol=1e-7)


def test_adam_in_the_loop(backend):
    """Its first step has one length everywhere, and its state begins with an octave."""
    image = picture(40, 30)
    recipe = Recipe(
        optimizer="adam", steps=1, octaves=1, jitter=0, clamp=False, step_size=0.01
    )
    moved, steps = dream(image, recipe, StandIn().on(backend), backend)
    np.testing.assert_allclose(np.abs(moved - image), 0.01, rtol=1e-3)
    two = recipe.but(octaves=2, steps=2)
    _, both = dream(image, two, StandIn().on(backend), backend)
    first, second = (both[k].image() for k in (2, 3))
    start, _ = dream(first, two.but(octaves=1, steps=1), StandIn().on(backend), backend)
    # The second step of an octave remembers the first; a new octave remembers nothing.
    assert not np.allclose(second, start, atol=1e-5)
    assert steps[0].loss < both[-1].loss


def test_every_normalizer_has_its_epsilon(backend):
    assert set(NORMALIZERS) == set(EPSILONS)
    for kind in NORMALIZERS:
        zero = backend.image(np.zeros((3, 4, 3), np.float32))
        assert Normalizer(kind, 0.0, backend).divisor(zero) == 1.0
