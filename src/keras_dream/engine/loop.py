"""The one loop: octaves by steps, as an iterator of frozen events.

for step in run(...):        progress, previews, cancelling, saving: all consumers
    ...                      stopping is `break`; every step is a whole result
"""

import logging
import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple, NoReturn

import numpy as np

from keras_dream.backend.protocol import Array, Backend
from keras_dream.engine.ascent import Ascent, Move, unfit
from keras_dream.engine.checkpoint import Checkpoint, host
from keras_dream.engine.gradients import Gradient
from keras_dream.engine.growth import Additions, Growth, Octave, octaves_of
from keras_dream.engine.planner import Plan
from keras_dream.engine.result import Dream, Step, unpicklable
from keras_dream.errors import InputError
from keras_dream.events import GradientPlan
from keras_dream.geometry import Size
from keras_dream.parts.penalties import PENALTIES
from keras_dream.parts.stops import Distance
from keras_dream.pictures.picture import Picture
from keras_dream.recipe.recipe import Recipe
from keras_dream.recipe.targets import Caricature, Penalty

_log = logging.getLogger(__name__)

_LARGE = 1_000_000
"""Pixels of an octave before and behind whose steps free memory goes back to the
system: theirs and the next one's blocks are larger."""

# Makes a dream of a whole image, the losses by octave, and whether it ran to its end;
# of what each octave added, as `octaves`, where that is kept; and of sentences on why
# octaves ended before their last step, as `ended`, where one did; and of the sum of all
# gradients' sizes, as `gradients`, where the result is transparent.
Result = Callable[..., Dream]


class Start(NamedTuple):
    """How the image came to be with which a dream begins.

    Attributes:
        recorded: What the record says of it: "" where recipe and photo make it.
        is_given: Whether it is an image in the place of what recipe and photo make.
    """

    recorded: str = ""
    is_given: bool = False


_OWN_START = Start()


class Run(Iterator[Step]):
    """A dream that is being made: an iterator of its steps.

    Args:
        steps: Yields the steps and returns the finished dream.
        unchanged: Makes the dream of no step at all.
        recipe: What decides it, complete.
        plan: By which schemes its gradients are computed; None for whole.

    Attributes:
        recipe: The complete recipe, with the octaves' number.
        plan: By which schemes the gradients are computed.
        planned: What that is predicted to take; None where nobody has predicted it.
    """

    def __init__(
        self,
        steps: Generator[Step, None, Dream],
        unchanged: Callable[[], Dream],
        recipe: Recipe,
        *,
        plan: Plan | None = None,
    ):
        self.recipe = recipe
        self.plan = plan or Plan()
        self.planned: GradientPlan | None = None
        self._steps = steps
        self._dream = unchanged
        self._checkpoint: Callable[[], Checkpoint | None] = lambda: None

    def __next__(self) -> Step:
        try:
            step = next(self._steps)
        except StopIteration as end:
            finished = end.value
            if finished is not None:  # None when it is asked once more after its end
                self._dream = lambda: finished
            raise StopIteration from None
        self._dream = lambda: step.dream
        self._checkpoint = lambda: step.checkpoint
        return step

    @property
    def dream(self) -> Dream:
        """The finished dream after the last step; before that, the dream so far."""
        return self._dream()

    @property
    def checkpoint(self) -> Checkpoint | None:
        """Where the run is, so that it can be gone on from; None before a step."""
        return self._checkpoint()

    def finish(self) -> Dream:
        """Makes all steps that are left and returns the dream."""
        for _ in self:
            pass
        return self.dream

    def __reduce__(self) -> NoReturn:
        raise unpicklable("A run", "run.dream")


