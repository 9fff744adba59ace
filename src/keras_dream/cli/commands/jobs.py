"""`dream jobs`: lists the journals of lasting work, shows, resumes and prunes them."""

import json as json_text
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

from cyclopts import App, Parameter

from keras_dream.cli.options import Json, Yes
from keras_dream.cli.output import plain, table, write_stderr, write_stdout
from keras_dream.errors import InputError, short_repr

if TYPE_CHECKING:
    from keras_dream.jobs.index import Status
    from keras_dream.jobs.journal import Item, Job

Folder = Annotated[str, Parameter(metavar="FOLDER")]

_HELP = """List, show, resume and prune batches, sheets and films.

Without a command all are listed that this user has begun from the shell. Their
journals lie among their results, in .dream-journal.db."""

_EXAMPLES = """Examples:
  dream jobs
  dream jobs show dreams
  dream jobs resume dreams
  dream jobs prune"""

_USAGE = "Usage: dream jobs {}"

# What would begin anew what is to go on.
_NOT_RESUMED = ("--fresh", "--no-resume", "--resume")  # also --resume=false

jobs = App(
    name="jobs",
    help=_HELP,
    help_epilogue=_EXAMPLES,
    help_format="plaintext",
    version_flags=(),
)


@jobs.default
def list_jobs(*, json: Json = False) -> int:
    """List the jobs, one a line.

    Args:
        json: print JSON
    """
    from keras_dream.jobs import index

    statuses = [index.status_of(entry.folder) for entry in index.entries()]
    if json:
        data = [_described(status) for status in statuses]
        write_stdout(json_text.dumps(data, indent=2))
    elif statuses:
        rows = [row for status in statuses for row in _rows(status)]
        heads = ("folder", "kind", "done", "failed", "waiting", "state", "more")
        write_stdout(table(heads, rows))
    else:
        write_stderr(
            "There are no jobs: batches, sheets and films are listed when run."
        )
    return 0


@jobs.command(
    name="show", usage=_USAGE.format("show FOLDER [--json]"), help_epilogue=""
)
def show(folder: Folder, /, *, json: Json = False) -> int:
    """Show the items of a folder's journal, and why some failed.

    Args:
        folder: the folder of the results, which need not be in the list
        json: print JSON
    """
    from keras_dream.jobs import index

    status = _journal(folder)
    if json:
        write_stdout(json_text.dumps(_described(status, items=True), indent=2))
        return 0
    lines = [f"{plain(str(status.folder))}: {status.condition}"]
    if status.more:
        lines.append(f"written by {plain(status.more)}")
    if entry := index.entry_of(folder):
        lines.append(f"command: dream {plain(shlex.join(entry.command))}")
        lines.append(f"in {plain(str(entry.directory))}")
    for job, items in status.jobs:
        lines += ["", f"{plain(job.kind)}, {_counted(items)}"]
        heads = ("number", "name", "state", "attempts", "output", "more")
        rows = [
            (
                str(item.number),
                plain(item.name),
                str(item.state),
                str(item.attempts),
                plain(item.output),
                plain(item.error) or _reached(item),
            )
            for item in items
        ]
        lines.append(table(heads, rows))
    write_stdout("\n".join(lines))
    return 0


@jobs.command(name="resume", usage=_USAGE.format("resume FOLDER"), help_epilogue="")
def resume(folder: Folder, /) -> int:
    """Go on with a job: its command line is run again, in its working folder.

    What is done is kept. --fresh and --no-resume are left out of the command line.

    Args:
        folder: the folder of the results, as `dream jobs` lists it
    """
    from keras_dream.jobs import index

    entry = index.entry_of(folder)
    if entry is None or not entry.command:
        raise InputError(
            "a job must be in your list to be resumed",
            received=f"{short_repr(folder)}, whose command line is not known",
            hint="see `dream jobs`, or run its command again",
        )
    if not entry.directory.is_dir():
        raise InputError(
            "the folder that a job was started in must be there",
            received=short_repr(str(entry.directory)),
            hint="create it, with the files that the command line names",
        )
    named = [(token.partition("=")[0], token) for token in entry.command]
    tokens = [token for name, token in named if name not in _NOT_RESUMED]
    write_stderr(f"dream {plain(shlex.join(tokens))}")
    return _run(tokens, entry.directory)


@jobs.command(
    name="prune", usage=_USAGE.format("prune [FOLDER] [--yes] [--json]"),
    help_epilogue="",
)  # fmt: skip
def prune(
    folder: Folder | None = None, /, *, yes: Yes = False, json: Json = False
) -> int:
    """Take finished and vanished jobs out of the list; results are never removed.

    The journals of finished jobs are removed, too, if you say so. Without its
    journal a folder's results are files like any others: the same command would
    begin anew and keep them.

    Args:
        folder: only this one, also if some of its items failed [default: all]
        yes: remove the journals without a question
        json: print JSON
    """
    from keras_dream.jobs import index
    from keras_dream.jobs.index import Condition
    from keras_dream.jobs.journal import remove_journal

    over = {Condition.FINISHED, Condition.VANISHED}
    if folder is None:
        statuses = [index.status_of(entry.folder) for entry in index.entries()]
        chosen = [status for status in statuses if status.condition in over]
    else:
        chosen = [_pruned(folder)]
    journals = [s.folder for s in chosen if s.condition is not Condition.VANISHED]
    agreed = bool(journals) and (yes or _agrees(journals, ask=not json))
    for status in chosen:
        if agreed and status.folder in journals:
            remove_journal(status.folder)
        index.forget(status.folder)
    if json:
        data = {
            "pruned": [str(status.folder) for status in chosen],
            "removed": [str(path) for path in journals] if agreed else [],
        }
        write_stdout(json_text.dumps(data, indent=2))
    else:
        count = f"{len(chosen)} job{'' if len(chosen) == 1 else 's'}"
        removed = f" and {len(journals)} of their journals removed" if agreed else ""
        write_stderr(f"{count} taken out of the list{removed}; no result is removed.")
    return 0


