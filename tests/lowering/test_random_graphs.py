"""Small random graphs of maps, sequences and vectors against the Keras model."""

import keras
import numpy as np
import pytest
from backends import torch_only
from keras import layers, ops
from lowered import maps, slope_of
from reference import Slope, features, mean_square, off, picture, randomise

from keras_dream.lowering.walker import lower

pytestmark = pytest.mark.backends

FEATURES, SLOPES = 1e-4, 1e-3
SIZE = (9, 11)


class Growing:
    """A model that grows by random operations on its tensors.

    Activations are smooth, so that no rounding decides between two gradients.
    """

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.image = keras.Input((*SIZE, 3))
        conv = layers.Conv2D(4, 3, strides=2, padding="same", activation="tanh")
        self.tensors = [conv(self.image)]

    def pick(self, rank=None):
        fitting = [t for t in self.tensors if rank in (None, len(t.shape))]
        return fitting[self.random.integers(len(fitting))] if fitting else None

    def step(self):
        """Adds what one random operation makes of one random tensor."""
        x = self.pick(self.random.choice([2, 3, 4]))
        if x is None:
            return
        choices = [self.dense, self.split, self.norm, self.join, self.two_outputs]
        choices += {2: [self.widened], 3: [self.attention, self.pooled_sequence]}.get(
            len(x.shape),
            [self.conv, self.pooled, self.flat, self.sequence, self.shuffle],
        )
        self.tensors += choices[self.random.integers(len(choices))](x)

    def dense(self, x):
        return [layers.Dense(4, activation="sigmoid")(x)]

    def split(self, x):
        if x.shape[-1] % 2:
            return []
        one, two = ops.split(x, 2, axis=-1)
        return [ops.tanh(one) * two, two]

    def norm(self, x):
        kinds = [layers.BatchNormalization, layers.LayerNormalization]
        return [kinds[self.random.integers(2)]()(x)]

    def join(self, x):
        alike = [t for t in self.tensors if t.shape[:-1] == x.shape[:-1]]
        y = alike[self.random.integers(len(alike))]
        if x.shape == y.shape and self.random.random() < 0.5:
            return [layers.Add()([x, layers.Activation("tanh")(y)])]
        return [layers.Concatenate()([x, y])]

    def two_outputs(self, x):
        return Halves()(x)

    def widened(self, x):
        """A vector beside each cell of a map."""
        y = self.pick(4)
        gate = layers.Dense(int(y.shape[-1]), activation="sigmoid")(x)
        return [layers.Multiply()([y, layers.Reshape((1, 1, y.shape[-1]))(gate)])]

    def attention(self, x):
        return [layers.MultiHeadAttention(2, 3)(x, x)]

    def pooled_sequence(self, x):
        return [layers.GlobalAveragePooling1D()(x), x[:, 0]]

    def conv(self, x):
        return [layers.Conv2D(4, 3, padding="same", activation="silu")(x)]

    def pooled(self, x):
        return [layers.GlobalAveragePooling2D()(x)]

    def flat(self, x):
        return [layers.Dense(5)(layers.Activation("tanh")(layers.Flatten()(x)))]

    def sequence(self, x):
        return [layers.Reshape((-1, x.shape[-1]))(x)]

    def shuffle(self, x):
        _, height, width, channels = x.shape
        if channels % 4:
            return []
        y = layers.Reshape((height, width, 2, 2, channels // 4))(x)
        y = layers.Permute((1, 3, 2, 4, 5))(y)
        return [layers.Reshape((2 * height, 2 * width, channels // 4))(y)]


class Halves(layers.Layer):
    """A layer with two outputs."""

    def call(self, x):
        return [ops.tanh(x), ops.sigmoid(x)]

    def compute_output_shape(self, shape):
        return [shape, shape]


@pytest.mark.parametrize("seed", [*range(6), *map(torch_only, range(6, 30))])
def test_a_random_graph(seed, backend):
    growing = Growing(seed)
    while len(growing.tensors) < 9:
        growing.step()
    model = randomise(keras.Model(growing.image, growing.tensors[-4:]), seed=seed)
    graph, image = lower(model, preprocessing="0-1"), picture(*SIZE)
    expected = features(model, image)
    # Every tensor has its place; by which name is another test's affair.
    nodes = _nodes_of(graph, model)
    for x, y in zip(maps(graph, nodes, image, backend), expected, strict=True):
        assert off(x.reshape(y.shape), y) < FEATURES
    _, gradient = slope_of(graph, nodes, image, backend)
    _, slope = Slope(model, lambda xs, _: sum(mean_square(x) for x in xs))(image)
    assert off(gradient, slope) < SLOPES


def _nodes_of(graph, model):
    """Returns the nodes of a model's outputs, found by Keras' order of its nodes."""
    counts, nodes = {}, {}
    for _, level in sorted(model._nodes_by_depth.items(), reverse=True):
        for node in (node for node in level if not node.is_input):
            kind = keras.src.utils.naming.to_snake_case(type(node.operation).__name__)
            number = counts[kind] = counts.get(kind, -1) + 1
            for index, tensor in enumerate(node.output_tensors):
                name = f"{kind}@{number}" + (f"/{index}" if index else "")
                nodes[id(tensor)] = name
    return [graph.node_of(nodes[id(tensor)]) for tensor in model.outputs]
