"""Objectives in Python: arithmetic says what text says; one's own functions."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

import keras_dream as kd
from keras_dream.errors import ObjectiveError
from keras_dream.recipe.objectives import parse
from keras_dream.recipe.recipe import Recipe

SHA256 = "0" * 64
SAME = {
    "mixed4 + 0.3*mixed3:7": kd.layer("mixed4") + 0.3 * kd.channel("mixed3", 7),
    "0.7*mixed3 + mixed5:2 - 0.001*tv": 0.7 * kd.layer("mixed3")
    + kd.channel("mixed5", 2)
    - 0.001 * kd.tv,
    "mixed4:strongest(8)": kd.layer("mixed4", strongest=8),
    "mixed4:strongest(8, of=24)": kd.layer("mixed4", strongest=8, of=24),
    "conv2d@7:1-3": kd.channel("conv2d@7", 3, 1, 2),
    "-class:7 - 2*class:'great white shark'": -kd.class_(7)
    - 2 * kd.class_("great white shark"),
    "neuron(mixed4, 11, center) + neuron(a, 1, 0.25, 1.0)": kd.neuron("mixed4", 11)
    + kd.neuron("a", 1, x=0.25, y=1),
    f"direction(mixed4, d.npy#{SHA256})": kd.direction("mixed4", f"d.npy#{SHA256}"),
    "caricature(mixed4) - l1 - l2 - blur": kd.caricature("mixed4")
    - kd.l1
    - kd.l2
    - kd.blur,
    "guide(a b.jpg, mixed4) + guide(c.jpg, 'tv', gram)": kd.guide("a b.jpg", "mixed4")
    + kd.guide("c.jpg", "tv", gram=True),
    "'conv-1.a'": kd.layer("conv-1.a"),
}


@pytest.mark.parametrize("text", SAME)
def test_arithmetic_says_what_text_says(text):
    assert SAME[text] == parse(text)
    assert parse(SAME[text].text) == SAME[text]
    assert Recipe(objective=SAME[text]) == Recipe(objective=text)


WEIGHTS = st.floats(-1e3, 1e3).filter(lambda w: abs(w) > 1e-3)


@given(WEIGHTS, WEIGHTS)
def test_weights_are_distributed(a, b):
    x, y = kd.layer("x"), kd.layer("y")
    assert [t.weight for t in (a * (x + b * y)).terms] == [a, a * b]
    assert a * x - b * y == (x * a) + (-b) * y
    assert x == -1 * -x


def test_numbers_of_numpy_and_sums_of_lists():
    x, y = kd.layer("x"), kd.layer("y")
    assert np.float32(0.5) * x == 0.5 * x == x * np.float64(0.5)
    assert sum([x, 2 * y]) == parse("x + 2*y")


@pytest.mark.parametrize("wrong", [True, "2", None, float("nan"), [1]])
def test_only_numbers_multiply(wrong):
    with pytest.raises(TypeError):
        _ = wrong * kd.layer("x")
    with pytest.raises(TypeError):
        _ = kd.layer("x") + wrong
    with pytest.raises(ObjectiveError, match="A weight must be"):
        _ = 0 * kd.layer("x")


@pytest.mark.parametrize("text", ["mixed4; 0.5*squeezenet: fire6", "default"])
def test_networks_are_not_mixed_by_arithmetic(text):
    with pytest.raises(ObjectiveError, match="write the sum as text"):
        _ = kd.layer("x") + parse(text)
    with pytest.raises(ObjectiveError, match="write the sum as text"):
        _ = 2 * parse(text)


def test_what_cannot_be():
    for wrong in (
        lambda: kd.channel("a"),
        lambda: kd.channel("a", -1),
        lambda: kd.layer("a", strongest=0),
        lambda: kd.layer("a", strongest=8, of=7),
        lambda: kd.layer("a", of=7),
        lambda: kd.layer(""),
        lambda: kd.neuron("a", -1),
        lambda: kd.neuron("a", 1, x=1.5),
    ):
        with pytest.raises(ObjectiveError):
            wrong()


@kd.objective("mixed4", "conv2d@7")
def mine(first, second):
    return first + second


@kd.objective
def by_names(mixed4, mixed3):
    return mixed4 + mixed3


@kd.objective()
def of_image(image):
    return image


def test_a_function_becomes_an_objective():
    (term,) = (2 * mine).terms
    assert term.target.layers == ("mixed4", "conv2d@7")
    assert term.target.function(1, 2) == 3
    assert by_names.terms[0].target.layers == ("mixed4", "mixed3")
    assert of_image.terms[0].target.layers == ()


def test_its_recipe_has_its_name_and_the_hash_of_its_source():
    recipe = Recipe(objective=mine + kd.layer("x"))
    sha256 = mine.terms[0].target.sha256
    assert len(sha256) == 64
    assert str(recipe.objective) == f"custom(mine#{sha256}) + x"
    read = Recipe.read(recipe.json_text())
    assert read.objective.terms[0].target.function is None
    assert read.sha256 == recipe.sha256


def test_another_source_has_another_hash():
    def make(source):
        text = f"def mine(a):\n    return {source}\n"
        return kd.objective("a")(functions(text)["mine"])

    def functions(text):
        import linecache

        name = f"<{text}>"
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        space = {}
        exec(compile(text, name, "exec"), space)
        return space

    hashes = [make(s).terms[0].target.sha256 for s in ("a", "a", "2 * a")]
    assert hashes[0] == hashes[1] != hashes[2]


def test_functions_without_source_are_told_apart():
    hashes = []
    for source in ("a", "a", "2 * a"):
        space = {}
        exec(f"def typed(a):\n    return {source}\n", space)
        hashes.append(kd.objective("a")(space["typed"]).terms[0].target.sha256)
    assert hashes[0] == hashes[1] != hashes[2]


def test_what_is_not_written_in_python_is_refused():
    with pytest.raises(ObjectiveError, match="received max for 1 layers"):
        kd.objective("a")(max)


def test_a_function_must_take_its_layers():
    with pytest.raises(ObjectiveError, match="received one for 2 layers"):

        @kd.objective("a", "b")
        def one(a):
            return a
