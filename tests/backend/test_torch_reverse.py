"""Gradients added where they are made, against those of torch's own engine."""

import os
import weakref

import numpy as np
import pytest

if os.environ.get("KERAS_BACKEND", "torch") != "torch":
    pytest.skip("the torch backend alone", allow_module_level=True)

import torch

from keras_dream.backend import torch_reverse as reverse
from keras_dream.backend.torch import TorchBackend

WINDOWS = (  # size, stride, padding
    ((3, 3), (1, 1), (1, 1, 1, 1)),
    ((5, 1), (1, 1), (2, 2, 0, 0)),
    ((2, 2), (2, 2), (0, 0, 0, 0)),
    ((3, 3), (2, 2), (0, 1, 1, 0)),
    ((4, 2), (4, 2), (0, 0, 0, 0)),
)
CONVOLUTIONS = (  # window, stride, padding, dilation, groups
    ((1, 1), (1, 1), (0, 0, 0, 0), (1, 1), 1),
    ((3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 1),
    ((3, 1), (1, 1), (0, 2, 0, 0), (1, 1), 1),
    ((3, 3), (1, 1), (2, 2, 2, 2), (2, 2), 1),
    ((3, 3), (1, 1), (3, 3, 3, 3), (1, 1), 1),
    ((3, 3), (2, 2), (1, 1, 1, 1), (1, 1), 1),
    ((3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 2),
)


def make(kind, precision="float32"):
    """A backend on the processor; a plain one has torch's own operations."""
    backend = TorchBackend(torch.device("cpu"), precision)
    if kind == "plain":
        backend._own = backend._has_onednn = False
    return backend


def random_graph(seed, backend):
    """Returns a function of a map that has maps with several readers."""

    def loss(x, plan):
        random = np.random.default_rng(seed)  # the same graph and weights each time
        maps = [backend.conv2d(x, *weights(random, backend, (3, 3), 3, 1), relu=True)]
        for _ in range(10):
            y = maps[random.integers(len(maps))]
            maps += one(random, backend, y, maps)
        total = 0.0
        for y in (*maps[-3:], maps[0]):
            is_large = random.random() < 0.5 and min(y.shape[2:]) > 3
            inside = backend.crop(y, (0, 1, 2, 1)) if is_large else y
            mean = backend.mean(backend.square(inside))
            total = backend.add(backend.multiply(mean, float(random.random())), total)
        return total

    return loss


def weights(random, backend, window, inputs, groups, outputs=4):
    kernel = random.normal(size=(*window, inputs // groups, outputs))
    kernel = backend.kernel((kernel / np.sqrt(kernel[..., 0].size)).astype(np.float32))
    return kernel, backend.array(random.normal(size=outputs) / 4)


def one(random, backend, y, maps):
    """Returns the results of a random operation on a map."""
    kind, channels = random.integers(8), y.shape[1]
    window = WINDOWS[random.integers(len(WINDOWS))]
    how = dict(zip(("size", "stride", "padding"), window, strict=True))
    if kind in (0, 1, 2):
        size, stride, padding, dilation, groups = CONVOLUTIONS[
            random.integers(len(CONVOLUTIONS))
        ]
        kernel, bias = weights(random, backend, size, channels, groups)
        if min(y.shape[2:]) < 3:
            return []
        relu = bool(random.integers(2))
        how = {"stride": stride, "padding": padding, "dilation": dilation}
        return [backend.conv2d(y, kernel, bias, groups=groups, relu=relu, **how)]
    if kind in (3, 4):
        pool = backend.max_pool if kind == 3 else backend.average_pool
        return [pool(y, **how)] if min(y.shape[2:]) >= 5 else []
    if kind == 5:
        one, other = backend.split(y, (channels - 1, 1))
        gate = backend.activation(backend.global_mean(other), "sigmoid")
        return [backend.concat([other, one, y[:, :0]]), backend.multiply(y, gate)]
    alike = [z for z in maps if z.shape == y.shape]
    z = alike[random.integers(len(alike))]
    if kind == 6:
        return [backend.activation(backend.add(y, z), "relu"), backend.add(z, z)]
    wide = backend.concat([z, y, z])
    return [backend.conv2d(wide, *weights(random, backend, (1, 1), wide.shape[1], 1))]


@pytest.mark.parametrize("seed", range(40))
def test_random_graphs_have_the_gradient_of_torchs_engine(seed):
    size = (13 + seed % 5, 16 + seed % 3)
    image = np.random.default_rng(seed).random((*size, 3), np.float32)
    found = []
    for kind in ("own", "plain"):
        backend = make(kind)
        step = backend.value_and_grad(random_graph(seed, backend))
        found.append(step(backend.image(image), ()))
    (value, gradient), (expected, slope) = found
    assert slope.abs().max() > 0
    torch.testing.assert_close(value, expected, atol=1e-6, rtol=1e-5)
    error = (gradient - slope).abs().max() / slope.abs().max()
    assert error < 2e-5


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_torchs_engine_calls_the_same_operations(monkeypatch, precision):
    backend = make("own", precision)
    image = backend.image(np.random.default_rng(1).random((17, 19, 3), np.float32))
    step = backend.value_and_grad(random_graph(3, backend))
    _, gradient = step(image, ())
    _, again = step(image, ())
    assert torch.equal(gradient, again)
    monkeypatch.setattr(reverse, "_are_known", lambda order: False)
    _, slope = step(image, ())
    error = (gradient - slope).abs().max() / slope.abs().max()
    assert error < (1e-5 if precision == "float32" else 0.05)


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, gradient):
        return 2 * gradient


def test_a_function_of_somebodys_own_goes_through_torchs_engine(monkeypatch):
    backend = make("own")
    monkeypatch.setattr(reverse, "_pass_back", None)  # would be called
    step = backend.value_and_grad(lambda x, _: Doubled.apply(backend.square(x)).sum())
    x = backend.image(np.full((2, 3, 3), 0.5, np.float32))
    torch.testing.assert_close(step(x, ())[1], torch.full_like(x, 2))


def test_a_layer_with_weights_of_its_own_goes_through_torchs_engine():
    """It has what torch's engine does for it: no gradient of weights, and hooks."""
    backend = make("own")
    weight = torch.nn.Parameter(torch.ones(3, 1, 1))
    calls = []

    def loss(x, plan):
        y = backend.square(x) * weight
        y.register_hook(calls.append)
        return y.sum()

    x = backend.image(np.full((2, 3, 3), 0.5, np.float32))
    torch.testing.assert_close(
        backend.value_and_grad(loss)(x, ())[1], torch.ones_like(x)
    )
    assert len(calls) == 1


def test_maps_are_freed_on_the_way(monkeypatch):
    """A rectified map lives until its convolution's gradient, no longer."""
    backend, alive, most = make("own"), [], []
    kernel = backend.kernel(np.ones((1, 1, 3, 3), np.float32))
    apply, into = reverse.convolution, reverse.Convolution.into

    def convolution(*args, **kwargs):
        y = apply(*args, **kwargs)
        alive.append(weakref.ref(y))
        return y

    def counted(ctx, *args, **kwargs):
        most.append(sum(ref() is not None for ref in alive))
        return into(ctx, *args, **kwargs)

    monkeypatch.setattr(reverse, "convolution", convolution)
    monkeypatch.setattr(reverse.Convolution, "into", staticmethod(counted))

    def loss(x, plan):
        for _ in range(5):
            x = backend.conv2d(x, kernel, None, relu=True)
        return backend.mean(x)

    image = backend.image(np.ones((4, 4, 3), np.float32))
    backend.value_and_grad(loss)(image, ())
    assert len(most) == 5
    assert most == sorted(most, reverse=True)
    assert most[-1] <= 1


@pytest.mark.parametrize("where", ["picture", "kernel", "bias"])
def test_what_is_not_a_number_is_not_rectified_away(where):
    backend = make("own")
    values = {
        "picture": np.ones((5, 6, 3), np.float32),
        "kernel": np.ones((3, 3, 3, 4), np.float32),
        "bias": np.ones(4, np.float32),
    }
    values[where].flat[0] = np.nan
    kernel, bias = backend.kernel(values["kernel"]), backend.array(values["bias"])

    def loss(x, plan):
        x = backend.conv2d(x, kernel, bias, padding=(1, 1, 1, 1), relu=True)
        return backend.mean(x)

    value, _ = backend.value_and_grad(loss)(backend.image(values["picture"]), ())
    assert np.isnan(backend.to_float(value))


def test_a_gradient_that_others_hold_is_not_written_to():
    """Both branches of a sum get the same gradient, and one rectifies it."""
    backend = make("own")
    x = backend.image(np.linspace(-1, 1, 60, dtype=np.float32).reshape(4, 5, 3))

    def loss(x, plan):
        y = backend.add(backend.activation(x, "relu"), x)
        return backend.sum(backend.square(backend.add(y, 1.0)))

    _, gradient = backend.value_and_grad(loss)(x, ())
    expected = torch.where(x > 0, 4 * (2 * x + 1), 2 * (x + 1))
    torch.testing.assert_close(gradient, expected)
