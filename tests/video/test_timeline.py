"""The recipe of every frame of a film."""

import pickle
from fractions import Fraction

import numpy as np
import pytest
from clips import still, write_clip

from keras_dream.errors import InputError
from keras_dream.recipe.files import Files
from keras_dream.recipe.recipe import Recipe
from keras_dream.video.frames import Clip, Stamp
from keras_dream.video.source import open_source
from keras_dream.video.timeline import Timeline

RATE = 48_000


def clip_of(seconds, *, fps=10, **fields):
    length = Fraction(1, fps)
    stamps = tuple(Stamp(n * length, length) for n in range(round(seconds * fps)))
    return Clip("a", "0" * 64, (48, 64), stamps, length, Fraction(fps), **fields)


def clicks(path, *times, seconds=3):
    """A film of 20 frames a second with a click at some times."""
    sound = np.zeros((1, seconds * RATE), np.int16)
    for time in times:
        begin = round(time * RATE)
        sound[0, begin : begin + 300] = 20_000
    frames = still(seconds * 20, (32, 32))
    return write_clip(path, frames, rate=Fraction(20), sound=sound)


def first_loud(path, recipe, **selection):
    """When the first frame is shown that a click drives, in the source's time."""
    source = open_source(path, **selection)
    clip = source.survey(cuts=False)
    timeline = Timeline(recipe, clip, source=source)
    loud = [s for s in clip.stamps if timeline.at(s).strength > 1]
    return clip.origin + loud[0].start


FOLLOW = Recipe(strength="follow(loudness, 0.5, 1.5, release=0.02)")


def test_times_of_every_kind_are_those_of_the_film():
    recipe = Recipe(
        jitter="0%: 0, 100%: 200", border="5f: 1, 10f: 11", steps="0s: 0, 2s: 20"
    )
    clip = clip_of(2)
    timeline = Timeline(recipe, clip)
    found = [timeline.at(stamp) for stamp in clip.stamps]
    assert [own.jitter for own in found] == list(range(0, 200, 10))
    assert [own.border for own in found][4:12] == [1, 1, 3, 5, 7, 9, 11, 11]
    assert [own.steps for own in found] == list(range(20))
    assert all(own.keyframes == () for own in found)


def test_frames_count_where_their_times_are_uneven():
    """Frame 2 is where it is shown, whatever the rate is on average."""
    starts = [Fraction(n, 10) for n in (0, 1, 5, 9)]
    ends = [*starts[1:], Fraction(1)]
    stamps = tuple(Stamp(a, b - a) for a, b in zip(starts, ends, strict=True))
    clip = Clip("a", "0" * 64, (8, 8), stamps, Fraction(1, 10), Fraction(4))
    timeline = Timeline(Recipe(jitter="0f: 0, 2f: 50, 8f: 200"), clip)
    assert [timeline.at(stamp).jitter for stamp in stamps] == [0, 10, 50, 90]


def test_a_click_drives_the_frame_that_is_shown_then(tmp_path):
    path = clicks(tmp_path / "click.mp4", 2.0)
    assert first_loud(path, FOLLOW) == 2
    later = first_loud(path, FOLLOW, start=Fraction(3, 2))
    assert later == 2, "a selection has the time of its source"
    assert abs(first_loud(path, FOLLOW, every=4) - 2) <= Fraction(1, 5)


def test_a_file_of_sound_begins_with_the_film(tmp_path):
    """It is found as guides are: by its name and its sha256."""
    clicks(tmp_path / "song.mp4", 1.0)
    path = write_clip(tmp_path / "silent.mp4", still(60, (32, 32)), rate=Fraction(20))
    files = Files(folders=[tmp_path])
    text = "follow(loudness, 0.5, 1.5, release=0.02, file=song.mp4)"
    recipe = files.complete(Recipe(strength=text))
    assert len(recipe.files[0].sha256) == 64
    source = open_source(path, start=Fraction(1, 2))
    clip = source.survey(cuts=False)
    timeline = Timeline(recipe, clip, source=source, files=files)
    loud = [s.start for s in clip.stamps if timeline.at(s).strength > 1]
    assert loud[0] == 1
    (tmp_path / "song.mp4").unlink()
    with pytest.raises(InputError, match="song"):
        Timeline(recipe, clip, source=source, files=files)


def test_a_sound_in_place_of_the_source_s_own_is_followed(tmp_path):
    source = open_source(clicks(tmp_path / "a.mp4", 0.5))
    clip = source.survey(cuts=False)
    other = clicks(tmp_path / "b.mp4", 2.0)
    timeline = Timeline(FOLLOW, clip, source=source, sound=other)
    loud = [s for s in clip.stamps if timeline.at(s).strength > 1]
    assert loud[0].start == 2


def test_the_same_sound_has_the_same_levels(tmp_path):
    path = clicks(tmp_path / "click.mp4", 0.5, 1.5)
    source = open_source(path)
    clip = source.survey(cuts=False)
    one, other = (Timeline(FOLLOW, clip, source=source) for _ in range(2))
    sent = pickle.loads(pickle.dumps(one))
    assert one.sha256 == other.sha256 == sent.sha256 != ""
    assert [sent.at(s) for s in clip.stamps] == [one.at(s) for s in clip.stamps]
    moved = clicks(tmp_path / "moved.mp4", 0.5, 1.6)
    assert Timeline(FOLLOW, clip, source=moved).sha256 != one.sha256
    assert Timeline(Recipe(), clip).sha256 == ""


def test_a_film_without_sound_is_refused(tmp_path):
    with pytest.raises(InputError, match="must have a film with a track") as error:
        Timeline(FOLLOW, clip_of(1), source=tmp_path / "silent.mp4")
    assert str(error.value).count("received") == 1
