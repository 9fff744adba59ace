"""Which layers are shown, which are found, and what is told of them."""

import json

import keras
import pytest
from keras import layers

from keras_dream.cli import main
from keras_dream.errors import ObjectiveError
from keras_dream.graph.layers import FEW, Facts, chief_layers, facts, matching, names
from keras_dream.graph.passes import truncate
from keras_dream.lowering.walker import lower
from keras_dream.zoo.network import Network


@pytest.fixture(scope="module")
def shipped():
    return Network("motif").outline()


@pytest.mark.parametrize("channels", [1, 3])
def test_the_depth_counts_the_models_own_convolutions(channels):
    image = keras.Input((None, None, channels))
    x = layers.Conv2D(4, 3, name="input_conv")(image)
    model = keras.Model(image, layers.Conv2D(4, 3, name="two")(x))
    graph = lower(model, preprocessing="0-1")
    nodes = [graph.node_of(name) for name in ("input_conv", "two")]
    assert [found.depth for found in facts(graph, nodes)] == [0.5, 1]


def blocks(count):
    """Residual blocks whose inner layers Keras numbers, and a scale for each map."""
    x = image = keras.Input((None, None, 3))
    x = layers.ZeroPadding2D(1, name="padded")(x)
    x = layers.Conv2D(4, 3, name="stem")(x)
    x = layers.BatchNormalization(name="stem_bn")(x)
    x = layers.Activation("relu", name="stem_relu")(x)
    for number in range(count):
        y = layers.Conv2D(4, 3, padding="same")(x)
        y = layers.BatchNormalization()(y)
        y = layers.Activation("relu")(y)
        cell = layers.GlobalAveragePooling2D(keepdims=True)(y)
        y = layers.Multiply()([y, layers.Conv2D(4, 1, activation="sigmoid")(cell)])
        x = layers.Add(name=f"sum{number}")([x, y])
    x = layers.MaxPooling2D(2, name="smaller")(x)
    return lower(keras.Model(image, x), preprocessing="0-1")


def test_small_networks_are_shown_whole():
    graph = blocks(2)
    assert len(names(graph)) <= FEW
    # Neither paddings, nor what the next link of a chain makes complete.
    listed = chief_layers(graph)
    assert not {"padded", "stem", "stem_bn"} & set(listed)
    assert {"stem_relu", "sum0", "sum1", "smaller"} <= set(listed)
    assert any("multiply" in node for node in listed)


def test_of_large_networks_the_ends_of_blocks_are_shown():
    graph = blocks(8)
    listed = chief_layers(graph)
    assert listed == ("stem_relu", *(f"sum{n}" for n in range(8)), "smaller")


def test_named_joins_and_the_own_objective_are_shown(shipped):
    found = chief_layers(shipped)
    assert set(found) >= {f"mixed{n}" for n in range(6)}
    assert not any(name.endswith(("_conv", "_bn", "_three")) for name in found)
    assert len(found) < 20 < len(names(shipped))


def test_networks_without_ends_show_their_joins():
    """Cells that read the last two cells, as in NASNet: nothing is narrow."""
    image = keras.Input((None, None, 3))
    a = b = layers.Conv2D(4, 3, padding="same", name="stem")(image)
    for number in range(12):
        y = layers.Conv2D(2, 1)(a)
        a, b = b, layers.Concatenate(name=f"cell{number}")([y, layers.Conv2D(2, 1)(b)])
    graph = lower(keras.Model(image, b), preprocessing="0-1")
    assert set(chief_layers(graph)) >= {f"cell{n}" for n in range(12)}


@pytest.mark.parametrize(
    ("pattern", "chosen", "found"),
    [
        ("mixed4", {"mixed4"}, 23),
        ("MIXED4", {"mixed4"}, 23),
        ("mixed[45]", {"mixed4", "mixed5"}, 2),
        ("pool4", {"pool4"}, 1),
        ("mixed2_one*", {"mixed2_one", "mixed2_one_conv", "mixed2_one_bn"}, 3),
        ("conv2d@7", {"mixed0_five_b_conv"}, 1),
        ("stem?", {"stem0", "stem1", "stem2"}, 3),
    ],
)  # fmt: skip
def test_patterns(shipped, pattern, chosen, found):
    assert set(matching(shipped, [pattern], chief_first=True)) == chosen
    assert len(matching(shipped, [pattern])) == found


