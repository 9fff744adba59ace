"""The run of a film: surveyed, dreamed frame by frame, and written at its end.

Every frame that is done is on the disk, in a hidden work folder beside the film, so
that a run goes on from wherever it was stopped or killed, and ends with the same film.
"""

import contextlib
import logging
import math
import os
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np

from keras_dream.dreamer.dreamer import Dreamer
from keras_dream.engine.finish import result_size
from keras_dream.engine.result import Record
from keras_dream.errors import DreamError, InputError
from keras_dream.events import (
    Event,
    FilmFinished,
    FilmPlanned,
    FilmProgress,
    FrameDone,
    FrameProgress,
    Loading,
    Notice,
    Saved,
)
from keras_dream.files import check_room
from keras_dream.geometry import fitted
from keras_dream.pictures.picture import Picture
from keras_dream.recipe.recipe import Recipe, canonical_json
from keras_dream.recipe.video import VideoSettings
from keras_dream.video.ahead import reported
from keras_dream.video.blocks import Block, blocks_of, mixed, shares_of
from keras_dream.video.carry import Carried
from keras_dream.video.companions import Companions
from keras_dream.video.dreaming import BlockDreamer, Film, FrameMade, FrameStep, Report
from keras_dream.video.flicker import Flicker
from keras_dream.video.folder import Place, WorkFolder
from keras_dream.video.frames import Clip
from keras_dream.video.record import FilmRecord, recorded_film
from keras_dream.video.setup import Setup
from keras_dream.video.sink import DEFAULT, Encoding, check_film, is_deep, write_film

_log = logging.getLogger(__name__)

_PACKED = 0.75
"""Bytes of a frame's file, and of its pixels: dreams are noisy."""

_UNKEYED = {"threads", "offline", "memory", "depth"}


