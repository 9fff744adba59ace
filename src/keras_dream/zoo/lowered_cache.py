"""The cache of lowered networks, so that the second start needs no Keras.

A copy is the exact, unfolded graph of a published weights file, as safetensors in the
folder `lowered` of our cache, and the manifest keeps its sha256. It is never needed:
one that is missing, damaged or of another version is made again, and a cache that
takes no files goes without.

A network with opaque layers has no copy, because these layers are Keras' own code,
which no file holds; it needs Keras at every start.
"""

import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from keras_dream.errors import DreamError, WeightsError
from keras_dream.files import sha256_file
from keras_dream.graph import file as graph_file
from keras_dream.graph.file import check
from keras_dream.graph.graph import Graph
from keras_dream.weights import cache as manifest
from keras_dream.weights.source import home

FOLDER = "lowered"
KEPT = 4  # copies of one network: with and without classifier, of two installations
FRESH = 3600.0  # seconds within which another use is not noted
ROOM = 2  # times its size must be free for a copy, lest it takes a disk's last bytes


def path_of(name: str, sha256: str, *facts: str | bool | None) -> Path:
    """Returns where the copy of a lowered network is.

    Args:
        name: The network.
        sha256: Of its weights file.
        *facts: Whatever else decides on the graph: whether the classifier was wanted,
            the preprocessing.
    """
    key = json.dumps([sha256, _version(), *facts])
    digest = hashlib.sha256(key.encode()).hexdigest()[:32]
    return home() / FOLDER / f"{name}-{digest}.safetensors"


def read(path: Path) -> Graph | None:
    """Returns a cached graph, or None where there is none of use."""
    try:
        if not is_sound(path):
            return None
        graph = graph_file.load(path, sound=True)
    except (OSError, WeightsError):
        return None
    _note_use(path)
    return graph


def write(path: Path, graph: Graph) -> None:
    """Keeps a copy of a lowered network, if that can be done.

    Args:
        path: From `path_of`.
        graph: Exact and unfolded.
    """
    if graph.opaque:
        return
    part = path.with_name(f".dream-{secrets.token_hex(8)}.tmp")
    try:
        check(graph)  # what could not be read again would be written at every start
        path.parent.mkdir(parents=True, exist_ok=True)
        size = sum(array.nbytes for array in graph.weights.values())
        if shutil.disk_usage(path.parent).free < ROOM * size:
            return
        graph_file.save(graph, part)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        known = {
            "sha256": sha256_file(part),
            "stamp": manifest.stamp(part),
            "used": str(time.time()),
        }
        part.replace(path)
    # safetensors' own error for a full disk is a class of its library.
    except Exception as failure:
        if not _is_harmless(failure):
            raise
        return
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    manifest.note({_key(path): known})
    prune(path)


def copies(name: str) -> list[Path]:
    """Returns all cached copies of a network, the latest used first."""
    pattern = re.compile(rf"{re.escape(name)}-[0-9a-f]{{32}}\.safetensors")
    found: list[Path] = []
    with contextlib.suppress(OSError):
        found = [p for p in (home() / FOLDER).iterdir() if pattern.fullmatch(p.name)]
    known = manifest.read()
    return sorted(found, key=lambda path: _used(known, path), reverse=True)


def _used(known: Mapping[str, Mapping[str, str]], path: Path) -> float:
    """Returns when a copy was last used, in seconds; 0 where nobody knows."""
    try:
        return float(known.get(_key(path), {}).get("used", 0))
    except ValueError:
        return 0.0


def _note_use(path: Path) -> None:
    """Notes that a copy is in use, which decides on which ones are kept.

    Not in the file's own times: whatever reads all files, such as a backup, changes
    them.
    """
    entries, key = manifest.read(), _key(path)
    if key in entries and time.time() - _used(entries, path) > FRESH:
        manifest.note({key: {**entries[key], "used": str(time.time())}})


def _key(path: Path) -> str:
    """Returns what the manifest calls a copy."""
    return f"{FOLDER}/{path.name}"


def is_sound(path: Path, *, trust: bool = True) -> bool:
    """Tells whether a copy is the file that was written.

    Args:
        path: From `path_of`.
        trust: Whether a file that nobody wrote to since need not be read.

    Raises:
        OSError: If it cannot be read.
    """
    known = manifest.read().get(_key(path), {})
    stamp, settled = manifest.stamp(path), manifest.is_settled(path)
    if trust and known.get("stamp") == stamp:
        return "sha256" in known
    if known.get("sha256") != sha256_file(path):
        return False
    if settled and known.get("stamp") != stamp:  # such as a cache from a backup
        manifest.note({_key(path): {**known, "stamp": stamp}})
    return True


def remove(paths: Sequence[Path]) -> None:
    """Removes copies and what the manifest knows of them.

    Raises:
        OSError: If the cache takes no changes.
    """
    if paths:  # first, so that one that cannot be removed is never used again
        manifest.note({_key(path): None for path in paths})
    for path in paths:
        path.unlink(missing_ok=True)


def prune(path: Path) -> None:
    """Removes a network's copies that were not used for longest."""
    name = path.name.rpartition("-")[0]
    with contextlib.suppress(OSError):
        remove([old for old in copies(name)[KEPT:] if old != path])


def _is_harmless(failure: Exception) -> bool:
    from safetensors import SafetensorError

    kinds = (OSError, DreamError, SafetensorError, ValueError, TypeError, LookupError)
    return isinstance(failure, kinds)


@cache
def _version() -> str:
    """Returns what stands for our version: its number, and the code that lowers.

    The number alone would let a copy outlive a change in a checkout.
    """
    from importlib import metadata

    import keras_dream

    digest = hashlib.sha256()
    for part in _code():
        digest.update(part)
    try:
        keras = metadata.version("keras")
    except metadata.PackageNotFoundError:
        keras = "unknown"
    return f"{keras_dream.__version__} {graph_file.FORMAT} {keras} {digest.hexdigest()}"


def _code() -> Iterator[bytes]:
    for path in sorted(Path(__file__).parent.glob("*.py")):
        with contextlib.suppress(OSError):
            yield path.read_bytes()
