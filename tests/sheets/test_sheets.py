"""Sheets: their layout, their cost, their runs, and the files of their cells."""

import hashlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import keras_dream
from keras_dream import Dreamer, Recipe, RunSettings
from keras_dream.engine.growth import Octave
from keras_dream.errors import JobsError, ObjectiveError, OutputError
from keras_dream.events import CellDone, Notice
from keras_dream.jobs.database import FILE
from keras_dream.jobs.journal import read_journal
from keras_dream.pictures.drawing import font
from keras_dream.pictures.encoding import save_picture
from keras_dream.pictures.picture import Picture, read_picture
from keras_dream.pictures.synthetic import noise
from keras_dream.sheets import cost, layout as layouts
from keras_dream.sheets.cells import item_of, key_of, on_sheet
from keras_dream.sheets.plan import Cell, Head, Plan, Section, check_count
from keras_dream.sheets.run import Dreamers, SheetRun
from keras_dream.sheets.sheet import check_sheet, read_about

QUICK = Recipe(octaves=1, steps=2, jitter=0)


def cell(name="a", recipe=QUICK, size=(20, 30), label="", seed=0):
    return Cell(name, label, recipe, Picture(noise(seed, size), name="p.png"))


def plan(sections, side=30, kind="grid"):
    return Plan(kind, "A title", "and more", sections, side, {"network": "motif"})


@pytest.fixture
def dreamer(motif):
    return Dreamer("motif", run=RunSettings(backend=None, threads=2))


def boxes(layout):
    return [(p.y, p.x, p.y + p.size[0], p.x + p.size[1]) for p in layout.places]


def test_cells_lie_in_rows_without_touching():
    whole = plan(
        [
            Section("one", [cell(label="7")] * 5, 3),
            Section("two", [cell(size=(40, 20))] * 2, 2),
        ]
    )
    layout = layouts.lay_out(whole)
    found = boxes(layout)
    assert len(found) == 7
    assert [y for y, *_ in found[:3]] == [found[0][0]] * 3
    assert found[3][0] >= found[0][2]  # the second row is below the first
    assert found[3][1] == found[0][1]
    for place, (top, left, bottom, right) in enumerate(found):
        assert 0 <= top < bottom <= layout.size[0]
        assert 0 <= left < right <= layout.size[1]
        for t, l, b, r in found[:place]:  # noqa: E741 - the sides of a box
            assert bottom <= t or b <= top or right <= l or r <= left
    # Labels stand below their cells and above the next row.
    assert layout.labels[0].y >= found[0][2]
    assert layout.labels[0].y + layout.labels[0].height <= found[3][0]
    # Every cell keeps its shape; its longer side is the plan's.
    assert layout.places[0].size == (20, 30)
    assert layout.places[5].size == (30, 15)


def test_heads_stand_over_columns_and_beside_rows():
    cells = [cell() for _ in range(6)]
    section = Section(
        "z = 1",
        cells,
        columns=3,
        column_heads=[Head("objective", f"mixed{n}") for n in range(3)],
        row_heads=[Head("step_size", "0.005"), Head("step_size", "0.02")],
    )
    layout = layouts.lay_out(plan([section], side=120))
    texts = {text.text: text for text in layout.texts}
    for column in range(3):
        head = texts[f"mixed{column}"]
        assert head.x == layout.places[column].x
        assert head.y + head.height <= layout.places[column].y
    for row, value in enumerate(("0.005", "0.02")):
        head, place = texts[value], layout.places[3 * row]
        assert place.y <= head.y < place.y + place.size[0]
        assert head.x + font(head.height).getlength(value) <= place.x
    assert texts["A title"].y < texts["z = 1"].y < layout.places[0].y


def test_a_drawn_sheet_holds_its_cells():
    whole = plan([Section("", [cell(label="11"), cell(label="12")], 2)])
    red = np.tile(np.float32([1, 0, 0]), (20, 30, 1))
    image = layouts.draw(whole, [red, 0 * red], ["11", "12"])
    layout = layouts.lay_out(whole)
    assert image.shape == (*layout.size, 3)
    first, second = layout.places
    np.testing.assert_array_equal(
        image[first.y : first.y + 20, first.x : first.x + 30], red
    )
    assert not image[second.y : second.y + 20, second.x : second.x + 30].any()
    label = layout.labels[0]
    below = image[label.y : label.y + label.height + 4, label.x : label.x + 12]
    assert below.min() < 0.5  # ink


