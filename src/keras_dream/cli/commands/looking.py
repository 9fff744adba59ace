"""What there is to dream with: layers and presets."""

import json as json_text
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from keras_dream.cli.commands.dream import Switch
from keras_dream.cli.commands.explain import Patterns, split
from keras_dream.cli.options import Trust
from keras_dream.cli.output import plain, table, write_stderr, write_stdout
from keras_dream.errors import NetworkError

if TYPE_CHECKING:
    from keras_dream.graph.graph import Graph
    from keras_dream.graph.layers import Facts

Weights = Annotated[str | None, Parameter(metavar="FILE")]


def layers(
    network: str,
    /,
    *,
    like: Patterns = (),
    every: Annotated[bool, Parameter(name="--all", negative=(), show_default=False)] = (
        False
    ),
    weights: Weights = None,
    trust_model: Trust = False,
    json: Switch = False,
) -> int:
    """List the layers of a network, and its classes where they have names.

    Shown are the layers at which a block of the network ends, as far as it
    has many. stride: pixels from one cell to the next; receptive_field: pixels that a
    cell sees, infinite for the whole picture; smallest: side of the smallest
    picture that the layer can be dreamed in; depth: convolutions up to it, of
    all that lie one behind the other; work: multiplications up to it, of all:
    so much of the whole network's time takes a dream that stops there.

    Args:
        network: the network's name, or a .keras file
        like: parts of layer names, or names with * and ?, with commas between
        every: list every layer
        weights: a weights file for it; without one nothing is downloaded
        trust_model: open a .keras file, which builds whatever its author wrote into it
        json: tell it in JSON
    """
    from keras_dream.graph.layers import chief_layers, facts, matching, names

    graph = _graph(network, weights, trust_model)
    known, patterns = names(graph), split(like)
    if patterns:
        nodes = matching(graph, patterns)
    else:
        nodes = tuple(known) if every else chief_layers(graph)
    found = facts(graph, nodes)
    if json:
        write_stdout(json_text.dumps(_layers_data(network, graph, found), indent=2))
        return 0
    head = (
        "layer",
        "kind",
        "channels",
        "stride",
        "receptive_field",
        "smallest",
        "depth",
        "work",
    )
    write_stdout(table(head, [_layer_row(layer) for layer in found]))
    if len(found) < len(known):
        write_stderr(
            f"{len(found)} of {len(known)} layers; --all lists every one, --like "
            "PATTERN looks for some."
        )
    if graph.objective and not patterns:
        write_stdout(f"\nits own objective: {plain(graph.objective)}")
    if not patterns:
        _tell_dreams(network)
    if graph.classes and not patterns:
        numbered = enumerate(map(plain, graph.classes))
        classes = ", ".join(f"{number} {name}" for number, name in numbered)
        write_stdout(f"\nclasses, each an objective such as class:NAME\n{classes}")
    return 0


def _tell_dreams(network: str) -> None:
    """Prints what the layers dream, of a network that somebody has looked at."""
    from keras_dream.zoo.catalogue import ZOO

    if network in ZOO and ZOO[network].dreams:
        rows = [(layer, text) for layer, text in ZOO[network].dreams.items()]
        write_stdout("\nwhat its layers dream; docs/motif.md shows it in pictures")
        write_stdout(table(("layer", "dreams of"), rows))


def presets(
    name: str | None = None,
    /,
    *,
    schema: Switch = False,
) -> int:
    """List the presets, or print one of them as JSON.

    Args:
        name: the preset to print, as `dream PHOTO --recipe FILE.json` reads it
        schema: print the JSON schema of recipes instead
    """
    from keras_dream.recipe.presets import preset, presets as every
    from keras_dream.recipe.recipe import Recipe
    from keras_dream.zoo import load as zoo
    from keras_dream.zoo.inventory import stock

    if schema:
        write_stdout(json_text.dumps(Recipe.model_json_schema(), indent=2))
    elif name is not None:
        write_stdout(json_text.dumps(preset(name).model_dump(mode="json"), indent=2))
    else:
        rows = [
            (
                name,
                recipe.network,
                stock(zoo.entry(recipe.network)).state,
                str(recipe.octaves + recipe.octaves_above),
                str(recipe.steps),
                f"{recipe.step_size:.4g}",
                str(recipe.objective or "the network's own"),
            )
            for name, recipe in every.items()
        ]
        head = ("preset", "network", "weights", "octaves", "steps", "step_size")
        write_stdout(table((*head, "objective"), rows))
    return 0


def _graph(network: str, weights: str | None, trusted: bool) -> "Graph":
    """Returns a network's graph, which needs no weights to be looked at."""
    from keras_dream.backend import load as backends
    from keras_dream.zoo import load as zoo, user_models

    if not user_models.is_file(network):
        entry = zoo.entry(network)
        backends.set_default_keras_backend(backends.choose())
        graph = zoo.outline(network, Path(weights) if weights is not None else None)
        return replace(graph, objective=graph.objective or entry.objective)
    user_models.check(network, trusted=trusted)
    backends.set_default_keras_backend(backends.choose())
    try:
        return user_models.load(network, trusted=trusted).graph
    except NetworkError:
        # What a model expects of its pictures does not change its layers.
        return user_models.load(network, trusted=trusted, preprocessing="0-1").graph


def _layer_row(layer: "Facts") -> tuple[str, ...]:
    return (
        plain(layer.layer),
        plain(layer.kind),
        str(layer.channels),
        _pixels(layer.stride),
        _pixels(layer.receptive_field),
        str(layer.smallest),
        f"{100 * layer.depth:.0f} %",
        f"{100 * layer.work:.0f} %",
    )


def _layers_data(
    network: str, graph: "Graph", found: "Sequence[Facts]"
) -> dict[str, Any]:
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
            for layer in found
        ],
        "classes": list(graph.classes),
    }


def _pixels(length: float) -> str:
    return "infinite" if math.isinf(length) else f"{length:.0f}"
