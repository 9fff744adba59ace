"""Parts of a recipe have the same bits in bands on the disk as whole in memory."""

import numpy as np
import pytest

from keras_dream.backend.load import load
from keras_dream.engine.growth import Growth, octaves_of
from keras_dream.huge import bands as bands_module
from keras_dream.huge.bands import Bands
from keras_dream.huge.stores import Store
from keras_dream.parts import filters
from keras_dream.parts.filters import Place
from keras_dream.parts.normalizers import NORMALIZERS, Normalizer
from keras_dream.parts.optimizers import Adam, Momentum, Sgd
from keras_dream.recipe.recipe import Recipe

SIZES = [(61, 47), (40, 90)]


@pytest.fixture(scope="module")
def torch():
    """The bits of bands are those of the whole on torch."""
    return load("torch", device="cpu", threads=2)


@pytest.fixture
def narrow(monkeypatch):
    """Bands of a few rows."""
    monkeypatch.setattr(bands_module, "MEMORY", 30_000)


@pytest.fixture
def on_disk(torch, tmp_path, narrow):
    return Bands(torch, tmp_path)


def values_of(size, seed=0):
    return np.random.default_rng(seed).normal(size=(*size, 3)).astype(np.float32)


def stored(bands, values, name):
    store = Store.create(bands._folder / name, values.shape)
    store.write(0, values)
    return bands.image(store.commit())


def whole(bands, x):
    assert len(list(x.bands())) > 3
    return np.concatenate(
        [bands.backend.to_image(band) for _, band in bands.computed(x)]
    )


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "part",
    [
        filters.Smooth(sigma=1.3, end=2),
        filters.Smooth(sigma=4),
        filters.Laplacian(levels=3),
        filters.Clip(limit=1.5),
        filters.Decorrelate(amount=0.7),
        filters.Chroma(sigma=4),
        filters.Chroma(sigma=2, share=1),
    ],
    ids=str,
)
def test_filters(torch, on_disk, size, part):
    values, place = values_of(size), Place(size, progress=0.4)
    found = part.apply(on_disk, stored(on_disk, values, "a.npy"), place)
    expected = part.apply(torch, torch.image(values), place)
    assert np.array_equal(whole(on_disk, found), torch.to_image(expected))


@pytest.mark.parametrize("kind", NORMALIZERS)
def test_normalizers(torch, on_disk, kind):
    values = values_of((61, 47))
    found = Normalizer(kind, None, on_disk).divisor(stored(on_disk, values, "a.npy"))
    assert found == Normalizer(kind, None, torch).divisor(torch.image(values))


@pytest.mark.parametrize("rule", [Sgd(), Momentum(), Adam()], ids=str)
def test_optimizers(torch, on_disk, rule):
    states = [rule.start(), rule.start()]
    for number in range(3):
        values = values_of((61, 47), number)
        maps = [stored(on_disk, values, f"{number}.npy"), torch.image(values)]
        updates = []
        for place, b in enumerate((on_disk, torch)):
            states[place], (update,) = rule.step(
                b, states[place], (maps[place],), divisor=0.3, step_size=0.01
            )
            updates.append(b.clip(b.add(maps[place], update), 0.0, 1.0))
        assert np.array_equal(whole(on_disk, updates[0]), torch.to_image(updates[1]))


@pytest.mark.parametrize("detail", ["before", "after", "none"])
@pytest.mark.parametrize("resampling", ["lanczos3", "linear", "linear_corners"])
@pytest.mark.parametrize("sizes", ["direct", "chained"])
def test_growth(torch, on_disk, detail, resampling, sizes):
    values = values_of((61, 47))
    recipe = Recipe(octaves=3, detail=detail, resampling=resampling, octave_sizes=sizes)
    octaves = octaves_of((61, 47), recipe)
    found = Growth(
        stored(on_disk, values, "a.npy"), octaves, recipe, on_disk, original=None
    )
    expected = Growth(values, octaves, recipe, torch, original=None)
    image, other = found.enter(0, None), expected.enter(0, None)
    for place in (1, 2):
        image = found.enter(place, found.leave(place - 1, on_disk.square(image)))
        other = expected.enter(place, expected.leave(place - 1, torch.square(other)))
    assert np.array_equal(whole(on_disk, image), torch.to_image(other))
