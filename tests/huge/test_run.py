"""A dream on the disk has the pixels of the same dream in memory, bit by bit."""

import numpy as np
import pytest

from keras_dream import Dreamer
from keras_dream.engine.result import Step
from keras_dream.errors import JobsError, SettingError
from keras_dream.events import TileDone
from keras_dream.huge import bands as bands_module
from keras_dream.huge.run import dream_huge
from keras_dream.huge.stores import Store
from keras_dream.recipe.recipe import Recipe, RunSettings

PLAIN = {"objective": "mixed1 + 0.5*mixed0:3", "steps": 2, "octaves": 2, "jitter": 5}


@pytest.fixture(scope="module")
def dreamer():
    run = RunSettings(backend="torch", device="cpu", threads=2, gradient="cells 2x3")
    return Dreamer("motif", run=run)


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    """Bands of a few rows."""
    monkeypatch.setattr(bands_module, "MEMORY", 60_000)


def photo(height=61, width=47):
    return np.random.default_rng(0).random((height, width, 3), dtype=np.float32)


def stored(folder, values):
    folder.mkdir(exist_ok=True)
    store = Store.create(folder / "photo.npy", values.shape)
    store.write(0, values)
    return store.commit()


def huge(dreamer, folder, values, recipe):
    with dream_huge(dreamer, stored(folder, values), folder, recipe) as run:
        events = list(run)
        return events, run.result


CASES = [
    {},
    {"transforms": "pad(size=7) + flip", "jitter": 30},
    {"jitter": 0, "detail": "none", "octaves_above": 1, "octave_scale": 1.3},
    {"filters": "chroma(sigma=4)", "detail": "after", "octaves": 3},
    {"filters": "smooth + clip", "normalizer": "std", "clamp": False},
    {"filters": "laplacian(levels=3) + decorrelate", "normalizer": "l2"},
    {"normalizer": "rms", "octave_sizes": "chained", "octaves": 3},
    {"optimizer": "adam", "step_size": 0.01},
    {"optimizer": "momentum", "normalizer": "none"},
    {"loss": "even"},
    {"objective": "caricature(mixed1)", "border": 0},
    {"blend": 0.7, "keep_colors": True, "colors": "chroma + soft_clip"},
    {"stop": "distance(limit=0.001)", "steps": 3},
    {"max_loss": 1e-6, "max_loss_rule": "before"},
    {"max_loss": 1e-6, "max_loss_rule": "after"},
    {"per_octave": ["2: step_size=0.01", "1: steps=1"]},
]


@pytest.mark.parametrize("changes", CASES, ids=str)
def test_the_pixels_are_those_of_the_dream_in_memory(dreamer, tmp_path, changes):
    values = photo()
    recipe = Recipe(**{**PLAIN, **changes})
    _, found = huge(dreamer, tmp_path / "work", values, recipe)
    expected = dreamer.dream(values, recipe)
    assert np.array_equal(found.image.rows(0, 61), expected.image)
    assert found.record.losses == expected.record.losses
    assert found.record.source_sha256 == expected.record.source_sha256
    assert found.record.notices == expected.record.notices
    assert found.record.steps == expected.record.steps
    assert found.recipe == expected.recipe
