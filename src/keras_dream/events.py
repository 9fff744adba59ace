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
class OctavePlan:
    """How an octave's gradient is computed.

    Attributes:
        octave: Its number among the recipe's octaves, from 1, small to large.
        size: (height, width) in pixels.
        schemes: The scheme of each of its networks, as text.
        bytes: The most that a step is predicted to take, above what the process holds
            before the dream.
        seconds: The predicted time of all of its steps.
    """

    octave: int
    size: tuple[int, int]
    schemes: tuple[str, ...]
    bytes: int
    seconds: float


@dataclass(frozen=True)
class GradientPlan(Event, kind="plan"):
    """How a dream's gradients are computed, before its first step.

    Attributes:
        octaves: The octaves that will run, small to large.
        bytes: The most memory that the process is predicted to hold.
        seconds: The predicted time of the dream.
        halo_error: How wrong the gradient of a tile is because its halo is bounded,
            measured on the largest such octave, relative; None for exact halos.
    """

    octaves: tuple[OctavePlan, ...]
    bytes: int
    seconds: float
    halo_error: float | None = None

    @property
    def tiled(self) -> tuple[OctavePlan, ...]:
        """The octaves that are not computed whole."""
        return tuple(o for o in self.octaves if {*o.schemes} != {"whole"})


@dataclass(frozen=True)
class TileDone(Event, kind="tile"):
    """A tile of one step of a picture larger than memory is done.

    Attributes:
        octave: The octave's number, from 1.
        octaves: How many octaves the recipe has.
        iteration: The step's number in its octave, from 1.
        iterations: How many steps an octave may have.
        tile: The tile's number in the step, from 1.
        tiles: How many it has.
        share: The share of the whole dream's predicted work that is done, from 0 to 1.
    """

    octave: int
    octaves: int
    iteration: int
    iterations: int
    tile: int
    tiles: int
    share: float


