"""Goals: the terms of an objective, each a weight and a function to a scalar.

`resolve` checks an objective against a network's graph without any weight or file;
`Goal.make` then makes the function that a gradient calls. Adding a kind of target is a
function here that is named in `RESOLVERS`.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import numpy as np

from keras_dream.backend.protocol import Array, Backend
from keras_dream.errors import ObjectiveError
from keras_dream.geometry import Size
from keras_dream.graph.graph import Graph
from keras_dream.parts.losses import Extent, LocalLoss, Loss, Share
from keras_dream.parts.penalties import PENALTIES
from keras_dream.recipe.files import FileRef
from keras_dream.recipe.objectives import NetworkObjective
from keras_dream.recipe.targets import (
    Caricature,
    Class,
    Custom,
    Direction,
    Guide,
    Layer,
    Neuron,
    Penalty,
    Target,
)

EPSILON = 1e-8
"""Added to the square of a cell's length, so that a cell without activations has a
finite gradient; Lucid adds 1e-4 to the length, whose gradient at 0 is not a number."""

COSINE_FLOOR = 0.1
"""The least cosine by which a dot product is weighed (Lucid, `_dot_cossim`): a cell
that points elsewhere is still pulled."""

MOST_CELLS = 1024
"""Cells of a guide that an image is compared with; about as many as google/deepdream's
example has, 320 × 240 pixels at a stride of 8."""

BLOCK = 256
"""Cells of a guide that are compared with the image at once: a step's memory for the
comparison is that many maps of one channel."""


class Place(NamedTuple):
    """Where some cells of a feature map lie.

    Attributes:
        outside: The cells of the whole map beyond each side of these, those beyond the
            border need not be counted: top, bottom, left, right.
        size: (height, width) in cells of the whole map.
    """

    outside: tuple[int, int, int, int]
    size: Size


class Seen(NamedTuple):
    """What the goals look at in one step: whole feature maps, or a tile's own cells.

    Attributes:
        features: Feature maps of what the network sees of the image, by node.
        reference: Those of the original under the same transform, where a goal asks.
        image: The image itself, float32 in [0, 1]; None in a tile.
        original: The photo at the image's size, where a goal asks.
        places: In a tile, where the cells of every node lie.
        first: In a tile, the sum of the goal's `first` over all of them.
    """

    features: Mapping[str, Array]
    reference: Mapping[str, Array] = MappingProxyType({})
    image: Array | None = None
    original: Array | None = None
    places: Mapping[str, Place] = MappingProxyType({})
    first: Array | None = None

    def extent(self, backend: Backend, node: str, border: int) -> Extent:
        """Returns what the cells of a node are a share of."""
        if node not in self.places:
            return Extent(backend, border)
        outside, size = self.places[node]
        return Share(backend, border, outside=outside, size=size, first=self.first)


Value = Callable[[Seen], Array]  # to a scalar of the backend


class Sources(Protocol):
    """Where goals get what is not in the recipe: pictures and vectors."""

    def guide(self, file: FileRef, node: str) -> np.ndarray:
        """Returns the feature map of a guide picture, float32 (h, w, channels)."""
        ...

    def vector(self, file: FileRef) -> np.ndarray:
        """Returns the vector of a file, float32 (channels,)."""
        ...


@dataclass(frozen=True)
class Context:
    """What goals are computed with.

    Attributes:
        backend: Where.
        loss: How a feature map becomes a number.
        border: Cells that a layer's loss leaves out on each side.
        sources: Of guides and directions; None where there are none.
    """

    backend: Backend
    loss: Loss
    border: int
    sources: Sources | None = None


def _always(_: Loss) -> bool:
    return True


def _never(_: Loss) -> bool:
    return False


def _no_first(_: Context) -> None:
    return None


@dataclass(frozen=True)
class Goal:
    """A term of an objective, resolved on a network.

    A goal is local where its value is a sum over cells: then `make`'s function returns
    what a tile's own cells add to it.

    Attributes:
        weight: Of its value in the sum.
        make: Makes the function of what is seen.
        nodes: The nodes whose feature maps it looks at.
        bordered: Whether it leaves out the border, so that cells must be inside of it.
        needs_original: Whether it looks at the photo.
        needs_reference: Whether it looks at the features of the photo.
        is_static: Whether it must see sizes as numbers, as functions of one's own may.
        averaged: Whether only the mean over all positions of its node counts.
        is_local: Tells whether it is, with the recipe's loss.
        cell: Returns the only cell (row, column) that it looks at in a map of a size;
            None where it looks at all.
        make_first: Makes the function of what a tile adds to what is needed of all
            cells before; None where the loss needs nothing.
    """

    weight: float
    make: Callable[[Context], Value] = field(compare=False)
    nodes: tuple[str, ...] = ()
    bordered: bool = False
    needs_original: bool = False
    needs_reference: bool = False
    is_static: bool = False
    averaged: bool = False
    is_local: Callable[[Loss], bool] = field(default=_never, compare=False)
    cell: Callable[[Size], Size] | None = field(default=None, compare=False)
    make_first: Callable[[Context], Value | None] = field(
        default=_no_first, compare=False
    )


def resolve(graph: Graph, objective: NetworkObjective) -> tuple[Goal, ...]:
    """Returns the terms of an objective on a network; no file is read for that.

    Raises:
        ObjectiveError: If the network lacks a layer, a channel or a class, or a
            function of one's own is known by its name only.
    """
    return tuple(
        RESOLVERS[type(term.target)](graph, term.weight, term.target)
        for term in objective.terms
    )


# -- kinds of targets -----------------------------------------------------------------
def _layer(graph: Graph, weight: float, target: Layer) -> Goal:
    node = graph.node_of(target.layer)
    if target.channels:
        _check_channel(graph, node, target.name, target.channels.last)
    parts = (node, tuple(target.channels))
    return Goal(
        weight,
        partial(layer_loss, *parts),
        (node,),
        bordered=True,
        is_local=lambda loss: isinstance(loss, LocalLoss),
        make_first=partial(first_of_layer, *parts),
    )


def _class(graph: Graph, weight: float, target: Class) -> Goal:
    number, node = graph.class_number(target.name), str(graph.classifier)
    # A class score has no border: the mean over all positions is its definition.
    make = partial(class_score, node, number)
    return Goal(weight, make, (node,), averaged=True, is_local=_always)


def _neuron(graph: Graph, weight: float, target: Neuron) -> Goal:
    node = graph.node_of(target.layer)
    _check_channel(graph, node, target.layer, target.channel)
    place = (target.y, target.x)
    make = partial(neuron, node, target.channel, place)
    cell = partial(cell_at, place)
    return Goal(weight, make, (node,), is_local=_always, cell=cell)


def _direction(graph: Graph, weight: float, target: Direction) -> Goal:
    node = graph.node_of(target.layer)
    count = graph.channels()[node]

    def make(context: Context) -> Value:
        vector = _sources(context).vector(target.file)
        if vector.shape != (count,):
            raise ObjectiveError(
                f"A direction of {target.layer} must have {count} numbers, one for "
                "each channel",
                received=f"an array of shape {vector.shape} in {target.file.name}",
                hint="save it with numpy.save, as an array of one axis",
            )
        return direction(node, vector, context)

    return Goal(weight, make, (node,), bordered=True, is_local=_always)


def _caricature(graph: Graph, weight: float, target: Caricature) -> Goal:
    node = graph.node_of(target.layer)
    make = partial(caricature, node)
    return Goal(
        weight,
        make,
        (node,),
        bordered=True,
        needs_reference=True,
        is_local=_always,
    )


def _guide(graph: Graph, weight: float, target: Guide) -> Goal:
    node = graph.node_of(target.layer)
    compare = {"dot": best_match, "gram": gram_distance}[target.statistics]

    def make(context: Context) -> Value:
        return compare(node, _sources(context).guide(target.file, node), context)

    return Goal(
        weight,
        make,
        (node,),
        bordered=True,
        # The best match is each cell's own; Gram matrices are of all cells.
        is_local=lambda _: target.statistics == "dot",
    )


def _penalty(graph: Graph, weight: float, target: Penalty) -> Goal:
    needs_original = PENALTIES[target.name].needs_original
    make = partial(penalty, target.name)
    return Goal(weight, make, needs_original=needs_original)


def _custom(graph: Graph, weight: float, target: Custom) -> Goal:
    if target.function is None:
        raise ObjectiveError(
            "An objective of your own must be passed from Python, as its function",
            received=target.text,
            hint="run the code that has `@keras_dream.objective`, and pass what it "
            "makes",
        )
    nodes = tuple(map(graph.node_of, target.layers))
    make = partial(custom, target.name, target.function, nodes)
    return Goal(weight, make, nodes, is_static=True)


RESOLVERS: Mapping[type[Target], Callable[[Graph, float, Any], Goal]] = {
    Layer: _layer,
    Class: _class,
    Neuron: _neuron,
    Direction: _direction,
    Caricature: _caricature,
    Guide: _guide,
    Penalty: _penalty,
    Custom: _custom,
}
"""How every kind of target becomes a goal."""


def _check_channel(graph: Graph, node: str, layer: str, channel: int) -> None:
    count = graph.channels()[node]
    if channel >= count:
        raise ObjectiveError(
            f"A channel of {layer} must be a number from 0 to {count - 1}",
            received=str(channel),
            hint="see `dream layers NETWORK`",
        )


def _sources(context: Context) -> Sources:
    if context.sources is None:
        raise ObjectiveError(
            "Guides and directions must have their files",
            received="none",
            hint="dream with a Dreamer",
        )
    return context.sources


# -- what is computed -----------------------------------------------------------------
def layer_loss(node: str, channels: tuple[int, ...], context: Context) -> Value:
    """Returns the recipe's loss of a layer, or of some of its channels."""
    backend, loss, border = context.backend, context.loss, context.border

    def value(seen: Seen) -> Array:
        features = _gathered(backend, seen, node, channels)
        if isinstance(loss, LocalLoss):
            return loss.share(backend, features, seen.extent(backend, node, border))
        return loss(backend, features, border)

    return value


