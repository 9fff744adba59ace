"""The drawing kit: text that fits, heat, and painting."""

import time

import numpy as np

from keras_dream.pictures.drawing import (
    PAPER,
    Box,
    Text,
    Tile,
    fit,
    font,
    interpolate,
    legible,
    overlay_heat,
    paint,
    resize,
    shorten,
    wrap,
)


def test_heat_is_linear_between_centres():
    heat = np.array([[0, 1], [2, 3]], np.float32)
    between = interpolate(heat, np.array([-1, 0, 0.5, 9]), np.array([0, 0.25, 1]))
    np.testing.assert_allclose(
        between, [[0, 0.25, 1], [0, 0.25, 1], [1, 1.25, 2], [2, 2.25, 3]]
    )
    one = interpolate(np.full((1, 1), 7, np.float32), np.arange(3), np.arange(2))
    np.testing.assert_array_equal(one, np.full((3, 2), 7))


def test_heat_covers_by_its_level():
    picture = np.full((1, 3, 3), 200, np.uint8)
    heated = overlay_heat(picture, np.array([[-1, 0, 2]], np.float32))
    np.testing.assert_array_equal(heated[0, 0], heated[0, 1])
    assert len(set(heated[0, 0].tolist())) == 1  # grey where there is none
    assert heated[0, 2].astype(int).sum() > heated[0, 0].astype(int).sum()
    assert heated[0, 2, 0] > heated[0, 2, 2] + 50


def test_a_ring_marks_the_peak():
    picture, heat = np.zeros((40, 40, 3), np.uint8), np.zeros((40, 40), np.float32)
    marked = overlay_heat(picture, heat, peak=(20, 12))
    down, across = np.nonzero(marked.max(axis=-1))
    assert (down.mean(), across.mean()) == (20, 12)
    assert not marked[20, 12].any()


def test_long_texts_are_shortened_in_their_middle():
    name = "mixed0_five_reduce_conv"
    short = shorten(name, 100, 14)
    assert font(14).getlength(short) <= 100
    assert short.startswith("mixed")
    assert short.endswith("conv")
    assert "..." in short
    assert shorten("mixed4", 100, 14) == "mixed4"
    assert shorten(name, 1, 14) == "..."


def test_long_values_are_wrapped():
    text = "0.2*mixed2 + 3*mixed3 + 2*mixed4 + 1.5*mixed5"
    lines = wrap(text, 130, 14, lines=3)
    assert 1 < len(lines) <= 3
    assert all(font(14).getlength(line) <= 130 for line in lines)
    assert lines[0].startswith("0.2*mixed2")
    assert lines[-1].endswith("mixed5")
    two = wrap(text, 130, 14, lines=2)
    assert (len(two), two[0]) == (2, lines[0])
    assert "..." in two[1]
    every = wrap(text, 60, 14)
    assert len(every) > 3
    assert sum(line.count("+") for line in every) == 3


def test_letters_that_the_font_lacks():
    assert legible("3 × 4 – ä") == "3 x 4 - a"
    assert legible("層1") == "?1"
    assert legible("a\nb") == "a?b"


def test_pictures_keep_their_shape_in_a_box():
    assert fit((20, 30), (30, 30)) == (20, 30)
    assert fit((400, 40), (200, 210)) == (200, 20)
    assert fit((1, 1000), (100, 100)) == (1, 100)
    half = np.full((4, 4, 3), 0.5, np.float32)
    assert np.unique(resize(half, (2, 8))).tolist() == [128]
    assert resize(half, (2, 8)).shape == (2, 8, 3)


def test_items_lie_where_they_say():
    tile = np.full((2, 3, 3), 9, np.uint8)
    image = paint(
        (30, 40),
        [Box(0, 0, (2, 5), "#ff0000"), Tile(4, 1, tile), Text(20, 5, "I", 14)],
    )
    assert (image.shape, image.dtype) == ((30, 40, 3), np.uint8)
    assert image[1, 3].tolist() == [255, 0, 0]
    assert (image[1:3, 4:7] == 9).all()
    paper = [int(PAPER[i : i + 2], 16) for i in (1, 3, 5)]
    assert image[2, 0].tolist() == image[29, 39].tolist() == paper
    assert image[:, 20:].min() < 60  # ink


def test_names_of_any_length_are_shortened_at_once():
    began = time.process_time()
    for letter in ("i", "W", "é", "\u4e16", "a "):
        short = shorten(letter * 100_000, 300, 12)
        assert font(12).getlength(short) <= 300
        assert "..." in short
        lines = wrap(letter * 50_000, 300, 12, lines=3)
        assert len(lines) <= 3
    assert time.process_time() - began < 10  # it took minutes for 10,000
