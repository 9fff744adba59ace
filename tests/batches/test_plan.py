"""Planning: manifests in both forms, precedence of settings, and what is refused."""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from keras_dream.batches.inputs import Tasks
from keras_dream.batches.manifest import MAX_LINE, SUFFIXES, read_manifest
from keras_dream.batches.naming import Template
from keras_dream.batches.plan import Planner, Wanted
from keras_dream.errors import DreamError, InputError, OutputError
from keras_dream.pictures.encoding import save_picture
from keras_dream.recipe.recipe import Recipe

PIECES = (
    "photo",
    "seed",
    "a.png",
    ",",
    ";",
    "\n",
    '"',
    "{",
    "}",
    ":",
    "1",
    "\t",
    " ",
    '{"photo": "',
    '"}\n',
    "photo,seed\n",
    "\\u0000",
    "[",
    "1e999",
    "out",
    "../",
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "list" / "sub").mkdir(parents=True)
    for name in ("a.png", "sub/b.png", "guide.png", "../secret.png"):
        save_picture(tmp_path / "list" / name, np.full((8, 9, 3), 0.5, np.float32))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "list"


def lines(*values: Any) -> str:
    return "\n".join(v if isinstance(v, str) else json.dumps(v) for v in values)


def plan(*inputs: str | Path, **wanted: Any) -> Tasks:
    return Planner(Wanted(list(map(str, inputs)), Path("out"), **wanted)).plan()


def test_a_manifest_has_a_recipe_on_each_line(folder: Path) -> None:
    (folder / "own.json").write_text('{"steps": 9, "seed": 9}')
    text = lines(
        {"photo": "a.png", "preset": "reef", "seed": 3, "name": "{stem}-{preset}"},
        "",
        {"photo": "sub/b.png", "recipe": "own.json", "steps": 4, "keep_colors": True},
        {"photo": "noise:8x8", "out": "deep/er/noise.webp"},
        {"photo": "a.png", "objective": "guide(guide.png, mixed3)"},
    )
    (folder / "list.jsonl").write_text(text, "utf-8")
    tasks = plan(folder / "list.jsonl", flags=Recipe(octaves=2), preset="eyes")
    assert not tasks.refused
    names = [task.path.relative_to("out").as_posix() for task in tasks.tasks]
    assert names == [
        "a-reef.png",
        "sub/b-dream.png",
        "deep/er/noise.webp",
        "a-dream.png",
    ]
    first, second, third, fourth = (task.recipe for task in tasks.tasks)
    assert "coral" in str(first.objective)
    assert (first.seed, first.octaves) == (3, 2)
    assert "eye" in str(second.objective)
    assert (second.steps, second.seed, second.keep_colors) == (4, 9, True)
    assert (
        third
        == plan("noise:8x8", flags=Recipe(octaves=2), preset="eyes").tasks[0].recipe
    )
    (guide,) = fourth.files
    assert guide.name == "guide.png"
    assert guide.sha256
    assert tasks.files == (folder / "guide.png",)
    assert tasks.tasks[1].where == "line 3 of list.jsonl"


@pytest.mark.parametrize("comma", [",", ";", "\t"])
def test_csv_says_the_same(folder: Path, comma: str) -> None:
    rows = [
        ["photo", "preset", "seed", "objective"],
        ["a.png", "reef", "3", ""],
        ["sub/b.png", "", "", f'"mixed3{comma} 0.5*squeezenet: fire6"'],
    ]
    if comma == "\t":
        rows[2][3] = "mixed3"
    text = "\ufeff" + "\r\n".join(comma.join(row) for row in rows) + "\r\n"
    (folder / "list.csv").write_text(text, "utf-8", newline="")
    tasks = plan(folder / "list.csv")
    if comma == ",":  # no such objective: only that line is refused
        (refused,) = tasks.refused
        assert refused.photo == "line 3 of list.csv"
        return
    assert not tasks.refused
    first, second = (task.recipe for task in tasks.tasks)
    assert (first.seed, "coral" in str(first.objective)) == (3, True)
    assert str(second.objective).startswith("mixed3")
    assert second.seed == 0


