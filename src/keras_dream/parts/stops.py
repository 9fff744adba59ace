"""Stops: what ends an octave before its last step.

A stop watches one octave. It is asked after every step, which counts, and gives the
reason for which that step was the last.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from pydantic import Field

from keras_dream.parts.normalizers import mean
from keras_dream.parts.part import Array, Part
from keras_dream.recipe.settings import FiniteFloat

if TYPE_CHECKING:
    from keras_dream.backend.protocol import Backend


class Watched(NamedTuple):
    """The octave that a stop watches.

    Attributes:
        share: Its number over that of all octaves, above 0 and at most 1.
        original: The photo at its size; None where no stop looks at it.
    """

    share: float
    original: Array | None


Watcher = Callable[[float, Array], str]
"""Returns why the octave ends, or "", for the loss of a step and the image after it."""


class Plateau(Part):
    """Ends an octave whose loss no longer rises.

    Losses vary with the jitter: the best of the last steps is compared with the best of
    all before them.
    """

    name: Literal["plateau"] = "plateau"
    steps: int = Field(
        default=5, ge=1, le=10_000, description="last steps that are looked at"
    )
    tolerance: FiniteFloat = Field(
        default=0.01,
        ge=0,
        le=1,
        description="rise, as a share of the loss, that is still none",
    )

    def watch(self, backend: "Backend", octave: Watched) -> Watcher:
        """Returns what is asked after every step of an octave."""
        losses: list[float] = []

        def reason(loss: float, image: Array) -> str:
            losses.append(loss)
            last, before = losses[-self.steps :], losses[: -self.steps]
            if not before:
                return ""
            best = max(before)
            if max(last) > best + self.tolerance * abs(best):
                return ""
            return f"its loss has not risen in {self.steps} steps"

        return reason


class Distance(Part):
    """Ends an octave that is too far from the photo.

    Octave k of n may be k/n of the limit away, so that the first ones do not use up
    what is left for the others; the dream goes on with the next octave.
    """

    name: Literal["distance"] = "distance"
    limit: FiniteFloat = Field(
        default=0.1,
        gt=0,
        le=2,
        description="root of the mean square of the differences, in units of [0, 1]",
    )

    def watch(self, backend: "Backend", octave: Watched) -> Watcher:
        """Returns what is asked after every step of an octave."""
        limit = self.limit * octave.share

        def reason(loss: float, image: Array) -> str:
            difference = backend.subtract(image, octave.original)
            distance = mean(backend, backend.square(difference)) ** 0.5
            if distance < limit:
                return ""
            return f"it is {distance:.3g} away from the photo"

        return reason


Stop = Plateau | Distance
"""Every stop; adding one is its class and its name here."""
STOPS: tuple[type[Part], ...] = get_args(Stop)