def test_a_sheet_too_large_to_look_at():
    huge = plan([Section("", [cell(size=(30, 30))] * 900, 30)], side=2000)
    with pytest.raises(OutputError, match="at most 120,000,000 pixels"):
        check_sheet(huge, "x.png")
    check_sheet(Plan("atlas", "", "", huge.sections, 2000, {}), "x.html")
    with pytest.raises(OutputError, match="at most 100,000 cells"):
        check_count(100_001, "try fewer")


def test_images_lie_on_white():
    image = np.zeros((8, 16, 3), np.float32)
    made = on_sheet(image, np.zeros((8, 16), np.float32), 4)
    assert made.shape == (2, 4, 3)
    assert made.min() == 1


def test_cells_are_dreamed_once_and_reused(dreamer, tmp_path, monkeypatch):
    cells = [cell("a"), cell("b", QUICK.but(steps=3)), cell("a")]
    whole = plan([Section("", cells, 3)])
    folder = tmp_path / "cells"
    first = SheetRun(whole, Dreamers((), dreamer=dreamer), folder=folder)
    assert (first.ready, len(first.missing)) == (0, 2)  # two of them are one dream
    assert first.work == pytest.approx(cells[0].work + cells[1].work)
    sheet = first.finish()
    assert len(sheet.cells) == 3
    assert len(list(folder.glob("*.png"))) == 2

    again = SheetRun(whole, Dreamers((), dreamer=dreamer), folder=folder)
    monkeypatch.setattr(Dreamer, "steps", None)  # nothing is dreamed any more
    monkeypatch.setattr(cost, "step_times", None)  # nor timed
    assert (again.ready, len(again.missing), again.work) == (3, 0, 0)
    events = list(again)
    assert [event.reused for event in events] == [True] * 3
    assert [event.path for event in events] == [str(c.path) for c in sheet.cells]
    for old, new in zip(sheet.cells, again.sheet.cells, strict=True):
        np.testing.assert_array_equal(old.image, new.image)
        assert old.recipe == new.recipe

    fresh = SheetRun(whole, Dreamers((), dreamer=dreamer), folder=folder, fresh=True)
    assert (fresh.ready, len(fresh.missing)) == (0, 2)


def test_stopping_keeps_what_is_done(dreamer, tmp_path):
    whole = plan([Section("", [cell("a"), cell("b", QUICK.but(seed=1, jitter=3))], 2)])
    run = SheetRun(whole, Dreamers((), dreamer=dreamer), folder=tmp_path / "cells")
    assert next(event for event in run if isinstance(event, CellDone)).number == 1
    with pytest.raises(RuntimeError, match="after the last event"):
        _ = run.sheet
    again = SheetRun(whole, Dreamers((), dreamer=dreamer), folder=tmp_path / "cells")
    assert again.ready == 1
    assert list(again.missing) == [1]


def test_whatever_decides_a_cell_is_in_its_key(dreamer):
    base = key_of(cell(), dreamer)
    assert key_of(cell(), dreamer) == base
    others = [
        cell(recipe=QUICK.but(seed=1)),
        cell(recipe=QUICK.but(objective="near")),
        cell(seed=1),
        cell(size=(20, 31)),
    ]
    assert len({key_of(c, dreamer) for c in others} | {base}) == 5
    # A network's own objective, said or unsaid, is the same dream.
    assert key_of(cell(recipe=QUICK.but(objective="far")), dreamer) == base
    for name, start in (
        ("../objective=a|b 'c'", "objective_a_b_c-"),
        ("con.1", "cell-con.1-"),  # a device of Windows, whatever follows
        ("\U00020000" * 80, "\U00020000" * 50),
    ):
        output = item_of(base, cell(name=name)).output
        assert output.startswith(start)
        assert output.endswith(f"-{base[:16]}.png")
        assert len(output.encode()) <= 255


def sheet_run(dreamer, folder, *cells, **options):
    whole = plan([Section("", list(cells) or [cell()], 2)])
    return SheetRun(whole, Dreamers((), dreamer=dreamer), folder=folder, **options)


def notices(run):
    return [event.text for event in run if isinstance(event, Notice)]


