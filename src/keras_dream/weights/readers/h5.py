"""Reads weights files into Keras models; nothing in a file is executed or trusted.

An HDF5 file that was not just found to have a published hash is foreign: a child reads
it, see `untrusted.hdf5`.

Files that are read, each for any network with a name:

* `.h5`, legacy: `layer_names` and `weight_names`, in the order of the model's layers;
* `.weights.h5`, as Keras 3 writes it: `layers/conv2d_1/vars/0`;
* `.safetensors`: arrays called `LAYER/VARIABLE`, see `readers.safetensors`;
* `.caffemodel`: `keras_dream.weights.readers.caffemodel`.

Everything else is refused with the reason, files that can run code above all.
"""

import contextlib
from collections import Counter
from collections.abc import Iterator
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import numpy as np

from keras_dream.errors import WeightsError
from keras_dream.files import check_file
from keras_dream.untrusted import hdf5
from keras_dream.weights.readers import caffemodel, safetensors

KINDS = ".h5, .weights.h5, .safetensors or .caffemodel"

# Names of the layer of classes: Keras', Caffe's, and those that Keras used when the
# published files were written.
CLASSIFIERS = (
    "predictions", "loss3/classifier", "loss3_classifier", "conv_preds", "fc1000",
    "logits", "Logits", "probs",
    *(f"convnext_{size}_head_dense"
      for size in ("tiny", "small", "base", "large", "xlarge")),
)  # fmt: skip

_HDF5 = b"\x89HDF\r\n\x1a\n"
# Kinds of files that may hold weights and are not read, by their first bytes.
_REFUSED = {
    b"PK\x03\x04": "a zip archive (a .keras file, numpy's .npz or torch's pickle)",
    b"\x80": "a pickle, which runs code when it is opened",
    b"\x08": "a protobuf message such as an ONNX model",
}


def read(model: Any, path: Path, *, published: bool = False) -> None:
    """Reads a weights file of any known kind into a model.

    Args:
        model: A built `keras.Model` of the architecture that the file is for.
        path: The file; its kind is known by its suffix.
        published: Whether it was just found to have a published hash.

    Raises:
        WeightsError: If the file is of another kind, damaged or for another network.
    """
    kind = _kind(path)
    if kind == ".caffemodel":
        _read_caffe(model, path)
    elif kind == ".safetensors":
        _read_tensors(model, path)
    else:
        with _opened(path, published) as file:
            read_into = _read_keras if _is_modern(file) else _read_legacy
            read_into(model, file, path)


def has_classifier(path: Path, *, published: bool = False) -> bool:
    """Returns whether a weights file holds the layer of the classes' scores.

    Args:
        path: The file.
        published: As for `read`.

    Raises:
        WeightsError: If the file cannot be read.
    """
    kind = _kind(path)
    if kind == ".caffemodel":
        names = [*caffemodel.blobs(path)]
    elif kind == ".safetensors":
        names = [name.rpartition("/")[0] for name in safetensors.names(path)]
    else:
        with _opened(path, published, arrays=False) as file:
            if _is_modern(file):
                # A file of Keras before 3.6 has no names; its layers are known by kind.
                names = _keras_names(_followed(file, "layers", path), path)
            else:
                names = _listed(file, "layer_names")
    return any(name in CLASSIFIERS for name in names)


def _kind(path: Path) -> str:
    """Returns the suffix that decides how a file is read.

    Raises:
        WeightsError: If it is of a kind that is not.
    """
    check_file(path, "A weights file", error=WeightsError)
    ending = path.suffix.lower()
    if ending in (".caffemodel", ".safetensors", ".h5", ".hdf5"):
        return ending
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError:
        start = b""
    if start == _HDF5:
        return ".h5"
    if ending == ".keras":
        what = "a whole model"
    else:
        fitting = (text for head, text in _REFUSED.items() if start.startswith(head))
        what = next(fitting, "a file of another kind")
    raise WeightsError(
        f"A weights file must be {KINDS}",
        received=f"{path.name}, {what}",
        hint="give the model itself: --network FILE.keras --trust-model"
        if ending == ".keras"
        else "save the model's weights with Keras, model.save_weights('x.weights.h5')",
    )


