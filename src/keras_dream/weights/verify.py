"""Whether a weights file is the published one, to the last byte."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from keras_dream.errors import WeightsError
from keras_dream.files import check_file, sha256_file
from keras_dream.weights import cache as manifest
from keras_dream.weights.source import Source, home

CHUNK = 1 << 20


class LocalFile(NamedTuple):
    """A weights file that is here and may be used.

    Attributes:
        path: Where it is.
        sha256: Its hash, so that nobody need compute it again.
    """

    path: Path
    sha256: str


class Verdict(NamedTuple):
    """What was found out about a file.

    Attributes:
        sha256: Its hash.
        must: The hash that it must have, with its kind; "" where none is known.
        received: The hash of that kind that it has; "" if it is as it must be.
    """

    sha256: str
    must: str = ""
    received: str = ""


def sha256_of(path: Path) -> str:
    """Returns the sha256 of a weights file.

    Raises:
        WeightsError: If there is no such file, or none that can be read.
    """
    return sha256_file(check_file(path, "A weights file", error=WeightsError))


def examine(path: Path, source: Source, *, trust: bool = True) -> Verdict:
    """Compares a file's hash with the published one.

    Where only an md5 is published, the manifest keeps the sha256 of the file that had
    it, and later looks compare that one. Where nothing is published, it keeps what was
    imported into the cache. A file that nobody wrote to since is not read again.

    Args:
        path: The file.
        source: What it should be.
        trust: Whether the manifest may stand for a published md5 and for reading.

    Raises:
        OSError: If it cannot be read.
    """
    known = manifest.read().get(source.file, {})
    stamp, settled = manifest.stamp(path), manifest.is_settled(path)
    sha256 = known.get("sha256", "")
    is_as_it_was = bool(sha256) and known.get("stamp") == stamp
    if trust and is_as_it_was and source.fits(sha256, known.get("md5")):
        return Verdict(sha256)
    verdict, md5 = _compared(path, source, known, trust)
    # What nobody publishes a hash of is known by being imported, and only in our cache.
    stated = source.sha256 or source.md5 or (path.parent == home() and known)
    found = entry(verdict.sha256, md5, stamp if settled else "")
    if stated and not verdict.received and found != known:
        manifest.note({source.file: found})
    if verdict.received and known.get("stamp") == stamp:
        # It changed without being written to: its stamp must not vouch for it again.
        unstamped = {kind: value for kind, value in known.items() if kind != "stamp"}
        manifest.note({source.file: unstamped})
    return verdict


def _compared(
    path: Path, source: Source, known: Mapping[str, str], trust: bool
) -> tuple[Verdict, str]:
    """Reads a file and compares it; returns also its md5 if one is stated."""
    trusted = trust and bool(source.md5) and known.get("md5") == source.md5
    md5 = source.md5 or ""
    if source.md5 and not trusted:
        sha256, md5 = hashes_of(path)
    else:
        sha256 = sha256_file(path)
    if source.sha256 and sha256 != source.sha256:
        return Verdict(sha256, f"the published sha256 {source.sha256}", sha256), md5
    if trusted and sha256 != known.get("sha256"):
        md5 = hashes_of(path)[1]  # another file of the same md5, or a damaged one
    if source.md5 and md5 != source.md5:
        return Verdict(sha256, f"the published md5 {source.md5}", md5), md5
    if not source.md5 and not source.sha256 and path.parent == home():
        imported = known.get("sha256", sha256)
        if imported != sha256:
            return Verdict(sha256, f"the imported sha256 {imported}", sha256), md5
    return Verdict(sha256), md5


def judge(
    path: Path, source: Source, *, trust: bool = True
) -> tuple[Verdict, Path | None]:
    """Compares a file as `examine` does, and sets one of a wrong hash aside.

    It is looked at again under its lock: the first look takes seconds, in which another
    process may have put a good file there.

    Args:
        path: The file.
        source: What it should be.
        trust: As for `examine`.

    Returns:
        The verdict, and where the file is now, as `set_aside` returns it.

    Raises:
        OSError: If it cannot be read.
    """
    verdict = examine(path, source, trust=trust)
    if not verdict.received or path.parent != home():
        return verdict, None
    try:
        with manifest.locked(path, patience=manifest.PATIENCE):
            verdict = examine(path, source, trust=trust)
            return verdict, set_aside(
                path, verdict.sha256
            ) if verdict.received else None
    except OSError:
        return verdict, None  # somebody is fetching it, or the folder takes no changes


def keep(path: Path, source: Source, found: tuple[str, str]) -> LocalFile:
    """Notes a file of our cache that has just been found good, and returns it.

    Args:
        path: The file.
        source: What it is.
        found: Its sha256 and md5.
    """
    manifest.note({source.file: entry(*found, manifest.stamp(path))})
    return LocalFile(path, found[0])


def entry(sha256: str, md5: str = "", stamp: str = "") -> dict[str, str]:
    """Returns what the manifest keeps of a file, without what is not known."""
    known = {"sha256": sha256, "md5": md5, "stamp": stamp}
    return {kind: value for kind, value in known.items() if value}


def hashes_of(path: Path) -> tuple[str, str]:
    """Returns a file's sha256 and md5, reading it once."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            sha256.update(chunk)
            md5.update(chunk)
    return sha256.hexdigest(), md5.hexdigest()


def set_aside(path: Path, sha256: str) -> Path | None:
    """Renames a file of a wrong hash, so that nobody uses it and nothing is lost.

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
