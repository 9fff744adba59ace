"""Overrides: what single octaves have of their own."""

import json

import numpy as np
import pytest
from parity.standin import StandIn, dream as dreamed
from reference import picture

import keras_dream as kd
from keras_dream.engine import cost, loop
from keras_dream.errors import InputError
from keras_dream.recipe.recipe import Recipe


def test_texts_are_read_and_written():
    asked = [" 1 - 2 :objective= 2*mixed4:3,1 ", "3-: steps = 7", "2:step_size=.01"]
    recipe = Recipe(per_octave=asked)
    data = json.loads(recipe.json_text())["per_octave"]
    assert data == ["1-2: objective=2.0*mixed4:1,3", "3-: steps=7", "2: step_size=0.01"]
    assert Recipe.read(recipe.json_text()) == recipe
    assert recipe.but(seed=1).per_octave == recipe.per_octave
    assert Recipe(per_octave="1: steps=3") == Recipe(per_octave=["1-1: steps=3"])


def test_octaves_have_what_is_said_of_them():
    recipe = Recipe(
        steps=20,
        jitter=5,
        objective="mixed3",
        per_octave=[
            "2-: steps=9",
            "3: steps=4",
            "1: objective=class:eye",
            "1: jitter=0",
        ],
    )
    assert [recipe.at(n).steps for n in (1, 2, 3, 4)] == [20, 9, 4, 9]
    assert [str(recipe.at(n).objective) for n in (1, 2)] == ["class:eye", "mixed3"]
    assert [recipe.at(n).jitter for n in (1, 2)] == [0, 5]
    assert recipe.at(2).per_octave == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("steps=3", "OCTAVES: SETTING=VALUE"),
        ("0: steps=3", "from 1"),
        ("3-2: steps=3", "OCTAVES"),
        ("1: seed=3", "objective, steps, step_size, jitter"),
        ("1: steps=-3", "`steps` must be a whole number"),
        ("1: steps=many", "`steps`"),
        ("1: objective=mixed4:", "a channel's number"),
        ("1: objective=mixed4; vgg16: conv", "must be one of the recipe's objective"),
        (7, "OCTAVES"),
    ],
)
def test_what_is_wrong_gets_one_sentence(text, says):
    with pytest.raises(InputError, match=says) as error:
        Recipe(per_octave=[text])
    assert str(error.value).count("received") == 1


def test_what_is_no_list_is_refused():
    for value in (7, {"1": "steps=3"}, "1: steps=3 | 2: steps=4"):
        with pytest.raises(InputError):
            Recipe(per_octave=value)
    assert Recipe(per_octave=None).per_octave == ()


def test_steps_differ_from_octave_to_octave(backend):
    recipe = Recipe(
        octaves=3, steps=4, jitter=2, per_octave=["1: steps=0", "3: steps=2"]
    )
    _, steps = dreamed(picture(40, 40), recipe, StandIn().on(backend), backend)
    assert [(s.octave, s.iteration, s.iterations) for s in steps] == [
        (2, 1, 4), (2, 2, 4), (2, 3, 4), (2, 4, 4), (3, 1, 2), (3, 2, 2),
    ]  # fmt: skip
    sizes = [octave.size for octave in loop.octaves_of((40, 40), recipe)]
    alone = [
        cost.seconds(size, Recipe(octaves=1, steps=steps, jitter=2))
        for size, steps in zip(sizes, (0, 4, 2), strict=True)
    ]
    assert cost.seconds((40, 40), recipe) == pytest.approx(sum(alone))


def test_a_step_size_of_one_octave(backend):
    recipe = Recipe(octaves=2, steps=1, jitter=0, step_size=0.001, clamp=False)
    changed = recipe.but(per_octave=["2: step_size=0.02"])
    _, steps = dreamed(picture(40, 40), changed, StandIn().on(backend), backend)
    _, plain = dreamed(picture(40, 40), recipe, StandIn().on(backend), backend)
    assert np.array_equal(steps[0].image(), plain[0].image())
    before = 2 * plain[1].image() - steps[1].image()
    assert np.abs(steps[1].image() - plain[1].image()).mean() == pytest.approx(
        0.019, rel=0.01
    )
    assert before.shape == (40, 40, 3)


def test_each_octave_maximises_its_own_objective(motif):
    """Losses are of the octave's own; without steps elsewhere dreams are equal."""
    dreamer, image = kd.Dreamer("motif"), picture(48, 48)
    base = Recipe(octaves=2, steps=2, objective="near")
    mixed = base.but(per_octave=["1: objective=far"])
    made = dreamer.dream(image, mixed)
    far = dreamer.dream(image, base.but(objective="far"))
    near = dreamer.dream(image, base)
    assert made.record.losses["1"] == far.record.losses["1"]
    assert made.record.losses["1"] != near.record.losses["1"]
    one = base.but(per_octave=["2: objective=far", "1: steps=0"])
    other = base.but(objective="far", per_octave=["1: steps=0"])
    assert np.array_equal(
        dreamer.dream(image, one).image, dreamer.dream(image, other).image
    )
    # The default objective of the network is written down.
    none = dreamer.dream(image, base.but(per_octave=["1: objective=default"]))
    assert [o.text for o in none.recipe.per_octave] == ["1: objective=far"]


def test_octaves_that_there_are_not_are_noticed(motif):
    dreamer = kd.Dreamer("motif")
    recipe = Recipe(octaves=2, steps=1, per_octave=["3-: steps=2"])
    _, notices = dreamer.octaves((40, 40), recipe)
    assert notices == ("per_octave is not used for octaves 3-: there are 2.",)


def test_an_octave_is_skipped_for_its_own_layers(motif):
    """A layer that is too deep for a small octave hinders only where it is asked."""
    dreamer = kd.Dreamer("motif")
    recipe = Recipe(octaves=2, steps=1, objective="far", border=3, octave_scale=2)
    assert [o.number for o in dreamer.octaves((24, 24), recipe)[0]] == [2]
    eased = recipe.but(per_octave=["1: objective=near"])
    assert [o.number for o in dreamer.octaves((24, 24), eased)[0]] == [1, 2]


def test_on_the_command_line(dream, photo):
    code, _, err = dream(
        photo, "--octaves", 2, "--steps", 2, "--quiet",
        "--per-octave", "1: steps=1", "--per-octave", "2: objective=near",
    )  # fmt: skip
    assert (code, err) == (0, "")
    code, out, _ = dream("show", "photo-dream.png")
    assert code == 0
    assert "1: steps=1; 2: objective=near" in out
    code, out, _ = dream("replay", "photo-dream.png", "--quiet")
    assert code == 0


def test_events_count_every_octaves_steps(dream, photo):
    code, out, _ = dream(
        photo, "--octaves", 2, "--steps", 2, "--per-octave", "1: steps=1", "--json"
    )
    assert code == 0
    events = [json.loads(line) for line in out.splitlines()]
    (started,) = [event for event in events if event["event"] == "started"]
    assert [octave["steps"] for octave in started["octaves"]] == [1, 2]
