"""What a gradient is divided by before a step."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_dream.backend.protocol import Backend


Array = Any
Gradients = Sequence[Array]


def _mean_abs(backend: "Backend", gradients: Gradients, epsilon: float) -> float:
    means = [backend.to_float(backend.mean(backend.absolute(g))) for g in gradients]
    return max(_joint(backend, gradients, means), epsilon)


def _std(backend: "Backend", gradients: Gradients, epsilon: float) -> float:
    means = [backend.to_float(backend.mean(g)) for g in gradients]
    center = _joint(backend, gradients, means)
    spreads = [
        backend.to_float(backend.mean(backend.square(backend.subtract(g, center))))
        for g in gradients
    ]
    return _joint(backend, gradients, spreads) ** 0.5 + epsilon


def _l2(backend: "Backend", gradients: Gradients, epsilon: float) -> float:
    squares = [backend.to_float(backend.sum(backend.square(g))) for g in gradients]
    return max(sum(squares), epsilon) ** 0.5


def _none(backend: "Backend", gradients: Gradients, epsilon: float) -> float:
    return 1.0


def _joint(backend: "Backend", gradients: Gradients, means: Sequence[float]) -> float:
    """Returns the mean over all arrays together."""
    if len(means) == 1:
        return means[0]
    counts = [float(backend.count(g)) for g in gradients]
    return sum(m * n for m, n in zip(means, counts, strict=True)) / sum(counts)


NORMALIZERS: Mapping[str, Callable[["Backend", Gradients, float], float]] = {
    "mean_abs": _mean_abs,
    "std": _std,
    "l2": _l2,
    "none": _none,
}
"""Every normalizer; it returns the divisor of gradients, 0 where they are all zero."""

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

    def divisor(self, gradients: Gradients) -> float:
        """Returns what gradients are divided by: 1 where they are nothing but zeros."""
        return self._divisor(self._backend, gradients, self._epsilon) or 1.0

    def scaled(self, gradient: Array, factor: float) -> Array:
        """Returns a gradient, normalized, times a factor."""
        return self._backend.multiply(gradient, factor / self.divisor([gradient]))
