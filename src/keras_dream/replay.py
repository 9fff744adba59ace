"""Making a saved dream again: its recipe, its record, its source, and the comparison.

A saved picture is a stranger's until proven otherwise. Its recipe and its record are
validated; its source is looked for by its plain name beside it, and nowhere else.
"""

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from keras_dream.engine.result import Dream, Record
from keras_dream.errors import PictureError, SettingError, short_repr
from keras_dream.files import CELLS, check_file, read_bounded
from keras_dream.pictures.encoding import SUFFIXES
from keras_dream.pictures.metadata import read_notes
from keras_dream.pictures.picture import Picture, as_picture, read_picture
from keras_dream.recipe.recipe import Recipe, RunSettings
from keras_dream.zoo import user_models

LONGEST_RECIPE = 64_000  # bytes of a recipe file, as many as a picture's notes may have

MOST_RECORDED_THREADS = 256
"""More threads than this are not started on a stranger's word: each takes megabytes of
stack, and few machines have as many processors."""


@dataclass(frozen=True)
class Saved:
    """What a saved picture tells of its dream.

    Attributes:
        path: The picture.
        recipe: What decided the dream.
        record: What happened.
    """

    path: Path
    recipe: Recipe
    record: Record

    @property
    def steps_made(self) -> int | None:
        """After how many steps it was stopped; None if it ran to its end."""
        return None if self.record.complete else self.record.steps or None


def read_recipe(path: str | os.PathLike[str]) -> Recipe:
    """Reads a recipe from a JSON file or from a dreamed picture.

    Args:
        path: A picture by one of its suffixes, or else JSON.

    Returns:
        The recipe, validated.

    Raises:
        SettingError: If there is no such file, or the recipe is impossible.
        PictureError: If a picture cannot be read or holds no recipe.
    """
    if Path(path).suffix.lower() in SUFFIXES:
        return Recipe.read(_notes(Path(path))["recipe"])
    text = read_bounded(path, LONGEST_RECIPE, what="A recipe", error=SettingError)
    return Recipe.read(text)


def read_saved(path: str | os.PathLike[str]) -> Saved:
    """Reads recipe and record of a dreamed picture.

    Args:
        path: The picture.

    Returns:
        Both, validated; nothing else of them is to be trusted.

    Raises:
        PictureError: If it cannot be read, or holds none of ours.
        SettingError: If the recipe is impossible.
    """
    path = Path(path)
    notes = _notes(path)
    return Saved(path, Recipe.read(notes["recipe"]), _record(path, notes))


def recorded_run(record: Record) -> tuple[RunSettings, tuple[str, ...]]:
    """Returns the run settings of a record, and notices on what is not taken over.

    Raises:
        SettingError: If they are impossible.
    """
    given = dict(record.run)
    notices: list[str] = []
    threads = given.get("threads")
    if isinstance(threads, int) and threads > MOST_RECORDED_THREADS:
        given["threads"] = None
        notices.append(f"The recorded {threads} threads are not started.")
    # What a record keeps is how the dream was computed, never whether to go online.
    given.pop("offline", None)
    return RunSettings.of(given), tuple(notices)


def _beside(saved: Saved) -> list[Path]:
    """Returns where a picture's files are: of a sheet's cell, also beside the sheet."""
    folder = saved.path.parent
    is_cell = folder.resolve().name.endswith(CELLS)
    return [folder, folder / ".."] if is_cell else [folder]


