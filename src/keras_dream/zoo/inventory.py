"""What there is of a network's weights: listed, checked, removed, imported."""

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from keras_dream.backend import load as backends
from keras_dream.errors import DreamError, OutputError, WeightsError, short_repr
from keras_dream.weights import cache
from keras_dream.weights.download import Part, cache_error
from keras_dream.weights.source import Hashes, Source, fitting, home, places
from keras_dream.weights.verify import LocalFile, check, check_given, set_aside
from keras_dream.zoo import lowered_cache
from keras_dream.zoo.entry import Entry
from keras_dream.zoo.load import load_entry, shipped_path


class Status(NamedTuple):
    """What is on this machine of a network's weights.

    Attributes:
        state: "shipped", "here", "partly", "download" (not here, but to be had) or "by
            hand" (to be had as a file only).
        size: Bytes of the file that is here, else about as many as it has; None where
            unknown.
        path: The file that would be used; None where there is none.
        publisher: Where it comes from.
    """

    state: str
    size: int | None
    path: Path | None
    publisher: str


class Finding(NamedTuple):
    """The result of checking a file.

    Attributes:
        path: The file.
        state: "ok", "wrong" or "unknown" (nothing is published to compare it with).
        more: Details.
        sha256: Its sha256; "" where it was not computed.
    """

    path: Path
    state: str
    more: str
    sha256: str = ""


def status_of(entry: Entry) -> Status:
    """Returns what is on this machine of a network; hashes are not computed."""
    if entry.build is None:
        path = shipped_path(entry)
        return Status("shipped", _size(path), path, "keras-dream")
    ordered = fitting(entry.sources, classifier=False)
    for source, path in places(ordered):
        return Status("here", _size(path), path, source.publisher)
    wanted = next((s for s in ordered if s.url), next(iter(ordered), None))
    if wanted is None:
        return Status("by hand", None, None, "a file of yours")
    # A parameter is a float32 of four bytes; how many a classifier has is not known.
    count = None if wanted.classifier else entry.parameters
    about = wanted.size or (4 * count if count else None)
    state = "download" if wanted.url else "by hand"
    if wanted.url and Part(home() / wanted.file).size():
        state = "partly"
    return Status(state, about, None, wanted.publisher)


def verify(entry: Entry) -> Iterator[Finding]:
    """Computes every hash of what is here of a network.

    A file of a wrong hash in our cache is renamed, and a damaged lowered copy, which is
    made again when it is needed, is removed.
    """
    if entry.build is None:
        yield _verify_shipped(entry)
        return
    for source, path in places(fitting(entry.sources, classifier=False)):
        yield _verify_file(source, path)
    for path in lowered_cache.copies(entry.name):
        with contextlib.suppress(OSError):
            is_sound = lowered_cache.is_sound(path)
            if is_sound is not False:
                yield Finding(path, "ok" if is_sound else "unknown", "lowered copy")
                continue
            cache.forget(path)  # first: one that cannot be removed is not used again
            path.unlink(missing_ok=True)
        state = "left" if path.exists() else "removed"
        yield Finding(path, "wrong", f"lowered copy, {state}; it will be made again")


def _verify_shipped(entry: Entry) -> Finding:
    path = shipped_path(entry)
    try:
        loaded = load_entry(entry, backend=backends.choose(None))
    except DreamError as error:
        return Finding(path, "wrong", f"install keras-dream again: {error}")
    return Finding(path, "ok", "shipped", loaded.sha256)


def _verify_file(source: Source, path: Path) -> Finding:
    try:
        result = check(path, source, fresh=True)
    except OSError as error:
        return Finding(path, "wrong", (error.strerror or str(error)).lower())
    if result.mismatch is not None:
        more = f"it must have {result.mismatch.must}"
        if result.aside:
            more += f"; kept aside as {result.aside}"
        return Finding(path, "wrong", more, result.sha256)
    stated = [kind for kind in ("sha256", "md5") if getattr(source, kind)]
    if stated:
        more = f"has the published {' and '.join(stated)}"
        return Finding(path, "ok", more, result.sha256)
    return Finding(path, "unknown", "no hash is published", result.sha256)


def leftovers(entry: Entry) -> list[Path]:
    """Returns all files of a network in our cache, lowered copies first.

    Some systems do not remove a copy that a running dream has mapped.
    """
    files: list[Path] = []
    for source in entry.sources:
        part = Part(home() / source.file)
        files += [home() / source.file, *part.files]
        with contextlib.suppress(OSError):
            files += sorted(home().glob(f"{source.file}.bad-*"))
    return lowered_cache.copies(entry.name) + [path for path in files if path.is_file()]


