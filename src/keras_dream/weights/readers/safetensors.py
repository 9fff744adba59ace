"""Weights as `.safetensors`: arrays by the names of layers and variables.

An array is called `LAYER/VARIABLE`, as Keras' own `variable.path` is: `conv1/kernel`,
`predictions/bias`, or `stem/conv/kernel` for a layer of a model in a model. Keras
numbers unnamed layers by a counter of the process, so that `conv2d_7` is another layer
in another program: such numbers are read by their order, the smallest first.
`conv2d@7`, as in `dream layers`, is read as well.
"""

import contextlib
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_dream.errors import WeightsError
from keras_dream.files import check_file

# What numpy knows; bfloat16 it does not. The whole numbers are a Normalization's count.
KINDS = ("F64", "F32", "F16", "I32", "I64")


class Tensors:
    """An open file.

    Attributes:
        names: Of its arrays.
    """

    def __init__(self, file: Any, path: Path):
        self._file, self._path = file, path
        self.names: list[str] = list(file.keys())

    def shape(self, name: str) -> tuple[int, ...]:
        """Returns the shape of an array, of which nothing is read."""
        return tuple(self._file.get_slice(name).get_shape())

    def array(self, name: str) -> np.ndarray:
        """Returns an array as float32.

        Raises:
            WeightsError: If it holds numbers of another kind than `KINDS`.
        """
        kind = self._file.get_slice(name).get_dtype()
        if kind not in KINDS:
            raise _foreign(self._path, f"whose {name} is of the type {kind}")
        return np.asarray(self._file.get_tensor(name), np.float32)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Tensors]:
    """Opens a `.safetensors` file; whatever is wrong with it is one error.

    Raises:
        WeightsError: If it is none, or holds a network that was lowered already.
    """
    from safetensors import SafetensorError, safe_open

    check_file(path, "A weights file", error=WeightsError)
    try:
        with safe_open(path, "numpy") as file:
            if "keras-dream" in (file.metadata() or {}):
                raise _foreign(path, "a network that keras-dream wrote for itself")
            yield Tensors(file, path)
    except (OSError, SafetensorError, json.JSONDecodeError, UnicodeDecodeError):
        raise _foreign(path, "which is damaged or no such file") from None


def _foreign(path: Path, what: str) -> WeightsError:
    return WeightsError(
        "A .safetensors file must hold this network's weights as LAYER/VARIABLE",
        received=f"{path.name}, {what}",
        hint="see docs/weights-files.md, or give another one with --weights FILE",
    )


def names(path: Path) -> list[str]:
    """Returns the names of the arrays in a file.

    Raises:
        WeightsError: If the file cannot be read.
    """
    with opened(path) as file:
        return file.names


def leaves(model: Any) -> Iterator[Any]:
    """Yields the layers that have weights themselves, of inner models, too."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from leaves(layer)
        elif layer.weights:
            yield layer


def places(model: Any, arrays: Iterable[str]) -> dict[str, str]:
    """Returns the array that belongs to each variable.

    Args:
        model: A built `keras.Model`.
        arrays: Names of arrays.

    Returns:
        Array names by `variable.path`; variables without an array are missing.
    """
    ours = {variable.path: variable for variable in model.weights}
    # An unnamed variable is numbered, too (ConvNeXt's LayerScale has one).
    kinds = {"variable", *(_kind(layer) for layer in leaves(model))}
    by_order = _ordered(arrays, kinds)
    ordinals = _ordinals(model)
    wanted = {path: name for name, path in _ordered(ours, kinds).items()}
    result: dict[str, str] = {}
    for path in ours:
        layer, _, variable = path.rpartition("/")
        ordinal = f"{ordinals[layer]}/{variable}" if layer in ordinals else path
        for name in (wanted[path], ordinal):
            if name in by_order:
                result[path] = by_order[name]
                break
    return result


def _ordered(paths: Iterable[str], kinds: set[str]) -> Mapping[str, str]:
    """Returns paths by their names with counters from zero."""
    paths = list(paths)
    split = {path: [_number(part, kinds) for part in path.split("/")] for path in paths}
    numbers: dict[str, set[int]] = {}
    for kind, number in itertools.chain.from_iterable(split.values()):
        if number is not None:
            numbers.setdefault(kind, set()).add(number)
    ranks = {
        kind: {number: rank for rank, number in enumerate(sorted(values))}
        for kind, values in numbers.items()
    }
    return {
        "/".join(
            kind if number is None else f"{kind}#{ranks[kind][number]}"
            for kind, number in parts
        ): path
        for path, parts in split.items()
    }


def _number(part: str, kinds: set[str]) -> tuple[str, int | None]:
    """Splits a layer's name into its kind and the number that Keras gave it."""
    if part in kinds:
        return part, 0
    match = re.fullmatch(r"(.+)_([0-9]{1,9})", part)
    if match and match[1] in kinds:
        return match[1], int(match[2])
    return part, None


def _ordinals(model: Any) -> dict[str, str]:
    """Returns `conv2d@7` for the unnamed layers of a model."""
    function = getattr(model, "_functional", None) or model
    counts: dict[str, int] = {}
    ordinals: dict[str, str] = {}
    for _, nodes in sorted(function._nodes_by_depth.items(), reverse=True):
        for layer in (node.operation for node in nodes if not node.is_input):
            kind = _kind(layer)
            ordinals.setdefault(layer.name, f"{kind}@{counts.get(kind, 0)}")
            counts[kind] = counts.get(kind, 0) + 1
    return ordinals


def _kind(layer: Any) -> str:
    from keras.src.utils.naming import to_snake_case

    return to_snake_case(type(layer).__name__)
