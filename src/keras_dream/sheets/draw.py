"""Drawing a sheet: where everything lies, and the letters."""

import functools
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from keras_dream.errors import OutputError
from keras_dream.geometry import Size
from keras_dream.pictures.picture import to_uint8
from keras_dream.sheets.plan import Head, Plan, Section

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

PAPER, INK, FAINT, EMPTY = "#fbfaf8", "#1d1b19", "#77706a", "#e9e6e1"
MOST_SHEET_PIXELS = 120_000_000
"""A larger picture cannot be opened by many viewers; Pillow itself warns at 89 million
and refuses at 179."""

_HEAD_LINES = 3
# What Pillow's font lacks, in letters that it has.
_SUBSTITUTES = str.maketrans({"×": "x", "–": "-", "—": "-", "…": "...", "’": "'"})


class Letters(NamedTuple):
    """Heights of letters in pixels: labels, headings, the title."""

    label: int
    heading: int
    title: int


class Text(NamedTuple):
    """A line of text: its left upper corner, its font's height, its colour."""

    x: int
    y: int
    text: str
    height: int
    colour: str


class Place(NamedTuple):
    """Where a cell lies: its left upper corner and its size."""

    x: int
    y: int
    size: Size


@dataclass(frozen=True)
class Layout:
    """A sheet's geometry.

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


def letters(side: int) -> Letters:
    """Returns letters that can be read at full size beside cells of `side` pixels."""
    label = min(max(side // 12, 13), 20)
    return Letters(label, round(label * 1.35), round(label * 1.8))


@functools.lru_cache(maxsize=32)
def font(height: int) -> "FreeTypeFont":
    """Returns Pillow's own scalable font at a height in pixels."""
    from PIL import ImageFont

    # Without FreeType, which every wheel of Pillow has, there is only a tiny bitmap
    # font; it takes no size.
    return ImageFont.load_default(height)  # pyright: ignore[reportReturnType]


def legible(text: str) -> str:
    """Returns text in letters that the font has.

    Others lose their accents, or become question marks.
    """
    return "".join(map(_nearest, text.translate(_SUBSTITUTES)))


@functools.lru_cache(maxsize=4096)
def _nearest(letter: str) -> str:
    if _is_drawn(letter):
        return letter
    bare = unicodedata.normalize("NFKD", letter)[0]
    return bare if _is_drawn(bare) else "?"


def _is_drawn(letter: str) -> bool:
    """Tells whether the font has a letter: else it draws the box of a stranger."""
    if letter.isascii():
        return letter.isprintable()
    return letter.isprintable() and _drawn(letter) != _drawn("\ue000")


def _drawn(letter: str) -> bytes:
    from PIL import Image, ImageDraw

    image = Image.new("L", (40, 40))
    ImageDraw.Draw(image).text((4, 4), letter, fill=255, font=font(20))
    return image.tobytes()


def shorten(text: str, width: int, height: int) -> str:
    """Returns text that fits, its middle left out: the ends of names differ.

    Args:
        text: Any text.
        width: Pixels that there are.
        height: Of the letters, in pixels.
    """
    text = legible(text)
    if font(height).getlength(text) <= width:
        return text
    for kept in range(len(text) - 1, 0, -1):
        head = (kept + 1) // 2
        short = f"{text[:head]}...{text[len(text) - (kept - head) :]}"
        if font(height).getlength(short) <= width:
            return short
    return "..."


def wrap(text: str, width: int, height: int, lines: int = _HEAD_LINES) -> list[str]:
    """Returns text in lines that fit, broken at spaces; what is left over is shortened.

    Args:
        text: Any text.
        width: Pixels that there are.
        height: Of the letters, in pixels.
        lines: The most lines.
    """
    found: list[str] = []
    rest = text.split(" ")
    while rest and len(found) < lines - 1:
        count = 1
        while (
            count < len(rest)
            and font(height).getlength(" ".join(rest[: count + 1])) <= width
        ):
            count += 1
        found.append(" ".join(rest[:count]))
        rest = rest[count:]
    if rest:
        found.append(" ".join(rest))
    return [shorten(line, width, height) for line in found]


def shrunk(size: Size, side: int) -> Size:
    """Returns the size of a picture on the sheet: its longer side is `side` pixels."""
    scale = side / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def lay_out(plan: Plan) -> Layout:
    """Returns where everything on a sheet lies; no cell needs to be dreamed for it.

    Args:
        plan: The sheet.

    Raises:
        OutputError: If it would be too large to look at.
    """
    pen = _Pen(plan)
    for section in plan.sections:
        pen.section(section)
    layout = pen.finished()
    if layout.size[0] * layout.size[1] > MOST_SHEET_PIXELS:
        raise OutputError(
            f"A sheet must have at most {MOST_SHEET_PIXELS:,} pixels",
            received=f"one of {layout.size[1]:,} × {layout.size[0]:,}",
            hint="try fewer cells or a smaller --size"
            + (", or an .html page" if plan.kind == "atlas" else ""),
        )
    return layout


