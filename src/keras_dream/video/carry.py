"""What a frame takes over from the one before it: its dream, moved along the flow.

A dreamed frame is the frame plus a difference. The next frame begins with its own
pixels plus that difference, warped, where it can be seen in both; what the first frame
of a scene dreamed is the measure of all that follow.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_dream.engine.arrays import Kind, encode_arrays, read_arrays
from keras_dream.errors import InputError, short_repr
from keras_dream.files import check_file
from keras_dream.geometry import Size
from keras_dream.recipe.recipe import Recipe
from keras_dream.recipe.video import VideoSettings
from keras_dream.video import flow
from keras_dream.video.lock import Lock

_FAINTLY = np.float32(0.5)
"""How much is taken over by a frame that is the new measure of a scene that fades in:
half of the steps of a first frame follow, so that it is as strong as one."""


@dataclass(frozen=True, eq=False)
class Carried:
    """What the next frame needs of a dreamed one.

    Attributes:
        frame: Its own pixels, uint8 (height, width, 3).
        difference: What was dreamed into it, float16 (height, width, 3).
        lock: The measures of the dream of the scene's first frame.
    """

    frame: np.ndarray
    difference: np.ndarray
    lock: Lock

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes it to a file, not atomically; the same values give the same bytes."""
        path = Path(path)
        arrays = {
            "frame": self.frame,
            "difference": self.difference.astype("<f2", copy=False),
            "lock": self.lock.packed().astype("<f4", copy=False),
        }
        path.write_bytes(encode_arrays(arrays))
        return path

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Carried":
        """Reads what `save` wrote, as untrusted.

        Raises:
            InputError: If it is missing or damaged.
        """
        path = check_file(path, "The state of a film")
        arrays = read_arrays(path, _KINDS, _refused)
        shapes = [getattr(arrays.get(name), "shape", None) for name in _NAMES]
        if None in shapes or shapes[0] != shapes[1]:
            raise _refused(f"{short_repr(str(path))}, where an array is missing")
        lock = Lock.unpacked(arrays["lock"])
        return cls(arrays["frame"], arrays["difference"], lock)


_NAMES = ("frame", "difference", "lock")
_KINDS = (
    Kind("frame", ("|u1",), (None, None, 3)),
    Kind("difference", ("<f2",), (None, None, 3)),
    Kind("lock", ("<f4",), (9,)),
)


def _refused(received: str) -> InputError:
    return InputError(
        "The state of a film must be whole, as the run wrote it",
        received=received,
        hint="remove it, to begin anew",
    )


class Start(NamedTuple):
    """What the dream of a frame starts from.

    Attributes:
        image: float32 (height, width, 3).
        released: The share of a whole dream that the dreamed pixels do not take over,
            in [0, 1], and more where the dream is measured anew: it is to have so much
            of the way from the later steps to the first ones.
        visible: Which pixels do, float32 (height, width) in [0, 1]; None where nothing
            is carried.
        back: The flow to the frame before it, float32 (height, width, 2), or None.
        within: Which pixels are dreamed, bool (height, width); None for all.
    """

    image: np.ndarray
    released: float
    visible: np.ndarray | None = None
    back: np.ndarray | None = None
    within: np.ndarray | None = None


class Motion(NamedTuple):
    """How a frame's pixels have moved since the frame before it.

    Attributes:
        back: The flow to the frame before it, float32 (height, width, 2).
        visible: Which pixels are seen in both, float32 (height, width) in [0, 1].
    """

    back: np.ndarray
    visible: np.ndarray

    @classmethod
    def none(cls, size: Size) -> "Motion":
        """Returns that of a frame that stands still, of (height, width)."""
        return cls(np.zeros((*size, 2), np.float32), np.ones(size, np.float32))


def motion(before: np.ndarray, frame: np.ndarray, settings: VideoSettings) -> Motion:
    """Returns how pixels have moved: all that `begin` needs of the sources alone.

    Args:
        before: The frame before it, float32 (height, width, 3) in [0, 1].
        frame: The frame, as large.
        settings: Of the film.
    """
    size = (frame.shape[0], frame.shape[1])
    old, new = (
        flow.grey(_rounded(image).astype(np.float32) / 255, size=settings.flow_size)
        for image in (before, frame)
    )
    flows = flow.two_way(old, new)
    same = flow.alike(old, new, flows.back)
    seen = flow.visible(flows.back, flows.forth, same=same)
    if seen.shape != size:
        import cv2

        seen = cv2.resize(seen, size[::-1], interpolation=cv2.INTER_LINEAR)
    return Motion(flow.enlarged(flows.back, size), seen)


