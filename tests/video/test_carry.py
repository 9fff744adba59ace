import numpy as np
import pytest
from clips import fade, moving_square, pan, texture
from scipy import ndimage

from keras_dream.engine.arrays import encode_arrays
from keras_dream.errors import InputError
from keras_dream.recipe.video import VideoSettings
from keras_dream.video.carry import Carried, Motion, Push, begin, settle

SIZE = (24, 32)
LUMA = np.array([0.2126, 0.7152, 0.0722])
SETTINGS = VideoSettings()


def image(seed=0, size=SIZE, low=0.0, high=1.0):
    return (low + (high - low) * texture(size, seed=seed) / 255).astype(np.float32)


PATTERN = image(5) - 0.5


def film(frames, dream, settings=SETTINGS, *, moved=None, push=None):
    """Yields what is shown and what is carried of each frame."""
    carried = None
    for number, frame in enumerate(frames):
        start = begin(frame, carried, settings, moved=moved if number else None)
        dreamed = dream(start.image, 16 if number == 0 else 4)
        own = push(number) if push else None
        shown, carried = settle(frame, start, dreamed, carried, settings, push=own)
        yield np.clip(shown, 0, 1), carried


def added(image, steps):
    """A dream that adds a pattern and brightens."""
    return np.clip(image + 0.02 * steps * PATTERN + 0.01, 0, 1)


def added_freely(image, steps):
    return image + 0.02 * steps * PATTERN + 0.01


def decaying(image, steps):
    return np.clip(0.5 + 0.97 * (image - 0.5) + 0.004 * PATTERN, 0, 1)


def steeper(image, steps):
    return np.clip(0.5 + 1.03**steps * (image - 0.5), 0, 1)


def ascending(image, steps):
    """Ascends the energy of a band of frequencies, as a dream does that of channels."""
    for _ in range(steps):
        band = image - ndimage.gaussian_filter(image, (2, 2, 0))
        band -= ndimage.gaussian_filter(band, (1, 1, 0))
        image = np.clip(image + 0.004 * band / (np.abs(band).mean() + 1e-6), 0, 1)
    return image.astype(np.float32)


def measures(shown):
    luma = shown @ LUMA
    return np.array([luma.mean(), luma.std(), (shown - luma[..., None]).std()])


# The motion of a still, so that it is not computed five hundred times.
STILL = Motion(np.zeros((*SIZE, 2), np.float32), np.ones(SIZE, np.float32))


@pytest.mark.parametrize(
    ("dream", "count"),
    [
        (added, 500),
        (ascending, 500),
        (added_freely, 60),
        (decaying, 60),
        (steeper, 60),
    ],
)
def test_neither_mean_nor_contrast_nor_colors_of_a_still_drift(dream, count):
    frames = [image()] * count
    first, *others = (measures(shown) for shown, _ in film(frames, dream, moved=STILL))
    assert np.abs(np.array(others) / first - 1).max() < 0.01


def test_without_the_lock_a_dream_burns_out():
    free = VideoSettings(lock=False)
    shown = [measures(s) for s, _ in film([image()] * 60, ascending, free, moved=STILL)]
    assert shown[-1][1] > 1.3 * shown[0][1]


