"""Files: checked before they are opened, written completely or not at all."""

import contextlib
import errno
import hashlib
import itertools
import logging
import os
import re
import secrets
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from keras_dream.errors import InputError, OutputError, SaveError, nearest, short_repr
from keras_dream.names import NAME_BYTES

_log = logging.getLogger(__name__)

FULL = frozenset({errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)})
"""Error numbers of a write without room: full disk, limit of file sizes, quota
(Windows has no EDQUOT)."""

CELLS = "-cells"
"""The end of the name of the folder for a sheet's cells."""

_URL = re.compile(r"(https?|ftp|s3|gs|file|data):", re.IGNORECASE)

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
    """Checks that a path is a regular file that can be read.

    Pipes and devices are recognised without opening them, because opening a pipe blocks
    and a device may have no end.

    Args:
        path: The file.
        what: What the file should be, for the message, such as "a picture".
        error: The class to raise.

    Returns:
        The path.

    Raises:
        InputError: Or `error`: missing, empty, unreadable, or no regular file.
    """
    must, text = f"{what} must be a file that can be read", os.fspath(path)
    if _URL.match(text):
        raise error(
            must,
            received=f"{short_repr(text)}, an address",
            hint="download it first, then name the file",
        )
    path = _as_path(path, what, error)
    received = short_repr(str(path))
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


def check_not_same(
    path: Path, source: str | os.PathLike[str], *, what: str, instead: str
) -> None:
    """Refuses a result that would replace the file that it is made of.

    Args:
        path: The result.
        source: That file, which may be missing.
        what: What the result is, for the message, such as "A sheet".
        instead: What it would replace, such as "its own photo".

    Raises:
        OutputError: If both are one file.
    """
    if path.exists() and Path(source).exists() and path.samefile(source):
        raise OutputError(
            f"{what} must not replace {instead}",
            received=short_repr(str(path)),
            hint="try another name",
        )


