"""Lowered and optimised graphs against the Keras model itself, layer by layer."""

import itertools
from collections import Counter
from functools import cache

import keras
import numpy as np
import pytest
import small_models
from backends import RUNNING, not_on_jax, torch_only
from keras import layers
from lowered import maps, slope_of
from reference import Slope, features, mean_square, off, outputs, picture, randomise

from keras_dream.graph.passes import optimise, truncate
from keras_dream.lowering.walker import lower
from keras_dream.weights import locate as weights
from keras_dream.weights.readers import h5
from keras_dream.zoo import architectures, catalogue

pytestmark = pytest.mark.backends

FEATURES, SLOPES = 1e-4, 1e-3  # what the project promises, relative
CAFFE_MEAN = np.array([103.939, 116.779, 123.68])  # of blue, green and red
OWN = ("sequential", "normalised")  # models that begin with their preprocessing

# Keras' torch backend repeats the border of uneven SAME average-pools, and counts it.
REPEATS_BORDERS = RUNNING == "torch"


@cache
def lowered(build):
    """Returns a model, its graph, and the layers that are named in both."""
    model = small_models.made(build)
    own = build.__name__ in OWN
    graph = lower(model, preprocessing=None if own else "tf")
    known = {layer.name for layer in model.layers}
    return model, graph, [n for n in graph.layers if n in known]


def given(build, image):
    """Returns a picture as the model itself expects it."""
    return image * 255 if build.__name__ in OWN else image * 2 - 1


def weighted(found, numbers):
    """The same in Keras."""
    return sum(numbers[i] * mean_square(x) for i, x in enumerate(found))


def pictures(size):
    """Returns a picture and a flat one, which is full of ties, of one size."""
    return [picture(*size), np.full((*size, 3), 0.6, np.float32)]


SIZES = {"odd": (23, 21), "even": (22, 26)}
KINDS = ["odd", not_on_jax("even")]


@cache
def reference_features(build, kind):
    """Returns what Keras finds in a model's layers, for each of `pictures`."""
    model, _, names = lowered(build)
    reference = outputs(model, names)
    return [features(reference, given(build, x)) for x in pictures(SIZES[kind])]


@pytest.mark.parametrize(
    ("kind", "asked", "rewrite"),
    [
        ("odd", "all", False),
        ("even", "all", False),
        ("odd", "all", True),
        not_on_jax("even", "all", True),
        # Only the last layer asked for, so that every pass has its way.
        ("odd", "last", True),
        ("even", "last", True),
    ],
)
@pytest.mark.parametrize("build", small_models.FREE, ids=lambda b: b.__name__)
def test_every_layer_of_small_models(build, kind, asked, rewrite, backend):
    _, graph, names = lowered(build)
    first = len(names) - 1 if asked == "last" else 0
    nodes = [graph.node_of(name) for name in names[first:]]
    ours = optimise(graph, nodes) if rewrite else graph
    references = reference_features(build, kind)
    for image, reference in zip(pictures(SIZES[kind]), references, strict=True):
        made = maps(ours, nodes, image, backend)
        rows = zip(names[first:], reference[first:], made, strict=True)
        for name, expected, found in rows:
            assert off(found, expected.reshape(found.shape)) < FEATURES, name


@pytest.mark.parametrize("rewrite", [True, not_on_jax(False)])
@pytest.mark.parametrize(
    ("kind", "alone"),
    [
        ("odd", False),
        not_on_jax("even", False),
        torch_only("odd", True),
    ],
)
@pytest.mark.parametrize("build", small_models.FREE, ids=lambda b: b.__name__)
def test_slopes_of_small_models(build, kind, alone, rewrite, backend):
    """Of all layers in one sum, and of each layer alone."""
    model, graph, names = lowered(build)
    names = [name for name in names if name != "peak"]  # it has a test of its own
    for chosen in [[name] for name in names] if alone else [names]:
        check_slopes(build, model, graph, chosen, kind, rewrite, backend)


@pytest.mark.skipif(RUNNING == "jax", reason="Keras on jax shares ties")
def test_slope_of_a_global_max_pool(backend):
    build = small_models.pools
    model, graph, _ = lowered(build)
    for kind, rewrite in itertools.product(SIZES, (False, True)):
        check_slopes(build, model, graph, ["peak"], kind, rewrite, backend)


def check_slopes(build, model, graph, names, kind, rewrite, backend):
    """Compares the loss of some layers, and its gradient, with Keras'."""
    scale = 255 if build.__name__ in OWN else 2
    reference = Slope(outputs(model, names), weighted)
    nodes = [graph.node_of(name) for name in names]
    ours = optimise(graph, nodes) if rewrite else truncate(graph, frozenset(nodes))
    for image in pictures(SIZES[kind]):
        value, slope = reference(given(build, image), np.ones(len(names)))
        found, gradient = slope_of(ours, nodes, image, backend)
        assert found == pytest.approx(value, rel=FEATURES), names
        assert off(gradient, slope * scale) < SLOPES, names


