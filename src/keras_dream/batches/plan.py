"""Planning a batch: photos and manifests become tasks, each with a path of its own."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from keras_dream.batches.inputs import (
    Task,
    Tasks,
    check_photo,
    expand,
    find_photos,
    is_folder,
)
from keras_dream.batches.manifest import SUFFIXES, Line, Manifest, read_manifest
from keras_dream.batches.naming import Name, Template, assign, result_path
from keras_dream.dreamer.dreamer import check_preset
from keras_dream.errors import DreamError, OutputError, short_repr
from keras_dream.events import ItemFailed
from keras_dream.names import inside, natural
from keras_dream.pictures.sources import is_source, size_of
from keras_dream.recipe.files import FileRef, Files, with_files
from keras_dream.recipe.presets import preset as preset_of
from keras_dream.recipe.recipe import Recipe
from keras_dream.replay import read_recipe
from keras_dream.zoo.network import network_of


@dataclass(frozen=True)
class Wanted:
    """A batch as the user asked for it.

    Attributes:
        inputs: Files, folders, patterns, sources without a photo, and manifests.
        folder: The folder of the results.
        flags: Settings over all others.
        file: Settings of a recipe file, below those of a manifest's line.
        preset: The preset below them; a line may have another.
        template: How results are named.
        files: Files that the recipes name, such as guides.
        beside: A file in whose folder they are looked for, too; "" for none.
        models: The names of networks that the user gave, such as model files.
    """

    inputs: Sequence[str]
    folder: Path
    flags: Recipe = field(default_factory=Recipe)
    file: Recipe = field(default_factory=Recipe)
    preset: str = "default"
    template: Template = field(default_factory=Template)
    files: Sequence[str] = ()
    beside: str = ""
    models: Collection[str] = ()


@dataclass(frozen=True)
class _Entry:
    """A photo with its recipe, before it has a name."""

    name: Name
    where: str = ""

    @property
    def key(self) -> str:
        """What tells it from others when inputs are looked at again."""
        return f"{self.where}\0{self.name.photo}"


class Planner:
    """Plans a batch; asked again, it plans what has been added since.

    Args:
        wanted: The batch.
        watching: Whether photos may come later: folders may be empty as yet.
    """

    def __init__(self, wanted: Wanted, *, watching: bool = False):
        self._wanted = wanted
        self._watching = watching
        self._recipes = _Recipes(wanted)
        self._known: set[str] = set()
        self._paths: list[PurePosixPath] = []

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that the recipes name, such as guides, as far as planned."""
        return tuple(self._recipes.files)

    def plan(self, *, settled: Callable[[str], bool] = lambda _: True) -> Tasks:
        """Returns the tasks that are new.

        Args:
            settled: Tells whether a photo is complete; others are left for later.

        Raises:
            InputError: If a manifest is none, two results would have one name, or a
                setting of all dreams is wrong.
        """
        errors: dict[str, DreamError] = {}
        notices: list[str] = []
        entries = [
            entry
            for entry in self._entries(errors, notices)
            if entry.key not in self._known
            and (is_source(entry.name.photo) or settled(entry.name.photo))
        ]
        names = [entry.name for entry in entries]
        if self._known:  # places in a folder that grows are not numbers for ever
            first = 1 + len(self._paths)
            names = [replace(n, index=i) for i, n in enumerate(names, first)]
        self._known |= {entry.key for entry in entries}
        paths, longer = assign(
            names,
            self._wanted.template,
            taken=self._paths,
            at_once=not self._paths,
        )
        tasks: list[Task] = []
        for entry, path in zip(entries, paths, strict=True):
            if isinstance(path, DreamError):
                errors[entry.where or entry.name.photo] = path
                continue
            self._paths.append(path)
            whole = self._wanted.folder / path
            name = entry.name
            tasks.append(Task(name.photo, name.recipe, whole, entry.where))
        _check_inputs(tasks)
        new = {what: errors[what] for what in sorted(errors, key=natural)}
        new = {what: error for what, error in new.items() if what not in self._known}
        self._known |= set(new)
        return Tasks(
            tasks=tuple(tasks),
            refused=tuple(_refused(what, error) for what, error in new.items()),
            files=self.files,
            notices=(*notices, *longer),
        )

    def _entries(
        self, errors: dict[str, DreamError], notices: list[str]
    ) -> Iterator[_Entry]:
        """Yields all photos, new or not."""
        plain: list[str] = []
        index = 0
        for text in (*self._wanted.inputs, ""):
            is_manifest = Path(text).suffix.lower() in SUFFIXES and not is_folder(text)
            if text and not is_manifest:
                plain.append(text)
                continue
            photos = self._photos(plain, errors, notices, index)
            yield from photos
            index, plain = index + len(photos), []
            for path in (expand(text) or [text]) if text else ():
                manifest = read_manifest(Path(path))
                yield from self._lines(manifest, errors, index)
                index += len(manifest.lines) + len(manifest.errors)

    def _photos(
        self,
        arguments: list[str],
        errors: dict[str, DreamError],
        notices: list[str],
        index: int,
    ) -> list[_Entry]:
        found = find_photos(
            arguments, empty=self._watching, without=self._wanted.folder
        )
        errors.update(found.errors)
        if found.links:
            notices.append(f"Links to folders are not followed ({found.links}).")
        if found.own:
            notices.append(f"Results of ours are left out ({found.own}).")
        named, entries = set(arguments), list[_Entry]()
        for number, photo in enumerate(found.photos, index + 1):
            try:
                # What a folder has is looked at when its turn comes.
                if photo.path in named:
                    check_photo(photo.path)
            except DreamError as error:
                errors[photo.path] = error
                continue
            recipe = self._recipes.common(photo.path)
            preset = self._wanted.preset
            name = Name(photo.path, photo.below, recipe, preset, number)
            entries.append(_Entry(name))
        return entries

    def _lines(
        self, manifest: Manifest, errors: dict[str, DreamError], index: int
    ) -> Iterator[_Entry]:
        errors.update(manifest.errors)
        for line in manifest.lines:
            try:
                name = self._name(manifest.path.parent, line, index + line.index)
            except DreamError as error:
                errors[line.where] = error
                continue
            yield _Entry(name, line.where)

    def _name(self, folder: Path, line: Line, index: int) -> Name:
        """Returns what the result of a manifest's line is named by."""
        columns, wanted = line.columns, self._wanted
        photo, below = columns["photo"], ""
        if is_source(photo):
            size_of(photo)
        else:
            path = inside(folder, photo, "A photo of a manifest")
            check_photo(str(path))
            photo = str(path)
            below = PurePosixPath(columns["photo"]).parent.as_posix()
        template = None
        if "name" in columns:
            template = Template(columns["name"], wanted.template.suffix)
        own = None
        if "out" in columns:
            own = result_path(wanted.folder, columns["out"], wanted.template)
        return Name(
            photo=photo,
            below="" if below == "." else below,
            recipe=self._recipes.of_line(folder, line),
            preset=columns.get("preset", wanted.preset),
            index=index,
            template=template,
            path=own,
        )


