"""The page of an explanation: heat maps of the strongest channels, layer by layer."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_dream.dreamer.responses import HIGH_Z
from keras_dream.geometry import Size
from keras_dream.pictures.drawing import (
    FAINT,
    INK,
    RULE,
    Box,
    Text,
    Tile,
    fit,
    overlay_heat,
    paint,
    resize,
    shorten,
    wrap,
)

if TYPE_CHECKING:
    from keras_dream.explanations.explain import (
        ChannelResponse,
        Explanation,
        LayerResponse,
    )

HEAT_MAP = (200, 210)  # the most (height, width) in pixels of a heat map
PHOTO = (340, 480)  # and of the photo above them
_MIN_COLUMN = 96  # pixels
_MIN_WIDTH, _COLUMNS_WIDTH = 900, 420  # of the page, and of the columns by the photo
_LIGHTEST = 1.4  # times a channel's score is the lightest heat

_MARGIN, _GAP, _LEADING = 28, 12, 6  # pixels
_TITLE, _HEADING, _TEXT, _SMALL = 30, 20, 16, 13  # heights of the font in pixels

_LEGEND = (
    "Numbers are z-scores: standard deviations above a channel's mean on baseline "
    "pictures of noise and discs, averaged over the fiftieth of the picture where it "
    "responds most; they can be compared from layer to layer. Each heat map has its "
    "own scale: nothing at 0, lightest where the channel responds most; the ring marks "
    f"its peak. Percents are the area of the picture above {HIGH_Z:g}, followed by the "
    "position of the peak in pixels across and down."
)


def draw_page(explanation: "Explanation") -> np.ndarray:
    """Returns the page of an explanation, uint8 (height, width, 3)."""
    size = (explanation.measured.shape[0], explanation.measured.shape[1])
    small = resize(explanation.measured, fit(size, HEAT_MAP))
    page = _Page(small, max(len(layer.channels) for layer in explanation.layers))
    name = explanation.picture.name or "a picture"
    page.line(f"{name}, as {explanation.network} sees it", _TITLE)
    page.y += _GAP
    page.head(resize(explanation.measured, fit(size, PHOTO)), _columns(explanation))
    for layer in explanation.layers:
        page.layer(layer)
    page.y += _GAP
    for note in (*explanation.notices, _LEGEND):
        for line in wrap(note, page.width - 2 * _MARGIN, _SMALL):
            page.line(line, _SMALL, color=FAINT)
    return paint((page.y + _MARGIN, page.width), page.items)


class _Page:
    """Places texts and images from the top of a page to its bottom."""

    def __init__(self, small: np.ndarray, columns: int):
        self._small = small
        self._column = max(small.shape[1], _MIN_COLUMN)
        photo = fit((small.shape[0], small.shape[1]), PHOTO)
        row = columns * (self._column + _GAP) - _GAP
        self.width = 2 * _MARGIN + max(_MIN_WIDTH, photo[1] + _COLUMNS_WIDTH, row)
        self.items: list[Text | Tile | Box] = []
        self.y = _MARGIN

    def line(
        self,
        text: str,
        height: int,
        *,
        color: str = INK,
        left: int = _MARGIN,
        width: float | None = None,
    ) -> None:
        """Adds a line of text, shortened to a width or to that of the page."""
        width = self.width - _MARGIN - left if width is None else width
        fitting = shorten(text, width, height)
        self.items.append(Text(left, self.y, fitting, height, color))
        self.y += height + _LEADING

    def head(self, photo: np.ndarray, columns: Sequence[tuple[str, list[str]]]) -> None:
        """Adds the photo with columns of text beside it, each with a heading."""
        top, bottom = self.y, self.y + photo.shape[0]
        self.items.append(Tile(_MARGIN, top, photo))
        left = _MARGIN + photo.shape[1] + 2 * _GAP
        pitch = (self.width - _MARGIN - left) / len(columns)
        for number, (heading, lines) in enumerate(columns):
            self.y, x = top, left + round(number * pitch)
            self.line(heading, _TEXT, left=x, width=pitch - _GAP)
            for line in lines:
                self.line(line, _TEXT, color=FAINT, left=x, width=pitch - _GAP)
            bottom = max(bottom, self.y)
        self.y = bottom + 2 * _GAP

    def layer(self, layer: "LayerResponse") -> None:
        """Adds a rule, the layer's name and facts, and its heat maps in a row."""
        self.y += _GAP
        self.items.append(Box(_MARGIN, self.y, (1, self.width - 2 * _MARGIN), RULE))
        self.y += _GAP
        self.line(layer.facts.layer, _HEADING)
        self.line(_subtitle(layer), _SMALL, color=FAINT)
        self.y += _GAP // 2
        top, left = self.y, _MARGIN
        for number, channel in enumerate(layer.channels):
            self.items.append(Tile(left, top, _heat_map(layer, number, self._small)))
            self.y = top + self._small.shape[0] + 4
            title, position = _caption(channel)
            self.line(title, _TEXT, left=left, width=self._column)
            self.line(position, _SMALL, color=FAINT, left=left, width=self._column)
            left += self._column + _GAP


def _columns(explanation: "Explanation") -> list[tuple[str, list[str]]]:
    strongest = [f"{c.title}  {c.score:+.1f}" for c in explanation.strongest()]
    columns = [("strongest channels", strongest)]
    if explanation.classes:
        lines = [f"{c.name}  {_percent(c.probability)}" for c in explanation.classes]
        columns.insert(0, ("classes", lines))
    return columns


def _subtitle(layer: "LayerResponse") -> str:
    fact = layer.facts
    field = "the whole picture"
    if np.isfinite(fact.receptive_field):
        field = f"{fact.receptive_field:.0f} pixels, every {fact.stride:.0f}"
    facts = f"{fact.kind}, {fact.channels} channels; a cell sees {field}"
    return f"{facts}; {layer.objective}"


def _caption(channel: "ChannelResponse") -> tuple[str, str]:
    down, across = channel.peak
    return (
        f"{channel.channel} {channel.class_name or ''}   {channel.score:+.1f}",
        f"{_percent(channel.area)}, at {across}, {down}",
    )


def _heat_map(layer: "LayerResponse", number: int, small: np.ndarray) -> np.ndarray:
    size: Size = (small.shape[0], small.shape[1])
    heat = layer.heat_over(number, size)
    down, across = np.unravel_index(int(heat.argmax()), size)
    # By the score, so that one hot cell does not pale the others, and at least by
    # `HIGH_Z`, so that chance does not glow.
    lightest = max(_LIGHTEST * layer.channels[number].score, HIGH_Z)
    return overlay_heat(small, heat / lightest, peak=(float(down), float(across)))


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.0f} %" if fraction >= 0.095 else f"{100 * fraction:.1f} %"
