"""Every term of an objective against NumPy, and its gradient by finite differences.

The network is one that NumPy computes in float64: a 1 × 1 convolution and a rectifier
("near"), means of 2 × 2 ("far"), and a convolution without a rectifier ("signed").
"""

from dataclasses import replace
from functools import reduce

import numpy as np
import pytest
from reference import picture

from keras_dream.engine.goals import MOST_CELLS, RESOLVERS, Context, resolve
from keras_dream.engine.gradients import (
    ObjectiveGraph,
    PreparedObjective,
    WholeGradient,
)
from keras_dream.errors import ObjectiveError
from keras_dream.graph.graph import Graph
from keras_dream.graph.ops import Node
from keras_dream.parts.losses import L2Mean
from keras_dream.parts.penalties import PENALTIES
from keras_dream.parts.transforms import Chain, Roll, View
from keras_dream.recipe.objective_text import PENALTIES as WORDS
from keras_dream.recipe.objectives import NetworkObjective, Objective, Term, parse
from keras_dream.recipe.targets import Custom, Target

HEIGHT, WIDTH, CHANNELS = 10, 14, 5
RANDOM = np.random.default_rng(2)
NEAR, SIGNED = RANDOM.normal(size=(2, 3, CHANNELS)).astype(np.float32)
BIAS = RANDOM.normal(0, 0.2, CHANNELS).astype(np.float32)
IMAGE, ORIGINAL = picture(HEIGHT, WIDTH), picture(HEIGHT, WIDTH, seed=1)
VECTOR = RANDOM.normal(size=CHANNELS).astype(np.float32)
POINT = {"stride": [1, 1], "padding": "same", "dilation": [1, 1], "groups": 1}

GRAPH = Graph(
    nodes=(
        Node("input", "input", (), {"channels": 3}),
        Node("conv", "conv2d", ("input",), POINT),
        Node("near", "activation", ("conv",), {"kind": "relu"}),
        Node(
            "far",
            "average_pool",
            ("near",),
            {"size": [2, 2], "stride": [2, 2], "padding": "valid"},
        ),
        Node("signed", "conv2d", ("input",), POINT),
    ),
    weights={
        "conv/kernel": NEAR[None, None],
        "conv/bias": BIAS,
        "signed/kernel": SIGNED[None, None],
    },
    layers={name: name for name in ("near", "far", "signed")},
    classifier="far",
    classes=("a", "b", "c", "d", "e"),
)


def features(image, layer):
    if layer == "signed":
        return image @ SIGNED.astype(np.float64)
    near = np.maximum(image @ NEAR.astype(np.float64) + BIAS, 0)
    if layer == "near":
        return near
    h, w = near.shape[0] // 2, near.shape[1] // 2
    return near[: h * 2, : w * 2].reshape(h, 2, w, 2, -1).mean((1, 3))


GUIDES = {"wide.png": picture(6, 8, seed=2), "tall.png": picture(70, 50, seed=3)}


class Guides:
    """Guides and directions without files: what a name stands for."""

    def guide(self, file, node):
        picture = GUIDES[file.name].astype(np.float64)
        return features(picture, node).astype(np.float32)

    def vector(self, file):
        return {"v.npy": VECTOR, "long.npy": np.ones(9), "flat.npy": np.ones((5, 1))}[
            file.name
        ].astype(np.float32)


def gradient(backend, objective, *, border=0):
    objective = parse(objective) if isinstance(objective, str) else objective
    goals = resolve(GRAPH, objective.networks[0])
    graph = ObjectiveGraph(GRAPH, goals, border=border, merge=backend.merges)
    context = Context(backend, L2Mean(), border, Guides())
    return WholeGradient(PreparedObjective(graph, goals, context))


# -- references -----------------------------------------------------------------------
def cells(x):
    return x.reshape(-1, x.shape[-1])


def inside(x, border):
    return x[border : x.shape[0] - border, border : x.shape[1] - border]


def cosine(x, y):
    lengths = np.linalg.norm(x, axis=-1) * np.linalg.norm(y, axis=-1)
    return (x * y).sum(-1) / lengths


def caricature(x, reference):
    return ((x * reference).sum(-1) * cosine(x, reference).clip(0.1)).mean() / CHANNELS


def dot_guide(x, name, layer):
    guide = features(GUIDES[name].astype(np.float64), layer)
    stride = int(np.ceil(np.sqrt(guide.shape[0] * guide.shape[1] / MOST_CELLS)))
    guide = cells(guide[::stride, ::stride])
    assert len(guide) <= MOST_CELLS
    return (cells(x) @ guide.T).max(1).mean() / CHANNELS


def gram(x):
    return cells(x).T @ cells(x) / len(cells(x))


