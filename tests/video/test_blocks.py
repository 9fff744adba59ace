"""Blocks: every frame once, or twice where one block fades into the next."""

import numpy as np
import pytest

from keras_dream.recipe.video import VideoSettings
from keras_dream.video.blocks import Block, blocks_of, mixed, shares_of


def test_whole_scenes():
    blocks = blocks_of((0, 4, 5), 9, VideoSettings())
    assert blocks == (Block(0, 0, 4), Block(1, 4, 5), Block(2, 5, 9))


def test_blocks_begin_early_but_within_their_scene():
    blocks = blocks_of((0, 7), 10, VideoSettings(block=3, overlap=2))
    assert blocks == (
        Block(0, 0, 3),
        Block(1, 1, 6, 2),
        Block(2, 4, 7, 2),
        Block(3, 7, 10),
    )


@pytest.mark.parametrize("overlap", [1, 2, 5, 12])
@pytest.mark.parametrize("block", [2, 3, 7])
def test_shares_add_up_and_fade_linearly(block, overlap):
    settings = VideoSettings(block=block, overlap=overlap)
    blocks = blocks_of((0, 11), 20, settings)
    shares = shares_of(blocks, 20)
    for number, frame in enumerate(shares):
        assert 1 <= len(frame) <= 2
        assert {place.number for place, _ in frame} == {number}
        assert sum(share for _, share in frame) == pytest.approx(1)
    for one in blocks:
        own = [
            share
            for frame in shares
            for place, share in frame
            if place.part == one.part and place.number < one.first + one.early
        ]
        assert np.diff([0, *own, 1]) == pytest.approx(1 / (one.early + 1))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_mix_is_the_mean(kind):
    most = np.iinfo(kind).max
    a, b = np.zeros((2, 2, 3), kind), np.full((2, 2, 3), most, kind)
    assert mixed([(a, 0.25), (b, 0.75)]).dtype == kind
    np.testing.assert_array_equal(mixed([(a, 0.25), (b, 0.75)]), np.rint(0.75 * most))
    np.testing.assert_array_equal(mixed([(b, 0.5), (b, 0.5)]), b)
