"""The drawing kit of sheets and pages: font, wrapping, colours, heat, and painting.

Images here are uint8 `(height, width, 3)`. Text is drawn with the font that Pillow
carries, so that pages look alike on every machine; it has Latin letters only.
"""

import bisect
import functools
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from keras_dream.geometry import Size
from keras_dream.pictures.picture import to_uint8

PAPER, INK, FAINT = "#fbfaf8", "#1d1b19", "#77706a"
EMPTY, RULE = "#e9e6e1", "#d6d4ce"

# Heat from 0 to 1: violet, red, orange, light yellow. Its lightness grows steadily, so
# that it reads without colours, too.
_HEAT = np.array(
    [(40, 16, 92), (140, 30, 110), (216, 62, 72), (248, 148, 40), (252, 244, 164)]
)
_GREY_LEVEL = 0.72  # of the grey picture below the heat
_MAX_OPACITY = 0.82  # the picture stays visible even below the peak
_RING = 7  # radius in pixels of the mark of a peak

# Letters that Pillow's font lacks, in letters that it has.
_SUBSTITUTES = str.maketrans({"×": "x", "–": "-", "—": "-", "…": "...", "’": "'"})


class Text(NamedTuple):
    """A line of text: its left upper corner, the font's height, the colour."""

    x: int
    y: int
    text: str
    height: int
    color: str = INK


class Tile(NamedTuple):
    """An image and its left upper corner."""

    x: int
    y: int
    image: np.ndarray


class Box(NamedTuple):
    """A filled rectangle: its left upper corner, (height, width), the colour."""

    x: int
    y: int
    size: Size
    color: str


_NARROWEST = 0.1  # width of a letter in heights of the font: less than that of an i


@functools.lru_cache(maxsize=32)
def font(height: int) -> ImageFont.FreeTypeFont:
    """Returns Pillow's own scalable font at a height in pixels."""
    # Only without FreeType, which every wheel of Pillow has, is it another font.
    return ImageFont.load_default(height)  # pyright: ignore[reportReturnType]


def legible(text: str) -> str:
    """Returns text in letters that the font has.

    Others lose their accents, or become question marks.
    """
    return "".join(map(_substitute, text.translate(_SUBSTITUTES)))


def shorten(text: str, width: float, height: int) -> str:
    """Returns legible text that fits; its middle is left out, since names end apart.

    Args:
        text: Any text.
        width: The available width in pixels.
        height: The font's height in pixels.
    """
    most = int(width / (_NARROWEST * height)) + 1
    if len(text) > 2 * most:  # so much fits on neither side of the middle
        text = text[:most] + text[-most:]
    text = legible(text)
    if font(height).getlength(text) <= width:
        return text

    def short(count: int) -> str:
        head = (count + 1) // 2
        return f"{text[:head]}...{text[len(text) - (count - head) :]}"

    count = bisect.bisect_right(
        range(1, len(text)),
        width,
        key=lambda count: font(height).getlength(short(count)),
    )
    return short(count)


def wrap(
    text: str, width: float, height: int, *, lines: int | None = None
) -> list[str]:
    """Returns text in lines that fit, broken at spaces.

    Args:
        text: Any text.
        width: The available width in pixels.
        height: The font's height in pixels.
        lines: The most lines, of which the last is shortened; None for any number.
    """
    words, result = text.split(" "), []
    while words:
        count = 1
        if lines is not None and len(result) == lines - 1:
            count = len(words)
        while count < len(words) and _fits(words[: count + 1], width, height):
            count += 1
        result.append(shorten(" ".join(words[:count]), width, height))
        words = words[count:]
    return result


def fit(size: Size, box: Size) -> Size:
    """Returns the largest (height, width) of the same shape inside a box."""
    scale = min(box[0] / size[0], box[1] / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def resize(image: np.ndarray, size: Size) -> np.ndarray:
    """Returns an image, floats in [0, 1], at another (height, width), as uint8."""
    whole = to_uint8(image)
    if whole.shape[:2] == tuple(size):
        return whole
    height, width = size
    resized = Image.fromarray(whole).resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(resized)


def interpolate(heat: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Returns heat between the centres of its cells, bilinearly.

    Args:
        heat: float32 (h, w), a value for each cell.
        rows: Positions in cells down, 0 being the first centre; floats (n,).
        columns: The same across, (m,).

    Returns:
        float32 (n, m); outside the outer centres, the values there.
    """
    for axis, wanted in ((0, rows), (1, columns)):
        last = heat.shape[axis] - 1
        positions = np.clip(wanted, 0, last)
        first = np.minimum(np.floor(positions).astype(int), max(last - 1, 0))
        weight = (positions - first).astype(np.float32)
        weight = weight[:, None] if axis == 0 else weight[None, :]
        low = heat.take(first, axis)
        heat = low + weight * (heat.take(np.minimum(first + 1, last), axis) - low)
    return heat


def overlay_heat(
    image: np.ndarray, heat: np.ndarray, *, peak: tuple[float, float] | None = None
) -> np.ndarray:
    """Returns an image in grey with heat over it.

    Args:
        image: uint8 (height, width, 3).
        heat: float32 (height, width): transparent at 0 and below, strongest at 1.
        peak: (down, across) in pixels, marked with a ring; None for no mark.
    """
    level = np.clip(heat, 0, 1)
    stops = np.linspace(0, 1, len(_HEAT))
    channels = [np.interp(level, stops, _HEAT[:, channel]) for channel in range(3)]
    color, opacity = np.stack(channels, -1), _MAX_OPACITY * np.sqrt(level[..., None])
    grey = image.astype(np.float32).mean(axis=-1, keepdims=True) * _GREY_LEVEL
    mixed = Image.fromarray(np.rint(grey + opacity * (color - grey)).astype(np.uint8))
    if peak is not None:
        y, x = peak
        pencil = ImageDraw.Draw(mixed)
        for radius, outline, width in ((_RING + 1, "black", 2), (_RING, "white", 1)):
            box = (x - radius, y - radius, x + radius, y + radius)
            pencil.ellipse(box, outline=outline, width=width)
    return np.asarray(mixed)


def paint(size: Size, items: Iterable[Text | Tile | Box]) -> np.ndarray:
    """Returns an image of a (height, width) with items on it, the last ones on top."""
    canvas = Image.new("RGB", (size[1], size[0]), PAPER)
    pencil = ImageDraw.Draw(canvas)
    for item in items:
        corner = (item.x, item.y)
        if isinstance(item, Text):
            pencil.text(corner, item.text, fill=item.color, font=font(item.height))
        elif isinstance(item, Tile):
            canvas.paste(Image.fromarray(item.image), corner)
        else:
            end = (item.x + item.size[1] - 1, item.y + item.size[0] - 1)
            pencil.rectangle((corner, end), fill=item.color)
    return np.asarray(canvas)


def _fits(words: list[str], width: float, height: int) -> bool:
    return font(height).getlength(" ".join(words)) <= width


@functools.lru_cache(maxsize=4096)
def _substitute(letter: str) -> str:
    if _has_glyph(letter):
        return letter
    base = unicodedata.normalize("NFKD", letter)[0]
    return base if _has_glyph(base) else "?"


def _has_glyph(letter: str) -> bool:
    """Tells whether the font has a letter: it draws a box for those that it lacks."""
    if letter.isascii():
        return letter.isprintable()
    return letter.isprintable() and _glyph(letter) != _glyph("\ue000")


def _glyph(letter: str) -> bytes:
    image = Image.new("L", (40, 40))
    ImageDraw.Draw(image).text((4, 4), letter, fill=255, font=font(20))
    return image.tobytes()
