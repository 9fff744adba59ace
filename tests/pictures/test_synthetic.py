"""Synthetic pictures have the statistics that their docstrings claim."""

import numpy as np
import pytest

from keras_dream.pictures.synthetic import leaves, noise


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
