"""A film that is made from one picture: what `zoom` and `film` have in common.

Frames are made one after the other. Each that is done is on the disk, in a hidden work
folder beside the film, with what the next one is begun with; so a run goes on from
wherever it was stopped or killed, and ends with the same film.
"""

import contextlib
import math
import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import numpy as np

from keras_dream.dreamer.dreamer import Dreamer
from keras_dream.engine.finish import at_size
from keras_dream.engine.growth import Octave
from keras_dream.engine.result import Record
from keras_dream.errors import DreamError, InputError
from keras_dream.events import (
    Event,
    FilmFinished,
    FilmPlanned,
    FrameDone,
    FrameProgress,
    Loading,
    Notice,
    Saved,
)
from keras_dream.files import check_room, sha256_file
from keras_dream.pictures.picture import Picture, as_picture
from keras_dream.pictures.sources import is_source, paint
from keras_dream.recipe.keyframes import Follow
from keras_dream.recipe.recipe import Recipe, canonical_json
from keras_dream.video.ahead import reported
from keras_dream.video.folder import Place, State, WorkFolder, frame_name
from keras_dream.video.frames import Clip, Stamp
from keras_dream.video.run import as_events
from keras_dream.video.setup import Setup
from keras_dream.video.sink import DEFAULT, Encoding, check_film, is_deep, write_film

_PACKED = 0.75
"""Bytes of a frame's file, and of its pixels: dreams are noisy."""

_UNKEYED = {"threads", "offline", "memory", "depth"}
"""Run settings that another part of the run may have."""


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


@dataclass
class Work:
    """What is known of a film when its work begins.

    Attributes:
        dreamer: What dreams.
        recipe: Complete, with what the film is made by.
        picture: The photo at the size at which it is dreamed.
        folder: The work folder, held.
        places: Of all frames that are made, in their order.
        record: That of a dream before its first step.
        notices: What a person should know before.
        bits: Of a channel of the frames: 8 or 16.
        reused: How many frames an earlier run has made.
        is_over: Whether the folder was given up.
    """

    dreamer: Dreamer
    recipe: Recipe
    picture: Picture
    folder: WorkFolder
    places: tuple[Place, ...]
    record: Record
    notices: tuple[str, ...]
    bits: int
    reused: int
    is_over: bool = False


