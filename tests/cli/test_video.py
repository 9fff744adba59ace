"""`dream video`, and all that a person sees of films."""

import json
import shutil
import signal
from fractions import Fraction
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from clips import hard_cut, pan, still, tone, write_clip

from keras_dream.cli.commands.doctor import _films
from keras_dream.cli.reporters.lines import Lines
from keras_dream.events import FilmPlanned, FrameDone
from keras_dream.pictures.encoding import save_picture
from keras_dream.replay import read_recipe
from keras_dream.video.source import open_source

pytest.importorskip("av")

QUICK = ("--steps", 2, "--octaves", 1, "--threads", 1)


@pytest.fixture
def clip(photo):
    """A clip of six frames in two scenes, with sound, alone in the current folder."""
    photo.unlink()
    write_clip("clip.mp4", hard_cut(6, at=4), sound=tone(0.24))
    return "clip.mp4"


def names():
    return sorted(path.name for path in Path().iterdir())


def pictures(path):
    return np.stack([frame.image for frame in open_source(path).frames()])


def test_a_clip_becomes_a_film_beside_it(dream, clip):
    code, out, error = dream("video", clip, *QUICK)
    assert (code, out) == (0, "clip-dream.mp4\n"), error
    assert names() == ["clip-dream.mp4", "clip.mp4"]
    assert "6 frames of 64 × 48 pixels in 2 scenes, 0.24 s; they take about" in error
    assert "1 of 6 frames done; 100% of frame 1 is new" in error
    assert "Dreamed 6 frames in 2 scenes in" in error
    assert "times the source's own (warping error" in error
    source, film = (open_source(each).survey() for each in (clip, "clip-dream.mp4"))
    assert film.stamps == source.stamps
    assert film.has_sound
    assert np.abs(pictures(clip) - pictures("clip-dream.mp4")).mean() > 0.005
    # Its recipe is one of films, too; a flag comes before the file, which comes before
    # the preset.
    again = ("--recipe", "clip-dream.mp4", "--carry", 0.9, "--warm-up", 1, "--json")
    more = ("-o", "b.webm", "--no-sound", "--threads", 1)
    code, out, error = dream("video", clip, *again, *more)
    assert code == 0, error
    events = [json.loads(line) for line in out.splitlines()]
    kinds = [event["event"] for event in events]
    assert kinds[-2:] == ["film", "saved"]
    assert {"film_progress", "film_planned", "frame"} <= {*kinds}
    frames = [event for event in events if event["event"] == "frame"]
    assert [frame["steps"] for frame in frames] == [3, 1, 1, 1, 3, 1]
    assert [frame["scene"] for frame in frames] == [1, 1, 1, 1, 2, 2]
    recipe = read_recipe("b.webm")
    assert recipe.video is not None
    video = recipe.video
    assert (recipe.steps, video.carry, video.warm_up) == (2, 0.9, 1)
    assert not open_source("b.webm").survey().has_sound


def test_a_part_of_it_without_words(dream, clip):
    part = ("--from", "0:00.04", "--to", ".2s", "--every", 2, "--quiet")
    code, out, error = dream("video", clip, *QUICK, *part, "-o", "a.mkv")
    assert (code, out, error) == (0, "a.mkv\n", "")
    expected = open_source(
        clip, start=Fraction(1, 25), end=Fraction(1, 5), every=2
    ).survey()
    assert len(expected.stamps) == 2
    assert open_source("a.mkv").survey().stamps == expected.stamps


def test_what_is_no_video_stays_what_it_is(dream, photo):
    photo.unlink()
    for number, image in enumerate(pan(3)):
        save_picture(f"{number}.png", image.astype(np.float32) / 255)
    Path("frames").mkdir()
    for name in names():
        if name != "frames":
            shutil.move(name, "frames")
    assert dream("video", "frames", *QUICK, "--fps", 12.5)[:2] == (0, "frames-dream\n")
    made = open_source("frames-dream", rate=Fraction(25, 2)).survey()
    assert [stamp.start for stamp in made.stamps] == [
        0,
        Fraction(2, 25),
        Fraction(4, 25),
    ]
    assert dream("video", "frames", *QUICK, "-o", "a.gif")[0] == 0
    assert dream("video", "a.gif", *QUICK)[:2] == (0, "a-dream.gif\n")


def test_a_preview_says_what_the_whole_takes(dream, clip):
    code, out, error = dream("video", clip, *QUICK, "--size", 64, "--preview")
    assert (code, out) == (0, "clip-dream-preview.mp4\n"), error
    assert "Notice: The whole film, 6 frames of 64 × 48 pixels, takes about" in error
    assert names() == ["clip-dream-preview.mp4", "clip.mp4"]


class Stop(Lines):
    """Sends the signal of Ctrl-C at the plan, and later once after three frames."""

    done, plans = 0, 0

    def report(self, event):
        super().report(event)
        Stop.done += isinstance(event, FrameDone)
        Stop.plans += isinstance(event, FilmPlanned)
        is_frame = isinstance(event, FrameDone) and Stop.done == 3
        if is_frame or (isinstance(event, FilmPlanned) and Stop.plans == 1):
            signal.raise_signal(signal.SIGINT)


