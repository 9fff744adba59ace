"""The endless zoom: its motion, what does not drift, its seam, and going on."""

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from clips import texture
from standin_dreamer import StandIn, amplified

from keras_dream.cli.reporters.film import FilmState
from keras_dream.errors import InputError, JobsError, SettingError
from keras_dream.events import FrameDone
from keras_dream.pictures.picture import Picture
from keras_dream.recipe.camera import CameraSettings
from keras_dream.recipe.recipe import Recipe
from keras_dream.recipe.video import VideoSettings
from keras_dream.video.camera import move, moved
from keras_dream.video.from_picture import PictureSetup
from keras_dream.video.sink import read_film_notes
from keras_dream.video.source import open_source
from keras_dream.video.spectrum import Spectrum
from keras_dream.video.zoom import Canvas, ZoomRun, pulled, settled

pytest.importorskip("av")

PHOTO = Picture((texture((48, 64), seed=5) / np.float32(255)).astype(np.float32))
KILLED = Path(__file__).with_name("killed_zoom.py")


def zoom(out, *, dreamer, video=None, recipe=None, **camera):
    own = (recipe or Recipe()).but(
        camera=CameraSettings(**camera), video=VideoSettings(**(video or {}))
    )
    return ZoomRun(PictureSetup(source=PHOTO, recipe=own), out, dreamer=dreamer)


def frames(folder):
    return [frame.image for frame in open_source(folder).frames()]


def measured(image):
    """Mean, contrast and colour of a frame, in words other than the code's."""
    grey = image @ np.array([0.299, 0.587, 0.114])
    return image.mean(), grey.std(), (image - grey[..., None]).std()


def changes(images, camera):
    """How much each frame differs from the moved one before it; the first, the last."""
    step = move(camera, images[0].shape[:2])
    pairs = [(images[-1], images[0]), *pairwise(images)]
    return np.array([np.abs(moved(a, step) - b).mean() for a, b in pairs])


def test_frames_are_the_photo_under_the_camera(tmp_path):
    """A dream that changes nothing: every frame is the photo, moved so often."""
    still = StandIn(lambda image: image)
    steps = {"rate": 1.03, "center": (0.4, 0.6), "rotate": 1.0}
    zoom(
        tmp_path / "out", dreamer=still, seconds=0.4, video={"lock": False}, **steps
    ).finish()
    assert len(still.starts) == 10
    whole = CameraSettings(rate=1.03**9, center=(0.4, 0.6), rotate=9.0)
    exact = moved(PHOTO.pixels, move(whole, (48, 64)))
    last = frames(tmp_path / "out")[-1]
    inside = np.s_[6:-6, 6:-6]
    half = np.roll(exact, 1, axis=1)[inside] - exact[inside]
    assert np.abs(last - exact)[inside].mean() < 0.25 * np.abs(half).mean()
    # Nothing was rounded on the way.
    levels = still.starts[-1] * 255
    assert np.abs(levels - np.rint(levels)).mean() > 0.1


def test_steps_of_the_first_frame_and_of_later_ones(tmp_path):
    dreamer = StandIn()
    recipe = Recipe(steps=12, start="noise")
    run = zoom(tmp_path / "a", dreamer=dreamer, recipe=recipe, seconds=0.12)
    assert run.finish().frames == 3
    assert [own.steps for own in dreamer.recipes] == [12, 3, 3]
    assert [own.start.name for own in dreamer.recipes] == ["noise", "photo", "photo"]
    own = {"first_steps": 5, "later_steps": 2}
    dreamer = StandIn()
    zoom(tmp_path / "b", dreamer=dreamer, video=own, seconds=0.08).finish()
    assert [own.steps for own in dreamer.recipes] == [5, 2]


def test_a_setting_follows_its_keyframes(tmp_path):
    still = StandIn(lambda image: image)
    recipe = Recipe(keyframes=["camera.shift: 0s=0,0 step, 0.12s=0.25,0 step"])
    options = {"video": {"lock": False}, "rate": 1.0, "seconds": 0.2}
    zoom(tmp_path / "out", dreamer=still, recipe=recipe, **options).finish()
    starts = still.starts
    assert np.array_equal(starts[1], starts[0])
    assert np.array_equal(starts[2], starts[0])
    assert np.allclose(starts[3][:, 16:], starts[0][:, :-16], atol=1e-5)


