"""Cross-fades: a film from one recipe into another."""

from fractions import Fraction

import pytest

import keras_dream as kd
from keras_dream.errors import InputError
from keras_dream.recipe.presets import presets
from keras_dream.recipe.recipe import Recipe
from keras_dream.recipe.video import VideoSettings

ONE = Recipe(objective="mixed3", jitter=2, detail="before", seed=1)
OTHER = Recipe(objective="mixed4", jitter=8, detail="after", seed=7, filters="smooth")


def test_numbers_and_objectives_fade_and_words_switch_in_the_middle():
    film = kd.crossfade(ONE, OTHER, start="5s", end=9)
    assert [curve.text for curve in film.keyframes] == [
        "detail: 5s=before, 7s=after step",
        "filters: 5s=none, 7s=smooth step",
        "jitter: 5s=2, 9s=8",
        "objective: 5s=mixed3, 9s=mixed4",
        "seed: 5s=1, 7s=7 step",
    ]
    assert film.at_time(0) == film.at_time(5) == ONE
    assert film.at_time(9) == film.at_time(99) == OTHER
    moment = film.at_time(6)
    assert str(moment.objective) == "0.75*mixed3 + 0.25*mixed4"
    assert (moment.jitter, moment.detail, moment.seed) == (4, "before", 1)
    assert film.at_time(7).detail == "after"
    assert kd.crossfade(ONE, ONE) == ONE


def test_easing_and_percent():
    film = kd.crossfade(ONE, OTHER, start="25%", end="75%", easing="ease-in")
    moment = film.in_seconds(Fraction(8)).at_time(4)
    assert moment.jitter == 4  # 2 + 6 / 4 rounded
    assert str(moment.objective) == "0.75*mixed3 + 0.25*mixed4"


def test_keyframes_of_both_stay():
    own = {"steps": "0s: 4, 8s: 12", "video": {"carry": {"0s": 1, "8s": 0}}}
    film = kd.crossfade(ONE.but(**own), OTHER.but(**own), start=0, end=8)
    moment = film.at_time(4)
    assert (moment.steps, moment.video.carry, moment.jitter) == (8, 0.5, 5)


def test_settings_of_a_film_fade_too():
    one, other = Recipe(), Recipe(video=VideoSettings(carry=0))
    film = kd.crossfade(one, other, start=0, end=2)
    assert film.at_time(1).video == VideoSettings(carry=0.5)


@pytest.mark.parametrize("name", presets)
def test_the_default_preset_fades_into_every_other(name):
    first, last = presets["default"], presets[name]
    if first.network != last.network:
        with pytest.raises(InputError, match="received network 'motif' and"):
            kd.crossfade(first, last)
        return
    film = kd.crossfade(first, last, start="1s", end="2s")
    assert film.at_time(1) == first
    assert film.at_time(2) == last
    assert Recipe.read(film.json_text()) == film


@pytest.mark.parametrize(
    ("one", "other", "options", "says"),
    [
        (ONE, Recipe(network="vgg16"), {}, "alike .* network 'motif' and 'vgg16'"),
        (ONE, Recipe(size=99), {}, "alike .* size 'none' and '99'"),
        (
            ONE,
            Recipe(video=VideoSettings(cuts="none")),
            {},
            "video.cuts 'auto' and 'none'",
        ),
        (ONE, Recipe(jitter="0s: 1, 1s: 2"), {}, "with the same keyframes, or none"),
        (ONE, OTHER, {"start": 5, "end": 5}, "begin before it ends"),
        (ONE, OTHER, {"start": "5s", "end": "50%"}, "in the same unit"),
        (ONE, OTHER, {"start": "soon"}, "seconds, minutes, percent"),
        (ONE, OTHER, {"easing": "bounce"}, "An easing must be one of"),
        (
            Recipe(objective="a; vgg16[tf]: b"),
            Recipe(objective="a; vgg16[caffe]: b"),
            {},
            "must expect the same of its pictures",
        ),
        (
            Recipe(border=2),
            Recipe(wrap="both"),
            {},
            "must have no border",
        ),
    ],
)
def test_what_cannot_fade_is_refused(one, other, options, says):
    with pytest.raises(InputError, match=says) as error:
        kd.crossfade(one, other, **options)
    assert str(error.value).count("received") == 1
