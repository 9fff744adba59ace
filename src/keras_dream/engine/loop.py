"""The one loop: octaves by steps, as a generator of frozen events.

for step in run(...):        progress, previews, cancelling, saving: all consumers
    ...                      stopping is `break`; every step is a whole result
"""

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from keras_dream.backend.protocol import Array, Backend
from keras_dream.engine.canvases import Canvas
from keras_dream.engine.gradients import Gradient
from keras_dream.engine.optimizers import Ascent
from keras_dream.engine.result import Dream
from keras_dream.errors import NonFiniteError
from keras_dream.events import Event
from keras_dream.geometry import Size, jitter_offsets, octave_sizes, taps
from keras_dream.recipe.recipe import Recipe

# Makes a dream of a whole image, the losses by octave, and whether it ran to its end.
Result = Callable[[np.ndarray, Mapping[str, Sequence[float]], bool], Dream]


class Octave(NamedTuple):
    """One size of the picture.

    Attributes:
        number: Its place among the recipe's octaves, from 1, small to large.
        size: (height, width) in pixels.
    """

    number: int
    size: Size


class Parts(NamedTuple):
    """The engine's three parts and where they run."""

    backend: Backend
    canvas: Canvas
    gradient: Gradient
    ascent: Ascent


@dataclass(frozen=True)
class Step(Event):
    """One step of a dream; it never changes once yielded.

    Attributes:
        octave: Number of the octave, from 1.
        octaves: How many octaves the recipe has.
        iteration: Number of the step in its octave, from 1.
        iterations: How many steps an octave may take.
        size: (height, width) of the octave in pixels.
        loss: The loss before the move.
        seconds: How long the step took.
    """

    octave: int
    octaves: int
    iteration: int
    iterations: int
    size: Size
    loss: float
    seconds: float
    _image: Callable[[], np.ndarray] = field(repr=False, compare=False)
    _dream: Callable[[], Dream] = field(repr=False, compare=False)

    def image(self) -> np.ndarray:
        """Returns the image after the move, float32 (height, width, 3), at its size."""
        return self._image()

    @property
    def dream(self) -> Dream:
        """The dream as if it ended here: whole size, detail put back."""
        return self._dream()


def octaves_of(size: Size, recipe: Recipe) -> tuple[Octave, ...]:
    """Returns every octave of a recipe for a picture of `size`, small to large."""
    sizes = octave_sizes(
        size,
        octaves=recipe.octaves,
        octaves_above=recipe.octaves_above,
        octave_scale=recipe.octave_scale,
        rule=recipe.octave_sizes,
    )
    return tuple(Octave(number, size) for number, size in enumerate(sizes, start=1))


def work(size: Size, recipe: Recipe) -> int:
    """Returns what a dream may cost: pixels × steps × networks, over all octaves.

    Args:
        size: The picture's (height, width) in pixels.
        recipe: The recipe.
    """
    sizes = (octave.size for octave in octaves_of(size, recipe))
    return sum(h * w for h, w in sizes) * recipe.steps * len(recipe.terms)


def run(
    original: Array,
    size: Size,
    octaves: Sequence[Octave],
    recipe: Recipe,
    parts: Parts,
    result: Result,
) -> Generator[Step, None, Dream]:
    """Dreams a picture.

    Args:
        original: The picture as a map of the backend, in [0, 1].
        size: Its (height, width) in pixels.
        octaves: The octaves to dream at, at least one, small to large.
        recipe: What decides the dream.
        parts: What computes it.
        result: Makes a dream of an image.

    Yields:
        Every step, after its move.

    Returns:
        The dream; its image is not clipped.

    Raises:
        NonFiniteError: If a gradient holds infinities or is not a number.
    """
    growth = _Growth(original, size, octaves, recipe, parts.backend)
    losses: list[tuple[int, float]] = []
    image: Array = None
    for place, octave in enumerate(octaves):
        image = growth.enter(place, image)
        for step in _climb(image, octave, recipe, parts):
            image = step.image
            losses.append((octave.number, step.loss))
            whole = _later(growth.finish, place, image)
            yield Step(
                octave=octave.number,
                octaves=recipe.octaves + recipe.octaves_above,
                iteration=step.iteration,
                iterations=recipe.steps,
                size=octave.size,
                loss=step.loss,
                seconds=step.seconds,
                _image=_later(parts.backend.to_image, image),
                _dream=_ended(result, whole, losses),
            )
        image = growth.leave(place, image)
    finished = growth.whole(len(octaves) - 1, image)
    return result(finished, _by_octave(losses), True)


def _ended(
    result: Result, whole: Callable[[], np.ndarray], losses: list[tuple[int, float]]
) -> Callable[[], Dream]:
    """Binds a step's own share of the losses, which are still being written."""
    count = len(losses)
    return lambda: result(whole(), _by_octave(losses[:count]), False)


