"""What an objective takes from files: guide pictures and directions."""

import io
from typing import Any

import numpy as np

from keras_dream.backend.protocol import Backend
from keras_dream.dreamer.features import feature_maps, reduced
from keras_dream.errors import InputError, PictureError
from keras_dream.graph.graph import Graph
from keras_dream.graph.passes import truncate
from keras_dream.pictures.picture import read_named
from keras_dream.recipe.files import FileRef, Files

MAX_PIXELS = 320 * 240
"""A larger guide is reduced to this. Networks learn from pictures of about 224 × 224,
and the parts of a guide must have about the size of the parts of a dream's octaves."""

MAX_VECTOR_BYTES = 1_000_000  # 100,000 channels in 8 bytes each, and a header
KEPT_MAPS = 16  # feature maps of guides, each about as large as one of a small picture


class GuideSources:
    """The guides and directions of one network; keeps the features of the last guides.

    Args:
        graph: The network, exact.
        backend: Where it runs.
        files: Finds the files.
    """

    def __init__(self, graph: Graph, backend: Backend, files: Files):
        self._graph = graph
        self._backend = backend
        self._files = files
        self._maps: dict[tuple[FileRef, str], np.ndarray] = {}

    def guide(self, file: FileRef, node: str) -> np.ndarray:
        """Returns the feature map of a guide picture, float32 (h, w, channels).

        Args:
            file: The picture, of any size.
            node: The node's name.

        Raises:
            InputError: If there is no such file.
            PictureError: If it is no picture, or too small for the layer.
        """
        key = (file, node)
        if key not in self._maps or not file.sha256:
            while len(self._maps) >= KEPT_MAPS:
                self._maps.pop(next(iter(self._maps)))
            self._maps[key] = self._features(file, node)
        return self._maps[key]

    def vector(self, file: FileRef) -> np.ndarray:
        """Returns the numbers of a `.npy` file as float32, of the shape they have.

        Raises:
            InputError: If there is no such file, or it has no finite numbers.
        """
        opened: Any = io.BytesIO(self._files.read(file, limit=MAX_VECTOR_BYTES))
        vector: np.ndarray | None = None
        try:
            # Pickles can run any code: they are refused.
            values: Any = np.load(opened, allow_pickle=False)
            if isinstance(values, np.ndarray) and values.dtype.kind in "fiu":
                with np.errstate(over="ignore"):  # infinite, and refused as such
                    vector = values.astype(np.float32)
        # A forged header may break numpy's reader in any way, and ask for any memory.
        except Exception:  # noqa: BLE001
            vector = None
        if vector is None or not np.isfinite(vector).all():
            raise InputError(
                "A direction must be a .npy file of finite numbers",
                received=file.name,
                hint="save it with numpy.save",
            )
        return vector

    def _features(self, file: FileRef, node: str) -> np.ndarray:
        picture = read_named(file, self._files)
        image = reduced(picture.pixels, MAX_PIXELS, self._backend)
        size = (image.shape[0], image.shape[1])
        graph = truncate(self._graph, frozenset([node]))
        if (misfit := graph.misfit(size, nodes=[node])) is not None:
            raise PictureError(
                "A guide must be large enough for the layer",
                received=f"{file.name} of {size[1]} × {size[0]} pixels, where "
                f"{misfit.text}",
                hint="try a larger picture, or an earlier layer",
            )
        (features,) = feature_maps(graph, [node], image, self._backend)
        return self._backend.to_image(features)
