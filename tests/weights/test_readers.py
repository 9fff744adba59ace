"""Weights files of every kind, read with suspicion."""

import pickle

import caffe_files
import h5py
import keras
import numpy as np
import pytest
from keras import layers
from reference import features, randomise
from safetensors.numpy import save_file

from keras_dream.errors import WeightsError
from keras_dream.lowering.walker import lower
from keras_dream.weights.readers import h5

pytestmark = pytest.mark.usefixtures("in_this_process")


def model():
    x = image = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 3, name="one")(x)
    x = layers.BatchNormalization(name="two")(x)
    return keras.Model(image, layers.Conv2D(2, 1, name="three")(x))


SHAPES = {
    "one": [(3, 3, 3, 4), (4,)],
    "two": [(4,), (4,), (4,), (4,)],
    "three": [(1, 1, 4, 2), (2,)],
}


def write(path, change=None):
    """Writes a legacy weights file: what is trained first, then the statistics."""
    generator = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in ("input", *SHAPES)]
        file.create_group("input").attrs["weight_names"] = np.array([], "S1")
        for name, shapes in SHAPES.items():
            group = file.create_group(name)
            names = [f"{name}/w{k}:0".encode() for k in range(len(shapes))]
            group.attrs["weight_names"] = names
            for part, shape in zip(names, shapes, strict=True):
                group[part.decode()] = generator.uniform(0.5, 1, shape).astype("f4")
        if change is not None:
            change(file)
    return path


def refused(path, match="eights file must"):
    with pytest.raises(WeightsError, match=match) as error:
        h5.read(model(), path)
    text = str(error.value)
    assert text.endswith(".")
    assert "\n" not in text
    return text


def test_a_good_file_is_read_in_order(tmp_path):
    path, network = write(tmp_path / "w.h5"), model()
    h5.read(network, path)
    generator = np.random.default_rng(0)
    for name in SHAPES:
        layer = network.get_layer(name)
        variables = [*layer.trainable_variables, *layer.non_trainable_variables]
        for variable in variables:
            expected = generator.uniform(0.5, 1, tuple(variable.shape)).astype("f4")
            value = variable.value
            value = value.detach() if hasattr(value, "detach") else value
            assert np.array_equal(np.asarray(value), expected)


def replace(name, make):
    def change(file):
        del file[name]
        make(file, name)

    return change


CHANGES = {
    "nan": replace(
        "one/one/w0:0", lambda f, n: f.__setitem__(n, np.full((3, 3, 3, 4), np.nan))
    ),
    "infinite": replace(
        "one/one/w1:0", lambda f, n: f.__setitem__(n, np.full(4, np.inf))
    ),
    "shape": replace("one/one/w1:0", lambda f, n: f.__setitem__(n, np.ones(5, "f4"))),
    "text": replace("one/one/w1:0", lambda f, n: f.__setitem__(n, [b"a", b"b"])),
    "missing": lambda f: f.__delitem__("three/three/w1:0"),
    "no layer": lambda f: f.__delitem__("three"),
    "fewer": lambda f: f.attrs.__setitem__("layer_names", [b"one", b"two"]),
    "no names": lambda f: f.attrs.__delitem__("layer_names"),
    "whole model": lambda f: f.attrs.__setitem__("model_config", "{}"),
    "no list of names": lambda f: f.attrs.__setitem__("layer_names", 3),
    "layer that is an array": replace(
        "three/three", lambda f, n: f.__setitem__(n, np.ones(4, "f4"))
    ),
    "group": replace("one/one/w1:0", lambda f, n: f.create_group(n)),
    "soft link": replace(
        "one/one/w1:0", lambda f, n: f.__setitem__(n, h5py.SoftLink("/two/two/w0:0"))
    ),
    "soft group": replace(
        "three", lambda f, n: f.__setitem__(n, h5py.SoftLink("/one"))
    ),
    "external link": replace(
        "one/one/w1:0",
        lambda f, n: f.__setitem__(n, h5py.ExternalLink("secret.h5", "/one/one/w1:0")),
    ),
    "external group": replace(
        "one", lambda f, n: f.__setitem__(n, h5py.ExternalLink("secret.h5", "/one"))
    ),
    "external inner group": replace(
        "one/one",
        lambda f, n: f.__setitem__(n, h5py.ExternalLink("secret.h5", "/one/one")),
    ),
    "external storage": replace(
        "one/one/w1:0",
        lambda f, n: f.create_dataset(n, (4,), "f4", external=[("raw.bin", 0, 16)]),
    ),
    "huge": replace(
        "one/one/w1:0",
        lambda f, n: f.create_dataset(n, (1 << 40,), "f4", chunks=(1 << 20,)),
    ),
}


