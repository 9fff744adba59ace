"""What a batch says to its workers, and the report of a picture that is made.

A worker in the same process is handed these values; a worker process reads and writes
them as lines of JSON.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from keras_dream.pictures.limits import Limits
from keras_dream.recipe.recipe import Recipe, RunSettings
from keras_dream.workers.messages import Report
from keras_dream.workers.sendable import (
    check_sendable,
    networks_data,
    only_here,
    read_networks,
)
from keras_dream.zoo.network import Network


@dataclass(frozen=True)
class Setup:
    """What all dreams of a worker have in common.

    Attributes:
        folder: That of the results, which a worker does not make.
        run: How to compute.
        recipes: One recipe for each set of networks, which names all their classifiers.
        networks: What the recipes' names stand for, where it is more than a name.
        files: Files that the recipes may name, such as guides.
        folders: Where else those are looked for.
        limits: What the photos' files may have and take.
        notes: Whether recipe and record are saved in the results.
        strip: Whether camera, date and copyright of the photos are left out of them.
    """

    folder: str
    run: RunSettings
    recipes: tuple[Recipe, ...]
    networks: tuple[Network, ...] = ()
    files: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    notes: bool = True
    strip: bool = False

    @property
    def is_sendable(self) -> bool:
        """Whether another process can be told of it."""
        return not only_here(self.recipes, self.networks)

    def check_sendable(self) -> None:
        """Makes sure that another process can be told of it.

        Raises:
            SettingError: If a network or an objective is in memory only.
        """
        check_sendable(self.recipes, self.networks)

    def line(self) -> str:
        """Returns it as a line of JSON.

        Raises:
            SettingError: If a network or an objective is in memory only.
        """
        self.check_sendable()
        data = {
            **{f.name: getattr(self, f.name) for f in fields(self)},
            "run": self.run.json_text(),
            "limits": self.limits.json_text(),
            "recipes": [recipe.json_text() for recipe in self.recipes],
            "networks": networks_data(self.networks),
        }
        return json.dumps(data)

    @classmethod
    def read(cls, line: str) -> "Setup":
        """Returns the setup of a line."""
        data = json.loads(line)
        return cls(
            folder=data["folder"],
            run=RunSettings.read(data["run"]),
            recipes=tuple(map(Recipe.read, data["recipes"])),
            networks=read_networks(data["networks"]),
            files=tuple(data["files"]),
            folders=tuple(data["folders"]),
            limits=Limits.read(data["limits"]),
            notes=data["notes"],
            strip=data["strip"],
        )


@dataclass(frozen=True)
class Order:
    """One picture to dream.

    Attributes:
        key: The item's key.
        photo: The photo's path, or a source without one.
        recipe: What decides the dream; its files are plain names with hashes.
        path: The result's path, under which a worker writes nothing.
    """

    key: str
    photo: str
    recipe: Recipe
    path: str

    def line(self) -> str:
        """Returns it as a line of JSON."""
        return json.dumps({**vars(self), "recipe": self.recipe.json_text()})

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> "Order":
        """Returns the order of a parsed line."""
        return cls(**{**data, "recipe": Recipe.read(data["recipe"])})


@dataclass(frozen=True)
class Made(Report):
    """A result is whole and on the disk, but not yet under its name.

    Attributes:
        temporary: The file.
        size: Its bytes.
        sha256: Of them.
        input_sha256: Of the photo's file; "" for a source without one.
        seconds: From the beginning of the item to the end of its last step.
        notices: What the user should know about the dream.
    """

    ends: ClassVar[bool] = True
    is_result: ClassVar[bool] = True

    temporary: str
    size: int
    sha256: str
    input_sha256: str
    seconds: float
    notices: tuple[str, ...]
