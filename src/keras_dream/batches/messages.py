"""What a batch says to its workers, and the report of a picture that is made.

A worker in the same process is handed these values; a worker process reads and writes
them as lines of JSON.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from keras_dream.errors import SettingError
from keras_dream.pictures.limits import Limits
from keras_dream.recipe.recipe import Recipe, RunSettings
from keras_dream.recipe.targets import Custom
from keras_dream.workers.messages import Report
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
        return not self._only_here

    def check_sendable(self) -> None:
        """Makes sure that another process can be told of it.

        Raises:
            SettingError: If a network or an objective is in memory only.
        """
        if self._only_here:
            raise _only_here(self._only_here)

    @property
    def _only_here(self) -> str:
        """What is in memory only, or ""."""
        if not all(isinstance(n.source, str | os.PathLike) for n in self.networks):
            return "a model in memory"
        networks = (n for recipe in self.recipes for n in recipe.every_network)
        targets = (term.target for network in networks for term in network.terms)
        if any(isinstance(t, Custom) and t.function for t in targets):
            return "an objective that is a function"
        return ""

    def line(self) -> str:
        """Returns it as a line of JSON.

        Raises:
            SettingError: If a network or an objective is in memory only.
        """
        self.check_sendable()
        networks = [
            {
                **{f.name: getattr(n, f.name) for f in fields(n)},
                "source": os.fspath(n.source),
                "weights": None if n.weights is None else os.fspath(n.weights),
            }
            for n in self.networks
        ]
        data = {
            **{f.name: getattr(self, f.name) for f in fields(self)},
            "run": self.run.json_text(),
            "limits": self.limits.json_text(),
            "recipes": [recipe.json_text() for recipe in self.recipes],
            "networks": networks,
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
            networks=tuple(Network(**network) for network in data["networks"]),
            files=tuple(data["files"]),
            folders=tuple(data["folders"]),
            limits=Limits.read(data["limits"]),
            notes=data["notes"],
            strip=data["strip"],
        )


def _only_here(received: str) -> SettingError:
    return SettingError(
        "Workers in processes of their own must be told of networks and objectives by "
        "text and by files",
        received=received,
        hint="use workers=1, which dreams in this process",
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
