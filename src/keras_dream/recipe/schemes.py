"""Schemes: how the gradient of a picture is computed, whole or in tiles, as text."""

import re
from dataclasses import dataclass
from typing import Literal

from keras_dream.errors import SettingError, short_repr

# Up to 9,999 tiles down or across, of which a gigapixel in tiles of 64 pixels has 500,
# and up to 99,999 pixels of halo.
_TEXT = re.compile(
    r"whole|(?:cells|stem (?P<cut>\S|\S.*\S)) (?P<tiles>\d{1,4}x\d{1,4})"
    r"(?: halo (?P<halo>\d{1,5}))?",
    re.ASCII,
)


@dataclass(frozen=True)
class Scheme:
    """How the gradient of a picture is computed.

    As text: `whole`; `cells 2x3`, the cells of the loss in 2 rows of 3 tiles;
    `stem mixed1 2x2`, the layers up to a node of the graph in tiles and the others
    whole. A stem of one tile is run twice, which saves the memory of its feature maps.
    ` halo 24` behind it bounds what a tile sees beyond its own cells: faster, and not
    exact.

    Attributes:
        kind: "whole", "cells" or "stem".
        rows: Tiles from top to bottom, 1 to 9999.
        columns: Tiles from left to right, 1 to 9999.
        cut: The last node of the stem; "" for other kinds.
        halo: Pixels that a tile sees beyond its own cells at most, from 0; None for all
            that they see, which is exact.
    """

    kind: Literal["whole", "cells", "stem"] = "whole"
    rows: int = 1
    columns: int = 1
    cut: str = ""
    halo: int | None = None

    @property
    def text(self) -> str:
        """The scheme as text, which `Scheme.read` reads."""
        words = [self.kind]
        if self.kind != "whole":
            words += [*([self.cut] if self.cut else []), f"{self.rows}x{self.columns}"]
        if self.halo is not None:
            words.append(f"halo {self.halo}")
        return " ".join(words)

    @classmethod
    def read(cls, text: str) -> "Scheme":
        """Returns the scheme of a text.

        Raises:
            SettingError: If it is none.
        """
        match = _TEXT.fullmatch(text)
        if match is None:
            raise _refused(text)
        if match["tiles"] is None:
            return cls()
        rows, columns = map(int, match["tiles"].split("x"))
        if not rows or not columns:
            raise _refused(text)
        halo = None if match["halo"] is None else int(match["halo"])
        kind = "cells" if match["cut"] is None else "stem"
        return cls(kind, rows, columns, match["cut"] or "", halo)


def _refused(text: str) -> SettingError:
    return SettingError(
        "A gradient must be whole, cells ROWSxCOLUMNS, or stem NODE ROWSxCOLUMNS, "
        "maybe with `halo PIXELS` behind the tiles",
        received=short_repr(text),
        hint="try cells 2x2",
    )
