"""The networks that have a name, and how each is loaded."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_dream.errors import NetworkError, nearest
from keras_dream.network import (
    architectures,
    googlenet,
    lowered,
    reading,
    weights as files,
)
from keras_dream.network.graph import Graph, load as load_graph
from keras_dream.network.lower import lower

BUILTIN = Path(__file__).parent / "builtin"


@dataclass(frozen=True)
class Entry:
    """A network that can be asked for by name.

    Attributes:
        name: The name.
        about: One line on what it is.
        licence: Of the weights.
        preprocessing: What its weights were trained with.
        objective: Its own good objective.
        build: Makes the Keras model without weights; takes whether the dense
            classifier is wanted. None for a network that is shipped as a graph.
        sources: Published weights files, legacy `.h5`.
    """

    name: str
    about: str
    licence: str
    preprocessing: str
    objective: str | None = None
    build: Callable[[bool], Any] | None = None
    sources: tuple[files.Source, ...] = ()


@dataclass(frozen=True)
class Loaded:
    """A network ready to dream.

    Attributes:
        name: What a recipe calls it.
        graph: Its operations and weights.
        sha256: Of its weights file; of the arrays for a model that was handed over.
    """

    name: str
    graph: Graph
    sha256: str


def entry(name: str) -> Entry:
    """Returns the entry of a network.

    Raises:
        NetworkError: If there is none of that name; with the nearest one.
    """
    if name not in ZOO:
        raise NetworkError(
            "A network must be one that exists",
            received=repr(name),
            attempt=nearest(name, ZOO) + ", or see `dream networks`",
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
) -> Loaded:
    """Loads a network by name.

    Args:
        name: One of `ZOO`.
        weights: A weights file of the user's; None takes the shipped, cached or
            published one.
        classifier: Whether class scores will be asked for.
        offline: Never download.
        progress: Told how a download goes.

    Raises:
        NetworkError: If there is no network of that name.
        WeightsError: If its weights cannot be had or read.
    """
    chosen = entry(name)
    if chosen.build is None:
        path = weights or BUILTIN / f"{name}.safetensors"
        sha256 = files.sha256_of(path)
        return Loaded(name, load_graph(path), sha256)
    if weights is not None:
        return Loaded(
            name, _lowered(chosen, chosen.build, weights), files.sha256_of(weights)
        )
    held = files.locate(name, chosen.sources, classifier, offline, progress)
    copy = _copy(chosen, held.sha256, classifier)
    graph = lowered.read(copy)
    if graph is None:
        graph = _lowered(chosen, chosen.build, held.path)
        lowered.write(copy, graph)
    return Loaded(name, graph, held.sha256)


def _lowered(chosen: Entry, build: Callable[[bool], Any], path: Path) -> Graph:
    """Builds a network in Keras, reads its weights and lowers it."""
    model = build(reading.has_classifier(path))
    reading.read(model, path)
    return lower(model, preprocessing=chosen.preprocessing, objective=chosen.objective)


def _copy(chosen: Entry, sha256: str, classifier: bool) -> Path:
    """Returns where the lowered copy of a network is cached."""
    facts = (classifier, chosen.preprocessing, chosen.objective)
    return lowered.path_of(chosen.name, sha256, *facts)


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


def lower_model(model: Any, preprocessing: str | None) -> Loaded:
    """Lowers a model that the user built.

    Args:
        model: A `keras.Model`.
        preprocessing: One of `PREPROCESSING`, or None where the model has its own.

    Raises:
        NetworkError: If the model cannot be lowered.
    """
    graph = lower(model, preprocessing=preprocessing)
    return Loaded(model_name(model), graph, sha256_of_arrays(graph))


def model_name(model: Any) -> str:
    """Returns what a recipe calls a model that was handed over."""
    return f"model:{getattr(model, 'name', type(model).__name__)}"


def sha256_of_arrays(graph: Graph) -> str:
    """Returns the sha256 of a graph's weights: names, shapes and float32 bytes.

    Args:
        graph: The graph; the weights of its opaque layers count, too.
    """
    from keras_dream.network.rules import to_numpy

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


_KERAS_FILES = "https://storage.googleapis.com/tensorflow/keras-applications"

_SQUEEZENET_FILES = (
    "https://github.com/DeepCognition/keras-squeezenet/releases/download/v0.4"
)
# The md5 as that repository's squeezenet.py states it; the sha256 is that of a file
# with this md5 (docs/googlenet.md tells where each hash of this table comes from).
_SQUEEZENET_HASHES: dict[str, Any] = {
    "md5": "80b66c92d79d4310e07fb60a297bf0d1",
    "sha256": "17154246284f555591549ac2c83e127abfbf4307dc4b0060fdaa2931d0fa38da",
}

# Hashes of Inception V3: keras/src/applications/inception_v3.py of Keras 3.15.
ZOO: Mapping[str, Entry] = {
    found.name: found
    for found in (
        Entry(
            name="motif",
            about="our own small network: motifs that we drew, offline",
            licence="Apache-2.0",
            preprocessing="tf",
        ),
        Entry(
            name="inception_v3",
            about="Inception V3 on ImageNet (Szegedy et al. 2015, arXiv:1512.00567)",
            licence="Apache-2.0",
            preprocessing="tf",
            # F. Chollet's weights of 2017: the classic look.
            objective="0.2*mixed2 + 3*mixed3 + 2*mixed4 + 1.5*mixed5",
            build=architectures.inception_v3,
            sources=(
                files.Source(
                    file="inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
                    md5="bcbd6486424b2319ff4ef7d526e38f63",
                    url=f"{_KERAS_FILES}/inception_v3/inception_v3_weights_tf_dim_"
                    "ordering_tf_kernels_notop.h5",
                ),
                files.Source(
                    file="inception_v3_weights_tf_dim_ordering_tf_kernels.h5",
                    md5="9a0d58056eeedaa3f26cb7ebd46da564",
                    url=f"{_KERAS_FILES}/inception_v3/inception_v3_weights_tf_dim_"
                    "ordering_tf_kernels.h5",
                    classifier=True,
                ),
            ),
        ),
        Entry(
            name="squeezenet",
            about="SqueezeNet 1.1 on ImageNet (Iandola et al. 2016, arXiv:1602.07360)",
            licence="BSD-2-Clause",
            preprocessing="caffe",
            objective="fire6 + fire8",
            build=architectures.squeezenet,
            sources=(
                files.Source(
                    file="squeezenet_weights_tf_dim_ordering_tf_kernels_notop.h5",
                    url=f"{_SQUEEZENET_FILES}/squeezenet_weights_tf_dim_ordering_tf_"
                    "kernels_notop.h5",
                    **_SQUEEZENET_HASHES,
                ),
                files.Source(
                    file="squeezenet_v1.1_imagenet_notop.h5", **_SQUEEZENET_HASHES
                ),
            ),
        ),
        Entry(
            name="googlenet",
            about="GoogLeNet (Inception V1) on ImageNet by BVLC, as the first dreams "
            "(Szegedy et al. 2014, arXiv:1409.4842)",
            licence="unrestricted",
            preprocessing="bvlc",
            objective="inception_4c_output",  # google/deepdream, 2015
            build=googlenet.imagenet,
            sources=(
                files.Source(
                    file="bvlc_googlenet.caffemodel",
                    sha256="6f7101e3a2183738a7125a0c5021ba82"
                    "a1feb4228c5ca0924d991b6daf6f6fad",
                    url="http://dl.caffe.berkeleyvision.org/bvlc_googlenet.caffemodel",
                    classifier=True,
                ),
            ),
        ),
        Entry(
            name="googlenet_places365",
            about="GoogLeNet on the scenes of Places365, by MIT CSAIL "
            "(Zhou et al. 2016, arXiv:1610.02055)",
            licence="CC-BY",
            preprocessing="places365",
            objective="inception_4c_output",
            build=googlenet.places365,
            sources=(
                # Nobody states its hash, and what cannot be checked is not downloaded.
                files.Source(
                    file="googlenet_places365.caffemodel",
                    page="https://github.com/CSAILVision/places365",
                    classifier=True,
                ),
            ),
        ),
    )
}
