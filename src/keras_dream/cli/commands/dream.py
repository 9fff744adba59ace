"""`dream PHOTO`: one photo becomes one picture."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from keras_dream.cli.dream_run import Request, run_dream
from keras_dream.cli.network_files import consent, recipe_files, recipe_settings
from keras_dream.cli.options import (
    FILES,
    Json,
    Named,
    Out,
    Photo,
    Preset,
    Quiet,
    RecipeFile,
    RecipeFlags,
    RunFlags,
    Trust,
    Weights,
    Yes,
)
from keras_dream.cli.reporters import reporter_for
from keras_dream.recipe.recipe import RunSettings


def dream(
    photo: Photo,
    /,
    *,
    out: Out = None,
    weights: Weights = (),
    file: Named = (),
    trust_model: Trust = False,
    notes: Annotated[bool, Parameter(group=FILES)] = True,
    yes: Yes = False,
    quiet: Quiet = False,
    json: Json = False,
    preset: Preset = "default",
    recipe: RecipeFile = None,
    flags: RecipeFlags = None,
    run: RunFlags = None,
) -> int:
    """Dream a photo.

    Args:
        photo: a PNG, JPEG, WebP, TIFF, AVIF, GIF or BMP file
        out: the result, .png, .jpg, .webp or .tif [default: PHOTO-dream.png]
        weights: a weights file for the network; with several networks NETWORK=FILE
        file: a file that the recipe names, such as a guide, if it is not beside it
        trust_model: open a .keras file; only for files from authors you trust
        notes: save the recipe and the record in the result's metadata
        yes: allow a dream that may take hours, and downloads that only --recipe needs
        quiet: print only the path of the result
        json: print JSON on standard output, one event a line
        preset: the recipe to start from, see `dream presets`
        recipe: a .json file or a dreamed picture; replaces settings of the preset
        flags: every setting of the recipe
        run: every run setting
    """
    from keras_dream.recipe.presets import preset as preset_of

    models: dict[str, str | Path] = {}
    over, own = recipe_settings(recipe, flags, models, trusted=trust_model)
    base = preset_of(preset)
    request = Request(
        photo=photo,
        recipe=over.over(base),
        run=run or RunSettings(),
        out=out,
        weights=weights,
        notes=notes,
        yes=yes,
        models=models,
        files=recipe_files(file, photo, recipe),
        before_download=None if yes else consent([own.over(base)]),
        trust_model=trust_model,
    )
    return run_dream(request, reporter_for(quiet=quiet, json=json)).exit_code
