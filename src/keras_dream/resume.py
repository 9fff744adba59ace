"""Unfinished dreams: kept about every minute, found again, and gone on from.

`sky-dream.png.canvas.npz` lies where `sky-dream.png` will be, until that is whole. It
may be a stranger's: what it says is validated like a saved picture's recipe and record.
"""

import contextlib
import json
import os
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from keras_dream.claims import is_claimed
from keras_dream.engine.checkpoint import Checkpoint, Context, read_context
from keras_dream.errors import DreamError, InputError, short_repr
from keras_dream.failures import is_out_of_memory
from keras_dream.files import CHECKPOINT, checkpoint_path, sha256_file
from keras_dream.pictures.encoding import SUFFIXES
from keras_dream.pictures.sources import is_source
from keras_dream.replay import Saved, differences, saved_of

if TYPE_CHECKING:
    from keras_dream.engine.loop import Run
    from keras_dream.engine.result import Record

INTERVAL = 60.0
"""Seconds between two checkpoints: what a killed dream loses at most."""

MOST_SHARE = 0.02
"""Of a dream's time for its checkpoints: on a slow disk they come less often."""

_MOST_LISTED = 12


class Checkpoints:
    """The checkpoint of a dream under way, brought up to date from time to time.

    Args:
        picture: Where the result will be.
        context: With what the dream goes on in another process.
        every: Seconds between two.
        clock: Returns the time in seconds.

    Attributes:
        path: The file.
    """

    def __init__(
        self,
        picture: Path,
        context: Context,
        *,
        every: float = INTERVAL,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.path = checkpoint_path(picture)
        self._context = context
        self._every = every
        self._clock = clock
        self._due = clock() + every
        self._failed = False

    def update(self, run: "Run") -> str:
        """Saves where a run is, if it is time.

        Returns:
            A sentence for the user where the disk refuses, the first time; else "".
        """
        began = self._clock()
        if began < self._due:
            return ""
        sentence = ""
        try:
            self.keep(run)
        # A dream that can be made must not end because it cannot be kept.
        except Exception as failure:
            if not (isinstance(failure, DreamError) or is_out_of_memory(failure)):
                raise
            what = "This dream could not go on after a crash, for its checkpoint cannot"
            sentence = f"{what} be saved. {failure}"
        now = self._clock()
        self._due = now + max(self._every, (now - began) / MOST_SHARE)
        first, self._failed = not self._failed, self._failed or bool(sentence)
        return sentence if first else ""

    def keep(self, run: "Run") -> None:
        """Saves where a run is, if it has made a step.

        Raises:
            SaveError: If the disk refuses.
        """
        if (checkpoint := run.checkpoint) is not None:
            checkpoint.save(self.path, context=self._context)

    def stop(self, checkpoint: Checkpoint, picture: Path) -> None:
        """Saves where a dream was stopped, beside its partial picture.

        Args:
            checkpoint: Where it is.
            picture: The saved picture.

        Raises:
            SaveError: If the disk refuses.
        """
        context = replace(self._context, picture_sha256=sha256_file(picture))
        path = checkpoint.save(checkpoint_path(picture), context=context)
        if path != self.path:  # the picture has got another name
            self.remove()

    def remove(self) -> None:
        """Removes the file, if the disk takes that: the dream is saved whole."""
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)


@dataclass(frozen=True, eq=False)
class Resumable:
    """An unfinished dream.

    Attributes:
        path: Its checkpoint's file.
        saved: Its recipe and its record, with the path where the result will be.
        checkpoint: Where it is.
        context: With what it goes on.
    """

    path: Path
    saved: Saved
    checkpoint: Checkpoint
    context: Context

    @property
    def picture(self) -> Path:
        """Where the result will be."""
        return self.saved.path

    def owns(self, path: Path) -> bool:
        """Tells whether the result may take a name: free, or its partial picture's."""
        if path != self.picture or not os.path.lexists(path):
            return path == self.picture
        with contextlib.suppress(OSError):  # such as of a link to nothing
            return sha256_file(path) == self.context.picture_sha256
        return False

    def notices(self, now: "Record") -> tuple[str, ...]:
        """Returns what makes it go on otherwise than it would have.

        Args:
            now: The record of this run before its first step.
        """
        different = differences(self.saved.record, now)
        if not different:
            return ()
        alike = "The dream goes on alike, not equal to what it would have been, with"
        return (f"{alike} {', '.join(different)}.",)


