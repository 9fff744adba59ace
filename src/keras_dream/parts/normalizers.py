"""What a gradient is divided by before a step."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from keras_dream.parts.part import Array

if TYPE_CHECKING:
    from keras_dream.backend.protocol import Backend


def _mean_abs(backend: "Backend", gradient: Array, epsilon: float) -> float:
    return max(backend.to_float(backend.mean(backend.absolute(gradient))), epsilon)


def _std(backend: "Backend", gradient: Array, epsilon: float) -> float:
    spread = backend.subtract(gradient, backend.mean(gradient))
    return backend.to_float(backend.mean(backend.square(spread))) ** 0.5 + epsilon


def _l2(backend: "Backend", gradient: Array, epsilon: float) -> float:
    return max(backend.to_float(backend.sum(backend.square(gradient))), epsilon) ** 0.5


def _none(backend: "Backend", gradient: Array, epsilon: float) -> float:
    return 1.0


NORMALIZERS: Mapping[str, Callable[["Backend", Array, float], float]] = {
    "mean_abs": _mean_abs,
    "std": _std,
    "l2": _l2,
    "none": _none,
}
"""Every normalizer; it returns the divisor, 0 where a gradient is all zero."""

# Each normalizer's own epsilon, for images in [0, 1] (the published numbers, rescaled
# from [-1, 1]): a maximum over the mean of |g| (book1), added to the standard deviation
# (tftut), a maximum under the root (book2).
EPSILONS: Mapping[str, float] = {
    "mean_abs": 2e-7,
    "std": 2e-8,
    "l2": 4e-12,
    "none": 0.0,
}


class Normalizer:
    """A normalizer with its epsilon on a backend.

    Args:
        kind: One of `NORMALIZERS`.
        epsilon: The least divisor, or what is added to it; None takes the kind's own.
        backend: Where it is computed.
    """

    def __init__(self, kind: str, epsilon: float | None, backend: "Backend"):
        self._backend = backend
        self._divisor = NORMALIZERS[kind]
        self._epsilon = EPSILONS[kind] if epsilon is None else epsilon

    def divisor(self, gradient: Array) -> float:
        """Returns what a gradient is divided by: 1 where it is all zero."""
        return self._divisor(self._backend, gradient, self._epsilon) or 1.0

    def scaled(self, gradient: Array, factor: float) -> Array:
        """Returns a gradient, normalized, times a factor."""
        return self._backend.multiply(gradient, factor / self.divisor(gradient))
