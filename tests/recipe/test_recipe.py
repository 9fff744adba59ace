"""Recipes and run settings: one declaration, one sentence for every mistake."""

import json
import math

import pytest
from hypothesis import given, strategies as st

from keras_dream.errors import InputError, ObjectiveError, SettingError
from keras_dream.parts.normalizers import EPSILONS
from keras_dream.recipe.objective_text import Numbers
from keras_dream.recipe.presets import preset, presets
from keras_dream.recipe.recipe import Recipe, RunSettings
from keras_dream.recipe.settings import settings
from keras_dream.recipe.targets import Class, Layer


def one_sentence(error) -> str:
    text = str(error.value)
    assert text.endswith(".")
    assert "\n" not in text
    assert "pydantic" not in text
    assert "validation" not in text
    return text


@pytest.mark.parametrize("model", [Recipe, RunSettings])
def test_every_setting_is_explained_and_bounded(model):
    for setting in settings(model):
        assert len(setting.help) > 15, setting
        assert not setting.help.endswith("."), setting
        assert setting.values, setting
        number = setting.values.startswith(("a whole number", "a finite number"))
        if number:
            assert "from" in setting.values or "above" in setting.values, setting
            assert "to" in setting.values or "below" in setting.values, setting


BAD = [
    ("steps", -1),
    ("steps", 10**9),
    ("steps", 1.5),
    ("steps", "many"),
    ("steps", None),
    ("octaves", 0),
    ("octaves", 10**9),
    ("octave_scale", 1.0),
    ("octave_scale", math.nan),
    ("octave_scale", math.inf),
    ("step_size", 0),
    ("step_size", -0.1),
    ("step_size", "nan"),
    ("max_loss", math.inf),
    ("jitter", -1),
    ("seed", -1),
    ("seed", 2**63),
    ("loss", "l3"),
    ("loss", "none"),
    ("loss", "softmax_mean(1, 2)"),
    ("optimizer", "adm"),
    ("canvas", 3),
    ("detail", None),
    ("clamp", "perhaps"),
    ("border", 10**6),
    ("schema_number", 2),
    ("network", None),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_impossible_values_are_refused_in_one_sentence(name, value):
    with pytest.raises(SettingError) as error:
        Recipe.of({name: value})
    text = one_sentence(error)
    assert text.startswith(f"`{name}` must be")
    assert "received" in text
    assert "try" in text
    assert len(text) < 400


def test_unknown_names_are_refused_with_the_nearest():
    for name, near in {"stepz": "'steps'", "octave": "'octaves'"}.items():
        with pytest.raises(SettingError, match="must be one that exists") as error:
            Recipe.of({name: 3})
        assert f"try {near}" in one_sentence(error)
    with pytest.raises(SettingError, match=r"try 'after'"):
        Recipe.of({"detail": "aftr"})
    with pytest.raises(SettingError, match=r"try 'kerasio'"):
        preset("kerasoi")


def test_none_for_every_optional_setting():
    for model in (Recipe, RunSettings):
        for setting in settings(model):
            optional = setting.values.endswith("none") and setting.default == "none"
            if optional:
                assert getattr(model.of({setting.name: "none"}), setting.name) is None
                assert getattr(model.of({setting.name: None}), setting.name) is None
            else:
                kept = getattr(model(), setting.name)
                if kept in ("none", ()):
                    continue  # `none` is one of its words, or no parts
                with pytest.raises(SettingError):
                    model.of({setting.name: None})
    assert Recipe.of({"normalizer": "none"}).normalizer == "none"
    assert Recipe.of({"detail": "none"}).detail == "none"


def test_layers_are_another_way_to_write_an_objective():
    recipe = Recipe.of({"layers": {"mixed2": 0.2, "mixed3:11": 3}})
    assert str(recipe.objective) == "0.2*mixed2 + 3.0*mixed3:11"
    assert "layers" not in json.loads(recipe.json_text())
    assert str(recipe.but(layers={"mixed4": 1}).objective) == "mixed4"
    for bad in ({}, [], "mixed2", {"mixed2": "much"}, {"mixed2": None}):
        with pytest.raises(InputError, match="`layers` must be"):
            Recipe.of({"layers": bad})
    with pytest.raises(SettingError, match="only objective"):
        Recipe.of({"layers": {"mixed2": 1}, "objective": "mixed3"})


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("a-b", Layer("a-b")),
        ("conv 1", Layer("conv 1")),
        ("3d", Layer("3d")),
        ("mixed4:11, 40-47", Layer("mixed4", None, Numbers((11, *range(40, 48))))),
        ("conv2d@7:1", Layer("conv2d", 7, Numbers((1,)))),
        ("'a-b':2", Layer("a-b", None, Numbers((2,)))),
        ("class:eye", Class("eye")),
    ],
)
def test_layers_may_have_odd_names(name, target):
    (term,) = Recipe(layers={name: 2}).networks[0].terms
    assert term.target == target


