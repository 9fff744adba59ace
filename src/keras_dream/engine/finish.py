"""What is done to a dream after its last step, on the host and without the network.

The order is: strength of the octaves, size, detail, colour treatments, blend, original
colours, mask. Each takes the original and the dream and returns an image; nothing of
it that a recipe does not ask for is computed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from keras_dream.engine.regions import composite, map_of
from keras_dream.errors import SettingError
from keras_dream.geometry import Size, bands, fitted, resample
from keras_dream.parts import colorspaces as spaces
from keras_dream.parts.colors import blurred
from keras_dream.pictures.picture import Picture, read_named
from keras_dream.recipe.files import FileRef, Files, files_of
from keras_dream.recipe.recipe import Recipe

DETAIL_RADIUS = 3.0
"""What is finer than this standard deviation in pixels is detail for `keep_detail`."""


@dataclass(frozen=True, eq=False)
class Unfinished:
    """A dream as its last step left it, at the size at which it was dreamed.

    Attributes:
        image: float32 (height, width, 3), not clipped.
        octaves: What the steps of each octave added, float16 (height, width, 3), by
            the octave's number. Carried to the whole size by the recipe's resampling,
            so that the sum and the original are the image, where `detail` puts back
            all that shrinking lost. None where it was not asked for.
    """

    image: np.ndarray
    octaves: Mapping[int, np.ndarray] | None = None


def at_size(picture: Picture, recipe: Recipe) -> Picture:
    """Returns a picture at the size at which a recipe dreams it."""
    own: Size = (picture.pixels.shape[0], picture.pixels.shape[1])
    size = fitted(own, recipe.size)
    if size == own:
        return picture
    alpha = picture.alpha
    if alpha is not None:
        alpha = resample(alpha[..., None], size, wrap=recipe.wrap)[..., 0].clip(0, 1)
    pixels = resample(picture.pixels, size, wrap=recipe.wrap).clip(0, 1)
    return replace(picture, pixels=pixels, alpha=alpha)


def result_size(size: Size, recipe: Recipe) -> Size:
    """Returns the (height, width) of the dream of a photo of a size, in pixels."""
    return size if recipe.full_size else fitted(size, recipe.size)


def finish(
    dream: Unfinished,
    recipe: Recipe,
    *,
    photo: Picture,
    original: Picture,
    files: Files,
) -> Picture:
    """Returns the finished dream.

    Args:
        dream: The dream as its last step left it.
        recipe: Its settings `size`, `full_size` and those in `FINISHING` are used.
        photo: The photo as it was read.
        original: The photo at the size at which it was dreamed.
        files: Finds the files that the recipe names.

    Returns:
        Pixels and alpha; the pixels are not clipped where nothing is asked for.
    """
    image = with_strengths(dream, recipe)
    if recipe.full_size and original is not photo:
        size = (photo.pixels.shape[0], photo.pixels.shape[1])
        change = resample(image - original.pixels, size, wrap=recipe.wrap)
        image, original = np.add(photo.pixels, change, out=change), photo
    size = (image.shape[0], image.shape[1])
    share: float | np.ndarray = recipe.blend
    if recipe.blend_mask is not None:
        shares = map_of(recipe.blend_mask, photo, size, files=files, seed=recipe.seed)
        share = np.float32(share) * shares[..., None]
    image = _colored(original.pixels, image, recipe, files, share)
    if recipe.mask is not None:
        mask = map_of(recipe.mask, photo, size, files=files, seed=recipe.seed)
        image = by_rows(composite, original.pixels, image, mask)
    return replace(original, pixels=image)


def check_files(recipe: Recipe, photo: Picture, files: Files) -> None:
    """Checks, before the dream, the pictures that it will be finished with.

    Args:
        recipe: Its `blend_mask` and `colors` are used.
        photo: The photo.
        files: Finds the files.

    Raises:
        PictureError: If a palette is no picture, or the mask none for this photo.
        InputError: If there is no such file.
    """
    if recipe.blend_mask is not None:
        size = (photo.pixels.shape[0], photo.pixels.shape[1])
        map_of(recipe.blend_mask, photo, size, files=files, seed=recipe.seed)
    for file in files_of(recipe.colors):
        read_named(file, files)


def check_strengths(recipe: Recipe) -> None:
    """Checks that a recipe has no more strengths than octaves.

    Args:
        recipe: Its octaves are a number: those of a dream's record.

    Raises:
        SettingError: If it has.
    """
    count = recipe.octaves_above
    count += recipe.octaves if isinstance(recipe.octaves, int) else 0
    if len(recipe.octave_strengths) > count:
        raise SettingError(
            "`octave_strengths` must be at most one number for each octave",
            received=f"{len(recipe.octave_strengths)} for {count}",
            hint="leave the last ones out",
        )


def with_strengths(dream: Unfinished, recipe: Recipe) -> np.ndarray:
    """Returns a dream in which each octave counts as much as the recipe says.

    The image is changed by the strength's distance from 1, so that all of 1 leave the
    very same pixels.
    """
    image = dream.image
    for number, strength in enumerate(recipe.octave_strengths, start=1):
        if strength != 1 and dream.octaves is not None and number in dream.octaves:
            added = dream.octaves[number].astype(np.float32)
            image = image + np.float32(strength - 1) * added
    return image


def _colored(
    original: np.ndarray,
    image: np.ndarray,
    recipe: Recipe,
    files: Files,
    share: float | np.ndarray,
) -> np.ndarray:
    """Returns a dream after the treatments of its detail and colours, and its blend."""
    if recipe.keep_detail:
        change = image - original
        change -= blurred(change, DETAIL_RADIUS)
        change *= np.float32(recipe.keep_detail)
        image = np.subtract(image, change, out=change)
    if recipe.colors:
        image = np.clip(image, 0, 1)

    def pixels_of(file: FileRef) -> np.ndarray:
        return read_named(file, files).pixels

    for color in recipe.colors:
        treat = partial(color, picture=pixels_of)
        image = (
            by_rows(treat, original, image)
            if color.is_local
            else treat(original, image)
        )
    shares = np.broadcast_to(np.asarray(share, np.float32), (*image.shape[:2], 1))
    if np.any(share != 1):
        image = by_rows(blended, original, image, shares)
    if recipe.keep_colors:
        image = by_rows(_in_colors, original, image, shares)
    return image


def by_rows(function: Callable[..., np.ndarray], *images: np.ndarray) -> np.ndarray:
    """Returns what a function makes of images, band by band of their rows.

    Args:
        function: Looks at each place by itself, and returns float32 of three channels.
        *images: Of one height and width.
    """
    result = np.empty(images[0].shape, np.float32)
    for rows in bands(result.shape):
        result[rows] = function(*(image[rows] for image in images))
    return result


def _in_colors(
    original: np.ndarray, image: np.ndarray, share: np.ndarray
) -> np.ndarray:
    """Returns a dream in its original's colours, where its share is not 0."""
    dreamed = spaces.with_luma(original, spaces.luma(np.clip(image, 0, 1)))
    return np.where(share == 0, original, dreamed)


def blended(
    original: np.ndarray, image: np.ndarray, share: float | np.ndarray
) -> np.ndarray:
    """Returns a mix of two images in linear light, as of two slides on one screen.

    Args:
        original: float32 (height, width, 3) in [0, 1].
        image: The same; clipped to [0, 1].
        share: How much of the image: a number, or a map (height, width, 1), in [0, 1].
            Where it is 0 or 1 the pixels are those of the one or the other, exactly.
    """
    share = np.asarray(share, np.float32)
    light = spaces.to_linear(original)
    light += share * (spaces.to_linear(image) - light)
    mixed = np.where(share == 0, original, spaces.from_linear(light))
    return np.where(share == 1, image, mixed)
