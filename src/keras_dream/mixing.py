"""Mixing a saved dream anew, without the network.

A dream that was saved with its octaves is finished again with other settings: strength
of each octave, detail, colours, blend. The mixed dream's recipe has these settings, so
that `dream replay` makes it from its source.
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from keras_dream.backend import host
from keras_dream.engine.finish import at_size, check_strengths, finish
from keras_dream.engine.octaves import read_octaves
from keras_dream.engine.result import Dream
from keras_dream.errors import (
    InputError,
    PictureError,
    SettingError,
    nearest,
    short_repr,
)
from keras_dream.files import octaves_path
from keras_dream.geometry import Size, fitted
from keras_dream.pictures.picture import Picture, read_picture
from keras_dream.pictures.seams import seamless
from keras_dream.pictures.sources import is_source, paint, size_of
from keras_dream.recipe.recipe import FINISHING, Recipe
from keras_dream.replay import Saved, find_files, find_source, read_saved

BYTES, OCTAVE_BYTES = 100, 6
"""For each pixel: of the photo, the dream and what is computed of them, and of what an
octave added."""


class Mixer:
    """A saved dream and what each octave added, to be mixed as often as is wanted.

    Args:
        picture: A picture that was saved with its octaves.
        source: The photo that was dreamed; None looks for it by its name beside the
            picture.
        octaves: The file of the octaves; None for the one beside the picture.
        files: Files that recipes name, such as palettes, if they are not beside the
            picture.

    Attributes:
        saved: The dream.
        source: The photo's path, or the text of a source without one.

    Raises:
        PictureError: If the picture, its recipe or its source cannot be had.
        InputError: If the octaves cannot be read, or are another picture's.
    """

    def __init__(
        self,
        picture: str | os.PathLike[str],
        *,
        source: str | os.PathLike[str] | None = None,
        octaves: str | os.PathLike[str] | None = None,
        files: Sequence[str | os.PathLike[str]] = (),
    ):
        self.saved = saved = read_saved(picture)
        _check_memory(saved)
        beside = octaves_path(saved.path)
        if octaves is None and not beside.is_file():
            raise PictureError(
                "A picture must have its octaves beside it to be mixed",
                received=f"{short_repr(str(saved.path))} without {beside.name}",
                hint="dream it again with --save-octaves, or name its octaves with "
                "--octaves",
            )
        self.source = find_source(saved, source)
        self._photo = _photo(self.source, saved)
        self._original = at_size(self._photo, saved.recipe)
        self._files = find_files(saved, named=files)
        # What the steps' gradients were is in the picture alone.
        own = saved.recipe.transparency
        self._alpha = read_picture(saved.path).alpha if own else None
        self._unfinished = read_octaves(
            beside if octaves is None else Path(octaves),
            saved.path,
            _dreamed_size(saved),
        )

    def mix(self, **settings: Any) -> Dream:
        """Returns the dream with other settings.

        Args:
            **settings: Any of `octave_strengths`, `keep_detail`, `colors`,
                `keep_colors`, `blend` and `blend_mask`; those of the recipe otherwise.

        Raises:
            SettingError: If a setting is another one or impossible.
        """
        for name in settings:
            if name not in FINISHING:
                raise SettingError(
                    "A setting of a mix must be one that needs no network: "
                    + ", ".join(FINISHING),
                    received=repr(name),
                    hint=_instead(name),
                )
        recipe = self._files.complete(self.saved.recipe.but(**settings))
        check_strengths(recipe)
        finished = finish(
            self._unfinished,
            recipe,
            photo=self._photo,
            original=self._original,
            files=self._files,
        )
        return Dream(
            finished.pixels,
            finished.alpha if self._alpha is None else self._alpha,
            recipe,
            self.saved.record,
            exif=self._photo.exif,
            bits=self._photo.bits,
        )


def _check_memory(saved: Saved) -> None:
    """Refuses a picture whose record or recipe asks for more memory than there is."""
    recipe, (height, width) = saved.recipe, saved.record.size
    if not (height > 0 < width):
        raise _of_another_size(saved)
    pixels = max(h * w for h, w in (saved.record.size, _dreamed_size(saved)))
    octaves = recipe.octaves_above
    octaves += recipe.octaves if isinstance(recipe.octaves, int) else 0
    needed = pixels * (BYTES + OCTAVE_BYTES * octaves)
    total = host.memory().get("total")
    if total is not None and needed > total:
        raise InputError(
            f"A dream must fit into the {total / 1e9:.1f} GB of this machine's memory "
            "to be mixed",
            received=f"one that takes about {needed / 1e9:.3g} GB",
            hint="dream it smaller, with --size",
        )


def _dreamed_size(saved: Saved) -> Size:
    return fitted(saved.record.size, saved.recipe.size)


def _photo(source: Path | str, saved: Saved) -> Picture:
    """Returns the photo as it was dreamed: made seamless where the recipe wraps."""
    recipe = saved.recipe
    if isinstance(source, str) and is_source(source):
        if size_of(source) != saved.record.size:
            raise _of_another_size(saved)
        photo = paint(source, seed=recipe.seed)
    else:
        photo = read_picture(source)
    if photo.pixels.shape[:2] != saved.record.size:
        raise _of_another_size(saved)
    if recipe.wrap == "none":
        return photo
    return replace(photo, pixels=seamless(photo.pixels, recipe.wrap))


def _of_another_size(saved: Saved) -> PictureError:
    height, width = saved.record.size
    return PictureError(
        "The record of a dream must have the size of its source",
        received=f"{width} × {height} pixels in {short_repr(str(saved.path))}",
        hint="dream the photo again with --save-octaves",
    )


def _instead(name: str) -> str:
    if name == "mask":
        return "try 'blend_mask', which needs none"
    if name in Recipe.model_fields:
        return f"dream the photo again with another {name}"
    return nearest(name, FINISHING)


def mix(
    picture: str | os.PathLike[str],
    *,
    source: str | os.PathLike[str] | None = None,
    octaves: str | os.PathLike[str] | None = None,
    files: Sequence[str | os.PathLike[str]] = (),
    **settings: Any,
) -> Dream:
    """Mixes a saved dream anew: a `Mixer` for one use.

    Args:
        picture: As for `Mixer`.
        source: As for `Mixer`.
        octaves: As for `Mixer`.
        files: As for `Mixer`.
        **settings: As for `Mixer.mix`.

    Returns:
        The dream; `mix(...).save("out.png")` writes it.

    Raises:
        DreamError: As for `Mixer` and `Mixer.mix`.
    """
    mixer = Mixer(picture, source=source, octaves=octaves, files=files)
    return mixer.mix(**settings)
