"""Optimizers: how a gradient becomes a step.

An optimizer's state begins anew with every octave. It is given gradients as the canvas
has parameters, a tuple of arrays, and the normalizer's divisor.
"""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, get_args

from pydantic import Field

from keras_dream.parts.part import Array, Arrays, Part
from keras_dream.recipe.settings import FiniteFloat

if TYPE_CHECKING:
    from keras_dream.backend.protocol import Backend


State = Any
_Share = Annotated[FiniteFloat, Field(ge=0, lt=1)]


class UpdateRule(Part):
    """What optimizers have in common.

    Attributes:
        is_scale_free: Whether every parameter steps as far whatever its gradient is
            multiplied by, so that weights of places must be put on the step.
    """

    is_scale_free: ClassVar[bool] = False


class Sgd(UpdateRule):
    """A step along the normalized gradient, as every published DeepDream makes it."""

    name: Literal["sgd"] = "sgd"

    def start(self) -> State:
        """Returns the state before an octave's first step: none."""
        return None

    def step(
        self,
        backend: "Backend",
        state: State,
        gradients: Arrays,
        *,
        divisor: float,
        step_size: float,
    ) -> tuple[State, Arrays]:
        """Returns the next state and what is added to the parameters.

        Args:
            backend: Where it is computed.
            state: The state before this step.
            gradients: Of the parameters.
            divisor: What the normalizer divides them by.
            step_size: How far a step goes, in units of the parameters.
        """
        return state, _times(backend, gradients, step_size / divisor)


class Adam(UpdateRule):
    """Adam: every parameter's step is scaled by the size of its own past gradients.

    Source: D. P. Kingma, J. Ba, arXiv:1412.6980, algorithm 1, uphill. The gradient is
    normalized first, so that `epsilon` means the same for every network.
    """

    is_scale_free: ClassVar[bool] = True
    name: Literal["adam"] = "adam"
    beta1: _Share = Field(default=0.9, description="decay of the mean gradient")
    beta2: _Share = Field(default=0.999, description="decay of the mean square")
    epsilon: FiniteFloat = Field(
        default=1e-8, ge=1e-12, le=1, description="added to the root of the mean square"
    )

    def start(self) -> State:
        """Returns the state before an octave's first step: no moments."""
        return 0, None, None

    def step(
        self,
        backend: "Backend",
        state: State,
        gradients: Arrays,
        *,
        divisor: float,
        step_size: float,
    ) -> tuple[State, Arrays]:
        """Returns the next state and what is added; arguments as for `Sgd.step`."""
        b = backend
        count, means, squares = state
        count += 1
        scaled = _times(b, gradients, 1 / divisor)
        means = _decayed(b, means, scaled, self.beta1)
        squares = _decayed(b, squares, tuple(map(b.square, scaled)), self.beta2)
        rate = step_size / (1 - self.beta1**count)
        correction = 1 / (1 - self.beta2**count)

        def update(mean: Array, square: Array) -> Array:
            root = b.power(b.multiply(square, correction), 0.5)
            return b.divide(b.multiply(mean, rate), b.add(root, self.epsilon))

        updates = tuple(update(m, v) for m, v in zip(means, squares, strict=True))
        return (count, means, squares), updates


class Momentum(UpdateRule):
    """A step along the decaying mean of the past gradients.

    Source: B. T. Polyak, "Some methods of speeding up the convergence of iteration
    methods" (1964). The mean, not the sum, is taken, so that a step size means the same
    with and without: SGD of PyTorch with a dampening as large as its momentum.
    """

    name: Literal["momentum"] = "momentum"
    momentum: _Share = Field(default=0.9, description="decay of the mean gradient")

    def start(self) -> State:
        """Returns the state before an octave's first step: no mean."""
        return 0, None

    def step(
        self,
        backend: "Backend",
        state: State,
        gradients: Arrays,
        *,
        divisor: float,
        step_size: float,
    ) -> tuple[State, Arrays]:
        """Returns the next state and what is added; arguments as for `Sgd.step`."""
        count, means = state
        scaled = _times(backend, gradients, 1 / divisor)
        means = _decayed(backend, means, scaled, self.momentum)
        # A mean that began at zero is too small at first, as Adam's is.
        rate = step_size / (1 - self.momentum ** (count + 1))
        return (count + 1, means), _times(backend, means, rate)