REFUSED = {
    "photos outside": ({"photo": "../secret.png"}, "inside its folder"),
    "absolute photos": ({"photo": "/etc/passwd"}, "inside its folder"),
    "addresses": ({"photo": "https://example.org/a.png"}, "inside its folder"),
    "missing photos": ({"photo": "c.png"}, "which does not exist"),
    "results outside": ({"photo": "a.png", "out": "../x.png"}, "inside its folder"),
    "absolute results": ({"photo": "a.png", "out": "/tmp/x.png"}, "inside its folder"),
    "folders in names": ({"photo": "a.png", "name": "../{stem}"}, "without folders"),
    "recipes outside": ({"photo": "a.png", "recipe": "../r.json"}, "inside its folder"),
    "guides outside": (
        {"photo": "a.png", "objective": "guide(../secret.png, mixed3)"},
        "inside its folder",
    ),
    "guides of the current folder": (
        {"photo": "a.png", "objective": "guide(secret.png, mixed3)"},
        "which does not exist",
    ),
    "masks outside": ({"photo": "a.png", "mask": "/etc/passwd"}, "inside its folder"),
    "models": ({"photo": "a.png", "network": "m.keras"}, "must be given"),
    "networks of no name": (
        {"photo": "a.png", "network": "motiv"},
        "'motif', the n",
    ),
    "trust": ({"photo": "a.png", "trust_model": True}, "received 'trust_model'"),
    "misspelt settings": ({"photo": "a.png", "step": 3}, "step"),
    "impossible values": ({"photo": "a.png", "seed": -1}, "`seed` must be"),
    "presets of none": ({"photo": "a.png", "preset": "none such"}, "A preset must be"),
    "two names": ({"photo": "a.png", "out": "x", "name": "y"}, "one name"),
    "no photo": ({"seed": 1}, "must have a photo"),
    "a photo that is none": ({"photo": 3}, "must be text"),
    "arrays": ([1], "JSON object"),
    "no JSON": ("{photo: a.png}", "JSON object"),
    "a name twice": ('{"photo": "a.png", "seed": 1, "seed": 2}', "given once"),
    "deep nesting": ('{"photo": ' + "[" * 30_000, "JSON object"),
    "nested settings": ({"photo": "a.png", "seed": [[[[1]]]]}, "`seed` must be"),
    "numbers of many digits": ('{"photo": "a.png", "seed": ' + "9" * 5000 + "}", ""),
    "endless lines": ({"photo": "a" * MAX_LINE}, "at most 65,536 characters"),
}


def test_a_broken_line_is_listed_and_ends_nothing(folder: Path) -> None:
    good = {"photo": "a.png"}
    (folder / "list.jsonl").write_text(
        lines(good, *(value for value, _ in REFUSED.values())), "utf-8"
    )
    tasks = plan(folder / "list.jsonl")
    assert [task.photo for task in tasks.tasks] == [str(folder / "a.png")]
    assert len(tasks.refused) == len(REFUSED)
    places = {event.photo: event for event in tasks.refused}
    for number, (name, (_, part)) in enumerate(REFUSED.items(), 2):
        event = places[f"line {number} of list.jsonl"]
        assert part in event.sentence, name
        assert event.exit_code == 2
        assert len(event.sentence) < 400, name


NONE = {
    "a.jsonl": ("no text", b"\xff\xfe\x00"),
    "b.jsonl": ("in which no line can be read", b'[\n{"photo":\n]'),
    "c.jsonl": ("must have contents", b""),
    "d.csv": ("photo among them", b"a,b\n1,2\n"),
    "e.csv": ("each once", b"photo,seed,seed\na.png,1,2\n"),
    "f.csv": ("'sead'", b"photo,sead\na.png,1\n"),
    "h.csv": ("; try 'steps'.", b"photo,iterations\na.png,1\n"),
    "g.csv": ("in which no line can be read", b"photo,seed\n"),
    "h.jsonl": ("at most 100,000 lines", b"\n" * 100_001),
}


