"""A film that is made from one picture: what `zoom` and `film` have in common.

Frames are made one after the other. Each that is done is on the disk, in a hidden work
folder beside the film, with what the next one is begun with; so a run goes on from
wherever it was stopped or killed, and ends with the same film.
"""

import math
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from keras_dream.dreamer.dreamer import Dreamer
from keras_dream.engine.finish import at_size
from keras_dream.engine.growth import Octave
from keras_dream.engine.result import Record
from keras_dream.errors import InputError
from keras_dream.events import (
    Event,
    FilmPlanned,
    FrameDone,
    FrameProgress,
    Notice,
)
from keras_dream.files import sha256_file
from keras_dream.pictures.picture import Picture, as_picture
from keras_dream.pictures.sources import is_source, paint
from keras_dream.recipe.keyframes import Follow
from keras_dream.recipe.recipe import Recipe
from keras_dream.video.base_run import PACKED, BaseRun, BaseWork
from keras_dream.video.folder import Place, State, WorkFolder, frame_name
from keras_dream.video.frames import Clip, Stamp
from keras_dream.video.record import film_record
from keras_dream.video.setup import Setup
from keras_dream.video.sink import check_film


@dataclass(frozen=True)
class PictureSetup(Setup):
    """What a film is made from and by.

    Attributes:
        source: The picture, as for `Dreamer.steps`.
    """

    source: Any

    def picture(self) -> Picture:
        """Reads the photo, or paints the source without one."""
        if isinstance(self.source, str) and is_source(self.source):
            return paint(self.source, seed=self.recipe.seed)
        return as_picture(self.source, limits=self.limits)


@dataclass(kw_only=True)
class Work(BaseWork):
    """What is known of a film when its work begins; see `BaseWork`, too.

    Attributes:
        dreamer: What dreams.
        recipe: Complete, with what the film is made by.
        picture: The photo at the size at which it is dreamed.
        places: Of all frames that are made, in their order.
        bits: Of a channel of the frames: 8 or 16.
        reused: How many frames an earlier run has made.
        made: How many frames this run has made.
    """

    dreamer: Dreamer
    recipe: Recipe
    picture: Picture
    places: tuple[Place, ...]
    bits: int
    reused: int
    made: int = 0

    def counts(self) -> tuple[int, int]:
        """Returns how many frames this run has made, and how many another."""
        return self.made, self.reused