def virtual(file, name):
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("secret.h5", "one/one/w1:0", (4,))
    file.create_virtual_dataset(name, layout)


CHANGES["virtual"] = replace("one/one/w1:0", virtual)


@pytest.mark.parametrize("kind", CHANGES)
def test_forged_and_foreign_files_are_refused(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "secret.h5")
    (tmp_path / "raw.bin").write_bytes(np.ones(4, "f4").tobytes())
    path = write(tmp_path / "w.h5", CHANGES[kind])
    text = refused(path, "must be whole and made for this network")
    assert "w.h5" in text


@pytest.mark.parametrize("kept", [0, 1, 7, 100, 1000, 3000])
def test_truncated_files_are_refused(kept, tmp_path):
    path = write(tmp_path / "w.h5")
    path.write_bytes(path.read_bytes()[:kept])
    refused(path)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "w.h5"
    path.write_bytes(b"\x89PNG" + bytes(1000))
    refused(path, "no HDF5 file")
    refused(tmp_path / "nothing.h5", "does not exist")
    refused(tmp_path, "a folder")


def test_the_classifier_is_seen(tmp_path):
    path = write(tmp_path / "w.h5")
    assert not h5.has_classifier(path)

    def named(file):
        file.move("three", "predictions")
        file.attrs["layer_names"] = [b"one", b"two", b"predictions"]
        file["predictions"].attrs["weight_names"] = [
            b"three/w0:0", b"three/w1:0",
        ]  # fmt: skip

    assert h5.has_classifier(write(tmp_path / "p.h5", named))


def test_arrays_are_looked_at_before_they_are_read(tmp_path, monkeypatch):
    """Many names of one array that nobody wrote take a gigabyte each where read."""

    def claim(file):
        del file["one/one/w0:0"]
        file.create_dataset("one/one/w0:0", (1 << 28,), "f4", chunks=(1 << 20,))

    monkeypatch.setattr(h5, "_array", lambda *_: pytest.fail("it was read"))
    refused(write(tmp_path / "w.h5", claim), "claims 1,073,741,824 bytes and holds 0")
    with pytest.raises(WeightsError, match="shapes of the layer one"):
        h5.read(model(), tmp_path / "w.h5", published=True)


@pytest.mark.parametrize("place", ["layers", "layers/dense", "layers/dense/vars"])
def test_the_classifier_is_not_looked_for_in_other_files(place, tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file.create_group("dense/vars").attrs["name"] = "predictions"
    beneath = {"layers": "/", "layers/dense": "/dense"}.get(place, "/dense/vars")
    path = tmp_path / "w.weights.h5"
    with h5py.File(path, "w") as file:
        file[place] = h5py.ExternalLink(str(tmp_path / "secret.h5"), beneath)
    with pytest.raises(WeightsError, match="is a link to elsewhere"):
        h5.has_classifier(path)


# -- what Keras 3 writes, and arrays by their names ------------------------------------
# Keras' torch backend makes arrays in a way that numpy 2 warns about.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ impl:DeprecationWarning")


def nested():
    """Named and unnamed layers, statistics, and a model in the model."""
    x = image = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 3, name="first")(x)
    left = layers.Conv2D(4, 1)(x)
    right = layers.Conv2D(4, 1, use_bias=False)(x)
    x = layers.Dropout(0.5)(layers.Add()([left, right]))
    stem = [layers.Conv2D(5, 1, name="inner"), layers.LayerNormalization()]
    x = keras.Sequential(stem, name="stem")(x)
    x = layers.SeparableConv2D(3, 3)(layers.BatchNormalization(name="norm")(x))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(2, name="predictions")(x))


