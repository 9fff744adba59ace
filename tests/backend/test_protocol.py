"""Every operation of the protocol against NumPy, on the backend of this run.

References compute in float64 and are written as loops over windows. Gradients are
compared along a random direction: with the reference's central difference, exact to
about 1e-8 in float64.
"""

import inspect
import math
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy import ndimage, special

from keras_dream import geometry
from keras_dream.backend.load import load
from keras_dream.backend.protocol import ACTIVATIONS, Backend
from keras_dream.errors import SettingError

on_every_backend = pytest.mark.backends


# -- references -----------------------------------------------------------------------
def padded(x, padding, value=0.0):
    top, bottom, left, right = padding
    widths = ((top, bottom), (left, right), (0, 0))
    return np.pad(x, widths, constant_values=value)


def windows(x, size, stride, dilation=(1, 1)):
    """Yields (row, column, the window there)."""
    reach = [(n - 1) * d + 1 for n, d in zip(size, dilation, strict=True)]
    for i, top in enumerate(range(0, x.shape[0] - reach[0] + 1, stride[0])):
        for j, left in enumerate(range(0, x.shape[1] - reach[1] + 1, stride[1])):
            yield (
                i,
                j,
                x[
                    top : top + reach[0] : dilation[0],
                    left : left + reach[1] : dilation[1],
                ],
            )


def over_windows(x, size, stride, function, dilation=(1, 1)):
    cells = {
        (i, j): function(window) for i, j, window in windows(x, size, stride, dilation)
    }
    h, w = (n + 1 for n in max(cells))
    return np.stack([np.stack([cells[i, j] for j in range(w)]) for i in range(h)])


def convolved(x, kernel, stride, padding, dilation, groups=1):
    parts = zip(
        np.split(padded(x, padding), groups, 2),
        np.split(kernel, groups, 3),
        strict=True,
    )
    return np.concatenate(
        [
            over_windows(
                part,
                k.shape[:2],
                stride,
                lambda window, k=k: np.tensordot(window, k, 3),
                dilation,
            )
            for part, k in parts
        ],
        axis=2,
    )


def convolved_depthwise(x, kernel, stride, padding, dilation):
    return over_windows(
        padded(x, padding),
        kernel.shape[:2],
        stride,
        lambda window: np.einsum("hwc,hwcm->cm", window, kernel).ravel(),
        dilation,
    )


def pooled(x, size, stride, padding, reduce, value=np.nan):
    return over_windows(
        padded(x, padding, value), size, stride, lambda window: reduce(window, (0, 1))
    )


def gradient_of_max_pool(x, size, stride, padding, weights):
    """The gradient of sum(weights · max-pool), all of it at the first of equals."""
    whole = padded(x, padding, -np.inf)
    gradient = np.zeros_like(whole)
    for i, j, window in windows(whole, size, stride):
        top, left = i * stride[0], j * stride[1]
        for c in range(x.shape[2]):
            row, column = np.unravel_index(window[..., c].argmax(), window.shape[:2])
            gradient[top + row, left + column, c] += weights[i, j, c]
    h, w = x.shape[:2]
    return gradient[padding[0] : padding[0] + h, padding[2] : padding[2] + w]


def activated(x, name, negative_slope):
    return {
        "elu": lambda: np.where(x > 0, x, negative_slope * np.expm1(np.minimum(x, 0))),
        "exponential": lambda: np.exp(x),
        "gelu": lambda: x * special.ndtr(x),
        "gelu_tanh": lambda: (
            x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
        ),
        "hard_sigmoid": lambda: np.clip(x / 6 + 0.5, 0, 1),
        "hard_silu": lambda: x * np.clip(x / 6 + 0.5, 0, 1),
        "leaky_relu": lambda: np.where(x > 0, x, negative_slope * x),
        "relu": lambda: np.maximum(x, 0),
        "relu6": lambda: np.clip(x, 0, 6),
        # Klambauer et al., Self-Normalizing Neural Networks, 2017.
        "selu": lambda: (
            1.0507009873554805
            * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0)))
        ),
        "sigmoid": lambda: special.expit(x),
        "silu": lambda: x * special.expit(x),
        "softmax": lambda: special.softmax(x, -1),
        "softplus": lambda: np.logaddexp(0, x),
        "softsign": lambda: x / (1 + np.abs(x)),
        "tanh": lambda: np.tanh(x),
    }[name]()


# -- comparing ------------------------------------------------------------------------
def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def gradient_of(backend, operation, x, weights):
    """The gradient at x of sum(weights · operation(x)), as an image."""
    held = backend.image(weights)
    step = backend.value_and_grad(
        lambda x, plan: backend.sum(backend.multiply(operation(x), held))
    )
    return backend.to_image(step(backend.image(x), ())[1])


def finite_difference(function, arrays, along):
    """The change of a float64 function along a direction of all its arrays."""
    # One step in float64, small enough to cross no kink but by bad luck.
    ahead, behind = (
        function(
            *(a.astype(np.float64) + s * d for a, d in zip(arrays, along, strict=True))
        )
        for s in (1e-6, -1e-6)
    )
    return (ahead - behind) / 2e-6


def check(backend, operation, reference, x):
    """Compares values, and gradients along a random direction, with the reference."""
    expected = reference(x.astype(np.float64))
    found = backend.to_image(operation(backend.image(x)))
    assert found.shape == expected.shape
    assert found.dtype == np.float32
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, atol=1e-5 * scale, rtol=1e-4)

    weights, along = random(*expected.shape, seed=1), random(*x.shape, seed=2)
    change = (finite_difference(reference, [x], [along]) * weights).sum()
    gradient = gradient_of(backend, operation, x, weights)
    assert gradient.shape == x.shape
    gap = abs((gradient * along).sum() - change)
    assert gap <= 1e-4 * np.abs(gradient * along).sum() + 1e-6