class PictureRun(BaseRun[PictureSetup, Work]):
    """A film from one picture that is being made; see `BaseRun`.

    Raises:
        PictureError: If the photo cannot be read.
        OutputError: If the film cannot be written so.
    """

    kind = "film"
    """What the job is called in a journal."""

    # What a kind of film has of its own

    def _check(self, recipe: Recipe) -> None:
        """Refuses, before anything is loaded, what such a film cannot have."""

    def _completed(self, recipe: Recipe, picture: Picture) -> Recipe:
        """Returns a recipe with all that decides the film filled in."""
        raise NotImplementedError

    def _places(self, recipe: Recipe, octaves: Sequence[Octave]) -> tuple[Place, ...]:
        """Returns the places of all frames, in the order in which they are made."""
        raise NotImplementedError

    def _clip(self, recipe: Recipe, picture: Picture, count: int) -> Clip:
        """Returns what is known of the film's frames, of which there are `count`."""
        raise NotImplementedError

    def _seconds(self, work: Work, waiting: Sequence[Place]) -> float:
        """Returns about how long frames take on two cores."""
        raise NotImplementedError

    def _states(self, recipe: Recipe) -> int:
        """Returns how many pictures of floats are kept for what is not made yet."""
        del recipe
        return 2

    def _dreamed(self, work: Work, done: int) -> Iterator[Event]:
        """Makes the frames behind the first ones, which are done."""
        raise NotImplementedError

    def _film_places(self, work: Work) -> Sequence[Place]:
        """Returns the frames that the film shows, in their order, when all are made."""
        raise NotImplementedError

    def _check_state(self, path: Path, number: int) -> None:
        """Checks what a frame hands on.

        Args:
            path: The file.
            number: The frame's, in the order of work, from 0.

        Raises:
            InputError: If it is missing or damaged.
        """
        raise NotImplementedError

    # What all have in common

    def _open(self) -> None:
        self._check(self._setup.recipe)
        self._photo = self._setup.picture()

    def _prepared(self, dreamer: Dreamer) -> Work:
        photo = self._photo
        recipe = dreamer.complete(self._setup.recipe)
        picture = at_size(photo, recipe)
        size = (picture.pixels.shape[0], picture.pixels.shape[1])
        recipe = self._completed(recipe.for_size(size), picture)
        octaves, notices = dreamer.octaves(size, recipe)
        dreamer.check_keyframes(size, recipe)
        places = self._places(recipe, octaves)
        clip = self._clip(recipe, picture, len(places))
        told = check_film(self.out, self._encoding, clip, sound=self._sound)
        record = dreamer.record(photo, recipe)
        folder = WorkFolder(
            self.out,
            self._key(recipe, record),
            places,
            resume=self._wants_resume,
            kind=self.kind,
        )
        told = tuple(dict.fromkeys((*photo.notices, *clip.notices, *told, *notices)))
        return Work(
            dreamer=dreamer,
            recipe=recipe,
            picture=picture,
            folder=folder,
            places=places,
            record=record,
            notices=told,
            bits=self._bits,
            reused=len(folder.done),
        )

    def _key(self, recipe: Recipe, record: Record) -> dict[str, str]:
        return {
            "photo": record.source_sha256,
            **super()._key(recipe, record),
            "sound": self._followed(recipe),
        }

    def _followed(self, recipe: Recipe) -> str:
        """Returns the sha256 of the film's sound, "" where no setting follows it."""
        curves = (c for c in recipe.keyframes if isinstance(c, Follow))
        if self._sound is None or all(curve.sound.file for curve in curves):
            return ""
        return sha256_file(Path(self._sound))

    def _plan(self, work: Work) -> FilmPlanned:
        done, count = work.folder.done, len(work.places)
        waiting = [place for place in work.places if place not in done]
        self._frames = len(work.places)
        clip = self._clip(work.recipe, work.picture, count)
        pixels = math.prod(clip.size) * (4 if clip.has_alpha else 3)
        return FilmPlanned(
            frames=count,
            ready=len(done),
            scenes=1,
            blocks=1,
            size=clip.size,
            duration=float(clip.seconds),
            seconds=self._seconds(work, waiting),
            bytes=int(PACKED * pixels * work.bits // 8 * len(waiting))
            + self._states(work.recipe) * 12 * math.prod(clip.size),
            workers=1,
            folder=str(work.folder.path),
            path=str(self.out),
        )

    def _made(self, work: Work) -> Iterator[Event]:
        done = yield from self._resumed(work)
        yield from self._dreamed(work, done)

    def _resumed(self, work: Work) -> Generator[Event, None, int]:
        """Returns how many frames are done; those behind them are forgotten."""
        folder, places, done = work.folder, work.places, 0
        while done < len(places) and folder.is_done(places[done]):
            done += 1
        if done:
            try:
                self._check_state(folder.state_path(places[done - 1]), done - 1)
            except InputError:
                yield Notice(
                    f"What frame {done:,} was to hand on is lost: the film is made "
                    "again."
                )
                done = 0
        folder.forget([place for place in places[done:] if folder.is_done(place)])
        return done

    def _saved(
        self,
        work: Work,
        number: int,
        pixels: np.ndarray,
        state: State | None,
        *,
        steps: int,
        notices: Sequence[str],
        began: float,
    ) -> FrameDone:
        """Keeps a frame and returns its event.

        Args:
            work: The film.
            number: The frame's, in the order of work, from 0.
            pixels: uint8 or uint16 (height, width, 3).
            state: What the next frame is begun with.
            steps: How many steps were made for it.
            notices: What a person should know of it.
            began: When it was begun, as `time.perf_counter` has it.
        """
        place, folder = work.places[number], work.folder
        notes = {"steps": steps, "notices": list(notices)}
        folder.save(place, pixels, state=state, notes=notes)
        work.made += 1
        return FrameDone(
            number=number + 1,
            frames=len(work.places),
            steps=steps,
            released=None,
            seconds=time.perf_counter() - began,
            share=(number + 1) / len(work.places),
            path=str(folder.path / frame_name(place)),
        )

    def _step(self, work: Work, number: int, step: int, steps: int) -> FrameProgress:
        """Notes a step of a frame and returns its event."""
        work.folder.note(work.places[number], step, steps)
        share = (number + step / max(steps, 1)) / len(work.places)
        return FrameProgress(number + 1, step, steps, share=share)

    def _film(self, work: Work) -> tuple[Clip, Recipe, dict[str, Any]]:
        folder, self._frames = work.folder, len(self._film_places(work))
        notes = [folder.notes(p) for p in work.places if folder.is_done(p)]
        notices = (str(notice) for each in notes for notice in each["notices"])
        clip = self._clip(work.recipe, work.picture, self._frames)
        record = film_record(
            work.record,
            clip,
            steps=sum(int(each["steps"]) for each in notes),
            notices=tuple(dict.fromkeys((*work.notices, *notices))),
        )
        return clip, work.recipe, record

    def _pictures(self, work: Work) -> Iterable[np.ndarray]:
        return map(work.folder.picture, self._film_places(work))


def even_stamps(count: int, rate: Fraction) -> tuple[Stamp, ...]:
    """Returns the stamps of so many frames at a constant rate."""
    return tuple(Stamp(number / rate, 1 / rate) for number in range(count))
