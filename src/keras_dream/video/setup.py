"""What a film is made from and by: all that another process needs to make it, too."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from keras_dream.dreamer.dreamer import Dreamer
from keras_dream.pictures.limits import Limits
from keras_dream.recipe.files import Files
from keras_dream.recipe.recipe import Recipe, RunSettings
from keras_dream.video.frames import Clip
from keras_dream.video.source import Source, open_source
from keras_dream.zoo.network import Network


@dataclass(frozen=True)
class Selection:
    """Which frames of a source are dreamed.

    Attributes:
        start: Where they begin, in seconds from the source's first frame.
        end: Where they end; None for the source's end.
        every: 2 for every second frame, and so on.
        rate: Frames a second of a folder of pictures; None for 25.
    """

    start: Fraction = Fraction(0)
    end: Fraction | None = None
    every: int = 1
    rate: Fraction | None = None

    def data(self) -> dict[str, str]:
        """Returns it as a record has it."""
        return {
            "from": str(self.start),
            "to": "end" if self.end is None else str(self.end),
            "every": str(self.every),
        }


@dataclass(frozen=True)
class Setup:
    """What a film is made from and by.

    Attributes:
        source: The path of a video, a folder of pictures, a GIF or a WebP.
        recipe: The recipe.
        selection: Which frames of it are dreamed.
        run: How to compute; its threads and memory are those of each worker.
        networks: What the recipe's names stand for, where it is more than a name.
        files: Files that the recipe may name, such as guides.
        folders: Where else those are looked for.
        limits: What files may have and take.
    """

    source: str
    recipe: Recipe
    selection: Selection = Selection()
    run: RunSettings = field(default_factory=RunSettings)
    networks: Sequence[Network] = ()
    files: Sequence[str] = ()
    folders: Sequence[str] = ()
    limits: Limits = field(default_factory=Limits)

    def open(self, *, clip: Clip | None = None) -> Source:
        """Opens the source.

        Args:
            clip: What a survey has found; with it, frames in the middle are quick.
        """
        own = self.selection
        return open_source(
            self.source,
            start=own.start,
            end=own.end,
            every=own.every,
            rate=own.rate,
            limits=self.limits,
            clip=clip,
        )

    def finder(self) -> Files:
        """Returns what finds the files that the recipe names."""
        return Files(named=self.files, folders=self.folders, limits=self.limits)

    def dreamer(self, **options: Any) -> Dreamer:
        """Loads the networks.

        Args:
            **options: As for `Dreamer`, such as `progress`.
        """
        return Dreamer.of(
            self.recipe,
            networks=self.networks,
            run=self.run,
            files=self.finder(),
            limits=self.limits,
            **options,
        )
