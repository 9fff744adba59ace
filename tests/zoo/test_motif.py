"""The shipped network `motif`: its file, the Keras model it came from, its dreams."""

import re
from pathlib import Path

import numpy as np
import pytest
from apart import TRAINING, run_apart

import keras_dream as kd
from keras_dream.pictures.picture import read_picture
from keras_dream.recipe.objectives import parse
from keras_dream.weights.verify import sha256_of
from keras_dream.zoo import catalogue, load
from keras_dream.zoo.network import Network

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(__file__).parents[1] / "golden" / "motif-three-steps.png"
LARGEST = 6_000_000  # bytes: what a wheel may carry for a first dream


def test_model_card_names_the_file_and_its_classes():
    card = TRAINING / "MODEL_CARD.md"
    if not card.is_file():
        pytest.skip("training/ is not in this distribution")
    text = card.read_text("utf-8")
    path = load.BUILTIN / "motif.safetensors"
    assert sha256_of(path) in text
    assert path.stat().st_size <= LARGEST
    graph = Network("motif").load().graph
    (listed,) = re.findall(r"\*\*Classes\.\*\*([^.]*)\.", text)
    assert tuple(re.split(r",\s+", listed.strip())) == graph.classes
    count = sum(array.size for array in graph.weights.values())
    assert 1e6 < count < 3e6


# The weights of the file, put back into the Keras model that training builds.
AGREEMENT = """
import sys
import keras, numpy as np
import network
import keras_dream as kd
from keras_dream.zoo import catalogue, load
from keras_dream.zoo.network import Network

graph = Network("motif").load().graph
held = graph.weights
motif, _ = network.build()
for layer in motif.layers:
    if isinstance(layer, keras.layers.BatchNormalization):
        scale, shift = held[layer.name + "/scale"], held[layer.name + "/shift"]
        # The file keeps what a BatchNorm does, not what it is made of.
        nothing, one = np.zeros_like(scale), np.ones_like(scale)
        layer.set_weights([scale, shift, nothing, one - layer.epsilon])
    elif layer.weights:
        # A dense kernel is kept as that of a 1 × 1 convolution.
        named = [(v, f"{layer.name}/{v.name}") for v in layer.weights]
        arrays = [held[name].reshape(v.shape) for v, name in named]
        layer.set_weights(arrays)
image = np.random.default_rng(3).random((75, 98, 3), dtype=np.float32)
layers = [f"mixed{n}" for n in range(6)] + ["motifs"]
wanted = keras.Model(motif.inputs, [motif.get_layer(n).output for n in layers])(
    2 * image[None] - 1, training=False
)
found = kd.Dreamer("motif").features(image, layers)
for name, keras_map in zip(layers, wanted, strict=True):
    keras_map = keras.ops.convert_to_numpy(keras_map)[0]
    worst = np.abs(found[name] - keras_map).max() / np.abs(keras_map).max()
    assert worst < 1e-4, (name, worst)
    assert keras_map.std() > 0, name
"""


def test_file_agrees_with_the_keras_model():
    # In its own process: the training folder is not part of the package.
    pytest.importorskip("cv2", reason="the classes are listed by the renderer")
    if not TRAINING.is_dir():
        pytest.skip("training/ is not in this distribution")
    run_apart(AGREEMENT, "torch")


def golden_dream() -> np.ndarray:
    """Three steps in one octave from the middle of the sky, in [0, 1]."""
    sky = read_picture(ROOT / "examples" / "sky.jpg").pixels[200:328, 300:460]
    recipe = kd.presets["default"].but(octaves=1, steps=3)
    return kd.dream(sky, recipe).image


def test_three_steps_give_the_golden_dream():
    wanted = read_picture(GOLDEN).pixels
    found = golden_dream()
    assert found.shape == wanted.shape
    # Three steps apart, processors differ by less than an 8-bit level on average.
    assert np.abs(found - wanted).mean() < 0.5 / 255
    assert np.abs(found - wanted).max() < 8 / 255


LOOKS = {
    "creatures": "fish dog cat owl bird butterfly beetle octopus snake",
    "feathers": "peacock bird feathers",
    "architecture": "arches pagoda tower",
    "fractal-garden": "flower leaf tree fractal",
    "reef": "shell fish octopus coral waves",
    "texture": "scales fur honeycomb",
    "ornament": "butterfly beetle mandala wheel",
}


@pytest.mark.parametrize("name", LOOKS)
def test_looks_name_the_channels_of_their_motifs(name):
    objective = parse(str(kd.presets[name].objective))
    (layer, faint) = (term.target for term in objective.terms)
    classes = Network("motif").load().graph.classes
    assert " ".join(classes[n] for n in layer.channels) == LOOKS[name]
    assert faint.name in LOOKS[name].split()


@pytest.mark.parametrize("name", ["default", "eyes", *LOOKS])
@pytest.mark.parametrize("tone", [0.5, "sky"])
def test_every_look_moves_every_picture(name, tone):
    sky = read_picture(ROOT / "examples" / "sky.jpg").pixels[::4, ::4]
    picture = sky if tone == "sky" else np.full((96, 128, 3), tone, np.float32)
    recipe = kd.presets[name].but(octaves=1, steps=1)
    result = kd.Dreamer("motif").dream(picture, recipe)
    moved = np.abs(result.image - picture)
    assert moved.mean() > 0.2 * recipe.step_size
    assert (ROOT / "docs" / "looks" / f"{name}.jpg").is_file()


def test_what_the_layers_dream_is_told_alike_in_the_docs():
    page = (ROOT / "docs" / "motif.md").read_text("utf-8")
    dreams = catalogue.ZOO["motif"].dreams
    assert set(dreams) <= set(Network("motif").load().graph.layers)
    for layer, text in dreams.items():
        assert re.search(
            rf"^\| `{layer}` \|.*\| {re.escape(text)} \|$", page, re.MULTILINE
        )
