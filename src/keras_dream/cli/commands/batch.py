"""`dream batch IN… -o OUT`: many pictures as one job, which goes on where it was."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from keras_dream.cli.batch_run import Request, plan_batch, run_batch
from keras_dream.cli.network_files import recipe_settings
from keras_dream.cli.options import (
    FILES,
    OUTPUT,
    Json,
    Named,
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
from keras_dream.cli.photos import check_folder
from keras_dream.errors import InputError
from keras_dream.recipe.recipe import Recipe, RunSettings


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class BatchFlags:
    """What is made, what is made again, and by how many processes."""

    name: Annotated[
        str | None,
        Parameter(
            group=FILES,
            metavar="TEMPLATE",
            help="the names of the results, such as {stem}-{preset}-{seed}.jpg or "
            "{index:04d}; any setting of the recipe is a field [default: {stem}-dream]",
        ),
    ] = None
    format: Annotated[
        str | None,
        Parameter(group=FILES, help="of the results: png, jpg, webp or tif"),
    ] = None
    workers: Annotated[
        int | None,
        Parameter(
            group=FILES,
            metavar="NUMBER",
            help="how many processes dream; it does not change the pixels [default: as "
            "many as the machine has room for]",
        ),
    ] = None
    resume: Annotated[
        bool,
        Parameter(
            group=FILES, help="keep what an earlier run has made; else dream it again"
        ),
    ] = True
    skip_existing: Annotated[
        Switch,
        Parameter(
            group=FILES, help="leave out photos whose result exists, whoever made it"
        ),
    ] = False
    retry_failed: Annotated[
        Switch,
        Parameter(group=FILES, help="try photos again that failed in an earlier run"),
    ] = False
    watch: Annotated[
        Switch,
        Parameter(
            group=FILES,
            help="then wait for more photos in the folders, until Ctrl-C",
        ),
    ] = False
    contact_sheet: Annotated[
        bool,
        Parameter(
            group=FILES,
            help="draw all results, small and labelled, on OUT/contact-sheet.jpg",
        ),
    ] = True
    dry_run: Annotated[
        Switch,
        Parameter(
            group=OUTPUT,
            help="dream nothing: show what would be made, and about how long it takes",
        ),
    ] = False


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class FileFlags:
    """What is read and written, and how it is shown."""

    weights: Annotated[
        Weights,
        Parameter(
            help="a weights file for the network; with several networks NETWORK=FILE"
        ),
    ] = ()
    file: Annotated[
        Named,
        Parameter(
            help="a file that the recipes name, such as a guide, if it is not beside "
            "them"
        ),
    ] = ()
    trust_model: Annotated[
        Trust,
        Parameter(help="open a .keras file; only for files from authors you trust"),
    ] = False
    notes: Annotated[
        bool,
        Parameter(
            group=FILES, help="save the recipe and the record in the results' metadata"
        ),
    ] = True
    strip: Annotated[
        Strip,
        Parameter(
            help="leave out the photos' camera, date and copyright; their place always "
            "is"
        ),
    ] = False
    yes: Annotated[
        Yes,
        Parameter(
            help="replace files that this batch did not write; allow dreams that may "
            "take hours, and downloads that only a manifest or --recipe needs"
        ),
    ] = False
    quiet: Annotated[Quiet, Parameter(help="print only the paths of the results")] = (
        False
    )
    json: Annotated[
        Json, Parameter(help="print JSON on standard output, one event a line")
    ] = False


_BATCH = BatchFlags()
_FILES = FileFlags()


def batch(
    *inputs: Annotated[str, Parameter(name="IN", group=FILES, negative=())],
    out: Annotated[str, Parameter(alias="-o", group=FILES, metavar="FOLDER")],
    batch_of: BatchFlags = _BATCH,
    files: FileFlags = _FILES,
    preset: Preset = "default",
    recipe: RecipeFile = None,
    flags: RecipeFlags = None,
    run: RunFlags = None,
) -> int:
    """Dream many photos as one job, which goes on where it was stopped.

    dream batch photos/ -o dreams

    Of a folder it dreams all pictures, also those in folders below it; the
    results lie in the same folders below OUT. A manifest, a .jsonl or .csv file,
    has a photo and settings of its own on each line. The same command goes on
    after Ctrl-C, a failure or a power cut: what is done is kept. One bad picture
    does not end it.

    Args:
        inputs: photos, folders, patterns such as "a/**/*.jpg", sources, and manifests
        out: the folder of the results
        batch_of: what is made, what is made again, and by how many processes
        files: what is read and written, and how it is shown
        preset: the recipe to start from, see `dream presets`; a line of a manifest
            may have another
        recipe: a .json file or a dreamed picture; replaces settings of the preset
        flags: every setting of the recipe; replaces those of manifests, too
        run: every run setting
    """
    if not inputs:
        raise InputError(
            "There must be photos to dream",
            received="none",
            hint="try `dream batch photos/ -o dreams`",
        )
    request = _request(inputs, out, batch_of, files, preset, recipe, flags, run)
    if batch_of.dry_run:
        return plan_batch(request, json=files.json)
    return run_batch(request, quiet=files.quiet, json=files.json)


def _request(
    inputs: tuple[str, ...],
    out: str,
    batch_of: BatchFlags,
    files: FileFlags,
    preset: str,
    recipe: str | None,
    flags: Recipe | None,
    run: RunSettings | None,
) -> Request:
    """Returns the batch that is asked for."""
    from keras_dream.batches.naming import template
    from keras_dream.batches.plan import Wanted
    from keras_dream.dreamer.dreamer import check_preset
    from keras_dream.recipe.presets import preset as preset_of

    base = preset_of(preset)
    models: dict[str, str | Path] = {}
    over, own = recipe_settings(recipe, flags, models, trusted=files.trust_model)
    if over.network not in models:
        check_preset(preset, over.over(base))
    wanted = Wanted(
        inputs=inputs,
        folder=check_folder(out),
        flags=own,
        file=over,
        preset=preset,
        template=template(batch_of.name, batch_of.format),
        files=files.file,
        beside=recipe or "",
        models=tuple(models),
    )
    return Request(
        wanted=wanted,
        agreed=own.over(base),
        run=run or RunSettings(),
        weights=files.weights,
        models=models,
        trust_model=files.trust_model,
        yes=files.yes,
        watch=batch_of.watch,
        contact_sheet=batch_of.contact_sheet,
        options={
            "notes": files.notes,
            "strip": files.strip,
            "workers": batch_of.workers,
            "resume": batch_of.resume,
            "retry_failed": batch_of.retry_failed,
            "skip_existing": batch_of.skip_existing,
        },
    )
