"""Decoding picture files to sRGB values with Pillow, restricted.

Only a few formats and a bounded number of pixels are decoded, without warnings, and
whatever a damaged file makes Pillow raise becomes one sentence.
"""

import contextlib
import io
import re
import struct
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError

from keras_dream import isolation
from keras_dream.errors import DreamError, PictureError, RunError, short_repr
from keras_dream.pictures.films import STILLS
from keras_dream.pictures.headers import (
    Bounds,
    Header,
    check_header,
    check_opened,
)

if TYPE_CHECKING:
    from keras_dream.pictures.limits import Limits

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "AVIF", "GIF", "BMP")
"""The formats that are read with Pillow, beside HEIC. It reads forty more, among them
EPS, for which it runs Ghostscript: see "Security" in Pillow's handbook."""

_SIGNATURES = {
    b"%PDF": "a PDF",
    b"%!PS": "PostScript",
    b"8BPS": "a Photoshop file",
    b"PK\3\4": "a ZIP archive",
    b"<": "SVG, HTML or other text",
}

_NO_MEMORY = re.compile(r"out of memory|error -9\b")
"""What Pillow's decoders in C say of memory: `ERRORS` of its `ImageFile`."""

_PILLOW_LOCK = threading.Lock()
"""Pillow's limit on pixels and Python's warning filters are global, so one thread
decodes at a time."""


@contextlib.contextmanager
def pillow_limits(max_pixels: int | None) -> Iterator[None]:
    """Sets Pillow's limit on pixels for a while, and ignores its warnings.

    They are about damaged metadata; the one about too many pixels becomes an error.
    """
    with _PILLOW_LOCK, warnings.catch_warnings():
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, max_pixels
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


class Opened(NamedTuple):
    """A picture's file within its bounds, of which the header is read.

    Attributes:
        path: The file.
        file: It, open.
        header: What its header says; the number of frames is that of the decoder.
        image: It as Pillow sees it; None for what Pillow does not know: EXR, and TIFF
            with floats of several channels and the like.
    """

    path: Path
    file: IO[bytes]
    header: Header
    image: Image.Image | None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels, before it is turned upright."""
        if self.image is None:
            return self.header.height, self.header.width
        return self.image.height, self.image.width

    def exif(self) -> Image.Exif:
        """Returns the EXIF, or the tags of a TIFF; damage may raise anything."""
        if self.image is not None:
            return self.image.getexif()
        exif = Image.Exif()
        if self.header.kind == "TIFF":
            self.file.seek(0)
            head = self.file.read(16)
            exif.endian = "<" if head[:2] == b"II" else ">"
            exif.bigtiff = 43 in head[2:4]
            form = "8xQ" if exif.bigtiff else "4xI8x"
            exif.load_from_fp(self.file, *struct.unpack(exif.endian + form, head))
        return exif


@contextlib.contextmanager
def open_image(path: Path, bounds: Bounds) -> Iterator[Opened]:
    """Opens a file within its bounds and reads its header; `load` decodes pixels."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(pillow_limits(bounds.pixels))
        file = stack.enter_context(path.open("rb"))
        header = check_header(file, path.name, bounds)
        image = None if header.kind == "EXR" else _image(file, path, header, bounds)
        if image is None:
            if bounds.pixels is not None and header.pixels > bounds.pixels:
                raise _too_many(path, bounds)
            yield Opened(path, file, header, None)
            return
        stack.enter_context(image)
        if image.format in ("AVIF", "HEIF"):  # whose header only the decoder reads
            header = header._replace(frames=int(getattr(image, "n_frames", 1)))
            check_opened(image.info, header.frames, path.name, bounds)
        yield Opened(path, file, header, image)


def _image(
    file: IO[bytes], path: Path, header: Header, bounds: Bounds
) -> Image.Image | None:
    """Opens a file with Pillow; None for a TIFF of a kind that it does not know."""
    with decoding_errors(path.name):
        try:
            return _opened(file, path)
        except UnidentifiedImageError:
            if header.is_deep:
                return None
            raise PictureError(
                "a picture must be a PNG, JPEG, WebP, TIFF, AVIF, GIF, BMP or EXR file",
                received=f"{short_repr(path.name)}, which is {_signature(path)}",
                hint="try `dream video`: for films, and films as masks and guides"
                if is_film(path)
                else "convert it with an image editor first",
            ) from None
        except (Image.DecompressionBombWarning, Image.DecompressionBombError):
            raise _too_many(path, bounds) from None


def _too_many(path: Path, bounds: Bounds) -> PictureError:
    return PictureError(
        f"a picture must have at most {bounds.pixels:,} pixels",
        received=f"{short_repr(path.name)}, which has more",
        hint="make it smaller first, or allow more with --max-pixels",
    )


