"""Dreams from the shell: everything is checked first, then they run and are saved."""

import contextlib
import gc
import math
import os
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_dream.cli.interrupts import STOPPED, Interrupts
from keras_dream.cli.network_files import networks_of, weights_of
from keras_dream.cli.output import plain, write_failure, write_picture, write_stderr
from keras_dream.cli.photos import STANDARD
from keras_dream.cli.reporters.base import Reporter
from keras_dream.errors import (
    DownloadError,
    DreamError,
    InputError,
    NetworkError,
    ObjectiveError,
    OutputError,
    PictureError,
    RunError,
    SaveError,
    SettingError,
    WeightsError,
    short_repr,
)
from keras_dream.events import (
    Loading,
    NextPhoto,
    Notice,
    OctaveSize,
    Saved,
    Started,
    Stopped,
)
from keras_dream.files import checkpoint_path, octaves_path
from keras_dream.recipe.files import Files
from keras_dream.recipe.recipe import Recipe, RunSettings

if TYPE_CHECKING:
    import numpy as np

    from keras_dream.claims import Claim
    from keras_dream.dreamer.dreamer import Dreamer
    from keras_dream.engine.checkpoint import Checkpoint
    from keras_dream.engine.loop import Run
    from keras_dream.engine.result import Dream, Record
    from keras_dream.pictures.picture import Picture
    from keras_dream.replay import Saved as SavedDream
    from keras_dream.resume import Checkpoints, Resumable
    from keras_dream.weights.source import BeforeDownload
    from keras_dream.zoo.network import Network

MOST_SECONDS = 3600.0
"""What a dream may take without `--yes`, as `engine.cost` predicts it: the default
recipe on a photo of 48 megapixels takes 50 minutes."""

BYTES = 2
"""Of a pixel of a .png or .tif file of 8 bits, about: dreams are full of detail and
have 2.2 to 2.8. The disk must have room for it before a dream begins."""

SMALL_BYTES = 0.5
"""The same of a .jpg or .webp file."""


@dataclass(frozen=True)
class Request:
    """One dream as the user asked for it.

    Attributes:
        photo: The photo's path, or a source without one, such as noise:640x480.
        recipe: What decides the dream.
        run: How it is computed.
        out: The result's path; None for a name beside the photo, "-" for standard
            output.
        folder: Where a result without a path goes; None for beside the photo.
        beside: The picture by which a result without a path is called, and beside
            which it goes; None for the photo.
        weights: Weights files as the user wrote them: FILE or NETWORK=FILE.
        notes: Whether recipe and record are saved in the result.
        strip: Whether camera, date and copyright of the photo are left out of it.
        keep_octaves: Whether what each octave added is saved beside it.
        yes: Whether the user agreed to long work and to replacing a file.
        models: The model files that the recipe's names stand for.
        files: Finds the other files that the recipe names, such as guides.
        before_download: Called before weights are downloaded, as for `Dreamer`.
        trust_model: Whether model files may be opened.
        most_steps: After how many steps to stop, or None.
        start: The dream from which to go on, or None.
        resumed: The unfinished dream that goes on, or None.
        notices: Returns notices for the user from the record as it is before the first
            step, without losses; None for no notices.
    """

    photo: str
    recipe: Recipe
    run: RunSettings
    out: str | None = None
    folder: Path | None = None
    beside: Path | None = None
    weights: tuple[str, ...] = ()
    notes: bool = True
    strip: bool = False
    keep_octaves: bool = False
    yes: bool = False
    models: "Mapping[str, str | Path]" = field(default_factory=dict)
    files: Files = field(default_factory=Files)
    before_download: "BeforeDownload | None" = None
    trust_model: bool = False
    most_steps: int | None = None
    start: "SavedDream | None" = None
    resumed: "Resumable | None" = None
    notices: "Callable[[Record], Sequence[str]] | None" = None

    @property
    def networks(self) -> "list[Network]":
        """The networks for which the user named files."""
        weights = weights_of(self.weights, self.recipe)
        return networks_of(self.models, weights, trusted=self.trust_model)


