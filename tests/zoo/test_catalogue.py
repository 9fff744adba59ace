"""The zoo: its table against keras.applications, and its graphs against the networks.

The published files are not at hand: the files here hold random weights, laid out as
Keras' own loader reads them, and Keras' own networks are asked for "imagenet" weights,
so that they are built as for the published ones.
"""

import importlib
import inspect
import math
import pkgutil
import types

import h5py
import keras
import numpy as np
import pytest
from keras import layers
from keras.src import applications
from keras.src.applications import inception_resnet_v2
from keras.src.applications.convnext import ConvNeXt
from keras.src.applications.nasnet import NASNet
from keras.src.utils import file_utils
from legacy_files import write_legacy
from reference import Slope, features, mean_square, off, outputs, picture, randomise

from keras_dream.graph.passes import optimise
from keras_dream.graph.program import Program
from keras_dream.lowering import builder, custom_layers
from keras_dream.lowering.preprocessing import PREPROCESSING
from keras_dream.lowering.walker import lower
from keras_dream.recipe import objectives
from keras_dream.weights.readers import h5
from keras_dream.zoo import catalogue
from keras_dream.zoo.entry import Entry
from keras_dream.zoo.network import Network

EXACT = 1e-5  # relative; the project promises 1e-3
ENTRIES = {e.application: e for e in catalogue.ZOO.values() if e.application}
MODULES = [
    importlib.import_module(f"keras.src.applications.{module.name}")
    for module in pkgutil.iter_modules(applications.__path__)
    if not module.name.endswith("_test") and module.name != "imagenet_utils"
]


def module_of(application):
    return next(m for m in MODULES if hasattr(m, application))


# -- the table -------------------------------------------------------------------------
def test_the_table_has_every_network_of_the_installed_keras():
    """A new one is noticed here, and one that is gone."""
    there = {name for name, _ in inspect.getmembers(keras.applications, callable)}
    assert {*ENTRIES} == there
    assert len({e.name for e in ENTRIES.values()}) == len(ENTRIES)


class Nothing:
    """Stands for a Keras tensor while a network is built from nothing."""

    shape = (None, 32, 32, 96)

    def _same(self, _):
        return self

    __add__ = __radd__ = __mul__ = __rmul__ = _same


class Layers:
    """Stands for `keras.layers`: every layer gives nothing."""

    def __getattr__(self, name):
        made = name == "Input" or name[0].islower()
        return lambda *_, **__: Nothing() if made else lambda *_, **__: Nothing()


class Asked(Exception):
    """What Keras' loader asks for."""


def asking(file, url, cache_subdir=None, file_hash=None):
    raise Asked(file, url, file_hash)


@pytest.fixture
def loader(monkeypatch):
    """Lets Keras' constructors run without layers up to where they fetch weights."""
    monkeypatch.setattr(file_utils, "get_file", asking)
    for module in MODULES:
        if not hasattr(module, "layers"):
            continue  # ResNetV2 is built by ResNet's module
        monkeypatch.setattr(module, "layers", Layers())
        monkeypatch.setattr(module, "Functional", lambda *_, **__: None)
        for own in ("CustomScaleLayer", "LayerScale", "StochasticDepth", "Sequential"):
            if hasattr(module, own):
                monkeypatch.setattr(module, own, getattr(Layers(), own))
        # NASNetMobile refuses to be built on torch.
        pretended = {**vars(module.backend), "backend": lambda: "jax"}
        monkeypatch.setattr(module, "backend", types.SimpleNamespace(**pretended))


# Keras states no hashes of these.
UNHASHED = ("mobilenet", "mobilenet_v2")


@pytest.mark.parametrize("application", ENTRIES)
@pytest.mark.filterwarnings("ignore:`input_shape` is undefined")
def test_files_are_those_that_keras_asks_for(application, loader):
    found = ENTRIES[application]
    assert [source.classifier for source in found.sources] == [False, True]
    for source in found.sources:
        with pytest.raises(Asked) as asked:
            getattr(keras.applications, application)(include_top=source.classifier)
        file, url, digest = asked.value.args
        assert (source.file, source.url) == (file, url)
        stated = source.md5 or source.sha256
        assert stated == digest or (digest is None and found.name in UNHASHED)
        assert len(stated) == (32 if source.md5 else 64)


@pytest.mark.parametrize("application", ENTRIES)
def test_preprocessing_is_that_of_the_module(application):
    found = ENTRIES[application]
    image = picture(5, 6, low=0.1, high=0.9)
    scale, shift, order = PREPROCESSING[found.preprocessing]
    prepare = module_of(application).preprocess_input
    theirs = prepare(image[None].copy() * 255, data_format="channels_last")[0]
    assert off(image[..., list(order)] * scale + shift, theirs) < 1e-6


def test_every_entry_tells_what_a_person_asks():
    for found in catalogue.ZOO.values():
        assert found.about
        assert found.licence
        assert found.name == "motif" or "arXiv:" in found.paper
        assert found.name == "motif" or found.parameters > 1e5
        assert found.objective is None or objectives.parse(found.objective)


