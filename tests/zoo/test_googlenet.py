"""GoogLeNet against Caffe's own arithmetic, in NumPy, and the dreams of 2015."""

import pickle
import zipfile

import caffe_files
import keras
import numpy as np
import pytest
from backends import torch_only
from numpy.lib.stride_tricks import sliding_window_view
from reference import Slope, features, mean_square, off, outputs, picture, randomise

from keras_dream.errors import WeightsError
from keras_dream.graph.file import load, save
from keras_dream.graph.passes import optimise
from keras_dream.graph.program import Program
from keras_dream.lowering.custom_layers import normalization, pooling
from keras_dream.lowering.walker import lower
from keras_dream.pictures.picture import read_picture
from keras_dream.recipe.presets import preset
from keras_dream.weights.readers import caffemodel, h5
from keras_dream.zoo import catalogue, googlenet
from keras_dream.zoo.network import Network

BVLC_MEAN = (104, 117, 123)  # of blue, green and red


# -- Caffe's layers, on maps of (channels, height, width) ------------------------------
def caffe_conv(x, kernel, bias, stride=1, pad=0):
    """convolution_layer.cpp: rounds down; `kernel` is (out, in, height, width)."""
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    windows = sliding_window_view(x, kernel.shape[2:], (1, 2))[:, ::stride, ::stride]
    made = np.tensordot(kernel, windows, ((1, 2, 3), (0, 3, 4)))
    return made + bias.reshape(-1, 1, 1)


def caffe_pool(x, size=3, stride=2, pad=0):
    """pooling_layer.cpp: rounds up, and clips every window to the map."""
    height, width = (
        int(np.ceil(np.float32(n + 2 * pad - size) / stride)) + 1 for n in x.shape[1:]
    )
    made = np.full((len(x), height, width), -np.inf)
    for i in range(height):
        for j in range(width):
            top, left = i * stride - pad, j * stride - pad
            window = x[:, max(top, 0) : top + size, max(left, 0) : left + size]
            made[:, i, j] = window.max((1, 2))
    return made


