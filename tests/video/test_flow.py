import numpy as np
import pytest
from clips import hard_cut, moving_square, pan, still, texture, turned

from keras_dream.video.flow import Flows, alike, flow, grey, two_way, visible, warp

# The half pixel that is asked for, away from borders and occlusions.
HALF = 0.5


def images(frames):
    return frames.astype(np.float32) / 255


def flows_of(a, b, size=640):
    return two_way(grey(a, size=size), grey(b, size=size))


def seen_in_both(a, b):
    """Returns which pixels of b are seen in a."""
    flows = flows_of(a, b)
    return visible(flows.back, flows.forth)


def turn_of(size, degrees, zoom):
    """Returns the flow that `turned` documents."""
    angle, centre = np.deg2rad(degrees), (np.array(size) - 1) / 2
    turn = zoom * np.array(
        [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    )
    at = np.stack(np.mgrid[: size[0], : size[1]], -1) - centre
    return at @ turn.T - at


def greatest_error(own, known):
    """Returns it away from the borders, where what is there stays in the frame."""
    size = own.shape[:2]
    there = np.stack(np.mgrid[: size[0], : size[1]], -1) + known
    counts = ((there >= 1) & (there <= np.array(size) - 2)).all(-1)
    margin = max(1, min(size) // 8)
    counts[:margin] = counts[-margin:] = False
    counts[:, :margin] = counts[:, -margin:] = False
    return np.linalg.norm(own - known, axis=-1)[counts].max()


@pytest.mark.parametrize("size", [(16, 16), (17, 33), (48, 64), (95, 127)])
@pytest.mark.parametrize("step", [(0, 0), (1, 2), (-2, 1), (0, -3)])
def test_flow_of_a_pan(size, step):
    a, b = images(pan(2, size, step=step))
    own = flow(a, b, size=640)
    assert greatest_error(own, np.broadcast_to(-np.array(step), own.shape)) < HALF


@pytest.mark.parametrize("flow_size", [640, 300])
def test_flow_of_a_large_pan_at_full_and_at_less_resolution(flow_size):
    size = (360, 640)
    large = np.repeat(np.repeat(texture((92, 162)), 4, 0), 4, 1)
    a, b = images(np.stack([large[3:363, :640], large[6:366, 5:645]]))
    own = flow(a, b, size=flow_size)
    assert own.shape == (*size, 2)
    error = np.linalg.norm(own + np.array([3, 5]), axis=-1)
    assert np.quantile(error[30:-30, 30:-30], 0.999) < HALF


@pytest.mark.parametrize(
    ("size", "degrees", "zoom"),
    [
        ((24, 24), 2, 1.03),
        ((48, 64), -3, 0.95),
        ((72, 96), 2, 1.03),
        ((180, 320), -3, 0.95),
    ],
)
def test_flow_of_a_camera_that_turns_and_zooms(size, degrees, zoom):
    a, b = images(turned(2, size, degrees=degrees, zoom=zoom))
    known = turn_of(size, degrees, zoom)
    assert greatest_error(flow(a, b, size=640), known) < HALF


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (2, 2), (3, 70), (64, 64)])
def test_flow_of_frames_that_say_nothing(size):
    flat, noise = np.zeros((*size, 3), np.float32), np.random.default_rng(0)
    frames = [flat, flat + 1, noise.random((*size, 3), np.float32), texture(size) / 255]
    for a in frames:
        for b in frames:
            own = flow(a.astype(np.float32), b.astype(np.float32), size=640)
            assert own.shape == (*size, 2)
            assert np.isfinite(own).all()
            assert np.abs(own).max() < max(size)
    assert np.array_equal(flow(flat, flat + 1, size=640), np.zeros((*size, 2)))


@pytest.mark.parametrize("share", [0.8, 0.5])
def test_a_change_of_exposure_is_no_motion(share):
    ramp = np.linspace(0, 1, 64, dtype=np.float32)
    for frame in (images(texture()), np.stack([np.stack([ramp] * 48)] * 3, -1)):
        assert np.abs(flow(frame, share * frame, size=640)).max() < 0.1


def test_warp_follows_the_flow():
    a, b = images(pan(2, step=(1, 2)))
    back = flow(b, a, size=640)
    assert np.abs(warp(a, back) - b)[8:-8, 8:-8].max() < 0.02
    assert np.array_equal(warp(a, np.zeros((*a.shape[:2], 2), np.float32)), a)


def test_a_moved_detail_stays_sharp():
    image = images(texture())
    there = np.full((*image.shape[:2], 2), 0.5, np.float32)
    moved = image
    for _ in range(3):
        moved = warp(warp(moved, there), -there)
    ripples = [np.diff(x[8:-8, 8:-8], 2, axis=1).std() for x in (image, moved)]
    assert 0.9 < ripples[1] / ripples[0] < 1.01


def test_everything_of_a_still_is_visible():
    a, b = images(still(2))
    flows = flows_of(a, b)
    assert np.abs(flows.back).max() < 0.01
    assert visible(flows.back, flows.forth).min() == 1


@pytest.mark.parametrize("step", [4, 8])
def test_a_moving_square_releases_what_it_uncovers(step):
    size, at, side = (120, 160), (40, 30), 40
    frames = moving_square(2, size, step=(0, step), side=side, at=at)
    seen = seen_in_both(*images(frames))
    assert seen[40:80, 30 : 30 + step].mean() < 0.1
    away = np.ones(size, bool)
    away[40:80, 30 : 70 + step] = False
    assert seen[away].mean() > 0.93
    assert seen[50:70, 45 + step : 60 + step].mean() > 0.9


def test_what_comes_from_outside_is_released():
    seen = seen_in_both(*images(pan(2, step=(0, 6))))
    assert seen[:, -5:].max() == 0
    assert seen[8:-8, 8:-12].min() > 0.9


def test_motion_beyond_the_reach_of_the_flow_is_released():
    assert seen_in_both(*images(pan(2, step=(0, 40)))).mean() < 0.2
    frames = images(hard_cut(4, at=2))
    assert seen_in_both(frames[1], frames[2]).mean() < 0.2


def test_a_camera_that_turns_and_zooms_makes_no_boundaries():
    a, b = images(turned(2, (72, 96), degrees=2, zoom=1.05))
    assert seen_in_both(a, b)[12:-12, 16:-16].min() > 0.9


def test_a_flow_that_does_not_lead_back_is_not_trusted():
    back = np.zeros((40, 40, 2), np.float32)
    back[..., 1] = 2
    forth = -back
    assert visible(back, forth)[8:-8, 8:-8].min() == 1
    forth[10:20, 10:20] = 0
    seen = visible(*Flows(back, forth))
    assert seen[12:16, 12:16].max() == 0
    assert 0 < seen[8:22, 6:20].mean() < 0.6
    assert len(np.unique(seen)) > 2  # soft at its edges


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
    frames = moving_square(2, step=(0, 6)).astype(np.float32) / 255
    a, b = (grey(image, size=512) for image in frames)
    flows = two_way(a, b)
    seen = visible(flows.back, flows.forth, same=alike(a, b, flows.back))
    assert seen[16:32, 8:14].mean() < 0.2
