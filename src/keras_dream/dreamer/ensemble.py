"""The networks of a dreamer: what a recipe asks of each, and their gradient as one."""

import shlex
import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

import numpy as np

from keras_dream.backend.protocol import Backend
from keras_dream.dreamer.responses import Responses, check_strongest
from keras_dream.dreamer.sources import GuideSources
from keras_dream.engine.goals import Context, Goal, resolve
from keras_dream.engine.gradients import (
    Gradient,
    ObjectiveGraph,
    PreparedObjective,
    SummedGradient,
)
from keras_dream.engine.planner import (
    Halo,
    Plan,
    PlannedGradient,
    Predictor,
    Schemes,
    Turn,
)
from keras_dream.engine.regions import (
    WHOLE,
    Places,
    RegionGradient,
    Shares,
    Weights,
    around,
    step_weights,
)
from keras_dream.errors import NetworkError, naming_network, short_repr
from keras_dream.parts.normalizers import Normalizer
from keras_dream.parts.transforms import Pad
from keras_dream.recipe.files import Files
from keras_dream.recipe.masks import Region
from keras_dream.recipe.objectives import NetworkObjective, Objective, parse
from keras_dream.recipe.per_octave import Override
from keras_dream.recipe.recipe import Recipe
from keras_dream.recipe.scheme_plans import WHOLE as WHOLE_SCHEME
from keras_dream.recipe.schemes import Scheme
from keras_dream.zoo.load import LoadedNetwork, check_opaque, check_own_functions

Strongest = Mapping[str, Mapping[str, Sequence[int]]]
"""Channels that `strongest(n)` stands for, by network and by the text of the target."""

_FILLED = ("objective", "regions", "per_octave", "transforms")

KEPT_GRADIENTS = 4  # programs whose weights stay on the device for the next dream

Value = TypeVar("Value")


class _Asked(NamedTuple):
    """What is asked of some networks, of which the first has a number in the plan."""

    networks: Sequence[NetworkObjective]
    strongest: Strongest
    first: int


