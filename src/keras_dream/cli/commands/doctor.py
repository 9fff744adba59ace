"""`dream doctor`: whether everything that a dream needs is here."""

import contextlib
import json as json_text
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from keras_dream.cli.commands.dream import Switch
from keras_dream.cli.output import plain, table, write_stdout

_LIBRARIES = ("numpy", "pillow", "pydantic", "keras", "torch", "jax", "tensorflow")


class Finding(NamedTuple):
    """What was looked at.

    Attributes:
        what: Its name.
        state: "ok", "absent" (which hinders nothing) or "wrong".
        more: What was found.
    """

    what: str
    state: str
    more: str


def doctor(*, json: Switch = False) -> int:
    """Tell whether everything that a dream needs is here.

    Backends, device, memory, threads, weights, write access, versions.
    The exit code is 1 if anything is wrong.

    Args:
        json: tell it as JSON
    """
    found = [*_versions(), *_backends(), *_networks(), *_folders()]
    if json:
        write_stdout(
            json_text.dumps([finding._asdict() for finding in found], indent=2)
        )
    else:
        write_stdout(
            table(("what", "state", "found"), [tuple(map(plain, row)) for row in found])
        )
    return 1 if any(finding.state == "wrong" for finding in found) else 0


def _versions() -> Iterator[Finding]:
    import platform
    from importlib import metadata

    from keras_dream import __version__
    from keras_dream.engine.result import processor

    yield Finding("keras-dream", "ok", str(__version__))
    yield Finding("python", "ok", f"{platform.python_version()} on {sys.platform}")
    yield Finding("processor", "ok", f"{processor()}, {os.cpu_count()} threads")
    for name in _LIBRARIES:
        # One that is absent is an extra, or goes by another name; its backend tells.
        with contextlib.suppress(metadata.PackageNotFoundError):
            yield Finding(name, "ok", metadata.version(name))


def _backends() -> Iterator[Finding]:
    """Loads every backend that is installed; the one that would dream must load."""
    from keras_dream.backend import load as backends
    from keras_dream.errors import DreamError

    try:
        chosen = backends.choose()
    except DreamError as error:
        chosen = "torch"
        yield Finding("KERAS_BACKEND", "wrong", str(error))
    for name in backends.NAMES:
        try:
            loaded = backends.load(name)
        # A broken installation fails in any way it likes.
        except Exception as failure:  # noqa: BLE001
            missing = isinstance(failure, DreamError) and name != chosen
            state = "absent" if missing else "wrong"
            yield Finding(f"backend {name}", state, " ".join(str(failure).split()))
            continue
        default = ", the default" if name == chosen else ""
        threads = f", {loaded.threads} threads" if loaded.threads else ""
        memory = loaded.memory()
        free = f", {memory['free'] / 1e9:.1f} GB free" if "free" in memory else ""
        whole = f" of {memory['total'] / 1e9:.1f}" if "total" in memory else ""
        more = f"on {loaded.device}{threads}{free}{whole}{default}"
        yield Finding(f"backend {name}", "ok", more)


def _networks() -> Iterator[Finding]:
    """Tells the networks that are here, and in one line how many are not."""
    from keras_dream.errors import DreamError
    from keras_dream.weights.locate import folders
    from keras_dream.zoo import load as zoo
    from keras_dream.zoo.inventory import stock

    absent = 0
    for entry in zoo.ZOO.values():
        what = f"network {entry.name}"
        found = stock(entry)
        if found.path is None:
            absent += 1
        elif found.state == "shipped":
            try:
                loaded = zoo.load(entry.name)
            except DreamError as error:
                yield Finding(what, "wrong", str(error))
            else:
                yield Finding(what, "ok", f"shipped, sha256 {loaded.sha256[:12]}")
        else:
            yield Finding(what, "ok", f"{found.path}, not read; see `dream weights`")
    if absent:
        where = ", ".join(map(str, folders()))
        more = f"{absent} have no weights in {where}; see `dream networks`"
        yield Finding("other networks", "absent", more)


def _folders() -> Iterator[Finding]:
    from keras_dream.weights.locate import home

    given = os.environ.get("KERAS_DREAM_WEIGHTS")
    if given and not Path(given).is_dir():
        yield Finding("KERAS_DREAM_WEIGHTS", "wrong", f"{given} is no folder")
    for what, folder in (("weights cache", home()), ("this folder", Path.cwd())):
        existing = folder
        while not existing.exists() and existing != existing.parent:
            existing = existing.parent
        state = "ok" if _takes_files(existing) else "wrong"
        outcome = "takes files" if state == "ok" else "takes no files"
        yield Finding(what, state, f"{folder} {outcome}")


def _takes_files(folder: Path) -> bool:
    """Tells whether a file can really be made: mode bits say nothing about root."""
    import tempfile

    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