def numbers(network):
    return [caffe_files.value(variable) for variable in network.weights]


def filled(seed=0):
    return randomise(nested(), seed=seed)


def saved_by_keras(network, path):
    network.save_weights(path)
    return path


def saved_as_tensors(network, path, rename=lambda name: name):
    arrays = {rename(v.path): caffe_files.value(v) for v in network.weights}
    save_file(arrays, path)
    return path


@pytest.fixture(scope="module")
def source():
    return filled()


WRITERS = {".weights.h5": saved_by_keras, ".safetensors": saved_as_tensors}


@pytest.mark.parametrize("kind", WRITERS)
def test_weights_of_any_network_are_read(kind, source, tmp_path):
    path = WRITERS[kind](source, tmp_path / f"w{kind}")
    network = nested()  # its unnamed layers have other numbers than the source's
    unnamed = {layer.name for layer in network.layers} - {"first", "stem", "norm"}
    assert unnamed.isdisjoint({layer.name for layer in source.layers} - {"predictions"})
    h5.read(network, path)
    for found, expected in zip(numbers(network), numbers(source), strict=True):
        assert np.array_equal(found, expected)
    assert h5.has_classifier(path)


def test_a_normalization_takes_what_it_reads(tmp_path):
    def network(mean):
        image = keras.Input((None, None, 3))
        layer = layers.Normalization(name="levels")
        x = layer(image)
        layer.adapt(np.random.default_rng(0).normal(mean, 2, (4, 5, 5, 3)))
        return keras.Model(image, layers.Conv2D(2, 1, name="conv")(x))

    one, two = network(10), network(0)
    for kind, write in WRITERS.items():
        h5.read(two, write(one, tmp_path / f"w{kind}"))
        image = np.full((4, 4, 3), 9, np.float32)
        assert np.allclose(*features(one, image), *features(two, image), atol=1e-5)


def test_a_file_without_names_is_told_by_its_kinds(source, tmp_path):
    path = saved_by_keras(source, tmp_path / "w.weights.h5")
    with h5py.File(path, "r+") as file:
        for kind in file["layers"]:
            file[f"layers/{kind}/vars"].attrs.pop("name", None)
    assert h5.has_classifier(path)
    headless = keras.Model(source.inputs, source.get_layer("norm").output)
    assert not h5.has_classifier(saved_by_keras(headless, path))


def test_ordinals_name_layers_as_dream_layers_does(source, tmp_path):
    graph = lower(source, preprocessing="tf")
    kernels = {f"conv2d@{k}": graph.weights[f"conv2d@{k}/kernel"] for k in (1, 2)}

    def rename(path):
        """By ordinals instead of numbers, for the two layers without a name."""
        layer, _, variable = path.rpartition("/")
        if layer.startswith("conv2d"):
            own = caffe_files.value(source.get_layer(layer).kernel)
            layer = next(n for n, held in kernels.items() if np.array_equal(own, held))
        return f"{layer}/{variable}"

    path = saved_as_tensors(source, tmp_path / "w.safetensors", rename)
    network = nested()
    h5.read(network, path)
    for found, expected in zip(numbers(network), numbers(source), strict=True):
        assert np.array_equal(found, expected)


@pytest.mark.parametrize("kind", [np.float16, np.float64])
def test_other_numbers_become_float32(kind, source, tmp_path):
    path = tmp_path / "w.safetensors"
    save_file({v.path: caffe_files.value(v).astype(kind) for v in source.weights}, path)
    network = nested()
    h5.read(network, path)
    for found, expected in zip(numbers(network), numbers(source), strict=True):
        assert found.dtype == np.float32
        assert np.array_equal(found, expected.astype(kind).astype(np.float32))


def refused_of(path, match):
    with pytest.raises(WeightsError, match=match) as error:
        h5.read(nested(), path)
    text = str(error.value)
    assert path.name in text
    assert "\n" not in text
    assert text.endswith(".")


