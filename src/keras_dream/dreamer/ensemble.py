"""The networks of a dreamer: what a recipe asks of each, and their gradient as one."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_dream.backend.protocol import Backend
from keras_dream.dreamer.responses import Responses, check_strongest
from keras_dream.engine.gradients import SizedGradient, SummedGradient, WholeGradient
from keras_dream.engine.optimizers import Normalizer
from keras_dream.errors import NetworkError, short_repr
from keras_dream.recipe.objectives import parse
from keras_dream.recipe.recipe import Recipe
from keras_dream.recipe.terms import NetworkTerm
from keras_dream.zoo.load import LoadedNetwork, check_opaque

Strongest = Mapping[str, Mapping[str, Sequence[int]]]
"""Channels that `strongest(n)` means, by network and by the text of the target."""

_KEPT_GRADIENTS = 4  # programs whose weights stay on the device for the next dream


class Networks:
    """One network or several on a backend.

    Args:
        loaded: The networks by name; a recipe's first is the first of them.
        backend: Where they are computed.

    Raises:
        SettingError: If one has layers that only Keras can run, on another backend.
    """

    def __init__(self, loaded: Mapping[str, LoadedNetwork], backend: Backend):
        for network in loaded.values():
            check_opaque(network.graph, backend)
        self._loaded = dict(loaded)
        self._backend = backend
        self._gradients: dict[tuple[Any, ...], WholeGradient] = {}
        self._responses: dict[str, Responses] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The networks' names."""
        return tuple(self._loaded)

    def loaded(self, name: str) -> LoadedNetwork:
        """Returns a network by its name.

        Raises:
            NetworkError: If it is not here.
        """
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
        more = tuple(term.network for term in recipe.also or ()) or self.names
        return tuple(self.loaded(n) for n in dict.fromkeys([self.names[0], *more]))

    def complete(self, recipe: Recipe) -> Recipe:
        """Returns a recipe with the networks and their objectives filled in."""
        first, *others = self.names
        more = recipe.also or tuple(NetworkTerm(network=name) for name in others)
        return recipe.but(
            network=first,
            objective=self._objective(first, recipe.objective),
            preprocessing=self.loaded(first).preprocessing,
            also=tuple(
                term.but(
                    objective=self._objective(term.network, term.objective),
                    preprocessing=self.loaded(term.network).preprocessing,
                )
                for term in more
            ),
        )

    def responses(self, name: str) -> Responses:
        """Returns how a network's channels respond, remembering what is usual."""
        if name not in self._responses:
            graph = self.loaded(name).graph
            self._responses[name] = Responses(graph, self._backend)
        return self._responses[name]

    def strongest(
        self, recipe: Recipe, image: np.ndarray
    ) -> dict[str, dict[str, tuple[int, ...]]]:
        """Returns the channels that `strongest(n)` means for a picture.

        Args:
            recipe: A complete recipe.
            image: float32 (h, w, 3) in [0, 1], at the picture's own size.

        Returns:
            By network, by the text of the target; nothing where nothing asks.
        """
        found: dict[str, dict[str, tuple[int, ...]]] = {}
        for term in recipe.terms:
            objective = parse(str(term.objective))
            if objective.asked:
                made = self.responses(term.network).strongest(image, objective)
                found.setdefault(term.network, {}).update(made)
        return found

    def gradient(
        self, recipe: Recipe, strongest: Strongest | None = None
    ) -> SizedGradient:
        """Returns the gradient of a complete recipe.

        Args:
            recipe: The recipe.
            strongest: What `strongest` returned; without it all channels stand for the
                strongest, which is enough to ask for sizes.
        """
        meant = strongest or {}
        terms = [(t.weight, self._whole(t, recipe, meant)) for t in recipe.terms]
        if len(terms) == 1:
            return terms[0][1]  # as published: normalised once, in the ascent
        return SummedGradient(terms, Normalizer(recipe, self._backend), self._backend)

    def _objective(self, network: str, given: str | None) -> str:
        objective = given or self.loaded(network).graph.objective
        if objective is None:
            raise NetworkError(
                f"An objective must be given for {network}, which has none of its own",
                received="none",
                hint="name a layer, see `dream layers NETWORK`",
            )
        return objective

    def _whole(
        self, term: NetworkTerm, recipe: Recipe, strongest: Strongest
    ) -> WholeGradient:
        graph = self.loaded(term.network).graph
        objective = parse(str(term.objective))
        check_strongest(graph, objective)
        objective = objective.meaning(strongest.get(term.network, {}))
        key = (term.network, objective, recipe.loss, recipe.border)
        if key not in self._gradients:
            if len(self._gradients) >= max(_KEPT_GRADIENTS, len(recipe.terms)):
                self._gradients.pop(next(iter(self._gradients)))
            self._gradients[key] = WholeGradient(
                graph, objective, recipe, self._backend
            )
        return self._gradients[key]
