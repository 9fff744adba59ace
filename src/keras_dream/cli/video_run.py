"""Films from the shell: checked, planned, dreamed frame by frame, and summed up."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from keras_dream.cli.command_line import forget, remember
from keras_dream.cli.dream_run import check_seconds
from keras_dream.cli.interrupts import STOPPED, Interrupts
from keras_dream.cli.network_files import networks_of, weights_of
from keras_dream.cli.output import plain, write_stderr
from keras_dream.cli.reporters.base import Reporter
from keras_dream.cli.reporters.eta import in_words
from keras_dream.errors import DreamError, InputError, OutputError, short_repr
from keras_dream.events import (
    FilmPlanned,
    FrameDone,
    Loading,
    Notice,
    Saved,
    Stopped,
)
from keras_dream.recipe.recipe import Recipe, RunSettings
from keras_dream.recipe.times import seconds_of

if TYPE_CHECKING:
    from keras_dream.dreamer.dreamer import Dreamer
    from keras_dream.video.from_picture import PictureRun
    from keras_dream.video.run import VideoRun
    from keras_dream.video.setup import Selection, Setup
    from keras_dream.video.sink import Encoding
    from keras_dream.weights.source import BeforeDownload

    FilmRun = VideoRun | PictureRun

PREVIEW_SECONDS = 1
"""How much of a film a preview shows."""

PREVIEW_SHARE = 4
"""How many times shorter the sides of a preview are."""

_LEAST_SIDE = 160  # pixels of a preview, where the film has them: less shows nothing


@dataclass(frozen=True)
class Request:
    """A film as the user asked for it.

    Attributes:
        source: The path of a video, a folder of pictures, a GIF or a WebP.
        recipe: What decides the film; it has settings of a film.
        run: How it is computed.
        encoding: How it is saved.
        out: The film's path; None for a name beside the source.
        start: When it begins in the source, as text, or None.
        end: When it ends, as text, or None.
        every: Of so many frames one is dreamed.
        fps: Frames a second of a folder of pictures; None for the usual.
        sound: A file whose sound the film has in place of the source's, or None.
        workers: How many processes dream; None for as many as there is room for.
        fresh: Whether what an earlier run has dreamed is dreamed again.
        preview: Whether only a preview is dreamed.
        weights: Weights files as the user wrote them: FILE or NETWORK=FILE.
        notes: Whether recipe and record are saved in the film.
        yes: Whether the user agreed to long work and to replacing a file.
        models: The model files that the recipe's names stand for.
        files: Files that the recipe may name, such as guides.
        beside: Files beside which they are looked for, too; "" for none.
        before_download: Called before weights are downloaded, as for `Dreamer`.
        trust_model: Whether model files may be opened.
    """

    source: str
    recipe: Recipe
    run: RunSettings
    encoding: "Encoding"
    out: str | None = None
    start: str | None = None
    end: str | None = None
    every: int = 1
    fps: float | None = None
    sound: str | None = None
    workers: int | None = None
    fresh: bool = False
    preview: bool = False
    weights: tuple[str, ...] = ()
    notes: bool = True
    yes: bool = False
    models: "Mapping[str, str | Path]" = field(default_factory=dict)
    files: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    before_download: "BeforeDownload | None" = None
    trust_model: bool = False

    @property
    def setup(self) -> "Setup":
        """What the film is made from and by."""
        from keras_dream.pictures.limits import default_limits
        from keras_dream.video.setup import Setup

        weights = weights_of(self.weights, self.recipe)
        beside = [path for path in (self.source, *self.beside) if path]
        return Setup(
            source=self.source,
            recipe=self.recipe,
            selection=_selection(self),
            run=self.run,
            networks=networks_of(self.models, weights, trusted=self.trust_model),
            files=self.files,
            folders=[str(Path(path).parent) for path in beside],
            limits=default_limits(),
        )

    shorter: ClassVar[str] = (
        "see --preview, try fewer steps, a smaller --size, a shorter part (--from, "
        "--to), or --yes"
    )
    """What to try where the film would take very long."""

    @property
    def suffix(self) -> str:
        """How the name of a film ends that has none: as the source's, where it can."""
        source = Path(self.source)
        suffix = source.suffix.lower()
        if source.is_dir():
            return ""
        return suffix if suffix in (".gif", ".webp") else ".mp4"

    def check_source(self, setup: "Setup") -> None:
        """Refuses a source, or a sound, that cannot be read."""
        from keras_dream.video.sound import opened

        setup.open()
        if self.sound is not None:
            with opened(Path(self.sound)):
                pass

    def begin(
        self,
        setup: "Setup",
        path: Path,
        dreamer: "Dreamer | Callable[[Setup], Dreamer]",
    ) -> "FilmRun":
        """Returns the run that makes the film.

        Args:
            setup: What it is made from and by.
            path: The film.
            dreamer: What dreams, or what loads that.
        """
        from keras_dream.video.run import VideoRun

        how = {**self.run_options, "workers": self.workers}
        return VideoRun(setup, path, dreamer=dreamer, **how)

    @property
    def run_options(self) -> dict[str, Any]:
        """What every run of a film is told of how it is saved and gone on with."""
        return {
            "encoding": self.encoding,
            "sound": self.sound,
            "resume": not self.fresh,
            "notes": self.notes,
        }

    def previewed(self, setup: "Setup", side: int) -> "Setup":
        """Returns what the preview is made from and by.

        Args:
            setup: The film's.
            side: The longest side of the preview in pixels.
        """
        own = setup.selection
        end = own.start + PREVIEW_SECONDS
        return replace(
            setup,
            recipe=setup.recipe.but(size=side),
            selection=replace(own, end=end if own.end is None else min(own.end, end)),
        )


