"""What a gradient is divided by before a step."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from keras_dream.parts.part import Array

if TYPE_CHECKING:
    from keras_dream.backend.protocol import Backend


class Sums(NamedTuple):
    """How the values of a map are summed up, each place with its weight.

    Attributes:
        mean: Returns the mean of a map's values.
        sum: Returns the mean times the number of values: with weights, too, so that a
            mask of few places makes no larger steps.
    """

    mean: Callable[[Array], float]
    sum: Callable[[Array], float]


def total(backend: "Backend", x: Array) -> float:
    """Returns the sum of a map: of each row on its device, then over the rows.

    So a map has the same sum whether it is summed whole or in bands of rows.
    """
    return float(backend.row_sums(x).sum(dtype="float64"))


def mean(backend: "Backend", x: Array) -> float:
    """Returns the mean of a map, summed as by `total`."""
    return total(backend, x) / backend.count(x)


def _mean_abs(backend: "Backend", gradient: Array, sums: Sums, epsilon: float) -> float:
    return max(sums.mean(backend.absolute(gradient)), epsilon)


def _std(backend: "Backend", gradient: Array, sums: Sums, epsilon: float) -> float:
    spread = backend.subtract(gradient, sums.mean(gradient))
    return sums.mean(backend.square(spread)) ** 0.5 + epsilon


def _rms(backend: "Backend", gradient: Array, sums: Sums, epsilon: float) -> float:
    return sums.mean(backend.square(gradient)) ** 0.5 + epsilon


def _l2(backend: "Backend", gradient: Array, sums: Sums, epsilon: float) -> float:
    return max(sums.sum(backend.square(gradient)), epsilon) ** 0.5


def _none(backend: "Backend", gradient: Array, sums: Sums, epsilon: float) -> float:
    return 1.0


NORMALIZERS: Mapping[str, Callable[["Backend", Array, Sums, float], float]] = {
    "mean_abs": _mean_abs,
    "std": _std,
    "rms": _rms,
    "l2": _l2,
    "none": _none,
}
"""Every normalizer; it returns the divisor, 0 where a gradient is all zero."""

# Each normalizer's own epsilon, for images in [0, 1] (the published numbers, rescaled
# from [-1, 1]): a maximum over the mean of |g| (book1), added to the standard deviation
# (tftut; so it is to rms), a maximum under the root (book2).
EPSILONS: Mapping[str, float] = {
    "mean_abs": 2e-7,
    "std": 2e-8,
    "rms": 2e-8,
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

    def divisor(
        self, gradient: Array, *, weights: Array | None = None, share: float = 1.0
    ) -> float:
        """Returns what a gradient is divided by: 1 where it is all zero.

        Args:
            gradient: A feature map.
            weights: How much each place counts in the means, a map of one channel, 0 or
                more; None for all alike.
            share: How much of the gradient is not zero because it was not computed:
                means are over that share alone.
        """
        sums = self._sums(weights, share)
        return self._divisor(self._backend, gradient, sums, self._epsilon) or 1.0

    def scaled(
        self, gradient: Array, factor: float, *, weights: Array | None = None
    ) -> Array:
        """Returns a gradient, normalized, times a factor; weights as for `divisor`."""
        return self._backend.multiply(
            gradient, factor / self.divisor(gradient, weights=weights)
        )

    def _sums(self, weights: Array | None, share: float) -> Sums:
        b = self._backend
        part = share
        if weights is not None:
            # A map of zeros has no mean; nothing moves there whatever the divisor is.
            part *= max(mean(b, weights), 1e-30)

        def weighted_mean(x: Array) -> float:
            weighed = x if weights is None else b.multiply(x, weights)
            return mean(b, weighed) / part

        def weighted_sum(x: Array) -> float:
            return weighted_mean(x) * b.count(x)

        return Sums(weighted_mean, weighted_sum)
