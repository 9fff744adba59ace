"""`dream networks` and `dream weights`: from a server that fails, and by hand."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from keras import layers
from weights_server import GOOD, HALF, MD5, SHA256, Handler, running, separate

from keras_dream.cli.reporters.eta import in_words, megabytes
from keras_dream.cli.reporters.lines import Lines
from keras_dream.events import Download, Fetching
from keras_dream.graph import file as graph_file
from keras_dream.weights import cache, download
from keras_dream.weights.source import Hashes, Source
from keras_dream.zoo import catalogue, inventory, load, lowered_cache


@pytest.fixture(scope="module")
def server():
    with running() as address:
        yield address


def one(classifier):
    image = keras.Input((None, None, 3))
    return keras.Model(image, layers.Conv2D(4, 3, name="one")(image))


def write_one(path):
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"input", b"one"]
        file.create_group("input").attrs["weight_names"] = np.array([], "S1")
        group = file.create_group("one")
        group.attrs["weight_names"] = [b"one/k", b"one/b"]
        group["one/k"] = np.ones((3, 3, 3, 4), "f4")
        group["one/b"] = np.ones(4, "f4")
    return cache.compute_hashes(path)


@pytest.fixture
def home(tmp_path, monkeypatch, server):
    """Our cache, and a zoo of a few networks whose files the server has."""
    monkeypatch.setattr(download, "PAUSE", 0.0)
    Handler.asked.clear()
    home = separate(tmp_path, monkeypatch)[1]
    entry = dataclasses.replace(
        catalogue.entry("squeezenet"), build=one, parameters=10**6
    )

    def network(name, *sources, **more):
        return dataclasses.replace(entry, name=name, sources=sources, **more)

    def source(path, **more):
        return Source(f"{path}.h5", MD5, url=f"{server}/{path}", **more)

    entries = (
        catalogue.entry("motif"),
        network("fine", source("good")),
        network("both", source("good"), source("plain", classifier=True)),
        network("gone", source("none")),
        network("torn", source("half")),
        network("lies", source("wrong")),
        network("hand", Source("hand.h5", page="https://b.example/c")),
    )
    monkeypatch.setattr(catalogue, "ZOO", {entry.name: entry for entry in entries})
    return home


def rows(out):
    return {line.split()[0]: line.split()[1:] for line in out.splitlines()[1:]}


def sentence(err):
    (line,) = [x for x in err.splitlines() if x.startswith("dream: ")]
    return line


# -- networks --------------------------------------------------------------------------
def test_networks_tell_what_is_here(home, dream):
    code, out, _ = dream("networks")
    assert code == 0
    row = rows(out)
    assert row["motif"][0] == "shipped"
    assert row["fine"][:3] == ["download", "~4.0", "127.0.0.1"]
    assert row["hand"][:4] == ["by", "hand", "~4.0", "b.example"]
    (home / "good.h5").write_bytes(GOOD)
    dream("weights", "pull", "torn")
    row = rows(dream("networks")[1])
    assert row["fine"][:3] == ["here", "0.8", "127.0.0.1"]
    assert row["torn"][0] == "partly"
    data = json_of(dream("networks", "--json"))
    (torn,) = (entry for entry in data if entry["network"] == "torn")
    assert torn["sources"][0]["md5"] == MD5
    assert torn["state"] == "partly"
    assert (torn["path"], torn["size"]) == (None, 4_000_000)


def json_of(result):
    code, out, _ = result
    assert code == 0
    return json.loads(out)


# -- pull ------------------------------------------------------------------------------
def test_pull_fetches_once(home, dream):
    for again in (False, True):
        code, out, err = dream("weights", "pull", "fine", "both", "fine", "motif")
        assert code == 0
        shipped = str(load.BUILTIN / "motif.safetensors")
        assert out.splitlines() == [str(home / "good.h5")] * 2 + [shipped]
        assert ("Downloading the weights of fine." in err) is not again
    assert len(Handler.asked) == 1
    code, out, _ = dream("weights", "pull", "both", "--classifier", "--quiet")
    assert (code, out) == (0, f"{home / 'plain.h5'}\n")


def test_pull_goes_on_after_a_failure_and_reports_every_one(home, dream):
    code, out, err = dream("weights", "pull", "gone", "lies", "fine", "torn")
    assert code == 1
    assert out == f"{home / 'good.h5'}\n"
    sentences = [line for line in err.splitlines() if line.startswith("dream: ")]
    names = ("gone", "lies", "torn")
    assert all(name in line for name, line in zip(names, sentences, strict=True))
    words = ("404 Not Found", "must have the published md5", "it ended after")
    assert all(w in line for w, line in zip(words, sentences, strict=True))


def test_pull_in_json(home, dream):
    code, out, _ = dream("weights", "pull", "gone", "fine", "--json")
    events = [json.loads(line) for line in out.splitlines()]
    assert code == 1
    *downloads, fetched, error = events
    whole = {"event": "download", "bytes": len(GOOD), "total": len(GOOD)}
    assert downloads[-1] == whole
    assert {e["event"] for e in downloads} == {"fetching", "download"}
    assert fetched == {
        "event": "fetched",
        "network": "fine",
        "path": str(home / "good.h5"),
        "sha256": SHA256,
    }
    assert (error["event"], error["exit_code"]) == ("error", 1)


@pytest.mark.parametrize("how", ["flag", "environment"])
def test_pull_offline_never_dials(how, home, dream, monkeypatch):
    flags = ["--offline"] if how == "flag" else []
    if how == "environment":
        monkeypatch.setenv("KERAS_DREAM_OFFLINE", "1")
    code, out, err = dream("weights", "pull", "fine", *flags)
    assert (code, out) == (2, "")
    assert "must be on this machine" in sentence(err)
    assert Handler.asked == []
    (home / "good.h5").write_bytes(GOOD)
    assert dream("weights", "pull", "fine", *flags)[0] == 0


def test_a_dream_whose_download_fails_is_a_run_that_failed(home, dream, photo):
    code, out, err = dream(photo, "--network", "gone")
    assert (code, out) == (1, "")
    assert "must be downloadable from" in sentence(err)
    assert dream(photo, "--network", "gone", "--offline")[0] == 2


STOPPED = """
import dataclasses, sys
from keras_dream.cli import main
from keras_dream.weights.source import Source
from keras_dream.zoo import catalogue
source = Source("a.h5", sys.argv[1], url=sys.argv[2])
entry = dataclasses.replace(catalogue.entry("squeezenet"), sources=(source,))
catalogue.ZOO = {"squeezenet": entry}
sys.exit(main(["weights", "pull", "squeezenet"]))
"""


def strangers(tmp_path, **settings):
    """Returns a recipe file that asks for weights."""
    path = tmp_path / "strange.json"
    path.write_text(json.dumps({"octaves": 1, "steps": 1, **settings}))
    return str(path)


OTHER = {"objective": "default; fine: one"}
CLASSES = {"network": "both", "objective": "class:0"}


FINE = {"network": "fine", "objective": "one"}
BOTH = {"network": "both"}
UNAGREED = {
    "its network": (FINE, []),
    "another network": (OTHER, []),
    "its class scores": (CLASSES, []),
    "class scores of a network that was named": (CLASSES, ["--network", "both"]),
    "a grid": (FINE, ["--x", "steps=1|2"]),
    "a grid's class scores": (BOTH, ["--x", "objective=class:0|class:1"]),
    "a grid's preset": (BOTH, ["--preset", "eyes", "--x", "steps=1|2"]),
    "a grid's other cells": (CLASSES, ["--x", "network=both|motif"]),
}


@pytest.mark.parametrize("case", UNAGREED)
def test_a_file_sets_off_no_download(case, home, dream, photo, tmp_path):
    settings, flags = UNAGREED[case]
    classes = settings is not FINE and settings is not OTHER
    if classes:  # the file without them is here, and does not serve
        (home / "good.h5").write_bytes(GOOD)
    command = ["grid"] if "--x" in flags else []
    file = strangers(tmp_path, **settings)
    code, _, err = dream(*command, str(photo), "--recipe", file, *flags)
    assert code == 2
    assert "agreed to with --yes" in sentence(err)
    assert ("both --classifier`" if classes else "pull fine`") in sentence(err)
    assert Handler.asked == []


def test_half_a_file_in_kerass_folder_sets_off_no_download(
    home, dream, photo, tmp_path, monkeypatch
):
    """It is passed over, so that the weights would be fetched after all."""
    folder = tmp_path / "keras" / "models"
    folder.mkdir(parents=True)
    monkeypatch.setenv("KERAS_HOME", str(folder.parent))
    (folder / "good.h5").write_bytes(GOOD[:100])
    code, _, err = dream(str(photo), "--recipe", strangers(tmp_path, **FINE))
    assert code == 2
    assert "agreed to with --yes" in sentence(err)
    assert Handler.asked == []


AGREED = {
    "--yes": (FINE, ["--yes"]),
    "a flag": (FINE, ["--network", "fine"]),
    "another flag": (OTHER, ["--objective", "default; fine: one"]),
    "an axis": (FINE, ["--x", "network=fine|motif"]),
}


@pytest.mark.parametrize("case", AGREED)
def test_what_a_person_names_is_downloaded(case, home, dream, photo, tmp_path):
    settings, flags = AGREED[case]
    command = ["grid"] if "--x" in flags else []
    file = strangers(tmp_path, **settings)
    code, _, err = dream(*command, str(photo), "--recipe", file, *flags)
    assert len(Handler.asked) == 1
    assert code == 2  # what the server has is no weights file
    assert "weights file" in sentence(err)


def test_a_grid_without_the_files_network_asks_for_nothing(
    home, dream, photo, tmp_path
):
    file = strangers(tmp_path, network="fine")
    asked = ("--recipe", file, "--x", "network=motif")
    assert dream("grid", str(photo), *asked)[0] == 0
    assert Handler.asked == []


def test_classes_that_nobody_publishes(home, dream, photo):
    code, _, err = dream(str(photo), "--network", "fine", "--objective", "class:0")
    assert code == 2
    assert "classes of fine must come from a weights file of yours" in sentence(err)


def test_weights_for_a_network_that_is_mistyped(home, dream, photo):
    (home / "w.h5").write_bytes(GOOD)
    asked = ("--objective", "default; fine: one", "--weights", f"fin={home / 'w.h5'}")
    code, _, err = dream(str(photo), *asked)
    assert code == 2
    assert "received 'fin'; try 'fine', the nearest name" in sentence(err)


def test_a_file_may_name_what_is_here(home, dream, photo, tmp_path):
    digest = write_one(home / "good.h5")
    entry = dataclasses.replace(
        catalogue.entry("fine"), sources=(Source("good.h5", digest[1], "http://x/y"),)
    )
    catalogue.ZOO["fine"] = entry
    file = strangers(tmp_path, network="fine", objective="one")
    assert dream(str(photo), "--recipe", file)[0] == 0
    picture = photo.with_name(f"{photo.stem}-dream.png")
    assert dream("replay", str(picture))[0] == 0
    (home / "good.h5").unlink()
    code, _, err = dream("replay", str(picture))
    assert code == 2
    assert "agreed to with --yes" in sentence(err)
    code, _, err = dream(str(photo), "--recipe", file, "--offline")
    assert "must be on this machine" in sentence(err)


def test_a_dream_stopped_in_its_download_says_what_is_kept(
    home, dream, photo, monkeypatch
):
    def stopped(*_, progress, **__):
        progress(10, 100)
        raise KeyboardInterrupt

    monkeypatch.setattr("keras_dream.dreamer.dreamer.Dreamer.of", stopped)
    code, out, err = dream(str(photo), "--network", "fine")
    assert (code, out) == (130, "")
    assert "nothing is saved except the downloaded part of the weights." in err


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_real_ctrl_c_keeps_what_came(number, home, server):
    source = str(Path(load.__file__).parents[2])
    process = subprocess.Popen(
        [sys.executable, "-c", STOPPED, MD5, f"{server}/stall"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": source},
    )
    part = home / ".a.h5.part"
    deadline = time.monotonic() + 30
    while not part.exists() or part.stat().st_size < HALF:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert out == ""
    assert "the downloaded part is kept" in err
    assert part.read_bytes() == GOOD[:HALF]


# -- verify ----------------------------------------------------------------------------
def test_verify_separates_good_from_bad(home, dream, tmp_path):
    (home / "good.h5").write_bytes(GOOD)
    (home / "half.h5").write_bytes(b"bad")
    keras_file = tmp_path / "KERAS_HOME" / "models" / "wrong.h5"
    keras_file.write_bytes(b"bad")
    code, out, _ = dream("weights", "verify")
    assert code == 1
    row = rows(out)
    assert row["fine"][0] == row["motif"][0] == "ok"
    assert row["torn"][0] == row["lies"][0] == "wrong"
    assert "kept aside as" in out
    assert keras_file.read_bytes() == b"bad"
    (aside,) = home.glob("half.h5.bad-*")
    assert aside.read_bytes() == b"bad"
    assert dream("weights", "verify", "fine", "motif")[0] == 0
    data = json_of(dream("weights", "verify", "fine", "--json"))
    assert [(d["state"], d["sha256"]) for d in data] == [("ok", SHA256)]
    code, _, err = dream("weights", "verify", "gone")
    assert code == 2
    assert "try `dream weights pull gone`" in sentence(err)


def test_verify_reads_files_whatever_the_table_says(home, dream):
    (home / "good.h5").write_bytes(b"bad")
    cache.record(home / "good.h5", Hashes(SHA256, MD5))
    assert dream("weights", "verify", "fine")[0] == 1


def test_verify_checks_lowered_copies(home, dream, motif):
    graph = graph_file.load(motif)
    good, bad = (lowered_cache.path_of("fine", str(k)) for k in range(2))
    for path in (good, bad):
        lowered_cache.write(path, graph)
    assert dream("weights", "verify", "fine")[0] == 0
    bad.write_bytes(b"bad")
    code, out, _ = dream("weights", "verify", "fine")
    assert code == 1
    assert "lowered copy, removed; it will be made again" in out
    assert lowered_cache.copies("fine") == [good]


# -- path ------------------------------------------------------------------------------
def test_path(home, dream):
    assert dream("weights", "path") == (0, f"{home}\n", "")
    (home / "good.h5").write_bytes(GOOD)
    assert dream("weights", "path", "fine") == (0, f"{home / 'good.h5'}\n", "")
    code, _, err = dream("weights", "path", "hand")
    assert code == 2
    assert "dream weights import FILE" in sentence(err)


# -- remove ----------------------------------------------------------------------------
def test_remove_takes_all_that_is_ours_and_nothing_else(home, dream, motif, tmp_path):
    elsewhere = tmp_path / "KERAS_HOME" / "models" / "good.h5"
    elsewhere.write_bytes(GOOD)
    dream("weights", "pull", "torn")
    for name in ("good.h5", "good.h5.bad-01234567", "other.h5", "plain.h5"):
        (home / name).write_bytes(GOOD)
    for name in ("fine", "fine_b"):
        lowered_cache.write(lowered_cache.path_of(name, "0"), graph_file.load(motif))
    copy, other = (lowered_cache.copies(name)[0] for name in ("fine", "fine_b"))
    assert dream("weights", "verify", "fine")[0] == 0
    code, out, err = dream("weights", "remove", "fine", "torn")
    assert code == 0
    assert str(elsewhere) in err
    assert set(out.splitlines()) == {
        str(home / "good.h5"),
        str(home / "good.h5.bad-01234567"),
        str(home / ".half.h5.part"),
        str(home / ".half.h5.part.json"),
        str(copy),
    }
    assert elsewhere.read_bytes() == GOOD
    left = {p.name for p in home.iterdir() if not p.name.endswith(".lock")}
    assert left == {"other.h5", "plain.h5", "lowered", cache.FILE}
    assert lowered_cache.read(other)
    assert dream("weights", "remove", "fine")[0] == 0  # nothing is left to remove


def test_remove_reports_a_file_that_is_in_use(home, dream, motif, monkeypatch):
    """As where a system keeps the copy that a running dream has mapped."""
    (home / "good.h5").write_bytes(GOOD)
    copy = lowered_cache.path_of("fine", "0")
    lowered_cache.write(copy, graph_file.load(motif))

    def refuse(self, missing_ok=False):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as context:
        context.setattr(Path, "unlink", refuse)
        code, _, err = dream("weights", "remove", "fine")
    assert code == 2
    assert f"{copy.name}' (permission denied); end the dreams" in sentence(err)
    assert (home / "good.h5").read_bytes() == GOOD
    assert lowered_cache.is_sound(copy)
    assert dream("weights", "remove", "fine")[0] == 0


def test_remove_refuses_what_is_shipped_before_it_removes_anything(home, dream):
    (home / "good.h5").write_bytes(GOOD)
    code, out, err = dream("weights", "remove", "fine", "motif")
    assert (code, out) == (2, "")
    assert "part of keras-dream cannot be removed" in sentence(err)
    assert (home / "good.h5").exists()


# -- import ----------------------------------------------------------------------------
def test_import_recognises_a_file_by_its_hash(home, dream, tmp_path):
    file = tmp_path / "any name.bin"
    file.write_bytes(GOOD)
    code, out, err = dream("weights", "import", file)
    assert (code, out) == (0, f"{home / 'good.h5'}\n")
    assert "weights of fine are on this machine" in err
    assert (home / "good.h5").read_bytes() == file.read_bytes() == GOOD
    code, out, _ = dream("weights", "import", file, "--network", "torn")
    assert (code, out) == (0, f"{home / 'half.h5'}\n")
    assert dream("weights", "import", home / "good.h5")[0] == 0  # itself
    assert dream("weights", "pull", "fine", "torn")[0] == 0
    assert Handler.asked == []


def test_import_replaces_a_bad_file_and_keeps_it(home, dream, tmp_path):
    (home / "good.h5").write_bytes(b"bad")
    (tmp_path / "a").write_bytes(GOOD)
    assert dream("weights", "import", tmp_path / "a")[0] == 0
    assert (home / "good.h5").read_bytes() == GOOD
    (aside,) = home.glob("good.h5.bad-*")
    assert aside.read_bytes() == b"bad"


@pytest.mark.parametrize("flags", [[], ["--network", "fine"], ["--network", "motif"]])
def test_import_refuses_what_nobody_publishes(flags, home, dream, tmp_path):
    (tmp_path / "good.h5").write_bytes(b"something else")
    code, out, err = dream("weights", "import", tmp_path / "good.h5", *flags)
    assert (code, out) == (2, "")
    assert "published" in sentence(err)
    assert list(home.iterdir()) == []


def test_import_of_what_has_no_published_hash_is_tried(home, dream, tmp_path):
    file = tmp_path / "hand.h5"
    file.write_bytes(b"no weights")
    code, _, err = dream("weights", "import", file)
    assert code == 2
    assert "hand.h5" in sentence(err)
    assert not (home / "hand.h5").exists()
    sha256, _ = write_one(file)
    assert dream("weights", "import", file)[:2] == (0, f"{home / 'hand.h5'}\n")
    assert cache.recorded(home / "hand.h5").sha256 == sha256
    assert "no hash is published" in dream("weights", "verify", "hand")[1]
    # Another one does not take its place unasked.
    with h5py.File(file, "r+") as opened:
        opened["one/one/b"][0] = 7
    code, _, err = dream("weights", "import", file)
    assert code == 2
    assert "must not replace another one" in sentence(err)
    assert cache.compute_hashes(home / "hand.h5").sha256 == sha256
    assert dream("weights", "remove", "hand")[0] == 0
    assert dream("weights", "import", file)[0] == 0


def test_import_of_a_file_that_lies_in_the_cache_already(home, dream):
    """It was put there by hand, and stays as it is."""
    path = home / "hand.h5"
    write_one(path)
    assert dream("weights", "import", path, "--network", "hand")[0] == 0
    with h5py.File(path, "a") as file:
        file["one/one/k"][...] = 2.0
    changed = path.read_bytes()
    code, out, _ = dream("weights", "import", path, "--network", "hand")
    assert (code, out.splitlines()[-1]) == (0, str(path))
    assert path.read_bytes() == changed
    assert dream("weights", "verify", "hand")[0] == 0


def test_import_on_a_full_disk(home, dream, tmp_path, monkeypatch):
    real = inventory.shutil.disk_usage(home)
    full = type(real)(real.total, real.total, 0)
    monkeypatch.setattr(inventory.shutil, "disk_usage", lambda _: full)
    (tmp_path / "a").write_bytes(GOOD)
    code, _, err = dream("weights", "import", tmp_path / "a")
    assert code == 1
    assert "must have room for the weights of fine" in sentence(err)
    assert [p.name for p in home.iterdir() if not p.name.endswith(".lock")] == []


# -- what was mistyped -----------------------------------------------------------------
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("pull",), "A network must be named"),
        (("remove",), "A network must be named"),
        (("pul", "fine"), 'Did you mean "pull"?'),
        (("list",), "Available commands: pull, verify, path, remove, import"),
        (("pull", "fin"), "try 'fine', the nearest name"),
        (("remove", "fine", "goon"), "try 'gone', the nearest name"),
        (
            ("path", "fine", "gone"),
            "no more arguments than the command takes; received 'gone'",
        ),
        (("import",), "FILE requires an argument"),
        (("import", "nothing.h5"), "does not exist"),
        (("import", "."), "a folder"),
        (("import", "a", "--network", "nobody"), "must be one that exists"),
        (("pull", "fine", "--clasifier"), "Did you mean --classifier?"),
        (("verify", "--jsn"), "Did you mean --json?"),
    ],
)
def test_mistakes_are_one_sentence(arguments, words, home, dream):
    code, out, err = dream("weights", *arguments)
    assert (code, out) == (2, "")
    assert words in sentence(err)
    assert Handler.asked == []
    assert list(home.iterdir()) == []


def test_the_group_lists_its_commands(home, dream):
    code, out, _ = dream("weights")
    assert code == 0
    assert all(name in out for name in ("pull", "verify", "path", "remove", "import"))
    assert "Usage: dream weights pull NAME" in dream("weights", "pull", "--help")[1]


# -- time left -------------------------------------------------------------------------
def test_the_time_left_of_a_download():
    now, mb = [0.0], 10**6
    lines = Lines(clock=lambda: now[0])

    def text(done, total):
        event = Download(done, total)
        lines.measure(event)
        return lines.sentence(event).removeprefix("Downloading the weights: ")

    assert text(0, None) == "waiting for the server."
    assert text(50 * mb, 100 * mb) == "50 of 100 MB."  # resumed: no pace yet
    now[0] = 5.0
    lines.measure(Fetching("vgg16"))
    assert text(50 * mb, 100 * mb) == "50 of 100 MB."
    now[0] = 10.0
    assert text(60 * mb, 100 * mb) == "60 of 100 MB, about 20 s left."
    assert text(70 * mb, None) == "70 MB."
    now[0] = 14.0
    assert text(100 * mb, 100 * mb) == "100 of 100 MB."
    assert text(1 * mb, 10 * mb) == "1 of 10 MB."  # another file
    times = [in_words(seconds) for seconds in (0, 59, 61, 3725)]
    assert times == ["0 s", "59 s", "1:01", "1:02:05"]
    assert megabytes(1_400_000) == "1 MB"
