"""The one loop: octaves by steps, as an iterator of frozen events.

for step in run(...):        progress, previews, cancelling, saving: all consumers
    ...                      stopping is `break`; every step is a whole result
"""

import itertools
import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np

from keras_dream.backend.protocol import Array, Backend
from keras_dream.engine.checkpoint import Checkpoint, host
from keras_dream.engine.gradients import Gradient
from keras_dream.engine.result import Dream, Step, unpicklable
from keras_dream.engine.transparency import Transparency
from keras_dream.errors import InputError, NonFiniteError
from keras_dream.geometry import Size, fitted, octave_sizes, taps
from keras_dream.parts.canvases import Surface
from keras_dream.parts.filters import Place
from keras_dream.parts.normalizers import Normalizer
from keras_dream.parts.stops import Watched, Watcher
from keras_dream.parts.transforms import View, draw, view_size, views_in_step
from keras_dream.pictures.picture import Picture
from keras_dream.recipe.recipe import Recipe

# Makes a dream of a whole image, the losses by octave, and whether it ran to its end;
# of what each octave added, as `octaves`, where that is kept; and of sentences on why
# octaves ended before their last step, as `ended`, where one did; and of the sum of all
# gradients' sizes, as `gradients`, where the result is transparent.
Result = Callable[..., Dream]


class Octave(NamedTuple):
    """One size of the picture.

    Attributes:
        number: Its place among the recipe's octaves, from 1, small to large.
        size: (height, width) in pixels.
    """

    number: int
    size: Size


class Run(Iterator[Step]):
    """A dream that is being made: an iterator of its steps.

    Args:
        steps: Yields the steps and returns the finished dream.
        unchanged: Makes the dream of no step at all.
    """

    def __init__(
        self, steps: Generator[Step, None, Dream], unchanged: Callable[[], Dream]
    ):
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


def octaves_of(size: Size, recipe: Recipe) -> tuple[Octave, ...]:
    """Returns every octave of a recipe for a picture of `size`, small to large."""
    sizes = octave_sizes(
        fitted(size, recipe.size),
        octaves=recipe.octaves_for(size),
        octaves_above=recipe.octaves_above,
        octave_scale=recipe.octave_scale,
        rule=recipe.octave_sizes,
    )
    return tuple(Octave(number, size) for number, size in enumerate(sizes, start=1))


def work(size: Size, recipe: Recipe) -> int:
    """Returns the cost of a dream: pixels × steps × networks, over all octaves.

    Pixels are those that the networks see.

    Args:
        size: The picture's (height, width) in pixels.
        recipe: The recipe.
    """
    transforms = recipe.transforms
    return sum(
        math.prod(view_size(transforms, octave.size))
        * views_in_step(transforms)
        * recipe.at(octave.number).steps
        * len(recipe.at(octave.number).every_network)
        for octave in octaves_of(size, recipe)
    )


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
    weights: Callable[[Size], Array | None] = lambda _: None,
    keep_octaves: bool = False,
) -> Run:
    """Dreams a picture.

    Args:
        image: The picture that the dream starts from, float32 (h, w, 3) in [0, 1]. It
            is its detail that is put back.
        octaves: The octaves to dream at, at least one, small to large.
        recipe: What decides the dream.
        gradient_of: Returns the loss and the gradient of an image, for an octave.
        backend: Where it is computed.
        result: Makes a dream of an image.
        original: The photo, of the image's size; None for the image itself.
        resumed: The step after which the run goes on; None for its beginning.
        weights: Returns for an octave's (height, width) a map of one channel, 0 or
            more: it multiplies the image's gradient and weighs the statistics of the
            normalizer. None for all alike.
        keep_octaves: Whether `result` is given what each octave added.

    Returns:
        The run; its dream's image is not clipped.

    Raises:
        InputError: If the run cannot go on from `resumed`.
        NonFiniteError: While it runs, if a gradient is infinite or not a number.
    """
    image = image.copy()  # the caller may write to it between two steps
    growth = _Growth(image, octaves, recipe, backend, original=original)
    count = len(octaves_of(growth.size, recipe))
    ascent = _Ascent(recipe, gradient_of, weights, count, backend)
    course = _Course(recipe, image, growth, ascent, backend, result)
    if resumed is None:
        steps = _steps(course, octaves, count, keep_octaves, None)
        return Run(steps, lambda: result(image.copy(), {}, False))
    place = _check_resumed(resumed, octaves, keep_octaves)
    ascent.restore(resumed, growth, octaves[place])
    course.losses += resumed.losses
    steps = _steps(course, octaves, count, keep_octaves, resumed)
    octave, base = octaves[place], growth.enter(place, None)
    restored = next(ascent.moves(base, octave, growth.original(place), resumed))
    return Run(steps, course.dream(place, octave, restored, dict))


