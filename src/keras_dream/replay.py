"""Replaying a saved dream: its recipe, its record, its source, and the comparison.

A saved picture is untrusted. Its recipe and its record are validated; its source is
looked for by its plain name beside it, and nowhere else.
"""

import math
import os
import shlex
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from keras_dream.backend.host import cores
from keras_dream.engine.checkpoint import Checkpoint, read_context
from keras_dream.engine.growth import octaves_of
from keras_dream.engine.result import Dream, Record
from keras_dream.errors import PictureError, SettingError, short_repr
from keras_dream.files import (
    CELLS,
    check_file,
    checkpoint_path,
    read_bounded,
    sha256_file,
)
from keras_dream.geometry import fitted, resample
from keras_dream.names import inside, plain_name
from keras_dream.pictures import deepzoom, films
from keras_dream.pictures.encoding import SUFFIXES
from keras_dream.pictures.metadata import MAX_NOTES_BYTES, read_notes
from keras_dream.pictures.picture import read_picture
from keras_dream.pictures.sources import is_source
from keras_dream.recipe.files import Files
from keras_dream.recipe.recipe import Recipe, RunSettings
from keras_dream.recipe.settings import parse_json
from keras_dream.zoo import user_models

MAX_RECIPE_BYTES = MAX_NOTES_BYTES  # of a recipe file


@dataclass(frozen=True)
class Saved:
    """The dream in a saved picture.

    Attributes:
        path: The picture.
        recipe: Its recipe.
        record: Its record.
    """

    path: Path
    recipe: Recipe
    record: Record

    @property
    def steps_made(self) -> int | None:
        """The number of steps after which it was stopped; None if it is complete."""
        return None if self.record.complete else self.record.steps or None


def read_recipe(path: str | os.PathLike[str]) -> Recipe:
    """Reads a recipe from a JSON file, or from a dreamed picture or film.

    Args:
        path: A picture, by its suffix, or a film; anything else is read as JSON.

    Returns:
        The recipe, validated.

    Raises:
        SettingError: If there is no such file, or the recipe is invalid.
        PictureError: If a picture cannot be read or holds no recipe.
    """
    if is_dream(path):
        return Recipe.read(_notes(Path(path))["recipe"])
    text = read_bounded(path, MAX_RECIPE_BYTES, what="A recipe", error=SettingError)
    return Recipe.read(text)


def is_dream(path: str | os.PathLike[str]) -> bool:
    """Tells whether a path is that of a picture or a film, which may hold a recipe."""
    path = Path(path)
    if path.suffix.lower() in (*SUFFIXES, *deepzoom.SUFFIXES, *films.SUFFIXES):
        return True
    # A pipe would block.
    return (path.is_file() or path.is_dir()) and films.is_film(path)


def read_saved(path: str | os.PathLike[str]) -> Saved:
    """Reads recipe and record of a dreamed picture, or of a film.

    Args:
        path: The picture; of a film's record what it shares with a picture's is read.

    Returns:
        Both, validated but untrusted.

    Raises:
        PictureError: If it cannot be read, or was not saved by keras-dream.
        SettingError: If the recipe is invalid.
    """
    return saved_of(Path(path), _notes(Path(path)))