@dataclass(frozen=True)
class Outcome:
    """How a request ended.

    Attributes:
        dream: The dream; None if it was stopped before its first step.
        path: Where it was saved.
        stopped: Whether the user stopped it.
        fetching: Whether weights were being downloaded then.
        checkpoint: Where it was stopped.
        checkpoints: What keeps it; None if it has no checkpoints.
        failure: What ended it after its first step, to be raised when it is saved.
        run: What has made a whole dream.
    """

    dream: "Dream | None"
    path: Path
    stopped: bool = False
    fetching: bool = False
    checkpoint: "Checkpoint | None" = None
    checkpoints: "Checkpoints | None" = None
    failure: Exception | None = None
    run: "Run | None" = None

    @property
    def exit_code(self) -> int:
        """130 if stopped, else 0."""
        return STOPPED if self.stopped else 0


class Loader:
    """Loads the dreamer of the first of several requests, which serves all of them."""

    def __init__(self) -> None:
        self._dreamer: Dreamer | None = None

    def load(self, request: Request, reporter: Reporter, progress: Any) -> "Dreamer":
        """Returns the dreamer of a request; those after it have the same recipe."""
        from keras_dream.dreamer.dreamer import Dreamer

        if self._dreamer is None:
            recipe = request.recipe.still
            reporter.report(Loading(_names(recipe)))
            self._dreamer = Dreamer.of(
                recipe,
                networks=request.networks,
                run=request.run,
                progress=progress,
                before_download=request.before_download,
                files=request.files,
            )
        return self._dreamer


# The same for every photo, so that no other one needs to be tried.
_FATAL = (
    DownloadError,
    NetworkError,
    ObjectiveError,
    OutputError,
    SaveError,
    SettingError,
    WeightsError,
)


def run_dreams(
    requests: Sequence[Request], reporter: Callable[[], Reporter], *, json: bool
) -> int:
    """Dreams several pictures with one recipe, one after the other.

    A picture that cannot be dreamed does not end the others. Ctrl-C does, and what is
    dreamed is kept.

    Args:
        requests: What to dream, with one recipe.
        reporter: Returns a reporter for one of them.
        json: Whether failures are shown as JSON, too.

    Returns:
        0; 1 if one could not be dreamed; 130 if the user stopped.

    Raises:
        DreamError: If none can be dreamed: the recipe, the network or the disk.
    """
    loader, failed, done = Loader(), list[str](), 0
    with Interrupts():
        try:
            for number, request in enumerate(requests, 1):
                shown = reporter()
                shown.report(NextPhoto(number, len(requests), request.photo))
                try:
                    outcome = run_dream(request, shown, loader=loader)
                except Exception as failure:
                    error = _of_photo(failure)
                    if error is None:
                        raise
                    failed.append(short_repr(request.photo))
                    write_failure(str(error), exit_code=error.exit_code, json=json)
                    continue
                done += not outcome.stopped
                if outcome.stopped:
                    raise KeyboardInterrupt
        except KeyboardInterrupt:
            count = f"{done} of {len(requests)} photos"
            write_stderr(f"dream: Stopped; {count} were dreamed, and are kept.")
            return STOPPED
    if failed:
        what = f"{len(failed)} of {len(requests)} photos could not be dreamed"
        write_stderr(f"dream: {what}: {', '.join(failed)}.")
    return 1 if failed else 0


def _of_photo(failure: Exception) -> DreamError | None:
    """Returns the error of one photo, or None for what would end every other, too."""
    from keras_dream.failures import is_out_of_memory, of_machine

    if isinstance(failure, DreamError):
        return None if isinstance(failure, _FATAL) else failure
    return of_machine(failure) if is_out_of_memory(failure) else None