def first_of_layer(
    node: str, channels: tuple[int, ...], context: Context
) -> Value | None:
    """Returns what the recipe's loss needs of all cells before, or None."""
    backend, loss, border = context.backend, context.loss, context.border
    if not (isinstance(loss, LocalLoss) and loss.needs_first):
        return None

    def value(seen: Seen) -> Array:
        features = _gathered(backend, seen, node, channels)
        return loss.first(backend, features, seen.extent(backend, node, border))

    return value


def _gathered(
    backend: Backend, seen: Seen, node: str, channels: tuple[int, ...]
) -> Array:
    features = seen.features[node]
    return backend.gather(features, channels) if channels else features


def class_score(node: str, number: int, context: Context) -> Value:
    """Returns a class' score, averaged over all positions: its definition here."""
    backend = context.backend

    def value(seen: Seen) -> Array:
        score = backend.gather(seen.features[node], (number,))
        return seen.extent(backend, node, 0).mean(score)

    return value


def neuron(
    node: str, channel: int, place: tuple[float, float], context: Context
) -> Value:
    """Returns the activation of one cell of a channel.

    The cell at half of the height and width, rounded down, is the one that Lucid's
    `neuron` takes. In every octave it is the cell that holds the place of the picture
    that the network sees.

    Args:
        node: The layer's node.
        channel: The channel's number.
        place: (down, across), each from 0 to 1.
        context: What it is computed with.
    """
    backend = context.backend

    def value(seen: Seen) -> Array:
        features = backend.gather(seen.features[node], (channel,))
        if node in seen.places:  # its only cell
            return backend.sum(features)
        height, width = size = backend.size(features)
        row, column = cell_at(place, size)
        edges = (row, height - row - 1, column, width - column - 1)
        return backend.sum(backend.crop(features, edges))

    return value


