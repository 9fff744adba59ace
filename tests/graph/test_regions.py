"""Tiles of random graphs against the whole, cell by cell."""

import itertools

import numpy as np
from hypothesis import given, settings, strategies as st
from node_graphs import random_graph

from keras_dream.backend.load import load
from keras_dream.graph.ops import INPUT
from keras_dream.graph.program import Program
from keras_dream.graph.torus import on_torus


def spans(count, parts):
    return [(i * count // parts, (i + 1) * count // parts) for i in range(parts)]


def check_tiles(graph, outputs, size, grid, backend, reach=None):
    """Compares every tile of a grid with the same cells of the whole."""
    plan = graph.plan(*size)
    image = np.random.default_rng(0).random((*size, 3), dtype=np.float32)
    program = Program(graph, outputs, backend)
    whole = backend.function(program, static=True)(
        backend.image(image), program.values(plan)
    )
    whole = {n: backend.to_image(x) for n, x in zip(outputs, whole, strict=True)}
    errors = []
    for row, column in itertools.product(range(grid[0]), range(grid[1])):
        wanted = {
            name: (spans(h, grid[0])[row], spans(w, grid[1])[column])
            for name, (h, w) in ((n, plan.sizes[n]) for n in outputs)
        }
        wanted = {
            n: region for n, region in wanted.items() if all(b > a for a, b in region)
        }
        if not wanted:
            continue
        tile = program.tile_of(size, wanted, reach=reach)
        (top, bottom), (left, right) = tile.sources[INPUT]
        part = backend.image(image[top:bottom, left:right])
        names = list(wanted)

        def run(x, values, names=names, tile=tile):
            maps = program.tile(x, values)
            return [backend.crop(maps[n], tile.outputs[n]) for n in names]

        found = backend.function(run, static=True)(part, tile.values)
        for name, x in zip(names, found, strict=True):
            (a, b), (c, d) = wanted[name]
            expected = whole[name][a:b, c:d]
            scale = max(np.abs(whole[name]).max(), 1e-6)
            made = backend.to_image(x)
            assert made.shape == expected.shape
            errors.append(np.abs(made - expected).max() / scale)
    return max(errors)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    length=st.integers(1, 6),
    size=st.tuples(st.integers(8, 70), st.integers(8, 70)),
    grid=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    wrap=st.sampled_from(["none", "none", "none", "horizontal", "both"]),
)
def test_tiles_are_the_whole(seed, length, size, grid, wrap):
    backend = load("torch")
    random = np.random.default_rng(seed)
    graph, ends = random_graph(random, length)
    graph = on_torus(graph, wrap)
    outputs = list(dict.fromkeys([ends[-1], ends[int(random.integers(len(ends)))]]))
    if graph.misfit(size) is not None:
        return
    assert check_tiles(graph, outputs, size, grid, backend) < 1e-5
