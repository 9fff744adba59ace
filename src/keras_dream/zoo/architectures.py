"""Architectures in Keras without weights: those of keras.applications, and ours.

Each function takes whether the dense classifier is wanted.
"""

import warnings
from collections.abc import Callable
from typing import Any

Build = Callable[[bool], Any]


def application(name: str) -> Build:
    """Returns the builder of a network of keras.applications.

    Args:
        name: Its constructor's name, such as "VGG16".
    """

    def build(classifier: bool) -> Any:
        import keras

        # MobileNets warn that they have weights for some sizes only; they have for all.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            constructor = getattr(keras.applications, name)
            return constructor(weights=None, include_top=classifier)

    return build


def efficientnet(name: str) -> Build:
    """Returns the builder of a first EfficientNet, as its weights were trained.

    Keras inserts one layer only when it loads the published weights itself: another
    division by the square root of the pictures' standard deviation, per channel. The
    weights were trained so (keras/src/applications/efficientnet.py).
    """

    def build(classifier: bool) -> Any:
        import keras
        from keras.src.applications.efficientnet import IMAGENET_STDDEV_RGB

        scale = [deviation**-0.5 for deviation in IMAGENET_STDDEV_RGB]

        def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
            output = layer(*args, **kwargs)
            if isinstance(layer, keras.layers.Normalization):
                return keras.layers.Rescaling(scale)(output)
            return output

        return _rebuilt(application(name)(classifier), call)

    return build


def nasnet_mobile(classifier: bool) -> Any:
    """Returns NASNet-A (4 @ 1056): keras.applications.NASNetMobile, for any size."""
    return _nasnet(classifier, 1056, 4, 32, side=224, skips=False)


def nasnet_large(classifier: bool) -> Any:
    """Returns NASNet-A (6 @ 4032): keras.applications.NASNetLarge, for any size."""
    return _nasnet(classifier, 4032, 6, 96, side=331, skips=True)


def _nasnet(
    classifier: bool, filters: int, blocks: int, stem: int, *, side: int, skips: bool
) -> Any:
    """Builds a NASNet for one size and makes its paddings fit every size.

    Keras' own constructors refuse to run on torch, and a NASNet built without a size
    fits none: they call this same function.
    """
    import keras
    from keras.src.applications.nasnet import NASNet

    from keras_dream.lowering.custom_layers import window_padding

    # Keras takes None for random weights, which its annotations do not state.
    nothing: Any = None
    model = NASNet(
        input_shape=(side, side, 3),
        penultimate_filters=filters,
        num_blocks=blocks,
        stem_block_filters=stem,
        filter_multiplier=2,
        include_top=classifier,
        weights=nothing,
        default_size=side,
        skip_reduction=skips,
    )
    windows = {
        n.operation.name: _window_behind(n.operation)
        for nodes in model._nodes_by_depth.values()
        for n in nodes
        if isinstance(n.operation, keras.layers.ZeroPadding2D)
    }

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        window = windows.get(layer.name)
        if window is not None:
            layer = window_padding()(window, name=layer.name)
        return layer(*args, **kwargs)

    return _rebuilt(model, call)


def _window_behind(padding: Any) -> int | None:
    """Returns the window that steps by two behind a padding, if one does."""
    for node in padding._outbound_nodes:
        layer = node.operation
        if getattr(layer, "strides", None) == (2, 2):
            return (getattr(layer, "kernel_size", None) or layer.pool_size)[0]
    return None


def _rebuilt(model: Any, call: Callable[..., Any]) -> Any:
    """Returns a model of the same layers, called otherwise, for any size."""
    import keras

    image = keras.Input((None, None, 3))
    return keras.models.clone_model(
        model,
        input_tensors=image,
        clone_function=lambda layer: layer,
        call_function=call,
    )


def squeezenet(classifier: bool) -> Any:
    """Returns SqueezeNet v1.1 without its classifier, which was not published with it.

    Source: F. Iandola et al., "SqueezeNet", arXiv:1602.07360, in the authors' version
    1.1 of 2016: 3 × 3 first convolution, pools before fire2, fire4 and fire6.
    """
    import keras
    from keras import layers

    image = keras.Input((None, None, 3))
    x = layers.Conv2D(64, 3, strides=2, activation="relu", name="conv1")(image)
    for number in range(2, 10):
        if number in (2, 4, 6):
            x = layers.MaxPooling2D(3, strides=2, name=f"pool{number // 2}")(x)
        x = _fire(x, number, squeeze=16 * (number // 2), expand=64 * (number // 2))
    return keras.Model(image, x, name="squeezenet")


def _fire(x: Any, number: int, squeeze: int, expand: int) -> Any:
    from keras import layers

    def conv(x: Any, filters: int, size: int, part: str) -> Any:
        return layers.Conv2D(
            filters,
            size,
            padding="same",
            activation="relu",
            name=f"fire{number}_{part}",
        )(x)

    x = conv(x, squeeze, 1, "squeeze")
    narrow, wide = conv(x, expand, 1, "expand1x1"), conv(x, expand, 3, "expand3x3")
    return layers.Concatenate(name=f"fire{number}")([narrow, wide])
