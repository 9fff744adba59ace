"""Transforms: what the network sees, and that the gradient comes back through it."""

import numpy as np
import pytest
from reference import picture

import keras_dream as kd
from keras_dream.dreamer.plans import Planner
from keras_dream.engine import cost, loop
from keras_dream.engine.growth import Octave
from keras_dream.errors import PictureError, SettingError
from keras_dream.geometry import jitter_offsets
from keras_dream.parts.part import read_chain
from keras_dream.parts.transforms import (
    TRANSFORMS,
    Chain,
    Mirror,
    Roll,
    View,
    draw,
    view_size,
)
from keras_dream.recipe.recipe import Recipe


def chain(text):
    return read_chain(text, TRANSFORMS, "transforms")


def views(text, size, backend, *, seed=3, octave=1, steps=6, jitter=0):
    return list(
        draw(
            size,
            chain(text),
            seed=seed,
            octave=octave,
            steps=steps,
            jitter=jitter,
            backend=backend,
        )
    )


def seen(view, image, backend):
    x = view.chain.apply(backend, backend.image(image), view.constants)
    return backend.to_image(x)


EVERY = "flip(0.7) + scale(0.8, 1.2) + rotate(20) + pad(5) + crop(18, 2)"


@pytest.mark.backends
@pytest.mark.parametrize(
    "text", ["flip(1)", "scale(0.7, 1.4)", "rotate(30)", "pad(40)", "crop(9)", EVERY]
)
def test_a_view_has_the_size_that_is_promised(text, backend):
    image = picture(21, 26)
    for step in views(text, (21, 26), backend, steps=3, jitter=4):
        for view in step:
            assert view.size == view_size(chain(text), (21, 26))
            assert seen(view, image, backend).shape == (*view.size, 3)


@pytest.mark.backends
def test_the_gradient_comes_back_through_every_view(backend):
    """By finite differences of a loss that depends on every place."""
    image = picture(21, 26)
    along = np.random.default_rng(2).normal(size=image.shape).astype(np.float32)
    ((view, _),) = views(EVERY, (21, 26), backend, steps=1, jitter=4)
    weights = np.random.default_rng(1).normal(size=(*view.size, 3))
    held = backend.image(weights.astype(np.float32))

    def loss(x, _, *constants):
        y = view.chain.apply(backend, x, constants)
        return backend.sum(backend.multiply(backend.square(y), held))

    function = backend.value_and_grad(loss)
    _, gradient = function(backend.image(image), (), *view.constants)
    change = (backend.to_image(gradient) * along).sum()

    def value(step):
        y = seen(view, image + step * along, backend).astype(np.float64)
        return (y * y * weights).sum()

    assert change == pytest.approx((value(0.05) - value(-0.05)) / 0.1, rel=2e-3)


@pytest.mark.backends
def test_the_gradient_of_a_mirrored_view(motif, backend):
    """It is the mirrored gradient of the mirrored picture."""
    dreamer = kd.Dreamer("motif", run=kd.RunSettings(backend=backend.name))
    image, size = picture(24, 30), (24, 30)
    recipe = dreamer.complete(Recipe())
    gradient = dreamer._ensemble.gradient(recipe, {})
    view = View(size, Chain((Mirror(), Roll())), (3, -2))
    loss, found = gradient(backend.image(image), size, view=view, original=None)
    turned = np.roll(image[:, ::-1], (3, -2), (0, 1))
    expected_loss, expected = dreamer.gradient(np.ascontiguousarray(turned), recipe)
    expected = np.roll(expected, (-3, 2), (0, 1))[:, ::-1]
    assert backend.to_float(loss) == pytest.approx(expected_loss, rel=1e-5)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(backend.to_image(found), expected, atol=1e-4 * scale)


def test_random_numbers_belong_to_a_transform_alone(backend):
    """More steps, another jitter or a further transform change none of the others'."""
    first = views("rotate(30)", (20, 20), backend, steps=3)
    more = views("rotate(30) + flip(0)", (20, 20), backend, steps=5, jitter=2)
    for (one,), (other,) in zip(first, more, strict=False):
        assert np.array_equal(
            backend.to_numpy(one.constants[0]), backend.to_numpy(other.constants[0])
        )
    shifts = [view.constants[1:] for (view,) in more]
    assert shifts == [tuple(s) for s in jitter_offsets(3, 1, 5, 2).tolist()]
    other = views("rotate(30)", (20, 20), backend, steps=1, octave=2)
    assert not np.array_equal(
        backend.to_numpy(other[0][0].constants[0]),
        backend.to_numpy(first[0][0].constants[0]),
    )


def test_bounds_of_what_is_drawn(backend):
    angles, factors = [], []
    for (view,) in views("rotate(15)", (20, 30), backend, steps=200):
        a, b, *_ = backend.to_numpy(view.constants[0])
        angles.append(np.degrees(np.arctan2(b, a)))
    assert -15 <= min(angles) < -12
    assert 12 < max(angles) <= 15
    for (view,) in views("scale(0.5, 2)", (20, 30), backend, steps=200):
        factors.append(1 / backend.to_numpy(view.constants[0])[0])
    assert 0.5 <= min(factors) < 0.6
    assert 1.8 < max(factors) <= 2.001
    mirrored = [
        v.chain.moves for (v,) in views("flip(0.3)", (9, 9), backend, steps=400)
    ]
    assert 90 < sum(map(bool, mirrored)) < 150
    with pytest.raises(SettingError, match="least factor"):
        chain("scale(2, 1)")


