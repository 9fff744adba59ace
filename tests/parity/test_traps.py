"""The traps of a faithful DeepDream, a test each (4 and 7 are in test_loops)."""

import numpy as np
import pytest
from backends import not_on_jax
from parity import driver
from parity.standin import StandIn, dream
from reference import features, off, outputs, picture

from keras_dream import Dreamer, presets
from keras_dream.dreamer.dreamer import Recipe
from keras_dream.errors import PictureError
from keras_dream.geometry import octave_sizes, taps
from keras_dream.graph.passes import truncate
from keras_dream.lowering.walker import lower

BOOK1 = {"mixed2": 0.2, "mixed3": 3.0, "mixed4": 2.0, "mixed5": 1.5}


@pytest.fixture(scope="module")
def dreamer(inception, backend):
    return Dreamer(inception, preprocessing="tf")


def sizes(side, recipe):
    return [
        h
        for h, _ in octave_sizes(
            (side, side),
            octaves=recipe.octaves,
            octaves_above=recipe.octaves_above,
            octave_scale=recipe.octave_scale,
            rule=recipe.octave_sizes,
        )
    ]


@pytest.fixture(scope="module")
def book1_features(inception):
    """What Keras finds in the layers of `BOOK1`, in a picture of 178 x 178."""
    found = features(outputs(inception, list(BOOK1)), picture(178, 178) * 2 - 1)
    return dict(zip(BOOK1, found, strict=True))


@pytest.mark.backends
@pytest.mark.parametrize(
    ("name", "side"),
    [("mixed2", 19), not_on_jax("mixed3", 9), not_on_jax("mixed4", 9), ("mixed5", 9)],
)
def test_trap_1_interior_over_full_size(name, side, dreamer, book1_features):
    """The sum runs over the interior, the divisor is the full size; layer by layer."""
    image, weight, x = picture(178, 178), BOOK1[name], book1_features[name]
    assert x.shape[:2] == (side, side)
    inside = (x[2:-2, 2:-2].astype(np.float64) ** 2).sum()
    recipe = presets["book1"].but(objective=f"{weight}*{name}")
    loss, _ = dreamer.gradient(image, recipe)
    assert loss == pytest.approx(weight * inside / x.size, rel=1e-4)
    other, _ = dreamer.gradient(image, recipe.but(loss="l2_mean"))
    ratio = (side / (side - 4)) ** 2  # 1.604 and 3.24
    assert other / loss == pytest.approx(ratio, rel=1e-5)


def test_trap_2_too_small_octaves_are_silent(inception, backend):
    graph = lower(inception, preprocessing="tf")
    smallest = {
        name: truncate(graph, frozenset([name])).smallest(border=2, nodes=[name])
        for name in (f"mixed{k}" for k in range(11))
    }
    assert {smallest[f"mixed{k}"] for k in (3, 4, 5, 6, 7)} == {107}
    assert {smallest[f"mixed{k}"] for k in (8, 9, 10)} == {203}
    assert {smallest[f"mixed{k}"] for k in (0, 1, 2)} == {59}
    dreamer = Dreamer(inception, preprocessing="tf")
    image = picture(100, 100)
    # As published: nothing happens (book1), or the mean of nothing (book2).
    deep = presets["book1"].but(objective="mixed5", steps=1, octaves=1)
    loss, slope = dreamer.gradient(image, deep)
    assert loss == 0
    assert not slope.any()
    (step,) = dreamer.steps(image, deep)
    assert np.array_equal(step.image(), image)
    nothing = presets["book2"].but(steps=1, octaves=1)
    (step,) = dreamer.steps(image, nothing)
    assert np.isnan(step.loss)
    assert np.array_equal(step.image(), image)
    assert step.dream.record.data()["losses"] == {"1": [None]}
    # And elsewhere: skipped with a notice, or refused where no octave is left.
    skipping = deep.but(small_octaves="skip", octaves=2)
    octaves, notices = dreamer.octaves((120, 120), skipping)
    assert [octave.size for octave in octaves] == [(120, 120)]
    assert len(notices) == 1
    assert "107" in notices[0]
    with pytest.raises(PictureError, match="at least 107"):
        dreamer.octaves((100, 100), skipping)


def test_trap_3_grid_sizes(inception):
    graph = lower(inception, preprocessing="tf")
    table = {
        75: (7, 3, 1),
        178: (19, 9, 4),
        250: (28, 13, 6),
        299: (35, 17, 8),
        350: (41, 20, 9),
        512: (61, 30, 14),
        600: (72, 35, 17),
        1024: (125, 62, 30),
    }
    for side, (a, b, c) in table.items():
        found = graph.plan(side, side).sizes
        grids = [found[f"mixed{k}"] for k in range(11)]
        assert grids == [(a, a)] * 3 + [(b, b)] * 5 + [(c, c)] * 3, side


@pytest.mark.backends
@pytest.mark.parametrize("size", [(25, 18), (13, 40), (7, 31)])
def test_trap_5_resize_conventions(size, backend):
    """Corner-aligned like scipy, half-pixel like tf.image.resize, on odd sizes."""
    image = picture(19, 23)
    expected = {
        "linear_corners": driver.corner_aligned(image, size),
        "linear": driver.half_pixel(image, size),
    }
    found = {method: resized(image, size, method, backend) for method in expected}
    for method, other in expected.items():
        assert np.abs(found[method] - other).max() < 1e-6
    assert np.abs(found["linear"] - found["linear_corners"]).max() > 1e-2


