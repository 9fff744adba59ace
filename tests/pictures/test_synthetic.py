"""Synthetic pictures have the statistics that their docstrings claim."""

import numpy as np
import pytest

from keras_dream.pictures.synthetic import leaves, noise, patches


@pytest.mark.parametrize("steepness", [1.0, 2.0])
def test_noise_falls_with_the_frequency(steepness):
    grey = noise(3, (256, 256), steepness=steepness).mean(axis=2)
    power = np.abs(np.fft.fft2(grey - grey.mean())) ** 2
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(256), np.fft.fftfreq(256)))
    bands = [(0.02, 0.03), (0.08, 0.12)]  # beyond, rounding to 255ths adds its own
    low, high = (
        np.sqrt(power[(frequency > a) & (frequency < b)].mean()) for a, b in bands
    )
    assert low / high == pytest.approx(4**steepness, rel=0.2)


def test_leaves_have_plain_surfaces_and_edges():
    grey = leaves(0, (128, 128)).mean(axis=2)
    steps = np.abs(np.diff(grey, axis=1))
    assert (steps == 0).mean() > 0.3
    assert (steps > 0.2).mean() > 0.02


def test_random_patches_cover_half_and_follow_the_seed():
    size = (90, 120)
    first = patches(0, size, number=0)
    assert (first >= 0.5).mean() == pytest.approx(0.5, abs=0.01)
    assert (first.min(), first.max()) == (0, 1)
    # Soft, and of a few patches: neighbours differ little.
    assert np.abs(np.diff(first, axis=1)).max() < 0.25
    np.testing.assert_array_equal(first, patches(0, size, number=0))
    others = [patches(s, size, number=n) for s, n in ((1, 0), (0, 1), (1, 1))]
    for other in others:
        assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 0.8
        assert np.abs(first - other).mean() > 0.15
