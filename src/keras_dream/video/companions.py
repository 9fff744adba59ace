"""Films that a recipe names in the place of pictures: masks and guides that move.

A mask, the mask of a region, `blend_mask`, a guide or a palette may be a film. In each
frame of the dreamed film stands what it shows at that time, so that a mask that was
drawn over a source fits it, whichever part of the source is dreamed.
"""

import bisect
import hashlib
import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from keras_dream.pictures.decoding import is_film
from keras_dream.pictures.limits import Limits
from keras_dream.pictures.picture import Picture, read_picture
from keras_dream.recipe.files import FileRef, Files, with_files
from keras_dream.recipe.recipe import Recipe
from keras_dream.recipe.times import time_text
from keras_dream.video.frames import Clip, Frame, Stamp
from keras_dream.video.source import Source, open_source

_NEAR = 64
"""Frames that are decoded and left out rather than looked for from a keyframe on."""

_MOST_BACK, _MOST_BYTES = 32, 128 << 20
"""Frames that are held where they are asked for backwards, and their bytes."""


class Companions:
    """The films that a recipe names.

    Args:
        recipe: A complete recipe.
        clip: The frames of the source that is dreamed.
        files: Finds the films; the dreamer's own, which is given their frames.

    Attributes:
        notices: What a person should know of them.

    Raises:
        InputError: If one is missing or damaged.
    """

    def __init__(self, recipe: Recipe, clip: Clip, files: Files):
        self._files = files
        self._begin = clip.begin
        paths = {file: files.find(file) for file in recipe.files}
        self._films = {
            file: _Companion(file, path, files.limits, clip.time_base)
            for file, path in paths.items()
            if _moves(path, files.limits)
        }
        end = clip.begin + clip.seconds
        self.notices = tuple(
            f"{film.file.name} ends after {time_text(film.seconds)}: its last frame is "
            "held until the end."
            for film in self._films.values()
            if film.seconds < end
        )

    def at(self, stamp: Stamp, recipe: Recipe) -> Recipe:
        """Returns a frame's recipe with frames in the place of films.

        The dreamer finds these frames until the next call.

        Args:
            stamp: When the frame is shown.
            recipe: The recipe of the frame.

        Raises:
            InputError: If a film cannot be read any more.
        """
        if not self._films:
            return recipe
        time = self._begin + stamp.start
        shown = {
            file: self._films[file].at(time)
            for file in recipe.files
            if file in self._films
        }
        self._files.hold(dict(shown.values()))
        return with_files(recipe, lambda file: shown.get(file, (file,))[0])


class _Companion:
    """A film beside the one that is dreamed; holds one frame of it, or a few backwards.

    Args:
        file: As the recipe names it.
        path: Where it is.
        limits: What it may have and take.
        tick: Of the clock of the film that is dreamed, in seconds.
    """

    def __init__(
        self, file: FileRef, path: Path, limits: Limits | None, tick: Fraction
    ):
        self.file = file
        self._source: Source = open_source(path, limits=limits)
        clip = self._source.survey(cuts=False)
        self.seconds: Fraction = clip.seconds
        self._starts = [stamp.start for stamp in clip.stamps]
        # The same time is rounded to the ticks of both clocks.
        self._rounding = min(tick + clip.time_base, 1 / (4 * clip.rate))
        self._frames: Iterator[Frame] = iter(())
        self._next = -_NEAR - 1  # the number of the frame that `_frames` yields next
        self._held: dict[int, Picture] = {}
        bytes_each = 4 * 3 * math.prod(clip.size)
        self._back = max(1, min(_MOST_BACK, _MOST_BYTES // bytes_each))

    def at(self, time: Fraction) -> tuple[FileRef, Picture]:
        """Returns the frame that is shown at a time, and a name for it."""
        after = bisect.bisect_right(self._starts, time + self._rounding)
        number = max(after - 1, 0)
        if number not in self._held:
            self._read(number)
        return _frame_name(self.file, number), self._held[number]

    def _read(self, number: int) -> None:
        first = number
        if number < self._next:  # as in a pass backwards in time
            first = max(number - self._back + 1, 0)
        if not 0 <= first - self._next <= _NEAR:
            self._frames = self._source.frames(first)
        self._held = {}
        for frame in self._frames:
            if frame.number >= first:
                picture = Picture(frame.image, frame.alpha, self.file.name)
                self._held[frame.number] = picture
            if frame.number == number:
                break
        self._next = number + 1


def _moves(path: Path, limits: Limits | None) -> bool:
    """Tells whether a file of a recipe is a film, a moving GIF or a moving WebP."""
    if is_film(path):
        return True
    with path.open("rb") as opened:
        head = opened.read(12)
    may_move = head.startswith(b"GIF8") or head[8:] == b"WEBP"
    return may_move and read_picture(path, limits=limits).frames > 1


def _frame_name(file: FileRef, number: int) -> FileRef:
    """Returns a name by which no other frame goes, in any film."""
    digest = hashlib.sha256(f"{file.sha256} {number}".encode())
    return FileRef(file.name, digest.hexdigest())
