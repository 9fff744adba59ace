"""Files: checked before they are opened, written completely or not at all."""

import contextlib
import errno
import hashlib
import itertools
import logging
import os
import re
import secrets
import shutil
import stat
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from keras_dream.errors import InputError, OutputError, SaveError, nearest, short_repr
from keras_dream.locks import Hold, create, take
from keras_dream.names import NAME_BYTES

_log = logging.getLogger(__name__)

FULL = frozenset({errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)})
"""Error numbers of a write without room: full disk, limit of file sizes, quota
(Windows has no EDQUOT)."""

CELLS = "-cells"
"""The end of the name of the folder for a sheet's cells."""

CHECKPOINT = ".canvas.npz"
"""What is put behind a picture's name for the file that its dream goes on from."""

OCTAVES = ".octaves.npz"
"""The end of the name of the file with what each octave of a dream added."""

_HIDDEN = re.compile(r"\.dream-[0-9a-f]{16}\.tmp")

_URL = re.compile(r"(https?|ftp|s3|gs|file|data):", re.IGNORECASE)

_SETTLED = 2.0  # seconds; FAT has the coarsest times, of 2 seconds

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
            to, or the path is a folder, a pipe, a device or a file that is read-only.
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
        _check_replaceable(path)
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
        A path that does not exist, not even as a broken link. It is free until another
        takes it: `claims.claim` keeps it.
    """
    photo = Path(photo)
    if photo.name in ("", ".."):  # a folder: where it is has a name, but for the root
        photo = photo.resolve()
    stem = photo.stem
    # Room for "-dream-", a number of six digits, the suffix, and that of a checkpoint.
    longest = NAME_BYTES - 8 - len(word) - len(suffix) - len(CHECKPOINT)
    while len(os.fsencode(stem)) > longest:
        stem = stem[:-1]
    path = photo.parent / f"{stem}-{word}{suffix}"
    return next(each for each in numbered(path) if not is_taken(each))


def numbered(path: Path) -> Iterator[Path]:
    """Yields `sky-dream.png`, `sky-dream-2.png` and so on, whether they exist or not.

    Args:
        path: The first; its number goes on if it has one.
    """
    stem, number = path.stem, 2
    if match := re.fullmatch(r"(.+)-(\d{1,6})", path.stem):
        stem, number = match[1], int(match[2]) + 1
    yield path
    for later in itertools.count(number):
        yield path.with_name(f"{stem}-{later}{path.suffix}")


def is_taken(path: Path) -> bool:
    """Tells whether a result, what belongs to it, or a broken link has a name."""
    every = (path, checkpoint_path(path), octaves_path(path))
    return any(os.path.lexists(each) for each in every)


def checkpoint_path(picture: Path) -> Path:
    """Returns where an unfinished dream is kept: `sky-dream.png.canvas.npz`."""
    return picture.with_name(picture.name + CHECKPOINT)


def octaves_path(picture: Path) -> Path:
    """Returns where what each octave added is kept: `sky-dream.octaves.npz`."""
    return picture.with_name(picture.stem + OCTAVES)


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
    _hold: Hold | None = field(default=None, repr=False, compare=False)

    def commit(self) -> None:
        """Gives them their name, replacing an older file; a link is not followed.

        Raises:
            SaveError: The disk refuses; nothing has changed.
        """
        try:
            if sys.platform == "win32":
                self.release()  # where an open file cannot be renamed
            os.replace(self.temporary, self.path)  # noqa: PTH105, tests replace it
        except BaseException as failure:
            self.discard()
            if isinstance(failure, OSError):
                raise save_error(self.path, self.size, failure) from failure
            raise
        self.release()
        sync_folder(self.path.parent)
        _log.debug("Wrote %s, %d bytes", self.path, self.size)

    def discard(self) -> None:
        """Removes them."""
        with contextlib.suppress(OSError):
            self.temporary.unlink(missing_ok=True)
        self.release()

    def release(self) -> None:
        """Lets other processes give them their name, or take them for leftovers."""
        if self._hold is not None:
            self._hold.release()


def stage(path: str | os.PathLike[str], data: bytes | memoryview) -> Staged:
    """Writes the bytes of a file to the disk, synchronized, under a temporary name.

    They get the permissions of the file that they will replace. As long as the result
    lives, no other process takes the temporary file for one that a dead process left.

    Args:
        path: The file.
        data: All of its bytes.

    Raises:
        OutputError: There is a file that is read-only.
        SaveError: The disk is full or cannot be written to; nothing has changed.
    """
    path = Path(path)
    mode = _check_replaceable(path)
    try:
        hold = _temporary(path.parent, 0o666 if mode is None else mode)
    except OSError as failure:
        raise save_error(path, len(data), failure) from failure
    sha256 = hashlib.sha256(data).hexdigest()
    staged = Staged(path, hold.path, len(data), sha256, hold)
    try:
        if mode is not None and sys.platform != "win32":
            os.fchmod(hold.descriptor, mode)  # what the umask has taken away
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(hold.descriptor, rest) :]
        os.fsync(hold.descriptor)
    except BaseException as failure:  # Ctrl-C must not leave the temporary file, either
        staged.discard()
        if isinstance(failure, OSError):
            raise save_error(path, len(data), failure) from failure
        raise
    return staged


@contextlib.contextmanager
def staging(path: str | os.PathLike[str]) -> Generator[Staged, None, None]:
    """Lets a library write a file piece by piece, under a temporary name.

    It gets its name where the block ends, and is removed where the block raises. Writes
    to it belong inside `saving`.

    Args:
        path: The file.

    Yields:
        The file, whose `temporary` is to be written.

    Raises:
        OutputError, SaveError: As for `stage`; nothing has changed.
    """
    path = Path(path)
    mode = _check_replaceable(path)
    with saving(path):
        hold = _temporary(path.parent, 0o666 if mode is None else mode)
    staged = Staged(path, hold.path, 0, "", hold)
    try:
        if mode is not None and sys.platform != "win32":
            os.fchmod(hold.descriptor, mode)  # what the umask has taken away
        yield staged
        with saving(path):
            os.fsync(hold.descriptor)
    except BaseException:
        staged.discard()
        raise
    staged.commit()


@contextlib.contextmanager
def saving(path: str | os.PathLike[str]) -> Generator[None, None, None]:
    """Turns a refusal of the disk to take a piece of a file into our sentence.

    Args:
        path: The file.

    Raises:
        SaveError: The disk is full or cannot be written to.
    """
    try:
        yield
    except OSError as failure:
        raise save_error(Path(path), 0, failure) from failure


def _temporary(folder: Path, mode: int) -> Hold:
    """Returns a new hidden file in a folder; raises `OSError` where it takes none."""
    while True:
        # None if another process took it for a leftover before it was locked.
        hold = create(folder / _hidden_name(), mode=mode)
        if hold is not None:
            return hold


def _check_replaceable(path: Path) -> int | None:
    """Returns the permissions of a file; None where there is none, or a link.

    Raises:
        OutputError: It is read-only: the system would replace it all the same, because
            it asks for the permission to write to the folder only.
    """
    try:
        status = path.lstat()
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    mode = stat.S_IMODE(status.st_mode) & 0o777
    if not mode & 0o222 or not os.access(path, os.W_OK):
        raise OutputError(
            "a result must not replace a file that is read-only",
            received=f"{short_repr(str(path))}, whose permissions are {mode:04o}",
            hint="try another name, or allow writing to it first",
        )
    return mode


def check_room(path: str | os.PathLike[str], size: int) -> None:
    """Checks, before any work begins, that a disk has room for a result.

    A quota cannot be asked for: it is noticed when the result is written.

    Args:
        path: The result.
        size: How many bytes it will have, about.

    Raises:
        SaveError: There is less room.
    """
    try:
        usage = shutil.disk_usage(Path(path).parent)
    except OSError:
        return  # the write itself will tell
    if usage.total > 0 and usage.free < size:
        raise SaveError(
            f"the disk must have room for a result of about {size:,} bytes",
            received=f"{usage.free:,} bytes for {short_repr(str(path))}",
            hint="free some space or try another disk",
        )


def remove_leftovers(folder: Path) -> None:
    """Removes the temporary files that killed processes have left in a folder.

    Only those whose process is provably gone: a living one holds its files.
    """
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if _HIDDEN.fullmatch(entry.name)]
    except OSError:
        return
    for name in names:
        hold = take(folder / name)
        if hold is not None:
            hold.remove()


def write_atomically(path: str | os.PathLike[str], data: bytes | memoryview) -> None:
    """Writes a file completely or not at all, replacing an older one.

    Args:
        path: The file.
        data: All of its bytes.

    Raises:
        OutputError, SaveError: As for `stage`; nothing has changed.
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


