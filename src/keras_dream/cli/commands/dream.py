"""`dream PHOTO`: a photo becomes a picture; several are dreamed one after the other."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from keras_dream.cli.dream_run import Request, run_dream, run_dreams
from keras_dream.cli.network_files import consent, recipe_settings
from keras_dream.cli.options import (
    FILES,
    Json,
    Out,
    Preset,
    Quiet,
    RecipeFile,
    RecipeFlags,
    RunFlags,
    Trust,
    Weights,
    Yes,
)
from keras_dream.cli.photos import (
    STANDARD,
    check_standard_output,
    folder_of,
    photos_of,
    read_standard_input,
)
from keras_dream.cli.reporters import reporter_for
from keras_dream.cli.reporters.base import Reporter
from keras_dream.errors import InputError, SettingError, short_repr
from keras_dream.recipe.recipe import Recipe, RunSettings

Photos = Annotated[str, Parameter(name="PHOTO", group=FILES, negative=())]


def dream(
    *photos: Photos,
    out: Out = None,
    weights: Weights = (),
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
    """Dream a photo, or several.

    Args:
        photos: pictures, and folders of them; - reads one from standard input
        out: the result, .png, .jpg, .webp or .tif; a folder for several photos; - for
            standard output [default: PHOTO-dream.png]
        weights: a weights file for the network; with several networks NETWORK=FILE
        trust_model: open a .keras file; only for files from authors you trust
        notes: save the recipe and the record in the result's metadata
        yes: replace the file that -o names; allow a dream that may take hours, and
            downloads that only --recipe needs
        quiet: print only the path of the result
        json: print JSON on standard output, one event a line
        preset: the recipe to start from, see `dream presets`
        recipe: a .json file or a dreamed picture; replaces settings of the preset
        flags: every setting of the recipe
        run: every run setting
    """
    from keras_dream.recipe.presets import preset as preset_of

    names, several = photos_of(photos)
    base = preset_of(preset)
    models: dict[str, str | Path] = {}
    over, own = recipe_settings(recipe, flags, models, trusted=trust_model)
    if recipe is not None and preset != "default":
        _check_preset(preset, recipe, over)
    out = STANDARD if out is None and names == [STANDARD] else out
    folder = folder_of(out, several=several)
    request = Request(
        photo=names[0],
        recipe=over.over(base),
        run=run or RunSettings(),
        out=None if folder is not None else out,
        folder=folder,
        weights=weights,
        notes=notes,
        yes=yes,
        models=models,
        before_download=None if yes else consent([own.over(base)]),
        trust_model=trust_model,
    )
    return _run(request, names if several else [], quiet=quiet, json=json)


def _run(request: Request, photos: list[str], *, quiet: bool, json: bool) -> int:
    """Dreams the request's photo, or several in its place."""

    def reporter() -> Reporter:
        return reporter_for(quiet=quiet, json=json)

    if STANDARD in photos:
        raise InputError(
            "Standard input must be the only photo",
            received=f"it and {len(photos) - 1} more",
            hint="leave - out, or name nothing else",
        )
    if request.out == STANDARD:
        _check_output(json=json)
    if photos:
        requests = [replace(request, photo=name) for name in photos]
        return run_dreams(requests, reporter, json=json)
    if request.photo != STANDARD:
        return run_dream(request, reporter()).exit_code
    with tempfile.TemporaryDirectory(prefix="dream-") as temporary:
        photo = read_standard_input(Path(temporary))
        return run_dream(replace(request, photo=str(photo)), reporter()).exit_code


def _check_preset(preset: str, recipe: str, over: Recipe) -> None:
    """Refuses a preset of which a recipe file leaves nothing."""
    from keras_dream.recipe.presets import preset as preset_of

    if over.over(preset_of(preset)) == over.over(preset_of("default")):
        raise SettingError(
            "A preset must set something that the recipe leaves open",
            received=f"{preset} beside {short_repr(recipe)}, which sets everything",
            hint="leave --preset or --recipe out",
        )


def _check_output(*, json: bool) -> None:
    if json:
        raise InputError(
            "Standard output must take either JSON or the picture",
            received="--json, and - as the result",
            hint="leave --json out, or name a file with -o",
        )
    check_standard_output()
