"""What a gradient takes, the cheapest way that fits, and what is done after it did not.

Predicted and measured bytes of real networks are compared by benchmarks/memory.py.
"""

import math
from types import SimpleNamespace

import numpy as np
import pytest

import keras_dream as kd
from keras_dream.dreamer.plans import Planner
from keras_dream.engine import planner, tiled
from keras_dream.engine.gradients import WholeGradient
from keras_dream.engine.growth import Octave
from keras_dream.engine.planner import Plan, Predictor
from keras_dream.errors import SettingError
from keras_dream.graph.graph import Graph
from keras_dream.graph.liveness import Liveness
from keras_dream.graph.ops import Node
from keras_dream.recipe.scheme_plans import Entry
from keras_dream.recipe.schemes import Scheme

RECIPE = kd.Recipe(octaves=2, steps=2, objective="mixed2")
SIZE = (64, 96)


@pytest.fixture(scope="module")
def motif():
    return kd.Dreamer("motif", run=kd.RunSettings(precision="float32"))


@pytest.fixture
def predictor(motif) -> Predictor:
    recipe = motif.complete(kd.Recipe(objective="mixed2"))
    return motif._ensemble.predictors(recipe)[0]


def chain() -> Graph:
    """Returns 3 → 4 → 2 channels, rectified, of which the second halves the sides."""
    how = {"padding": "same", "dilation": [1, 1], "groups": 1, "relu": True}
    nodes = (
        Node("input", "input", (), {"channels": 3}),
        Node("a", "conv2d", ("input",), {**how, "stride": [1, 1]}),
        Node("b", "conv2d", ("a",), {**how, "stride": [2, 2]}),
    )
    weights = {
        "a/kernel": np.ones((3, 3, 3, 4), np.float32),
        "b/kernel": np.ones((1, 1, 4, 2), np.float32),
    }
    return Graph(nodes, weights, {"a": "a", "b": "b"})


def test_what_is_alive_at_once():
    """Counted by hand, in values of a picture of 8 × 8 pixels."""
    graph = chain()
    sizes = graph.plan(8, 8).sizes
    image, a, b = 64 * 3, 64 * 4, 16 * 2
    # The image goes when it has been read, and so does a.
    assert Liveness(graph).forward(sizes, ["b"]) == 4 * (image + a)
    # What is rectified is kept. The worst moment is when the gradient of the image is
    # made of that of a, which is kept until then; all of b is gone.
    lean = Liveness(graph, lean=True).gradient(sizes, ["b"])
    assert lean == 4 * (a + a + image)
    # In bfloat16 the first convolution's result is rounded from float32.
    half = Liveness(graph, lean=True, width=2).gradient(sizes, ["b"])
    assert half == 4 * image + 2 * a + 4 * a
    # Where a masked gradient is a new map, there is one more of b or a; the second
    # convolution's input is kept, which is a itself.
    fat = Liveness(graph).gradient(sizes, ["b"])
    assert fat == 4 * (image + a + a + a)
    assert b < image < a


def test_smaller_budgets_have_slower_schemes_that_fit(predictor):
    size = (512, 768)
    whole = predictor.predict(Scheme(), size)
    assert predictor.cheapest(size, whole.bytes).scheme == Scheme()
    seconds, kinds = [whole.seconds], set[str]()
    for share in (0.9, 0.7, 0.5):
        found = predictor.cheapest(size, share * whole.bytes)
        assert found is not None
        assert found.bytes <= share * whole.bytes
        kinds.add(found.scheme.kind)
        seconds.append(found.seconds)
    assert seconds == sorted(seconds)
    assert "whole" not in kinds
    smallest = predictor.smallest(size)
    assert predictor.cheapest(size, smallest.bytes / 2) is None


def test_every_cut_is_passed_by_everything(predictor, motif):
    """A stem that ends in a cut hands over one map, besides those of the objective."""
    for cut in predictor.cuts:
        assert predictor._parts(Scheme("stem", cut=cut))[1] == (cut,) or cut == "mixed2"
    assert {"pool1", "mixed1"} <= {*predictor.cuts}
    recipe = motif.complete(kd.Recipe(objective="mixed2"))
    for cut in predictor.cuts:
        run = kd.RunSettings(gradient=f"stem {cut} 2x2")
        prediction = predictor.predict(Scheme.read(run.gradient), SIZE)
        assert prediction.bytes > 0 < prediction.seconds
    assert recipe.objective is not None


