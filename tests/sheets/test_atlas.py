"""The atlas: its cells, its page, the command, and going on after a stop."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

import keras_dream as kd
from keras_dream import Dreamer, Recipe
from keras_dream.errors import InputError, ObjectiveError, SettingError
from keras_dream.graph import file
from keras_dream.graph.graph import Graph
from keras_dream.graph.ops import Node
from keras_dream.pictures.picture import Picture, read_picture
from keras_dream.recipe.targets import Class
from keras_dream.replay import read_saved
from keras_dream.sheets.atlas import numbers, plan_atlas
from keras_dream.sheets.cells import DreamedCell
from keras_dream.sheets.page import page
from keras_dream.sheets.plan import Cell, Plan, Section
from keras_dream.zoo import load

QUICK = ["--size", "24", "--steps", "1", "--octaves", "1"]


@pytest.fixture
def dreamer(motif):
    return Dreamer("motif")


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A folder of shipped networks for one test alone; returns motif's file."""
    folder = tmp_path / "builtin"
    folder.mkdir()
    monkeypatch.setattr(load, "BUILTIN", folder)
    return folder / "motif.safetensors"


@pytest.fixture
def desk(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def aims(plan):
    return [str(cell.recipe.objective) for cell in plan.cells]


def test_every_channel_of_every_chief_layer(dreamer):
    plan = plan_atlas(dreamer, channels="all", size=24)
    titles = [section.title for section in plan.sections]
    counts = dreamer.graph.channels()
    assert [len(s.cells) for s in plan.sections] == [counts[t] for t in titles]
    assert aims(plan)[0] == f"{titles[0]}:0"
    assert len(set(aims(plan))) == len(plan.cells)
    assert all(cell.recipe.network == "motif" for cell in plan.cells)


def test_patterns_and_channels_choose(dreamer):
    plan = plan_atlas(dreamer, layers=["far", "nea*"], channels="1,3-4", size=24)
    assert aims(plan) == ["near:1", "near:3", "far:1", "far:3", "far:4"]
    with pytest.raises(ObjectiveError, match="nearest name"):
        plan_atlas(dreamer, layers=["faar"], size=24)
    with pytest.raises(ObjectiveError, match="must be below 5"):
        plan_atlas(dreamer, layers=["far"], channels="5-9", size=24)


@pytest.mark.parametrize(
    "text", ["", "x", "3-", "1 2", "strongest(3)", "1 + far", "-1"]
)
def test_channels_that_are_none(text):
    with pytest.raises(ObjectiveError, match="numbers and ranges"):
        numbers(text)


def test_channels_as_text():
    assert numbers(None) is None
    assert tuple(numbers("all")) == ()
    assert tuple(numbers("0-2,7")) == (0, 1, 2, 7)


def test_settings_that_the_atlas_sets_itself(dreamer):
    with pytest.raises(SettingError, match="`objective` must be left out"):
        plan_atlas(dreamer, recipe=Recipe(objective="far"))
    with pytest.raises(InputError, match="`size` must be"):
        plan_atlas(dreamer, size=4)
    plan = plan_atlas(dreamer, size=64, recipe=Recipe(steps=3, loss="l2"))
    recipe = plan.cells[0].recipe
    assert (recipe.steps, recipe.loss.name, recipe.jitter) == (3, "l2", 4)
    assert recipe.detail == "none"


def test_a_layer_that_needs_more_is_dreamed_larger_and_shrunk(shelf, desk):
    pools = [
        Node(
            f"pool{n}",
            "max_pool",
            ("input" if n == 0 else f"pool{n - 1}",),
            {"size": [2, 2], "stride": [2, 2], "padding": "valid"},
        )
        for n in range(6)
    ]
    graph = Graph(
        nodes=(Node("input", "input", (), {"channels": 3}), *pools),
        weights={},
        layers={node.name: node.name for node in pools},
    )
    file.save(graph, shelf)
    plan = plan_atlas(Dreamer("motif"), layers=["pool5"], channels="0", size=16)
    assert plan.cells[0].size == (64, 64)
    sheet = kd.atlas("motif", layers="pool5", channels="0", size=16, steps=1)
    assert sheet.cells[0].image.shape == (16, 16, 3)


def a_sleeper(shelf, needed):
    """Puts a network in motif's place whose channel 1 needs strong contrast."""
    kernel = np.zeros((1, 2, 3, 2), np.float32)
    kernel[0, :, 0, 0] = 1
    kernel[0, :, 0, 1] = (1, -1)
    graph = Graph(
        nodes=(
            Node("input", "input", (), {"channels": 3}),
            Node(
                "edges",
                "conv2d",
                ("input",),
                {
                    "stride": [1, 1],
                    "padding": "valid",
                    "dilation": [1, 1],
                    "groups": 1,
                    "relu": True,
                },
            ),
        ),
        weights={
            "edges/kernel": kernel,
            "edges/bias": np.array([0, -needed], np.float32),
        },
        layers={"edges": "edges"},
        objective="edges",
    )
    file.save(graph, shelf)
    return Dreamer("motif")


def test_channels_start_from_a_picture_that_they_respond_to(shelf):
    plan = plan_atlas(a_sleeper(shelf, 0.3), channels="all", size=32)
    names = [cell.picture.name for cell in plan.cells]
    assert names[0] == "noise-32.png"
    assert names[1].startswith(("noise-strong", "leaves"))
    # A channel that responds to none starts from the first, and is silent.
    sheet = kd.atlas(a_sleeper(shelf, 9.0), channels="1", size=32, steps=1)
    assert sheet.cells[0].cell.picture.name == "noise-32.png"
    assert sheet.cells[0].silent


def test_starts_are_faint_and_whole(dreamer):
    start = plan_atlas(dreamer, layers=["far"], size=64).cells[0].picture.pixels
    assert 0.02 < start.std() < 0.12
    np.testing.assert_array_equal(start, np.rint(start * 255).astype(np.float32) / 255)


def test_classes_need_a_classifier(dream, desk):
    code, _, told = dream("atlas", "motif", "--classes", *QUICK)
    assert code == 2
    assert "dense classifier" in told


def test_classes_that_are_not_there():
    import keras

    image = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3, activation="relu", name="seen")(image)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, keras.layers.Dense(3, name="scores")(x))
    with pytest.raises(ObjectiveError, match="classes must be below 3"):
        kd.atlas(model, classes=True, channels="7", preprocessing="tf", size=32)


