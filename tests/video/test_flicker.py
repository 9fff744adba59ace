"""The warping error: of known motion, of known noise, and what it does not count."""

import json
from fractions import Fraction

import numpy as np
import pytest
from clips import pan, still, write_clip

import keras_dream as kd
from keras_dream.errors import InputError
from keras_dream.video.carry import Motion
from keras_dream.video.flicker import Flicker, Sample, frame_error, sample

SIZE = (40, 48)


def floats(frames):
    return frames.astype(np.float32) / 255


def constant_flow(down, across, size=SIZE):
    return np.broadcast_to(np.float32([down, across]), (*size, 2)).copy()


def inner(border=4, size=SIZE):
    visible = np.zeros(size, np.float32)
    visible[border:-border, border:-border] = 1
    return visible


def test_a_pan_that_is_followed_has_no_error():
    first, second = floats(pan(2, SIZE, step=(1, 2)))
    # A point at x is at x - step one frame later: it came from x + step.
    total, count = frame_error(first, second, constant_flow(1, 2), inner())
    assert count == 32 * 40 * 3
    assert total / count < 1e-9
    total, _ = frame_error(first, second, constant_flow(0, 0), inner())
    assert total / count > 1e-4


def test_the_error_is_the_mean_square_over_visible_pixels_and_channels():
    first = floats(still(1, SIZE))[0]
    second = first.copy()
    second[..., 0] += 0.3  # 0.09 in one channel of three
    second[:, :20] += 5.0  # hidden
    visible = np.ones(SIZE, np.float32)
    visible[:, :20] = 0.4
    total, count = frame_error(first, second, constant_flow(0, 0), visible)
    assert count == 40 * 28 * 3
    assert total / count == pytest.approx(0.03, rel=1e-5)


def film_of(frames, source, *, cut=None):
    samples = []
    for n, (own, other) in enumerate(zip(frames, source, strict=True)):
        before = None if n in (0, cut) else (frames[n - 1], source[n - 1])
        moved = Motion(constant_flow(0, 0), np.ones(SIZE, np.float32))
        samples.append(sample(own, other, before=before, moved=moved))
    return Flicker(tuple(samples))


def test_a_film_is_the_mean_of_its_frames_without_those_after_a_cut():
    source = floats(still(6, SIZE))
    noise = np.float32([0, 0.1, 0.1, 0.4, 0.4, 0.2])[:, None, None, None]
    flicker = film_of(source + noise, source, cut=3)
    assert [e is None for e in flicker.errors] == [1, 0, 0, 1, 0, 0]
    assert flicker.film == pytest.approx((0.01 + 0 + 0 + 0.04) / 4, rel=1e-4)
    assert flicker.source == 0
    assert (flicker.compared, flicker.worst) == (4, 5)


def test_samples_go_through_json_and_parts_without_a_change():
    source = floats(pan(5, SIZE))
    film = np.clip(source * np.float32(1.1), 0, 1)
    flicker = film_of(film, source)
    parts = json.loads(json.dumps([list(one) for one in flicker.samples]))
    again = Flicker.of(parts[:2] + parts[2:])
    assert again == flicker
    assert again.data() == flicker.data()


def test_drift_is_measured_beside_the_source_and_from_a_scenes_first_frame():
    shares = np.float32([1, 0.9, 0.8])[:, None, None, None]
    source = floats(still(3, SIZE)) * shares  # it fades by itself
    flicker = film_of(source * np.float32(0.5), source)
    assert flicker.mean_drift < 1e-5
    assert flicker.contrast_drift < 1e-5
    gains = np.float32([1, 1.02, 1.05])[:, None, None, None]
    flicker = film_of(source * gains, source)
    assert flicker.mean_drift == pytest.approx(0.05, rel=1e-3)
    assert flicker.contrast_drift == pytest.approx(0.05, rel=1e-3)
    assert film_of(source * gains, source, cut=2).mean_drift == pytest.approx(
        0.02, rel=1e-3
    )