def test_a_bounded_halo_is_a_part_of_the_exact_one(motif):
    ensemble = motif._ensemble
    recipe = motif.complete(kd.Recipe(objective="mixed2"))
    graph, goals = ensemble.graphs(recipe)[0], ensemble._goals(
        "motif", recipe.networks[0]
    )  # fmt: skip
    how = {"width": 4, "lean": True}
    exact, fast, own = (
        Predictor(graph, goals, recipe.loss, halo=halo, **how)
        for halo in ("exact", "fast", 5)
    )
    size = (1024, 1024)
    budget = 0.4 * exact.predict(Scheme(), size).bytes
    schemes = [p.cheapest(size, budget) for p in (exact, fast, own)]
    assert schemes[0].scheme.halo is None
    assert 0 < schemes[1].scheme.halo < 60
    assert schemes[2].scheme.halo == 5
    assert schemes[1].seconds < schemes[0].seconds


def test_a_plan_knows_which_step_has_which_scheme():
    two, three = Scheme("cells", 2, 2), Scheme("cells", 3, 3)
    plan = Plan([Entry(2, 1, 1, two), Entry(2, 2, 1, three)])
    assert plan.scheme(1, 1, 5) == Scheme()
    assert (plan.scheme(2, 1, 5), plan.scheme(2, 2, 5)) == (two, three)
    plan.change(Entry(2, 1, 4, three))
    assert (plan.scheme(2, 1, 3), plan.scheme(2, 1, 4)) == (two, three)
    assert plan.text() == "2: cells 2x2; 2 from 4: cells 3x3; 2#2: cells 3x3"
    assert plan.text(until=(2, 3)) == "2: cells 2x2; 2#2: cells 3x3"
    assert plan.text(until=(1, 9)) == "whole"
    assert len(plan.take_notices()) == 1
    assert plan.take_notices() == []


def failing(monkeypatch, count: int) -> list[str]:
    """Lets memory be out in the gradient of this number; returns what was called."""
    calls: list[str] = []

    def spied(kind):
        inner = kind.__call__

        def call(self, image, size, **seen):
            calls.append(f"{kind.__name__} {size[1]}")
            if len(calls) == count:
                raise MemoryError
            return inner(self, image, size, **seen)

        monkeypatch.setattr(kind, "__call__", call)

    spied(WholeGradient)
    spied(tiled.TiledGradient)
    return calls


def test_a_dream_goes_on_after_out_of_memory(motif, monkeypatch):
    """The step is made again in tiles: no step and no octave is lost."""
    image = np.random.default_rng(0).random((*SIZE, 3), dtype=np.float32)
    expected = motif.dream(image, RECIPE)
    calls = failing(monkeypatch, 4)  # the second step of the second octave
    run = motif.steps(image, RECIPE)
    dream = run.finish()
    assert [call.split()[0] for call in calls[:4]] == ["WholeGradient"] * 4
    assert len(calls) == 5
    (notice,) = run.plan.take_notices()
    assert "step 2 of octave 2" in notice
    gradient = dream.record.run["gradient"]
    assert gradient.startswith("2 from 2: ")
    assert (dream.record.steps, dream.record.complete) == (4, True)
    assert np.abs(dream.image - expected.image).max() < 1e-4
    assert not dream.record.notices  # a replay has the same record
    monkeypatch.undo()
    recorded = kd.Dreamer(
        "motif", run=kd.RunSettings(gradient=gradient, precision="float32")
    )
    again = recorded.dream(image, RECIPE)
    assert again.encode() == dream.encode()


def test_a_checkpoint_goes_on_as_it_was_computed(motif, monkeypatch, tmp_path):
    image = np.random.default_rng(0).random((*SIZE, 3), dtype=np.float32)
    with monkeypatch.context() as patched:
        failing(patched, 3)  # the first step of the second octave
        run = motif.steps(image, RECIPE)
        steps = [next(run) for _ in range(3)]
        assert steps[1].checkpoint.gradient == "whole"
        saved = steps[2].checkpoint
        assert saved.gradient.startswith("2: ")
        expected = run.finish()
    saved.save(tmp_path / "a.npz")
    read = kd.Checkpoint.read(tmp_path / "a.npz")
    assert motif.dream(image, RECIPE, start=read).encode() == expected.encode()