def cell_at(place: tuple[float, float], size: tuple[Any, Any]) -> tuple[Any, Any]:
    """Returns the cell (row, column) at a place, (down, across) from 0 to 1.

    Args:
        place: The place.
        size: (height, width) of the map in cells: numbers, or traced whole scalars.
    """
    # Whole numbers, because sizes may be traced; below 1, for the last cell at most.
    down, across = (min(int(part * 10_000 + 0.5), 9_999) for part in place)
    return size[0] * down // 10_000, size[1] * across // 10_000


def direction(node: str, vector: np.ndarray, context: Context) -> Value:
    """Returns the mean dot product of the cells with a vector.

    Source: Lucid's `direction` with its default, `cossim_pow=0`.
    """
    backend = context.backend
    held = backend.array(vector)

    def value(seen: Seen) -> Array:
        extent = seen.extent(backend, node, context.border)
        features = extent.inside(seen.features[node])
        return extent.mean(backend.dot(features, held))

    return value


def caricature(node: str, context: Context) -> Value:
    """Returns how far the features go in the direction of the original's.

    The mean over cells, and over channels, of the dot product times the cosine. Source:
    Lucid's `_dot_cossim` with a power of 1, the one of its caricatures
    (`lucid.recipes.caricature`), where an `epsilon` is not for the root.
    """
    backend = context.backend

    def length(x: Array) -> Array:
        return backend.power(backend.add(backend.dot(x, x), EPSILON), 0.5)

    def value(seen: Seen) -> Array:
        extent = seen.extent(backend, node, context.border)
        features = extent.inside(seen.features[node])
        reference = extent.inside(seen.reference[node])
        product = backend.dot(features, reference)
        lengths = backend.multiply(length(features), length(reference))
        cosine = backend.maximum(backend.divide(product, lengths), COSINE_FLOOR)
        mean = extent.mean(backend.multiply(product, cosine))
        return backend.divide(mean, backend.channels(features))

    return value


