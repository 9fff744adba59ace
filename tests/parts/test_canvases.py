"""Canvases: parameters and images, there and back, and the gradient in between."""

import numpy as np
import pytest
from parity.standin import StandIn, dream
from reference import picture

import keras_dream as kd
from keras_dream.engine.ascent import pull_back
from keras_dream.parts.canvases import (
    Decorrelated,
    Fourier,
    Laplacian,
    Maco,
    Pixels,
    color_matrix,
    spectrum_scale,
)
from keras_dream.recipe.recipe import Recipe

pytestmark = pytest.mark.backends
SIZES = [(12, 10), (7, 9), (1, 8)]
EVERY = [Pixels(), Decorrelated(), Laplacian(levels=3), Fourier(), Maco()]


def named(canvas):
    return canvas.text


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "canvas",
    [*EVERY, Fourier(decay=0.0), Maco(decay=1.0)],
    ids=named,
)
def test_an_image_comes_back(canvas, size, backend):
    image = picture(*size).clip(0.01, 0.99)
    surface = canvas.on(backend, size, "none")
    parameters = surface.parameters(backend.image(image))
    again = backend.to_image(surface.image(parameters))
    np.testing.assert_allclose(again, image, atol=2e-5)


def test_black_and_white_come_back_to_half_a_grey_level(backend):
    image = np.zeros((8, 8, 3), np.float32)
    image[:4] = 1.0
    surface = Fourier().on(backend, (8, 8), "none")
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
        surface = Fourier().on(backend, size, "none")
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
@pytest.mark.parametrize("canvas", EVERY[1:], ids=named)
def test_the_gradient_reaches_the_parameters(canvas, size, backend):
    """Of loss ∘ canvas, by finite differences of the whole."""
    surface = canvas.on(backend, size, "none")
    parameters = surface.parameters(backend.image(picture(*size)))
    weights = np.random.default_rng(1).normal(size=(*size, 3)).astype(np.float32)
    found = pull_back(surface, backend)(parameters, backend.image(weights))
    parts = [backend.to_image(p).astype(np.float64) for p in parameters]

    def value(parts):
        maps = tuple(backend.image(part.astype(np.float32)) for part in parts)
        return float((backend.to_image(surface.image(maps)) * weights).sum())

    for part, gradient in enumerate(map(backend.to_image, found)):
        height, width, _ = gradient.shape
        for row, column, channel in ((0, 0, 0), (1, 1, 2), (-1, 2, 1), (2, 0, 0)):
            place = (row % height, column % width, channel)
            up, down = ([p.copy() for p in parts] for _ in range(2))
            up[part][place] += 0.05
            down[part][place] -= 0.05
            numeric = (value(up) - value(down)) / 0.1
            assert gradient[place] == pytest.approx(numeric, rel=0.02, abs=4e-3)


@pytest.mark.parametrize("canvas", EVERY[1:], ids=named)
def test_a_canvas_and_pixels_agree_on_the_gradient(canvas, backend):
    """The gradient at the image, pulled back, is that of loss ∘ canvas in one."""
    size, image = (16, 14), picture(16, 14)
    surface = canvas.on(backend, size, "none")
    parameters = surface.parameters(backend.image(image))
    # A bent loss: its gradient is another one at every image.
    pattern = np.random.default_rng(2).normal(size=(*size, 3)).astype(np.float32)

    def loss(image, _, pattern):
        return backend.mean(backend.multiply(backend.square(image), pattern))

    def whole(parameters, _, pattern):
        return loss(surface.image(parameters), _, pattern)

    held = backend.image(pattern)
    value, direct = backend.value_and_grad(whole)(parameters, (), held)
    made = surface.image(parameters)
    at_pixels, slope = backend.value_and_grad(loss)(made, (), held)
    pulled = pull_back(surface, backend)(parameters, slope)
    assert backend.to_float(value) == pytest.approx(backend.to_float(at_pixels))
    for pair in zip(direct, pulled, strict=True):
        one, other = map(backend.to_image, pair)
        np.testing.assert_allclose(one, other, rtol=2e-3, atol=1e-3 * np.abs(one).max())


@pytest.mark.parametrize("canvas", EVERY, ids=named)
def test_movement_is_how_grey_moves(canvas, backend):
    """Where a small step is made, the picture moves as far as it says."""
    size = (20, 18)
    image = (0.5 + 0.1 * (picture(*size) - 0.5)).astype(np.float32)
    surface = canvas.on(backend, size, "none")
    parameters = surface.parameters(backend.image(image))
    weights = np.random.default_rng(1).normal(size=(*size, 3)).astype(np.float32)
    changes = pull_back(surface, backend)(parameters, backend.image(weights))
    said = backend.to_image(surface.movement(changes))
    factor = 4e-4 / np.abs(said).mean()
    moved = tuple(
        backend.add(p, backend.multiply(c, float(factor)))
        for p, c in zip(parameters, changes, strict=True)
    )
    found = backend.to_image(surface.image(moved)) - image
    assert np.abs(found - factor * said).mean() < 0.1 * np.abs(found).mean()


@pytest.mark.parametrize("canvas", EVERY[:3], ids=named)
def test_a_clamped_image_stays_within_bounds(canvas, backend):
    size, image = (12, 10), picture(12, 10)
    surface = canvas.on(backend, size, "none")
    parameters = surface.parameters(backend.image(image * 3 - 1))
    clamped = backend.to_image(surface.image(surface.clamp(parameters)))
    np.testing.assert_allclose(clamped, (image * 3 - 1).clip(0, 1), atol=1e-5)


