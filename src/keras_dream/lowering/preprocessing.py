"""Preprocessing: what makes a Keras model's input of a picture in [0, 1]."""

from dataclasses import replace
from typing import Any

import numpy as np

from keras_dream.errors import NetworkError, nearest, short_repr
from keras_dream.graph.ops import INPUT, Node
from keras_dream.lowering.builder import POINTWISE, Builder
from keras_dream.recipe.objectives import PREPROCESSINGS

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
# Modes with different numbers for the three channels.
COLOURED = ("caffe", "bvlc", "places365", "torch")

# ITU-R BT.601, as Pillow's "L" and tf.image.rgb_to_grayscale make grey pictures.
LUMA = (0.299, 0.587, 0.114)

# Opaque layers that change a picture's size and not its levels.
_RESIZING = ("CenterCrop", "Resizing")

# Levels that a model may have been trained on, by the mode that makes them.
_LEVELS = {"0-255": (0.0, 255.0), "0-1": (0.0, 1.0), "tf": (-1.0, 1.0)}


def check_stated(mode: str | None, channels: int) -> None:
    """Makes sure that a stated preprocessing exists and fits a model's channels.

    Raises:
        NetworkError: If it is not.
    """
    if mode is not None and mode not in PREPROCESSING:
        raise NetworkError(
            f"The preprocessing must be one of {', '.join(PREPROCESSINGS)}",
            received=short_repr(mode),
            hint=nearest(str(mode), PREPROCESSINGS, listed=True) or "try tf",
        )
    if mode in COLOURED and channels == 1:
        raise NetworkError(
            "The preprocessing of a model of one channel must be tf, 0-1 or 0-255",
            received=f"{mode!r}, which has numbers for three channels",
            hint="name what its training pictures were",
        )


def preprocess(builder: Builder, stated: str | None, channels: int) -> tuple[str, ...]:
    """Puts the preprocessing before a lowered model.

    A model of one channel sees the picture's luma; its gradient goes back to all three.

    Args:
        builder: The model's nodes, which read the picture itself.
        stated: The preprocessing that the user states, or None; it wins over what is
            found in the model.
        channels: How many channels the model's input has.

    Returns:
        A notice, if the model's own first layers imply another preprocessing.

    Raises:
        NetworkError: If it is not stated and the first layers are ambiguous.
    """
    own = _own(builder, channels)
    mode = stated or own
    if mode is None:
        raise NetworkError(
            f"The preprocessing must be stated, one of {', '.join(PREPROCESSINGS)}, "
            "for a model whose first layers do not imply it",
            received="none",
            hint="name what its training pictures were: 0-1 if they were divided by "
            "255, tf if they went from -1 to 1",
        )
    _put_first(builder, _input_nodes(mode, channels))
    if own in (None, mode):
        return ()
    notice = (
        f"The preprocessing is {mode}, as stated, although the model's first layers "
        f"look made for {own}."
    )
    return (notice,)


def _put_first(builder: Builder, first: Builder) -> None:
    """Inserts the preprocessing between the picture's node and its readers."""
    last = first.nodes[-1].name
    rest = [
        replace(node, inputs=tuple(last if i == INPUT else i for i in node.inputs))
        for node in builder.nodes[1:]
    ]
    builder.nodes[:] = [*first.nodes, *rest]
    builder.weights.update(first.weights)
    for layer, node in builder.layers.items():
        builder.layers[layer] = last if node == INPUT else node


def _input_nodes(mode: str, channels: int) -> Builder:
    """Returns the picture and what a mode makes of it."""
    scale, shift, order = PREPROCESSING[mode]
    builder = Builder()
    value = builder.add(INPUT, INPUT, channels=3)
    if channels == 1:
        kernel = np.reshape(LUMA, (1, 1, 3, 1))
        weights = {"kernel": kernel}
        value = builder.add("input/luma", "conv2d", value, weights=weights, **POINTWISE)
    if order != (0, 1, 2):
        value = builder.add("input/order", "gather", value, channels=list(order))
    if mode != "0-1":
        weights = {"scale": np.full(channels, scale), "shift": np.full(channels, shift)}
        builder.add("input/affine", "affine", value, weights=weights)
    return builder


def _own(builder: Builder, channels: int) -> str | None:
    """Returns the preprocessing that a model's first layers imply.

    None unless exactly one range of levels becomes a range that is usual in training.
    """
    affine = _first_affine(builder, channels)
    if affine is None or (np.all(affine[0] == 1) and np.all(affine[1] == 0)):
        return None
    modes = [
        mode
        for mode, (low, high) in _LEVELS.items()
        if all(
            _is_usual(scale * low + shift, scale * high + shift, centred=low == 0)
            for scale, shift in zip(*affine, strict=True)
        )
    ]
    return modes[0] if len(modes) == 1 else None


def _first_affine(
    builder: Builder, channels: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns the scale and shift of the channels that a model's first nodes make.

    None where several branches begin at the picture.
    """
    affines = {INPUT: (np.ones(channels), np.zeros(channels))}
    last: set[str] = set()
    for node in builder.nodes[1:]:
        inputs = [affines.get(name) for name in node.inputs]
        affine = None if None in inputs else _affine_of(builder, node, inputs)
        if affine is None:
            last |= {*node.inputs} & {*affines}
        else:
            affines[node.name] = affine
    return affines[last.pop()] if len(last) == 1 else None


def _affine_of(
    builder: Builder, node: Node, inputs: list[Any]
) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns a node's scale and shift, if it only scales, shifts or picks channels."""
    scales, shifts = zip(*inputs, strict=True)
    if node.op == "affine":
        factor, more = (builder.weights[f"{node.name}/{k}"] for k in ("scale", "shift"))
        return scales[0] * factor, shifts[0] * factor + more
    if node.op == "gather":
        return tuple(v[0][node.attrs["channels"]] for v in (scales, shifts))
    if node.op == "concat":
        return np.concatenate(scales), np.concatenate(shifts)
    if node.op == "opaque" and builder.opaque[node.name].kind in _RESIZING:
        return inputs[0]
    return None


def _is_usual(low: float, high: float, *, centred: bool) -> bool:
    """Tells whether levels from `low` to `high` are usual in training.

    Args:
        low: What the darkest level becomes.
        high: What the brightest becomes.
        centred: Whether they may be any that have a mean of 0, as by the statistics
            of a data set.
    """
    low, high = min(low, high), max(low, high)
    width = high - low
    # Wide enough for 1 / 256 and 1 / 128 in place of 1 / 255 and 1 / 127.5.
    near = 0.005 * width
    for first, last in ((0, 1), (-1, 1), (-0.5, 0.5), (0, 255)):
        if abs(low - first) < near and abs(high - last) < near:
            return True
    if not centred:
        return False
    if 90 < -low < 140 and abs(width - 255) < 1:  # less a mean, as by Caffe
        return True
    # By mean m and deviation s, levels from 0 to 1 become -m/s to (1-m)/s, and no
    # levels have s² > m (1-m) (Bhatia and Davis 2000, "A Better Bound on the
    # Variance"). Near the bound there are only black and white; MNIST is at 1.2.
    return -low * high > 1.15 and 1.5 < width < 12
