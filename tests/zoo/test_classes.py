"""The names of ImageNet's classes, and the networks that have them."""

import json

import pytest

from keras_dream.cli import main
from keras_dream.graph.classes import numbers_of
from keras_dream.graph.graph import Graph
from keras_dream.zoo.catalogue import ZOO
from keras_dream.zoo.classes import imagenet
from keras_dream.zoo.network import Network

# From the articles and examples that name them by number: the first and the last of
# ILSVRC 2012, and some between, so that a lost line is seen.
KNOWN = {
    0: "tench",
    1: "goldfish",
    24: "great grey owl",
    207: "golden retriever",
    281: "tabby",
    386: "African elephant",
    504: "coffee mug",
    620: "laptop",
    817: "sports car",
    954: "banana",
    999: "toilet tissue",
}


def test_the_list_is_whole_and_in_its_order():
    names = imagenet()
    assert len(names) == len({name.casefold() for name in names}) == 1000
    assert {number: names[number] for number in KNOWN} == KNOWN
    assert all(name == name.strip() and name for name in names)


def test_every_name_stands_for_its_own_class():
    names = imagenet()
    for number, name in enumerate(names):
        for written in (name, name.upper(), name.replace(" ", "_")):
            assert numbers_of(written, names) == (number,), written


@pytest.mark.parametrize(
    ("name", "numbers"),
    {"crane": (134, 517), "maillot": (638, 639), "cardigan": (264, 474)}.items(),
)
def test_words_that_name_two_classes_are_told_apart(name, numbers):
    assert numbers_of(name, imagenet()) == numbers


def test_every_imagenet_network_has_them():
    for name, entry in ZOO.items():
        assert (entry.classes is imagenet) == ("on ImageNet" in entry.about), name


def test_a_graph_has_them_where_a_classifier_is_published():
    entry = ZOO["vgg16"]
    graph = Graph((), {}, {})
    assert entry.with_classes(graph).classes == imagenet()
    assert ZOO["squeezenet"].with_classes(graph).classes == ()
    scored = Graph((), {}, {}, classifier="conv10")
    assert ZOO["squeezenet"].with_classes(scored).classes == imagenet()
    assert ZOO["motif"].with_classes(graph) is graph


def test_layers_lists_classes(capsys):
    assert main(["layers", "motif", "--classes", "--like", "FI,w*"]) == 0
    out = capsys.readouterr().out
    names = Network("motif").outline().classes
    wanted = [n for n in names if "fi" in n or n.startswith("w")]
    assert [line.split()[1] for line in out.splitlines()[1:]] == [
        f"class:{name}" for name in wanted
    ]
    assert main(["layers", "motif", "--classes", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert [entry["name"] for entry in data] == list(names)
    assert main(["layers", "squeezenet", "--classes"]) == 2
    assert "Classes must have names" in capsys.readouterr().err
