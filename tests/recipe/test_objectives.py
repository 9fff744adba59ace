"""The objective grammar: text and values say the same, mistakes have a place."""

import time

import pytest
from hypothesis import given, strategies as st

from keras_dream.errors import ObjectiveError
from keras_dream.recipe.objectives import (
    Class,
    Layer,
    NetworkObjective,
    Objective,
    Term,
    parse,
)

WEIGHTS = st.floats(1e-9, 1e9).flatmap(lambda w: st.sampled_from([w, -w]))
NAMES = st.from_regex(r"[A-Za-z_][\w./]{0,12}", fullmatch=True) | st.text(
    st.characters(blacklist_categories=("Cs",)), min_size=1
)
CHANNELS = st.sets(st.integers(0, 999), max_size=6).map(lambda s: tuple(sorted(s)))
ORDINALS = st.none() | st.integers(0, 999)
LAYERS = st.builds(Layer, NAMES, ORDINALS, CHANNELS) | st.builds(
    Layer, NAMES, ORDINALS, strongest=st.integers(1, 9999)
)
CLASSES = st.builds(Class, NAMES | st.integers(0, 999).map(str))
TERMS = st.builds(Term, WEIGHTS, LAYERS | CLASSES)
OBJECTIVES = st.lists(TERMS, min_size=1, max_size=5).map(
    lambda terms: Objective((NetworkObjective(terms=tuple(terms)),))
)


@given(OBJECTIVES)
def test_text_says_what_the_value_says(objective):
    assert parse(objective.text) == objective


@given(OBJECTIVES)
def test_text_is_its_own_form(objective):
    assert parse(objective.text).text == objective.text


@given(st.text(max_size=30))
def test_any_text_is_an_objective_or_one_sentence(text):
    try:
        objective = parse(text)
    except ObjectiveError as error:
        assert str(error).endswith(".")  # noqa: PT017
        assert len(str(error)) < 400  # noqa: PT017
    else:
        assert parse(objective.text) == objective


def layer(name, *channels, ordinal=None, weight=1.0):
    return Term(weight, Layer(name, ordinal, channels))


READ = {
    "mixed4": [layer("mixed4")],
    " mixed4 ": [layer("mixed4")],
    "-mixed4": [layer("mixed4", weight=-1.0)],
    "+2*a": [layer("a", weight=2.0)],
    "0.2*mixed2 + 3*mixed3": [
        layer("mixed2", weight=0.2),
        layer("mixed3", weight=3.0),
    ],
    "a-b": [layer("a"), layer("b", weight=-1.0)],
    "1e-3*a - .5*b": [layer("a", weight=1e-3), layer("b", weight=-0.5)],
    "mixed4:11,40-47": [layer("mixed4", 11, *range(40, 48))],
    "a:3,3,1-2": [layer("a", 1, 2, 3)],
    "a:3-b": [layer("a", 3), layer("b", weight=-1.0)],
    "a:3 - 2*b": [layer("a", 3), layer("b", weight=-2.0)],
    "a:3-5 - b": [layer("a", 3, 4, 5), layer("b", weight=-1.0)],
    "a:3-5+b": [layer("a", 3, 4, 5), layer("b")],
    "conv2d@7": [layer("conv2d", ordinal=7)],
    "conv2d@7:1": [layer("conv2d", 1, ordinal=7)],
    "'conv-1.a'": [layer("conv-1.a")],
    "'conv-1.a':2": [layer("conv-1.a", 2)],
    "'class':2": [layer("class", 2)],
    "mixed4:strongest(8)": [Term(1.0, Layer("mixed4", strongest=8))],
    "2*conv2d@7:strongest( 3 )-b": [
        Term(2.0, Layer("conv2d", 7, strongest=3)),
        layer("b", weight=-1.0),
    ],
    "'class':strongest(1)": [Term(1.0, Layer("class", strongest=1))],
    "strongest:2": [layer("strongest", 2)],
    "class:eye": [Term(1.0, Class("eye"))],
    "class:'a dog'": [Term(1.0, Class("a dog"))],
    "3*class:7 - mixed4": [Term(3.0, Class("7")), layer("mixed4", weight=-1.0)],
    "inception_4c/output": [layer("inception_4c/output")],
    "'it''s':1": [layer("it's", 1)],
    "'conv2d@0'": [layer("conv2d@0")],
    "'default'": [layer("default")],
}


@pytest.mark.parametrize("text", READ)
def test_what_is_read(text):
    assert list(parse(text).terms) == READ[text]


BROKEN = {
    "": 1,
    "   ": 4,
    "*mixed4": 1,
    "2mixed4": 2,
    "2*": 3,
    "0*a": 3,
    "1e999*a": 7,
    "nan*a": 4,
    "a b": 3,
    "a +": 4,
    "a + + b": 5,
    "a:": 3,
    "a:x": 3,
    "a:1,": 5,
    "a:5-3": 6,
    "a@": 3,
    "a@b": 3,
    "'a": 1,
    "''": 1,
    "class:": 7,
    "a:99999999": 9,
    "a ; b c": 7,
    "a ;": 4,
    "mixed4:strongest": 17,
    "mixed4:strongest(": 18,
    "mixed4:strongest()": 18,
    "mixed4:strongest(0)": 18,
    "mixed4:strongest(8": 18,
    "mixed4:strongest(1.5)": 18,
    "mixed4:strongest(100000)": 18,
    "mixed4:strongest(8),9": 20,
    "mixed4:9,strongest(8)": 10,
    "mixed4:stronger(8)": 8,
}


@pytest.mark.parametrize("text", BROKEN)
def test_mistakes_have_a_place(text):
    with pytest.raises(ObjectiveError, match="An objective must have") as error:
        parse(text)
    assert f"at character {BROKEN[text]};" in str(error.value)


def test_no_text_takes_for_ever():
    with pytest.raises(ObjectiveError, match="at most 1000 terms"):
        parse("+".join(["a"] * 2000))
    with pytest.raises(ObjectiveError, match="a range of channels"):
        parse("a:0-999999")
    for text in ("a" + " " * 9_900 + "b", "a:" + "1" * 9_900, "a; b: " + "1" * 9_900):
        began = time.perf_counter()
        with pytest.raises(ObjectiveError):
            parse(text)
        assert time.perf_counter() - began < 1  # a blow-up would take minutes


def test_the_strongest_channels_take_their_place():
    (objective,) = parse(
        "2*a:strongest(2) - b:strongest(1) + a:strongest(2) + c:3"
    ).networks
    assert [target.text for target in objective.strongest_targets] == [
        "a:strongest(2)",
        "b:strongest(1)",
    ]
    chosen = objective.with_channels({"a:strongest(2)": (7, 4)})
    assert chosen.sum_text == "2.0*a:4,7 - b + a:4,7 + c:3"
    assert chosen.strongest_targets == ()
    assert chosen.with_channels({}) == chosen
