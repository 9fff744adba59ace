"""What happens while a dream, a download or a sheet is made, as frozen values.

Every event is one frozen dataclass; a reporter (bar, lines, JSON) shows any of them.
"""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, ClassVar, cast


class Event:
    """Base of every event; subclasses are frozen dataclasses of plain values.

    Fields whose names begin with an underscore are private and not part of the JSON.

    Attributes:
        kind: The event's name in JSON; the class' own name in small letters, unless
            the class says `class Name(Event, kind="name")`.
    """

    kind: ClassVar[str]

    def __init_subclass__(cls, *, kind: str | None = None, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.kind = kind or cls.__name__.lower()

    def data(self) -> dict[str, Any]:
        """Returns the event as JSON types: `event`, its kind, and its public fields.

        Numbers that are infinite or not a number become None.
        """
        return {"event": self.kind, **_json(self)}


@dataclass(frozen=True)
class Loading(Event):
    """A network is being loaded.

    Attributes:
        network: Its name; several names have " + " between them.
    """

    network: str


@dataclass(frozen=True)
class Fetching(Event):
    """A network's weights are being downloaded, and nothing else is done.

    Attributes:
        network: Its name.
    """

    network: str


@dataclass(frozen=True)
class Download(Event):
    """A part of a weights file has arrived.

    Attributes:
        bytes: How many bytes of the file are here.
        total: How many it has, or None where the server does not say.
    """

    bytes: int
    total: int | None


@dataclass(frozen=True)
class Fetched(Event):
    """A network's weights are on this machine.

    Attributes:
        network: The network's name.
        path: The weights file.
        sha256: Its hash.
    """

    network: str
    path: str
    sha256: str


@dataclass(frozen=True)
class OctaveSize:
    """One octave of a dream.

    Attributes:
        octave: Its number among the recipe's octaves, from 1, small to large.
        size: (height, width) in pixels.
        steps: The most steps in it.
    """

    octave: int
    size: tuple[int, int]
    steps: int


@dataclass(frozen=True)
class Started(Event):
    """A dream is about to make its first step.

    Attributes:
        photo: The photo's path.
        path: Where the result will be.
        network: The network's name; several names have " + " between them.
        size: (height, width) of the photo in pixels.
        octaves: The octaves that will run, small to large.
    """

    photo: str
    path: str
    network: str
    size: tuple[int, int]
    octaves: tuple[OctaveSize, ...]


@dataclass(frozen=True)
class NextPhoto(Event, kind="photo"):
    """The next of several photos is about to be dreamed.

    Attributes:
        number: Its number, from 1.
        photos: How many there are.
        photo: Its path.
    """

    number: int
    photos: int
    photo: str


@dataclass(frozen=True)
class Notice(Event):
    """Something that the user should know, and that hinders nothing.

    Attributes:
        text: One sentence.
    """

    text: str


@dataclass(frozen=True)
class Planned(Event):
    """What a sheet costs, before its first cell.

    Attributes:
        cells: How many cells it has.
        ready: How many of them are on the disk already.
        missing: How many dreams must be made; cells may share one.
        work: What must be done, in pixels times steps.
        seconds: The predicted time.
        folder: Where the cells are kept.
        path: Where the sheet will be.
    """

    cells: int
    ready: int
    missing: int
    work: int
    seconds: float
    folder: str
    path: str


@dataclass(frozen=True)
class CellProgress(Event, kind="cell_progress"):
    """A step of a sheet's cell was made.

    Attributes:
        number: The cell's number, from 1.
        name: What the cell shows.
        done: The share of the sheet's predicted time that has passed, from 0 to 1.
    """

    number: int
    name: str
    done: float


@dataclass(frozen=True)
class CellDone(Event, kind="cell"):
    """A cell of a sheet is done.

    Attributes:
        number: The cell's number, from 1.
        objective: Its objective text, or None for the network's own.
        path: Its file, or None where cells are not kept.
        reused: Whether it was on the disk already.
        silent: Whether nothing responded, so that the cell shows its noise unchanged.
        done: The share of the sheet's predicted time that has passed, from 0 to 1.
    """

    number: int
    objective: str | None
    path: str | None
    reused: bool
    silent: bool
    done: float


@dataclass(frozen=True)
class Stopped(Event):
    """The user stopped the run; what can be saved is saved after this."""


@dataclass(frozen=True)
class Saved(Event):
    """A result is on the disk.

    Attributes:
        path: The file.
        complete: False if the run was stopped before its end.
    """

    path: str
    complete: bool


@dataclass(frozen=True)
class Compared(Event):
    """A dream was made again and compared with the saved one.

    Attributes:
        equal: Whether the two are equal.
        expected: Whether they had to be: the same versions, processor, weights and
            run settings.
    """

    equal: bool
    expected: bool


@dataclass(frozen=True)
class Failed(Event, kind="error"):
    """A command failed.

    Attributes:
        sentence: What was wrong and what to try.
        exit_code: The exit code for it.
    """

    sentence: str
    exit_code: int


def _json(value: Any) -> Any:
    """Returns a value as JSON types, dataclasses as objects of their public fields."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, os.PathLike):
        return str(os.fspath(cast("os.PathLike[str]", value)))
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
        return {str(key): _json(item) for key, item in items}
    if isinstance(value, tuple | list):
        return [_json(item) for item in cast("Sequence[Any]", value)]
    if is_dataclass(value):
        names = [f.name for f in fields(value) if not f.name.startswith("_")]
        values = {name: _json(getattr(value, name)) for name in names}
        if isinstance(values.get("size"), list):
            height, width = values["size"]
            values["size"] = {"width": width, "height": height}
        return values
    return value
