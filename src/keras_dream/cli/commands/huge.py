"""`dream huge`: a picture larger than memory, dreamed in tiles on the disk."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from keras_dream.cli.dream_run import Request
from keras_dream.cli.huge_run import run_huge
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
    Strip,
    Trust,
    Weights,
    Yes,
)
from keras_dream.cli.reporters import reporter_for
from keras_dream.recipe.recipe import RunSettings


def huge(
    photo: Photo,
    /,
    *,
    out: Out = None,
    weights: Weights = (),
    file: Named = (),
    trust_model: Trust = False,
    notes: Annotated[bool, Parameter(group=FILES)] = True,
    strip: Strip = False,
    yes: Yes = False,
    quiet: Quiet = False,
    json: Json = False,
    preset: Preset = "default",
    recipe: RecipeFile = None,
    flags: RecipeFlags = None,
    run: RunFlags = None,
) -> int:
    """Dream a picture that is larger than memory, in tiles on the disk.

    The same command goes on after Ctrl-C or a crash: what is done is kept in a hidden
    folder beside the result until that is saved. It needs pyvips, which
    `pip install 'keras-dream[huge]'` installs.

    Args:
        photo: a TIFF, PNG, JPEG or WebP file
        out: a .tif (BigTIFF), .dzi, .szi, .png or .jpg [default: PHOTO-dream.tif]
        weights: a weights file for the network
        file: a file that the recipe names, such as a guide, if it is not beside it
        trust_model: open a .keras file; only for files from authors you trust
        notes: save the recipe and the record in the result's metadata
        strip: leave out the photo's camera, date and copyright; its place always is
        yes: replace the result; allow a dream that may take hours, and downloads that
            only --recipe needs
        quiet: print only the path of the result
        json: print JSON on standard output, one event a line
        preset: the recipe to start from, see `dream presets`
        recipe: a .json file or a dreamed picture; replaces settings of the preset
        flags: every setting of the recipe
        run: every run setting
    """
    from keras_dream.recipe.presets import preset as preset_of

    base, models = preset_of(preset), dict[str, str | Path]()
    over, own = recipe_settings(recipe, flags, models, trusted=trust_model)
    request = Request(
        photo=photo,
        recipe=over.over(base),
        run=run or RunSettings(),
        out=out,
        weights=weights,
        notes=notes,
        strip=strip,
        yes=yes,
        models=models,
        files=recipe_files(file, recipe, photo),
        before_download=None if yes else consent([own.over(base)]),
        trust_model=trust_model,
    )
    return run_huge(request, reporter_for(quiet=quiet, json=json))
