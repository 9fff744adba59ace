"""The command line, `dream`.

At its top nothing is imported that takes time: signals are handled first.
"""

import os
import sys
from collections.abc import Sequence

from keras_dream.cli.interrupts import STOPPED, Interrupts


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        arguments: The arguments behind `dream`; None for those of the process.

    Returns:
        The exit code: 0 done, 1 the run failed, 2 the input was wrong, 3 a quiet
        replay that is not equal, 130 stopped.
    """
    try:
        with Interrupts(repeated=True) as interrupts:
            try:
                return _main(arguments)
            except KeyboardInterrupt:
                interrupts.ignore()
                return _stopped()
            finally:
                if arguments is None:
                    interrupts.stay()
    except KeyboardInterrupt:  # while the handlers were set
        return _stopped()


def _stopped() -> int:
    from keras_dream.cli.output import write_stderr

    write_stderr("dream: Stopped; nothing is saved.")
    return STOPPED


def _keep_keras_out() -> None:
    """Gives Keras a folder where the user has no home: it would make one called ~."""
    if os.path.expanduser("~") == "~" and not os.environ.get("KERAS_HOME"):  # noqa: PTH111
        from keras_dream.weights.source import home

        os.environ["KERAS_HOME"] = str(home() / ".keras")


def _main(arguments: Sequence[str] | None) -> int:
    """Prepares the process, where it is one of its own, and runs the command."""
    import contextlib

    from keras_dream.cli.run import run

    is_process = arguments is None
    if is_process:
        import warnings

        from keras_dream.cli.streams import check_size, keep_numbers

        keep_numbers()
        check_size()
        _keep_keras_out()
        # Users of a command can do nothing about the warnings of libraries.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        if not sys.warnoptions:
            warnings.simplefilter("ignore")
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    with contextlib.ExitStack() as stack:
        return run(tokens, stack, is_process=is_process)
