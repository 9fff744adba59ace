"""A dream of a picture larger than memory, as an iterator of events."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

from keras_dream.dreamer.dreamer import Dreamer
from keras_dream.engine.result import Record
from keras_dream.errors import RunError
from keras_dream.events import Event
from keras_dream.huge.stores import Source, Store
from keras_dream.recipe.recipe import Recipe


@dataclass(frozen=True)
class HugeDream:
    """The result of a huge dream.

    Attributes:
        image: float32 (height, width, 3), sRGB, nominally in [0, 1]; in the work
            folder.
        recipe: What decided it, with the network and objective that were used.
        record: What happened.
    """

    image: Store
    recipe: Recipe
    record: Record


class HugeRun(Iterator[Event]):
    """A huge dream that is being made: an iterator of `TileDone`, `Step`, `Notice`.

    It holds its folder until it is closed; use it as a context manager.
    """

    def __next__(self) -> Event:
        raise StopIteration

    @property
    def result(self) -> HugeDream:
        """The finished dream, after the last event."""
        raise RunError("a dream must have come to its end")

    def close(self) -> None:
        """Lets another process use the folder."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def dream_huge(
    dreamer: Dreamer,
    source: Source,
    folder: str | os.PathLike[str],
    recipe: Recipe | str = "default",
    *,
    name: str = "",
    **settings: Any,
) -> HugeRun:
    """Dreams a picture that is larger than memory, or goes on with it.

    Args:
        dreamer: The network on a device; its run settings decide on the tiles.
        source: The photo, sRGB in [0, 1], such as a `Store`.
        folder: An existing folder for all that the dream keeps meanwhile. If it has an
            unfinished dream of the same photo and recipe, that one goes on.
        recipe: A recipe or the name of a preset.
        name: The photo's name, for the record.
        **settings: Settings of the recipe, put over it.

    Raises:
        SettingError: If the recipe has what cannot be computed in bands.
        JobsError: If another process uses the folder, or it has another dream.
        SaveError: If the disk has no room.
    """
    raise RunError("a huge dream must wait for its engine")
