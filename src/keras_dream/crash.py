"""The report of a bug: what an issue needs, and nothing private.

It has versions, the machine's kind, the recipe, options and the traceback. It has no
names of the user's files and folders, no user's and no host's name, no environment.
"""

import contextlib
import os
import platform
import re
import secrets
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import keras_dream
from keras_dream.errors import RunError
from keras_dream.recipe.files import FileRef, with_files
from keras_dream.recipe.recipe import Recipe, RunSettings

FOLDER = "crashes"
KEPT = 20  # reports
LIBRARIES = (
    "numpy",
    "pillow",
    "pydantic",
    "cyclopts",
    "keras",
    "torch",
    "jax",
    "tensorflow",
    "pyvips",
    "OpenEXR",
    "av",
    "opencv-python-headless",
    "opencv-python",
    "scenedetect-headless",
)
"""Whose versions count."""

_HEAD = """\
A report of a bug in keras-dream, to be attached to an issue. Names of your files, of
yourself and of this machine are left out; read it before you attach it.
"""
_HIDDEN = "(hidden)"
_MOST_FRAMES = 60  # of one exception; a recursion has a thousand
_MOST_CAUSES = 8
_MOST_NAMES = 2_000  # of files beside a photo
_LONGEST_MESSAGE = 2_000  # characters

_OPTION = re.compile(r"--?[a-z][a-z0-9-]*")
_NUMBER = re.compile(r"[-+]?[0-9][0-9_.,|x]*([eE][-+]?[0-9]+)?%?")
_IN_QUOTES = re.compile(r"'((?:[^']|'')+)'")  # a file of an objective
_QUOTED = re.compile(r"""(['"])(?:(?!\1).)*[./\\~](?:(?!\1).)*\1""")
_WITH_FOLDER = re.compile(r"[^\s'\"(),;=]*[/\\][^\s'\"(),;]*")
_WITH_SUFFIX = re.compile(
    r"[^\s'\"(),;=/\\]+\.(png|jpe?g?|jfif|webp|tiff?|avif|gif|bmp|hei[cf]|json|jsonl|csv"
    r"|npz|npy|keras|h5|hdf5|safetensors|caffemodel|html|txt|db|py|zip"
    r"|mp[34]|m4[av]|mov|mkv|webm|avi|mts|m2ts|mpe?g|wmv|wav|flac|ogg|opus|aac)\b",
    re.IGNORECASE,
)


def of_bug(failure: Exception, tokens: Sequence[str]) -> RunError:
    """Writes a report of a bug and returns the sentence that says where it is.

    Args:
        failure: What was raised, although nothing should be.
        tokens: The command line.
    """
    path = None
    # Whatever is wrong with the report, the user is told of the bug itself.
    with contextlib.suppress(Exception):
        path = _save(report(failure, tokens))
    attach = f"attach {str(path)!r} to an issue, or " if path else ""
    return RunError(
        "keras-dream must not fail in this way",
        received=f"{type(failure).__name__}, a bug",
        hint=f"{attach}see what it is with --log-level debug",
    )


def report(failure: Exception, tokens: Sequence[str]) -> str:
    """Returns the report of a bug; arguments as for `of_bug`."""
    hide = Redaction([*tokens, *_files(failure)])
    parts = [
        _HEAD,
        *(f"{what}: {more}" for what, more in facts()),
        *(f"{what}: {more}" for what, more in _state(failure).items()),
        f"command: {_command(tokens)}",
        "",
        *_traceback(failure, hide),
    ]
    return "\n".join(parts) + "\n"


def facts() -> Iterator[tuple[str, str]]:
    """Yields what a report says of the machine: what, and the fact."""
    from keras_dream.backend.host import memory
    from keras_dream.engine.result import processor

    yield "keras-dream", str(keras_dream.__version__)
    yield "python", f"{platform.python_version()} ({platform.python_implementation()})"
    yield "system", f"{platform.system()} {platform.release()} {platform.machine()}"
    yield "processor", f"{processor()}, {os.cpu_count()} threads"
    sizes = memory()
    known = (f"{sizes[name] / 1e9:.1f} GB {name}" for name in sizes)
    yield "memory", ", ".join(known)
    for name in LIBRARIES:
        # Optional, or installed under another name.
        with contextlib.suppress(metadata.PackageNotFoundError):
            yield name, metadata.version(name)


