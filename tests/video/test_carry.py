import numpy as np
from clips import texture

from keras_dream.recipe.video import VideoSettings
from keras_dream.video.carry import Carried, begin, settle


def image(seed=0, size=(32, 48)):
    return texture(size, seed=seed).astype(np.float32) / 255


def film(frames, dream, settings):
    carried = None
    for frame in frames:
        start = begin(frame, carried, settings)
        image, carried = settle(frame, start, dream(start.image), carried, settings)
        yield np.clip(image, 0, 1)


def test_strength_and_mean_stay_over_many_frames():
    frame, pattern = image(), 0.1 * (image(5) - 0.5)

    def dream(start):
        return np.clip(start + pattern + 0.01, 0, 1)

    first, *others = film([frame] * 40, dream, VideoSettings())
    for other in others:
        assert abs(other.mean() / first.mean() - 1) < 0.01
        assert abs(other.std() / first.std() - 1) < 0.01


def test_nothing_is_carried_at_carry_0():
    frames = [image(n) for n in range(3)]
    for frame in frames:
        first = begin(frame, None, VideoSettings())
        _, carried = settle(frame, first, frame + 0.1, None, VideoSettings())
        start = begin(frame, carried, VideoSettings(carry=0))
        assert np.array_equal(start.image, frame)


def test_state_is_the_same_after_a_file(tmp_path):
    frame = image()
    settings = VideoSettings()
    first = begin(frame, None, settings)
    _, state = settle(frame, first, frame * 0.9, None, settings)
    again = Carried.load(state.save(tmp_path / "state"))
    assert np.array_equal(again.frame, state.frame)
    assert np.array_equal(again.difference, state.difference)
    assert again.difference.dtype == np.float16
    assert again.lock == state.lock
