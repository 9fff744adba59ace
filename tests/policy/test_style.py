"""The sizes of functions, and what the configuration of the tools names."""

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