class VideoRun(Iterator[Event]):
    """A film that is being dreamed: an iterator of its events.

    Stopping is `break` and `close`, or the end of a `with` block, or Ctrl-C; the same
    film goes on from there, even after its process was killed. It ends with the bytes
    of an undisturbed run.

    Args:
        setup: What the film is made from and by.
        out: The film.
        encoding: How it is saved.
        sound: A file whose sound the film has, in place of the source's own.
        workers: How many processes dream; None for as many as the machine has room for.
            It does not change the pixels.
        resume: Whether frames of an earlier run are kept; False dreams them again.
        notes: Whether recipe and record are saved in the film.
        dreamer: What dreams, in place of the setup's own.

    Attributes:
        out: As above.
        folder: The work folder.
        planned: What there is to do; None before its event.

    Raises:
        InputError: If the source cannot be read.
        OutputError: If the film cannot be written so.
    """

    def __init__(
        self,
        setup: Setup,
        out: str | os.PathLike[str],
        *,
        encoding: Encoding = DEFAULT,
        sound: str | os.PathLike[str] | None = None,
        workers: int | None = None,
        resume: bool = True,
        notes: bool = True,
        dreamer: Dreamer | None = None,
    ):
        self.out = Path(out)
        self.planned: FilmPlanned | None = None
        self._setup = setup
        self._encoding = encoding
        self._sound = sound
        self._workers = workers
        self._wants_resume, self._wants_notes = resume, notes
        self._dreamer = dreamer
        check_film(self.out, encoding)
        self._source = setup.open()
        self._began = time.monotonic()
        self._work: _Work | None = None
        self._done = 0
        self._flicker = Flicker(())
        self._is_saved = False
        self._events = self._run()

    def __next__(self) -> Event:
        return next(self._events)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the run: what is dreamed is kept."""
        self._events.close()
        self._end()

    def discard(self) -> None:
        """Ends the run and removes the work folder, with all that is dreamed."""
        self.close()
        if self._work is not None:
            self._work.folder.remove()

    @property
    def summary(self) -> FilmFinished:
        """What has been done so far."""
        work = self._work
        return FilmFinished(
            path=str(self.out),
            frames=0 if self.planned is None else self.planned.frames,
            done=self._done,
            reused=0 if self.planned is None or work is None else work.reused,
            complete=self._is_saved,
            seconds=time.monotonic() - self._began,
            flicker=self._flicker.film,
            source_flicker=self._flicker.source,
        )

    def finish(self) -> FilmFinished:
        """Dreams all that is left, writes the film and returns the summary.

        Raises:
            DreamError: What ends the run; what is done is kept.
        """
        for _ in self:
            pass
        return self.summary

    def _run(self) -> Generator[Event, None, None]:
        try:
            settings = self._setup.recipe.video or VideoSettings()
            clip = yield from self._surveyed(settings)
            if self._dreamer is None:
                yield Loading(" + ".join(_networks(self._setup.recipe)))
                self._dreamer = self._setup.dreamer()
            work = self._work = self._prepared(clip, settings, self._dreamer)
            self.planned = self._plan(work, self._dreamer)
            yield self.planned
            yield from map(Notice, work.notices)
            check_room(work.folder.path, self.planned.bytes)
            yield from self._dreamed(work, self._dreamer)
            yield from self._written(work)
            work.folder.remove()
            self._is_saved = True
            yield Saved(str(self.out), complete=True)
            summary = self.summary
        finally:
            self._end()
        yield summary

    # What there is to do

    def _surveyed(self, settings: VideoSettings) -> Generator[Event, None, Clip]:
        survey = partial(self._source.survey, cuts=settings.cuts == "auto")
        shares = reported(lambda note: survey(progress=note))
        return (yield from as_events(shares, "survey"))

    def _prepared(
        self, clip: Clip, settings: VideoSettings, dreamer: Dreamer
    ) -> "_Work":
        """Checks all that can be checked before the first frame."""
        recipe = dreamer.complete(self._setup.recipe).but(video=settings)
        _, notices = dreamer.octaves(fitted(clip.size, recipe.size), recipe)
        companions = Companions(recipe, clip, dreamer.files)
        film_clip = replace(
            clip,
            size=result_size(clip.size, recipe),
            has_alpha=clip.has_alpha or recipe.transparency,
        )
        told = check_film(self.out, self._encoding, film_clip, sound=self._source)
        record = dreamer.record(Picture(np.zeros((1, 1, 3), np.float32)), recipe)
        blocks = blocks_of(clip.cuts, len(clip.stamps), settings)
        bits = 16 if is_deep(self.out, self._encoding) else 8
        folder = WorkFolder(
            self.out,
            self._key(clip, recipe, record, bits),
            (place for block in blocks for place in block.places),
            resume=self._wants_resume,
        )
        film = Film(folder.path, clip, recipe, bits, film_clip.has_alpha)
        told = tuple(
            dict.fromkeys((*clip.notices, *companions.notices, *told, *notices))
        )
        reused = len(folder.done)
        return _Work(film, film_clip, folder, blocks, record, told, companions, reused)

    def _key(
        self, clip: Clip, recipe: Recipe, record: Record, bits: int
    ) -> dict[str, str]:
        """Returns what decides the frames, each thing by its name."""
        run = self._setup.run.model_dump(mode="json", exclude=_UNKEYED)
        weights = {record.network: record.weights_sha256, **record.also}
        return {
            "source": clip.sha256,
            "selection": canonical_json(self._setup.selection.data()),
            "cuts": canonical_json(list(clip.cuts)),
            "recipe": recipe.sha256,
            "network": canonical_json(weights),
            "run settings": canonical_json({**run, "backend": record.run["backend"]}),
            "depth": str(bits),
        }

    def _plan(self, work: "_Work", dreamer: Dreamer) -> FilmPlanned:
        film, done = work.film, work.folder.done
        size = fitted(film.clip.size, film.recipe.size)
        waiting = [p for block in work.blocks for p in block.places if p not in done]
        firsts = {Place(block.part, block.first) for block in work.blocks}
        first = sum(place in firsts for place in waiting)
        carry = film.settings.carry
        seconds = first * dreamer.seconds(size, film.recipe_of(0))
        seconds += (len(waiting) - first) * dreamer.seconds(
            size, film.recipe_of(0, released=0.0 if carry else 1.0)
        )
        channels = 4 if film.has_alpha else 3
        pixels = math.prod(work.film_clip.size) * channels * film.bits // 8
        return FilmPlanned(
            frames=len(film.clip.stamps),
            ready=len(done),
            scenes=len(film.clip.cuts),
            blocks=len(work.blocks),
            size=work.film_clip.size,
            duration=float(film.clip.seconds),
            seconds=seconds,
            bytes=int(_PACKED * pixels * len(waiting)),
            workers=1,
            folder=str(work.folder.path),
            path=str(self.out),
        )

    # What happens

    def _dreamed(self, work: "_Work", dreamer: Dreamer) -> Iterator[Event]:
        team = work.team = BlockDreamer(
            work.film, self._source, dreamer, companions=work.companions
        )
        for block in work.blocks:
            after = yield from self._resumed(work, block)
            if after is not None and after == block.last - 1:
                continue
            for report in team.dream(block, after):
                yield self._heard(work, report)

    def _resumed(
        self, work: "_Work", block: Block
    ) -> Generator[Event, None, int | None]:
        """Returns the last of a block's frames that is done; those before it are."""
        folder = work.folder
        done = 0
        while done < len(block.places) and folder.is_done(block.places[done]):
            done += 1
        if done == len(block.places):
            return block.last - 1
        if done:
            try:
                Carried.load(folder.state_path(block.places[done - 1]))
            except InputError:
                yield Notice(
                    f"What frame {block.first + done:,} was to hand on is lost: its "
                    "scene is dreamed again."
                )
                done = 0
        folder.forget(place for place in block.places[done:] if folder.is_done(place))
        return block.first + done - 1 if done else None

    def _heard(self, work: "_Work", report: Report) -> Event:
        """Notes a report in the journal and returns its event."""
        folder = work.folder
        match report:
            case FrameStep(place, step, steps):
                if work.current != place:
                    work.current = place
                    folder.begin(place)
                folder.note(place, step, steps)
                share = len(folder.done) / work.count
                return FrameProgress(place.number + 1, step, steps, share=share)
            case FrameMade(made, steps, released, seconds):
                folder.commit(made)
                self._done += 1
                return FrameDone(
                    number=made.place.number + 1,
                    frames=len(work.film.clip.stamps),
                    steps=steps,
                    released=released,
                    seconds=seconds,
                    share=len(folder.done) / work.count,
                    path=str(made.staged.path),
                )

    def _written(self, work: "_Work") -> Iterator[Event]:
        """Writes the film from its frames, with the notes of what has happened."""
        folder, clip = work.folder, work.film_clip
        shares = shares_of(work.blocks, len(clip.stamps))
        steps, self._flicker, notices = recorded_film(
            [(folder.notes(place), share) for place, share in frame] for frame in shares
        )
        record = FilmRecord(
            dreamer=work.record,
            clip=work.film.clip,
            selection=self._setup.selection.data(),
            film={"blocks": len(work.blocks)},
            steps=steps,
            flicker=self._flicker,
            notices=tuple(dict.fromkeys((*work.notices, *notices))),
        )
        notes = {
            "recipe": work.film.recipe.json_text(),
            "record": canonical_json(record.data()),
        }

        def write(note: Any) -> Path:
            return write_film(
                self.out,
                clip,
                (mixed([(folder.picture(p), s) for p, s in frame]) for frame in shares),
                encoding=self._encoding,
                notes=notes if self._wants_notes else None,
                sound=(self._sound or self._source) if self._encoding.sound else None,
                progress=note,
            )

        yield from as_events(reported(write), "write")

    def _end(self) -> None:
        """Saves what is dreamed, ends the threads, and gives up the folder."""
        work, self._work_ended = self._work, True
        if work is None or work.is_over:
            return
        work.is_over = True
        try:
            if work.team is not None:
                with contextlib.suppress(DreamError):
                    for report in work.team.finish():
                        self._heard(work, report)
                work.team.close()
            if not self._is_saved:
                with contextlib.suppress(DreamError):
                    work.folder.pause()
        finally:
            work.folder.close()