def run_dream(
    request: Request,
    reporter: Reporter,
    *,
    loader: Loader | None = None,
    every: float | None = None,
) -> Outcome:
    """Dreams a picture, reports what happens, and saves the result.

    Ctrl-C saves the dream so far, and so does a failure after the first step. From time
    to time a checkpoint is saved, from which a killed dream goes on.

    Args:
        request: What to dream.
        reporter: Shows the events.
        loader: Loads the dreamer, or has it from another request.
        every: Seconds between two checkpoints; None for `resume.INTERVAL`.

    Raises:
        DreamError: If it cannot be dreamed or saved; no torn file is left.
    """
    from keras_dream.failures import is_out_of_memory

    with _claimed(request) as claim, reporter, Interrupts() as interrupts:
        job = _Job(request, claim.path, reporter, interrupts, loader or Loader(), every)
        outcome = _dream(job)
        if outcome.stopped:
            reporter.report(Stopped())
        dream = outcome.dream
        if dream is not None:
            try:
                outcome = replace(outcome, path=_save(dream, request, outcome.path))
            except Exception as failure:
                if is_out_of_memory(failure) and outcome.run is not None:
                    _keep_canvas(outcome.run, job, outcome.checkpoints)
                raise
            _keep(outcome, request)
            reporter.report(Saved(str(outcome.path), complete=dream.record.complete))
    if outcome.stopped and outcome.dream is None:
        kept = " except the downloaded part of the weights" if outcome.fetching else ""
        write_stderr(f"dream: Stopped before the first step; nothing is saved{kept}.")
    elif outcome.stopped:
        write_stderr(f"dream: Stopped; {_saved_so_far(outcome, request)}")
    elif outcome.failure is not None:
        write_stderr(f"The {_saved_so_far(outcome, request)[4:]}")
        raise outcome.failure
    return outcome


def _saved_so_far(outcome: Outcome, request: Request) -> str:
    saved, how = short_repr(str(outcome.path)), ""
    checkpoint = checkpoint_path(outcome.path)
    if outcome.checkpoints is not None and checkpoint.exists():
        from keras_dream.resume import command_for

        line = plain(command_for(checkpoint, photo=request.photo))
        how = f"; `{line}` goes on from there"
    return f"the dream so far was saved as {saved}{how}."


def _keep(outcome: Outcome, request: Request) -> None:
    """Saves where a dream was stopped; of a whole one no checkpoint is left."""
    kept, resumed = outcome.checkpoints, request.resumed
    if kept is None:
        return
    if outcome.checkpoint is None:
        kept.remove()
    else:
        try:
            kept.stop(outcome.checkpoint, outcome.path)
        except (DreamError, OSError) as failure:  # the picture is saved
            write_stderr(f"dream: The dream cannot go on exactly. {failure}")
            return
    if resumed is not None and resumed.path != checkpoint_path(outcome.path):
        with contextlib.suppress(OSError):
            resumed.path.unlink(missing_ok=True)


def _save(dream: "Dream", request: Request, path: Path) -> Path:
    """Saves a dream; returns its path, which is another if the name was taken.

    Raises:
        SaveError: If its place does not take it. It is kept elsewhere then.
    """
    from keras_dream.rescue import keep_elsewhere

    how: dict[str, Any] = {"notes": request.notes, "strip": request.strip}
    try:
        if request.out == STANDARD:
            write_picture(dream.encode(**how))
            return path
        replaces = request.out is not None and request.yes
        if request.resumed is not None:
            replaces = request.resumed.owns(path)
        return save_new(dream, path, **how, replaces=replaces)
    except (OutputError, RunError) as failure:
        name = "dream.png" if request.out == STANDARD else path.name
        raise keep_elsewhere(
            failure, name, lambda other: dream.save(other, **how)
        ) from failure


def save_new(
    dream: "Dream",
    path: Path,
    *,
    notes: bool = True,
    strip: bool,
    depth: str | None = None,
    replaces: bool = False,
) -> Path:
    """Saves a dream under a claimed name.

    Args:
        dream: The dream.
        path: Its file; if another program has made one of this name in the meantime, a
            number is added.
        notes: As for `Dream.save`.
        strip: As for `Dream.save`.
        depth: As for `Dream.save`.
        replaces: Whether it replaces a file of that name instead.

    Returns:
        The path.
    """
    from keras_dream.claims import claim

    if replaces or not os.path.lexists(path):
        return dream.save(path, notes=notes, strip=strip, depth=depth)
    with claim(path) as other:
        return dream.save(other.path, notes=notes, strip=strip, depth=depth)


