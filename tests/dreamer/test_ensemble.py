"""Several networks in one dream: by hand, by NumPy, and from the shell."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_models
from parity.standin import StandIn, dream as run_engine, rolls
from reference import off, picture, randomise

import keras_dream as kd
from keras_dream.engine.cost import OCTAVE, seconds
from keras_dream.engine.gradients import SummedGradient
from keras_dream.errors import NetworkError, ObjectiveError, PictureError, SettingError
from keras_dream.graph import file as graph_file
from keras_dream.parts.normalizers import Normalizer
from keras_dream.parts.transforms import View
from keras_dream.pictures.picture import as_picture
from keras_dream.replay import differences, read_saved
from keras_dream.zoo import catalogue
from keras_dream.zoo.load import check_opaque
from keras_dream.zoo.network import asks_for_class

NORMALISERS = ["mean_abs", "std", "l2", "none"]
FLOORS = {"mean_abs": 2e-7, "std": 2e-8, "l2": 4e-12, "none": 0.0}
FAST = ("--steps", 3, "--octaves", 2)


def normalised(gradient, kind, floor=None):
    """What a normalizer makes of a gradient, in NumPy and float64."""
    g = gradient.astype(np.float64)
    floor = FLOORS[kind] if floor is None else floor
    divisor = {
        "mean_abs": max(np.abs(g).mean(), floor),
        "std": g.std() + floor,
        "l2": np.sqrt(max((g**2).sum(), floor)),
        "none": 1.0,
    }[kind]
    return g / divisor if divisor else g


class Across(StandIn):
    """A stand-in that sees other patterns, and a thousand times as steeply."""

    def __init__(self):
        super().__init__(base=-3.0, rise=1000.0)

    @staticmethod
    @cache
    def patterns(shape):
        down, right, channel = np.indices((*shape, 3))
        v = np.cos(0.41 * right - 0.11 * down + 2 * channel)
        w = 1 + 0.5 * np.sin(0.29 * down + 0.07 * right - channel)
        return v.astype(np.float32), w.astype(np.float32)


STAND_INS = ((1.0, StandIn()), (-0.3, Across()), (2.5, StandIn(base=7.0, rise=1e-6)))


def by_hand(p, kind, floor=None):
    """The weighted sum of the losses, and that of the normalised slopes."""
    found = [(weight, *stand_in.slope(p)) for weight, stand_in in STAND_INS]
    loss = sum(weight * loss for weight, loss, _ in found)
    return loss, sum(w * normalised(slope, kind, floor) for w, _, slope in found)


@pytest.mark.backends
@pytest.mark.parametrize("kind", NORMALISERS)
@pytest.mark.parametrize("floor", [None, 0.02])
def test_the_sum_of_analytic_gradients(kind, floor, backend):
    image, recipe = picture(31, 26), kd.Recipe(normalizer=kind, epsilon=floor)
    several = SummedGradient(
        [(weight, stand_in.on(backend)) for weight, stand_in in STAND_INS],
        Normalizer(recipe.normalizer, recipe.epsilon, backend),
        backend,
    )
    loss, slope = several(
        backend.image(image), (31, 26), view=View((31, 26)), original=None
    )
    expected_loss, expected = by_hand(image, kind, floor)
    assert backend.to_float(loss) == pytest.approx(expected_loss, rel=1e-5)
    assert off(backend.to_image(slope), expected) < 1e-5


@pytest.mark.backends
def test_a_network_that_sees_nothing_adds_nothing(backend):
    image = picture(31, 26)
    blind = StandIn(base=5.0, rise=0.0).on(backend)
    recipe = kd.Recipe(epsilon=0.0)
    several = SummedGradient(
        [(1.0, StandIn().on(backend)), (4.0, blind)],
        Normalizer(recipe.normalizer, recipe.epsilon, backend),
        backend,
    )
    loss, slope = several(
        backend.image(image), (31, 26), view=View((31, 26)), original=None
    )
    alone, g = StandIn().slope(image)
    assert backend.to_float(loss) == pytest.approx(alone + 20.0, rel=1e-6)
    assert off(backend.to_image(slope), normalised(g, "mean_abs")) < 1e-5


@pytest.mark.backends
@pytest.mark.parametrize("kind", ["mean_abs", "std", "l2"])
def test_a_dream_by_numpy(kind, backend):
    """Forty steps: normalise each, weigh, add, normalise the sum, move, clamp."""
    image = picture(34, 29)
    recipe = kd.Recipe(
        normalizer=kind, octaves=1, steps=40, step_size=0.01 if kind != "l2" else 0.5
    )
    several = SummedGradient(
        [(weight, stand_in.on(backend)) for weight, stand_in in STAND_INS],
        Normalizer(recipe.normalizer, recipe.epsilon, backend),
        backend,
    )
    found, steps = run_engine(image, recipe, several, backend)
    p, losses = image.astype(np.float64), []
    for down, right in rolls(recipe)[0]:
        shifted = np.roll(p, (down, right), (0, 1)).astype(np.float32)
        loss, slope = by_hand(shifted, kind)
        slope = np.roll(slope, (-down, -right), (0, 1))
        losses.append(loss)
        p = np.clip(p + recipe.step_size * normalised(slope, kind), 0, 1)
    assert [step.loss for step in steps] == pytest.approx(losses, rel=1e-4)
    assert np.abs(p - image).mean() > 0.02  # it went somewhere
    assert np.abs(found - p).max() < 2e-4


@pytest.fixture(scope="module")
def models():
    """Two small networks that expect different pictures, one with its own scaling."""
    import keras
    from keras import layers

    x = image = keras.Input((None, None, 3))
    x = layers.Conv2D(8, 3, strides=2, activation="tanh", name="first")(x)
    x = layers.Conv2D(6, 3, padding="same", activation="silu", name="second")(x)
    one = randomise(keras.Model(image, x, name="one"), 5)
    return one, small_models.made(small_models.sequential)


@pytest.fixture(scope="module")
def both(models):
    return kd.Dreamer([kd.Network(models[0], preprocessing="caffe"), models[1]])


ASKED = kd.Recipe(
    objective="second - 0.5*first:2; -0.7*'model:stacked': conv; "
    "1.5*'model:one': first",
    steps=2,
    octaves=2,
)


@pytest.mark.backends
@pytest.mark.parametrize("kind", NORMALISERS)
def test_networks_by_hand(kind, models, both):
    """As single gradients, combined in NumPy; each with its own preprocessing."""
    image, recipe = picture(40, 37), ASKED.but(normalizer=kind)
    loss, slope = both.gradient(image, recipe)
    one = kd.Dreamer(models[0], preprocessing="caffe")
    stacked = kd.Dreamer(models[1])
    parts = [
        (1.0, *one.gradient(image, kd.Recipe(objective="second - 0.5*first:2"))),
        (-0.7, *stacked.gradient(image, kd.Recipe(objective="conv"))),
        (1.5, *one.gradient(image, kd.Recipe(objective="first"))),
    ]
    expected = sum(weight * normalised(g, kind) for weight, _, g in parts)
    assert loss == pytest.approx(sum(w * value for w, value, _ in parts), rel=1e-5)
    assert off(slope, expected) < 1e-5
    sizes = [np.abs(g).mean() for *_, g in parts]
    assert max(sizes) > 3 * min(sizes)  # what normalising is for


def test_motif_and_a_second_network_by_hand(models):
    """The shipped network, which is trained, beside one that is not."""
    image = picture(48, 52)
    second = kd.Dreamer(models[1])
    pair = kd.Dreamer(["motif", models[1]])
    assert pair.networks == ("motif", "model:stacked")
    recipe = kd.Recipe(objective="default; 0.5*'model:stacked': conv")
    _, slope = pair.gradient(image, recipe)
    _, g1 = kd.Dreamer().gradient(image, kd.Recipe())
    _, g2 = second.gradient(image, kd.Recipe(objective="conv"))
    expected = normalised(g1, "mean_abs") + 0.5 * normalised(g2, "mean_abs")
    assert off(slope, expected) < 1e-5
    made = pair.dream(image, recipe.but(steps=1, octaves=1, jitter=0, clamp=False))
    moved = image + 0.0025 * normalised(expected.astype("f4"), "mean_abs")
    assert off(made.image, moved) < 1e-5


@pytest.mark.backends
@pytest.mark.parametrize("scheme", ["whole", "cells 2x2", "stem first 2x2"])
def test_other_weights_of_terms_put_no_network_on_the_device(
    scheme, models, monkeypatch
):
    """A film may change them in each frame; the pixels are those of a new dreamer."""
    network = kd.Network(models[0], preprocessing="caffe")
    run = kd.RunSettings(gradient=scheme)
    image, kernels = picture(24, 24), []
    kept = kd.Dreamer(network, run=run)
    put = kept.backend.kernel
    monkeypatch.setattr(kept.backend, "kernel", lambda v: kernels.append(v) or put(v))
    film = kd.Recipe(objective="0s: second - 3*tv, 8s: 2*second + 0.7*first:2")
    gradients = [kept.gradient(image, film.at_time(2))]
    count = len(kernels)
    gradients += [kept.gradient(image, film.at_time(t)) for t in (4, 2)]
    assert len(kernels) == count > 0
    again = kd.Dreamer(network, run=run)
    expected = again.gradient(image, film.at_time(4))
    for found, moment in zip(gradients, (False, True, False), strict=True):
        assert (found[0] == expected[0]) is moment
        assert np.array_equal(found[1], expected[1]) is moment
    assert np.array_equal(gradients[0][1], gradients[2][1])


def test_a_single_network_is_normalised_once_as_published(models, both):
    """In the ascent alone, where a floor is a floor; only several are before it."""
    image, recipe = picture(40, 37), kd.Recipe(objective="second")
    one = kd.Dreamer(models[0], preprocessing="caffe")
    _, raw = one.gradient(image, recipe)
    assert not np.isclose(np.abs(raw).mean(), 1.0, rtol=0.1)
    _, slope = both.gradient(
        image, recipe.but(objective="second; 1e-6*'model:one': first")
    )
    assert np.isclose(np.abs(slope).mean(), 1.0, rtol=1e-4)
    assert off(slope, raw / np.abs(raw).mean()) < 1e-4


def test_the_record_and_the_recipe_tell_all_networks(both, models):
    made = both.dream(picture(40, 37), ASKED)
    assert [n.network for n in made.recipe.networks] == [
        "model:one",
        "model:stacked",
        "model:one",
    ]
    assert made.record.network == "model:one"
    assert list(made.record.also) == ["model:stacked"]
    alone = kd.Dreamer(models[1])
    photo = as_picture(picture(40, 37))
    sha256 = alone.record(photo).weights_sha256
    assert made.record.also["model:stacked"] == sha256
    assert json.loads(json.dumps(made.record.data()))["also"] == made.record.also
    # What has one network only is written as it always was.
    assert "also" not in alone.record(photo).data()
    assert all(
        np.isfinite(loss) for found in made.record.losses.values() for loss in found
    )


def test_networks_that_the_recipe_does_not_name_dream_all_the_same(both, second):
    with pytest.raises(NetworkError, match="objective must be given for model:stacked"):
        both.complete(kd.Recipe(objective="second"))
    pair = kd.Dreamer(["motif", "second"])
    recipe = pair.complete(kd.Recipe())
    assert [n.text for n in recipe.networks] == ["motif: far", "second: near"]
    assert pair.complete(recipe) == recipe
    # But a recipe that names networks has those and no others.
    recipe = pair.complete(kd.Recipe(objective="default; 2*motif: near"))
    assert [n.text for n in recipe.networks] == ["motif: far", "2.0*motif: near"]
    made = pair.dream(picture(40, 37), recipe.but(steps=1))
    assert (made.record.network, made.record.also) == ("motif", {})


@pytest.mark.parametrize(
    ("other", "error", "match"),
    [
        ("squeezenet", NetworkError, "must hold every network"),
        ("'model:stacked': cnv", ObjectiveError, "'conv'"),
        ("'model:stacked': conv:99", ObjectiveError, "from 0 to 5"),
    ],
)
def test_what_is_not_there(other, error, match, both):
    with pytest.raises(error, match=match):
        both.octaves((40, 37), kd.Recipe(objective=f"second; {other}"))


@pytest.mark.parametrize(
    ("network", "options", "match"),
    [
        ([], {}, "must be a network"),
        (["motif", "motif"], {}, "names of their own"),
        (["motif", "squeeznet"], {}, "'squeezenet'"),
        (["motif", "squeezenet"], {"weights": "a.h5"}, "stated for one network"),
        (["motif", "vgg16"], {"preprocessing": "tf"}, "stated for one network"),
    ],
)
def test_dreamers_that_cannot_be(network, options, match):
    with pytest.raises(NetworkError, match=match):
        kd.Dreamer(network, **options)


def test_budgets_count_every_network():
    size = (60, 50)
    alone = kd.Recipe(objective="second", octaves=2)
    recipe = alone.but(objective="second; 'model:stacked': conv")
    one, two = seconds(size, alone), seconds(size, recipe)
    four = seconds(size, recipe.but(objective="second; a; b; a"))
    assert four - two == pytest.approx(2 * (two - one))
    assert two - one > 0.9 * one - 2 * OCTAVE


def test_the_smallest_picture_is_the_largest_of_theirs(both, models):
    def smallest(dreamer, recipe):
        sizes = range(1, 200)
        return next(size for size in sizes if fits(dreamer, size, recipe))

    def fits(dreamer, size, recipe):
        try:
            return bool(dreamer.octaves((size, size), recipe))
        except PictureError:
            return False

    one = kd.Dreamer(models[0], preprocessing="caffe")
    stacked = kd.Dreamer(models[1])
    for border in (0, 3, 8):
        recipe = kd.Recipe(octaves=1, border=border)
        needs = [
            smallest(one, recipe.but(objective="second")),
            smallest(stacked, recipe.but(objective="conv:1")),
        ]
        pair = recipe.but(objective="second; 'model:stacked': conv:1")
        assert smallest(both, pair) == max(needs)


def test_only_the_networks_that_are_asked_for_class_scores_load_classifiers():
    others = "squeezenet: fire6; inception_v3: class:3 - mixed4"
    recipe = kd.Recipe(objective=f"mixed3; {others}")
    assert asks_for_class(recipe) == {"inception_v3"}
    assert asks_for_class(recipe.but(objective=f"class:eye; {others}")) == {
        "motif",
        "inception_v3",
    }


def test_the_second_networks_opaque_layers_bind_the_backend(models):
    import keras

    class Foreign:
        name = "numpy"

    opaque = kd.Dreamer(
        [
            models[1],
            kd.Network(small_models.made(small_models.opaque), preprocessing="tf"),
        ]
    )
    graph = opaque.graph_of("model:opaque")
    assert graph.opaque
    with pytest.raises(SettingError, match=keras.config.backend()):
        check_opaque(graph, Foreign())


def test_kd_dream_takes_several(models):
    image = picture(40, 37)
    settings: dict[str, Any] = {"steps": 1, "octaves": 1}
    made = kd.dream(
        image,
        network=[kd.Network(models[0], preprocessing="tf"), models[1]],
        objective="second; 'model:stacked': conv",
        **settings,
    )
    again = kd.dream(
        image,
        network=["motif", models[1]],
        objective="default; 'model:stacked': conv",
        **settings,
    )
    assert made.record.also.keys() == again.record.also.keys() == {"model:stacked"}
    assert again.recipe.network == "motif"
    with pytest.raises(SettingError, match="single network"):
        kd.dream(image, objective="default; squeezenet", max_loss=5)


# -- from the shell -----------------------------------------------------------------


@pytest.fixture
def second(motif: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts a second small network into the zoo, with weights of its own."""
    graph = graph_file.load(motif)
    random = np.random.default_rng(11)
    weights = {
        name: random.normal(size=values.shape).astype(np.float32)
        for name, values in graph.weights.items()
    }
    path = motif.parent / "second.safetensors"
    graph_file.save(replace(graph, weights=weights, objective="near"), path)
    entry = replace(catalogue.ZOO["motif"], name="second")
    monkeypatch.setitem(catalogue.ZOO, "second", entry)
    return path


