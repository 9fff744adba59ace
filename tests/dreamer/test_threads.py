"""One dreamer in several threads, and what may go to another process."""

import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest

import keras_dream as kd
from keras_dream.errors import DreamError, RunError, SettingError

THREADS = 12
CALLS = 2
LOOKUPS = 30  # of each recipe's program; a dreamer keeps fewer than there are
LAYERS = ("near", "pool", "far")


def recipes():
    """Twelve recipes of different objectives and losses: as many compiled programs."""
    return [
        kd.Recipe(objective=f"{1 + number}*{LAYERS[number % 3]}", loss=loss)
        for number, loss in enumerate(["l2", "mean", "l2_mean", "half_sum"] * 3)
    ]


@pytest.fixture
def hasty_threads():
    """Lets Python change threads a thousand times as often, so that races show."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.backends
@pytest.mark.usefixtures("hasty_threads")
def test_one_dreamer_in_twelve_threads_with_twelve_recipes(motif):
    random = np.random.default_rng(3)
    images = [
        random.random((16 + 4 * (n % 2), 20, 3), np.float32) for n in range(THREADS)
    ]
    alone = kd.Dreamer("motif")
    pairs = list(zip(images, recipes(), strict=True))
    expected = [alone.gradient(*pair) for pair in pairs]
    dreamer, barrier = kd.Dreamer("motif"), Barrier(THREADS)

    def compute(pair):
        barrier.wait(60)
        for _ in range(LOOKUPS):
            for _, recipe in pairs:
                dreamer.octaves((64, 80), recipe)
        return [dreamer.gradient(*pair) for _ in range(CALLS)]

    with ThreadPoolExecutor(THREADS) as pool:
        results = list(pool.map(compute, pairs))
    for (value, gradient), calls in zip(expected, results, strict=True):
        for loss, found in calls:
            assert loss == pytest.approx(value, rel=1e-5)
            scale = np.abs(gradient).max()
            np.testing.assert_allclose(found, gradient, atol=1e-4 * scale)


def test_what_is_on_a_device_is_not_pickled_but_a_dream_is(motif):
    image = np.random.default_rng(3).random((32, 40, 3), np.float32)
    dreamer = kd.Dreamer("motif")
    run = dreamer.steps(image, kd.Recipe(octaves=1, steps=1))
    for value in (dreamer, run, next(run)):
        with pytest.raises(RunError, match="must stay in the process that made it"):
            pickle.dumps(value)
    copy = pickle.loads(pickle.dumps(run.dream))
    np.testing.assert_array_equal(copy.image, run.dream.image)
    assert copy.recipe == run.dream.recipe


@pytest.mark.parametrize("kind", [DreamError, SettingError])
def test_an_error_from_another_process_is_the_same(kind):
    error = kind("A size must be positive", received="-1", hint="try 1")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert str(copy) == str(error)
    assert (copy.must, copy.received, copy.hint) == (
        "A size must be positive",
        "-1",
        "try 1",
    )
