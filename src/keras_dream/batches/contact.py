"""Contact sheets: all results of a batch, small and labelled, on pages."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_dream.errors import DreamError
from keras_dream.pictures.picture import Picture, read_picture
from keras_dream.recipe.recipe import Recipe
from keras_dream.sheets.cells import DreamedCell, on_sheet
from keras_dream.sheets.plan import Cell, Plan, Section
from keras_dream.sheets.sheet import Sheet

NAME = "contact-sheet.jpg"

CELLS_OF_PAGE = 400
"""Of 160 × 107 pixels: a page of 3,500 × 3,000, which any viewer opens."""

_FEW = 60
_SIDE, _SMALL_SIDE = 280, 160  # pixels of a cell, for few and for many
_SHAPE = 1.4  # width of a page over its height, as of a screen


@dataclass(frozen=True)
class Result:
    """A picture of a batch.

    Attributes:
        path: Its file.
        label: The text below it.
        recipe: Its recipe.
    """

    path: Path
    label: str
    recipe: Recipe


def pages_of(count: int, path: Path) -> list[Path]:
    """Returns the files of a contact sheet: a.jpg, a-2.jpg and so on.

    Args:
        count: How many results it shows.
        path: The first.
    """
    pages = math.ceil(count / CELLS_OF_PAGE)
    later = (path.with_stem(f"{path.stem}-{n}") for n in range(2, pages + 1))
    return [path, *later]


def draw_pages(results: Sequence[Result], path: Path, *, title: str) -> list[Path]:
    """Draws a contact sheet of results; those that cannot be read are left out.

    Args:
        results: The results in order.
        path: The file of the first page.
        title: Its title.

    Returns:
        The files that were written.

    Raises:
        SaveError: If one cannot be.
    """
    side = _SIDE if len(results) <= _FEW else _SMALL_SIDE
    paths = pages_of(len(results), path)
    for number, page in enumerate(paths):
        first = number * CELLS_OF_PAGE
        cells = list(_cells(results[first : first + CELLS_OF_PAGE], side))
        if not cells:
            continue
        count = f"{len(results):,} result{'' if len(results) == 1 else 's'}"
        where = f", page {number + 1} of {len(paths)}" if len(paths) > 1 else ""
        plan = Plan(
            kind="batch",
            title=title,
            subtitle=f"{count}{where}",
            sections=[Section("", [cell.cell for cell in cells], _columns(cells))],
            side=side,
            about={"results": len(results), "page": number + 1, "pages": len(paths)},
        )
        Sheet(plan, tuple(cells)).save(page)
    return paths


def _cells(results: Sequence[Result], side: int) -> Iterator[DreamedCell]:
    for result in results:
        try:
            picture = read_picture(result.path)
        except DreamError:
            continue
        image = on_sheet(picture.pixels, picture.alpha, side)
        cell = Cell(result.path.stem, result.label, result.recipe, Picture(image))
        yield DreamedCell(cell, image, result.recipe, result.path, silent=False)


def _columns(cells: Sequence[DreamedCell]) -> int:
    """Returns how many columns give a page its shape."""
    heights, widths = zip(*(cell.image.shape[:2] for cell in cells), strict=True)
    ratio = float(np.mean(heights)) * 1.2 / max(widths)  # with room for labels
    return max(1, min(round(math.sqrt(len(cells) * _SHAPE * ratio)), len(cells)))
