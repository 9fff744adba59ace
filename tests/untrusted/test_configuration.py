"""What a model file may not ask Keras to build, and what is said of it."""

import json
from functools import partial

import forging
import keras
import numpy as np
import pytest
from forging import CONFIG, refusal
from keras import layers

from keras_dream.errors import NetworkError
from keras_dream.zoo import user_models

pytestmark = pytest.mark.usefixtures("in_this_process")


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return forging.write_good(tmp_path_factory.mktemp("models") / "good.keras")


@pytest.fixture
def forged(good, tmp_path):
    """Returns a function that writes the good file with parts of it changed."""
    return partial(forging.forge, good, tmp_path / "forged.keras")


@pytest.fixture
def reconfigured(good, tmp_path):
    """Returns a function that writes the good file with a changed configuration."""
    return partial(forging.reconfigure, good, tmp_path / "forged.keras")


def layer(name, module="keras.layers", registered=None, **settings):
    return {
        "module": module,
        "class_name": name,
        "config": {"name": "forged", **settings},
        "registered_name": registered,
    }


LAMBDA = {
    "function": {
        "class_name": "__lambda__",
        "config": {"code": "4wEAAAA=", "defaults": None, "closure": None},
    }
}

# What stands in the configuration in the place of the convolution, and the reason.
PARTS = {
    "lambda layer": (layer("Lambda", **LAMBDA), "a Lambda layer, which holds code"),
    "lambda by name": (layer("Lambda", function="os.system"), "a Lambda layer"),
    "lambda value": (
        layer("Activation", activation=LAMBDA["function"]),
        "a Python lambda, which holds code",
    ),
    "typespec": (
        layer("Activation", activation={"class_name": "__typespec__", "config": []}),
        "a type of TensorFlow's, which is looked up by its name",
    ),
    "torch pickle": (
        layer("TorchModuleWrapper", module="keras.layers", torch_module="gASV"),
        "a TorchModuleWrapper, which holds code",
    ),
    "saved model": (
        layer("TFSMLayer", filepath="evil", call_endpoint="serve"),
        "a TFSMLayer, which loads code from another place",
    ),
    "jax function": (layer("JaxLayer", call_fn="x"), "a JaxLayer, which holds code"),
    "flax module": (layer("FlaxLayer", module_="x"), "a FlaxLayer, which holds code"),
    "vocabulary": (
        layer("StringLookup", vocabulary="/etc/passwd"),
        "a StringLookup, which reads a file",
    ),
    "text": (layer("TextVectorization"), "a TextVectorization, which reads a file"),
    "custom": (
        layer("Mine", module="mine", registered="pack>Mine"),
        "'Mine', a class of its author's own (of 'mine')",
    ),
    "custom without a module": (
        layer("Mine", module=None, registered="pack>Mine"),
        "'Mine', a class of its author's own",
    ),
    "any module": (layer("Popen", module="subprocess"), "of 'subprocess'"),
    "builtins": (layer("eval", module="builtins"), "of its author's own"),
    "registered in place": (
        layer("Conv2D", registered="pack>Conv2D"),
        "registered in the place of 'Conv2D'",
    ),
    "gadget of keras.utils": (
        layer("get_file", module="keras.utils"),
        "'keras.utils.get_file', which no network",
    ),
    "gadget by a dotted name": (
        layer("utils.get_file", module="keras"),
        "class is 'utils.get_file'",
    ),
    "gadget of keras.saving": (
        layer("load_model", module="keras.saving"),
        "'keras.saving.load_model'",
    ),
    "unsafe switch": (
        layer("enable_unsafe_deserialization", module="keras.config"),
        "'keras.config.enable_unsafe_deserialization'",
    ),
    "private module": (
        layer("TFSMLayer_", module="keras.src.export.tfsm_layer"),
        "which no network for pictures needs",
    ),
    "function that looks up": (
        layer(
            "Activation",
            activation={
                "class_name": "function",
                "module": "builtins",
                "config": "deserialize",
                "registered_name": "function",
            },
        ),
        "the function 'deserialize', no activation",
    ),
    "function of a module": (
        layer(
            "Activation",
            activation={
                "class_name": "function",
                "module": "os",
                "config": "system",
                "registered_name": "system",
            },
        ),
        "the function 'system', no activation (of 'os')",
    ),
    "loop over functions": (
        layer("Map", module="keras.src.ops.core"),
        "'keras.src.ops.core.Map'",
    ),
    "module without a class": ({"module": "os", "config": {}}, "and no class"),
    "remote": (layer("Activation", activation="https://x.org/m.keras"), "remote place"),
    "hub": (layer("Activation", activation="hf://a/b"), "remote place"),
    "bucket": (layer("Activation", activation="gs://a/b"), "remote place"),
    "network folder": (layer("Activation", activation="/cns/a/b"), "remote place"),
    "name that leads out": (layer("ReLU", tag="../../.bashrc"), "outside of it"),
    "name of the parent": ({**layer("ReLU"), "name": ".."}, "outside of it"),
}


