"""Model files that are refused, each built here, and what of them is said.

The list is that of the published holes in Keras' loader (CVE-2024-3660 to
CVE-2026-12570), and of the other kinds of files that people have models in.
"""

import io
import json
import pickle
import stat
import warnings
import zipfile

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from keras_dream import Dreamer, dream as dream_once
from keras_dream.errors import NetworkError
from keras_dream.network import own

CONFIG, WEIGHTS = "config.json", "model.weights.h5"


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A small sound model file."""
    model = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, 3, activation="relu", name="seen"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, name="told"),
        ],
        name="good",
    )
    model.compile("adam", "mse")
    path = tmp_path_factory.mktemp("models") / "good.keras"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy's, of how Keras reads torch's tensors
        model.save(path)
    return path


def members(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(path, contents, **options):
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
    return path


@pytest.fixture
def forged(good, tmp_path):
    """Returns a function that writes the good file with parts of it changed."""

    def write(change, name="forged.keras", **options):
        contents = members(good)
        change(contents)
        return packed(tmp_path / name, contents, **options)

    return write


@pytest.fixture
def reconfigured(forged):
    """Returns a function that writes the good file with a changed configuration."""

    def write(change):
        def rewrite(contents):
            config = json.loads(contents[CONFIG])
            change(config)
            contents[CONFIG] = json.dumps(config).encode()

        return forged(rewrite)

    return write


@pytest.fixture
def reweighted(forged):
    """Returns a function that writes the good file with a changed weights file."""

    def write(change):
        def rewrite(contents):
            file = io.BytesIO(contents[WEIGHTS])
            with h5py.File(file, "r+") as weights:
                change(weights)
            contents[WEIGHTS] = file.getvalue()

        return forged(rewrite)

    return write


def refusal(path):
    with pytest.raises(NetworkError) as caught:
        own.load(path, trusted=True)
    text = str(caught.value)
    assert "\n" not in text
    assert text.endswith(".")
    assert str(path.parent) not in text
    return text


def test_the_good_file_is_taken(good):
    loaded = own.load(good, trusted=True)
    assert loaded.name == "good.keras"
    assert loaded.graph.classifier == "told"


def test_nothing_is_opened_without_trust(good, monkeypatch):
    monkeypatch.setattr(own.archive, "inspect", lambda _: pytest.fail("opened"))
    for call in (Dreamer, lambda path: dream_once(np.zeros((9, 9, 3)), network=path)):
        with pytest.raises(NetworkError, match="trusted with --trust-model") as caught:
            call(str(good))
        assert "Keras builds whatever its author wrote" in str(caught.value)


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
        layer("TFSMLayer", filepath="/tmp/evil", call_endpoint="serve"),
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

    assert own.load(reconfigured(put), trusted=True).name == "forged.keras"


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
    ],
)
def test_layers_that_cannot_be_built(place, settings, reason, reconfigured):
    def put(config):
        config["config"]["layers"][place]["config"].update(settings)

    assert reason in refusal(reconfigured(put))


MEMBERS = {
    "parent folder": ({"../evil": b"x"}, "leads out of it"),
    "root folder": ({"/etc/evil": b"x"}, "leads out of it"),
    "drive": ({"C:evil": b"x"}, "leads out of it"),
    "other separator": ({"..\\evil": b"x"}, "leads out of it"),
    "asset": ({"assets/layer/vocabulary.txt": b"x"}, "holds files for its layers"),
    "stranger": ({"readme.txt": b"x"}, "holds 'readme.txt', too"),
    "numpy archive": ({"model.weights.npz": b"x"}, "may hold pickled code"),
    "shards": ({"model.weights.json": b"{}"}, "weights in several files"),
    "torch archive": ({"archive/data.pkl": b"\x80"}, "archive of pickled code"),
}


@pytest.mark.parametrize("case", MEMBERS)
def test_members_of_an_archive_that_are_refused(case, forged):
    more, reason = MEMBERS[case]
    assert reason in refusal(forged(lambda contents: contents.update(more)))


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
def test_members_that_are_missing(name, forged):
    assert f"holds no {name}" in refusal(forged(lambda contents: contents.pop(name)))


def test_a_member_twice_is_refused(good, tmp_path):
    """Two programs would read two different configurations."""
    path = packed(tmp_path / "twice.keras", members(good))
    with (
        zipfile.ZipFile(path, "a") as archive,
        pytest.warns(UserWarning, match="Duplicate"),
    ):
        archive.writestr(CONFIG, b"{}")
    assert "holds 'config.json' twice" in refusal(path)


def test_a_link_in_an_archive_is_refused(good, tmp_path):
    contents = members(good)
    contents.pop(WEIGHTS)
    path = packed(tmp_path / "link.keras", contents)
    info = zipfile.ZipInfo(WEIGHTS)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(info, "/etc/passwd")
    assert "is a link or no file" in refusal(path)


def test_bombs_are_refused(forged):
    zeros = bytes(50 << 20)
    squeezed = {"compression": zipfile.ZIP_DEFLATED}
    for name in (CONFIG, WEIGHTS):
        path = forged(lambda c, name=name: c.update({name: zeros}), **squeezed)
        text = refusal(path)
        assert "expands from" in text or "would have 52 MB" in text


def test_unusual_packing_is_refused(forged):
    path = forged(lambda _: None, compression=zipfile.ZIP_LZMA)
    assert "packed in an unusual way" in refusal(path)


def test_a_recompressed_file_is_taken(forged):
    path = forged(lambda _: None, compression=zipfile.ZIP_DEFLATED)
    assert own.load(path, trusted=True).graph.layers


def test_an_encrypted_member_is_refused(forged):
    path = forged(lambda _: None)
    data = bytearray(path.read_bytes())
    place = data.index(b"PK\x01\x02")  # the first entry of the central directory
    data[place + 8] |= 1
    path.write_bytes(data)
    assert "is encrypted" in refusal(path)


@pytest.mark.parametrize("cut", [0.3, 0.9])
def test_a_torn_archive_is_refused(good, tmp_path, cut):
    data = good.read_bytes()
    path = tmp_path / "torn.keras"
    path.write_bytes(data[: int(len(data) * cut)])
    assert "no whole zip archive" in refusal(path)


def first_array(file):
    return "layers/conv2d/vars"


def external(file, folder):
    secret = folder / "secret.bin"
    secret.write_bytes(bytes(64))
    group = file[first_array(file)]
    del group["1"]
    group.create_dataset("1", (4,), "f4", external=[(str(secret), 0, 16)])


def virtual(file, folder):
    other = folder / "other.h5"
    with h5py.File(other, "w") as source:
        source["x"] = np.zeros(4, np.float32)
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource(other, "x", (4,))
    group = file[first_array(file)]
    del group["1"]
    group.create_virtual_dataset("1", layout)


def link(target):
    def change(file, folder):
        group = file[first_array(file)]
        del group["1"]
        group["1"] = target(folder)

    return change


def bomb(file, folder):
    group = file[first_array(file)]
    del group["1"]
    group.create_dataset("1", (1 << 20, 1 << 20), "f4", chunks=(16, 16))


def texts(file, folder):
    file.create_dataset("layers/words", data=["a"], dtype=h5py.string_dtype())


def parent(file, folder):
    h5py.h5g.create(file["layers"].id, b"..")


def circle(file, folder):
    file["layers/conv2d/again"] = file["layers"]


def deep(file, folder):
    file.create_group("/".join("a" * 80))


ARRAYS = {
    "external": (external, "lies in another file"),
    "virtual": (virtual, "lies in another file"),
    "external link": (
        link(lambda folder: h5py.ExternalLink(str(folder / "x.h5"), "/x")),
        "a link to elsewhere",
    ),
    "soft link": (link(lambda _: h5py.SoftLink("/vars")), "a link to elsewhere"),
    "shape bomb": (bomb, "claims 4,398,046,511,104 bytes and holds 0"),
    "texts": (texts, "no array of numbers"),
    "parent": (parent, "a place '/layers/..'"),
    "circle": (circle, "stands for another place"),
    "deep": (deep, "a place"),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_arrays_that_are_refused(case, reweighted, tmp_path):
    change, reason = ARRAYS[case]
    assert reason in refusal(reweighted(lambda file: change(file, tmp_path)))


def test_damaged_weights_are_refused(forged):
    def damage(contents):
        contents[WEIGHTS] = contents[WEIGHTS][:600]

    assert "model.weights.h5 is damaged" in refusal(forged(damage))


def test_weights_that_are_no_numbers_are_refused(reweighted):
    def spoil(file):
        file[f"{first_array(file)}/0"][0] = np.nan

    assert "finite numbers" in refusal(reweighted(spoil))


def test_weights_that_are_missing_are_refused(reweighted):
    def lose(file):
        del file["layers/conv2d"]

    assert "forged.keras" in refusal(reweighted(lose))


class Harm:
    """Leaves a mark where it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (open, (str(self.mark), "w"))