@pytest.mark.parametrize("low", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("dream", [added, decaying, steeper])
def test_frames_without_any_texture(low, dream):
    frames = [image(low=low, high=low)] * 6
    first, *others = (shown for shown, _ in film(frames, dream, moved=STILL))
    for other in others:
        assert np.isfinite(other).all()
        assert np.abs(other - other.mean()).std() <= 1.1 * np.std(first) + 1e-6


def test_no_dream_at_all():
    for shown, carried in film([image()] * 3, lambda start, _: start, moved=STILL):
        assert np.allclose(shown, image(), atol=1e-6)
        assert not carried.difference.any()


def test_a_dream_without_any_texture_does_not_add_up():
    """As of a flat frame, which becomes brighter everywhere alike."""

    def brightened(image, steps):
        return image + np.float32(0.004) * steps

    white, lit = image(low=1.0, high=1.0), image(low=0.2, high=0.7)
    shown = [s for s, _ in film([white] * 6 + [lit] * 2, brightened, moved=STILL)]
    assert np.allclose(shown[-1], lit + np.float32(0.016), atol=1e-6)
    assert np.allclose(shown[-2], shown[-1])


def test_a_scene_that_fades_to_black_takes_its_dream_along():
    frames = fade(8, SIZE).astype(np.float32) / 255
    frames = [*frames, *(share * frames[-1] for share in (0.6, 0.3, 0.1, 0.0))]
    shown = [s for s, _ in film(frames, added)]
    strengths = [np.std(s - f) for s, f in zip(shown, frames, strict=True)]
    assert strengths[4] > 0.8 * strengths[0]
    assert strengths[-2] < 0.3 * strengths[0]
    assert shown[-1].max() < 0.02


def test_a_scene_that_fades_in_has_the_strength_of_its_bright_frames():
    bright = image()
    shares = [*np.linspace(0, 1, 12), *[1] * 20]
    frames = [(share * bright).astype(np.float32) for share in shares]
    whole = np.std(ascending(bright, 16) - bright)
    carried, strengths, counts = None, [], []
    for number, frame in enumerate(frames):
        start = begin(frame, carried, SETTINGS, moved=STILL if number else None)
        counts.append(4 + round(12 * start.released))
        dreamed = ascending(start.image, counts[-1])
        shown, carried = settle(frame, start, dreamed, carried, SETTINGS)
        strengths.append(np.std(np.clip(shown, 0, 1) - frame))
    assert strengths[-1] == pytest.approx(whole, rel=0.25)
    assert max(strengths) < 1.3 * whole
    assert counts[:2] == [16, 16]  # there is nothing to be dreamed into black
    assert 1 <= counts.count(10) <= 3


def test_a_dark_scene_that_is_lit_a_little_more_does_not_jump():
    frames = [image(high=high) for high in np.linspace(0.385, 0.415, 8)]
    levels = [np.sqrt(np.square(frame @ LUMA).mean()) for frame in frames]
    assert min(levels) < 0.2 < max(levels)  # what counts as dark
    added_means = []
    for frame, (shown, _) in zip(frames, film(frames, added, moved=STILL), strict=True):
        added_means.append((shown - frame).mean())
    assert np.ptp(added_means) < 0.2 * added_means[0]


def test_a_scene_that_begins_with_a_frame_without_a_dream():
    frame, none = image(), np.zeros_like(image())
    first = begin(none, None, SETTINGS)
    _, carried = settle(none, first, none, None, SETTINGS)
    start = begin(frame, carried, SETTINGS, moved=STILL)
    assert start.released == 1
    dreamed = ascending(start.image, 16)
    shown, carried = settle(frame, start, dreamed, carried, SETTINGS)
    assert np.array_equal(shown, dreamed)
    assert not carried.lock.is_empty


def test_a_dream_moves_along_and_what_is_uncovered_begins_anew():
    size, at, side = (120, 160), (40, 30), 40
    frames = moving_square(2, size, step=(0, 8), side=side, at=at) / np.float32(255)
    first = begin(frames[0], None, SETTINGS)
    dream = np.zeros((*size, 3), np.float32)
    dream[40:80, 30:70] = 0.2 * (image(9, (side, side)) - 0.5)  # on the square
    _, carried = settle(frames[0], first, frames[0] + dream, None, SETTINGS)
    start = begin(frames[1], carried, SETTINGS)
    taken = start.image - frames[1]
    assert np.abs(taken[50:70, 48:68] - dream[50:70, 40:60]).mean() < 0.01
    assert np.abs(taken[40:80, 30:38]).mean() < 0.1 * np.abs(dream[40:80, 30:38]).mean()
    assert 0.02 < start.released < 0.15


def test_what_has_just_begun_is_left_to_grow():
    frame, weights = image(), np.ones(SIZE, np.float32)
    weights[:, :10] = 0
    moved = STILL._replace(visible=weights)
    carried = None
    for number in range(3):
        start = begin(frame, carried, SETTINGS, moved=moved)
        dreamed = added(start.image, 16 if number == 0 else 4)
        shown, carried = settle(frame, start, dreamed, carried, SETTINGS)
        if number:
            assert np.allclose(shown[:, :10], dreamed[:, :10], atol=1e-6)
            assert not np.allclose(shown[:, 10:], dreamed[:, 10:], atol=1e-3)


def test_carry_0_is_frame_by_frame():
    settings = VideoSettings(carry=0)
    frames = pan(3, SIZE) / np.float32(255)
    carried = None
    for frame in frames:
        start = begin(frame, carried, settings)
        assert np.array_equal(start.image, frame)
        assert start.released == 1
        shown, carried = settle(frame, start, added(frame, 16), carried, settings)
        assert np.array_equal(shown, added(frame, 16))


def test_less_carry_takes_less_over():
    frame = image()
    _, carried = settle(frame, begin(frame, None, SETTINGS), frame / 2, None, SETTINGS)
    whole, half, little = (
        begin(frame, carried, VideoSettings(carry=carry), moved=STILL)
        for carry in (1, 0.5, 0.1)
    )
    assert np.allclose(half.image, (whole.image + frame) / 2, atol=1e-6)
    released = [start.released for start in (whole, half, little)]
    assert released == pytest.approx([0, 0.5, 0.9])


def test_the_lock_follows_a_recipe_that_becomes_stronger():
    def push(number):
        whole = 0.04 if number < 5 else 0.08
        return Push(whole / 4 if number else whole, whole)

    shown = [
        np.std(s - image())
        for s, _ in film([image()] * 10, ascending, moved=STILL, push=push)
    ]
    assert shown[4] == pytest.approx(shown[0], rel=0.02)
    assert 1.3 < shown[9] / shown[0] < 2


def test_a_dream_that_begins_within_a_scene():
    def dream(start, steps):
        return start if start is frame else ascending(start, steps)

    def push(number):
        strength = 0.0 if number == 0 else 1.0
        return Push(0.004 * 4 * strength, 0.004 * 16 * strength)

    frame = image()
    shown = [
        np.std(s - frame) for s, _ in film([frame] * 12, dream, moved=STILL, push=push)
    ]
    whole = np.std(ascending(frame, 16) - frame)
    assert shown[0] == 0
    assert 0.5 * whole < shown[-1] < 1.5 * whole


def test_state_is_the_same_after_a_file(tmp_path):
    frames = pan(4, SIZE) / np.float32(255)
    (_, first), *others = film(frames[:2], added)
    again = Carried.load(first.save(tmp_path / "state"))
    assert np.array_equal(again.frame, first.frame)
    assert np.array_equal(again.difference, first.difference)
    assert again.difference.dtype == np.float16
    assert again.lock == first.lock
    start = begin(frames[1], again, SETTINGS)
    shown, carried = settle(frames[1], start, added(start.image, 4), again, SETTINGS)
    assert np.array_equal(np.clip(shown, 0, 1), others[0][0])
    assert np.array_equal(carried.difference, others[0][1].difference)
    assert carried.lock == others[0][1].lock


def forged(**changes):
    arrays = {
        "frame": np.zeros((4, 5, 3), np.uint8),
        "difference": np.zeros((4, 5, 3), np.float16),
        "lock": np.zeros(9, np.float32),
        **changes,
    }
    return bytes(
        encode_arrays(
            {name: array for name, array in arrays.items() if array is not None}
        )
    )


@pytest.mark.parametrize(
    "data",
    [
        b"no archive",
        forged()[:-40],
        forged(lock=None),
        forged(lock=np.full(9, np.nan, np.float32)),
        forged(lock=np.zeros(8, np.float32)),
        forged(difference=np.zeros((4, 6, 3), np.float16)),
        forged(difference=np.full((4, 5, 3), np.inf, np.float16)),
        forged(difference=np.zeros((4, 5, 3), np.float64)),
        forged(frame=np.zeros((4, 5), np.uint8)),
        forged(other=np.zeros(3, np.float32)),
    ],
)
def test_a_state_that_is_damaged_or_forged_is_refused(tmp_path, data):
    path = tmp_path / "state"
    path.write_bytes(data)
    with pytest.raises(InputError, match="The state of a film must be whole"):
        Carried.load(path)


def test_a_state_of_another_size_is_refused():
    frame = image()
    _, carried = settle(frame, begin(frame, None, SETTINGS), frame, None, SETTINGS)
    with pytest.raises(InputError, match="the size of its frames"):
        begin(frame[:-1], carried, SETTINGS)
