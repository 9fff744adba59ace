"""What all runs of films have in common: their order, their work folder and their end.

Every frame that is done is on the disk, in a hidden work folder beside the film, so
that a run goes on from wherever it was stopped or killed, and ends with the same film.
"""

import logging
import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

import numpy as np

from keras_dream.dreamer.dreamer import Dreamer
from keras_dream.engine.result import Record
from keras_dream.errors import JobsError, SaveError
from keras_dream.events import (
    Event,
    FilmFinished,
    FilmPlanned,
    FilmProgress,
    Loading,
    Notice,
    Saved,
)
from keras_dream.files import check_room, remove_leftovers
from keras_dream.recipe.recipe import Recipe, canonical_json
from keras_dream.video.ahead import reported
from keras_dream.video.flicker import Flicker
from keras_dream.video.folder import WorkFolder
from keras_dream.video.frames import Clip
from keras_dream.video.setup import Setup
from keras_dream.video.sink import DEFAULT, Encoding, check_film, is_deep, write_film
from keras_dream.video.source import Source

_log = logging.getLogger(__name__)

PACKED = 0.75
"""Bytes of a frame's file, and of its pixels: dreams are noisy."""

_UNKEYED = {"threads", "offline", "memory", "depth"}
"""Run settings that another part of the run may have."""


@dataclass(kw_only=True)
class BaseWork:
    """What is known of a film when its work begins.

    Attributes:
        folder: The work folder, held.
        record: That of a dream before its first step.
        notices: What a person should know before.
    """

    folder: WorkFolder
    record: Record
    notices: tuple[str, ...]

    def counts(self) -> tuple[int, int]:
        """Returns how many frames this run has made, and how many another."""
        raise NotImplementedError

    def close(self) -> None:
        """Gives up the folder; what is made is kept."""
        self.folder.close()


S = TypeVar("S", bound=Setup)
W = TypeVar("W", bound=BaseWork)


class BaseRun(Iterator[Event], Generic[S, W]):
    """A film that is being made: an iterator of its events.

    Stopping is `break` and `close`, or the end of a `with` block, or Ctrl-C; the same
    film goes on from there, even after its process was killed. It ends with the bytes
    of an undisturbed run.

    Args:
        setup: What the film is made from and by.
        out: The film.
        encoding: How it is saved.
        sound: A file whose sound it has; None for none, or for that of its source.
        resume: Whether frames of an earlier run are kept; False makes them again.
        notes: Whether recipe and record are saved in the film.
        dreamer: What dreams, in place of the setup's own; or what loads that.

    Attributes:
        out: As above.
        planned: What there is to do; None before its event.

    Raises:
        InputError: If what the film is made from cannot be read.
        OutputError: If the film cannot be written so.
    """

    def __init__(
        self,
        setup: S,
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
        self._setup: S = setup
        self._encoding, self._sound = encoding, sound
        self._wants_resume, self._wants_notes = resume, notes
        self._dreamer = dreamer
        check_film(self.out, encoding)
        self._open()
        self._began = time.monotonic()
        self._work: W | None = None
        self._frames = 0
        self._flicker = Flicker(())
        self._is_saved = self._is_over = False
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
        done, reused = (0, 0) if self._work is None else self._work.counts()
        return FilmFinished(
            path=str(self.out),
            frames=self._frames,
            done=done,
            reused=reused,
            complete=self._is_saved,
            seconds=time.monotonic() - self._began,
            flicker=self._flicker.film,
            source_flicker=self._flicker.source,
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

    def _open(self) -> None:
        """Opens what the film is made from."""
        raise NotImplementedError

    def _surveyed(self) -> Iterator[Event]:
        """Does what comes before the networks are loaded."""
        yield from ()

    def _prepared(self, dreamer: Dreamer) -> W:
        """Checks all that can be checked before the first frame."""
        raise NotImplementedError

    def _plan(self, work: W) -> FilmPlanned:
        """Returns what there is to do, and counts the frames."""
        raise NotImplementedError

    def _made(self, work: W) -> Iterator[Event]:
        """Makes all frames that are left."""
        raise NotImplementedError

    def _film(self, work: W) -> tuple[Clip, Recipe, dict[str, Any]]:
        """Returns the film's frames, its recipe and its record, when all are made."""
        raise NotImplementedError

    def _pictures(self, work: W) -> Iterable[np.ndarray]:
        """Returns the film's frames, as `write_film` has them."""
        raise NotImplementedError

    def _stop(self, work: W) -> None:
        """Keeps what is made but not yet in the folder."""

    @property
    def _track(self) -> Source | str | os.PathLike[str] | None:
        """Where the film's sound is."""
        return self._sound

    # What all have in common

    def _run(self) -> Generator[Event, None, None]:
        try:
            yield from self._surveyed()
            remove_leftovers(self.out.absolute().parent)  # of a run that was killed
            work = self._work = self._prepared((yield from self._loaded()))
            self.planned = self._plan(work)
            yield self.planned
            yield from map(Notice, work.notices)
            check_room(work.folder.path, self.planned.bytes)
            yield from self._made(work)
            yield from self._written(work)
            work.folder.remove()
            self._is_saved = True
            yield Saved(str(self.out), complete=True)
            summary = self.summary
        finally:
            self._end()
        yield summary

    def _loaded(self) -> Generator[Event, None, Dreamer]:
        """Returns what dreams."""
        if callable(self._dreamer):
            return self._dreamer(self._setup)
        if self._dreamer is not None:
            return self._dreamer
        names = (str(n.network) for n in self._setup.recipe.every_network)
        yield Loading(" + ".join(dict.fromkeys(names)))
        return self._setup.dreamer()

    @property
    def _bits(self) -> int:
        """Bits of a channel of the frames: 8 or 16."""
        return 16 if is_deep(self.out, self._encoding) else 8

    def _key(self, recipe: Recipe, record: Record) -> dict[str, str]:
        """Returns what decides the frames of every film, each thing by its name."""
        run = self._setup.run.model_dump(mode="json", exclude=_UNKEYED)
        weights = {record.network: record.weights_sha256, **record.also}
        return {
            "version": canonical_json(dict(record.versions)),
            "recipe": recipe.sha256,
            "network": canonical_json(weights),
            "run settings": canonical_json({**run, "backend": record.run["backend"]}),
            "depth": str(self._bits),
        }

    def _written(self, work: W) -> Iterator[Event]:
        """Writes the film from its frames, with the notes of what has happened."""
        clip, recipe, record = self._film(work)
        notes = {"recipe": recipe.json_text(), "record": canonical_json(record)}

        def write(note: Callable[[float], None]) -> Path:
            return write_film(
                self.out,
                clip,
                self._pictures(work),
                encoding=self._encoding,
                notes=notes if self._wants_notes else None,
                sound=self._track,
                progress=note,
            )

        yield from as_events(reported(write), "write")

    def _end(self) -> None:
        """Keeps what is made, and gives up the folder."""
        work = self._work
        if work is None or self._is_over:
            return
        self._is_over = True
        try:
            self._stop(work)
            if not self._is_saved:
                work.folder.pause()
        except (SaveError, JobsError) as failure:  # the disk: what ended the run
            _log.debug("At the end of a film: %s", failure)
        finally:
            work.close()


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
