"""`dream networks` and `dream weights`: which there are, and having them here."""

import json as json_text
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from keras_dream.cli.commands.dream import Json, Quiet, Switch
from keras_dream.cli.output import plain, table, write_stderr, write_stdout
from keras_dream.errors import DreamError, InputError

if TYPE_CHECKING:
    from keras_dream.cli.reporters.telling import Teller
    from keras_dream.zoo.inventory import Finding, Stock
    from keras_dream.zoo.load import Entry

Name = Annotated[str, Parameter(metavar="NAME")]

_HELP = """Fetch weights, check them, find them, remove them.

They lie in one folder, which `dream weights path` tells and KERAS_DREAM_HOME moves.
What Keras has in its own folder is used, too, and never changed."""

_EXAMPLES = """Examples:
  dream weights pull vgg16 resnet50
  dream weights import Downloads/bvlc_googlenet.caffemodel
  dream weights verify
  dream weights remove vgg16"""


def networks(*, json: Switch = False) -> int:
    """List the networks, and whether their weights are here.

    weights: "shipped" and "here" can dream at once; "download" is fetched by
    the first dream, or by `dream weights pull`, and "partly" goes on from
    where it stopped; "by hand" must be given as a file. MB: the file's; with
    ~ what it will have, about.

    Args:
        json: tell it in JSON
    """
    from keras_dream.zoo.inventory import stock
    from keras_dream.zoo.load import ZOO

    every = [(entry, stock(entry)) for entry in ZOO.values()]
    if json:
        data = [_data(entry, found) for entry, found in every]
        write_stdout(json_text.dumps(data, indent=2))
        return 0
    rows = [
        (
            entry.name,
            found.state,
            _megabytes(found),
            plain(found.publisher),
            entry.licence,
            entry.about,
        )
        for entry, found in every
    ]
    write_stdout(
        table(("network", "weights", "MB", "source", "licence", "about"), rows)
    )
    return 0


def pull(
    *names: Name,
    classifier: Switch = False,
    offline: Switch = False,
    quiet: Quiet = False,
    json: Json = False,
) -> int:
    """Fetch the weights of networks, unless they are here already.

    A download that broke off goes on from there. The files' paths go to
    standard output.

    Args:
        names: networks, see `dream networks`
        classifier: with the classifier, for objectives such as class:NAME
        offline: fetch nothing, only tell whether they are here
        quiet: tell nothing but the paths
        json: tell in JSON on standard output, one event a line
    """
    from keras_dream.cli.interrupts import STOPPED, Interrupts
    from keras_dream.cli.reporters.telling import teller

    entries, failures = _entries(names), []
    told = teller(quiet=quiet, json=json)
    try:
        with told, Interrupts():
            for entry in entries:
                try:
                    _pull(entry, told, classifier=classifier, offline=offline)
                except DreamError as failure:
                    failures.append(failure)
    except KeyboardInterrupt:
        write_stderr(
            "dream: Stopped; what has come is kept, and the same command goes on."
        )
        return STOPPED
    for failure in failures[:-1]:
        _tell(failure, json=json)
    if failures:
        raise failures[-1]  # `main` tells it as any other
    return 0


def verify(*names: Name, json: Switch = False) -> int:
    """Compute the hashes of all weights that are here, and compare them.

    A file of a wrong hash is set aside in our folder and never used; in other
    folders it is only told. The exit code is 1 if anything is wrong.

    Args:
        names: networks; without a name all that are here
        json: tell it in JSON
    """
    from keras_dream.zoo import inventory, load as zoo

    entries = _entries(names) if names else list(zoo.ZOO.values())
    found: list[tuple[str, Finding]] = []
    for entry in entries:
        mine = [(entry.name, finding) for finding in inventory.verify(entry)]
        if names and not mine:
            raise _absent(entry)
        found += mine
    if json:
        data = [{"network": n, **f._asdict(), "path": str(f.path)} for n, f in found]
        write_stdout(json_text.dumps(data, indent=2))
    else:
        rows = [(n, f.state, plain(str(f.path)), plain(f.more)) for n, f in found]
        write_stdout(table(("network", "state", "file", "more"), rows))
    return 1 if any(finding.state == "wrong" for _, finding in found) else 0


def path(name: Name | None = None, /) -> int:
    """Tell the folder of the weights, or where those of a network are.

    Args:
        name: a network, see `dream networks`; without one the folder
    """
    from keras_dream.weights.locate import home
    from keras_dream.zoo import inventory

    if name is None:
        write_stdout(str(home()))
        return 0
    (entry,) = _entries([name])
    found = inventory.stock(entry).path
    if found is None:
        raise _absent(entry)
    write_stdout(str(found))
    return 0