def test_colours_are_treated_for_the_eye_alone(tmp_path):
    """Each frame once, beside the photo, however many came before it."""
    plain, treated = (StandIn(lambda image: 0.8 * amplified(image)) for _ in range(2))
    zoom(tmp_path / "plain", dreamer=plain, seconds=0.2).finish()
    recipe = Recipe(colors="histogram")
    zoom(tmp_path / "treated", dreamer=treated, recipe=recipe, seconds=0.2).finish()
    assert all(map(np.array_equal, treated.starts, plain.starts))
    photo = PHOTO.pixels.mean((0, 1))
    for image in frames(tmp_path / "treated"):
        assert np.abs(image.mean((0, 1)) - photo).max() < 0.02
    others = frames(tmp_path / "plain")
    assert np.abs(others[-1].mean((0, 1)) - photo).max() > 0.02


@pytest.mark.parametrize(("lock", "count"), [(True, 200), (False, 40)])
def test_nothing_drifts_over_200_frames(lock, count):
    step = move(CameraSettings(rate=1.02, rotate=0.5), (48, 64))
    canvas = settled(amplified(PHOTO.pixels), None)
    first, bands = np.array(measured(canvas.image)), canvas.spectrum.bands[:, 0]
    for _ in range(count):
        start = moved(canvas.image, step).clip(0, 1)
        canvas = settled(amplified(start), canvas, lock=lock)
        drift = np.abs(np.array(measured(canvas.image)) / first - 1).max()
        assert drift < 0.01 or not lock
    fine = np.abs(Spectrum.of(canvas.image).bands[:, 0] / bands - 1).max()
    if lock:
        assert fine < 0.25
    else:
        assert min(drift, fine) > 0.4


def test_all_frames_that_are_dreamed_for_a_loop_are_counted(tmp_path):
    """Of three frames two are dreamed twice; after three of five there is work left."""
    steps = {"dreamer": StandIn(), "loop": True, "seam": 2, "seconds": 0.12}
    shown = FilmState()
    with zoom(tmp_path / "loop", **steps) as run:
        for event in run:
            shown.measure(event)
            if isinstance(event, FrameDone):
                said = shown.sentence(event)
                assert said.startswith(f"{event.number} of 5 frames done")
                assert "new" not in said
                assert f"{event.number}/5" in shown.description(event, width=200)
            if isinstance(event, FrameDone) and event.number == 3:
                break
    again = zoom(tmp_path / "loop", **steps)
    assert again.finish().frames == 3
    assert (again.planned.ready, again.planned.frames) == (3, 5)


def test_a_loop_has_no_seam(tmp_path):
    steps = {"rate": 1.04, "rotate": 1.0, "seconds": 1.4}
    zoom(tmp_path / "loop", dreamer=StandIn(), loop=True, seam=15, **steps).finish()
    zoom(tmp_path / "open", dreamer=StandIn(), **steps).finish()
    camera = CameraSettings(**steps)
    looped, open_film = frames(tmp_path / "loop"), frames(tmp_path / "open")
    assert len(looped) == len(open_film) == 35
    change, plain = changes(looped, camera), changes(open_film, camera)
    assert plain[0] > 3 * plain[1:].max()  # what a seam looks like
    assert change[0] <= np.sort(change[1:])[-5:].mean()
    # The way to the other picture is shared by the frames.
    assert change.max() < np.median(change) + 2.5 * plain[0] / 15
    # Behind the seam it is the same film, and in it nothing is paler.
    assert all(map(np.array_equal, looped[15:], open_film[15:]))
    contrasts = np.array([measured(image)[1] for image in looped])
    assert contrasts[:15].min() > 0.98 * contrasts[15:].min()


def test_a_picture_on_its_way_to_another_keeps_its_contrast():
    one, other = PHOTO.pixels, texture((48, 64), seed=6) / np.float32(255)
    own, half = Spectrum.of(one), 0.5 * (one + other)
    assert Spectrum.of(half).whole[0] < 0.8 * own.whole[0]
    middle = Spectrum.of(pulled(one, other, 0.5))
    assert np.abs(middle.whole / own.whole - 1).max() < 0.1
    assert np.allclose(pulled(one, other, 0.0), one, atol=1e-5)
    assert np.allclose(pulled(one, other, 1.0), other, atol=1e-5)
    assert np.allclose(pulled(one, one, 0.5), one, atol=1e-5)
    apart = [np.abs(pulled(one, other, way) - other).mean() for way in (0.2, 0.5, 0.8)]
    assert apart == sorted(apart, reverse=True)


