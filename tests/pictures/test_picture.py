"""A picture from a file, a Pillow image or an array, and its hash."""

import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest
from picture_files import encode, put, transparent
from PIL import Image

from keras_dream.errors import PictureError
from keras_dream.pictures.picture import as_picture, to_uint8


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 3), (5, 7, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32, np.float64])
def test_arrays(shape: tuple[int, ...], dtype: type):
    values = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    array = values if dtype == np.uint8 else (values / 255).astype(dtype)
    before = array.copy()
    picture = as_picture(array)
    assert picture.pixels.shape == (5, 7, 3)
    assert picture.pixels.dtype == np.float32
    assert (picture.alpha is None) == (shape[-1] != 4)
    assert picture.name == ""
    expected = values.reshape(5, 7, -1)[
        ..., : min(3, values.reshape(5, 7, -1).shape[2])
    ]
    np.testing.assert_array_equal(
        to_uint8(picture.pixels), np.broadcast_to(expected, (5, 7, 3))
    )
    picture.pixels[:] = 0.5  # ours alone
    np.testing.assert_array_equal(array, before)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (np.zeros((5, 7, 2)), "shape"),
        (np.zeros((1, 5, 7, 3)), "shape"),
        (np.zeros(5), "shape"),
        (np.zeros((0, 7, 3)), "shape"),
        (np.zeros((5, 7, 3), np.int64), "int64"),
        (np.zeros((5, 7), bool), "bool"),
        (np.full((5, 7), np.nan), "finite"),
        (np.full((5, 7), np.inf), "finite"),
        (np.full((5, 7, 3), 255.0), "values from 255 to 255"),
        (np.full((5, 7, 3), -0.01), "[0, 1]"),
        (b"bytes", "bytes"),
        (None, "NoneType"),
        (Image.new("RGB", (0, 0)), "pixels"),
        (Image.fromarray(np.full((2, 2), 3, np.int32)), "32-bit"),
    ],
)
def test_no_pictures(source: object, words: str):
    with pytest.raises(PictureError) as caught:
        as_picture(source)  # type: ignore[arg-type]
    assert words in str(caught.value)


def test_every_source_of_the_same_picture_is_the_same(tmp_path: Path):
    array = transparent()
    path = put(tmp_path, encode(Image.fromarray(array), ".png"))
    pictures = [
        as_picture(source)
        for source in [array, array / 255, Image.fromarray(array), path, str(path)]
    ]
    assert len({picture.sha256 for picture in pictures}) == 1
    assert as_picture(pictures[0]) is pictures[0]


def test_sha256_is_what_its_documentation_says():
    array = np.array([[[0, 128, 255], [1, 2, 3]]], np.uint8)
    assert (
        as_picture(array).sha256
        == hashlib.sha256(b"1x2x3 uint8\n\0\x80\xff\1\2\3").hexdigest()
    )
    floats = np.full((1, 1, 3), 0.3, np.float32)
    expected = hashlib.sha256(b"1x1x3 float32\n" + struct.pack("<3f", 0.3, 0.3, 0.3))
    assert as_picture(floats).sha256 == expected.hexdigest()
    tall, wide = np.zeros((2, 1, 3), np.uint8), np.zeros((1, 2, 3), np.uint8)
    assert as_picture(tall).sha256 != as_picture(wide).sha256
