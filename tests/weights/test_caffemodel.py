"""Reading `.caffemodel` files: every way to write them, and every way to forge them."""

import contextlib

import caffe_files as files
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from keras_dream.errors import WeightsError
from keras_dream.weights.readers import caffemodel

GENERATOR = np.random.default_rng(5)
KERNEL = GENERATOR.normal(size=(4, 3, 2, 5)).astype("f4")
BIAS = GENERATOR.normal(size=4).astype("f4")


def written(path, data):
    path.write_bytes(data)
    return path


def small(*, old=False, name="inception_3a/1x1", **how):
    arrays = [files.blob(KERNEL, **how), files.blob(BIAS, **how)]
    return files.layer(name, "Convolution", arrays, old=old)


def refused(path, data, match):
    with pytest.raises(WeightsError, match=match) as error:
        caffemodel.blobs(written(path, data))
    text = str(error.value)
    assert "\n" not in text
    assert path.name in text
    assert text.endswith(".")


@pytest.mark.parametrize("double", [False, True], ids=["float", "double"])
@pytest.mark.parametrize("packed", [False, True], ids=["single", "packed"])
@pytest.mark.parametrize("legacy", [False, True], ids=["shape", "sides"])
@pytest.mark.parametrize("old", [False, True], ids=["layer", "layers"])
def test_every_way_to_write_a_blob(old, legacy, packed, double, tmp_path):
    data = files.network([small(old=old, legacy=legacy, packed=packed, double=double)])
    found = caffemodel.blobs(written(tmp_path / "x.caffemodel", data))
    kernel, bias = found["inception_3a/1x1"]
    assert np.array_equal(kernel, KERNEL)
    assert bias.shape == ((1, 1, 1, 4) if legacy else (4,))
    assert np.array_equal(bias.ravel(), BIAS)


def test_what_is_not_weights_is_stepped_over(tmp_path):
    other = files.piece(3, b"data") + files.whole(5, 1) + files.piece(8, b"\x08\x01")
    fixed = b"\x3d\0\0\0\0" + b"\x39" + bytes(8)  # numbers 7, of 4 and of 8 bytes
    data = files.layer("data", "Data", []) * 2 + small() + other + fixed
    found = caffemodel.blobs(written(tmp_path / "x.caffemodel", files.network([data])))
    assert [*found] == ["inception_3a/1x1"]


def test_slopes_of_training_are_not_weights(tmp_path):
    blob = files.blob(BIAS) + files.piece(6, np.ones(4, "<f4").tobytes())
    data = files.network([files.layer("a", "Scale", [blob])])
    (found,) = caffemodel.blobs(written(tmp_path / "x.caffemodel", data))["a"]
    assert np.array_equal(found, BIAS)


def test_numbers_in_pieces_and_in_millions(tmp_path):
    values = np.arange(100_000, dtype="<f4")
    packed = files.piece(5, values[:7].tobytes()) + files.piece(5, b"")
    record = np.zeros(len(values) - 8, [("key", "u1"), ("value", "<f4")])
    record["key"], record["value"] = 0x2D, values[7:-1]
    single = record.tobytes() + files.piece(6, bytes(4)) + record[:1].tobytes()
    blob = packed + single + files.piece(7, files.piece(1, files.varint(100_000)))
    data = files.network([files.layer("a", "Scale", [blob])])
    (found,) = caffemodel.blobs(written(tmp_path / "x.caffemodel", data))["a"]
    assert np.array_equal(found, [*values[:-1], 7])


def blob_of(shape, count):
    dims = files.piece(1, b"".join(map(files.varint, shape)))
    data = files.piece(7, dims) + files.piece(5, bytes(4 * count))
    return files.network([files.layer("a", "Convolution", [data])])