def best_match(node: str, guide: np.ndarray, context: Context) -> Value:
    """Returns how well each cell of a layer matches the cell of a guide most like it.

    The mean over cells, and over channels, of the largest dot product with a cell of
    the guide: its gradient is, for each cell, the guide's cell that matches best, which
    google/deepdream sets by hand (2015, `objective_guide`).

    Args:
        node: The layer's node.
        guide: Its feature map, float32 (h, w, channels).
        context: What it is computed with.
    """
    backend = context.backend
    stride = math.ceil(math.sqrt(guide.shape[0] * guide.shape[1] / MOST_CELLS))
    cells = guide[::stride, ::stride].reshape(-1, guide.shape[2])
    blocks = [
        backend.array(cells[first : first + BLOCK].T)
        for first in range(0, len(cells), BLOCK)
    ]

    def value(seen: Seen) -> Array:
        extent = seen.extent(backend, node, context.border)
        features = extent.inside(seen.features[node])
        best: Any = None
        for block in blocks:
            match = backend.channel_max(backend.matmul(features, block))
            best = match if best is None else backend.maximum(best, match)
        return backend.multiply(extent.mean(best), 1 / guide.shape[2])

    return value


def gram_distance(node: str, guide: np.ndarray, context: Context) -> Value:
    """Returns how unlike a guide's the statistics of a layer are, as a negative number.

    The squared distance of the Gram matrices, the means over all cells of the products
    of channels (Gatys, Ecker and Bethge, 2016), over the sum of their squares: 0 where
    they are equal, and never more than 1, since two Gram matrices have no negative
    product. So a negative weight, which asks for other statistics than the guide's,
    has a bound. In the unit of the layer's mean square in the guide, so that weights
    mean about the same as those of other terms on the layer.

    Args:
        node: The layer's node.
        guide: Its feature map, float32 (h, w, channels).
        context: What it is computed with.
    """
    backend = context.backend
    cells = guide.reshape(-1, guide.shape[2]).astype(np.float64)
    gram = cells.T @ cells / len(cells)
    scale, square = float(np.square(cells).mean()), float(np.square(gram).sum())
    target = backend.array(gram)

    def value(seen: Seen) -> Array:
        extent = seen.extent(backend, node, context.border)
        own = backend.gram(extent.inside(seen.features[node]))
        distance = backend.sum(backend.square(backend.subtract(own, target)))
        total = backend.add(backend.sum(backend.square(own)), square + EPSILON)
        return backend.multiply(backend.divide(distance, total), -scale)

    return value


def penalty(name: str, context: Context) -> Value:
    """Returns a penalty of the image itself; its weight is usually negative."""
    function, backend = PENALTIES[name].function, context.backend
    return lambda seen: function(backend, seen.image, seen.original)


def custom(
    name: str,
    function: Callable[..., Any],
    nodes: tuple[str, ...],
    context: Context,
) -> Value:
    """Returns what a function of one's own makes of feature maps, as Keras tensors.

    Args:
        name: Its name, for messages.
        function: Takes (1, h, w, channels) for each node, or the image as it stands
            where there are none; returns a scalar.
        nodes: The nodes.
        context: What it is computed with; Keras must run on the same backend.
    """
    backend = context.backend

    def value(seen: Seen) -> Array:
        maps = [seen.features[node] for node in nodes] or [seen.image]
        result = function(*map(backend.to_keras, maps))
        shape = tuple(getattr(result, "shape", (0,)))
        if shape != ():
            raise ObjectiveError(
                "An objective of your own must return a scalar tensor",
                received=f"{type(result).__name__} of shape {shape} from {name}",
                hint="end with keras.ops.mean",
            )
        return backend.sum(result)

    return value
