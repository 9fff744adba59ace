"""The grid: axes and their values, the recipes of the cells, the command."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from own_models import saved, stack
from PIL import Image

import keras_dream as kd
from keras_dream import Dreamer, Recipe
from keras_dream.errors import (
    InputError,
    NetworkError,
    ObjectiveError,
    SettingError,
    WeightsError,
)
from keras_dream.jobs.journal import read_journal
from keras_dream.pictures.picture import Picture, read_picture
from keras_dream.recipe.presets import preset
from keras_dream.replay import read_recipe, read_saved
from keras_dream.sheets.axes import read_axes, settings_of
from keras_dream.sheets.cells import shrink
from keras_dream.sheets.grid import plan_grid
from keras_dream.sheets.run import Dreamers
from keras_dream.sheets.sheet import read_about

PICTURE = Picture(np.full((40, 60, 3), 0.5, np.float32), name="photo.png")
QUICK = ["--octaves", "1", "--transforms", "none"]


def planned(base=None, over=None, **axes):
    return plan_grid(PICTURE, read_axes(**axes)[0], base=base or Recipe(), over=over)


def test_columns_rows_and_blocks():
    plan = planned(
        x="objective=mixed2|mixed3|mixed4", y="step_size=0.01|0.02", z="octaves=3|5"
    )
    assert [section.title for section in plan.sections] == [
        "octaves = 3",
        "octaves = 5",
    ]
    for section, octaves in zip(plan.sections, (3, 5), strict=True):
        assert section.columns == 3
        assert [head.value for head in section.column_heads] == [
            "mixed2",
            "mixed3",
            "mixed4",
        ]
        assert [head.value for head in section.row_heads] == ["0.01", "0.02"]
        found = [
            (c.recipe.octaves, c.recipe.step_size, str(c.recipe.objective))
            for c in section.cells
        ]
        assert found == [
            (octaves, step, layer)
            for step in (0.01, 0.02)
            for layer in ("mixed2", "mixed3", "mixed4")
        ]


def test_a_single_axis_of_any_letter():
    assert planned(x="steps=1|2").sections[0].columns == 2
    rows = planned(y="steps=1|2").sections[0]
    assert (rows.columns, len(rows.row_heads), len(rows.column_heads)) == (1, 2, 0)
    assert len(planned(z="steps=1|2").sections) == 2


def test_what_is_put_over_what():
    """Preset, then the file and the flags, then the axes."""
    plan = planned(
        base=preset("book1"),
        over=Recipe(steps=7),
        x="preset=book1|book2",
        y="jitter=0|3",
    )
    first, second, third, _ = [cell.recipe for cell in plan.cells]
    assert first == preset("book1").but(steps=7, jitter=0)
    assert second == preset("book2").but(steps=7, jitter=0)
    assert third.jitter == 3
    # An axis wins over a flag, and is not shown as common to all.
    assert planned(over=Recipe(steps=7), x="steps=1|2").cells[0].recipe.steps == 1


def test_values_of_every_kind():
    assert [c.recipe.clamp for c in planned(x="clamp=true|false").cells] == [
        True,
        False,
    ]
    assert [c.recipe.max_loss for c in planned(x="max-loss=none|5").cells] == [None, 5]
    quoted = planned(x="objective='odd|name':3 | far").cells
    assert [str(c.recipe.objective) for c in quoted] == ["'odd|name':3", "far"]
    mapped = planned(x={"step_size": [0.1, 0.2]}, y={"detail": ["none", "after"]})
    assert [c.recipe.step_size for c in mapped.cells] == [0.1, 0.2, 0.1, 0.2]
    several = planned(x="objective=none|default; 0.5*motif: mixed2").cells
    assert [len(c.recipe.networks) for c in several] == [1, 2]


@pytest.mark.parametrize(
    ("axes", "error", "sentence"),
    [
        ({}, SettingError, "must have an axis"),
        ({"x": "step_size"}, SettingError, "Axis x must be a setting, ="),
        ({"x": "step_size=0.1||0.2"}, SettingError, "Axis x must be a setting, ="),
        ({"x": {}}, SettingError, "must have an axis"),
        ({"x": {"a": [1], "b": [2]}}, SettingError, "Axis x must vary one setting"),
        ({"y": "stepsize=1|2"}, SettingError, "Axis y: a setting .*'step_size'"),
        ({"x": "backend=jax|torch"}, SettingError, "Axis x: .*how a dream is computed"),
        ({"x": "schema_number=1"}, SettingError, "Axis x: a setting"),
        ({"x": "steps=1|1"}, SettingError, "must have different values"),
        ({"x": "steps=1", "z": "steps=2"}, SettingError, "steps as x and as z"),
        ({"y": "step_size=1|abc"}, SettingError, "Axis y: `step_size` must be .*'abc'"),
        ({"x": "octaves=0|2"}, SettingError, "Axis x: `octaves` must be a whole"),
        ({"x": "detail=aftr"}, SettingError, "Axis x: `detail` .*'after'"),
        ({"x": "preset=book3"}, SettingError, "Axis x: a preset .*'book2'"),
        ({"x": "network=vgg61"}, InputError, "Axis x: a network .*vgg"),
        ({"x": "objective=2*|far"}, ObjectiveError, "Axis x: an objective must have"),
        ({"x": "steps=" + "|".join(map(str, range(401))),
          "y": "seed=" + "|".join(map(str, range(401)))},
         InputError, "at most 100,000 cells"),
    ],
)  # fmt: skip
def test_what_cannot_be(axes, error, sentence):
    with pytest.raises(error, match=sentence):
        planned(**axes)


def test_what_does_not_go_together_names_its_cell():
    with pytest.raises(SettingError, match=r"Cell max_loss=5: a maximum loss must"):
        planned(over=Recipe(objective="default; motif: mixed2"), x="max_loss=none|5")


def test_a_photo_is_shrunk_when_asked():
    assert shrink(PICTURE, None) is PICTURE
    assert shrink(PICTURE, 60) is PICTURE
    small = shrink(PICTURE, 48)
    assert small.pixels.shape == (32, 48, 3)
    assert small.name == "photo-48.png"
    with pytest.raises(InputError, match="at least 32"):
        shrink(PICTURE, 3)


def test_a_network_is_loaded_once(motif):
    told = []
    recipes = [Recipe(objective=o, steps=s) for o in ("far", "near") for s in (1, 2)]
    dreamers = Dreamers(recipes, loading=told.append)
    found = {id(dreamers.of(recipe)) for recipe in recipes}
    assert len(found) == 1
    assert told == ["motif"]


def events_of(out, *kinds):
    """Returns the events of these kinds in the JSON that a command printed."""
    every = [json.loads(line) for line in out.splitlines()]
    return [event for event in every if event["event"] in kinds]


def test_the_command(dream, photo):
    code, out, told = dream(
        "grid", photo, "--x", "objective=near|far", "--y", "steps=1|2", *QUICK, "--json"
    )
    assert code == 0, told
    planned, *cells, saved = events_of(out, "planned", "cell", "saved")
    assert (planned["cells"], planned["ready"], planned["missing"]) == (4, 0, 4)
    assert planned["seconds"] > 0
    assert saved["path"] == "photo-grid.png"
    assert [cell["objective"] for cell in cells] == ["near", "far"] * 2
    recipe = read_recipe(cells[3]["path"])
    assert (str(recipe.objective), recipe.steps, recipe.octaves) == ("far", 2, 1)
    assert read_saved(cells[3]["path"]).record.source == "photo.png"
    about = read_about("photo-grid.png")["grid"]
    assert about["x"] == {"setting": "objective", "values": ["near", "far"]}
    assert about["recipe"]["octaves"] == 1
    assert about["cells"][3]["recipe_sha256"] == recipe.sha256
    # A cell is the dream that the recipe gives by itself, byte for byte.
    dream(photo, "-o", "one.png", "--objective", "far", "--steps", "2", *QUICK)
    assert Path("one.png").read_bytes() == Path(cells[3]["path"]).read_bytes()


def test_more_values_dream_only_what_is_new(dream, photo, monkeypatch):
    dream("grid", photo, "--x", "steps=1|2", "-o", "g.png", *QUICK)
    _, out, _ = dream(
        "grid", photo, "--x", "steps=2|1|3", "-o", "g.png", "--json", *QUICK
    )
    first, *cells = events_of(out, "planned", "cell")
    assert (first["ready"], first["missing"]) == (2, 1)
    assert [cell["reused"] for cell in cells] == [True, True, False]
    monkeypatch.setattr(Dreamer, "steps", None)
    code, out, told = dream("grid", photo, "--x", "steps=3|1", "-o", "g.png", *QUICK)
    assert (code, out) == (0, "g.png\n")
    assert "2 cells, all of them on the disk already" in told


KILLED = """
import os, signal, sys
from pathlib import Path
from keras_dream.zoo import load
load.BUILTIN = Path(sys.argv[1])
from keras_dream.cli import main
from keras_dream.cli.reporters.json import JsonLines
steps = []
def report(self, event):
    if event.kind == "cell_progress":
        steps.append(event.number)
    if steps.count(3) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