def test_black_frames_do_not_drift():
    black = Sample(None, None, 0, 0, 0, 0, 0)
    grey = Sample(0.0, 0.0, 1, 0.5, 0.1, 0.5, 0.1)
    assert Flicker((black, grey, black, grey)).mean_drift == 0
    assert Flicker((black,)).film is None


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Two scenes that stand still, and films whose frames are brighter and darker."""
    folder = tmp_path_factory.mktemp("films")
    source = np.concatenate([still(4), 255 - still(4)[:, ::-1, ::-1]])
    change = np.where(np.arange(8) % 2, 13, -12)[:, None, None, None]
    noisy = np.clip(source.astype(int) + change, 0, 255).astype(np.uint8)
    write_clip(folder / "source.mp4", source)
    write_clip(folder / "film.mp4", noisy)
    write_clip(folder / "second.mp4", noisy[1:8:2], rate=Fraction(25, 2))
    write_clip(folder / "small.mp4", np.repeat(np.repeat(noisy, 2, 1), 2, 2))
    write_clip(folder / "later.mp4", noisy[5:])
    return folder


def test_a_film_is_measured_beside_its_source_scene_by_scene(films):
    flicker = kd.flicker(films / "film.mp4", source=films / "source.mp4")
    assert [e is None for e in flicker.errors] == [n in (0, 4) for n in range(8)]
    # Neighbours differ by 25 of 255, but for what the codec loses and what is clipped.
    assert flicker.film == pytest.approx((25 / 255) ** 2, rel=0.05)
    assert flicker.source < 0.02 * flicker.film
    assert flicker.starts[5] == Fraction(1, 5)
    own = kd.flicker(films / "source.mp4", source=films / "source.mp4")
    assert own.film == own.source == pytest.approx(flicker.source, rel=1e-6)


def test_frames_belong_together_by_their_time(films):
    source = films / "source.mp4"
    flicker = kd.flicker(films / "second.mp4", source=source, start="0.04")
    assert [e is None for e in flicker.errors] == [True, False, True, False]
    assert flicker.film < 1e-3  # every second frame has the same change
    assert flicker.notices == ("3 of the source's 7 frames are not in the film.",)
    same = kd.flicker(films / "second.mp4", source=source, start=0.04, every=2)
    assert (same.samples, same.notices) == (flicker.samples, ())
    with pytest.raises(InputError, match=r"'later.mp4', whose frame at 0.04s has none"):
        kd.flicker(films / "later.mp4", source=source, start="0.28")


def test_clocks_that_tick_differently_lead_to_the_nearest_frames(tmp_path):
    # In milliseconds, and in those of a clock that rounds down.
    stamps, source = [0, 33, 67, 100, 133, 167], pan(6)
    exact = {"time_base": Fraction(1, 1000), "codec": "ffv1", "pixel_format": "bgr0"}
    write_clip(tmp_path / "source.mkv", source, stamps=stamps, rate=30, **exact)
    second, later = source[::2], [0, 66, 133]
    write_clip(tmp_path / "second.mkv", second, stamps=later, rate=15, **exact)
    flicker = kd.flicker(tmp_path / "second.mkv", source=tmp_path / "source.mkv")
    assert flicker.film == flicker.source is not None  # the very same pixels
    assert flicker.mean_drift < 1e-6


def test_a_source_of_another_size_is_resized(films):
    flicker = kd.flicker(films / "small.mp4", source=films / "source.mp4")
    assert flicker.film == pytest.approx((25 / 255) ** 2, rel=0.05)


def test_a_film_of_other_proportions_is_refused(films, tmp_path):
    write_clip(tmp_path / "wide.mp4", still(8, (40, 64)))
    with pytest.raises(InputError, match="64 × 40 pixels beside 64 × 48"):
        kd.flicker(tmp_path / "wide.mp4", source=films / "source.mp4")
