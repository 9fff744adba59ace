"""Names and paths that somebody else wrote: inside their folder, or refused.

Whatever names a file in a recipe, a record, a manifest, a journal or a checkpoint goes
through `plain_name` or `inside`, whose rules are those of POSIX and of Windows at once.
"""

import os
import re
import unicodedata
from pathlib import Path

from keras_dream.errors import InputError, short_repr

NAME_BYTES = 255
"""The longest name of a file on ext4, XFS, APFS and NTFS (NAME_MAX in POSIX terms)."""

PATH_BYTES = 4_095
"""The longest path on Linux (PATH_MAX less its NUL); shorter elsewhere."""

_DEVICES = frozenset(
    ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"]
    + [f"{port}{digit}" for port in ("COM", "LPT") for digit in "0123456789¹²³"]
)
"""Names that are devices in every folder of Windows, with any suffix:
learn.microsoft.com/windows/win32/fileio/naming-a-file."""

_BIDI = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
"""Characters that turn the direction of text, so that a name shows another suffix than
it has (Unicode's Bidi_Control)."""


def plain_name(
    text: object,
    what: str,
    *,
    error: type[InputError] = InputError,
    hint: str = "rename the file",
) -> str:
    """Returns the name of one file that somebody else wrote, if it is one everywhere.

    A name from a recipe, a record, a manifest or a journal must mean the same file on
    every system and lead to no other folder.

    Args:
        text: The name.
        what: What is named, with its article, as the start of a sentence.
        error: The class to raise.
        hint: What to try.

    Raises:
        InputError: Or `error`: it is no text, empty, `.` or `..`, has a separator of
            POSIX or Windows, a drive, control characters or such as turn the direction
            of text, ends in a dot or a blank, is a device of Windows, cannot be written
            in UTF-8, or has more than 255 bytes.
    """
    fault = name_fault(text)
    if fault:
        raise error(
            f"{what} must be a name without folders, the same on every system",
            received=f"{short_repr(text)}, {fault}",
            hint=hint,
        )
    return str(text)


def name_fault(text: object) -> str:
    """Says why text is not the name of one file everywhere; "" if it is."""
    if not isinstance(text, str):
        return "which is no text"
    if not text:
        return "which is empty"
    if set(text) & set("/\\:"):
        return "which has /, \\ or :"
    if text in (".", ".."):
        return "which is a folder"
    if text[-1] in ". ":  # Windows leaves both out
        return "which ends in a dot or a blank"
    if len(text) > NAME_BYTES or len(text.encode("utf-8", "replace")) > NAME_BYTES:
        return f"which has more than {NAME_BYTES} bytes"
    # Cc: control characters; Cs: halves of a character; Zl, Zp: ends of lines.
    if any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in text):
        return "which has characters that no name may have"
    if set(text) & _BIDI:
        return "which turns the direction of text"
    if text.partition(".")[0].rstrip(" ").upper() in _DEVICES:
        return "which is a device of Windows"
    return ""


def inside(
    folder: str | os.PathLike[str],
    relative: object,
    what: str,
    *,
    error: type[InputError] = InputError,
    hint: str = "name a file of the folder itself",
) -> Path:
    """Returns the path of a file in a folder or below it that somebody else named.

    Args:
        folder: The folder, which is trusted.
        relative: Names as `plain_name` takes them, with `/` between them.
        what: What is named, with its article, as the start of a sentence.
        error: The class to raise.
        hint: What to try.

    Returns:
        The path, which need not exist.

    Raises:
        InputError: Or `error`: it is no such path, or a link leads out of the folder.
    """
    names = relative.split("/") if isinstance(relative, str) else [relative]
    folder = Path(folder)
    must = f"{what} must be a path inside its folder, the same on every system"
    for name in names:
        if fault := name_fault(name):
            at = f" at {short_repr(name)}" if len(names) > 1 else ""
            what = "which leaves the folder" if name == ".." else fault + at
            raise error(must, received=f"{short_repr(relative)}, {what}", hint=hint)
    path = folder.joinpath(*map(str, names))
    if len(os.fsencode(path)) > PATH_BYTES:
        raise error(
            must,
            received=f"{short_repr(relative)}, which has more than {PATH_BYTES} bytes",
            hint=hint,
        )
    try:
        leads_out = not path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # links in a circle
        leads_out = True
    if leads_out:
        raise error(
            must,
            received=f"{short_repr(relative)}, where a link leads out of it",
            hint=hint,
        )
    return path


def natural(text: str) -> list[tuple[int, str]]:
    """Returns a key that sorts `frame-9` before `frame-10`."""
    parts = re.split(r"(\d+)", text.casefold())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
