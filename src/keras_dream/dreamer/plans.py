"""Plans: by which scheme each octave's gradient is computed within the memory."""

import math
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from keras_dream.backend import host
from keras_dream.backend.protocol import Backend
from keras_dream.dreamer.ensemble import Ensemble
from keras_dream.engine import cost
from keras_dream.engine.checkpoint import Checkpoint
from keras_dream.engine.footprint import PIXEL, footprint
from keras_dream.engine.growth import Octave
from keras_dream.engine.planner import (
    Plan,
    Prediction,
    Predictor,
    Schemes,
    Turn,
)
from keras_dream.engine.tiled import TiledGradient
from keras_dream.errors import SettingError
from keras_dream.events import GradientPlan, OctavePlan
from keras_dream.geometry import Size, resample
from keras_dream.graph.regions import Region
from keras_dream.parts.starts import Photo
from keras_dream.parts.transforms import View, view_size, views_in_step
from keras_dream.recipe.byte_sizes import size_text
from keras_dream.recipe.recipe import Recipe, RunSettings
from keras_dream.recipe.scheme_plans import AUTO, WHOLE, Entry, read_entries
from keras_dream.recipe.schemes import Scheme

RESERVE = 0.1
"""Of the free memory, which is left to others where no limit is set."""

LIMITED = 0.92
"""Of the memory that is set, for which a run is planned."""

PROBED = 1 << 18
"""Pixels at most of the view on which the machine's pace is measured."""


class Memory(NamedTuple):
    """The memory that a run may take.

    Attributes:
        left: Bytes above what the process holds; infinite where that is not known.
        held: Bytes that the process holds.
        limit: What the user has set, or None.
    """

    left: float
    held: int
    limit: int | None


def memory_of(backend: Backend, run: RunSettings) -> Memory:
    """Returns the memory that a run may take, as it is now."""
    free = backend.memory().get("free")
    left = math.inf if free is None else free * (1 - RESERVE)
    held = host.resident_bytes()
    if run.memory is not None:
        # Of a graphics card's memory nothing is held before.
        on_host = backend.device.startswith("cpu")
        left = min(left, LIMITED * run.memory - (held if on_host else 0))
    return Memory(left, held, run.memory)


class Planner:
    """Makes the plan of a run.

    Args:
        ensemble: The networks.
        backend: Where they are computed.
        run: How, and within which memory.
    """

    def __init__(self, ensemble: Ensemble, backend: Backend, run: RunSettings):
        self._ensemble = ensemble
        self._backend = backend
        self._gradient = run.gradient
        self._memory = memory_of(backend, run)

    def plan(
        self,
        size: Size,
        recipe: Recipe,
        octaves: Sequence[Octave],
        *,
        resumed: Checkpoint | None = None,
    ) -> "PlannedRun":
        """Returns the plan of a recipe's octaves, and what they take.

        Args:
            size: (height, width) in pixels of the picture, which is in memory.
            recipe: A complete recipe.
            octaves: The octaves that will run.
            resumed: Where the run goes on from: what is computed so far is kept.

        Raises:
            SettingError: If a scheme cannot be used, or the memory that was set is too
                small for the smallest tiles.
        """
        wanted = _Wanted(self._gradient, resumed)
        entries: list[Entry] = []
        present = PIXEL * math.prod(size)
        if not isinstance(recipe.start, Photo):
            present *= 2
        planned: list[PlannedOctave] = []
        notices: list[str] = []
        for octave in octaves:
            own = recipe.at(octave.number)
            view = view_size(own.transforms, octave.size)
            pictures = footprint(size, octave, own)
            held = pictures.held - present
            chosen: list[Prediction] = []
            predictors = self._ensemble.predictors(own)
            for number, predictor in enumerate(predictors, 1):
                if not predictor.fits(view):
                    continue  # the octave runs without this network
                asked = wanted.entries(octave.number, number)
                made = wanted.made(octave.number)
                if not made:
                    asked = _with_halo(asked, predictor, view)
                budget = self._memory.left - held if made < math.inf else math.inf
                prediction, kept = _chosen(predictor, view, budget, asked)
                if not kept:
                    if asked:
                        notices.append(_replaced(octave, asked[-1], prediction))
                    kept = [entry for entry in asked if entry.step <= made]
                    begin = int(made) + 1
                    kept.append(Entry(octave.number, number, begin, prediction.scheme))
                entries += kept
                chosen.append(prediction)
            most = max((p.bytes for p in chosen), default=0)
            most = max(held + most, pictures.most - present)
            planned.append(PlannedOctave(octave, own, view, most, tuple(chosen)))
        notices += wanted.unused({octave.number for octave in octaves})
        plan = Plan(entries, notices=notices)
        self._check([o for o in planned if wanted.made(o.octave.number) < math.inf])
        return PlannedRun(plan, tuple(planned), self._memory, self._backend)

    def _check(self, planned: Sequence["PlannedOctave"]) -> None:
        """Refuses a limit that is too small for the smallest tiles there are."""
        memory = self._memory
        needed = memory.held + max((o.bytes for o in planned), default=0)
        if memory.limit is None or needed <= LIMITED * memory.limit:
            return
        # A little more, since a process never holds quite as much as it did before.
        rounded = math.ceil(1.03 * needed / LIMITED / 1e8) / 10
        raise SettingError(
            "`memory` must be enough for the smallest tiles of the largest octave",
            received=f"{size_text(memory.limit)}, of which "
            f"{size_text((1 - LIMITED) * memory.limit)} are a reserve, where they take "
            f"{size_text(needed)} with what the process holds before",
            hint=f"try --memory {rounded:.1f}GB, or a smaller picture with --size",
        )


