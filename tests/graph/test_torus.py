"""Networks on a torus: shifted pictures, interiors, and what is refused."""

import keras
import numpy as np
import pytest
import small_models
from backends import torch_only
from keras import layers
from lowered import maps, slope_of
from reference import off, picture, randomise

from keras_dream.errors import NetworkError
from keras_dream.graph.passes import optimise
from keras_dream.graph.torus import on_torus
from keras_dream.lowering.walker import lower

SIDE, SHIFT = 36, 12  # multiples of every stride below

FREE = [
    build
    for build in small_models.FREE
    if build not in (small_models.opaque, small_models.activations)
]


def lowered(build):
    own = build.__name__ in ("sequential", "normalised")
    return lower(small_models.made(build), preprocessing=None if own else "tf")


def spatial(graph):
    """The last node that is a map with cells, not a single one."""
    sizes = graph.plan(SIDE, SIDE).sizes
    return [node.name for node in graph.nodes if min(sizes[node.name]) > 1][-1]


@pytest.mark.backends
@pytest.mark.parametrize(
    ("build", "wrap"),
    [
        (small_models.depthwise, "both"),
        (small_models.nested, "horizontal"),
        *[torch_only(b, "both") for b in FREE if b is not small_models.depthwise],
        torch_only(small_models.convolutions, "horizontal"),
        torch_only(small_models.pools, "horizontal"),
    ],
    ids=lambda b: getattr(b, "__name__", b),
)
def test_a_shifted_picture_has_the_shifted_gradient(build, wrap, backend):
    exact = lowered(build)
    node = spatial(exact)
    graph = on_torus(optimise(exact, [node], merge=backend.merges), wrap)
    image = picture(SIDE, SIDE)
    shift = (SHIFT if wrap == "both" else 0, SHIFT)
    value, gradient = slope_of(graph, [node], image, backend)
    shifted, moved = slope_of(graph, [node], np.roll(image, shift, (0, 1)), backend)
    assert shifted == pytest.approx(value, rel=1e-5)
    assert off(moved, np.roll(gradient, shift, (0, 1))) < 1e-5


@pytest.mark.backends
def test_zeros_at_the_edges_are_what_wrapping_takes_away(backend):
    """Without it the same comparison fails, and inside nothing changes."""
    exact = lowered(small_models.nested)
    node = exact.node_of("joined")
    image = picture(SIDE, SIDE)
    (whole,) = maps(on_torus(exact, "both"), [node], image, backend)
    (plain,) = maps(exact, [node], image, backend)
    (shifted,) = maps(exact, [node], np.roll(image, SHIFT, (0, 1)), backend)
    assert whole.shape[:2] == (SIDE, SIDE)
    assert plain.shape[:2] == (SIDE - 2, SIDE - 2)  # one window is not padded
    assert off(shifted, np.roll(plain, SHIFT, (0, 1))) > 0.05
    inside = slice(8, SIDE - 10)
    assert off(whole[inside, inside], plain[inside, inside]) < 1e-5


def test_horizontal_keeps_the_edges_above_and_below(backend):
    exact = lowered(small_models.nested)
    node = exact.node_of("joined")
    image = picture(SIDE, SIDE)
    (found,) = maps(on_torus(exact, "horizontal"), [node], image, backend)
    (plain,) = maps(exact, [node], image, backend)
    assert found.shape[:2] == (SIDE - 2, SIDE)
    columns = slice(8, SIDE - 10)
    assert off(found[:, columns], plain[:, columns]) < 1e-5


@pytest.mark.parametrize("side", [35, 34, 33])
def test_sides_that_strides_do_not_divide_have_cells_all_the_way(side, backend):
    exact = lowered(small_models.convolutions)
    node = exact.node_of("same2")
    (found,) = maps(on_torus(exact, "both"), [node], picture(side, side), backend)
    assert found.shape[:2] == (-(-side // 2),) * 2


def test_explicit_padding_starts_where_the_network_starts(backend):
    """ResNet's stem: zeros of three cells, then windows of seven, every second."""
    image = keras.Input((None, None, 3))
    x = layers.ZeroPadding2D(3, name="zeros")(image)
    x = layers.Conv2D(4, 7, strides=2, name="stem")(x)
    x = layers.Cropping2D(((1, 0), (1, 0)), name="cut")(x)
    model = randomise(keras.Model(image, layers.Conv2D(3, 1, name="last")(x)))
    exact = lower(model, preprocessing="0-1")
    image = picture(SIDE, SIDE)
    (found,) = maps(on_torus(exact, "both"), ["last"], image, backend)
    (plain,) = maps(exact, ["last"], image, backend)
    assert found.shape[:2] == (SIDE // 2,) * 2
    assert off(found[1:14, 1:14], plain[1:14, 1:14]) < 1e-5


def test_a_layer_of_keras_own_is_refused():
    with pytest.raises(NetworkError, match="padding can wrap; received own"):
        on_torus(lowered(small_models.opaque), "both")


def test_a_map_smaller_than_its_padding_vanishes():
    image = keras.Input((None, None, 3))
    x = layers.Conv2D(2, 7, padding="same", name="wide")(image)
    graph = on_torus(lower(keras.Model(image, x), preprocessing="0-1"), "both")
    assert graph.misfit((3, 3)) is None
    misfit = graph.misfit((2, 3))
    assert misfit is not None
    assert misfit.vanishes
    assert misfit.axes == (0,)
    assert (
        misfit.text == "wide/wrap needs more cells than there are at the opposite edge"
    )
