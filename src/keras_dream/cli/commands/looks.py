"""`dream looks`: a sheet of one photo in every look."""

import shlex
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from keras_dream.cli.choices_run import Choices, run_choices
from keras_dream.cli.network_files import name_models, networks_of, weights_of
from keras_dream.cli.options import Out, Photo, RecipeFlags, RunFlags, Weights
from keras_dream.cli.sheet_run import SheetFlags
from keras_dream.errors import SettingError, short_repr
from keras_dream.recipe.recipe import Recipe, RunSettings

_NONE = SheetFlags()


def looks(
    photo: Photo,
    /,
    *,
    out: Out = None,
    weights: Weights = (),
    side: Annotated[int | None, Parameter(metavar="PIXELS")] = None,
    more: SheetFlags = _NONE,
    flags: RecipeFlags = None,
    run: RunFlags = None,
) -> int:
    """Dream a photo in every look, small and quickly, on one labelled sheet.

    Its cost is shown first. Then `dream PHOTO --preset NAME` makes one of the
    looks in full.

    Args:
        photo: a picture, as for `dream PHOTO`
        out: the sheet, .png, .jpg, .webp, .tif or .exr [default: PHOTO-looks.png]
        weights: a weights file for the network
        side: the longer side at which the photo is dreamed [default: 320]
        more: the options of every sheet
        flags: settings of all looks
        run: every run setting
    """
    from keras_dream.recipe.presets import looks_of, preset
    from keras_dream.sheets.choices import SIDE

    models: dict[str, str | Path] = {}
    over = Recipe() if flags is None else name_models(flags, models)
    names = looks_of(over.network)
    if not names:
        raise SettingError(
            "Looks must be those of a network that has some",
            received=short_repr(over.network),
            hint="try motif, or `dream grid PHOTO --x 'objective=LAYER|LAYER'`",
        )
    recipes = {name: over.over(preset(name)) for name in names}
    files = weights_of(weights, over)
    choices = Choices(
        kind="looks",
        photo=photo,
        recipes=recipes,
        out=out,
        side=SIDE if side is None else side,
        loaded={
            "networks": networks_of(models, files, trusted=more.trust_model),
            "run": run or RunSettings(),
        },
    )
    example = shlex.join(["dream", photo, "--preset", names[-1]])
    return run_choices(choices, more, how=lambda _: example)
