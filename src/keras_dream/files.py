"""Files: looked at before they are opened, written whole or not at all."""

import contextlib
import errno
import hashlib
import itertools
import os
import secrets
import stat
from collections.abc import Sequence
from pathlib import Path

from keras_dream.errors import InputError, OutputError, SaveError, nearest, short_repr

FULL = frozenset({errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)})
"""What a write gives when there is no room: the disk, a limit on file sizes, a quota
(which Windows does not have)."""

CELLS = "-cells"
"""What the name of the folder ends in that a sheet's cells are in."""

NAME_BYTES = 255
"""The longest name of a file on ext4, XFS, APFS and NTFS (NAME_MAX in POSIX terms)."""

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


def check_file(
    path: str | os.PathLike[str], what: str, *, error: type[InputError] = InputError
) -> Path:
    """Makes sure that a path leads to an ordinary file that can be read.

    Pipes and devices are recognised without opening them, because opening a pipe waits
    for its other end and a device may never come to its end.

    Args:
        path: The file.
        what: What the file should be, with its article, for the message: "a picture".
        error: The class to raise.

    Returns:
        The path.

    Raises:
        InputError: Or the class given: missing, empty, unreadable, or no file.
    """
    path = _as_path(path, what, error)
    must, received = f"{what} must be a file that can be read", short_repr(str(path))
    try:
        kind = _kind(path.stat())
        if kind:
            raise error(must, received=f"{received}, {kind}", hint="try a file")
        with path.open("rb") as file:
            empty = not file.read(1)
    except FileNotFoundError:
        raise error(
            must,
            received=f"{received}, which does not exist",
            hint=_neighbour(path),
        ) from None
    except OSError as failure:
        raise error(
            must,
            received=f"{received} ({_reason(failure)})",
            hint="check its name and its permissions",
        ) from failure
    if empty:
        raise error(
            f"{what} must have contents",
            received=f"{received}, an empty file",
            hint="copy or download it again",
        )
    return path


def check_output(path: str | os.PathLike[str], suffixes: Sequence[str]) -> Path:
    """Makes sure, before any work begins, that a result can be written to a path.

    A file is really created in the folder and removed again, because the mode bits say
    nothing about root, about a read-only disk or about a network share.

    Args:
        path: Where the result is to go; an existing file there is left as it is.
        suffixes: The suffixes that can be written, in lower case with their dots.

    Returns:
        The path.

    Raises:
        OutputError: The suffix is unknown, the folder is missing or takes no files, or
            the path leads to a folder, a pipe or a device.
    """
    path = _as_path(path, "a result", OutputError)
    check_suffix(path, suffixes)
    folder, where = path.parent, short_repr(str(path))
    try:
        if not stat.S_ISDIR(folder.stat().st_mode):
            raise OutputError(
                "a result must go into a folder",
                received=f"{where}, where {short_repr(str(folder))} is a file",
                hint="try another folder",
            )
        kind = _kind(path.stat()) if path.exists() else ""
        if kind:
            raise OutputError(
                "a result must be a file",
                received=f"{where}, {kind}",
                hint="try another name",
            )
        trial = folder / _hidden_name()
        try:
            trial.open("xb").close()
        finally:
            trial.unlink(missing_ok=True)
    except OSError as failure:
        # A folder that is there, such as /proc, may say "no such file" as well.
        if isinstance(failure, FileNotFoundError) and not folder.exists():
            raise OutputError(
                "the folder of a result must exist and take files",
                received=where,
                hint=f"create {short_repr(str(folder))} first, or try another folder",
            ) from None
        raise OutputError(
            "the folder of a result must take files",
            received=f"{where} ({_reason(failure)})",
            hint="try another folder or a shorter name",
        ) from failure
    return path


