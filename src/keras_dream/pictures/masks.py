"""Masks as maps: float32 (height, width) in [0, 1], 0 where a dream must not be."""

import numpy as np
from PIL import Image

from keras_dream.errors import PictureError
from keras_dream.pictures.picture import Picture

MAX_ASPECT_DIFFERENCE = 0.02
"""How much wider or narrower than its photo a mask may be: an export of either, scaled
to whole pixels or cut by a row, is within it."""

_LUMA = np.array([0.2126, 0.7152, 0.0722])  # Rec. ITU-R BT.709, of encoded values


def mask_of(picture: Picture) -> np.ndarray:
    """Returns the mask that a picture is.

    Args:
        picture: Its transparency counts where any of it is not opaque, otherwise the
            grey of its colours.
    """
    alpha = picture.alpha
    if alpha is not None and alpha.min() < 1:
        return alpha
    return (picture.pixels.astype(np.float64) @ _LUMA).clip(0, 1).astype(np.float32)


def check_aspect(mask: np.ndarray, size: tuple[int, int], name: str) -> None:
    """Checks that a mask has the shape of its photo, whatever its size.

    Args:
        mask: The map of the mask.
        size: The photo's (height, width) in pixels.
        name: The mask's name, for the message.

    Raises:
        PictureError: If its aspect ratio differs by more than `MAX_ASPECT_DIFFERENCE`
            and by more than the rounding to whole pixels.
    """
    (h, w), (height, width) = mask.shape, size
    ratio = (w * height) / (h * width)
    rounded = abs(w - h * width / height) <= 1 or abs(h - w * height / width) <= 1
    if not rounded and abs(ratio - 1) > MAX_ASPECT_DIFFERENCE:
        raise PictureError(
            "A mask must have the aspect ratio of its photo",
            received=f"{name} with {w} × {h} pixels for {width} × {height}",
            hint="cut the mask to the photo's shape; its size does not matter",
        )


def box_mask(
    size: tuple[int, int], left: int, top: int, right: int, bottom: int
) -> np.ndarray:
    """Returns the mask of a box: 1 inside; sides in pixels from the left top corner."""
    mask = np.zeros(size, np.float32)
    mask[top:bottom, left:right] = 1
    return mask


def resized(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns a mask at another (height, width).

    The kernel is a triangle, which averages where it shrinks and has no negative
    lobes: what is 0 all around stays 0, and what is 1 all around stays 1.
    """
    if mask.shape == size:
        return mask
    image = Image.fromarray(mask.astype(np.float32))
    scaled = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return _exact(np.asarray(scaled, np.float32))


def feathered(mask: np.ndarray, pixels: float) -> np.ndarray:
    """Returns a mask with soft edges.

    Args:
        mask: The map of the mask.
        pixels: How far an edge becomes soft on either side of it; beyond that nothing
            changes. The kernel is a triangle of this half width, so that an edge
            becomes two parabolas.
    """
    width = max(round(pixels), 0)
    if not width:
        return mask
    values = mask.astype(np.float64)
    for axis in (0, 1):
        # A triangle is two boxes, one after the other: of w cells each, 2 w - 1 wide.
        for before in ((width - 1) // 2, width // 2):
            values = _box_blurred(values, width, before, axis)
    return _exact(values)


def _exact(values: np.ndarray) -> np.ndarray:
    """Returns values in [0, 1] without what rounding has made of 0 and 1."""
    values = np.where(values < 1e-6, 0, values)
    return np.where(values > 1 - 1e-6, 1, values).astype(np.float32)


def _box_blurred(x: np.ndarray, width: int, before: int, axis: int) -> np.ndarray:
    """Averages `width` cells from `before` cells before each; edges are repeated."""
    sides = [(0, 0), (0, 0)]
    sides[axis] = (before + 1, width - 1 - before)
    sums = np.cumsum(np.pad(x, sides, mode="edge"), axis=axis)
    n = x.shape[axis]
    high = np.take(sums, np.arange(width, width + n), axis=axis)
    return (high - np.take(sums, np.arange(n), axis=axis)) / width