class Ensemble:
    """One network or several on a backend.

    Args:
        loaded: The networks by name; a recipe's first is the first of them.
        backend: Where they are computed.
        scheme: How gradients are computed where no plan says otherwise.
        halo: How far tiles see at most.
        files: Finds the files that recipes name.
        measures: Where responses are measured; None for the same backend.

    Raises:
        SettingError: If one has layers that only Keras can run, on another backend.
    """

    def __init__(
        self,
        loaded: Mapping[str, LoadedNetwork],
        backend: Backend,
        files: Files,
        *,
        scheme: Scheme = WHOLE_SCHEME,
        halo: Halo = "exact",
        measures: Backend | None = None,
    ):
        for network in loaded.values():
            check_opaque(network.graph, backend)
        self._loaded = dict(loaded)
        self._backend = backend
        self._measures = measures or backend
        self._files = files
        self._unplanned = Turn(Plan(default=scheme), octave=1)
        self._halo: Halo = halo
        self._lock = threading.RLock()  # one dreamer may dream in several threads
        self._graphs: dict[Hashable, ObjectiveGraph] = {}
        self._schemes: dict[Hashable, Schemes] = {}
        self._predictors: dict[Hashable, Predictor] = {}
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
        names = [self.names[0], *(tuple(others) or self.names), *_of_regions(recipe)]
        return tuple(self.loaded(name) for name in dict.fromkeys(names))

    @property
    def _is_fixed(self) -> bool:
        graphs = (network.graph for network in self._loaded.values())
        return any(layer.is_fixed for g in graphs for layer in g.opaque.values())

    def complete(self, recipe: Recipe) -> Recipe:
        """Returns a recipe with the networks and their objectives filled in.

        Its files are plain names with their hashes then; keyframes are filled in, too.
        """
        recipe = self._files.complete(recipe)
        filled = {n: self._filled(recipe, n, getattr(recipe, n)) for n in _FILLED}
        changes: dict[str, Any] = {
            name: value
            for name, value in filled.items()
            if value != getattr(recipe, name) or name in ("objective", "per_octave")
        }
        if recipe.keyframes:
            changes["keyframes"] = tuple(
                curve.with_values(
                    lambda value, name=curve.setting: self._filled(recipe, name, value)
                )
                for curve in recipe.keyframes
            )
        return recipe.but(
            network=self.names[0],
            preprocessing=self.loaded(None).preprocessing,
            **changes,
        )

    def _filled(self, recipe: Recipe, setting: str, value: Any) -> Any:
        """Returns a setting's value with the networks and objectives filled in."""
        if setting == "objective":
            first, *others = recipe.networks_of(value)
            if not others:
                placed = _of_regions(recipe)
                names = [name for name in self.names[1:] if name not in placed]
                others = map(NetworkObjective, names)
            first = replace(first, network=None, preprocessing=None)
            return self._completed((first, *others))
        if setting == "regions":
            return tuple(
                replace(region, objective=self._completed(region.objective.networks))
                for region in value
            )
        if setting == "per_octave":
            return tuple(map(self._complete_override, value))
        if setting == "transforms" and (recipe.wrap != "none" or self._is_fixed):
            # Edges that have neighbours, or a network of one size: no margin.
            return tuple(t for t in value if not isinstance(t, Pad))
        return value

    def _complete_override(self, override: Override) -> Override:
        """Fills in an octave's own objective, which may leave networks out."""
        if override.setting != "objective":
            return override
        networks = (NetworkObjective(),)
        if override.value is not None:
            networks = override.value.networks
        return replace(override, value=self._completed(networks))

    def _completed(self, networks: Sequence[NetworkObjective]) -> Objective:
        return Objective(tuple(map(self._complete, networks)))

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
                hint=f"name a layer, see `dream layers {shlex.quote(network.name)}`",
            )
        return replace(objective, terms=parse(network.graph.objective).terms)

    def responses(self, name: str) -> Responses:
        """Returns how a network's channels respond, with the baseline it has fitted."""
        return self._kept(
            self._responses,
            name,
            lambda: Responses(self.loaded(name).graph, self._measures),
            len(self._loaded),
        )

    def strongest(
        self, recipe: Recipe, image: np.ndarray, *, places: Places = WHOLE
    ) -> dict[str, dict[str, tuple[int, ...]]]:
        """Returns the channels that `strongest(n)` stands for in a picture.

        Args:
            recipe: A complete recipe.
            image: float32 (h, w, 3) in [0, 1], at the picture's own size.
            places: The recipe's masks: what is asked in a region is measured there.

        Returns:
            By network, by the text of the target, with the region's mask before it;
            nothing where nothing asks.
        """
        channels: dict[str, dict[str, tuple[int, ...]]] = {}
        everywhere = [*recipe.networks, *recipe.networks_of_octaves]
        asked = [("", image, objective) for objective in everywhere]
        for region, mask in zip(recipe.regions, places.regions, strict=True):
            part, prefix = around(image, mask), _prefix(region)
            asked += [(prefix, part, n) for n in recipe.networks_of(region.objective)]
        for prefix, part, objective in asked:
            if objective.strongest_targets:
                name = str(objective.network)
                measured = self.responses(name).strongest(
                    part, objective, seed=recipe.seed
                )
                named = {prefix + text: chosen for text, chosen in measured.items()}
                channels.setdefault(name, {}).update(named)
        return channels

    def graphs(self, recipe: Recipe) -> tuple[ObjectiveGraph, ...]:
        """Returns each network's objective on its graph; nothing is on a device.

        Args:
            recipe: A complete recipe.

        Raises:
            ObjectiveError: If a network lacks what its objective names.
        """
        return tuple(self._graph(network, recipe) for network in recipe.every_network)

    def predictors(self, recipe: Recipe) -> tuple[Predictor, ...]:
        """Returns what predicts memory and time of each network's gradient.

        Args:
            recipe: A complete recipe, of one octave.
        """
        return tuple(self._predictor(n, recipe) for n in recipe.every_network)

    def schemes(self, recipe: Recipe, strongest: Strongest) -> tuple[Schemes, ...]:
        """Returns the gradients of each of the recipe's own networks, by scheme."""
        return tuple(self._one(n, recipe, strongest) for n in recipe.networks)

    def gradient(
        self,
        recipe: Recipe,
        strongest: Strongest,
        *,
        places: Places = WHOLE,
        turn: Turn | None = None,
    ) -> Gradient:
        """Returns the gradient of a complete recipe.

        Args:
            recipe: The recipe, of one octave.
            strongest: What `strongest` returned.
            places: The recipe's masks.
            turn: The octave and the run's plan, which numbers the networks as
                `Recipe.every_network` does.
        """
        turn = turn or self._unplanned
        if not recipe.regions:
            weights = step_weights(recipe, places, self._backend)
            own = _Asked(recipe.networks, strongest, 1)
            return self._summed(own, recipe, weights, turn)
        shares = Shares(places, self._backend)
        first, parts = 1 + len(recipe.networks), list[_Asked]()
        for region in recipe.regions:
            networks = recipe.networks_of(region.objective)
            parts.append(_Asked(networks, _of_region(strongest, region), first))
            first += len(networks)
        parts.append(_Asked(recipe.networks, strongest, 1))
        gradients = [
            self._summed(part, recipe, shares.weights(number), turn)
            for number, part in enumerate(parts)
        ]
        normalizer = Normalizer(recipe.normalizer, recipe.epsilon, self._backend)
        return RegionGradient(gradients, shares, normalizer, self._backend)

    def objective(self, recipe: Recipe) -> PreparedObjective:
        """Returns what the only network of a complete recipe maximises, on the device.

        Args:
            recipe: The recipe, without `strongest(n)`.
        """
        (network,) = recipe.networks
        return self._prepared(str(network.network), network, recipe)

    def _summed(
        self, asked: "_Asked", recipe: Recipe, weights: Weights, turn: Turn
    ) -> Gradient:
        terms: list[tuple[float, Gradient]] = []
        for number, network in enumerate(asked.networks, asked.first):
            schemes = self._one(network, recipe, asked.strongest)
            terms.append((network.weight, PlannedGradient(schemes, turn, number)))
        if len(terms) == 1:
            return terms[0][1]  # as published: normalized once, by the step
        backend = self._backend
        normalizer = Normalizer(recipe.normalizer, recipe.epsilon, backend)
        return SummedGradient(terms, normalizer, backend, weights=weights)

    def _graph(self, objective: NetworkObjective, recipe: Recipe) -> ObjectiveGraph:
        graph = self.loaded(objective.network).graph
        with naming_network(str(objective.network)):
            check_strongest(graph, objective)
            # Channels do not count: `strongest(n)` is the same graph as what it means.
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
            max(KEPT_GRADIENTS, len(recipe.every_network)),
        )

    def _one(
        self, objective: NetworkObjective, recipe: Recipe, strongest: Strongest
    ) -> Schemes:
        name = str(objective.network)
        chosen = objective.with_channels(strongest.get(name, {}))
        # Weights are apart: in a film each frame may have others.
        targets = tuple(term.target for term in chosen.terms)
        schemes = self._kept(
            self._schemes,
            (name, targets, recipe.loss, recipe.border, recipe.wrap),
            lambda: Schemes(
                self._prepared(name, chosen, recipe), self._predictor(objective, recipe)
            ),
            max(KEPT_GRADIENTS, len(recipe.every_network)),
        )
        return schemes.weighted([term.weight for term in chosen.terms])

    def _predictor(self, objective: NetworkObjective, recipe: Recipe) -> Predictor:
        # Channels and weights change neither memory nor time.
        plain, name = objective.with_channels({}), str(objective.network)
        targets = tuple(term.target for term in plain.terms)
        return self._kept(
            self._predictors,
            (name, targets, recipe.loss, recipe.border, recipe.wrap),
            lambda: Predictor(
                self._graph(objective, recipe),
                resolve(self.loaded(name).graph, plain),
                recipe.loss,
                width=2 if self._backend.precision == "bfloat16" else 4,
                lean=self._backend.keeps_little,
                halo=self._halo,
            ),
            max(KEPT_GRADIENTS, len(recipe.every_network)),
        )

    def _prepared(
        self, name: str, objective: NetworkObjective, recipe: Recipe
    ) -> PreparedObjective:
        sources = self._sources(name)
        return PreparedObjective(
            self._graph(objective, recipe),
            self._goals(name, objective),
            Context(self._backend, recipe.loss, recipe.border, sources),
        )

    def _goals(self, name: str, objective: NetworkObjective) -> tuple[Goal, ...]:
        with naming_network(name):
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


def _of_regions(recipe: Recipe) -> list[str]:
    """Returns the networks that only regions name, beside the recipe's own."""
    objectives = (region.objective.networks[1:] for region in recipe.regions)
    return [str(network.network) for one in objectives for network in one]


def _prefix(region: Region) -> str:
    return f"{region.mask.text}: "


def _of_region(strongest: Strongest, region: Region) -> Strongest:
    """Returns the channels of a region by the text of the target alone."""
    prefix = _prefix(region)
    return {
        name: {
            text.removeprefix(prefix): channels
            for text, channels in targets.items()
            if text.startswith(prefix)
        }
        for name, targets in strongest.items()
    }
