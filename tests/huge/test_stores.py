"""Stores: pictures on the disk, by rows."""

import errno

import numpy as np
import pytest

from keras_dream.errors import InputError, SaveError
from keras_dream.huge import stores
from keras_dream.huge.stores import Store, bands, sha256_of
from keras_dream.pictures.picture import Picture

SHAPE = (13, 7, 3)


@pytest.fixture
def values():
    return np.random.default_rng(0).random(SHAPE, dtype=np.float32)


def stored(path, values, notes=None):
    store = Store.create(path, values.shape)
    for first, end in bands(len(values), 100, band=300):
        store.write(first, values[first:end])
    return store.commit(notes)


def test_what_is_written_is_read(tmp_path, values):
    store = stored(tmp_path / "a.npy", values, {"loss": [1.5]})
    assert store.notes == {"loss": [1.5]}
    assert np.array_equal(store.rows(3, 9), values[3:9])
    assert np.array_equal(np.load(tmp_path / "a.npy"), values)
    rows = np.array([12, 0, 1, 2, 2, 1, 5])
    columns = np.array([5, 6, 0, 1, 2, 1])
    found = store.take(rows, columns)
    assert np.array_equal(found, values[rows][:, columns])
    store.remove()
    assert not any(tmp_path.iterdir())


def test_bands_have_every_row_once():
    for height in (1, 2, 3, 40, 1001):
        for band in (1, 50, 10_000_000):
            parts = list(bands(height, 10, band=band))
            assert [n for a, b in parts for n in range(a, b)] == list(range(height))
            assert height < 2 or min(b - a for a, b in parts) > 1


def test_one_that_is_not_committed_has_no_name(tmp_path, values):
    path = tmp_path / "a.npy"
    store = Store.create(path, SHAPE)
    store.write(0, values[:5])
    store.close()
    assert not path.exists()
    again = Store.open(path, unfinished=True)
    again.write(5, values[5:])
    assert np.array_equal(again.commit().rows(0, 13), values)


def test_a_damaged_one_is_refused(tmp_path, values):
    path = tmp_path / "a.npy"
    stored(path, values).close()
    whole = path.read_bytes()
    for data in (whole[:-9], whole[:40], b"", whole + b"{", b"x" + whole[1:]):
        path.write_bytes(data)
        with pytest.raises(InputError, match="unfinished dream"):
            Store.open(path)


def test_a_full_disk_is_refused_before_the_work(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(stores.os, "posix_fallocate", full, raising=False)
    with pytest.raises(SaveError, match=r"room for 1,2\d\d bytes"):
        Store.create(tmp_path / "a.npy", SHAPE)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("exact", [True, False])
def test_the_hash_is_that_of_a_picture(tmp_path, values, exact, monkeypatch):
    if exact:
        values = (values * 255).round() / np.float32(255)
    monkeypatch.setattr(stores, "BAND", 200)
    store = stored(tmp_path / "a.npy", values)
    assert sha256_of(store) == Picture(values).sha256