OTHER_KINDS = {
    "model.pt": "a pickle, which runs its author's code",
    "model.pth": "a pickle, which runs its author's code",
    "model.pkl": "a pickle, which runs its author's code",
    "model.ckpt": "a pickle, which runs its author's code",
    "model.joblib": "a pickle, which runs its author's code",
    "model.bin": "a pickle, which runs its author's code",
    "model.onnx": "a model of another program",
    "model.tflite": "a model of another program",
    "model.pb": "a model of another program",
    "model.npz": "weights without a network",
    "model.safetensors": "weights without a network",
    "model.json": "a description without weights",
    "model.zip": "an archive of unknown files",
    "model.py": "a program",
    "models/model": "a file of another kind",
    "model.keras": "in truth a pickle",
}


@pytest.mark.parametrize("name", OTHER_KINDS)
def test_other_kinds_of_files(name, tmp_path):
    path, mark = tmp_path / name, tmp_path / "mark"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(pickle.dumps(Harm(mark)))
    for trusted in (True, False):
        with pytest.raises(NetworkError) as caught:
            own.load(path, trusted=trusted)
        assert OTHER_KINDS[name] in str(caught.value)
    assert not mark.exists()


@pytest.mark.parametrize("name", ["whole.h5", "whole.hdf5", "whole.keras"])
def test_whole_models_in_hdf5(name, tmp_path):
    """Keras ignores its safe mode for them (CVE-2025-9905)."""
    path = tmp_path / name
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = "{}"
    assert "a whole model in HDF5, for which Keras has no safe mode" in refusal(path)


