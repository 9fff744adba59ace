"""`dream grid`: a sheet of one photo, dreamed with several values of some settings."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from keras_dream.cli.network_files import (
    consent,
    networks_of,
    recipe_files,
    recipe_settings,
    weights_of,
)
from keras_dream.cli.options import (
    CellFlags,
    Named,
    Out,
    Photo,
    Preset,
    RecipeFile,
    RunFlags,
    Weights,
)
from keras_dream.cli.reporters.base import Reporter
from keras_dream.cli.sheet_run import (
    Places,
    SheetFlags,
    check_cells,
    places_of,
    run_sheet,
)
from keras_dream.errors import PictureError
from keras_dream.events import Loading
from keras_dream.recipe.recipe import Recipe, RunSettings

if TYPE_CHECKING:
    from keras_dream.sheets.plan import Plan
    from keras_dream.sheets.run import Dreamers

_AXIS = "NAME=VALUE|VALUE"


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class GridFlags:
    """The axes of a grid, and its sizes."""

    x: Annotated[
        str | None,
        Parameter(metavar=_AXIS, help="the columns: a setting and its values"),
    ] = None
    y: Annotated[str | None, Parameter(metavar=_AXIS, help="the rows")] = None
    z: Annotated[
        str | None,
        Parameter(metavar=_AXIS, help="one grid of rows and columns for each value"),
    ] = None
    size: Annotated[
        int,
        Parameter(
            help="longer side of a cell on the sheet in pixels; files of cells keep "
            "their size"
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


def grid(
    photo: Photo,
    /,
    *,
    grid_of: GridFlags = _NO_AXES,
    out: Out = None,
    weights: Weights = (),
    file: Named = (),
    more: SheetFlags = _NONE,
    preset: Preset = "default",
    recipe: RecipeFile = None,
    flags: CellFlags = None,
    run: RunFlags = None,
) -> int:
    """Dream a photo with every combination of several values of some settings.

    dream grid sky.jpg --x "objective=mixed2|mixed4" --y "step_size=0.005|0.02"

    An axis is any setting of the recipe, or preset; preset=* stands for all
    looks, seed=0-5 for six seeds. The cells are kept in a
    folder beside the sheet, so that the same command goes on after it was
    stopped.

    Args:
        photo: a picture, as for `dream PHOTO`
        grid_of: the axes and the sizes
        out: the sheet, .png, .jpg, .webp, .tif or .exr [default: PHOTO-grid.png]
        weights: a weights file for the network; with several networks NETWORK=FILE
        file: a file that the recipe names, such as a guide, if it is not beside it
        more: the options of every sheet
        preset: the recipe to start from, see `dream presets`
        recipe: a .json file or a dreamed picture; replaces settings of the preset
        flags: settings of all cells
        run: every run setting
    """
    from keras_dream.pictures.encoding import SUFFIXES
    from keras_dream.recipe.presets import preset as preset_of
    from keras_dream.sheets.axes import read_axes, recipes_of

    axes, models = read_axes(x=grid_of.x, y=grid_of.y, z=grid_of.z)
    base = preset_of(preset)
    over, own = recipe_settings(recipe, flags, models, trusted=more.trust_model)
    by_network = _weights(weights, over.over(base), axes)
    networks = networks_of(models, by_network, trusted=more.trust_model)
    for network in networks:
        network.check()
    places = places_of(_check_photo(photo, out), out, "grid", SUFFIXES)
    planned = {"axes": axes, "base": base, "over": over, "size": grid_of.size}
    files = recipe_files(file, photo, recipe)
    files.check(over)
    loaded: dict[str, Any] = {
        "networks": networks,
        "run": run or RunSettings(),
        "files": files,
    }
    if recipe is not None and not more.yes:
        loaded["before_download"] = consent(recipes_of(axes, base, own))
    request = _Grid(photo, grid_of.photo_side, planned, loaded, more)
    return run_sheet(request.prepare, places, more)


@dataclass(frozen=True)
class _Grid:
    """A grid as the user asked for it."""

    photo: str
    photo_side: int | None
    planned: Mapping[str, Any]
    loaded: Mapping[str, Any]
    more: SheetFlags

    def prepare(self, places: Places, reporter: Reporter) -> "tuple[Plan, Dreamers]":
        """Reads the photo and plans the sheet; networks are loaded when needed."""
        from keras_dream.pictures.picture import read_picture
        from keras_dream.sheets.cells import shrink
        from keras_dream.sheets.grid import grid_dreamers, plan_grid
        from keras_dream.sheets.sheet import check_sheet

        picture = read_picture(self.photo)
        small = shrink(picture, self.photo_side)
        plan = plan_grid(small, **self.planned)
        check_sheet(plan, places.out)
        if not self.more.yes:
            check_cells(plan)
        if small is not picture:
            plan = replace(plan, beside=(small,))
        dreamers = grid_dreamers(
            plan,
            loading=lambda names: reporter.report(Loading(names)),
            progress=reporter.download,
            **self.loaded,
        )
        return plan, dreamers


def _check_photo(photo: str, out: str | None) -> Path:
    """Makes sure that the photo is a file, which the sheet does not replace."""
    from keras_dream.files import check_file, check_not_same

    path = check_file(photo, "A picture", error=PictureError)
    if out is not None:
        check_not_same(Path(out), path, what="A sheet", instead="its own photo")
    return path


def _weights(texts: tuple[str, ...], recipe: Recipe, axes: Any) -> dict[str, str]:
    """Returns weights files by network; those of an axis count, too."""
    files: dict[str, str] = {}
    varied = [v for axis in axes if axis.name == "network" for v in axis.values]
    for text in texts:
        name, _, file = text.partition("=")
        is_varied = file and name in varied
        files.update({name: file} if is_varied else weights_of([text], recipe))
    return files
