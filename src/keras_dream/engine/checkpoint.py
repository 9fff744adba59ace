"""Checkpoints: a dream between two of its steps, in memory and as a file.

The file is a `.npz` of float arrays and of a head in JSON. It is read as untrusted, by
the reader of `arrays`. It has no paths: the photo is a name in its record, and the
result's name is that of the file itself.
"""

import hashlib
import logging
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, cast

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from keras_dream.engine.arrays import Kind, encode_arrays, read_arrays
from keras_dream.errors import InputError, SettingError, short_repr
from keras_dream.files import check_file, write_atomically
from keras_dream.recipe.scheme_plans import WHOLE, read_gradient

_log = logging.getLogger(__name__)

_MOST_HEAD = 16_000_000  # bytes: 100,000 steps' losses in each of 8 octaves
_MOST_STEPS = 1_000_000_000  # of an octave; a forged number must not be longer
_KINDS = (
    Kind("head", ("u1",), (None,), most=_MOST_HEAD),
    Kind(r"\d{1,4}", ("<f4", "<f2"), (None, None, None)),
)


@dataclass(frozen=True)
class Context:
    """What a dream needs, besides where it is, to go on in another process.

    Attributes:
        recipe: The complete recipe, as JSON text; "" if it is not known.
        record: The record as it was before the first step, as JSON text.
        notes: Whether recipe and record are saved in the result.
        strip: Whether camera, date and copyright of the photo are left out of it.
        keep_octaves: Whether what each octave added is saved beside it.
        picture_sha256: Of the file of the partial picture beside the checkpoint, where
            the dream was stopped.
    """

    recipe: str = ""
    record: str = ""
    notes: bool = True
    strip: bool = False
    keep_octaves: bool = False
    picture_sha256: str = ""


_NOTHING = Context()


@dataclass(frozen=True, eq=False, repr=False)
class Checkpoint:
    """A dream after one of its steps, from which it goes on.

    Attributes:
        octave: The number of the octave, from 1.
        iteration: How many of its steps are made.
        losses: The octave and the loss of every step so far.
        recipe_sha256: Of the complete recipe.
        start_sha256: Of the image that the dream began with.
        recorded_start: What the dream's record says of its start.
        parameters: The canvas' parameters, float32 arrays; none where only the image is
            known.
        fixed: What the canvas has fixed, such as magnitudes.
        state: The optimizer's state: numbers, arrays, None and tuples of them.
        image: The image at the octave's size, where there are no parameters.
        start: The image that the dream began with, where it was given in the place of
            what recipe and photo make.
        opacity: What `transparency` has added up, or None.
        entered: The image that the octave began with, where the octaves are kept.
        octaves: The numbers of earlier octaves and what they added, float16, where that
            is kept.
        ended: Why octaves have ended before their last step.
        gradient: By which schemes gradients were computed so far, as the run setting.
    """

    octave: int
    iteration: int
    losses: tuple[tuple[int, float], ...]
    recipe_sha256: str = ""
    start_sha256: str = ""
    recorded_start: str = ""
    parameters: tuple[np.ndarray, ...] = ()
    fixed: tuple[np.ndarray, ...] = ()
    state: Any = None
    image: np.ndarray | None = None
    start: np.ndarray | None = None
    opacity: np.ndarray | None = None
    entered: np.ndarray | None = None
    octaves: tuple[tuple[int, np.ndarray], ...] = ()
    ended: tuple[str, ...] = ()
    gradient: str = WHOLE.text

    def __repr__(self) -> str:
        return f"<Checkpoint after step {self.iteration} of octave {self.octave}>"

    @property
    def sha256(self) -> str:
        """The sha256 of the parameters, or of the image, in hexadecimal."""
        arrays = self.parameters or (self.image,)
        parts = (np.ascontiguousarray(a, "<f4").tobytes() for a in arrays)
        return hashlib.sha256(b"".join(parts)).hexdigest()

    def save(
        self, path: str | os.PathLike[str], *, context: Context = _NOTHING
    ) -> Path:
        """Writes the checkpoint, whole or not at all.

        Args:
            path: An .npz file; an older one is replaced.
            context: With what it goes on in another process.

        Returns:
            The path.

        Raises:
            SaveError: If the disk refuses.
        """
        arrays: list[np.ndarray] = []
        tree = {name: _packed(getattr(self, name), arrays) for name in _TREES}
        own = {n: getattr(self, n) for n in _Head.model_fields if hasattr(self, n)}
        head = _Head(**own, **asdict(context), tree=tree).model_dump_json()
        named = {str(number): array for number, array in enumerate(arrays)}
        text = np.frombuffer(head.encode(), np.uint8)
        write_atomically(path, encode_arrays({"head": text, **named}))
        _log.info("Saved %r in %s", self, path)
        return Path(path)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "Checkpoint":
        """Returns the checkpoint in a file.

        Raises:
            InputError: If there is no such file, or it is no whole checkpoint.
        """
        path = check_file(path, "A checkpoint")
        # Arrays are not packed, so that they have no more bytes than the file.
        arrays = read_arrays(path, _KINDS, _refused)
        head = _head(path, arrays)
        try:
            tree = {name: _unpacked(part, arrays) for name, part in head.tree.items()}
            values = {n: getattr(head, n) for n in _Head.model_fields if n in _FIELDS}
            checkpoint = cls(**values, **tree)
            read_gradient(checkpoint.gradient)
            checkpoint._check_arrays()
        except SettingError:
            raise _refused(f"{short_repr(str(path))} (its gradient)") from None
        except (LookupError, TypeError, ValueError, RecursionError) as failure:
            raise _refused(f"{short_repr(str(path))} ({failure})") from None
        return checkpoint

    def _check_arrays(self) -> None:
        """Raises a `TypeError` where something else stands in the place of an array."""
        optional = (self.image, self.start, self.opacity, self.entered)
        octaves = [array for _, array in self.octaves]
        given = [array for array in optional if array is not None]
        for array in (*self.parameters, *self.fixed, *given, *octaves):
            if not isinstance(array, np.ndarray):
                raise TypeError("no array where one must be")
        if not all(isinstance(number, int) for number, _ in self.octaves):
            raise TypeError("an octave without a number")
        if not self.parameters and self.image is None:
            raise TypeError("no parameters")