class PictureRun(Iterator[Event]):
    """A film from one picture that is being made: an iterator of its events.

    Stopping is `break` and `close`, or the end of a `with` block, or Ctrl-C; the same
    call goes on from there, even after its process was killed. It ends with the bytes
    of an undisturbed run.

    Args:
        setup: What the film is made from and by.
        out: The film.
        encoding: How it is saved.
        sound: A file whose sound it has; None for none.
        resume: Whether frames of an earlier run are kept; False makes them again.
        notes: Whether recipe and record are saved in the film.
        dreamer: What dreams, in place of the setup's own; or what loads that.

    Attributes:
        out: As above.
        planned: What there is to do; None before its event.

    Raises:
        PictureError: If the photo cannot be read.
        OutputError: If the film cannot be written so.
    """

    kind = "film"
    """What the job is called in a journal."""

    def __init__(
        self,
        setup: PictureSetup,
        out: str | os.PathLike[str],
        *,
        encoding: Encoding = DEFAULT,
        sound: str | os.PathLike[str] | None = None,
        resume: bool = True,
        notes: bool = True,
        dreamer: Dreamer | Callable[[Setup], Dreamer] | None = None,
    ):
        self.out = Path(out)
        self.planned: FilmPlanned | None = None
        self._setup = setup
        self._encoding, self._sound = encoding, sound
        self._wants_resume, self._wants_notes = resume, notes
        self._dreamer = dreamer
        check_film(self.out, encoding)
        self._check(setup.recipe)
        self._photo = setup.picture()
        self._began = time.monotonic()
        self._work: Work | None = None
        self._done = 0
        self._frames = 0
        self._is_saved = False
        self._events = self._run()

    def __next__(self) -> Event:
        return next(self._events)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the run: what is made is kept."""
        self._events.close()
        self._end()

    def discard(self) -> None:
        """Ends the run and removes the work folder, with all that is made."""
        self.close()
        if self._work is not None:
            self._work.folder.remove()

    @property
    def summary(self) -> FilmFinished:
        """What has been done so far."""
        return FilmFinished(
            path=str(self.out),
            frames=self._frames,
            done=self._done,
            reused=0 if self._work is None else self._work.reused,
            complete=self._is_saved,
            seconds=time.monotonic() - self._began,
            flicker=None,
            source_flicker=None,
        )

    def finish(self) -> FilmFinished:
        """Makes all that is left, writes the film and returns the summary.

        Raises:
            DreamError: What ends the run; what is done is kept.
        """
        for _ in self:
            pass
        return self.summary

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

    def _shown(self, work: Work) -> Sequence[Place]:
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

    def _run(self) -> Generator[Event, None, None]:
        try:
            dreamer = self._dreamer
            if dreamer is None:
                yield Loading(" + ".join(_networks(self._setup.recipe)))
                dreamer = self._setup.dreamer()
            elif callable(dreamer):
                dreamer = dreamer(self._setup)
            work = self._work = self._prepared(dreamer)
            self.planned = self._plan(work)
            yield self.planned
            yield from map(Notice, work.notices)
            check_room(work.folder.path, self.planned.bytes)
            done = yield from self._resumed(work)
            yield from self._dreamed(work, done)
            yield from self._written(work)
            work.folder.remove()
            self._is_saved = True
            yield Saved(str(self.out), complete=True)
            summary = self.summary
        finally:
            self._end()
        yield summary

    def _prepared(self, dreamer: Dreamer) -> Work:
        """Checks all that can be checked before the first frame."""
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
        bits = 16 if is_deep(self.out, self._encoding) else 8
        folder = WorkFolder(
            self.out,
            self._key(recipe, record, bits),
            places,
            resume=self._wants_resume,
            kind=self.kind,
        )
        told = tuple(dict.fromkeys((*photo.notices, *clip.notices, *told, *notices)))
        reused = len(folder.done)
        return Work(
            dreamer, recipe, picture, folder, places, record, told, bits, reused
        )

    def _key(self, recipe: Recipe, record: Record, bits: int) -> dict[str, str]:
        """Returns what decides the frames, each thing by its name."""
        run = self._setup.run.model_dump(mode="json", exclude=_UNKEYED)
        weights = {record.network: record.weights_sha256, **record.also}
        return {
            "photo": record.source_sha256,
            "recipe": recipe.sha256,
            "network": canonical_json(weights),
            "run settings": canonical_json({**run, "backend": record.run["backend"]}),
            "depth": str(bits),
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
            bytes=int(_PACKED * pixels * work.bits // 8 * len(waiting))
            + self._states(work.recipe) * 12 * math.prod(clip.size),
            workers=1,
            folder=str(work.folder.path),
            path=str(self.out),
        )

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
        self._done += 1
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

    def _written(self, work: Work) -> Iterator[Event]:
        """Writes the film from its frames, with the notes of what has happened."""
        shown, folder = self._shown(work), work.folder
        made = [place for place in work.places if folder.is_done(place)]
        notes = [folder.notes(place) for place in made]
        clip = self._clip(work.recipe, work.picture, len(shown))
        self._frames = len(shown)
        notices = dict.fromkeys(str(n) for each in notes for n in each["notices"])
        record = _record(
            work.record,
            clip,
            steps=sum(int(each["steps"]) for each in notes),
            notices=tuple(dict.fromkeys((*work.notices, *notices))),
        )
        texts = {"recipe": work.recipe.json_text(), "record": canonical_json(record)}

        def write(note: Callable[[float], None]) -> Path:
            return write_film(
                self.out,
                clip,
                map(folder.picture, shown),
                encoding=self._encoding,
                notes=texts if self._wants_notes else None,
                sound=self._sound,
                progress=note,
            )

        yield from as_events(reported(write), "write")

    def _end(self) -> None:
        """Gives up the folder; what is made is kept."""
        work = self._work
        if work is None or work.is_over:
            return
        work.is_over = True
        try:
            if not self._is_saved:
                with contextlib.suppress(DreamError):
                    work.folder.pause()
        finally:
            work.folder.close()


def even_stamps(count: int, rate: Fraction) -> tuple[Stamp, ...]:
    """Returns the stamps of so many frames at a constant rate."""
    return tuple(Stamp(number / rate, 1 / rate) for number in range(count))


def _record(
    dreamer: Record, clip: Clip, *, steps: int, notices: Sequence[str]
) -> dict[str, Any]:
    """Returns what happened, as JSON types, as a dreamed video's record has it."""
    own = dreamer.data()
    kept = ("versions", "processor", "network", "weights_sha256", "also", "run")
    return {
        **{name: own[name] for name in kept if name in own},
        "source": dreamer.source,
        "source_sha256": dreamer.source_sha256,
        "size": list(dreamer.size),
        "frames": len(clip.stamps),
        "seconds": str(clip.seconds),
        "rate": str(clip.rate),
        "steps": steps,
        "notices": list(notices[:_MOST_NOTICES]),
        "complete": True,
    }


_MOST_NOTICES = 100  # a record stays under 64 KiB, as a picture's does


def _networks(recipe: Recipe) -> list[str]:
    names = (str(network.network) for network in recipe.every_network)
    return list(dict.fromkeys(names))
