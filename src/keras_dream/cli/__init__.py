"""The face for the shell: the command `dream`."""

import os
import sys
import warnings
from collections.abc import Sequence

from keras_dream.cli.interrupts import STOPPED
from keras_dream.cli.output import plain, write_stderr, write_stdout
from keras_dream.errors import DreamError


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        arguments: What stands behind `dream`; None takes the process' own.

    Returns:
        The exit code: 0 done, 1 the run failed, 2 what was given was wrong, 3 a quiet
        replay that is not equal, 130 stopped.
    """
    if arguments is None:
        # What libraries warn of is nothing that a person at a shell could act on.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        if not sys.warnoptions:
            warnings.simplefilter("ignore")
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _run(given)
    except KeyboardInterrupt:
        write_stderr("dream: Stopped; nothing is saved.")
        return STOPPED
    except DreamError as error:
        return _fail(error, given)


def _run(given: list[str]) -> int:
    """Runs the command; what cannot be helped leaves as a `DreamError`."""
    from cyclopts.exceptions import CycloptsError

    from keras_dream.cli import errors
    from keras_dream.cli.app import app

    try:
        return app(given) or 0
    except DreamError:
        raise
    except CycloptsError as error:
        raise errors.of_command_line(error) from None
    except SystemExit:
        return 0  # rich, whose reader went away in the midst of a help page
    except Exception as failure:
        translated = errors.of_machine(failure)
        if translated is None:
            raise
        raise translated from failure


def _fail(error: DreamError, given: list[str]) -> int:
    """Tells an error in the form that was asked for; returns its exit code."""
    write_stderr(f"dream: {plain(str(error))}")
    if "--json" in given:
        from keras_dream.cli.reporters.telling import event

        try:
            write_stdout(
                event("error", sentence=plain(str(error)), exit_code=error.exit_code)
            )
        except DreamError:
            return 1
    return error.exit_code