def check_output(path: str | os.PathLike[str], suffixes: Sequence[str]) -> Path:
    """Checks, before any work begins, that a result can be written to a path.

    A file is created in the folder and removed again, because permission bits say
    nothing about root, read-only disks and network shares.

    Args:
        path: The path of the result; an existing file there is not changed.
        suffixes: The suffixes that can be written, in lower case with their dots.

    Returns:
        The path.

    Raises:
        OutputError: The suffix is unknown, the folder is missing or cannot be written
            to, or the path is a folder, a pipe or a device.
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
        # An existing folder, such as /proc, may report "no such file" as well.
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
    # Suffixes of other formats are not mistyped ones.
    others = (".avif", ".bmp", ".gif", ".heic", ".pdf")
    return f"try {suffixes[0]}" if suffix in others else nearest(suffix, suffixes)


def default_output(
    photo: str | os.PathLike[str], *, suffix: str = ".png", word: str = "dream"
) -> Path:
    """Returns a free name beside a photo, `sky-dream.png` or `sky-dream-2.png`.

    Args:
        photo: The photo, which need not exist.
        suffix: The suffix of the result, with its dot.
        word: What the result is.

    Returns:
        A path that does not exist, not even as a broken link.
    """
    photo = Path(photo)
    stem = photo.stem
    # Room for "-dream-", a number of six digits and the suffix.
    while len(os.fsencode(stem)) > NAME_BYTES - 8 - len(word) - len(suffix):
        stem = stem[:-1]
    return free_path(photo.with_name(f"{stem}-{word}{suffix}"))


def claim(path: str | os.PathLike[str]) -> Path:
    """Creates an empty file, so that no other run takes its name, and returns its path.

    Args:
        path: The file; if there is one, `sky-dream-2.png` takes its place, and so on.
    """
    while True:
        free = free_path(Path(path))
        with contextlib.suppress(FileExistsError):
            free.open("xb").close()
            return free


def free_path(path: Path) -> Path:
    """Returns a path, or the first free one with a number at the end of its name.

    Args:
        path: Such as `sky-dream.png`, instead of which `sky-dream-2.png` may be free.
    """
    stem, number = path.stem, 2
    if match := re.fullmatch(r"(.+)-(\d{1,6})", path.stem):
        stem, number = match[1], int(match[2]) + 1
    free = path
    for later in itertools.count(number):
        if not os.path.lexists(free):
            break
        free = path.with_name(f"{stem}-{later}{path.suffix}")
    return free


@dataclass(frozen=True)
class Staged:
    """The bytes of a file on the disk, but not yet under the file's name.

    Attributes:
        path: The file that they will be.
        temporary: A hidden file in the same folder, which holds them.
        size: How many they are.
        sha256: Of them, in hexadecimal.
    """

    path: Path
    temporary: Path
    size: int
    sha256: str

    def commit(self) -> None:
        """Gives them their name, replacing an older file; a link is not followed.

        Raises:
            SaveError: The disk refuses; nothing has changed.
        """
        try:
            self.temporary.replace(self.path)
        except BaseException as failure:
            self.discard()
            if isinstance(failure, OSError):
                raise _save_error(self.path, self.size, failure) from failure
            raise
        _sync_folder(self.path.parent)
        _log.debug("Wrote %s, %d bytes", self.path, self.size)

    def discard(self) -> None:
        """Removes them."""
        with contextlib.suppress(OSError):
            self.temporary.unlink(missing_ok=True)


def stage(path: str | os.PathLike[str], data: bytes) -> Staged:
    """Writes the bytes of a file to the disk, synchronized, under a temporary name.

    Args:
        path: The file.
        data: All of its bytes.

    Raises:
        SaveError: The disk is full or cannot be written to; nothing has changed.
    """
    path = Path(path)
    staged = Staged(
        path,
        path.with_name(_hidden_name()),
        len(data),
        hashlib.sha256(data).hexdigest(),
    )
    try:
        # `open` applies the umask; the tempfile module would make the file private.
        with staged.temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException as failure:  # Ctrl-C must not leave the temporary file, either
        staged.discard()
        if isinstance(failure, OSError):
            raise _save_error(path, len(data), failure) from failure
        raise
    return staged


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Writes a file completely or not at all, replacing an older one.

    Args:
        path: The file.
        data: All of its bytes.

    Raises:
        SaveError: The disk is full or cannot be written to; nothing has changed.
    """
    stage(path, data).commit()


def read_bounded(
    path: str | os.PathLike[str],
    limit: int,
    *,
    what: str = "a text file",
    error: type[InputError] = InputError,
) -> str:
    """Reads a small text file, such as a recipe, in UTF-8.

    Args:
        path: The file.
        limit: The largest allowed size in bytes; no more is read.
        what: What it should be, for the message, with its article.
        error: The class to raise.

    Returns:
        Its text, without a byte order mark.

    Raises:
        InputError: Or `error`: no such file, too long, or not UTF-8.
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
    """Returns the sha256 of a file in hexadecimal, reading it in pieces.

    Raises:
        OSError: The file cannot be read.
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _as_path(path: str | os.PathLike[str], what: str, error: type[InputError]) -> Path:
    """Returns a path; NUL, which no path can have, is an error."""
    text = os.fspath(path)
    if "\0" in text:
        raise error(
            f"the name of {what} must be without NUL",
            received=short_repr(text),
            hint="try another",
        )
    return Path(text)


def _kind(status: os.stat_result) -> str:
    """Returns the kind of a file with its article, or "" for a regular file."""
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
    """Returns the system's message in lower case, for a part of a sentence."""
    return (failure.strerror or type(failure).__name__).lower()


def _hidden_name() -> str:
    """Returns a unique name for a temporary file."""
    return f".dream-{secrets.token_hex(8)}.tmp"


def is_temporary(name: str) -> bool:
    """Tells whether a name is one that `stage` gives to temporary files."""
    return re.fullmatch(r"\.dream-[0-9a-f]{16}\.tmp", name) is not None


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
    """Synchronizes the new name to the disk; Windows cannot do this."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
