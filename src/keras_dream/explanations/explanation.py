"""Explanations: what a network sees in a picture, as data and as a page to look at."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_dream.dreamer.responses import REFERENCES, UNUSUAL
from keras_dream.graph.layers import Facts
from keras_dream.graph.positions import Positions
from keras_dream.pictures.drawing import (
    Cell,
    Page,
    Row,
    drawn,
    fitting,
    heated,
    shrunk,
    spread,
)
from keras_dream.pictures.encoding import save_picture
from keras_dream.pictures.picture import Picture
from keras_dream.recipe.objectives import Class

CELL = (200, 210)  # (height, width) in pixels that a heat map may have
FIRST = (340, 480)  # and the photo above them
_BRIGHTEST = 1.4  # times a channel's score is the lightest heat

_LEGEND = (
    "Numbers are deviations above what is usual for a channel, which is what it does "
    "on pictures of noise and of discs, averaged over the fiftieth of the picture "
    "where it responds most; they can be compared from layer to layer. Heat is each "
    "channel's own: nothing at the usual, lightest where it responds most; the ring is "
    f"at its peak. Percents are the share of the picture above {UNUSUAL:g} deviations; "
    "behind them stands the peak, in pixels across and down."
)


@dataclass(frozen=True)
class ChannelSeen:
    """A channel that responds to the picture.

    Attributes:
        layer: The layer's name.
        channel: Its number.
        score: How strongly, in standard deviations above the usual;
            `keras_dream.dreamer.responses` has the definition.
        peak: Where most: (down, across) in pixels of the photo.
        share: The share of the picture that is unusually high, from 0 to 1.
        objective: The text that dreams it.
        named: The class that it stands for, in a layer with a channel for each class.
    """

    layer: str
    channel: int
    score: float
    peak: tuple[int, int]
    share: float
    objective: str
    named: str | None = None

    @property
    def title(self) -> str:
        """What to call it: its objective, and its class where it stands for one."""
        return f"{self.objective} ({self.named})" if self.named else self.objective

    def data(self) -> dict[str, Any]:
        """Returns the channel as JSON types."""
        down, across = self.peak
        return {
            "layer": self.layer,
            "channel": self.channel,
            "score": round(self.score, 3),
            "where": {"x": across, "y": down, "share": round(self.share, 4)},
            "objective": self.objective,
            **({"class": self.named} if self.named else {}),
        }


@dataclass(frozen=True, eq=False)
class LayerSeen:
    """A layer and those of its channels that respond most.

    Attributes:
        facts: What the layer is.
        cells: (height, width) of its map.
        channels: The channels, the strongest first.
        heat: float32 (height, width, channels): deviations above the usual, for these
            channels in this order.
        places: Where its cells lie on the picture as it was looked at.
        seen: (height, width) of that picture.
        objective: The text that dreams these channels together.
    """

    facts: Facts
    cells: tuple[int, int]
    channels: tuple[ChannelSeen, ...]
    heat: np.ndarray
    places: Positions
    seen: tuple[int, int]
    objective: str

    def data(self) -> dict[str, Any]:
        """Returns the layer as JSON types."""
        return {
            "layer": self.facts.layer,
            "kind": self.facts.kind,
            "channels": self.facts.channels,
            "cells": list(self.cells),
            "objective": self.objective,
            "strongest": [channel.data() for channel in self.channels],
        }

    def heat_over(self, number: int, size: tuple[int, int]) -> np.ndarray:
        """Returns the heat of one of `channels` over the whole picture.

        Args:
            number: Its place in `channels`.
            size: (height, width) in pixels of what is to be covered.

        Returns:
            float32 (height, width), in deviations above the usual.
        """
        down, across = (
            ((np.arange(n) + 0.5) * (length / n) - axis.first) / axis.step
            for n, length, axis in zip(size, self.seen, self.places, strict=True)
        )
        return spread(self.heat[..., number], down, across)


@dataclass(frozen=True)
class ClassSeen:
    """A class with its score, averaged over all positions.

    Attributes:
        name: Its name, or its number where the network has no names.
        number: Its number.
        score: Before the softmax.
        probability: Behind it, among all classes.
    """

    name: str
    number: int
    score: float
    probability: float

    def data(self) -> dict[str, Any]:
        """Returns the class as JSON types."""
        return {
            "class": self.name,
            "number": self.number,
            "score": round(self.score, 3),
            "probability": round(self.probability, 4),
            "objective": Class(self.name).text,
        }


@dataclass(frozen=True, eq=False)
class Explanation:
    """What a network sees in a picture.

    Attributes:
        network: The network's name.
        weights_sha256: Of its weights.
        picture: The photo as it was given.
        seen: float32 (height, width, 3): as it was looked at, smaller if it was huge.
        layers: The layers, from the first to the deepest.
        classes: The classes of the highest scores; empty without a classifier.
        notices: What a person should know, such as layers that were left out.
    """

    network: str
    weights_sha256: str
    picture: Picture
    seen: np.ndarray
    layers: tuple[LayerSeen, ...]
    classes: tuple[ClassSeen, ...]
    notices: tuple[str, ...] = ()

    def strongest(self, count: int = 10) -> tuple[ChannelSeen, ...]:
        """Returns the channels of all layers that respond most, the strongest first."""
        every = [channel for layer in self.layers for channel in layer.channels]
        return tuple(sorted(every, key=lambda channel: -channel.score)[:count])

    def data(self) -> dict[str, Any]:
        """Returns the explanation as JSON types; docs/seeing-inside.md has the form."""
        height, width = self.picture.pixels.shape[:2]
        return {
            "explanation": 1,
            "photo": self.picture.name,
            "photo_sha256": self.picture.sha256,
            "size": [height, width],
            "seen_at": list(self.seen.shape[:2]),
            "network": self.network,
            "weights_sha256": self.weights_sha256,
            "references": list(REFERENCES),
            "classes": [seen.data() for seen in self.classes],
            "strongest": [channel.data() for channel in self.strongest()],
            "layers": [layer.data() for layer in self.layers],
            "notices": list(self.notices),
        }

    def image(self) -> np.ndarray:
        """Returns a page of heat maps, float32 (height, width, 3) in [0, 1]."""
        return (drawn(_page(self)) / 255).astype(np.float32)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes the page, whole or not at all.

        Args:
            path: A .png, .jpg, .webp or .tif file.

        Returns:
            The path.

        Raises:
            OutputError: If the place or the suffix cannot be used.
            SaveError: If the disk refuses.
        """
        save_picture(path, self.image())
        return Path(path)


