"""Decoding: Pillow on a short lead.

Only the formats that were asked for, only so many pixels, no warnings, and one sentence
for whatever a damaged file makes it raise. Out come sRGB floats.
"""

import contextlib
import io
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError

from keras_dream.errors import InputError, PictureError, short_repr

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "AVIF", "GIF", "BMP")
"""What is read. Pillow knows some forty formats more, among them EPS, for which it runs
Ghostscript: see "Security" in Pillow's handbook."""

MAX_PIXELS = 1024**3 // 4 // 3
"""The most pixels that are decoded unless the caller allows more: Pillow's own
`MAX_IMAGE_PIXELS`, a quarter of a gigabyte in 8-bit RGB."""

_ORIENTATION = 274  # TIFF 6.0
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_SIGNATURES = {
    b"%PDF": "a PDF",
    b"%!PS": "PostScript",
    b"8BPS": "a Photoshop file",
    b"PK\3\4": "a ZIP archive",
    b"<": "SVG, HTML or other text",
}

_PILLOW = threading.Lock()
"""Pillow's limit on pixels and Python's warning filters belong to the whole process, so
one thread decodes at a time."""


@contextlib.contextmanager
def quiet(max_pixels: int | None = MAX_PIXELS) -> Iterator[None]:
    """Sets Pillow's limit for a while, and keeps its warnings to ourselves.

    Warnings about damaged metadata are nothing that a person could act on; the one
    about too many pixels becomes an error.
    """
    with _PILLOW, warnings.catch_warnings():
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, max_pixels
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


@contextlib.contextmanager
def opened(path: Path, max_pixels: int | None) -> Iterator[Image.Image]:
    """Opens a file as far as its header; its pixels are decoded only on `load`."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(quiet(max_pixels))
        file = stack.enter_context(path.open("rb"))
        with refusing(path.name):
            try:
                image = Image.open(file, formats=FORMATS)
            except UnidentifiedImageError:
                raise PictureError(
                    "a picture must be a PNG, JPEG, WebP, TIFF, AVIF, GIF or BMP file",
                    received=f"{short_repr(path.name)}, which is {_signature(path)}",
                    hint="convert it with an image editor first",
                ) from None
            except (Image.DecompressionBombWarning, Image.DecompressionBombError):
                raise PictureError(
                    f"a picture must have at most {max_pixels:,} pixels",
                    received=f"{short_repr(path.name)}, which has more",
                    hint="make it smaller first",
                ) from None
        yield stack.enter_context(image)


@contextlib.contextmanager
def refusing(name: str) -> Iterator[None]:
    """Turns whatever a damaged picture makes Pillow raise into one sentence."""
    try:
        yield
    except PictureError:
        raise
    # Pillow's plugins raise OSError, SyntaxError, ValueError, struct.error, EOFError
    # and more, as the bytes fall.
    except Exception as failure:
        why = " ".join(str(failure).split())[:80] or type(failure).__name__
        raise PictureError(
            "a picture must be whole",
            received=f"{short_repr(name)}, which cannot be decoded ({why})",
            hint="copy or download it again",
        ) from failure


def _signature(path: Path) -> str:
    """Returns what a file that is no picture seems to be."""
    with path.open("rb") as file:
        head = file.read(16)
    if head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"mif1", b"msf1"):
        return "HEIC"
    kinds = (kind for magic, kind in _SIGNATURES.items() if head.startswith(magic))
    return next(kinds, "none of these, or damaged at its start")


def decode(image: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """Returns pixels and alpha, as in `Picture`, of an opened image."""
    image.load()
    if 0 in image.size:
        raise PictureError("a picture must have pixels", received="one without")
    image = _upright(image)
    if image.mode.startswith("I;16"):
        return _deep_grey(np.asarray(image) / np.float32(65_535), image), None
    if image.mode == "F":
        values = check_range(np.asarray(image), "a float picture")
        return _deep_grey(values, image), None
    if image.mode == "I":
        raise PictureError(
            "a picture must have 8 or 16 bits a channel, or floats",
            received="one of 32-bit integers",
            hint="convert it to 16 bits first",
        )
    alpha = None
    if image.has_transparency_data:
        alpha = to_float(np.asarray(image.convert("RGBA").getchannel("A")))
    return to_float(np.asarray(_to_srgb(image))), alpha


def _upright(image: Image.Image) -> Image.Image:
    """Turns an image by its EXIF orientation; broken EXIF counts as none."""
    try:
        method = _UPRIGHT.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001 - there are as many ways to fail as cameras
        return image
    if method is None:
        return image
    turned = image.transpose(method)
    turned.info = image.info
    return turned


def _to_srgb(image: Image.Image) -> Image.Image:
    """Returns an 8-bit image in RGB, converted by its colour profile if it has one."""
    # First to a mode that profiles know: no alpha, no palette.
    image = image.convert({"La": "LA", "RGBa": "RGBA"}.get(image.mode, image.mode))
    base = {"1": "L", "LA": "L", "P": "RGB", "PA": "RGB", "RGBA": "RGB"}
    profile = image.info.get("icc_profile")
    image = image.convert(base.get(image.mode, image.mode))
    if profile or image.mode == "LAB":
        try:
            return _by_profile(image, profile)
        except (ImageCms.PyCMSError, OSError, TypeError):
            if image.mode == "LAB":  # which nothing else can convert
                raise
    return image.convert("RGB")


def _by_profile(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Converts to sRGB by an ICC profile, or from CIE L*a*b* where there is none."""
    converted = ImageCms.profileToProfile(
        image,
        ImageCms.getOpenProfile(io.BytesIO(profile))
        if profile
        else ImageCms.createProfile("LAB"),
        ImageCms.createProfile("sRGB"),
        # As photo editors do: exact where sRGB has the colour, and black stays black.
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        outputMode="RGB",
    )
    return converted if converted is not None else image