def test_patterns_add_up_in_the_order_of_the_network(shipped):
    nodes = matching(shipped, ["mixed5", "stem0", "mixed5"], chief_first=True)
    assert nodes == ("stem0", "mixed5")


@pytest.mark.parametrize("pattern", ["mixd4", "*mixd4*", "activation@99", "[", "\\x1b"])
def test_patterns_that_match_nothing(shipped, pattern):
    with pytest.raises(ObjectiveError, match=r"A pattern must match .* `dream layers"):
        matching(shipped, ["mixed4", pattern])


def test_the_nearest_is_named(shipped):
    with pytest.raises(ObjectiveError, match="try 'mixed4', the nearest name"):
        matching(shipped, ["*mixd4*"])


def test_facts_of_every_layer(shipped):
    """Against the graph's own, more slowly told facts."""
    nodes = tuple(names(shipped))
    fields = shipped.receptive_fields()
    for node, found in zip(nodes, facts(shipped, nodes), strict=True):
        part = truncate(shipped, frozenset({node}))
        assert found.layer == names(shipped)[node]
        assert found.smallest == part.smallest(nodes=[node])
        assert (found.receptive_field, found.stride) == fields[node]
        assert found.work == part.flops(512, 512) / shipped.flops(512, 512)
        assert 0 < found.depth <= 1
    assert max(found.depth for found in facts(shipped, nodes)) == 1


def test_facts_in_any_order(shipped):
    nodes = ("mixed5", "stem0", "mixed2")
    one_by_one = [facts(shipped, [node])[0] for node in nodes]
    assert facts(shipped, nodes) == one_by_one
    assert isinstance(one_by_one[0], Facts)


# -- on the command line -------------------------------------------------------------


def test_few_layers_first_and_all_on_request(shipped, capsys):
    every = len(names(shipped))
    assert main(["layers", "motif"]) == 0
    told = capsys.readouterr()
    first = [line.split()[0] for line in told.out.split("\n\n")[0].splitlines()[1:]]
    assert "mixed4" in first
    assert "mixed4_one" not in first
    assert told.err == (
        f"{len(first)} of {every} layers; --all lists every layer, --like PATTERN "
        "those that match.\n"
    )
    assert main(["layers", "motif", "--all"]) == 0
    told = capsys.readouterr()
    assert (len(told.out.split("\n\n")[0].splitlines()), told.err) == (every + 1, "")


def test_like_is_repeatable_and_takes_commas(capsys):
    assert main(["layers", "motif", "--like", "pool1,pool4", "--like", "stem0_*"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in out[1:]] == [
        "stem0_conv", "stem0_bn", "stem0_pool", "pool1", "pool4",
    ]  # fmt: skip


def test_layers_in_json(shipped, capsys):
    assert main(["layers", "motif", "--like", "mixed4", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["network"] == "motif"
    assert data["objective"] == shipped.objective
    assert data["classes"] == list(shipped.classes)
    last = data["layers"][-1]
    assert (last["layer"], last["kind"], last["stride"]) == (
        "mixed4",
        "concatenate",
        16,
    )


def test_what_is_infinite_is_null_in_json(monkeypatch, capsys):
    monkeypatch.setattr(Network, "outline", lambda *_: blocks(1))
    assert main(["layers", "motif", "--like", "global*", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["layers"]
    assert (found["stride"], found["receptive_field"], found["channels"]) == (
        None,
        None,
        4,
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("motiv",), ("'motiv'", "try 'motif'")),
        (("motif", "--like", "mixd4"), ("'mixd4'", "try 'mixed4'")),
        (("motif", "--like"), ("--like requires an argument",)),
        (("motif", "--lik", "x"), ("Unknown option: --lik.", "Did you mean --like?")),
        (("motif", "squeezenet"), ("received 'squeezenet' as well",)),
    ],
)
def test_mistakes(arguments, words, capsys):
    assert main(["layers", *arguments]) == 2
    told = capsys.readouterr()
    assert (told.out, told.err.count("\n")) == ("", 1)
    assert all(word in told.err for word in words), told.err
