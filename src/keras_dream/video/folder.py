"""The work folder of a film: its journal, the frames that are done, and states.

A frame is an item of the journal, and its file is a PNG that nothing is lost in. What
the next frame is begun with, the state, is written before the frame gets its name: a
frame that is done has a state, and states of older frames are removed. So a process may
be killed at any time, and the next one goes on after the last frame that is done.
"""

import contextlib
import io
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast

import numpy as np

from keras_dream.errors import InputError, JobsError, SaveError, short_repr
from keras_dream.files import Staged, remove_leftovers, stage
from keras_dream.jobs.journal import (
    LOCK,
    Item,
    Journal,
    NewItem,
    State as ItemState,
    is_journal,
    read_journal,
)
from keras_dream.pictures.deep import encode_png16
from keras_dream.pictures.metadata import encode_notes, metadata_options, read_notes
from keras_dream.pictures.picture import read_picture, to_depth

KIND = "film"
"""What the job of a dreamed video is called in a journal."""

_NOTES = "frame"  # the name of what is known of a frame, among a picture's notes
_OWN = re.compile(r"(?:frame|state)-\d{4}-\d{6}\.(?:png|npz)")
_ATTEMPTS = "attempts"


class Place(NamedTuple):
    """Where a frame belongs.

    Attributes:
        part: The part of the film that is made by itself, such as a scene, from 0.
        number: The frame's number in the film, from 0.
    """

    part: int
    number: int

    @property
    def text(self) -> str:
        """It as a name."""
        return f"{self.part:04}-{self.number:06}"


class State(Protocol):
    """What the next frame of a part is begun with."""

    def save(self, path: Path) -> object:
        """Writes it to a file."""
        ...


@dataclass(frozen=True)
class Made:
    """A frame that is on the disk, but not yet under its name.

    Attributes:
        place: Where it belongs.
        staged: Its bytes.
    """

    place: Place
    staged: Staged


def work_folder(result: Path) -> Path:
    """Returns the hidden folder of a film beside its result: `.sky.mp4.video`."""
    return result.with_name(f".{result.name}.video")


def stage_frame(
    folder: Path,
    place: Place,
    picture: np.ndarray,
    state: State | None = None,
    *,
    notes: Mapping[str, Any] | None = None,
) -> Made:
    """Writes a frame to the disk, after its state, but not yet under its name.

    Args:
        folder: The work folder.
        place: Where the frame belongs.
        picture: uint8 or uint16 (height, width, 3 or 4).
        state: What the next frame is begun with; None for nothing.
        notes: JSON types, kept with the frame.

    Raises:
        SaveError: If the disk refuses.
    """
    if state is not None:
        state.save(folder / f"state-{place.text}.npz")
    data = _encoded(picture, dict(notes or {}))
    return Made(place, stage(folder / f"frame-{place.text}.png", data))


