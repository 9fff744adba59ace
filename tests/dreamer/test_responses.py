"""What responds to a planted pattern, how strongly, and where."""

import dataclasses
import re

import numpy as np
import pytest
from planted_patterns import planted, template_network

import keras_dream as kd
from keras_dream.backend.protocol import Backend
from keras_dream.dreamer import responses
from keras_dream.dreamer.features import size_within
from keras_dream.dreamer.responses import Responses
from keras_dream.errors import (
    NetworkError,
    NonFiniteError,
    ObjectiveError,
    PictureError,
)
from keras_dream.graph.graph import Graph
from keras_dream.graph.ops import Node
from keras_dream.graph.positions import positions
from keras_dream.graph.program import Program
from keras_dream.recipe.objectives import parse

CROP = {"padding": [4096, 4096, 4096, 4096]}


@pytest.mark.backends
@pytest.mark.parametrize(("number", "channel"), [(0, 1), (1, 2), (2, 4)])
def test_a_planted_pattern_is_found_and_placed(backend: Backend, number, channel):
    graph = template_network()
    image = planted(number, (36, 53))
    measurer = Responses(graph, backend)
    where = positions(graph, *image.shape[:2])
    for response in measurer.measure(image, ["look", "pool"]):
        assert response.strongest(1) == (channel,)
        assert response.scores[channel] > 1
        down, across = response.peak(channel)
        axes = where[response.node]
        assert axes[0].at(down) == pytest.approx(36.5, abs=1)
        assert axes[1].at(across) == pytest.approx(53.5, abs=1)
        assert response.area(channel) < 0.1
        # Large activations of a channel are not high ones.
        assert response.scores[0] < response.scores[channel]


@pytest.mark.backends
def test_the_layers_of_keras_own_respond_too():
    """One that reads the size of its input, which a trace for all sizes hides."""
    import keras

    image = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3, name="first")(image)
    x = keras.layers.UpSampling2D(interpolation="bilinear", name="larger")(x)
    dreamer = kd.Dreamer(keras.Model(image, x), preprocessing="tf")
    node = dreamer.graph.node_of("larger")
    for size in ((20, 24), (16, 30)):
        pixels = np.random.default_rng(1).random((*size, 3), np.float32)
        (array,) = dreamer.responses().feature_maps(pixels, [node])
        expected = dreamer.features(pixels, ["larger"])["larger"]
        np.testing.assert_allclose(array, expected, atol=1e-5)


def test_memory_is_looked_at_before_it_is_taken(backend: Backend, monkeypatch):
    graph, image = template_network(), planted(0, (36, 53))
    monkeypatch.setattr(backend, "memory", lambda: {"total": 1 << 20})
    with pytest.raises(NetworkError, match=r"must fit into the 0\.0 GB"):
        list(Responses(graph, backend).measure(image, ["look"]))
    # One that needs a picture of a hundred thousand pixels a side.
    crops = [
        Node(f"crop{k}", "crop", (f"crop{k - 1}" if k else "look",), CROP)
        for k in range(10)
    ]
    deep = dataclasses.replace(
        graph, nodes=(*graph.nodes, *crops), layers={"end": "crop9"}
    )
    monkeypatch.setattr(backend, "memory", lambda: {"total": 16 << 30})
    monkeypatch.setattr(
        responses, "baseline_pictures", lambda side: pytest.fail(f"{side} pixels")
    )
    with pytest.raises(NetworkError, match=r"for 819\d\d × 819\d\d pixels"):
        list(Responses(deep, backend).measure(image, ["crop9"]))


def test_scores_are_z_scores_above_the_baseline(backend: Backend):
    """Written once more by hand, from all cells of all baseline pictures."""
    graph = template_network()
    image = planted(0, (36, 53))
    run = backend.function(Program(graph, ["pool"], backend))

    def maps(picture):
        plan = graph.plan(*picture.shape[:2]).values
        found = run(backend.image(picture), plan)[0]
        return backend.to_image(found).astype(np.float64)

    baseline = np.concatenate(
        [maps(p).reshape(-1, 6) for p in responses.baseline_pictures(256)]
    )
    z = (maps(image).reshape(-1, 6) - baseline.mean(axis=0)) / baseline.std(axis=0)
    count = int(np.ceil(len(z) / 50))
    wanted = np.sort(z, axis=0)[-count:].mean(axis=0)
    (found,) = Responses(graph, backend).measure(image, ["pool"])
    np.testing.assert_allclose(found.scores, wanted, rtol=2e-3, atol=2e-3)
    flat = found.z_scores.reshape(-1, 6)
    np.testing.assert_allclose(flat, z, rtol=1e-2, atol=1e-2)
    assert found.area(1) == pytest.approx((z[:, 1] > 2).mean(), abs=1e-3)


