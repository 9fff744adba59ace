"""Writes weights files as Keras did when the published ones were made."""

import h5py
import numpy as np

from keras_dream.lowering.builder import to_numpy


def write_legacy(model, path):
    """Writes a model's weights into a legacy `.h5` file; returns its path."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            group = file.create_group(layer.name)
            every = [*layer.trainable_weights, *layer.non_trainable_weights]
            names = [f"{layer.name}/w{k}:0".encode() for k in range(len(every))]
            group.attrs["weight_names"] = np.array(names, "S80")
            for name, variable in zip(names, every, strict=True):
                group[name.decode()] = to_numpy(variable)
    return path
