"""No seams: tiles of a dream change the picture at their borders as anywhere else."""

import numpy as np
import pytest

import keras_dream as kd

SIZE = (60, 72)
BORDERS = (
    (16, 30, 44),
    (18, 36, 52),
)  # of the middles of 4 × 4 tiles' cells, in pixels
"""The jitter is 0: with it the borders are elsewhere in every step, and seams less."""


def roughness(image):
    """Returns the mean step between neighbours across borders, over that elsewhere."""
    across, elsewhere = [], []
    for axis, places in enumerate(BORDERS):
        steps = np.abs(np.diff(image, axis=axis)).mean((1 - axis, 2))
        # Two on each side: a network with strides treats odd and even lines unlike.
        near = [place + more for place in places for more in (-2, -1, 0, 1)]
        is_border = np.isin(np.arange(1, SIZE[axis]), near)
        across += steps[is_border].tolist()
        elsewhere += steps[~is_border].tolist()
    return np.mean(across) / np.mean(elsewhere)


@pytest.fixture
def changes(motif):
    photo = np.random.default_rng(5).random((*SIZE, 3), np.float32) * 0.1 + 0.45

    def changed(gradient):
        dreamer = kd.Dreamer(run=kd.RunSettings(gradient=gradient, threads=1))
        dream = dreamer.dream(
            photo, octaves=2, steps=8, jitter=0, transforms="none", filters="none"
        )
        assert gradient in dream.record.run["gradient"]
        return dream.image - photo

    return changed


def test_of_a_full_dream(changes):
    """Tiles as without tiles; where they see no halo, the measure tells."""
    whole = roughness(changes("whole"))
    for scheme in ("cells 4x4", "stem near 4x4"):
        assert roughness(changes(scheme)) == pytest.approx(whole, rel=0.05), scheme
    assert roughness(changes("cells 4x4 halo 0")) > 1.5 * whole
