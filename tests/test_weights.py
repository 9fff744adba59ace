"""Weights files: read with suspicion, found in order, downloaded once."""

import contextlib
import hashlib
import http.server
import json
import threading

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from keras_dream.errors import WeightsError
from keras_dream.network import weights
from keras_dream.network.weights import Source


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
        weights.read_legacy(model(), path)
    text = str(error.value)
    assert text.endswith(".")
    assert "\n" not in text
    return text


def test_a_good_file_is_read_in_order(tmp_path):
    path, network = write(tmp_path / "w.h5"), model()
    weights.read_legacy(network, path)
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
    assert not weights.has_classifier(path)

    def named(file):
        file.move("three", "predictions")
        file.attrs["layer_names"] = [b"one", b"two", b"predictions"]
        file["predictions"].attrs["weight_names"] = [
            b"three/w0:0", b"three/w1:0",
        ]  # fmt: skip

    assert weights.has_classifier(write(tmp_path / "p.h5", named))


# -- finding ---------------------------------------------------------------------------
@pytest.fixture
def places(tmp_path, monkeypatch):
    for name in ("KERAS_DREAM_WEIGHTS", "KERAS_DREAM_HOME", "KERAS_HOME"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.delenv("KERAS_DREAM_OFFLINE", raising=False)
    (tmp_path / "KERAS_HOME" / "models").mkdir()
    return weights.folders()


def test_the_order_of_places(places):
    source = (Source("a.h5", "0"),)
    assert weights.find(source) is None
    for folder in reversed(places):
        (folder / "a.h5").write_bytes(b"x")
        assert weights.find(source) == folder / "a.h5"
    assert [p.name for p in places] == [
        "KERAS_DREAM_WEIGHTS", "KERAS_DREAM_HOME", "models",
    ]  # fmt: skip


def test_a_file_with_the_classifier_serves_both(places):
    sources = (Source("top.h5", "0", classifier=True), Source("notop.h5", "0"))
    (places[1] / "top.h5").write_bytes(b"x")
    assert weights.find(sources).name == "top.h5"
    (places[1] / "notop.h5").write_bytes(b"x")
    assert weights.find(sources).name == "notop.h5"
    assert weights.find(sources, classifier=True).name == "top.h5"


@pytest.mark.parametrize("how", ["argument", "environment"])
def test_offline_is_one_sentence(how, places, monkeypatch):
    source = Source("a.h5", "0", url="http://127.0.0.1:9/a.h5")
    if how == "environment":
        monkeypatch.setenv("KERAS_DREAM_OFFLINE", "1")
    with pytest.raises(WeightsError, match="on this machine") as error:
        weights.locate("net", [source], offline=how == "argument")
    text = str(error.value)
    assert "a.h5" in text
    assert all(str(place) in text for place in places)
    assert "--weights" in text
    monkeypatch.delenv("KERAS_DREAM_OFFLINE", raising=False)
    with pytest.raises(WeightsError, match="given as a file"):
        weights.locate("net", [Source("a.h5", "0")])
    with pytest.raises(WeightsError, match="received none with classes in"):
        weights.locate("net", [Source("a.h5", "0")], classifier=True)


# -- downloading -----------------------------------------------------------------------
GOOD = bytes(range(256)) * 9000
MD5 = hashlib.md5(GOOD).hexdigest()


@pytest.fixture(scope="module")
def server():
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/none":
                self.send_error(404)
                return
            if self.path == "/noise":
                self.wfile.write(b"no HTTP at all\r\n\r\n")
                return
            self.send_response(200)
            if self.path == "/chunks":
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                self.wfile.write(b"zz\r\n")
                return
            self.send_header("Content-Length", str(len(GOOD)))
            self.end_headers()
            body = GOOD[: len(GOOD) // 2] if self.path == "/short" else GOOD
            with contextlib.suppress(BrokenPipeError):
                self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def test_a_good_download(places, server):
    seen = []
    source = Source("a.h5", MD5, url=f"{server}/good")
    path = weights.locate("net", [source], progress=lambda *now: seen.append(now))
    assert path == weights.home() / "a.h5"
    assert path.read_bytes() == GOOD
    assert seen[-1] == (len(GOOD), len(GOOD))
    assert seen == sorted(seen)
    manifest = json.loads((weights.home() / "sha256.json").read_text())
    assert manifest == {"a.h5": hashlib.sha256(GOOD).hexdigest()}
    again = Source("a.h5", MD5, url=f"{server}/none")
    assert weights.locate("net", [again]) == path  # found, nothing fetched
    path.write_bytes(GOOD[::-1])
    with pytest.raises(WeightsError, match="published md5"):
        weights.locate("net", [again])


def test_a_wrong_hash_is_kept_aside(places, server):
    source = Source("a.h5", "0" * 32, url=f"{server}/good")
    with pytest.raises(WeightsError, match="kept as"):
        weights.locate("net", [source])
    (aside,) = weights.home().glob("a.h5.wrong-*")
    assert aside.read_bytes() == GOOD
    assert weights.find([source]) is None


@pytest.mark.parametrize("what", ["short", "none", "nobody", "noise", "chunks"])
def test_failed_downloads_leave_nothing(what, places, server):
    url = "http://127.0.0.1:9/x" if what == "nobody" else f"{server}/{what}"
    with pytest.raises(WeightsError, match="downloadable") as error:
        weights.locate("net", [Source("a.h5", MD5, url=url)])
    assert "check the connection" in str(error.value)
    assert [p for p in weights.home().iterdir() if p.name != "sha256.json"] == []


def test_a_broken_manifest_only_costs_another_check(places):
    (weights.home() / "a.h5").write_bytes(GOOD)
    for text in ("{", "[]", "null"):
        (weights.home() / "sha256.json").write_text(text)
        found = weights.locate("net", [Source("a.h5", MD5)])
        assert found.read_bytes() == GOOD
