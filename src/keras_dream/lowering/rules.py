"""How each kind of Keras layer becomes operations: one rule a kind.

A rule takes the builder, the node's name, the Keras layer and the maps it reads, and
returns the map it makes. What has no rule stays opaque.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_dream.backend.protocol import ACTIVATIONS
from keras_dream.lowering import custom_layers
from keras_dream.lowering.builder import POINTWISE, Builder, Rule, Value, to_numpy


def _arrays(layer: Any) -> tuple[np.ndarray, np.ndarray | None]:
    kernel = to_numpy(layer.kernel)
    return kernel, to_numpy(layer.bias) if layer.use_bias else None


def _activated(builder: Builder, name: str, layer: Any, linear: Value) -> Value | None:
    """Appends a layer's own activation to its linear part."""
    activation = _activation_name(layer.activation)
    if activation == "linear":
        return linear
    return _named_activation(builder, name, linear, activation)


# By name, these have the slope of their function's default (keras.activations).
_SLOPES = {"elu": 1.0, "leaky_relu": 0.2}


def _named_activation(builder: Builder, name: str, x: Value, kind: str | None) -> Value:
    attrs: dict[str, Any] = {"kind": kind}
    if kind in _SLOPES:
        attrs["negative_slope"] = _SLOPES[kind]
    return builder.add(name, "activation", x, **attrs)


def _activation_name(function: Any) -> str | None:
    """Returns the name of an activation that every backend knows, else None."""
    import keras

    name = str(getattr(function, "__name__", None))
    if function is keras.ops.gelu:
        return "gelu_tanh"  # approximate by default, as keras.activations' is not
    if function not in (
        getattr(keras.activations, name, None),
        getattr(keras.ops, name, None),
    ):
        return None
    name = {"swish": "silu", "hard_swish": "hard_silu"}.get(name, name)
    return name if name in (*ACTIVATIONS, "linear") else None


def _linear_name(name: str, layer: Any) -> str:
    return name if _activation_name(layer.activation) == "linear" else f"{name}/linear"


_FLOATS = ("float16", "bfloat16", "float32")


def _is_plain(layer: Any) -> bool:
    """Tells whether a layer works on channels-last maps with a known activation."""
    activation = _activation_name(getattr(layer, "activation", None))
    no_activation = not hasattr(layer, "activation")
    last = getattr(layer, "data_format", "channels_last") == "channels_last"
    return last and (no_activation or activation is not None) and _has_floats(layer)


def _has_floats(layer: Any) -> bool:
    """Tells whether float32 holds a layer's weights; half precision is widened."""
    return layer.dtype in _FLOATS


def _conv2d(
    builder: Builder, name: str, layer: Any, inputs: list[Value]
) -> Value | None:
    if not _is_plain(layer) or layer.padding not in ("same", "valid"):
        return None
    kernel, bias = _arrays(layer)
    op, more = "conv2d", {"groups": layer.groups}
    if kernel.shape[2] == 1 < layer.groups:
        # A group for every channel, as ConvNeXt has it: each channel on its own.
        kernel = kernel.reshape(*kernel.shape[:2], layer.groups, -1)
        op, more = "depthwise_conv2d", {}
    elif inputs[0].single and kernel.shape[:2] == (1, 1):
        more["dense"] = True  # of one cell, as MobileNet's classifier is written
    return _strided(builder, name, op, layer, inputs[0], kernel, bias, **more)


def _depthwise(
    builder: Builder, name: str, layer: Any, inputs: list[Value]
) -> Value | None:
    if not _is_plain(layer):
        return None
    arrays = _arrays(layer)
    return _strided(builder, name, "depthwise_conv2d", layer, inputs[0], *arrays)


def _strided(
    builder: Builder,
    name: str,
    op: str,
    layer: Any,
    x: Value,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    **attrs: Any,
) -> Value | None:
    linear = builder.add(
        _linear_name(name, layer),
        op,
        x,
        weights={"kernel": kernel, "bias": bias},
        stride=list(layer.strides),
        padding=layer.padding,
        dilation=list(layer.dilation_rate),
        **attrs,
    )
    return _activated(builder, name, layer, linear)


