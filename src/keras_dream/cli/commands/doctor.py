"""`dream doctor`: whether this machine has everything that a dream needs."""

import json as json_text
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from keras_dream.cli.options import Switch
from keras_dream.cli.output import plain, table, write_stdout

if TYPE_CHECKING:
    from keras_dream.backend.protocol import Backend


class Finding(NamedTuple):
    """The result of one check.

    Attributes:
        what: What was checked.
        state: "ok", "absent" (which does not prevent dreaming) or "wrong".
        more: Details.
    """

    what: str
    state: str
    more: str


def doctor(*, json: Switch = False) -> int:
    """Check whether this machine has everything that a dream needs.

    Versions, backends, devices, memory, threads, weights, folders that can be
    written to, and reports of crashes. The exit code is 1 if anything is wrong.

    Args:
        json: print JSON, for an issue: with ~ for your home, without your name
    """
    from keras_dream.crash import Redaction, facts

    versions = (Finding(what, "ok", more) for what, more in facts())
    checks = (_backends, _networks, _films, _folders, _reports)
    findings = [*versions, *(finding for check in checks for finding in check())]
    if json:
        hide = Redaction([]).without_persons
        data = [{**f._asdict(), "more": hide(f.more)} for f in findings]
        write_stdout(json_text.dumps(data, indent=2))
    else:
        write_stdout(
            table(
                ("what", "state", "more"), [tuple(map(plain, row)) for row in findings]
            )
        )
    return 1 if any(finding.state == "wrong" for finding in findings) else 0


def _reports() -> Iterator[Finding]:
    """Says where the reports of crashes are, for issues."""
    from keras_dream.crash import reports

    paths = reports()
    more = f"{len(paths)}, the newest {paths[0]}" if paths else "none"
    yield Finding("crash reports", "ok" if paths else "absent", more)


def _backends() -> Iterator[Finding]:
    """Loads every backend that is installed; an error of the default one is wrong."""
    from keras_dream.backend import load as backends
    from keras_dream.errors import DreamError

    try:
        chosen = backends.choose(None)
    except DreamError as error:
        chosen = "torch"
        yield Finding("KERAS_BACKEND", "wrong", str(error))
    for name in backends.NAMES:
        try:
            loaded = backends.load(name)
        # A broken installation can raise anything.
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
        auto = f", precision auto is {_precision(loaded)}"
        more = f"on {loaded.device}{threads}{free}{whole}{auto}{default}"
        yield Finding(f"backend {name}", "ok", more)


def _precision(backend: "Backend") -> str:
    """Says what the run setting `precision=auto` stands for."""
    from keras_dream.zoo.catalogue import ZOO

    if not backend.fast_bfloat16():
        return "float32"
    first, *more = (e.name for e in ZOO.values() if e.is_better_in_bfloat16)
    others = f" and {len(more)} others, see docs/networks.md" if more else ""
    return f"bfloat16 with {first}{others}"


def _networks() -> Iterator[Finding]:
    """Lists the networks with weights, and in one line how many have none."""
    from keras_dream.errors import DreamError
    from keras_dream.weights.source import folders
    from keras_dream.zoo import catalogue
    from keras_dream.zoo.inventory import status_of
    from keras_dream.zoo.network import Network

    absent = 0
    for entry in catalogue.ZOO.values():
        what = f"network {entry.name}"
        status = status_of(entry)
        if status.path is None:
            absent += 1
        elif status.state == "shipped":
            try:
                loaded = Network(entry.name).load()
            except DreamError as error:
                yield Finding(what, "wrong", str(error))
            else:
                yield Finding(what, "ok", f"shipped, sha256 {loaded.sha256[:12]}")
        else:
            yield Finding(
                what, "ok", f"{status.path}, not checked; see `dream weights verify`"
            )
    if absent:
        where = ", ".join(map(str, folders()))
        more = f"{absent} have no weights in {where}; see `dream networks`"
        yield Finding("other networks", "absent", more)


def _films() -> Iterator[Finding]:
    """Says whether films can be read, dreamed and written, and in which formats."""
    from importlib import metadata

    from keras_dream.errors import DreamError
    from keras_dream.video.extra import require
    from keras_dream.video.formats import CODECS

    try:
        require()
    except DreamError as error:
        yield Finding("films", "absent", str(error))
        return
    # They share one folder: what is imported is a mixture of them, and pip removes
    # files of both with either.
    wheels = metadata.packages_distributions().get("cv2", [])
    if len(several := sorted(set(wheels))) > 1:
        remove = f"pip uninstall {' '.join(several)}"
        one = "pip install opencv-python-headless"
        more = f"{' and '.join(several)} share a folder: `{remove}`, then `{one}`"
        yield Finding("cv2", "wrong", more)
    try:
        import av
        import cv2

        cv2.DISOpticalFlow.create()
        have = av.codecs_available
    # A broken installation can raise anything.
    except Exception as failure:  # noqa: BLE001
        yield Finding("films", "wrong", " ".join(str(failure).split()))
        return
    encoders = {name: codec.encoder for name, codec in CODECS.items() if codec.encoder}
    there = [name for name, encoder in encoders.items() if encoder in have]
    more = f"encoders: {', '.join(there)}"
    if lacking := [name for name in encoders if name not in there]:
        more += f"; this av has none of {', '.join(lacking)}"
    yield Finding("films", "ok", more)


def _folders() -> Iterator[Finding]:
    from keras_dream.weights.cache import writers
    from keras_dream.weights.source import home

    extra = os.environ.get("KERAS_DREAM_WEIGHTS")
    if extra and not Path(extra).is_dir():
        yield Finding("KERAS_DREAM_WEIGHTS", "wrong", f"{extra} is not a folder")
    for what, folder in (("weights cache", home()), ("this folder", Path.cwd())):
        existing = folder
        while not existing.exists() and existing != existing.parent:
            existing = existing.parent
        state = "ok" if _is_writable(existing) else "wrong"
        outcome = "can be written to" if state == "ok" else "cannot be written to"
        yield Finding(what, state, f"{folder} {outcome}")
    if others := writers(home()):
        yield Finding("weights cache", "wrong", f"{others} can write to {home()}, too")


def _is_writable(folder: Path) -> bool:
    """Tells whether a file can be made, by making one: mode bits are not enough."""
    import tempfile

    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
