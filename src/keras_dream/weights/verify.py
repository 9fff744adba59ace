"""Whether a weights file is the published one, to the last byte."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from keras_dream.errors import WeightsError
from keras_dream.files import check_file, sha256_file
from keras_dream.weights import cache
from keras_dream.weights.source import Mismatch, Source, home

LARGEST_GIVEN = 4 << 30  # bytes of a file of the user's; see `untrusted.archive`, too


class LocalFile(NamedTuple):
    """A weights file that is on this machine and may be used.

    Attributes:
        path: Where it is.
        sha256: Its hash.
        source: Where it was published; None for a file of the user's.
    """

    path: Path
    sha256: str
    source: Source | None = None


class Check(NamedTuple):
    """The result of comparing a file with the published hashes.

    Attributes:
        sha256: Its hash; "" for a file of a wrong size, which is not read.
        mismatch: What is wrong with it, or None.
        aside: Where a wrong file was moved to; None where it stays.
    """

    sha256: str
    mismatch: Mismatch | None = None
    aside: Path | None = None


def check_given(path: Path) -> None:
    """Makes sure that a file of the user's can be weights, before it is read.

    Raises:
        WeightsError: If there is no such file, none that can be read, or one that is
            larger than any.
    """
    check_file(path, "A weights file", error=WeightsError)
    size = path.stat().st_size
    if size > LARGEST_GIVEN:
        raise WeightsError(
            f"A weights file must have at most {LARGEST_GIVEN:,} bytes",
            received=f"{path.name} with {size:,}",
            hint="check that it is the right file",
        )


def sha256_of(path: Path) -> str:
    """Returns the sha256 of a weights file, which is read.

    Raises:
        WeightsError: As for `check_given`.
    """
    check_given(path)
    return sha256_file(path)


@contextlib.contextmanager
def unchanged(path: Path) -> Iterator[str]:
    """Computes the sha256 of a weights file that is read meanwhile.

    Yields:
        The sha256.

    Raises:
        WeightsError: As for `check_given`, or if the file has changed when it was read,
            so that the hash may be another's.
    """
    before = path.stat() if path.exists() else None
    yield sha256_of(path)
    if before is None or _moment(path.stat()) != _moment(before):
        raise WeightsError(
            "A weights file must stay as it is while it is read",
            received=f"{path.name}, which has changed",
            hint="try again when it is whole",
        )


def _moment(status: os.stat_result) -> tuple[int, ...]:
    times = status.st_mtime_ns, status.st_ctime_ns
    return status.st_size, *times, status.st_ino, status.st_dev


def check(path: Path, source: Source, *, fresh: bool = False) -> Check:
    """Compares a file's hashes with the published ones.

    One of a wrong hash in our cache is set aside, after another look under its lock:
    the first one takes seconds, in which another process may have replaced the file.

    Args:
        path: The file.
        source: What it should be.
        fresh: Read it although its stamp is unchanged.

    Raises:
        OSError: If it cannot be read.
    """
    result = look(path, source, fresh=fresh)
    if result.mismatch is None or path.parent != home():
        return result
    # Another process may download it, or the folder take no changes.
    with (
        contextlib.suppress(OSError),
        cache.locked(path, patience=cache.PATIENCE),
    ):
        result = look(path, source)
        if result.mismatch:
            return result._replace(aside=set_aside(path, result.sha256))
    return result


def look(path: Path, source: Source, *, fresh: bool = False) -> Check:
    """Does the same as `check`, and leaves a wrong file where it is."""
    wrong = source.size_mismatch(path.stat().st_size)
    if wrong is not None:
        return Check("", wrong)
    hashes = cache.hashes_of(path, fresh=fresh)
    return Check(hashes.sha256, source.mismatch(hashes))


def set_aside(path: Path, sha256: str) -> Path | None:
    """Renames a file of a wrong hash, so that it is never used and nothing is lost.

    Its lock must be held.

    Returns:
        Its new name, `NAME.bad-` and the start of its hash or "size"; None where it
        must stay, because the folder is not ours or takes no changes.
    """
    if path.parent != home():
        return None
    aside = path.with_name(f"{path.name}.bad-{sha256[:8] or 'size'}")
    try:
        path.replace(aside)
    except OSError:
        return None
    return aside