def _claimed(request: Request) -> "Claim":
    """Checks whatever needs no loading; returns the claim on the result's name."""
    from keras_dream.claims import Claim, claim

    path = _checked(request)
    if request.out == STANDARD:
        return Claim(path, None)
    resumed = request.resumed
    own = request.out is not None if resumed is None else resumed.owns(path)
    return claim(path, exact=own)


def _checked(request: Request) -> Path:
    """Checks whatever needs no loading; returns the result's path."""
    from keras_dream.files import (
        check_file,
        check_not_same,
        check_output,
        default_output,
    )
    from keras_dream.pictures.encoding import SUFFIXES, check_depth
    from keras_dream.pictures.sources import file_stem, is_source, size_of
    from keras_dream.zoo.network import network_of

    if is_source(request.photo):
        size_of(request.photo)
        photo = Path(file_stem(request.photo) + ".png")
    else:
        photo = check_file(request.photo, "A picture", error=PictureError)
    recipe = request.recipe.still
    names = dict.fromkeys(str(n.network) for n in recipe.every_network)
    for number, name in enumerate(names):
        network_of(name, networks=request.networks, further=number > 0).check()
    request.files.check(recipe)
    check_alpha(request.recipe, request.out)
    if request.out == STANDARD and request.keep_octaves:
        raise InputError(
            "A result must be a file for its octaves to be saved beside it",
            received="- for standard output",
            hint="name a file with -o, or leave out --save-octaves",
        )
    depth = request.run.depth
    if request.out == STANDARD:
        check_depth(".png", depth)
        return Path(STANDARD)
    if request.out is None:
        beside = request.beside or photo
        suffix = ".png" if request.beside is None else beside.suffix
        folder = request.folder or beside.parent
        path = default_output(folder / beside.name, suffix=suffix)
        check_depth(path.suffix, depth)
        return check_output(path, SUFFIXES)
    path = check_output(request.out, SUFFIXES)
    check_depth(path.suffix, depth)
    check_not_same(path, photo, what="A result", instead="its own photo")
    # Not `exists`, which raises for a name that is too long for a checkpoint's.
    every = (path, *_beside(request, path))
    taken = [each for each in every if os.path.lexists(each)]
    if taken and not request.yes and request.resumed is None:
        raise OutputError(
            "A result must have a new name, or --yes to replace what is there",
            received=short_repr(str(taken[0])),
            hint="add --yes, or leave -o out: every dream then gets a name of its own",
        )
    return path


def _beside(request: Request, path: Path) -> list[Path]:
    """Returns the files that may be saved beside a result.

    Octaves are the same for `a.png` and `a.jpg`.
    """
    octaves = [octaves_path(path)] if request.keep_octaves else []
    return [*octaves, checkpoint_path(path)]


@dataclass(frozen=True)
class _Job:
    """A dream under way: what all of its parts need.

    Attributes:
        request: What to dream.
        path: Where the result will be.
        reporter: Shows the events.
        interrupts: Whether it is to stop.
        loader: Loads the dreamer.
        every: Seconds between two checkpoints, or None.
    """

    request: Request
    path: Path
    reporter: Reporter
    interrupts: Interrupts
    loader: Loader
    every: float | None

    def notice(self, *texts: str) -> None:
        """Reports what the user should know."""
        for text in filter(None, texts):
            self.reporter.report(Notice(text))


