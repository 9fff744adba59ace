"""Losses against NumPy: every one, and what softmax_mean means."""

import numpy as np
import pytest
from reference import picture

from keras_dream.errors import SettingError
from keras_dream.parts.losses import (
    L2,
    LOSSES,
    Even,
    HalfSum,
    L2Mean,
    Mean,
    SoftmaxMean,
)
from keras_dream.parts.part import name_of
from keras_dream.recipe.recipe import Recipe

FEATURES = (picture(7, 9) * 6 - 3).astype(np.float32)


def softmax_mean(x, temperature):
    weights = np.exp((x - x.max(axis=(0, 1))) / temperature)
    return ((weights * x).sum(axis=(0, 1)) / weights.sum(axis=(0, 1))).mean()


def even(x, power):
    squares = (x**2).mean(-1)
    return ((squares + 1e-3 * squares.mean()) ** power).mean()


REFERENCES = {
    "l2": lambda inside, whole: np.square(inside).sum() / whole.size,
    "l2_mean": lambda inside, whole: np.square(inside).mean(),
    "mean": lambda inside, whole: inside.mean(),
    "half_sum": lambda inside, whole: np.square(inside).sum() / 2,
    "even": lambda inside, whole: even(inside, 0.5),
    "softmax_mean": lambda inside, whole: softmax_mean(inside, 1.0),
}


@pytest.mark.backends
@pytest.mark.parametrize("border", [0, 2])
@pytest.mark.parametrize("kind", LOSSES, ids=name_of)
def test_every_loss_by_numpy(kind, border, backend):
    x = FEATURES.astype(np.float64)
    inside = x[border : len(x) - border, border : x.shape[1] - border]
    value = kind()(backend, backend.image(FEATURES), border)
    expected = REFERENCES[name_of(kind)](inside, x)
    assert backend.to_float(value) == pytest.approx(expected, rel=1e-5)


@pytest.mark.backends
def test_the_temperature_leads_from_the_mean_to_the_maximum(backend):
    def value(temperature):
        loss = SoftmaxMean(temperature=temperature)
        return backend.to_float(loss(backend, backend.image(FEATURES), 0))

    assert value(1e6) == pytest.approx(FEATURES.mean(), abs=1e-4)
    assert value(1e-3) == pytest.approx(FEATURES.max(axis=(0, 1)).mean(), abs=1e-4)
    rising = [value(t) for t in (100.0, 10.0, 1.0, 0.1)]
    assert rising == sorted(rising)
    # Large activations overflow no exponential.
    huge = backend.image(FEATURES * np.float32(1e4))
    assert np.isfinite(backend.to_float(SoftmaxMean()(backend, huge, 0)))


@pytest.mark.backends
def test_the_strongest_cells_have_the_gradient(backend):
    loss = SoftmaxMean(temperature=0.2)
    step = backend.value_and_grad(lambda x, _: loss(backend, x, 0))
    _, gradient = step(backend.image(FEATURES), ())
    found = backend.to_image(gradient)
    numeric = np.zeros_like(found, np.float64)
    x = FEATURES.astype(np.float64)
    for place in np.ndindex(*x.shape):
        up, down = x.copy(), x.copy()
        up[place] += 1e-4
        down[place] -= 1e-4
        numeric[place] = (softmax_mean(up, 0.2) - softmax_mean(down, 0.2)) / 2e-4
    np.testing.assert_allclose(found, numeric, atol=1e-4)
    for channel in range(3):
        strongest = (
            FEATURES[..., channel] >= np.sort(FEATURES[..., channel].ravel())[-3]
        )
        share = np.abs(found[..., channel])[strongest].sum()
        assert share > 0.5 * np.abs(found[..., channel]).sum()


@pytest.mark.backends
def test_even_asks_most_where_least_answers(backend):
    """The pull on a cell of a tenth of the activation: equal as log, a tenth as l2."""
    x = np.ones((2, 4, 3), np.float32)
    x[:, 2:] = 0.1
    pulls = {}
    for power in (1.0, 0.5, 0.05):
        step = backend.value_and_grad(
            lambda x, _, p=power: Even(power=p)(backend, x, 0)
        )
        gradient = backend.to_image(step(backend.image(x), ())[1])
        pulls[power] = gradient[0, 3, 0] / gradient[0, 0, 0]
    # d e^p / dx is 2·p·x·e^(p - 1), and e is x² plus a thousandth of the mean.
    for power, pull in pulls.items():
        e = np.array([0.01, 1.0]) + 1e-3 * 0.505
        assert pull == pytest.approx(0.1 * (e[0] / e[1]) ** (power - 1), rel=1e-4)
    assert pulls[1.0] == pytest.approx(0.1)
    assert pulls[0.5] > 0.9
    assert pulls[0.05] > 6
    # A cell without any answer has no gradient, but a finite one.
    silent = backend.image(np.zeros_like(x))
    step = backend.value_and_grad(lambda x, _: Even()(backend, x, 0))
    assert not backend.to_image(step(silent, ())[1]).any()


def test_losses_as_a_recipe_has_them():
    assert Recipe().loss == L2Mean()
    assert Recipe(loss="mean").loss == Mean()
    assert Recipe(loss=HalfSum()).loss == HalfSum()
    warm = Recipe(loss={"name": "softmax_mean", "temperature": 4})
    assert warm.loss == SoftmaxMean(temperature=4)
    assert warm == Recipe(loss="softmax_mean( temperature = 4 )")
    assert '"loss":"softmax_mean(temperature=4.0)"' in warm.json_text()
    assert Recipe.read(warm.json_text()) == warm
    assert warm.sha256 != Recipe(loss="softmax_mean").sha256
    assert Recipe(loss=L2()).sha256 == Recipe(loss="l2").sha256


@pytest.mark.parametrize(
    "text",
    ["", "l3", "softmax_mean(", "softmax_mean(0)", "softmax_mean(temperature=0)",
     "softmax_mean(temperature=nan)", "softmax_mean(t=1)", "l2(border=1)",
     "softmax_mean(temperature=1,temperature=2)"],
)  # fmt: skip
def test_losses_that_cannot_be(text):
    with pytest.raises(SettingError) as error:
        Recipe(loss=text)
    assert "\n" not in str(error.value)
