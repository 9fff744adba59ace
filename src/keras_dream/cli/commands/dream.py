"""`dream PHOTO`, and how any dream is run from the shell."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

from cyclopts import Group, Parameter

from keras_dream.cli.errors import near
from keras_dream.cli.interrupts import STOPPED, Interrupts
from keras_dream.cli.options import Trust, asked_for, consent, weights_of
from keras_dream.cli.output import write_stderr
from keras_dream.cli.reporters.telling import Start, Teller, teller
from keras_dream.errors import (
    InputError,
    OutputError,
    PictureError,
    WeightsError,
    short_repr,
)
from keras_dream.parts.canvases import Canvas
from keras_dream.parts.losses import Loss
from keras_dream.parts.optimizers import Optimizer
from keras_dream.recipe.objectives import Objective
from keras_dream.recipe.recipe import Recipe, RunSettings

if TYPE_CHECKING:
    from keras_dream.engine.loop import Run
    from keras_dream.engine.result import Dream, Record
    from keras_dream.weights.source import BeforeDownload

FILES = Group("Photo and result", sort_key=1)
TELLING = Group("Telling", sort_key=2)
RECIPE = Group("Recipe: what decides the dream", sort_key=3)
RUN = Group("Run settings: how it is computed", sort_key=4)

MOST_WORK = 2_000_000_000
"""Pixels times steps times networks that run without `--yes`: the default recipe on a
photo of 48 megapixels, or about an hour with Inception V3 on two cores, which make
600,000 pixels a second of it (design: 400 × 600 pixels in 0.4 s)."""

MOST_PIXELS = 64_000_000
"""The largest octave that runs without `--yes`: more than any camera of a phone takes.
A gradient holds the maps of every layer at once, hundreds of bytes or more a pixel."""

_SWITCH = Parameter(negative=(), show_default=False)

Switch = Annotated[bool, _SWITCH]
Yes = Annotated[bool, _SWITCH, Parameter(group=FILES)]
Quiet = Annotated[bool, _SWITCH, Parameter(group=TELLING)]
Json = Annotated[bool, _SWITCH, Parameter(group=TELLING)]
Out = Annotated[str | None, Parameter(alias="-o", group=FILES, metavar="FILE")]
File = Annotated[str | None, Parameter(group=FILES, metavar="FILE")]
Weights = Annotated[
    tuple[str, ...],
    Parameter(negative=(), group=FILES, metavar="FILE", show_default=False),
]
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


def dream(
    photo: Annotated[str, Parameter(group=FILES)],
    /,
    *,
    out: Out = None,
    weights: Weights = (),
    trust_model: Annotated[Trust, Parameter(group=FILES)] = False,
    notes: Annotated[bool, Parameter(group=FILES)] = True,
    yes: Yes = False,
    quiet: Quiet = False,
    json: Json = False,
    preset: Annotated[str, Parameter(group=RECIPE, metavar="NAME")] = "default",
    recipe: Annotated[str | None, Parameter(group=RECIPE, metavar="FILE")] = None,
    flags: RecipeFlags = None,
    run: RunFlags = None,
) -> int:
    """Dream a photo.

    Args:
        photo: a PNG, JPEG, WebP, TIFF, AVIF, GIF or BMP file
        out: the result, .png, .jpg, .webp or .tif; else PHOTO-dream.png
        weights: a weights file for the network; NETWORK=FILE for one of several
        trust_model: open a .keras file given as --network, which builds whatever its
            author wrote into it
        notes: keep recipe and record in the result's metadata
        yes: begin even what may take hours, or a download that only FILE asks for
        quiet: tell nothing but the path of the result
        json: tell in JSON on standard output, one event a line
        preset: the recipe to begin with, see `dream presets`
        recipe: a .json file or a dreamed picture, over the preset; flags go over both
        flags: every setting of the recipe
        run: every run setting
    """
    from keras_dream.recipe.presets import preset as preset_of

    models: dict[str, str | Path] = {}
    over, given = asked_for(recipe, flags, models, trusted=trust_model)
    base = preset_of(preset)
    job = Job(
        photo=photo,
        recipe=over.over(base),
        run=run or RunSettings(),
        out=out,
        weights=weights,
        notes=notes,
        yes=yes,
        models=models,
        before_download=None if yes else consent([given.over(base)]),
        trust_model=trust_model,
    )
    return carry_out(job, teller(quiet=quiet, json=json)).exit_code


@dataclass(frozen=True)
class Job:
    """One picture to dream.

    Attributes:
        photo: Its path.
        recipe: What decides the dream.
        run: How it is computed.
        out: Where the result goes; None for beside the photo.
        weights: Weights files as they were given: FILE or NETWORK=FILE.
        notes: Whether recipe and record ride along.
        yes: Whether long work was agreed to.
        models: The model files that the recipe's names stand for.
        before_download: Asked before weights are downloaded, as for `Dreamer`.
        trust_model: Whether they may be opened.
        most_steps: After how many steps to stop, or None.
        before: Asked before the first step, with a record that has no losses yet, for
            what a person should know.
    """

    photo: str
    recipe: Recipe
    run: RunSettings
    out: str | None = None
    weights: tuple[str, ...] = ()
    notes: bool = True
    yes: bool = False
    models: "Mapping[str, str | Path]" = field(default_factory=dict)
    before_download: "BeforeDownload | None" = None
    trust_model: bool = False
    most_steps: int | None = None
    before: "Callable[[Record], Sequence[str]] | None" = None


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes:
        dream: The dream; None if it was stopped before its first step.
        path: Where it was saved.
        stopped: Whether a person stopped it.
        fetching: Whether weights were being downloaded then.
    """

    dream: "Dream | None"
    path: Path
    stopped: bool = False
    fetching: bool = False

    @property
    def exit_code(self) -> int:
        """130 if stopped, else 0."""
        return STOPPED if self.stopped else 0