def begin(
    frame: np.ndarray,
    carried: Carried | None,
    settings: VideoSettings,
    *,
    moved: Motion | None = None,
    within: np.ndarray | None = None,
) -> Start:
    """Returns what the dream of a frame starts from.

    Args:
        frame: float32 (height, width, 3) in [0, 1].
        carried: Of the frame before it; None for the first of a scene.
        settings: Of the film.
        moved: The `motion` from the frame before it, where that is known already.
        within: Which pixels are dreamed, bool (height, width), where a mask leaves out
            others: what was not dreamed in the frame before it takes nothing over.

    Raises:
        InputError: If what is carried is of another size.
    """
    if carried is None:
        return Start(frame, 1.0, within=within)
    if carried.frame.shape != frame.shape:
        raise InputError(
            "The state of a film must have the size of its frames",
            received=f"{carried.frame.shape[:2]} for {frame.shape[:2]}",
            hint="remove it, to begin anew",
        )
    if moved is None:
        before = carried.frame.astype(np.float32) / np.float32(255)
        moved = motion(before, frame, settings)
    back, seen = moved
    released = float(1 - seen.mean())
    if within is not None:
        dreamed = np.any(carried.difference, axis=-1).astype(np.float32)
        seen = seen * (within & (flow.warp(dreamed, back) > 0.5))
        released = 1 - float(seen.sum() / within.sum()) if within.any() else 0.0
    if carried.lock.is_empty:
        # What moved no texture, such as a white frame's dream, is held by nothing.
        seen, released = np.zeros_like(seen), 1.0
    elif settings.lock and carried.lock.is_outshone(frame, within):
        seen, released = _FAINTLY * seen, max(released, 1 - float(_FAINTLY))
    image = frame
    if settings.carry:
        warped = flow.warp(carried.difference.astype(np.float32), back)
        image = frame + np.float32(settings.carry) * seen[..., None] * warped
    released = 1 - settings.carry * (1 - released)
    return Start(image, released, seen, back, within)


class Push(NamedTuple):
    """How far the steps of a frame move its pixels, were they moved the same way.

    Attributes:
        made: By its own steps.
        whole: By as many as a scene's first frame has.
    """

    made: float = 1.0
    whole: float = 1.0

    @classmethod
    def of(cls, recipe: Recipe, *, first_steps: int) -> "Push":
        """Returns that of a frame's recipe.

        Args:
            recipe: The recipe, with the frame's own steps.
            first_steps: What it would have in a scene's first frame.
        """
        size = recipe.step_size * recipe.strength
        return cls(size * recipe.steps, size * first_steps)


class Settled(NamedTuple):
    """A dreamed frame.

    Attributes:
        image: The frame and its dream, which is what is finished and shown, float32
            (height, width, 3).
        carried: What the next frame needs.
    """

    image: np.ndarray
    carried: Carried


def settle(
    frame: np.ndarray,
    start: Start,
    dreamed: np.ndarray,
    carried: Carried | None,
    settings: VideoSettings,
    *,
    push: Push | None = None,
) -> Settled:
    """Returns a dreamed frame with the strength and the colours of its scene's first.

    Args:
        frame: float32 (height, width, 3) in [0, 1].
        start: Of `begin`.
        dreamed: What the dream made of it, unfinished, float32 (height, width, 3).
        carried: Of the frame before it, as for `begin`.
        settings: Of the film.
        push: How strong the frame's recipe is; matters where recipes change with time.
    """
    push = push or Push()
    difference, image = dreamed - frame, dreamed
    weights = start.visible if settings.carry else None
    lock = carried.lock if carried is not None and weights is not None else None
    if lock is None or lock.push == 0 or lock.is_empty:
        lock = Lock.of(frame, difference, push=push.made, within=start.within)
    elif settings.lock and lock.is_outshone(frame, start.within):
        lock = Lock.of(frame, difference, push=push.whole, within=start.within)
    elif settings.lock and weights is not None:
        weights = np.float32(settings.carry) * weights
        difference = lock.hold(frame, difference, weights, push=push.whole)
        image = frame + difference
    if start.within is not None:
        difference = difference * start.within[..., None]
    return Settled(image, Carried(_rounded(frame), difference.astype(np.float16), lock))


def _rounded(frame: np.ndarray) -> np.ndarray:
    return np.rint(255 * np.clip(frame, 0, 1)).astype(np.uint8)
