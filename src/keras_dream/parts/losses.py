"""Losses: how a layer's feature map becomes a number.

A loss is called with a feature map, the recipe's border in cells, and the backend, and
returns a scalar of the backend.
"""

from typing import TYPE_CHECKING, Literal, get_args

from pydantic import Field

from keras_dream.parts.part import Array, Part
from keras_dream.recipe.settings import FiniteFloat

if TYPE_CHECKING:
    from keras_dream.backend.protocol import Backend


def interior(backend: "Backend", features: Array, border: int) -> Array:
    """Returns the cells inside the border."""
    cells = (border, border, border, border)
    return backend.crop(features, cells) if border else features


class L2(Part):
    """The sum of squares inside the border, over the number of all activations.

    Source: F. Chollet, Deep Learning with Python, 1st edition 2017, listing 8.10: the
    divisor counts the border, too.
    """

    name: Literal["l2"] = "l2"

    def __call__(self, backend: "Backend", features: Array, border: int) -> Array:
        """Returns the loss."""
        squares = backend.square(interior(backend, features, border))
        return backend.divide(backend.sum(squares), backend.count(features))


class L2Mean(Part):
    """The mean of squares inside the border (the same book's 2nd edition, keras.io)."""

    name: Literal["l2_mean"] = "l2_mean"

    def __call__(self, backend: "Backend", features: Array, border: int) -> Array:
        """Returns the loss."""
        return backend.mean(backend.square(interior(backend, features, border)))


class Mean(Part):
    """The mean of the activations inside the border (tensorflow.org, "DeepDream")."""

    name: Literal["mean"] = "mean"

    def __call__(self, backend: "Backend", features: Array, border: int) -> Array:
        """Returns the loss."""
        return backend.mean(interior(backend, features, border))


class HalfSum(Part):
    """Half the sum of squares, whose gradient is the activations themselves.

    Source: google/deepdream, 2015, sets the layer's gradient to its activations.
    """

    name: Literal["half_sum"] = "half_sum"

    def __call__(self, backend: "Backend", features: Array, border: int) -> Array:
        """Returns the loss."""
        squares = backend.square(interior(backend, features, border))
        return backend.multiply(backend.sum(squares), 0.5)


class SoftmaxMean(Part):
    """The mean of each channel weighted by the softmax of its activations.

    The cells that respond most count most, so that few motifs become strong instead of
    all cells a little stronger. A high temperature is the mean, a low one the maximum.
    """

    name: Literal["softmax_mean"] = "softmax_mean"
    temperature: FiniteFloat = Field(
        default=1.0,
        ge=1e-3,
        le=1e6,
        description="what activations are divided by before the softmax",
    )

    def __call__(self, backend: "Backend", features: Array, border: int) -> Array:
        """Returns the loss."""
        inside = interior(backend, features, border)
        # Less the maximum, as always, so that no exponential overflows.
        below = backend.subtract(inside, backend.global_max(inside))
        scaled = backend.multiply(below, 1 / self.temperature)
        weights = backend.activation(scaled, "exponential")
        weighted = backend.global_mean(backend.multiply(weights, inside))
        return backend.mean(backend.divide(weighted, backend.global_mean(weights)))


class Even(Part):
    """The mean over cells of each cell's mean square, raised to a power below 1.

    A cell pulls with its activations times that mean square to the power less 1: so
    cells that hardly respond, as on plain sky, pull as strongly as those that respond
    much, and something is dreamt everywhere. A power of 1 is l2_mean; near 0 it is the
    logarithm, where each cell grows by the same share. A thousandth of the layer's mean
    is added to each cell, so that one without activations has a finite gradient.

    Ours, chosen by looking: with l2_mean and the built-in network plain sky stays bare,
    at a power of 0.5 it fills.
    """

    name: Literal["even"] = "even"
    power: FiniteFloat = Field(
        default=0.5,
        gt=0,
        le=1,
        description="of a cell's mean square: the lower, the more alike all cells",
    )

    def __call__(self, backend: "Backend", features: Array, border: int) -> Array:
        """Returns the loss."""
        inside = interior(backend, features, border)
        squares = backend.dot(inside, inside)
        channels = backend.divide(backend.count(inside), backend.count(squares))
        squares = backend.divide(squares, channels)
        least = backend.multiply(backend.stop_gradient(backend.mean(squares)), 1e-3)
        # No power of 0, whose gradient is not a number, where nothing responds at all.
        least = backend.add(least, 1e-12)
        return backend.mean(backend.power(backend.add(squares, least), self.power))


Loss = L2 | L2Mean | Mean | HalfSum | SoftmaxMean | Even
"""Every loss; adding one is its class and its name here."""
LOSSES: tuple[type[Part], ...] = get_args(Loss)
