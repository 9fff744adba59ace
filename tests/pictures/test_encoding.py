"""Saved pictures are what was saved, and what cannot be saved is refused."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from picture_files import LOSSLESS, NOTES, OURS, smooth, transparent
from PIL import Image

from keras_dream.errors import InputError, OutputError, SaveError
from keras_dream.pictures.encoding import save_picture
from keras_dream.pictures.metadata import read_notes
from keras_dream.pictures.picture import read_picture, to_uint8


def test_to_uint8_clips_and_rounds():
    values = np.array([-1, 0, 0.4 / 255, 0.6 / 255, 127.6 / 255, 1, 7], np.float32)
    assert to_uint8(values).tolist() == [0, 0, 0, 1, 128, 255, 255]
    every = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(to_uint8(every / np.float32(255)), every)
    with pytest.raises(InputError, match="finite"):
        to_uint8(np.array([np.nan]))


@pytest.mark.parametrize("suffix", OURS)
@pytest.mark.parametrize("alpha", [False, True])
def test_round_trip(tmp_path: Path, suffix: str, alpha: bool):
    image = smooth() / np.float32(255)
    opacity = transparent()[..., 3] / np.float32(255) if alpha else None
    path = tmp_path / ("日é" + suffix.upper())
    save_picture(path, image, alpha=opacity, notes=NOTES)
    first = path.read_bytes()
    save_picture(path, image, alpha=opacity, notes=NOTES)
    assert path.read_bytes() == first
    assert read_notes(path) == NOTES
    picture = read_picture(path)
    lossy = suffix not in LOSSLESS
    if alpha and suffix in (".jpg", ".jpeg"):
        image, opacity = image * opacity[..., None] + (1 - opacity[..., None]), None
    assert (picture.alpha is None) == (opacity is None)
    if opacity is not None:
        np.testing.assert_array_equal(picture.alpha, opacity)  # lossless in WebP, too
        visible = opacity > 0  # WebP drops colours that nobody sees
        np.testing.assert_allclose(
            picture.pixels[visible], image[visible], atol=0.1 * lossy
        )
    else:
        np.testing.assert_allclose(picture.pixels, image, atol=0.05 * lossy + 0.002)


def test_png_is_marked_as_srgb_and_notes_are_plain_to_other_programs(tmp_path: Path):
    path = tmp_path / "a.png"
    save_picture(path, smooth() / np.float32(255), notes=NOTES)
    with Image.open(path) as image:
        assert image.info["srgb"] == 0
        found = json.loads(image.info["keras-dream"])
    assert found["keras-dream"]["recipe"] == {"layers": {"mixed4": 1.5}, "who": "é"}
    save_picture(tmp_path / "a.jpg", smooth() / np.float32(255), notes=NOTES)
    with Image.open(tmp_path / "a.jpg") as image:
        comment = image.getexif().get_ifd(0x8769)[0x9286]
    assert comment.startswith(b"ASCII\0\0\0{")


def test_what_cannot_be_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    image = smooth() / np.float32(255)
    with pytest.raises(OutputError, match=r"one of \.png, \.jpg"):
        save_picture(tmp_path / "a.gif", image)
    with pytest.raises(InputError, match="shape"):
        save_picture(tmp_path / "a.png", image[..., 0])
    with pytest.raises(InputError, match="Alpha must"):
        save_picture(tmp_path / "a.png", image, alpha=image[:3, :, 0])
    with pytest.raises(InputError, match="finite"):
        save_picture(tmp_path / "a.png", image * np.nan)
    with pytest.raises(OutputError, match="16,383"):
        save_picture(tmp_path / "a.webp", np.zeros((1, 16_384, 3), np.float32))
    with pytest.raises(OutputError, match="65,535"):
        save_picture(tmp_path / "a.jpg", np.zeros((65_536, 1, 3), np.float32))
    with pytest.raises(OutputError, match="must exist"):
        save_picture(tmp_path / "no" / "a.png", image)
    assert list(tmp_path.iterdir()) == []

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SaveError, match="no space left"):
        save_picture(tmp_path / "a.png", image)
    assert list(tmp_path.iterdir()) == []
