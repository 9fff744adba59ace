"""What every reporter has in common, and `--quiet`, which needs no more."""

from typing import Self

from keras_dream.cli.output import write_stdout
from keras_dream.cli.photos import STANDARD
from keras_dream.events import Download, Event, Fetched, Saved


class Reporter:
    """Prints the paths of results, and nothing else."""

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

    def download(self, done: int, total: int | None) -> None:
        """Reports a part of a download; the callback that libraries take.

        Args:
            done: Bytes that are here.
            total: Bytes of the whole file, or None.
        """
        self.report(Download(done, total))
