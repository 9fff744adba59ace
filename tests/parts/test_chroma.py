"""The filter `chroma`: broad colours of a stated strength, and light as it was."""

import numpy as np
import pytest

import keras_dream as kd
from keras_dream.parts.filters import Chroma, Place

SIZE = (48, 56)


def taken_apart(x):
    light = x.mean(axis=2, keepdims=True)
    return light, x - light


@pytest.mark.backends
def test_light_stays_and_colours_become_broad_and_as_strong_as_said(backend):
    noise = np.random.default_rng(0).normal(size=(*SIZE, 3)).astype(np.float32)
    patch = np.zeros_like(noise)
    patch[:24, :, 0] += 0.2  # red above, faint within noise of every colour
    found = backend.to_image(
        Chroma(sigma=4, share=0.7).apply(
            backend, backend.image(noise + patch), Place(SIZE)
        )
    )
    light, colors = taken_apart(found)
    before, _ = taken_apart(noise + patch)
    np.testing.assert_allclose(light, before, atol=1e-5)
    assert np.abs(colors).mean() / np.abs(light).mean() == pytest.approx(0.7, rel=1e-3)
    steps = np.abs(np.diff(colors, axis=1)).mean() / np.abs(colors).mean()
    assert steps < 0.35  # neighbours of noise differ by more than its mean size
    red = colors[..., 0]
    assert red[:16].mean() > 2 * abs(red[32:].mean()) > 0


def test_colours_that_are_not_there_are_not_made_up(backend):
    grey = np.repeat(np.random.default_rng(1).normal(size=(*SIZE, 1)), 3, axis=2)
    x = backend.image(grey.astype(np.float32))
    found = backend.to_image(Chroma().apply(backend, x, Place(SIZE)))
    assert np.abs(taken_apart(found)[1]).mean() < 1e-3


@pytest.mark.parametrize("wrap", ["none", "both"])
def test_no_margin_where_the_edges_have_neighbours(wrap):
    recipe = kd.Recipe(transforms="flip + pad(size=8)", wrap=wrap, steps=1, octaves=1)
    made = kd.Dreamer("motif").complete(recipe)
    texts = [transform.text for transform in made.transforms]
    assert ("pad" in " ".join(texts)) == (wrap == "none")
    assert "flip" in texts[0]
