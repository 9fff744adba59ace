"""Options that several commands have, and what the files among them stand for.

A path is taken from options only. A recipe, which may be a stranger's, names a model by
its file name and its record by a sha256; see `keras_dream.zoo.user_models`. What it
names of the zoo is not downloaded before the user agrees.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

from cyclopts import Group, Parameter

from keras_dream.errors import InputError, nearest, short_repr
from keras_dream.parts.canvases import Canvas
from keras_dream.parts.losses import Loss
from keras_dream.parts.optimizers import Optimizer
from keras_dream.recipe.objectives import Objective
from keras_dream.recipe.recipe import Recipe, RunSettings

if TYPE_CHECKING:
    from keras_dream.weights.source import BeforeDownload, Source
    from keras_dream.zoo.network import Network

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


class _Flags(Recipe):
    """The recipe as flags."""

    canvas: Annotated[Canvas, _TEXT] = cast("Any", Recipe.model_fields["canvas"])
    loss: Annotated[Loss, _TEXT] = cast("Any", Recipe.model_fields["loss"])
    objective: Annotated[Objective | None, _TEXT] = cast(
        "Any", Recipe.model_fields["objective"]
    )
    optimizer: Annotated[Optimizer, _TEXT] = cast(
        "Any", Recipe.model_fields["optimizer"]
    )


RecipeFlags = Annotated[_Flags | None, Parameter(name="*", group=RECIPE)]


def split(patterns: Sequence[str]) -> list[str]:
    """Returns patterns one by one; an option may hold several with commas between."""
    every = [part.strip() for pattern in patterns for part in pattern.split(",")]
    return [part for part in every if part]


def named(flags: Recipe, files: dict[str, str | Path]) -> Recipe:
    """Returns flags in which model files go by their names.

    Args:
        flags: The recipe's settings as the user gave them.
        files: Model files by their names; those of the flags are put there.

    Raises:
        NetworkError: If two files have one name.
    """
    from keras_dream.zoo import user_models

    given = flags.model_fields_set
    if "network" in given:
        # Another network has another preprocessing; another model may share it.
        if not user_models.is_file(flags.network) and "preprocessing" not in given:
            flags = flags.but(preprocessing=None)
        flags = flags.but(network=user_models.named(flags.network, files))
    if flags.objective is not None:
        flags = flags.but(objective=user_models.named_in(flags.objective, files))
    return flags


def recorded(
    recipe: Recipe, path: str, given: Collection[str], *, trusted: bool
) -> dict[str, Path]:
    """Returns the model files that the recipe of a dreamed picture stands for.

    Args:
        recipe: The recipe as it will be dreamed.
        path: Where it was read: a picture, or a JSON file, which has no sha256.
        given: Names of models whose files the user gave.
        trusted: Whether the user trusts model files.

    Raises:
        NetworkError: If there is none, or it is another one or not trusted.
    """
    from keras_dream.pictures.encoding import SUFFIXES
    from keras_dream.replay import find_models, read_saved
    from keras_dream.zoo import user_models

    names = [n for n in user_models.files_of(recipe) if n not in given]
    if not names or Path(path).suffix.lower() not in SUFFIXES:
        return {}
    return find_models(read_saved(path), names, trusted=trusted)


def asked_for(
    recipe: str | None,
    flags: Recipe | None,
    models: dict[str, str | Path],
    *,
    trusted: bool,
) -> tuple[Recipe, Recipe]:
    """Returns what is put over the preset.

    Args:
        recipe: A recipe file, or None.
        flags: The recipe as flags, which go over the file.
        models: Model files by their names; those of flags and file are put there.
        trusted: Whether model files may be opened.

    Returns:
        The settings of file and flags, and those of the flags alone.
    """
    from keras_dream.replay import read_recipe

    given = Recipe() if flags is None else named(flags, models)
    over = given if recipe is None else given.over(read_recipe(recipe))
    if recipe is not None:
        models.update(recorded(over, recipe, models, trusted=trusted))
    return over, given


def weights_of(given: Sequence[str], recipe: Recipe) -> dict[str, str]:
    """Returns the weights files by network.

    Args:
        given: FILE for the first network of the recipe, or NETWORK=FILE.
        recipe: Names the networks.

    Raises:
        InputError: If there are two files for one network.
    """
    names = {str(network.network) for network in recipe.networks}
    files: dict[str, str] = {}
    for text in given:
        name, _, file = text.partition("=")
        if not file or name not in names:
            if file and Path(file).is_file() and not Path(text).exists():
                raise InputError(
                    "Weights must be for a network of the dream",
                    received=short_repr(name),
                    hint=nearest(name, names),
                )
            name, file = recipe.network, text
        if name in files:
            raise InputError(
                f"There must be one weights file for {name}",
                received=f"{short_repr(files[name])} and {short_repr(file)}",
                hint="keep one, or write NETWORK=FILE for another network",
            )
        files[name] = file
    return files


def networks_given(
    models: Mapping[str, str | Path], weights: Mapping[str, str], *, trusted: bool
) -> "list[Network]":
    """Returns the networks that the user gave files for.

    Args:
        models: Model files by their names.
        weights: Weights files by network.
        trusted: Whether model files may be opened.
    """
    from keras_dream.zoo.network import Network

    files = [Network(path, trust=trusted) for path in models.values()]
    return [*files, *(Network(name, weights=path) for name, path in weights.items())]


def consent(agreed: Iterable[Recipe]) -> "BeforeDownload":
    """Returns a check that asks for `--yes` before a download that only a file needs.

    A recipe may be a stranger's: it must not start a download of a gigabyte.

    Args:
        agreed: Recipes that the user asked for: whatever they need may be downloaded.
    """
    from keras_dream.zoo.network import asks_for_class

    recipes = list(agreed)

    def ask(name: str, source: "Source", classifier: bool) -> None:
        for recipe in recipes:
            networks = (network.network for network in recipe.networks)
            if name in (asks_for_class(recipe) if classifier else networks):
                return
        size = f"{source.size / 1e6:.0f} MB" if source.size else "a file"
        pull = f"dream weights pull {name}" + (" --classifier" if classifier else "")
        raise InputError(
            "A download that only a recipe's file needs must be agreed to with --yes",
            received=f"{name}, {size} from {source.publisher}",
            hint=f"add --yes, or run `{pull}` before",
        )

    return ask
