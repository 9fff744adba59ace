"""Dreaming the frames of a block: each begins with what the one before it dreamed.

Three things are done at the same time: frames are decoded, and their motion is
computed, ahead of the dream, in a thread; and what is dreamed is measured, encoded and
written behind it, in another.
"""

import time
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_dream.dreamer.dreamer import Dreamer
from keras_dream.engine.finish import at_size
from keras_dream.engine.regions import LEAST, map_of
from keras_dream.engine.result import Dream
from keras_dream.errors import DreamError, SaveError
from keras_dream.files import Staged
from keras_dream.geometry import Size, resample
from keras_dream.pictures.picture import Picture, to_depth
from keras_dream.pictures.seams import seamless
from keras_dream.recipe.recipe import Recipe
from keras_dream.video.ahead import Ahead
from keras_dream.video.blocks import Block
from keras_dream.video.carry import Carried, Motion, Push, begin, motion, settle
from keras_dream.video.companions import Companions
from keras_dream.video.flicker import sample
from keras_dream.video.folder import (
    Place,
    frame_name,
    read_frame,
    stage_frame,
    state_name,
)
from keras_dream.video.frames import Clip, Frame
from keras_dream.video.messages import FrameMade, FrameStep
from keras_dream.video.setup import Film
from keras_dream.video.source import Source
from keras_dream.video.timeline import Timeline
from keras_dream.workers.messages import Report

_MOST_AHEAD, _MOST_BEHIND = 2, 2  # frames
_FAINT = np.float32(1e-6)  # an alpha that is rounded to 0 in any depth


class _Prepared(NamedTuple):
    """A frame before its dream.

    Attributes:
        number: The frame's number, from 0.
        picture: What the dreamer is given.
        image: Its pixels at the size at which it is dreamed, seamless where it wraps.
        moved: Its motion since the frame before it; None for the first of a scene.
        before: That frame's image, or None.
    """

    number: int
    picture: Picture
    image: np.ndarray
    moved: Motion | None
    before: np.ndarray | None


class _Round(NamedTuple):
    """A frame that is dreamed once, and perhaps again.

    Attributes:
        dream: The dream.
        carried: What the next frame, or the next dream of this one, needs.
        released: As of the frame's first `Start`.
        made: How many steps there were, those of the rounds before it, too.
        notices: What the person should know, of all rounds.
    """

    dream: Dream
    carried: Carried
    released: float
    made: int
    notices: tuple[str, ...]


