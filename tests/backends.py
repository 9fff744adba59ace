"""The backend of this run of the suite, and cases that some backends skip."""

import os
from typing import Any

import pytest

RUNNING = os.environ["KERAS_BACKEND"]


def not_on(*names: str, values: tuple[Any, ...], reason: str) -> Any:
    """Returns a case of a parametrised test that is skipped on some backends.

    Args:
        names: The backends that skip it.
        values: The case.
        reason: Why, for the summary of skipped tests.
    """
    skip = pytest.mark.skipif(RUNNING in names, reason=reason)
    return pytest.param(*values, marks=skip)


def not_on_jax(*values: Any) -> Any:
    """Returns a case that jax skips, since each size and loss is a program for XLA."""
    return not_on("jax", values=values, reason="jax compiles for each size and loss")


def torch_only(*values: Any) -> Any:
    """Returns a case for the one backend that compiles nothing."""
    reason = "only torch compiles nothing"
    return not_on("jax", "tensorflow", values=values, reason=reason)