def _check_resumed(
    resumed: Checkpoint, octaves: Sequence[Octave], keep_octaves: bool
) -> int:
    """Returns the place of the octave in which a run goes on."""
    if keep_octaves:
        raise InputError(
            "A dream that goes on from a checkpoint must do without its octaves",
            received="octave strengths, or octaves to be kept",
            hint="leave octave_strengths and --save-octaves out",
        )
    numbers = [octave.number for octave in octaves]
    if resumed.octave not in numbers:
        raise _unfit(f"octave {resumed.octave} for {len(numbers)} octaves")
    return numbers.index(resumed.octave)


def _unfit(received: str) -> InputError:
    return InputError(
        "A checkpoint must be of the same canvas, optimizer and octaves",
        received=received,
        hint="go on with its own recipe and photo, or begin anew from its image",
    )


def _steps(
    course: "_Course",
    octaves: Sequence[Octave],
    count: int,
    keep_octaves: bool,
    resumed: Checkpoint | None,
) -> Generator[Step, None, Dream]:
    growth, ascent, backend = course.growth, course.ascent, course.backend
    additions = _Additions(growth, backend, keep=keep_octaves)
    image: Array = None
    for place, octave in enumerate(octaves):
        if resumed is not None and octave.number < resumed.octave:
            continue
        began = resumed if resumed and resumed.octave == octave.number else None
        image = entered = growth.enter(place, image)
        if place and began is None:
            ascent.transparency.resize(_bound_resize(growth, place))
        for move in ascent.moves(image, octave, growth.original(place), began):
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
                _checkpoint=course.checkpoint(octave, move),
            )
        additions.keep(place, octave, entered, image)
        image = growth.leave(place, image)
    last = len(octaves) - 1
    options = {**additions.options, **ascent.options, **course.gradients(last)}
    return course.result(growth.whole(last, image), course.by_octave(), True, **options)


def _bound_resize(growth: "_Growth", place: int) -> Callable[[Array], Array]:
    return lambda x: growth.resized(x, place - 1, place)


class _Course:
    """What the steps of a run have in common, and the results that can be made of them.

    A result binds its own share of what is still being written.
    """

    def __init__(
        self,
        recipe: Recipe,
        image: np.ndarray,
        growth: "_Growth",
        ascent: "_Ascent",
        backend: Backend,
        result: Result,
    ):
        self._recipe = recipe
        self._image = image
        self.growth = growth
        self.ascent = ascent
        self.backend = backend
        self.result = result
        self.losses: list[tuple[int, float]] = []

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
        move: "_Move",
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

    def checkpoint(self, octave: Octave, move: "_Move") -> Callable[[], Checkpoint]:
        """Returns what makes the checkpoint after a move."""
        count, ended = len(self.losses), self.ascent.ended
        total, copy = self.ascent.transparency.total, self.backend.to_image

        def checkpoint() -> Checkpoint:
            return Checkpoint(
                octave=octave.number,
                iteration=move.iteration,
                losses=tuple(self.losses[:count]),
                recipe_sha256=self._recipe.sha256,
                start_sha256=Picture(self._image).sha256,
                parameters=host(move.parameters, copy),
                fixed=host(move.surface.fixed, copy),
                state=host(move.state, copy),
                opacity=None if total is None else copy(total),
                ended=ended,
            )

        return checkpoint


