"""Masks as maps: grey, transparency, sizes, feathers."""

import numpy as np
import pytest

from keras_dream.errors import PictureError
from keras_dream.pictures.masks import (
    box_mask,
    check_aspect,
    feathered,
    mask_of,
    resized,
)
from keras_dream.pictures.picture import Picture, as_picture


def test_grey_values_are_kept():
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert np.array_equal(mask_of(as_picture(levels)), (levels / np.float32(255)))


def test_colours_count_by_their_brightness():
    colors = np.eye(3, dtype=np.float32)[None]
    assert mask_of(Picture(colors)).tolist()[0] == pytest.approx(
        [0.2126, 0.7152, 0.0722]
    )


def test_transparency_counts_where_there_is_any():
    pixels = np.ones((2, 2, 3), np.float32)
    alpha = np.array([[0, 0.5], [1, 1]], np.float32)
    assert np.array_equal(mask_of(Picture(pixels, alpha)), alpha)
    opaque = np.ones((2, 2), np.float32)
    assert np.array_equal(mask_of(Picture(pixels * 0, opaque)), opaque * 0)


@pytest.mark.parametrize("size", [(300, 450), (35, 51), (7, 10), (97, 100)])
def test_what_is_0_or_1_all_around_stays_so(size):
    mask = box_mask((100, 150), 30, 20, 90, 60)
    found = resized(mask, size)
    assert found.shape == size
    assert found.min() == 0.0
    assert found.max() == 1.0
    wide = np.abs(found - 0.5) < 0.5  # the soft edge
    assert wide.mean() < 0.5
    assert found.mean() == pytest.approx(mask.mean(), abs=0.1)


def test_a_small_mask_never_vanishes():
    mask = box_mask((1000, 1000), 500, 500, 504, 504)
    assert resized(mask, (20, 20)).max() > 0.001


def test_a_feather_is_as_wide_as_it_says():
    mask = box_mask((80, 200), 100, 0, 200, 80)
    soft = feathered(mask, 20)
    row = soft[40]
    assert np.array_equal(soft, np.broadcast_to(row, soft.shape))
    assert not row[:80].any()
    assert (row[120:] == 1).all()
    assert (np.diff(row[80:120]) > 0).all()
    assert row[99] + row[100] == pytest.approx(1)
    assert feathered(mask, 0) is mask


def test_shapes_that_fit():
    mask = np.ones((67, 100), np.float32)
    check_aspect(mask, (2000, 3000), "a")
    check_aspect(np.ones((11, 16), np.float32), (200, 300), "a")
    with pytest.raises(PictureError, match="ratio of its photo; received b with 100 ×"):
        check_aspect(np.ones((75, 100), np.float32), (200, 300), "b")
