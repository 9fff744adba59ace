"""What the torch backend promises beyond the numbers: its layout, and no graph."""

import contextlib
import gc
import os

import numpy as np
import pytest

if os.environ.get("KERAS_BACKEND", "torch") != "torch":
    pytest.skip("the torch backend alone", allow_module_level=True)

import torch
from torch.utils._python_dispatch import TorchDispatchMode

import keras_dream as kd
from keras_dream.backend.torch import TorchBackend
from keras_dream.engine.goals import Context, resolve
from keras_dream.engine.gradients import (
    ObjectiveGraph,
    PreparedObjective,
    WholeGradient,
)
from keras_dream.graph.graph import Graph
from keras_dream.graph.ops import Node
from keras_dream.parts.losses import L2Mean
from keras_dream.parts.transforms import View
from keras_dream.recipe.objectives import parse

LAYOUT_COPIES = ("aten.clone", "aten.contiguous", "aten._to_copy")
VIEWS = ("aten.expand", "aten.slice")  # of a mean's gradient, of a concat's: no memory
POINT = {"stride": [1, 1], "padding": "same", "dilation": [1, 1], "groups": 1}


def block():
    """Two convolutions and a pool of one image, joined: the shape of Inception."""
    generator = np.random.default_rng(0)
    pool = {"size": [3, 3], "stride": [1, 1], "padding": "same"}
    nodes = (
        Node("input", "input", (), {"channels": 3}),
        Node("stem", "conv2d", ("input",), {**POINT, "stride": [2, 2]}),
        Node("relu", "activation", ("stem",), {"kind": "relu"}),
        Node("wide", "conv2d", ("relu",), POINT),
        Node("pool", "max_pool", ("relu",), pool),
        Node("mixed", "concat", ("wide", "pool")),
        Node("mean", "average_pool", ("mixed",), pool),
        Node("whole", "global_mean", ("mean",)),
    )
    weights = {
        "stem/kernel": generator.normal(size=(3, 3, 3, 8)).astype(np.float32),
        "wide/kernel": generator.normal(size=(3, 3, 8, 16)).astype(np.float32),
    }
    return Graph(
        nodes=nodes, weights=weights, layers={"mean": "mean", "whole": "whole"}
    )


