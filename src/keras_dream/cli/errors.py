"""One sentence for a command line that cannot be read."""

import difflib
import os
import shlex
from collections.abc import Collection, Sequence
from pathlib import Path

from cyclopts.exceptions import (
    CycloptsError,
    MissingArgumentError,
    UnknownOptionError,
    UnusedCliTokensError,
    ValidationError,
)
from pydantic import ValidationError as InvalidSettings

from keras_dream.errors import DreamError, InputError, short_repr
from keras_dream.recipe.recipe import Recipe
from keras_dream.recipe.synonyms import flag_advice

_MEANT = {
    "try `dream PHOTO`, which needs no command": "run generate make start create "
    "deepdream deep-dream process apply render go",
    "try `dream PHOTO --help`, or `dream --help` for everything": "help usage options",
    "try `dream networks`": "models model list-models network nets",
    "try `dream networks`, `dream layers NETWORK` or `dream presets`": "list ls",
    "try `dream layers NETWORK`": "layer classes channels",
    "try `dream presets`": "styles style filters recipes config settings preset",
    "try `dream show PICTURE`": "info inspect metadata identify view read exif",
    "try `dream grid PHOTO --x 'steps=10|20|40'`": "sheet compare sweep matrix xy",
    "try `dream weights pull NETWORK`": "download pull fetch get install",
    "try `dream doctor`": "check test diagnose selftest status env",
    "try `dream replay PICTURE`": "repeat again reproduce rerun redo",
    "try `dream explain PHOTO`": "classify predict activations visualize heatmap why",
    "try `dream video clip.mp4`, or `dream zoom PHOTO`": "movie animate gif clip",
    "try `dream batch photos/ -o dreams`": "bulk many folder directory queue watch",
    "try `dream --version`": "version",
    "try `dream --resume`": "continue resume go-on",
    "try `dream PHOTO --variations 4`": "variations vary",
}
_COMMANDS = {name: advice for advice, names in _MEANT.items() for name in names.split()}
"""What to try for commands that other programs have."""


def sentence_of(error: CycloptsError) -> str:
    """Returns the sentence for a command line that cannot be read.

    It is cyclopts' own, but where the recipe or the run settings have one, and where
    cyclopts' does not say what to do.
    """
    if isinstance(error, ValidationError):
        cause = error.__cause__
        # pydantic wraps the error that a recipe or run settings raised.
        first = cause.errors()[0] if isinstance(cause, InvalidSettings) else {}
        own = first.get("ctx", {}).get("error")
        return str(own) if isinstance(own, DreamError) else str(error)
    if isinstance(error, UnknownOptionError):
        return _of_option(error)
    if isinstance(error, UnusedCliTokensError):
        return _of_more(error)
    if isinstance(error, MissingArgumentError):
        name = error.keyword or ""
        tokens = [*(error.root_input_tokens or ()), ""]
        value = tokens[tokens.index(name) + 1] if name and name in tokens else ""
        if value.startswith("-"):
            written = short_repr(f"{name}={value}", limit=60)
            more = f"{value} begins like an option: if it is the value, write {written}"
            return f"{str(error).removesuffix('.')}; {more}."
        argument = error.argument.name if error.argument else ""
        if (*(error.command_chain or ()), argument) == ("batch", "--out"):
            must = "-o must name the folder of the results"
            hint = "try `dream batch photos -o dreams`"
            return str(InputError(must, received="none", hint=hint))
    return str(error)


def _of_more(error: UnusedCliTokensError) -> str:
    """Returns the sentence for an argument too many, which may be a command's name."""
    name = short_repr((error.unused_tokens or [""])[0])
    group = " ".join(error.command_chain or ())
    commands = [each for each in error.app or () if not each.startswith("-")]
    if group and commands:
        must = f"What follows `dream {group}` must be one of its commands"
        hint = f"there are {', '.join(commands)}"
        return str(InputError(must, received=name, hint=hint))
    return str(
        InputError(
            "There must be no more arguments than the command takes",
            received=f"{name} as well",
            hint="put quotes around names with spaces, or see `dream --help`",
        )
    )


def _of_option(error: UnknownOptionError) -> str:
    """Returns the sentence for an unknown option: what is meant, or what is near."""
    name = error.token.keyword or error.token.value
    must, received = "An option must be one that exists", short_repr(name)
    if os.path.lexists(name):
        hint = f"for a file write {shlex.quote(os.path.join('.', name))}"  # noqa: PTH118
        return str(InputError(must, received=received, hint=hint))
    flags = [flag for argument in error.argument_collection for flag in argument.names]
    advice = flag_advice(name, flags)
    is_setting = name.lstrip("-").replace("-", "_") in Recipe.model_fields
    is_near = difflib.get_close_matches(name.split("=")[0], flags, 1, 0.7)
    if not advice and not is_setting and is_near:
        return str(error)
    command = " ".join(["dream", *(error.command_chain or ())])
    hint = advice or f"see `{command} --help`"
    if not advice and is_setting:
        hint = "it is an option of `dream PHOTO`"
    return str(InputError(must, received=received, hint=hint))


def with_command_hint(
    sentence: str, tokens: Sequence[str], commands: Collection[str]
) -> str:
    """Adds a hint to a sentence if the first argument is a mistyped command.

    Args:
        sentence: What was wrong.
        tokens: The command line.
        commands: The names of all commands.
    """
    first = tokens[0] if tokens else ""
    if first in _COMMANDS and not Path(first).exists():
        must = "There must be a photo or a command"
        return str(InputError(must, received=short_repr(first), hint=_COMMANDS[first]))
    close = difflib.get_close_matches(first, sorted(commands), 1, 0.6)
    if not close or first in commands or Path(first).exists():
        return sentence
    hint = f"if you meant the command, try `dream {close[0]}`"
    return f"{sentence.removesuffix('.')}; {hint}."