def carry_out(job: Job, told: Teller) -> Outcome:
    """Dreams a picture, tells how it goes, and saves the result.

    Ctrl-C saves what there is.

    Args:
        job: What to dream.
        told: Who tells.

    Raises:
        DreamError: For whatever hinders it; nothing is left behind.
    """
    from keras_dream.files import default_output

    path = _checked(job)
    with told, Interrupts() as interrupts:
        outcome = _dream(job, path, told, interrupts)
        dream = outcome.dream
        if dream is not None:
            if job.out is None and path.exists():
                # A run at the same time was the first to take the free name.
                outcome = replace(outcome, path=default_output(job.photo))
            dream.save(outcome.path, notes=job.notes)
            told.saved(outcome.path, complete=dream.record.complete)
    if outcome.stopped and outcome.dream is None:
        kept = ", but for what has come of the weights" if outcome.fetching else ""
        write_stderr(f"dream: Stopped before the first step; nothing is saved{kept}.")
    elif outcome.stopped:
        write_stderr(
            "dream: Stopped; what there is was saved as "
            f"{short_repr(str(outcome.path))}."
        )
    return outcome


def _checked(job: Job) -> Path:
    """Makes sure of everything that is cheap to look at; returns the result's path."""
    from keras_dream.files import check_file, check_output, default_output
    from keras_dream.pictures.encoding import SUFFIXES
    from keras_dream.zoo import load as zoo, user_models

    photo = _check_photo(job.photo)
    for name in dict.fromkeys(str(n.network) for n in job.recipe.networks):
        if user_models.is_file(name):
            user_models.check(
                user_models.resolve(name, job.models), trusted=job.trust_model
            )
        else:
            zoo.entry(name)
    for file in weights_of(job.weights, job.recipe).values():
        check_file(file, "A weights file", error=WeightsError)
    path = check_output(default_output(photo) if job.out is None else job.out, SUFFIXES)
    if path.exists() and path.samefile(photo):
        raise OutputError(
            "A result must not replace its own photo",
            received=short_repr(str(path)),
            hint="try another name",
        )
    return path


