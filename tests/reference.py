"""What plain Keras says on the running backend: features, losses and slopes.

Nothing here uses keras_dream: the tests hold our graphs against it.
"""

import math
import os

import keras
import numpy as np
from keras import ops


def randomise(model, seed=0):
    """Fills a model with weights that keep activations, and so losses, of order one.

    As Keras starts them, BatchNorms are the identity and the deep layers of a network
    without training are next to nothing: then every comparison would pass.
    """
    generator = np.random.default_rng(seed)
    for variable in model.variables:
        kind, shape = variable.name, tuple(variable.shape)
        if "variance" in kind or kind == "gamma":
            value = generator.uniform(0.5, 1.5, shape)
        elif "kernel" in kind:
            inputs = shape[:2] if "depthwise" in kind else shape[:-1]
            value = generator.normal(0, math.sqrt(2 / math.prod(inputs)), shape)
        elif kind in ("bias", "beta", "moving_mean", "mean"):
            value = generator.normal(0, 0.1, shape)
        else:
            continue  # counters and seeds
        variable.assign(value.astype(np.float32))
    return model


def picture(height, width, seed=0, low=0.0, high=1.0):
    """Returns a smooth picture with some noise, float32 (height, width, 3)."""
    generator = np.random.default_rng([seed, height, width])
    down, right = np.mgrid[:height, :width][..., None].astype(np.float64)
    phase, pace = generator.uniform(0, 6, 3), generator.uniform(0.05, 0.4, (2, 3))
    waves = np.sin(down * pace[0] + right * pace[1] + phase)
    noise = generator.uniform(-1, 1, (height, width, 3))
    return (low + (high - low) * (0.5 + 0.3 * waves + 0.2 * noise)).astype(np.float32)


def outputs(model, names):
    """Returns a model that gives the outputs of some layers, each its first call's."""
    found = [
        model.get_layer(name)._inbound_nodes[0].output_tensors[0] for name in names
    ]
    return keras.Model(model.inputs, found)


def mean_square(x):
    return ops.mean(ops.square(x))


class Slope:
    """The loss of a picture and its slope, by the backend's own differentiation.

    Args:
        model: A model with one output or several.
        loss: Takes the list of outputs, and numbers that are handed to `__call__`.
    """

    def __init__(self, model, loss):
        self._model, self._loss = model, loss
        self._call = {
            "torch": self._torch,
            "jax": self._jax(),
            "tensorflow": self._tensorflow,
        }[os.environ["KERAS_BACKEND"]]

    def __call__(self, image, numbers=()):
        """Returns (loss, slope) for an image as the model itself expects it."""
        numbers = np.asarray(numbers, np.float32)
        value, slope = self._call(np.asarray(image, np.float32)[None], numbers)
        return float(value), np.asarray(slope[0]).copy()

    def _total(self, found, numbers):
        return self._loss(found if isinstance(found, list) else [found], numbers)

    def _torch(self, x, numbers):
        import torch

        x = torch.tensor(x, requires_grad=True)
        value = self._total(self._model(x, training=False), torch.tensor(numbers))
        (slope,) = torch.autograd.grad(value, x)
        return value.detach(), slope

    def _tensorflow(self, x, numbers):
        import tensorflow as tf

        x = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = self._total(self._model(x, training=False), numbers)
        return value, tape.gradient(value, x)

    def _jax(self):
        if os.environ["KERAS_BACKEND"] != "jax":
            return None
        import jax

        def total(x, trained, others, numbers):
            found, _ = self._model.stateless_call(trained, others, x, training=False)
            return self._total(found, numbers)

        compiled = jax.jit(jax.value_and_grad(total))

        def call(x, numbers):
            trained = [v.value for v in self._model.trainable_variables]
            others = [v.value for v in self._model.non_trainable_variables]
            return compiled(x, trained, others, numbers)

        return call


def features(model, image):
    """Returns a model's outputs for an image, as arrays without the batch axis."""
    x = ops.convert_to_tensor(np.asarray(image, np.float32)[None])
    call = model if os.environ["KERAS_BACKEND"] != "jax" else _compiled(model)
    found = call(x, training=False)
    found = found if isinstance(found, list) else [found]
    # Not ops.convert_to_numpy, which makes numpy 2 warn about torch's tensors.
    found = [y.detach() if hasattr(y, "detach") else y for y in found]
    return [np.asarray(y[0]) for y in found]


def _compiled(model):
    """One program, where every operation alone would be one."""
    import jax

    def call(x, training):
        trained = [v.value for v in model.trainable_variables]
        others = [v.value for v in model.non_trainable_variables]
        program = jax.jit(lambda *held: model.stateless_call(*held, training=False)[0])
        return program(trained, others, x)

    return call


def off(found, expected):
    """Returns how far `found` is from `expected`, relative, by the L2 norm."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    assert found.shape == expected.shape
    size = np.linalg.norm(expected)
    return np.linalg.norm(found - expected) / size if size else np.abs(found).max()
