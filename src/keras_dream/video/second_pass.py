"""The second pass of a film, from the frames and the states of the first one.

It goes through each block backwards, dreams nothing, and needs no network: a frame's
difference is mixed with that of the frame after it, moved along the flow, and the image
is finished as the recipe says. Its frames are frames of the work folder like those of
the first pass, in parts of their own, so that a process may be killed at any time.
"""

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from keras_dream.engine.finish import Unfinished, at_size, finish
from keras_dream.errors import InputError
from keras_dream.pictures.picture import Picture, to_depth
from keras_dream.pictures.seams import seamless
from keras_dream.recipe.files import Files
from keras_dream.recipe.video import VideoSettings
from keras_dream.video.blocks import Block
from keras_dream.video.carry import Carried, motion
from keras_dream.video.companions import Companions
from keras_dream.video.dreaming import at_image_size, floats, pictures_of
from keras_dream.video.flicker import sample
from keras_dream.video.folder import Place, WorkFolder
from keras_dream.video.setup import Film
from keras_dream.video.smoothing import smoothed
from keras_dream.video.source import Source
from keras_dream.video.timeline import Timeline

Shares = tuple[tuple[tuple[Place, float], ...], ...]

_MOST_HELD = 256 << 20  # bytes of frames that are read ahead, to be gone through back
_MOST_FRAMES = 32


class _Frame(NamedTuple):
    """A frame of the second pass, which is measured when the one before it is there.

    Attributes:
        number: The frame's number.
        image: The source's pixels at the size at which it is dreamed.
        pixels: What is saved.
        state: What the frame before it needs.
    """

    number: int
    image: np.ndarray
    pixels: np.ndarray
    state: Carried


class SecondPass:
    """Makes the frames of the second pass.

    Args:
        film: The film.
        folder: The work folder, which holds the states of all frames.
        source: Of the frames.
        timeline: The recipe of each frame.
        companions: The films that the recipe names.
        files: Finds the files that the recipe names.
        parts: How many blocks the film has.
    """

    def __init__(
        self,
        film: Film,
        folder: WorkFolder,
        source: Source,
        *,
        timeline: Timeline,
        companions: Companions,
        files: Files,
        parts: int,
    ):
        self._film, self._folder, self._source = film, folder, source
        self._timeline, self._companions = timeline, companions
        self._files, self._parts = files, parts

    def run(self, block: Block) -> Iterator[int]:
        """Makes what is left of a block, and yields the number of each frame.

        Args:
            block: The block, of which all frames are dreamed.

        Raises:
            InputError: If a state is lost.
            SaveError: If the disk refuses.
        """
        after, last = self._resumed(block)
        pending = None
        for number, picture, image in self._backwards(block.first, last):
            dreamed = Carried.load(self._folder.state_path(Place(block.part, number)))
            smooth = smoothed(image, dreamed, after, self._film.settings)
            pixels = self._finished(block, number, picture, smooth.image)
            after = smooth.carried
            frame = _Frame(number, image, pixels, after)
            if pending is not None:
                self._save(block, pending, before=frame)
                yield pending.number
            pending = frame
        if pending is not None:
            self._save(block, pending, before=None)
            yield pending.number

    def shares(self, shares: Shares) -> Shares:
        """Returns of which frames of this pass those of the film are mixed.

        Args:
            shares: Of which of the first pass, as by `shares_of`.
        """
        return tuple(
            tuple((second_place(place, self._parts), share) for place, share in frame)
            for frame in shares
        )

    def _resumed(self, block: Block) -> tuple[Carried | None, int]:
        """Returns the state after which a block goes on, and that frame's number."""
        folder, number = self._folder, block.last
        while number > block.first and folder.is_done(self._place(block, number - 1)):
            number -= 1
        if number == block.last:
            return None, number
        path = folder.state_path(self._place(block, number))
        if number == block.first:
            return None, number
        try:
            return Carried.load(path), number
        except InputError:
            folder.forget(self._place(block, n) for n in range(number, block.last))
            return None, block.last

    def _place(self, block: Block, number: int) -> Place:
        return second_place(Place(block.part, number), self._parts)

    def _backwards(
        self, first: int, last: int
    ) -> Iterator[tuple[int, Picture, np.ndarray]]:
        """Yields frames [first, last), the last one first; a few are held at a time."""
        clip = self._film.clip
        bytes_each = 4 * 2 * 3 * math.prod(clip.size)
        count = max(1, min(_MOST_FRAMES, _MOST_HELD // bytes_each))
        while last > first:
            begin = max(first, last - count)
            held = [
                (
                    frame.number,
                    *pictures_of(frame, clip, self._timeline.at(frame.stamp)),
                )
                for frame in self._source.frames(begin, last)
            ]
            while held:
                yield held.pop()
            last = begin

    def _finished(
        self, block: Block, number: int, picture: Picture, image: np.ndarray
    ) -> np.ndarray:
        """Returns what is saved of an image."""
        film, stamp = self._film, self._film.clip.stamps[number]
        recipe = film.with_frame_steps(self._timeline.at(stamp), 1.0)
        recipe = self._companions.at(stamp, recipe)
        if recipe.wrap != "none":
            picture = replace(picture, pixels=seamless(picture.pixels, recipe.wrap))
        shown = finish(
            Unfinished(image),
            recipe,
            photo=picture,
            original=at_size(picture, recipe),
            files=self._files,
        )
        pixels = to_depth(shown.pixels, str(film.bits))
        if not film.has_alpha:
            return pixels
        return np.dstack(
            [pixels, self._folder.picture(Place(block.part, number))[..., 3]]
        )

    def _save(self, block: Block, frame: _Frame, *, before: _Frame | None) -> None:
        """Measures a frame, as the first pass has, and saves it."""
        folder, moved, pair = self._folder, None, None
        size = (frame.image.shape[0], frame.image.shape[1])
        if before is not None:
            moved = motion(before.image, frame.image, self._film.settings)
            pair = at_image_size(floats(before.pixels), size), before.image
        own = at_image_size(floats(frame.pixels), size)
        measured = sample(own, frame.image, before=pair, moved=moved)
        notes = folder.notes(Place(block.part, frame.number))
        place = self._place(block, frame.number)
        folder.save(
            place, frame.pixels, state=frame.state, notes={**notes, "sample": measured}
        )
        with contextlib.suppress(OSError):  # what this one has begun with
            path = folder.state_path(place._replace(number=frame.number + 1))
            path.unlink(missing_ok=True)


def places_of(blocks: Sequence[Block], settings: VideoSettings) -> Iterator[Place]:
    """Yields where all frames of a film belong, in the order of work.

    Args:
        blocks: Of the film.
        settings: `smooth` is used.
    """
    for block in blocks:
        yield from block.places
    if settings.smooth:
        for block in blocks:
            for place in reversed(block.places):
                yield second_place(place, len(blocks))


def second_place(place: Place, parts: int) -> Place:
    """Returns where a frame of the second pass belongs.

    Args:
        place: The frame's of the first pass.
        parts: How many blocks the film has.
    """
    return place._replace(part=parts + place.part)