def gram_guide(x, name, layer):
    guide = features(GUIDES[name].astype(np.float64), layer)
    own, other = gram(x), gram(guide)
    distance = np.square(own - other).sum()
    relative = distance / (np.square(own).sum() + np.square(other).sum())
    return -np.square(guide).mean() * relative


def total_variation(x):
    steps = (np.abs(np.diff(x, axis=axis)).sum() for axis in (0, 1))
    return sum(steps) / x.size


def box(x):
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    ones = np.pad(np.ones_like(x), ((1, 1), (1, 1), (0, 0)))
    total, count = (
        sum(a[i : i + len(x), j : j + x.shape[1]] for i in range(3) for j in range(3))
        for a in (padded, ones)
    )
    return total / count


HELD = box(IMAGE.astype(np.float64))  # the blurred image has no gradient
B = 1  # the border of the test

# (what is written, its value for (image, rolled image, rolled original))
TERMS = {
    "near": lambda x, seen, was: np.square(inside(features(seen, "near"), B)).mean(),
    "far:1,3": lambda x, seen, was: np.square(
        inside(features(seen, "far"), B)[..., [1, 3]]
    ).mean(),
    "class:c": lambda x, seen, was: features(seen, "far")[..., 2].mean(),
    "neuron(far, 4)": lambda x, seen, was: features(seen, "far")[2, 3, 4],
    "neuron(near, 0, 10%, 0.999)": lambda x, seen, was: features(seen, "near")[9, 1, 0],
    "direction(signed, v.npy)": lambda x, seen, was: (
        inside(features(seen, "signed"), B) @ VECTOR
    ).mean(),
    "caricature(far)": lambda x, seen, was: caricature(
        inside(features(seen, "far"), B), inside(features(was, "far"), B)
    ),
    "caricature(signed)": lambda x, seen, was: caricature(
        inside(features(seen, "signed"), B), inside(features(was, "signed"), B)
    ),
    "guide(wide.png, signed)": lambda x, seen, was: dot_guide(
        inside(features(seen, "signed"), B), "wide.png", "signed"
    ),
    "guide(tall.png, near)": lambda x, seen, was: dot_guide(
        inside(features(seen, "near"), B), "tall.png", "near"
    ),
    "guide(tall.png, far, gram)": lambda x, seen, was: gram_guide(
        inside(features(seen, "far"), B), "tall.png", "far"
    ),
    "tv": lambda x, seen, was: total_variation(x),
    "l1": lambda x, seen, was: np.abs(x - ORIGINAL).mean(),
    "l2": lambda x, seen, was: np.square(x - ORIGINAL).mean(),
    "blur": lambda x, seen, was: np.square(x - HELD).mean() / 2,
}


def expected(term, image, roll):
    return TERMS[term](
        image, np.roll(image, roll, (0, 1)), np.roll(ORIGINAL, roll, (0, 1))
    )


@pytest.mark.backends
@pytest.mark.parametrize("term", TERMS)
def test_every_term_by_numpy_and_its_gradient(term, backend):
    roll, along = (3, -4), RANDOM.normal(size=IMAGE.shape)
    view = View((HEIGHT, WIDTH), Chain((Roll(),)), roll)
    value, found = gradient(backend, f"-2*{term}", border=B)(
        backend.image(IMAGE),
        (HEIGHT, WIDTH),
        view=view,
        original=backend.image(ORIGINAL),
    )
    image = IMAGE.astype(np.float64)
    assert backend.to_float(value) == pytest.approx(
        -2 * expected(term, image, roll), rel=1e-4
    )
    ahead, behind = (expected(term, image + s * along, roll) for s in (1e-7, -1e-7))
    change = -2 * (ahead - behind) / 2e-7
    found = backend.to_image(found)
    assert (found * along).sum() == pytest.approx(
        change, rel=2e-3, abs=1e-4 * np.abs(found * along).sum()
    )


@pytest.mark.backends
def test_a_sum_of_all_terms(backend):
    """Weights, signs, several guides on several layers, and images of two sizes."""
    weights = [RANDOM.uniform(0.5, 2) * (-1) ** n for n in range(len(TERMS))]
    text = " + ".join(f"{w!r}*{t}" for w, t in zip(weights, TERMS, strict=True))
    step = gradient(backend, text.replace("+ -", "- "), border=B)

    def call(image, original):
        size = image.shape[:2]
        value, found = step(
            backend.image(image),
            size,
            view=View(size),
            original=backend.image(original),
        )
        return backend.to_float(value), backend.to_image(found)

    value, found = call(IMAGE, ORIGINAL)
    parts = [expected(term, IMAGE.astype(np.float64), (0, 0)) for term in TERMS]
    assert value == pytest.approx(np.dot(weights, parts), rel=1e-4)
    singles = (
        weight
        * backend.to_image(
            gradient(backend, term, border=B)(
                backend.image(IMAGE),
                (HEIGHT, WIDTH),
                view=View((HEIGHT, WIDTH)),
                original=backend.image(ORIGINAL),
            )[1]
        )
        for weight, term in zip(weights, TERMS, strict=True)
    )
    np.testing.assert_allclose(
        found, reduce(np.add, singles), atol=1e-5 * np.abs(found).max()
    )
    # Another size needs no other gradient.
    _, other = call(IMAGE[:, :10], ORIGINAL[:, :10])
    assert np.isfinite(other).all()


