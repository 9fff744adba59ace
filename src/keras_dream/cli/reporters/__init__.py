"""Reporters show events: a bar on a terminal, lines in a log, JSON for programs.

A reporter is a context manager with one method, `report(event)`. Only the paths of
results and JSON go to standard output; everything else goes to standard error.
"""

import os
import sys

from keras_dream.cli.reporters.bar import Bar
from keras_dream.cli.reporters.base import Reporter
from keras_dream.cli.reporters.json import JsonLines
from keras_dream.cli.reporters.lines import Lines


def reporter_for(*, quiet: bool, json: bool) -> Reporter:
    """Returns the reporter for the flags and for what standard error is.

    Args:
        quiet: Whether `--quiet` was given.
        json: Whether `--json` was given.
    """
    if json:
        return JsonLines(quiet=quiet)
    if quiet or sys.stderr is None:
        return Reporter()
    # Not rich's own test, which FORCE_COLOR overrides: a file must stay plain.
    is_dumb = os.environ.get("TERM", "") in ("dumb", "unknown")
    return Bar() if sys.stderr.isatty() and not is_dumb else Lines()
