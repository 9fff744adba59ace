"""What a film's run says to its workers, and what they report.

A worker in the same process is handed these values; a worker process reads and writes
them as lines of JSON.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import TypeAdapter

from keras_dream.files import Staged
from keras_dream.pictures.limits import Limits
from keras_dream.recipe.recipe import Recipe, RunSettings
from keras_dream.video.blocks import Block
from keras_dream.video.folder import Made, Place, frame_name
from keras_dream.video.frames import Clip
from keras_dream.video.setup import Film, Selection, Setup
from keras_dream.workers.messages import Report
from keras_dream.workers.sendable import (
    check_sendable,
    networks_data,
    read_networks,
)

_CLIP, _SELECTION = TypeAdapter(Clip), TypeAdapter(Selection)


@dataclass(frozen=True)
class FilmSetup:
    """What all blocks of a film have in common.

    Attributes:
        setup: What the film is made from and by.
        film: What its frames have in common.
    """

    setup: Setup
    film: Film

    def line(self) -> str:
        """Returns it as a line of JSON.

        Raises:
            SettingError: If a network or an objective is in memory only.
        """
        setup, film = self.setup, self.film
        check_sendable([film.recipe], setup.networks)
        data = {
            "source": str(Path(setup.source).absolute()),
            "selection": _SELECTION.dump_python(setup.selection, mode="json"),
            "run": setup.run.json_text(),
            "networks": networks_data(setup.networks),
            "files": list(setup.files),
            "folders": list(setup.folders),
            "limits": setup.limits.json_text(),
            "folder": str(film.folder.absolute()),
            "clip": _CLIP.dump_python(film.clip, mode="json"),
            "recipe": film.recipe.json_text(),
            "bits": film.bits,
            "has_alpha": film.has_alpha,
        }
        return json.dumps(data)

    @classmethod
    def read(cls, line: str) -> "FilmSetup":
        """Returns the setup of a line."""
        data = json.loads(line)
        recipe = Recipe.read(data["recipe"])
        setup = Setup(
            source=data["source"],
            recipe=recipe,
            selection=_SELECTION.validate_python(data["selection"]),
            run=RunSettings.read(data["run"]),
            networks=read_networks(data["networks"]),
            files=tuple(data["files"]),
            folders=tuple(data["folders"]),
            limits=Limits.read(data["limits"]),
        )
        film = Film(
            folder=Path(data["folder"]),
            clip=_CLIP.validate_python(data["clip"]),
            recipe=recipe,
            bits=data["bits"],
            has_alpha=data["has_alpha"],
        )
        return cls(setup, film)


@dataclass(frozen=True)
class BlockOrder:
    """One block to dream.

    Attributes:
        block: The block.
        after: The number of the last of its frames that is done; None for none.
    """

    block: Block
    after: int | None

    @property
    def key(self) -> str:
        """What tells it from others."""
        return str(self.block.part)

    def line(self) -> str:
        """Returns it as a line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> "BlockOrder":
        """Returns the order of a parsed line."""
        return cls(Block(**data["block"]), data["after"])


@dataclass(frozen=True)
class FrameStep(Report):
    """A step of a frame was made.

    Attributes:
        number: The frame's number, from 0.
        step: How many are made.
        steps: How many it may have.
    """

    number: int
    step: int
    steps: int


@dataclass(frozen=True)
class FrameMade(Report):
    """A frame is on the disk, but not yet under its name.

    Attributes:
        number: The frame's number, from 0.
        temporary: The file.
        size: Its bytes.
        sha256: Of them.
        steps: How many steps were made.
        released: The share of its pixels that took nothing over.
        seconds: How long it took.
    """

    is_result: ClassVar[bool] = True

    number: int
    temporary: str
    size: int
    sha256: str
    steps: int
    released: float
    seconds: float

    def made(self, folder: Path) -> Made:
        """Returns the frame, for the work folder."""
        place = Place(int(self.key), self.number)
        path = folder / frame_name(place)
        staged = Staged(path, Path(self.temporary), self.size, self.sha256)
        return Made(place, staged)


@dataclass(frozen=True)
class BlockDone(Report):
    """All frames of a block are made."""

    ends: ClassVar[bool] = True