def test_decorrelated_steps_have_the_colours_of_photographs(backend):
    """Noise in all colours becomes a step that is mostly grey."""
    size = (32, 32)
    noise = np.random.default_rng(0).normal(size=(*size, 3)).astype(np.float32)
    for canvas in (Decorrelated(), Laplacian(levels=2)):
        surface = canvas.on(backend, size, "none")
        parameters = surface.parameters(backend.image(picture(*size)))
        pulled = pull_back(surface, backend)(parameters, backend.image(noise))
        step = backend.to_image(surface.movement(pulled)).reshape(-1, 3)
        red, green, _ = np.corrcoef(step, rowvar=False)
        assert min(red[1], red[2], green[2]) > 0.8


def test_a_pyramid_turns_noise_into_larger_forms(backend):
    """With decay, more of a step is at low frequencies, down to the pixels."""
    size = (32, 32)
    noise = np.random.default_rng(0).normal(size=(*size, 3)).astype(np.float32)

    def low(canvas):
        surface = canvas.on(backend, size, "none")
        parameters = surface.parameters(backend.image(picture(*size)))
        pulled = pull_back(surface, backend)(parameters, backend.image(noise))
        step = backend.to_image(surface.movement(pulled)).mean(axis=2)
        power = np.abs(np.fft.fft2(step)) ** 2
        frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(32), np.fft.fftfreq(32)))
        assert power[frequency > 0.4].sum() > 0
        return power[frequency < 0.1].sum() / power.sum()

    shares = [low(Laplacian(levels=3, decay=decay)) for decay in (0.0, 1.0)]
    assert low(Decorrelated()) < shares[0] / 2
    assert shares[0] < 0.8 * shares[1]


def spectrum(backend, image):
    """The magnitudes of the logits in independent colours, without the mean."""
    pixels = backend.to_image(image).astype(np.float64)
    logits = np.log(pixels / (1 - pixels)) @ np.linalg.inv(color_matrix())
    magnitude = np.abs(np.fft.rfft2(logits, axes=(0, 1)))
    return magnitude[1:-1, 1:-1]  # without waves that are their own mirror image


def test_maco_moves_phases_only(backend):
    size, image = (24, 20), picture(24, 20).clip(0.1, 0.9)
    surface = Maco().on(backend, size, "none")
    before = parameters = surface.parameters(backend.image(image))
    start = surface.image(parameters)
    weights = np.random.default_rng(1).normal(size=(*size, 3)).astype(np.float32)
    pull = pull_back(surface, backend)
    for _ in range(5):
        changes = pull(parameters, backend.image(weights))
        factor = 0.02 / np.abs(backend.to_image(surface.movement(changes))).mean()
        steps = (backend.multiply(c, float(factor)) for c in changes)
        parameters = tuple(map(backend.add, parameters, steps))
    end = surface.image(parameters)
    assert not np.allclose(backend.to_image(before[0]), backend.to_image(parameters[0]))
    change = backend.to_image(end) - backend.to_image(start)
    assert (change * weights).mean() > 0
    assert np.abs(change).mean() > 0.02
    found, kept = spectrum(backend, end), spectrum(backend, start)
    np.testing.assert_allclose(found, kept, rtol=1e-2, atol=1e-3 * kept.max())


def test_natural_magnitudes_are_one_spectrum_for_all_pictures(backend):
    """They fall with the frequency; the mean colour and the forms are the photo's."""
    size = (48, 40)
    surface = Maco(magnitude="natural").on(backend, size, "none")
    found = []
    rough = np.random.default_rng(0).random((*size, 3), np.float32)
    for image in (picture(*size), rough):
        made = surface.image(surface.parameters(backend.image(image)))
        found.append(spectrum(backend, made))
        pixels = backend.to_image(made).mean(axis=2) - backend.to_image(made).mean()
        likeness = (pixels * (image.mean(axis=2) - image.mean())).mean()
        assert likeness > 0
        assert (
            np.abs(mean_color(backend.to_image(made)) - mean_color(image)).max() < 0.1
        )
    np.testing.assert_allclose(*found, rtol=2e-2)
    assert found[0][0, 0].mean() > 20 * found[0][22, 10].mean()


def mean_color(image):
    return image.mean(axis=(0, 1))


@pytest.mark.parametrize("grey", [0.5, 0.25])
def test_maco_of_a_flat_colour(grey, backend):
    """It has no waves to turn; with natural ones it becomes noise, always the same."""
    image = backend.image(np.full((16, 16, 3), grey, np.float32))
    surface = Maco().on(backend, (16, 16), "none")
    parameters = surface.parameters(image)
    np.testing.assert_allclose(backend.to_image(surface.image(parameters)), grey, 1e-4)
    weights = np.random.default_rng(1).normal(size=(16, 16, 3)).astype(np.float32)
    pulled = pull_back(surface, backend)(parameters, backend.image(weights))
    assert all(np.abs(backend.to_image(p)).max() < 1e-3 for p in pulled)
    noises = [
        backend.to_image(surface.image(surface.parameters(image)))
        for surface in [Maco(magnitude="natural").on(backend, (16, 16), "none")] * 2
    ]
    assert noises[0].std() > 0.05
    assert np.array_equal(*noises)


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
    for canvas in (*map(named, EVERY), "maco(magnitude=natural)"):
        recipe = Recipe(canvas=canvas, steps=1, octaves=1)
        made = dreamer.dream(picture(24, 21), recipe)
        assert made.image.shape == (24, 21, 3)
        assert made.recipe.canvas.text == canvas
        assert np.isfinite(made.image).all()
