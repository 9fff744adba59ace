"""What the tensorflow backend alone does: its traces, and its caller's graphs."""

import os

import numpy as np
import pytest

if os.environ["KERAS_BACKEND"] != "tensorflow":
    pytest.skip("the tensorflow backend alone", allow_module_level=True)

import tensorflow as tf

import keras_dream as kd
from keras_dream.errors import SettingError

pytestmark = pytest.mark.backends


def in_a_graph(call):
    with tf.Graph().as_default():
        call()


def in_a_function(call):
    tf.function(call, autograph=False)()


@pytest.mark.parametrize("surround", [in_a_graph, in_a_function])
def test_inside_a_graph_there_is_a_sentence_and_outside_all_is_well(motif, surround):
    image = np.random.default_rng(2).random((32, 40, 3), np.float32)
    recipe = kd.Recipe(octaves=1, steps=2)
    dreamer = kd.Dreamer("motif")
    calls = [
        lambda: dreamer.gradient(image, recipe),
        lambda: dreamer.dream(image, recipe),
        lambda: dreamer.features(image, ["near"]),
    ]
    for call in calls:  # before anything of the network is on the device
        with pytest.raises(SettingError, match="must be computed where tensorflow"):
            surround(call)
    for call in calls:
        call()
    for call in calls:
        with pytest.raises(SettingError, match="must be computed where tensorflow"):
            surround(call)


def test_many_programs_are_traced_without_a_warning(backend, caplog):
    for number in range(8):
        step = backend.value_and_grad(
            lambda x, plan, n=number: backend.sum(backend.multiply(x, n))
        )
        step(backend.image(np.ones((4, 5, 3), np.float32)), ())
    assert not caplog.records
