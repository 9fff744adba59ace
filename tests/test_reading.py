"""Weights files of every kind, read with suspicion."""

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from keras_dream.errors import WeightsError
from keras_dream.network import reading


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
        reading.read_legacy(model(), path)
    text = str(error.value)
    assert text.endswith(".")
    assert "\n" not in text
    return text


def test_a_good_file_is_read_in_order(tmp_path):
    path, network = write(tmp_path / "w.h5"), model()
    reading.read_legacy(network, path)
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
    text = refused(path, "whole Keras weights file")
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
    assert not reading.has_classifier(path)

    def named(file):
        file.move("three", "predictions")
        file.attrs["layer_names"] = [b"one", b"two", b"predictions"]
        file["predictions"].attrs["weight_names"] = [
            b"three/w0:0", b"three/w1:0",
        ]  # fmt: skip

    assert reading.has_classifier(write(tmp_path / "p.h5", named))