@pytest.mark.parametrize(
    ("damage", "fresh"),
    [
        ("cut", False),
        ("other", False),
        ("other", True),
        ("empty", False),
        ("notes", False),
        ("unfinished", False),
    ],
)
def test_changed_cells_are_kept_told_and_dreamed_again(
    dreamer, tmp_path, damage, fresh
):
    one = cell()
    (made,) = sheet_run(dreamer, tmp_path / "c").finish().cells
    path, data = made.path, made.path.read_bytes()
    if damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "other":  # a whole dream of that size and recipe, of other pixels
        dreamer.dream(noise(1, (20, 30)), one.recipe).save(path)
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "notes":
        save_picture(path, noise(0, (20, 30)), notes={"recipe": "[]", "record": "3"})
    else:
        next(dreamer.steps(one.picture, one.recipe)).dream.save(path)
    changed = path.read_bytes()
    again = sheet_run(dreamer, tmp_path / "c", fresh=fresh)
    assert (again.ready, len(again.missing)) == (0, 1)
    (told,) = notices(again)
    assert f"{path.name}' is not as this sheet saved it; it is kept" in told
    (new,) = again.sheet.cells
    assert new.path.name == f"{path.stem}-2.png"
    assert new.path.read_bytes() == data
    assert path.read_bytes() == changed
    np.testing.assert_array_equal(new.image, made.image)
    again.close()
    third = sheet_run(dreamer, tmp_path / "c")
    assert (third.ready, notices(third)) == (1, [])


def test_a_cell_that_is_gone_is_dreamed_again(dreamer, tmp_path):
    (made,) = sheet_run(dreamer, tmp_path / "c").finish().cells
    data = made.path.read_bytes()
    made.path.unlink()
    again = sheet_run(dreamer, tmp_path / "c")
    assert (again.ready, notices(again)) == (0, [])
    assert made.path.read_bytes() == data


def test_a_journal_of_a_stranger_vouches_for_no_shape(dreamer, tmp_path):
    """Its hashes may fit its files, which are not dreams of these cells."""
    (made,) = sheet_run(dreamer, tmp_path / "c").finish().cells
    dreamer.dream(noise(0, (32, 32)), QUICK).save(made.path)
    database = sqlite3.connect(tmp_path / "c" / FILE)
    with database:
        sha256 = hashlib.sha256(made.path.read_bytes()).hexdigest()
        database.execute("UPDATE items SET output_sha256 = ?", (sha256,))
    database.close()
    again = sheet_run(dreamer, tmp_path / "c")
    assert again.ready == 0
    assert again.finish().cells[0].image.shape == (20, 30, 3)


def test_a_sheet_that_is_refused_leaves_no_folder(dreamer, tmp_path):
    with pytest.raises(ObjectiveError):
        sheet_run(dreamer, tmp_path / "c", cell(), cell("b", QUICK.but(objective="x")))
    run = sheet_run(dreamer, tmp_path / "c")
    assert run.seconds > 0
    run.close()
    assert list(tmp_path.iterdir()) == []


def test_sheets_of_one_folder_take_turns_in_a_process(dreamer, tmp_path):
    a, b = cell("a"), cell("b", QUICK.but(seed=1, jitter=3))
    left = sheet_run(dreamer, tmp_path / "c", a, b)
    next(left)  # and nobody reads on, for now
    other = sheet_run(dreamer, tmp_path / "c", b).finish()
    assert [event.reused for event in left if isinstance(event, CellDone)] == [
        False,
        False,
    ]
    assert left.sheet.cells[1].path.read_bytes() == other.cells[0].path.read_bytes()
    left.close()
    ((job, items),) = read_journal(tmp_path / "c")
    assert (job.kind, [item.state for item in items]) == ("grid", ["done", "done"])


def test_another_process_has_the_folder(dreamer, tmp_path):
    (tmp_path / "c").mkdir()
    code = (
        "import sys; from keras_dream.jobs.journal import Journal\n"
        "with Journal.open(sys.argv[1], kind='grid', key='cells'):\n"
        "    print(flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "c")]
    root = str(Path(keras_dream.__file__).parents[1])
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": root},
    ) as process:
        process.stdout.readline()
        with pytest.raises(JobsError, match=f"which process {process.pid} on "):
            sheet_run(dreamer, tmp_path / "c")


