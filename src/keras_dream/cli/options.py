"""The options that several commands have."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, cast

from cyclopts import Group, Parameter

from keras_dream.parts.canvases import Canvas
from keras_dream.parts.losses import Loss
from keras_dream.parts.optimizers import Optimizer
from keras_dream.recipe.objectives import Objective
from keras_dream.recipe.recipe import Recipe, RunSettings

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


def _as_text(_: Any, tokens: Any) -> str:
    return tokens[0].value


# The recipe reads these from text itself: an objective, and parts with parameters.
_TEXT = Parameter(
    converter=_as_text, accepts_keys=False, n_tokens=1, negative=(), metavar="TEXT"
)
_COUNT = Parameter.combine(_TEXT, Parameter(metavar="COUNT", show_choices=False))


class _Flags(Recipe):
    """The recipe as flags."""

    canvas: Annotated[Canvas, _TEXT] = cast("Any", Recipe.model_fields["canvas"])
    loss: Annotated[Loss, _TEXT] = cast("Any", Recipe.model_fields["loss"])
    objective: Annotated[Objective | None, _TEXT] = cast(
        "Any", Recipe.model_fields["objective"]
    )
    octaves: Annotated[int | Literal["auto"], _COUNT] = cast(
        "Any", Recipe.model_fields["octaves"]
    )
    optimizer: Annotated[Optimizer, _TEXT] = cast(
        "Any", Recipe.model_fields["optimizer"]
    )


RecipeFlags = Annotated[_Flags | None, Parameter(name="*", group=RECIPE)]


def split(patterns: Sequence[str]) -> list[str]:
    """Returns patterns one by one; an option may hold several with commas between."""
    every = [part.strip() for pattern in patterns for part in pattern.split(",")]
    return [part for part in every if part]
