"""The files that dreams need: those that the user names, and those that a recipe does.

A path is read from options only. A recipe, which may be a stranger's, names a model by
its file name and its record by a sha256; see `keras_dream.zoo.user_models`. Weights
that only a recipe needs are not downloaded before the user agrees.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from keras_dream.errors import InputError, nearest, short_repr
from keras_dream.recipe.files import Files
from keras_dream.recipe.recipe import Recipe

if TYPE_CHECKING:
    from keras_dream.weights.source import BeforeDownload, Source
    from keras_dream.zoo.network import Network


def name_models(flags: Recipe, files: dict[str, str | Path]) -> Recipe:
    """Returns flags in which model files go by their names.

    Args:
        flags: The recipe's settings as the user gave them.
        files: Model files by their names; those of the flags are put there.

    Raises:
        NetworkError: If two files have one name.
    """
    from keras_dream.zoo import user_models

    names = flags.model_fields_set
    if "network" in names:
        # Another network has another preprocessing; another model may share it.
        if not user_models.is_file(flags.network) and "preprocessing" not in names:
            flags = flags.but(preprocessing=None)
        flags = flags.but(network=user_models.named(flags.network, files))
    if flags.objective is not None:
        flags = flags.but(objective=user_models.named_in(flags.objective, files))
    return flags


def recorded_models(
    recipe: Recipe, path: str, own: Collection[str], *, trusted: bool
) -> dict[str, Path]:
    """Returns the model files that a dreamed picture was made with.

    Args:
        recipe: The recipe as it will be dreamed.
        path: Where it was read: a picture, a film, or a JSON file, which has no sha256.
        own: Names of models whose files the user named.
        trusted: Whether the user trusts model files.

    Raises:
        NetworkError: If there is none, or another one, or it is not trusted.
    """
    from keras_dream.replay import find_models, is_dream, read_saved
    from keras_dream.zoo import user_models

    names = [n for n in user_models.files_of(recipe) if n not in own]
    if not names or not is_dream(path):
        return {}
    return find_models(read_saved(path), names, trusted=trusted)


def recipe_settings(
    recipe: str | None,
    flags: Recipe | None,
    models: dict[str, str | Path],
    *,
    trusted: bool,
) -> tuple[Recipe, Recipe]:
    """Returns the settings that replace those of the preset.

    Args:
        recipe: A recipe file, or None.
        flags: The recipe's settings as options, which replace the file's.
        models: Model files by their names; those of flags and file are put there.
        trusted: Whether model files may be opened.

    Returns:
        The settings of file and options, and those of the options alone.
    """
    from keras_dream.replay import read_recipe

    own = Recipe() if flags is None else name_models(flags, models)
    if recipe is None:
        return own, own
    over = own.over(read_recipe(recipe))
    models.update(recorded_models(over, recipe, models, trusted=trusted))
    return over, own


def recipe_files(named: Sequence[str], *beside: str | None) -> Files:
    """Returns what finds the files that recipes name, such as guides.

    Args:
        named: Files that the user named.
        *beside: Files in whose folders they are looked for, too: the photo, a recipe.
    """
    return Files(named=named, folders=[Path(path).parent for path in beside if path])


def weights_of(texts: Sequence[str], recipe: Recipe) -> dict[str, str]:
    """Returns the weights files by network.

    Args:
        texts: FILE for the first network of the recipe, or NETWORK=FILE.
        recipe: Names the networks.

    Raises:
        InputError: If there are two files for one network.
    """
    names = {str(network.network) for network in recipe.every_network}
    files: dict[str, str] = {}
    for text in texts:
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


def networks_of(
    models: Mapping[str, str | Path], weights: Mapping[str, str], *, trusted: bool
) -> "list[Network]":
    """Returns the networks for which the user named files.

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
            networks = (network.network for network in recipe.every_network)
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