def test_a_layer_that_nothing_moves_scores_nothing(backend: Backend):
    (found,) = Responses(template_network(), backend).measure(
        planted(0, (36, 53)), ["dull"]
    )
    assert (found.scores == 0).all()
    assert found.strongest(2) == (0, 1)


def test_baselines_are_measured_once(backend: Backend, monkeypatch):
    measurer = Responses(template_network(), backend)
    first = list(measurer.measure(planted(0, (36, 53)), ["pool", "look", "pool"]))
    assert [response.node for response in first] == ["pool", "look"]
    monkeypatch.setattr(responses, "baseline_pictures", None)
    again = list(measurer.measure(planted(0, (36, 53)), ["look", "pool"]))
    np.testing.assert_array_equal(first[0].scores, again[1].scores)


def test_strongest_means_the_channels_of_the_picture(backend: Backend):
    measurer = Responses(template_network(), backend)
    objective = parse("look:strongest(1) - 2*pool:strongest(2) + dull").networks[0]
    found = measurer.strongest(planted(1, (36, 53)), objective, seed=0)
    assert found["look:strongest(1)"] == (2,)
    assert found["pool:strongest(2)"][0] == 2
    assert set(found) == {"look:strongest(1)", "pool:strongest(2)"}
    assert (
        measurer.strongest(planted(1, (36, 53)), parse("look").networks[0], seed=0)
        == {}
    )


def test_no_more_channels_than_there_are(backend: Backend):
    measurer = Responses(template_network(), backend)
    image = planted(0, (36, 53))
    every = measurer.strongest(image, parse("look:strongest(6)").networks[0], seed=0)
    assert sorted(every["look:strongest(6)"]) == [0, 1, 2, 3, 4, 5]
    with pytest.raises(ObjectiveError, match=r"at most 6; received look:strongest\(7"):
        measurer.strongest(image, parse("look:strongest(7)").networks[0], seed=0)
    with pytest.raises(ObjectiveError, match="'look', the nearest name"):
        measurer.strongest(image, parse("lock:strongest(7)").networks[0], seed=0)


def test_huge_pictures_are_shrunk(backend: Backend, monkeypatch):
    monkeypatch.setattr(responses, "MAX_PIXELS", 3000)
    assert size_within((50, 60), 3000) == (50, 60)
    assert size_within((500, 600), 3000) == (50, 60)
    assert size_within((1, 100_000), 3000) == (1, 17320)
    measurer = Responses(template_network(), backend)
    image = planted(0, (36, 53))
    reduced = measurer.reduce(image)
    assert (reduced.shape, reduced.dtype) == ((50, 59, 3), np.float32)
    assert abs(float(reduced.mean() - image.mean())) < 1e-3
    assert measurer.reduce(reduced) is reduced


def test_what_is_not_finite_is_told(backend: Backend):
    graph = template_network()
    graph.weights["look/kernel"][...] = np.inf
    with pytest.raises(NonFiniteError, match="in look"):
        list(Responses(graph, backend).measure(planted(0, (36, 53)), ["look"]))


def test_baseline_pictures_are_the_same_everywhere():
    pictures = responses.baseline_pictures(64)
    assert len(pictures) == len(responses.BASELINE)
    for picture in pictures:
        assert (picture.shape, picture.dtype) == ((64, 64, 3), np.float32)
        assert np.array_equal(np.rint(picture * 255) / np.float32(255), picture)
        assert 0.02 < picture.std() < 0.35
    assert not np.array_equal(pictures[0], pictures[1])
    responses.baseline_pictures.cache_clear()
    for made, again in zip(pictures, responses.baseline_pictures(64), strict=True):
        np.testing.assert_array_equal(made, again)


def linear_graph(padding, stride):
    """Sums over windows, so that a cell's response to a ramp tells where it lies."""
    conv = {"stride": stride, "padding": padding, "dilation": [1, 1], "groups": 1}
    pool = {"size": [3, 2], "stride": [2, 2], "padding": padding}
    wide = {**conv, "stride": [1, 1], "dilation": [2, 1]}
    ones = np.ones((3, 4, 3, 1), np.float32)
    return Graph(
        nodes=(
            Node("input", "input", (), {"channels": 3}),
            Node("pad", "pad", ("input",), {"padding": [1, 0, 2, 1]}),
            Node("conv", "conv2d", ("pad",), conv),
            Node("pool", "average_pool", ("conv",), pool),
            Node("wide", "conv2d", ("pool",), wide),
            Node("crop", "crop", ("wide",), {"padding": [1, 1, 0, 1]}),
        ),
        weights={"conv/kernel": ones, "wide/kernel": ones[:, :, :1]},
        layers={"crop": "crop"},
    )


