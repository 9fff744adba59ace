"""Plans: which dreams make a sheet, and how they lie on it."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keras_dream.engine.loop import work
from keras_dream.errors import InputError, OutputError
from keras_dream.geometry import Size
from keras_dream.pictures.picture import Picture
from keras_dream.recipe.recipe import Recipe

MOST_CELLS = 100_000
"""More cells than any network has channels in a layer: a slip of the keyboard."""


@dataclass(frozen=True, eq=False)
class Cell:
    """One dream of a sheet.

    Attributes:
        name: What its file is called, without the key and the suffix.
        label: What stands below it; "" where the heads say it all.
        recipe: What decides it.
        picture: What it begins with.
        where: Its place in words, for errors; "" where the recipe tells it.
        like: Cells of one text run the same layers at the same sizes, and so cost the
            same; "" for a cell that is like no other.
    """

    name: str
    label: str
    recipe: Recipe
    picture: Picture
    where: str = ""
    like: str = ""

    @property
    def size(self) -> Size:
        """(height, width) of its picture in pixels."""
        height, width = self.picture.pixels.shape[:2]
        return height, width

    @property
    def work(self) -> int:
        """What it may cost, in pixels times steps."""
        return work(self.size, self.recipe)


@dataclass(frozen=True)
class Head:
    """What stands over a column or beside a row: a setting and its value."""

    name: str
    value: str


@dataclass(frozen=True)
class Section:
    """A block of cells with a heading of its own.

    Attributes:
        title: The heading; "" for none.
        cells: Row by row.
        columns: How many stand side by side.
        column_heads: One for each column, or none.
        row_heads: One for each row, or none.
    """

    title: str
    cells: Sequence[Cell]
    columns: int
    column_heads: Sequence[Head] = ()
    row_heads: Sequence[Head] = ()


@dataclass(frozen=True)
class Plan:
    """A sheet before its cells are dreamed.

    Attributes:
        kind: "atlas" or "grid".
        title: What stands at its top.
        subtitle: What stands below that.
        sections: The cells.
        side: The longer side of a cell on the sheet, in pixels.
        about: What the sheet is, as JSON types, for its metadata.
    """

    kind: str
    title: str
    subtitle: str
    sections: Sequence[Section]
    side: int
    about: Mapping[str, Any]

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All cells, section by section."""
        return tuple(cell for section in self.sections for cell in section.cells)


def check_count(count: int, hint: str) -> None:
    """Makes sure that a sheet has not more cells than anybody can mean.

    Args:
        count: How many cells it would have.
        hint: What to try instead.

    Raises:
        OutputError: If they are too many.
    """
    if count > MOST_CELLS:
        raise OutputError(
            f"A sheet must have at most {MOST_CELLS:,} cells",
            received=f"one of {count:,}",
            hint=hint,
        )


@contextlib.contextmanager
def named_errors(where: str) -> Iterator[None]:
    """Puts a place before the sentence of an error: which axis, which cell.

    Args:
        where: Such as "Axis x"; "" leaves errors as they are.
    """
    try:
        yield
    except InputError as error:
        if not where:
            raise
        raise type(error)(
            f"{where}: {error.must[:1].lower()}{error.must[1:]}",
            received=error.received,
            hint=error.hint,
        ) from None