def _separable(
    builder: Builder, name: str, layer: Any, inputs: list[Value]
) -> Value | None:
    if not _is_plain(layer):
        return None
    deep = builder.add(
        f"{name}/depthwise",
        "depthwise_conv2d",
        inputs[0],
        weights={"kernel": to_numpy(layer.depthwise_kernel)},
        stride=list(layer.strides),
        padding=layer.padding,
        dilation=list(layer.dilation_rate),
    )
    bias = to_numpy(layer.bias) if layer.use_bias else None
    linear = builder.add(
        _linear_name(name, layer),
        "conv2d",
        deep,
        weights={"kernel": to_numpy(layer.pointwise_kernel), "bias": bias},
        **POINTWISE,
    )
    return _activated(builder, name, layer, linear)


def dense(builder: Builder, name: str, layer: Any, inputs: list[Value]) -> Value | None:
    """A dense layer is a 1 × 1 convolution, or one as large as the map it flattened."""
    if not _is_plain(layer):
        return None
    matrix, bias = _arrays(layer)
    flat = inputs[0].flattened
    shape = (*flat, -1) if flat else (1, 1, *matrix.shape)
    linear = builder.add(
        _linear_name(name, layer),
        "conv2d",
        inputs[0],
        weights={"kernel": matrix.reshape(shape), "bias": bias},
        dense=True,
        **POINTWISE,
    )
    return _activated(builder, name, layer, linear)


def _pool(op: str) -> Rule:
    def rule(
        builder: Builder, name: str, layer: Any, inputs: list[Value]
    ) -> Value | None:
        if not _is_plain(layer):
            return None
        return builder.add(
            name,
            op,
            inputs[0],
            size=list(layer.pool_size),
            stride=list(layer.strides),
            padding=layer.padding,
        )

    return rule


def _global(op: str) -> Rule:
    def rule(
        builder: Builder, name: str, layer: Any, inputs: list[Value]
    ) -> Value | None:
        return builder.add(name, op, inputs[0]) if _is_plain(layer) else None

    return rule


def _merge(op: str) -> Rule:
    def rule(
        builder: Builder, name: str, layer: Any, inputs: list[Value]
    ) -> Value | None:
        axis = getattr(layer, "axis", -1)
        if len(inputs) < 2 or not all(value.is_last(axis) for value in inputs):
            return None
        return builder.add(name, op, *inputs)

    return rule


def _average(builder: Builder, name: str, layer: Any, inputs: list[Value]) -> Value:
    total = builder.add(f"{name}/sum", "add", *inputs)
    return builder.add(name, "multiply", total, factor=1 / len(inputs))


def _activation(
    builder: Builder, name: str, layer: Any, inputs: list[Value]
) -> Value | None:
    kind = _activation_name(layer.activation)
    if kind is None:
        return None
    if kind == "linear":
        return inputs[0]
    return _named_activation(builder, name, inputs[0], kind)


def _relu(builder: Builder, name: str, layer: Any, inputs: list[Value]) -> Value | None:
    kind = {None: "relu", 6: "relu6"}.get(layer.max_value)
    if kind is None or layer.negative_slope or layer.threshold:
        return None
    return builder.add(name, "activation", inputs[0], kind=kind)


def _sloped(kind: str, attribute: str) -> Rule:
    def rule(builder: Builder, name: str, layer: Any, inputs: list[Value]) -> Value:
        slope = float(getattr(layer, attribute))
        return builder.add(
            name, "activation", inputs[0], kind=kind, negative_slope=slope
        )

    return rule


def _softmax(
    builder: Builder, name: str, layer: Any, inputs: list[Value]
) -> Value | None:
    if not isinstance(layer.axis, int) or not inputs[0].is_last(layer.axis):
        return None
    return builder.add(name, "activation", inputs[0], kind="softmax")


def _sided(op: str, attribute: str) -> Rule:
    def rule(
        builder: Builder, name: str, layer: Any, inputs: list[Value]
    ) -> Value | None:
        if not _is_plain(layer):
            return None
        (top, bottom), (left, right) = getattr(layer, attribute)
        return builder.add(name, op, inputs[0], padding=[top, bottom, left, right])

    return rule


