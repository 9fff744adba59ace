import numpy as np
import pytest
from clips import hard_cut, pan

from keras_dream.recipe.video import VideoSettings
from keras_dream.video.carry import Carried, begin, motion, settle
from keras_dream.video.flicker import frame_error
from keras_dream.video.smoothing import smoothed

SETTINGS = VideoSettings(smooth=1.0)


def images(frames):
    return list(frames.astype(np.float32) / 255)


def first_pass(frames, settings=SETTINGS):
    """Dreams that boil: every frame adds a pattern of its own."""
    random, carried, states = np.random.default_rng(1), None, []
    for frame in frames:
        start = begin(frame, carried, settings)
        dreamed = start.image + 0.05 * random.standard_normal(frame.shape)
        dreamed = np.clip(dreamed, 0, 1).astype(np.float32)
        _, carried = settle(frame, start, dreamed, carried, settings)
        states.append(carried)
    return states


def second_pass(frames, states, settings=SETTINGS):
    following, shown = None, []
    for frame, state in zip(reversed(frames), reversed(states), strict=True):
        image, following = smoothed(frame, state, following, settings)
        shown.append(image)
    return shown[::-1]


def flicker(frames, shown):
    errors = []
    for number in range(1, len(frames)):
        moved = motion(frames[number - 1], frames[number], SETTINGS)
        total, count = frame_error(shown[number - 1], shown[number], *moved)
        errors.append(total / count)
    return np.mean(errors)


def strength(frames, shown):
    return np.std([image - frame for frame, image in zip(frames, shown, strict=True)])


def test_less_flicker_at_the_same_strength():
    frames = images(pan(8))
    states = first_pass(frames)
    once = [
        frame + state.difference.astype(np.float32)
        for frame, state in zip(frames, states, strict=True)
    ]
    half = second_pass(frames, states, VideoSettings(smooth=0.5))
    whole = second_pass(frames, states)
    assert flicker(frames, half) < 0.75 * flicker(frames, once)
    assert flicker(frames, whole) < 0.6 * flicker(frames, once)
    for shown in (half, whole):
        assert strength(frames, shown) == pytest.approx(strength(frames, once), 0.02)


def test_a_cut_takes_nothing_from_the_next_scene():
    frames = images(hard_cut(4, at=2))
    states = first_pass(frames)
    following = smoothed(frames[3], states[3], None, SETTINGS).carried
    following = smoothed(frames[2], states[2], following, SETTINGS).carried
    image, _ = smoothed(frames[1], states[1], following, SETTINGS)
    alone, _ = smoothed(frames[1], states[1], None, SETTINGS)
    assert np.mean(np.abs(image - alone)) < 0.25 * np.abs(states[1].difference).mean()


def test_a_pass_goes_on_from_a_saved_state(tmp_path):
    frames = images(pan(3))
    states = first_pass(frames)
    following = smoothed(frames[2], states[2], None, SETTINGS).carried
    undisturbed = smoothed(frames[1], states[1], following, SETTINGS)
    following = Carried.load(following.save(tmp_path / "state"))
    resumed = smoothed(frames[1], states[1], following, SETTINGS)
    assert np.array_equal(undisturbed.image, resumed.image)
    difference = undisturbed.carried.difference
    assert np.array_equal(difference, resumed.carried.difference)
    assert difference.dtype == np.float16


def test_nothing_is_added_outside_a_mask():
    frames = images(pan(2, step=(0, 3)))
    states = first_pass(frames)
    half = np.zeros((*frames[0].shape[:2], 1), np.float16)
    half[:, 30:] = 1
    states = [Carried(s.frame, s.difference * half, s.lock) for s in states]
    shown = second_pass(frames, states)
    for frame, image in zip(frames, shown, strict=True):
        assert np.array_equal(image[:, :30], frame[:, :30])
    assert not np.array_equal(shown[0][:, 30:], frames[0][:, 30:])
