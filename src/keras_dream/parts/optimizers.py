"""Optimizers: how a gradient becomes a step.

An optimizer's state begins anew with every octave. It is given gradients as the canvas
has parameters, a tuple of arrays, and the normalizer's divisor.
"""

from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import Field

from keras_dream.parts.part import Array, Arrays, Part
from keras_dream.recipe.settings import FiniteFloat

if TYPE_CHECKING:
    from keras_dream.backend.protocol import Backend


State = Any
_Share = Annotated[FiniteFloat, Field(ge=0, lt=1)]


class Sgd(Part):
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
        factor = step_size / divisor
        return state, tuple(backend.multiply(g, factor) for g in gradients)


class Adam(Part):
    """Adam: every parameter's step is scaled by the size of its own past gradients.

    Source: D. P. Kingma, J. Ba, arXiv:1412.6980, algorithm 1, uphill. The gradient is
    normalized first, so that `epsilon` means the same for every network.
    """

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
        scaled = tuple(b.multiply(g, 1 / divisor) for g in gradients)
        means = _decayed(b, means, scaled, self.beta1)
        squares = _decayed(b, squares, tuple(map(b.square, scaled)), self.beta2)
        rate = step_size / (1 - self.beta1**count)
        correction = 1 / (1 - self.beta2**count)

        def update(mean: Array, square: Array) -> Array:
            root = b.power(b.multiply(square, correction), 0.5)
            return b.divide(b.multiply(mean, rate), b.add(root, self.epsilon))

        updates = tuple(update(m, v) for m, v in zip(means, squares, strict=True))
        return (count, means, squares), updates


def _decayed(
    backend: "Backend", averages: Arrays | None, values: Arrays, decay: float
) -> Arrays:
    """Returns exponential moving averages that began at zero."""
    news = tuple(backend.multiply(value, 1 - decay) for value in values)
    if averages is None:
        return news
    olds = (backend.multiply(average, decay) for average in averages)
    return tuple(map(backend.add, olds, news))


Optimizer = Sgd | Adam
"""Every optimizer; adding one is its class and its name here."""
OPTIMIZERS: tuple[type[Part], ...] = get_args(Optimizer)