def _check_photo(photo: str) -> Path:
    """Makes sure that the photo is a file: it may be a mistyped command, too."""
    from keras_dream.cli.app import COMMANDS
    from keras_dream.files import check_file

    try:
        return check_file(photo, "A picture", error=PictureError)
    except PictureError as error:
        close = near(photo, COMMANDS)
        if not close or Path(photo).exists():
            raise
        raise PictureError(
            "A picture must be a file that can be read",
            received=f"{short_repr(photo)}, which does not exist",
            hint=f"if you meant the command, try `dream {close}`",
        ) from error


def _dream(job: Job, path: Path, told: Teller, interrupts: Interrupts) -> Outcome:
    """Loads the network and dreams; a signal before the first step leaves nothing."""
    from keras_dream.dreamer.dreamer import Dreamer
    from keras_dream.pictures.picture import read_picture

    fetching = False

    def download(done: int, total: int | None) -> None:
        nonlocal fetching
        fetching = done != total
        told.download(done, total)

    try:
        picture = read_picture(job.photo)
        size = (picture.pixels.shape[0], picture.pixels.shape[1])
        if not job.yes:
            check_work(size, job.recipe)
        names = dict.fromkeys(str(network.network) for network in job.recipe.networks)
        told.loading(" + ".join(names))
        dreamer = Dreamer.of(
            job.recipe,
            models=job.models,
            trust_model=job.trust_model,
            weights=weights_of(job.weights, job.recipe),
            run=job.run,
            progress=download,
            before_download=job.before_download,
        )
        octaves, notices = dreamer.octaves(size, job.recipe)
        if not job.yes:
            check_memory(*dreamer.memory(size, job.recipe))
        more = job.before(dreamer.record(picture)) if job.before else ()
        for notice in (*notices, *more):
            told.notice(notice)
        told.started(
            Start(job.photo, path, " + ".join(names), size, octaves, job.recipe.steps)
        )
        steps = dreamer.steps(picture, job.recipe)
    except KeyboardInterrupt:
        interrupts.hold()
        return Outcome(None, path, stopped=True, fetching=fetching)
    return _climb(steps, job, path, told, interrupts)


def _climb(
    run: "Run", job: Job, path: Path, told: Teller, interrupts: Interrupts
) -> Outcome:
    """Makes the steps; a signal ends them, and the last one's dream is the result."""
    count = 0
    try:
        interrupts.check()
        for step in run:
            count += 1
            told.step(step)
            interrupts.check()
            if job.most_steps is not None and count >= job.most_steps:
                break
        interrupts.hold()
    except KeyboardInterrupt:
        # Signals after the first are swallowed: what follows must come to its end.
        interrupts.hold()
        return Outcome(run.dream if count else None, path, stopped=True)
    return Outcome(run.dream, path)


def check_work(size: tuple[int, int], recipe: Recipe) -> None:
    """Asks for `--yes` where a dream would take very long or very much memory."""
    from keras_dream.engine.loop import octaves_of, work

    pixels = max(h * w for h, w in (octave.size for octave in octaves_of(size, recipe)))
    if pixels > MOST_PIXELS:
        raise InputError(
            f"An octave of more than {MOST_PIXELS:,} pixels must be agreed to with "
            "--yes",
            received=f"a recipe whose largest has {pixels:,} pixels",
            hint="try fewer octaves_above, a smaller picture, or --yes",
        )
    predicted = work(size, recipe)
    if predicted > MOST_WORK:
        raise InputError(
            f"Work of more than {MOST_WORK:,} pixels times steps times networks must "
            "be agreed to with --yes",
            received=f"a recipe of {predicted:,}",
            hint="try fewer steps, a smaller picture, or --yes",
        )


def check_memory(needed: int, total: int | None) -> None:
    """Asks for `--yes` where the system would kill the process rather than fail."""
    if total is not None and needed > total:
        raise InputError(
            f"A dream that needs more memory than the {total / 1e9:.1f} GB of this "
            "device must be agreed to with --yes",
            received=f"one of about {needed / 1e9:.1f} GB",
            hint="try a smaller picture, an earlier layer, or a smaller network",
        )