def _pruned(folder: str) -> "Status":
    """Returns the one job that the user wants to prune.

    Raises:
        InputError: There is none, or it is not over.
    """
    from keras_dream.jobs import index
    from keras_dream.jobs.index import Condition

    status = index.status_of(Path(folder).resolve())
    if status.condition is Condition.VANISHED and index.entry_of(folder) is None:
        raise InputError(
            "a job that is pruned must be in your list, or its journal there",
            received=short_repr(folder),
            hint="see `dream jobs`",
        )
    if status.condition not in {
        Condition.FINISHED,
        Condition.VANISHED,
        Condition.FAILED,
    }:
        hints = {
            Condition.RUNNING: "wait until it ends, or stop it",
            Condition.DAMAGED: "move its .dream-journal.db away",
        }
        goes_on = (
            "go on with it by `dream jobs resume`, or remove its .dream-journal.db"
        )
        raise InputError(
            "a job that is pruned must be finished or gone",
            received=f"{short_repr(folder)}, {status.condition}",
            hint=hints.get(status.condition, goes_on),
        )
    return status


def _journal(folder: str) -> "Status":
    """Returns what is in a folder's journal.

    Raises:
        InputError: There is none, or it cannot be read.
    """
    from keras_dream.jobs import index
    from keras_dream.jobs.journal import is_journal, read_journal

    if not is_journal(folder):
        raise InputError(
            "a folder must have a journal",
            received=f"{short_repr(folder)}, which has none",
            hint="see `dream jobs` for folders that have",
        )
    read_journal(folder)  # raises where that cannot be
    return index.status_of(Path(folder).resolve())


def _rows(status: "Status") -> list[tuple[str, ...]]:
    """Returns a line of the list for every job of a journal."""
    from keras_dream.jobs.index import Condition, condition_of
    from keras_dream.jobs.journal import State

    folder = plain(str(status.folder))
    if not status.jobs:
        return [(folder, "", "", "", "", str(status.condition), plain(status.more))]
    rows: list[tuple[str, ...]] = []
    for job, items in status.jobs:
        count = _counts(items)
        waiting = count[State.WAITING] + count[State.RUNNING]
        condition = condition_of(items)
        if status.condition is Condition.RUNNING and count[State.RUNNING]:
            condition = Condition.RUNNING
        more = [f"{count[s]} {s}" for s in (State.SKIPPED, State.AMBIGUOUS) if count[s]]
        numbers = map(str, (count[State.DONE], count[State.FAILED], waiting))
        row = (folder, plain(job.kind), *numbers, str(condition), ", ".join(more))
        rows.append(row)
    return rows


def _described(status: "Status", *, items: bool = False) -> dict[str, Any]:
    """Returns a journal as JSON types."""
    from keras_dream.jobs import index

    entry = index.entry_of(status.folder)
    return {
        "folder": str(status.folder),
        "state": str(status.condition),
        "more": status.more,
        "command": None if entry is None else list(entry.command),
        "directory": None if entry is None else str(entry.directory),
        "jobs": [_job(job, every, items=items) for job, every in status.jobs],
    }


def _job(job: "Job", every: "Sequence[Item]", *, items: bool) -> dict[str, Any]:
    from keras_dream.jobs.index import condition_of

    data: dict[str, Any] = {
        "kind": job.kind,
        "key": job.key,
        "state": str(condition_of(every)),
        "counts": {str(state): count for state, count in _counts(every).items()},
    }
    if items:
        data["settings"] = dict(job.settings)
        data["items"] = [asdict(item) for item in every]
    return data


def _counts(items: "Sequence[Item]") -> "dict[Any, int]":
    """Returns how many items have each state."""
    from keras_dream.jobs.journal import State

    return {state: sum(item.state is state for item in items) for state in State}


def _counted(items: "Sequence[Item]") -> str:
    counts = _counts(items).items()
    return ", ".join(f"{count} {state}" for state, count in counts if count) or "empty"


def _reached(item: "Item") -> str:
    """Returns which step an item has reached, if that is known and not the last."""
    is_under_way = 0 < item.step < item.steps
    return f"step {item.step} of {item.steps}" if is_under_way else ""


def _agrees(journals: Sequence[Path], *, ask: bool) -> bool:
    """Asks, where there is somebody to ask, whether journals may be removed."""
    if not ask or not sys.stdin.isatty():
        return False
    for path in journals:
        write_stderr(plain(str(path)))
    write_stderr("Remove the journals of these folders, too? Their results stay. [y/N]")
    return sys.stdin.readline().strip().casefold() in ("y", "yes")


def _run(tokens: Sequence[str], directory: Path) -> int:
    """Runs a command line of `dream` in a process of its own; returns its exit code."""
    # -P: no module of the working folder, which may be one of downloaded pictures, is
    # taken for one of ours.
    command = [sys.executable, "-P", "-m", "keras_dream", *tokens]
    with subprocess.Popen(command, cwd=directory, stderr=_stderr()) as process:
        while True:
            try:
                code = process.wait()
            except KeyboardInterrupt:
                # A terminal tells both processes, `kill` this one only. The second
                # signal is ignored while the first one ends the work.
                if os.name == "posix":
                    process.terminate()
            else:
                return code if code >= 0 else 1


def _stderr() -> TextIO | None:
    """Returns standard error, whose usual number is the null device in a command."""
    try:
        sys.stderr.fileno()
    except (OSError, ValueError, AttributeError):
        return None
    return sys.stderr
