"""GoogLeNet (Inception V1), as the first dreams were made with, in Keras.

Sources: C. Szegedy et al., "Going Deeper with Convolutions", arXiv:1409.4842; the
layers, their names and numbers from BVLC/caffe, models/bvlc_googlenet/deploy.prototxt,
and from CSAILVision/places365, deploy_googlenet_places365.prototxt, which is the same
but for its 365 classes. Keras takes no slash in a layer's name: `inception_4c/output`
is `inception_4c_output` here. As in Caffe, whose rectifiers work in place, a layer's
map is the rectified one.
"""

from typing import Any

from keras_dream.lowering import custom_layers

# Channels of 1x1, 3x3_reduce, 3x3, 5x5_reduce, 5x5 and pool_proj.
_MODULES = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
_POOL_BEFORE = {"4a": "pool3_3x3_s2", "5a": "pool4_3x3_s2"}


def imagenet(classifier: bool) -> Any:
    """Returns GoogLeNet without weights; with the 1000 classes of ImageNet or none."""
    return build(1000 if classifier else None)


def places365(classifier: bool) -> Any:
    """Returns GoogLeNet without weights; with the 365 classes of Places365 or none."""
    return build(365 if classifier else None)


def build(classes: int | None) -> Any:
    """Returns GoogLeNet without weights, for pictures of any size.

    Args:
        classes: How many classes the dense classifier scores; None leaves it out.
    """
    import keras
    from keras import layers

    normalization, pool = custom_layers.normalization(), custom_layers.pooling()
    image = keras.Input((None, None, 3))
    # Not SAME, which pads a stride of 2 by another cell on one side than on the other.
    x = layers.ZeroPadding2D(3, name="conv1_7x7_s2_pad")(image)
    x = layers.Conv2D(64, 7, strides=2, activation="relu", name="conv1_7x7_s2")(x)
    x = pool(3, 2, name="pool1_3x3_s2")(x)
    x = normalization(alpha=1e-4, name="pool1_norm1")(x)
    x = _conv(x, 64, 1, "conv2_3x3_reduce")
    x = _conv(x, 192, 3, "conv2_3x3")
    x = normalization(alpha=1e-4, name="conv2_norm2")(x)
    x = pool(3, 2, name="pool2_3x3_s2")(x)
    for module, channels in _MODULES.items():
        if module in _POOL_BEFORE:
            x = pool(3, 2, name=_POOL_BEFORE[module])(x)
        x = _inception(x, f"inception_{module}", channels)
    if classes is not None:
        # Caffe's 7 × 7 average is the whole map at the 224 pixels it was trained at.
        x = layers.GlobalAveragePooling2D(name="pool5_7x7_s1")(x)
        x = layers.Dropout(0.4, name="pool5_drop_7x7_s1")(x)
        x = layers.Dense(classes, name="loss3_classifier")(x)
        x = layers.Softmax(name="prob")(x)
    return keras.Model(image, x, name="googlenet")


def _conv(x: Any, filters: int, size: int, name: str) -> Any:
    from keras import layers

    return layers.Conv2D(filters, size, padding="same", activation="relu", name=name)(x)


def _inception(x: Any, name: str, channels: tuple[int, ...]) -> Any:
    from keras import layers

    one, reduce3, three, reduce5, five, projected = channels
    pooled = layers.MaxPooling2D(3, strides=1, padding="same", name=f"{name}_pool")(x)
    parts = [
        _conv(x, one, 1, f"{name}_1x1"),
        _conv(_conv(x, reduce3, 1, f"{name}_3x3_reduce"), three, 3, f"{name}_3x3"),
        _conv(_conv(x, reduce5, 1, f"{name}_5x5_reduce"), five, 5, f"{name}_5x5"),
        _conv(pooled, projected, 1, f"{name}_pool_proj"),
    ]
    return layers.Concatenate(name=f"{name}_output")(parts)
