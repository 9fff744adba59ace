"""Classes by their names, as people write them."""

import pytest

from keras_dream.errors import ObjectiveError
from keras_dream.graph.classes import matching, numbers_of
from keras_dream.graph.graph import Graph
from keras_dream.recipe.objectives import parse
from keras_dream.zoo.load import BUILTIN, file

CLASSES = (
    "goldfish", "great white shark", "great grey owl", "crane (bird)",
    "crane (machine)", "jack-o'-lantern", "go-kart",
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "number"),
    {
        "class:goldfish": 0,
        "Class:Goldfish": 0,
        "class:'GOLDFISH'": 0,
        "class:great_white_shark": 1,
        "class:great white shark": 1,
        "class:Great-White-Shark": 1,
        "class:crane_bird": 3,
        "class:'crane (machine)'": 4,
        "class:jack-o-lantern": 5,
        "class:'jack-o''-lantern'": 5,
        "class:go-kart": 6,
    }.items(),
)
def test_a_class_is_known_by_its_words(text, number):
    (term,) = parse(text).terms
    assert numbers_of(term.target.name, CLASSES) == (number,)


def test_an_ambiguous_name_stands_for_every_one():
    assert numbers_of("Crane", CLASSES) == (3, 4)
    assert numbers_of("owl", CLASSES) == ()


@pytest.fixture(scope="module")
def named():
    """The small network's graph with other classes, as many as it scores."""
    graph = file.load(BUILTIN / "motif.safetensors")
    names = (*CLASSES, *(f"class {n}" for n in range(len(CLASSES), 29)))
    return Graph(graph.nodes, graph.weights, graph.layers, graph.classifier, names)


@pytest.mark.parametrize(
    ("name", "advice"),
    {
        "goldfihs": "try 'goldfish'",
        "Great White Sharks": "try 'great white shark'",
        "owl": "try class:'great grey owl'",
        "crane": "which is 3, crane (bird) and 4, crane (machine); try class:3 or",
        "29": "--classes",
    }.items(),
)
def test_a_wrong_class_is_helped(named, name, advice):
    with pytest.raises(ObjectiveError) as error:
        named.class_number(name)
    assert advice in str(error.value)


@pytest.mark.parametrize(
    ("layer", "advice"),
    {
        "goldfish": "which is a class of it; try class:goldfish.",
        "Go-Kart": "which is a class of it; try class:go-kart.",
        "crane": "try class:'crane (bird)' or class:'crane (machine)'.",
        "owl": "or try class:'great grey owl'.",
        "mixd4": "try 'mixed4', the nearest name",
    }.items(),
)
def test_a_class_in_the_place_of_a_layer_leads_to_the_class(named, layer, advice):
    with pytest.raises(ObjectiveError, match="A layer must be one") as error:
        named.node_of(layer)
    assert advice in str(error.value)


def test_patterns():
    assert matching([], CLASSES) == tuple(range(7))
    assert matching(["great", "*KART"], CLASSES) == (1, 2, 6)
    with pytest.raises(ObjectiveError, match="must match a class"):
        matching(["great", "nothing"], CLASSES)
