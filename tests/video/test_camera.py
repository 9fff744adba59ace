"""The camera's step: it is the affine map that was asked for, without black edges."""

import math

import numpy as np
import pytest

from keras_dream.recipe.camera import CameraSettings
from keras_dream.video.camera import Mirror, move, moved

SIZE = (48, 64)


def texture(down, across):
    """Smooth at places that may lie between pixels: three channels."""
    waves = [
        np.sin(down / 5 + 1) + np.cos(across / 7),
        np.sin(across / 4 - down / 9),
        np.cos(down / 6) * np.sin(across / 8 + 2),
    ]
    return (0.5 + 0.2 * np.stack(waves, axis=-1)).astype(np.float32)


def before(place, *, rate=1.0, center=(0.5, 0.5), rotate=0.0, shift=(0.0, 0.0)):
    """Where (across, down) of a frame was, in words other than the code's."""
    x, y = place
    height, width = SIZE
    x, y = x - shift[0] * width, y - shift[1] * height
    cx, cy = center[0] * width - 0.5, center[1] * height - 0.5
    # Counter-clockwise on a screen, whose y goes down.
    turn = complex(x - cx, -(y - cy)) * np.exp(-1j * math.radians(rotate)) / rate
    return turn.real + cx, -turn.imag + cy


@pytest.mark.parametrize(
    "steps",
    [
        {"rate": 1.02},
        {"rate": 1.1, "center": (0.4, 0.6)},
        {"rate": 0.97, "center": (0.3, 0.2), "rotate": 3.0},
        {"rate": 1.0, "rotate": 90.0},
        {"rate": 1.03, "rotate": -0.2, "shift": (0.03, -0.05), "center": (0.9, 0.1)},
    ],
)
def test_a_step_is_the_map_that_was_asked_for(steps):
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    result = moved(texture(rows, columns), move(CameraSettings(**steps), SIZE))
    places = [[before((x, y), **steps) for x in range(SIZE[1])] for y in range(SIZE[0])]
    x, y = np.moveaxis(np.array(places), -1, 0)
    inside = (x > 4) & (x < SIZE[1] - 5) & (y > 4) & (y < SIZE[0] - 5)
    assert inside.mean() > 0.4
    error = np.abs(result - texture(y, x))[inside].max()
    least = np.abs(texture(y, x + 0.05) - texture(y, x))[inside].max()
    assert error < least  # for a twentieth of a pixel


def test_no_step_changes_no_value():
    image = np.random.default_rng(0).random((*SIZE, 3), dtype=np.float32)
    assert np.array_equal(moved(image, move(CameraSettings(rate=1), SIZE)), image)


def test_what_comes_into_sight_is_the_mirror_image():
    image = np.random.default_rng(0).random((*SIZE, 3), dtype=np.float32)
    shift = CameraSettings(rate=1, shift=(4 / SIZE[1], 3 / SIZE[0]))
    result = moved(image, move(shift, SIZE))
    assert np.allclose(result[3:, 4:], image[:-3, :-4], atol=1e-6)
    assert np.allclose(result[:3, 4:], image[2::-1, :-4], atol=1e-6)
    assert np.allclose(result[3:, :4], image[:-3, 3::-1], atol=1e-6)
    around = moved(image, move(shift, SIZE), wrap="both")
    assert np.allclose(around, np.roll(image, (3, 4), (0, 1)), atol=1e-6)


@pytest.mark.parametrize(
    "steps",
    [
        {"rate": 0.97},
        {"rate": 1, "shift": (0.03, 0)},
        {"rate": 0.97, "rotate": 0.4},
    ],
)
def test_a_camera_sees_the_whole_picture_mirrored_and_no_streaks(steps):
    height, width = SIZE
    rows, columns = np.mgrid[:height, :width]
    image, mirror = texture(rows, columns), Mirror.around(SIZE)
    x, y = columns.astype(float), rows.astype(float)
    for _ in range(10):
        by = move(CameraSettings(**steps), SIZE)
        image, mirror = moved(image, by, mirror=mirror), mirror.after(by, SIZE)
        (a, b), (c, d) = by.matrix
        y, x = a * y + b * x + by.offset[0], c * y + d * x + by.offset[1]
    seen = np.abs(y + 0.5) - 0.5, np.abs(x + 0.5) - 0.5  # two of the four edges
    new = (x < -0.5) & (seen[0] < height - 1) & (seen[1] < width - 1)
    assert new.mean() > 0.05
    assert np.abs(image - texture(*seen))[new].mean() < 0.01


def test_a_mirror_stays_exact_through_a_long_zoom():
    mirror = Mirror.around(SIZE)
    for _ in range(2000):
        mirror = mirror.after(move(CameraSettings(rate=1.02), SIZE), SIZE)
    whole = Mirror.around(SIZE).corners
    assert np.allclose(mirror.corners, whole, atol=1e-9)


@pytest.mark.parametrize("turn", [0, 1.5])
def test_a_mirror_never_leaves_the_frame(turn):
    mirror = Mirror.around(SIZE)
    for rate in (1.1, 0.9, 0.9, 1.3, 0.8, 0.7, 0.7):
        by = move(CameraSettings(rate=rate, rotate=turn), SIZE)
        mirror = mirror.after(by, SIZE)
        assert (mirror.corners > -0.51).all()
        assert (mirror.corners < np.array(SIZE) - 0.49).all()
        assert np.ptp(mirror.corners, axis=0).min() > SIZE[0] / 2 - 0.01


def test_a_camera_that_goes_back_does_not_alias():
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    checks = np.repeat(((rows + columns) % 2)[..., None], 3, axis=2).astype(np.float32)
    for rotate in (0.0, 7.0):
        back = move(CameraSettings(rate=0.5, rotate=rotate), SIZE)
        assert np.abs(moved(checks, back)[14:-14, 18:-18] - 0.5).max() < 0.05