class _Move(NamedTuple):
    iteration: int
    iterations: int
    image: Array
    loss: float
    seconds: float
    surface: Surface
    parameters: tuple[Array, ...]
    state: Any
    is_restored: bool = False  # no move, but the image from which a run goes on


class _Ascent:
    """Gradient ascent within an octave: canvas, gradient, normalizer and optimizer."""

    def __init__(
        self,
        recipe: Recipe,
        gradient_of: Callable[[Octave], Gradient],
        weights: Callable[[Size], Array | None],
        octaves: int,
        backend: Backend,
    ):
        self._recipe = recipe
        self._gradient_of = gradient_of
        self._weights = weights
        self._octaves = octaves
        self._backend = backend
        self._normalizer = Normalizer(recipe.normalizer, recipe.epsilon, backend)
        self.ended: tuple[str, ...] = ()
        self.transparency = Transparency(backend, keep=recipe.transparency)

    @property
    def options(self) -> Mapping[str, Any]:
        """Why octaves have ended before their last step, for `result`."""
        return {"ended": self.ended} if self.ended else {}

    def restore(self, resumed: Checkpoint, growth: "_Growth", octave: Octave) -> None:
        """Takes up what earlier octaves have left."""
        self.ended = resumed.ended
        if resumed.image is not None and resumed.image.shape != (*octave.size, 3):
            raise _unfit(f"an image of the shape {resumed.image.shape}")
        if resumed.opacity is not None and self._recipe.transparency:
            if resumed.opacity.shape != (*octave.size, 3):
                raise _unfit(f"gradients of the shape {resumed.opacity.shape}")
            self.transparency.total = self._backend.image(resumed.opacity)

    def _begin(
        self, surface: Surface, image: Array, resumed: Checkpoint | None
    ) -> tuple[tuple[Array, ...], Any]:
        """Returns the parameters and the optimizer's state of an octave's next step."""
        b, optimizer = self._backend, self._recipe.optimizer
        if resumed is None:
            parameters = surface.parameters(image)
            if not surface.is_identity:  # in the layout that a checkpoint gives them
                parameters = tuple(b.image(b.to_image(x)) for x in parameters)
            return parameters, optimizer.start()
        if resumed.image is not None:
            return surface.parameters(b.image(resumed.image)), optimizer.start()
        parameters = surface.parameters(image)
        shapes = [b.to_image(x).shape for x in (*parameters, *surface.fixed)]
        found = [x.shape for x in (*resumed.parameters, *resumed.fixed)]
        if shapes != found:
            raise _unfit(f"parameters of the shapes {found}")
        surface.fixed = tuple(map(b.image, resumed.fixed))
        parameters = tuple(map(b.image, resumed.parameters))
        try:  # a step on nothing: a state that is forged may break it in any way
            state = host(resumed.state, b.image)
            zeros = tuple(b.multiply(x, 0.0) for x in parameters)
            _, updates = optimizer.step(b, state, zeros, divisor=1.0, step_size=0.0)
            moved = tuple(map(b.add, parameters, updates))
            fits = [b.to_image(x).shape for x in moved] == found[: len(moved)]
        except Exception:  # noqa: BLE001
            state, fits = None, False
        if not fits:
            raise _unfit(f"another state than that of {optimizer.text}")
        return parameters, state

    def moves(
        self, image: Array, octave: Octave, original: Array, resumed: Checkpoint | None
    ) -> Iterator[_Move]:
        """Makes the steps of an octave.

        Args:
            image: The image that it begins with.
            octave: The octave.
            original: The photo at the octave's size.
            resumed: The step after which it goes on: what comes first is its image.
        """
        recipe, optimizer = self._recipe.at(octave.number), self._recipe.optimizer
        gradient_of, weights = self._gradient_of(octave), self._weights(octave.size)
        surface = recipe.canvas.on(self._backend, octave.size, recipe.wrap)
        to_parameters = pull_back(surface, self._backend)
        watchers = self._watchers(octave, original)
        parameters, state = self._begin(surface, image, resumed)
        image = first = surface.image(parameters)
        made = resumed.iteration if resumed else 0
        if resumed:
            held = (surface, parameters, state)
            yield _Move(made, recipe.steps, image, 0.0, 0.0, *held, is_restored=True)
            if self._is_over(recipe, resumed, watchers, image):
                return
        views_of_steps = itertools.islice(self._views(recipe, octave), made, None)
        for iteration, views in enumerate(views_of_steps, start=made + 1):
            began = time.perf_counter()
            seen = self._seen(gradient_of, image, octave.size, views, original)
            loss, image_gradient = seen
            above = recipe.max_loss is not None and loss > recipe.max_loss
            if above and recipe.max_loss_rule == "before":
                return
            if recipe.filters:
                progress = (iteration - 1) / max(recipe.steps - 1, 1)
                place = Place(octave.size, progress, weights, recipe.wrap)
                image_gradient = self._filtered(image_gradient, place)
            weighed = self._weighed(image_gradient, weights)
            gradients = to_parameters(parameters, weighed)
            divisor = self._divisor(surface, image_gradient, gradients, weights, views)
            self.transparency.add(weighed, divisor)
            state, updates = optimizer.step(
                self._backend,
                state,
                gradients,
                divisor=divisor,
                step_size=recipe.step_size * recipe.strength,
            )
            parameters = self._moved(surface, parameters, updates)
            image = surface.image(parameters)
            seconds = time.perf_counter() - began
            reason = next(filter(None, (w(loss, image) for w in watchers)), "")
            if reason and iteration < recipe.steps:
                steps = f"{iteration} of {recipe.steps} steps"
                self._end(octave, f"ended after {steps}: {reason}")
            held = (surface, parameters, state)
            yield _Move(iteration, recipe.steps, image, loss, seconds, *held)
            if above or reason:
                return
        if recipe.steps and resumed is None:
            self._check_changed(octave, first, image)

    def _check_changed(self, octave: Octave, first: Array, image: Array) -> None:
        """Notes it where all steps of an octave have had no gradient."""
        backend = self._backend
        difference = backend.absolute(backend.subtract(image, first))
        if backend.to_float(backend.sum(difference)) == 0:
            how = "has changed nothing: nothing there responds to the objective"
            self._end(octave, how)

    def _moved(
        self, surface: Surface, parameters: tuple[Array, ...], updates: Sequence[Array]
    ) -> tuple[Array, ...]:
        moved = tuple(map(self._backend.add, parameters, updates))
        return surface.clamp(moved) if self._recipe.clamp else moved

    def _filtered(self, gradient: Array, place: Place) -> Array:
        for filtered in self._recipe.filters:
            gradient = filtered.apply(self._backend, gradient, place)
        return gradient

    def _end(self, octave: Octave, how: str) -> None:
        self.ended = (*self.ended, f"Octave {octave.number} {how}.")

    def _is_over(
        self,
        recipe: Recipe,
        resumed: Checkpoint,
        watchers: Sequence[Watcher],
        image: Array,
    ) -> bool:
        """Tells whether the step that a run goes on from was its octave's last."""
        losses = [loss for number, loss in resumed.losses if number == resumed.octave]
        reasons: list[str] = []
        for loss in losses:
            reasons = [watcher(loss, image) for watcher in watchers]
        most = recipe.max_loss if recipe.max_loss_rule == "after" else None
        above = most is not None and bool(losses) and losses[-1] > most
        return above or any(reasons)

    def _watchers(self, octave: Octave, original: Array) -> list[Watcher]:
        """Returns what may end an octave after any of its steps."""
        watched = Watched(octave.number / self._octaves, original)
        return [stop.watch(self._backend, watched) for stop in self._recipe.stop]

    def _views(self, recipe: Recipe, octave: Octave) -> Iterator[tuple[View, ...]]:
        return draw(
            octave.size,
            recipe.transforms,
            seed=recipe.seed,
            octave=octave.number - 1,
            steps=recipe.steps,
            jitter=recipe.jitter,
            backend=self._backend,
        )

    def _seen(
        self,
        gradient: Gradient,
        image: Array,
        size: Size,
        views: tuple[View, ...],
        original: Array,
    ) -> tuple[float, Array]:
        """Returns the means of the loss and the gradient over a step's views."""
        b, (first, *others) = self._backend, views
        value, total = gradient(image, size, view=first, original=original)
        for view in others:
            another, more = gradient(image, size, view=view, original=original)
            value, total = b.add(value, another), b.add(total, more)
        if others:
            value = b.divide(value, len(views))
            total = b.divide(total, len(views))
        return self._checked(value, total, size), total

    def _divisor(
        self,
        surface: Surface,
        image_gradient: Array,
        gradients: tuple[Array, ...],
        weights: Array | None,
        views: tuple[View, ...],
    ) -> float:
        """Returns what the gradients are divided by."""
        if not surface.is_identity:
            movement = surface.movement(gradients)
            return self._normalizer.divisor(movement, weights=weights)
        # Pixels are measured before they are weighed, or weights would count twice.
        unseen = math.prod(1 - view.share for view in views)
        return self._normalizer.divisor(
            image_gradient, weights=weights, share=1 - unseen
        )

    def _weighed(self, gradient: Array, weights: Array | None) -> Array:
        if weights is None:
            return gradient
        return self._backend.multiply(gradient, weights)

    def _checked(self, value: Array, gradient: Array, size: Size) -> float:
        """Returns the loss; a gradient that is not finite is refused."""
        if not self._backend.is_finite(gradient):
            raise NonFiniteError(
                "A gradient must be finite",
                received=f"infinities or not-a-numbers at {size[1]} × {size[0]} pixels",
                hint="try a smaller step_size, clamp, or precision float32",
            )
        return self._backend.to_float(value)


