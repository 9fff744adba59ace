"""The page of promises names tests that exist."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "SECURITY.md").read_text("utf-8")


def promises():
    """Yields (file, test) of every test that the page names."""
    file = ""
    for path, test in re.findall(r"`([\w/.]*)::(\w+)`", PAGE):
        file = path or file
        yield file, test


def defined_in(file):
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_promise_has_a_test_that_exists():
    named = list(promises())
    assert len(named) > 10
    missing = [(file, test) for file, test in named if test not in defined_in(file)]
    assert not missing
    rows = [line for line in PAGE.splitlines() if line.startswith("| ")]
    rows = [row for row in rows if "promise | test" not in row]
    for row in rows:
        files = re.findall(r"`(tests/[\w/.]+)", row)
        assert files, row
        assert all((ROOT / file).exists() for file in files), row
