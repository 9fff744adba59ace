"""Tiles of a gradient: their grids, and that all together are the whole."""

from collections import Counter

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
from keras_dream.parts.transforms import draw
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


def slope(gradient, size, transforms=(), *, step=0, jitter=0, image=None):
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
    loss, expected = slope(WholeGradient(objective), size, **view)
    assert np.isfinite(expected).all()
    for scheme in schemes:
        tiled = gradient_of(Scheme.read(scheme), objective)
        found, gradient = slope(tiled, size, **view)
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
