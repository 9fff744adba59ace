"""Seams: whether opposite edges of a picture fit, and making them fit."""

import numpy as np

from keras_dream.geometry import WRAPPED_AXES, Wrap

FITTING_ROUGHNESS = 2.0
"""How much rougher than its inside, at most, the seam of edges is that fit."""

BLENDED = 0.25
"""How deep the blended part is, as a share of the side: each half of a side is as much
the picture as the picture shifted by half."""


def roughness(image: np.ndarray, axis: int) -> float:
    """Returns how rough the seam is between the two edges of an axis.

    Args:
        image: float32 (height, width, 3).
        axis: 0 for the upper and lower edge, 1 for left and right.

    Returns:
        The mean absolute difference across the seam over the median of those between
        all other neighbours; 1 where the seam is like the inside.
    """
    lines = np.moveaxis(image, axis, 0).astype(np.float64)
    steps = np.abs(lines - np.roll(lines, 1, 0)).mean(axis=(1, 2))
    inside = float(np.median(steps[1:])) if len(steps) > 1 else 0.0
    return float(steps[0]) / inside if inside > 0 else float(steps[0] > 0) * np.inf


def seamless(image: np.ndarray, wrap: Wrap) -> np.ndarray:
    """Returns a picture whose opposite edges fit.

    Edges that fit already are left as they are. Others fade, over `BLENDED` of the
    side, into the picture shifted by half of it, whose own seam lies in the middle,
    where nothing of it is seen.

    Args:
        image: float32 (height, width, 3).
        wrap: Which edges shall fit.

    Returns:
        A new picture, or the same one where nothing had to be done.
    """
    for axis in WRAPPED_AXES[wrap]:
        n = image.shape[axis]
        if n < 2 or roughness(image, axis) <= FITTING_ROUGHNESS:
            continue
        depth = np.arange(n) + 0.5
        ramp = (np.minimum(depth, n - depth) / (n * BLENDED)).clip(0, 1)
        share = (ramp * ramp * (3 - 2 * ramp)).astype(np.float32)  # smoothstep
        share = share.reshape([-1 if a == axis else 1 for a in range(3)])
        shifted = np.roll(image, n // 2, axis)
        image = shifted + share * (image - shifted)
    return image
