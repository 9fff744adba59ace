"""HEIC, as phones write it, is read with the extra `heif`, and named without it."""

import sys
from pathlib import Path

import numpy as np
import pytest
from picture_files import put, smooth
from PIL import Image

from keras_dream.errors import PictureError
from keras_dream.pictures.metadata import read_notes
from keras_dream.pictures.picture import read_picture

# Written by pillow-heif 1.4 from `smooth()`, with a camera and a copyright.
FILE = Path(__file__).parent / "smooth.heic"


def test_without_the_extra_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    with pytest.raises(PictureError, match=r"pip install 'keras-dream\[heif\]'"):
        read_picture(FILE)


def test_it_is_read_with_its_metadata():
    pytest.importorskip("pi_heif")
    picture = read_picture(FILE)
    np.testing.assert_allclose(picture.pixels, smooth() / 255, atol=0.03)
    exif = Image.Exif()
    exif.load(picture.exif)
    assert (exif[271], exif[33432]) == ("Apple", "Ada")
    assert picture.notices == ()
    assert read_notes(FILE) is None


def test_a_damaged_one_is_one_sentence(tmp_path):
    pytest.importorskip("pi_heif")
    whole = FILE.read_bytes()
    for cut in (40, 300, len(whole) - 300):
        with pytest.raises(PictureError):
            read_picture(put(tmp_path, whole[:cut], "a.heic"))
