"""Gradients: how an image becomes a loss and the direction in which it grows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from keras_dream.backend.protocol import Array, Backend
from keras_dream.errors import ObjectiveError
from keras_dream.geometry import Size, Wrap
from keras_dream.graph.graph import Graph, Misfit, Plan
from keras_dream.graph.passes import optimise
from keras_dream.graph.program import Program
from keras_dream.graph.torus import on_torus
from keras_dream.parts.losses import Loss
from keras_dream.parts.normalizers import Normalizer
from keras_dream.parts.transforms import Chain, View
from keras_dream.recipe.objectives import NetworkObjective
from keras_dream.recipe.targets import Class, Layer, Target


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


@dataclass(frozen=True)
class Goal:
    """A term of an objective, resolved on a network.

    Attributes:
        weight: Of its loss in the sum.
        node: The node whose feature map it is about.
        channels: Their numbers; empty for all of them.
        is_class: Whether it is a class score, which has neither loss nor border.
    """

    weight: float
    node: str
    channels: tuple[int, ...]
    is_class: bool


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
        self.nodes = tuple(dict.fromkeys(goal.node for goal in goals))
        self.border = border
        self.graph = on_torus(optimise(graph, self.nodes, merge=merge), wrap)
        # A class score has no border: the mean over all positions is its definition.
        self._layers = [goal.node for goal in goals if not goal.is_class]

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


class WholeGradient:
    """The gradient of the whole picture at once.

    Args:
        graph: The network, optimised for the goals' nodes.
        goals: What is maximised.
        loss: How a feature map becomes a number.
        backend: Where it is computed.
    """

    def __init__(
        self,
        graph: ObjectiveGraph,
        goals: Sequence[Goal],
        loss: Loss,
        backend: Backend,
    ):
        self._graph = graph.graph
        self._backend = backend
        program = Program(self._graph, graph.nodes, backend)

        def total(image: Array, plan: tuple[Any, ...]) -> Array:
            maps = dict(zip(graph.nodes, program(image, plan), strict=True))
            return _total(backend, goals, maps, loss, graph.border)

        self._total = total
        self._steps: dict[Chain, Callable[..., tuple[Array, Array]]] = {}
        self._plans: dict[Size, Plan] = {}

    def __call__(
        self, image: Array, size: Size, *, view: View, original: Array | None
    ) -> tuple[Array, Array]:
        """Returns (loss, d loss / d image); arguments as for `Gradient`."""
        if view.size not in self._plans:
            self._plans[view.size] = self._graph.plan(*view.size)
        if view.chain not in self._steps:
            self._steps[view.chain] = self._step(view.chain)
        step = self._steps[view.chain]
        return step(image, self._plans[view.size].values, *view.constants)

    def _step(self, chain: Chain) -> Callable[..., tuple[Array, Array]]:
        """Returns the loss of what the network sees, differentiated by the image."""

        def seen(image: Array, plan: tuple[Any, ...], *constants: Any) -> Array:
            return self._total(chain.apply(self._backend, image, constants), plan)

        static = bool(self._graph.opaque)
        return self._backend.value_and_grad(seen, static=static)


GRADIENTS: Mapping[str, Callable[..., Gradient]] = {"whole": WholeGradient}
"""Every way to compute a network's gradient, by the name that run settings have."""


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
                self._normalizer.scaled(gradient, weight, weights),
            )
            total = part if total is None else tuple(map(backend.add, total, part))
        return total


def resolve(graph: Graph, objective: NetworkObjective) -> tuple[Goal, ...]:
    """Returns the terms of an objective on a network.

    Raises:
        ObjectiveError: If the network lacks a layer, a channel or a class.
    """
    channels = graph.channels()
    return tuple(
        _goal(graph, channels, term.weight, term.target) for term in objective.terms
    )


def _goal(
    graph: Graph, channels: Mapping[str, int], weight: float, target: Target
) -> Goal:
    if isinstance(target, Class):
        number = graph.class_number(target.name)
        return Goal(weight, str(graph.classifier), (number,), is_class=True)
    if not isinstance(target, Layer):
        raise ObjectiveError(
            "An objective must be made of layers and classes in this version",
            received=target.text,
            hint="leave it out",
        )
    node = graph.node_of(target.layer)
    count = channels[node]
    if target.channels and target.channels[-1] >= count:
        raise ObjectiveError(
            f"A channel of {target.name} must be a number from 0 to {count - 1}",
            received=str(target.channels[-1]),
            hint="see `dream layers NETWORK`",
        )
    return Goal(weight, node, target.channels, is_class=False)


def _total(
    backend: Backend,
    goals: Sequence[Goal],
    maps: Mapping[str, Array],
    loss: Loss,
    border: int,
) -> Array:
    total: Any = None
    for goal in goals:
        features = maps[goal.node]
        if goal.channels:
            features = backend.gather(features, goal.channels)
        if goal.is_class:
            value = backend.mean(features)
        else:
            value = loss(backend, features, border)
        part = backend.multiply(value, goal.weight)
        total = part if total is None else backend.add(total, part)
    return total