# -- files -----------------------------------------------------------------------------
def refresh(layer):
    """Gives a layer what `randomise` leaves out."""
    if hasattr(layer, "finalize_state"):  # a Normalization computes with copies
        layer.finalize_state()
    if type(layer).__name__ == "LayerScale":  # Keras starts it at 1e-6
        layer.gamma.assign(np.linspace(0.5, 1.5, layer.projection_dim))


def theirs_with_weights(found, path, monkeypatch):
    """Builds Keras' own network with random "imagenet" weights, and keeps the file."""

    def load(model, file):
        randomise(model)
        for layer in model.layers:
            refresh(layer)
        write_legacy(model, file)

    monkeypatch.setattr(file_utils, "get_file", lambda *_, **__: path)
    monkeypatch.setattr(keras.Model, "load_weights", load)
    return getattr(keras.applications, found.application)(include_top=False)


def maps(graph, nodes, image, backend):
    run = backend.function(Program(graph, nodes, backend))
    found = run(backend.image(image), graph.plan(*image.shape[:2]).values)
    return [backend.to_image(x) for x in found]


def prepared(found, image):
    """Returns an image as Keras' network takes it, and how a slope is turned back."""
    scale, shift, order = PREPROCESSING[found.preprocessing]
    turned = list(order)
    return image[..., turned] * scale + shift, lambda s: (s * scale)[..., turned]


