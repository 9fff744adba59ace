"""Whether a weights file is the published one, to the last byte."""

from pathlib import Path
from typing import NamedTuple

from keras_dream.errors import WeightsError
from keras_dream.files import check_file, sha256_file
from keras_dream.weights import cache
from keras_dream.weights.source import Mismatch, Source, home


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
        sha256: Its hash.
        mismatch: What is wrong with it, or None.
        aside: Where a wrong file was moved to; None where it stays.
    """

    sha256: str
    mismatch: Mismatch | None = None
    aside: Path | None = None


def sha256_of(path: Path) -> str:
    """Returns the sha256 of a weights file, which is read.

    Raises:
        WeightsError: If there is no such file, or none that can be read.
    """
    return sha256_file(check_file(path, "A weights file", error=WeightsError))


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
    hashes = cache.hashes_of(path, fresh=fresh)
    mismatch = source.mismatch(hashes)
    if mismatch is None or path.parent != home():
        return Check(hashes.sha256, mismatch)
    try:
        with cache.locked(path, patience=cache.PATIENCE):
            hashes = cache.hashes_of(path)
            mismatch = source.mismatch(hashes)
            aside = set_aside(path, hashes.sha256) if mismatch else None
    except OSError:  # another process downloads it, or the folder takes no changes
        aside = None
    return Check(hashes.sha256, mismatch, aside)


def set_aside(path: Path, sha256: str) -> Path | None:
    """Renames a file of a wrong hash, so that it is never used and nothing is lost.

    Its lock must be held.

    Returns:
        Its new name, `NAME.bad-` and the start of its hash; None where it must stay,
        because the folder is not ours or takes no changes.
    """
    if path.parent != home():
        return None
    aside = path.with_name(f"{path.name}.bad-{sha256[:8]}")
    try:
        path.replace(aside)
    except OSError:
        return None
    return aside
