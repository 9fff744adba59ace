"""The run of a film: what its frames are, and that nothing of it is lost."""

import errno
import json
import os
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from clips import hard_cut, pan, texture, tone, write_clip
from PIL import Image
from standin_film import StandIn

import keras_dream as kd
from keras_dream.dreamer.dreamer import Dreamer
from keras_dream.errors import JobsError, NonFiniteError, SaveError, SettingError
from keras_dream.events import FilmPlanned, FrameDone, FrameProgress, Notice, Saved
from keras_dream.pictures.picture import Picture, to_depth
from keras_dream.recipe.recipe import Recipe, RunSettings
from keras_dream.recipe.video import VideoSettings
from keras_dream.video.folder import Place, work_folder
from keras_dream.video.run import VideoRun
from keras_dream.video.setup import Selection, Setup
from keras_dream.video.sink import Encoding, read_film_notes
from keras_dream.video.source import open_source

RECIPE = Recipe(objective="mixed0", octaves=1, steps=2, step_size=0.02)
COLD = {"warm_up": 0}  # for less time
FRAMES, CUT = 6, 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("film")
    write_clip(folder / "cut.mp4", hard_cut(FRAMES, at=CUT), sound=tone(0.24))
    write_clip(folder / "pan.mp4", pan(3))
    return folder


@pytest.fixture(scope="module")
def dreamer():
    return Dreamer("motif", run=RunSettings(threads=1))


@pytest.fixture
def begin(folder, dreamer, tmp_path):
    """Begins the run of a film, and closes it at the end."""
    runs = []

    def begin(name="film.mp4", *, source="cut.mp4", recipe=RECIPE, video=None, **how):
        settings = VideoSettings(**COLD | (video or {}))
        setup = Setup(
            str(folder / source),
            recipe.but(video=settings),
            how.pop("selection", Selection()),
            files=how.pop("files", ()),
        )
        how.setdefault("dreamer", dreamer)
        runs.append(VideoRun(setup, tmp_path / name, **how))
        return runs[-1]

    yield begin
    for run in runs:
        run.close()


@pytest.fixture(scope="module")
def whole(folder, dreamer):
    """The bytes of the film of an undisturbed run."""
    setup = Setup(str(folder / "cut.mp4"), RECIPE.but(video=VideoSettings(**COLD)))
    VideoRun(setup, folder / "whole.mp4", dreamer=dreamer).finish()
    return (folder / "whole.mp4").read_bytes()


def frames_of(folder, name="cut.mp4"):
    return [frame.image for frame in open_source(folder / name).frames()]


def pictures_of(path):
    return [np.asarray(Image.open(each)) for each in sorted(path.glob("*.png"))]


def kinds(events, kind):
    return [event for event in events if isinstance(event, kind)]


def no_thread_is_left():
    names = {thread.name for thread in threading.enumerate()}
    return not any(name.startswith("dream-film") for name in names)


def test_without_carry_each_frame_is_its_own_dream(begin, dreamer, folder, tmp_path):
    begin("stills", video={"carry": 0}).finish()
    pictures = pictures_of(tmp_path / "stills")
    for image, picture in zip(frames_of(folder), pictures, strict=True):
        own = dreamer.dream(Picture(image), RECIPE)
        np.testing.assert_array_equal(picture, to_depth(own.image, "8"))


def test_the_first_frame_of_a_scene_is_a_still_and_the_others_are_carried(
    begin, dreamer, folder, tmp_path
):
    events = list(begin("frames", video={"later_steps": 1}))
    done = kinds(events, FrameDone)
    assert [event.number for event in done] == [1, 2, 3, 4, 5, 6]
    assert [event.steps for event in done] == [2, 1, 1, 2, 1, 1]
    assert [event.released == 1 for event in done] == [True, False, False] * 2
    assert done[-1].share == 1
    images, pictures = frames_of(folder), pictures_of(tmp_path / "frames")
    for number, (image, picture) in enumerate(zip(images, pictures, strict=True)):
        still = to_depth(dreamer.dream(Picture(image), RECIPE).image, "8")
        is_still = number in (0, CUT)
        assert np.array_equal(still, picture) == is_still


def standing_still(tmp_path, begin, *, frame=None, name="still", count=4, **video):
    """The events and the pictures of a film of one frame, with a stand-in's dream."""
    source = tmp_path / "source"
    source.mkdir(exist_ok=True)
    frame = texture((24, 32), seed=1) if frame is None else frame
    for number in range(count):
        Image.fromarray(frame).save(source / f"{number}.png")
    how = {"recipe": Recipe(steps=4), "dreamer": lambda _: StandIn()}
    run = begin(name, source=source, video=video, **how)
    return list(run), pictures_of(tmp_path / name)


