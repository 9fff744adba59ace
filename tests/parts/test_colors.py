"""Colour treatments do what they say, to pictures and to their figures."""

import numpy as np
import pytest

import keras_dream as kd
from keras_dream.errors import SettingError
from keras_dream.parts import colorspaces as spaces
from keras_dream.parts.colors import COLORS, blurred
from keras_dream.parts.part import name_of, read_chain


def picture(seed, *, low=0.1, high=0.9, size=(32, 48)):
    """Smooth colours with some noise, float32 in [low, high]."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    waves = [np.sin(x / 7 + seed), np.cos(y / 5 + seed), np.sin((x + y) / 9)]
    values = np.stack(waves, axis=-1) + random.normal(0, 0.2, (*size, 3))
    values -= values.min()
    return (low + (high - low) * values / values.max()).astype(np.float32)


ORIGINAL, DREAM = picture(0, low=0.2, high=0.7), picture(1, low=0.05, high=1)
GUIDE = picture(5, low=0, high=1) * np.array([1, 0.6, 0.3], np.float32)


def treated(text, dream=DREAM, original=ORIGINAL):
    for part in read_chain(text, COLORS, "colors"):
        dream = part(original, dream, picture=lambda _: GUIDE)
    return dream


def clipped(image):
    return np.mean((image <= 0.5 / 255) | (image >= 254.5 / 255))


def every():
    names = [name_of(kind) for kind in COLORS]
    return [f"{name}(guide.png)" if name == "palette" else name for name in names]


@pytest.mark.parametrize("text", every())
def test_every_treatment_gives_a_new_image_in_range(text):
    before = DREAM.copy(), ORIGINAL.copy()
    image = treated(text)
    assert image.dtype == np.float32
    assert image.shape == DREAM.shape
    assert image.min() >= 0
    assert image.max() <= 1
    assert np.array_equal(DREAM, before[0])
    assert np.array_equal(ORIGINAL, before[1])
    assert not np.array_equal(image, DREAM)


@pytest.mark.parametrize("text", every())
@pytest.mark.parametrize("value", [0, 0.5, 1])
def test_flat_pictures_stay_finite(text, value):
    flat = np.full((32, 48, 3), value, np.float32)
    for original in (flat, ORIGINAL):
        image = treated(text, dream=flat, original=original)
        assert np.isfinite(image).all()
        assert image.min() >= 0
        assert image.max() <= 1


def test_oklab_is_the_published_one():
    # Ottosson's page: CIE XYZ of D65 white is (1, 0, 0).
    white = spaces.to_oklab(np.ones((1, 1, 3), np.float32))
    np.testing.assert_allclose(white[0, 0], [1, 0, 0], atol=1e-6)
    # sRGB blue, as in CSS Color 4's examples: oklch(45.2% 0.313 264.1deg).
    blue = spaces.to_oklab(np.array([[[0, 0, 1]]], np.float32))[0, 0]
    np.testing.assert_allclose(blue[0], 0.452, atol=1e-3)
    np.testing.assert_allclose(np.hypot(blue[1], blue[2]), 0.313, atol=1e-3)
    back = spaces.from_oklab(spaces.to_oklab(DREAM))
    np.testing.assert_allclose(back, DREAM, atol=2e-5)


def test_a_gain_raises_the_chroma_and_leaves_lightness():
    mild = picture(3, low=0.48, high=0.52)
    image = treated("chroma(1.5)", dream=mild)
    ratio = spaces.colorfulness(image).mean() / spaces.colorfulness(mild).mean()
    assert ratio == pytest.approx(1.5, rel=0.05)
    lightness = [spaces.to_oklab(x)[..., 0] for x in (image, mild)]
    np.testing.assert_allclose(*lightness, atol=0.01)
    assert spaces.colorfulness(treated("chroma(0)")).max() < 1e-3


def test_a_gain_clips_hardly_a_colour():
    image = treated("chroma(2)")
    before, after = (spaces.colorfulness(x).mean() for x in (DREAM, image))
    assert after > 1.15 * before
    assert clipped(image) < clipped(DREAM) + 0.05


def test_no_chroma_is_above_the_limit():
    image = treated("chroma_limit(0.08)")
    assert spaces.colorfulness(DREAM).max() > 0.15
    assert spaces.colorfulness(image).max() <= 0.08 + 1e-4
    pale = picture(3, low=0.48, high=0.52)
    np.testing.assert_allclose(
        treated("chroma_limit(0.2)", dream=pale), pale, atol=1e-4
    )


def test_fringes_go_and_light_and_shade_stay():
    edge = np.full((32, 48, 3), 0.3, np.float32)
    edge[:, 24:] = 0.8
    fringed = edge.copy()
    fringed[:, 23] += (0.15, -0.1, -0.1)
    fringed[:, 24] += (-0.1, -0.1, 0.15)
    image = treated("defringe(4)", dream=fringed, original=edge)
    before, after = (spaces.colorfulness(x).max() for x in (fringed, image))
    assert after < before / 4
    lightness = [spaces.to_oklab(x)[..., 0] for x in (image, fringed)]
    np.testing.assert_allclose(*lightness, atol=0.01)


def test_the_contrast_is_the_originals():
    image = treated("contrast_lock")
    wanted, had, found = (spaces.luma(x) for x in (ORIGINAL, DREAM, image))
    assert abs(had.std() - wanted.std()) > 0.02
    assert found.mean() == pytest.approx(wanted.mean(), abs=2e-3)
    assert found.std() == pytest.approx(wanted.std(), abs=2e-3)


def test_the_local_contrast_keeps_plain_parts_plain():
    half = ORIGINAL.copy()
    half[:, :24] = 0.5
    image = treated("contrast_lock(3)", original=half)
    plain = spaces.luma(image)[:, :14]
    assert plain.std() < 0.01
    assert spaces.luma(DREAM)[:, :14].std() > 0.05
    # In the other half the dream is left.
    assert spaces.luma(image)[:, 34:].std() > 0.05


def distance(image, other):
    """The largest distance between the cumulative histograms of a channel."""
    levels = np.linspace(0, 1, 101)
    ranks = [[np.searchsorted(np.sort(x[..., c].ravel()), levels) for c in range(3)]
             for x in (image, other)]  # fmt: skip
    return np.abs(np.subtract(*ranks)).max() / image[..., 0].size


def test_histograms_become_the_originals():
    assert distance(DREAM, ORIGINAL) > 0.1
    assert distance(treated("histogram"), ORIGINAL) < 0.01
    same = treated("histogram", dream=ORIGINAL)
    np.testing.assert_allclose(same, ORIGINAL, atol=1e-3)


def test_soft_clipping_takes_clipped_pixels_back():
    hard = np.clip(DREAM * 2 - 0.5, 0, 1)
    assert clipped(hard) > 0.05
    assert clipped(treated("soft_clip", dream=hard)) == 0
    near = ORIGINAL + 0.02
    np.testing.assert_allclose(treated("soft_clip", dream=near), near, atol=1e-4)


def test_decorrelated_colours_are():
    def correlation(image):
        matrix = np.corrcoef(image.reshape(-1, 3).T)
        return np.abs(matrix - np.eye(3)).max()

    alike = 0.5 + (DREAM.mean(-1, keepdims=True) - 0.5) * 0.4 + (DREAM - 0.5) * 0.05
    assert correlation(alike) > 0.9
    image = treated("decorrelate(1)", dream=alike.astype(np.float32))
    assert correlation(image) < 0.2
    assert spaces.luma(image).std() == pytest.approx(spaces.luma(alike).std(), rel=0.1)
    assert clipped(treated("decorrelate(1)")) < 0.02
    same = treated("decorrelate(0)", dream=alike.astype(np.float32))
    np.testing.assert_allclose(same, alike, atol=1e-4)


def test_a_blur_has_the_deviation_that_it_says():
    point = np.zeros((65, 65, 1), np.float32)
    point[32, 32] = 1
    spread = blurred(point, 4)[..., 0]
    rows = np.arange(65) - 32
    assert spread.sum() == pytest.approx(1, abs=1e-4)
    assert np.sqrt((spread.sum(1) * rows**2).sum()) == pytest.approx(4, abs=0.2)


def test_chroma_is_kept_where_the_luma_has_no_room():
    vivid = np.array([[[1, 0, 0], [0, 0, 1], [0.9, 1, 0.1]]], np.float32)
    for y in (0, 0.3, 1):
        image = spaces.with_luma(vivid, np.full((1, 3), y, np.float32))
        np.testing.assert_allclose(
            spaces.chroma(image), spaces.chroma(vivid), atol=1e-6
        )


def test_a_chain_is_read_from_text_and_written_back():
    recipe = kd.Recipe(colors="soft_clip + chroma(2)")
    assert [name_of(type(part)) for part in recipe.colors] == ["soft_clip", "chroma"]
    assert kd.Recipe.read(recipe.json_text()) == recipe
    with pytest.raises(SettingError, match="chroma"):
        kd.Recipe(colors="chrom(2)")
