"""Weights files: found in order, and used only with the hash that they must have."""

import json
import os

import pytest
from weights_server import GOOD, MD5, SHA256, separate

from keras_dream.errors import WeightsError
from keras_dream.weights import cache as manifest, locate as weights, verify as hashes
from keras_dream.weights.locate import Source

BAD = GOOD[::-1]
PUBLISHED = [
    Source("a.h5", MD5),
    Source("a.h5", sha256=SHA256),
    Source("a.h5", MD5, sha256=SHA256),
]


@pytest.fixture
def places(tmp_path, monkeypatch):
    return separate(tmp_path, monkeypatch)


def names(folder):
    found = (path.name for path in folder.iterdir())
    return sorted(n for n in found if not n.endswith(".lock"))


# -- finding ---------------------------------------------------------------------------
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


def test_a_folder_under_the_name_of_a_file_is_none(places):
    (places[0] / "a.h5").mkdir()
    assert weights.find([Source("a.h5", "0")]) is None


def test_a_download_without_a_hash_cannot_be_declared():
    with pytest.raises(ValueError, match="published hash"):
        Source("a.h5", url="http://127.0.0.1:9/a.h5")
    assert Source("a.h5").publisher == "a file of yours"
    assert Source("a.h5", "0", url="https://a.example/b/a.h5").publisher == "a.example"
    assert Source("a.h5", page="https://b.example/c").publisher == "b.example"


OFF = ("1", "yes", "true", "anything")
ON = ("", "0", "false", "No", " off ")


@pytest.mark.parametrize("how", ["argument", *OFF])
def test_offline_is_one_sentence(how, places, monkeypatch):
    source = Source("a.h5", "0", url="http://127.0.0.1:9/a.h5")
    if how != "argument":
        monkeypatch.setenv("KERAS_DREAM_OFFLINE", how)
    with pytest.raises(WeightsError, match="on this machine") as error:
        weights.locate("net", [source], offline=how == "argument")
    text = str(error.value)
    assert "a.h5" in text
    assert all(str(place) in text for place in places)
    assert "`dream weights import FILE`" in text
    assert error.value.exit_code == 2


@pytest.mark.parametrize("said", ON)
def test_online_may_be_said_in_words(said, monkeypatch):
    from keras_dream.weights.source import downloads_allowed

    monkeypatch.setenv("KERAS_DREAM_OFFLINE", said)
    assert downloads_allowed()
    assert not downloads_allowed(offline=True)


def test_a_file_by_hand_is_one_sentence(places):
    with pytest.raises(WeightsError, match="given as a file"):
        weights.locate("net", [Source("a.h5", "0")])
    with pytest.raises(WeightsError, match="none that has them is published"):
        weights.locate("net", [Source("a.h5", "0")], classifier=True)
    with pytest.raises(
        WeightsError, match=r"from https://b\.example/c, then `dream we"
    ):
        weights.locate("net", [Source("a.h5", "0", page="https://b.example/c")])


# -- hashes ----------------------------------------------------------------------------
@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("source", PUBLISHED, ids=["md5", "sha256", "both"])
def test_every_stated_hash_is_checked(source, place, places):
    path = places[place] / "a.h5"
    path.write_bytes(GOOD)
    for _ in range(2):  # the second time by the manifest
        assert weights.locate("net", [source]) == (path, SHA256)
    assert manifest.read()["a.h5"]["sha256"] == SHA256
    path.write_bytes(BAD)
    with pytest.raises(WeightsError, match=r"published (md5|sha256)") as error:
        weights.locate("net", [source])
    assert str(error.value).count("\n") == 0
    aside = list(places[1].glob("a.h5.bad-*"))
    if place == 1:
        assert [p.read_bytes() for p in aside] == [BAD]
        assert str(aside[0]) in str(error.value)
        assert not path.exists()
    else:
        assert path.read_bytes() == BAD  # not ours to touch
        assert not aside


