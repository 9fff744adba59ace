"""What workers and those who order say to each other: reports come back.

A worker in the same process hands over these values; a worker process writes them as
lines of JSON.
"""

import json
import logging
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol, cast

from keras_dream import errors
from keras_dream.errors import DreamError, RunError, short_repr
from keras_dream.failures import of_machine

_log = logging.getLogger(__name__)

_KINDS: dict[str, type[Any]] = {}  # of reports, by their names


class Sendable(Protocol):
    """What a worker process can be told, such as a setup."""

    def line(self) -> str:
        """Returns it as a line of JSON."""
        ...


class AnyOrder(Sendable, Protocol):
    """What a worker is to do."""

    @property
    def key(self) -> str:
        """What tells it from others."""
        ...


@dataclass(frozen=True)
class Report:
    """Base of what a worker reports.

    Attributes:
        key: The key of the order that it is about; "" for none.
        ends: Whether it is the last of an order.
        is_result: Whether there is something on the disk that must not be lost.
    """

    ends: ClassVar[bool] = False
    is_result: ClassVar[bool] = False

    key: str

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        _KINDS[cls.__name__] = cls

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
    """A worker has turned to an order; the one before may still be encoded."""


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
class Failed(Report):
    """An order could not be carried out.

    Attributes:
        error: The name of the error's class.
        must: As for `DreamError`.
        received: As for `DreamError`.
        hint: As for `DreamError`.
    """

    ends: ClassVar[bool] = True

    error: str
    must: str
    received: str = ""
    hint: str = ""

    @classmethod
    def of(cls, key: str, failure: Exception) -> "Failed":
        """Returns the report of a failure."""
        _log.debug("An order failed", exc_info=failure)
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
    """A worker process has died while it was at an order.

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
        kind = _KINDS[data.pop("report")]
        if "notices" in data:
            data["notices"] = tuple(data["notices"])
        return kind(**data)
    except (ValueError, TypeError, LookupError, AttributeError):
        raise ValueError(line) from None
