"""The atlas as an HTML page: one file for any browser, offline."""

import base64
import io
import string
from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path

from keras_dream.pictures.picture import to_uint8
from keras_dream.sheets.cells import DreamedCell
from keras_dream.sheets.plan import Plan

QUALITY = 90
"""Of WebP, which every browser since 2020 shows: a third of a PNG's bytes, without a
visible difference."""

_PARTS = Path(__file__).parent
# Nothing else is fetched or run, whatever the names of layers contain.
_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'"
)


def page(plan: Plan, cells: Iterable[DreamedCell]) -> str:
    """Returns an atlas as one HTML page with its pictures, style and script in it.

    Args:
        plan: The atlas.
        cells: Its cells in the plan's order, as small pictures; the whole dreams stay
            in the folder of the cells.
    """
    rest = iter(cells)
    blocks = [
        _section(number, section.title, [next(rest) for _ in section.cells])
        for number, section in enumerate(plan.sections)
    ]
    links = "".join(
        f'<a href="#s{number}">{escape(section.title)}</a>'
        for number, section in enumerate(plan.sections)
    )
    return string.Template((_PARTS / "page.html").read_text("utf-8")).substitute(
        policy=_POLICY,
        title=escape(plan.title),
        subtitle=escape(plan.subtitle),
        network=escape(str(plan.about["network"])),
        side=plan.side,
        style=(_PARTS / "page.css").read_text("utf-8"),
        script=(_PARTS / "page.js").read_text("utf-8"),
        links=links,
        sections="".join(blocks),
    )


def is_page(path: Path) -> bool:
    """Tells whether a file begins as the pages do that `page` returns."""
    template = (_PARTS / "page.html").read_text("utf-8")
    head = (template.partition("$policy")[0] + _POLICY).encode()
    with path.open("rb") as file:
        return file.read(len(head)) == head


def _section(number: int, title: str, cells: list[DreamedCell]) -> str:
    count = f"{len(cells)} cell{'' if len(cells) == 1 else 's'}"
    inner = "".join(_cells(title, cells))
    return (
        f'<section id="s{number}">\n<h2>{escape(title)} <small>{count}</small></h2>\n'
        f'<div class="cells">\n{inner}</div>\n</section>\n'
    )


def _cells(title: str, cells: list[DreamedCell]) -> Iterator[str]:
    for cell in cells:
        objective = escape(str(cell.recipe.objective))
        height, width = cell.image.shape[:2]
        silent = " data-silent" if cell.silent else ""
        label = escape(cell.label)
        yield (
            f'<button type="button" class="cell" data-objective="{objective}"{silent}>'
            f'<img src="{_data_uri(cell)}" width="{width}" height="{height}" '
            f'loading="lazy" decoding="async" alt="{escape(title)} {label}">'
            f"<span>{label}</span></button>\n"
        )


def _data_uri(cell: DreamedCell) -> str:
    """Returns a cell's picture as a data URI."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(to_uint8(cell.image)).save(file, "WEBP", quality=QUALITY, method=4)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()
