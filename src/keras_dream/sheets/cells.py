"""Dreamed cells, and their files: each is named by what decides its pixels."""

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_dream.dreamer.dreamer import Dreamer
from keras_dream.engine.finish import result_size
from keras_dream.engine.result import Dream
from keras_dream.errors import DreamError, InputError, OutputError, short_repr
from keras_dream.files import check_output
from keras_dream.pictures.decoding import to_float
from keras_dream.pictures.drawing import fit, resize
from keras_dream.pictures.encoding import SUFFIXES, over_white
from keras_dream.pictures.metadata import read_notes
from keras_dream.pictures.picture import Picture, read_picture
from keras_dream.recipe.recipe import Recipe, canonical_json
from keras_dream.sheets.plan import Cell

# Fields of a record that do not decide the pixels, or not by themselves: the source's
# name, what happened during the run, and the kind of machine. A sheet that was started
# on one machine may be finished on another.
_NOT_DECIDING = ("versions", "processor", "source", "run", "steps", "losses", "notices",
           "complete")  # fmt: skip
_DECIDING_RUN = ("backend", "precision")

MIN_SIDE = 32  # pixels of a photo, or of a cell of a grid


@dataclass(frozen=True, eq=False)
class DreamedCell:
    """A cell with its dream.

    Attributes:
        cell: The planned cell.
        image: float32 (h, w, 3) in [0, 1] at its size on the sheet, over white.
        recipe: Its recipe, with the network and the objective that were used.
        path: The file with the whole dream and its recipe; None if it is not saved.
        silent: Whether the loss, and so the gradient, was 0 at every step.
    """

    cell: Cell
    image: np.ndarray
    recipe: Recipe
    path: Path | None
    silent: bool

    @property
    def label(self) -> str:
        """The text below the cell."""
        return f"{self.cell.label} silent".strip() if self.silent else self.cell.label


def open_folder(folder: Path) -> Path:
    """Creates a folder for cells and checks that files can be written there.

    Raises:
        OutputError: If it cannot be created or written to.
    """
    try:
        folder.mkdir(exist_ok=True)
    except OSError as failure:
        reason = (failure.strerror or "refused").lower()
        raise OutputError(
            "A folder for the cells must be created beside the sheet",
            received=f"{short_repr(str(folder))} ({reason})",
            hint="try another name or another folder for the sheet",
        ) from failure
    check_output(folder / "cell.png", SUFFIXES)
    return folder


def path_of(folder: Path, cell: Cell, dreamer: Dreamer) -> Path:
    """Returns the file of a cell; its name has a hash of whatever decides its pixels.

    Args:
        folder: Where the cells are.
        cell: The cell.
        dreamer: The dreamer of its recipe.
    """
    record = asdict(dreamer.record(cell.picture))
    deciding = {name: record[name] for name in record if name not in _NOT_DECIDING}
    deciding["run"] = {name: record["run"].get(name) for name in _DECIDING_RUN}
    deciding["version"] = record["versions"].get("keras-dream")
    deciding["recipe"] = (
        dreamer.complete(cell.recipe).for_size(cell.size).model_dump(mode="json")
    )
    key = hashlib.sha256(canonical_json(deciding).encode()).hexdigest()[:16]
    plain = re.sub(r"[^\w.-]+", "_", cell.name).strip("._") or "cell"
    return folder / f"{plain[:60]}-{key}.png"


def find(path: Path, cell: Cell, side: int) -> DreamedCell | None:
    """Reads a cell that was dreamed before; None if there is none, or a damaged one.

    Args:
        path: Its file.
        cell: The cell.
        side: The longer side on the sheet, in pixels.
    """
    if not path.is_file():
        return None
    try:
        notes = read_notes(path) or {}
        recipe, record = Recipe.read(notes["recipe"]), json.loads(notes["record"])
        picture = read_picture(path)
        losses = [loss for octave in record["losses"].values() for loss in octave]
    except (DreamError, LookupError, TypeError, ValueError, AttributeError):
        return None
    wanted = result_size(cell.size, recipe)
    if not record.get("complete") or picture.pixels.shape[:2] != wanted:
        return None
    image = on_sheet(picture.pixels, picture.alpha, side)
    return DreamedCell(cell, image, recipe, path, _is_silent(losses))


def keep(dream: Dream, cell: Cell, path: Path | None, side: int) -> DreamedCell:
    """Saves a cell's dream and returns it at its size on the sheet.

    Args:
        dream: The finished dream.
        cell: The cell.
        path: Its file, or None to save none.
        side: The longer side on the sheet, in pixels.

    Raises:
        SaveError: If it cannot be saved.
    """
    if path is not None:
        dream.save(path)
    losses = [loss for octave in dream.record.losses.values() for loss in octave]
    image = on_sheet(dream.image, dream.alpha, side)
    return DreamedCell(cell, image, dream.recipe, path, _is_silent(losses))


def on_sheet(image: np.ndarray, alpha: np.ndarray | None, side: int) -> np.ndarray:
    """Returns an image at its size on a sheet, over white.

    Args:
        image: float32 (height, width, 3).
        alpha: float32 (height, width), or None.
        side: The longer side on the sheet, in pixels.

    Returns:
        float32 (h, w, 3) in [0, 1].
    """
    if alpha is not None:
        image = over_white(image, alpha)
    size = fit((image.shape[0], image.shape[1]), (side, side))
    return to_float(resize(image, size))


def shrink(picture: Picture, side: int | None) -> Picture:
    """Returns a picture whose longer side is at most `side` pixels.

    Args:
        picture: Any picture.
        side: Pixels, or None for the picture's own.

    Returns:
        The picture itself, or a smaller, opaque one with another name, under which
        `dream replay` finds it beside the cells.

    Raises:
        InputError: If the side is too small.
    """
    if side is None or max(picture.pixels.shape[:2]) <= side:
        return picture
    if side < MIN_SIDE:
        raise InputError(
            f"The side of a photo must be at least {MIN_SIDE} pixels",
            received=str(side),
            hint="try 600",
        )
    pixels = on_sheet(picture.pixels, picture.alpha, side)
    stem = Path(picture.name or "photo").stem
    return Picture(pixels, name=f"{stem}-{side}.png")


def _is_silent(losses: list[Any]) -> bool:
    return bool(losses) and all(loss == 0 for loss in losses)
