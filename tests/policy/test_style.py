"""Style that tools can hold, and the sizes of functions and files."""

import ast
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

import keras_dream

ROOT = Path(__file__).parents[2]
SOURCE = Path(keras_dream.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
CHECKED = [
    name
    for name in ("src", "tests", "benchmarks", "examples", "training")
    if (ROOT / name).is_dir()
]


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.parametrize("command", [["check", "-q"], ["format", "--check", "-q"]])
def test_ruff(command):
    if importlib.util.find_spec("ruff") is None:
        pytest.skip("ruff is not installed")
    made = run("ruff", *command, "--no-cache", *CHECKED)
    assert made.returncode == 0, made.stdout[-3000:] + made.stderr[-1000:]


def test_pyright():
    if importlib.util.find_spec("pyright") is None:
        pytest.skip("pyright is not installed")
    try:
        version = run("pyright", "--version")
    except subprocess.TimeoutExpired:
        version = None
    if version is None or version.returncode != 0:
        pytest.skip("pyright cannot run: it fetches node and itself from the network")
    made = run("pyright", "--outputjson", "--pythonpath", sys.executable)
    # The file of a backend that is not installed cannot be checked: pyright takes its
    # `import jax` for the file itself.
    unchecked = {
        ROOT / "src" / "keras_dream" / "backend" / f"{name}.py"
        for name in ("jax", "tensorflow")
        if importlib.util.find_spec(name) is None
    }
    wrong = [
        found
        for found in json.loads(made.stdout)["generalDiagnostics"]
        if found["severity"] == "error" and Path(found["file"]) not in unchecked
    ]
    assert not wrong, json.dumps(wrong, indent=1)[:3000]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_sizes(path):
    text = path.read_text("utf-8")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            lines = node.end_lineno - node.lineno + 1
            assert lines <= 60, f"{node.name}: {lines} lines"