@dataclass
class _Work:
    """What is known of a film when its work begins.

    Attributes:
        film: What its frames have in common.
        film_clip: Its frames, as the film will have them.
        folder: The work folder, held.
        blocks: What is dreamed by itself.
        record: That of a dream before its first step.
        notices: What a person should know before.
        companions: The films that the recipe names.
        reused: How many frames an earlier run has dreamed.
        team: What dreams.
        current: The frame that is begun.
        is_over: Whether the folder was given up.
    """

    film: Film
    film_clip: Clip
    folder: WorkFolder
    blocks: tuple[Block, ...]
    record: Record
    notices: tuple[str, ...]
    companions: Companions
    reused: int
    team: BlockDreamer | None = None
    current: Place | None = None
    is_over: bool = False

    @property
    def count(self) -> int:
        """How many frames are dreamed, those of two blocks twice."""
        return sum(len(block.places) for block in self.blocks)


def as_events(
    shares: Generator[float, None, Any], phase: str
) -> Generator[Event, None, Any]:
    """Yields shares as events, and returns the result of the work.

    Args:
        shares: Yields how much is done, and returns the result.
        phase: As of `FilmProgress`.
    """
    try:
        while True:
            try:
                share = next(shares)
            except StopIteration as end:
                return end.value
            yield FilmProgress(phase, share)
    finally:
        shares.close()


def _networks(recipe: Recipe) -> list[str]:
    names = (str(network.network) for network in recipe.every_network)
    return list(dict.fromkeys(names))
