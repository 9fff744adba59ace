"""Further networks in an objective, as text and as values."""

import math
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

import keras_dream as kd
from keras_dream.errors import InputError, ObjectiveError, SettingError
from keras_dream.recipe.objective_text import Numbers
from keras_dream.recipe.objectives import (
    MAX_NETWORKS,
    NetworkObjective,
    Objective,
    parse,
)
from keras_dream.recipe.presets import presets
from keras_dream.recipe.recipe import Recipe

RECIPES = Path(__file__).parents[1] / "recipes"


@pytest.mark.parametrize(
    ("text", "network", "total", "weight"),
    [
        ("squeezenet", "squeezenet", "default", 1.0),
        ("0.5*squeezenet", "squeezenet", "default", 0.5),
        (" 2e-1 * squeezenet : fire6 + fire8 ", "squeezenet", "fire6 + fire8", 0.2),
        ("-squeezenet: default", "squeezenet", "default", -1.0),
        ("- .5 * vgg16: 'odd-1':3-4", "vgg16", "'odd-1':3-4", -0.5),
        ("+3*vgg16:class:eye", "vgg16", "class:eye", 3.0),
        ("'model:my net': a", "model:my net", "a", 1.0),
        ("mine.keras: conv2d@7", "mine.keras", "conv2d@7", 1.0),
        ("2*'0.5*odd'", "0.5*odd", "default", 2.0),
        ("'it''s; mine': a", "it's; mine", "a", 1.0),
        ("3d-net", "3d-net", "default", 1.0),
    ],
)
def test_a_network_as_text(text, network, total, weight):
    objective = parse(f"mixed4;{text}")
    first, other = objective.networks
    assert first == parse("mixed4").networks[0]
    assert (other.network, other.sum_text, other.weight) == (network, total, weight)
    assert parse(objective.text) == objective


@pytest.mark.parametrize("text", ["0.5*a.keras[tf]: c", "'my a.keras' [ 0-255 ]"])
def test_the_preprocessing_of_a_network_as_text(text):
    objective = parse(f"default; {text}")
    assert objective.networks[1].preprocessing == ("tf" if "tf" in text else "0-255")
    assert parse(objective.text) == objective
    with pytest.raises(ObjectiveError, match="preprocessing must be one of tf"):
        parse(f"a; {text.replace('tf', 'vgg').replace('0-255', 'vgg')}")


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "a b", "2*", "a:", "a: ", "*a", "a*2", "2a*b", "'a", "2**a", ":b",
        "a[]", "[tf]", ";", "a;", "0*a", "1e9*a", "-0*a",
    ],
)  # fmt: skip
def test_what_is_no_network(text):
    with pytest.raises(ObjectiveError) as error:
        parse(f"mixed4; {text}")
    assert str(error.value).endswith(".")
    assert len(str(error.value)) < 400


@given(
    st.text(min_size=1, max_size=12),
    st.floats(-1e6, 1e6).filter(bool),
    st.sampled_from(["default", "a", "a:3 + 2*b", "class:eye", "'x: y'", "'a;b'"]),
)
def test_every_network_comes_back_from_its_text(network, weight, total):
    other = NetworkObjective(network, parse(total).terms, weight)
    objective = Objective((NetworkObjective(), other))
    assert parse(objective.text) == objective


def test_what_a_recipe_may_hold():
    text = "mixed3; 0.5*squeezenet: fire8"
    for objective in (text, parse(text)):
        recipe = Recipe(objective=objective)
        assert recipe.objective == parse(text)
        assert Recipe.read(recipe.json_text()) == recipe
    assert [n.text for n in recipe.networks] == [
        "motif: mixed3",
        "0.5*squeezenet: fire8",
    ]


@pytest.mark.parametrize("value", [None, "none", "default", " default "])
def test_no_objective(value):
    recipe = Recipe(objective=value)
    assert recipe.objective is None
    assert recipe == Recipe(objective=None)
    assert [n.text for n in recipe.networks] == ["motif"]


BROKEN = [
    3,
    ["a"],
    "a +",
    "; a",
    "x" * 10_001,
    {},
    {"a": math.nan},
    {"a": 0},
    {"a": ""},
]


@pytest.mark.parametrize("value", BROKEN)
def test_a_recipe_with_a_broken_objective_cannot_be_made(value):
    for make in (
        lambda: Recipe(objective=value),
        lambda: Recipe().but(objective=value),
        lambda: Recipe.of({"objective": value}),
    ):
        with pytest.raises(InputError) as error:
            make()
        assert "\n" not in str(error.value)
        assert len(str(error.value)) < 400


