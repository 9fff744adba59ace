"""Where a dream happens: masks and regions at every octave's size."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from keras_dream.backend.protocol import Array, Backend
from keras_dream.engine.gradients import Gradient
from keras_dream.errors import PictureError
from keras_dream.geometry import Size, cosines_of_latitude
from keras_dream.parts.normalizers import Normalizer
from keras_dream.parts.transforms import View
from keras_dream.pictures.masks import (
    box_mask,
    check_aspect,
    feathered,
    mask_of,
    resized,
)
from keras_dream.pictures.picture import Picture, read_named
from keras_dream.pictures.synthetic import patches
from keras_dream.recipe.files import Files
from keras_dream.recipe.masks import Mask
from keras_dream.recipe.recipe import Recipe

LEAST = 1 / 255
"""A mask up to this counts as 0 in the steps: it would move no value of an 8-bit
picture by more than half, and JPEG leaves as much where black was drawn."""

LEAST_PART = 224
"""Pixels of a side that channels are measured on, where there are as many: the size
that most networks learned from."""

Weights = Callable[[Size], Array | None]
"""Returns a map of one channel for a (height, width), or None for all alike."""


@dataclass(frozen=True, eq=False)
class Places:
    """The masks of a recipe as maps for one picture.

    Attributes:
        mask: float32 (height, width) in [0, 1]; None for the whole picture.
        regions: The same of every region.
    """

    mask: np.ndarray | None = None
    regions: tuple[np.ndarray, ...] = ()


WHOLE = Places()
"""No masks: the whole picture."""


def places_of(
    recipe: Recipe,
    photo: Picture,
    size: Size,
    *,
    files: Files,
) -> Places:
    """Returns the masks of a recipe as maps.

    Args:
        recipe: Its `mask` and `regions` are used.
        photo: The photo at its own size, in which boxes and feathers are measured.
        size: The (height, width) of the maps.
        files: Finds the files that the recipe names.

    Raises:
        PictureError: If a mask does not fit the photo, or is 0 everywhere.
    """
    map_for = functools.partial(
        map_of, photo=photo, size=size, files=files, seed=recipe.seed
    )
    return Places(
        None if recipe.mask is None else map_for(recipe.mask),
        tuple(map_for(region.mask) for region in recipe.regions),
    )


def map_of(
    mask: Mask,
    photo: Picture,
    size: Size,
    *,
    files: Files,
    seed: int,
) -> np.ndarray:
    """Returns a mask as a map, float32 (height, width) in [0, 1].

    Arguments and errors as for `places_of`; the seed is the recipe's.
    """
    return resized(_own_map(mask, photo, files, seed), size)


def _own_map(mask: Mask, photo: Picture, files: Files, seed: int) -> np.ndarray:
    """Returns a mask as a map of the photo's own size."""
    height, width = size = (photo.pixels.shape[0], photo.pixels.shape[1])
    if mask.file is not None:
        values = mask_of(read_named(mask.file, files))
        check_aspect(values, size, mask.file.name)
        values = resized(values, size)
    elif mask.box:
        left, top, right, bottom = (
            side.pixels(length)
            for side, length in zip(mask.box, (width, height) * 2, strict=True)
        )
        if not (left < right <= width and top < bottom <= height):
            raise PictureError(
                f"A box must lie inside the picture of {width} × {height} pixels, with "
                "left before right and top before bottom",
                received=mask.text,
                hint="try percent, such as box(10%, 20%, 60%, 80%)",
            )
        values = box_mask(size, left, top, right, bottom)
    elif mask.random is not None:
        values = patches(seed, size, number=mask.random)
    elif photo.alpha is None:
        raise PictureError(
            "A photo must have transparency for the mask alpha",
            received="one that is opaque",
            hint="name a picture as the mask, or a box",
        )
    else:
        values = photo.alpha
    values = feathered(values, mask.feather)
    values = 1 - values if mask.invert else values
    # A frame of a film may be black: nothing is dreamed then.
    is_frame = mask.file is not None and files.picture_of(mask.file) is not None
    if values.max() <= LEAST and not is_frame:
        raise PictureError(
            "A mask must be above 0 somewhere",
            received=f"{mask.text}, which is 0 everywhere",
            hint="paint white where the dream shall be" if mask.file else "try invert",
        )
    return values


