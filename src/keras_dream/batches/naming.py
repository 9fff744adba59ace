"""The names of a batch's results: a template, and a name for each that no other has.

    {stem}-{preset}-{seed}      a name for every photo; {index:04d} counts them

A value is put in as a part of a plain name: what no file name may have becomes _.
"""

import contextlib
import re
import string
import unicodedata
from collections import defaultdict
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, cast

from keras_dream.errors import OutputError, SettingError, nearest, short_repr
from keras_dream.files import NAME_BYTES, check_suffix
from keras_dream.names import inside, name_fault, plain_name
from keras_dream.pictures.encoding import SUFFIXES
from keras_dream.pictures.sources import file_stem, is_source
from keras_dream.recipe.recipe import Recipe

DEFAULT = "{stem}-dream"
"""As for a single dream."""

COUNTS = ("index", "number")
"""The fields that differ for every photo."""

_OWN = ("stem", "suffix", "preset", *COUNTS)
_FORMAT = re.compile(r"(0?\d{1,2})?(\.\d)?[dfgeE]?")
_TOLD_APART = ("{stem}-{suffix}-dream", "{stem}-{index}-dream")


@dataclass(frozen=True)
class Name:
    """What a result is named by.

    Attributes:
        photo: The photo's path, or a source without one.
        below: The folder below that of the results: "" or "summer/beach".
        recipe: The dream's recipe.
        preset: The preset that it came from.
        index: The photo's number in the batch, from 1.
        template: A template of its own, or None.
        path: A path of its own below the folder of the results, or None.
    """

    photo: str
    below: str
    recipe: Recipe
    preset: str
    index: int
    template: "Template | None" = None
    path: PurePosixPath | None = None

    def value(self, field: str) -> Any:
        """Returns the value of a field of a template."""
        stem = file_stem(self.photo) if is_source(self.photo) else Path(self.photo).stem
        values = {
            "stem": stem,
            "suffix": Path(self.photo).suffix[1:].lower() or "none",
            "preset": self.preset,
            **dict.fromkeys(COUNTS, self.index),
        }
        return values[field] if field in values else getattr(self.recipe, field)


@dataclass(frozen=True)
class Template:
    """A template of names.

    Args:
        text: Such as "{stem}-{preset}-{seed}", with or without a suffix.
        suffix: The suffix of results whose name has none, with its dot.

    Raises:
        SettingError: If it cannot be read, or has an unknown field.
        OutputError: If it leads to a folder.
    """

    text: str = DEFAULT
    suffix: str = ".png"

    def __post_init__(self) -> None:
        _ = self.parts

    @cached_property
    def parts(self) -> tuple[tuple[str, str | None, str], ...]:
        """Its parts: the text before a field, the field or None, the field's format."""
        try:
            parsed = list(string.Formatter().parse(self.text))
        except ValueError as failure:
            raise _template_error(f"{short_repr(self.text)} ({failure})") from None
        for before, name, form, conversion in parsed:
            fault = name_fault(f"x{before}x") if before else ""
            if fault:
                raise OutputError(
                    "A name of results must be one without folders",
                    received=f"{short_repr(self.text)}, {fault}",
                    hint="leave the folder out: results lie in the same folders as "
                    "their photos",
                )
            if name is None:
                continue
            if name not in fields():
                raise SettingError(
                    "A field of a name must be one that exists",
                    received=f"{{{short_repr(name)[1:-1]}}}",
                    hint=nearest(name, fields(), listed=True)
                    or f"try one of {', '.join(fields())}",
                )
            if conversion or not _FORMAT.fullmatch(form or ""):
                raise _template_error(short_repr(self.text))
        return tuple((before, name, form or "") for before, name, form, _ in parsed)

    def path(self, name: Name) -> PurePosixPath:
        """Returns the path of a result below the folder of the results.

        Raises:
            InputError: If no such name is possible.
        """
        text = ""
        for before, field, form in self.parts:
            text += before
            if field is not None:
                text += _part(field, name.value(field), form)
        stem, suffix = _split(text, self.suffix)
        while len(stem.encode("utf-8", "replace")) + len(suffix) > NAME_BYTES:
            stem = stem[:-1]
        return PurePosixPath(name.below, _plain(stem + suffix))


def _plain(text: str) -> str:
    hint = "try another --name"
    return plain_name(text, "A result's name", error=OutputError, hint=hint)


def fields() -> tuple[str, ...]:
    """Returns the fields that a template may have."""
    return (*_OWN, *(n for n in Recipe.model_fields if n != "schema_number"))


