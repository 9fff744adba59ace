"""Running a batch: what is done already, dreaming the rest, and a journal of both."""

import contextlib
import dataclasses
import hashlib
import heapq
import logging
import math
import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from keras_dream.backend import host
from keras_dream.backend.load import choose
from keras_dream.batches.inputs import Task
from keras_dream.batches.messages import Made, Order, Setup
from keras_dream.batches.unfinished import kept_path
from keras_dream.batches.worker import Worker, make_folder
from keras_dream.engine import cost
from keras_dream.errors import (
    DownloadError,
    DreamError,
    InputError,
    JobsError,
    NetworkError,
    ObjectiveError,
    OutputError,
    RunError,
    SaveError,
    SettingError,
    WeightsError,
    short_repr,
)
from keras_dream.events import (
    BatchFinished,
    BatchPlanned,
    Event,
    ItemDone,
    ItemFailed,
    ItemProgress,
    ItemSkipped,
    ItemStarted,
    Loading,
    Notice,
)
from keras_dream.files import Staged
from keras_dream.geometry import Size, fitted
from keras_dream.jobs.database import FILE
from keras_dream.jobs.journal import Item, Journal, NewItem, State, look_of
from keras_dream.pictures.encoding import check_depth
from keras_dream.pictures.limits import Limits, default_limits
from keras_dream.pictures.picture import READ_SUFFIXES, read_size
from keras_dream.pictures.sources import is_source, size_of
from keras_dream.recipe.files import Files
from keras_dream.recipe.recipe import Recipe, RunSettings, canonical_json
from keras_dream.sheets.run import by_networks
from keras_dream.workers.fetch import fetch
from keras_dream.workers.messages import (
    Began,
    Died,
    Failed,
    Loading as WorkerLoads,
    Progress,
    Report,
)
from keras_dream.workers.pool import (
    Here,
    Pool,
    Team,
    command_of,
    is_parallel,
    threads_of,
)
from keras_dream.zoo.network import Network

_log = logging.getLogger(__name__)

MOST_ATTEMPTS = 3
"""How often a picture is begun in one run, where its worker process dies each time."""

MOST_WORKERS = 256

COMMAND = command_of("keras_dream.batches.worker")
"""The command line of a worker process."""

# What every other picture would meet as well; and what it may, where the first have.
_OF_ALL = (DownloadError, SaveError)
_PERHAPS_OF_ALL = (NetworkError, ObjectiveError, SettingError, WeightsError)
_MOST_ALIKE = 3  # pictures

_MOST_NAMED = 3
_LOOKED_AT = 8  # of the largest files: one of them is the largest picture


@dataclass
class _Entry:
    """A task and what has become of it.

    Attributes:
        number: Its number in the batch, from 1.
        task: The task; its recipe's files are plain names with hashes.
        item: It in the journal.
        deaths: How many worker processes have died at it.
        step: The last step that was reported, and how many there are.
        is_foreign: Whether it replaces a file that is not as this batch wrote it.
    """

    number: int
    task: Task
    item: Item
    deaths: int = 0
    step: tuple[int, int] = (0, 0)
    is_foreign: bool = False

    @property
    def where(self) -> dict[str, Any]:
        """What its events have in common."""
        path = str(self.task.path)
        return {"number": self.number, "photo": self.task.photo, "path": path}


@dataclass(frozen=True)
class _Wanted:
    """What is wanted of results that are there, as for `BatchRun`."""

    resume: bool
    retry_failed: bool
    skip_existing: bool
    replace: bool


@dataclass
class _Tally:
    """What has become of the tasks; those that were refused have failed."""

    refused: int
    failed: list[ItemFailed]
    skipped: list[ItemSkipped] = field(default_factory=list[ItemSkipped])
    done: int = 0
    reused: int = 0

    @property
    def settled(self) -> int:
        """How many tasks are not waiting any more."""
        failed = len(self.failed) - self.refused
        return self.done + self.reused + len(self.skipped) + failed


