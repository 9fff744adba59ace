"""Features, losses and gradients by plain Keras on the running backend.

Nothing here uses keras_dream: the tests compare our graphs with it.
"""

import math
import os

import keras
import numpy as np
from keras import ops


def randomise(model, seed=0):
    """Fills a model with weights that keep activations, and so losses, of order one.

    With Keras' initial weights, BatchNorms are the identity and the activations of deep
    layers nearly 0, so that every comparison would pass.
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
    phase, speed = generator.uniform(0, 6, 3), generator.uniform(0.05, 0.4, (2, 3))
    waves = np.sin(down * speed[0] + right * speed[1] + phase)
    noise = generator.uniform(-1, 1, (height, width, 3))
    return (low + (high - low) * (0.5 + 0.3 * waves + 0.2 * noise)).astype(np.float32)


def outputs(model, names):
    """Returns a model that gives the outputs of some layers, each its first call's."""
    layers = [model.get_layer(name) for name in names]
    tensors = [layer._inbound_nodes[0].output_tensors[0] for layer in layers]
    return keras.Model(model.inputs, tensors)


def mean_square(x):
    return ops.mean(ops.square(x))


class Slope:
    """The loss of a picture and its gradient, by the backend's own differentiation.

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
        """Returns (loss, gradient) for an image as the model itself expects it."""
        numbers = np.asarray(numbers, np.float32)
        value, gradient = self._call(np.asarray(image, np.float32)[None], numbers)
        first = gradient[0].cpu() if hasattr(gradient[0], "cpu") else gradient[0]
        return float(value), np.asarray(first).copy()

    def _total(self, outputs, numbers):
        return self._loss(outputs if isinstance(outputs, list) else [outputs], numbers)

    def _torch(self, x, numbers):
        import torch

        x = torch.tensor(x, requires_grad=True)
        value = self._total(self._model(x, training=False), torch.tensor(numbers))
        (gradient,) = torch.autograd.grad(value, x)
        return value.detach(), gradient

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
            outputs, _ = self._model.stateless_call(trained, others, x, training=False)
            return self._total(outputs, numbers)

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
    maps = call(x, training=False)
    maps = maps if isinstance(maps, list) else [maps]
    # Not ops.convert_to_numpy, which makes numpy 2 warn about torch's tensors.
    maps = [y.detach().cpu() if hasattr(y, "detach") else y for y in maps]
    return [np.asarray(y[0]) for y in maps]


def _compiled(model):
    """One program, where every operation alone would be one."""
    import jax

    def call(x, training):
        trained = [v.value for v in model.trainable_variables]
        others = [v.value for v in model.non_trainable_variables]
        program = jax.jit(lambda *args: model.stateless_call(*args, training=False)[0])
        return program(trained, others, x)

    return call


def off(found, expected):
    """Returns how far `found` is from `expected`, relative, by the L2 norm."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    assert found.shape == expected.shape
    size = np.linalg.norm(expected)
    return np.linalg.norm(found - expected) / size if size else np.abs(found).max()
