"""The options that several commands have."""

from collections.abc import Sequence
from typing import Annotated, Any, cast

from cyclopts import Group, Parameter

from keras_dream.recipe.recipe import Recipe, RunSettings
from keras_dream.recipe.terms import NetworkTerm

FILES = Group("Photo and result", sort_key=1)
OUTPUT = Group("Output", sort_key=2)
RECIPE = Group("Recipe: what decides the dream", sort_key=3)
RUN = Group("Run settings: how it is computed", sort_key=4)

_SWITCH = Parameter(negative=(), show_default=False)
_SEVERAL = Parameter(negative=(), show_default=False)

Photo = Annotated[str, Parameter(group=FILES)]
Switch = Annotated[bool, _SWITCH]
Yes = Annotated[bool, _SWITCH, Parameter(group=FILES)]
Trust = Annotated[bool, _SWITCH, Parameter(group=FILES)]
Quiet = Annotated[bool, _SWITCH, Parameter(group=OUTPUT)]
Json = Annotated[bool, _SWITCH, Parameter(group=OUTPUT)]
Out = Annotated[str | None, Parameter(alias="-o", group=FILES, metavar="FILE")]
File = Annotated[str | None, Parameter(group=FILES, metavar="FILE")]
Weights = Annotated[tuple[str, ...], _SEVERAL, Parameter(group=FILES, metavar="FILE")]
Models = Annotated[tuple[str, ...], _SEVERAL, Parameter(group=FILES, metavar="FILE")]
Patterns = Annotated[tuple[str, ...], _SEVERAL, Parameter(metavar="PATTERN")]
Preset = Annotated[str, Parameter(group=RECIPE, metavar="NAME")]
RecipeFile = Annotated[str | None, Parameter(group=RECIPE, metavar="FILE")]
RunFlags = Annotated[RunSettings | None, Parameter(name="*", group=RUN)]


class _Flags(Recipe):
    """The recipe as flags, with a word for what `--also` takes."""

    also: Annotated[
        tuple[NetworkTerm, ...] | None, Parameter(negative=(), metavar="NETWORK")
    ] = cast("Any", Recipe.model_fields["also"])


RecipeFlags = Annotated[_Flags | None, Parameter(name="*", group=RECIPE)]


def split(patterns: Sequence[str]) -> list[str]:
    """Returns patterns one by one; an option may hold several with commas between."""
    every = [part.strip() for pattern in patterns for part in pattern.split(",")]
    return [part for part in every if part]