class Lbfgs(UpdateRule):
    """L-BFGS: the gradient turned by what the last steps tell of the curvature.

    Source: J. Nocedal, S. Wright, "Numerical Optimization" (2006), algorithm 7.4, the
    two-loop recursion, uphill. Departures: there is no line search, because the jitter
    makes every step's loss another function; a step is as long as that of `sgd`, and
    pairs of steps between which the loss curves upwards are left out.
    """

    name: Literal["lbfgs"] = "lbfgs"
    memory: int = Field(default=10, ge=1, le=100, description="steps remembered")

    def start(self) -> State:
        """Returns the state before an octave's first step: nothing remembered."""
        return None, None, ()

    def step(
        self,
        backend: "Backend",
        state: State,
        gradients: Arrays,
        *,
        divisor: float,
        step_size: float,
    ) -> tuple[State, Arrays]:
        """Returns the next state and what is added; arguments as for `Sgd.step`."""
        b = backend
        before, unit, pairs = state
        # One unit for all steps of an octave: a divisor of each would bend differences.
        unit = divisor if unit is None else unit
        scaled = _times(b, gradients, 1 / unit)
        if before is not None:
            last_update, last_gradients = before
            # Uphill, the gradient of what is minimised is the negative one.
            y = tuple(map(b.subtract, last_gradients, scaled))
            product = _dot(b, last_update, y)
            if product > 1e-10 * _dot(b, y, y):
                pairs = (*pairs, (last_update, y, product))[-self.memory :]
        direction = self._turned(b, scaled, pairs)
        square = _dot(b, direction, direction)
        length = (_dot(b, gradients, gradients) / square) ** 0.5 if square else 0.0
        updates = _times(b, direction, step_size * length / divisor)
        return ((updates, scaled), unit, pairs), updates

    def _turned(
        self, backend: "Backend", gradients: Arrays, pairs: tuple[Any, ...]
    ) -> Arrays:
        """Returns the two-loop recursion's direction."""
        b = backend
        direction, factors = gradients, list[Any]()
        for s, y, product in reversed(pairs):
            factor = _dot(b, s, direction) / product
            factors.append(factor)
            direction = _plus(b, direction, y, -factor)
        if pairs:
            _, y, product = pairs[-1]
            direction = _times(b, direction, product / _dot(b, y, y))
        for (s, y, product), factor in zip(pairs, reversed(factors), strict=True):
            direction = _plus(b, direction, s, factor - _dot(b, y, direction) / product)
        return direction


def _dot(backend: "Backend", xs: Arrays, ys: Arrays) -> float:
    """Returns the scalar product of two tuples of arrays."""
    products = (backend.multiply(x, y) for x, y in zip(xs, ys, strict=True))
    return sum(backend.to_float(backend.sum(product)) for product in products)


def _times(backend: "Backend", xs: Arrays, factor: float) -> Arrays:
    return tuple(backend.multiply(x, factor) for x in xs)


def _plus(backend: "Backend", xs: Arrays, ys: Arrays, factor: float) -> Arrays:
    """Returns xs + factor · ys."""
    scaled = _times(backend, ys, factor)
    return tuple(backend.add(x, y) for x, y in zip(xs, scaled, strict=True))


def _decayed(
    backend: "Backend", averages: Arrays | None, values: Arrays, decay: float
) -> Arrays:
    """Returns exponential moving averages that began at zero."""
    news = _times(backend, values, 1 - decay)
    if averages is None:
        return news
    return tuple(map(backend.add, _times(backend, averages, decay), news))


Optimizer = Sgd | Momentum | Adam | Lbfgs
"""Every optimizer; adding one is its class and its name here."""
OPTIMIZERS: tuple[type[Part], ...] = get_args(Optimizer)
