"""The shipped network `motif`: its file, the Keras model it came from, its dreams."""

import re
from pathlib import Path

import numpy as np
import pytest
from apart import TRAINING, run_apart

import keras_dream as kd
from keras_dream.pictures.picture import read_picture
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


LOOKS = [name for name, recipe in kd.presets.items() if recipe.network == "motif"]
NAMED = {  # a motif that each look is called after
    "eyes": "eye",
    "birds": "bird",
    "peacock": "peacock",
    "reef": "coral",
    "scales": "scales",
    "snakes": "snake",
    "arches": "arches",
    "beads": "mandala",
}


@pytest.fixture(scope="module")
def dreamer() -> kd.Dreamer:
    return kd.Dreamer("motif")


@pytest.fixture(scope="module")
def scores(dreamer) -> dict[str, dict[str, float]]:
    """The scores of each look's own class, by the picture: the sky, or its dreams."""
    sky = read_picture(ROOT / "examples" / "sky.jpg").pixels[200:328:2, 300:460:2]
    short = {"steps": 6, "octaves": 1, "colors": (), "transforms": ()}
    pictures = {"sky": sky} | {
        look: dreamer.dream(sky, kd.presets[look].but(**short)).image for look in NAMED
    }
    return {
        name: {
            look: dreamer.gradient(picture, kd.Recipe(objective=f"class:{motif}"))[0]
            for look, motif in NAMED.items()
        }
        for name, picture in pictures.items()
    }


@pytest.mark.parametrize("name", NAMED)
def test_a_look_draws_what_it_is_called(name, scores):
    """The score of its class rises, and above that in half of the other looks."""
    own = scores[name][name]
    assert own > scores["sky"][name] + 0.1
    assert sum(scores[look][name] < own for look in NAMED) >= 4, scores


def test_the_look_keep_leaves_the_photograph(dreamer):
    photo = read_picture(ROOT / "docs" / "photos" / "cat.jpg").pixels[60:188, 90:250]
    dreams = {
        name: dreamer.dream(photo, kd.presets[name].but(steps=8)).image
        for name in ("keep", "default", "psychedelic")
    }
    changes = [np.abs(dream - photo).mean() for dream in dreams.values()]
    assert changes == sorted(changes)
    # Cb and Cr are the photograph's, but where a level ends at black or white.
    weights = np.float32([0.299, 0.587, 0.114])
    hues = [x - (x @ weights)[..., None] for x in (dreams["keep"], photo)]
    assert np.median(np.abs(hues[0] - hues[1])) < 1 / 255


@pytest.mark.parametrize("name", LOOKS)
@pytest.mark.parametrize("tone", [0.5, "sky"])
def test_every_look_moves_every_picture(name, tone, dreamer):
    sky = read_picture(ROOT / "examples" / "sky.jpg").pixels[::4, ::4]
    picture = sky if tone == "sky" else np.full((96, 128, 3), tone, np.float32)
    recipe = kd.presets[name].but(octaves=1, steps=1, colors=())
    result = dreamer.dream(picture, recipe)
    moved = np.abs(result.image - picture)
    assert moved.mean() > 0.2 * recipe.step_size
    assert (ROOT / "docs" / "looks" / f"{name}.jpg").is_file()


KINDS = {
    "keep": "keep_colors",
    "scales": "chroma_limit",
    "beads": "contrast_lock",
    "arches": "histogram",
    "reef": "chroma",
    "psychedelic": "decorrelate",
}


@pytest.mark.parametrize("name", KINDS)
def test_there_is_a_look_of_each_kind_of_colour(name):
    recipe = kd.presets[name]
    kinds = {part.name for part in recipe.colors}
    assert KINDS[name] in (kinds | {"keep_colors"} if recipe.keep_colors else kinds)


def test_what_the_layers_dream_is_told_alike_in_the_docs():
    page = (ROOT / "docs" / "motif.md").read_text("utf-8")
    dreams = catalogue.ZOO["motif"].dreams
    assert set(dreams) <= set(Network("motif").load().graph.layers)
    for layer, text in dreams.items():
        assert re.search(
            rf"^\| `{layer}` \|.*\| {re.escape(text)} \|$", page, re.MULTILINE
        )
