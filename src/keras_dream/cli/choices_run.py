"""Sheets to choose from, from the shell: looks and variations of one photo."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from keras_dream.cli.output import write_stderr
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
from keras_dream.recipe.recipe import Recipe

if TYPE_CHECKING:
    from keras_dream.sheets.plan import Plan
    from keras_dream.sheets.run import Dreamers
    from keras_dream.sheets.sheet import Sheet


@dataclass(frozen=True)
class Choices:
    """A sheet to choose from, as the user asked for it.

    Attributes:
        kind: "looks" or "variations".
        photo: The photo's path.
        recipes: The recipes by their labels.
        out: The sheet's path; None for a name beside the photo.
        side: The longer side at which the photo is dreamed, in pixels.
        diversity: How strongly cells are pushed away from those before them.
        loaded: Of `Dreamers`: networks, run settings and the check before a download.
    """

    kind: str
    photo: str
    recipes: Mapping[str, Recipe]
    out: str | None
    side: int
    diversity: float = 0.0
    loaded: Mapping[str, Any] = field(default_factory=dict)

    def prepare(self, places: Places, reporter: Reporter) -> "tuple[Plan, Dreamers]":
        """Reads the photo and plans the sheet; networks are loaded when needed."""
        from keras_dream.pictures.picture import read_picture
        from keras_dream.sheets.cells import shrink
        from keras_dream.sheets.choices import plan_choices
        from keras_dream.sheets.run import Dreamers
        from keras_dream.sheets.sheet import check_sheet

        picture = read_picture(self.photo)
        small = shrink(picture, self.side)
        plan = plan_choices(self.kind, small, self.recipes, name=picture.name)
        check_sheet(plan, places.out)
        if small is not picture:
            plan = replace(plan, beside=(small,))
        dreamers = Dreamers(
            self.recipes.values(),
            loading=lambda names: reporter.report(Loading(names)),
            progress=reporter.download,
            **self.loaded,
        )
        return plan, dreamers


def run_choices(
    choices: Choices, flags: SheetFlags, *, how: "Callable[[Sheet], str]"
) -> int:
    """Dreams the sheet and says how to get one of its dreams in full.

    Args:
        choices: The sheet.
        flags: The options of every sheet.
        how: Returns the line to type for a sheet.

    Returns:
        The exit code.
    """
    from keras_dream.files import check_file, check_not_same
    from keras_dream.pictures.encoding import SUFFIXES

    photo = check_file(choices.photo, "A picture", error=PictureError)
    places = places_of(photo, choices.out, choices.kind, SUFFIXES)
    check_not_same(places.out, photo, what="A sheet", instead="its own photo")

    def prepare(places: Places, reporter: Reporter) -> "tuple[Plan, Dreamers]":
        plan, dreamers = choices.prepare(places, reporter)
        if not flags.yes:
            check_cells(plan)
        return plan, dreamers

    def done(sheet: "Sheet") -> None:
        if not flags.quiet and not flags.json:
            write_stderr(f"For one of them in full: {how(sheet)}")

    return run_sheet(prepare, places, flags, diversity=choices.diversity, done=done)
