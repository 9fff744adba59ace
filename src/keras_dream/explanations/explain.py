"""Explanations: which layers and channels respond most to a picture, and where."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_dream.dreamer.dreamer import Dreamer
from keras_dream.dreamer.responses import BASELINE, Response
from keras_dream.errors import PictureError, SettingError, naming_network
from keras_dream.explanations.page import draw_page
from keras_dream.geometry import Size
from keras_dream.graph.graph import Graph
from keras_dream.graph.layers import Facts, chief_layers, facts, matching
from keras_dream.graph.passes import truncate
from keras_dream.graph.positions import Positions, positions
from keras_dream.pictures.decoding import to_float
from keras_dream.pictures.drawing import interpolate
from keras_dream.pictures.encoding import save_picture
from keras_dream.pictures.picture import Picture, as_picture
from keras_dream.recipe.targets import Class, Layer

if TYPE_CHECKING:
    from keras_dream.dreamer.dreamer import Photo

MAX_LAYERS = 12  # that are shown by default, so that the page stays readable
MAX_CLASSES = 5
MAX_CHANNELS = 64  # of a layer


def _labelled(size: Sequence[int]) -> dict[str, int]:
    """Returns a size, whose height comes first, as JSON types."""
    return {"width": size[1], "height": size[0]}


@dataclass(frozen=True)
class ChannelResponse:
    """A channel that responds to the picture.

    Attributes:
        layer: The layer's name.
        channel: Its number.
        score: Its mean z-score where it responds most;
            `keras_dream.dreamer.responses` has the definition.
        peak: Where it responds most: (down, across) in pixels of the photo.
        area: The fraction of the picture with a high z-score, from 0 to 1.
        objective: The text that dreams it.
        class_name: Its class, in a layer with a channel for each class.
    """

    layer: str
    channel: int
    score: float
    peak: tuple[int, int]
    area: float
    objective: str
    class_name: str | None = None

    @property
    def title(self) -> str:
        """The objective, and the class where the channel has one."""
        name = self.class_name
        return f"{self.objective} ({name})" if name else self.objective

    def data(self) -> dict[str, Any]:
        """Returns the channel as JSON types."""
        down, across = self.peak
        return {
            "layer": self.layer,
            "channel": self.channel,
            "score": round(self.score, 3),
            "peak": {"x": across, "y": down},
            "area": round(self.area, 4),
            "objective": self.objective,
            **({"class": self.class_name} if self.class_name else {}),
        }


@dataclass(frozen=True, eq=False)
class LayerResponse:
    """A layer and those of its channels that respond most.

    Attributes:
        facts: What the layer is.
        map_size: (height, width) of its feature map.
        channels: The channels, the strongest first.
        heat: float32 (height, width, channels): z-scores of these channels.
        positions: Where its cells lie on the picture as it was measured.
        measured_size: (height, width) of that picture.
        objective: The text that dreams these channels together.
    """

    facts: Facts
    map_size: tuple[int, int]
    channels: tuple[ChannelResponse, ...]
    heat: np.ndarray
    positions: Positions
    measured_size: tuple[int, int]
    objective: str

    def data(self) -> dict[str, Any]:
        """Returns the layer as JSON types."""
        return {
            "layer": self.facts.layer,
            "kind": self.facts.kind,
            "channels": self.facts.channels,
            "map_size": _labelled(self.map_size),
            "objective": self.objective,
            "strongest": [channel.data() for channel in self.channels],
        }

    def heat_over(self, number: int, size: tuple[int, int]) -> np.ndarray:
        """Returns the z-scores of one of `channels`, interpolated to a picture's size.

        Args:
            number: Its index in `channels`.
            size: (height, width) in pixels of the picture.

        Returns:
            float32 (height, width).
        """
        down, across = (
            ((np.arange(n) + 0.5) * (length / n) - axis.first) / axis.step
            for n, length, axis in zip(
                size, self.measured_size, self.positions, strict=True
            )
        )
        return interpolate(self.heat[..., number], down, across)


@dataclass(frozen=True)
class ClassScore:
    """A class with its score, averaged over all positions.

    Attributes:
        name: Its name, or its index where the network has no names.
        index: Its index.
        logit: Its score before the softmax.
        probability: Its score after the softmax over all classes.
    """

    name: str
    index: int
    logit: float
    probability: float

    def data(self) -> dict[str, Any]:
        """Returns the class as JSON types."""
        return {
            "class": self.name,
            "index": self.index,
            "logit": round(self.logit, 3),
            "probability": round(self.probability, 4),
            "objective": Class(self.name).text,
        }


@dataclass(frozen=True, eq=False)
class Explanation:
    """What a network sees in a picture.

    Attributes:
        network: The network's name.
        weights_sha256: Of its weights.
        picture: The photo.
        measured: float32 (height, width, 3): the photo as it was measured, reduced if
            it was large.
        layers: The layers, from the first to the deepest.
        classes: The classes of the highest scores; empty without a classifier.
        notices: What the user should know, such as layers that were left out.
    """

    network: str
    weights_sha256: str
    picture: Picture
    measured: np.ndarray
    layers: tuple[LayerResponse, ...]
    classes: tuple[ClassScore, ...]
    notices: tuple[str, ...] = ()

    def strongest(self, count: int = 10) -> tuple[ChannelResponse, ...]:
        """Returns the strongest channels of all layers, the strongest first."""
        channels = [channel for layer in self.layers for channel in layer.channels]
        return tuple(sorted(channels, key=lambda channel: -channel.score)[:count])

    def data(self) -> dict[str, Any]:
        """Returns the explanation as JSON types; docs/seeing-inside.md has the form."""
        height, width = self.picture.pixels.shape[:2]
        return {
            "explanation": 1,
            "photo": self.picture.name,
            "photo_sha256": self.picture.sha256,
            "size": {"width": width, "height": height},
            "measured_size": _labelled(self.measured.shape),
            "network": self.network,
            "weights_sha256": self.weights_sha256,
            "baseline": list(BASELINE),
            "classes": [score.data() for score in self.classes],
            "strongest": [channel.data() for channel in self.strongest()],
            "layers": [layer.data() for layer in self.layers],
            "notices": list(self.notices),
        }

    def image(self) -> np.ndarray:
        """Returns a page of heat maps, float32 (height, width, 3) in [0, 1]."""
        return to_float(draw_page(self))

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes the page atomically.

        Args:
            path: A .png, .jpg, .webp, .tif or .exr file.

        Returns:
            The path.

        Raises:
            OutputError: If the path or the suffix cannot be used.
            SaveError: If writing fails.
        """
        save_picture(path, self.image())
        return Path(path)