def test_the_same_command_goes_on(dream, clip, monkeypatch):
    assert dream("video", clip, *QUICK, "-o", "whole.mp4")[0] == 0
    monkeypatch.setattr("keras_dream.cli.reporters.Lines", Stop)
    code, _, error = dream("video", clip, *QUICK)
    assert code == 130
    assert "Stopped before the first frame was done; nothing is kept." in error
    assert names() == ["clip.mp4", "whole.mp4"]
    code, out, error = dream("video", clip, *QUICK)
    assert (code, out) == (130, "")
    kept = error.splitlines()[-1]
    assert kept.startswith("dream: Stopped; ")
    assert "of 6 frames are kept in '.clip-dream.mp4.video', and the same" in kept
    assert names() == [".clip-dream.mp4.video", "clip.mp4", "whole.mp4"]
    # Another film does not take its place without a word.
    code, _, error = dream("video", clip, *QUICK, "--seed", 1)
    assert code == 2
    assert "begun with another recipe" in error
    assert "--fresh" in error
    # It is in the list of jobs until it is whole.
    assert ".clip-dream.mp4.video  film  " in dream("jobs")[1]
    done = Stop.done
    code, out, error = dream("video", clip, *QUICK)
    assert (code, out) == (0, "clip-dream.mp4\n"), error
    assert "clip-dream" not in dream("jobs")[1]
    assert "of them are dreamed already, the others take" in error
    assert Stop.done < done + 6
    assert Path(out.strip()).read_bytes() == Path("whole.mp4").read_bytes()
    assert names() == ["clip-dream.mp4", "clip.mp4", "whole.mp4"]


def test_hours_are_asked_for(dream, clip, monkeypatch):
    monkeypatch.setattr("keras_dream.cli.dream_run.MOST_SECONDS", 1e-9)
    code, _, error = dream("video", clip, *QUICK)
    assert code == 2
    assert "A film that may take more than an hour on two cores must be agreed" in error
    assert "see --preview" in error
    assert names() == ["clip.mp4"]
    assert dream("video", clip, *QUICK, "--yes")[0] == 0


def test_what_cannot_be_is_refused_at_once(dream, clip, monkeypatch):
    def refused(*arguments):
        before = names()
        code, out, error = dream("video", *arguments)
        assert (code, out) == (2, ""), error
        assert error.count("\n") == 1, error  # before a network is loaded
        assert names() == before
        return error

    Path("there.mp4").write_bytes(b"1")
    assert "a new name, or --yes" in refused(clip, "-o", "there.mp4")
    assert "its own source" in refused(clip, "-o", clip, "--yes")
    assert "must end in one of .mp4" in refused(clip, "-o", "a.mpx")
    assert "does not exist" in refused("no.mp4")
    assert "must exist" in refused(clip, "-o", "no/a.mp4")
    assert "`--from` must be a time" in refused(clip, "--from", "soon")
    assert "--to must be later than --from" in refused(clip, "--from", 2, "--to", 1)
    assert "codec of a" in refused(clip, "-o", "a.webm", "--codec", "h264")
    assert "must be from 0" in refused(clip, "--crf", 99)
    assert "`carry` must be" in refused(clip, "--carry", 2)
    assert "workers of a film must be 1" in refused(clip, "--workers", 0)
    assert "nothing.wav" in refused(clip, "--sound", "nothing.wav")
    assert "a track that FFmpeg can read" in refused(clip, "--sound", "there.mp4")
    assert "A network" in refused(clip, "--network", "no")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install 'keras-dream[video]'" in refused(clip)


def test_doctor_says_what_films_need(monkeypatch):
    (fine,) = _films()
    assert (fine.what, fine.state) == ("films", "ok")
    assert "encoders: h264, hevc" in fine.more
    both = {"cv2": ["opencv-python", "opencv-python-headless", "opencv-python"]}
    monkeypatch.setattr(metadata, "packages_distributions", lambda: both)
    wrong, fine = _films()
    assert (wrong.state, fine.state) == ("wrong", "ok")
    assert "pip uninstall opencv-python opencv-python-headless`" in wrong.more
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (absent,) = _films()
    assert absent.state == "absent"
    assert "pip install 'keras-dream[video]'" in absent.more


def test_doctor_says_that_a_library_is_broken(monkeypatch):
    monkeypatch.delattr("cv2.DISOpticalFlow")
    *_, wrong = _films()
    assert (wrong.what, wrong.state) == ("films", "wrong")


def test_a_film_that_is_no_photo_is_told_as_such(dream, photo):

    for name in ("clip.mp4", "clip.mkv", "clip.avi"):
        codec = "mpeg4" if name.endswith("avi") else "libx264"
        write_clip(name, still(2), codec=codec, pixel_format="yuv420p")
        code, _, error = dream(name)
        assert code == 2
        assert f"'{name}', which is a film; try `dream video`: for films" in error
