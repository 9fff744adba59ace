"""Optical flow between frames, the warp along it, and what can be seen in both.

A flow is float32 (height, width, 2) in pixels, (down, across): the pixel x of one frame
is at x + flow[x] in the other. It is computed by DIS (T. Kroeger et al. 2016, "Fast
Optical Flow using Dense Inverse Search", 1603.03590) as OpenCV has it.
"""

from typing import NamedTuple, cast

import numpy as np

from keras_dream.geometry import Size

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, of sRGB values

_FINE, _TINY = 320, 64
"""The longest side up to which the finest scale of DIS is the frame itself, and up to
which its patches are of 4 pixels. Above, the finest is half of it, as in the preset:
that takes a quarter of the time, and is as exact there."""

_SMOOTHNESS = 40.0
"""Of the refinement; the preset has 20. On turning and zooming textures with noise or
a change of exposure it takes a quarter of the error; at 80, small squares that move
lose their edges."""

_LEAST = 16
"""The shortest side that DIS is given; a smaller frame is repeated at its edges."""

_ALIKE, _AROUND = 4.0, 5
"""Grey levels of `grey` by which a pixel and what the flow says it was may differ on
average, and the side of the square in which that is taken: noise and rounding are
below it, and what comes into view is above it."""

_CONTRAST, _GAIN = 40.0, 4.0
"""Grey levels to which the standard deviation of a picture is brought, so that a change
of exposure is not taken for motion, and the most that it is multiplied by: noise of
black frames stays small."""


class Flows(NamedTuple):
    """The flows between two frames, at the size at which they were computed.

    Attributes:
        forth: Where each pixel of the first is in the second.
        back: Where each pixel of the second is in the first.
    """

    forth: np.ndarray
    back: np.ndarray


def flow(a: np.ndarray, b: np.ndarray, *, size: int) -> np.ndarray:
    """Returns where each pixel of one frame is in another of the same size.

    Args:
        a: float32 (height, width, 3) in [0, 1].
        b: The same.
        size: The longest side in pixels at which it is computed, if that is smaller.

    Returns:
        float32 (height, width, 2) in pixels of the frames, (down, across); finite.
    """
    small = _dis(grey(a, size=size), grey(b, size=size))
    return enlarged(small, (a.shape[0], a.shape[1]))


def two_way(a: np.ndarray, b: np.ndarray) -> Flows:
    """Returns the flows between two pictures of `grey`, in their own pixels."""
    return Flows(forth=_dis(a, b), back=_dis(b, a))


def grey(image: np.ndarray, *, size: int) -> np.ndarray:
    """Returns a frame as the flow sees it, at a mean and a contrast of its own.

    Args:
        image: float32 (height, width, 3) in [0, 1].
        size: The longest side in pixels of what is returned; a smaller frame stays.

    Returns:
        uint8 (height, width).
    """
    import cv2

    luma = image @ (255 * _LUMA)
    height, width = luma.shape
    share = size / max(height, width)
    if share < 1:
        target = (max(round(width * share), 1), max(round(height * share), 1))
        luma = cv2.resize(luma, target, interpolation=cv2.INTER_AREA)
    gain = min(_CONTRAST / max(float(luma.std()), 1e-6), _GAIN)
    luma = (luma - luma.mean()) * np.float32(gain) + 128
    return np.rint(np.clip(luma, 0, 255)).astype(np.uint8)


def enlarged(small: np.ndarray, size: Size) -> np.ndarray:
    """Returns a flow at another size, in the pixels of that size.

    Args:
        small: float32 (height, width, 2).
        size: (height, width).
    """
    import cv2

    if small.shape[:2] == tuple(size):
        return small
    scale = np.array(
        [size[0] / small.shape[0], size[1] / small.shape[1]], dtype=np.float32
    )
    return scale * cv2.resize(small, size[::-1], interpolation=cv2.INTER_LINEAR)


