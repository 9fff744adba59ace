"""Layers that stay Keras' own: kept as they were, and run at every size."""

import os

import keras
import numpy as np
import pytest
import small_models
from keras import layers
from lowered import maps, slope_of
from own_models import RGB
from reference import Slope, features, mean_square, off, outputs, picture, randomise

from keras_dream.lowering.builder import to_numpy
from keras_dream.lowering.walker import lower
from keras_dream.zoo.user_models import sha256_of_arrays

pytestmark = pytest.mark.backends

FEATURES, SLOPES = 1e-4, 1e-3
RUNNING = os.environ["KERAS_BACKEND"]


def compare(model, name, size, backend):
    """Holds a layer's map and gradient against the model's own."""
    image, reference = picture(*size), outputs(model, [name])
    graph = lower(model, preprocessing="0-1")
    nodes = [graph.node_of(name)]
    (made,), (wanted,) = maps(graph, nodes, image, backend), features(reference, image)
    assert off(made, wanted) < FEATURES
    value, gradient = slope_of(graph, nodes, image, backend)
    expected, slope = Slope(reference, lambda x, _: mean_square(x[0]))(image)
    assert value == pytest.approx(expected, rel=FEATURES)
    assert off(gradient, slope) < SLOPES


def known_and_opaque():
    """A convolution, and two layers without a rule."""
    x = image = keras.Input(RGB)
    x = layers.Conv2D(4, 3, padding="same", name="conv")(x)
    x = small_models.Mixed(name="own")(x)
    x = layers.GroupNormalization(2, name="groups")(x)
    return randomise(keras.Model(image, x, name="mine"), seed=3)


def test_a_graph_is_a_snapshot(backend):
    """Training or loading weights changes the model, and not what was made of it."""
    model, image = known_and_opaque(), picture(20, 24)
    graph = lower(model, preprocessing="0-1")
    names, digest = ["conv", "groups"], sha256_of_arrays(graph)
    before = maps(graph, names, image, backend)
    _, gradient = slope_of(graph, names, image, backend)
    for variable in model.variables:
        variable.assign(to_numpy(variable) * 0.5 + 1)
    # New programs of the same graph are the same network.
    for old, new in zip(before, maps(graph, names, image, backend), strict=True):
        np.testing.assert_array_equal(new, old)
    np.testing.assert_array_equal(slope_of(graph, names, image, backend)[1], gradient)
    assert sha256_of_arrays(graph) == digest
    changed = lower(model, preprocessing="0-1")
    assert sha256_of_arrays(changed) != digest
    (made,) = maps(changed, ["groups"], image, backend)
    assert off(made, features(model, image)[0]) < FEATURES


def test_running_a_graph_leaves_the_model_as_it_is(backend):
    model = known_and_opaque()
    before = [to_numpy(v).copy() for v in model.variables]
    graph = lower(model, preprocessing="0-1")
    slope_of(graph, ["groups"], picture(20, 24), backend)
    for variable, old in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(to_numpy(variable), old)


def enlarged(image, layer):
    x = layers.Conv2D(4, 3, strides=2, padding="same", name="conv")(image)
    x = layer(x)
    return keras.Model(image, layers.Conv2D(3, 3, padding="same", name="last")(x))


class ReadsShape(layers.Layer):
    """A layer of a user's own that computes with its input's shape."""

    def call(self, x):
        height, width = x.shape[1:3]
        if height is None or width is None:
            return x
        return keras.ops.reshape(x, (-1, width, height, x.shape[3])) * (height / width)

    def compute_output_shape(self, shape):
        return (shape[0], shape[2], shape[1], shape[3])


class Vague(layers.Layer):
    """A layer whose own rule of shapes knows no sizes."""

    def call(self, x):
        return keras.ops.repeat(x, 2, axis=1)

    def compute_output_shape(self, shape):
        return (shape[0], None, None, shape[3])


SIZED = {
    "bilinear": lambda: layers.UpSampling2D(interpolation="bilinear", name="layer"),
    "bicubic": lambda: layers.UpSampling2D(3, interpolation="bicubic", name="layer"),
    "adaptive": lambda: layers.AdaptiveAveragePooling2D((3, 2), name="layer"),
    "reads its shape": lambda: ReadsShape(name="layer"),
    "vague": lambda: Vague(name="layer"),
    "transposed": lambda: layers.Conv2DTranspose(4, 3, strides=2, name="layer"),
}


@pytest.mark.parametrize("kind", SIZED)
def test_layers_that_need_sizes(kind, backend):
    """Behind a strided SAME convolution, whose padding depends on the size."""
    for shape in (RGB, (22, 27, 3)):
        model = randomise(enlarged(keras.Input(shape), SIZED[kind]()), seed=5)
        compare(model, "last", (22, 27), backend)


@pytest.mark.skipif(RUNNING != "torch", reason="torch's modules run on torch only")
def test_a_module_of_torch_is_copied(backend):
    import torch

    class Channels(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.mix = torch.nn.Linear(4, 4)

        def forward(self, x):
            return torch.sin(self.mix(x))

    module = Channels()
    x = image = keras.Input(RGB)
    x = layers.Conv2D(4, 3, name="conv")(x)
    shape = (None, None, None, 4)
    wrapped = layers.TorchModuleWrapper(module, name="own", output_shape=shape)
    model = keras.Model(image, layers.Conv2D(3, 3, name="last")(wrapped(x)))
    graph = lower(randomise(model, seed=5), preprocessing="0-1")
    (before,) = maps(graph, ["last"], picture(20, 24), backend)
    digest = sha256_of_arrays(graph)
    assert off(before, features(model, picture(20, 24))[0]) < FEATURES
    with torch.no_grad():
        module.mix.weight += 1
    (after,) = maps(graph, ["last"], picture(20, 24), backend)
    np.testing.assert_array_equal(after, before)
    assert sha256_of_arrays(graph) == digest
    assert sha256_of_arrays(lower(model, preprocessing="0-1")) != digest
