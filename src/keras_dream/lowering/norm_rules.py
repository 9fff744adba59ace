"""How layers that shift and scale become operations: norms and preprocessing."""

from typing import Any

import numpy as np

from keras_dream.lowering.walker import Builder, Value


def to_numpy(variable: Any) -> np.ndarray:
    """Returns a Keras variable's value."""
    # Not keras.ops.convert_to_numpy, which makes numpy 2 warn about torch's tensors.
    value = getattr(variable, "value", variable)
    if hasattr(value, "detach"):
        value = value.detach().float().cpu().numpy()
    return np.asarray(value)


def batch_norm(
    builder: Builder, name: str, layer: Any, given: list[Value]
) -> Value | None:
    """What a BatchNormalization does while a network only looks."""
    if layer.axis not in (-1, 3):
        return None
    # Inference mode: the moving statistics. float64 keeps the folded numbers exact.
    variance = to_numpy(layer.moving_variance).astype(np.float64)
    scale = 1 / np.sqrt(variance + layer.epsilon)
    if layer.scale:
        scale = scale * to_numpy(layer.gamma)
    shift = -to_numpy(layer.moving_mean) * scale
    if layer.center:
        shift = shift + to_numpy(layer.beta)
    return affine(builder, name, given, scale, shift)


def layer_norm(
    builder: Builder, name: str, layer: Any, given: list[Value]
) -> Value | None:
    """Normalises every cell over its channels."""
    axis = [layer.axis] if isinstance(layer.axis, int) else list(layer.axis)
    known = layer.gamma if layer.scale else layer.beta if layer.center else None
    plain = layer.dtype == "float32" and not getattr(layer, "rms_scaling", False)
    if axis not in ([-1], [3]) or known is None or not plain:
        return None
    one = np.ones(known.shape[0], np.float32)
    scale = to_numpy(layer.gamma) if layer.scale else one
    shift = to_numpy(layer.beta) if layer.center else 0 * one
    weights = {"scale": scale, "shift": shift}
    return builder.add(
        name, "layer_norm", given[0], weights=weights, epsilon=layer.epsilon
    )


def normalization(
    builder: Builder, name: str, layer: Any, given: list[Value]
) -> Value | None:
    """Shifts and scales by means and deviations of training pictures."""
    if layer.axis not in ((-1,), (3,)) or layer.invert:
        return None
    mean, variance = np.ravel(to_numpy(layer.mean)), np.ravel(to_numpy(layer.variance))
    # keras.layers.Normalization divides by max(sqrt(variance), epsilon = 1e-7).
    scale = 1 / np.maximum(np.sqrt(variance), 1e-7)
    return affine(builder, name, given, scale, -mean * scale)


def rescaling(
    builder: Builder, name: str, layer: Any, given: list[Value]
) -> Value | None:
    """Scales and shifts by numbers, or by three."""
    scale, shift = np.ravel(layer.scale), np.ravel(layer.offset)
    if scale.size not in (1, 3) or shift.size not in (1, 3):
        return None
    count = max(scale.size, shift.size)
    return affine(
        builder, name, given, np.resize(scale, count), np.resize(shift, count)
    )


def affine(
    builder: Builder,
    name: str,
    given: list[Value],
    scale: np.ndarray,
    shift: np.ndarray,
) -> Value:
    """Appends a map that is scaled and shifted, per channel or as a whole."""
    return builder.add(
        name, "affine", given[0], weights={"scale": scale, "shift": shift}
    )
