"""Checks the configuration of a `.keras` file: which parts Keras would build.

A configuration names classes and functions, and Keras imports and calls them. So only
what is listed here may be named: Keras' own layers for pictures, and what goes with
them. Everything else is refused, what is known to be unsafe with its reason.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from keras_dream.errors import short_repr
from keras_dream.untrusted.archive import refuse

DEEPEST = 256  # values within values; a model nested ten deep has about a hundred

# Layers of `keras.layers` that a network for pictures may have.
_LAYERS = re.compile(
    r"((Separable|Depthwise)?Conv(olution)?[12]D(Transpose)?"
    r"|(Global|Adaptive)?(Max|Average|Avg)Pool(ing)?[12]D"
    r"|(Batch|Group|Layer|RMS|Spectral|Unit)?Normalization"
    r"|(Alpha|Gaussian)?Dropout|SpatialDropout[12]D|GaussianNoise"
    r"|(Cropping|UpSampling|ZeroPadding)[12]D|CenterCrop|Resizing|Rescaling"
    r"|Random[A-Z][A-Za-z]+|AugMix|RandAugment|CutMix|MixUp|Pipeline|AutoContrast"
    r"|Equalization|Solarization|Activation|ActivityRegularization|Identity|Masking"
    r"|ELU|LeakyReLU|PReLU|ReLU|Softmax|Dense|EinsumDense|Embedding"
    r"|Add|Average|Concatenate|Dot|Maximum|Minimum|Multiply|Subtract"
    r"|Flatten|Permute|RepeatVector|Reshape|TimeDistributed|Bidirectional"
    r"|LSTM|GRU|SimpleRNN|LSTMCell|GRUCell|SimpleRNNCell"
    r"|(Additive|MultiHead|GroupQuery)?Attention|InputLayer|InputSpec)"
)

# Which names each module may give: by pattern, for classes.
_ANY = re.compile(r"[A-Z][A-Za-z0-9]*")
_MODELS = re.compile(r"Functional|Sequential|Model")
_OPERATIONS = re.compile(
    r"(?!(Map|Scan|AssociativeScan|VectorizedMap|WhileLoop|ForiLoop|Cond|Switch)$)"
    r"[A-Z][A-Za-z0-9]*"
)
_IDENTIFIERS = (
    "activations", "constraints", "dtype_policies", "initializers", "losses",
    "metrics", "optimizers", "quantizers", "regularizers",
)  # fmt: skip
_MODULES: dict[str, re.Pattern[str]] = {
    "keras": re.compile(rf"{_MODELS.pattern}|DTypePolicy|DTypePolicyMap|InputSpec"),
    "keras.models": _MODELS,
    "keras.src.models.functional": _MODELS,
    "keras.src.models.sequential": _MODELS,
    "keras.src.models.model": _MODELS,
    "keras.layers": _LAYERS,
    **{f"keras.{part}": _ANY for part in _IDENTIFIERS},
    **{
        f"keras.src.ops.{part}": _OPERATIONS
        for part in ("core", "image", "linalg", "math", "nn", "numpy")
    },
    # The layers that ConvNeXt in keras.applications brings with it.
    "keras.src.applications.convnext": re.compile(r"LayerScale|StochasticDepth"),
}

# Class names of plain values; `__lambda__` and `__typespec__` do not.
_VALUES = (
    "__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__",
    "__slice__",
)  # fmt: skip

_ARRAYS = ("__tensor__", "__numpy__")
_NUMBERS = re.compile(r"bool|b?float(16|32|64)|u?int(8|16|32|64)")

_CODE = "which holds code of its author's that would run here"
_REASONS = {
    "Lambda": f"with a Lambda layer, {_CODE}",
    "__lambda__": f"with a Python lambda, {_CODE}",
    "__typespec__": "with a type of TensorFlow's, which is looked up by its name",
    "TorchModuleWrapper": f"with a TorchModuleWrapper, {_CODE} (a pickle)",
    "TFSMLayer": "with a TFSMLayer, which loads code from another place",
    "JaxLayer": f"with a JaxLayer, {_CODE}",
    "FlaxLayer": f"with a FlaxLayer, {_CODE}",
    "StringLookup": "with a StringLookup, which reads a file and is for text",
    "IntegerLookup": "with an IntegerLookup, which reads a file and is for numbers",
    "TextVectorization": "with a TextVectorization, which reads a file and is for text",
}
_PLAIN = (
    "write it with Keras' own layers, or load it in Python and hand over the "
    "model: Dreamer(model)"
)
_REMOTE = re.compile(
    r"[a-z][a-z0-9+.-]*://|hf:|gs:|/(gcs|cns|cfs|tfhub|placer|bigstore)"
)


def check(path: Path, config: dict[str, Any]) -> None:
    """Makes sure that a configuration names only what is known to be harmless.

    Args:
        path: The model file, for messages.
        config: What `keras_dream.untrusted.archive.inspect` returned.

    Raises:
        NetworkError: With the reason of the refusal.
    """
    kind = config.get("class_name")
    if not isinstance(kind, str) or not _MODELS.fullmatch(kind):
        _check_class(path, config)
        _refuse(path, f"of which {short_repr(kind)} is no model")
    # How a model was trained is never read: `compile=False` leaves it out.
    rest = {name: part for name, part in config.items() if name != "compile_config"}
    for value in _values(path, rest):
        if isinstance(value, str):
            _check_text(path, value)
        elif isinstance(value, dict):
            _check_class(path, value)


def _values(path: Path, config: Any) -> Iterator[Any]:
    """Yields every value of a configuration, and every name as text."""
    waiting = [(config, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > DEEPEST:
            _refuse(path, f"whose configuration is more than {DEEPEST} deep")
        yield value
        if isinstance(value, dict):
            yield from value
            waiting += [(part, depth + 1) for part in value.values()]
        elif isinstance(value, list):
            waiting += [(part, depth + 1) for part in value]


def _check_text(path: Path, text: str) -> None:
    if _REMOTE.match(text):
        _refuse(path, f"which names a remote place, {_short(text)}")
    if text in (".", "..") or "../" in text or "..\\" in text or "\0" in text:
        _refuse(path, f"which names a place outside of it, {_short(text)}")


def _check_class(path: Path, value: dict[str, Any]) -> None:
    """Checks a value that names a class or a function."""
    if "class_name" not in value:
        if "registered_name" in value or "module" in value:
            _refuse(path, "with a part that names a module and no class")
        return
    kind, module = value["class_name"], value.get("module")
    if kind in _VALUES and module in (None, "builtins"):
        if kind in _ARRAYS:
            _check_array(path, value)
        return
    if isinstance(kind, str) and kind in _REASONS:
        _refuse(path, _REASONS[kind])
    if not isinstance(kind, str) or not kind.isidentifier():
        _refuse(path, f"with a part whose class is {_short(kind)}")
    if kind == "function":
        _check_function(path, value)
        return
    if not isinstance(module, str) or module.split(".")[0] != "keras":
        _refuse(
            path, f"with {short_repr(kind)}, a class of its author's own{_by(module)}"
        )
    allowed = _MODULES.get(module)
    if allowed is None or not allowed.fullmatch(kind):
        name = short_repr(f"{module}.{kind}")
        _refuse(path, f"with {name}, which no network for pictures needs")
    _check_registered(path, value, kind)


def _check_array(path: Path, value: dict[str, Any]) -> None:
    """Checks an array: NumPy would make texts of any length, for one."""
    config = value.get("config")
    config = config if isinstance(config, dict) else {}
    kind = config.get("dtype")
    if not isinstance(kind, str) or not _NUMBERS.fullmatch(kind):
        _refuse(path, f"with an array of {_short(kind)}, no kind of numbers")
    for part in _values(path, config.get("value")):
        if not isinstance(part, int | float | list):
            _refuse(path, f"with an array that holds {_short(part)}")


def _check_function(path: Path, value: dict[str, Any]) -> None:
    """Checks that a function is one of Keras' activations."""
    import keras

    name, module = value.get("config"), value.get("module")
    activations = {n for n in dir(keras.activations) if n[0] != "_"}
    activations -= {"deserialize", "get", "serialize"}  # these look up others by name
    fine = module in ("builtins", "keras.activations")
    if not fine or not isinstance(name, str) or name not in activations:
        _refuse(
            path,
            f"with the function {_short(name)}, no activation{_by(module)}",
        )
    _check_registered(path, value, name)


def _check_registered(path: Path, value: dict[str, Any], name: str) -> None:
    """Refuses a registered name that would replace a layer by another class."""
    registered = value.get("registered_name")
    if registered not in (None, name, value["class_name"]):
        _refuse(
            path,
            f"with {_short(registered)}, registered in the place of {name!r}",
        )


def _by(module: object) -> str:
    is_other = isinstance(module, str) and module != "builtins"
    return f" (of {_short(module)})" if is_other else ""


def _refuse(path: Path, what: str) -> NoReturn:
    refuse(path, what, _PLAIN)


def _short(value: object) -> str:
    return short_repr(value, limit=40)
