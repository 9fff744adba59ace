"""Ascents: how a gradient becomes a step."""

from typing import Any, Protocol

from keras_dream.backend.protocol import Array, Backend
from keras_dream.recipe.recipe import FLOORS, Recipe

State = Any


class Ascent(Protocol):
    """Turns gradients into steps; whatever it remembers is in its state."""

    def start(self) -> State:
        """Returns the state before an octave's first step."""
        ...

    def step(self, state: State, gradient: Array) -> tuple[State, Array]:
        """Returns the next state and what is added to the parameters."""
        ...


class Normalizer:
    """What a gradient is divided by.

    Args:
        recipe: Its `normalizer` and `floor` are used.
        backend: Where it is computed.
    """

    def __init__(self, recipe: Recipe, backend: Backend):
        self._backend = backend
        self._kind = recipe.normalizer
        given = recipe.floor
        self._floor = FLOORS[recipe.normalizer] if given is None else given

    def scaled(self, gradient: Array, factor: float) -> Array:
        """Returns the gradient, normalised, times a factor."""
        divisor = self._divisor(gradient)
        if divisor == 0:
            return gradient  # nothing but zeros, and nothing to divide by
        return self._backend.multiply(gradient, factor / divisor)

    def _divisor(self, gradient: Array) -> float:
        b = self._backend
        if self._kind == "mean_abs":
            return max(b.to_float(b.mean(b.absolute(gradient))), self._floor)
        if self._kind == "l2":
            return max(b.to_float(b.sum(b.square(gradient))), self._floor) ** 0.5
        if self._kind == "std":
            spread = b.subtract(gradient, b.mean(gradient))
            return b.to_float(b.mean(b.square(spread))) ** 0.5 + self._floor
        return 1.0


class NormalisedAscent:
    """A step of fixed length along the gradient: normalised, then scaled.

    Args:
        recipe: Its `normalizer`, `floor` and `step_size` are used.
        backend: Where it is computed.
    """

    def __init__(self, recipe: Recipe, backend: Backend):
        self._normalizer = Normalizer(recipe, backend)
        self._step_size = recipe.step_size

    def start(self) -> State:
        """Returns nothing: each step stands alone."""
        return None

    def step(self, state: State, gradient: Array) -> tuple[State, Array]:
        """Returns (nothing, the step)."""
        return state, self._normalizer.scaled(gradient, self._step_size)
