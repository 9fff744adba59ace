"""One sentence for whatever goes wrong: the command line itself, and the machine."""

import difflib
import errno
from collections.abc import Iterable

from cyclopts.exceptions import (
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    RepeatArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
    ValidationError,
)
from pydantic import ValidationError as InvalidSettings

from keras_dream.errors import DreamError, InputError, RunError, short_repr

_HELP = "see `dream --help`"

# What the array libraries say when memory is out; none has a class of its own for it
# that can be named without importing the library.
_MEMORY_CLASSES = ("OutOfMemoryError", "ResourceExhaustedError")
_MEMORY_WORDS = ("can't allocate memory", "out of memory", "resource_exhausted")


def of_command_line(error: CycloptsError) -> DreamError:
    """Returns our sentence for a command line that cannot be read."""
    if isinstance(error, ValidationError):
        return _of_settings(error)
    if isinstance(error, UnknownOptionError):
        return _unknown_flag(error)
    if isinstance(error, MissingArgumentError):
        return _missing(error)
    if isinstance(error, CoercionError) and error.target_type is int:
        return InputError(
            f"`{error.argument.name if error.argument else 'a flag'}` must be a whole "
            "number",
            received=short_repr(error.token.value if error.token else ""),
            hint=_HELP,
        )
    if isinstance(error, CoercionError):
        name = error.argument.name if error.argument else "a flag"
        return InputError(
            f"`{name}` must be true or false",
            received=short_repr(error.token.value if error.token else ""),
            hint="give the flag alone, or with no- before its name",
        )
    if isinstance(error, RepeatArgumentError):
        return InputError(
            "A flag must be given once",
            received=f"{error.token.keyword or error.token.value} more than once",
            hint="keep one of them",
        )
    if isinstance(error, UnusedCliTokensError):
        return _too_many(error)
    if isinstance(error, UnknownCommandError):
        return _unknown_command(error)
    return InputError(
        "The command line must be one that can be read",
        received=short_repr(" ".join(error.root_input_tokens or [])),
        hint=_HELP,
    )


def of_machine(failure: Exception) -> DreamError | None:
    """Returns our sentence for a failure of the machine; None for a bug of ours."""
    if is_out_of_memory(failure):
        return RunError(
            "There must be memory enough for the largest octave",
            received=f"none left ({short_repr(_first_line(failure), 60)})",
            hint="try a smaller picture, an earlier layer, fewer octaves_above or "
            "--precision bfloat16",
        )
    if isinstance(failure, OSError):
        where = f" for {short_repr(str(failure.filename))}" if failure.filename else ""
        return RunError(
            "The system must do what a dream needs",
            received=f"{(failure.strerror or _first_line(failure)).lower()!r}{where}",
            hint="see `dream doctor`",
        )
    if isinstance(failure, ImportError):
        return RunError(
            "The installation must be whole",
            received=short_repr(_first_line(failure)),
            hint="install keras-dream again, then see `dream doctor`",
        )
    return None


def is_out_of_memory(failure: BaseException) -> bool:
    """Tells whether memory is out, on the host or on a device."""
    if isinstance(failure, MemoryError) or type(failure).__name__ in _MEMORY_CLASSES:
        return True
    if isinstance(failure, OSError):
        return failure.errno == errno.ENOMEM
    text = str(failure).lower()
    is_runtime = isinstance(failure, RuntimeError)
    return is_runtime and any(words in text for words in _MEMORY_WORDS)


def near(name: str, names: Iterable[str]) -> str:
    """Returns the one of `names` that a mistyped name must have meant, or ""."""
    return next(iter(difflib.get_close_matches(name, sorted(names), 1, 0.6)), "")


def _of_settings(error: ValidationError) -> DreamError:
    cause = error.__cause__
    # pydantic wraps what the recipe or the run settings said themselves.
    first = cause.errors()[0] if isinstance(cause, InvalidSettings) else {}
    said = first.get("ctx", {}).get("error")
    if isinstance(said, DreamError):
        return said
    return InputError(
        "The command line must be one that can be read",
        received=short_repr(error.exception_message),
        hint=_HELP,
    )


def _unknown_flag(error: UnknownOptionError) -> DreamError:
    given = (error.token.keyword or error.token.value).split("=", 1)[0]
    known = [name for argument in error.argument_collection for name in argument.names]
    close = near(given, (name for name in known if name.startswith("-")))
    return InputError(
        "A flag must be one that exists",
        received=short_repr(given),
        hint=f"try {close!r}, the nearest name" if close else _HELP,
    )


def _too_many(error: UnusedCliTokensError) -> DreamError:
    """Returns the sentence on an argument too many: behind a mistyped command, too."""
    from keras_dream.cli.app import COMMANDS

    first = next(iter(error.root_input_tokens or ()), "")
    close = "" if first in COMMANDS else near(first, COMMANDS)
    return InputError(
        "A command must have no more than its arguments",
        received=f"{short_repr((error.unused_tokens or [''])[0])} as one too many",
        hint=f"if you meant the command, try `dream {close}`"
        if close
        else f"put quotes around names with spaces, or {_HELP}",
    )


def _unknown_command(error: UnknownCommandError) -> DreamError:
    """Returns the sentence on a command of a group, such as `dream weights`."""
    given = (error.unused_tokens or [""])[0]
    names = [name for name in error.app or () if not name.startswith("-")]
    tokens = error.root_input_tokens or []
    group = " ".join(tokens[: tokens.index(given)] if given in tokens else [])
    close = near(given, names)
    return InputError(
        f"`dream {group}` must be followed by one of its commands",
        received=short_repr(given),
        hint=f"try `dream {group} {close}`"
        if close
        else f"try one of {', '.join(names)}",
    )


def _missing(error: MissingArgumentError) -> DreamError:
    argument = error.argument
    name = error.keyword or (argument.name if argument else "an argument")
    if name.startswith("-"):
        given = [*(error.root_input_tokens or ()), ""]
        value = given[given.index(name) + 1] if name in given else ""
        return InputError(
            f"`{name}` must have a value",
            received=f"{short_repr(value, 40)}, which begins like a flag"
            if value.startswith("-")
            else "none",
            hint=f"write {short_repr(f'{name}={value}', 60)} if it is meant, or {_HELP}"
            if value.startswith("-")
            else f"add one, or {_HELP}",
        )
    return InputError(f"{name} must be given", received="nothing", hint=_HELP)


def _first_line(failure: BaseException) -> str:
    return (str(failure).strip().splitlines() or [type(failure).__name__])[0]
