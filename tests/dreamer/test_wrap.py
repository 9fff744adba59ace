"""Dreams whose edges belong together: seams, panoramas, photos that do not tile."""

import numpy as np
import pytest
from reference import off, picture

import keras_dream as kd
from keras_dream.errors import SettingError
from keras_dream.geometry import cosines_of_latitude
from keras_dream.parts.canvases import CANVASES
from keras_dream.parts.filters import FILTERS
from keras_dream.parts.part import name_of
from keras_dream.pictures.picture import as_picture
from keras_dream.pictures.seams import FITTING_ROUGHNESS, roughness, seamless

PLAIN = {"filters": (), "transforms": (), "colors": (), "strength": 1.0}
DREAM = kd.Recipe(**PLAIN, steps=6, octaves=2, jitter=0, step_size=0.01)


@pytest.fixture(scope="module")
def dreamer():
    return kd.Dreamer()


def noise(height, width):
    random = np.random.default_rng(5)
    return random.uniform(0.45, 0.55, (height, width, 3)).astype(np.float32)


@pytest.mark.parametrize("wrap", ["both", "horizontal"])
def test_the_seam_is_no_rougher_than_the_inside(wrap, dreamer):
    """Without a jitter, which would hide the network's own edges."""
    image = noise(64, 96)
    dream = dreamer.dream(image, DREAM.but(wrap=wrap)).image
    for axis in (0, 1) if wrap == "both" else (1,):
        lines = np.moveaxis(dream, axis, 0)
        steps = np.abs(lines - np.roll(lines, 1, 0)).mean(axis=(1, 2))
        assert steps[0] < steps[1:].max()
        assert roughness(dream, axis) < 1.5


@pytest.mark.parametrize(
    ("wrap", "canvas"),
    [("horizontal", "pixels"), *(("both", name_of(canvas)) for canvas in CANVASES)],
)
def test_a_shifted_start_makes_the_shifted_dream(wrap, canvas, dreamer):
    """Over every octave; 64 and 32 pixels are multiples of the network's strides."""
    recipe = DREAM.but(wrap=wrap, steps=2, octave_scale=2.0, canvas=canvas)
    image = seamless(picture(64, 64), wrap)
    shift = (32 if wrap == "both" else 0, 32)
    dream = dreamer.dream(image, recipe).image
    shifted = dreamer.dream(np.roll(image, shift, (0, 1)), recipe).image
    assert off(shifted, np.roll(dream, shift, (0, 1))) < 1e-3
    plain = recipe.but(wrap="none")
    dream = dreamer.dream(image, plain).image
    shifted = dreamer.dream(np.roll(image, shift, (0, 1)), plain).image
    assert off(shifted, np.roll(dream, shift, (0, 1))) > 0.03


@pytest.mark.parametrize("kind", FILTERS, ids=name_of)
def test_filters_of_the_gradient_wrap(kind, dreamer):
    recipe = DREAM.but(wrap="both", steps=2, octaves=1, filters=name_of(kind))
    image = seamless(picture(64, 64), "both")
    dream = dreamer.dream(image, recipe).image
    shifted = dreamer.dream(np.roll(image, 32, (0, 1)), recipe).image
    assert off(shifted, np.roll(dream, 32, (0, 1))) < 1e-3


def test_a_panorama_steps_by_the_cosine_of_its_latitude(dreamer):
    image = picture(48, 96)
    recipe = kd.Recipe(
        **PLAIN,
        normalizer="mean_abs",
        optimizer="sgd",
        steps=1,
        octaves=1,
        jitter=0,
        clamp=False,
        wrap="horizontal",
        detail="none",
    )
    image = seamless(image, "horizontal")
    dream = dreamer.dream(image, recipe).image
    _, gradient = dreamer.gradient(image, recipe)
    cosines = cosines_of_latitude(48)[:, None, None]
    assert cosines[0] < 0.04
    assert cosines[23] > 0.999
    mean = (np.abs(gradient) * cosines).mean() / cosines.mean()
    expected = recipe.step_size * gradient * cosines / mean
    assert np.abs(dream - image - expected).max() < 1e-5


@pytest.mark.parametrize("canvas", ["pixels", "decorrelated"])
def test_adam_steps_by_the_cosine_too(canvas, dreamer):
    """It divides by the size of the gradient, and so by what the gradient is given."""
    image = seamless(picture(48, 96), "horizontal")
    recipe = kd.Recipe(
        **PLAIN, optimizer="adam", canvas=canvas, steps=1, octaves=1, jitter=0,
        clamp=False, wrap="horizontal",
    )  # fmt: skip
    moved = np.abs(dreamer.dream(image, recipe).image - image)
    cosines = cosines_of_latitude(48)
    by_row = moved.max(axis=(1, 2)) / cosines
    np.testing.assert_allclose(by_row, by_row.mean(), rtol=0.05)


def test_edges_of_a_photo_are_made_to_fit():
    down, right = np.mgrid[:60, :80] / 80
    photo = np.stack([down, right, down * right], axis=-1).astype(np.float32)
    assert min(roughness(photo, 0), roughness(photo, 1)) > 10
    tile = seamless(photo, "both")
    assert max(roughness(tile, 0), roughness(tile, 1)) < FITTING_ROUGHNESS
    assert off(tile[20:40, 25:55], photo[20:40, 25:55]) < 0.05
    assert np.array_equal(seamless(tile, "both"), tile)  # edges that fit are kept
    assert np.array_equal(seamless(photo, "none"), photo)
    ring = seamless(photo, "horizontal")
    assert roughness(ring, 1) < FITTING_ROUGHNESS < roughness(ring, 0)


def test_a_photo_that_had_to_be_made_to_fit_is_noticed(dreamer):
    recipe = DREAM.but(wrap="both", steps=0)
    down = np.broadcast_to(
        np.linspace(0, 1, 64, dtype=np.float32)[:, None, None], (64, 64, 3)
    )
    dream = dreamer.dream(down, recipe)
    assert roughness(dream.image, 0) < FITTING_ROUGHNESS
    assert "edges do not fit" in " ".join(dream.record.notices)
    assert dream.record.source_sha256 == as_picture(down).sha256
    fitting = dreamer.dream(noise(64, 64), recipe).record.notices
    assert not any("edges do not fit" in notice for notice in fitting)


def test_a_border_is_refused():
    with pytest.raises(SettingError, match="no border; received wrap=both with bord"):
        kd.Recipe(wrap="both", border=2)
