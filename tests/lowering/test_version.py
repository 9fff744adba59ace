"""`LOWERING_VERSION` is raised when models are lowered to other graphs than before.

Lowered copies in users' caches are used as long as the version stays. After raising it:

    python tests/lowering/test_version.py

writes the graphs of the new version to `graphs.json`.
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

TESTS = Path(__file__).parents[1]
STORED = Path(__file__).with_name("graphs.json")
MODELS = {
    "activations": "tf",
    "convolutions": "tf",
    "depthwise": "caffe",
    "merges": "torch",
    "nested": "tf",
    "normalised": "0-255",
    "pools": "bvlc",
    "sequential": None,  # begins with its own scaling
    "uneven_means": "0-1",
}


def graph_hash(name):
    """Returns the sha256 of a small model's graph: operations, layers and weights."""
    import keras
    import small_models

    from keras_dream.lowering.walker import lower

    keras.utils.clear_session()  # Keras numbers layers through the whole process
    model = small_models.made(getattr(small_models, name))
    graph = lower(model, preprocessing=MODELS[name], objective="a")
    weights = {
        place: [array.shape, np.round(array.astype("f8"), 4).ravel().tolist()]
        for place, array in sorted(graph.weights.items())
    }
    facts = {
        "nodes": [[n.name, n.op, n.inputs, dict(n.attrs)] for n in graph.nodes],
        "layers": dict(graph.layers),
        "classifier": graph.classifier,
        "classes": graph.classes,
        "objective": graph.objective,
        "weights": weights,
    }
    text = json.dumps(facts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("name", MODELS)
def test_the_graphs_are_those_of_this_version(name):
    from keras_dream.lowering import LOWERING_VERSION

    stored = json.loads(STORED.read_text("utf-8"))
    assert stored["version"] == LOWERING_VERSION, (
        "LOWERING_VERSION has been raised: run python tests/lowering/test_version.py"
    )
    assert stored["graphs"][name] == graph_hash(name), (
        f"{name} is lowered to another graph than before: raise LOWERING_VERSION in "
        "keras_dream/lowering/__init__.py, run python tests/lowering/test_version.py"
    )


def test_another_number_is_another_graph(monkeypatch):
    import reference

    before = graph_hash("pools")
    assert before == graph_hash("pools")
    generator = np.random.default_rng
    monkeypatch.setattr(reference.np.random, "default_rng", lambda _: generator(123))
    assert before != graph_hash("pools")


if __name__ == "__main__":
    sys.path[:0] = [str(TESTS), str(TESTS.parent / "src")]
    from keras_dream.lowering import LOWERING_VERSION

    graphs = {name: graph_hash(name) for name in MODELS}
    data = {"version": LOWERING_VERSION, "graphs": graphs}
    STORED.write_text(json.dumps(data, indent=1) + "\n", "utf-8")