class BatchRun(Iterator[Event]):
    """A batch that is being dreamed: an iterator of its events.

    Every finished picture is on the disk, so stopping is `break` and `close`, or the
    end of a `with` block, or Ctrl-C; the same batch goes on from there, even after its
    process was killed. It ends with the bytes of an undisturbed run.

    Args:
        tasks: The pictures, each with a path of its own.
        folder: The folder of the results, in which the journal is.
        run: How to compute; its threads are those of each worker.
        networks: What the recipes' names stand for, where it is more than a name.
        files: Files that the recipes may name, such as guides.
        folders: Where else those are looked for.
        limits: What the photos' files may have and take; None for the
            `default_limits`.
        notes: Whether recipe and record are saved in the results.
        strip: Whether camera, date and copyright of the photos are left out of them.
        workers: How many processes dream; 1 dreams in this process, None is as many as
            the machine has room for. It does not change the pixels.
        resume: Whether results of an earlier run are kept; False dreams them again.
        retry_failed: Whether pictures are tried again that failed in an earlier run.
        skip_existing: Whether pictures are left out whose results exist, whoever made
            them.
        replace: Whether files may be replaced that this batch did not write.
        refused: What could not be planned; it counts as failed.
        more: Returns further tasks when all are done, none at the end.
        about: JSON types that tell this batch from others into the same folder, such
            as its inputs; what may be added to them later must not be in it.
        team: The workers, in place of those of keras-dream.

    Raises:
        InputError: If two tasks have one path, or one outside the folder.
        JobsError: If another process runs a batch into the folder.
        SaveError: If the folder does not take the journal.
        SettingError: If more workers are asked for than this process alone, for a
            network or an objective in memory.
    """

    def __init__(
        self,
        tasks: Iterable[Task],
        folder: str | os.PathLike[str],
        *,
        run: RunSettings | None = None,
        networks: Sequence[Network] = (),
        files: Sequence[str | os.PathLike[str]] = (),
        folders: Sequence[str | os.PathLike[str]] = (),
        limits: Limits | None = None,
        notes: bool = True,
        strip: bool = False,
        workers: int | None = None,
        resume: bool = True,
        retry_failed: bool = False,
        skip_existing: bool = False,
        replace: bool = False,
        refused: Sequence[ItemFailed] = (),
        more: Callable[[], Sequence[Task]] | None = None,
        about: Mapping[str, Any] | None = None,
        team: Callable[[Setup, int], Team] | None = None,
    ):
        self.folder = Path(folder)
        self._files = Files(named=files, folders=folders, limits=limits)
        self._wanted = _Wanted(resume, retry_failed, skip_existing, replace)
        self._more = more
        self._began = time.monotonic()
        self._entries: dict[str, _Entry] = {}
        self._waiting = deque[_Entry]()
        self._working: dict[int, list[_Entry]] = {}
        self._known: list[Event] = []
        self._tally = _Tally(refused=len(refused), failed=list(refused))
        self._ended, self._others = False, frozenset[str]()
        self._alike: list[_Entry] = []
        planned, run = self._checked(tasks), run or RunSettings()
        tasks = [task for task, _ in planned]
        _check_depths(tasks, run.depth)
        setup = self._setup = Setup(
            folder=os.fspath(folder),
            run=run.but(backend=choose(run.backend)),
            recipes=tuple(by_networks(task.recipe for task in tasks).values()),
            networks=tuple(networks),
            files=tuple(os.fspath(path) for path in files),
            folders=tuple(os.fspath(path) for path in folders),
            limits=limits or default_limits(),
            notes=notes,
            strip=strip,
        )
        _check_workers(workers, setup)
        self._journal = self._opened(setup, about or {}, tasks)
        try:
            self._add(planned, is_first=True)
            self._team = self._hired(setup, workers, team or _team)
        except BaseException:
            self._journal.close()
            raise
        self.planned = self._planned()
        """What there is to do."""
        self._events = self._run()

    def __next__(self) -> Event:
        return next(self._events)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the batch: what is dreamed is saved, what is begun is left."""
        self._events.close()
        self._end()

    @property
    def summary(self) -> BatchFinished:
        """What has been done so far."""
        tally = self._tally
        return BatchFinished(
            items=len(self._entries) + tally.refused,
            done=tally.done,
            reused=tally.reused,
            skipped=tuple(tally.skipped),
            failed=tuple(tally.failed),
            waiting=len(self._entries) - tally.settled,
            seconds=time.monotonic() - self._began,
            folder=str(self.folder),
        )

    def finish(self) -> BatchFinished:
        """Dreams all that is left and returns the summary.

        Raises:
            DreamError: What would fail every other picture, too.
        """
        for _ in self:
            pass
        return self.summary

    # What there is to do

    def _planned(self) -> BatchPlanned:
        tally = self._tally
        return BatchPlanned(
            items=len(self._entries) + tally.refused,
            ready=tally.reused,
            failed=len(tally.failed) - tally.refused,
            refused=tally.refused,
            waiting=len(self._waiting),
            seconds=None,
            workers=self._team.count,
            folder=str(self.folder),
        )

    def _opened(
        self, setup: Setup, about: Mapping[str, Any], tasks: Sequence[Task]
    ) -> Journal:
        """Returns the journal of this batch; what decides the results is its key."""
        unkeyed = {"threads", "offline", "memory"}
        run = setup.run.model_dump(mode="json", exclude=unkeyed)
        key = {"run": run, "notes": setup.notes, "strip": setup.strip, **about}
        make_folder(self.folder, self.folder.absolute().anchor)
        return Journal.open(
            self.folder,
            kind="batch",
            key=hashlib.sha256(canonical_json(key).encode()).hexdigest(),
            settings={**key, "threads": _threads(setup, tasks)},
        )

    def _hired(
        self, setup: Setup, workers: int | None, team: Callable[[Setup, int], Team]
    ) -> Team:
        """Returns the workers, whose threads are those of the batch when it was new."""
        recorded, cores = self._journal.job.settings.get("threads"), host.cores()
        # A journal is untrusted; another machine's may have more threads than this has.
        if not isinstance(recorded, int) or not 1 <= recorded <= cores:
            recorded = _threads(setup, [e.task for e in self._entries.values()])
        threads = setup.run.threads or recorded
        if workers is None:
            room = cores // (threads or cores) if _is_parallel(setup) else 1
            workers = max(1, min(room, len(self._waiting)))
        run = setup.run.but(threads=threads)
        return team(dataclasses.replace(setup, run=run), workers)

    def _checked(self, tasks: Iterable[Task]) -> list[tuple[Task, NewItem]]:
        """Returns new tasks with their items; their recipes have files with hashes."""
        whole = [
            dataclasses.replace(task, recipe=self._files.complete(task.recipe))
            for task in tasks
        ]
        planned = [(task, self._new(task)) for task in whole]
        new = [item.output for _, item in planned]
        outputs = {*new, *(item.output for item in self._items())}
        if len(outputs) < len(new) + len(self._entries):
            raise InputError(
                "Every result of a batch must have a name of its own",
                received="two tasks with one path",
                hint="try another template for the names",
            )
        return planned

    def _add(self, planned: Sequence[tuple[Task, NewItem]], *, is_first: bool) -> None:
        """Puts tasks where the journal and the disk say that they belong."""
        items = self._journal.add(item for _, item in planned)
        if is_first:
            self._journal.reconcile()
            by_key = {item.key: item for item in self._journal.items()}
            items = [by_key.pop(item.key) for item in items]
            others = [i for i in by_key.values() if i.state is State.DONE]
            self._others = frozenset(item.output for item in others)
        with self._journal.at_once():
            for (task, _), item in zip(planned, items, strict=True):
                entry = _Entry(len(self._entries) + 1, task, item)
                self._entries[item.key] = entry
                self._place(entry)
        if replaced := [e.task.path for e in self._waiting if e.is_foreign]:
            self._known.append(_replacing(replaced))
        # What has ended several processes already comes last.
        late = sorted(self._waiting, key=lambda e: e.item.attempts >= MOST_ATTEMPTS)
        self._waiting = deque(late)

    def _items(self) -> Iterator[Item]:
        return (entry.item for entry in self._entries.values())

    def _new(self, task: Task) -> NewItem:
        output = _relative(task.path, self.folder)
        recipe = task.recipe.sha256
        decides = f"{output}\n{recipe}"
        return NewItem(
            key=hashlib.sha256(decides.encode()).hexdigest(),
            name=Path(task.photo).name,
            input=task.photo,
            recipe=task.recipe.json_text(),
            recipe_sha256=recipe,
            output=output,
        )

    def _place(self, entry: _Entry) -> None:
        """Lets a task wait, or notes that it is done, failed or skipped."""
        item, journal = entry.item, self._journal
        exists = os.path.lexists(entry.task.path)
        is_foreign = item.state is State.AMBIGUOUS or (
            exists and not item.output_sha256 and item.state is State.WAITING
        )
        if self._wanted.skip_existing and exists:
            self._skip(entry, "Its result exists already.")
        elif is_foreign and not (self._wanted.replace and _is_replaceable(entry)):
            path = short_repr(str(entry.task.path))
            reason = item.error or f"{path} is there already; it is kept."
            if item.output in self._others:
                reason = (
                    f"{path} was dreamed with other settings; it is kept: name results "
                    "by what differs, such as --name '{stem}-{steps}', or replace them "
                    "with --yes."
                )
            self._skip(entry, reason)
        elif item.state is State.FAILED and not self._is_tried_again(entry):
            event = ItemFailed(
                **entry.where, sentence=item.error, exit_code=1, attempts=item.attempts
            )
            self._tally.failed.append(event)
            self._known.append(event)
        elif (
            item.state is State.DONE
            and self._wanted.resume
            and not self._changed(entry)
        ):
            # Where a signal came just when it was done.
            kept_path(entry.task.path, item.key).unlink(missing_ok=True)
            self._tally.reused += 1
            self._known.append(ItemDone(**entry.where, reused=True, seconds=0.0))
        else:
            if is_foreign:
                entry.is_foreign = True
                item = journal.accept(item)
            elif item.state is not State.WAITING:
                (item,) = journal.reset([item])
            entry.item = item
            self._waiting.append(entry)

    def _skip(self, entry: _Entry, reason: str) -> None:
        event = ItemSkipped(**entry.where, reason=reason)
        self._tally.skipped.append(event)
        self._known.append(event)

    def _is_tried_again(self, entry: _Entry) -> bool:
        """Tells whether a failed photo is to be tried again, as one that was mended."""
        if self._wanted.retry_failed or not entry.item.input_stamp:
            return self._wanted.retry_failed
        look = look_of(entry.task.photo)
        if look in ("", entry.item.input_stamp):
            return False
        photo = short_repr(entry.task.photo)
        text = f"{photo} has changed since it failed: it is tried again."
        self._known.append(Notice(text))
        return True

    def _changed(self, entry: _Entry) -> bool:
        """Tells whether a photo has changed since it was dreamed."""
        if not entry.item.input_sha256:
            return False
        try:
            changed = not self._journal.has_input(entry.item, Path(entry.task.photo))
        except OSError:
            return False  # the result is all that is left of it
        if changed:
            photo = short_repr(entry.task.photo)
            self._known.append(
                Notice(
                    f"{photo} has changed since it was dreamed: it is dreamed again."
                )
            )
        return changed

    # What happens

    def _run(self) -> Generator[Event, None, None]:
        try:
            yield self.planned
            yield from self._known
            self._known.clear()
            if self._waiting:
                yield from fetch(
                    self._setup.recipes,
                    self._setup.networks,
                    offline=self._setup.run.offline,
                )
            while self._waiting or self._has_more():
                yield from self._known
                for worker, report in self._team.run(self._take):
                    yield from self._heard(worker, report)
            summary = self.summary
        finally:
            self._end()
        yield summary

    def _has_more(self) -> bool:
        """Waits for further tasks, if there can be any; tells whether there are."""
        self._known.clear()
        planned = self._checked(self._more()) if self._more is not None else []
        self._add(planned, is_first=False)
        return bool(planned)

    def _take(self) -> Order | None:
        """Returns the next order."""
        if not self._waiting:
            return None
        entry = self._waiting.popleft()
        task = entry.task
        return Order(entry.item.key, task.photo, task.recipe, os.fspath(task.path))

    def _heard(self, worker: int, report: Report) -> Iterator[Event]:
        """Notes a report in the journal and yields its events."""
        entry = self._entries.get(report.key)
        if entry is None:
            return
        working = self._working.setdefault(worker, [])
        match report:
            case WorkerLoads():
                yield Loading(report.network)
            case Began():
                working.append(entry)
                if len(working) == 1:
                    yield self._start(entry, worker)
            case Progress() if working[:1] == [entry]:
                entry.step = report.step, report.steps
                self._journal.step(entry.item, *entry.step)
                share = min(report.step / max(report.steps, 1), 1.0)
                yield ItemProgress(entry.number, *entry.step, share=share)
            case Died():
                # What was dreamed before it, but not saved, is dreamed again, too.
                working.clear()
                yield self._died(entry, report.reason)
            case Made():
                yield self._save(entry, report)
                yield from self._next(entry, worker)
            case Failed():
                yield self._fail(entry, report.failure)
                yield from self._next(entry, worker)
            case _:
                pass

    def _next(self, entry: _Entry, worker: int) -> Iterator[Event]:
        """Notes that a worker is at the item after this one, if it is.

        It has begun only now: then a process that is killed costs one item and not two.
        """
        working = self._working[worker]
        if entry in working:
            working.remove(entry)
        if working:
            yield self._start(working[0], worker)

    def _start(self, entry: _Entry, worker: int) -> ItemStarted:
        entry.item = self._journal.start(entry.item)
        attempt = entry.item.attempts
        _log.info("%s: attempt %d, worker %d", entry.task.photo, attempt, worker + 1)
        return ItemStarted(
            **entry.where, attempt=entry.item.attempts, worker=worker + 1
        )

    def _save(self, entry: _Entry, made: Made) -> Event:
        staged = Staged(entry.task.path, Path(made.temporary), made.size, made.sha256)
        # Where a disk is gone, its folder may be there, empty.
        if not (self.folder / FILE).exists():
            staged.discard()
            raise SaveError(
                "The folder of the results must stay there, with its journal",
                received=f"{short_repr(str(self.folder))}, where it is gone",
                hint="connect its disk and run the batch again: what is done is kept",
            )
        entry.item = self._journal.save(
            entry.item, staged, input_sha256=made.input_sha256
        )
        kept_path(entry.task.path, entry.item.key).unlink(missing_ok=True)
        if entry.item.state is State.AMBIGUOUS:
            skipped = ItemSkipped(**entry.where, reason=entry.item.error)
            self._tally.skipped.append(skipped)
            return skipped
        self._tally.done += 1
        return ItemDone(
            **entry.where, reused=False, seconds=made.seconds, notices=made.notices
        )

    def _fail(self, entry: _Entry, failure: DreamError) -> ItemFailed:
        """Notes that an item failed; raises what would fail every other one, too."""
        self._check_photos(entry)
        if isinstance(failure, _OF_ALL):
            raise failure
        self._check_alike(entry, failure)
        return self._failed_with(entry, str(failure), failure.exit_code)

    def _check_alike(self, entry: _Entry, failure: DreamError) -> None:
        """Raises a failure where the first pictures have all met the same one.

        A setting may be wrong for one picture only, such as a small one.
        """
        is_same = [str(failure)] == [e.item.error for e in self._alike[-1:]]
        self._alike = [*(self._alike if is_same else []), entry]
        are_all = len(self._alike) >= min(_MOST_ALIKE, len(self._entries))
        if are_all and not self._tally.done and isinstance(failure, _PERHAPS_OF_ALL):
            for other in self._alike[:-1]:
                (other.item,) = self._journal.reset([other.item])
            numbers = {other.number for other in self._alike}
            failed = [f for f in self._tally.failed if f.number not in numbers]
            self._tally.failed = failed
            raise failure

    def _failed_with(self, entry: _Entry, sentence: str, exit_code: int) -> ItemFailed:
        look = look_of(entry.task.photo)
        entry.item = self._journal.fail(entry.item, sentence, look=look)
        event = ItemFailed(
            **entry.where,
            sentence=sentence,
            exit_code=exit_code,
            attempts=entry.item.attempts,
        )
        self._tally.failed.append(event)
        return event

    def _died(self, entry: _Entry, reason: str) -> ItemFailed:
        entry.deaths += 1
        if entry.item.state is not State.RUNNING:  # the one before it was not saved yet
            entry.item = self._journal.start(entry.item)
        _log.warning("%s: %s", entry.task.photo, reason)
        if entry.deaths >= MOST_ATTEMPTS:
            failure = RunError(
                f"A picture must be dreamed within {MOST_ATTEMPTS} attempts",
                received=reason[:1].lower() + reason[1:],
                hint="try it alone, smaller, or with --workers 1",
            )
            return self._failed_with(entry, str(failure), failure.exit_code)
        entry.item = self._journal.pause(entry.item, *entry.step)
        self._waiting.append(entry)
        return ItemFailed(
            **entry.where,
            sentence=f"{reason}; it is tried again.",
            exit_code=1,
            attempts=entry.item.attempts,
            final=False,
        )

    def _check_photos(self, entry: _Entry) -> None:
        """Raises an error where all folders of photos are gone, with their disk."""
        if is_source(entry.task.photo) or Path(entry.task.photo).parent.is_dir():
            return
        every = (e.task.photo for e in self._entries.values())
        folders = {Path(photo).parent for photo in every if not is_source(photo)}
        if not any(folder.is_dir() for folder in folders):
            raise RunError(
                "The folder of the photos must stay there",
                received=f"{short_repr(str(min(folders)))}, which is gone",
                hint="connect its disk and run the batch again: what is done is kept",
            )

    def _end(self) -> None:
        """Saves what is dreamed, ends the workers, and gives up the journal."""
        if self._ended:
            return
        self._ended = True
        try:
            for _, report in self._team.stop():
                entry = self._entries.get(report.key)
                if entry is not None and isinstance(report, Made):
                    self._save_late(entry, report)
            for entry in (e for working in self._working.values() for e in working):
                if entry.item.state is State.RUNNING:
                    self._journal.pause(entry.item, *entry.step)
        except (SaveError, JobsError) as failure:  # the disk: what ended the batch
            _log.debug("At the end of a batch: %s", failure)
        finally:
            try:
                self._team.close()
            finally:
                self._journal.close()

    def _save_late(self, entry: _Entry, made: Made) -> None:
        if entry.item.state is not State.RUNNING:
            entry.item = self._journal.start(entry.item)
        self._save(entry, made)


def _replacing(paths: Sequence[Path]) -> Notice:
    """Says which files are replaced that are not as the batch wrote them."""
    names = ", ".join(short_repr(str(path)) for path in paths[:_MOST_NAMED])
    more = ", …" if len(paths) > _MOST_NAMED else ""
    what = "A file is" if len(paths) == 1 else f"{len(paths):,} files are"
    return Notice(
        f"{what} replaced that this batch did not write, or that changed since: "
        f"{names}{more}."
    )


def _is_replaceable(entry: _Entry) -> bool:
    """Tells whether a file, or a link, is in the place of a result; no folder."""
    path = entry.task.path
    return path.is_symlink() or not path.is_dir()


def _threads(setup: Setup, tasks: Sequence[Task]) -> int | None:
    """Returns how many threads each worker is given; None for the library's choice."""
    if not _is_parallel(setup):
        return None
    size, recipe = _largest(tasks, setup.limits)
    seconds = cost.seconds(size, recipe) * len(tasks)
    return threads_of([1] * len(tasks), math.prod(size), seconds)