@pytest.mark.parametrize("name", NONE)
def test_what_is_no_manifest_is_refused_at_once(folder: Path, name: str) -> None:
    part, data = NONE[name]
    (folder / name).write_bytes(data)
    with pytest.raises(InputError, match=part if part != "no text" else "UTF-8"):
        plan(folder / "a.png", folder / name)


def test_a_pattern_of_manifests(folder: Path) -> None:
    for name in ("2.jsonl", "10.jsonl"):
        (folder / name).write_text(lines({"photo": "a.png", "name": name[:-6]}))
    tasks = plan(folder / "*.jsonl", "noise:8x8")
    assert [task.path.name for task in tasks.tasks] == [
        "2.png",
        "10.png",
        "noise-8x8-dream.png",
    ]


def test_an_open_quotation_mark_spoils_one_line(folder: Path) -> None:
    text = 'photo,preset\na.png,"reef\na.png,eyes\na.png,reef,3\n'
    (folder / "list.csv").write_text(text, "utf-8")
    manifest = read_manifest(folder / "list.csv")
    assert [line.where for line in manifest.lines] == ["line 3 of list.csv"]
    assert list(manifest.errors) == ["line 2 of list.csv", "line 4 of list.csv"]


def test_results_replace_no_photo(folder: Path) -> None:
    wanted = Wanted(["list"], folder, template=Template("{stem}"))
    with pytest.raises(OutputError, match="must not replace a photo"):
        Planner(wanted).plan()


def test_missing_files_are_listed(folder: Path) -> None:
    tasks = plan(folder / "a.png", folder / "none.png", folder / "sub")
    assert [Path(task.photo).name for task in tasks.tasks] == ["a.png", "b.png"]
    (refused,) = tasks.refused
    assert "does not exist" in refused.sentence


def test_a_second_plan_has_what_has_come_since(folder: Path) -> None:
    wanted = Wanted(["list"], Path("out"), template=Template("{index:02d}"))
    planner = Planner(wanted, watching=True)
    assert [task.path.name for task in planner.plan().tasks] == [
        "01.png",
        "02.png",
        "03.png",
    ]
    save_picture(folder / "aa.png", np.full((8, 9, 3), 0.5, np.float32))
    assert planner.plan(settled=lambda _: False).tasks == ()
    (task,) = planner.plan().tasks
    assert (Path(task.photo).name, task.path.name) == ("aa.png", "04.png")
    assert planner.plan().tasks == ()


def test_a_name_that_is_taken_later_refuses_its_photo_only(folder: Path) -> None:
    wanted = Wanted(["list"], Path("out"), template=Template("{stem}"))
    planner = Planner(wanted, watching=True)
    assert len(planner.plan().tasks) == 3
    for name in ("A.jpg", "d.png"):
        save_picture(folder / name, np.full((8, 9, 3), 0.5, np.float32))
    later = planner.plan()
    assert [task.path.name for task in later.tasks] == ["d.png"]
    assert "a name of its own" in later.refused[0].sentence
    assert planner.plan() == Tasks(())


@settings(max_examples=60)
@given(st.text(max_size=200) | st.lists(st.sampled_from(PIECES)).map("".join))
def test_any_text_is_a_manifest_or_an_error_of_ours(text: str) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        for suffix in SUFFIXES:
            path = Path(temporary) / f"list{suffix}"
            path.write_bytes(text.encode("utf-8", "surrogatepass"))
            try:
                manifest = read_manifest(path)
            except InputError:
                continue
            assert all(line.columns["photo"] for line in manifest.lines)
            assert Planner(Wanted([str(path)], Path("out"))).plan().tasks == ()


def test_thousands_of_lines_are_planned_with_few_recipes(folder: Path) -> None:
    values = (
        {"photo": "a.png", "name": "{index}", "seed": n % 3} for n in range(2_000)
    )
    (folder / "list.jsonl").write_text(lines(*values), "utf-8")
    tasks = plan(folder / "list.jsonl")
    assert len(tasks.tasks) == 2_000
    assert len({id(task.recipe) for task in tasks.tasks}) == 3


def test_errors_are_ours(folder: Path) -> None:
    with pytest.raises(DreamError):
        plan(folder / "none.jsonl")
