"""Where scenes begin: cuts by PySceneDetect, from a small picture of each frame.

Its score, the mean change of a pixel, is as high for a fast camera as for a cut, so
that it only proposes. Between the frames of one scene the optical flow leads back and
forth to the same place; over a cut it does so nowhere. A fade, a flash and a fast
camera are no cuts: a dream goes on through them.
"""

import numpy as np

THUMBNAIL = 128
"""The longest side in pixels of the pictures that are compared. PySceneDetect itself
makes frames smaller until they are 256 to 511 wide; the flow of these is computed in
about a millisecond."""

_WINDOW = 2
"""Frames before and after one that `AdaptiveDetector` compares it with: its default."""

_RATIO = 1.3
"""How many times a cut's score is that of its neighbours, at least. The default is 3,
for a camera that starts to move; here that is for the flow to tell."""

_LEAST_SCORE = 8.0
"""The least score of a cut in 8-bit steps: half of `AdaptiveDetector`'s default, which
misses cuts between pictures of a like colour."""

_FLAT_SCORE = 27.0
"""The least score of a cut from or to a frame without texture, where there is no flow:
`ContentDetector`'s default."""

_TEXTURE = 4.0
"""The standard deviation in 8-bit steps of a frame that has texture."""

_SEEN = 0.2
"""The share of a frame that is seen in the one before it, where there is no cut: 0.4
and more for turns by 10 degrees and zooms by a sixth, 0.03 at cuts between random
textures."""

_ALIKE = 0.5
"""How far the colours of a place may be apart, as a share of their standard deviation
over the picture; brighter and darker light do not count."""

_FLASH = 4
"""Frames that a flash takes at most; those of cameras and lightning take one or two."""


class CutFinder:
    """Finds cuts while frames are added one by one; holds a few small pictures."""

    def __init__(self) -> None:
        from scenedetect import FrameTimecode
        from scenedetect.detectors import AdaptiveDetector

        self._timecode = FrameTimecode
        self._detector = AdaptiveDetector(
            adaptive_threshold=_RATIO,
            min_scene_len=1,  # every frame may begin a scene
            window_width=_WINDOW,
            min_content_val=_LEAST_SCORE,
        )
        self._recent: dict[int, np.ndarray] = {}
        self._count = self._fed = 0
        self._candidates: list[int] = []
        self._cuts = [0]

    def add(self, thumbnail: np.ndarray) -> None:
        """Adds the next frame.

        Args:
            thumbnail: uint8 (height, width, 3), RGB, of the same size for every frame.
        """
        self._recent[self._count] = thumbnail
        self._count += 1
        if self._count == _WINDOW + 1:
            self._begin()
        elif self._count > _WINDOW:
            self._feed(self._count - 1)
        self._decide(upto=self._count - 1 - _FLASH)
        self._recent.pop(self._count - 2 * _FLASH - 3, None)

    def finish(self) -> tuple[int, ...]:
        """Returns the numbers of the frames that begin a scene, 0 first."""
        if 0 < self._count <= _WINDOW:
            self._begin()
        for back in range(2, 2 + _WINDOW if self._count else 0):
            self._feed(max(0, self._count - back))
        self._decide(upto=self._count)
        return tuple(self._cuts)

    def _begin(self) -> None:
        """Feeds the first frames, and before them their mirror image.

        So frames at the ends are compared with as many others as all are.
        """
        for number in range(-_WINDOW, self._count):
            self._feed(min(abs(number), self._count - 1))

    def _feed(self, number: int) -> None:
        timecode = self._timecode(self._fed, fps=25.0)  # only frames are counted
        self._fed += 1
        image = np.ascontiguousarray(self._recent[number][..., ::-1])
        for cut in self._detector.process_frame(timecode, image):
            proposed = cut.frame_num - _WINDOW
            if 0 < proposed < self._count:
                self._candidates.append(proposed)

    def _decide(self, *, upto: int) -> None:
        """Tells which candidates up to a frame are cuts."""
        while self._candidates and self._candidates[0] <= upto:
            number = self._candidates.pop(0)
            before, at = self._recent[number - 1], self._recent[number]
            if is_other_scene(before, at) and not self._is_flash(number):
                self._cuts.append(number)

    def _is_flash(self, number: int) -> bool:
        """Tells whether a flash begins or ends with a frame.

        Then the scene before it goes on shortly after it, or that after it was there
        shortly before.
        """
        before, at = self._recent[number - 1], self._recent[number]
        later = range(number + 1, number + 1 + _FLASH)
        earlier = range(number - 1 - _FLASH, number - 1)
        pairs = [(before, k) for k in later] + [(at, k) for k in earlier]
        return any(
            not is_other_scene(image, self._recent[k])
            for image, k in pairs
            if k in self._recent
        )


def is_other_scene(before: np.ndarray, at: np.ndarray) -> bool:
    """Tells whether nothing of a picture is in the other one.

    Args:
        before: uint8 (height, width, 3), small.
        at: The same.
    """
    from keras_dream.video import flow

    images = [image.astype(np.float32) / 255 for image in (before, at)]
    greys = [flow.grey(image, size=THUMBNAIL) for image in images]
    if min(float(grey.std()) for grey in greys) < _TEXTURE:
        return _difference(before, at) >= _FLAT_SCORE
    flows = flow.two_way(*greys)
    earlier, later = (_evened(image) for image in images)
    apart = np.abs(later - flow.warp(earlier, flows.back)).mean(axis=-1)
    seen = flow.visible(flows.back, flows.forth) * (apart < _ALIKE)
    return float(seen.mean()) < _SEEN


def _evened(image: np.ndarray) -> np.ndarray:
    """Returns an image whose channels have mean 0 and standard deviation 1."""
    spread = np.maximum(image.std(axis=(0, 1)), _TEXTURE / 255)
    return (image - image.mean(axis=(0, 1))) / spread


def _difference(a: np.ndarray, b: np.ndarray) -> float:
    """Returns the mean absolute difference of two pictures, in 8-bit steps."""
    return float(np.abs(a.astype(np.int16) - b).mean())