def test_memory_that_is_too_small_says_what_would_do(motif):
    image = np.zeros((*SIZE, 3), np.float32)
    small = kd.Dreamer("motif", run=kd.RunSettings(memory="20MB"))
    with pytest.raises(SettingError, match="smallest tiles") as caught:
        small.steps(image, RECIPE)
    hint = str(caught.value).split("--memory ")[1].split(",")[0]
    kd.Dreamer("motif", run=kd.RunSettings(memory=hint)).steps(image, RECIPE)


def test_a_scheme_that_does_not_fit_gives_way_with_a_notice(motif):
    size, octave = (512, 512), Octave(1, (512, 512))
    recipe = motif.complete(kd.Recipe(objective="mixed2", octaves=1))
    run = kd.RunSettings(gradient="whole")
    plans = Planner(motif._ensemble, motif._backend, run)
    whole = plans.plan(size, recipe, (octave,))
    assert whole.plan.take_notices() == []
    plans._memory = plans._memory._replace(left=0.6 * whole.octaves[0].bytes)
    tiles = plans.plan(size, recipe, (octave,))
    assert tiles.plan.text() != "whole"
    (notice,) = tiles.plan.take_notices()
    assert notice.startswith("Octave 1 is computed as ")
    # What is made by then stays in the record as it was made.
    for began, text in ((1, "whole"), (2, "cells 2x2")):
        made = SimpleNamespace(octave=began, iteration=3, gradient=f"1: {text}")
        resumed = plans.plan(size, recipe, (octave,), resumed=made).plan
        kept = [resumed.scheme(1, 1, step).text for step in (3, 4)]
        now = tiles.plan.scheme(1, 1, 1).text if began == 1 else text
        assert kept == [text, now]


def test_seconds_and_bytes_are_finite(predictor):
    for text in ("whole", "cells 2x3", "stem mixed1 2x2", "stem pool1 1x1"):
        prediction = predictor.predict(Scheme.read(text), SIZE)
        assert math.isfinite(prediction.seconds)
        assert prediction.bytes > planner.PICTURE * math.prod(SIZE)


@pytest.mark.parametrize("halo", [3, "fast"])
def test_a_halo_is_that_of_tiles_that_are_asked_for(halo):
    settings = {"gradient": "1: whole; 2: cells 2x2 halo 9; 3: cells 2x2"}
    run = kd.RunSettings(halo=halo, precision="float32", **settings)
    recipe = RECIPE.but(octaves=3)
    plan = kd.Dreamer("motif", run=run).steps(np.zeros((128, 128, 3)), recipe).plan
    whole, own, asked = (plan.scheme(octave, 1, 1) for octave in (1, 2, 3))
    assert (whole, own.halo) == (Scheme(), 9)
    assert asked.halo == 3 if halo == 3 else 9 < asked.halo < 40


def test_an_octave_that_does_not_run_is_named():
    gradient = "1: cells 2x2 halo 0; 7: cells 2x2"
    run = kd.RunSettings(gradient=gradient, precision="float32")
    dream = kd.Dreamer("motif", run=run).steps(np.zeros((64, 64, 3)), RECIPE)
    notices = dream.plan.take_notices()
    assert notices == ["`gradient` names octave 7, which does not run."]
    assert dream.planned.halo_error is not None  # though the largest octave is whole


def test_what_one_cell_sees_is_predicted(motif):
    """An objective of nothing else has that tile only."""
    ensemble = kd.Dreamer(run=kd.RunSettings(halo="fast"))._ensemble
    recipe = ensemble.complete(kd.Recipe(objective="neuron(mixed2, 1)"))
    (predictor,) = ensemble.predictors(recipe)
    whole, tile = (
        predictor.predict(Scheme(kind), (512, 512)) for kind in ("whole", "cells")
    )
    pictures = 2 * planner.PICTURE * 512 * 512
    assert pictures < tile.bytes < whole.bytes
    assert predictor.cheapest((512, 512), tile.bytes) is not None