@contextlib.contextmanager
def decoding_errors(name: str) -> Iterator[None]:
    """Turns whatever Pillow raises for a damaged picture into a `PictureError`.

    Where memory is out it is a `MemoryError`: the picture may be whole.
    """
    try:
        yield
    except (DreamError, MemoryError):
        raise
    # Pillow's plugins raise OSError, SyntaxError, ValueError, struct.error, EOFError
    # and more.
    except Exception as failure:
        if _NO_MEMORY.search(str(failure)):
            raise MemoryError from failure
        reason = " ".join(str(failure).split())[:80] or type(failure).__name__
        raise PictureError(
            "a picture must be whole",
            received=f"{short_repr(name)}, which cannot be decoded ({reason})",
            hint="copy or download it again",
        ) from failure


@contextlib.contextmanager
def memory_errors(name: str) -> Iterator[None]:
    """Turns a `MemoryError` while a picture is read into a `RunError`."""
    try:
        yield
    except MemoryError as failure:
        raise RunError(
            "there must be enough memory to read a picture",
            received=f"too little for {short_repr(name)}",
            hint="close other programs, or make the picture smaller first",
        ) from failure


def read_within(
    function: Callable[..., isolation.Result],
    path: Path,
    limits: "Limits | None",
    *,
    isolated: bool = False,
    **bounds: Any,
) -> isolation.Result:
    """Calls a function that opens a picture, here or in a child, as limits say.

    Args:
        function: At the top level of its module; it takes the path and `Bounds`.
        path: The file.
        limits: None for the `default_limits`.
        isolated: Whether it is a child in any case.
        **bounds: In the place of those of the limits.

    Returns:
        What the function returns; from a child it is untrusted.
    """
    # Here, because the child that decodes needs none of it.
    from keras_dream.pictures.limits import UNTRUSTED_HINT, default_limits

    limits = limits or default_limits()
    bounds = {**limits.bounds._asdict(), **bounds}
    if not (limits.untrusted or isolated):
        return function(path, **bounds)
    return isolation.call(
        f"{function.__module__}:{function.__name__}",
        path,
        bounds,
        limits=limits.child,
        what="a picture",
        error=PictureError,
        hint=UNTRUSTED_HINT,
    )


def _signature(path: Path) -> str:
    """Returns what a file that is not a picture seems to be."""
    if _is_heic(path):
        return "a damaged HEIC file"
    if is_film(path):
        return "a film"
    with path.open("rb") as file:
        head = file.read(16)
    names = (name for magic, name in _SIGNATURES.items() if head.startswith(magic))
    return next(names, "none of these, or damaged at its start")


def frames_of(image: Image.Image) -> int:
    """Returns how many frames or pages an opened image has; 1 where that is damaged.

    The further pictures in a phone's JPEG are previews of the first, and do not count.
    """
    if image.format in ("JPEG", "MPO"):
        return 1
    try:
        return max(1, int(getattr(image, "n_frames", 1)))
    # Damaged frames may break any of Pillow's parsers.
    except Exception:  # noqa: BLE001
        return 1


def is_film(path: Path) -> bool:
    """Tells MP4, MOV, Matroska, WebM and AVI files by their first bytes."""
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] == b"ftyp":
        return head[8:] not in STILLS
    return head.startswith(b"\x1a\x45\xdf\xa3") or head[8:] == b"AVI "


def _is_heic(path: Path) -> bool:
    """Tells HEIC, as phones write it, by its brands (ISO/IEC 23008-12, annex B)."""
    with path.open("rb") as file:
        head = file.read(12)
    brands = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")
    return head[4:8] == b"ftyp" and head[8:] in brands


def _opened(file: IO[bytes], path: Path) -> Image.Image:
    """Opens a picture; HEIC by libheif, which the extra `heif` installs."""
    try:
        return Image.open(file, formats=FORMATS)
    except UnidentifiedImageError:
        if not _is_heic(path):
            raise
    try:
        import pi_heif  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise PictureError(
            "a HEIC picture must have pi-heif to be read",
            received=f"{short_repr(path.name)}, and pi-heif is not installed",
            hint="install it with `pip install 'keras-dream[heif]'`, or save the "
            "photo as JPEG",
        ) from None
    pi_heif.register_heif_opener()
    file.seek(0)
    return Image.open(file, formats=("HEIF",))


