"""A user's own model: a built `keras.Model`, or a trusted `.keras` file.

A file is checked (`untrusted.archive`, `untrusted.configuration`) before Keras opens it
in its safe mode.
"""

import contextlib
import copy
import hashlib
import math
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from keras_dream.errors import DreamError, NetworkError, SaveError, short_repr
from keras_dream.files import check_file
from keras_dream.graph.graph import Graph
from keras_dream.lowering.walker import lower
from keras_dream.names import plain_name
from keras_dream.recipe.objectives import Objective
from keras_dream.recipe.recipe import Recipe
from keras_dream.untrusted import archive, configuration, hdf5
from keras_dream.weights.source import folders
from keras_dream.weights.verify import sha256_of, unchanged
from keras_dream.zoo.load import LoadedNetwork

SUFFIX = ".keras"

_SAVE = "save the model with model.save('model.keras'), of Keras 3"
_NAME = "name its network, too: --network NAME --weights FILE"
_CODE = "which runs its author's code when it is opened"

# Other kinds of files that hold models, and why they are not opened.
_WEIGHTS = ("weights without a network", _NAME)
_PICKLE = (f"a pickle, {_CODE}", _SAVE)
_FOREIGN = ("a model of another program", _SAVE)
_PARTS = ("a description without weights", _SAVE)
_PACKED = ("an archive of unknown files", "unpack it and look what it is")
_SCRIPT = ("a program", "run it yourself, and " + _SAVE)
_KINDS: Mapping[str, tuple[str, str]] = {
    suffix: kind
    for kind, suffixes in (
        (_WEIGHTS, ".safetensors .npz .npy .caffemodel"),
        (_PICKLE, ".pt .pth .ckpt .bin .pkl .pickle .joblib .dill .t7"),
        (_FOREIGN, ".onnx .pb .tflite .mlmodel .mlpackage .gguf .engine"),
        (_PARTS, ".json .yaml .yml .prototxt"),
        (_PACKED, ".zip .tar .gz .tgz .7z"),
        (_SCRIPT, ".py .ipynb"),
    )
    for suffix in suffixes.split()
}
_HDF5 = (".h5", ".hdf5", ".hdf")

# A configuration may share what it names twice; a forged one claims thousands of times
# what its file holds.
_MOST_NUMBERS = 4


def is_file(network: object) -> bool:
    """Tells whether a network is given as a file, not as a name or a model."""
    if isinstance(network, os.PathLike):
        return True
    if not isinstance(network, str):
        return False
    suffixes = (SUFFIX, *_HDF5, *_KINDS)
    return network.lower().endswith(suffixes) or "/" in network or "\\" in network


def file_name(network: str | os.PathLike[str]) -> str:
    """Returns what a recipe calls a model file: its name without its folders."""
    return PureWindowsPath(network).name if os.name == "nt" else Path(network).name


def model_name(model: Any) -> str:
    """Returns what a recipe calls a model that was handed over."""
    return f"model:{getattr(model, 'name', type(model).__name__)}"


def named(network: str | os.PathLike[str], files: dict[str, Any]) -> str:
    """Returns what a recipe calls a network, and notes its file if it is one.

    Args:
        network: A network's name or a model file, as the user gave it.
        files: Model files by their names; the file is put there.

    Raises:
        NetworkError: If two files have one name, or it is a path to no model file.
    """
    if not is_file(network):
        return str(network)
    name = file_name(network)
    if not is_file(name):
        check(network, trusted=False)
    if Path(files.setdefault(name, network)).resolve() != Path(network).resolve():
        raise NetworkError(
            "Model files in one dream must have names of their own",
            received=f"{short_repr(str(files[name]))} and {short_repr(str(network))}",
            hint="rename one of them",
        )
    return name


def named_in(objective: Objective, files: dict[str, Any]) -> Objective:
    """Returns an objective in which model files go by their names.

    Args:
        objective: As a person gave it.
        files: Model files by their names; those of the objective are put there.

    Raises:
        NetworkError: If two files have one name.
    """
    first, *others = objective.networks
    renamed = (
        replace(other, network=named(str(other.network), files)) for other in others
    )
    return Objective((first, *renamed))