def test_values_that_cannot_be():
    with pytest.raises(ObjectiveError, match="1 to 16 networks"):
        Objective(())
    with pytest.raises(ObjectiveError, match="1 to 16 networks"):
        parse("a" + "; a" * MAX_NETWORKS)
    for weight in (0.0, math.inf, math.nan, 1e7):
        with pytest.raises(ObjectiveError, match="weight must be"):
            NetworkObjective("a", weight=weight)


def test_a_maximum_loss_needs_a_single_network():
    with pytest.raises(SettingError, match="must have a single network"):
        Recipe(objective="default; squeezenet", max_loss=3)
    with pytest.raises(SettingError, match="single network"):
        presets["book1"].but(objective="mixed4; squeezenet")
    several = presets["book1"].but(objective="mixed4; squeezenet", max_loss=None)
    assert len(several.networks) == 2


@pytest.mark.parametrize(
    ("name", "sha256"),
    [
        ("book1-1.json", "dec703e4f0f293f6"),
        ("book2-1.json", "25b35d5191ae54c0"),
        ("default-1.json", "397cfc937d134b35"),
        ("google2015-1.json", "26d700755fe2c2e9"),
        ("kerasio-1.json", "8c5d958d45f7e14c"),
        ("several-1.json", "430405f04a7ef919"),
        ("tftut-1.json", "fd3460f1674c93d7"),
    ],
)
def test_old_recipes_keep_their_sha256(name, sha256):
    """As they had it when they were written: new settings must not change it."""
    recipe = Recipe.read((RECIPES / name).read_text())
    assert recipe.sha256[:16] == sha256


def test_an_unknown_preset_is_one_sentence_and_a_key_error():
    with pytest.raises(KeyError) as error:
        kd.presets["bok1"]
    assert isinstance(error.value, SettingError)
    assert str(error.value) == (
        "A preset must be one that exists; received 'bok1'; try 'book1', the nearest "
        "name, or see `dream presets`."
    )
    assert "bok1" not in kd.presets
    assert kd.presets.get("bok1") is None


def test_equal_recipes_have_equal_texts_and_hashes():
    from keras_dream.recipe.objectives import Term
    from keras_dream.recipe.targets import Layer

    def of(*terms):
        return Objective((NetworkObjective(terms=terms),))

    pairs = [
        (parse("default"), None),
        (of(Term(2, Layer("a"))), "2.0*a"),
        (
            Objective(
                (NetworkObjective(terms=(Term(1, Layer("a", None, Numbers((3, 1)))),)),)
            ),
            "a:1,3",
        ),
    ]
    for one, other in pairs:
        assert Recipe(objective=one) == Recipe(objective=other)
        assert Recipe(objective=one).sha256 == Recipe(objective=other).sha256
    assert Recipe(epsilon=-0.0).sha256 == Recipe(epsilon=0.0).sha256
    waves = [Recipe(canvas=f"fourier(decay={zero})") for zero in ("0.0", "-0.0")]
    assert waves[0].json_text() == waves[1].json_text()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Recipe(layers={"": 1}),
        lambda: Recipe(layers={f"a{k}": 1 for k in range(1001)}),
        lambda: Recipe(layers={f"layer_number_{k}": 1.0 for k in range(900)}),
        lambda: Recipe(layers={"a": 10**400}),
        lambda: NetworkObjective(""),
        lambda: Objective((NetworkObjective("vgg16"),)),
        lambda: Objective((NetworkObjective(), NetworkObjective())),
        lambda: Recipe.read('{"self": 1}'),
        lambda: Recipe(loss="l2(self=1)"),
        lambda: Recipe(optimizer="adam(epsilon=1e-300)"),
    ],
    ids=lambda make: str(make.__code__.co_firstlineno),
)
def test_what_could_not_be_read_back_cannot_be_made(make):
    with pytest.raises(InputError) as error:
        make()
    assert "\n" not in str(error.value)


def test_the_json_schema_takes_what_recipes_write():
    schema = Recipe.model_json_schema()
    for name in ("canvas", "loss", "optimizer"):
        kinds = schema["properties"][name]["anyOf"]
        assert "string" in [kind.get("type") for kind in kinds]
        assert len(kinds) > 2
