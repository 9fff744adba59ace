"""The networks of a dreamer: what a recipe asks of each, and their gradient as one."""

import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from keras_dream.backend.protocol import Backend
from keras_dream.dreamer.responses import Responses, check_strongest
from keras_dream.dreamer.sources import GuideSources
from keras_dream.engine.goals import Context, Goal, resolve
from keras_dream.engine.gradients import (
    GRADIENTS,
    Gradient,
    ObjectiveGraph,
    SummedGradient,
)
from keras_dream.errors import NetworkError, short_repr
from keras_dream.parts.normalizers import Normalizer
from keras_dream.recipe.files import Files
from keras_dream.recipe.objectives import NetworkObjective, Objective, parse
from keras_dream.recipe.per_octave import Override
from keras_dream.recipe.recipe import Recipe
from keras_dream.zoo.load import LoadedNetwork, check_opaque, check_own_functions

Strongest = Mapping[str, Mapping[str, Sequence[int]]]
"""Channels that `strongest(n)` stands for, by network and by the text of the target."""

KEPT_GRADIENTS = 4  # programs whose weights stay on the device for the next dream

Value = TypeVar("Value")


class Ensemble:
    """One network or several on a backend.

    Args:
        loaded: The networks by name; a recipe's first is the first of them.
        backend: Where they are computed.
        gradient: How gradients are computed, see `engine.gradients.GRADIENTS`.
        files: Finds the files that recipes name.

    Raises:
        SettingError: If one has layers that only Keras can run, on another backend.
    """

    def __init__(
        self,
        loaded: Mapping[str, LoadedNetwork],
        backend: Backend,
        gradient: str,
        files: Files,
    ):
        for network in loaded.values():
            check_opaque(network.graph, backend)
        self._loaded = dict(loaded)
        self._backend = backend
        self._files = files
        self._gradient_of = GRADIENTS[gradient]
        self._lock = threading.RLock()  # one dreamer may dream in several threads
        self._graphs: dict[Hashable, ObjectiveGraph] = {}
        self._gradients: dict[Hashable, Gradient] = {}
        self._responses: dict[Hashable, Responses] = {}
        self._guides: dict[Hashable, GuideSources] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The networks' names."""
        return tuple(self._loaded)

    def loaded(self, name: str | None) -> LoadedNetwork:
        """Returns a network by its name; None is the first one.

        Raises:
            NetworkError: If it is not here.
        """
        name = self.names[0] if name is None else name
        if name not in self._loaded:
            raise NetworkError(
                "A dreamer must hold every network that it is asked for",
                received=f"{short_repr(name)} for one that holds "
                f"{', '.join(self.names)}",
                hint=f"make it with Dreamer({[*self.names, name]})",
            )
        return self._loaded[name]

    def used(self, recipe: Recipe) -> tuple[LoadedNetwork, ...]:
        """Returns the networks that a recipe dreams with, each once."""
        others = (str(network.network) for network in recipe.networks[1:])
        names = tuple(others) or self.names
        return tuple(self.loaded(n) for n in dict.fromkeys([self.names[0], *names]))

    def complete(self, recipe: Recipe) -> Recipe:
        """Returns a recipe with the networks and their objectives filled in.

        Its files are plain names with their hashes then.
        """
        recipe = self._files.complete(recipe)
        first, *others = recipe.networks
        if not others:
            others = [NetworkObjective(name) for name in self.names[1:]]
        networks = (replace(first, network=None, preprocessing=None), *others)
        return recipe.but(
            network=self.names[0],
            preprocessing=self.loaded(None).preprocessing,
            objective=Objective(tuple(map(self._complete, networks))),
            per_octave=tuple(map(self._complete_override, recipe.per_octave)),
        )

    def _complete_override(self, override: Override) -> Override:
        """Fills in an octave's own objective, which may leave networks out."""
        if override.setting != "objective":
            return override
        networks = (NetworkObjective(),)
        if override.value is not None:
            networks = override.value.networks
        return replace(override, value=Objective(tuple(map(self._complete, networks))))

    def _complete(self, objective: NetworkObjective) -> NetworkObjective:
        network = self.loaded(objective.network)
        if objective.network is not None:
            objective = replace(objective, preprocessing=network.preprocessing)
        if objective.terms:
            return objective
        if network.graph.objective is None:
            raise NetworkError(
                f"An objective must be given for {network.name}, which has none of its "
                "own",
                received="none",
                hint="name a layer, see `dream layers NETWORK`",
            )
        return replace(objective, terms=parse(network.graph.objective).terms)

    def responses(self, name: str) -> Responses:
        """Returns how a network's channels respond, with the baseline it has fitted."""
        return self._kept(
            self._responses,
            name,
            lambda: Responses(self.loaded(name).graph, self._backend),
            len(self._loaded),
        )

    def strongest(
        self, recipe: Recipe, image: np.ndarray
    ) -> dict[str, dict[str, tuple[int, ...]]]:
        """Returns the channels that `strongest(n)` stands for in a picture.

        Args:
            recipe: A complete recipe.
            image: float32 (h, w, 3) in [0, 1], at the picture's own size.

        Returns:
            By network, by the text of the target; nothing where nothing asks.
        """
        channels: dict[str, dict[str, tuple[int, ...]]] = {}
        for objective in recipe.all_networks:
            if objective.strongest_targets:
                name = str(objective.network)
                measured = self.responses(name).strongest(image, objective)
                channels.setdefault(name, {}).update(measured)
        return channels

    def graphs(self, recipe: Recipe) -> tuple[ObjectiveGraph, ...]:
        """Returns each network's objective on its graph; nothing is on a device.

        Args:
            recipe: A complete recipe.

        Raises:
            ObjectiveError: If a network lacks what its objective names.
        """
        return tuple(self._graph(network, recipe) for network in recipe.networks)

    def gradient(self, recipe: Recipe, strongest: Strongest) -> Gradient:
        """Returns the gradient of a complete recipe.

        Args:
            recipe: The recipe.
            strongest: What `strongest` returned.
        """
        terms = [(n.weight, self._one(n, recipe, strongest)) for n in recipe.networks]
        if len(terms) == 1:
            return terms[0][1]  # as published: normalized once, by the step
        backend = self._backend
        normalizer = Normalizer(recipe.normalizer, recipe.epsilon, backend)
        return SummedGradient(terms, normalizer, backend)

    def _graph(self, objective: NetworkObjective, recipe: Recipe) -> ObjectiveGraph:
        graph = self.loaded(objective.network).graph
        check_strongest(graph, objective)
        # Channels do not count: `strongest(n)` is the same graph as what it stands for.
        goals = resolve(graph, objective.with_channels({}))
        nodes = tuple((goal.nodes, goal.bordered) for goal in goals)
        return self._kept(
            self._graphs,
            (objective.network, nodes, recipe.border, recipe.wrap),
            lambda: ObjectiveGraph(
                graph,
                goals,
                border=recipe.border,
                merge=self._backend.merges,
                wrap=recipe.wrap,
            ),
            max(KEPT_GRADIENTS, len(recipe.networks)),
        )

    def _one(
        self, objective: NetworkObjective, recipe: Recipe, strongest: Strongest
    ) -> Gradient:
        name = str(objective.network)
        chosen = objective.with_channels(strongest.get(name, {}))
        return self._kept(
            self._gradients,
            (name, chosen.terms, recipe.loss, recipe.border, recipe.wrap),
            lambda: self._gradient_of(
                self._graph(objective, recipe),
                self._goals(name, chosen),
                Context(self._backend, recipe.loss, recipe.border, self._sources(name)),
            ),
            max(KEPT_GRADIENTS, len(recipe.networks)),
        )

    def _goals(self, name: str, objective: NetworkObjective) -> tuple[Goal, ...]:
        goals = resolve(self.loaded(name).graph, objective)
        if any(goal.is_static for goal in goals):
            check_own_functions(self._backend)
        return goals

    def _sources(self, name: str) -> GuideSources:
        """Returns what a network's guides and directions are read with."""
        return self._kept(
            self._guides,
            name,
            lambda: GuideSources(self.loaded(name).graph, self._backend, self._files),
            len(self._loaded),
        )

    def _kept(
        self,
        values: dict[Hashable, Any],
        key: Hashable,
        make: Callable[[], Value],
        most: int,
    ) -> Value:
        """Returns a value that is made once; of more than `most` the oldest goes."""
        with self._lock:
            if key not in values:
                while len(values) >= most:
                    values.pop(next(iter(values)))
                values[key] = make()
            return values[key]
