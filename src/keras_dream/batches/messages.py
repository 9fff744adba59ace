"""What a batch and its workers say to each other: orders go out, reports come back.

A worker in the same process is handed these values; a worker process reads and writes
them as lines of JSON.
"""

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, cast

from keras_dream import errors
from keras_dream.errors import DreamError, RunError, SettingError, short_repr
from keras_dream.failures import of_machine
from keras_dream.pictures.limits import Limits
from keras_dream.recipe.recipe import Recipe, RunSettings
from keras_dream.recipe.targets import Custom
from keras_dream.zoo.network import Network

_log = logging.getLogger(__name__)


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
class Report:
    """Base of what a worker reports.

    Attributes:
        key: The key of the item that it is about; "" for none.
    """

    key: str

    def line(self) -> str:
        """Returns it as a line of JSON."""
        return json.dumps({"report": type(self).__name__, **asdict(self)})


@dataclass(frozen=True)
class Ready(Report):
    """A worker process has started."""


@dataclass(frozen=True)
class Loading(Report):
    """A worker loads networks.

    Attributes:
        network: Their names, with " + " between them.
    """

    network: str


@dataclass(frozen=True)
class Began(Report):
    """A worker has turned to an item; the one before may still be encoded."""


@dataclass(frozen=True)
class Progress(Report):
    """A step was made.

    Attributes:
        step: How many are made.
        steps: How many there are.
    """

    step: int
    steps: int


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

    temporary: str
    size: int
    sha256: str
    input_sha256: str
    seconds: float
    notices: tuple[str, ...]


@dataclass(frozen=True)
class Failed(Report):
    """An item could not be made.

    Attributes:
        error: The name of the error's class.
        must: As for `DreamError`.
        received: As for `DreamError`.
        hint: As for `DreamError`.
    """

    error: str
    must: str
    received: str = ""
    hint: str = ""

    @classmethod
    def of(cls, key: str, failure: Exception) -> "Failed":
        """Returns the report of a failure."""
        _log.debug("A picture failed", exc_info=failure)
        if not isinstance(failure, DreamError):
            failure = of_machine(failure) or _unexpected(failure)
        name = type(failure).__name__
        return cls(key, name, failure.must, failure.received, failure.hint)

    @property
    def failure(self) -> DreamError:
        """The error."""
        kind: Any = getattr(errors, self.error, RunError)
        return kind(self.must, received=self.received, hint=self.hint)


@dataclass(frozen=True)
class Died(Report):
    """A worker process has died while it was at an item.

    Attributes:
        reason: Why, as a sentence without its full stop.
    """

    reason: str


def _unexpected(failure: Exception) -> DreamError:
    """Returns our sentence for a bug, ours or a library's."""
    text = (str(failure).strip().splitlines() or [""])[0]
    what = f"{type(failure).__name__}: {text}" if text else type(failure).__name__
    return RunError(
        "A dream must run to its end",
        received=short_repr(what),
        hint="try this picture alone, with `dream`",
    )


def read_report(line: str) -> Report:
    """Returns the report of a line.

    Raises:
        ValueError: If it is none: a library has printed it.
    """
    try:
        data = cast("dict[str, Any]", json.loads(line))
        kind = _REPORTS[data.pop("report")]
        if "notices" in data:
            data["notices"] = tuple(data["notices"])
        return kind(**data)
    except (ValueError, TypeError, LookupError, AttributeError):
        raise ValueError(line) from None


_REPORTS: dict[str, type[Any]] = {
    kind.__name__: kind for kind in (Ready, Loading, Began, Progress, Made, Failed)
}
