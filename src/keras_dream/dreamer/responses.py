"""Responses: how strongly a network's channels respond to a picture, and where.

A channel's activations mean nothing by themselves: one is always large, another never.
So they are told in standard deviations above what is usual for that channel, which is
what it does on `references`, a fixed set of pictures that show nothing:

    z = (activation - mean on the references) / deviation on the references

over all cells. A channel's score is the mean of z over the fiftieth of its cells that
respond most: the peak of one cell is chance, and the mean of all cells overlooks what
is small. So channels of one layer, and of different layers, can be compared.

Noise alone would not do as a reference: it has no edges and no plain surfaces, so that
in deep layers any photograph is hundreds of deviations from it, and the same channels
lead for all of them (measured with `motif`).
"""

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_dream.backend.protocol import Backend
from keras_dream.errors import NonFiniteError, ObjectiveError
from keras_dream.geometry import Size, taps
from keras_dream.graph.graph import Graph
from keras_dream.graph.passes import truncate
from keras_dream.graph.program import Program
from keras_dream.pictures.synthetic import leaves, noise
from keras_dream.recipe.objectives import Layer, Objective

REFERENCES = ("noise", "noise", "smooth noise", "smooth noise", *["leaves"] * 4)
REFERENCE_SIDE = 256
"""Pixels: 8 pictures of 256 × 256 give a layer of stride 32 about 500 cells, which tell
a deviation to 3 %, for the work of one picture of half a megapixel."""

MOST_PIXELS = 500_000
"""A larger picture is shrunk to this: networks learn from small ones, and the maps of a
VGG's first layers take 500 bytes a pixel."""

STRONGEST_SHARE = 0.02  # of the cells, whose mean is the score
LEAST_DEVIATION = 0.1
"""The least divisor, as a share of the layer's deviation: else the channels that no
reference wakes would lead every list."""

UNUSUAL = 2.0  # deviations; a normal distribution goes beyond in one cell of forty


@dataclass(frozen=True, eq=False)
class Response:
    """How one layer responds to a picture.

    Attributes:
        node: The layer's node.
        maps: float32 (height, width, channels): z of every cell, see above.
        scores: float64 (channels,): the score of every channel.
    """

    node: str
    maps: np.ndarray
    scores: np.ndarray

    def strongest(self, count: int) -> tuple[int, ...]:
        """Returns the channels of the highest scores, the highest first."""
        return tuple(np.argsort(-self.scores, kind="stable")[:count].tolist())

    def peak(self, channel: int) -> tuple[int, int]:
        """Returns the cell (down, across) that responds most."""
        heat = self.maps[..., channel]
        down, across = np.unravel_index(int(heat.argmax()), heat.shape)
        return int(down), int(across)

    def share(self, channel: int) -> float:
        """Returns the share of the cells that are unusually high, from 0 to 1."""
        return float((self.maps[..., channel] > UNUSUAL).mean())


