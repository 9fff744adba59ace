"""Explaining: which layers and channels respond most to a picture, and where."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_dream.dreamer.dreamer import Dreamer
from keras_dream.dreamer.responses import Response
from keras_dream.errors import PictureError, SettingError
from keras_dream.explanations.explanation import (
    ChannelSeen,
    ClassSeen,
    Explanation,
    LayerSeen,
)
from keras_dream.geometry import Size
from keras_dream.graph.graph import Graph
from keras_dream.graph.layers import Facts, chief_layers, facts, matching
from keras_dream.graph.passes import truncate
from keras_dream.graph.positions import Positions, positions
from keras_dream.pictures.picture import as_picture
from keras_dream.recipe.objectives import Layer

if TYPE_CHECKING:
    from keras_dream.dreamer.dreamer import Photo

MOST_LAYERS = 12  # that are shown where nobody named any: a page that one can read
MOST_CLASSES = 5
MOST_CHANNELS = 64  # of a layer


def explain(
    photo: "Photo",
    network: Any = "motif",
    *,
    layers: Sequence[str] = (),
    top: int = 6,
    **options: Any,
) -> Explanation:
    """Tells which layers and channels respond most to a picture, and where.

    Args:
        photo: As for `Dreamer.steps`.
        network: A name or a `keras.Model`, as for `Dreamer`; or a `Dreamer`, whose
            first network is meant.
        layers: Patterns of layer names: "mixed4", "mixed*"; none for the chief ones.
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
    if not 1 <= top <= MOST_CHANNELS:
        raise SettingError(
            f"`top` must be a whole number from 1 to {MOST_CHANNELS}",
            received=str(top),
            hint="try 6",
        )
    picture = as_picture(photo)
    dreamer = _dreamer(network, options)
    responses = dreamer.responses()
    seen = responses.seen(picture.pixels)
    size = (picture.pixels.shape[0], picture.pixels.shape[1])
    small = (seen.shape[0], seen.shape[1])
    nodes, notices = _chosen(dreamer.graph, layers, small)
    where = positions(truncate(dreamer.graph, frozenset(nodes)), *small)
    described = facts(dreamer.graph, nodes)
    made = [
        _layer(response, fact, where[response.node], size, small, top)
        for response, fact in zip(responses.of(seen, nodes), described, strict=True)
    ]
    return Explanation(
        network=dreamer.network,
        weights_sha256=dreamer.record(picture).weights_sha256,
        picture=picture,
        seen=seen,
        layers=tuple(_with_classes(layer, dreamer.graph.classes) for layer in made),
        classes=_classes(dreamer, seen),
        notices=tuple(notices),
    )


def _dreamer(network: Any, options: dict[str, Any]) -> Dreamer:
    """Returns the dreamer that was given, or one that is made for this."""
    if not isinstance(network, Dreamer):
        return Dreamer(network, **options)
    if options:
        raise SettingError(
            "A dreamer must be made with its own options",
            received=", ".join(options),
            hint="give them to Dreamer(...), or a network's name to explain",
        )
    return network


def _chosen(
    graph: Graph, patterns: Sequence[str], size: tuple[int, int]
) -> tuple[list[str], list[str]]:
    """Returns the nodes to be looked at, and notices on those that are not."""
    if patterns:
        nodes = list(matching(graph, patterns, chief_first=True))
    else:
        nodes = _usual(graph)
    described = dict(zip(nodes, facts(graph, nodes), strict=True))
    fits = [node for node in nodes if described[node].smallest <= min(size)]
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
    if not patterns and len(fits) > MOST_LAYERS:
        notices.append(
            f"{MOST_LAYERS} layers of {len(fits)} are shown; name others to see them."
        )
        kept = np.linspace(0, len(fits) - 1, MOST_LAYERS).round().astype(int)
        fits = [fits[place] for place in kept]
    return fits, notices


def _usual(graph: Graph) -> list[str]:
    """Returns the chief layers that have something of their own to show, and where."""
    chief = chief_layers(graph)
    fields = graph.receptive_fields()
    ops = {node.name: node.op for node in graph.nodes}
    bounded = [node for node in chief if np.isfinite(fields[node].stride)]
    # A pool shows the channels of the layer before it once more.
    return [node for node in bounded if "pool" not in ops[node]] or list(chief)


def _with_classes(layer: LayerSeen, classes: Sequence[str]) -> LayerSeen:
    """Returns a layer whose channels are named, if it has one for each class."""
    if len(classes) != layer.facts.channels:
        return layer
    named = (replace(c, named=classes[c.channel]) for c in layer.channels)
    return replace(layer, channels=tuple(named))


def _layer(
    response: Response, fact: Facts, where: Positions, size: Size, seen: Size, top: int
) -> LayerSeen:
    """Returns a layer with its strongest channels.

    Args:
        response: How it responds.
        fact: What it is.
        where: Where its cells lie on the picture that was seen.
        size: (height, width) of the photo.
        seen: (height, width) of that picture.
        top: How many channels.
    """
    found = response.strongest(top)

    def peak(number: int) -> tuple[int, int]:
        down, across = (
            min(max(int(axis.at(cell) * whole / length), 0), whole - 1)
            for cell, axis, whole, length in zip(
                response.peak(number), where, size, seen, strict=True
            )
        )
        return down, across

    return LayerSeen(
        facts=fact,
        cells=(response.maps.shape[0], response.maps.shape[1]),
        channels=tuple(
            ChannelSeen(
                layer=fact.layer,
                channel=number,
                score=float(response.scores[number]),
                peak=peak(number),
                share=response.share(number),
                objective=Layer.named(fact.layer, (number,)).text,
            )
            for number in found
        ),
        heat=response.maps[..., list(found)],
        places=where,
        seen=seen,
        objective=Layer.named(fact.layer, strongest=len(found)).text,
    )


def _classes(dreamer: Dreamer, seen: np.ndarray) -> tuple[ClassSeen, ...]:
    """Returns the classes of the highest scores."""
    graph = dreamer.graph
    node = graph.classifier
    if node is None:
        return ()
    if truncate(graph, frozenset({node})).smallest() > min(seen.shape[:2]):
        return ()
    (maps,) = dreamer.responses().maps(seen, [node])
    scores = maps.mean(axis=(0, 1), dtype=np.float64)
    chances = np.exp(scores - scores.max())
    chances /= chances.sum()
    best = np.argsort(-scores, kind="stable")[:MOST_CLASSES].tolist()
    return tuple(
        ClassSeen(
            name=graph.classes[number] if graph.classes else str(number),
            number=number,
            score=float(scores[number]),
            probability=float(chances[number]),
        )
        for number in best
    )
