"""Where a dream happens: masks and regions in whole dreams."""

import numpy as np
import pytest
import small_models
from parity.standin import StandIn
from reference import off, picture

import keras_dream as kd
from keras_dream.engine import loop
from keras_dream.engine.finish import at_size
from keras_dream.engine.regions import (
    Places,
    RegionGradient,
    Shares,
    around,
    step_weights,
)
from keras_dream.errors import PictureError
from keras_dream.parts.canvases import CANVASES, Laplacian
from keras_dream.parts.normalizers import Normalizer
from keras_dream.parts.part import name_of
from keras_dream.parts.transforms import View
from keras_dream.pictures.encoding import save_picture
from keras_dream.pictures.picture import Picture, read_picture, to_uint8
from keras_dream.recipe.recipe import Recipe

PLAIN = {"filters": (), "transforms": (), "colors": (), "strength": 1.0}
QUICK = Recipe(**PLAIN, steps=2, octaves=2, step_size=0.02)
LEFT, RIGHT = "box(0%, 0%, 50%, 100%)", "box(50%, 0%, 100%, 100%)"
SIZE = (48, 64)
NORMALIZERS = ["mean_abs", "std", "l2", "none"]


@pytest.fixture(scope="module")
def dreamer():
    return kd.Dreamer()


@pytest.fixture(scope="module")
def photo():
    """A photo of 48 × 64 pixels with transparency, in 8 bits."""
    random = np.random.default_rng(3)
    values = random.integers(0, 256, (*SIZE, 4), np.uint8)
    values[..., 3] = 255
    values[:, :20, 3] = random.integers(0, 200, (48, 20))
    return values / np.float32(255)


def box(left, top, right, bottom):
    mask = np.zeros(SIZE, np.float32)
    mask[top:bottom, left:right] = 1
    return mask


# -- masks -----------------------------------------------------------------------------
@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("kind", ["picture", "box", "alpha"])
def test_pixels_outside_the_mask_are_equal(kind, suffix, photo, dreamer, tmp_path):
    mask = box(16, 8, 40, 40)
    mask[30:] *= 0.5
    small = np.repeat(mask[::2, ::2, None], 3, axis=2)
    save_picture(tmp_path / "mask.png", small)
    text = {
        "picture": str(tmp_path / "mask.png"),
        "box": "box(25%, 8, 40, 75%, feather=3)",
        "alpha": "alpha(invert)",
    }[kind]
    outside = {
        "picture": box(14, 6, 42, 42) == 0,
        "box": box(13, 5, 43, 39) == 0,
        "alpha": photo[..., 3] == 1,
    }[kind]
    assert 0.3 < outside.mean() < 0.9
    recipe = QUICK.but(mask=text)
    steps = dreamer.steps(photo, recipe)
    partial = next(steps).dream
    for number, dream in enumerate((partial, steps.finish())):
        path = tmp_path / f"dream{number}{suffix}"
        dream.save(path)
        found = read_picture(path)
        expected = to_uint8(photo[..., :3])
        pixels = to_uint8(found.pixels)
        assert np.array_equal(pixels[outside], expected[outside])
        assert (pixels != expected).any(axis=2)[~outside].mean() > 0.3
        assert np.array_equal(to_uint8(found.alpha), to_uint8(photo[..., 3]))


def test_grey_is_how_strong_the_dream_is(dreamer, photo):
    """As a map of depth says it: at each place the dream that one alone would be."""
    image = photo[..., :3]
    grey = np.repeat(np.linspace(0.2, 1, 64, dtype=np.float32)[None], 48, 0)
    levels = Picture(np.repeat(grey[..., None], 3, 2))
    mask = to_uint8(levels.pixels)[..., 0] / np.float32(255)
    plain = dreamer.dream(image, QUICK).image
    with_alpha = np.dstack([image, mask])
    found = dreamer.dream(with_alpha, QUICK.but(mask="alpha")).image
    assert off(found - image, mask[..., None] * (plain - image)) < 1e-4


@pytest.mark.parametrize("full_size", [True, False])
def test_a_mask_of_a_dream_at_another_size(full_size, dreamer, photo):
    """Boxes and feathers are measured in the photo, wherever they end up."""
    image = photo[..., :3]
    recipe = QUICK.but(size=32, full_size=full_size, mask="box(32, 0, 64, 48)")
    found = dreamer.dream(image, recipe).image
    plain = at_size(Picture(image), QUICK.but(size=32)).pixels
    expected = image if full_size else plain
    assert found.shape == expected.shape
    end = found.shape[1] // 2 - 1
    assert np.array_equal(found[:, :end], expected[:, :end])
    assert (np.abs(found - expected)[:, end + 2 :] > 0.001).mean() > 0.9