class Decoded(NamedTuple):
    """The pixels of a picture, sRGB-encoded and upright.

    Attributes:
        pixels: (height, width, 3): uint8, uint16, or float32 in [0, 1].
        alpha: (height, width), of the same kind or uint8, or None.
        bits: Of a channel as it was read: 8, 16, or 32 for floats.
        is_reduced: Whether the file has more, which only another library reads.
        is_clipped: Whether lights outside of [0, 1] were clipped.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None
    bits: int = 8
    is_reduced: bool = False
    is_clipped: bool = False


def decode_opened(opened: Opened) -> Decoded:
    """Decodes an opened file: what Pillow reads in part, with another library.

    Raises:
        PictureError: If that is not installed and Pillow reads nothing of it.
    """
    from keras_dream.pictures import vips

    path, _, header, image = opened
    if header.kind == "EXR":
        from keras_dream.pictures.exr import read_exr

        pixels, alpha, is_clipped = read_exr(path)
        return Decoded(pixels, alpha, header.bits, is_clipped=is_clipped)
    if header.is_deep and vips.is_installed():
        pixels, alpha = vips.read_deep(path, header)
        return Decoded(pixels, alpha, 8 * pixels.dtype.itemsize)
    if image is None:
        raise PictureError(
            "a TIFF of 16 bits or floats must have pyvips to be read",
            received=f"{short_repr(path.name)}, and pyvips is not installed",
            hint=f"{vips.INSTALL}, or save it with 8 bits a channel",
        )
    return decode(image)._replace(is_reduced=header.is_deep)


def decode(image: Image.Image) -> Decoded:
    """Decodes an image that Pillow has opened."""
    image.load()
    if 0 in image.size:
        raise PictureError("a picture must have pixels", received="one without")
    image = _upright(image)
    if image.mode.startswith("I;16"):
        values = np.asarray(image) / np.float32(65_535)
        return Decoded(_high_depth_grey(values, image), None, 16)
    if image.mode == "F":
        values = check_range(np.asarray(image), "a float picture")
        return Decoded(_high_depth_grey(values, image), None, 32)
    if image.mode == "I":
        raise PictureError(
            "a picture must have 8 or 16 bits a channel, or floats",
            received="one of 32-bit integers",
            hint="convert it to 16 bits first",
        )
    alpha = None
    if image.has_transparency_data:
        alpha = np.asarray(image.convert("RGBA").getchannel("A"))
    return Decoded(np.asarray(_to_srgb(image)), alpha)


_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns an image upright, by its EXIF orientation: EXIF 2.32, 4.6.4 A."""

_ORIENTATION = 0x0112


def _upright(image: Image.Image) -> Image.Image:
    """Turns an image by its EXIF orientation; broken EXIF is ignored."""
    try:
        turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    # Damaged EXIF may break any of Pillow's parsers.
    except Exception:  # noqa: BLE001
        return image
    return image if turn is None else image.transpose(turn)


def _to_srgb(image: Image.Image) -> Image.Image:
    """Returns an 8-bit image in RGB, converted by its colour profile if it has one."""
    # First to a mode that profiles support: no alpha, no palette.
    image = image.convert({"La": "LA", "RGBa": "RGBA"}.get(image.mode, image.mode))
    modes = {"1": "L", "LA": "L", "P": "RGB", "PA": "RGB", "RGBA": "RGB"}
    profile = image.info.get("icc_profile")
    image = image.convert(modes.get(image.mode, image.mode))
    if profile or image.mode == "LAB":
        try:
            return _apply_profile(image, profile)
        except (ImageCms.PyCMSError, OSError, TypeError):
            if image.mode == "LAB":  # which nothing else can convert
                raise
    return image.convert("RGB")


def _apply_profile(image: Image.Image, profile: bytes | None) -> Image.Image:
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


def _high_depth_grey(values: np.ndarray, image: Image.Image) -> np.ndarray:
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
    levels = np.linspace(0, 1, 256)
    channels = [np.interp(values, levels, table[:, c]) for c in range(3)]
    return np.stack(channels, axis=-1).astype(np.float32)


def to_float(values: np.ndarray) -> np.ndarray:
    """Returns values of 8 or 16 bits as float32 in [0, 1]."""
    floats = values.astype(np.float32)
    floats /= np.float32(np.iinfo(values.dtype).max)
    return floats


def check_range(values: np.ndarray, name: str) -> np.ndarray:
    """Returns floats unchanged; refuses values that are not finite or not in [0, 1]."""
    # Written so that not-a-numbers are refused, too.
    if not (values.min() >= 0 and values.max() <= 1):
        raise PictureError(
            f"{name} must be finite and in [0, 1]",
            received=f"values from {values.min():.4g} to {values.max():.4g}",
            hint="scale it first (8-bit values belong in uint8)",
        )
    return values
