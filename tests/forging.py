"""Builds model files that are not as they should be, for the tests of refusals."""

import io
import json
import warnings
import zipfile

import h5py
import keras
import pytest
from keras import layers

from keras_dream.errors import NetworkError
from keras_dream.zoo import user_models

CONFIG, WEIGHTS = "config.json", "model.weights.h5"


def write_good(path):
    """Writes a small sound model file; returns its path."""
    model = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, 3, activation="relu", name="seen"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, name="told"),
        ],
        name="good",
    )
    model.compile("adam", "mse")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy's, of how Keras reads torch's tensors
        model.save(path)
    return path


def members(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(path, contents, **options):
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
    return path


def forge(good, path, change, **options):
    """Writes a good file with its members changed."""
    contents = members(good)
    change(contents)
    return packed(path, contents, **options)


def reconfigure(good, path, change):
    """Writes a good file with its configuration changed."""

    def rewrite(contents):
        config = json.loads(contents[CONFIG])
        change(config)
        contents[CONFIG] = json.dumps(config).encode()

    return forge(good, path, rewrite)


def reweight(good, path, change):
    """Writes a good file with its weights file changed."""

    def rewrite(contents):
        file = io.BytesIO(contents[WEIGHTS])
        with h5py.File(file, "r+") as weights:
            change(weights)
        contents[WEIGHTS] = file.getvalue()

    return forge(good, path, rewrite)


def refusal(path):
    with pytest.raises(NetworkError) as caught:
        user_models.load_file(path, trusted=True)
    text = str(caught.value)
    assert "\n" not in text
    assert text.endswith(".")
    assert str(path.parent) not in text
    return text
