"""Gradient ascent within an octave."""

import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from keras_dream.backend.protocol import Array, Backend
from keras_dream.engine.checkpoint import Checkpoint, host
from keras_dream.engine.gradients import Gradient
from keras_dream.engine.growth import Growth, Octave
from keras_dream.engine.transparency import Transparency
from keras_dream.errors import InputError, NonFiniteError
from keras_dream.geometry import Size
from keras_dream.parts.canvases import Surface
from keras_dream.parts.filters import Place
from keras_dream.parts.normalizers import Normalizer
from keras_dream.parts.part import Arrays
from keras_dream.parts.stops import Watched, Watcher
from keras_dream.parts.transforms import View, draw
from keras_dream.recipe.recipe import Recipe

ROUNDING = 1e-5  # more than float32 loses between a canvas's numbers and its image
_ROWS = 128  # of an image that are looked at at once for a change


class Move(NamedTuple):
    """What a step has moved.

    Attributes:
        iteration: Number of the step in its octave, from 1.
        iterations: How many steps the octave may have.
        image: The image after it, a map of 3 channels.
        loss: The loss before it.
        seconds: How long it took.
        surface: The canvas.
        parameters: The canvas' parameters after it.
        state: The optimizer's.
        is_restored: Whether it is no move, but the image from which a run goes on.
    """

    iteration: int
    iterations: int
    image: Array
    loss: float
    seconds: float
    surface: Surface
    parameters: tuple[Array, ...]
    state: Any
    is_restored: bool = False


