"""How much a picture's file may take: all limits, their defaults and their sources."""

from pydantic import Field

from keras_dream import isolation
from keras_dream.pictures.headers import Bounds
from keras_dream.recipe.settings import Settings

MAX_PIXELS = 1024**3 // 4 // 3
"""The most pixels that are decoded by default: Pillow's own `MAX_IMAGE_PIXELS`, a
quarter of a gigabyte in 8-bit RGB."""


class Limits(Settings):
    """How pictures are read: photos, masks, guides, palettes and dreams.

    Files are checked by their headers before they are decoded. What a header does not
    tell, time above all, is limited only with `untrusted`: then a file is decoded, and
    its metadata read, in a process of its own, which is killed when it takes too long
    or too much; see `keras_dream.isolation` for what this does not hold back.

    Raises:
        SettingError: If a name is unknown or a value impossible.
    """

    untrusted: bool = Field(
        default=False,
        description="decode pictures in a process of its own, within the limits of "
        "time and memory; a tenth of a second for each",
    )
    max_pixels: int = Field(
        default=MAX_PIXELS,
        ge=1,
        le=1 << 40,
        description="the most pixels of a picture, width times height",
    )
    # Four times the largest picture that is decoded, in 8 bits.
    max_file_bytes: int = Field(
        default=1_000_000_000,
        ge=1,
        le=1 << 40,
        description="the most bytes of a picture's file",
    )
    # Six minutes of film at 25 frames a second, of which only the first is read.
    max_frames: int = Field(
        default=10_000,
        ge=1,
        le=1_000_000,
        description="the most frames or pages of a picture; the first is read",
    )
    # Profiles of printers take 2 MB, depth maps of phones some more; EXIF 64 KB.
    max_metadata_bytes: int = Field(
        default=1 << 24,
        ge=1,
        le=1 << 30,
        description="the most bytes of a picture's metadata and colour profile",
    )
    # The largest picture takes seconds on a slow machine.
    max_decode_seconds: float = Field(
        default=60.0,
        gt=0,
        le=86_400,
        description="the most seconds for a picture, with `untrusted`",
    )
    # What the largest picture takes with 16 bits and alpha is within it.
    max_decode_memory: int = Field(
        default=4_096,
        ge=256,
        le=1 << 20,
        description="the most megabytes of memory for a picture, with `untrusted`",
    )

    @property
    def bounds(self) -> Bounds:
        """What a file may have, for the decoder."""
        return Bounds(
            self.max_pixels,
            self.max_file_bytes,
            self.max_frames,
            self.max_metadata_bytes,
        )

    @property
    def child(self) -> isolation.Limits:
        """What the process may take that decodes an untrusted picture."""
        return isolation.Limits(
            seconds=self.max_decode_seconds,
            memory=self.max_decode_memory << 20,
            # Four channels of floats, and some metadata.
            answer=16 * self.max_pixels + (1 << 20),
        )
