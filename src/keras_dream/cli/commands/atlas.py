"""`dream atlas`: a sheet of what a network's layers, channels and classes dream."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from keras_dream.cli.options import (
    CellFlags,
    File,
    Out,
    Patterns,
    RunFlags,
    Switch,
    split,
)
from keras_dream.cli.reporters.base import Reporter
from keras_dream.cli.sheet_run import (
    Places,
    SheetFlags,
    check_cells,
    places_of,
    run_sheet,
)
from keras_dream.events import Loading
from keras_dream.recipe.recipe import RunSettings

if TYPE_CHECKING:
    from keras_dream.sheets.plan import Plan
    from keras_dream.sheets.run import Dreamers
    from keras_dream.zoo.network import Network

# The defaults of `dream PHOTO` are not shown: an atlas has some of its own.
SheetRecipe = Annotated[CellFlags, Parameter(show_default=False)]

_NONE = SheetFlags()


def atlas(
    network: str,
    /,
    *,
    layers: Patterns = (),
    channels: Annotated[str | None, Parameter(metavar="NUMBERS")] = None,
    classes: Switch = False,
    size: int = 96,
    columns: int = 16,
    out: Out = None,
    weights: File = None,
    more: SheetFlags = _NONE,
    flags: SheetRecipe = None,
    run: RunFlags = None,
) -> int:
    """Draw a sheet of what a network's layers, channels and classes dream from noise.

    The cells are kept in a folder beside the sheet, so that the same command
    goes on after it was stopped and makes only cells that are missing. Their
    defaults differ from those of `dream PHOTO`: 5 octaves, loss mean, detail
    none, and a jitter of a sixteenth of the cell's side.

    Args:
        network: a network's name, or a .keras file
        layers: names, or patterns such as "mixed*" [default: the last of each block]
        channels: such as 0-15,40 or all [default: the first 16 of each layer]
        classes: draw the classes; with --layers the layers as well
        size: side of a cell in pixels
        columns: the most cells in a row; not for .html
        out: a picture, or .html for zoom and search [default: NETWORK-atlas.png]
        weights: a weights file for the network
        more: the options of every sheet
        flags: settings of the recipe except network and objective
        run: every run setting
    """
    from keras_dream.sheets.sheet import ATLAS_SUFFIXES
    from keras_dream.zoo.network import Network

    source = Network(network, weights=weights, trust=more.trust_model)
    source.check()
    places = places_of(Path(Path(network).name), out, "atlas", ATLAS_SUFFIXES)
    asked = {
        "layers": split(layers),
        "channels": channels,
        "classes": classes,
        "size": size,
        "columns": columns,
        "recipe": flags,
    }
    if flags is not None and flags.preprocessing is not None:
        source = replace(source, preprocessing=flags.preprocessing)
    request = _Atlas(source, asked, more, run or RunSettings())
    return run_sheet(request.prepare, places, more)


@dataclass(frozen=True)
class _Atlas:
    """An atlas as the user asked for it."""

    network: "Network"
    asked: Mapping[str, Any]
    more: SheetFlags
    run: RunSettings

    def prepare(self, places: Places, reporter: Reporter) -> "tuple[Plan, Dreamers]":
        """Loads the network and plans the sheet."""
        from keras_dream.dreamer.dreamer import Dreamer
        from keras_dream.sheets.atlas import plan_atlas
        from keras_dream.sheets.run import Dreamers
        from keras_dream.sheets.sheet import check_sheet

        reporter.report(Loading(self.network.name))
        dreamer = Dreamer(
            self.network,
            classifier=self.asked["classes"],
            run=self.run,
            progress=reporter.download,
        )
        plan = plan_atlas(dreamer, **self.asked)
        check_sheet(plan, places.out)
        if not self.more.yes:
            check_cells(plan)
        return plan, Dreamers((), dreamer=dreamer)