def film_record(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Returns the record of a film, as JSON types; None for anything else.

    It is untrusted: any JSON, of which "frames" is a number.

    Raises:
        PictureError: If there is no such file, or it is neither picture nor film.
    """
    try:
        record = parse_json((read_notes(path) or {})["record"])
        return record if isinstance(record["frames"], int) else None
    except (LookupError, TypeError, ValueError, RecursionError):
        return None


def saved_of(path: Path, notes: Mapping[str, str]) -> Saved:
    """Returns the dream that has these notes; errors as for `read_saved`.

    Args:
        path: Its picture, which need not exist.
        notes: Its recipe and its record, as JSON texts.
    """
    return Saved(path, Recipe.read(notes["recipe"]), _record(path, notes))


def recorded_run(run: Mapping[str, Any]) -> tuple[RunSettings, tuple[str, ...]]:
    """Returns the run settings of a record, and notices on those that are ignored.

    A record is untrusted: it never decides whether to go online, and starts no more
    threads than this process has processors, as each takes megabytes of stack.

    Args:
        run: The settings as they were recorded.

    Raises:
        SettingError: If they are invalid.
    """
    settings = RunSettings.of({name: v for name, v in run.items() if name != "offline"})
    threads, most = settings.threads, cores()
    if threads is None or threads <= most:
        return settings, ()
    notice = (
        f"The recorded {threads} threads are not started, since this process has "
        f"{most} of the processors; --threads {threads} starts them."
    )
    return settings.but(threads=None), (notice,)


def _folders(saved: Saved) -> list[Path]:
    """Returns the folders of a picture's files: for a sheet's cell also the sheet's."""
    folder = saved.path.parent
    is_cell = folder.resolve().name.endswith(CELLS)
    return [folder, folder / ".."] if is_cell else [folder]


def find_source(saved: Saved, photo: str | os.PathLike[str] | None) -> Path | str:
    """Returns the photo that a dream was made of, or the source without one.

    Args:
        saved: The dream.
        photo: The user's photo; None looks for the recorded name beside the picture.

    Raises:
        PictureError: If there is none, or its pixels are not the recorded ones.
    """
    name = saved.record.source
    if photo is None and is_source(name):
        return name
    if photo is not None:
        path = check_file(photo, "A source", error=PictureError)
    else:
        path = _recorded_source(saved)
    if read_picture(path).sha256 != saved.record.source_sha256:
        anew = f"`dream PHOTO --recipe {shlex.quote(saved.path.name)}`"
        # A dream that was killed has a checkpoint only.
        other = f", or dream this one with {anew}" if saved.path.exists() else ""
        raise PictureError(
            "The source of a dream must have the recorded pixels",
            received=f"{short_repr(str(path))}, which has other pixels",
            hint=f"name the right one{other}",
        )
    return path


def _recorded_source(saved: Saved) -> Path:
    """Returns the photo of the recorded name, beside the picture."""
    name, what = saved.record.source, "The recorded source"
    hint = "name the photo: `dream replay` takes it as --source PHOTO, `dream` as PHOTO"
    if name:
        plain_name(name, what, error=PictureError, hint=hint)
    for folder in _folders(saved) if name else ():
        path = inside(folder, name, what, error=PictureError, hint=hint)
        if path.is_file():
            return path
    where = f"none called {short_repr(name)} in {short_repr(str(saved.path.parent))}"
    raise PictureError(
        "The source of a dream must be beside it, or it must be named",
        received=where if name else "a dream of a picture without a name",
        hint=hint,
    )


_CARRIED = (
    "canvas", "detail", "octaves", "octaves_above", "octave_scale", "octave_sides",
    "octave_sizes", "optimizer", "size", "small_octaves",
)  # fmt: skip
"""The settings that must stay the same for a dream to go on in its midst."""


def start_of(
    saved: Saved, recipe: Recipe
) -> tuple[Checkpoint | np.ndarray, tuple[str, ...]]:
    """Returns where a dream goes on from, and notices.

    A stopped dream goes on with its next step: exactly as it would have where its
    canvas was saved beside it, else from its picture. A finished one begins anew from
    its picture, and so does one for which another canvas, another optimizer or other
    octaves are asked.

    Args:
        saved: The dream.
        recipe: What it goes on with.
    """
    picture = read_picture(saved.path).pixels
    others = [n for n in _CARRIED if getattr(recipe, n) != getattr(saved.recipe, n)]
    if saved.record.complete or not saved.record.losses or others:
        size = fitted((picture.shape[0], picture.shape[1]), recipe.size)
        image = np.clip(resample(picture, size), 0, 1)
        if saved.record.complete or not others:
            return image, ()
        anew = f"The dream begins anew from the picture, with another {others[0]}."
        return image, (anew,)
    canvas = checkpoint_path(saved.path)
    reason = f"{canvas.name} is not beside it"
    if canvas.is_file():
        if read_context(canvas).picture_sha256 == sha256_file(saved.path):
            return Checkpoint.read(canvas), ()
        reason = f"{canvas.name} is that of another picture"
    alike = f"The dream goes on from the picture's 8 bits, because {reason}: what "
    return _checkpoint(saved, picture, recipe), (
        f"{alike}follows is alike, not equal to what it would have been.",
    )


def _checkpoint(saved: Saved, picture: np.ndarray, recipe: Recipe) -> Checkpoint:
    """Returns where a stopped dream was, as far as its picture and its record tell."""
    octaves = octaves_of((picture.shape[0], picture.shape[1]), recipe)
    sizes = {str(octave.number): octave.size for octave in octaves}
    recorded = saved.record.losses
    unknown = [number for number in recorded if number not in sizes]
    if unknown:
        raise PictureError(
            "A record must be about octaves of its recipe",
            received=f"octave {short_repr(unknown[0])}",
            hint=f"dream the picture itself: `dream {shlex.quote(saved.path.name)}`",
        )
    losses = [(int(n), loss) for n, values in recorded.items() for loss in values]
    *before, last = recorded
    made = len(recorded[last])
    if len(losses) < saved.record.steps:  # of a very long run the ends are recorded
        steps = (saved.recipe.at(int(number)).steps for number in before)
        made = saved.record.steps - sum(steps)
    return Checkpoint(
        octave=int(last),
        iteration=max(made, 0),
        losses=tuple(losses),
        image=np.clip(resample(picture, sizes[last]), 0, 1),
    )


def find_files(saved: Saved, *, named: Sequence[str | os.PathLike[str]] = ()) -> Files:
    """Returns what finds the files that a dream's recipe names, such as guides.

    Args:
        saved: The dream: they are looked for by name beside it.
        named: The user's files, which come first.
    """
    return Files(named=named, folders=_folders(saved))


def find_models(
    saved: Saved,
    names: Sequence[str],
    *,
    files: Sequence[str | os.PathLike[str]] = (),
    trusted: bool,
) -> dict[str, Path]:
    """Returns the model files that a dream was made with.

    Args:
        saved: The dream.
        names: The recipe's names of them.
        files: The user's model files; without any, they are looked for by name beside
            the picture and in the caches.
        trusted: Whether the user trusts model files.

    Raises:
        NetworkError: If they are not trusted, or none has the recorded sha256.
    """
    hashes = _hashes(saved.record)
    folders = _folders(saved)
    paths: dict[str, Path] = {}
    for name in names:
        if not trusted:
            raise user_models.distrusted(name)
        path = user_models.find(name, hashes.get(name, ""), folders, given=files)
        paths[name] = path
    return paths


def differences(before: Record, now: Record) -> tuple[str, ...]:
    """Returns how the computation of two dreams of one recipe differs.

    If it does not, equal pixels and an equal file can be expected.

    Args:
        before: The saved dream's record.
        now: The record of the dream made again.
    """
    return tuple(_differences(before, now))


def is_equal(dream: Dream, saved: Saved) -> bool:
    """Tells whether a replayed dream is equal to the saved one.

    It is if the file is the same, byte for byte, or the decoded pixels are; those of a
    PNG with the same notes: libvips has written it if the dream was a huge one.
    """
    suffix = saved.path.suffix.lower()
    data = dream.encode(suffix=suffix, strip=saved.record.stripped)
    if data == saved.path.read_bytes():
        return True
    with tempfile.TemporaryDirectory(prefix="dream-") as folder:
        again = Path(folder, f"again{suffix}")
        again.write_bytes(data)
        if suffix == ".png" and read_notes(again) != read_notes(saved.path):
            return False
        return read_picture(again).sha256 == read_picture(saved.path).sha256


def _notes(path: Path) -> dict[str, str]:
    """Returns a picture's notes, which have at least a recipe."""
    notes = read_notes(path)
    if not notes or "recipe" not in notes:
        raise PictureError(
            "A picture must hold the recipe of its dream",
            received=f"{short_repr(str(path))}, which holds none",
            hint="try one that keras-dream saved",
        )
    return notes


def _record(path: Path, notes: Mapping[str, str]) -> Record:
    try:
        data = _with_numbers(parse_json(notes["record"]))
        record = TypeAdapter(Record).validate_python(data)
        if not 0 <= record.steps < 2**63 or not all(0 < s < 2**31 for s in record.size):
            raise ValueError("numbers of steps or pixels that cannot be")
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError):
        raise PictureError(
            "A picture must hold the record of its dream",
            received=f"{short_repr(str(path))}, whose record is missing or broken",
            hint=f"dream a photo by its recipe alone: `dream PHOTO --recipe "
            f"{shlex.quote(path.name)}`",
        ) from None
    return record


