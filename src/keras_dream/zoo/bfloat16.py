"""How alike each network's gradient is in bfloat16, and what a step takes in it.

Measured by `docs/networks.py --bfloat16`, which says how; `docs/bfloat16.jsonl` has all
figures and `docs/networks.md` a table, with the kind of the weights.
"""

from collections.abc import Mapping
from typing import NamedTuple

MIN_COSINE = 0.99
"""Between the gradients in bfloat16 and in float32. A rounded network is another one,
whose rectifiers and pools decide otherwise here and there: half a grey level of noise
on the picture, which nobody sees, makes as large a difference to `motif`'s gradient."""

MOST_TIME = 0.85
"""Of float32's, that a step in bfloat16 may take: less of a gain on torch is none on
TensorFlow (EfficientNetV2 B0: 0.9 and 1.0). Depthwise convolutions are slower in
bfloat16, and networks of them with it."""


class Bfloat16(NamedTuple):
    """A network in bfloat16 beside itself in float32.

    Attributes:
        cosine: The least between their gradients that was measured.
        time: Of a step, as a fraction of float32's, on a processor with AMX.
    """

    cosine: float
    time: float

    @property
    def is_better(self) -> bool:
        """Whether it is about as exact, and faster."""
        return self.cosine >= MIN_COSINE and self.time <= MOST_TIME


BFLOAT16: Mapping[str, Bfloat16] = {
    "motif": Bfloat16(0.995, 0.81),
    "squeezenet": Bfloat16(0.971, 0.90),
    "googlenet": Bfloat16(0.947, 0.70),
    "googlenet_places365": Bfloat16(0.949, 0.81),
    "vgg16": Bfloat16(0.888, 0.34),
    "vgg19": Bfloat16(0.807, 0.40),
    "inception_v3": Bfloat16(0.882, 0.54),
    "inception_resnet_v2": Bfloat16(0.911, 0.60),
    "xception": Bfloat16(0.916, 0.64),
    "resnet50": Bfloat16(0.869, 0.48),
    "resnet101": Bfloat16(0.868, 0.49),
    "resnet152": Bfloat16(0.856, 0.50),
    "resnet50_v2": Bfloat16(0.857, 0.50),
    "resnet101_v2": Bfloat16(0.805, 0.52),
    "resnet152_v2": Bfloat16(0.785, 0.46),
    "densenet121": Bfloat16(0.92, 0.56),
    "densenet169": Bfloat16(0.934, 0.67),
    "densenet201": Bfloat16(0.91, 0.69),
    "nasnet_mobile": Bfloat16(0.797, 1.45),
    "nasnet_large": Bfloat16(0.952, 1.01),
    "mobilenet": Bfloat16(0.98, 1.13),
    "mobilenet_v2": Bfloat16(0.983, 1.36),
    "mobilenet_v3_small": Bfloat16(0.994, 1.86),
    "mobilenet_v3_large": Bfloat16(0.992, 1.73),
    "efficientnet_b0": Bfloat16(0.999, 1.65),
    "efficientnet_b1": Bfloat16(0.999, 1.40),
    "efficientnet_b2": Bfloat16(0.999, 1.36),
    "efficientnet_b3": Bfloat16(0.999, 1.31),
    "efficientnet_b4": Bfloat16(0.999, 1.25),
    "efficientnet_b5": Bfloat16(0.999, 1.01),
    "efficientnet_b6": Bfloat16(0.999, 0.96),
    "efficientnet_b7": Bfloat16(0.999, 1.09),
    "efficientnet_v2_b0": Bfloat16(0.999, 0.90),
    "efficientnet_v2_b1": Bfloat16(0.996, 0.74),
    "efficientnet_v2_b2": Bfloat16(0.994, 0.82),
    "efficientnet_v2_b3": Bfloat16(0.993, 0.71),
    "efficientnet_v2_s": Bfloat16(0.988, 0.56),
    "efficientnet_v2_m": Bfloat16(0.684, 0.62),
    "efficientnet_v2_l": Bfloat16(-0.531, 0.43),
    "convnext_tiny": Bfloat16(0.999, 0.59),
    "convnext_small": Bfloat16(0.998, 0.55),
    "convnext_base": Bfloat16(0.999, 0.62),
    "convnext_large": Bfloat16(0.998, 0.46),
    "convnext_xlarge": Bfloat16(0.998, 0.55),
}
"""By the names of the zoo. Of `motif` and `squeezenet` the weights were those that are
shipped and published, of the others random ones."""
