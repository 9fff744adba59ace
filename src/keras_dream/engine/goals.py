"""Goals: the terms of an objective, each a weight and a function to a scalar.

`resolve` checks an objective against a network's graph without any weight or file;
`Goal.on` then makes the function that a gradient calls. Adding a kind of target is a
function here and its line in `RESOLVERS`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from keras_dream.backend.protocol import Array, Backend
from keras_dream.errors import ObjectiveError
from keras_dream.graph.graph import Graph
from keras_dream.parts.losses import Loss, interior
from keras_dream.parts.penalties import PENALTIES
from keras_dream.recipe.objectives import Class, Layer, NetworkObjective

EPSILON = 1e-8
"""Added to the square of a cell's length, so that a cell without activations has a
finite gradient; Lucid adds 1e-4 to the length, whose gradient at 0 is not a number."""

COSINE_FLOOR = 0.1
"""The least cosine by which a dot product is weighed (Lucid, `_dot_cossim`): a cell
that points elsewhere is still pulled."""

BLOCK = 256
"""Cells of a guide that are compared with the image at once: bounds the memory of a
step to that many maps of one channel."""


class Seen(NamedTuple):
    """What the goals look at in one step.

    Attributes:
        features: Feature maps of what the network sees of the image, by node.
        reference: Those of the original under the same transform, where a goal asks.
        image: The image itself, float32 in [0, 1].
        original: The photo at the image's size, or None.
    """

    features: Mapping[str, Array]
    reference: Mapping[str, Array]
    image: Array
    original: Array | None


Value = Callable[[Seen], Array]  # to a scalar of the backend


@dataclass(frozen=True)
class Setting:
    """What goals are computed with.

    Attributes:
        backend: Where.
        loss: How a feature map becomes a number.
        border: Cells that a layer's loss leaves out on each side.
        guide: Returns the features of a guide picture at a node, float32 (h, w, c).
        vector: Returns the vector of a file, float32 (c,).
    """

    backend: Backend
    loss: Loss
    border: int
    guide: Callable[[Any, str], np.ndarray] | None = None
    vector: Callable[[Any], np.ndarray] | None = None


@dataclass(frozen=True)
class Goal:
    """A term of an objective, resolved on a network.

    Attributes:
        weight: Of its value in the sum.
        make: Makes the function of what is seen.
        node: The node whose feature map it looks at; empty for the image itself.
        bordered: Whether it leaves out the border, so that cells must be inside of it.
        needs_original: Whether it looks at the photo.
        needs_reference: Whether it looks at the features of the photo.
    """

    weight: float
    make: Callable[[Setting], Value] = field(compare=False)
    node: str = ""
    bordered: bool = False
    needs_original: bool = False
    needs_reference: bool = False


# -- what is computed -----------------------------------------------------------------
def layer_loss(node: str, channels: tuple[int, ...], setting: Setting) -> Value:
    """Returns the recipe's loss of a layer, or of some of its channels."""
    backend, loss, border = setting.backend, setting.loss, setting.border

    def value(seen: Seen) -> Array:
        features = seen.features[node]
        if channels:
            features = backend.gather(features, channels)
        return loss(backend, features, border)

    return value


def class_score(node: str, number: int, setting: Setting) -> Value:
    """Returns a class' score, averaged over all positions: its definition here."""
    backend = setting.backend
    return lambda seen: backend.mean(backend.gather(seen.features[node], (number,)))


def neuron(
    node: str, channel: int, place: tuple[float, float] | None, setting: Setting
) -> Value:
    """Returns the activation of one cell of a channel.

    The cell that holds a place of the picture follows it from octave to octave. The
    middle is the cell that Lucid's `neuron` takes: half of the size, rounded down.

    Args:
        node: The layer's node.
        channel: The channel's number.
        place: (down, across) as fractions of the picture; None for its middle.
        setting: As everywhere.
    """
    backend = setting.backend
    down, across = place or (0.5, 0.5)

    def value(seen: Seen) -> Array:
        features = backend.gather(seen.features[node], (channel,))
        height, width = backend.size(features)
        rows = backend.around(height, down)
        columns = backend.around(width, across)
        return backend.sum(backend.crop(features, (*rows, *columns)))

    return value