def asked_for(graph, names):
    """Returns layers that are named in both: a few along the way, and the last."""
    known = [name for name in names if name in graph.layers]
    return [*known[:: max(len(known) // 6, 1)][1:], known[-1]]


def compare(found, model, graph, names, image, backend):
    """Holds the features of some layers against the model's."""
    given, _ = prepared(found, image)
    nodes = [graph.node_of(name) for name in names]
    wanted = features(outputs(model, names), given)
    for name, expected, made in zip(
        names, wanted, maps(optimise(graph, nodes), nodes, image, backend), strict=True
    ):
        assert np.linalg.norm(expected) > 0, name
        assert off(made, expected.reshape(made.shape)) < EXACT, name


def compare_slope(found, model, graph, name, size, backend):
    """Holds the slope of a layer's mean square against the model's."""
    reference = Slope(outputs(model, [name]), lambda found, _: mean_square(found[0]))
    node = graph.node_of(name)
    fast = optimise(graph, [node])
    program = Program(fast, [node], backend)
    run = backend.value_and_grad(
        lambda x, plan: backend.mean(backend.square(program(x, plan)[0]))
    )
    gaps = []
    # Next to a rectifier's kink a last bit turns the slope: Keras' ResNet50 differs
    # from itself by 0.003 when its input is changed by one part in ten million. It will
    # not happen in three pictures one after the other.
    for seed in range(3):
        image = picture(*size, seed=seed)
        given, back = prepared(found, image)
        value, slope = reference(given)
        made, gradient = run(backend.image(image), fast.plan(*size).values)
        assert backend.to_float(made) == pytest.approx(value, rel=1e-4)
        assert np.linalg.norm(slope) > 0
        gaps.append(off(backend.to_image(gradient), back(slope)))
        if gaps[-1] < 1e-4:
            break
    assert min(gaps) < 1e-4


# -- networks --------------------------------------------------------------------------
# The smallest of each family; Inception V3 has its own tests, NASNet comes below.
SMALLEST = (
    "vgg16", "inception_resnet_v2", "xception", "resnet50", "resnet50_v2",
    "densenet121", "mobilenet", "mobilenet_v2", "mobilenet_v3_small",
    "efficientnet_b0", "efficientnet_v2_b0", "convnext_tiny",
)  # fmt: skip
ODD = (81, 80)  # 41, 21, 11, 6, 3 and 40, 20, 10, 5, 3: both parities at every stride


@pytest.mark.parametrize("name", SMALLEST)
@pytest.mark.filterwarnings("ignore:`input_shape` is undefined")
def test_networks_agree_with_those_of_keras(name, tmp_path, monkeypatch, backend):
    found = catalogue.entry(name)
    path = tmp_path / found.sources[0].file
    model = theirs_with_weights(found, path, monkeypatch)
    graph = Network(name, weights=path).load().graph
    assert model.count_params() == found.parameters
    names = asked_for(graph, [layer.name for layer in model.layers])
    compare(found, model, graph, names, picture(*ODD), backend)
    compare_slope(found, model, graph, names[-1], ODD, backend)
    check_facts(found, graph)


def check_facts(found, graph):
    assert not graph.opaque
    assert graph.objective == found.objective
    for term in objectives.parse(found.objective).terms:
        node = graph.node_of(term.target.layer)
        assert graph.receptive_fields()[node].stride in (8, 16)


def test_nasnet_fits_every_size(backend):
    """Keras' own fits the one size it is built for: here another one than ours."""
    found, size = catalogue.entry("nasnet_mobile"), (65, 68)
    model = randomise(found.build(False))
    assert model.count_params() == found.parameters
    graph = lower(model, preprocessing=found.preprocessing, objective=found.objective)
    how = {"weights": None, "default_size": 224}
    theirs = NASNet((*size, 3), 1056, 4, 32, False, 2, False, **how)
    for one, other in zip(theirs.weights, model.weights, strict=True):
        one.assign(other)
    names = asked_for(graph, [layer.name for layer in theirs.layers])
    compare(found, theirs, graph, names, picture(*size), backend)
    compare_slope(found, theirs, graph, names[-1], size, backend)
    check_facts(found, graph)


# What the families have that others have not, small enough for every backend.
def convnext():
    return ConvNeXt((1, 1, 2, 1), (6, 8, 10, 12), name="mini", include_top=False)


def mobilenet():
    return keras.applications.MobileNetV3Small(
        (None, None, 3), alpha=0.35, weights=None, include_top=False
    )


def inception_resnet():
    x = image = keras.Input((None, None, 3))
    x = layers.Conv2D(8, 3, strides=2, name="stem")(x)
    part = layers.Conv2D(8, 1, name="part")(x)
    x = inception_resnet_v2.CustomScaleLayer(0.17, name="sum")([x, part])
    return keras.Model(image, layers.Conv2D(4, 3, name="last")(x))


def nasnet():
    """Window paddings of every size before convolutions and pools."""
    x = image = keras.Input((None, None, 3))
    padding = custom_layers.window_padding()
    for size in (7, 5):
        x = padding(size, name=f"pad{size}")(x)
        x = layers.SeparableConv2D(6, size, strides=2, name=f"conv{size}")(x)
    x = padding(3, name="pad3")(x)
    largest = layers.MaxPooling2D(3, strides=2, name="largest")(x)
    mean = layers.AveragePooling2D(3, strides=2, name="mean")(x)
    return keras.Model(image, layers.Add(name="sum")([largest, mean]))


MINIATURES = (convnext, mobilenet, inception_resnet, nasnet)


@pytest.mark.backends
@pytest.mark.parametrize("build", MINIATURES, ids=lambda build: build.__name__)
@pytest.mark.filterwarnings("ignore:`input_shape` is undefined")
def test_miniatures_agree_on_every_backend(build, backend):
    model = randomise(build())
    for layer in model.layers:
        refresh(layer)
    found = Entry("mini", "", "", "0-255")
    graph = lower(model, preprocessing=found.preprocessing)
    assert not graph.opaque
    names = asked_for(graph, [layer.name for layer in model.layers])
    compare(found, model, graph, names, picture(67, 64), backend)
    compare_slope(found, model, graph, names[-1], (67, 64), backend)


@pytest.mark.backends
@pytest.mark.parametrize("side", [8, 9, 10, 11])
def test_window_paddings_are_those_of_same(side):
    """A padded VALID convolution is a SAME one, also when Keras runs it."""
    image = keras.Input((None, None, 3))
    padded = custom_layers.window_padding()(5)(image)
    valid, same = (
        layers.Conv2D(2, 5, strides=2, padding=padding, name=padding)
        for padding in ("valid", "same")
    )
    model = keras.Model(image, [valid(padded), same(image)])
    for one, other in zip(same.weights, valid.weights, strict=True):
        one.assign(other)
    found, expected = features(model, picture(side, side + 1))
    assert off(found, expected) < EXACT


def test_squeeze_and_excite_sees_everything_at_its_own_stride():
    graph = lower(mobilenet(), preprocessing="0-255")
    fields = graph.receptive_fields()
    first, last = graph.node_of("conv"), graph.node_of("conv_1_bn")
    assert (fields[first].size, fields[first].stride) == (3, 2)
    assert (fields[last].size, fields[last].stride) == (math.inf, 32)


CLASSIFIERS = {
    "mobilenet_v3_small": "logits",
    "mobilenet": "conv_preds",
    "convnext_tiny": "convnext_tiny_head_dense",
}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_class_scores_are_found(name, tmp_path):
    """Also of classifiers that are convolutions of one cell, or behind a norm."""
    found = catalogue.entry(name)
    model = randomise(found.build(True))
    for layer in model.layers:
        refresh(layer)
    path = write_legacy(model, tmp_path / "own.h5")
    graph = Network(name, weights=path, classifier=True).load().graph
    assert graph.classifier.removesuffix("/linear") == CLASSIFIERS[name]
    assert graph.channels()[graph.classifier] == 1000


def test_long_lists_of_names_are_read_in_parts(tmp_path):
    """HDF5 keeps 64 KiB of names in one attribute: Keras writes the rest beside it."""
    model = randomise(inception_resnet())
    path = write_legacy(model, tmp_path / "own.h5")
    with h5py.File(path, "a") as file:
        names = [*file.attrs["layer_names"]]
        del file.attrs["layer_names"]
        file.attrs["layer_names0"], file.attrs["layer_names1"] = names[:2], names[2:]
    again = inception_resnet()
    h5.read(again, path)
    for one, other in zip(again.weights, model.weights, strict=True):
        assert off(builder.to_numpy(one), builder.to_numpy(other)) == 0
    assert not h5.has_classifier(path)
