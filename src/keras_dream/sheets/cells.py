"""Cells on disk: each is dreamed once and found again by what decides it."""

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_dream.dreamer.dreamer import Dreamer
from keras_dream.engine.result import Dream
from keras_dream.errors import DreamError, InputError, OutputError, short_repr
from keras_dream.files import check_output
from keras_dream.pictures.encoding import SUFFIXES
from keras_dream.pictures.metadata import read_notes
from keras_dream.pictures.picture import Picture, read_picture, to_uint8
from keras_dream.recipe.recipe import Recipe, canonical_json
from keras_dream.sheets.draw import shrunk
from keras_dream.sheets.plan import Cell

# What a record holds that does not decide the pixels, or not by itself: the name of
# the source, what happened on the way, and the kind of machine. A sheet that was begun
# on one machine may be finished on another.
_BESIDE = ("versions", "processor", "source", "run", "steps", "losses", "notices",
           "complete")  # fmt: skip
_DECIDING_RUN = ("backend", "precision")

LEAST_SIDE = 32  # pixels of a photo, or of a cell of a grid


@dataclass(frozen=True, eq=False)
class Made:
    """A cell that is dreamed.

    Attributes:
        cell: Which one.
        image: float32 (h, w, 3) in [0, 1] at its size on the sheet, over white.
        recipe: What decided it, with the network and the objective that were used.
        path: Its file, with the whole dream and its recipe; None if it is not kept.
        silent: Whether the loss was 0 at every step: then there was nothing to climb.
    """

    cell: Cell
    image: np.ndarray
    recipe: Recipe
    path: Path | None
    silent: bool

    @property
    def label(self) -> str:
        """What stands below the cell."""
        return f"{self.cell.label} silent".strip() if self.silent else self.cell.label


def open_folder(folder: Path) -> Path:
    """Makes a folder for cells and sees that it takes files.

    Raises:
        OutputError: If it cannot be made or takes none.
    """
    try:
        folder.mkdir(exist_ok=True)
    except OSError as failure:
        reason = (failure.strerror or "refused").lower()
        raise OutputError(
            "A folder for the cells must be made beside the sheet",
            received=f"{short_repr(str(folder))} ({reason})",
            hint="try another name or another folder for the sheet",
        ) from failure
    check_output(folder / "cell.png", SUFFIXES)
    return folder


def path_of(folder: Path, cell: Cell, dreamer: Dreamer) -> Path:
    """Returns the file of a cell; whatever decides its pixels is in the name.

    Args:
        folder: Where the cells are.
        cell: The cell.
        dreamer: Who dreams it.
    """
    record = asdict(dreamer.record(cell.picture))
    deciding = {name: value for name, value in record.items() if name not in _BESIDE}
    deciding["run"] = {name: record["run"].get(name) for name in _DECIDING_RUN}
    deciding["version"] = record["versions"].get("keras-dream")
    deciding["recipe"] = dreamer.complete(cell.recipe).model_dump(mode="json")
    key = hashlib.sha256(canonical_json(deciding).encode()).hexdigest()[:16]
    plain = re.sub(r"[^\w.-]+", "_", cell.name).strip("._") or "cell"
    return folder / f"{plain[:60]}-{key}.png"


def find(path: Path, cell: Cell, side: int) -> Made | None:
    """Returns a cell that was dreamed before; None if it was not, or is damaged.

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
    if not record.get("complete") or picture.pixels.shape[:2] != cell.size:
        return None
    image = on_sheet(picture.pixels, picture.alpha, side)
    return Made(cell, image, recipe, path, _is_silent(losses))


def keep(dream: Dream, cell: Cell, path: Path | None, side: int) -> Made:
    """Saves a cell's dream and returns what the sheet needs of it.

    Args:
        dream: The finished dream.
        cell: The cell.
        path: Its file, or None to keep none.
        side: The longer side on the sheet, in pixels.

    Raises:
        SaveError: If the disk refuses.
    """
    if path is not None:
        dream.save(path)
    losses = [loss for octave in dream.record.losses.values() for loss in octave]
    image = on_sheet(dream.image, dream.alpha, side)
    return Made(cell, image, dream.recipe, path, _is_silent(losses))


def on_sheet(image: np.ndarray, alpha: np.ndarray | None, side: int) -> np.ndarray:
    """Returns an image at its size on a sheet, over white.

    Args:
        image: float32 (height, width, 3).
        alpha: float32 (height, width), or None.
        side: The longer side on the sheet, in pixels.

    Returns:
        float32 (h, w, 3) in [0, 1].
    """
    from PIL import Image

    image = image.clip(0, 1)
    if alpha is not None:
        opacity = alpha.clip(0, 1)[..., None]
        image = image * opacity + (1 - opacity)
    height, width = shrunk((image.shape[0], image.shape[1]), side)
    whole = Image.fromarray(to_uint8(image))
    if whole.size != (width, height):
        whole = whole.resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(whole, np.float32) / np.float32(255)


def shrink(picture: Picture, side: int | None) -> Picture:
    """Returns a picture whose longer side is at most `side` pixels.

    Args:
        picture: Any; it is left as it is where it is small enough.
        side: Pixels, or None.

    Returns:
        The picture itself, or a smaller one, opaque, of another name: it must be found
        beside the cells when one of them is made again.

    Raises:
        InputError: If the side cannot be.
    """
    if side is None or max(picture.pixels.shape[:2]) <= side:
        return picture
    if side < LEAST_SIDE:
        raise InputError(
            f"The side of a photo must be at least {LEAST_SIDE} pixels",
            received=str(side),
            hint="try 600",
        )
    pixels = on_sheet(picture.pixels, picture.alpha, side)
    stem = Path(picture.name or "photo").stem
    return Picture(pixels, name=f"{stem}-{side}.png")


def _is_silent(losses: list[Any]) -> bool:
    return bool(losses) and all(loss == 0 for loss in losses)