def _dream(job: _Job) -> Outcome:
    """Loads the network and dreams; a signal before the first step leaves nothing."""
    request, reporter, fetching = job.request, job.reporter, False

    def download(done: int, total: int | None) -> None:
        nonlocal fetching
        fetching = done != total
        reporter.download(done, total)

    try:
        picture = _picture(request)
        size = (picture.pixels.shape[0], picture.pixels.shape[1])
        dreamer = job.loader.load(request, reporter, download)
        octaves, notices = dreamer.octaves(size, request.recipe)
        _check_room(job, size, len(octaves), picture.bits)
        start, said = _start(request)
        if not request.yes:
            check_seconds(dreamer.seconds(size, request.recipe))
        run = dreamer.steps(
            picture, request.recipe, start=start, keep_octaves=request.keep_octaves
        )
        record = dreamer.record(picture)
        gradient = run.plan.text()
        record = replace(record, run={**record.run, "gradient": gradient})
        more = request.notices(record) if request.notices else ()
        job.notice(*picture.notices, *notices, *said, *more)
        each = tuple(
            OctaveSize(number, octave_size, request.recipe.at(number).steps)
            for number, octave_size in octaves
        )
        names = _names(request.recipe.still)
        reporter.report(Started(request.photo, str(job.path), names, size, each))
        job.notice(*run.plan.take_notices())
        if run.planned is not None:
            reporter.report(run.planned)
    except KeyboardInterrupt:
        job.interrupts.ignore()
        return Outcome(None, job.path, stopped=True, fetching=fetching)
    reported = frozenset((*picture.notices, *notices, *said))
    return _steps(run, job, _checkpoints(job, run, record), reported)


def _picture(request: Request) -> "Picture":
    """Reads the photo, or paints the source without one."""
    from keras_dream.pictures.picture import read_picture, read_size
    from keras_dream.pictures.sources import is_source, paint, size_of

    is_painted = is_source(request.photo)
    if not request.yes:  # before the pixels take memory
        size = size_of if is_painted else read_size
        check_work(size(request.photo), request.recipe)
    if is_painted:
        return paint(request.photo, seed=request.recipe.seed)
    picture = read_picture(request.photo)
    picture.pixels.setflags(write=False)  # ours alone: the dream need not copy it
    return picture


def _start(request: Request) -> "tuple[Checkpoint | np.ndarray | None, Sequence[str]]":
    """Returns where a dream goes on from, and notices."""
    from keras_dream.replay import start_of

    if request.resumed is not None:
        return request.resumed.checkpoint, ()
    return start_of(request.start, request.recipe) if request.start else (None, ())


def _check_room(job: _Job, size: tuple[int, int], octaves: int, bits: int) -> None:
    """Checks that the disk has room for the result, about."""
    from keras_dream.engine.finish import result_size
    from keras_dream.files import check_room
    from keras_dream.pictures.encoding import LOSSLESS, depth_of

    if job.request.out == STANDARD:
        return
    suffix = job.path.suffix.lower()
    depth = depth_of(suffix, job.request.run.depth, bits=bits)
    times = {"8": 1, "16": 2, "float": 4}[depth]
    result = math.prod(result_size(size, job.request.recipe))
    room = result * (BYTES * times if suffix in LOSSLESS else SMALL_BYTES)
    if job.request.keep_octaves:  # float32 and float16, hardly compressible
        room += math.prod(size) * 3 * (4 + 2 * octaves) / 2
    check_room(job.path, int(room))


def _checkpoints(job: _Job, run: "Run", record: "Record") -> "Checkpoints | None":
    """Returns what keeps a dream, so that it can be resumed; None for those without."""
    from keras_dream.engine.checkpoint import Context
    from keras_dream.recipe.settings import canonical_json
    from keras_dream.resume import INTERVAL, Checkpoints

    request = job.request
    # What is to stop early must not be resumed to its end.
    if request.out == STANDARD or request.most_steps is not None:
        return None
    before = None if request.resumed is None else request.resumed.context
    context = Context(
        recipe=run.recipe.json_text(),
        record=canonical_json(record.data()),
        notes=request.notes,
        strip=request.strip,
        keep_octaves=request.keep_octaves,
        picture_sha256="" if before is None else before.picture_sha256,
    )
    every = INTERVAL if job.every is None else job.every
    return Checkpoints(job.path, context, every=every)


