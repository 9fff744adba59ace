"""How what a dreamer was given becomes a network."""

import sys
from pathlib import Path
from typing import Any

from keras_dream.backend import Backend
from keras_dream.errors import NetworkError, SettingError
from keras_dream.network import zoo
from keras_dream.network.graph import Graph
from keras_dream.objectives import Class, parse
from keras_dream.recipe import Recipe


def load_network(
    network: Any, *, weights: Path | None, preprocessing: str | None, **options: Any
) -> zoo.Loaded:
    """Loads a network by name, or lowers a model.

    Args:
        network: A network's name, or a built `keras.Model`.
        weights: A weights file for a named network, or None.
        preprocessing: What a model expects; None where it has its own.
        **options: As for `zoo.load`.

    Raises:
        NetworkError: If there is no such network, or what is given with it belongs
            to the other kind.
        WeightsError: If its weights cannot be had or read.
    """
    if not isinstance(network, str):
        if weights is not None:
            raise NetworkError(
                "A weights file must be for a network that is given by name",
                received=f"{weights.name} for a model",
                attempt="load the weights into the model first",
            )
        return zoo.lower_model(network, preprocessing)
    if preprocessing is not None:
        raise NetworkError(
            "The preprocessing must be stated only for a model of your own",
            received=f"{preprocessing!r} for {network}",
            attempt="leave it out: it belongs to the weights",
        )
    return zoo.load(network, weights=weights, **options)


def check_opaque(graph: Graph, backend: Backend) -> None:
    """Makes sure that Keras runs on the same backend, where it must run layers.

    Args:
        graph: A network's graph.
        backend: Where it is to be computed.

    Raises:
        SettingError: If Keras runs on another one.
    """
    if not graph.opaque:
        return
    running = sys.modules["keras"].config.backend()
    if running != backend.name:
        names = ", ".join(sorted(graph.opaque)[:5])
        raise SettingError(
            f"The backend must be {running}, on which Keras runs, for a network "
            "with layers that only Keras can run",
            received=f"{backend.name} for {names}",
            attempt=f"set the backend to {running}",
        )


def asks_for_class(recipe: Recipe) -> bool:
    """Tells whether a recipe's objective names a class score."""
    terms = parse(recipe.objective).terms if recipe.objective else ()
    return any(isinstance(term.target, Class) for term in terms)
