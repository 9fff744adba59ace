"""Keyframes: what a recipe's settings are at every moment of a film."""

import json
from fractions import Fraction

import pytest
from hypothesis import given, settings, strategies as st

from keras_dream.errors import InputError, ObjectiveError, SettingError
from keras_dream.recipe.interpolation import between
from keras_dream.recipe.keyframes import EASINGS, FIXED, Moment
from keras_dream.recipe.recipe import Recipe, nested_settings
from keras_dream.recipe.settings import is_whole
from keras_dream.recipe.video import VideoSettings

EXAMPLE = {"0s": 0.002, "10s": "0.01 ease-in-out"}


def texts(recipe):
    return [curve.text for curve in recipe.keyframes]


def objective(recipe, time):
    return str(recipe.at_time(time).objective)


# -- how they are written --------------------------------------------------------------
@pytest.mark.parametrize(
    "written",
    [
        {"step_size": EXAMPLE},
        {"step_size": {0: 0.002, 10.0: "0.01 ease-in-out"}},
        {"step_size": "0s: 0.002, 10s: 0.01 ease-in-out"},
        {"step_size": " 0:00 =0.0020,0:10 = 1e-2  ease-in-out "},
        {"keyframes": "step_size: 0s=0.002, 10s=0.01 ease-in-out"},
        {"keyframes": ["step-size: 0.0s: 0.002, 00:00:10.000: 0.01 ease-in-out"]},
        {"keyframes": {"step_size": EXAMPLE}},
        {"keyframes": {"step_size": EXAMPLE}, "step_size": 0.002},
    ],
)
def test_every_way_to_write_them_is_one_recipe(written):
    recipe = Recipe(**written)
    assert texts(recipe) == ["step_size: 0s=0.002, 10s=0.01 ease-in-out"]
    assert recipe == Recipe(step_size=EXAMPLE)
    assert recipe.sha256 == Recipe(step_size=EXAMPLE).sha256
    assert Recipe.read(recipe.json_text()) == recipe
    assert recipe.step_size == 0.002


TIMES = st.one_of(
    st.tuples(st.just("s"), st.integers(0, 10**15), st.just(10**9)),
    st.tuples(st.just("%"), st.integers(0, 10**5), st.just(10**3)),
    st.tuples(st.just("f"), st.integers(0, 10**6), st.just(1)),
).map(lambda time: (time[0], Fraction(time[1], time[2])))


@st.composite
def curves(draw):
    """Text of a curve of a number: (setting, text, [(moment, value, easing)])."""
    setting, values = draw(
        st.sampled_from(
            [
                ("step_size", st.floats(1e-9, 1e6)),
                ("blend", st.floats(0, 1)),
                ("jitter", st.integers(0, 100_000)),
                ("max_loss", st.floats(-1e30, 1e30)),
            ]
        )
    )
    unit, _ = first = draw(TIMES)
    rest = draw(st.lists(TIMES.filter(lambda t: t[0] == unit), max_size=4))
    numbers = sorted({number for _, number in (first, *rest)})
    words = st.sampled_from(sorted(EASINGS))
    keys = [(Moment(n, unit), draw(values), draw(words)) for n in numbers]
    written = ", ".join(f"{moment.text}={v!r} {word}" for moment, v, word in keys)
    return setting, f"{setting}: {written}", keys


@given(curves())
@settings(deadline=None, max_examples=50)
def test_texts_are_read_as_they_are_written(curve):
    setting, text, keys = curve
    recipe = Recipe(keyframes=[text])
    (read,) = recipe.keyframes
    assert [(k.moment, k.value, k.easing) for k in read.keys] == keys
    assert Recipe(keyframes=texts(recipe)) == recipe
    assert Recipe.read(recipe.json_text()) == recipe
    assert getattr(recipe, setting) == keys[0][1]


