"""Architectures of ours, in Keras, for published weights."""

from typing import Any


def inception_v3(classifier: bool) -> Any:
    """Returns keras.applications' Inception V3 without weights."""
    import keras

    # Keras takes None for random weights, which its annotations do not tell.
    nothing: Any = None
    return keras.applications.InceptionV3(weights=nothing, include_top=classifier)


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
