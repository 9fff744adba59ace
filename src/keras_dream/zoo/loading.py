"""How what a dreamer was given becomes its networks."""

import os
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from keras_dream.backend.protocol import Backend
from keras_dream.errors import NetworkError, SettingError, nearest, short_repr
from keras_dream.graph.graph import Graph
from keras_dream.recipe.objectives import Class
from keras_dream.recipe.recipe import Recipe
from keras_dream.zoo import load as zoo, user_models

OnePerNetwork = str | os.PathLike[str] | Mapping[str, Any] | None


def load_networks(
    networks: Any,
    *,
    weights: OnePerNetwork = None,
    preprocessing: OnePerNetwork = None,
    classifier: bool | Collection[str] = False,
    trust_model: bool = False,
    **options: Any,
) -> dict[str, zoo.Loaded]:
    """Loads one network or several.

    Args:
        networks: A network's name, a model file or a built `keras.Model`, or a list of
            them.
        weights: A weights file for the first, or a dictionary of them by name.
        preprocessing: What every model expects, or a dictionary of it by name.
        classifier: Whether class scores will be asked for, or of which networks.
        trust_model: Whether model files may be opened.
        **options: As for `zoo.load`.

    Returns:
        The networks by their names, in the order that was given.

    Raises:
        NetworkError: If two have one name, or one cannot be used.
        WeightsError: If weights cannot be had or read.
    """
    given = as_list(networks)
    names = [name_of(network) for network in given]
    if len(set(names)) < len(names):
        raise NetworkError(
            "The networks of a dreamer must have names of their own",
            received=", ".join(names),
            hint="name each once; a recipe's `also` may ask one for several things",
        )
    files = weights if isinstance(weights, Mapping) else {names[0]: weights}
    check_names("weights", files, names)
    stated = _stated(preprocessing, given, names)
    check_names("preprocessing", stated, names)
    every = isinstance(classifier, bool)
    found: dict[str, zoo.Loaded] = {}
    for name, network in zip(names, given, strict=True):
        path = files.get(name)
        found[name] = load_network(
            network,
            weights=None if path is None else Path(path),
            preprocessing=stated.get(name),
            classifier=classifier if every else name in classifier,
            trust_model=trust_model,
            **options,
        )
    return found


def load_network(
    network: Any,
    *,
    weights: Path | None,
    preprocessing: str | None,
    trust_model: bool = False,
    **options: Any,
) -> zoo.Loaded:
    """Loads a network by name or from a model file, or lowers a model.

    Args:
        network: A network's name, a `.keras` file, or a built `keras.Model`.
        weights: A weights file for a named network, or None.
        preprocessing: What a model expects; None where it has its own.
        trust_model: Whether a model file may be opened.
        **options: As for `zoo.load`.

    Raises:
        NetworkError: If there is no such network, or what is given with it belongs
            to the other kind.
        WeightsError: If its weights cannot be had or read.
    """
    if user_models.is_file(network) or not isinstance(network, str):
        if weights is not None:
            raise NetworkError(
                "A weights file must be for a network that is given by name",
                received=f"{weights.name} for a model",
                hint="load the weights into the model first",
            )
        if user_models.is_file(network):
            # A file that is refused needs no Keras.
            user_models.check(network, trusted=trust_model)
            if options.get("before_keras"):
                options["before_keras"]()
            return user_models.load(
                network, trusted=trust_model, preprocessing=preprocessing
            )
        return user_models.of_model(network, preprocessing)
    if preprocessing is not None:
        raise NetworkError(
            "The preprocessing must be stated only for a model of your own",
            received=f"{preprocessing!r} for {network}",
            hint="leave it out: it belongs to the weights",
        )
    return zoo.load(network, weights=weights, **options)


def as_list(networks: Any) -> list[Any]:
    """Returns the networks that a dreamer was given, one or a list, as a list.

    Raises:
        NetworkError: If there is none.
    """
    given = list(networks) if isinstance(networks, list | tuple) else [networks]
    if not given:
        raise NetworkError(
            "There must be a network",
            received="an empty list",
            hint="name one, see `dream networks`",
        )
    return given


def name_of(network: Any) -> str:
    """Returns what a recipe calls a network that a dreamer was given."""
    if user_models.is_file(network):
        return user_models.name_of(network)
    return network if isinstance(network, str) else zoo.model_name(network)


def _stated(
    preprocessing: OnePerNetwork, given: list[Any], names: list[str]
) -> Mapping[str, Any]:
    """Returns the preprocessing by network; a single one is meant for every model."""
    if preprocessing is None or isinstance(preprocessing, Mapping):
        return preprocessing or {}
    models = [name for name, n in zip(names, given, strict=True) if n is not name]
    return dict.fromkeys(models or names[:1], preprocessing)


def check_names(what: str, given: Mapping[str, Any], names: list[str]) -> None:
    """Makes sure that what is given by networks' names is for networks that are here.

    Args:
        what: What is given, for the message.
        given: It, by network.
        names: The networks.

    Raises:
        NetworkError: If it is for another one.
    """
    for name in given:
        if name not in names:
            raise NetworkError(
                f"The {what} must be for a network of this dreamer",
                received=short_repr(name),
                hint=nearest(name, names),
            )


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
            hint=f"set the backend to {running}",
        )


def stated_in(recipe: Recipe) -> dict[str, str]:
    """Returns the preprocessing that a recipe states, by network.

    Raises:
        SettingError: If it states two for one network.
    """
    found: dict[str, str] = {}
    for name, mode in ((str(n.network), n.preprocessing) for n in recipe.networks):
        if mode and found.setdefault(name, mode) != mode:
            raise SettingError(
                "A network must have one preprocessing in a dream",
                received=f"{found[name]} and {mode} for {name}",
                hint="state the same one, or state it once",
            )
    return found


def asks_for_class(recipe: Recipe) -> frozenset[str]:
    """Returns the names of the networks of a recipe that are asked for class scores."""
    return frozenset(
        str(network.network)
        for network in recipe.networks
        if any(isinstance(term.target, Class) for term in network.terms)
    )
