"""Responses: how strongly a network's channels respond to a picture, and where.

Channels differ in the size of their activations, so each is normalised to z-scores by
its baseline, its mean and standard deviation over all cells on a fixed set of synthetic
pictures (`baseline_pictures`):

    z = (activation - baseline mean) / baseline deviation

A channel's score is the mean z-score of the fiftieth of its cells that respond most: a
single cell may be high by chance, and the mean of all cells misses small objects. So
channels of one layer, and of different layers, can be compared.

Noise alone is not enough for a baseline: it has no edges and no uniform surfaces, so
that in deep layers any photograph has z-scores of hundreds, and the same channels lead
for all of them (measured with `motif`).
"""

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_dream.backend.protocol import Backend
from keras_dream.dreamer.features import check_memory, feature_maps, reduced
from keras_dream.errors import NonFiniteError, ObjectiveError
from keras_dream.geometry import drawn
from keras_dream.graph.graph import Graph
from keras_dream.graph.passes import truncate
from keras_dream.pictures.synthetic import leaves, noise
from keras_dream.recipe.objectives import NetworkObjective
from keras_dream.recipe.targets import Layer

BASELINE = ("noise", "noise", "smooth noise", "smooth noise", *["leaves"] * 4)
BASELINE_SIDE = 256
"""Pixels: 8 pictures of 256 × 256 give a layer of stride 32 about 500 cells, which
estimate a deviation to 3 %, for the work of one picture of half a megapixel."""

MAX_PIXELS = 500_000
"""A larger picture is reduced to this: networks learn from small ones, and the feature
maps of a VGG's first layers take 500 bytes a pixel."""

STRONGEST_FRACTION = 0.02  # of the cells, whose mean is the score
MIN_DEVIATION = 0.1
"""The least divisor, as a fraction of the layer's deviation: without it, channels that
are silent on the baseline pictures would lead every list."""

HIGH_Z = 2.0  # exceeded by one cell of forty in a normal distribution


@dataclass(frozen=True, eq=False)
class Response:
    """How one layer responds to a picture.

    Attributes:
        node: The layer's node.
        z_scores: float32 (height, width, channels), of every cell.
        scores: float64 (channels,): the score of every channel.
    """

    node: str
    z_scores: np.ndarray
    scores: np.ndarray

    def strongest(self, count: int) -> tuple[int, ...]:
        """Returns the channels of the highest scores, the highest first."""
        return tuple(np.argsort(-self.scores, kind="stable")[:count].tolist())

    def peak(self, channel: int) -> tuple[int, int]:
        """Returns the cell (down, across) that responds most."""
        heat = self.z_scores[..., channel]
        down, across = np.unravel_index(int(heat.argmax()), heat.shape)
        return int(down), int(across)

    def area(self, channel: int) -> float:
        """Returns the fraction of the cells with a high z-score, from 0 to 1."""
        return float((self.z_scores[..., channel] > HIGH_Z).mean())


