"""What a film is made from and by: all that another process needs to make it, too."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from keras_dream.dreamer.dreamer import (
    Dreamer,
    as_recipe,
    check_preset,
    check_settings,
)
from keras_dream.errors import DreamError, SettingError
from keras_dream.pictures.limits import Limits
from keras_dream.recipe.files import Files
from keras_dream.recipe.recipe import Recipe, RunSettings
from keras_dream.recipe.settings import pop_keys
from keras_dream.recipe.times import seconds_of
from keras_dream.recipe.video import VideoSettings
from keras_dream.video.blocks import Block
from keras_dream.video.frames import Clip
from keras_dream.video.source import Source, open_source
from keras_dream.zoo.network import Network, as_networks


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

    @classmethod
    def of(
        cls, start: object, end: object, every: int, rate: Fraction | float | None
    ) -> "Selection":
        """Returns the selection of times as they are written: 0.04 is 1/25.

        Args:
            start: Seconds, or text as in "0:12".
            end: The same, or None.
            every: As above.
            rate: As above.

        Raises:
            SettingError: If a time is none.
        """
        return cls(
            seconds_of(start, "start"),
            None if end is None else seconds_of(end, "end"),
            every,
            None if rate is None else Fraction(str(rate)),
        )

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

    Raises:
        SettingError: If the run settings have a depth, which a film has of its own.
    """

    source: str
    recipe: Recipe
    selection: Selection = Selection()
    run: RunSettings = field(default_factory=RunSettings)
    networks: Sequence[Network] = ()
    files: Sequence[str] = ()
    folders: Sequence[str] = ()
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if self.run.depth != "auto":
            raise SettingError(
                "The depth of a film must be given by the bits of its encoding",
                received=f"depth={self.run.depth}",
                hint="try --bits 10, or --bits 16 for a folder, in place of --depth",
            )

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


def choices(
    recipe: Recipe | str, settings: dict[str, Any], *, more: Sequence[str] = ()
) -> dict[str, Any]:
    """Returns what a call's keywords choose: the setup's recipe, run and networks.

    Args:
        recipe: A recipe, or a preset's name.
        settings: Settings of the recipe, which go over it, and run settings.
        more: Further keywords of the call, for a hint.

    Raises:
        InputError: If one of them is wrong.
    """
    run = RunSettings.of(pop_keys(settings, RunSettings.model_fields))
    network = settings.get("network")
    networks = () if network is None else as_networks(network)
    if networks:
        settings["network"] = networks[0].name
    check_settings(settings, more=[*RunSettings.model_fields, *more])
    chosen = as_recipe(recipe).but(**settings)
    if isinstance(recipe, str):
        check_preset(recipe, chosen)
    return {"recipe": chosen, "run": run, "networks": networks}


@dataclass(frozen=True)
class Film:
    """What all frames of a film have in common.

    Attributes:
        folder: The work folder.
        clip: What is known of the source's frames.
        recipe: The recipe, complete, with its settings of a film.
        bits: Of a channel of the frames: 8 or 16.
        has_alpha: Whether the frames have an alpha channel.
    """

    folder: Path
    clip: Clip
    recipe: Recipe
    bits: int
    has_alpha: bool

    @property
    def settings(self) -> VideoSettings:
        """The settings of the film."""
        return self.recipe.video or VideoSettings()

    def settings_at(self, recipe: Recipe) -> VideoSettings:
        """Returns the settings of the film at the moment of a recipe."""
        return recipe.video or self.settings

    def first_steps(self, recipe: Recipe) -> int:
        """Returns the steps in each octave of a frame that takes nothing over.

        Args:
            recipe: That of the frame's moment.
        """
        first, _ = self.settings_at(recipe).frame_steps(recipe.steps)
        return first

    def warm_up(self, block: Block, recipe: Recipe) -> int:
        """Returns how often the first frame of a block is dreamed again.

        A block that begins within a scene has its early frames for that.

        Args:
            block: The block.
            recipe: That of its first frame's moment.
        """
        own = self.settings_at(recipe)
        return max(0, own.warm_up - block.early) if own.carry else 0

    def with_frame_steps(self, recipe: Recipe, released: float) -> Recipe:
        """Returns the recipe of a frame, with as many steps as it has.

        A frame that takes nothing over has the steps of a scene's first dream; one that
        takes over all has the later steps; between, as many as the share that is
        released.

        Args:
            recipe: That of the frame's moment.
            released: The share of its pixels that take nothing over.
        """
        first, later = self.settings_at(recipe).frame_steps(recipe.steps)
        wanted = later + round((first - later) * released)
        return with_steps(recipe, wanted).but(video=None)

    def named(self, failure: DreamError, number: int) -> DreamError:
        """Returns the error of a frame, with the frame's name in it."""
        seconds = float(self.clip.stamps[number].start)
        where = f"frame {number + 1:,} (at {seconds:.2f} s)"
        received = f"{failure.received}, in {where}" if failure.received else where
        return type(failure)(failure.must, received=received, hint=failure.hint)


def with_steps(recipe: Recipe, steps: int) -> Recipe:
    """Returns a recipe with other steps; those of single octaves change likewise.

    Args:
        recipe: The recipe.
        steps: Of each octave.
    """
    share = steps / recipe.steps if recipe.steps else 1.0

    def scaled(value: int) -> int:
        return max(1, round(value * share)) if value and steps else 0

    own = tuple(
        replace(o, value=scaled(o.value)) if o.setting == "steps" else o
        for o in recipe.per_octave
    )
    return recipe.but(steps=steps, per_octave=own)
