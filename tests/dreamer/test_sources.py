"""What terms of an objective mean, on the shipped network; guides and directions."""

import numpy as np
import pytest
from reference import picture

import keras_dream as kd
from keras_dream.dreamer import sources
from keras_dream.errors import InputError, ObjectiveError, PictureError
from keras_dream.parts.transforms import View
from keras_dream.pictures.encoding import save_picture

IMAGE, OTHER = picture(96, 96), picture(96, 96, seed=5)


@pytest.fixture(scope="module")
def dreamer():
    return kd.Dreamer("motif")


HEAD = "{'descr': '<f4', 'fortran_order': False, 'shape': ("


def npy(header):
    """Returns a .npy file of eight bytes below any header."""
    return (
        b"\x93NUMPY\x01\x00"
        + len(header).to_bytes(2, "little")
        + header.encode()
        + bytes(8)
    )


def climb(dreamer, objective, image=IMAGE, *, original=None, **settings):
    """Eight steps of 0.01 along the gradient, without octaves, jitter and clamping."""
    recipe = dreamer.complete(kd.Recipe(objective=objective, **settings))
    gradient_of = dreamer._ensemble.gradient(recipe, {})
    backend, size = dreamer._backend, image.shape[:2]
    x = backend.image(image)
    held = backend.image(image if original is None else original)
    for _ in range(8):
        _, gradient = gradient_of(x, size, view=View(size), original=held)
        mean = backend.to_float(backend.mean(backend.absolute(gradient)))
        x = backend.add(x, backend.multiply(gradient, 0.01 / mean))
    return backend.to_image(x)


def features(dreamer, image, layer="mixed4"):
    return dreamer.features(image, [layer])[layer].astype(np.float64)


def rise(dreamer, image, layer="mixed4"):
    return features(dreamer, image, layer) - features(dreamer, IMAGE, layer)


def gram_cosine(dreamer, image, other, layer="mixed3"):
    one, two = (
        cells.T @ cells / len(cells)
        for cells in (
            features(dreamer, x, layer).reshape(-1, 232) for x in (image, other)
        )
    )
    return (one * two).sum() / np.sqrt(np.square(one).sum() * np.square(two).sum())


def total_variation(image):
    return np.abs(np.diff(image, axis=0)).mean() + np.abs(np.diff(image, axis=1)).mean()


@pytest.fixture
def guide(tmp_path):
    """Coarse checks, of which the picture has none; returns the path and the pixels."""
    rows, columns = np.indices((96, 96)) // 7
    image = np.full((96, 96, 3), [0.1, 0.3, 0.2], np.float32)
    image[(rows + columns) % 2 == 0] = [0.9, 0.8, 0.5]
    save_picture(tmp_path / "checks.png", image)
    return tmp_path / "checks.png", image


# -- meaning --------------------------------------------------------------------------
def test_a_channel_rises_more_than_any_other(dreamer):
    risen = rise(dreamer, climb(dreamer, "mixed4:50", loss="mean")).mean((0, 1))
    assert risen.argmax() == 50


def test_a_channel_rises_most_in_its_own_dream(dreamer):
    """Whatever the channels' magnitudes are."""
    channels = (11, 50, 200)
    risen = np.array(
        [
            rise(dreamer, climb(dreamer, f"mixed4:{c}", loss="mean")).mean((0, 1))
            for c in channels
        ]
    )[:, channels]
    assert risen.argmax(0).tolist() == [0, 1, 2]


def test_a_neuron_rises_most(dreamer):
    row, column = 1, 4  # of 6 × 6 cells
    channel = int(features(dreamer, IMAGE)[row, column].argmax())
    risen = rise(dreamer, climb(dreamer, f"neuron(mixed4, {channel}, 75%, 25%)"))
    assert np.unravel_index(risen.argmax(), risen.shape) == (row, column, channel)