def check_suffix(path: str | os.PathLike[str], suffixes: Sequence[str]) -> str:
    """Returns the suffix of a path in lower case, if it can be written.

    Raises:
        OutputError: It is not among `suffixes`.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in suffixes:
        raise OutputError(
            f"the name of a result must end in one of {', '.join(suffixes)}",
            received=short_repr(Path(path).name),
            hint=_instead(suffix, suffixes),
        )
    return suffix


def _instead(suffix: str, suffixes: Sequence[str]) -> str:
    """Returns what to try in place of a suffix that cannot be written."""
    if not suffix:
        return f"add {suffixes[0]}"
    # Known for what they are, and not a mistyped .tif.
    others = (".avif", ".bmp", ".gif", ".heic", ".pdf")
    return f"try {suffixes[0]}" if suffix in others else nearest(suffix, suffixes)


def default_output(
    photo: str | os.PathLike[str], suffix: str = ".png", *, word: str = "dream"
) -> Path:
    """Returns a free name beside a photo, `sky-dream.png` or `sky-dream-2.png`.

    Args:
        photo: The photo, which need not exist.
        suffix: The suffix of the result, with its dot.
        word: What the result is.

    Returns:
        A path at which there is nothing, not even a broken link.
    """
    photo = Path(photo)
    stem = photo.stem
    # Room for "-dream-", a number of six digits and the suffix.
    while len(os.fsencode(stem)) > NAME_BYTES - 8 - len(word) - len(suffix):
        stem = stem[:-1]
    free = photo.with_name(f"{stem}-{word}{suffix}")
    for number in itertools.count(2):
        if not os.path.lexists(free):
            break
        free = photo.with_name(f"{stem}-{word}-{number}{suffix}")
    return free


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Writes a file so that its name never leads to half of it.

    The bytes go into a hidden file in the same folder, reach the disk, and only then
    take the name; an older file is there until that moment. A link at the path is
    replaced, not followed.

    Args:
        path: The file.
        data: All of its bytes.

    Raises:
        SaveError: The disk is full or refuses; nothing has changed.
    """
    path = Path(path)
    temporary = path.with_name(_hidden_name())
    try:
        # `open` leaves the permissions to the umask, as for any file that a person
        # makes; the tempfile module would make it private.
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as failure:  # Ctrl-C, too, must leave nothing behind
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(failure, OSError):
            raise _save_error(path, len(data), failure) from failure
        raise
    _sync_folder(path.parent)


def read_bounded(
    path: str | os.PathLike[str],
    limit: int,
    what: str = "a text file",
    *,
    error: type[InputError] = InputError,
) -> str:
    """Reads a small text file, such as a recipe, in UTF-8.

    Args:
        path: The file.
        limit: The most bytes it may have; no more than these are read.
        what: What it should be, with its article.
        error: The class to raise.

    Returns:
        Its text, without a byte order mark.

    Raises:
        InputError: Or the class given: no such file, too long, or not UTF-8.
    """
    path = check_file(path, what, error=error)
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise error(
            f"{what} must have at most {limit:,} bytes",
            received=f"{short_repr(str(path))}, which has more",
            hint="check that it is the right file",
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as failure:
        raise error(
            f"{what} must be text in UTF-8",
            received=f"{short_repr(str(path))}, which is not from byte {failure.start}",
            hint="check that it is the right file, or save it as UTF-8",
        ) from None


def sha256_file(path: str | os.PathLike[str]) -> str:
    """Returns the sha256 of a file in hexadecimal, reading it piece by piece.

    Raises:
        OSError: The file cannot be read.
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _as_path(path: str | os.PathLike[str], what: str, error: type[InputError]) -> Path:
    """Returns a path, refusing the one character that no name can have."""
    text = os.fspath(path)
    if "\0" in text:
        raise error(
            f"the name of {what} must be without NUL",
            received=short_repr(text),
            hint="try another",
        )
    return Path(text)


def _kind(status: os.stat_result) -> str:
    """Returns what a path leads to, with its article, or "" for an ordinary file."""
    if stat.S_ISREG(status.st_mode):
        return ""
    return next(
        (name for test, name in _KINDS if test(status.st_mode)), "no ordinary file"
    )


def _neighbour(path: Path) -> str:
    """Returns advice for a missing file: the nearest name in its folder."""
    try:
        names = [entry.name for entry in itertools.islice(path.parent.iterdir(), 1000)]
    except OSError:
        return f"check the folder {short_repr(str(path.parent))}"
    advice = nearest(path.name, names)
    return advice if advice.endswith("name") else "check its name and its folder"


def _reason(failure: OSError) -> str:
    """Returns what the system says, in lower case as a part of a sentence."""
    return (failure.strerror or type(failure).__name__).lower()


def _hidden_name() -> str:
    """Returns a name for a temporary file that no other writer uses."""
    return f".dream-{secrets.token_hex(8)}.tmp"


def _save_error(path: Path, size: int, failure: OSError) -> SaveError:
    """Returns the sentence for a write that failed."""
    if failure.errno in FULL:
        return SaveError(
            f"the disk must have room for {size:,} bytes",
            received=f"{_reason(failure)!r} for {short_repr(str(path))}",
            hint="free some space or try another disk; nothing there has changed",
        )
    return SaveError(
        "the disk must take the result",
        received=f"{_reason(failure)!r} for {short_repr(str(path))}",
        hint="try another folder; nothing there has changed",
    )


def _sync_folder(folder: Path) -> None:
    """Brings the new name to the disk, too, where the system can (Windows cannot)."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