class Watch(TorchDispatchMode):
    """Notes every operation that copies a map, or makes one in another layout."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        name = str(function)
        maps = [result] if isinstance(result, torch.Tensor) else []
        for y in (y for y in maps if y.dim() == 4):
            is_last = y.is_contiguous(memory_format=torch.channels_last)
            copied = name.startswith(LAYOUT_COPIES)
            if copied or not (is_last or name.startswith(VIEWS)):
                self.found.append(name)
        return result


@pytest.fixture
def gradient(backend):
    goals = resolve(block(), parse("mean + whole").networks[0])
    graph = ObjectiveGraph(block(), goals, border=0, merge=backend.merges)
    context = Context(backend, L2Mean(), border=0)
    return WholeGradient(PreparedObjective(graph, goals, context))


def test_a_step_keeps_channels_last_from_end_to_end(backend, gradient):
    image = backend.image(np.random.default_rng(1).random((33, 47, 3)))
    gradient(image, (33, 47), view=View((33, 47)), original=None)
    with Watch() as watch:
        _, gradient = gradient(image, (33, 47), view=View((33, 47)), original=None)
    assert watch.found == []
    assert gradient.is_contiguous(memory_format=torch.channels_last)


def test_the_watch_sees_a_layout_copy():
    with Watch() as watch:
        torch.rand(1, 4, 5, 6).clone()
    assert watch.found


def with_graphs():
    """Returns the tensors that hold a graph, whoever made them."""
    gc.collect()
    return {id(o) for o in gc.get_objects() if type(o) is torch.Tensor and o.grad_fn}


def test_a_step_leaves_no_graph_behind(backend, gradient):
    image = backend.image(np.random.default_rng(1).random((33, 47, 3)))
    before = with_graphs()
    value, gradient = gradient(image, (33, 47), view=View((33, 47)), original=None)
    assert value.grad_fn is None
    assert gradient.grad_fn is None
    assert not image.requires_grad
    assert with_graphs() <= before


MODES = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu"),
}


@pytest.mark.parametrize("canvas", ["pixels", "fourier"])
@pytest.mark.parametrize("inside", MODES)
def test_the_callers_modes_do_not_change_a_dream(motif, inside, canvas):
    image = np.random.default_rng(2).random((32, 40, 3), np.float32)
    recipe = kd.Recipe(octaves=1, steps=2, canvas=canvas)
    value, gradient = kd.Dreamer("motif").gradient(image, recipe)
    expected = kd.Dreamer("motif").dream(image, recipe).image
    assert gradient.any()
    # The dreamer is made, first used and used again inside and outside of the mode.
    for order in ((0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 1), (1, 1, 0)):
        modes = [MODES[inside] if mode else contextlib.nullcontext for mode in order]
        with modes[0]():
            dreamer = kd.Dreamer("motif")
        for mode in modes[1:]:
            with mode():
                assert dreamer.gradient(image, recipe)[0] == value
                np.testing.assert_array_equal(
                    dreamer.gradient(image, recipe)[1], gradient
                )
                dreamed = dreamer.dream(image, recipe).image
            np.testing.assert_array_equal(dreamed, expected)


def test_a_dream_that_goes_on_in_another_mode_is_the_same(motif):
    image = np.random.default_rng(2).random((32, 40, 3), np.float32)
    recipe = kd.Recipe(octaves=2, steps=2)
    dreamer = kd.Dreamer("motif")
    expected = [step.image() for step in dreamer.steps(image, recipe)]
    steps = dreamer.steps(image, recipe)
    for number, image in enumerate(expected):
        with torch.inference_mode(number % 2 == 0):
            np.testing.assert_array_equal(next(steps).image(), image)


def test_an_image_has_the_layout_of_what_is_computed_from_it(backend):
    """Or sums would round otherwise in a dream that goes on from a saved canvas."""
    image = backend.image(np.zeros((5, 7, 3), np.float32))
    copy = torch.clone(image, memory_format=torch.channels_last)
    assert image.stride() == copy.stride()


# -- what only GPUs compute in another way --------------------------------------------
@pytest.fixture
def as_on_a_gpu():
    """The operations as a GPU gets them, computed here."""
    return TorchBackend(torch.device("cuda"), "float32")


def value_and_gradient(operation, x):
    x = x.detach().requires_grad_()
    y = operation(x)
    weights = torch.linspace(-1, 1, y.numel(), device=y.device).reshape(y.shape)
    return y.detach(), torch.autograd.grad(y, x, weights)[0]


@pytest.mark.parametrize("padding", [(1, 1, 1, 1), (0, 0, 0, 0), (1, 0, 0, 1)])
@pytest.mark.parametrize("stride", [(1, 1), (2, 2)])
def test_an_average_pool_is_the_same_without_padding_of_torch(
    backend, as_on_a_gpu, stride, padding
):
    x = backend.image(np.random.default_rng(0).random((9, 12, 5)))
    how = {"size": (3, 3), "stride": stride, "padding": padding}
    pools = (backend.average_pool, as_on_a_gpu.average_pool)
    here, there = (value_and_gradient(lambda x, p=p: p(x, **how), x) for p in pools)
    for one, other in zip(here, there, strict=True):
        torch.testing.assert_close(other, one)


@pytest.mark.parametrize(
    "matrix",
    [(1, 0, 0, 0, 1, 0), (0.9, 0.3, -1.2, -0.3, 0.9, 2.1), (2, 0, -9, 0, 3, 7)],
)
def test_a_warp_is_the_same_by_picking_cells(backend, as_on_a_gpu, matrix):
    x = backend.image(np.random.default_rng(0).random((8, 11, 3)))
    matrix = backend.array(np.array(matrix))
    warps = (backend.warp, as_on_a_gpu.warp)
    here, there = (value_and_gradient(lambda x, w=w: w(x, matrix), x) for w in warps)
    for one, other in zip(here, there, strict=True):
        torch.testing.assert_close(other, one, atol=1e-5, rtol=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize(
    "settings",
    [{}, {"transforms": "flip + scale + pad(8)"}, {"canvas": "laplacian"}],
    ids=str,
)
def test_a_dream_on_a_gpu_repeats_itself(settings):
    dreamer = kd.Dreamer("motif")
    photo = np.random.default_rng(0).random((160, 200, 3)).astype(np.float32)
    first, again = (
        dreamer.dream(photo, "default", steps=4, **settings).image for _ in range(2)
    )
    assert np.array_equal(first, again)
    assert not torch.are_deterministic_algorithms_enabled()  # the caller's mode