def check(path: str | os.PathLike[str], *, trusted: bool) -> Path:
    """Checks a model file without opening it in Keras.

    Args:
        path: The file.
        trusted: Whether the user said so, on the command line or in Python.

    Raises:
        NetworkError: If it is no `.keras` file, or not trusted.
    """
    text = os.fspath(path)
    if "://" in text or text.startswith("hf:"):
        _refuse(text, "a remote place", "download it and look where it came from")
    file = Path(text)
    if file.is_dir():
        saved = (file / "saved_model.pb").exists()
        what = f"a SavedModel, {_CODE}" if saved else "a folder"
        _refuse(file.name, what, _SAVE)
    check_file(file, "A model file", error=NetworkError)
    suffix = file.suffix.lower()
    if suffix in _HDF5:
        _refuse(file.name, *_of_hdf5(file))
    if suffix in _KINDS:
        _refuse(file.name, *_KINDS[suffix])
    if suffix != SUFFIX:
        _refuse(file.name, "a file of another kind", _SAVE)
    _check_beginning(file)
    if not trusted:
        raise distrusted(file.name)
    return file


def distrusted(name: str) -> NetworkError:
    """Returns the error for a model file that is not trusted."""
    return NetworkError(
        "A model file must be trusted with --trust-model (in Python, "
        "trust_model=True), since Keras builds whatever its author wrote into it",
        received=f"{short_repr(name)} without it",
        hint="add it if you know who made the file",
    )


def files_of(recipe: Recipe) -> list[str]:
    """Returns a recipe's networks that are model files, each once."""
    names = dict.fromkeys(str(network.network) for network in recipe.every_network)
    return [name for name in names if is_file(name)]


def load_file(
    path: str | os.PathLike[str], *, trusted: bool, preprocessing: str | None = None
) -> LoadedNetwork:
    """Loads a model from a `.keras` file.

    Args:
        path: The file.
        trusted: As for `check`.
        preprocessing: As for `load_model`.

    Raises:
        NetworkError: If it is refused, cannot be built, or is no network for pictures.
    """
    file = check(path, trusted=trusted)
    with unchanged(file) as sha256:
        contents = archive.inspect(file)
    configuration.check(file, contents.config)
    with _building(file):
        _check_numbers(file, contents.config, contents.numbers)
        model = _opened(file, contents)
        graph = _lowered(model, preprocessing, name=file.name)
    return LoadedNetwork(file.name, graph, sha256, preprocessing=preprocessing)


def load_model(model: Any, preprocessing: str | None) -> LoadedNetwork:
    """Lowers a model that the user built.

    Args:
        model: A `keras.Model`.
        preprocessing: One of `recipe.objectives.PREPROCESSINGS`, or None where the
            model has its own.

    Raises:
        NetworkError: If the model cannot be lowered or is no network for pictures.
    """
    graph = _lowered(model, preprocessing, name=str(getattr(model, "name", model)))
    sha256 = sha256_of_arrays(graph)
    return LoadedNetwork(model_name(model), graph, sha256, preprocessing=preprocessing)


def sha256_of_arrays(graph: Graph) -> str:
    """Returns the sha256 of a graph's weights: names, shapes and float32 bytes.

    Args:
        graph: The graph; the weights of its opaque layers count, too.
    """
    from keras_dream.lowering.rules import to_numpy

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


def find(
    name: str,
    sha256: str,
    beside: Sequence[Path],
    *,
    given: Sequence[str | os.PathLike[str]] = (),
) -> Path:
    """Returns the model file that a record names.

    Args:
        name: Its recorded name.
        sha256: Its recorded sha256.
        beside: Folders to look into beside the caches.
        given: Files of the user's, to look among in their place.

    Raises:
        NetworkError: If there is none, or none with that sha256.
    """
    hint = "give the file with --network FILE"
    plain_name(name, "A recorded model file", error=NetworkError, hint=hint)
    places = [check(path, trusted=True) for path in given]
    if not places:
        places = [place / name for place in (*beside, *folders())]
    others: list[Path] = []
    for place in places:
        if not place.is_file():
            continue
        if sha256_of(place) == sha256:
            return place
        others.append(place)
    raise NetworkError(
        "The model file of a dream must be the recorded one, beside the picture, in "
        "the cache or given with --network FILE",
        received=f"{short_repr(others[0].name)}, which is another one"
        if others
        else f"none called {short_repr(name)}",
        hint="look for the one with the sha256 "
        f"{sha256[:12]}…, or dream anew with `dream PHOTO --network FILE`",
    )


def _refuse(name: str, what: str, hint: str) -> None:
    archive.refuse(Path(name), what, hint)


def _of_hdf5(path: Path) -> tuple[str, str]:
    """Tells what a HDF5 file holds: a whole model, or weights only."""
    try:
        root = hdf5.opened(path, what="A model file", error=NetworkError, arrays=False)
    except hdf5.RefusedError:
        return "no HDF5 file, or a damaged one", _SAVE
    if "model_config" not in root.attrs:
        return _WEIGHTS
    whole = "a whole model in HDF5, for which Keras has no safe mode (CVE-2025-9905)"
    return whole, _SAVE


