"""`dream atlas` and `dream grid`: sheets of many dreams."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from keras_dream.cli.commands.dream import (
    FILES,
    RECIPE,
    File,
    Out,
    RecipeFlags,
    RunFlags,
    Weights,
)
from keras_dream.cli.commands.explain import Patterns, split
from keras_dream.cli.commands.sheet_running import (
    Places,
    SheetFlags,
    carry_out,
    check_cells,
    places_of,
)
from keras_dream.cli.options import asked_for, consent, weights_of
from keras_dream.cli.reporters.sheet_telling import SheetTeller
from keras_dream.errors import OutputError, PictureError, WeightsError, short_repr
from keras_dream.recipe.recipe import Recipe, RunSettings

if TYPE_CHECKING:
    from keras_dream.sheets.plan import Plan
    from keras_dream.sheets.work import Dreamers

# The recipe's defaults are those of `dream PHOTO`; an atlas has some of its own.
CellFlags = Annotated[RecipeFlags, Parameter(show_default=False)]

_AXIS = "NAME=VALUE|VALUE"


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class GridFlags:
    """What a grid varies, and how large it is."""

    x: Annotated[
        str | None,
        Parameter(metavar=_AXIS, help="the columns: a setting and its values"),
    ] = None
    y: Annotated[str | None, Parameter(metavar=_AXIS, help="the rows")] = None
    z: Annotated[
        str | None, Parameter(metavar=_AXIS, help="the blocks, one below the other")
    ] = None
    size: Annotated[
        int,
        Parameter(
            help="longer side of a cell on the sheet, in pixels; cells are kept whole"
        ),
    ] = 320
    photo_side: Annotated[
        int | None,
        Parameter(
            metavar="PIXELS",
            help="shrink the photo to this longer side before it is dreamed",
        ),
    ] = None


_NO_AXES = GridFlags()
_NONE = SheetFlags()


def atlas(
    network: str,
    /,
    *,
    layers: Patterns = (),
    channels: Annotated[str | None, Parameter(metavar="NUMBERS")] = None,
    classes: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    size: int = 96,
    columns: int = 16,
    out: Out = None,
    weights: File = None,
    more: SheetFlags = _NONE,
    flags: CellFlags = None,
    run: RunFlags = None,
) -> int:
    """Draw what a network's layers, channels and classes dream from noise.

    Cells are kept in a folder beside the sheet: a run that was stopped goes on
    where it was, and one with more layers dreams only what is new. Unless flags
    say otherwise, they are dreamed in 5 octaves with the loss mean, a jitter of
    a sixteenth of their side, and detail none.

    Args:
        network: the network's name, or a .keras file
        layers: layer names, or patterns of them such as "mixed*"; more by commas or by
            giving the flag again; else the ends of the network's blocks
        channels: such as 0-15,40 or all; else the first 16 of each layer
        classes: the classes, instead of layers or, with --layers, as well
        size: side of a cell in pixels
        columns: the most cells in a row of a picture
        out: .png, .jpg, .webp, .tif, or .html for a page to zoom and to search; else
            NETWORK-atlas.png
        weights: a weights file for the network
        more: what every sheet takes
        flags: settings of the recipe, but for network and objective
        run: every run setting
    """
    from keras_dream.sheets.work import ATLAS_SUFFIXES

    _check_network(network, weights, trusted=more.trust_model)
    places = places_of(Path(Path(network).name), out, "atlas", ATLAS_SUFFIXES)
    asked = {
        "layers": split(layers),
        "channels": channels,
        "classes": classes,
        "size": size,
        "columns": columns,
        "recipe": flags,
    }
    job = _Atlas(network, weights, asked, more, run or RunSettings())
    return carry_out(job.prepare, places, more)


def grid(
    photo: Annotated[str, Parameter(group=FILES)],
    /,
    *,
    grid_of: GridFlags = _NO_AXES,
    out: Out = None,
    weights: Weights = (),
    more: SheetFlags = _NONE,
    preset: Annotated[str, Parameter(group=RECIPE, metavar="NAME")] = "default",
    recipe: Annotated[str | None, Parameter(group=RECIPE, metavar="FILE")] = None,
    flags: RecipeFlags = None,
    run: RunFlags = None,
) -> int:
    """Dream a photo with every combination of some settings' values.

    dream grid sky.jpg --x "objective=mixed2|mixed4" --y "step_size=0.005|0.02"

    Any setting of the recipe can be an axis, and so can preset. Cells are kept
    in a folder beside the sheet, each with its recipe: a run that was stopped
    goes on where it was.

    Args:
        photo: a picture, as for `dream PHOTO`
        grid_of: the axes and the sizes
        out: the sheet, .png, .jpg, .webp or .tif; else PHOTO-grid.png
        weights: a weights file for the network; NETWORK=FILE for one of several
        more: what every sheet takes
        preset: the recipe to begin with, see `dream presets`
        recipe: a .json file or a dreamed picture, over the preset; flags go over both
        flags: what the cells have in common
        run: every run setting
    """
    from keras_dream.pictures.encoding import SUFFIXES
    from keras_dream.recipe.presets import preset as preset_of
    from keras_dream.sheets.axes import read_axes, recipes_of
    from keras_dream.zoo import user_models

    axes, models = read_axes(x=grid_of.x, y=grid_of.y, z=grid_of.z)
    base = preset_of(preset)
    over, given = asked_for(recipe, flags, models, trusted=more.trust_model)
    for path in models.values():
        user_models.check(path, trusted=more.trust_model)
    files = _weights(weights, over.over(base), axes)
    places = places_of(_check_photo(photo, out), out, "grid", SUFFIXES)
    planned = {"axes": axes, "base": base, "over": over, "size": grid_of.size}
    loaded = {"weights": files or None, "models": models, "run": run or RunSettings()}
    if recipe is not None and not more.yes:
        loaded["before_download"] = consent(recipes_of(axes, base, given))
    job = _Grid(photo, grid_of.photo_side, planned, loaded, more)
    return carry_out(job.prepare, places, more)


@dataclass(frozen=True)
class _Atlas:
    """An atlas as it was asked for."""

    network: str
    weights: str | None
    asked: Mapping[str, Any]
    more: SheetFlags
    run: RunSettings

    def prepare(self, places: Places, told: SheetTeller) -> "tuple[Plan, Dreamers]":
        """Loads the network and plans the sheet."""
        from keras_dream.dreamer.dreamer import Dreamer
        from keras_dream.sheets.atlas import keep_starts, plan_atlas
        from keras_dream.sheets.work import Dreamers, check_sheet
        from keras_dream.zoo import user_models

        told.loading(self.network)
        flags = self.asked["recipe"]
        dreamer = Dreamer(
            Path(self.network) if user_models.is_file(self.network) else self.network,
            weights=self.weights,
            preprocessing=None if flags is None else flags.preprocessing,
            trust_model=self.more.trust_model,
            classifier=self.asked["classes"],
            run=self.run,
            progress=told.download,
        )
        plan = plan_atlas(dreamer, **self.asked)
        check_sheet(plan, places.out)
        if not self.more.yes:
            check_cells(plan)
        keep_starts(plan, places.folder)
        return plan, Dreamers((), dreamer=dreamer)


@dataclass(frozen=True)
class _Grid:
    """A grid as it was asked for."""

    photo: str
    photo_side: int | None
    planned: Mapping[str, Any]
    loaded: Mapping[str, Any]
    more: SheetFlags

    def prepare(self, places: Places, told: SheetTeller) -> "tuple[Plan, Dreamers]":
        """Reads the photo and plans the sheet; networks are loaded when needed."""
        from keras_dream.pictures.encoding import save_picture
        from keras_dream.pictures.picture import read_picture
        from keras_dream.sheets.cells import open_folder, shrink
        from keras_dream.sheets.grid import grid_dreamers, plan_grid
        from keras_dream.sheets.work import check_sheet

        picture = read_picture(self.photo)
        small = shrink(picture, self.photo_side)
        plan = plan_grid(small, **self.planned)
        check_sheet(plan, places.out)
        if not self.more.yes:
            check_cells(plan)
        if small is not picture:
            # Beside the cells, where making one again looks for it.
            save_picture(open_folder(places.folder) / small.name, small.pixels)
        dreamers = grid_dreamers(
            plan,
            trust_model=self.more.trust_model,
            loading=told.loading,
            progress=told.download,
            **self.loaded,
        )
        return plan, dreamers


def _check_network(network: str, weights: str | None, *, trusted: bool) -> None:
    """Makes sure of everything about a network that is cheap to look at."""
    from keras_dream.files import check_file
    from keras_dream.zoo import load as zoo, user_models

    if user_models.is_file(network):
        user_models.check(network, trusted=trusted)
    else:
        zoo.entry(network)
    if weights is not None:
        check_file(weights, "A weights file", error=WeightsError)


def _check_photo(photo: str, out: str | None) -> Path:
    """Makes sure that the photo is a file, which the sheet does not replace."""
    from keras_dream.files import check_file

    path = check_file(photo, "A picture", error=PictureError)
    if out is not None and Path(out).exists() and path.samefile(out):
        raise OutputError(
            "A sheet must not replace its own photo",
            received=short_repr(out),
            hint="try another name",
        )
    return path


def _weights(given: tuple[str, ...], recipe: Recipe, axes: Any) -> dict[str, str]:
    """Returns weights files by network; those of an axis count, too."""
    from keras_dream.files import check_file

    files: dict[str, str] = {}
    varied = [v for axis in axes if axis.name == "network" for v in axis.values]
    for text in given:
        name, _, file = text.partition("=")
        user_models = file and name in varied
        files.update({name: file} if user_models else weights_of([text], recipe))
    for file in files.values():
        check_file(file, "A weights file", error=WeightsError)
    return files