def template(text: str | None, form: str | None) -> Template:
    """Returns a template for what the user wrote.

    Args:
        text: The template, or None for the default.
        form: A format of pictures, such as "jpg", or None for that of the template.

    Raises:
        SettingError: If the template cannot be read.
        OutputError: If there is no such format, or the template has another.
    """
    made = Template(DEFAULT if text is None else text)
    if form is None:
        return made
    suffix = check_suffix("result." + form.lower().removeprefix("."), SUFFIXES)
    own = _split(made.text, "")[1].lower()
    if own and own != suffix:
        raise OutputError(
            f"A name must end in the suffix of --format, {suffix}",
            received=short_repr(made.text),
            hint="leave one of them out",
        )
    return replace(made, suffix=suffix)


def assign(
    names: Sequence[Name],
    template: Template,
    *,
    taken: Iterable[PurePosixPath] = (),
    at_once: bool = True,
) -> tuple[list[PurePosixPath | OutputError], tuple[str, ...]]:
    """Returns the path of each result below the folder of the results.

    Names that differ only by case or by how accents are coded are one on some systems,
    and so they are here. The default template tells photos of one stem apart by their
    suffixes, and what has the same photo by its number; others must do so themselves.

    Args:
        names: What the results are named by.
        template: The template of those that have none of their own.
        taken: Paths that are given away already.
        at_once: Whether two results of one name refuse all; else they refuse theirs.

    Returns:
        The paths, or errors in the place of those that cannot be; and notices.

    Raises:
        OutputError: If two results would have one name.
    """
    paths = [_path(name, template) for name in names]
    used = {_key(path) for path in taken}
    told: set[int] = set()
    for text in _TOLD_APART if template.text == DEFAULT else ():
        other = replace(template, text=text)
        same = {index for group in _same(paths, used) for index in group}
        same = {n for n in same if not (names[n].path or names[n].template)}
        told |= same
        for index in same:
            paths[index] = _path(names[index], other)
    for group in _same(paths, used):
        photos = [short_repr(names[index].photo) for index in group[:2]]
        error = OutputError(
            "Every result must have a name of its own",
            received=f"{short_repr(str(paths[group[0]]))} for {' and '.join(photos)}",
            hint="add {suffix}, {preset}, {seed} or {index} to --name",
        )
        if at_once:
            raise error
        for index in group:
            paths[index] = error
    if not told:
        return paths, ()
    example = short_repr(str(paths[min(told)]))
    notice = f"Photos of one stem have results of longer names, such as {example} "
    return paths, (f"{notice}({len(told)}).",)


def result_path(folder: Path, relative: str, template: Template) -> PurePosixPath:
    """Returns the path that a manifest names for a result.

    Args:
        folder: The folder of the results.
        relative: The path below it, with or without a suffix.
        template: Whose suffix is added where there is none.

    Raises:
        OutputError: If it leads out of the folder.
    """
    stem, suffix = _split(relative, template.suffix)
    path = inside(folder, stem + suffix, "A result", error=OutputError)
    return PurePosixPath(path.relative_to(folder).as_posix())


def _path(name: Name, template: Template) -> PurePosixPath | OutputError:
    try:
        return name.path or (name.template or template).path(name)
    except OutputError as error:
        return error


def _key(path: PurePosixPath) -> str:
    """Returns what is equal for paths that are the same on any file system."""
    text = unicodedata.normalize("NFC", str(path)).casefold()
    return unicodedata.normalize("NFC", text)


def _same(
    paths: Sequence[PurePosixPath | OutputError], used: Container[str]
) -> list[list[int]]:
    """Returns the indices of paths that others have, too, in groups."""
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for index, path in enumerate(paths):
        if not isinstance(path, OutputError):
            groups[_key(path)].append(index)
    return [g for key, g in groups.items() if len(g) > 1 or key in used]


def _part(field: str, value: Any, form: str) -> str:
    """Returns the value of a field as a part of a plain name."""
    if form and isinstance(value, int | float):
        with contextlib.suppress(ValueError):
            return format(value, form)
    if form:
        raise OutputError(
            "A format must fit the field of a name",
            received=f"{form!r} for {field}, which is {short_repr(_text(value))}",
            hint="leave the format out",
        )
    if field == "stem":  # only what another system would refuse
        return "".join("_" if name_fault(f"x{c}x") else c for c in _text(value))
    return re.sub(r"[^\w.+-]+", "_", _text(value)).strip("_")


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple):
        return "+".join(map(_text, cast("tuple[Any, ...]", value))) or "none"
    return "none" if value is None else str(getattr(value, "text", value))


def _split(text: str, suffix: str) -> tuple[str, str]:
    """Returns a name in two: without its suffix, and that, if it is a picture's."""
    own = PurePosixPath(text).suffix
    if own.lower() in SUFFIXES:
        return text.removesuffix(own), own
    return text, suffix


def _template_error(received: str) -> SettingError:
    return SettingError(
        "A name must have its fields in braces, each with a format for numbers or none",
        received=received,
        hint="try '{stem}-{preset}-{seed}' or '{index:04d}'",
    )