# -- the protocol ---------------------------------------------------------------------
@on_every_backend
@pytest.mark.parametrize(
    "name", [name for name in vars(Backend) if not name.startswith("_")]
)
def test_every_method_has_the_protocols_parameters(backend, name):
    def parameters(owner):
        signature = inspect.signature(getattr(owner, name))
        return [
            (p.name, p.kind, p.default) for p in list(signature.parameters.values())[1:]
        ]

    assert parameters(type(backend)) == parameters(Backend)


@on_every_backend
def test_a_backend_states_what_it_is(backend):
    assert backend.name == os.environ["KERAS_BACKEND"]
    assert backend.precision == "float32"
    assert backend.device
    assert backend.threads is None or backend.threads >= 1
    memory = backend.memory()
    assert memory["total"] > 0
    assert all(value >= 0 for value in memory.values())  # a GPU's peak before any work


@on_every_backend
@pytest.mark.parametrize("device", ["toaster", "cuda:99", "cuda:x", "meta", ""])
def test_a_device_that_is_not_there_gets_a_sentence(backend, device):
    with pytest.raises(SettingError, match="The device must be"):
        load(backend.name, device=device)


@on_every_backend
def test_the_processor_is_always_there(backend):
    if backend.device != "cpu":
        pytest.skip("this process already computes on another device")
    assert load(backend.name, device="cpu").device == "cpu"


# -- in and out -----------------------------------------------------------------------
@on_every_backend
@pytest.mark.parametrize("shape", [(5, 8, 3), (1, 1, 3), (4, 3, 7)])
def test_an_image_comes_back_as_it_went(backend, shape):
    image = random(*shape)
    back = backend.to_image(backend.image(image))
    np.testing.assert_array_equal(back, image)
    assert back.dtype == np.float32
    assert back.flags.c_contiguous
    assert back.flags.writeable


@on_every_backend
def test_images_share_no_memory_with_the_device(backend):
    image = np.ones((64, 64, 3), np.float32)
    held = backend.image(image)
    image[:] = 2
    back = backend.to_image(held)
    back[:] = 3
    assert backend.to_image(held).max() == 1


@on_every_backend
def test_any_memory_order_and_dtype_enters(backend):
    image = random(5, 6, 3).astype(np.float64)[::-1, ::2]
    np.testing.assert_array_equal(
        backend.to_image(backend.image(image)), image.astype(np.float32)
    )


@on_every_backend
@pytest.mark.parametrize("shape", [(), (5,), (4, 3), (2, 3, 4), (1, 5, 8, 3)])
def test_an_array_of_any_shape_comes_back_as_it_went(backend, shape):
    values = random(*shape)
    back = backend.to_numpy(backend.array(values))
    np.testing.assert_array_equal(back, values)
    assert back.dtype == np.float32
    assert back.flags.writeable


# -- linear ---------------------------------------------------------------------------
# height, width, stride, padding, dilation
PLACEMENTS = [
    (9, 12, (1, 1), (0, 0, 0, 0), (1, 1)),
    (9, 12, (1, 1), (1, 1, 1, 1), (1, 1)),
    (10, 7, (2, 2), (0, 0, 0, 0), (1, 1)),
    (10, 7, (2, 2), (0, 1, 0, 1), (1, 1)),
    (11, 8, (2, 1), (1, 2, 0, 3), (1, 1)),
    (12, 13, (1, 1), (2, 2, 2, 2), (2, 2)),
    (12, 13, (1, 1), (0, 0, 0, 0), (2, 3)),
    (13, 12, (3, 3), (2, 0, 0, 1), (1, 1)),
    (3, 3, (1, 1), (0, 0, 0, 0), (1, 1)),
]


@on_every_backend
@pytest.mark.parametrize("size", [(1, 1), (3, 3), (1, 3), (2, 2)])
@pytest.mark.parametrize(("h", "w", "stride", "padding", "dilation"), PLACEMENTS)
def test_conv2d(backend, h, w, stride, padding, dilation, size):
    kernel, bias = random(*size, 5, 4, seed=3), random(4, seed=4)
    how = {"stride": stride, "padding": padding, "dilation": dilation}
    held, shift = backend.kernel(kernel), backend.array(bias)
    check(
        backend,
        lambda x: backend.conv2d(x, held, shift, **how),
        lambda x: convolved(x, kernel, stride, padding, dilation) + bias,
        random(h, w, 5),
    )