def _deep_grey(values: np.ndarray, image: Image.Image) -> np.ndarray:
    """Returns grey of more than 8 bits as float32 `(height, width, 3)`.

    littleCMS as built into Pillow takes only 8 bits, so a profile is applied to a ramp
    and the ramp to the values.
    """
    profile = image.info.get("icc_profile")
    if not profile:
        return np.repeat(values[..., None], 3, axis=2)
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    ramp.info["icc_profile"] = profile
    table = to_float(np.asarray(_to_srgb(ramp)))[0]
    at = np.linspace(0, 1, 256)
    channels = [np.interp(values, at, table[:, c]) for c in range(3)]
    return np.stack(channels, axis=-1).astype(np.float32)


def to_float(values: np.ndarray) -> np.ndarray:
    """Returns 8-bit values as float32 in [0, 1]."""
    return values.astype(np.float32) / np.float32(255)


def check_range(values: np.ndarray, what: str) -> np.ndarray:
    """Returns floats as they are, refusing what is not finite or outside [0, 1]."""
    # A comparison with what is not a number is false.
    if not (values.min() >= 0 and values.max() <= 1):
        raise PictureError(
            f"{what} must be finite and in [0, 1]",
            received=f"values from {values.min():.4g} to {values.max():.4g}",
            hint="scale it first (8-bit values belong in uint8)",
        )
    return values


def check_image(image: np.ndarray) -> None:
    """Makes sure that an image has the shape of one.

    Args:
        image: Should be floats (height, width, 3).

    Raises:
        InputError: It is no array, has another shape, or is of whole numbers.
    """
    shape, dtype = getattr(image, "shape", None), getattr(image, "dtype", None)
    known = shape is not None and len(shape) == 3 and shape[2] == 3 and 0 not in shape
    if not known or not np.issubdtype(dtype, np.floating):
        raise InputError(
            "an image must be an array of floats of the shape (height, width, 3)",
            received=type(image).__name__ if shape is None else f"{dtype} {shape}",
            hint="convert it with keras_dream.pictures.picture.as_picture first",
        )