class Responses:
    """Measures the responses of one network; remembers what is usual for it.

    Args:
        graph: The network, exact.
        backend: Where it runs.
    """

    def __init__(self, graph: Graph, backend: Backend):
        self._graph = graph
        self._backend = backend
        self._usual: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def seen(self, image: np.ndarray) -> np.ndarray:
        """Returns an image at the size at which it is looked at.

        Args:
            image: float32 (h, w, 3) in [0, 1].

        Returns:
            The same, or smaller where it has more than `MOST_PIXELS`.
        """
        size = (image.shape[0], image.shape[1])
        target = fitted(size)
        if target == size:
            return image
        rows, columns = (
            taps(n_in, n_out, "lanczos3")
            for n_in, n_out in zip(size, target, strict=True)
        )
        shrunk = self._backend.resample(self._backend.image(image), rows, columns)
        return self._backend.to_image(shrunk).clip(0, 1)

    def of(self, image: np.ndarray, nodes: Sequence[str]) -> Iterator[Response]:
        """Yields the response of each node, in their order.

        Args:
            image: float32 (h, w, 3) in [0, 1], at the size to be looked at.
            nodes: Names of nodes.

        Raises:
            NetworkError: If the image is too small for them.
            NonFiniteError: If an activation is infinite or not a number.
        """
        nodes = list(dict.fromkeys(nodes))
        self._learn([node for node in nodes if node not in self._usual])
        for node, found in zip(nodes, self.maps(image, nodes), strict=True):
            mean, deviation = self._usual[node]
            maps = (found - mean) / deviation
            cells = maps.reshape(-1, maps.shape[-1])
            count = max(1, math.ceil(STRONGEST_SHARE * len(cells)))
            top = np.partition(cells, len(cells) - count, axis=0)[-count:]
            yield Response(node, maps, top.mean(axis=0, dtype=np.float64))

    def strongest(
        self, image: np.ndarray, objective: Objective
    ) -> dict[str, tuple[int, ...]]:
        """Returns the channels that `strongest(n)` means for a picture.

        Args:
            image: float32 (h, w, 3) in [0, 1], at its own size.
            objective: Any.

        Returns:
            Channel numbers, the strongest first, by the text of their target.

        Raises:
            ObjectiveError: If the network lacks a layer, or the layer the channels.
            NetworkError, NonFiniteError: As for `of`.
        """
        check_strongest(self._graph, objective)
        nodes = {t.text: self._graph.node_of(t.layer) for t in objective.asked}
        if not nodes:
            return {}
        made = self.of(self.seen(image), list(nodes.values()))
        most = max(target.strongest or 0 for target in objective.asked)
        ranked = {response.node: response.strongest(most) for response in made}
        return {
            target.text: ranked[nodes[target.text]][: target.strongest]
            for target in objective.asked
        }

    def _learn(self, nodes: Sequence[str]) -> None:
        """Measures what is usual for nodes."""
        if not nodes:
            return
        graph = truncate(self._graph, frozenset(nodes))
        side = max(REFERENCE_SIDE, graph.smallest())
        sums: dict[str, list[Any]] = {node: [0, 0.0, 0.0] for node in nodes}
        for picture in references(side):
            for node, maps in zip(nodes, self.maps(picture, nodes), strict=True):
                cells = maps.reshape(-1, maps.shape[-1]).astype(np.float64)
                more = (len(cells), cells.sum(axis=0), np.square(cells).sum(axis=0))
                sums[node] = [a + b for a, b in zip(sums[node], more, strict=True)]
        for node, (count, total, squares) in sums.items():
            mean = total / count
            variance = np.maximum(squares / count - mean**2, 0)
            self._usual[node] = (
                mean.astype(np.float32),
                _divisor(variance).astype(np.float32),
            )

    def maps(self, image: np.ndarray, nodes: Sequence[str]) -> Iterator[np.ndarray]:
        """Yields the nodes' maps as they are, one at a time on the host.

        Args:
            image: float32 (h, w, 3) in [0, 1], at the size to be looked at.
            nodes: Names of nodes.

        Raises:
            NetworkError, NonFiniteError: As for `of`.
        """
        graph = truncate(self._graph, frozenset(nodes))
        plan = graph.plan(image.shape[0], image.shape[1])
        run = self._backend.function(Program(graph, nodes, self._backend))
        made = run(self._backend.image(image), plan.values)
        for node, held in zip(nodes, made, strict=True):
            if not self._backend.is_finite(held):
                raise NonFiniteError(
                    "A layer's activations must be finite",
                    received=f"infinities or not-a-numbers in {node}",
                    hint="try precision float32, or other weights",
                )
            yield self._backend.to_image(held)


@functools.lru_cache(maxsize=1)
def references(side: int) -> tuple[np.ndarray, ...]:
    """Returns the pictures that tell what is usual: they show nothing.

    Args:
        side: Of their squares, in pixels.

    Returns:
        float32 (side, side, 3) in [0, 1], one for each of `REFERENCES`; not to be
        written to.
    """
    made: list[np.ndarray] = []
    for seed, kind in enumerate(REFERENCES):
        if kind == "leaves":
            made.append(leaves(seed, (side, side)))
        else:
            steepness = 2.0 if kind == "smooth noise" else 1.0
            made.append(noise(seed, (side, side), steepness=steepness))
    return tuple(made)


def check_strongest(graph: Graph, objective: Objective) -> None:
    """Makes sure that a network has as many channels as `strongest(n)` asks for.

    Raises:
        ObjectiveError: If it has not, or lacks the layer.
    """
    channels = graph.channels() if objective.asked else {}
    for target in objective.asked:
        count = channels[graph.node_of(target.layer)]
        if (target.strongest or 0) > count:
            raise ObjectiveError(
                f"The strongest channels of {target.layer} must be at most {count}",
                received=target.text,
                hint=f"try {Layer.named(target.layer).text} for all of them",
            )


def fitted(size: Size) -> Size:
    """Returns the size at which a picture of `size` is looked at."""
    pixels = size[0] * size[1]
    if pixels <= MOST_PIXELS:
        return size
    scale = math.sqrt(MOST_PIXELS / pixels)
    return max(1, int(size[0] * scale)), max(1, int(size[1] * scale))


def _divisor(variance: np.ndarray) -> np.ndarray:
    """Returns what a layer's channels are divided by, never nothing."""
    least = LEAST_DEVIATION * math.sqrt(float(variance.mean()))
    found = np.maximum(np.sqrt(variance), least)
    # A layer that no reference moves is told in its own units.
    return np.where(found > 0, found, 1.0)