def _page(found: Explanation) -> Page:
    """Returns the page of an explanation, to be drawn."""
    size = (found.seen.shape[0], found.seen.shape[1])
    small = shrunk(found.seen, fitting(size, CELL))
    name = found.picture.name or "a picture"
    columns = [("strongest channels", [_line(c) for c in found.strongest()])]
    if found.classes:
        lines = [f"{seen.name}  {_percent(seen.probability)}" for seen in found.classes]
        columns.insert(0, ("classes", lines))
    return Page(
        title=f"{name}, as {found.network} sees it",
        picture=shrunk(found.seen, fitting(size, FIRST)),
        columns=columns,
        rows=[_row(layer, small) for layer in found.layers],
        notes=(
            *found.notices,
            _LEGEND,
        ),
    )


def _row(layer: LayerSeen, small: np.ndarray) -> Row:
    fact = layer.facts
    sight = "the whole picture"
    if np.isfinite(fact.receptive_field):
        sight = f"{fact.receptive_field:.0f} pixels, every {fact.stride:.0f}"
    return Row(
        title=fact.layer,
        subtitle=f"{fact.kind}, {fact.channels} channels; a cell sees {sight}; "
        f"{layer.objective}",
        cells=[
            Cell(_heat_map(layer, number, small), _caption(channel))
            for number, channel in enumerate(layer.channels)
        ],
    )


def _caption(channel: ChannelSeen) -> tuple[str, str]:
    down, across = channel.peak
    return (
        f"{channel.channel} {channel.named or ''}   {channel.score:+.1f}",
        f"{_percent(channel.share)}, at {across}, {down}",
    )


def _heat_map(layer: LayerSeen, number: int, small: np.ndarray) -> np.ndarray:
    size = (small.shape[0], small.shape[1])
    heat = layer.heat_over(number, size)
    down, across = np.unravel_index(int(heat.argmax()), size)
    # One hot cell must not pale the others; and where hardly anything is unusual,
    # chance must not glow.
    most = max(_BRIGHTEST * layer.channels[number].score, UNUSUAL)
    return heated(small, heat / most, (float(down), float(across)))


def _line(channel: ChannelSeen) -> str:
    return f"{channel.title}  {channel.score:+.1f}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.095 else f"{100 * share:.1f} %"