@pytest.mark.parametrize("name", ["some.weights.h5", "some.h5"])
def test_weights_alone_ask_for_their_network(name, tmp_path):
    path = tmp_path / name
    with h5py.File(path, "w") as file:
        file["x"] = np.zeros(3)
    assert "--network NAME --weights FILE" in refusal(path)


def test_folders(tmp_path):
    saved = tmp_path / "saved.keras"
    saved.mkdir()
    assert "a folder" in refusal(saved)
    (saved / "saved_model.pb").write_bytes(b"x")
    assert "a SavedModel, which runs its author's code" in refusal(saved)


@pytest.mark.parametrize(
    "place",
    ["https://x.org/m.keras", "hf://a/b.keras", "gs://a/b.keras", "file:///m.keras"],
)
def test_remote_places(place):
    with pytest.raises(NetworkError, match="a remote place"):
        own.load(place, trusted=True)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(NetworkError, match="does not exist"):
        own.load(tmp_path / "none.keras", trusted=True)
    (tmp_path / "empty.keras").touch()
    with pytest.raises(NetworkError, match="an empty file"):
        own.load(tmp_path / "empty.keras", trusted=True)
    (tmp_path / "text.keras").write_text("a model, said somebody")
    assert "no whole zip archive" in refusal(tmp_path / "text.keras")
