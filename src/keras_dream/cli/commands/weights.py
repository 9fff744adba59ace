"""`dream weights`: download, check, find, import and remove weights files."""

import json as json_text
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from keras_dream.cli.options import Json, Quiet, Switch
from keras_dream.cli.output import (
    plain,
    table,
    write_failure,
    write_stderr,
    write_stdout,
)
from keras_dream.errors import DreamError, InputError
from keras_dream.events import Fetched, Fetching

if TYPE_CHECKING:
    from keras_dream.cli.reporters.base import Reporter
    from keras_dream.zoo.entry import Entry
    from keras_dream.zoo.inventory import Finding

Name = Annotated[str, Parameter(metavar="NAME")]

_HELP = """Download, check, find, import and remove weights files.

They are in one folder, which `dream weights path` prints and the environment
variable KERAS_DREAM_HOME sets. Files in Keras' own folder are used, but never
changed."""

_EXAMPLES = """Examples:
  dream weights pull vgg16 resnet50
  dream weights import Downloads/bvlc_googlenet.caffemodel
  dream weights verify
  dream weights remove vgg16"""

_USAGE = "Usage: dream weights {}"

weights = App(
    name="weights",
    help=_HELP,
    help_epilogue=_EXAMPLES,
    help_format="plaintext",
    version_flags=(),
)


@weights.command(
    name="pull", usage=_USAGE.format("pull NAME... [OPTIONS]"), help_epilogue=""
)
def pull(
    *names: Name,
    classifier: Switch = False,
    offline: Switch = False,
    quiet: Quiet = False,
    json: Json = False,
) -> int:
    """Download the weights of networks that are not on this machine.

    An interrupted download goes on where it stopped. The files' paths go to
    standard output.

    Args:
        names: networks, see `dream networks`
        classifier: the weights with the classifier, for objectives such as class:NAME
        offline: download nothing; fail if the weights are not on this machine
        quiet: print only the paths
        json: print JSON on standard output, one event a line
    """
    from keras_dream.cli.interrupts import STOPPED, Interrupts
    from keras_dream.cli.reporters import reporter_for

    entries, failures = _entries(names), []
    reporter = reporter_for(quiet=quiet, json=json)
    try:
        with reporter, Interrupts():
            for entry in entries:
                try:
                    _pull(entry, reporter, classifier=classifier, offline=offline)
                except DreamError as failure:
                    failures.append(failure)
    except KeyboardInterrupt:
        write_stderr(
            "dream: Stopped; the downloaded part is kept, and the same command goes on "
            "from there."
        )
        return STOPPED
    for failure in failures[:-1]:
        write_failure(str(failure), exit_code=failure.exit_code, json=json)
    if failures:
        raise failures[-1]  # `main` writes it
    return 0


@weights.command(
    name="verify", usage=_USAGE.format("verify [NAME...] [--json]"), help_epilogue=""
)
def verify(*names: Name, json: Switch = False) -> int:
    """Check the sha256 of all weights that are on this machine.

    A file with a wrong hash in keras-dream's own folder is renamed and never
    used; in other folders it is only reported. The exit code is 1 if a file is
    wrong.

    Args:
        names: networks [default: all whose weights are on this machine]
        json: print JSON
    """
    from keras_dream.zoo import catalogue, inventory

    entries = _entries(names) if names else list(catalogue.ZOO.values())
    findings: list[tuple[str, Finding]] = []
    for entry in entries:
        own = [(entry.name, finding) for finding in inventory.verify(entry)]
        if names and not own:
            raise _absent(entry)
        findings += own
    if json:
        data = [{"network": n, **f._asdict(), "path": str(f.path)} for n, f in findings]
        write_stdout(json_text.dumps(data, indent=2))
    else:
        rows = [(n, f.state, plain(str(f.path)), plain(f.more)) for n, f in findings]
        write_stdout(table(("network", "state", "file", "more"), rows))
    return 1 if any(finding.state == "wrong" for _, finding in findings) else 0