def reports() -> list[Path]:
    """Returns the reports that are kept, the newest first."""
    from keras_dream.weights.source import home

    paths = list((home() / FOLDER).glob("crash-*.txt"))
    return sorted(paths, key=lambda path: path.stat().st_mtime_ns, reverse=True)


class Redaction:
    """Hides what is private in texts.

    Args:
        tokens: The command line, whose files are hidden by their names.
    """

    def __init__(self, tokens: Sequence[str]):
        names = {name for name in _names(tokens) if len(name) > 2}
        ordered = sorted(names, key=len, reverse=True)
        self._names = re.compile(
            "|".join(rf"(?<!\w){re.escape(name)}(?!\w)" for name in ordered) or "(?!)"
        )
        self._persons = [(name, word) for name, word in _persons() if len(name) > 1]

    def text(self, text: str) -> str:
        """Returns a message without names of files, persons and machines."""
        text = self._names.sub(_HIDDEN, text[:_LONGEST_MESSAGE])
        text = _QUOTED.sub(rf"\1{_HIDDEN}\1", text)
        text = _WITH_FOLDER.sub(_HIDDEN, text)
        text = _WITH_SUFFIX.sub(_HIDDEN, text)
        return self.without_persons(text)

    def without_persons(self, text: str) -> str:
        """Returns a text with ~ for the home, and without the user's name."""
        for name, word in self._persons:
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", word, text)
        return text


def _persons() -> Iterator[tuple[str, str]]:
    """Yields the names of the user and of the machine, and what stands for them."""
    with contextlib.suppress(RuntimeError):  # a user without a home
        home = str(Path.home())
        yield home, "~"
        yield Path(home).name, "USER"
    import getpass

    with contextlib.suppress(Exception):  # it differs by version and system
        yield getpass.getuser(), "USER"
    yield platform.node(), "HOST"
    yield platform.node().partition(".")[0], "HOST"


def _names(tokens: Sequence[str]) -> Iterator[str]:
    """Yields the names of files on a command line, and of those in its folders."""
    for token in tokens:
        for text in (token, token.partition("=")[2], *_IN_QUOTES.findall(token)):
            if not text or text.startswith("-") or _NUMBER.fullmatch(text):
                continue
            path = Path(text)
            is_name = "." in text or path.name != text
            with contextlib.suppress(OSError, ValueError):
                is_name = is_name or path.exists()
                if path.is_dir():
                    yield from _inside(path)
            if is_name:
                yield from (text, path.name, path.stem)
                yield from path.parts


def _inside(folder: Path) -> Iterator[str]:
    for number, path in enumerate(folder.rglob("*")):
        if number >= _MOST_NAMES:
            return
        yield from (path.name, path.stem)


def _command(tokens: Sequence[str]) -> str:
    """Returns a command line with the names of its options, and plain values."""
    words = ["dream"]
    for number, token in enumerate(tokens):
        name, equals, value = token.partition("=")
        if _OPTION.fullmatch(name):
            is_ours = name.startswith("--") or len(name) == 2
            words.append(name if is_ours else _HIDDEN)
            words += [_plain_value(value)] if equals else []
        elif number == 0 and re.fullmatch("[a-z]{3,8}", token) and not _exists(token):
            words.append(token)
        else:
            words.append(_plain_value(token))
    return " ".join(words)


def _plain_value(text: str) -> str:
    """Returns a value that says nothing of its user: a number, or a word of ours."""
    choices = {"none", "auto", "all", "debug", "info", "warning", "error", "true"}
    is_plain = _NUMBER.fullmatch(text) or text in choices
    return text if is_plain else _HIDDEN


def _exists(text: str) -> bool:
    with contextlib.suppress(OSError, ValueError):
        return Path(text).exists()
    return False


