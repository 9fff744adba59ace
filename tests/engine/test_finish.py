"""Finishing a dream: strength, size, blend, original colours and detail."""

import numpy as np
import pytest

import keras_dream as kd
from keras_dream.engine.finish import Unfinished, at_size, blended, finish
from keras_dream.errors import SettingError
from keras_dream.geometry import fitted, resample
from keras_dream.parts import colorspaces as spaces
from keras_dream.pictures.picture import Picture, to_uint8
from keras_dream.recipe.files import Files

RANDOM = np.random.default_rng(4)
PHOTO = (RANDOM.integers(0, 256, (40, 60, 3)) / np.float32(255)).astype(np.float32)


def smooth(seed, size=(40, 60)):
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    waves = [np.sin(x / 9 + seed), np.cos(y / 7), np.sin((x + y) / 11 + seed)]
    return (np.stack(waves, -1) / 2.2 + 0.5).astype(np.float32)


def finished(image, photo=PHOTO, **settings):
    recipe = kd.Recipe(**settings)
    source = Picture(photo)
    original = at_size(source, recipe)
    result = finish(
        Unfinished(image), recipe, photo=source, original=original, files=Files()
    )
    return result.pixels


@pytest.fixture
def dreamer(motif):
    return kd.Dreamer("motif")


SHORT = {"octaves": 2, "steps": 2, "jitter": 2, "step_size": 0.02}


def test_what_is_not_asked_for_costs_nothing():
    image = smooth(1)
    assert finished(image) is image


def test_a_blend_of_nothing_is_the_photo_and_of_all_the_dream():
    image = smooth(1) * 1.1 - 0.05  # an ascent without a clamp leaves [0, 1]
    assert np.array_equal(finished(image, blend=0), PHOTO)
    assert np.array_equal(finished(image, blend=1), image)


def test_a_blend_is_in_linear_light():
    black, white = np.zeros((1, 1, 3), np.float32), np.ones((1, 1, 3), np.float32)
    # Half the light of white is 188 of 255 in sRGB, not 128.
    half = finished(white, black, blend=0.5)
    assert to_uint8(half)[0, 0].tolist() == [188] * 3


def test_a_blend_mask_leaves_the_photo_where_it_is_black():
    half = {"blend_mask": "box(0%, 0%, 50%, 100%)", "keep_colors": True}
    result = finished(smooth(1), **half)
    assert np.array_equal(result[:, 30:], PHOTO[:, 30:])
    whole = finished(smooth(1), keep_colors=True)
    assert np.array_equal(result[:, :30], whole[:, :30])


def test_a_blend_by_a_map_is_exact_at_its_ends():
    share = np.zeros((40, 60, 1), np.float32)
    share[:, 30:] = 1
    mixed = blended(PHOTO, smooth(1), share)
    assert np.array_equal(mixed[:, :30], PHOTO[:, :30])
    assert np.array_equal(mixed[:, 30:], smooth(1)[:, 30:])


@pytest.mark.parametrize(
    "settings", [{}, {"blend": 0.4}, {"colors": "chroma(2)"}, {"keep_detail": 0.5}]
)
def test_kept_colours_are_within_a_grey_level_after_rounding(settings):
    image = RANDOM.random((40, 60, 3)).astype(np.float32) * 1.4 - 0.2
    result = finished(image, keep_colors=True, **settings)
    saved = to_uint8(result) / np.float32(255)
    away = np.abs(spaces.chroma(saved) - spaces.chroma(PHOTO))
    assert away.max() <= 1 / 255
    # And light and shade are the dream's, where a colour has room for them.
    calm = finished(smooth(2) * 0.2 + 0.4, smooth(1) * 0.1 + 0.45, keep_colors=True)
    np.testing.assert_allclose(
        spaces.luma(calm), spaces.luma(smooth(2) * 0.2 + 0.4), atol=1e-5
    )


def test_kept_detail_is_the_photos():
    image = np.clip(smooth(1) + RANDOM.normal(0, 0.1, PHOTO.shape), 0, 1)
    image = image.astype(np.float32)

    def fine(values):
        return values - resample(resample(values, (10, 15)), (40, 60))

    before = np.abs(fine(image) - fine(PHOTO)).mean()
    after = np.abs(fine(finished(image, keep_detail=1)) - fine(PHOTO)).mean()
    assert after < before / 3
    half = finished(image, keep_detail=0.5)
    np.testing.assert_allclose(
        half, (image + finished(image, keep_detail=1)) / 2, atol=1e-6
    )


def test_strength_multiplies_every_step(dreamer):
    recipe = kd.Recipe(**SHORT).but(octaves=1, steps=1, clamp=False)
    photo = smooth(3)
    change = dreamer.dream(photo, recipe).image - photo
    double = dreamer.dream(photo, recipe.but(strength=2)).image - photo
    assert np.abs(change).max() > 0.01
    np.testing.assert_allclose(double, 2 * change, atol=1e-6)