FORGED = {
    "empty": (b"", "must have contents"),
    "picture": (b"\x89PNG\r\n\x1a\n" + bytes(100), "no such message|too early"),
    "no weights": (files.network([files.layer("a", "ReLU", [])]), "no layers with"),
    "length": (files.varint(100 << 3 | 2) + files.varint(1 << 40), "ends too early"),
    "inner length": (
        files.piece(100, files.piece(1, b"a") + b"\x3a\xff\xff\xff\xff\x0f"),
        "ends too early",
    ),
    "long number": (b"\x08" + b"\xff" * 10 + b"\x01", "no such message"),
    "open number": (b"\x08\xff", "ends too early"),
    "field 0": (b"\x00\x01", "no such message"),
    "group": (b"\x0b\x0c", "no such message"),
    "type 7": (b"\x0f", "no such message"),
    "half a number": (
        files.network([files.layer("a", "Scale", [files.piece(5, bytes(6))])]),
        "do not end after 4 bytes",
    ),
    "numbers without a shape": (
        files.network([files.layer("a", "Scale", [files.piece(5, bytes(8))])]),
        "a holds 2 numbers and says 0 × 0 × 0 × 0",
    ),
    "too few": (blob_of((3, 4), 11), "holds 11 numbers and says 3 × 4"),
    "too many": (blob_of((3, 4), 13), "holds 13 numbers and says 3 × 4"),
    "bomb": (blob_of((1 << 31, 1 << 31), 1), "holds 1 numbers and says 2147483648"),
    "negative": (blob_of((-1 & (1 << 64) - 1,), 1), "and says 18446744073709551615"),
    "a side beside 0": (blob_of((0, (1 << 64) - 1), 0), "holds 0 numbers and says 0 ×"),
    "axes": (blob_of((1,) * 33, 1), "holds 1 numbers"),
    "name": (
        files.network([files.piece(100, b"\x0a\x02\xff\xfe" + files.piece(7, b""))]),
        "name is no text",
    ),
    "twice": (files.network([small(), small(old=True)]), "two layers 'inception_3a"),
}


@pytest.mark.parametrize("kind", FORGED)
def test_forged_files_are_refused(kind, tmp_path):
    data, match = FORGED[kind]
    refused(tmp_path / "x.caffemodel", data, match)


def test_files_without_end_are_refused(tmp_path, monkeypatch):
    many = files.network([small()]) + files.whole(5, 0) * 2000
    monkeypatch.setattr(caffemodel, "MOST_FIELDS", 1000)
    refused(tmp_path / "x.caffemodel", many, "more than 1000 fields")
    dims = files.piece(7, files.piece(1, b"\x01" * 2000)) + files.piece(5, bytes(4))
    deep = files.network([files.layer("a", "Scale", [dims])])
    refused(tmp_path / "x.caffemodel", deep, "more than 1000 fields")
    monkeypatch.setattr(caffemodel, "LARGEST_FILE", 10)
    refused(tmp_path / "x.caffemodel", many, "larger than")


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="does not exist"):
        caffemodel.blobs(tmp_path / "x.caffemodel")
    with pytest.raises(WeightsError, match="a folder"):
        caffemodel.blobs(tmp_path)


# -- anything at all -------------------------------------------------------------------
WHOLE = files.network([small(), small(old=True, name="b", legacy=True, packed=False)])


def read_or_refused(path, data):
    found = {}
    with contextlib.suppress(WeightsError):
        found = caffemodel.blobs(written(path, data))
    for arrays in found.values():
        assert sum(array.nbytes for array in arrays) <= 2 * len(data)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("caffe") / "x.caffemodel"


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_read_or_refused(place, data):
    read_or_refused(place, data)


@given(
    st.lists(
        st.tuples(
            st.integers(0, len(WHOLE) - 1),
            st.integers(0, 3),
            st.binary(min_size=0, max_size=11),
        ),
        min_size=1,
        max_size=4,
    )
)
@settings(max_examples=500, deadline=None)
def test_damaged_files_are_read_or_refused(place, changes):
    data = bytearray(WHOLE)
    for at, lost, new in changes:
        data[at : at + lost] = new
    read_or_refused(place, bytes(data))


def test_files_cut_short_are_read_or_refused(place):
    for end in range(0, len(WHOLE), 3):
        read_or_refused(place, WHOLE[:end])
