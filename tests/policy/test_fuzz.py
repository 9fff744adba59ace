"""The fuzz targets run over their corpus, find what fails, and search for a moment."""

import subprocess
import sys
from pathlib import Path

import pytest
from fuzz import run, targets
from hypothesis import given, settings, strategies as st

from keras_dream.errors import PictureError
from keras_dream.recipe.recipe import Recipe
from keras_dream.replay import Saved

INPUTS = {
    f"{name}/{path.name}": (name, path)
    for name in targets.TARGETS
    for path in sorted((targets.CORPUS / name).iterdir())
}


@pytest.mark.parametrize("key", INPUTS)
def test_nothing_of_the_corpus_fails(key: str):
    name, path = INPUTS[key]
    targets.TARGETS[name](path.read_bytes())


@pytest.mark.parametrize("name", targets.TARGETS)
@settings(max_examples=50)
@given(data=st.binary(max_size=200))
def test_nothing_of_a_short_search_fails(name: str, data: bytes):
    targets.TARGETS[name](data)


def test_the_corpus_is_small_and_much_of_it_is_read(monkeypatch: pytest.MonkeyPatch):
    files = [path for _, path in INPUTS.values()]
    assert sum(path.stat().st_size for path in files) < 20_000
    assert set(targets.TARGETS) == set(run.NAMES)
    read = list[object]()
    inner = targets._read
    monkeypatch.setattr(
        targets, "_read", lambda *args: read.append(inner(*args)) or read[-1]
    )
    for name, path in INPUTS.values():
        targets.TARGETS[name](path.read_bytes())
    kinds = [type(each).__name__ for each in read if each is not None]
    assert kinds.count("Saved") >= 5  # notes alone, and in four kinds of pictures
    assert {"Recipe", "RunSettings", "Objective", "Mask", "Region"} <= set(kinds)
    assert any(isinstance(each, Path) for each in read)
    assert any(isinstance(each, Recipe) for each in read)
    assert any(isinstance(each, Saved) for each in read)


@pytest.mark.parametrize("failure", [ValueError("x"), RecursionError(), KeyError("x")])
def test_another_exception_is_a_finding(
    failure: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail(_: object) -> None:
        raise failure

    monkeypatch.setattr(targets, "read_notes", fail)
    with pytest.raises(type(failure)):
        targets.metadata(b"{}")
    monkeypatch.setitem(sys.modules, "targets", targets)
    assert not run.blindly("metadata", 1, tmp_path)
    (kept,) = tmp_path.iterdir()
    assert kept.name.startswith("metadata-")
    # What is ours, and has one sentence, is none.
    failure = PictureError("A picture must be one", received="none", hint="try another")
    targets.metadata(b"{}")


def test_the_script_runs(tmp_path: Path):
    script = Path(run.__file__)
    command = [sys.executable, str(script), "names", "--minutes", "0.005"]
    done = subprocess.run(
        [*command, "--findings", str(tmp_path / "found")],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "nothing failed")
    assert not list((tmp_path / "found").iterdir())
