"""Networks of a dream as text and as data."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

import keras_dream as kd
from keras_dream.errors import SettingError
from keras_dream.recipe.presets import presets
from keras_dream.recipe.recipe import Recipe
from keras_dream.recipe.terms import MOST_OTHERS, NetworkTerm, parse_term, read_terms

RECIPES = Path(__file__).parents[1] / "recipes"


@pytest.mark.parametrize(
    ("text", "network", "objective", "weight"),
    [
        ("squeezenet", "squeezenet", None, 1.0),
        ("0.5*squeezenet", "squeezenet", None, 0.5),
        (" 2e-1 * squeezenet : fire6 + fire8 ", "squeezenet", "fire6 + fire8", 0.2),
        ("-squeezenet", "squeezenet", None, -1.0),
        ("- .5 * vgg16: 'odd-1':3-4", "vgg16", "'odd-1':3-4", -0.5),
        ("+3*vgg16:class:eye", "vgg16", "class:eye", 3.0),
        ("'model:my net': a", "model:my net", "a", 1.0),
        ("mine.keras: conv2d@7", "mine.keras", "conv2d@7", 1.0),
        ("2*'0.5*odd'", "0.5*odd", None, 2.0),
        ("3d-net", "3d-net", None, 1.0),
    ],
)
def test_a_network_as_text(text, network, objective, weight):
    term = parse_term(text)
    assert (term.network, term.objective, term.weight) == (network, objective, weight)
    assert parse_term(term.text) == term


@pytest.mark.parametrize("text", ["0.5*a.keras[tf]: c", "'my a.keras' [ 0-255 ]"])
def test_the_preprocessing_of_a_network_as_text(text):
    term = parse_term(text)
    assert term.preprocessing == ("tf" if "tf" in text else "0-255")
    assert parse_term(term.text) == term
    with pytest.raises(SettingError, match="`preprocessing` must be one of tf"):
        parse_term(text.replace("tf", "vgg").replace("0-255", "vgg"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "a b",
        "2*",
        "a:",
        "a: ",
        "*a",
        "a*2",
        "2a*b",
        "'a",
        "2**a",
        ":b",
        "a[]",
        "[tf]",
    ],
)
def test_what_is_no_network(text):
    with pytest.raises(SettingError, match="`also` must name a network") as error:
        parse_term(text)
    assert str(error.value).endswith(".")
    assert "try '0.5*squeezenet: fire6 + fire8'" in str(error.value)


@given(
    st.text(min_size=1, max_size=12).filter(lambda text: "'" not in text),
    st.floats(-1e6, 1e6).filter(bool),
    st.none() | st.sampled_from(["a", "a:3 + 2*b", "class:eye", "'x: y'"]),
)
def test_every_network_comes_back_from_its_text(network, weight, objective):
    if network == "none":
        return
    term = NetworkTerm(network=network, weight=weight, objective=objective)
    assert parse_term(term.text) == term


def test_every_way_to_name_networks_is_the_same_recipe():
    as_data = {"network": "squeezenet", "objective": "fire8", "weight": 0.5}
    for also in (
        "0.5*squeezenet: fire8",
        ["0.5*squeezenet: fire8"],
        as_data,
        [as_data],
        (NetworkTerm(**as_data),),
    ):
        recipe = Recipe.of({"also": also})
        assert recipe.also == (NetworkTerm(**as_data),)
        assert Recipe.read(recipe.json_text()) == recipe
    assert json.loads(recipe.json_text())["also"] == [as_data]
    assert [term.text for term in recipe.terms] == ["motif", "0.5*squeezenet: fire8"]


@pytest.mark.parametrize("also", [None, "none", [], (), ["none"]])
def test_no_more_networks(also):
    recipe = Recipe.of({"also": also})
    assert recipe.also is None
    assert "also" not in recipe.json_text()
    assert recipe == Recipe()


@pytest.mark.parametrize(
    ("also", "words"),
    [
        (3, "must name a network"),
        ([3], "must name a network"),
        ({"netwrk": "a"}, "must name a network"),
        ({"network": "a", "wight": 1}, "try 'weight'"),
        ({"network": "a", "weight": "much"}, "`weight` must be"),
        ({"network": "a", "weight": math.nan}, "`weight` must be"),
        ({"network": "a", "weight": 1e7}, "`weight` must be"),
        ({"network": "a", "weight": 0}, "must not be zero"),
        ({"network": None}, "`network` must be"),
        ("0*a", "must not be zero"),
        ("1e9*a", "`weight` must be"),
        (["a"] * (MOST_OTHERS + 1), f"at most {MOST_OTHERS}"),
        ("a: " + "x" * 10_001, "`objective` must be"),
    ],
)
def test_impossible_networks_are_refused_in_one_sentence(also, words):
    with pytest.raises(SettingError) as error:
        Recipe.of({"also": also})
    text = str(error.value)
    assert words in text
    assert text.endswith(".")
    assert "\n" not in text
    assert len(text) < 400


def test_as_many_networks_as_are_allowed():
    found = read_terms(f"net{k}" for k in range(MOST_OTHERS))
    assert found is not None
    assert len(found) == MOST_OTHERS


def test_a_maximum_loss_needs_a_single_network():
    with pytest.raises(SettingError, match="must have a single network"):
        Recipe.of({"also": "squeezenet", "max_loss": 3})
    with pytest.raises(SettingError, match="single network"):
        presets["book1"].but(also="squeezenet")
    several = presets["book1"].but(also="squeezenet", max_loss=None)
    assert len(several.terms) == 2


def test_presets_give_way_to_more_networks():
    below = Recipe(also="a: b", steps=3)
    assert Recipe(also="c").over(below).also == (NetworkTerm(network="c"),)
    assert Recipe(steps=4).over(below).also == (
        NetworkTerm(network="a", objective="b"),
    )
    assert Recipe(also=None).over(below).also is None


@pytest.mark.parametrize(
    ("name", "sha256"),
    [
        ("book1-1.json", "4261e7ce3b61f2c3"),
        ("book2-1.json", "3fa795094a92f4a4"),
        ("default-1.json", "c101191637f50de9"),
        ("google2015-1.json", "abc288d2945ce13a"),
        ("kerasio-1.json", "0db6fcdcaa3c1ce1"),
        ("several-1.json", "9a2a7fa1bea78b3b"),
        ("tftut-1.json", "5015886698ab333e"),
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