def read_context(path: str | os.PathLike[str]) -> Context:
    """Returns with what the dream of a checkpoint's file goes on.

    Raises:
        InputError: As for `Checkpoint.read`; the file's arrays are not read.
    """
    path = check_file(path, "A checkpoint")
    return _head(path, read_arrays(path, _KINDS, _refused, only="head")).context


class _Head(BaseModel):
    """All of a checkpoint but its arrays, which stand as {"array": number}."""

    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="constants")

    format: int = Field(default=3, ge=3, le=3)
    octave: int = Field(ge=1, le=_MOST_STEPS)
    iteration: int = Field(ge=0, le=_MOST_STEPS)
    losses: tuple[tuple[int, float], ...]
    recipe_sha256: str
    start_sha256: str
    recorded_start: str
    ended: tuple[str, ...]
    gradient: str
    tree: dict[str, Any]
    recipe: str
    record: str
    notes: bool
    strip: bool
    keep_octaves: bool
    picture_sha256: str

    @property
    def context(self) -> Context:
        """With what the dream goes on."""
        return Context(**{f.name: getattr(self, f.name) for f in fields(Context)})


_FIELDS = frozenset(field.name for field in fields(Checkpoint))
_TREES = (
    *("parameters", "fixed", "state", "image", "start", "opacity", "entered"),
    "octaves",
)


def _head(path: Path, arrays: dict[str, np.ndarray]) -> _Head:
    """Takes the head out of a checkpoint's arrays."""
    try:
        return _Head.model_validate_json(arrays.pop("head").tobytes())
    except (LookupError, ValueError) as failure:
        reason = " ".join(str(failure).split())[:80]
        raise _refused(f"{short_repr(str(path))} ({reason})") from None


def _refused(received: str) -> InputError:
    return InputError(
        "A checkpoint must be whole, as a dream wrote it",
        received=received,
        hint="remove it, to go on from the picture alone",
    )


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