@pytest.mark.parametrize(
    ("setting", "values"),
    [
        (
            "objective",
            "0s=mixed4:11,40-47 + 'odd, 5s=name', 5s=neuron(a, 3, 0.5, 0.09)",
        ),
        ("objective", "0s=none, 5s=class:'stone step', 6s=mixed3 + step linear"),
        ("objective", "0s=mixed3; 0.5*squeezenet: fire6, 90s=-mixed3 step"),
        ("filters", "0s=smooth + clip(limit=2.0), 1.5s=none"),
        ("regions", '0s=["box(0%, 0%, 50%, 50%): mixed4:1-2"], 1s=none'),
        ("per_octave", '0s=["1-2: steps=3", "3-: jitter=0"], 1s=["1: steps=9"]'),
        ("octave_strengths", "0s=1.0, 0.5, 10s=0.0, 1.0 ease-in"),
        ("mask", "0s=box(0%, 0%, 50%, 50%), 9s=box(50%, 50%, 100%, 100%)"),
        ("clamp", "0s=true, 5s=false"),
        ("octaves", "0%=auto, 50%=4, 100%=9"),
        ("strength", "follow(band(60, 250.5), 0.5, 1.5, attack=0.01, release=0)"),
        ("blend", f"follow(loudness, 1.0, 0.0, file='it''s (1).wav'#{'0a' * 32})"),
    ],
)
def test_values_of_every_kind_are_read_as_they_are_written(setting, values):
    recipe = Recipe(keyframes=[f"{setting}: {values}"])
    assert texts(recipe) == [f"{setting}: {values}"]
    assert Recipe.read(recipe.json_text()) == recipe
    if "[" not in values:
        assert Recipe(**{setting: values}) == recipe


def test_settings_of_a_film_have_keyframes_too():
    recipe = Recipe(video={"carry": {"0%": 1, "100%": 0.5}, "flow_size": 99})
    assert texts(recipe) == ["video.carry: 0%=1.0, 100%=0.5"]
    assert recipe.video == VideoSettings(carry=1, flow_size=99)
    moment = recipe.in_seconds(Fraction(20)).at_time(10)
    assert moment.video == VideoSettings(carry=0.75, flow_size=99)
    assert moment.keyframes == ()


def test_settings_of_a_film_have_keyframes_before_they_are_in_a_recipe():
    """As flags have them, over those of a recipe."""
    settings = VideoSettings(carry={"0s": 0.5, "2s": 1}, lock=False)
    assert settings.carry == VideoSettings().carry
    film = Recipe(video=settings)
    assert texts(film) == ["video.carry: 0s=0.5, 2s=1.0"]
    assert film.video == VideoSettings(carry=0.5, lock=False)
    below = Recipe(video={"carry": {"0s": 0.25}, "smooth": 0.5}).video
    over = VideoSettings(carry="1s: 0.75, 2s: 0").over(below)
    again = film.but(video=over)
    assert texts(again) == ["video.carry: 1s=0.75, 2s=0.0"]
    assert again.video == VideoSettings(carry=0.75, smooth=0.5)
    with pytest.raises(SettingError, match="`carry` must be"):
        Recipe(video=VideoSettings(carry="0s: 1, 2s: 5"))


@pytest.mark.parametrize(
    ("setting", "text", "says"),
    [
        ("step_size", "0s: 0.1, 1s: 0", "above 0 to 1e\\+06; received '0'"),
        ("jitter", "0s: 1, 1s: 1.5", "a whole number"),
        ("jitter", "0s: 1, 1s: 2 slowly", "a whole number"),
        ("jitter", "1s: 1, 0s: 2", "each later .* 1s before 0s"),
        ("jitter", "1s: 1, 1.0s: 2", "each later"),
        ("jitter", "0s: 1, 50%: 2", "times of one kind"),
        ("jitter", {"0s": 1, "-1s": 2}, "a whole number"),
        ("regions", "0s: " + 50_000 * "[", "received '\\[\\["),
        ("jitter", "0%: 1, 101%: 2", "seconds, minutes, percent .* '101%'"),
        ("jitter", "0:00: 1, 0:60: 2", "received '0:60'"),
        ("jitter", "0s: 1, 10: 2", "seconds, minutes, percent .* received '10'"),
        ("size", "0s: 100, 9s: 200", "change during a film; received keyframes of"),
        ("network", "0s: motif, 9s: vgg16", "change during a film"),
        ("keyframes", ["video.cuts: 0s=auto, 9s=none"], "change during a film"),
        ("keyframes", ["camera.seam: 0s=5, 9s=9"], "change during a film"),
        ("keyframes", ["jiter: 0s=1"], "one that exists; received 'jiter'"),
        ("keyframes", ["video.cary: 0s=1"], "received 'cary'"),
        ("keyframes", ["jitter: 0s=1", "jitter: 1s=1"], "jitter more than once"),
        ("keyframes", ["jitter"], "SETTING: TIME=VALUE"),
        ("keyframes", ["jitter: 3"], "SETTING: TIME=VALUE"),
        ("keyframes", 7, "SETTING: TIME=VALUE"),
        ("keyframes", ["jitter: " + ", ".join(f"{n}s=1" for n in range(1001))], "1000"),
        ("keyframes", ["jitter: 0s=1"] * 65, "64"),
        ("blend", "follow(loud, 0, 1)", "follow\\(loudness, LOW, HIGH\\)"),
        ("blend", "follow(band(9, 5), 0, 1)", "follow"),
        ("blend", "follow(loudness, 0)", "follow"),
        ("blend", "follow(loudness, 0, 1, attack=99)", "at most 60"),
        ("blend", "follow(loudness, 0, 2)", "`blend` must be"),
        ("objective", "0s: mixed3, 1s: 2mixed4", "a \\* between a weight"),
    ],
)
def test_what_is_wrong_gets_one_sentence(setting, text, says):
    with pytest.raises(InputError, match=says) as error:
        Recipe(**{setting: text})
    assert str(error.value).count("received") == 1


