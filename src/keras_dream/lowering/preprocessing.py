"""What stands between a picture in [0, 1] and a Keras model's first layer."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_dream.errors import NetworkError, nearest, short_repr
from keras_dream.graph.ops import INPUT
from keras_dream.lowering.builder import POINTWISE, Builder, Value, to_numpy
from keras_dream.lowering.operators import picks_channels

# scale and shift of images in [0, 1], per channel, and the channels' order: what
# keras.applications' preprocess_input does to images in [0, 255], mode by mode.
_MEAN_CAFFE = (103.939, 116.779, 123.68)  # BGR; the VGG authors' ImageNet means
# Also BGR. BVLC/caffe, models/bvlc_googlenet/train_val.prototxt; and the mean of the
# pictures of Places365, as two dream programs state it that use its GoogLeNet:
# crowsonkb/deep_dream, ProGamerGov/neural-dream (docs/googlenet.md).
_MEAN_BVLC = (104.0, 117.0, 123.0)
_MEAN_PLACES365 = (104.051, 112.514, 116.676)
_MEAN_TORCH, _STD_TORCH = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PREPROCESSING: dict[str, tuple[Any, Any, tuple[int, ...]]] = {
    "tf": (2.0, -1.0, (0, 1, 2)),
    "caffe": (255.0, -np.array(_MEAN_CAFFE), (2, 1, 0)),
    "bvlc": (255.0, -np.array(_MEAN_BVLC), (2, 1, 0)),
    "places365": (255.0, -np.array(_MEAN_PLACES365), (2, 1, 0)),
    "torch": (
        1 / np.array(_STD_TORCH),
        -np.array(_MEAN_TORCH) / np.array(_STD_TORCH),
        (0, 1, 2),
    ),
    "0-1": (1.0, 0.0, (0, 1, 2)),
    "0-255": (255.0, 0.0, (0, 1, 2)),
}
# Those with numbers of their own for each of three channels, and those to choose from.
COLOURED = ("caffe", "bvlc", "places365", "torch")
STATED = ("tf", "caffe", "torch", "0-1", "0-255")

# ITU-R BT.601, as Pillow's "L" and tf.image.rgb_to_grayscale make grey pictures.
LUMA = (0.299, 0.587, 0.114)

# The largest factor that can have been meant for levels up to 255 (Rescaling(1 / 64)),
# and the least mean or deviation that pictures of such levels have.
_GREY_SCALE, _GREY_LEVEL = 0.02, 10.0

# Layers that do nothing while a network only looks, and one that keeps the levels.
_PASSING = ("Dropout", "GaussianNoise", "Identity", "Resizing", "SpatialDropout2D")


def functional(model: Any) -> Any:
    """Returns a model as Keras' own graph of operations.

    Raises:
        NetworkError: If it is no Functional or Sequential model of one picture.
    """
    function = getattr(model, "_functional", None) or model
    if not hasattr(function, "_nodes_by_depth"):
        raise _not_walkable(model)
    shapes = [tuple(i.shape) for i in function.inputs]
    if len(shapes) != 1:
        raise NetworkError(
            "A model must have one input, a picture",
            received=f"{short_repr(model.name)} with {len(shapes)} inputs",
            hint="make a model of the part that sees the picture: "
            "keras.Model(picture, layer.output)",
        )
    (shape,) = shapes
    if len(shape) != 4 or shape[-1] not in (1, 3):
        raise NetworkError(
            "A model must take pictures of 3 channels or 1, channels last: (batch, "
            "height, width, channels)",
            received=f"an input of shape {shape}",
            hint="put a layer in front that makes such an input of a picture",
        )
    return function


def _not_walkable(model: Any) -> NetworkError:
    """Returns the sentence on what is no graph of layers."""
    is_model = hasattr(model, "layers") and hasattr(model, "call")
    if is_model and getattr(type(model), "__name__", "") == "Sequential":
        return NetworkError(
            "A Sequential model must know the shape of its input",
            received=f"{short_repr(model.name)}, which is not built",
            hint="begin it with keras.Input((None, None, 3)), or call it once",
        )
    if is_model:
        return NetworkError(
            "A model must be a Functional or Sequential one, whose layers can be "
            "walked",
            received=f"{short_repr(model.name)}, a subclass whose call is code of its "
            "own",
            hint="make a Functional one of it: x = keras.Input((None, None, 3)), "
            "then keras.Model(x, model.call(x))",
        )
    return NetworkError(
        "A network must be a name, a model file or a built keras.Model",
        received=short_repr(model),
        hint="build one with keras.Model(inputs, outputs)",
    )


def stated(function: Any, preprocessing: str | None) -> str:
    """Returns the preprocessing of a model: the stated one, or the model's own.

    Args:
        function: What `functional` returned.
        preprocessing: One of `PREPROCESSING`, or None.

    Raises:
        NetworkError: If it is unknown, missing, or not what the model begins with.
    """
    if preprocessing is not None and preprocessing not in PREPROCESSING:
        raise NetworkError(
            f"The preprocessing must be one of {', '.join(STATED)}",
            received=short_repr(preprocessing),
            hint=nearest(str(preprocessing), STATED),
        )
    first, fitting = _own(function)
    if preprocessing is None:
        if not fitting:
            raise NetworkError(
                f"The preprocessing must be stated, one of {', '.join(STATED)}, "
                "for a model that does not begin with a Rescaling or Normalization "
                "which tells it",
                received="none",
                hint="name what its training pictures were: 0-1 if they were "
                "divided by 255, tf if they went from -1 to 1",
            )
        return fitting[0]
    if fitting and preprocessing not in fitting:
        raise NetworkError(
            "The preprocessing must be what the model's own first layer expects, "
            f"{' or '.join(fitting)} for this {first}",
            received=f"{preprocessing!r}",
            hint="leave it out, since the model tells it",
        )
    if preprocessing in COLOURED and function.inputs[0].shape[-1] == 1:
        raise NetworkError(
            "The preprocessing of a model of one channel must be tf, 0-1 or 0-255",
            received=f"{preprocessing!r}, which tells three channels apart",
            hint="name what its training pictures were",
        )
    return preprocessing


def preprocess(builder: Builder, mode: str, function: Any) -> Value:
    """Appends the picture and what makes a model's input of it.

    A model of one channel sees the picture's luma; its gradient goes back to all three.

    Args:
        builder: Collects the nodes.
        mode: What `stated` returned.
        function: What `functional` returned.
    """
    scale, shift, order = PREPROCESSING[mode]
    value = builder.add(INPUT, INPUT, channels=3)
    count = function.inputs[0].shape[-1]
    if count == 1:
        value = builder.add(
            "input/luma",
            "conv2d",
            value,
            weights={"kernel": np.reshape(LUMA, (1, 1, 3, 1))},
            **POINTWISE,
        )
    if order != (0, 1, 2):
        value = builder.add("input/order", "gather", value, channels=list(order))
    if mode != "0-1":
        value = builder.add(
            "input/affine",
            "affine",
            value,
            weights={"scale": np.full(count, scale), "shift": np.full(count, shift)},
        )
    return value


def _own(function: Any) -> tuple[str, tuple[str, ...]]:
    """Finds the preprocessing that a model does itself.

    Returns:
        Its first layer and the modes that this may have been made for, the likeliest
        first; none where it does not tell.
    """
    for node in _first_nodes(function):
        operation = node.operation
        kind = type(operation).__name__
        if kind == "Rescaling":
            return kind, _by_scale(operation.scale, operation.offset)
        if kind == "Normalization":
            return kind, _by_mean(operation)
        if kind in ("TrueDivide", "Multiply") and not hasattr(operation, "weights"):
            factor = next((a for a in node.arguments.args if _is_number(a)), None)
            if factor:
                return kind, _by_scale(1 / factor if kind[0] == "T" else factor, 0.0)
        # keras.applications' preprocess_input, for BGR: its means are grey levels.
        if kind == "GetItem" and picks_channels(node.arguments.args[-1]):
            return "turning of the channels to BGR", ("0-255",)
        return kind, ()
    return "model", ()


def _first_nodes(function: Any) -> Iterator[Any]:
    """Yields the nodes that a picture goes through first, into models and past noise.

    The last of them is the first that does anything.
    """
    for _, nodes in sorted(function._nodes_by_depth.items(), reverse=True):
        for node in nodes:
            operation = node.operation
            kind = type(operation).__name__
            if node.is_input or kind.startswith("Random") or kind in _PASSING:
                continue
            inner = getattr(operation, "_functional", None) or operation
            if hasattr(inner, "_nodes_by_depth"):
                yield from _first_nodes(inner)
                if not _only_passes(inner):
                    return
                continue
            yield node
            return


def _only_passes(function: Any) -> bool:
    return not any(True for _ in _first_nodes(function))


def _by_scale(scale: Any, offset: Any) -> tuple[str, ...]:
    """Tells which levels a Rescaling was made for."""
    factor, shift = float(np.mean(np.abs(scale))), float(np.mean(offset))
    if 0 < factor <= _GREY_SCALE or factor + shift < 0:
        return ("0-255",)
    return ("0-1",) if factor > 1 else ()


def _by_mean(layer: Any) -> tuple[str, ...]:
    """Tells which levels a Normalization was adapted to."""
    mean, variance = to_numpy(layer.mean), to_numpy(layer.variance)
    grey = max(float(np.mean(mean)), float(np.sqrt(np.mean(variance)))) >= _GREY_LEVEL
    most = 255.0 if grey else 1.0
    # What lies between 0 and `most` varies no more than this (Bhatia and Davis 2000,
    # "A Better Bound on the Variance"); levels from -1 to 1, or less a mean, may.
    fits = (mean >= 0) & (variance <= 1.001 * mean * (most - mean))
    if not fits.all() or not mean.any():
        return ()
    # Bright pictures from -1 to 1 have such numbers, too, if somebody says so.
    return ("0-255",) if grey else ("0-1", "tf")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
