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
