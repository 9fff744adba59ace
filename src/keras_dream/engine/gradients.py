"""Gradients: how an image becomes a loss and the direction in which it grows."""

import copy
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from typing import Any, Protocol, Self

import numpy as np

from keras_dream.backend.protocol import Array, Backend
from keras_dream.engine.goals import Context, Goal, Seen
from keras_dream.errors import ObjectiveError
from keras_dream.geometry import Size, Wrap
from keras_dream.graph.graph import Graph, Misfit
from keras_dream.graph.ops import INPUT
from keras_dream.graph.passes import drop_mean, optimise, truncate
from keras_dream.graph.program import Prepared, Program
from keras_dream.graph.torus import on_torus
from keras_dream.parts.normalizers import Normalizer
from keras_dream.parts.transforms import Chain, View


class Gradient(Protocol):
    """What the engine needs: the loss of an image, and its gradient."""

    def __call__(
        self, image: Array, size: Size, *, view: View, original: Array | None
    ) -> tuple[Array, Array]:
        """Returns (loss, d loss / d image).

        Args:
            image: A map of 3 channels in [0, 1].
            size: Its (height, width) in pixels.
            view: What the network sees of it.
            original: The photo at this size, for objectives that look at it.
        """
        ...


class SchemeGradient(Gradient, Protocol):
    """The gradient of one objective, computed in some way."""

    def weighted(self, objective: "PreparedObjective") -> Self:
        """Returns the gradient of the objective with other weights: at no cost.

        Args:
            objective: What `PreparedObjective.weighted` has returned.
        """
        ...


class ObjectiveGraph:
    """A network's graph optimised for an objective; nothing of it is on a device.

    Args:
        graph: The network, exact.
        goals: What is maximised.
        border: Cells that the loss leaves out on each side of a layer.
        merge: Whether sibling convolutions are merged, see `graph.passes.optimise`.
        wrap: Along which axes the network sees beyond an edge, see `graph.torus`.

    Attributes:
        nodes: The nodes whose feature maps the goals need, each once.
        graph: The optimised graph.
        border: As above.
    """

    def __init__(
        self,
        graph: Graph,
        goals: Sequence[Goal],
        *,
        border: int,
        merge: bool,
        wrap: Wrap = "none",
    ):
        self.nodes = tuple(dict.fromkeys(node for g in goals for node in g.nodes))
        self.border = border
        graph = truncate(graph, frozenset(self.nodes or (INPUT,)))
        for name in self.nodes:
            if all(goal.averaged for goal in goals if name in goal.nodes):
                graph = drop_mean(graph, name, frozenset(self.nodes))
        optimised = optimise(graph, self.nodes or (INPUT,), merge=merge)
        self.graph = on_torus(optimised, wrap)
        self._layers = [n for goal in goals if goal.bordered for n in goal.nodes]

    @property
    def is_fixed(self) -> bool:
        """Whether the network runs at the size only that its model was built for."""
        return any(layer.is_fixed for layer in self.graph.opaque.values())

    def misfit(self, size: Size, *, complete: bool) -> Misfit | None:
        """Returns why a picture of a size cannot be used, None if it can.

        Args:
            size: The picture's (height, width) in pixels.
            complete: Whether every layer must have cells inside the border.
        """
        nodes = self._layers if complete else ()
        return self.graph.misfit(size, border=self.border, nodes=nodes)

    def smallest_size(self, *, complete: bool, at_least: Size) -> Size:
        """Returns the smallest (height, width) in pixels that can be used.

        Args:
            complete: As for `misfit`.
            at_least: The sides are at least so long.

        Raises:
            NetworkError: If there is none.
        """
        nodes = self._layers if complete else ()
        return self.graph.smallest_size(
            border=self.border, nodes=nodes, at_least=at_least
        )


class PreparedObjective:
    """What is maximised, on a device: every way to compute its gradient shares it.

    Args:
        graph: The network, optimised for the goals' nodes.
        goals: What is maximised.
        context: What the goals are computed with.

    Attributes:
        graph: As above.
        goals: As above.
        backend: Where it is computed.
        context: As above.
        prepared: The network's operations with their weights.
        values: The goals' functions.
        weights: Of the goals' values in the sum.

    Raises:
        DreamError: If a file that a goal names cannot be used.
    """

    def __init__(self, graph: ObjectiveGraph, goals: Sequence[Goal], context: Context):
        self.graph = graph
        self.goals = tuple(goals)
        self.context = context
        self.backend = context.backend
        self.prepared = Prepared(graph.graph, context.backend)
        self.values = [goal.make(context) for goal in goals]
        self.weights = tuple(goal.weight for goal in goals)

    def weighted(self, weights: Sequence[float]) -> "PreparedObjective":
        """Returns the objective with other weights, which shares all else."""
        weights = tuple(weights)
        if weights == self.weights:
            return self
        weighted = copy.copy(self)
        weighted.weights = weights
        weighted.__dict__.pop("scalars", None)
        return weighted

    @functools.cached_property
    def scalars(self) -> tuple[Array, ...]:
        """The weights on the device, with which compiled functions are called.

        They are arguments: a film may change them in each of its frames.
        """
        return tuple(self.backend.array(np.array(w)) for w in self.weights)

    @property
    def is_static(self) -> bool:
        """Whether it must see sizes as numbers."""
        own = any(goal.is_static for goal in self.goals)
        return own or bool(self.graph.graph.opaque)

    def total(
        self, seen: Seen, numbers: Iterable[int], weights: Sequence[Array]
    ) -> Array:
        """Returns the weighted sum of some goals.

        Args:
            seen: What they look at.
            numbers: Which goals.
            weights: Those of all goals, such as `scalars`.
        """
        b = self.backend
        return reduce(
            b.add, (b.multiply(self.values[n](seen), weights[n]) for n in numbers)
        )


