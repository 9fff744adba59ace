"""Files that a recipe names: guides, masks, palettes, directions.

A recipe names a file as (name, sha256) and never holds its contents. What the user
types may be a path without a hash; a dream's recipe, which travels in the picture, has
the plain name and the hash of the bytes. A recipe that comes from a file or a picture
is untrusted, for it may be a stranger's: its files have plain names and hashes, and are
looked for among the files that the user names and beside the picture, nowhere else.
"""

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pydantic import BaseModel
from pydantic_core import CoreSchema, core_schema

from keras_dream.errors import InputError, SettingError, short_repr
from keras_dream.files import check_file, sha256_file
from keras_dream.names import inside, name_fault, plain_name

if TYPE_CHECKING:
    from keras_dream.pictures.limits import Limits
    from keras_dream.pictures.picture import Picture

MAX_NAME = 4_096  # characters: PATH_MAX of Linux
MAX_BYTES = 1_000_000_000
"""Of a file that a recipe names: four times the largest picture that is decoded, in
8 bits."""

Value = TypeVar("Value")

_WITH_HASH = re.compile(r"(?P<name>.+)#(?P<sha256>[0-9a-fA-F]{64})", re.DOTALL)
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class FileRef:
    """A file as a recipe names it.

    Attributes:
        name: Its name; a path only where the user typed it.
        sha256: Of its bytes, in 64 hexadecimal digits; empty where it is not stated.

    Raises:
        SettingError: If the name is none, a URL or too long, or the hash is none.
    """

    name: str
    sha256: str = ""

    def __post_init__(self) -> None:
        if (
            not self.name
            or self.name != self.name.strip()
            or "\0" in self.name
            or len(self.name) > MAX_NAME
            or _WITH_HASH.fullmatch(self.name)
        ):
            raise SettingError(
                f"A file must have a name of at most {MAX_NAME} characters that does "
                "not begin or end with a space, nor look like one with its sha256",
                received=short_repr(self.name),
                hint="name a file, or rename it",
            )
        if re.match(r"\w{2,}://", self.name):
            raise SettingError(
                "A file must be on this machine",
                received=f"the address {short_repr(self.name)}",
                hint="download it first, and name the file",
            )
        if self.sha256 and not _SHA256.fullmatch(self.sha256):
            raise SettingError(
                "The sha256 of a file must be 64 hexadecimal digits in lower case",
                received=short_repr(self.sha256),
                hint="leave it out: it is computed",
            )

    @classmethod
    def read(cls, text: str) -> "FileRef":
        """Returns the file for text such as "photo2.jpg" or "photo2.jpg#<sha256>"."""
        match = _WITH_HASH.fullmatch(text.strip())
        if match is None:
            return cls(text.strip())
        return cls(match["name"], match["sha256"].lower())

    @property
    def text(self) -> str:
        """The file as text that `read` reads back."""
        return f"{self.name}#{self.sha256}" if self.sha256 else self.name

    def __str__(self) -> str:
        return self.text

    @property
    def is_plain(self) -> bool:
        """Whether the name leads to no other folder, on any system."""
        return not name_fault(self.name)

    @classmethod
    def __get_pydantic_core_schema__(cls, *_: object) -> CoreSchema:
        """Makes it a field type: read from text, written as text."""
        return core_schema.no_info_plain_validator_function(
            as_file,
            serialization=core_schema.to_string_ser_schema(),
            json_schema_input_schema=core_schema.str_schema(),
        )


def as_file(value: Any) -> FileRef:
    """Returns a file for a `FileRef`, its text, or a path.

    Raises:
        SettingError: If it is none of these.
    """
    if isinstance(value, FileRef):
        return value
    if isinstance(value, str):
        return FileRef.read(value)
    if isinstance(value, os.PathLike):
        return FileRef(str(os.fspath(cast("os.PathLike[str]", value))))
    raise SettingError(
        "A file must be named by text or a path",
        received=short_repr(value),
        hint="try 'photo2.jpg'",
    )


def files_of(value: Any) -> Iterator[FileRef]:
    """Yields every file that a value names, in settings of any depth."""
    if isinstance(value, FileRef):
        yield value
    for _, part in _parts(value):
        yield from files_of(part)


def with_files(value: Value, change: Callable[[FileRef], FileRef]) -> Value:
    """Returns a value with its files changed; the value itself if none is.

    Args:
        value: A setting: frozen dataclasses, models and tuples of any depth.
        change: Returns what comes in the place of a file.
    """
    if isinstance(value, FileRef):
        return cast("Value", change(value))
    changed = {
        name: new
        for name, part in _parts(value)
        if (new := with_files(part, change)) is not part
    }
    if not changed:
        return value
    if isinstance(value, tuple):
        parts = enumerate(cast("tuple[Any, ...]", value))
        return cast("Value", tuple(changed.get(n, part) for n, part in parts))
    if isinstance(value, BaseModel):
        return cast("Value", value.model_copy(update=cast("dict[str, Any]", changed)))
    return replace(cast("Any", value), **changed)


