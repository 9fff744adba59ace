"""What every reporter has in common, and `--quiet`, which needs no more."""

from typing import Self

from keras_dream.cli.output import plain, write_stderr, write_stdout
from keras_dream.cli.photos import STANDARD
from keras_dream.events import (
    Download,
    Event,
    Fetched,
    ItemDone,
    ItemFailed,
    ItemStarted,
    Saved,
)


class Reporter:
    """Prints the paths of results, and what of a batch has failed; nothing else."""

    def __init__(self) -> None:
        self._items = {0}  # those of a batch that have begun; 0: never planned

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def report(self, event: Event) -> None:
        """Shows an event, or nothing.

        Raises:
            RunError: If standard output takes nothing, as on a full disk.
        """
        # Of a result on standard output there is no path.
        if isinstance(event, Saved | Fetched) and event.path != STANDARD:
            write_stdout(event.path)
        elif isinstance(event, ItemStarted):
            self._items.add(event.number)
        elif isinstance(event, ItemDone) and not event.reused:
            write_stdout(event.path)
        elif isinstance(event, ItemFailed) and event.number in self._items:
            self.write(f"dream: {plain(event.photo)}: {plain(event.sentence)}")

    def write(self, sentence: str) -> None:
        """Writes a sentence for the user."""
        write_stderr(sentence)

    def download(self, done: int, total: int | None) -> None:
        """Reports a part of a download; the callback that libraries take.

        Args:
            done: Bytes that are here.
            total: Bytes of the whole file, or None.
        """
        self.report(Download(done, total))