PLACE = "layers/conv2d/vars/1"
FORGED = {
    "shape": (replace(PLACE, lambda f, n: f.__setitem__(n, np.ones(5, "f4"))),
              "vars/1 is 5, not 4"),
    "nan": (replace(PLACE, lambda f, n: f.__setitem__(n, np.full(4, np.nan, "f4"))),
            "not finite"),
    "text": (replace(PLACE, lambda f, n: f.__setitem__(n, [b"a"] * 4)),
             "is no array of numbers"),
    "few": (lambda f: f.__delitem__(PLACE), "too few arrays for first"),
    "layer": (lambda f: f.__delitem__("layers/dense"), "dense/vars is missing"),
    "inner": (lambda f: f.__delitem__("layers/sequential/layers"), "is missing"),
    "soft": (replace(PLACE, lambda f, n: f.__setitem__(n, h5py.SoftLink("/a"))),
             "is a link to elsewhere"),
    "external": (
        replace(PLACE, lambda f, n: f.__setitem__(n, h5py.ExternalLink("s.h5", "/a"))),
        "is a link to elsewhere"),
    "storage": (
        replace(PLACE, lambda f, n: f.create_dataset(
            n, (4,), "f4", external=[("raw.bin", 0, 16)])), "lies in another file"),
    "virtual": (replace(PLACE, virtual), "lies in another file"),
    "huge": (
        replace(PLACE, lambda f, n: f.create_dataset(
            n, (1 << 40,), "f4", chunks=(1 << 20,))), "bytes and holds 0"),
}  # fmt: skip


@pytest.mark.parametrize("kind", FORGED)
def test_forged_files_of_keras_3_are_refused(kind, source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = saved_by_keras(source, tmp_path / "w.weights.h5")
    change, match = FORGED[kind]
    with h5py.File(path, "r+") as file:
        change(file)
    refused_of(path, match)


def test_forged_tensors_are_refused(source, tmp_path):
    path = saved_as_tensors(source, tmp_path / "w.safetensors")
    whole = path.read_bytes()
    for kept in (1, 8, 100, len(whole) // 2):
        path.write_bytes(whole[:kept])
        refused_of(path, "damaged or no such file")
    path.write_bytes((1 << 60).to_bytes(8, "little") + whole[8:])
    refused_of(path, "damaged or no such file")
    held = {v.path: caffe_files.value(v) for v in source.weights}

    def wrong(change, match):
        save_file({**held, **change}, path)
        refused_of(path, match)

    wrong({"first/bias": np.ones(5, "f4")}, "first/bias is 5, not 4")
    wrong({"first/bias": np.ones(4, "i1")}, "first/bias is of the type I8")
    wrong({"first/bias": np.full(4, np.inf, "f4")}, "first/bias is not finite")
    del held["first/bias"], held["norm/gamma"]
    wrong({}, "without 2 arrays, the first first/bias")
    save_file(held, path, metadata={"keras-dream": "{}"})
    refused_of(path, "a network that keras-dream wrote for itself")


KINDS = {
    "w.pt": (b"PK\x03\x04", "torch's pickle"),
    "w.npz": (b"PK\x03\x04", r"numpy's .npz"),
    "w.bin": (pickle.dumps({"a": 1}), "a pickle, which runs code"),
    "w.onnx": (b"\x08\x07\x12\x07", "ONNX"),
    "w.keras": (b"PK\x03\x04", r"a whole model.*--trust-model"),
    "w.txt": (b"weights", "a file of another kind"),
}


@pytest.mark.parametrize("name", KINDS)
def test_files_of_other_kinds_are_refused(name, tmp_path):
    start, match = KINDS[name]
    (tmp_path / name).write_bytes(start)
    refused_of(tmp_path / name, match)
    with pytest.raises(WeightsError):
        h5.has_classifier(tmp_path / name)


def test_a_file_is_known_by_its_contents_where_it_has_no_ending(tmp_path, source):
    path = saved_by_keras(source, tmp_path / "w.weights.h5")
    h5.read(nested(), path.rename(tmp_path / "downloaded"))
