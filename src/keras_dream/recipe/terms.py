"""More than one network in a dream: each one's term of the sum, as text and data.

    term    = ["-" | "+"] [number "*"] network ["[" preprocessing "]"] [":" objective]
    network = name | "'" any characters "'"

such as `squeezenet`, `0.5*squeezenet: fire6 + fire8` or `mine.keras[tf]: conv2`; what
stands behind the colon is an objective of `keras_dream.recipe.objectives`. A name with
a space or a colon in it is quoted.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import Field, model_validator

from keras_dream.errors import SettingError, short_repr
from keras_dream.recipe.settings import Settings

MOST_OTHERS = 15
"""Networks beside the first: more than fit into any memory, and enough for any art."""

STATED = r"\[\s*(?P<preprocessing>[\w-]+)\s*\]"
"""A preprocessing behind a network's name, such as `[tf]`."""

_NAME = r"[\w./][\w./-]*"
_TERM = re.compile(
    r"\s*((?P<sign>[-+]?)\s*((?P<number>(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?)\s*\*)?)\s*"
    rf"('(?P<quoted>[^']+)'|(?P<name>{_NAME}))\s*"
    rf"({STATED}\s*)?(:\s*(?P<objective>\S.*?))?\s*",
    re.DOTALL,
)


Preprocessing = Literal["tf", "caffe", "torch", "0-1", "0-255"] | None


class NetworkTerm(Settings):
    """A network of a dream, what it maximises, and the weight of its gradient."""

    in_words: ClassVar[str] = (
        f"at most {MOST_OTHERS} networks like '0.5*squeezenet: fire6 + fire8'"
    )

    network: str = Field(description="the network to dream with, too")
    objective: str | None = Field(
        default=None, description="what it maximises; none takes the network's own"
    )
    weight: Annotated[float, Field(allow_inf_nan=False)] = Field(
        default=1.0,
        ge=-1e6,
        le=1e6,
        description="how much its gradient counts beside the first network's 1; below "
        "zero dreams away from what it sees",
    )
    preprocessing: Preprocessing = Field(
        default=None,
        exclude_if=lambda value: value is None,
        description="what a model of your own expects of its pictures",
    )

    @model_validator(mode="after")
    def _check_weight(self) -> "NetworkTerm":
        if self.weight == 0:
            raise SettingError(
                "The weight of a network must not be zero",
                received=f"0 for {short_repr(self.network)}",
                hint="leave the network out",
            )
        return self

    @property
    def text(self) -> str:
        """The term as text that `parse_term` reads back."""
        odd = not re.fullmatch(_NAME, self.network)
        name = f"'{self.network}'" if odd else self.network
        weight = "" if self.weight == 1 else f"{self.weight!r}*"
        mode = f"[{self.preprocessing}]" if self.preprocessing else ""
        goal = f": {self.objective}" if self.objective else ""
        return f"{weight}{name}{mode}{goal}"


def parse_term(text: str) -> NetworkTerm:
    """Reads a network with its weight and its objective.

    Args:
        text: Such as "0.5*squeezenet: fire6 + fire8"; whether there is such a network,
            and whether it has such layers, is not known here.

    Raises:
        SettingError: If the text breaks the grammar.
    """
    found = _TERM.fullmatch(text)
    if found is None:
        raise _refusal(text)
    number = float(found["number"] or 1)
    return NetworkTerm.of(
        {
            "network": found["quoted"] or found["name"],
            "objective": found["objective"],
            "weight": -number if found["sign"] == "-" else number,
            "preprocessing": found["preprocessing"],
        }
    )


def read_terms(given: Any) -> tuple[NetworkTerm, ...] | None:
    """Returns the networks of whatever a recipe may hold of them.

    Args:
        given: None, one network or a list of them, each as a `NetworkTerm`, as text or
            as a dictionary of `network`, `objective` and `weight`.

    Raises:
        SettingError: If one of them is impossible.
    """
    if isinstance(given, str | Mapping | NetworkTerm):
        given = (given,)
    if given in (None, ("none",), ["none"]):
        return None  # a flag that may be repeated gives a list of its only value
    if not isinstance(given, Iterable):
        raise _refusal(given)
    found = tuple(_read(item) for item in cast("Iterable[Any]", given))
    if len(found) > MOST_OTHERS:
        raise SettingError(
            f"`also` must be at most {MOST_OTHERS} networks",
            received=str(len(found)),
            hint="leave some of them out",
        )
    return found or None


def _read(item: Any) -> NetworkTerm:
    if isinstance(item, NetworkTerm):
        return item
    if isinstance(item, str):
        return parse_term(item)
    if isinstance(item, Mapping) and "network" in item:
        return NetworkTerm.of(cast("Mapping[str, Any]", item))
    raise _refusal(cast("Any", item))


def _refusal(received: object) -> SettingError:
    return SettingError(
        "`also` must name a network, with its weight before it and its objective "
        "behind a colon",
        received=short_repr(received),
        hint="try '0.5*squeezenet: fire6 + fire8'",
    )
