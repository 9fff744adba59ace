"""Small models of a user's own, and files of them."""

import warnings

import keras
import numpy as np
from keras import layers

from keras_dream import Recipe

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
