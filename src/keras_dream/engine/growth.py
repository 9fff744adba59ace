"""How a picture passes from octave to octave, and what each octave adds to it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_dream.backend.protocol import Array, Backend
from keras_dream.geometry import Size, fitted, octave_sizes, taps
from keras_dream.recipe.recipe import Recipe


class Octave(NamedTuple):
    """One size of the picture.

    Attributes:
        number: Its place among the recipe's octaves, from 1, small to large.
        size: (height, width) in pixels.
    """

    number: int
    size: Size


def octaves_of(size: Size, recipe: Recipe) -> tuple[Octave, ...]:
    """Returns every octave of a recipe for a picture of `size`, small to large."""
    if recipe.octave_sides:
        sizes = tuple(fitted(size, side) for side in recipe.octave_sides)
    else:
        sizes = octave_sizes(
            fitted(size, recipe.size),
            octaves=recipe.octaves_for(size),
            octaves_above=recipe.octaves_above,
            octave_scale=recipe.octave_scale,
            rule=recipe.octave_sizes,
        )
    return tuple(Octave(number, size) for number, size in enumerate(sizes, start=1))


class Growth:
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
        self._octaves = octaves
        self._sizes = [octave.size for octave in octaves]
        self._start = image
        self._original = original
        self._bases: dict[int, Array] = {}

    def original(self, place: int) -> Array:
        """Returns the photo at an octave's size."""
        if self._original is None:
            return self._base(place)
        return self._shrunk(self._original, place)

    def enter(self, place: int, image: Array | None) -> Array:
        """Returns the image that an octave begins with."""
        entered = self._move(image, place - 1, place)
        # What is behind goes, and the last octave needs none.
        kept = self._bases if place < len(self._sizes) - 1 else {}
        self._bases = {n: base for n, base in kept.items() if n == place}
        return entered

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
            return self._base(end)
        if self._recipe.detail != "before":
            return self.resized(image, start, end)
        difference = self._backend.subtract(image, self._base(start))
        grown = self.resized(difference, start, end)
        return self._backend.add(self._base(end), grown)

    def _regain(self, image: Array, start: int, end: int) -> Array:
        """Puts back, after the steps, what the original lost at the smaller size."""
        if self._recipe.detail != "after":
            return image
        before = self.resized(self._base(start), start, end)
        lost = self._backend.subtract(self._base(end), before)
        return self._backend.add(image, lost)

    def _base(self, place: int) -> Array:
        """Returns the image that the dream starts from at an octave's size."""
        if place not in self._bases:
            self._bases[place] = self._shrunk(self._start, place)
        return self._bases[place]

    def _shrunk(self, picture: np.ndarray, place: int) -> Array:
        """Returns a picture at an octave's size, made of the host's own.

        So a device holds no octave's picture before its time.
        """
        image, size = self._backend.image_view(picture), self.size
        own, number = self._recipe.octaves_for(size), self._octaves[place].number
        chained = self._recipe.octave_sizes == "chained"
        if chained and not self._recipe.octave_sides and number <= own:
            for octave in reversed(octaves_of(size, self._recipe)[number:own]):
                if min(octave.size) > 0:
                    image = self._resample(image, size, octave.size)
                    size = octave.size
        return self._resample(image, size, self._sizes[place])

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


class Additions:
    """What the steps of each octave added, at the whole size, if that is kept.

    Args:
        growth: How the picture grows.
        backend: Where it is computed.
        keep: Whether it is kept.
        octaves: What earlier octaves have added, by their numbers.
    """

    def __init__(
        self,
        growth: Growth,
        backend: Backend,
        *,
        keep: bool,
        octaves: Mapping[int, np.ndarray] | None = None,
    ):
        self._growth = growth
        self._backend = backend
        self._octaves: dict[int, np.ndarray] | None = {**(octaves or {})}
        if not keep:
            self._octaves = None

    @property
    def are_kept(self) -> bool:
        """Whether they are kept."""
        return self._octaves is not None

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

    def so_far(self, entered: Array) -> Callable[[], Mapping[str, Any]]:
        """Returns what a step's checkpoint needs to go on, taken when asked for."""
        earlier = self._octaves
        if earlier is None:
            return dict
        return lambda: {
            "entered": self._backend.to_image(entered),
            "octaves": tuple(earlier.items()),
        }

    def _carried(self, place: int, entered: Array, left: Array) -> np.ndarray:
        change = self._backend.subtract(left, entered)
        return self._growth.carried(place, change).astype(np.float16)
