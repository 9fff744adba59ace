"""Optimizers: the step of each, written down in NumPy."""

import numpy as np
import pytest
from parity.standin import StandIn, dream
from reference import picture

from keras_dream.parts.normalizers import EPSILONS, NORMALIZERS, Normalizer
from keras_dream.parts.optimizers import Adam, Lbfgs, Momentum, Sgd
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


def test_momentum(backend):
    """The mean of past gradients, corrected for its beginning at zero."""
    found = updates(Momentum(momentum=0.8), gradients(5), backend)
    mean = 0.0
    for t, (array, update) in enumerate(zip(gradients(5), found, strict=True), start=1):
        mean = 0.8 * mean + 0.2 * array.astype(np.float64) / 2
        np.testing.assert_allclose(
            update, 0.1 * mean / (1 - 0.8**t), rtol=1e-5, atol=1e-7
        )


def two_loops(gradient, pairs):
    """Algorithm 7.4 of Nocedal and Wright, in NumPy."""
    q, factors = gradient.copy(), []
    for s, y in reversed(pairs):
        factors.append((s * q).sum() / (s * y).sum())
        q = q - factors[-1] * y
    if pairs:
        s, y = pairs[-1]
        q = q * (s * y).sum() / (y * y).sum()
    for (s, y), factor in zip(pairs, reversed(factors), strict=True):
        q = q + s * (factor - (y * q).sum() / (s * y).sum())
    return q


def test_lbfgs_by_its_book(backend):
    """On a hill of unequal curvature, uphill; each step as long as plain ones."""
    curvature = np.geomspace(0.1, 3, 90).reshape(5, 6, 3)
    x = np.random.default_rng(1).normal(size=(5, 6, 3))
    b, optimizer = backend, Lbfgs(memory=3)
    state, pairs, before, plain = optimizer.start(), [], None, x.copy()
    for _ in range(8):
        gradient = (-curvature * x).astype(np.float32)
        size = float(np.abs(gradient).mean())
        state, (update,) = optimizer.step(
            b, state, (b.image(gradient),), divisor=size, step_size=0.2
        )
        update = b.to_image(update).astype(np.float64)
        if before is not None:
            pairs = [*pairs, (before[0], before[1] - gradient)][-3:]
        direction = two_loops(gradient.astype(np.float64), pairs)
        length = np.linalg.norm(gradient) * 0.2 / size
        expected = direction * length / np.linalg.norm(direction)
        np.testing.assert_allclose(update, expected, rtol=1e-2, atol=1e-3)
        before, x = (update, gradient), x + update
        slope = -curvature * plain
        plain = plain + 0.2 * slope / np.abs(slope).mean()
    assert (curvature * x**2).sum() < (curvature * plain**2).sum()


def test_lbfgs_without_a_gradient_stays(backend):
    zero = np.zeros((5, 6, 3), np.float32)
    for update in updates(Lbfgs(), [zero, zero], backend, divisor=1.0):
        assert np.array_equal(update, zero)


@pytest.mark.parametrize("kind", [kind for kind in NORMALIZERS if kind != "none"])
def test_statistics_under_a_mask(kind, backend):
    """They are of what is inside; of few places a step is as hard as of many."""
    normalizer = Normalizer(kind, None, backend)
    (array,) = gradients(1)
    inside = np.zeros((5, 6, 1), np.float32)
    inside[1:3, 2:5] = 1.0
    kept = array[1:3, 2:5]
    found = normalizer.divisor(backend.image(array), weights=backend.image(inside))
    alone = normalizer.divisor(backend.image(kept))
    if kind == "l2":  # a norm of as many values as the whole has
        alone *= (array.size / kept.size) ** 0.5
    assert found == pytest.approx(alone, rel=1e-5)
    ones = backend.image(np.ones((5, 6, 1), np.float32))
    whole = normalizer.divisor(backend.image(array))
    assert normalizer.divisor(backend.image(array), weights=ones) == pytest.approx(
        whole
    )
    # The share of what was seen counts alike, where the rest is zero.
    unseen = normalizer.divisor(backend.image(array * inside), share=6 / 30)
    # The values that were not seen are 0, which a spread about a mean counts in.
    tolerance = 0.3 if kind == "std" else 1e-5
    assert unseen == pytest.approx(alone, rel=tolerance)


def test_the_root_of_the_mean_square(backend):
    (array,) = gradients(1)
    found = Normalizer("rms", 0.0, backend).divisor(backend.image(array))
    assert found == pytest.approx(np.sqrt(np.mean(array.astype(np.float64) ** 2)))


def test_every_normalizer_has_its_epsilon(backend):
    assert set(NORMALIZERS) == set(EPSILONS)
    for kind in NORMALIZERS:
        zero = backend.image(np.zeros((3, 4, 3), np.float32))
        assert Normalizer(kind, 0.0, backend).divisor(zero) == 1.0
