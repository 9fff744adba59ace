"""Films as masks and guides: in each frame what they show at its time."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from clips import pan, still, write_clip
from PIL import Image

import keras_dream as kd
from keras_dream.dreamer.dreamer import Dreamer
from keras_dream.errors import InputError, PictureError
from keras_dream.pictures.picture import Picture
from keras_dream.recipe.recipe import Recipe
from keras_dream.video.companions import Companions
from keras_dream.video.source import Source, open_source

SIZE = (48, 64)
SHORT = {"steps": 1, "octaves": 1, "objective": "mixed1"}


def boxes(count):
    """A white box that moves 8 pixels to the right each frame; the last has none."""
    masks = np.zeros((count, *SIZE, 3), np.uint8)
    for k in range(count - 1):
        masks[k, 8:40, 8 * k : 8 * k + 16] = 255
    return masks


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    write_clip(folder / "source.mp4", pan(5))
    mask = boxes(5)
    write_clip(folder / "mask.mkv", mask, codec="ffv1", pixel_format="bgr0")  # exact
    write_clip(folder / "guide.mp4", np.concatenate([still(2), 255 - still(1)]))
    return folder


@pytest.fixture(scope="module")
def dreamer():
    return Dreamer("motif")


def dreamed(folder, dreamer, recipe, *, start="0"):
    """Yields each frame and its dream."""
    source = open_source(folder / "source.mp4", start=Fraction(start))
    clip = source.survey(cuts=False)
    recipe = dreamer.complete(recipe)
    companions = Companions(recipe, clip, dreamer.files)
    for frame in source.frames():
        own = companions.at(frame.stamp, recipe)
        yield frame.image, dreamer.dream(Picture(frame.image), own)


def test_outside_of_a_mask_that_moves_the_pixels_are_the_source_s(folder, dreamer):
    recipe = Recipe(**SHORT, mask=str(folder / "mask.mkv"))
    for mask, (image, dream) in zip(
        boxes(5)[..., 0] > 0, dreamed(folder, dreamer, recipe), strict=True
    ):
        differs = (dream.image != image).any(-1)
        assert not differs[~mask].any()
        assert not mask.any() or differs[mask].mean() > 0.9


def test_a_part_of_the_source_has_its_part_of_the_mask(folder, dreamer):
    recipe = Recipe(**SHORT, mask=str(folder / "mask.mkv"))
    whole = [dream.image for _, dream in dreamed(folder, dreamer, recipe)]
    part = [d.image for _, d in dreamed(folder, dreamer, recipe, start="0.06")]
    assert [np.array_equal(a, b) for a, b in zip(whole[2:], part, strict=True)] == [
        True
    ] * 3


def test_clocks_that_tick_differently_show_the_same_frames(folder, dreamer):
    lossless = {"codec": "ffv1", "pixel_format": "bgr0"}
    milli = {"time_base": Fraction(1, 1000), **lossless}
    write_clip(folder / "milli.mkv", pan(4), stamps=[0, 33, 66, 99], **milli)
    shades = np.stack([np.full((*SIZE, 3), 60 * k, np.uint8) for k in range(4)])
    write_clip(
        folder / "thirds.mov", shades, rate=30, codec="png", pixel_format="rgb24"
    )
    clip = open_source(folder / "milli.mkv").survey(cuts=False)
    recipe = dreamer.complete(Recipe(mask=str(folder / "thirds.mov")))
    companions = Companions(recipe, clip, dreamer.files)
    shown = []
    for stamp in clip.stamps:
        (file,) = companions.at(stamp, recipe).files
        shown.append(round(255 * dreamer.files.picture_of(file).pixels[0, 0, 0]))
    assert shown == [0, 60, 120, 180]


def test_frames_are_the_same_in_any_order(folder, dreamer, monkeypatch):
    clip = open_source(folder / "source.mp4").survey(cuts=False)
    recipe = dreamer.complete(Recipe(mask=str(folder / "mask.mkv")))
    companions = Companions(recipe, clip, dreamer.files)
    begun = []
    frames = Source.frames
    monkeypatch.setattr(
        Source, "frames", lambda self, first: begun.append(first) or frames(self, first)
    )
    for number in (0, 1, 4, 3, 2, 1, 0, 0, 3, 4, 1):
        (file,) = companions.at(clip.stamps[number], recipe).files
        shown = dreamer.files.picture_of(file).pixels
        assert np.array_equal(shown > 0, boxes(5)[number] > 0)
    assert begun == [0, 0, 0]  # once, once backwards, and backwards again


def test_every_kind_of_mask_and_palette_moves(folder, dreamer):
    mask, guide = folder / "mask.mkv", folder / "guide.mp4"
    recipes = [
        Recipe(**SHORT, blend=0.5, blend_mask=str(mask)),
        Recipe(**SHORT, regions=[f"{mask}: 2*mixed2"]),
        Recipe(**SHORT, colors=[f"palette(file={guide})"]),
    ]
    for recipe in recipes:
        images = [dream.image for _, dream in dreamed(folder, dreamer, recipe)]
        assert all(np.isfinite(image).all() for image in images)
        picture_of = dreamer.files.picture_of
        named = dreamer.complete(recipe).files
        assert sum(picture_of(file) is not None for file in named) == 0


def test_a_guide_is_the_frame_of_its_time_and_the_last_is_held(folder, dreamer):
    clip = open_source(folder / "source.mp4").survey(cuts=False)
    text = f"guide({folder / 'guide.mp4'}, mixed1)"
    recipe = dreamer.complete(Recipe(**{**SHORT, "objective": text}))
    companions = Companions(recipe, clip, dreamer.files)
    assert companions.notices == (
        "guide.mp4 ends after 0.12s: its last frame is held until the end.",
    )
    image = np.full((*SIZE, 3), 0.5, np.float32)
    gradients, names = [], []
    for stamp in clip.stamps:
        own = companions.at(stamp, recipe)
        assert own.files != recipe.files
        names += [file for file in own.files if file not in names]
        assert [file.name for file in own.files] == ["guide.mp4"]
        gradients.append(dreamer.gradient(image, own)[1])
        held = [f for f in names if dreamer.files.picture_of(f) is not None]
        assert held == [*own.files]  # and nothing of the frames before
    same = [np.array_equal(a, b) for a, b in itertools.pairwise(gradients)]
    # The first two frames of the guide are alike, but for the codec.
    assert same[1:] == [False, True, True]
    np.testing.assert_allclose(gradients[0], gradients[1], atol=0.05)


def test_recipes_without_films_stay_as_they_are(folder, dreamer):
    clip = open_source(folder / "source.mp4").survey(cuts=False)
    recipe = dreamer.complete(Recipe(mask="box(0%, 0%, 50%, 100%)"))
    companions = Companions(recipe, clip, dreamer.files)
    assert companions.at(clip.stamps[0], recipe) is recipe
    assert companions.notices == ()


def test_what_is_missing_or_broken_is_refused_before_the_first_frame(folder, dreamer):
    clip = open_source(folder / "source.mp4").survey(cuts=False)
    broken = folder / "broken.mp4"
    broken.write_bytes((folder / "source.mp4").read_bytes()[:40])
    recipe = dreamer.complete(Recipe(mask=str(broken)))
    with pytest.raises(InputError, match=r"broken\.mp4"):
        Companions(recipe, clip, dreamer.files)
    broken.unlink()
    with pytest.raises(InputError, match=r"broken\.mp4"):
        Companions(recipe, clip, dreamer.files)


def test_a_still_dream_takes_no_film_for_a_mask(folder, dreamer):
    image = np.full((*SIZE, 3), 0.5, np.float32)
    with pytest.raises(PictureError, match=r"mask\.mkv.* is a film; try `dream video`"):
        dreamer.dream(image, Recipe(**SHORT, mask=str(folder / "mask.mkv")))


def test_a_film_with_a_mask_that_moves_is_its_source_outside_and_measured(folder):
    source = pan(5)
    write_clip(folder / "exact.mkv", source, codec="ffv1", pixel_format="bgr0")
    options = {**SHORT, "mask": str(folder / "mask.mkv"), "workers": 1}
    run = kd.dream_video(folder / "exact.mkv", folder / "out", **options)
    with run:
        summary = run.finish()
    for number, mask in enumerate(boxes(5)[..., 0] > 0, start=1):
        image = np.asarray(Image.open(folder / "out" / f"{number:06}.png"))
        differs = (image != source[number - 1]).any(-1)
        assert not differs[~mask].any()
        assert differs.any() == mask.any()
    flicker = kd.flicker(folder / "out", source=folder / "exact.mkv")
    assert flicker.film == pytest.approx(summary.flicker, rel=1e-6)
    assert flicker.source == pytest.approx(summary.source_flicker, rel=1e-6)


def test_a_mask_that_opens_dreams_what_it_opens_as_strongly(folder):
    masks = np.zeros((5, *SIZE, 3), np.uint8)
    for k in range(5):
        masks[k, :, : 16 * k] = 255  # nothing, a quarter, a half ...
    write_clip(folder / "opens.mkv", masks, codec="ffv1", pixel_format="bgr0")
    source = pan(5)
    write_clip(folder / "exact.mkv", source, codec="ffv1", pixel_format="bgr0")
    options = {**SHORT, "steps": 4, "workers": 1}
    films = {"all": None, "opening": str(folder / "opens.mkv")}
    strengths = {}
    for name, mask in films.items():
        run = kd.dream_video(folder / "exact.mkv", folder / name, mask=mask, **options)
        run.finish()
        for number in range(1, 5):
            path = folder / name / f"{number + 1:06}.png"
            change = np.asarray(Image.open(path)).astype(float) - source[number]
            strengths[name, number] = change[:, : 16 * number].std()
    for number in range(1, 5):
        assert strengths["opening", number] > 0.7 * strengths["all", number]


def test_workers_are_told_where_the_files_of_a_recipe_are(folder, monkeypatch):
    setups = []

    def pool(setup, *_, **__):
        setups.append(setup)
        raise KeyboardInterrupt

    monkeypatch.setattr("keras_dream.video.run.Pool", pool)
    options = {**SHORT, "mask": str(folder / "mask.mkv"), "block": 2, "workers": 2}
    run = kd.dream_video(folder / "source.mp4", folder / "shared.mp4", **options)
    with pytest.raises(KeyboardInterrupt):
        run.finish()
    (setup,) = setups
    assert setup.film.recipe.mask.file.is_plain
    assert str(folder / "mask.mkv") in setup.setup.files