def warp(image: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Returns an image at x + flow(x), by Lanczos interpolation over 8 pixels.

    What is carried is warped again in every frame. In ten warps of a fine texture this
    kernel loses 2 % of its strength and OpenCV's bicubic one, which is sharper than
    others, adds 14 %; a bilinear one loses 35 %.

    Args:
        image: float32 (height, width) or (height, width, channels); beyond its edges it
            is as at them.
        flow: float32 of the same height and width.
    """
    import cv2

    height, width = flow.shape[:2]
    across = flow[..., 1] + np.arange(width, dtype=np.float32)
    down = flow[..., 0] + np.arange(height, dtype=np.float32)[:, None]
    return cv2.remap(
        image, across, down, cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REPLICATE
    )


def alike(before: np.ndarray, after: np.ndarray, back: np.ndarray) -> np.ndarray:
    """Returns where a frame looks as the flow says that it did.

    Args:
        before: A picture of `grey`.
        after: That of the frame after it.
        back: From this one to the one before it.

    Returns:
        bool (height, width).
    """
    import cv2

    moved = warp(before.astype(np.float32), back)
    apart = np.abs(after.astype(np.float32) - moved)
    return cv2.blur(apart, (_AROUND, _AROUND)) < _ALIKE


def visible(
    back: np.ndarray, forth: np.ndarray, *, same: np.ndarray | None = None
) -> np.ndarray:
    """Returns which pixels of a frame can be seen in the one before it.

    By the thresholds of M. Ruder et al. 2016, "Artistic style transfer for videos"
    (1604.08610), section 3.2: a pixel is uncovered where the flow forth does not lead
    back to it, and it is not trusted where the flow changes sharply.

    Args:
        back: From the frame to the one before it.
        forth: From that one to the frame.
        same: Where the frame looks as the flow says, as `alike` tells, or None. There
            it counts as seen wherever the flow leads: in a clear sky the two flows are
            guesses, and contradict each other.

    Returns:
        float32 (height, width) in [0, 1]: 1 where it can be seen; the edges are soft.
    """
    import cv2

    height, width = back.shape[:2]
    down = back[..., 0] + np.arange(height, dtype=np.float32)[:, None]
    across = back[..., 1] + np.arange(width, dtype=np.float32)
    inside = (
        (down > -0.5) & (down < height - 0.5) & (across > -0.5) & (across < width - 0.5)
    )
    there = cv2.remap(
        forth, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    gap, own = _square(there + back), _square(back)
    uncovered = gap > 0.01 * (_square(there) + own) + 0.5
    steep = _steepness(back) > 0.01 * own + 0.002
    seen = ~uncovered & ~steep
    if same is not None:
        seen |= same
    seen = (inside & seen).astype(np.float32)
    # The smallest of a neighbourhood, and then a blur no wider than it.
    seen = cv2.erode(seen, np.ones((3, 3), np.uint8))
    return np.minimum(seen, cv2.GaussianBlur(seen, (0, 0), 1.0))


def _square(flow: np.ndarray) -> np.ndarray:
    return np.square(flow[..., 0]) + np.square(flow[..., 1])


def _steepness(flow: np.ndarray) -> np.ndarray:
    """Returns the sum of the squares of a flow's four derivatives.

    A camera that turns or zooms changes the flow everywhere alike, which is no
    boundary: the median of each derivative is taken out. (With the thresholds of the
    paper, a zoom of 4 % a frame is a boundary in the middle, where the flow is small.)
    """
    steep = np.zeros(flow.shape[:2], np.float32)
    for axis in (0, 1):
        if flow.shape[axis] > 1:
            change = np.gradient(flow, axis=axis)
            steep += _square(change - np.median(change[::4, ::4], axis=(0, 1)))
    return steep


def _dis(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    import cv2

    height, width = a.shape
    more = ((0, max(_LEAST - height, 0)), (0, max(_LEAST - width, 0)))
    if any(map(any, more)):
        a, b = np.pad(a, more, mode="edge"), np.pad(b, more, mode="edge")
    cv2.setNumThreads(1)  # it runs beside the dream, which has the processors
    method = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    method.setVariationalRefinementAlpha(_SMOOTHNESS)
    if max(a.shape) <= _FINE:
        method.setFinestScale(0)
    if max(a.shape) <= _TINY:
        method.setPatchSize(4)
        method.setPatchStride(2)
    across_down = method.calc(a, b, cast("np.ndarray", None))  # an array: begin there
    return np.ascontiguousarray(across_down[:height, :width, ::-1])
