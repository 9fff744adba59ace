"""Cached copies of lowered networks: with them no Keras, and never a need of them."""

import contextlib
import dataclasses
import errno
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import small_models
from keras import layers
from legacy_files import write_legacy
from reference import randomise
from weights_server import separate

from keras_dream.errors import WeightsError
from keras_dream.graph import file
from keras_dream.lowering import LOWERING_VERSION
from keras_dream.lowering.walker import lower
from keras_dream.untrusted import hdf5
from keras_dream.weights import cache
from keras_dream.weights.source import Source
from keras_dream.zoo import architectures, catalogue, inventory, load, lowered_cache
from keras_dream.zoo.network import Network


def small(classifier=False):
    x = image = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="one")(x)
    x = layers.BatchNormalization(name="two")(x)
    return keras.Model(image, layers.Conv2D(3, 1, name="three")(x))


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Our cache; `small` is a network whose published weights are in it."""
    home = separate(tmp_path, monkeypatch)[1]
    file = write_legacy(randomise(small()), home / "small.h5")
    squeezenet = catalogue.entry("squeezenet")
    entry = dataclasses.replace(
        squeezenet,
        name="small",
        objective="three",
        build=small,
        sources=(Source("small.h5", cache.compute_hashes(file).md5),),
    )
    monkeypatch.setattr(catalogue, "ZOO", {**catalogue.ZOO, "small": entry})
    return home


@pytest.fixture
def builds(monkeypatch):
    """How often Keras was asked for the network."""
    made = []
    entry = catalogue.entry("small")
    counting = dataclasses.replace(entry, build=lambda c: made.append(c) or small(c))
    monkeypatch.setattr(catalogue, "ZOO", {**catalogue.ZOO, "small": counting})
    return made


def equal(a, b):
    assert [dataclasses.astuple(n) for n in a.nodes] == [
        (n.name, n.op, n.inputs, dict(n.attrs)) for n in b.nodes
    ]
    assert dict(a.layers) == dict(b.layers)
    assert (a.classifier, a.classes, a.objective) == (
        b.classifier, b.classes, b.objective,
    )  # fmt: skip
    assert a.weights.keys() == b.weights.keys()
    assert all(np.array_equal(a.weights[k], b.weights[k]) for k in a.weights)
    return True


def copy_of(home):
    (path,) = (home / "lowered").glob("*.safetensors")
    return path


# -- in one process --------------------------------------------------------------------
def test_the_second_load_reads_the_copy(home, builds):
    first = Network("small").load()
    second = Network("small").load()
    assert len(builds) == 1
    assert first.sha256 == second.sha256
    assert equal(first.graph, second.graph)
    assert {"one", "two", "three"} <= set(second.graph.layers)  # exact, unfolded
    path = copy_of(home)
    assert cache.recorded(path) == cache.compute_hashes(path)
    assert path.name.startswith("small-")


def flip(path):
    data = bytearray(path.read_bytes())
    data[-5] ^= 1  # a weight: it could be read, and would dream something else
    path.write_bytes(data)


DAMAGES = {
    "a bit": flip,
    "half": lambda p: p.write_bytes(p.read_bytes()[: p.stat().st_size // 2]),
    "nothing": lambda p: p.write_bytes(b""),
    "gone": lambda p: p.unlink(),
    "not in the table": cache.forget,
    "no table": lambda p: (p.parents[1] / cache.FILE).unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_useless_copy_is_ignored_and_replaced(damage, home, builds):
    first = Network("small").load()
    DAMAGES[damage](copy_of(home))
    assert equal(Network("small").load().graph, first.graph)
    assert len(builds) == 2
    assert equal(Network("small").load().graph, first.graph)
    assert len(builds) == 2


def test_a_copy_that_is_no_graph_is_ignored(home, builds):
    """Its hash is right, but it was written by something else."""
    first = Network("small").load()
    path = copy_of(home)
    path.write_bytes(b"something else")
    cache.hashes_of(path)
    assert equal(Network("small").load().graph, first.graph)
    assert len(builds) == 2


def test_a_copy_that_nobody_wrote_to_is_not_read_again(home, builds, monkeypatch):
    """Of a large one the stamp is looked at, and of its weights what a dream needs."""
    monkeypatch.setattr(cache, "CHEAP", 0)
    monkeypatch.setattr(cache, "stamp_of", lambda _: "the same")
    first = Network("small").load()
    monkeypatch.setattr(cache, "_digest", lambda *_: pytest.fail("read again"))
    again = Network("small").load()
    assert equal(again.graph, first.graph)
    assert all(isinstance(w.base, np.memmap) for w in again.graph.weights.values())
    assert len(builds) == 1


def test_verify_reads_a_copy_whose_stamp_is_right(home, builds, monkeypatch):
    """A disk's own damage changes no time; `dream weights verify` is there for it."""
    Network("small").load()
    path = copy_of(home)
    assert lowered_cache.is_sound(path)
    monkeypatch.setattr(cache, "CHEAP", 0)
    monkeypatch.setattr(cache, "stamp_of", lambda _: "the same")
    cache.record(path, cache.compute_hashes(path))
    flip(path)
    assert lowered_cache.read(path)
    assert not lowered_cache.is_sound(path)
    found = list(inventory.verify(catalogue.entry("small")))
    assert [f.state for f in found] == ["ok", "wrong"]
    assert not path.exists()


