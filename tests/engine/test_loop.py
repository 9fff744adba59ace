"""The loop itself: events, stops and octaves, with a stand-in for a network."""

import itertools
import time

import numpy as np
import pytest
from parity.standin import StandIn, dream
from reference import picture

from keras_dream import Dreamer, presets
from keras_dream.engine import loop
from keras_dream.errors import NonFiniteError, SettingError
from keras_dream.recipe.recipe import Recipe

QUICK = Recipe(steps=3, octaves=3, jitter=4)


def steps_of(image, recipe, backend, gradient=None, octaves=None):
    size = image.shape[:2]
    return loop.run(
        image,
        octaves or loop.octaves_of(size, recipe),
        recipe,
        gradient_of=lambda _: gradient or StandIn().on(backend),
        backend=backend,
        result=lambda image, losses, complete: (image, losses, complete),
    )


@pytest.mark.backends
def test_a_step_never_changes_once_yielded(backend):
    image = picture(50, 44)
    seen, steps = [], []
    for step in steps_of(image, QUICK, backend):
        steps.append(step)
        seen.append((step.image(), step.dream, step.loss, hash(repr(step))))
    for step, (looked, ended, loss, said) in zip(steps, seen, strict=True):
        assert np.array_equal(step.image(), looked)
        assert np.array_equal(step.dream[0], ended[0])
        assert step.dream[1] == ended[1]
        assert (step.loss, hash(repr(step))) == (loss, said)
    for one, other in itertools.pairwise(steps):
        assert one.size != other.size or not np.array_equal(one.image(), other.image())


@pytest.mark.backends
def test_looking_at_a_step_changes_nothing(backend):
    """Neither what is looked at, nor what is done to it."""
    image = picture(50, 44)
    quiet, _ = dream(image, QUICK, StandIn().on(backend), backend)
    loud = steps_of(image, QUICK, backend)
    for step in loud:
        step.image()[:] = 7.0
        step.dream[0][:] = 7.0
    assert np.array_equal(loud.dream[0], quiet)


def test_the_events(backend):
    image = picture(50, 44)
    steps = list(steps_of(image, QUICK, backend))
    places = [(s.octave, s.octaves, s.iteration, s.iterations) for s in steps]
    assert places == [(o, 3, i, 3) for o in (1, 2, 3) for i in (1, 2, 3)]
    assert {s.octave: s.size for s in steps} == {1: (25, 22), 2: (35, 31), 3: (50, 44)}
    for step in steps:
        assert step.image().shape == (*step.size, 3)
        assert step.image().dtype == np.float32
        assert step.image().flags.c_contiguous
        assert step.seconds > 0
        assert isinstance(step.loss, float)
        with pytest.raises(AttributeError):
            step.loss = 0.0


@pytest.mark.parametrize("preset", list(presets))
def test_any_step_is_a_whole_dream(preset, backend):
    image = picture(64, 57)
    recipe = presets[preset].but(steps=2, max_loss=None)
    count = recipe.octaves_for((64, 57)) + recipe.octaves_above
    found, steps = dream(image, recipe, StandIn().on(backend), backend)
    assert len(steps) == 2 * count
    for step in steps:
        assert step.dream.shape == image.shape
    assert np.array_equal(steps[-1].dream, found)


def test_a_dream_in_the_middle_has_the_detail_of_the_original(backend):
    """After one tiny step it is the original, not a blurred one."""
    image = picture(64, 57)
    for detail in ("after", "before"):
        recipe = QUICK.but(step_size=1e-6, detail=detail, jitter=0)
        step = next(steps_of(image, recipe, backend))
        assert np.abs(step.dream[0] - image).max() < 1e-4
    blurred = next(steps_of(image, QUICK.but(step_size=1e-6, detail="none"), backend))
    assert np.abs(blurred.dream[0] - image).max() > 0.05