def pull_back(
    surface: Surface, backend: Backend
) -> Callable[[tuple[Array, ...], Array], tuple[Array, ...]]:
    """Returns what takes a gradient from the image to the parameters of a canvas.

    The backend differentiates the canvas: the gradient of ⟨image(parameters), g⟩, with
    g held fixed, is that of loss ∘ canvas where g is the loss' gradient at the image.
    """
    if surface.is_identity:
        return lambda _, gradient: (gradient,)

    def product(parameters: Any, _: Any, gradient: Array) -> Array:
        return backend.sum(backend.multiply(surface.image(parameters), gradient))

    differentiated = backend.value_and_grad(product)
    return lambda parameters, gradient: differentiated(parameters, (), gradient)[1]


class _Growth:
    """How a picture passes from one octave to the next, and its lost detail with it.

    Args:
        image: The image that the dream starts from.
        octaves: The octaves.
        recipe: The recipe.
        backend: Where it is computed.
        original: The photo, or None.
    """

    def __init__(
        self,
        image: np.ndarray,
        octaves: Sequence[Octave],
        recipe: Recipe,
        backend: Backend,
        *,
        original: np.ndarray | None,
    ):
        self._backend = backend
        self._recipe = recipe
        self.size = (image.shape[0], image.shape[1])
        self._sizes = [octave.size for octave in octaves]
        self._bases = self._originals = self._shrink(backend.image(image))
        if original is not None:
            self._originals = self._shrink(backend.image(original))

    def original(self, place: int) -> Array:
        """Returns the photo at an octave's size."""
        return self._originals[place]

    def enter(self, place: int, image: Array | None) -> Array:
        """Returns the image that an octave begins with."""
        return self._move(image, place - 1, place)

    def leave(self, place: int, image: Array) -> Array:
        """Returns the image that an octave ends with."""
        return image if place == 0 else self._regain(image, place - 1, place)

    def finish(self, place: int, image: Array) -> np.ndarray:
        """Returns the whole picture for an image inside an octave."""
        image, last = self.leave(place, image), len(self._sizes) - 1
        if place < last:
            image = self._regain(self._move(image, place, last), place, last)
        return self.whole(last, image)

    def carried(self, place: int, change: Array) -> np.ndarray:
        """Returns what an octave added, as the picture's own size has it at the end."""
        last = len(self._sizes) - 1
        for start in range(place, last):
            change = self.resized(change, start, start + 1)
        return self.whole(last, change)

    def whole(self, place: int, image: Array) -> np.ndarray:
        """Returns an octave's image at the picture's own size, on the host."""
        if self._sizes[place] != self.size:
            image = self._resample(image, self._sizes[place], self.size)
        return self._backend.to_image(image)

    def _move(self, image: Array | None, start: int, end: int) -> Array:
        """Brings an image from one octave's size to another's."""
        if image is None:
            return self._bases[end]
        if self._recipe.detail != "before":
            return self.resized(image, start, end)
        difference = self._backend.subtract(image, self._bases[start])
        return self._backend.add(self._bases[end], self.resized(difference, start, end))

    def _regain(self, image: Array, start: int, end: int) -> Array:
        """Puts back, after the steps, what the original lost at the smaller size."""
        if self._recipe.detail != "after":
            return image
        before = self.resized(self._bases[start], start, end)
        lost = self._backend.subtract(self._bases[end], before)
        return self._backend.add(image, lost)

    def _shrink(self, original: Array) -> list[Array]:
        """Returns the original at every octave's size."""
        bases = {self.size: original}
        chain, chained = original, self._recipe.octave_sizes == "chained"
        own = self._recipe.octaves_for(self.size)
        previous = self.size
        for octave in reversed(octaves_of(self.size, self._recipe)):
            below = octave.number <= own
            if min(octave.size) < 1 or octave.size in bases:
                continue
            if chained and below:
                chain = self._resample(chain, previous, octave.size)
                previous, bases[octave.size] = octave.size, chain
            elif octave.size in self._sizes:
                bases[octave.size] = self._resample(original, self.size, octave.size)
        return [bases[size] for size in self._sizes]

    def resized(self, image: Array, start: int, end: int) -> Array:
        """Returns a map of one octave at another one's size."""
        return self._resample(image, self._sizes[start], self._sizes[end])

    def _resample(self, image: Array, size: Size, target: Size) -> Array:
        if size == target:
            return image
        method, wrap = self._recipe.resampling, self._recipe.wrap
        rows = taps(size[0], target[0], method, wrap=wrap == "both")
        columns = taps(size[1], target[1], method, wrap=wrap != "none")
        return self._backend.resample(image, rows, columns)


