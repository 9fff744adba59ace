"""Where scenes begin: cuts by PySceneDetect, from a small picture of each frame.

A fade, a flash and a fast camera are no cuts: a dream goes on through them.
"""

import numpy as np

THUMBNAIL = 128
"""The longest side in pixels of the pictures that are compared; PySceneDetect itself
makes frames smaller until they are 256 to 511 wide, and their mean differences are the
same at half of that."""

_WINDOW = 2
"""Frames before and after one that `AdaptiveDetector` compares it with: its default."""

_FLASH = 4
"""Frames that a flash takes at most: photographers' and lightning are of one or two."""

_SAME = 0.5
"""A scene goes on after a flash where the frame after it differs from the one before it
by less than this share of what the flash did."""


class CutFinder:
    """Finds cuts while frames are added one by one; holds a few small pictures."""

    def __init__(self) -> None:
        from scenedetect import FrameTimecode
        from scenedetect.detectors import AdaptiveDetector

        self._timecode = FrameTimecode
        # Every frame may begin a scene.
        self._detector = AdaptiveDetector(min_scene_len=1, window_width=_WINDOW)
        self._recent: dict[int, np.ndarray] = {}
        self._count = self._fed = 0
        self._candidates: list[int] = []
        self._cuts = [0]

    def add(self, thumbnail: np.ndarray) -> None:
        """Adds the next frame.

        Args:
            thumbnail: uint8 (height, width, 3), RGB, of the same size for every frame.
        """
        if not self._count:
            self._feed(thumbnail, times=_WINDOW)  # so that 1 has a window before it
        self._recent[self._count] = thumbnail
        self._count += 1
        self._feed(thumbnail)
        self._decide(upto=self._count - 1 - _FLASH)
        self._recent.pop(self._count - 2 * _FLASH - 3, None)

    def finish(self) -> tuple[int, ...]:
        """Returns the numbers of the frames that begin a scene, 0 first."""
        if self._count:
            self._feed(self._recent[self._count - 1], times=_WINDOW)
        self._decide(upto=self._count)
        return tuple(self._cuts)

    def _feed(self, thumbnail: np.ndarray, *, times: int = 1) -> None:
        image = np.ascontiguousarray(thumbnail[..., ::-1])
        for _ in range(times):
            timecode = self._timecode(self._fed, fps=25.0)  # only frames are counted
            self._fed += 1
            for cut in self._detector.process_frame(timecode, image):
                self._candidates.append(cut.frame_num - _WINDOW)

    def _decide(self, *, upto: int) -> None:
        """Tells cuts from flashes among the candidates up to a frame."""
        while self._candidates and self._candidates[0] <= upto:
            number = self._candidates.pop(0)
            if not self._is_flash(number):
                self._cuts.append(number)

    def _is_flash(self, number: int) -> bool:
        """Tells whether a flash begins or ends with a frame.

        Then a frame shortly after it is like the one before it, or the other way round.
        """
        before, at = self._recent[number - 1], self._recent[number]
        least = _SAME * _difference(before, at)
        later = range(number + 1, number + 1 + _FLASH)
        earlier = range(number - 1 - _FLASH, number - 1)
        pairs = [(before, k) for k in later] + [(at, k) for k in earlier]
        return any(
            _difference(image, self._recent[k]) < least
            for image, k in pairs
            if k in self._recent
        )


def _difference(a: np.ndarray, b: np.ndarray) -> float:
    """Returns the mean absolute difference of two pictures, in 8-bit steps."""
    return float(np.abs(a.astype(np.int16) - b).mean())
