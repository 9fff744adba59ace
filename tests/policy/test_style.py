"""The sizes of functions, where tests lie, and what the configuration names."""

import ast
import tomllib
from pathlib import Path

import pytest

import keras_dream

ROOT = Path(__file__).parents[2]
SOURCE = Path(keras_dream.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_functions_have_at_most_60_lines(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = node.end_lineno - node.lineno + 1
            assert lines <= 60, f"{node.name}: {lines} lines"


def test_what_pyright_checks_is_there():
    """pyright says nothing about a path that matches no file."""
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]
    pyright = tools["pyright"]
    for path in pyright["include"] + pyright["strict"]:
        assert (ROOT / path).exists(), path


def test_tests_lie_in_the_room_of_their_subject():
    """Besides rooms there are `policy` and `parity`; `training/` is no package."""
    tests = [
        path.relative_to(ROOT / "tests") for path in ROOT.glob("tests/**/test_*.py")
    ]
    rooms = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    modules = {path.stem for path in SOURCE.glob("*.py")}
    misplaced = [
        str(path)
        for path in tests
        if path.parts[0] not in rooms | {"policy", "parity"}
        and path.stem.removeprefix("test_") not in modules | {"training"}
    ]
    assert not misplaced
