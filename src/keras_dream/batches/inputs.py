"""What a batch is made of: photos of files, folders, patterns and sources.

`keras_dream.batches.manifest` reads a manifest, which has a recipe for each photo.
"""

import contextlib
import glob
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from keras_dream.errors import DreamError, JobsError, PictureError, short_repr
from keras_dream.events import ItemFailed
from keras_dream.files import CELLS, check_file
from keras_dream.jobs.database import FILE
from keras_dream.jobs.journal import read_journal
from keras_dream.names import natural
from keras_dream.pictures.picture import READ_SUFFIXES
from keras_dream.pictures.sources import is_source, size_of
from keras_dream.recipe.recipe import Recipe

_OURS = re.compile(
    r"(.+-(dream|mix|grid|atlas|looks|seen|variations)|contact-sheet)(-\d+)?\.\w+"
)
_SIGNS = frozenset("*?[")


@dataclass(frozen=True)
class Task:
    """One picture of a batch, before it is run.

    Attributes:
        photo: The photo's path, or a source without one, such as noise:640x480.
        recipe: What decides the dream.
        path: The result's path, in the folder of the results or below it.
        where: Where it was asked for, in words for messages: "line 12 of list.csv";
            "" for a photo of the command line.
    """

    photo: str
    recipe: Recipe
    path: Path
    where: str = ""


@dataclass(frozen=True)
class Tasks:
    """The pictures of a batch, and what could not be planned.

    Attributes:
        tasks: The pictures, in order, each with a path of its own.
        refused: What has no task, such as a broken line of a manifest: it is listed
            with the failures at the end.
        files: The files that the recipes name, such as guides.
        notices: What the user should know, as sentences.
    """

    tasks: tuple[Task, ...]
    refused: tuple[ItemFailed, ...] = ()
    files: tuple[Path, ...] = ()
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Photo:
    """A photo that was found.

    Attributes:
        path: Its path, or a source without one.
        below: Its folder, from the folder that was named on: "" or "summer/beach".
    """

    path: str
    below: str = ""


@dataclass
class Photos:
    """What was found.

    Attributes:
        photos: The photos in order, each once.
        errors: What is wrong with arguments, and with folders below them, that stand
            for no picture, by their names.
        own: How many results of ours were left out.
        links: How many links to folders were left out.
    """

    photos: list[Photo] = field(default_factory=list[Photo])
    errors: dict[str, DreamError] = field(default_factory=dict[str, DreamError])
    own: int = 0
    links: int = 0


def find_photos(
    arguments: Sequence[str],
    *,
    recursive: bool = True,
    empty: bool = False,
    without: Path | None = None,
) -> Photos:
    """Returns the photos that are meant.

    Args:
        arguments: Files, folders, patterns, and sources without a photo. Of a folder
            these are its pictures in natural order, without hidden ones and without
            results of ours, known by their names or by a journal; links to folders are
            not followed, for they may lead round in a circle. In a pattern ** stands
            for folders of any depth.
        recursive: Whether the folders in a folder belong to it.
        empty: Whether folders and patterns may stand for no picture, as yet.
        without: A folder that is left out of those above it: that of the results.

    Raises:
        SettingError: If a source cannot be read.
    """
    found = Photos()
    walk = _Walk(found, recursive=recursive, without=without)
    several = sum(is_folder(text) for text in arguments) > 1
    for text in arguments:
        if is_folder(text):
            folder = Path(text)
            walk.add(folder, below=folder.resolve().name if several else "")
        elif is_source(text):
            size_of(text)
            found.photos.append(Photo(text))
        elif _is_pattern(text):
            walk.pattern(text)
        else:
            found.photos.append(Photo(text))
    if empty:
        found.errors.clear()
    unique: dict[str, Photo] = {}
    for photo in found.photos:
        unique.setdefault(os.path.abspath(photo.path), photo)  # noqa: PTH100, links stay
    found.photos = list(unique.values())
    return found


def expand(text: str) -> list[str]:
    """Returns the files that a pattern matches, in natural order, or the text itself.

    PowerShell and cmd pass patterns on as they are.
    """
    if not _is_pattern(text):
        return [text]
    # Not pathlib's own, which does not take "../*".
    return sorted(glob.iglob(text, recursive=True), key=natural)  # noqa: PTH207


def _is_pattern(text: str) -> bool:
    return bool(_SIGNS & set(text)) and not exists(text)


def check_photo(photo: str) -> None:
    """Checks that a photo is a file, or a source without one.

    Raises:
        InputError: If it is not.
    """
    if not is_source(photo):
        check_file(photo, "A picture", error=PictureError)


