"""Small Keras models which between them use every rule of lowering/rules.py."""

import keras
from keras import layers, ops
from reference import randomise


def convolutions():
    """Strides, paddings, dilation and groups of every kind, and what may be folded."""
    x = image = keras.Input((None, None, 3))
    x = layers.Conv2D(8, 3, strides=2, padding="same", name="same2")(x)
    x = layers.BatchNormalization(name="foldable")(x)
    x = layers.Activation("relu", name="rectified")(x)
    both = layers.Conv2D(8, 3, padding="same", use_bias=False, name="read_twice")(x)
    x = layers.BatchNormalization(scale=False, name="unfoldable")(both)
    x = layers.Concatenate(name="joined")([x, both])
    x = layers.BatchNormalization(center=False, name="after_concat")(x)
    x = layers.ReLU(name="relu")(x)
    x = layers.Conv2D(8, (3, 2), dilation_rate=(2, 3), name="dilated")(x)
    x = layers.Conv2D(12, 3, groups=4, padding="same", name="grouped")(x)
    x = layers.BatchNormalization(name="after_groups")(x)
    x = layers.Conv2D(6, (1, 4), strides=(1, 3), padding="same", name="wide")(x)
    x = layers.Conv2D(6, 1, activation="relu", name="pointwise")(x)
    return keras.Model(image, x, name="convolutions")


def depthwise():
    """Separable and depthwise convolutions, multipliers, padding and cropping."""
    x = image = keras.Input((None, None, 3))
    x = layers.SeparableConv2D(
        6, 3, padding="same", depth_multiplier=2, activation="relu", name="separable"
    )(x)
    x = layers.ZeroPadding2D(((0, 1), (2, 1)), name="padded")(x)
    x = layers.DepthwiseConv2D(
        3, strides=2, padding="same", depth_multiplier=2, name="multiplied"
    )(x)
    x = layers.BatchNormalization(name="folded")(x)
    x = layers.ReLU(6.0, name="relu6")(x)
    x = layers.DepthwiseConv2D(3, dilation_rate=2, use_bias=False, name="dilated")(x)
    x = layers.Cropping2D(((1, 0), (0, 2)), name="cropped")(x)
    x = layers.SeparableConv2D(5, 3, strides=2, use_bias=False, name="strided")(x)
    return keras.Model(image, x, name="depthwise")


def merges():
    """All merges, of two maps and of three, with a cell that scales its map."""
    image = keras.Input((None, None, 3))
    a, b, c = (
        layers.Conv2D(4, 3, padding="same", activation="relu", name=name)(image)
        for name in "abc"
    )
    x = layers.Add(name="sum")([a, b, c])
    x = layers.Subtract(name="difference")([x, b])
    y = layers.Maximum(name="larger")([x, a, layers.Conv2D(4, 1, name="d")(c)])
    x = layers.Average(name="middle")([x, y, c])
    x = layers.Concatenate(name="joined")([x, y, x])
    cell = layers.GlobalAveragePooling2D(name="cell")(x)
    cell = layers.Reshape((1, 1, 12), name="reshaped")(cell)
    cell = layers.Dense(12, activation="sigmoid", name="weights")(cell)
    x = layers.Multiply(name="scaled")([x, cell])
    # Python's operators are Keras operations of the same names as the layers.
    x = (x + layers.Dense(12, name="dense")(x)) * x - x
    return keras.Model(image, layers.Conv2D(4, 1, name="last")(x), name="merges")


def pools():
    """Pools of every padding, the exchange with a 1 × 1, and siblings to merge."""
    x = image = keras.Input((None, None, 3))
    x = layers.Conv2D(12, 3, padding="same", activation="relu", name="first")(x)
    x = layers.MaxPooling2D(3, strides=2, padding="same", name="max_same")(x)
    y = layers.AveragePooling2D(3, strides=1, padding="same", name="mean_same")(x)
    y = layers.Conv2D(5, 1, name="behind")(y)
    y = layers.Activation("relu", name="behind_relu")(y)
    one = layers.Conv2D(4, 1, activation="relu", name="one")(x)
    two = layers.Conv2D(3, 1, activation="relu", use_bias=False, name="two")(x)
    x = layers.Concatenate(name="joined")([y, one, two])
    x = layers.AveragePooling2D((2, 3), strides=(2, 1), name="mean_valid")(x)
    x = layers.Conv2D(9, 3, padding="same", activation="silu", name="middle")(x)
    x = layers.MaxPooling2D(2, strides=1, name="max_valid")(x)
    x = layers.GlobalMaxPooling2D(name="peak")(x)
    return keras.Model(image, x, name="pools")


def uneven_means():
    """An average-pool whose SAME padding is uneven at even sizes."""
    image = keras.Input((None, None, 3))
    x = layers.AveragePooling2D(3, strides=2, padding="same", name="mean2")(image)
    return keras.Model(image, x, name="uneven_means")


NAMED = (
    "elu", "exponential", "gelu", "hard_sigmoid", "hard_swish", "leaky_relu", "relu",
    "relu6", "selu", "sigmoid", "silu", "softmax", "softplus", "softsign", "swish",
    "tanh", "linear",
)  # fmt: skip


