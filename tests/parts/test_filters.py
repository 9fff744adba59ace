"""Filters: each on the gradient against NumPy, and in a dream."""

import numpy as np
import pytest
from parity.standin import dream
from reference import picture
from scipy import ndimage

from keras_dream.geometry import pyramid_taps
from keras_dream.parts.filters import Clip, Decorrelate, Laplacian, Place, Smooth
from keras_dream.recipe.recipe import Recipe

pytestmark = pytest.mark.backends
SIZE = (24, 31)


def noise(seed=0, size=SIZE):
    return np.random.default_rng(seed).normal(size=(*size, 3)).astype(np.float32)


def applied(part, x, backend, **place):
    y = part.apply(backend, backend.image(x), Place(x.shape[:2], **place))
    return backend.to_image(y)


def by_frequency(x):
    """Returns the power below and above an eighth of the sampling rate."""
    power = np.abs(np.fft.fft2(x.mean(axis=2))) ** 2
    down, right = (np.abs(np.fft.fftfreq(n)) for n in x.shape[:2])
    low = np.hypot(down[:, None], right) < 0.125
    return power[low].sum(), power[~low].sum()


@pytest.mark.parametrize(("progress", "sigma"), [(0.0, 2.0), (0.5, 1.5), (1.0, 1.0)])
def test_a_gaussian_whose_width_follows_the_steps(progress, sigma, backend):
    found = applied(Smooth(sigma=2, end=1), noise(), backend, progress=progress)
    reach = int(np.ceil(3 * sigma))
    expected = ndimage.gaussian_filter(
        noise(), (sigma, sigma, 0), mode="reflect", radius=(reach, reach, 0)
    )
    np.testing.assert_allclose(found, expected, atol=2e-6)


@pytest.mark.parametrize("sigma", [3.0, 4.5, 8.0])
def test_a_wide_blur_is_nearly_the_gaussian(sigma, backend):
    impulse = np.zeros((128, 150, 3), np.float32)
    impulse[61, 70] = 1
    found = applied(Smooth(sigma=sigma), impulse, backend)
    expected = ndimage.gaussian_filter(impulse, (sigma, sigma, 0), mode="reflect")
    assert np.abs(found - expected).max() < 0.02 * expected.max()


def test_a_blur_of_nothing_is_nothing(backend):
    found = applied(Smooth(sigma=1, end=0), noise(), backend, progress=1.0)
    assert np.array_equal(found, noise())


def test_a_blur_goes_on_beyond_edges_that_belong_together(backend):
    def smooth(x):
        return applied(Smooth(sigma=1.5), x, backend, wrap="both")

    shifted = np.roll(noise(), (5, 9), (0, 1))
    np.testing.assert_allclose(
        smooth(shifted), np.roll(smooth(noise()), (5, 9), (0, 1)), atol=1e-6
    )


def test_a_smoothed_step_is_smoother(backend):
    """In the loop: less of the step is in high frequencies; its size is the same."""
    image, rough = picture(40, 40), noise(size=(40, 40))
    recipe = Recipe(octaves=1, steps=1, jitter=0, step_size=0.01, clamp=False)

    def gradient(x, size, *, view, original):
        return backend.mean(x), backend.image(rough)

    shares = []
    for filters in ("none", "smooth(1)", "smooth(2)"):
        moved, _ = dream(image, recipe.but(filters=filters), gradient, backend)
        low, high = by_frequency(moved - image)
        shares.append(high / low)
        assert np.abs(moved - image).mean() == pytest.approx(0.01, rel=1e-3)
    assert shares[0] > 3 * shares[1] > 20 * shares[2]


