"""What there is to dream with: networks, their layers, presets."""

import json as json_text
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from keras_dream.cli.dreaming import Switch
from keras_dream.cli.streams import give, plain, table

if TYPE_CHECKING:
    from keras_dream.network.zoo import Entry

Weights = Annotated[str | None, Parameter(metavar="FILE")]


def networks() -> int:
    """List the networks and whether their weights are here."""
    from keras_dream.network.zoo import ZOO

    rows = [
        (entry.name, *_weights(entry), entry.licence, entry.about)
        for entry in ZOO.values()
    ]
    give(table(("network", "weights", "MB", "licence", "about"), rows))
    return 0


def layers(network: str, /, *, weights: Weights = None) -> int:
    """List the layers of a network, and its classes where they have names.

    Channels, stride and receptive field in pixels, and the side of the
    smallest picture that a layer can be dreamed in. A layer that sees the
    whole picture has an infinite field.

    Args:
        network: the network's name
        weights: a weights file for it; without one nothing is downloaded
    """
    from keras_dream import backend
    from keras_dream.network.passes import truncate
    from keras_dream.network.zoo import outline

    backend.lead_keras(backend.choose())
    graph = outline(network, Path(weights) if weights is not None else None)
    reach, channels = graph.reach(), graph.channels()

    def smallest(node: str) -> int:
        return truncate(graph, frozenset({node})).smallest(0, [node])

    rows = [
        (
            name,
            str(channels[node]),
            _pixels(reach[node].stride),
            _pixels(reach[node].field),
            str(smallest(node)),
        )
        for node, name in _names(graph.layers).items()
    ]
    give(table(("layer", "channels", "stride", "field", "smallest"), rows))
    if graph.classes:
        names = ", ".join(map(plain, graph.classes))
        give(f"\nclasses, each an objective such as class:NAME\n{names}")
    return 0


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
    from keras_dream.preset import preset, presets as every
    from keras_dream.recipe import Recipe

    if schema:
        give(json_text.dumps(Recipe.model_json_schema(), indent=2))
    elif name is not None:
        give(json_text.dumps(preset(name).model_dump(mode="json"), indent=2))
    else:
        rows = [
            (
                name,
                recipe.network,
                str(recipe.octaves + recipe.octaves_above),
                str(recipe.steps),
                f"{recipe.step_size:.4g}",
                recipe.objective or "the network's own",
            )
            for name, recipe in every.items()
        ]
        head = ("preset", "network", "octaves", "steps", "step_size", "objective")
        give(table(head, rows))
    return 0


def _weights(entry: "Entry") -> tuple[str, str]:
    """Returns whether a network's weights are here, and their size in megabytes."""
    from keras_dream.network.weights import find
    from keras_dream.network.zoo import BUILTIN

    path = find(entry.sources)
    if entry.build is None:
        path = BUILTIN / f"{entry.name}.safetensors"
        if not path.is_file():
            return "missing", "-"
    if path is not None:
        return "here", f"{path.stat().st_size / 1e6:.1f}"
    if any(source.url for source in entry.sources):
        return "download", "-"
    return "give a file", "-"


def _names(layers: Mapping[str, str]) -> dict[str, str]:
    """Returns one name for each node: the layer's own rather than its ordinal."""
    found: dict[str, str] = {}
    for name, node in layers.items():
        if node not in found or "@" in found[node]:
            found[node] = plain(name)
    return found


def _pixels(length: float) -> str:
    return "infinite" if math.isinf(length) else f"{length:.0f}"