Dream = Callable[..., tuple[int, str, str]]


def test_a_dream_of_two_networks_is_made_again(
    dream: Dream, photo: Path, second: Path
) -> None:
    code, out, err = dream(
        photo, *FAST, "--objective", "default; 0.5*second: far:1-3 + near"
    )
    assert (code, out) == (0, "photo-dream.png\n")
    assert "Loading motif + second." in err
    saved = read_saved("photo-dream.png")
    assert str(saved.recipe.objective) == "far; 0.5*second: far:1-3 + near"
    assert list(saved.record.also) == ["second"]
    code, out, err = dream("replay", "photo-dream.png", "-o", "again.png")
    assert code == 0
    assert err.endswith("The dream made again equals the saved one.\n")
    assert Path("again.png").read_bytes() == Path("photo-dream.png").read_bytes()
    dream(photo, *FAST, "-o", "alone.png")
    assert Path("alone.png").read_bytes() != Path("photo-dream.png").read_bytes()


def test_a_recipe_brings_its_networks(dream: Dream, photo: Path, second: Path) -> None:
    others = "default; second; -0.25*motif: near"
    assert dream(photo, *FAST, "--objective", others)[0] == 0
    networks = read_saved("photo-dream.png").recipe.networks
    assert [n.text for n in networks] == [
        "motif: far",
        "second: near",
        "-0.25*motif: near",
    ]
    # A recipe's networks come along; an objective takes the place of all of them.
    dream(photo, "--recipe", "photo-dream.png", "-o", "b.png")
    assert read_saved("b.png").recipe.networks == networks
    dream(photo, "--recipe", "photo-dream.png", "--objective", "none", "-o", "c.png")
    assert [n.text for n in read_saved("c.png").recipe.networks] == ["motif: far"]