def _check_beginning(path: Path) -> None:
    """Refuses another kind of file under a model's name."""
    with path.open("rb") as file:
        first = file.read(8)
    if first.startswith(b"PK\x03\x04"):
        return
    if first.startswith(b"\x89HDF"):
        _refuse(path.name, f"in truth {_of_hdf5(path)[0]}", _SAVE)
    if first[:1] == b"\x80" or first.startswith((b"(lp", b"(dp", b"cos\n")):
        _refuse(path.name, f"in truth {_PICKLE[0]}", _SAVE)
    _refuse(path.name, "no whole zip archive", "save or download it again")


@contextlib.contextmanager
def _building(path: Path) -> Iterator[None]:
    """Turns whatever Keras says to an impossible model into one sentence."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what a model was trained with
            yield
    except (DreamError, MemoryError):
        raise
    # A forged or merely old configuration makes Keras' layers raise what they like.
    except Exception as failure:  # noqa: BLE001
        lines = (str(failure) or type(failure).__name__).strip().splitlines()
        archive.refuse(
            path,
            f"which Keras cannot build ({short_repr(lines[0], limit=120)})",
            "save it again with this Keras, or load it in Python and hand over the "
            "model: Dreamer(model)",
        )


def _check_numbers(path: Path, config: dict[str, Any], count: int) -> None:
    """Makes sure that a model is no larger than what its file holds.

    Building it for shapes alone allocates nothing; in earnest, a forged layer of 10⁹
    units would take all memory before its weights are looked at.
    """
    import keras
    from keras.src.backend.common import global_state

    waiting = "uninitialized_variables"
    before = list(global_state.get_global_attribute(waiting) or [])
    try:
        with keras.StatelessScope(initialize_variables=False):
            # A copy: Keras takes parts out of what it is given.
            plain = {**copy.deepcopy(config), "compile_config": None}
            model = keras.saving.deserialize_keras_object(plain, safe_mode=True)
            claimed = sum(math.prod(v.shape) for v in model.weights)
    finally:
        global_state.set_global_attribute(waiting, before)
    if claimed > _MOST_NUMBERS * count:
        archive.refuse(
            path,
            f"whose layers claim {claimed:,} numbers, of which it holds {count:,}",
            "save or download it again",
        )


def _opened(path: Path, contents: archive.Contents) -> Any:
    """Returns the model of what was checked; the file itself is not opened again."""
    import keras

    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder) / f"model{SUFFIX}"
        try:
            contents.write(own)
        except OSError as failure:
            raise SaveError(
                "The folder of temporary files must take a copy of the model",
                received=f"{(failure.strerror or 'an error').lower()!r} for "
                f"{short_repr(path.name)}",
                hint="free some space, or set TMPDIR to another folder",
            ) from failure
        return keras.saving.load_model(own, compile=False, safe_mode=True)


def _lowered(model: Any, preprocessing: str | None, *, name: str) -> Graph:
    """Lowers a model and makes sure that it is a network for pictures."""
    graph = lower(model, preprocessing=preprocessing)
    _check_runnable(graph, name)
    learnt = any(node.op == "opaque" and _learns(graph, node) for node in graph.nodes)
    sees = any(
        node.op in ("conv2d", "depthwise_conv2d")
        and not node.attrs.get("dense")
        and not node.name.startswith("input/")
        for node in graph.nodes
    )
    if not (sees or learnt) or not graph.layers:
        raise NetworkError(
            "A model must be a network for pictures, with a convolution",
            received=f"{short_repr(name)}, which has none",
            hint="try another model, or see `dream networks`",
        )
    for place, array in graph.weights.items():
        if not np.isfinite(array).all():
            raise NetworkError(
                "The weights of a model must be finite numbers",
                received=f"{short_repr(name)}, whose {place} has others",
                hint="save the model before its training diverged",
            )
    return graph


def _check_runnable(graph: Graph, name: str) -> None:
    """Makes sure that a model can be run; its file may be forged."""
    try:
        graph.check()
    except (ArithmeticError, LookupError, TypeError, ValueError) as failure:
        raise NetworkError(
            "A model must be a network that can be run at a bearable cost",
            received=f"{short_repr(name)}, which fails the check of "
            f"{short_repr(str(failure))}",
            hint="try another model, or see `dream networks`",
        ) from None


def _learns(graph: Graph, node: Any) -> bool:
    """Tells whether an opaque layer may hold convolutions of its own."""
    return any(len(w.shape) >= 3 for w in graph.opaque[node.name].weights)