def activations():
    """Every activation, by name and as a layer, and some that no backend knows."""
    image = keras.Input((None, None, 3))
    made = [
        layers.Conv2D(4, 1, activation=name, name=f"conv_{name}")(image)
        for name in (*NAMED, "mish", "celu")
    ]
    one = [layers.Activation(name, name=f"by_{name}")(made[0]) for name in NAMED]
    several = (
        layers.LeakyReLU(negative_slope=0.1, name="leaky"),
        layers.ELU(alpha=0.7, name="exponential_unit"),
        layers.Softmax(name="softmax_layer"),
        layers.ReLU(3.0, name="relu3"),
        layers.ReLU(negative_slope=0.2, threshold=0.1, name="sloped"),
        layers.PReLU(shared_axes=[1, 2], name="learnt"),
    )
    other = [layer(made[-1]) for layer in several]
    tangent = ops.gelu(made[-2], approximate=True)
    x = layers.Concatenate(name="all")([*made, *one, *other, tangent])
    return keras.Model(image, layers.Conv2D(4, 1, name="last")(x), name="activations")


def passes_on():
    """Layers that do nothing while a network only looks."""
    x = image = keras.Input((None, None, 3))
    x = layers.GaussianNoise(0.5, name="noise")(x)
    x = layers.Conv2D(4, 3, name="conv")(x)
    x = layers.Dropout(0.5, name="dropout")(x)
    x = layers.SpatialDropout2D(0.5, name="spatial")(x)
    x = layers.AlphaDropout(0.5, name="alpha")(x)
    x = layers.GaussianDropout(0.5, name="gaussian")(x)
    x = layers.ActivityRegularization(0.1, name="regularised")(x)
    x = layers.Identity(name="identity")(x)
    return keras.Model(image, layers.Conv2D(3, 3, name="last")(x), name="passes_on")


def nested():
    """Models in a model: functional, sequential, and layers that are called twice."""
    given = keras.Input((None, None, 4))
    y = layers.Conv2D(4, 3, padding="same", activation="relu", name="inner")(given)
    block = keras.Model(given, layers.Add(name="inner_sum")([y, given]), name="block")
    stack = keras.Sequential(
        [
            layers.Conv2D(4, 3, padding="same", name="s1"),
            layers.BatchNormalization(),
            layers.ReLU(),
        ],
        name="stack",
    )
    shared = layers.Conv2D(4, 3, padding="same", name="shared")
    x = image = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 3, name="stem")(x)
    x = block(block(x))
    x = stack(x)
    x = layers.Concatenate(name="joined")([shared(x), shared(shared(x))])
    return keras.Model(image, x, name="nested")


def sequential():
    """A stack that begins with its own Rescaling, and a classifier at its end."""
    return keras.Sequential(
        [
            keras.Input((None, None, 3)),
            layers.Rescaling(1 / 127.5, offset=-1, name="rescaled"),
            layers.Conv2D(6, 3, strides=2, activation="relu", name="conv"),
            layers.GlobalAveragePooling2D(name="cell"),
            layers.Flatten(name="flat"),
            layers.Dropout(0.2, name="dropout"),
            layers.Dense(7, activation="relu", name="hidden"),
            layers.Dense(5, activation="softmax", name="predictions"),
        ],
        name="stacked",
    )


def normalised():
    """A stack that begins with its own Normalization, per channel and with scalars."""
    x = image = keras.Input((None, None, 3))
    x = layers.Normalization(
        mean=[120.0, 110.0, 100.0], variance=[3000.0, 3500.0, 2500.0], name="normal"
    )(x)
    x = layers.Conv2D(4, 3, use_bias=False, name="conv")(x)
    x = layers.Rescaling(0.5, offset=0.25, name="scalar")(x)
    x = layers.DepthwiseConv2D(3, name="deep")(x)
    x = layers.Rescaling(2.0, name="scalar_deep")(x)
    x = layers.Conv2D(3, 1, name="three")(x)
    x = layers.Rescaling([0.5, 2.0, 1.0], offset=[0.0, 1.0, 2.0], name="vector")(x)
    return keras.Model(image, x, name="normalised")


class Mixed(layers.Layer):
    """A layer of a user's own, which is noisy while it is trained."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 4), name="kernel")

    def call(self, x, training=True):
        return ops.sin(ops.matmul(x, self.kernel)) + (ops.mean(x) if training else 0.0)


def opaque():
    """Layers and operations that have no rule."""
    x = image = keras.Input((None, None, 3))
    x = layers.Conv2D(6, 3, strides=2, padding="same", name="conv")(x)
    x = layers.BatchNormalization(name="normal")(x)
    x = Mixed(name="own")(x)
    x = layers.GroupNormalization(2, name="groups")(x)
    x = ops.abs(x) + 0.5
    x = layers.Conv2DTranspose(5, 3, strides=2, padding="same", name="larger")(x)
    x = layers.UpSampling2D(2, name="twice")(x)
    return keras.Model(image, layers.Conv2D(4, 3, name="last")(x), name="opaque")


def flattened(side=13):
    """A classifier of the old kind, which flattens a map of fixed size."""
    x = image = keras.Input((side, side, 3))
    x = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="c")(x)
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = layers.Flatten(name="flat")(x)
    x = layers.Dropout(0.5, name="dropout")(x)
    x = layers.Dense(8, activation="relu", name="fc1")(x)
    x = layers.Dense(6, name="fc2")(x)
    return keras.Model(image, layers.Softmax(name="soft")(x), name="flattened")


FREE = (
    convolutions,
    depthwise,
    merges,
    pools,
    activations,
    passes_on,
    nested,
    sequential,
    normalised,
    opaque,
)
"""Models for pictures of every size."""


def made(build):
    """Returns a model with weights of order one."""
    return randomise(build(), seed=FREE.index(build) if build in FREE else 99)
