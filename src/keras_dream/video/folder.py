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
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast

import numpy as np
from PIL import Image

from keras_dream.errors import InputError, JobsError, SaveError, short_repr
from keras_dream.files import Staged, remove_leftovers, save_error, stage
from keras_dream.jobs.journal import (
    Item,
    Journal,
    NewItem,
    State as ItemState,
    is_journal,
    read_journal,
    remove_journal,
)
from keras_dream.pictures.deep import encode_png16
from keras_dream.pictures.limits import Limits
from keras_dream.pictures.metadata import encode_notes, metadata_options, read_notes
from keras_dream.pictures.picture import read_size

KIND = "film"
"""What the job of a dreamed video is called in a journal."""

_NOTES = "frame"  # the name of what is known of a frame, among a picture's notes
_OWN = re.compile(r"(?:frame|state)-\d{4}-\d{6}\.(?:png|npz)")
_LEVEL = 1  # of zlib: the files are read once, and removed


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


def frame_name(place: Place) -> str:
    """Returns the name of a frame's file."""
    return f"frame-{place.text}.png"


def state_name(place: Place) -> str:
    """Returns the name of the file of a frame's state."""
    return f"state-{place.text}.npz"


def work_folder(result: Path) -> Path:
    """Returns the hidden folder of a film beside its result: `.sky.mp4.video`."""
    return result.with_name(f".{result.name}.video")


