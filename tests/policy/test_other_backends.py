"""Runs the tests marked `backends` once more on every other installed backend.

A backend cannot be changed once keras is imported, so each gets a process. These
tests carry no mark themselves, so that the processes do not start processes.
"""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from keras_dream.backend.protocol import NAMES

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", NAMES)
def test_the_backend_passes_the_same_suite(name, report_lines):
    if name == os.environ["KERAS_BACKEND"]:
        pytest.skip(f"this run is on {name}")
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    options = ["-m", "pytest", "-m", "backends", "-q", "-p", "no:cacheprovider"]
    run = subprocess.run(
        [sys.executable, *options],
        cwd=ROOT,
        check=False,
        env={**os.environ, "KERAS_BACKEND": name, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        timeout=1800,
    )
    tail = f"{run.stdout[-6000:]}\n{run.stderr[-2000:]}"
    assert run.returncode == 0, tail
    # pytest returns 5 where it found nothing, but 0 where all was skipped.
    assert re.search(r"\d+ passed", run.stdout), tail
    *lines, closing = run.stdout.splitlines()
    skipped = [line for line in lines if line.startswith("SKIPPED")]
    report_lines += [f"{name}: {line}" for line in [*skipped, closing]]