def stamp_of(path: Path) -> str:
    """Returns what changes when a file is written to or replaced; "" if that is unsure.

    It is unsure

    * within two seconds of the last change: another one may bear the same time;
    * where the time of the last change lies in the future: a clock was set;
    * where ctime, which no program can set, is no time of its own: Windows has the
      creation there, FAT the last write, which copying programs set back.

    Raises:
        OSError: If there is no such file.
    """
    status = path.stat()
    written, changed = status.st_mtime_ns, status.st_ctime_ns
    age = time.time() - max(written, changed) / 1e9
    if age < _SETTLED or written == changed or os.name == "nt":
        return ""
    place = f"{status.st_ino} {status.st_dev}"
    return f"{status.st_size} {written} {changed} {place}"


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


def save_error(path: Path, size: int, failure: OSError) -> SaveError:
    """Returns the sentence for a write that failed.

    Args:
        path: The file.
        size: How many bytes it was to have.
        failure: The system's error.
    """
    if failure.errno in FULL:
        room = f"{size:,} bytes" if size else "the result"
        return SaveError(
            f"the disk must have room for {room}",
            received=f"{_reason(failure)!r} for {short_repr(str(path))}",
            hint="free some space or try another disk; nothing there has changed",
        )
    return SaveError(
        "the disk must take the result",
        received=f"{_reason(failure)!r} for {short_repr(str(path))}",
        hint="try another folder; nothing there has changed",
    )


def sync_folder(folder: Path) -> None:
    """Waits until the names of a folder are on the disk; Windows cannot do this."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