def _flatten(
    builder: Builder, name: str, layer: Any, inputs: list[Value]
) -> Value | None:
    """Leaves the map as it is, for the dense layer behind it."""
    value, shape = inputs[0], inputs[0].shape[1:]
    if value.single or len(shape) == 1:
        return value
    first = getattr(layer, "data_format", "channels_last") == "channels_first"
    if first or len(shape) != 3 or None in shape:
        return None
    reason = f"it only hands the feature map of {str(value)!r} on as a vector"
    return value.but(form="flat", flattened=tuple(shape), reason=reason)


def _reshape(
    builder: Builder, name: str, layer: Any, inputs: list[Value]
) -> Value | None:
    value, target = inputs[0], tuple(layer.target_shape)
    if len(target) == 1:
        return _flatten(builder, name, layer, inputs)
    # Squeeze-and-excite: one cell, written as (1, 1, c) again.
    one_cell = target[:-1] in ((1,), (1, 1))
    if not one_cell or not (value.single or len(value.shape) == 2):
        return None
    return value


def _batch_norm(
    builder: Builder, name: str, layer: Any, inputs: list[Value]
) -> Value | None:
    """What a BatchNormalization does while a network only looks."""
    if not inputs[0].is_last(layer.axis):
        return None
    # Inference mode: the moving statistics. float64 keeps the folded numbers exact.
    variance = to_numpy(layer.moving_variance).astype(np.float64)
    scale = 1 / np.sqrt(variance + layer.epsilon)
    if layer.scale:
        scale = scale * to_numpy(layer.gamma)
    shift = -to_numpy(layer.moving_mean) * scale
    if layer.center:
        shift = shift + to_numpy(layer.beta)
    return _affine(builder, name, inputs, scale, shift)


def _layer_norm(
    builder: Builder, name: str, layer: Any, inputs: list[Value]
) -> Value | None:
    """Normalises every cell over its channels."""
    axis = [layer.axis] if isinstance(layer.axis, int) else list(layer.axis)
    per_channel = layer.gamma if layer.scale else layer.beta if layer.center else None
    plain = _has_floats(layer) and not getattr(layer, "rms_scaling", False)
    last = len(axis) == 1 and inputs[0].is_last(axis[0])
    if not last or per_channel is None or not plain:
        return None
    one = np.ones(per_channel.shape[0], np.float32)
    scale = to_numpy(layer.gamma) if layer.scale else one
    shift = to_numpy(layer.beta) if layer.center else 0 * one
    weights = {"scale": scale, "shift": shift}
    return builder.add(
        name, "layer_norm", inputs[0], weights=weights, epsilon=layer.epsilon
    )


def _normalization(
    builder: Builder, name: str, layer: Any, inputs: list[Value]
) -> Value | None:
    """Shifts and scales by means and deviations of training pictures."""
    last = len(layer.axis) == 1 and inputs[0].is_last(layer.axis[0])
    if not last or layer.invert:
        return None
    mean, variance = np.ravel(to_numpy(layer.mean)), np.ravel(to_numpy(layer.variance))
    # keras.layers.Normalization divides by max(sqrt(variance), epsilon = 1e-7).
    scale = 1 / np.maximum(np.sqrt(variance), 1e-7)
    return _affine(builder, name, inputs, scale, -mean * scale)


def _rescaling(
    builder: Builder, name: str, layer: Any, inputs: list[Value]
) -> Value | None:
    """Scales and shifts by numbers, or by three."""
    scale, shift = np.ravel(layer.scale), np.ravel(layer.offset)
    if scale.size not in (1, 3) or shift.size not in (1, 3):
        return None
    count = max(scale.size, shift.size)
    return _affine(
        builder, name, inputs, np.resize(scale, count), np.resize(shift, count)
    )


def _affine(
    builder: Builder,
    name: str,
    inputs: list[Value],
    scale: np.ndarray,
    shift: np.ndarray,
) -> Value:
    """Appends a map that is scaled and shifted, per channel or as a whole."""
    return builder.add(
        name, "affine", inputs[0], weights={"scale": scale, "shift": shift}
    )


def _layer_scale(builder: Builder, name: str, layer: Any, inputs: list[Value]) -> Value:
    gamma = to_numpy(layer.gamma)
    return _affine(builder, name, inputs, gamma, np.zeros_like(gamma))


def _scaled_sum(builder: Builder, name: str, layer: Any, inputs: list[Value]) -> Value:
    """Inception-ResNet's shortcut and a small part of what it goes around."""
    # An affine map, so that it can be folded into the convolution before it.
    scale = np.full(1, layer.scale)
    part = _affine(builder, f"{name}/scaled", inputs[1:], scale, np.zeros(1))
    return builder.add(name, "add", inputs[0], part)


