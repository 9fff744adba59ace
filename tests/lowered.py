"""Lowered graphs, run on a backend."""

from keras_dream.graph.passes import truncate
from keras_dream.graph.program import Program


def maps(graph, nodes, image, backend):
    """Returns the maps of some nodes for a picture."""
    graph = truncate(graph, frozenset(nodes))
    program = Program(graph, nodes, backend)
    run = backend.function(program, static=bool(graph.opaque))
    found = run(backend.image(image), graph.plan(*image.shape[:2]).values)
    return [backend.to_image(x) for x in found]


def slope_of(graph, nodes, image, backend, weights=None):
    """Returns the weighted mean squares of some nodes, and their slope, by a graph."""
    weights = weights or [1.0] * len(nodes)
    graph = truncate(graph, frozenset(nodes))
    program = Program(graph, nodes, backend)

    def total(x, plan):
        squares = [backend.mean(backend.square(y)) for y in program(x, plan)]
        parts = [backend.multiply(s, w) for s, w in zip(squares, weights, strict=True)]
        for part in parts[1:]:
            parts[0] = backend.add(parts[0], part)
        return parts[0]

    plan = graph.plan(*image.shape[:2]).values
    run = backend.value_and_grad(total, static=bool(graph.opaque))
    value, slope = run(backend.image(image), plan)
    return backend.to_float(value), backend.to_image(slope)
