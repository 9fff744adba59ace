"""Dreams whose gradients are computed in tiles."""

import numpy as np
import pytest
import small_models
from reference import off, picture

import keras_dream as kd

SIZE = (40, 52)
BOTH = "joined; 0.5*'model:merges': joined"
REGION = "box(0%, 0%, 50%, 70%): joined:0; 0.7*'model:merges': joined"


@pytest.fixture(scope="module")
def dream_of():
    models = map(small_models.made, (small_models.nested, small_models.merges))
    networks = [kd.Network(model, preprocessing="tf") for model in models]

    def dream(gradient, **settings):
        dreamer = kd.Dreamer(networks, run=kd.RunSettings(gradient=gradient))
        recipe = kd.Recipe(octaves=1, steps=2, step_size=0.01, jitter=9, **settings)
        found = dreamer.gradient(picture(*SIZE), recipe.but(jitter=0))
        return *found, dreamer.dream(picture(*SIZE), recipe)

    return dream


@pytest.mark.parametrize(
    "settings",
    [
        {"objective": BOTH},
        {"objective": BOTH, "loss": "even", "wrap": "both"},
        {"objective": "joined", "regions": REGION, "mask": "box(5%, 0%, 90%, 80%)"},
        {"objective": BOTH, "transforms": "pad(9) + rotate(8) + flip(0.5)"},
    ],
)
def test_networks_regions_masks_and_views_in_tiles(dream_of, settings):
    loss, gradient, whole = dream_of("whole", **settings)
    for scheme in ("cells 2x2", "1: cells 1x3; 1#2: stem joined 2x1"):
        found, tiled, dream = dream_of(scheme, **settings)
        assert found == pytest.approx(loss, rel=1e-5)
        assert off(tiled, gradient) < 1e-5
        assert np.abs(dream.image - whole.image).max() < 1e-4
        assert whole.record.run["gradient"] == "whole" != dream.record.run["gradient"]
