"""Runs code of the training folder in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

TRAINING = Path(__file__).resolve().parents[1] / "training"


def run_apart(code: str, backend: str) -> None:
    """Runs code that imports from `training/`, which is not part of the package.

    Args:
        code: Python.
        backend: Keras' backend there.
    """
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={
            **os.environ,
            "KERAS_BACKEND": backend,
            "PYTHONPATH": os.pathsep.join([str(TRAINING), *sys.path]),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
