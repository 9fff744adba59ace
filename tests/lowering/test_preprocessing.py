"""What a model's own first layers tell of its preprocessing, and what the user does."""

import keras
import numpy as np
import pytest
from keras import layers
from own_models import RGB

from keras_dream.errors import NetworkError
from keras_dream.lowering.walker import lower
from keras_dream.recipe.objectives import PREPROCESSINGS

IMAGENET = {
    "mean": [123.675, 116.28, 103.53],
    "variance": [58.395**2, 57.12**2, 57.375**2],
}


def model_of(*first):
    """A convolution behind layers or functions."""
    x = image = keras.Input(RGB)
    for part in first:
        x = part(x)
    return keras.Model(image, layers.Conv2D(4, 3, name="conv")(x))


CERTAIN = {
    "255ths": ([layers.Rescaling(1 / 255)], "0-255"),
    "256ths": ([layers.Rescaling(1 / 256)], "0-255"),
    "to -1 to 1": ([layers.Rescaling(1 / 127.5, offset=-1)], "0-255"),
    "as operators": ([lambda x: x / 127.5 - 1], "0-255"),
    "from one": ([lambda x: 1 - x / 255], "0-255"),
    "behind a resizing": ([layers.Resizing(9, 9), layers.Rescaling(1 / 255)], "0-255"),
    "behind a flip": ([layers.RandomFlip(), layers.Rescaling(1 / 255)], "0-255"),
    "statistics": ([layers.Normalization(**IMAGENET)], "0-255"),
    "dark statistics": ([layers.Normalization(mean=33.3, variance=6100)], "0-255"),
    "unit statistics": ([layers.Normalization(mean=0.45, variance=0.05)], "0-1"),
    "caffe": ([keras.applications.vgg16.preprocess_input], "0-255"),
    "torch": ([keras.applications.densenet.preprocess_input], "0-255"),
    "tf": ([keras.applications.mobilenet_v2.preprocess_input], "0-255"),
    "0-1 to -1 to 1": ([layers.Rescaling(2.0, offset=-1)], "0-1"),
    "0-1 to -1 to 1, as operators": ([lambda x: x * 2 - 1], "0-1"),
    "0-1 to 0-255": ([layers.Rescaling(255.0)], "0-1"),
    "-1 to 1 to 0-255": ([layers.Rescaling(127.5, offset=127.5)], "tf"),
    "-1 to 1 to 0-1": ([layers.Rescaling(0.5, offset=0.5)], "tf"),
}
DOUBTFUL = {
    "nothing": [],
    "identity": [layers.Rescaling(1.0)],
    "twice as much": [lambda x: x * 2],
    "channels turned": [lambda x: x[..., ::-1]],
    "64ths": [layers.Rescaling(1 / 64)],
    "no statistics": [layers.Normalization(mean=0, variance=1)],
    "statistics of -1 to 1": [layers.Normalization(mean=0.1, variance=0.3)],
    "statistics of levels less a mean": [layers.Normalization(mean=2, variance=3600)],
}


@pytest.mark.parametrize("case", CERTAIN)
def test_what_first_layers_tell(case):
    first, mode = CERTAIN[case]
    model = model_of(*first)
    graph, stated = lower(model), lower(model, preprocessing=mode)
    assert graph.nodes == stated.nodes
    for name, array in graph.weights.items():
        np.testing.assert_array_equal(array, stated.weights[name])
    assert not graph.notices
    assert not stated.notices


@pytest.mark.parametrize("case", DOUBTFUL)
def test_what_first_layers_leave_open(case):
    model = model_of(*DOUBTFUL[case])
    with pytest.raises(NetworkError, match="preprocessing must be stated"):
        lower(model)
    for mode in PREPROCESSINGS:
        assert not lower(model, preprocessing=mode).notices


@pytest.mark.parametrize("mode", PREPROCESSINGS)
def test_what_the_user_states_counts(mode):
    graph = lower(model_of(layers.Rescaling(1 / 255)), preprocessing=mode)
    plain = lower(model_of(), preprocessing=mode)
    own = [node for node in plain.nodes if node.name.startswith("input/")]
    assert graph.nodes[1 : 1 + len(own)] == tuple(own)
    assert bool(graph.notices) == (mode != "0-255")
    if graph.notices:
        assert graph.notices[0].startswith(f"The preprocessing is {mode}, as stated")


def test_branches_are_no_first_layers():
    image = keras.Input(RGB)
    parts = [layers.Rescaling(1 / 255)(image), layers.Rescaling(2.0)(image)]
    x = layers.Concatenate()(parts)
    with pytest.raises(NetworkError, match="preprocessing must be stated"):
        lower(keras.Model(image, layers.Conv2D(4, 3)(x)))
