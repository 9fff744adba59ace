"""The value `Sheet`: a finished sheet, drawing and saving it, and reading it back."""

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_dream.errors import OutputError, PictureError, short_repr
from keras_dream.files import check_suffix, write_atomically
from keras_dream.pictures.encoding import SUFFIXES, save_picture
from keras_dream.pictures.metadata import read_notes
from keras_dream.recipe.recipe import canonical_json
from keras_dream.sheets.cells import DreamedCell
from keras_dream.sheets.layout import draw, lay_out
from keras_dream.sheets.page import is_page, page
from keras_dream.sheets.plan import Plan

KINDS = ("atlas", "grid", "looks", "variations", "batch")
PAGE = ".html"
ATLAS_SUFFIXES = (*SUFFIXES, PAGE)

_MAX_ABOUT = 60_000  # bytes of a sheet's description; a picture's notes hold 64,000


@dataclass(frozen=True, eq=False)
class Sheet:
    """A finished sheet.

    Attributes:
        plan: Which dreams it shows, and how they are arranged.
        cells: The dreams in the plan's order.
    """

    plan: Plan
    cells: tuple[DreamedCell, ...]

    def image(self) -> np.ndarray:
        """Returns the drawn sheet, float32 (height, width, 3) in [0, 1].

        Raises:
            OutputError: If it would have too many pixels.
        """
        images = [cell.image for cell in self.cells]
        return draw(self.plan, images, [cell.label for cell in self.cells])

    def about(self) -> dict[str, Any]:
        """Returns what the sheet is, as JSON types: its axes, recipe and cells."""
        cells = [
            {
                "file": cell.path.name if cell.path else None,
                "recipe_sha256": cell.recipe.sha256,
            }
            for cell in self.cells
        ]
        whole = {**self.plan.about, "cells": cells}
        short = {**self.plan.about, "cells": len(cells)}
        return whole if len(canonical_json(whole)) <= _MAX_ABOUT else short

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes the sheet atomically.

        Args:
            path: A .png, .jpg, .webp or .tif file; of an atlas also an .html page.

        Returns:
            The path.

        Raises:
            OutputError: If the path or the suffix cannot be used.
            SaveError: If writing fails.
        """
        path = Path(path)
        if check_suffix(path, suffixes(self.plan)) == PAGE:
            write_atomically(path, page(self.plan, self.cells).encode())
        else:
            notes = {self.plan.kind: canonical_json(self.about())}
            save_picture(path, self.image(), notes=notes)
        return path


def suffixes(plan: Plan) -> tuple[str, ...]:
    """Returns the suffixes of the files that a sheet can be saved as."""
    return ATLAS_SUFFIXES if plan.kind == "atlas" else SUFFIXES


def check_sheet(plan: Plan, path: str | os.PathLike[str]) -> None:
    """Checks, before anything is dreamed, that a sheet can be saved in a file.

    Args:
        plan: The sheet.
        path: Its file; only the suffix matters.

    Raises:
        OutputError: If the suffix is unknown, or the sheet would have too many pixels.
    """
    if check_suffix(path, suffixes(plan)) != PAGE:
        lay_out(plan)


def read_about(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Returns what a saved sheet is, under its kind; None for any other picture.

    It is untrusted: any JSON.

    Args:
        path: A picture.

    Raises:
        PictureError: If there is no such file, or it is not a picture.
    """
    notes = read_notes(path) or {}
    for kind in KINDS:
        about = json.loads(notes.get(kind, "null"))
        if isinstance(about, dict):
            return {kind: about}
    return None


def check_replaced(path: Path) -> None:
    """Refuses to replace a file that is no sheet.

    A sheet may be drawn again, by the same command, when it has more cells.

    Args:
        path: The sheet's file.

    Raises:
        OutputError: If there is another file.
    """
    if not path.exists():
        return
    is_ours = False
    with contextlib.suppress(OSError, PictureError):
        is_page_name = path.suffix.lower() == PAGE
        is_ours = is_page(path) if is_page_name else read_about(path) is not None
    if not is_ours:
        raise OutputError(
            "A sheet must have a new name, or --yes to replace what is no sheet",
            received=short_repr(str(path)),
            hint="try another name",
        )
