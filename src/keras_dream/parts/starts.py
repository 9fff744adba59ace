"""Starts: what the first step changes, where that is not the photo itself."""

import re
from typing import TYPE_CHECKING, Annotated, Literal, get_args

from pydantic import AfterValidator, Field

from keras_dream.errors import SettingError, short_repr
from keras_dream.parts.part import Part
from keras_dream.recipe.settings import FiniteFloat

if TYPE_CHECKING:
    import numpy as np

Size = tuple[int, int]  # (height, width) in pixels


class Photo(Part):
    """The photo itself."""

    name: Literal["photo"] = "photo"


_Contrast = Annotated[
    FiniteFloat,
    Field(ge=0, le=4, description="how strong it is; 1 for that of photographs"),
]


class Noise(Part):
    """Coloured noise of all sizes of detail, most of it grey."""

    name: Literal["noise"] = "noise"
    steepness: FiniteFloat = Field(
        default=1.5,
        ge=0,
        le=4,
        description="the higher, the smoother; 0 for white noise, 1 for that of "
        "photographs",
    )
    contrast: _Contrast = 0.5

    def paint(self, size: Size, seed: int) -> "np.ndarray":
        """Returns an image of (height, width), float32 (height, width, 3) in [0, 1]."""
        from keras_dream.pictures.synthetic import noise

        return noise(seed, size, steepness=self.steepness, contrast=self.contrast)


class Perlin(Part):
    """Clouds of soft blobs, each size of them half as large as the one before."""

    name: Literal["perlin"] = "perlin"
    scale: FiniteFloat = Field(
        default=0.25,
        gt=0,
        le=1,
        description="the largest blobs' size, as a share of the longer side",
    )
    contrast: _Contrast = 0.6

    def paint(self, size: Size, seed: int) -> "np.ndarray":
        """Returns an image; arguments as for `Noise.paint`."""
        from keras_dream.pictures.synthetic import perlin

        return perlin(seed, size, scale=self.scale, contrast=self.contrast)


def _color(text: str) -> str:
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", text):
        raise SettingError(
            "A colour must be written as # and six hexadecimal digits",
            received=short_repr(text),
            hint="try #446688",
        )
    return text.lower()


class Flat(Part):
    """One colour everywhere."""

    name: Literal["flat"] = "flat"
    color: Annotated[str, AfterValidator(_color)] = Field(
        default="#808080", description="red, green and blue as in #446688"
    )

    def paint(self, size: Size, seed: int) -> "np.ndarray":
        """Returns an image; arguments as for `Noise.paint`."""
        import numpy as np

        levels = np.frombuffer(bytes.fromhex(self.color[1:]), np.uint8)
        return np.broadcast_to(levels / np.float32(255), (*size, 3)).copy()


Painted = Noise | Perlin | Flat
"""Every start that needs no photo; adding one is its class and its name here."""
PAINTED: tuple[type[Part], ...] = get_args(Painted)

Start = Photo | Noise | Perlin | Flat
STARTS: tuple[type[Part], ...] = (Photo, *PAINTED)