def test_files_of_strangers_are_names_with_hashes():
    own = Recipe(strength="follow(loudness, 1, 2, file=music/song.wav)")
    assert [file.name for file in own.files] == ["music/song.wav"]
    with pytest.raises(SettingError, match="file in a recipe"):
        Recipe.read(own.json_text())


def test_a_setting_has_one_value_or_keyframes():
    with pytest.raises(SettingError, match="either as one value or by keyframes"):
        Recipe(jitter=4, keyframes=["jitter: 0s=3, 5s=9"])


def test_settings_fit_each_other_at_all_times():
    """A border may come before or after edges belong together, not with them."""
    border = "0s: 3, 2s: 0 step"
    assert Recipe(border=border, wrap="0s: none, 3s: both").at_time(3).wrap == "both"
    with pytest.raises(SettingError, match="must have no border"):
        Recipe(border=border, wrap="0s: none, 1s: both")
    late = Recipe(border="0s: 3, 4s: 0 step", wrap="0%: none, 50%: both")
    assert late.in_seconds(Fraction(8)).at_time(4).wrap == "both"
    with pytest.raises(SettingError, match="must have no border"):
        late.in_seconds(Fraction(7))


# -- what they mean --------------------------------------------------------------------
@pytest.mark.parametrize(
    ("easing", "quarter", "half"),
    [
        ("linear", 0.25, 0.5),
        ("step", 0, 0),
        ("ease-in", 0.0625, 0.25),
        ("ease-out", 0.4375, 0.75),
        ("ease-in-out", 0.15625, 0.5),
    ],
)
def test_easings_are_the_published_formulas(easing, quarter, half):
    recipe = Recipe(blend=f"2s: 0, 6s: 1 {easing}")
    moments = [0, 2, 3, 4, Fraction(6) - Fraction(1, 10**9), 6, 99]
    values = [recipe.at_time(moment).blend for moment in moments]
    near = 0 if easing == "step" else pytest.approx(1, abs=1e-8)
    assert values == [0, 0, quarter, half, near, 1, 1]


@given(st.sampled_from(sorted(EASINGS)), st.floats(0, 1), st.floats(0, 1))
def test_easings_are_monotone_from_0_to_1(easing, one, other):
    ease = EASINGS[easing]
    low, high = sorted((one, other))
    assert 0 == ease(0) <= ease(low) <= ease(high) + 1e-15
    assert ease(high) <= ease(1) == 1


@given(curves().filter(lambda curve: curve[2][0][0].unit == "s"), st.floats(0, 2e6))
@settings(deadline=None, max_examples=50)
def test_values_are_exact_at_keyframes_and_within_them_between(curve, time):
    setting, text, keys = curve
    recipe = Recipe(keyframes=[text])
    for moment, value, _ in keys:
        assert getattr(recipe.at_time(moment.number), setting) == value
    found = getattr(recipe.at_time(time), setting)
    assert type(found) is type(keys[0][1])
    before = [k for k in keys if k[0].number <= time] or keys[:1]
    after = [k for k in keys if k[0].number >= time] or keys[-1:]
    low, high = sorted((before[-1][1], after[0][1]))
    assert low <= found <= high
    assert recipe.at_time(time) == recipe.still.but(**{setting: found})


def test_whole_numbers_are_rounded_and_half_goes_up():
    recipe = Recipe(jitter="0s: 0, 8s: 4", border="0s: 4, 8s: 0")
    values = [(recipe.at_time(t).jitter, recipe.at_time(t).border) for t in range(9)]
    assert values == [
        (0, 4), (1, 4), (1, 3), (2, 3), (2, 2), (3, 2), (3, 1), (4, 1), (4, 0),
    ]  # fmt: skip