def test_a_good_file_that_lands_meanwhile_stays(places, monkeypatch):
    path = places[1] / "a.h5"
    path.write_bytes(BAD)
    once = hashes.hashes_of

    def slowly(asked):
        found = once(asked)
        path.write_bytes(GOOD)  # another process lands it after our look
        return found

    monkeypatch.setattr(hashes, "hashes_of", slowly)
    assert weights.locate("net", [PUBLISHED[0]]) == (path, SHA256)
    assert path.read_bytes() == GOOD
    assert not list(places[1].glob("*.bad-*"))


def test_a_wrong_file_whose_lock_is_held_is_told_and_left(places, monkeypatch):
    monkeypatch.setattr(manifest, "PATIENCE", 0.2)
    path = places[1] / "a.h5"
    path.write_bytes(BAD)
    with manifest.locked(path), pytest.raises(WeightsError, match="published md5"):
        weights.locate("net", [PUBLISHED[0]])
    assert path.read_bytes() == BAD


def test_a_wrong_file_in_a_folder_that_takes_no_changes(places, monkeypatch):
    def refuse(*args, **options):
        raise PermissionError(13, "Permission denied")

    (places[1] / "a.h5").write_bytes(BAD)
    monkeypatch.setattr(manifest, "locked", refuse)
    with pytest.raises(WeightsError, match="move the file away"):
        weights.locate("net", [PUBLISHED[0]])


def test_both_hashes_must_fit(places):
    (places[1] / "a.h5").write_bytes(GOOD)
    with pytest.raises(WeightsError, match="published md5"):
        weights.locate("net", [Source("a.h5", "0" * 32, sha256=SHA256)])
    (places[1] / "a.h5").write_bytes(GOOD)
    with pytest.raises(WeightsError, match="published sha256"):
        weights.locate("net", [Source("a.h5", MD5, sha256="0" * 64)])


def test_half_a_file_of_keras_is_passed_over_and_left_alone(places):
    """Keras downloads to the last name at once, so that a broken one looks whole."""
    (places[2] / "a.h5").write_bytes(GOOD[:100])
    with pytest.raises(WeightsError, match=f"instead of the published md5 {MD5}"):
        weights.locate("net", [PUBLISHED[0]])
    (places[2] / "top.h5").write_bytes(GOOD)
    both = [PUBLISHED[0], Source("top.h5", MD5, classifier=True)]
    assert weights.locate("net", both).path == places[2] / "top.h5"
    assert names(places[2]) == ["a.h5", "top.h5"]
    assert (places[2] / "a.h5").read_bytes() == GOOD[:100]


def test_a_file_is_hashed_once(places, monkeypatch):
    (places[1] / "a.h5").write_bytes(GOOD)
    weights.locate("net", [PUBLISHED[0]])
    read = []
    once = hashes.sha256_file
    monkeypatch.setattr(hashes, "sha256_file", lambda p: read.append(p) or once(p))
    monkeypatch.setattr(hashes, "hashes_of", lambda p: pytest.fail("read again"))
    weights.locate("net", [PUBLISHED[0]])
    assert len(read) == 1


def age(path, seconds=60):
    """Makes a file look as if it had been written some time ago."""
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))


@pytest.mark.parametrize("published", [{"md5": MD5}, {"sha256": SHA256}])
def test_a_file_that_nobody_wrote_to_is_not_read_again(published, places, monkeypatch):
    path, source = places[1] / "a.h5", Source("a.h5", **published)
    path.write_bytes(GOOD)
    age(path)
    weights.locate("net", [source])
    with monkeypatch.context() as context:
        context.setattr(hashes, "_compared", lambda *_: pytest.fail("read again"))
        assert weights.locate("net", [source]).sha256 == SHA256
    path.write_bytes(BAD)
    with pytest.raises(WeightsError, match="published"):
        weights.locate("net", [source])


@pytest.mark.parametrize("place", [0, 2])
def test_a_file_that_was_found_wrong_is_not_used_again(place, places):
    """A failing disk changes bytes, but no times; nor may the file be set aside."""
    path, source = places[place] / "a.h5", PUBLISHED[0]
    path.write_bytes(GOOD)
    age(path)
    weights.locate("net", [source])
    before = path.stat()
    path.write_bytes(BAD)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert hashes.judge(path, source, trust=False)[0].received
    with pytest.raises(WeightsError, match="published md5"):
        weights.locate("net", [source], offline=True)
    assert path.read_bytes() == BAD