def test_cells_of_another_sheet_are_not_waited_for(dreamer, tmp_path):
    a, b = cell("a"), cell("b", QUICK.but(steps=3))
    left = sheet_run(dreamer, tmp_path / "c", a, b)
    next(event for event in left if isinstance(event, CellDone))
    left.close()
    sheet_run(dreamer, tmp_path / "c", a, cell("c", QUICK.but(steps=1))).finish()
    ((_, items),) = read_journal(tmp_path / "c")
    assert [(item.name, item.state) for item in items] == [("a", "done"), ("c", "done")]


def test_cost_is_counted_from_timed_steps(dreamer, monkeypatch):
    timed = []

    def fake(dreamer, recipe, size):
        timed.append(size)
        return 0.5, 0.01 + 1e-6 * size[0] * size[1]

    monkeypatch.setattr(cost, "_time_steps", fake)
    predictor = cost.Predictor()
    one = cell(recipe=Recipe(octaves=2, octave_scale=2, steps=10), size=(200, 300))
    octaves = [Octave(1, (100, 150)), Octave(2, (200, 300))]
    exact = 10 * (0.02 + 1e-6 * (100 * 150 + 200 * 300)) + 2 * 0.5
    assert predictor.seconds(one, dreamer, octaves) == pytest.approx(exact)
    assert timed == [(100, 150), (200, 300)]
    predictor.seconds(one, dreamer, octaves)
    assert len(timed) == 2  # known already
    assert predictor.seconds(cell(recipe=QUICK.but(steps=0)), dreamer, octaves) == 0


def test_large_octaves_are_not_timed(dreamer, monkeypatch):
    timed = []

    def fake(dreamer, recipe, size):
        timed.append(size)
        return 0.0, 1e-6 * size[0] * size[1]

    monkeypatch.setattr(cost, "_time_steps", fake)
    one = cell(recipe=QUICK.but(steps=3))
    seconds = cost.Predictor().seconds(one, dreamer, [Octave(1, (3000, 4000))])
    assert seconds == pytest.approx(3 * 12, rel=0.02)
    assert all(h * w <= 1.01 * cost.MAX_TIMED for h, w in timed)


def test_a_step_is_really_timed(dreamer):
    first, average = cost._time_steps(dreamer, dreamer.complete(QUICK), (64, 64))
    assert first >= 0
    assert 0 < average < 10


def test_progress_counts_up_to_all(dreamer, tmp_path):
    whole = plan([Section("", [cell("a"), cell("b", QUICK.but(steps=6))], 2)])
    run = SheetRun(whole, Dreamers((), dreamer=dreamer))
    events = list(run)
    done = [event.done for event in events]
    assert done == sorted(done)
    assert done[-1] == pytest.approx(1)
    kinds = ["cell_progress"] * 2 + ["cell"] + ["cell_progress"] * 6 + ["cell"]
    assert [event.kind for event in events] == kinds
    assert (events[0].name, events[2].objective) == ("a", "far")
    assert list(run) == []
    assert len(run.sheet.cells) == 2


def test_a_channel_without_a_gradient_is_silent(dreamer):
    # `far` has no ReLU; `near` has one, and it does not respond to a black picture when
    # its kernel's sums are below 0 or its bias is missing.
    black = Picture(np.zeros((16, 16, 3), np.float32), name="black.png")
    recipe = QUICK.but(objective="near", clamp=True)
    whole = plan([Section("", [Cell("a", "3", recipe, black)], 1)])
    (made,) = SheetRun(whole, Dreamers((), dreamer=dreamer)).finish().cells
    assert made.silent
    assert made.label == "3 silent"


def test_a_sheet_tells_what_it_is(dreamer, tmp_path):
    whole = plan([Section("", [cell()], 1)])
    sheet = SheetRun(whole, Dreamers((), dreamer=dreamer)).finish()
    sheet.save(tmp_path / "grid.png")
    about = read_about(tmp_path / "grid.png")
    assert about["grid"]["network"] == "motif"
    assert about["grid"]["cells"][0]["recipe_sha256"] == sheet.cells[0].recipe.sha256
    assert read_picture(tmp_path / "grid.png").pixels.shape == sheet.image().shape
    save_picture(tmp_path / "plain.png", noise(0, (8, 8)))
    assert read_about(tmp_path / "plain.png") is None
    save_picture(tmp_path / "odd.png", noise(0, (8, 8)), notes={"grid": "7"})
    assert read_about(tmp_path / "odd.png") is None
    with pytest.raises(OutputError, match="must end in one of"):
        sheet.save(tmp_path / "grid.html")