def run_video(request: Request, reporter: Reporter) -> int:
    """Dreams a film, or its preview, and saves it.

    What is done is kept in a hidden folder beside the film, from which the same command
    goes on, also after a crash.

    Args:
        request: What to dream.
        reporter: Shows the events.

    Returns:
        0, or 130 if the user stopped.

    Raises:
        DreamError: If it cannot be dreamed or saved; what is done is kept.
    """
    from keras_dream.claims import claim
    from keras_dream.video import extra

    extra.require()
    setup = request.setup
    path = _checked(request, setup)
    with reporter, Interrupts(repeated=True) as interrupts:
        job = _Job(request, setup, path, reporter, interrupts)
        try:
            if request.preview:
                return _preview(job)
            with claim(path, exact=True):
                return _film(job)
        except KeyboardInterrupt:
            interrupts.ignore()
            reporter.report(Stopped())
            write_stderr(
                "dream: Stopped before the first frame was done; nothing is kept."
            )
            return STOPPED


@dataclass(frozen=True)
class _Job:
    """A film under way.

    Attributes:
        request: What to dream.
        setup: What it is made from and by.
        path: The film.
        reporter: Shows the events.
        interrupts: Whether it is to stop.
    """

    request: Request
    setup: "Setup"
    path: Path
    reporter: Reporter
    interrupts: Interrupts

    def dreamer(self, setup: "Setup | None" = None) -> "Dreamer":
        """Loads the networks; a download is shown."""
        names = dict.fromkeys(str(n.network) for n in self.request.recipe.every_network)
        self.reporter.report(Loading(" + ".join(names)))
        return (setup or self.setup).dreamer(
            progress=self.reporter.download,
            before_download=self.request.before_download,
        )


def _selection(request: Request) -> "Selection":
    """Returns which frames are dreamed.

    Raises:
        SettingError: If a time is none.
        InputError: If they end before they begin.
    """
    from keras_dream.video.setup import Selection

    start = (
        Fraction(0) if request.start is None else seconds_of(request.start, "--from")
    )
    end = None if request.end is None else seconds_of(request.end, "--to")
    if end is not None and end <= start:
        raise InputError(
            "--to must be later than --from",
            received=f"{request.end} after {request.start or 0}",
            hint="swap them, or leave one out",
        )
    rate = None if request.fps is None else Fraction(str(request.fps))
    return Selection(start, end, request.every, rate)


def _checked(request: Request, setup: "Setup") -> Path:
    """Checks whatever needs no loading; returns the film's path."""
    from keras_dream.files import check_not_same, default_output
    from keras_dream.video.sink import check_film
    from keras_dream.zoo.network import network_of

    request.check_source(setup)
    names = dict.fromkeys(str(n.network) for n in request.recipe.every_network)
    for number, name in enumerate(names):
        network_of(name, networks=setup.networks, further=number > 0).check()
    setup.finder().check(request.recipe)
    path = Path(request.out or default_output(request.source, suffix=request.suffix))
    check_film(path, request.encoding)
    check_not_same(path, request.source, what="A film", instead="its own source")
    if os.path.lexists(path) and not (request.yes or request.preview):
        raise OutputError(
            "A film must have a new name, or --yes to replace what is there",
            received=short_repr(str(path)),
            hint="add --yes, or leave -o out: every film then gets a name of its own",
        )
    return path


