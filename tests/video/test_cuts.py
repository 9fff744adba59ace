"""Cuts are where a scene begins, and nowhere else."""

import numpy as np
import pytest
import skimage.data
from clips import fade, hard_cut, moving_square, pan, still, texture, turned
from PIL import Image

from keras_dream.video.cuts import CutFinder


def cuts_of(frames):
    finder = CutFinder()
    for frame in frames:
        finder.add(frame)
    return finder.finish()


@pytest.mark.parametrize("size", [(12, 16), (48, 64), (128, 72)])
@pytest.mark.parametrize("at", [1, 4, 6, 7])
def test_a_cut_is_on_its_frame(size, at):
    assert cuts_of(hard_cut(8, size, at=at)) == (0, at)


def test_cuts_of_several_scenes():
    scenes = [pan(7), still(6), 255 - pan(5), np.full((6, 48, 64, 3), 9, np.uint8)]
    scenes.append(np.stack([texture(seed=3)] * 8))
    assert cuts_of(np.concatenate(scenes)) == (0, 7, 13, 18, 24)


SCENES = {
    "still": still(8),
    "pan": pan(8),
    "fast pan": pan(8, step=(0, 10)),
    "faster pan": pan(8, step=(0, 20)),
    "zoom": turned(8, zoom=1.15),
    "turn": turned(8, degrees=10),
    "occlusion": moving_square(8),
    "fade": fade(8),
    "short fade": fade(4),
}


@pytest.mark.parametrize("name", SCENES)
def test_one_scene_has_no_cut(name):
    assert cuts_of(SCENES[name]) == (0,)


@pytest.mark.parametrize("length", [1, 2, 3])
@pytest.mark.parametrize("at", [1, 5])
def test_a_flash_is_no_cut(at, length):
    frames = pan(12)
    frames[at : at + length] = 255
    assert cuts_of(frames) == (0,)


def test_a_camera_that_starts_to_move_is_no_cut():
    moving = pan(6, step=(0, 8))
    assert cuts_of(np.concatenate([np.stack([moving[0]] * 6), moving])) == (0,)


def test_a_lamp_that_is_lit_is_no_cut():
    frames = pan(10)
    frames[:5] = (0.4 * frames[:5]).astype(np.uint8)
    assert cuts_of(frames) == (0,)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (8, 8)])
@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_tiny_and_short_films(size, count):
    assert cuts_of(still(count, size)) == (0,)


def test_memory_is_bounded():
    finder = CutFinder()
    for frame in pan(60, step=(0, 1)):
        finder.add(frame)
        assert len(finder._recent) < 12
    assert finder.finish() == (0,)


def test_a_hand_held_camera_over_photographs():
    """Zooms that tremble, with noise: two parts of each of two photographs."""
    noise = np.random.default_rng(0)
    frames = []
    for photo in (skimage.data.astronaut(), skimage.data.coffee()):
        for part in (photo[:300, :400], photo[-300:, -400:][:, ::-1]):
            for number in range(9):
                size = 1 - 0.05 * number * noise.uniform(0.8, 1)
                height, width = int(size * 300), int(size * 400)
                top, left = noise.integers(0, 6, 2)
                image = Image.fromarray(part[top : top + height, left : left + width])
                small = np.asarray(image.resize((96, 72))) + noise.normal(
                    0, 6, (72, 96, 3)
                )
                frames.append(np.clip(small, 0, 255).astype(np.uint8))
    assert cuts_of(frames) == (0, 9, 18, 27)