def test_a_damaged_copy_that_cannot_be_removed_is_not_used(home, builds, monkeypatch):
    Network("small").load()
    path = copy_of(home)
    monkeypatch.setattr(cache, "CHEAP", 0)
    monkeypatch.setattr(cache, "stamp_of", lambda _: "the same")
    cache.record(path, cache.compute_hashes(path))
    flip(path)

    def refuse(self, missing_ok=False):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as context:
        context.setattr(Path, "unlink", refuse)
        found = list(inventory.verify(catalogue.entry("small")))
    assert any("left" in finding.more for finding in found)
    assert path.exists()
    assert lowered_cache.read(path) is None


def test_a_changed_copy_is_never_recorded_as_right(home, builds, monkeypatch):
    """Not even where it cannot be made again."""
    Network("small").load()
    path = copy_of(home)
    flip(path)
    monkeypatch.setattr(lowered_cache, "write", lambda *_: None)
    for _ in range(2):
        Network("small").load()
        assert lowered_cache.read(path) is None
    assert len(builds) == 3


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
def test_a_pipe_under_the_name_of_a_copy_is_not_waited_for(home, builds):
    Network("small").load()
    path = copy_of(home)
    path.unlink()
    os.mkfifo(path)
    (found,) = (f for f in inventory.verify(catalogue.entry("small")) if f.path != path)
    assert found.state == "ok"
    Network("small").load()
    assert len(builds) == 2
    assert path.is_file()


def test_another_version_has_another_copy(home, builds, monkeypatch):
    Network("small").load()
    monkeypatch.setattr(lowered_cache, "LOWERING_VERSION", LOWERING_VERSION + 1)
    Network("small").load()
    Network("small", classifier=False).load()
    assert len(builds) == 2
    assert len(lowered_cache.copies("small")) == 2


def test_other_weights_and_facts_have_another_copy(home):
    paths = {
        lowered_cache.path_of("small", sha256, classifier, preprocessing)
        for sha256 in ("a", "b")
        for classifier in (False, True)
        for preprocessing in ("tf", "caffe", None)
    }
    assert len(paths) == 12
    assert len({path.parent for path in paths}) == 1


def test_a_bad_original_is_refused_although_there_is_a_copy(home, builds):
    Network("small").load()
    flip(home / "small.h5")
    with pytest.raises(WeightsError, match="published md5"):
        Network("small").load()


def test_a_file_of_the_users_has_no_copy(home, builds):
    for _ in range(2):
        Network("small", weights=home / "small.h5").load()
    assert len(builds) == 2
    assert lowered_cache.copies("small") == []


def test_which_files_a_child_must_read(home, builds, monkeypatch):
    """Those that were not just found to be the published ones, or may be changed."""
    read = []
    monkeypatch.setattr(
        hdf5, "opened", lambda path, **_: read.append(path.name) or hdf5.Group()
    )

    def load(**options):
        with contextlib.suppress(WeightsError):
            Network("small", **options).load()
        shutil.rmtree(home / "lowered", ignore_errors=True)
        return read.pop() if read else None

    assert load() is None
    assert load(weights=home / "small.h5") == "small.h5"
    own = home.parent / "KERAS_DREAM_WEIGHTS"
    shutil.copy(home / "small.h5", own)
    assert load() is None
    if os.name == "posix":
        own.chmod(0o777)
        assert load() == "small.h5"
        (own / "small.h5").unlink()
    source = Source("small.h5")
    entry = dataclasses.replace(catalogue.entry("small"), sources=(source,))
    monkeypatch.setitem(catalogue.ZOO, "small", entry)
    assert load() == "small.h5"


def test_opaque_networks_have_no_copy(home):
    graph = lower(small_models.opaque(), preprocessing="tf")
    assert graph.opaque
    path = lowered_cache.path_of("opaque", "0")
    lowered_cache.write(path, graph)
    assert not (home / "lowered").exists()
    assert lowered_cache.read(path) is None


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "googlenet"])
def test_networks_of_many_operations_can_be_kept(name, home):
    graph = Network(name).outline()
    path = lowered_cache.path_of(name, "0")
    lowered_cache.write(path, graph)
    kept = lowered_cache.read(path)
    assert kept is not None
    assert [(n.name, n.op, n.inputs) for n in kept.nodes] == [
        (n.name, n.op, n.inputs) for n in graph.nodes
    ]
    assert dict(kept.layers) == dict(graph.layers)