@contextlib.contextmanager
def _opened(path: Path, published: bool, *, arrays: bool = True) -> Iterator[Any]:
    """Opens an HDF5 file; whatever its damage makes h5py raise becomes one sentence.

    Yields:
        A group of `h5py` for a published file, else an `untrusted.hdf5.Group`, which
        is used in the same way.
    """
    check_file(path, "A weights file", error=WeightsError)
    try:
        if published:
            import h5py

            with h5py.File(path, "r") as file:
                yield file
        else:
            yield hdf5.opened(
                path, what="A weights file", error=WeightsError, arrays=arrays
            )
    except WeightsError:
        raise
    except hdf5.RefusedError as refused:
        raise _damaged(path, f"which {refused}") from None
    except (AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError):
        raise _damaged(
            path, "which is no HDF5 file laid out as one, or is damaged"
        ) from None


def _damaged(path: Path, what: str) -> WeightsError:
    return WeightsError(
        "A weights file must be whole and made for this network",
        received=f"{path.name}, {what}",
        hint="fetch it again, or give another one with --weights FILE",
    )


def _read_legacy(model: Any, file: Any, path: Path) -> None:
    """Puts a legacy Keras weights file (`.h5`, weights only) into a model, in order."""
    if "model_config" in file.attrs:
        raise _damaged(path, "a whole model")
    groups = _layers(file, path)
    wanted = [layer for layer in model.layers if layer.weights]
    if len(groups) != len(wanted):
        raise _damaged(path, f"{len(groups)} layers where {len(wanted)} are needed")
    for layer, (name, group, parts) in zip(wanted, groups, strict=True):
        # The legacy order: what is trained first, then the moving statistics.
        variables = [*layer.trainable_variables, *layer.non_trainable_variables]
        shapes = [tuple(v.shape) for v in variables]
        # Before anything is read: a small file may claim gigabytes many times.
        if shapes != [_plain(group, part, path).shape for part in parts]:
            raise _damaged(path, f"shapes of the layer {name} that do not fit")
        _assign(layer, variables, [_array(group, part, path) for part in parts])


def _assign(layer: Any, variables: list[Any], arrays: list[np.ndarray]) -> None:
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
    if hasattr(layer, "finalize_state"):  # a Normalization computes with copies
        layer.finalize_state()


def _read_keras(model: Any, file: Any, path: Path) -> None:
    """Puts a `.weights.h5` file, as Keras 3 writes it, into a model."""
    _fill(model, file, "", path)


def _fill(model: Any, file: Any, folder: str, path: Path) -> None:
    from keras.src.utils.naming import to_snake_case

    used: Counter[str] = Counter()
    for layer in model.layers:
        kind = to_snake_case(type(layer).__name__)
        place = f"{folder}layers/{kind}" + (f"_{used[kind]}" if used[kind] else "")
        used[kind] += 1
        if hasattr(layer, "layers"):
            _fill(layer, file, f"{place}/", path)
            continue
        variables = list(layer.weights)
        if not variables:
            continue
        stored = _followed(file, f"{place}/vars", path)
        if len(stored) < len(variables):
            raise _damaged(path, f"whose {place} holds too few arrays for {layer.name}")
        for number, variable in enumerate(variables):
            data = _plain(stored, str(number), path)
            if data.shape != tuple(variable.shape):
                raise _misshapen(path, f"{place}/vars/{number}", data.shape, variable)
        arrays = [_array(stored, str(n), path) for n in range(len(variables))]
        _assign(layer, variables, arrays)


def _keras_names(group: Any, path: Path) -> list[str]:
    """Returns the names of the layers in a `.weights.h5` file, "" where it has none."""
    names = []
    for kind in group:
        inner = _followed(group, kind, path)
        stored = _followed(inner, "vars", path) if "vars" in inner else None
        name = "" if stored is None else stored.attrs.get("name", "")
        unnamed = not name and kind == "dense" and stored is not None and len(stored)
        names.append("predictions" if unnamed else str(name))
    return names


def _read_caffe(model: Any, path: Path) -> None:
    """Puts a `.caffemodel` into a model whose layers have Caffe's names.

    A slash is an underscore here. Layers of the file that the model does not have,
    such as the heads that only training needs, are left alone.
    """
    by_name: dict[str, list[np.ndarray]] = {}
    for name, blobs in caffemodel.blobs(path).items():
        ours = name.replace("/", "_")
        if ours in by_name:
            raise _damaged(path, f"with two layers that are {ours} here")
        by_name[ours] = blobs
    for layer in (layer for layer in model.layers if layer.weights):
        if layer.name not in by_name:
            raise _damaged(path, f"without the layer {layer.name}")
        variables, blobs = list(layer.weights), by_name[layer.name]
        if len(blobs) != len(variables):
            raise _damaged(
                path, f"{len(blobs)} arrays of {layer.name}, not {len(variables)}"
            )
        arrays = [
            _converted(blob, variable, f"{layer.name}/{variable.name}", path)
            for blob, variable in zip(blobs, variables, strict=True)
        ]
        _assign(layer, variables, arrays)


