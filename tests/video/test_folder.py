"""The work folder of a film: what is done stays, and what is not is made again."""

import errno
import os

import numpy as np
import pytest

from keras_dream.errors import InputError, JobsError, SaveError
from keras_dream.video.folder import Place, WorkFolder, work_folder

KEY = {"source": "a", "recipe": "b"}


class State:
    """What a frame hands on: a few bytes."""

    def __init__(self, number):
        self.data = bytes([number] * 8)

    def save(self, path):
        path.write_bytes(self.data)


def picture(number, *, kind=np.uint8, channels=3):
    random = np.random.default_rng(number)
    return random.integers(0, np.iinfo(kind).max, (6, 10, channels), kind)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "film.mp4"


@pytest.fixture
def opened(out):
    """Opens the folder of a film of three frames, and closes all at the end."""
    folders = []

    def opened(key=KEY, **options):
        for folder in folders:
            folder.close()
        folders.append(WorkFolder(out, key, range(3), **options))
        return folders[-1]

    yield opened
    for folder in folders:
        folder.close()


def names(out):
    files = work_folder(out).iterdir()
    return sorted(path.name for path in files if "journal" not in path.name)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [3, 4])
def test_frames_come_back_as_they_were(opened, kind, channels):
    own = picture(0, kind=kind, channels=channels)
    opened().save(0, own, notes={"steps": 3, "sample": [0.1, None]})
    folder = opened()
    assert folder.done == {Place(0, 0)}
    read = folder.picture(0)
    assert read.dtype == kind
    np.testing.assert_array_equal(read, own)
    assert folder.notes(0) == {"steps": 3, "sample": [0.1, None]}


def test_only_the_last_state_is_kept(opened, out):
    folder = opened()
    for number in range(3):
        folder.save(number, picture(number), state=State(number))
        states = [name for name in names(out) if name.startswith("state")]
        assert states == [f"state-0000-{number:06}.npz"]
        assert folder.state_path(number).read_bytes() == State(number).data


def test_parts_have_their_own_states(out):
    places = [Place(0, 0), Place(0, 1), Place(1, 1), Place(1, 2)]
    folder = WorkFolder(out, KEY, places)
    for place in places:
        folder.save(place, picture(place.number), state=State(place.part))
    assert folder.state_path(Place(0, 1)).read_bytes() == State(0).data
    assert folder.state_path(Place(1, 2)).read_bytes() == State(1).data
    assert not folder.state_path(Place(1, 1)).exists()
    folder.close()


def test_another_film_is_refused_and_may_begin_anew(opened, out):
    opened().save(0, picture(0))
    with pytest.raises(JobsError, match="begun with another recipe; use the same"):
        opened({**KEY, "recipe": "c"})
    with pytest.raises(JobsError, match="another source and recipe"):
        opened({"source": "x", "recipe": "y"})
    assert opened().done == {Place(0, 0)}
    folder = opened({**KEY, "recipe": "c"}, resume=False)
    assert not folder.done
    assert names(out) == []


def test_one_process_at_a_time(opened, out):
    opened()
    with pytest.raises(JobsError, match="one writer at a time"):
        WorkFolder(out, KEY, range(3))


@pytest.mark.parametrize("change", ["lost", "other bytes"])
def test_a_frame_that_is_not_as_it_was_saved_is_made_again(opened, out, change):
    folder = opened()
    for number in range(2):
        folder.save(number, picture(number))
    path = work_folder(out) / "frame-0000-000001.png"
    if change == "lost":
        path.unlink()
    else:
        path.write_bytes(b"no picture")
    folder = opened()
    assert folder.done == {Place(0, 0)}
    folder.save(1, picture(1))
    np.testing.assert_array_equal(folder.picture(1), picture(1))


def test_a_damaged_frame_is_a_sentence(opened, out):
    folder = opened()
    folder.save(0, picture(0))
    path = work_folder(out) / "frame-0000-000000.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(InputError, match="must be"):
        folder.picture(0)


@pytest.mark.parametrize("part", ["state", "frame"])
def test_a_full_disk_is_a_sentence_and_loses_nothing(opened, monkeypatch, part):
    folder = opened()
    folder.save(0, picture(0), state=State(0))

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        if part == "state":
            patch.setattr(State, "save", full)
        else:
            patch.setattr("keras_dream.files.os.fsync", full)
        with pytest.raises(SaveError, match="free some space"):
            folder.save(1, picture(1), state=State(1))
    folder = opened()
    assert folder.done == {Place(0, 0)}
    assert folder.state_path(0).read_bytes() == State(0).data
    folder.save(1, picture(1), state=State(1))


def test_removing_it_leaves_nothing(opened, out):
    folder = opened()
    folder.save(0, picture(0), state=State(0))
    folder.remove()
    assert not work_folder(out).exists()


def test_a_removal_that_was_cut_short_is_no_film(opened, out, monkeypatch):
    folder = opened()
    folder.save(0, picture(0), state=State(0))
    with monkeypatch.context() as patch:
        patch.setattr("keras_dream.video.folder._clear", lambda _: None)
        folder.remove()
    assert names(out)
    assert not opened({"another": "film"}).done
    assert names(out) == []


def test_what_has_other_names_is_kept(opened, out):
    opened().save(0, picture(0))
    mine = work_folder(out) / "notes.txt"
    mine.write_text("mine")
    opened().remove()
    assert mine.read_text() == "mine"
