"""The table of all networks that have a name."""

from collections.abc import Mapping
from typing import Any

from keras_dream.errors import NetworkError, nearest
from keras_dream.weights.source import Source
from keras_dream.zoo import applications, architectures, classes, googlenet
from keras_dream.zoo.entry import Entry

_SQUEEZENET_FILES = (
    "https://github.com/DeepCognition/keras-squeezenet/releases/download/v0.4"
)
# The md5 as that repository's squeezenet.py states it; the sha256 is that of a file
# with this md5 (docs/googlenet.md has the source of each hash in this table).
_SQUEEZENET_HASHES: dict[str, Any] = {
    "md5": "80b66c92d79d4310e07fb60a297bf0d1",
    "sha256": "17154246284f555591549ac2c83e127abfbf4307dc4b0060fdaa2931d0fa38da",
}

ZOO: Mapping[str, Entry] = {
    item.name: item
    for item in (
        Entry(
            name="motif",
            about="our own small network: motifs that we drew, offline",
            licence="Apache-2.0",
            preprocessing="tf",
            dreams={
                "mixed0": "thick lines, rims and dots",
                "mixed1": "rings, coils, stripes",
                "mixed2": "bull's eyes, honeycomb, grids",
                "mixed3": "roof tiles, foam, scales, coral",
                "mixed4": "crests of waves, roofs, leaves with veins, firs",
                "mixed5": "roofs, folds, hollows",
                "motifs": "the classes themselves, each where the photo resembles it",
            },
        ),
        Entry(
            name="squeezenet",
            about="SqueezeNet 1.1 on ImageNet",
            paper="Iandola et al. 2016, arXiv:1602.07360",
            parameters=722_496,
            licence="BSD-2-Clause",
            preprocessing="caffe",
            objective="fire6 + fire8",
            build=architectures.squeezenet,
            classes=classes.imagenet,
            sources=(
                Source(
                    file="squeezenet_weights_tf_dim_ordering_tf_kernels_notop.h5",
                    url=f"{_SQUEEZENET_FILES}/squeezenet_weights_tf_dim_ordering_tf_"
                    "kernels_notop.h5",
                    **_SQUEEZENET_HASHES,
                ),
                Source(file="squeezenet_v1.1_imagenet_notop.h5", **_SQUEEZENET_HASHES),
            ),
        ),
        Entry(
            name="googlenet",
            about="GoogLeNet (Inception V1) on ImageNet by BVLC, as the first dreams",
            paper="Szegedy et al. 2014, arXiv:1409.4842",
            parameters=5_973_552,
            licence="unrestricted",
            preprocessing="bvlc",
            objective="inception_4c_output",  # google/deepdream, 2015
            build=googlenet.imagenet,
            classes=classes.imagenet,
            sources=(
                # sha256 and size: Open Model Zoo, models/public/googlenet-v1/model.yml.
                Source(
                    file="bvlc_googlenet.caffemodel",
                    sha256="6f7101e3a2183738a7125a0c5021ba82"
                    "a1feb4228c5ca0924d991b6daf6f6fad",
                    url="http://dl.caffe.berkeleyvision.org/bvlc_googlenet.caffemodel",
                    classifier=True,
                    size=53_533_754,
                ),
            ),
        ),
        Entry(
            name="googlenet_places365",
            about="GoogLeNet on the scenes of Places365, by MIT CSAIL",
            paper="Zhou et al. 2016, arXiv:1610.02055",
            parameters=5_973_552,
            licence="CC-BY",
            preprocessing="places365",
            objective="inception_4c_output",
            build=googlenet.places365,
            sources=(
                # Nobody states its hash, and what cannot be checked is not downloaded.
                Source(
                    file="googlenet_places365.caffemodel",
                    page="https://github.com/CSAILVision/places365",
                    classifier=True,
                ),
            ),
        ),
        *applications.entries(),
    )
}


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