def _by_octave(losses: Sequence[tuple[int, float]]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for octave, loss in losses:
        found.setdefault(str(octave), []).append(loss)
    return found


class _Move(NamedTuple):
    iteration: int
    image: Array
    loss: float
    seconds: float


def _climb(
    image: Array, octave: Octave, recipe: Recipe, parts: Parts
) -> Generator[_Move, None, None]:
    """Makes the steps of one octave."""
    offsets = jitter_offsets(
        recipe.seed, octave.number - 1, recipe.steps, recipe.jitter
    )
    parameters = parts.canvas.parameters(image)
    state = parts.ascent.start()
    for iteration, (down, right) in enumerate(offsets.tolist(), start=1):
        began = time.perf_counter()
        loss, slope = _slope(parts, image, octave.size, (down, right))
        above = recipe.max_loss is not None and loss > recipe.max_loss
        if above and recipe.max_loss_rule == "before":
            return
        pulled = parts.canvas.pull(parameters, slope)
        state, move = parts.ascent.step(state, pulled)
        parameters = parts.backend.add(parameters, move)
        if recipe.clamp:
            parameters = parts.backend.clip(parameters, 0.0, 1.0)
        image = parts.canvas.image(parameters)
        yield _Move(iteration, image, loss, time.perf_counter() - began)
        if above:
            return


def _slope(
    parts: Parts, image: Array, size: Size, offset: tuple[int, int]
) -> tuple[float, Array]:
    """Returns the loss and the gradient, seen through a cyclic shift of the image."""
    down, right = offset
    backend = parts.backend
    if offset == (0, 0):
        value, slope = parts.gradient(image, size)
    else:
        value, slope = parts.gradient(backend.roll(image, down, right), size)
        slope = backend.roll(slope, -down, -right)
    if not backend.is_finite(slope):
        raise NonFiniteError(
            "A gradient must be finite",
            received=f"infinities or not-a-numbers at {size[1]} × {size[0]} pixels",
            hint="try a smaller step_size, clamp, or precision float32",
        )
    return backend.to_float(value), slope


class _Growth:
    """How a picture passes from one octave to the next, and its lost detail with it."""

    def __init__(
        self,
        original: Array,
        size: Size,
        octaves: Sequence[Octave],
        recipe: Recipe,
        backend: Backend,
    ):
        self._backend = backend
        self._recipe = recipe
        self._size = size
        self._sizes = [octave.size for octave in octaves]
        self._bases = self._shrink(original)

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

    def whole(self, place: int, image: Array) -> np.ndarray:
        """Returns an octave's image at the picture's own size, on the host."""
        if self._sizes[place] != self._size:
            image = self._resample(image, self._sizes[place], self._size)
        return self._backend.to_image(image)

    def _move(self, image: Array | None, start: int, end: int) -> Array:
        """Brings an image from one octave's size to another's."""
        if image is None:
            return self._bases[end]
        if self._recipe.detail != "before":
            return self._resized(image, start, end)
        made = self._backend.subtract(image, self._bases[start])
        return self._backend.add(self._bases[end], self._resized(made, start, end))

    def _regain(self, image: Array, start: int, end: int) -> Array:
        """Puts back, after an ascent, what the original lost at the smaller size."""
        if self._recipe.detail != "after":
            return image
        before = self._resized(self._bases[start], start, end)
        lost = self._backend.subtract(self._bases[end], before)
        return self._backend.add(image, lost)

    def _shrink(self, original: Array) -> list[Array]:
        """Returns the original at every octave's size."""
        found = {self._size: original}
        chain, chained = original, self._recipe.octave_sizes == "chained"
        previous = self._size
        for octave in reversed(octaves_of(self._size, self._recipe)):
            below = octave.number <= self._recipe.octaves
            if min(octave.size) < 1 or octave.size in found:
                continue
            if chained and below:
                chain = self._resample(chain, previous, octave.size)
                previous, found[octave.size] = octave.size, chain
            elif octave.size in self._sizes:
                found[octave.size] = self._resample(original, self._size, octave.size)
        return [found[size] for size in self._sizes]

    def _resized(self, image: Array, start: int, end: int) -> Array:
        return self._resample(image, self._sizes[start], self._sizes[end])

    def _resample(self, image: Array, size: Size, target: Size) -> Array:
        if size == target:
            return image
        method = self._recipe.resampling
        rows = taps(size[0], target[0], method)
        columns = taps(size[1], target[1], method)
        return self._backend.resample(image, rows, columns)


def _later(
    function: Callable[..., np.ndarray], *arguments: object
) -> Callable[[], np.ndarray]:
    """Binds arguments now, so that a step keeps its own image."""
    return lambda: function(*arguments)
