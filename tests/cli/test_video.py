"""`dream video`, and all that a person sees of films."""

from importlib import metadata

import pytest

from keras_dream.cli.commands.doctor import _films

pytest.importorskip("av")


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
    from clips import still, write_clip

    for name in ("clip.mp4", "clip.mkv", "clip.avi"):
        codec = "mpeg4" if name.endswith("avi") else "libx264"
        write_clip(name, still(2), codec=codec, pixel_format="yuv420p")
        code, _, error = dream(name)
        assert code == 2
        assert f"'{name}', which is a film; try `dream video`: for films" in error