def test_an_objective_that_nothing_responds_to_is_noticed(dreamer):
    """A channel that is silent everywhere has no gradient, and its dream no change."""
    grey = np.full((64, 64, 3), 0.5, np.float32)
    silent = int(features(dreamer, grey).max((0, 1)).argmin())
    assert features(dreamer, grey)[..., silent].max() == 0
    recipe = kd.Recipe(objective=f"mixed4:{silent}", octaves=2, steps=2)
    dreamed = dreamer.dream(grey, recipe)
    np.testing.assert_array_equal(dreamed.image, grey)
    assert sum("nothing there responds" in n for n in dreamed.record.notices) == 2
    other = dreamer.dream(IMAGE, kd.Recipe(objective="mixed4", octaves=2, steps=2))
    assert not other.record.notices


@pytest.mark.parametrize("canvas", ["decorrelated", "laplacian"])
def test_a_silent_neuron_is_noticed_from_a_flat_start(dreamer, canvas):
    """Whatever a canvas loses by rounding between its numbers and its image."""
    flat = np.full((48, 48, 3), (0x44 / 255, 0x66 / 255, 0x88 / 255), np.float32)
    silent = int(features(dreamer, flat).max((0, 1)).argmin())
    objective = f"neuron(mixed4, {silent}, center)"
    recipe = kd.Recipe(objective=objective, canvas=canvas, octaves=1, steps=3)
    (notice,) = dreamer.dream("flat:#446688:48x48", recipe).record.notices
    assert "nothing there responds" in notice
    responding = dreamer.dream("flat:#446688:48x48", recipe.but(objective="mixed4"))
    assert not responding.record.notices


def test_a_direction_is_gone_along(dreamer, tmp_path):
    vector = features(dreamer, OTHER).mean((0, 1))
    vector -= features(dreamer, IMAGE).mean((0, 1))
    np.save(tmp_path / "other.npy", vector)
    dreamed = climb(dreamer, f"direction(mixed4, {tmp_path / 'other.npy'})")
    moved = rise(dreamer, dreamed).mean((0, 1))
    cosine = moved @ vector / np.linalg.norm(moved) / np.linalg.norm(vector)
    plain = rise(dreamer, climb(dreamer, "mixed4")).mean((0, 1))
    assert cosine > 0.5
    assert cosine > 0.2 + plain @ vector / np.linalg.norm(plain) / np.linalg.norm(
        vector
    )


def test_a_caricature_raises_the_similarity_to_the_original(dreamer):
    def similarity(image):
        x, y = features(dreamer, image), features(dreamer, IMAGE)
        lengths = np.linalg.norm(x, axis=-1) * np.linalg.norm(y, axis=-1)
        return ((x * y).sum(-1) / lengths).mean()

    found = climb(dreamer, "caricature(mixed4)", OTHER, original=IMAGE)
    assert similarity(found) > similarity(OTHER) + 0.05
    plain = climb(dreamer, "mixed4", OTHER, original=IMAGE)
    assert similarity(found) > similarity(plain) + 0.02


def test_guides_raise_the_similarity_to_the_guide(dreamer, guide):
    path, other = guide
    before = gram_cosine(dreamer, IMAGE, other)
    towards = climb(dreamer, f"guide({path}, mixed3, gram)")
    assert gram_cosine(dreamer, towards, other) > before + 0.05
    away = climb(dreamer, f"-guide({path}, mixed3, gram)")
    assert gram_cosine(dreamer, away, other) < before - 0.05

    def best_cosine(image):
        x = features(dreamer, image, "mixed3").reshape(-1, 232)
        y = features(dreamer, other, "mixed3").reshape(-1, 232)
        lengths = np.linalg.norm(x, axis=1)[:, None] * np.linalg.norm(y, axis=1)
        return (x @ y.T / lengths).max(1).mean()

    matched = best_cosine(climb(dreamer, f"guide({path}, mixed3)"))
    assert matched > best_cosine(IMAGE)
    assert matched > best_cosine(climb(dreamer, "mixed3")) + 0.02


@pytest.mark.parametrize(
    ("term", "measure"),
    [
        ("tv", total_variation),
        ("l1", lambda image: np.abs(image - IMAGE).mean()),
        ("l2", lambda image: np.square(image - IMAGE).mean()),
        ("blur", lambda image: np.square(np.diff(image, axis=0)).mean()),
    ],
)
def test_penalties_hold_down_what_they_measure(term, measure, dreamer):
    plain = climb(dreamer, "mixed3")
    mild, hard = (climb(dreamer, f"mixed3 - {weight}*{term}") for weight in (10, 1000))
    assert measure(mild) < measure(plain)
    assert measure(hard) < 0.6 * measure(plain)