@weights.command(name="path", usage=_USAGE.format("path [NAME]"), help_epilogue="")
def path(name: Name | None = None, /) -> int:
    """Print the path of the weights' folder, or of a network's weights.

    Args:
        name: a network, see `dream networks`
    """
    from keras_dream.weights.source import home
    from keras_dream.zoo import inventory

    if name is None:
        write_stdout(str(home()))
        return 0
    (entry,) = _entries([name])
    file = inventory.status_of(entry).path
    if file is None:
        raise _absent(entry)
    write_stdout(str(file))
    return 0


@weights.command(name="remove", usage=_USAGE.format("remove NAME..."), help_epilogue="")
def remove(*names: Name) -> int:
    """Delete the weights of networks from keras-dream's own folder.

    Files in other folders stay. The paths of the deleted files go to standard
    output.

    Args:
        names: networks, see `dream networks`
    """
    from keras_dream.zoo import inventory

    entries = _entries(names)
    for entry in entries:
        if entry.build is None:
            raise InputError(
                "Weights that are part of keras-dream cannot be removed",
                received=repr(entry.name),
                hint="leave it out",
            )
    for entry in entries:
        removed = inventory.remove(entry)
        for file, _ in removed:
            write_stdout(str(file))
        size = sum(size for _, size in removed)
        write_stderr(
            f"Removed {len(removed)} files of {entry.name}, {size / 1e6:.1f} MB."
        )
        other = inventory.status_of(entry).path
        if other is not None:
            write_stderr(f"{plain(str(other))} is in another folder and stays.")
    return 0


@weights.command(
    name="import", usage=_USAGE.format("import FILE [--network NAME]"), help_epilogue=""
)
def import_file(file: str, /, *, network: Name | None = None) -> int:
    """Copy a weights file into keras-dream's own folder.

    The file is recognised by its sha256; its name does not matter. Afterwards
    its network can be used as if the weights had been downloaded.

    Args:
        file: the weights file
        network: refuse a file for any other network
    """
    from keras_dream.zoo import catalogue, inventory

    entries = _entries([network]) if network else list(catalogue.ZOO.values())
    entry, local = inventory.import_file(Path(file), entries)
    write_stderr(f"The weights of {entry.name} are on this machine.")
    write_stdout(str(local.path))
    return 0


def _pull(
    entry: "Entry", reporter: "Reporter", *, classifier: bool, offline: bool
) -> None:
    from keras_dream.weights.locate import find, locate
    from keras_dream.weights.verify import sha256_of
    from keras_dream.zoo import inventory

    if entry.build is None:
        shipped = inventory.status_of(entry).path or Path()
        reporter.report(Fetched(entry.name, str(shipped), sha256_of(shipped)))
        return
    if find(entry.sources, classifier=classifier) is None:
        reporter.report(Fetching(entry.name))
    download = reporter.download
    local = locate(
        entry.name,
        entry.sources,
        classifier=classifier,
        offline=offline,
        progress=download,
    )
    reporter.report(Fetched(entry.name, str(local.path), local.sha256))


def _entries(names: Sequence[str]) -> "list[Entry]":
    """Returns the entries of networks, each once."""
    from keras_dream.zoo.catalogue import entry

    if not names:
        raise InputError(
            "A network must be named", received="none", hint="see `dream networks`"
        )
    return [entry(name) for name in dict.fromkeys(names)]


def _absent(entry: "Entry") -> InputError:
    from keras_dream.errors import WeightsError
    from keras_dream.weights.source import folders

    is_published = any(source.url for source in entry.sources)
    return WeightsError(
        f"The weights of {entry.name} must be on this machine",
        received=f"none in {', '.join(map(str, folders()))}",
        hint=f"try `dream weights pull {entry.name}`"
        if is_published
        else "try `dream weights import FILE`",
    )
