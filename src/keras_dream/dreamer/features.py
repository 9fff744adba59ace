"""Feature maps of a picture, and the picture at a size at which they are wanted."""

import math
from collections.abc import Sequence

import numpy as np

from keras_dream.backend.protocol import Array, Backend
from keras_dream.errors import NetworkError
from keras_dream.geometry import Size, taps
from keras_dream.graph.graph import Graph
from keras_dream.graph.program import Program


def feature_maps(
    graph: Graph, nodes: Sequence[str], image: np.ndarray, backend: Backend
) -> list[Array]:
    """Returns the feature maps of nodes, on the device.

    Args:
        graph: The network, truncated to what the nodes need.
        nodes: Their names.
        image: float32 (h, w, 3) in [0, 1].
        backend: Where it runs.

    Raises:
        NetworkError: If the image is too small for them, or they take more memory than
            there is.
    """
    check_memory(graph, (image.shape[0], image.shape[1]), nodes, backend)
    plan = graph.plan(image.shape[0], image.shape[1])
    program = Program(graph, nodes, backend)
    run = backend.function(program, static=bool(graph.opaque))
    return run(backend.image(image), plan.values)


def check_memory(
    graph: Graph, size: Size, nodes: Sequence[str], backend: Backend
) -> None:
    """Makes sure that the feature maps of nodes can be had.

    Args:
        graph: The network, truncated to what the nodes need.
        size: The picture's (height, width) in pixels.
        nodes: Their names.
        backend: Where it runs.

    Raises:
        NetworkError: If they take more memory than there is.
    """
    needed, total = graph.forward_bytes(size, nodes), backend.memory().get("total")
    if total is not None and needed > total:
        raise NetworkError(
            f"A network's feature maps must fit into the {total / 1e9:.1f} GB of this "
            "device",
            received=f"{needed / 1e9:.1f} GB for {size[1]} × {size[0]} pixels",
            hint="try fewer or earlier layers, or a smaller network",
        )


def reduced(image: np.ndarray, most: int, backend: Backend) -> np.ndarray:
    """Returns an image of at most so many pixels: a larger one is resized.

    Args:
        image: float32 (h, w, 3) in [0, 1].
        most: The number of pixels.
        backend: Where it is resized.
    """
    size = (image.shape[0], image.shape[1])
    target = size_within(size, most)
    if target == size:
        return image
    rows, columns = (
        taps(n_in, n_out, "lanczos3") for n_in, n_out in zip(size, target, strict=True)
    )
    resized = backend.resample(backend.image(image), rows, columns)
    return backend.to_image(resized).clip(0, 1)


def size_within(size: Size, most: int) -> Size:
    """Returns the (height, width) of a picture of `size` reduced to `most` pixels."""
    scale = math.sqrt(most / math.prod(size))
    if scale >= 1:
        return size
    return max(1, int(size[0] * scale)), max(1, int(size[1] * scale))
