"""`dream networks`: which networks there are."""

import json as json_text
from typing import TYPE_CHECKING, Any

from keras_dream.cli.options import Switch
from keras_dream.cli.output import plain, table, write_stdout

if TYPE_CHECKING:
    from keras_dream.zoo.entry import Entry
    from keras_dream.zoo.inventory import Status


def networks(*, json: Switch = False) -> int:
    """List the networks, and whether their weights are on this machine.

    The column weights says "shipped" (part of keras-dream), "here",
    "download" (the first dream downloads them, or `dream weights pull`),
    "partly" (a download that was interrupted and goes on) or "by hand" (to be
    given as a file). MB is the size of the file; ~ marks an estimate.

    Args:
        json: print JSON
    """
    from keras_dream.zoo.catalogue import ZOO
    from keras_dream.zoo.inventory import status_of

    every = [(entry, status_of(entry)) for entry in ZOO.values()]
    if json:
        data = [_data(entry, status) for entry, status in every]
        write_stdout(json_text.dumps(data, indent=2))
        return 0
    rows = [
        (
            entry.name,
            status.state,
            _megabytes(status),
            plain(status.publisher),
            entry.licence,
            entry.about,
        )
        for entry, status in every
    ]
    write_stdout(
        table(("network", "weights", "MB", "source", "licence", "about"), rows)
    )
    return 0


def _data(entry: "Entry", status: "Status") -> dict[str, Any]:
    return {
        "network": entry.name,
        "about": entry.about,
        "paper": entry.paper,
        "licence": entry.licence,
        "parameters": entry.parameters,
        "objective": entry.objective,
        "state": status.state,
        "path": str(status.path) if status.path else None,
        "size": status.size,
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


def _megabytes(status: "Status") -> str:
    if status.size is None:
        return "-"
    return f"{'' if status.path else '~'}{status.size / 1e6:.1f}"
