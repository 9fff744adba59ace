"""The layout of a sheet: where its cells and texts lie, and drawing it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from keras_dream.errors import OutputError
from keras_dream.geometry import Size
from keras_dream.pictures.decoding import to_float
from keras_dream.pictures.drawing import (
    FAINT,
    INK,
    Text,
    Tile,
    fit,
    font,
    paint,
    shorten,
    wrap,
)
from keras_dream.pictures.picture import to_uint8
from keras_dream.sheets.plan import Cell, Head, Plan, Section

MAX_SHEET_PIXELS = 120_000_000
"""Many viewers cannot open a larger picture; Pillow itself warns at 89 million pixels
and refuses at 179."""

_HEAD_LINES = 3


class FontHeights(NamedTuple):
    """Heights of the font in pixels."""

    label: int
    heading: int
    title: int


class Place(NamedTuple):
    """The place of a cell: its left upper corner and its size."""

    x: int
    y: int
    size: Size


@dataclass(frozen=True)
class Layout:
    """The layout of a sheet.

    Attributes:
        size: (height, width) in pixels.
        places: Of the cells, in the plan's order.
        texts: Of the sheet, without the cells' labels.
        labels: One for each cell; empty text where it has none.
    """

    size: Size
    places: Sequence[Place]
    texts: Sequence[Text]
    labels: Sequence[Text]


def font_heights(side: int) -> FontHeights:
    """Returns heights that are legible beside cells of `side` pixels."""
    label = min(max(side // 12, 13), 20)
    return FontHeights(label, round(label * 1.35), round(label * 1.8))


def lay_out(plan: Plan) -> Layout:
    """Returns the layout of a sheet, whose cells need not be dreamed yet.

    Args:
        plan: The sheet.

    Raises:
        OutputError: If it would have too many pixels.
    """
    arranger = _Arranger(plan)
    for section in plan.sections:
        arranger.section(section)
    layout = arranger.layout()
    if layout.size[0] * layout.size[1] > MAX_SHEET_PIXELS:
        raise OutputError(
            f"A sheet must have at most {MAX_SHEET_PIXELS:,} pixels",
            received=f"one of {layout.size[1]:,} × {layout.size[0]:,}",
            hint="try fewer cells or a smaller --size"
            + (", or an .html page" if plan.kind == "atlas" else ""),
        )
    return layout


def draw(plan: Plan, images: Iterable[np.ndarray], labels: Sequence[str]) -> np.ndarray:
    """Draws a sheet.

    Args:
        plan: The sheet.
        images: Of the cells in the plan's order, float32 (h, w, 3) in [0, 1] at the
            size of their places.
        labels: Of the cells.

    Returns:
        float32 (height, width, 3) in [0, 1].
    """
    layout = lay_out(plan)
    tiles = (
        Tile(place.x, place.y, to_uint8(image))
        for place, image in zip(layout.places, images, strict=True)
    )
    texts = (
        text._replace(text=shorten(label, place.size[1], text.height))
        for text, label, place in zip(layout.labels, labels, layout.places, strict=True)
    )
    return to_float(paint(layout.size, (*tiles, *layout.texts, *texts)))


class _Arranger:
    """Places cells and texts from the top of a sheet to its bottom."""

    def __init__(self, plan: Plan):
        self._heights = font_heights(plan.side)
        self._side = plan.side
        self._margin = max(plan.side // 8, 16)
        self._gap = max(plan.side // 24, 6)
        self._y = self._margin
        self._right = 0
        self._pitches: dict[int, int] = {}
        self._places: list[Place] = []
        self._texts: list[Text] = []
        self._labels: list[Text] = []
        # Title and subtitle are as wide as the cells below them.
        widths = (self._section_width(section) for section in plan.sections)
        self._width = max(widths, default=plan.side)
        for text, height, color in (
            (plan.title, self._heights.title, INK),
            (plan.subtitle, self._heights.label, FAINT),
        ):
            for line in wrap(text, self._width, height, lines=_HEAD_LINES):
                self._line(line, height, color)
        self._y += self._gap

    def section(self, section: Section) -> None:
        """Places a section."""
        if section.title:
            self._y += self._gap
            self._line(section.title, self._heights.heading, INK)
        left = self._margin + self._row_heads_width(section)
        self._heads(section, left)
        for row, start in enumerate(range(0, len(section.cells), section.columns)):
            self._row(section, row, start, left)

    def layout(self) -> Layout:
        """Returns the layout."""
        width = max(self._right, self._margin + self._width) + self._margin
        return Layout(
            (self._y + self._margin, width), self._places, self._texts, self._labels
        )

    def _row(self, section: Section, row: int, start: int, left: int) -> None:
        cells = section.cells[start : start + section.columns]
        tall = max(self._fit(cell)[0] for cell in cells)
        for column, cell in enumerate(cells):
            x = left + column * (self._pitch(section) + self._gap)
            size = self._fit(cell)
            self._places.append(Place(x, self._y, size))
            below = self._y + tall + self._gap // 3
            self._labels.append(Text(x, below, "", self._heights.label, INK))
            self._right = max(self._right, x + size[1])
        if section.row_heads:
            self._head(section.row_heads[row], self._margin, self._y, self._max_head())
        labelled = any(cell.label for cell in cells)
        below = round(self._heights.label * 1.5) if labelled else 0
        self._y += tall + below + self._gap

    def _heads(self, section: Section, left: int) -> None:
        ends = [self._y]
        for column, head in enumerate(section.column_heads):
            x = left + column * (self._pitch(section) + self._gap)
            ends.append(self._head(head, x, self._y, self._pitch(section)))
        self._y = max(ends) + (self._gap // 2 if section.column_heads else 0)

    def _head(self, head: Head, x: int, y: int, width: int) -> int:
        """Places a setting and its value; returns where they end."""
        small = self._heights.label
        lines = [(shorten(head.name, width, small), FAINT)]
        values = wrap(head.value, width, small, lines=_HEAD_LINES)
        lines += [(line, INK) for line in values]
        for text, color in lines:
            self._texts.append(Text(x, y, text, small, color))
            y += round(small * 1.3)
        return y

    def _line(self, text: str, height: int, color: str) -> None:
        if not text:
            return
        fitting = shorten(text, self._width, height)
        self._texts.append(Text(self._margin, self._y, fitting, height, color))
        self._y += round(height * 1.45)

    def _pitch(self, section: Section) -> int:
        """Returns the width of a section's columns."""
        if id(section) not in self._pitches:
            widths = {self._fit(cell)[1] for cell in section.cells}
            self._pitches[id(section)] = max(widths)
        return self._pitches[id(section)]

    def _max_head(self) -> int:
        """Returns the largest width of heads of rows."""
        return max(self._side * 2 // 3, 120)

    def _row_heads_width(self, section: Section) -> int:
        """Returns the width of the heads of rows, with the gap after them."""
        if not section.row_heads:
            return 0
        texts = [t for head in section.row_heads for t in (head.name, head.value)]
        needed = max(font(self._heights.label).getlength(text) for text in texts)
        return min(round(needed) + 1, self._max_head()) + self._gap

    def _fit(self, cell: Cell) -> Size:
        """Returns the size of a cell on the sheet."""
        return fit(cell.size, (self._side, self._side))

    def _section_width(self, section: Section) -> int:
        columns = min(section.columns, len(section.cells))
        cells = columns * (self._pitch(section) + self._gap) - self._gap
        return max(self._row_heads_width(section) + cells, 2 * self._side)