def test_layers_take_negative_weights():
    recipe = Recipe(layers={"mixed2": 0.5, "mixed3": -2})
    weights = [term.weight for term in recipe.networks[0].terms]
    assert weights == [0.5, -2.0]


@pytest.mark.parametrize("weight", [math.nan, math.inf])
def test_layers_take_finite_weights(weight):
    with pytest.raises(ObjectiveError, match="finite"):
        Recipe.of({"layers": {"mixed2": weight}})


def test_but_keeps_what_was_given_and_checks_what_is():
    recipe = Recipe(steps=3)
    changed = recipe.but(octaves=2)
    assert (changed.steps, changed.octaves) == (3, 2)
    assert changed.model_fields_set == {"steps", "octaves"}
    assert recipe.octaves == Recipe().octaves
    with pytest.raises(SettingError):
        recipe.but(steps=-1)
    with pytest.raises(SettingError):
        recipe.but(stepz=1)


def test_over_puts_only_what_was_given_on_top():
    below = presets["book1"]
    above = Recipe(steps=3, jitter=0)
    both = above.over(below)
    assert both.steps == 3
    assert both.objective == below.objective
    # A flag that repeats a default is still a flag.
    assert Recipe(clamp=True).over(below).clamp is True


def test_recipes_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Recipe().steps = 3


def test_octaves_are_a_number_or_follow_the_picture():
    assert Recipe().octaves == "auto"
    assert Recipe(octaves="5").octaves == 5
    assert [Recipe().octaves_for(size) for size in ((267, 400), (3000, 4000))] == [2, 9]
    recorded = Recipe(steps=3).for_size((3000, 4000))
    assert recorded == Recipe(steps=3, octaves=9)
    assert recorded.for_size((267, 400)) == recorded
    assert preset("google2015").octaves_for((3000, 4000)) == 4  # as published
    with pytest.raises(SettingError, match="a whole number from 1 to 64, or auto"):
        Recipe(octaves="many")


NUMBERS = st.floats(1e-6, 1e6, allow_nan=False)
RECIPES = st.builds(
    Recipe,
    steps=st.integers(0, 100_000),
    step_size=NUMBERS,
    octaves=st.integers(1, 64) | st.just("auto"),
    octave_scale=st.floats(1.001, 16),
    epsilon=st.none() | st.floats(0, 1e6),
    max_loss=st.none() | st.floats(-1e30, 1e30),
    clamp=st.booleans(),
    seed=st.integers(0, 2**63 - 1),
    detail=st.sampled_from(["after", "before", "none"]),
    objective=st.none() | st.sampled_from(["a", "2*a:3 - b", "class:eye"]),
    loss=st.sampled_from(["l2", "softmax_mean(temperature=2)"]),
)


@given(RECIPES)
def test_json_round_trip(recipe):
    again = Recipe.read(recipe.json_text())
    assert again == recipe
    assert again.sha256 == recipe.sha256
    assert again.json_text() == recipe.json_text()


@given(RECIPES, RECIPES)
def test_equal_recipes_have_equal_hashes(one, other):
    assert (one == other) == (one.sha256 == other.sha256)


def test_a_recipe_of_the_first_schema_is_read_for_ever():
    """Never change this text: such recipes are in people's pictures."""
    text = """{"border":0,"clamp":true,"detail":"before","epsilon":null,"jitter":16,
    "loss":"l2_mean","max_loss":null,"max_loss_rule":"before","network":"motif",
    "normalizer":"mean_abs","objective":null,"octave_scale":1.4,
    "octave_sizes":"direct","octaves":4,"octaves_above":0,"resampling":"lanczos3",
    "schema_number":1,"seed":0,"small_octaves":"skip","step_size":0.012,"steps":20}"""
    recipe = Recipe.read(text)
    assert recipe.steps == 20
    assert recipe.step_size == 0.012
    assert recipe.sha256.startswith("397cfc937d134b35")


@pytest.mark.parametrize("text", ["", "[]", "{", "7", '"a"', "[" * 100_000, "\0"])
def test_what_is_no_recipe(text):
    with pytest.raises(SettingError, match="JSON object") as error:
        Recipe.read(text)
    assert len(one_sentence(error)) < 300


@given(st.dictionaries(st.text(max_size=8), st.integers() | st.text(max_size=5)))
def test_anything_else_is_one_sentence(values):
    try:
        Recipe.of(values)
    except InputError as error:
        assert str(error).endswith(".")  # noqa: PT017


def test_epsilons_are_the_published_ones_in_these_units():
    published = {"mean_abs": 2e-7, "std": 2e-8, "l2": 4e-12, "none": 0.0}
    assert {kind: EPSILONS[kind] for kind in published} == published


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"stepz": 1}, "'stepz'"),
        ({"steps": "x"}, "'x'"),
        ({"epsilon": math.nan}, "nan"),
    ],
)
def test_a_recipe_built_in_python_refuses_in_one_sentence(wrong, told):
    with pytest.raises(SettingError) as refused:
        Recipe(**wrong)
    assert f"received {told}" in str(refused.value)
    assert "\n" not in str(refused.value)