@pytest.mark.parametrize(
    ("size", "longest", "found"),
    [((40, 60), 30, (20, 30)), ((40, 60), 90, (60, 90)), ((60, 40), 60, (60, 40)),
     ((3, 1000), 10, (1, 10)), ((40, 60), None, (40, 60))],
)  # fmt: skip
def test_sizes_keep_their_proportions(size, longest, found):
    assert fitted(size, longest) == found
    assert fitted(found, longest) == found


def test_a_host_resampling_is_that_of_the_backends(backend):
    from keras_dream.geometry import taps

    image = smooth(5)
    rows, columns = taps(40, 23, "lanczos3"), taps(60, 71, "lanczos3")
    other = backend.to_image(backend.resample(backend.image(image), rows, columns))
    np.testing.assert_allclose(resample(image, (23, 71)), other, atol=1e-5)


def test_a_size_is_that_of_the_result(dreamer):
    recipe = kd.Recipe(**SHORT, size=48)
    dream = dreamer.dream(np.dstack([smooth(1), PHOTO[..., 0]]), recipe)
    assert dream.image.shape == (32, 48, 3)
    assert dream.alpha.shape == (32, 48)
    assert dream.record.size == (40, 60)
    small = resample(smooth(1), (32, 48)).clip(0, 1)
    same = dreamer.dream(small, recipe.but(size=None)).image
    assert np.array_equal(dream.image, same)
    run = dreamer.steps(smooth(1), recipe)
    assert max(max(step.size) for step in run) == 48


def test_full_size_puts_the_difference_on_the_photo(dreamer):
    photo = np.clip(smooth(1) + RANDOM.normal(0, 0.1, (40, 60, 3)), 0, 1)
    photo = photo.astype(np.float32)
    recipe = kd.Recipe(**SHORT, size=30, full_size=True)
    dream = dreamer.dream(photo, recipe).image
    assert dream.shape == photo.shape
    small = dreamer.dream(photo, recipe.but(full_size=False)).image
    change = small - resample(photo, (20, 30)).clip(0, 1)
    np.testing.assert_allclose(dream - photo, resample(change, (40, 60)), atol=1e-6)
    assert np.abs(dream - photo).max() > 0.02
    # The photo's fine detail is there, which the small dream has lost.
    undreamed = dreamer.dream(photo, recipe.but(steps=0)).image
    np.testing.assert_allclose(undreamed, photo, atol=1e-6)


def test_a_step_is_finished_as_its_dream_is(dreamer):
    recipe = kd.Recipe(**SHORT, keep_colors=True, size=50)
    run = dreamer.steps(smooth(1), recipe)
    *_, last = [step.dream.image for step in run]
    assert np.array_equal(last, run.dream.image)


def test_there_are_no_more_strengths_than_octaves(dreamer):
    recipe = kd.Recipe(**SHORT, octave_strengths="1, 1, 2")
    with pytest.raises(SettingError, match="one number for each octave"):
        dreamer.steps(smooth(1), recipe)


def test_an_octave_without_strength_leaves_the_others(dreamer):
    photo = smooth(1)
    recipe = kd.Recipe(**SHORT)
    whole = dreamer.dream(photo, recipe, keep_octaves=True)
    first, second = (
        dreamer.dream(photo, recipe.but(octave_strengths=text)).image - photo
        for text in ("1, 0", "0, 1")
    )
    np.testing.assert_allclose(first + second, whole.image - photo, atol=5e-4)
    for number, change in enumerate((first, second), 1):
        assert np.abs(change).max() > 0.01
        added = whole.unfinished.octaves[number].astype(np.float32)
        np.testing.assert_allclose(change, added, atol=5e-4)
    ones = dreamer.dream(photo, recipe.but(octave_strengths="1, 1")).image
    assert np.array_equal(ones, whole.image)


@pytest.mark.backends
@pytest.mark.parametrize("detail", ["before", "after"])
@pytest.mark.parametrize("above", [0, 1])
def test_the_photo_and_what_octaves_added_are_the_dream(dreamer, detail, above):
    photo = smooth(1)
    recipe = kd.Recipe(**SHORT, detail=detail, octaves_above=above, resampling="linear")
    dream = dreamer.dream(photo, recipe, keep_octaves=True)
    added = sum(a.astype(np.float32) for a in dream.unfinished.octaves.values())
    assert len(dream.unfinished.octaves) == 2 + above
    total = photo + added
    if above:  # whose own size is not the photo's
        total = total - photo + resampled_there_and_back(photo, dream)
    np.testing.assert_allclose(total, dream.unfinished.image, atol=5e-4)


def resampled_there_and_back(photo, dream):
    """What the recipe's resampling leaves of a photo that goes up and comes back."""
    undreamed = kd.Dreamer("motif").dream(photo, dream.recipe.but(steps=0))
    return undreamed.image


@pytest.mark.parametrize(
    "text", ["1, x", "99", "1,,2", "nan", [1, None], {"a": 1}, ["1", "11"]]
)
def test_strengths_are_numbers(text):
    with pytest.raises(SettingError, match="octave_strengths"):
        kd.Recipe(octave_strengths=text)
