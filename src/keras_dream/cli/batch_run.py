"""A batch from the shell: planned, shown before it begins, dreamed, and summed up."""

import contextlib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_dream.cli.command_line import remember
from keras_dream.cli.dream_run import check_alpha, check_work
from keras_dream.cli.interrupts import STOPPED, Interrupts
from keras_dream.cli.network_files import consent, networks_of, weights_of
from keras_dream.cli.output import plain, table, write_stderr, write_stdout
from keras_dream.cli.photos import create_folder
from keras_dream.cli.reporters import reporter_for
from keras_dream.cli.reporters.base import Reporter
from keras_dream.cli.reporters.batch import MOST_LISTED
from keras_dream.cli.reporters.eta import in_words
from keras_dream.errors import DreamError, InputError
from keras_dream.events import (
    BatchFinished,
    ItemDone,
    ItemFailed,
    ItemPlanned,
    Loading,
    Notice,
    Stopped,
)
from keras_dream.recipe.recipe import Recipe, RunSettings

if TYPE_CHECKING:
    from keras_dream.batches.inputs import Task, Tasks
    from keras_dream.batches.plan import Wanted
    from keras_dream.batches.run import BatchRun
    from keras_dream.geometry import Size
    from keras_dream.zoo.network import Network


@dataclass(frozen=True)
class Request:
    """A batch as the user asked for it.

    Attributes:
        wanted: What it is made of.
        agreed: The recipe without the settings of files: what it needs may be
            downloaded.
        run: How it is computed.
        weights: Weights files as the user wrote them: FILE or NETWORK=FILE.
        models: The model files that the recipes' names stand for.
        trust_model: Whether model files may be opened.
        yes: Whether the user agreed to long work, downloads, and replacing files.
        watch: Whether to wait for more photos.
        contact_sheet: Whether one is drawn.
        options: Of `BatchRun`: workers, resume, and so on.
    """

    wanted: "Wanted"
    agreed: Recipe
    run: RunSettings
    weights: tuple[str, ...] = ()
    models: "Mapping[str, str | Path]" = field(default_factory=dict)
    trust_model: bool = False
    yes: bool = False
    watch: bool = False
    contact_sheet: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)


def run_batch(request: Request, *, quiet: bool, json: bool) -> int:
    """Plans a batch and dreams it; what cannot be dreamed is listed at the end.

    Ctrl-C keeps what is done, and the same command goes on from there.

    Args:
        request: The batch.
        quiet: Whether only paths and failures are shown.
        json: Whether events are shown as JSON.

    Returns:
        0; 1 if some could not be dreamed; 2 if nothing could be planned; 130 if the
        user stopped it.

    Raises:
        DreamError: If nothing of it can be dreamed: a setting, a network, the disk.
    """
    reporter = reporter_for(quiet=quiet, json=json)
    source = _Source(request, reporter)
    with reporter, Interrupts() as interrupts:
        try:
            tasks = source.first()
            _report_plan(tasks, reporter)
            if not tasks.tasks and not request.watch:
                return InputError.exit_code
            if request.watch:
                source.more()
            with _batch_run(request, source, tasks) as run:
                return _follow(run, request, source, reporter, interrupts)
        except KeyboardInterrupt:
            interrupts.ignore()
            reporter.report(Stopped())
            write_stderr("dream: Stopped before the first picture; nothing is saved.")
            return STOPPED