@dataclass(frozen=True)
class FileProgress(Event, kind="file"):
    """A part of a file of a picture larger than memory is read or written.

    Attributes:
        path: The photo, or the result.
        writing: Whether it is written.
        share: How much of it is done, from 0 to 1.
    """

    path: str
    writing: bool
    share: float


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
        seconds: The predicted time.
        folder: Where the cells are kept.
        path: Where the sheet will be.
    """

    cells: int
    ready: int
    missing: int
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
class BatchPlanned(Event, kind="batch_planned"):
    """What a batch has to do, before its first dream.

    Attributes:
        items: How many pictures it makes in all, those that cannot be planned included.
        ready: How many of them are on the disk already.
        failed: How many failed in an earlier run, and are not tried again.
        refused: How many cannot be planned, such as a broken line of a manifest.
        waiting: How many are still to be dreamed.
        seconds: The predicted time of those, or None where it is not known.
        workers: How many processes dream.
        folder: The folder of the results.
    """

    items: int
    ready: int
    failed: int
    refused: int
    waiting: int
    seconds: float | None
    workers: int
    folder: str


@dataclass(frozen=True)
class ItemPlanned(Event, kind="item_planned"):
    """A picture that a batch would make, where nothing is dreamed.

    Attributes:
        number: The item's number in the batch, from 1.
        photo: The photo's path, or a source without one.
        path: Where the result would be.
        exists: Whether there is such a file already.
        size: (height, width) of the photo in pixels, or None where it cannot be read.
        recipe_sha256: The hash of its recipe.
        seconds: The predicted time, or None where it is not known.
    """

    number: int
    photo: str
    path: str
    exists: bool
    size: tuple[int, int] | None
    recipe_sha256: str
    seconds: float | None


@dataclass(frozen=True)
class ItemStarted(Event, kind="item_started"):
    """A picture of a batch is about to be dreamed.

    Attributes:
        number: The item's number in the batch, from 1.
        photo: The photo's path, or a source without one.
        path: Where the result will be.
        attempt: Which attempt it is, from 1.
        worker: The number of the process that dreams it, from 1.
    """

    number: int
    photo: str
    path: str
    attempt: int
    worker: int


@dataclass(frozen=True)
class ItemProgress(Event, kind="item_progress"):
    """A step of a batch's picture was made.

    Attributes:
        number: The item's number, from 1.
        step: How many of its steps are made.
        steps: How many it has.
        share: The share of its predicted time that has passed, from 0 to 1.
    """

    number: int
    step: int
    steps: int
    share: float


@dataclass(frozen=True)
class ItemDone(Event, kind="item"):
    """A picture of a batch is on the disk.

    Attributes:
        number: The item's number, from 1.
        photo: The photo's path, or a source without one.
        path: The result.
        reused: Whether it was made by an earlier run.
        seconds: How long it took; 0 if it is reused.
        notices: What the user should know about it, as sentences.
    """

    number: int
    photo: str
    path: str
    reused: bool
    seconds: float
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class ItemFailed(Event, kind="item_failed"):
    """A picture of a batch could not be made; the others go on.

    Attributes:
        number: The item's number, from 1; 0 for what could not be planned.
        photo: The photo's path, a source, or the place in a manifest.
        path: Where the result would have been; "" where that is not known.
        sentence: What was wrong and what to try.
        exit_code: The exit code of that error alone: 2 for wrong input, else 1.
        attempts: How many attempts there were, or 0.
        final: False if it is tried again in this run.
    """

    number: int
    photo: str
    path: str
    sentence: str
    exit_code: int
    attempts: int = 1
    final: bool = True


@dataclass(frozen=True)
class ItemSkipped(Event, kind="item_skipped"):
    """A picture of a batch is left as it is, such as a file that another run made.

    Attributes:
        number: The item's number, from 1.
        photo: The photo's path, or a source without one.
        path: The file that is there.
        reason: Why, as a sentence.
    """

    number: int
    photo: str
    path: str
    reason: str


@dataclass(frozen=True)
class BatchFinished(Event, kind="batch"):
    """A batch has come to its end, or was stopped: its summary.

    Attributes:
        items: How many pictures it has in all.
        done: How many were dreamed by this run.
        reused: How many an earlier run had made.
        skipped: Those that were left as they are.
        failed: Those that failed in the end, each once.
        waiting: How many were not reached, if it was stopped.
        seconds: How long this run took.
        folder: The folder of the results.
        sheets: The pages of the contact sheet, if one was drawn.
    """

    items: int
    done: int
    reused: int
    skipped: tuple[ItemSkipped, ...]
    failed: tuple[ItemFailed, ...]
    waiting: int
    seconds: float
    folder: str
    sheets: tuple[str, ...] = ()


@dataclass(frozen=True)
class FilmProgress(Event, kind="film_progress"):
    """A part of a video is read before the run, or written after it.

    Attributes:
        phase: "survey", where the source is looked through; "smooth", the second pass;
            "write", where the film is encoded; or "measure", where `dream flicker`
            measures one.
        share: How much of it is done, from 0 to 1.
    """

    phase: str
    share: float


@dataclass(frozen=True)
class FilmPlanned(Event, kind="film_planned"):
    """What a film costs, before its first frame is dreamed.

    Attributes:
        frames: How many frames are dreamed for it: some of a loop are dreamed twice.
        ready: How many of them an earlier run has dreamed.
        scenes: How many scenes.
        blocks: Into how many blocks they are divided, which are dreamed by themselves.
        size: (height, width) of the film in pixels.
        duration: How long the film is, in seconds.
        seconds: The predicted time of the frames that are to be dreamed.
        bytes: The disk space that the work folder is predicted to take.
        workers: How many processes dream.
        folder: The work folder.
        path: Where the film will be.
    """

    frames: int
    ready: int
    scenes: int
    blocks: int
    size: tuple[int, int]
    duration: float
    seconds: float
    bytes: int
    workers: int
    folder: str
    path: str


@dataclass(frozen=True)
class FrameProgress(Event, kind="frame_progress"):
    """A step of a frame was made.

    Attributes:
        number: The frame's number in the film, from 1.
        step: How many of its steps are made.
        steps: How many it may have.
        share: The share of the film's frames that is dreamed, from 0 to 1.
        worker: The number of the process that dreams it, from 1.
    """

    number: int
    step: int
    steps: int
    share: float
    worker: int = 1


@dataclass(frozen=True)
class FrameDone(Event, kind="frame"):
    """A frame of a film is dreamed and on the disk.

    Attributes:
        number: Its number in the film, from 1.
        frames: How many frames are dreamed for the film.
        steps: How many steps were made.
        released: The share of its pixels that took nothing over from the frame before
            it: 1 for the first frame of a scene; None in a film of a picture, which has
            no flow.
        seconds: How long it took.
        share: The share of the film's frames that is dreamed, from 0 to 1.
        path: Its file in the work folder, a PNG.
        worker: The number of the process that dreamed it, from 1.
        scene: The number of its scene, from 1.
    """

    number: int
    frames: int
    steps: int
    released: float | None
    seconds: float
    share: float
    path: str
    worker: int = 1
    scene: int = 1


@dataclass(frozen=True)
class FilmFinished(Event, kind="film"):
    """A film is on the disk, or was stopped: its summary.

    Attributes:
        path: The film.
        frames: How many frames it has.
        done: How many were dreamed by this run.
        reused: How many an earlier run had dreamed.
        complete: Whether the film is on the disk.
        seconds: How long this run took.
        flicker: Its warping error; None where no frame is compared, or before its end.
        source_flicker: The source's own.
    """

    path: str
    frames: int
    done: int
    reused: int
    complete: bool
    seconds: float
    flicker: float | None
    source_flicker: float | None


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
