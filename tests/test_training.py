"""The motifs' renderer and one step of training; neither is part of the wheel."""

import sys

import numpy as np
import pytest
from apart import TRAINING, run_apart

pytest.importorskip("cv2", reason="the renderer draws with OpenCV")

if not TRAINING.is_dir():
    pytest.skip("training/ is not in this distribution", allow_module_level=True)
sys.path.insert(0, str(TRAINING))
try:
    import motifs
    import motifs.brush
    import pool
finally:
    sys.path.remove(str(TRAINING))


@pytest.mark.parametrize("name", motifs.MOTIFS)
@pytest.mark.parametrize("size", [16, 72])
def test_motif_draws(name, size):
    draw = motifs.MOTIFS[name].draw
    first = draw(np.random.default_rng(5), size)
    assert first.shape == (size, size, 4)
    assert first.dtype == np.float32
    assert np.isfinite(first).all()
    assert first.min() >= 0
    assert first.max() <= 1
    assert 0.08 < first[..., 3].mean() < 1, "a motif neither vanishes nor fills"
    np.testing.assert_array_equal(first, draw(np.random.default_rng(5), size))
    assert not np.array_equal(first, draw(np.random.default_rng(6), size))


@pytest.mark.parametrize("seed", range(4))
def test_scene_is_seeded_and_labelled(seed):
    picture, labels = motifs.scene(np.random.default_rng(seed), 64)
    assert picture.shape == (64, 64, 3)
    assert picture.dtype == np.float32
    assert picture.min() >= 0
    assert picture.max() <= 1
    assert labels.shape == (64, 64)
    assert labels.max() <= motifs.BACKGROUND
    again, same = motifs.scene(np.random.default_rng(seed), 64)
    np.testing.assert_array_equal(picture, again)
    np.testing.assert_array_equal(labels, same)


def test_single_shows_its_motif():
    picture = motifs.single(np.random.default_rng(1), "owl", 64)
    assert picture.shape == (64, 64, 3)
    assert picture.std() > 0.05


def test_scenes_hold_every_class():
    seen = set()
    for seed in range(60):
        seen |= set(np.unique(motifs.scene(np.random.default_rng([2, seed]), 32)[1]))
    assert len(seen) > 0.8 * len(motifs.CLASSES)


def test_noise_is_pure():
    first = motifs.brush.noise(np.random.default_rng(3), 50, 0.5)
    again = motifs.brush.noise(np.random.default_rng(3), 50, 0.5)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first).max() < 1.5


def test_cells_share_out_labels():
    labels = np.full((1, 32, 32), motifs.BACKGROUND, np.uint8)
    labels[0, :16, :8] = 3
    shares = pool.cells(labels, 16)
    assert shares.shape == (1, 2, 2, len(motifs.CLASSES))
    np.testing.assert_allclose(shares.sum(-1), 1)
    assert shares[0, 0, 0, 3] == 0.5
    assert shares[0, 1, 1, motifs.BACKGROUND] == 1


def test_batch_cuts_and_mirrors():
    rng = np.random.default_rng(4)
    pictures = rng.integers(0, 256, (3, 48, 48, 3), np.uint8)
    labels = rng.integers(0, 5, (3, 48, 48), np.uint8)
    x, y = pool.batch(np.random.default_rng(1), pictures, labels, 6, 32)
    assert x.shape == (6, 32, 32, 3)
    assert x.dtype == np.float32
    assert x.min() >= 0
    assert x.max() <= 1
    assert y.shape == (6, 32, 32)


STEP = """
import numpy as np, tensorflow as tf
import network, pool, train
from motifs import scene
tf.config.run_functions_eagerly(True)  # tracing costs more than two steps
motif, twin = network.build()
optimiser = train.make_optimiser()
optimiser.build(twin.trainable_variables)
scenes = [scene(np.random.default_rng(i), 32) for i in range(2)]
x = tf.constant(np.stack([s[0] for s in scenes]))
y = np.stack([s[1] for s in scenes])
deep, middle = (tf.constant(pool.cells(y, k)) for k in (16, 8))
before = [np.asarray(w) for w in twin.trainable_variables]
with_attack = tf.constant(1.0)
delta = tf.zeros_like(x)
move = train.make_step(twin, optimiser)
for _ in range(2):
    loss, right, delta = move(x, deep, middle, delta, with_attack)
    assert np.isfinite(float(loss))
norms = np.sqrt((delta.numpy() ** 2).sum((1, 2, 3)))
assert 0 < norms.min() and norms.max() <= 1.001, norms
after = [np.asarray(w) for w in twin.trainable_variables]
assert all(np.isfinite(w).all() for w in after)
assert any((a != b).any() for a, b in zip(before, after))
logits, found = motif(2 * x - 1)
cells, _ = twin(2 * x - 1)
average = cells.numpy().mean((1, 2))
np.testing.assert_allclose(logits.numpy(), average, atol=1e-4)
np.testing.assert_allclose(found.numpy(), np.maximum(cells.numpy(), 0), atol=1e-4)
"""


def test_training_step():
    # In its own process: it needs TensorFlow as the Keras backend.
    pytest.importorskip("keras", reason="the network is a Keras model")
    pytest.importorskip("tensorflow", reason="training runs on TensorFlow")
    run_apart(STEP, "tensorflow")