def explain(
    photo: "Photo",
    network: Any = "motif",
    *,
    layers: Sequence[str] = (),
    top: int = 6,
    **options: Any,
) -> Explanation:
    """Measures which layers and channels respond most to a picture, and where.

    Args:
        photo: As for `Dreamer.steps`.
        network: A name or a `keras.Model`, as for `Dreamer`; or a `Dreamer`, of which
            the first network is explained.
        layers: Patterns of layer names: "mixed4", "mixed*"; without any, the ends of
            the network's blocks.
        top: How many channels of each layer, from 1 to 64.
        **options: The other arguments of `Dreamer`, such as `weights`, `run`, or
            `classifier=True` for the class scores of a network that publishes its
            classifier in a file of its own; none beside a `Dreamer`.

    Returns:
        The explanation; `explain(...).save("seen.png")` draws it.

    Raises:
        PictureError: If the photo cannot be read or is too small for every layer.
        ObjectiveError: If a pattern matches no layer.
        SettingError: If `top` is out of range, or options come with a `Dreamer`.
        DreamError: As for `Dreamer`.
    """
    _check_top(top)
    picture = as_picture(photo, limits=options.get("limits"))
    dreamer = _dreamer(network, options)
    responses = dreamer.responses()
    measured = responses.reduce(picture.pixels)
    size = (picture.pixels.shape[0], picture.pixels.shape[1])
    measured_size = (measured.shape[0], measured.shape[1])
    nodes, notices = _choose(dreamer, layers, measured_size)
    where = positions(truncate(dreamer.graph, frozenset(nodes)), *measured_size)
    described = zip(
        responses.measure(measured, nodes), facts(dreamer.graph, nodes), strict=True
    )
    classes = _classes(dreamer, measured)
    strongest = [
        _layer(response, fact, where[response.node], size, measured_size, top)
        for response, fact in described
    ]
    return Explanation(
        network=dreamer.network,
        weights_sha256=dreamer.record(picture).weights_sha256,
        picture=picture,
        measured=measured,
        layers=tuple(_with_classes(la, dreamer.graph.classes) for la in strongest),
        classes=classes,
        notices=(*notices, *_doubts(dreamer.network, classes)),
    )


def _check_top(top: int) -> None:
    if not 1 <= top <= MAX_CHANNELS:
        raise SettingError(
            f"`top` must be a whole number from 1 to {MAX_CHANNELS}",
            received=str(top),
            hint="try 6",
        )


def _dreamer(network: Any, options: dict[str, Any]) -> Dreamer:
    """Returns a dreamer of the network, which may be one itself."""
    if not isinstance(network, Dreamer):
        return Dreamer(network, **options)
    if options:
        raise SettingError(
            "A dreamer must be made with its own options",
            received=", ".join(options),
            hint="pass them to Dreamer(...), or a network's name to explain",
        )
    return network


