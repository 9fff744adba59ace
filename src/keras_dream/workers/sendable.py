"""Networks as another process is told of them, and what it cannot be told of."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from keras_dream.errors import SettingError
from keras_dream.recipe.recipe import Recipe
from keras_dream.recipe.targets import Custom
from keras_dream.zoo.network import Network


def only_here(recipes: Iterable[Recipe], networks: Iterable[Network]) -> str:
    """Returns what is in the memory of this process only, or "".

    Args:
        recipes: What will be dreamed.
        networks: What the recipes' names stand for, where it is more than a name.
    """
    if not all(isinstance(n.source, str | os.PathLike) for n in networks):
        return "a model in memory"
    every = (n for recipe in recipes for n in recipe.every_network)
    targets = (term.target for network in every for term in network.terms)
    if any(isinstance(t, Custom) and t.function for t in targets):
        return "an objective that is a function"
    return ""


def check_sendable(recipes: Iterable[Recipe], networks: Iterable[Network]) -> None:
    """Makes sure that another process can be told of recipes and networks.

    Args:
        recipes: As for `only_here`.
        networks: As for `only_here`.

    Raises:
        SettingError: If one is in memory only.
    """
    if received := only_here(recipes, networks):
        raise SettingError(
            "Workers in processes of their own must be told of networks and "
            "objectives by text and by files",
            received=received,
            hint="use workers=1, which dreams in this process",
        )


def networks_data(networks: Iterable[Network]) -> list[dict[str, Any]]:
    """Returns networks that can be sent as JSON types."""
    return [
        {
            **{f.name: getattr(n, f.name) for f in fields(n)},
            "source": os.fspath(n.source),
            "weights": None if n.weights is None else os.fspath(n.weights),
        }
        for n in networks
    ]


def read_networks(data: Sequence[Mapping[str, Any]]) -> tuple[Network, ...]:
    """Returns the networks of JSON types."""
    return tuple(Network(**network) for network in data)