def remove(entry: Entry) -> list[tuple[Path, int]]:
    """Removes all files of a network from our cache; other folders are left alone.

    Returns:
        What was removed, with its bytes.

    Raises:
        OutputError: If the cache takes no changes.
    """
    removed: list[tuple[Path, int]] = []
    path = home()
    try:
        with contextlib.ExitStack() as locks:
            if home().is_dir():
                for name in sorted({source.file for source in entry.sources}):
                    locks.enter_context(cache.locked(home() / name))
            for path in leftovers(entry):
                size = _size(path) or 0
                path.unlink(missing_ok=True)
                removed.append((path, size))
    except OSError as error:
        raise OutputError(
            "The weights cache must let its files be removed",
            received=f"{short_repr(path.name)} "
            f"({(error.strerror or str(error)).lower()})",
            hint="end the dreams that use it and see to its permissions, then try "
            "again",
        ) from None
    return removed


def import_file(path: Path, entries: Iterable[Entry]) -> tuple[Entry, LocalFile]:
    """Copies a weights file into our cache, if it is what a network publishes.

    Its name does not matter, its hash does. Where a network publishes no hash, the file
    must bear the published name and be one that the network can be loaded from.

    Args:
        path: The file; it is left as it is.
        entries: The networks that it may be for.

    Raises:
        WeightsError: If it is no network's file, or another one is there already.
        SaveError, OutputError: If the cache does not take it.
    """
    check_given(path)
    hashes = cache.compute_hashes(path)
    entry, source = _recognised(path, hashes, list(entries))
    if not (source.sha256 or source.md5):
        # There is no other way to know whether it is one.
        load_entry(entry, weights=path, backend=backends.choose(None))
    try:
        home().mkdir(parents=True, exist_ok=True)
        with cache.locked(home() / source.file):
            local = _copied(path, source, hashes)
    except OSError as error:
        raise cache_error(entry.name, error) from None
    return entry, local


def _recognised(
    path: Path, hashes: Hashes, entries: list[Entry]
) -> tuple[Entry, Source]:
    """Returns the network, and the source, that a file with these hashes is of."""
    pairs = [(entry, source) for entry in entries for source in entry.sources]
    for entry, source in pairs:
        stated = source.sha256 or source.md5
        if stated and source.mismatch(hashes) is None:
            return entry, source
    for entry, source in pairs:
        is_free = not (source.sha256 or source.md5)
        if is_free and (path.name == source.file or len(entries) == 1):
            return entry, source
    name = entries[0].name if len(entries) == 1 else "a network"
    raise WeightsError(
        f"A weights file must be one that is published for {name}",
        received=f"{short_repr(path.name)} with the sha256 {hashes.sha256} "
        f"and the md5 {hashes.md5}",
        hint="use it as it is with --weights FILE",
    )


def _copied(path: Path, source: Source, hashes: Hashes) -> LocalFile:
    """Copies a file to its place by rename, under the lock; hashes what it copies."""
    target = home() / source.file
    local = LocalFile(target, hashes.sha256, source)
    if target.is_file() and not target.samefile(path):
        there = cache.hashes_of(target, fresh=True)
        if there == hashes:
            return local
        if source.mismatch(there) is None:
            raise WeightsError(
                f"A weights file must not replace another one, {target}",
                received=short_repr(str(path)),
                hint="remove that one first, see `dream weights remove`",
            )
        set_aside(target, there.sha256)
    elif target.is_file():  # put there by hand
        return local
    part = home() / f".dream-{secrets.token_hex(8)}.tmp"
    try:
        if shutil.disk_usage(home()).free < path.stat().st_size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if _copy(path, part) != hashes.sha256:
            raise WeightsError(
                "A weights file must stay as it is while it is copied",
                received=f"{short_repr(str(path))}, which has changed",
                hint="try again when it is whole",
            )
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    cache.record(target, hashes)
    return local


def _copy(path: Path, part: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as original, part.open("xb") as copy:
        while chunk := original.read(cache.CHUNK):
            digest.update(chunk)
            copy.write(chunk)
        copy.flush()
        os.fsync(copy.fileno())
    return digest.hexdigest()


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
