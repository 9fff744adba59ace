"""The objective grammar: text and values say the same, mistakes have a place."""

import time
import tracemalloc

import pytest
from hypothesis import given, strategies as st

from keras_dream.errors import ObjectiveError
from keras_dream.recipe.files import FileRef
from keras_dream.recipe.objective_text import Numbers
from keras_dream.recipe.objectives import NetworkObjective, Objective, Term, parse
from keras_dream.recipe.recipe import Recipe
from keras_dream.recipe.targets import (
    TARGETS,
    Caricature,
    Class,
    Custom,
    Direction,
    Guide,
    Layer,
    Neuron,
    Penalty,
)

WEIGHTS = st.floats(1e-9, 1e9).flatmap(lambda w: st.sampled_from([w, -w]))
NAMES = st.from_regex(r"[A-Za-z_][\w./]{0,12}", fullmatch=True) | st.text(
    st.characters(blacklist_categories=("Cs",)), min_size=1
)
RANGES = st.lists(
    st.tuples(st.integers(0, 999_999), st.integers(0, 999_999)).map(
        lambda pair: (min(pair), max(pair))
    ),
    max_size=6,
)
CHANNELS = st.one_of(
    RANGES.map(lambda ranges: Numbers((), ranges=ranges)),
    st.sets(st.integers(0, 99), max_size=20).map(Numbers),
)
ORDINALS = st.none() | st.integers(0, 999)
LAYERS = (
    st.builds(Layer, NAMES, ORDINALS, CHANNELS)
    | st.builds(Layer, NAMES, ORDINALS, strongest=st.integers(1, 9999))
    | st.builds(
        Layer,
        NAMES,
        ORDINALS,
        strongest=st.integers(1, 99),
        of=st.integers(99, 99_999),
    )
)
CLASSES = st.builds(Class, NAMES | st.integers(0, 999).map(str))
HASHES = st.just("") | st.text("0123456789abcdef", min_size=64, max_size=64)
FILES = st.builds(
    FileRef,
    st.sampled_from(["a.jpg", "../b c.npy", "C:\\c.png", "it's, (here) #1.jpg"])
    | NAMES.filter(lambda n: n == n.strip() and "\0" not in n and "://" not in n),
    HASHES,
)
NODES = st.builds(Layer, NAMES, ORDINALS).map(lambda layer: layer.layer)
FRACTIONS = st.floats(0, 1)
OTHERS = st.one_of(
    st.builds(Neuron, NODES, st.integers(0, 999_999), FRACTIONS, FRACTIONS),
    st.builds(Direction, NODES, FILES),
    st.builds(Caricature, NODES),
    st.builds(Guide, FILES, NODES, st.sampled_from(["dot", "gram"])),
    st.builds(Penalty, st.sampled_from(["tv", "l1", "l2", "blur"])),
    st.builds(Custom, NAMES, HASHES),
)
TERMS = st.builds(Term, WEIGHTS, LAYERS | CLASSES | OTHERS)
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
    return Term(weight, Layer(name, ordinal, Numbers(channels)))


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
    "mixed4:strongest(8, of=24)": [Term(1.0, Layer("mixed4", strongest=8, of=24))],
    "mixed4:strongest( 8,of =8 ) + b": [
        Term(1.0, Layer("mixed4", strongest=8, of=8)),
        layer("b"),
    ],
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
    "Class:Goldfish": [Term(1.0, Class("Goldfish"))],
    "class:great white  shark + mixed4": [
        Term(1.0, Class("great white shark")),
        layer("mixed4"),
    ],
    "class:go-kart": [Term(1.0, Class("go-kart"))],
    "class:eye - mixed4": [Term(1.0, Class("eye")), layer("mixed4", weight=-1.0)],
    "class:7-mixed4": [Term(1.0, Class("7")), layer("mixed4", weight=-1.0)],
    "class:eye-2*mixed4": [Term(1.0, Class("eye")), layer("mixed4", weight=-2.0)],
    "0.7*mixed3 + mixed5:2 - 0.001*tv": [
        layer("mixed3", weight=0.7),
        layer("mixed5", 2),
        Term(-0.001, Penalty("tv")),
    ],
    "'tv' + tv:3 - 'blur'": [layer("tv"), layer("tv", 3), layer("blur", weight=-1.0)],
    "neuron(mixed4, 11)": [Term(1.0, Neuron("mixed4", 11))],
    "neuron( mixed4 ,11,center )": [Term(1.0, Neuron("mixed4", 11))],
    "2*neuron(conv2d@7, 11, 25%, .75)": [Term(2.0, Neuron("conv2d@7", 11, 0.25, 0.75))],
    "neuron": [layer("neuron")],
    "direction('a-b', my file.npy)": [
        Term(1.0, Direction("a-b", FileRef("my file.npy")))
    ],
    "caricature(mixed4) - l2": [
        Term(1.0, Caricature("mixed4")),
        Term(-1.0, Penalty("l2")),
    ],
    f"guide(photo2.jpg#{'A' * 64}, mixed4)": [
        Term(1.0, Guide(FileRef("photo2.jpg", "a" * 64), "mixed4"))
    ],
    "guide('a, b.jpg', mixed4, gram)": [
        Term(1.0, Guide(FileRef("a, b.jpg"), "mixed4", "gram"))
    ],
    "custom(mine) + a": [Term(1.0, Custom("mine")), layer("a")],
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
    "mixed4:strongest(8,": 20,
    "mixed4:strongest(8, 24)": 21,
    "mixed4:strongest(8, of=)": 24,
    "mixed4:strongest(8, of=0)": 24,
    "mixed4:strongest(8, of=7)": 25,
    "mixed4:strongest(8),9": 20,
    "mixed4:9,strongest(8)": 10,
    "mixed4:stronger(8)": 8,
    "neurone(mixed4, 11)": 1,
    "neuron(mixed4)": 14,
    "neuron(mixed4, 11, middle)": 20,
    "neuron(mixed4, 11, 0.5)": 23,
    "neuron(mixed4, 11, 25, 0.5)": 22,
    "neuron(mixed4, 11, 101%, 0.5)": 24,
    "direction(mixed4)": 17,
    "caricature(mixed4": 18,
    "caricature(mixed4:3)": 18,
    "guide(, mixed4)": 7,
    "guide(a.jpg, mixed4, sum)": 22,
    f"guide(a.jpg#{'a' * 63}, mixed4)": 12,
    "custom()": 8,
    "tv(3)": 1,
}