def plan_batch(request: Request, *, json: bool) -> int:
    """Shows what a batch would make, and dreams nothing.

    Args:
        request: The batch.
        json: Whether it is shown as JSON.

    Returns:
        0; 1 if some could not be dreamed; 2 if nothing could be planned.
    """
    reporter = reporter_for(quiet=not json, json=json)
    source = _Source(replace(request, watch=False), reporter)
    tasks = source.first()
    _report_plan(tasks, reporter)
    seconds = _predicted(request, source, tasks.tasks)
    planned = [
        ItemPlanned(
            number=number,
            photo=task.photo,
            path=str(task.path),
            exists=task.path.exists(),
            size=source.sizes.get(task.photo),
            recipe_sha256=task.recipe.sha256,
            seconds=each,
        )
        for number, (task, each) in enumerate(zip(tasks.tasks, seconds, strict=True), 1)
    ]
    if json:
        for event in planned:
            reporter.report(event)
    else:
        write_stdout(_table(planned))
        for photo, reason in list(source.unread.items())[:MOST_LISTED]:
            write_stderr(f"cannot be read: {plain(photo)}: {plain(reason)}")
        if len(source.unread) > MOST_LISTED:
            more = len(source.unread) - MOST_LISTED
            write_stderr(f"cannot be read: {more:,} more")
    if not planned:
        return InputError.exit_code
    return 1 if tasks.refused else 0


class _Source:
    """Where the tasks of a batch come from: planned at once, or watched for.

    Attributes:
        tasks: All so far, in order.
        sizes: Of their photos, (height, width) in pixels, where they can be read.
        unread: Why the others cannot.
        files: The files that the recipes name.
        refused: What was refused since the start.
        is_idle: Whether all tasks are done, and more photos are waited for.
        waited: The seconds that were waited since the batch began.
    """

    def __init__(self, request: Request, reporter: Reporter):
        from keras_dream.batches.plan import Planner
        from keras_dream.batches.watch import Watch

        self._request = request
        self._reporter = reporter
        self._planner = Planner(request.wanted, watching=request.watch)
        self._watch = Watch(self._planner, look=self._look)
        self.tasks: list[Task] = []
        self.sizes: dict[str, Size] = {}
        self.unread: dict[str, str] = {}
        self.files: Sequence[Path] = ()
        self.refused: list[ItemFailed] = []
        self.is_idle = False
        self.waited = 0.0
        self._looks: int | None = None

    def first(self) -> "Tasks":
        """Returns what is there at the start; nothing if it is watched for.

        Raises:
            DreamError: If it cannot be planned at all.
        """
        from keras_dream.batches.inputs import Tasks

        if self._request.watch:  # those that are there may be on their way, too
            return Tasks(())
        tasks = self._checked(self._planner.plan())
        self.tasks += tasks.tasks
        return tasks

    def more(self) -> "Sequence[Task]":
        """Waits until there are more photos and returns their tasks."""
        self.is_idle = True
        is_first = self._looks is None
        self._looks = 0 if is_first else 1  # what is there settles at the second look
        began = time.monotonic()
        try:
            tasks = self._watch()
        finally:
            if not is_first:
                self.waited += time.monotonic() - began
        self.is_idle = False
        return tasks

    def _look(self, tasks: "Tasks") -> "Sequence[Task]":
        """Reports what is refused of what is new; returns the rest."""
        tasks = self._checked(tasks)
        self._looks = (self._looks or 0) + 1
        if self._looks == 2 and not tasks.tasks:
            where = ", ".join(map(str, self._request.wanted.inputs))
            self._reporter.report(
                Notice(f"Waiting for more photos in {where}; Ctrl-C ends.")
            )
        for failed in tasks.refused:
            self._reporter.report(failed)
        self.refused += tasks.refused
        self.tasks += tasks.tasks
        return tasks.tasks

    def _checked(self, tasks: "Tasks") -> "Tasks":
        """Refuses tasks of much work, and those that cannot be saved."""
        self.files = tasks.files
        good: list[Task] = []
        refused = list(tasks.refused)
        for task in tasks.tasks:
            try:
                check_alpha(task.recipe, str(task.path))
                size = self._size(task)
                if size is not None and not self._request.yes:
                    check_work(size, task.recipe)
            except DreamError as error:
                where = task.where or task.photo
                refused.append(
                    ItemFailed(0, where, "", str(error), error.exit_code, attempts=0)
                )
            else:
                good.append(task)
        return replace(tasks, tasks=tuple(good), refused=tuple(refused))

    def _size(self, task: "Task") -> "Size | None":
        from keras_dream.pictures.picture import read_size
        from keras_dream.pictures.sources import is_source, size_of

        if task.photo not in self.sizes:
            read = size_of if is_source(task.photo) else read_size
            try:
                self.sizes[task.photo] = read(task.photo)
            except (DreamError, OSError, ValueError) as error:
                self.unread[task.photo] = str(error)
        return self.sizes.get(task.photo)