def test_losses_by_octave(backend):
    steps = list(steps_of(picture(50, 44), QUICK, backend))
    middle = steps[4].dream
    expected = {
        "1": [s.loss for s in steps[:3]],
        "2": [s.loss for s in steps[3:5]],
    }
    assert middle[1:] == (expected, False)
    assert list(steps[-1].dream[1]) == ["1", "2", "3"]


def test_stopping_is_break(backend):
    run = steps_of(picture(50, 44), QUICK, backend)
    assert run.dream[1:] == ({}, False)
    for step in run:
        if step.octave == 2:
            break
    assert run.dream[0].shape == (50, 44, 3)
    assert np.array_equal(run.dream[0], step.dream[0])
    assert run.dream[1:] == step.dream[1:]
    rest = list(run)
    assert len(rest) == 5
    assert run.dream[2] is True
    assert next(run, None) is None
    assert run.dream[2] is True


def test_losses_are_from_before_the_move(backend):
    image = picture(50, 44)
    recipe = QUICK.but(octaves=1, jitter=0)
    steps = list(steps_of(image, recipe, backend))
    losses = [StandIn().slope(image)[0]]
    losses += [StandIn().slope(step.image())[0] for step in steps[:-1]]
    assert [step.loss for step in steps] == pytest.approx(losses, rel=1e-6)


@pytest.mark.backends
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_gradient_must_be_finite(value, backend):
    def gradient(image, size, *, view, original):
        slope = np.zeros((*size, 3), np.float32)
        slope[3, 4, 1] = value
        return backend.mean(image), backend.image(slope)

    with pytest.raises(NonFiniteError, match="44 × 50") as error:
        list(steps_of(picture(50, 44), QUICK.but(octaves=1), backend, gradient))
    assert error.value.exit_code == 1


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "momentum", "lbfgs"])
@pytest.mark.parametrize(
    "settings", [{}, {"stop": "plateau(5, 0.01)"}, {"max_loss": 1}]
)
@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_a_loss_must_be_finite(value, settings, optimizer, backend):
    """Even where its gradient is, of which float16 makes zeros."""

    def gradient(image, size, *, view, original):
        slope = np.full((*size, 3), 0.1, np.float32)
        return backend.multiply(backend.mean(image), value), backend.image(slope)

    recipe = QUICK.but(octaves=1, optimizer=optimizer, **settings)
    with pytest.raises(NonFiniteError, match="loss must be finite") as error:
        list(steps_of(picture(50, 44), recipe, backend, gradient))
    assert error.value.exit_code == 1


def test_octaves_above_grow_and_come_back(backend):
    image = picture(40, 50)
    recipe = QUICK.but(octaves=1, octaves_above=2, octave_scale=1.3)
    found, steps = dream(image, recipe, StandIn().on(backend), backend)
    sizes = list(dict.fromkeys(step.size for step in steps))
    assert sizes == [(40, 50), (52, 65), (67, 84)]
    assert found.shape == image.shape
    # Where nothing is dreamed, growing and coming back loses next to nothing of what
    # is smooth.
    smooth = 0.5 + 0.3 * np.sin(np.indices((40, 50)).sum(0) / 5)[..., None].repeat(3, 2)
    recipe = recipe.but(steps=0)
    still, _ = dream(smooth.astype("f4"), recipe, StandIn().on(backend), backend)
    assert np.abs(still - smooth).max() < 0.02


@pytest.mark.parametrize("rule", ["direct", "chained"])
def test_octaves_by_their_longer_sides(rule, backend):
    """They take the place of count and scale; the last need not be the photo's."""
    image = picture(40, 50)
    recipe = QUICK.but(octave_sides="20, 45, 60", octave_sizes=rule, octave_scale=2)
    found, steps = dream(image, recipe, StandIn().on(backend), backend)
    assert [(s.octave, s.size) for s in steps[::3]] == [
        (1, (16, 20)),
        (2, (36, 45)),
        (3, (48, 60)),
    ]
    assert found.shape == image.shape
    assert recipe.for_size((40, 50)).octaves == 3
    by_count = QUICK.but(octave_sides="25, 50", step_size=0.01)
    same, _ = dream(image, by_count, StandIn().on(backend), backend)
    by_scale = QUICK.but(octaves=2, octave_scale=2, step_size=0.01)
    assert np.array_equal(
        same, dream(image, by_scale, StandIn().on(backend), backend)[0]
    )


