"""What lies between two values of a setting.

Numbers are interpolated, whole ones are rounded; so are the numbers of parts, masks
and lists of the same build. Of two objectives the terms are united, and their weights
are interpolated. Whatever else differs is the first until the second is reached.
"""

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, cast

from pydantic import BaseModel

from keras_dream.errors import ObjectiveError
from keras_dream.recipe.masks import Mask, Region, Side
from keras_dream.recipe.objectives import NetworkObjective, Objective, Term

DIGITS = 9
"""Of an interpolated weight: float32 has seven, and texts stay short."""

_LONGEST_WEIGHT = -1.23456789e-05  # no weight of so many digits is longer as text
_LEAST_WEIGHT = 1e-30
"""Where the weights of all terms cross zero at once: nothing is maximised there, and
the gradient of float32 can still be computed."""


def between(first: Any, last: Any, share: float) -> Any:
    """Returns what lies between two values.

    Args:
        first: A value of a setting.
        last: Another one.
        share: How far it is from the first to the second, from 0 to 1.
    """
    if share <= 0 or first == last:
        return first
    if share >= 1:
        return last
    return _mixed(first, last, share) if can_mix(first, last) else first


def can_mix(first: Any, last: Any) -> bool:
    """Tells whether there is something between two values."""
    if first == last:
        return True
    if type(first) is not type(last):
        return False
    if isinstance(first, tuple):
        ones, others = cast("tuple[Any, ...]", first), cast("tuple[Any, ...]", last)
        return len(ones) == len(others) and all(map(can_mix, ones, others))
    if isinstance(first, Side) and first.is_percent != last.is_percent:
        return False
    if isinstance(first, BaseModel | Mask | Region | Side):
        parts = [(getattr(first, n), getattr(last, n)) for n in _names(first)]
        return all(can_mix(a, b) for a, b in parts)
    return isinstance(first, Objective) or _is_number(first)


def check_mix(first: Any, last: Any) -> None:
    """Makes sure that whatever lies between two values can be had.

    Raises:
        ObjectiveError: If objectives are too long together, or differ in what a network
            expects of its pictures.
    """
    if isinstance(first, Objective) and isinstance(last, Objective):
        for one, other in _pairs(first.networks, last.networks):
            if one and other and one.preprocessing != other.preprocessing:
                raise ObjectiveError(
                    "A network must expect the same of its pictures throughout",
                    received=f"{one.preprocessing} and {other.preprocessing} for "
                    f"{one.network}",
                    hint="name one preprocessing",
                )
        mixed = between(first, last, 0.5)
        networks = (
            replace(
                network,
                terms=tuple(replace(t, weight=_LONGEST_WEIGHT) for t in network.terms),
                weight=1.0 if network.network is None else _LONGEST_WEIGHT,
            )
            for network in mixed.networks
        )
        Objective(tuple(networks))
    elif isinstance(first, Region) and isinstance(last, Region):
        check_mix(first.objective, last.objective)
    elif isinstance(first, tuple) and isinstance(last, tuple):
        several = cast("tuple[Any, ...]", first), cast("tuple[Any, ...]", last)
        for one, other in zip(*several, strict=False):
            check_mix(one, other)


def _mixed(first: Any, last: Any, share: float) -> Any:
    if first == last:
        return first
    if isinstance(first, tuple):
        ones, others = cast("tuple[Any, ...]", first), cast("tuple[Any, ...]", last)
        pairs = zip(ones, others, strict=True)
        return tuple(_mixed(a, b, share) for a, b in pairs)
    if isinstance(first, Objective):
        return _mixed_objective(first, last, share)
    if _is_number(first):
        return _mixed_number(first, last, share)
    changes = {
        name: _mixed(getattr(first, name), getattr(last, name), share)
        for name in _names(first)
    }
    if isinstance(first, BaseModel):
        return first.model_copy(update=changes)
    return replace(first, **changes)


def _names(value: Any) -> Sequence[str]:
    """Returns the names of what a part or a mask consists of."""
    if isinstance(value, BaseModel):
        return tuple(type(value).model_fields)
    return [field.name for field in dataclasses.fields(value)]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _mixed_number(first: float, last: float, share: float) -> float:
    """Returns a number between two; of whole ones the nearest, the larger of two."""
    value = first + (last - first) * share
    if isinstance(first, int):
        value = math.floor(value + 0.5)
    return min(max(value, min(first, last)), max(first, last)) + 0


# -- objectives ------------------------------------------------------------------------
def _mixed_objective(first: Objective, last: Objective, share: float) -> Objective:
    networks = (
        _mixed_network(one, other, share)
        for one, other in _pairs(first.networks, last.networks)
    )
    return Objective(tuple(network for network in networks if network is not None))


def _pairs(
    first: Iterable[NetworkObjective], last: Iterable[NetworkObjective]
) -> list[tuple[NetworkObjective | None, NetworkObjective | None]]:
    """Returns networks of two objectives by their names; None where one is missing.

    Of a network that is named more than once the first belongs to the first.
    """
    ones, others = _by_name(first), _by_name(last)
    names = dict.fromkeys((*ones, *others))
    return [(ones.get(name), others.get(name)) for name in names]


def _by_name(
    networks: Iterable[NetworkObjective],
) -> dict[tuple[str | None, int], NetworkObjective]:
    count = Counter[str | None]()
    named: dict[tuple[str | None, int], NetworkObjective] = {}
    for network in networks:
        named[network.network, count[network.network]] = network
        count[network.network] += 1
    return named


def _mixed_network(
    first: NetworkObjective | None, last: NetworkObjective | None, share: float
) -> NetworkObjective | None:
    """Returns a network's objective; one that is missing has weight 0."""
    if first is None or last is None:
        own = cast("NetworkObjective", last if first is None else first)
        weight = _weight(own.weight, share if first is None else 1 - share)
        return replace(own, weight=weight) if weight else None
    weight = _weight(first.weight, 1 - share, last.weight, share)
    if not weight:
        return None
    if not (first.terms and last.terms):  # the network's own, whose terms are unknown
        return replace(first, weight=weight)
    terms = _mixed_terms(first.terms, last.terms, share)
    return replace(first, terms=terms, weight=weight)


def _mixed_terms(
    first: Sequence[Term], last: Sequence[Term], share: float
) -> tuple[Term, ...]:
    ones, others = _by_target(first), _by_target(last)
    targets = dict.fromkeys((*ones, *others))
    weights = {
        target: _weight(ones.get(target, 0), 1 - share, others.get(target, 0), share)
        for target in targets
    }
    terms = tuple(Term(weight, target) for target, weight in weights.items() if weight)
    return terms or (replace(first[0], weight=_LEAST_WEIGHT),)


def _by_target(terms: Sequence[Term]) -> dict[Any, float]:
    weights: dict[Any, float] = {}
    for term in terms:
        weights[term.target] = weights.get(term.target, 0.0) + term.weight
    return weights


def _weight(first: float, share: float, last: float = 0.0, more: float = 0.0) -> float:
    return float(f"{first * share + last * more:.{DIGITS}g}") + 0.0