def _film(job: _Job) -> int:
    """Dreams the whole film."""
    # Where workers may share a film, its run loads the networks with their threads.
    is_shared = type(job.request) is Request
    dreamer = job.dreamer if is_shared else job.dreamer()
    run = job.request.begin(job.setup, job.path, dreamer)
    try:
        return _follow(run, job)[0]
    except DreamError:
        job.interrupts.ignore()
        run.close()
        if run.summary.done + run.summary.reused:
            write_stderr(f"dream: {_kept(run)[:1].upper()}{_kept(run)[1:]}")
        else:
            _discard(run)
        raise


def _follow(run: "FilmRun", job: _Job) -> tuple[int, float]:
    """Reports what happens; returns the exit code, and what the frames have taken."""
    saved, seconds = list[Saved](), 0.0
    try:
        for event in run:
            if isinstance(event, Saved):
                job.interrupts.ignore()
                saved.append(event)  # after the summary: the path comes last
                continue
            job.reporter.report(event)
            if isinstance(event, FilmPlanned):
                if not job.request.yes:
                    hint = job.request.shorter
                    check_seconds(event.seconds, what="A film", hint=hint)
                remember(event.folder)
            elif isinstance(event, FrameDone):
                seconds += event.seconds
            job.interrupts.check()
    except KeyboardInterrupt:
        job.interrupts.ignore()
        run.close()
        if not run.summary.done + run.summary.reused:
            _discard(run)
            raise
        job.reporter.report(Stopped())
        job.reporter.report(run.summary)
        write_stderr(f"dream: Stopped; {_kept(run)}")
        return STOPPED, seconds
    if run.planned is not None:
        forget(run.planned.folder)
    for event in saved:
        job.reporter.report(event)
    return 0, seconds


def _discard(run: "FilmRun") -> None:
    """Leaves nothing of a film of which no frame is done."""
    run.discard()
    if run.planned is not None:
        forget(run.planned.folder)


def _kept(run: "FilmRun") -> str:
    """Says what of a film is kept, and how it goes on."""
    summary, folder = run.summary, "" if run.planned is None else run.planned.folder
    kept = summary.done + summary.reused
    return (
        f"{kept} of {summary.frames} frames {'is' if kept == 1 else 'are'} kept in "
        f"{plain(short_repr(folder))}, and the same command goes on from there."
    )


def _preview(job: _Job) -> int:
    """Dreams the first second, small, and says how long the whole film takes."""
    from keras_dream.claims import claim

    dreamer, request = job.dreamer(), replace(job.request, fresh=True)
    name = f"{job.path.stem}-preview{job.path.suffix}"
    with claim(job.path.with_name(name)) as claimed:
        whole = _planned(job, request.begin(job.setup, claimed.path, dreamer))
        longest = max(whole.size)
        side = max(longest // PREVIEW_SHARE, min(longest, _LEAST_SIDE))
        # Percent are those of the whole film.
        recipe = job.setup.recipe.in_seconds(Fraction(whole.duration))
        small = request.previewed(replace(job.setup, recipe=recipe), side)
        run = request.begin(small, claimed.path, dreamer)
        with run:
            code, taken = _follow(run, job)
        if code:
            run.discard()
            return code
        predicted = 0.0 if run.planned is None else run.planned.seconds
        # How fast this machine is, beside the one of the prediction.
        seconds = whole.seconds * (taken / predicted if predicted else 1.0)
        height, width = whole.size
        text = (
            f"The whole film, {whole.frames:,} frames of {width} × {height} pixels, "
            f"takes about {in_words(seconds)}; the same line without --preview dreams "
            "it."
        )
        job.reporter.report(Notice(text))
    return code


def _planned(job: _Job, run: "FilmRun") -> FilmPlanned:
    """Returns what a film costs, and leaves nothing of it."""
    with run:
        for event in run:
            job.interrupts.check()
            if isinstance(event, FilmPlanned):
                break
            job.reporter.report(event)
    run.discard()
    if run.planned is None:
        raise InputError("A film must have frames", received="none")
    return run.planned