def run(
    image: np.ndarray,
    octaves: Sequence[Octave],
    recipe: Recipe,
    *,
    gradient_of: Callable[[Octave], Gradient],
    backend: Backend,
    result: Result,
    original: np.ndarray | None = None,
    resumed: Checkpoint | None = None,
    start: Start = _OWN_START,
    weights: Callable[[Size], Array | None] = lambda _: None,
    keep_octaves: bool = False,
    plan: Plan | None = None,
) -> Run:
    """Dreams a picture.

    Args:
        image: The picture that the dream starts from, float32 (h, w, 3) in [0, 1]. It
            is its detail that is put back. It is copied unless it is read-only.
        octaves: The octaves to dream at, at least one, small to large.
        recipe: What decides the dream.
        gradient_of: Returns the loss and the gradient of an image, for an octave.
        backend: Where it is computed.
        result: Makes a dream of an image.
        original: The photo, of the image's size; None for the image itself.
        resumed: The step after which the run goes on; None for its beginning.
        start: How the image came to be, for checkpoints.
        weights: Returns for an octave's (height, width) a map of one channel, 0 or
            more: it multiplies the image's gradient and weighs the statistics of the
            normalizer. None for all alike.
        keep_octaves: Whether `result` is given what each octave added.
        plan: By which schemes the gradients are computed, for checkpoints.

    Returns:
        The run; its dream's image is not clipped.

    Raises:
        InputError: If the run cannot go on from `resumed`.
        NonFiniteError: While it runs, if a gradient is infinite or not a number.
    """
    # The caller may write to it between two steps.
    image = image.copy() if image.flags.writeable else image
    if original is not None and original.flags.writeable:
        original = original.copy()
    growth = Growth(image, octaves, recipe, backend, original=original)
    count = len(octaves_of(growth.size, recipe))
    ascent = Ascent(recipe, gradient_of, weights, count, backend)
    plan = plan or Plan()
    course = _Course(recipe, image, start, growth, ascent, backend, result, plan)
    if resumed is None:
        additions = Additions(growth, backend, keep=keep_octaves)
        steps = _steps(course, octaves, count, additions, None)
        return Run(steps, lambda: result(image.copy(), {}, False), recipe, plan=plan)
    additions, so_far = _restored(course, octaves, resumed, keep=keep_octaves)
    steps = _steps(course, octaves, count, additions, resumed)
    return Run(steps, so_far, recipe, plan=plan)


def _restored(
    course: "_Course", octaves: Sequence[Octave], resumed: Checkpoint, *, keep: bool
) -> tuple[Additions, Callable[[], Dream]]:
    """Puts a run where a checkpoint is; returns what is added, and the dream so far."""
    growth, ascent, backend = course.growth, course.ascent, course.backend
    place = _check_resumed(resumed, octaves)
    octave, base = octaves[place], growth.enter(place, None)
    additions = _additions(resumed, octave, growth, backend, keep=keep)
    ascent.restore(resumed, growth, octave)
    course.losses += resumed.losses
    restored = next(ascent.moves(base, octave, course.original(place), resumed))
    entered = _entered(resumed, backend, base)
    more = additions.at(place, octave, entered, restored.image)
    return additions, course.dream(place, octave, restored, more)


def _check_resumed(resumed: Checkpoint, octaves: Sequence[Octave]) -> int:
    """Returns the place of the octave in which a run goes on."""
    numbers = [octave.number for octave in octaves]
    if resumed.octave not in numbers:
        raise unfit(f"octave {resumed.octave} for {len(numbers)} octaves")
    return numbers.index(resumed.octave)


def _additions(
    resumed: Checkpoint, octave: Octave, growth: Growth, backend: Backend, *, keep: bool
) -> Additions:
    """Returns what the octaves before a checkpoint have added, if that is kept."""
    if keep and resumed.entered is None:
        raise InputError(
            "A dream that goes on with its octaves must have kept them from its start",
            received="a checkpoint without them",
            hint="leave octave_strengths and --save-octaves out, or begin anew",
        )
    if keep and resumed.entered is not None:
        shapes = [resumed.entered.shape, *(a.shape for _, a in resumed.octaves)]
        wanted = [(*octave.size, 3), *[(*growth.size, 3)] * len(resumed.octaves)]
        if shapes != wanted or any(n >= octave.number for n, _ in resumed.octaves):
            raise unfit(f"octaves of the shapes {shapes}")
    octaves = {number: a.astype(np.float16) for number, a in resumed.octaves}
    return Additions(growth, backend, keep=keep, octaves=octaves)


def _entered(resumed: Checkpoint | None, backend: Backend, image: Array) -> Array:
    """Returns the image that a checkpoint's octave began with."""
    if resumed is None or resumed.entered is None:
        return image
    return backend.image(resumed.entered)


def _steps(
    course: "_Course",
    octaves: Sequence[Octave],
    count: int,
    additions: Additions,
    resumed: Checkpoint | None,
) -> Generator[Step, None, Dream]:
    growth, ascent, backend = course.growth, course.ascent, course.backend
    image: Array = None
    for place, octave in enumerate(octaves):
        if resumed is not None and octave.number < resumed.octave:
            continue
        began = resumed if resumed and resumed.octave == octave.number else None
        height, width = octave.size
        _log.info(
            "Octave %d of %d: %d × %d pixels", octave.number, count, width, height
        )
        image = growth.enter(place, image)
        if math.prod(octave.size) > _LARGE:
            backend.give_back_memory()
        entered = _entered(began, backend, image) if additions.are_kept else None
        if place and began is None:
            ascent.transparency.resize(_bound_resize(growth, place))
        for move in ascent.moves(image, octave, course.original(place), began):
            image = move.image
            if move.is_restored:
                continue
            course.losses.append((octave.number, move.loss))
            yield Step(
                octave=octave.number,
                octaves=count,
                iteration=move.iteration,
                iterations=move.iterations,
                size=octave.size,
                loss=move.loss,
                seconds=move.seconds,
                _image=_bound(backend.to_image, image),
                _dream=course.dream(
                    place,
                    octave,
                    move,
                    additions.at(place, octave, entered, image),
                ),
                _checkpoint=course.checkpoint(octave, move, additions.so_far(entered)),
            )
        additions.keep(place, octave, entered, image)
        image = growth.leave(place, image)
        if math.prod(octave.size) > _LARGE:
            backend.give_back_memory()
    last = len(octaves) - 1
    options = {**additions.options, **ascent.options, **course.gradients(last)}
    return course.result(growth.whole(last, image), course.by_octave(), True, **options)