def test_what_could_not_be_read_again_is_not_written(home):
    graph = Network("small").load().graph
    odd = dataclasses.replace(graph, layers={**graph.layers, "x": "no node"})
    lowered_cache.write(lowered_cache.path_of("odd", "0"), odd)
    assert lowered_cache.copies("odd") == []


def test_the_oldest_copies_make_room(home):
    graph = Network("small").load().graph
    paths = [
        lowered_cache.path_of("small_b", str(k)) for k in range(lowered_cache.KEPT + 2)
    ]
    for path in paths:
        time.sleep(0.01)  # more than a tick of the clock of files
        lowered_cache.write(path, graph)
    lowered_cache.write(lowered_cache.path_of("small", "0"), graph)
    kept = lowered_cache.copies("small_b")
    assert [*reversed(kept)] == paths[-lowered_cache.KEPT :]
    assert all(lowered_cache.read(path) for path in kept)
    # The name of another network begins with this one.
    assert len(lowered_cache.copies("small")) == 2


# -- caches that take no files ---------------------------------------------------------
def test_a_cache_that_cannot_be_written_goes_without(home, builds, monkeypatch):
    monkeypatch.setenv("KERAS_DREAM_WEIGHTS", str(home))
    monkeypatch.setenv("KERAS_DREAM_HOME", str(home / "small.h5" / "cache"))
    for _ in range(2):
        assert Network("small").load().graph.layers
    assert len(builds) == 2


def refuse(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def refuse_as_safetensors(*_, **__):
    from safetensors import SafetensorError

    raise SafetensorError("I/O error: no space left on device")


@pytest.mark.parametrize("how", [refuse, refuse_as_safetensors])
def test_a_full_disk_goes_without(how, home, builds, monkeypatch):
    monkeypatch.setattr(file, "save", how)
    for _ in range(2):
        assert Network("small").load().graph.layers
    assert len(builds) == 2
    assert [*(home / "lowered").iterdir()] == []


def test_a_nearly_full_disk_goes_without(home, builds, monkeypatch):
    real = lowered_cache.shutil.disk_usage(home)
    full = type(real)(real.total, real.total - 10, 10)
    monkeypatch.setattr(lowered_cache.shutil, "disk_usage", lambda _: full)
    assert Network("small").load().graph.layers
    assert [*(home / "lowered").iterdir()] == []


def test_stopping_while_a_copy_is_written_leaves_nothing(home, monkeypatch):
    def stopped(graph, path):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(file, "save", stopped)
    with pytest.raises(KeyboardInterrupt):
        Network("small").load()
    assert [*(home / "lowered").iterdir()] == []


# -- in processes of their own ---------------------------------------------------------
PROGRAM = """
import dataclasses, sys
import numpy as np
import keras_dream as kd
from keras_dream.weights.source import Source
from keras_dream.zoo import catalogue

source = Source("random.h5", sys.argv[1])
entry = dataclasses.replace(catalogue.entry("squeezenet"), sources=(source,))
catalogue.ZOO = {**catalogue.ZOO, "squeezenet": entry}
dreamer = kd.Dreamer("squeezenet", run=kd.RunSettings(backend="torch", threads=2))
photo = np.random.default_rng(0).random((96, 96, 3), dtype=np.float32)
dreamer.dream(photo, kd.Recipe(octaves=1, steps=2)).save(sys.argv[2])
print(*(m for m in ("keras", "tensorflow", "jax", "h5py") if m in sys.modules))
"""


def test_the_second_start_needs_no_keras(tmp_path, monkeypatch):
    places = separate(tmp_path, monkeypatch)
    model = randomise(architectures.squeezenet(False))
    _, md5 = cache.compute_hashes(write_legacy(model, places[0] / "random.h5"))
    source = str(Path(load.__file__).parents[2])
    said = []
    for number in range(2):
        out = tmp_path / f"{number}.png"
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, md5, str(out)],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
            env={**os.environ, "PYTHONPATH": source},
        )
        said.append(done.stdout.splitlines())
    assert "keras" in said[0][0]
    assert said[1] == [""]
    assert (tmp_path / "0.png").read_bytes() == (tmp_path / "1.png").read_bytes()
    assert [*places[0].iterdir()] == [places[0] / "random.h5"]


@pytest.mark.parametrize(
    ("change", "state"),
    [
        (lambda path: os.utime(path, (1, 1)), "ok"),
        (cache.forget, "unknown"),
        (flip, "wrong"),
    ],
    ids=["another time", "not in the table", "a bit"],
)
def test_only_a_damaged_copy_is_called_wrong(home, change, state):
    Network("small").load()
    path = copy_of(home)
    change(path)
    (finding,) = (
        f for f in inventory.verify(catalogue.entry("small")) if f.path == path
    )
    assert finding.state == state
    assert path.exists() == (state != "wrong")