@on_every_backend
@pytest.mark.parametrize("groups", [2, 3, 6])
@pytest.mark.parametrize("stride", [(1, 1), (2, 2)])
@pytest.mark.parametrize("padding", [(0, 0, 0, 0), (1, 1, 1, 1), (0, 1, 1, 0)])
def test_conv2d_in_groups(backend, groups, stride, padding):
    kernel = random(3, 3, 6 // groups, 12, seed=3)
    held = backend.kernel(kernel)
    check(
        backend,
        lambda x: backend.conv2d(
            x, held, None, stride=stride, padding=padding, groups=groups
        ),
        lambda x: convolved(x, kernel, stride, padding, (1, 1), groups),
        random(8, 9, 6),
    )


@on_every_backend
def test_conv2d_rectifies(backend):
    kernel, bias = random(3, 3, 3, 4, seed=3), random(4, seed=4)
    held, shift = backend.kernel(kernel), backend.array(bias)
    how = {"stride": (1, 1), "padding": (1, 1, 1, 1)}
    check(
        backend,
        lambda x: backend.conv2d(x, held, shift, **how, relu=True),
        lambda x: np.maximum(convolved(x, kernel, **how, dilation=(1, 1)) + bias, 0),
        random(7, 6, 3),
    )


@on_every_backend
def test_the_gradient_of_a_rectifier_at_zero_is_zero(backend):
    black, ones = np.zeros((5, 6, 3), np.float32), np.ones((5, 6, 3), np.float32)
    identity = backend.kernel(np.eye(3, dtype=np.float32)[None, None])
    rectifiers = [
        lambda x: backend.conv2d(x, identity, None, relu=True),
        lambda x: backend.activation(x, "relu"),
        lambda x: backend.activation(x, "relu6"),
        lambda x: backend.activation(x, "leaky_relu"),
    ]
    for rectifier in rectifiers:
        assert not gradient_of(backend, rectifier, black, ones).any()


@on_every_backend
@pytest.mark.parametrize(("size", "multiplier"), [((3, 3), 1), ((5, 2), 3)])
@pytest.mark.parametrize(("h", "w", "stride", "padding", "dilation"), PLACEMENTS[:-1])
def test_depthwise_conv2d(backend, h, w, stride, padding, dilation, size, multiplier):
    kernel = random(*size, 4, multiplier, seed=3)
    bias = random(4 * multiplier, seed=4)
    held, shift = backend.depthwise_kernel(kernel), backend.array(bias)
    how = {"stride": stride, "padding": padding, "dilation": dilation}
    check(
        backend,
        lambda x: backend.depthwise_conv2d(x, held, shift, **how),
        lambda x: convolved_depthwise(x, kernel, stride, padding, dilation) + bias,
        random(h, w, 4),
    )


@on_every_backend
def test_depthwise_conv2d_needs_no_bias(backend):
    kernel = random(3, 3, 4, 1, seed=3)
    held = backend.depthwise_kernel(kernel)
    check(
        backend,
        lambda x: backend.depthwise_conv2d(x, held, None),
        lambda x: convolved_depthwise(x, kernel, (1, 1), (0, 0, 0, 0), (1, 1)),
        random(6, 5, 4),
    )


@on_every_backend
def test_matmul(backend):
    matrix = random(5, 7, seed=3)
    held = backend.array(matrix)
    check(
        backend,
        lambda x: backend.matmul(x, held),
        lambda x: x @ matrix,
        random(4, 6, 5),
    )


def layer_normed(x, scale, shift, epsilon):
    x = x - x.mean(2, keepdims=True)
    return x / np.sqrt((x**2).mean(2, keepdims=True) + epsilon) * scale + shift


@on_every_backend
@pytest.mark.parametrize("size", [(4, 6, 5), (1, 1, 3)])
def test_layer_norm(backend, size):
    scale, shift = random(size[2], seed=3), random(size[2], seed=4)
    vectors = backend.array(scale), backend.array(shift)
    check(
        backend,
        lambda x: backend.layer_norm(x, *vectors, 1e-3),
        lambda x: layer_normed(x, scale, shift, 1e-3),
        random(*size),
    )


# -- pooling --------------------------------------------------------------------------
# height, width, size, stride, padding
POOLS = [
    (9, 12, (3, 3), (2, 2), (0, 0, 0, 0)),
    (9, 12, (3, 3), (1, 1), (1, 1, 1, 1)),
    (8, 11, (2, 2), (2, 2), (0, 0, 0, 0)),
    (8, 11, (2, 2), (1, 1), (0, 1, 0, 1)),
    (8, 8, (3, 3), (2, 2), (0, 1, 0, 1)),
    (7, 9, (3, 3), (2, 2), (1, 1, 1, 1)),
    (7, 9, (3, 2), (2, 3), (1, 0, 0, 1)),
    (8, 7, (4, 4), (1, 1), (1, 2, 1, 2)),
    (6, 6, (6, 6), (6, 6), (0, 0, 0, 0)),
]


@on_every_backend
@pytest.mark.parametrize(("h", "w", "size", "stride", "padding"), POOLS)
def test_max_pool(backend, h, w, size, stride, padding):
    how = {"size": size, "stride": stride, "padding": padding}
    check(
        backend,
        lambda x: backend.max_pool(x, **how),
        lambda x: pooled(x, **how, reduce=np.max, value=-np.inf),
        random(h, w, 5) - 10,  # padded zeros would win
    )


@on_every_backend
@pytest.mark.parametrize("levels", [1, 2, 3])
@pytest.mark.parametrize(("h", "w", "size", "stride", "padding"), POOLS)
def test_the_first_of_equals_wins_a_max_pool(
    backend, h, w, size, stride, padding, levels
):
    # One level is a flat picture; few levels are a picture full of ties.
    x = np.random.default_rng(5).integers(0, levels, (h, w, 6)).astype(np.float32)
    how = {"size": size, "stride": stride, "padding": padding}
    weights = random(*pooled(x, **how, reduce=np.nanmax).shape, seed=1)
    found = gradient_of(backend, lambda x: backend.max_pool(x, **how), x, weights)
    expected = gradient_of_max_pool(x, **how, weights=weights)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@on_every_backend
@pytest.mark.parametrize(("h", "w", "size", "stride", "padding"), POOLS)
def test_average_pool(backend, h, w, size, stride, padding):
    how = {"size": size, "stride": stride, "padding": padding}
    check(
        backend,
        lambda x: backend.average_pool(x, **how),
        lambda x: pooled(x, **how, reduce=np.nanmean),
        random(h, w, 5) + 3,  # padded zeros would show
    )


# -- shape ----------------------------------------------------------------------------
@on_every_backend
@pytest.mark.parametrize("padding", [(1, 2, 3, 0), (0, 0, 0, 0), (4, 4, 5, 5)])
@pytest.mark.parametrize("mode", ["zero", "wrap", "reflect"])
def test_pad(backend, padding, mode):
    top, bottom, left, right = padding
    widths = ((top, bottom), (left, right), (0, 0))
    name = {"zero": "constant"}.get(mode, mode)
    check(
        backend,
        lambda x: backend.pad(x, padding, mode=mode),
        lambda x: np.pad(x, widths, mode=name),
        random(6, 7, 3),
    )


@on_every_backend
def test_pad_with_a_value(backend):
    check(
        backend,
        lambda x: backend.pad(x, (1, 0, 2, 1), value=-7.5),
        lambda x: padded(x, (1, 0, 2, 1), -7.5),
        random(4, 3, 2),
    )


@on_every_backend
@pytest.mark.parametrize("padding", [(1, 2, 3, 0), (0, 0, 0, 0), (0, 5, 0, 0)])
def test_crop(backend, padding):
    top, bottom, left, right = padding
    check(
        backend,
        lambda x: backend.crop(x, padding),
        lambda x: x[top : 6 - bottom, left : 7 - right],
        random(6, 7, 3),
    )


@on_every_backend
@pytest.mark.parametrize("padding", [(3, 3, 0, 0), (4, 4, 0, 0), (9, 9, 9, 9)])
def test_what_vanishes_sums_to_nothing_and_has_no_mean(backend, padding):
    x = backend.image(random(6, 7, 3))
    total = backend.value_and_grad(
        lambda x, plan: backend.sum(backend.crop(x, padding))
    )
    value, gradient = total(x, ())
    assert backend.to_float(value) == 0
    assert not backend.to_image(gradient).any()
    mean = backend.function(lambda x, plan: [backend.mean(backend.crop(x, padding))])
    assert math.isnan(backend.to_float(mean(x, ())[0]))


@on_every_backend
def test_concat_and_picking_channels(backend):
    check(
        backend,
        lambda x: backend.concat([x, backend.square(x), x]),
        lambda x: np.concatenate([x, x**2, x], 2),
        random(4, 5, 3),
    )
    check(
        backend,
        lambda x: backend.gather(x, [5, 0, 5]),
        lambda x: x[..., [5, 0, 5]],
        random(4, 5, 6),
    )
    check(
        backend,
        lambda x: backend.split(x, [2, 3, 1])[1],
        lambda x: x[..., 2:5],
        random(4, 5, 6),
    )


@on_every_backend
@pytest.mark.parametrize("shift", [(2, 3), (-1, 0), (0, 0), (7, -9)])
def test_roll(backend, shift):
    check(
        backend,
        lambda x: backend.roll(x, *shift),
        lambda x: np.roll(x, shift, (0, 1)),
        random(5, 6, 3),
    )


@on_every_backend
def test_flip(backend):
    check(backend, backend.flip, lambda x: x[:, ::-1], random(5, 6, 3))


@on_every_backend
@pytest.mark.parametrize(
    "matrix",
    [
        (1, 0, 0, 0, 1, 0),
        (0.9, 0.3, -1.2, -0.3, 0.9, 2.1),
        (0.4, 0, 3.3, 0, 2.5, -20.0),  # far beyond both edges
    ],
)
def test_warp(matrix, backend):
    """Bilinear; edges are mirrored as scipy's "reflect" does."""

    def warped(x):
        i, j = np.mgrid[:8, :11]
        a, b, c, d, e, f = matrix
        places = [a * i + b * j + c, d * i + e * j + f]
        channels = [
            ndimage.map_coordinates(x[..., k], places, order=1, mode="reflect")
            for k in range(3)
        ]
        return np.stack(channels, 2)

    held = backend.array(np.array(matrix))
    check(backend, lambda x: backend.warp(x, held), warped, random(8, 11, 3))


@on_every_backend
def test_new_shifts_compile_nothing(backend):
    """Every step of a dream has another shift."""
    if backend.name != "jax":
        pytest.skip("the others compile no shifts")
    from keras_dream.backend.jax import _roll

    x = backend.image(random(5, 6, 3))
    backend.roll(x, 1, 2)
    before = _roll._cache_size()
    for shift in range(5):
        backend.roll(x, shift, -shift)
    assert _roll._cache_size() == before


@on_every_backend
@pytest.mark.parametrize("method", ["lanczos3", "linear", "linear_corners"])
@pytest.mark.parametrize("size", [(13, 18), (6, 5), (9, 11), (1, 1)])
def test_resample(backend, method, size):
    rows = geometry.taps(9, size[0], method)
    columns = geometry.taps(11, size[1], method)

    def resampled(x):
        down = np.einsum("nkwc,nk->nwc", x[rows[0]], rows[1])
        return np.einsum("hnkc,nk->hnc", down[:, columns[0]], columns[1])

    check(
        backend,
        lambda x: backend.resample(x, rows, columns),
        resampled,
        random(9, 11, 3),
    )


@on_every_backend
def test_count(backend):
    x = backend.image(random(5, 6, 7))
    assert float(backend.count(x)) == 210
    inside = backend.value_and_grad(
        lambda x, plan: backend.divide(backend.sum(x), backend.count(x))
    )
    value, gradient = inside(x, ())
    assert backend.to_float(value) == pytest.approx(random(5, 6, 7).mean(), abs=1e-6)
    np.testing.assert_allclose(backend.to_image(gradient), 1 / 210, rtol=1e-6)


# -- pointwise ------------------------------------------------------------------------
@on_every_backend
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("operand", ["map", "cell", "vector", "number"])
@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide", "maximum"])
def test_arithmetic(backend, name, operand, channels):
    shape = {"map": (4, 5, 3), "cell": (1, 1, 3), "vector": (3,), "number": ()}[operand]
    y = random(*shape, seed=3)
    if operand == "number":
        held = float(y)
    else:
        held = backend.array(y) if operand == "vector" else backend.image(y)
    function = {
        "add": np.add,
        "subtract": np.subtract,
        "multiply": np.multiply,
        "divide": np.divide,
        "maximum": np.maximum,
    }[name]
    check(
        backend,
        lambda x: getattr(backend, name)(x, held),
        lambda x: function(x, y.astype(np.float64)),
        random(4, 5, channels),
    )


@on_every_backend
def test_the_gradient_between_equals_belongs_to_the_first_operand(backend):
    ones = np.ones((3, 4, 3), np.float32)
    held = backend.image(ones)
    for y in (held, 1.0):
        gradient = gradient_of(
            backend, lambda x, y=y: backend.maximum(x, y), ones, ones
        )
        np.testing.assert_array_equal(gradient, ones)


@on_every_backend
@pytest.mark.parametrize(
    ("name", "reference"),
    [("square", np.square), ("absolute", np.abs)],
)
def test_powers(backend, name, reference):
    check(backend, getattr(backend, name), reference, random(4, 5, 3))


@on_every_backend
def test_roots(backend):
    x = np.abs(random(4, 5, 3)) + 0.1
    check(backend, lambda x: backend.power(x, 0.5), np.sqrt, x)
    zero = backend.power(backend.array(np.zeros(3)), 0.5)
    assert not backend.to_numpy(zero).any()


@on_every_backend
def test_clip(backend):
    check(
        backend,
        lambda x: backend.clip(x, -0.5, 0.7),
        lambda x: np.clip(x, -0.5, 0.7),
        random(4, 5, 3),
    )
    edges = np.array([0, 1], np.float32).reshape(1, 2, 1)
    gradient = gradient_of(
        backend, lambda x: backend.clip(x, 0.0, 1.0), edges, np.ones_like(edges)
    )
    np.testing.assert_array_equal(gradient, np.ones_like(edges))


@on_every_backend
@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("scale", [0.5, 6])
def test_activations(backend, name, scale):
    check(
        backend,
        lambda x: backend.activation(x, name, negative_slope=0.3),
        lambda x: activated(x, name, 0.3),
        scale * random(6, 7, 5),
    )


@on_every_backend
@pytest.mark.parametrize("name", sorted({*ACTIVATIONS} - {"exponential"}))
def test_activations_of_large_values_are_finite(backend, name):
    x = np.array([-200, -90, 0, 90, 200], np.float32).reshape(1, 5, 1)
    held = backend.image(x)
    found = backend.to_image(backend.activation(held, name, negative_slope=1.0))
    expected = activated(x.astype(np.float64), name, 1.0)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-30)
    gradient = gradient_of(
        backend,
        lambda x: backend.activation(x, name, negative_slope=1.0),
        x,
        np.ones_like(x),
    )
    assert np.isfinite(gradient).all()