def remove(*names: Name) -> int:
    """Remove networks' weights from our folder, lowered copies included.

    Other folders are left alone. The paths of what was removed go to standard
    output.

    Args:
        names: networks, see `dream networks`
    """
    from keras_dream.zoo import inventory

    entries = _entries(names)
    for entry in entries:
        if entry.build is None:
            raise InputError(
                "A network to remove must not be one that is shipped",
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
        left = inventory.stock(entry).path
        if left is not None:
            write_stderr(f"{plain(str(left))} is not in our folder and stays.")
    return 0


def import_file(file: str, /, *, network: Name | None = None) -> int:
    """Copy a weights file that you have into our folder.

    It is recognised by its hash, whatever its name. From then on its network
    is here, as if it had been fetched.

    Args:
        file: the weights file
        network: the network that it must be for
    """
    from keras_dream.backend import load as backends
    from keras_dream.zoo import inventory, load as zoo

    entries = _entries([network]) if network else list(zoo.ZOO.values())
    backends.set_default_keras_backend(backends.choose())
    entry, held = inventory.import_file(Path(file), entries)
    write_stderr(f"The weights of {entry.name} are here.")
    write_stdout(str(held.path))
    return 0


def _pull(entry: "Entry", told: "Teller", *, classifier: bool, offline: bool) -> None:
    from keras_dream.weights.locate import find, locate, sha256_of
    from keras_dream.zoo import inventory

    if entry.build is None:
        shipped = inventory.stock(entry).path or Path()
        told.fetched(entry.name, shipped, sha256_of(shipped))
        return
    if find(entry.sources, classifier) is None:
        told.fetching(entry.name)
    held = locate(entry.name, entry.sources, classifier, offline, told.download)
    told.fetched(entry.name, held.path, held.sha256)


def _tell(failure: DreamError, *, json: bool) -> None:
    """Tells a failure that is not the last one as `main` tells that."""
    from keras_dream.cli.reporters.telling import event

    sentence = plain(str(failure))
    write_stderr(f"dream: {sentence}")
    if json:
        write_stdout(event("error", sentence=sentence, exit_code=failure.exit_code))


def _entries(names: Sequence[str]) -> "list[Entry]":
    """Returns the entries of networks, each once, before anything is done to one."""
    from keras_dream.zoo.load import entry

    if not names:
        raise InputError(
            "A network must be named", received="none", hint="see `dream networks`"
        )
    return [entry(name) for name in dict.fromkeys(names)]


def _absent(entry: "Entry") -> InputError:
    from keras_dream.errors import WeightsError
    from keras_dream.weights.locate import folders

    can_dial = any(source.url for source in entry.sources)
    return WeightsError(
        f"The weights of {entry.name} must be on this machine",
        received=f"none in {', '.join(map(str, folders()))}",
        hint=f"try `dream weights pull {entry.name}`"
        if can_dial
        else "try `dream weights import FILE`",
    )


def _data(entry: "Entry", found: "Stock") -> dict[str, Any]:
    return {
        "network": entry.name,
        "about": entry.about,
        "paper": entry.paper,
        "licence": entry.licence,
        "parameters": entry.parameters,
        "objective": entry.objective,
        "state": found.state,
        "path": str(found.path) if found.path else None,
        "size": found.size,
        "sources": [
            {
                "file": source.file,
                "url": source.url,
                "page": source.page,
                "md5": source.md5,
                "sha256": source.sha256,
                "classifier": source.classifier,
            }
            for source in entry.sources
        ],
    }


def _megabytes(found: "Stock") -> str:
    if found.size is None:
        return "-"
    return f"{'' if found.path else '~'}{found.size / 1e6:.1f}"


def app() -> App:
    """Returns the group of commands."""
    group = App(
        name="weights",
        help=_HELP,
        help_epilogue=_EXAMPLES,
        help_format="plaintext",
        version_flags=(),
    )
    commands = {
        "pull": (pull, "NAME... [OPTIONS]"),
        "verify": (verify, "[NAME...] [--json]"),
        "path": (path, "[NAME]"),
        "remove": (remove, "NAME..."),
        "import": (import_file, "FILE [--network NAME]"),
    }
    for name, (command, usage) in commands.items():
        line = f"Usage: dream weights {name} {usage}"
        group.command(command, name=name, usage=line, help_epilogue="")
    return group
