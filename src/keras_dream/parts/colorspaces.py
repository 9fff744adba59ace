"""Colour spaces of images on the host: luma and chroma, linear light, OKLab.

Images are float32 `(height, width, 3)`, sRGB-encoded, in [0, 1].
"""

import numpy as np

# Rec. 601, as JPEG (JFIF) and television use it on encoded values: ITU-R BT.601-7.
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
# Rec. 709, the luminance of linear sRGB: ITU-R BT.709-6.
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)
# Cb and Cr are B − Y and R − Y, over what brings them to [-0.5, 0.5] (BT.601-7, 2.5).
_CB, _CR = 1.772, 1.402

# B. Ottosson, "A perceptual color space for image processing", 2020: linear sRGB to
# cone responses, and their cube roots to lightness and two opponent colours.
_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def luma(image: np.ndarray) -> np.ndarray:
    """Returns the luma of Rec. 601, float32 (height, width) in [0, 1]."""
    return image @ _LUMA


def chroma(image: np.ndarray) -> np.ndarray:
    """Returns Cb and Cr of Rec. 601, float32 (height, width, 2) in [-0.5, 0.5]."""
    y = luma(image)
    return np.stack([(image[..., 2] - y) / _CB, (image[..., 0] - y) / _CR], axis=-1)


def with_luma(image: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Returns an image with another luma and its own chroma.

    Where no colour has both, the luma is the nearest that has, and the chroma is kept.

    Args:
        image: Gives the chroma.
        y: The luma, float32 (height, width).
    """
    difference = image - luma(image)[..., None]
    y = np.clip(y, -_least(difference), 1 - _most(difference))
    return np.clip(y[..., None] + difference, 0, 1)


def around_grey(
    grey: np.ndarray, difference: np.ndarray, *, hardness: float = np.inf
) -> np.ndarray:
    """Returns grey + difference; shrinks the difference where that leaves [0, 1].

    So hue and luma stay where a colour is too vivid, and saturation gives way.

    Args:
        grey: float32 (height, width); clipped to [0, 1].
        difference: float32 (height, width, 3).
        hardness: 4 shrinks it gently before it comes to the limits, so that it never
            does; infinity only what would leave them.
    """
    grey = np.clip(grey, 0, 1)
    room = np.minimum(_room(grey, difference), np.float32(10))
    if np.isinf(hardness):
        share = np.minimum(room, 1)
    else:
        power = np.float32(hardness)
        share = room / (1 + room**power) ** (1 / power)
    return np.clip(grey[..., None] + share[..., None] * difference, 0, 1)


def saturation(image: np.ndarray) -> np.ndarray:
    """Returns how far colours are on the way from grey to the limits of sRGB.

    In linear light, at the same luminance: float32 (height, width) in [0, 1].
    """
    light = to_linear(image)
    grey = light @ _LUMINANCE
    return np.clip(1 / np.maximum(_room(grey, light - grey[..., None]), 1), 0, 1)


def _room(grey: np.ndarray, difference: np.ndarray) -> np.ndarray:
    """Returns how many times a difference fits between grey and the limits."""
    tiny = np.float32(1e-9)
    up = (1 - grey) / np.maximum(_most(difference), tiny)
    down = grey / np.maximum(-_least(difference), tiny)
    return np.minimum(up, down)


# Six times as fast as numpy's reductions of an axis of three.
def _least(image: np.ndarray) -> np.ndarray:
    return np.minimum(np.minimum(image[..., 0], image[..., 1]), image[..., 2])


def _most(image: np.ndarray) -> np.ndarray:
    return np.maximum(np.maximum(image[..., 0], image[..., 1]), image[..., 2])


def to_linear(image: np.ndarray) -> np.ndarray:
    """Returns linear light in [0, 1] of sRGB values (IEC 61966-2-1)."""
    image = np.clip(image, 0, 1)
    curve = ((image + np.float32(0.055)) / np.float32(1.055)) ** np.float32(2.4)
    return np.where(image <= 0.04045, image / np.float32(12.92), curve)


def from_linear(light: np.ndarray) -> np.ndarray:
    """Returns the sRGB values of linear light; clipped to [0, 1]."""
    light = np.clip(light, 0, 1)
    curve = np.float32(1.055) * light ** np.float32(1 / 2.4) - np.float32(0.055)
    return np.where(light <= 0.0031308, light * np.float32(12.92), curve)


def to_oklab(image: np.ndarray) -> np.ndarray:
    """Returns lightness in [0, 1] and two opponent colours, (height, width, 3)."""
    cones = to_linear(image) @ _TO_LMS.T.astype(np.float32)
    return np.cbrt(cones) @ _TO_LAB.T.astype(np.float32)


def from_oklab(lab: np.ndarray) -> np.ndarray:
    """Returns the image of OKLab colours; those too vivid for sRGB lose saturation."""
    cones = (lab @ np.linalg.inv(_TO_LAB).T.astype(np.float32)) ** 3
    light = cones @ np.linalg.inv(_TO_LMS).T.astype(np.float32)
    grey = light @ _LUMINANCE
    return from_linear(around_grey(grey, light - grey[..., None]))


def colorfulness(image: np.ndarray) -> np.ndarray:
    """Returns the chroma of OKLab, float32 (height, width): 0 for grey, to 0.33."""
    lab = to_oklab(image)
    return np.hypot(lab[..., 1], lab[..., 2])