# -- reductions -----------------------------------------------------------------------
@on_every_backend
def test_reductions(backend):
    x = random(7, 8, 3)
    held = backend.image(x)
    assert backend.to_float(backend.sum(held)) == pytest.approx(
        float(x.sum()), abs=1e-4
    )
    assert backend.to_float(backend.mean(held)) == pytest.approx(x.mean(), abs=1e-6)
    check(backend, backend.global_mean, lambda x: x.mean((0, 1), keepdims=True), x)
    check(backend, backend.global_max, lambda x: x.max((0, 1), keepdims=True), x)


@on_every_backend
def test_the_first_of_equals_wins_the_global_maximum(backend):
    x = np.random.default_rng(5).integers(0, 2, (6, 7, 4)).astype(np.float32)
    weights = random(1, 1, 4, seed=1)
    found = gradient_of(backend, backend.global_max, x, weights)
    expected = gradient_of_max_pool(x, (6, 7), (1, 1), (0, 0, 0, 0), weights)
    np.testing.assert_array_equal(found, expected)


@on_every_backend
@pytest.mark.parametrize("vector", [False, True])
def test_dot(backend, vector):
    y = random(3, seed=3) if vector else random(4, 5, 3, seed=3)
    held = backend.array(y) if vector else backend.image(y)
    check(
        backend,
        lambda x: backend.dot(x, held),
        lambda x: (x * y).sum(-1, keepdims=True),
        random(4, 5, 3),
    )