class WholeGradient:
    """The gradient of the whole picture at once.

    Args:
        objective: What is maximised.
    """

    def __init__(self, objective: PreparedObjective):
        goals = objective.goals
        self._objective = objective
        self._backend = objective.backend
        self._graph = objective.graph.graph
        self._nodes = objective.graph.nodes
        self._program = Program(
            self._graph, self._nodes, self._backend, prepared=objective.prepared
        )
        self._needs_reference = any(goal.needs_reference for goal in goals)
        self._needs_original = self._needs_reference or any(
            goal.needs_original for goal in goals
        )
        self._steps: dict[Chain, Callable[..., tuple[Array, Array]]] = {}
        self._plans: dict[Size, tuple[int, ...]] = {}

    def weighted(self, objective: PreparedObjective) -> "WholeGradient":
        """Returns the gradient with other weights; as for `SchemeGradient`."""
        weighted = copy.copy(self)
        weighted._objective = objective
        return weighted

    def __call__(
        self, image: Array, size: Size, *, view: View, original: Array | None
    ) -> tuple[Array, Array]:
        """Returns (loss, d loss / d image); arguments as for `Gradient`."""
        if view.size not in self._plans:
            self._plans[view.size] = self._program.values(self._graph.plan(*view.size))
        if view.chain not in self._steps:
            self._steps[view.chain] = self._step(view.chain)
        constants = (*view.constants, *self._objective.scalars)
        if self._needs_original:
            constants = (*constants, checked_original(original))
        step = self._steps[view.chain]
        return step(image, self._plans[view.size], *constants)

    def _step(self, chain: Chain) -> Callable[..., tuple[Array, Array]]:
        """Returns the loss of what the network sees, differentiated by the image."""
        backend, count = self._backend, chain.count
        objective = self._objective
        goals = len(objective.goals)

        def total(image: Array, plan: tuple[Any, ...], *constants: Any) -> Array:
            moves, weights = constants[:count], constants[count : count + goals]
            original = (*constants[count + goals :], None)[0]

            def features(picture: Array) -> Mapping[str, Array]:
                maps = self._program(chain.apply(backend, picture, moves), plan)
                return dict(zip(self._nodes, maps, strict=True))

            # A constant has no gradient, and so its features have none.
            reference = features(original) if self._needs_reference else {}
            seen = Seen(features(image), reference, image, original)
            return objective.total(seen, range(goals), weights)

        return backend.value_and_grad(total, static=objective.is_static)


def checked_original(original: Array | None) -> Array:
    """Returns the photo that a goal looks at.

    Raises:
        ObjectiveError: If there is none.
    """
    if original is None:
        raise ObjectiveError(
            "A caricature, l1 and l2 must have a photo to be compared with",
            received="none",
            hint="dream on a photo, or leave them out",
        )
    return original


class SummedGradient:
    """The gradients of several networks as one.

    Networks answer to a picture with gradients of any magnitude: each is normalized
    before it is weighted, and the step normalizes their sum again. The loss is the
    weighted sum of the losses.

    Args:
        terms: Each network's weight and gradient.
        normalizer: What each gradient is divided by.
        backend: Where it is computed.
        weights: How much each place counts in the normalizer's statistics, for a
            (height, width); a map of one channel, or None for all alike.
    """

    def __init__(
        self,
        terms: Sequence[tuple[float, Gradient]],
        normalizer: Normalizer,
        backend: Backend,
        *,
        weights: Callable[[Size], Array | None] = lambda _: None,
    ):
        self._weights = weights
        self._terms = tuple(terms)
        self._normalizer = normalizer
        self._backend = backend

    def __call__(
        self, image: Array, size: Size, *, view: View, original: Array | None
    ) -> tuple[Array, Array]:
        """Returns (the weighted sum of the losses, that of the scaled gradients)."""
        backend = self._backend
        total: Any = None
        weights = self._weights(size)
        for weight, gradient_of in self._terms:
            loss, gradient = gradient_of(image, size, view=view, original=original)
            part = (
                backend.multiply(loss, weight),
                self._normalizer.scaled(gradient, weight, weights=weights),
            )
            total = part if total is None else tuple(map(backend.add, total, part))
        return total