@pytest.mark.parametrize("case", PARTS)
def test_parts_of_a_configuration_that_are_refused(case, reconfigured):
    part, reason = PARTS[case]

    def put(config):
        config["config"]["layers"][2] = part

    assert reason in refusal(reconfigured(put))


def test_a_part_deep_inside_is_refused(reconfigured):
    """As in the reuse of gadgets in the arguments of a Functional model's nodes."""

    def put(config):
        inner = config["config"]["layers"][2]["config"]["kernel_initializer"]
        inner["config"]["seed"] = layer("Lambda", **LAMBDA)

    assert "a Lambda layer" in refusal(reconfigured(put))


def test_a_custom_model_is_refused_with_its_reason(reconfigured):
    def put(config):
        config.update(module=None, class_name="MyModel", registered_name="mine>MyModel")

    assert "'MyModel', a class of its author's own" in refusal(reconfigured(put))


def test_a_layer_that_is_no_model_is_refused(reconfigured):
    def put(config):
        config.update(layer("Conv2D", filters=3, kernel_size=3))

    assert "'Conv2D' is no model" in refusal(reconfigured(put))


def test_what_it_was_trained_with_is_not_read(reconfigured):
    """A loss of one's own does not hinder: how to train is left out, and never read."""

    def put(config):
        config["compile_config"] = {"loss": layer("Mine", module="mine")}

    assert user_models.load_file(reconfigured(put), trusted=True).name == "forged.keras"


def nested(depth):
    return json.loads("[" * depth + "]" * depth)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (b"{", "config.json cannot be read"),
        (b"[1]", "config.json cannot be read"),
        (b"\xff\xfe", "config.json cannot be read"),
        (b"[" * 100_000, "config.json cannot be read"),
        (b'{"class_name": "A", "class_name": "Sequential"}', "one thing twice"),
        (
            json.dumps(
                {
                    "module": "keras",
                    "class_name": "Sequential",
                    "config": nested(400),
                }
            ).encode(),
            "more than 256 deep",
        ),
        (b'{"class_name": ["Sequential"]}', "whose class is ['Sequential']"),
    ],
)
def test_configurations_that_cannot_be_read(config, reason, forged):
    path = forged(lambda contents: contents.update({CONFIG: config}))
    text = refusal(path)
    assert reason in text


@pytest.mark.parametrize(
    ("place", "settings", "reason"),
    [
        (
            4,
            {"units": 10**12},
            "layers claim 5,000,000,000,112 numbers, of which",
        ),
        (2, {"filters": -1}, "which Keras cannot build"),
        (2, {"kernel_size": "x"}, "which Keras cannot build"),
        (4, {"units": 5}, "which Keras cannot build"),  # other shapes than the weights'
        (1, {"scale": None}, "whose rescaling@0/scale has others"),
        (1, {"scale": "x"}, "which Keras cannot build"),
        (1, {"scale": {"a": 1}}, "which Keras cannot build"),
        (2, {"dtype": "U500000000"}, "which Keras cannot build"),
        (2, {"strides": [10**9, 10**9]}, "fails the check of 'stride'"),
        (2, {"name": "n" * 100_000}, "fails the check of 'a name'"),
        (2, {"name": "n\x1b[2J"}, "fails the check of 'a name'"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_layers_that_cannot_be_built(place, settings, reason, reconfigured):
    def put(config):
        config["config"]["layers"][place]["config"].update(settings)

    path = reconfigured(put)
    with pytest.raises(NetworkError) as caught:
        user_models.load_file(path, trusted=True, preprocessing="0-1")
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("side", "reason"),
    [(10**9, "the check of 'size'"), (4000, "the check of 'the work for a pixel'")],
)
def test_pools_of_any_size_are_refused(side, reason, reconfigured):
    def put(config):
        parts = config["config"]["layers"]
        pool = layers.MaxPooling2D(side, strides=1, padding="same")
        parts.insert(2, keras.saving.serialize_keras_object(pool))

    assert reason in refusal(reconfigured(put))


@pytest.mark.parametrize("kind", ["__tensor__", "__numpy__"])
def test_arrays_in_a_configuration_are_of_numbers(kind, reconfigured):
    """NumPy would make a text of two gigabytes of each letter."""

    def array(dtype, value):
        part = {"class_name": kind, "config": {"dtype": dtype, "value": value}}

        def put(config):
            config["config"]["layers"][1]["config"]["scale"] = part

        return put

    path = reconfigured(array("U500000000", ["a"] * 3))
    assert "with an array of 'U500000000', no kind of numbers" in refusal(path)
    path = reconfigured(array("float32", [["a"]]))
    assert "with an array that holds 'a'" in refusal(path)
    path = reconfigured(array("float32", [0.1, 0.2, 0.3]))
    graph = user_models.load_file(path, trusted=True, preprocessing="0-1").graph
    assert np.allclose(graph.weights["rescaling@0/scale"], [0.1, 0.2, 0.3])