def _steps(
    run: "Run",
    job: _Job,
    checkpoints: "Checkpoints | None",
    reported: frozenset[str],
) -> Outcome:
    """Makes the steps; a signal ends them, and the last one's dream is the result."""
    request, interrupts, count = job.request, job.interrupts, 0
    try:
        interrupts.check()
        for step in run:
            count += 1
            job.notice(*run.plan.take_notices())
            job.reporter.report(step)
            interrupts.check()
            if request.most_steps is not None and count >= request.most_steps:
                break
            if checkpoints is not None:
                job.notice(checkpoints.update(run))
        interrupts.ignore()
    except KeyboardInterrupt:
        # Signals after the first are ignored: what follows must come to its end.
        interrupts.ignore()
        if not count:
            return Outcome(None, job.path, stopped=True)
        return _so_far(run, job, checkpoints, stopped=True)
    except Exception as failure:
        if not count:
            raise
        interrupts.ignore()
        return _rescued(run, job, checkpoints, failure)
    dream = run.dream
    # Why octaves have ended early.
    job.notice(*(text for text in dream.record.notices if text not in reported))
    return Outcome(dream, job.path, checkpoints=checkpoints, run=run)


def _so_far(
    run: "Run", job: _Job, checkpoints: "Checkpoints | None", **how: Any
) -> Outcome:
    """Returns the dream so far, and where it is."""
    checkpoint = run.checkpoint if checkpoints is not None else None
    return Outcome(
        run.dream, job.path, checkpoint=checkpoint, checkpoints=checkpoints, **how
    )


def _rescued(
    run: "Run", job: _Job, checkpoints: "Checkpoints | None", failure: Exception
) -> Outcome:
    """Returns the dream before a failure, which is raised if there is none."""
    from keras_dream.failures import is_out_of_memory

    if is_out_of_memory(failure):
        cause: BaseException | None = failure
        while cause is not None:  # their frames hold feature maps
            traceback.clear_frames(cause.__traceback__)
            cause = cause.__context__
        gc.collect()
    try:
        return _so_far(run, job, checkpoints, failure=failure)
    except Exception:  # noqa: BLE001 - no memory even for that
        _keep_canvas(run, job, checkpoints)
        raise failure from None


def _keep_canvas(run: "Run", job: _Job, checkpoints: "Checkpoints | None") -> None:
    """Saves where a dream is, where there is no memory to make its picture."""
    from keras_dream.resume import command_for

    if checkpoints is None:
        return
    try:
        checkpoints.keep(run)
    except Exception as failure:  # noqa: BLE001 - what has failed first is raised
        write_stderr(f"dream: The dream cannot be kept. {failure}")
        return
    line = plain(command_for(checkpoints.path, photo=job.request.photo))
    write_stderr(f"dream: The dream so far is kept; `{line}` goes on from there.")


def _names(recipe: Recipe) -> str:
    """Returns the names of a recipe's networks."""
    return " + ".join(dict.fromkeys(str(n.network) for n in recipe.every_network))


def check_alpha(recipe: Recipe, out: str | None) -> None:
    """Refuses a transparent result in a format without an alpha channel."""
    suffix = Path(out or "").suffix.lower()
    if recipe.transparency and suffix in (".jpg", ".jpeg"):
        raise OutputError(
            "A transparent result must be a .png, .webp, .tif or .exr file",
            received=short_repr(out),
            hint="try .png, or leave --transparency out",
        )


def check_work(size: tuple[int, int], recipe: Recipe) -> None:
    """Asks for `--yes` where a dream would take very long."""
    from keras_dream.engine.cost import seconds

    check_seconds(seconds(size, recipe))


def check_seconds(
    predicted: float,
    *,
    what: str = "A dream",
    hint: str = "try fewer steps, a smaller picture, fewer terms, or --yes",
) -> None:
    """Asks for `--yes` where a dream would take very long."""
    if predicted > MOST_SECONDS:
        raise InputError(
            f"{what} that may take more than an hour on two cores must be agreed to "
            "with --yes",
            received=f"a recipe of about {min(predicted / 3600, 1e9):,.1f} hours",
            hint=hint,
        )
