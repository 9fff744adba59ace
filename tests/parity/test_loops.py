"""Loops, octaves, detail, jitter, clamps and stop rules of the five published
algorithms, compared to the last step with a stand-in for the network."""

import numpy as np
import pytest
from parity import driver
from parity.standin import StandIn, dream, rolls
from reference import picture

from keras_dream import presets

pytestmark = pytest.mark.backends

# base and rise such that the loss passes the published limits on the way.
STAND_INS = {
    "book1": StandIn(8.85, 4.0),
    "kerasio": StandIn(13.85, 4.0),
    "book2": StandIn(0.0, 4.0),
    "tftut": StandIn(),
    "google2015": StandIn(),
}
SIZES = {
    "square": (70, 70),
    "odd": (83, 61),
    "published": (403, 302),
}


def published(name, image, recipe):
    """Runs the oracle and returns (image, trace), in [0, 1]."""
    trace, stand_in = driver.Trace(), STAND_INS[name]
    if name == "google2015":
        mean, order = driver.CAFFE_MEAN, (2, 1, 0)
        x = image[..., order] * np.float32(255) - mean
        slope = stand_in.in_units(255, -mean, order)
        x = driver.google2015(x, slope, trace, rolls(recipe), steps=recipe.steps)
        return ((x + mean) / 255)[..., order], trace
    algorithm = getattr(driver, name)
    slope = stand_in.in_units(2, -1)
    return algorithm(image * 2 - 1, slope, trace, steps=recipe.steps) / 2 + 0.5, trace


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", STAND_INS)
def test_the_whole_loop(name, size, backend):
    recipe = presets[name]
    if size == "published":
        recipe = recipe.but(steps=3)  # sizes are what it is about
    image = (picture(*SIZES[size]) * 1.6 - 0.3).clip(0, 1)
    expected, trace = published(name, image, recipe)
    found, steps = dream(image, recipe, STAND_INS[name].on(backend), backend)

    shapes = [shape for shape, made in trace.octaves for _ in made]
    assert [step.size for step in steps] == shapes
    losses = [loss for _, loss, *_ in trace.steps]
    assert [step.loss for step in steps] == pytest.approx(losses, rel=1e-5)
    assert np.abs(found - expected).max() < 2e-5
    for place in range(0, len(steps), 7):
        after = trace.steps[place][3]
        if name == "google2015":
            after = ((after + driver.CAFFE_MEAN) / 255)[..., ::-1]
        else:
            after = after / 2 + 0.5
        assert np.abs(steps[place].image() - after).max() < 2e-5


@pytest.mark.parametrize("name", ["book1", "kerasio", "book2"])
def test_the_stop_rule_is_met_inside_an_octave(name):
    """Else the comparison above would say nothing about it."""
    recipe = presets[name]
    _, trace = published(name, (picture(70, 70) * 1.6 - 0.3).clip(0, 1), recipe)
    counts = [len(steps) for _, steps in trace.octaves]
    assert any(0 < count < recipe.steps for count in counts), counts


@pytest.mark.parametrize("name", ["tftut", "google2015"])
def test_the_clamp_is_met(name):
    image = (picture(60, 60) * 1.6 - 0.3).clip(0, 1)
    found, _ = published(name, image, presets[name])
    assert (found < 1e-6).any()
    assert (found > 1 - 1e-6).any()


def test_trap_4_stop_timing(backend):
    """One step differs: book1 stops before it, kerasio and book2 after it."""
    image = picture(60, 60)
    for name, count in {"book1": 0, "kerasio": 1, "book2": 1}.items():
        recipe = presets[name].but(octaves=1, max_loss=0.5)
        _, steps = dream(image, recipe, StandIn(1.0).on(backend), backend)
        assert len(steps) == count, name


def test_trap_7_detail_comes_from_the_original_not_from_the_dream(backend):
    """A dreamed-in spot is carried up, and Caffe's rule is another one."""
    image = picture(60, 60, low=0.2, high=0.8)
    recipe = presets["book1"].but(steps=4, max_loss=None)
    after, _ = dream(image, recipe, StandIn().on(backend), backend)
    before, _ = dream(
        image, recipe.but(detail="before"), StandIn().on(backend), backend
    )
    none, _ = dream(image, recipe.but(detail="none"), StandIn().on(backend), backend)
    expected, _ = published("book1", image, recipe.but(max_loss=10.0))
    assert np.abs(after - before).max() > 1e-3
    assert np.abs(after - none).max() > 1e-2
    assert expected.shape == after.shape
