"""The networks that have a name, and how each is loaded."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_dream.errors import NetworkError, nearest
from keras_dream.graph import file
from keras_dream.graph.graph import Graph
from keras_dream.lowering.walker import lower
from keras_dream.weights import locate as files
from keras_dream.weights.readers import h5
from keras_dream.zoo import lowered_cache
from keras_dream.zoo.catalogue import ZOO
from keras_dream.zoo.entry import Entry

BUILTIN = Path(__file__).parent / "builtin"


@dataclass(frozen=True)
class Loaded:
    """A network ready to dream.

    Attributes:
        name: What a recipe calls it.
        graph: Its operations and weights.
        sha256: Of its weights file; of the arrays for a model that was handed over.
        keras: Whether Keras made the graph, now or when its lowered copy was cached,
            so that its numbers depend on the version of Keras.
        preprocessing: What the user stated of a model of their own, or None.
    """

    name: str
    graph: Graph
    sha256: str
    keras: bool = True
    preprocessing: str | None = None


def entry(name: str) -> Entry:
    """Returns the entry of a network.

    Raises:
        NetworkError: If there is none of that name; with the nearest one.
    """
    if name not in ZOO:
        raise NetworkError(
            "A network must be one that exists",
            received=repr(name),
            hint=nearest(name, ZOO, see="`dream networks`"),
        )
    return ZOO[name]


def needs_keras(
    network: Any, weights: Path | None = None, classifier: bool = False
) -> bool:
    """Tells whether Keras must run to load what `Dreamer` was given.

    It need not where a lowered copy of the network is cached. Whether that one is
    sound, only `load` finds out.

    Args:
        network: A network's name, or anything else.
        weights: A weights file of the user's; it has no lowered copy.
        classifier: Whether class scores will be asked for.
    """
    chosen = ZOO.get(network) if isinstance(network, str) else None
    if chosen is None or chosen.build is None:
        return False
    sha256 = files.known_sha256(chosen.sources, classifier) if weights is None else None
    return sha256 is None or not _copy(chosen, sha256, classifier).is_file()


def load(
    name: str,
    *,
    weights: Path | None = None,
    classifier: bool = False,
    offline: bool = False,
    progress: files.Progress | None = None,
    before_keras: Callable[[], None] | None = None,
    before_download: files.BeforeDownload | None = None,
) -> Loaded:
    """Loads a network by name.

    Args:
        name: One of `ZOO`.
        weights: A weights file of the user's; None takes the shipped, cached or
            published one.
        classifier: Whether class scores will be asked for.
        offline: Never download.
        progress: Told how a download goes.
        before_keras: Called if Keras must run, before it is imported.
        before_download: Asked before anything is downloaded; it may raise.

    Raises:
        NetworkError: If there is no network of that name.
        WeightsError: If its weights cannot be had or read.
        DownloadError, SaveError, OutputError: If a download fails.
    """
    chosen = entry(name)
    if chosen.build is None:
        path = weights or BUILTIN / f"{name}.safetensors"
        sha256 = files.sha256_of(path)
        return Loaded(name, file.load(path), sha256, keras=False)
    if weights is None:
        held = files.locate(
            name, chosen.sources, classifier, offline, progress, before_download
        )
        copy = _copy(chosen, held.sha256, classifier)
        graph = lowered_cache.read(copy)
    else:
        held, copy, graph = (
            files.LocalFile(weights, files.sha256_of(weights)),
            None,
            None,
        )
    if graph is None:
        if before_keras is not None:
            before_keras()
        graph = _lowered(chosen, chosen.build, held.path)
        if copy is not None:
            lowered_cache.write(copy, graph)
    return Loaded(name, graph, held.sha256)


def _lowered(chosen: Entry, build: Callable[[bool], Any], path: Path) -> Graph:
    """Builds a network in Keras, reads its weights and lowers it."""
    published = {source.file: source.classifier for source in chosen.sources}
    classifier = published.get(path.name)
    model = build(h5.has_classifier(path) if classifier is None else classifier)
    h5.read(model, path)
    return lower(model, preprocessing=chosen.preprocessing, objective=chosen.objective)


def _copy(chosen: Entry, sha256: str, classifier: bool) -> Path:
    """Returns where the lowered copy of a network is cached."""
    facts = (classifier, chosen.preprocessing, chosen.objective)
    return lowered_cache.path_of(chosen.name, sha256, *facts)


def outline(name: str, weights: Path | None = None) -> Graph:
    """Returns a network's graph for looking at, not for dreaming.

    Without a weights file its weights may be random, and nothing is downloaded.

    Args:
        name: One of `ZOO`.
        weights: A weights file of the user's, or None.

    Raises:
        NetworkError: If there is no network of that name.
        WeightsError: If the file is not for it.
    """
    chosen = entry(name)
    if chosen.build is None or weights is not None:
        return load(name, weights=weights).graph
    return lower(chosen.build(False), preprocessing=chosen.preprocessing)


def model_name(model: Any) -> str:
    """Returns what a recipe calls a model that was handed over."""
    return f"model:{getattr(model, 'name', type(model).__name__)}"


def sha256_of_arrays(graph: Graph) -> str:
    """Returns the sha256 of a graph's weights: names, shapes and float32 bytes.

    Args:
        graph: The graph; the weights of its opaque layers count, too.
    """
    from keras_dream.lowering.builder import to_numpy

    arrays = dict(graph.weights)
    for name, layer in graph.opaque.items():
        for place, variable in enumerate(layer.weights):
            arrays[f"{name}/opaque/{place}"] = to_numpy(variable)
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array, "<f4").tobytes())
    return digest.hexdigest()
