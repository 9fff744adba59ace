"""A long dream goes on in its midst, to the bytes of an undisturbed one."""

import numpy as np
import pytest

from keras_dream.batches.call import batch
from keras_dream.batches.unfinished import Unfinished
from keras_dream.events import ItemProgress
from keras_dream.pictures.encoding import save_picture

SETTINGS = {"octaves": 2, "steps": 4, "backend": "torch", "device": "cpu"}


@pytest.fixture
def photo(tmp_path, monkeypatch):
    monkeypatch.setattr(Unfinished, "seconds", 0.0)
    path = tmp_path / "photo.png"
    image = np.random.default_rng(0).random((56, 48, 3), dtype=np.float32)
    save_picture(path, image)
    return path


def dream(photo, out, *, stop=None, **settings):
    """Returns the steps that were made; the batch is stopped after one of them."""
    steps = []
    with batch(photo, out, workers=1, **{**SETTINGS, **settings}) as run:
        for event in run:
            if isinstance(event, ItemProgress):
                steps.append(event.step)
                if event.step == stop:
                    break
    return steps


def files(out):
    return {p.name: p.read_bytes() for p in out.iterdir() if "journal" not in p.name}


def test_a_dream_goes_on_in_its_midst(photo, tmp_path):
    assert dream(photo, tmp_path / "whole") == [1, 2, 3, 4, 5, 6, 7, 8]
    out = tmp_path / "out"
    assert dream(photo, out, stop=3) == [1, 2, 3]
    assert [name for name in files(out) if name.endswith(".canvas.npz")]
    assert dream(photo, out, stop=6) == [4, 5, 6]
    assert dream(photo, out) == [7, 8]
    assert files(out) == files(tmp_path / "whole")


@pytest.mark.parametrize("change", ["damaged", "photo", "threads"])
def test_another_dream_begins_anew(photo, tmp_path, change):
    out = tmp_path / "out"
    dream(photo, out, stop=3)
    (kept,) = out.glob(".dream-*.canvas.npz")
    settings = {}
    if change == "damaged":
        kept.write_bytes(kept.read_bytes()[:-200])
    elif change == "photo":
        save_picture(photo, np.zeros((56, 48, 3), np.float32))
    else:
        settings["threads"] = 3
    assert dream(photo, out, **settings)[0] == 1
    dream(photo, tmp_path / "whole", **settings)
    assert files(out) == files(tmp_path / "whole")
