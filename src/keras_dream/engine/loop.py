"""The one loop: octaves by steps, as an iterator of frozen events.

for step in run(...):        progress, previews, cancelling, saving: all consumers
    ...                      stopping is `break`; every step is a whole result
"""

import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np

from keras_dream.backend.protocol import Array, Backend
from keras_dream.engine.gradients import Gradient
from keras_dream.engine.result import Dream, Step, unpicklable
from keras_dream.errors import NonFiniteError
from keras_dream.geometry import Size, fitted, octave_sizes, taps
from keras_dream.parts.canvases import Surface
from keras_dream.parts.filters import Place
from keras_dream.parts.normalizers import Normalizer
from keras_dream.parts.stops import Watched, Watcher
from keras_dream.parts.transforms import View, draw, view_size, views_in_step
from keras_dream.recipe.recipe import Recipe

# Makes a dream of a whole image, the losses by octave, and whether it ran to its end;
# of what each octave added, as `octaves`, where that is kept; and of sentences on why
# octaves ended before their last step, as `ended`, where one did.
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

    def __next__(self) -> Step:
        try:
            step = next(self._steps)
        except StopIteration as end:
            finished = end.value
            if finished is not None:  # None when it is asked once more after its end
                self._dream = lambda: finished
            raise StopIteration from None
        self._dream = lambda: step.dream
        return step

    @property
    def dream(self) -> Dream:
        """The finished dream after the last step; before that, the dream so far."""
        return self._dream()

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
        weights: Returns for an octave's (height, width) a map of one channel, 0 or
            more: it multiplies the image's gradient and weighs the statistics of the
            normalizer. None for all alike.
        keep_octaves: Whether `result` is given what each octave added.

    Returns:
        The run; its dream's image is not clipped.

    Raises:
        NonFiniteError: While it runs, if a gradient is infinite or not a number.
    """
    image = image.copy()  # the caller may write to it between two steps
    growth = _Growth(image, octaves, recipe, backend, original=original)
    count = len(octaves_of(growth.size, recipe))
    ascent = _Ascent(recipe, gradient_of, weights, count, backend)
    steps = _steps(growth, octaves, recipe, ascent, backend, result, keep_octaves)
    return Run(steps, lambda: result(image.copy(), {}, False))


def _steps(
    growth: "_Growth",
    octaves: Sequence[Octave],
    recipe: Recipe,
    ascent: "_Ascent",
    backend: Backend,
    result: Result,
    keep_octaves: bool,
) -> Generator[Step, None, Dream]:
    additions = _Additions(growth, backend, keep=keep_octaves)
    count = len(octaves_of(growth.size, recipe))
    losses: list[tuple[int, float]] = []
    image: Array = None
    for place, octave in enumerate(octaves):
        image = entered = growth.enter(place, image)
        for move in ascent.moves(image, octave, growth.original(place)):
            image = move.image
            losses.append((octave.number, move.loss))
            whole = _bound(growth.finish, place, image)
            yield Step(
                octave=octave.number,
                octaves=count,
                iteration=move.iteration,
                iterations=move.iterations,
                size=octave.size,
                loss=move.loss,
                seconds=move.seconds,
                _image=_bound(backend.to_image, image),
                _dream=_dream_so_far(
                    result,
                    whole,
                    losses,
                    additions.at(place, octave, entered, image),
                    ascent.options,
                ),
            )
        additions.keep(place, octave, entered, image)
        image = growth.leave(place, image)
    finished = growth.whole(len(octaves) - 1, image)
    options = {**additions.options, **ascent.options}
    return result(finished, _by_octave(losses), True, **options)


def _dream_so_far(
    result: Result,
    whole: Callable[[], np.ndarray],
    losses: list[tuple[int, float]],
    options: Callable[[], Mapping[str, Any]],
    more: Mapping[str, Any],
) -> Callable[[], Dream]:
    """Binds a step's own share of the losses, which are still being written."""
    count = len(losses)
    return lambda: result(
        whole(), _by_octave(losses[:count]), False, **options(), **more
    )


