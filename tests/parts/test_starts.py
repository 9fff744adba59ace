"""Starts and sources: seeded, of the size asked for, and what a dream makes of them."""

import numpy as np
import pytest
from reference import picture

import keras_dream as kd
from keras_dream.errors import PictureError, SettingError
from keras_dream.parts.part import read_part
from keras_dream.parts.starts import STARTS, Flat, Noise, Perlin
from keras_dream.pictures.sources import file_stem, is_source, paint
from keras_dream.recipe.recipe import Recipe

SIZE = (40, 56)


@pytest.mark.parametrize("kind", [Noise, Perlin])
def test_a_seed_makes_an_image(kind):
    one, again, other = (kind().paint(SIZE, seed) for seed in (3, 3, 4))
    assert one.shape == (*SIZE, 3)
    assert one.dtype == np.float32
    assert np.array_equal(one, again)
    assert np.abs(one - other).mean() > 0.02
    assert abs(one.mean() - 0.5) < 0.05
    assert kind(contrast=0.1).paint(SIZE, 3).std() < one.std() / 3


def power_below(image, frequency):
    power = np.abs(np.fft.fft2(image.mean(axis=2) - image.mean())) ** 2
    grid = np.hypot(*np.meshgrid(*map(np.fft.fftfreq, image.shape[1::-1])))
    return power[grid < frequency].sum() / power.sum()


def test_steeper_noise_is_smoother():
    shares = [
        power_below(Noise(steepness=steepness).paint((64, 64), 0), 0.1)
        for steepness in (0.0, 1.0, 2.0)
    ]
    assert shares[0] < 0.1
    assert shares[0] < shares[1] < shares[2]


def test_clouds_are_as_large_as_their_scale():
    large, small = (Perlin(scale=s).paint((128, 128), 0) for s in (0.5, 0.1))
    assert power_below(large, 0.03) > 2 * power_below(small, 0.03)
    assert Perlin(scale=0.001).paint((1, 3), 0).shape == (1, 3, 3)


def test_a_flat_colour():
    image = Flat(color="#4466Aa").paint((2, 3), 0)
    assert (image * 255).round().reshape(-1, 3).tolist() == [[0x44, 0x66, 0xAA]] * 6
    assert read_part("flat(#4466aa)", STARTS, "start") == Flat(color="#4466AA")
    with pytest.raises(SettingError, match=r"A colour must be .* received 'red'"):
        Recipe(start="flat(red)")


@pytest.mark.parametrize(
    ("text", "name", "stem"),
    [
        ("noise:56x40", "noise:56x40", "noise-56x40"),
        ("perlin(0.5):56x40", "perlin(scale=0.5):56x40", "perlin-0.5-56x40"),
        ("flat:#446688:56x40", "flat(color=#446688):56x40", "flat-446688-56x40"),
        ("noise(0):56x40", "noise(steepness=0.0):56x40", "noise-0-56x40"),
    ],
)  # fmt: skip
def test_sources(text, name, stem):
    assert is_source(text)
    made = paint(text, seed=5)
    assert (made.pixels.shape, made.name) == ((*SIZE, 3), name)
    assert file_stem(text) == stem
    assert paint(name, seed=5).sha256 == made.sha256


@pytest.mark.parametrize(
    "text",
    ["noise", "noise:", "noise:640", "noise:0x4", "noise:640x-1", "perlin:99999x99999",
     "flat:#44:5x5", "flat:red:5x5", "noise(loud=1):5x5", "noise(:5x5"],
)  # fmt: skip
def test_sources_that_are_wrong(text):
    assert is_source(text)
    with pytest.raises(SettingError):
        paint(text, seed=0)


@pytest.mark.parametrize("text", ["noise.png", "./noise:5x5", "noisy:5x5", 3])
def test_files_are_no_sources(text):
    assert not is_source(text)


def test_a_dream_without_a_photo(motif):
    """It is recorded by its text, and the seed makes another one."""
    recipe = Recipe(steps=1, octaves=1, seed=2)
    made = kd.Dreamer("motif").dream("noise:56x40", recipe)
    assert made.record.source == "noise:56x40"
    assert made.record.source_sha256 == paint("noise:56x40", seed=2).sha256
    assert made.record.start_sha256 == ""
    assert np.abs(made.image - paint("noise:56x40", seed=2).pixels).mean() < 0.01


@pytest.mark.parametrize("start", ["noise", "perlin", "flat(#204060)"])
def test_a_start_for_a_photo_keeps_its_size_and_the_photo(start, motif):
    photo, dreamer = picture(40, 56), kd.Dreamer("motif")
    made = dreamer.dream(photo, start=start, steps=1, octaves=1, detail="none")
    painted = made.recipe.start.paint((40, 56), 0)
    assert np.abs(made.image - painted).mean() < 0.01
    assert (
        made.record.source_sha256
        == kd.Dreamer("motif").dream(photo).record.source_sha256
    )
    again = dreamer.dream(photo, made.recipe)
    assert np.array_equal(again.image, made.image)
    blended = dreamer.dream(photo, made.recipe.but(blend=0.0))
    np.testing.assert_allclose(blended.image, photo, atol=1e-3)


def test_settings_as_keywords(motif):
    dreamer = kd.Dreamer("motif")
    made = dreamer.dream(picture(40, 56), steps=2, octaves=1, canvas="decorrelated")
    assert (made.recipe.steps, made.record.steps) == (2, 2)
    assert made.recipe.canvas.text == "decorrelated"
    with pytest.raises(SettingError, match="must be one that exists"):
        dreamer.dream(picture(40, 56), step=5)


def test_a_dream_is_shown_in_a_line(motif):
    made = kd.Dreamer("motif").dream(picture(40, 56), steps=1, octaves=1)
    assert repr(made) == "<Dream of an array: 56 × 40 pixels, motif: far, 1 steps>"


def test_a_wholly_transparent_picture_is_refused(motif):
    photo = np.dstack([picture(40, 56), np.zeros((40, 56), np.float32)])
    with pytest.raises(PictureError, match="opaque somewhere"):
        kd.Dreamer("motif").dream(photo)


def test_no_steps_are_said(motif):
    made = kd.Dreamer("motif").dream(picture(40, 56), steps=0)
    assert "No step is made, because `steps` is 0." in made.record.notices


def test_a_preset_of_another_network_is_named():
    with pytest.raises(SettingError, match="preset reef must be dreamed with motif"):
        kd.dream(picture(40, 56), "reef", network="squeezenet")