@pytest.mark.backends
@pytest.mark.parametrize(
    "term",
    [
        "near",
        "caricature(near)",
        "guide(wide.png, near)",
        "guide(wide.png, near, gram)",
    ],
)
def test_a_network_that_is_silent_has_no_gradient(term, backend):
    """Nothing responds, where a root or a quotient would be not a number."""
    weights = {**GRAPH.weights, "conv/bias": np.full(CHANNELS, -50, np.float32)}
    silent = Graph(nodes=GRAPH.nodes, weights=weights, layers=GRAPH.layers)
    goals = resolve(silent, parse(term).networks[0])
    graph = ObjectiveGraph(silent, goals, border=0, merge=backend.merges)
    context = Context(backend, L2Mean(), 0, Guides())
    step = WholeGradient(PreparedObjective(graph, goals, context))
    held = backend.image(IMAGE)
    _, found = step(held, (HEIGHT, WIDTH), view=View((HEIGHT, WIDTH)), original=held)
    assert not backend.to_image(found).any()


def test_a_negative_gram_guide_has_a_bound():
    """However far the statistics go, it never asks for more than a fixed number."""
    x = features(IMAGE.astype(np.float64), "near")
    guide = features(GUIDES["wide.png"].astype(np.float64), "near")
    bound = np.square(guide).mean()
    for scale in (0, 1e-3, 1, 10, 1e4):
        assert -bound - 1e-9 <= gram_guide(scale * x, "wide.png", "near") <= 0
    # The features themselves have no distance.
    assert gram_guide(guide, "wide.png", "near") == pytest.approx(0, abs=1e-12)


@pytest.mark.backends
def test_a_function_of_ones_own(backend):
    from keras import ops

    def mine(near, far):
        assert (near.shape[0], near.shape[3]) == (1, CHANNELS)
        return ops.mean(near[..., 1] ** 2) - 3 * ops.max(far)

    target = Custom("mine", layers=("near", "far"), function=mine)
    step = gradient(backend, Objective((NetworkObjective(None, (Term(2, target),)),)))
    held = backend.image(IMAGE)
    value, found = step(
        held, (HEIGHT, WIDTH), view=View((HEIGHT, WIDTH)), original=None
    )

    def reference(image):
        near, far = features(image, "near"), features(image, "far")
        return 2 * (np.square(near[..., 1]).mean() - 3 * far.max())

    image, along = IMAGE.astype(np.float64), RANDOM.normal(size=IMAGE.shape)
    assert backend.to_float(value) == pytest.approx(reference(image), rel=1e-5)
    change = (reference(image + 1e-6 * along) - reference(image - 1e-6 * along)) / 2e-6
    assert (backend.to_image(found) * along).sum() == pytest.approx(change, rel=1e-3)
    vector = replace(target, function=lambda near, far: ops.mean(near, (0, 1, 2)))
    step = gradient(backend, Objective((NetworkObjective(None, (Term(1, vector),)),)))
    with pytest.raises(ObjectiveError, match=r"scalar.*shape \(5,\) from mine"):
        step(held, (HEIGHT, WIDTH), view=View((HEIGHT, WIDTH)), original=None)


def test_every_kind_of_target_is_resolved():
    assert set(RESOLVERS) == set(Target.__args__)
    assert set(PENALTIES) == set(WORDS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("neuron(near, 5)", "a number from 0 to 4"),
        ("neuron(nowhere, 0)", "nowhere"),
        ("caricature(nowhere)", "nowhere"),
        ("guide(wide.png, nowhere)", "nowhere"),
        ("custom(mine)", "passed from Python"),
    ],
)
def test_terms_that_the_network_lacks(text, message):
    with pytest.raises(ObjectiveError, match=message):
        resolve(GRAPH, parse(text).networks[0])


@pytest.mark.parametrize("name", ["long.npy", "flat.npy"])
def test_a_direction_of_another_length(name, backend):
    with pytest.raises(ObjectiveError, match="must have 5 numbers"):
        gradient(backend, f"direction(near, {name})")


@pytest.mark.parametrize("term", ["l1", "l2", "caricature(near)"])
def test_what_needs_a_photo_says_so(term, backend):
    with pytest.raises(ObjectiveError, match="must have a photo"):
        gradient(backend, term)(
            backend.image(IMAGE),
            (HEIGHT, WIDTH),
            view=View((HEIGHT, WIDTH)),
            original=None,
        )
