"""`dream PHOTO`: a photo becomes a picture; several are dreamed one after the other."""

import shlex
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from keras_dream.cli.choices_run import Choices, run_choices
from keras_dream.cli.dream_run import Request, run_dream, run_dreams
from keras_dream.cli.network_files import consent, recipe_files, recipe_settings
from keras_dream.cli.options import (
    FILES,
    Json,
    Named,
    Out,
    Preset,
    Quiet,
    RecipeFile,
    RecipeFlags,
    RunFlags,
    Strip,
    Switch,
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
from keras_dream.cli.sheet_run import SheetFlags
from keras_dream.errors import InputError, SettingError, short_repr
from keras_dream.recipe.recipe import Recipe, RunSettings

if TYPE_CHECKING:
    from keras_dream.replay import Saved
    from keras_dream.sheets.sheet import Sheet


DIVERSITY = 3.0
"""Of variations by default, chosen by looking: at 1 they are nearly one picture, and at
10 the objective is lost."""

MOST_DIVERSITY = 1000


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class SeedFlags:
    """Several dreams that differ by their seed."""

    variations: Annotated[
        int | None,
        Parameter(
            group=FILES,
            metavar="NUMBER",
            help="dream so many seeds small, side by side on a sheet called "
            "PHOTO-variations.png",
        ),
    ] = None
    diversity: Annotated[
        float,
        Parameter(
            group=FILES,
            metavar="NUMBER",
            help="how strongly each variation is pushed away from those before it; 0 "
            "for seeds alone",
        ),
    ] = DIVERSITY


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class FileFlags:
    """What is read and written, and how it is shown."""

    out: Annotated[
        Out,
        Parameter(
            help="the result, .png, .jpg, .webp, .tif or .exr; a folder for several "
            "photos; - for standard output [default: PHOTO-dream.png]"
        ),
    ] = None
    weights: Annotated[
        Weights,
        Parameter(
            help="a weights file for the network; with several networks NETWORK=FILE"
        ),
    ] = ()
    file: Annotated[
        Named,
        Parameter(
            help="a file that the recipe names, such as a guide, if it is not beside it"
        ),
    ] = ()
    trust_model: Annotated[
        Trust,
        Parameter(help="open a .keras file; only for files from authors you trust"),
    ] = False
    notes: Annotated[
        bool,
        Parameter(
            group=FILES, help="save the recipe and the record in the result's metadata"
        ),
    ] = True
    strip: Annotated[
        Strip,
        Parameter(
            help="leave out the photo's camera, date and copyright; its place always is"
        ),
    ] = False
    save_octaves: Annotated[
        Switch,
        Parameter(
            group=FILES,
            help="save what each octave added beside the result, for `dream mix`",
        ),
    ] = False
    yes: Annotated[
        Yes,
        Parameter(
            help="replace the file that -o names; allow a dream that may take hours, "
            "and downloads that only --recipe needs"
        ),
    ] = False
    quiet: Annotated[Quiet, Parameter(help="print only the path of the result")] = False
    json: Annotated[
        Json, Parameter(help="print JSON on standard output, one event a line")
    ] = False


_NO_SEEDS = SeedFlags()
_NO_FILES = FileFlags()
From = Annotated[
    str | None,
    Parameter(
        name="--from",
        group=FILES,
        metavar="DREAM",
        negative=(),
        help="a saved dream to go on from, with its recipe: a stopped one goes on with "
        "its next step, a finished one runs its recipe once more; its photo is looked "
        "for beside it, or is PHOTO",
    ),
]
Resume = Annotated[
    bool,
    Parameter(
        group=FILES,
        negative=(),
        show_default=False,
        help="go on with the unfinished dream of PHOTO, or the only one of the folder, "
        "which was stopped or killed: it ends as if it had not been",
    ),
]
Photos = Annotated[
    str,
    Parameter(
        name="PHOTO",
        group=FILES,
        negative=(),
        help="pictures and folders of them; - for standard input; without a photo "
        "noise:1024x768, perlin:800x600 or flat:#446688:640x480",
    ),
]


def dream(
    *photos: Photos,
    files: FileFlags = _NO_FILES,
    seeds: SeedFlags = _NO_SEEDS,
    start_from: From = None,
    resume: Resume = False,
    preset: Preset = "default",
    recipe: RecipeFile = None,
    flags: RecipeFlags = None,
    run: RunFlags = None,
) -> int:
    """Dream a photo, or several.

    Args:
        photos: pictures and folders of them
        files: what is read and written, and how it is shown
        seeds: several dreams that differ by their seed
        start_from: a saved dream to go on from
        resume: go on with an unfinished dream
        preset: the recipe to start from, see `dream presets`; replaces defaults below
        recipe: a .json file or a dreamed picture; replaces settings of the preset
        flags: every setting of the recipe
        run: every run setting
    """
    from keras_dream.recipe.presets import preset as preset_of

    if resume:
        asked = {"preset": preset != "default", "recipe": recipe, "from": start_from}
        _check_resume(photos, files, seeds, flags, asked)
        return _run(_resumed(photos, files, flags, run), [], files)
    saved, arguments = _origin(start_from, photos)
    recipe = start_from if recipe is None else recipe
    names, several = photos_of(arguments)
    base = preset_of(preset)
    models: dict[str, str | Path] = {}
    over, own = recipe_settings(recipe, flags, models, trusted=files.trust_model)
    _check_preset(preset, recipe, over, own_network=over.network in models)
    out = STANDARD if files.out is None and names == [STANDARD] else files.out
    folder = folder_of(out, several=several)
    request = Request(
        photo=names[0],
        recipe=over.over(base),
        run=run or RunSettings(),
        out=None if folder is not None else out,
        folder=folder,
        weights=files.weights,
        notes=files.notes,
        strip=files.strip,
        keep_octaves=files.save_octaves,
        start=saved,
        yes=files.yes,
        models=models,
        files=recipe_files(files.file, recipe, *names),
        before_download=None if files.yes else consent([own.over(base)]),
        trust_model=files.trust_model,
    )
    if seeds.variations is not None:
        return _variations(request, names, seeds, files)
    return _run(request, names if several else [], files)


def _check_resume(
    photos: Sequence[str],
    files: FileFlags,
    seeds: SeedFlags,
    flags: RecipeFlags,
    asked: Mapping[str, object],
) -> None:
    """Refuses settings for a dream that has its own."""
    if len(photos) > 1:
        raise InputError(
            "One dream must be gone on with at a time",
            received=f"{len(photos)} photos",
            hint="name one; a batch goes on by itself: `dream batch`",
        )
    from keras_dream.zoo import user_models

    own = set(flags.model_fields_set if flags else ())
    if flags and user_models.is_file(flags.network):
        own -= {"network"}  # a file for the network that the dream has
    asked = {
        **asked,
        "variations": seeds.variations,
        "no-notes": not files.notes,
        "strip": files.strip,
        "save-octaves": files.save_octaves,
        **dict.fromkeys(own, True),
    }
    given = [f"--{name.replace('_', '-')}" for name, value in asked.items() if value]
    if given:
        raise InputError(
            "A dream that goes on must keep its settings, which its checkpoint has",
            received=f"{', '.join(sorted(given))} as well",
            hint="leave that out, or go on with other settings by --from PICTURE",
        )


def _resumed(
    photos: Sequence[str], files: FileFlags, flags: RecipeFlags, run: RunFlags
) -> Request:
    """Returns the request of an unfinished dream."""
    from keras_dream.cli.commands.replay import run_settings
    from keras_dream.pictures.sources import is_source
    from keras_dream.replay import find_files, find_models, find_source
    from keras_dream.resume import find_unfinished, read_resumable
    from keras_dream.zoo import user_models

    photo = photos[0] if photos else None
    resumable = read_resumable(find_unfinished(photo, files.out))
    saved, models = resumable.saved, {}
    recipe_settings(None, flags, models, trusted=files.trust_model)
    names = user_models.files_of(saved.recipe)
    settings, notices = run_settings(saved, run)
    source = None if photo is None or is_source(photo) else photo
    return Request(
        photo=str(find_source(saved, photo=source)),
        recipe=saved.recipe,
        run=settings,
        out=str(resumable.picture),
        weights=files.weights,
        notes=resumable.context.notes,
        strip=resumable.context.strip,
        keep_octaves=resumable.context.keep_octaves,
        yes=files.yes,
        models=find_models(
            saved, names, files=tuple(models.values()), trusted=files.trust_model
        ),
        files=find_files(saved, named=files.file),
        before_download=None if files.yes else consent([]),
        trust_model=files.trust_model,
        resumed=resumable,
        notices=lambda record: (*notices, *resumable.notices(record)),
    )


def _origin(
    start_from: str | None, photos: Sequence[str]
) -> "tuple[Saved | None, Sequence[str]]":
    """Returns the dream to go on from, and its photo in the place of none."""
    from keras_dream.replay import find_source, read_saved

    if start_from is None:
        return None, photos
    if len(photos) > 1:
        raise InputError(
            "A dream must go on with its own photo",
            received=f"{len(photos)} photos",
            hint="name the one that was dreamed, or none if it is beside the dream",
        )
    saved = read_saved(start_from)
    return saved, [str(find_source(saved, photo=photos[0] if photos else None))]


def _variations(
    request: Request, photos: list[str], asked: SeedFlags, files: FileFlags
) -> int:
    """Dreams a sheet of seeds in the request's place."""
    from keras_dream.pictures.sources import is_source
    from keras_dream.sheets.choices import SIDE, seeds

    unfit = STANDARD in (*photos, request.out) or is_source(request.photo)
    if len(photos) > 1 or unfit:
        raise InputError(
            "Variations must be those of one photo in a file, on a sheet in another",
            received="several photos" if len(photos) > 1 else "none in a file",
            hint="name one photo",
        )
    choices = Choices(
        kind="variations",
        photo=request.photo,
        recipes=seeds(request.recipe, asked.variations or 0),
        out=request.out,
        side=SIDE,
        diversity=_diversity(asked.diversity),
        loaded={
            "networks": request.networks,
            "run": request.run,
            "files": request.files,
            "before_download": request.before_download,
        },
    )
    flags = SheetFlags(
        trust_model=files.trust_model,
        yes=files.yes,
        quiet=files.quiet,
        json=files.json,
    )
    return run_choices(choices, flags, how=lambda sheet: _line(request, sheet))


def _diversity(diversity: float) -> float:
    """Returns how strongly variations are pushed apart, if it is possible."""
    if not 0 <= diversity <= MOST_DIVERSITY:
        raise InputError(
            f"--diversity must be a number from 0 to {MOST_DIVERSITY}",
            received=str(diversity),
            hint="try 3",
        )
    return diversity


def _line(request: Request, sheet: "Sheet") -> str:
    """Returns the line that dreams the second variation in full."""
    cell = sheet.cells[:2][-1].path
    # The small photo had fewer octaves than the whole one has.
    words = ["dream", request.photo, "--recipe", str(cell), "--octaves", "auto"]
    for weights in request.weights:
        words += ["--weights", weights]
    return shlex.join(words)


def _run(request: Request, photos: list[str], flags: FileFlags) -> int:
    """Dreams the request's photo, or several in its place."""

    def reporter() -> Reporter:
        return reporter_for(quiet=flags.quiet, json=flags.json)

    if STANDARD in photos:
        raise InputError(
            "Standard input must be the only photo",
            received=f"it and {len(photos) - 1} more",
            hint="leave - out, or name nothing else",
        )
    if request.out == STANDARD:
        _check_output(json=flags.json)
    if photos:
        requests = [replace(request, photo=name) for name in photos]
        return run_dreams(requests, reporter, json=flags.json)
    if request.photo != STANDARD:
        return run_dream(request, reporter()).exit_code
    with tempfile.TemporaryDirectory(prefix="dream-") as temporary:
        photo = read_standard_input(Path(temporary))
        return run_dream(replace(request, photo=str(photo)), reporter()).exit_code


def _check_preset(
    preset: str, recipe: str | None, over: Recipe, *, own_network: bool
) -> None:
    """Refuses a preset for another network, or of which a recipe file leaves nothing.

    Args:
        preset: Its name.
        recipe: A recipe file, or None.
        over: The settings over the preset.
        own_network: Whether the network is a file of the user's.
    """
    from keras_dream.dreamer.dreamer import check_preset
    from keras_dream.recipe.presets import preset as preset_of

    if not own_network:
        check_preset(preset, over.over(preset_of(preset)))
    if recipe is None or preset == "default":
        return
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