def _by_octave(losses: Sequence[tuple[int, float]]) -> dict[str, list[float]]:
    octaves: dict[str, list[float]] = {}
    for octave, loss in losses:
        octaves.setdefault(str(octave), []).append(loss)
    return octaves


class _Move(NamedTuple):
    iteration: int
    iterations: int
    image: Array
    loss: float
    seconds: float


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
        self._ended: tuple[str, ...] = ()

    @property
    def options(self) -> Mapping[str, Any]:
        """Why octaves have ended before their last step, for `result`."""
        return {"ended": self._ended} if self._ended else {}

    def moves(self, image: Array, octave: Octave, original: Array) -> Iterator[_Move]:
        """Makes the steps of an octave, from the image that it begins with.

        Args:
            image: That image.
            octave: The octave.
            original: The photo at the octave's size.
        """
        recipe, optimizer = self._recipe.at(octave.number), self._recipe.optimizer
        gradient_of, weights = self._gradient_of(octave), self._weights(octave.size)
        surface = recipe.canvas.on(self._backend, octave.size, recipe.wrap)
        to_parameters = pull_back(surface, self._backend)
        watchers = self._watchers(octave, original)
        parameters, state = surface.parameters(image), optimizer.start()
        image = first = surface.image(parameters)
        for iteration, views in enumerate(self._views(recipe, octave), start=1):
            began = time.perf_counter()
            loss, image_gradient = self._seen(
                gradient_of, image, octave.size, views, original
            )
            above = recipe.max_loss is not None and loss > recipe.max_loss
            if above and recipe.max_loss_rule == "before":
                return
            progress = (iteration - 1) / max(recipe.steps - 1, 1)
            place = Place(octave.size, progress, weights, recipe.wrap)
            for filtered in recipe.filters:
                image_gradient = filtered.apply(self._backend, image_gradient, place)
            gradients = to_parameters(
                parameters, self._weighed(image_gradient, weights)
            )
            state, updates = optimizer.step(
                self._backend,
                state,
                gradients,
                divisor=self._divisor(
                    surface, image_gradient, gradients, weights, views
                ),
                step_size=recipe.step_size * recipe.strength,
            )
            parameters = tuple(map(self._backend.add, parameters, updates))
            if recipe.clamp:
                parameters = surface.clamp(parameters)
            image = surface.image(parameters)
            seconds = time.perf_counter() - began
            reason = next(filter(None, (w(loss, image) for w in watchers)), "")
            if reason and iteration < recipe.steps:
                steps = f"{iteration} of {recipe.steps} steps"
                sentence = f"Octave {octave.number} ended after {steps}: {reason}."
                self._ended = (*self._ended, sentence)
            yield _Move(iteration, recipe.steps, image, loss, seconds)
            if above or reason:
                return
        if recipe.steps:
            self._check_changed(octave, first, image)

    def _check_changed(self, octave: Octave, first: Array, image: Array) -> None:
        """Notes it where all steps of an octave have had no gradient."""
        backend = self._backend
        difference = backend.absolute(backend.subtract(image, first))
        if backend.to_float(backend.sum(difference)) == 0:
            sentence = (
                f"Octave {octave.number} has changed nothing: nothing there responds "
                "to the objective."
            )
            self._ended = (*self._ended, sentence)

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
            change = self._resized(change, start, start + 1)
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
            return self._resized(image, start, end)
        difference = self._backend.subtract(image, self._bases[start])
        return self._backend.add(
            self._bases[end], self._resized(difference, start, end)
        )

    def _regain(self, image: Array, start: int, end: int) -> Array:
        """Puts back, after the steps, what the original lost at the smaller size."""
        if self._recipe.detail != "after":
            return image
        before = self._resized(self._bases[start], start, end)
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

    def _resized(self, image: Array, start: int, end: int) -> Array:
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