class _Recipes:
    """The recipes of a batch; equal ones are one value.

    Attributes:
        files: The files that they name, with the hash in the recipe.
    """

    def __init__(self, wanted: Wanted):
        self._wanted = wanted
        self._files = Files(named=wanted.files)
        self._named = {Path(path).name for path in wanted.files}
        self._common: Recipe | None = None
        self._recipes: dict[str, Recipe] = {}
        self._below: dict[Path, Recipe] = {}
        self.files: dict[Path, None] = {Path(path): None for path in wanted.files}
        if wanted.beside:
            self._files.look_in(Path(wanted.beside).parent)

    def common(self, photo: str) -> Recipe:
        """Returns the recipe of a photo without a manifest."""
        if self._common is None:
            wanted = self._wanted
            if not is_source(photo):
                self._files.look_in(Path(photo).parent)
            over = wanted.flags.over(wanted.file)
            self._common = self._complete(over.over(preset_of(wanted.preset)))
        return self._common

    def of_line(self, folder: Path, line: Line) -> Recipe:
        """Returns the recipe of a manifest's line.

        Args:
            folder: That of the manifest.
            line: The line.
        """
        below = {n: line.columns[n] for n in ("preset", "recipe") if n in line.columns}
        key = json.dumps([str(folder), below, dict(line.settings)], sort_keys=True)
        if key not in self._recipes:
            self._recipes[key] = self._of_line(folder, line)
        return self._recipes[key]

    def _of_line(self, folder: Path, line: Line) -> Recipe:
        wanted, columns = self._wanted, line.columns
        preset = columns.get("preset", wanted.preset)
        file = wanted.file
        if "recipe" in columns:
            path = inside(folder, columns["recipe"], "A recipe of a manifest")
            if path not in self._below:
                self._below[path] = read_recipe(path)
            file = self._below[path]
        own = with_files(
            _of(line.settings).over(file), lambda ref: self._inside(folder, ref)
        )
        over = wanted.flags.over(own)
        recipe = over.over(preset_of(preset))
        check_preset(preset, recipe)
        return self._complete(recipe)

    def _inside(self, folder: Path, file: FileRef) -> FileRef:
        """Returns a file that a manifest names, in its folder or named by the user."""
        if file.name in self._named:
            return file
        path = inside(folder, file.name, "A file of a manifest")
        # One with a hash may be a file that the user named, under another name.
        return (
            file
            if file.sha256 and not path.exists()
            else FileRef(str(path), file.sha256)
        )

    def _complete(self, recipe: Recipe) -> Recipe:
        names = dict.fromkeys(str(network.network) for network in recipe.every_network)
        for number, name in enumerate(names):
            if name not in self._wanted.models:
                network_of(name, further=number > 0)
        whole = self._files.complete(recipe)
        for file in whole.files:
            self.files[self._files.find(file).absolute()] = None
        return whole


def _of(settings: Mapping[str, Any]) -> Recipe:
    """Returns the settings of a line; another network has another preprocessing."""
    recipe = Recipe.of(settings)
    if "network" in settings and "preprocessing" not in settings:
        return recipe.but(preprocessing=None)
    return recipe


def _check_inputs(tasks: Sequence[Task]) -> None:
    """Makes sure that no result replaces a photo of the batch.

    Raises:
        OutputError: If one would.
    """
    photos = {_identity(Path(task.photo)) for task in tasks} - {None}
    for task in tasks:
        if _identity(task.path) in photos:
            raise OutputError(
                "A result must not replace a photo of its batch",
                received=short_repr(str(task.path)),
                hint="try another folder or another --name",
            )


def _identity(path: Path) -> tuple[int, int] | None:
    """Returns what tells a file from others, whatever its name; None for none."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def _refused(what: str, error: DreamError) -> ItemFailed:
    return ItemFailed(0, what, "", str(error), error.exit_code, attempts=0)
