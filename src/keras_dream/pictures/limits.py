"""How much the file of a picture or a film may take: all limits and their defaults."""

import contextlib
import functools
import os
from collections.abc import Iterator

from pydantic import Field

from keras_dream import isolation
from keras_dream.errors import SettingError
from keras_dream.pictures.headers import Bounds
from keras_dream.recipe.settings import Settings

VARIABLE = "KERAS_DREAM_LIMITS"
"""The environment's limits: a JSON object such as {"untrusted": true}."""

UNTRUSTED_HINT = (
    "check where it comes from, or allow more with --max-decode-seconds and "
    "--max-decode-memory"
)
"""What to try where a picture breaks or outgrows the process that decodes it."""

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
        description="decode pictures, and films once as a whole, in a process of its "
        "own, within the limits of time and memory; a tenth of a second for each",
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
    # Eleven hours of film at 25 frames a second.
    max_film_frames: int = Field(
        default=1_000_000,
        ge=1,
        le=1 << 32,
        description="the most frames of a film",
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
        description="the most seconds for a picture, with `untrusted`; for a film "
        "one more for each megabyte of its file",
    )
    # The largest picture takes 1,100 MB with 8 bits and 2,000 MB with 16.
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


def default_limits() -> Limits:
    """Returns the limits of whoever states none: the environment's, or the defaults.

    Raises:
        SettingError: If the environment's are none.
    """
    return _read(os.environ.get(VARIABLE, "{}"))


@functools.lru_cache(maxsize=8)
def _read(text: str) -> Limits:
    try:
        return Limits.read(text)
    except SettingError as error:
        raise SettingError(
            f"The environment's {VARIABLE} must be limits of pictures as JSON",
            received=error.received,
            hint='try {"untrusted": true}, or unset it',
        ) from None


@contextlib.contextmanager
def session(limits: Limits | None) -> Iterator[None]:
    """Makes limits the default until the end, in processes that are started, too.

    Args:
        limits: Those that were set go over the default; None changes nothing.
    """
    if limits is None:
        yield
        return
    before = os.environ.get(VARIABLE)
    whole = limits.over(default_limits())
    os.environ[VARIABLE] = whole.model_dump_json(exclude_unset=True)
    try:
        yield
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before
