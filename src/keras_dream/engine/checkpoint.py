"""Checkpoints: a dream between two of its steps, in memory and as a file.

The file is a `.npz` of float32 arrays and of a head in JSON. It is read as untrusted:
nothing in it is unpickled, unpacked or executed, and no more is read than is there.
"""

import hashlib
import io
import json
import logging
import os
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from keras_dream.errors import InputError, short_repr
from keras_dream.files import check_file, write_atomically

_log = logging.getLogger(__name__)

SUFFIX = ".canvas.npz"
"""What a picture's checkpoint is called, in place of the picture's own suffix."""

_MOST_ARRAYS = 2_000  # L-BFGS of 100 steps has 4 for each; parameters are a few
_MOST_HEAD = 16_000_000  # bytes: 100,000 steps' losses in each of 8 octaves
_NAME = re.compile(r"(?:head|\d{1,4})\.npy")


@dataclass(frozen=True, eq=False, repr=False)
class Checkpoint:
    """A dream after one of its steps, from which it goes on.

    Attributes:
        octave: The number of the octave, from 1.
        iteration: How many of its steps are made.
        losses: The octave and the loss of every step so far.
        recipe_sha256: Of the complete recipe.
        start_sha256: Of the image that the dream began with.
        parameters: The canvas' parameters, float32 arrays; none where only the image is
            known.
        fixed: What the canvas has fixed, such as magnitudes.
        state: The optimizer's state: numbers, arrays, None and tuples of them.
        image: The image at the octave's size, where there are no parameters.
        opacity: What `transparency` has added up, or None.
        ended: Why octaves have ended before their last step.
    """

    octave: int
    iteration: int
    losses: tuple[tuple[int, float], ...]
    recipe_sha256: str = ""
    start_sha256: str = ""
    parameters: tuple[np.ndarray, ...] = ()
    fixed: tuple[np.ndarray, ...] = ()
    state: Any = None
    image: np.ndarray | None = None
    opacity: np.ndarray | None = None
    ended: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Checkpoint after step {self.iteration} of octave {self.octave}>"

    @property
    def sha256(self) -> str:
        """The sha256 of the parameters, or of the image, in hexadecimal."""
        arrays = self.parameters or (self.image,)
        parts = (np.ascontiguousarray(a, "<f4").tobytes() for a in arrays)
        return hashlib.sha256(b"".join(parts)).hexdigest()

    def save(self, path: str | os.PathLike[str], *, picture_sha256: str = "") -> Path:
        """Writes the checkpoint, whole or not at all.

        Args:
            path: An .npz file; an older one is replaced.
            picture_sha256: Of the file of the picture that belongs to it.

        Raises:
            SaveError: If the disk refuses.
        """
        arrays: list[np.ndarray] = []
        names = ("parameters", "fixed", "state", "image", "opacity")
        tree = {name: _packed(getattr(self, name), arrays) for name in names}
        head = _Head(
            octave=self.octave,
            iteration=self.iteration,
            losses=self.losses,
            recipe_sha256=self.recipe_sha256,
            start_sha256=self.start_sha256,
            picture_sha256=picture_sha256,
            ended=self.ended,
            tree=tree,
        )
        file = io.BytesIO()
        text = np.frombuffer(json.dumps(head.model_dump()).encode(), np.uint8)
        numbered = {str(number): array for number, array in enumerate(arrays)}
        np.savez(file, allow_pickle=False, head=text, **cast("Any", numbered))
        write_atomically(path, file.getvalue())
        _log.info(
            "Checkpoint of octave %d, step %d, in %s", self.octave, self.iteration, path
        )
        return Path(path)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "tuple[Checkpoint, str]":
        """Returns the checkpoint in a file, and the sha256 of its picture's file.

        Raises:
            InputError: If there is no such file, or it is no whole checkpoint.
        """
        path = check_file(path, "A checkpoint")
        try:
            with zipfile.ZipFile(path) as archive:
                arrays = _members(archive)
            head = _Head.model_validate_json(arrays.pop("head").tobytes())
            if not all(np.isfinite(array).all() for array in arrays.values()):
                raise ValueError("values that are not finite")
            tree = {name: _unpacked(part, arrays) for name, part in head.tree.items()}
            values = head.model_dump(exclude={"format", "picture_sha256", "tree"})
            values["losses"] = tuple(map(tuple, head.losses))
            checkpoint = cls(**values, **tree)
            checkpoint._check_arrays()
        # A damaged or forged file may break the reader in any way.
        except Exception as failure:  # noqa: BLE001
            reason = " ".join(str(failure).split())[:80] or type(failure).__name__
            raise InputError(
                "A checkpoint must be whole, as --save-canvas wrote it",
                received=f"{short_repr(str(path))} ({reason})",
                hint="remove it, to go on from the picture alone",
            ) from None
        return checkpoint, head.picture_sha256

    def _check_arrays(self) -> None:
        """Raises a `TypeError` where something else stands in the place of an array."""
        optional = [part for part in (self.image, self.opacity) if part is not None]
        for array in (*self.parameters, *self.fixed, *optional):
            if not isinstance(array, np.ndarray):
                raise TypeError("no array where one must be")
        if not self.parameters and self.image is None:
            raise TypeError("no parameters")


