"""Model files that are refused, each built here, and what of them is said.

The list is that of the published holes in Keras' loader (CVE-2024-3660 to
CVE-2026-12570), and of the other kinds of files that people have models in.
"""

import pickle
import stat
import time
import tracemalloc
import zipfile
from functools import partial

import forging
import h5py
import numpy as np
import pytest
from forging import CONFIG, WEIGHTS, members, packed, refusal

from keras_dream import Dreamer, dream as dream_once
from keras_dream.errors import NetworkError
from keras_dream.untrusted import archive, hdf5
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
def reweighted(good, tmp_path):
    """Returns a function that writes the good file with a changed weights file."""
    return partial(forging.reweight, good, tmp_path / "forged.keras")


def test_the_good_file_is_taken(good):
    loaded = user_models.load_file(good, trusted=True)
    assert loaded.name == "good.keras"
    assert loaded.graph.classifier == "told"


def test_nothing_is_opened_without_trust(good, monkeypatch):
    monkeypatch.setattr(user_models.archive, "inspect", lambda _: pytest.fail("opened"))
    for call in (Dreamer, lambda path: dream_once(np.zeros((9, 9, 3)), network=path)):
        with pytest.raises(NetworkError, match="trusted with --trust-model") as caught:
            call(str(good))
        assert "Keras builds whatever its author wrote" in str(caught.value)


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


def test_thousands_of_members_are_not_compared(good, tmp_path):
    """A hundred thousand took two minutes."""
    contents = members(good) | {f"{number}": b"" for number in range(5000)}
    path = packed(tmp_path / "many.keras", contents)
    assert "holds 5,003 members" in refusal(path)


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
    assert user_models.load_file(path, trusted=True).graph.layers


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


def test_a_place_before_the_archive_is_refused(good, tmp_path):
    """The central directory of a cut file leads to before its beginning."""
    data = bytearray(good.read_bytes())
    end = data.rindex(b"PK\x05\x06")
    data[end + 16 : end + 20] = (2**31).to_bytes(4, "little")
    path = tmp_path / "led.keras"
    path.write_bytes(data)
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
    "parent": (parent, "'/layers/..' is no place for weights"),
    "circle": (circle, "stands for another place"),
    "deep": (deep, "is no place for weights"),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_arrays_that_are_refused(case, reweighted, tmp_path):
    change, reason = ARRAYS[case]
    assert reason in refusal(reweighted(lambda file: change(file, tmp_path)))


def test_refusals_take_little_time_and_memory(forged, reweighted, tmp_path):
    """The child's part, too, which is read here."""
    zeros, squeezed = bytes(70 << 20), {"compression": zipfile.ZIP_DEFLATED}
    forgeries = {
        **{n: lambda c, more=m: c.update(more) for n, (m, _) in MEMBERS.items()},
        "bomb": lambda c: c.update({WEIGHTS: zeros}),
        "bomb of text": lambda c: c.update({CONFIG: zeros}),
        "deep": lambda c: c.update({CONFIG: b"[" * (1 << 20)}),
        "text": lambda c: c.update({CONFIG: b'"' + b"a" * (1 << 20) + b'"'}),
    }
    paths = {
        name: forged(change, **squeezed).rename(tmp_path / f"a{number}.keras")
        for number, (name, change) in enumerate(forgeries.items())
    }
    for number, (name, (change, _)) in enumerate(ARRAYS.items()):
        path = reweighted(lambda file, change=change: change(file, tmp_path))
        paths[f"array: {name}"] = path.rename(tmp_path / f"b{number}.keras")
    zeros = b""
    tracemalloc.start()
    try:
        for name, path in paths.items():
            tracemalloc.reset_peak()
            before, start = tracemalloc.get_traced_memory()[0], time.monotonic()
            refusal(path)
            assert tracemalloc.get_traced_memory()[1] - before < 64 << 20, name
            assert time.monotonic() - start < 20, name
    finally:
        tracemalloc.stop()


def test_many_packed_arrays_are_refused(reweighted, monkeypatch):
    """Each is within its own bound, and all together are hundreds of gigabytes."""

    def pack(file):
        noise = np.random.default_rng(0).random(1 << 16, np.float32)
        for number in range(3):
            array = file.create_dataset(
                f"a{number}", (1 << 22,), "f4", chunks=(1 << 16,)
            )
            array[: 1 << 16] = noise

    path = reweighted(pack)
    assert archive.inspect(path).numbers > 3 << 22
    monkeypatch.setattr(hdf5, "LARGEST", 2 << 24)
    assert "has arrays of more than 33,554,432 bytes in all" in refusal(path)


def test_damaged_weights_are_refused(forged):
    def damage(contents):
        contents[WEIGHTS] = contents[WEIGHTS][:600]

    assert "model.weights.h5 is no HDF5 file" in refusal(forged(damage))


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
            user_models.load_file(path, trusted=trusted)
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
        user_models.load_file(place, trusted=True)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(NetworkError, match="does not exist"):
        user_models.load_file(tmp_path / "none.keras", trusted=True)
    (tmp_path / "empty.keras").touch()
    with pytest.raises(NetworkError, match="an empty file"):
        user_models.load_file(tmp_path / "empty.keras", trusted=True)
    (tmp_path / "text.keras").write_text("a model, said somebody")
    assert "no whole zip archive" in refusal(tmp_path / "text.keras")