def _parts(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yields the parts of which a value consists, with their names or numbers."""
    if isinstance(value, tuple):
        yield from enumerate(cast("tuple[Any, ...]", value))
    elif isinstance(value, BaseModel):
        yield from ((name, getattr(value, name)) for name in value.model_fields_set)
    elif is_dataclass(value) and not isinstance(value, type | FileRef):
        names = (field.name for field in fields(value) if field.init)
        yield from ((name, getattr(value, name)) for name in names)


def check_untrusted(files: Iterable[FileRef]) -> None:
    """Makes sure that an untrusted recipe's files are plain names with hashes.

    Raises:
        SettingError: If one is not.
    """
    for file in files:
        own = "name the file as a flag or in Python"
        plain_name(
            file.name,
            "A file in a recipe",
            error=SettingError,
            hint=f"rename the file, or {own}",
        )
        if not file.sha256:
            raise SettingError(
                "A file in a recipe must be a name with its sha256",
                received=short_repr(file.text),
                hint=f"write NAME#SHA256, or {own}",
            )


class Files:
    """Finds the files that a recipe names.

    Args:
        named: Files that the user named: a recipe's file may be one of them.
        folders: Where else a recipe's file is looked for by its plain name: beside the
            picture or the recipe.
        limits: How pictures among them are read; None for the defaults.

    Attributes:
        limits: The same.

    Raises:
        InputError: If one of the named files cannot be read.
    """

    def __init__(
        self,
        *,
        named: Sequence[str | os.PathLike[str]] = (),
        folders: Sequence[str | os.PathLike[str]] = (),
        limits: "Limits | None" = None,
    ):
        self.limits = limits
        self._named = [check_file(path, "A named file") for path in named]
        self._folders = [Path(folder) for folder in folders]
        self._paths: dict[FileRef, Path] = {}
        self._held: dict[FileRef, Picture] = {}

    def look_in(self, folder: str | os.PathLike[str]) -> None:
        """Looks in another folder, too."""
        if Path(folder) not in self._folders:
            self._folders.append(Path(folder))

    def hold(self, pictures: "Mapping[FileRef, Picture]") -> None:
        """Holds pictures that stand in no file of their own, such as a film's frames.

        Args:
            pictures: By plain names with hashes; they take the place of those before.
        """
        self._held = dict(pictures)

    def picture_of(self, file: FileRef) -> "Picture | None":
        """Returns a picture that is held; None where a file has to be read."""
        return self._held.get(file)

    def complete(self, value: Value) -> Value:
        """Returns a value with plain names and hashes in the place of paths.

        Args:
            value: A recipe's settings as the user gave them: paths may lead anywhere.

        Raises:
            InputError: If there is no such file.
        """
        return with_files(value, self._completed)

    def check(self, value: Any) -> None:
        """Makes sure that every file of a recipe can be found.

        Args:
            value: A recipe's settings.

        Raises:
            InputError: If one cannot.
        """
        for file in files_of(self.complete(value)):
            self.find(file)

    def find(self, file: FileRef) -> Path:
        """Returns the path of a file whose bytes have the stated hash.

        Raises:
            InputError: If there is none.
        """
        wrong: Path | None = None
        for path in self._candidates(file):
            if not path.is_file():
                continue
            if not file.sha256 or self._sha256(path) == file.sha256:
                return path
            wrong = path
        if not file.sha256:  # typed by the user, not read from a recipe
            raise InputError(
                f"The file {short_repr(file.name)} must exist",
                received="none of that name",
                hint=_missing(file),
            )
        raise InputError(
            f"The file {short_repr(file.name)} of a recipe must be beside the picture "
            "or the recipe, or be named",
            received=f"{short_repr(str(wrong))}, which has another sha256"
            if wrong
            else "none",
            hint=_missing(file),
        )

    def read(self, file: FileRef, *, limit: int = MAX_BYTES) -> bytes:
        """Returns a file's bytes, which have the stated hash.

        Args:
            file: The file.
            limit: The largest allowed size in bytes.

        Raises:
            InputError: If there is none, or it is larger.
        """
        path = self.find(file)
        with path.open("rb") as opened:
            data = opened.read(limit + 1)
        if len(data) > limit:
            raise _too_large(path, limit)
        return data

    def _completed(self, file: FileRef) -> FileRef:
        if file.is_plain and file.sha256:
            return file
        # Not Path.expanduser, which raises for a ~ that is no home.
        typed = Path(os.path.expanduser(file.name))  # noqa: PTH111
        own = FileRef(file.name)
        path = self.find(own) if file.is_plain and not typed.exists() else typed
        check_file(path, "A file of a recipe")
        sha256 = self._sha256(path)
        if file.sha256 not in ("", sha256):
            raise InputError(
                f"A file must have the stated sha256, {file.sha256[:12]}…",
                received=f"{short_repr(str(path))}, which has {sha256[:12]}…",
                hint="name the right file, or leave the sha256 out",
            )
        completed = FileRef(path.name, sha256)
        check_untrusted([completed])  # the recipe will be read from a picture
        self._paths[completed] = path.absolute()
        return completed

    def _candidates(self, file: FileRef) -> Iterator[Path]:
        if file in self._paths:
            yield self._paths[file]
        yield from (path for path in self._named if path.name == file.name)
        if not file.is_plain:
            return
        for folder in self._folders:
            with contextlib.suppress(InputError):  # a link could lead to any file
                yield inside(folder, file.name, "A file of a recipe")
        # A named file may have been renamed.
        if file.sha256:
            yield from (path for path in self._named if path.name != file.name)

    def _sha256(self, path: Path) -> str:
        check_file(path, "A file of a recipe")
        if path.stat().st_size > MAX_BYTES:
            raise _too_large(path, MAX_BYTES)
        return sha256_file(path)


def _too_large(path: Path, limit: int) -> InputError:
    return InputError(
        f"A file of a recipe must have at most {limit:,} bytes",
        received=f"{short_repr(str(path))}, which has more",
        hint="make a smaller copy",
    )


def _missing(file: FileRef) -> str:
    """Returns what to try where a file is not found."""
    if "." not in file.name:
        # A word in the place of a mask, such as `sky`.
        return (
            "name a picture file; a mask may also be 'box(0%, 0%, 100%, 50%)' or alpha"
        )
    return "check the name, or add --file PATH, in Python files=[PATH]"
