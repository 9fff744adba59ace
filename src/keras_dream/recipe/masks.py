"""Masks and regions: where a dream happens, as values and as text.

    mask    = source [ "(" option { "," option } ")" ]
            | "box" "(" side "," side "," side "," side { "," option } ")"
            | "random" [ "(" number { "," option } ")" ]
    source  = file | "alpha"
    file    = name [ "#" sha256 ]
    side    = number [ "%" ]
    option  = "feather=" pixels | "invert"
    region  = mask ":" objective

A file is a picture whose grey values say how strong the dream is, from black, where the
original's pixels stay, to white; its transparency says so instead where it has any.
`sky.png(feather=20, invert)`, `box(10%, 20%, 60%, 80%)` (left, top, right, bottom) and
`alpha(invert)`, the photo's own transparency, are masks. `random`, `random(2)` and so
on are soft patches on half of the picture, which the recipe's seed draws; another
number is another draw. Odd names are quoted (`'sky (1).png'`), as are files called
`alpha`, `box` or `random`; a quote inside quotes is written twice.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from pydantic_core import CoreSchema, core_schema

from keras_dream.errors import SettingError, short_repr
from keras_dream.recipe.files import FileRef
from keras_dream.recipe.objectives import Objective, parse as parse_objective

MAX_FEATHER = 10_000.0  # pixels
MAX_REGIONS = 32

_QUOTED = r"'(?:[^']|'')+'"
_PLAIN = r"(?:[A-Za-z]:[\\/])?[^'\"():;#,=\s](?:[^'\"():;#,=]*[^'\"():;#,=\s])?"
_MASK = re.compile(
    rf"\s*(?P<name>{_QUOTED}|{_PLAIN})(?:#(?P<sha256>[0-9a-fA-F]{{64}}))?\s*"
    r"(?:\((?P<values>[^()']*)\)\s*)?(?P<end>:|$)"
)
_SIDE = re.compile(r"(?P<number>\d{1,6}(?:\.\d{1,6})?)\s*(?P<unit>%|px)?")
_FEATHER = re.compile(r"feather\s*=\s*(?P<pixels>\d{1,6}(?:\.\d{1,6})?)")
_RESERVED = ("alpha", "box", "random", "none")
_DRAW = re.compile(r"\d{1,3}")


@dataclass(frozen=True)
class Side:
    """Where a side of a box lies, from the picture's left or top edge.

    Attributes:
        number: Percent of the picture, or pixels.
        is_percent: Which of both.
    """

    number: float
    is_percent: bool

    def pixels(self, length: int) -> int:
        """Returns whole pixels in a picture of a length."""
        return round(self.number * length / 100 if self.is_percent else self.number)

    @property
    def text(self) -> str:
        """The side as it is written in a box."""
        return f"{_decimal(self.number)}{'%' if self.is_percent else ''}"


@dataclass(frozen=True)
class Mask:
    """Where a dream happens, and how strongly.

    Attributes:
        file: A picture of grey values; None for a box, the photo's transparency and
            random patches.
        box: Left, top, right and bottom; empty for none.
        feather: Pixels of the photo on either side of an edge, over which it is soft.
        invert: Whether white is where nothing happens.
        random: The number of a draw of random patches; None for the others.
    """

    file: FileRef | None = None
    box: tuple[Side, ...] = ()
    feather: float = 0.0
    invert: bool = False
    random: int | None = None

    @property
    def text(self) -> str:
        """The mask as text that `parse_mask` reads back."""
        options = [f"feather={_decimal(self.feather)}"] if self.feather else []
        options += ["invert"] if self.invert else []
        sides = [side.text for side in self.box]
        sides += [str(self.random)] if self.random else []
        values = ", ".join((*sides, *options))
        name = "box" if self.box else "alpha" if self.random is None else "random"
        if self.file is not None:
            name = _quoted(self.file.name)
            name += f"#{self.file.sha256}" if self.file.sha256 else ""
        return name + (f"({values})" if values else "")

    def __str__(self) -> str:
        return self.text

    @classmethod
    def __get_pydantic_core_schema__(cls, *_: object) -> CoreSchema:
        """Makes the mask a field type: read from text, written as text."""
        return core_schema.no_info_plain_validator_function(
            _read_mask,
            serialization=core_schema.to_string_ser_schema(),
            json_schema_input_schema=core_schema.str_schema(),
        )


@dataclass(frozen=True)
class Region:
    """A part of the picture with an objective of its own.

    Attributes:
        mask: Where.
        objective: What is maximised there.
    """

    mask: Mask
    objective: Objective

    @property
    def text(self) -> str:
        """The region as text that `parse_region` reads back."""
        return f"{self.mask.text}: {self.objective.text}"

    def __str__(self) -> str:
        return self.text

    @classmethod
    def __get_pydantic_core_schema__(cls, *_: object) -> CoreSchema:
        """Makes the region a field type: read from text, written as text."""
        return core_schema.no_info_plain_validator_function(
            _read_region,
            serialization=core_schema.to_string_ser_schema(),
            json_schema_input_schema=core_schema.str_schema(),
        )


def parse_mask(text: str) -> Mask:
    """Reads a mask from text such as "sky.png(feather=20, invert)".

    Raises:
        SettingError: If it is none.
    """
    mask, rest = _mask(text)
    if rest is not None:
        raise _refused(text)
    return mask


def parse_region(text: str) -> Region:
    """Reads a region from text such as "sky.png: mixed4:11 + 0.5*mixed3".

    Raises:
        SettingError: If it is none.
        ObjectiveError: If what stands behind the colon is no objective.
    """
    mask, rest = _mask(text)
    if rest is None or not rest.strip():
        raise SettingError(
            "A region must be written as MASK: OBJECTIVE",
            received=short_repr(text),
            hint="try 'sky.png: mixed4' or 'box(0%, 0%, 50%, 100%): mixed4:11'",
        )
    return Region(mask, parse_objective(rest.strip()))


def as_regions(value: Any) -> Any:
    """Returns a list of regions, yet unread, for what a recipe may hold of them.

    Args:
        value: A region, its text, or a list of these; None and "none" for no regions.

    Raises:
        SettingError: If there are too many.
    """
    if value is None or value == "none":
        return ()
    if not isinstance(value, list | tuple):
        return (value,)
    several = cast("Sequence[Any]", value)
    if len(several) > MAX_REGIONS:
        raise SettingError(
            f"A dream must have at most {MAX_REGIONS} regions",
            received=str(len(several)),
            hint="leave some of them out",
        )
    return tuple(several)


def _read_mask(value: Any) -> Mask:
    return value if isinstance(value, Mask) else parse_mask(str(value))


def _read_region(value: Any) -> Region:
    return value if isinstance(value, Region) else parse_region(str(value))


def _mask(text: str) -> tuple[Mask, str | None]:
    """Returns the mask that text begins with, and what follows behind a colon."""
    match = _MASK.match(text)
    if match is None:
        raise _refused(text)
    values = [value.strip() for value in (match["values"] or "").split(",")]
    values = [] if values == [""] else values
    name, file, box, random = match["name"], None, (), None
    if name == "box":
        box = tuple(_side(value, text) for value in values[:4])
        values = values[4:]
        _check_box(box, text)
    elif name == "random":
        numbered = bool(values and _DRAW.fullmatch(values[0]))
        random = int(values.pop(0)) if numbered else 0
    elif name != "alpha":
        plain = name[1:-1].replace("''", "'") if name.startswith("'") else name
        file = FileRef(plain, (match["sha256"] or "").lower())
    if file is None and match["sha256"]:
        raise _refused(text)
    feather, invert = _options(values, text)
    rest = text[match.end() :] if match["end"] else None
    return Mask(file, box, feather, invert, random), rest


def _options(values: Sequence[str], text: str) -> tuple[float, bool]:
    feather, invert = 0.0, False
    for value in values:
        match = _FEATHER.fullmatch(value)
        if match is not None and not feather:
            feather = float(match["pixels"])
        elif value == "invert" and not invert:
            invert = True
        else:
            raise _refused(text)
    if feather > MAX_FEATHER:
        raise SettingError(
            f"A feather must be at most {MAX_FEATHER:g} pixels",
            received=f"{feather:g}",
            hint="draw a soft mask instead",
        )
    return feather, invert


def _side(value: str, text: str) -> Side:
    match = _SIDE.fullmatch(value)
    if match is None:
        raise _refused(text)
    return Side(float(match["number"]), match["unit"] == "%")


def _check_box(box: Sequence[Side], text: str) -> None:
    if len(box) < 4:
        raise _refused(text)
    left, top, right, bottom = box
    outside = any(side.is_percent and side.number > 100 for side in box)
    empty = any(
        first.is_percent == last.is_percent and first.number >= last.number
        for first, last in ((left, right), (top, bottom))
    )
    if outside or empty:
        raise SettingError(
            "A box must have its left, top, right and bottom side inside the picture, "
            "left before right and top before bottom",
            received=short_repr(text),
            hint="try box(10%, 20%, 60%, 80%)",
        )


def _refused(text: str) -> SettingError:
    return SettingError(
        "A mask must be a picture file, box(LEFT, TOP, RIGHT, BOTTOM) in percent or "
        "pixels, alpha, or random, with feather=PIXELS or invert in brackets",
        received=short_repr(text),
        hint="try sky.png(feather=20, invert), box(10%, 20%, 60%, 80%), or put an odd "
        "file name into single quotes",
    )


def _decimal(number: float) -> str:
    """Returns a number with its six decimals, as it is read, without an exponent."""
    return f"{number:.6f}".rstrip("0").rstrip(".")


def _quoted(name: str) -> str:
    if re.fullmatch(_PLAIN, name) and name not in _RESERVED:
        return name
    return "'" + name.replace("'", "''") + "'"
