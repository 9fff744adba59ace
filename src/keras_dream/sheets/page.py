"""The atlas as a page: one file, for any browser, without a network."""

import base64
import io
import string
from collections.abc import Iterator
from html import escape
from pathlib import Path

from keras_dream.pictures.picture import to_uint8
from keras_dream.sheets.cells import Made
from keras_dream.sheets.work import Sheet

QUALITY = 90
"""Of WebP, which every browser since 2020 shows: a third of a PNG's bytes, and cells
look the same."""

_PARTS = Path(__file__).parent
# Nothing from anywhere else is fetched or run, whatever a layer is called.
_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'"
)


def page(sheet: Sheet) -> str:
    """Returns an atlas as one HTML page with its pictures, style and script in it.

    One file can be sent, moved and kept; the whole dreams stay in the cells' folder.

    Args:
        sheet: The atlas.
    """
    plan = sheet.plan
    made = iter(sheet.cells)
    blocks = [
        _section(number, section.title, [next(made) for _ in section.cells])
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


def _section(number: int, title: str, cells: list[Made]) -> str:
    count = f"{len(cells)} cell{'' if len(cells) == 1 else 's'}"
    inner = "".join(_cells(title, cells))
    return (
        f'<section id="s{number}">\n<h2>{escape(title)} <small>{count}</small></h2>\n'
        f'<div class="cells">\n{inner}</div>\n</section>\n'
    )


def _cells(title: str, cells: list[Made]) -> Iterator[str]:
    for made in cells:
        objective = escape(str(made.recipe.objective))
        height, width = made.image.shape[:2]
        silent = " data-silent" if made.silent else ""
        label = escape(made.label)
        yield (
            f'<button type="button" class="cell" data-objective="{objective}"{silent}>'
            f'<img src="{_data(made)}" width="{width}" height="{height}" '
            f'loading="lazy" decoding="async" alt="{escape(title)} {label}">'
            f"<span>{label}</span></button>\n"
        )


def _data(made: Made) -> str:
    """Returns a cell's picture as a data URI."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(to_uint8(made.image)).save(file, "WEBP", quality=QUALITY, method=4)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()
