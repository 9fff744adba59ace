"""A graph as a safetensors file: how `motif` is shipped and lowered copies are kept."""

import json
from pathlib import Path

import numpy as np

from keras_dream.errors import NetworkError, WeightsError
from keras_dream.graph.graph import Graph
from keras_dream.graph.ops import Node, must
from keras_dream.recipe.objectives import parse

FORMAT = "1"  # raised whenever an operation changes its attributes or its meaning
KEY = "keras-dream"  # of the metadata, under which the graph is
LONGEST_OBJECTIVE = 1 << 12  # characters
KINDS = {"F32": "<f4", "F16": "<f2"}  # what `save` writes


def save(graph: Graph, path: Path, *, half: bool = False) -> None:
    """Writes a graph without opaque nodes.

    Args:
        graph: The graph.
        path: The file.
        half: Store the weights as float16; they are float32 again when loaded.

    Raises:
        NetworkError: If the graph has opaque nodes, which only Keras can run.
    """
    from safetensors.numpy import save_file

    if graph.opaque:
        raise NetworkError(
            "A network must have no opaque layers to be saved",
            received=", ".join(sorted(graph.opaque)),
        )
    header = {
        "format": FORMAT,
        "nodes": [[n.name, n.op, n.inputs, n.attrs] for n in graph.nodes],
        "layers": dict(graph.layers),
        "classifier": graph.classifier,
        "classes": graph.classes,
        "objective": graph.objective,
        "unsupported": dict(graph.unsupported),
    }
    kind = np.float16 if half else np.float32
    arrays = {name: np.ascontiguousarray(a, kind) for name, a in graph.weights.items()}
    save_file(arrays, path, metadata={KEY: json.dumps(header)})


def load(path: Path, *, sound: bool = False) -> Graph:
    """Reads a graph that `save` wrote; needs no Keras.

    Args:
        path: The file.
        sound: Whether it is known to be as `save` wrote it, and is only ever replaced
            as a whole. Then its weights are mapped into memory: nothing of them is read
            before it is needed, and the system can drop what was read.

    Raises:
        WeightsError: If the file is no such graph.
    """
    from safetensors import SafetensorError

    try:
        header, arrays = _mapped(path) if sound else _read(path)
        must(header["format"] == FORMAT, "the format")
        nodes = (Node(n, op, tuple(i), attrs) for n, op, i, attrs in header["nodes"])
        graph = Graph(
            nodes=tuple(nodes),
            weights={n: np.asarray(a, np.float32) for n, a in arrays.items()},
            layers=header["layers"],
            classifier=header["classifier"],
            classes=tuple(header["classes"]),
            objective=header["objective"],
            unsupported=header.get("unsupported", {}),
        )
        check(graph, numbers=not sound)
    # A forged value fails where it is first used as what it is not.
    except (OSError, SafetensorError, ArithmeticError, AttributeError, LookupError,
            RecursionError, TypeError, ValueError):  # fmt: skip
        raise WeightsError(
            "A network file must be one that keras-dream wrote",
            received=f"{path.name}, which cannot be read as one",
            hint="name the network that the weights belong to, as in --network vgg16, "
            "or leave --weights out",
        ) from None
    return graph


def check(graph: Graph, *, numbers: bool = True) -> None:
    """Makes sure that a graph can be run: a file may be damaged or forged.

    Args:
        graph: The graph.
        numbers: Whether every weight is looked at, too.

    Raises:
        ValueError, TypeError, KeyError, …: If anything is not as it must be.
    """
    graph.check()
    for array in graph.weights.values() if numbers else ():
        must(np.isfinite(array).all(), "finite weights")
    if graph.objective is not None:
        must(len(graph.objective) <= LONGEST_OBJECTIVE, "an objective")
        parse(graph.objective)


def _read(path: Path) -> tuple[dict, dict[str, np.ndarray]]:
    """Returns the header of a graph, and its arrays."""
    from safetensors import safe_open

    with safe_open(path, "numpy") as file:
        header = json.loads((file.metadata() or {})[KEY])
        names = file.keys()
        return header, {name: file.get_tensor(name) for name in names}


def _mapped(path: Path) -> tuple[dict, dict[str, np.ndarray]]:
    """Returns the same with arrays that are views of the file."""
    from safetensors import safe_open

    with safe_open(path, "numpy"):
        pass  # the library makes sure that every array lies inside the file
    # Writes would stay in memory ("c"): torch takes no array without copying it, or
    # complaining, that must not be written to.
    whole = np.memmap(path, np.uint8, "c")
    start = 8 + int(whole[:8].view("<u8")[0])  # behind the header and its length
    entries = json.loads(whole[8:start].tobytes())
    header = json.loads(entries.pop("__metadata__")[KEY])
    arrays: dict[str, np.ndarray] = {}
    for name, entry in entries.items():
        first, last = entry["data_offsets"]
        values = whole[start + first : start + last].view(KINDS[entry["dtype"]])
        arrays[name] = values.reshape(entry["shape"])
    return header, arrays