def is_folder(text: str) -> bool:
    """Tells whether a text is the name of a folder; "" is none."""
    with contextlib.suppress(OSError, ValueError):  # too long a name, or NUL in it
        return bool(text) and Path(text).is_dir()
    return False


def exists(text: str) -> bool:
    """Tells whether there is a file or a folder of a name."""
    with contextlib.suppress(OSError, ValueError):
        return Path(text).exists()
    return False


class _Walk:
    """Collects the pictures of folders."""

    def __init__(self, found: Photos, *, recursive: bool, without: Path | None):
        self._found = found
        self._recursive = recursive
        self._without = None if without is None else without.resolve()
        self._own: set[Path] = set()

    def add(self, folder: Path, *, below: str) -> None:
        """Adds a folder's pictures, and those of the folders in it."""
        for above in folder.absolute().parents:
            self._own |= _results(above)
        waiting = [(folder, below)]
        count, own = len(self._found.photos), self._found.own
        while waiting:
            here, place = waiting.pop()
            try:
                with os.scandir(here) as entries:
                    names = sorted(entries, key=lambda e: (natural(e.name), e.name))
            except OSError as failure:
                self._found.errors[str(here)] = _unreadable(here, failure)
                continue
            self._own |= _results(here.absolute())
            folders = [entry for entry in names if self._is_picture(entry, place)]
            if self._recursive:
                deeper = [(here / e.name, _join(place, e.name)) for e in folders]
                waiting += reversed(
                    [pair for pair in deeper if self._is_input(pair[0])]
                )
        if len(self._found.photos) == count:
            error = _empty(folder, self._found.own - own)
            self._found.errors.setdefault(str(folder), error)

    def pattern(self, pattern: str) -> None:
        """Adds the pictures that a pattern matches, in natural order."""
        parts = Path(pattern).parts
        fixed = next(n for n, part in enumerate(parts) if _SIGNS & set(part))
        top = Path(*parts[:fixed])
        matching = expand(pattern)
        if Path(pattern).suffix.lower() not in READ_SUFFIXES:  # such as "photos/*"
            matching = [t for t in matching if Path(t).suffix.lower() in READ_SUFFIXES]
        folders = {Path(text).parent.absolute() for text in matching}
        for folder in {each for below in folders for each in (below, *below.parents)}:
            self._own |= _results(folder)
        for text in matching:
            path = Path(text)
            if path.is_file() and not self._is_result(path):
                below = path.parent.relative_to(top).as_posix()
                self._found.photos.append(Photo(text, "" if below == "." else below))
        if not matching:
            self._found.errors[pattern] = PictureError(
                "A pattern must match a picture",
                received=f"{short_repr(pattern)}, which matches none",
                hint="check the folder and the suffix",
            )

    def _is_picture(self, entry: "os.DirEntry[str]", below: str) -> bool:
        """Adds an entry if it is a picture; tells whether it is a folder instead."""
        if entry.name.startswith("."):
            return False
        with contextlib.suppress(OSError):  # a link to itself
            if entry.is_dir(follow_symlinks=False):
                return True
            if entry.is_dir():
                self._found.links += 1
            elif Path(entry.name).suffix.lower() in READ_SUFFIXES and entry.is_file():
                path = Path(entry.path)
                if self._is_result(path):
                    self._found.own += 1
                else:
                    self._found.photos.append(Photo(str(path), below))
        return False

    def _is_result(self, path: Path) -> bool:
        return bool(_OURS.fullmatch(path.name)) or path.absolute() in self._own

    def _is_input(self, folder: Path) -> bool:
        """Tells whether a folder is neither that of the results nor one of cells."""
        return folder.resolve() != self._without and not folder.name.endswith(CELLS)


def _results(folder: Path) -> set[Path]:
    """Returns what the journal of a folder says to be results of ours."""
    if not (folder / FILE).exists():
        return set()
    try:
        jobs = read_journal(folder)
    except JobsError:
        return set()
    every = (item for _, items in jobs for item in items)
    return {folder / item.output for item in every if item.output_sha256}


def _join(below: str, name: str) -> str:
    return f"{below}/{name}" if below else name


def _unreadable(folder: Path, failure: OSError) -> PictureError:
    return PictureError(
        "A folder of pictures must be one that can be read",
        received=f"{short_repr(str(folder))} ({(failure.strerror or '').lower()})",
        hint="check its permissions",
    )


def _empty(folder: Path, own: int) -> PictureError:
    return PictureError(
        "A folder must have pictures to dream",
        received=f"{short_repr(str(folder))}, which has "
        + (f"none but {own} of our results" if own else "none"),
        hint="name a dream itself to dream it again" if own else "try another",
    )