def test_a_pyramid_by_its_paper(backend):
    """Inside, where the edges do not reach: 1 4 6 4 1 down, and four times it up."""
    x = noise(size=(32, 40))
    kernel = np.array([1, 4, 6, 4, 1]) / 16

    def blurred(x):
        return ndimage.convolve1d(ndimage.convolve1d(x, kernel, axis=0), kernel, axis=1)

    coarse = blurred(x)[::2, ::2]
    spread = np.zeros_like(x)
    spread[::2, ::2] = coarse
    grown = 4 * blurred(spread)
    band = x - grown
    # At the edges ours differ a little: the roots are taken of ours, inside they agree.
    found = applied(Laplacian(levels=1), x, backend)
    inside = (slice(6, -6), slice(6, -6))

    def root(x):
        return np.sqrt(np.mean(x**2))

    a, b = grown[inside], band[inside]
    factors, rest, *_ = np.linalg.lstsq(
        np.stack([a.ravel(), b.ravel()], 1), found[inside].ravel(), rcond=None
    )
    assert rest[0] < 1e-6 * np.square(found).sum()
    assert factors[0] == pytest.approx(1 / root(coarse), rel=0.02)
    assert factors[1] == pytest.approx(1 / root(band), rel=0.05)


def test_taps_of_a_pyramid_keep_what_is_constant():
    for n in (2, 5, 8):
        half = (n + 1) // 2
        for n_in, n_out in ((n, half), (half, n)):
            cells, weights = pyramid_taps(n_in, n_out)
            assert cells.min() >= 0
            assert cells.max() < n_in
            np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-6)


def test_bands_become_equally_strong(backend):
    """Weak large forms under strong grain come out."""
    form = np.sin(np.arange(64) / 5)[:, None, None] * np.ones((64, 64, 3))
    x = (0.05 * form + noise(size=(64, 64))).astype(np.float32)
    low, high = by_frequency(x)
    low_after, high_after = by_frequency(applied(Laplacian(levels=4), x, backend))
    assert low_after / high_after > 10 * low / high


def test_a_tiny_picture_has_few_bands(backend):
    x = noise(size=(3, 2))
    assert np.isfinite(applied(Laplacian(levels=12), x, backend)).all()
    assert np.array_equal(applied(Laplacian(), 0 * x, backend), 0 * x)


def test_limits_are_multiples_of_the_mean(backend):
    x = noise()
    x[3, 4, 1] = 1000.0
    limit = 2 * np.abs(x).mean()
    found = applied(Clip(limit=2), x, backend)
    np.testing.assert_allclose(found, x.clip(-limit, limit), rtol=1e-5)
    # Of a mask, the mean inside: the outlier is outside.
    weights = np.ones((*SIZE, 1), np.float32)
    weights[3, 4] = 0
    found = applied(Clip(limit=2), x, backend, weights=backend.image(weights))
    limit = 2 * np.abs(x[weights[..., 0] > 0]).mean()
    np.testing.assert_allclose(found, x.clip(-limit, limit), rtol=1e-5)
    # Of a window, the mean in it: the rest is 0 because it was not seen.
    window = noise()
    window[4:] = 0
    share = 4 / len(window)
    found = applied(Clip(limit=2), window, backend, share=share)
    limit = 2 * np.abs(window[:4]).mean()
    np.testing.assert_allclose(found, window.clip(-limit, limit), rtol=1e-5)


def test_independent_colours(backend):
    """It is the step of the colours' own coordinates, and greyer than the gradient."""
    from keras_dream.parts.canvases import color_matrix

    x, matrix = noise(), color_matrix()
    found = applied(Decorrelate(), x, backend)
    expected = x @ matrix.T @ matrix  # the gradient of z, with x = z @ matrix, moved
    expected *= 3 / np.trace(matrix.T @ matrix)
    np.testing.assert_allclose(found, expected, atol=1e-5)

    def chroma(x):
        return np.abs(x - x.mean(axis=2, keepdims=True)).mean() / np.abs(x).mean()

    half = applied(Decorrelate(amount=0.5), x, backend)
    assert chroma(found) < chroma(half) < chroma(x)
    np.testing.assert_allclose(half, (found + x) / 2, atol=1e-5)
    assert np.allclose(applied(Decorrelate(amount=0), x, backend), x, atol=1e-6)