class BlockDreamer:
    """Dreams blocks of a film, one after the other.

    Args:
        film: The film.
        source: Of its frames; used by one thread at a time.
        dreamer: What dreams.
        timeline: The recipe of every frame; None for that of the film's recipe.
        companions: The films that the recipe names; None for those that are found.
    """

    def __init__(
        self,
        film: Film,
        source: Source,
        dreamer: Dreamer,
        *,
        timeline: Timeline | None = None,
        companions: Companions | None = None,
    ):
        self._film = film
        self._timeline = timeline or Timeline(
            film.recipe, film.clip, source=source, files=dreamer.files
        )
        self._companions = companions or Companions(
            film.recipe, film.clip, dreamer.files
        )
        self._source = source
        self._dreamer = dreamer
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="dream-film-writer")
        self._written = deque[Future[FrameMade]]()
        # They are held until the run has had time to give them their names.
        self._staged = deque[Staged](maxlen=2 * _MOST_BEHIND)
        self._last: np.ndarray | None = None  # of the writer: the frame before

    def recipe_of(self, number: int, released: float) -> Recipe:
        """Returns the recipe of a frame: of its moment, with its own steps and films.

        Args:
            number: The frame's number, from 0.
            released: The share of its pixels that take nothing over.
        """
        recipe = self._film.with_frame_steps(self._moment(number), released)
        return self._companions.at(self._film.clip.stamps[number], recipe)

    def _moment(self, number: int) -> Recipe:
        """Returns the recipe of a frame's moment."""
        return self._timeline.at(self._film.clip.stamps[number])

    def check(self) -> str:
        """Makes sure, before there is any frame, that the first one can be dreamed.

        Returns:
            How its gradient is computed, as text.

        Raises:
            DreamError: As for `Dreamer.steps`.
        """
        (frame,) = self._source.frames(0, 1)
        picture, _ = pictures_of(frame, self._film.clip, self._moment(0))
        return self._dreamer.steps(picture, self.recipe_of(0, 1.0)).plan.text()

    def dream(self, block: Block, after: int | None) -> Generator[Report, None, None]:
        """Dreams the frames of a block and yields what happens.

        Args:
            block: The block.
            after: The number of the last of its frames that is done; None for none.
        """
        film = self._film
        carried, self._last = None, None
        if after is not None:
            place = Place(block.part, after)
            carried = Carried.load(film.folder / state_name(place))
            self._last = floats(read_frame(film.folder / frame_name(place)))
        with Ahead(lambda: self._prepared(block, after), most=_MOST_AHEAD) as ahead:
            for prepared in ahead:
                try:
                    carried = yield from self._frame(block, prepared, carried)
                except SaveError:
                    raise
                except DreamError as failure:
                    yield from self.finish()
                    raise film.named(failure, prepared.number) from failure
        yield from self.finish()

    def finish(self, *, most: int = 0) -> Iterator[Report]:
        """Yields what is still written, until no more than `most` are left."""
        while self._written and (len(self._written) > most or self._written[0].done()):
            yield self._written.popleft().result()

    def close(self) -> None:
        """Ends the threads; what is still written is discarded."""
        self._writer.shutdown(wait=True, cancel_futures=True)
        for future in self._written:
            if not future.cancelled() and future.exception() is None:
                Path(future.result().temporary).unlink(missing_ok=True)
        self._written.clear()

    def _frame(
        self, block: Block, prepared: _Prepared, carried: Carried | None
    ) -> Generator[Report, None, Carried]:
        """Dreams a frame and hands it to the writer; returns what is carried."""
        began, number = time.perf_counter(), prepared.number
        left = 0
        if carried is None:
            left = self._film.warm_up(block, self._moment(number))
        within = self._within(prepared)
        one = yield from self._round(block, prepared, carried, within=within, left=left)
        size = (prepared.image.shape[0], prepared.image.shape[1])
        still = prepared._replace(moved=Motion.none(size))
        while left and not one.carried.lock.is_empty:
            left -= 1
            one = yield from self._round(
                block, still, one.carried, within=within, left=left, before=one
            )
        pixels = to_depth(one.dream.image, str(self._film.bits))
        if self._film.has_alpha:
            alpha = np.float32(1) if one.dream.alpha is None else one.dream.alpha
            alpha = np.broadcast_to(alpha, pixels.shape[:2])
            pixels = np.dstack([pixels, to_depth(alpha, str(self._film.bits))])
        notes = {
            "steps": one.made,
            "released": one.released,
            "notices": list(dict.fromkeys(one.notices)),
        }
        seconds = time.perf_counter() - began
        yield from self.finish(most=_MOST_BEHIND - 1)
        future = self._writer.submit(
            self._write,
            Place(block.part, number),
            prepared,
            pixels,
            one.carried,
            notes,
            seconds,
        )
        self._written.append(future)
        return one.carried

    def _round(
        self,
        block: Block,
        prepared: _Prepared,
        carried: Carried | None,
        *,
        within: np.ndarray | None,
        left: int,
        before: _Round | None = None,
    ) -> Generator[Report, None, _Round]:
        """Dreams a frame once.

        Args:
            block: Its block.
            prepared: The frame.
            carried: What it begins with; None for nothing.
            within: Which of its pixels are dreamed; None for all.
            left: How many more rounds follow.
            before: The round before it, of the same frame.
        """
        number, image = prepared.number, prepared.image
        moment = self._moment(number)
        settings = self._film.settings_at(moment)
        start = begin(image, carried, settings, moved=prepared.moved, within=within)
        recipe = self.recipe_of(number, start.released)
        push = Push.of(recipe, first_steps=self._film.first_steps(moment))
        settled: list[Carried] = []

        def locked(dreamed: np.ndarray) -> np.ndarray:
            frame = settle(image, start, dreamed, carried, settings, push=push)
            settled[:] = [frame.carried]
            return frame.image

        run = self._dreamer.steps(
            prepared.picture,
            recipe,
            start=start.image if carried and settings.carry else None,
            adjust=locked,
        )
        later = left and left * self.recipe_of(number, 1 - settings.carry).steps
        earlier = made = before.made if before else 0
        for made, step in enumerate(run, start=earlier + 1):
            yield from self.finish(most=_MOST_BEHIND)
            steps = earlier + step.octaves * (step.iterations + later)
            yield FrameStep(str(block.part), number, made, steps)
        dream, told = run.dream, before.notices if before else ()
        return _Round(
            dream,
            settled[0],
            before.released if before else start.released,
            made,
            (*told, *dream.record.notices, *run.plan.take_notices()),
        )

    def _within(self, prepared: _Prepared) -> np.ndarray | None:
        """Returns which pixels of a frame are dreamed; None for all."""
        recipe, image = self.recipe_of(prepared.number, 1.0), prepared.image
        if recipe.mask is None:
            return None
        size, files = (image.shape[0], image.shape[1]), self._dreamer.files
        mask = map_of(
            recipe.mask, prepared.picture, size, files=files, seed=recipe.seed
        )
        return mask > LEAST

    def _write(
        self,
        place: Place,
        prepared: _Prepared,
        pixels: np.ndarray,
        settled: Carried,
        notes: dict[str, Any],
        seconds: float,
    ) -> FrameMade:
        """Measures, encodes and writes a frame; in the writer's thread."""
        own, before, moved = floats(pixels), prepared.before, prepared.moved
        own = at_image_size(own, (prepared.image.shape[0], prepared.image.shape[1]))
        pair = None
        if self._last is not None and before is not None:
            pair = at_image_size(self._last, own.shape[:2]), before
        measured = sample(own, prepared.image, before=pair, moved=moved)
        self._last = own
        notes = {**notes, "sample": list(measured)}
        staged = stage_frame(
            self._film.folder, place, pixels, state=settled, notes=notes
        ).staged
        self._staged.append(staged)
        return FrameMade(
            str(place.part),
            number=place.number,
            temporary=str(staged.temporary),
            size=staged.size,
            sha256=staged.sha256,
            steps=notes["steps"],
            released=notes["released"],
            seconds=seconds,
        )

    def _prepared(self, block: Block, after: int | None) -> Iterator[_Prepared]:
        """Yields the frames of a block; in the reader's thread."""
        film, before = self._film, None
        first = block.first if after is None else after
        for frame in self._source.frames(first, block.last):
            moment = self._moment(frame.number)
            picture, image = pictures_of(frame, film.clip, moment)
            if after is None or frame.number > after:
                moved = None
                if before is not None:
                    moved = motion(before, image, film.settings_at(moment))
                yield _Prepared(frame.number, picture, image, moved, before)
            before = image


def pictures_of(frame: Frame, clip: Clip, recipe: Recipe) -> tuple[Picture, np.ndarray]:
    """Returns what the dreamer is given for a frame, and what it makes of it first.

    Args:
        frame: The frame.
        clip: The film's.
        recipe: Of the frame's moment.
    """
    alpha = frame.alpha
    if alpha is not None and not alpha.any():  # as at the beginning of a fade
        alpha = np.full_like(alpha, _FAINT)
    picture = Picture(frame.image, alpha, clip.name, bits=clip.bits)
    if recipe.wrap != "none":
        own = replace(picture, pixels=seamless(frame.image, recipe.wrap))
        return picture, at_size(own, recipe).pixels
    sized = at_size(picture, recipe)
    return picture if recipe.full_size else sized, sized.pixels


def floats(pixels: np.ndarray) -> np.ndarray:
    """Returns a frame's colours, float32 in [0, 1]."""
    return pixels[..., :3] / np.float32(np.iinfo(pixels.dtype).max)


def at_image_size(image: np.ndarray, size: Size) -> np.ndarray:
    """Returns a frame of a film at the size at which it is dreamed."""
    return image if image.shape[:2] == tuple(size) else resample(image, size)
