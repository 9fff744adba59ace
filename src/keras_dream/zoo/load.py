"""How a network of the catalogue becomes a graph."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from keras_dream.backend import load as backends
from keras_dream.backend.protocol import Backend
from keras_dream.errors import SettingError
from keras_dream.graph import file
from keras_dream.graph.graph import Graph
from keras_dream.lowering.walker import lower
from keras_dream.weights import cache
from keras_dream.weights.locate import locate
from keras_dream.weights.readers import h5
from keras_dream.weights.source import BeforeDownload, Progress
from keras_dream.weights.verify import LocalFile, unchanged
from keras_dream.zoo import lowered_cache
from keras_dream.zoo.entry import Entry

_log = logging.getLogger(__name__)

BUILTIN = Path(__file__).parent / "builtin"


@dataclass(frozen=True, eq=False)
class LoadedNetwork:
    """A network that has been read.

    Attributes:
        name: What a recipe calls it.
        graph: Its operations and weights, on no device.
        sha256: Of its weights file; of the arrays for a model that was handed over.
        keras: Whether Keras made the graph, now or when its lowered copy was cached,
            so that its numbers depend on the version of Keras.
        preprocessing: What the user stated of a model of their own, or None.
        is_better_in_bfloat16: As of its `Entry`; not known of weights of the user's.
    """

    name: str
    graph: Graph
    sha256: str
    keras: bool = True
    preprocessing: str | None = None
    is_better_in_bfloat16: bool = False


def load_entry(
    entry: Entry,
    *,
    weights: Path | None = None,
    classifier: bool = False,
    backend: str,
    offline: bool = False,
    progress: Progress | None = None,
    before_download: BeforeDownload | None = None,
) -> LoadedNetwork:
    """Loads a network of the catalogue.

    Args:
        entry: The network.
        weights: A weights file of the user's; None takes the shipped, cached or
            published one.
        classifier: Whether class scores will be asked for.
        backend: What Keras starts on if it must run.
        offline: Never download.
        progress: Called with the bytes so far and in all of a download.
        before_download: Called before anything is downloaded; it may raise.

    Raises:
        WeightsError: If its weights cannot be had or read.
        DownloadError, SaveError, OutputError: If a download fails.
    """
    if entry.build is None:
        path = weights or shipped_path(entry)
        with unchanged(path) as sha256:
            _log.info("Network %s from %s, sha256 %s", entry.name, path, sha256)
            graph = file.load(path)
        loaded = LoadedNetwork(entry.name, graph, sha256, keras=False)
        return loaded if weights else _with_own_weights(loaded, entry)
    if weights is not None:
        with unchanged(weights) as sha256:
            _log.info("Network %s from %s, sha256 %s", entry.name, weights, sha256)
            with backends.keras_on(backend):
                graph = _lowered(entry, entry.build, weights)
        return LoadedNetwork(entry.name, entry.with_classes(graph), sha256)
    local = locate(
        entry.name,
        entry.sources,
        classifier=classifier,
        offline=offline,
        progress=progress,
        before_download=before_download,
    )
    _log.info("Network %s from %s, sha256 %s", entry.name, local.path, local.sha256)
    copy = _copy_path(entry, local.sha256, classifier)
    graph = lowered_cache.read(copy)
    if graph is None:
        with backends.keras_on(backend):
            graph = _lowered(
                entry, entry.build, local.path, published=_is_published(local)
            )
        lowered_cache.write(copy, graph)
    loaded = LoadedNetwork(entry.name, entry.with_classes(graph), local.sha256)
    return _with_own_weights(loaded, entry)


def _with_own_weights(loaded: LoadedNetwork, entry: Entry) -> LoadedNetwork:
    """Returns a network with what is known of its shipped or published weights."""
    return replace(loaded, is_better_in_bfloat16=entry.is_better_in_bfloat16)


def shipped_path(entry: Entry) -> Path:
    """Returns the file of a network that is shipped as a graph."""
    return BUILTIN / f"{entry.name}.safetensors"


def outline(entry: Entry) -> Graph:
    """Returns a network's graph for looking at, without weights; not for dreaming.

    Args:
        entry: The network; a shipped one has its weights.
    """
    if entry.build is None:
        return file.load(shipped_path(entry))
    with backends.keras_on(backends.choose(None)):
        graph = lower(
            entry.build(False),
            preprocessing=entry.preprocessing,
            objective=entry.objective,
        )
    return entry.with_classes(graph)


def check_opaque(graph: Graph, backend: Backend) -> None:
    """Makes sure that Keras runs on the same backend, where it must run layers.

    Args:
        graph: A network's graph.
        backend: Where it is to be computed.

    Raises:
        SettingError: If Keras runs on another one.
    """
    if graph.opaque:
        names = ", ".join(sorted(graph.opaque)[:5])
        _check_keras(backend, "a network with layers that only Keras can run", names)


def check_own_functions(backend: Backend) -> None:
    """Makes sure that Keras runs on the same backend, for functions of `keras.ops`.

    Raises:
        SettingError: If Keras runs on another one.
    """
    _check_keras(backend, "an objective of your own", "it")


def _check_keras(backend: Backend, what: str, received: str) -> None:
    import keras

    running = keras.config.backend()
    if running != backend.name:
        raise SettingError(
            f"The backend must be {running}, on which Keras runs, for {what}",
            received=f"{backend.name} for {received}",
            hint=f"set the backend to {running}",
        )


def _lowered(
    entry: Entry,
    build: Callable[[bool], Any],
    path: Path,
    *,
    published: bool = False,
) -> Graph:
    """Builds a network in Keras, reads its weights and lowers it."""
    names = {source.file: source.classifier for source in entry.sources}
    classifier = names.get(path.name)
    if classifier is None:
        classifier = h5.has_classifier(path, published=published)
    model = build(classifier)
    h5.read(model, path, published=published)
    return lower(model, preprocessing=entry.preprocessing, objective=entry.objective)


def _is_published(local: LocalFile) -> bool:
    """Tells whether a file has a published hash, and nobody else can change it."""
    source = local.source
    has_hash = source is not None and bool(source.sha256 or source.md5)
    return has_hash and not cache.writers(local.path.parent)


def _copy_path(entry: Entry, sha256: str, classifier: bool) -> Path:
    """Returns where the lowered copy of a network is cached."""
    facts = (classifier, entry.preprocessing, entry.objective)
    return lowered_cache.path_of(entry.name, sha256, *facts)
