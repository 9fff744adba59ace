"""The cache of lowered networks, so that the second start needs no Keras.

A copy is the exact, unfolded graph of a published weights file, as safetensors in the
folder `lowered` of our cache. Its name holds a hash of everything that decides on it:
the weights' sha256, `LOWERING_VERSION`, the version of Keras. It is used while its hash
is the one in the table of hashes (`weights.cache`), and made again otherwise; a cache
that takes no files goes without.

A network with opaque layers has no copy, because these layers are Keras' own code,
which no file holds; it needs Keras at every start.
"""

import contextlib
import hashlib
import json
import logging
import os
import re
import secrets
import shutil
from importlib import metadata
from pathlib import Path

from keras_dream.errors import DreamError, WeightsError
from keras_dream.graph import file as graph_file
from keras_dream.graph.graph import Graph
from keras_dream.lowering import LOWERING_VERSION
from keras_dream.weights import cache
from keras_dream.weights.source import LARGEST, home

_log = logging.getLogger(__name__)

FOLDER = "lowered"
KEPT = 4  # copies of a network: with and without classifier, for two installations
ROOM = 2  # a copy is written only if this many times its size is free


def path_of(name: str, sha256: str, *facts: str | bool | None) -> Path:
    """Returns where the copy of a lowered network is.

    Args:
        name: The network.
        sha256: Of its weights file.
        *facts: Whatever else decides on the graph: whether the classifier was wanted,
            the preprocessing.
    """
    try:
        keras = metadata.version("keras")
    except metadata.PackageNotFoundError:
        keras = "unknown"
    key = json.dumps([sha256, LOWERING_VERSION, graph_file.FORMAT, keras, *facts])
    digest = hashlib.sha256(key.encode()).hexdigest()[:32]
    return home() / FOLDER / f"{name}-{digest}.safetensors"


def read(path: Path) -> Graph | None:
    """Returns a cached graph; None if it is missing or not as it was written."""
    try:
        if path.stat().st_size > LARGEST or cache.recorded(path) is None:
            _log.debug("No lowered copy %s", path.name)
            return None
        graph = graph_file.load(path, sound=True)
    except (OSError, WeightsError) as failure:
        _log.debug("No lowered copy %s: %s", path.name, failure)
        return None
    _log.debug("Lowered copy %s", path.name)
    return graph


def write(path: Path, graph: Graph) -> None:
    """Keeps a copy of a lowered network if possible, and removes the oldest ones.

    Args:
        path: From `path_of`.
        graph: Exact and unfolded.
    """
    if graph.opaque:
        return
    part = path.with_name(f".dream-{secrets.token_hex(8)}.tmp")
    try:
        # What could not be read again would be written at every start.
        graph_file.check(graph)
        cache.make_home()
        path.parent.mkdir(exist_ok=True)
        size = sum(array.nbytes for array in graph.weights.values())
        if shutil.disk_usage(path.parent).free < ROOM * size:
            return
        graph_file.save(graph, part)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        hashes = cache.compute_hashes(part)
        part.replace(path)
        cache.record(path, hashes)
        _log.debug("Lowered copy %s written", path.name)
        name = path.name.rpartition("-")[0]
        for old in copies(name)[KEPT:]:
            old.unlink(missing_ok=True)
    # safetensors' own error for a full disk is a class of its library.
    except Exception as failure:
        if not _is_harmless(failure):
            raise
        _log.debug("Lowered copy %s not written: %s", path.name, failure)
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def copies(name: str) -> list[Path]:
    """Returns all cached copies of a network, the newest first."""
    pattern = re.compile(rf"{re.escape(name)}-[0-9a-f]{{32}}\.safetensors")
    paths: list[Path] = []
    with contextlib.suppress(OSError):
        paths = [p for p in (home() / FOLDER).iterdir() if pattern.fullmatch(p.name)]
        paths.sort(key=lambda path: path.stat().st_mtime_ns, reverse=True)
    return paths


def is_sound(path: Path) -> bool | None:
    """Reads a copy and returns whether it is as it was written; None if not recorded.

    Raises:
        OSError: If it cannot be read.
    """
    if path.stat().st_size > LARGEST:
        return False
    written, hashes = cache.last_recorded(path), cache.compute_hashes(path)
    if written == hashes:
        cache.record(path, hashes)  # it may have been copied or touched since
    return None if written is None else written == hashes


def _is_harmless(failure: Exception) -> bool:
    from safetensors import SafetensorError

    kinds = (OSError, DreamError, SafetensorError, ValueError, TypeError, LookupError)
    return isinstance(failure, kinds)