def _converted(blob: np.ndarray, variable: Any, name: str, path: Path) -> np.ndarray:
    """Returns Caffe's array in Keras' order: OIHW becomes HWIO."""
    shape = tuple(variable.shape)
    axes = {4: (2, 3, 1, 0), 2: (1, 0), 1: (0,)}.get(len(shape), ())
    # Old files state four sides for everything, the first ones 1.
    spare = blob.ndim - len(shape)
    if spare > 0 and blob.shape[:spare] == (1,) * spare:
        blob = blob.reshape(blob.shape[spare:])
    if len(axes) == blob.ndim:
        blob = blob.transpose(axes)
    if blob.shape != shape:
        raise _misshapen(path, name, blob.shape, variable)
    return _finite(np.asarray(blob, np.float32), name, path)


def _read_tensors(model: Any, path: Path) -> None:
    """Puts a `.safetensors` file into a model, by its variables' names."""
    with safetensors.opened(path) as file:
        places = safetensors.places(model, file.names)
        missing = [v.path for v in model.weights if v.path not in places]
        if missing:
            raise _damaged(
                path, f"without {len(missing)} arrays, the first {missing[0]}"
            )
        for layer in safetensors.leaves(model):
            variables = list(layer.weights)
            arrays = []
            for variable in variables:
                name = places[variable.path]
                if file.shape(name) != tuple(variable.shape):
                    raise _misshapen(path, name, file.shape(name), variable)
                arrays.append(_finite(file.array(name), name, path))
            _assign(layer, variables, arrays)


def _misshapen(path: Path, name: str, shape: Any, variable: Any) -> WeightsError:
    received, needed = (" × ".join(map(str, s)) for s in (shape, variable.shape))
    return _damaged(path, f"whose {name} is {received}, not {needed}")


def _layers(file: Any, path: Path) -> list[tuple[str, Any, list[str]]]:
    """Returns name, group and arrays' names of the layers that have weights."""
    layers: list[tuple[str, Any, list[str]]] = []
    for name in _listed(file, "layer_names"):
        group = _followed(file, name, path)
        parts = _listed(group, "weight_names")
        if parts:
            layers.append((name, group, parts))
    return layers


def _is_modern(file: Any) -> bool:
    """Returns whether an HDF5 file is laid out as Keras 3 does it."""
    legacy = {"layer_names", "layer_names0"} & {*file.attrs}
    return not legacy and "layers" in file


def _listed(group: Any, name: str) -> list[str]:
    """Returns a list of names; a long one is written in parts that are numbered."""
    if name in group.attrs or f"{name}0" not in group.attrs:
        return _names(group.attrs[name])
    parts = takewhile(group.attrs.__contains__, (f"{name}{k}" for k in count()))
    return [text for part in parts for text in _names(group.attrs[part])]


def _names(values: Any) -> list[str]:
    return [v.decode() if isinstance(v, bytes) else str(v) for v in values]


def _followed(group: Any, name: str, path: Path) -> Any:
    """Returns what a name leads to."""
    for part in filter(None, name.split("/")):
        if not hasattr(group, "keys") or part not in group:
            raise _damaged(path, f"whose {name} is missing")
        group = group[part]
        if isinstance(group, hdf5.Fault):
            raise _damaged(path, f"whose {name} {group.reason}")
    return group


def _array(group: Any, name: str, path: Path) -> np.ndarray:
    data = _plain(group, name, path)
    return _finite(np.asarray(data[()], np.float32), name, path)


def _plain(group: Any, name: str, path: Path) -> Any:
    """Returns an array, or what becomes one when it is read."""
    data = _followed(group, name, path)
    if not hasattr(data, "shape"):
        raise _damaged(path, f"whose {name} is no array")
    return data


def _finite(array: np.ndarray, name: str, path: Path) -> np.ndarray:
    if not np.isfinite(array).all():
        raise _damaged(path, f"whose {name} is not finite")
    return array
