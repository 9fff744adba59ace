"""Drawing what a network sees: heat over a photo, and pages of labelled pictures.

Pictures here are uint8 `(height, width, 3)`. Text is drawn with the font that Pillow
carries, so that pages look alike everywhere; it has no letters beyond the Latin ones.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

# From nothing to the peak: violet, red, orange, light yellow; lighter step by step, so
# that it reads without colours, too.
_RAMP = np.array(
    [(40, 16, 92), (140, 30, 110), (216, 62, 72), (248, 148, 40), (252, 244, 164)],
    np.float32,
)
_DIM = 0.72  # of the grey photo below the heat
_MOST_COVER = 0.82  # the photo stays visible even below the peak

PAPER, INK, FAINT = (250, 249, 246), (28, 28, 32), (112, 112, 120)
MARGIN, GAP = 28, 12  # pixels
TITLE, HEAD, TEXT, SMALL = 30, 20, 16, 13  # sizes of letters in pixels
_SLACK = 6  # pixels between a line of text and the next


@dataclass(frozen=True, eq=False)
class Cell:
    """A picture with lines below it, the first of them bold in effect."""

    picture: np.ndarray
    lines: Sequence[str]


@dataclass(frozen=True, eq=False)
class Row:
    """Pictures beside each other, with a title and a line below that."""

    title: str
    subtitle: str
    cells: Sequence[Cell]


@dataclass(frozen=True, eq=False)
class Page:
    """A title, a picture with columns of text beside it, rows, and what it all means.

    Attributes:
        title: The first line.
        picture: What it is about.
        columns: Each a heading and lines below it.
        rows: The rows.
        notes: Lines at the foot.
    """

    title: str
    picture: np.ndarray
    columns: Sequence[tuple[str, Sequence[str]]]
    rows: Sequence[Row]
    notes: Sequence[str]


def fitting(size: tuple[int, int], box: tuple[int, int]) -> tuple[int, int]:
    """Returns the largest (height, width) of a picture's shape inside a box."""
    scale = min(box[0] / size[0], box[1] / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def shrunk(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns an image, floats in [0, 1], at another (height, width), as uint8."""
    whole = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    resized = Image.fromarray(whole).resize(
        (size[1], size[0]), Image.Resampling.LANCZOS
    )
    return np.asarray(resized)


def spread(heat: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Returns heat between its cells, linear from one centre to the next.

    Args:
        heat: float32 (h, w), a value for each cell.
        rows: Where to look, in cells down: 0 is the first centre; floats (n,).
        columns: The same across, (m,).

    Returns:
        float32 (n, m); beyond the outer centres, their values.
    """
    for axis, wanted in ((0, rows), (1, columns)):
        last = heat.shape[axis] - 1
        places = np.clip(wanted, 0, last)
        first = np.minimum(np.floor(places).astype(int), max(last - 1, 0))
        share = (places - first).astype(np.float32)
        share = share[:, None] if axis == 0 else share[None, :]
        low = heat.take(first, axis)
        heat = low + share * (heat.take(np.minimum(first + 1, last), axis) - low)
    return heat


def heated(
    picture: np.ndarray, heat: np.ndarray, peak: tuple[float, float] | None = None
) -> np.ndarray:
    """Returns a picture with heat over it.

    Args:
        picture: What is below; it is shown in grey.
        heat: float32 of its height and width: 0 and below cover nothing, 1 most.
        peak: (down, across) in pixels, marked with a ring; None for no mark.
    """
    level = np.clip(heat, 0, 1)[..., None]
    place = level[..., 0] * (len(_RAMP) - 1)
    first = np.minimum(place.astype(int), len(_RAMP) - 2)
    share = (place - first)[..., None]
    colour = _RAMP[first] * (1 - share) + _RAMP[first + 1] * share
    grey = picture.astype(np.float32).mean(axis=-1, keepdims=True) * _DIM
    cover = _MOST_COVER * np.sqrt(level)
    made = Image.fromarray(np.rint(grey + cover * (colour - grey)).astype(np.uint8))
    if peak is not None:
        y, x = peak
        draw, radius = ImageDraw.Draw(made), 7
        for more, ink in ((1, (0, 0, 0)), (0, (255, 255, 255))):
            r = radius + more
            draw.ellipse((x - r, y - r, x + r, y + r), outline=ink, width=1 + more)
    return np.asarray(made)


def drawn(page: Page) -> np.ndarray:
    """Returns a page as a picture."""
    width = _page_width(page)
    # Drawn twice: what comes out of the first tells how high the page is.
    height = _Pen(Image.new("RGB", (1, 1)), width).page(page)
    canvas = Image.new("RGB", (width, height), PAPER)
    _Pen(canvas, width).page(page)
    return np.asarray(canvas)


def cut(text: str, size: int, width: float) -> str:
    """Returns text that is no wider than so many pixels, with … where it was cut."""
    if _font(size).getlength(text) <= width:
        return text
    while text and _font(size).getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


class _Pen:
    """Draws from the top to the bottom of a canvas."""

    def __init__(self, canvas: Image.Image, width: int):
        self._canvas = canvas
        self._draw = ImageDraw.Draw(canvas)
        self._width = width
        self._top = MARGIN

    def page(self, page: Page) -> int:
        """Draws a page; returns its height."""
        self._text(page.title, TITLE)
        self._top += GAP
        self._head(page)
        for row in page.rows:
            self._row(row)
        self._top += GAP
        for note in page.notes:
            for line in _lines(note, SMALL, self._width - 2 * MARGIN):
                self._text(line, SMALL, FAINT)
        return self._top + MARGIN

    def _head(self, page: Page) -> None:
        top, height = self._top, page.picture.shape[0]
        self._paste(page.picture, MARGIN, top)
        left = MARGIN + page.picture.shape[1] + 2 * GAP
        each = (self._width - MARGIN - left) / max(len(page.columns), 1)
        bottom = top + height
        for place, (heading, lines) in enumerate(page.columns):
            self._top, x = top, left + round(place * each)
            self._text(heading, TEXT, left=x, width=each - GAP)
            for line in lines:
                self._text(line, TEXT, FAINT, left=x, width=each - GAP)
            bottom = max(bottom, self._top)
        self._top = bottom + 2 * GAP

    def _row(self, row: Row) -> None:
        self._top += GAP
        self._draw.line(
            (MARGIN, self._top, self._width - MARGIN, self._top), (214, 212, 206)
        )
        self._top += GAP
        self._text(row.title, HEAD)
        if row.subtitle:
            self._text(row.subtitle, SMALL, FAINT)
        self._top += GAP // 2
        top, left, bottom = self._top, MARGIN, self._top
        for cell in row.cells:
            height, width = cell.picture.shape[:2]
            self._paste(cell.picture, left, top)
            self._top = top + height + 4
            for number, line in enumerate(cell.lines):
                ink, size = (INK, TEXT) if number == 0 else (FAINT, SMALL)
                self._text(line, size, ink, left=left, width=max(width, 96))
            bottom = max(bottom, self._top)
            left += max(width, 96) + GAP
        self._top = bottom

    def _paste(self, picture: np.ndarray, left: int, top: int) -> None:
        self._canvas.paste(Image.fromarray(picture), (left, top))

    def _text(
        self,
        text: str,
        size: int,
        ink: tuple[int, int, int] = INK,
        left: int = MARGIN,
        width: float | None = None,
    ) -> None:
        room = self._width - MARGIN - left if width is None else width
        shown = cut(text, size, room)
        self._draw.text((left, self._top), shown, ink, font=_font(size))
        self._top += size + _SLACK


def _page_width(page: Page) -> int:
    rows = [
        sum(max(cell.picture.shape[1], 96) + GAP for cell in row.cells) - GAP
        for row in page.rows
    ]
    return 2 * MARGIN + max(900, page.picture.shape[1] + 420, *rows, 0)


def _lines(text: str, size: int, width: float) -> list[str]:
    """Returns text in lines no wider than so many pixels."""
    lines: list[str] = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and _font(size).getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


@functools.cache
def _font(size: int) -> Any:
    return ImageFont.load_default(size)
