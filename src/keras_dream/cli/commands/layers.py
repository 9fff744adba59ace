"""`dream layers`: which layers a network has."""

import json as json_text
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from keras_dream.cli.options import Patterns, Switch, split
from keras_dream.cli.output import plain, table, write_stderr, write_stdout
from keras_dream.errors import NetworkError, naming_network
from keras_dream.recipe.targets import Class, Layer

_FEW = 50
"""Classes that are listed without being asked for; of more only the first ones."""
_FIRST = 12

if TYPE_CHECKING:
    from keras_dream.graph.graph import Graph
    from keras_dream.graph.layers import Facts


def layers(
    network: str,
    /,
    *,
    like: Patterns = (),
    every: Annotated[Switch, Parameter(name="--all")] = False,
    classes: Switch = False,
    weights: Annotated[str | None, Parameter(metavar="FILE")] = None,
    trust_model: Switch = False,
    json: Switch = False,
) -> int:
    """List the layers of a network, and its classes where they have names.

    By default only the last layer of each of the network's blocks is listed.

    stride: pixels of the picture from one cell of the layer to the next
    receptive field: side in pixels of the square that a cell sees
    smallest: longer side in pixels of the smallest picture for the layer
    depth: share of the network's convolutions, counted along the longest path
    work: share of the network's multiplications, and so of the time for a step

    Args:
        network: a network's name, or a .keras file
        like: parts of names, or patterns such as "mixed*", with commas between
        every: list every layer
        classes: list the classes instead, those that --like matches
        weights: a weights file for the network; without one nothing is downloaded
        trust_model: open a .keras file; only for files from authors you trust
        json: print JSON
    """
    from keras_dream.graph.layers import chief_layers, facts, matching, names
    from keras_dream.zoo.network import Network

    graph = Network(network, weights=weights, trust=trust_model).outline()
    if classes:
        return _write_classes(graph, split(like), json=json)
    every_name, patterns = names(graph), split(like)
    if patterns:
        with naming_network(network):
            nodes = matching(graph, patterns)
    else:
        nodes = tuple(every_name) if every else chief_layers(graph)
    listed = facts(graph, nodes)
    if json:
        write_stdout(json_text.dumps(_data(network, graph, listed), indent=2))
        return 0
    head = ("layer", "kind", "channels", "stride", "receptive field", "smallest")
    write_stdout(table((*head, "depth", "work"), [_row(layer) for layer in listed]))
    if len(listed) < len(every_name):
        write_stderr(
            f"{len(listed)} of {len(every_name)} layers; --all lists every layer, "
            "--like PATTERN those that match."
        )
    if not patterns:
        _write_more(network, graph)
    return 0


def _write_classes(graph: "Graph", patterns: Sequence[str], *, json: bool) -> int:
    """Prints the classes that match, with their numbers."""
    from keras_dream.graph.classes import matching

    if not graph.classes:
        raise NetworkError(
            "Classes must have names to be listed",
            received="a network that has none, or only numbers",
            hint="try a number, such as class:0, if it has a dense classifier",
        )
    numbers = matching(patterns, graph.classes)
    if json:
        data = [{"number": n, "name": graph.classes[n]} for n in numbers]
        write_stdout(json_text.dumps(data, indent=2))
        return 0
    rows = [(str(n), plain(Class(graph.classes[n]).text)) for n in numbers]
    write_stdout(table(("class", "objective"), rows))
    return 0


def _write_more(network: str, graph: "Graph") -> None:
    """Prints a network's objective, what its layers dream of, and its classes."""
    from keras_dream.zoo.catalogue import ZOO

    if graph.objective:
        write_stdout(f"\nits own objective: {plain(graph.objective)}")
    if network in ZOO and ZOO[network].dreams:
        rows = [(layer, text) for layer, text in ZOO[network].dreams.items()]
        write_stdout("\nwhat its layers dream of; docs/motif.md shows pictures")
        write_stdout(table(("layer", "dreams of"), rows))
    if graph.classes:
        shown = graph.classes
        shown = shown if len(shown) <= _FEW else shown[:_FIRST]
        classes = ", ".join(f"{n} {plain(name)}" for n, name in enumerate(shown))
        write_stdout(f"\nits classes, for objectives such as class:NAME\n{classes}")
        if len(shown) < len(graph.classes):
            write_stderr(
                f"{len(shown)} of {len(graph.classes)} classes; --classes lists all, "
                "with --like WORD those that match."
            )


def _row(layer: "Facts") -> tuple[str, ...]:
    return (
        plain(Layer.named(layer.layer).text),  # as an objective has it
        plain(layer.kind),
        str(layer.channels),
        _pixels(layer.stride),
        _pixels(layer.receptive_field),
        _pixels(layer.smallest),
        f"{100 * layer.depth:.0f} %",
        f"{100 * layer.work:.0f} %",
    )


def _data(network: str, graph: "Graph", listed: "Sequence[Facts]") -> dict[str, Any]:
    """Returns the layers as JSON types, with null for what is infinite."""

    def finite(value: Any) -> Any:
        if isinstance(value, float):
            return None if math.isinf(value) else round(value, 4)
        return value

    return {
        "network": network,
        "objective": graph.objective,
        "layers": [
            {name: finite(value) for name, value in asdict(layer).items()}
            for layer in listed
        ],
        "classes": list(graph.classes),
    }


def _pixels(length: float) -> str:
    return "infinite" if math.isinf(length) else f"{length:.0f}"