class WorkFolder:
    """The work folder of a film, held by this process.

    Args:
        result: The film's path; its folder must be there.
        key: What decides the film's pixels, each thing by its name.
        places: Of all frames, in the order of work.
        resume: Whether to go on with what is there; False begins anew.
        kind: What the job is.

    Attributes:
        path: The folder.

    Raises:
        JobsError: If another process holds it, or it has another film.
        SaveError: If the disk refuses.
    """

    def __init__(
        self,
        result: str | os.PathLike[str],
        key: Mapping[str, str],
        places: Iterable[Place | int],
        *,
        resume: bool = True,
        kind: str = KIND,
    ):
        self.path = work_folder(Path(result))
        text = json.dumps(dict(key), sort_keys=True)
        _make(self.path)
        if not is_journal(self.path):
            _clear(self.path)  # of a film that was about to be removed
        if resume:
            for job, _ in read_journal(self.path):
                if (job.kind, job.key) != (kind, text):
                    raise _of_another(self.path, key, job.key)
        self._journal = Journal.open(self.path, kind=kind, key=text)
        try:
            self._items = self._opened(map(_place, places), resume=resume)
        except BaseException:
            self._journal.close()
            raise

    def _opened(self, places: Iterable[Place], *, resume: bool) -> dict[Place, Item]:
        remove_leftovers(self.path)
        if not resume:
            _clear(self.path)
        new = {place: _new(place) for place in places}
        self._journal.add(new.values())
        self._journal.reconcile()
        by_key = {item.key: item for item in self._journal.items()}
        items = {place: by_key[item.key] for place, item in new.items()}
        changed = [i for i in items.values() if i.state is ItemState.AMBIGUOUS]
        for item in changed:  # a frame is nobody's but ours: it is made again
            with contextlib.suppress(OSError):
                self._journal.path(item).unlink(missing_ok=True)
        if changed:
            self._journal.reconcile()
            by_key = {item.key: item for item in self._journal.items()}
            items = {place: by_key[item.key] for place, item in new.items()}
        return items

    def close(self) -> None:
        """Lets another process have it."""
        self._journal.close()

    def remove(self) -> None:
        """Removes it: the film is done. A kill on the way leaves no half of it."""
        for name in self.path.glob(".dream-journal.db*"):
            with contextlib.suppress(OSError):
                name.unlink(missing_ok=True)
        self._journal.close()
        _clear(self.path)
        with contextlib.suppress(OSError):
            (self.path / LOCK).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.path.rmdir()

    @property
    def done(self) -> frozenset[Place]:
        """The frames that are done."""
        done = ItemState.DONE
        return frozenset(p for p, item in self._items.items() if item.state is done)

    def is_done(self, place: Place | int) -> bool:
        """Tells whether a frame is done."""
        return self._items[_place(place)].state is ItemState.DONE

    def save(
        self,
        place: Place | int,
        picture: np.ndarray,
        state: State | None = None,
        *,
        notes: Mapping[str, Any] | None = None,
    ) -> None:
        """Writes a frame and what the next one is begun with; arguments as above.

        Raises:
            SaveError: If the disk refuses; what is done is kept.
        """
        own = _place(place)
        self.commit(stage_frame(self.path, own, picture, state, notes=notes))

    def commit(self, made: Made) -> None:
        """Gives a frame its name, so that it is done, and removes older states."""
        item = self._journal.save(self._items[made.place], made.staged)
        if item.state is not ItemState.DONE:
            raise SaveError(
                "A frame of a film must have its place in the work folder",
                received=item.error,
                hint="move that file away",
            )
        self._items[made.place] = item
        older = Place(made.place.part, made.place.number - 1)
        for path in (self._state_path(older), self._state_path(_later(older))):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def begin(self, place: Place | int) -> int:
        """Notes that a frame is begun; returns which attempt it is, from 1."""
        own = _place(place)
        self._items[own] = self._journal.start(self._items[own])
        return self._items[own].attempts

    def note(self, place: Place | int, step: int, steps: int) -> None:
        """Notes in the journal, at most once a second, where a begun frame is."""
        self._journal.step(self._items[_place(place)], step, steps)

    def pause(self) -> None:
        """Notes that frames that are begun wait again."""
        for place, item in self._items.items():
            if item.state is ItemState.RUNNING:
                self._items[place] = self._journal.pause(item, item.step, item.steps)

    def state(self, place: Place | int) -> Path | None:
        """Returns the file of a frame's state, None if there is none."""
        path = self._state_path(_place(place))
        return path if path.is_file() else None

    def forget(self, places: Iterable[Place]) -> None:
        """Lets frames be made again."""
        chosen = list(places)
        again = self._journal.reset(self._items[place] for place in chosen)
        self._items.update(zip(chosen, again, strict=True))

    def picture(self, place: Place | int) -> np.ndarray:
        """Returns a frame that is done, as it was saved.

        Raises:
            InputError: If it is damaged.
        """
        return read_frame(self._path(_place(place)))

    def notes(self, place: Place | int) -> dict[str, Any]:
        """Returns what was noted of a frame that is done.

        Raises:
            InputError: If it is damaged.
        """
        path = self._path(_place(place))
        try:
            notes = json.loads((read_notes(path) or {})[_NOTES])
        except (LookupError, ValueError):
            raise _damaged(path) from None
        if not isinstance(notes, dict):
            raise _damaged(path)
        return cast("dict[str, Any]", notes)

    @property
    def bytes(self) -> int:
        """How many its files take."""
        sizes = [0]
        for path in self.path.iterdir():
            with contextlib.suppress(OSError):
                sizes.append(path.stat().st_size)
        return sum(sizes)

    def _path(self, place: Place) -> Path:
        return self._journal.path(self._items[place])

    def _state_path(self, place: Place) -> Path:
        return self.path / f"state-{place.text}.npz"