@dataclass(frozen=True)
class PlannedOctave:
    """An octave with what its gradient is predicted to take.

    Attributes:
        octave: The octave.
        recipe: Its recipe.
        view: (height, width) in pixels of what its networks see.
        bytes: The most that a step holds above what the process held before.
        chosen: A prediction for each of its networks.
    """

    octave: Octave
    recipe: Recipe
    view: Size
    bytes: int
    chosen: tuple[Prediction, ...]

    def event(self, seconds: float) -> OctavePlan:
        """Returns the octave as an event has it.

        Args:
            seconds: Of one gradient of all its networks.
        """
        steps = self.recipe.steps * views_in_step(self.recipe.transforms)
        names = tuple(prediction.scheme.text for prediction in self.chosen)
        number, size = self.octave
        return OctavePlan(number, size, names, self.bytes, steps * seconds)

    @property
    def is_bounded(self) -> bool:
        """Whether some of its tiles see less than their gradient depends on."""
        return any(p.scheme.halo is not None for p in self.chosen)

    @property
    def is_whole(self) -> bool:
        """Whether nothing of it is computed in tiles."""
        return all(p.scheme == WHOLE for p in self.chosen)


class _Wanted:
    """The schemes that are asked for, by a setting or by a record."""

    def __init__(self, gradient: str, resumed: Checkpoint | None):
        self._is_auto = gradient == AUTO
        self._entries = None if self._is_auto else read_entries(gradient)
        self._scheme = None
        if not self._is_auto and self._entries is None:
            self._scheme = Scheme.read(gradient)
        self._so_far = () if resumed is None else read_entries(resumed.gradient) or ()
        self._until = 0 if resumed is None else resumed.octave
        self._steps = 0 if resumed is None else resumed.iteration

    def made(self, octave: int) -> float:
        """Returns how many steps of an octave are made; infinite for all of them."""
        if octave == self._until:
            return self._steps
        return math.inf if octave < self._until else 0

    def entries(self, octave: int, network: int) -> list[Entry]:
        """Returns what is asked for one network of an octave; none for automatic."""
        if octave <= self._until:
            return self._of(self._so_far, octave, network)
        if self._is_auto:
            return []
        if self._scheme is not None:
            return [Entry(octave, network, 1, self._scheme)]
        return self._of(self._entries or (), octave, network)

    def unused(self, octaves: Collection[int]) -> list[str]:
        """Returns notices on octaves that are named, but not among those that run."""
        named = sorted({entry.octave for entry in self._entries or ()} - {*octaves})
        return [f"`gradient` names octave {n}, which does not run." for n in named]

    def _of(self, entries: Iterable[Entry], octave: int, network: int) -> list[Entry]:
        own = [entry for entry in entries if entry[:2] == (octave, network)]
        if not any(entry.step == 1 for entry in own):
            own.insert(0, Entry(octave, network, 1, WHOLE))
        return own


def _chosen(
    predictor: Predictor, view: Size, budget: float, asked: Sequence[Entry]
) -> tuple[Prediction, list[Entry]]:
    """Returns what is computed, and the entries that were asked for if they fit."""
    if asked:
        every = [predictor.predict(entry.scheme, view) for entry in asked]
        # What memory was out for has been given up: the last of them is what it takes.
        if every[-1].bytes <= budget:
            return every[-1], list(asked)
    found = predictor.cheapest(view, budget)
    return found or predictor.smallest(view), []


