"""Canvases: parameters and images, there and back, and the gradient in between."""

import numpy as np
import pytest
from parity.standin import StandIn, dream
from reference import picture

import keras_dream as kd
from keras_dream.parts.canvases import Fourier, Pixels, color_matrix, spectrum_scale
from keras_dream.recipe.recipe import Recipe

pytestmark = pytest.mark.backends
SIZES = [(24, 32), (21, 17), (1, 8), (5, 1)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("canvas", [Pixels(), Fourier(), Fourier(decay=0.0)])
def test_an_image_comes_back(canvas, size, backend):
    image = picture(*size).clip(0.01, 0.99)
    surface = canvas.on(backend, size)
    parameters = surface.parameters(backend.image(image))
    again = backend.to_image(surface.image(parameters))
    np.testing.assert_allclose(again, image, atol=2e-5)


def test_black_and_white_come_back_to_half_a_grey_level(backend):
    image = np.zeros((8, 8, 3), np.float32)
    image[:4] = 1.0
    surface = Fourier().on(backend, (8, 8))
    again = backend.to_image(surface.image(surface.parameters(backend.image(image))))
    assert np.abs(again - image).max() < 0.51 / 255


def test_the_spectrum_falls_with_the_frequency():
    scale = spectrum_scale((64, 64), 1.0)
    assert scale[0, 2] / scale[0, 8] == pytest.approx(4.0, rel=1e-5)
    assert scale[0, 0] == scale[0, 1]
    assert np.ptp(spectrum_scale((64, 64), 0.0)) == 0.0


def test_parameters_of_variance_one_make_pictures_of_even_contrast(backend):
    """So that a step means the same as one of pixels, at every size."""
    for size in ((32, 48), (91, 40)):
        surface = Fourier().on(backend, size)
        random = np.random.default_rng(0)
        shape = (size[0], size[1] // 2 + 1, 3)
        logits = []
        for _ in range(40):
            halves = [random.normal(size=shape) for _ in range(2)]
            scale = spectrum_scale(size, 1.0)[..., None]
            logits.append(
                np.fft.irfft2((halves[0] + 1j * halves[1]) * scale, size, (0, 1))
            )
        assert np.std(logits) == pytest.approx(4.0, rel=0.1)
        assert surface.clamp(("as it is",)) == ("as it is",)


def test_colours_are_decorrelated():
    """Independent colours get the covariance of photographs: mostly grey."""
    random = np.random.default_rng(0).normal(size=(20_000, 3))
    red, green, blue = np.corrcoef(random @ color_matrix(), rowvar=False)
    assert min(red[1], red[2], green[2]) > 0.75
    assert max(red[1], red[2], green[2], blue[1]) < 1.0


@pytest.mark.parametrize("size", [(6, 8), (5, 7)])
def test_the_gradient_reaches_the_parameters(size, backend):
    """Of loss ∘ canvas, by finite differences of the whole."""
    from keras_dream.engine.loop import pull_back

    surface = Fourier().on(backend, size)
    parameters = surface.parameters(backend.image(picture(*size)))
    weights = np.random.default_rng(1).normal(size=(*size, 3)).astype(np.float32)
    found = pull_back(surface, backend)(parameters, backend.image(weights))
    halves = [backend.to_image(p).astype(np.float64) for p in parameters]

    def value(halves):
        maps = tuple(backend.image(h.astype(np.float32)) for h in halves)
        return float((backend.to_image(surface.image(maps)) * weights).sum())

    for half, gradient in enumerate(map(backend.to_image, found)):
        for place in ((0, 0, 0), (1, 1, 2), (size[0] - 1, 2, 1), (2, 0, 0)):
            up, down = ([h.copy() for h in halves] for _ in range(2))
            up[half][place] += 0.05
            down[half][place] -= 0.05
            numeric = (value(up) - value(down)) / 0.1
            assert gradient[place] == pytest.approx(numeric, rel=0.02, abs=2e-3)


def test_a_dream_in_waves(backend):
    """It climbs, stays within (0, 1), and changes low frequencies most."""
    image = picture(48, 40)
    recipe = Recipe(canvas="fourier", steps=8, octaves=1, jitter=4, step_size=0.02)
    made, steps = dream(image, recipe, StandIn().on(backend), backend)
    assert steps[-1].loss > steps[0].loss
    assert made.min() > 0
    assert made.max() < 1
    assert 0.02 < np.abs(made - image).mean() < 0.16  # 8 steps of 0.02

    def roughness(change):
        power = np.abs(np.fft.rfft2(change.mean(axis=2))) ** 2
        return power[12:36].sum() / power.sum()

    noise = kd.Recipe(steps=8, octaves=1, jitter=4, step_size=0.02)
    rough = np.random.default_rng(0).normal(size=(48, 40, 3)).astype(np.float32)

    def gradient(image, size, *, view, original):
        return backend.mean(image), backend.image(rough)

    pixels, _ = dream(image, noise.but(jitter=0), gradient, backend)
    for decay, share in ((0.5, 0.4), (1.0, 0.1)):
        falling = recipe.but(jitter=0, canvas=f"fourier(decay={decay})")
        waves, _ = dream(image, falling, gradient, backend)
        assert roughness(waves - image) < share * roughness(pixels - image)


def test_a_whole_dream_on_every_canvas_carries_it(motif):
    dreamer = kd.Dreamer("motif")
    for canvas in ("pixels", "fourier", "fourier(decay=1.5)"):
        recipe = Recipe(canvas=canvas, steps=2, octaves=2)
        made = dreamer.dream(picture(40, 37), recipe)
        assert made.image.shape == (40, 37, 3)
        assert made.recipe.canvas.text == canvas
        assert np.isfinite(made.image).all()
