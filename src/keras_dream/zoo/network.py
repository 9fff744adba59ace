"""`Network`: what a person names, with its weights file and its preprocessing."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import Any

from keras_dream.backend import load as backends
from keras_dream.errors import (
    NetworkError,
    SettingError,
    WeightsError,
    nearest,
    short_repr,
)
from keras_dream.files import check_file
from keras_dream.graph.graph import Graph
from keras_dream.recipe.objectives import PREPROCESSINGS
from keras_dream.recipe.recipe import Recipe
from keras_dream.recipe.targets import Class
from keras_dream.weights.source import BeforeDownload, Progress
from keras_dream.zoo import catalogue, load, user_models
from keras_dream.zoo.load import LoadedNetwork


@dataclass(frozen=True)
class Network:
    """A network as a person names it; `load` reads it.

    Args:
        source: A name of `dream networks`, the path of a `.keras` file, or a built
            `keras.Model`.
        weights: A weights file for a network that is given by name; None takes the
            shipped, cached or published one.
        preprocessing: "tf", "caffe", "torch", "0-1" or "0-255": what a model of your
            own expects; needless where it begins with its own Rescaling or
            Normalization.
        trust: Whether a model file may be opened: Keras builds whatever its author
            wrote into it.
        classifier: Whether class scores will be asked for: some networks publish their
            classifier in a file of its own.

    Raises:
        NetworkError: If there is no network of that name, or what is stated with it
            belongs to another kind.
    """

    source: Any
    _: KW_ONLY
    weights: str | os.PathLike[str] | None = None
    preprocessing: str | None = None
    trust: bool = False
    classifier: bool = False

    def __post_init__(self) -> None:
        if self.source is None or not isinstance(
            self.weights, str | os.PathLike | None
        ):
            raise NetworkError(
                "A network must be a name, a file or a model, and its weights a path",
                received=f"{short_repr(self.source)}, {short_repr(self.weights)}",
                hint="see `dream networks`",
            )
        if self.is_named:
            catalogue.entry(self.source)
            if self.preprocessing is not None:
                raise NetworkError(
                    "The preprocessing must be stated only for a model of your own",
                    received=f"{self.preprocessing!r} for {self.source}",
                    hint="leave it out: it belongs to the weights",
                )
        elif self.preprocessing not in (None, *PREPROCESSINGS):
            raise NetworkError(
                f"The preprocessing must be one of {', '.join(PREPROCESSINGS)}",
                received=short_repr(self.preprocessing),
                hint="state what the model was trained with",
            )
        elif self.weights is not None:
            raise NetworkError(
                "A weights file must be for a network that is given by name",
                received=f"{Path(self.weights).name} for a model",
                hint="load the weights into the model first",
            )

    @property
    def is_file(self) -> bool:
        """Whether it is a model file."""
        return user_models.is_file(self.source)

    @property
    def is_named(self) -> bool:
        """Whether it is a network of the catalogue."""
        return isinstance(self.source, str) and not self.is_file

    @property
    def name(self) -> str:
        """What a recipe calls it: its name, its file's, or "model:" and the model's."""
        if self.is_file:
            return user_models.file_name(self.source)
        return self.source if self.is_named else user_models.model_name(self.source)

    def check(self) -> None:
        """Makes sure of everything that is cheap to look at, without Keras.

        Raises:
            NetworkError: If it is a model file that is refused or not trusted.
            WeightsError: If its weights file cannot be read.
        """
        if self.is_file:
            user_models.check(self.source, trusted=self.trust)
        if self.weights is not None:
            check_file(self.weights, "A weights file", error=WeightsError)

    def load(
        self,
        *,
        backend: str | None = None,
        offline: bool = False,
        progress: Progress | None = None,
        before_download: BeforeDownload | None = None,
    ) -> LoadedNetwork:
        """Reads the network's graph, at every call; nothing of it is on a device.

        Args:
            backend: What Keras starts on if it must run and does not yet, as for
                `backend.load.choose`.
            offline: Never download.
            progress: Called with the bytes so far and in all, or None, of a download.
            before_download: Called before anything is downloaded; it may raise.

        Raises:
            NetworkError: If the model cannot be lowered, is refused or not trusted.
            WeightsError: If the weights cannot be had or read.
            DownloadError, SaveError, OutputError: If a download fails.
        """
        self.check()
        chosen = backends.choose(backend)
        if self.is_named:
            return load.load_entry(
                catalogue.entry(self.source),
                weights=None if self.weights is None else Path(self.weights),
                classifier=self.classifier,
                backend=chosen,
                offline=offline,
                progress=progress,
                before_download=before_download,
            )
        if self.is_file:
            with backends.keras_on(chosen):
                return user_models.load_file(
                    self.source, trusted=self.trust, preprocessing=self.preprocessing
                )
        return user_models.load_model(self.source, self.preprocessing)

    def outline(self) -> Graph:
        """Returns the graph for looking at its layers; nothing is downloaded.

        Without a weights file, the weights of a named network may be random, and the
        preprocessing of a model file may be a wrong one.

        Raises:
            NetworkError, WeightsError: As for `load`.
        """
        self.check()
        if self.is_named and self.weights is None:
            return load.outline(catalogue.entry(self.source))
        try:
            return self.load().graph
        except NetworkError:
            if not self.is_file or self.preprocessing is not None:
                raise
            return replace(self, preprocessing="0-1").load().graph


def as_networks(
    source: Any,
    *,
    weights: str | os.PathLike[str] | None = None,
    preprocessing: str | None = None,
    trust: bool = False,
    classifier: bool = False,
) -> tuple[Network, ...]:
    """Returns networks for one or a list of them, in any of their short forms.

    Args:
        source: A `Network`, or its `source`, or a list of these.
        weights: As for `Network`; for a single network.
        preprocessing: As for `Network`; for a single network.
        trust: As for `Network`; for every one.
        classifier: As for `Network`; for every one.

    Raises:
        NetworkError: If there is none, two have one name, or one is impossible.
    """
    several = source if isinstance(source, list | tuple) else [source]
    if not several:
        raise NetworkError(
            "There must be a network",
            received="an empty list",
            hint="name one, see `dream networks`",
        )
    stated = {"weights": weights, "preprocessing": preprocessing}
    stated = {name: value for name, value in stated.items() if value is not None}
    if stated and len(several) > 1:
        raise NetworkError(
            f"The {' and the '.join(stated)} must be stated for one network",
            received=f"{len(several)} networks",
            hint=f"write [Network(…, {next(iter(stated))}=…), …]",
        )
    switched = {"trust": trust, "classifier": classifier}
    stated |= {name: True for name, value in switched.items() if value}
    networks = [n if isinstance(n, Network) else Network(n, **stated) for n in several]
    networks = [replace(n, **stated) for n in networks]
    names = [network.name for network in networks]
    if len(set(names)) < len(names):
        raise NetworkError(
            "The networks of a dreamer must have names of their own",
            received=", ".join(names),
            hint="name each once; an objective may ask one for several things",
        )
    return tuple(networks)


def networks_of(
    recipe: Recipe, first: Sequence[Network], *, networks: Sequence[Network] = ()
) -> tuple[Network, ...]:
    """Returns every network that a recipe asks for.

    Args:
        recipe: Its objectives decide which classifiers are wanted, and what it states
            as preprocessing goes to networks that state none themselves.
        first: What dreams as the recipe's first network, in this order.
        networks: As for `network_of`.

    Raises:
        NetworkError: If the recipe names a model file that the user did not give.
        SettingError: If it states two preprocessings for one network.
    """
    asked = list(first)
    recipe = recipe.but(network=asked[0].name)
    names = [network.name for network in asked]
    others = dict.fromkeys(str(n.network) for n in recipe.every_network)
    asked += [
        network_of(name, networks=networks, further=True)
        for name in others
        if name not in names
    ]
    stated, scored = stated_preprocessing(recipe), asks_for_class(recipe)
    return tuple(
        replace(
            network,
            preprocessing=network.preprocessing or stated.get(network.name),
            classifier=network.classifier or network.name in scored,
        )
        for network in asked
    )


def network_of(
    name: str, *, networks: Iterable[Network] = (), further: bool = False
) -> Network:
    """Returns the network that a name in a recipe stands for.

    A recipe is untrusted: a model file that it names is looked for among the networks
    that the user gave, and never opened as a path.

    Args:
        name: The name.
        networks: What the user named with more than a name: model files, or with
            weights files.
        further: Whether the name stands behind a semicolon of an objective.

    Raises:
        NetworkError: If it is a model file that the user did not give, or unknown.
    """
    by_name = {network.name: network for network in networks}
    if name in by_name:
        return by_name[name]
    if user_models.is_file(name):
        raise NetworkError(
            "The model file of a recipe must be given",
            received=short_repr(name),
            hint="add --network FILE --trust-model, in Python network=FILE and "
            "trust_model=True",
        )
    if further and name not in catalogue.ZOO:
        raise NetworkError(
            "What follows a semicolon must begin with a network",
            received=short_repr(name),
            hint="write + between layers of one network, or "
            + nearest(name, catalogue.ZOO, see="`dream networks`"),
        )
    return Network(name)


def stated_preprocessing(recipe: Recipe) -> dict[str, str]:
    """Returns the preprocessing that a recipe states, by network.

    Raises:
        SettingError: If it states two for one network.
    """
    stated: dict[str, str] = {}
    for name, mode in ((str(n.network), n.preprocessing) for n in recipe.every_network):
        if mode and stated.setdefault(name, mode) != mode:
            raise SettingError(
                "A network must have one preprocessing in a dream",
                received=f"{stated[name]} and {mode} for {name}",
                hint="state the same one, or state it once",
            )
    return stated


def asks_for_class(recipe: Recipe) -> frozenset[str]:
    """Returns the networks of a recipe whose objectives need class scores."""
    return frozenset(
        str(network.network)
        for network in recipe.every_network
        if any(isinstance(term.target, Class) for term in network.terms)
    )