def animated():
    """Every setting that is a number, with two values that it may have."""
    models = {"": Recipe, "video.": VideoSettings}
    for within, model in models.items():
        for name, field in model.model_fields.items():
            least = [getattr(part, "ge", None) for part in field.metadata]
            above = [getattr(part, "gt", None) for part in field.metadata]
            bounds = [v for v in least if v is not None]
            bounds += [v + 1 for v in above if v is not None]
            if bounds and within + name not in FIXED:
                values = [max(*bounds, 0), max(*bounds, 0) + 1]
                values[1] = (
                    1 if name in ("blend", "keep_detail", "carry") else values[1]
                )
                yield within + name, values, is_whole(field)


ANIMATED = list(animated())


def test_the_settings_that_are_numbers_are_known():
    names = {name for name, *_ in ANIMATED}
    assert {"step_size", "steps", "strength", "video.carry", "max_loss"} <= names
    assert not names & FIXED
    assert nested_settings() <= FIXED


@pytest.mark.parametrize(("setting", "values", "whole"), ANIMATED)
def test_every_number_can_be_animated(setting, values, whole):
    low, high = values
    recipe = Recipe(keyframes=[f"{setting}: 0s={low}, 8s={high}"])
    name, _, part = setting.partition(".")
    found = getattr(recipe.at_time(2), name)
    found = getattr(found, part) if part else found
    assert found == low + (0 if whole or setting == "seed" else 0.25)
    assert recipe.sha256 != recipe.still.sha256


def test_parts_and_masks_of_one_build_are_interpolated():
    recipe = Recipe(
        filters="0s: smooth(sigma=1) + clip(limit=4), 4s: smooth(sigma=5) + clip",
        mask="0s: box(0%, 0%, 50%, 40%, feather=8), 4s: box(40%, 20%, 100%, 40%)",
        octave_strengths="0s: 1, 0, 4s: 0, 1",
        seed="0s: 1, 4s: 1001",
    )
    moment = recipe.at_time(1)
    assert [part.text for part in moment.filters] == [
        "smooth(sigma=2.0)",
        "clip(limit=3.75)",
    ]
    assert moment.mask.text == "box(10%, 5%, 62.5%, 40%, feather=6)"
    assert moment.octave_strengths == (0.75, 0.25)
    assert moment.seed == 1, "every seed is another one: nothing is between"


@pytest.mark.parametrize(
    ("setting", "one", "other"),
    [
        ("filters", "smooth", "smooth + clip"),
        ("detail", "before", "after"),
        ("canvas", "pixels", "decorrelated"),
        ("epsilon", "none", "0.001"),
        ("octaves", "auto", "3"),
        ("clamp", "true", "false"),
        ("mask", "box(0%, 0%, 50%, 40%)", "box(0, 0, 50, 40)"),
        ("mask", "sky.png", "box(0, 0, 50, 40)"),
    ],
)
def test_what_has_nothing_between_holds_until_the_next_keyframe(setting, one, other):
    recipe = Recipe(keyframes=[f"{setting}: 1s={one}, 3s={other}"])
    first, last = (Recipe(**{setting: value}) for value in (one, other))
    for time, expected in ((0, first), (2.999, first), (3, last), (4, last)):
        assert getattr(recipe.at_time(time), setting) == getattr(expected, setting)


# -- objectives ------------------------------------------------------------------------
def test_objectives_are_united_and_their_weights_interpolated():
    recipe = Recipe(objective={"0s": "mixed3 + 2*mixed4", "10s": "class:eye"})
    assert objective(recipe, 0) == "mixed3 + 2.0*mixed4"
    assert objective(recipe, 2.5) == "0.75*mixed3 + 1.5*mixed4 + 0.25*class:eye"
    assert objective(recipe, 10) == "class:eye"


def test_objectives_that_share_terms_keep_them():
    recipe = Recipe(objective="0s: mixed3 - tv, 4s: 3*mixed3 + class:eye ease-in")
    assert objective(recipe, 2) == "1.5*mixed3 - 0.75*tv + 0.25*class:eye"


def test_networks_come_and_go():
    recipe = Recipe(
        objective="0s: mixed4; 0.5*squeezenet: fire6, 10s: 3*mixed4; vgg16[tf]: conv, "
        "20s: mixed4"
    )
    assert objective(recipe, 5) == (
        "2.0*mixed4; 0.25*squeezenet: fire6; 0.5*vgg16[tf]: conv"
    )
    assert objective(recipe, 10) == "3.0*mixed4; vgg16[tf]: conv"
    assert objective(recipe, 20) == "mixed4"
    names = {network.network for network in recipe.every_network}
    assert names == {"motif", "squeezenet", "vgg16"}, "all are loaded before the film"


