"""Model files on the command line: what a person gave, and what a recipe names.

A path is taken from flags only. A recipe, which may be a stranger's, names a model by
its file name and its record by a sha256; see `keras_dream.network.own`.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from keras_dream.errors import InputError, shown
from keras_dream.recipe import Recipe

Models = Annotated[
    tuple[str, ...], Parameter(negative=(), show_default=False, metavar="FILE")
]
Trust = Annotated[bool, Parameter(negative=(), show_default=False)]


def named(flags: Recipe) -> tuple[Recipe, dict[str, str]]:
    """Returns flags in which model files go by their names, and the files by name.

    Args:
        flags: The recipe's settings as a person gave them.

    Raises:
        InputError: If two files have one name.
    """
    from keras_dream.network import own

    files: dict[str, str] = {}

    def name_of(network: str) -> str:
        if not own.is_file(network):
            return network
        name = own.name_of(network)
        if not own.is_file(name):
            own.check(network, trusted=False)  # a path to what is no model file
        if files.setdefault(name, network) != network:
            raise InputError(
                "Model files in one dream must have names of their own",
                received=f"{shown(files[name])} and {shown(network)}",
                attempt="rename one of them",
            )
        return name

    given = flags.model_fields_set
    if "network" in given:
        # Another network has another preprocessing; another model may share it.
        if not own.is_file(flags.network) and "preprocessing" not in given:
            flags = flags.but(preprocessing=None)
        flags = flags.but(network=name_of(flags.network))
    if flags.also:
        terms = [term.but(network=name_of(term.network)) for term in flags.also]
        flags = flags.but(also=tuple(terms))
    return flags, files


def recorded(
    recipe: Recipe, path: str, given: Collection[str], *, trusted: bool
) -> dict[str, Path]:
    """Returns the model files that the recipe of a dreamed picture stands for.

    Args:
        recipe: The recipe as it will be dreamed.
        path: Where it was read: a picture, or a file that tells no sha256.
        given: Names of models whose files the user gave.
        trusted: Whether the user trusts model files.

    Raises:
        NetworkError: If there is none, or it is another one or not trusted.
    """
    from keras_dream.images import SUFFIXES
    from keras_dream.network import own
    from keras_dream.replay import find_models, read_saved

    names = [n for n in own.files_of(recipe) if n not in given]
    if not names or Path(path).suffix.lower() not in SUFFIXES:
        return {}
    return find_models(read_saved(path), names, trusted=trusted)


def asked_for(
    recipe: str | None, flags: Recipe | None, *, trusted: bool
) -> tuple[Recipe, dict[str, str | Path]]:
    """Returns what is put over the preset, and the model files that it names.

    Args:
        recipe: A recipe file, or None.
        flags: The recipe as flags, which go over the file.
        trusted: Whether model files may be opened.
    """
    from keras_dream.replay import read_recipe

    over = Recipe() if recipe is None else read_recipe(recipe)
    models: dict[str, str | Path] = {}
    if flags is not None:
        given, files = named(flags)
        over = given.over(over)
        models.update(files)
    if recipe is not None:
        models.update(recorded(over, recipe, models, trusted=trusted))
    return over, models
