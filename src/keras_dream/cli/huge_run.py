"""Huge dreams from the shell: read into a store, dreamed in tiles, saved in bands."""

import contextlib
import os
import shutil
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from keras_dream.cli.dream_run import Loader, Request, check_seconds
from keras_dream.cli.interrupts import STOPPED, Interrupts
from keras_dream.cli.output import write_stderr
from keras_dream.cli.reporters.base import Reporter
from keras_dream.errors import OutputError, short_repr
from keras_dream.events import FileProgress, Notice, OctaveSize, Saved, Started

if TYPE_CHECKING:
    from keras_dream.huge.photo import Photo
    from keras_dream.huge.run import HugeDream

WORK = ".huge"
"""Behind the name of a result: the hidden folder of all that its dream keeps."""

_PICTURES = 5
"""About how many pictures of floats a dream keeps: the photo, two images, the gradient,
and all smaller octaves."""


@dataclass(frozen=True)
class _Job:
    """A huge dream under way.

    Attributes:
        request: What to dream.
        photo: Its photo.
        path: The result.
        depth: Bits of a channel of the result.
        reporter: Shows the events.
        interrupts: Whether it is to stop.
    """

    request: Request
    photo: "Photo"
    path: Path
    depth: str
    reporter: Reporter
    interrupts: Interrupts

    @property
    def folder(self) -> Path:
        """All that the dream keeps until its result is saved."""
        return self.path.with_name(f".{self.path.name}{WORK}")


def run_huge(request: Request, reporter: Reporter) -> int:
    """Dreams a picture that may be larger than memory, and saves it.

    What is done is kept in a hidden folder beside the result, from which the same
    command goes on, also after a crash; it is removed when the result is saved.

    Args:
        request: What to dream; of its fields `folder`, `beside`, `keep_octaves`,
            `start`, `resumed` and `most_steps` none is used.
        reporter: Shows the events.

    Returns:
        0, or 130 if the user stopped.

    Raises:
        DreamError: If it cannot be dreamed or saved; what is done is kept.
    """
    from keras_dream.claims import claim
    from keras_dream.huge.photo import open_photo
    from keras_dream.pictures.encoding import depth_of

    photo = open_photo(request.photo)
    path = _checked(request, photo)
    depth = depth_of(path.suffix, request.run.depth, bits=photo.bits)
    if path.suffix.lower() in (".dzi", ".szi") and request.run.depth == "auto":
        depth = "8"  # browsers show no more
    with claim(path, exact=True), reporter, Interrupts() as interrupts:
        job = _Job(request, photo, path, depth, reporter, interrupts)
        try:
            _dream(job)
        except KeyboardInterrupt:
            interrupts.ignore()
        else:
            reporter.report(Saved(str(path), complete=True))
            return 0
        finally:
            with contextlib.suppress(OSError):  # that it is not empty, above all
                job.folder.rmdir()
    if job.folder.exists():
        kept = f"what is done is kept in {short_repr(str(job.folder))}, and"
        write_stderr(f"dream: Stopped; {kept} the same command goes on from there.")
    else:
        write_stderr("dream: Stopped before the photo was read; nothing is kept.")
    return STOPPED


def _checked(request: Request, photo: "Photo") -> Path:
    """Checks whatever needs no loading; returns the result's path."""
    from keras_dream.files import check_not_same, check_output, default_output
    from keras_dream.huge.saving import SUFFIXES, check_size, folder_of
    from keras_dream.pictures.encoding import depth_of
    from keras_dream.zoo.network import network_of

    names = dict.fromkeys(str(n.network) for n in request.recipe.every_network)
    for number, name in enumerate(names):
        network_of(name, networks=request.networks, further=number > 0).check()
    request.files.check(request.recipe)
    out = request.out or default_output(photo.path, suffix=".tif")
    path = check_output(out, SUFFIXES)
    check_not_same(path, photo.path, what="A result", instead="its own photo")
    depth_of(path.suffix, request.run.depth)
    check_size((*photo.size, 3), path.suffix)
    every = [path, *([folder_of(path)] if path.suffix.lower() == ".dzi" else [])]
    taken = [each for each in every if os.path.lexists(each)]
    if taken and not request.yes:
        raise OutputError(
            "A result must have a new name, or --yes to replace what is there",
            received=short_repr(str(taken[0])),
            hint="add --yes, or leave -o out: every dream then gets a name of its own",
        )
    return path


def _dream(job: _Job) -> None:
    """Reads, dreams and saves; each goes on where it was."""
    from keras_dream.huge.photo import read_photo
    from keras_dream.huge.run import check_huge, dream_huge

    request, photo, reporter = job.request, job.photo, job.reporter
    dreamer = Loader().load(request, reporter, reporter.download)
    if not request.yes:
        check_seconds(dreamer.seconds(photo.size, request.recipe))
    check_huge(dreamer, photo.size, request.recipe)
    octaves, _ = dreamer.octaves(photo.size, request.recipe)
    _check_room(job)
    job.folder.mkdir(exist_ok=True)
    for text in (*photo.notices, _where(job)):
        reporter.report(Notice(text))
    reading = partial(_progress, job, str(photo.path), writing=False)
    store = job.folder / "photo.npy"
    with read_photo(photo, store, progress=reading) as source:
        names = " + ".join(dict.fromkeys(map(str, dreamer.networks)))
        each = tuple(
            OctaveSize(number, size, request.recipe.at(number).steps)
            for number, size in octaves
        )
        reporter.report(Started(request.photo, str(job.path), names, photo.size, each))
        recipe, name = request.recipe, photo.path.name
        with dream_huge(dreamer, source, job.folder, recipe, name=name) as run:
            for event in run:
                reporter.report(event)
                job.interrupts.check()
            with run.result.image:
                _save(job, run.result)
    shutil.rmtree(job.folder, ignore_errors=True)


def _progress(job: _Job, path: str, share: float, *, writing: bool) -> None:
    """Reports how much of a file is read or written."""
    job.reporter.report(FileProgress(path, writing=writing, share=share))


def _where(job: _Job) -> str:
    """Returns where a dream is kept meanwhile, and what it takes there."""
    height, width = job.photo.size
    gigabytes = _PICTURES * 12 * height * width / 1e9
    return (
        f"What is done, about {gigabytes:.3g} GB, is kept in "
        f"{short_repr(str(job.folder))} until the result is saved."
    )


def _check_room(job: _Job) -> None:
    """Checks that the disk has room for the result; the stores check for themselves."""
    from keras_dream.files import check_room
    from keras_dream.huge.saving import bytes_of

    height, width = job.photo.size
    check_room(job.path, bytes_of(height * width, job.path.suffix.lower(), job.depth))


def _save(job: _Job, dream: "HugeDream") -> None:
    """Saves the result, which is not dreamed again if the disk is full."""
    from keras_dream.huge.saving import save_huge
    from keras_dream.recipe.recipe import canonical_json

    request = job.request
    run = {**dream.record.run, "depth": request.run.depth}
    record = replace(dream.record, run=run, stripped=request.strip)
    notes = {
        "recipe": dream.recipe.json_text(),
        "record": canonical_json(record.data()),
    }
    save_huge(
        dream.image,
        job.path,
        notes=notes if request.notes else None,
        depth=job.depth,
        exif=b"" if request.strip else job.photo.exif,
        folder=job.folder / "result",
        progress=partial(_progress, job, str(job.path), writing=True),
    )