def test_the_command(dream, desk, monkeypatch):
    code, out, told = dream("atlas", "motif", "--layers", "far", *QUICK)
    assert (code, out) == (0, "motif-atlas.png\n")
    assert re.search(r"5 cells; they take about \d+ s on this machine", told)
    folder = desk / "motif-atlas-cells"
    cells = sorted(folder.glob("far-*.png"))
    assert len(cells) == 5
    saved = read_saved(cells[0])
    assert str(saved.recipe.objective) == "far:0"
    # What it began with lies beside it, so it can be made again.
    code, _, told = dream("replay", cells[0], "-o", desk / "again.png")
    assert code == 0
    assert "equals the saved one" in told
    assert dream("show", "motif-atlas.png")[1].startswith("atlas")

    monkeypatch.setattr(Dreamer, "steps", None)
    code, out, told = dream("atlas", "motif", "--layers", "far", *QUICK)
    assert (code, out) == (0, "motif-atlas-2.png\n")
    assert "all of them on the disk already" in told
    assert (desk / out.strip()).read_bytes() == (desk / "motif-atlas.png").read_bytes()


def test_more_layers_dream_only_what_is_new(dream, desk):
    dream("atlas", "motif", "--layers", "far", "-o", "a.png", *QUICK)
    code, out, _ = dream("atlas", "motif", "-o", "a.png", "--json", *QUICK)
    events = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [event["event"] for event in events[:2]] == ["loading", "planned"]
    assert events[1]["ready"] == 5
    assert events[1]["missing"] == events[1]["cells"] - 5 > 0
    cells = [event for event in events if event["event"] == "cell"]
    assert sum(cell["reused"] for cell in cells) == 5
    assert cells[-1]["done"] == 1
    assert events[-1] == {"complete": True, "event": "saved", "path": "a.png"}
    _, out, _ = dream("atlas", "motif", "-o", "a.png", "--fresh", "--json", *QUICK)
    assert json.loads(out.splitlines()[1])["ready"] == 0


