"""A user's own model: which are taken, what they see, and how a file is found again."""

import json
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
import small_models
from keras import layers, ops

from keras_dream import Dreamer, Recipe, dream as dream_once
from keras_dream.errors import DreamError, NetworkError
from keras_dream.images import read_notes
from keras_dream.network import inputs, own
from keras_dream.network.rules import to_numpy

BASE = Recipe(octaves=1, steps=2, jitter=0, small_octaves="skip")
RGB = (None, None, 3)


def picture(height=20, width=24, seed=2):
    return np.random.default_rng(seed).random((height, width, 3), np.float32)


def saved(model, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy's, of how Keras reads torch's tensors
        model.save(path)
    return path


def stack(*parts, shape=RGB, name="mine"):
    """A small network behind the given first layers."""
    conv = layers.Conv2D(4, 3, activation="relu", name="seen")
    return keras.Sequential([keras.Input(shape), *parts, conv], name=name)


def seen(model, image):
    """Returns what the model itself makes of a picture in its own levels."""
    found = model(ops.convert_to_tensor(image[None]), training=False)
    return to_numpy(found)[0]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A model file whose pictures went from 0 to 1."""
    keras.utils.set_random_seed(1)
    return saved(stack(), tmp_path_factory.mktemp("own") / "mine.keras")


def test_a_file_is_the_model_that_was_saved(tmp_path):
    for build in (small_models.nested, small_models.sequential, small_models.merges):
        model = small_models.made(build)
        stated = None if build is small_models.sequential else "tf"
        path = saved(model, tmp_path / f"{build.__name__}.keras")
        loaded = own.load(path, trusted=True, preprocessing=stated)
        wanted = own.of_model(model, stated).graph.weights
        for place, array in loaded.graph.weights.items():
            np.testing.assert_array_equal(array, wanted[place])
        assert loaded.name == path.name
        assert loaded.preprocessing == stated


FOUND = {
    "255ths": (lambda: [layers.Rescaling(1 / 255)], "0-255"),
    "from -1 to 1": (lambda: [layers.Rescaling(1 / 127.5, offset=-1)], "0-255"),
    "of unit levels": (lambda: [layers.Rescaling(2.0, offset=-1)], "0-1"),
    "to grey levels": (lambda: [layers.Rescaling(255.0)], "0-1"),
    "centred": (lambda: [layers.Rescaling(1.0, offset=-127.5)], "0-255"),
    "unclear": (lambda: [layers.Rescaling(1.0)], None),
    "grey statistics": (
        lambda: [layers.Normalization(mean=120, variance=3e3)],
        "0-255",
    ),
    "unit statistics": (lambda: [layers.Normalization(mean=0.4, variance=0.05)], "0-1"),
    "no statistics": (lambda: [layers.Normalization(mean=0, variance=1)], None),
    "behind augmentation": (
        lambda: [
            keras.Sequential([layers.RandomFlip(), layers.RandomRotation(0.1)]),
            layers.Rescaling(1 / 255),
        ],
        "0-255",
    ),
    "inside a model": (
        lambda: [keras.Sequential([layers.Rescaling(1 / 255), layers.Conv2D(3, 1)])],
        "0-255",
    ),
    "none": (list, None),
}


@pytest.mark.parametrize("case", FOUND)
def test_preprocessing_is_found_in_the_model(case):
    made, mode = FOUND[case]
    model = stack(*made())
    if mode is None:
        with pytest.raises(NetworkError, match="preprocessing must be stated"):
            Dreamer(model)
        assert Dreamer(model, preprocessing="tf").network == "model:mine"
        return
    image = picture()
    found = Dreamer(model).features(image, ["seen"])["seen"]
    levels = image * (255 if mode == "0-255" else 1)
    np.testing.assert_allclose(found, seen(model, levels), rtol=1e-4, atol=1e-4)
    assert Dreamer(model, preprocessing=mode).network == "model:mine"
    other = "tf" if mode == "0-1" else "0-1"
    with pytest.raises(NetworkError, match=f"first layer expects, {mode}"):
        Dreamer(model, preprocessing=other)


@pytest.mark.parametrize("module", ["vgg16", "densenet", "mobilenet_v2"])
def test_preprocess_input_inside_a_model(module):
    """The documented way of transfer learning leaves bare operators in the model."""
    image = keras.Input((20, 24, 3))
    x = getattr(keras.applications, module).preprocess_input(image)
    model = keras.Model(image, layers.Conv2D(4, 3, name="seen")(x))
    dreamer = Dreamer(model)
    assert not dreamer.graph.opaque
    found = dreamer.features(picture(), ["seen"])["seen"]
    wanted = seen(model, picture() * 255)
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "formula",
    [
        lambda x: 1 - x / 255,
        lambda x: 0.5 * (x + np.array([1.0, 2.0, 3.0])),
        lambda x: x[..., 1:2],
        lambda x: 255 / (x + 1),
    ],
    ids=["from one", "by channel", "a slice", "the other way round"],
)
def test_operators_with_constants(formula):
    image = keras.Input((20, 24, 3))
    model = keras.Model(image, layers.Conv2D(2, 1, name="seen")(formula(image)))
    dreamer = Dreamer(model, preprocessing=_own_or(model, "0-255"))
    found = dreamer.features(picture(), ["seen"])["seen"]
    np.testing.assert_allclose(found, seen(model, picture() * 255), rtol=1e-3)


def test_channels_that_are_turned():
    """Keras on torch cannot run this itself; the others can."""
    image = keras.Input((20, 24, 3))
    turned = keras.Model(image, layers.Conv2D(2, 1, name="seen")(image[..., ::-1] - 2))
    plain = keras.Model(image, layers.Conv2D(2, 1, name="seen")(image - 2))
    _same_weights(plain, turned)
    found = Dreamer(turned).features(picture(), ["seen"])["seen"]
    wanted = seen(plain, np.ascontiguousarray(picture()[..., ::-1]) * 255)
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-3)


def _same_weights(model, other):
    for ours, theirs in zip(model.weights, other.weights, strict=True):
        ours.assign(to_numpy(theirs))


def _own_or(model, mode):
    try:
        return inputs.stated(inputs.functional(model), None)
    except NetworkError:
        return mode


@pytest.mark.parametrize("mode", ["tf", "0-1", "0-255"])
def test_a_model_of_one_channel_sees_luma(mode):
    model = stack(shape=(None, None, 1))
    dreamer = Dreamer(model, preprocessing=mode)
    image = picture()
    luma = image @ np.array([0.299, 0.587, 0.114], np.float32)
    levels = {"tf": luma * 2 - 1, "0-1": luma, "0-255": luma * 255}[mode]
    found = dreamer.features(image, ["seen"])["seen"]
    wanted = seen(model, levels[..., None].astype(np.float32))
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
    _, slope = dreamer.gradient(image, Recipe(objective="seen"))
    # Each channel's share of the slope is its share of the luma.
    np.testing.assert_allclose(slope[..., 0] / 0.299, slope[..., 1] / 0.587, rtol=1e-3)
    assert np.abs(slope).max() > 0


@pytest.mark.parametrize("mode", ["caffe", "torch"])
def test_one_channel_has_no_colours(mode):
    with pytest.raises(NetworkError, match="one channel must be tf, 0-1 or 0-255"):
        Dreamer(stack(shape=(None, None, 1)), preprocessing=mode)


@pytest.mark.parametrize("size", [(20, 24), (31, 17)])
def test_a_fixed_input_size_is_no_limit(size):
    model = stack(shape=(12, 12, 3))
    free = stack()
    _same_weights(free, model)
    image = picture(*size)
    found = Dreamer(model, preprocessing="0-1").features(image, ["seen"])["seen"]
    np.testing.assert_allclose(found, seen(free, image), rtol=1e-4, atol=1e-5)


def test_a_flattened_map_slides_over_larger_pictures():
    model = small_models.made(small_models.flattened)
    found = Dreamer(model, preprocessing="0-1").features(picture(29, 21), ["fc2"])
    assert found["fc2"].shape[:2] == (5, 3)


def test_layers_of_an_unknown_kind_dream(file, tmp_path):
    model = keras.Sequential(
        [keras.Input(RGB), small_models.Mixed(), layers.Conv2DTranspose(3, 3)]
    )
    made = Dreamer(model, preprocessing="0-1").dream(
        picture(), BASE.but(objective="conv2d_transpose@0")
    )
    assert np.abs(made.image - picture()).max() > 0


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__(name="sub")
        self.conv = layers.Conv2D(4, 3)

    def call(self, x):
        return self.conv(x)


def several():
    a, b = keras.Input(RGB), keras.Input(RGB)
    return keras.Model([a, b], layers.Add()([a, b]), name="two")


UNFIT = {
    "subclassed": (Subclassed, "a subclass whose call is code of its own"),
    "several inputs": (several, "'two' with 2 inputs"),
    "text": (
        lambda: keras.Sequential([keras.Input((9,)), layers.Embedding(5, 4)]),
        "pictures of 3 channels or 1",
    ),
    "rows": (
        lambda: keras.Sequential([keras.Input((9, 4)), layers.Conv1D(5, 4)]),
        "pictures of 3 channels or 1",
    ),
    "channels first": (
        lambda: keras.Sequential(
            [keras.Input((3, 9, 8)), layers.Conv2D(5, 3, data_format="channels_first")]
        ),
        "channels last",
    ),
    "four channels": (lambda: stack(shape=(None, None, 4)), "of 3 channels or 1"),
    "no convolution": (
        lambda: keras.Sequential(
            [keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(3)], name="flat"
        ),
        "'flat', which has none",
    ),
    "not built": (
        lambda: keras.Sequential([layers.Conv2D(3, 3)], name="loose"),
        "'loose', which is not built",
    ),
    "no model": (lambda: 7, "a name, a model file or a built keras.Model"),
    "a list of nothing": (list, "must be a network"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_models_that_cannot_dream(case):
    build, reason = UNFIT[case]
    with pytest.raises(NetworkError) as caught:
        Dreamer(build(), preprocessing="0-1")
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_way_out_for_a_subclass_works():
    """As the refusal tells."""
    model, x = Subclassed(), keras.Input(RGB)
    assert Dreamer(keras.Model(x, model.call(x)), preprocessing="0-1").graph.layers


def test_weights_that_diverged():
    model = stack()
    model.layers[0].bias.assign(np.full(4, np.nan, np.float32))
    with pytest.raises(NetworkError, match="finite numbers"):
        Dreamer(model, preprocessing="0-1")


def test_python_takes_a_file(file, tmp_path):
    asked = {"trust_model": True, "preprocessing": "0-1", "objective": "seen"}
    made = dream_once(picture(), BASE, network=str(file), **asked)
    assert made.recipe.network == made.record.network == "mine.keras"
    assert made.recipe.preprocessing == "0-1"
    assert made.record.weights_sha256 == own.sha256_of(file)
    assert str(file.parent) not in json.dumps(
        [made.recipe.model_dump(mode="json"), made.record.data()]
    )
    again = dream_once(picture(), BASE, network=file, **asked)
    np.testing.assert_array_equal(made.image, again.image)
    # A recipe with the name alone is no leave to open a path.
    with pytest.raises(NetworkError, match="model file of a recipe must be given"):
        dream_once(picture(), made.recipe, trust_model=True)
    with_file = Dreamer.of(
        made.recipe, models={"mine.keras": file}, trust_model=True
    ).dream(picture(), made.recipe)
    np.testing.assert_array_equal(made.image, with_file.image)


def test_a_recipe_cannot_name_a_path(file):
    with pytest.raises(NetworkError, match="model file of a recipe must be given"):
        dream_once(picture(), Recipe(network=str(file)), trust_model=True)


def test_a_file_that_is_refused_needs_no_keras(tmp_path):
    code = (
        "import sys, keras_dream as kd\n"
        "try: kd.Dreamer('x.pt', trust_model=True)\n"
        "except kd.DreamError as e: print('keras' in sys.modules, e)"
    )
    (tmp_path / "x.pt").write_bytes(b"x")
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True,
        check=False, env={**_environment()},
    )  # fmt: skip
    assert run.stdout.startswith("False A model file must be"), run.stderr


def _environment():
    import os

    return {**os.environ, "PYTHONPATH": str(Path(own.__file__).parents[2])}


FLAGS = ("--objective", "seen", "--octaves", 1, "--steps", 2, "--preprocessing", "0-1")


@pytest.fixture
def desk(photo, dream, file, monkeypatch, tmp_path):
    """Runs `dream` with a model file beside the photo, and empty caches."""
    for name in ("KERAS_DREAM_HOME", "KERAS_DREAM_WEIGHTS", "KERAS_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    shutil.copy(file, "mine.keras")
    return dream


def test_the_shell_dreams_and_replays(desk, file):
    model = ("--network", "mine.keras")
    code, _, err = desk("photo.png", *model, *FLAGS)
    assert code == 2
    assert "must be trusted with --trust-model" in err
    code, out, err = desk("photo.png", *model, *FLAGS, "--trust-model")
    assert code == 0, err
    made = Path(out.strip())
    assert '"network":"mine.keras"' in read_notes(made)["recipe"]
    code, _, err = desk("replay", made)
    assert code == 2
    assert "must be trusted" in err
    code, _, err = desk("replay", made, "--trust-model", "--quiet")
    assert code == 0, err
    # Somewhere else it must be given, and be the recorded one.
    Path("mine.keras").unlink()
    code, _, err = desk("replay", made, "--trust-model")
    assert code == 2
    assert "none called 'mine.keras'" in err
    code, _, err = desk("replay", made, "--trust-model", "--network", file, "--quiet")
    assert code == 0, err
    other = saved(stack(), Path("mine.keras"))
    code, _, err = desk("replay", made, "--trust-model")
    assert code == 2
    assert "'mine.keras', which is another one" in err
    code, _, err = desk("replay", made, "--trust-model", "--network", other)
    assert code == 2


def test_a_model_is_found_in_the_cache(desk, file, monkeypatch):
    given = ("--trust-model", "-o", "out.png")
    assert desk("photo.png", "--network", file, *FLAGS, *given)[0] == 0
    Path("mine.keras").unlink()
    monkeypatch.setenv("KERAS_DREAM_WEIGHTS", str(file.parent))
    assert desk("replay", "out.png", "--trust-model", "--quiet")[0] == 0


def test_the_recipe_of_a_picture_goes_with_its_model(desk, file):
    given = ("--trust-model", "-o", "first.png")
    assert desk("photo.png", "--network", file, *FLAGS, *given)[0] == 0
    recipe = ("photo.png", "--recipe", "first.png")
    code, _, err = desk(*recipe)
    assert code == 2
    assert "must be trusted" in err
    assert desk(*recipe, "--trust-model")[0] == 0
    # A recipe alone tells no sha256: its model must be given.
    Path("recipe.json").write_text(read_notes(Path("first.png"))["recipe"])
    alone = ("photo.png", "--recipe", "recipe.json", "--trust-model")
    code, _, err = desk(*alone)
    assert code == 2
    assert "must be given" in err
    assert desk(*alone, "--network", file)[0] == 0
    # Another network has its own preprocessing.
    assert desk(*recipe, "--network", "motif", "--objective", "far")[0] == 0


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (("--network", "none.keras"), "does not exist"),
        (("--network", "photo.png/x"), "model file"),
        (("--network", "./photo.png"), "a file of another kind"),
        (("--network", "mine.keras", "--trust-model"), "preprocessing must be stated"),
        (("--preprocessing", "tf"), "only for a model of your own"),
        (("--preprocessing", "vgg"), "`preprocessing` must be one of tf | caffe"),
        (
            ("--network", "mine.keras", "--trust-model", "--weights", "photo.png"),
            "weights file must be for a network that is given by name",
        ),
        (("--network", "https://x.org/m.keras"), "a remote place"),
    ],
)
def test_what_the_shell_refuses(flags, reason, desk):
    code, out, err = desk("photo.png", *flags, "--objective", "seen")
    assert code == 2
    assert reason in err
    assert not out
    assert err.count("\n") <= 2


def test_an_objective_is_asked_for_with_the_layers(desk):
    told = ("--trust-model", "--preprocessing", "0-1")
    code, _, err = desk("photo.png", "--network", "mine.keras", *told)
    assert code == 2
    assert "objective must be given for mine.keras" in err


@pytest.mark.parametrize(
    ("recorded", "reason"),
    [("../mine.keras", "without folders"), ("/mine.keras", "without folders")],
)
def test_a_recorded_path_is_not_followed(recorded, reason, tmp_path):
    with pytest.raises(DreamError, match=reason):
        own.find(recorded, "0" * 64, [tmp_path])
