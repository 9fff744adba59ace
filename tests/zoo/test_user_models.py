"""A user's own model: which are taken, and what they see."""

import keras
import numpy as np
import pytest
import small_models
from keras import layers, ops
from own_models import BASE, RGB, picture, saved, stack

from keras_dream import Dreamer, Recipe
from keras_dream.errors import NetworkError
from keras_dream.lowering.builder import to_numpy
from keras_dream.zoo import user_models


def seen(model, image):
    """Returns what the model itself makes of a picture in its own levels."""
    found = model(ops.convert_to_tensor(image[None]), training=False)
    return to_numpy(found)[0]


def test_a_file_is_the_model_that_was_saved(tmp_path):
    for build in (small_models.nested, small_models.sequential, small_models.merges):
        model = small_models.made(build)
        stated = None if build is small_models.sequential else "tf"
        path = saved(model, tmp_path / f"{build.__name__}.keras")
        loaded = user_models.load_file(path, trusted=True, preprocessing=stated)
        wanted = user_models.load_model(model, stated).graph.weights
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
    "statistics of levels from -1": (
        lambda: [layers.Normalization(mean=0.1, variance=0.3)],
        None,
    ),
    "statistics of levels less a mean": (
        lambda: [layers.Normalization(mean=2.0, variance=3.6e3)],
        None,
    ),
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
    assert not Dreamer(model, preprocessing=mode).graph.notices


def test_statistics_that_fit_two_levels_may_be_stated():
    model = stack(layers.Normalization(mean=0.4, variance=0.05))
    for mode, levels in (("0-1", picture()), ("tf", picture() * 2 - 1)):
        found = Dreamer(model, preprocessing=mode).features(picture(), ["seen"])["seen"]
        np.testing.assert_allclose(found, seen(model, levels), rtol=1e-4, atol=1e-4)


def test_a_stated_preprocessing_counts_with_a_notice():
    model, image = stack(layers.Rescaling(1 / 255)), picture()
    dreamer = Dreamer(model, preprocessing="0-1")
    made = dreamer.features(image, ["seen"])["seen"]
    np.testing.assert_allclose(made, seen(model, image), rtol=1e-4, atol=1e-5)
    dream = dreamer.dream(image, BASE.but(objective="seen"))
    (notice,) = dream.record.notices
    assert notice.startswith("The preprocessing is 0-1, as stated")
    assert dream.recipe.preprocessing == "0-1"


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
    dreamer = Dreamer(model, preprocessing="0-255")
    found = dreamer.features(picture(), ["seen"])["seen"]
    wanted = seen(model, picture() * 255)
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-3)


def test_channels_that_are_turned():
    """Keras on torch cannot run this itself; the others can."""
    image = keras.Input((20, 24, 3))
    turned = keras.Model(image, layers.Conv2D(2, 1, name="seen")(image[..., ::-1] - 2))
    plain = keras.Model(image, layers.Conv2D(2, 1, name="seen")(image - 2))
    _same_weights(plain, turned)
    dreamer = Dreamer(turned, preprocessing="0-255")
    found = dreamer.features(picture(), ["seen"])["seen"]
    wanted = seen(plain, np.ascontiguousarray(picture()[..., ::-1]) * 255)
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-3)


def _same_weights(model, other):
    for ours, theirs in zip(model.weights, other.weights, strict=True):
        ours.assign(to_numpy(theirs))


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


def test_layers_of_an_unknown_kind_dream():
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