def test_a_network_may_be_named_more_than_once():
    recipe = Recipe(objective="0s: a; vgg16: b; vgg16: c, 4s: a; vgg16: b; 2*vgg16: c")
    assert objective(recipe, 2) == "a; vgg16: b; 1.5*vgg16: c"


def test_weights_that_cross_zero_together_leave_an_objective():
    """An objective without terms would stand for the network's own."""
    recipe = Recipe(objective="0s: mixed3, 2s: -mixed3")
    assert objective(recipe, 0.5) == "0.5*mixed3"
    (term,) = recipe.at_time(1).objective.terms
    assert abs(term.weight) < 1e-20
    both = Recipe(objective="0s: mixed3 + mixed4, 2s: mixed4 - mixed3")
    assert objective(both, 1) == "mixed4"


def test_objectives_without_a_sum_are_refused_before_the_film():
    with pytest.raises(ObjectiveError, match=r"must expect the same of its pictures"):
        Recipe(objective="0s: a; vgg16[tf]: b, 2s: a; vgg16[caffe]: b")
    long = [" + ".join(f"{c}{n:03}" for n in range(600)) for c in "ab"]
    assert Recipe(objective=long[0]).objective is not None
    with pytest.raises(ObjectiveError, match="at most"):
        Recipe(objective={"0s": long[0], "2s": long[1]})


@given(st.floats(0, 1), st.integers(-5, 5), st.integers(-5, 5))
@settings(deadline=None, max_examples=50)
def test_a_weight_is_between_its_neighbours(share, one, other):
    first, last = (
        Recipe(objective=f"{w}*mixed3 + mixed4" if w else "mixed4").objective
        for w in (one, other)
    )
    mixed = between(first, last, share)
    weights = {term.target.text: term.weight for term in mixed.terms}
    assert weights["mixed4"] == 1
    assert weights.get("mixed3", 0) == pytest.approx(
        one + (other - one) * share, rel=1e-8, abs=1e-8
    )


# -- settings over each other ----------------------------------------------------------
def test_a_value_takes_the_place_of_keyframes_and_keyframes_that_of_a_value():
    below = Recipe(jitter="0s: 3, 5s: 9", step_size=EXAMPLE, video={"carry": {"0s": 1}})
    plain = Recipe(jitter=4).over(below)
    assert plain.jitter == 4
    assert [curve.setting for curve in plain.keyframes] == ["step_size", "video.carry"]
    other = Recipe(jitter="1s: 7, 2s: 8").over(below)
    assert texts(other)[0] == "jitter: 1s=7, 2s=8"
    assert len(other.keyframes) == 3
    assert Recipe(keyframes=()).over(below) == below.still
    assert below.but(seed=3).keyframes == below.keyframes
    assert below.but(jitter=9).keyframes == below.keyframes[1:]
    assert texts(below.but(keyframes=["jitter: 0s=1"])) == ["jitter: 0s=1"]
    same = below.but(video=below.video.but(flow_size=99))
    assert same.keyframes == below.keyframes
    assert len(below.but(video=VideoSettings(carry=0.5)).keyframes) == 2


def test_a_film_without_length_has_no_percent():
    with pytest.raises(SettingError, match="must be in seconds"):
        Recipe(jitter="0%: 1, 100%: 2").at_time(1)


def test_sounds_are_silent_where_none_is_heard():
    recipe = Recipe(strength="follow(loudness, 0.5, 1.5)", jitter="0s: 1, 1s: 2")
    assert (recipe.strength, recipe.at_time(0).strength) == (0.5, 0.5)
    loud = recipe.at_time(1, level=lambda sound: 0.25)
    assert (loud.strength, loud.jitter) == (0.75, 2)


def test_the_schema_has_keyframes_in_the_place_of_values():
    schema = Recipe.model_json_schema()["properties"]
    kinds = schema["step_size"]["anyOf"]
    assert [kind["type"] for kind in kinds] == ["number", "object", "string"]
    assert "anyOf" not in schema["schema_number"]
    written = json.loads(Recipe(step_size=EXAMPLE).json_text())
    assert isinstance(written["step_size"], float)
    assert isinstance(written["keyframes"][0], str)