def _check_depths(tasks: Iterable[Task], depth: str) -> None:
    for suffix in {task.path.suffix for task in tasks}:
        check_depth(suffix, depth)


def _check_workers(workers: int | None, setup: Setup) -> None:
    if workers is None:
        return
    if not 1 <= workers <= MOST_WORKERS:
        raise SettingError(
            f"The workers of a batch must be 1 to {MOST_WORKERS}",
            received=str(workers),
            hint="leave them out, for as many as the machine has room for",
        )
    if workers > 1:
        setup.check_sendable()


def _is_parallel(setup: Setup) -> bool:
    return is_parallel(setup.run.device) and setup.is_sendable


def _team(setup: Setup, count: int) -> Team:
    return Here(setup, Worker) if count == 1 else Pool(setup, count, command=COMMAND)


def _relative(path: Path, folder: Path) -> str:
    """Returns a result's path from the folder of the results on, with "/"."""
    try:
        return path.absolute().relative_to(folder.absolute()).as_posix()
    except ValueError:
        raise OutputError(
            "A result of a batch must lie in the folder of its results",
            received=f"{short_repr(str(path))} for {short_repr(str(folder))}",
            hint="try another name",
        ) from None


def _largest(tasks: Iterable[Task], limits: Limits) -> tuple[Size, Recipe]:
    """Returns the largest picture's size and recipe, as far as headers tell."""
    largest, files = ((1, 1), Recipe()), list[tuple[int, Task]]()
    for task in tasks:
        if is_source(task.photo):
            found = fitted(size_of(task.photo), task.recipe.size), task.recipe
            largest = max(largest, found, key=_pixels)
            continue
        with contextlib.suppress(OSError):
            files.append((Path(task.photo).stat().st_size, task))
    for _, task in heapq.nlargest(_LOOKED_AT, files, key=lambda pair: pair[0]):
        with contextlib.suppress(DreamError, OSError):
            size = read_size(task.photo, limits=limits)
            found = fitted(size, task.recipe.size), task.recipe
            largest = max(largest, found, key=_pixels)
    return largest


def _pixels(picture: tuple[Size, Recipe]) -> int:
    return math.prod(picture[0])


def told_apart(
    inputs: Sequence[str], folder: str | os.PathLike[str], *, name: str
) -> dict[str, Any]:
    """Returns what tells a batch from others into the same folder.

    More photos in a folder, and files added to a list, leave it as it is; so does
    moving all of them with the results.

    Args:
        inputs: Files, folders, patterns, manifests and sources.
        folder: That of the results.
        name: The template of their names.
    """

    def place(text: str) -> str:
        if is_source(text):
            return text
        path = Path(text)
        if path.suffix.lower() in READ_SUFFIXES and not path.is_dir():
            path = path.parent
        try:
            return Path(os.path.relpath(path, folder)).as_posix()
        except ValueError:  # another drive of Windows
            return path.absolute().as_posix()

    return {"inputs": sorted({place(text) for text in inputs}), "name": name}