def _with_halo(asked: Sequence[Entry], predictor: Predictor, view: Size) -> list[Entry]:
    """Returns entries with the halo of the run settings, where they say none."""
    schemes = [predictor.with_halo([entry.scheme], view)[0] for entry in asked]
    pairs = zip(asked, schemes, strict=True)
    return [entry._replace(scheme=scheme) for entry, scheme in pairs]


def _replaced(octave: Octave, entry: Entry, found: Prediction) -> str:
    return (
        f"Octave {octave.number} is computed as {found.scheme.text}, for there is too "
        f"little memory for {entry.scheme.text}."
    )


@dataclass(frozen=True)
class PlannedRun:
    """The plan of a run, and what it is predicted to take.

    Attributes:
        plan: By which schemes the gradients are computed.
        octaves: What each octave takes.
        memory: What there was before.
        backend: Where it is computed.
    """

    plan: Plan
    octaves: tuple[PlannedOctave, ...]
    memory: Memory
    backend: Backend

    def turn(self, octave: Octave, resumed: Checkpoint | None) -> Turn:
        """Returns where the run is when it begins with an octave."""
        own = next(o for o in self.octaves if o.octave.number == octave.number)
        is_in_midst = resumed is not None and resumed.octave == octave.number
        made = resumed.iteration if resumed is not None and is_in_midst else 0
        views = views_in_step(own.recipe.transforms)
        return Turn(self.plan, octave.number, made, views)

    def event(
        self,
        recipe: Recipe,
        image: np.ndarray,
        schemes: Callable[[Recipe], Sequence[Schemes]],
    ) -> GradientPlan:
        """Returns the plan as an event.

        The machine's pace and the error of a bounded halo are measured where something
        is computed in tiles.

        Args:
            recipe: The complete recipe.
            image: The image with which the run begins.
            schemes: Returns the gradients of an octave's networks.
        """
        rate, error = 1.0, None
        if not all(octave.is_whole for octave in self.octaves):
            first = self.octaves[0]
            if first.is_whole and math.prod(first.view) <= PROBED:
                sample = resample(image, first.view)
                rate = measured_rate(
                    schemes(first.recipe), first.view, self.backend, sample
                )
            for octave in [o for o in self.octaves if o.is_bounded][-1:]:
                error = _halo_error(octave, image, schemes(octave.recipe))
        passes = {
            (o.recipe, o.view): rate * sum(p.seconds for p in o.chosen)
            for o in self.octaves
        }
        size = (image.shape[0], image.shape[1])
        return GradientPlan(
            tuple(o.event(passes[o.recipe, o.view]) for o in self.octaves),
            self.memory.held + max((o.bytes for o in self.octaves), default=0),
            cost.seconds(size, recipe, passes=lambda *key: passes.get(key, 0.0)),
            error,
        )


def _halo_error(
    octave: PlannedOctave, image: np.ndarray, schemes: Sequence[Schemes]
) -> float | None:
    """Returns how wrong tiles with a bounded halo are; None without one."""
    errors: list[float] = []
    for prediction, each in zip(octave.chosen, schemes, strict=False):
        gradient = each.of(prediction.scheme)
        if prediction.scheme.halo is not None and isinstance(gradient, TiledGradient):
            sample = resample(image, octave.view)

            def read(region: Region, pixels: np.ndarray = sample) -> np.ndarray:
                (top, bottom), (left, right) = region
                return pixels[top:bottom, left:right]

            error = gradient.halo_error(octave.view, read, read_original=read)
            errors.append(error)
    return max(errors, default=None)


def measured_rate(
    schemes: Sequence[Schemes], view: Size, backend: Backend, original: np.ndarray
) -> float:
    """Returns the seconds here for a predicted second, of a whole gradient.

    Args:
        schemes: The gradients of an octave's networks.
        view: (height, width) of what they see.
        backend: Where they are computed.
        original: A picture of that size.
    """
    if math.prod(view) > PROBED:
        return 1.0
    image = backend.image(original)
    predicted = measured = 0.0
    for each in schemes:
        gradient, seconds = each.of(WHOLE), list[float]()
        for _ in range(3):  # the first plans, and compiles
            began = time.perf_counter()
            value, _ = gradient(image, view, view=View(view), original=image)
            backend.to_float(value)
            seconds.append(time.perf_counter() - began)
        predicted += each.predictor.predict(WHOLE, view).seconds
        measured += min(seconds)
    return measured / predicted if predicted else 1.0
