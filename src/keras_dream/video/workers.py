"""A worker of a film: dreams whole blocks and writes their frames to the disk.

A worker never gives a frame its name: the run does, with its journal.

`python -m keras_dream.video.workers` is a worker process: it reads its setup and then
orders from standard input, and writes reports to standard output.
"""

from collections.abc import Generator, Iterator

from keras_dream import logs
from keras_dream.dreamer.dreamer import Dreamer
from keras_dream.video.dreaming import BlockDreamer
from keras_dream.video.messages import BlockDone, BlockOrder, FilmSetup
from keras_dream.workers.messages import Began, Failed, Report
from keras_dream.workers.serve import serve


class FilmWorker:
    """Dreams blocks; the networks are loaded once.

    Args:
        setup: What the blocks have in common.
        dreamer: What dreams; None to load the setup's own.
        blocks: Dreams the frames; None for one with the dreamer.
    """

    def __init__(
        self,
        setup: FilmSetup,
        *,
        dreamer: Dreamer | None = None,
        blocks: BlockDreamer | None = None,
    ):
        self._setup = setup
        self._dreamer = dreamer
        self._blocks = blocks

    def prepare(self, order: BlockOrder) -> None:
        """Does nothing: a block is read while it is dreamed."""

    def dream(self, order: BlockOrder) -> Generator[Report, None, None]:
        """Dreams a block and yields what happens."""
        yield Began(order.key)
        try:
            yield from self._ready().dream(order.block, order.after)
        except Exception as failure:  # noqa: BLE001 - the run decides
            yield Failed.of(order.key, failure)
        else:
            yield BlockDone(order.key)

    def finish(self) -> Iterator[Report]:
        """Yields the frames that are still written."""
        if self._blocks is not None:
            yield from self._blocks.finish()

    def close(self) -> None:
        """Ends the threads."""
        if self._blocks is not None:
            self._blocks.close()

    def _ready(self) -> BlockDreamer:
        if self._blocks is None:
            own, film = self._setup.setup, self._setup.film
            source = own.open()
            source.clip = film.clip  # it need not be looked through again
            dreamer = self._dreamer or own.dreamer()
            self._blocks = BlockDreamer(film, source, dreamer)
        return self._blocks


if __name__ == "__main__":
    with logs.session():
        serve(FilmSetup.read, BlockOrder.read, FilmWorker)
