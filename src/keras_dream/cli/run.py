"""Runs a command line: its log, its command, and the sentence of its failure."""

import contextlib
import logging
from pathlib import Path

from keras_dream import logs
from keras_dream.cli import command_line
from keras_dream.cli.output import write_failure
from keras_dream.errors import DreamError, InputError, RunError

_log = logging.getLogger(__name__)


def run(tokens: list[str], stack: contextlib.ExitStack, *, is_process: bool) -> int:
    """Runs the command; returns its exit code.

    Args:
        tokens: The command line.
        stack: What ends after the last message.
        is_process: Whether the process has nothing else to do.
    """
    # What a failure needs, too, is loaded before one can have used up the memory.
    from cyclopts.exceptions import CycloptsError

    from keras_dream.cli.app import COMMANDS, app, read
    from keras_dream.cli.errors import sentence_of, with_command_hint
    from keras_dream.cli.photos import with_standard
    from keras_dream.cli.streams import quiet_libraries
    from keras_dream.crash import of_bug
    from keras_dream.failures import of_machine
    from keras_dream.pictures import limits

    def explain(failure: Exception) -> tuple[str, int]:
        if isinstance(failure, CycloptsError):
            sentence, exit_code = sentence_of(failure), InputError.exit_code
        else:
            is_ours = isinstance(failure, DreamError)
            error = failure if is_ours else of_machine(failure)
            error = error or of_bug(failure, tokens)
            sentence, exit_code = str(error), error.exit_code
        if exit_code == InputError.exit_code:
            sentence = with_command_hint(sentence, tokens, COMMANDS)
        return sentence, exit_code

    try:
        line = read(tokens)
        if line is None:
            return 0
        _check_folder()
        stack.enter_context(logs.session(level=line.log_level, file=line.log_file))
        if is_process and not _log.isEnabledFor(logging.DEBUG):
            stack.enter_context(quiet_libraries())
        stack.enter_context(limits.session(line.limits))
        stack.enter_context(command_line.session(tokens))
        tokens = list(line.tokens)
        is_command = bool(tokens) and tokens[0] in COMMANDS
        return app(tokens if is_command else with_standard(tokens)) or 0
    except SystemExit:
        return 0  # raised by rich after a broken pipe in the middle of a help page
    except Exception as failure:  # noqa: BLE001 - every end of a command is a sentence
        _log.debug("The command failed", exc_info=True)
        try:
            sentence, exit_code = explain(failure)
        except Exception as bug:  # noqa: BLE001
            sentence, exit_code = str(of_bug(bug, tokens)), RunError.exit_code
    try:
        write_failure(sentence, exit_code=exit_code, json="--json" in tokens)
    except DreamError:
        return 1
    return exit_code


def _check_folder() -> None:
    """Refuses a current folder that has been removed; MKL would end the process."""
    try:
        Path.cwd()
    except OSError as failure:
        raise InputError(
            "The current folder must be one that exists",
            received=(failure.strerror or "an error").lower(),
            hint="change to another one",
        ) from None