def test_a_scene_begins_as_if_it_had_stood_still(begin, tmp_path):
    _, still = standing_still(tmp_path, begin, warm_up=0)
    assert not np.array_equal(still[0], still[3])
    events, warm = standing_still(tmp_path, begin, name="warm", warm_up=3)
    np.testing.assert_array_equal(warm[0], still[3])
    (planned,) = kinds(events, FilmPlanned)
    done = kinds(events, FrameDone)
    assert [event.steps for event in done] == [4 + 3, 1, 1, 1]
    assert done[0].released == 1
    steps = [(e.step, e.steps) for e in kinds(events, FrameProgress) if e.number == 1]
    assert steps == [(step, 7) for step in range(1, 8)]
    assert planned.seconds == pytest.approx(sum(e.steps for e in done) / 1000)


def test_a_block_within_a_scene_has_its_early_frames_to_warm_up(begin, tmp_path):
    blocks = {"block": 2, "overlap": 1, "warm_up": 3}
    events, _ = standing_still(tmp_path, begin, **blocks)
    assert [event.steps for event in kinds(events, FrameDone)] == [7, 1, 6, 1, 1]
    (planned,) = kinds(events, FilmPlanned)
    assert planned.seconds == pytest.approx(16 / 1000)


@pytest.mark.parametrize(
    ("light", "carry", "steps"), [(0, 1, [4, 4]), (1, 0, [4, 4]), (1, 0.5, [13, 3])]
)
def test_only_what_is_carried_warms_up(begin, tmp_path, light, carry, steps):
    frame = light * texture((24, 32), seed=1)  # a stand-in leaves black as it is
    video = {"carry": carry, "warm_up": 3}
    events, _ = standing_still(tmp_path, begin, frame=frame, count=2, **video)
    assert [event.steps for event in kinds(events, FrameDone)] == steps


def test_what_is_planned_is_what_is_done(begin, folder):
    run = begin()
    events = list(run)
    (planned,) = kinds(events, FilmPlanned)
    assert run.planned == planned
    assert (planned.frames, planned.ready, planned.scenes) == (FRAMES, 0, 2)
    assert planned.size == (48, 64)
    assert planned.seconds > 0
    assert planned.bytes > 0
    assert isinstance(events[-2], Saved)
    assert run.summary.complete
    assert run.summary.done == FRAMES
    steps = kinds(events, FrameProgress)
    assert len(steps) == sum(event.steps for event in kinds(events, FrameDone))
    assert not work_folder(run.out).exists()
    assert no_thread_is_left()


def test_two_runs_write_the_same_film_with_a_record_of_it(begin, folder, whole):
    first = begin("another.mp4")
    first.finish()
    assert first.out.read_bytes() == whole
    notes = read_film_notes(first.out)
    record = json.loads(notes["record"])
    assert record["source"] == "cut.mp4"
    assert record["frames"] == FRAMES
    assert record["cuts"] == [0, CUT]
    assert record["flicker"]["film"] == first.summary.flicker > 0
    assert record["flicker"]["compared"] == FRAMES - 2
    assert str(folder) not in notes["record"]
    assert Recipe.read(notes["recipe"]).video == VideoSettings(**COLD)


@pytest.mark.parametrize("stop", [1, 3, 4])
def test_a_stopped_run_goes_on_to_the_same_film(begin, whole, stop):
    with begin() as run:
        for event in run:
            if isinstance(event, FrameDone) and event.number == stop:
                break
    assert no_thread_is_left()
    assert not run.out.exists()
    kept = run.summary.done
    assert stop <= kept < FRAMES
    again = begin()
    done = kinds(list(again), FrameDone)
    assert [event.number for event in done] == list(range(kept + 1, FRAMES + 1))
    assert again.planned.ready == again.summary.reused == kept
    assert again.out.read_bytes() == whole


