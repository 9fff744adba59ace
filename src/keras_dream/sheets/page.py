"""The atlas as a page: one file, for any browser, without a network."""

import base64
import io
from collections.abc import Iterator
from html import escape
from pathlib import Path

from keras_dream.images import to_uint8
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
    style = (_PARTS / "page.css").read_text("utf-8")
    script = (_PARTS / "page.js").read_text("utf-8")
    made = iter(sheet.cells)
    blocks = [
        _section(number, section.title, [next(made) for _ in section.cells])
        for number, section in enumerate(plan.sections)
    ]
    links = "".join(
        f'<a href="#s{number}">{escape(section.title)}</a>'
        for number, section in enumerate(plan.sections)
    )
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(plan.title)}</title>
<style>
{style}</style>
<body data-side="{plan.side}" data-network="{escape(str(plan.about["network"]))}">
<header>
<h1>{escape(plan.title)}</h1>
<p>{escape(plan.subtitle)}</p>
<form role="search">
<input id="find" type="search" placeholder="Search: mixed4, mixed4:11, owl"
 aria-label="Search layers, channels and classes">
<span class="zoom">
<button type="button" id="out" aria-label="Smaller cells">–</button>
<input id="zoom" type="range" min="32" max="512" step="1" value="{plan.side}"
 aria-label="Size of the cells">
<button type="button" id="in" aria-label="Larger cells">+</button>
</span>
<output id="count" role="status"></output>
</form>
<nav aria-label="Layers">{links}</nav>
<p class="hint">Zoom with Ctrl and the wheel, with two fingers, or with + – 0; a click
shows a cell large.</p>
</header>
<main>
{"".join(blocks)}<p id="nothing" hidden>Nothing here is called so.</p>
</main>
<dialog id="large" aria-label="One cell">
<div class="stage"><img alt=""></div>
<div class="facts">
<h2></h2>
<p class="silent" hidden>Silent: from this noise its loss was 0 at every step.</p>
<label>Objective
<input class="objective" readonly></label>
<label>Command
<input class="command" readonly></label>
<p class="buttons"><button type="button" class="copy">Copy objective</button>
<button type="button" class="copy-command">Copy command</button></p>
<p class="buttons"><button type="button" class="before">Before</button>
<button type="button" class="after">After</button>
<button type="button" class="close" autofocus>Close</button></p>
</div>
</dialog>
<script>
{script}</script>
</body>
</html>
"""


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
