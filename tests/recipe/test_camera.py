"""The settings of a camera: what they read, what they refuse, and how many frames."""

from fractions import Fraction

import pytest

from keras_dream.errors import SettingError
from keras_dream.recipe.camera import CameraSettings
from keras_dream.recipe.recipe import Recipe


@pytest.mark.parametrize("value", ["0.4,0.6", "0.4, 0.6", [0.4, 0.6], (0.4, 0.6)])
def test_a_centre_is_two_numbers(value):
    assert CameraSettings(center=value).center == (0.4, 0.6)


@pytest.mark.parametrize(
    "value", ["0.4", "0.4,0.6,1", "a,b", "nan,0", "inf,0", None, 0.5, [[1], 2], "11,0"]
)
def test_what_is_no_place_is_refused(value):
    with pytest.raises(SettingError, match="two numbers from -10 to 10"):
        CameraSettings.of({"center": value})


@pytest.mark.parametrize(
    ("fps", "exact"),
    [
        (25, Fraction(25)),
        (12.5, Fraction(25, 2)),
        (29.97, Fraction(30000, 1001)),
        (23.976, Fraction(24000, 1001)),
        (0.5, Fraction(1, 2)),
    ],
)
def test_frames_a_second_are_exact(fps, exact):
    camera = CameraSettings(fps=fps, seconds=10)
    assert camera.frame_rate == exact
    assert camera.frames == round(10 * exact)


def test_a_film_has_a_frame():
    assert CameraSettings(seconds=0.001).frames == 1


def test_a_camera_is_part_of_a_recipe_and_of_its_hash():
    recipe = Recipe(camera=CameraSettings(rate=1.05, center="0.4,0.6"))
    assert Recipe.read(recipe.json_text()) == recipe
    assert recipe.sha256 != Recipe().sha256
    assert Recipe(camera=None).sha256 == Recipe().sha256
