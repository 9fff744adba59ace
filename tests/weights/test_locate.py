"""Weights files: found in order, and used only with the hash that they must have."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest
from weights_server import GOOD, MD5, SHA256, separate

from keras_dream.errors import WeightsError
from keras_dream.weights import cache, locate as weights, verify
from keras_dream.weights.source import Hashes, Source

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
    for _ in range(2):  # the second time by the table
        assert weights.locate("net", [source]) == (path, SHA256, source)
    assert cache.recorded(path) == Hashes(SHA256, MD5)
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
    compute = cache.compute_hashes

    def slowly(asked):
        hashes = compute(asked)
        path.write_bytes(GOOD)  # another process lands it after our look
        return hashes

    monkeypatch.setattr(cache, "compute_hashes", slowly)
    assert weights.locate("net", [PUBLISHED[0]])[:2] == (path, SHA256)
    assert path.read_bytes() == GOOD
    assert not list(places[1].glob("*.bad-*"))


def test_a_wrong_file_whose_lock_is_held_is_told_and_left(places, monkeypatch):
    monkeypatch.setattr(cache, "PATIENCE", 0.2)
    path = places[1] / "a.h5"
    path.write_bytes(BAD)
    with cache.locked(path), pytest.raises(WeightsError, match="published md5"):
        weights.locate("net", [PUBLISHED[0]])
    assert path.read_bytes() == BAD


def test_a_wrong_file_in_a_folder_that_takes_no_changes(places, monkeypatch):
    def refuse(*args, **options):
        raise PermissionError(13, "Permission denied")

    (places[1] / "a.h5").write_bytes(BAD)
    monkeypatch.setattr(cache, "locked", refuse)
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


def forbid_reading(context):
    context.setattr(cache, "open_regular", lambda path: open_but(path, "a.h5"))


def open_but(path, name, opened=cache.open_regular):
    assert path.name != name, "read again"
    return opened(path)


def later(monkeypatch, seconds=60):
    """Lets some time pass."""
    now = time.time
    monkeypatch.setattr("keras_dream.files.time.time", lambda: now() + seconds)


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("source", PUBLISHED, ids=["md5", "sha256", "both"])
def test_a_large_file_that_was_not_written_to_is_read_once(
    source, place, places, monkeypatch
):
    monkeypatch.setattr(cache, "CHEAP", 0)
    path = places[place] / "a.h5"
    path.write_bytes(GOOD)
    os.utime(path, (1, 1))
    later(monkeypatch)
    weights.locate("net", [source])
    with monkeypatch.context() as context:
        forbid_reading(context)
        assert weights.locate("net", [source]).sha256 == SHA256
    path.write_bytes(BAD)
    with pytest.raises(WeightsError, match="published"):
        weights.locate("net", [source])


@pytest.mark.parametrize("place", [0, 2])
def test_a_file_that_was_found_wrong_is_not_used_again(place, places, monkeypatch):
    """A failing disk changes bytes, but no stamp; nor may the file be set aside."""
    path, source = places[place] / "a.h5", PUBLISHED[0]
    monkeypatch.setattr(cache, "CHEAP", 0)
    monkeypatch.setattr(cache, "stamp_of", lambda _: "the same")
    path.write_bytes(GOOD)
    weights.locate("net", [source])
    path.write_bytes(BAD)
    assert weights.locate("net", [source]).sha256 == SHA256  # nothing shows it
    assert verify.check(path, source, fresh=True).mismatch
    with pytest.raises(WeightsError, match="published md5"):
        weights.locate("net", [source], offline=True)
    assert path.read_bytes() == BAD


@pytest.mark.parametrize("cheap", [0, cache.CHEAP])
def test_a_damaged_backup_is_found(cheap, places, monkeypatch):
    """`cp -p` keeps the inode, the size and the time of the last write."""
    monkeypatch.setattr(cache, "CHEAP", cheap)
    path, backup = places[1] / "a.h5", places[0] / "backup"
    path.write_bytes(GOOD)
    backup.write_bytes(BAD)
    for file in (path, backup):
        os.utime(file, (1, 1))
    later(monkeypatch)
    weights.locate("net", [PUBLISHED[0]])
    assert weights.locate("net", [PUBLISHED[0]]).sha256 == SHA256
    time.sleep(0.05)  # more than a tick of the clock of files
    before = path.stat()
    shutil.copy2(backup, path)
    after = path.stat()
    assert all(
        getattr(before, name) == getattr(after, name)
        for name in ("st_size", "st_mtime_ns", "st_ino")
    )
    with pytest.raises(WeightsError, match="published md5"):
        weights.locate("net", [PUBLISHED[0]])


def test_a_file_of_the_same_stamp_is_read_where_that_is_cheap(places, monkeypatch):
    """On some disks every time can be set back."""
    path = places[0] / "a.h5"
    monkeypatch.setattr(cache, "stamp_of", lambda _: "the same")
    path.write_bytes(GOOD)
    weights.locate("net", [PUBLISHED[0]])
    path.write_bytes(BAD)
    with pytest.raises(WeightsError, match="published md5"):
        weights.locate("net", [PUBLISHED[0]])


@pytest.mark.skipif(os.name != "posix", reason="ctime of POSIX")
def test_a_stamp_that_proves_nothing_is_none(tmp_path, monkeypatch):
    path = tmp_path / "a.h5"
    path.write_bytes(GOOD)
    os.utime(path, (1, 1))
    assert cache.stamp_of(path) == ""  # the next write may bear the same time
    with monkeypatch.context() as context:
        later(context)
        assert cache.stamp_of(path)
    with monkeypatch.context() as context:
        later(context, -60)
        assert cache.stamp_of(path) == ""  # it is from the future
    later(monkeypatch)
    status = path.stat()
    alike = [*status]
    alike[8] = alike[9] = 7  # as on disks that know of no other time
    same = os.stat_result(alike, {"st_mtime_ns": 7, "st_ctime_ns": 7})
    monkeypatch.setattr(Path, "stat", lambda self, **_: same)
    assert cache.stamp_of(path) == ""


def test_a_stamp_does_not_stand_for_another_hash(places):
    """A newer version of us may publish another file under the same name."""
    path = places[1] / "a.h5"
    path.write_bytes(GOOD)
    weights.locate("net", [PUBLISHED[0]])
    with pytest.raises(WeightsError, match="published sha256"):
        weights.locate("net", [Source("a.h5", sha256="0" * 64)])


def test_a_file_without_a_published_hash(places):
    """There is nothing to compare it with; the record of a dream keeps its hash."""
    source = Source("a.h5")
    (places[0] / "a.h5").write_bytes(BAD)
    assert weights.locate("net", [source]).path.parent == places[0]
    (places[0] / "a.h5").unlink()
    (places[1] / "a.h5").write_bytes(GOOD)
    assert weights.locate("net", [source]) == (places[1] / "a.h5", SHA256, source)


# -- the table of hashes ---------------------------------------------------------------
BROKEN = ("{", "[]", "null", '{"a.h5": 3}', '{"a.h5": ["1", "2"]}', "[" * 100000)


@pytest.mark.parametrize("text", BROKEN, ids=lambda text: text[:12])
def test_a_broken_table_only_costs_another_check(text, places):
    path = places[1] / "a.h5"
    path.write_bytes(GOOD)
    (places[1] / cache.FILE).write_text(text)
    assert weights.locate("net", [PUBLISHED[0]]).sha256 == SHA256
    assert [*json.loads((places[1] / cache.FILE).read_text())] == [str(path)]
    assert cache.recorded(path) == Hashes(SHA256, MD5)


def test_a_table_of_another_file_is_not_trusted(places):
    """A row stands for the hashes in it, and for no other."""
    path = places[1] / "a.h5"
    path.write_bytes(GOOD)
    cache.record(path, Hashes("0" * 64, "0" * 32))
    assert weights.locate("net", [PUBLISHED[0]]).sha256 == SHA256
    cache.record(path, Hashes(SHA256, "0" * 32))
    with pytest.raises(WeightsError, match="published md5"):
        weights.locate("net", [PUBLISHED[0]])


# -- files of strange kinds ------------------------------------------------------------
@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize(
    ("source", "size", "words"),
    [
        (Source("a.h5", MD5), 30 << 30, "at most 2,147,483,648 bytes"),
        (Source("a.h5", MD5, size=len(GOOD)), 1 << 30, "the published size of 768,000"),
    ],
)
def test_a_file_of_a_wrong_size_is_not_read(
    source, size, words, place, places, monkeypatch
):
    path = places[place] / "a.h5"
    with path.open("wb") as file:
        file.truncate(size)  # a sparse file: it takes no room, but a minute to hash
    monkeypatch.setattr(cache, "open_regular", lambda path: open_but(path, "a.h5"))
    with pytest.raises(WeightsError, match=words):
        weights.locate("net", [source], offline=True)
    aside = places[1] / "a.h5.bad-size"
    assert aside.exists() == (place == 1)
    assert path.exists() == (place != 1)


def test_a_file_of_the_users_has_a_size_too(tmp_path):
    with (tmp_path / "a.h5").open("wb") as file:
        file.truncate(30 << 30)
    with pytest.raises(WeightsError, match="at most 4,294,967,296 bytes"):
        verify.sha256_of(tmp_path / "a.h5")


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path):
    path = tmp_path / "a.h5"
    path.write_bytes(GOOD)
    with verify.unchanged(path) as sha256:
        assert sha256 == SHA256
    with pytest.raises(WeightsError, match="stay as it is"), verify.unchanged(path):
        path.write_bytes(BAD + BAD)


def test_a_table_that_cannot_be_written(places, monkeypatch):
    (places[0] / "a.h5").write_bytes(GOOD)
    (places[0] / "file").write_bytes(b"x")
    monkeypatch.setenv("KERAS_DREAM_HOME", str(places[0] / "file" / "cache"))
    assert weights.locate("net", [PUBLISHED[0]]).sha256 == SHA256


def test_a_table_whose_lock_is_held(places, monkeypatch):
    path = places[1] / "a.h5"
    path.write_bytes(GOOD)
    monkeypatch.setattr(cache, "PATIENCE", 0.2)
    with cache.locked(places[1] / cache.FILE):
        assert weights.locate("net", [PUBLISHED[0]]).sha256 == SHA256
    assert cache.recorded(path) is None


def test_the_table_keeps_the_rows_of_others_but_for_files_that_are_gone(places):
    one, two, three = (places[1] / name for name in ("one", "two", "three"))
    for path in (one, two, three):
        path.write_bytes(GOOD)
        assert cache.hashes_of(path) == Hashes(SHA256, MD5)
    cache.forget(two)
    assert cache.recorded(two) is None
    assert cache.recorded(one) == cache.recorded(three) == Hashes(SHA256, MD5)
    one.unlink()
    cache.record(two, Hashes(SHA256, MD5))
    assert {*json.loads((places[1] / cache.FILE).read_text())} == {str(two), str(three)}
    assert names(places[1]) == [cache.FILE, "three", "two"]