def resized(image, size, method, backend):
    rows = taps(image.shape[0], size[0], method)
    columns = taps(image.shape[1], size[1], method)
    return backend.to_image(backend.resample(backend.image(image), rows, columns))


@pytest.mark.backends
@pytest.mark.parametrize("size", [(25, 18), (13, 40), (7, 31), (19, 23), (60, 5)])
def test_trap_5_lanczos_like_keras(size, backend):
    """The antialiased kernel of keras.ops.image.scale_and_translate."""
    from keras import ops

    image = picture(19, 23)
    scale = np.array([n / m for n, m in zip(size, image.shape, strict=False)], "f4")
    expected = ops.image.scale_and_translate(
        ops.convert_to_tensor(image),
        (*size, 3),
        ops.convert_to_tensor(scale),
        ops.convert_to_tensor(np.zeros(2, np.float32)),
        (0, 1),
        "lanczos3",
        antialias=True,
    )
    expected = np.asarray(expected.cpu() if hasattr(expected, "cpu") else expected)
    assert np.abs(resized(image, size, "lanczos3", backend) - expected).max() < 2e-5


def test_trap_6_powers_are_not_chained():
    """350, 600 and 1024 as published; where chained divisions would differ, too."""
    recipe = presets["book1"]
    assert sizes(350, recipe) == [178, 250, 350]
    assert sizes(600, recipe) == [306, 428, 600]
    assert sizes(1024, recipe) == [522, 731, 1024]
    for side in range(75, 2000):
        assert sizes(side, recipe) == [int(side / 1.4**i) for i in (2, 1, 0)]
    chained = [
        side
        for side in range(75, 2000)
        if int(int(side / 1.4) / 1.4) != int(side / 1.4**2)
    ]
    assert chained  # the trap exists
    assert octave_sizes(
        (403, 302), octaves=3, octaves_above=0, octave_scale=1.4, rule="direct"
    ) == ((205, 154), (287, 215), (403, 302))
    assert sizes(600, presets["google2015"]) == [219, 306, 429, 600]
    assert sizes(350, presets["tftut"]) == [207, 269, 350, 455, 591]
    assert sizes(600, presets["tftut"]) == [int(600 * 1.3**n) for n in range(-2, 3)]


@pytest.mark.backends
def test_trap_8_float32_and_truncated_bytes(backend):
    image = picture(60, 52)
    recipe = presets["book1"].but(steps=5)
    stand_in = StandIn()
    found, steps = dream(image, recipe, stand_in.on(backend), backend)
    assert found.dtype == steps[0].image().dtype == np.float32
    trace = driver.Trace()
    x = driver.book1(image * 2 - 1, stand_in.in_units(2, -1), trace, steps=5)
    # deprocess of the Keras examples truncates: the last bit may differ, no more.
    ours, theirs = (
        np.clip((y / 2 + 0.5) * 255, 0, 255).astype(np.uint8)
        for y in (found * 2 - 1, x)
    )
    differs = ours != theirs
    assert differs.mean() < 1e-3
    assert np.abs(ours.astype(int) - theirs)[differs].max(initial=0) <= 1


@pytest.mark.backends
def test_trap_9_batch_norm_infers(inception, backend):
    """The moving statistics count, not those of the picture."""
    from keras import ops

    image = picture(91, 80)
    names = ["mixed0"]
    model = outputs(inception, names)
    found = Dreamer(inception, preprocessing="tf").features(image, names)["mixed0"]
    (expected,) = features(model, image * 2 - 1)
    assert off(found, expected) < 1e-4
    kept = [variable.value + 0 for variable in model.variables]
    trained = model(ops.convert_to_tensor(image[None] * 2 - 1), training=True)
    trained = trained.detach() if hasattr(trained, "detach") else trained
    for variable, value in zip(model.variables, kept, strict=True):
        variable.assign(value)  # training moved the statistics
    assert (
        off(
            found,
            np.asarray(trained[0].cpu() if hasattr(trained[0], "cpu") else trained[0]),
        )
        > 0.1
    )


def test_trap_10_the_oracle_is_independent():
    """It may know nothing of ours: that is what makes it an oracle."""
    from pathlib import Path

    for module in ("driver.py", "../reference.py", "../small_models.py"):
        text = (Path(__file__).parent / module).read_text("utf-8")
        assert not [
            line
            for line in text.splitlines()
            if "import" in line and "keras_dream" in line
        ]


def test_presets_are_the_published_ones():
    """Weights, floors and steps, rescaled from the published units."""
    expected = {
        "book1": (20, 0.005, "mean_abs", 2e-7, 10.0, "before"),
        "kerasio": (20, 0.005, "mean_abs", 2e-6, 15.0, "after"),
        "book2": (30, 10.0, "l2", 4e-12, 15.0, "after"),
        "tftut": (50, 0.005, "std", 2e-8, None, "before"),
        "google2015": (10, 1.5 / 255, "mean_abs", 0.0, None, "before"),
    }
    for name, values in expected.items():
        recipe: Recipe = presets[name]
        found = (
            recipe.steps,
            recipe.step_size,
            recipe.normalizer,
            recipe.epsilon,
            recipe.max_loss,
            recipe.max_loss_rule,
        )
        assert found == values, name
    terms = presets["book1"].networks[0].terms
    assert {term.target.name: term.weight for term in terms} == BOOK1
    # What the recipe leaves open is the published floor as well.
    assert presets["kerasio"].loss.name == "l2"
    assert presets["book2"].loss.name == "l2_mean"
    assert (presets["google2015"].jitter, presets["google2015"].octaves) == (32, 4)