@pytest.mark.skipif(REPEATS_BORDERS, reason="Keras on torch counts repeated borders")
@pytest.mark.parametrize("kind", SIZES)
def test_uneven_same_average_pools(kind, backend):
    model = small_models.made(small_models.uneven_means)
    graph, image = lower(model, preprocessing="tf"), picture(*SIZES[kind])
    value, slope = Slope(model, lambda found, _: mean_square(found[0]))(image * 2 - 1)
    found, gradient = slope_of(graph, ["mean2"], image, backend)
    assert found == pytest.approx(value, rel=FEATURES)
    assert off(gradient, slope * 2) < SLOPES


def test_uneven_same_average_pools_count_only_the_map(backend):
    """The same without Keras: a constant stays itself up to the border."""
    graph = lower(small_models.uneven_means(), preprocessing="0-1")
    image = np.full((8, 10, 3), 0.25, np.float32)
    (found,) = maps(graph, ["mean2"], image, backend)
    assert found == pytest.approx(np.full((4, 5, 3), 0.25), abs=1e-7)


def test_a_flattened_classifier_is_a_convolution(backend):
    model = small_models.made(small_models.flattened)
    graph = lower(model, preprocessing="tf")
    image = picture(13, 13)
    names = ["c", "pool", "fc1", "fc2", "soft"]
    wanted = features(outputs(model, names), image * 2 - 1)
    nodes = [graph.node_of(name) for name in names]
    for ours in (graph, optimise(graph, nodes)):
        for found, expected in zip(
            maps(ours, nodes, image, backend), wanted, strict=True
        ):
            assert off(found, expected.reshape(found.shape)) < FEATURES
    # On a larger picture it slides: its first cell sees the first 13 × 13 pixels. The
    # last row and column of these see zeros in the small picture and more in the
    # large one, so the map is compared where both are the same.
    larger = picture(21, 17)
    (whole,) = maps(graph, ["fc2"], larger, backend)
    pool = maps(graph, ["pool"], larger, backend)[0]
    assert whole.shape == (pool.shape[0] - 2, pool.shape[1] - 2, 6)
    assert graph.classifier == "fc2"


def test_the_classifier_is_found_before_its_softmax(backend):
    model, graph, _ = lowered(small_models.sequential)
    assert graph.classifier == "predictions/linear"
    image = picture(20, 24)
    (scores,) = maps(graph, [graph.classifier], image, backend)
    (chances,) = features(model, image * 255)
    shares = np.exp(scores - scores.max())
    assert off(shares.ravel() / shares.sum(), chances) < FEATURES
    assert lowered(small_models.merges)[1].classifier is None


def test_shared_and_nested_layers_go_by_ordinals(backend):
    """`conv2d@k` counts calls, so a layer that is called twice has two of them."""
    model, graph, _ = lowered(small_models.nested)
    image = picture(22, 21)
    inside = [n for n in graph.layers if n.startswith("conv2d@")]
    assert len(inside) == 1 + 2 + 1 + 3  # stem, block twice, stack, shared thrice
    joined = model.get_layer("joined")
    parts = keras.Model(model.inputs, list(joined.input))
    first, second = features(parts, image * 2 - 1)
    calls = [f"conv2d@{k}" for k in range(7)]
    found = maps(graph, [graph.node_of(name) for name in calls], image, backend)
    shared = found[-3:]
    assert min(off(x, first) for x in shared) < FEATURES
    assert min(off(x, second) for x in shared) < FEATURES


def test_operations_that_share_only_their_name_with_a_layer(backend):
    """keras.ops.average and ops.reshape are not the layers Average and Reshape."""
    x = image = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 1, name="conv")(x)
    mean = keras.ops.average(x, axis=1)
    shaped = keras.ops.reshape(x, (-1, 4, 16, 4))
    y = layers.Conv2D(2, 1, name="behind")(shaped)
    z = keras.ops.reshape(mean, (-1, 8, 4, 1))
    model = keras.Model(image, [layers.Conv2D(2, 1, name="other")(z), y])
    names = ["conv", "other", "behind"]
    wanted = features(outputs(randomise(model), names), picture(8, 8) * 2 - 1)
    graph = lower(model, preprocessing="tf")
    for found, y in zip(
        maps(graph, names, picture(8, 8), backend), wanted, strict=True
    ):
        assert off(found, y) < FEATURES


# -- whole networks --------------------------------------------------------------------
def keras_layers(model, graph):
    """Returns Keras' names of the layers that go by an ordinal in the graph."""
    counts, found = Counter(), {}
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            kind = LAYER_KINDS.get(type(node.operation).__name__)
            found[f"{kind}@{counts[kind]}"] = node.operation.name
            counts[kind] += 1
    return {place: name for place, name in found.items() if place in graph.layers}