class _Head(BaseModel):
    """All of a checkpoint but its arrays, which stand as {"array": number}."""

    model_config = ConfigDict(extra="forbid")

    format: int = Field(default=1, ge=1, le=1)
    octave: int = Field(ge=1)
    iteration: int = Field(ge=0)
    losses: tuple[tuple[int, float], ...]
    recipe_sha256: str
    start_sha256: str
    picture_sha256: str
    ended: tuple[str, ...]
    tree: dict[str, Any]


def host(tree: Any, copy: Callable[[Any], np.ndarray]) -> Any:
    """Returns a tree of numbers, None, tuples and arrays with its arrays copied."""
    if tree is None or isinstance(tree, bool | int | float):
        return tree
    if isinstance(tree, tuple):
        return tuple(host(part, copy) for part in cast("tuple[Any, ...]", tree))
    return copy(tree)


def _packed(tree: Any, arrays: list[np.ndarray]) -> Any:
    """Returns a tree as JSON types; its arrays go to a list, equal ones once."""

    def pack(array: np.ndarray) -> dict[str, int]:
        for number, other in enumerate(arrays):
            if other is array:
                return {"array": number}
        arrays.append(array)
        return {"array": len(arrays) - 1}

    return host(tree, cast("Any", pack))


def _unpacked(tree: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(tree, list):
        return tuple(_unpacked(part, arrays) for part in cast("list[Any]", tree))
    if isinstance(tree, dict):
        return arrays[str(cast("dict[str, int]", tree)["array"])]
    return tree


def _members(archive: zipfile.ZipFile) -> dict[str, np.ndarray]:
    """Returns the arrays of a .npz by their names; raises anything if it is damaged."""
    members = archive.infolist()
    if len(members) > _MOST_ARRAYS:
        raise ValueError(f"{len(members)} arrays")
    arrays: dict[str, np.ndarray] = {}
    for member in members:
        is_head = member.filename == "head.npy"
        if (
            not _NAME.fullmatch(member.filename)
            # Not packed, so that nothing is larger than the file itself.
            or member.compress_type != zipfile.ZIP_STORED
            or (is_head and member.file_size > _MOST_HEAD)
        ):
            raise ValueError(f"the part {member.filename[:40]!r}")
        with archive.open(member) as file:
            if np.lib.format.read_magic(file) != (1, 0):
                raise ValueError("another version of its arrays")
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            wanted, axes = (np.uint8, 1) if is_head else (np.float32, 3)
            values = np.frombuffer(file.read(), wanted)
            if dtype != wanted or len(shape) != axes:
                raise ValueError(f"an array of {dtype} {shape}")
        arrays[member.filename.removesuffix(".npy")] = values.reshape(shape)
    return arrays
