import numpy as np
import pytest
from clips import moving_square, pan, still, turned

from keras_dream.video.flow import alike, flow, grey, two_way, visible, warp


def images(frames):
    return frames.astype(np.float32) / 255


def inner(values, margin):
    return values[margin:-margin, margin:-margin]


def places(size):
    return np.stack(np.mgrid[: size[0], : size[1]], -1).astype(np.float64)


@pytest.mark.parametrize("step", [(0, 0), (1, 2), (-2, 1), (0, -5)])
def test_flow_of_a_pan(step):
    a, b = images(pan(2, step=step))
    error = flow(a, b, size=512) + np.array(step)
    assert np.abs(inner(error, 8)).max() < 0.25


def test_flow_of_a_camera_that_turns_and_zooms():
    size, degrees, zoom = (72, 96), 2.0, 1.03
    a, b = images(turned(2, size, degrees=degrees, zoom=zoom))
    angle, centre = (
        np.deg2rad(degrees),
        np.array([(size[0] - 1) / 2, (size[1] - 1) / 2]),
    )
    turn = zoom * np.array(
        [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    )
    at = places(size) - centre
    known = at @ turn.T - at
    error = flow(a, b, size=512) - known
    assert np.abs(inner(error, 10)).max() < 0.5


def test_warp_follows_the_flow():
    a, b = images(pan(2, step=(1, 2)))
    back = flow(b, a, size=512)
    assert np.abs(inner(warp(a, back) - b, 8)).max() < 0.02
    assert np.array_equal(warp(a, np.zeros((*a.shape[:2], 2), np.float32)), a)


def test_a_moving_square_releases_what_it_uncovers():
    a, b = moving_square(2, step=(0, 6))
    flows = two_way(*(grey(image / np.float32(255), size=512) for image in (a, b)))
    seen = visible(flows.back, flows.forth)
    uncovered = seen[16:32, 8:14]
    assert uncovered.mean() < 0.2
    away = np.ones(seen.shape, bool)
    away[10:38, 2:36] = False
    assert seen[away].mean() > 0.97


def test_a_clear_sky_is_seen_wherever_its_flow_leads():
    """A flat part has no motion of its own: flows there are guesses."""
    frames = pan(2, (96, 128), step=(0, 6)).astype(np.float32)
    frames[:, :48] = 140 + np.linspace(0, 12, 48)[:, None, None]
    noise = np.random.default_rng(1).normal(0, 1, frames.shape)
    a, b = (grey(i, size=512) for i in (frames + noise).astype(np.float32) / 255)
    flows = two_way(a, b)
    inside = (slice(0, 40), slice(0, 116))
    assert visible(flows.back, flows.forth)[inside].mean() < 0.9
    same = alike(a, b, flows.back)
    assert visible(flows.back, flows.forth, same=same)[inside].mean() > 0.97
    # What a square uncovers is not alike.
    a, b = (grey(i, size=512) for i in images(moving_square(2, step=(0, 6))))
    flows = two_way(a, b)
    seen = visible(flows.back, flows.forth, same=alike(a, b, flows.back))
    assert seen[16:32, 8:14].mean() < 0.2


def test_everything_of_a_still_is_visible():
    a, b = images(still(2))
    flows = two_way(grey(a, size=512), grey(b, size=512))
    assert np.abs(flows.back).max() < 0.01
    assert visible(flows.back, flows.forth).min() == 1