def _choose(
    dreamer: Dreamer, patterns: Sequence[str], size: tuple[int, int]
) -> tuple[list[str], list[str]]:
    """Returns the nodes to measure, and notices on those that are left out."""
    graph = dreamer.graph
    if patterns:
        with naming_network(dreamer.network):
            nodes = list(matching(graph, patterns, chief_first=True))
    else:
        nodes = _default_nodes(graph)
    described = dict(zip(nodes, facts(graph, nodes), strict=True))
    fits = [
        node
        for node in nodes
        if truncate(graph, frozenset({node})).misfit(size) is None
    ]
    small = [described[node].layer for node in nodes if node not in fits]
    if not fits:
        least = min(fact.smallest for fact in described.values())
        raise PictureError(
            f"A picture must have sides of at least {least} pixels for these layers",
            received=f"{size[1]} × {size[0]} pixels",
            hint="try a larger picture or an earlier layer",
        )
    notices = []
    if small:
        notices.append(f"The picture is too small for {', '.join(small)}.")
    if not patterns and len(fits) > MAX_LAYERS:
        notices.append(
            f"{MAX_LAYERS} layers of {len(fits)} are shown; name others to see them."
        )
        indices = np.linspace(0, len(fits) - 1, MAX_LAYERS).round().astype(int)
        fits = [fits[index] for index in indices]
    return fits, notices


def _default_nodes(graph: Graph) -> list[str]:
    """Returns the chief layers, without pools and without what has no position."""
    chief = chief_layers(graph)
    fields = graph.receptive_fields()
    ops = {node.name: node.op for node in graph.nodes}
    bounded = [node for node in chief if np.isfinite(fields[node].stride)]
    # A pool has the channels of the layer before it.
    return [node for node in bounded if "pool" not in ops[node]] or list(chief)


def _with_classes(layer: LayerResponse, classes: Sequence[str]) -> LayerResponse:
    """Returns a layer with class names, if it has a channel for each class."""
    if len(classes) != layer.facts.channels:
        return layer
    named = (replace(c, class_name=classes[c.channel]) for c in layer.channels)
    return replace(layer, channels=tuple(named))


def _layer(
    response: Response,
    fact: Facts,
    where: Positions,
    size: Size,
    measured_size: Size,
    top: int,
) -> LayerResponse:
    """Returns a layer with its strongest channels.

    Args:
        response: How it responds.
        fact: What it is.
        where: Where its cells lie on the measured picture.
        size: (height, width) of the photo.
        measured_size: (height, width) of the measured picture.
        top: How many channels.
    """
    strongest = response.strongest(top)

    def peak(channel: int) -> tuple[int, int]:
        down, across = (
            min(max(int(axis.at(cell) * whole / length), 0), whole - 1)
            for cell, axis, whole, length in zip(
                response.peak(channel), where, size, measured_size, strict=True
            )
        )
        return down, across

    return LayerResponse(
        facts=fact,
        map_size=(response.z_scores.shape[0], response.z_scores.shape[1]),
        channels=tuple(
            ChannelResponse(
                layer=fact.layer,
                channel=channel,
                score=float(response.scores[channel]),
                peak=peak(channel),
                area=response.area(channel),
                objective=Layer.named(fact.layer, channels=(channel,)).text,
            )
            for channel in strongest
        ),
        heat=response.z_scores[..., list(strongest)],
        positions=where,
        measured_size=measured_size,
        objective=Layer.named(fact.layer, strongest=len(strongest)).text,
    )


_NONE_OF_THEM = "background"  # a class that stands for the lack of every other one


def _doubts(network: str, classes: Sequence[ClassScore]) -> Iterator[str]:
    """Yields a notice where a network recognises none of its classes."""
    if not classes or classes[0].name != _NONE_OF_THEM:
        return
    share = f"{100 * classes[0].probability:.0f} %"
    text = f"{network} recognises none of its classes: {share} background"
    if network == "motif":
        text += "; it has learned them from drawings, so that channels say more here"
    yield f"{text}."


def _classes(dreamer: Dreamer, measured: np.ndarray) -> tuple[ClassScore, ...]:
    """Returns the classes of the highest scores."""
    graph = dreamer.graph
    node = graph.classifier
    if node is None:
        return ()
    size = (measured.shape[0], measured.shape[1])
    if truncate(graph, frozenset({node})).misfit(size) is not None:
        return ()
    (feature_map,) = dreamer.responses().feature_maps(measured, [node])
    logits = feature_map.mean(axis=(0, 1), dtype=np.float64)
    probabilities = np.exp(logits - logits.max())
    probabilities /= probabilities.sum()
    best = np.argsort(-logits, kind="stable")[:MAX_CLASSES].tolist()
    return tuple(
        ClassScore(
            name=graph.classes[index] if graph.classes else str(index),
            index=index,
            logit=float(logits[index]),
            probability=float(probabilities[index]),
        )
        for index in best
    )