def stage_frame(
    folder: Path,
    place: Place,
    picture: np.ndarray,
    *,
    state: State | None = None,
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
        path = folder / state_name(place)
        try:
            state.save(path)
        except OSError as failure:
            raise save_error(path, picture.nbytes, failure) from failure
    data = _encoded(picture, dict(notes or {}))
    return Made(place, stage(folder / frame_name(place), data))


class WorkFolder:
    """The work folder of a film, held by this process.

    Args:
        result: The film's path; its folder must be there.
        key: What decides the film's pixels, each thing by its name.
        places: Of all frames, in the order of work.
        resume: Whether to go on with what is there; False begins anew.
        kind: What the job is.
        settings: JSON types, which are recorded where the film is new.
        keep_states: Whether states of older frames are kept, for a second pass.

    Attributes:
        path: The folder.
        settings: As they were recorded.

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
        settings: Mapping[str, Any] | None = None,
        keep_states: bool = False,
    ):
        self.path = work_folder(Path(result))
        self._keeps_states = keep_states
        text = json.dumps(dict(key), sort_keys=True)
        _make(self.path)
        if not resume:
            remove_journal(self.path)
        if not is_journal(self.path):
            _clear(self.path)  # also of a film that was about to be removed
        for job, _ in read_journal(self.path):
            if (job.kind, job.key) != (kind, text):
                raise _of_another(self.path, key, job.key)
        self._journal = Journal.open(self.path, kind=kind, key=text, settings=settings)
        self.settings = self._journal.job.settings
        try:
            self._items = self._opened(map(_place, places))
            done, items = ItemState.DONE, self._items.items()
            self._finished = {place for place, item in items if item.state is done}
        except BaseException:
            self._journal.close()
            raise

    def _opened(self, places: Iterable[Place]) -> dict[Place, Item]:
        self._journal.add(map(_new, places))
        self._journal.reconcile()
        # A frame is nobody's but ours: one that was changed is made again.
        for item in self._journal.items(ItemState.AMBIGUOUS):
            with contextlib.suppress(OSError):
                self._journal.path(item).unlink(missing_ok=True)
        self._journal.reconcile()
        return {_read_place(item.key): item for item in self._journal.items()}

    def close(self) -> None:
        """Lets another process have it."""
        self._journal.close()

    def remove(self) -> None:
        """Removes it: the film is done. A kill on the way leaves no half of it."""
        self._journal.close()
        remove_journal(self.path)
        _clear(self.path)
        with contextlib.suppress(OSError):
            self.path.rmdir()

    @property
    def done(self) -> frozenset[Place]:
        """The frames that are done."""
        return frozenset(self._finished)

    @property
    def count(self) -> int:
        """How many frames are done."""
        return len(self._finished)

    def is_done(self, place: Place | int) -> bool:
        """Tells whether a frame is done."""
        return _place(place) in self._finished

    def save(
        self,
        place: Place | int,
        picture: np.ndarray,
        *,
        state: State | None = None,
        notes: Mapping[str, Any] | None = None,
    ) -> None:
        """Writes a frame and what the next one is begun with; arguments as above.

        Raises:
            SaveError: If the disk refuses; what is done is kept.
        """
        own = _place(place)
        self.commit(stage_frame(self.path, own, picture, state=state, notes=notes))

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
        self._finished.add(made.place)
        if self._keeps_states:
            return
        # Not those of later frames, which may be written already.
        part, number = made.place
        with contextlib.suppress(OSError):
            self.state_path(Place(part, number - 1)).unlink(missing_ok=True)

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

    def state_path(self, place: Place | int) -> Path:
        """Returns where the state of a frame is, if it is kept."""
        return self.path / state_name(_place(place))

    def forget(self, places: Iterable[Place]) -> None:
        """Lets frames be made again."""
        chosen = list(places)
        again = self._journal.reset(self._items[place] for place in chosen)
        self._items.update(zip(chosen, again, strict=True))
        self._finished.difference_update(chosen)

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
            notes = json.loads((read_notes(path, limits=Limits()) or {})[_NOTES])
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


def read_frame(path: Path) -> np.ndarray:
    """Returns a frame's file as it was saved: uint8 or uint16, of 3 or 4 channels.

    Raises:
        InputError: If it is damaged.
    """
    import cv2

    size = read_size(path, limits=Limits())
    data = np.frombuffer(path.read_bytes(), np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if (
        image is None
        or image.dtype not in (np.uint8, np.uint16)
        or image.shape not in ((*size, 3), (*size, 4))
    ):
        raise _damaged(path)
    order = cv2.COLOR_BGR2RGB if image.shape[2] == 3 else cv2.COLOR_BGRA2RGBA
    return np.asarray(cv2.cvtColor(image, order))


def _encoded(picture: np.ndarray, notes: dict[str, Any]) -> bytes:
    """Returns a frame's file."""
    text = encode_notes({_NOTES: json.dumps(notes)})
    metadata = metadata_options(".png", text)
    if picture.dtype == np.uint16:
        return encode_png16(picture, metadata)
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", compress_level=_LEVEL, **metadata)
    return file.getvalue()


def _place(place: Place | int) -> Place:
    return place if isinstance(place, Place) else Place(0, place)


def _read_place(key: str) -> Place:
    part, _, number = key.partition("-")
    return Place(int(part), int(number))


def _new(place: Place) -> NewItem:
    return NewItem(
        key=place.text,
        name=f"frame {place.number + 1:,}",
        output=frame_name(place),
    )


def _make(folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as failure:
        raise SaveError(
            "The folder of a film must take the work folder of its frames",
            received=f"{(failure.strerror or 'an error').lower()!r} for "
            f"{short_repr(str(folder))}",
            hint="try another folder for the film",
        ) from failure


def _clear(folder: Path) -> None:
    """Removes frames and states; what has other names is kept."""
    remove_leftovers(folder)
    for path in folder.iterdir():
        if _OWN.fullmatch(path.name):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def _of_another(path: Path, key: Mapping[str, str], text: str) -> JobsError:
    """Returns the error for a folder of another film."""
    try:
        other = json.loads(text)
        names = [name for name, value in key.items() if other.get(name) != value]
    except (ValueError, AttributeError):
        names = []
    return JobsError(
        "An unfinished film must be gone on with as it was begun",
        received=f"{short_repr(str(path))}, begun with another "
        f"{' and '.join(names) or 'kind of film'}",
        hint="use the same source and settings, another name, or begin anew (--fresh, "
        "resume=False)",
    )


def _damaged(path: Path) -> InputError:
    return InputError(
        "A frame in a work folder must be whole, as the run wrote it",
        received=short_repr(str(path)),
        hint="remove it: it is made again",
    )