def _with_numbers(data: Any) -> Any:
    """Returns a record's data with NaN for every loss that JSON has as null."""
    numbers = {
        octave: [math.nan if loss is None else loss for loss in losses]
        for octave, losses in data.get("losses", {}).items()
    }
    return {**data, "losses": numbers}


def _differences(before: Record, now: Record) -> Iterator[str]:
    if before.source != now.source:
        # The name is in the record, and so in the file.
        yield f"a source called {now.source} instead of {before.source}"
    elif before.source_sha256 != now.source_sha256:
        yield f"{now.source} with other pixels"
    for name, old, new in _changes(before.versions, now.versions):
        yield f"{name} {new or 'absent'} instead of {old or 'absent'}"
    if before.processor != now.processor:
        yield f"the processor {now.processor} instead of {before.processor}"
    for name, *hashes in _changes(_hashes(before), _hashes(now)):
        network = f" of {name}" if before.also or now.also else ""
        old, new = ((value or "absent")[:12] for value in hashes)
        yield f"weights {new}{network} instead of {old}"
    if before.start_sha256 != now.start_sha256:
        yield "the photo as the start, instead of an image that is not in the file"
    if now.strongest and now.data()["strongest"] != before.data().get("strongest"):
        # Known only after the first step.
        yield "other strongest channels"
    for name, old, new in _changes(before.run, now.run):
        yield f"{name} {new} instead of {old}"


def _hashes(record: Record) -> dict[str, str]:
    """Returns the weights' sha256 of every network of a record."""
    return {record.network: record.weights_sha256, **record.also}


def _changes(
    before: Mapping[str, Any], now: Mapping[str, Any]
) -> Iterator[tuple[str, Any, Any]]:
    """Yields every name whose value differs, with the old value and the new one."""
    for name in sorted({*before, *now}):
        if before.get(name) != now.get(name):
            yield name, before.get(name), now.get(name)