@pytest.mark.parametrize("text", ["250, 200", "0, 5", "1.5", "a", "5, 5", "-3", "inf"])
def test_sides_must_ascend(text):
    with pytest.raises(SettingError, match="`octave_sides` must be whole numbers"):
        Recipe(octave_sides=text)


@pytest.mark.parametrize("rule", ["direct", "chained"])
def test_octave_rules(rule, backend):
    recipe = QUICK.but(octave_sizes=rule, octaves=4, steps=1)
    sizes = [step.size for step in steps_of(picture(60, 60), recipe, backend)]
    expected = {"direct": [21, 30, 42, 60], "chained": [22, 31, 43, 60]}
    assert [h for h, _ in sizes] == expected[rule]


@pytest.mark.parametrize("rule", ["direct", "chained"])
def test_octaves_of_equal_size(rule, backend):
    """A scale next to one repeats sizes; each is still an octave of its own."""
    recipe = QUICK.but(octave_scale=1.01, octave_sizes=rule, steps=1)
    steps = list(steps_of(picture(20, 24), recipe, backend))
    assert [step.octave for step in steps] == [1, 2, 3]


def test_the_same_seed_is_the_same_dream(backend):
    image = picture(50, 44)
    stand_in = StandIn().on(backend)
    found = [
        dream(image, QUICK.but(seed=seed), stand_in, backend)[0] for seed in (0, 0, 1)
    ]
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


def test_skipped_octaves_keep_their_numbers_and_their_shifts(backend):
    image = picture(50, 44)
    every = loop.octaves_of((50, 44), QUICK)
    whole = list(steps_of(image, QUICK, backend))
    late = list(steps_of(image, QUICK, backend, octaves=every[1:]))
    assert [step.octave for step in late] == [2, 2, 2, 3, 3, 3]
    assert {step.octaves for step in whole} == {step.octaves for step in late} == {3}


def test_a_step_costs_nothing_until_it_is_looked_at(backend):
    """Images are made on demand: no copy to the host, and no dream, in between."""
    asked = []

    def result(image, losses, complete):
        asked.append(complete)
        return image

    image = picture(50, 44)
    recipe = QUICK.but(octaves=1)
    octaves = loop.octaves_of((50, 44), recipe)
    began = time.perf_counter()
    run = loop.run(
        image,
        octaves,
        recipe,
        gradient_of=lambda _: StandIn().on(backend),
        backend=backend,
        result=result,
    )
    seconds = sum(step.seconds for step in run)
    assert seconds <= time.perf_counter() - began
    assert asked == [True]


def test_the_recipe_decides_which_octaves_run(backend):
    """Skipped with a notice, or run as published."""
    from small_models import convolutions, made

    dreamer = Dreamer(made(convolutions), preprocessing="tf")
    asked = Recipe.of(
        {"layers": {"pointwise": 1.0}, "octaves": 4, "border": 4, "steps": 1}
    )
    octaves, notices = dreamer.octaves((60, 60), asked)
    assert [octave.number for octave in octaves] != [1, 2, 3, 4]
    (notice,) = notices
    assert notice.startswith(f"Octaves 1-{4 - len(octaves)} of 4 are skipped: at ")
    every, silence = dreamer.octaves((60, 60), asked.but(small_octaves="run"))
    assert len(every) > len(octaves)
    assert (len(every) < 4) == bool(silence)
    ended = dreamer.dream(picture(60, 60), asked)
    assert ended.record.notices == notices
    assert list(ended.record.losses) == [str(octave.number) for octave in octaves]