def read_resumable(path: Path) -> Resumable:
    """Reads an unfinished dream.

    Args:
        path: The checkpoint's file, whose name is the result's and `.canvas.npz`.

    Raises:
        InputError: If it is damaged, or was saved without its recipe.
        SettingError, PictureError: If its recipe or its record is invalid.
    """
    checkpoint, context = Checkpoint.read(path), read_context(path)
    picture = path.with_name(path.name.removesuffix(CHECKPOINT))
    if not context.recipe:
        raise InputError(
            "A checkpoint must have its recipe to go on by itself",
            received=f"{short_repr(str(path))}, which was saved without",
            hint="go on in Python, with `start`",
        )
    saved = saved_of(picture, {"recipe": context.recipe, "record": context.record})
    if saved.recipe.sha256 != checkpoint.recipe_sha256:
        raise InputError(
            "A checkpoint must be of the recipe that it has",
            received=f"{short_repr(str(path))}, which is of another",
            hint="remove it, and dream the photo anew",
        )
    return Resumable(path, saved, checkpoint, context)


def unfinished_in(folders: Sequence[Path]) -> list[Path]:
    """Returns the checkpoints in folders, without those of dreams under way."""
    found: dict[Path, None] = {}
    for folder in folders:
        for path in sorted(folder.glob(f"*{CHECKPOINT}")):
            picture = path.with_name(path.name.removesuffix(CHECKPOINT))
            if picture.suffix.lower() in SUFFIXES and not is_claimed(picture):
                found[path] = None
    return list(found)


def command_for(path: Path, *, photo: str | None = None) -> str:
    """Returns the shell's line that goes on with a dream from the current folder.

    Args:
        path: The dream's checkpoint.
        photo: Its photo, which is named where it is not beside the result.
    """
    named, out = [], ["-o", _argument(str(path).removesuffix(CHECKPOINT))]
    # Not a source such as noise:512x512, and not standard input.
    if photo is not None and Path(photo).is_file():
        is_beside = Path(photo).parent.resolve() == path.parent.resolve()
        named = [] if is_beside else [_argument(photo)]
    if not named and [each.resolve() for each in unfinished_in([Path()])] == [
        path.resolve()
    ]:
        out = []
    return shlex.join(["dream", *named, "--resume", *out])


def _argument(name: str) -> str:
    """Returns the name of a file such that it does not begin like an option."""
    return f"./{name}" if name.startswith("-") else name


def find_unfinished(photo: str | None, out: str | None) -> Path:
    """Returns the checkpoint of the unfinished dream that is meant.

    Args:
        photo: The photo that is dreamed; None for any.
        out: The result, or its folder; None looks in the current folder and in the
            photo's.

    Raises:
        InputError: If there is none, or several.
    """
    if out is not None and not Path(out).is_dir():
        return checkpoint_path(Path(out))
    is_file = photo is not None and not is_source(photo)
    beside = [Path(photo).parent] if photo is not None and is_file else []
    folders = [Path(out)] if out is not None else [Path(), *beside]
    paths, unknown = unfinished_in(list(dict.fromkeys(folders))), list[Path]()
    if photo is not None:
        name = Path(photo).name if is_file else photo
        sources = {path: _source(path) for path in paths}
        paths = [path for path, source in sources.items() if source == name]
        unknown = [path for path, source in sources.items() if not source]
    if len(paths) == 1:
        return paths[0]
    names = [str(path).removesuffix(CHECKPOINT) for path in paths]
    if not names:
        what = "none" if photo is None else f"none of {short_repr(photo)}"
        where = dict.fromkeys(repr(str(folder.resolve())) for folder in folders)
        but = ""
        hint = (
            "name its result with -o; one is kept when it is stopped, and every minute"
        )
        if unknown:
            listed = ", ".join(short_repr(str(path)) for path in unknown[:_MOST_LISTED])
            but = f", but {listed}, damaged or without a photo's name"
            hint = f"see what is wrong with `{command_for(unknown[0])}`"
        raise InputError(
            "There must be an unfinished dream to go on with",
            received=f"{what} in {' and '.join(where)}{but}",
            hint=hint,
        )
    more = ", …" if len(names) > _MOST_LISTED else ""
    raise InputError(
        "There must be one unfinished dream to go on with, or it must be named",
        received=f"{len(names)}: {', '.join(names[:_MOST_LISTED])}{more}",
        hint=f"try `{command_for(paths[0], photo=photo)}`",
    )


def _source(path: Path) -> str:
    """Returns the name of a checkpoint's photo, as it says; "" for a broken one."""
    try:
        return str(json.loads(read_context(path).record)["source"])
    except (InputError, LookupError, TypeError, ValueError, RecursionError):
        return ""