def direction(node: str, vector: np.ndarray, setting: Setting) -> Value:
    """Returns the mean dot product of the cells with a vector.

    Source: Lucid's `direction` with its default, `cossim_pow=0`.
    """
    backend = setting.backend
    held = backend.array(vector)

    def value(seen: Seen) -> Array:
        features = interior(backend, seen.features[node], setting.border)
        return backend.mean(backend.dot(features, held))

    return value


def caricature(node: str, power: float, setting: Setting) -> Value:
    """Returns how far the features go in the direction of the original's.

    The mean over cells of the dot product, over the channels, times the cosine to a
    power. Source: Lucid's `_dot_cossim` and `lucid.recipes.caricature`.
    """
    backend = setting.backend

    def length(x: Array) -> Array:
        return backend.power(backend.add(backend.dot(x, x), EPSILON), 0.5)

    def value(seen: Seen) -> Array:
        features = interior(backend, seen.features[node], setting.border)
        reference = interior(backend, seen.reference[node], setting.border)
        product = backend.dot(features, reference)
        lengths = backend.multiply(length(features), length(reference))
        cosine = backend.maximum(backend.divide(product, lengths), COSINE_FLOOR)
        if power != 1:
            cosine = backend.power(cosine, power)
        channels = backend.divide(backend.count(features), backend.count(product))
        return backend.divide(
            backend.mean(backend.multiply(product, cosine)), channels
        )

    return value


def best_match(node: str, guide: np.ndarray, setting: Setting) -> Value:
    """Returns how well each cell of a layer matches the cell of a guide most like it.

    The mean over cells, and over channels, of the largest dot product with a cell of
    the guide: its gradient is, for each cell, the guide's cell that matches best, which
    google/deepdream sets by hand (2015, `objective_guide`).

    Args:
        node: The layer's node.
        guide: float32 (cells, channels).
        setting: As everywhere.
    """
    backend = setting.backend
    blocks = [
        backend.array(guide[first : first + BLOCK].T)
        for first in range(0, len(guide), BLOCK)
    ]

    def value(seen: Seen) -> Array:
        features = interior(backend, seen.features[node], setting.border)
        best: Any = None
        for block in blocks:
            match = backend.channel_max(backend.matmul(features, block))
            best = match if best is None else backend.maximum(best, match)
        return backend.multiply(backend.mean(best), 1 / guide.shape[1])

    return value


def gram_distance(node: str, guide: np.ndarray, setting: Setting) -> Value:
    """Returns how unlike a guide's the statistics of a layer are, as a negative number.

    The squared distance of the Gram matrices, the means over all cells of the products
    of channels (Gatys, Ecker and Bethge, 2016), over the sum of their squares: 0 where
    they are equal, and never more than 1, since two Gram matrices have no negative
    product. So a negative weight, which asks for other statistics than the guide's,
    has a bound. In the unit of the layer's mean square in the guide, so that weights
    mean about the same as those of other terms on the layer.

    Args:
        node: The layer's node.
        guide: float32 (cells, channels).
        setting: As everywhere.
    """
    backend = setting.backend
    cells = guide.astype(np.float64)
    gram = cells.T @ cells / len(cells)
    scale, square = float(np.square(cells).mean()), float(np.square(gram).sum())
    target = backend.array(gram)

    def value(seen: Seen) -> Array:
        features = interior(backend, seen.features[node], setting.border)
        own = backend.gram(features)
        distance = backend.sum(backend.square(backend.subtract(own, target)))
        total = backend.add(backend.sum(backend.square(own)), square + EPSILON)
        return backend.multiply(backend.divide(distance, total), -scale)

    return value


def penalty(name: str, setting: Setting) -> Value:
    """Returns a penalty of the image itself; its weight is usually negative."""
    function, backend = PENALTIES[name].function, setting.backend
    return lambda seen: function(backend, seen.image, seen.original)
