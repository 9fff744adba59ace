"""The second pass of a film, backwards in time.

The first pass carries a dream from each frame to the next, so that a frame knows only
what came before it: what the dream grows later appears where nothing was. Here the
differences are carried from each frame to the one before it, along the flow, and
blended with that frame's own; then a frame's dream is of what comes as much as of what
was. A frame needs its own state and that of the one after it, nothing else.
"""

import numpy as np

from keras_dream.recipe.video import VideoSettings
from keras_dream.video import flow
from keras_dream.video.carry import Carried, Motion, Settled, motion
from keras_dream.video.lock import Lock

_LATER = 0.8
"""How much of the second pass's dream comes from the frames after it, where they show
the same: each counts 0.8 of the one before it, so that about five are averaged."""


def smoothed(
    frame: np.ndarray,
    dreamed: Carried,
    following: Carried | None,
    settings: VideoSettings,
    *,
    moved: Motion | None = None,
) -> Settled:
    """Returns a frame of the second pass.

    Args:
        frame: float32 (height, width, 3) in [0, 1].
        dreamed: The frame's state after the first pass.
        following: What this function has returned as carried for the frame after it;
            None for the last of a scene.
        settings: Of the film; `smooth` and `flow_size` are used.
        moved: The `motion` from the frame after it to this one, where that is known.

    Returns:
        The image to be finished, and what the frame before it needs. Its strength and
        its colours are those of the first pass's.
    """
    own = dreamed.difference.astype(np.float32)
    if following is None:
        return Settled(frame + own, dreamed)
    if moved is None:
        after = following.frame.astype(np.float32) / np.float32(255)
        moved = motion(after, frame, settings)
    within = np.any(own, axis=-1)  # nothing is dreamed outside a mask
    visible = moved.visible * within
    lock = Lock.of(frame, own, within=within)
    later = flow.warp(following.difference.astype(np.float32), moved.back)
    later -= own
    later *= np.float32(_LATER) * visible[..., None]
    share = np.float32(settings.smooth)
    mixed = lock.hold(frame, own + share * later, share * visible)
    own += later
    carried = Carried(dreamed.frame, own.astype(np.float16), dreamed.lock)
    return Settled(frame + mixed, carried)