def find_source(saved: Saved, *, photo: str | os.PathLike[str] | None = None) -> Path:
    """Returns the photo that a dream was made of.

    Args:
        saved: The dream.
        photo: The photo that the user named; None looks beside the picture, by name.

    Raises:
        PictureError: If there is none, or it has other pixels than the recorded ones.
    """
    name = saved.record.source
    if photo is not None:
        path = check_file(photo, "A source", error=PictureError)
    else:
        named = [folder / _plain_name(name) for folder in _beside(saved)]
        path = next((path for path in named if path.is_file()), named[0])
        if not name or not path.is_file():
            raise PictureError(
                "The source of a dream must be beside it or given with --source",
                received=f"none called {short_repr(name)} in "
                f"{short_repr(str(path.parent))}"
                if name
                else "a dream of a picture without a name",
                hint="add --source PHOTO",
            )
    if read_picture(path).sha256 != saved.record.source_sha256:
        raise PictureError(
            "The source of a dream must have the recorded pixels",
            received=f"{short_repr(str(path))}, which has others",
            hint=f"give the right one with --source, or dream this one with "
            f"`dream PHOTO --recipe {saved.path.name}`",
        )
    return path


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
        files: Files that the user named; if there are none, one is looked for by name
            beside the picture and in the caches.
        trusted: Whether the user trusts model files; a picture never does.

    Raises:
        NetworkError: If it is not trusted, or none has the recorded sha256.
    """
    known = {saved.record.network: saved.record.weights_sha256, **saved.record.also}
    beside = _beside(saved)
    found: dict[str, Path] = {}
    for name in names:
        if not trusted:
            raise user_models.distrusted(name)
        found[name] = user_models.find(name, known.get(name, ""), beside, given=files)
    return found


def differences(before: Record, now: Record) -> tuple[str, ...]:
    """Tells in which respects two dreams of one recipe were computed differently.

    Where there are none, equal pixels and an equal file can be expected.

    Args:
        before: The saved dream's record.
        now: The record of the dream made again.
    """
    return tuple(_differences(before, now))


def is_equal(dream: Dream, saved: Saved) -> bool:
    """Tells whether a dream made again is the saved one.

    A PNG must be the same file, byte for byte; of other formats, the pixels that the
    same encoding gives must be the same.
    """
    suffix = saved.path.suffix.lower()
    data = dream.encode(suffix=suffix)
    if suffix == ".png":
        return data == saved.path.read_bytes()
    return _decoded(data).sha256 == read_picture(saved.path).sha256


def _decoded(data: bytes) -> Picture:
    import io

    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        return as_picture(image)


def _notes(path: Path) -> dict[str, str]:
    """Returns a picture's notes, which hold a recipe at least."""
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
        data = _with_numbers(json.loads(notes["record"]))
        return TypeAdapter(Record).validate_python(data)
    except (KeyError, ValueError, RecursionError, ValidationError):
        raise PictureError(
            "A picture must hold the record of its dream",
            received=f"{short_repr(str(path))}, whose record is missing or broken",
            hint=f"dream a photo by its recipe alone: `dream PHOTO --recipe "
            f"{path.name}`",
        ) from None


def _with_numbers(data: Any) -> Any:
    """Returns a record's data with a number for every loss that was none."""
    losses = data.get("losses") if isinstance(data, dict) else None
    if not isinstance(losses, dict) or not all(map(_is_list, losses.values())):
        raise ValueError("losses")
    numbers = {
        octave: [math.nan if loss is None else loss for loss in found]
        for octave, found in losses.items()
    }
    return {**data, "losses": numbers}


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _plain_name(name: str) -> str:
    """Returns a recorded file name, refusing one that leads elsewhere."""
    if any(part in name for part in ("/", "\\", ":", "\0")) or name in (".", ".."):
        raise PictureError(
            "The recorded source must be a name without folders",
            received=short_repr(name),
            hint="give the photo with --source PHOTO",
        )
    return name


def _differences(before: Record, now: Record) -> Iterator[str]:
    if before.source != now.source:
        # Its name is in the record, and so in the file.
        yield f"a source called {now.source} instead of {before.source}"
    for name in sorted({*before.versions, *now.versions}):
        was, runs = before.versions.get(name), now.versions.get(name)
        if was != runs:
            yield f"{name} {runs or 'absent'} instead of {was or 'absent'}"
    if before.processor != now.processor:
        yield f"the processor {now.processor} instead of {before.processor}"
    was_weights = {before.network: before.weights_sha256, **before.also}
    weights = {now.network: now.weights_sha256, **now.also}
    for name in sorted({*was_weights, *weights}):
        was, runs = was_weights.get(name, "absent"), weights.get(name, "absent")
        if was != runs:
            of = f" of {name}" if before.also or now.also else ""
            yield f"weights {runs[:12]}{of} instead of {was[:12]}"
    if now.strongest and now.data()["strongest"] != before.data().get("strongest"):
        # Known behind the first step only.
        yield "other strongest channels"
    for name in sorted({*before.run, *now.run}):
        was, runs = before.run.get(name), now.run.get(name)
        if was != runs:
            yield f"{name} {runs} instead of {was}"
