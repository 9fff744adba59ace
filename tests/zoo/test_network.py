"""`Network`: what a person names, and what a recipe's names stand for."""

import pickle

import keras
import numpy as np
import pytest
import small_models
from own_models import saved, stack

import keras_dream as kd
from keras_dream.errors import NetworkError, SettingError, WeightsError
from keras_dream.zoo.network import as_networks, network_of, networks_of


def test_the_three_kinds_and_their_names(tmp_path):
    model = keras.Sequential(name="mine")
    assert kd.Network("vgg16").name == "vgg16"
    assert kd.Network(tmp_path / "a b.keras").name == "a b.keras"
    assert kd.Network("nets/one.keras", trust=True).name == "one.keras"
    assert kd.Network(model, preprocessing="tf").name == "model:mine"
    assert kd.Network(model) == kd.Network(model) != kd.Network(model, trust=True)
    assert pickle.loads(pickle.dumps(kd.Network("vgg16"))) == kd.Network("vgg16")


@pytest.mark.parametrize(
    ("source", "stated", "words"),
    [
        ("vgg61", {}, "'vgg16'"),
        ("vgg16", {"preprocessing": "tf"}, "only for a model of your own"),
        ("mine.keras", {"weights": "a.h5"}, "given by name"),
        (keras.Sequential(), {"weights": "a.h5"}, "given by name"),
    ],
)
def test_a_network_that_cannot_be_is_not_made(source, stated, words):
    with pytest.raises(NetworkError, match=words):
        kd.Network(source, **stated)


def test_files_are_checked_without_loading(tmp_path):
    path = saved(stack(), tmp_path / "mine.keras")
    with pytest.raises(NetworkError, match="must be trusted"):
        kd.Network(path).check()
    kd.Network(path, trust=True).check()
    with pytest.raises(WeightsError, match="does not exist"):
        kd.Network("vgg16", weights=tmp_path / "none.h5").check()
    with pytest.raises(WeightsError, match="does not exist"):
        kd.Network("vgg16", weights=tmp_path / "none.h5").load()


def test_loading_reads_the_graph_and_what_the_record_needs():
    model = small_models.made(small_models.convolutions)
    loaded = kd.Network(model, preprocessing="tf").load()
    assert loaded.name == f"model:{model.name}"
    assert loaded.preprocessing == "tf"
    assert loaded.keras
    assert len(loaded.sha256) == 64
    assert all(isinstance(a, np.ndarray) for a in loaded.graph.weights.values())
    shipped = kd.Network("motif").load()
    assert (shipped.name, shipped.keras) == ("motif", False)
    assert kd.Dreamer(kd.Network("motif")).network == "motif"


def test_short_forms():
    model = keras.Sequential(name="mine")
    short = as_networks(["vgg16", model, kd.Network("motif")])
    assert short == (kd.Network("vgg16"), kd.Network(model), kd.Network("motif"))
    assert as_networks("vgg16", weights="a.h5", classifier=True) == (
        kd.Network("vgg16", weights="a.h5", classifier=True),
    )
    assert as_networks(kd.Network(model), preprocessing="tf") == (
        kd.Network(model, preprocessing="tf"),
    )
    two = as_networks(["a.keras", "b.keras"], trust=True)
    assert all(network.trust for network in two)


def test_a_recipe_is_no_leave_to_open_a_path(tmp_path):
    path = saved(stack(), tmp_path / "mine.keras")
    mine = kd.Network(path, trust=True)
    with pytest.raises(NetworkError, match="model file of a recipe must be given"):
        network_of(str(path), networks=[mine])
    assert network_of("mine.keras", networks=[mine]) is mine
    assert network_of("vgg16") == kd.Network("vgg16")


def test_the_objective_decides_on_the_classifier():
    recipe = kd.Recipe(network="vgg16", objective="block4_conv1; resnet50: class:3")
    weights = kd.Network("resnet50", weights="a.h5")
    assert networks_of(recipe, [kd.Network("vgg16")], networks=[weights]) == (
        kd.Network("vgg16"),
        kd.Network("resnet50", weights="a.h5", classifier=True),
    )


def test_what_a_recipe_states_goes_to_models_that_state_nothing():
    model = keras.Sequential(name="mine")
    recipe = kd.Recipe(objective="a", preprocessing="tf")
    for stated, wanted in ((None, "tf"), ("caffe", "caffe")):
        first = [kd.Network(model, preprocessing=stated)]
        (network,) = networks_of(recipe, first)
        assert network.preprocessing == wanted
    twice = kd.Recipe(objective="a; motif[tf]: far; motif[caffe]: far")
    with pytest.raises(SettingError, match="one preprocessing"):
        networks_of(twice, [kd.Network("vgg16")])


@pytest.mark.parametrize(
    ("source", "stated"),
    [
        (None, {}),
        ("motif", {"weights": 5}),
        ("mine.keras", {"weights": 5}),
        ("mine.keras", {"preprocessing": "bvlc"}),
    ],
)
def test_what_is_no_network_is_one_sentence(source, stated):
    with pytest.raises(NetworkError) as error:
        kd.Network(source, **stated)
    assert "\n" not in str(error.value)
