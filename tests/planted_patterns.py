"""A network that looks for patterns, and pictures in which one is planted."""

import numpy as np

from keras_dream.graph.graph import Graph
from keras_dream.graph.ops import Node

SIDE = 9  # of the patterns, in pixels


def patterns():
    """Lying bars, standing bars and a chequered square, of dark and bright."""
    lying = np.repeat([[1.0], [-1.0], [1.0]], 3, axis=1)
    squares = [lying, lying.T, lying * lying.T]
    block = np.ones((SIDE // 3, SIDE // 3))
    return [np.kron(square, block).astype(np.float32) for square in squares]


def template_network(channels=6):
    """A network whose channels 1, 2 and 4 each look for one of the patterns.

    The others look for others; channel 0 is the largest everywhere, and means nothing.
    """
    random = np.random.default_rng(5)
    kernel = random.normal(size=(SIDE, SIDE, 3, channels)).astype(np.float32)
    for channel, shape in zip((1, 2, 4), patterns(), strict=True):
        kernel[..., channel] = shape[..., None]
    kernel -= kernel.mean(axis=(0, 1, 2))
    kernel /= np.sqrt(np.square(kernel).sum(axis=(0, 1, 2)))
    bias = np.zeros(channels, np.float32)
    bias[0] = 100
    conv = {"stride": [1, 1], "padding": "same", "dilation": [1, 1], "groups": 1}
    pool = {"size": [2, 2], "stride": [2, 2], "padding": "valid"}
    dull = np.zeros((1, 1, channels, 2), np.float32)
    return Graph(
        nodes=(
            Node("input", "input", (), {"channels": 3}),
            Node("look", "conv2d", ("input",), {**conv, "relu": True}),
            Node("pool", "max_pool", ("look",), pool),
            Node("dull", "conv2d", ("pool",), {**conv, "padding": "valid"}),
        ),
        weights={"look/kernel": kernel, "look/bias": bias, "dull/kernel": dull},
        layers={"look": "look", "conv2d@0": "look", "pool": "pool", "dull": "dull"},
        objective="pool",
    )


def planted(number, place, size=(60, 70)):
    """Grey with a little noise, and a pattern whose centre is at a pixel."""
    image = np.random.default_rng(1).normal(0.5, 0.02, (*size, 3)).astype(np.float32)
    y, x = place[0] - SIDE // 2, place[1] - SIDE // 2
    image[y : y + SIDE, x : x + SIDE] += 0.3 * patterns()[number][..., None]
    return image.clip(0, 1)
