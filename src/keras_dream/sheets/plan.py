"""The plan of a sheet: its cells, and how they are arranged."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keras_dream.engine.cost import seconds
from keras_dream.errors import InputError, OutputError
from keras_dream.geometry import Size
from keras_dream.pictures.picture import Picture
from keras_dream.recipe.recipe import Recipe

MAX_CELLS = 100_000
"""More than any layer has channels, and so a typing error."""


@dataclass(frozen=True, eq=False)
class Cell:
    """One dream of a sheet.

    Attributes:
        name: The name of its file, without the hash and the suffix.
        label: The text below it; "" for none.
        recipe: Its recipe.
        picture: The picture that it starts from.
        where: Its place in words, for errors; "" for none.
        like: Its kind: cells of one kind run the same layers at the same sizes, and so
            cost the same; "" for a kind of its own.
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
    def work(self) -> float:
        """Its most work: the seconds that its recipe and its size predict."""
        return seconds(self.size, self.recipe)


@dataclass(frozen=True)
class Head:
    """The head of a column or a row: a setting and its value."""

    name: str
    value: str


@dataclass(frozen=True)
class Section:
    """A block of cells with a title.

    Attributes:
        title: The title; "" for none.
        cells: Row by row.
        columns: How many are in a row.
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
        kind: "atlas", "grid", "looks" or "variations".
        title: The title.
        subtitle: The line below the title.
        sections: The cells.
        side: The longer side of a cell on the sheet, in pixels.
        about: What the sheet is, as JSON types, for its metadata.
        beside: Pictures that cells start from and that are no files elsewhere; they
            are saved beside the cells, where `dream replay` looks for them.
    """

    kind: str
    title: str
    subtitle: str
    sections: Sequence[Section]
    side: int
    about: Mapping[str, Any]
    beside: Sequence[Picture] = ()

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All cells, section by section."""
        return tuple(cell for section in self.sections for cell in section.cells)


def check_count(count: int, hint: str) -> None:
    """Checks that a sheet does not have too many cells.

    Args:
        count: How many cells it would have.
        hint: What to try instead.

    Raises:
        OutputError: If it has.
    """
    if count > MAX_CELLS:
        raise OutputError(
            f"A sheet must have at most {MAX_CELLS:,} cells",
            received=f"one of {count:,}",
            hint=hint,
        )


@contextlib.contextmanager
def named_errors(where: str) -> Iterator[None]:
    """Adds a place to the sentence of an error: which axis, which cell.

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