def test_a_gradient_that_is_not_finite_names_its_frame(
    begin, dreamer, whole, monkeypatch
):
    steps, calls = dreamer.steps, []

    def failing(*arguments, **options):
        calls.append(1)
        if len(calls) == 6:  # the first is a check
            raise NonFiniteError("A gradient must be finite", hint="try less")
        return steps(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(dreamer, "steps", failing)
        run = begin()
        with pytest.raises(NonFiniteError, match=r"frame 5 \(at 0.16 s\); try less"):
            run.finish()
    assert run.summary.done == 4
    assert no_thread_is_left()
    again = begin()
    again.finish()
    assert again.summary.reused == 4
    assert again.out.read_bytes() == whole


def test_a_disk_that_becomes_full_loses_nothing(begin, whole, monkeypatch):
    write, calls = os.fsync, []

    def full(descriptor):
        calls.append(1)
        if len(calls) > 8:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(descriptor)

    run = begin()
    with monkeypatch.context() as patch:
        patch.setattr("keras_dream.files.os.fsync", full)
        with pytest.raises(SaveError, match="room for"):
            run.finish()
    assert no_thread_is_left()
    kept = run.summary.done
    assert 0 < kept < FRAMES
    again = begin()
    again.finish()
    assert again.summary.reused >= kept
    assert again.out.read_bytes() == whole


def test_what_a_frame_hands_on_may_be_lost(begin):
    video = {"cuts": "none"}  # one long scene
    undisturbed = begin("undisturbed.mp4", video=video)
    undisturbed.finish()
    with begin(video=video) as run:
        next(event for event in run if isinstance(event, FrameDone))
    (state,) = work_folder(run.out).glob("state-*.npz")
    state.write_bytes(state.read_bytes()[:100])
    again = begin(video=video)
    assert "is dreamed again" in kinds(list(again), Notice)[0].text
    assert again.summary.done == FRAMES
    assert again.out.read_bytes() == undisturbed.out.read_bytes()


def test_edges_that_begin_to_belong_together_within_a_film(begin, tmp_path):
    begin("whole", recipe=RECIPE.but(wrap="both")).finish()
    changing = RECIPE.but(wrap="0s: none, 0.08s: both")
    begin("changing", recipe=changing).finish()
    whole, others = (pictures_of(tmp_path / name) for name in ("whole", "changing"))
    assert not np.array_equal(whole[0], others[0])
    for one, other in zip(whole[CUT:], others[CUT:], strict=True):
        np.testing.assert_array_equal(one, other)


def test_another_film_is_refused_until_it_is_to_begin_anew(begin, folder):
    with begin() as run:
        next(event for event in run if isinstance(event, FrameDone))
    with pytest.raises(JobsError, match="begun with another recipe"):
        begin(recipe=RECIPE.but(seed=1)).finish()
    with pytest.raises(JobsError, match="another source"):
        begin(source="pan.mp4").finish()
    with pytest.raises(JobsError, match="another source and selection"):
        begin(selection=Selection(every=2)).finish()
    with pytest.raises(JobsError, match="another recipe"):
        begin(video={"carry": 0.5}).finish()
    anew = begin(recipe=RECIPE.but(seed=1), resume=False)
    anew.finish()
    assert anew.summary.done == FRAMES


def test_a_film_is_read_no_further_ahead_than_is_asked_for(begin, monkeypatch):
    run = begin()
    frames, read = run._source.frames, []

    def counted(*arguments):
        for frame in frames(*arguments):
            read.append(frame.number)
            yield frame

    monkeypatch.setattr(run._source, "frames", counted)
    ahead = []
    for event in run:
        if isinstance(event, FrameDone):
            scene = [n for n in read if (n < CUT) == (event.number <= CUT)]
            ahead.append(max(scene) + 1 - event.number)
    assert max(ahead) <= 2 + 1 + 1 + 2  # waiting, in hand, dreamed, being written


REFINED = {
    "noise": {"start": "noise"},
    "keep_detail": {"keep_detail": 0.5},
    "transparency": {"transparency": True},
    "strengths": {"octave_strengths": (0.5,)},
    "wrap": {"wrap": "both"},
    "size": {"size": 40},
    "full_size": {"size": 40, "full_size": True},
    "box": {"mask": "box(10%, 10%, 50%, 50%)"},
    "regions": {"regions": "box(0%, 0%, 50%, 100%): mixed1"},
    "keep_colors": {"keep_colors": True, "blend": 0.5},
    "per_octave": {"octaves": 2, "per_octave": ("1: steps=4",), "small_octaves": "run"},
    "keyframes": {"keyframes": ["step_size: 0s=0.01, 0.08s=0.03"]},
}


@pytest.mark.parametrize("setting", REFINED)
def test_settings_of_stills_hold_in_films(begin, dreamer, folder, tmp_path, setting):
    recipe = RECIPE.but(**REFINED[setting])
    video = {"carry": 0} if recipe.octave_strengths else None
    run = begin("frames", source="pan.mp4", recipe=recipe, video=video)
    run.finish()
    pictures = pictures_of(tmp_path / "frames")
    assert len(pictures) == 3
    size = (30, 40) if setting == "size" else (48, 64)
    assert pictures[0].shape[:2] == run.planned.size == size
    first = frames_of(folder, "pan.mp4")[0]
    own = dreamer.dream(Picture(first), recipe)
    np.testing.assert_array_equal(pictures[0][..., :3], to_depth(own.image, "8"))
    if setting == "transparency":
        np.testing.assert_array_equal(pictures[0][..., 3], to_depth(own.alpha, "8"))


def test_the_alpha_of_a_source_is_kept(begin, folder, tmp_path):
    source = folder / "alpha"
    source.mkdir(exist_ok=True)
    alpha = np.zeros((3, 48, 64), np.uint8)
    alpha[1, 10:30], alpha[2] = 100, 255  # the first is wholly transparent
    for number in range(3):
        image = np.dstack([texture(), alpha[number]])
        Image.fromarray(image).save(source / f"{number}.png")
    begin("frames", source="alpha").finish()
    pictures = pictures_of(tmp_path / "frames")
    np.testing.assert_array_equal([p[..., 3] for p in pictures], alpha)


def test_deep_films_have_deep_frames(begin):
    run = begin(encoding=Encoding(bits=10))
    for event in run:
        if isinstance(event, FrameDone):
            frame = run._work.folder.picture(Place(0, 0))
            assert frame.dtype == np.uint16
            assert (frame % 257 != 0).any()
            break


def test_a_closed_run_lets_another_have_the_folder(begin):
    run = begin()
    next(event for event in run if isinstance(event, FrameDone))
    with pytest.raises(JobsError, match="one writer"):
        begin().finish()
    run.close()
    run.close()
    assert begin().finish().complete


def test_a_call_is_a_film(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = {"steps": 1, "octaves": 1, "objective": "mixed0", "threads": 1}
    run = kd.dream_video(
        folder / "pan.mp4", "out.mp4", end="0:00.08", carry=0.5, **options
    )
    summary = run.finish()
    assert (summary.frames, summary.complete) == (2, True)
    recipe = Recipe.read(read_film_notes(Path("out.mp4"))["recipe"])
    assert (recipe.steps, recipe.video.carry) == (1, 0.5)
    with pytest.raises(SettingError, match="carri"):
        kd.dream_video(folder / "pan.mp4", "out.mp4", carri=1)
    with pytest.raises(SettingError, match="`start` must be a time"):
        kd.dream_video(folder / "pan.mp4", "out.mp4", start=float("nan"))


def test_a_recipe_that_no_frame_fits_is_refused_before_the_first(begin):
    run = begin(recipe=RECIPE.but(octave_strengths=(1, 1, 1)), video={"carry": 0})
    with pytest.raises(SettingError, match="at most one number for each octave"):
        run.finish()
    assert not work_folder(run.out).exists()


@pytest.mark.parametrize("change", ["lost", "damaged"])
def test_a_second_pass_needs_the_states_of_all_frames(begin, change):
    video = {"smooth": 0.5}
    first = begin("first.mp4", video=video)
    first.finish()
    with begin(video=video) as run:
        for event in run:
            if isinstance(event, FrameDone) and event.number == 5:
                break
    state = work_folder(run.out) / "state-0000-000001.npz"
    state.unlink()
    if change == "damaged":
        state.write_bytes(b"PK")
    again = begin(video=video)
    done = [event.number for event in kinds(list(again), FrameDone)]
    assert done[:2] == [2, 3]
    assert again.out.read_bytes() == first.out.read_bytes()


@pytest.mark.parametrize("video", [{"carry": 0.5}, {"carry": 0, "smooth": 0.5}])
def test_strengths_of_octaves_are_those_of_single_frames(begin, video):
    recipe = RECIPE.but(octave_strengths=(0.5,))
    with pytest.raises(SettingError, match=r"octave_strengths with \w+=0.5"):
        begin(recipe=recipe, video=video).finish()


def test_ctrl_c_within_a_step_keeps_what_is_done(begin, dreamer, whole, monkeypatch):
    steps, calls = dreamer.steps, []

    def stopped(*arguments, **options):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return steps(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(dreamer, "steps", stopped)
        run = begin()
        with pytest.raises(KeyboardInterrupt):
            run.finish()
    assert no_thread_is_left()
    assert run.summary.done == 2
    again = begin()
    assert again.finish().reused == 2
    assert again.out.read_bytes() == whole


def test_all_frames_have_the_tiles_of_the_first(folder, tmp_path):
    """Whatever memory is free when a run goes on."""
    setup = Setup(str(folder / "cut.mp4"), RECIPE, run=RunSettings(threads=1))
    with VideoRun(setup, tmp_path / "film.mp4", workers=1) as run:
        next(event for event in run if isinstance(event, FrameDone))
        assert run._setup.run.gradient == "whole"
        settings = run._work.folder.settings
        assert settings == {"threads": 1, "gradient": "whole"}
    tiled = replace(setup, run=RunSettings(threads=1, gradient="cells 2x2"))
    with pytest.raises(JobsError, match="begun with another run settings"):
        VideoRun(tiled, tmp_path / "film.mp4", workers=1).finish()


def test_channels_that_change_from_frame_to_frame_are_told(begin):
    recipe = RECIPE.but(objective="mixed0:strongest(2)")
    events = begin(source="pan.mp4", recipe=recipe)
    (notice,) = kinds(list(events), Notice)
    assert "mixed0:strongest(2): name channels" in notice.text
