"""The folder of a dream larger than memory: its journal, and how far it is.

The image of each step is a store whose notes have all else that the next step needs.
Once it has its name, the step is done, and what was before it is removed.
"""

import contextlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import Field, TypeAdapter

from keras_dream.errors import JobsError, short_repr
from keras_dream.files import sync_folder
from keras_dream.geometry import Size
from keras_dream.huge.bands import Bands, Map
from keras_dream.huge.stores import Store, damaged
from keras_dream.jobs.journal import Item, Journal, NewItem, read_journal

KIND = "huge"
"""What the job is called in a journal."""

RESULT = "dream.npy"

_OWN = ("image-", "state-", "base-", "scratch-", "gradient.", "carry.", "source.")
_STEP = re.compile(r"(?:image|state)-(\d{2})-(\d{6})(?:-\d)?\.npy(?:\.part)?")


@dataclass(frozen=True)
class State:
    """How far a dream is.

    Attributes:
        place: The octave's place among those that run, from 0.
        iteration: Steps of it that are made.
        losses: (octave's number, loss) of every step.
        ended: Sentences on octaves that ended early.
        is_changed: Whether a step of the octave has changed the image.
        is_over: Whether the last step was the last of its octave.
        optimizer: The optimizer's state: numbers, None and tuples; in the notes of a
            store, and not yet read, its maps are the numbers of stores in lists of one.
    """

    place: Annotated[int, Field(ge=0)] = 0
    iteration: Annotated[int, Field(ge=0)] = 0
    losses: tuple[tuple[int, float], ...] = ()
    ended: tuple[str, ...] = ()
    is_changed: bool = False
    is_over: bool = False
    optimizer: Any = None

    @property
    def at(self) -> str:
        """The step in the names of its stores."""
        return f"{self.place:02}-{self.iteration:06}"


