"""What a run gives: its steps, and the dream with its recipe and its record."""

import functools
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from keras_dream.engine.checkpoint import Checkpoint
from keras_dream.engine.finish import Unfinished
from keras_dream.engine.octaves import save_octaves
from keras_dream.errors import RunError
from keras_dream.events import Event
from keras_dream.geometry import Size
from keras_dream.pictures.encoding import depth_of, encode_picture, save_picture
from keras_dream.recipe.recipe import Recipe, canonical_json

# The notes of a picture stay under 64 KiB (design §4); a loss takes about 12 bytes.
MOST_LOSSES = 2_000
MOST_STRONGEST = 500  # channels of all targets; one takes about 5 bytes
MOST_RECIPE = 24_000
"""Characters of a recipe's JSON: with the longest record it fits."""


@dataclass(frozen=True)
class Record:
    """What happened: no times and no absolute paths, so that files can be equal.

    Attributes:
        versions: keras-dream, Python, numpy and what computed, by name.
        processor: The kind of processor.
        network: The network's name.
        weights_sha256: Of its weights.
        source: The photo's file name, empty for an array.
        source_sha256: Of the photo's decoded pixels.
        size: (height, width) of the photo in pixels.
        run: Run settings as they were resolved.
        steps: How many steps were made in all.
        losses: The loss before each move, octave by octave, keyed by octave number.
        notices: What a person should know, such as octaves that were skipped.
        complete: Whether the dream ran to its end.
        also: The sha256 of the weights of the other networks, by name.
        strongest: The channels that `strongest(n)` stood for in this photo, the
            strongest first, by network and by the text of the target.
        start_sha256: Of the image that the dream started from, where it was given in
            the photo's place; else empty.
        stripped: Whether the photo's EXIF was left out of the file.
    """

    versions: Mapping[str, str]
    processor: str
    network: str
    weights_sha256: str
    source: str
    source_sha256: str
    size: tuple[int, int]
    run: Mapping[str, Any]
    steps: int
    losses: Mapping[str, Sequence[float]]
    notices: tuple[str, ...] = ()
    complete: bool = True
    also: Mapping[str, str] = field(default_factory=dict)
    strongest: Mapping[str, Mapping[str, Sequence[int]]] = field(default_factory=dict)
    start_sha256: str = ""
    stripped: bool = False

    def data(self) -> dict[str, Any]:
        """Returns the record as JSON types, short enough for a picture's metadata.

        Losses are rounded to six digits; of very long runs each octave keeps its first
        and its last. A loss that is not a number becomes null. Of very many strongest
        channels the first are kept.
        """
        long = sum(map(len, self.losses.values())) > MOST_LOSSES
        losses = {
            octave: [_rounded(loss) for loss in (_ends(values) if long else values)]
            for octave, values in self.losses.items()
        }
        few = max(1, MOST_STRONGEST // max(1, sum(map(len, self.strongest.values()))))
        strongest = {
            network: {text: list(every[:few]) for text, every in targets.items()}
            for network, targets in self.strongest.items()
        }
        data = asdict(replace(self, losses=losses, strongest=strongest))
        # Left out where there is nothing to say.
        optional = ("also", "strongest", "start_sha256", "stripped")
        return {k: value for k, value in data.items() if k not in optional or value}


def _ends(values: Sequence[float]) -> Sequence[float]:
    return [values[0], values[-1]] if len(values) > 1 else values


def _rounded(loss: float) -> float | None:
    return float(f"{loss:.6g}") if np.isfinite(loss) else None


@dataclass(frozen=True)
class Dream:
    """The result of a dream.

    Attributes:
        image: float32 (height, width, 3), sRGB, nominally in [0, 1].
        alpha: The source's, float32 (height, width) in [0, 1], or None.
        recipe: What decided it, with the network and objective that were used.
        record: What happened.
        exif: What is kept of the photo's EXIF: camera, date and copyright.
        bits: Of a channel of the photo: 8, 16, or 32 for floats.
        unfinished: The dream as its last step left it, with what each octave added,
            where that was asked for.
    """

    image: np.ndarray
    alpha: np.ndarray | None
    recipe: Recipe
    record: Record
    exif: bytes = b""
    bits: int = 8
    unfinished: Unfinished | None = None

    def __repr__(self) -> str:
        height, width = self.image.shape[:2]
        objective = self.recipe.objective or "its own objective"
        return (
            f"<Dream of {self.record.source or 'an array'}: {width} × {height} pixels, "
            f"{self.recipe.network}: {objective}, {self.record.steps} steps"
            f"{'' if self.record.complete else ' so far'}>"
        )

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        notes: bool = True,
        strip: bool = False,
        depth: str | None = None,
    ) -> Path:
        """Writes the picture, whole or not at all.

        What each octave added, where the dream has kept it, is written beside it.

        Args:
            path: A .png, .jpg, .webp, .tif or .exr file.
            notes: Whether recipe and record are stored in the file's metadata.
            strip: Whether camera, date and copyright of the photo are left out; where
                it was taken always is.
            depth: Bits of a channel, in the place of the run setting: "8", "16",
                "float", or "auto" for as many as the photo has, where the format can
                hold them.

        Returns:
            The path.

        Raises:
            OutputError: If the place or the suffix cannot be used.
            SaveError: If the disk refuses.
        """
        path = Path(path)
        saved = self._saved(path.suffix, notes=notes, strip=strip, depth=depth)
        save_picture(path, self.image, **saved)
        if self.unfinished is not None:
            save_octaves(self.unfinished, path)
        return path

    def encode(
        self,
        *,
        suffix: str = ".png",
        notes: bool = True,
        strip: bool = False,
        depth: str | None = None,
    ) -> bytes:
        """Returns the bytes of the file that `save` would write.

        Args:
            suffix: Of the format, as for `save`.
            notes: As for `save`.
            strip: As for `save`.
            depth: As for `save`.

        Raises:
            OutputError: If the suffix is unknown or the format too small.
        """
        saved = self._saved(suffix, notes=notes, strip=strip, depth=depth)
        return encode_picture(self.image, suffix, **saved)

    def _saved(
        self, suffix: str, *, notes: bool, strip: bool, depth: str | None
    ) -> dict[str, Any]:
        """Returns what is saved with the image."""
        run = self.record.run
        if depth is None:
            depth = str(run.get("depth", "auto"))
        run = {**run, "depth": depth}
        record = replace(self.record, stripped=strip, run=run)
        stored = {
            "recipe": self.recipe.json_text(),
            "record": canonical_json(record.data()),
        }
        return {
            "alpha": self.alpha,
            "notes": stored if notes else None,
            "exif": b"" if strip else self.exif,
            "depth": depth_of(suffix, depth, bits=self.bits),
        }