@on_every_backend
def test_channel_max(backend):
    check(
        backend,
        backend.channel_max,
        lambda x: x.max(-1, keepdims=True),
        random(4, 5, 6),
    )
    # Of equals the first has the whole gradient.
    x = np.random.default_rng(5).integers(0, 2, (4, 5, 6)).astype(np.float32)
    found = gradient_of(backend, backend.channel_max, x, random(4, 5, 1, seed=1))
    expected = np.eye(6)[x.argmax(-1)] * random(4, 5, 1, seed=1)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@on_every_backend
def test_gram(backend):
    x, weights = random(4, 5, 6), random(6, 6, seed=1)

    def reference(x):
        cells = x.reshape(-1, 6)
        return ((cells.T @ cells / len(cells)) * weights).sum()

    found = backend.to_numpy(backend.gram(backend.image(x)))
    cells = x.reshape(-1, 6)
    np.testing.assert_allclose(found, cells.T @ cells / 20, rtol=1e-4, atol=1e-6)
    held = backend.array(weights)
    step = backend.value_and_grad(
        lambda x, _: backend.sum(backend.multiply(backend.gram(x), held))
    )
    gradient = backend.to_image(step(backend.image(x), ())[1])
    along = random(4, 5, 6, seed=2)
    change = finite_difference(reference, [x], [along])
    assert (gradient * along).sum() == pytest.approx(change, rel=1e-4)


