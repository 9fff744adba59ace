"""Structures of models that were once lowered to something else than they compute."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from lowered import maps, slope_of
from own_models import RGB
from reference import Slope, features, mean_square, off, outputs, picture, randomise

from keras_dream.errors import NetworkError
from keras_dream.lowering.walker import lower
from keras_dream.recipe.objectives import parse
from keras_dream.recipe.targets import Layer

pytestmark = pytest.mark.backends

FEATURES, SLOPES = 1e-4, 1e-3
SIZE = (14, 17)


def compare(model, name, backend, size=SIZE, *, slopes=True):
    """Holds a layer's map and gradient against the model's own."""
    image, reference = picture(*size), outputs(model, [name])
    graph = lower(model, preprocessing="0-1")
    nodes = [graph.node_of(name)]
    (made,), (wanted,) = maps(graph, nodes, image, backend), features(reference, image)
    assert off(made.reshape(wanted.shape), wanted) < FEATURES
    _, gradient = slope_of(graph, nodes, image, backend)
    if not slopes:
        return graph
    _, slope = Slope(reference, lambda x, _: mean_square(x[0]))(image)
    assert off(gradient, slope) < SLOPES
    return graph


def difference(*, as_dict):
    """A model of two inputs whose order matters, named against the alphabet."""
    last, first = (
        keras.Input((None, None, 4), name="z"),
        keras.Input((None, None, 4), name="a"),
    )
    inputs = {"z": last, "a": first} if as_dict else [last, first]
    return keras.Model(inputs, layers.Subtract()([last, first]), name="difference")


@pytest.mark.parametrize("declared", ["list", "dictionary"])
@pytest.mark.parametrize("called", ["list", "dictionary", "reversed dictionary"])
def test_inputs_of_a_nested_model_go_by_name(declared, called, backend):
    if (declared, called) == ("dictionary", "list"):
        pytest.skip("Keras refuses it")
    image = keras.Input(RGB)
    one, two = (layers.Conv2D(4, 3, name=n)(image) for n in ("one", "two"))
    given = {
        "list": [one, two],
        "dictionary": {"z": one, "a": two},
        "reversed dictionary": {"a": two, "z": one},
    }[called]
    x = difference(as_dict=declared == "dictionary")(given)
    x = layers.Conv2D(3, 1, activation="relu", name="last")(x)
    compare(randomise(keras.Model(image, x), seed=1), "last", backend)


class Doubled(keras.Model):
    """A Functional model whose `call` is the author's own."""

    def call(self, inputs, training=None, mask=None):
        return 2 * super().call(inputs, training=training)


class DoubledStack(keras.Sequential):
    def call(self, inputs, training=None, mask=None):
        return 2 * super().call(inputs, training=training)


def doubled(channels=3):
    x = keras.Input((None, None, channels))
    return Doubled(inputs=x, outputs=layers.Conv2D(4, 3, name="inner")(x))


def doubled_stack(channels=3):
    parts = [keras.Input((None, None, channels)), layers.Conv2D(4, 3, name="inner")]
    return DoubledStack(parts)


@pytest.mark.parametrize("build", [doubled, doubled_stack])
def test_a_call_of_its_own_is_not_ignored(build, backend):
    with pytest.raises(NetworkError, match="a subclass whose call is code of its own"):
        lower(build(), preprocessing="0-1")
    image = keras.Input(RGB)
    x = layers.Conv2D(4, 3, name="first")(image)
    x = layers.Conv2D(3, 1, name="last")(build(4)(x))
    graph = compare(randomise(keras.Model(image, x), seed=2), "last", backend)
    assert "inner" not in graph.layers  # of which nobody knows what becomes of it


class PlainSubclass(keras.Model):
    """A Functional model that only trains in its own way."""

    def train_step(self, data):
        return {}


def test_a_subclass_without_its_own_call_is_lowered(backend):
    x = keras.Input(RGB)
    model = PlainSubclass(inputs=x, outputs=layers.Conv2D(4, 3, name="last")(x))
    assert not compare(randomise(model), "last", backend).opaque


@pytest.mark.filterwarnings("ignore:Layer 'last'")
def test_a_mask_counts(backend):
    image = keras.Input(RGB)
    x = layers.Conv2D(4, 3, name="conv")(image)
    x = layers.Softmax(name="masked")(x, mask=ops.greater(x, 0))
    x = layers.Conv2D(3, 1, name="last")(x)
    compare(randomise(keras.Model(image, x), seed=4), "last", backend)


def test_a_constant_beside_the_maps_counts(backend):
    image = keras.Input(RGB)
    x = layers.Conv2D(4, 3, name="conv")(image)
    x = layers.Add(name="sum")([x, layers.ReLU()(x), np.full((1, 1, 1, 4), 2, "f4")])
    x = layers.Conv2D(3, 1, activation="relu", name="last")(x)
    compare(randomise(keras.Model(image, x), seed=4), "last", backend)


def test_flatten_with_the_channels_first(backend):
    """It turns the axes before it flattens, so that no convolution stands for both."""
    image = keras.Input((7, 9, 3))
    x = layers.Conv2D(4, 3, name="conv")(image)
    x = layers.Flatten(data_format="channels_first", name="flat")(x)
    model = randomise(keras.Model(image, layers.Dense(5, name="last")(x)), seed=4)
    compare(model, "last", backend, (7, 9))


