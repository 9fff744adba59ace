"""The network `motif`: a small Inception-style classifier, fully convolutional.

Where it departs from GoogLeNet, it does so for the sake of dreams. Pools are
averages, because a max-pool's gradient reaches one pixel in four and leaves
checkers; no convolution has a stride, for the same reason. The classifier is linear
on the global average, which equals the average over positions of a classifier at
each position: so it can be trained densely, and `class:eye` pulls everywhere.
"""

from __future__ import annotations

from typing import NamedTuple

import keras
from keras import layers

from motifs import CLASSES

STRIDE = 16  # pixels a cell of the last block covers; the label map is cut to it
AUXILIARY_STRIDE = 8  # of `mixed3`, where training hangs a second classifier


class Block(NamedTuple):
    """Widths of one Inception block (Szegedy et al. 2014, figure 2b).

    The 5 × 5 branch is two 3 × 3 convolutions (Szegedy et al. 2015, section 3.1).
    """

    one: int
    three_reduce: int
    three: int
    five_reduce: int
    five: int
    pool: int


BLOCKS = (
    Block(24, 32, 48, 16, 24, 16),
    Block(32, 48, 80, 20, 40, 24),
    Block(48, 64, 104, 24, 48, 32),
    Block(48, 64, 104, 24, 48, 32),
    Block(80, 96, 160, 40, 80, 56),
    Block(112, 112, 208, 48, 104, 64),
)
POOL_BEFORE = (1, 4)  # `mixed1` starts stride 8, `mixed4` starts stride 16
AUXILIARY = 3


def unit(x, filters: int, size: int, name: str):
    """Return convolution, BatchNorm and ReLU of `x`, all named after `name`."""
    x = layers.Conv2D(
        filters, size, padding="same", use_bias=False, name=f"{name}_conv"
    )(x)
    x = layers.BatchNormalization(momentum=0.97, epsilon=1e-3, name=f"{name}_bn")(x)
    return layers.Activation("relu", name=name)(x)


def mixed(x, block: Block, name: str):
    """Return one Inception block: four branches, concatenated as `name`."""
    one = unit(x, block.one, 1, f"{name}_one")
    three = unit(x, block.three_reduce, 1, f"{name}_three_reduce")
    three = unit(three, block.three, 3, f"{name}_three")
    five = unit(x, block.five_reduce, 1, f"{name}_five_reduce")
    five = unit(five, block.five, 3, f"{name}_five_a")
    five = unit(five, block.five, 3, f"{name}_five_b")
    # The 1 × 1 goes first: the average of a linear map is the map of the average,
    # and pooling the narrower side is cheaper.
    pool = layers.Conv2D(block.pool, 1, use_bias=False, name=f"{name}_pool_conv")(x)
    pool = layers.AveragePooling2D(3, 1, "same", name=f"{name}_pool_average")(pool)
    pool = layers.BatchNormalization(
        momentum=0.97, epsilon=1e-3, name=f"{name}_pool_bn"
    )(pool)
    pool = layers.Activation("relu", name=f"{name}_pool")(pool)
    return layers.Concatenate(name=name)([one, three, five, pool])


def build() -> tuple[keras.Model, keras.Model]:
    """Return the network and its training twin, which share every weight.

    The network maps pictures `(n, height, width, 3)` in [-1, 1] (`2x - 1` of the
    unit range) to logits `(n, classes)`, and to `motifs`, `(n, height / 16, width /
    16, classes)`: the logits at each position where they are positive. To climb the
    squares of `motifs` is to make each place more of what it already looks like. The
    twin maps pictures to the logits at each position of the last block and of
    `mixed3`, `(n, height / 8, width / 8, classes)`. The second classifier makes the
    middle blocks worth dreaming and is not part of the network.
    """
    inputs = keras.Input((None, None, 3), name="image")
    x = unit(inputs, 16, 3, "stem0")
    x = layers.AveragePooling2D(2, name="stem0_pool")(x)
    x = unit(x, 32, 3, "stem1")
    x = layers.AveragePooling2D(2, name="stem1_pool")(x)
    x = unit(x, 64, 3, "stem2")
    middle = None
    for number, block in enumerate(BLOCKS):
        if number in POOL_BEFORE:
            x = layers.AveragePooling2D(2, name=f"pool{number}")(x)
        x = mixed(x, block, f"mixed{number}")
        if number == AUXILIARY:
            middle = x
    classifier = layers.Dense(len(CLASSES), name="classes")
    auxiliary = layers.Dense(len(CLASSES), name="auxiliary")
    average = layers.GlobalAveragePooling2D(name="average")(x)
    here = classifier(x)
    found = layers.Activation("relu", name="motifs")(here)
    network = keras.Model(inputs, [classifier(average), found], name="motif")
    twin = keras.Model(inputs, [here, auxiliary(middle)], name="twin")
    return network, twin