@pytest.mark.parametrize("rate", [1.02, 0.9])  # what comes into sight is no state
def test_a_stopped_zoom_goes_on_with_the_same_bytes(tmp_path, rate):
    steps = {"seconds": 0.4, "loop": True, "seam": 4, "rotate": 2.0, "rate": rate}
    zoom(tmp_path / "whole.mp4", dreamer=StandIn(), **steps).finish()
    out, made = tmp_path / "film.mp4", 0
    for stop in (1, 3, 9, 12):  # the first, before the end, and twice in the seam
        with zoom(out, dreamer=StandIn(), **steps) as run:
            for event in run:
                made += event.kind == "frame"
                if made == stop:
                    break
    with zoom(out, dreamer=StandIn(), **steps) as run:
        assert run.finish().reused == 12
    assert out.read_bytes() == (tmp_path / "whole.mp4").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"film.mp4", "whole.mp4"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_killed_zoom_goes_on_with_the_same_bytes(tmp_path):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, str(KILLED), str(tmp_path), "3"],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=environment,
    )
    assert (done.returncode, done.stdout) == (0, "3\n"), done.stderr
    films = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(films) == {"killed.mp4", "whole.mp4"}
    assert films["killed.mp4"] == films["whole.mp4"]


def test_another_zoom_does_not_go_on(tmp_path):
    out = tmp_path / "film.gif"
    with zoom(out, dreamer=StandIn(), seconds=0.2) as run:
        next(event for event in run if event.kind == "frame")
    with (
        pytest.raises(JobsError, match="another recipe"),
        zoom(out, dreamer=StandIn(), seconds=0.2, rate=1.1) as run,
    ):
        run.finish()


def test_the_recipe_is_in_the_film(tmp_path):
    out = tmp_path / "film.mp4"
    zoom(out, dreamer=StandIn(), seconds=0.2, rate=1.05, fps=12.5).finish()
    notes = read_film_notes(out)
    recipe = Recipe.read(notes["recipe"])
    assert (recipe.camera.rate, recipe.camera.frames) == (1.05, 2)
    assert recipe.video == VideoSettings()
    assert '"frames":2' in notes["record"]
    assert open_source(out).survey().rate == 12.5


@pytest.mark.parametrize("name", ["full_size", "transparency"])
def test_what_a_zoom_cannot_have_is_refused(tmp_path, name):
    with pytest.raises(SettingError, match=f"`{name}` must be false for a zoom"):
        zoom(tmp_path / "a.mp4", dreamer=StandIn(), recipe=Recipe(**{name: True}))


def test_a_picture_whose_edges_belong_together_may_be_shifted(tmp_path):
    still, own = StandIn(lambda image: image), {"rate": 1.0, "seconds": 0.08}
    recipe = Recipe(wrap="both")
    options = {"recipe": recipe, "video": {"lock": False}, "shift": (0.25, 0.0)}
    zoom(tmp_path / "a", dreamer=still, **options, **own).finish()
    around = np.roll(still.starts[0], 16, axis=1)
    assert np.allclose(still.starts[1], around, atol=1e-5)
    with pytest.raises(SettingError, match="must only shift"):
        zoom(tmp_path / "b", dreamer=still, recipe=recipe, seconds=0.08)


def test_a_canvas_is_read_as_untrusted(tmp_path):
    canvas = Canvas(PHOTO.pixels, Spectrum.of(PHOTO.pixels), PHOTO.pixels)
    path = canvas.save(tmp_path / "state.npz")
    again = Canvas.load(path)
    assert np.array_equal(again.image, canvas.image)
    assert np.array_equal(again.photo, canvas.photo)
    assert np.array_equal(again.spectrum.bands, canvas.spectrum.bands)
    data = path.read_bytes()
    for wrong in (b"", data[: len(data) // 2], data.replace(b"mean", b"maen")):
        path.write_bytes(wrong)
        with pytest.raises(InputError):
            Canvas.load(path)