def _report_plan(tasks: "Tasks", reporter: Reporter) -> None:
    for notice in tasks.notices:
        reporter.report(Notice(notice))
    for failed in tasks.refused[:MOST_LISTED]:
        reporter.report(failed)
    if len(tasks.refused) > MOST_LISTED:
        more = len(tasks.refused) - MOST_LISTED
        reporter.report(Notice(f"{more:,} more photos or lines are impossible."))


def _batch_run(request: Request, source: _Source, tasks: "Tasks") -> "BatchRun":
    """Returns the batch, ready to be run; its folder is created."""
    from keras_dream.batches.run import BatchRun, told_apart

    folder = request.wanted.folder
    if request.contact_sheet:
        _check_pages(request, len(source.tasks))
    recipes = {id(task.recipe): task.recipe for task in source.tasks}.values()
    if not request.yes:
        check_downloads(recipes, [request.agreed])
    networks = _networks(request, recipes)
    create_folder(folder, parents=True)
    run = BatchRun(
        source.tasks,
        folder,
        run=request.run,
        networks=networks,
        files=source.files,
        refused=tasks.refused,
        replace=request.yes,
        about=told_apart(
            request.wanted.inputs, folder, name=request.wanted.template.text
        ),
        more=source.more if request.watch else None,
        **request.options,
    )
    remember(folder)  # only now: another process may have the journal
    return run


def _networks(request: Request, recipes: Iterable[Recipe]) -> "list[Network]":
    """Returns the networks for which the user named files."""
    names = {str(n.network) for recipe in recipes for n in recipe.every_network}
    files: dict[str, str] = {}
    for text in request.weights:
        name, _, file = text.partition("=")
        named = {name: file} if file and name in names else {}
        files.update(named or weights_of([text], request.agreed))
    networks = networks_of(request.models, files, trusted=request.trust_model)
    for network in networks:
        network.check()
    return networks


def _follow(
    run: "BatchRun",
    request: Request,
    source: _Source,
    reporter: Reporter,
    interrupts: Interrupts,
) -> int:
    """Reports what happens, and at the end the summary; returns the exit code."""
    shown: list[int] = []
    loaded: set[str] = set()  # every worker loads them
    stopped = False
    try:
        for event in run:
            if isinstance(event, ItemDone):
                shown.append(event.number)
            is_again = isinstance(event, Loading) and event.network in loaded
            if isinstance(event, Loading):
                loaded.add(event.network)
            if not is_again and not isinstance(event, BatchFinished):
                reporter.report(event)
            interrupts.check()
    except KeyboardInterrupt:
        interrupts.ignore()
        run.close()
        stopped = not source.is_idle
    except DreamError:
        interrupts.ignore()
        run.close()
        reporter.report(run.summary)
        raise
    interrupts.ignore()
    summary = run.summary
    summary = replace(
        summary,
        items=summary.items + len(source.refused),
        failed=(*summary.failed, *source.refused),
        seconds=summary.seconds - source.waited,
    )
    if stopped:
        reporter.report(Stopped())
    try:
        if request.contact_sheet and not stopped and _is_new(summary, request):
            folder = request.wanted.folder
            with contextlib.suppress(KeyboardInterrupt):
                interrupts.renew()
                _check_pages(request, len(shown))  # a watched folder has more
                summary = replace(summary, sheets=_draw(shown, source, folder))
    finally:
        interrupts.ignore()
        reporter.report(summary)
    if stopped:
        write_stderr("dream: Stopped; what is done is kept.")
        return STOPPED
    return 1 if summary.failed else 0


