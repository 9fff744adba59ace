"""What fuzzers call: each takes any bytes, which it reads or refuses in a sentence.

Whatever else is raised is a finding. `run.py` runs them for minutes, and
`tests/policy/test_fuzz.py` over the corpus.
"""

import functools
import json
import ntpath
import os
import posixpath
import tempfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from keras_dream.batches.naming import Name, Template
from keras_dream.batches.plan import Planner, Wanted
from keras_dream.errors import InputError
from keras_dream.names import inside, plain_name
from keras_dream.pictures import sources
from keras_dream.pictures.metadata import read_notes
from keras_dream.recipe.masks import parse_mask, parse_region
from keras_dream.recipe.objectives import parse
from keras_dream.recipe.recipe import Recipe, RunSettings
from keras_dream.replay import film_record, read_saved, recorded_run
from keras_dream.sheets.sheet import read_about

CORPUS = Path(__file__).parent / "corpus"
SUFFIXES = (".png", ".jpg", ".webp", ".tif")
CHAINS = ("filters", "transforms", "colors", "stop")
PARTS = ("canvas", "loss", "optimizer", "start")


def recipe(data: bytes) -> None:
    """A recipe as JSON, or one text of it; what is read comes back from its text."""
    kind, text = data[:1], data[1:].decode("utf-8", "surrogateescape")
    if kind == b"{":
        text = "{" + text
        read = _read(Recipe.read, text)
        if read is not None:
            again = Recipe.read(read.json_text())
            assert again == read
            assert again.sha256 == read.sha256
        _read(RunSettings.read, text)
    elif kind == b"o":
        objective = _read(parse, text)
        assert objective is None or parse(objective.text) == objective
    elif kind == b"m":
        mask = _read(parse_mask, text)
        assert mask is None or parse_mask(mask.text) == mask
        region = _read(parse_region, text)
        assert region is None or parse_region(region.text) == region
    else:
        for setting in (*CHAINS, *PARTS, "per_octave", "octave_sides", "network"):
            read = _read(lambda value, name=setting: Recipe.of({name: value}), text)
            if read is not None:
                again = Recipe.of({setting: read.model_dump(mode="json")[setting]})
                assert again == read
        if sources.is_source(text):
            _read(sources.size_of, text)


def metadata(data: bytes) -> None:
    """The bytes of a picture or a film, or notes in a sound picture."""
    folder = Path(_folder().name)
    if data[:1] == b"{":
        path = folder / "a.png"
        info = PngInfo()
        text = data.decode("utf-8", "replace")
        info.add_itxt("keras-dream", '{"keras-dream":' + text + "}")
        Image.new("RGB", (1, 1)).save(path, pnginfo=info)
    else:
        path = folder / f"a{SUFFIXES[(data[:1] or b'0')[0] % len(SUFFIXES)]}"
        path.write_bytes(data[1:])
    notes = _read(read_notes, path)
    for note in (notes or {}).values():
        json.loads(note)
    _read(read_about, path)
    _read(film_record, path)
    saved = _read(read_saved, path)
    if saved is not None:
        _read(recorded_run, saved.record.run)


def names(data: bytes) -> None:
    """A name or a path, which is refused or stays in its folder."""
    text = data.decode("utf-8", "surrogateescape")
    folder = Path("/nowhere/in")
    path = _read(lambda text: inside(folder, text, "A path"), text)
    if path is not None:
        for system, root in ((posixpath, "/in"), (ntpath, "C:\\in")):
            whole = system.normpath(system.join(root, text))
            assert whole.startswith(root + system.sep)
            assert whole.count(system.sep) == root.count(system.sep) + 1 + text.count(
                "/"
            )
        assert folder in Path(os.path.normpath(path)).parents
    name = _read(lambda text: plain_name(text, "A name"), text)
    assert name is None or (path is not None and name == text)


def manifest(data: bytes) -> None:
    """A manifest: JSON lines or, behind another first byte, CSV; or a template."""
    folder, out = Path(_folder().name) / "in", Path(_folder().name) / "out"
    folder.mkdir(exist_ok=True)
    (folder / "a.png").write_bytes(b"a photo")
    path = folder / ("list.jsonl" if data[:1] == b"{" else "list.csv")
    path.write_bytes(data if data[:1] == b"{" else data[1:])
    tasks = _read(lambda path: Planner(Wanted([str(path)], out)).plan(), path)
    for refused in () if tasks is None else tasks.refused:
        assert refused.sentence.endswith(".")
        assert len(refused.sentence) < 1_000
    for task in () if tasks is None else tasks.tasks:
        assert out in Path(os.path.normpath(task.path)).parents
        if not sources.is_source(task.photo):
            assert folder in Path(os.path.normpath(task.photo)).parents
    text = data.decode("utf-8", "surrogateescape")
    template = _read(Template, text)
    if template is not None:
        name = Name("in/a.png", "", Recipe(), "default", 1)
        result = _read(template.path, name)
        assert result is None or len(result.parts) == 1


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target for target in (recipe, metadata, names, manifest)
}


def _read(function, value):
    """Returns what a function makes of a value; None where it is refused."""
    try:
        return function(value)
    except InputError as error:
        sentence = str(error)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert len(sentence) < 1_000
    return None


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Returns a folder in memory, where there is one."""
    memory = Path("/dev/shm")
    return tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)