@on_every_backend
def test_a_stopped_gradient(backend):
    x = random(4, 5, 3)
    found = gradient_of(
        backend,
        lambda x: backend.multiply(x, backend.stop_gradient(x)),
        x,
        np.ones_like(x),
    )
    np.testing.assert_array_equal(found, x)


@on_every_backend
def test_size(backend):
    assert tuple(map(int, backend.size(backend.image(random(4, 7, 3))))) == (4, 7)

    # Inside of a program that serves all sizes, the size is that of the call.
    def middle(x, _):
        height, width = backend.size(x)
        row, column = height // 2, width // 2
        return backend.sum(
            backend.crop(x, (row, height - row - 1, column, width - column - 1))
        )

    step = backend.value_and_grad(middle)
    for shape in ((4, 7, 3), (5, 2, 3)):
        x = random(*shape)
        value, gradient = step(backend.image(x), ())
        cell = np.zeros_like(x)
        cell[shape[0] // 2, shape[1] // 2] = 1
        assert backend.to_float(value) == pytest.approx((x * cell).sum(), rel=1e-5)
        np.testing.assert_array_equal(backend.to_image(gradient), cell)


@on_every_backend
@pytest.mark.parametrize(
    ("value", "finite"), [(1, True), (np.nan, False), (-np.inf, False)]
)
def test_is_finite(backend, value, finite):
    x = random(4, 5, 3)
    x[2, 3, 1] = value
    assert backend.is_finite(backend.image(x)) is finite


# -- spectra --------------------------------------------------------------------------
SIZES = [(6, 8), (7, 9), (8, 5), (5, 4)]


@on_every_backend
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("half", [0, 1])
def test_fft(backend, size, half):
    check(
        backend,
        lambda x: backend.fft(x)[half],
        lambda x: [np.real, np.imag][half](np.fft.rfft2(x, axes=(0, 1))),
        random(*size, 3),
    )


@on_every_backend
@pytest.mark.parametrize("size", SIZES)
def test_inverse_fft(backend, size):
    # The gradient has to know which halves stand for two values and which for one.
    imaginary = random(size[0], size[1] // 2 + 1, 3, seed=3)
    held = backend.image(imaginary)
    check(
        backend,
        lambda x: backend.inverse_fft(x, held, size),
        lambda x: np.fft.irfft2(x + 1j * imaginary, s=size, axes=(0, 1)),
        random(size[0], size[1] // 2 + 1, 3),
    )
    real = backend.image(random(size[0], size[1] // 2 + 1, 3, seed=4))
    check(
        backend,
        lambda x: backend.inverse_fft(real, x, size),
        lambda x: np.fft.irfft2(
            random(size[0], size[1] // 2 + 1, 3, seed=4) + 1j * x, s=size, axes=(0, 1)
        ),
        random(size[0], size[1] // 2 + 1, 3),
    )


@on_every_backend
@pytest.mark.parametrize("size", SIZES)
def test_fft_and_back(backend, size):
    check(
        backend,
        lambda x: backend.inverse_fft(*backend.fft(x), size),
        lambda x: x,
        random(*size, 3),
    )


# -- calculus -------------------------------------------------------------------------
@on_every_backend
def test_one_step_of_a_small_network(backend):
    first, second = random(3, 3, 3, 8, seed=3) / 3, random(3, 3, 8, 4, seed=4) / 8
    kernels = backend.kernel(first), backend.kernel(second)

    def network(x, plan):
        y = backend.conv2d(x, kernels[0], None, padding=(1, 1, 1, 1), relu=True)
        y = backend.max_pool(y, size=(2, 2), stride=(2, 2), padding=(0, 0, 0, 0))
        y = backend.conv2d(y, kernels[1], None, stride=(2, 2), padding=(0, 1, 0, 1))
        return backend.mean(backend.square(y))

    x, along = random(12, 12, 3), random(12, 12, 3, seed=2)
    step = backend.value_and_grad(network)
    value, gradient = step(backend.image(x), ())

    def at(t):
        return backend.to_float(step(backend.image(x + t * along), ())[0])

    assert backend.to_float(value) == at(0)
    expected = (at(1e-3) - at(-1e-3)) / 2e-3
    gradient = backend.to_image(gradient)
    assert (gradient * along).sum() == pytest.approx(expected, rel=0.01)


@on_every_backend
def test_a_value_without_the_picture_has_no_gradient(backend):
    other = backend.image(random(3, 4, 3, seed=1))
    step = backend.value_and_grad(lambda x, plan: backend.sum(other))
    value, gradient = step(backend.image(random(5, 6, 3)), ())
    assert backend.to_float(value) == pytest.approx(random(3, 4, 3, seed=1).sum(), 1e-5)
    assert not backend.to_image(gradient).any()
    assert backend.to_image(gradient).shape == (5, 6, 3)


@on_every_backend
def test_one_program_serves_all_sizes_as_promised(backend):
    kernel = random(3, 3, 3, 4, seed=3)
    held = backend.kernel(kernel)
    traces = []

    def objective(x, plan):
        traces.append(plan)
        padding = (plan[0], plan[1], plan[2], plan[3])
        y = backend.conv2d(x, held, None, stride=(2, 2), padding=padding)
        y = backend.max_pool(y, size=(2, 2), stride=(1, 1), padding=padding)
        y = backend.average_pool(y, size=(2, 2), stride=(1, 1), padding=padding)
        return backend.sum(backend.crop(y, (0, plan[1], plan[3], 0)))

    step = backend.value_and_grad(objective)
    for size, plan in (
        ((12, 13), (0, 1, 1, 1)),
        ((17, 11), (1, 1, 0, 1)),
        ((9, 8), (0, 0, 0, 1)),
    ):
        x = random(*size, 3)
        y = convolved(x.astype(np.float64), kernel, (2, 2), plan, (1, 1))
        y = pooled(y, (2, 2), (1, 1), plan, np.max, -np.inf)
        y = pooled(y, (2, 2), (1, 1), plan, np.nanmean)
        expected = y[: y.shape[0] - plan[1], plan[3] :].sum()
        for _ in range(2):
            value, gradient = step(backend.image(x), plan)
            assert backend.to_float(value) == pytest.approx(expected, rel=1e-4)
            assert backend.to_image(gradient).shape == x.shape
    assert len(traces) == {"torch": 6, "jax": 3, "tensorflow": 1}[backend.name]


@on_every_backend
def test_a_function_gives_all_its_maps(backend):
    held = backend.array(random(3, seed=3))
    look = backend.function(
        lambda x, plan: [
            backend.multiply(x, held),
            backend.crop(x, (plan[0], 0, 0, plan[1])),
            backend.global_mean(x),
        ]
    )
    for size in ((5, 6), (7, 4)):
        x = random(*size, 3)
        maps = [backend.to_image(y) for y in look(backend.image(x), (1, 2))]
        np.testing.assert_allclose(maps[0], x * random(3, seed=3), rtol=1e-6)
        np.testing.assert_array_equal(maps[1], x[1:, :-2])
        np.testing.assert_allclose(maps[2], x.mean((0, 1), keepdims=True), atol=1e-6)


@on_every_backend
@pytest.mark.parametrize("size", SIZES)
def test_the_gradient_of_several_arrays_has_their_structure(backend, size):
    """A canvas: a scaled spectrum in decorrelated colours, behind a sigmoid."""
    shape = (size[0], size[1] // 2 + 1, 3)
    arrays = [random(*shape, seed=3), random(*shape, seed=4), random(5, seed=5)]
    scale, colours = 1 + random(*shape[:2], 1, seed=6) ** 2, random(3, 3, seed=7)
    weights = random(*size, 3, seed=8)
    held = backend.image(scale), backend.array(colours), backend.image(weights)

    def loss(x, plan, down, right):
        real, imaginary, row = x
        halves = (backend.multiply(half, held[0]) for half in (real, imaginary))
        image = backend.matmul(backend.inverse_fft(*halves, size), held[1])
        image = backend.roll(backend.activation(image, "sigmoid"), down, right)
        weighted = backend.sum(backend.multiply(image, held[2]))
        return backend.add(weighted, backend.sum(backend.square(row)))

    def reference(real, imaginary, row):
        spectrum = scale * (real + 1j * imaginary)
        image = np.fft.irfft2(spectrum, s=size, axes=(0, 1)) @ colours
        image = np.roll(special.expit(image), (2, -1), (0, 1))
        return (image * weights).sum() + (row**2).sum()

    x = (*map(backend.image, arrays[:2]), backend.array(arrays[2]))
    value, gradient = backend.value_and_grad(loss)(x, (), 2, -1)
    assert backend.to_float(value) == pytest.approx(reference(*arrays), rel=1e-4)
    assert isinstance(gradient, tuple)
    *halves, row = gradient
    found = [*map(backend.to_image, halves), backend.to_numpy(row)]
    assert [a.shape for a in found] == [a.shape for a in arrays]
    for i in range(3):
        along = [random(*a.shape, seed=9) * (i == j) for j, a in enumerate(arrays)]
        change = finite_difference(reference, arrays, along)
        assert (found[i] * along[i]).sum() == pytest.approx(change, rel=1e-4, abs=1e-4)


@on_every_backend
def test_an_array_that_does_not_reach_the_value_has_no_gradient(backend):
    step = backend.value_and_grad(lambda x, plan: backend.sum(x[0]))
    arrays = random(4, 5, 2), random(3, 2)
    x = backend.image(arrays[0]), backend.array(arrays[1])
    _, (first, second) = step(x, ())
    assert (backend.to_image(first) == 1).all()
    np.testing.assert_array_equal(backend.to_numpy(second), np.zeros((3, 2)))


@on_every_backend
def test_constants_compile_nothing_and_have_no_gradient(backend):
    traces = []

    def objective(x, plan, scale, down, right):
        traces.append(plan)
        return backend.sum(backend.multiply(backend.roll(x, down, right), scale))

    step = backend.value_and_grad(objective)
    x = random(5, 6, 3)
    for shift in ((0, 0), (1, 2), (-3, 7), (4, -1)):
        scale = random(5, 6, 3, seed=sum(shift))
        value, gradient = step(backend.image(x), (), backend.image(scale), *shift)
        rolled = np.roll(x, shift, (0, 1))
        assert backend.to_float(value) == pytest.approx((rolled * scale).sum(), 1e-4)
        back = np.roll(scale, (-shift[0], -shift[1]), (0, 1))
        np.testing.assert_array_equal(backend.to_image(gradient), back)
    assert len(traces) == {"torch": 4, "jax": 1, "tensorflow": 1}[backend.name]


@on_every_backend
def test_threads_compile_one_program(backend):
    traces, barrier = [], threading.Barrier(8)

    def objective(x, plan):
        traces.append(plan)
        time.sleep(0.01)  # so that every thread comes before the first is done
        return backend.sum(backend.square(x))

    step = backend.value_and_grad(objective)
    x = random(5, 6, 3)

    def call(_):
        barrier.wait(60)
        return backend.to_image(step(backend.image(x), (1, 2))[1])

    with ThreadPoolExecutor(8) as pool:
        for gradient in pool.map(call, range(8)):
            np.testing.assert_allclose(gradient, 2 * x, rtol=1e-6)
    assert len(traces) == {"torch": 8, "jax": 1, "tensorflow": 1}[backend.name]


@on_every_backend
def test_a_static_function_sees_sizes_and_plan_as_numbers(backend):
    seen = []

    def look(x, plan):
        padded = backend.pad(x, (plan[0], 0, 0, plan[1]))
        seen.append((tuple(backend.to_keras(padded).shape), plan))
        return [padded]

    run = backend.function(look, static=True)
    for size, plan in (((5, 6), (1, 2)), ((7, 4), (1, 2)), ((7, 4), (0, 1))):
        (y,) = run(backend.image(random(*size, 3)), plan)
        height, width = size[0] + plan[0], size[1] + plan[1]
        assert seen[-1] == ((1, height, width, 3), plan)
        assert backend.to_image(y).shape == (height, width, 3)


@on_every_backend
def test_keras_sees_channels_last(backend):
    x = random(4, 5, 3)
    tensor = backend.to_keras(backend.image(x))
    assert tuple(tensor.shape) == (1, 4, 5, 3)
    np.testing.assert_array_equal(backend.to_image(backend.from_keras(tensor)), x)


# -- precision ------------------------------------------------------------------------
@on_every_backend
def test_bfloat16_stays_inside_the_network(backend):
    half = load(backend.name, precision="bfloat16")
    kernel, bias = random(3, 3, 3, 16, seed=3) / 5, random(16, seed=4)
    deep = random(3, 3, 16, 1, seed=5) / 3
    x = random(20, 22, 3)

    def step(on):
        held, shift = on.kernel(kernel), on.array(bias)
        second = on.depthwise_kernel(deep)

        def network(x, plan):
            y = on.conv2d(x, held, shift, padding=(1, 1, 1, 1), relu=True)
            assert ("bfloat16" in str(y.dtype)) == (on is half)
            y = on.max_pool(y, size=(3, 3), stride=(2, 2), padding=(1, 1, 1, 1))
            y = on.average_pool(y, size=(3, 3), stride=(1, 1), padding=(1, 1, 1, 1))
            y = on.depthwise_conv2d(y, second, None)
            y = on.multiply(on.add(y, shift), 2.0)
            y = on.concat(
                [on.activation(y, name, negative_slope=0.1) for name in ACTIVATIONS]
            )
            y = on.crop(on.pad(y, (1, 1, 1, 1), mode="wrap"), (1, 0, 0, 1))
            assert ("bfloat16" in str(y.dtype)) == (on is half)
            return on.mean(on.square(on.add(y, on.global_mean(y))))

        value, gradient = on.value_and_grad(network)(on.image(x), ())
        assert "float32" in str(value.dtype)
        assert "float32" in str(gradient.dtype)
        return on.to_float(value), on.to_image(gradient)

    (value, gradient), (rough, rough_gradient) = step(backend), step(half)
    assert rough == pytest.approx(value, rel=0.05)
    likeness = (gradient * rough_gradient).sum() / np.sqrt(
        np.square(gradient).sum() * np.square(rough_gradient).sum()
    )
    assert likeness > 0.9


@on_every_backend
def test_auto_takes_bfloat16_only_where_it_is_the_faster_one(backend, monkeypatch):
    on_cpu = load(backend.name, device="cpu")
    assert not on_cpu.fast_bfloat16()  # limited by tests/conftest.py
    flags = "keras_dream.backend.host.processor_flags"
    monkeypatch.setattr(flags, lambda: frozenset({"avx512_bf16"}))
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA")
    assert on_cpu.fast_bfloat16() == (backend.name != "jax")
    if backend.name == "tensorflow":
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
        assert not on_cpu.fast_bfloat16()
    half = on_cpu.at("bfloat16")
    assert (half.precision, half.device) == ("bfloat16", on_cpu.device)


@on_every_backend
@pytest.mark.parametrize("depthwise", [False, True])
def test_what_reads_the_image_is_float32(backend, depthwise):
    """bfloat16 has 8 bits: it would lose what the kernel is the difference of."""
    half = load(backend.name, precision="bfloat16")

    def difference(channels):
        x = np.ones((4, 4, channels), np.float32)
        x[:2] += 2**-10
        kernel = np.zeros((3, 1, channels, 1), np.float32)
        kernel[0, :, 0], kernel[2, :, 0] = 1, -1
        if depthwise:
            made = half.depthwise_kernel(kernel)
            y = half.depthwise_conv2d(half.image(x), made, None)
        else:
            y = half.conv2d(half.image(x), half.kernel(kernel), None)
        assert "bfloat16" in str(y.dtype)
        return half.to_image(y)[0, 0, 0]

    assert difference(3) == 2**-10
    assert difference(4) == 0


@on_every_backend
def test_sums_of_bfloat16_are_float32(backend):
    half = load(backend.name, precision="bfloat16")
    identity = half.kernel(np.ones((1, 1, 1, 1), np.float32))
    # bfloat16 cannot count beyond 256.
    ones = half.conv2d(half.image(np.ones((40, 50, 1), np.float32)), identity, None)
    assert half.to_float(half.sum(ones)) == 2000
    assert half.to_float(half.mean(ones)) == 1
    assert half.to_image(half.global_mean(ones)).item() == 1