def test_networks_have_guides_of_their_own(dreamer, guide):
    """Each normalized, weighed and added, as any network's gradient."""

    def gradient(objective):
        recipe = kd.Recipe(objective=objective)
        return dreamer.gradient(IMAGE, recipe)[1]

    one, two = (f"guide({guide[0]}, {more})" for more in ("mixed2", "mixed3, gram"))
    parts = [gradient(one), 0.5 * gradient(two)]
    means = [np.abs(gradient(term)).mean() for term in (one, two)]
    expected = parts[0] / means[0] + parts[1] / means[1]
    found = gradient(f"{one}; 0.5*motif: {two}")
    np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(expected).max())


# -- guides ---------------------------------------------------------------------------
def test_the_features_of_a_guide_are_computed_once(dreamer, tmp_path, monkeypatch):
    reads = []
    read = sources.read_named
    monkeypatch.setattr(
        sources, "read_named", lambda *file: reads.append(file) or read(*file)
    )
    save_picture(tmp_path / "other.png", OTHER)
    objective = f"mixed3 + guide({tmp_path / 'other.png'}, mixed3)"
    recipe = kd.Recipe(objective=objective, octaves=2, steps=3)
    dreamer.dream(IMAGE, recipe)
    dreamer.dream(IMAGE, recipe.but(seed=1))
    assert len(reads) == 1


def test_a_large_guide_is_reduced(dreamer, tmp_path):
    large = np.random.default_rng(0).random((700, 1100, 3), np.float32)
    save_picture(tmp_path / "large.png", large)
    found = dreamer._ensemble._sources("motif")
    file = dreamer.files.complete(kd.parse(f"guide({tmp_path / 'large.png'}, mixed3)"))
    features = found.guide(file.terms[0].target.file, "mixed3")
    height, width = features.shape[:2]
    assert height * width * 8**2 <= sources.MAX_PIXELS * 1.1
    assert width / height == pytest.approx(1100 / 700, rel=0.05)


def test_a_guide_that_is_too_small(dreamer, tmp_path):
    save_picture(tmp_path / "dot.png", np.zeros((3, 3, 3), np.float32))
    with pytest.raises(PictureError, match=r"large enough.*dot.png of 3 × 3"):
        dreamer.dream(IMAGE, kd.Recipe(objective=f"guide({tmp_path}/dot.png, mixed5)"))


@pytest.mark.parametrize(
    "values",
    [
        np.array([{}], object),  # a pickle
        np.full(376, np.nan),
        np.zeros(376, complex),
        np.array(["a"] * 376),
        np.full(376, 1e300),  # infinite in float32
        b"\x93NUMPY\x01\x00 but no more",
        npy(HEAD),
        npy(f"{HEAD}{10**30},)}}"),
        npy(f"{HEAD}{10**12},)}}"),
        npy("{1: 2, 'descr': 3}"),
    ],
    ids=[
        "pickle", "nan", "complex", "text", "large numbers", "no npy", "open header",
        "huge shape", "large shape", "other keys",
    ],
)  # fmt: skip
def test_directions_that_are_none(dreamer, values, tmp_path):
    path = tmp_path / "vector.npy"
    if isinstance(values, bytes):
        path.write_bytes(values)
    else:
        np.save(path, values, allow_pickle=True)
    with pytest.raises(InputError, match="file of finite numbers"):
        dreamer.dream(IMAGE, kd.Recipe(objective=f"direction(mixed4, {path})"))


def test_a_direction_of_another_layer(dreamer, tmp_path):
    np.save(tmp_path / "vector.npy", np.ones(7))
    objective = f"direction(mixed4, {tmp_path / 'vector.npy'})"
    with pytest.raises(ObjectiveError, match="must have 376 numbers"):
        dreamer.dream(IMAGE, kd.Recipe(objective=objective))