def _bound_resize(growth: Growth, place: int) -> Callable[[Array], Array]:
    return lambda x: growth.resized(x, place - 1, place)


class _Course:
    """What the steps of a run have in common, and the results that can be made of them.

    A result binds its own share of what is still being written.
    """

    def __init__(
        self,
        recipe: Recipe,
        image: np.ndarray,
        start: Start,
        growth: Growth,
        ascent: Ascent,
        backend: Backend,
        result: Result,
        plan: Plan,
    ):
        self._recipe = recipe
        self._plan = plan
        self._needs_original = needs_original(recipe)
        self._image = image
        self._start = start
        self.growth = growth
        self.ascent = ascent
        self.backend = backend
        self.result = result
        self.losses: list[tuple[int, float]] = []

    @cached_property
    def _start_sha256(self) -> str:
        return Picture(self._image).sha256

    def original(self, place: int) -> Array | None:
        """Returns the photo at an octave's size, if anything is compared with it."""
        return self.growth.original(place) if self._needs_original else None

    def by_octave(self, count: int | None = None) -> dict[str, list[float]]:
        """Returns the first losses by the number of their octave."""
        octaves: dict[str, list[float]] = {}
        for octave, loss in self.losses[:count]:
            octaves.setdefault(str(octave), []).append(loss)
        return octaves

    def gradients(self, place: int, total: Array | None = None) -> Mapping[str, Any]:
        """Returns the sum of the gradients' sizes at the whole size, if it is kept."""
        total = self.ascent.transparency.total if total is None else total
        return {} if total is None else {"gradients": self.growth.carried(place, total)}

    def dream(
        self,
        place: int,
        octave: Octave,
        move: Move,
        more: Callable[[], Mapping[str, Any]],
    ) -> Callable[[], Dream]:
        """Returns what makes the dream as if it ended after a move."""
        count, options = len(self.losses), self.ascent.options
        total = self.ascent.transparency.total

        def dream() -> Dream:
            whole = self.growth.finish(place, move.image)
            shown = {} if total is None else self.gradients(place, total)
            every = {**more(), **options, **shown}
            return self.result(whole, self.by_octave(count), False, **every)

        return dream

    def checkpoint(
        self, octave: Octave, move: Move, more: Callable[[], Mapping[str, Any]]
    ) -> Callable[[], Checkpoint]:
        """Returns what makes the checkpoint after a move."""
        count, ended = len(self.losses), self.ascent.ended
        total, copy = self.ascent.transparency.total, self.backend.host_view

        def checkpoint() -> Checkpoint:
            return Checkpoint(
                octave=octave.number,
                iteration=move.iteration,
                losses=tuple(self.losses[:count]),
                recipe_sha256=self._recipe.sha256,
                start_sha256=self._start_sha256,
                recorded_start=self._start.recorded,
                parameters=host(move.parameters, copy),
                fixed=host(move.surface.fixed, copy),
                state=host(move.state, copy),
                start=self._image if self._start.is_given else None,
                opacity=None if total is None else copy(total),
                ended=ended,
                gradient=self._plan.text(until=(octave.number, move.iteration)),
                **more(),
            )

        return checkpoint


def needs_original(recipe: Recipe) -> bool:
    """Tells whether a recipe compares its images with the photo."""
    targets = [term.target for each in recipe.every_network for term in each.terms]
    penalties = (PENALTIES[t.name] for t in targets if isinstance(t, Penalty))
    return (
        any(isinstance(target, Caricature) for target in targets)
        or any(penalty.needs_original for penalty in penalties)
        or any(isinstance(stop, Distance) for stop in recipe.stop)
    )


def _bound(function: Callable[..., Any], *arguments: object) -> Callable[[], Any]:
    """Binds arguments now, so that a step keeps its own image."""
    return lambda: function(*arguments)