class Folder:
    """The folder of a dream, held by this process.

    Args:
        path: An existing folder.
        key: What decides the bytes of the result, each thing by its name.
        gradient: The tiles of each octave, as text, for a dream that begins.
        bands: Where maps are computed.

    Attributes:
        path: As above.
        gradient: The tiles that the dream was begun with.

    Raises:
        JobsError: If another process holds it, or it has another dream.
        SaveError: If the disk refuses.
    """

    def __init__(self, path: Path, key: Mapping[str, str], gradient: str, bands: Bands):
        self.path = path
        self._bands = bands
        text = json.dumps(dict(key), sort_keys=True)
        for job, _ in read_journal(path):
            if job.kind == KIND and job.key != text:
                raise _of_another(path, key, job.key)
        self._journal = Journal.open(
            path, kind=KIND, key=text, settings={"gradient": gradient}
        )
        self._item: Item | None = None
        self.gradient = str(self._journal.job.settings.get("gradient", gradient))

    def close(self) -> None:
        """Lets another process have it."""
        self._journal.close()

    def begin(self, name: str) -> None:
        """Notes in the journal that the dream of a photo goes on."""
        (item,) = self._journal.add([NewItem(key="dream", name=name or "a picture")])
        self._item = self._journal.start(item)

    def note(self, tile: int, tiles: int) -> None:
        """Notes in the journal, at most once a second, where the dream is."""
        if self._item is not None:
            self._journal.step(self._item, tile, tiles)

    def end(self) -> None:
        """Notes in the journal that the dream is done, and leaves only its result."""
        self._remove()
        if self._item is not None:
            self._journal.done(self._item)

    @property
    def bytes(self) -> int:
        """How many the stores of the dream take."""
        sizes = [0]
        for path in self._own():
            with contextlib.suppress(OSError):
                sizes.append(path.stat().st_size)
        return sum(sizes)

    def result(self, size: Size) -> tuple[State, Store] | None:
        """Returns the finished dream, if it is there.

        Args:
            size: Its (height, width) in pixels.

        Raises:
            InputError: If it is damaged.
        """
        try:
            store = Store.open(self.path / RESULT, shape=(*size, 3))
        except FileNotFoundError:
            return None
        return _state_of(store), store

    def last(self, sizes: Sequence[Size]) -> tuple[State, Store] | None:
        """Returns the last step that is done, with its image; None before the first.

        Args:
            sizes: The (height, width) in pixels of the octaves that run.

        Raises:
            InputError: If it is damaged.
        """
        steps = [
            (match[0], path)
            for path in self.path.glob("image-*.npy")
            if (match := _STEP.fullmatch(path.name))
        ]
        if not steps:
            return None
        image = Store.open(max(steps)[1])
        state = _state_of(image)
        if (
            image.path.name != f"image-{state.at}.npy"
            or state.place >= len(sizes)
            or image.shape != (*sizes[state.place], 3)
        ):
            raise damaged(image.path, "another step than its name says")
        return state, image

    def maps_of(self, state: State, image: Store, start: Any) -> Any:
        """Returns the optimizer's state of a step that was read, with its maps.

        Args:
            state: The step.
            image: Its image.
            start: The optimizer's state before the first step of an octave.

        Raises:
            InputError: If it is damaged.
        """

        def read(tree: Any, like: Any) -> Any:
            match like, tree:
                case None, None:
                    return None
                case int(), int():
                    return tree
                case None, [{"map": int() as number}]:
                    place = self._state_path(state, number)
                    return (self._bands.image(Store.open(place, shape=image.shape)),)
                case tuple(), list() if len(like) == len(tree):
                    return tuple(map(read, tree, like))
                case _:
                    raise damaged(image.path, "with another optimizer's state")

        try:
            return read(state.optimizer, start)
        except FileNotFoundError:
            raise damaged(image.path, "without the optimizer's state") from None

    def kept(self, state: State, tree: Any) -> tuple[Any, Any]:
        """Writes the maps of an optimizer's state.

        Args:
            state: The step.
            tree: The state after it.

        Returns:
            The state for the notes, and with maps that are read from the disk.
        """
        count = 0

        def keep(part: Any) -> tuple[Any, Any]:
            nonlocal count
            if isinstance(part, tuple):
                pairs = [keep(each) for each in cast("tuple[Any, ...]", part)]
                return [pair[0] for pair in pairs], tuple(pair[1] for pair in pairs)
            if not isinstance(part, Map):
                return part, part
            path = self._state_path(state, count)
            store = self._bands.written(part, path).commit()
            # What is made of the map reads the store from now on.
            part.become(self._bands.image(store))
            count += 1
            return {"map": count - 1}, part

        return keep(tree)

    def keep(self, state: State, image: Map) -> Store:
        """Writes the image of a step: once it has its name, the step is done."""
        store = self._bands.written(image, self.path / f"image-{state.at}.npy")
        store = store.commit(asdict(state))
        self._remove(but=state.at)
        return store

    def named(self, state: State, image: Store) -> Store | None:
        """Gives the image of the last step the name of the finished dream.

        Args:
            state: The dream at its end.
            image: What may be that image, with all that is to be noted.

        Returns:
            It; None if it is not.
        """
        noted = json.loads(json.dumps(asdict(state)))
        if not image.path.name.startswith("image-") or dict(image.notes) != noted:
            return None
        image.close()
        image.path.replace(self.result_path())
        sync_folder(self.path)
        return Store.open(self.result_path())

    def result_path(self) -> Path:
        """Returns where the finished dream will be."""
        return self.path / RESULT

    def _own(self) -> list[Path]:
        """Returns what a dream has made on its way."""
        return [p for p in self.path.glob("*.npy*") if p.name.startswith(_OWN)]

    def _remove(self, *, but: str | None = None) -> None:
        """Removes all, or else all images and states but those of a step."""
        for path in self._own():
            match = _STEP.fullmatch(path.name)
            if but is None or (match and f"{match[1]}-{match[2]}" != but):
                with contextlib.suppress(OSError):  # Windows keeps what is open
                    path.unlink(missing_ok=True)

    def _state_path(self, state: State, number: int) -> Path:
        return self.path / f"state-{state.at}-{number}.npy"


def _state_of(image: Store) -> State:
    """Returns the step of an image from its notes."""
    try:
        return TypeAdapter(State).validate_json(json.dumps(image.notes), strict=True)
    except ValueError:
        raise damaged(image.path, "with other notes") from None


def _of_another(path: Path, key: Mapping[str, str], text: str) -> JobsError:
    """Returns the error for a folder of another dream."""
    try:
        other = json.loads(text)
        names = [name for name, value in key.items() if other.get(name) != value]
    except (ValueError, AttributeError):
        names = []
    return JobsError(
        "the folder of an unfinished dream must be used for the same dream",
        received=f"{short_repr(str(path))}, of another {' and '.join(names) or 'kind'}",
        hint="go on with the same photo and settings, or remove the folder first",
    )