@pytest.mark.parametrize("stride", [[1, 1], [2, 2], [2, 3]])
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("size", [(96, 97), (97, 96)])
def test_places_are_the_centres_of_what_cells_see(backend, size, padding, stride):
    graph = linear_graph(padding, stride)
    run = backend.function(Program(graph, ["crop"], backend))
    plan = graph.plan(*size).values

    def response(values):
        image = np.broadcast_to(values[..., None], (*size, 3)).astype(np.float32)
        return backend.to_image(run(backend.image(image.copy()), plan)[0])[..., 0]

    whole = response(np.ones(size))
    middle = tuple(n // 2 for n in whole.shape)
    for axis in (0, 1):
        ramp = np.indices(size)[axis] + 0.5
        centre = (response(ramp) / whole)[middle]
        found = positions(graph, *size)["crop"][axis].at(middle[axis])
        assert found == pytest.approx(centre, abs=1e-3)


def test_places_of_what_sees_everything():
    graph = Graph(
        nodes=(
            Node("input", "input", (), {"channels": 3}),
            Node("mean", "global_mean", ("input",)),
            Node("scaled", "multiply", ("input", "mean")),
        ),
        weights={},
        layers={"mean": "mean"},
    )
    found = positions(graph, 40, 60)
    assert [axis.at(0) for axis in found["mean"]] == [20, 30]
    assert [axis.at(3) for axis in found["scaled"]] == [3.5, 3.5]


# -- in a dream ---------------------------------------------------------------------


def test_a_seed_draws_among_the_strongest(backend):
    graph, image = template_network(), planted(1, (36, 53))
    measurer = Responses(graph, backend)
    ranked = measurer.strongest(image, parse("look:strongest(4)").networks[0], seed=0)
    first = ranked["look:strongest(4)"]
    objective = parse("look:strongest(2, of=4) + pool:strongest(2, of=4)").networks[0]
    draws = [measurer.strongest(image, objective, seed=seed) for seed in range(20)]
    looks = [draw["look:strongest(2, of=4)"] for draw in draws]
    # Two different ones of the four, in their order; all pairs come up, by the seed.
    for pair in looks:
        assert first.index(pair[0]) < first.index(pair[1])
    assert len(set(looks)) == 6
    assert draws[3] == measurer.strongest(image, objective, seed=3)
    # Each target is a draw of its own.
    assert any(
        draw["look:strongest(2, of=4)"] != draw["pool:strongest(2, of=4)"]
        for draw in draws
    )
    with pytest.raises(ObjectiveError, match=r"at most 6; received look:strongest\(2"):
        measurer.strongest(image, parse("look:strongest(2, of=7)").networks[0], seed=0)


def test_a_dream_takes_the_strongest_of_its_photo(motif):
    photo = np.random.default_rng(3).random((40, 60, 3)).astype(np.float32)
    dreamer = kd.Dreamer()
    recipe = kd.Recipe(objective="near:strongest(2)", steps=2, octaves=2)
    made = dreamer.dream(photo, recipe)
    chosen = made.record.strongest["motif"]["near:strongest(2)"]
    assert str(made.recipe.objective) == "near:strongest(2)"
    numbers = ",".join(map(str, sorted(chosen)))
    plain = dreamer.dream(photo, recipe.but(objective=f"near:{numbers}"))
    np.testing.assert_array_equal(made.image, plain.image)
    assert plain.record.strongest == {}
    assert "strongest" not in plain.record.data()
    loss, slope = dreamer.gradient(photo, recipe)
    again, slope_again = dreamer.gradient(photo, plain.recipe)
    assert loss == again
    np.testing.assert_array_equal(slope, slope_again)


def test_layers_as_a_dictionary_may_ask_for_the_strongest():
    recipe = kd.Recipe.of({"layers": {"mixed4:strongest(8)": 2, "conv2d@7:1": -1}})
    assert str(recipe.objective) == "2.0*mixed4:strongest(8) - conv2d@7:1"


def test_too_many_channels_are_refused_before_the_first_step(motif):
    photo = np.zeros((40, 60, 3), np.float32)
    recipe = kd.Recipe(objective="near:strongest(5)")
    with pytest.raises(ObjectiveError, match="at most 4"):
        kd.Dreamer().octaves((40, 60), recipe)
    with pytest.raises(ObjectiveError, match="at most 4"):
        kd.Dreamer().dream(photo, recipe)
    with pytest.raises(PictureError, match="pixels for motif"):
        kd.Dreamer().dream(photo[:4], kd.Recipe(objective="far:strongest(2)"))


def test_a_replay_means_the_same_channels(dream, photo):
    flags = ("--steps", 2, "--octaves", 2, "--objective", "far:strongest(2)")
    assert dream(photo, *flags)[0] == 0
    text = dream("show", "photo-dream.png")[1]
    assert re.search(r"far:strongest\(2\) +of motif meant \d, \d\n", text)
    code, _, err = dream("replay", "photo-dream.png")
    assert (code, "equals the saved one" in err) == (0, True)
