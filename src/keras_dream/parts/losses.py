"""Losses: how a layer's feature map becomes a number.

A loss is called with a feature map, the recipe's border in cells, and the backend, and
returns a scalar of the backend. A loss that is a sum over cells says what some cells
add to it, of which all cells are one case: then a picture may be computed in tiles.
"""

from typing import TYPE_CHECKING, ClassVar, Literal, get_args

from pydantic import Field

from keras_dream.parts.part import Array, Part
from keras_dream.recipe.settings import FiniteFloat

if TYPE_CHECKING:
    from keras_dream.backend.protocol import Backend, Padding


def interior(backend: "Backend", features: Array, border: int) -> Array:
    """Returns the cells inside the border."""
    cells = (border, border, border, border)
    return backend.crop(features, cells) if border else features


class Extent:
    """All cells of a feature map: the whole that a loss is over.

    Args:
        backend: Where it is computed.
        border: Cells that the loss leaves out on each side.

    Attributes:
        first: The sum of what the loss asks of all cells first, see `LocalLoss.first`;
            None where it is still to be computed of the cells that are here.
    """

    first: Array | None = None

    def __init__(self, backend: "Backend", border: int):
        self._backend = backend
        self._border = border

    def inside(self, features: Array) -> Array:
        """Returns the cells inside the border."""
        return interior(self._backend, features, self._border)

    def mean(self, x: Array) -> Array:
        """Returns the mean of a map of the cells inside the border."""
        return self._backend.mean(x)

    def over_all(self, total: Array, features: Array) -> Array:
        """Returns a sum over the number of activations, those of the border, too."""
        return self._backend.divide(total, self._backend.count(features))


class Share(Extent):
    """Some cells of a feature map: what is computed of them is their share.

    Args:
        backend: Where it is computed.
        border: Cells that the loss leaves out on each side of the whole map.
        outside: The cells of the whole map beyond each side of these, those beyond the
            border need not be counted: top, bottom, left, right.
        size: (height, width) in cells of the whole map.
        first: The sum of `LocalLoss.first` over all shares, if the loss has it.
    """

    def __init__(
        self,
        backend: "Backend",
        border: int,
        *,
        outside: "Padding",
        size: tuple[int, int],
        first: Array | None = None,
    ):
        super().__init__(backend, border)
        top, bottom, left, right = (max(border - cells, 0) for cells in outside)
        self._edges = (top, bottom, left, right)
        # As floats, for what a backend may do with whole numbers above 2³¹.
        self._cells = float(size[0]) * size[1]
        self._inside = float(max(size[0] - 2 * border, 0)) * max(
            size[1] - 2 * border, 0
        )
        self.first = first

    def inside(self, features: Array) -> Array:
        """Returns those of the cells that are inside the border; maybe none."""
        return (
            self._backend.crop(features, self._edges) if any(self._edges) else features
        )

    def mean(self, x: Array) -> Array:
        """Returns what these cells add to the mean over all inside the border."""
        return self._over(self._backend.sum(x), self._inside, x)

    def over_all(self, total: Array, features: Array) -> Array:
        """Returns a sum over the number of activations of the whole map."""
        return self._over(total, self._cells, features)

    def _over(self, total: Array, cells: float, x: Array) -> Array:
        return self._backend.divide(total, cells * self._backend.channels(x))


class LocalLoss(Part):
    """A loss that is a sum over cells.

    Attributes:
        needs_first: Whether `share` needs the sum of `first` over all cells.
    """

    needs_first: ClassVar[bool] = False

    def share(self, backend: "Backend", features: Array, extent: Extent) -> Array:
        """Returns what some cells add to the loss.

        Args:
            backend: Where it is computed.
            features: The cells, also those of the border.
            extent: The whole that they are a share of.
        """
        raise NotImplementedError

    def first(self, backend: "Backend", features: Array, extent: Extent) -> Array:
        """Returns what some cells add to what `share` needs of all of them."""
        raise NotImplementedError

    def __call__(self, backend: "Backend", features: Array, border: int) -> Array:
        """Returns the loss."""
        return self.share(backend, features, Extent(backend, border))


class L2(LocalLoss):
    """The sum of squares inside the border, over the number of all activations.

    Source: F. Chollet, Deep Learning with Python, 1st edition 2017, listing 8.10: the
    divisor counts the border, too.
    """

    name: Literal["l2"] = "l2"

    def share(self, backend: "Backend", features: Array, extent: Extent) -> Array:
        """Returns what some cells add to the loss."""
        squares = backend.square(extent.inside(features))
        return extent.over_all(backend.sum(squares), features)


class L2Mean(LocalLoss):
    """The mean of squares inside the border (the same book's 2nd edition, keras.io)."""

    name: Literal["l2_mean"] = "l2_mean"

    def share(self, backend: "Backend", features: Array, extent: Extent) -> Array:
        """Returns what some cells add to the loss."""
        return extent.mean(backend.square(extent.inside(features)))


class Mean(LocalLoss):
    """The mean of the activations inside the border (tensorflow.org, "DeepDream")."""

    name: Literal["mean"] = "mean"

    def share(self, backend: "Backend", features: Array, extent: Extent) -> Array:
        """Returns what some cells add to the loss."""
        return extent.mean(extent.inside(features))


class HalfSum(LocalLoss):
    """Half the sum of squares, whose gradient is the activations themselves.

    Source: google/deepdream, 2015, sets the layer's gradient to its activations.
    """

    name: Literal["half_sum"] = "half_sum"

    def share(self, backend: "Backend", features: Array, extent: Extent) -> Array:
        """Returns what some cells add to the loss."""
        squares = backend.square(extent.inside(features))
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


class Even(LocalLoss):
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
    needs_first: ClassVar[bool] = True
    power: FiniteFloat = Field(
        default=0.5,
        gt=0,
        le=1,
        description="of a cell's mean square: the lower, the more alike all cells",
    )

    def share(self, backend: "Backend", features: Array, extent: Extent) -> Array:
        """Returns what some cells add to the loss."""
        squares = self._mean_squares(backend, features, extent)
        mean = extent.mean(squares) if extent.first is None else extent.first
        least = backend.multiply(backend.stop_gradient(mean), 1e-3)
        # No power of 0, whose gradient is not a number, where nothing responds at all.
        least = backend.add(least, 1e-12)
        return extent.mean(backend.power(backend.add(squares, least), self.power))

    def first(self, backend: "Backend", features: Array, extent: Extent) -> Array:
        """Returns what some cells add to the mean over all of their mean squares."""
        return extent.mean(self._mean_squares(backend, features, extent))

    def _mean_squares(
        self, backend: "Backend", features: Array, extent: Extent
    ) -> Array:
        """Returns the mean square of every cell inside the border."""
        inside = extent.inside(features)
        return backend.divide(backend.dot(inside, inside), backend.channels(inside))


Loss = L2 | L2Mean | Mean | HalfSum | SoftmaxMean | Even
"""Every loss; adding one is its class and its name here."""
LOSSES: tuple[type[Part], ...] = get_args(Loss)
