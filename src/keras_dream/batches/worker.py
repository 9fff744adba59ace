"""A worker of a batch: dreams one picture after the other and stages the results.

While one picture dreams, the next is decoded and the last is encoded, in threads. A
worker never writes under a result's name: the batch does, with its journal.

`python -m keras_dream.batches.worker` is a worker process: it reads its setup and then
orders from standard input, and writes reports to standard output, a line of JSON each.
"""

import contextlib
import sys
import time
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from keras_dream import logs
from keras_dream.batches.messages import Made, Order, Setup
from keras_dream.errors import InputError, PictureError, SaveError, short_repr
from keras_dream.files import Staged, check_file, sha256_file, stage
from keras_dream.pictures.limits import Limits
from keras_dream.recipe.recipe import Recipe
from keras_dream.workers.messages import Began, Failed, Loading, Progress, Report
from keras_dream.workers.serve import serve

if TYPE_CHECKING:
    from keras_dream.batches.unfinished import Unfinished
    from keras_dream.dreamer.dreamer import Dreamer
    from keras_dream.engine.loop import Run
    from keras_dream.engine.result import Dream
    from keras_dream.pictures.picture import Picture

_WORTH_KEEPING = 5.0  # seconds of a dream, when it is stopped


@dataclass(frozen=True)
class _Read:
    """A photo, and the sha256 of its file."""

    picture: "Picture"
    sha256: str


class Worker:
    """Dreams orders; every network is loaded once.

    Args:
        setup: What the dreams have in common.
    """

    def __init__(self, setup: Setup):
        from keras_dream.recipe.files import Files
        from keras_dream.sheets.run import Dreamers

        self._setup = setup
        self._dreamers = Dreamers(
            setup.recipes,
            networks=setup.networks,
            run=setup.run,
            files=Files(named=setup.files, folders=setup.folders, limits=setup.limits),
        )
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="dream-batch")
        self._ahead: dict[str, Future[_Read]] = {}
        self._written: tuple[str, Future[Made]] | None = None
        # They are held until the batch has had time to give them their names.
        self._staged = deque[Staged](maxlen=3)

    def prepare(self, order: Order) -> None:
        """Begins to read the photo of a later order."""
        self._ahead[order.key] = self._threads.submit(_read, order, self._setup.limits)

    def dream(self, order: Order) -> Generator[Report, None, None]:
        """Dreams an order and yields what happens; its end may come with the next."""
        yield Began(order.key)
        try:
            yield from self._dream(order)
        except Exception as failure:  # noqa: BLE001 - the others go on
            yield from self.finish()
            yield Failed.of(order.key, failure)

    def finish(self) -> Iterator[Report]:
        """Yields what is left of the last order."""
        if self._written is None:
            return
        key, future = self._written
        try:
            report: Report = future.result()
        except Exception as failure:  # noqa: BLE001 - the others go on
            report = Failed.of(key, failure)
        self._written = None
        yield report

    def _dream(self, order: Order) -> Iterator[Report]:
        from keras_dream.batches.unfinished import Unfinished

        began, recipe = time.perf_counter(), order.recipe
        if order.key not in self._ahead:
            self.prepare(order)
        read = self._ahead.pop(order.key).result()
        if not self._dreamers.has(recipe):
            names = (str(network.network) for network in recipe.every_network)
            yield Loading(order.key, " + ".join(dict.fromkeys(names)))
        dreamer = self._dreamers.of(recipe)
        dreamer.files.look_in(Path(order.photo).parent)
        kept = Unfinished(order, dreamer.record(read.picture, recipe))
        run, made = _run(dreamer, read.picture, recipe, kept)
        steps = _steps(dreamer, read.picture, recipe)
        try:
            for number, _ in enumerate(run, start=made + 1):
                if self._written is not None and self._written[1].done():
                    yield from self.finish()
                kept.keep(run)
                yield Progress(order.key, number, steps)
        except (KeyboardInterrupt, GeneratorExit):
            kept.keep(run, seconds=_WORTH_KEEPING)
            raise
        dream, seconds = run.dream, time.perf_counter() - began
        notices = (*dream.record.notices, *run.plan.take_notices())
        yield from self.finish()
        future = self._threads.submit(
            self._write, order, dream, read.sha256, seconds, notices
        )
        self._written = order.key, future

    def _write(
        self,
        order: Order,
        dream: "Dream",
        input_sha256: str,
        seconds: float,
        notices: tuple[str, ...],
    ) -> Made:
        path, setup = Path(order.path), self._setup
        data = dream.encode(suffix=path.suffix, notes=setup.notes, strip=setup.strip)
        make_folder(path.parent, setup.folder)
        staged = stage(path, data)
        if sys.platform == "win32":
            staged.release()  # where an open file cannot be renamed
        else:
            self._staged.append(staged)
        return Made(
            order.key,
            temporary=str(staged.temporary),
            size=staged.size,
            sha256=staged.sha256,
            input_sha256=input_sha256,
            seconds=seconds,
            notices=notices,
        )


def _run(
    dreamer: "Dreamer", picture: "Picture", recipe: Recipe, kept: "Unfinished"
) -> "tuple[Run, int]":
    """Returns a dream from where it was kept, and how many steps are made."""
    start = kept.start()
    if start is not None:
        with contextlib.suppress(InputError):  # of another version
            return dreamer.steps(picture, recipe, start=start), len(start.losses)
    return dreamer.steps(picture, recipe), 0


def _steps(dreamer: "Dreamer", picture: "Picture", recipe: Recipe) -> int:
    from keras_dream.geometry import fitted

    height, width = picture.pixels.shape[:2]
    octaves, _ = dreamer.octaves(fitted((height, width), recipe.size), recipe)
    return sum(recipe.at(octave.number).steps for octave in octaves)


def make_folder(folder: Path, above: str) -> None:
    """Makes a folder of results, and those above it.

    Args:
        folder: The folder.
        above: One above it that must be there: where it is gone with its disk, nothing
            is made in its place.

    Raises:
        SaveError: If it is not there, or the disk refuses.
    """
    try:
        Path(above).stat()
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as failure:
        raise SaveError(
            "The folder of the results must be there",
            received=f"{(failure.strerror or 'an error').lower()!r} for "
            f"{short_repr(str(failure.filename or folder))}",
            hint="check the disk; what is done is kept",
        ) from failure


def _read(order: Order, limits: Limits) -> _Read:
    """Reads a photo; its hash is of the bytes that were decoded."""
    from keras_dream.pictures.picture import read_picture
    from keras_dream.pictures.sources import is_source, paint

    if is_source(order.photo):
        return _Read(paint(order.photo, seed=order.recipe.seed), "")
    path = check_file(order.photo, "A picture", error=PictureError)
    try:
        before = _stamp(path)
        picture = read_picture(path, limits=limits)  # which refuses what is too large
        sha256 = sha256_file(path)
        same = _stamp(path) == before
    except OSError as failure:
        raise PictureError(
            "A picture must be a file that can be read",
            received=f"{short_repr(str(path))} ({failure.strerror})",
            hint="check the disk that it is on",
        ) from failure
    if not same:
        raise PictureError(
            "A picture must stay as it is while it is read",
            received=f"{short_repr(str(path))}, which was changed",
            hint="wait until it is copied, and run the batch again with --retry-failed",
        )
    return _Read(picture, sha256)


def _stamp(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


if __name__ == "__main__":
    with logs.session():
        serve(Setup.read, Order.read, Worker)
