"""Dreamed cells, and their files: each is named by what decides its pixels."""

import contextlib
import hashlib
import json
import os
import re
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar
from weakref import WeakValueDictionary

import numpy as np

from keras_dream.dreamer.dreamer import Dreamer
from keras_dream.engine.finish import result_size
from keras_dream.engine.result import Dream
from keras_dream.errors import DreamError, InputError, OutputError, short_repr
from keras_dream.files import check_output, is_taken, numbered, stage
from keras_dream.jobs.journal import Item, Journal, NewItem, State, is_journal
from keras_dream.names import name_fault
from keras_dream.pictures.decoding import to_float
from keras_dream.pictures.drawing import fit, resize
from keras_dream.pictures.encoding import SUFFIXES, over_white, save_picture
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


class CellFolder:
    """The folder of a sheet's cells, with its journal.

    Folder and journal are made by `begin`, so that a sheet that is refused leaves none.
    One process has the journal at a time; inside it, sheets of one folder take turns,
    since a run that somebody stopped reading is not over.

    Args:
        folder: The folder.
        kind: Of its sheets, as in `Plan`.
        fresh: Whether cells are dreamed again that are there.

    Raises:
        OutputError: There is something else, or the folder takes no files.
        JobsError: Another process dreams there, or the journal cannot be used.
    """

    _turn: ClassVar = threading.RLock()
    _open: ClassVar[WeakValueDictionary[Path, "CellFolder"]] = WeakValueDictionary()

    def __init__(self, folder: Path, *, kind: str, fresh: bool = False):
        self.folder = folder
        self._kind = kind
        self._fresh = fresh
        self._close: Callable[[], object] | None = None
        self._journal: Journal | None = None
        if os.path.lexists(folder):
            _make(folder)

    def close(self) -> None:
        """Lets others have the journal."""
        with self._turn:
            if self._close is not None:
                self._close()
            self._close = self._journal = None

    def find(self, keys: Mapping[str, Cell], side: int) -> dict[str, DreamedCell]:
        """Reads the cells that were dreamed before, and are as they were saved.

        Args:
            keys: Cells by their keys.
            side: The longer side on the sheet, in pixels.

        Returns:
            Those that are there, by their keys.
        """
        if self._fresh or not is_journal(self.folder):
            return {}
        with self._in_turn() as journal:
            done = [i for i in journal.items(State.DONE) if i.key in keys]
            paths = {item.key: journal.path(item) for item in done}
        cells = {key: _read(path, keys[key], side) for key, path in paths.items()}
        return {key: cell for key, cell in cells.items() if cell is not None}

    def begin(self, keys: Mapping[str, Cell], beside: Iterable[Picture]) -> list[str]:
        """Makes the folder where it is missing, and notes what is to be dreamed.

        Args:
            keys: All cells of the sheet, by their keys.
            beside: Pictures that cells start from, and that are no files elsewhere:
                `dream replay` looks for them here.

        Returns:
            A sentence for each file that is not as it was saved.

        Raises:
            OutputError: The folder cannot be created or written to.
            SaveError: The disk refuses.
        """
        _make(self.folder)
        for picture in beside:
            save_picture(self.folder / picture.name, picture.pixels)
        with self._in_turn() as journal:
            others = [i for i in journal.items() if i.key not in keys]
            journal.forget(i for i in others if i.state is not State.DONE)
            items = journal.add(item_of(key, cell) for key, cell in keys.items())
            if self._fresh:
                journal.reset(i for i in items if i.state is State.DONE)
        return [
            f"{short_repr(item.output, limit=300)} is not as this sheet saved it; it "
            "is kept, and its cell is dreamed again under another name."
            for item in items
            if item.state is State.AMBIGUOUS
        ]

    def start(self, key: str, cell: Cell) -> None:
        """Notes that a cell is being dreamed."""
        with self._in_turn() as journal:
            journal.start(_item(journal, key, cell))

    def keep(self, dream: Dream, key: str, cell: Cell) -> Path:
        """Saves a cell's dream, under another name where its file was changed.

        Args:
            dream: The finished dream.
            key: The key of its cell.
            cell: The cell.

        Returns:
            Its file.

        Raises:
            SaveError: It cannot be saved.
        """
        data = dream.encode(suffix=".png")
        with self._in_turn() as journal:
            item = _item(journal, key, cell)
            item = journal.save(item, stage(journal.path(item), data))
            while item.state is State.AMBIGUOUS:
                names = numbered(journal.path(item))
                item = journal.move(
                    item, next(n for n in names if not is_taken(n)).name
                )
                item = journal.save(item, stage(journal.path(item), data))
            return self.folder / item.output

    @contextlib.contextmanager
    def _in_turn(self) -> Iterator[Journal]:
        """Yields the journal, which this process has from then on."""
        with self._turn:
            if self._journal is None:
                path = self.folder.resolve()
                if other := self._open.get(path):
                    other.close()
                self._journal = Journal.open(path, kind=self._kind, key="cells")
                self._close = weakref.finalize(self, self._journal.close)
                self._open[path] = self
                self._journal.reconcile()
            yield self._journal


def _make(folder: Path) -> None:
    """Creates a folder for cells where it is missing, and checks that it takes files.

    Raises:
        OutputError: It cannot be created or written to.
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


def _item(journal: Journal, key: str, cell: Cell) -> Item:
    """Returns a cell's item, which another sheet may have forgotten meanwhile."""
    try:
        return journal.item(key)
    except KeyError:
        (item,) = journal.add([item_of(key, cell)])
        return item


def item_of(key: str, cell: Cell) -> NewItem:
    """Returns a cell as an item of a journal.

    Args:
        key: From `key_of`.
        cell: The cell.
    """
    plain = re.sub(r"[^\w.-]+", "_", cell.name).strip("._") or "cell"
    plain = plain[:60].encode()[:200].decode(errors="ignore")
    output = f"{plain}-{key[:16]}.png"
    return NewItem(
        key=key,
        name=cell.where or cell.name,
        input=cell.picture.name or "",
        recipe=cell.recipe.json_text(),
        recipe_sha256=cell.recipe.sha256,
        output=f"cell-{output}" if name_fault(output) else output,  # a device's name
    )


def key_of(cell: Cell, dreamer: Dreamer) -> str:
    """Returns a hash of whatever decides the pixels of a cell.

    Args:
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
    return hashlib.sha256(canonical_json(deciding).encode()).hexdigest()


def _read(path: Path, cell: Cell, side: int) -> DreamedCell | None:
    """Reads a cell that was dreamed before; None for what a forged journal vouches for.

    Args:
        path: Its file.
        cell: The cell.
        side: The longer side on the sheet, in pixels.
    """
    try:
        notes = read_notes(path) or {}
        recipe, record = Recipe.read(notes["recipe"]), json.loads(notes["record"])
        picture = read_picture(path)
        losses = [loss for octave in record["losses"].values() for loss in octave]
    except (DreamError, LookupError, TypeError, ValueError, AttributeError):
        return None
    if picture.pixels.shape[:2] != result_size(cell.size, recipe):
        return None
    image = on_sheet(picture.pixels, picture.alpha, side)
    return DreamedCell(cell, image, recipe, path, _is_silent(losses))


def dreamed(dream: Dream, cell: Cell, path: Path | None, side: int) -> DreamedCell:
    """Returns a cell with its dream, at its size on the sheet.

    Args:
        dream: The finished dream.
        cell: The cell.
        path: Its file, or None.
        side: The longer side on the sheet, in pixels.
    """
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