def same(builder: Builder, name: str, layer: Any, inputs: list[Value]) -> Value:
    """A layer that does nothing while a network only looks."""
    return inputs[0]


# What `keras.ops` merges maps with: operations of the layers' names and meaning. Others
# share nothing but the name with a layer (`Average`, `Reshape`).
_OPERATORS = ("Add", "Concatenate", "Maximum", "Multiply", "Subtract")

# Augmentation of training pictures: nothing while a network only looks.
_AUGMENTING = (
    "AugMix", "RandAugment", "RandomBrightness", "RandomColorDegeneration",
    "RandomColorJitter", "RandomContrast", "RandomElasticTransform", "RandomErasing",
    "RandomFlip", "RandomGaussianBlur", "RandomGrayscale", "RandomHue", "RandomInvert",
    "RandomPerspective", "RandomPosterization", "RandomRotation", "RandomSaturation",
    "RandomSharpness", "RandomShear", "RandomTranslation", "RandomZoom",
)  # fmt: skip

RULES: Mapping[str, Rule] = {
    **custom_layers.RULES,
    **dict.fromkeys(_AUGMENTING, same),
    "Activation": _activation,
    "ActivityRegularization": same,
    "AlphaDropout": same,
    "Add": _merge("add"),
    "Average": _average,
    "AveragePooling2D": _pool("average_pool"),
    "BatchNormalization": _batch_norm,
    "Concatenate": _merge("concat"),
    "Conv2D": _conv2d,
    "CustomScaleLayer": _scaled_sum,  # of keras.applications' Inception-ResNet
    "Cropping2D": _sided("crop", "cropping"),
    "Dense": dense,
    "DepthwiseConv2D": _depthwise,
    "Dropout": same,
    "ELU": _sloped("elu", "alpha"),
    "Flatten": _flatten,
    "GaussianDropout": same,
    "GaussianNoise": same,
    "GlobalAveragePooling2D": _global("global_mean"),
    "GlobalMaxPooling2D": _global("global_max"),
    "Identity": same,
    "LayerNormalization": _layer_norm,
    "LayerScale": _layer_scale,  # of keras.applications' ConvNeXt
    "LeakyReLU": _sloped("leaky_relu", "negative_slope"),
    "MaxPooling2D": _pool("max_pool"),
    "Maximum": _merge("maximum"),
    "Multiply": _merge("multiply"),
    "Normalization": _normalization,
    "ReLU": _relu,
    "Rescaling": _rescaling,
    "Reshape": _reshape,
    "SeparableConv2D": _separable,
    "Softmax": _softmax,
    "SpatialDropout2D": same,
    "StochasticDepth": same,  # of keras.applications; drops blocks in training only
    "Subtract": _merge("subtract"),
    "ZeroPadding2D": _sided("pad", "padding"),
}


# What is done to every number alike, wherever it lies.
_ELEMENTWISE = (
    "Activation", "ActivityRegularization", "AlphaDropout", "Add", "Average", "Dropout",
    "ELU", "GaussianDropout", "GaussianNoise", "Identity", "LeakyReLU", "Maximum",
    "Multiply", "ReLU", "Subtract",
)  # fmt: skip


def takes_flat(operation: Any) -> bool:
    """Tells whether a rule holds on the feature map that was flattened, too."""
    kind = type(operation).__name__
    softmax = _activation_name(getattr(operation, "activation", None)) == "softmax"
    return kind == "Dense" or (kind in _ELEMENTWISE and not softmax)


def rule_of(operation: Any) -> Rule | None:
    """Returns the rule of a Keras layer, or of a bare operation that merges maps."""
    kind, module = type(operation).__name__, type(operation).__module__
    is_known = module == custom_layers.__name__ or (
        module.startswith("keras.") and (is_layer(operation) or kind in _OPERATORS)
    )
    if getattr(operation, "quantization_mode", None):
        return None  # its weights are codes, and it rounds what it reads
    return RULES.get(kind) if is_known else None


def is_layer(operation: Any) -> bool:
    """Tells whether a Keras operation is a layer."""
    return hasattr(operation, "call_signature_parameters")