class _Additions:
    """What the steps of each octave added, at the whole size, if that is kept."""

    def __init__(self, growth: _Growth, backend: Backend, *, keep: bool):
        self._growth = growth
        self._backend = backend
        self._octaves: dict[int, np.ndarray] | None = {} if keep else None

    @property
    def options(self) -> Mapping[str, Any]:
        """What `Result` is called with."""
        return {} if self._octaves is None else {"octaves": self._octaves}

    def keep(self, place: int, octave: Octave, entered: Array, left: Array) -> None:
        """Keeps what the steps added to the image that entered an octave."""
        if self._octaves is not None:
            added = self._carried(place, entered, left)
            self._octaves = {**self._octaves, octave.number: added}

    def at(
        self, place: int, octave: Octave, entered: Array, left: Array
    ) -> Callable[[], Mapping[str, Any]]:
        """Returns what a step's `Result` is called with, computed when asked for."""
        earlier = self._octaves
        if earlier is None:
            return dict  # and no array is held
        number = octave.number
        return lambda: {
            "octaves": {**earlier, number: self._carried(place, entered, left)}
        }

    def _carried(self, place: int, entered: Array, left: Array) -> np.ndarray:
        change = self._backend.subtract(left, entered)
        return self._growth.carried(place, change).astype(np.float16)


def _bound(function: Callable[..., Any], *arguments: object) -> Callable[[], Any]:
    """Binds arguments now, so that a step keeps its own image."""
    return lambda: function(*arguments)