def test_ctrl_c_leaves_what_is_done(dream, desk, monkeypatch):
    whole = Dreamer.steps

    def steps(self, photo, recipe="default"):
        # The prediction dreams, too: only cells begin with a named picture.
        if getattr(photo, "name", "") and str(recipe.objective) == "far:3":
            raise KeyboardInterrupt
        return whole(self, photo, recipe)

    monkeypatch.setattr(Dreamer, "steps", steps)
    code, out, told = dream("atlas", "motif", "--layers", "far", "-o", "a.png", *QUICK)
    assert (code, out) == (130, "")
    assert "3 of 5 cells are kept in 'a-cells'" in told
    assert not (desk / "a.png").exists()
    monkeypatch.setattr(Dreamer, "steps", whole)
    code, out, told = dream("atlas", "motif", "--layers", "far", "-o", "a.png", *QUICK)
    assert (code, out) == (0, "a.png\n")
    assert "5 cells, 3 of them on the disk already" in told


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["vgg61"], "nearest name"),
        (["motif", "--layers", "faar"], "'far', the nearest name"),
        (["motif", "--channels", "x"], "numbers and ranges"),
        (["motif", "--size", "3"], "`size` must be a whole number from 16 to 2048"),
        (["motif", "--size", "x"], "unable to convert"),
        (["motif", "--objective", "far"], "must be left out for an atlas"),
        (["motif", "-o", "a.svg"], "must end in one of"),
        (["motif", "-o", "no/a.png"], "create 'no' first"),
        (["motif", "--steps", "100000", "--size", "200"], "--yes"),
        (["motif", "--weights", "none.h5"], "does not exist"),
        (["model.keras"], "does not exist"),
    ],
)
def test_what_cannot_be(dream, desk, arguments, sentence):
    code, out, told = dream("atlas", *arguments)
    assert (code, out) == (2, "")
    assert told.count("\n") <= 2
    assert sentence in told
    assert not list(desk.glob("*.png"))


def test_a_folder_that_cannot_be(dream, desk):
    (desk / "a-cells").write_text("a file")
    code, _, told = dream("atlas", "motif", "-o", "a.png", *QUICK)
    assert code == 2
    assert "A folder for the cells must be created" in told


class _Reader(HTMLParser):
    """Collects a page's tags, and what it would fetch."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.fetched = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.fetched += [v for k, v in attrs if k in ("src", "href", "action", "data")]
        if tag not in ("meta", "input", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole_and_alone(dream, desk):
    code, out, _ = dream("atlas", "motif", "-o", "a.html", *QUICK)
    assert (code, out) == (0, "a.html\n")
    text = (desk / "a.html").read_text("utf-8")
    reader = _Reader()
    reader.feed(text)
    assert reader.open == []
    cells = [attrs for tag, attrs in reader.tags if attrs.get("class") == "cell"]
    images = [attrs for tag, attrs in reader.tags if tag == "img" and "src" in attrs]
    assert len(cells) == len(images) == len(list((desk / "a-cells").glob("[a-z]*-*-*")))
    assert "far:0" in [cell["data-objective"] for cell in cells]
    assert all(i["src"].startswith("data:image/webp;base64,") for i in images)
    assert all(f.startswith(("data:", "#s")) for f in reader.fetched)
    bare = re.sub(
        r'data:image/webp;base64,[^"]*|^ *// .*$', "", text, flags=re.MULTILINE
    )
    assert not re.search(r"//|url\(|@import|fetch\(", bare)
    ids = [attrs["id"] for _, attrs in reader.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    script = text.split("<script>")[1].split("</script>")[0]
    for name in re.findall(r'getElementById\("(\w+)"\)', script):
        assert name in ids


def test_a_strangers_names_are_only_text():
    evil = "</script><script>alert(1)</script>\"'><img src=http://x>"
    start = Picture(np.zeros((8, 8, 3), np.float32))
    cell = Cell("a", evil, Recipe(objective=Class(evil).text), start)
    image = np.zeros((8, 8, 3), np.float32)
    dreamed = DreamedCell(cell, image, cell.recipe, None, False)
    plan = Plan("atlas", evil, evil, [Section(evil, [cell], 1)], 8, {"network": evil})
    reader = _Reader()
    reader.feed(page(plan, [dreamed]))
    assert sum(tag == "script" for tag, _ in reader.tags) == 1
    assert sum(tag == "img" and "src" in a for tag, a in reader.tags) == 1
    assert all(f.startswith(("data:", "#s")) for f in reader.fetched)


def test_python(dreamer, desk):
    sheet = kd.atlas(dreamer, layers="far", channels="0-1", size=24, steps=1)
    assert isinstance(sheet, kd.Sheet)
    assert [made.path for made in sheet.cells] == [None, None]
    assert sheet.save("a.png").is_file()
    assert sheet.save("a.html").is_file()
    assert read_picture("a.png").pixels.shape == sheet.image().shape
    kept = kd.atlas(
        "motif", layers=["far"], channels="0", size=24, steps=1, folder="c", threads=1
    )
    assert kept.cells[0].path.parent.name == "c"
    with pytest.raises(SettingError, match="nearest name"):
        kd.atlas("motif", stepz=3)