@pytest.mark.backends
@pytest.mark.parametrize(
    ("normalizer", "canvas"),
    [
        *((n, "pixels") for n in NORMALIZERS),
        *(
            ("mean_abs", name_of(canvas))
            for canvas in CANVASES[1:]
            if canvas is not Laplacian
        ),
        ("mean_abs", "laplacian(levels=3)"),  # fewer for backends that compile each
        ("l2", "fourier"),
    ],
)
def test_the_step_inside_does_not_depend_on_the_area(normalizer, canvas, backend):
    """1 % of the picture moves as far as all of it, and nothing moves outside."""
    image = picture(*SIZE)
    recipe = Recipe(
        **PLAIN,
        steps=1,
        octaves=1,
        jitter=0,
        normalizer=normalizer,
        canvas=canvas,
        clamp=False,
    )
    recipe = recipe.but(step_size=1000.0 if normalizer == "none" else 0.01)
    moved = []
    for mask in (None, box(20, 20, 26, 25)):
        run = loop.run(
            image,
            loop.octaves_of(SIZE, recipe),
            recipe,
            gradient_of=lambda _: StandIn().on(backend),
            backend=backend,
            result=lambda image, losses, complete: image,
            weights=step_weights(recipe, Places(mask), backend),
        )
        moved.append(np.abs(run.finish() - image))
    whole, small = moved
    inside = box(20, 20, 26, 25) > 0
    assert small[inside].mean() == pytest.approx(whole.mean(), rel=0.5)
    if (normalizer, canvas) == ("mean_abs", "pixels"):
        assert small[inside].mean() == pytest.approx(recipe.step_size, rel=0.1)
    if canvas == "pixels":
        assert not small[~inside].any()


def test_masks_that_cannot_be(dreamer, photo, tmp_path):
    image = photo[..., :3]
    black, tall = tmp_path / "black.png", tmp_path / "tall.png"
    save_picture(black, np.zeros((24, 32, 3), np.float32))
    save_picture(tall, np.ones((32, 24, 3), np.float32))
    cases = {
        str(black): "above 0 somewhere; received .*black.png.*, which is 0 everywhere",
        f"{black!s}(invert)": None,
        str(tall): "aspect ratio of its photo; received .* with 24 × 32 pixels for 64",
        "box(10, 10, 80, 20)": "inside the picture of 64 × 48 pixels.*received box",
        "box(0, 0, 0.1%, 100%)": "inside the picture",
        "alpha": "transparency for the mask alpha; received one that is opaque",
    }
    for text, words in cases.items():
        recipe = QUICK.but(mask=text)
        if words is None:
            dreamer.steps(image, recipe)
            continue
        with pytest.raises(PictureError, match=words):
            dreamer.steps(image, recipe)


# -- regions ---------------------------------------------------------------------------
def test_each_half_raises_its_own_channel(dreamer):
    a, b = "mixed0:3", "mixed0:11"
    image = picture(64, 128)
    recipe = Recipe(
        **PLAIN,
        steps=6,
        octaves=1,
        step_size=0.02,
        loss="mean",
        objective="mixed0:60",
        regions=[f"{LEFT}: {a}", f"{RIGHT}: {b}"],
    )
    dream = dreamer.dream(image, recipe).image
    before, after = (dreamer.features(x, ["mixed0"])["mixed0"] for x in (image, dream))
    change = (after - before)[..., [3, 11, 60]]
    middle = change.shape[1] // 2
    left = change[:, : middle - 2].mean((0, 1))
    right = change[:, middle + 2 :].mean((0, 1))
    assert left[0] > 5 * max(abs(left[1]), abs(right[0]))
    assert right[1] > 5 * max(abs(right[0]), abs(left[1]))
    assert max(abs(left[2]), abs(right[2])) < left[0] / 5  # ruled nowhere


def test_the_gradient_of_regions_is_each_ones_own_inside_it(dreamer):
    image = picture(64, 128)
    a, b = Recipe(objective="mixed0:3"), Recipe(objective="mixed0:11")
    text = f"{LEFT}: {a.objective}"
    both = b.but(regions=text, mask="alpha", normalizer="none")
    loss, found = dreamer.gradient(image, both)
    (loss_a, left), (loss_b, right) = (dreamer.gradient(image, r) for r in (a, b))
    assert loss == pytest.approx(loss_a + loss_b, rel=1e-5)
    assert off(found[:, :64], left[:, :64]) < 1e-5
    assert off(found[:, 64:], right[:, 64:]) < 1e-5


class Steep(StandIn):
    """A stand-in a thousand times as steep, and in another direction."""

    def __init__(self):
        super().__init__(base=2.0, rise=-1000.0)