def draw(
    plan: Plan, images: Iterable[np.ndarray | None], labels: Sequence[str]
) -> np.ndarray:
    """Draws a sheet.

    Args:
        plan: The sheet.
        images: Of the cells in the plan's order, float32 (h, w, 3) in [0, 1] at the
            size of their places; None leaves one empty.
        labels: Of the cells.

    Returns:
        float32 (height, width, 3) in [0, 1].
    """
    from PIL import Image, ImageDraw

    layout = lay_out(plan)
    sheet = Image.new("RGB", (layout.size[1], layout.size[0]), PAPER)
    pencil = ImageDraw.Draw(sheet)
    for place, image in zip(layout.places, images, strict=True):
        (height, width) = place.size
        if image is None:
            corner = (place.x + width - 1, place.y + height - 1)
            pencil.rectangle(((place.x, place.y), corner), fill=EMPTY)
        else:
            sheet.paste(Image.fromarray(to_uint8(image)), (place.x, place.y))
    for text in layout.texts:
        _write(pencil, text)
    for text, label, place in zip(layout.labels, labels, layout.places, strict=True):
        fitting = shorten(label, place.size[1], text.height)
        _write(pencil, text._replace(text=fitting))
    return np.asarray(sheet, np.float32) / np.float32(255)


def _write(pencil: "ImageDraw", text: Text) -> None:
    if text.text:
        corner = (text.x, text.y)
        pencil.text(corner, text.text, fill=text.colour, font=font(text.height))


class _Pen:
    """Goes down a sheet and notes what lies where."""

    def __init__(self, plan: Plan):
        self._letters = letters(plan.side)
        self._side = plan.side
        self._margin = max(plan.side // 8, 16)
        self._gap = max(plan.side // 24, 6)
        self._y = self._margin
        self._right = 0
        self._pitches: dict[int, int] = {}
        self._places: list[Place] = []
        self._texts: list[Text] = []
        self._labels: list[Text] = []
        self._title, self._subtitle = plan.title, plan.subtitle
        # The width of the head is known when the cells are laid out: it adapts to them.
        self._width = max(
            (self._wide(section) for section in plan.sections), default=plan.side
        )
        for line in wrap(self._title, self._width, self._letters.title):
            self._line(line, self._letters.title, INK)
        for line in wrap(self._subtitle, self._width, self._letters.label):
            self._line(line, self._letters.label, FAINT)
        self._y += self._gap

    def section(self, section: Section) -> None:
        """Lays out a block."""
        if section.title:
            self._y += self._gap
            self._line(section.title, self._letters.heading, INK)
        left = self._margin + self._beside(section)
        self._heads(section, left)
        for row, start in enumerate(range(0, len(section.cells), section.columns)):
            self._row(section, row, start, left)

    def finished(self) -> Layout:
        """Returns the layout."""
        width = max(self._right, self._margin + self._width) + self._margin
        return Layout(
            (self._y + self._margin, width), self._places, self._texts, self._labels
        )

    def _row(self, section: Section, row: int, start: int, left: int) -> None:
        cells = section.cells[start : start + section.columns]
        tall = max(shrunk(cell.size, self._side)[0] for cell in cells)
        for column, cell in enumerate(cells):
            x = left + column * (self._pitch(section) + self._gap)
            size = shrunk(cell.size, self._side)
            self._places.append(Place(x, self._y, size))
            below = self._y + tall + self._gap // 3
            self._labels.append(Text(x, below, "", self._letters.label, INK))
            self._right = max(self._right, x + size[1])
        if section.row_heads:
            self._head(section.row_heads[row], self._margin, self._y, self._longest())
        labelled = any(cell.label for cell in cells)
        below = round(self._letters.label * 1.5) if labelled else 0
        self._y += tall + below + self._gap

    def _heads(self, section: Section, left: int) -> None:
        ends = [self._y]
        for column, head in enumerate(section.column_heads):
            x = left + column * (self._pitch(section) + self._gap)
            ends.append(self._head(head, x, self._y, self._pitch(section)))
        self._y = max(ends) + (self._gap // 2 if section.column_heads else 0)

    def _head(self, head: Head, x: int, y: int, width: int) -> int:
        """Notes a setting and its value; returns where they end."""
        small = self._letters.label
        lines = [(shorten(head.name, width, small), FAINT)]
        lines += [(line, INK) for line in wrap(head.value, width, small)]
        for text, colour in lines:
            self._texts.append(Text(x, y, text, small, colour))
            y += round(small * 1.3)
        return y

    def _line(self, text: str, height: int, colour: str) -> None:
        if not text:
            return
        fitting = shorten(text, self._width, height)
        self._texts.append(Text(self._margin, self._y, fitting, height, colour))
        self._y += round(height * 1.45)

    def _pitch(self, section: Section) -> int:
        """Returns the width of a section's columns."""
        if id(section) not in self._pitches:
            widths = {shrunk(cell.size, self._side)[1] for cell in section.cells}
            self._pitches[id(section)] = max(widths)
        return self._pitches[id(section)]

    def _longest(self) -> int:
        """Returns the most pixels that heads of rows may take."""
        return max(self._side * 2 // 3, 120)

    def _beside(self, section: Section) -> int:
        """Returns the width of the heads of rows and the gap behind them."""
        if not section.row_heads:
            return 0
        texts = [t for head in section.row_heads for t in (head.name, head.value)]
        needed = max(font(self._letters.label).getlength(text) for text in texts)
        return min(round(needed) + 1, self._longest()) + self._gap

    def _wide(self, section: Section) -> int:
        columns = min(section.columns, len(section.cells))
        cells = columns * (self._pitch(section) + self._gap) - self._gap
        return max(self._beside(section) + cells, 2 * self._side)