JsonLines.report = report
main(sys.argv[2:])
"""


def test_a_killed_grid_goes_on_to_the_same_bytes(dream, photo, tiny_network):
    line = [
        "grid",
        photo,
        "--x",
        "seed=1-5",
        "--steps",
        "3",
        "--octaves",
        "1",
        "--threads",
        "1",
        "--json",
    ]
    dream(*line, "-o", "undisturbed.png")
    environment = {**os.environ, "PYTHONPATH": str(Path(kd.__file__).parents[1])}
    arguments = [KILLED, tiny_network, *line, "-o", "g.png"]
    ended = subprocess.run(
        [sys.executable, "-c", *map(str, arguments)],
        capture_output=True,
        check=False,
        env=environment,
        timeout=60,
    )
    assert ended.returncode == -9, ended.stderr
    assert not Path("g.png").exists()
    ((_, items),) = read_journal("g-cells")
    states = ["done", "done", "running", "waiting", "waiting"]
    assert [item.state for item in items] == states
    code, out, _ = dream(*line, "-o", "g.png")
    (planned, *cells) = events_of(out, "planned", "cell")
    assert (code, planned["ready"], planned["missing"]) == (0, 2, 3)
    assert Path("g.png").read_bytes() == Path("undisturbed.png").read_bytes()
    for cell in cells:
        whole = Path("undisturbed-cells", Path(cell["path"]).name)
        assert Path(cell["path"]).read_bytes() == whole.read_bytes()
    ((_, items),) = read_journal("g-cells")
    assert [(item.state, item.attempts) for item in items] == [
        ("done", 1), ("done", 1), ("done", 2), ("done", 1), ("done", 1),
    ]  # fmt: skip
    assert len(list(Path("g-cells").glob("*.png"))) == 5


def test_a_changed_cell_is_told(dream, photo):
    line = ["grid", photo, "--x", "steps=1|2", "-o", "g.png", *QUICK]
    dream(*line)
    (path,) = Path("g-cells").glob("steps-1-*.png")
    shutil.copy(photo, path)
    code, _, told = dream(*line)
    assert code == 0
    assert f"Notice: '{path.name}' is not as this sheet saved it" in told
    assert path.read_bytes() == photo.read_bytes()
    code, _, told = dream(*line)
    assert (code, "Notice" in told) == (0, False)
    Path("g-cells/.dream-journal.db").write_text("a diary")
    code, _, told = dream(*line)
    assert code == 2
    assert "must be a whole SQLite file that keras-dream wrote" in told


def test_a_shrunk_photo_lies_beside_the_cells(dream, photo):
    code, _, told = dream(
        "grid", photo, "--x", "steps=1", "--photo-side", "36", "-o", "g.png", *QUICK
    )
    assert code == 0, told
    assert read_picture("g-cells/photo-36.png").pixels.shape == (24, 36, 3)
    (cell,) = photo.parent.glob("g-cells/steps-1-*.png")
    code, _, told = dream("replay", cell, "-o", "again.png")
    assert code == 0
    assert "equals the saved one" in told


def test_a_photo_that_is_transparent(dream, photo):
    pixels = np.zeros((40, 60, 4), np.uint8)
    pixels[0, 0, 3] = 255  # a picture that is nowhere opaque is refused
    Image.fromarray(pixels).save("clear.png")
    code, _, told = dream("grid", "clear.png", "--x", "steps=1", "-o", "g.png", *QUICK)
    assert code == 0, told
    image = read_picture("g.png").pixels
    assert image[-60, 30].min() > 0.95  # white, and no black


@pytest.fixture
def models(photo):
    """Two model files in folders beside the photo, of different weights."""
    for seed, name in enumerate(("one.keras", "two.keras")):
        keras.utils.set_random_seed(seed)
        (photo.parent / "nets").mkdir(exist_ok=True)
        saved(stack(layers.Rescaling(1 / 255)), photo.parent / "nets" / name)
    return ["nets/one.keras", "nets/two.keras"]


def test_model_files_on_an_axis(dream, photo, models):
    asked = ["--x", f"network={'|'.join(models)}", "--objective", "seen", *QUICK]
    code, _, told = dream("grid", photo, *asked, "--steps", "1")
    assert code == 2
    assert "must be trusted" in told
    assert dream("grid", photo, *asked, "--steps", "1", "--trust-model")[0] == 0
    one, two = (read_saved(p) for p in sorted(Path("photo-grid-cells").glob("*.png")))
    assert (one.recipe.network, two.recipe.network) == ("one.keras", "two.keras")
    assert one.record.weights_sha256 != two.record.weights_sha256
    made = kd.grid(
        photo, x={"network": [Path(m) for m in models]}, objective="seen",
        octaves=1, steps=1, trust_model=True,
    )  # fmt: skip
    networks = [cell.recipe.network for cell in made.cells]
    assert networks == ["one.keras", "two.keras"]


def test_more_model_files_on_an_axis(dream, photo, models):
    objectives = f"objective=far|far; 0.5*{models[1]}: seen"
    asked = ["--x", objectives, *QUICK, "--steps", "1"]
    code, _, told = dream("grid", photo, *asked, "--trust-model")
    assert code == 0, told
    cells = [read_saved(p).recipe for p in Path("photo-grid-cells").glob("*.png")]
    assert {len(cell.networks) for cell in cells} == {1, 2}


def test_models_of_every_kind_on_an_axis(dream, photo, models):
    keras.utils.set_random_seed(3)
    saved(stack(name="plain"), Path("nets/plain.keras"))
    asked = [f"--x=network=motif|{models[0]}|nets/plain.keras[tf]", *QUICK]
    objectives = ["--y", "objective=far|seen", "--steps", "1", "--trust-model"]
    code, _, told = dream("grid", photo, *asked, *objectives)
    assert code == 2  # every network is asked for both layers
    assert "Cell objective=" in told or "Cell network=" in told
    code, _, told = dream(
        "grid", photo, asked[0].replace("motif|", ""), *QUICK, "--objective", "seen",
        "--steps", "1", "--trust-model", "--json",
    )  # fmt: skip
    assert code == 0, told
    cells = sorted(Path("photo-grid-cells").glob("*.png"))
    stated = {read_saved(cell).recipe.preprocessing for cell in cells}
    assert stated == {None, "tf"}
    assert "network" not in read_about("photo-grid.png")["grid"]["recipe"]
    # Photo and model lie beside the sheet, one folder up.
    shutil.copy("nets/plain.keras", ".")
    (cell,) = [c for c in cells if read_saved(c).recipe.preprocessing]
    assert dream("replay", cell, "--trust-model", "--quiet")[0] == 0


def test_model_files_of_one_name_on_an_axis(dream, photo, models):
    Path("other").mkdir()
    shutil.copy(models[0], "other")
    asked = ["--x", f"network={models[0]}|other/one.keras", "--objective", "seen"]
    code, _, told = dream("grid", photo, *asked, "--trust-model")
    assert code == 2
    assert "Axis x: model files in one dream must have names of their own" in told


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["none.png", "--x", "steps=1"], "does not exist"),
        (["photo.png"], "A grid must have an axis"),
        (["photo.png", "--x", "step=1|2"], "Axis x: a setting must be one"),
        (["photo.png", "--x", "objective=far|fur"], "Cell objective=fur: a layer must"),
        (["photo.png", "--x", "objective=far:9"], "Cell objective=far:9: a channel"),
        (["photo.png", "--x", "border=0|90"], "Cell border=90: a picture must"),
        (["photo.png", "--x", "steps=1", "-o", "photo.png"], "its own photo"),
        (["photo.png", "--x", "steps=1", "-o", "g.html"], "must end in one of"),
        (["photo.png", "--x", "steps=1", "--size", "5"], "`size` must be"),
        (["photo.png", "--x", "steps=1", "--preset", "none"], "A preset must be"),
        (["photo.png", "--x", "seed=1|2|3|4|5|6|7|8|9", "--steps", "100000"], "--yes"),
        (["photo.png", "--x", "steps=1", "--weights", "w.h5"], "does not exist"),
    ],
)
def test_what_the_command_refuses(dream, photo, arguments, sentence):
    before = photo.read_bytes()
    code, out, told = dream("grid", *arguments)
    assert (code, out) == (2, "")
    assert sentence in told
    assert photo.read_bytes() == before
    assert not list(photo.parent.glob("*grid.png"))
    assert not list(photo.parent.glob("*-cells"))


def test_much_work_is_agreed_to(dream, photo, monkeypatch):
    monkeypatch.setattr("keras_dream.cli.sheet_run.MOST_SECONDS", 1e-9)
    arguments = ["grid", photo, "--x", "steps=1|2", "-o", "g.png", *QUICK]
    code, _, told = dream(*arguments)
    assert code == 2
    assert "must be agreed to with --yes; received 2 dreams that take about" in told
    assert dream(*arguments, "--yes")[0] == 0


def test_python(motif, photo, tmp_path):
    sheet = kd.grid(
        photo, x={"objective": ["near", "far"]}, steps=1, octaves=1, threads=1
    )
    assert [str(made.recipe.objective) for made in sheet.cells] == ["near", "far"]
    assert sheet.cells[0].image.shape == (40, 60, 3)
    assert sheet.save(tmp_path / "g.jpg").is_file()
    dreamer = Dreamer("motif")
    again = kd.grid(
        photo, "book1", x="steps=1|2", network=dreamer, objective="far", octaves=1,
        border=0, folder=tmp_path / "cells",
    )  # fmt: skip
    assert again.cells[1].recipe == preset("book1").but(
        network="motif", objective="far", octaves=1, border=0, steps=2
    )
    assert again.cells[1].path.is_file()
    with pytest.raises(SettingError, match="nearest name"):
        kd.grid(photo, x="steps=1", stepsize=3)
    with pytest.raises(SettingError, match="must have names"):
        kd.grid(photo, x="network=motif|squeezenet", network=dreamer)
    with pytest.raises(WeightsError, match="grid of one network"):
        kd.grid(photo, x="network=motif|squeezenet", weights="a.h5")
    lost = {"weights": "a.h5"}
    image = keras.Input((None, None, 3))
    model = keras.Model(image, keras.layers.Conv2D(2, 3)(image), name="mine")
    with pytest.raises(NetworkError, match="for a network that is given by name"):
        kd.grid(photo, x="steps=1", network=model, preprocessing="0-1", **lost)


def test_axes_are_read_in_one_pass():
    began = time.process_time()
    for text in ("|" * 60_000, "'" * 60_001, "'a|" * 20_000, "a" + " " * 60_000 + "["):
        with pytest.raises(SettingError):
            read_axes(x=f"network={text}|x|x")
    assert time.process_time() - began < 5
    axes, _ = read_axes(x="objective='a|b'|c | 'it''s|':1")
    assert axes[0].values == ("'a|b'", "c", "'it''s|':1")
    (axis,), _ = read_axes(x="network=motif|a.keras [ tf ]")
    assert settings_of("network", axis.values[1])["preprocessing"] == "tf"