class Responses:
    """Measures the responses of one network; keeps its baselines.

    Args:
        graph: The network, exact.
        backend: Where it runs.
    """

    def __init__(self, graph: Graph, backend: Backend):
        self._graph = graph
        self._backend = backend
        self._baselines: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def reduce(self, image: np.ndarray) -> np.ndarray:
        """Returns an image at the size at which it is measured.

        Args:
            image: float32 (h, w, 3) in [0, 1].

        Returns:
            The same, or smaller where it has more than `MAX_PIXELS`.
        """
        return reduced(image, MAX_PIXELS, self._backend)

    def measure(self, image: np.ndarray, nodes: Sequence[str]) -> Iterator[Response]:
        """Yields the response of each node, in their order.

        Args:
            image: float32 (h, w, 3) in [0, 1], of any size that is wanted.
            nodes: Names of nodes.

        Raises:
            NetworkError: If the image is too small for them.
            NonFiniteError: If an activation is infinite or not a number.
        """
        nodes = list(dict.fromkeys(nodes))
        self._fit_baselines([node for node in nodes if node not in self._baselines])
        feature_maps = self.feature_maps(image, nodes)
        for node, feature_map in zip(nodes, feature_maps, strict=True):
            mean, deviation = self._baselines[node]
            z_scores = (feature_map - mean) / deviation
            cells = z_scores.reshape(-1, z_scores.shape[-1])
            count = max(1, math.ceil(STRONGEST_FRACTION * len(cells)))
            top = np.partition(cells, len(cells) - count, axis=0)[-count:]
            yield Response(node, z_scores, top.mean(axis=0, dtype=np.float64))

    def strongest(
        self, image: np.ndarray, objective: NetworkObjective, *, seed: int
    ) -> dict[str, tuple[int, ...]]:
        """Returns the channels that `strongest(n)` means for a picture.

        Args:
            image: float32 (h, w, 3) in [0, 1], at its own size.
            objective: Any.
            seed: The recipe's seed, by which `strongest(n, of=m)` draws.

        Returns:
            Channel numbers, the strongest first, by the text of their target.

        Raises:
            ObjectiveError: If the network lacks a layer, or the layer the channels.
            NetworkError, NonFiniteError: As for `measure`.
        """
        check_strongest(self._graph, objective)
        targets = objective.strongest_targets
        nodes = {t.text: self._graph.node_of(t.layer) for t in targets}
        if not nodes:
            return {}
        count = max(target.of or target.strongest or 0 for target in targets)
        ranked = {
            response.node: response.strongest(count)
            for response in self.measure(self.reduce(image), list(nodes.values()))
        }
        channels: dict[str, tuple[int, ...]] = {}
        for number, target in enumerate(targets):
            first, most = ranked[nodes[target.text]], target.strongest or 0
            places = range(most)
            if target.of is not None:
                places = drawn(most, of=target.of, seed=seed, number=number)
            channels[target.text] = tuple(first[place] for place in places)
        return channels

    def _fit_baselines(self, nodes: Sequence[str]) -> None:
        """Measures mean and deviation of nodes' channels on the baseline pictures."""
        if not nodes:
            return
        graph = truncate(self._graph, frozenset(nodes))
        side = graph.smallest(at_least=BASELINE_SIDE)
        check_memory(graph, (side, side), nodes, self._backend)
        sums: dict[str, list[Any]] = {node: [0, 0.0, 0.0] for node in nodes}
        for picture in baseline_pictures(side):
            feature_maps = self.feature_maps(picture, nodes)
            for node, feature_map in zip(nodes, feature_maps, strict=True):
                cells = feature_map.reshape(-1, feature_map.shape[-1]).astype(
                    np.float64
                )
                more = (len(cells), cells.sum(axis=0), np.square(cells).sum(axis=0))
                sums[node] = [a + b for a, b in zip(sums[node], more, strict=True)]
        for node, (count, total, squares) in sums.items():
            mean = total / count
            variance = np.maximum(squares / count - mean**2, 0)
            self._baselines[node] = (
                mean.astype(np.float32),
                _divisor(variance).astype(np.float32),
            )

    def feature_maps(
        self, image: np.ndarray, nodes: Sequence[str]
    ) -> Iterator[np.ndarray]:
        """Yields the nodes' feature maps as host arrays.

        Args:
            image: float32 (h, w, 3) in [0, 1], of any size that is wanted.
            nodes: Names of nodes.

        Raises:
            NetworkError, NonFiniteError: As for `measure`.
        """
        graph = truncate(self._graph, frozenset(nodes))
        arrays = feature_maps(graph, nodes, image, self._backend)
        for node, array in zip(nodes, arrays, strict=True):
            if not self._backend.is_finite(array):
                raise NonFiniteError(
                    "A layer's activations must be finite",
                    received=f"infinities or not-a-numbers in {node}",
                    hint="try precision float32, or other weights",
                )
            yield self._backend.to_image(array)


@functools.lru_cache(maxsize=1)
def baseline_pictures(side: int) -> tuple[np.ndarray, ...]:
    """Returns the pictures of the baseline, which show no objects.

    Args:
        side: Of their squares, in pixels.

    Returns:
        float32 (side, side, 3) in [0, 1], one for each of `BASELINE`; do
        not modify them.
    """
    pictures: list[np.ndarray] = []
    for seed, kind in enumerate(BASELINE):
        if kind == "leaves":
            pictures.append(leaves(seed, (side, side)))
        else:
            steepness = 2.0 if kind == "smooth noise" else 1.0
            pictures.append(noise(seed, (side, side), steepness=steepness))
    return tuple(pictures)


def check_strongest(graph: Graph, objective: NetworkObjective) -> None:
    """Checks that a network has as many channels as `strongest(n)` asks for.

    Raises:
        ObjectiveError: If it has fewer, or lacks the layer.
    """
    channels = graph.channels() if objective.strongest_targets else {}
    for target in objective.strongest_targets:
        count = channels[graph.node_of(target.layer)]
        if (target.of or target.strongest or 0) > count:
            raise ObjectiveError(
                f"The strongest channels of {target.layer} must be at most {count}",
                received=target.text,
                hint=f"try {Layer.named(target.layer).text} for all of them",
            )


def _divisor(variance: np.ndarray) -> np.ndarray:
    """Returns what a layer's channels are divided by, above 0."""
    least = MIN_DEVIATION * math.sqrt(float(variance.mean()))
    deviation = np.maximum(np.sqrt(variance), least)
    # A layer that is constant on the baseline pictures is only shifted.
    return np.where(deviation > 0, deviation, 1.0)
