"""Looks and variations: one photo by several recipes, and how to get one in full."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from keras_dream.dreamer.variations import MOST_PICTURES, pushed_from
from keras_dream.errors import DreamError, SettingError
from keras_dream.pictures.encoding import save_picture
from keras_dream.pictures.picture import Picture, read_picture
from keras_dream.recipe.presets import looks_of, presets
from keras_dream.recipe.recipe import Recipe
from keras_dream.replay import read_recipe
from keras_dream.sheets.axes import read_axes
from keras_dream.sheets.choices import plan_choices, seeds

Dream = Callable[..., tuple[int, str, str]]
FAST = ("--steps", 1, "--octaves", 1)


def _values(axis: str) -> tuple[object, ...]:
    (axis_read,), _ = read_axes(x=axis)
    return axis_read.values


def test_a_star_is_every_look() -> None:
    values = _values("preset=*")
    assert values == looks_of("motif")
    assert "book1" not in values
    assert {"default", "eyes"} <= set(values)


def test_a_range_of_whole_numbers() -> None:
    assert _values("seed=0-3|7") == ("0", "1", "2", "3", "7")
    assert _values("--octaves=2-3") == ("2", "3")
    assert _values("objective=mixed4:40-47") == ("mixed4:40-47",)
    with pytest.raises(SettingError, match="different values"):
        _values("seed=0-3|2")
    assert _values("seed=3-0") == ("3-0",)  # refused later, as any wrong value


def test_seeds_count_on_from_the_recipes_own() -> None:
    recipes = seeds(Recipe(seed=5), 3)
    assert [recipe.seed for recipe in recipes.values()] == [5, 6, 7]
    assert list(recipes) == ["1, seed 5", "2, seed 6", "3, seed 7"]


def test_cells_are_arranged_in_rows() -> None:
    picture = Picture(np.full((20, 30, 3), 0.5, np.float32), name="small.png")
    plan = plan_choices("looks", picture, dict(presets), name="large.jpg")
    assert plan.title == "Looks of large.jpg"
    assert [cell.label for cell in plan.cells] == list(presets)
    assert plan.sections[0].columns == 4


@pytest.fixture
def fitting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks that the tests' network has the layers for."""
    few = {"default": Recipe(), "near": Recipe(objective="near")}
    monkeypatch.setattr("keras_dream.recipe.presets.presets", few)


@pytest.mark.usefixtures("fitting")
def test_looks(dream: Dream, photo: Path) -> None:
    code, out, err = dream("looks", photo, *FAST)
    assert (code, out) == (0, "photo-looks.png\n")
    assert "2 cells; they take about" in err
    assert err.endswith("For one of them in full: dream photo.png --preset near\n")
    shown = json.loads(dream("show", "photo-looks.png", "--json")[1])
    assert shown["looks"]["labels"] == ["default", "near"]
    assert dream("photo.png", *FAST, "--preset", "near")[0] == 0


@pytest.mark.usefixtures("fitting")
def test_looks_are_dreamed_small(dream: Dream, photo: Path) -> None:
    save_picture("wide.png", np.full((100, 200, 3), 0.4, np.float32))
    assert dream("looks", "wide.png", "--side", 50, *FAST)[0] == 0
    cells = {*Path("wide-looks-cells").glob("*.png")}
    cells -= {Path("wide-looks-cells/wide-50.png")}
    assert {read_picture(cell).pixels.shape for cell in cells} == {(25, 50, 3)}


def test_there_are_no_looks_of_another_network(dream: Dream, photo: Path) -> None:
    code, _, err = dream("looks", photo, "--network", "squeezenet")
    assert (code, "'squeezenet'" in err) == (2, True)


def test_a_variation_can_be_dreamed_in_full(dream: Dream, photo: Path) -> None:
    line = [photo, *FAST, "--jitter=3", "--seed", 4, "--objective", "far"]
    code, out, err = dream(*line, "--variations", 3)
    assert (code, out) == (0, "photo-variations.png\n")
    last = err.splitlines()[-1]
    assert last.startswith(
        "For one of them in full: dream photo.png --recipe photo-var"
    )
    code, out, err = dream(*shlex.split(last.partition(": dream ")[2]), "-o", "two.png")
    assert code == 0, err
    made = read_recipe("two.png")
    assert (made.seed, made.jitter) == (5, 3)
    (first,) = Path("photo-variations-cells").glob("1-*.png")
    assert f"guide({first.name}#" in str(made.objective)


def test_variations_are_pushed_apart(dream: Dream, photo: Path) -> None:
    """The second moves away from the Gram matrix of the first; seeds alone do not."""
    away = {}
    flags = ("--steps", 8, "--octaves", 1, "--objective", "far", "--variations", 2)
    for diversity in ("0", "30"):
        out = f"d{diversity}.png"
        assert dream(photo, *flags, "--diversity", diversity, "-o", out)[0] == 0
        one, two = (
            read_picture(next(Path(f"d{diversity}-cells").glob(f"{n}-*.png"))).pixels
            for n in (1, 2)
        )
        away[diversity] = float(np.abs(one - two).mean())
    assert away["30"] > 1.2 * away["0"]


def test_an_objective_without_layers_is_pushed_in_other_layers(tmp_path: Path) -> None:
    recipe = Recipe(objective="class:eye + 2*class:owl")
    picture = tmp_path / "one.png"
    with pytest.raises(DreamError, match="must have a layer"):
        pushed_from(recipe, [picture], 3)
    pushed = pushed_from(recipe, [picture], 3, otherwise=["far"])
    assert pushed.objective is not None
    assert [term.weight for term in pushed.objective.terms] == [1, 2, -9]
    assert pushed_from(recipe, [], 3, otherwise=["far"]) == recipe


@pytest.mark.parametrize(
    "flags",
    [
        ("--variations", "0"),
        ("--variations", "2", "--diversity", "-1"),
        ("other.png", "--variations", "2"),
    ],
)
def test_impossible_variations(
    dream: Dream, photo: Path, flags: tuple[str, ...]
) -> None:
    save_picture("other.png", np.full((30, 30, 3), 0.5, np.float32))
    code, out, _ = dream(photo, *flags)
    assert (code, out) == (2, "")


def test_a_sheet_replaces_sheets_only(dream: Dream, photo: Path) -> None:
    line = ("grid", photo, *FAST, "--x", "seed=0-1", "-o")
    picture = Path("other.png")
    save_picture(picture, np.zeros((8, 8, 3), np.float32))
    Path("notes.html").write_text("<!doctype html>mine")
    for name in ("other.png", "notes.html"):
        before = Path(name).read_bytes()
        command = line if name == "other.png" else ("atlas", "motif", "-o")
        code, _, err = dream(*command, name)
        assert (code, "replace what is no sheet" in err) == (2, True)
        assert Path(name).read_bytes() == before
    assert dream(*line, picture, "--yes")[0] == 0
    assert dream(*line, picture)[0] == 0


def test_many_variations_have_objectives_that_are_not_too_long(tmp_path: Path) -> None:
    names = [
        tmp_path / f"{number}-seed-{number}-{'a' * 16}.png" for number in range(99)
    ]
    recipe = Recipe(objective="mixed3 + mixed4 + mixed5")
    pushed = pushed_from(recipe, names, 3).objective
    assert pushed is not None
    assert len(pushed.terms) == 3 + 3 * MOST_PICTURES
    assert names[-1].name in pushed.text