@pytest.mark.backends
@pytest.mark.parametrize("normalizer", NORMALIZERS[:3])
def test_regions_by_hand(normalizer, backend):
    """Overlaps share, each gradient has its own statistics, the rest is the base's."""
    image = picture(*SIZE)
    masks = (box(0, 0, 40, 48), box(30, 0, 50, 48) * np.float32(0.5))
    stand_ins = (StandIn(), Steep(), StandIn(rise=1e-3))
    norm = Normalizer(normalizer, 0.0, backend)
    found = RegionGradient(
        [stand_in.on(backend) for stand_in in stand_ins],
        Shares(Places(None, masks), backend),
        norm,
        backend,
    )
    loss, gradient = found(backend.image(image), SIZE, view=View(SIZE), original=None)
    total = masks[0] + masks[1]
    shares = [*(m / np.maximum(total, 1) for m in masks), 1 - np.minimum(total, 1)]
    assert np.allclose(sum(shares), 1)
    expected, losses = 0, 0.0
    for stand_in, share in zip(stand_ins, shares, strict=True):
        value, slope = stand_in.slope(image)
        w, g = share[..., None].astype(np.float64), slope.astype(np.float64)
        every = np.broadcast_to(w, g.shape)
        mean = (w * g).sum() / every.sum()
        divisor = {
            "mean_abs": (w * np.abs(g)).sum() / every.sum(),
            "std": np.sqrt((w * (g - mean) ** 2).sum() / every.sum()),
            "l2": np.sqrt((w * g**2).sum() / every.sum() * g.size),
        }[normalizer]
        expected = expected + w * g / divisor
        losses += value
    assert backend.to_float(loss) == pytest.approx(losses, rel=1e-5)
    assert off(backend.to_image(gradient), expected) < 1e-5


def test_what_counts_nowhere_is_not_computed(backend):
    def never(*_, **__):
        raise AssertionError

    image = backend.image(picture(*SIZE))
    norm = Normalizer("mean_abs", None, backend)
    halves = (box(0, 0, 32, 48), box(32, 0, 64, 48))
    on = StandIn().on(backend)
    shares = Shares(Places(None, halves), backend)
    RegionGradient([on, on, never], shares, norm, backend)(
        image, SIZE, view=View(SIZE), original=None
    )
    shares = Shares(Places(halves[0], halves[:1]), backend)
    RegionGradient([on, never], shares, norm, backend)(
        image, SIZE, view=View(SIZE), original=None
    )


def test_an_octave_that_has_nothing_of_a_mask_stays(dreamer):
    """One pixel of 256 × 256 is less than a grey level of one of 16 × 16."""
    image = picture(256, 256)
    recipe = QUICK.but(
        octaves=2,
        octave_scale=16,
        steps=1,
        jitter=0,
        mask="box(255, 255, 256, 256)",
        regions=["box(0%, 0%, 100%, 100%): mixed2"],
        objective="mixed1",
    )
    first, *_ = dreamer.steps(image, recipe)
    assert first.loss == 0
    np.testing.assert_array_equal(to_uint8(first.dream.image), to_uint8(image))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"blend_mask": "black.png"}, "must be above 0 somewhere"),
        ({"blend_mask": "wide.png"}, "aspect ratio of its photo"),
        ({"colors": "soft_clip + palette(text.png)"}, "must be a PNG"),
    ],
)
def test_what_finishes_a_dream_is_checked_before_it(
    setting, message, dreamer, photo, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    save_picture("black.png", np.zeros((48, 64, 3), np.float32))
    save_picture("wide.png", np.ones((8, 64, 3), np.float32))
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(PictureError, match=message):
        dreamer.steps(photo, QUICK.but(**setting))


def test_the_strongest_of_a_region_are_measured_there(dreamer):
    random = np.random.default_rng(0)
    image = np.full((224, 512, 3), 0.5, np.float32)
    image[:, :224] = random.uniform(0, 1, (224, 224, 3))
    image[:, 288:] = np.sin(np.arange(224) / 2)[None, :, None] / 2 + 0.5
    text = "mixed0:strongest(3)"
    recipe = QUICK.but(
        steps=0, octaves=1, objective="mixed1", regions=[f"{LEFT}: {text}"]
    )
    measured = dreamer.steps(image, recipe).finish().record.strongest["motif"]
    key = f"{LEFT}: {text}"
    alone = dreamer.steps(
        image[:, :256], Recipe(objective=text, steps=0, octaves=1)
    ).finish()
    assert list(measured) == [key]
    assert measured[key] == alone.record.strongest["motif"][text]
    whole = dreamer.steps(image, Recipe(objective=text, steps=0, octaves=1)).finish()
    assert whole.record.strongest["motif"][text] != measured[key]


def test_around_is_the_box_of_a_mask_grown_to_what_networks_see():
    image = np.broadcast_to(np.arange(600.0)[None, :, None], (300, 600, 3))
    mask = np.zeros((300, 600), np.float32)
    mask[250:, 10:20] = 0.5
    part = around(image, mask)
    assert part.shape == (224, 224, 3)
    assert part[0, 0, 0] == 0
    mask[:, 100:590] = 1
    assert around(image, mask).shape == (300, 490, 3)


def test_networks_of_regions_dream_only_there():
    models = map(small_models.made, (small_models.nested, small_models.merges))
    dreamer = kd.Dreamer([kd.Network(m, preprocessing="tf") for m in models])
    recipe = Recipe(
        regions=f"{LEFT}: joined; 0.5*'model:merges': joined", steps=1, octaves=1
    )
    complete = dreamer.complete(recipe.but(objective="joined"))
    assert [n.network for n in complete.networks] == ["model:nested"]
    assert dreamer.complete(complete) == complete
    dream = dreamer.dream(picture(*SIZE), complete)
    assert set(dream.record.also) == {"model:merges"}