def caffe_lrn(x, size=5, alpha=1e-4, beta=0.75, k=1.0):
    """lrn_layer.cpp, across channels."""
    made = np.empty(x.shape)
    for c in range(len(x)):
        near = x[max(c - size // 2, 0) : c + size // 2 + 1]
        made[c] = x[c] / (k + alpha / size * np.square(near).sum(0)) ** beta
    return made


def rows(x):
    """Returns a map of (channels, height, width) as (height, width, channels)."""
    return np.moveaxis(x, 0, -1)


def run(graph, names, image, backend):
    nodes = [graph.node_of(name) for name in names]
    program = backend.function(Program(graph, nodes, backend))
    made = program(backend.image(image), graph.plan(*image.shape[:2]).values)
    return [backend.to_image(x) for x in made]


def one_layer(layer):
    image = keras.Input((None, None, 3))
    return keras.Model(image, layer(image))


# -- the layers ------------------------------------------------------------------------
@pytest.mark.backends
@pytest.mark.parametrize(
    "numbers",
    [
        {"size": 5, "alpha": 1e-4, "beta": 0.75},
        {"size": 3, "alpha": 2.0, "beta": 0.5, "k": 2.0},
        {"size": 1, "alpha": 1.0, "beta": 1.5, "k": 0.5},
    ],
    ids=["googlenet", "strong", "alone"],
)
def test_normalisation_across_channels(numbers, backend):
    image = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(7, 3, name="before")(image)
    model = keras.Model(image, normalization()(**numbers, name="lrn")(x))
    randomise(model)
    image = picture(9, 8) * 255
    before, made = features(outputs(model, ["before", "lrn"]), image)
    expected = rows(caffe_lrn(np.moveaxis(before.astype(np.float64), -1, 0), **numbers))
    assert off(made, expected) < 1e-6
    graph = lower(model, preprocessing="0-255")
    assert not graph.opaque
    for ours in (graph, optimise(graph, ["lrn"])):
        (found,) = run(ours, ["lrn"], picture(9, 8), backend)
        assert off(found, expected) < 1e-5


@pytest.mark.backends
def test_slope_of_the_normalisation(backend):
    model = randomise(one_layer(normalization()(size=3, alpha=1e-3, name="lrn")))
    image = picture(6, 7)
    reference = Slope(outputs(model, ["lrn"]), lambda found, _: mean_square(found[0]))
    _, expected = reference(image * 255)
    graph = lower(model, preprocessing="0-255")
    program = Program(graph, ["lrn"], backend)
    slope = backend.value_and_grad(
        lambda x, plan: backend.mean(backend.square(program(x, plan)[0]))
    )
    _, found = slope(backend.image(image), graph.plan(6, 7).values)
    assert off(backend.to_image(found), expected * 255) < 1e-5


WINDOWS = [(3, 2), (2, 2), (3, 3), (3, 1), (5, 3)]
SIDES = [side if side in (5, 6) else torch_only(side) for side in range(2, 12)]


@pytest.mark.backends
@pytest.mark.parametrize("side", SIDES)
def test_pools_that_round_up(side, backend):
    # Negative throughout: a zero behind the map would win.
    image = -picture(side, side + 1, low=0.1)
    for size, stride in ((s, t) for s, t in WINDOWS if s <= side):
        model = one_layer(pooling()(size, stride, name="pool"))
        graph = lower(model, preprocessing="0-1")
        expected = rows(caffe_pool(np.moveaxis(image, -1, 0), size, stride))
        (made,) = features(model, image)
        assert np.array_equal(made, expected.astype(np.float32))
        assert graph.plan(side, side + 1).sizes["pool"] == expected.shape[:2]
        (found,) = run(graph, ["pool"], image, backend)
        assert np.array_equal(found, expected.astype(np.float32))


def test_the_layers_are_saved_and_loaded(tmp_path):
    image = keras.Input((None, None, 3))
    x = normalization()(size=3, alpha=0.5, beta=0.6, k=1.5, name="lrn")(image)
    model = keras.Model(image, pooling()(3, 2, name="pool")(x))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    image = picture(8, 9)
    assert np.array_equal(*features(model, image), *features(again, image))
    graph = lower(model, preprocessing="0-255")
    save(graph, tmp_path / "graph.safetensors")
    assert load(tmp_path / "graph.safetensors").nodes == graph.nodes


def test_layers_that_cannot_be():
    with pytest.raises(ValueError, match="odd"):
        normalization()(size=4)
    with pytest.raises(ValueError, match="stride"):
        pooling()(2, 3)


# -- the network -----------------------------------------------------------------------
@pytest.fixture(scope="module")
def network():
    return randomise(googlenet.build(10), seed=2)


@pytest.fixture(scope="module")
def published(network, tmp_path_factory):
    """The network as BVLC would publish it: names with slashes, four sides."""
    path = tmp_path_factory.mktemp("published") / "bvlc_googlenet.caffemodel"
    path.write_bytes(
        caffe_files.of_model(network, old=True, legacy=True, rename=with_slash)
    )
    return path


def with_slash(name):
    """Returns Caffe's name of a layer: `inception_4c/5x5_reduce`, `conv1/7x7_s2`."""
    parts = name.split("_")
    first = 2 if parts[0] == "inception" else 1
    return "_".join(parts[:first]) + "/" + "_".join(parts[first:])


def caffe_forward(blobs, image):
    """Runs deploy.prototxt on a picture in [0, 1], by the numbers of a file."""
    found = {}

    def conv(x, name, stride=1, pad=0):
        kernel, bias = (np.asarray(b, np.float64) for b in blobs[name])
        found[name] = np.maximum(caffe_conv(x, kernel, bias, stride, pad), 0)
        return found[name]

    def inception(x, name):
        parts = [
            conv(x, f"{name}/1x1"),
            conv(conv(x, f"{name}/3x3_reduce"), f"{name}/3x3", pad=1),
            conv(conv(x, f"{name}/5x5_reduce"), f"{name}/5x5", pad=2),
            conv(caffe_pool(x, 3, 1, 1), f"{name}/pool_proj"),
        ]
        found[f"{name}/output"] = np.concatenate(parts)
        return found[f"{name}/output"]

    levels = image[..., ::-1].astype(np.float64) * 255 - BVLC_MEAN
    x = conv(np.moveaxis(levels, -1, 0), "conv1/7x7_s2", stride=2, pad=3)
    x = found["pool1/norm1"] = caffe_lrn(caffe_pool(x))
    x = conv(conv(x, "conv2/3x3_reduce"), "conv2/3x3", pad=1)
    x = found["pool2/3x3_s2"] = caffe_pool(caffe_lrn(x))
    for module in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"):
        if module in ("4a", "5a"):
            x = caffe_pool(x)
        x = inception(x, f"inception_{module}")
    matrix, bias = (np.asarray(b, np.float64) for b in blobs["loss3/classifier"])
    scores = matrix.reshape(bias.size, -1) @ x.mean((1, 2)) + bias.ravel()
    found["loss3/classifier"] = scores.reshape(-1, 1, 1)
    return found


def test_a_published_file_against_caffe(published, backend):
    assert h5.has_classifier(published)
    model = googlenet.build(10)
    h5.read(model, published)
    graph = lower(model, preprocessing="bvlc")
    assert not graph.opaque
    assert graph.classifier == "loss3_classifier"
    for size in ((64, 81), (47, 70)):
        image = picture(*size)
        expected = caffe_forward(caffemodel.blobs(published), image)
        made = run(graph, [n.replace("/", "_") for n in expected], image, backend)
        for (name, wanted), found in zip(expected.items(), made, strict=True):
            assert off(found, rows(wanted)) < 1e-4, name


def test_every_layer_of_the_optimised_graph(network, backend):
    graph = lower(network, preprocessing="bvlc")
    names = ["pool1_norm1", "conv2_norm2", "inception_4c_output", "inception_5b_output"]
    image = picture(66, 49)
    wanted = features(outputs(network, names), image[..., ::-1] * 255 - BVLC_MEAN)
    for chosen in ([name] for name in names):
        made = run(optimise(graph, chosen), chosen, image, backend)
        assert off(made[0], wanted[names.index(chosen[0])]) < 1e-4
    reference = Slope(outputs(network, names[2:3]), lambda y, _: mean_square(y[0]))
    _, slope = reference(image[..., ::-1] * 255 - BVLC_MEAN)
    program = Program(optimise(graph, names[2:3]), names[2:3], backend)
    total = backend.value_and_grad(
        lambda x, plan: backend.mean(backend.square(program(x, plan)[0]))
    )
    _, found = total(backend.image(image), graph.plan(66, 49).values)
    assert off(backend.to_image(found), slope[..., ::-1] * 255) < 1e-3


def test_sizes_and_reach_are_caffe_s(network):
    graph = lower(network, preprocessing="bvlc")
    for side in (*range(47, 66), 224, 225, 600):
        n = (side + 6 - 7) // 2 + 1
        expected = {"conv1_7x7_s2": n}
        for pool in ("pool1_3x3_s2", "pool2_3x3_s2", "pool3_3x3_s2", "pool4_3x3_s2"):
            n = expected[pool] = -(-(n - 3) // 2) + 1
        sizes = graph.plan(side, side).sizes
        assert {name: sizes[name][0] for name in expected} == expected
    assert graph.plan(224, 224).sizes["inception_5b_output"] == (7, 7)
    fields = graph.receptive_fields()
    assert fields["pool5_7x7_s1"].size == float("inf")
    assert fields["inception_4c_output"].stride == 16


def test_the_published_file_has_room_for_these_weights_and_little_else(network):
    """Open Model Zoo states 53 533 754 bytes: this network, and two heads of training.

    The heads: a 1 × 1 convolution to 128 channels of inception_4a's 512 and of
    inception_4d's 528, two dense layers (BVLC's train_val.prototxt).
    """
    ours = network.count_params() + (1000 - 10) * (1024 + 1)
    dense = 2048 * 1024 + 1024 + 1024 * 1000 + 1000
    heads = (512 * 128 + 128 + dense) + (528 * 128 + 128 + dense)
    assert ours == 6_998_552
    assert 0 < 53_533_754 - 4 * (ours + heads) < 1 << 16


@pytest.mark.parametrize(
    ("name", "count", "mean"),
    [
        ("googlenet", 1000, BVLC_MEAN),
        ("googlenet_places365", 365, (104.051, 112.514, 116.676)),
    ],
)
def test_the_entries(name, count, mean, network, monkeypatch):
    monkeypatch.setattr(googlenet, "build", lambda classes: classes)
    entry = catalogue.entry(name)
    assert entry.build(True) == count
    assert entry.build(False) is None
    graph = lower(network, preprocessing=entry.preprocessing)
    assert np.allclose(graph.weights["input/affine/scale"], 255)
    assert np.allclose(graph.weights["input/affine/shift"], np.negative(mean))
    assert [n.attrs["channels"] for n in graph.nodes if n.op == "gather"] == [[2, 1, 0]]
    assert entry.objective == "inception_4c_output"
    assert str(preset("google2015").objective) == entry.objective
    assert entry.objective in graph.layers


# -- dreaming --------------------------------------------------------------------------
@pytest.fixture(scope="module")
def without_classes(network, tmp_path_factory):
    """A file of another making: no classifier, new layers, and shapes as they are."""
    last = network.get_layer("inception_5b_output").output
    path = tmp_path_factory.mktemp("headless") / "headless.caffemodel"
    data = caffe_files.of_model(keras.Model(network.inputs, last), rename=with_slash)
    path.write_bytes(data)
    return path


def test_the_dream_of_2015(without_classes, photo, dream):
    code, _, told = dream(
        photo, "--preset", "google2015", "--steps", 2, "--octaves", 2, "--jitter", 4,
        "--weights", without_classes, "-o", "out.png",
    )  # fmt: skip
    assert code == 0, told
    before, after = (read_picture(name).pixels for name in (photo, "out.png"))
    assert before.shape == after.shape
    assert 0.001 < np.abs(after - before).mean() < 0.2


def test_a_file_for_other_classes_is_refused(published):
    with pytest.raises(
        WeightsError, match="classifier/kernel is 1024 × 10, not 1024 × 1000"
    ):
        Network("googlenet", weights=published).load()


def test_torch_s_googlenet_is_refused(tmp_path):
    path = tmp_path / "googlenet-1378be20.pth"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps({}))
    with pytest.raises(WeightsError, match=r"zip archive .*torch's pickle"):
        Network("googlenet", weights=path).load()
    path.write_bytes(pickle.dumps({"conv1.conv.weight": 1}))
    with pytest.raises(WeightsError, match="pickle, which runs code"):
        Network("googlenet", weights=path).load()
