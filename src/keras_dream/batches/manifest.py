"""Manifests: lists of photos with a recipe each, as JSON lines or CSV.

    {"photo": "a.jpg", "preset": "reef", "seed": 3}        list.jsonl

    photo,preset,seed                                      list.csv
    a.jpg,reef,3

A manifest is untrusted, for it may come with a folder of pictures from anywhere: the
names in it stay inside its folder, nothing is fetched, and it trusts no model file.
"""

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from keras_dream.errors import DreamError, InputError, SettingError, nearest, short_repr
from keras_dream.files import read_bounded
from keras_dream.recipe.recipe import Recipe
from keras_dream.recipe.settings import parse_json
from keras_dream.recipe.synonyms import setting_advice

SUFFIXES = (".jsonl", ".csv")
COLUMNS = ("photo", "out", "name", "preset", "recipe")
"""What a line may have besides the settings of a recipe."""

MAX_BYTES = 64_000_000
MAX_LINES = 100_000
MAX_LINE = 65_536  # characters: a recipe with everything set has some 4,000


@dataclass(frozen=True)
class Line:
    """A line of a manifest.

    Attributes:
        where: Its place in words: "line 12 of list.csv".
        index: Its number among the lines that are not blank, from 1.
        columns: Those of `COLUMNS` that it has.
        settings: The settings of its recipe, by their names.
    """

    where: str
    index: int
    columns: Mapping[str, str]
    settings: Mapping[str, Any]


@dataclass
class Manifest:
    """What a manifest says.

    Attributes:
        path: The file.
        lines: Its lines in order, but for blank and broken ones.
        errors: What is wrong with the broken ones, by their places in words.
    """

    path: Path
    lines: list[Line] = field(default_factory=list[Line])
    errors: dict[str, DreamError] = field(default_factory=dict[str, DreamError])


def read_manifest(path: Path) -> Manifest:
    """Reads a manifest.

    Args:
        path: A .jsonl file, each line of which is a JSON object, or a .csv file, whose
            first line names the columns and which has , ; or tabs between its cells.
            An empty cell sets nothing.

    Returns:
        Its lines, and what is wrong with broken ones.

    Raises:
        InputError: If it is no manifest: it cannot be read, is too long, has no column
            of photos, an unknown column, or no line that can be read.
    """
    text = read_bounded(path, MAX_BYTES, what="A manifest")
    # Not `splitlines`, which also breaks at characters that a name may have.
    texts = [line.removesuffix("\r") for line in text.split("\n")]
    if len(texts) > MAX_LINES:
        raise InputError(
            f"A manifest must have at most {MAX_LINES:,} lines",
            received=f"{short_repr(str(path))}, which has {len(texts):,}",
            hint="split it into several",
        )
    manifest = Manifest(path)
    rows = _csv if path.suffix.lower() == ".csv" else _json_lines
    for index, (number, values) in enumerate(rows(path, texts), 1):
        where = f"line {number} of {path.name}"
        try:
            if isinstance(values, DreamError):
                raise values
            manifest.lines.append(_line(where, index, values))
        except DreamError as error:
            manifest.errors[where] = error
    if not manifest.lines:
        first = next(iter(manifest.errors.values()), None)
        raise InputError(
            "A manifest must have a photo on each line",
            received=f"{short_repr(str(path))}, in which no line can be read",
            hint=f"the first says: {first}".removesuffix(".")
            if first
            else 'try {"photo": "a.jpg"} in a .jsonl file, or the column photo in a '
            ".csv file",
        )
    return manifest


def _line(where: str, index: int, values: Mapping[str, Any]) -> Line:
    columns = {name: values[name] for name in COLUMNS if name in values}
    settings = {name: values[name] for name in values if name not in COLUMNS}
    for name, value in columns.items():
        if not isinstance(value, str) or not value:
            raise SettingError(
                f"`{name}` of a manifest must be text",
                received=short_repr(value),
                hint="write it in quotes",
            )
    if "photo" not in columns:
        raise SettingError(
            "A line of a manifest must have a photo",
            received="none",
            hint="add photo, a name of a file in the manifest's folder",
        )
    if "out" in columns and "name" in columns:
        raise SettingError(
            "A line of a manifest must have one name for its result",
            received="out and name",
            hint="leave one of them out",
        )
    for name in settings:
        _check_setting(name)
    return Line(where, index, columns, settings)


def _check_setting(name: str) -> None:
    names = (*COLUMNS, *Recipe.model_fields, "layers")
    if name not in names:
        advice = setting_advice(name, list(names))  # in Python
        setting = re.match(r"try (\w+)=", advice)
        meant = setting[1] if setting else "out" if advice else ""
        raise SettingError(
            "A column of a manifest must be photo, out, name, preset, recipe or a "
            "setting of a recipe",
            received=short_repr(name),
            hint=f"try {meant!r}"
            if meant
            else nearest(name, names, see="`dream --help`"),
        )


Row = tuple[int, Mapping[str, Any] | DreamError]


def _json_lines(path: Path, texts: list[str]) -> Iterator[Row]:
    for number, text in enumerate(texts, 1):
        if not text.strip():
            continue
        values: Any = None
        error: DreamError | None = _too_long(text)
        if error is None:
            try:
                values = parse_json(text)
            except DreamError as failure:
                error = failure
            except (ValueError, RecursionError):
                values = None
        if error is None and not isinstance(values, dict):
            error = SettingError(
                "A line of a manifest must be a JSON object",
                received=short_repr(text, limit=40),
                hint='try {"photo": "a.jpg", "seed": 1}',
            )
        yield number, error or cast("dict[str, Any]", values)


def _csv(path: Path, texts: list[str]) -> Iterator[Row]:
    """Yields the lines of a CSV file; a cell cannot go on on the next line.

    So an open quotation mark spoils one line, and not all that follow.
    """
    head, *rows = texts
    comma = next((sign for sign in ",;\t" if sign in head), ",")
    names = [name.strip() for name in _cells(head, comma) or []]
    if "photo" not in names or len(set(names)) < len(names):
        raise InputError(
            "The first line of a .csv manifest must name its columns, each once, photo "
            "among them",
            received=f"{short_repr(head)} in {short_repr(str(path))}",
            hint="try photo,preset,seed",
        )
    for name in names:
        _check_setting(name)
    for number, text in enumerate(rows, 2):
        if not text.strip():
            continue
        cells = _cells(text, comma)
        if error := _too_long(text):
            yield number, error
        elif cells is None or len(cells) > len(names):
            yield (
                number,
                SettingError(
                    f"A line of a manifest must have at most {len(names)} cells, and "
                    "the quotation marks around a cell must be closed",
                    received=short_repr(text),
                    hint=f'write a cell that has a {comma} as "…"',
                ),
            )
        else:
            pairs = zip(names, map(str.strip, cells), strict=False)
            yield number, {name: cell for name, cell in pairs if cell}


def _cells(text: str, comma: str) -> list[str] | None:
    """Returns the cells of a line; None if its quotation marks are not closed."""
    try:
        return next(csv.reader([text], delimiter=comma, strict=True), [])
    except csv.Error:
        return None


def _too_long(text: str) -> DreamError | None:
    if len(text) <= MAX_LINE:
        return None
    return SettingError(
        f"A line of a manifest must have at most {MAX_LINE:,} characters",
        received=f"{len(text):,}",
        hint="check that it is the right file",
    )