@dataclass(frozen=True)
class Step(Event):
    """One step of a dream; it never changes once yielded.

    Attributes:
        octave: Number of the octave, from 1.
        octaves: How many octaves the recipe has.
        iteration: Number of the step in its octave, from 1.
        iterations: How many steps an octave may have.
        size: (height, width) of the octave in pixels.
        loss: The loss before the move.
        seconds: How long the step took.
    """

    octave: int
    octaves: int
    iteration: int
    iterations: int
    size: Size
    loss: float
    seconds: float
    _image: Callable[[], np.ndarray] = field(repr=False, compare=False)
    _dream: Callable[[], Dream] = field(repr=False, compare=False)
    _checkpoint: Callable[[], Checkpoint] = field(repr=False, compare=False)

    def image(self) -> np.ndarray:
        """Returns the image after the move, float32 (height, width, 3), at its size."""
        return self._image()

    @property
    def dream(self) -> Dream:
        """The dream as if it ended here: whole size, detail put back."""
        return self._dream()

    @property
    def checkpoint(self) -> Checkpoint:
        """Where the run is after the step, for `start` of another run."""
        return self._checkpoint()

    def __reduce__(self) -> NoReturn:
        raise unpicklable("A step", "step.image() or step.dream")


def unpicklable(what: str, instead: str) -> RunError:
    """Returns the error for pickling what holds arrays on a device.

    Args:
        what: What cannot be pickled, with its article, as the start of a sentence.
        instead: What can be.
    """
    return RunError(
        f"{what} must stay in the process that made it, for it holds a device's memory",
        received="an attempt to pickle it",
        hint=f"pickle {instead}",
    )


def versions(backend: str, *, keras: bool = False) -> dict[str, str]:
    """Returns the versions on which a dream's numbers depend.

    Args:
        backend: The backend that computes.
        keras: Whether Keras made the network, at this start or at an earlier one.
    """
    from importlib import metadata

    names = ["keras-dream", "numpy", backend]
    if keras:
        names.append("keras")
    numbers = {"python": platform.python_version()}
    for name in names:
        try:
            numbers[name] = _installed(name)
        except metadata.PackageNotFoundError:
            # tensorflow has other distribution names, too; a checkout has no version.
            numbers[name] = str(
                getattr(sys.modules.get(name), "__version__", "unknown")
            )
    return numbers


@functools.cache
def _installed(name: str) -> str:
    """Returns a package's version, read once: its metadata is a file to be parsed."""
    from importlib import metadata

    return metadata.version(name)


def processor() -> str:
    """Returns the kind of this machine's processor, as far as the system knows it."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
            named = (line.split(":", 1)[1].strip() for line in lines if "name" in line)
            return f"{platform.machine()} {next(named)}"
    except (OSError, StopIteration, IndexError):
        return f"{platform.machine()} {platform.processor()}".strip()