class Ascent:
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

    def restore(self, resumed: Checkpoint, growth: "Growth", octave: Octave) -> None:
        """Takes up what earlier octaves have left."""
        self.ended = resumed.ended
        if resumed.image is not None and resumed.image.shape != (*octave.size, 3):
            raise unfit(f"an image of the shape {resumed.image.shape}")
        if resumed.opacity is not None and self._recipe.transparency:
            if resumed.opacity.shape != (*octave.size, 3):
                raise unfit(f"gradients of the shape {resumed.opacity.shape}")
            self.transparency.total = self._backend.image(resumed.opacity)

    def _begin(
        self, surface: Surface, image: Array, resumed: Checkpoint | None
    ) -> tuple[tuple[Array, ...], Any]:
        """Returns the parameters and the optimizer's state of an octave's next step."""
        b, optimizer = self._backend, self._recipe.optimizer
        if resumed is None:
            return surface.parameters(image), optimizer.start()
        if resumed.image is not None:
            return surface.parameters(b.image(resumed.image)), optimizer.start()
        parameters = surface.parameters(image)
        shapes = [b.to_image(x).shape for x in (*parameters, *surface.fixed)]
        found = [x.shape for x in (*resumed.parameters, *resumed.fixed)]
        if shapes != found:
            raise unfit(f"parameters of the shapes {found}")
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
            raise unfit(f"another state than that of {optimizer.text}")
        return parameters, state

    def moves(
        self,
        image: Array,
        octave: Octave,
        original: Array | None,
        resumed: Checkpoint | None,
    ) -> Iterator[Move]:
        """Makes the steps of an octave.

        Args:
            image: The image that it begins with.
            octave: The octave.
            original: The photo at the octave's size; None where nothing looks at it.
            resumed: The step after which it goes on: what comes first is its image.
        """
        recipe = self._recipe.at(octave.number)
        gradient_of, weights = self._gradient_of(octave), self._weights(octave.size)
        surface = recipe.canvas.on(self._backend, octave.size, recipe.wrap)
        to_parameters = pull_back(surface, self._backend)
        watchers = self._watchers(octave, original)
        parameters, state = self._begin(surface, image, resumed)
        image = surface.image(parameters)
        # The image that the octave began with, until a step has changed it.
        unchanged = [] if resumed else [image]
        made = resumed.iteration if resumed else 0
        if resumed:
            held = (surface, parameters, state)
            yield Move(made, recipe.steps, image, 0.0, 0.0, *held, is_restored=True)
            if self._is_over(recipe, resumed, watchers, image):
                return
        views_of_steps = itertools.islice(self._views(recipe, octave), made, None)
        for iteration, views in enumerate(views_of_steps, start=made + 1):
            began = time.perf_counter()
            loss, gradient = self._seen(
                gradient_of, image, octave.size, views, original
            )
            above = recipe.max_loss is not None and loss > recipe.max_loss
            if above and recipe.max_loss_rule == "before":
                return
            progress = (iteration - 1) / max(recipe.steps - 1, 1)
            place = Place(octave.size, progress, weights, recipe.wrap, _share(views))
            pictures, gradient = [gradient], None
            gradients, divisor = self._pulled(
                pictures, place, parameters, surface, to_parameters
            )
            state, updates = self._stepped(recipe, state, gradients, divisor)
            parameters = self._moved(surface, parameters, updates, weights)
            image = surface.image(parameters)
            seconds = time.perf_counter() - began
            if unchanged and self._is_changed(unchanged[0], image):
                unchanged.clear()
            reason = next(filter(None, (w(loss, image) for w in watchers)), "")
            self._note_early_end(octave, reason, iteration, recipe.steps)
            held = (surface, parameters, state)
            yield Move(iteration, recipe.steps, image, loss, seconds, *held)
            if above or reason:
                return
        if recipe.steps and unchanged:
            how = "has changed nothing: nothing there responds to the objective"
            self._end(octave, how)

    def _pulled(
        self,
        pictures: list[Array],
        place: Place,
        parameters: Arrays,
        surface: Surface,
        to_parameters: Callable[[Arrays, Array], Arrays],
    ) -> tuple[list[Arrays], float]:
        """Returns the gradients of the parameters, and what they are divided by.

        A large picture is hundreds of megabytes. So those of a step are handed on in
        lists, out of which whoever needs one last takes it.

        Args:
            pictures: The image's gradient alone, which is taken out.
            place: Where in the dream it is.
            parameters: The canvas' parameters.
            surface: The canvas.
            to_parameters: Takes the gradient to them.
        """
        for filtered in self._recipe.filters:
            pictures.append(filtered.apply(self._backend, pictures.pop(), place))
        gradient = pictures.pop()
        weighed = self._weighed(gradient, place.weights)
        gradients = to_parameters(parameters, weighed)
        divisor = self._divisor(surface, gradient, gradients, place)
        self.transparency.add(weighed, divisor)
        return [gradients], divisor

    def _stepped(
        self, recipe: Recipe, state: Any, gradients: list[Arrays], divisor: float
    ) -> tuple[Any, list[Array]]:
        """Returns the optimizer's next state and what is added to the parameters."""
        step_size = recipe.step_size * recipe.strength
        state, updates = recipe.optimizer.step(
            self._backend, state, gradients.pop(), divisor=divisor, step_size=step_size
        )
        return state, list(updates)

    def _note_early_end(
        self, octave: Octave, reason: str, iteration: int, steps: int
    ) -> None:
        if reason and iteration < steps:
            self._end(octave, f"ended after {iteration} of {steps} steps: {reason}")

    def _is_changed(self, first: Array, image: Array) -> bool:
        """Tells whether the steps so far have changed the image of an octave.

        It is looked at in bands, of which the first nearly always tells.
        """
        b = self._backend
        height = int(b.size(image)[0])
        for top in range(0, height, _ROWS):
            band = (top, max(height - top - _ROWS, 0), 0, 0)
            before, after = b.crop(first, band), b.crop(image, band)
            if self._recipe.clamp:  # resampling may have left [0, 1]
                before = b.clip(before, 0.0, 1.0)
            more = b.subtract(b.absolute(b.subtract(after, before)), ROUNDING)
            if b.to_float(b.sum(b.activation(more, "relu"))) != 0:
                return True
        return False

    def _moved(
        self,
        surface: Surface,
        parameters: Arrays,
        updates: list[Array],
        weights: Array | None,
    ) -> Arrays:
        """Returns the parameters after a step, and takes its updates out."""
        if self._recipe.optimizer.is_scale_free and surface.is_local:
            updates[:] = [self._weighed(update, weights) for update in updates]
        moved = tuple(self._backend.add(x, updates.pop(0)) for x in parameters)
        return surface.clamp(moved) if self._recipe.clamp else moved

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

    def _watchers(self, octave: Octave, original: Array | None) -> list[Watcher]:
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
        original: Array | None,
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
        loss = b.to_float(value)
        check_finite(loss, b.is_finite(total), size, self._recipe)
        return loss, total

    def _divisor(
        self,
        surface: Surface,
        image_gradient: Array,
        gradients: Arrays,
        place: Place,
    ) -> float:
        """Returns what the gradients are divided by."""
        share = place.share if surface.is_local else 1.0
        # Pixels are measured before they are weighed, or weights would count twice.
        movement = image_gradient
        if not surface.is_identity:
            movement = surface.movement(gradients)
        return self._normalizer.divisor(movement, weights=place.weights, share=share)

    def _weighed(self, gradient: Array, weights: Array | None) -> Array:
        if weights is None:
            return gradient
        return self._backend.multiply(gradient, weights)


def check_finite(loss: float, is_finite: bool, size: Size, recipe: Recipe) -> None:
    """Refuses a loss or a gradient that is not finite.

    Args:
        loss: The loss.
        is_finite: Whether all of the gradient is.
        size: The image's (height, width) in pixels.
        recipe: The recipe.

    Raises:
        NonFiniteError: If one is not.
    """
    # As published, a layer of which the border leaves nothing has no mean.
    is_of_nothing = math.isnan(loss) and recipe.small_octaves == "run"
    place = f"at {size[1]} × {size[0]} pixels"
    hint = "try a smaller step_size, clamp, or precision float32"
    if not math.isfinite(loss) and not is_of_nothing:
        raise NonFiniteError(
            "A loss must be finite", received=f"{loss:g} {place}", hint=hint
        )
    if not is_finite:
        raise NonFiniteError(
            "A gradient must be finite",
            received=f"infinities or not-a-numbers {place}",
            hint=hint,
        )


def _share(views: Sequence[View]) -> float:
    """Returns how much of an image the views of a step show together, about."""
    return 1 - math.prod(1 - view.share for view in views)


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


def unfit(received: str) -> InputError:
    """Returns the error for a checkpoint from which a run cannot go on."""
    return InputError(
        "A checkpoint must be of the same canvas, optimizer and octaves",
        received=received,
        hint="go on with its own recipe and photo, or begin anew from its image",
    )