def test_a_flatten_that_is_used_at_two_sizes(backend):
    flatten = layers.Flatten(name="flat")
    flatten(keras.Input((5, 5, 2)))
    image = keras.Input((7, 9, 3))
    x = layers.Conv2D(4, 3, name="conv")(image)
    x = layers.Dense(5, name="last")(flatten(x))
    compare(randomise(keras.Model(image, x), seed=4), "last", backend, (7, 9))


def named_twice(inner_first):
    """An outer and a nested layer of one name."""
    y = keras.Input((None, None, 3 if inner_first else 5))
    nested = keras.Model(y, layers.Conv2D(4, 3, name="conv")(y), name="nested")
    x = image = keras.Input(RGB)
    for inner in (inner_first, not inner_first):
        x = nested(x) if inner else layers.Conv2D(5, 3, name="conv")(x)
    return randomise(keras.Model(image, x), seed=6)


@pytest.mark.parametrize("inner_first", [True, False])
def test_the_outer_layer_of_two_that_have_one_name(inner_first, backend):
    graph = compare(named_twice(inner_first), "conv", backend)
    count = {name: graph.channels()[node] for name, node in graph.layers.items()}
    assert count["conv"] == 5
    inner, outer = ("conv2d@0", "conv2d@1")[:: 1 if inner_first else -1]
    assert (count[inner], count[outer]) == (4, 5)


def test_a_layer_whose_name_is_another_ones_ordinal(backend):
    x = image = keras.Input(RGB)
    for channels, name in ((4, "conv2d@2"), (5, "b"), (6, "conv2d@0")):
        x = layers.Conv2D(channels, 1, name=name)(x)
    model = randomise(keras.Model(image, layers.Conv2D(7, 1, name="last")(x)), seed=6)
    graph = compare(model, "last", backend)
    counts = graph.channels()
    found = [counts[graph.node_of(f"conv2d@{k}")] for k in range(4)]
    assert found == [4, 5, 6, 7]
    for text, channels in (("'conv2d@0'", 6), ("conv2d@0", 4), ("'conv2d@2':1", 4)):
        target = parse(text).networks[0].terms[0].target
        assert counts[graph.node_of(target.layer)] == channels
        assert Layer.named(target.layer, channels=target.channels) == target
    assert len({node.name for node in graph.nodes}) == len(graph.nodes)


@pytest.mark.parametrize(
    "function", ["gelu", "silu", "leaky_relu", "elu", "softmax", "relu6", "sigmoid"]
)
def test_functions_of_keras_ops_as_activations(function, backend):
    """keras.ops.gelu is the approximate one, keras.activations.gelu the exact one."""
    image = keras.Input(RGB)
    made = [
        layers.Conv2D(4, 3, activation=getattr(home, function), name=name)(image)
        for name, home in (("ops", ops), ("activations", keras.activations))
    ]
    x = layers.Concatenate(name="last")(made)
    model = randomise(keras.Model(image, x), seed=8)
    assert not compare(model, "last", backend).opaque


FIXED = {
    "prelu": lambda: layers.PReLU(name="layer"),
    "norm": lambda: layers.LayerNormalization(axis=[1, 2, 3], name="layer"),
}


@pytest.mark.parametrize("kind", FIXED)
def test_layers_of_one_size_hold_for_it_alone(kind, backend):
    x = image = keras.Input((*SIZE, 3))
    x = layers.Conv2D(4, 3, padding="same", name="conv")(x)
    model = keras.Model(image, layers.Conv2D(3, 3, name="last")(FIXED[kind]()(x)))
    graph = compare(randomise(model), "last", backend)
    with pytest.raises(NetworkError, match="layer"):
        graph.plan(20, 20)


ENLARGED = {
    "upsampling": lambda: layers.UpSampling2D((6, 5)),
    "padding": lambda: layers.ZeroPadding2D(2),
    "transposed": lambda: layers.Conv2DTranspose(4, 4),
}


@pytest.mark.parametrize("kind", ENLARGED)
def test_what_enlarges_one_cell(kind, backend):
    x = image = keras.Input(RGB)
    x = layers.Conv2D(4, 3, name="conv")(x)
    x = layers.GlobalAveragePooling2D(keepdims=True, name="cell")(x)
    x = ENLARGED[kind]()(x)
    x = layers.Conv2D(4, 3, activation="relu", name="behind")(x)
    flat = layers.Dense(3, name="last")(layers.Flatten(name="flat")(x))
    model = randomise(keras.Model(image, flat), seed=9)
    compare(model, "behind", backend)
    compare(model, "last", backend)


@pytest.mark.filterwarnings("ignore:.*does not have a `quantize` method")
@pytest.mark.filterwarnings("ignore:__array__ implementation")
@pytest.mark.parametrize("mode", ["int8", "int4", "float8"])
def test_quantised_weights_are_not_taken_as_numbers(mode, backend, tmp_path):
    x = image = keras.Input((12, 12, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(x)
    y = layers.Dense(6, name="cells")(x)
    y = layers.Conv2D(3, 1, name="behind")(y)
    x = layers.Dense(5, name="scores")(layers.GlobalAveragePooling2D()(x))
    model = randomise(keras.Model(image, [y, x]), seed=3)
    model.quantize(mode)
    model.save(tmp_path / "mine.keras")
    for found in (model, keras.saving.load_model(tmp_path / "mine.keras")):
        graph = lower(found, preprocessing="0-1")
        assert {"conv", "cells"} <= {*graph.layers}
        # Keras itself cannot differentiate float8 on tensorflow.
        slopes = (mode, backend.name) != ("float8", "tensorflow")
        for name in ("scores", "behind"):
            compare(found, name, backend, (12, 12), slopes=slopes)