def _check_pages(request: Request, count: int) -> None:
    """Refuses to replace what is no sheet by a page of the contact sheet."""
    from keras_dream.batches.contact import NAME, pages_of
    from keras_dream.sheets.sheet import check_replaced

    for page in pages_of(count, request.wanted.folder / NAME):
        if not request.yes:
            check_replaced(page)


def _is_new(summary: BatchFinished, request: Request) -> bool:
    """Tells whether there are several, and one that the last sheet does not show."""
    from keras_dream.batches.contact import NAME
    from keras_dream.sheets.sheet import read_about

    results = summary.done + summary.reused
    if results < 2 or summary.done:
        return results > 1
    shown: Any = None
    unreadable = (DreamError, LookupError, TypeError, ValueError, RecursionError)
    with contextlib.suppress(*unreadable):
        shown = (read_about(request.wanted.folder / NAME) or {})["batch"]["results"]
    # Fewer where the run that made the others was killed.
    return not isinstance(shown, int) or shown < results


def _draw(numbers: Sequence[int], source: _Source, folder: Path) -> tuple[str, ...]:
    """Draws the contact sheet; returns its pages.

    Raises:
        SaveError: If it cannot be saved.
    """
    from keras_dream.batches.contact import NAME, Result, draw_pages

    tasks = [source.tasks[number - 1] for number in sorted(set(numbers))]
    results = [
        Result(
            task.path,
            task.path.relative_to(folder).with_suffix("").as_posix(),
            task.recipe,
        )
        for task in tasks
    ]
    title = folder.resolve().name or "dreams"
    return tuple(map(str, draw_pages(results, folder / NAME, title=title)))


def check_downloads(recipes: Iterable[Recipe], agreed: Sequence[Recipe]) -> None:
    """Asks for `--yes` before a download that only a file of recipes needs.

    Args:
        recipes: What will be dreamed.
        agreed: Recipes that the user asked for: whatever they need may be downloaded.

    Raises:
        InputError: If something would be downloaded.
    """
    from keras_dream.weights.locate import find
    from keras_dream.weights.source import fitting
    from keras_dream.zoo.catalogue import ZOO
    from keras_dream.zoo.network import asks_for_class

    ask = consent(agreed)
    needs = {
        (str(network.network), str(network.network) in asks_for_class(recipe))
        for recipe in recipes
        for network in recipe.every_network
    }
    for name, classifier in sorted(needs):
        sources = ZOO[name].sources if name in ZOO else ()
        published = [s for s in fitting(sources, classifier) if s.url]
        if published and find(sources, classifier=classifier) is None:
            ask(name, published[0], classifier)


def _predicted(
    request: Request, source: _Source, tasks: "Sequence[Task]"
) -> list[float | None]:
    """Returns the seconds of each task; None where they cannot be known here."""
    from keras_dream.batches.predict import predicted
    from keras_dream.sheets.run import Dreamers

    recipes = list({id(task.recipe): task.recipe for task in tasks}.values())
    dreamers = Dreamers(
        recipes,
        networks=_networks(request, recipes),
        run=request.run.but(offline=True),  # nothing is downloaded for it
    )
    return predicted([(t.recipe, source.sizes.get(t.photo)) for t in tasks], dreamers)


def _table(planned: Sequence[ItemPlanned]) -> str:
    rows = [
        (
            str(item.number),
            plain(item.photo),
            f"{item.size[1]} × {item.size[0]}" if item.size else "?",
            plain(item.path) + (" (exists)" if item.exists else ""),
            "?" if item.seconds is None else in_words(item.seconds),
        )
        for item in planned
    ]
    known = [item.seconds for item in planned if item.seconds is not None]
    unread = sum(item.size is None for item in planned)
    total = in_words(sum(known)) if known else "?"
    if known and len(known) < len(planned):
        why = f"{unread:,} that cannot be read"
        total += f", and {why if unread else f'{len(planned) - len(known):,} unknown'}"
    rows.append(("", f"{len(planned):,} in all", "", "", total))
    return table(("", "photo", "pixels", "result", "about"), rows)