@pytest.mark.parametrize("text", BROKEN)
def test_mistakes_have_a_place(text):
    with pytest.raises(ObjectiveError, match="An objective must have") as error:
        parse(text)
    assert f"at character {BROKEN[text]};" in str(error.value)


@pytest.mark.parametrize("kind", TARGETS.values())
def test_the_form_of_a_kind_is_shown_and_true(kind):
    assert parse(kind.form).text == kind.form
    with pytest.raises(ObjectiveError) as error:
        parse(f"{kind.word}(a, b, c, d, e)")
    assert f"write it like '{kind.form}'" in str(error.value)
    with pytest.raises(ObjectiveError, match=r"0\.2\*mixed2"):
        parse(f"{kind.form} + ")


def test_no_text_takes_for_ever():
    with pytest.raises(ObjectiveError, match="at most 1000 terms"):
        parse("+".join(["a"] * 2000))
    with pytest.raises(ObjectiveError, match="a range of channels"):
        parse("a:9-0")
    blank = " " * 9_900
    for text in (
        f"a{blank}b",
        "a:" + "1" * 9_900,
        "a; b: " + "1" * 9_900,
        f"class:a{blank}1",
        "a:" + ",".join(["0-99999"] * 1_200) + ",",
        "+".join(["a:0-99999"] * 900) + "+",
        f"a; {'1' * 9_900}!",
        f"a; {'1' * 4_900}.{'1' * 4_900}!",
        f"a; b[{blank}",
        f"default{blank}!",
        f"a:1-{blank}!",
        "'" + "''" * 4_900,
        "a" + "@1" * 4_900,
        "class:" + "a-" * 4_900,
        f"guide(a{blank}",
        f"neuron(a{blank}",
    ):
        began = time.perf_counter()
        with pytest.raises(ObjectiveError):
            parse(text)
        assert time.perf_counter() - began < 1  # a blow-up would take minutes


@given(RANGES.map(lambda ranges: [(a, min(b, a + 99)) for a, b in ranges]))
def test_ranges_are_the_numbers_in_them(ranges):
    numbers = Numbers((), ranges=ranges)
    every = sorted({n for a, b in ranges for n in range(a, b + 1)})
    assert list(numbers) == every
    assert len(numbers) == len(every)
    assert numbers == Numbers(every)
    assert hash(numbers) == hash(Numbers(reversed(every)))
    assert numbers.last == max(every, default=-1)
    assert list(numbers.below(500)) == [n for n in every if n < 500]
    assert all(n in numbers for n in every[:5])
    assert -1 not in numbers
    if every:
        (term,) = parse(f"a:{numbers}").terms
        assert term.target.channels == numbers


def test_ranges_take_no_memory():
    # The numbers of this 10 KB would take 4 GB.
    text = " + ".join(["a:0-99999"] * 750)
    tracemalloc.start()
    try:
        recipe = Recipe(objective=text, regions=[f"box(0,0,1,1): {text}"] * 3)
        again = Recipe.read(recipe.json_text())
        assert again == recipe
        assert again.sha256 == recipe.sha256
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20e6


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
