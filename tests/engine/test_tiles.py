"""Tiles of a gradient: their grids, and that all together are the whole."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from backends import RUNNING
from hypothesis import given, settings, strategies as st
from node_graphs import random_graph
from reference import off, picture

from keras_dream.backend.load import load
from keras_dream.engine.goals import Context, resolve
from keras_dream.engine.gradients import (
    ObjectiveGraph,
    PreparedObjective,
    WholeGradient,
)
from keras_dream.engine.tiled import gradient_of
from keras_dream.engine.tiles import grid_of
from keras_dream.errors import SettingError
from keras_dream.graph.graph import Graph
from keras_dream.graph.ops import Node
from keras_dream.parts.part import read_chain
from keras_dream.parts.transforms import TRANSFORMS, draw
from keras_dream.recipe.objectives import parse
from keras_dream.recipe.recipe import Recipe
from keras_dream.recipe.schemes import Scheme

SIZES = st.tuples(st.integers(1, 9), st.integers(1, 9))


@given(st.lists(SIZES, min_size=1, max_size=3), st.integers(1, 12), st.integers(1, 12))
def test_every_cell_is_in_one_tile(sizes, rows, columns):
    maps = {f"node {number}": size for number, size in enumerate(sizes)}
    tiles = list(grid_of(maps, rows, columns))
    for node, (height, width) in maps.items():
        cells = Counter(
            (i, j)
            for tile in tiles
            for i in range(*tile[node][0])
            for j in range(*tile[node][1])
        )
        assert cells == {(i, j): 1 for i in range(height) for j in range(width)}
        assert all(first < end for tile in tiles for first, end in tile[node])
    smallest = [min(side) for side in zip(*sizes, strict=True)]
    assert len(tiles) == min(rows, smallest[0]) * min(columns, smallest[1])


# -- tiles against the whole ----------------------------------------------------------
BACKEND = load(RUNNING)
SCHEMES = st.sampled_from(["cells 2x2", "cells 1x3", "cells 3x2", "cells 9x9"])
LOSSES_IN_TILES = ("l2", "l2_mean", "mean", "half_sum", "even", "even(power=1)")


def prepared(graph, objective, *, loss="l2_mean", border=0, wrap="none"):
    goals = resolve(graph, parse(objective).networks[0])
    optimised = ObjectiveGraph(
        graph, goals, border=border, merge=BACKEND.merges, wrap=wrap
    )
    loss = Recipe(loss=loss).loss
    context = Context(BACKEND, loss, border, Files(graph))
    return PreparedObjective(optimised, goals, context)


class Files:
    """Guides and directions without files."""

    def __init__(self, graph):
        self._graph = graph

    def guide(self, file, node):
        channels = self._graph.channels()[node]
        return np.random.default_rng(3).normal(size=(5, 4, channels))

    def vector(self, file):
        node = file.name.removesuffix(".npy")
        channels = self._graph.channels()[node]
        return np.random.default_rng(4).normal(size=channels).astype(np.float32)


def gradient_at(gradient, size, transforms=(), *, step=0, jitter=0, image=None):
    """Returns (loss, gradient) of a picture by one of its views."""
    views = draw(
        size, transforms, seed=5, octave=0, steps=step + 1, jitter=jitter,
        backend=BACKEND,
    )  # fmt: skip
    (view, *_) = list(views)[step]
    image = picture(*size) if image is None else image
    original = BACKEND.image(picture(*size, seed=1))
    loss, found = gradient(BACKEND.image(image), size, view=view, original=original)
    return BACKEND.to_float(loss), BACKEND.to_image(found)


def check_tiled(objective, schemes, size, **view):
    """Compares gradients in tiles with that of the whole picture."""
    loss, expected = gradient_at(WholeGradient(objective), size, **view)
    assert np.isfinite(expected).all()
    for scheme in schemes:
        tiled = gradient_of(Scheme.read(scheme), objective)
        found, gradient = gradient_at(tiled, size, **view)
        assert found == pytest.approx(loss, rel=1e-5, abs=1e-9), scheme
        assert off(gradient, expected) < 1e-5, scheme
    return expected


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    length=st.integers(1, 6),
    size=st.tuples(st.integers(8, 70), st.integers(8, 70)),
    tiles=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    wrap=st.sampled_from(["none", "none", "none", "horizontal", "both"]),
    border=st.integers(0, 2),
    loss=st.sampled_from(LOSSES_IN_TILES),
    jitter=st.sampled_from([0, 50]),
)
def test_a_random_network_in_tiles(
    seed, length, size, tiles, wrap, border, loss, jitter
):
    random = np.random.default_rng(seed)
    graph, ends = random_graph(random, length)
    cut, other, last = (ends[int(random.integers(len(ends)))] for _ in range(3))
    objective = prepared(
        graph, f"{last} + 0.5*{other}:0,2", loss=loss, border=border, wrap=wrap
    )
    if objective.graph.misfit(size, complete=True) is not None:
        return
    rows, columns = tiles
    names = {node.name for node in objective.graph.graph.nodes}
    schemes = [f"cells {rows}x{columns}"]
    schemes += [f"stem {cut} {rows}x{columns}"] * (cut in names)
    check_tiled(objective, schemes, size, jitter=jitter)


def network():
    """Two convolutions with a stride and a pool between them, and class scores."""
    random = np.random.default_rng(8)
    conv = {"stride": [1, 1], "padding": "same", "dilation": [1, 1], "groups": 1}
    pool = {"size": [3, 3], "stride": [2, 2], "padding": "same"}
    strided = {**conv, "stride": [2, 2], "relu": True}
    kernels = {"early": (3, 3, 3, 6), "late": (3, 5, 6, 8), "scores": (1, 1, 8, 4)}
    return Graph(
        nodes=(
            Node("input", "input", (), {"channels": 3}),
            Node("early", "conv2d", ("input",), strided),
            Node("pool", "max_pool", ("early",), pool),
            Node("late", "conv2d", ("pool",), {**conv, "relu": True}),
            Node("scores", "conv2d", ("late",), conv),
        ),
        weights={
            f"{name}/kernel": random.normal(size=shape).astype(np.float32) / 4
            for name, shape in kernels.items()
        },
        layers={name: name for name in ("early", "pool", "late", "scores")},
        classifier="scores",
        classes=("a", "b", "c", "d"),
    )


NETWORK, SIZE = network(), (37, 46)
TARGETS = [
    "late + 0.3*early:1,4",
    "class:b",
    "neuron(late, 3, 0.9, 0.2) + late:2",
    "neuron(early, 3)",
    "direction(late, late.npy)",
    "caricature(late) + early",
    "guide(a.png, late)",
    "late - 2*tv - blur + l2",
    "tv - l1",
]
STEM_ONLY = ["guide(a.png, late, gram)", "late + 0.5*guide(a.png, early, gram)"]


@pytest.mark.parametrize("target", TARGETS[1:])
def test_every_target_in_tiles(target):
    objective = prepared(NETWORK, target, border=1)
    schemes = ["cells 2x3", "cells 50x1"]
    if objective.graph.nodes:
        last = objective.graph.nodes[0]
        schemes += [f"stem {last} 3x1", "stem early 2x2"]
    check_tiled(objective, schemes, SIZE, jitter=20)


@pytest.mark.backends
def test_tiles_on_every_backend():
    objective = prepared(NETWORK, TARGETS[0], loss="even", border=1)
    check_tiled(objective, ["cells 1x2", "stem pool 1x2"], SIZE, jitter=20)


def test_layers_that_see_everything_and_layers_that_pass_the_cut():
    """A gate that is a mean of all cells; the picture is read behind the cut, too."""
    random = np.random.default_rng(9)
    conv = {"stride": [1, 1], "padding": "same", "dilation": [1, 1], "groups": 1}
    pool = {"size": [2, 2], "stride": [2, 2], "padding": "same"}
    kernels = {"a": (3, 3, 3, 4), "gate": (1, 1, 4, 4), "b": (3, 3, 4, 4)}
    nodes = (
        Node("input", "input", (), {"channels": 3}),
        Node("a", "conv2d", ("input",), {**conv, "stride": [2, 2], "relu": True}),
        Node("all", "global_mean", ("a",)),
        Node("gate", "conv2d", ("all",), conv),
        Node("open", "activation", ("gate",), {"kind": "sigmoid"}),
        Node("scaled", "multiply", ("a", "open")),
        Node("b", "conv2d", ("scaled",), conv),
        Node("sum", "add", ("b", "a")),
        Node("small", "average_pool", ("input",), pool),
        Node("joined", "concat", ("sum", "small")),
    )
    weights = {
        f"{name}/kernel": random.normal(size=shape).astype(np.float32) / 2
        for name, shape in kernels.items()
    }
    graph = Graph(nodes, weights, {node.name: node.name for node in nodes[1:]})
    objective = prepared(graph, "joined + a:1", border=1)
    cuts = ("a", "b", "scaled", "small", "joined")
    check_tiled(objective, ["cells 2x2", *(f"stem {cut} 2x2" for cut in cuts)], SIZE)


@pytest.mark.parametrize("target", STEM_ONLY)
def test_what_compares_all_cells_has_a_stem_in_tiles(target):
    objective = prepared(NETWORK, target, border=1)
    check_tiled(objective, ["stem early 2x2", "stem late 2x2"], SIZE, jitter=9)
    with pytest.raises(SettingError, match=r"a sum over cells; .*'stem \w+ 2x2'"):
        gradient_of(Scheme.read("cells 2x2"), objective)


def test_a_loss_that_compares_all_cells_has_a_stem_in_tiles():
    objective = prepared(NETWORK, "late", loss="softmax_mean")
    check_tiled(objective, ["stem late 2x2"], SIZE)
    with pytest.raises(SettingError, match="compares all cells of late"):
        gradient_of(Scheme.read("cells 2x2"), objective)


def test_a_stem_ends_in_a_layer_that_is_computed():
    with pytest.raises(SettingError, match="received scores; try late"):
        gradient_of(Scheme.read("stem scores 2x2"), prepared(NETWORK, "late"))


@pytest.mark.parametrize(
    "transforms",
    ["flip(1)", "pad(9)", "crop(20)", "scale(0.8, 1.2)", "rotate(20)",
     "flip(1) + pad(7) + crop(24)", "pad(5) + rotate(9) + crop(30)"],
)  # fmt: skip
def test_tiles_of_every_view(transforms):
    view = read_chain(transforms, TRANSFORMS, "transforms")
    objective = prepared(NETWORK, TARGETS[0])
    for step in range(2):
        options = {"transforms": view, "step": step, "jitter": 30}
        check_tiled(objective, ["cells 2x2", "stem pool 2x1"], SIZE, **options)


def test_a_rolled_picture_has_the_rolled_gradient_in_tiles():
    """On a torus: to the tiles, the place where they meet is any other."""
    objective = prepared(NETWORK, "late", wrap="both")
    image = picture(40, 48)
    rolled = np.roll(image, (12, -8), (0, 1))  # multiples of the strides
    for scheme in ("cells 2x3", "stem pool 3x2"):
        gradient = gradient_of(Scheme.read(scheme), objective)
        loss, one = gradient_at(gradient, (40, 48), image=image)
        moved, other = gradient_at(gradient, (40, 48), image=rolled)
        assert moved == pytest.approx(loss, rel=1e-5)
        assert off(np.roll(one, (12, -8), (0, 1)), other) < 1e-5


def test_a_bounded_halo():
    """Its error is measured on a tile, and about that of the whole gradient."""
    objective = prepared(NETWORK, "late", border=1)
    _, expected = gradient_at(WholeGradient(objective), (64, 64))
    image = picture(64, 64)

    def read(region):
        return image[slice(*region[0]), slice(*region[1])]

    for form in ("cells 3x3", "stem late 3x3"):
        errors, measured = [], []
        for halo in (0, 4, 8, 50):
            gradient = gradient_of(Scheme.read(f"{form} halo {halo}"), objective)
            errors.append(off(gradient_at(gradient, (64, 64))[1], expected))
            measured.append(gradient.halo_error((64, 64), read))
        assert errors[0] > errors[1] > errors[2] > 1e-4
        assert errors[3] < 1e-5
        assert measured[3] == 0 < measured[2] < measured[1] < measured[0]
        for error, estimate in zip(errors[:3], measured[:3], strict=True):
            assert estimate / 3 < error < estimate * 3


def test_a_gradient_in_tiles_is_right_whatever_surrounds_the_call():
    torch = pytest.importorskip("torch")
    objective = prepared(NETWORK, TARGETS[5], loss="even", border=1)
    for scheme in ("cells 2x2", "stem pool 2x2"):
        gradient = gradient_of(Scheme.read(scheme), objective)
        expected = gradient_at(gradient, SIZE)
        modes = [torch.no_grad, torch.inference_mode]
        modes.append(lambda: torch.autocast("cpu", torch.bfloat16))
        for mode in modes:
            with mode():
                found = gradient_at(gradient, SIZE)
            assert found[0] == expected[0]
            assert np.array_equal(found[1], expected[1])
        with ThreadPoolExecutor(3) as pool:
            for found in pool.map(partial(gradient_at, gradient), [SIZE] * 6):
                assert np.array_equal(found[1], expected[1])


@given(
    st.lists(st.sampled_from(["flip(1)", "pad(4)", "pad(1)", "crop(8)"]), max_size=3),
    st.tuples(st.integers(8, 14), st.integers(8, 14)),
    st.integers(0, 9),
    st.lists(st.integers(1, 11), max_size=3),
)
def test_a_view_as_whole_numbers(transforms, size, jitter, ends):
    """What the network sees, and its gradient by the image, whole and in bands."""
    chain = read_chain(" + ".join(transforms), TRANSFORMS, "transforms")
    drawn = draw(size, chain, seed=1, octave=0, steps=1, jitter=jitter, backend=BACKEND)
    ((view, *_),) = drawn
    image, lookup = picture(*size), view.chain.lookup(size, view.constants)
    x = view.chain.apply(BACKEND, BACKEND.image(image), view.constants)
    seen = image[np.ix_(lookup.rows, lookup.columns)]
    assert np.array_equal(BACKEND.to_image(x), seen)
    weights = np.random.default_rng(2).random((*view.size, 3), np.float32)
    folded = np.zeros((*size, 3), np.float32)
    lookup.fold(weights, folded, 0)
    expected = np.zeros((*size, 3))
    np.add.at(expected, np.ix_(lookup.rows, lookup.columns), weights)
    assert folded == pytest.approx(expected, rel=1e-5)
    rows = [0, *sorted({min(end, size[0]) for end in ends}), size[0]]
    bands = [np.zeros((b - a, size[1], 3), np.float32) for a, b in pairwise(rows)]
    for band, first in zip(bands, rows, strict=False):
        lookup.fold(weights, band, first)
    assert np.array_equal(np.concatenate(bands), folded)