def composite(original: np.ndarray, dream: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Returns a dream where a mask is 1, its original where it is 0, and between.

    Args:
        original: float32 (height, width, 3).
        dream: The same.
        mask: float32 (height, width) in [0, 1].
    """
    return original + mask[..., None] * (dream - original)


def around(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Returns the part of an image around where a mask is above a half of its most.

    Args:
        image: float32 (height, width, 3).
        mask: float32 (height, width).

    Returns:
        The smallest box of these places, grown to `LEAST_PART` where the image allows;
        the whole image where the mask is 0 everywhere.
    """
    if not mask.any():
        return image
    inside = mask > mask.max() / 2
    for axis in (0, 1):
        places = np.flatnonzero(inside.any(axis=1 - axis))
        first, end = int(places[0]), int(places[-1]) + 1
        missing = max(LEAST_PART - (end - first), 0)
        first = max(min(first - missing // 2, image.shape[axis] - LEAST_PART), 0)
        end = min(max(end, first + LEAST_PART), image.shape[axis])
        image = np.take(image, np.arange(first, end), axis=axis)
    return image


def step_weights(recipe: Recipe, places: Places, backend: Backend) -> Weights:
    """Returns what multiplies the gradient and weighs the normalizer's statistics.

    Nothing moves where the mask is 0. In a panorama, pixels of a row at a latitude
    cover cos(latitude) of what they cover at the equator; so do their steps, and their
    share in the means.

    Args:
        recipe: Its `wrap` is used.
        places: The masks.
        backend: Where the maps are.
    """

    @functools.lru_cache(maxsize=1)  # of the octave that is being dreamed
    def weights(size: Size) -> Array | None:
        values: np.ndarray | None = None
        if places.mask is not None:
            values = (resized(places.mask, size) > LEAST).astype(np.float32)
        if recipe.wrap == "horizontal":
            rows = cosines_of_latitude(size[0])[:, None]
            ones = np.ones(size, np.float32) if values is None else values
            values = ones * rows
        return None if values is None else backend.image(values[..., None])

    return weights


class Shares:
    """How much each region counts at a place, and the recipe's own objective.

    Where regions overlap so that their sum is above 1, each counts in proportion. What
    is left to 1 is the share of the recipe's own objective.

    Args:
        places: The masks, of which that of the dream ends every region.
        backend: Where the maps are.
    """

    def __init__(self, places: Places, backend: Backend):
        self._places = places
        self._backend = backend
        self._size: Size | None = None
        self._maps: tuple[Array | None, ...] = ()

    def at(self, size: Size) -> tuple[Array | None, ...]:
        """Returns the map of every region and, last, that of the recipe's objective.

        Args:
            size: (height, width) in pixels.

        Returns:
            Maps of one channel; None for what counts nowhere.
        """
        if self._size != size:
            masks = [resized(mask, size) for mask in self._places.regions]
            total = np.sum(masks, axis=0)
            shares = [mask / np.maximum(total, 1) for mask in masks]
            shares.append(1 - np.minimum(total, 1))
            if self._places.mask is not None:
                inside = resized(self._places.mask, size) > LEAST
                shares = [share * inside for share in shares]
            self._maps = tuple(
                self._backend.image(share[..., None]) if share.max() > LEAST else None
                for share in shares
            )
            self._size = size
        return self._maps

    def weights(self, number: int) -> Weights:
        """Returns the map of a region, by its place; -1 for the recipe's objective."""
        return lambda size: self.at(size)[number]


class RegionGradient:
    """The gradients of several objectives, each in its own part of the picture.

    Each is normalized by its own statistics, weighted by its share of every place, and
    multiplied by that share: an objective of a small region steps as far as one of the
    whole picture. The loss is the sum of the losses.

    Args:
        gradients: One for each map of the shares.
        shares: Where each counts.
        normalizer: What each gradient is divided by.
        backend: Where it is computed.
    """

    def __init__(
        self,
        gradients: Sequence[Gradient],
        shares: Shares,
        normalizer: Normalizer,
        backend: Backend,
    ):
        self._gradients = tuple(gradients)
        self._shares = shares
        self._normalizer = normalizer
        self._backend = backend

    def __call__(
        self, image: Array, size: Size, *, view: View, original: Array | None
    ) -> tuple[Array, Array]:
        """Returns (the sum of the losses, that of the scaled gradients)."""
        b = self._backend
        total: tuple[Array, ...] | None = None
        shares = self._shares.at(size)
        for gradient_of, share in zip(self._gradients, shares, strict=True):
            if share is None:
                continue
            loss, gradient = gradient_of(image, size, view=view, original=original)
            scaled = self._normalizer.scaled(gradient, 1.0, weights=share)
            part = (loss, b.multiply(scaled, share))
            total = part if total is None else tuple(map(b.add, total, part))
        if total is None:  # a mask so small that an octave has nothing of it
            nothing = b.multiply(image, 0.0)
            return b.sum(nothing), nothing
        return total[0], total[1]