def test_a_file_just_written_is_read_again(places):
    """Two writes within one tick of the file system's clock have the same time."""
    path = places[1] / "a.h5"
    path.write_bytes(GOOD)
    before = path.stat()
    weights.locate("net", [PUBLISHED[0]])
    with path.open("r+b") as file:
        file.write(b"another")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(WeightsError, match="published md5"):
        weights.locate("net", [PUBLISHED[0]])


def test_a_stamp_does_not_stand_for_another_hash(places):
    """A newer version of us may publish another file under the same name."""
    path = places[1] / "a.h5"
    path.write_bytes(GOOD)
    age(path)
    weights.locate("net", [PUBLISHED[0]])
    assert "stamp" in manifest.read()["a.h5"]
    with pytest.raises(WeightsError, match="published sha256"):
        weights.locate("net", [Source("a.h5", sha256="0" * 64)])


def test_a_file_without_a_published_hash(places):
    """Anything serves where the user put it; in our cache, what was imported."""
    source = Source("a.h5")
    (places[0] / "a.h5").write_bytes(BAD)
    assert weights.locate("net", [source]).path.parent == places[0]
    (places[0] / "a.h5").unlink()
    (places[1] / "a.h5").write_bytes(GOOD)
    manifest.note({"a.h5": hashes.entry(SHA256)})
    assert weights.locate("net", [source]).sha256 == SHA256
    (places[1] / "a.h5").write_bytes(BAD)
    with pytest.raises(WeightsError, match=f"imported sha256 {SHA256}"):
        weights.locate("net", [source])


# -- the manifest ----------------------------------------------------------------------
BROKEN = ("{", "[]", "null", '{"a.h5": 3}', '{"a.h5": {"sha256": []}}', "[" * 100000)


@pytest.mark.parametrize("text", BROKEN, ids=lambda text: text[:12])
def test_a_broken_manifest_only_costs_another_check(text, places):
    (places[1] / "a.h5").write_bytes(GOOD)
    (places[1] / manifest.FILE).write_text(text)
    assert weights.locate("net", [PUBLISHED[0]]).sha256 == SHA256
    kept = json.loads((places[1] / manifest.FILE).read_text())
    assert kept == {"a.h5": {"md5": MD5, "sha256": SHA256}}


def test_a_manifest_of_another_file_is_not_trusted(places):
    """It stands for the md5 that is published, and for no other."""
    (places[1] / "a.h5").write_bytes(BAD)
    wrong = hashes.hashes_of(places[1] / "a.h5")
    manifest.note({"a.h5": hashes.entry(*wrong)})
    with pytest.raises(WeightsError, match="published md5"):
        weights.locate("net", [PUBLISHED[0]])


def test_a_manifest_that_cannot_be_written(places, monkeypatch):
    (places[0] / "a.h5").write_bytes(GOOD)
    (places[0] / "file").write_bytes(b"x")
    monkeypatch.setenv("KERAS_DREAM_HOME", str(places[0] / "file" / "cache"))
    assert weights.locate("net", [PUBLISHED[0]]).sha256 == SHA256


def test_a_manifest_whose_lock_is_held(places, monkeypatch):
    (places[1] / "a.h5").write_bytes(GOOD)
    monkeypatch.setattr(manifest, "PATIENCE", 0.2)
    with manifest.locked(places[1] / manifest.FILE):
        assert weights.locate("net", [PUBLISHED[0]]).sha256 == SHA256
    assert manifest.read() == {}


def test_the_manifest_keeps_what_others_wrote(places):
    manifest.note({"one": {"sha256": "1"}, "two": {"sha256": "2"}})
    manifest.note({"two": None, "three": {"sha256": "3"}})
    assert manifest.read() == {"one": {"sha256": "1"}, "three": {"sha256": "3"}}
    assert names(places[1]) == [manifest.FILE]