def _state(failure: Exception) -> dict[str, str]:
    """Returns what was being done, as far as the frames of the failure hold it."""
    state: dict[str, str] = {}
    for value in _values(failure):
        if isinstance(value, Recipe):
            state.setdefault("recipe", _recipe_text(value))
        elif isinstance(value, RunSettings):
            state.setdefault("run settings", value.json_text())
        else:
            where = f"{value.name} on {value.device}, {value.precision}"
            state.setdefault("backend", f"{where}, {value.threads} threads")
    return state


def _files(failure: Exception) -> Iterator[str]:
    """Yields the names of the files of recipes, as far as the frames hold them."""
    for value in _values(failure):
        if isinstance(value, Recipe):
            yield from (file.name for file in value.files)


def _recipe_text(recipe: Recipe) -> str:
    """Returns a recipe as JSON, without the names of its files."""
    from keras_dream.zoo.user_models import files_of

    text = with_files(recipe, lambda _: FileRef(_HIDDEN)).json_text()
    for name in files_of(recipe):
        text = text.replace(name, _HIDDEN)
    return text


def _values(failure: BaseException) -> Iterator[Any]:
    """Yields recipes, run settings and backends in the frames, the innermost first."""
    frames = [frame for frame, _ in traceback.walk_tb(failure.__traceback__)]
    for frame in reversed(frames):
        for value in list(frame.f_locals.values()):
            inner = vars(value).values() if _is_ours(value) else ()
            yield from filter(_counts, (value, *inner))
    cause = failure.__cause__ or failure.__context__
    if cause is not None and cause is not failure:
        yield from _values(cause)


def _is_ours(value: object) -> bool:
    is_ours = type(value).__module__.startswith("keras_dream.")
    return is_ours and hasattr(value, "__dict__")


def _counts(value: object) -> bool:
    is_backend = type(value).__module__.startswith("keras_dream.backend.") and all(
        hasattr(value, name) for name in ("name", "device", "precision", "threads")
    )
    return is_backend or isinstance(value, Recipe | RunSettings)


def _traceback(failure: BaseException, hide: Redaction) -> Iterator[str]:
    """Yields the lines of the traceback, of the causes first."""
    chain = [failure]
    while len(chain) < _MOST_CAUSES:
        last = chain[-1]
        hidden = last.__suppress_context__
        cause = last.__cause__ or (None if hidden else last.__context__)
        if cause is None or cause in chain:
            break
        chain.append(cause)
    for number, error in enumerate(reversed(chain)):
        yield from ["", "and then:"] if number else []
        yield "traceback, the innermost call last:"
        frames = traceback.extract_tb(error.__traceback__)
        for frame in frames[-_MOST_FRAMES:]:
            place = _place(frame.filename)
            if place is None:
                yield "  (a program of the user's)"
                continue
            yield f"  {place}:{frame.lineno} in {frame.name}"
            yield f"    {frame.line}"
        yield f"{type(error).__module__}.{type(error).__qualname__}: " + hide.text(
            " ".join(str(error).split())
        )


def _place(filename: str) -> str | None:
    """Returns a file of a program below what it is installed in; None for others'."""
    if filename.startswith("<frozen "):
        return filename
    roots = [Path(__file__).parents[1], *map(Path, sys.path)]
    path = Path(filename)
    for root in sorted(roots, key=lambda root: len(root.parts), reverse=True):
        is_library = root.name in ("site-packages", "dist-packages") or root == roots[0]
        is_standard = root == Path(os.__file__).parent
        if (is_library or is_standard) and path.is_relative_to(root):
            return path.relative_to(root).as_posix()
    return None


def _save(text: str) -> Path | None:
    """Writes a report for its user alone; None where nothing can be written."""
    from keras_dream.weights.source import home

    for folder in (home() / FOLDER, Path(tempfile.gettempdir())):
        path = folder / f"crash-{secrets.token_hex(4)}.txt"
        with contextlib.suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
                file.write(text)
            for old in reports()[KEPT:]:
                old.unlink(missing_ok=True)
            return path
    return None