def test_other_weights_of_the_second_network_are_told(
    dream: Dream, photo: Path, second: Path, tmp_path: Path
) -> None:
    dream(photo, *FAST, "--objective", "default; second")
    graph = graph_file.load(second)
    others = {name: values * 0.5 + 0.1 for name, values in graph.weights.items()}
    graph_file.save(replace(graph, weights=others), tmp_path / "others.safetensors")
    file = f"second={tmp_path / 'others.safetensors'}"
    code, out, err = dream("replay", "photo-dream.png", "--weights", file)
    assert code == 0
    assert "weights" in err
    assert "of second instead of" in err
    assert "as expected" in err
    before = read_saved("photo-dream.png").record
    now = read_saved(out.strip()).record
    assert now.weights_sha256 == before.weights_sha256
    assert now.also != before.also
    (told,) = differences(before, now)
    assert before.also["second"][:12] in told


def test_show_tells_the_networks(dream: Dream, photo: Path, second: Path) -> None:
    dream(photo, *FAST, "--objective", "default; 0.5*second: near")
    out = dream("show", "photo-dream.png")[1]
    assert "0.5*second: near" in out
    assert read_saved("photo-dream.png").record.also["second"] in out
    data = json.loads(dream("show", "photo-dream.png", "--json")[1])
    assert data["recipe"]["objective"] == "far; 0.5*second: near"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--objective", "far; secnd"), "'second'"),
        (("--objective", "far; second: neer"), "'near'"),
        (("--objective", "far; second: near +"), "objective must have"),
        (("--objective", "far; a b"), "a ; before a network"),
        (("--objective", "far; 0*second"), "not zero"),
        (("--objective",), "requires an argument"),
        (("--objective", "far; second", "--max-loss", 3), "single network"),
        (("--objective", "far; second", "--preset", "book1"), "single network"),
        (("--objective", "far; second", "--weights", "second=no.h5"), "no.h5"),
        (
            ("--objective", "far; second", "--weights", "a", "--weights", "b"),
            "one weights file",
        ),
    ],
)
def test_wrong_flags_are_one_sentence(
    dream: Dream, photo: Path, second: Path, flags: tuple[object, ...], words: str
) -> None:
    code, out, err = dream(photo, *FAST, *flags)
    assert (code, out) == (2, "")
    sentence = err.removeprefix("Loading motif + second.\n")
    assert words in sentence
    assert len(sentence.splitlines()) == 1
    assert sorted(path.name for path in Path().iterdir()) == ["photo.png"]


@pytest.mark.parametrize("flags", [("--quiet",), ("--quiet", "--json")])
def test_a_quiet_replay_tells_by_its_exit_code(
    dream: Dream, photo: Path, flags: tuple[str, ...]
) -> None:
    dream(photo, *FAST)
    code, out, err = dream("replay", "photo-dream.png", "-o", "same.png", *flags)
    assert (code, err, "same.png" in out) == (0, "", True)
    changed = ("--precision", "bfloat16")
    code, out, err = dream("replay", "photo-dream.png", "-o", "b.png", *flags, *changed)
    assert (code, err, "b.png" in out, len(out.splitlines())) == (3, "", True, 1)
    # Told aloud, a dream that is alike is a success.
    assert dream("replay", "photo-dream.png", "-o", "c.png", *changed)[0] == 0
