"""A bar that moves, for terminals."""

from typing import Self

from keras_dream.cli.output import plain, write_stderr
from keras_dream.cli.reporters.lines import Lines
from keras_dream.events import (
    BatchFinished,
    BatchPlanned,
    CellDone,
    CellProgress,
    Download,
    Event,
    Fetching,
    FileProgress,
    FilmFinished,
    FilmPlanned,
    FilmProgress,
    FrameDone,
    FrameProgress,
    ItemDone,
    ItemProgress,
    ItemStarted,
    Loading,
    Planned,
    Saved,
    Started,
    TileDone,
)


class Bar(Lines):
    """Shows the work under way as a bar, and other events as lines above it."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        super().__init__()
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            # With 16 colours the usual ones of rest and bar are both grey.
            BarColumn(
                bar_width=None,
                style="bright_black",
                complete_style="magenta",
                finished_style="green",
            ),
            TextColumn("{task.fields[more]}", markup=False),
            console=Console(stderr=True, highlight=False),
            transient=True,
            expand=True,
            redirect_stdout=False,
        )
        self._task = self._bar.add_task("Starting", total=None, more="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def report(self, event: Event) -> None:
        """Moves the bar, or writes a line above it."""
        if isinstance(event, Saved | BatchFinished | FilmFinished):
            self._bar.stop()
        if isinstance(event, BatchFinished | FilmFinished):
            write_stderr(self.sentence(event))  # the terminal wraps its lines
        elif isinstance(event, ItemDone) and not event.reused:
            self._bar.stop()  # its path may go to the same terminal
            self._report(event)
            self._bar.start()
        else:
            self._report(event)

    def sentence(self, event: Event) -> str:
        """Returns what a line above the bar says; pictures of a batch move the bar."""
        return "" if isinstance(event, ItemDone) else super().sentence(event)

    def _report(self, event: Event) -> None:
        if isinstance(event, Loading | Fetching | Started | Planned):
            self._bar.reset(self._task, total=None, more="")
        description = self._description(event)
        is_told = isinstance(event, Planned | BatchPlanned | ItemDone | FilmPlanned)
        if not description or is_told:
            super().report(event)
        else:
            self.measure(event)
        if isinstance(event, BatchPlanned | ItemDone | ItemProgress | ItemStarted):
            description = self._description(event)  # as it is now
            self.done, self.total = self.batch.share, 1.0
            self.left = self.batch.left
        if isinstance(event, FilmPlanned | FilmProgress | FrameProgress | FrameDone):
            description = self._description(event)
            self.done, self.total = self.film.share, 1.0
            self.left = self.film.more
        if description:
            more = self.left
            if isinstance(event, Download):
                more = ", ".join(filter(None, (self.amount(event), self.left)))
            self._bar.update(
                self._task,
                description=description,
                completed=self.done,
                total=self.total,
                more=more,
            )

    def write(self, sentence: str) -> None:
        """Writes a sentence above the bar."""
        from rich.text import Text

        self._bar.console.print(Text(sentence))

    def _description(self, event: Event) -> str:
        """Returns the words beside the bar, or "" for what is no work under way."""
        from keras_dream.engine.loop import Step

        match event:
            case Loading():
                return f"Loading {plain(event.network)}"
            case Fetching():
                return f"Downloading {plain(event.network)}"
            case Download():
                return "Downloading the weights"
            case Started() | Planned():
                return "Dreaming"
            case CellProgress() | CellDone():
                cells = self._planned.cells if self._planned else event.number
                return f"Cell {event.number}/{cells}"
            case BatchPlanned() | ItemDone() | ItemProgress() | ItemStarted():
                return f"{self.batch.done} of {self.batch.waiting} done"
            case FileProgress():
                what = "Saving" if event.writing else "Reading"
                return f"{what} {plain(event.path)}"
            case TileDone():
                return (
                    f"Octave {event.octave}/{event.octaves}  "
                    f"step {event.iteration}/{event.iterations}  "
                    f"tile {event.tile}/{event.tiles}"
                )
            case Step():
                return (
                    f"Octave {event.octave}/{event.octaves}  "
                    f"step {event.iteration}/{event.iterations}  loss {event.loss:.4g}"
                )
            case _:
                return self.film.description(event, width=self._bar.console.width)
