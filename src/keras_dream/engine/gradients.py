"""Gradients: how an image becomes a loss and the direction in which it grows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from keras_dream.backend.protocol import Array, Backend
from keras_dream.engine.optimizers import Normalizer
from keras_dream.errors import ObjectiveError
from keras_dream.geometry import Size
from keras_dream.graph.graph import Graph, Plan
from keras_dream.graph.passes import optimise
from keras_dream.graph.program import Program
from keras_dream.recipe.objectives import Class, Layer, Objective
from keras_dream.recipe.recipe import Recipe


class Gradient(Protocol):
    """What the engine needs: the loss at an image, and its slope there."""

    def __call__(self, image: Array, size: Size) -> tuple[Array, Array]:
        """Returns (loss, d loss / d image) for a map of 3 channels in [0, 1]."""
        ...


class SizedGradient(Gradient, Protocol):
    """A gradient that knows which sizes it can be asked for, and what they take."""

    def smallest(self) -> int:
        """Returns the side of the smallest square in which every layer counts."""
        ...

    def smallest_run(self) -> int:
        """Returns the side of the smallest square that can be run at all."""
        ...

    def check(self, size: Size) -> None:
        """Makes sure that every network can be run at a size, or raises."""
        ...

    def memory(self, size: Size) -> int:
        """Returns the bytes of all the maps that a step holds at this size."""
        ...


@dataclass(frozen=True)
class _Goal:
    """A term of the objective, resolved on a network."""

    weight: float
    node: str
    channels: tuple[int, ...]
    is_class: bool


class WholeGradient:
    """The gradient of the whole picture at once.

    Args:
        graph: The network, exact; it is optimised for the objective here.
        objective: What is maximised.
        recipe: Its `loss` and `border` are used.
        backend: Where it is computed.

    Raises:
        ObjectiveError: If the network lacks a layer, a channel or a class.
    """

    def __init__(
        self, graph: Graph, objective: Objective, recipe: Recipe, backend: Backend
    ):
        goals = [_resolve(graph, term.weight, term.target) for term in objective.terms]
        nodes = list(dict.fromkeys(goal.node for goal in goals))
        self._graph = optimise(graph, nodes, merge=backend.merges)
        self._border = recipe.border
        # A class score has no border: the mean over all positions is its definition.
        self._layers = [goal.node for goal in goals if not goal.is_class]
        program = Program(self._graph, nodes, backend)

        def total(image: Array, plan: tuple[Any, ...]) -> Array:
            maps = dict(zip(nodes, program(image, plan), strict=True))
            return _total(backend, goals, maps, recipe)

        self._step = backend.value_and_grad(total)
        self._plans: dict[Size, Plan] = {}

    def __call__(self, image: Array, size: Size) -> tuple[Array, Array]:
        """Returns (loss, d loss / d image) for a map of `size` in [0, 1]."""
        return self._step(image, self._plan(size).values)

    def smallest(self) -> int:
        """Returns the side of the smallest square in which every layer counts."""
        return self._graph.smallest(border=self._border, nodes=self._layers)

    def smallest_run(self) -> int:
        """Returns the side of the smallest square that can be run at all."""
        return self._graph.smallest()

    def check(self, size: Size) -> None:
        """Makes sure that the network can be run at a size.

        Raises:
            NetworkError: If it cannot.
        """
        self._plan(size)

    def memory(self, size: Size) -> int:
        """Returns the bytes of all the maps that a step holds at this size."""
        return self._graph.activation_bytes(*size)

    def _plan(self, size: Size) -> Plan:
        if size not in self._plans:
            self._plans[size] = self._graph.plan(*size)
        return self._plans[size]


class SummedGradient:
    """The gradients of several networks as one.

    Networks answer to a picture with slopes of any magnitude: each is normalised
    before it is weighted, and the ascent normalises their sum again. The loss is the
    weighted sum of the losses.

    Args:
        terms: Each network's weight and gradient.
        normalizer: What each gradient is divided by.
        backend: Where it is computed.
    """

    def __init__(
        self,
        terms: Sequence[tuple[float, SizedGradient]],
        normalizer: Normalizer,
        backend: Backend,
    ):
        self._terms = tuple(terms)
        self._normalizer = normalizer
        self._backend = backend

    def __call__(self, image: Array, size: Size) -> tuple[Array, Array]:
        """Returns (the weighted sum of the losses, the sum of the scaled slopes)."""
        backend = self._backend
        total: Any = None
        for weight, gradient in self._terms:
            loss, slope = gradient(image, size)
            part = (
                backend.multiply(loss, weight),
                self._normalizer.scaled(slope, weight),
            )
            total = part if total is None else tuple(map(backend.add, total, part))
        return total

    def smallest(self) -> int:
        """Returns the side of the smallest square in which every layer counts."""
        return max(gradient.smallest() for _, gradient in self._terms)

    def smallest_run(self) -> int:
        """Returns the side of the smallest square that every network can run at."""
        return max(gradient.smallest_run() for _, gradient in self._terms)

    def check(self, size: Size) -> None:
        """Makes sure that every network can be run at a size.

        Raises:
            NetworkError: If one cannot.
        """
        for _, gradient in self._terms:
            gradient.check(size)

    def memory(self, size: Size) -> int:
        """Returns the bytes of the maps of all networks: no step holds more."""
        return sum(gradient.memory(size) for _, gradient in self._terms)


def _resolve(graph: Graph, weight: float, target: Layer | Class) -> _Goal:
    if isinstance(target, Class):
        number = graph.class_number(target.name)
        return _Goal(weight, str(graph.classifier), (number,), is_class=True)
    place = "" if target.ordinal is None else f"@{target.ordinal}"
    node = graph.node_of(target.name + place)
    count = graph.channels()[node]
    if target.channels and target.channels[-1] >= count:
        raise ObjectiveError(
            f"A channel of {target.name} must be a number from 0 to {count - 1}",
            received=str(target.channels[-1]),
            hint="see `dream layers NETWORK`",
        )
    return _Goal(weight, node, target.channels, is_class=False)


def _total(
    backend: Backend, goals: list[_Goal], maps: Mapping[str, Array], recipe: Recipe
) -> Array:
    total: Any = None
    for goal in goals:
        x = maps[goal.node]
        if goal.channels:
            x = backend.gather(x, goal.channels)
        loss = backend.mean(x) if goal.is_class else _loss(backend, x, recipe)
        part = backend.multiply(loss, goal.weight)
        total = part if total is None else backend.add(total, part)
    return total


def _loss(backend: Backend, x: Array, recipe: Recipe) -> Array:
    """One layer's loss, after the sources named in `preset`."""
    cells = recipe.border
    inside = backend.crop(x, (cells, cells, cells, cells)) if cells else x
    if recipe.loss == "mean":
        return backend.mean(inside)
    squares = backend.square(inside)
    if recipe.loss == "l2_mean":
        return backend.mean(squares)
    if recipe.loss == "half_sum":
        return backend.multiply(backend.sum(squares), 0.5)
    # "l2": the sum runs over the interior, the divisor is the full size (book1).
    return backend.divide(backend.sum(squares), backend.count(x))