def test_neighbouring_warps_are_interpolated_once(backend):
    """A zoom and its inverse are the picture itself, not a twice blurred one."""
    ((view,),) = views("scale(2, 2) + scale(0.5, 0.5)", (16, 16), backend, steps=1)
    assert len(view.chain.moves) == 1
    rows = backend.to_numpy(view.constants[0]).reshape(2, 3)
    np.testing.assert_allclose(rows[:, :2], np.eye(2), atol=1e-6)


def through_chain(backend, image):
    """Returns a gradient whose values are 1 wherever something is seen."""

    def gradient(x, size, *, view, original):
        def loss(x, _, *constants):
            return backend.sum(view.chain.apply(backend, x, constants))

        return backend.value_and_grad(loss)(x, (), *view.constants)

    return gradient


def steps_of(image, recipe, backend):
    return loop.run(
        image,
        loop.octaves_of(image.shape[:2], recipe),
        recipe,
        gradient_of=lambda _: through_chain(backend, image),
        backend=backend,
        result=lambda image, losses, complete: image,
    )


@pytest.mark.backends
def test_a_window_steps_as_far_in_a_large_picture_as_in_a_small_one(backend):
    recipe = Recipe(
        transforms="crop(12)", octaves=1, steps=1, step_size=0.01, jitter=3, clamp=False
    )
    for size in ((12, 12), (40, 30)):
        image = picture(*size)
        moved = np.abs(steps_of(image, recipe, backend).finish() - image)
        assert (moved > 1e-3).sum() == 12 * 12 * 3
        np.testing.assert_allclose(moved[moved > 1e-3], 0.01, rtol=1e-3)


def test_a_window_of_independent_colours_steps_as_far(backend):
    recipe = Recipe(
        transforms="crop(12)", octaves=1, steps=1, step_size=0.01, clamp=False
    )
    image = picture(40, 30)
    for canvas in ("pixels", "decorrelated"):
        run = steps_of(image, recipe.but(canvas=canvas), backend)
        moved = np.abs(run.finish() - image)
        assert moved[moved > 1e-3].mean() == pytest.approx(0.01, rel=0.01)


def test_windows_cover_the_picture(backend):
    recipe = Recipe(
        transforms="crop(12, 60)", octaves=1, steps=1, jitter=0, clamp=False
    )
    moved = steps_of(picture(30, 30), recipe, backend).finish() - picture(30, 30)
    assert (moved > 0).all()


def test_cost_and_memory_are_of_what_the_network_sees(motif):
    dreamer, recipe = kd.Dreamer("motif"), Recipe(octaves=1, steps=2)
    whole, window = (recipe.but(transforms=t) for t in ("none", "crop(32, 3)"))
    planner = Planner(dreamer._ensemble, dreamer._backend, dreamer.run)

    def bytes_of(size, recipe):
        octaves = (Octave(1, size),)
        return planner.plan(size, dreamer.complete(recipe), octaves).octaves[0]

    small, large = bytes_of((32, 32), whole), bytes_of((200, 100), window)
    assert large.chosen == small.chosen
    remembers = bytes_of((32, 32), whole.but(optimizer="lbfgs(memory=100)"))
    assert remembers.bytes - small.bytes >= 2 * 100 * 32 * 32 * 3 * 4
    views = [whole.but(transforms=f"crop(32, {count})") for count in (1, 2, 3)]
    one, two, three = (cost.seconds((200, 100), recipe) for recipe in views)
    assert three - two == pytest.approx(two - one)
    assert two - one > 2 * (cost.NETWORK + 32 * 32 * cost.NETWORK_PIXEL)
    padded = cost.seconds((200, 100), whole.but(transforms="pad(10)"))
    more = 2 * (220 * 120 - 200 * 100) * cost.NETWORK_PIXEL
    assert padded - cost.seconds((200, 100), whole) > more


def test_the_smallest_size_is_that_of_the_view(motif):
    """A margin makes a picture large enough for a layer, a window too small."""
    dreamer, recipe = kd.Dreamer("motif"), Recipe(octaves=1, steps=1, border=4)
    with pytest.raises(PictureError):
        dreamer.dream(picture(12, 12), recipe)
    dreamer.dream(picture(12, 12), recipe.but(transforms="pad(8)"))
    with pytest.raises(PictureError, match="a larger crop"):
        dreamer.dream(picture(60, 60), recipe.but(transforms="crop(12)"))


def test_a_margin_makes_the_edge_an_inside(backend):
    """The layers' zeros beyond an edge weaken its gradient; reflection does not."""
    dreamer, size = kd.Dreamer("motif"), (96, 96)
    gradient = dreamer._ensemble.gradient(dreamer.complete(Recipe()), {})
    shares = []
    for transforms in ("none", "pad(32)"):
        ((view,),) = views(transforms, size, backend, steps=1)
        image = backend.image(picture(*size))
        _, found = gradient(image, size, view=view, original=None)
        strength = np.abs(backend.to_image(found)).mean(axis=2)
        inside = strength[16:-16, 16:-16]
        frame = (strength.sum() - inside.sum()) / (strength.size - inside.size)
        shares.append(frame / inside.mean())
    assert shares[0] < 0.9
    assert shares[1] > 1.5 * shares[0]


def test_edges_that_belong_together_are_not_turned():
    with pytest.raises(SettingError, match="no transforms but flip"):
        Recipe(wrap="both", transforms="rotate(5)")
    Recipe(wrap="both", transforms="flip + pad")  # the margin is left out
