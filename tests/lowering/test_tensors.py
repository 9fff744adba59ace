"""Layers behind vectors, sequences and other tensors that are no feature maps."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from lowered import maps, slope_of
from own_models import RGB
from reference import Slope, features, mean_square, off, outputs, picture, randomise

from keras_dream.errors import NetworkError, ObjectiveError
from keras_dream.lowering.builder import to_numpy
from keras_dream.lowering.walker import lower

pytestmark = pytest.mark.backends

FEATURES, SLOPES = 1e-4, 1e-3
SIZE = (12, 16)


def compare(model, wanted, backend, *, size=SIZE, opaque=None):
    """Holds nodes' maps and the gradient through them against the model's own.

    Args:
        model: A Keras model.
        wanted: Keras tensors of it by the names they must have in the graph.
        backend: The backend.
        size: Of the picture.
        opaque: Whether there must be layers that Keras runs; None for either.
    """
    image, graph = picture(*size), lower(model, preprocessing="0-1")
    nodes = [graph.node_of(name) for name in wanted]
    reference = keras.Model(model.inputs, list(wanted.values()))
    made, expected = maps(graph, nodes, image, backend), features(reference, image)
    for name, x, y in zip(wanted, made, expected, strict=True):
        assert off(x.reshape(y.shape), y) < FEATURES, name
        assert np.abs(y).max() > 0, name
    numbers = np.linspace(1, 2, len(nodes), dtype=np.float32)
    value, gradient = slope_of(graph, nodes, image, backend, numbers.tolist())

    def loss(found, numbers):
        return sum(numbers[i] * mean_square(x) for i, x in enumerate(found))

    expected_value, slope = Slope(reference, loss)(image, numbers)
    assert value == pytest.approx(expected_value, rel=FEATURES)
    assert off(gradient, slope) < SLOPES
    if opaque is not None:
        assert bool(graph.opaque) is opaque
    return graph


def named(model, *names):
    """Returns the outputs of some layers by their names."""
    return dict(zip(names, outputs(model, names).outputs, strict=True))


def split(image):
    x = layers.Conv2D(6, 3, name="conv")(image)
    a, b, c = ops.split(x, [1, 3], axis=-1)
    y = layers.Add()([layers.Conv2D(2, 1)(a), b])
    return layers.Concatenate(name="last")([layers.Conv2D(2, 1)(c), y])


def flat_rectifier(image):
    x = layers.Conv2D(4, 3, strides=3, name="conv")(image)
    x = layers.Flatten(name="flat")(x)
    x = layers.Dropout(0.5)(layers.ReLU(name="rectified")(x))
    return layers.Dense(5, activation="tanh", name="last")(layers.LeakyReLU()(x))


def flat_reshape(image):
    x = layers.Conv2D(4, 3, strides=3, name="conv")(image)
    x = layers.Reshape((-1,), name="flat")(x)
    return layers.Dense(5, activation="tanh", name="last")(x)


def joined_vectors(image):
    x = layers.Conv2D(4, 3, name="conv")(image)
    means, peaks = layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)
    both = layers.Concatenate(axis=1, name="joined")([means, peaks])
    both = layers.BatchNormalization(axis=1, name="norm")(both)
    one, two = ops.split(layers.Dense(6, name="hidden")(both), 2, axis=1)
    return layers.Dense(3, name="last")(layers.LayerNormalization()(one) * two)


def gated_rows(image):
    """Attention of 1 × W and H × 1 with H × W."""
    x = layers.Conv2D(4, 3, padding="same", name="conv")(image)
    across = layers.Conv2D(4, (SIZE[0], 1), activation="sigmoid")(x)
    down = layers.Conv2D(4, (1, SIZE[1]), activation="sigmoid")(x)
    gates = layers.Multiply(name="gates")([across, down])
    return layers.Add(name="last")([x * gates, across, down])


EXACT = {
    "split": split,
    "flat rectifier": flat_rectifier,
    "flat reshape": flat_reshape,
    "joined vectors": joined_vectors,
    "gated rows": gated_rows,
}


@pytest.mark.parametrize("kind", EXACT)
def test_structures_of_operations_only(kind, backend):
    image = keras.Input((*SIZE, 3))
    model = randomise(keras.Model(image, EXACT[kind](image)), seed=2)
    compare(model, named(model, "conv", "last"), backend, opaque=False)


def flat_norm(image):
    x = layers.Flatten()(layers.Conv2D(4, 3, strides=3, name="conv")(image))
    y = layers.Flatten()(layers.Conv2D(2, 3, strides=3)(image))
    x = layers.Concatenate()([layers.BatchNormalization()(x), y])
    return layers.Dense(5, name="last")(x)


def pixel_shuffle(image):
    x = layers.Conv2D(8, 3, padding="same", name="conv")(image)
    x = layers.Reshape((*SIZE, 2, 2, 2), name="parts")(x)
    x = layers.Permute((1, 3, 2, 4, 5), name="turned")(x)
    x = layers.Reshape((2 * SIZE[0], 2 * SIZE[1], 2), name="shuffled")(x)
    return layers.Conv2D(3, 3, padding="same", name="last")(x)


def depth_to_space(image):
    x = layers.Conv2D(8, 3, strides=2, padding="same", name="conv")(image)
    x = ops.reshape(x, (-1, SIZE[0] // 2, SIZE[1] // 2, 2, 2, 2))
    x = ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, *SIZE, 2))
    return layers.Conv2D(3, 3, padding="same", name="last")(x)


def sequence(image):
    x = layers.Conv2D(4, 3, strides=4, name="conv")(image)
    x = layers.Reshape((-1, 4))(x)
    x = layers.Conv1D(5, 3, padding="same")(x)
    x, *_ = layers.LSTM(6, return_sequences=True, return_state=True)(x)
    return layers.Dense(3, name="last")(layers.GlobalAveragePooling1D()(x))


class Positions(layers.Layer):
    """A class token in front of the sequence, and learnt positions."""

    def build(self, shape):
        self.token = self.add_weight(shape=(1, 1, shape[-1]), name="kernel")
        size = (1, shape[1] + 1, shape[-1])
        self.positions = self.add_weight(shape=size, name="bias")

    def call(self, x):
        return ops.concatenate([self.token, x], axis=1) + self.positions

    def compute_output_shape(self, shape):
        return (shape[0], shape[1] + 1, shape[2])


def transformer(image):
    x = layers.Conv2D(8, 4, strides=4, name="conv")(image)
    x = Positions(name="tokens")(layers.Reshape((-1, 8))(x))
    for number in range(2):
        y = layers.LayerNormalization(epsilon=1e-6)(x)
        y = layers.MultiHeadAttention(2, 4, name=f"attention{number}")(y, y)
        x = layers.Add(name=f"middle{number}")([x, y])
        y = layers.Dense(12, activation="gelu")(layers.LayerNormalization()(x))
        x = layers.Add(name=f"block{number}")([x, layers.Dense(8)(y)])
    x = layers.LayerNormalization(name="norm")(x)
    return layers.Dense(5, name="last")(x[:, 0])


KERAS = {
    "flat norm": flat_norm,
    "pixel shuffle": pixel_shuffle,
    "depth to space": depth_to_space,
    "sequence": sequence,
    "transformer": transformer,
}


@pytest.mark.parametrize("kind", KERAS)
def test_structures_that_keras_runs(kind, backend):
    image = keras.Input((*SIZE, 3))
    model = randomise(keras.Model(image, KERAS[kind](image)), seed=3)
    compare(model, named(model, "conv", "last"), backend, opaque=True)


def test_the_blocks_of_a_transformer(backend):
    """Tokens are the cells of one row, the class token among them."""
    image = keras.Input((*SIZE, 3))
    model = randomise(keras.Model(image, transformer(image)), seed=3)
    names = ["tokens", "attention0", "middle0", "block0", "block1", "norm"]
    graph = compare(model, named(model, *names), backend)
    plan, channels = graph.plan(*SIZE), graph.channels()
    assert plan.sizes[graph.node_of("block1")] == (1, 13)
    assert channels[graph.node_of("block1")] == 8
    assert graph.classifier == "last"


def test_every_output_has_a_name(backend):
    image = keras.Input((*SIZE, 3))
    x = layers.Conv2D(6, 3, strides=3, name="conv")(image)
    parts = ops.split(x, 3, axis=-1)
    rows = ops.split(ops.concatenate(parts, axis=-1), 2, axis=1)
    y = layers.Reshape((-1, 6))(x)
    y, weights = layers.MultiHeadAttention(2, 3, name="attention")(
        y, y, return_attention_scores=True
    )
    model = randomise(keras.Model(image, [*parts, *rows, y, weights]), seed=4)
    wanted = {
        "split@0": parts[0],
        "split@0/1": parts[1],
        "split@0/2": parts[2],
        "split@1": rows[0],
        "split@1/1": rows[1],
        "attention": y,
        "attention/1": weights,
    }
    compare(model, wanted, backend)


def of_precision(policy):
    half, image = {"dtype": policy}, keras.Input(RGB)
    x = layers.Conv2D(4, 3, name="conv", **half)(image)
    x = layers.BatchNormalization(name="norm", **half)(x)
    x = layers.GlobalAveragePooling2D(name="pool", **half)(x)
    x = layers.LayerNormalization(name="centred", **half)(x)
    return keras.Model(image, layers.Dense(5, name="last", dtype=policy)(x))


@pytest.mark.parametrize("policy", ["float16", "bfloat16", "mixed_float16"])
def test_half_precision_is_widened(policy, backend):
    """Known layers are computed in float32, with the weights as they are."""
    model, wide = randomise(of_precision(policy)), of_precision("float32")
    graph = lower(model, preprocessing="0-1")
    assert not graph.opaque
    for ours, theirs in zip(wide.variables, model.variables, strict=True):
        ours.assign(to_numpy(theirs).astype(np.float32))
    (made,) = maps(graph, ["last"], picture(*SIZE), backend)
    (expected,) = features(wide, picture(*SIZE))
    assert off(made.ravel(), expected) < FEATURES


def test_a_half_precision_layer_that_keras_runs(backend):
    x = image = keras.Input(RGB)
    x = layers.Conv2D(4, 3, dtype="bfloat16")(x)
    x = layers.GroupNormalization(2, name="groups", dtype="bfloat16")(x)
    model = keras.Model(image, layers.Conv2D(4, 3, name="last")(x))
    graph = lower(randomise(model), preprocessing="0-1")
    (made,) = maps(graph, ["last"], picture(*SIZE), backend)
    (expected,) = features(model, picture(*SIZE))
    assert made.dtype == np.float32
    assert off(made, np.asarray(expected, np.float32)) < 0.03  # 8 bits of bfloat16


# -- refusals --------------------------------------------------------------------------
def refusal(graph, layer):
    with pytest.raises(ObjectiveError) as caught:
        graph.node_of(layer)
    return str(caught.value)


def test_a_layer_that_makes_no_feature_map_is_named_with_the_reason():
    image = keras.Input((*SIZE, 3))
    model = keras.Model(image, pixel_shuffle(image))
    graph = lower(model, preprocessing="0-1")
    assert "'parts': it makes a tensor of 6 axes" in refusal(graph, "parts")
    assert set(graph.unsupported) == {"parts", "turned", "reshape@0", "permute@0"}
    model = keras.Model(image, flat_rectifier(image))
    graph = lower(model, preprocessing="0-1")
    assert "'flat': it only hands the feature map of 'conv' on" in refusal(
        graph, "flat"
    )
    x = layers.Conv2D(3, 1)(image)
    x = ops.cast(ops.argmax(x, axis=-1, keepdims=True), "float32")
    graph = lower(keras.Model(image, x), preprocessing="0-1")
    assert "which have no gradient" in refusal(graph, "argmax@0")


def test_a_part_of_a_layer_is_named_with_the_layer():
    image = keras.Input((*SIZE, 3))
    inner = layers.Conv1D(4, 3, name="inner")
    x = layers.TimeDistributed(inner, name="outer")(layers.Conv2D(3, 1)(image))
    graph = lower(keras.Model(image, x), preprocessing="0-1")
    assert "part of 'outer'" in refusal(graph, "inner")
    assert "outer" in graph.layers


def test_a_picture_of_another_size_is_refused_with_the_layer_and_the_size():
    image = keras.Input((*SIZE, 3))
    graph = lower(keras.Model(image, transformer(image)), preprocessing="0-1")
    with pytest.raises(NetworkError) as caught:
        graph.plan(24, 24)
    assert "tokens" in str(caught.value)
    assert "try 16 × 12 pixels" in str(caught.value)
    assert graph.smallest_size() == SIZE
