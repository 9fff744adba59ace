"""The photos of a command line: files, folders of them, and standard input."""

import sys
from collections.abc import Sequence
from pathlib import Path

from keras_dream.errors import InputError, OutputError, PictureError, short_repr

STANDARD = "<standard>"
"""Standard input as a photo, standard output as a result. Typed as -, which cyclopts
takes for an option without a name, so that `with_standard` puts this in its place."""


def photos_of(arguments: Sequence[str]) -> tuple[list[str], bool]:
    """Returns the photos that are meant, each once, and whether they may be several.

    Args:
        arguments: Files, folders and sources without a photo. Of a folder these are its
            pictures in natural order, without hidden ones and without results of ours.

    Raises:
        InputError: If there is none.
        PictureError: If a file is missing or a folder has no pictures.
    """
    from keras_dream.batches.inputs import check_photo, exists, find_photos, is_folder

    if not arguments:
        raise InputError(
            "There must be a photo or a command",
            received="neither",
            hint="try `dream PHOTO`, or see `dream --help`",
        )
    found = find_photos(arguments, recursive=False)
    for error in found.errors.values():
        raise error
    photos = [photo.path for photo in found.photos]
    several = len(photos) > 1 or is_folder(arguments[0])
    for photo in photos:
        # Of several a broken one is reported in its turn; a wrong name is said at once.
        if photo != STANDARD and not (several and exists(photo)):
            check_photo(photo)
    return photos, several


def with_standard(tokens: Sequence[str]) -> list[str]:
    """Returns a command line with `STANDARD` for each -."""
    return [STANDARD if token == "-" else token for token in tokens]


def folder_of(out: str | None, *, several: bool) -> Path | None:
    """Returns the folder that `-o` names, or None where it names a file or nothing.

    It is created if it does not exist; the folder above it must.

    Args:
        out: The value of `-o`.
        several: Whether there are several photos, for which it must be a folder.

    Raises:
        OutputError: If it is no folder although it must, or cannot be created.
    """
    from keras_dream.batches.inputs import is_folder

    if out is None:
        return None
    if not (several or is_folder(out) or out.endswith(("/", "\\"))):
        return None
    hint = "or leave it out: each dream goes beside its photo"
    return create_folder(check_folder(out, hint=hint))


def check_folder(out: str, *, hint: str = "") -> Path:
    """Returns the folder that `-o` names for several photos.

    Args:
        out: The value of `-o`.
        hint: What else to try, or "".

    Raises:
        OutputError: If it names a file, or nothing.
    """
    from keras_dream.batches.inputs import exists, is_folder
    from keras_dream.pictures.encoding import SUFFIXES

    named = is_folder(out) or out.endswith(("/", "\\"))
    is_file = Path(out).suffix.lower() in SUFFIXES or exists(out)
    if out in ("", "-", STANDARD) or (not named and is_file):
        raise OutputError(
            "-o must be a folder for several photos",
            received=short_repr("-" if out == STANDARD else out),
            hint=", ".join(filter(None, ("try -o dreams", hint))),
        )
    return Path(out)


def create_folder(folder: Path, *, parents: bool = False) -> Path:
    """Creates a folder for results, if it is not there, and returns it.

    Args:
        folder: The folder.
        parents: Whether those above it are created, too.

    Raises:
        OutputError: If it cannot be created.
    """
    try:
        folder.mkdir(parents=parents, exist_ok=True)
    except OSError as failure:
        raise OutputError(
            "The folder of the results must be one that can be created",
            received=f"{short_repr(str(folder))} "
            f"({(failure.strerror or 'refused').lower()})",
            hint="try another folder",
        ) from failure
    return folder


def read_standard_input(folder: Path) -> Path:
    """Saves what comes from standard input as a file, so that it is read like any.

    Args:
        folder: Where to put the file, which is called "stdin".

    Raises:
        PictureError: If nothing comes, or too much.
    """
    from keras_dream.pictures.limits import default_limits

    path, most = folder / "stdin", default_limits().max_file_bytes
    data = b"" if sys.stdin is None else sys.stdin.buffer.read(most + 1)
    if len(data) > most:
        raise PictureError(
            f"A picture from standard input must have at most {most:,} bytes",
            received="more",
            hint="check what comes before the |, or allow more with --max-file-bytes",
        )
    if not data:
        raise PictureError(
            "A picture must come from standard input for -",
            received="nothing",
            hint="try `dream - < photo.jpg > dream.png`",
        )
    path.write_bytes(data)
    return path


def check_standard_output() -> None:
    """Refuses to write a picture to a terminal.

    Raises:
        OutputError: If standard output is one.
    """
    if sys.stdout is None or sys.stdout.isatty():
        raise OutputError(
            "Standard output must be a file or a pipe to take a picture",
            received="a terminal",
            hint="add > dream.png, or -o FILE",
        )
