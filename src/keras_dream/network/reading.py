"""Reads weights files into Keras models: nothing in a file is run or trusted."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from keras_dream.errors import WeightsError
from keras_dream.files import check_file

LARGEST_ARRAY = 1 << 31  # bytes; no published layer comes near it, a forged one may


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Opens an HDF5 file; whatever its damage makes h5py raise becomes one sentence."""
    import h5py

    check_file(path, "A weights file", error=WeightsError)
    try:
        with h5py.File(path, "r") as file:
            yield file
    except WeightsError:
        raise
    except (AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError):
        raise _damaged(
            path, "which is no HDF5 file laid out as one, or is damaged"
        ) from None


def _damaged(path: Path, what: str) -> WeightsError:
    return WeightsError(
        "A weights file must be a whole Keras weights file for this network",
        received=f"{path.name}, {what}",
        attempt="fetch it again, or give another one with --weights FILE",
    )


def has_classifier(path: Path) -> bool:
    """Tells whether a legacy weights file holds a layer `predictions`.

    Raises:
        WeightsError: If the file cannot be read.
    """
    with _opened(path) as file:
        return "predictions" in _names(file.attrs["layer_names"])


def read_legacy(model: Any, path: Path) -> None:
    """Puts a legacy Keras weights file (`.h5`, weights only) into a model, in order.

    Nothing is run and nothing outside the file is read: links and external or virtual
    data sets are refused, as are files that hold a whole model.

    Raises:
        WeightsError: If the file is damaged or made for another network.
    """
    with _opened(path) as file:
        if "model_config" in file.attrs:
            raise _damaged(path, "a whole model")
        found = _layers(file, path)
    wanted = [layer for layer in model.layers if layer.weights]
    if len(found) != len(wanted):
        raise _damaged(path, f"{len(found)} layers where {len(wanted)} are needed")
    for layer, (name, arrays) in zip(wanted, found, strict=True):
        # The legacy order: what is trained first, then the moving statistics.
        variables = [*layer.trainable_variables, *layer.non_trainable_variables]
        shapes = [tuple(v.shape) for v in variables]
        if shapes != [a.shape for a in arrays]:
            raise _damaged(path, f"shapes of the layer {name} that do not fit")
        for variable, array in zip(variables, arrays, strict=True):
            variable.assign(array)


def _layers(file: Any, path: Path) -> list[tuple[str, list[np.ndarray]]]:
    """Returns the layers that have weights, in the file's order."""
    found: list[tuple[str, list[np.ndarray]]] = []
    for name in _names(file.attrs["layer_names"]):
        group = _followed(file, name, path)
        arrays = [
            _array(group, part, path) for part in _names(group.attrs["weight_names"])
        ]
        if arrays:
            found.append((name, arrays))
    return found


def _names(values: Any) -> list[str]:
    return [v.decode() if isinstance(v, bytes) else str(v) for v in values]


def _followed(group: Any, name: str, path: Path) -> Any:
    """Returns what a name leads to, if no link on the way leads anywhere else."""
    import h5py

    for part in filter(None, name.split("/")):
        if not isinstance(group.get(part, getlink=True), h5py.HardLink):
            raise _damaged(path, f"whose {name} is missing or a link")
        group = group[part]
    return group


def _array(group: Any, name: str, path: Path) -> np.ndarray:
    import h5py

    data = _followed(group, name, path)
    plain = isinstance(data, h5py.Dataset)
    # External and virtual data sets read other files of the host (CVE-2026-1669,
    # CVE-2026-12480); a forged shape allocates without bound (CVE-2026-12570).
    if not plain or data.external or data.is_virtual or data.nbytes > LARGEST_ARRAY:
        raise _damaged(path, f"whose {name} is no plain array")
    array = np.asarray(data[()], np.float32)
    if not np.isfinite(array).all():
        raise _damaged(path, f"whose {name} is not finite")
    return array