LAYER_KINDS = {
    "Activation": "activation",
    "AveragePooling2D": "average_pooling2d",
    "BatchNormalization": "batch_normalization",
    "Concatenate": "concatenate",
    "Conv2D": "conv2d",
    "MaxPooling2D": "max_pooling2d",
}


@pytest.mark.parametrize("size", [pytest.param((91, 80)), not_on_jax((88, 95))])
def test_inception_features_at_every_layer(inception, size, backend):
    graph = lower(inception, preprocessing="tf")
    places = keras_layers(inception, graph)
    assert len(places) == len(inception.layers) - 1
    image = picture(*size)
    wanted = features(outputs(inception, list(places.values())), image * 2 - 1)
    nodes = [graph.node_of(place) for place in places]
    found = maps(graph, nodes, image, backend)
    assert max(map(off, found, wanted)) < FEATURES
    # As a dream has it: what nobody asked for is folded, merged and exchanged.
    names = [f"mixed{k}" for k in range(11)]
    expected = dict(zip(places.values(), wanted, strict=True))
    for name, x in zip(
        names, maps(optimise(graph, names), names, image, backend), strict=True
    ):
        assert off(x, expected[name]) < FEATURES, name


ODD, EVEN = (91, 80), (88, 94)


@pytest.mark.parametrize(
    ("size", "flat", "asked"),
    [
        (ODD, False, {"mixed10": 1.0}),
        not_on_jax(ODD, False, {"mixed2": 0.2, "mixed3": 3.0, "mixed5": 1.5}),
        not_on_jax(EVEN, False, {"mixed0": 1.0}),
        not_on_jax(EVEN, False, {"mixed7": 1.0}),
        (ODD, True, {"mixed9": 1.0}),
        not_on_jax(ODD, True, {"mixed4": 1.0}),
    ],
)
def test_inception_slopes(inception, size, flat, asked, backend):
    graph = lower(inception, preprocessing="tf")
    names, numbers = list(asked), list(asked.values())
    reference = Slope(outputs(inception, names), weighted)
    fast, errors = optimise(graph, names), []
    # Where two cells of a max-pool differ by a last bit, its gradient may go to either;
    # at these sizes one such cell is 0.2 % of a gradient. It will not happen in three
    # pictures one after the other.
    for seed in range(3):
        image = picture(*size, seed=seed)
        image = np.full_like(image, 0.4 + 0.1 * seed) if flat else image
        value, slope = reference(image * 2 - 1, numbers)
        loss, gradient = slope_of(fast, names, image, backend, numbers)
        assert loss == pytest.approx(value, rel=FEATURES)
        errors.append(off(gradient, slope * 2))
        if errors[-1] < SLOPES:
            break
    assert min(errors) < SLOPES


@cache
def squeezenet(kind):
    source = catalogue.entry("squeezenet").sources
    model = architectures.squeezenet(False)
    if kind == "random":
        return small_models.randomise(model)
    path = weights.find(source)
    if path is None:
        pytest.skip(
            "squeezenet's weights are neither in KERAS_DREAM_WEIGHTS nor cached"
        )
    h5.read_legacy(model, path)
    return model


SQUEEZENETS = ["random", "trained"]
SQUEEZENET_SIZES = [pytest.param((62, 81)), not_on_jax((75, 64))]


@pytest.mark.parametrize("rewrite", [True, not_on_jax(False)])
@pytest.mark.parametrize("size", SQUEEZENET_SIZES)
@pytest.mark.parametrize("kind", SQUEEZENETS)
def test_squeezenet_features(kind, size, rewrite, backend):
    model = squeezenet(kind)
    graph = lower(model, preprocessing="caffe")
    names = [layer.name for layer in model.layers if layer.name in graph.layers]
    assert len(names) == len(model.layers) - 1
    image = picture(*size)
    theirs = image[..., ::-1] * 255 - CAFFE_MEAN
    nodes = [graph.node_of(name) for name in names]
    wanted = features(outputs(model, names), theirs)
    ours = optimise(graph, nodes) if rewrite else graph
    assert max(map(off, maps(ours, nodes, image, backend), wanted)) < FEATURES


@pytest.mark.parametrize(
    "names",
    [
        ("fire9",),
        not_on_jax(("fire6", "fire8")),
        *(torch_only((f"fire{k}",)) for k in range(2, 9)),
    ],
    ids="+".join,
)
@pytest.mark.parametrize("size", SQUEEZENET_SIZES)
@pytest.mark.parametrize("kind", SQUEEZENETS)
def test_squeezenet_slopes(kind, size, names, backend):
    model, image = squeezenet(kind), picture(*size)
    graph = lower(model, preprocessing="caffe")
    theirs = image[..., ::-1] * 255 - CAFFE_MEAN
    value, slope = Slope(outputs(model, names), weighted)(theirs, [1.0, 1.0])
    found, gradient = slope_of(optimise(graph, names), names, image, backend)
    assert found == pytest.approx(value, rel=FEATURES)
    assert off(gradient, slope[..., ::-1] * 255) < SLOPES
